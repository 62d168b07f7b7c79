//! A plain signed token in a cookie: home-grown logins and their many presets.

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use super::Format;
use crate::document::{At, OneOrMany};
use crate::session::codec::claims::Expected;
use crate::session::codec::jws::{self, Algorithms};
use crate::session::codec::keys::{Key, KeySet, Keys, RemoteKeys};
use crate::session::jar::{Habits, Jar};
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
        issuer: settings.get("issuer"),
        audience: settings.get::<OneOrMany<String>>("audience").map(|list| list.0),
    };
    let expiry = match settings.get("require_exp") {
        Some(false) => Expiry::Optional,
        Some(true) | None => Expiry::Required,
    };
    let (keys, algorithms) = read_keys(settings)?;
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

/// The keys from `secret`, `public_key`, `jwks` or `jwks_url`, and what they may
/// be used with.
pub(super) fn read_keys(settings: &mut Settings<'_, '_>) -> Option<(Keys, Vec<Algorithm>)> {
    const WAYS: [&str; 5] = ["secret", "secrets", "public_key", "jwks", "jwks_url"];
    let located = settings.table().take("algorithms");
    let allowed = located.as_ref().and_then(At::read::<Algorithms>);
    let set: Vec<_> = WAYS.into_iter().filter(|way| settings.table().peek(way).is_some()).collect();
    for way in WAYS {
        settings.table().take(way);
    }
    if let Some(url) = settings.get::<String>("jwks_url") {
        one_way(&set, settings)?;
        let algorithms = allowed.map_or_else(
            || vec![Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
            |allowed| allowed.0,
        );
        return Some((Keys::Remote(RemoteKeys::new(url, KeySet::from_jwks)), algorithms));
    }
    let keys = read_fixed(settings);
    one_way(&set, settings)?;
    let keys = keys?;
    let algorithms = match (located, allowed) {
        (Some(at), allowed) => {
            let allowed = allowed?.0;
            if !keys.fits_any(&allowed) {
                at.problem("none of these algorithms fits the type of the key");
                return None;
            }
            allowed
        }
        (None, _) => keys.usual_algorithms(),
    };
    Some((Keys::Fixed(Arc::new(keys)), algorithms))
}

/// As `read_keys`, for kinds that never use a shared secret.
pub(super) fn read_public_keys(settings: &mut Settings<'_, '_>) -> Option<Keys> {
    for secret in ["secret", "secrets"] {
        if settings.table().peek(secret).is_some() {
            settings.problem(format!("this kind has no `{secret}`; write `public_key` or `jwks`"));
            return None;
        }
    }
    read_keys(settings).map(|(keys, _)| keys)
}

/// Exactly one way to say where keys come from: of two, one would be ignored.
fn one_way(set: &[&str], settings: &Settings<'_, '_>) -> Option<()> {
    match set {
        [_] => Some(()),
        [] => {
            settings.problem(
                "no key is set; write `secret`, `public_key`, `jwks` or `jwks_url`, \
                 such as secret = \"env:NAME\"",
            );
            None
        }
        many => {
            settings.problem(format!("`{}` are all set; keep one of them", many.join("`, `")));
            None
        }
    }
}

fn read_fixed(settings: &mut Settings<'_, '_>) -> Option<KeySet> {
    if let Some(secrets) = settings.optional_secrets() {
        let keys = secrets.iter().map(|(_, secret)| Key::from_secret(secret));
        return Some(KeySet::new(keys.collect()));
    }
    if let Some(at) = settings.table().take("public_key") {
        let secrets = settings.secrets_in(&at)?;
        let keys = secrets.iter().map(|(_, pem)| Key::from_pem(None, pem.bytes()));
        let keys: Option<Vec<_>> = keys.collect();
        if keys.is_none() {
            at.problem(
                "its content is not a public key in PEM form (-----BEGIN PUBLIC KEY-----) of \
                 type RSA, EC P-256, EC P-384 or Ed25519",
            );
        }
        return keys.map(KeySet::new);
    }
    let at = settings.table().take("jwks")?;
    let document = settings.secret("jwks")?;
    KeySet::from_jwks(document.bytes()).map_err(|problem| at.problem(problem)).ok()
}
