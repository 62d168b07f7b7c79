//! The target `splitter` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("splitter"), |data: &[u8]| {
    (targets::named("splitter").run)(data);
});
