//! Users whose sessions are in Redis.

use std::time::Duration;

use super::tokens::{PATH, is_token};
use super::{Kept, Page, Turn};
use crate::app::text;
use crate::sessions::cookie;
use crate::soak::Soak;
use crate::support::get;
use crate::world::Met;

/// Signed in all the time, unless the store has just forgotten them.
pub(crate) const USERS: u64 = 50;

/// The session id of a user.
pub(crate) fn id(user: u64) -> String {
    format!("session-of-stored-{user:02}")
}

pub(super) fn page(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let user = number % USERS;
        let name = format!("stored-{user}");
        let page = Page::new(soak, number, Some(&name));
        let place = if number.is_multiple_of(2) { "/private/page" } else { "/page" };
        let request = get(&format!("{place}/{number}/300")).header("Cookie", &cookie(&id(user)));
        let answer = kept.ask(&request)?;
        if answer.header("x-user") == Some("-") && place == "/page" {
            // Right while the store is away.
            return Err(Met::Answer(answer.status));
        }
        page.is(soak, &answer, &text(number, 300))
    })
}

pub(super) fn token(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let user = number % USERS;
        if number.is_multiple_of(7) {
            let stranger = cookie(&format!("nobody-has-this-{number}"));
            let answer = kept.ask(&get(PATH).header("Cookie", &stranger))?;
            let refused = answer.status == 401;
            return if refused { Ok(()) } else { Err(Met::other_than_asked(&answer, "nobody")) };
        }
        let answer = kept.ask(&get(PATH).header("Cookie", &cookie(&id(user))))?;
        is_token(&answer, &format!("stored-{user}"))
    })
}

/// Somebody signs in, and out again: after `cache_seconds` that is known.
pub(super) fn sign_out(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let (id, name) = (format!("session-that-ends-{number}"), format!("leaving-{number}"));
        // The store itself may be away.
        let away = |_| Met::Answer(503);
        soak.sign_in(&id, &name).map_err(away)?;
        let request = get(PATH).header("Cookie", &cookie(&id));
        is_token(&kept.ask(&request)?, &name)?;
        soak.sign_out(&id).map_err(away)?;
        std::thread::sleep(Duration::from_millis(2_500));
        let answer = kept.ask(&request)?;
        let refused = answer.status == 401;
        if refused { Ok(()) } else { Err(Met::other_than_asked(&answer, "after signing out")) }
    })
}
