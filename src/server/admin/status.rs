//! `GET /status`: everything a person on call asks, as one JSON document.
//!
//! Its members are described by `status.schema.json`, which is served beside it. No
//! secret, cookie, token or user id is in it. A member may be added; `version` changes
//! when one changes its meaning or goes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::history;
use super::refusals;
use super::shadow;
use crate::base::build;
use crate::base::clock::Now;
use crate::base::text::span;
use crate::observe::{
    self, CircuitState, Gauges, RouteCounts, STEP_SECONDS, ServerGauge, Slot, Snapshot,
};
use crate::policy::{Policy, TokenRoute};
use crate::state::{State, key_name};
use crate::upstream::EndpointState;

pub(super) const SCHEMA: &str = include_str!("status.schema.json");
/// Of the document's form.
const VERSION: u64 = 1;
/// The period of the percentiles, in seconds.
const RECENTLY: u64 = 300;
const DAY: u64 = 24 * 60 * 60;
/// Certificates are renewed a month before their end.
const SOON: u64 = 14 * DAY;

pub(super) async fn status(state: &State) -> String {
    let now = state.clock.now();
    let Some(snapshot) = state.telemetry.recent().snapshot(now) else {
        return "{}\n".to_owned();
    };
    let (policy, gauges) = (state.policy(), state.gauges());
    let missing = state.unready().await;
    let mut hour = Slot::default();
    snapshot.slots.iter().for_each(|slot| hour.merge(slot));
    let document = json!({
        "version": VERSION,
        "at": now.unix(),
        "program": program(&snapshot, now),
        "ready": { "ready": state.is_ready() && missing.is_empty(), "stopping": !state.is_ready(), "missing": missing },
        "attention": attention(&gauges, &snapshot, &hour, shadow::attention(state, &policy)),
        "requests": requests(&hour, &gauges),
        "latency": latency(&snapshot, now),
        "refusals": refusals::rows(&hour),
        "limits": limits(&hour),
        "tokens": tokens(state, &policy, &hour, &gauges, &snapshot),
        "cache": cache(&hour, &gauges),
        "upstreams": upstreams(&gauges, &hour),
        "certificates": certificates(&gauges, now),
        "reloads": reloads(&snapshot),
        "shared": shared(&gauges),
        "sessions": {
            "remembered": gauges.sessions.0,
            "verified": gauges.sessions.1,
            "remembered_ratio": ratio(gauges.sessions.0, gauges.sessions.1),
            "store_errors": gauges.session_errors,
            "held_back": gauges.questions_held_back,
            "revocations_in_force": state.identifier.revoked.any(),
            "revocations_not_written": gauges.unkept_revocations,
        },
        "log": {
            "level": observe::level().map(|level| level.as_str().to_lowercase()),
            "lines_dropped": gauges.access_lines_dropped,
            "spans_sent": gauges.spans_sent,
            "spans_dropped": gauges.spans_dropped,
        },
        "audit": { "on": state.telemetry.audits(), "failures": gauges.audit_failures },
        "history": history::history(&snapshot.slots, now),
    });
    document.to_string() + "\n"
}

fn program(snapshot: &Snapshot, now: Now) -> Value {
    json!({
        "version": build::VERSION,
        "commit": build::COMMIT,
        "features": build::FEATURES,
        "started_at": snapshot.started.unix(),
        "uptime_seconds": now.since(snapshot.started).as_secs(),
    })
}

/// Things to look at, a sentence each, the worst first.
fn attention(
    gauges: &Gauges,
    snapshot: &Snapshot,
    hour: &Slot,
    shadows: Vec<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    let down = gauges.servers.iter().filter(|server| server.state != EndpointState::Up);
    found.extend(down.map(|server| {
        format!("{} of {} is {}", server.server, upstream(&server.upstream), state_of(server.state))
    }));
    let open = gauges.circuits.iter().filter(|(_, state)| *state != CircuitState::Closed);
    found.extend(open.map(|(token, _)| {
        format!("the vendor of token {token} does not answer; calls are paused")
    }));
    if !snapshot.reloads.problems.is_empty() {
        found.push("the last reload was refused: the settings before it are in force".to_owned());
    }
    let soon = gauges.certificates.iter().filter(|(_, left)| *left < SOON as f64);
    found.extend(soon.map(|(name, left)| {
        let left = Duration::try_from_secs_f64(*left).unwrap_or_default();
        format!("the certificate {name} ends in {}", span(left.as_secs()))
    }));
    if gauges.audit_failures > 0 {
        found.push(format!("lines of the audit log not written: {}", gauges.audit_failures));
    }
    if gauges.unkept_revocations > 0 {
        found.push("revocations were written to their file only after a retry".to_owned());
    }
    if gauges.shared.as_ref().is_some_and(|shared| shared.is_resting) {
        found.push("the shared store does not answer; calls to it are paused".to_owned());
    }
    if gauges.spans_dropped > 0 {
        found.push(format!("spans that the collector did not accept: {}", gauges.spans_dropped));
    }
    if gauges.access_lines_dropped > 0 {
        found.push(format!("lines of the access log dropped: {}", gauges.access_lines_dropped));
    }
    if gauges.session_errors > 0 {
        found
            .push(format!("queries that session stores did not answer: {}", gauges.session_errors));
    }
    let failing = hour.upstreams.iter().filter(|(_, counts)| counts.failed > 0);
    found.extend(failing.map(|(name, counts)| {
        format!("{}: connections failed in the last hour: {}", upstream(name), counts.failed)
    }));
    found.extend(shadows);
    found
}

fn requests(hour: &Slot, gauges: &Gauges) -> Value {
    let routes: Vec<_> = hour
        .routes
        .iter()
        .map(|(name, counts)| json!({ "route": name, "requests": counts.requests, "refused": counts.refused }))
        .collect();
    let sum = |count: fn(&RouteCounts) -> u32| -> u64 {
        hour.routes.iter().map(|(_, counts)| u64::from(count(counts))).sum()
    };
    json!({
        "last_hour": sum(|counts| counts.requests),
        "refused_last_hour": sum(|counts| counts.refused),
        "in_flight": gauges.in_flight,
        "connections": gauges.connections,
        "routes": routes,
    })
}

fn latency(snapshot: &Snapshot, now: Now) -> Value {
    let mut recent = Slot::default();
    let oldest = now.unix().saturating_sub(RECENTLY) / STEP_SECONDS;
    snapshot
        .slots
        .iter()
        .filter(|slot| slot.number() >= oldest)
        .for_each(|slot| recent.merge(slot));
    json!({
        "over_seconds": RECENTLY,
        "forwarded": history::percentiles(&recent.forwarded),
        "tokens": history::percentiles(&recent.issued),
    })
}

fn limits(hour: &Slot) -> Vec<Value> {
    let biting = hour.routes.iter().filter(|(_, counts)| counts.limited > 0);
    let mut rows: Vec<_> = biting.map(|(name, counts)| (counts.limited, name)).collect();
    rows.sort_by(|a, b| b.cmp(a));
    rows.iter()
        .map(|(refused, route)| json!({ "route": route, "refused_last_hour": refused }))
        .collect()
}

fn tokens(
    state: &State,
    policy: &Policy,
    hour: &Slot,
    gauges: &Gauges,
    snapshot: &Snapshot,
) -> Vec<Value> {
    let row = |token: &Arc<TokenRoute>| {
        let counts = hour.tokens.iter().find(|(name, _)| *name == token.name);
        let counts = counts.map(|(_, counts)| counts.clone()).unwrap_or_default();
        let circuit = gauges.circuits.iter().find(|(name, _)| *name == token.name);
        let calls = circuit.map(|(_, state)| {
            json!({ "state": circuit_of(*state), "answered_last_hour": counts.answered, "failed_last_hour": counts.failed })
        });
        json!({
            "token": token.name,
            "minted_last_hour": counts.minted,
            "cached_last_hour": counts.cached,
            "vendor": calls,
            "keys": keys(token, snapshot),
            "shadow": shadow::found(state, token),
        })
    };
    policy.tokens.iter().map(row).collect()
}

/// The first signs; the others only verify, or are published.
fn keys(token: &TokenRoute, snapshot: &Snapshot) -> Vec<Value> {
    let kids = token.minter.kids().iter().enumerate();
    kids.map(|(index, kid)| {
        let name = key_name(index, kid.as_deref());
        let since = snapshot.keys.get(&(token.name.clone(), name.clone()));
        json!({ "key": name, "signs": index == 0, "in_force_since": since })
    })
    .collect()
}

fn cache(hour: &Slot, gauges: &Gauges) -> Value {
    let sum = |count: fn(&(u32, u32)) -> u32| -> u64 {
        hour.tokens.iter().map(|(_, it)| u64::from(count(&(it.minted, it.cached)))).sum()
    };
    let (minted, cached) = (sum(|it| it.0), sum(|it| it.1));
    let ratio = ratio(cached, minted);
    json!({ "tokens": gauges.cached_tokens, "ratio_last_hour": ratio, "limit_buckets": gauges.buckets })
}

/// The part of `of` in both, if there are any.
fn ratio(of: u64, others: u64) -> Option<f64> {
    let all = of.saturating_add(others);
    (all > 0).then(|| of as f64 / all as f64)
}

/// The store that replicas share, if there is one.
fn shared(gauges: &Gauges) -> Option<Value> {
    let numbers = gauges.shared.as_ref()?;
    Some(json!({
        "state": if numbers.is_resting { "paused" } else { "asked" },
        "replicas": numbers.replicas,
        "calls": numbers.calls.iter().sum::<u64>(),
        "failures": numbers.failures,
        "admitted_uncounted": numbers.uncounted,
        "stream_lag_ms": numbers.stream_lag_ms,
    }))
}

fn upstreams(gauges: &Gauges, hour: &Slot) -> Vec<Value> {
    let row = |server: &ServerGauge| {
        let counts = hour.upstreams.iter().find(|(name, _)| *name == server.upstream);
        let (failed, ejected) =
            counts.map_or((0, 0), |(_, counts)| (counts.failed, counts.ejected));
        json!({
            "upstream": upstream(&server.upstream),
            "server": server.server,
            "state": state_of(server.state),
            "in_flight": server.in_use,
            "failed_last_hour": failed,
            "ejected_last_hour": ejected,
        })
    };
    gauges.servers.iter().map(row).collect()
}

fn certificates(gauges: &Gauges, now: Now) -> Vec<Value> {
    let row = |(name, left): &(String, f64)| json!({ "name": name, "expires_at": now.unix() as f64 + left, "days_left": (left / DAY as f64).floor() });
    gauges.certificates.iter().map(row).collect()
}

fn reloads(snapshot: &Snapshot) -> Value {
    let reloads = &snapshot.reloads;
    let last = (reloads.last_at > 0).then(|| {
        let result = if reloads.problems.is_empty() { "ok" } else { "refused" };
        json!({ "at": reloads.last_at, "result": result, "problems": reloads.problems })
    });
    json!({ "done": reloads.done, "refused": reloads.refused, "last": last })
}

fn upstream(name: &str) -> String {
    if name.is_empty() { "upstream".to_owned() } else { format!("upstream.{name}") }
}

const fn state_of(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Down => "down",
        EndpointState::Ejected => "ejected",
        EndpointState::Up => "up",
    }
}

const fn circuit_of(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "called",
        CircuitState::Open => "paused",
        CircuitState::Trying => "trying",
    }
}
