//! The ways to make a token. Vendors are data; only these are code.
//!
//! `jwt` signs claims, `hmac` signs a text, `exchange` describes a call to a remote
//! issuer; `agora`, `usersig`, `zego` and `s3` are formats that no template could write. The rest of `mint` sees them through `dispatch`.

mod agora;
mod binary;
mod dispatch;
mod exchange;
mod first_call;
mod hmac;
mod issuer_message;
mod jwt;
mod mac;
mod outgoing;
mod publish;
mod s3;
mod s3_settings;
mod signing;
mod take;
mod unread;
mod usersig;
mod zego;

pub(crate) use first_call::FirstAnswer;
pub(crate) use publish::PublicKeys;

pub(super) use dispatch::{KEYS, Mechanism, MechanismKind};
pub(super) use s3::SignedRequest;
