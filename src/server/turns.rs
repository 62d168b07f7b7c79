//! Heavy steps of connections, in turns with everything else that a thread serves.
//!
//! A busy thread looks at its sockets only now and then. Many new connections at once are
//! a lot of work, and a TLS handshake takes a millisecond: without turns, requests on kept
//! connections would wait for dozens of them. So a thread does only a few steps of each
//! kind between two looks.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// New connections that a thread takes between two looks at its sockets: some 20 µs each.
const CONNECTIONS: usize = 8;
/// Steps of handshakes: with an RSA key, up to a few milliseconds each.
const HANDSHAKES: usize = 1;

thread_local! {
    static TURNS: Turns = Turns::default();
}

/// The work of one thread between two looks at its sockets.
struct Turns {
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { connections: places(CONNECTIONS), handshakes: places(HANDSHAKES) }
    }
}

/// Waits for the turn of a new connection. What the connection does next, it does in the
/// same turn.
pub(super) async fn of_connection() {
    let places = TURNS.with(|turns| turns.connections.clone());
    drop(next(&places).await);
}

/// Every step of a handshake in its own turn.
pub(super) async fn of_handshake<F: Future>(handshake: F) -> F::Output {
    let places = TURNS.with(|turns| turns.handshakes.clone());
    let mut handshake = pin!(handshake);
    loop {
        let turn = next(&places).await;
        let mut step = handshake.as_mut();
        let stepped = std::future::poll_fn(|context| Poll::Ready(step.as_mut().poll(context)));
        match stepped.await {
            Poll::Ready(output) => return output,
            Poll::Pending => drop(turn),
        }
        woken().await;
    }
}

/// A place, once the thread has looked at its sockets again.
async fn next(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    tokio::task::yield_now().await;
    place
}

/// Completes when the task is woken: by the step that waits for its socket.
async fn woken() {
    let mut is_woken = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut is_woken, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::task::JoinSet;

    use super::*;

    /// How many steps of a crowd are done when a request is read that was there before.
    async fn steps_before_a_request<F>(step: impl Fn(Arc<AtomicUsize>) -> F) -> usize
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        client.write_all(b"request").await.unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let so_far = done.clone();
        let request = tokio::spawn(async move {
            server.read_exact(&mut [0; 7]).await.unwrap();
            so_far.load(Ordering::SeqCst)
        });
        let mut crowd = JoinSet::new();
        for _ in 0..200 {
            crowd.spawn(step(done.clone()));
        }
        while let Some(ended) = crowd.join_next().await {
            ended.unwrap();
        }
        assert_eq!(done.load(Ordering::SeqCst), 200, "everybody had a turn");
        request.await.unwrap()
    }

    fn count(done: &AtomicUsize) {
        done.fetch_add(1, Ordering::SeqCst);
    }

    #[tokio::test]
    async fn a_request_waits_for_a_few_new_connections_only() {
        let before = steps_before_a_request(async |done| {
            of_connection().await;
            count(&done);
        });
        assert!(before.await <= CONNECTIONS);
    }

    #[tokio::test]
    async fn a_request_waits_for_one_step_of_a_handshake_only() {
        let before = steps_before_a_request(async |done| {
            of_handshake(async { count(&done) }).await;
        });
        assert!(before.await <= HANDSHAKES);
    }

    #[tokio::test]
    async fn a_handshake_that_waits_for_its_client_lets_others_go_on() {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let mut slow = tokio::spawn(async move {
            of_handshake(async { server.read_exact(&mut [0; 2]).await.map(drop) }).await
        });
        of_handshake(async {}).await;
        client.write_all(b"a").await.unwrap();
        of_handshake(async {}).await;
        assert!(!slow.is_finished());
        client.write_all(b"b").await.unwrap();
        (&mut slow).await.unwrap().unwrap();
    }
}
