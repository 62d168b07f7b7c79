//! A JWT taken apart, without believing it: header, claims, and what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

pub(super) struct Jwt<'t> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    /// `None` if the text is not a signed JWT.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = object(header)?;
        if !header.contains_key("alg") {
            return None;
        }
        Some(Self { header, claims: object(claims)?, signed, signature: decoded(signature)? })
    }

    /// A claim that is a time, in whole seconds.
    pub(super) fn time(&self, claim: &str) -> Option<u64> {
        let value = self.claims.get(claim)?;
        value.as_u64().or_else(|| {
            let number = value.as_f64().filter(|number| (0.0..9e15).contains(number))?;
            format!("{:.0}", number.floor()).parse().ok()
        })
    }

    /// When it says that it begins.
    pub(super) fn start(&self) -> Option<u64> {
        self.time("iat").or_else(|| self.time("nbf"))
    }

    /// Seconds from `start` to its end.
    pub(super) fn life(&self, start: u64) -> Option<u64> {
        self.time("exp").map(|exp| exp.saturating_sub(start))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decoded(part)?).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    let engine = if part.ends_with('=') { URL_SAFE } else { URL_SAFE_NO_PAD };
    engine.decode(part).ok()
}
