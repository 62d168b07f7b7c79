//! The target `cookies_rest` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_rest"), |data: &[u8]| {
    (targets::named("cookies_rest").run)(data);
});
