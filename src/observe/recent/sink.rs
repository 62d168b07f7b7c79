//! The sink: events in, a snapshot out.

use std::collections::BTreeMap;

use super::history::History;
use super::live::{Follow, Live};
use super::slot::Slot;
use crate::base::clock::{Clock, Now};
use crate::base::lock::Lock;
use crate::observe::event::{Event, ReloadResult, RequestEvent, TokenEvent, UpstreamEvent};
use crate::observe::shard::shard_of_thread;

/// Most problems of a refused reload that are shown.
const MOST_PROBLEMS: usize = 20;
/// Most keys whose age is known.
const MOST_KEYS: usize = 1024;

/// Keeps the last hour, or nothing.
#[derive(Default)]
pub(crate) struct Recent(Option<Kept>);

struct Kept {
    clock: Clock,
    started: Now,
    history: History,
    live: Live,
    reloads: Lock<Reloads>,
    /// When a key was first used in this process, by token and name.
    keys: Lock<BTreeMap<(String, String), u64>>,
}

/// Reloads since the process started, and the problems of the last one.
#[derive(Clone, Default)]
pub(crate) struct Reloads {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    /// Seconds since the epoch; zero if there was none.
    pub(crate) last_at: u64,
    pub(crate) problems: Vec<String>,
}

/// The counts, at one moment.
pub(crate) struct Snapshot {
    pub(crate) started: Now,
    /// The oldest first; half minutes without an event are missing.
    pub(crate) slots: Vec<Slot>,
    pub(crate) reloads: Reloads,
    pub(crate) keys: BTreeMap<(String, String), u64>,
}

impl Recent {
    pub(crate) fn new(clock: Clock) -> Self {
        let started = clock.now();
        let (history, live) = (History::default(), Live::default());
        let (reloads, keys) = (Lock::default(), Lock::default());
        Self(Some(Kept { clock, started, history, live, reloads, keys }))
    }

    /// A place to follow what happens from now on.
    pub(crate) fn follow(&self) -> Option<Follow> {
        Some(self.0.as_ref()?.live.follow())
    }

    pub(crate) fn snapshot(&self, now: Now) -> Option<Snapshot> {
        let kept = self.0.as_ref()?;
        Some(Snapshot {
            started: kept.started,
            slots: kept.history.slots(now.unix()),
            reloads: kept.reloads.lock().clone(),
            keys: kept.keys.lock().clone(),
        })
    }

    /// Notes which keys are in use; those that no longer are lose their age.
    pub(crate) fn note_keys(&self, keys: impl Iterator<Item = (String, String)>) {
        let Some(kept) = &self.0 else { return };
        let now = kept.clock.now().unix();
        let mut known = kept.keys.lock();
        let before = std::mem::take(&mut *known);
        let since = |key| (before.get(&key).copied().unwrap_or(now), key);
        known.extend(keys.take(MOST_KEYS).map(since).map(|(since, key)| (key, since)));
    }

    #[inline]
    pub(in crate::observe) fn record(&self, event: Event<'_>) {
        if let Some(kept) = &self.0 {
            kept.record(event);
        }
    }
}

impl Kept {
    fn record(&self, event: Event<'_>) {
        match event {
            Event::Request(RequestEvent::Ended(line)) => {
                self.live.ended(line);
                self.history.note(shard_of_thread(), line.unix_ms / 1000, |slot| slot.ended(line));
            }
            Event::Request(RequestEvent::Limited { route }) => {
                self.note(|slot| slot.limited(route))
            }
            Event::Token(TokenEvent::Issued { token, origin }) => {
                self.note(|slot| slot.token(token, origin));
            }
            Event::Token(TokenEvent::Called { token, result, took: _ }) => {
                self.note(|slot| slot.called(token, result));
            }
            Event::Upstream(UpstreamEvent::Failed { upstream }) => {
                self.note(|slot| slot.upstream(upstream).failed += 1);
            }
            Event::Upstream(UpstreamEvent::Ejected { upstream }) => {
                self.note(|slot| slot.upstream(upstream).ejected += 1);
            }
            Event::Reloaded { result, problems } => self.reloaded(result, problems),
            Event::Request(RequestEvent::Redirected { .. } | RequestEvent::Refused { .. })
            | Event::Token(
                TokenEvent::Compared { .. }
                | TokenEvent::Differs { .. }
                | TokenEvent::Minted { .. }
                | TokenEvent::Refused(_),
            )
            | Event::Upstream(UpstreamEvent::Probed { .. })
            | Event::Connection(_)
            | Event::Session(_)
            | Event::Step(_) => {}
        }
    }

    fn note(&self, note: impl FnOnce(&mut Slot)) {
        self.history.note(shard_of_thread(), self.clock.now().unix(), note);
    }

    fn reloaded(&self, result: ReloadResult, problems: &[String]) {
        let now = self.clock.now();
        let mut reloads = self.reloads.lock();
        match result {
            ReloadResult::Done => reloads.done += 1,
            ReloadResult::Refused => reloads.refused += 1,
        }
        reloads.last_at = now.unix();
        reloads.problems = problems.iter().take(MOST_PROBLEMS).cloned().collect();
        drop(reloads);
        self.live.reloaded(now.unix_ms(), result);
    }
}
