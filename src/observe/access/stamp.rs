//! The time of a line; lines of the same second reuse all but its fraction.

use crate::base::calendar::{Date, push_rfc3339};
use crate::base::text;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The text of the last second. A log has one format, so it is always of the same kind.
#[derive(Default)]
pub(super) struct Stamp {
    second: u64,
    text: String,
}

impl Stamp {
    /// RFC 3339 in UTC, with milliseconds.
    pub(super) fn push_rfc3339(&mut self, out: &mut String, unix_ms: u64) {
        self.renew(unix_ms, |text, second| {
            push_rfc3339(text, second * 1000);
            // Up to the fraction.
            text.truncate(text.len().saturating_sub("000Z".len()));
        });
        out.push_str(&self.text);
        text::push_below(out, unix_ms, 1000);
        out.push('Z');
    }

    /// As Apache's `%t`: `[01/Jan/2026:00:00:00 +0000]`.
    pub(super) fn push_common(&mut self, out: &mut String, unix_ms: u64) {
        self.renew(unix_ms, push_common);
        out.push_str(&self.text);
    }

    fn renew(&mut self, unix_ms: u64, write: impl Fn(&mut String, u64)) {
        let second = unix_ms / 1000;
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            write(&mut self.text, second);
        }
    }
}

fn push_common(out: &mut String, second: u64) {
    let Date { year, month, day } = Date::from_days(second / 86_400);
    let month = usize::try_from(month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    out.push('[');
    text::push_below(out, day, 100);
    out.push('/');
    out.push_str(month.copied().unwrap_or("-"));
    out.push('/');
    text::push_below(out, year, 10_000);
    for (number, unit) in [(second / 3600 % 24, 100), (second / 60 % 60, 100), (second % 60, 100)] {
        out.push(':');
        text::push_below(out, number, unit);
    }
    out.push_str(" +0000]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_each_line() {
        let mut stamp = Stamp::default();
        for unix_ms in [0, 999, 1_767_225_600_042, 1_767_225_600_999, 1_767_225_601_000] {
            let (mut kept, mut anew) = (String::new(), String::new());
            stamp.push_rfc3339(&mut kept, unix_ms);
            push_rfc3339(&mut anew, unix_ms);
            assert_eq!(kept, anew);
        }
    }

    #[test]
    fn the_common_time_is_that_of_the_calendar() {
        let mut stamp = Stamp::default();
        for (second, expected) in [
            (0, "[01/Jan/1970:00:00:00 +0000]"),
            (951_782_399, "[28/Feb/2000:23:59:59 +0000]"),
            (951_782_400, "[29/Feb/2000:00:00:00 +0000]"),
            (1_796_083_199, "[30/Nov/2026:23:59:59 +0000]"),
            (1_796_083_200, "[01/Dec/2026:00:00:00 +0000]"),
        ] {
            let mut out = String::new();
            stamp.push_common(&mut out, second * 1000 + 7);
            assert_eq!(out, expected);
        }
    }
}
