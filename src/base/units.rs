//! Units of settings: durations, rates and sizes.
//!
//! Parsed once, when the file is read; afterwards the unit lives in the type.
//! A number without a unit is refused, because half the world reads `60` as
//! seconds and the other half as milliseconds.

use std::num::NonZeroU32;
use std::time::Duration;

/// `count` times per `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub count: NonZeroU32,
    pub window: Duration,
}

/// Reads a duration in any form the npm package `ms` reads, provided it has a
/// unit: `"90s"`, `"1m"`, `"2 days"`, `"1.5h"`.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = r#"a duration with its unit, such as "90s", "1m", "2h" or "1d""#;
    let text = text.trim();
    if text.len() > 100 {
        return Err(EXPECTED);
    }
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at).ok_or(EXPECTED)?;
    let number = number.trim_end_matches(' ');
    if unit.is_empty() {
        return Err(
            r#"a duration with its unit, because a bare number could mean seconds or milliseconds: "60s" or "60ms""#,
        );
    }
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(EXPECTED);
    }
    let amount: f64 = number.parse().map_err(|_| EXPECTED)?;
    let milliseconds = amount * milliseconds_in(unit).ok_or(EXPECTED)?;
    if !milliseconds.is_finite() || milliseconds > 1e15 {
        return Err("a duration of less than thirty thousand years");
    }
    Duration::try_from_secs_f64(milliseconds.round() / 1000.0).map_err(|_| EXPECTED)
}

/// The units of the npm package `ms`, case-insensitive as there. A year is
/// 365.25 days, a month a twelfth of it.
fn milliseconds_in(unit: &str) -> Option<f64> {
    const SECOND: f64 = 1000.0;
    const DAY: f64 = 24.0 * 3600.0 * SECOND;
    Some(match unit.to_ascii_lowercase().as_str() {
        "milliseconds" | "millisecond" | "msecs" | "msec" | "ms" => 1.0,
        "seconds" | "second" | "secs" | "sec" | "s" => SECOND,
        "minutes" | "minute" | "mins" | "min" | "m" => 60.0 * SECOND,
        "hours" | "hour" | "hrs" | "hr" | "h" => 3600.0 * SECOND,
        "days" | "day" | "d" => DAY,
        "weeks" | "week" | "w" => 7.0 * DAY,
        "months" | "month" | "mo" => 365.25 * DAY / 12.0,
        "years" | "year" | "yrs" | "yr" | "y" => 365.25 * DAY,
        _ => return None,
    })
}

/// Reads a rate: `"30/minute"`, `"5/10s"`, `"1000/day"`.
pub(crate) fn rate(text: &str) -> Result<Rate, &'static str> {
    const EXPECTED: &str = r#"a rate such as "30/minute", "5/10s" or "1000/day""#;
    let (count, window) = text.split_once('/').ok_or(EXPECTED)?;
    let count = count.trim().parse::<u32>().map_err(|_| EXPECTED)?;
    let count = NonZeroU32::new(count).ok_or(r#"a rate of at least 1, such as "1/day""#)?;
    let window = window.trim();
    let window = if window.starts_with(|c: char| c.is_ascii_digit()) {
        duration(window)
    } else {
        duration(&format!("1{window}"))
    };
    let window = window.map_err(|_| EXPECTED)?;
    if window < Duration::from_millis(1) || window > Duration::from_secs(366 * 86400) {
        return Err("a rate over a window between a millisecond and a year");
    }
    Ok(Rate { count, window })
}

/// Reads a size in bytes: `"64KiB"`, `"1MiB"`, `"10MB"`, `"512B"`.
pub(crate) fn size(text: &str) -> Result<usize, &'static str> {
    const EXPECTED: &str = r#"a size with its unit, such as "512B", "32KiB" or "1MiB""#;
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
    let (number, unit) = text.split_at_checked(unit_at).ok_or(EXPECTED)?;
    let number: usize = number.parse().map_err(|_| EXPECTED)?;
    let scale: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err(EXPECTED),
    };
    number.checked_mul(scale).ok_or("a smaller size")
}

/// A part of many: some of the lines of a log, some of the traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    millionths: u32,
}

impl Share {
    pub(crate) const ALL: Self = Self { millionths: Self::WHOLE };
    const WHOLE: u32 = 1_000_000;

    /// From what `millionths` gave.
    pub(crate) const fn of_millionths(millionths: u32) -> Self {
        Self { millionths }
    }

    pub(crate) const fn millionths(self) -> u32 {
        self.millionths
    }

    /// Whether this one is among them; `random` is any number without a pattern.
    pub(crate) fn picks(self, random: u64) -> bool {
        random % u64::from(Self::WHOLE) < u64::from(self.millionths)
    }
}

/// Reads a share in percent: `"10%"`, `"0.5%"`, `"100%"`; at least a millionth.
pub(crate) fn share(text: &str) -> Result<Share, &'static str> {
    const EXPECTED: &str = r#"a share from "0.0001%" to "100%", such as "10%""#;
    let number = text.trim().strip_suffix('%').ok_or(EXPECTED)?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(fraction, 4) {
        return Err(EXPECTED);
    }
    let millionths = format!("{whole}{fraction:0<4}").parse().map_err(|_| EXPECTED)?;
    if (1..=Share::WHOLE).contains(&millionths) { Ok(Share { millionths }) } else { Err(EXPECTED) }
}

/// Seconds, rounded up: a client that waits this long has waited long enough.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_in_percent() {
        for (text, millionths) in [
            ("100%", 1_000_000),
            ("10%", 100_000),
            ("0.5 %", 5_000),
            ("12.25%", 122_500),
            ("0.0001%", 1),
            ("007%", 70_000),
        ] {
            assert_eq!(share(text), Ok(Share { millionths }), "{text}");
        }
        let wrong = ["", "%", "10", "0.1", "0%", "0.00%", "100.1%", "101%", "-1%", "+1%", "1e1%"];
        for text in wrong.into_iter().chain(["1.%", ".5%", "1.00001%", "1,5%", "\u{661}%", "1%%"]) {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(Share::ALL.picks(u64::MAX) && Share::ALL.picks(0));
    }

    #[test]
    fn durations_are_read_as_the_ms_package_reads_them() {
        let cases = [
            ("100ms", 100),
            ("90s", 90_000),
            ("1m", 60_000),
            ("1 minute", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("2 days", 172_800_000),
            ("1.5h", 5_400_000),
            (".5ms", 1),
            ("1 DAY", 86_400_000),
            ("1w", 604_800_000),
            ("1y", 31_557_600_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_both_readings() {
        let refused = duration("60").unwrap_err();
        assert!(refused.contains("60s") && refused.contains("60ms"));
    }

    #[test]
    fn nonsense_is_not_a_duration() {
        for text in ["", "m", "-1m", "1 fortnight", "1m30s", "1,5h", "NaNs", "1e3s", "infs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_have_a_count_and_a_window() {
        let read = |text| rate(text).map(|r| (r.count.get(), r.window.as_secs()));
        assert_eq!(read("30/minute"), Ok((30, 60)));
        assert_eq!(read("5/10s"), Ok((5, 10)));
        assert_eq!(read("1000/day"), Ok((1000, 86400)));
        assert_eq!(read("10 / 2 hours"), Ok((10, 7200)));
        for text in ["30", "0/minute", "-1/s", "30/", "30/0s", "x/minute", "30/fortnight"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("10 MB"), Ok(10_000_000));
        for text in ["64", "", "KiB", "-1B", "99999999999999999999GiB", "18446744073709551615KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
