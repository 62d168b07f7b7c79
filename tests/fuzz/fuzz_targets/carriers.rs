//! The target `carriers` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("carriers"), |data: &[u8]| {
    (targets::named("carriers").run)(data);
});
