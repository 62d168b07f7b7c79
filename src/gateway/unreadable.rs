//! Requests that the framework cannot parse: it refuses them before any hook is called,
//! without a body or a log line.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Version;

use crate::observe::{Event, Line, Outcome, RequestEvent};
use crate::request::refusal::{Audience, Refusal, Reply};
use crate::request::trace::Trace;
use crate::request::view;
use crate::state::State;

const NOT_HTTP: Refusal =
    Refusal::BadRequest("the request head is not HTTP/1.1 that can be read in one way only");

/// The refusal that these bytes are, if they are one of the framework's own.
pub(crate) fn refusal_in(bytes: &[u8]) -> Option<Refusal> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    match status.get(..3)? {
        b"405" => Some(view::method_not_allowed()),
        [b'4', ..] => Some(NOT_HTTP),
        _ => None,
    }
}

/// Counts and logs the refusal, and returns it as it goes over the wire.
pub(crate) fn refuse(state: &State, client: Option<IpAddr>, refusal: &Refusal) -> Bytes {
    let (trace, now, code) = (Trace::new(), state.clock.now(), refusal.code());
    let reply = refusal.reply(Audience::Script);
    state.telemetry.emit(Event::Request(RequestEvent::Refused { code }));
    let line = Line {
        unix_ms: now.unix_ms(),
        took: Duration::ZERO,
        request_id: trace.request_id(),
        trace_id: trace.trace_id(),
        method: "-",
        version: Version::HTTP_11,
        host: "",
        path: "-",
        headers: None,
        route: "-",
        client,
        user: None,
        source: "",
        outcome: Outcome::Refused,
        reason: code.as_str(),
        code: Some(code),
        status: reply.status.as_u16(),
        bytes: reply.body.len().try_into().unwrap_or(u64::MAX),
        scheme: "http",
        recorded: None,
    };
    state.telemetry.emit(Event::Request(RequestEvent::Ended(&line)));
    let date = UNIX_EPOCH.checked_add(Duration::from_secs(now.unix())).unwrap_or(UNIX_EPOCH);
    on_the_wire(&reply, &trace, &httpdate::fmt_http_date(date))
}

fn on_the_wire(reply: &Reply, trace: &Trace, date: &str) -> Bytes {
    let mut head = format!("HTTP/1.1 {}\r\n", reply.status);
    for (name, value) in &reply.headers {
        // Writing to a text cannot fail.
        let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let _ = write!(
        head,
        "X-Request-Id: {}\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        trace.request_id(),
        reply.body.len()
    );
    [head.as_bytes(), &reply.body].concat().into()
}
