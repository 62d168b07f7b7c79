//! Times as databases and JSON libraries print them, to Unix seconds.

use std::time::UNIX_EPOCH;

use super::number;
use crate::base::calendar::Date;

/// From here on, a number counts milliseconds: as seconds, the year 5138. Smaller units
/// begin a thousand and a million times later: microseconds (Chrome, Go, PostgreSQL's own)
/// and nanoseconds (Go's `UnixNano`). Read as a larger unit, an end would never come.
const MILLISECONDS: u64 = 100_000_000_000;
const MICROSECONDS: u64 = MILLISECONDS * 1000;
const NANOSECONDS: u64 = MICROSECONDS * 1000;

/// `2045-06-02T03:04:05.123Z`, `2045-06-02 03:04:05`, with an offset or in UTC; also as
/// Go's `Time.String` writes it, with the zone's name and a monotonic clock behind.
/// Fractions of a second are cut off.
pub(crate) fn parse(text: &str) -> Option<u64> {
    iso(text).or_else(|| http(text))
}

/// `Fri, 02 Jun 2045 03:04:05 GMT` (RFC 9110 section 5.6.7): Flask, and JavaScript's
/// `toUTCString`.
fn http(text: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn iso(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?)?, digits(date.next()?)?, digits(date.next()?)?);
    let is_whole = date.next().is_none();
    let (clock, ahead) = split_offset(time)?;
    let mut clock = clock.split(':');
    let (hour, minute) = (digits(clock.next()?)?, digits(clock.next()?)?);
    let second = digits(clock.next()?.split('.').next()?)?;
    if !is_whole || clock.next().is_some() {
        return None;
    }
    from_clock(Date { year, month, day }, [hour, minute, second], ahead)
}

/// Unix seconds of a date and a time of day that exist, in a zone that is `ahead` of UTC by
/// so many seconds.
pub(super) fn from_clock(date: Date, [hour, minute, second]: [u64; 3], ahead: i64) -> Option<u64> {
    let in_range = (1970..=9999).contains(&date.year)
        && (1..=12).contains(&date.month)
        && (1..=31).contains(&date.day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Refuses 30 February.
    let days = date.days().filter(|&days| Date::from_days(days) == date)?;
    let seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    seconds.checked_add_signed(ahead.checked_neg()?)
}

/// Unix seconds, or a smaller unit, in digits, or a text that `parse` reads.
pub(crate) fn from_text(text: &str) -> Option<u64> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(from_number(number::clamp(number))),
        Ok(_) => None,
        Err(_) => parse(text),
    }
}

/// Seconds, whether the number counts them or a smaller unit.
pub(crate) fn from_number(number: u64) -> u64 {
    match number {
        0..MILLISECONDS => number,
        MILLISECONDS..MICROSECONDS => number / 1000,
        MICROSECONDS..NANOSECONDS => number / 1_000_000,
        NANOSECONDS.. => number / 1_000_000_000,
    }
}

/// The time of day, and how many seconds it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    let time = time.trim();
    let time = time.split_once(" m=").map_or(time, |(time, _)| time);
    // The offset says it all; a name alone says too little.
    let time = match time.rsplit_once(' ') {
        Some((before, zone)) if is_named(zone) && before.contains(['+', '-']) => before,
        _ => time,
    };
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

/// Whether a zone is written by its name, such as `CET`.
fn is_named(zone: &str) -> bool {
    zone.bytes().all(|b| b.is_ascii_uppercase()) || zone.starts_with(['+', '-'])
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
            ("2045-06-02 05:04:05.123456789 +0200 CEST", 2_379_985_445),
            ("2045-06-02 03:04:05.5 +0000 UTC m=+3600.000000001", 2_379_985_445),
            ("2045-06-02 00:04:05 -0300 -03", 2_379_985_445),
            ("Fri, 02 Jun 2045 03:04:05 GMT", 2_379_985_445),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn a_number_counts_the_unit_that_makes_it_a_time_of_today() {
        let nanoseconds = 2_379_985_445_123_456_789;
        for unit in [1, 1000, 1_000_000, 1_000_000_000] {
            assert_eq!(from_number(nanoseconds / unit), 2_379_985_445, "{unit}");
        }
        assert_eq!(from_text("2379985445123456"), Some(2_379_985_445));
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for text in [
            "",
            "2045-06-02",
            "2045-13-01T00:00:00Z",
            "tomorrow",
            "1969-12-31T23:59:59Z",
            "2045-06-02 03:04:05 CEST",
            "2045-02-30 00:00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
