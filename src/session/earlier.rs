//! The user that cookies name on their own: now, or at another time. An app may be able to
//! renew a session that has expired, and its clock may be ahead.

use super::cookie::Cookies;
use super::identity::Identity;
use super::rejected::{Reason, Rejected};
use super::source::SessionReader;
use super::store::Check;

/// Most expiry times in one session: its token's, header's and cache's, and those of the
/// settings.
const MAX_ENDS: usize = 6;
/// Seconds by which a session may begin too early for the clock here: a wrong time zone.
const AHEAD: u64 = 24 * 3600;

impl SessionReader {
    /// The user the cookies name, at `now`.
    pub fn check(&self, cookies: Cookies<'_>, now: u64) -> Result<Identity, Rejected> {
        match self.look(cookies, now)? {
            Check::Known(identity) => Ok(identity),
            Check::Ask(_) => {
                let detail = "the session is in a store, which was not asked";
                Err(Rejected::new(Reason::Unavailable, detail))
            }
        }
    }

    /// The user the cookies named just before their session `ended`.
    pub fn check_before(&self, cookies: Cookies<'_>, mut ended: u64) -> Option<Identity> {
        // Several parts of a session may end, each at its own time.
        for _ in 0..MAX_ENDS {
            match self.look(cookies, ended.checked_sub(1)?) {
                Ok(Check::Known(identity)) => return Some(identity),
                Ok(Check::Ask(_)) => return None,
                Err(rejected) => ended = rejected.ended.filter(|&earlier| earlier < ended)?,
            }
        }
        None
    }
    /// The user of a session that is refused at `now` only because of the time.
    pub(crate) fn check_at_its_time(
        &self,
        cookies: Cookies<'_>,
        why: &Rejected,
        now: u64,
    ) -> Option<Identity> {
        if why.reason != Reason::NotYetValid {
            return self.check_before(cookies, why.ended?);
        }
        match self.look(cookies, now.saturating_add(AHEAD)) {
            Ok(Check::Known(identity)) => Some(identity),
            Ok(Check::Ask(_)) => None,
            Err(later) => self.check_before(cookies, later.ended?),
        }
    }
}
