//! How each type of setting is read from one value.

use std::time::Duration;

use super::node::Value;
use super::table::{At, FromNode};
use crate::base::secret::Secret;
use crate::base::units::{self, Rate};
use crate::base::url::Url;

impl FromNode for bool {
    fn read(at: &At<'_>) -> Option<Self> {
        let Value::Boolean(value) = at.node.value else {
            at.wrong("true or false");
            return None;
        };
        Some(value)
    }
}

impl FromNode for String {
    fn read(at: &At<'_>) -> Option<Self> {
        at.text("a quoted string").map(str::to_owned)
    }
}

impl FromNode for u64 {
    fn read(at: &At<'_>) -> Option<Self> {
        let number = match at.node.value {
            Value::Integer(number) => Self::try_from(number).ok(),
            _ => None,
        };
        if number.is_none() {
            at.wrong("a whole number, zero or more");
        }
        number
    }
}

impl FromNode for usize {
    fn read(at: &At<'_>) -> Option<Self> {
        u64::read(at).and_then(|number| Self::try_from(number).ok())
    }
}

impl FromNode for Duration {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = match &at.node.value {
            Value::Integer(number) => {
                at.problem(format!(
                    "found the bare number {number}, which could mean seconds or milliseconds; write \"{number}s\" or \"{number}ms\""
                ));
                return None;
            }
            _ => at.text(r#"a duration such as "90s", "1m" or "1d""#)?,
        };
        units::duration(text).map_err(|expected| at.wrong(expected)).ok()
    }
}

/// A time to wait for others: zero is refused, because nothing arrives in no time.
pub(crate) struct Wait(pub Duration);

impl FromNode for Wait {
    fn read(at: &At<'_>) -> Option<Self> {
        let wait = Duration::read(at)?;
        if wait.is_zero() {
            at.wrong("a duration above zero");
        }
        Some(Self(wait))
    }
}

impl FromNode for Rate {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a rate such as "30/minute""#)?;
        units::rate(text).map_err(|expected| at.wrong(expected)).ok()
    }
}

impl FromNode for Secret {
    fn read(at: &At<'_>) -> Option<Self> {
        at.secret()
    }
}

/// Every item must be right: one wrong item refuses the list, after all were read.
impl<T: FromNode> FromNode for Vec<T> {
    fn read(at: &At<'_>) -> Option<Self> {
        if !matches!(at.node.value, Value::Array(_)) {
            at.problem(format!("found {}, expected a list in [brackets]", at.node.kind()));
            return None;
        }
        let read: Vec<Option<T>> = at.items().iter().map(T::read).collect();
        read.into_iter().collect()
    }
}

/// One value, or a list of them.
pub(crate) struct OneOrMany<T>(pub Vec<T>);

impl<T: FromNode> FromNode for OneOrMany<T> {
    fn read(at: &At<'_>) -> Option<Self> {
        let read: Vec<Option<T>> = at.items().iter().map(T::read).collect();
        read.into_iter().collect::<Option<Vec<T>>>().map(Self)
    }
}

/// A value that remembers where it stood, for checks that come later.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) offset: usize,
    pub(crate) path: String,
}

impl<T> Located<T> {
    pub(crate) fn new(at: &At<'_>, value: T) -> Self {
        Self { value, offset: at.node.span.start, path: at.path.clone() }
    }
}

impl<T: FromNode> FromNode for Located<T> {
    fn read(at: &At<'_>) -> Option<Self> {
        T::read(at).map(|value| Self::new(at, value))
    }
}

impl FromNode for Url {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a URL such as "https://idp.example/keys", without credentials"#;
        let url = Self::parse(at.text(EXPECTED)?);
        if url.is_none() {
            at.problem(format!("found an unusable URL, expected {EXPECTED}"));
        }
        url
    }
}
