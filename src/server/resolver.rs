//! Looks up the addresses of the app's servers in the background.
//!
//! A separate thread asks the resolver, which may take its time; requests use the last
//! good answer.

use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::state::State;

const EVERY: Duration = Duration::from_secs(10);
/// Pause while a name has no address.
const SOON: Duration = Duration::from_secs(1);
/// Longest wait of the start for the first answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks names up now, and again from time to time. Returns when the first
/// answers are there, or are late.
pub(super) fn keep_resolved(state: &Arc<State>) {
    let (done, first) = mpsc::channel();
    let state = Arc::downgrade(state);
    let spawned =
        std::thread::Builder::new().name("resolver".into()).spawn(move || watch(&state, &done));
    match spawned {
        Ok(_) => drop(first.recv_timeout(PATIENCE)),
        Err(error) => tracing::error!(%error, "the names of upstreams cannot be resolved"),
    }
}

fn watch(state: &Weak<State>, done: &mpsc::Sender<()>) {
    let mut failing: Vec<(String, String)> = Vec::new();
    while let Some(state) = state.upgrade() {
        let mut failed = Vec::new();
        for upstream in &state.policy().upstreams {
            let unresolved = state.pools.of(upstream).resolve().into_iter();
            failed.extend(unresolved.map(|host| (upstream.name.clone(), host)));
        }
        // Logged once, not every ten seconds.
        for (upstream, host) in failed.iter().filter(|which| !failing.contains(which)) {
            tracing::warn!(
                upstream,
                host,
                "the name cannot be resolved; keeping the previous addresses"
            );
        }
        failing = failed;
        drop(state);
        // Only the first round has a waiter.
        let _ = done.send(());
        std::thread::sleep(if failing.is_empty() { EVERY } else { SOON });
    }
}
