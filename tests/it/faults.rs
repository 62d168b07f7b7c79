//! Whatever an app does to its connection: the right status, once, to the one who
//! asked, and the next request is served as if nothing had been.

use crate::support::faults::{Fault, HEAD, before_the_head, in_the_body, ok, with_a_surplus};
use crate::support::http2::{ask, block_on, open, request};
use crate::support::running::Running;
use crate::support::{
    App, Conn, Gateway, Request, Response, Script, Scripted, Setup, eventually, find, get,
    numbered, post, token_of,
};

/// An app with these faults, each at a path of its own.
fn app(faults: &[Fault]) -> Scripted {
    let scripts: Vec<_> = faults.iter().map(|(_, script)| script.clone()).collect();
    Scripted::start(move |target| scripts.get(place(target)?).cloned())
}

fn path(index: usize) -> String {
    format!("/fault/{index}")
}

fn place(target: &str) -> Option<usize> {
    target.strip_prefix("/fault/")?.parse().ok()
}

fn gateway(app: &Scripted) -> Gateway {
    Setup::towards(&app.url).start()
}

/// Tries faults that take their time, all at once.
fn at_once(faults: &[Fault], attempt: impl Fn(usize, &str) + Sync) {
    std::thread::scope(|scope| {
        for (index, (name, _)) in faults.iter().enumerate() {
            let attempt = &attempt;
            scope.spawn(move || attempt(index, name));
        }
    });
}

/// Does not wait long for an app that says nothing.
fn impatient(app: &Scripted) -> Gateway {
    Setup::towards(&app.url).upstream("read_timeout = \"1500ms\"").start()
}

/// The app is as good as new, on whatever connections are left.
#[track_caller]
fn assert_recovered(gateway: &Gateway, after: &str) {
    let mut conn = gateway.connect();
    for number in 0..3 {
        let answer = conn.ask(&numbered(number));
        assert_eq!((answer.status, answer.text()), (200, format!("/number/{number}")), "{after}");
    }
}

/// Over HTTP/2; `None` if the stream ended before the answer was whole.
fn over_http2(gateway: &Gateway, path: &str) -> Option<Response> {
    block_on(async {
        let client = open(&gateway.address).await;
        let answer = ask(&client, request("GET", path), &[]).await.ok();
        let next = ask(&client, request("GET", "/number/7"), &[]).await;
        assert_eq!(next.unwrap().text(), "/number/7", "the connection's other streams go on");
        answer
    })
}

/// The answer in all that came over a connection; `None` if it broke off.
#[track_caller]
fn whole(bytes: &[u8]) -> Option<Response> {
    let end = find(bytes, b"\r\n\r\n").expect("no head") + 4;
    let (head, mut rest) = bytes.split_at(end);
    let mut answer = Response::parse(head).unwrap();
    if answer.status < 200 {
        return whole(rest);
    }
    assert!(find(rest, b"HTTP/1.").is_none(), "two answers: {:?}", String::from_utf8_lossy(bytes));
    let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
    if let Some(length) = length {
        answer.body = rest.to_vec();
        return (rest.len() == length).then_some(answer);
    }
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    loop {
        let line = find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = rest[line + 2..].get(..size + 2)?.strip_suffix(b"\r\n").unwrap();
        if size == 0 {
            return Some(answer);
        }
        answer.body.extend_from_slice(chunk);
        rest = &rest[line + 2 + size + 2..];
    }
}

/// A request that may be repeated is, if a kept connection ended without a word:
/// it may have ended before.
#[track_caller]
fn assert_asked_once(app: &Scripted, index: usize, name: &str) {
    let times = |method| app.times(method, &path(index));
    assert!(matches!(times("GET"), 1 | 2), "an app that {name}: {}", times("GET"));
    assert_eq!(times("POST"), 1, "an app that {name}");
}

#[test]
fn without_a_head_the_answer_is_502_once() {
    let faults = before_the_head();
    let app = app(&faults);
    let gateway = gateway(&app);
    for (index, (name, _)) in faults.iter().enumerate() {
        for ask in [get(&path(index)), post(&path(index), b"abc")] {
            let mut conn = gateway.connect();
            conn.write(&ask.bytes());
            let answer = conn.response_to(&ask.method);
            assert_eq!(answer.status, 502, "an app that {name}: {answer:?}");
            answer.assert_refused(502, "upstream_failed");
            assert!(conn.is_closed(), "an app that {name}: there is no second answer");
        }
        assert_asked_once(&app, index, name);
        let answer = over_http2(&gateway, &path(index)).expect(name);
        answer.assert_refused(502, "upstream_failed");
        assert_recovered(&gateway, name);
    }
    let lines = faults.len() * 3;
    eventually("one line for each", || {
        gateway.log().iter().filter(|line| line["status"] == 502).count() == lines
    });
}

#[test]
fn a_head_that_cannot_be_read_is_not_repeated_in_the_log() {
    let secret = format!("Set-Cookie: session={}\r\nBad\x01Name: x\r\n", token_of("ada"));
    let app = app(&[("gives a session away", Script::says(&[&ok(&secret, "")]))]);
    let gateway = gateway(&app);
    gateway.ask(&get(&path(0))).assert_refused(502, "upstream_failed");
    // Looks for tokens in all that was said.
    drop(gateway);
}

#[test]
fn a_head_that_does_not_come_in_time_is_504_once() {
    let faults = [
        ("is silent", Script::says(&[]).falls_silent()),
        ("is silent with the request unread", Script::says(&[]).without_reading().falls_silent()),
        ("falls silent in the head", Script::says(&[HEAD]).falls_silent()),
        ("falls silent after hints", {
            Script::says(&[b"HTTP/1.1 103 Early Hints\r\n\r\n"]).falls_silent()
        }),
    ];
    let app = app(&faults);
    let gateway = impatient(&app);
    at_once(&faults, |index, name| {
        for ask in [get(&path(index)), post(&path(index), b"abc")] {
            let mut conn = gateway.connect();
            conn.write(&ask.bytes());
            let answer = conn.response_to(&ask.method);
            assert_eq!(answer.status, 504, "an app that {name}: {answer:?}");
            answer.assert_refused(504, "timeout");
            assert!(conn.is_closed(), "an app that {name}: there is no second answer");
        }
        over_http2(&gateway, &path(index)).expect(name).assert_refused(504, "timeout");
        assert_recovered(&gateway, name);
    });
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    let faults = in_the_body();
    let app = app(&faults);
    let gateway = impatient(&app);
    at_once(&faults, |index, name| {
        let mut conn = gateway.connect();
        conn.write(&get(&path(index)).bytes());
        let bytes = conn.rest();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "an app that {name}: {text}");
        assert!(text.contains("some"), "an app that {name}: what came is passed on: {text}");
        assert!(whole(&bytes).is_none(), "an app that {name}: {text}");
        assert!(over_http2(&gateway, &path(index)).is_none(), "an app that {name}");
        assert_eq!(app.times("GET", &path(index)), 2, "an app that {name} is not asked again");
        assert_recovered(&gateway, name);
    });
}

#[test]
fn slow_and_half_closed_answers_are_whole() {
    let answers = [
        ("drips", Script::dripping(&ok("Content-Length: 4\r\n", "some"))),
        ("drips chunks", {
            Script::dripping(&ok(
                "Transfer-Encoding: chunked\r\n",
                "2\r\nso\r\n2\r\nme\r\n0\r\n\r\n",
            ))
        }),
        ("drips to the end", Script::dripping(&ok("", "some")).closes()),
        ("says nothing more will come", {
            Script::says(&[&ok("Content-Length: 4\r\n", "some")]).half_closes()
        }),
        ("ends with saying so", Script::says(&[&ok("", "some")]).half_closes()),
    ];
    let app = app(&answers);
    let gateway = gateway(&app);
    for (index, (name, _)) in answers.iter().enumerate() {
        let answer = gateway.ask(&get(&path(index)));
        assert_eq!((answer.status, answer.text().as_str()), (200, "some"), "an app that {name}");
        let answer = over_http2(&gateway, &path(index)).expect(name);
        assert_eq!((answer.status, answer.text().as_str()), (200, "some"), "an app that {name}");
        assert_recovered(&gateway, name);
    }
}

#[test]
fn bytes_after_an_apps_answer_answer_no_other_request() {
    let surplus = with_a_surplus();
    let faults: Vec<Fault> =
        surplus.iter().map(|(name, .., script)| (*name, script.clone())).collect();
    let app = app(&faults);
    let gateway = gateway(&app);
    for (index, (name, method, status, body, _)) in surplus.iter().enumerate() {
        for _ in 0..5 {
            let mut conn = gateway.connect();
            let before = app.answered();
            let answer = conn.ask(&Request::new(method, &path(index)));
            assert_eq!((answer.status, answer.text().as_str()), (*status, *body), "{name}");
            eventually("what is late has come", || app.answered() > before);
            for number in 0..3 {
                let answer = conn.ask(&numbered(number));
                assert_eq!(answer.text(), format!("/number/{number}"), "an app that {name}");
            }
            assert_recovered(&gateway, name);
        }
        let answer = block_on(async {
            let client = open(&gateway.address).await;
            ask(&client, request(method, &path(index)), &[]).await.unwrap()
        });
        assert_eq!((answer.status, answer.text().as_str()), (*status, *body), "{name}");
        assert_recovered(&gateway, name);
    }
}

#[test]
fn an_answer_may_come_before_the_upload_is_over() {
    const REFUSAL: &[u8] = b"HTTP/1.1 413 Too Large\r\nX-App: 1\r\nContent-Length: 4\r\n\r\nsome";
    let answers = [
        ("keeps the connection", Script::says(&[REFUSAL]).without_reading().falls_silent()),
        ("says nothing more will come", Script::says(&[REFUSAL]).without_reading().half_closes()),
        ("hangs up", Script::says(&[REFUSAL]).without_reading().closes()),
    ];
    let app = app(&answers);
    let gateway = gateway(&app);
    for (index, (name, _)) in answers.iter().enumerate() {
        for size in [100_000, 8 << 20] {
            let mut conn = gateway.connect();
            let upload = Request::new("POST", &path(index));
            conn.write(&upload.header("Content-Length", &size.to_string()).bytes());
            conn.write_patience(Some(std::time::Duration::from_millis(200)));
            // The rest of it nobody may want any more.
            let _ = conn.try_write(&vec![b'u'; size / 2]);
            let answer = conn.response_to("POST");
            // A hang-up with unread bytes is a reset, which may overtake the answer.
            let is_reset = *name == "hangs up" && answer.status == 502;
            assert!(is_reset || answer.status == 413, "an app that {name}: {answer:?}");
            drop(conn);
            assert_recovered(&gateway, name);
        }
    }
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

/// Of every kind one, chosen by the number: nine in ten are broken.
fn any_of(faults: &[Fault], number: usize) -> Option<Script> {
    (!number.is_multiple_of(10)).then(|| faults[number % faults.len()].1.clone())
}

/// The answers allowed for the request of this number.
fn assert_own(number: usize, status: u16, body: &str) {
    let own = format!("/fault/{number}");
    assert!(
        status == 502 || status == 504 || body == own || body == "some",
        "{number}: {status} {body:?}"
    );
    assert!(
        !number.is_multiple_of(10) || (status, body) == (200, &own),
        "{number}: {status} {body}"
    );
}

#[test]
fn among_many_faults_at_once_each_client_gets_its_own_answer() {
    const REQUESTS: usize = 600;
    const CLIENTS: usize = 8;
    let mut faults = before_the_head();
    faults.retain(|(name, _)| !name.contains("endless"));
    faults.extend(in_the_body());
    let surplus = with_a_surplus().into_iter();
    let surplus = surplus.filter(|(name, method, ..)| *method == "GET" && !name.contains("late"));
    faults
        .extend(surplus.filter(|(_, _, status, ..)| *status == 200).map(|(name, .., s)| (name, s)));
    let app = Scripted::start(move |target| any_of(&faults, place(target)?));
    let gateway = impatient(&app);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in (client..REQUESTS).step_by(CLIENTS) {
                    let mut conn = gateway.connect();
                    conn.write(&get(&path(number)).header("Connection", "close").bytes());
                    match whole(&conn.rest()) {
                        Some(answer) => assert_own(number, answer.status, &answer.text()),
                        None => assert_ne!(number % 10, 0, "{number} was not answered"),
                    }
                }
            });
        }
    });
    for number in (0..REQUESTS).step_by(10) {
        assert_eq!(app.times("GET", &path(number)), 1, "{number} was asked once");
    }
    assert_recovered(&gateway, "all of it");
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

#[test]
fn a_client_that_hangs_up_is_a_line_of_the_access_log_and_no_error() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app));
    let mut conn = Conn::open(&running.address);
    conn.write(&get("/do/halves").user("ada").bytes());
    app.wait_for(1);
    // What was sent and is not read makes it a reset.
    drop(conn);
    eventually("the line", || running.process.output().contains("client_gone"));
    app.open_gate();
    let errors = running.process.errors();
    assert!(!errors.contains("\"level\":\"ERROR\""), "{errors}");
}
