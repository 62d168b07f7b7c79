//! The target `settings` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("settings"), |data: &[u8]| {
    (targets::named("settings").run)(data);
});
