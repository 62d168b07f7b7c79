//! All mechanisms as one: the preset's choice, and the questions the rest of
//! `mint` has for all of them.

use http::HeaderValue;

use super::agora::Agora;
use super::exchange::Exchange;
use super::hmac::Hmac;
use super::jwt::Jwt;
use super::mac::Mac;
use super::publish::{self, PublicKeys, check_names_key, published};
use super::s3::S3;
use super::signing::Signing;
use super::usersig::UserSig;
use super::zego::Zego;
use crate::document::{At, FromNode};
use crate::mint::key::{KeyTable, KeyUse, Publishing};
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::COOKIE_KEYS;
use crate::mint::template::Names;

/// The `kind` of a preset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::mint) enum MechanismKind {
    Agora,
    Exchange,
    Hmac,
    Jwt,
    S3,
    UserSig,
    Zego,
}

/// How a token is made.
pub(in crate::mint) enum Mechanism {
    Agora(Box<Agora>),
    Exchange(Box<Exchange>),
    Hmac(Box<Hmac>),
    Jwt(Box<Jwt>),
    S3(Box<S3>),
    UserSig(Box<UserSig>),
    Zego(Box<Zego>),
}

/// Every member a mechanism asks for.
pub(in crate::mint) const KEYS: [&[&str]; 13] = [
    &Agora::KEYS,
    Exchange::KEYS[0],
    Exchange::KEYS[1],
    Exchange::KEYS[2],
    &Hmac::KEYS,
    &Jwt::KEYS,
    &Mac::KEYS,
    &publish::KEYS,
    &S3::KEYS,
    &Signing::KEYS,
    &UserSig::KEYS,
    &Zego::KEYS,
    &COOKIE_KEYS,
];

impl MechanismKind {
    /// The use this mechanism makes of its key.
    pub(in crate::mint) fn key_use(self) -> KeyUse {
        match self {
            Self::Exchange => Exchange::KEY_USE,
            Self::Agora | Self::Hmac | Self::S3 | Self::UserSig | Self::Zego => {
                KeyUse { sent_to_issuer: &[], publishing: Publishing::Never }
            }
            Self::Jwt => KeyUse { sent_to_issuer: &[], publishing: Publishing::Allowed },
        }
    }

    /// The keys of these that the settings publish.
    pub(in crate::mint) fn published(
        self,
        members: &mut LayeredTable<'_, '_, '_>,
        keys: &mut [KeyTable],
    ) -> PublicKeys {
        match self.key_use().publishing {
            Publishing::Allowed => published(members, keys),
            Publishing::Never => PublicKeys::default(),
        }
    }
}

impl Mechanism {
    /// The one that signs JWTs.
    pub(in crate::mint) fn jwt(&self) -> Option<&Jwt> {
        match self {
            Self::Jwt(jwt) => Some(jwt),
            Self::Agora(_)
            | Self::Exchange(_)
            | Self::Hmac(_)
            | Self::S3(_)
            | Self::UserSig(_)
            | Self::Zego(_) => None,
        }
    }

    pub(in crate::mint) fn from_members(
        kind: MechanismKind,
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        Some(match kind {
            MechanismKind::Agora => Self::Agora(Box::new(Agora::from_members(members, names)?)),
            MechanismKind::Exchange => {
                Self::Exchange(Box::new(Exchange::from_members(members, names)?))
            }
            MechanismKind::Hmac => Self::Hmac(Box::new(Hmac::from_members(members, names)?)),
            MechanismKind::Jwt => Self::Jwt(Box::new(Jwt::from_members(members, names)?)),
            MechanismKind::S3 => Self::S3(Box::new(S3::from_members(members, names)?)),
            MechanismKind::UserSig => {
                Self::UserSig(Box::new(UserSig::from_members(members, names)?))
            }
            MechanismKind::Zego => Self::Zego(Box::new(Zego::from_members(members, names)?)),
        })
    }

    /// Notes a token that does not name the published key it is signed with.
    pub(in crate::mint) fn check_names_key(
        &self,
        keys: &[KeyTable],
        published: &PublicKeys,
        token: &At<'_>,
    ) {
        match self {
            Self::Agora(_)
            | Self::Exchange(_)
            | Self::Hmac(_)
            | Self::S3(_)
            | Self::UserSig(_)
            | Self::Zego(_) => {}
            Self::Jwt(jwt) => check_names_key(jwt, keys, published, token),
        }
    }

    /// Whether a remote issuer makes the token.
    pub(in crate::mint) fn is_remote(&self) -> bool {
        match self {
            Self::Exchange(_) => true,
            Self::Agora(_)
            | Self::Hmac(_)
            | Self::Jwt(_)
            | Self::S3(_)
            | Self::UserSig(_)
            | Self::Zego(_) => false,
        }
    }

    /// Whether minting costs more than asking a store.
    pub(in crate::mint) fn is_costly(&self) -> bool {
        match self {
            Self::Exchange(_) => true,
            Self::Agora(_)
            | Self::Hmac(_)
            | Self::Jwt(_)
            | Self::S3(_)
            | Self::UserSig(_)
            | Self::Zego(_) => self.signs_with_rsa(),
        }
    }

    /// Whether it makes signatures with RSA.
    pub(in crate::mint) fn signs_with_rsa(&self) -> bool {
        match self {
            Self::Exchange(exchange) => exchange.signs_with_rsa(),
            Self::Hmac(hmac) => hmac.signs_with_rsa(),
            Self::Jwt(jwt) => jwt.signs_with_rsa(),
            Self::Agora(_) | Self::S3(_) | Self::UserSig(_) | Self::Zego(_) => false,
        }
    }

    /// The media type of the endpoint's answers.
    pub(in crate::mint) fn content_type(&self) -> HeaderValue {
        match self {
            Self::Agora(agora) => agora.response.content_type(),
            Self::Exchange(exchange) => exchange.response.content_type(),
            Self::Hmac(hmac) => hmac.content_type(),
            Self::Jwt(jwt) => jwt.response.content_type(),
            Self::S3(s3) => s3.response.content_type(),
            Self::UserSig(usersig) => usersig.response.content_type(),
            Self::Zego(zego) => zego.response.content_type(),
        }
    }

    /// The `iss` of its tokens, where it is always the same.
    pub(in crate::mint) fn issuer(&self) -> Option<String> {
        match self {
            Self::Agora(_)
            | Self::Exchange(_)
            | Self::Hmac(_)
            | Self::S3(_)
            | Self::UserSig(_)
            | Self::Zego(_) => None,
            Self::Jwt(jwt) => jwt.issuer(),
        }
    }
}

impl FromNode for MechanismKind {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""jwt", "hmac", "exchange", "s3", "agora", "usersig" or "zego""#;
        match at.text(EXPECTED)? {
            "agora" => Some(Self::Agora),
            "exchange" => Some(Self::Exchange),
            "hmac" => Some(Self::Hmac),
            "jwt" => Some(Self::Jwt),
            "s3" => Some(Self::S3),
            "usersig" => Some(Self::UserSig),
            "zego" => Some(Self::Zego),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
