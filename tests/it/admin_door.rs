//! The admin listener: what it takes for an operator's request, and what it holds.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::support::running::{ENVIRONMENT, file_of};
use crate::support::{App, Conn, Gateway, Process, Setup, cookie_of, eventually, folder, get};

const JSON: &str = "Content-Type: application/json\r\n";
const TOKEN: &str = "canary-admin-token-0123456789abcdef";

fn status(gateway: &Gateway, user: &str) -> u16 {
    gateway.ask(&get("/api/get-auth-token").header("Cookie", &cookie_of(user))).status
}

/// The status of a request with this head, and this body.
fn answer(admin: &str, head: &str, body: &str) -> u16 {
    let mut conn = Conn::open(admin);
    let length = body.len();
    conn.write(
        format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes(),
    );
    conn.next_head().unwrap().status
}

#[test]
fn a_change_is_exactly_the_documented_request_and_nothing_looser() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let head = format!("POST /revoke HTTP/1.1\r\nHost: localhost\r\n{JSON}");
    for body in [
        r#"{"event":"user.updated","user":"ada"}"#,
        r#"{"user":"ada","event":"user.updated"}"#,
        r#"{"user":"ada","user":"ada"}"#,
        r#"{"user":"ada","cookie":null}"#,
        r#"{"User":"ada"}"#,
        r#"{"user":["ada"]}"#,
        r#"{"user":""}"#,
        r#"{"cookie":""}"#,
        r#"[{"user":"ada"}]"#,
        r#"{"user":"ada"}{"#,
        r#""user""#,
    ] {
        assert_eq!(answer(&gateway.admin, &head, body), 400, "{body}");
    }
    let body = r#"{"user":"ada"}"#;
    for (fields, expected) in [
        ("X-Forwarded-For: 192.0.2.1\r\nVia: 1.1 nginx\r\n", 403),
        ("X-Real-IP: 192.0.2.1\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 415),
        ("Origin: http://localhost\r\n", 415),
    ] {
        assert_eq!(answer(&gateway.admin, &format!("{head}{fields}"), body), expected, "{fields}");
    }
    for host in ["gateway.example.com", "localhost.evil.test", "127.0.0.1:1"] {
        let head = format!("POST /revoke HTTP/1.1\r\nHost: {host}\r\n{JSON}");
        assert_eq!(answer(&gateway.admin, &head, body), 421, "{host}");
    }
    assert_eq!(status(&gateway, "ada"), 200, "nothing of it counted");
    assert_eq!(answer(&gateway.admin, &head, body), 200);
    assert_eq!(status(&gateway, "ada"), 401);
}

#[test]
fn no_page_reads_the_admin_listener_under_its_own_name() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for path in ["/metrics", "/readyz", "/healthz", "/", "/other"] {
        let get = |host: &str| {
            answer(&gateway.admin, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"), "")
        };
        assert_eq!(get("rebound.evil.test"), 421, "{path}");
        assert_ne!(get(&gateway.admin), 421, "{path}");
        assert_ne!(get("localhost"), 421, "{path}");
    }
}

#[test]
fn an_admin_token_is_needed_even_from_this_machine() {
    let app = App::start();
    let setup = || Setup::new(&app).server(&format!("admin_token = \"{TOKEN}\""));
    let gateway = setup().start();
    let head = format!("POST /revoke HTTP/1.1\r\nHost: localhost\r\n{JSON}");
    let shown = |token: &str| format!("{head}Authorization: Bearer {token}\r\n");
    let body = r#"{"user":"ada"}"#;
    assert_eq!(answer(&gateway.admin, &head, body), 401);
    assert_eq!(answer(&gateway.admin, &shown("canary-admin-token-0123456789abcdeX"), body), 401);
    assert_eq!(status(&gateway, "ada"), 200);
    assert_eq!(answer(&gateway.admin, &shown(TOKEN), body), 200);
    assert_eq!(status(&gateway, "ada"), 401);
    gateway.reload(&Setup::new(&app).server("admin_token = \"another-admin-token-0123456789\""));
    assert_eq!(answer(&gateway.admin, &shown(TOKEN), body), 401, "a reload replaces it");
}

#[test]
fn who_asked_for_a_change_is_logged_and_the_token_is_not() {
    let app = App::start();
    let socket = folder().join("admin.sock");
    let text = Setup::new(&app).text().replace(
        "admin = \"127.0.0.1:0\"",
        &format!("admin = \"unix:{}\"\nadmin_token = \"env:ADMIN_TOKEN\"", socket.display()),
    );
    let text = file_of(&Setup::new(&app).replaced_by(text));
    let file = socket.with_file_name("gateway.toml");
    let environment = [&ENVIRONMENT[..], &[("ADMIN_TOKEN", TOKEN)]].concat();
    let process = Process::run(&file, &text, &environment);
    eventually("the socket", || UnixStream::connect(&socket).is_ok());
    let ask = |more: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let request = format!(
            "POST /revoke HTTP/1.1\r\nHost: localhost\r\n{JSON}{more}Content-Length: 14\r\n\
             Connection: close\r\n\r\n{{\"user\":\"ada\"}}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("").starts_with("HTTP/1.1 200 "));
    assert!(ask("Authorization: Bearer wrong-canary\r\n").starts_with("HTTP/1.1 401 "));
    let lines = ["user's sessions revoked", "a change was refused"];
    eventually("the log", || lines.iter().all(|line| process.errors().contains(line)));
    let said = process.errors();
    let uid = said.lines().find(|line| line.contains("user's sessions revoked")).unwrap();
    assert!(uid.contains("\"asker\":\"unix uid "), "{uid}");
    assert!(said.contains("a change was refused"), "{said}");
    assert!(!said.contains(TOKEN) && !said.contains("wrong-canary"));
}

#[test]
fn half_sent_heads_at_the_admin_listener_end_and_are_few() {
    let app = App::start();
    let gateway = Setup::new(&app).server("header_timeout = \"3s\"\nidle_timeout = \"3s\"").start();
    let mut silent: Vec<Conn> = (0..100).map(|_| Conn::open(&gateway.admin)).collect();
    for conn in &mut silent {
        conn.write(b"GET /metrics HTTP/1.1\r\nHost: loc");
    }
    assert_eq!(status(&gateway, "ada"), 200, "the public port is another matter");
    for mut conn in silent {
        assert_eq!(conn.rest(), b"", "it ends");
    }
    eventually("a free place", || {
        gateway.metric_now("portcullis_admin_connections_refused_total") >= 36
    });
    let mut kept = Conn::open(&gateway.admin);
    for _ in 0..2 {
        kept.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(kept.next_head().unwrap().status, 200);
        kept.exactly(b"alive\n".len());
    }
    assert_eq!(kept.rest(), b"", "an idle one ends too");
}

#[test]
fn a_body_that_drips_into_the_admin_listener_ends() {
    let app = App::start();
    let gateway = Setup::new(&app).server("header_timeout = \"1s\"").start();
    let mut conn = Conn::open(&gateway.admin);
    let head =
        format!("POST /revoke HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 99\r\n\r\n");
    conn.write(head.as_bytes());
    let answer = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        conn.try_write(b" ")
    });
    assert!(answer.take(50).any(|written| written.is_err()), "it has ended");
}
