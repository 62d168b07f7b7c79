//! The target `cookies_a` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_a"), |data: &[u8]| {
    (targets::named("cookies_a").run)(data);
});
