//! Firebase: a token signed by Google for one project, which is a session cookie that the
//! app's server made, or the ID token of the browser or mobile app itself.

use std::sync::Arc;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{Key, KeySet, Keys, RemoteKeys};
use crate::session::codec::{claims, jws, spelling};
use crate::session::cookie_names::{CookieConventions, CookieNames, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::place_settings::Places;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

/// The cookie's name is the app's choice; these are the two in the guides.
const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["__session", "session"], ..CookieConventions::NODE };

struct Firebase {
    keys: Keys,
    expected: Expected,
}

/// The two tokens that Google signs for a project, each with its own keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Id,
    SessionCookie,
}

impl Token {
    /// Where Google publishes the certificates.
    const fn certificates(self) -> &'static str {
        match self {
            Self::Id => {
                "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
            }
            Self::SessionCookie => {
                "https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys"
            }
        }
    }

    fn issuer(self, project: &str) -> String {
        match self {
            Self::Id => format!("https://securetoken.google.com/{project}"),
            Self::SessionCookie => format!("https://session.firebase.google.com/{project}"),
        }
    }
}

impl FromNode for Token {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("id-token", Self::Id), ("session-cookie", Self::SessionCookie)])
    }
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "firebase",
    is_as_written: spelling::token,
    read,
    hints: Hints { look, key: "key", ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("firebase.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let names_cookie = settings.table().peek("cookie").is_some();
    let places = Places::read(settings, names_cookie, |settings| settings.jar(CONVENTIONS));
    let project: Option<String> = settings.table().need("project_id", "the Firebase project's id");
    let token = settings.get("token");
    // Known keys, even where the place is wrong.
    let _ = (settings.table().take("certs"), settings.table().take("certs_url"));
    let Places { first, second } = places?;
    let first = compile(settings, first, token, project.as_deref());
    let second = match second {
        Some(jar) => Some(compile(settings, jar, token, project.as_deref())?),
        None => None,
    };
    Some(first?.with_second(second))
}

/// The kind of token is the usual one for its place, unless the settings name one.
fn compile(
    settings: &mut Settings<'_, '_>,
    jar: CookieNames,
    named: Option<Token>,
    project: Option<&str>,
) -> Option<Compiled> {
    let usual = if jar.header().is_some() { Token::Id } else { Token::SessionCookie };
    let token = named.unwrap_or(usual);
    let keys = read_certificates(settings, token)?;
    let expected = Expected {
        issuer: Some(vec![token.issuer(project?)]),
        audience: Some(vec![project?.to_owned()]),
    };
    let shared = keys.clone();
    let compiled = Compiled::new(jar, Firebase { keys, expected });
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

/// `certs` as one JSON document or as a table of certificates by id; without it
/// Google's own list is fetched.
fn read_certificates(settings: &mut Settings<'_, '_>, token: Token) -> Option<Keys> {
    let url = match settings.table().take("certs_url") {
        Some(_) => settings.url("certs_url", ""),
        None => Some(token.certificates().to_owned()),
    };
    let Some(at) = settings.table().take("certs") else {
        let keys = RemoteKeys::new(url?, KeySet::from_certificates);
        return Some(Keys::Remote(Arc::new(keys)));
    };
    if settings.table().peek("certs_url").is_some() {
        settings.problem("`certs` and `certs_url` are both set; keep one of them");
    }
    let secrets = settings.secrets_in(&at)?;
    let set = match (&at.node.value, secrets.as_slice()) {
        (Setting::Text(_), [(_, document)]) => {
            KeySet::from_certificates(document.bytes()).map_err(|problem| at.problem(problem)).ok()
        }
        _ => {
            let keys: Option<Vec<_>> = secrets
                .iter()
                .map(|(id, pem)| Key::from_pem(Some(id.clone()), pem.bytes()))
                .collect();
            if keys.is_none() {
                at.problem("found something other than a PEM certificate");
            }
            keys.map(KeySet::new)
        }
    };
    Some(Keys::Fixed(Arc::new(set?)))
}

impl Verify for Firebase {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let token = jws::verify(
            &found.value,
            &*self.keys.current()?,
            &[Algorithm::RS256],
            &TokenTypes::default(),
        )?;
        if claims::text(&token.header, "kid").is_none() {
            let detail = "the token names no key (`kid`)";
            return Err(Rejected::new(Reason::UnknownKid, detail));
        }
        let opened = token.session(now)?;
        self.expected.check(&opened.session)?;
        if opened.session.get("aud").is_some_and(serde_json::Value::is_array) {
            let detail = "`aud` is a list; a session cookie has one project";
            return Err(Rejected::new(Reason::WrongAudience, detail));
        }
        if opened.expires_at.is_none() {
            return Err(Rejected::new(Reason::MissingExp, "the token has no `exp`"));
        }
        for time in ["iat", "auth_time"] {
            claims::begun(&opened.session, time, now)?;
        }
        let subject = claims::text(&opened.session, "sub").unwrap_or_default();
        if !(1..=128).contains(&subject.chars().count()) {
            let detail = "`sub` is missing, empty or longer than 128 characters";
            return Err(Rejected::new(Reason::NoUser, detail));
        }
        Ok(Check::Known(opened))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    let issuer = claims::text(claims, "iss").unwrap_or_default();
    if issuer.starts_with("https://session.firebase.google.com/") {
        return Look::sure("a Firebase session cookie");
    }
    if issuer.starts_with("https://securetoken.google.com/") {
        return Look::sure(
            "a Firebase ID token (token = \"id-token\"), which is not a session cookie",
        );
    }
    // Google's tokens name no authorized party.
    let text = "a signed token (JWT)";
    claims.get("azp").is_none().then_some(Look::new(Fit::Remote, text))
}
