//! The user's bare id in a header of a gate in front: oauth2-proxy, Authelia, an ingress.
//!
//! It proves nothing by itself, so it counts only on connections from `trusted_proxies`,
//! and is removed from all others.

use http::HeaderName;
use serde_json::{Map, Value};

use crate::session::codec::spelling;
use crate::session::cookie_names::{CookieNames, SentCookies};
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::header::{Believed, FieldName, HeaderPlace};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;

/// Longest id, in bytes.
const MAX_ID: usize = 1024;

struct TrustedHeader {
    /// Other headers of the gate, by the name each gets in the session.
    claims: Vec<(String, HeaderName)>,
}

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "trusted-header",
    is_as_written: spelling::unknown,
    read,
    hints: Hints::NONE,
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("trusted_header.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let hint = "the header that the gate sets, such as header = \"x-forwarded-user\"";
    let header = settings.table().take_needed("header", hint);
    let claims = settings.table().take("claims");
    let claims = claims.map(|at| at.members()).unwrap_or_default().into_iter();
    let claims = claims.filter_map(|(key, at)| {
        if key.name == "user" {
            at.problem("this name stands for the user's id; call the claim something else");
        }
        Some((key.name.clone(), at.read::<FieldName>()?.0))
    });
    let claims: Vec<_> = claims.collect();
    let FieldName(name) = header?.read()?;
    let beside = claims.iter().map(|(_, name)| name.clone()).collect();
    let place = HeaderPlace::of_gate(name, Believed::FromTrusted).with_companions(beside);
    let compiled = Compiled::new(CookieNames::of_header(place), TrustedHeader { claims });
    Some(compiled.with_user_id("/user"))
}

impl Verify for TrustedHeader {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let mut session = Map::new();
        session.insert("user".to_owned(), one(found.text()?)?);
        for (claim, name) in &self.claims {
            let header = sent.cookies.headers().one(name)?;
            let text = header.and_then(|value| std::str::from_utf8(value).ok());
            session.insert(claim.clone(), text.map_or(Value::Null, listed));
        }
        Ok(Check::Known(OpenedSession { session: Value::Object(session), expires_at: None }))
    }

    /// Nothing tells one sign-in from the next.
    fn signed_in_at(&self, _session: &Value) -> Option<u64> {
        None
    }
}

/// Proxies join repeated headers with commas, and two users count as signed out.
fn one(id: &str) -> Result<Value, Rejected> {
    if id.len() > MAX_ID || id.contains(',') || id.chars().any(char::is_control) {
        let detail = "the header holds several values, or is not an id";
        return Err(Rejected::new(Reason::Ambiguous, detail));
    }
    Ok(Value::from(id))
}

/// Groups come as a list with commas.
fn listed(text: &str) -> Value {
    if !text.contains(',') {
        return Value::from(text);
    }
    text.split(',').map(|item| Value::from(item.trim())).collect()
}
