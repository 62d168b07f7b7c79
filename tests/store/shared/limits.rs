//! Limits over several replicas are those of one.

use redis::Commands as _;

use super::fault_proxy::FaultProxy;
use super::replicas::{PATH, PATIENT, at_once, count, processes, replicas, shared};
use crate::replicated::{Cluster, cli};
use crate::servers::{Server, redis};
use crate::support::{App, Setup, eventually, get};

/// How often the store has run something, by its own count.
fn runs(server: &Server, command: &str) -> u64 {
    let stats = cli(server.port, &["info", "commandstats"]);
    let start = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The buckets of limits in the store.
fn buckets(server: &Server) -> Vec<String> {
    server.redis_client().keys("portcullis:l:*").unwrap()
}

#[test]
fn eight_processes_and_a_thousand_parallel_requests_yield_exactly_thirty_answers() {
    let (app, server) = (App::start(), redis(""));
    let url = server.url("redis");
    let gateways = processes(8, &app, "limit = \"30/hour\"", &url, PATIENT, "");
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    for run in 0..20 {
        let request = get(PATH).user(&format!("user-{run}"));
        let statuses = at_once(&addresses, &request, 5, 25);
        assert_eq!((count(&statuses, 200), count(&statuses, 429)), (30, 970), "run {run}");
    }
}

#[test]
fn one_round_trip_counts_all_rates_and_a_user_over_the_limit_costs_none() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(
        2,
        &app,
        "limit = [\"3/hour\", \"100/day\"]",
        &shared(&server.url("redis"), PATIENT),
    );
    let before = runs(&server, "get");
    for turn in 0..3 {
        let answer = gateways[turn % 2].token("ada");
        assert_eq!(answer.status, 200);
        let left = format!("\"portive\";r={}", 2 - turn);
        assert!(answer.header("ratelimit").unwrap().starts_with(&left), "{left}");
    }
    for _ in 0..50 {
        let refused = gateways[0].token("ada");
        assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_requests"));
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 1000);
    }
    // The script reads its bucket once: three admissions and one refusal.
    assert_eq!(runs(&server, "get") - before, 4);
    assert_eq!(gateways[0].metric("portcullis_shared_denied_here_total "), 49);
}

#[test]
fn a_bucket_ends_when_it_is_full() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(1, &app, "limit = \"30/hour\"", &shared(&server.url("redis"), PATIENT));
    for taken in 1..=5_i64 {
        assert_eq!(gateways[0].token("ada").status, 200);
        let keys = buckets(&server);
        assert_eq!(keys.len(), 1);
        let left: i64 = server.redis_client().pttl(&keys[0]).unwrap();
        assert!(left > 0 && left <= taken * 120_000 + 1000, "{left} ms after {taken}");
    }
}

#[test]
fn a_store_that_forgets_its_scripts_gets_them_again() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(2, &app, "limit = \"5/hour\"", &shared(&server.url("redis"), PATIENT));
    for turn in 0..5 {
        cli(server.port, &["script", "flush"]);
        assert_eq!(gateways[turn % 2].token("ada").status, 200, "{turn}");
    }
    for gateway in &gateways {
        assert_eq!(gateway.token("ada").status, 429);
    }
    assert!(gateways[0].metric("portcullis_shared_scripts_total ") > 0);
    assert_eq!(gateways[0].metric("portcullis_shared_uncounted_total "), 0);
}

#[test]
fn limits_in_a_cluster_stay_exact_while_slots_move() {
    let (app, cluster) = (App::start(), Cluster::start());
    let gateways = replicas(3, &app, "limit = \"30/hour\"", &shared(&cluster.url(), PATIENT));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let moving = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let rebalance = scope.spawn(|| {
            let mut rounds = 0;
            while moving.load(std::sync::atomic::Ordering::SeqCst) || rounds == 0 {
                cluster.reshard(200);
                rounds += 1;
            }
        });
        for run in 0..5 {
            let request = get(PATH).user(&format!("user-{run}"));
            let statuses = at_once(&addresses, &request, 8, 10);
            assert_eq!((count(&statuses, 200), count(&statuses, 429)), (30, 210), "run {run}");
        }
        moving.store(false, std::sync::atomic::Ordering::SeqCst);
        rebalance.join().unwrap();
    });
    for gateway in &gateways {
        assert_eq!(gateway.metric("portcullis_shared_uncounted_total "), 0);
    }
}

#[test]
fn a_late_reply_is_never_counted_twice() {
    const CALLS: u64 = 10_000;
    let (app, server) = (App::start(), redis(""));
    let proxy = FaultProxy::start(server.port);
    let limit = "limit = \"1000000/day\"";
    let gateways = replicas(2, &app, limit, &shared(&proxy.url(), "timeout = \"20ms\""));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    assert_eq!(gateways[0].token("ada").status, 200);
    proxy.delay(40, std::time::Duration::from_millis(30));
    let turns = usize::try_from(CALLS / 20).unwrap();
    let statuses = at_once(&addresses, &get(PATH).user("ada"), 10, turns);
    assert_eq!(count(&statuses, 200), statuses.len());
    proxy.delay(0, std::time::Duration::ZERO);
    let asked = 1 + u64::try_from(statuses.len()).unwrap();
    let here: u64 =
        gateways.iter().map(|one| one.metric("portcullis_shared_uncounted_total ")).sum();
    assert!(here > 0, "no reply was late");
    // The script sets its bucket once for every admission it counts.
    let counted = runs(&server, "set");
    assert!(counted <= asked, "{counted} counted of {asked} requests");
    assert!(counted + here >= asked, "{counted} counted, {here} here, of {asked}");
}

#[test]
fn a_lease_admits_less_and_never_more() {
    const LEAST: usize = 60;
    let (app, server) = (App::start(), redis(""));
    let limit = "limit = { rates = \"100/hour\", lease = \"10%\" }";
    let gateways = replicas(4, &app, limit, &shared(&server.url("redis"), PATIENT));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let before = runs(&server, "get");
    let statuses = at_once(&addresses, &get(PATH).user("ada"), 5, 20);
    let admitted = count(&statuses, 200);
    // Of a hundred, the store keeps back what a second refills; the rest waits in leases of
    // replicas that have no more requests.
    assert!((LEAST..=100).contains(&admitted), "{admitted}");
    let asked = runs(&server, "get") - before;
    assert!(asked < 100, "{asked} questions for {admitted} admissions");
}

#[test]
fn a_reload_adds_moves_and_removes_the_store_without_a_fresh_allowance() {
    let app = App::start();
    let (first, second) = (redis(""), redis(""));
    let token = "limit = \"4/hour\"";
    let plain = || Setup::new(&app).token(token);
    let over = |server: &Server| plain().with(&shared(&server.url("redis"), PATIENT));
    let gateway = plain().start();
    assert_eq!(gateway.token("ada").status, 200);
    gateway.reload(&over(&first));
    assert_eq!(gateway.token("ada").status, 200);
    eventually("the store counts", || buckets(&first).len() == 1);
    gateway.reload(&over(&second));
    assert_eq!(gateway.token("ada").status, 200);
    eventually("the other store counts", || buckets(&second).len() == 1);
    gateway.reload(&plain());
    let left = (0..4).filter(|_| gateway.token("ada").status == 200).count();
    assert!(left <= 3, "{left}");
}
