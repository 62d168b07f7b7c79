//! The target `cookies_node` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("cookies_node"), |data: &[u8]| {
    (targets::named("cookies_node").run)(data);
});
