//! A place in a session, such as that of the user's id: a JSON Pointer (RFC 6901).

use std::fmt;

use serde_json::Value;

use crate::base::json_path::{self, JsonPath, Tree};
use crate::document::{At, FromNode};

/// A parsed pointer. `""` is the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer(JsonPath);

impl Pointer {
    /// Parses `/a/0/b~1c`. Text that is neither empty nor starts with `/` is not
    /// a pointer.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        JsonPath::from_pointer(text).map(Self)
    }

    /// The value the pointer leads to.
    pub(crate) fn find<'a, T: Tree>(&self, document: &'a T) -> Option<&'a T> {
        self.0.find(document)
    }

    /// The object that holds the value the pointer leads to, and the value's name in it.
    pub(super) fn find_holder<'a>(&self, document: &'a Value) -> Option<(&'a Value, &str)> {
        let (name, before) = self.0.split_last()?;
        Some((json_path::find(document, before)?, name))
    }

    /// The user id there: a non-empty text, or an integer printed in decimal.
    /// Anything else is not a user.
    pub(crate) fn user_id(&self, session: &Value) -> Option<String> {
        match self.find(session)? {
            Value::String(text) if is_exact(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        }
    }
}

/// U+FFFD replaces bytes that could not be read: two users might share such an id.
fn is_exact(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in self.0.iter() {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl FromNode for Pointer {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a JSON Pointer such as "/sub" or "/user/id""#;
        let text = at.text(EXPECTED)?;
        let pointer = Self::parse(text);
        if pointer.is_none() {
            at.wrong(EXPECTED);
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_follow_rfc_6901() {
        let document = json!({"a": {"b/c": [10, {"~": "x"}]}, "": "empty"});
        let find = |text| Pointer::parse(text).unwrap().find(&document).cloned();
        assert_eq!(find("/a/b~1c/0"), Some(json!(10)));
        assert_eq!(find("/a/b~1c/1/~0"), Some(json!("x")));
        assert_eq!(find("/"), Some(json!("empty")));
        assert_eq!(find(""), Some(document.clone()));
        assert_eq!(find("/a/x"), None);
        assert_eq!(find("/a/b~1c/00"), None);
        assert_eq!(Pointer::parse("a/b"), None);
    }

    #[test]
    fn only_texts_and_integers_are_user_ids() {
        let id = |value: Value| Pointer::parse("").unwrap().user_id(&value);
        assert_eq!(id(json!("u1")), Some("u1".into()));
        assert_eq!(id(json!(12)), Some("12".into()));
        assert_eq!(id(json!(18_446_744_073_709_551_615_u64)), Some("18446744073709551615".into()));
        assert_eq!(id(json!(-7)), Some("-7".into()));
        let others =
            [json!(""), json!("\u{fffd}"), json!(null), json!(true), json!({}), json!(["x"])];
        for other in others.into_iter().chain([json!(1.5), json!(7.0), json!(1e3)]) {
            assert_eq!(id(other), None);
        }
    }
}
