//! Django: sessions in a signed cookie, in the cache, or in the database.

mod kind;
mod signing;
mod stored;

pub(super) use kind::KIND;
