//! Days since 1970 to dates of the Gregorian calendar, and back.
//!
//! Years are counted from March, so that the leap day is the last of its year (as in
//! Howard Hinnant's `civil_from_days`). Dates before 1970 are not needed.

use crate::base::text;

/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub year: u64,
    pub month: u64,
    pub day: u64,
}

impl Date {
    /// The date `days` after 1 January 1970.
    pub(crate) const fn from_days(days: u64) -> Self {
        let days = days.saturating_add(EPOCH);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
        Self { year: year + era * 400, month, day }
    }

    /// Days since 1 January 1970; `None` before.
    pub(crate) const fn days(self) -> Option<u64> {
        let Self { year, month, day } = self;
        let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
        let leap_days = year / 4 - year / 100 + year / 400;
        (year * 365 + leap_days + (153 * month + 2) / 5 + day - 1).checked_sub(EPOCH)
    }
}

/// RFC 3339 in UTC, with milliseconds: also what JavaScript's `toISOString` writes.
pub(crate) fn push_rfc3339(out: &mut String, unix_ms: u64) {
    let Date { year, month, day } = Date::from_days(unix_ms / 86_400_000);
    let rest = unix_ms % 86_400_000;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    for (number, unit, after) in [
        (year, 10_000, '-'),
        (month, 100, '-'),
        (day, 100, 'T'),
        (hour, 100, ':'),
        (minute, 100, ':'),
        (second, 100, '.'),
        (milli, 1000, 'Z'),
    ] {
        text::push_below(out, number, unit);
        out.push(after);
    }
}

/// Unix seconds of an RFC 3339 time (section 5.6), with any offset and any fraction of a
/// second, which is dropped. Before 1970 there is none.
pub(crate) fn read_rfc3339(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let is = |at: usize, allowed: &[u8]| {
        text.as_bytes().get(at).is_some_and(|byte| allowed.contains(byte))
    };
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let date = Date { year: number(0, 4)?, month: number(5, 7)?, day: number(8, 10)? };
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A date that does not exist, such as 30 February, is not read back.
    let days = Some(date).filter(|date| (1..=12).contains(&date.month) && date.day > 0)?.days()?;
    if Date::from_days(days) != date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut zone = text.get(19..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if zone.len() == fraction.len() {
            return None;
        }
    }
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    match zone.split_at_checked(1)? {
        ("Z" | "z", "") => Some(local),
        (sign @ ("+" | "-"), offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            if hours.len() != 2 || minutes.len() != 2 || offset.contains('+') {
                return None;
            }
            let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if sign == "+" { local.checked_sub(offset) } else { Some(local + offset) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_right_around_leap_days() {
        let time = |unix: u64| {
            let mut out = String::new();
            push_rfc3339(&mut out, unix * 1000);
            out
        };
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_709_251_199), "2024-02-29T23:59:59.000Z");
        assert_eq!(time(4_107_542_400), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn rfc_3339_is_read_with_any_offset() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00.000Z", 1_767_225_600),
            ("2026-01-01t00:00:00.123456789z", 1_767_225_600),
            ("2026-01-01 01:30:00+01:30", 1_767_225_600),
            ("2025-12-31T19:00:00-05:00", 1_767_225_600),
        ] {
            assert_eq!(read_rfc3339(text), Some(unix), "{text}");
        }
        for text in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00Zx",
            "2026-01-01T00:00:00+1:00",
            "+026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00\u{b5}",
        ] {
            assert_eq!(read_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_five_centuries_is_read_back() {
        for days in 0..500 * 365 {
            assert_eq!(Date::from_days(days).days(), Some(days));
        }
        assert_eq!(Date { year: 1969, month: 12, day: 31 }.days(), None);
    }
}
