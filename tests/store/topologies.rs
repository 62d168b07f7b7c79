//! Sessions in every kind of Redis: behind Sentinel, in a Cluster, behind TLS with client
//! certificates, on a Unix socket; and a failover that no request waits for.

use std::time::{Duration, Instant};

use redis::Commands as _;

use crate::app::{page, readiness, setup, setup_within, sign_in, token};
use crate::replicated::{Cluster, Sentinel, redis_with_client_certificates};
use crate::servers::{Server, redis};
use crate::support::{App, Gateway, Stopwatch, eventually};

const ID: &str = "zRVwr7nsgjeUE4j4QHXINTzcxVVPXztC";
const SESSION: &str = r#"{"cookie":{},"passport":{"user":"ada"}}"#;

/// Asks all the time while `trouble` is made, and for a while after it: no request may
/// take longer than the store's deadline, and pages are always served.
fn while_asked(gateway: &Gateway, trouble: impl FnOnce()) {
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let asking = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while stopped.try_recv().is_err() {
                let began = Stopwatch::start();
                let status = token(gateway, ID).status;
                slowest = slowest.max(began.elapsed());
                assert!(status == 200 || status == 503, "{status}");
                assert_eq!(page(gateway, "/public", ID).status, 200);
            }
            slowest
        });
        trouble();
        let began = Instant::now();
        eventually("the store is asked again", || {
            began.elapsed() > Duration::from_secs(1) && token(gateway, ID).status == 200
        });
        stop.send(()).unwrap();
        let slowest = asking.join().unwrap();
        assert!(slowest < Duration::from_millis(2_500), "a request took {slowest:?}");
    });
}

/// Writes a key until a replica has it too.
fn replicated(server: &Server, key: &str, value: &str) {
    let mut client = server.redis_client();
    eventually("a replica follows", || {
        let () = client.set_ex(key, value, 1000).unwrap();
        redis::cmd("WAIT").arg(1).arg(200).query::<i64>(&mut client).unwrap() == 1
    });
}

#[test]
fn sessions_behind_sentinel_survive_a_failover() {
    let (app, mut group) = (App::start(), Sentinel::start(""));
    let gateway = setup_within(&app, &group.url(), 0, "250ms").start();
    sign_in(group.primary(), ID, "ada");
    eventually("the primary is asked", || token(&gateway, ID).status == 200);
    replicated(group.primary(), "last", "1");
    group.freeze_a_sentinel();
    while_asked(&gateway, || group.kill_primary());
    eventually("it is ready again", || readiness(&gateway).0 == 200);
}

#[test]
fn sessions_in_a_cluster_survive_a_failover() {
    let (app, mut cluster) = (App::start(), Cluster::start());
    let gateway = setup_within(&app, &cluster.url(), 0, "250ms").start();
    let ids: Vec<String> =
        (0..12).map(|number| format!("session-{number:02}-0123456789")).collect();
    for id in ids.iter().map(String::as_str).chain([ID]) {
        cluster.run(&["setex", &format!("sess:{id}"), "1000", SESSION]);
        eventually(id, || token(&gateway, id).status == 200);
    }
    replicated(cluster.owner(&format!("sess:{ID}")), &format!("sess:{ID}"), SESSION);
    for id in &ids {
        let key = format!("sess:{id}");
        replicated(cluster.owner(&key), &key, SESSION);
    }
    while_asked(&gateway, || cluster.owner(&format!("sess:{ID}")).kill());
    for id in &ids {
        eventually("every session is found", || token(&gateway, id).status == 200);
    }
}

#[test]
fn sessions_move_with_the_slots_of_a_cluster() {
    let (app, mut cluster) = (App::start(), Cluster::start());
    let gateway = setup(&app, &cluster.url(), 0).start();
    cluster.run(&["setex", &format!("sess:{ID}"), "1000", SESSION]);
    assert_eq!(token(&gateway, ID).status, 200);
    let key = format!("sess:{ID}");
    let slot = cluster.run(&["cluster", "keyslot", &key]);
    let from = cluster.owner(&key).port;
    let nodes = crate::replicated::cli(from, &["cluster", "nodes"]);
    let to =
        nodes.lines().find(|line| line.contains("master") && !line.contains("myself")).unwrap();
    let to_port: u16 =
        to.split(' ').nth(1).unwrap().split(['@', ':']).nth(1).unwrap().parse().unwrap();
    let to_id = to.split(' ').next().unwrap();
    let from_id = crate::replicated::cli(from, &["cluster", "myid"]);
    let (slot, from_id) = (slot.trim(), from_id.trim());
    let ask = crate::replicated::cli;
    ask(to_port, &["cluster", "setslot", slot, "importing", from_id]);
    ask(from, &["cluster", "setslot", slot, "migrating", to_id]);
    assert_eq!(token(&gateway, ID).status, 200, "the slot is about to move");
    ask(from, &["migrate", "127.0.0.1", &to_port.to_string(), &key, "0", "2000"]);
    assert_eq!(token(&gateway, ID).status, 200, "the key has moved, its slot has not");
    ask(to_port, &["cluster", "setslot", slot, "node", to_id]);
    ask(from, &["cluster", "setslot", slot, "node", to_id]);
    for _ in 0..3 {
        assert_eq!(token(&gateway, ID).status, 200, "the slot has moved");
    }
}

#[test]
fn a_store_may_ask_for_a_certificate() {
    let app = App::start();
    let (server, url, files) = redis_with_client_certificates();
    sign_in(&server, ID, "ada");
    let gateway = setup(&app, &url, 0).start();
    assert_eq!(token(&gateway, ID).status, 200);
    let (without, _) = url.split_once("&cert").unwrap();
    let gateway = setup(&app, without, 0).start();
    assert_eq!(token(&gateway, ID).status, 503, "no certificate");
    let other = url.replace("ca.pem", "other.pem");
    let gateway = setup(&app, &other, 0).start();
    assert_eq!(token(&gateway, ID).status, 503);
    let (status, text) = readiness(&gateway);
    assert_eq!(status, 503);
    assert!(text.contains("other.pem cannot be read"), "{text}");
    std::fs::remove_dir_all(files).unwrap();
}

#[test]
fn a_store_may_listen_on_a_unix_socket() {
    let folder = crate::servers::folder("unix");
    let (app, server) = (App::start(), redis(&format!("unixsocket {}/socket", folder.display())));
    sign_in(&server, ID, "ada");
    let gateway = setup(&app, &format!("unix:{}/socket?db=0", folder.display()), 0).start();
    assert_eq!(token(&gateway, ID).status, 200);
    let () = server.redis_client().del(format!("sess:{ID}")).unwrap();
    assert_eq!(token(&gateway, ID).status, 401);
    std::fs::remove_dir_all(folder).unwrap();
}
