//! The target `cookies_jose` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_jose"), |data: &[u8]| {
    (targets::named("cookies_jose").run)(data);
});
