//! better-auth: a signed session token, and the session in a cache or a store.

mod cache;
mod kind;
mod stored;

pub(super) use kind::KIND;
