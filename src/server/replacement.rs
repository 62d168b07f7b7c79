//! Replaces this process while it serves: starts the program that takes over, and finds
//! out whether it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::handover::{HandoverError, Program, Sockets};
use super::listen::{self, Bound};
use super::listeners::Listeners;
use super::signal_stream::Signals;
use crate::state::State;

/// A program to take over, and the sockets for it.
pub(super) struct Upgrade {
    program: Program,
    sockets: Sockets,
}

impl Upgrade {
    pub(super) fn new(program: Program, listeners: &Listeners) -> Option<Arc<Self>> {
        match listeners.all().map(Bound::handle).collect() {
            Ok(sockets) => Some(Arc::new(Self { program, sockets })),
            Err(error) => {
                tracing::warn!(%error, "the sockets cannot be handed over");
                None
            }
        }
    }

    /// Refuses new connections on these sockets, in every process that holds them: not
    /// for a process that was replaced.
    pub(super) fn refuse_new_connections(&self) {
        for (address, socket) in &self.sockets {
            // A unix socket has no packets to look into.
            if let Err(error) = listen::refuse_new_connections(socket) {
                tracing::debug!(address, %error, "new connections cannot be refused");
            }
        }
    }
}

/// The outcome of an attempt.
pub(super) enum Outcome {
    /// A signal to stop came before the program served, which has ended.
    CalledOff,
    /// Everything stays as it is.
    Failed,
    /// The process with this id serves.
    Replaced(u32),
}

/// Starts a program in place of this one and waits until it serves.
pub(super) async fn replace(
    upgrade: Option<Arc<Upgrade>>,
    signals: &mut Signals,
    state: &Arc<State>,
) -> Outcome {
    let Some(upgrade) = upgrade else {
        tracing::error!("SIGUSR2 ignored: no program can take over");
        return Outcome::Failed;
    };
    if std::process::id() == 1 {
        tracing::error!(
            "SIGUSR2 ignored: a container ends with its first process; replace the container \
             instead"
        );
        return Outcome::Failed;
    }
    tracing::info!(program = %upgrade.program, "starting the program that takes over");
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut starting = tokio::task::spawn_blocking({
        let (cancelled, state) = (cancelled.clone(), state.clone());
        move || {
            let started = upgrade.program.start(&upgrade.sockets, &state);
            let successor = started.map_err(HandoverError::NotStarted)?;
            successor.wait_until_serving(&cancelled, &state)
        }
    });
    let mut called_off = false;
    let outcome = tokio::select! {
        outcome = &mut starting => outcome,
        () = signals.stop() => {
            called_off = true;
            cancelled.store(true, Ordering::SeqCst);
            starting.await
        }
    };
    match outcome.unwrap_or(Err(HandoverError::Lost)) {
        Ok(pid) => {
            if called_off {
                // Too late: the successor serves already, on the same sockets.
                signals.put_back_stop();
            }
            tracing::info!(pid, "replaced");
            Outcome::Replaced(pid)
        }
        Err(_) if called_off => Outcome::CalledOff,
        Err(why) => {
            tracing::error!(%why, "not replaced; this process goes on serving");
            Outcome::Failed
        }
    }
}
