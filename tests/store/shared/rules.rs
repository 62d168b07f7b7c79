//! Several limits on one request count together over replicas: one question to the store,
//! and either all of them have one less or none has.

use super::replicas::{PATIENT, at_once, count, replicas, shared};
use crate::replicated::cli;
use crate::servers::{Server, redis};
use crate::support::{App, get};

const RULES: &str = "[[route]]\npath = \"/a/**\"\nlimit = [\"40/day\", \"1000/day\"]\n\
    [[route]]\npath = \"/b\"\nlimit = \"25/day\"\n";
/// A path with two readings, each under a rule.
const BOTH: &str = "/a/..%2fb";

pub(crate) fn calls(server: &Server, command: &str) -> u64 {
    let stats = cli(server.port, &["info", "commandstats"]);
    let start = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[test]
fn a_request_under_several_rules_takes_from_all_of_them_or_from_none() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(3, &app, "", &(shared(&server.url("redis"), PATIENT) + RULES));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let statuses = at_once(&addresses, &get(BOTH).user("ada"), 4, 10);
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (25, 95));
    let refused = gateways[0].ask(&get(BOTH).user("ada"));
    refused.assert_refused(429, "too_many_requests");
    assert!(refused.header("ratelimit").unwrap().contains("/b"), "of the rule that refuses");
    let of_a = at_once(&addresses, &get("/a/x").user("ada"), 4, 5);
    assert_eq!((count(&of_a, 200), count(&of_a, 429)), (15, 45), "what the others have left");
    let fresh = at_once(&addresses, &get("/b").user("bob"), 4, 5);
    assert_eq!(count(&fresh, 200), 25, "another user");
}

#[test]
fn several_rules_with_their_rates_are_one_question_about_one_key() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(1, &app, "", &(shared(&server.url("redis"), PATIENT) + RULES));
    assert_eq!(gateways[0].ask(&get(BOTH).user("ada")).status, 200);
    let asked = |command| calls(&server, command);
    let before = ["get", "set"].map(asked);
    for _ in 0..10 {
        assert_eq!(gateways[0].ask(&get(BOTH).user("ada")).status, 200);
    }
    let after = ["get", "set"].map(asked);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [10, 10]);
    let keys: Vec<String> =
        redis::Commands::keys(&mut server.redis_client(), "portcullis:l:*").unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn rules_with_a_lease_and_without_admit_no_more_than_each_allows() {
    let (app, server) = (App::start(), redis(""));
    let rules = "[[route]]\npath = \"/a/**\"\nlimit = { rates = \"100/day\", lease = \"10%\" }\n\
        [[route]]\npath = \"/b\"\nlimit = \"60/day\"\n";
    let gateways = replicas(2, &app, "", &(shared(&server.url("redis"), PATIENT) + rules));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let both = at_once(&addresses, &get(BOTH).user("ada"), 4, 12);
    let both = count(&both, 200);
    // What one replica holds of a lease is not there for the other.
    assert!((30..=60).contains(&both), "{both}");
    let of_a = at_once(&addresses, &get("/a/x").user("ada"), 4, 20);
    assert!(both + count(&of_a, 200) <= 100);
    let of_b = at_once(&addresses, &get("/b").user("ada"), 4, 20);
    assert_eq!(both + count(&of_b, 200), 60, "without a lease, exact");
}
