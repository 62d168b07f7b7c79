//! The findings of comparisons since the settings were read: counts for each token, and each
//! difference once. Bounded, and told to the log when something is new.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::difference::{Difference, DifferenceKind, Skipped};
use crate::base::clock::Now;
use crate::base::lock::Lock;
use crate::observe::{Event, ShadowResult, Telemetry, TokenEvent};

/// Most comparisons at a time: each holds two answers.
const MOST_AT_ONCE: usize = 64;
/// Most different differences of one token.
const MOST_KNOWN: usize = 50;

/// The findings of all tokens.
#[derive(Default)]
pub(crate) struct Shadows {
    tokens: Lock<BTreeMap<String, Tally>>,
    running: AtomicUsize,
}

/// The findings of one token.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) same: u64,
    pub(crate) different: u64,
    pub(crate) skipped: u64,
    pub(crate) last_skipped: Option<Skipped>,
    /// By kind and place.
    pub(crate) known: BTreeMap<(DifferenceKind, String), KnownDifference>,
}

/// A difference as it was found last, and how often.
#[derive(Clone, Default)]
pub(crate) struct KnownDifference {
    pub(crate) app: String,
    pub(crate) gateway: String,
    pub(crate) count: u64,
    /// Seconds since the epoch.
    pub(crate) last_at: u64,
}

/// A place among those that compare, until dropped.
pub(crate) struct ComparisonPermit<'s>(&'s AtomicUsize);

impl Drop for ComparisonPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shadows {
    /// A place to compare, unless too many do.
    pub(crate) fn enter(&self) -> Option<ComparisonPermit<'_>> {
        let before = self.running.fetch_add(1, Ordering::SeqCst);
        let permit = ComparisonPermit(&self.running);
        (before < MOST_AT_ONCE).then_some(permit)
    }

    /// Counts a comparison, and says what is new in it.
    pub(crate) fn record(
        &self,
        telemetry: &Telemetry,
        token: &str,
        found: &Result<Vec<Difference>, Skipped>,
        now: Now,
    ) {
        let result = match found {
            Ok(found) if found.is_empty() => ShadowResult::Same,
            Ok(_) => ShadowResult::Different,
            Err(_) => ShadowResult::Skipped,
        };
        telemetry.emit(Event::Token(TokenEvent::Compared { token, result }));
        for Difference { kind, .. } in found.iter().flatten() {
            telemetry.emit(Event::Token(TokenEvent::Differs { token, kind: *kind }));
        }
        let new = {
            let mut tokens = self.tokens.lock();
            tokens.entry(token.to_owned()).or_default().add(found, now)
        };
        if new.is_first_same {
            tracing::info!(token, "shadow: the app and the gateway give the same answer");
        }
        for Difference { kind, at, app, gateway } in &new.differences {
            let kind = kind.as_str();
            tracing::warn!(token, kind, at, app, gateway, "shadow: the answers differ");
        }
    }

    /// The findings of a token.
    pub(crate) fn of(&self, token: &str) -> Tally {
        self.tokens.lock().get(token).cloned().unwrap_or_default()
    }

    /// Forgets everything: the settings have changed, perhaps for what was found.
    pub(crate) fn forget(&self) {
        self.tokens.lock().clear();
    }
}

/// Findings the log has not been told yet.
#[derive(Default)]
struct New {
    is_first_same: bool,
    differences: Vec<Difference>,
}

impl Tally {
    fn add(&mut self, found: &Result<Vec<Difference>, Skipped>, now: Now) -> New {
        let mut new = New::default();
        match found {
            Err(skipped) => {
                self.skipped += 1;
                self.last_skipped = Some(*skipped);
            }
            Ok(found) if found.is_empty() => {
                self.same += 1;
                new.is_first_same = self.same == 1;
            }
            Ok(found) => {
                self.different += 1;
                new.differences = found.iter().filter(|it| self.note(it, now)).cloned().collect();
            }
        }
        new
    }

    /// Counts a difference; whether it is a new one.
    fn note(&mut self, difference: &Difference, now: Now) -> bool {
        let key = (difference.kind, difference.at.clone());
        let is_new = !self.known.contains_key(&key);
        if is_new && self.known.len() >= MOST_KNOWN {
            return false;
        }
        let count = self.known.get(&key).map_or(0, |known| known.count) + 1;
        let (app, gateway) = (difference.app.clone(), difference.gateway.clone());
        self.known.insert(key, KnownDifference { app, gateway, count, last_at: now.unix() });
        is_new
    }
}
