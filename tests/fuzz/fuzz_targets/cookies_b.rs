//! The target `cookies_b` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_b"), |data: &[u8]| {
    (targets::named("cookies_b").run)(data);
});
