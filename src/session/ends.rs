//! The app's own rules on how long a session lasts, for every kind: `expires_at`,
//! `idle` and `max_age`.
//!
//! A format knows the ends its framework writes. What an app checks in addition (an idle
//! limit, an extra claim, the age of the sign-in) is in the settings, as pointers to times
//! in the session. The earliest end of all counts.

use super::codec::time;
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
    at.find(session).and_then(time::from_json).ok_or_else(|| {
        let detail = format!("the session has no time at `{at}`, which `{setting}` reads");
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
