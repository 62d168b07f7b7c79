//! The target `stored` for libFuzzer.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::named("stored").run)(data));
