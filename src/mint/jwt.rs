//! Tokens that are JWTs, signed with a shared secret or a private key.
//!
//! Header and claims say what the template says and nothing else: some
//! verifiers refuse members they do not know. The JSON is written here and the
//! joined parts are signed, so that the text stays readable for `atob`.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde_json::{Map, Value};

use super::keys::KeyTable;
use super::layered_table::Members;
use super::signer::Signer;
use super::template::{self, Names, Scope, Template};
use crate::base::secret::Secret;
use crate::base::text::from_hex;
use crate::document::{At, FromNode};
use crate::mint::{MintError, json, key_text};

pub(super) struct Jwt {
    signer: Signer,
    header: Header,
    claims: Template,
    /// Claims the vendor keeps for itself.
    reserved: Vec<Vec<String>>,
}

enum Header {
    /// The same in every token: encoded once; and the `kid` it holds.
    Fixed(String, Option<String>),
    Template {
        start: Map<String, Value>,
        rest: Template,
    },
}

/// How a shared secret is written down.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Base64,
    Base64Url,
    Hex,
    Utf8,
}

/// The settings that choose algorithm and key.
pub(super) struct Signing {
    fallback: Option<Algorithm>,
    from_key: bool,
    encoding: Encoding,
}

impl Jwt {
    pub(super) fn read(
        members: &mut Members<'_, '_, '_>,
        signing: &Signing,
        names: &Names<'_>,
    ) -> Option<Self> {
        let algorithm = signing.algorithm(names.keys, names.token);
        let signer = algorithm.and_then(|chosen| signing.signer(chosen, names.keys, names.token));
        let typ: Option<String> = members.get("typ");
        let header = members.take("header").map(|at| template::value(&at, names));
        let claims = members.need("claims", "claims = { sub = \"{session.user_id}\", … }");
        let claims = claims.and_then(|at| template::value(&at, names));
        let reserved = reserved(members, claims.as_ref(), names.token);
        let header = match header {
            Some(header) => header?,
            None => Template::Fixed(Value::Object(Map::new())),
        };
        let mut start = Map::new();
        start.insert("alg".to_owned(), format!("{:?}", algorithm?).into());
        let typ = typ.unwrap_or_else(|| "JWT".to_owned());
        if !typ.is_empty() {
            start.insert("typ".to_owned(), typ.into());
        }
        let header = match header.fixed() {
            Some(rest) => {
                let kid = rest.get("kid").and_then(Value::as_str).map(str::to_owned);
                Header::Fixed(encoded_header(start, rest), kid)
            }
            None => Header::Template { start, rest: header },
        };
        Some(Self { signer: signer?, header, claims: claims?, reserved })
    }

    /// Whether every token says that the key of this name signed it, as far as the
    /// settings tell.
    pub(super) fn names_key(&self, kid: &str) -> bool {
        match &self.header {
            Header::Fixed(_, named) => named.as_deref() == Some(kid),
            Header::Template { rest, .. } => rest.descend(&["kid".to_owned()]).is_some(),
        }
    }

    /// Who the tokens say issued them, where they all say the same.
    pub(super) fn issuer(&self) -> Option<String> {
        let claim = self.claims.descend(&["iss".to_owned()])?;
        Some(claim.fixed()?.as_str()?.to_owned())
    }

    /// The token's text.
    pub(super) fn token(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let mut token = match &self.header {
            Header::Fixed(encoded, _) => encoded.clone(),
            Header::Template { start, rest } => {
                encoded_header(start.clone(), &*rest.needed(scope)?)
            }
        };
        token.push('.');
        let claims = self.claims.needed(scope)?;
        if self.reserved.iter().any(|path| template::walk(&claims, path).is_some()) {
            return Err(MintError::not_allowed("a claim is set that the vendor keeps for itself"));
        }
        URL_SAFE_NO_PAD.encode_string(json::atob_safe(&claims), &mut token);
        let signature = self.signer.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// `reserved = ["claims.aud"]`: paths in the claims that a token may not have.
fn reserved(
    members: &mut Members<'_, '_, '_>,
    claims: Option<&Template>,
    token: &At<'_>,
) -> Vec<Vec<String>> {
    let listed: Vec<String> = members.get("reserved").unwrap_or_default();
    let path = |text: &String| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let paths: Vec<_> = listed.iter().map(path).collect();
    for (path, text) in paths.iter().zip(&listed) {
        if claims.is_some_and(|claims| claims.writes(path)) {
            token.problem(format!(
                "the claim `{text}` is one the vendor keeps for itself; remove it"
            ));
        }
    }
    paths
}

fn encoded_header(mut header: Map<String, Value>, rest: &Value) -> String {
    for (name, value) in rest.as_object().into_iter().flatten() {
        header.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    URL_SAFE_NO_PAD.encode(json::atob_safe(&Value::Object(header)))
}

impl Signing {
    pub(super) fn read(members: &mut Members<'_, '_, '_>) -> Self {
        let fallback = members.need("alg", "alg = \"HS256\"").and_then(|at| named(&at));
        let alg_from = members.take("alg_from");
        let from_key = alg_from.as_ref().is_some_and(|at| {
            let known = at.text("\"key.alg\"") == Some("key.alg");
            if !known {
                at.wrong("\"key.alg\", the only place an algorithm is read from");
            }
            known
        });
        let encoding = members.get("secret_encoding").unwrap_or(Encoding::Utf8);
        Self { fallback, from_key, encoding }
    }

    /// The algorithm of this key: what it says itself where that counts, else the
    /// preset's, else the first one that a private key is made for.
    pub(super) fn algorithm(&self, keys: &KeyTable, token: &At<'_>) -> Option<Algorithm> {
        if !self.from_key {
            return self.fallback;
        }
        let Some(name) = keys.public("alg") else {
            let (_, secret) = keys.signing()?;
            return fitting(secret, self.fallback?);
        };
        let algorithm = Algorithm::from_str(name).ok();
        if algorithm.is_none() {
            token.problem(format!("`key.alg` is no signature algorithm, expected {ALGORITHMS}"));
        }
        algorithm
    }

    pub(super) fn signer(
        &self,
        algorithm: Algorithm,
        keys: &KeyTable,
        token: &At<'_>,
    ) -> Option<Signer> {
        let (name, secret) = keys.signing()?;
        let secret = match algorithm.family() {
            // Whoever has the public half would make tokens with it.
            AlgorithmFamily::Hmac if key_text::is_pem(secret) => None,
            AlgorithmFamily::Hmac => self.encoding.decode(secret),
            _ => Some(secret.clone()),
        };
        let signer = secret.and_then(|secret| Signer::new(algorithm, &secret));
        if signer.is_none() {
            token.problem(format!(
                "`key.{name}` is no key for {algorithm:?} (the value is not repeated here); \
                 expected {}",
                expected(algorithm)
            ));
        }
        signer
    }
}

/// `usual`, unless the secret is a private key of another kind.
fn fitting(secret: &Secret, usual: Algorithm) -> Option<Algorithm> {
    const OTHERS: [Algorithm; 4] =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    if key_text::unwrap(secret).is_none() {
        return Some(usual);
    }
    let usual_first = std::iter::once(usual).chain(OTHERS);
    let mut private = usual_first.filter(|chosen| chosen.family() != AlgorithmFamily::Hmac);
    private.find(|&chosen| Signer::new(chosen, secret).is_some()).or(Some(usual))
}

impl Encoding {
    /// The bytes of a secret that is written in this encoding.
    pub(super) fn decode(self, secret: &Secret) -> Option<Secret> {
        let text = || secret.text().map(|text| text.trim_end_matches('='));
        match self {
            Self::Base64 => STANDARD.decode(secret.bytes()).ok().map(Secret::new),
            Self::Base64Url => URL_SAFE_NO_PAD.decode(text()?).ok().map(Secret::new),
            Self::Hex => from_hex(secret.bytes()).map(Secret::new),
            Self::Utf8 => Some(secret.clone()),
        }
    }
}

impl FromNode for Encoding {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""utf8", "hex", "base64" or "base64url""#;
        match at.text(EXPECTED)? {
            "base64" => Some(Self::Base64),
            "base64url" => Some(Self::Base64Url),
            "hex" => Some(Self::Hex),
            "utf8" => Some(Self::Utf8),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

const ALGORITHMS: &str = "one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, \
                          ES256, ES384, EdDSA";

fn named(at: &At<'_>) -> Option<Algorithm> {
    let name = at.text(ALGORITHMS)?;
    let algorithm = Algorithm::from_str(name).ok();
    if algorithm.is_none() {
        at.wrong(ALGORITHMS);
    }
    algorithm
}

fn expected(algorithm: Algorithm) -> &'static str {
    match algorithm.family() {
        AlgorithmFamily::Hmac => {
            "a shared secret in the encoding the preset names; a PEM key signs with `alg` \
             \"RS256\", \"ES256\" or \"EdDSA\""
        }
        AlgorithmFamily::Ec => "an EC private key of its curve, as PEM or JWK",
        AlgorithmFamily::Ed => "an Ed25519 private key, as PEM or JWK",
        AlgorithmFamily::Rsa => {
            "an RSA private key of at least 2048 bits, as PEM, base64 of a PEM, JWK or \
             service-account JSON"
        }
    }
}
