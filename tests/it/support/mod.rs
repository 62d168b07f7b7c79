//! Shared by all tests: a gateway, an app behind it, clients in front of it.

mod app;
pub(crate) mod bench;
mod certificates;
mod client;
mod diagnostics;
pub(crate) mod faults;
mod gateway;
mod handlers;
pub(crate) mod http2;
pub(crate) mod paths;
mod process;
mod raw;
mod request;
mod reserved;
mod response;
pub(crate) mod running;
mod scripted;
mod seen;
mod session;
pub(crate) mod tls;
pub(crate) mod wait;

pub(crate) use app::App;
pub(crate) use certificates::Signer;
pub(crate) use client::{Conn, find};
pub(crate) use gateway::{Gateway, START, Setup, clock, seconds};
pub(crate) use process::{Process, folder, replace};
pub(crate) use raw::Raw;
pub(crate) use request::{Request, get, post};
pub(crate) use reserved::Reserved;
pub(crate) use response::Response;
pub(crate) use scripted::{Script, Scripted, numbered};
pub(crate) use session::{Claims, SESSION_SECRET, cookie_of, token_of};
pub(crate) use wait::{PATIENCE, Stopwatch, eventually, in_time};

/// Stands in every secret the tests configure, so that one search finds them.
pub(crate) const CANARY: &str = "canary";

/// Fails if a secret, a cookie or a token can be read in `text`.
#[track_caller]
pub(crate) fn assert_no_secret(place: &str, text: &[u8]) {
    for needle in [CANARY.as_bytes(), b"eyJ"] {
        let found = text.windows(needle.len()).any(|window| window == needle);
        assert!(!found, "a secret in {place}: {}", String::from_utf8_lossy(text));
    }
}
