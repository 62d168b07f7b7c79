//! While the store is away, each replica admits its part of a limit, whatever came before.

use super::replicas::{PATH, at_once, count, replicas, shared};
use crate::servers::{Server, redis};
use crate::support::{App, Gateway, Setup, get};

const LIMIT: &str = "limit = \"30/hour\"";

fn three(app: &App, server: &Server) -> Vec<Gateway> {
    replicas(3, app, LIMIT, &shared(&server.url("redis"), ""))
}

/// The store is away: each replica admits a third, and one more.
fn assert_parts(gateways: &[Gateway], user: &str) {
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let statuses = at_once(&addresses, &get(PATH).user(user), 5, 10);
    let admitted = count(&statuses, 200);
    assert!((20..=33).contains(&admitted), "{admitted} for {user}");
}

#[test]
fn a_second_outage_gives_nobody_a_larger_part() {
    let (app, mut server) = (App::start(), redis(""));
    let gateways = three(&app, &server);
    server.kill();
    assert_parts(&gateways, "ada");
    // It comes back empty.
    server.resume_after_kill();
    gateways.iter().for_each(|gateway| gateway.counts("portcullis_shared_breaker ", 0));
    server.kill();
    assert_parts(&gateways, "bob");
}

#[test]
fn a_reload_in_an_outage_gives_nobody_a_larger_part() {
    let (app, mut server) = (App::start(), redis(""));
    let gateways = three(&app, &server);
    server.kill();
    let tables = shared(&server.url("redis"), "timeout = \"40ms\"");
    let changed = Setup::new(&app).token(LIMIT).with(&tables);
    gateways.iter().for_each(|gateway| gateway.reload(&changed));
    assert_parts(&gateways, "ada");
}
