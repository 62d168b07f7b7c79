//! Tokens that are JWTs, signed with a shared secret or a private key.
//!
//! Header and claims are those of the template and no others: some verifiers refuse
//! members they do not know. The JSON is written here and the joined parts are signed:
//! the text stays readable for `atob`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::signing::Signing;
use crate::base::json_path::JsonPath;
use crate::document::At;
use crate::mint::error::MintError;
use crate::mint::json::atob_safe;
use crate::mint::key::Signer;
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, Template};

pub(in crate::mint) struct Jwt {
    signer: Signer,
    header: Header,
    claims: Template,
    /// Claims the vendor reserves.
    reserved: Vec<JsonPath>,
    pub(in crate::mint) response: Response,
}

enum Header {
    /// The same in every token, so encoded once, with its `kid`.
    Fixed(String, Option<String>),
    Template {
        start: Map<String, Value>,
        rest: Template,
    },
}

impl Header {
    /// `extra` is what the settings add to `alg` and `typ`; an empty `typ` is left out.
    fn new(algorithm: Algorithm, typ: String, extra: Template) -> Self {
        let mut start = Map::new();
        start.insert("alg".to_owned(), format!("{algorithm:?}").into());
        if !typ.is_empty() {
            start.insert("typ".to_owned(), typ.into());
        }
        match extra.fixed() {
            Some(extra) => {
                let kid = extra.get("kid").and_then(Value::as_str).map(str::to_owned);
                Self::Fixed(encoded_header(start, extra), kid)
            }
            None => Self::Template { start, rest: extra },
        }
    }
}

impl Jwt {
    /// Signatures with RSA cost a thousand times as much as others.
    pub(super) fn signs_with_rsa(&self) -> bool {
        self.signer.is_rsa()
    }

    /// The algorithm and signature (base64url) of a private key.
    pub(in crate::mint) fn proof(&self, message: &[u8]) -> Option<(String, String)> {
        match &self.signer {
            Signer::Private(key) => {
                let signature = self.signer.sign(message).ok()?;
                Some((key.algorithm(), URL_SAFE_NO_PAD.encode(signature)))
            }
            Signer::Shared(_) => None,
        }
    }

    /// Whether its key has made this signature.
    pub(in crate::mint) fn is_own_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        self.signer.verifies(message, signature)
    }

    pub(in crate::mint) const KEYS: [&str; 5] = ["claims", "header", "reserved", "response", "typ"];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let signing = Signing::from_members(members);
        let algorithm = signing.algorithm(names.keys, names.token);
        let signer = algorithm.and_then(|chosen| signing.signer(chosen, names.keys, names.token));
        let typ = members.get::<String>("typ").unwrap_or_else(|| "JWT".to_owned());
        let extra_header = match members.take("header") {
            Some(at) => template::value(&at, names),
            None => Some(Template::Fixed(Value::Object(Map::new()))),
        };
        let claims = members.need("claims", "claims = { sub = \"{session.user_id}\", … }");
        let claims = claims.and_then(|at| template::value(&at, names));
        let reserved = reserved(members, claims.as_ref(), names.token);
        names.need_ttl();
        let response = Response::from_members(members, &Names { made: &["token"], ..*names });
        Some(Self {
            signer: signer?,
            header: Header::new(algorithm?, typ, extra_header?),
            claims: claims?,
            reserved,
            response: response?,
        })
    }

    /// Whether every token names this key as its signer, as far as the settings show.
    pub(super) fn names_key(&self, kid: &str) -> bool {
        match &self.header {
            Header::Fixed(_, named) => named.as_deref() == Some(kid),
            Header::Template { rest, .. } => rest.descend(&["kid".to_owned()]).is_some(),
        }
    }

    /// The `iss` of the tokens, where it is always the same.
    pub(in crate::mint) fn issuer(&self) -> Option<String> {
        let claim = self.claims.descend(&["iss".to_owned()])?;
        Some(claim.fixed()?.as_str()?.to_owned())
    }

    /// Signs a token.
    pub(in crate::mint) fn token(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let mut token = match &self.header {
            Header::Fixed(encoded, _) => encoded.clone(),
            Header::Template { start, rest } => {
                encoded_header(start.clone(), &*rest.needed(scope)?)
            }
        };
        token.push('.');
        let claims = self.claims.needed(scope)?;
        if self.reserved.iter().any(|path| path.find(&*claims).is_some()) {
            return Err(MintError::not_allowed("a claim is set that the vendor reserves"));
        }
        URL_SAFE_NO_PAD.encode_string(atob_safe(&claims), &mut token);
        let signature = self.signer.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// `reserved = ["claims.aud"]`: paths in the claims that no token may have.
fn reserved(
    members: &mut LayeredTable<'_, '_, '_>,
    claims: Option<&Template>,
    token: &At<'_>,
) -> Vec<JsonPath> {
    let listed: Vec<String> = members.get("reserved").unwrap_or_default();
    let paths: Vec<_> = listed.iter().map(|text| JsonPath::from_dotted(text)).collect();
    for (path, text) in paths.iter().zip(&listed) {
        if claims.is_some_and(|claims| claims.writes(path)) {
            token.problem(format!("the vendor reserves the claim `{text}`; remove it"));
        }
    }
    paths
}

fn encoded_header(mut header: Map<String, Value>, rest: &Value) -> String {
    for (name, value) in rest.as_object().into_iter().flatten() {
        header.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    URL_SAFE_NO_PAD.encode(atob_safe(&Value::Object(header)))
}
