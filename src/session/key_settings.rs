//! Reads the settings that give keys: `secret`, `public_key`, `jwks` and
//! `jwks_url` for signed tokens, passwords for seals, Keygrip's keys.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::codec::algorithm::Algorithm;
use super::codec::crypto::{Hash, MacKey};
use super::codec::iron::{IRON_ROUNDS, PasswordIds, Passwords};
use super::codec::jws::Algorithms;
use super::codec::keygrip::Keygrip;
use super::codec::verifying_keys::{Key, KeySet, Keys, RemoteKeys};
use super::settings::Settings;
use crate::document::{At, Value as Setting};

/// Algorithms for a JWK set that is not fetched yet, if the settings name none:
/// never one with a shared secret.
const REMOTE: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA];

/// Keys of any type, and the algorithms they may be used with.
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

/// Public keys only, for kinds with a fixed algorithm.
pub(crate) fn public(settings: &mut Settings<'_, '_>) -> Option<Keys> {
    read(settings, &["public_key", "jwks", "jwks_url"])
}

/// Most rounds of a key derivation: seconds of work for each cookie.
const MAX_ROUNDS: u64 = 10_000_000;
/// Most numbers of rounds that are tried.
const MAX_TRIED: usize = 4;

/// `iterations` (or `rounds`) of a key derivation: a number, or several to try.
pub(crate) fn rounds(settings: &mut Settings<'_, '_>, default: &[NonZeroU32]) -> Vec<NonZeroU32> {
    let (iterations, rounds) =
        (settings.table().take("iterations"), settings.table().take("rounds"));
    if iterations.is_some() && rounds.is_some() {
        settings.problem("`iterations` and `rounds` are the same setting; keep one of them");
    }
    let Some(at) = iterations.or(rounds) else { return default.to_vec() };
    let read = |at: &At<'_>| {
        let number = at.read::<u64>()?;
        let number = Some(number).filter(|number| *number <= MAX_ROUNDS);
        let number = number.and_then(|number| NonZeroU32::new(u32::try_from(number).ok()?));
        if number.is_none() {
            at.problem(format!("expected a number of rounds between 1 and {MAX_ROUNDS}"));
        }
        number
    };
    let mut all: Vec<_> = at.items().iter().filter_map(read).collect();
    if all.len() > MAX_TRIED {
        at.problem(format!("found {} numbers, expected at most {MAX_TRIED}", all.len()));
    }
    // A forged value costs all of them; a genuine one should cost only the cheap ones.
    all.sort_unstable();
    if all.is_empty() { default.to_vec() } else { all }
}

/// The passwords of seals. A table names its passwords. A single password has
/// the ids `alone`, if the framework gives it some; those in a list have any id.
pub(crate) fn passwords(
    settings: &mut Settings<'_, '_>,
    alone: Option<&[&str]>,
) -> Option<Passwords> {
    passwords_after(settings, alone, IRON_ROUNDS)
}

/// As `passwords`, where the framework derives keys with other numbers of rounds.
pub(crate) fn passwords_after(
    settings: &mut Settings<'_, '_>,
    alone: Option<&[&str]>,
    usual_rounds: &[NonZeroU32],
) -> Option<Passwords> {
    let rounds = rounds(settings, usual_rounds);
    let table = settings.table();
    let is_table =
        |at: Option<At<'_>>| at.is_some_and(|at| matches!(at.node.value, Setting::Table(_)));
    let named = is_table(table.peek("secret")) || is_table(table.peek("secrets"));
    let is_alone = table.peek("secrets").is_none();
    let ids = |id: String| match (named, alone.filter(|_| is_alone)) {
        (true, _) => PasswordIds::Of(vec![id]),
        (false, Some(alone)) => PasswordIds::Of(alone.iter().map(|&id| id.to_owned()).collect()),
        (false, None) => PasswordIds::Any,
    };
    let secrets = settings.secrets_by_id()?;
    let named = secrets.into_iter().map(|(own, secret)| (ids(own), secret)).collect();
    Some(Passwords::new(named, rounds))
}

/// `secrets` and `digest` of a Keygrip instance.
pub(crate) fn keygrip(settings: &mut Settings<'_, '_>) -> Option<Keygrip> {
    let hash = settings.get("digest").unwrap_or(Hash::Sha1);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(hash, secret.bytes()));
    Some(Keygrip::new(keys.collect()))
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
            return Some(Keys::Remote(Arc::new(RemoteKeys::new(url, KeySet::from_jwks))));
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
                    "its value is not a public key in PEM form (-----BEGIN PUBLIC KEY-----) of \
                     type RSA, EC P-256, P-384 or P-521, or Ed25519",
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
