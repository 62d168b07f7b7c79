//! Clerk: a token of about a minute that the browser renews, beside a cookie
//! that says since when anybody is signed in.

use std::cmp::Reverse;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;

use super::Format;
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::keys::{Keys, RemoteKeys};
use crate::session::codec::{claims, jws};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::key_settings;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Reason, Rejected};

const HABITS: Habits = Habits { names: &["__session"], ..Habits::NODE };

/// Categories of session tokens; machine tokens have others.
const CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];

struct Clerk {
    /// Both names, the one with the instance's suffix first.
    jar: Jar,
    pairs: Vec<Pair>,
    keys: Keys,
    authorized_parties: Option<Vec<String>>,
}

/// A session cookie and the cookie that tells since when it may be used.
struct Pair {
    session: String,
    since: String,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let plain = settings.jar(HABITS);
    let publishable_key = settings.secret("publishable_key");
    let authorized_parties = settings.get::<OneOrMany<String>>("authorized_parties");
    if authorized_parties.as_ref().is_some_and(|list| list.0.is_empty()) {
        settings.problem("`authorized_parties` is empty; leave it out to allow every origin");
    }
    let keys = key_settings::public(settings)?;
    let plain = plain?;
    let mut pairs = vec![Pair { session: plain.name().to_owned(), since: "__client_uat".into() }];
    if let Some(key) = publishable_key {
        let suffix = suffix(key.bytes());
        let session = format!("{}_{suffix}", plain.name());
        pairs.insert(0, Pair { session, since: format!("__client_uat_{suffix}") });
    }
    let names = pairs.iter().map(|pair| pair.session.clone()).collect();
    Some(Box::new(Clerk {
        jar: plain.renamed(names),
        pairs,
        keys,
        authorized_parties: authorized_parties.map(|list| list.0),
    }))
}

/// What tells the cookies of several Clerk instances on one site apart.
fn suffix(publishable_key: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, publishable_key);
    URL_SAFE.encode(digest).chars().take(8).collect()
}

impl Format for Clerk {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        // Of two sessions Clerk takes the later one, else the one with the suffix.
        pairs.sort_by_cached_key(|pair| Reverse(self.issued(pair, cookies)));
        let mut rejected = None;
        for pair in pairs {
            match self.open_pair(pair, cookies, now) {
                Ok(Some(opened)) => return Ok(Check::Known(opened)),
                Ok(None) => {}
                Err(reason) => rejected = rejected.or(Some(reason)),
            }
        }
        Err(rejected.unwrap_or_else(|| self.jar.missing()))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/sub")
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar.looks_at(name) || self.pairs.iter().any(|pair| name == pair.since.as_bytes())
    }

    /// Clerk sets both, and takes the later one as `open` does.
    fn picked(&self, _cookies: Cookies<'_>) -> Vec<String> {
        self.jar.names().to_vec()
    }

    /// A new token comes every minute. `fva` says how many minutes ago its user
    /// proved who they are.
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        let minutes = session.pointer("/fva/0")?.as_u64()?;
        let issued = claims::seconds(session, "iat").ok()??;
        issued.checked_sub(minutes.checked_mul(60)?)
    }

    fn renewed_id<'s>(&self, session: &'s Value) -> Option<&'s str> {
        claims::text(session, "sid")
    }

    fn remote_keys(&self) -> Option<&RemoteKeys> {
        self.keys.remote()
    }
}

impl Clerk {
    /// When the token of a pair says it was issued, unless its user signed out.
    /// Nothing is verified yet: this is the order in which they are tried.
    fn issued(&self, pair: &Pair, cookies: Cookies<'_>) -> Option<u64> {
        let since = self.jar.value(&pair.since, cookies).ok()??;
        let token = self.jar.value(&pair.session, cookies).ok()??;
        if *since == *b"0" { None } else { jws::unverified_seconds(&token, "iat") }
    }

    fn open_pair(
        &self,
        pair: &Pair,
        cookies: Cookies<'_>,
        now: u64,
    ) -> Result<Option<Opened>, Rejected> {
        let Some(token) = self.jar.value(&pair.session, cookies)? else { return Ok(None) };
        let token = jws::verify(&token, &*self.keys.current()?, &[Algorithm::RS256])?;
        check_category(&token.header)?;
        let opened = token.session(now)?;
        if opened.expires_at.is_none() {
            return Err(Rejected::new(Reason::MissingExp, "the token has no `exp`"));
        }
        if claims::text(&opened.session, "sub").is_none() {
            return Err(Rejected::new(Reason::NoUser, "`sub` is missing or not a text"));
        }
        claims::begun(&opened.session, "iat", now)?;
        self.check_party(&opened.session)?;
        check_pending(&opened.session)?;
        self.check_signed_in(pair, &opened.session, cookies)?;
        Ok(Some(opened))
    }

    fn check_party(&self, session: &Value) -> Result<(), Rejected> {
        let Some(allowed) = &self.authorized_parties else { return Ok(()) };
        let party = claims::text(session, "azp");
        if party.is_some_and(|party| allowed.iter().any(|own| own == party)) {
            return Ok(());
        }
        let detail = "`azp` is missing or not one of `authorized_parties`";
        Err(Rejected::new(Reason::WrongAudience, detail))
    }

    /// The token outlives a sign-out by up to a minute. This cookie is how the
    /// browser tells servers: 0 is signed out, a later time another session.
    fn check_signed_in(
        &self,
        pair: &Pair,
        session: &Value,
        cookies: Cookies<'_>,
    ) -> Result<(), Rejected> {
        let since = self.jar.value(&pair.since, cookies)?;
        let since = since.and_then(|text| std::str::from_utf8(&text).ok()?.parse::<u64>().ok());
        let issued = claims::seconds(session, "iat")?.unwrap_or(0);
        match since {
            Some(since) if since > 0 && since <= issued => Ok(()),
            _ => {
                let detail = format!(
                    "cookie `{}` is missing, 0 or later than the token: signed out",
                    pair.since
                );
                Err(Rejected::new(Reason::SignedOut, detail))
            }
        }
    }
}

/// Machine tokens and OAuth access tokens are signed with the same key.
fn check_category(header: &Value) -> Result<(), Rejected> {
    if header.get("typ").is_some_and(|kind| kind != "JWT") {
        let detail = "the token's type (`typ`) is not that of a session";
        return Err(Rejected::new(Reason::WrongPurpose, detail));
    }
    match header.get("cat") {
        Some(category) if !CATEGORIES.iter().any(|own| category == own) => {
            let detail = "the token's category (`cat`) is not that of a session";
            Err(Rejected::new(Reason::WrongPurpose, detail))
        }
        _ => Ok(()),
    }
}

fn check_pending(session: &Value) -> Result<(), Rejected> {
    if claims::text(session, "sts") == Some("pending") {
        let detail = "the session is pending (`sts`): the user has not finished signing in";
        return Err(Rejected::new(Reason::NoUser, detail));
    }
    Ok(())
}
