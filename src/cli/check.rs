//! `portcullis check`: all problems, or `ok`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::file::File;
use super::{CONFIGURATION, complain, online, print};
use crate::clock::Clock;
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
        Ok(config) => {
            config.edge.tls.iter().for_each(tell_expiry);
            if options.online {
                return contact(&config.policy);
            }
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => file.refuse(&problems),
    }
}

/// How long each certificate lasts; those that have expired are problems already.
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
            problems.iter().for_each(complain);
            ExitCode::from(CONFIGURATION)
        }
        None => ExitCode::FAILURE,
    }
}
