//! The session formats, one file each.
//!
//! A format is found by its name in `KINDS`; a new one is a file and a row. They
//! stand behind a trait, not in an enum: nothing outside ever asks which one it
//! is, and twenty-three arms in every method would say nothing.

mod auth0;
mod authjs;
mod better_auth;
mod clerk;
mod cookie_session;
mod django;
mod express_session;
mod fastify_secure_session;
mod firebase;
mod flask;
mod h3_session;
mod introspect;
mod iron_session;
mod jwt;
mod koa_session;
mod laravel;
mod lookup;
mod next_auth;
mod plug;
mod rails;
mod react_router;
mod starlette;
mod supabase;
mod yar;

use serde_json::Value;

use super::codec::claims;
use super::codec::keys::RemoteKeys;
use super::cookie_names::Jar;
use super::settings::Settings;
use super::store::{self, Answer, Check, Question, Store};
use crate::document::{Table, one_of};
use crate::session::{Cookies, Opened, Rejected};

/// One compiled format: keys and rules, no state.
pub(crate) trait Format: Send + Sync {
    /// Finds the cookie, verifies it and reads it, or says what to fetch.
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected>;

    /// Judges what the store answered. Only formats that ask implement it.
    fn answered(
        &self,
        _question: &Question,
        _answer: Answer,
        _now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        Err(store::not_asked())
    }

    /// Where else to look for what the store does not hold.
    fn missed(&self, _question: &Question) -> Option<Check<Opened>> {
        None
    }

    /// The store this source's sessions live in.
    fn store(&self) -> Option<&Store> {
        None
    }

    /// The address at which the app itself is asked.
    fn asked_url(&self) -> Option<&str> {
        None
    }

    /// For how long a result may be remembered; `None` as long as it is valid.
    fn cache_seconds(&self) -> Option<u64> {
        self.store().map(|store| store.cache_seconds)
    }

    fn jar(&self) -> &Jar;

    /// Where sessions of this kind keep the user's id, if they agree on a place.
    fn user_id(&self) -> Option<&str>;

    /// Whether a cookie of this name can change what `open` returns.
    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar().looks_at(name)
    }

    /// Whether a parser could take a name, folded (`passing::fold`), for one of this
    /// source's.
    fn resembles(&self, folded: &[u8]) -> bool {
        self.jar().resembles(folded)
    }

    /// Whether `picked` says which cookies of this name count; the others of the
    /// source's belong to them.
    fn is_judged(&self, name: &[u8]) -> bool {
        self.jar().looks_at(name)
    }

    /// The names of the cookies that `open` picks.
    fn picked(&self, cookies: Cookies<'_>) -> Vec<String> {
        self.jar().picked(cookies)
    }

    /// The session's id in what it says, where the browser has the rest renewed.
    fn renewed_id<'s>(&self, _session: &'s Value) -> Option<&'s str> {
        None
    }

    fn remote_keys(&self) -> Option<&RemoteKeys> {
        None
    }

    /// When the user signed in, in Unix seconds, if the session says so. A time
    /// that moves on when the session is renewed is none, unless only the app can
    /// renew it, from this very cookie. `auth_time`, else `iat` (OpenID Connect
    /// Core section 2).
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        let name = if session.get("auth_time").is_some() { "auth_time" } else { "iat" };
        claims::seconds(session, name).ok().flatten()
    }

    /// The session's id, where the cookie holds one: the same however the cookie
    /// is spelled, and whatever the session holds.
    fn session_id(&self, cookies: Cookies<'_>, now: u64) -> Option<String> {
        self.store()?;
        match self.open(cookies, now) {
            Ok(Check::Ask(question)) => Some(format!("{:?}", question.query)),
            Ok(Check::Known(_)) | Err(_) => None,
        }
    }
}

pub(crate) struct Kind {
    pub name: &'static str,
    /// Compiles the rest of the table; `None` means problems were noted. Every
    /// key is asked for before a reader gives up, or it would count as unknown.
    pub read: fn(&mut Settings<'_, '_>) -> Option<Box<dyn Format>>,
}

const KINDS: &[Kind] = &[
    Kind { name: "auth0", read: auth0::read },
    Kind { name: "authjs", read: authjs::read },
    Kind { name: "better-auth", read: better_auth::read },
    Kind { name: "clerk", read: clerk::read },
    Kind { name: "cookie-session", read: cookie_session::read },
    Kind { name: "django", read: django::read },
    Kind { name: "express-session", read: express_session::read },
    Kind { name: "fastify-secure-session", read: fastify_secure_session::read },
    Kind { name: "firebase", read: firebase::read },
    Kind { name: "flask", read: flask::read },
    Kind { name: "h3-session", read: h3_session::read },
    Kind { name: "introspect", read: introspect::read },
    Kind { name: "iron-session", read: iron_session::read },
    Kind { name: "jwt", read: jwt::read },
    Kind { name: "koa-session", read: koa_session::read },
    Kind { name: "laravel", read: laravel::read },
    Kind { name: "lookup", read: lookup::read },
    Kind { name: "next-auth", read: next_auth::read },
    Kind { name: "plug", read: plug::read },
    Kind { name: "rails", read: rails::read },
    Kind { name: "react-router", read: react_router::read },
    Kind { name: "starlette", read: starlette::read },
    Kind { name: "supabase", read: supabase::read },
    Kind { name: "yar", read: yar::read },
];

/// The kind a table names, or a problem that lists them all.
pub(crate) fn read(table: &mut Table<'_>) -> Option<&'static Kind> {
    let kind = table
        .take_needed("kind", "the name of the app's session format, such as kind = \"next-auth\"")
        .and_then(|at| {
            let name = at.text("the name of a session format")?;
            let kind = KINDS.iter().find(|kind| kind.name == name);
            if kind.is_none() {
                let all: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
                at.wrong(&one_of(name, &all));
            }
            kind
        });
    if kind.is_none() {
        table.give_up();
    }
    kind
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}
