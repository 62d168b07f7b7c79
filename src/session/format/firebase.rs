//! Firebase session cookies: a token signed by Google for one project.

use std::sync::Arc;

use super::Format;
use crate::document::Value as Setting;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::keys::{Key, KeySet, Keys, RemoteKeys};
use crate::session::codec::{claims, jws};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Reason, Rejected};

/// The cookie's name is the app's choice; these are the two in the guides.
const HABITS: Habits = Habits { names: &["__session", "session"], ..Habits::NODE };

const CERTIFICATES: &str = "https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys";

struct Firebase {
    jar: Jar,
    keys: Keys,
    expected: Expected,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let project: Option<String> = settings.table().need("project_id", "the Firebase project's id");
    let keys = read_certificates(settings)?;
    let project = project?;
    let expected = Expected {
        issuer: Some(vec![format!("https://session.firebase.google.com/{project}")]),
        audience: Some(vec![project]),
    };
    Some(Box::new(Firebase { jar: jar?, keys, expected }))
}

/// `certs` as one JSON document or as a table of certificates by id; without it
/// Google's own list is fetched.
fn read_certificates(settings: &mut Settings<'_, '_>) -> Option<Keys> {
    let url = match settings.table().take("certs_url") {
        Some(_) => settings.url("certs_url", ""),
        None => Some(CERTIFICATES.to_owned()),
    };
    let Some(at) = settings.table().take("certs") else {
        return Some(Keys::Remote(RemoteKeys::new(url?, KeySet::from_certificates)));
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
                at.problem("found something that is not a certificate in PEM form");
            }
            keys.map(KeySet::new)
        }
    };
    Some(Keys::Fixed(Arc::new(set?)))
}

impl Format for Firebase {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let token = jws::verify(&found.value, &*self.keys.current()?, &[Algorithm::RS256])?;
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

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/sub")
    }

    fn remote_keys(&self) -> Option<&RemoteKeys> {
        self.keys.remote()
    }
}
