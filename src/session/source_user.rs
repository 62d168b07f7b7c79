//! The settings that say who a session's user is (`user_id` and `user_prefix`), and what
//! is said where they lead to nobody.

use serde_json::Value;

use super::content::members;
use super::format::{Compiled, SessionKind};
use super::pointer::Pointer;
use super::rejected::{Reason, Rejected};
use super::settings::Settings;
use super::store::{Query, Question};

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

/// Ends of the names of objects whose `id` is a user's.
const USERS: [&str; 8] =
    ["account", "admin", "customer", "identity", "member", "profile", "user", "userinfo"];

/// A shorter text may end a key by chance.
const SHORTEST_ID: usize = 8;

/// The names under which a session came to be known: none of them is the user's, and some
/// are the secret that the browser holds.
#[derive(Clone, Copy, Default)]
pub(super) struct KnownBy<'q> {
    /// The session's id, if the cookie tells it.
    pub id: Option<&'q str>,
    /// The question that found it in a store, or at the app.
    pub question: Option<&'q Question>,
}

impl KnownBy<'_> {
    fn is_kept_in_store(self) -> bool {
        let query = self.question.map(|question| &question.query);
        query.is_some_and(|query| !matches!(query, Query::App { .. }))
    }

    /// Whether the session's own id, or its secret, stands at this place.
    fn is_at(self, at: &str, text: &str) -> bool {
        // A later question asks for the user.
        let Some(question) = self.question.filter(|question| question.is_first()) else {
            return self.id == Some(text);
        };
        let is_asked = match &question.query {
            Query::Row { matching, .. } => matching.iter().any(|(column, cell)| {
                at.strip_prefix('/') == Some(column) || cell.as_text() == text
            }),
            Query::Redis { key: name } | Query::RedisHash { key: name } | Query::File { name } => {
                text.len() >= SHORTEST_ID && name.ends_with(text)
            }
            Query::App { .. } | Query::Key { .. } => false,
        };
        is_asked || question.carried.as_str() == Some(text)
    }
}

/// The refusal of a session without a user: what it has instead.
pub(super) fn no_user(
    kind: &SessionKind,
    at: &Pointer,
    session: &Value,
    known_by: KnownBy<'_>,
) -> Rejected {
    let members = members(session, kind.hints.is_user);
    let mut users = LikelyUsers { kind, known_by, found: Vec::new() };
    // Beside the content of a stored session, `id` is the session's.
    users.collect(session, Parent { at: "", has_user_id: !known_by.is_kept_in_store() });
    let likely = users.found.into_iter().min();
    let likely = likely.map_or_else(String::new, |(_, at)| format!("; perhaps user_id = {at:?}"));
    let detail = format!("the session is valid, but has no user at `{at}`; it {members}{likely}");
    Rejected::new(Reason::NoUser, detail)
}

/// Where a session may hold the user's id.
struct LikelyUsers<'s> {
    kind: &'s SessionKind,
    known_by: KnownBy<'s>,
    /// The name's rank, and the pointer.
    found: Vec<(usize, String)>,
}

/// An object of the session.
#[derive(Clone, Copy)]
struct Parent<'p> {
    at: &'p str,
    /// Whether a member that is only called `id` is the user's.
    has_user_id: bool,
}

impl LikelyUsers<'_> {
    /// Finds every text and number under a usual name in the session's objects, three levels
    /// deep.
    fn collect(&mut self, value: &Value, parent: Parent<'_>) {
        const DEEPEST: usize = 3;
        const MOST: usize = 200;
        let Value::Object(members) = value else { return };
        for (name, member) in members.iter().take(MOST) {
            // Names only, and only those that look like names.
            if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
                continue;
            }
            let at = format!("{}/{name}", parent.at);
            let text = match member {
                // A document in a text is nobody's id.
                Value::String(text) if !text.is_empty() && !text.starts_with(['{', '[']) => text,
                Value::Number(number) if !number.is_f64() => &number.to_string(),
                Value::Object(_) if at.matches('/').count() < DEEPEST => {
                    self.collect(member, Parent { at: &at, has_user_id: is_user(name) });
                    continue;
                }
                _ => continue,
            };
            let Some(rank) = self.rank(name) else { continue };
            if (name != "id" || parent.has_user_id) && !self.known_by.is_at(&at, text) {
                self.found.push((rank, at));
            }
        }
    }

    /// The likelihood of a name, the likeliest 0.
    fn rank(&self, name: &str) -> Option<usize> {
        if (self.kind.hints.is_user)(name) {
            return Some(0);
        }
        USUAL.iter().position(|usual| *usual == name).map(|rank| rank + 1)
    }
}

/// Whether an object of this name describes a user.
fn is_user(name: &str) -> bool {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    let plain: String = letters.map(|b| char::from(b.to_ascii_lowercase())).collect();
    USERS.iter().any(|end| plain.ends_with(end))
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
