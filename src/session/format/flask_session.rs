//! Flask-Session: an id, signed or not; the session itself is in Redis, or in a table.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::lookup_layout::Layout;
use super::risks::Risks;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::spelling;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::{Settings, StoreTable};
use crate::session::store::{self, Cell, Check, Engine, Question, StoreAnswer};
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["session"], ..CookieConventions::NODE };

/// The salt of its itsdangerous signer.
const SALT: &[u8] = b"flask-session";

struct FlaskSession {
    /// Empty unless `SESSION_USE_SIGNER` is on.
    keys: Vec<MacKey>,
    prefix: String,
    layout: Layout,
    table: Option<SessionTable>,
}

struct SessionTable {
    name: String,
    id: String,
    session: String,
    expires: String,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "flask-session",
    is_as_written: spelling::token,
    read,
    hints: Hints { look, ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("flask_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let has_secret = ["secret", "secrets"].iter().any(|key| settings.table().peek(key).is_some());
    let secrets = settings.optional_secrets().unwrap_or_default();
    let mut store = settings.needed_store(&[Engine::Redis, Engine::Sql])?;
    let prefix = prefix(&mut store);
    let layout = store.get("format").unwrap_or(Layout::MessagePack);
    let table = (store.engine() == Engine::Sql).then(|| SessionTable {
        name: store.identifier("table", "sessions"),
        id: store.identifier("id_column", "session_id"),
        session: store.identifier("session_column", "data"),
        expires: store.identifier("expires_column", "expiry"),
    });
    let store = store.finish();
    if has_secret && secrets.is_empty() {
        return None;
    }
    let keys = secrets.iter().map(|(_, secret)| {
        let derived = MacKey::new(Hash::Sha1, secret.bytes()).sign(SALT);
        MacKey::new(Hash::Sha1, &derived)
    });
    let verifier = FlaskSession { keys: keys.collect(), prefix, layout, table };
    let compiled = Compiled::new(jar?, verifier).with_user_id("/_user_id");
    Some(compiled.with_store(Some(store)))
}

/// Without one, an unsigned cookie could name any key in Redis.
fn prefix(store: &mut StoreTable<'_>) -> String {
    store.text("prefix", "session:")
}

impl Verify for FlaskSession {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let text = found.text()?;
        if self.keys.is_empty() && is_signed(text) {
            return Err(Rejected::malformed(
                "the id is signed, as the app sets SESSION_USE_SIGNER: write `secret`, the app's \
                 SECRET_KEY",
            ));
        }
        let id = if self.keys.is_empty() { text } else { self.unsigned(text)? };
        store::check_key_id(id, "")?;
        Ok(match &self.table {
            None => Question::redis(&self.prefix, id),
            Some(table) => {
                let id = format!("{}{id}", self.prefix);
                Question::row(&table.name, &[(&table.id, Cell::Text(id))])
            }
        })
    }

    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (content, expires_at) = match &self.table {
            None => answer.redis(now)?,
            Some(table) => {
                let row = answer.row()?;
                let content = row.get(&table.session)?.bytes().unwrap_or_default().to_vec();
                (content, Some(row.time(&table.expires)?))
            }
        };
        Ok(Check::Known(OpenedSession { session: self.layout.parse(&content)?, expires_at }))
    }
}

/// Whether a MAC of 20 bytes follows; an id has no dots.
fn is_signed(text: &str) -> bool {
    let mac = text.rsplit_once('.').and_then(|(_, mac)| base64::url_decode(mac));
    mac.is_some_and(|mac| mac.len() == 20)
}

/// An id of 32 bytes, and a MAC of 20.
fn look(sample: &Sample<'_>) -> Option<Look> {
    let (id, mac) = sample.text.split_once('.')?;
    let is_long =
        |text: &str, length| base64::url_decode(text).is_some_and(|it| it.len() == length);
    let is_signed_id = is_long(id, 32) && is_long(mac, 20);
    is_signed_id.then_some(Look::new(Fit::Likely, "a signed Flask-Session id"))
}

impl FlaskSession {
    fn unsigned<'t>(&self, text: &'t str) -> Result<&'t str, Rejected> {
        let (id, signature) = text.rsplit_once('.').ok_or_else(|| {
            Rejected::malformed(
                "the id is not signed; leave out `secret` unless the app sets SESSION_USE_SIGNER",
            )
        })?;
        let signature = base64::url_decode(signature).unwrap_or_default();
        if self.keys.iter().any(|key| key.verifies(id.as_bytes(), &signature)) {
            return Ok(id);
        }
        Err(Rejected::bad_signature(self.keys.len()))
    }
}
