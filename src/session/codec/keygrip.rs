//! Signatures of the npm package `keygrip`, kept in a separate cookie: `NAME.sig` signs
//! `NAME=value`.

use super::base64;
use super::crypto::MacKey;
use crate::session::cookie_names::{CookieNames, FoundCookie, SentCookies};
use crate::session::rejected::{Reason, Rejected};

/// The keys of a Keygrip instance; any of them may have signed.
pub(crate) struct Keygrip(Vec<MacKey>);

impl Keygrip {
    pub(crate) fn new(keys: Vec<MacKey>) -> Self {
        Self(keys)
    }

    /// The cookie, if its signature cookie signs it.
    pub(crate) fn find<'r>(&self, sent: SentCookies<'r>) -> Result<FoundCookie<'r>, Rejected> {
        let found = sent.find()?;
        let companion = companion(found.name);
        let Some(signature) = sent.value(&companion)? else {
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

/// The jar with the cookies that sign its own.
pub(crate) fn with_signatures(jar: CookieNames) -> CookieNames {
    let names = jar.names().iter().map(|own| companion(own)).collect();
    jar.with_companions(names, None)
}

fn companion(name: &str) -> String {
    format!("{name}.sig")
}
