//! The servers that are compared: the gateway, and the framework left bare.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::modules::http::HttpModules;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::listening::Service;
use portcullis::testing::Clock;
use portcullis::testing::Secrets;
use portcullis::testing::State;
use portcullis::testing::{AccessLog, AuditLog, Sink};
use portcullis::testing::{Config, Format};
use portcullis::testing::{Listeners, Shutdown, SignalHandlers, serve};

use crate::cookies::SECRET;
use crate::process::free_address;
use crate::{TOKEN_PATH, certificate};

/// The longest answer asked for.
const LARGEST: usize = 10 * 1024 * 1024;

const PORTIVE_KEY: &str = "PRTV_bench_0123456789abcdef0123456789abcdef";

/// The environment of a gateway whose secrets are there.
pub(crate) const SECRETS: [(&str, &str); 2] =
    [("SESSION_SECRET", SECRET), ("PORTIVE_KEY", PORTIVE_KEY)];

/// Serves until the process is ended, if the arguments name a server.
pub(crate) fn serves(arguments: &[String]) -> bool {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["fixed"] => run_bare(Fixed { body: Bytes::from(vec![b'x'; LARGEST]) }),
        ["forwarder", app] => run_bare(Forwarder { app: app.parse().unwrap(), timeout: None }),
        ["forwarder", app, seconds] => run_bare(Forwarder::new(app, seconds)),
        ["forwarder-tls", app, seconds] => run_bare_tls(Forwarder::new(app, seconds)),
        ["gateway", kind, app] => run_gateway(kind, app),
        _ => return false,
    }
    true
}

/// The gateway within this program, which can count its allocations.
fn run_gateway(kind: &str, app: &str) {
    let config = Config::read(&gateway_toml(kind, app, "", ""), &Secrets::Literal).unwrap();
    let server = config.server.clone();
    let listeners = Listeners::bind(&server).unwrap();
    let address = listeners.addresses().next().unwrap();
    let access = AccessLog::start(Format::Json, Sink::Stdout).unwrap();
    let state = Arc::new(State::new(config, Clock::system(), access, AuditLog::default()));
    std::thread::spawn(move || {
        let shutdown = Shutdown::Signals(SignalHandlers::but_hangups(), None);
        serve(&state, &server, listeners, shutdown, None).unwrap();
    });
    report(&address);
}

/// As an operator would run it: limits, metrics, access log and identity headers
/// on. Secrets are from the environment, or literal where `source` is empty.
/// `more` goes into `[server]`.
pub(crate) fn gateway_toml(kind: &str, app: &str, source: &str, more: &str) -> String {
    let secret = |(name, value): (&str, &str)| match source {
        "" => value.to_owned(),
        source => format!("{source}{name}"),
    };
    let [session_secret, portive_key] = SECRETS.map(secret);
    format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        admin = false
        threads = 1
        {more}
        [upstream]
        servers = ["http://{app}"]
        [session]
        kind = "{kind}"
        secret = "{session_secret}"
        {cookie}
        [token.portive]
        path = "{TOKEN_PATH}"
        preset = "portive"
        key = "{portive_key}"
        ttl = "1h"
        limit = ["1000000/s", "4000000000/day"]
        [identity]
        headers = {{ "X-Auth-User" = "{{session.user_id}}", "X-Auth-Name" = "{{session.name}}" }}
        "#,
        cookie = if kind == "jwt" { r#"cookie = "session""# } else { "" },
    )
}

fn run_bare<P>(proxy: P)
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let mut service = Service::new("bare".to_owned(), http_proxy(&conf(), proxy));
    let address = free_address();
    service.add_tcp(&address);
    run_alone(service, &address);
}

/// The framework's own TLS, with HTTP/2 for clients that want it.
fn run_bare_tls<P>(proxy: P)
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let files = [certificate::chain_file(), certificate::key_file()];
    let [chain, key] = files.map(|file| file.into_os_string().into_string().unwrap());
    let mut tls = TlsSettings::intermediate(&chain, &key).unwrap();
    tls.enable_h2();
    let mut service = Service::new("bare".to_owned(), http_proxy(&conf(), proxy));
    let address = free_address();
    service.add_tls_with_settings(&address, None, tls);
    run_alone(service, &address);
}

/// One service as the framework runs it unless told otherwise.
fn run_alone(service: impl pingora::services::Service + 'static, address: &str) {
    std::thread::spawn(move || {
        let mut server = Server::new_with_opt_and_conf(None, ServerConf::default());
        server.bootstrap();
        server.add_service(service);
        server.run(RunArgs::default());
    });
    while TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    report(address);
}

fn conf() -> Arc<ServerConf> {
    Arc::new(ServerConf { upstream_keepalive_pool_size: 1024, ..ServerConf::default() })
}

/// Tells where the server listens, then its allocations whenever it is asked,
/// until nobody can ask any more.
fn report(address: &str) {
    eprintln!("{address}");
    for _ in std::io::stdin().lines() {
        #[cfg(feature = "count-allocations")]
        eprintln!("{}", crate::COUNTING.stats().allocations);
    }
}

/// Answers `/bytes/N` with N bytes.
struct Fixed {
    body: Bytes,
}

#[async_trait]
impl ProxyHttp for Fixed {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> Result<bool> {
        let path = session.req_header().uri.path();
        let length = path.strip_prefix("/bytes/").and_then(|n| n.parse().ok()).unwrap_or(0);
        let body = self.body.slice(..length);
        let mut head = ResponseHeader::build(200, Some(4))?;
        head.insert_header("content-type", "application/json")?;
        head.insert_header("cache-control", "no-store")?;
        head.insert_header("content-length", length)?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(body), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        unreachable!("every request is answered by the filter")
    }
}

/// Sends everything to one app, for ever patient unless told otherwise.
struct Forwarder {
    app: std::net::SocketAddr,
    timeout: Option<Duration>,
}

impl Forwarder {
    fn new(app: &str, seconds: &str) -> Self {
        let timeout = Some(Duration::from_secs(seconds.parse().unwrap()));
        Self { app: app.parse().unwrap(), timeout }
    }
}

#[async_trait]
impl ProxyHttp for Forwarder {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, (): &mut ()) -> Result<()> {
        if let Some(timeout) = self.timeout {
            session.set_keepalive(Some(timeout.as_secs()));
            session.set_write_timeout(Some(timeout));
        }
        Ok(())
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.app, false, String::new());
        peer.options.connection_timeout = self.timeout;
        peer.options.total_connection_timeout = self.timeout;
        peer.options.read_timeout = self.timeout;
        peer.options.write_timeout = self.timeout;
        peer.options.idle_timeout = self.timeout;
        Ok(Box::new(peer))
    }
}
