//! The keys of a token: how they are written, which members are secret, what signs
//! and what may be published.

mod encoding;
mod published;
mod shape;
mod signer;
mod split;
mod table;
mod text;

pub use published::PublicKey;
pub use signer::Signer;

pub(super) use encoding::Encoding;
pub(super) use shape::{KeyShape, KeyUse, Publishing};
pub(super) use table::{KeyTable, Member};
pub(super) use text::{extract, is_pem};
