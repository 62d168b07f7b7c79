//! A bench for malformed requests: sends one, checks what became of it, and that
//! the next request of somebody else is still in order.

use super::client::find;
use super::{App, Gateway, Response, Setup, get};

/// The expected outcome of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expect {
    /// 4xx, and the app hears nothing.
    Refused,
    /// 4xx or no answer; the app may have seen the head before the body broke.
    Broken,
    /// One answer; the app sees one request.
    Passed,
}
use Expect::{Broken, Passed, Refused};

const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\nX-Auth-User: root\r\n\r\n";

/// A head for `path` with these fields after `Host`.
pub(crate) fn head(method: &str, path: &str, fields: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: app.test\r\n").into_bytes();
    bytes.extend_from_slice(fields);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

pub(crate) struct Bench {
    app: App,
    gateway: Gateway,
    /// How often the app may and did see each case. A request that is given up in the middle may
    /// reach the app after its case is judged, and counts for its own case then.
    sightings: Vec<Sightings>,
}

#[derive(Clone, Copy, Default)]
struct Sightings {
    most: usize,
    seen: usize,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let app = App::start();
        let gateway = Setup::new(&app).start();
        Self { app, gateway, sightings: Vec::new() }
    }

    /// Sends one case, followed by what must never be taken for a request.
    fn run(&mut self, name: &str, bytes: &[u8], expect: Expect) {
        let bytes = self.numbered(bytes, usize::from(expect != Refused));
        let mut conn = self.gateway.connect();
        drop(conn.try_write(&[&bytes, SMUGGLED].concat()));
        let answer = conn.try_response_to("GET");
        conn.try_finish();
        let rest = conn.rest();
        let context = format!("{name}: {answer:?} then {:?}", String::from_utf8_lossy(&rest));
        match expect {
            Refused => assert!(answer.as_ref().is_some_and(is_refusal), "{context}"),
            Broken => assert!(
                answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)),
                "{context}"
            ),
            Passed => {
                let status = answer.as_ref().map(|answer| answer.status);
                assert!(matches!(status, Some(200 | 401)), "{context}");
            }
        }
        self.judge_what_the_app_saw(&context);
        self.still_in_order(name);
    }

    /// Sends one case whole, and then octet by octet.
    pub(crate) fn in_every_way(&mut self, name: &str, bytes: &[u8], expect: Expect) {
        self.run(name, bytes, expect);
        let has_body = bytes.windows(4).position(|it| it == b"\r\n\r\n") != Some(bytes.len() - 4);
        let bytes = self.numbered(bytes, usize::from(expect == Passed || has_body));
        let mut conn = self.gateway.connect();
        // The gateway may end the connection before the last octet is sent, and so its answer
        // may be lost.
        let sent = bytes.iter().all(|octet| conn.try_write(&[*octet]).is_ok());
        let answer = if sent { conn.try_response_to("GET") } else { None };
        drop(conn);
        let name = format!("{name}, octet by octet: {answer:?}");
        match expect {
            Refused | Broken => {
                // The token endpoint may have answered before the body broke.
                let is_final = |it: &Response| it.all("connection") == ["close"];
                let is_over = |it: &Response| is_refusal(it) || it.status == 401 && is_final(it);
                assert!(answer.as_ref().is_none_or(is_over), "{name}");
            }
            Passed => {
                // The token endpoint answers 401 before the body has come, and hangs up.
                let is_early = String::from_utf8_lossy(&bytes).contains(" /api/get-auth-token ");
                let is_fine = |it: Response| matches!(it.status, 200 | 401);
                assert!(answer.map_or(is_early, is_fine), "{name}");
            }
        }
        self.judge_what_the_app_saw(&name);
        self.still_in_order(&name);
    }

    /// The case with its number in its first head, which the app may see so often.
    fn numbered(&mut self, bytes: &[u8], most: usize) -> Vec<u8> {
        const HOST: &[u8] = b"\r\nHost: app.test";
        let number = self.sightings.len();
        self.sightings.push(Sightings { most, seen: 0 });
        let Some(at) = find(bytes, HOST) else { return bytes.to_vec() };
        [&bytes[..at], format!("\r\nX-Case: {number}").as_bytes(), &bytes[at..]].concat()
    }

    fn judge_what_the_app_saw(&mut self, context: &str) {
        let last = self.sightings.len() - 1;
        for request in self.app.take_seen() {
            let text = String::from_utf8_lossy(&request.head);
            assert!(!text.contains("smuggled") && !text.contains("root"), "{context}: {text}");
            let lengths = request.all("content-length").len();
            let codings = request.all("transfer-encoding").len();
            assert!(lengths + codings <= 1, "{context}: {text}");
            if request.path().starts_with("/after/") {
                continue;
            }
            // A head without a host has no number either; it is of the case that was just sent.
            let number = request.one("x-case").map(|it| it.parse().unwrap());
            let case = &mut self.sightings[number.unwrap_or(last)];
            case.seen += 1;
            assert!(case.seen <= case.most, "{context}: the app saw {text}");
        }
    }

    /// The next request of somebody else gets its own answer.
    fn still_in_order(&mut self, after: &str) {
        let target = format!("/after/{}", self.sightings.len());
        let answer = self.gateway.ask(&get(&target));
        assert_eq!(answer.json()["target"], target, "after {after}");
    }

    /// Every case for the app and for the token endpoint.
    pub(crate) fn fields(&mut self, cases: &[(&str, &[u8], &[u8], Expect)]) {
        for (name, fields, body, expect) in cases {
            for path in ["/f", "/api/get-auth-token"] {
                let bytes = [&head("POST", path, fields)[..], body].concat();
                self.run(&format!("{name} on {path}"), &bytes, *expect);
            }
        }
    }

    pub(crate) fn whole(&mut self, cases: &[(&str, &[u8], Expect)]) {
        for (name, bytes, expect) in cases {
            self.run(name, bytes, *expect);
        }
    }
}

fn is_refusal(answer: &Response) -> bool {
    (400..500).contains(&answer.status) && answer.status != 401
}
