//! The user of a session that has merely expired: an app may be able to renew it.

use super::cookie::Cookies;
use super::identity::Identity;
use super::source::SessionReader;
use super::store::Check;

/// Most ends in one session: of its token, header and cache, and the settings' own.
const MAX_ENDS: usize = 6;

impl SessionReader {
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
}
