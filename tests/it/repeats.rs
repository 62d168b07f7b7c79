//! Requests that the app has not begun to handle: they go out once more, whatever their
//! method.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::http2::{HEADERS, HELLO, block_on, frame};
use crate::support::{Conn, Gateway, Request, Scripted, Setup, get, post};

/// Each on a connection of its own, all at once; returns the connections.
fn ask_at_once(gateway: &Gateway, requests: &[Request]) -> Vec<Conn> {
    let barrier = Barrier::new(requests.len());
    std::thread::scope(|scope| {
        let asking = requests.iter().map(|request| {
            let (barrier, mut conn) = (&barrier, gateway.connect());
            scope.spawn(move || {
                barrier.wait();
                assert_eq!(conn.ask(request).status, 200);
                conn
            })
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    })
}

#[test]
fn a_connection_that_the_gateway_closes_fails_no_request() {
    const IDLE: Duration = Duration::from_millis(150);
    const CLIENTS: usize = 16;
    let app = Scripted::start(|_| None);
    let gateway = Setup::towards(&app.url).upstream("idle_timeout = \"150ms\"").start();
    let requests: Vec<_> = (0..CLIENTS).map(|_| post("/first", b"abc")).collect();
    for _ in 0..8 {
        let conns = ask_at_once(&gateway, &requests);
        std::thread::scope(|scope| {
            for (number, mut conn) in conns.into_iter().enumerate() {
                scope.spawn(move || {
                    // Around the end of the idle time, a quarter of a millisecond apart.
                    let offset = Duration::from_micros(250) * u32::try_from(number).unwrap();
                    std::thread::sleep(IDLE - Duration::from_millis(2) + offset);
                    assert_eq!(conn.ask(&post("/second", b"abc")).status, 200);
                });
            }
        });
    }
    assert_eq!(app.times("POST", "/second"), 8 * CLIENTS, "each is handled once");
}

#[test]
fn a_request_that_may_be_repeated_finds_a_connection_after_many_that_were_closed() {
    const KEPT: usize = 30;
    // Closes without a word when it is asked a second time on one connection.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || serve_once(socket, &counted));
        }
    });
    let gateway = Setup::towards(&url).start();
    let requests: Vec<_> = (0..KEPT).map(|_| get("/first")).collect();
    drop(ask_at_once(&gateway, &requests));
    let mut conn = gateway.connect();
    for _ in 0..3 {
        assert_eq!(conn.ask(&get("/second")).status, 200);
    }
    assert_eq!(answered.load(Ordering::SeqCst), KEPT + 3);
}

fn serve_once(mut socket: std::net::TcpStream, answered: &AtomicUsize) {
    use std::io::{Read as _, Write as _};
    let mut bytes = [0; 4096];
    if socket.read(&mut bytes).unwrap_or_default() == 0 {
        return;
    }
    // Long enough for all clients to need a connection of their own.
    std::thread::sleep(Duration::from_millis(50));
    answered.fetch_add(1, Ordering::SeqCst);
    socket.write_all(b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 2\r\n\r\nok").unwrap();
    // The next request is read, and not answered.
    drop(socket.read(&mut bytes));
}

/// How an app turns the first stream of a connection away.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// The stream is refused (RFC 9113 section 8.7).
    Refused,
    /// The app goes away before it (section 6.8).
    Gone,
    /// It is reset while it is handled.
    Reset,
    /// The app goes away after it, and hangs up without an answer.
    GoneLater,
}

/// An app that turns the first stream away and answers all others.
async fn app(away: Away) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut first = Some(away);
        while let Ok((socket, _)) = listener.accept().await {
            match first.take() {
                Some(Away::Gone) => drop(tokio::spawn(go_away(socket, 0))),
                Some(Away::GoneLater) => drop(tokio::spawn(go_away(socket, 1))),
                Some(Away::Refused) => {
                    drop(tokio::spawn(answer(socket, Some(Reason::REFUSED_STREAM))));
                }
                Some(Away::Reset) => {
                    drop(tokio::spawn(answer(socket, Some(Reason::INTERNAL_ERROR))));
                }
                None => drop(tokio::spawn(answer(socket, None))),
            }
        }
    });
    url
}

/// Waits for a stream, names the `last` one and hangs up.
async fn go_away(mut socket: TcpStream, last: u8) {
    const GO_AWAY: u8 = 7;
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let preface = HELLO.len() - SETTINGS.len();
    socket.write_all(SETTINGS).await.unwrap();
    socket.read_exact(&mut vec![0; preface]).await.unwrap();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        socket.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    socket.write_all(&frame(GO_AWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0])).await.unwrap();
    socket.shutdown().await.unwrap();
    while socket.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {}
}

async fn answer(socket: TcpStream, mut reset: Option<Reason>) {
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        if let Some(reason) = reset.take() {
            respond.send_reset(reason);
            continue;
        }
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut all = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).unwrap();
                all.extend_from_slice(&data);
            }
            let head = http::Response::builder().header("x-app", "1").body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from(all), true).unwrap();
        });
    }
}

#[test]
fn a_stream_that_the_app_turns_away_is_opened_once_more() {
    for (away, status) in
        [(Away::Refused, 200), (Away::Gone, 200), (Away::Reset, 502), (Away::GoneLater, 502)]
    {
        block_on(async {
            let url = app(away).await;
            tokio::task::spawn_blocking(move || {
                let gateway = Setup::towards(&url).upstream("http2 = true").start();
                let mut conn = gateway.connect();
                let answer = conn.ask(&post("/x", b"abc"));
                assert_eq!(answer.status, status, "{away:?}");
                if status == 200 {
                    assert_eq!(answer.text(), "abc", "{away:?}");
                }
            })
            .await
            .unwrap();
        });
    }
}
