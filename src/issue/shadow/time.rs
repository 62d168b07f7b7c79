//! Points in time inside answers: two of them are compared by how far away they are.

use serde_json::Value;

use crate::base::calendar::read_rfc3339;

/// Clocks differ, and the app has answered a moment before the gateway looks.
pub(super) const TOLERANCE: u64 = 5;
/// Numbers more than ten years away are not times.
const FAR: u64 = 10 * 365 * 24 * 60 * 60;

/// The unit in which a time is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Seconds,
    /// RFC 3339.
    Text,
}

impl Unit {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds since 1970",
            Self::Seconds => "seconds since 1970",
            Self::Text => "a date as text",
        }
    }
}

/// A point in time, if the value reads as one that is not far away.
pub(super) fn read(value: &Value, now: u64) -> Option<(u64, Unit)> {
    match value {
        Value::Number(number) => number.as_f64().and_then(|number| of_number(number, now)),
        Value::String(text) => of_text(text, now),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }
}

pub(super) fn of_text(text: &str, now: u64) -> Option<(u64, Unit)> {
    if (9..=14).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().and_then(|number: f64| of_number(number, now));
    }
    let unix = read_rfc3339(text).filter(|unix| unix.abs_diff(now) < FAR)?;
    Some((unix, Unit::Text))
}

fn of_number(number: f64, now: u64) -> Option<(u64, Unit)> {
    if !(1e8..1e14).contains(&number) {
        return None;
    }
    let whole: u64 = format!("{:.0}", number.floor()).parse().ok()?;
    if whole.abs_diff(now) < FAR {
        return Some((whole, Unit::Seconds));
    }
    let seconds = whole / 1000;
    (seconds.abs_diff(now) < FAR).then_some((seconds, Unit::Milliseconds))
}

/// How far away a time is, in words.
pub(super) fn away(unix: u64, now: u64) -> String {
    match unix.checked_sub(now) {
        Some(0) => "now".to_owned(),
        Some(ahead) => format!("in {ahead} s"),
        None => format!("{} s ago", now.saturating_sub(unix)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_unit_and_nothing_else_is() {
        const NOW: u64 = 1_800_000_000;
        let seconds = |value| read(&value, NOW).map(|(unix, _)| unix);
        assert_eq!(seconds(json!(1_800_000_060)), Some(1_800_000_060));
        assert_eq!(seconds(json!(1_800_000_060_500_u64)), Some(1_800_000_060));
        assert_eq!(seconds(json!(1_800_000_060.5)), Some(1_800_000_060));
        assert_eq!(seconds(json!("1800000060")), Some(1_800_000_060));
        assert_eq!(seconds(json!("2027-01-15T08:01:00Z")), Some(1_800_000_060));
        for other in [json!(60), json!("60"), json!(-1), json!(true), json!("soon"), json!(1e300)] {
            assert_eq!(seconds(other.clone()), None, "{other}");
        }
    }
}
