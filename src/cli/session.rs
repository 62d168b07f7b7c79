//! `portcullis session`: shows what the gateway sees in a `Cookie` header, or in another one
//! that holds a session.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, header};
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
use crate::session::{Cookies, Reason, Refused, SentHeaders, StoreRank};
use crate::session::{Verdict, VerdictBuilder};

#[derive(Args)]
#[group(required = true, multiple = true, id = "cookies")]
pub(super) struct Input {
    /// The value of the `Cookie` header.
    #[arg(long, value_name = "HEADER")]
    cookie: Option<String>,
    /// A file of raw bytes, one header line per line.
    #[arg(long, value_name = "FILE", conflicts_with = "cookie")]
    cookie_file: Option<PathBuf>,
    /// Another header, as if one of `trusted_proxies` had sent it; may be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
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
    let sent = options.input.header().and_then(|cookie| Ok((cookie, options.input.others()?)));
    let (header, others) = match sent {
        Ok(sent) => sent,
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
    let cookies = Cookies::new(&header).with_headers(SentHeaders::new(&others, true));
    let seen = online::with_servers(async |servers| see(servers, &sources, cookies, now).await);
    let Some(Seen { verdict, hints, notes, store }) = seen else { return ExitCode::FAILURE };
    if options.json {
        print(as_json(&verdict, (&hints, &notes), store));
    } else {
        print(as_text(&verdict, store, now.unix()));
        hints.iter().for_each(|hint| print(format_args!("hint: {hint}")));
        notes.iter().for_each(|note| print(format_args!("note: {note}")));
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
    /// Settings that the accepted session suggests.
    notes: Vec<String>,
    /// The store that has the session, where there are two.
    store: Option<StoreRank>,
}

/// Looks at the cookies as the gateway does: published keys are fetched, stores
/// and the app are asked.
async fn see(servers: &Servers, sources: &[SessionSource], cookies: Cookies<'_>, now: Now) -> Seen {
    let (mut tally, mut hints) = (VerdictBuilder::default(), Vec::new());
    let mut noted = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        hints.extend(online::fetch_keys(servers, source).await);
        let (checked, asked) = servers.check_noting(source, cookies, now).await;
        let notes = match &checked {
            Ok(identity) => source.notes(identity, asked.row.as_ref(), now.unix()),
            Err(Refused::Rejected(rejected)) => {
                hints.extend(source.hints(cookies, rejected));
                Vec::new()
            }
            Err(Refused::Unanswered(_)) => Vec::new(),
        };
        noted.push((asked.store.filter(|_| source.stores().nth(1).is_some()), notes));
        tally.add(index, checked.map(Arc::new));
    }
    let verdict = tally.judge().verdict;
    let (mut store, mut notes) = (None, Vec::new());
    if let Verdict::Known(_, source) = &verdict {
        hints.clear();
        (store, notes) = noted.into_iter().nth(*source).unwrap_or_default();
    }
    Seen { verdict, hints, notes, store }
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

impl Input {
    /// The headers beside the cookies.
    fn others(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for line in &self.header {
            // A token must not be in a message.
            let expected = "--header: expected a name, a colon and a value, such as \
                            'Authorization: Bearer …'";
            let (name, value) = line.split_once(':').ok_or(expected)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| expected)?;
            if name == header::COOKIE {
                return Err("--header: cookies go into --cookie".to_owned());
            }
            let value = HeaderValue::try_from(value.trim()).map_err(|_| expected)?;
            headers.append(name, value);
        }
        Ok(headers)
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

fn as_json(
    verdict: &Verdict,
    (hints, notes): (&[String], &[String]),
    store: Option<StoreRank>,
) -> serde_json::Value {
    match verdict {
        Verdict::Known(identity, _) => {
            let mut seen = json!({
                "outcome": "accept",
                "user_id": identity.user_id(),
                "expires_at": identity.expires_at(),
                "session": identity.session(),
            });
            if let (Some(store), Some(members)) = (store, seen.as_object_mut()) {
                members.insert("store".to_owned(), json!(store.table()));
            }
            if let (false, Some(members)) = (notes.is_empty(), seen.as_object_mut()) {
                members.insert("notes".to_owned(), json!(notes));
            }
            seen
        }
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

fn as_text(verdict: &Verdict, store: Option<StoreRank>, now: u64) -> String {
    match verdict {
        Verdict::Known(identity, _) => {
            let end = match identity.expires_at() {
                Some(end) => format!("expires in {}", text::span(end.saturating_sub(now))),
                None => "the cookie itself does not say when it ends".to_owned(),
            };
            let session = serde_json::to_string_pretty(&identity.session()).unwrap_or_default();
            let store = store.map(|store| format!("\nfound in {}", store.table()));
            let store = store.unwrap_or_default();
            format!("accepted: user {}\n{end}{store}\n{session}", identity.user_id())
        }
        Verdict::Nobody(rejected) => {
            format!("refused: {}: {}", rejected.reason.as_str(), rejected.detail)
        }
        Verdict::Unknown(unanswered) => {
            format!("refused: {}: {}", Reason::Unavailable.as_str(), unanswered.detail)
        }
    }
}
