//! The end of the process: not ready, lame duck, drain, exit.
//!
//! The framework's own handling sleeps through its whole grace period even when
//! idle, and ignores a second signal. Here the first SIGTERM or SIGINT begins
//! the drain, which ends as soon as nothing is in flight; a second one ends the
//! process at once. SIGUSR2 begins it too, once another program serves; a process
//! replaced in that way counts its signals to stop from then on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, watch};

use super::connection::LINGER;
use super::handover::{Predecessor, Program};
use super::listeners::Listeners;
use super::replacement::{Outcome, Upgrade, replace};
use super::signal_stream::{SignalRequest, Signals, before_runtime};
use crate::base::lock::Lock;
use crate::config::ServerSettings;
use crate::state::State;

/// By then every pending connection has been accepted.
const LAST_CONNECTIONS: Duration = Duration::from_millis(100);
/// After the last request, HTTP/2 frames may still be in buffers.
const LAST_FRAMES: Duration = Duration::from_millis(100);

/// How a server is asked to stop.
pub enum Shutdown {
    /// SIGTERM and SIGINT, for an independent process; SIGUSR2 where there is a program to
    /// take its place.
    Signals(SignalHandlers, Option<Program>),
    /// A `Stop` held by the code that started the server, for tests and the demo.
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

/// Signals that no longer take their default action; those that arrive are kept until
/// they are read. Caught before sockets are bound, because a supervisor may send one as
/// soon as the process can be reached.
pub struct SignalHandlers {
    signals: io::Result<Signals>,
    hangups: Option<io::Result<Signal>>,
}

impl SignalHandlers {
    pub fn all() -> Self {
        let hangups = before_runtime(|| signal(SignalKind::hangup()));
        Self { hangups: Some(hangups), ..Self::but_hangups() }
    }

    /// Without SIGHUP, for a process that ends with its terminal.
    pub fn but_hangups() -> Self {
        Self { signals: before_runtime(Signals::listen), hangups: None }
    }
}

impl Shutdown {
    /// SIGHUP, if it was caught.
    pub(super) fn hangups(&mut self) -> Option<io::Result<Signal>> {
        match self {
            Self::Signals(caught, _) => caught.hangups.take(),
            Self::Stop(_) => None,
        }
    }

    pub(super) fn listen(
        self,
        state: &Arc<State>,
        server: &ServerSettings,
        sockets: &Listeners,
    ) -> Watch {
        let source = match self {
            Self::Signals(caught, program) => {
                let upgrade = program.and_then(|program| Upgrade::new(program, sockets));
                let signals = Lock::new(Some(caught.signals));
                SignalSource::Signals { signals, upgrade: Lock::new(upgrade) }
            }
            Self::Stop(stop) => SignalSource::Stop(stop),
        };
        let linger = Arc::new(Lock::new(StopReason::Told.linger()));
        Watch { source, state: state.clone(), lame_duck: server.lame_duck, linger }
    }
}

/// Why the process stops.
#[derive(Clone, Copy)]
enum StopReason {
    Replaced,
    Told,
}

impl StopReason {
    /// Time that clients with an idle connection may take to send one more request,
    /// whose answer then closes the connection. A replaced process is in no hurry:
    /// nothing waits for its end.
    fn linger(self) -> Duration {
        match self {
            Self::Replaced => LINGER,
            Self::Told => Duration::from_millis(500),
        }
    }
}

/// The thread that watches the drain, if there is one.
pub(super) struct Drained(Option<mpsc::Receiver<()>>);

impl Drained {
    pub(super) fn finish(self, state: &State) {
        if let Some(finished) = self.0 {
            drop(finished);
        }
        state.telemetry.flush();
        state.identifier.revoked.flush();
    }
}

fn wait_until_drained(state: &State, limit: Duration, linger: Duration) {
    const STEP: Duration = Duration::from_millis(20);
    // A connection accepted just now is counted a moment later.
    std::thread::sleep(STEP * 2);
    let mut waited = Duration::ZERO;
    let busy = |waited| state.in_flight() > 0 || (state.connections.open() > 0 && waited < linger);
    while busy(waited) && waited < limit {
        std::thread::sleep(STEP);
        waited += STEP;
    }
    match state.in_flight() {
        0 => tracing::info!("drained"),
        left => tracing::warn!(left, "the drain time is over; dropping requests in flight"),
    }
    std::thread::sleep(LAST_FRAMES);
}

#[expect(clippy::exit, reason = "the framework would sleep through its whole grace period")]
fn end(state: &State, code: i32) -> ! {
    state.telemetry.flush();
    state.identifier.revoked.flush();
    std::process::exit(code)
}

/// Gives the framework its signal to stop.
pub(super) struct Watch {
    source: SignalSource,
    state: Arc<State>,
    lame_duck: Duration,
    /// Set once the reason for stopping is known.
    linger: Arc<Lock<Duration>>,
}

enum SignalSource {
    /// `signals` is taken by the task that waits for them.
    Signals {
        signals: Lock<Option<io::Result<Signals>>>,
        /// Given back to the system when the process stops: sockets that are kept
        /// here would go on collecting connections.
        upgrade: Lock<Option<Arc<Upgrade>>>,
    },
    Stop(watch::Receiver<bool>),
}

#[async_trait]
impl ShutdownSignalWatch for Watch {
    async fn recv(&self) -> ShutdownSignal {
        match &self.source {
            SignalSource::Signals { signals, upgrade } => {
                let signals = signals.lock().take();
                match signals {
                    Some(Ok(signals)) => self.stop_on(signals, upgrade).await,
                    Some(Err(error)) => {
                        tracing::error!(%error, "signals cannot be handled");
                        ShutdownSignal::GracefulTerminate
                    }
                    // The framework asks once.
                    None => Never.recv().await,
                }
            }
            SignalSource::Stop(stop) => {
                // An error means the `Stop` is gone, which also means stop.
                drop(stop.clone().wait_for(|stop| *stop).await);
                self.state.set_unready();
                ShutdownSignal::FastShutdown
            }
        }
    }
}

impl Watch {
    /// Tells the predecessor and the service manager that the process serves, and ends
    /// the process as soon as the drain is over.
    pub(super) fn watch(
        &self,
        mut phases: broadcast::Receiver<ExecutionPhase>,
        limit: Duration,
        mut predecessor: Option<Predecessor>,
    ) -> Drained {
        if matches!(self.source, SignalSource::Stop(_)) {
            return Drained(None);
        }
        let (state, linger) = (self.state.clone(), self.linger.clone());
        let (done, finished) = mpsc::channel();
        let watch = move || {
            while let Ok(phase) = phases.blocking_recv() {
                if matches!(phase, ExecutionPhase::Running) {
                    if let Some(predecessor) = predecessor.take() {
                        predecessor.serving(&state);
                    }
                    tell_manager(&[NotifyState::Ready]);
                }
                if matches!(phase, ExecutionPhase::ShutdownGracePeriod) {
                    let linger = *linger.lock();
                    wait_until_drained(&state, limit, linger);
                    end(&state, 0);
                }
            }
            drop(done);
        };
        if let Err(error) = std::thread::Builder::new().name("drain".into()).spawn(watch) {
            tracing::warn!(%error, "the drain will take its whole time");
        }
        Drained(Some(finished))
    }

    async fn stop_on(
        &self,
        mut signals: Signals,
        upgrade: &Lock<Option<Arc<Upgrade>>>,
    ) -> ShutdownSignal {
        let program = || upgrade.lock().clone();
        let because = loop {
            match signals.next().await {
                SignalRequest::Stop => break StopReason::Told,
                SignalRequest::Upgrade => {
                    match replace(program(), &mut signals, &self.state).await {
                        Outcome::CalledOff => break StopReason::Told,
                        Outcome::Failed => {}
                        Outcome::Replaced(pid) => {
                            tell_manager(&[NotifyState::MainPid(pid)]);
                            break StopReason::Replaced;
                        }
                    }
                }
            }
        };
        *self.linger.lock() = because.linger();
        let in_flight = self.state.in_flight();
        match because {
            StopReason::Replaced => tracing::info!(in_flight, "finishing requests in flight"),
            StopReason::Told => log_stopping(&self.state),
        }
        if matches!(because, StopReason::Told) {
            tell_manager(&[NotifyState::Stopping]);
            self.state.set_unready();
            let serve_on = async {
                tokio::time::sleep(self.lame_duck).await;
                if let Some(upgrade) = program() {
                    upgrade.refuse_new_connections();
                    tokio::time::sleep(LAST_CONNECTIONS).await;
                }
            };
            tokio::select! {
                () = serve_on => {}
                () = signals.stop() => end(&self.state, 130),
            }
        }
        upgrade.lock().take();
        let state = self.state.clone();
        tokio::spawn(async move {
            if matches!(because, StopReason::Replaced) {
                // The first one: a service manager that stops a unit signals each of its
                // processes. This one stops already.
                signals.stop().await;
                log_stopping(&state);
            }
            signals.stop().await;
            end(&state, 130);
        });
        ShutdownSignal::GracefulTerminate
    }
}

fn log_stopping(state: &State) {
    tracing::info!(in_flight = state.in_flight(), "stopping; signal again to stop at once");
}

/// Tells systemd, if it asked to be told.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
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
