//! Supabase SSR: a JSON envelope in chunks. Only the access token inside it is signed; the
//! user beside it is only what the browser says.

use std::borrow::Cow;

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::{self, Expected};
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{base64, json, jws, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::place_settings::Places;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { chunks: Some("."), ..CookieConventions::NODE };

struct Supabase {
    keys: Keys,
    algorithms: Vec<Algorithm>,
    types: TokenTypes,
    expected: Expected,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "supabase",
    is_as_written: spelling::unknown,
    read,
    hints: Hints {
        names: &["sb-*-auth-token"],
        companions: &["sb-*-auth-token-code-verifier"],
        look,
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("supabase.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let project: Option<String> = settings.get("project_ref");
    let names_cookie = project.is_some() || settings.table().peek("cookie").is_some();
    let places = Places::read(settings, names_cookie, |settings| match project {
        Some(project) => settings.jar_named(&format!("sb-{project}-auth-token"), CONVENTIONS),
        None if names_cookie => settings.jar(CONVENTIONS),
        None => {
            settings.problem(
                "`project_ref` is missing; write the project's id (or `cookie`, or `header`)",
            );
            settings.jar_named("sb-auth-token", CONVENTIONS)
        }
    });
    let audience = settings.get::<OneOrMany<String>>("audience").map(|list| list.0);
    let expected = Expected {
        issuer: settings.get::<OneOrMany<String>>("issuer").map(|list| list.0),
        audience: Some(audience.unwrap_or_else(|| vec!["authenticated".to_owned()])),
    };
    let types = settings.get("types").unwrap_or_default();
    let (keys, algorithms) = key_settings::any(settings)?;
    let shared = keys.clone();
    let compiled = Compiled::in_places(places?, Supabase { keys, algorithms, types, expected });
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

impl Verify for Supabase {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        // In a header, the token stands alone.
        let token = match sent.jar.header() {
            Some(_) => found.value,
            None => Cow::Owned(enclosed_token(&found.value)?),
        };
        let token = jws::verify(&token, &*self.keys.current()?, &self.algorithms, &self.types)?;
        let opened = token.session(now)?;
        if opened.session.get("sub").is_none() {
            // The anon and service keys are validly signed, but no user's.
            let detail = "the access token has no `sub`";
            return Err(Rejected::new(Reason::NoUser, detail));
        }
        self.expected.check(&opened.session)?;
        if opened.expires_at.is_none() {
            return Err(Rejected::new(Reason::MissingExp, "the access token has no `exp`"));
        }
        Ok(Check::Known(opened))
    }

    /// The token is renewed every hour; `amr` holds the times of the sign-ins.
    fn signed_in_at(&self, session: &Value) -> Option<u64> {
        let methods = session.get("amr")?.as_array()?.iter();
        methods.filter_map(|method| claims::seconds(method, "timestamp").ok()?).max()
    }

    fn renewed_id<'s>(&self, session: &'s Value) -> Option<&'s str> {
        claims::text(session, "session_id")
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    sample.starts_with("base64-").then_some(Look::new(Fit::Sure, "a Supabase session"))
}

fn read_envelope(value: &[u8]) -> Result<Value, Rejected> {
    match value.strip_prefix(b"base64-") {
        Some(encoded) => {
            let text = base64::url_decode(encoded)
                .ok_or_else(|| Rejected::malformed("what follows `base64-` is not base64url"))?;
            json::parse(&text)
        }
        None => json::parse(value),
    }
}

fn enclosed_token(value: &[u8]) -> Result<Vec<u8>, Rejected> {
    let envelope = read_envelope(value)?;
    let token = access_token(&envelope)
        .ok_or_else(|| Rejected::malformed("the session has no access token"))?;
    Ok(token.as_bytes().to_vec())
}

/// A member of the envelope, or the first item of the list older helpers wrote.
fn access_token(envelope: &Value) -> Option<&str> {
    envelope.get("access_token").or_else(|| envelope.get(0))?.as_str()
}
