//! Making tokens: from a verified session to what a vendor's client expects.
//!
//! A `Minter` is one `[token.NAME]` table, compiled: templates parsed, keys ready to
//! sign, every name settled. It is pure: session, request inputs, grants and the time
//! in; a token, a refusal, or the description of one HTTP call out.

use std::borrow::Cow;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use super::cache_key::{CachePolicy, Fingerprint};
use super::error::MintError;
use super::grant::GrantHook;
use super::inputs::Inputs;
use super::lifetime::{Lifetime, Times};
use super::mechanism::{FirstAnswer, Mechanism, PublicKeys, SignedRequest};
use super::response::RawToken;
use super::statuses::Statuses;
use super::subject::Subject;
use super::template::Scope;
use super::token::{Call, Minting, Token};
use super::user_ids::UserIds;
use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::base::json_path::JsonPath;
use crate::base::secret::Secret;

/// One `[token.NAME]`, ready to mint.
pub struct Minter {
    pub(super) mechanism: Mechanism,
    pub(super) lifetime: Lifetime,
    pub(super) inputs: Inputs,
    pub(super) grant: Option<GrantHook>,
    pub(super) methods: Vec<Method>,
    pub(super) cache: CachePolicy,
    pub(super) user_ids: UserIds,
    /// Names of the random texts each token draws.
    pub(super) draws: Vec<String>,
    /// Session fields the templates and patterns read.
    pub(super) fields: Vec<JsonPath>,
    /// The names of its keys; the first one signs.
    pub(super) keys: Vec<Option<String>>,
    pub(super) published: PublicKeys,
    /// Everything secret about its keys.
    pub(super) secrets: Vec<Secret>,
    pub(super) statuses: Statuses,
    pub(super) fingerprint: Fingerprint,
}

impl Minter {
    /// The methods the endpoint answers.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub fn cache(&self) -> CachePolicy {
        self.cache
    }

    /// Whether a remote issuer makes the token.
    pub fn is_remote(&self) -> bool {
        self.mechanism.is_remote()
    }

    /// Whether minting costs more than asking a store: a call, or an RSA signature.
    pub fn is_costly(&self) -> bool {
        self.mechanism.is_costly()
    }

    /// Whether minting takes a thread for milliseconds.
    pub(crate) fn is_slow(&self) -> bool {
        self.mechanism.signs_with_rsa()
    }

    /// The media type of the endpoint's answers.
    pub fn content_type(&self) -> HeaderValue {
        self.mechanism.content_type()
    }

    /// The request inputs to collect before minting.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The question to ask the app before minting.
    pub fn grant(&self) -> Option<&GrantHook> {
        self.grant.as_ref()
    }

    /// The public side of its keys.
    pub fn published(&self) -> &PublicKeys {
        &self.published
    }

    /// Time for which a key stays published after it has left the settings: until its last
    /// token has ended and verifiers have fetched a new list, which they do at least every
    /// half hour.
    pub fn overlap(&self) -> Duration {
        const LISTS_KEPT: Duration = Duration::from_secs(30 * 60);
        self.published.overlap.unwrap_or_else(|| self.lifetime.longest().saturating_add(LISTS_KEPT))
    }

    /// The `iss` of its tokens, where it is always the same.
    pub fn issuer(&self) -> Option<String> {
        self.mechanism.issuer()
    }

    /// The refusals that have a status of their own.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// The names of its keys, where they have one; the first one signs.
    pub fn kids(&self) -> &[Option<String>] {
        &self.keys
    }

    /// Everything secret about its keys.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The algorithm and signature (base64url) of its private key, if it has one: a verifier
    /// that accepts the signature would accept a token.
    pub(crate) fn proof(&self, message: &[u8]) -> Option<(String, String)> {
        self.mechanism.jwt()?.proof(message)
    }

    /// Whether the key that signs its tokens has made this signature; `None` where they
    /// are not signed here, or are not JWTs.
    pub(crate) fn is_own_signature(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        Some(self.mechanism.jwt()?.is_own_signature(message, signature))
    }

    /// A digest over everything that can change the token.
    pub fn cache_key(&self, subject: &Subject<'_>) -> Digest {
        let session = subject.identity.packed();
        let field = |path: &JsonPath| Some(Cow::Owned(path.find(session)?.to_value()));
        let inputs = self.inputs.values(subject.inputs).map(|value| value.map(Cow::Borrowed));
        let parts = inputs.chain(self.fields.iter().map(field));
        self.fingerprint.key(self.cache, subject, parts)
    }

    /// Makes a token, or describes the call that does. If the exchange has a first call,
    /// that one is described.
    pub fn mint(&self, subject: &Subject<'_>, now: Now) -> Result<Minting, MintError> {
        self.mint_with(subject, now, &self.drawn()?)
    }

    /// Reads the answer to the first call that `mint` described.
    pub(crate) fn first_answered(
        &self,
        status: StatusCode,
        body: &Bytes,
        now: Now,
    ) -> Result<FirstAnswer, MintError> {
        let first = match &self.mechanism {
            Mechanism::Exchange(exchange) => exchange.first.as_ref(),
            Mechanism::Agora(_)
            | Mechanism::Hmac(_)
            | Mechanism::Jwt(_)
            | Mechanism::S3(_)
            | Mechanism::UserSig(_)
            | Mechanism::Zego(_) => None,
        };
        let Some(first) = first else {
            return Err(MintError::IssuerFailed("this token needs no first call".into()));
        };
        first.answer((status, body), &self.secrets, now.unix())
    }

    /// Describes the call for the token, which the first call's token allows.
    pub fn call_with(
        &self,
        subject: &Subject<'_>,
        first: &Secret,
        now: Now,
    ) -> Result<Call, MintError> {
        let Mechanism::Exchange(exchange) = &self.mechanism else {
            return Err(MintError::IssuerFailed("this token needs no issuer".into()));
        };
        let times = self.lifetime.times(subject.identity, now)?;
        let draws = self.drawn()?;
        let scope = Scope { first: first.text(), ..Scope::new(subject, times, &draws) };
        exchange.call(&scope)
    }

    /// The key under which the first call's answer is kept: it changes with the settings,
    /// never with the user.
    pub fn first_key(&self) -> Digest {
        self.fingerprint.of_first_call()
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
        let times = self.lifetime.times(subject.identity, now)?;
        let answer = exchange.answer((status, &body), &self.secrets, times.now)?;
        let draws = self.drawn()?;
        let times = Times { exp: answer.expires_at.or(times.exp), ..times };
        let scope = Scope { answer: Some(&answer.document), ..Scope::new(subject, times, &draws) };
        let (expires_at, usable_until) =
            self.lifetime.ends(&times, answer.expires_at, subject.identity);
        let uncut = self.lifetime.uncut(&times, answer.expires_at, subject.identity);
        let raw = RawToken { value: answer.token, answer: body, expires_at, usable_until, uncut };
        exchange.response.render(raw, &scope)
    }

    pub(super) fn mint_with(
        &self,
        subject: &Subject<'_>,
        now: Now,
        draws: &[String],
    ) -> Result<Minting, MintError> {
        self.inputs.check(subject.inputs, subject.identity)?;
        self.user_ids.check(subject.identity)?;
        let times = self.lifetime.times(subject.identity, now)?;
        let scope = Scope::new(subject, times, draws);
        let (expires_at, usable_until) = self.lifetime.ends(&times, None, subject.identity);
        let uncut = self.lifetime.uncut(&times, None, subject.identity);
        let raw = |value| RawToken { value, answer: Bytes::new(), expires_at, usable_until, uncut };
        let token = match &self.mechanism {
            Mechanism::Agora(agora) => agora.response.render(raw(agora.token(&scope)?), &scope),
            Mechanism::Exchange(exchange) => {
                return match &exchange.first {
                    Some(first) => first.call(&scope).map(Minting::First),
                    None => exchange.call(&scope).map(Minting::Call),
                };
            }
            Mechanism::Hmac(hmac) => {
                hmac.signed(&scope, |response, scope, value| response.render(raw(value), scope))
            }
            Mechanism::Jwt(jwt) => jwt.response.render(raw(jwt.token(&scope)?), &scope),
            Mechanism::S3(s3) => {
                let SignedRequest { url, fields } = s3.signed(&scope)?;
                s3.response.render(raw(url), &Scope { input: Some(&fields), ..scope })
            }
            Mechanism::UserSig(sig) => sig.response.render(raw(sig.token(&scope)?), &scope),
            Mechanism::Zego(zego) => zego.response.render(raw(zego.token(&scope)?), &scope),
        };
        token.map(Minting::Ready)
    }

    fn drawn(&self) -> Result<Vec<String>, MintError> {
        self.draws.iter().map(|_| uuid()).collect()
    }
}

/// A random UUID (RFC 9562, version 4), which every vendor accepts as `jti` or nonce.
fn uuid() -> Result<String, MintError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| MintError::Unavailable("no random bytes are available".into()))?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    Ok([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}
