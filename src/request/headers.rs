//! The headers of a forwarded request: removed first, then set from verified values.
//!
//! Each header that the gateway sets or an app might trust is removed on every route, in
//! all its spellings: CGI-style servers read `X_User`, `X.User` and `X-User` as one.
//! Setting comes after, so a spoofed header cannot survive where the gateway has no value
//! for it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::base::text;
use crate::request::address_text;
use crate::request::client::Client;
use crate::request::trace::{TRACEPARENT, TRACESTATE, Trace};
use crate::request::untrusted;

/// The header names that the configuration sets, folded.
#[derive(Clone, Debug, Default)]
pub struct ReservedHeaders(Vec<String>);

/// Headers that reach the app although their names are such that most do not.
#[derive(Clone, Copy, Default)]
pub(crate) struct PassedHeaders<'p> {
    /// Names that the app wants anyway.
    pub named: &'p [HeaderName],
    /// Those that hold a session which was verified.
    pub verified: &'p [HeaderName],
}

/// Room for the six headers that are always set and a few verified ones.
const USUAL_ADDITIONS: usize = 10;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

impl ReservedHeaders {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(|name| fold(name.as_str())).collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Whether a client's header of this name must not reach the app. Names in a
    /// map are in lower case.
    fn claims(&self, name: &HeaderName, passed: PassedHeaders<'_>) -> bool {
        if passed.verified.contains(name) {
            return self.sets(name.as_str());
        }
        let is_passed = passed.named.contains(name);
        let name = name.as_str();
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let may_pass = is_passed && untrusted::is_description(name);
            return if may_pass { self.sets(name) } else { self.claims_folded(name) };
        }
        // Apps that fold `_` into `-` would see the header twice; browsers send none.
        if memchr(b'_', name.as_bytes()).is_some() {
            return !is_passed || self.claims_spelled(name);
        }
        self.claims_spelled(name)
    }

    fn claims_spelled(&self, name: &str) -> bool {
        let folded = fold(name);
        untrusted::is_look_alike(&folded) || self.claims_folded(&folded)
    }

    fn claims_folded(&self, name: &str) -> bool {
        untrusted::is_untrusted(name) || self.sets(name)
    }

    fn sets(&self, name: &str) -> bool {
        self.0.iter().any(|managed| managed == name)
    }
}

/// Headers removed from a forwarded request that no front replaces: other spellings of
/// headers that the gateway or a proxy sets, those that change the method, the path or the
/// host, and those in which gates name the user, except the gates of `believed`.
pub(crate) fn foreign_words(
    headers: &HeaderMap,
    managed: &ReservedHeaders,
    believed: &[&HeaderName],
) -> Vec<HeaderName> {
    let is_foreign = |name: &&HeaderName| {
        let text = name.as_str();
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_plain {
            return managed.claims_spelled(text);
        }
        if !untrusted::may_be_foreign(text) {
            return false;
        }
        let names_user = || untrusted::is_of_another_gate(text, believed) && !managed.sets(text);
        untrusted::is_override(text) || names_user()
    };
    headers.keys().filter(is_foreign).cloned().collect()
}

/// Whether a header of this name, in any spelling, is removed under all settings.
pub(crate) fn is_always_removed(name: &HeaderName) -> bool {
    ReservedHeaders::default().claims_spelled(name.as_str())
}

/// Whether a header of this name is removed unless an upstream names it in `pass_headers`.
pub(crate) fn may_be_passed(name: &HeaderName) -> bool {
    let has_underscore = name.as_str().contains('_') && !is_always_removed(name);
    has_underscore || untrusted::is_description(name.as_str())
}

/// One spelling: lower case, with `-` for each character that is not a letter or
/// digit, because some CGI servers also fold `.`, `~` and the like.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Removes the headers that only the gateway may set, in every spelling. Frameworks
/// differ in how they read an invalid trace context, so the state beside one is
/// removed too.
pub(crate) fn strip_untrusted(
    headers: &mut HeaderMap,
    trace: &Trace,
    managed: &ReservedHeaders,
    passed: PassedHeaders<'_>,
) {
    let is_new = trace.is_new();
    let claimed = headers
        .keys()
        .filter(|name| managed.claims(name, passed) || (is_new && **name == TRACESTATE));
    let claimed: Vec<HeaderName> = claimed.cloned().collect();
    for name in &claimed {
        headers.remove(name);
    }
}

/// Tells the app about the connection and the request; `verified` are the identity
/// and route headers that have a value.
pub(crate) fn set_forwarding_headers(
    headers: &mut HeaderMap,
    client: &Client,
    host: &str,
    trace: &Trace,
    verified: impl Iterator<Item = (HeaderName, HeaderValue)>,
) {
    headers.reserve(USUAL_ADDITIONS);
    if let Some(address) = client.address {
        let text = address_text::of(address);
        headers.insert(X_REAL_IP, text.clone());
        if client.hops.is_empty() {
            headers.insert(X_FORWARDED_FOR, text);
        } else {
            let mut chain = String::with_capacity(40);
            text::push_address(&mut chain, address);
            for &hop in &client.hops {
                chain.push_str(", ");
                text::push_address(&mut chain, hop);
            }
            set(headers, X_FORWARDED_FOR, &chain);
        }
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme.as_str()));
    let own = headers.get(header::HOST).filter(|own| own.as_bytes() == host.as_bytes());
    if let Some(own) = own.cloned() {
        headers.insert(X_FORWARDED_HOST, own);
    } else if !host.is_empty() {
        set(headers, X_FORWARDED_HOST, host);
    }
    let (name, id) = trace.request_id_field();
    headers.insert(name, id);
    if let Some(context) = trace.made_traceparent() {
        headers.insert(TRACEPARENT, context);
    }
    for (name, value) in verified {
        headers.insert(name, value);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Removes the headers that authorise a request to the app.
pub(crate) fn remove_credentials(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
}

/// Headers that describe a request to its receiver, and frame it.
pub(crate) fn is_for_anyone(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["accept", "expect", "host", "transfer-encoding", "user-agent"].contains(&name)
        || name.starts_with("accept-")
        || name.starts_with("content-")
}

/// Headers that hold the app's session, or that only the gateway may set.
pub(crate) fn is_the_apps_own(name: &HeaderName) -> bool {
    is_reserved(name)
        || [header::AUTHORIZATION, header::PROXY_AUTHORIZATION].contains(name)
        || untrusted::is_untrusted(name.as_str())
}

/// Headers with which a request becomes a WebSocket.
pub(crate) fn is_of_upgrade(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["connection", "upgrade"].contains(&name) || name.starts_with("sec-websocket-")
}

/// Headers a rule may not set, because framing, routing and sessions depend on them.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    is_framing(name) || *name == header::COOKIE || name.as_str().contains(['_', '.'])
}

/// Headers that say which server a request is for, or where its body ends.
pub(crate) fn is_framing(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::client::Scheme;

    fn managed() -> ReservedHeaders {
        ReservedHeaders::new([
            &HeaderName::from_static("x-auth-user"),
            &HeaderName::from_static("remote-user"),
        ])
    }

    #[test]
    fn every_spelling_of_a_managed_header_is_removed() {
        for name in [
            "X-Auth-User",
            "x_auth_user",
            "X.Auth.User",
            "x-auth_user",
            "x.auth-user",
            "X~Auth~User",
            "X!Auth|User",
            "REMOTE-USER",
            "Remote_User",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X.Forwarded.Proto",
            "Forwarded",
            "X-Real-IP",
            "X.Request.Id",
            "X-Original-URL",
            "X-Rewrite-Url",
            "X-Middleware-Subrequest",
            "Proxy",
            "X-Forwarded-Prefix",
            "X-Forwarded",
            "Client-Cert",
            "SSL-Client-Subject-DN",
            "X.Portcullis.Assertion",
            "any_thing",
            "X-HTTP-Method-Override",
            "X.HTTP.Method.Override",
            "X-Host",
            "X.Host",
            "X~Sendfile~Type",
            "CF.Connecting.IP",
            "Content.Length",
            "Transfer.Encoding",
            "Transfer~Encoding",
            "Cookie.",
            "Authorization!",
            "Host.",
        ] {
            let name: HeaderName = name.parse().unwrap();
            assert!(managed().claims(&name, PassedHeaders::default()), "{name}");
        }
        for name in [
            "accept",
            "x-requested-with",
            "cookie",
            "x.y",
            "x-auth-user2",
            "content-type",
            "proxy-x",
            "x-auth-token",
            "x-api-key",
            "cookie2",
            "authorization",
            "content-length",
            "x-middleware-prefetch",
            "x-middleware-preflight",
        ] {
            assert!(
                !managed().claims(&HeaderName::from_static(name), PassedHeaders::default()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_with_an_underscore_passes_if_it_is_allowed_and_spells_no_reserved_one() {
        let names = ["api_key", "x_auth_user", "x_forwarded_for", "other_key"];
        let names = names.map(HeaderName::from_static);
        let passed = PassedHeaders { named: &names[..3], verified: &[] };
        let claimed = |name: &HeaderName| managed().claims(name, passed);
        assert_eq!(names.each_ref().map(claimed), [false, true, true, true]);
    }

    #[test]
    fn the_app_learns_what_was_verified_and_nothing_else() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6"));
        headers.insert("x-auth-user", HeaderValue::from_static("admin"));
        let client = Client {
            address: Some("192.0.2.1".parse().unwrap()),
            scheme: Scheme::Https,
            hops: vec!["10.0.0.1".parse().unwrap()],
            via_trusted: true,
        };
        let mut trace = Trace::new();
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(context));
        trace.adopt(&headers, false);
        strip_untrusted(&mut headers, &trace, &managed(), PassedHeaders::default());
        set_forwarding_headers(&mut headers, &client, "app.example", &trace, std::iter::empty());
        let told: Vec<_> =
            headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        let request_id = format!("x-request-id: {}", trace.request_id());
        assert_eq!(
            told,
            [
                &format!("traceparent: {context}"),
                "x-real-ip: 192.0.2.1",
                "x-forwarded-for: 192.0.2.1, 10.0.0.1",
                "x-forwarded-proto: https",
                "x-forwarded-host: app.example",
                &request_id,
            ]
        );
    }

    #[test]
    fn without_a_valid_trace_context_the_app_gets_a_new_one() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static("00-not-valid-00"));
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        let client =
            Client { address: None, scheme: Scheme::Http, hops: Vec::new(), via_trusted: false };
        let mut trace = Trace::new();
        trace.adopt(&headers, false);
        strip_untrusted(&mut headers, &trace, &managed(), PassedHeaders::default());
        set_forwarding_headers(&mut headers, &client, "", &trace, std::iter::empty());
        assert!(!headers.contains_key(TRACESTATE));
        assert_eq!(headers.get(TRACEPARENT), trace.made_traceparent().as_ref());
    }
}
