//! Sessions in Redis (and what speaks its protocol): one shared connection,
//! which the client re-establishes.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError};

use crate::base::crypto_provider;
use crate::base::store_url::BadStoreUrl;
use crate::identify::store::error::{MAX_SESSION, StoreError};
use crate::session::StoreAnswer;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Redis(ConnectionManager);

impl Redis {
    /// Must run inside the runtime of the connection.
    pub(super) fn open(client: &Client) -> Result<Self, StoreError> {
        crypto_provider::install();
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let manager = client.get_connection_manager_lazy(config);
        manager.map(Self).map_err(|_| BadStoreUrl("the client does not accept it").into())
    }

    /// The value and its remaining life. `GETRANGE` bounds the size read; the
    /// remaining life tells whether the key exists.
    pub(super) async fn get(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GETRANGE").arg(key).arg(0).arg(MAX_SESSION - 1);
        pipeline.cmd("PTTL").arg(key);
        // A lost connection is noticed by the command that meets it; the next
        // one finds a new connection.
        let mut asked = pipeline.query_async(&mut self.0.clone()).await;
        if asked.as_ref().is_err_and(RedisError::is_connection_dropped) {
            asked = pipeline.query_async(&mut self.0.clone()).await;
        }
        let (value, left): (Vec<u8>, i64) = match asked {
            Ok(answer) => answer,
            // The key holds something, but no session.
            Err(error) if code(&error).as_deref() == Some("WRONGTYPE") => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        Ok(match left {
            // Without an end.
            -1 => Some(StoreAnswer::Redis { value, seconds_left: None }),
            0.. => {
                let seconds_left = u64::try_from(left / 1000).ok();
                Some(StoreAnswer::Redis { value, seconds_left })
            }
            _ => None,
        })
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let ping = redis::cmd("PING");
        let mut asked = ping.query_async::<()>(&mut self.0.clone()).await;
        if asked.as_ref().is_err_and(RedisError::is_connection_dropped) {
            asked = ping.query_async(&mut self.0.clone()).await;
        }
        match asked {
            // Allowed to read sessions, not to ping.
            Err(error) if code(&error).as_deref() == Some("NOPERM") => Ok(()),
            other => other.map_err(|error| failed(&error)),
        }
    }
}

fn failed(error: &RedisError) -> StoreError {
    if error.is_timeout() {
        return StoreError::TimedOut;
    }
    if error.is_io_error() {
        return StoreError::Unreachable;
    }
    match (error.kind(), code(error).as_deref()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => {
            StoreError::NotAllowed
        }
        (_, Some(code)) => StoreError::Failed(code.to_owned()),
        (_, None) => StoreError::Failed(error.category().to_owned()),
    }
}

/// The server's code for the error, or for the first of several commands' errors.
fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors();
    let first = errors.as_deref().and_then(<[_]>::first).map(|(_, error)| error.code());
    first.or_else(|| error.code()).map(str::to_owned)
}
