//! The notations of session cookies, to the letter.
//!
//! The app's own library decodes leniently: it takes padding that should not be there, bits
//! that mean nothing, letters of no alphabet, the other alphabet of base64. So a session has
//! many spellings that it reads and that do not verify here. A value that is written exactly
//! as the framework writes is none of them: each of its parts decodes to the same bytes
//! everywhere, and if these do not verify here, the value is of another secret, of a kind that
//! is not known here, or of nobody. Whatever differs from that notation in one letter may be
//! another spelling of a session. Pure.

use super::{base64, claims};

/// The bytes of an authentication tag: a shorter one, which some libraries take, is of the
/// same session.
const TAGS: [usize; 2] = [16, 32];
/// The bytes of an initialization vector.
const VECTORS: [usize; 2] = [12, 16];

/// Nothing is known to be as written.
pub(crate) fn unknown(_: &[u8]) -> bool {
    false
}

/// A signed or an encrypted token (JWS, JWE), in which the parts are base64url.
pub(crate) fn token(value: &[u8]) -> bool {
    let parts: Vec<_> = value.split(|&b| b == b'.').collect();
    match parts.as_slice() {
        [_, _, _] => are_url(&parts),
        // An encrypted term of Phoenix, and a signed id.
        [first, last] => are_url(&[first, last]),
        &[_, _, vector, _, tag] => {
            are_url(&parts) && has_length(vector, &VECTORS) && has_length(tag, &TAGS)
        }
        _ => lacks(value, b'.'),
    }
}

/// As `token`, with the padding that some signers leave at the end of each part.
pub(crate) fn padded_token(value: &[u8]) -> bool {
    let parts = value.split(|&b| b == b'.');
    let is_padded = |part: &[u8]| base64::url_decode_padded(part).is_some();
    token(value) || parts.clone().count() == 3 && parts.into_iter().all(is_padded)
}

/// `payload.timestamp.signature`, or with colons: itsdangerous and Django.
pub(crate) fn timed(value: &[u8]) -> bool {
    let separator = if value.contains(&b':') { b':' } else { b'.' };
    let mut parts = value.rsplitn(3, |&b| b == separator);
    let (Some(signature), Some(time), Some(payload)) = (parts.next(), parts.next(), parts.next())
    else {
        return lacks(value, separator);
    };
    let payload = payload.strip_prefix(b".").unwrap_or(payload);
    let is_payload = is_url(payload) || base64::decode_padded(payload).is_some();
    is_payload && time.iter().all(|&b| is_url_letter(b)) && is_url(signature)
}

/// A text and its MAC in base64, which are compared as texts.
pub(crate) fn signed_id(value: &[u8]) -> bool {
    match rsplit_once(value, b'.') {
        Some((text, mac)) => !text.iter().any(|b| b"%\\".contains(b)) && is_mac(mac),
        None => lacks(value, b'.'),
    }
}

/// A text in base64 and its MAC.
pub(crate) fn signed_text(value: &[u8]) -> bool {
    match rsplit_once(value, b'.') {
        Some((text, mac)) => base64::decode(text).is_some() && is_mac(mac),
        None => lacks(value, b'.'),
    }
}

/// A text in base64, or its signature in another cookie.
pub(crate) fn base64_text(value: &[u8]) -> bool {
    base64::decode(value).is_some() || is_url(value)
}

/// Ciphertext and nonce, with a semicolon between.
pub(crate) fn boxed(value: &[u8]) -> bool {
    let mut parts = value.split(|&b| b == b';');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(sealed), Some(nonce), None) => {
            base64::decode(sealed).is_some() && base64::decode(nonce).is_some()
        }
        _ => lacks(value, b';'),
    }
}

/// A seal of iron, perhaps in a signed session of React Router.
pub(crate) fn seal(value: &[u8]) -> bool {
    let parts: Vec<_> = value.split(|&b| b == b'*').collect();
    let &[b"Fe26.2", id, cipher_salt, vector, sealed, end, mac_salt, mac] = parts.as_slice() else {
        return value.contains(&b'.') && signed_text(value) || lacks(value, b'*');
    };
    // iron-session writes the version of its content behind.
    let mac = mac.strip_suffix(b"~2").unwrap_or(mac);
    let are_texts =
        [id, cipher_salt, mac_salt].iter().all(|it| it.iter().all(|&b| is_url_letter(b)));
    are_texts && end.iter().all(u8::is_ascii_digit) && are_url(&[vector, sealed, mac])
}

/// The session's token with its MAC, or the cached session: a token, or JSON in base64url.
pub(crate) fn better_auth(value: &[u8]) -> bool {
    match rsplit_once(value, b'.') {
        Some((id, mac)) if lacks(id, b'.') => mac.len() == 44 && is_mac(mac),
        Some(_) => token(value),
        None => base64::url_decode(value).is_some_and(|text| claims::object(&text).is_ok()),
    }
}

/// Parts in base64 with `--` between, of which the last may be a MAC in hexadecimal: Rails.
pub(crate) fn dashed(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let parts: Vec<_> = text.split("--").collect();
    let is_padded = |part: &str| base64::decode_padded(part).is_some();
    match parts.as_slice() {
        [text, mac] => is_padded(text) && base64::hex_decode(mac.as_bytes()).is_some(),
        [sealed, vector, tag] => {
            let length = |part| base64::decode_padded(part).map(|part| part.len());
            is_padded(sealed) && length(vector) == Some(12) && length(tag) == Some(16)
        }
        _ => false,
    }
}

/// JSON in base64 with parts in base64 and a MAC in hexadecimal: Laravel.
pub(crate) fn envelope(value: &[u8]) -> bool {
    let Some(text) = base64::decode_padded(value) else { return false };
    let Ok(envelope) = claims::object(&text) else { return false };
    let member = |name| claims::text(&envelope, name);
    let (Some(iv), Some(sealed)) = (member("iv"), member("value")) else { return false };
    let (mac, tag) = (member("mac").unwrap_or_default(), member("tag"));
    let mut written = format!("{{\"iv\":\"{iv}\",\"value\":\"{sealed}\",\"mac\":\"{mac}\"");
    if let Some(tag) = tag {
        written.push_str(&format!(",\"tag\":\"{tag}\""));
    }
    written.push('}');
    // PHP puts a backslash before each slash, unless it is told not to.
    let is_written = text == written.as_bytes() || text == written.replace('/', "\\/").as_bytes();
    let are_base64 = [iv, sealed, tag.unwrap_or_default()];
    let are_base64 = are_base64.iter().all(|part| base64::decode_padded(part).is_some());
    let is_whole_tag = tag.is_none_or(|tag| tag.is_empty() || has_padded_length(tag, 16));
    is_written && are_base64 && is_whole_tag && base64::hex_decode(mac.as_bytes()).is_some()
}

/// Whether a value is of another notation, as it lacks what stands between the parts of this
/// one, and no library would unescape it.
fn lacks(value: &[u8], separator: u8) -> bool {
    is_plain(value) && !value.contains(&separator)
}

fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|&b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b'"'))
}

fn is_url(part: &[u8]) -> bool {
    base64::url_decode(part).is_some()
}

fn are_url(parts: &[&[u8]]) -> bool {
    parts.iter().all(|part| is_url(part))
}

fn is_url_letter(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn is_mac(text: &[u8]) -> bool {
    base64::decode(text).is_some_and(|mac| mac.len() == 32)
}

fn has_length(part: &[u8], lengths: &[usize]) -> bool {
    base64::url_decode(part).is_some_and(|part| lengths.contains(&part.len()))
}

fn has_padded_length(part: &str, length: usize) -> bool {
    base64::decode_padded(part).is_some_and(|part| part.len() == length)
}

fn rsplit_once(value: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = value.iter().rposition(|&b| b == separator)?;
    Some((value.get(..at)?, value.get(at + 1..)?))
}
