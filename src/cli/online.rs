//! `check --online`: asks everything that the file names.

use std::time::Duration;

use http::StatusCode;

use super::output::eprint;
use crate::base::clock::Clock;
use crate::identify::jwks;
use crate::identify::resolve::Servers;
use crate::outbound::{Call, Url};
use crate::policy::{Policy, SessionSource};
use crate::upstream::Address;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Runs work that asks servers, in a separate runtime.
pub(super) fn with_servers<T>(work: impl AsyncFnOnce(&Servers) -> T) -> Option<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let servers = Servers::new(runtime.handle(), Clock::system());
            Some(runtime.block_on(work(&servers)))
        }
        Err(error) => {
            eprint(format_args!("cannot start threads to contact servers: {error}"));
            None
        }
    }
}

/// Everything that does not answer, a line each.
pub(super) async fn problems(servers: &Servers, policy: &Policy) -> Vec<String> {
    let mut problems = Vec::new();
    for upstream in &policy.upstreams {
        for address in upstream.servers() {
            if let Err(why) = connect(address).await {
                problems.push(format!("{}: {address}: {why}", upstream.label()));
            }
        }
    }
    for source in &policy.sources {
        let label = &source.label;
        problems
            .extend(fetch_keys(servers, source).await.map(|why| format!("session {label}: {why}")));
        for store in source.stores() {
            for error in servers.stores.examine(store).await {
                problems.push(format!("session {label}: store ({}): {error}", store.engine.name()));
            }
        }
        if let Some(url) = source.asked_url() {
            problems
                .extend(ask_app(servers, url).await.map(|why| format!("session {label}: {why}")));
        }
    }
    problems
}

/// Gives a source its published keys, or returns why they cannot be fetched.
pub(super) async fn fetch_keys(servers: &Servers, source: &SessionSource) -> Option<String> {
    let keys = source.remote_keys()?;
    let outcome = match jwks::fetch(&servers.outbound, keys.url()).await {
        Ok((document, _)) => keys.supply(&document).map_err(str::to_owned),
        Err(why) => Err(why),
    };
    let shown = Url::parse(keys.url()).map_or_else(String::new, |url| format!(" at {url}"));
    outcome.err().map(|why| format!("the keys{shown}: {why}"))
}

/// Asks without a session, so the app should say that no one is signed in.
async fn ask_app(servers: &Servers, url: &str) -> Option<String> {
    let Some(url) = Url::parse(url) else {
        return Some("`url` is not a usable URL".to_owned());
    };
    let shown = url.to_string();
    let call = Call { timeout: TIMEOUT, ..Call::get(url) };
    match servers.outbound.send(&call).await.map(|answer| answer.status) {
        Ok(StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => None,
        Ok(status) => Some(format!(
            "{shown} answers with status {} without a session, expected 200, 401 or 403",
            status.as_u16()
        )),
        Err(error) => Some(format!("{shown}: {error}")),
    }
}

async fn connect(address: &Address) -> Result<(), &'static str> {
    let attempt = async {
        match address {
            Address::Tcp { host, port, .. } => {
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                let found: Vec<_> = found.map_err(|_| "the name cannot be resolved")?.collect();
                let connected = tokio::net::TcpStream::connect(found.as_slice()).await;
                connected.map(drop).map_err(|_| "cannot be connected to")
            }
            Address::Unix(path) => {
                let connected = tokio::net::UnixStream::connect(path).await;
                connected.map(drop).map_err(|_| "cannot be connected to")
            }
        }
    };
    tokio::time::timeout(TIMEOUT, attempt).await.unwrap_or(Err("does not answer in time"))
}
