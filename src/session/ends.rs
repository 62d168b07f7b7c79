//! The app's own rules on how long a session lasts, for every kind: `expires_at`,
//! `idle` and `max_age`.
//!
//! A format knows the ends its framework writes. What an app checks in addition (an idle
//! limit, an extra claim, the age of the sign-in) is in the settings, as pointers to times
//! in the session. The earliest end of all counts.

use super::codec::time_value::{self, NotTime, is_local};
use super::pointer::Pointer;
use super::rejected::{Reason, Rejected};
use super::settings::{Seconds, Settings};
use crate::document::{At, FromNode};
use serde_json::Value;

/// The expiry times that the settings add to the format's.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    expires_at: Option<Pointer>,
    idle: Option<Span>,
    max_age: Option<MaxAge>,
}

/// A time in the session, and how much later the session ends.
#[derive(Clone, Debug)]
struct Span {
    at: Pointer,
    limit: u64,
}

/// How old a session may be.
#[derive(Clone, Debug)]
enum MaxAge {
    /// Counted from a time in the session.
    Since(Span),
    /// Counted from the sign-in, where the session tells it.
    SinceSignIn(u64),
}

impl Ends {
    /// Reads the settings; `None` if there are none, which costs a request nothing. Must
    /// come after the kind: some have their own `max_age`.
    pub(super) fn from_settings(settings: &mut Settings<'_, '_>) -> Option<Box<Self>> {
        let has_own_age = settings.table().has_asked("max_age");
        let ends = Self {
            expires_at: settings.get("expires_at"),
            idle: settings.get("idle"),
            max_age: if has_own_age { None } else { settings.get("max_age") },
        };
        let any = ends.expires_at.is_some() || ends.idle.is_some() || ends.max_age.is_some();
        any.then(|| Box::new(ends))
    }

    /// The earliest of the ends, and of the one the format itself tells. A session that
    /// lacks a time it needs is refused: it might never end.
    pub(super) fn earliest(
        &self,
        session: &Value,
        own: Option<u64>,
        signed_in_at: impl FnOnce() -> Option<u64>,
    ) -> Result<Option<u64>, Rejected> {
        let mut ends = vec![own];
        if let Some(at) = &self.expires_at {
            ends.push(Some(time_at(session, at, "expires_at")?));
        }
        if let Some(idle) = &self.idle {
            ends.push(Some(idle.end(session, "idle")?));
        }
        ends.push(match &self.max_age {
            Some(MaxAge::Since(span)) => Some(span.end(session, "max_age")?),
            Some(MaxAge::SinceSignIn(limit)) => {
                let since = signed_in_at().ok_or_else(|| {
                    let detail = "the session does not say when it began, so `max_age` cannot be \
                                  applied; write max_age = { at = \"/created_at\", limit = \"8h\" \
                                  } with the place of a time in it, or `created_column` of a table \
                                  in [session.store]";
                    Rejected::new(Reason::MissingExp, detail)
                })?;
                Some(since.saturating_add(*limit))
            }
            None => None,
        });
        Ok(ends.into_iter().flatten().min())
    }
}

impl Span {
    fn end(&self, session: &Value, setting: &str) -> Result<u64, Rejected> {
        Ok(time_at(session, &self.at, setting)?.saturating_add(self.limit))
    }
}

fn time_at(session: &Value, at: &Pointer, setting: &str) -> Result<u64, Rejected> {
    let holder = at.find_holder(session).filter(|(holder, name)| is_local(holder, name));
    let found = holder.map_or_else(|| at.find(session), |(whole, _)| Some(whole));
    found.map_or(Err(NotTime::Other), time_value::from_json).map_err(|why| {
        let detail = match why {
            NotTime::Other => format!("the session has no time at `{at}`, which `{setting}` reads"),
            NotTime::UnknownZone => format!(
                "the time at `{at}`, which `{setting}` reads, has no zone or only the name of \
                 one; let the app keep it in UTC, with the zone, or as Unix seconds"
            ),
        };
        Rejected::new(Reason::MissingExp, detail)
    })
}

impl FromNode for Span {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let hint = "at = \"/last_request_at\", the place of a time in the session";
        let place = table.need("at", hint);
        let limit = table.need("limit", "limit = \"30m\"");
        table.finish();
        let Seconds(limit) = limit?;
        Some(Self { at: place?, limit })
    }
}

impl FromNode for MaxAge {
    fn read(at: &At<'_>) -> Option<Self> {
        if matches!(at.node.value, crate::document::Value::Table(_)) {
            return Span::read(at).map(Self::Since);
        }
        Seconds::read(at).map(|Seconds(limit)| Self::SinceSignIn(limit))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_local_time_is_not_read_as_utc() {
        let php = |notation: u32, zone: &str| {
            let date = "2045-06-02 12:04:05.000000";
            json!({ "seen": { "date": date, "timezone_type": notation, "timezone": zone } })
        };
        let zone = "has no zone or only the name of one";
        let cases = [
            (php(3, "Asia/Tokyo"), "/seen/date", Err(zone)),
            (php(3, "Asia/Tokyo"), "/seen", Err(zone)),
            (php(1, "+09:00"), "/seen/date", Ok(2_379_985_445)),
            (php(1, "+09:00"), "/seen", Ok(2_379_985_445)),
            (php(3, "UTC"), "/seen/date", Ok(2_380_017_845)),
            (php(4, "UTC"), "/seen/date", Err("has no time")),
            (php(3, "UTC"), "/seen/timezone_type", Ok(3)),
            (json!({ "seen": { "datetime": null } }), "/seen", Err(zone)),
            (json!({ "seen": { "date": "2045-06-02 03:04:05" } }), "/seen/date", Ok(2_379_985_445)),
            (json!({ "date": "2045-06-02 03:04:05" }), "/date", Ok(2_379_985_445)),
            (json!([2_379_985_445_u64]), "/0", Ok(2_379_985_445)),
            (json!(2_379_985_445_u64), "", Ok(2_379_985_445)),
            (json!({ "seen": null }), "/seen", Err("has no time")),
            (json!({}), "/seen/date", Err("has no time")),
        ];
        for (session, at, expected) in cases {
            let found = time_at(&session, &Pointer::parse(at).unwrap(), "idle");
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{session} {at}"),
                (Err(found), Err(expected)) => assert!(found.detail.contains(expected), "{at}"),
                (found, expected) => panic!("{session} {at}: {found:?}, not {expected:?}"),
            }
        }
    }
}
