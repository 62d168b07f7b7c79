//! The calls in a pickle that make a `datetime` of Python: the class, and the classes of
//! its zone. They are known by name and worked out here; nothing is executed.

use serde_json::Value;

use super::item::{Clock, Item};
use crate::base::calendar::Date;
use crate::session::codec::bytes::{Bytes, raw};
use crate::session::codec::{time, time_value};

impl Clock {
    pub(super) fn from_name(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("datetime", "datetime") => Some(Self::DateTime),
            ("datetime", "timedelta") => Some(Self::TimeDelta),
            ("datetime", "timezone") => Some(Self::TimeZone),
            ("pytz", "_UTC") | ("dateutil.tz.tz", "tzutc") => Some(Self::Utc),
            ("builtins" | "__builtin__", "getattr") => Some(Self::GetAttr),
            ("zoneinfo", "ZoneInfo") => Some(Self::ZoneInfo),
            _ => None,
        }
    }

    /// The result of a call with these arguments.
    pub(super) fn called(self, arena: &[Item], arguments: &[usize]) -> Option<Item> {
        let argument = |at: usize| arena.get(*arguments.get(at)?);
        let clock = |at: usize| match argument(at)? {
            Item::Clock(clock) => Some(*clock),
            Item::Dict(_) | Item::List(_) | Item::Opaque | Item::Plain(_) => None,
        };
        let plain = |at: usize| match argument(at)? {
            Item::Plain(value) => Some(value),
            Item::Clock(_) | Item::Dict(_) | Item::List(_) | Item::Opaque => None,
        };
        Some(Item::Clock(match self {
            Self::DateTime => {
                let (date, time) = written(plain(0)?)?;
                let seconds = if let Some(Self::Zone(ahead)) = clock(1) {
                    time::from_clock(date, time, ahead)
                } else {
                    None
                };
                return Some(Item::Plain(time_value::pickled(seconds)));
            }
            Self::GetAttr => {
                let is_known = clock(0)? == Self::ZoneInfo && plain(1)? == "_unpickle";
                is_known.then_some(Self::NamedZone)?
            }
            Self::NamedZone => time_value::is_utc(plain(0)?.as_str()?).then_some(Self::Zone(0))?,
            Self::TimeDelta => {
                let (days, seconds) = (plain(0)?.as_i64()?, plain(1)?.as_i64()?);
                Self::Span(days.checked_mul(86_400)?.checked_add(seconds)?)
            }
            Self::TimeZone => {
                let Self::Span(ahead) = clock(0)? else { return None };
                Self::Zone(ahead)
            }
            Self::Utc => Self::Zone(0),
            Self::Span(_) | Self::Zone(_) | Self::ZoneInfo => return None,
        }))
    }
}

/// The date and time of day as `datetime.__reduce_ex__` writes them: ten bytes, of which the
/// last three count microseconds.
fn written(state: &Value) -> Option<(Date, [u64; 3])> {
    /// Set in the month of a local time that comes a second time when clocks go back.
    const FOLD: u8 = 0x80;
    let state = raw(state).filter(|state| state.len() == 10)?;
    let mut state = Bytes(&state);
    let year = u16::from_be_bytes(state.array()?);
    let [month, day, hour, minute, second] = state.array()?;
    let date = Date { year: year.into(), month: (month & !FOLD).into(), day: day.into() };
    Some((date, [hour.into(), minute.into(), second.into()]))
}
