//! Several gateways with one store.

use std::sync::{Arc, Barrier};

use crate::support::running::{Running, file_of};
use crate::support::{App, Conn, Gateway, Request, Setup, eventually, folder};

pub(crate) const PATH: &str = "/api/get-auth-token";

/// A busy machine may answer late; where everything has to be counted, it is waited for.
pub(crate) const PATIENT: &str = "timeout = \"5s\"";

/// The `[shared]` table for a store, with more lines.
pub(crate) fn shared(url: &str, more: &str) -> String {
    format!("[shared]\nredis = \"{url}\"\n{more}\n")
}

/// Gateways in this process, each with counters of its own.
pub(crate) fn replicas(count: usize, app: &App, token: &str, tables: &str) -> Vec<Gateway> {
    let start = |_| Setup::new(app).token(token).with(tables).start();
    let gateways: Vec<Gateway> = (0..count).map(start).collect();
    all_are_seen(&gateways);
    gateways
}

/// Gateways in processes of their own; `more` are lines of `[shared]`, `tables` more tables.
pub(crate) fn processes(
    count: usize,
    app: &App,
    token: &str,
    url: &str,
    more: &str,
    tables: &str,
) -> Vec<Running> {
    let setup = Setup::new(app).token(token).with(&shared("URL", more)).with(tables);
    let text = file_of(&setup).replace("\"URL\"", "\"env:SHARED\"");
    let start = |_| Running::start_as(&folder().join("gateway.toml"), &text, &[("SHARED", url)]);
    (0..count).map(start).collect()
}

/// A number of a process, summed over its labels.
pub(crate) fn number(gateway: &Running, name: &str) -> u64 {
    let metrics = gateway.admin("/metrics").1;
    let values = metrics.lines().filter_map(|line| line.strip_prefix(name));
    values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Admissions of a process that the store has not counted.
pub(crate) fn uncounted(gateway: &Running) -> u64 {
    number(gateway, "portcullis_shared_uncounted_total ")
}

/// Waits until every replica knows of all.
pub(crate) fn all_are_seen(gateways: &[Gateway]) {
    let count = u64::try_from(gateways.len()).unwrap();
    for gateway in gateways {
        eventually("every replica is seen", || {
            gateway.metric("portcullis_shared_replicas ") == count
        });
    }
}

/// The statuses of requests sent to all addresses at once: `connections` to each, with so
/// many `turns`.
pub(crate) fn at_once(
    addresses: &[String],
    request: &Request,
    connections: usize,
    turns: usize,
) -> Vec<u16> {
    let start = Arc::new(Barrier::new(addresses.len() * connections));
    let mut threads = Vec::new();
    for address in addresses {
        for _ in 0..connections {
            let (start, request) = (start.clone(), request.clone());
            let mut conn = Conn::open(address);
            threads.push(std::thread::spawn(move || {
                start.wait();
                (0..turns).map(|_| conn.ask(&request).status).collect::<Vec<_>>()
            }));
        }
    }
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

pub(crate) fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}
