//! Bytes as text, in each alphabet a vendor asks for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::base::text::hex;
use crate::document::{At, FromNode};

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Base64,
    /// Base64 with `-`, `_` and `~` in place of `+`, `=` and `/` (CloudFront).
    CloudFront,
    Hex,
    /// Base64 for URLs (RFC 4648 section 5), without padding.
    Url,
}

impl Alphabet {
    pub(crate) fn apply(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::CloudFront => {
                STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
            }
            Self::Hex => hex(bytes),
            Self::Url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// The alphabet a filter's argument names.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "base64" => Some(Self::Base64),
            "base64url" => Some(Self::Url),
            "cloudfront" => Some(Self::CloudFront),
            "hex" => Some(Self::Hex),
            _ => None,
        }
    }
}

impl FromNode for Alphabet {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""hex", "base64", "base64url" or "cloudfront""#;
        let alphabet = Self::named(at.text(EXPECTED)?);
        if alphabet.is_none() {
            at.wrong(EXPECTED);
        }
        alphabet
    }
}
