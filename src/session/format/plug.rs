//! Plug and Phoenix: an Erlang map, signed or encrypted. `mix phx.gen.auth` keeps a token
//! in it that identifies a row.

use std::num::NonZeroU32;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::{Risks, has};
use crate::base::secret::Secret;
use crate::session::codec::crypto::{Hash, MacKey, pbkdf2};
use crate::session::codec::{base64, bytes, erlang, spelling};
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Cell, Check, Engine, Question, StoreAnswer};
use crate::session::store_settings::StoreSettings;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { encoding: Encoding::Raw, ..CookieConventions::NODE };

/// Longest age of a row in phx.gen.auth since Phoenix 1.8; it was 60 days before.
const MAX_AGE: u64 = 14 * 86400;

/// `key_iterations`.
const USUAL_ROUNDS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

struct Plug {
    protection: Protection,
    tokens: Option<Tokens>,
}

enum Protection {
    Encrypted(Vec<XChaCha20Poly1305>),
    Signed(Vec<Secret>),
}

/// The table of phx.gen.auth.
struct Tokens {
    table: String,
    token: String,
    context: String,
    inserted: String,
    max_age: u64,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "plug",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        look,
        also_check: "; or the salt is not the one in the app's endpoint.ex",
        ..Hints::NONE
    },
    // `mix phx.gen.auth`, with the name of the app in front.
    remember_cookies: &["*_remember_me"],
    risks: Risks { never_ends: |at| !has(at, "store"), ..Risks::NONE },
    schema: include_str!("plug.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let tokens = read_tokens(settings);
    let protection = read_protection(settings)?;
    let user_id = tokens.as_ref().map(|_| "/user_id".into());
    let (store, tokens) = tokens.unzip();
    let compiled = Compiled::new(jar?, Plug { protection, tokens }).with_store(store);
    Some(Compiled { user_id, ..compiled })
}

fn read_tokens(settings: &mut Settings<'_, '_>) -> Option<(StoreSettings, Tokens)> {
    let max_age = settings.seconds("max_age");
    let Some(mut store) = settings.store(&[Engine::Sql]) else {
        if max_age.is_some() && settings.table().peek("store").is_none() {
            settings.problem("`max_age` is the age of a row, so it needs [session.store]");
        }
        return None;
    };
    let tokens = Tokens {
        table: store.identifier("table", "users_tokens"),
        token: store.identifier("token_column", "token"),
        context: store.identifier("context_column", "context"),
        inserted: store.identifier("inserted_column", "inserted_at"),
        max_age: max_age.unwrap_or(MAX_AGE),
    };
    Some((store.finish(), tokens))
}

fn read_protection(settings: &mut Settings<'_, '_>) -> Option<Protection> {
    let signing: Option<String> = settings.get("signing_salt");
    let encryption: Option<String> = settings.get("encryption_salt");
    let rounds = key_settings::rounds(settings, &[USUAL_ROUNDS]);
    let length = settings.get::<usize>("key_length").unwrap_or(32);
    let hash = settings.get("key_digest").unwrap_or(Hash::Sha256);
    let secrets = settings.secrets()?;
    if !(16..=64).contains(&length) || (encryption.is_some() && length != 32) {
        settings.problem("`key_length` must be between 16 and 64 bytes, and 32 for encryption");
        return None;
    }
    let derive = |salt: &str| {
        let derived =
            |secret: &Secret, rounds| pbkdf2(hash, secret.bytes(), salt.as_bytes(), rounds, length);
        let of_one = |secret| rounds.iter().map(move |&rounds| derived(secret, rounds));
        secrets.iter().flat_map(of_one).collect::<Vec<_>>()
    };
    if let Some(salt) = encryption {
        let boxes = derive(&salt);
        let boxes = boxes.iter().map(|key| XChaCha20Poly1305::new(Key::from_slice(key.bytes())));
        return Some(Protection::Encrypted(boxes.collect()));
    }
    let Some(salt) = signing else {
        settings.problem(
            "`signing_salt` is missing; it stands in the app's endpoint.ex beside the \
             cookie's `key`",
        );
        return None;
    };
    Some(Protection::Signed(derive(&salt)))
}

impl Verify for Plug {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let value = found.text()?;
        let term = match &self.protection {
            Protection::Encrypted(boxes) => decrypt(value, boxes)?,
            Protection::Signed(keys) => verify(value, keys)?,
        };
        let session = erlang::parse(&term)?;
        let Some(tokens) = &self.tokens else {
            return Ok(Check::Known(OpenedSession { session, expires_at: None }));
        };
        let token = session.get("user_token").and_then(bytes::raw).ok_or_else(|| {
            Rejected::new(Reason::NoUser, "the session is valid, but has no `user_token`")
        })?;
        let context = Cell::Text("session".into());
        let matching = [(&*tokens.token, Cell::Bytes(token)), (&*tokens.context, context)];
        Ok(Question::row(&tokens.table, &matching))
    }

    /// The row alone proves nothing: phx.gen.auth never deletes old ones.
    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        _now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let tokens = self.tokens.as_ref().ok_or_else(store::not_asked)?;
        let row = answer.row()?;
        let expires_at = Some(row.time(&tokens.inserted)?.saturating_add(tokens.max_age));
        let mut session = row.into_session();
        if let Some(members) = session.as_object_mut() {
            members.remove(&tokens.token);
        }
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    if sample.starts_with("QTEyOEdDTQ.") {
        return Look::sure("a session encrypted by plug_crypto 1");
    }
    if sample.starts_with("XCP.") {
        return Look::sure("an encrypted Phoenix (Plug) session");
    }
    sample.starts_with("SFM").then_some(Look::new(Fit::Sure, "a Phoenix (Plug) session"))
}

/// `<header>.<term>.<MAC>`; the header is the encoded name of the hash.
fn verify(value: &str, keys: &[Secret]) -> Result<Vec<u8>, Rejected> {
    let parts = value.rsplit_once('.').and_then(|(signed, mac)| {
        let (header, term) = signed.split_once('.')?;
        Some((signed, mac, header, term))
    });
    let Some((signed, mac, header, term)) = parts else {
        return Err(Rejected::malformed(if value.starts_with("XCP.") {
            "the value is encrypted; write the `encryption_salt` of the app's endpoint.ex"
        } else {
            "the value does not have three parts"
        }));
    };
    let hash = match base64::url_decode(header).as_deref() {
        Some(b"HS256") => Hash::Sha256,
        Some(b"HS384") => Hash::Sha384,
        Some(b"HS512") => Hash::Sha512,
        _ => return Err(Rejected::malformed("the value does not start with `SFMyNTY`")),
    };
    let mac = base64::url_decode(mac).unwrap_or_default();
    let matches = |key: &Secret| MacKey::new(hash, key.bytes()).verifies(signed.as_bytes(), &mac);
    if !keys.iter().any(matches) {
        return Err(Rejected::bad_signature(keys.len()));
    }
    base64::url_decode(term).ok_or_else(|| Rejected::malformed("the term is not base64url"))
}

/// `XCP.` and then nonce, tag and ciphertext in one piece.
fn decrypt(value: &str, boxes: &[XChaCha20Poly1305]) -> Result<Vec<u8>, Rejected> {
    let sealed = value.strip_prefix("XCP.").and_then(base64::url_decode);
    let parts = sealed.as_deref().and_then(|sealed| {
        let (nonce, rest) = sealed.split_at_checked(24)?;
        let (tag, ciphertext) = rest.split_at_checked(16)?;
        Some((nonce, [ciphertext, tag].concat()))
    });
    let Some((nonce, message)) = parts else {
        return Err(Rejected::malformed(if value.starts_with("SFM") {
            "the value is signed, not encrypted; leave out `encryption_salt`"
        } else {
            "the value is not `XCP.` and an encrypted term"
        }));
    };
    let opened = boxes.iter().find_map(|key| {
        // The label is a historic one; the cipher is XChaCha20-Poly1305.
        let payload = Payload { msg: &message, aad: b"A128GCM" };
        key.decrypt(XNonce::from_slice(nonce), payload).ok()
    });
    opened.ok_or_else(|| Rejected::bad_signature(boxes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_another_kind_is_malformed_not_trusted() {
        let refused = verify("QTEyOEdDTQ.AAAA.AAAA", &[Secret::new("k")]).unwrap_err();
        assert_eq!(refused.reason, Reason::Malformed);
    }
}
