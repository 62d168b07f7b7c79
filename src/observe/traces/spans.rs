//! Events as spans.

use std::time::Duration;

use http::Version;

use super::attributes::{Attributes, word_of};
use super::messages::{Span, SpanKind, Status, StatusCode};
use crate::base::clock::Now;
use crate::base::span::SpanContext;
use crate::base::text;
use crate::observe::event::{Line, StepEnded, StepKind};
use crate::request::recorded::Recorded;

/// A sampled span; then a flag that the parent's process is known.
const SAMPLED: u32 = 0x101;
/// It is.
const REMOTE: u32 = 0x200;

/// The request itself.
pub(super) fn request(line: &Line<'_>, recorded: &Recorded) -> Span {
    let route = if line.route == "-" { "" } else { line.route };
    let method = word_of(line.method);
    let mut attributes = Attributes::default()
        .method(line.method)
        .text("url.scheme", line.scheme)
        .text("url.path", line.path)
        .text("http.route", route)
        .authority(line.host)
        .text("network.protocol.version", version(line.version))
        .text("portcullis.outcome", line.outcome.as_str())
        .text("portcullis.reason", line.reason)
        .text("portcullis.request_id", line.request_id);
    if let Some(client) = line.client {
        let mut address = String::new();
        text::push_address(&mut address, client);
        attributes = attributes.text("client.address", &address);
    }
    if line.status > 0 {
        attributes = attributes.number("http.response.status_code", line.status);
    }
    // A client's mistake is not an error of the server.
    let failed = line.status == 0 || line.status >= 500;
    let error = error_of(failed, line.status, line.reason);
    let span = Span {
        name: if route.is_empty() { method.to_owned() } else { format!("{method} {route}") },
        kind: SpanKind::Server.into(),
        flags: SAMPLED | if recorded.parent.is_some() { REMOTE } else { 0 },
        parent_span_id: recorded.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        ..Span::default()
    };
    let ended = recorded.began.plus(line.took);
    finished(span, (recorded.context, recorded), (recorded.began, ended), attributes, &error)
}

/// A step of a request.
pub(super) fn step(ended: &StepEnded<'_>) -> Span {
    let StepEnded { step, what, ended } = ended;
    let (name, kind, attributes, error) = described(what);
    let attributes = attributes.text("portcullis.step", what.as_str());
    let span = Span {
        name,
        kind: kind.into(),
        flags: SAMPLED,
        parent_span_id: step.of.context.span.to_vec(),
        ..Span::default()
    };
    finished(span, (step.context, &step.of), (step.began, *ended), attributes, &error)
}

fn described(what: &StepKind<'_>) -> (String, SpanKind, Attributes, String) {
    let own = Attributes::default();
    match *what {
        StepKind::Session { source, result } => {
            let attributes = own
                .text("portcullis.session.source", source)
                .text("portcullis.session.result", result);
            ("session".to_owned(), SpanKind::Internal, attributes, String::new())
        }
        StepKind::Limit { route, admitted } => {
            let attributes =
                own.text("http.route", route).flag("portcullis.limit.admitted", admitted);
            (format!("limit {route}"), SpanKind::Internal, attributes, String::new())
        }
        StepKind::Mint { token, error } => {
            let attributes = own.text("portcullis.token", token);
            (format!("mint {token}"), SpanKind::Internal, attributes, error.to_owned())
        }
        StepKind::Call { token, method, host, port, status, error, purpose: _ } => {
            let attributes = own
                .method(method)
                .text("server.address", host)
                .number("server.port", port)
                .text("portcullis.token", token);
            let (attributes, error) = answered(attributes, status, error);
            (word_of(method).to_owned(), SpanKind::Client, attributes, error)
        }
        StepKind::Attempt { method, upstream, server, resend, status, error } => {
            let mut attributes = own.method(method).text("portcullis.upstream", upstream);
            attributes = match server {
                Some((host, port)) => {
                    attributes.text("server.address", host).number("server.port", port)
                }
                None => attributes,
            };
            if resend > 0 {
                attributes = attributes.number("http.request.resend_count", resend);
            }
            let (attributes, error) = answered(attributes, status, error);
            (word_of(method).to_owned(), SpanKind::Client, attributes, error)
        }
    }
}

/// To a client, a status from 400 is an error.
fn answered(attributes: Attributes, status: u16, error: &str) -> (Attributes, String) {
    let failed = !error.is_empty() || status >= 400;
    let error = error_of(failed, if error.is_empty() { status } else { 0 }, error);
    match status {
        0 => (attributes, error),
        status => (attributes.number("http.response.status_code", status), error),
    }
}

/// `error.type`: the status, or a word where there is none.
fn error_of(failed: bool, status: u16, word: &str) -> String {
    match (failed, status) {
        (false, _) => String::new(),
        (true, 0) if word.is_empty() => "_OTHER".to_owned(),
        (true, 0) => word.to_owned(),
        (true, status) => status.to_string(),
    }
}

/// Times are counted from the request's beginning, so that its spans fit into each other
/// whatever happens to the wall clock.
fn finished(
    span: Span,
    (context, of): (SpanContext, &Recorded),
    (began, ended): (Now, Now),
    attributes: Attributes,
    error: &str,
) -> Span {
    let origin = Duration::from_millis(of.began.unix_ms());
    let nanos =
        |time: Now| u64::try_from((origin + time.since(of.began)).as_nanos()).unwrap_or(u64::MAX);
    let code = if error.is_empty() { StatusCode::Unset } else { StatusCode::Error };
    Span {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(ended).max(nanos(began)),
        attributes: attributes.text("error.type", error).done(),
        status: Some(Status { code: code.into() }),
        ..span
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests;
