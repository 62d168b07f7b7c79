//! The results of minting: a token with its answer, or one call to make first.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use crate::base::clock::Now;
use crate::session::Identity;

/// The outcome of `Minter::mint`.
#[derive(Debug)]
pub enum Minting {
    /// Perform this request, then hand its answer to `Minter::answered`.
    Call(Call),
    /// Perform this request first, unless an answer to it is still good: hand its answer to
    /// `Minter::first_answered`, and what that gave to `Minter::call_with`.
    First(Call),
    Ready(Token),
}

/// A token and the answer that carries it.
#[derive(Clone)]
pub struct Token {
    /// The token alone, for page placeholders and the command line. A slice of
    /// the body if the body holds it verbatim.
    pub value: Bytes,
    pub body: Bytes,
    pub content_type: HeaderValue,
    /// For presets whose answer sets cookies.
    pub set_cookies: Box<[HeaderValue]>,
    /// Unix seconds at which the token ends, or is taken to end if it has no end of its
    /// own. Never later than the session.
    pub expires_at: u64,
    /// Unix seconds until when a kept token may still be handed out.
    pub usable_until: u64,
    /// If the end of its session cut it short: the seconds it would have lived.
    pub uncut: Option<u64>,
}

impl Token {
    /// Whether a kept token may be handed to this session: it has enough life left, and
    /// no more than the session has.
    pub fn fits(&self, identity: &Identity, now: Now) -> bool {
        now.unix() < self.usable_until
            && identity.expires_at().is_none_or(|end| self.expires_at <= end)
            && self.is_long_enough(identity, now)
    }

    /// Whether a new token would not live noticeably longer. One that its session cut short
    /// is for sessions that end as soon; a twentieth more is let pass, or it would be minted
    /// again for each request of a session that each request prolongs.
    fn is_long_enough(&self, identity: &Identity, now: Now) -> bool {
        let Some(uncut) = self.uncut else { return true };
        let left = |end: u64| end.saturating_sub(now.unix());
        let new = identity.expires_at().map_or(uncut, |end| uncut.min(left(end)));
        left(self.expires_at) + new / 20 >= new
    }
}

/// Prints nothing: a token is a secret of its user.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// One HTTP request to a remote issuer, described.
pub struct Call {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub timeout: Duration,
}

/// Prints nothing but the method: URL, headers and body carry credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}
