//! A session kind: its row in the list, its compiled settings, and the part that
//! verifies.
//!
//! Verifiers stand behind a trait, not in an enum: nothing outside ever asks which one it
//! is, so an arm for each in every method would be noise.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderName;

use serde_json::Value;

use super::risks::Risks;
use crate::base::secret::Secret;
use crate::session::codec::claims;
use crate::session::codec::verifying_keys::{KeySet, Keys, RemoteKeys};
use crate::session::cookie_names::{CookieNames, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::place_settings::Places;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Question, StoreAnswer};
use crate::session::store_settings::StoreSettings;
use crate::session::value_notation::{Look, Sample};

/// One kind, as its own file declares it.
pub(in crate::session) struct SessionKind {
    pub name: &'static str,
    /// Compiles the rest of the table; `None` means problems were noted. A reader asks for
    /// every key before it gives up, or the key would count as unknown.
    pub read: fn(&mut Settings<'_, '_>) -> Option<Compiled>,
    /// Whether the framework could have written this value, decoded as cookies are, to the
    /// letter: then it cannot be another spelling of a session. False where nobody knows.
    pub is_as_written: fn(&[u8]) -> bool,
    pub hints: Hints,
    /// Names of the cookies by which the framework, or the usual package for it, signs a
    /// user in again; `*` is any text.
    pub remember_cookies: &'static [&'static str],
    pub risks: Risks,
    /// A JSON object of schemas: one for each form of the kind's table.
    pub schema: &'static str,
}

/// Hints for an operator whose cookie is refused; they decide nothing.
pub(in crate::session) struct Hints {
    /// Cookie names that give the kind away, without their prefix; `*` is any text.
    pub names: &'static [&'static str],
    /// Names, written like those, of other cookies that the library sets: none of them is a
    /// session.
    pub companions: &'static [&'static str],
    /// Recognises the member of a session that holds a user's id, where its name varies.
    pub is_user: fn(&str) -> bool,
    /// Recognises a value of this kind.
    pub look: fn(&Sample<'_>) -> Option<Look>,
    /// The word for what signs: `secret` or `key`.
    pub key: &'static str,
    /// Other settings a signature depends on; starts with `; `.
    pub also_check: &'static str,
    /// Completes "the value is only an id, …".
    pub bare_id: &'static str,
}

impl Hints {
    pub(super) const NONE: Self = Self {
        names: &[],
        companions: &[],
        is_user: |_| false,
        look: |_| None,
        key: "secret",
        also_check: "",
        bare_id: "and the session is in the app's store: write kind = \"lookup\" with \
                  [session.store], if that is Redis, a database or a folder",
    };
    /// For the libraries that keep sessions in the table of an Auth.js adapter.
    pub(super) const ADAPTER: Self = Self {
        bare_id: "as the database strategy of NextAuth and Auth.js writes it: write kind = \
                  \"lookup\" with [session.store], table = \"Session\", id_column = \
                  \"sessionToken\", user_column = \"userId\" and expires_column = \"expires\", \
                  or the names of the app's adapter",
        ..Self::NONE
    };
}

/// A `[session]` table, compiled: keys and rules, no state.
#[derive(Clone)]
pub(in crate::session) struct Compiled {
    pub jar: Arc<CookieNames>,
    /// The same kind of session in a second place of the request.
    pub second: Option<Box<Self>>,
    /// The pointer to the user's id, if sessions of this kind agree on one.
    pub user_id: Option<Cow<'static, str>>,
    /// The store this source's sessions live in.
    pub store: Option<StoreSettings>,
    /// The address at which the app itself is asked.
    pub app_url: Option<String>,
    /// Seconds a result may be remembered; `None` means as long as it is valid.
    pub cache_seconds: Option<u64>,
    /// Keys that are fetched; the verifier shares them.
    pub remote_keys: Option<Arc<RemoteKeys>>,
    /// Keys that stand in the settings; the verifier shares them.
    pub fixed_keys: Option<Arc<KeySet>>,
    /// Opening a cookie takes milliseconds, forged or not.
    pub opens_slowly: bool,
    /// Headers in which the framework would look for a session before the cookie. They
    /// are not verified here, so they never reach the app.
    pub unread_headers: Vec<HeaderName>,
    pub verifier: Arc<dyn Verify>,
}

impl Compiled {
    pub(super) fn new(jar: CookieNames, verifier: impl Verify + 'static) -> Self {
        Self {
            jar: Arc::new(jar),
            second: None,
            user_id: None,
            store: None,
            app_url: None,
            cache_seconds: None,
            remote_keys: None,
            fixed_keys: None,
            opens_slowly: false,
            unread_headers: Vec::new(),
            verifier: Arc::new(verifier),
        }
    }

    /// For a session that may come in a cookie, in a header or in both.
    pub(super) fn in_places(places: Places, verifier: impl Verify + 'static) -> Self {
        let Places { first, second } = places;
        let compiled = Self::new(first, verifier);
        match second {
            Some(jar) => {
                let second = Self { jar: Arc::new(jar), ..compiled.clone() };
                Self { second: Some(Box::new(second)), ..compiled }
            }
            None => compiled,
        }
    }

    /// The same with another compiled beside it, for another place of the request.
    pub(super) fn with_second(self, second: Option<Self>) -> Self {
        Self { second: second.map(Box::new), ..self }
    }

    /// The same change to both places.
    fn map(mut self, change: &dyn Fn(Self) -> Self) -> Self {
        let second = self.second.take().map(|second| change(*second));
        change(self).with_second(second)
    }

    pub(super) fn with_user_id(self, at: impl Into<Cow<'static, str>>) -> Self {
        let at = at.into();
        self.map(&|compiled| Self { user_id: Some(at.clone()), ..compiled })
    }

    pub(super) fn with_store(self, store: Option<StoreSettings>) -> Self {
        let cache_seconds = store.as_ref().map(|store| store.cache_seconds);
        Self { store, cache_seconds, ..self }
    }

    pub(super) fn with_keys(self, keys: Option<Keys>) -> Self {
        let Some(keys) = keys else { return self };
        self.map(&|compiled| match &keys {
            Keys::Fixed(set) => Self { fixed_keys: Some(set.clone()), ..compiled },
            Keys::Remote(remote) => Self { remote_keys: Some(remote.clone()), ..compiled },
        })
    }
}

/// The part of a kind that holds logic.
pub(in crate::session) trait Verify: Send + Sync {
    /// Finds the cookie, verifies it and reads it, or says what to fetch.
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected>;

    /// As `open`, with the id of the session where only opening the cookie tells it: the
    /// same in all cookies of the session, whatever else they hold.
    fn open_with_id(
        &self,
        sent: SentCookies<'_>,
        now: u64,
    ) -> Result<(Check<OpenedSession>, Option<String>), Rejected> {
        Ok((self.open(sent, now)?, None))
    }

    /// Judges the store's answer. Only kinds that ask implement it.
    fn answered(
        &self,
        _question: &Question,
        _answer: StoreAnswer,
        _now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        Err(store::not_asked())
    }

    /// A second question for a session that the store does not hold.
    fn missed(&self, _question: &Question) -> Option<Check<OpenedSession>> {
        None
    }

    /// The session's id, where the cookie holds one beside the question for the
    /// store: the same however the cookie is spelled, and whatever the session
    /// holds.
    fn session_id(&self, _sent: SentCookies<'_>) -> Option<String> {
        None
    }

    /// The session's id in its content, where the browser has the rest renewed.
    fn renewed_id<'s>(&self, _session: &'s Value) -> Option<&'s str> {
        None
    }

    /// The time of the sign-in in Unix seconds, if the session tells it. A time that
    /// moves on when the session is renewed does not count, unless only the app can
    /// renew it, from this very cookie. `auth_time`, else `iat` (OpenID Connect
    /// Core section 2).
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        let name = if session.get("auth_time").is_some() { "auth_time" } else { "iat" };
        claims::seconds(session, name).ok().flatten()
    }

    /// Whether the framework itself counts a session's end from the second in which it
    /// writes the cookie, so that no later one has the same.
    fn dates_its_end(&self) -> bool {
        false
    }

    /// Advice to an operator about this refusal, where only the kind can tell: the
    /// likeliest first, and nothing that cannot help. `secrets` are those of the settings.
    fn advice(&self, _sent: SentCookies<'_>, _why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        Vec::new()
    }

    /// The names of the cookies that `open` picks.
    fn picked(&self, sent: SentCookies<'_>) -> Vec<String> {
        sent.picked()
    }

    /// Whether `picked` says which cookies of this name count; the source's other
    /// cookies belong to them.
    fn is_judged(&self, jar: &CookieNames, name: &[u8]) -> bool {
        jar.is_own(name)
    }
}
