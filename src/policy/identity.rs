//! `[identity]`: how the app learns who is signed in.

use super::header::{self, HeaderTemplate};
use crate::base::secret::Secret;
use crate::document::{At, Node, Table, Value};
use crate::mint::identity_assertion::Assertion;

/// Headers set or removed on every forwarded request, never left as the client sent
/// them.
#[derive(Default)]
pub struct IdentityHeaders {
    pub headers: Vec<HeaderTemplate>,
    pub assertion: Option<Assertion>,
}

pub(super) fn read_identity(top: &mut Table<'_>) -> IdentityHeaders {
    // The signing key must have no other use: a token or session signed with it would
    // pass for an assertion.
    let others: Vec<At<'_>> = ["session", "token"].iter().filter_map(|key| top.peek(key)).collect();
    let Some(mut table) = top.take("identity").and_then(|at| at.table()) else {
        return IdentityHeaders::default();
    };
    let headers =
        table.take("headers").map(|at| header::read_all(&at, &[], None)).unwrap_or_default();
    let assertion = table.take("assertion").and_then(|at| {
        let key = at.table()?.peek("key").and_then(|key| Some((key.clone(), resolve(&key)?)));
        if let Some((key, secret)) = key {
            let used = |other: &At<'_>| holds(other, other.node, &secret);
            if others.iter().any(used) {
                key.problem(
                    "a session or a token uses this key too; an assertion needs a separate one",
                );
            }
        }
        let assertion: Assertion = at.read()?;
        if headers.iter().any(|header| header.name == assertion.header) {
            at.problem("`headers` sets the assertion's header too");
        }
        Some(assertion)
    });
    table.finish();
    IdentityHeaders { headers, assertion }
}

fn resolve(at: &At<'_>) -> Option<Secret> {
    let Value::Text(reference) = &at.node.value else { return None };
    at.secrets.resolve(reference).ok()
}

/// Whether any text of a table refers to `secret`.
fn holds(at: &At<'_>, node: &Node, secret: &Secret) -> bool {
    match &node.value {
        Value::Array(items) => items.iter().any(|item| holds(at, item, secret)),
        Value::Table(members) => members.iter().any(|(_, member)| holds(at, member, secret)),
        Value::Text(reference) => {
            at.secrets.resolve(reference).is_ok_and(|other| other.digest() == secret.digest())
        }
        Value::Boolean(_) | Value::Datetime | Value::Float(_) | Value::Integer(_) => false,
    }
}
