//! The target `templates` for libFuzzer.
#![no_main]

mod start;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: start::seed("templates"), |data: &[u8]| {
    (targets::named("templates").run)(data);
});
