//! Apps whose cookie nobody else can read: the app itself is asked who it is.

use std::borrow::Cow;

use super::Format;
use crate::base::text::percent_decode;
use crate::session::codec::json;
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Query, Question};
use crate::session::{Cookies, Opened, Rejected};

/// A sign-out goes unnoticed for so long.
const CACHE_SECONDS: u64 = 10;

struct Introspect {
    jar: Jar,
    url: String,
    cache_seconds: u64,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar_of_several(Habits::NODE);
    let cache_seconds = settings.seconds("cache_seconds").unwrap_or(CACHE_SECONDS);
    let url = settings.url("url", "url = \"http://app:8080/api/me\"");
    Some(Box::new(Introspect { jar: jar?, url: url?, cache_seconds }))
}

/// Whatever the app makes of escapes, once or twice: the same for all of them.
fn unescaped(mut value: Vec<u8>) -> Vec<u8> {
    while let Cow::Owned(decoded) = percent_decode(&value) {
        if decoded == value {
            break;
        }
        value = decoded;
    }
    value
}

impl Format for Introspect {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let mut any = false;
        for name in self.jar.names() {
            any |= self.jar.value(name, cookies)?.is_some();
        }
        if !any {
            return Err(self.jar.missing());
        }
        Ok(Check::Ask(Question::new(Query::App { url: self.url.clone() })))
    }

    /// The app says who is signed in, not for how long.
    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        _now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let Answer::App { body } = answer else { return Err(store::mismatch()) };
        Ok(Check::Known(Opened { session: json::parse(&body)?, expires_at: None }))
    }

    fn asked_url(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn cache_seconds(&self) -> Option<u64> {
        Some(self.cache_seconds)
    }

    /// What the jar picks for each name, however it is escaped.
    fn session_id(&self, cookies: Cookies<'_>, _now: u64) -> Option<String> {
        let values = self.jar.names().iter().map(|name| {
            let value = self.jar.value(name, cookies).ok()??;
            Some(unescaped(value.into_owned()))
        });
        let values: Vec<_> = values.collect();
        values.iter().any(Option::is_some).then(|| format!("{values:?}"))
    }

    /// The session is whatever the app makes of all of them.
    fn picked(&self, _cookies: Cookies<'_>) -> Vec<String> {
        self.jar.names().to_vec()
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
