//! The requests of one HTTP/1.1 connection, one after another.
//!
//! The framework's own loop holds all that a request needs while it waits for the next
//! one: its future, a read buffer, a session, over 16 KB for each idle connection. Here,
//! waiting for the first octets of a request holds nothing but the connection.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use pingora::apps::{HttpPersistentSettings, HttpServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead as _, ReadBuf};

/// Most octets that begin a request; the framework reads the rest.
const FIRST_READ: usize = 4 * 1024;
/// The framework's own timeout, in seconds; the connection's own deadline comes first.
const KEEP_ALIVE: u64 = 60;

/// Serves requests until one is the last of its connection.
pub(super) async fn serve<A: HttpServerApp>(
    app: &Arc<A>,
    mut stream: Stream,
    shutdown: &ShutdownWatch,
) {
    let mut kept: Option<HttpPersistentSettings> = None;
    while let Some(octets) = first_octets(&mut stream).await {
        let mut session = ServerSession::new_http1(stream);
        let mut settings = kept.take().unwrap_or_else(|| {
            session.set_keepalive((!*shutdown.borrow()).then_some(KEEP_ALIVE));
            HttpPersistentSettings::for_session(&session)
        });
        settings.set_pipelined_prefix(octets);
        settings.apply_to_session(&mut session);
        let Some(reused) = app.process_new_http(session, shutdown).await else { return };
        (stream, kept) = reused.consume();
    }
}

/// The start of the next request; `None` if the client is gone.
async fn first_octets(stream: &mut Stream) -> Option<BytesMut> {
    poll_fn(|context| {
        // On the stack only while the connection is looked at.
        let mut room = [const { MaybeUninit::uninit() }; FIRST_READ];
        let mut buffer = ReadBuf::uninit(&mut room);
        let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
        let octets = buffer.filled();
        Poll::Ready((read.is_ok() && !octets.is_empty()).then(|| BytesMut::from(octets)))
    })
    .await
}
