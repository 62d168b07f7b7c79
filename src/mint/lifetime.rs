//! The lifetime of a token, and the time for which a cached one may be handed out.
//!
//! A token never outlives its session, and its lifetime is bounded by what the vendor
//! accepts; a setting outside those bounds is refused when it is read.

use std::time::Duration;

use super::error::MintError;
use super::layered_table::LayeredTable;
use crate::base::clock::Now;
use crate::base::units;
use crate::document::{At, FromNode};
use crate::session::Identity;

/// Lifetime in seconds of a token that does not expire by itself.
const WITHOUT_END: u64 = 3600;

/// The times one token is made with, in Unix seconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Times {
    pub now: u64,
    pub now_ms: u64,
    pub iat: u64,
    /// `None` when neither preset nor operator gave a `ttl`.
    pub exp: Option<u64>,
    pub ttl: Option<u64>,
}

/// The settings of a life, in whole seconds.
#[derive(Clone)]
pub(super) struct Lifetime {
    ttl: Option<u64>,
    shortest: u64,
    backdate: u64,
    counted_from: CountedFrom,
    min_left: MinLeft,
}

/// The instant the life is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CountedFrom {
    Iat,
    Now,
}

/// Lifetime that a cached token must have left to be handed out again.
#[derive(Clone, Copy)]
enum MinLeft {
    Default,
    Percent(u64),
    Seconds(u64),
}

impl Lifetime {
    pub(super) const KEYS: [&str; 6] =
        ["backdate", "exp_from", "min_left", "ttl", "ttl_max", "ttl_min"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        let ttl_at = members.take("ttl");
        let read_ttl = ttl_at.as_ref().map(seconds);
        let shortest = seconds_of(members, "ttl_min").unwrap_or(1);
        let longest = seconds_of(members, "ttl_max").unwrap_or(u64::MAX);
        if let (Some(at), Some(Some(ttl))) = (&ttl_at, read_ttl) {
            check_bounds(at, ttl, shortest, longest);
        }
        let backdate = seconds_of(members, "backdate").unwrap_or(0);
        let counted_from = members.get("exp_from").unwrap_or(CountedFrom::Now);
        let min_left = members.get("min_left").unwrap_or(MinLeft::Default);
        // A ttl that could not be read has been reported; it is not missing as well.
        let ttl = read_ttl.map(|seconds| seconds.unwrap_or(shortest));
        Self { ttl, shortest, backdate, counted_from, min_left }
    }

    pub(super) fn has_ttl(&self) -> bool {
        self.ttl.is_some()
    }

    /// The longest life of a token.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_secs(self.ttl.unwrap_or(WITHOUT_END))
    }

    /// The times for a token made now in this session.
    pub(super) fn times(&self, identity: &Identity, now: Now) -> Result<Times, MintError> {
        let (unix, session_end) = (now.unix(), identity.expires_at());
        if session_end.is_some_and(|end| end <= unix) {
            return Err(MintError::SessionExpired("the session has ended".into()));
        }
        let iat = unix.saturating_sub(self.backdate);
        let start = match self.counted_from {
            CountedFrom::Iat => iat,
            CountedFrom::Now => unix,
        };
        let wanted = self.ttl.map(|ttl| start.saturating_add(ttl));
        let exp = wanted.map(|exp| session_end.map_or(exp, |end| exp.min(end)));
        let ttl = exp.map(|exp| exp.saturating_sub(start));
        if exp.is_some_and(|exp| exp <= unix) || ttl.is_some_and(|ttl| ttl < self.shortest) {
            return Err(MintError::SessionExpired(
                format!("the session ends too soon: the token must live {} s", self.shortest)
                    .into(),
            ));
        }
        Ok(Times { now: unix, now_ms: now.unix_ms(), iat, exp, ttl })
    }

    /// When a token ends and until when it may be handed out again. `issued_until`
    /// is the end a remote issuer gave it.
    pub(super) fn ends(
        &self,
        times: &Times,
        issued_until: Option<u64>,
        identity: &Identity,
    ) -> (u64, u64) {
        let end =
            issued_until.or(times.exp).unwrap_or_else(|| times.now.saturating_add(WITHOUT_END));
        // A session about to end shortens the life.
        let session_end = identity.expires_at().unwrap_or(u64::MAX);
        let life = end.min(session_end).saturating_sub(times.now);
        let usable = end.saturating_sub(self.min_left.seconds_of(life));
        (end.min(session_end), usable.min(session_end))
    }

    /// The lifetime of the same token in a session without an end, if this session's end
    /// cut it short.
    pub(super) fn uncut(
        &self,
        times: &Times,
        issued_until: Option<u64>,
        identity: &Identity,
    ) -> Option<u64> {
        let session_end = identity.expires_at()?;
        let start = match self.counted_from {
            CountedFrom::Iat => times.iat,
            CountedFrom::Now => times.now,
        };
        let wanted = self.ttl.map(|ttl| start.saturating_add(ttl));
        // An issuer that is asked for a token until the session's end cannot give more.
        let issued = issued_until.filter(|end| *end < session_end || wanted.is_none());
        let end = issued.or(wanted).unwrap_or_else(|| times.now.saturating_add(WITHOUT_END));
        (end > session_end).then(|| end.saturating_sub(times.now))
    }
}

impl MinLeft {
    /// At most half the lifetime, or no token would ever be handed out again.
    fn seconds_of(self, life: u64) -> u64 {
        let wanted = match self {
            Self::Default => (life / 5).clamp(10, 300),
            Self::Percent(percent) => life.saturating_mul(percent) / 100,
            Self::Seconds(seconds) => seconds,
        };
        wanted.min(life / 2)
    }
}

fn check_bounds(at: &At<'_>, ttl: u64, shortest: u64, longest: u64) {
    if ttl < shortest {
        at.wrong(&format!("at least {shortest} s; the issuer accepts no shorter lifetime"));
    }
    if ttl > longest {
        at.wrong(&format!("at most {longest} s; the issuer accepts no longer lifetime"));
    }
}

fn seconds_of(members: &mut LayeredTable<'_, '_, '_>, key: &'static str) -> Option<u64> {
    members.take(key).as_ref().and_then(seconds)
}

fn seconds(at: &At<'_>) -> Option<u64> {
    let duration = Duration::read(at)?;
    if duration.subsec_nanos() != 0 || duration.is_zero() {
        at.wrong("whole seconds, at least 1");
        return None;
    }
    Some(duration.as_secs())
}

impl FromNode for CountedFrom {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""now" or "iat""#;
        match at.text(EXPECTED)? {
            "iat" => Some(Self::Iat),
            "now" => Some(Self::Now),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

impl FromNode for MinLeft {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"a duration such as "30s", or a share of the lifetime such as "50%""#;
        let text = at.text(EXPECTED)?;
        let read = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|&percent| percent <= 100).map(Self::Percent)
            }
            None => units::duration(text).ok().map(|left| Self::Seconds(left.as_secs())),
        };
        if read.is_none() {
            at.wrong(EXPECTED);
        }
        read
    }
}
