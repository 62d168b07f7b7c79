//! The settings that say who a session's user is (`user_id` and `user_prefix`), and what
//! is said where they lead to nobody.

use serde_json::Value;

use super::content::members;
use super::format::Compiled;
use super::pointer::Pointer;
use super::rejected::{Reason, Rejected};
use super::settings::Settings;

/// A user id behind its source's prefix.
pub(super) fn prefixed(prefix: &str, user_id: String) -> String {
    if prefix.is_empty() { user_id } else { [prefix, &user_id].concat() }
}

/// Names under which apps keep a user's id, the most usual first.
const USUAL: [&str; 12] = [
    "user_id",
    "userId",
    "_user_id",
    "_auth_user_id",
    "uid",
    "sub",
    "id",
    "userid",
    "user",
    "account_id",
    "accountId",
    "email",
];

/// The refusal of a session without a user: what it has instead.
pub(super) fn no_user(at: &Pointer, session: &Value) -> Rejected {
    let (members, likely) = (members(session), likely_user(session));
    let detail = format!("the session is valid, but has no user at `{at}`; it {members}{likely}");
    Rejected::new(Reason::NoUser, detail)
}

/// Where the session may hold the user's id, as the end of a message; empty if nothing
/// in it looks like one.
fn likely_user(session: &Value) -> String {
    let mut found = Vec::new();
    collect(session, "", &mut found);
    let rank = |name: &str| USUAL.iter().position(|usual| *usual == name);
    let likeliest = found.into_iter().filter_map(|(at, name)| Some((rank(&name)?, at))).min();
    likeliest.map_or_else(String::new, |(_, at)| format!("; perhaps user_id = {at:?}"))
}

/// Every text and number in the session's objects, three levels deep, by pointer and name.
fn collect(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    const DEEPEST: usize = 3;
    const MOST: usize = 200;
    let Value::Object(members) = value else { return };
    for (name, member) in members.iter().take(MOST) {
        // Names only, and only those that look like names.
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            continue;
        }
        let at = format!("{at}/{name}");
        match member {
            // A document in a text is nobody's id.
            Value::String(text) if !text.is_empty() && !text.starts_with(['{', '[']) => {
                found.push((at, name.clone()));
            }
            Value::Number(number) if !number.is_f64() => found.push((at, name.clone())),
            Value::Object(_) if at.matches('/').count() < DEEPEST => collect(member, &at, found),
            _ => {}
        }
    }
}

/// `user_prefix`; none unless written.
pub(super) fn read_user_prefix(settings: &mut Settings<'_, '_>) -> String {
    const EXPECTED: &str = r#"up to 64 visible ASCII characters, such as "staff:""#;
    let Some(at) = settings.table().take("user_prefix") else { return String::new() };
    let prefix = at.text(EXPECTED).unwrap_or_default();
    if prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_graphic()) {
        at.wrong(EXPECTED);
    }
    prefix.to_owned()
}

/// `user_id`, or the place where the kind itself keeps it.
pub(super) fn read_user_id(
    settings: &mut Settings<'_, '_>,
    compiled: Option<&Compiled>,
) -> Option<Pointer> {
    if settings.table().peek("user_id").is_some() {
        return settings.get("user_id");
    }
    settings.table().take("user_id");
    let default = compiled?.user_id.as_deref();
    if default.is_none() {
        settings.problem(
            "`user_id` is missing; write where the session keeps the user's id, \
             such as user_id = \"/user/id\"",
        );
    }
    Pointer::parse(default?)
}
