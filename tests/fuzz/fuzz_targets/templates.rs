//! The target `templates` for libFuzzer.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::named("templates").run)(data));
