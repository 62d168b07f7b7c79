//! Stores that die, hang and come back while the gateway runs.

use std::time::Duration;

use crate::app::{page, readiness, setup, setup_within, sign_in, sign_out, token};
use crate::servers::{Server, free_port, postgres, redis};
use crate::support::{App, Gateway, Stopwatch, eventually};

const ID: &str = "zRVwr7nsgjeUE4j4QHXINTzcxVVPXztC";

/// Whoever must know is told that nobody can; everything else goes on.
fn assert_unavailable(gateway: &Gateway, app: &App) {
    let began = Stopwatch::start();
    let refused = token(gateway, ID);
    assert!(began.elapsed() < Duration::from_secs(3), "took {:?}", began.elapsed());
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    assert_eq!(page(gateway, "/private/x", ID).status, 503);
    app.forget();
    assert_eq!(page(gateway, "/public", ID).status, 200);
    assert_eq!(app.only().one("x-auth-user"), None);
    let (status, text) = readiness(gateway);
    assert_eq!(status, 503);
    let reason = text.strip_prefix("session express-session: ").expect(&text);
    assert!(reason.contains("the store"), "{text}");
}

fn assert_available(gateway: &Gateway, app: &App) {
    eventually("the store is asked again", || token(gateway, ID).status == 200);
    eventually("a page is served", || page(gateway, "/private/x", ID).status == 200);
    eventually("the app is told the user", || {
        app.forget();
        assert_eq!(page(gateway, "/public", ID).status, 200);
        app.only().one("x-auth-user").as_deref() == Some("ada")
    });
    eventually("it is ready", || readiness(gateway) == (200, "ready\n".to_owned()));
}

#[test]
fn redis_may_die_and_come_back() {
    let (app, mut server) = (App::start(), redis(""));
    let gateway = setup(&app, &server.url("redis"), 0).start();
    sign_in(&server, ID, "ada");
    for _ in 0..2 {
        assert_available(&gateway, &app);
        server.kill();
        assert_unavailable(&gateway, &app);
        server.resume_after_kill();
        sign_in(&server, ID, "ada");
    }
    assert_available(&gateway, &app);
    sign_out(&server, ID);
    assert_eq!(token(&gateway, ID).status, 401);
}

#[test]
fn redis_may_hang_and_go_on() {
    let (app, server) = (App::start(), redis(""));
    let gateway = setup_within(&app, &server.url("redis"), 0, "250ms").start();
    sign_in(&server, ID, "ada");
    assert_available(&gateway, &app);
    server.freeze();
    assert_unavailable(&gateway, &app);
    server.thaw();
    assert_available(&gateway, &app);
}

#[test]
fn the_gateway_may_start_before_its_store() {
    let app = App::start();
    let mut server = redis("");
    server.kill();
    let gateway = setup(&app, &server.url("redis"), 0).start();
    assert_unavailable(&gateway, &app);
    server.resume_after_kill();
    sign_in(&server, ID, "ada");
    assert_available(&gateway, &app);
}

#[test]
fn a_remembered_session_survives_a_short_outage() {
    let (app, mut server) = (App::start(), redis(""));
    let gateway = setup(&app, &server.url("redis"), 60).start();
    sign_in(&server, ID, "ada");
    assert_eq!(token(&gateway, ID).status, 200);
    server.kill();
    assert_eq!(token(&gateway, ID).status, 200);
    assert_eq!(token(&gateway, "anotherSessionThatNobodyRemembers").status, 503);
}

#[test]
fn a_thousand_requests_meet_a_dead_store_without_waiting_for_each_other() {
    let app = App::start();
    let url = format!("redis://127.0.0.1:{}", free_port());
    let gateway = setup(&app, &url, 5).start();
    let began = Stopwatch::start();
    std::thread::scope(|scope| {
        for thread in 0..20 {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in 0..50 {
                    let id = format!("session-{thread:04}-{number:04}-0123456789");
                    assert_eq!(token(gateway, &id).status, 503);
                }
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(30), "took {:?}", began.elapsed());
}

#[test]
fn content_that_is_not_a_session_names_no_user() {
    let (app, server) = (App::start(), redis(""));
    let gateway = setup(&app, &server.url("redis"), 0).start();
    let mut client = server.redis_client();
    let mut set = |id: &str, value: &[u8]| {
        let () = redis::cmd("SET").arg(format!("sess:{id}")).arg(value).query(&mut client).unwrap();
    };
    let large = [b"{\"a\":\"".as_slice(), &vec![b'a'; 10 * 1024 * 1024], b"\"}"].concat();
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let hostile: [(&str, &[u8]); 5] = [
        ("enormousSessionEnormous", &large),
        ("deepSessionDeepSession", &deep),
        ("emptySessionEmptySession", b""),
        ("binarySessionBinarySession", b"\xff\xfe\0"),
        ("otherSessionOtherSession", b"O:8:\"stdClass\":0:{}"),
    ];
    for (id, value) in hostile {
        set(id, value);
        assert_eq!(token(&gateway, id).status, 401, "{id}");
    }
    let list = "listSessionListSession";
    let () = redis::cmd("RPUSH").arg(format!("sess:{list}")).arg("a").query(&mut client).unwrap();
    assert_eq!(token(&gateway, list).status, 401, "a key of another type");
    sign_in(&server, ID, "ada");
    assert_eq!(token(&gateway, ID).status, 200);
}

const LOOKUP: &str = "kind = \"lookup\"\ncookie = \"session\"";

fn lookup(app: &App, server: &Server) -> Gateway {
    let setup = crate::support::Setup::new(app).token("");
    let jwt = format!(
        "kind = \"jwt\"\ncookie = \"session\"\nsecret = \"{}\"",
        crate::support::SESSION_SECRET
    );
    let store = format!(
        "{LOOKUP}\nstore = {{ engine = \"sql\", url = {:?}, table = \"session\", \
         expires_column = \"expires_at\", cache_seconds = 0, timeout = \"3s\" }}",
        server.url("postgres")
    );
    let text = setup.text().replace(&jwt, &store);
    setup.replaced_by(text).start()
}

#[test]
fn postgres_may_die_hang_and_come_back() {
    let (app, mut server) = (App::start(), postgres());
    crate::columns::execute(
        &server.url("postgres"),
        "CREATE TABLE session (id text PRIMARY KEY, user_id text, expires_at timestamptz);\
         INSERT INTO session VALUES ('0123456789abcdef', 'ada', now() + interval '1 hour'),\
         ('fedcba9876543210', 'bob', now() - interval '1 minute')",
    );
    let gateway = lookup(&app, &server);
    let status = |id: &str| {
        let cookie = format!("session={id}");
        gateway.ask(&crate::support::get(crate::app::PATH).header("Cookie", &cookie)).status
    };
    let available = || eventually("the store is asked again", || status("0123456789abcdef") == 200);
    available();
    assert_eq!(status("fedcba9876543210"), 401, "expired");
    assert_eq!(status("0123456789abcdeX"), 401, "not there");
    server.freeze();
    let began = Stopwatch::start();
    assert_eq!(status("0123456789abcdef"), 503);
    assert!(began.elapsed() < Duration::from_secs(8), "took {:?}", began.elapsed());
    server.thaw();
    available();
    server.kill();
    assert_eq!(status("0123456789abcdef"), 503);
    assert_eq!(readiness(&gateway).0, 503);
    server.resume_after_kill();
    available();
    eventually("it is ready again", || readiness(&gateway).0 == 200);
}
