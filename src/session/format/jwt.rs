//! A plain signed token in a cookie: home-grown logins and their many presets.

use super::Format;
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::jws;
use crate::session::codec::keys::{Keys, RemoteKeys};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::key_settings;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Reason, Rejected};

struct Jwt {
    jar: Jar,
    keys: Keys,
    algorithms: Vec<Algorithm>,
    expected: Expected,
    expiry: Expiry,
}

/// Whether a token without `exp` is a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Optional,
    Required,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(Habits::NODE);
    let expected = Expected {
        issuer: settings.get::<OneOrMany<String>>("issuer").map(|list| list.0),
        audience: settings.get::<OneOrMany<String>>("audience").map(|list| list.0),
    };
    let expiry = match settings.get("require_exp") {
        Some(false) => Expiry::Optional,
        Some(true) | None => Expiry::Required,
    };
    let (keys, algorithms) = key_settings::any(settings)?;
    Some(Box::new(Jwt { jar: jar?, keys, algorithms, expected, expiry }))
}

impl Format for Jwt {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let token = jws::verify(&found.value, &*self.keys.current()?, &self.algorithms)?;
        let opened = token.session(now)?;
        if opened.expires_at.is_none() && self.expiry == Expiry::Required {
            let detail = "the token has no `exp`; allow that with require_exp = false";
            return Err(Rejected::new(Reason::MissingExp, detail));
        }
        self.expected.check(&opened.session)?;
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
