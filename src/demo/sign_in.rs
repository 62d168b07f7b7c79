//! The user of the sample app: the login form and the session cookie.
//!
//! The cookie is an HS256 JWT, the simplest session an app can have, under a
//! secret that lives as long as the demo. The gateway verifies the same cookie
//! by itself (`kind = "jwt"`); the two share nothing but the secret.

use http::HeaderMap;
use http::header::COOKIE;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::settings::COOKIE_NAME;
use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::text::{hex, percent_decode};
use crate::session::cookie::{Cookies, Duplicate};

/// One hour: longer than any demo.
const SESSION_SECONDS: u64 = 60 * 60;
const MAX_NAME: usize = 40;

/// A visitor who has signed in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) id: String,
    pub(super) name: String,
}

/// Writes and reads the session cookie.
#[derive(Debug)]
pub(super) struct Sessions {
    secret: Secret,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    name: String,
    iat: u64,
    exp: u64,
}

impl Visitor {
    /// The visitor a login form names, if it names one.
    pub(super) fn from_form(form: &[u8]) -> Option<Self> {
        let value = form.split(|&b| b == b'&').find_map(|field| field.strip_prefix(b"name="))?;
        let spaced: Vec<u8> = value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        let decoded = percent_decode(&spaced);
        let name = std::str::from_utf8(&decoded).ok()?.trim();
        let fits = (1..=MAX_NAME).contains(&name.chars().count());
        (fits && !name.chars().any(char::is_control))
            .then(|| Self { id: id_for(name), name: name.to_owned() })
    }
}

/// `Ada Lovelace` becomes `ada-lovelace`: an id that fits a header and a token.
/// A name that loses letters on the way keeps a digest, so `Zoë` is not `Zoé`.
fn id_for(name: &str) -> String {
    let slug = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().map(slug).collect();
    let words: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.".contains(c);
    if !words.is_empty() && name.chars().all(plain) {
        return words.join("-");
    }
    let digest = hex(Digest::new(name.as_bytes()).bytes());
    let mark = digest.get(..6).unwrap_or_default();
    [words, vec![mark]].concat().join("-")
}

impl Sessions {
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret }
    }

    /// The `Set-Cookie` value that signs `visitor` in.
    pub(super) fn sign_in_cookie(&self, visitor: &Visitor, now: Now) -> Option<String> {
        let claims = Claims {
            sub: visitor.id.clone(),
            name: visitor.name.clone(),
            iat: now.unix(),
            exp: now.unix().saturating_add(SESSION_SECONDS),
        };
        let key = EncodingKey::from_secret(self.secret.bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).ok()?;
        Some(set_cookie(&token, SESSION_SECONDS))
    }

    /// The visitor whose unexpired session the request carries. Two different
    /// session cookies count as none: the gateway might have picked the other.
    pub(super) fn visitor(&self, headers: &HeaderMap, now: Now) -> Option<Visitor> {
        let fields: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(|f| f.as_bytes()).collect();
        let line = fields.join(b"; ".as_slice());
        let cookie = Cookies::new(&line).get(COOKIE_NAME.as_bytes(), Duplicate::Reject).ok()??;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.validate_exp = false; // jsonwebtoken would ask the system for the time
        let key = DecodingKey::from_secret(self.secret.bytes());
        let claims = jsonwebtoken::decode::<Claims>(cookie, &key, &rules).ok()?.claims;
        (now.unix() < claims.exp).then_some(Visitor { id: claims.sub, name: claims.name })
    }
}

/// The `Set-Cookie` value that ends the session.
pub(super) fn sign_out_cookie() -> String {
    set_cookie("", 0)
}

fn set_cookie(value: &str, max_age: u64) -> String {
    format!("{COOKIE_NAME}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax")
}
