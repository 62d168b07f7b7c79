//! The keys of a token: their wrappings, their secret and public members, their
//! signatures, and the public halves that may be published.

mod copied;
mod encoding;
mod published;
mod shape;
mod signer;
mod split;
mod table;
mod text;
mod weak;

pub(crate) use published::PublicKey;
pub(crate) use signer::Signer;

pub(super) use encoding::Encoding;
pub(super) use shape::{KeyShape, KeyUse, Publishing};
pub(super) use table::{KeyTable, Member};
pub(super) use text::{extract, is_pem};
pub(super) use weak::weak_key;
