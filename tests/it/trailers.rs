//! HTTP/2 to the app, where it is asked for: what gRPC needs passes whole.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::support::{Setup, http2};

/// An app that speaks HTTP/2 only: answers with what came, then a trailer.
async fn app() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(echo(request.into_body(), respond));
                }
            });
        }
    });
    url
}

async fn echo(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let head = http::Response::builder().header("x-app", "1").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        stream.send_data(data, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("7"));
    stream.send_trailers(trailers).unwrap();
}

#[test]
fn a_call_streams_both_ways_and_ends_with_its_trailers() {
    http2::block_on(async {
        let gateway = Setup::towards(&app().await).upstream("http2 = true").start();
        let client = http2::open(&gateway.address).await;
        for _ in 0..3 {
            let request = http2::request("POST", "/shop.Orders/Watch")
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            let mut client = client.clone().ready().await.unwrap();
            let (response, mut sent) =
                client.send_request(request.body(()).unwrap(), false).unwrap();
            sent.send_data(Bytes::from_static(b"one"), false).unwrap();
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "one", "while the call is open");
            sent.send_data(Bytes::from_static(b"two"), true).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), "two");
            while body.data().await.is_some() {}
            let trailers = body.trailers().await.unwrap().expect("trailers");
            assert_eq!(trailers["grpc-status"], "7");
        }
        tokio::task::spawn_blocking(move || drop(gateway)).await.unwrap();
    });
}
