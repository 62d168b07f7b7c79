//! The `Fe26.2` seal of @hapi/iron: encrypted, then authenticated, under keys derived from
//! a password with salts that are part of it.

use std::num::NonZeroU32;

use super::base64;
use super::crypto::{Hash, MacKey, open_cbc, pbkdf2};
use crate::base::secret::Secret;
use crate::session::rejected::{Reason, Rejected};

/// The content of a seal, and its end in Unix milliseconds.
pub(crate) struct Unsealed {
    pub plaintext: Vec<u8>,
    pub expires_at_ms: Option<u64>,
}

impl Unsealed {
    /// The end in whole seconds, cut off.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.expires_at_ms.map(|ms| ms / 1000)
    }
}

/// One round is iron's own choice: it expects passwords of full strength.
pub(crate) const IRON_ROUNDS: &[NonZeroU32] = &[NonZeroU32::MIN];

/// The id of a seal that names none, in iron itself.
pub(crate) const UNNAMED: &str = "default";

/// The ids that seals use for a password.
pub(crate) enum PasswordIds {
    Any,
    Of(Vec<String>),
}

impl PasswordIds {
    fn include(&self, id: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(own) => own.iter().any(|own| own == id),
        }
    }
}

/// The passwords of an app, each under the ids that seals use for it, and the rounds its
/// keys may be derived with.
pub(crate) struct Passwords {
    named: Vec<(PasswordIds, Secret)>,
    rounds: Vec<NonZeroU32>,
}

impl Passwords {
    /// `rounds` are tried in this order.
    pub(crate) fn new(named: Vec<(PasswordIds, Secret)>, rounds: Vec<NonZeroU32>) -> Self {
        Self { named, rounds }
    }

    /// Whether a seal takes so many rounds that a flood of forged ones would hurt.
    pub(crate) fn are_slow(&self) -> bool {
        const MANY: u32 = 100;
        self.rounds.iter().any(|rounds| rounds.get() > MANY)
    }

    /// All of them, whatever their ids.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.named.iter().map(|(_, secret)| secret)
    }

    /// The passwords that may open a seal with this id.
    fn named(&self, id: &str) -> Vec<&Secret> {
        let id = if id.is_empty() { UNNAMED } else { id };
        let named = self.named.iter().filter(|(own, _)| own.include(id));
        named.map(|(_, password)| password).collect()
    }
}

/// Opens a seal.
pub(crate) fn unseal(seal: &str, passwords: &Passwords) -> Result<Unsealed, Rejected> {
    let parts: Vec<_> = seal.split('*').collect();
    let &[prefix, id, cipher_salt, iv, ciphertext, expiry, mac_salt, mac] = parts.as_slice() else {
        return Err(Rejected::malformed(format!(
            "a seal has 8 parts, but this one has {}",
            parts.len()
        )));
    };
    if prefix != "Fe26.2" {
        return Err(Rejected::malformed("the value does not start with `Fe26.2`"));
    }
    let expires_at_ms = read_expiry(expiry)?;
    let decode = |text: &str| {
        base64::url_decode(text)
            .ok_or_else(|| Rejected::malformed("a part of the seal is not base64url"))
    };
    let (iv, ciphertext, mac) = (decode(iv)?, decode(ciphertext)?, decode(mac)?);
    let authenticated = parts.get(..6).unwrap_or_default().join("*");
    let candidates = passwords.named(id);
    if candidates.is_empty() {
        let detail = "the seal names a password id that is not in `secrets`";
        return Err(Rejected::new(Reason::BadSignature, detail));
    }
    let (password, rounds) = sealed_with(&candidates, passwords, (&authenticated, mac_salt), &mac)
        .ok_or_else(|| Rejected::bad_signature(candidates.len()))?;
    let plaintext = open_cbc(derive(password, cipher_salt, rounds).bytes(), &iv, &ciphertext)
        .ok_or_else(|| Rejected::malformed("the sealed text cannot be decrypted"))?;
    Ok(Unsealed { plaintext, expires_at_ms })
}

fn read_expiry(text: &str) -> Result<Option<u64>, Rejected> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    number.map(Some).ok_or_else(|| Rejected::malformed("the seal's expiry is not a number"))
}

/// The password and the rounds that make the MAC match: few rounds first, so that cheap
/// seals stay cheap.
fn sealed_with<'p>(
    candidates: &[&'p Secret],
    passwords: &Passwords,
    (authenticated, salt): (&str, &str),
    mac: &[u8],
) -> Option<(&'p Secret, NonZeroU32)> {
    let rounds = passwords.rounds.iter();
    let mut pairs = rounds.flat_map(|&rounds| candidates.iter().map(move |&own| (own, rounds)));
    pairs.find(|(password, rounds)| {
        let key = derive(password, salt, *rounds);
        MacKey::new(Hash::Sha256, key.bytes()).verifies(authenticated.as_bytes(), mac)
    })
}

/// A password given as bytes is the key itself, and then there is no salt.
fn derive(password: &Secret, salt: &str, rounds: NonZeroU32) -> Secret {
    if salt.is_empty() {
        return password.clone();
    }
    pbkdf2(Hash::Sha1, password.bytes(), salt.as_bytes(), rounds, 32)
}
