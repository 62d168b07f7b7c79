//! One `[token.NAME]` table into a `Minter`: everything that says what the token
//! is, with every problem noted in one pass.

use std::cell::RefCell;

use http::Method;
use serde_json::Value;

use super::cache_key::Fingerprint;
use super::exchange::Exchange;
use super::hmac::Hmac;
use super::jwt::{Jwt, Signing};
use super::keys::{KeyShape, KeyTable};
use super::life::Life;
use super::members::Members;
use super::pattern::CharSet;
use super::response::Response;
use super::signer::Signer;
use super::template::{Names, Params, Reads, SecretUse};
use super::{CachePolicy, GrantHook, Inputs, Mechanism, Minter};
use crate::document::{At, FromNode, Node, OneOrMany};

/// Every member of a token or preset that is read here.
pub(super) const KNOWN: [&str; 46] = [
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
pub(super) enum Kind {
    Exchange,
    Hmac,
    Jwt,
}

pub(super) fn minter(
    name: &str,
    members: &mut Members<'_, '_, '_>,
    settings: [Option<&Node>; 2],
) -> Option<Minter> {
    let token = members.token().clone();
    let kind = members.need("kind", "kind = \"jwt\"")?.read()?;
    let keys = KeyShape::read(members, kind).resolve(members);
    let has_grant = members.own("grant").is_some();
    let grant = GrantHook::read(members);
    let inputs = Inputs::read(members, has_grant);
    let life = Life::read(members);
    let user_id_chars: Option<CharSet> = members.get("user_id_chars");
    let methods = methods(members);
    let cache = members.get("cache").unwrap_or(CachePolicy::Never);
    let reads = RefCell::new(Reads::default());
    let names = Names {
        token: &token,
        keys: keys.first()?,
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
    let (mechanism, published) = mechanism(kind, members, &keys, &names)?;
    let mut reads = reads.into_inner();
    reads.session.extend(inputs.fields().map(<[String]>::to_vec));
    if cache == CachePolicy::Global && (reads.user_id || !reads.session.is_empty()) {
        token.problem(
            "`cache = \"global\"` hands one token to everyone, but a template reads the session; \
             write cache = \"user\"",
        );
    }
    let digests = keys.iter().take(1).flat_map(KeyTable::digests);
    let fingerprint = Fingerprint::new(name, settings.into_iter().flatten(), digests);
    Some(Minter {
        mechanism,
        life,
        inputs,
        grant,
        methods: methods?,
        cache,
        user_id_chars,
        draws: reads.draws,
        fields: reads.session.into_iter().collect(),
        published,
        fingerprint,
    })
}

/// The mechanism with the operator's parameters put in, and the keys to publish.
fn mechanism(
    kind: Kind,
    members: &mut Members<'_, '_, '_>,
    keys: &[KeyTable],
    names: &Names<'_>,
) -> Option<(Mechanism, Vec<Value>)> {
    let own = members.own("params");
    let params = Params::read(own.as_ref(), members.inherited("params").as_ref(), names);
    let names = Names { params: Some(&params), ..*names };
    let read = Mechanism::read(kind, members, keys, &names)?;
    tolerate(members, names.keys, &params);
    params.report_unused(own.as_ref());
    if let Some(at) = members.own("key") {
        names.keys.report_unused(&at);
    }
    Some(read)
}

impl Mechanism {
    fn read(
        kind: Kind,
        members: &mut Members<'_, '_, '_>,
        keys: &[KeyTable],
        names: &Names<'_>,
    ) -> Option<(Self, Vec<Value>)> {
        let mechanism = match kind {
            Kind::Exchange => Self::Exchange(Box::new(Exchange::read(members, names)?)),
            Kind::Hmac => Self::Hmac(Box::new(Hmac::read(members, names)?)),
            Kind::Jwt => return jwt(members, keys, names),
        };
        Some((mechanism, Vec::new()))
    }
}

fn jwt(
    members: &mut Members<'_, '_, '_>,
    keys: &[KeyTable],
    names: &Names<'_>,
) -> Option<(Mechanism, Vec<Value>)> {
    let signing = Signing::read(members);
    let jwt = Jwt::read(members, &signing, names);
    if !names.has_ttl {
        names.token.problem("`ttl` is missing; write how long a token lives, such as \"1h\"");
    }
    let cookie_path: Option<String> = members.get("cookie_path");
    let answered = Names { made: &["token"], ..*names };
    let response = members.need("response", "response = { token = \"{token}\" }");
    let response = response.and_then(|at| Response::read(&at, cookie_path.as_deref(), &answered));
    let published = match members.get("publish") {
        Some(true) => published(&signing, keys, names.token)?,
        Some(false) | None => Vec::new(),
    };
    Some((Mechanism::Jwt(Box::new(jwt?), response?), published))
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

/// The preset's methods or the token's, else GET and POST.
fn methods(members: &mut Members<'_, '_, '_>) -> Option<Vec<Method>> {
    let Some(at) = members.take("methods") else { return Some(vec![Method::GET, Method::POST]) };
    let names = OneOrMany::<String>::read(&at)?.0;
    let known = ["GET", "POST", "PUT"];
    if names.is_empty() || names.iter().any(|name| !known.contains(&name.as_str())) {
        at.problem("expected a list of \"GET\", \"POST\" or \"PUT\"");
        return None;
    }
    names.iter().map(|name| Method::from_bytes(name.as_bytes()).ok()).collect()
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
