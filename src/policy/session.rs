//! One `[session]` table as requests use it: the source, its label in logs, and the
//! paths on which the app signs people out.

use std::ops::Deref;

use http::Method;

use crate::base::secret::Secrets;
use crate::base::url::Url;
use crate::document::{At, FromNode, Located, Node, OneOrMany, Problems, Table};
use crate::request::path::PathPattern;
use crate::session::{SessionReader, StoreSettings};

/// A source with its label and sign-out paths.
pub struct SessionSource {
    reader: SessionReader,
    /// Its kind, with a number if several sources are of that kind.
    pub label: String,
    sign_out: Vec<SignOut>,
    /// Where the app is asked, if its cookies could be read on the way.
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
    /// Whether the app ends this session when it answers such a request. A path the app
    /// might read as a sign-out path counts: forgetting a session too often costs
    /// nothing.
    pub fn ends_at(&self, method: &Method, path: &str) -> bool {
        self.sign_out.iter().any(|sign_out| {
            sign_out.path.covers(path)
                && match &sign_out.method {
                    Some(only) => only == method,
                    None => method != Method::HEAD && method != Method::OPTIONS,
                }
        })
    }
}

/// `[session]`, or several `[[session]]` in the order they are tried.
pub(super) fn read_sources(top: &mut Table<'_>) -> Option<Vec<SessionSource>> {
    let Some(at) = top.take("session") else { return Some(Vec::new()) };
    let sources: Vec<_> = at.items().iter().map(read_one).collect();
    let mut sources: Vec<SessionSource> = sources.into_iter().collect::<Option<_>>()?;
    check_prefixes(&at, &sources);
    let kinds: Vec<_> = sources.iter().map(|source| source.kind()).collect();
    for (index, source) in sources.iter_mut().enumerate() {
        let same = |kinds: &[&str]| kinds.iter().filter(|kind| **kind == source.kind()).count();
        if same(&kinds) > 1 {
            let number = kinds.get(..=index).map_or(1, same);
            source.label = format!("{}.{number}", source.kind());
        }
    }
    Some(sources)
}

/// Sources share one namespace of users, or none of their ids can be another's: with
/// `a` and `ab` as prefixes, `ab1` would be a user of both.
fn check_prefixes(at: &At<'_>, sources: &[SessionSource]) {
    let overlap = |one: &str, other: &str| one != other && other.starts_with(one);
    for (source, at) in sources.iter().zip(at.items()) {
        let prefix = source.user_prefix();
        if let Some(other) = sources.iter().find(|other| overlap(prefix, other.user_prefix())) {
            at.problem(format!(
                "found `user_prefix` {prefix:?} beside {:?}, so a user here could be named like \
                 one there; write a prefix that the other does not start with, such as {:?}",
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

fn read_one(at: &At<'_>) -> Option<SessionSource> {
    let mut table = at.table()?;
    let sign_out = table.get::<OneOrMany<SignOut>>("logout_paths").map(|many| many.0);
    let reader = SessionReader::from_table(&mut table);
    table.finish();
    let reader = reader?;
    let literal = matches!(at.secrets, Secrets::Literal);
    if let Some(Err(error)) = reader.store().map(StoreSettings::check_addresses)
        && !literal
    {
        at.problem(error.to_string());
    }
    let readable = check_url(at, &reader);
    Some(SessionSource {
        label: reader.kind().to_owned(),
        reader,
        sign_out: sign_out.unwrap_or_default(),
        readable,
    })
}

/// Checks the URL that is asked for keys, or at which the app is asked; keys must not be
/// replaced on the way.
fn check_url(at: &At<'_>, source: &SessionReader) -> Option<Located<Url>> {
    let keys = source.remote_keys().map(|keys| keys.url());
    let text = keys.or_else(|| source.asked_url())?;
    let table = at.table()?;
    let written = ["jwks_url", "certs_url", "url"].iter().find_map(|key| table.peek(key));
    let at = written.unwrap_or_else(|| at.clone());
    let Some(url) = Url::parse(text) else {
        at.problem(
            "found a URL that cannot be asked; write https://HOST[:PORT]/PATH, no credentials",
        );
        return None;
    };
    if keys.is_some() && !url.is_private() {
        at.problem("the keys could be replaced on the way; write https://");
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
