//! Apps whose cookie only they can read: the app itself is asked who the user is.

use std::borrow::Cow;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::base::text::percent_decode;
use crate::session::codec::json;
use crate::session::codec::spelling;
use crate::session::cookie_names::{CookieConventions, CookieNames, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Query, Question, StoreAnswer};

/// Longest time a sign-out goes unnoticed, in seconds.
const CACHE_SECONDS: u64 = 10;

/// Separators between a cookie's name and the number of a part: `.` in many libraries
/// (from 0), `C` in ASP.NET Core (from 1; the cookie itself says `chunks-N`).
const SEPARATORS: [&str; 2] = [".", "C"];

/// Most parts of one cookie.
const MAX_PARTS: usize = 20;

struct Introspect {
    url: String,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "introspect",
    is_as_written: spelling::unknown,
    read,
    hints: Hints::NONE,
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("introspect.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar_of_several(CookieConventions::NODE);
    let cache_seconds = settings.seconds("cache_seconds").unwrap_or(CACHE_SECONDS);
    let url = settings.url("url", "url = \"http://app:8080/api/me\"");
    let url = url?;
    let jar = jar?.with_parts(&SEPARATORS);
    let compiled = Compiled::new(jar, Introspect { url: url.clone() });
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

/// The names that one cookie was sent with, in order: its own, or those of its parts.
/// Parts beyond those that belong to it do not count.
fn names_of(sent: SentCookies<'_>, own: &str) -> Vec<String> {
    let is_sent = |name: &String| sent.raw(name).is_some();
    let Some(whole) = sent.raw(own) else {
        let parts = (0..MAX_PARTS).map(|number| format!("{own}.{number}"));
        return parts.take_while(is_sent).collect();
    };
    let count = std::str::from_utf8(whole).ok().and_then(|it| it.strip_prefix("chunks-"));
    let count = count.and_then(|count| count.parse().ok()).unwrap_or(0).min(MAX_PARTS);
    let parts = (1..=count).map(|number| format!("{own}C{number}"));
    std::iter::once(own.to_owned()).chain(parts.take_while(is_sent)).collect()
}

impl Verify for Introspect {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        for name in sent.jar.names() {
            // Two different ones are an error if the settings say so.
            sent.value(name)?;
        }
        if self.picked(sent).is_empty() {
            return Err(sent.missing());
        }
        Ok(Check::Ask(Question::new(Query::App { url: self.url.clone() })))
    }

    /// The app names the user, but not how long the session lasts.
    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        _now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let StoreAnswer::App { body } = answer else { return Err(store::mismatch()) };
        Ok(Check::Known(OpenedSession { session: json::parse_python(&body)?, expires_at: None }))
    }

    /// The values picked for each name, however they are escaped.
    fn session_id(&self, sent: SentCookies<'_>) -> Option<String> {
        let values = sent.jar.names().iter().map(|own| {
            let names = names_of(sent, own);
            let values = names.iter().filter_map(|name| sent.value(name).ok()?);
            let whole = values.flat_map(|value| value.into_owned()).collect::<Vec<u8>>();
            (!names.is_empty()).then(|| unescaped(whole))
        });
        let values: Vec<_> = values.collect();
        values.iter().any(Option::is_some).then(|| format!("{values:?}"))
    }

    /// The session is whatever the app makes of all of them.
    fn picked(&self, sent: SentCookies<'_>) -> Vec<String> {
        sent.jar.names().iter().flat_map(|own| names_of(sent, own)).collect()
    }

    fn is_judged(&self, jar: &CookieNames, name: &[u8]) -> bool {
        jar.reads_cookie(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::session::tests::vectors::compile;
    use crate::session::{Cookies, SessionReader};

    fn source() -> SessionReader {
        let settings = json!({
            "kind": "introspect", "cookie": "auth", "url": "http://app/api/me", "user_id": "/id",
        });
        compile(&settings).unwrap()
    }

    fn asked(header: &str) -> String {
        String::from_utf8(source().asked_cookies(Cookies::new(header.as_bytes()))).unwrap()
    }

    #[test]
    fn a_cookies_parts_go_along_and_no_more_than_belong_to_it() {
        assert_eq!(
            asked("auth=chunks-2; x=1; authC2=b; authC1=a; authC3=c"),
            "auth=chunks-2; authC1=a; authC2=b"
        );
        assert_eq!(asked("auth.1=b; auth.0=a; auth.3=d; authC1=z"), "auth.0=a; auth.1=b");
        assert_eq!(asked("auth=whole; auth.0=a; authC1=z"), "auth=whole");
        assert_eq!(
            asked("auth=chunks-99999999999999999999; authC1=z"),
            "auth=chunks-99999999999999999999"
        );
        assert_eq!(asked("authC1=z; auth.1=b; Auth=c"), "");
    }

    #[test]
    fn a_part_more_makes_no_other_session() {
        let handle = |header: &str| source().asked_handle(Cookies::new(header.as_bytes()), 0);
        let own = handle("auth=chunks-2; authC1=a; authC2=b");
        assert!(own.is_some());
        assert_eq!(handle("authC3=x; authC2=b; authC1=a; auth=chunks-2; auth.0=y"), own);
        assert_ne!(handle("auth=chunks-2; authC1=a; authC2=c"), own);
        assert_eq!(handle("authC1=a"), None);
    }
}
