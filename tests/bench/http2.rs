//! The clients of HTTP/2: a few connections with several requests at once on each.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::certificate;
use crate::load::{HOST, headers};

const CONNECTIONS: usize = 4;
const AT_ONCE: usize = 8;

/// How much of one answer may be sent before the client says that it has read.
const WINDOW: u32 = 12 * 1024 * 1024;
/// Of all answers. They are read one after the other, so those that wait must not
/// use up what the first one needs.
const WINDOW_OF_ALL: u32 = 1024 * 1024 * 1024;

/// The request of `load::get`.
pub(crate) fn get(path: &str, cookies: &str) -> Request<()> {
    let mut request = Request::get(format!("https://{HOST}{path}"));
    for (name, value) in headers(cookies) {
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}

pub(crate) struct Connections {
    runtime: Runtime,
    clients: Vec<SendRequest<Bytes>>,
}

impl Connections {
    pub(crate) fn open(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let open = async || {
            let socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let connector =
                tokio_rustls::TlsConnector::from(certificate::client(certificate::HTTP2));
            let stream = connector.connect(certificate::name(), socket).await.unwrap();
            let (client, connection) = h2::client::Builder::new()
                .initial_window_size(WINDOW)
                .initial_connection_window_size(WINDOW_OF_ALL)
                .handshake(stream)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
        };
        let clients = (0..CONNECTIONS).map(|_| runtime.block_on(open())).collect();
        Self { runtime, clients }
    }

    /// Sends `request` as often as said, on all connections alike.
    pub(crate) fn repeat(&mut self, request: &Request<()>, times: usize) {
        let Self { runtime, clients } = self;
        runtime.block_on(async {
            for _ in 0..times / (CONNECTIONS * AT_ONCE) {
                let mut answers = Vec::with_capacity(CONNECTIONS * AT_ONCE);
                for client in &mut *clients {
                    for _ in 0..AT_ONCE {
                        poll_fn(|context| client.poll_ready(context)).await.unwrap();
                        answers.push(client.send_request(request.clone(), true).unwrap().0);
                    }
                }
                for answer in answers {
                    read(answer).await;
                }
            }
        });
    }
}

async fn read(answer: ResponseFuture) {
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
}
