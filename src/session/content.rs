//! The content of a verified session, as it is kept and as an operator sees it.

use serde_json::Value;

use crate::document::shown;

/// The names of a session's members, so that a wrong `user_id` is easy to mend. Names
/// only, and only those that look like names, or are known to be such.
pub(super) fn members(session: &Value, is_known: fn(&str) -> bool) -> String {
    const MAX_NAMES: usize = 12;
    match session {
        Value::Object(members) if members.is_empty() => "is empty".to_owned(),
        Value::Object(members) => {
            let name =
                |name: &String| if is_known(name) { format!("{name:?}") } else { shown(name) };
            let names: Vec<_> = members.keys().take(MAX_NAMES).map(name).collect();
            format!("has {}", names.join(", "))
        }
        Value::Array(_) => "is a list".to_owned(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            "is a single value".to_owned()
        }
    }
}
