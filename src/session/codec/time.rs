//! Times as databases and JSON libraries print them, to Unix seconds.

use serde_json::Value;

use super::number;
use crate::base::calendar::Date;

/// From here on, a number counts milliseconds: as seconds, the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// `2045-06-02T03:04:05.123Z`, `2045-06-02 03:04:05`, with an offset or in UTC.
/// Fractions of a second are cut off.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?)?, digits(date.next()?)?, digits(date.next()?)?);
    let in_range = date.next().is_none()
        && (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day);
    let (clock, offset) = split_offset(time)?;
    let mut clock = clock.split(':');
    let (hour, minute) = (digits(clock.next()?)?, digits(clock.next()?)?);
    let second = digits(clock.next()?.split('.').next()?)?;
    if !in_range || clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = Date { year, month, day }.days()?;
    let seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    seconds.checked_add_signed(-offset)
}

/// A time in a session: Unix seconds, JavaScript's milliseconds, either of them as a
/// text, or a text that `parse` reads.
pub(crate) fn from_json(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_f64().map(number::clamp))?;
            Some(from_number(whole))
        }
        Value::String(text) => from_text(text),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }
}

/// As `from_json`, of a text.
pub(crate) fn from_text(text: &str) -> Option<u64> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(from_number(number::clamp(number))),
        Ok(_) => None,
        Err(_) => parse(text),
    }
}

/// Seconds, whether the number counts them or milliseconds.
pub(crate) fn from_number(number: u64) -> u64 {
    if number >= MILLISECONDS { number / 1000 } else { number }
}

/// The time of day, and how many seconds it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    let time = time.trim();
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    if let Some(clock) = time.strip_suffix(" UTC") {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at_checked(at)?;
    let (sign, amount) = match offset.split_at_checked(1)? {
        ("-", amount) => (-1, amount),
        (_, amount) => (1, amount),
    };
    let (hours, minutes) = match amount.split_once(':') {
        Some(parts) => parts,
        None => amount.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes)? };
    let seconds = i64::try_from(digits(hours)? * 3600 + minutes * 60).ok()?;
    Some((clock.trim_end(), sign * seconds))
}

fn digits(text: &str) -> Option<u64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_databases_and_libraries_print_them() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29 12:00:00", 951_825_600),
            ("2045-06-02T03:04:05.123Z", 2_379_985_445),
            ("2045-06-02 03:04:05.261304", 2_379_985_445),
            ("2045-06-02 03:04:05 UTC", 2_379_985_445),
            ("2045-06-02 05:04:05+02", 2_379_985_445),
            ("2045-06-01T23:34:05-03:30", 2_379_985_445),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for text in ["", "2045-06-02", "2045-13-01T00:00:00Z", "tomorrow", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
