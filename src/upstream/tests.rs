//! Turns, ejection, probes and names, in no time at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pool::Pool;
use super::*;
use crate::base::clock::Now;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problems};

/// An upstream from `[upstream.app]`, or what is wrong with it.
fn read(toml: &str) -> Result<Upstream, Vec<String>> {
    let problems = Problems::default();
    let node = Node::parse(toml, &problems);
    let upstream = {
        let mut table = At::new(&node, "", &problems, &Secrets::Literal).table().unwrap();
        let upstream = Upstream::from_table("app", &mut table);
        table.finish();
        upstream
    };
    if problems.is_empty() {
        return Ok(upstream.unwrap());
    }
    Err(problems.into_sorted().iter().map(|p| p.display("", toml).to_string()).collect())
}

fn pool(toml: &str) -> Pool {
    Pool::new(&Arc::new(read(toml).unwrap()), None)
}

/// The pool after a reload.
fn pool_after(toml: &str, before: &Pool) -> Pool {
    Pool::new(&Arc::new(read(toml).unwrap()), Some(before))
}

const TWO: &str = r#"servers = ["http://127.0.0.1:1", "http://127.0.0.1:2"]"#;

fn port(place: &InUse) -> u16 {
    place.endpoint.address().unwrap().port()
}

fn next(upstream: &Pool, now: Now) -> u16 {
    port(&upstream.acquire(now).unwrap())
}

fn at(ms: u64) -> Now {
    Now::at(1000).plus(Duration::from_millis(ms))
}

/// Fails connections to port 1 until it is left out.
fn put_out(upstream: &Pool, now: Now) -> Duration {
    for _ in 0..100 {
        let place = upstream.acquire(now).unwrap();
        if port(&place) == 1
            && let Some(time) = place.failed(now)
        {
            return time;
        }
    }
    panic!("never left out");
}

#[test]
fn servers_take_turns() {
    let upstream = pool(TWO);
    let ports: Vec<_> = (0..4).map(|_| next(&upstream, at(0))).collect();
    assert_eq!(ports, [1, 2, 1, 2]);
}

#[test]
fn the_server_with_the_fewest_requests_is_next() {
    let upstream = pool(&format!("{TWO}\nbalance = \"least_connections\""));
    let first = upstream.acquire(at(0)).unwrap();
    let other = 3 - port(&first);
    for _ in 0..5 {
        assert_eq!(next(&upstream, at(0)), other, "which is idle");
    }
    let second = upstream.acquire(at(0)).unwrap();
    assert_eq!(port(&second), other);
    drop(first);
    assert_eq!(next(&upstream, at(0)), 3 - other);
}

#[test]
fn a_server_that_fails_three_times_in_a_row_is_left_out() {
    let upstream = pool(TWO);
    for _ in 0..2 {
        let place = upstream.acquire(at(0)).unwrap();
        if port(&place) == 1 {
            assert_eq!(place.failed(at(0)), None);
        }
    }
    assert_eq!(put_out(&upstream, at(0)), Duration::from_secs(1));
    for _ in 0..4 {
        assert_eq!(next(&upstream, at(900)), 2);
    }
}

#[test]
fn an_answer_in_between_clears_the_count() {
    let upstream = pool(r#"servers = ["http://127.0.0.1:1"]"#);
    for _ in 0..10 {
        let place = upstream.acquire(at(0)).unwrap();
        assert_eq!(place.failed(at(0)), None);
        assert_eq!(place.failed(at(0)), None);
        place.answered();
    }
}

#[test]
fn when_its_time_is_over_one_request_tries_and_the_others_follow() {
    let upstream = pool(TWO);
    put_out(&upstream, at(0));
    let places: Vec<_> = (0..6).map(|_| upstream.acquire(at(1001)).unwrap()).collect();
    let tries: Vec<_> = places.iter().filter(|place| port(place) == 1).collect();
    assert_eq!(tries.len(), 1, "one request tries");
    assert_eq!(tries[0].failed(at(1001)), Some(Duration::from_secs(2)), "twice as long now");
    assert!((0..4).all(|_| next(&upstream, at(2900)) == 2));
    let trial = upstream.acquire(at(3002)).unwrap();
    let trial = if port(&trial) == 1 { trial } else { upstream.acquire(at(3002)).unwrap() };
    assert_eq!(port(&trial), 1);
    trial.answered();
    let ports: Vec<_> = (0..4).map(|_| next(&upstream, at(3002))).collect();
    assert_eq!(ports.iter().filter(|port| **port == 1).count(), 2, "{ports:?}");
    assert_eq!(put_out(&upstream, at(4000)), Duration::from_secs(1), "as if for the first time");
}

#[test]
fn the_time_grows_to_half_a_minute() {
    let upstream = pool(TWO);
    let mut now = at(0);
    let mut times = vec![put_out(&upstream, now)];
    while times.len() < 8 {
        now = now.plus(Duration::from_secs(31));
        let places: Vec<_> = (0..4).map(|_| upstream.acquire(now).unwrap()).collect();
        times.extend(places.iter().filter(|p| port(p) == 1).filter_map(|place| place.failed(now)));
    }
    let seconds: Vec<_> = times.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn of_many_failing_at_once_the_first_puts_it_out_once() {
    let upstream = pool(r#"servers = ["http://127.0.0.1:1"]"#);
    let places: Vec<_> = (0..50).map(|_| upstream.acquire(at(0)).unwrap()).collect();
    let news: Vec<_> = places.iter().filter_map(|place| place.failed(at(0))).collect();
    assert_eq!(news, [Duration::from_secs(1)]);
}

#[test]
fn if_all_are_out_all_take_part() {
    let upstream = pool(r#"servers = ["http://127.0.0.1:1"]"#);
    put_out(&upstream, at(0));
    assert_eq!(upstream.problem(at(1)), Some("has no healthy server"));
    let place = upstream.acquire(at(1)).unwrap();
    place.answered();
    assert_eq!(upstream.problem(at(1)), None, "an answer tells more than the time");
}

#[test]
fn a_server_has_no_more_requests_than_it_may() {
    let upstream = pool(&format!("{TWO}\nmax_connections = 2"));
    let mut places: Vec<_> = (0..4).map(|_| upstream.acquire(at(0)).unwrap()).collect();
    assert_eq!(upstream.acquire(at(0)).err(), Some(Unreachable::Full));
    let freed = port(&places.pop().unwrap());
    assert_eq!(next(&upstream, at(0)), freed);
    drop(places);
    put_out(&upstream, at(0));
    let well: Vec<_> = (0..2).map(|_| upstream.acquire(at(1)).unwrap()).collect();
    assert!(well.iter().all(|place| port(place) == 2));
    assert_eq!(upstream.acquire(at(1)).err(), Some(Unreachable::Full), "not to the failing one");
}

#[test]
fn probes_turn_a_server_after_several_in_a_row() {
    let health = "health = { path = \"/healthz\", unhealthy_after = 3, healthy_after = 2 }";
    let upstream = pool(&format!("{TWO}\n{health}"));
    let endpoint = upstream.endpoints()[0].clone();
    let probe = |outcome| endpoint.probed(outcome, upstream.upstream.health.as_ref().unwrap());
    let mut turned = Vec::new();
    for outcome in [0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1] {
        turned.push(probe(if outcome == 1 { ProbeResult::Good } else { ProbeResult::Failed }));
    }
    let turns: Vec<_> = turned.iter().enumerate().filter(|(_, t)| t.is_some()).collect();
    assert_eq!(turns, [(5, &Some(EndpointState::Down)), (10, &Some(EndpointState::Up))]);
    for _ in 0..3 {
        probe(ProbeResult::Failed);
    }
    assert!((0..4).all(|_| next(&upstream, at(0)) == 2));
}

#[test]
fn an_ejection_outlives_a_reload_that_keeps_the_server() {
    let before = pool(TWO);
    put_out(&before, at(0));
    let after = pool_after(r#"servers = ["http://127.0.0.1:3", "http://127.0.0.1:1"]"#, &before);
    assert!((0..4).all(|_| next(&after, at(1)) == 3));
    let elsewhere = pool_after(r#"servers = ["https://127.0.0.1:1"]"#, &before);
    assert_eq!(elsewhere.problem(at(1)), None, "the same port, but not the same server");
}

#[test]
fn names_keep_their_last_good_answer_and_their_state() {
    let upstream = pool(r#"servers = ["https://app.invalid:1"]"#);
    assert_eq!(upstream.acquire(at(0)).err(), Some(Unreachable::Unresolved));
    let answer = |addresses: &[&str]| {
        let known = upstream.endpoints();
        let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        upstream.rebuild_endpoints(&known, |_| addresses.clone());
        upstream.endpoints()
    };
    let first = answer(&["192.0.2.2:1", "192.0.2.1:1", "192.0.2.1:1"]);
    assert_eq!(first.len(), 2, "one endpoint for each address");
    let Target::Tcp { server_name, .. } = &first[0].target else { panic!() };
    assert_eq!(server_name.as_deref(), Some("app.invalid"));
    let shuffled = answer(&["192.0.2.1:1", "192.0.2.2:1"]);
    assert!(first.iter().zip(shuffled.iter()).all(|(a, b)| Arc::ptr_eq(a, b)));
    let moved = answer(&["192.0.2.2:1", "192.0.2.3:1"]);
    assert!(Arc::ptr_eq(&moved[0], &first[1]) && moved.len() == 2);
    assert_eq!(answer(&[]).len(), 2, "a resolver that fails takes nothing away");
    let reloaded = pool_after(r#"servers = ["https://app.invalid:1"]"#, &upstream);
    assert!(Arc::ptr_eq(&reloaded.endpoints()[0], &moved[0]), "nor does a reload");
}

#[test]
fn hosts_are_compared_as_people_write_them() {
    let upstream = read(&format!("{TWO}\nhosts = [\"App.Example.com\", \"x.test.\"]")).unwrap();
    let is = |host: &str| upstream.hosts.iter().any(|known| known.is(host));
    for host in ["app.example.com", "APP.example.COM:8443", "app.example.com.", "x.test.:80"] {
        assert!(is(host), "{host}");
    }
    for host in ["", "example.com", "app.example.com.evil.test", "xapp.example.com", "app", "x."] {
        assert!(!is(host), "{host}");
    }
}

#[test]
fn settings_that_cannot_work_are_named() {
    for (lines, said) in [
        ("balance = \"random\"", "least_connections"),
        ("max_connections = 0", "1 or more"),
        ("health = { path = \"healthz\" }", "a path of the app"),
        ("health = { every = \"5s\" }", "`path` is missing"),
        ("health = { path = \"/\", every = \"1s\", timeout = \"2s\" }", "no longer than"),
        ("health = { path = \"/\", healthy_after = 0 }", "1 or more"),
        ("hosts = [\"app.test:80\"]", "without a port"),
        ("hosts = [\"*.test\"]", "without a port"),
        ("tls = { verify = false }", "none is listed"),
        ("http2 = \"yes\"", "true or false"),
    ] {
        let problems = read(&format!("{TWO}\n{lines}")).err().unwrap();
        assert!(problems.iter().any(|p| p.contains(said)), "{lines}: {problems:?}");
    }
    let https = r#"servers = ["https://app.test"]"#;
    for (tls, said) in [
        ("{ ca = \"no certificate\" }", "found no certificates"),
        ("{ ca = \"-----BEGIN CERTIFICATE-----\\nMTIz\\n-----END CERTIFICATE-----\" }", "found no"),
        ("{ sni = \"a b\" }", "a host name"),
        ("{ verfy = false }", "did you mean `verify`?"),
    ] {
        let problems = read(&format!("{https}\ntls = {tls}")).err().unwrap();
        assert!(problems.iter().any(|p| p.contains(said)), "{tls}: {problems:?}");
    }
}

#[test]
fn a_request_from_before_a_reload_goes_where_its_own_settings_say() {
    let pools = Pools::default();
    let settings =
        |port| Arc::new(read(&format!("servers = [\"http://127.0.0.1:{port}\"]")).unwrap());
    let (before, after) = (settings(1), settings(2));
    let next = |upstream: &Arc<Upstream>| port(&pools.of(upstream).acquire(at(0)).unwrap());
    assert_eq!((next(&before), next(&after)), (1, 2));
    pools.retain_used();
    assert_eq!(next(&before), 1, "still in use");
    let weak = Arc::downgrade(&before);
    drop(before);
    pools.retain_used();
    assert!(weak.upgrade().is_none(), "nothing is kept of settings that nothing uses");
    assert_eq!(next(&after), 2);
}
