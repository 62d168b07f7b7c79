//! The target `cookies_c` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_c"), |data: &[u8]| {
    (targets::named("cookies_c").run)(data);
});
