//! As `faults`, for apps that speak HTTP/2: a stream that fails is one request,
//! and takes no other with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use crate::support::http2::{self, ask, block_on};
use crate::support::{Gateway, Setup, get, post};

/// Requests as the app saw them.
#[derive(Clone, Default)]
struct Asked {
    connections: Arc<AtomicUsize>,
    posts: Arc<AtomicUsize>,
}

/// An app that speaks HTTP/2 only and misbehaves by path.
async fn app(asked: Asked) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            asked.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(socket, asked.clone()));
        }
    });
    url
}

async fn serve(socket: tokio::net::TcpStream, asked: Asked) {
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        if request.method() == http::Method::POST {
            asked.posts.fetch_add(1, Ordering::SeqCst);
        }
        let path = request.uri().path().to_owned();
        match path.as_str() {
            // The socket closes with the streams that are open.
            "/hang-up" => return,
            "/go-away" => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
            _ => drop(tokio::spawn(answer(path, request.into_body(), respond))),
        }
    }
}

async fn answer(path: String, body: RecvStream, mut respond: SendResponse<Bytes>) {
    let head = || http::Response::builder().header("x-app", "1");
    match path.as_str() {
        "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
        "/refuse" => respond.send_reset(Reason::REFUSED_STREAM),
        "/silence" => std::future::pending::<()>().await,
        "/reset-body" | "/silence-body" | "/short-body" => {
            let head = head().header("content-length", "1000").body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from_static(b"some"), path == "/short-body").unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            match path.as_str() {
                "/reset-body" => stream.send_reset(Reason::INTERNAL_ERROR),
                _ => std::future::pending::<()>().await,
            }
        }
        "/early" => {
            let head = head().status(413).body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from_static(b"early"), true).unwrap();
            drop(body);
        }
        _ => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(path.into(), true).unwrap();
        }
    }
}

/// Asks on the calling thread, as the apps run on another one.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[track_caller]
fn assert_recovered(gateway: &Gateway, after: &str) {
    for number in 0..3 {
        let path = format!("/number/{number}");
        assert_eq!(gateway.ask(&get(&path)).text(), path, "after {after}");
    }
}

fn gateway(url: &str) -> Gateway {
    Setup::towards(url).upstream("http2 = true\nread_timeout = \"1500ms\"").start()
}

#[test]
fn a_stream_that_fails_before_its_answer_is_502_or_504_once() {
    block_on(async {
        let asked = Asked::default();
        let url = app(asked.clone()).await;
        blocking(move || {
            let gateway = gateway(&url);
            for (path, status, code) in [
                ("/reset", 502, "upstream_failed"),
                ("/refuse", 502, "upstream_failed"),
                ("/hang-up", 502, "upstream_failed"),
                ("/go-away", 502, "upstream_failed"),
                ("/silence", 504, "timeout"),
            ] {
                for request in [get(path), post(path, b"abc")] {
                    let mut conn = gateway.connect();
                    conn.write(&request.bytes());
                    conn.response_to(&request.method).assert_refused(status, code);
                    assert!(conn.is_closed(), "{path}: there is no second answer");
                    assert_recovered(&gateway, path);
                }
                block_on(async {
                    let client = http2::open(&gateway.address).await;
                    let answer = ask(&client, http2::request("GET", path), &[]).await.unwrap();
                    answer.assert_refused(status, code);
                });
                assert_recovered(&gateway, path);
            }
        })
        .await;
        // What the app refuses unhandled goes out as often as the framework tries.
        assert_eq!(asked.posts.load(Ordering::SeqCst), 4 + 8, "no other is repeated");
    });
}

#[test]
fn a_stream_that_fails_in_its_answer_never_looks_whole() {
    block_on(async {
        let url = app(Asked::default()).await;
        blocking(move || {
            let gateway = gateway(&url);
            for path in ["/reset-body", "/silence-body", "/short-body"] {
                let mut conn = gateway.connect();
                conn.write(&get(path).bytes());
                let head = conn.next_head().unwrap();
                assert_eq!(
                    (head.status, head.header("content-length")),
                    (200, Some("1000")),
                    "{path}"
                );
                assert!(b"some".starts_with(&conn.rest()), "{path}");
                block_on(async {
                    let client = http2::open(&gateway.address).await;
                    let answer = ask(&client, http2::request("GET", path), &[]).await;
                    assert!(answer.is_err(), "{path}: {answer:?}");
                });
                assert_recovered(&gateway, path);
            }
        })
        .await;
    });
}

#[test]
fn an_early_answer_and_parallel_streams_stay_apart() {
    block_on(async {
        let asked = Asked::default();
        let url = app(asked.clone()).await;
        blocking(move || {
            let gateway = gateway(&url);
            let answer = gateway.ask(&post("/early", &[b'x'; 10_000]));
            assert_eq!((answer.status, answer.text().as_str()), (413, "early"));
            std::thread::scope(|scope| {
                for client in 0..8 {
                    let gateway = &gateway;
                    scope.spawn(move || {
                        for number in (client..400).step_by(8) {
                            if number % 4 == 0 {
                                assert_eq!(gateway.ask(&get("/reset")).status, 502);
                            }
                            let path = format!("/number/{number}");
                            assert_eq!(gateway.ask(&get(&path)).text(), path);
                        }
                    });
                }
            });
        })
        .await;
        let connections = asked.connections.load(Ordering::SeqCst);
        assert!(connections < 20, "requests share connections: {connections}");
    });
}
