//! Who does not read, and who is not read, holds up nobody else: streams share
//! an HTTP/2 connection, and no more than that.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};

use crate::support::http2::{ask, block_on, open, request};
use crate::support::{App, Gateway, Setup, get};

/// Sends until nobody takes any more.
async fn fill(stream: &mut SendStream<Bytes>) -> usize {
    let mut sent = 0;
    loop {
        stream.reserve_capacity(16 * 1024);
        let capacity = poll_fn(|context| stream.poll_capacity(context));
        match tokio::time::timeout(Duration::from_millis(300), capacity).await {
            Ok(capacity) => {
                let length = capacity.unwrap().unwrap();
                sent += length;
                stream.send_data(vec![b'u'; length].into(), false).unwrap();
            }
            Err(_) => return sent,
        }
    }
}

#[test]
fn an_unread_upload_stops_no_other_upload() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        let mut stalled = Vec::new();
        for _ in 0..3 {
            let mut client = client.clone().ready().await.unwrap();
            let upload = request("POST", "/do/late-upload").body(()).unwrap();
            let (answer, mut stream) = client.send_request(upload, false).unwrap();
            let sent = fill(&mut stream).await;
            stalled.push((answer, stream, sent));
        }
        for number in 0..5 {
            let upload = request("POST", &format!("/{number}"));
            let answer = ask(&client, upload, &[&[b'x'; 10_000], b"end"]).await.unwrap();
            assert_eq!(answer.json()["target"], format!("/{number}"));
        }
        app.open_gate();
        for (answer, mut stream, sent) in stalled {
            stream.send_data(Bytes::new(), true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            let length = body.data().await.unwrap().unwrap();
            assert_eq!(length, sent.to_string(), "all of it arrived");
        }
    });
}

#[test]
fn many_small_frames_at_once_are_not_a_flood() {
    const FRAMES: usize = 8_000;
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let mut client = open(&gateway.address).await.ready().await.unwrap();
        let upload = request("POST", "/do/late-upload").body(()).unwrap();
        let (answer, mut stream) = client.send_request(upload, false).unwrap();
        for frame in 0..FRAMES {
            stream.send_data(Bytes::from_static(b"message"), frame + 1 == FRAMES).unwrap();
        }
        // All of them are waiting at the gateway, or as many as it takes.
        let page = ask(&client, request("GET", "/x"), &[]).await.unwrap();
        assert_eq!(page.status, 200);
        app.open_gate();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), (FRAMES * 7).to_string());
    });
}

/// An app that speaks HTTP/2 only: `/large` and `/small` go on for ever, in large
/// or in small pieces, any other path is answered with itself.
async fn app() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let path = request.uri().path().to_owned();
                    let head = http::Response::builder().header("x-app", "1").body(()).unwrap();
                    let mut stream = respond.send_response(head, false).unwrap();
                    match path.as_str() {
                        "/large" => drop(tokio::spawn(endless(stream, 16 * 1024))),
                        "/small" => drop(tokio::spawn(endless(stream, 10))),
                        _ => stream.send_data(path.into(), true).unwrap(),
                    }
                }
            });
        }
    });
    url
}

async fn endless(mut stream: SendStream<Bytes>, size: usize) {
    let piece = Bytes::from(vec![b'd'; size]);
    loop {
        stream.reserve_capacity(size);
        while stream.capacity() < size {
            if !matches!(poll_fn(|context| stream.poll_capacity(context)).await, Some(Ok(_))) {
                return;
            }
        }
        if stream.send_data(piece.clone(), false).is_err() {
            return;
        }
        // Each piece is a frame of its own.
        tokio::task::yield_now().await;
    }
}

/// A client that asks and does not read.
async fn stalled(gateway: &Gateway, path: &str) -> (SendRequest<Bytes>, RecvStream) {
    let mut client = open(&gateway.address).await.ready().await.unwrap();
    let (answer, _) = client.send_request(request("GET", path).body(()).unwrap(), true).unwrap();
    let body = answer.await.unwrap().into_body();
    (client, body)
}

#[test]
fn clients_that_do_not_read_stop_no_other_answer_of_the_same_app() {
    block_on(async {
        let gateway = Setup::towards(&app().await).upstream("http2 = true").start();
        for path in ["/large", "/small"] {
            let mut waiting = Vec::new();
            for _ in 0..3 {
                waiting.push(stalled(&gateway, path).await);
            }
            // Until nothing more fits anywhere.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let client = open(&gateway.address).await;
            for number in 0..5 {
                let path = format!("/number/{number}");
                let answer = ask(&client, request("GET", &path), &[]).await.unwrap();
                assert_eq!(answer.text(), path);
            }
            for (_, body) in &mut waiting {
                let piece = body.data().await.unwrap();
                assert!(piece.is_ok_and(|piece| piece[0] == b'd'), "{path} goes on");
            }
        }
        tokio::task::spawn_blocking(move || {
            assert_eq!(gateway.ask(&get("/number/9")).text(), "/number/9");
        })
        .await
        .unwrap();
    });
}
