//! The `typ` of a signed token: what it was made for (RFC 8725 section 3.11).
//!
//! A key often signs more than sessions. Tokens that name another purpose are not
//! sessions, unless the settings say so; the gateway's own never are.

use serde_json::Value;

use crate::document::{At, FromNode, OneOrMany};
use crate::session::rejected::{Reason, Rejected};

/// The types of tokens that are sessions.
#[derive(Default)]
pub(crate) struct TokenTypes(Option<Vec<String>>);

impl TokenTypes {
    /// This type alone.
    pub(crate) fn only(text: &str) -> Self {
        Self(Some(vec![comparable(text)]))
    }

    /// Refuses a token of another type.
    pub(crate) fn check(&self, header: &Value) -> Result<(), Rejected> {
        let found = match header.get("typ") {
            None => None,
            Some(Value::String(text)) => Some(comparable(text)),
            Some(_) => return Err(Rejected::malformed("the token's type (`typ`) is not a string")),
        };
        let is_own = found.as_deref().is_some_and(is_own);
        let fits = match (&self.0, &found) {
            (Some(wanted), Some(found)) => wanted.contains(found),
            (Some(_), None) => false,
            (None, Some(found)) => !found.ends_with("+jwt"),
            (None, None) => true,
        };
        if fits && !is_own {
            return Ok(());
        }
        let detail = match &self.0 {
            Some(_) => "the token's type (`typ`) is not one of `types`",
            None => {
                "the token's type (`typ`) is not that of a session; if it is the app's, name it \
                 in `types`"
            }
        };
        Err(Rejected::new(Reason::WrongPurpose, detail))
    }
}

/// The types of tokens that the gateway makes itself.
fn is_own(comparable: &str) -> bool {
    comparable.starts_with("portcullis-")
}

/// Media types have no case, no parameters here, and may leave out `application/` (RFC
/// 7515 section 4.1.9).
fn comparable(text: &str) -> String {
    let text = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    text.strip_prefix("application/").map(str::to_owned).unwrap_or(text)
}

impl FromNode for TokenTypes {
    fn read(at: &At<'_>) -> Option<Self> {
        let types: Vec<String> =
            at.read::<OneOrMany<String>>()?.0.iter().map(|text| comparable(text)).collect();
        if types.is_empty() || types.iter().any(String::is_empty) {
            at.problem("found no type, expected those of the app's sessions, such as [\"JWT\"]");
        }
        if types.iter().any(|text| is_own(text)) {
            at.problem("found a type of the gateway's own tokens, which are never sessions");
        }
        Some(Self(Some(types)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(types: Option<&[&str]>, typ: &Value) -> bool {
        let types = types.map(|all| all.iter().map(|text| comparable(text)).collect());
        let mut header = json!({ "alg": "HS256" });
        if !typ.is_null() {
            header["typ"] = typ.clone();
        }
        TokenTypes(types).check(&header).is_ok()
    }

    #[test]
    fn a_token_made_for_something_else_is_not_a_session() {
        for typ in [json!(null), json!("JWT"), json!("jwt"), json!("application/jwt"), json!("s")] {
            assert!(holds(None, &typ), "{typ}");
        }
        for typ in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "at+jwt ",
            "at+jwt;x=1",
            "logout+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "portcullis-identity+jwt",
            "Application/Portcullis-Identity+JWT",
            "portcullis-identity",
        ] {
            assert!(!holds(None, &typ.into()), "{typ}");
        }
        assert!(!holds(None, &json!(["JWT"])) && !holds(None, &json!(1)));
    }

    #[test]
    fn types_name_all_that_are_sessions() {
        assert!(holds(Some(&["at+jwt"]), &"AT+jwt".into()));
        assert!(holds(Some(&["JWT", "session"]), &"application/session".into()));
        for typ in [json!(null), json!("at+jwt"), json!("JWTS"), json!("")] {
            assert!(!holds(Some(&["JWT"]), &typ), "{typ}");
        }
        assert!(!holds(Some(&["portcullis-identity+jwt"]), &"portcullis-identity+jwt".into()));
    }
}
