//! Open WebSockets and streams end with their session.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    App, Claims, Conn, Gateway, START, Setup, Stopwatch, clock, cookie_of, get, seconds,
};
use crate::websocket::upgrade;

const FRAME: &[u8] = b"\x81\x85\x01\x02\x03\x04ijojn";
const LOGOUT: &str = "logout_paths = \"/logout\"";

fn revoke(gateway: &Gateway, user: &str) {
    let body = json!({ "user": user }).to_string();
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = gateway.admin("POST /revoke HTTP/1.1", &rest);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

fn websocket(gateway: &Gateway, path: &str, cookie: &str) -> Conn {
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&upgrade(path).header("Cookie", cookie)).status, 101);
    echoes(&mut conn);
    conn
}

fn events(gateway: &Gateway, user: &str) -> Conn {
    let mut conn = gateway.connect();
    conn.write(&get("/do/sse").user(user).bytes());
    assert_eq!(conn.next_head().unwrap().status, 200);
    assert_eq!(conn.chunk(), b"data: 1\n\n", "while the app waits at the gate");
    conn
}

#[track_caller]
fn echoes(conn: &mut Conn) {
    conn.write(FRAME);
    assert_eq!(conn.exactly(FRAME.len()), FRAME);
}

#[track_caller]
fn ends(conn: &mut Conn, what: &str) {
    let began = Stopwatch::start();
    let rest = conn.rest();
    assert!(began.elapsed() < seconds(5), "{what}: {:?}", began.elapsed());
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{what}: not as if the app had ended it");
}

/// Longer than any look at the session takes.
fn wait() {
    std::thread::sleep(Duration::from_millis(2500));
}

#[test]
fn the_websocket_of_a_revoked_user_ends_and_that_of_another_does_not() {
    let app = App::start();
    let gateway = Setup::new(&app)
        .with("[[route]]\npath = \"/do/websocket\"\nsession = \"off\"\nmethods = [\"GET\"]")
        .start();
    let mut ada = websocket(&gateway, "/do/websocket", &cookie_of("ada"));
    let mut bob = websocket(&gateway, "/do/websocket", &cookie_of("bob"));
    let mut nobody = websocket(&gateway, "/do/websocket", "theme=dark");
    revoke(&gateway, "ada");
    ends(&mut ada, "ada's");
    echoes(&mut bob);
    echoes(&mut nobody);
}

#[test]
fn streams_of_events_end_over_both_versions_of_http() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let (mut ada, mut bob) = (events(&gateway, "ada"), events(&gateway, "bob"));
    crate::support::http2::block_on(async {
        use crate::support::http2::{open, request};
        let client = open(&gateway.address).await;
        let wanted = request("GET", "/do/sse").header("cookie", cookie_of("ada"));
        let mut sender = client.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(wanted.body(()).unwrap(), true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "data: 1\n\n");
        revoke(&gateway, "ada");
        let next = body.data().await;
        assert!(matches!(next, Some(Err(_))), "{next:?}");
    });
    ends(&mut ada, "ada's");
    app.open_gate();
    assert_eq!(bob.chunk(), b"data: 2\n\n");
    assert_eq!(bob.chunk(), b"");
}

#[test]
fn a_sign_out_at_the_app_ends_the_sessions_websocket_and_no_other_of_the_user() {
    let app = App::start();
    let gateway = Setup::new(&app).session(LOGOUT).start();
    let session = |id: &str| Claims::of("ada").with("jti", id).cookie();
    let mut left = websocket(&gateway, "/do/websocket", &session("1"));
    let mut other = websocket(&gateway, "/do/websocket", &session("2"));
    assert_eq!(gateway.ask(&get("/logout").header("Cookie", &session("1"))).status, 200);
    ends(&mut left, "signed out");
    echoes(&mut other);
}

#[test]
fn an_expired_session_ends_them_only_if_asked_to_and_never_means_never() {
    let app = App::start();
    for (setting, ends_expired, ends_revoked) in
        [("revoked", false, true), ("expired", true, true), ("never", false, false)]
    {
        let clock = clock();
        let tables = format!("[revocations]\nend_streams = \"{setting}\"\n");
        let gateway = Setup::new(&app).clock(&clock).with(&tables).start();
        let ending = Claims::of("ada").with("exp", START + 60).cookie();
        let mut expired = websocket(&gateway, "/do/websocket", &ending);
        let mut revoked = websocket(&gateway, "/do/websocket", &cookie_of("bob"));
        clock.advance(seconds(61));
        revoke(&gateway, "bob");
        for (conn, has_ended) in [(&mut expired, ends_expired), (&mut revoked, ends_revoked)] {
            if has_ended {
                ends(conn, setting);
            }
        }
        wait();
        for (conn, has_ended) in [(&mut expired, ends_expired), (&mut revoked, ends_revoked)] {
            if !has_ended {
                echoes(conn);
            }
        }
    }
}
