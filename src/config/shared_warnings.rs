//! Warnings about the address of a `[shared]` store. The address itself may hold a
//! password, and is not repeated.

use crate::base::redis_url::{RedisServers, RedisUrl};
use crate::document::{At, Value};

/// Notes what an attacker could do to the store, at its place in the file.
pub(super) fn note(shared: &At<'_>) {
    let Some(at) = shared.find(&["redis"]) else { return };
    let Value::Text(reference) = &at.node.value else { return };
    let Ok(secret) = at.secrets.resolve(reference) else { return };
    let Some(Ok(url)) = secret.text().map(RedisUrl::parse) else { return };
    if url.is_exposed() {
        at.warn(
            "found a store on another machine without TLS, so anyone on the network path can lift \
             revocations and limits, expected an encrypted connection; write rediss://, \
             rediss+sentinel:// or rediss+cluster://",
        );
    }
    if is_open(&url) {
        at.warn(
            "found an address without a password, so anything that reaches the store, even through \
             a flaw in the app, can lift revocations and limits, expected a user for the gateway \
             alone; write redis://USER:PASSWORD@HOST, and give USER the rights that `portcullis \
             check --online` prints",
        );
    }
}

/// Whether the store believes everyone who reaches it. A socket has its file's permissions.
fn is_open(url: &RedisUrl) -> bool {
    let has_certificate = url.tls.as_ref().is_some_and(|tls| tls.client.is_some());
    match &url.servers {
        RedisServers::Socket(_) => false,
        RedisServers::Cluster(_) | RedisServers::One(_) | RedisServers::Sentinel(_) => {
            url.login.password().is_none() && !has_certificate
        }
    }
}
