//! Counts of half a minute.

use super::histogram::Histogram;
use crate::observe::event::{CachedOrMinted, CallResult, Line, Outcome};

/// Most names of routes, tokens and upstreams that are counted separately; later ones are
/// counted together under `OTHERS`.
const MOST_NAMES: usize = 64;
/// Most reasons of one route.
const MOST_REASONS: usize = 16;
const OTHERS: &str = "others";

/// Counts by name, in the order in which the names came. Few, so a list is fastest.
#[derive(Clone)]
pub(crate) struct CountsByName<T>(Vec<(Box<str>, T)>);

impl<T> Default for CountsByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> CountsByName<T> {
    #[expect(clippy::indexing_slicing, reason = "the entry was found or pushed just before")]
    fn of(&mut self, name: &str) -> &mut T {
        let name = if self.0.len() < MOST_NAMES { name } else { self.known(name) };
        let known = self.0.iter().position(|(known, _)| **known == *name);
        let index = known.unwrap_or_else(|| {
            self.0.push((name.into(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    fn known<'n>(&self, name: &'n str) -> &'n str {
        if self.0.iter().any(|(known, _)| **known == *name) { name } else { OTHERS }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, counts)| (&**name, counts))
    }
}

#[derive(Clone, Default)]
pub(crate) struct Slot {
    /// Half minutes since the epoch.
    pub(super) number: u64,
    pub(crate) routes: CountsByName<RouteCounts>,
    pub(crate) tokens: CountsByName<TokenCounts>,
    pub(crate) upstreams: CountsByName<UpstreamCounts>,
    /// Durations of forwarded requests, and of token requests.
    pub(crate) forwarded: Histogram,
    pub(crate) issued: Histogram,
}

#[derive(Clone, Default)]
pub(crate) struct RouteCounts {
    pub(crate) requests: u32,
    pub(crate) refused: u32,
    /// Refused by a limit.
    pub(crate) limited: u32,
    pub(crate) reasons: Vec<ReasonCount>,
}

/// Refusals of one route for one reason.
#[derive(Clone)]
pub(crate) struct ReasonCount {
    pub(crate) code: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) count: u32,
    pub(crate) last_ms: u64,
}

#[derive(Clone, Default)]
pub(crate) struct TokenCounts {
    pub(crate) minted: u32,
    pub(crate) cached: u32,
    /// Calls to a remote issuer.
    pub(crate) answered: u32,
    pub(crate) failed: u32,
}

#[derive(Clone, Default)]
pub(crate) struct UpstreamCounts {
    pub(crate) failed: u32,
    pub(crate) ejected: u32,
}

impl Slot {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn ended(&mut self, line: &Line<'_>) {
        let route = self.routes.of(line.route);
        route.requests += 1;
        match line.outcome {
            Outcome::Refused => {
                route.refused += 1;
                let code = line.code.map_or("", |code| code.as_str());
                route.refuse(ReasonCount {
                    code,
                    reason: line.reason,
                    count: 1,
                    last_ms: line.unix_ms,
                });
            }
            Outcome::Forwarded => self.forwarded.add(line.took),
            Outcome::Issued => self.issued.add(line.took),
            Outcome::Aborted | Outcome::Answered => {}
        }
    }

    pub(super) fn limited(&mut self, route: &str) {
        self.routes.of(route).limited += 1;
    }

    pub(super) fn token(&mut self, token: &str, origin: CachedOrMinted) {
        let counts = self.tokens.of(token);
        match origin {
            CachedOrMinted::Cached => counts.cached += 1,
            CachedOrMinted::Minted => counts.minted += 1,
        }
    }

    pub(super) fn called(&mut self, token: &str, result: CallResult) {
        let counts = self.tokens.of(token);
        match result {
            CallResult::Answered => counts.answered += 1,
            CallResult::Failed => counts.failed += 1,
        }
    }

    pub(super) fn upstream(&mut self, name: &str) -> &mut UpstreamCounts {
        self.upstreams.of(name)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, more) in other.routes.iter() {
            let route = self.routes.of(name);
            route.requests += more.requests;
            route.refused += more.refused;
            route.limited += more.limited;
            more.reasons.iter().for_each(|reason| route.refuse(reason.clone()));
        }
        for (name, more) in other.tokens.iter() {
            let token = self.tokens.of(name);
            token.minted += more.minted;
            token.cached += more.cached;
            token.answered += more.answered;
            token.failed += more.failed;
        }
        for (name, more) in other.upstreams.iter() {
            let upstream = self.upstreams.of(name);
            upstream.failed += more.failed;
            upstream.ejected += more.ejected;
        }
        self.forwarded.merge(&other.forwarded);
        self.issued.merge(&other.issued);
    }

    /// Half minutes since the epoch.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl RouteCounts {
    fn refuse(&mut self, more: ReasonCount) {
        let has_room = self.reasons.len() < MOST_REASONS;
        let is_it = |it: &&mut ReasonCount| (it.code, it.reason) == (more.code, more.reason);
        match self.reasons.iter_mut().find(is_it) {
            Some(known) => {
                known.count += more.count;
                known.last_ms = known.last_ms.max(more.last_ms);
            }
            None if has_room => self.reasons.push(more),
            None => {}
        }
    }
}
