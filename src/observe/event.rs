//! Everything that is counted or written down, as values.
//!
//! The code reports each event once, with `Telemetry::emit`; each sink matches on the ones
//! it needs. Events come in groups, one per part of the gateway, so that a sink that
//! ignores a part names the part and not its events.
//!
//! Never in an event: a cookie, a secret or a query string. A token is in the one
//! event that the audit log turns into its digest.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Version};

use crate::base::clock::Now;
use crate::request::code::Code;
use crate::request::recorded::{Recorded, Step};
use crate::upstream;

/// Something that happened.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    Connection(ConnectionEvent),
    /// `problems` are those of a reload that was refused.
    Reloaded {
        result: ReloadResult,
        problems: &'a [String],
    },
    Request(RequestEvent<'a>),
    Session(SessionChecked<'a>),
    Step(&'a StepEnded<'a>),
    Token(TokenEvent<'a>),
    Upstream(UpstreamEvent<'a>),
}

/// Before and around requests.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionEvent {
    /// A TLS handshake has ended: `done`, or why it failed.
    Handshake { result: &'static str },
    /// An HTTP/2 stream was refused, or its connection ended.
    Http2Refused { reason: &'static str },
    /// The client did not send the rest of something in time.
    Late(LatePart),
    /// The connection was closed before anything was read from it.
    Refused(ConnectionRefusal),
}

/// The part that the client did not send, or take, in time.
#[derive(Clone, Copy, Debug)]
pub enum LatePart {
    Body,
    Head,
}

#[derive(Clone, Copy, Debug)]
pub enum ConnectionRefusal {
    /// The admin listener has as many connections as it may hold.
    AdminFull,
    /// `max_connections_per_address` is reached.
    AddressFull,
    /// `max_connections` is reached.
    Full,
    /// The PROXY protocol header is missing or malformed.
    ProxyHeader,
}

#[derive(Clone, Copy, Debug)]
pub enum ReloadResult {
    Done,
    Refused,
}

#[derive(Clone, Copy)]
pub enum RequestEvent<'a> {
    Ended(&'a Line<'a>),
    /// A limit is used up.
    Limited {
        route: &'a str,
    },
    /// The HTTP listener has sent a client to HTTPS.
    Redirected {
        status: u16,
    },
    Refused {
        code: Code,
    },
}

/// The access log's view of one request. Each field is a name from the
/// configuration, a constant, or written escaped.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub unix_ms: u64,
    pub took: Duration,
    pub request_id: &'a str,
    pub trace_id: &'a str,
    pub method: &'a str,
    pub version: Version,
    pub host: &'a str,
    /// Without its query.
    pub path: &'a str,
    /// Those of the request, where it has any: for formats that name the user agent.
    pub headers: Option<&'a HeaderMap>,
    pub route: &'a str,
    pub client: Option<IpAddr>,
    pub user: Option<&'a str>,
    /// The session source that knew the user; empty if none did.
    pub source: &'a str,
    pub outcome: Outcome,
    pub reason: &'static str,
    /// The refusal's code, if the request was refused.
    pub code: Option<Code>,
    pub status: u16,
    /// Length of the answer's body as far as it was sent.
    pub bytes: u64,
    pub scheme: &'static str,
    /// The request's span, if it is recorded.
    pub recorded: Option<&'a Recorded>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection broke before the request was answered.
    Aborted,
    /// By the gateway itself, without a token.
    Answered,
    Forwarded,
    Issued,
    Refused,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Answered => "answered",
            Self::Forwarded => "forwarded",
            Self::Issued => "issued",
            Self::Refused => "refused",
        }
    }
}

/// The session of a request has been looked at.
#[derive(Clone, Copy, Debug)]
pub struct SessionChecked<'a> {
    /// The source that knew the user; empty if none did.
    pub source: &'a str,
    pub result: &'static str,
}

/// A step of a recorded request has ended.
#[derive(Clone, Copy)]
pub struct StepEnded<'a> {
    pub step: Step,
    pub what: StepKind<'a>,
    pub ended: Now,
}

/// A step and its outcome. An `error` is a stable word, empty where there is none; a
/// status is zero where there was no answer.
#[derive(Clone, Copy)]
pub enum StepKind<'a> {
    /// The request went to a server of the app.
    Attempt {
        method: &'a str,
        upstream: &'a str,
        server: Option<(&'a str, u16)>,
        /// Attempts before this one.
        resend: u16,
        status: u16,
        error: &'a str,
    },
    /// Another server was asked to get a token.
    Call {
        purpose: CallPurpose,
        token: &'a str,
        method: &'a str,
        host: &'a str,
        port: u16,
        status: u16,
        error: &'a str,
    },
    Limit {
        route: &'a str,
        admitted: bool,
    },
    /// A token was minted here.
    Mint {
        token: &'a str,
        error: &'a str,
    },
    Session {
        source: &'a str,
        result: &'a str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPurpose {
    /// A vendor mints the token.
    Exchange,
    /// The app says what a user may do.
    Grant,
}

impl StepKind<'_> {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Attempt { .. } => "upstream",
            Self::Call { purpose: CallPurpose::Exchange, .. } => "exchange",
            Self::Call { purpose: CallPurpose::Grant, .. } => "grant",
            Self::Limit { .. } => "limit",
            Self::Mint { .. } => "mint",
            Self::Session { .. } => "session",
        }
    }
}

#[derive(Clone, Copy)]
pub enum TokenEvent<'a> {
    /// A call to a remote issuer has ended.
    Called {
        token: &'a str,
        result: CallResult,
        took: Duration,
    },
    /// An answer of the app was compared with the gateway's (shadow mode).
    Compared {
        token: &'a str,
        result: ShadowResult,
    },
    /// One difference between the two.
    Differs {
        token: &'a str,
        kind: DifferenceKind,
    },
    Issued {
        token: &'a str,
        origin: CachedOrMinted,
    },
    /// Minting has begun, whether or not it succeeds.
    Minted {
        token: &'a str,
    },
    Refused(&'a AuditEntry<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    Answered,
    Failed,
}

/// The result of comparing the app's answer with the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowResult {
    Different,
    Same,
    Skipped,
}

impl ShadowResult {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Same => "same",
            Self::Skipped => "skipped",
        }
    }
}

/// The part in which the app's answer and the gateway's differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    ContentType,
    Cookies,
    Cors,
    /// Texts made in another way.
    Form,
    /// A member that only one of them has.
    Shape,
    /// The same algorithm with another key.
    Signature,
    Status,
    Ttl,
    Type,
    Value,
}

impl DifferenceKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::Cookies => "cookies",
            Self::Cors => "cors",
            Self::Form => "form",
            Self::Shape => "shape",
            Self::Signature => "signature",
            Self::Status => "status",
            Self::Ttl => "ttl",
            Self::Type => "type",
            Self::Value => "value",
        }
    }
}

/// Where an issued token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachedOrMinted {
    Cached,
    Minted,
}

impl CachedOrMinted {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Minted => "minted",
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Copy)]
pub struct AuditEntry<'a> {
    pub unix_ms: u64,
    pub decision: TokenDecision<'a>,
    /// The token's name in the settings.
    pub token: &'a str,
    pub place: TokenPlace,
    pub user: Option<&'a str>,
    /// The name of the key that signed it.
    pub key: Option<&'a str>,
    pub client: Option<IpAddr>,
    pub request_id: Option<&'a str>,
}

/// Whether a token was issued or refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenDecision<'a> {
    Issued {
        token: &'a [u8],
        /// Seconds until it expires.
        ttl: u64,
        origin: CachedOrMinted,
    },
    Refused(Code),
}

/// Where a token went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// Its own path.
    Endpoint,
    /// A page, or a header of the forwarded request.
    Page,
}

impl TokenPlace {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Page => "page",
        }
    }
}

/// `upstream` is the name of an `[upstream]` table, empty for the only one.
#[derive(Clone, Copy, Debug)]
pub enum UpstreamEvent<'a> {
    /// A server is ejected for a while after failing.
    Ejected {
        upstream: &'a str,
    },
    /// A server did not take the request, or hung up on it.
    Failed {
        upstream: &'a str,
    },
    Probed {
        upstream: &'a str,
        outcome: upstream::ProbeResult,
    },
}
