//! Making tokens: from a verified session to what a vendor's client expects.
//!
//! A `Minter` is one `[token.NAME]` table, compiled: templates parsed, keys
//! ready to sign, every name settled. It is pure: session, request inputs,
//! grants and the time in; a token, a refusal, or the description of one HTTP
//! call out. Vendors are data (`presets.toml`); only three mechanisms are code.

mod cache_key;
mod error;
mod exchange;
mod grant;
mod hmac;
mod inputs;
mod json;
mod jwt;
mod key_text;
mod keys;
mod life;
mod members;
mod pattern;
mod preset;
mod response;
mod signer;
mod template;
#[cfg(test)]
mod tests;
mod token;

use std::cell::RefCell;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::clock::Now;
use crate::document::{At, FromNode, OneOrMany, Table};
use crate::session::Identity;

pub use error::MintError;
pub use grant::GrantHook;
pub use inputs::Inputs;
pub use preset::Presets;
pub use token::{Call, Minting, Token};

use cache_key::Fingerprint;
use exchange::Exchange;
use hmac::Hmac;
use jwt::{Jwt, Signing};
use keys::{KeyShape, KeyTable};
use life::{Life, Times};
use members::Members;
use pattern::CharSet;
use response::{Made, Response};
use signer::Signer;
use template::{Names, Params, Reads, Scope, SecretUse};

/// One `[token.NAME]`, ready to mint.
pub struct Minter {
    mechanism: Mechanism,
    life: Life,
    inputs: Inputs,
    grant: Option<GrantHook>,
    methods: Vec<Method>,
    cache: CachePolicy,
    user_id_chars: Option<CharSet>,
    /// Names of the random texts each token draws.
    draws: Vec<String>,
    /// Session fields the templates and patterns read.
    fields: Vec<Vec<String>>,
    published: Vec<Value>,
    fingerprint: Fingerprint,
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

/// Every member of a token or preset that is read here.
const KNOWN: [&str; 46] = [
    "alg",
    "alg_from",
    "backdate",
    "body",
    "cache",
    "claims",
    "cookie_path",
    "encode",
    "exp_from",
    "grant",
    "hash",
    "hash_from",
    "header",
    "headers",
    "inputs",
    "key",
    "key_from",
    "key_split",
    "kind",
    "method",
    "methods",
    "min_left",
    "mode",
    "params",
    "preset",
    "publish",
    "query",
    "request",
    "require",
    "response",
    "secret",
    "secret_encoding",
    "sign",
    "spare",
    "take",
    "timeout",
    "token",
    "ttl",
    "ttl_max",
    "ttl_min",
    "typ",
    "url",
    "user_id_chars",
    "variants",
    "vars",
    "wrap",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exchange,
    Hmac,
    Jwt,
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
        let minter = Self::from_members(name, &mut members, settings);
        if minter.is_none() {
            // What was not reached must not be reported as unknown.
            KNOWN.iter().for_each(|key| drop(members.take(key)));
        }
        members.finish();
        minter
    }

    fn from_members(
        name: &str,
        members: &mut Members<'_, '_, '_>,
        settings: [Option<&crate::document::Node>; 2],
    ) -> Option<Self> {
        let token = members.token().clone();
        let kind = members.need("kind", "kind = \"jwt\"")?.read()?;
        let shape = KeyShape::read(members, kind);
        let keys = shape.resolve(members);
        let has_grant = members.own("grant").is_some();
        let grant = GrantHook::read(members);
        let inputs = Inputs::read(members, has_grant);
        let life = Life::read(members);
        let user_id_chars: Option<CharSet> = members.get("user_id_chars");
        let reads = RefCell::new(Reads::default());
        let first = keys.first()?;
        let bare = Names {
            token: &token,
            keys: first,
            inputs: &inputs,
            has_grant,
            has_ttl: life.has_ttl(),
            safe_user_id: user_id_chars.as_ref().is_some_and(CharSet::is_safe),
            params: None,
            variables: &[],
            made: &[],
            secrets: SecretUse::Forbidden,
            reads: &reads,
        };
        let params_at = members.own("params");
        let params = Params::read(params_at.as_ref(), members.inherited("params").as_ref(), &bare);
        let names = Names { params: Some(&params), ..bare };
        let (mechanism, published) = Mechanism::read(kind, members, &keys, &names)?;
        tolerate(members, first, &params);
        params.report_unused(params_at.as_ref());
        if let Some(at) = members.own("key") {
            first.report_unused(&at);
        }
        let Reads { mut session, draws } = reads.into_inner();
        session.extend(inputs.fields().map(<[String]>::to_vec));
        let methods = members
            .take("methods")
            .map_or_else(|| Some(vec![Method::GET, Method::POST]), |at| methods(&at));
        let cache = members.get("cache").unwrap_or(CachePolicy::Never);
        let digests = keys.iter().take(1).flat_map(KeyTable::digests);
        let fingerprint = Fingerprint::new(name, settings.into_iter().flatten(), digests);
        Some(Self {
            mechanism,
            life,
            inputs,
            grant,
            methods: methods?,
            cache,
            user_id_chars,
            draws,
            fields: session.into_iter().collect(),
            published,
            fingerprint,
        })
    }

    /// The methods the endpoint answers.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub fn cache(&self) -> CachePolicy {
        self.cache
    }

    /// The request inputs to collect before minting.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The question to ask the app before minting.
    pub fn grant(&self) -> Option<&GrantHook> {
        self.grant.as_ref()
    }

    /// Public keys to publish, as JWKs: the signing one and its predecessors.
    pub fn jwks(&self) -> &[Value] {
        &self.published
    }

    /// A digest over everything that can change the token.
    pub fn cache_key(&self, subject: &Subject<'_>) -> [u8; 32] {
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
        pattern::check_user_id(self.user_id_chars.as_ref(), subject.identity)?;
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

impl Mechanism {
    /// The mechanism, and the public keys it publishes.
    fn read(
        kind: Kind,
        members: &mut Members<'_, '_, '_>,
        keys: &[KeyTable],
        names: &Names<'_>,
    ) -> Option<(Self, Vec<Value>)> {
        let mechanism = match kind {
            Kind::Exchange => Self::Exchange(Box::new(Exchange::read(members, names)?)),
            Kind::Hmac => Self::Hmac(Box::new(Hmac::read(members, names)?)),
            Kind::Jwt => {
                let signing = Signing::read(members);
                let jwt = Jwt::read(members, &signing, names);
                if !names.has_ttl {
                    names
                        .token
                        .problem("`ttl` is missing; write how long a token lives, such as \"1h\"");
                }
                let cookie_path: Option<String> = members.get("cookie_path");
                let answered = Names { made: &["token"], ..*names };
                let response = members.need("response", "response = { token = \"{token}\" }");
                let response =
                    response.and_then(|at| Response::read(&at, cookie_path.as_deref(), &answered));
                let published = match members.get("publish").unwrap_or(false) {
                    true => published(&signing, keys, names.token)?,
                    false => Vec::new(),
                };
                return Some((Self::Jwt(Box::new(jwt?), response?), published));
            }
        };
        Some((mechanism, Vec::new()))
    }
}

/// The public halves of all keys. A shared secret has none.
fn published(signing: &Signing, keys: &[KeyTable], token: &At<'_>) -> Option<Vec<Value>> {
    let mut jwks = Vec::new();
    for keys in keys {
        let algorithm = signing.algorithm(keys, token)?;
        let Signer::Private(private) = signing.signer(algorithm, keys, token)? else {
            token.problem(
                "`publish = true` needs a private key; a shared secret is never published",
            );
            return None;
        };
        let Some(kid) = keys.public("kid").or_else(|| keys.public("key_id")) else {
            token.problem("`key.kid` is missing; a published key needs a name");
            return None;
        };
        jwks.push(private.public_jwk(kid));
    }
    Some(jwks)
}

/// `spare = ["key.api_key"]`: what vendors hand out together with the key, so
/// that people give it too, although nothing uses it.
fn tolerate(members: &mut Members<'_, '_, '_>, keys: &KeyTable, params: &Params) {
    for name in members.get::<Vec<String>>("spare").unwrap_or_default() {
        match name.split_once('.') {
            Some(("key", member)) => keys.tolerate(member),
            Some(("param", param)) => params.tolerate(param),
            Some(_) | None => {}
        }
    }
}

fn methods(at: &At<'_>) -> Option<Vec<Method>> {
    let names = OneOrMany::<String>::read(at)?.0;
    let known = ["GET", "POST", "PUT"];
    if names.is_empty() || names.iter().any(|name| !known.contains(&name.as_str())) {
        at.problem("expected a list of \"GET\", \"POST\" or \"PUT\"");
        return None;
    }
    names.iter().map(|name| Method::from_bytes(name.as_bytes()).ok()).collect()
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

impl FromNode for Kind {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""jwt", "hmac" or "exchange""#;
        match at.text(EXPECTED)? {
            "exchange" => Some(Self::Exchange),
            "hmac" => Some(Self::Hmac),
            "jwt" => Some(Self::Jwt),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

impl FromNode for CachePolicy {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""never", "user" or "global""#;
        match at.text(EXPECTED)? {
            "global" => Some(Self::Global),
            "never" => Some(Self::Never),
            "user" => Some(Self::User),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
