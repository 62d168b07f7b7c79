//! A path into a JSON document, however a setting spells it: `a.b.0` in a
//! placeholder, `/a/b/0` as a JSON Pointer (RFC 6901).

use std::ops::Deref;

use serde_json::Value;

/// The steps of a path: names of members, numbers of items. Without a step it is the
/// whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JsonPath(Vec<String>);

impl JsonPath {
    pub(crate) fn new(steps: Vec<String>) -> Self {
        Self(steps)
    }

    /// Reads `a.b.0`. Every text is such a path.
    pub(crate) fn from_dotted(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    /// Reads `/a/b~1c/0`. A text that is neither empty nor starts with `/` is no
    /// pointer.
    pub(crate) fn from_pointer(text: &str) -> Option<Self> {
        let Some(steps) = text.strip_prefix('/') else {
            return text.is_empty().then(Self::default);
        };
        let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Some(Self(steps.split('/').map(unescaped).collect()))
    }

    /// The value the path leads to.
    pub(crate) fn find<'a, T: Tree>(&self, document: &'a T) -> Option<&'a T> {
        find(document, &self.0)
    }
}

impl Deref for JsonPath {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

/// A JSON value, in whichever form it is kept.
pub(crate) trait Tree {
    /// The item of an array; `None` for any other value.
    fn item(&self, index: usize) -> Option<&Self>;
    /// The member of an object; `None` for any other value.
    fn member(&self, name: &str) -> Option<&Self>;
    fn is_array(&self) -> bool;
}

impl Tree for Value {
    fn item(&self, index: usize) -> Option<&Self> {
        self.as_array()?.get(index)
    }

    fn member(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    fn is_array(&self) -> bool {
        self.is_array()
    }
}

/// The value these steps lead to.
pub(crate) fn find<'a, T: Tree>(document: &'a T, steps: &[String]) -> Option<&'a T> {
    steps.iter().try_fold(document, |value, step| {
        if value.is_array() { value.item(index(step)?) } else { value.member(step) }
    })
}

/// Digits without a leading zero; `+1` and `01` are not an index.
fn index(step: &str) -> Option<usize> {
    let is_plain = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_lead_to_the_same_value() {
        let document = json!({"a": {"b": [10, {"c.d": "x"}]}});
        let dotted = |text| JsonPath::from_dotted(text).find(&document).cloned();
        let pointer = |text| JsonPath::from_pointer(text).unwrap().find(&document).cloned();
        assert_eq!(dotted("a.b.0"), Some(json!(10)));
        assert_eq!(pointer("/a/b/0"), Some(json!(10)));
        assert_eq!(pointer("/a/b/1/c.d"), Some(json!("x")));
        for absent in ["a.x", "a.b.2", "a.b.00", "a.b.+1", "a.b.-1", "a.b.0.c"] {
            assert_eq!(dotted(absent), None, "{absent}");
        }
    }
}
