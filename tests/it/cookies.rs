//! Which cookie is the session: exactly the one the app would pick, or none.

use crate::support::{App, Request, Setup, get, token_of};

/// `{ada}` and `{bob}` stand for their tokens.
fn fill(text: &str) -> Vec<u8> {
    text.replace("{ada}", &token_of("ada")).replace("{bob}", &token_of("bob")).into_bytes()
}

fn with_cookies(fields: &[&str]) -> Request {
    fields.iter().fold(get("/x"), |request, field| request.header_bytes("Cookie", &fill(field)))
}

#[track_caller]
fn check(session: &str, cases: &[(&str, &[&str], Option<&str>)]) {
    let app = App::start();
    let gateway = Setup::new(&app).session(session).start();
    for (name, fields, user) in cases {
        app.forget();
        assert_eq!(gateway.ask(&with_cookies(fields)).status, 200, "{name}");
        assert_eq!(app.only().one("x-auth-user").as_deref(), *user, "{name}");
    }
}

#[test]
fn the_session_is_found_among_whatever_else_is_there() {
    let many = format!("{}session={{ada}}", "x=y; ".repeat(150));
    let large = format!("x={}; session={{ada}}", "y".repeat(9_000));
    check(
        "",
        &[
            ("alone", &["session={ada}"], Some("ada")),
            ("first", &["session={ada}; a=1"], Some("ada")),
            ("last", &["a=1; session={ada}"], Some("ada")),
            ("without blanks", &["a=1;session={ada};b=2"], Some("ada")),
            ("with many blanks", &["a=1;   session={ada}   ;b"], Some("ada")),
            ("with tabs", &["a=1;\tsession={ada}\t;b=2"], Some("ada")),
            ("blanks around the name", &[" session ={ada}"], Some("ada")),
            ("blanks around the value", &["session=  {ada}  "], Some("ada")),
            ("quoted", &["session=\"{ada}\""], Some("ada")),
            ("empty parts", &[";;session={ada};;"], Some("ada")),
            ("a part without a value", &["secure; session={ada}; httponly"], Some("ada")),
            ("a part without a name", &["=x; session={ada}; =session={bob}"], Some("ada")),
            ("quotes elsewhere", &["a=\"x; session={ada}; b=\"y"], Some("ada")),
            ("a list in a neighbour", &["a=1,2,3; session={ada}"], Some("ada")),
            ("text in a neighbour", &["a=\u{e9}\u{20ac}; session={ada}"], Some("ada")),
            ("equals in a neighbour", &["a==b=c=; session={ada}"], Some("ada")),
            ("many neighbours", &[&many], Some("ada")),
            ("a large neighbour", &[&large], Some("ada")),
            ("attributes of old", &["$Version=1; session={ada}; $Path=/"], Some("ada")),
        ],
    );
}

#[test]
fn a_value_that_only_resembles_the_session_is_another_one() {
    check(
        "",
        &[
            ("another case", &["Session={ada}"], None),
            ("a longer name", &["session2={ada}"], None),
            ("a prefix", &["xsession={ada}"], None),
            ("a host prefix", &["__Host-session={ada}"], None),
            ("a secure prefix", &["__Secure-session={ada}"], None),
            ("a chunk", &["session.0={ada}"], None),
            ("brackets", &["session[]={ada}"], None),
            ("quoted name", &["\"session\"={ada}"], None),
            ("an escaped name", &["%73ession={ada}"], None),
            ("after a comma", &["a=1, session={ada}"], None),
            ("inside quotes", &["a=\"session={ada}\""], None),
            ("a colon", &["session:{ada}"], None),
            ("half a quote", &["session=\"{ada}"], None),
            ("single quotes", &["session='{ada}'"], None),
            ("two equals", &["session=={ada}"], None),
            ("a name of its own", &["a=session={ada}"], None),
            ("nothing", &[""], None),
            ("only separators", &[";;;"], None),
        ],
    );
}

#[test]
fn of_several_the_first_is_taken_as_the_app_does() {
    check(
        "",
        &[
            ("two users", &["session={ada}; session={bob}"], Some("ada")),
            ("two users in two fields", &["session={bob}", "session={ada}"], Some("bob")),
            ("a bad one first", &["session=junk; session={ada}"], None),
            ("an empty one first", &["session=; session={ada}"], None),
            ("a bad one behind", &["session={ada}; session=junk"], Some("ada")),
            ("another case in front", &["Session={bob}; session={ada}"], Some("ada")),
            ("crumbs", &["a=1", "session={ada}", "b=2"], Some("ada")),
            ("an empty field in front", &["", "session={ada}"], Some("ada")),
            ("a field that ends openly", &["a=1;", "session={ada}"], Some("ada")),
        ],
    );
}

#[test]
fn duplicates_follow_the_setting() {
    let two: &[&str] = &["session={ada}; session={bob}"];
    let alike: &[&str] = &["session={ada}; a=1; session={ada}"];
    let fields: &[&str] = &["session={ada}", "session={bob}"];
    check("duplicate = \"last\"", &[("two", two, Some("bob")), ("fields", fields, Some("bob"))]);
    check(
        "duplicate = \"reject\"",
        &[("two", two, None), ("fields", fields, None), ("alike", alike, Some("ada"))],
    );
}

#[test]
fn app_and_gateway_see_the_same_one_cookie_header() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    gateway.ask(&with_cookies(&["a=1", "session={ada}", "session={bob}"]));
    let seen = app.only();
    let joined = String::from_utf8(fill("a=1; session={ada}")).unwrap();
    assert_eq!(seen.one("cookie"), Some(joined), "one field, and no app can pick another");
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
}

#[test]
fn bytes_of_any_kind_in_cookies_do_no_harm() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let session = fill("session={ada}");
    for junk in [&b"\xff\xfe"[..], b"\x80=\x81", b"a=\xc3\x28", b"\xf0\x9f\x8d\xaa=1", b"a=\tb"] {
        app.forget();
        let header = [junk, b"; ", &session].concat();
        let answer = gateway.ask(&get("/x").header_bytes("Cookie", &header));
        assert_eq!(answer.status, 200, "{junk:?}");
        assert_eq!(app.only().one("x-auth-user").as_deref(), Some("ada"), "{junk:?}");
    }
    for control in [&b"\x00"[..], b"\x01", b"a\x7fb", b"a\rb"] {
        app.forget();
        let header = [control, b"; ", &session].concat();
        let answer = gateway.ask(&get("/x").header_bytes("Cookie", &header));
        assert_eq!(answer.status, 400, "{control:?}");
        assert!(app.seen().is_empty(), "{control:?}");
    }
}

#[test]
fn ten_thousand_cookies_are_too_many() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let header = "a=b; ".repeat(10_000);
    let mut conn = gateway.connect();
    drop(conn.try_write(&get("/x").header("Cookie", &header).bytes()));
    assert_eq!(conn.response_to("GET").status, 431);
    assert!(app.seen().is_empty());
}
