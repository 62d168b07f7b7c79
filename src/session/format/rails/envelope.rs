//! The envelope Rails puts around a cookie's value: the cookie's name as purpose,
//! and an end.

use serde_json::Value;

use crate::session::codec::{base64, claims, json, time};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};

/// The value for the cookie called `name`. Rails before 5.2 and apps without
/// metadata have no envelope.
pub(super) fn open(plaintext: &[u8], name: &str) -> Result<OpenedSession, Rejected> {
    let mut whole = parse(plaintext)?;
    let Some(envelope) = whole.get_mut("_rails").map(Value::take) else {
        return Ok(OpenedSession { session: whole, expires_at: None });
    };
    let purpose = envelope.get("pur").filter(|purpose| !purpose.is_null());
    if purpose.is_some_and(|purpose| *purpose != format!("cookie.{name}")) {
        let detail = "the value was written for another cookie (`pur`)";
        return Err(Rejected::new(Reason::WrongPurpose, detail));
    }
    let session = match claims::text(&envelope, "message") {
        Some(message) => {
            let message = base64::decode(message)
                .ok_or_else(|| Rejected::malformed("the message is not base64"))?;
            parse(&message)?
        }
        None => envelope
            .get("data")
            .cloned()
            .ok_or_else(|| Rejected::malformed("the envelope has no message"))?,
    };
    Ok(OpenedSession { session, expires_at: expires_at(&envelope)? })
}

fn expires_at(envelope: &Value) -> Result<Option<u64>, Rejected> {
    match envelope.get("exp") {
        None | Some(Value::Null) => Ok(None),
        Some(end) => end
            .as_str()
            .and_then(time::parse)
            .map(Some)
            .ok_or_else(|| Rejected::malformed("`exp` is not a time")),
    }
}

/// JSON; serializers that instantiate objects are refused.
fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let unsupported = |which| {
        let detail = format!(
            "the cookie is written with {which}; set cookies_serializer = :json in the app"
        );
        Err(Rejected::new(Reason::UnsupportedSerializer, detail))
    };
    match bytes {
        [0x04, 0x08, ..] => unsupported("Marshal"),
        [0xcc, 0x80, ..] => unsupported("MessagePack"),
        _ => json::parse(bytes),
    }
}
