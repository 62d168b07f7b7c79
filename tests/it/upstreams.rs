//! Several servers behind the gateway: whose turn it is, who is left out, and
//! that no request suffers from it.

use crate::support::{
    App, Gateway, Reserved, Setup, Stopwatch, clock, eventually, get, post, seconds,
};

/// How many requests each app saw.
fn shares(apps: &[&App]) -> Vec<usize> {
    apps.iter().map(|app| app.seen().len()).collect()
}

fn servers(gateway: &Gateway, url: &str, state: &str) -> u64 {
    let labels = format!("{{server=\"{url}\",state=\"{state}\",upstream=\"default\"}}");
    gateway.metric(&format!("portcullis_upstream_servers{labels}"))
}

#[test]
fn requests_are_spread_evenly() {
    let apps = [App::start(), App::start(), App::start()];
    let apps: Vec<_> = apps.iter().collect();
    let gateway = Setup::balanced(&apps).start();
    for _ in 0..9 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    assert_eq!(shares(&apps), [3, 3, 3]);
}

#[test]
fn a_slow_server_gets_no_more_while_another_is_idle() {
    let (one, two) = (App::start(), App::start());
    let setup = Setup::balanced(&[&one, &two]).upstream("balance = \"least_connections\"");
    let gateway = setup.start();
    let mut slow = gateway.connect();
    slow.write(&get("/do/slow").bytes());
    eventually("the slow one", || one.seen().len() + two.seen().len() == 1);
    let (busy, idle) = if one.seen().is_empty() { (&two, &one) } else { (&one, &two) };
    for _ in 0..6 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
        // The answer is here before the request is over at the gateway.
        let in_flight = || gateway.metric_now("portcullis_requests_in_flight ");
        eventually("the end of the request", || in_flight() == 1);
    }
    assert_eq!((busy.seen().len(), idle.seen().len()), (1, 6));
    busy.open_gate();
    assert_eq!(slow.response_to("GET").status, 200);
}

#[test]
fn a_dead_server_is_left_out_and_comes_back() {
    let (app, clock, dead) = (App::start(), clock(), Reserved::new());
    let text = format!("servers = [\"{}\", \"{}\"]", dead.url(), app.url());
    let setup = Setup::new(&app).clock(&clock);
    let text = setup.text().replace(&format!("servers = [\"{}\"]", app.url()), &text);
    let gateway = setup.replaced_by(text).start();
    let url = dead.url();
    let failures = || gateway.metric("portcullis_upstream_failures_total{upstream=\"default\"}");
    for _ in 0..20 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
        assert_eq!(gateway.ask(&post("/x", b"abc")).status, 200);
    }
    assert_eq!(failures(), 3, "after that nobody tries");
    assert_eq!((servers(&gateway, &url, "ejected"), servers(&gateway, &url, "up")), (1, 0));
    clock.advance(seconds(2));
    for _ in 0..10 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    assert_eq!(failures(), 4, "one tried again");
    let back = App::at(&dead.address);
    clock.advance(seconds(3));
    for _ in 0..10 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    assert!(back.seen().len() >= 4, "{:?}", shares(&[&app, &back]));
    assert_eq!(servers(&gateway, &url, "up"), 1);
    assert_eq!(
        gateway.metric("portcullis_upstream_ejections_total{upstream=\"default\"}"),
        2,
        "once, and again after the trial"
    );
}

#[test]
fn the_only_server_is_tried_however_often_it_failed() {
    let nowhere = Reserved::new();
    let gateway = Setup::towards(&nowhere.url()).clock(&clock()).start();
    for _ in 0..10 {
        assert_eq!(gateway.ask(&get("/x")).status, 502);
    }
    let readiness = gateway.admin("GET /readyz HTTP/1.1", "");
    assert!(readiness.contains("upstream has no healthy server"), "{readiness}");
    let app = App::at(&nowhere.address);
    assert_eq!(gateway.ask(&get("/x")).status, 200, "at once");
    assert!(gateway.admin("GET /readyz HTTP/1.1", "").contains("ready"));
    drop(app);
}

const HEALTH: &str = "health = { path = \"/do/healthz\", every = \"1s\", timeout = \"1s\", \
                      unhealthy_after = 2, healthy_after = 2 }";

#[test]
fn a_server_that_fails_its_probes_gets_no_requests_until_it_is_well() {
    let (one, two) = (App::start(), App::start());
    let gateway = Setup::balanced(&[&one, &two]).upstream(HEALTH).start();
    // An open gate makes this app answer its probes with 503.
    one.open_gate();
    eventually("down", || servers(&gateway, &one.url(), "down") == 1);
    one.forget();
    for _ in 0..6 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    assert!(one.seen().iter().all(|seen| seen.path() == "/do/healthz"), "only probes");
    one.close_gate();
    eventually("up", || servers(&gateway, &one.url(), "up") == 1);
    one.forget();
    for _ in 0..6 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    assert_eq!(one.seen().iter().filter(|seen| seen.path() == "/x").count(), 3);
    let probe = || one.seen().into_iter().find(|seen| seen.path() == "/do/healthz");
    eventually("another probe", || probe().is_some());
    let probe = probe().unwrap();
    assert_eq!(probe.one("user-agent").as_deref(), Some("portcullis-health"));
    assert!(one.url().ends_with(&probe.one("host").unwrap()));
    assert!(
        gateway.metric("portcullis_upstream_probes_total{result=\"failed\",upstream=\"default\"}")
            >= 2
    );
}

#[test]
fn readiness_tells_when_every_server_fails_its_probes() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream(HEALTH).start();
    app.open_gate();
    let readiness = || gateway.admin("GET /readyz HTTP/1.1", "");
    eventually("not ready", || readiness().contains("upstream has no healthy server"));
    assert_eq!(gateway.ask(&get("/x")).status, 200, "it is asked all the same");
    app.close_gate();
    eventually("ready again", || readiness().contains("200 OK"));
}

#[test]
fn a_reload_keeps_what_is_known_of_servers_that_stay() {
    let (one, two) = (App::start(), App::start());
    let setup = || Setup::balanced(&[&one, &two]).upstream(HEALTH);
    let gateway = setup().start();
    one.open_gate();
    eventually("down", || servers(&gateway, &one.url(), "down") == 1);
    gateway.reload(&setup());
    assert_eq!(servers(&gateway, &one.url(), "down"), 1, "in the same moment");
    gateway.reload(&Setup::balanced(&[&one, &two]));
    assert_eq!(servers(&gateway, &one.url(), "up"), 1, "nobody would find it well again");
    one.close_gate();
    gateway.reload(&setup());
    let probes = "portcullis_upstream_probes_total{result=\"ok\",upstream=\"default\"}";
    let before = gateway.metric(probes);
    eventually("probes go on", || gateway.metric(probes) > before + 3);
}

#[test]
fn a_server_is_given_no_more_requests_than_it_may_have() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("max_connections = 2").start();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut conn = gateway.connect();
        conn.write(&get("/do/slow").bytes());
        waiting.push(conn);
    }
    app.wait_for(2);
    let refused = gateway.ask(&get("/x"));
    refused.assert_refused(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(gateway.token("ada").status, 200, "tokens need no app");
    app.open_gate();
    for mut conn in waiting {
        assert_eq!(conn.response_to("GET").status, 200);
    }
    eventually("a place is free", || gateway.ask(&get("/x")).status == 200);
    for _ in 0..20 {
        gateway.connect().write(&get("/do/slow").bytes());
    }
    eventually("clients that left take no place", || gateway.ask(&get("/x")).status == 200);
}

#[test]
fn a_request_that_reached_a_server_is_never_sent_to_another() {
    let (one, two) = (App::start(), App::start());
    let setup = Setup::balanced(&[&one, &two]).upstream("retries = 5");
    let gateway = setup.start();
    let requests = [get("/do/drop"), post("/do/drop", b"abc"), post("/do/drop", &[b'x'; 100_000])];
    for request in requests {
        for _ in 0..2 {
            let before: usize = shares(&[&one, &two]).iter().sum();
            assert_eq!(gateway.ask(&request).status, 502);
            assert_eq!(shares(&[&one, &two]).iter().sum::<usize>(), before + 1);
        }
    }
}

#[test]
fn a_kept_connection_that_went_stale_is_tried_again_for_safe_requests_only() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let put = crate::support::Request::new("PUT", "/do/drop").header("Content-Length", "3");
    // The app hangs up without a word, on a kept connection and on a new one.
    for (request, times) in
        [(get("/do/drop"), 2), (put.raw_body(b"abc"), 1), (post("/do/drop", b""), 1)]
    {
        // Connections to the app are kept for clients of the same thread.
        let mut conn = gateway.connect();
        assert_eq!(conn.ask(&get("/x")).status, 200);
        app.forget();
        assert_eq!(conn.ask(&request).status, 502);
        assert_eq!(app.seen().len(), times, "{:?}", app.seen()[0].method());
    }
}

#[test]
fn names_are_resolved_for_requests_and_not_by_them() {
    let app = App::start();
    let port = app.url().rsplit(':').next().unwrap().to_owned();
    let gateway = Setup::towards(&format!("http://localhost:{port}")).start();
    for _ in 0..4 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
    let began = Stopwatch::start();
    let unknown = Setup::towards("http://app.invalid:1").start();
    unknown.ask(&get("/x")).assert_refused(502, "upstream_failed");
    let readiness = unknown.admin("GET /readyz HTTP/1.1", "");
    assert!(readiness.contains("upstream has no address"), "{readiness}");
    assert!(began.elapsed() < seconds(8), "the start does not wait for a resolver");
}

#[test]
fn the_host_decides_between_upstreams_and_the_route_overrules_it() {
    let (main, admin, api) = (App::start(), App::start(), App::start());
    let table = |name: &str, app: &App, hosts: &str| {
        format!("[upstream.{name}]\nservers = [\"{}\"]\n{hosts}\n", app.url())
    };
    let setup = Setup::new(&main).with(
        "[[route]]\npath = \"/api/v1/**\"\nupstream = \"api\"\n\
         [[route]]\npath = \"/private/**\"\nsession = \"required\"\n",
    );
    let old = format!("[upstream]\nservers = [\"{}\"]\n", main.url());
    let new = table("admin", &admin, "hosts = [\"admin.test\", \"second.test\"]")
        + &table("main", &main, "")
        + &table("api", &api, "");
    let text = setup.text();
    assert!(text.contains(&old));
    let gateway = setup.replaced_by(text.replace(&old, &new)).start();
    let apps = [&main, &admin, &api];
    let went = |host: &str, path: &str| {
        apps.iter().for_each(|app| app.forget());
        assert_eq!(gateway.ask(&get(path).host(host)).status, 200, "{host}{path}");
        shares(&apps)
    };
    for host in ["admin.test", "ADMIN.test", "admin.test.", "admin.test:8080", "Second.Test"] {
        assert_eq!(went(host, "/x"), [0, 1, 0], "{host}");
    }
    for host in ["app.test", "xadmin.test", "admin.test.evil", "admin", "127.0.0.1", "[::1]:80"] {
        assert_eq!(went(host, "/x"), [1, 0, 0], "{host}");
    }
    for host in ["admin.test", "app.test"] {
        assert_eq!(went(host, "/api/v1/x"), [0, 0, 1], "{host}");
        gateway.ask(&get("/private/x").host(host)).assert_refused(401, "not_signed_in");
        let token = gateway.ask(&get("/api/get-auth-token").host(host).user("ada"));
        assert_eq!(token.status, 200, "the token path is the gateway's on every host");
    }
}
