//! JWT claims (RFC 7519): an object, with times that are numbers.

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{json, number};
use crate::base::text::span;
use crate::document::shown;
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};

/// Clock difference allowed at the beginning of a session, in seconds. The end is
/// never stretched.
const LEEWAY: u64 = 30;

/// Midnight after the year 9999. A later end was not meant as a time.
const END_OF_TIME: u64 = 253_402_300_800;

/// The payload as a JSON object that names no member twice: parsers differ in
/// which of the two they believe (RFC 7519 section 4).
pub(crate) fn object(payload: &[u8]) -> Result<Value, Rejected> {
    let payload = json::tidy(payload);
    let mut json = serde_json::Deserializer::from_slice(&payload);
    let members = json.deserialize_map(Members).and_then(|members| json.end().map(|()| members));
    members.map(Value::Object).map_err(|error| {
        Rejected::malformed(if error.is_data() {
            "the payload is not a JSON object, or names a member twice"
        } else {
            "the payload is not JSON"
        })
    })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(members)
    }
}

/// `exp`, checked against `now` here because a wrong type is a refusal too.
pub(crate) fn expires_at(claims: &Value, now: u64) -> Result<Option<u64>, Rejected> {
    let end = seconds(claims, "exp")?;
    match end {
        Some(END_OF_TIME..) => Err(Rejected::malformed("`exp` is after the year 9999")),
        Some(end) if end <= now => Err(Rejected::expired(end, now)),
        _ => Ok(end),
    }
}

/// Refuses a session that begins later than `now`, with a few seconds of leeway.
pub(crate) fn begun(claims: &Value, name: &str, now: u64) -> Result<(), Rejected> {
    match seconds(claims, name)? {
        Some(begin) if begin > now.saturating_add(LEEWAY) => {
            let detail = format!("`{name}` is {} in the future", span(begin - now));
            Err(Rejected::new(Reason::NotYetValid, detail))
        }
        _ => Ok(()),
    }
}

/// A NumericDate. Fractions are cut off, which can only shorten a session.
pub(crate) fn seconds(claims: &Value, name: &str) -> Result<Option<u64>, Rejected> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_u64() {
        return Ok(Some(whole));
    }
    let number =
        value.as_f64().ok_or_else(|| Rejected::malformed(format!("`{name}` is not a number")))?;
    Ok(Some(number::clamp(number)))
}

/// A claim, if it is there and a text.
pub(crate) fn text<'c>(claims: &'c Value, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

/// The claims of a verified token as a session, within its times.
pub(crate) fn session(payload: &[u8], now: u64) -> Result<OpenedSession, Rejected> {
    let session = object(payload)?;
    let expires_at = expires_at(&session, now)?;
    begun(&session, "nbf", now)?;
    Ok(OpenedSession { session, expires_at })
}

/// The issuer and audience a token must have. Each one configured must be there
/// and equal; of several audiences any will do.
pub(crate) struct Expected {
    pub issuer: Option<Vec<String>>,
    pub audience: Option<Vec<String>>,
}

impl Expected {
    pub(crate) fn check(&self, claims: &Value) -> Result<(), Rejected> {
        if let Some(wanted) = &self.issuer {
            let issuer = text(claims, "iss");
            if !issuer.is_some_and(|issuer| wanted.iter().any(|wanted| wanted == issuer)) {
                let detail = match issuer {
                    Some(found) => {
                        let slash = wanted
                            .iter()
                            .any(|it| it.trim_end_matches('/') == found.trim_end_matches('/'));
                        let slash =
                            if slash { ": they differ in the slash at the end" } else { "" };
                        format!("`iss` is {}, not the configured `issuer`{slash}", shown(found))
                    }
                    None => "the token has no `iss`; leave out `issuer`".to_owned(),
                };
                return Err(Rejected::new(Reason::WrongIssuer, detail));
            }
        }
        let Some(wanted) = &self.audience else { return Ok(()) };
        let is_wanted = |value: &Value| {
            value.as_str().is_some_and(|audience| wanted.iter().any(|wanted| wanted == audience))
        };
        let matches = match claims.get("aud") {
            Some(Value::Array(items)) => items.iter().any(is_wanted),
            Some(single) => is_wanted(single),
            None => false,
        };
        if matches {
            return Ok(());
        }
        let found = match claims.get("aud") {
            Some(Value::String(text)) => shown(text),
            Some(Value::Array(items)) if items.iter().any(Value::is_string) => {
                let texts = items.iter().filter_map(Value::as_str).take(4).map(shown);
                texts.collect::<Vec<_>>().join(", ")
            }
            Some(_) => "neither a text nor a list of texts".to_owned(),
            None => "missing".to_owned(),
        };
        let detail = format!("`aud` is {found}, none of the configured `audience`");
        Err(Rejected::new(Reason::WrongAudience, detail))
    }
}
