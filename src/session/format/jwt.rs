//! A plain signed token in a cookie: home-grown logins and their many presets.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{claims, jws};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::place_settings::Places;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

struct Jwt {
    keys: Keys,
    algorithms: Vec<Algorithm>,
    types: TokenTypes,
    expected: Expected,
    expiry: Expiry,
}

/// The rule for tokens without `exp`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Optional,
    Required,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "jwt",
    read,
    hints: Hints { names: &["fastapiusersauth", "payload-token"], look, ..Hints::NONE },
    schema: include_str!("jwt.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let names_cookie = settings.table().peek("cookie").is_some();
    let places = Places::read(settings, names_cookie, |it| it.jar(CookieConventions::NODE));
    let expected = Expected {
        issuer: settings.get::<OneOrMany<String>>("issuer").map(|list| list.0),
        audience: settings.get::<OneOrMany<String>>("audience").map(|list| list.0),
    };
    let expiry = match settings.get("require_exp") {
        Some(false) => Expiry::Optional,
        Some(true) | None => Expiry::Required,
    };
    let types = settings.get("types").unwrap_or_default();
    let (keys, algorithms) = key_settings::any(settings)?;
    let shared = keys.clone();
    let compiled = Compiled::in_places(places?, Jwt { keys, algorithms, types, expected, expiry });
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

impl Verify for Jwt {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let token =
            jws::verify(&found.value, &*self.keys.current()?, &self.algorithms, &self.types)?;
        let opened = token.session(now)?;
        if opened.expires_at.is_none() && self.expiry == Expiry::Required {
            let detail = "the token has no `exp`; allow that with require_exp = false";
            return Err(Rejected::new(Reason::MissingExp, detail));
        }
        self.expected.check(&opened.session)?;
        Ok(Check::Known(opened))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    if claims::text(claims, "iss").is_some_and(|issuer| issuer.ends_with("/auth/v1")) {
        return Look::sure("an access token of Supabase");
    }
    Some(Look::new(Fit::Possible, "a signed token (JWT)"))
}
