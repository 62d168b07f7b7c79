//! Signatures of the npm package `keygrip`, kept in a cookie of their own:
//! `NAME.sig` signs `NAME=value`.

use super::base64;
use super::crypto::{Hash, MacKey};
use crate::session::cookie_names::{Found, Jar};
use crate::session::settings::Settings;
use crate::session::{Cookies, Reason, Rejected};

/// The keys of a Keygrip instance; any of them may have signed.
pub(crate) struct Keygrip(Vec<MacKey>);

impl Keygrip {
    /// Reads `secrets` and `digest`.
    pub(crate) fn read(settings: &mut Settings<'_, '_>) -> Option<Self> {
        let hash = settings.get("digest").unwrap_or(Hash::Sha1);
        let secrets = settings.secrets()?;
        Some(Self(secrets.iter().map(|secret| MacKey::new(hash, secret.bytes())).collect()))
    }

    /// The cookie, if its signature cookie signs it.
    pub(crate) fn find<'j, 'c>(
        &self,
        jar: &'j Jar,
        cookies: Cookies<'c>,
    ) -> Result<Found<'j, 'c>, Rejected> {
        let found = jar.find(cookies)?;
        let companion = format!("{}.sig", found.name);
        let Some(signature) = jar.value(&companion, cookies)? else {
            let detail = format!("cookie `{companion}`, which signs it, is missing");
            return Err(Rejected::new(Reason::BadSignature, detail));
        };
        let signature = base64::url_decode(signature).unwrap_or_default();
        let signed = [found.name.as_bytes(), b"=", &found.value].concat();
        if !self.0.iter().any(|key| key.verifies(&signed, &signature)) {
            return Err(Rejected::bad_signature(self.0.len()));
        }
        Ok(found)
    }
}

/// Whether `name` is the signature cookie of one of the jar's cookies.
pub(crate) fn is_companion(jar: &Jar, name: &[u8]) -> bool {
    name.strip_suffix(b".sig").is_some_and(|signed| jar.looks_at(signed))
}

/// As `is_companion`, for a folded name.
pub(crate) fn resembles_companion(jar: &Jar, folded: &[u8]) -> bool {
    folded.strip_suffix(b".sig").is_some_and(|signed| jar.resembles(signed))
}
