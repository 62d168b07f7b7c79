//! `logfmt`: the fields of `json` as `name=value`.
//!
//! A value with a blank, a quote, `=` or anything but visible ASCII stands in quotes, with
//! the escapes of a JSON string: what readers of the format agree on.

use super::numbers::push_milliseconds;
use super::stamp::Stamp;
use crate::base::text;
use crate::observe::escape::escape_visibly;
use crate::observe::event::Line;
use crate::request::address_text;

pub(super) fn push(line: &Line<'_>, out: &mut String, stamp: &mut Stamp) {
    out.push_str("time=");
    stamp.push_rfc3339(out, line.unix_ms);
    field(out, " request_id=", line.request_id);
    out.push_str(" trace_id=");
    out.push_str(line.trace_id);
    field(out, " method=", line.method);
    field(out, " host=", line.host);
    field(out, " path=", line.path);
    field(out, " route=", line.route);
    if let Some(client) = line.client {
        out.push_str(" client=");
        address_text::push(out, client);
    }
    if let Some(user) = line.user {
        field(out, " user=", user);
    }
    if !line.source.is_empty() {
        field(out, " source=", line.source);
    }
    out.push_str(" outcome=");
    out.push_str(line.outcome.as_str());
    if !line.reason.is_empty() {
        out.push_str(" reason=");
        out.push_str(line.reason);
    }
    out.push_str(" status=");
    text::push(out, line.status.into());
    out.push_str(" bytes=");
    text::push(out, line.bytes);
    out.push_str(" ms=");
    push_milliseconds(out, line.took);
    out.push('\n');
}

fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    let is_plain = |b: u8| b.is_ascii_graphic() & (b != b'"') & (b != b'\\') & (b != b'=');
    if !value.is_empty() && value.bytes().all(is_plain) {
        out.push_str(value);
    } else {
        out.push('"');
        escape_visibly(out, value);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::observe::access::example::{LINE, ODD, odd};

    /// A separate reader: names, then values that are bare or JSON strings.
    fn read(line: &Line<'_>) -> BTreeMap<String, String> {
        let mut out = String::new();
        push(line, &mut out, &mut Stamp::default());
        let mut rest = out.strip_suffix('\n').unwrap();
        assert!(!rest.contains(char::is_control), "{rest:?}");
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').unwrap();
            let quoted = after.starts_with('"').then(|| {
                let mut texts = serde_json::Deserializer::from_str(after).into_iter::<String>();
                let text = texts.next().unwrap().unwrap();
                (text, after.split_at(texts.byte_offset()).1)
            });
            let (value, after) = quoted.unwrap_or_else(|| {
                let (value, after) = after.split_at(after.find(' ').unwrap_or(after.len()));
                (value.to_owned(), after)
            });
            assert!(fields.insert(name.to_owned(), value).is_none(), "{name} twice: {out}");
            rest = after.strip_prefix(' ').unwrap_or(after);
            assert!(after.is_empty() || after.len() > rest.len(), "{out}");
        }
        fields
    }

    #[test]
    fn a_line_has_the_fields_of_the_json_line() {
        let mut json = String::new();
        super::super::json::push(&LINE, &mut json, &mut Stamp::default());
        let json: BTreeMap<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
        let fields = read(&LINE);
        assert!(fields.keys().eq(json.keys()), "{fields:?}");
        for (name, value) in &json {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(fields[name], value, "{name}");
        }
    }

    #[test]
    fn whatever_a_client_sends_is_read_back_as_it_was() {
        for text in ODD {
            let fields = read(&odd(text));
            for field in ["path", "host", "user", "request_id", "method"] {
                assert_eq!(fields[field], *text, "{field}");
            }
            assert_eq!(fields.len(), 15, "{fields:?}");
        }
    }
}
