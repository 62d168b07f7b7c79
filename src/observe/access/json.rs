//! `json`: one object per line.

use super::numbers::push_milliseconds;
use super::stamp::Stamp;
use crate::base::text;
use crate::observe::escape::escape;
use crate::observe::event::Line;
use crate::request::address_text;

pub(super) fn push(line: &Line<'_>, out: &mut String, stamp: &mut Stamp) {
    out.push_str("{\"time\":\"");
    stamp.push_rfc3339(out, line.unix_ms);
    out.push_str("\",\"request_id\":\"");
    escape(out, line.request_id);
    out.push_str("\",\"trace_id\":\"");
    out.push_str(line.trace_id);
    out.push_str("\",\"method\":\"");
    escape(out, line.method);
    out.push_str("\",\"host\":\"");
    escape(out, line.host);
    out.push_str("\",\"path\":\"");
    escape(out, line.path);
    out.push_str("\",\"route\":\"");
    escape(out, line.route);
    if let Some(client) = line.client {
        out.push_str("\",\"client\":\"");
        address_text::push(out, client);
    }
    if let Some(user) = line.user {
        out.push_str("\",\"user\":\"");
        escape(out, user);
    }
    if !line.source.is_empty() {
        out.push_str("\",\"source\":\"");
        escape(out, line.source);
    }
    out.push_str("\",\"outcome\":\"");
    out.push_str(line.outcome.as_str());
    if !line.reason.is_empty() {
        out.push_str("\",\"reason\":\"");
        out.push_str(line.reason);
    }
    out.push_str("\",\"status\":");
    text::push(out, line.status.into());
    out.push_str(",\"bytes\":");
    text::push(out, line.bytes);
    out.push_str(",\"ms\":");
    push_milliseconds(out, line.took);
    out.push_str("}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::example::{LINE, ODD, odd};

    fn read(line: &Line<'_>) -> serde_json::Value {
        let mut out = String::new();
        push(line, &mut out, &mut Stamp::default());
        assert_eq!(out.matches('\n').count(), 1, "{out:?}");
        assert!(!out.trim_end().contains(char::is_control), "{out:?}");
        serde_json::from_str(&out).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_path() {
        let line = read(&Line { path: "/a\"\u{1b}[31m\n", request_id: "r\"1", ..LINE });
        assert_eq!(line["path"], "/a\"\u{1b}[31m\n");
        assert_eq!(line["time"], "2026-01-01T00:00:00.042Z");
        assert_eq!(line["ms"], 1.234);
        assert_eq!(line["request_id"], "r\"1");
    }

    #[test]
    fn whatever_a_client_sends_is_read_back_as_it_was() {
        for text in ODD {
            let line = read(&odd(text));
            for field in ["path", "host", "user", "request_id", "method"] {
                assert_eq!(line[field], *text, "{field}");
            }
            assert_eq!(line.as_object().unwrap().len(), 15, "{line}");
        }
    }
}
