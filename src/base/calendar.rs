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
    fn every_day_of_five_centuries_is_read_back() {
        for days in 0..500 * 365 {
            assert_eq!(Date::from_days(days).days(), Some(days));
        }
        assert_eq!(Date { year: 1969, month: 12, day: 31 }.days(), None);
    }
}
