//! Base64 and hexadecimal as each framework writes them. Decoding is strict:
//! a text the framework would not have written is not a session.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::base::text::from_hex;

/// Standard alphabet, padding as it comes.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `A–Z a–z 0–9 - _`, unpadded.
pub(crate) fn url_decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// As `url_decode`, padded.
pub(crate) fn url_decode_padded(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE.decode(text).ok()
}

/// `A–Z a–z 0–9 + /`, with or without padding.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// As `decode`, where the framework demands padding.
pub(crate) fn decode_padded(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// As `decode`, where the framework takes padding off before it compares.
pub(crate) fn decode_unpadded(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// Lower-case hexadecimal, as PHP and Ruby write MACs and compare them as text.
pub(crate) fn hex_decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().any(u8::is_ascii_uppercase) { None } else { from_hex(text) }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}
