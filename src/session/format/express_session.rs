//! express-session: a signed session id; the session itself is in Redis, or in
//! a table.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::{Settings, StoreTable};
use crate::session::store::{self, Cell, Check, Engine, Question, StoreAnswer};
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["connect.sid"], ..CookieConventions::NODE };

struct ExpressSession {
    keys: Vec<MacKey>,
    /// `s:`; @fastify/session writes none.
    prefix: String,
    records: Records,
}

/// The layout of the app's session store: that of connect-redis, or that of
/// connect-pg-simple and its like.
enum Records {
    Redis { prefix: String },
    Row { table: String, id: String, session: String, expires: String },
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "express-session",
    is_as_written: spelling::signed_id,
    read,
    hints: Hints {
        names: &["connect.sid"],
        // csurf and csrf-csrf.
        companions: &["_csrf", "psifi.x-csrf-token"],
        look,
        ..Hints::NONE
    },
    // passport-remember-me.
    remember_cookies: &["remember_me"],
    risks: Risks::NONE,
    schema: include_str!("express_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let store = settings.needed_store(&[Engine::Redis, Engine::Sql]).map(|mut store| {
        let records = Records::from_store(&mut store);
        (store.finish(), records)
    });
    let prefix = settings.get("cookie_prefix").unwrap_or_else(|| "s:".to_owned());
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    let (store, records) = store?;
    let verifier = ExpressSession { keys: keys.collect(), prefix, records };
    let compiled = Compiled::new(jar?, verifier).with_user_id("/passport/user");
    Some(compiled.with_store(Some(store)))
}

impl Records {
    fn from_store(store: &mut StoreTable<'_>) -> Self {
        if store.engine() == Engine::Redis {
            return Self::Redis { prefix: store.text("prefix", "sess:") };
        }
        // connect-pg-simple: `to_timestamp(…)` into a `timestamp`.
        store.converts_in_database();
        Self::Row {
            table: store.identifier("table", "session"),
            id: store.identifier("id_column", "sid"),
            session: store.identifier("session_column", "sess"),
            expires: store.identifier("expires_column", "expire"),
        }
    }
}

impl Verify for ExpressSession {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let Some(signed) = found.text()?.strip_prefix(self.prefix.as_str()) else {
            return Err(Rejected::new(Reason::BadSignature, unmarked(found.text()?)));
        };
        // An id that the app makes itself may contain dots.
        let (id, signature) = signed
            .rsplit_once('.')
            .ok_or_else(|| Rejected::malformed("the value has no signature after `.`"))?;
        let signature = base64::decode_unpadded(signature).unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(id.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        store::check_signed_id(id)?;
        Ok(match &self.records {
            Records::Redis { prefix } => Question::redis(prefix, id),
            Records::Row { table, id: column, .. } => {
                Question::row(table, &[(column, Cell::Text(id.to_owned()))])
            }
        })
    }

    /// The life of the key or row decides, not `cookie.expires` in the JSON: an
    /// active session's life is extended without rewriting it.
    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (value, expires_at) = match &self.records {
            Records::Redis { .. } => answer.redis(now)?,
            Records::Row { session, expires, .. } => {
                let row = answer.row()?;
                let value = row.get(session)?.bytes().unwrap_or_default().to_vec();
                (value, Some(row.time(expires)?))
            }
        };
        Ok(Check::Known(OpenedSession { session: json::parse(&value)?, expires_at }))
    }
}

/// The refusal of a value without the prefix.
fn unmarked(value: &str) -> &'static str {
    let signature = value.rsplit_once('.').and_then(|(_, mac)| base64::decode_unpadded(mac));
    if signature.is_some_and(|it| it.len() == 32) {
        "the value does not start with `s:`: if it is that of @fastify/session, write \
         cookie_prefix = \"\""
    } else {
        "the value does not start with `s:`, and no signature follows: if the app itself does not \
         sign its ids, write kind = \"lookup\""
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Signed { content, mac } if mac.len() == 43 && content.starts_with("s:") => {
            // `j:` is an object, and so no id.
            let text = "a signed express-session id";
            let fit = if content.starts_with("s:j:") { Fit::Shared } else { Fit::Sure };
            Some(Look::new(fit, text))
        }
        _ => None,
    }
}
