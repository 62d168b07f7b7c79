//! Laravel: an encrypted cookie that holds the id of a session.

mod encrypter;
mod kind;

pub(super) use kind::KIND;
