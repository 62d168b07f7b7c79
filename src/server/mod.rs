//! From a configuration to a serving process: listeners, services, the end.
//!
//! Sockets are bound here, before anything else: inside the framework a taken
//! port is a panic in a task, after which the process runs on without a
//! listener.

mod admin;
pub mod guard;
mod listen;
mod names;
mod signals;

use std::sync::Arc;

use pingora::prelude::{Opt, Server as PingoraServer};
use pingora::proxy::http_proxy;
use pingora::server::RunArgs;
use pingora::server::configuration::ServerConf;
use pingora::services::background::background_service;
use pingora::services::listening::Service;

use crate::config::{Listen, Server};
use crate::gateway::{Gateway, Probes};
use crate::live::Live;
use crate::reload::{Reload, ReloadOnHangup};

pub use listen::{BindError, Bound};
pub use signals::{Shutdown, Stop};

/// Sockets bound and ready to be served.
pub struct Listeners {
    public: Vec<Bound>,
    admin: Option<Bound>,
}

impl Listeners {
    /// Binds every address of `[server]`, or says which ones cannot be.
    pub fn bind(server: &Server) -> Result<Self, Vec<BindError>> {
        let mut errors = Vec::new();
        let mut bind =
            |listen: &Listen| Bound::new(listen).map_err(|error| errors.push(error)).ok();
        let public: Vec<Option<Bound>> = server.listen.iter().map(&mut bind).collect();
        let admin = server.admin.as_ref().map(&mut bind);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { public: public.into_iter().flatten().collect(), admin: admin.flatten() })
    }

    /// The addresses as bound: the real ports where the file says port 0.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.public.iter().map(Bound::address)
    }

    pub fn admin_address(&self) -> Option<String> {
        self.admin.as_ref().map(Bound::address)
    }
}

/// Serves until `shutdown` says to stop and requests in flight have ended, or
/// the drain time is over. Blocks; must not be called inside a runtime.
pub fn serve(
    live: &Arc<Live>,
    server: &Server,
    listeners: Listeners,
    shutdown: Shutdown,
    reload: Option<Reload>,
) {
    // Before anybody is told that the process is there.
    let signals = shutdown.listen(live, server);
    let hangups = reload.is_some().then(signals::hangups);
    let threads = match server.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let conf = ServerConf {
        threads,
        work_stealing: true,
        // The ceiling of the drain; `signals` ends the process as soon as
        // nothing is in flight.
        grace_period_seconds: Some(server.drain.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        max_retries: 8,
        upstream_keepalive_pool_size: 1024,
        ..ServerConf::default()
    };
    let mut pingora = PingoraServer::new_with_opt_and_conf(None::<Opt>, conf);
    pingora.bootstrap();
    for address in listeners.addresses() {
        tracing::info!(address, "listening");
    }
    if let Some(address) = listeners.admin_address() {
        tracing::info!(address, "admin listening");
    }
    names::keep_resolved(live);
    for warning in live.policy().warnings() {
        tracing::warn!(warning, "dangerous setting");
    }
    live.start();
    let conf = pingora.configuration.clone();
    pingora.add_service(public_service(live, server, &conf, listeners.public));
    if let Some(admin) = listeners.admin {
        pingora.add_service(admin::service(live, admin));
    }
    pingora.add_service(background_service("health", Probes::new(live)));
    match (reload, hangups) {
        (Some(reload), Some(Ok(hangups))) => {
            let reload = ReloadOnHangup::new(reload, live, hangups);
            pingora.add_service(background_service("reload", reload));
        }
        (_, Some(Err(error))) => {
            tracing::error!(%error, "SIGHUP cannot be handled; the file will not be read again");
        }
        (_, _) => {}
    }
    let phases = pingora.watch_execution_phase();
    let drained = signals.watch_drain(phases, server.drain);
    pingora.run(RunArgs { shutdown_signal: Box::new(signals) });
    drained.finish(live);
}

fn public_service(
    live: &Arc<Live>,
    server: &Server,
    conf: &Arc<ServerConf>,
    sockets: Vec<Bound>,
) -> listen::PreBound<Service<guard::Guarded>> {
    let plain = http_proxy(conf, Gateway(live.clone()));
    let mut prior_knowledge = http_proxy(conf, Gateway(live.clone()));
    let mut options = pingora::apps::HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(server.idle_timeout);
    prior_knowledge.server_options = Some(options);
    prior_knowledge.h2_options = Some(pingora::protocols::http::v2::server::default_h2_options());
    let guarded = guard::Guarded::new(live, plain, server.http2.then_some(prior_knowledge), server);
    let service = Service::new("public".to_owned(), guarded);
    listen::PreBound::new(service, sockets)
}

/// Serves another application of this process on threads of its own, as long as
/// the process runs; returns where it listens.
pub fn serve_alone<A>(service: Service<A>, listen: &Listen) -> Result<String, BindError>
where
    A: pingora::apps::ServerApp + Send + Sync + 'static,
{
    let bound = Bound::new(listen)?;
    let address = bound.address();
    std::thread::spawn(move || {
        let mut pingora = PingoraServer::new_with_opt_and_conf(None::<Opt>, ServerConf::default());
        pingora.bootstrap();
        pingora.add_service(listen::PreBound::new(service, vec![bound]));
        pingora.run(RunArgs { shutdown_signal: Box::new(signals::Never) });
    });
    Ok(address)
}
