//! Assembles the process: threads, services, start and shutdown.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::http_app::HttpServer;
use pingora::prelude::{Opt, Server as PingoraServer};
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};

use super::accept::{Accept, Threads};
use super::connection::{LimitedApp, ListenerKind, Proxies};
use super::io::http2::longest_fields;
use super::listen::{BindError, Bound};
use super::listeners::Listeners;
use super::plain_app::PlainApp;
use super::redirect::Redirect;
use super::shutdown::{self, Shutdown};
use super::{admin, resolver};
use crate::base::crypto_provider;
use crate::config::{Listen, ServerSettings};
use crate::gateway::{Asks, Gateway, Probes};
use crate::reload::{Reload, Reloader};
use crate::state::State;

/// Longest time a successor waits for keys and stores before it serves.
const COMPLETE_WITHIN: Duration = Duration::from_secs(10);

/// Longest time a start waits for the revocations of other replicas.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Most octets of one HTTP/2 upload buffered for an app that does not read; also the
/// most a client sends within one round trip.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for all uploads of a connection: larger, so that one upload the app does
/// not read cannot stop the others.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Budget for queued HTTP/2 frames (about 256 octets of overhead each, so some 20,000);
/// beyond it the client counts as flooding. Small messages sent at once, as gRPC does, are
/// separate frames, and the framework's budget of a hundred is soon reached.
const FRAMES_WEIGH: usize = 5 * 1024 * 1024;

/// Serves until `shutdown` says to stop and requests in flight have ended, or
/// the drain time is over. Blocks; must not be called inside a runtime. An error means
/// that no thread could be started and nothing was served.
pub fn serve(
    state: &Arc<State>,
    server: &ServerSettings,
    mut listeners: Listeners,
    mut shutdown: Shutdown,
    reload: Option<Reload>,
) -> std::io::Result<()> {
    let hangups = shutdown.hangups();
    let signals = shutdown.listen(state, server, &listeners);
    let threads = match server.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let (threads, running) = Threads::start(threads)?;
    let mut pingora = framework(server);
    log_addresses(&listeners);
    await_state(state, &mut listeners);
    let predecessor = listeners.predecessor.take();
    add_listeners(&mut pingora, &threads, state, server, listeners);
    pingora.add_service(background_service("health", Probes::new(state)));
    match (reload, hangups) {
        (Some(reload), Some(Ok(hangups))) => {
            let reload = ReloadService(Reloader::new(reload, state, hangups));
            pingora.add_service(background_service("reload", reload));
        }
        (_, Some(Err(error))) => {
            tracing::error!(%error, "SIGHUP cannot be handled; the file will not be read again");
        }
        (_, _) => {}
    }
    let phases = pingora.watch_execution_phase();
    let drained = signals.watch(phases, server.drain, predecessor);
    pingora.run(RunArgs { shutdown_signal: Box::new(signals) });
    running.stop();
    drained.finish(state);
    Ok(())
}

/// The framework's own server, which runs the services.
fn framework(server: &ServerSettings) -> PingoraServer {
    let conf = ServerConf {
        // Longer than the drain, which ends the process first.
        grace_period_seconds: Some(server.drain.as_secs() + 5),
        graceful_shutdown_timeout_seconds: Some(1),
        max_retries: 8,
        upstream_keepalive_pool_size: 1024,
        ..ServerConf::default()
    };
    let mut pingora = PingoraServer::new_with_opt_and_conf(None::<Opt>, conf);
    pingora.bootstrap();
    pingora
}

fn log_addresses(listeners: &Listeners) {
    for address in listeners.addresses() {
        tracing::info!(address, "listening");
    }
    for address in listeners.redirect_addresses() {
        tracing::info!(address, "redirect listening");
    }
    for address in listeners.auth_addresses() {
        tracing::info!(address, "auth listening");
    }
    if let Some(address) = listeners.admin_address() {
        tracing::info!(address, "admin listening");
    }
}

/// Begins to fetch what requests need, and waits for as much of it as a start may wait for.
fn await_state(state: &Arc<State>, listeners: &mut Listeners) {
    resolver::keep_resolved(state);
    state.watch_keys();
    let is_heard = state.wait_until_heard(HEARD_WITHIN);
    if let Some(predecessor) = &mut listeners.predecessor {
        predecessor.inherit(state);
    }
    if !is_heard {
        state.identifier.revoked.begin_without_others();
    }
    if listeners.predecessor.is_some() {
        // The predecessor still serves, so there is time.
        state.wait_until_complete(COMPLETE_WITHIN);
    }
}

/// One service for each kind of listener.
fn add_listeners(
    pingora: &mut PingoraServer,
    threads: &Threads,
    state: &Arc<State>,
    server: &ServerSettings,
    listeners: Listeners,
) {
    let conf = pingora.configuration.clone();
    let https = listeners.public.iter().filter(|bound| bound.is_tls()).find_map(Bound::port);
    let questions = ListenerKind::Plain(proxies(state, Asks::Front, server, &conf));
    let proxies = proxies(state, Asks::Client, server, &conf);
    let (secured, plain): (Vec<_>, Vec<_>) = listeners.public.into_iter().partition(Bound::is_tls);
    for (name, sockets, serves) in [
        ("auth", listeners.auth, questions),
        ("public", plain, ListenerKind::Plain(proxies.clone())),
        ("tls", secured, ListenerKind::Tls(proxies)),
    ] {
        if !sockets.is_empty() {
            let guarded = LimitedApp::new(state, serves, server);
            pingora.add_service(Accept::new(name, guarded, sockets).for_threads(threads));
        }
    }
    if !listeners.redirect.is_empty() {
        let port = server.redirect_port.or(https).unwrap_or(443);
        let app = HttpServer::new_app(Redirect { state: state.clone(), port });
        let guarded = LimitedApp::new(state, ListenerKind::Redirect(Arc::new(app)), server);
        let accept = Accept::new("redirect", guarded, listeners.redirect);
        pingora.add_service(accept.for_threads(threads));
    }
    if let Some(admin) = listeners.admin {
        pingora.add_service(admin::service(state, server, admin));
    }
}

/// The reload as a service of the framework.
struct ReloadService(Reloader);

#[async_trait]
impl BackgroundService for ReloadService {
    async fn start(&self, shutdown: ShutdownWatch) {
        self.0.run(shutdown).await;
    }
}

/// The gateway as the framework runs it, shared by every listener that serves it.
fn proxies(
    state: &Arc<State>,
    asks: Asks,
    server: &ServerSettings,
    conf: &Arc<ServerConf>,
) -> Proxies {
    crypto_provider::install();
    let http1 = http_proxy(conf, Gateway::new(state, asks));
    let mut http2 = http_proxy(conf, Gateway::new(state, asks));
    let mut options = pingora::apps::HttpServerOptions::default();
    options.h2c = true;
    // Otherwise the framework refuses CONNECT itself, without a body and without a log line.
    options.allow_connect_method_proxying = true;
    options.h2_idle_timeout = Some(server.idle_timeout);
    http2.server_options = Some(options);
    let mut limits = pingora::protocols::http::v2::server::default_h2_options();
    let fields = u32::try_from(longest_fields(server.max_header)).unwrap_or(u32::MAX);
    limits.max_header_list_size(fields);
    limits.max_concurrent_streams(server.max_streams);
    limits.max_pending_accept_reset_streams(server.max_resets);
    limits.initial_window_size(STREAM_WINDOW);
    limits.initial_connection_window_size(CONNECTION_WINDOW);
    limits.data_frame_budget(FRAMES_WEIGH);
    http2.h2_options = Some(limits);
    Proxies { http1: Arc::new(http1), http2: server.http2.then(|| Arc::new(http2)) }
}

/// Serves another application of this process on its own thread, as long as the process
/// runs; returns where it listens. Bodies longer than `max_body` are refused.
pub(crate) fn serve_alone<F>(
    name: &'static str,
    max_body: usize,
    answer: F,
    listen: &Listen,
) -> Result<String, BindError>
where
    F: Fn(&http::Request<Vec<u8>>) -> http::Response<Vec<u8>> + Send + Sync + 'static,
{
    let app = HttpServer::new_app(PlainApp { max_body, answer });
    let bound = Bound::new(listen, None)?;
    let address = bound.address();
    std::thread::spawn(move || {
        let mut pingora = PingoraServer::new_with_opt_and_conf(None::<Opt>, ServerConf::default());
        pingora.bootstrap();
        pingora.add_service(Accept::new(name, app, vec![bound]));
        pingora.run(RunArgs { shutdown_signal: Box::new(shutdown::Never) });
    });
    Ok(address)
}
