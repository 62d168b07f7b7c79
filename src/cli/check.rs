//! `portcullis check`: all problems, or `ok`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::file::File;
use super::{CONFIGURATION, complain, online, print};
use crate::config::Config;
use crate::policy::Policy;

#[derive(Args)]
pub(super) struct Options {
    /// Also contact upstreams, session stores and servers that publish keys.
    #[arg(long)]
    online: bool,
}

pub(super) fn check(path: &Path, options: &Options) -> ExitCode {
    let file = match File::read(path) {
        Ok(file) => file,
        Err(code) => return code,
    };
    match Config::read(&file.text, &file.secrets) {
        Ok(config) if options.online => {
            warn(&config.policy);
            contact(&config.policy)
        }
        Ok(config) => {
            warn(&config.policy);
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => file.refuse(&problems),
    }
}

/// What is allowed but dangerous does not fail the check, but is not silent.
fn warn(policy: &Policy) {
    policy.warnings().iter().for_each(|warning| complain(format_args!("warning: {warning}")));
}

fn contact(policy: &Policy) -> ExitCode {
    let problems = online::with_servers(async |servers| online::problems(servers, policy).await);
    match problems {
        Some(problems) if problems.is_empty() => {
            print("ok");
            ExitCode::SUCCESS
        }
        Some(problems) => {
            problems.iter().for_each(complain);
            ExitCode::from(CONFIGURATION)
        }
        None => ExitCode::FAILURE,
    }
}
