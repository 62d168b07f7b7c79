//! Keys that identity providers publish: fetched, refreshed, and never fetched more
//! often than the providers want.
//!
//! One task per address fetches it at start and again when its `Cache-Control` says
//! so, within bounds. A token signed with an unknown key triggers an earlier fetch, but
//! at most one per `COOLDOWN`, however many such tokens arrive. If a fetch fails, the
//! known keys stay in use. While there are none, because the provider starts later than
//! the gateway, it is asked more often. A task ends when no source of the policy uses its
//! address.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::base::clock::{Clock, Now};
use crate::base::lock::Lock;
use crate::outbound::{Call, Outbound, Url};
use crate::policy::Policy;

/// Shortest time between two fetches for unknown keys.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Longest time that a request waits for the fetch it triggered.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bounds for a provider's `max-age`, and the value without one.
const FRESH_AT_LEAST: Duration = Duration::from_secs(60);
const FRESH_AT_MOST: Duration = Duration::from_secs(24 * 3600);
const FRESH_USUALLY: Duration = Duration::from_secs(600);
/// After a failure: the first pause, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);
/// While no keys are known, nobody is signed in: then these replace `COOLDOWN` and
/// `RETRY_LAST`.
const KEYLESS_COOLDOWN: Duration = Duration::from_secs(1);
const KEYLESS_RETRY_LAST: Duration = Duration::from_secs(5);

/// Returns the policy in force while the process has one.
pub(crate) type CurrentPolicy = Arc<dyn Fn() -> Option<Arc<Policy>> + Send + Sync>;

/// All published keys of the process.
pub struct RemoteKeySets {
    outbound: Outbound,
    runtime: Handle,
    clock: Clock,
    published: Lock<HashMap<String, Arc<KeySet>>>,
}

/// One address that publishes keys.
struct KeySet {
    state: Lock<State>,
    /// Counts finished fetches.
    fetched: watch::Sender<u64>,
    wanted: Notify,
}

#[derive(Default)]
struct State {
    document: Option<Bytes>,
    last_begun: Option<Now>,
    in_flight: bool,
    problem: Option<String>,
}

impl RemoteKeySets {
    pub fn new(outbound: Outbound, runtime: Handle, clock: Clock) -> Self {
        Self { outbound, runtime, clock, published: Lock::default() }
    }

    /// Gives a policy that is not in force yet the known keys, so that no request waits
    /// after a reload.
    pub fn supply(&self, policy: &Policy) {
        let published = self.published.lock();
        for keys in policy.sources.iter().filter_map(|source| source.remote_keys()) {
            let known =
                published.get(keys.url()).and_then(|place| place.state.lock().document.clone());
            if let Some(document) = known {
                // The document was valid for the previous policy; this one may differ.
                let _ = keys.supply(&document);
            }
        }
    }

    /// Starts a task for each address of the policy that has none.
    pub fn watch(self: &Arc<Self>, current: &CurrentPolicy) {
        let Some(policy) = current() else { return };
        for keys in policy.sources.iter().filter_map(|source| source.remote_keys()) {
            let mut published = self.published.lock();
            if published.contains_key(keys.url()) {
                continue;
            }
            // The task's first fetch counts from now on.
            let begun = State { in_flight: true, ..State::default() };
            let place = Arc::new(KeySet {
                state: Lock::new(begun),
                fetched: watch::Sender::new(0),
                wanted: Notify::new(),
            });
            published.insert(keys.url().to_owned(), place.clone());
            let (all, url) = (self.clone(), keys.url().to_owned());
            self.runtime.spawn(all.keep_fresh(url, place, current.clone()));
        }
    }

    /// For a token that names an unknown key, or before the first fetch: fetches again,
    /// unless a fetch was recent. True if a fetch has ended since, so that a second look
    /// may succeed.
    pub async fn refresh(&self, url: &str) -> bool {
        let Some(place) = self.published.lock().get(url).cloned() else { return false };
        let now = self.clock.now();
        let mut fetched = place.fetched.subscribe();
        {
            let mut state = place.state.lock();
            let cooldown = if state.document.is_some() { COOLDOWN } else { KEYLESS_COOLDOWN };
            let recent = state.last_begun.is_some_and(|last| now.since(last) < cooldown);
            if !state.in_flight {
                if recent {
                    return false;
                }
                state.in_flight = true;
                state.last_begun = Some(now);
                place.wanted.notify_one();
            }
        }
        tokio::time::timeout(PATIENCE, fetched.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    /// Why the keys of this address are missing, for `/readyz`.
    pub fn problem(&self, url: &str) -> Option<String> {
        self.published.lock().get(url).and_then(|place| place.state.lock().problem.clone())
    }

    async fn keep_fresh(self: Arc<Self>, url: String, place: Arc<KeySet>, current: CurrentPolicy) {
        let mut pause = RETRY_FIRST;
        loop {
            {
                let mut state = place.state.lock();
                state.in_flight = true;
                state.last_begun = Some(self.clock.now());
            }
            let fetched = fetch(&self.outbound, &url).await;
            let Some(policy) = current().filter(|policy| uses(policy, &url)) else { break };
            let outcome = fetched.and_then(|(document, fresh)| {
                supply_all(&policy, &url, &document)?;
                Ok((document, fresh))
            });
            let wait = {
                let mut state = place.state.lock();
                state.in_flight = false;
                match outcome {
                    Ok((document, fresh)) => {
                        state.document = Some(document);
                        state.problem = None;
                        pause = RETRY_FIRST;
                        fresh
                    }
                    Err(problem) => {
                        tracing::warn!(%url, %problem, "published keys were not refreshed");
                        state.problem = Some(problem);
                        let keyless = state.document.is_none();
                        let longest = if keyless { KEYLESS_RETRY_LAST } else { RETRY_LAST };
                        let wait = pause.min(longest);
                        pause = (pause * 2).min(RETRY_LAST);
                        wait
                    }
                }
            };
            drop(policy);
            place.fetched.send_modify(|count| *count += 1);
            // Due or wanted: either way, fetch again.
            let _ = tokio::time::timeout(wait, place.wanted.notified()).await;
        }
        self.published.lock().remove(&url);
    }
}

fn uses(policy: &Policy, url: &str) -> bool {
    policy.sources.iter().any(|source| source.remote_keys().is_some_and(|keys| keys.url() == url))
}

fn supply_all(policy: &Policy, url: &str, document: &[u8]) -> Result<(), String> {
    let keys = policy.sources.iter().filter_map(|source| source.remote_keys());
    for keys in keys.filter(|keys| keys.url() == url) {
        keys.supply(document)?;
    }
    Ok(())
}

/// The document, and the time for which it is fresh.
pub(crate) async fn fetch(outbound: &Outbound, url: &str) -> Result<(Bytes, Duration), String> {
    let url = Url::parse(url).ok_or("the address is not a usable URL")?;
    let answer = outbound.send(&Call::get(url)).await.map_err(|error| error.to_string())?;
    // 203 is a 200 that a proxy has changed on its way.
    if ![StatusCode::OK, StatusCode::NON_AUTHORITATIVE_INFORMATION].contains(&answer.status) {
        return Err(format!("the server answered with status {}", answer.status.as_u16()));
    }
    Ok((answer.body, freshness(&answer.headers)))
}

/// `max-age` of RFC 9111 section 5.2.2.1, within our bounds.
fn freshness(headers: &HeaderMap) -> Duration {
    let mut directives = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let seconds = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())?
    });
    let age: u64 = headers
        .get(header::AGE)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_default();
    seconds.map_or(FRESH_USUALLY, |seconds: u64| {
        Duration::from_secs(seconds.saturating_sub(age)).clamp(FRESH_AT_LEAST, FRESH_AT_MOST)
    })
}

#[cfg(test)]
mod tests;
