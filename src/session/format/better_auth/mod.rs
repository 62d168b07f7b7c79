//! better-auth: a signed session token, and beside it, if the app caches, the
//! session itself for a few minutes.

mod cache;
mod stored;

use serde_json::Value;

use super::Format;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::cookie_names::{Found, Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};
use cache::Cache;
use stored::Stored;

const HABITS: Habits = Habits { chunks: Some("."), ..Habits::NODE };

struct BetterAuth {
    jar: Jar,
    keys: Vec<MacKey>,
    cache: Option<Cache>,
    stored: Option<Stored>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = read_jar(settings);
    let stored = Stored::read(settings);
    let secrets = settings.secrets();
    let cache = Cache::read(settings, secrets.as_deref().unwrap_or_default());
    if settings.table().peek("store").is_none() && cache.is_none() {
        settings.problem(
            "write [session.cookie_cache] if the app has `cookieCache` enabled, or \
             [session.store]: the session token alone says nothing about the user",
        );
    }
    let keys = secrets?.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes())).collect();
    Some(Box::new(BetterAuth { jar: jar?, keys, cache, stored }))
}

/// `cookie_prefix` and `secure_prefix` make the names, unless `cookie` does.
fn read_jar(settings: &mut Settings<'_, '_>) -> Option<Jar> {
    let prefix = settings.get::<String>("cookie_prefix");
    let prefix = prefix.as_deref().unwrap_or("better-auth");
    let plain = format!("{prefix}.session_token");
    let secure = format!("__Secure-{plain}");
    let configured = settings.table().peek("cookie").is_some();
    let secure_prefix: Option<bool> = settings.get("secure_prefix");
    let jar = settings.jar_named(&plain, HABITS)?;
    Some(match secure_prefix {
        _ if configured => jar,
        Some(true) => jar.renamed(vec![secure]),
        Some(false) => jar,
        None => jar.renamed(vec![secure, plain]),
    })
}

impl Format for BetterAuth {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let token = self.verify_token(&found)?;
        let cached = match &self.cache {
            Some(cache) => {
                let name = data_name(found.name);
                match self.jar.value(&name, cookies)? {
                    Some(data) => cache.open(&data, token, now),
                    None => Err(Rejected::new(Reason::Missing, format!("no cookie `{name}`"))),
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
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let stored = self.stored.as_ref().ok_or_else(store::not_asked)?;
        stored.answered(question, answer, now)
    }

    fn store(&self) -> Option<&Store> {
        self.stored.as_ref().map(Stored::store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/user/id")
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        let data = |own: &String| Jar::new(vec![data_name(own)], HABITS).looks_at(name);
        self.jar.looks_at(name) || self.jar.names().iter().any(data)
    }

    fn resembles(&self, folded: &[u8]) -> bool {
        let data = |own: &String| Jar::new(vec![data_name(own)], HABITS).resembles(folded);
        self.jar.resembles(folded) || self.jar.names().iter().any(data)
    }

    /// `iat` is when the cache was written.
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        stored::session_time(session, "createdAt").ok().flatten()
    }

    /// The token: what the app caches beside it changes every few minutes.
    fn session_id(&self, cookies: Cookies<'_>, _now: u64) -> Option<String> {
        let found = self.jar.find(cookies).ok()?;
        self.verify_token(&found).ok().map(str::to_owned)
    }
}

impl BetterAuth {
    /// `<token>.<MAC>`: the token, if the app signed it.
    fn verify_token<'f>(&self, found: &'f Found<'_, '_>) -> Result<&'f str, Rejected> {
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

/// The cookie with the cached session, beside the one with the token.
fn data_name(token_name: &str) -> String {
    match token_name.strip_suffix("session_token") {
        Some(prefix) => format!("{prefix}session_data"),
        None => format!("{token_name}_data"),
    }
}
