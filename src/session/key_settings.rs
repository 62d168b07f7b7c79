//! Where the keys of signed tokens come from: `secret`, `public_key`, `jwks` or
//! `jwks_url`.

use std::sync::Arc;

use super::codec::algorithm::Algorithm;
use super::codec::jws::Algorithms;
use super::codec::keys::{Key, KeySet, Keys, RemoteKeys};
use super::settings::Settings;

/// What a JWK set that is not there yet may be used with, if the settings do not
/// say: never a shared secret.
const REMOTE: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA];

/// Keys of any type, and what they may be used with.
pub(crate) fn any(settings: &mut Settings<'_, '_>) -> Option<(Keys, Vec<Algorithm>)> {
    let at = settings.table().take("algorithms");
    let allowed = at.as_ref().map(|at| at.read::<Algorithms>().map(|allowed| allowed.0));
    let keys = read(settings, &["secret", "secrets", "public_key", "jwks", "jwks_url"])?;
    let algorithms = match (&keys, allowed) {
        (_, Some(allowed)) => allowed?,
        (Keys::Fixed(keys), None) => keys.usual_algorithms(),
        (Keys::Remote(_), None) => REMOTE.to_vec(),
    };
    if let (Keys::Fixed(keys), Some(at)) = (&keys, at)
        && !keys.fits_any(&algorithms)
    {
        at.problem("none of these algorithms fits the type of the key");
    }
    Some((keys, algorithms))
}

/// Public keys only, for kinds whose algorithm is settled.
pub(crate) fn public(settings: &mut Settings<'_, '_>) -> Option<Keys> {
    read(settings, &["public_key", "jwks", "jwks_url"])
}

/// Exactly one of `ways`: of two, one would be ignored.
fn read(settings: &mut Settings<'_, '_>, ways: &[&'static str]) -> Option<Keys> {
    let set: Vec<_> =
        ways.iter().copied().filter(|way| settings.table().take(way).is_some()).collect();
    match set.as_slice() {
        [way] => read_one(settings, way),
        [] => {
            let ways = ways.join("`, `");
            settings.problem(format!(
                "no key is set; write one of `{ways}`, such as {} = \"env:NAME\"",
                if ways.starts_with("secret") { "secret" } else { "public_key" }
            ));
            None
        }
        several => {
            let several = several.join("`, `");
            settings.problem(format!("`{several}` are all set; keep one of them"));
            None
        }
    }
}

fn read_one(settings: &mut Settings<'_, '_>, way: &'static str) -> Option<Keys> {
    let at = settings.table().take(way)?;
    let set = match way {
        "jwks_url" => {
            let url = settings.url(way, "")?;
            return Some(Keys::Remote(RemoteKeys::new(url, KeySet::from_jwks)));
        }
        "jwks" => {
            let document = settings.secret(way)?;
            KeySet::from_jwks(document.bytes()).map_err(|problem| at.problem(problem)).ok()
        }
        "public_key" => {
            let secrets = settings.secrets_in(&at)?;
            let keys: Option<Vec<_>> =
                secrets.iter().map(|(_, pem)| Key::from_pem(None, pem.bytes())).collect();
            if keys.is_none() {
                at.problem(
                    "its content is not a public key in PEM form (-----BEGIN PUBLIC KEY-----) \
                     of type RSA, EC P-256, P-384 or P-521, or Ed25519",
                );
            }
            keys.map(KeySet::new)
        }
        _ => {
            let secrets = settings.secrets_in(&at)?;
            Some(KeySet::new(secrets.iter().map(|(_, secret)| Key::from_secret(secret)).collect()))
        }
    };
    set.map(|set| Keys::Fixed(Arc::new(set)))
}
