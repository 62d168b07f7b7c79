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
        Ok(config) if options.online => contact(&config.policy),
        Ok(config) => {
            keys(&config.policy).iter().for_each(print);
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => file.refuse(&problems),
    }
}

/// The keys others have to know by name: those of a rotation, and those that are
/// published. A line each.
fn keys(policy: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    for token in &policy.tokens {
        let (kids, published) = (token.minter.kids(), &token.minter.published().keys);
        if published.is_empty() && kids.len() < 2 {
            continue;
        }
        for (index, kid) in kids.iter().enumerate() {
            let public = published.iter().find(|key| Some(key.kid()) == kid.as_deref());
            let name =
                kid.as_ref().map_or_else(|| (index + 1).to_string(), |kid| format!("{kid:?}"));
            let algorithm = public.map(|key| format!(" ({})", key.algorithm())).unwrap_or_default();
            let role = match (index, public) {
                (0, Some(_)) => "signs, published",
                (0, None) => "signs",
                (_, Some(_)) => "published",
                (_, None) => "not used",
            };
            lines.push(format!("{}: key {name}{algorithm}: {role}", token.label));
        }
    }
    lines
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
