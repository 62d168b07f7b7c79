//! The notation of a cookie's value, told by its syntax alone.
//!
//! For hints to an operator only: each kind says whether a value in this
//! notation looks like one of its own. Nothing is decided by looks.

use serde_json::{Map, Value};

use super::codec::{base64, claims, json};

/// A value to recognise.
pub(super) struct Sample<'v> {
    pub text: &'v str,
    pub notation: Notation<'v>,
}

pub(super) enum Notation<'v> {
    /// `CIPHERTEXT;NONCE`, the nonce 24 bytes in base64.
    Boxed,
    /// `CIPHERTEXT--IV--TAG`, the vector 12 bytes in base64 and the tag 16, unless its end was
    /// cut off.
    DashedBox {
        is_whole: bool,
    },
    /// `TEXT--MAC`, the MAC in hexadecimal.
    DashedMac,
    /// An encrypted token (JWE): five parts, or fewer if its end was cut off.
    Encrypted {
        algorithm: String,
        encryption: String,
    },
    /// A JSON object in base64.
    Json(Map<String, Value>),
    Other,
    /// `CONTENT.MAC`, the MAC 32 bytes in base64.
    Signed {
        content: &'v str,
        mac: &'v str,
    },
    /// Payload, time and MAC with a separator between them.
    Timed {
        payload: &'v str,
        separator: char,
        mac_length: usize,
    },
    /// A signed token (JWS) of three parts, by its claims.
    Token(Value),
}

/// The looks of a value to one kind.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Completes "the value looks like …".
    pub text: &'static str,
    pub fit: Fit,
    /// In place of the kind's `also_check`.
    pub also_check: Option<&'static str>,
}

/// Degrees of likeness, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// No other kind writes such a value.
    Sure,
    Likely,
    Possible,
    Remote,
    /// The kind reads such a value too, but as a hint it would be wrong: another kind writes
    /// it, unless the settings say otherwise.
    Shared,
    /// The kind's own form, but without its signature; the refusal says so.
    Unsigned,
}

impl Look {
    pub(super) const fn new(fit: Fit, text: &'static str) -> Self {
        Self { text, fit, also_check: None }
    }

    pub(super) const fn sure(text: &'static str) -> Option<Self> {
        Some(Self::new(Fit::Sure, text))
    }
}

impl<'v> Sample<'v> {
    /// `None` for bytes that are not text.
    pub(super) fn new(value: &'v [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let notation =
            token(text).or_else(|| timed(text)).or_else(|| signed(text)).or_else(|| json(text));
        Some(Self { text, notation: notation.unwrap_or(Notation::Other) })
    }

    pub(super) fn starts_with(&self, mark: &str) -> bool {
        self.text.starts_with(mark)
    }

    /// Whether this is a token encrypted directly under a shared key.
    pub(super) fn is_encrypted_with(&self, name: &str) -> bool {
        matches!(&self.notation, Notation::Encrypted { algorithm, encryption }
            if algorithm == "dir" && encryption == name)
    }
}

/// Dotted parts of which the first is a token's header.
fn token(text: &str) -> Option<Notation<'_>> {
    let parts: Vec<_> = text.split('.').collect();
    let object = |part: Option<&&str>| claims::object(&base64::url_decode(part?)?).ok();
    let header = object(parts.first())?;
    let algorithm = claims::text(&header, "alg")?;
    match (parts.len(), claims::text(&header, "enc")) {
        (2..=5, Some(encryption)) => Some(Notation::Encrypted {
            algorithm: algorithm.to_owned(),
            encryption: encryption.to_owned(),
        }),
        (3, None) => Some(Notation::Token(object(parts.get(1)).unwrap_or_default())),
        // A token whose signature is elsewhere.
        (2, None) => Some(Notation::Other),
        _ => None,
    }
}

/// A text and its MAC, told apart by the separator and the length of the MAC.
fn signed(text: &str) -> Option<Notation<'_>> {
    if let Some(dashed) = dashed(text) {
        return Some(dashed);
    }
    if let Some((_, nonce)) = text.split_once(';') {
        let boxed = nonce.len() == 32 && base64::decode(nonce).is_some();
        return boxed.then_some(Notation::Boxed);
    }
    let (content, mac) = text.rsplit_once('.')?;
    let is_sha256 = base64::decode(mac).is_some_and(|mac| mac.len() == 32);
    is_sha256.then_some(Notation::Signed { content, mac })
}

/// Two or three parts between `--`. Base64url has dashes too, which only the lengths of the
/// parts tell from these.
fn dashed(text: &str) -> Option<Notation<'_>> {
    let parts: Vec<_> = text.split("--").collect();
    let is_hex =
        |text: &str| [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let length = |text: &str| base64::decode(text).map(|bytes| bytes.len());
    match parts.as_slice() {
        [_, mac] if is_hex(mac) => Some(Notation::DashedMac),
        [content, iv, tag] if length(content).is_some() && length(iv) == Some(12) => {
            const LONGEST_TAG: usize = 24;
            let is_whole = length(tag) == Some(16);
            (is_whole || tag.len() < LONGEST_TAG).then_some(Notation::DashedBox { is_whole })
        }
        _ => None,
    }
}

/// Payload, time and MAC: itsdangerous and Django.
fn timed(text: &str) -> Option<Notation<'_>> {
    let split = |separator: char| {
        let (signed, mac) = text.rsplit_once(separator)?;
        let (payload, time) = signed.rsplit_once(separator)?;
        let mac_length = base64::url_decode(mac)?.len();
        let is_timed = (4..=8).contains(&time.len()) && !payload.is_empty();
        is_timed.then_some(Notation::Timed { payload, separator, mac_length })
    };
    let fits = |lengths: &'static [usize]| move |it: &Notation<'_>| matches!(it, Notation::Timed { mac_length, .. } if lengths.contains(mac_length));
    // itsdangerous takes any digest.
    split(':').filter(fits(&[32])).or_else(|| split('.').filter(fits(&[20, 32, 48, 64])))
}

/// JSON in base64, whose MAC is in a separate cookie.
fn json(text: &str) -> Option<Notation<'_>> {
    match json::parse(&base64::decode(text)?).ok()? {
        Value::Object(members) => Some(Notation::Json(members)),
        _ => None,
    }
}
