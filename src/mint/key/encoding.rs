//! How a shared secret is written down.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::base::secret::Secret;
use crate::base::text::from_hex;
use crate::document::{At, FromNode};

/// The encoding of a secret's text.
#[derive(Clone, Copy)]
pub(in crate::mint) enum Encoding {
    Base64,
    Base64Url,
    Hex,
    Utf8,
}

impl Encoding {
    /// The bytes of a secret that is written in this encoding.
    pub(in crate::mint) fn decode(self, secret: &Secret) -> Option<Secret> {
        let text = || secret.text().map(|text| text.trim_end_matches('='));
        match self {
            Self::Base64 => STANDARD.decode(secret.bytes()).ok().map(Secret::new),
            Self::Base64Url => URL_SAFE_NO_PAD.decode(text()?).ok().map(Secret::new),
            Self::Hex => from_hex(secret.bytes()).map(Secret::new),
            Self::Utf8 => Some(secret.clone()),
        }
    }

    /// A secret in this encoding, in words.
    pub(in crate::mint) fn described(self) -> &'static str {
        match self {
            Self::Base64 => "base64 text (A-Z, a-z, 0-9, `+` and `/`, padded with `=`)",
            Self::Base64Url => "base64url text (A-Z, a-z, 0-9, `-` and `_`)",
            Self::Hex => "hexadecimal text (an even number of the digits 0-9 and a-f)",
            Self::Utf8 => "shared secret",
        }
    }
}

impl FromNode for Encoding {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""utf8", "hex", "base64" or "base64url""#;
        match at.text(EXPECTED)? {
            "base64" => Some(Self::Base64),
            "base64url" => Some(Self::Base64Url),
            "hex" => Some(Self::Hex),
            "utf8" => Some(Self::Utf8),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
