//! The shared store freezes, dies and fails over: pages do not notice, limits hold.

use std::time::Duration;

use super::door::Door;
use super::replicas::{PATH, at_once, count, replicas, shared};
use crate::app::readiness;
use crate::replicated::{Cluster, Sentinel, cli};
use crate::servers::{free_port, redis};
use crate::support::wait::eventually_within;
use crate::support::{App, Gateway, PATIENCE, Setup, Stopwatch, eventually, get};

const TABLES: &str = "[[route]]\npath = \"/open/**\"\nsession = \"optional\"\n\
    limit = { rates = \"2/hour\", on_error = \"allow\" }\n\
    [[route]]\npath = \"/closed/**\"\nsession = \"optional\"\n\
    limit = { rates = \"1000/hour\", on_error = \"deny\" }\n";

/// How long a request takes at most on a busy machine, besides the store's deadline.
const BUSY: Duration = Duration::from_millis(400);

fn page(gateway: &Gateway, path: &str) -> u16 {
    gateway.ask(&get(path).user("ada")).status
}

/// Whether the store has counted so many tokens, all of them: one for which it was late, as it
/// may be on a busy machine, is counted by the gateway itself.
fn counts(gateway: &Gateway, user: &str, tokens: usize) -> bool {
    let uncounted = || gateway.metric("portcullis_shared_uncounted_total ");
    let before = uncounted();
    (0..tokens).for_each(|_| assert_eq!(gateway.token(user).status, 200));
    uncounted() == before
}

#[test]
fn a_frozen_store_delays_no_request_and_gives_no_user_a_fresh_allowance() {
    let (app, server) = (App::start(), redis(""));
    let tables = shared(&server.url("redis"), "") + TABLES;
    let gateways = replicas(2, &app, "limit = \"10/hour\"", &tables);
    let mut users = (0..).map(|number| format!("user-{number}"));
    let user = users.find(|user| counts(&gateways[0], user, 6)).unwrap();
    server.freeze();
    let mut slowest = Duration::ZERO;
    let mut admitted = 0;
    for _ in 0..20 {
        let began = Stopwatch::start();
        admitted += usize::from(gateways[0].token(&user).status == 200);
        slowest = slowest.max(began.elapsed());
        let began = Stopwatch::start();
        assert_eq!(page(&gateways[0], "/page"), 200);
        assert!(began.elapsed() < BUSY, "a page took {:?}", began.elapsed());
    }
    assert!(slowest < BUSY, "a token took {slowest:?}");
    assert!((1..=2).contains(&admitted), "{admitted} of the 2 that are this replica's part");
    assert_eq!(gateways[0].metric("portcullis_shared_breaker "), 1);
    assert_eq!(readiness(&gateways[0]), (200, "ready\n".to_owned()), "pages are served");
    assert_eq!(page(&gateways[0], "/open/x"), 200);
    assert_eq!(page(&gateways[0], "/open/x"), 200);
    assert_eq!(page(&gateways[0], "/open/x"), 200, "not limited, as is written");
    let refused = gateways[0].ask(&get("/closed/x").user("ada"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.thaw();
    eventually("the store is asked again", || {
        gateways[0].metric("portcullis_shared_breaker ") == 0
    });
    eventually("the store is in time", || page(&gateways[0], "/closed/x") == 200);
    assert_eq!(gateways[1].token(&user).status, 200, "of the 4 that are left");
}

#[test]
fn an_outage_admits_at_most_the_limit_and_one_per_replica_again() {
    let (app, mut server) = (App::start(), redis(""));
    let gateways = replicas(4, &app, "limit = \"30/hour\"", &shared(&server.url("redis"), ""));
    server.kill();
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    for user in ["ada", "bob"] {
        let statuses = at_once(&addresses, &get(PATH).user(user), 5, 10);
        let admitted = count(&statuses, 200);
        assert!((20..=34).contains(&admitted), "{admitted} for {user}");
        assert_eq!(admitted + count(&statuses, 429), statuses.len());
    }
}

#[test]
fn a_gateway_may_start_before_its_store() {
    let app = App::start();
    let mut server = redis("");
    server.kill();
    let tables = shared(&server.url("redis"), "");
    let gateway = Setup::new(&app).token("limit = \"3/hour\"").with(&tables).start();
    assert_eq!(gateway.token("ada").status, 200);
    assert_eq!(readiness(&gateway).0, 503, "it serves without the revocations of others");
    server.resume_after_kill();
    gateway.counts("portcullis_shared_breaker ", 0);
    eventually_within(PATIENCE * 2, "they were read", || readiness(&gateway).0 == 200);
    assert_eq!(gateway.token("ada").status, 200);
}

#[test]
fn an_unreachable_store_slows_nothing() {
    let app = App::start();
    let tables = shared(&format!("redis://127.0.0.1:{}", free_port()), "");
    let gateway = Setup::new(&app).token("limit = \"1000/hour\"").with(&tables).start();
    let began = Stopwatch::start();
    let statuses = at_once(std::slice::from_ref(&gateway.address), &get(PATH).user("ada"), 10, 20);
    assert_eq!(count(&statuses, 200), 200);
    assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
}

#[test]
fn a_store_that_cannot_be_reached_is_tried_less_and_less_often_and_found_within_six_seconds() {
    /// Of the ceiling, 5 s, and half of it; two tasks try, one for limits and one for
    /// revocations.
    const WINDOW: Duration = Duration::from_secs(6);
    const MOST: usize = 8;
    let (app, mut server) = (App::start(), redis(""));
    server.kill();
    let door = Door::open(server.port);
    let gateway = Setup::new(&app).token("").with(&shared(&server.url("redis"), "")).start();
    eventually("the store is tried", || door.knocks(WINDOW) > 0);
    let began = Stopwatch::start();
    eventually_within(PATIENCE * 4, "it is tried seldom", || {
        began.on_the_wall() > WINDOW && door.knocks(WINDOW) <= MOST
    });
    gateway.counts("portcullis_shared_breaker ", 1);
    door.close();
    server.resume_after_kill();
    let listens = Stopwatch::start();
    eventually("an idle gateway finds it", || gateway.metric("portcullis_shared_breaker ") == 0);
    let took = listens.elapsed();
    assert!(took < Duration::from_secs(6), "found after {took:?}");
}

#[test]
fn a_store_that_takes_connections_and_no_writes_is_tried_less_and_less_often() {
    const WINDOW: Duration = Duration::from_secs(6);
    let (app, server) = (App::start(), redis(""));
    let gateway = Setup::new(&app).token("").with(&shared(&server.url("redis"), "")).start();
    assert_eq!(gateway.token("ada").status, 200);
    // Its primary is elsewhere, and no sentinel says where.
    cli(server.port, &["replicaof", "127.0.0.1", &free_port().to_string()]);
    eventually("it is paused", || {
        assert_eq!(gateway.token("ada").status, 200);
        gateway.metric("portcullis_shared_breaker ") == 1
    });
    let connections = || {
        let stats = cli(server.port, &["info", "stats"]);
        let start = "total_connections_received:";
        let count = stats.lines().find_map(|line| line.strip_prefix(start)?.trim().parse().ok());
        count.unwrap_or(0_u64)
    };
    let (before, began) = (connections(), Stopwatch::start());
    eventually_within(PATIENCE, "some seconds", || began.on_the_wall() > WINDOW);
    let made = connections() - before;
    assert!(made <= 16, "{made} connections in {WINDOW:?}");
    cli(server.port, &["replicaof", "no", "one"]);
    let primary = Stopwatch::start();
    eventually("an idle gateway finds it", || gateway.metric("portcullis_shared_breaker ") == 0);
    let took = primary.elapsed();
    assert!(took < Duration::from_secs(6), "found after {took:?}");
}

#[test]
fn a_frozen_primary_is_left_alone_and_its_successor_is_asked_at_once() {
    let (app, group) = (App::start(), Sentinel::start(""));
    let gateways = replicas(2, &app, "limit = \"100000/hour\"", &shared(&group.url(), ""));
    assert_eq!(gateways[0].token("ada").status, 200);
    let frozen = &group.servers[0];
    frozen.freeze();
    eventually("it is paused", || {
        assert_eq!(gateways[0].token("ada").status, 200);
        gateways[0].metric("portcullis_shared_breaker ") == 1
    });
    let successor = group.servers[1].port;
    eventually_within(PATIENCE * 3, "another primary", || group.names(successor));
    let elected = Stopwatch::start();
    eventually("the new primary is asked", || {
        gateways[0].metric("portcullis_shared_breaker ") == 0
    });
    let took = elected.elapsed();
    assert!(took < Duration::from_secs(2), "recovery took {took:?}");
    eventually("it counts", || counts(&gateways[0], "ada", 1));
    group.servers[0].thaw();
}

#[test]
fn a_frozen_server_of_a_cluster_is_left_alone_while_the_others_count() {
    let (app, mut cluster) = (App::start(), Cluster::start());
    let gateway = &replicas(1, &app, "limit = \"1000/day\"", &shared(&cluster.url(), ""))[0];
    let port_of = |cluster: &mut Cluster, user: &str| {
        assert_eq!(gateway.token(user).status, 200);
        cluster.owner(&super::moving::bucket_of(user)).port
    };
    let frozen = port_of(&mut cluster, "ada");
    let elsewhere = |user: &String| port_of(&mut cluster, user) != frozen;
    let bob = (0..50).map(|number| format!("bob-{number}")).find(elsewhere).unwrap();
    // Before its place is taken, which a Cluster does within seconds.
    cluster.servers.iter().find(|server| server.port == frozen).unwrap().freeze();
    eventually("it is paused", || {
        assert_eq!(gateway.token("ada").status, 200);
        gateway.metric("portcullis_shared_breaker ") == 1
    });
    eventually("the other servers are asked as before", || counts(gateway, &bob, 20));
    let elected = || {
        let running = cluster.servers.iter().find(|server| server.port != frozen).unwrap();
        let nodes = cli(running.port, &["cluster", "nodes"]);
        let has_failed = |line: &&str| line.contains("fail");
        let masters = nodes.lines().filter(|line| line.contains("master"));
        let (failed, serving): (Vec<_>, Vec<_>) = masters.partition(has_failed);
        (failed.len(), serving.len()) == (1, 3)
    };
    eventually_within(PATIENCE * 3, "its replica takes its place", elected);
    let elected = Stopwatch::start();
    eventually("the successor is asked", || counts(gateway, "ada", 1));
    let took = elected.elapsed();
    assert!(took < Duration::from_secs(2), "recovery took {took:?}");
    cluster.servers.iter().find(|server| server.port == frozen).unwrap().thaw();
}

#[test]
fn a_failover_answers_every_request_and_is_over_in_two_seconds() {
    let (app, mut group) = (App::start(), Sentinel::start(""));
    let gateways = replicas(2, &app, "limit = \"100000/hour\"", &shared(&group.url(), ""));
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let gateway = &gateways[0];
        let asking = scope.spawn(move || {
            let mut asked = 0;
            while stopped.try_recv().is_err() {
                assert_eq!(gateway.token("ada").status, 200);
                assert_eq!(page(gateway, "/page"), 200);
                asked += 1;
            }
            asked
        });
        group.kill_primary();
        let successor = group.servers[1].port;
        eventually_within(PATIENCE * 3, "another primary", || group.names(successor));
        let elected = Stopwatch::start();
        eventually("the new primary is asked", || {
            gateways.iter().all(|one| one.metric_now("portcullis_shared_breaker ") == 0)
        });
        let took = elected.elapsed();
        assert!(took < Duration::from_secs(2), "recovery took {took:?}");
        stop.send(()).unwrap();
        assert!(asking.join().unwrap() > 0);
    });
    eventually("it counts", || counts(&gateways[0], "ada", 20));
}
