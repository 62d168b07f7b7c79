//! The total time an app may take for the head of its answer.
//!
//! The framework's read timeout starts again with each byte, so an app that drips
//! its head is never late; and for a tunnel it must stay off, because nothing can
//! switch it off once the app has answered 101. So each HTTP/1 connection to an app
//! carries an `AppDeadline`. When it passes, the socket is shut down, which the
//! framework sees as the end of the connection. Between requests it ends the connection
//! after the idle time; the framework would set a timer after each.
//!
//! A request that is answered in time costs a few stores into an atomic: the task
//! that watches the deadline wakes once per timeout, not once per request.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Response;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{Digest, GetProxyDigest as _};
use pingora::upstreams::peer::{Tracer, Tracing};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::base::clock::milliseconds;
use crate::base::lock::Lock;

/// No answer is awaited.
const NONE: u64 = 0;
/// The deadline has passed; the connection must not be used again.
const PASSED: u64 = u64::MAX;
/// Half a billion years.
const LAST: u64 = PASSED - 1;

/// The time at which a connection to the app is shut down.
#[derive(Debug)]
pub(super) struct AppDeadline {
    started: Instant,
    /// In milliseconds after `started`, or `NONE`, or `PASSED`.
    at_ms: AtomicU64,
    /// Whether the gateway reads from the connection only as fast as the client takes it.
    waits_for_client: AtomicBool,
    /// Removed before the connection is closed: afterwards the number may belong to
    /// another connection.
    socket: Lock<Option<RawFd>>,
    watch: OnceLock<AbortHandle>,
}

impl AppDeadline {
    /// Attaches a deadline to a new connection over `socket`. Deadlines are always set at
    /// least `shortest` ahead.
    pub(super) fn attach(stream: &mut Stream, socket: RawFd, shortest: Duration) {
        let deadline = Arc::new(Self {
            started: Instant::now(),
            at_ms: AtomicU64::new(NONE),
            waits_for_client: AtomicBool::new(false),
            socket: Lock::new(Some(socket)),
            watch: OnceLock::new(),
        });
        let watch = tokio::spawn(deadline.clone().pass(shortest));
        let _ = deadline.watch.set(watch.abort_handle());
        stream.tracer = Some(Tracer(Box::new(UntilClosed(deadline.clone()))));
        let (nothing, ()) = Response::new(()).into_parts();
        stream
            .set_proxy_digest(ProxyDigest::new(Box::new(nothing.into()), Some(Box::new(deadline))));
    }

    /// The deadline of the connection a request goes out on; HTTP/2 has none.
    pub(super) fn of(digest: Option<&Digest>) -> Option<Arc<Self>> {
        let data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref::<Arc<Self>>().cloned()
    }

    /// Starts the time, or starts it again; whether the connection is still open.
    pub(super) fn begin(&self, time: Duration) -> bool {
        self.waits_for_client.store(false, Ordering::Relaxed);
        self.set_after(time)
    }

    /// As `begin`, for the next piece of a body. It is not late while it lies here unread:
    /// then the gateway waits for the client.
    pub(super) fn begin_piece(&self, time: Duration) {
        self.waits_for_client.store(true, Ordering::Relaxed);
        self.set_after(time);
    }

    fn set_after(&self, time: Duration) -> bool {
        self.set(milliseconds(self.started.elapsed() + time).clamp(1, LAST))
    }

    /// The answer has arrived.
    pub(super) fn end(&self) {
        self.set(NONE);
    }

    pub(super) fn has_passed(&self) -> bool {
        self.at_ms.load(Ordering::Acquire) == PASSED
    }

    /// Ends the connection, whatever it is doing.
    pub(super) fn shut_down(&self) {
        if let Some(socket) = *self.socket.lock()
            && let Err(error) = shutdown(socket, Shutdown::Both)
        {
            tracing::debug!(%error, "a connection to the app closed before the gateway could end it");
        }
    }

    /// A passed deadline stays passed; whether it has not.
    fn set(&self, at_ms: u64) -> bool {
        let set = |before| (before != PASSED).then_some(at_ms);
        self.at_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, set).is_ok()
    }

    /// Shuts the socket down once the deadline has passed. Moving the deadline does not
    /// wake this, which would cost each request a turn of the runtime; it sleeps for the
    /// shortest time at most instead.
    async fn pass(self: Arc<Self>, shortest: Duration) {
        let longest_sleep = milliseconds(shortest).max(1);
        loop {
            let at = self.at_ms.load(Ordering::Acquire);
            let left = at.saturating_sub(milliseconds(self.started.elapsed()));
            let sleep = match (at, left) {
                (NONE, _) => longest_sleep,
                (_, 0) if self.has_piece() => longest_sleep,
                (_, 0) if self.close(at) => return,
                (_, left) => left.min(longest_sleep),
            };
            tokio::time::sleep(Duration::from_millis(sleep)).await;
        }
    }

    /// Whether a piece of a body lies here unread.
    fn has_piece(&self) -> bool {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        self.waits_for_client.load(Ordering::Relaxed)
            && (*self.socket.lock())
                .is_some_and(|socket| recv(socket, &mut [0], peek).is_ok_and(|octets| octets > 0))
    }

    /// Whether the deadline was still `at`, and so has passed.
    fn close(&self, at: u64) -> bool {
        let passes =
            self.at_ms.compare_exchange(at, PASSED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        let socket = self.socket.lock();
        if let (true, Some(socket)) = (passes, *socket)
            && let Err(error) = shutdown(socket, Shutdown::Both)
        {
            tracing::debug!(%error, "a connection to the app closed before its deadline");
        }
        passes
    }
}

/// Told by the framework when the connection is about to be closed.
#[derive(Debug)]
struct UntilClosed(Arc<AppDeadline>);

impl Tracing for UntilClosed {
    fn on_connected(&self) {}

    fn on_disconnected(&self) {
        *self.0.socket.lock() = None;
        if let Some(watch) = self.0.watch.get() {
            watch.abort();
        }
    }

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Self(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    const SHORTEST: Duration = Duration::from_millis(50);

    /// A connection with a deadline, and its other end.
    fn pair() -> (Stream, Arc<AppDeadline>, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let socket = near.as_raw_fd();
        let mut stream = Stream::from(near);
        AppDeadline::attach(&mut stream, socket, SHORTEST);
        let digest = Digest { proxy_digest: stream.get_proxy_digest(), ..Digest::default() };
        let deadline = AppDeadline::of(Some(&digest)).unwrap();
        (stream, deadline, far)
    }

    #[tokio::test]
    async fn a_connection_whose_deadline_passes_is_shut_down() {
        let (mut stream, deadline, _far) = pair();
        deadline.begin(SHORTEST);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "it has ended");
        assert!(deadline.has_passed());
        deadline.end();
        assert!(!deadline.begin(SHORTEST), "nothing brings it back");
        assert!(deadline.has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_that_lies_unread_is_not_late() {
        let (mut stream, deadline, mut far) = pair();
        far.write_all(b"piece").await.unwrap();
        deadline.begin_piece(SHORTEST);
        tokio::time::sleep(SHORTEST * 10).await;
        assert!(!deadline.has_passed(), "the client takes its time");
        stream.read_exact(&mut [0; 5]).await.unwrap();
        deadline.begin_piece(SHORTEST * 2);
        tokio::time::sleep(SHORTEST).await;
        assert!(!deadline.has_passed());
        tokio::time::sleep(SHORTEST * 3).await;
        assert!(deadline.has_passed(), "the app is silent");
        let (_stream, deadline, mut far) = pair();
        deadline.begin_piece(SHORTEST);
        assert!(deadline.begin(SHORTEST));
        far.write_all(b"piece").await.unwrap();
        tokio::time::sleep(SHORTEST * 3).await;
        assert!(deadline.has_passed(), "of a head that drips");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_while_nothing_is_awaited() {
        let (_stream, deadline, _far) = pair();
        deadline.begin(SHORTEST);
        deadline.end();
        tokio::time::sleep(SHORTEST * 100).await;
        assert!(!deadline.has_passed());
        assert!(deadline.begin(SHORTEST * 2));
        tokio::time::sleep(SHORTEST).await;
        assert!(!deadline.has_passed());
        deadline.begin(SHORTEST * 2);
        tokio::time::sleep(SHORTEST).await;
        assert!(!deadline.has_passed(), "the time has started again");
        tokio::time::sleep(SHORTEST * 2).await;
        assert!(deadline.has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_is_left_alone() {
        let (stream, deadline, _far) = pair();
        deadline.begin(SHORTEST);
        drop(stream);
        tokio::time::sleep(SHORTEST * 3).await;
        assert!(!deadline.has_passed(), "its watch has ended");
        assert_eq!(*deadline.socket.lock(), None);
    }
}
