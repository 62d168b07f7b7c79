//! `limit`: one rate, several that must all admit, or a table that also says what happens
//! where replicas share it.
//!
//! ```toml
//! limit = "30/minute"
//! limit = { rates = ["5/s", "100/minute"], on_error = "deny", lease = "10%" }
//! ```

use std::time::Duration;

use crate::base::units::Rate;
use crate::document::{At, FromNode as _, OneOrMany, Value};
use crate::limit::{Limit, MAX_RATES, OnError, Sharing};

/// Shortest window of a rate with a lease, because a lease is valid for a second.
const SHORTEST_LEASED: Duration = Duration::from_secs(10);

/// The kind of rule that a limit belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Route,
    Token,
}

pub(super) fn read(name: &str, limited: Limited, at: &At<'_>) -> Option<Limit> {
    if !matches!(at.node.value, Value::Table(_)) {
        return Some(Limit::new(name, &read_rates(at)?));
    }
    let mut table = at.table()?;
    let rates = table.take_needed("rates", r#"rates = "30/minute""#);
    let rates = rates.and_then(|at| read_rates(&at));
    let on_error = table.take("on_error").and_then(|at| read_on_error(limited, &at));
    let lease = table.take("lease");
    table.finish();
    let rates = rates?;
    let lease = lease.and_then(|at| read_lease(&rates, &at));
    Some(Limit::new(name, &rates).shared_as(Sharing { on_error, lease }))
}

fn read_rates(at: &At<'_>) -> Option<Vec<Rate>> {
    let OneOrMany(rates) = OneOrMany::<Rate>::read(at)?;
    if rates.is_empty() || rates.len() > MAX_RATES {
        at.problem(format!("found {} rates, expected between one and {MAX_RATES}", rates.len()));
        return None;
    }
    Some(rates)
}

fn read_on_error(limited: Limited, at: &At<'_>) -> Option<OnError> {
    let chosen = at.choose(&[
        ("local", OnError::Local),
        ("deny", OnError::Deny),
        ("allow", OnError::Allow),
    ])?;
    if (chosen, limited) == (OnError::Allow, Limited::Token) {
        at.problem(
            "found \"allow\", which is for routes: tokens would be handed out without a limit; \
             write \"local\" or \"deny\"",
        );
        return None;
    }
    Some(chosen)
}

/// A part of every rate, in percent.
fn read_lease(rates: &[Rate], at: &At<'_>) -> Option<u8> {
    const EXPECTED: &str = r#"a part of the rates such as "10%", from "1%" to "50%""#;
    let percent = at.text(EXPECTED)?.strip_suffix('%');
    let percent = percent.and_then(|number| number.trim().parse::<u8>().ok());
    let Some(percent) = percent.filter(|percent| (1..=50).contains(percent)) else {
        at.wrong(EXPECTED);
        return None;
    };
    let too_small = |rate: &&Rate| {
        rate.window < SHORTEST_LEASED || u64::from(rate.count.get()) * u64::from(percent) < 200
    };
    if let Some(rate) = rates.iter().find(too_small) {
        at.problem(format!(
            "found {percent}% of {} in {:?}: a lease is at least two admissions of a rate over 10s or \
             longer; leave `lease` out, and every request asks the store",
            rate.count, rate.window
        ));
        return None;
    }
    Some(percent)
}
