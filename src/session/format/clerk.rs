//! Clerk: a token valid for about a minute that the browser renews, and a cookie
//! with the time of the sign-in beside it.

use std::cmp::Reverse;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::{Risks, has};
use crate::base::secret::Secret;
use crate::document::{At, OneOrMany};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{claims, jws, spelling};
use crate::session::cookie_names::{CookieConventions, CookieNames, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::place_settings::Places;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["__session"], ..CookieConventions::NODE };

/// Categories of session tokens; machine tokens have others.
const CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];

struct Clerk {
    /// Those with the instance's suffix first.
    pairs: Vec<Pair>,
    keys: Keys,
    authorized_parties: Option<Vec<String>>,
}

/// A session cookie and the cookie with the time from which it may be used.
struct Pair {
    session: String,
    since: String,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "clerk",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        companions: &["__client*", "__clerk_*", "__refresh_*"],
        look,
        key: "key",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks { note, ..Risks::NONE },
    schema: include_str!("clerk.schema.json"),
};

fn note(session: &At<'_>) {
    if !has(session, "authorized_parties") {
        session.warn_of_missing(
            "authorized_parties",
            "found none, so a token made for any origin of your Clerk instance is a session, \
             expected the app's own; write authorized_parties = [\"https://app.example.com\"]",
        );
    }
}

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let names_cookie = settings.table().peek("cookie").is_some();
    let places = Places::read(settings, names_cookie, |settings| settings.jar(CONVENTIONS));
    let publishable_key = settings.secret("publishable_key");
    let authorized_parties = settings.get::<OneOrMany<String>>("authorized_parties");
    if authorized_parties.as_ref().is_some_and(|list| list.0.is_empty()) {
        settings.problem("`authorized_parties` is empty; leave it out to allow every origin");
    }
    let keys = key_settings::public(settings)?;
    let Places { first, second } = places?;
    let (first, pairs) = match first.header() {
        Some(_) => (first, Vec::new()),
        None => paired(first, publishable_key.as_ref()),
    };
    let shared = keys.clone();
    let authorized_parties = authorized_parties.map(|list| list.0);
    let clerk = Clerk { pairs, keys, authorized_parties };
    let compiled = Compiled::in_places(Places { first, second }, clerk);
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

/// The session's cookies, with those of an instance's own suffix, and the cookies beside
/// them.
fn paired(plain: CookieNames, publishable_key: Option<&Secret>) -> (CookieNames, Vec<Pair>) {
    let mut pairs = vec![Pair { session: plain.name().to_owned(), since: "__client_uat".into() }];
    if let Some(key) = publishable_key {
        let suffix = suffix(key.bytes());
        let session = format!("{}_{suffix}", plain.name());
        pairs.insert(0, Pair { session, since: format!("__client_uat_{suffix}") });
    }
    let names = pairs.iter().map(|pair| pair.session.clone()).collect();
    let since = pairs.iter().map(|pair| pair.since.clone()).collect();
    (plain.renamed(names).with_companions(since, None), pairs)
}

/// The suffix that tells the cookies of several Clerk instances on one site apart.
fn suffix(publishable_key: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, publishable_key);
    URL_SAFE.encode(digest).chars().take(8).collect()
}

impl Verify for Clerk {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        if sent.jar.header().is_some() {
            return self.open_token(&sent.find()?.value, now).map(Check::Known);
        }
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        // Of two sessions Clerk picks the later one, else the one with the suffix.
        pairs.sort_by_cached_key(|pair| Reverse(issued(pair, sent)));
        let mut rejected = None;
        for pair in pairs {
            match self.open_pair(pair, sent, now) {
                Ok(Some(opened)) => return Ok(Check::Known(opened)),
                Ok(None) => {}
                Err(reason) => rejected = rejected.or(Some(reason)),
            }
        }
        Err(rejected.unwrap_or_else(|| sent.missing()))
    }

    /// Clerk sets both, and picks the later one as `open` does.
    fn picked(&self, sent: SentCookies<'_>) -> Vec<String> {
        sent.jar.names().to_vec()
    }

    /// A new token comes every minute. `fva` holds the minutes since its user
    /// proved who they are.
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        let minutes = session.pointer("/fva/0")?.as_u64()?;
        let issued = claims::seconds(session, "iat").ok()??;
        issued.checked_sub(minutes.checked_mul(60)?)
    }

    fn renewed_id<'s>(&self, session: &'s Value) -> Option<&'s str> {
        claims::text(session, "sid")
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    Some(if claims.get("sid").is_some() && claims.get("azp").is_some() {
        Look::new(Fit::Likely, "a session token of Clerk")
    } else {
        Look::new(Fit::Remote, "a signed token (JWT)")
    })
}

impl Clerk {
    fn open_pair(
        &self,
        pair: &Pair,
        sent: SentCookies<'_>,
        now: u64,
    ) -> Result<Option<OpenedSession>, Rejected> {
        let Some(token) = sent.value(&pair.session)? else { return Ok(None) };
        let opened = self.open_token(&token, now)?;
        check_signed_in(pair, &opened.session, sent)?;
        Ok(Some(opened))
    }

    fn open_token(&self, token: &[u8], now: u64) -> Result<OpenedSession, Rejected> {
        let token = jws::verify(
            token,
            &*self.keys.current()?,
            &[Algorithm::RS256],
            &TokenTypes::default(),
        )?;
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
        Ok(opened)
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
}

/// The time at which the token of a pair claims to be issued, unless its user
/// signed out.
/// Nothing is verified yet: it only orders the pairs.
fn issued(pair: &Pair, sent: SentCookies<'_>) -> Option<u64> {
    let since = sent.value(&pair.since).ok()??;
    let token = sent.value(&pair.session).ok()??;
    if *since == *b"0" { None } else { jws::unverified_seconds(&token, "iat") }
}

/// The token outlives a sign-out by up to a minute. This cookie is how the
/// browser tells servers: 0 is signed out, a later time another session.
fn check_signed_in(pair: &Pair, session: &Value, sent: SentCookies<'_>) -> Result<(), Rejected> {
    let since = sent.value(&pair.since)?;
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
