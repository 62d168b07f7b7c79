//! `portcullis selftest`: finds nothing on a sound deployment, each planted fault on a broken
//! one, and asks only what changes nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{Process, Script, Scripted, Setup, cookie_of, folder};

/// A request as a planted deployment sees it.
struct Asked {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn is_signed_in(&self) -> bool {
        self.field("cookie") == "session=ok"
    }

    fn is_from_elsewhere(&self) -> bool {
        self.field("sec-fetch-site") == "cross-site"
    }
}

/// The status of an answer that does not come.
const NONE: u16 = 0;

#[derive(Clone)]
struct Reply {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn new(status: u16, kind: &str, body: &str) -> Self {
        let fields = vec![("Content-Type", kind.to_owned())];
        Self { status, fields, body: body.to_owned() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.retain(|(field, _)| *field != name);
        self.fields.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| *field != name);
        self
    }
}

/// What a sound deployment answers.
fn sound(asked: &Asked) -> Reply {
    let path = asked.target.split('?').next().unwrap();
    let refused = |status, code: &str| {
        Reply::new(status, "application/problem+json", &format!("{{\"code\":\"{code}\"}}"))
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff")
    };
    match path {
        "/" => Reply::new(200, "text/html", "<h1>shop</h1>"),
        "/api/token" if asked.is_from_elsewhere() => refused(403, "cross_site"),
        "/api/token" if asked.method == "OPTIONS" => refused(405, "method_not_allowed"),
        "/api/token" if asked.is_signed_in() => {
            Reply::new(200, "application/json", "{\"token\":\"t-of-ada\"}")
                .with("Cache-Control", "no-store")
                .with("X-Content-Type-Options", "nosniff")
                .with("RateLimit", "\"t\";r=29;t=2")
        }
        "/api/token" => refused(401, "not_signed_in"),
        "/admin" => Reply::new(303, "text/plain", "").with("Location", "/login"),
        _ => Reply::new(404, "text/html", "<h1>not found</h1>"),
    }
}

type Plant = fn(&Asked, Reply) -> Reply;

fn is(asked: &Asked, path: &str) -> bool {
    asked.target == path
}

fn echoed(asked: &Asked, name: &str, reply: Reply) -> Reply {
    match asked.field(name) {
        "" => reply,
        value => Reply { body: format!("{} https://{value}/reset", reply.body), ..reply },
    }
}

/// Each fault, and what it must be told as; others may come with it.
#[rustfmt::skip]
const PLANTED: [(&str, Plant); 25] = [
    ("token_without_session", |a, r| if is(a, "/api/token") { sound_token(r) } else { r }),
    ("token_without_session", |a, r| if is(a, "/api/token") && a.method == "POST" { sound_token(r) } else { r }),
    ("token_cached", |a, r| if is(a, "/api/token") { r.with("Age", "12") } else { r }),
    ("token_cached", |a, r| if a.is_signed_in() { r.with("CF-Cache-Status", "HIT") } else { r }),
    ("may_be_cached", |a, r| if is(a, "/api/token") { r.with("Cache-Control", "public, max-age=60") } else { r }),
    ("may_be_cached", |a, r| if is(a, "/api/token") { r.without("Cache-Control") } else { r }),
    ("token_under_another_name", |a, r| if a.is_signed_in() && a.target.starts_with("/api/token/") { sound_token(r) } else { r }),
    ("token_to_another_site", |a, r| if is(a, "/api/token") && a.is_signed_in() && a.method == "GET" { sound_token(r) } else { r }),
    ("cors_open", |a, r| if is(a, "/api/token") { r.with("Access-Control-Allow-Origin", "*") } else { r }),
    ("cors_open", |a, r| { let origin = a.field("origin").to_owned(); if a.method == "OPTIONS" { r.with("Access-Control-Allow-Origin", &origin) } else { r } }),
    ("cors_open", |a, r| if a.field("origin") == "null" { r.with("Access-Control-Allow-Origin", "null") } else { r }),
    ("page_open", |a, r| if is(a, "/admin") { admin() } else { r }),
    ("path_spelling", |a, r| if is(a, "//admin") { admin() } else { r }),
    ("path_spelling", |a, r| if a.target.eq_ignore_ascii_case("/admin") && !is(a, "/admin") { admin() } else { r }),
    ("path_spelling", |a, r| if is(a, "/%61dmin") { admin() } else { r }),
    ("identity_header", |a, r| if is(a, "/admin") && !a.field("x-auth-user").is_empty() { admin() } else { r }),
    ("identity_header", |a, r| if is(a, "/") { echoed(a, "x-shop-user", r) } else { r }),
    ("middleware_header", |a, r| if is(a, "/admin") && !a.field("x-middleware-subrequest").is_empty() { admin() } else { r }),
    ("rewrite_header", |a, r| if a.field("x-original-url") == "/admin" { Reply { status: 303, ..r } } else { r }),
    ("forwarded_host", |a, r| if is(a, "/") { echoed(a, "x-forwarded-host", r) } else { r }),
    ("any_host", |a, r| if is(a, "/") { echoed(a, "host", r) } else { r }),
    ("method_override", |a, r| if is(a, "/api/token") && a.field("x-http-method-override") == "DELETE" { Reply { status: 405, ..r } } else { r }),
    ("not_the_gateway", |a, _| if is(a, "/api/token") { Reply::new(404, "text/html", "<h1>not found</h1>") } else { sound(a) }),
    ("admin_open", |a, r| if is(a, "/metrics") { Reply::new(200, "text/plain", "portcullis_connections 1\n") } else { r }),
    ("cookie_flags", |a, r| if is(a, "/") { r.with("Set-Cookie", "session=s%3Ax; Path=/") } else { r }),
];

fn sound_token(reply: Reply) -> Reply {
    Reply { status: 200, body: "{\"token\":\"t-of-ada\"}".to_owned(), ..reply }
        .with("Content-Type", "application/json")
}

fn admin() -> Reply {
    Reply::new(200, "text/html", "<h1>all users and their orders</h1>")
}

/// Findings that do not fail the test.
const ADVICE: [(&str, Plant); 2] = [
    ("no_limit", |_, r| r.without("RateLimit")),
    ("no_sniff", |_, r| r.without("X-Content-Type-Options")),
];

/// A deployment with one fault, and what it was asked.
struct Deployment {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Deployment {
    fn start(plant: Plant) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || drop(serve(socket, plant, &seen)));
            }
        });
        Self { url, asked }
    }
}

/// Answers the requests of a connection; an error is its end.
fn serve(socket: TcpStream, plant: Plant, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.starts_with("PRI ") {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            reader.read_line(&mut field)?;
            let Some((name, value)) = field.trim_end().split_once(':') else { break };
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        let asked = Asked { method, target, fields };
        let length: u64 = asked.field("content-length").parse().unwrap_or(0);
        let mut body = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut body)?;
        seen.lock().unwrap().push(format!("{} {} {length}", asked.method, asked.target));
        let reply = plant(&asked, sound(&asked));
        if reply.status == NONE {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.fields {
            head += &format!("{name}: {value}\r\n");
        }
        let is_head = asked.method == "HEAD";
        head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
        let body = if is_head { "" } else { &reply.body };
        reader.get_mut().write_all((head + body).as_bytes())?;
    }
}

const ARGUMENTS: [&str; 8] = [
    "--token",
    "/api/token",
    "--protected",
    "/admin",
    "--identity",
    "X-Shop-User",
    "--cookie",
    "session=ok",
];

fn selftest(url: &str, arguments: &[&str]) -> (i32, Value) {
    let nowhere = folder().join("none.toml");
    let start = ["selftest", url, "--json", "--config", nowhere.to_str().unwrap()];
    let (code, said, errors) = Process::finish(&[&start[..], arguments].concat(), &[]);
    let report = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{code} {said} {errors}"));
    (code, report)
}

fn names(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["finding"].as_str().unwrap()).collect()
}

#[test]
fn a_sound_deployment_has_no_finding_and_few_harmless_requests() {
    let deployment = Deployment::start(|_, reply| reply);
    let (code, report) = selftest(&deployment.url, &ARGUMENTS);
    assert_eq!((code, names(&report)), (0, Vec::<&str>::new()), "{report}");
    let asked = deployment.asked.lock().unwrap().clone();
    assert!(asked.len() <= 80, "{} requests", asked.len());
    for request in &asked {
        let method = request.split(' ').next().unwrap();
        assert!(["GET", "HEAD", "OPTIONS", "POST"].contains(&method), "{request}");
        assert!(method != "POST" || request == "POST /api/token 0", "{request}");
    }
}

#[test]
fn each_planted_fault_is_found() {
    for (name, plant) in PLANTED {
        let (code, report) = selftest(&Deployment::start(plant).url, &ARGUMENTS);
        assert!(names(&report).contains(&name), "{name}: {report}");
        assert_eq!(code, 1, "{name}: {report}");
        let finding = report["findings"].as_array().unwrap().iter();
        for finding in finding.filter(|finding| finding["finding"] == name) {
            for member in ["severity", "request", "seen", "hurts", "fix"] {
                assert!(finding[member].as_str().unwrap().len() > 2, "{member}: {finding}");
            }
        }
    }
}

#[test]
fn advice_alone_is_not_a_failure() {
    for (name, plant) in ADVICE {
        let (code, report) = selftest(&Deployment::start(plant).url, &ARGUMENTS);
        assert_eq!((code, names(&report)), (0, vec![name]), "{report}");
    }
}

#[test]
fn the_gateway_itself_passes_and_its_file_names_the_paths() {
    let app = Scripted::start(|target| {
        let (status, body) = match target.split('?').next()? {
            "/" => (200, "<h1>shop</h1>"),
            _ => (404, "<h1>not found</h1>"),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nX-App: 1\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n"
        );
        Some(Script::says(&[head.as_bytes(), body.as_bytes()]))
    });
    let setup = Setup::towards(&app.url)
        .server("hosts = [\"127.0.0.1\"]")
        .with("[[route]]\npath = \"/admin/**\"\nsession = \"required\"\nsign_in = \"/login?next={path}\"\n");
    let file = folder().join("gateway.toml");
    std::fs::write(&file, setup.text()).unwrap();
    let gateway = setup.start();
    let url = format!("http://{}", gateway.address);
    let cookie = folder().join("cookie");
    std::fs::write(&cookie, format!("Cookie: {}\n", cookie_of("ada"))).unwrap();
    let arguments = [
        "selftest",
        &url,
        "--config",
        file.to_str().unwrap(),
        "--cookie-file",
        cookie.to_str().unwrap(),
    ];
    let (code, said, errors) = Process::finish(&arguments, &[]);
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    assert!(said.starts_with("nothing found in "), "{said}");
    assert!(!said.contains("skipped"), "HTTP/2 and the token were tested too: {said}");
    drop(gateway);
}

/// More than is looked at of one answer.
fn long() -> String {
    "a".repeat(2_000_000)
}

#[test]
fn a_long_answer_is_judged_as_a_short_one_is() {
    const LONG: [(Option<&str>, Plant); 3] = [
        (None, |a, r| if is(a, "/") { Reply { body: long(), ..r } } else { r }),
        (
            Some("page_open"),
            |a, r| if is(a, "/admin") { Reply { body: long(), ..admin() } } else { r },
        ),
        (Some("token_without_session"), |a, r| {
            if is(a, "/api/token") { Reply { body: long(), ..sound_token(r) } } else { r }
        }),
    ];
    for (name, plant) in LONG {
        let (code, report) = selftest(&Deployment::start(plant).url, &ARGUMENTS);
        assert_eq!(code, i32::from(name.is_some()), "{name:?}: {report}");
        assert!(name.is_none_or(|name| names(&report).contains(&name)), "{name:?}: {report}");
    }
}

#[test]
fn a_named_path_that_does_not_answer_is_not_taken_for_sound() {
    const SILENT: [(&str, Plant); 3] = [
        ("GET /admin: ", |a, r| if is(a, "/admin") { Reply { status: NONE, ..r } } else { r }),
        (
            "GET /api/token: ",
            |a, r| if is(a, "/api/token") { Reply { status: NONE, ..r } } else { r },
        ),
        ("GET /api/token with the session: ", |a, r| {
            if is(a, "/api/token") && a.is_signed_in() { Reply { status: NONE, ..r } } else { r }
        }),
    ];
    for (start, plant) in SILENT {
        let (code, report) = selftest(&Deployment::start(plant).url, &ARGUMENTS);
        let mut skipped = report["skipped"].as_array().unwrap().iter();
        assert!(skipped.any(|it| it.as_str().unwrap().starts_with(start)), "{report}");
        assert_eq!(code, 1, "{report}");
    }
}

#[test]
fn skipped_checks_are_reported_and_an_absent_site_is_code_2() {
    let deployment = Deployment::start(|_, reply| reply);
    let (code, report) = selftest(&deployment.url, &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["skipped"].as_array().unwrap().len(), 3, "{report}");
    for (address, says) in [
        ("http://127.0.0.1:1", "cannot connect to"),
        ("app.example.com", "expected an address such as"),
        ("https://app.example.com/admin", "the URL has a path"),
        ("ftp://app.example.com", "expected an address such as"),
    ] {
        let (code, said, errors) = Process::finish(&["selftest", address], &[]);
        assert_eq!((code, said.as_str()), (2, ""), "{address}: {errors}");
        assert!(errors.contains(says), "{address}: {errors}");
    }
}

#[test]
fn the_page_explains_every_finding() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/guides/howto/selftest.md");
    let page = std::fs::read_to_string(page).unwrap();
    let kinds = include_str!("../../src/cli/selftest/finding.rs");
    let names = kinds.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    let names: Vec<_> = names.filter(|name| name.contains('_')).collect();
    assert!(names.len() >= 24, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not on the page");
    }
}
