//! `portcullis completions` and `portcullis man`: the command line for shells and `man`,
//! generated from its definition.

use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::{CONFIGURATION, eprint, print};

pub(super) fn completions(mut command: Command, shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "portcullis", &mut text);
    print(String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

/// The page of the program, or of one of its commands.
pub(super) fn page(mut command: Command, of: Option<&str>) -> ExitCode {
    command.build();
    let chosen = match of {
        None => Some(command),
        Some(name) => command.find_subcommand(name).cloned(),
    };
    let Some(chosen) = chosen else {
        eprint("unknown command; `portcullis --help` lists all of them");
        return ExitCode::from(CONFIGURATION);
    };
    let mut text = Vec::new();
    match Man::new(chosen).render(&mut text) {
        Ok(()) => {
            print(String::from_utf8_lossy(&text).trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint(error);
            ExitCode::FAILURE
        }
    }
}
