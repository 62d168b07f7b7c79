//! Session cookies as the app would set them.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(crate) const SESSION_SECRET: &str = "canary-of-the-session-0123456789abcdef";

/// Far enough away for the real clock and for the manual one.
const END_OF_SESSION: u64 = 4_000_000_000;

/// The claims of a session, to be changed by a test.
pub(crate) struct Claims(Value);

impl Claims {
    pub(crate) fn of(user: &str) -> Self {
        Self(json!({ "sub": user, "exp": END_OF_SESSION }))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// Signed as the app signs.
    pub(crate) fn token(&self) -> String {
        self.signed(Algorithm::HS256, SESSION_SECRET)
    }

    pub(crate) fn signed(&self, algorithm: Algorithm, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), &self.0, &key).unwrap()
    }

    pub(crate) fn cookie(&self) -> String {
        format!("session={}", self.token())
    }
}

/// The signed token of a user's session.
pub(crate) fn token_of(user: &str) -> String {
    Claims::of(user).token()
}

/// The `Cookie` header of a signed-in user.
pub(crate) fn cookie_of(user: &str) -> String {
    Claims::of(user).cookie()
}
