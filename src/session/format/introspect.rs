//! Apps whose cookie only they can read: the app itself is asked who the user is.

use std::borrow::Cow;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::base::text::percent_decode;
use crate::session::codec::json;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Query, Question, StoreAnswer};

/// Longest time a sign-out goes unnoticed, in seconds.
const CACHE_SECONDS: u64 = 10;

struct Introspect {
    url: String,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "introspect",
    read,
    hints: Hints::NONE,
    schema: include_str!("introspect.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar_of_several(CookieConventions::NODE);
    let cache_seconds = settings.seconds("cache_seconds").unwrap_or(CACHE_SECONDS);
    let url = settings.url("url", "url = \"http://app:8080/api/me\"");
    let url = url?;
    let compiled = Compiled::new(jar?, Introspect { url: url.clone() });
    Some(Compiled { app_url: Some(url), cache_seconds: Some(cache_seconds), ..compiled })
}

/// Unescaped to the end: the app may unescape once or twice.
fn unescaped(mut value: Vec<u8>) -> Vec<u8> {
    while let Cow::Owned(decoded) = percent_decode(&value) {
        if decoded == value {
            break;
        }
        value = decoded;
    }
    value
}

impl Verify for Introspect {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let mut any = false;
        for name in sent.jar.names() {
            any |= sent.value(name)?.is_some();
        }
        if !any {
            return Err(sent.missing());
        }
        Ok(Check::Ask(Question::new(Query::App { url: self.url.clone() })))
    }

    /// The app says who is signed in, not for how long.
    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        _now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let StoreAnswer::App { body } = answer else { return Err(store::mismatch()) };
        Ok(Check::Known(OpenedSession { session: json::parse(&body)?, expires_at: None }))
    }

    /// The values picked for each name, however they are escaped.
    fn session_id(&self, sent: SentCookies<'_>) -> Option<String> {
        let values = sent.jar.names().iter().map(|name| {
            let value = sent.value(name).ok()??;
            Some(unescaped(value.into_owned()))
        });
        let values: Vec<_> = values.collect();
        values.iter().any(Option::is_some).then(|| format!("{values:?}"))
    }

    /// The session is whatever the app makes of all of them.
    fn picked(&self, sent: SentCookies<'_>) -> Vec<String> {
        sent.jar.names().to_vec()
    }
}
