//! Applies a changed file, or refuses it as a whole.
//!
//! A problem, a secret that cannot be read or a changed setting that needs a restart
//! refuses all of it: every reason is logged and counted, and requests continue under the
//! old policy. Sockets, counters and cached tokens are never touched.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::watch;

use super::watch::Watched;
use crate::base::aside::yield_to_others;
use crate::base::lock::Lock;
use crate::base::secret::Secrets;
use crate::config::{Config, Log, Revocations, ServerSettings, Sources};
use crate::observe::{Event, ReloadResult, set_level};
use crate::state::State;

/// The settings the process was started with and the files they came from: a reload
/// is compared with them.
pub struct Reload {
    sources: Sources,
    server: ServerSettings,
    log: Log,
    revocations: Revocations,
    watched: Lock<Watched>,
}

impl Reload {
    /// `secrets` have already resolved everything the file names.
    pub fn new(sources: &Sources, config: &Config, secrets: &Secrets) -> Self {
        let watched = Lock::new(Watched::new(&sources.path, secrets));
        let (server, log) = (config.server.clone(), config.log.clone());
        let revocations = config.revocations.clone();
        Self { sources: sources.clone(), server, log, revocations, watched }
    }

    /// Puts the new configuration in force, or returns every reason why not.
    fn reload(&self, state: &Arc<State>) -> Result<(), Vec<String>> {
        // A file that changes after this counts as another change.
        let before = self.watched.lock().look();
        let (secrets, problems) = self.sources.secrets();
        let read = if problems.is_empty() { self.read(&secrets) } else { Err(problems) };
        self.watched.lock().have_read(before, &self.sources.path, &secrets);
        let config = read?;
        for upstream in &config.policy.upstreams {
            for host in state.pools.of(upstream).resolve() {
                tracing::warn!(upstream = upstream.name, host, "the name cannot be resolved yet");
            }
        }
        set_level(config.log.level);
        state.telemetry.follow(&config.log, &state.outbound);
        state.replace_edge(config.edge);
        state.share(config.shared);
        state.replace(config.policy);
        Ok(())
    }

    fn read(&self, secrets: &Secrets) -> Result<Config, Vec<String>> {
        let path = &self.sources.path;
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![format!("{}: cannot be read: {error}", path.display())])?;
        let config = Config::read(&text, secrets).map_err(|problems| {
            let file = path.display().to_string();
            problems
                .iter()
                .map(|problem| problem.display(&file, &text).to_string())
                .collect::<Vec<_>>()
        })?;
        let mut changed = self.server.changed(&config.server);
        changed.extend(self.log.changed(&config.log));
        if config.revocations != self.revocations {
            changed.push("revocations");
        }
        if changed.is_empty() {
            config.warn(path, &text);
            return Ok(config);
        }
        let restart = |key| format!("`{key}` changed, which needs a restart or an upgrade");
        Err(changed.into_iter().map(restart).collect())
    }
}

/// The reload as a service of the process.
pub(crate) struct Reloader {
    reload: Arc<Reload>,
    state: Arc<State>,
    /// Taken when the service starts.
    hangups: Lock<Option<Signal>>,
}

impl Reloader {
    /// Reloads on every hangup and change of the files, until `shutdown` changes.
    pub(crate) async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let hangups = self.hangups.lock().take();
        let Some(mut hangups) = hangups else { return };
        loop {
            tokio::select! {
                _ = shutdown.changed() => return,
                _ = hangups.recv() => self.once().await,
                () = self.files_have_changed() => {
                    tracing::info!("files have changed");
                    self.once().await;
                }
            }
        }
    }

    pub(crate) fn new(reload: Reload, state: &Arc<State>, hangups: Signal) -> Self {
        let (reload, state) = (Arc::new(reload), state.clone());
        Self { reload, state, hangups: Lock::new(Some(hangups)) }
    }

    /// Completes when files have changed and then stayed the same for one interval: an
    /// editor, or a certificate renewal, writes more than once.
    async fn files_have_changed(&self) {
        let Some(every) = self.reload.server.watch else { return std::future::pending().await };
        loop {
            tokio::time::sleep(every.max(Duration::from_millis(10))).await;
            let reload = self.reload.clone();
            let changed = tokio::task::spawn_blocking(move || reload.watched.lock().have_settled());
            if changed.await.unwrap_or(false) {
                return;
            }
        }
    }

    async fn once(&self) {
        let (reload, state) = (self.reload.clone(), self.state.clone());
        // Files, and names of upstreams, are read blocking.
        let done = tokio::task::spawn_blocking(move || {
            yield_to_others();
            // First, and even if the reload is refused.
            reopen_audit_log(&state);
            reload.reload(&state)
        })
        .await;
        match done {
            Ok(Ok(())) => {
                let result = ReloadResult::Done;
                self.state.telemetry.emit(Event::Reloaded { result, problems: &[] });
                tracing::info!("configuration reloaded");
            }
            Ok(Err(problems)) => {
                let (result, problems) = (ReloadResult::Refused, &*problems);
                self.state.telemetry.emit(Event::Reloaded { result, problems });
                for problem in problems {
                    tracing::error!(problem, "configuration not reloaded");
                }
            }
            Err(error) => tracing::error!(%error, "configuration not reloaded"),
        }
    }
}

/// Log rotation moves the file away and sends SIGHUP.
fn reopen_audit_log(state: &State) {
    if let Err(error) = state.telemetry.reopen() {
        tracing::error!(%error, "the audit log cannot be reopened; still writing to the open file");
    }
}
