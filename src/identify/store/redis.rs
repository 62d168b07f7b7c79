//! Sessions in Redis (and what speaks its protocol).

use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;

use crate::base::redis_url::RedisUrl;
use crate::identify::store::error::{MAX_SESSION, StoreError};
use crate::outbound::redis::{Failure, Redis as Connector, Request};
use crate::session::StoreAnswer;

/// Longest wait for an answer; the store's own `timeout` is mostly shorter.
const TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Clone)]
pub(super) struct Redis(Connector);

impl Redis {
    /// Connects to nothing yet; connections will live in `runtime`.
    pub(super) fn open(url: RedisUrl, runtime: Handle) -> Self {
        Self(Connector::new(url, runtime))
    }

    /// The value and its remaining life. `GETRANGE` bounds the size read; the
    /// remaining life tells whether the key exists.
    pub(super) async fn get(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        let value = redis::cmd("GETRANGE").arg(key).arg(0).arg(MAX_SESSION - 1).take();
        let left = redis::cmd("PTTL").arg(key).take();
        let question = Request::new(key.as_bytes()).with(value).with(left);
        let answers = match self.0.read(&question, TIMEOUT).await {
            Ok(answers) => answers,
            // The key holds something, but no session.
            Err(Failure::Server(code)) if code == "WRONGTYPE" => return Ok(None),
            Err(failure) => return Err(failed(failure)),
        };
        let Ok([Value::BulkString(value), Value::Int(left)]) = <[Value; 2]>::try_from(answers)
        else {
            return Err(StoreError::Failed("an unexpected answer".to_owned()));
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
        let ping = Request::one(b"", redis::cmd("PING"));
        match self.0.read(&ping, TIMEOUT).await {
            // Allowed to read sessions, not to ping.
            Err(Failure::NotAllowed(code)) if code == "NOPERM" => Ok(()),
            other => other.map(|_| ()).map_err(failed),
        }
    }
}

fn failed(failure: Failure) -> StoreError {
    match failure {
        Failure::NotAllowed(_) => StoreError::NotAllowed,
        Failure::Lost | Failure::Unreachable => StoreError::Unreachable,
        Failure::Server(code) => StoreError::Failed(code),
        Failure::TimedOut => StoreError::TimedOut,
        other @ (Failure::Certificate(_)
        | Failure::NoScript
        | Failure::ReadOnly
        | Failure::Redirected { .. }
        | Failure::TryAgain) => StoreError::Unusable(other.to_string()),
    }
}
