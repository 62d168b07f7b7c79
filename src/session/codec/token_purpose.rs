//! The purpose a signed token states in its claims: one made to renew, to reset a
//! password or to confirm an address is not a session, whichever key signed it.
//!
//! Libraries sign all their tokens with one key and tell them apart by a claim, which
//! they check themselves.

use serde_json::Value;

use super::claims;
use crate::document::At;
use crate::session::rejected::{Reason, Rejected};

/// Claims that state a purpose.
const CLAIMS: [&str; 8] =
    ["token_type", "tokenType", "token_use", "tokenUse", "type", "typ", "purpose", "use"];

/// Parts of the words for other purposes than a session, letters only.
const OTHERS: [&str; 11] = [
    "refresh",
    "reset",
    "offline",
    "verif",
    "confirm",
    "invit",
    "logout",
    "magiclink",
    "emailchange",
    "activation",
    "csrf",
];

/// The claims that `require` does not cover.
pub(crate) struct TokenPurpose(Vec<&'static str>);

impl TokenPurpose {
    /// `require`, where the settings have it: a claim it names is the app's affair.
    pub(crate) fn beside(require: Option<&At<'_>>) -> Self {
        let required: Vec<String> = require
            .map(At::members)
            .into_iter()
            .flatten()
            .map(|(key, _)| key.name.clone())
            .collect();
        let is_free =
            |claim: &&&str| !required.iter().any(|at| at.strip_prefix('/') == Some(**claim));
        Self(CLAIMS.iter().filter(is_free).copied().collect())
    }

    /// Refuses a token with a stated other purpose.
    pub(crate) fn check(&self, header: &Value, claims: &Value) -> Result<(), Rejected> {
        let found = self.0.iter().find(|claim| claims::text(claims, claim).is_some_and(is_other));
        if let Some(claim) = found {
            let word = claims::text(claims, claim).unwrap_or_default();
            return Err(other(claim, word));
        }
        if claims::text(header, "typ").is_some_and(is_other) {
            let detail = "the token's type (`typ`) says that it is not a session";
            return Err(Rejected::new(Reason::WrongPurpose, detail));
        }
        check_audience(claims)
    }
}

/// fastapi-users names the purpose in the audience.
fn check_audience(claims: &Value) -> Result<(), Rejected> {
    let is_other = |value: &Value| {
        value.as_str().is_some_and(|it| it.ends_with(":reset") || it.ends_with(":verify"))
    };
    let audience = claims.get("aud").unwrap_or(&Value::Null);
    if is_other(audience) || audience.as_array().is_some_and(|all| all.iter().any(is_other)) {
        let detail = "the token's audience (`aud`) is a password reset or an email confirmation";
        return Err(Rejected::new(Reason::WrongPurpose, detail));
    }
    Ok(())
}

fn is_other(word: &str) -> bool {
    const LONGEST: usize = 40;
    let letters: String = word.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_lowercase();
    word.len() <= LONGEST && OTHERS.iter().any(|other| letters.contains(other))
}

fn other(claim: &str, word: &str) -> Rejected {
    let detail = format!(
        "the token says that it is not a session ({claim}: {word:?}); if the app accepts it as \
         one, write require = {{ \"/{claim}\" = {word:?} }}"
    );
    Rejected::new(Reason::WrongPurpose, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_session(claims: &Value) -> bool {
        TokenPurpose::beside(None).check(&json!({ "alg": "HS256" }), claims).is_ok()
    }

    #[test]
    fn a_token_made_to_renew_or_to_reset_is_not_a_session() {
        for claims in [
            json!({ "token_type": "refresh" }),
            json!({ "type": "refresh" }),
            json!({ "typ": "Refresh" }),
            json!({ "typ": "Offline" }),
            json!({ "type": "passwordReset" }),
            json!({ "purpose": "reset-password" }),
            json!({ "tokenType": "REFRESH_TOKEN" }),
            json!({ "type": "emailChange" }),
            json!({ "aud": "fastapi-users:reset" }),
            json!({ "aud": ["x", "fastapi-users:verify"] }),
        ] {
            assert!(!is_session(&claims), "{claims}");
        }
        for claims in [
            json!({}),
            json!({ "token_type": "access" }),
            json!({ "token_use": "id" }),
            json!({ "typ": "Bearer" }),
            json!({ "type": "auth", "aud": "https://verify.example" }),
            json!({ "type": 1, "use": null }),
        ] {
            assert!(is_session(&claims), "{claims}");
        }
    }

    #[test]
    fn the_header_may_say_it_too() {
        let purpose = TokenPurpose::beside(None);
        assert!(purpose.check(&json!({ "typ": "Refresh" }), &json!({})).is_err());
        assert!(purpose.check(&json!({ "typ": "JWT" }), &json!({})).is_ok());
    }
}
