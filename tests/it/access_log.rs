//! The access log in each of its formats, off and sampled, and the level of the diagnostics
//! while the process runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::running::{Running, file_of};
use crate::support::{App, Conn, Gateway, Setup, cookie_of, eventually, get, replace};

const REFERENCE: &str = "deploy/guides/reference.md";

/// A gateway with these lines in `[log]`.
fn logging(app: &App, lines: &str) -> Gateway {
    Setup::new(app).with(&format!("[log]\n{lines}")).start()
}

/// A token, a page, a refusal and a request that is none.
fn all_sorts(gateway: &Gateway) {
    assert_eq!(gateway.token("ada").status, 200);
    assert_eq!(gateway.ask(&get("/page?code=canary")).status, 200);
    let refused = get("/api/get-auth-token").header("Cookie", "session=canary");
    assert_eq!(gateway.ask(&refused).status, 401);
    assert_eq!(gateway.ask(&get("/a%00b")).status, 400);
}

fn lines(gateway: &Gateway, count: usize) -> Vec<String> {
    let lines: Vec<_> = gateway.written().lines().map(str::to_owned).collect();
    assert!(lines.len() >= count, "{lines:?}");
    lines
}

/// The rows of the reference's table of fields: the name, and the formats that have it.
fn documented() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE);
    let page = fs::read_to_string(page).unwrap();
    let table = page.split_once("<!-- access log: begin -->").unwrap().1;
    let table = table.split_once("<!-- access log: end -->").unwrap().0;
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        Some((name, cells.next()?.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn every_field_of_a_line_is_documented_and_every_documented_field_is_written() {
    let app = App::start();
    let rows = documented();
    let with = |format: &str| -> BTreeSet<String> {
        let has = |formats: &str| formats.split(", ").any(|it| it == format);
        rows.iter().filter(|(_, formats)| has(formats)).map(|(name, _)| name.clone()).collect()
    };
    let json = logging(&app, "format = \"json\"");
    all_sorts(&json);
    let objects = lines(&json, 4).into_iter().map(|line| {
        let Value::Object(line) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        line.into_iter().map(|(name, _)| name)
    });
    assert_eq!(objects.flatten().collect::<BTreeSet<_>>(), with("json"));
    let logfmt = logging(&app, "format = \"logfmt\"");
    all_sorts(&logfmt);
    // No value of these has a blank.
    let names = lines(&logfmt, 4).into_iter().flat_map(|line| {
        let pairs: Vec<String> = line.split(' ').map(str::to_owned).collect();
        pairs.into_iter().map(|pair| pair.split_once('=').unwrap().0.to_owned())
    });
    assert_eq!(names.collect::<BTreeSet<_>>(), with("logfmt"));
    assert_eq!(with("json"), with("logfmt"));
    // What these two write has no names, so it is counted.
    let text = logging(&app, "format = \"text\"");
    assert_eq!(text.token("ada").status, 200);
    let line = lines(&text, 1).remove(0);
    assert_eq!(line.split(' ').count(), with("text").len(), "{line}");
    let combined = logging(&app, "format = \"combined\"");
    let agent = get("/page").header("User-Agent", "probe/1").header("Referer", "https://a.test/b");
    let answer = combined.ask(&agent);
    let line = lines(&combined, 1).remove(0);
    // The identity that nobody has, and the zone after the time.
    assert_eq!(line.split(' ').count(), with("combined").len() + 2, "{line}");
    let end = format!(
        "\"GET /page HTTP/1.1\" 200 {} \"https://a.test/b\" \"probe/1\"",
        answer.body.len()
    );
    assert!(line.ends_with(&end), "{line}");
}

#[test]
fn a_hostile_request_adds_no_field_and_no_line_in_any_format() {
    let app = App::start();
    for format in ["json", "text", "logfmt", "combined"] {
        let gateway = logging(&app, &format!("format = \"{format}\"\nuser = \"plain\""));
        let user = "ada\" 200 1 \"x\" status=500 outcome=\\\n192.0.2.9 - root";
        let hostile = get("/p'|%22%0a=;x?code=canary")
            .header("User-Agent", "a\" 200 \"b\\\" status=500\tc")
            .header("Referer", "https://x.test/\"q=1?token=canary")
            .header("X-Request-Id", "a b\"c")
            .header("Cookie", &cookie_of(user));
        assert_eq!(gateway.ask(&hostile).status, 200);
        assert_eq!(gateway.token(user).status, 200);
        let written = lines(&gateway, 2);
        assert_eq!(written.len(), 2, "{written:?}");
        for line in &written {
            assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
            assert!(!line.contains("canary"), "{line}");
            match format {
                "json" => {
                    let line: Value = serde_json::from_str(line).unwrap();
                    assert_eq!((&line["user"], &line["status"]), (&user.into(), &200.into()));
                }
                "combined" => assert_eq!(line.matches('"').count(), 6, "{line}"),
                "logfmt" => assert!(line.contains(r#"user="ada\" 200 "#), "{line}"),
                _ => assert!(line.contains(r#" user=ada\"\u0020200\u0020"#), "{line}"),
            }
        }
    }
}

#[test]
fn user_ids_stand_in_no_format_unless_the_operator_asks() {
    let app = App::start();
    for format in ["json", "text", "logfmt", "combined"] {
        let gateway = logging(&app, &format!("format = \"{format}\""));
        assert_eq!(gateway.token("unmistakable-user").status, 200);
        let hashed = lines(&gateway, 1).remove(0);
        assert!(!hashed.contains("unmistakable"), "{hashed}");
        let gateway = logging(&app, &format!("format = \"{format}\"\nuser = \"off\""));
        assert_eq!(gateway.token("unmistakable-user").status, 200);
        let nameless = lines(&gateway, 1).remove(0);
        assert!(!nameless.contains("unmistakable"), "{nameless}");
    }
}

#[test]
fn the_access_log_can_be_off_and_can_be_a_part() {
    let app = App::start();
    let off = logging(&app, "access = false");
    all_sorts(&off);
    off.counts("portcullis_requests_total{route=\"-\",status=\"400\"}", 1);
    assert_eq!(off.written(), "");
    let part = logging(&app, "sample = \"0.0001%\"");
    all_sorts(&part);
    let written = lines(&part, 2);
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written.iter().all(|line| line.contains(r#""outcome":"refused""#)), "{written:?}");
}

/// A request to change the level, as curl makes it.
fn change(admin: &str, method: &str, body: &str) -> (u16, String) {
    let mut conn = Conn::open(admin);
    let length = body.len();
    conn.write(
        format!(
            "{method} /log HTTP/1.1\r\nHost: {admin}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n\
             {body}"
        )
        .as_bytes(),
    );
    let head = conn.next_head().unwrap();
    (head.status, String::from_utf8(conn.rest()).unwrap())
}

/// A request whose refusal is explained at `debug`.
fn refused(running: &Running) {
    let request = get("/api/get-auth-token").header("Cookie", "session=nothing");
    assert_eq!(Conn::open(&running.address).ask(&request).status, 401);
}

#[test]
fn the_level_changes_while_the_process_runs_and_a_reload_puts_the_files_in_force() {
    let app = App::start();
    let setup = Setup::new(&app);
    let running = Running::start(&setup);
    let explained = || running.lines("session refused").len();
    let level = || running.admin("/log").1;
    assert_eq!(level(), "{\"level\":\"info\"}\n");
    refused(&running);
    assert_eq!(change(&running.admin, "POST", r#"{"level":"debug"}"#).0, 200);
    assert_eq!(level(), "{\"level\":\"debug\"}\n");
    refused(&running);
    eventually("the reason", || explained() == 1);
    let who = &running.lines("log level changes")[0];
    assert_eq!((&who["level"], &who["asker"]), (&"debug".into(), &"127.0.0.1".into()));
    assert_eq!(change(&running.admin, "POST", r#"{"level":"error"}"#).0, 200);
    refused(&running);
    replace(&running.file, file_of(&setup) + "[log]\nlevel = \"trace\"\n");
    running.signal("HUP");
    eventually("the reload", || running.reloads("ok") == 1);
    assert_eq!(level(), "{\"level\":\"trace\"}\n");
    assert_eq!(explained(), 1, "neither at info nor at error");
    refused(&running);
    eventually("the reason", || explained() == 2);
    let said = running.process.errors();
    for part in [".rs", "::", "\"target\"", "module_path", "filename", "line_number"] {
        assert!(!said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_change_of_the_level_is_exactly_the_documented_request() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app));
    for body in [
        "",
        "{}",
        r#"{"level":"verbose"}"#,
        r#"{"level":"DEBUG"}"#,
        r#"{"level":["debug"]}"#,
        r#"{"level":"debug","for":"1h"}"#,
        r#"{"level":"debug","level":"debug"}"#,
        r#"{"Level":"debug"}"#,
        r#""debug""#,
    ] {
        assert_eq!(change(&running.admin, "POST", body).0, 400, "{body}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        assert_eq!(change(&running.admin, method, r#"{"level":"debug"}"#).0, 405, "{method}");
    }
    let mut conn = Conn::open(&running.admin);
    let body = r#"{"level":"debug"}"#;
    conn.write(
        format!(
            "POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             X-Forwarded-For: 192.0.2.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    assert_eq!(conn.next_head().unwrap().status, 403, "not through a proxy");
    assert_eq!(running.admin("/log").1, "{\"level\":\"info\"}\n");
}

#[test]
fn a_reload_turns_the_access_log_off_and_on_again() {
    let app = App::start();
    let setup = Setup::new(&app);
    let running = Running::start(&setup);
    let lines = || running.process.output().lines().count();
    let reload = |lines: &str, count: usize| {
        replace(&running.file, file_of(&setup) + "[log]\n" + lines);
        running.signal("HUP");
        eventually("the reload", || running.reloads("ok") == count);
    };
    assert_eq!(running.page("/one"), 200);
    eventually("the line", || lines() == 1);
    reload("access = false", 1);
    assert_eq!(running.page("/two"), 200);
    running.settle();
    reload("", 2);
    assert_eq!(running.page("/three"), 200);
    eventually("the line", || lines() == 2);
    let output = running.process.output();
    assert!(output.contains("/one") && !output.contains("/two") && output.contains("/three"));
}
