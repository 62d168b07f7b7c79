//! The target `decoders` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("decoders"), |data: &[u8]| {
    (targets::named("decoders").run)(data);
});
