//! SIGHUP: read the file again and swap the policy, or keep what runs.
//!
//! The new file must hold as a whole. A problem, a secret that cannot be read or
//! a changed setting that needs a restart refuses all of it: every reason is
//! logged and counted, and requests go on under the old policy. Listeners,
//! counters and cached tokens are never touched.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::Signal;

use crate::config::{Config, Log, Server, secrets_beside};
use crate::live::Live;

/// What a reload compares with: the settings the process was started with.
pub struct Reload {
    path: PathBuf,
    server: Server,
    log: Log,
}

impl Reload {
    pub fn new(path: &Path, server: &Server, log: Log) -> Self {
        Self { path: path.to_owned(), server: server.clone(), log }
    }

    /// The new policy is in force, or every reason why not.
    fn reload(&self, live: &Arc<Live>) -> Result<(), Vec<String>> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| vec![format!("{}: cannot be read: {error}", self.path.display())])?;
        let config = Config::read(&text, &secrets_beside(&self.path)).map_err(|problems| {
            let file = self.path.display().to_string();
            problems
                .iter()
                .map(|problem| problem.display(&file, &text).to_string())
                .collect::<Vec<_>>()
        })?;
        if config.server != self.server || config.log != self.log {
            return Err(vec![
                "[server] or [log] was changed, which needs a restart (`trusted_proxies` does not)"
                    .to_owned(),
            ]);
        }
        for upstream in &config.policy.upstreams {
            for host in upstream.resolve() {
                tracing::warn!(upstream = upstream.name, host, "name cannot be resolved yet");
            }
        }
        live.replace(config.policy);
        Ok(())
    }
}

/// The reload as a service of the process.
pub(crate) struct ReloadOnHangup {
    reload: Arc<Reload>,
    live: Arc<Live>,
    /// Taken when the service starts.
    hangups: Mutex<Option<Signal>>,
}

#[async_trait]
impl BackgroundService for ReloadOnHangup {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let hangups = self.hangups.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut hangups) = hangups else { return };
        loop {
            tokio::select! {
                _ = shutdown.changed() => return,
                _ = hangups.recv() => self.once().await,
            }
        }
    }
}

impl ReloadOnHangup {
    pub(crate) fn new(reload: Reload, live: &Arc<Live>, hangups: Signal) -> Self {
        let (reload, live) = (Arc::new(reload), live.clone());
        Self { reload, live, hangups: Mutex::new(Some(hangups)) }
    }

    async fn once(&self) {
        let (reload, live) = (self.reload.clone(), self.live.clone());
        // Files, and names of upstreams, are read blocking.
        let done = tokio::task::spawn_blocking(move || {
            // Whatever the settings say: the file may have been moved away.
            if let Err(error) = live.audit.reopen() {
                tracing::error!(%error, "the audit log cannot be opened again; it goes on where it was");
            }
            reload.reload(&live)
        })
        .await;
        match done {
            Ok(Ok(())) => {
                self.live.metrics.reloaded("ok");
                tracing::info!("configuration reloaded");
            }
            Ok(Err(problems)) => {
                self.live.metrics.reloaded("refused");
                for problem in problems {
                    tracing::error!(problem, "configuration not reloaded");
                }
            }
            Err(error) => tracing::error!(%error, "configuration not reloaded"),
        }
    }
}
