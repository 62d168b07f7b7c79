//! The three ways to make a token. Vendors are data; only these are code.
//!
//! `jwt` signs claims, `hmac` signs a text, `exchange` describes a call to a remote
//! issuer. The rest of `mint` sees them through `dispatch`.

mod dispatch;
mod exchange;
mod first_call;
mod hmac;
mod issuer_message;
mod jwt;
mod mac;
mod outgoing;
mod publish;
mod signing;
mod take;

pub(crate) use first_call::FirstAnswer;
pub(crate) use publish::PublishedKeys;

pub(super) use dispatch::{KEYS, Mechanism, MechanismKind};
