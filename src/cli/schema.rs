//! `portcullis schema`: the JSON Schema of gateway.toml, for editors.
//!
//! Written by hand beside the readers it describes; `tests/schema` compares its
//! keys with those the readers ask for, and every example with it.

use std::process::ExitCode;

use super::output::print;

const SCHEMA: &str = include_str!("schema.json");

pub(super) fn schema() -> ExitCode {
    print(SCHEMA.trim_end());
    ExitCode::SUCCESS
}
