//! Session cookies as the apps' own libraries write them, among others.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret of the bench, long enough for everyone";

/// Far enough away for any run.
const EXPIRES_AT: u64 = 4_000_000_000;

/// Somebody who is signed in.
pub(crate) struct Visitor(usize);

impl Visitor {
    pub(crate) fn number(number: usize) -> Self {
        Self(number)
    }

    fn session(&self) -> Value {
        let number = self.0;
        json!({
            "sub": format!("user-{number:08}"),
            "name": "Ada Lovelace",
            "email": format!("ada.{number}@example.com"),
            "iat": 1_790_000_000,
            "exp": EXPIRES_AT,
        })
    }
}

/// The session formats that are driven over the network.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Jwt,
    NextAuth,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Jwt, Self::NextAuth];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::NextAuth => "next-auth",
        }
    }

    /// A `Cookie` header of about 600 bytes.
    pub(crate) fn cookies(self, visitor: &Visitor) -> String {
        let session = visitor.session();
        let own = match self {
            Self::Jwt => format!("session={}", signed(&session)),
            Self::NextAuth => format!("next-auth.session-token={}", encrypted(&session)),
        };
        format!(
            "_ga=GA1.1.1790000000.1790000000; theme=dark; locale=en; \
             csrf=3f0b8c1d2e4a5968778695a4b3c2d1e0; {own}; \
             _ga_ABCDEFGHIJ=GS1.1.1790000000.1.1.1790000042.0.0.0; \
             consent=analytics%3Dyes%26ads%3Dno; sidebar=open; seen=tour-1.tour-2.tour-3"
        )
    }
}

/// HS256 (RFC 7515).
fn signed(session: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), session, &key).unwrap()
}

/// `dir` with A256GCM (RFC 7516), under the key next-auth 4 derives.
fn encrypted(session: &Value) -> String {
    let info: [&[u8]; 1] = [b"NextAuth.js Generated Encryption Key"];
    let pseudorandom = Salt::new(HKDF_SHA256, b"").extract(SECRET.as_bytes());
    let key: UnboundKey = pseudorandom.expand(&info, &AES_256_GCM).unwrap().into();
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"dir","enc":"A256GCM"}"#);
    let iv = [7; 12];
    let mut text = session.to_string().into_bytes();
    let tag = LessSafeKey::new(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(header.as_bytes()),
            &mut text,
        )
        .unwrap();
    let [iv, text, tag] = [&iv[..], &text, tag.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}..{iv}.{text}.{tag}")
}
