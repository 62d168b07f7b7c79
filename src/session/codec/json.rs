//! Sessions kept as JSON. Depth is bounded by the parser, size by the cookie.

use serde_json::Value;

use crate::session::Rejected;

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    serde_json::from_slice(bytes).map_err(|_| Rejected::malformed("the session is not JSON"))
}

/// Milliseconds since 1970 in a member, as JavaScript writes them.
pub(crate) fn milliseconds(session: &Value, member: &str) -> Option<u64> {
    let value = session.get(member)?;
    value.as_u64().or_else(|| value.as_f64().map(super::claims::clamp))
}
