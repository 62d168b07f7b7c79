//! h3's `useSession` (nuxt-auth-utils, SolidStart): a seal around the session's id, its
//! birth and the app's data. Version 2 derives keys with more rounds, and splits a large
//! cookie (`__chunked__2`, then the parts `NAME.1` and `NAME.2`).

use std::borrow::Cow;
use std::num::NonZeroU32;

use http::HeaderName;
use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::{Risks, has, is_zero};
use super::sealed_form::SealedForm;
use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::{claims, iron, json, spelling};
use crate::session::cookie::MAX_CHUNKS;
use crate::session::cookie_names::{CookieConventions, FoundCookie, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["nuxt-session", "h3"], ..CookieConventions::NODE };

/// Rounds of h3 1 and 2. Version 2 opens the seals of version 1 too.
const ROUNDS: &[NonZeroU32] = &[NonZeroU32::MIN, NonZeroU32::new(8192).unwrap()];

/// Precedes the number of parts of a large cookie.
const CHUNKED: &str = "__chunked__";

struct H3Session {
    passwords: iron::Passwords,
    max_age: Option<u64>,
    idle_timeout: Option<u64>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "h3-session",
    is_as_written: spelling::seal,
    read,
    hints: Hints {
        names: &["h3", "nuxt-session"],
        look,
        also_check: "; or the app changes the number of rounds in `seal`: write it as `iterations`; \
                     hapi's yar writes the same form: kind = \"yar\"",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks { never_ends, ..Risks::NONE },
    schema: include_str!("h3_session.schema.json"),
};

/// The seal holds the end that `max_age` gives it.
fn never_ends(session: &At<'_>) -> bool {
    let has_end = has(session, "max_age") && !is_zero(session, "max_age");
    !has(session, "store") && !has_end
}

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    // h3 takes 0 for none.
    let mut seconds = |key| settings.seconds(key).filter(|&seconds| seconds > 0);
    let (max_age, idle_timeout) = (seconds("max_age"), seconds("idle_timeout"));
    let passwords = key_settings::passwords_after(settings, None, ROUNDS);
    let own_header = settings.get::<SessionHeader>("session_header");
    let jar = jar?;
    let parts = jar.names().to_vec();
    let unread_headers = match own_header {
        Some(SessionHeader(name)) => Vec::from_iter(name),
        None => parts.iter().filter_map(|name| session_header(name)).collect(),
    };
    let jar = jar.with_companions(parts, Some("."));
    let passwords = passwords?;
    let opens_slowly = passwords.are_slow();
    let compiled = Compiled::new(jar, H3Session { passwords, max_age, idle_timeout });
    Some(Compiled { opens_slowly, unread_headers, ..compiled })
}

/// The default of h3's `sessionHeader`, which `getSession` reads before the cookie.
fn session_header(name: &str) -> Option<HeaderName> {
    HeaderName::try_from(format!("x-{}-session", name.to_ascii_lowercase())).ok()
}

/// The app's `sessionHeader`: a name, or `false` for none.
struct SessionHeader(Option<HeaderName>);

impl FromNode for SessionHeader {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"the name of a header, or false if the app sets it to false"#;
        match &at.node.value {
            Setting::Boolean(false) => return Some(Self(None)),
            Setting::Text(name) => {
                if let Ok(name) = HeaderName::try_from(name.as_str()) {
                    return Some(Self(Some(name)));
                }
            }
            _ => {}
        }
        at.wrong(EXPECTED);
        None
    }
}

impl Verify for H3Session {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        Ok(self.open_with_id(sent, now)?.0)
    }

    fn open_with_id(
        &self,
        sent: SentCookies<'_>,
        _now: u64,
    ) -> Result<(Check<OpenedSession>, Option<String>), Rejected> {
        let found = whole(sent)?;
        let unsealed = iron::unseal(found.text()?, &self.passwords)?;
        let mut whole = json::parse(&unsealed.plaintext)?;
        let is_own = ["createdAt", "data"].iter().any(|member| whole.get(member).is_some());
        if !is_own {
            return Err(SealedForm::of(&whole).refusal());
        }
        let by_age = end(&whole, self.max_age, &["createdAt"])?;
        // As in h3: a session without `lastSeenAt` is idle since its creation.
        let by_idleness = end(&whole, self.idle_timeout, &["lastSeenAt", "createdAt"])?;
        let expires_at = [unsealed.expires_at(), by_age, by_idleness].into_iter().flatten().min();
        let session = whole.get_mut("data").map(Value::take).unwrap_or_default();
        let id = claims::text(&whole, "id").filter(|id| !id.is_empty()).map(str::to_owned);
        Ok((Check::Known(OpenedSession { session, expires_at }), id))
    }

    fn dates_its_end(&self) -> bool {
        true
    }
}

/// The cookie, put together if it came in parts.
fn whole(sent: SentCookies<'_>) -> Result<FoundCookie<'_>, Rejected> {
    let found = sent.find()?;
    let Some(count) = found.value.strip_prefix(CHUNKED.as_bytes()) else { return Ok(found) };
    let count = std::str::from_utf8(count).ok().and_then(|count| count.parse::<usize>().ok());
    let count = count.filter(|count| (1..=MAX_CHUNKS).contains(count)).ok_or_else(|| {
        let detail = format!("the number of the cookie's parts is not between 1 and {MAX_CHUNKS}");
        Rejected::malformed(detail)
    })?;
    let mut joined = Vec::new();
    for number in 1..=count {
        let part = format!("{}.{number}", found.name);
        let Some(value) = sent.value(&part)? else {
            let detail =
                format!("cookie `{}` came in {count} parts, and `{part}` is missing", found.name);
            return Err(Rejected::new(Reason::Missing, detail));
        };
        joined.extend_from_slice(&value);
    }
    Ok(FoundCookie { name: found.name, value: Cow::Owned(joined) })
}

/// The end by a limit that counts from the first of these members that exists, in
/// milliseconds.
fn end(whole: &Value, limit: Option<u64>, since: &[&str]) -> Result<Option<u64>, Rejected> {
    let Some(limit) = limit else { return Ok(None) };
    let since = since.iter().find_map(|member| json::milliseconds(whole, member));
    let since = since.ok_or_else(|| Rejected::malformed("the session has no `createdAt`"))?;
    Ok(Some((since / 1000).saturating_add(limit)))
}

/// Also yar's: its seals look the same.
pub(super) fn look(sample: &Sample<'_>) -> Option<Look> {
    if sample.starts_with("Fe26.2**") {
        return Some(Look::new(Fit::Possible, "an iron seal of h3 or yar, or one of hapi"));
    }
    let text = "an iron-session seal";
    // Only iron-session puts a version behind its seals.
    let is_versioned = sample.text.contains('~');
    let may_be = sample.starts_with("Fe26.2*") && !is_versioned;
    may_be.then_some(Look::new(Fit::Possible, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::session::tests::vectors::compile;

    fn unread(session_header: serde_json::Value) -> Vec<String> {
        let mut settings = json!({
            "kind": "h3-session", "cookie": "App", "user_id": "/id",
            "secret": "an-example-password-of-at-least-32-characters!!",
        });
        if !session_header.is_null() {
            settings["session_header"] = session_header;
        }
        let source = compile(&settings).unwrap_or_else(|problems| panic!("{problems:?}"));
        source.unread_headers().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_apps_session_header_is_kept_from_it_under_its_own_name() {
        assert_eq!(unread(json!(null)), ["x-app-session"]);
        assert_eq!(unread(json!("X-My-Session")), ["x-my-session"]);
        assert!(unread(json!(false)).is_empty());
    }
}
