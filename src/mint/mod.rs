//! Making tokens: from a verified session to what a vendor's client expects.
//!
//! A `Minter` is one `[token.NAME]` table, compiled: templates parsed, keys
//! ready to sign, every name settled. It is pure: session, request inputs,
//! grants and the time in; a token, a refusal, or the description of one HTTP
//! call out. Vendors are data (`presets.toml`); only three mechanisms are code.

mod body;
mod build;
mod cache_key;
mod error;
mod exchange;
mod grant;
mod hmac;
pub mod identity_assertion;
mod inputs;
mod json;
mod jwt;
mod key_text;
mod keys;
mod layered_table;
mod lifetime;
mod mac;
mod preset;
mod published;
mod request_pattern;
mod response;
mod signer;
mod statuses;
mod template;
#[cfg(test)]
mod tests;
mod token;
pub mod well_known;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};

use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::document::{At, Table};
use crate::session::Identity;

pub use error::MintError;
pub use grant::GrantHook;
pub use inputs::Inputs;
pub use preset::Presets;
pub use published::PublicKey;
pub use signer::Signer;
pub use statuses::Statuses;
pub use token::{Call, Minting, Token};

use build::KNOWN;
use cache_key::Fingerprint;
use exchange::Exchange;
use hmac::Hmac;
use jwt::Jwt;
use layered_table::Members;
use lifetime::{Life, Times};
use request_pattern::UserIds;
use response::{Made, Response};
use template::Scope;

/// One `[token.NAME]`, ready to mint.
pub struct Minter {
    mechanism: Mechanism,
    life: Life,
    inputs: Inputs,
    grant: Option<GrantHook>,
    methods: Vec<Method>,
    cache: CachePolicy,
    user_ids: UserIds,
    /// Names of the random texts each token draws.
    draws: Vec<String>,
    /// Session fields the templates and patterns read.
    fields: Vec<Vec<String>>,
    /// The names of its keys; the first one signs.
    keys: Vec<Option<String>>,
    published: Published,
    statuses: Statuses,
    fingerprint: Fingerprint,
}

/// What others may know of a token's keys.
#[derive(Default)]
pub struct Published {
    /// The signing one first, if it is published.
    pub keys: Vec<PublicKey>,
    /// How long a key is listed that the settings no longer have.
    pub overlap: Option<Duration>,
}

enum Mechanism {
    Exchange(Box<Exchange>),
    Hmac(Box<Hmac>),
    Jwt(Box<Jwt>, Response),
}

/// Whether a token may be handed out again, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// To anyone: it is bound to no user.
    Global,
    /// Its client breaks on a token it has seen, or the token is single use.
    Never,
    /// To the same user with the same inputs and grants.
    User,
}

/// For whom a token is made.
pub struct Subject<'a> {
    pub identity: &'a Identity,
    /// The declared request inputs, as `Inputs::collect` gives them.
    pub inputs: &'a Map<String, Value>,
    /// The app's answer to the grant hook; `Null` without one.
    pub grant: &'a Value,
}

impl Minter {
    /// Reads everything of `[token.NAME]` that says what the token is; path,
    /// limits and origins are left to the policy. `None` if problems were noted.
    pub fn read(name: &str, table: &mut Table<'_>, presets: &Presets) -> Option<Self> {
        let Some(chosen) = presets.chosen(table) else {
            KNOWN.iter().for_each(|key| drop(table.take(key)));
            return None;
        };
        let token = table.at().clone();
        let path = format!("preset.{}", chosen.name);
        let preset = chosen.node.as_ref().and_then(|node| At { node, path, ..token }.table());
        let settings = [Some(token.node), chosen.node.as_ref()];
        let mut members = Members::new(table, preset);
        let minter = build::minter(name, &mut members, settings);
        if minter.is_none() {
            // What was not reached must not be reported as unknown.
            KNOWN.iter().for_each(|key| drop(members.take(key)));
        }
        members.finish();
        minter
    }

    /// The methods the endpoint answers.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub fn cache(&self) -> CachePolicy {
        self.cache
    }

    /// Whether somebody else makes the token.
    pub fn is_remote(&self) -> bool {
        matches!(self.mechanism, Mechanism::Exchange(_))
    }

    /// The media type of the endpoint's answers.
    pub fn content_type(&self) -> HeaderValue {
        match &self.mechanism {
            Mechanism::Exchange(exchange) => exchange.response.content_type(),
            // Signatures over text are answered as JSON by every preset there is.
            Mechanism::Hmac(_) => HeaderValue::from_static("application/json"),
            Mechanism::Jwt(_, response) => response.content_type(),
        }
    }

    /// The request inputs to collect before minting.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The question to ask the app before minting.
    pub fn grant(&self) -> Option<&GrantHook> {
        self.grant.as_ref()
    }

    /// What may be published of its keys.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// How long a key that is no longer used stays published: as long as anybody
    /// may hold a token of it, and verifiers an old list (they keep one for up to
    /// half an hour).
    pub fn overlap(&self) -> Duration {
        const LISTS_KEPT: Duration = Duration::from_secs(30 * 60);
        self.published.overlap.unwrap_or_else(|| self.life.longest().saturating_add(LISTS_KEPT))
    }

    /// The `iss` of its tokens, where it is always the same.
    pub fn issuer(&self) -> Option<String> {
        match &self.mechanism {
            Mechanism::Jwt(jwt, _) => jwt.issuer(),
            Mechanism::Exchange(_) | Mechanism::Hmac(_) => None,
        }
    }

    /// Which refusals have a status of their own.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// The names of its keys, where they have one; the first one signs.
    pub fn kids(&self) -> &[Option<String>] {
        &self.keys
    }

    /// A digest over everything that can change the token.
    pub fn cache_key(&self, subject: &Subject<'_>) -> Digest {
        let session = subject.identity.session();
        let fields = self.fields.iter().map(|path| template::walk(session, path));
        let parts = self.inputs.values(subject.inputs).chain(fields);
        self.fingerprint.key(self.cache, subject, parts)
    }

    /// Makes a token, or describes the call that does.
    pub fn mint(&self, subject: &Subject<'_>, now: Now) -> Result<Minting, MintError> {
        self.mint_with(subject, now, &self.drawn()?)
    }

    /// Reads the issuer's answer to the call `mint` described.
    pub fn answered(
        &self,
        subject: &Subject<'_>,
        now: Now,
        status: StatusCode,
        body: Bytes,
    ) -> Result<Token, MintError> {
        let Mechanism::Exchange(exchange) = &self.mechanism else {
            return Err(MintError::IssuerFailed("this token needs no issuer".into()));
        };
        let times = self.life.times(subject.identity, now)?;
        let answer = exchange.answer(status, &body, times.now)?;
        let draws = self.drawn()?;
        let times = Times { exp: answer.expires_at.or(times.exp), ..times };
        let scope = Scope::new(subject, times, &draws);
        let (expires_at, usable_until) =
            self.life.ends(&times, answer.expires_at, subject.identity);
        let made = Made { value: answer.token, answer: body, expires_at, usable_until };
        exchange.response.token(made, &scope)
    }

    fn mint_with(
        &self,
        subject: &Subject<'_>,
        now: Now,
        draws: &[String],
    ) -> Result<Minting, MintError> {
        self.inputs.check(subject.inputs, subject.identity)?;
        self.user_ids.check(subject.identity)?;
        let times = self.life.times(subject.identity, now)?;
        let scope = Scope::new(subject, times, draws);
        let (expires_at, usable_until) = self.life.ends(&times, None, subject.identity);
        let made = |value| Made { value, answer: Bytes::new(), expires_at, usable_until };
        let token = match &self.mechanism {
            Mechanism::Exchange(exchange) => return exchange.call(&scope).map(Minting::Call),
            Mechanism::Hmac(hmac) => {
                hmac.signed(&scope, |response, scope, value| response.token(made(value), scope))
            }
            Mechanism::Jwt(jwt, response) => response.token(made(jwt.token(&scope)?), &scope),
        };
        token.map(Minting::Ready)
    }

    fn drawn(&self) -> Result<Vec<String>, MintError> {
        self.draws.iter().map(|_| uuid()).collect()
    }
}

/// A random UUID (RFC 9562, version 4): what vendors that want a `jti` or nonce
/// all accept.
fn uuid() -> Result<String, MintError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| MintError::Unavailable("no random bytes could be had".into()))?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    Ok([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}
