//! Agora's access tokens, version 007: services with privileges in little-endian fields,
//! signed with a key that two chained HMACs derive, compressed, in base64.
//!
//! The same as `AccessToken2` of the vendor's library `agora-token` writes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::binary::{random, zlib};
use crate::document::{At, FromNode};
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, Text};

pub(in crate::mint) struct Agora {
    app_id: String,
    certificate: Zeroizing<String>,
    service: Service,
    user: Text,
    /// The channel of an RTC token.
    channel: Option<Text>,
    role: Role,
    pub(in crate::mint) response: Response,
}

/// The product a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Chat,
    Rtc,
    Rtm,
}

/// A user's rights in an RTC channel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Publisher,
    Subscriber,
}

/// Members of a token, each with 16 bits of length in front.
const LONGEST: usize = u16::MAX as usize;

impl Agora {
    pub(in crate::mint) const KEYS: [&str; 5] = ["channel", "response", "role", "service", "user"];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let service = members.need("service", "service = \"rtc\"").and_then(|at| at.read());
        let user = members.need("user", "user = \"{session.user_id}\"");
        let user = user.and_then(|at| template::text(&at, names));
        let channel = match members.take("channel") {
            Some(at) => Some(template::text(&at, names)?),
            None => None,
        };
        let role = match members.take("role") {
            Some(at) => role(&at, names),
            None => Some(Role::Publisher),
        };
        names.need_ttl();
        let response = Response::from_members(members, &Names { made: &["token"], ..*names });
        let (app_id, certificate) = key(names)?;
        let service = service?;
        if service == Service::Rtc && channel.is_none() {
            names.token.problem("`channel` is missing; write channel = \"{request.channel}\"");
            return None;
        }
        let (user, role, response) = (user?, role?, response?);
        Some(Self { app_id, certificate, service, user, channel, role, response })
    }

    /// Signs a token.
    pub(in crate::mint) fn token(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let salt = u32::from_le_bytes(random()?) % 99_999_999 + 1;
        self.with_salt(scope, salt)
    }

    fn with_salt(&self, scope: &Scope<'_>, salt: u32) -> Result<String, MintError> {
        let seconds = |time: Option<u64>| {
            time.and_then(|time| u32::try_from(time).ok()).ok_or_else(|| {
                MintError::not_allowed("Agora cannot express a time after the year 2106")
            })
        };
        let (issued, life) = (seconds(Some(scope.times.now))?, seconds(scope.times.ttl)?);
        let mut info = Vec::with_capacity(256);
        put_text(&mut info, self.app_id.as_bytes())?;
        for number in [issued, life, salt] {
            info.extend(number.to_le_bytes());
        }
        info.extend(1_u16.to_le_bytes());
        self.put_service(&mut info, life, scope)?;
        let sign = |key: &[u8], message: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        };
        let key = sign(&issued.to_le_bytes(), self.certificate.as_bytes());
        let key = sign(&salt.to_le_bytes(), key.as_ref());
        let mut content = Vec::with_capacity(info.len() + 34);
        put_text(&mut content, sign(key.as_ref(), &info).as_ref())?;
        content.extend(info);
        Ok(format!("007{}", STANDARD.encode(zlib(&content)?)))
    }

    /// The service: its number, its privileges with their ends, and who it is for. A
    /// privilege that ends at 0 ends with the token.
    fn put_service(
        &self,
        info: &mut Vec<u8>,
        life: u32,
        scope: &Scope<'_>,
    ) -> Result<(), MintError> {
        let (number, privileges): (u16, &[u16]) = match (self.service, self.role) {
            (Service::Rtc, Role::Publisher) => (1, &[1, 2, 3, 4]),
            (Service::Rtc, Role::Subscriber) => (1, &[1]),
            (Service::Rtm, _) => (2, &[1]),
            (Service::Chat, _) => (5, &[1]),
        };
        let end = if self.service == Service::Rtc { 0 } else { life };
        info.extend(number.to_le_bytes());
        info.extend(u16::try_from(privileges.len()).unwrap_or_default().to_le_bytes());
        for privilege in privileges {
            info.extend(privilege.to_le_bytes());
            info.extend(end.to_le_bytes());
        }
        if let (Service::Rtc, Some(channel)) = (self.service, &self.channel) {
            put_text(info, needed(channel, scope, "channel")?.as_bytes())?;
        }
        put_text(info, needed(&self.user, scope, "user")?.as_bytes())
    }
}

/// A text that is not empty: an empty user or channel would be everyone's.
fn needed(text: &Text, scope: &Scope<'_>, name: &str) -> Result<String, MintError> {
    let text = text.needed(scope)?;
    // `0` is Agora's word for any user.
    if text.is_empty() || (name == "user" && text == "0") {
        return Err(MintError::not_allowed(format!("`{name}` stands for everyone")));
    }
    Ok(text)
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Result<(), MintError> {
    let length = u16::try_from(text.len())
        .map_err(|_| MintError::not_allowed(format!("a value is longer than {LONGEST} bytes")))?;
    out.extend(length.to_le_bytes());
    out.extend(text);
    Ok(())
}

/// `app_id` and the certificate, both 32 hexadecimal digits.
fn key(names: &Names<'_>) -> Option<(String, Zeroizing<String>)> {
    let is_hex = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let app_id = names.public_member("app_id")?;
    if !is_hex(app_id) {
        names.token.problem("`key.app_id` must be the 32 hexadecimal digits of an Agora project");
        return None;
    }
    let (name, secret) = names.keys.signing()?;
    let Some(certificate) = secret.text().filter(|text| is_hex(text)) else {
        names.token.problem(format!(
            "`key.{name}` is not a certificate of 32 hexadecimal digits (the value is not repeated \
             here)"
        ));
        return None;
    };
    Some((app_id.to_owned(), Zeroizing::new(certificate.to_owned())))
}

/// The role: written out, or as a parameter that is.
fn role(at: &At<'_>, names: &Names<'_>) -> Option<Role> {
    let template = template::value(at, names)?;
    match template.fixed().and_then(serde_json::Value::as_str) {
        Some("publisher") => Some(Role::Publisher),
        Some("subscriber") => Some(Role::Subscriber),
        _ => {
            at.problem("expected \"publisher\" or \"subscriber\", written out");
            None
        }
    }
}

impl FromNode for Service {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("rtc", Self::Rtc), ("rtm", Self::Rtm), ("chat", Self::Chat)])
    }
}
