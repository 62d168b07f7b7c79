//! The public documents by which others trust the gateway's tokens: its key set and
//! its OpenID configuration.
//!
//! `Discovery` holds what the settings publish; without a published key nothing is
//! served. A key that a reload removes stays listed for its `overlap`, because tokens
//! it signed are still in use: that is `Retired`, kept in memory.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::key::PublicKey;
use super::minter::Minter;
use crate::base::clock::Now;
use crate::base::lock::Lock;
use crate::request::refusal::Reply;

/// The path of the key set.
pub(crate) const KEYS_PATH: &str = "/.well-known/jwks.json";
/// The path of the OpenID Connect Discovery 1.0 document, below the issuer's path.
const DOCUMENT_PATH: &str = "/.well-known/openid-configuration";
/// Time for which others may cache the documents.
const MAX_AGE: &str = "public, max-age=300";

/// The keys and issuers the settings publish.
#[derive(Default)]
pub struct Discovery {
    keys: Vec<Listed>,
    issuers: Vec<Issuer>,
}

/// A published key, and how long it stays listed after it has left the settings.
#[derive(Clone)]
struct Listed {
    token: String,
    key: PublicKey,
    overlap: Duration,
}

/// An issuer (`iss`) whose name is a web address.
struct Issuer {
    /// Scheme, host and port.
    origin: String,
    /// The path below it, without a `/` at its end.
    path: String,
    /// As tokens spell it.
    spelt: String,
    algorithms: Vec<String>,
}

/// One of the published documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WellKnown {
    Keys,
    /// The issuer at this path, without `/` at its end.
    OpenId(String),
}

impl Discovery {
    /// The keys and issuers of these tokens; a problem if two keys share a name.
    pub fn from_tokens<'a>(
        tokens: impl Iterator<Item = (&'a str, &'a Minter)>,
    ) -> Result<Self, String> {
        let mut discovery = Self::default();
        for (name, minter) in tokens.filter(|(_, minter)| !minter.published().keys.is_empty()) {
            for key in &minter.published().keys {
                discovery.list(name, key, minter.overlap())?;
            }
            if let Some(issuer) = minter.issuer().as_deref().and_then(Issuer::parse) {
                discovery.name(issuer, &minter.published().keys);
            }
        }
        Ok(discovery)
    }

    fn list(&mut self, token: &str, key: &PublicKey, overlap: Duration) -> Result<(), String> {
        let same_name = |listed: &&mut Listed| listed.key.kid() == key.kid();
        match self.keys.iter_mut().find(same_name) {
            None => {
                self.keys.push(Listed { token: token.to_owned(), key: key.clone(), overlap });
                Ok(())
            }
            Some(listed) if listed.key.jwk() == key.jwk() => {
                listed.overlap = listed.overlap.max(overlap);
                Ok(())
            }
            Some(listed) => Err(format!(
                "a published key has the `kid` of another one, of token.{}; give them two names",
                listed.token
            )),
        }
    }

    fn name(&mut self, issuer: Issuer, keys: &[PublicKey]) {
        let known = self.issuers.iter().position(|known| known.spelt == issuer.spelt);
        let index = known.unwrap_or_else(|| {
            self.issuers.push(issuer);
            self.issuers.len() - 1
        });
        let Some(issuer) = self.issuers.get_mut(index) else { return };
        for key in keys {
            if !issuer.algorithms.iter().any(|algorithm| algorithm == key.algorithm()) {
                issuer.algorithms.push(key.algorithm().to_owned());
            }
        }
    }

    /// The paths that are answered, each with its document.
    pub fn paths(&self) -> Vec<(String, WellKnown)> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let mut paths = vec![(KEYS_PATH.to_owned(), WellKnown::Keys)];
        for issuer in &self.issuers {
            let path = format!("{}{DOCUMENT_PATH}", issuer.path);
            if !paths.iter().any(|(known, _)| *known == path) {
                paths.push((path, WellKnown::OpenId(issuer.path.clone())));
            }
        }
        paths
    }

    /// The answer at one of those paths. Issuers on different hosts may share a path;
    /// `host` then chooses.
    pub fn reply(&self, what: &WellKnown, retired: &Retired, host: &str, now: Now) -> Reply {
        let document = match what {
            WellKnown::Keys => {
                let retired = retired.keys(self, now);
                let keys = self.keys.iter().map(|listed| &listed.key).chain(&retired);
                json!({ "keys": keys.map(PublicKey::jwk).collect::<Vec<_>>() })
            }
            WellKnown::OpenId(path) => {
                let mut here = self.issuers.iter().filter(|issuer| issuer.path == *path);
                let first = here.clone().next();
                here.find(|issuer| issuer.is_at(host)).or(first).map_or(Value::Null, Issuer::json)
            }
        };
        let kind = HeaderValue::from_static("application/json");
        let body = Bytes::from(document.to_string());
        Reply::public(StatusCode::OK, kind, HeaderValue::from_static(MAX_AGE), body)
    }

    /// Time for which a key of this token stays listed after it has left the settings.
    fn overlap_of(&self, token: &str) -> Option<Duration> {
        self.keys.iter().find(|listed| listed.token == token).map(|listed| listed.overlap)
    }

    fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|listed| listed.key.kid() == kid)
    }
}

impl Issuer {
    /// Reads an `iss` that is a web address; a document cannot be at another one.
    fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = uri.authority()?.as_str();
        let path = uri.path().trim_end_matches('/');
        if uri.query().is_some() || !crate::base::host::is_host(authority.as_bytes()) {
            return None;
        }
        Some(Self {
            origin: format!("{scheme}://{authority}"),
            path: path.to_owned(),
            spelt: text.to_owned(),
            algorithms: Vec::new(),
        })
    }

    fn is_at(&self, host: &str) -> bool {
        self.origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))
    }

    /// The least that OpenID Connect Discovery 1.0 allows for an issuer without a
    /// sign-in page.
    fn json(&self) -> Value {
        json!({
            "issuer": self.spelt,
            "jwks_uri": format!("{}{KEYS_PATH}", self.origin),
            "id_token_signing_alg_values_supported": self.algorithms,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        })
    }
}

/// Keys that have left the settings.
#[derive(Default)]
pub struct Retired(Lock<Vec<RetiredKey>>);

struct RetiredKey {
    listed: Listed,
    since: Now,
    /// Time that had passed before, in another process.
    before: Duration,
}

impl Retired {
    /// After a reload, keys that are no longer published stay listed for a while.
    pub fn replace(&self, before: &Discovery, after: &Discovery, now: Now) {
        let mut retired = self.0.lock();
        retired.extend(before.keys.iter().map(|listed| RetiredKey::new(listed.clone(), now)));
        retired.retain(|key| key.is_needed(after, now));
    }

    /// A line for each key another process should list that takes over with settings of
    /// its own: also for those that the settings here publish.
    pub(crate) fn lines(&self, discovery: &Discovery, now: Now) -> Vec<String> {
        let retired = self.0.lock();
        let needed = retired.iter().filter(|key| key.is_needed(discovery, now));
        let needed = needed.map(|key| key.listed.line(key.age(now)));
        discovery.keys.iter().map(|listed| listed.line(Duration::ZERO)).chain(needed).collect()
    }

    /// Learns one of those lines; one that is not complete is passed over.
    pub(crate) fn learn(&self, line: &str, now: Now) {
        if let Some((listed, before)) = Listed::read(line) {
            self.0.lock().push(RetiredKey { listed, since: now, before });
        }
    }

    fn keys(&self, discovery: &Discovery, now: Now) -> Vec<PublicKey> {
        let retired = self.0.lock();
        let needed = retired.iter().filter(|key| key.is_needed(discovery, now));
        needed.map(|key| key.listed.key.clone()).collect()
    }
}

impl RetiredKey {
    fn new(listed: Listed, since: Now) -> Self {
        Self { listed, since, before: Duration::ZERO }
    }

    fn age(&self, now: Now) -> Duration {
        self.before.saturating_add(now.since(self.since))
    }

    /// The current settings decide how long, if they still publish keys of the token:
    /// `overlap = "0s"` withdraws a key at once.
    fn is_needed(&self, discovery: &Discovery, now: Now) -> bool {
        let overlap = discovery.overlap_of(&self.listed.token).unwrap_or(self.listed.overlap);
        self.age(now) < overlap && !discovery.has(self.listed.key.kid())
    }
}

impl Listed {
    fn line(&self, age: Duration) -> String {
        let (token, jwk) = (&self.token, self.key.jwk());
        let (overlap, age) = (self.overlap.as_secs(), age.as_secs());
        json!({ "token": token, "overlap": overlap, "age": age, "jwk": jwk }).to_string()
    }

    /// The key of a line, and how long ago it left the settings.
    fn read(line: &str) -> Option<(Self, Duration)> {
        let line: Value = serde_json::from_str(line).ok()?;
        let seconds = |name| Some(Duration::from_secs(line.get(name)?.as_u64()?));
        let token = line.get("token")?.as_str()?.to_owned();
        let key = PublicKey::from_jwk(line.get("jwk")?.clone())?;
        Some((Self { token, key, overlap: seconds("overlap")? }, seconds("age")?))
    }
}
