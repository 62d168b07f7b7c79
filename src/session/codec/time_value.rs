//! Times as values of a session, to Unix seconds: numbers, texts, and the objects that
//! languages keep times in.
//!
//! An object says how far it is from UTC. One that does not, or that only names its zone, is
//! not read as UTC: east of it, a session would outlive its end by hours.

use serde_json::{Map, Value, json};

use super::{number, time};
use crate::base::calendar::Date;

/// The member of a Python time that a pickle held: seconds, or null if its zone is unknown.
const PICKLED: &str = "datetime";

/// A `datetime` of Python, as a member of a session.
pub(super) fn pickled(seconds: Option<u64>) -> Value {
    json!({ PICKLED: seconds })
}

/// The reason that a value is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTime {
    /// It is none.
    Other,
    /// Its zone is unknown: it has none, or has a name, and no database of zones is at
    /// hand to look it up.
    UnknownZone,
}

/// A time in a session: Unix seconds, JavaScript's milliseconds or a smaller unit, as a
/// number or a text, a text that `time::parse` reads, or an object that a language keeps a
/// time in.
pub(crate) fn from_json(value: &Value) -> Result<u64, NotTime> {
    let seconds = match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_f64().map(number::clamp));
            whole.map(time::from_number)
        }
        Value::String(text) => time::from_text(text),
        Value::Object(members) => return seconds(members),
        Value::Array(_) | Value::Bool(_) | Value::Null => None,
    };
    seconds.ok_or(NotTime::Other)
}

/// The time that an object is.
fn seconds(members: &Map<String, Value>) -> Result<u64, NotTime> {
    match members.iter().next() {
        // Flask's tag for a time.
        Some((name, value)) if members.len() == 1 && name == " d" => {
            value.as_str().and_then(time::parse).ok_or(NotTime::Other)
        }
        Some((name, value)) if members.len() == 1 && name == PICKLED => match value {
            Value::Null => Err(NotTime::UnknownZone),
            _ => value.as_u64().ok_or(NotTime::Other),
        },
        _ => php(members).or_else(|| elixir(members)).unwrap_or(Err(NotTime::Other)),
    }
}

/// Whether the member is a text in a time of PHP, which counts in the time's zone.
pub(crate) fn is_local(holder: &Value, member: &str) -> bool {
    member == "date" && holder.as_object().and_then(php).is_some()
}

/// PHP's `DateTime`, `DateTimeImmutable` and classes made of them, such as Carbon: the
/// local time, the notation of the zone, and the zone.
fn php(members: &Map<String, Value>) -> Option<Result<u64, NotTime>> {
    let date = members.get("date")?.as_str()?;
    let zone = members.get("timezone")?.as_str()?;
    let notation = members.get("timezone_type")?.as_u64()?;
    let offset = match notation {
        1 if zone.starts_with(['+', '-']) => zone,
        // An abbreviation may mean several zones.
        2 | 3 if is_utc(zone) => "Z",
        2 | 3 => return Some(Err(NotTime::UnknownZone)),
        _ => return Some(Err(NotTime::Other)),
    };
    Some(time::parse(&format!("{date}{offset}")).ok_or(NotTime::Other))
}

/// Whether the name of a zone, or its abbreviation, is one of UTC.
pub(super) fn is_utc(zone: &str) -> bool {
    ["Etc/GMT", "Etc/UTC", "GMT", "UTC", "Z"].contains(&zone)
}

/// Elixir's `%DateTime{}`; a `%NaiveDateTime{}` has no zone.
fn elixir(members: &Map<String, Value>) -> Option<Result<u64, NotTime>> {
    match members.get("__struct__")?.as_str()? {
        "Elixir.DateTime" => Some(elixir_seconds(members).ok_or(NotTime::Other)),
        "Elixir.NaiveDateTime" => Some(Err(NotTime::UnknownZone)),
        _ => None,
    }
}

fn elixir_seconds(members: &Map<String, Value>) -> Option<u64> {
    (members.get("calendar")?.as_str()? == "Elixir.Calendar.ISO").then_some(())?;
    let part = |name: &str| members.get(name)?.as_u64();
    let offset = |name: &str| members.get(name)?.as_i64();
    let date = Date { year: part("year")?, month: part("month")?, day: part("day")? };
    let clock = [part("hour")?, part("minute")?, part("second")?];
    time::from_clock(date, clock, offset("utc_offset")?.checked_add(offset("std_offset")?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: u64 = 2_379_985_445;

    #[test]
    fn a_time_that_flask_has_tagged_is_one() {
        let text = "Fri, 02 Jun 2045 03:04:05 GMT";
        assert_eq!(from_json(&json!({ " d": text })), Ok(SECONDS));
        assert_eq!(from_json(&json!({ " d": text, "more": 1 })), Err(NotTime::Other));
        assert_eq!(from_json(&json!({ "d": text })), Err(NotTime::Other));
    }

    #[test]
    fn a_time_of_php_counts_in_its_own_zone() {
        let php = |date: &str, notation: u32, zone: &str| json!({ "date": date, "timezone_type": notation, "timezone": zone });
        let (utc, tokyo) = ("2045-06-02 03:04:05.123456", "2045-06-02 12:04:05.000000");
        let cases = [
            (utc, 3, "UTC", Ok(SECONDS)),
            (utc, 3, "Etc/UTC", Ok(SECONDS)),
            (utc, 2, "Z", Ok(SECONDS)),
            (utc, 2, "GMT", Ok(SECONDS)),
            (utc, 1, "+00:00", Ok(SECONDS)),
            (tokyo, 1, "+09:00", Ok(SECONDS)),
            ("2045-06-01 23:34:05.000000", 1, "-03:30", Ok(SECONDS)),
            (tokyo, 3, "Asia/Tokyo", Err(NotTime::UnknownZone)),
            (tokyo, 3, "Europe/London", Err(NotTime::UnknownZone)),
            (tokyo, 2, "JST", Err(NotTime::UnknownZone)),
            (tokyo, 1, "Asia/Tokyo", Err(NotTime::Other)),
            (tokyo, 1, "+05:30:15", Err(NotTime::Other)),
            (tokyo, 4, "UTC", Err(NotTime::Other)),
            ("2045-06-02 12:04:05+09:00", 1, "+00:00", Err(NotTime::Other)),
            ("2045-06-02 12:04:05+09:00", 3, "UTC", Err(NotTime::Other)),
            ("2379985445", 3, "UTC", Err(NotTime::Other)),
        ];
        for (date, notation, zone, expected) in cases {
            assert_eq!(from_json(&php(date, notation, zone)), expected, "{date} {zone}");
        }
        assert_eq!(from_json(&json!({ "date": utc, "timezone": "UTC" })), Err(NotTime::Other));
    }

    #[test]
    fn a_time_of_elixir_counts_in_its_own_zone() {
        let elixir = |hour: u32, utc_offset: i64, std_offset: i64| {
            json!({
                "__struct__": "Elixir.DateTime", "calendar": "Elixir.Calendar.ISO", "year": 2045,
                "month": 6, "day": 2, "hour": hour, "minute": 4, "second": 5,
                "microsecond": [0, 6], "time_zone": "Europe/Paris", "zone_abbr": "CEST",
                "utc_offset": utc_offset, "std_offset": std_offset,
            })
        };
        let cases = [
            (elixir(3, 0, 0), Ok(SECONDS)),
            (elixir(5, 3600, 3600), Ok(SECONDS)),
            (elixir(0, -10_800, 0), Ok(SECONDS)),
            (elixir(24, 0, 0), Err(NotTime::Other)),
            (elixir(3, i64::MIN, 0), Err(NotTime::Other)),
            (elixir(3, i64::MAX, 1), Err(NotTime::Other)),
            (json!({ "__struct__": "Elixir.NaiveDateTime", "hour": 3 }), Err(NotTime::UnknownZone)),
            (json!({ "__struct__": "Elixir.Date", "year": 2045 }), Err(NotTime::Other)),
            (json!({ "__struct__": "Elixir.DateTime" }), Err(NotTime::Other)),
        ];
        for (json, expected) in cases {
            assert_eq!(from_json(&json), expected, "{json}");
        }
    }
}
