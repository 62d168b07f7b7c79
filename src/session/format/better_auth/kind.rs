//! better-auth: a signed session token, and beside it, if the app caches, the
//! session itself for a few minutes.

use serde_json::Value;

use super::cache::Cache;
use super::stored::{self, Stored};
use crate::base::secret::Secret;
use crate::base::text::percent_decode;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::spelling;
use crate::session::cookie_names::{CookieConventions, CookieNames, FoundCookie, SentCookies};
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Question, StoreAnswer};
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { chunks: Some("."), ..CookieConventions::NODE };

struct BetterAuth {
    keys: Vec<MacKey>,
    cache: Option<Cache>,
    stored: Option<Stored>,
}

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "better-auth",
    is_as_written: spelling::better_auth,
    read,
    hints: Hints {
        names: &["better-auth.session_data", "better-auth.session_token"],
        // Before the dot stands the app's `cookiePrefix`.
        companions: &[
            "*.account_data",
            "*.admin_session",
            "*.dont_remember",
            "*.oauth_state",
            "*.pk_code_verifier",
            "*.state",
            "*.trust_device",
            "*.two_factor",
            "better-auth-passkey",
        ],
        look,
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = read_jar(settings);
    let stored = Stored::from_settings(settings);
    let secrets = settings.secrets();
    let cache = Cache::from_settings(settings, secrets.as_deref().unwrap_or_default());
    let published = cache.as_ref().and_then(Cache::published_keys);
    if settings.table().peek("store").is_none() && cache.is_none() {
        settings.problem(
            "write [session.cookie_cache] if the app has `cookieCache` enabled, or \
             [session.store]: the session token alone says nothing about the user",
        );
    }
    let keys = secrets?.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes())).collect();
    let jar = jar?;
    let data = jar.names().iter().map(|own| data_name(cache.as_ref(), own)).collect();
    let jar = jar.with_companions(data, CONVENTIONS.chunks);
    let (store, stored) = stored.unzip();
    let compiled = Compiled::new(jar, BetterAuth { keys, cache, stored });
    Some(compiled.with_user_id("/user/id").with_store(store).with_keys(published))
}

/// `cookie_prefix` and `secure_prefix` make the names, unless `cookie` does.
fn read_jar(settings: &mut Settings<'_, '_>) -> Option<CookieNames> {
    let prefix = settings.get::<String>("cookie_prefix");
    let prefix = prefix.as_deref().unwrap_or("better-auth");
    let plain = format!("{prefix}.session_token");
    let secure = format!("__Secure-{plain}");
    let configured = settings.table().peek("cookie").is_some();
    let secure_prefix: Option<bool> = settings.get("secure_prefix");
    let jar = settings.jar_named(&plain, CONVENTIONS)?;
    Some(match secure_prefix {
        _ if configured => jar,
        Some(true) => jar.renamed(vec![secure]),
        Some(false) => jar,
        None => jar.renamed(vec![secure, plain]),
    })
}

impl Verify for BetterAuth {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let token = self.verify_token(&found)?;
        let cached = match &self.cache {
            Some(cache) => {
                let name = data_name(Some(cache), found.name);
                match sent.value(&name)? {
                    Some(data) => cache.open(&data, token, now),
                    None => Err(missing_cache(&name)),
                }
            }
            None => Err(store::not_asked()),
        };
        match (cached, &self.stored) {
            (Ok(opened), _) => Ok(Check::Known(opened)),
            (Err(_), Some(stored)) => {
                store::check_signed_id(token)?;
                Ok(stored.question(token))
            }
            (Err(rejected), None) => Err(rejected),
        }
    }

    fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let stored = self.stored.as_ref().ok_or_else(store::not_asked)?;
        stored.answered(question, answer, now)
    }

    /// The token: the app's cache beside it changes every few minutes.
    fn session_id(&self, sent: SentCookies<'_>) -> Option<String> {
        let found = sent.find().ok()?;
        self.verify_token(&found).ok().map(str::to_owned)
    }

    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let Some(cache) = &self.cache else { return Vec::new() };
        let Ok(found) = sent.find() else { return Vec::new() };
        if self.verify_token(&found).is_err() {
            return Vec::new();
        }
        let own = data_name(Some(cache), found.name);
        if let Ok(Some(data)) = sent.value(&own) {
            return cache.other_strategy(&data, why).into_iter().collect();
        }
        // Under which name does the app cache it?
        let renamed = sent.cookies.iter().find_map(|(name, value)| {
            let value = percent_decode(value);
            let is_other = name != found.name.as_bytes() && Cache::is_like(&value);
            let name = std::str::from_utf8(name).ok().filter(|_| is_other)?;
            let name = name.trim_end_matches(".0");
            Some(format!(
                "cookie {name:?} looks like the cache; write cookie = {name:?} in \
                 [session.cookie_cache]"
            ))
        });
        renamed.into_iter().collect()
    }

    /// `iat` is the time at which the cache was written.
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        stored::session_time(session, "createdAt")
    }
}

/// Shorter texts are not tokens, although other cookies are signed in the same way.
const SHORTEST_TOKEN: usize = 16;

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Signed { content, mac } if mac.len() == 44 => {
            let fit = if content.len() >= SHORTEST_TOKEN { Fit::Sure } else { Fit::Shared };
            Some(Look::new(fit, "a session token of better-auth"))
        }
        _ if sample.is_encrypted_with("A256CBC-HS512") => {
            Some(Look::new(Fit::Possible, "an encrypted token of Auth.js 5"))
        }
        _ => None,
    }
}

impl BetterAuth {
    /// `<token>.<MAC>`: the token, if the app signed it.
    fn verify_token<'f>(&self, found: &'f FoundCookie<'_>) -> Result<&'f str, Rejected> {
        let parts = found.text()?.rsplit_once('.');
        let signed = parts.filter(|(_, signature)| signature.len() == 44);
        let Some((token, signature)) = signed else {
            let detail = "the session token is not followed by a signature of 44 characters";
            return Err(Rejected::new(Reason::BadSignature, detail));
        };
        let signature = base64::decode(signature).unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(token.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        Ok(token)
    }
}

fn missing_cache(name: &str) -> Rejected {
    let detail = format!(
        "no cookie `{name}`, in which the app caches the session for some minutes: open one of its \
         pages again, or let the gateway ask its database with [session.store]"
    );
    Rejected::new(Reason::Missing, detail)
}

/// The cookie with the cached session, beside the one with the token.
fn data_name(cache: Option<&Cache>, token_name: &str) -> String {
    if let Some(name) = cache.and_then(Cache::cookie) {
        return name.to_owned();
    }
    match token_name.strip_suffix("session_token") {
        Some(prefix) => format!("{prefix}session_data"),
        None => format!("{token_name}_data"),
    }
}
