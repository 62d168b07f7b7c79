//! Spans by the convention's names, and never with what must not be there.

use super::*;
use crate::base::span::SpanContext;
use crate::base::text::hex;
use crate::observe::event::{CallPurpose, Outcome};
use crate::observe::traces::messages::{AnyKind, KeyValue};
use http::HeaderValue;

const CONTEXT: HeaderValue =
    HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

fn recorded(parent: Option<[u8; 8]>) -> Recorded {
    Recorded { context: SpanContext::read(&CONTEXT).unwrap(), parent, began: Now::at(1000) }
}

fn line(recorded: &Recorded) -> Line<'_> {
    Line {
        unix_ms: 1_000_000,
        took: Duration::from_micros(1500),
        request_id: "r1",
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        method: "GET",
        version: Version::HTTP_2,
        host: "app.example:8443",
        path: "/a/b",
        headers: None,
        route: "/a/**",
        client: "192.0.2.7".parse().ok(),
        user: Some("u1"),
        source: "jwt",
        outcome: Outcome::Forwarded,
        reason: "",
        code: None,
        status: 200,
        bytes: 1,
        scheme: "https",
        recorded: Some(recorded),
    }
}

/// An attribute as text.
fn attribute(span: &Span, name: &str) -> Option<String> {
    let of = |attribute: &&KeyValue| attribute.key == name;
    let value = span.attributes.iter().find(of)?.value.as_ref()?.kind.as_ref()?;
    Some(match value {
        AnyKind::Text(text) => text.clone(),
        AnyKind::Flag(flag) => flag.to_string(),
        AnyKind::Number(number) => number.to_string(),
    })
}

fn code(span: &Span) -> i32 {
    span.status.as_ref().unwrap().code
}

#[test]
fn a_request_is_a_server_span_with_the_conventions_names() {
    let recorded = recorded(Some([1; 8]));
    let span = request(&line(&recorded), &recorded);
    assert_eq!((span.name.as_str(), span.kind), ("GET /a/**", SpanKind::Server as i32));
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (hex(&span.span_id).as_str(), span.parent_span_id.as_slice()),
        ("b7ad6b7169203331", &[1; 8][..])
    );
    assert_eq!(span.flags, 0x301);
    assert_eq!(span.start_time_unix_nano, 1_000_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_000_001_500_000);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/a/b"),
        ("http.route", "/a/**"),
        ("server.address", "app.example"),
        ("server.port", "8443"),
        ("client.address", "192.0.2.7"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "200"),
        ("portcullis.outcome", "forwarded"),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!((code(&span), attribute(&span, "error.type")), (StatusCode::Unset as i32, None));
    let all = format!("{:?}", span.attributes);
    assert!(!all.contains("u1") && !all.contains("jwt"), "{all}");
}

#[test]
fn a_clients_mistake_is_not_a_server_error_but_a_failure_is() {
    let recorded = recorded(None);
    for (status, reason, error) in [
        (404, "", None),
        (401, "expired", None),
        (502, "upstream_failed", Some("502")),
        (0, "client_gone", Some("client_gone")),
        (0, "", Some("_OTHER")),
    ] {
        let span = request(&Line { status, reason, ..line(&recorded) }, &recorded);
        let expected = if error.is_some() { StatusCode::Error } else { StatusCode::Unset };
        assert_eq!(code(&span), expected as i32, "{status}");
        assert_eq!(attribute(&span, "error.type").as_deref(), error, "{status}");
        assert_eq!(span.flags, 0x101, "no parent, so none elsewhere");
    }
}

#[test]
fn names_stay_few_whatever_a_client_sends() {
    let recorded = recorded(None);
    let odd = Line { method: "BREW", route: "-", host: "[2001:db8::1]", ..line(&recorded) };
    let span = request(&odd, &recorded);
    assert_eq!(span.name, "HTTP");
    assert_eq!(attribute(&span, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(attribute(&span, "http.request.method_original").as_deref(), Some("BREW"));
    assert_eq!(attribute(&span, "http.route"), None);
    assert_eq!(attribute(&span, "server.address").as_deref(), Some("2001:db8::1"));
    assert_eq!(attribute(&span, "server.port"), None);
    let long = "/\u{e9}".repeat(2000);
    let span = request(&Line { path: &long, ..line(&recorded) }, &recorded);
    assert!(attribute(&span, "url.path").unwrap().len() <= 1024);
}

#[test]
fn steps_are_children_of_the_request() {
    let recorded = recorded(None);
    let opened = recorded.step(Now::at(1001));
    let ended = Now::at(1003);
    let call = StepKind::Call {
        purpose: CallPurpose::Exchange,
        token: "openai",
        method: "POST",
        host: "api.vendor.test",
        port: 443,
        status: 429,
        error: "",
    };
    let attempt = StepKind::Attempt {
        method: "GET",
        upstream: "default",
        server: Some(("10.0.0.1", 3000)),
        resend: 1,
        status: 0,
        error: "ConnectRefused",
    };
    for (what, name, kind, word, error) in [
        (StepKind::Session { source: "jwt", result: "accepted" }, "session", 1, "session", None),
        (StepKind::Limit { route: "token.a", admitted: false }, "limit token.a", 1, "limit", None),
        (StepKind::Mint { token: "a", error: "" }, "mint a", 1, "mint", None),
        (call, "POST", 3, "exchange", Some("429")),
        (attempt, "GET", 3, "upstream", Some("ConnectRefused")),
    ] {
        let span = step(&StepEnded { step: opened, what, ended });
        assert_eq!((span.name.as_str(), span.kind), (name, kind));
        assert_eq!(span.parent_span_id, recorded.context.span);
        assert_eq!((span.trace_id.as_slice(), span.flags), (&recorded.context.trace[..], 0x101));
        assert_eq!(span.span_id, opened.context.span);
        assert_eq!(span.start_time_unix_nano, 1_001_000_000_000);
        assert_eq!(span.end_time_unix_nano, 1_003_000_000_000);
        assert_eq!(attribute(&span, "portcullis.step").as_deref(), Some(word));
        assert_eq!(attribute(&span, "error.type").as_deref(), error, "{name}");
    }
    let span = step(&StepEnded { step: opened, what: attempt, ended });
    assert_eq!(attribute(&span, "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(attribute(&span, "server.port").as_deref(), Some("3000"));
}
