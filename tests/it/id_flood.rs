//! Made-up session ids: each is a question to the app, and users are not to notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{App, Conn, Gateway, SESSION_SECRET, Setup, get};

/// A session check that answers one question after another, each after a while.
struct SlowCheck {
    address: String,
    asked: &'static AtomicUsize,
    /// Questions before that of a signed-in user as they came, at most.
    before_users: &'static AtomicUsize,
}

const SLOW: Duration = Duration::from_millis(10);

impl SlowCheck {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let [asked, waiting, before_users]: [&'static AtomicUsize; 3] =
            std::array::from_fn(|_| &*Box::leak(Box::default()));
        // One after the other, in the order they came.
        let (ask, questions) = std::sync::mpsc::channel::<std::sync::mpsc::Sender<()>>();
        std::thread::spawn(move || {
            for asked in questions {
                std::thread::sleep(SLOW);
                waiting.fetch_sub(1, Ordering::SeqCst);
                // Whoever asked may have given up.
                let _ = asked.send(());
            }
        });
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let ask = ask.clone();
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut piece = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut piece) {
                        head.extend_from_slice(&piece[..length]);
                        if !head.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let text = String::from_utf8_lossy(&head).into_owned();
                        head.clear();
                        asked.fetch_add(1, Ordering::SeqCst);
                        let (turn, is_mine) = std::sync::mpsc::channel();
                        let before = waiting.fetch_add(1, Ordering::SeqCst);
                        ask.send(turn).unwrap();
                        is_mine.recv().unwrap();
                        let is_user = text.contains("sid=valid-");
                        if is_user {
                            before_users.fetch_max(before, Ordering::SeqCst);
                        }
                        let body = if is_user { r#"{"id":"ada"}"# } else { "" };
                        let status = if body.is_empty() { "401 Unauthorized" } else { "200 OK" };
                        let answer = format!(
                            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, asked, before_users }
    }
}

fn gateway(app: &App, check: &SlowCheck) -> Gateway {
    let text = Setup::new(app).server("trusted_proxies = [\"127.0.0.1\"]").text().replace(
        &format!("kind = \"jwt\"\ncookie = \"session\"\nsecret = \"{SESSION_SECRET}\"\n"),
        &format!(
            "kind = \"introspect\"\ncookies = [\"sid\"]\nuser_id = \"/id\"\ncache_seconds = 0\n\
             url = \"http://{}/me\"\n",
            check.address
        ),
    );
    Setup::new(app).replaced_by(text).start()
}

fn token(gateway: &Gateway, id: &str, from: &str) -> u16 {
    let request = get("/api/get-auth-token")
        .header("Cookie", &format!("sid={id}"))
        .header("X-Forwarded-For", from);
    gateway.ask(&request).status
}

#[test]
fn a_flood_of_made_up_ids_leaves_signed_in_users_their_answers() {
    let (app, check) = (App::start(), SlowCheck::start());
    let gateway = gateway(&app, &check);
    assert_eq!(token(&gateway, "valid-ada", "192.0.2.1"), 200);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Three hundred at once would keep the check busy for three seconds, longer than
        // a question may take.
        for number in 0..300 {
            let (stop, gateway) = (&stop, &gateway);
            scope.spawn(move || {
                let mut conn = Conn::open(&gateway.address);
                for round in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let request = get("/api/get-auth-token")
                        .header("Cookie", &format!("sid=made-up-{number}-{round}"))
                        .header("X-Forwarded-For", &format!("198.51.100.{}", number % 250));
                    let status = conn.ask(&request).status;
                    assert!(matches!(status, 401 | 429 | 503), "{status}");
                }
            });
        }
        while check.asked.load(Ordering::SeqCst) < 40 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let asked_before = check.asked.load(Ordering::SeqCst);
        let began = Instant::now();
        let mut took: Vec<Duration> = (0..20)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(token(&gateway, "valid-ada", "192.0.2.1"), 200);
                began.elapsed()
            })
            .collect();
        let rate = (check.asked.load(Ordering::SeqCst) - asked_before) as f64
            / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::SeqCst);
        took.sort();
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "300 connections with made-up ids: a signed-in user's answer takes {median:?} \
             (worst of 20: {worst:?}), the check is asked {rate:.0} times a second"
        );
    });
    // Three hundred before her would be three seconds. The places for unknown ids are 32, so
    // what may stand before her question takes a third of one.
    let before = check.before_users.load(Ordering::SeqCst);
    assert!(before <= 40, "{before} questions stood before hers");
    assert!(gateway.metric("portcullis_session_questions_held_back_total") > 0);
}
