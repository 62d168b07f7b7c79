//! `portcullis check`: all problems, or `ok`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::file::File;
use super::online;
use super::output::{CONFIGURATION, eprint, print};
use crate::base::clock::Clock;
use crate::config::Config;
use crate::edge::Tls;
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
            config.edge.tls.iter().for_each(tell_expiry);
            contact(&config.policy)
        }
        Ok(config) => {
            warn(&config.policy);
            config.edge.tls.iter().for_each(tell_expiry);
            keys(&config.policy).iter().for_each(print);
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => file.refuse(&problems),
    }
}

/// Keys that others know by name: those of a rotation, and published ones. One line
/// each.
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

/// Prints dangerous settings, which do not fail the check.
fn warn(policy: &Policy) {
    policy.warnings().iter().for_each(|warning| eprint(format_args!("warning: {warning}")));
}

/// Prints the days each certificate has left; expired ones are problems already.
fn tell_expiry(tls: &Tls) {
    const DAY: u64 = 24 * 60 * 60;
    let now = Clock::system().now().unix();
    for certificate in &tls.certificates {
        let days = certificate.expires_at.saturating_sub(now) / DAY;
        print(format_args!("certificate {}: {days} days left", certificate.names.join(" ")));
    }
}

fn contact(policy: &Policy) -> ExitCode {
    let problems = online::with_servers(async |servers| online::problems(servers, policy).await);
    match problems {
        Some(problems) if problems.is_empty() => {
            print("ok");
            ExitCode::SUCCESS
        }
        Some(problems) => {
            problems.iter().for_each(eprint);
            ExitCode::from(CONFIGURATION)
        }
        None => ExitCode::FAILURE,
    }
}
