//! `combined`: the line of Apache and nginx, which every reader of web logs knows.
//!
//! `client - user [time] "method path protocol" status bytes "referer" "agent"`. Path and
//! referer stand without their query. What is not visible ASCII, a quote or a backslash is
//! written `\xHH`, as nginx does, so quotes end a field only where it ends.

use http::{HeaderName, Version, header};

use super::stamp::Stamp;
use crate::base::text;
use crate::observe::event::Line;
use crate::request::address_text;

/// Longest referer and user agent, in bytes.
const LONGEST: usize = 1024;

pub(super) fn push(line: &Line<'_>, out: &mut String, stamp: &mut Stamp) {
    match line.client {
        Some(client) => address_text::push(out, client),
        None => out.push('-'),
    }
    out.push_str(" - ");
    word(out, line.user.unwrap_or_default());
    out.push(' ');
    stamp.push_common(out, line.unix_ms);
    out.push_str(" \"");
    word(out, line.method);
    out.push(' ');
    word(out, line.path);
    out.push(' ');
    out.push_str(protocol(line.version));
    out.push_str("\" ");
    push_status(out, line.status);
    out.push(' ');
    text::push(out, line.bytes);
    out.push_str(" \"");
    let referer = field(line, &header::REFERER);
    quoted(out, referer.split(|byte| b"?#".contains(byte)).next().unwrap_or_default());
    out.push_str("\" \"");
    quoted(out, field(line, &header::USER_AGENT));
    out.push_str("\"\n");
}

/// Three digits, even without an answer.
fn push_status(out: &mut String, status: u16) {
    text::push_below(out, status.into(), 1000);
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

fn field<'l>(line: &Line<'l>, name: &HeaderName) -> &'l [u8] {
    let value = line.headers.and_then(|headers| headers.get(name));
    let value = value.map_or(&b""[..], |value| value.as_bytes());
    value.get(..LONGEST).unwrap_or(value)
}

/// A field that ends at a blank.
fn word(out: &mut String, text: &str) {
    push_or_dash(out, text.as_bytes(), |byte| byte.is_ascii_graphic());
}

/// A field that ends at a quote.
fn quoted(out: &mut String, text: &[u8]) {
    push_or_dash(out, text, |byte| byte.is_ascii_graphic() || byte == b' ');
}

fn push_or_dash(out: &mut String, text: &[u8], is_plain: impl Fn(u8) -> bool) {
    if text.is_empty() {
        out.push('-');
    }
    for &byte in text {
        if is_plain(byte) && byte != b'"' && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            out.push_str("\\x");
            text::push_hex(out, byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::observe::access::example::{LINE, ODD, odd};

    fn written(line: &Line<'_>) -> String {
        let mut out = String::new();
        push(line, &mut out, &mut Stamp::default());
        out.strip_suffix('\n').unwrap().to_owned()
    }

    /// The fields, by the rules of a reader that knows no escapes at all.
    fn read(line: &str) -> Vec<String> {
        let mut parts = line.split('"');
        let mut next = || parts.next().unwrap().to_owned();
        let (client, request, status, referer, between, agent) =
            (next(), next(), next(), next(), next(), next());
        assert_eq!((next().as_str(), between.as_str(), parts.next()), ("", " ", None), "{line}");
        let (before, time) = client.trim_end().split_once(" [").unwrap();
        let mut fields: Vec<String> = before.split(' ').map(str::to_owned).collect();
        fields.push(time.strip_suffix(']').unwrap().to_owned());
        fields.extend(request.split(' ').map(str::to_owned));
        fields.extend(status.trim().split(' ').map(str::to_owned));
        fields.extend([referer, agent]);
        fields
    }

    fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_line_is_the_combined_line() {
        let headers = headers(&[
            ("referer", b"https://app.example/login?next=/a#b"),
            ("user-agent", b"Mozilla/5.0 (X11; Linux)"),
        ]);
        let client = "192.0.2.7".parse().ok();
        let line = Line { client, headers: Some(&headers), path: "/a/b", ..LINE };
        assert_eq!(
            written(&line),
            "192.0.2.7 - u1 [01/Jan/2026:00:00:00 +0000] \"GET /a/b HTTP/1.1\" 200 512 \
             \"https://app.example/login\" \"Mozilla/5.0 (X11; Linux)\""
        );
        let bare = Line { user: None, status: 0, version: Version::HTTP_2, ..LINE };
        assert_eq!(
            written(&bare),
            "- - - [01/Jan/2026:00:00:00 +0000] \"GET /a HTTP/2.0\" 000 512 \"-\" \"-\""
        );
    }

    #[test]
    fn whatever_a_client_sends_the_fields_stay_apart() {
        for text in ODD {
            let fields = read(&written(&odd(text)));
            assert_eq!(fields.len(), 11, "{fields:?}");
            assert!(fields.iter().all(|field| field.bytes().all(|b| (b' '..=b'~').contains(&b))));
            // What a header may carry: no line breaks, any byte above.
            let value: Vec<u8> = text.bytes().filter(|b| *b == b'\t' || *b >= b' ').collect();
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, value.clone());
            headers.insert(header::REFERER, value);
            let fields = read(&written(&Line { headers: Some(&headers), ..LINE }));
            assert_eq!(fields.len(), 11, "{fields:?}");
        }
    }

    #[test]
    fn a_query_reaches_no_field() {
        let headers = headers(&[("referer", b"https://app.example/x?token=canary")]);
        assert!(!written(&Line { headers: Some(&headers), ..LINE }).contains("canary"));
        let only = headers_of(b"?token=canary");
        assert!(!written(&Line { headers: Some(&only), ..LINE }).contains("canary"));
    }

    fn headers_of(referer: &[u8]) -> HeaderMap {
        headers(&[("referer", referer)])
    }

    #[test]
    fn a_field_is_never_longer_than_it_may_be() {
        let headers = headers(&[("user-agent", &[b'x'; 8000])]);
        assert!(written(&Line { headers: Some(&headers), ..LINE }).len() < 2 * LONGEST);
    }
}
