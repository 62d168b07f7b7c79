//! A plain signed token in a cookie: home-grown logins and their many presets.
//!
//! Apps carry it in many ways (`token_text`), split it over several cookies, or name the
//! cookie after the user.

use std::borrow::Cow;

use super::jwt_advice;
use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::{Risks, has};
use crate::base::secret::Secret;
use crate::document::{At, OneOrMany};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::token_purpose::TokenPurpose;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{claims, jws, spelling, token_text};
use crate::session::cookie_names::{CookieConventions, CookieNames, SentCookies};
use crate::session::cookie_pattern::CookiePattern;
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::place_settings::Places;
use crate::session::pointer::Pointer;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

/// The claim in which @hono/oidc-auth keeps the end of the session, without `exp`.
const SESSION_END: &str = "ssnexp";

struct Jwt {
    carrier: Carrier,
    purpose: TokenPurpose,
    keys: Keys,
    algorithms: Vec<Algorithm>,
    types: TokenTypes,
    expected: Expected,
    expiry: Expiry,
}

/// The cookies that carry the token.
enum Carrier {
    /// One of those the jar names: JSON, if there is a pointer into it.
    One(Option<Pointer>),
    /// The one of the user who signed in last.
    OfUser(CookiePattern, Option<Pointer>),
    /// Parts of the token in these, in their order.
    Split(Vec<String>),
}

/// The rule for tokens without `exp`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Optional,
    Required,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "jwt",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        names: &["fastapiusersauth", "payload-token"],
        // Flask-JWT-Extended.
        companions: &["csrf_access_token", "csrf_refresh_token", "refresh_token_cookie"],
        look,
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks { note, ..Risks::NONE },
    schema: include_str!("jwt.schema.json"),
};

fn note(session: &At<'_>) {
    if !["audience", "require", "types"].iter().any(|key| has(session, key)) {
        session.warn_of_missing(
            "audience",
            "found none, so every token signed by this key is a session, even one for resetting a \
             password, expected the `aud` of the app's sessions; write audience = \"…\"",
        );
    }
    if has(session, "jwks_url") && !has(session, "issuer") {
        session.warn_of_missing(
            "issuer",
            "found none beside `jwks_url`, whose keys may serve several issuers, expected the \
             `iss` of the app's sessions; write issuer = \"https://…\"",
        );
    }
}

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    // Read whole before giving up, so that one wrong value does not make another key
    // unknown.
    let carried = Carrier::from_settings(settings);
    let purpose = TokenPurpose::beside(settings.table().peek("require").as_ref());
    let expected = Expected {
        issuer: settings.get::<OneOrMany<String>>("issuer").map(|list| list.0),
        audience: settings.get::<OneOrMany<String>>("audience").map(|list| list.0),
    };
    let ends_elsewhere = settings.table().peek("expires_at").is_some();
    let expiry = match settings.get("require_exp") {
        Some(false) => Expiry::Optional,
        None if ends_elsewhere => Expiry::Optional,
        Some(true) | None => Expiry::Required,
    };
    let types = settings.get("types").unwrap_or_default();
    let keys = key_settings::any(settings);
    let (carrier, places) = carried?;
    let (keys, algorithms) = keys?;
    let shared = keys.clone();
    let verifier = Jwt { carrier, purpose, keys, algorithms, types, expected, expiry };
    let compiled = Compiled::in_places(places, verifier);
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

impl Carrier {
    fn from_settings(settings: &mut Settings<'_, '_>) -> Option<(Self, Places)> {
        let token: Option<Pointer> = settings.get("token");
        let last_user: Option<String> = settings.get("cookie_user");
        let is_split = settings.table().peek("cookies").is_some();
        let names_cookie = is_split || settings.table().peek("cookie").is_some();
        let mut carrier = None;
        let places = Places::read(settings, names_cookie, |settings| {
            let (jar, own) = Self::of_cookies(settings, is_split, token.clone(), last_user)?;
            carrier = Some(own);
            Some(jar)
        })?;
        if !names_cookie {
            settings.table().take("cookies");
        }
        Some((carrier.unwrap_or(Self::One(token)), places))
    }

    fn of_cookies(
        settings: &mut Settings<'_, '_>,
        is_split: bool,
        token: Option<Pointer>,
        last_user: Option<String>,
    ) -> Option<(CookieNames, Self)> {
        let jar = settings.jar_of_several(CookieConventions::NODE)?;
        if is_split {
            if token.is_some() || last_user.is_some() {
                settings.problem(
                    "`cookies` are the parts of one token; leave out `token` and `cookie_user`",
                );
            }
            let names = jar.names().to_vec();
            let (first, others) = names.split_first()?;
            let jar = jar.renamed(vec![first.clone()]).with_companions(others.to_vec(), None);
            return Some((jar, Self::Split(names)));
        }
        let is_given = last_user.is_some();
        let Some(pattern) = CookiePattern::parse(jar.name(), last_user) else {
            if is_given {
                settings
                    .problem("`cookie_user` needs a `*` in `cookie`, in place of the user's name");
            }
            return Some((jar, Self::One(token)));
        };
        Some((jar.with_pattern(pattern.clone()), Self::OfUser(pattern, token)))
    }

    /// The token, wherever it is.
    fn token<'r>(&self, sent: SentCookies<'r>) -> Result<Cow<'r, [u8]>, Rejected> {
        let (value, at) = match self {
            // A header holds the token alone.
            _ if sent.jar.header().is_some() => return Ok(sent.find()?.value),
            Self::One(at) => (sent.find()?.value, at),
            Self::OfUser(pattern, at) => (pattern.find(sent.cookies)?.1, at),
            Self::Split(names) => return joined(names, sent),
        };
        match value {
            // Nearly every token stands alone.
            value if at.is_none() && value.starts_with(b"eyJ") && is_plain(&value) => Ok(value),
            Cow::Borrowed(value)
                if !value.contains(&b'{') && sent.cookies.has_bare_blank(value) =>
            {
                Err(Rejected::malformed("the cookie's value has a blank outside quotes"))
            }
            Cow::Borrowed(value) => token_text::find(value, at.as_ref()),
            Cow::Owned(value) => {
                token_text::find(&value, at.as_ref()).map(|token| Cow::Owned(token.into_owned()))
            }
        }
    }
}

/// Whether the value has the parts of a token and no others.
fn is_plain(value: &[u8]) -> bool {
    value.iter().filter(|&&b| b == b'.').count() == 2
}

/// The token that was split, with a dot between its parts.
fn joined<'r>(names: &[String], sent: SentCookies<'r>) -> Result<Cow<'r, [u8]>, Rejected> {
    let mut parts = Vec::with_capacity(names.len());
    for name in names {
        let Some(value) = sent.value(name)? else {
            if parts.is_empty() && names.iter().all(|name| sent.raw(name).is_none()) {
                return Err(sent.missing());
            }
            let detail = format!("cookie `{name}`, which holds a part of the token, is missing");
            return Err(Rejected::new(Reason::Missing, detail));
        };
        parts.push(value);
    }
    Ok(Cow::Owned(parts.join(&b'.')))
}

impl Verify for Jwt {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let token = self.carrier.token(sent)?;
        let token = jws::verify(&token, &*self.keys.current()?, &self.algorithms, &self.types)?;
        self.purpose.check(&token.header, &token.claims)?;
        let mut opened = token.session(now)?;
        let ends = [opened.expires_at, claims::seconds(&opened.session, SESSION_END)?];
        opened.expires_at = ends.into_iter().flatten().min();
        if opened.expires_at.is_none() && self.expiry == Expiry::Required {
            let detail = "the token has no `exp`; name the claim that holds its end, as in \
                          expires_at = \"/ssnexp\", or accept tokens that never expire with \
                          require_exp = false";
            return Err(Rejected::new(Reason::MissingExp, detail));
        }
        self.expected.check(&opened.session)?;
        Ok(Check::Known(opened))
    }

    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, secrets: &[Secret]) -> Vec<String> {
        let Ok(token) = self.carrier.token(sent) else { return Vec::new() };
        let verifies = |token: &[u8]| {
            let keys = self.keys.current();
            keys.is_ok_and(|keys| jws::verify(token, &keys, &self.algorithms, &self.types).is_ok())
        };
        let advised = match why.reason {
            Reason::BadSignature => jwt_advice::encoded_secret(&token, &self.algorithms, secrets),
            Reason::Malformed => jwt_advice::split(sent.jar.name(), &token, sent, verifies),
            _ => {
                let keys = self.keys.current().ok();
                jwt_advice::other_algorithm(&token, why, keys.as_deref())
            }
        };
        advised.into_iter().collect()
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    if claims::text(claims, "iss").is_some_and(|issuer| issuer.ends_with("/auth/v1")) {
        return Look::sure("an access token of Supabase");
    }
    Some(Look::new(Fit::Possible, "a signed token (JWT)"))
}
