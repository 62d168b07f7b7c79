//! Accepts connections and gives each to one thread, from its first octet to its last.
//!
//! A thread polls only the connections it was given and those it makes to the app, so
//! forwarding wakes no other thread. New connections go to the thread that has the
//! fewest. (nginx and Envoy work like this; the framework's
//! default, where idle threads take over what busy ones have left, costs a third to
//! half as much again for a forwarded page of 1 KiB.)

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::listening::Service;
use pingora::services::{ServiceReadyNotifier, ServiceWithDependents};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::io::socket::{Accepted, Socket};
use super::listen::Bound;
use super::turns;

/// Pause after an error that would repeat at once, such as running out of descriptors.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// The threads that serve, each with its own runtime.
#[derive(Clone)]
pub(super) struct Threads(Arc<[Thread]>);

struct Thread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// The running threads; `stop` ends them.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` threads, or as many as the system gives; at least one.
    pub(super) fn start(count: usize) -> io::Result<(Self, Running)> {
        let (stop, stopped) = watch::channel(false);
        let mut started = Vec::new();
        for number in 0..count.max(1) {
            match start_thread(number, stopped.clone()) {
                Ok(thread) => started.push(thread),
                Err(error) if started.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, started = started.len(), "no more threads");
                    break;
                }
            }
        }
        let (runtimes, threads): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        let thread = |runtime| Thread { runtime, connections: Arc::default() };
        Ok((Self(runtimes.into_iter().map(thread).collect()), Running { stop, threads }))
    }

    /// A place on the thread that has the fewest connections.
    fn place(&self) -> Option<(&Handle, ThreadSlot)> {
        let connections = |thread: &&Thread| thread.connections.load(Ordering::Relaxed);
        let thread = self.0.iter().min_by_key(connections)?;
        thread.connections.fetch_add(1, Ordering::Relaxed);
        Some((&thread.runtime, ThreadSlot(thread.connections.clone())))
    }
}

fn start_thread(
    number: usize,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<(Handle, JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || {
        // An error means that `Running` is gone, which also means stop.
        let _ = runtime.block_on(stopped.wait_for(|stop| *stop));
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name(format!("serve-{number}")).spawn(run)?;
    Ok((handle, thread))
}

impl Running {
    /// Ends the threads and drops the connections they still serve.
    pub(super) fn stop(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            // A thread that panicked has stopped too.
            let _ = thread.join();
        }
    }
}

/// A connection's slot on a thread, given back when dropped.
struct ThreadSlot(Arc<AtomicUsize>);

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts the connections of some sockets.
pub(super) struct Accept<A> {
    name: &'static str,
    app: Arc<A>,
    sockets: Vec<Bound>,
    /// The threads that serve; without any, the accepting thread does.
    threads: Option<Threads>,
}

impl<A> Accept<A> {
    /// On its own thread.
    pub(super) fn new(name: &'static str, app: A, sockets: Vec<Bound>) -> Self {
        Self { name, app: Arc::new(app), sockets, threads: None }
    }

    /// On these threads.
    pub(super) fn for_threads(self, threads: &Threads) -> Self {
        Self { threads: Some(threads.clone()), ..self }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServiceWithDependents for Accept<A> {
    async fn start_service(
        &mut self,
        _: Option<ListenFds>,
        shutdown: ShutdownWatch,
        _: usize,
        ready: ServiceReadyNotifier,
    ) {
        ready.notify_ready();
        let mut sockets = JoinSet::new();
        for socket in self.sockets.drain(..) {
            let (app, threads) = (self.app.clone(), self.threads.clone());
            sockets.spawn(accept_all(socket, app, threads, shutdown.clone()));
        }
        while sockets.join_next().await.is_some() {}
        self.app.cleanup().await;
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// Accepts until the server stops. Then the socket is closed, for others that hold it
/// to go on with.
async fn accept_all<A: ServerApp + Send + Sync + 'static>(
    socket: Bound,
    app: Arc<A>,
    threads: Option<Threads>,
    mut shutdown: ShutdownWatch,
) {
    let listener = match socket.listen() {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be polled");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok(accepted) => {
                let served = serve(accepted, app.clone(), shutdown.clone());
                match threads.as_ref().and_then(Threads::place) {
                    Some((runtime, place)) => runtime.spawn(async move {
                        served.await;
                        drop(place);
                    }),
                    None => tokio::spawn(served),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted");
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }
}

/// Serves one connection.
async fn serve<A: ServerApp + Send + Sync + 'static>(
    accepted: Accepted,
    app: Arc<A>,
    shutdown: ShutdownWatch,
) {
    turns::of_connection().await;
    match Socket::new(accepted) {
        Ok(socket) => Service::<A>::handle_event(Box::new(socket), app, shutdown).await,
        Err(error) => tracing::debug!(%error, "a connection was gone as soon as it was accepted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_where_there_are_fewest() {
        let (threads, running) = Threads::start(3).unwrap();
        let counts = || threads.0.iter().map(|thread| thread.connections.load(Ordering::Relaxed));
        let mut places: Vec<_> = (0..7).filter_map(|_| threads.place()).collect();
        assert_eq!(counts().collect::<Vec<_>>(), [3, 2, 2]);
        places.remove(2);
        drop(threads.place());
        let kept = threads.place();
        assert_eq!(counts().collect::<Vec<_>>(), [3, 2, 2]);
        drop((places, kept));
        assert_eq!(counts().collect::<Vec<_>>(), [0, 0, 0]);
        running.stop();
    }

    #[test]
    fn a_thread_that_stops_drops_what_it_serves() {
        let (threads, running) = Threads::start(1).unwrap();
        let (runtime, place) = threads.place().unwrap();
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(place);
        });
        running.stop();
        assert_eq!(threads.0[0].connections.load(Ordering::Relaxed), 0);
    }
}
