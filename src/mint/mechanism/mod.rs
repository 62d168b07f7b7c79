//! The three ways to make a token. Vendors are data; only these are code.
//!
//! `jwt` signs claims, `hmac` signs a text, `exchange` describes a call to a remote
//! issuer. The rest of `mint` sees them through `dispatch`.

mod dispatch;
mod exchange;
mod hmac;
mod jwt;
mod mac;
mod publish;
mod signing;

pub(crate) use publish::PublishedKeys;

pub(super) use dispatch::{KEYS, Mechanism, MechanismKind};
