//! The signals of the system that end or replace the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts listening before the runtime that will wait exists: tokio needs one at hand,
/// and keeps what arrives for the first that waits.
pub(super) fn before_runtime<T>(listen: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    listen()
}

/// The signals that end or replace the process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    user: Signal,
    /// A request to stop that was read and comes once more.
    is_stop_put_back: bool,
}

/// The request a signal stands for.
pub(super) enum SignalRequest {
    Stop,
    Upgrade,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            // Taken, so that the default action (a core file with the keys in
            // it) does not happen.
            quit: signal(SignalKind::quit())?,
            user: signal(SignalKind::user_defined2())?,
            is_stop_put_back: false,
        })
    }

    /// SIGTERM or SIGINT, or SIGUSR2; SIGQUIT is noted and ignored.
    pub(super) async fn next(&mut self) -> SignalRequest {
        if std::mem::take(&mut self.is_stop_put_back) {
            return SignalRequest::Stop;
        }
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalRequest::Stop,
                _ = self.interrupt.recv() => return SignalRequest::Stop,
                _ = self.user.recv() => return SignalRequest::Upgrade,
                _ = self.quit.recv() => tracing::warn!("SIGQUIT ignored; send SIGTERM to stop"),
            }
        }
    }

    /// Completes on SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        while matches!(self.next().await, SignalRequest::Upgrade) {}
    }

    /// Leaves a signal to stop to the next that waits for one.
    pub(super) fn put_back_stop(&mut self) {
        self.is_stop_put_back = true;
    }
}
