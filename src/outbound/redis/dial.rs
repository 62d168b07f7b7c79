//! One connection: to a server, or to the primary that Sentinel names.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsCertificates,
};
use tokio::task::JoinSet;

use super::failure::Failure;
use crate::base::crypto_provider;
use crate::base::redis_url::{RedisNode, RedisServers, RedisUrl, Sentinels, TlsFiles};

/// Longest wait for a connection with everything it needs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for a sentinel's answer.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection, and the primary that sentinels named.
pub(super) type Dialled = (MultiplexedConnection, Option<RedisNode>);

/// Where a connection leads.
#[derive(Clone)]
pub(super) enum DialTarget {
    /// A server of a Cluster.
    Node(RedisUrl, RedisNode),
    /// Whatever the address says.
    Primary(RedisUrl),
}

impl DialTarget {
    /// Connects, or says why not. Must run in the runtime of the connection.
    pub(super) async fn dial(&self) -> Result<MultiplexedConnection, Failure> {
        Ok(self.dial_named().await?.0)
    }

    /// As `dial`, with the primary if sentinels named it.
    pub(super) async fn dial_named(&self) -> Result<Dialled, Failure> {
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, async {
            match self {
                Self::Node(url, node) => {
                    Ok((open(tcp(node), &url.login, url.tls.as_ref()).await?, None))
                }
                Self::Primary(url) => primary(url).await,
            }
        });
        dialled.await.unwrap_or(Err(Failure::Unreachable))
    }

    /// The primaries that sentinels name now; one of them may have missed a failover.
    pub(super) async fn named_primaries(&self) -> Vec<RedisNode> {
        let Self::Primary(url) = self else { return Vec::new() };
        let RedisServers::Sentinel(sentinels) = &url.servers else { return Vec::new() };
        let asked = sentinels.nodes.iter().map(|node| {
            let (url, sentinels, node) = (url.clone(), sentinels.clone(), node.clone());
            let ask = async move { ask_sentinel(&url, &sentinels, &node).await };
            tokio::time::timeout(SENTINEL_TIMEOUT, ask)
        });
        let answers = asked.collect::<JoinSet<_>>().join_all().await;
        answers.into_iter().filter_map(|answer| answer.ok()?.ok()).collect()
    }
}

async fn primary(url: &RedisUrl) -> Result<Dialled, Failure> {
    let connected = match &url.servers {
        RedisServers::Cluster(_) => return Err(Failure::Unreachable),
        RedisServers::One(node) => open(tcp(node), &url.login, url.tls.as_ref()).await,
        RedisServers::Sentinel(sentinels) => return by_sentinels(url, sentinels).await,
        RedisServers::Socket(path) => {
            open(ConnectionAddr::Unix(path.clone()), &url.login, None).await
        }
    };
    Ok((connected?, None))
}

/// Asks all sentinels at once and takes the first primary that says it is one: neither a
/// dead sentinel nor one that has missed a failover holds the others up.
async fn by_sentinels(url: &RedisUrl, sentinels: &Sentinels) -> Result<Dialled, Failure> {
    let mut attempts = JoinSet::new();
    for node in &sentinels.nodes {
        let (url, sentinels, node) = (url.clone(), sentinels.clone(), node.clone());
        attempts.spawn(async move { by_sentinel(&url, &sentinels, &node).await });
    }
    let mut failure = Failure::Unreachable;
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(Failure::Unreachable)) | Err(_) => {}
            Ok(Err(other)) => failure = other,
        }
    }
    Err(failure)
}

async fn by_sentinel(
    url: &RedisUrl,
    sentinels: &Sentinels,
    sentinel: &RedisNode,
) -> Result<Dialled, Failure> {
    let node = ask_sentinel(url, sentinels, sentinel).await?;
    let mut connection = open(tcp(&node), &url.login, url.tls.as_ref()).await?;
    let named = Some(node);
    let role = redis::cmd("ROLE").query_async::<Vec<redis::Value>>(&mut connection).await;
    match role {
        Ok(role) if role.first().is_some_and(is_primary) => Ok((connection, named)),
        Ok(_) => Err(Failure::ReadOnly),
        // A user without the right to ask: a write to a replica fails anyway.
        Err(error) if matches!(Failure::from(&error), Failure::NotAllowed(_)) => {
            Ok((connection, named))
        }
        Err(error) => Err(failed(&error)),
    }
}

const NO_PRIMARY: &str =
    "the Sentinel knows no primary of that name; write the one of its `sentinel monitor` line";

/// The primary that one sentinel names.
async fn ask_sentinel(
    url: &RedisUrl,
    sentinels: &Sentinels,
    sentinel: &RedisNode,
) -> Result<RedisNode, Failure> {
    let mut asked = open(tcp(sentinel), &sentinels.login, url.tls.as_ref()).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(&sentinels.primary);
    let found: Option<(String, u16)> =
        question.query_async(&mut asked).await.map_err(|e| failed(&e))?;
    let (host, port) = found.ok_or(Failure::Unfit(NO_PRIMARY))?;
    Ok(RedisNode { host, port })
}

fn is_primary(role: &redis::Value) -> bool {
    matches!(role, redis::Value::BulkString(role) if role == b"master")
}

fn tcp(node: &RedisNode) -> ConnectionAddr {
    ConnectionAddr::Tcp(node.host.clone(), node.port)
}

async fn open(
    to: ConnectionAddr,
    login: &RedisConnectionInfo,
    tls: Option<&TlsFiles>,
) -> Result<MultiplexedConnection, Failure> {
    let client = match (to, tls) {
        (ConnectionAddr::Tcp(host, port), Some(tls)) => {
            crypto_provider::install();
            let to =
                ConnectionAddr::TcpTls { host, port, insecure: tls.insecure, tls_params: None };
            with_certificates(info(to, login)?, tls.clone()).await?
        }
        (to, _) => Client::open(info(to, login)?).map_err(|error| failed(&error))?,
    };
    // Each caller has its own deadline.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(None);
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.map_err(|error| failed(&error))
}

fn info(to: ConnectionAddr, login: &RedisConnectionInfo) -> Result<redis::ConnectionInfo, Failure> {
    let info = to.into_connection_info().map_err(|error| failed(&error))?;
    Ok(info.set_redis_settings(login.clone()))
}

/// Reads the files now, so a renewed certificate serves the next connection.
async fn with_certificates(info: redis::ConnectionInfo, tls: TlsFiles) -> Result<Client, Failure> {
    let read = move || -> Result<Client, Failure> {
        let root_cert = tls.ca.as_deref().map(read).transpose()?;
        let client_tls = match &tls.client {
            Some((cert, key)) => {
                Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
            }
            None => None,
        };
        if root_cert.is_none() && client_tls.is_none() {
            return Client::open(info).map_err(|error| failed(&error));
        }
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(|_| {
            Failure::Certificate("the files of `ca`, `cert` or `key` are not PEM".to_owned())
        })
    };
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Failure::Unreachable))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let why = |error: std::io::Error| {
        Failure::Certificate(format!("{} cannot be read: {}", path.display(), error.kind()))
    };
    std::fs::read(path).map_err(why)
}

/// Before there is a connection, nothing that was lost had an effect.
fn failed(error: &RedisError) -> Failure {
    // The message is that of the TLS library: of certificates, never of settings.
    let says_tls = || error.to_string().to_ascii_lowercase().contains("certificate");
    match Failure::from(error) {
        Failure::Lost if says_tls() => Failure::Certificate(
            "the server's certificate is not accepted here, or the gateway's is not accepted there"
                .to_owned(),
        ),
        Failure::Lost => Failure::Unreachable,
        other => other,
    }
}
