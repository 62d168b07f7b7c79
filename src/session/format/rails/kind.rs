//! Rails: the encrypted session cookie, and cookies of the signed jar, among
//! them the session id of Rails 8's generated login.

use serde_json::Value;

use super::envelope;
use super::jar_keys::JarKeys;
use crate::session::codec::claims;
use crate::session::codec::spelling;
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Cell, Check, Engine, Question, StoreAnswer};
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { encoding: Encoding::Form, ..CookieConventions::NODE };

struct Rails {
    keys: JarKeys,
    rows: Option<Rows>,
}

/// The table of Rails 8's generated login.
struct Rows {
    table: String,
    id: String,
    user: String,
}

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "rails",
    is_as_written: spelling::dashed,
    read,
    hints: Hints {
        look,
        also_check: "; or `key_digest` is not the app's (left out, both are tried), or \
                     config.action_dispatch sets a salt: write \
                     `authenticated_encrypted_cookie_salt` as the app does",
        ..Hints::NONE
    },
    // Devise, with the name of its scope; and the one that apps write by hand.
    remember_cookies: &["remember_*_token", "remember_token"],
    risks: Risks::NONE,
    schema: include_str!("schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let user_is_elsewhere = settings.table().peek("user_id").is_some();
    let rows = settings.store(&[Engine::Sql]).map(|mut store| {
        let table = store.identifier("table", "sessions");
        let id = store.identifier("id_column", "id");
        let user = format!("/{}", store.identifier("user_column", "user_id"));
        if user_is_elsewhere {
            store.reads_no("user_column");
        }
        (store.finish(), Rows { table, id, user })
    });
    let keys = JarKeys::from_settings(settings)?;
    if rows.is_some() && !keys.is_signed() {
        settings.problem(
            "[session.store] goes with jar = \"signed\": an encrypted session cookie \
             needs no store",
        );
    }
    let user_id = match &rows {
        Some((_, rows)) => Some(rows.user.clone().into()),
        None if keys.is_signed() => Some("".into()),
        None => None,
    };
    let (store, rows) = rows.unzip();
    let compiled = Compiled::new(jar?, Rails { keys, rows }).with_store(store);
    Some(Compiled { user_id, ..compiled })
}

impl Verify for Rails {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let plaintext = self.keys.open(found.text()?)?;
        let opened = envelope::open(&plaintext, found.name)?;
        if let Some(end) = opened.expires_at.filter(|&end| end <= now) {
            return Err(Rejected::expired(end, now));
        }
        let Some(rows) = &self.rows else { return Ok(Check::Known(opened)) };
        let id = match &opened.session {
            Value::Number(number) if number.is_i64() => {
                Cell::Integer(number.as_i64().unwrap_or_default())
            }
            Value::String(text) if text.len() <= 64 => Cell::Text(text.clone()),
            _ => {
                let detail = "the cookie is valid, but does not hold the id of a row";
                return Err(Rejected::new(Reason::NoUser, detail));
            }
        };
        Ok(Question::row(&rows.table, &[(&rows.id, id)]).carrying(opened.expires_at.into()))
    }

    fn open_with_id(
        &self,
        sent: SentCookies<'_>,
        now: u64,
    ) -> Result<(Check<OpenedSession>, Option<String>), Rejected> {
        let opened = self.open(sent, now)?;
        let id = match &opened {
            Check::Known(known) => claims::text(&known.session, "session_id").map(str::to_owned),
            Check::Ask(_) => None,
        };
        Ok((opened, id))
    }

    fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        _now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        if self.rows.is_none() {
            return Err(store::not_asked());
        }
        let session = answer.row()?.into_session();
        Ok(Check::Known(OpenedSession { session, expires_at: question.carried.as_u64() }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let signed = Look {
        also_check: Some("; or jar = \"signed\" is missing"),
        ..Look::new(Fit::Sure, "a signed Rails cookie")
    };
    match sample.notation {
        Notation::DashedBox { is_whole } => {
            let fit = if is_whole { Fit::Sure } else { Fit::Likely };
            Some(Look::new(fit, "an encrypted Rails cookie"))
        }
        Notation::DashedMac => Some(signed),
        _ => None,
    }
}
