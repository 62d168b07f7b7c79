//! One difference between two answers, in words that repeat no value.

use serde_json::Value;

pub(crate) use crate::observe::DifferenceKind;

/// Most differences of one comparison.
pub(super) const MOST: usize = 64;

/// A difference, as the log and `/status` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: DifferenceKind,
    /// The member, header or cookie.
    pub(crate) at: String,
    pub(crate) app: String,
    pub(crate) gateway: String,
}

/// Why two answers were not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// Too many comparisons are running.
    Busy,
    /// The app's answer did not arrive whole.
    CutOff,
    /// The app's answer is compressed in a way that is not read here.
    Encoded,
    /// HEAD, a preflight, or a request that changes the protocol.
    NoBody,
    /// An answer, or a request body that the token reads, is too long.
    TooLong,
}

impl Skipped {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::CutOff => "cut_off",
            Self::Encoded => "encoded",
            Self::NoBody => "no_body",
            Self::TooLong => "too_long",
        }
    }
}

/// The type of a JSON value.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::String(_) => "a string",
    }
}

/// A name that the app chose, if it reads as one: it could be a user's id, or a secret.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    /// Words of more letters are rather keys or ids.
    const LONGEST_WORD: usize = 24;
    let is_word = |word: &str| word.len() <= LONGEST_WORD;
    let is_name = !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/$#".contains(&b))
        && name.split(|c: char| !c.is_ascii_alphanumeric()).all(is_word);
    if is_name { name.to_owned() } else { format!("(a name of {} octets)", name.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_secret_is_not_repeated() {
        for name in ["authToken", "exp", "https://hasura.io/jwt/claims", "x-user_id", "$ref"] {
            assert_eq!(shown(name), name);
        }
        for name in ["ada@example.com", "", "a b", "é", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"] {
            assert_eq!(shown(name), format!("(a name of {} octets)", name.len()));
        }
    }
}
