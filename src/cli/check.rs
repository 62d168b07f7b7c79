//! `portcullis check`: all problems, or `ok`.

use std::process::ExitCode;

use clap::Args;

use super::explain::explain;
use super::file::File;
use super::output::{CONFIGURATION, eprint, print};
use super::run::state_directory;
use super::writable::unusable_paths;
use super::{online, online_shared};
use crate::base::clock::Clock;
use crate::config::{Config, Sources};
use crate::edge::ListenerTls;
use crate::identify::revocation::probe;
use crate::policy::{Form, Policy};

#[derive(Args)]
pub(super) struct Options {
    /// Also contact upstreams, session stores and servers that publish keys.
    #[arg(long)]
    online: bool,
    /// Also print what the host or proxy in front of the app needs: rewrites, or the
    /// proxy's own lines.
    #[arg(long)]
    explain: bool,
    /// Count warnings as errors.
    #[arg(long)]
    strict: bool,
}

pub(super) fn check(sources: &Sources, options: &Options) -> ExitCode {
    let file = match File::read(sources) {
        Ok(file) => file,
        Err(code) => return code,
    };
    let mut config = match Config::read(&file.text, &file.secrets) {
        Ok(config) => config,
        Err(problems) => return file.refuse(&problems),
    };
    if !can_keep_revocations(&config) {
        return ExitCode::from(CONFIGURATION);
    }
    let unusable = unusable_paths(&file, &config);
    config.warnings.extend(unusable);
    config.warnings.sort_by_key(|warning| warning.offset);
    if options.strict && !config.warnings.is_empty() {
        return file.refuse(&config.warnings);
    }
    file.tell(&config.warnings);
    config.edge.tls.iter().for_each(tell_expiry);
    if options.online {
        return contact(&config);
    }
    keys(&config.policy).iter().for_each(print);
    if options.explain {
        print(explain(&config).trim_end());
    } else if config.policy.form() != Form::ReverseProxy {
        print(format_args!("form: {}", config.policy.form().describe()));
    }
    print("ok");
    ExitCode::SUCCESS
}

/// Says why the file of revocations could not be used.
fn can_keep_revocations(config: &Config) -> bool {
    let path = config.revocations.path(state_directory().as_deref());
    let Some((path, Err(error))) = path.map(|path| (path.clone(), probe(&path))) else {
        return true;
    };
    eprint(format_args!("revocations.file: {}: {error}", path.display()));
    false
}

/// Keys that others know by name, one line each: those of a rotation, and published ones.
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

/// Prints the days each certificate has left; expired ones are problems already.
fn tell_expiry(tls: &ListenerTls) {
    const DAY: u64 = 24 * 60 * 60;
    let now = Clock::system().now().unix();
    for certificate in &tls.certificates {
        let days = certificate.expires_at.saturating_sub(now) / DAY;
        print(format_args!("certificate {}: {days} days left", certificate.names.join(" ")));
    }
}

fn contact(config: &Config) -> ExitCode {
    let problems = online::with_servers(async |servers| {
        let mut problems = online::problems(servers, &config.policy).await;
        if let Some(shared) = &config.shared {
            let report = online_shared::report(shared).await;
            report.warnings.iter().for_each(|text| eprint(format_args!("warning: {text}")));
            problems.extend(report.problems);
        }
        problems
    });
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
