//! `portcullis presets`: the vendors whose tokens need no code.

use std::process::ExitCode;

use super::output::{CONFIGURATION, eprint, print};
use crate::mint::Presets;

pub(super) fn presets(name: Option<&str>) -> ExitCode {
    let presets = Presets::builtin();
    let Some(name) = name else {
        let width = presets.names().map(str::len).max().unwrap_or_default();
        for (name, checked) in presets.checked() {
            print(format_args!("{name:width$}  {checked}"));
        }
        return ExitCode::SUCCESS;
    };
    match Presets::text(name) {
        Some(text) => {
            print(text.trim_end());
            ExitCode::SUCCESS
        }
        None => {
            let meant = presets.meant(name);
            let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
            eprint(format_args!(
                "there is no preset `{}`{meant}; `portcullis presets` lists them",
                name.escape_debug()
            ));
            ExitCode::from(CONFIGURATION)
        }
    }
}
