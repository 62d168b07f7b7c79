//! The results of minting: a token with its answer, or one call to make first.

use std::fmt;
use std::num::NonZeroU64;
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

/// A token and the answer that carries it. Small, because one is kept for every user.
#[derive(Clone)]
pub struct Token {
    value: TokenValue,
    pub body: Box<[u8]>,
    /// `None` is JSON without cookies.
    head: Option<Box<AnswerHead>>,
    /// Unix seconds at which the token expires, or counts as expired if it does not say so
    /// itself. Never later than the session.
    pub expires_at: u64,
    /// Unix seconds until which a cached token may still be handed out.
    pub usable_until: u64,
    uncut: Option<NonZeroU64>,
}

/// The head of an answer.
#[derive(Clone)]
struct AnswerHead {
    content_type: HeaderValue,
    /// For presets whose answer sets cookies.
    set_cookies: Box<[HeaderValue]>,
}

/// Most bodies contain their token verbatim, so it is stored once.
#[derive(Clone)]
enum TokenValue {
    Apart(Box<[u8]>),
    /// From here to there in the body.
    InBody(u32, u32),
}

/// The parts of a `Token`.
pub(crate) struct TokenParts {
    /// The token alone.
    pub value: Box<[u8]>,
    pub body: Box<[u8]>,
    pub content_type: HeaderValue,
    pub set_cookies: Box<[HeaderValue]>,
    pub expires_at: u64,
    pub usable_until: u64,
    pub uncut: Option<u64>,
}

/// The media type of most answers.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl From<TokenParts> for Token {
    fn from(parts: TokenParts) -> Self {
        let TokenParts { value, body, content_type, set_cookies, expires_at, usable_until, uncut } =
            parts;
        let value = TokenValue::new(value, &body);
        let is_plain = content_type == JSON && set_cookies.is_empty();
        let head = (!is_plain).then(|| Box::new(AnswerHead { content_type, set_cookies }));
        let uncut = uncut.and_then(NonZeroU64::new);
        Self { value, body, head, expires_at, usable_until, uncut }
    }
}

impl TokenValue {
    fn new(value: Box<[u8]>, body: &[u8]) -> Self {
        let at = match *value {
            [] => None,
            _ => body.windows(value.len()).position(|window| *window == *value),
        };
        let range = at.and_then(|start| {
            let end = start.checked_add(value.len())?;
            Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?))
        });
        range.map_or_else(|| Self::Apart(value), |(start, end)| Self::InBody(start, end))
    }
}

impl Token {
    /// The token alone, for page placeholders and the command line.
    pub fn value(&self) -> &[u8] {
        let (start, end) = match &self.value {
            TokenValue::Apart(value) => return value,
            TokenValue::InBody(start, end) => (usize::try_from(*start), usize::try_from(*end)),
        };
        let range = start.unwrap_or_default()..end.unwrap_or_default();
        self.body.get(range).unwrap_or_default()
    }

    pub fn content_type(&self) -> HeaderValue {
        self.head.as_ref().map_or(JSON, |head| head.content_type.clone())
    }

    pub fn set_cookies(&self) -> &[HeaderValue] {
        self.head.as_ref().map_or(&[], |head| &head.set_cookies)
    }

    /// If the end of its session cut it short: the seconds it would have lived.
    pub fn uncut(&self) -> Option<u64> {
        self.uncut.map(NonZeroU64::get)
    }

    /// Approximate bytes in memory beside the value itself: what a cache charges for it.
    pub(crate) fn size(&self) -> usize {
        let apart = match &self.value {
            TokenValue::Apart(value) => value.len(),
            TokenValue::InBody(..) => 0,
        };
        let head = self.head.as_ref().map_or(0, |head| {
            let cookies = head.set_cookies.iter();
            let cookies: usize = cookies.map(|cookie| size_of_val(cookie) + cookie.len()).sum();
            size_of_val(&**head) + cookies
        });
        self.body.len() + apart + head
    }

    /// Whether a kept token may be handed to this session: it has enough lifetime left,
    /// and no more than the session has.
    pub fn fits(&self, identity: &Identity, now: Now) -> bool {
        now.unix() < self.usable_until
            && identity.expires_at().is_none_or(|end| self.expires_at <= end)
            && self.is_long_enough(identity, now)
    }

    /// Whether a new token would not live noticeably longer. One that its session cut short
    /// is for sessions that end as soon; a twentieth more is let pass, or it would be minted
    /// again for each request of a session that each request prolongs.
    fn is_long_enough(&self, identity: &Identity, now: Now) -> bool {
        let Some(uncut) = self.uncut() else { return true };
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

/// Prints only the method: URL, headers and body carry credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}
