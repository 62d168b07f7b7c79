//! The command: what to test, the order of the checks, the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use http::HeaderValue;

use super::probe::{Ask, Probe};
use super::report::Report;
use super::target::Target;
use super::{caching, headers, paths, tokens, transport};
use crate::cli::online;
use crate::cli::output::{CONFIGURATION, eprint, print};
use crate::config::Sources;
use crate::outbound::Url;

#[derive(Args)]
pub(in crate::cli) struct Options {
    /// The address that users open, such as `https://app.example.com`: with the CDN and the
    /// load balancer in front.
    url: String,
    /// The `Cookie` header of a signed-in user (a test user's), for the checks of answers
    /// that hold a token.
    #[arg(long, value_name = "HEADER", conflicts_with = "cookie_file")]
    cookie: Option<String>,
    /// A file with that header, which keeps it out of the shell's history.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// The path of a token; repeatable. Default: those of the configuration file.
    #[arg(long = "token", value_name = "PATH")]
    tokens: Vec<String>,
    /// The path of a page that needs a session; repeatable. Default: the guarded routes of
    /// the configuration file.
    #[arg(long = "protected", value_name = "PATH")]
    protected: Vec<String>,
    /// A header that tells the app who is signed in; repeatable. Default: those of the
    /// configuration file.
    #[arg(long = "identity", value_name = "HEADER")]
    identity: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn selftest(sources: &Sources, options: &Options) -> ExitCode {
    let (origin, cookie) = match (origin(&options.url), cookie(options)) {
        (Ok(origin), Ok(cookie)) => (origin, cookie),
        (Err(problem), _) | (_, Err(problem)) => {
            eprint(problem);
            return ExitCode::from(CONFIGURATION);
        }
    };
    let target = Target::from_file(&sources.path).unwrap_or_default();
    let target = target.with(&options.tokens, &options.protected, &options.identity);
    let tested = online::with_servers(async |servers| {
        let paths = target.tokens.len() + target.protected.len();
        let probe = Probe::new(servers.outbound.clone(), origin, cookie, paths);
        run(&probe, &target).await.map(|report| (report, probe.asked()))
    });
    let (report, requests) = match tested {
        Some(Ok(tested)) => tested,
        Some(Err(problem)) => {
            eprint(problem);
            return ExitCode::from(CONFIGURATION);
        }
        None => return ExitCode::FAILURE,
    };
    if options.json {
        print(report.as_json(requests));
    } else {
        print(report.as_text(requests));
    }
    if report.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Every check; an error if nothing answers at all.
async fn run(probe: &Probe, target: &Target) -> Result<Report, String> {
    let home = Ask::get("/");
    let home = probe.ask(&home).await.map_err(|error| format!("{}: {error}", probe.origin()))?;
    let mut report = Report::default();
    if target.tokens.is_empty() {
        report.skip("token paths: no gateway.toml here names one, and no --token PATH");
    }
    if target.protected.is_empty() {
        report.skip("guarded pages: no gateway.toml here names one, and no --protected PATH");
    }
    if !probe.has_session() {
        report.skip("answers with a token: write --cookie or --cookie-file of a test user");
    }
    transport::check(probe, &home, target, &mut report).await;
    headers::check(probe, target, &mut report).await;
    for path in &target.tokens {
        tokens::check(probe, path, &mut report).await;
        caching::check(probe, path, &mut report).await;
    }
    for path in &target.protected {
        paths::check(probe, path, &mut report).await;
    }
    Ok(report)
}

/// Scheme and authority of the address.
fn origin(text: &str) -> Result<String, String> {
    const EXPECTED: &str = "expected an address such as https://app.example.com";
    let url = Url::parse(text).ok_or_else(|| format!("the URL cannot be read; {EXPECTED}"))?;
    if url.target() != "/" {
        return Err(format!(
            "the URL has a path; {EXPECTED}, and name paths with --token and --protected"
        ));
    }
    let scheme = if url.is_tls() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", url.authority()))
}

/// The `Cookie` header, without its name if that was copied along.
fn cookie(options: &Options) -> Result<Option<HeaderValue>, String> {
    let text = match (&options.cookie, &options.cookie_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?,
        (None, None) => return Ok(None),
    };
    let text = text.trim();
    let named = text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("cookie:"));
    let value = if named { text.get(7..).unwrap_or_default().trim() } else { text };
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "the cookie has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}
