//! The target `signed` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("signed"), |data: &[u8]| {
    (targets::named("signed").run)(data);
});
