//! Rails: the encrypted and the signed cookie jar.

mod envelope;
mod jar_keys;
mod kind;

pub(super) use kind::KIND;
