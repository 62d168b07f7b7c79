//! The three mechanisms as one: the preset's choice, and the questions the rest of
//! `mint` has for all of them.

use http::HeaderValue;

use super::exchange::Exchange;
use super::hmac::Hmac;
use super::jwt::Jwt;
use super::mac::Mac;
use super::publish::{self, PublishedKeys, check_names_key, published};
use super::signing::Signing;
use crate::document::{At, FromNode};
use crate::mint::key::{KeyTable, KeyUse, Publishing};
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::COOKIE_KEYS;
use crate::mint::template::Names;

/// The `kind` of a preset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::mint) enum MechanismKind {
    Exchange,
    Hmac,
    Jwt,
}

/// How a token is made.
pub(in crate::mint) enum Mechanism {
    Exchange(Box<Exchange>),
    Hmac(Box<Hmac>),
    Jwt(Box<Jwt>),
}

/// Every member a mechanism asks for.
pub(in crate::mint) const KEYS: [&[&str]; 9] = [
    Exchange::KEYS[0],
    Exchange::KEYS[1],
    Exchange::KEYS[2],
    &Hmac::KEYS,
    &Jwt::KEYS,
    &Mac::KEYS,
    &publish::KEYS,
    &Signing::KEYS,
    &COOKIE_KEYS,
];

impl MechanismKind {
    /// The use this mechanism makes of its key.
    pub(in crate::mint) fn key_use(self) -> KeyUse {
        match self {
            Self::Exchange => Exchange::KEY_USE,
            Self::Hmac => KeyUse { sent_to_issuer: &[], publishing: Publishing::Never },
            Self::Jwt => KeyUse { sent_to_issuer: &[], publishing: Publishing::Allowed },
        }
    }

    /// The keys of these that the settings publish.
    pub(in crate::mint) fn published(
        self,
        members: &mut LayeredTable<'_, '_, '_>,
        keys: &mut [KeyTable],
    ) -> PublishedKeys {
        match self.key_use().publishing {
            Publishing::Allowed => published(members, keys),
            Publishing::Never => PublishedKeys::default(),
        }
    }
}

impl Mechanism {
    pub(in crate::mint) fn from_members(
        kind: MechanismKind,
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        Some(match kind {
            MechanismKind::Exchange => {
                Self::Exchange(Box::new(Exchange::from_members(members, names)?))
            }
            MechanismKind::Hmac => Self::Hmac(Box::new(Hmac::from_members(members, names)?)),
            MechanismKind::Jwt => Self::Jwt(Box::new(Jwt::from_members(members, names)?)),
        })
    }

    /// Notes a token that does not name the published key it is signed with.
    pub(in crate::mint) fn check_names_key(
        &self,
        keys: &[KeyTable],
        published: &PublishedKeys,
        token: &At<'_>,
    ) {
        match self {
            Self::Exchange(_) | Self::Hmac(_) => {}
            Self::Jwt(jwt) => check_names_key(jwt, keys, published, token),
        }
    }

    /// Whether a remote issuer makes the token.
    pub(in crate::mint) fn is_remote(&self) -> bool {
        match self {
            Self::Exchange(_) => true,
            Self::Hmac(_) | Self::Jwt(_) => false,
        }
    }

    /// Whether minting costs more than asking a store.
    pub(in crate::mint) fn is_costly(&self) -> bool {
        match self {
            Self::Exchange(_) => true,
            Self::Hmac(_) => false,
            Self::Jwt(jwt) => jwt.signs_with_rsa(),
        }
    }

    /// The media type of the endpoint's answers.
    pub(in crate::mint) fn content_type(&self) -> HeaderValue {
        match self {
            Self::Exchange(exchange) => exchange.response.content_type(),
            Self::Hmac(hmac) => hmac.content_type(),
            Self::Jwt(jwt) => jwt.response.content_type(),
        }
    }

    /// The `iss` of its tokens, where it is always the same.
    pub(in crate::mint) fn issuer(&self) -> Option<String> {
        match self {
            Self::Exchange(_) | Self::Hmac(_) => None,
            Self::Jwt(jwt) => jwt.issuer(),
        }
    }
}

impl FromNode for MechanismKind {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""jwt", "hmac" or "exchange""#;
        match at.text(EXPECTED)? {
            "exchange" => Some(Self::Exchange),
            "hmac" => Some(Self::Hmac),
            "jwt" => Some(Self::Jwt),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
