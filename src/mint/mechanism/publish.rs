//! The published keys of a token.

use std::time::Duration;

use super::jwt::Jwt;
use super::signing::Signing;
use crate::document::At;
use crate::mint::key::{KeyTable, PublicKey, Signer};
use crate::mint::layered_table::LayeredTable;

/// The public side of a token's keys.
#[derive(Default)]
pub struct PublicKeys {
    /// The signing one first, if it is published.
    pub keys: Vec<PublicKey>,
    /// Time for which a key stays listed after it has left the settings.
    pub overlap: Option<Duration>,
}

/// Members that control publishing.
pub(in crate::mint) const KEYS: [&str; 2] = ["overlap", "publish"];

/// The public halves of the keys marked `publish`, on the token or on the key. A key
/// without a name gets one here, before templates ask for `{key.kid}`.
pub(super) fn published(
    members: &mut LayeredTable<'_, '_, '_>,
    keys: &mut [KeyTable],
) -> PublicKeys {
    let every = members.get("publish").unwrap_or(false);
    keys.iter().for_each(|key| key.mark_used("publish"));
    let overlap_at = members.take("overlap");
    let overlap = overlap_at.as_ref().and_then(|at| at.read());
    let mut published = PublicKeys { keys: Vec::new(), overlap };
    if !keys.iter().any(|key| key.publish.unwrap_or(every)) {
        if let Some(at) = overlap_at {
            at.problem("`overlap` applies to published keys; add `publish = true`");
        }
        return published;
    }
    let (signing, token) = (Signing::from_members(members), members.token().clone());
    for key in keys.iter_mut().filter(|key| key.publish.unwrap_or(every)) {
        let algorithm = signing.algorithm(key, &token);
        let signer = algorithm.and_then(|algorithm| signing.signer(algorithm, key, &token));
        match signer {
            Some(Signer::Private(private)) => {
                let public = PublicKey::new(&private, key.kid());
                if key.kid().is_none() {
                    key.set_kid(public.kid());
                }
                key.mark_used("kid");
                published.keys.push(public);
            }
            Some(Signer::Shared(_)) => token.problem(
                "`publish = true` needs a private key; a shared secret is never published",
            ),
            None => {}
        }
    }
    published
}

/// Notes tokens that do not name their key: a verifier with several published keys
/// could not choose.
pub(super) fn check_names_key(
    jwt: &Jwt,
    keys: &[KeyTable],
    published: &PublicKeys,
    token: &At<'_>,
) {
    let Some(kid) = keys.first().and_then(KeyTable::kid) else { return };
    let is_published = published.keys.iter().any(|key| key.kid() == kid);
    if is_published && !jwt.names_key(kid) {
        token.problem(
            "the key is published, but tokens do not say which key signed them; write \
             header = { kid = \"{key.kid}\" }",
        );
    }
}
