//! Tencent's UserSig, version 2: a JSON document with an HMAC over its fields, compressed,
//! in base64 with its own alphabet.
//!
//! The same as the vendor's library `tls-sig-api-v2` writes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::binary::zlib;
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, Text};

pub(in crate::mint) struct UserSig {
    app_id: u64,
    key: Box<hmac::Key>,
    user: Text,
    pub(in crate::mint) response: Response,
}

impl UserSig {
    pub(in crate::mint) const KEYS: [&str; 2] = ["response", "user"];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let user = members.need("user", "user = \"{session.user_id}\"");
        let user = user.and_then(|at| template::text(&at, names));
        names.need_ttl();
        let response = Response::from_members(members, &Names { made: &["token"], ..*names });
        let app_id = app_id(names, "sdk_app_id")?;
        let (_, secret) = names.keys.signing()?;
        let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()));
        Some(Self { app_id, key, user: user?, response: response? })
    }

    /// Signs a token.
    pub(in crate::mint) fn token(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let user = self.user.needed(scope)?;
        if user.is_empty() || user.contains(char::is_control) {
            return Err(MintError::not_allowed("`user` is empty or holds a control character"));
        }
        let (now, life) = (scope.times.now, scope.times.ttl.unwrap_or_default());
        let text = format!(
            "TLS.identifier:{user}\nTLS.sdkappid:{}\nTLS.time:{now}\nTLS.expire:{life}\n",
            self.app_id
        );
        let signature = STANDARD.encode(hmac::sign(&self.key, text.as_bytes()));
        let document = json!({
            "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": self.app_id,
            "TLS.time": now, "TLS.expire": life, "TLS.sig": signature
        });
        let packed = STANDARD.encode(zlib(document.to_string().as_bytes())?);
        Ok(packed.replace('+', "*").replace('/', "-").replace('=', "_"))
    }
}

/// A public member of the key that is a number.
pub(super) fn app_id(names: &Names<'_>, name: &str) -> Option<u64> {
    let number = names.public_member(name)?.parse().ok();
    if number.is_none() {
        names.token.problem(format!("`key.{name}` must be the app's number, in quotes"));
    }
    number
}
