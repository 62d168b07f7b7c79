//! The target `heads` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("heads"), |data: &[u8]| {
    (targets::named("heads").run)(data);
});
