//! ZEGOCLOUD's token04: a JSON document, encrypted with the server secret.
//!
//! "04" and the base64 of: the end (64 bits), the initialisation vector, the ciphertext
//! (AES-CBC with PKCS#7 padding), each behind its length (16 bits), all big-endian. The
//! same as the vendor's `zego_server_assistant` writes.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::binary::random;
use super::usersig::app_id;
use crate::base::secret::Secret;
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, Template, Text};

pub(in crate::mint) struct Zego {
    app_id: u64,
    secret: Secret,
    user: Text,
    /// Room and privileges, which the token carries as JSON text.
    payload: Option<Template>,
    pub(in crate::mint) response: Response,
}

impl Zego {
    pub(in crate::mint) const KEYS: [&str; 3] = ["payload", "response", "user"];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let user = members.need("user", "user = \"{session.user_id}\"");
        let user = user.and_then(|at| template::text(&at, names));
        let payload = match members.take("payload") {
            Some(at) => Some(template::value(&at, names)?),
            None => None,
        };
        names.need_ttl();
        let response = Response::from_members(members, &Names { made: &["token"], ..*names });
        let app_id = app_id(names, "app_id")?;
        let (name, secret) = names.keys.signing()?;
        if secret.bytes().len() != 32 {
            names.token.problem(format!(
                "`key.{name}` is not a server secret of 32 characters (the value is not repeated \
                 here)"
            ));
            return None;
        }
        let (user, response) = (user?, response?);
        Some(Self { app_id, secret: secret.clone(), user, payload, response })
    }

    /// Encrypts a token.
    pub(in crate::mint) fn token(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let user = self.user.needed(scope)?;
        if user.is_empty() {
            return Err(MintError::not_allowed("`user` is empty"));
        }
        let payload = match &self.payload {
            Some(template) => template.value(scope)?.map(|payload| payload.to_string()),
            None => None,
        };
        let expire = scope.times.exp.unwrap_or_default();
        let document = json!({
            "app_id": self.app_id, "user_id": user, "nonce": i32::from_be_bytes(random()?),
            "ctime": scope.times.now, "expire": expire, "payload": payload.unwrap_or_default()
        });
        let iv: [u8; 16] = random()?;
        let sealed = self.sealed(document.to_string().into_bytes(), iv)?;
        let length = u16::try_from(sealed.len())
            .map_err(|_| MintError::not_allowed("the token is too long"))?;
        let mut token = Vec::with_capacity(sealed.len() + 28);
        token.extend(expire.to_be_bytes());
        token.extend(16_u16.to_be_bytes());
        token.extend(iv);
        token.extend(length.to_be_bytes());
        token.extend(sealed);
        Ok(format!("04{}", STANDARD.encode(token)))
    }

    fn sealed(&self, mut text: Vec<u8>, iv: [u8; 16]) -> Result<Vec<u8>, MintError> {
        let key = UnboundCipherKey::new(&AES_256, self.secret.bytes())
            .and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        let sealed = key.and_then(|key| key.less_safe_encrypt(&mut text, context));
        sealed.map_err(|_| MintError::Unavailable("encrypting the token failed".into()))?;
        Ok(text)
    }
}
