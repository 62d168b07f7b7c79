//! The last hour as columns, one number per half minute, for charts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::base::clock::Now;
use crate::observe::{Histogram, RouteCounts, STEP_SECONDS, Slot, TokenCounts};

const POINTS: u64 = 3600 / STEP_SECONDS;

pub(super) fn history(slots: &[Slot], now: Now) -> Value {
    let first = (now.unix() / STEP_SECONDS).saturating_sub(POINTS - 1);
    let points: Vec<Option<&Slot>> = (first..first + POINTS)
        .map(|number| slots.iter().find(|slot| slot.number() == number))
        .collect();
    let routes = names(slots, |slot| slot.routes.iter().map(|(name, _)| name.to_owned()).collect());
    let tokens = names(slots, |slot| slot.tokens.iter().map(|(name, _)| name.to_owned()).collect());
    let route = |name: &String| {
        let column = |count: fn(&RouteCounts) -> u32| -> Vec<u32> {
            let of =
                |slot: &Slot| slot.routes.iter().find(|(it, _)| it == name).map(|(_, c)| count(c));
            points.iter().map(|slot| slot.and_then(of).unwrap_or(0)).collect()
        };
        json!({
            "route": name,
            "requests": column(|counts| counts.requests),
            "refused": column(|counts| counts.refused),
            "limited": column(|counts| counts.limited),
        })
    };
    let token = |name: &String| {
        let column = |count: fn(&TokenCounts) -> u32| -> Vec<u32> {
            let of =
                |slot: &Slot| slot.tokens.iter().find(|(it, _)| it == name).map(|(_, c)| count(c));
            points.iter().map(|slot| slot.and_then(of).unwrap_or(0)).collect()
        };
        json!({ "token": name, "minted": column(|c| c.minted), "cached": column(|c| c.cached) })
    };
    let times = |of: fn(&Slot) -> &Histogram| -> Vec<Value> {
        points.iter().map(|slot| slot.map_or(Value::Null, |slot| percentiles(of(slot)))).collect()
    };
    json!({
        "from": first * STEP_SECONDS,
        "step_seconds": STEP_SECONDS,
        "routes": routes.iter().map(route).collect::<Vec<_>>(),
        "tokens": tokens.iter().map(token).collect::<Vec<_>>(),
        "forwarded": times(|slot| &slot.forwarded),
        "issued": times(|slot| &slot.issued),
    })
}

fn names(slots: &[Slot], of: impl Fn(&Slot) -> Vec<String>) -> BTreeSet<String> {
    slots.iter().flat_map(of).collect()
}

/// In milliseconds; null where nothing was measured.
pub(super) fn percentiles(histogram: &Histogram) -> Value {
    match histogram.count() {
        0 => Value::Null,
        count => json!({
            "count": count,
            "p50_ms": histogram.percentile(50.0),
            "p95_ms": histogram.percentile(95.0),
            "p99_ms": histogram.percentile(99.0),
        }),
    }
}
