//! One `[token.NAME]` table into a `Minter`: everything that says what the token
//! is, with every problem noted in one pass.

use std::cell::RefCell;

use http::Method;

use super::cache_key::Fingerprint;
use super::exchange::Exchange;
use super::hmac::Hmac;
use super::jwt::{Jwt, Signing};
use super::keys::{KeyShape, KeyTable};
use super::layered_table::Members;
use super::lifetime::Life;
use super::request_pattern::{CharSet, UserIds};
use super::response::Response;
use super::signer::Signer;
use super::statuses::Statuses;
use super::template::{Names, Params, Reads, SecretUse};
use crate::document::{At, FromNode, Node, OneOrMany};
use crate::mint::{CachePolicy, GrantHook, Inputs, Mechanism, Minter, PublicKey, Published};

/// Every member of a token or preset that is read here.
pub(super) const KNOWN: [&str; 51] = [
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
    "overlap",
    "params",
    "preset",
    "publish",
    "query",
    "request",
    "require",
    "reserved",
    "response",
    "secret",
    "secret_encoding",
    "sign",
    "spare",
    "statuses",
    "take",
    "timeout",
    "token",
    "ttl",
    "ttl_max",
    "ttl_min",
    "typ",
    "url",
    "user_id_chars",
    "user_id_max",
    "uuids",
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
    let mut keys = KeyShape::read(members, kind).resolve(members);
    let published = match kind {
        Kind::Jwt => published(members, &mut keys),
        Kind::Exchange | Kind::Hmac => Published::default(),
    };
    let has_grant = members.own("grant").is_some();
    let inputs = Inputs::read(members, has_grant);
    let life = Life::read(members);
    let user_ids = UserIds {
        chars: members.get("user_id_chars"),
        longest: members.get("user_id_max").unwrap_or(usize::MAX),
    };
    let methods = methods(members);
    let statuses = Statuses::read(members);
    let cache = members.get("cache").unwrap_or(CachePolicy::Never);
    let reads = RefCell::new(Reads::default());
    let names = Names {
        token: &token,
        keys: keys.first()?,
        inputs: &inputs,
        has_grant,
        has_ttl: life.has_ttl(),
        safe_user_id: user_ids.chars.as_ref().is_some_and(CharSet::is_safe),
        params: None,
        variables: &[],
        made: &[],
        secrets: SecretUse::Forbidden,
        reads: &reads,
    };
    let grant = GrantHook::read(members, &Names { has_grant: false, ..names });
    let mechanism = mechanism(kind, members, &names)?;
    if let Mechanism::Jwt(jwt, _) = &mechanism {
        check_names_key(jwt, &keys, &published, &token);
    }
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
        user_ids,
        draws: reads.draws,
        fields: reads.session.into_iter().collect(),
        keys: keys.iter().map(|key| key.kid().map(str::to_owned)).collect(),
        published,
        statuses,
        fingerprint,
    })
}

/// The mechanism with the operator's parameters put in.
fn mechanism(
    kind: Kind,
    members: &mut Members<'_, '_, '_>,
    names: &Names<'_>,
) -> Option<Mechanism> {
    let own = members.own("params");
    let params = Params::read(own.as_ref(), members.inherited("params").as_ref(), names);
    let names = Names { params: Some(&params), ..*names };
    let read = Mechanism::read(kind, members, &names)?;
    tolerate(members, names.keys, &params);
    params.report_unused(own.as_ref());
    if let Some(at) = members.own("key") {
        names.keys.report_unused(&at);
    }
    Some(read)
}

impl Mechanism {
    fn read(kind: Kind, members: &mut Members<'_, '_, '_>, names: &Names<'_>) -> Option<Self> {
        Some(match kind {
            Kind::Exchange => Self::Exchange(Box::new(Exchange::read(members, names)?)),
            Kind::Hmac => Self::Hmac(Box::new(Hmac::read(members, names)?)),
            Kind::Jwt => {
                let (jwt, response) = jwt(members, names)?;
                Self::Jwt(Box::new(jwt), response)
            }
        })
    }
}

fn jwt(members: &mut Members<'_, '_, '_>, names: &Names<'_>) -> Option<(Jwt, Response)> {
    let signing = Signing::read(members);
    let jwt = Jwt::read(members, &signing, names);
    if !names.has_ttl {
        names.token.problem("`ttl` is missing; write how long a token lives, such as \"1h\"");
    }
    let cookie_path: Option<String> = members.get("cookie_path");
    let answered = Names { made: &["token"], ..*names };
    let response = members.need("response", "response = { token = \"{token}\" }");
    let response = response.and_then(|at| Response::read(&at, cookie_path.as_deref(), &answered));
    Some((jwt?, response?))
}

/// The public halves of the keys marked `publish`, on the token or on the key. A
/// key without a name gets one here, before templates ask for `{key.kid}`.
fn published(members: &mut Members<'_, '_, '_>, keys: &mut [KeyTable]) -> Published {
    let every = members.get("publish").unwrap_or(false);
    keys.iter().for_each(|key| key.tolerate("publish"));
    let overlap = members.take("overlap");
    let mut published =
        Published { keys: Vec::new(), overlap: overlap.as_ref().and_then(|at| at.read()) };
    if !keys.iter().any(|key| key.publish.unwrap_or(every)) {
        if let Some(at) = overlap {
            at.problem("`overlap` is for published keys; add `publish = true`");
        }
        return published;
    }
    let (signing, token) = (Signing::read(members), members.token().clone());
    for key in keys.iter_mut().filter(|key| key.publish.unwrap_or(every)) {
        let algorithm = signing.algorithm(key, &token);
        let signer = algorithm.and_then(|algorithm| signing.signer(algorithm, key, &token));
        match signer {
            Some(Signer::Private(private)) => {
                let public = PublicKey::of(&private, key.kid());
                if key.kid().is_none() {
                    key.call(public.kid());
                }
                key.tolerate("kid");
                published.keys.push(public);
            }
            Some(Signer::Shared(_)) => token.problem(
                "`publish = true` needs a private key; a shared secret is never published",
            ),
            None => {}
        }
    }
    published
}

/// Whoever reads several published keys must be told which one signed.
fn check_names_key(jwt: &Jwt, keys: &[KeyTable], published: &Published, token: &At<'_>) {
    let Some(kid) = keys.first().and_then(KeyTable::kid) else { return };
    let is_published = published.keys.iter().any(|key| key.kid() == kid);
    if is_published && !jwt.names_key(kid) {
        token.problem(
            "the key is published, but tokens do not say which key signed them; write \
             header = { kid = \"{key.kid}\" }",
        );
    }
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
