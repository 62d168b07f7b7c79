//! After an answer of the gateway itself, the rest of a body is never a request.

use crate::support::{App, Conn, Request, Setup, get, post};

const PATH: &str = "/api/get-auth-token";
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\nX-Auth-User: root\r\n\r\n";

const ROUTES: &str = r#"
[[route]]
path = "/private/**"
session = "required"
[[route]]
path = "/limited"
limit = "1/hour"
[[route]]
path = "/read"
methods = ["GET"]
"#;

/// Requests the gateway answers itself, by what makes it do so.
fn own_answers() -> Vec<(&'static str, Request)> {
    let token = || Request::new("POST", PATH);
    vec![
        ("200", token().user("ada")),
        ("401", token()),
        ("403", token().user("ada").header("Origin", "https://evil.test")),
        ("405", Request::new("PUT", PATH)),
        ("HEAD", Request::new("HEAD", PATH).user("ada")),
        ("400 of a path", Request::new("POST", "/a%00b")),
        ("400 of a host", Request::new("POST", "/x").host("a b")),
        ("401 of a route", Request::new("POST", "/private/x")),
        ("405 of a route", Request::new("POST", "/read")),
        ("429 of a route", Request::new("POST", "/limited")),
        ("preflight", {
            Request::new("OPTIONS", PATH)
                .header("Origin", "https://evil.test")
                .header("Access-Control-Request-Method", "POST")
        }),
    ]
}

/// Reads what comes to the end of the connection, as statuses.
fn statuses(conn: &mut Conn, method: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut method = method.to_owned();
    while let Some(answer) = conn.try_response_to(&method) {
        statuses.push(answer.status);
        conn.try_finish();
        "GET".clone_into(&mut method);
    }
    statuses
}

#[test]
fn an_unread_body_is_never_a_request() {
    let app = App::start();
    let gateway = Setup::new(&app).with(ROUTES).start();
    assert_eq!(gateway.ask(&get("/limited")).status, 200);
    let size = format!("{:x}\r\n", SMUGGLED.len());
    let chunked = [size.as_bytes(), SMUGGLED, b"\r\n0\r\n\r\n"].concat();
    let length = SMUGGLED.len().to_string();
    for (name, request) in own_answers() {
        for (framing, request) in [
            ("length", request.clone().header("Content-Length", &length).raw_body(SMUGGLED)),
            ("more to come", request.clone().header("Content-Length", "100000").raw_body(SMUGGLED)),
            ("chunked", request.clone().header("Transfer-Encoding", "chunked").raw_body(&chunked)),
            ("an open chunk", {
                request.clone().header("Transfer-Encoding", "chunked").raw_body(&chunked[..60])
            }),
        ] {
            app.forget();
            let mut conn = gateway.connect();
            conn.write(&request.bytes());
            if framing == "more to come" || framing == "an open chunk" {
                conn.try_finish();
            }
            let statuses = statuses(&mut conn, &request.method);
            assert!(statuses.len() <= 1, "{name}, {framing}: {statuses:?}");
            assert!(app.seen().is_empty(), "{name}, {framing}: {:?}", app.seen());
        }
    }
}

#[test]
fn a_request_behind_a_body_is_served_as_itself_or_not_at_all() {
    let app = App::start();
    let gateway = Setup::new(&app).with(ROUTES).start();
    assert_eq!(gateway.ask(&get("/limited")).status, 200);
    for (name, request) in own_answers() {
        app.forget();
        let request = request.header("Content-Length", "3").raw_body(b"abc");
        let mut conn = gateway.connect();
        conn.write(&[request.bytes(), get("/next").header("X-Auth-User", "root").bytes()].concat());
        let statuses = statuses(&mut conn, &request.method);
        assert!(!statuses.is_empty() && statuses.len() <= 2, "{name}: {statuses:?}");
        for seen in app.seen() {
            assert_eq!(
                (seen.method().as_str(), seen.target().as_str()),
                ("GET", "/next"),
                "{name}"
            );
            assert_eq!(seen.one("x-auth-user"), None);
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_or_not_at_all() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for first in [get("/one").user("ada"), post("/one", b"abc").user("ada"), get(PATH).user("ada")]
    {
        app.forget();
        let mut conn = gateway.connect();
        conn.write(&[first.bytes(), get("/two").bytes()].concat());
        let answer = conn.response_to("GET");
        assert_eq!(answer.status, 200);
        conn.try_finish();
        if let Some(second) = conn.try_response_to("GET") {
            assert_eq!(second.json()["target"], "/two");
            assert_eq!(
                app.last().one("x-auth-user"),
                None,
                "the first one's session is not the second's"
            );
        }
    }
}

#[test]
fn a_session_belongs_to_its_request_not_to_its_connection() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    for user in [Some("ada"), None, Some("bob"), None] {
        app.forget();
        conn.ask(&user.map_or_else(|| get("/x"), |user| get("/x").user(user)));
        assert_eq!(app.only().one("x-auth-user").as_deref(), user);
        let token = conn.ask(&user.map_or_else(|| get(PATH), |user| get(PATH).user(user)));
        assert_eq!(token.status, if user.is_some() { 200 } else { 401 });
    }
}

#[test]
fn a_request_that_comes_too_early_does_not_harm_the_one_before() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (first, second) in [
        (get("/do/slow"), get("/two")),
        (post("/do/slow", b"abc"), post("/two", b"defg")),
        (get("/do/slow"), get("/a b")),
    ] {
        app.forget();
        app.close_gate();
        let mut conn = gateway.connect();
        conn.write(&first.user("ada").bytes());
        app.wait_for(1);
        conn.write(&second.bytes());
        conn.wait_until_noticed(second.bytes().len());
        app.open_gate();
        assert_eq!(conn.response_to("GET").text(), "slow but sure");
        assert!(conn.try_response_to("GET").is_none(), "the connection ends here");
        assert_eq!(app.seen().len(), 1);
    }
}
