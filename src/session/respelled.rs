//! Whether cookies that do not verify may be another spelling of a session, which the app's own
//! library would read (`codec::spelling`).

use super::cookie::Cookies;
use super::rejected::{Reason, Rejected};
use super::source::SessionReader;
use super::store::Check;

impl SessionReader {
    /// Whether cookies that were refused for this reason may be another spelling of a
    /// session.
    pub(crate) fn may_be_respelled(&self, cookies: Cookies<'_>, why: &Rejected, now: u64) -> bool {
        match why.reason {
            // None was sent, or its signature was verified before.
            Reason::Expired
            | Reason::Missing
            | Reason::MissingExp
            | Reason::NoUser
            | Reason::NotYetValid
            | Reason::SignedOut
            | Reason::StoreMiss
            | Reason::TokenMismatch
            | Reason::Unavailable
            | Reason::UnsupportedSerializer
            | Reason::WrongAudience
            | Reason::WrongIssuer
            | Reason::WrongPurpose
            | Reason::WrongVersion => return false,
            Reason::AlgNotAllowed
            | Reason::Ambiguous
            | Reason::BadSignature
            | Reason::Malformed
            | Reason::Oversized
            | Reason::UnknownCrit
            | Reason::UnknownKid => {}
        }
        // What the store or the app said of it was not understood: the cookie was.
        let is_asked = self.cache_seconds().is_some() && !self.opens_slowly();
        if is_asked && matches!(self.look(cookies, now), Ok(Check::Ask(_))) {
            return false;
        }
        !self.is_as_written(cookies)
    }

    /// Whether all that the source reads of the request is in its framework's notation.
    fn is_as_written(&self, cookies: Cookies<'_>) -> bool {
        let jar = &self.compiled.jar;
        let is_as_written = self.notation();
        let Ok(found) = self.sent(cookies).find_optional() else { return false };
        if !found.is_none_or(|found| is_as_written(&found.value)) {
            return false;
        }
        let is_whole = |name: &[u8]| jar.names().iter().any(|own| own.as_bytes() == name);
        if cookies.iter().filter(|(name, _)| is_whole(name)).nth(1).is_some() {
            // Some are read together: each may be plain alone, and the whole is not.
            return false;
        }
        // Those that are not parts of the one that was found.
        let is_chunk = |name: &[u8]| jar.separator().is_some() && jar.is_own(name);
        let others = cookies.iter().filter(|(name, _)| self.reads_cookie(name) && !is_chunk(name));
        others.into_iter().all(|(_, value)| is_as_written(&jar.decoded(value)))
    }
}

#[cfg(test)]
mod tests;
