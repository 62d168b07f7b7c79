//! The client against a server that says exactly what a test wants.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::runtime::Handle;

use super::testing::{Habit, serve};
use super::*;

fn client() -> Outbound {
    Outbound::new(Handle::current())
}

async fn get(habit: Habit) -> Result<Answer, OutboundError> {
    let server = serve(habit).await;
    client().send(&Call { max_size: 64, ..Call::get(server.url) }).await
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Test: yes\r\n\r\nhello";

#[tokio::test]
async fn an_answer_comes_back_as_it_was_sent() {
    let answer = get(Habit::Keep(HELLO)).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(answer.headers["x-test"], "yes");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(get(Habit::Keep(chunked)).await.unwrap().body, "hello");
    assert_eq!(get(Habit::Close("HTTP/1.0 200 OK\r\n\r\nhello")).await.unwrap().body, "hello");
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(get(Habit::Keep(interim)).await.unwrap().body, "hi");
}

#[tokio::test]
async fn a_long_or_broken_body_is_cut_where_its_head_is_enough() {
    for (text, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n0123456789", "01234567"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n0123", "0123"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n01234567", "01234567"),
    ] {
        let server = serve(Habit::Close(text)).await;
        let call = Call { max_size: 8, long_body: LongBody::Cut, ..Call::get(server.url) };
        let answer = client().send(&call).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, body.as_bytes()), "{text}");
    }
}

#[tokio::test]
async fn a_request_is_written_as_it_was_given() {
    let server = serve(Habit::Keep(HELLO)).await;
    let call = Call {
        method: Method::POST,
        headers: vec![(header::COOKIE, HeaderValue::from_static("sid=1"))],
        body: Bytes::from_static(b"{\"a\":1}"),
        ..Call::get(server.url.clone())
    };
    client().send(&call).await.unwrap();
    let seen = server.requests().concat().to_ascii_lowercase();
    assert!(seen.starts_with("post /a?b=c http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.url.port())), "{seen}");
    assert!(seen.contains("\r\ncookie: sid=1\r\n") && seen.contains("\r\ncontent-length: 7\r\n"));
    assert!(seen.ends_with("\r\n\r\n{\"a\":1}"), "{seen}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = serve(Habit::Keep(HELLO)).await;
    let client = client();
    for _ in 0..5 {
        client.send(&Call::get(server.url.clone())).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_the_server_forgot_is_replaced_for_a_get() {
    let server = serve(Habit::Forget(HELLO)).await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(&Call::get(server.url.clone())).await.unwrap().body, "hello");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(get(Habit::Keep(moved)).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn an_answer_over_the_size_is_given_up() {
    let large = "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n\
                 12345678901234567890123456789012345678901234567890123456789012345";
    assert_eq!(get(Habit::Keep(large)).await.err(), Some(OutboundError::TooLarge));
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   40\r\n1234567890123456789012345678901234567890123456789012345678901234\r\n1\r\nx\r\n";
    assert_eq!(get(Habit::Keep(endless)).await.err(), Some(OutboundError::TooLarge));
}

#[tokio::test]
async fn broken_answers_are_distinguished_from_missing_ones() {
    for text in [
        "what is this\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "",
    ] {
        assert_eq!(get(Habit::Close(text)).await.err(), Some(OutboundError::BadAnswer), "{text}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let server = serve(Habit::Silent).await;
    let call = Call { timeout: Duration::from_millis(50), ..Call::get(server.url) };
    assert_eq!(client().send(&call).await.err(), Some(OutboundError::TimedOut));
}

#[tokio::test]
async fn a_closed_port_refuses_and_an_unknown_name_is_said_to_be_one() {
    // Bound and not listened on, so that nobody else gets the port.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    let refused = client().send(&Call::get(Url::parse(&url).unwrap())).await;
    assert_eq!(refused.err(), Some(OutboundError::Refused));
    let unknown = Url::parse("http://no-such-host.invalid/").unwrap();
    assert_eq!(client().send(&Call::get(unknown)).await.err(), Some(OutboundError::Unresolved));
}

#[test]
fn urls_are_absolute_and_carry_no_credentials() {
    let url = Url::parse("https://idp.example/keys?tenant=t").unwrap();
    assert_eq!((url.host(), url.port(), url.is_tls()), ("idp.example", 443, true));
    assert_eq!(
        (url.target(), url.to_string().as_str()),
        ("/keys?tenant=t", "https://idp.example/keys")
    );
    let url = Url::parse("http://[::1]:8080").unwrap();
    assert_eq!((url.host(), url.port(), url.target()), ("::1", 8080, "/"));
    for text in ["idp.example/keys", "/keys", "ftp://a/", "https://user:secret@a/", "http://"] {
        assert!(Url::parse(text).is_none(), "{text}");
    }
}
