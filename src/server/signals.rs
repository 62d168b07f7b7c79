//! The end of the process: not ready, lame duck, drain, exit.
//!
//! The framework's own handling sleeps through its whole grace period even when
//! idle, and ignores a second signal. Here the first SIGTERM or SIGINT begins
//! the drain, which ends as soon as nothing is in flight; a second one ends the
//! process at once.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, watch};

use crate::config::Server;
use crate::live::Live;

/// After the last request, HTTP/2 frames may still be in buffers.
const LAST_FRAMES: Duration = Duration::from_millis(100);

/// What makes the server stop.
pub enum Shutdown {
    /// SIGTERM and SIGINT, for a process of its own.
    Signals,
    /// A `Stop` held by whoever started the server, for tests and the demo.
    Stop(watch::Receiver<bool>),
}

/// Stops the server it belongs to.
pub struct Stop(watch::Sender<bool>);

impl Stop {
    pub fn pair() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown::Stop(receiver))
    }

    pub fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// From here on signals no longer take their default action; what arrives
    /// before the framework asks is kept until then.
    pub(super) fn listen(self, live: &Arc<Live>, server: &Server) -> Watch {
        let source = match self {
            Self::Signals => Source::Signals(Mutex::new(Some(before_runtime(Signals::listen)))),
            Self::Stop(stop) => Source::Stop(stop),
        };
        Watch { source, live: live.clone(), lame_duck: server.lame_duck }
    }
}

/// The thread that watches the drain, if there is one.
pub(super) struct Drained(Option<mpsc::Receiver<()>>);

impl Drained {
    pub(super) fn finish(self, live: &Live) {
        if let Some(finished) = self.0 {
            drop(finished);
        }
        live.flush();
    }
}

fn wait_until_drained(live: &Live, limit: Duration) {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while live.in_flight() > 0 && waited < limit {
        std::thread::sleep(STEP);
        waited += STEP;
    }
    match live.in_flight() {
        0 => tracing::info!("drained"),
        left => tracing::warn!(left, "drain time is over; requests in flight are dropped"),
    }
    std::thread::sleep(LAST_FRAMES);
}

#[expect(clippy::exit, reason = "the framework would sleep through its whole grace period")]
fn end(live: &Live, code: i32) -> ! {
    live.flush();
    std::process::exit(code)
}

/// What the framework asks for the signal to stop.
pub(super) struct Watch {
    source: Source,
    live: Arc<Live>,
    lame_duck: Duration,
}

enum Source {
    /// Taken by the one who waits.
    Signals(Mutex<Option<io::Result<Signals>>>),
    Stop(watch::Receiver<bool>),
}

#[async_trait]
impl ShutdownSignalWatch for Watch {
    async fn recv(&self) -> ShutdownSignal {
        match &self.source {
            Source::Signals(signals) => {
                let signals = signals.lock().unwrap_or_else(PoisonError::into_inner).take();
                match signals {
                    Some(Ok(signals)) => self.stop_on(signals).await,
                    Some(Err(error)) => {
                        tracing::error!(%error, "signals cannot be handled");
                        ShutdownSignal::GracefulTerminate
                    }
                    // The framework asks once.
                    None => Never.recv().await,
                }
            }
            Source::Stop(stop) => {
                // An error means the `Stop` is gone, which also means stop.
                drop(stop.clone().wait_for(|stop| *stop).await);
                self.live.set_unready();
                ShutdownSignal::FastShutdown
            }
        }
    }
}

impl Watch {
    /// Ends a process of its own as soon as the drain is over.
    pub(super) fn watch_drain(
        &self,
        mut phases: broadcast::Receiver<ExecutionPhase>,
        limit: Duration,
    ) -> Drained {
        if matches!(self.source, Source::Stop(_)) {
            return Drained(None);
        }
        let (live, (done, finished)) = (self.live.clone(), mpsc::channel());
        let watch = move || {
            while let Ok(phase) = phases.blocking_recv() {
                if matches!(phase, ExecutionPhase::ShutdownGracePeriod) {
                    wait_until_drained(&live, limit);
                    end(&live, 0);
                }
            }
            drop(done);
        };
        if let Err(error) = std::thread::Builder::new().name("drain".into()).spawn(watch) {
            tracing::warn!(%error, "the drain will take its whole time");
        }
        Drained(Some(finished))
    }

    async fn stop_on(&self, mut signals: Signals) -> ShutdownSignal {
        signals.stop().await;
        self.live.set_unready();
        tracing::info!(in_flight = self.live.in_flight(), "stopping; again to stop at once");
        tokio::select! {
            () = tokio::time::sleep(self.lame_duck) => {}
            () = signals.stop() => end(&self.live, 130),
        }
        let live = self.live.clone();
        tokio::spawn(async move {
            signals.stop().await;
            end(&live, 130);
        });
        ShutdownSignal::GracefulTerminate
    }
}

/// Starts listening before the runtime that will wait exists: tokio needs one at
/// hand, and keeps what arrives for whichever waits first.
fn before_runtime<T>(listen: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    listen()
}

/// SIGHUP, listened to as early as the others.
pub(super) fn hangups() -> io::Result<Signal> {
    before_runtime(|| signal(SignalKind::hangup()))
}

/// The signals that stop the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            // Taken, so that the default action (a core file with the keys in
            // it) does not happen.
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Completes on SIGTERM or SIGINT; SIGQUIT is noted and ignored.
    async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.quit.recv() => tracing::warn!("SIGQUIT ignored; send SIGTERM to stop"),
            }
        }
    }
}

/// For a server that runs as long as its process.
pub(super) struct Never;

#[async_trait]
impl ShutdownSignalWatch for Never {
    async fn recv(&self) -> ShutdownSignal {
        std::future::pending().await
    }
}
