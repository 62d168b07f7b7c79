//! better-auth sessions in secondary storage (Redis) or in its two tables.

use serde_json::{Value, json};

use crate::session::codec::{json as json_codec, time_value};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::{Settings, StoreTable};
use crate::session::store::{Cell, Check, Engine, Question, Row, StoreAnswer};
use crate::session::store_settings::StoreSettings;

pub(super) enum Stored {
    Redis { prefix: String },
    Tables { session: String, user: String, columns: Columns },
}

/// The columns of the session's table, where the app renames them.
pub(super) struct Columns {
    token: String,
    expires: Option<String>,
    user: Option<String>,
    /// That of the users' table.
    user_id: String,
}

/// The names better-auth gives the members it needs, and those that its generated
/// schemas for Drizzle and Prisma give their columns.
const SPELLINGS: [(&str, &str); 3] =
    [("expiresAt", "expires_at"), ("userId", "user_id"), ("createdAt", "created_at")];

impl Columns {
    fn from_store(store: &mut StoreTable<'_>) -> Self {
        let mut named = |key| Some(store.identifier(key, "")).filter(|name| !name.is_empty());
        let (expires, user) = (named("expires_column"), named("user_column"));
        let user_id = store.identifier("user_id_column", "id");
        store.also_reads("expires_spelling", &SPELLINGS.map(|(name, _)| name));
        store.also_reads("expires_spelling", &SPELLINGS.map(|(_, column)| column));
        Self { token: store.identifier("token_column", "token"), expires, user, user_id }
    }

    /// The row with the members it needs under better-auth's own names.
    fn named(&self, row: Row) -> Value {
        let mut session = row.into_session();
        let Some(members) = session.as_object_mut() else { return session };
        let renamed = [(&self.token, "token")].into_iter();
        let renamed = renamed
            .chain(self.expires.iter().map(|column| (column, "expiresAt")))
            .chain(self.user.iter().map(|column| (column, "userId")));
        for (column, name) in renamed {
            if column != name
                && let Some(value) = members.get(column).cloned()
            {
                members.insert(name.to_owned(), value);
            }
        }
        for (name, column) in SPELLINGS {
            if !members.contains_key(name)
                && let Some(value) = members.get(column).cloned()
            {
                members.insert(name.to_owned(), value);
            }
        }
        session
    }
}

impl Stored {
    pub(super) fn from_settings(settings: &mut Settings<'_, '_>) -> Option<(StoreSettings, Self)> {
        let mut store = settings.store(&[Engine::Redis, Engine::Sql])?;
        let stored = if store.engine() == Engine::Redis {
            Self::Redis { prefix: store.text("prefix", "") }
        } else {
            let session = store.identifier("table", "session");
            let user = store.identifier("user_table", "user");
            Self::Tables { session, user, columns: Columns::from_store(&mut store) }
        };
        Some((store.finish(), stored))
    }

    pub(super) fn question(&self, token: &str) -> Check<OpenedSession> {
        match self {
            Self::Redis { prefix } => Question::redis(prefix, token),
            Self::Tables { session, columns, .. } => {
                Question::row(session, &[(&columns.token, Cell::Text(token.to_owned()))])
            }
        }
    }

    /// Redis needs one query; the tables are asked for the session, then its user.
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
            Self::Tables { user, columns, .. } => {
                let row = answer.row()?;
                if question.carried.is_null() {
                    return ask_for_user((user, &columns.user_id), columns.named(row), now);
                }
                let mut user = row.into_session();
                if let Some(members) = user.as_object_mut()
                    && let Some(id) = members.get(&columns.user_id).cloned()
                {
                    members.insert("id".to_owned(), id);
                }
                (json!({ "session": question.carried, "user": user }), None)
            }
        };
        let end = session_end(&session)?;
        let expires_at = Some(key_end.map_or(end, |key_end| key_end.min(end)));
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn ask_for_user(
    (table, column): (&str, &str),
    session: Value,
    now: u64,
) -> Result<Check<OpenedSession>, Rejected> {
    let whole = json!({ "session": session });
    let end = session_end(&whole)?;
    if end <= now {
        return Err(Rejected::expired(end, now));
    }
    let id = match session.get("userId") {
        Some(Value::String(text)) => Cell::Text(text.clone()),
        Some(Value::Number(number)) => Cell::Integer(number.as_i64().unwrap_or_default()),
        _ => {
            let detail = "the session's row has no `userId` or `user_id`; write the column's name \
                          as `user_column` in [session.store]";
            return Err(Rejected::new(Reason::NoUser, detail));
        }
    };
    Ok(Question::row(table, &[(column, id)]).carrying(session))
}

/// The end of the session itself, which a cache may not outlive: ISO text in JSON,
/// a number in some databases.
pub(super) fn session_end(whole: &Value) -> Result<u64, Rejected> {
    let end = session_time(whole, "expiresAt");
    end.ok_or_else(|| {
        Rejected::malformed(
            "the session has no `expiresAt` or `expires_at`; in a table, write the column's name \
             as `expires_column` in [session.store]",
        )
    })
}

pub(super) fn session_time(whole: &Value, name: &str) -> Option<u64> {
    time_value::from_json(whole.get("session")?.get(name)?).ok()
}
