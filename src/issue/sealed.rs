//! A token as it lies in the shared store: sealed, under a name that tells nothing.
//!
//! AES-256-GCM under a key of `[shared]`, with the digest of the cache key as associated
//! data: a value that was moved to another name does not open, so no one who can write to
//! the store can give one user another's token. The name is an HMAC of that digest, so a
//! reader of the store cannot test which user or token it is.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use http::HeaderValue;

use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::text::hex;
use crate::mint::{Token, TokenParts};

/// First byte of a sealed value; another layout gets another.
const VERSION: u8 = 1;

/// The keys of `[shared]`, ready to seal.
pub(super) struct SealKeys(Vec<SealKey>);

struct SealKey {
    seal: RandomizedNonceKey,
    name: hmac::Key,
}

impl SealKeys {
    /// The first seals, all open.
    pub(super) fn new(secrets: &[Secret]) -> Self {
        Self(secrets.iter().filter_map(SealKey::new).collect())
    }

    /// The names that a token may have, first that of a new one.
    pub(super) fn names<'k>(&'k self, key: &Digest) -> impl Iterator<Item = String> + use<'k> {
        let digest = *key;
        let name = move |key: &SealKey| hex(hmac::sign(&key.name, digest.bytes()).as_ref());
        self.0.iter().map(name)
    }

    pub(super) fn seal(&self, key: &Digest, token: &Token) -> Option<Vec<u8>> {
        let mut text = write(token);
        let own = self.0.first()?;
        let nonce = own.seal.seal_in_place_append_tag(Aad::from(key.bytes()), &mut text).ok()?;
        Some([&[VERSION], nonce.as_ref().as_slice(), text.as_slice()].concat())
    }

    /// `None` is nothing that was sealed under one of the keys for this token.
    pub(super) fn open(&self, key: &Digest, sealed: &[u8]) -> Option<Token> {
        let (nonce, text) = sealed.strip_prefix(&[VERSION])?.split_at_checked(NONCE_LEN)?;
        self.0.iter().find_map(|own| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let opened = own.seal.open_in_place(nonce, Aad::from(key.bytes()), &mut text).ok()?;
            read(opened)
        })
    }
}

impl SealKey {
    fn new(secret: &Secret) -> Option<Self> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        let seal = hmac::sign(&secret, b"portcullis shared token: seal");
        let name = hmac::sign(&secret, b"portcullis shared token: name");
        Some(Self {
            seal: RandomizedNonceKey::new(&AES_256_GCM, seal.as_ref()).ok()?,
            name: hmac::Key::new(hmac::HMAC_SHA256, name.as_ref()),
        })
    }
}

/// Times, then each part behind its length.
fn write(token: &Token) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 + token.body.len() + token.value().len());
    text.extend(token.expires_at.to_be_bytes());
    text.extend(token.usable_until.to_be_bytes());
    text.extend(token.uncut().map_or(u64::MAX, |uncut| uncut).to_be_bytes());
    let cookies = token.set_cookies().iter().map(HeaderValue::as_bytes);
    let content_type = token.content_type();
    let parts = [token.value(), &token.body[..], content_type.as_bytes()];
    for part in parts.into_iter().chain(cookies) {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

fn read(mut text: &[u8]) -> Option<Token> {
    let expires_at = read_number(&mut text)?;
    let usable_until = read_number(&mut text)?;
    let uncut = Some(read_number(&mut text)?).filter(|&uncut| uncut != u64::MAX);
    let value = read_part(&mut text)?.into();
    let body = read_part(&mut text)?.into();
    let content_type = HeaderValue::from_bytes(read_part(&mut text)?).ok()?;
    let mut set_cookies = Vec::new();
    while !text.is_empty() {
        let mut cookie = HeaderValue::from_bytes(read_part(&mut text)?).ok()?;
        cookie.set_sensitive(true);
        set_cookies.push(cookie);
    }
    let set_cookies = set_cookies.into();
    let parts =
        TokenParts { value, body, content_type, set_cookies, expires_at, usable_until, uncut };
    Some(parts.into())
}

fn read_number(text: &mut &[u8]) -> Option<u64> {
    let (number, rest) = text.split_first_chunk::<8>()?;
    *text = rest;
    Some(u64::from_be_bytes(*number))
}

fn read_part<'t>(text: &mut &'t [u8]) -> Option<&'t [u8]> {
    let length = usize::try_from(read_number(text)?).ok()?;
    let (part, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> SealKeys {
        SealKeys::new(&names.iter().map(|name| Secret::new(name.repeat(32))).collect::<Vec<_>>())
    }

    fn token() -> Token {
        TokenParts {
            value: b"canary-token".as_slice().into(),
            body: b"{\"token\":\"canary-token\"}".as_slice().into(),
            content_type: HeaderValue::from_static("application/json"),
            set_cookies: vec![HeaderValue::from_static("t=canary-token")].into(),
            expires_at: 60,
            usable_until: 50,
            uncut: None,
        }
        .into()
    }

    #[test]
    fn a_sealed_token_opens_under_each_key_and_for_its_own_name_only() {
        let (old, new) = (keys(&["a"]), keys(&["b", "a"]));
        let key = Digest::new(b"ada");
        let sealed = old.seal(&key, &token()).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        let opened = new.open(&key, &sealed).unwrap();
        assert_eq!((opened.value(), &opened.body), (token().value(), &token().body));
        assert_eq!((opened.set_cookies(), opened.uncut()), (token().set_cookies(), None));
        assert!(new.open(&Digest::new(b"bob"), &sealed).is_none(), "swapped");
        assert!(keys(&["c"]).open(&key, &sealed).is_none(), "another key");
        let name = old.names(&key).next().unwrap();
        assert!(new.names(&key).any(|known| known == name));
        assert_ne!(old.names(&Digest::new(b"bob")).next(), Some(name));
    }

    #[test]
    fn anything_else_does_not_open_and_does_no_harm() {
        let (keys, key) = (keys(&["a"]), Digest::new(b"ada"));
        let sealed = keys.seal(&key, &token()).unwrap();
        for length in 0..sealed.len() {
            assert!(keys.open(&key, &sealed[..length]).is_none(), "{length}");
            let mut changed = sealed.clone();
            changed[length] ^= 1;
            assert!(keys.open(&key, &changed).is_none(), "{length}");
        }
    }
}
