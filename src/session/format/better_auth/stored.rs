//! better-auth sessions in secondary storage (Redis) or in its two tables.

use serde_json::{Value, json};

use crate::session::codec::{claims, json as json_codec, time};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{Cell, Check, Engine, Question, StoreAnswer};
use crate::session::store_settings::StoreSettings;

pub(super) enum Stored {
    Redis { prefix: String },
    Tables { session: String, user: String },
}

impl Stored {
    pub(super) fn from_settings(settings: &mut Settings<'_, '_>) -> Option<(StoreSettings, Self)> {
        let mut store = settings.store(&[Engine::Redis, Engine::Sql])?;
        let stored = if store.engine() == Engine::Redis {
            Self::Redis { prefix: store.text("prefix", "") }
        } else {
            let session = store.identifier("table", "session");
            Self::Tables { session, user: store.identifier("user_table", "user") }
        };
        Some((store.finish(), stored))
    }

    pub(super) fn question(&self, token: &str) -> Check<OpenedSession> {
        match self {
            Self::Redis { prefix } => Question::redis(prefix, token),
            Self::Tables { session, .. } => {
                Question::row(session, &[("token", Cell::Text(token.to_owned()))])
            }
        }
    }

    /// Redis answers once; the tables are asked for the session, then its user.
    pub(super) fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (session, key_end) = match self {
            Self::Redis { .. } => {
                let (value, key_end) = answer.redis(now)?;
                (json_codec::parse(&value)?, key_end)
            }
            Self::Tables { user, .. } => {
                let row = answer.row()?;
                if question.carried.is_null() {
                    return ask_for_user(user, row.into_session(), now);
                }
                (json!({ "session": question.carried, "user": row.into_session() }), None)
            }
        };
        let end = session_end(&session)?;
        let expires_at = Some(key_end.map_or(end, |key_end| key_end.min(end)));
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn ask_for_user(table: &str, session: Value, now: u64) -> Result<Check<OpenedSession>, Rejected> {
    let whole = json!({ "session": session });
    let end = session_end(&whole)?;
    if end <= now {
        return Err(Rejected::expired(end, now));
    }
    let id = match session.get("userId") {
        Some(Value::String(text)) => Cell::Text(text.clone()),
        Some(Value::Number(number)) => Cell::Integer(number.as_i64().unwrap_or_default()),
        _ => return Err(Rejected::new(Reason::NoUser, "the session row has no `userId`")),
    };
    Ok(Question::row(table, &[("id", id)]).carrying(session))
}

/// The end of the session itself, which a cache may not outlive: ISO text in JSON,
/// a number in some databases.
pub(super) fn session_end(whole: &Value) -> Result<u64, Rejected> {
    let end = session_time(whole, "expiresAt")?;
    end.ok_or_else(|| Rejected::malformed("the session has no `expiresAt`"))
}

pub(super) fn session_time(whole: &Value, name: &str) -> Result<Option<u64>, Rejected> {
    let session = whole.get("session").unwrap_or(&Value::Null);
    Ok(match session.get(name) {
        Some(Value::String(text)) => time::parse(text),
        // Milliseconds, unless a database column already gave seconds.
        Some(Value::Number(_)) => claims::seconds(session, name)?
            .map(|number| if number >= 100_000_000_000 { number / 1000 } else { number }),
        _ => None,
    })
}
