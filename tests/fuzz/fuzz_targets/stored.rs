//! The target `stored` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("stored"), |data: &[u8]| {
    (targets::named("stored").run)(data);
});
