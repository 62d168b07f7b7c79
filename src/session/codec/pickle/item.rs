//! The values that a pickle builds.

use serde_json::Value;

/// A value that a pickle builds. Lists, dicts and tuples hold indices into the arena.
pub(super) enum Item {
    /// Part of a time: only its class reads it.
    Clock(Clock),
    Dict(Vec<(usize, usize)>),
    /// Also tuples and sets.
    List(Vec<usize>),
    /// A class, a call's result, an object: anything that is not plain data.
    Opaque,
    Plain(Value),
}

/// A class, or what a call of it made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    DateTime,
    /// The function that finds a member: `ZoneInfo` writes its own that way.
    GetAttr,
    /// The function that makes a zone of its name.
    NamedZone,
    /// A span in seconds.
    Span(i64),
    TimeDelta,
    TimeZone,
    /// The function that returns UTC, of `pytz` and of `dateutil`.
    Utc,
    /// A zone, by its seconds ahead of UTC.
    Zone(i64),
    ZoneInfo,
}
