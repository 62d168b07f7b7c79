//! `portcullis session`: shows what the gateway sees in a `Cookie` header.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::file::File;
use super::online;
use super::output::{CONFIGURATION, eprint, print};
use crate::base::clock::{Clock, Now};
use crate::base::text;
use crate::config::Sources;
use crate::document::{Node, Problems};
use crate::identify::resolve::Servers;
use crate::policy::{SessionSource, sources_of};
use crate::session::Refused;
use crate::session::{Cookies, Reason};
use crate::session::{Verdict, VerdictBuilder};

#[derive(Args)]
#[group(required = true, multiple = false, id = "cookies")]
pub(super) struct Input {
    /// The value of the `Cookie` header.
    #[arg(long, value_name = "HEADER")]
    cookie: Option<String>,
    /// A file of raw bytes, one header line per line.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    input: Input,
    /// The time to verify at, in seconds since 1970.
    #[arg(long, value_name = "UNIX")]
    now: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn session(files: &Sources, options: &Options) -> ExitCode {
    let file = match File::read(files) {
        Ok(file) => file,
        Err(code) => return code,
    };
    let header = match options.input.header() {
        Ok(header) => header,
        Err(error) => {
            eprint(error);
            return ExitCode::from(CONFIGURATION);
        }
    };
    let sources = match sources(&file) {
        Ok(sources) => sources,
        Err(code) => return code,
    };
    let now = options.now.map_or_else(|| Clock::system().now(), Now::at);
    let cookies = Cookies::new(&header);
    let seen = online::with_servers(async |servers| see(servers, &sources, cookies, now).await);
    let Some(Seen { verdict, hints }) = seen else { return ExitCode::FAILURE };
    if options.json {
        print(as_json(&verdict, &hints));
    } else {
        print(as_text(&verdict, now.unix()));
        hints.iter().for_each(|hint| print(format_args!("hint: {hint}")));
    }
    match verdict {
        Verdict::Known(..) => ExitCode::SUCCESS,
        Verdict::Nobody(_) | Verdict::Unknown(_) => ExitCode::FAILURE,
    }
}

/// The gateway's verdict, and where an operator should look if it
/// refuses.
struct Seen {
    verdict: Verdict,
    hints: Vec<String>,
}

/// Looks at the cookies as the gateway does: published keys are fetched, stores
/// and the app are asked.
async fn see(servers: &Servers, sources: &[SessionSource], cookies: Cookies<'_>, now: Now) -> Seen {
    let (mut tally, mut hints) = (VerdictBuilder::default(), Vec::new());
    for (index, source) in sources.iter().enumerate() {
        hints.extend(online::fetch_keys(servers, source).await);
        let checked = servers.check(source, cookies, now).await;
        if let Err(Refused::Rejected(rejected)) = &checked {
            hints.extend(source.hints(cookies, rejected));
        }
        tally.add(index, checked.map(Arc::new));
    }
    let verdict = tally.judge().verdict;
    if matches!(verdict, Verdict::Known(..)) {
        hints.clear();
    }
    Seen { verdict, hints }
}

impl Input {
    /// The header as bytes; several lines are several header fields.
    fn header(&self) -> Result<Vec<u8>, String> {
        let bytes = match &self.cookie_file {
            Some(path) => std::fs::read(path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?,
            None => self.cookie.clone().unwrap_or_default().into_bytes(),
        };
        let lines =
            bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let fields: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).map(value).collect();
        Ok(fields.join(&b"; "[..]))
    }
}

/// The value after `Cookie:`, if the name was copied along.
fn value(line: &[u8]) -> &[u8] {
    match line.split_at_checked(7) {
        Some((name, value)) if name.eq_ignore_ascii_case(b"cookie:") => value.trim_ascii_start(),
        _ => line,
    }
}

/// The `[session]` tables alone: the rest of the file may be anything.
fn sources(file: &File) -> Result<Vec<SessionSource>, ExitCode> {
    let problems = Problems::default();
    let document = Node::parse(&file.text, &problems);
    let sources = sources_of(&document, &problems, &file.secrets);
    if problems.is_empty() && sources.as_ref().is_some_and(Vec::is_empty) {
        problems.add(0, "session", "this table is missing; write [session] with its `kind`");
    }
    match sources {
        Some(sources) if problems.is_empty() => Ok(sources),
        Some(_) | None => Err(file.refuse(&problems.into_sorted())),
    }
}

fn as_json(verdict: &Verdict, hints: &[String]) -> serde_json::Value {
    match verdict {
        Verdict::Known(identity, _) => json!({
            "outcome": "accept",
            "user_id": identity.user_id(),
            "expires_at": identity.expires_at(),
            "session": identity.session(),
        }),
        Verdict::Nobody(rejected) => json!({
            "outcome": "reject",
            "reason": rejected.reason.as_str(),
            "detail": with_hints(&rejected.detail, hints),
        }),
        Verdict::Unknown(unanswered) => json!({
            "outcome": "reject",
            "reason": Reason::Unavailable.as_str(),
            "detail": with_hints(&unanswered.detail, hints),
        }),
    }
}

fn with_hints(detail: &str, hints: &[String]) -> String {
    let hints = hints.iter().map(String::as_str);
    std::iter::once(detail).chain(hints).collect::<Vec<_>>().join("; ")
}

fn as_text(verdict: &Verdict, now: u64) -> String {
    match verdict {
        Verdict::Known(identity, _) => {
            let end = match identity.expires_at() {
                Some(end) => format!("expires in {}", text::span(end.saturating_sub(now))),
                None => "the cookie itself says no end".to_owned(),
            };
            let session = serde_json::to_string_pretty(identity.session()).unwrap_or_default();
            format!("accepted: user {}\n{end}\n{session}", identity.user_id())
        }
        Verdict::Nobody(rejected) => {
            format!("refused: {}: {}", rejected.reason.as_str(), rejected.detail)
        }
        Verdict::Unknown(unanswered) => {
            format!("refused: {}: {}", Reason::Unavailable.as_str(), unanswered.detail)
        }
    }
}
