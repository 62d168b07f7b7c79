//! One `[session]` table as requests use it: the source, its label in logs, and the
//! paths on which the app signs people out.

use std::ops::Deref;
use std::sync::Arc;

use http::Method;

use crate::base::secret::Secrets;
use crate::base::url::Url;
use crate::document::{At, FromNode, Located, Node, OneOrMany, Problems, Table};
use crate::edge::Trusted;
use crate::request::path::PathPattern;
use crate::request::rules::RuleInput;
use crate::session::{HeaderPlace, SessionReader, StoreRank};
use crate::upstream::Prefixes;

/// A source with its label and sign-out paths.
pub struct SessionSource {
    reader: SessionReader,
    /// Its kind, with a number if several sources are of that kind.
    pub label: String,
    sign_out: Arc<[SignOut]>,
    /// Where the app is asked, if its cookies could be read in transit.
    pub(super) readable: Option<Located<Url>>,
}

/// A path at which the app ends the session, for one method or for any.
struct SignOut {
    method: Option<Method>,
    path: PathPattern,
}

impl Deref for SessionSource {
    type Target = SessionReader;

    fn deref(&self) -> &SessionReader {
        &self.reader
    }
}

impl SessionSource {
    /// Whether an app with one of these prefixes ends this session when it answers such a
    /// request. A path the app might read as a sign-out path counts: forgetting a session
    /// too often costs nothing.
    pub(crate) fn ends_at(&self, asked: &RuleInput<'_>, prefixes: &[Prefixes]) -> bool {
        let takes = |sign_out: &SignOut| match &sign_out.method {
            // To some apps `post` is POST.
            Some(only) => only.as_str().eq_ignore_ascii_case(asked.method.as_str()),
            None => asked.method != Method::HEAD && asked.method != Method::OPTIONS,
        };
        let covers = |pattern: &PathPattern| {
            prefixes.iter().any(|prefixes| pattern.covers(asked.path, asked.query, prefixes))
        };
        self.sign_out.iter().any(|sign_out| takes(sign_out) && covers(&sign_out.path))
    }
}

/// `[session]`, or several `[[session]]` in the order they are tried.
pub(super) fn read_sources(top: &mut Table<'_>) -> Option<Vec<SessionSource>> {
    let Some(at) = top.take("session") else { return Some(Vec::new()) };
    let tables: Vec<_> = at.items().iter().map(read_one).collect();
    let mut tables: Vec<Vec<SessionSource>> = tables.into_iter().collect::<Option<_>>()?;
    check_prefixes(&at, &tables);
    let kinds: Vec<_> = tables.iter().map(|table| table.first().map(|it| it.kind())).collect();
    for (index, table) in tables.iter_mut().enumerate() {
        let same = |others: &[Option<&str>]| {
            others.iter().filter(|other| kinds.get(index) == Some(*other)).count()
        };
        if same(&kinds) > 1 {
            let number = kinds.get(..=index).map_or(1, same);
            for source in table {
                source.label = format!("{}.{number}", source.kind());
            }
        }
    }
    Some(tables.into_iter().flatten().collect())
}

/// A header that proves nothing counts from `trusted_proxies` only.
pub(super) fn check_trusted(top: &Table<'_>, sources: &[SessionSource], trusted: &Trusted) {
    let believes = sources.iter().find(|source| source.header().is_some_and(HeaderPlace::is_bare));
    if let (Some(source), true, Some(at)) = (believes, trusted.is_empty(), top.peek("session")) {
        at.problem(format!(
            "kind = {:?} trusts only the gate in front, and no address is trusted; write the \
             gate's address in [server] trusted_proxies, such as [\"10.0.0.0/8\"]",
            source.kind()
        ));
    }
}

/// The challenge of a 401: the first source's, and that of one with a token in a header,
/// which is what a client without cookies looks for.
pub(super) fn challenge(sources: &[SessionSource]) -> String {
    let Some(first) = sources.first() else { return "Cookie cookie-name=\"\"".to_owned() };
    let other = sources.iter().find(|source| source.header().is_some_and(|it| it.is_of_client()));
    let mut challenge = first.challenge();
    if let Some(other) = other.map(|other| other.challenge()).filter(|other| *other != challenge) {
        challenge = format!("{challenge}, {other}");
    }
    challenge
}

/// Sources share one namespace of users, or no id of one can be an id of another: with `a`
/// and `ab` as prefixes, `ab1` would be a user of both.
fn check_prefixes(at: &At<'_>, tables: &[Vec<SessionSource>]) {
    let overlap = |one: &str, other: &str| one != other && other.starts_with(one);
    let sources = || tables.iter().filter_map(|table| table.first());
    for (source, at) in sources().zip(at.items()) {
        let prefix = source.user_prefix();
        if let Some(other) = sources().find(|other| overlap(prefix, other.user_prefix())) {
            at.problem(format!(
                "found `user_prefix` {prefix:?} beside {:?}, so a user here could have the same id \
                 as one there; write a prefix that the other does not start with, such as {:?}",
                other.user_prefix(),
                format!("{}:", source.kind()),
            ));
        }
    }
}

/// Reads `[session]` alone, for `portcullis session`.
pub(crate) fn sources_of(
    document: &Node,
    problems: &Problems,
    secrets: &Secrets,
) -> Option<Vec<SessionSource>> {
    let at = At::new(document, "", problems, secrets);
    read_sources(&mut at.table()?)
}

/// The sources of one table: one for each place its session may come in.
fn read_one(at: &At<'_>) -> Option<Vec<SessionSource>> {
    let mut table = at.table()?;
    let sign_out = table.get::<OneOrMany<SignOut>>("logout_paths").map(|many| many.0);
    let sources = SessionReader::all_from_table(&mut table);
    table.finish();
    let sign_out: Arc<[SignOut]> = sign_out.unwrap_or_default().into();
    Some(sources?.into_iter().map(|source| checked(at, source, sign_out.clone())).collect())
}

fn checked(at: &At<'_>, reader: SessionReader, sign_out: Arc<[SignOut]>) -> SessionSource {
    if reader.header().is_some_and(HeaderPlace::is_bare) && !sign_out.is_empty() {
        at.problem(
            "found `logout_paths`, but the gate in front signs users in and out, and a user who \
             comes back would stay signed out; leave it out",
        );
    }
    let literal = matches!(at.secrets, Secrets::Literal);
    let ranks = [StoreRank::First, StoreRank::Fallback];
    for (store, rank) in reader.stores().zip(ranks).filter(|_| !literal) {
        if let Err(error) = store.check_addresses() {
            at.problem(match rank {
                StoreRank::Fallback => format!("{}: {error}", rank.table()),
                StoreRank::First => error.to_string(),
            });
        }
    }
    let readable = check_url(at, &reader);
    SessionSource { label: reader.kind().to_owned(), reader, sign_out, readable }
}

/// Checks the URL that is asked for keys, or at which the app is asked; keys must not be
/// replaced in transit.
fn check_url(at: &At<'_>, source: &SessionReader) -> Option<Located<Url>> {
    let keys = source.remote_keys().map(|keys| keys.url());
    let text = keys.or_else(|| source.asked_url())?;
    let table = at.table()?;
    let written = ["jwks_url", "certs_url", "url"].iter().find_map(|key| table.peek(key));
    let at = written.unwrap_or_else(|| at.clone());
    let Some(url) = Url::parse(text) else {
        at.problem("found an unusable URL; write https://HOST[:PORT]/PATH, no credentials");
        return None;
    };
    if keys.is_some() && !url.is_private() {
        at.problem("the keys could be replaced in transit; write https://");
    }
    (keys.is_none() && !url.is_private()).then(|| Located::new(&at, url))
}

impl FromNode for SignOut {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a path such as "/logout" or "POST /api/auth/signout""#;
        let text = at.text(EXPECTED)?;
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path),
            None => (None, text),
        };
        let upper = |method: &str| method.bytes().all(|b| b.is_ascii_uppercase());
        let method = match method {
            Some(method) if upper(method) => Some(Method::from_bytes(method.as_bytes()).ok()),
            Some(_) => Some(None),
            None => None,
        };
        match (method, PathPattern::parse(path)) {
            (Some(Some(method)), Some(path)) => Some(Self { method: Some(method), path }),
            (None, Some(path)) => Some(Self { method: None, path }),
            (Some(None), _) | (_, None) => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
