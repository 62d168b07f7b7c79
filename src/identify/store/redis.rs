//! Sessions in Redis (and what speaks its protocol).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;

use crate::base::redis_url::RedisUrl;
use crate::identify::store::error::{MAX_SESSION, StoreError};
use crate::outbound::redis::{Failure, Redis as Connector, RedisRequest};
use crate::session::{Fields, StoreAnswer};

/// Longest wait for an answer; the store's own `timeout` is mostly shorter.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Longest pause between two attempts to connect: sessions are refused until one succeeds.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Most fields of a hash that is read.
const MAX_FIELDS: i64 = 4096;
/// Most memory that the server uses for such a hash, in bytes: the largest session, and as
/// much again for the names' and values' own overhead.
const MAX_MEMORY: i64 = 2 * 1024 * 1024;

/// Rights that reading a string, or a hash, needs.
const RIGHTS: &str = "+getrange +pttl";
const RIGHTS_OF_HASHES: &str = "+hgetall +pttl +hlen +memory|usage";

#[derive(Clone)]
pub(super) struct Redis {
    connector: Connector,
    /// Set once the server has refused to tell the memory that a hash takes.
    hides_memory: Arc<AtomicBool>,
}

impl Redis {
    /// Connects to nothing yet; connections will live in `runtime`.
    pub(super) fn open(url: RedisUrl, runtime: Handle) -> Self {
        let connector = Connector::new(url, LONGEST_PAUSE, runtime);
        Self { connector, hides_memory: Arc::default() }
    }

    /// The value and its remaining life. `GETRANGE` bounds the size read; the
    /// remaining life tells whether the key exists.
    pub(super) async fn get(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        let value = redis::cmd("GETRANGE").arg(key).arg(0).arg(MAX_SESSION - 1).take();
        let value = match self.with_life(key, value, RIGHTS).await? {
            Kept::Value { value: Value::BulkString(value), seconds_left } => {
                Some(StoreAnswer::Redis { value, seconds_left })
            }
            Kept::Value { .. } => return Err(unexpected()),
            Kept::WrongType => Some(StoreAnswer::WrongType),
            Kept::Nothing => None,
        };
        Ok(value)
    }

    /// As `get`, for a hash. No command limits how much of it is read, so its size is
    /// asked first.
    pub(super) async fn get_hash(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        match self.size_of_hash(key).await? {
            HashSize::Missing => return Ok(None),
            HashSize::TooLarge => return Ok(Some(StoreAnswer::TooLarge)),
            HashSize::WrongType => return Ok(Some(StoreAnswer::WrongType)),
            HashSize::Readable => {}
        }
        let all = redis::cmd("HGETALL").arg(key).take();
        match self.with_life(key, all, RIGHTS_OF_HASHES).await? {
            Kept::Value { value, seconds_left } => {
                let fields = fields(value).ok_or_else(unexpected)?;
                Ok(Some(StoreAnswer::RedisHash { fields: Fields(fields), seconds_left }))
            }
            Kept::WrongType => Ok(Some(StoreAnswer::WrongType)),
            Kept::Nothing => Ok(None),
        }
    }

    /// The number of fields bounds the work of the server that measures it.
    async fn size_of_hash(&self, key: &str) -> Result<HashSize, StoreError> {
        if self.hides_memory.load(Ordering::Relaxed) {
            return self.length_of_hash(key).await;
        }
        let fields = redis::cmd("HLEN").arg(key).take();
        let memory =
            redis::cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(MAX_FIELDS).take();
        let question = RedisRequest::new(key.as_bytes()).with(fields).with(memory);
        let answers = match self.connector.read(&question, TIMEOUT).await {
            Ok(answers) => answers,
            Err(Failure::Server(code)) if code == "WRONGTYPE" => return Ok(HashSize::WrongType),
            // The user may only read sessions, or the server does not have the command.
            Err(Failure::NotAllowed(code) | Failure::Server(code))
                if matches!(code.as_str(), "ERR" | "NOPERM") =>
            {
                let size = self.length_of_hash(key).await?;
                self.hides_memory.store(true, Ordering::Relaxed);
                return Ok(size);
            }
            Err(failure) => return Err(failed(failure, RIGHTS_OF_HASHES)),
        };
        match <[Value; 2]>::try_from(answers) {
            Ok([Value::Int(0), _] | [_, Value::Nil]) => Ok(HashSize::Missing),
            Ok([Value::Int(fields), Value::Int(bytes)]) => Ok(HashSize::of(fields, bytes)),
            Ok(_) | Err(_) => Err(unexpected()),
        }
    }

    /// The same where the memory is not told: the lengths of its values are summed up.
    async fn length_of_hash(&self, key: &str) -> Result<HashSize, StoreError> {
        let number = match self.ask(key, [redis::cmd("HLEN").arg(key).take()]).await? {
            None => return Ok(HashSize::WrongType),
            Some(answers) => sum(&answers)?,
        };
        if number == 0 {
            return Ok(HashSize::Missing);
        }
        if number > MAX_FIELDS {
            return Ok(HashSize::TooLarge);
        }
        let names = self.ask(key, [redis::cmd("HKEYS").arg(key).take()]).await?;
        let names = match names.as_deref() {
            Some([Value::Array(names)]) => names.as_slice(),
            Some(_) => return Err(unexpected()),
            None => return Ok(HashSize::WrongType),
        };
        let length = |name: &Value| match name {
            Value::BulkString(name) => Ok(redis::cmd("HSTRLEN").arg(key).arg(name).take()),
            _ => Err(unexpected()),
        };
        let lengths = names.iter().map(length).collect::<Result<Vec<_>, _>>()?;
        match self.ask(key, lengths).await? {
            Some(lengths) => Ok(HashSize::of(number, sum(&lengths)?)),
            None => Ok(HashSize::WrongType),
        }
    }

    /// The answers to commands about a hash; `None` if the key holds another type.
    async fn ask(
        &self,
        key: &str,
        commands: impl IntoIterator<Item = redis::Cmd>,
    ) -> Result<Option<Vec<Value>>, StoreError> {
        let question =
            commands.into_iter().fold(RedisRequest::new(key.as_bytes()), RedisRequest::with);
        match self.connector.read(&question, TIMEOUT).await {
            Ok(answers) => Ok(Some(answers)),
            Err(Failure::Server(code)) if code == "WRONGTYPE" => Ok(None),
            Err(failure) => Err(failed(failure, RIGHTS_OF_HASHES)),
        }
    }

    /// The answer to a command about a key, and the key's remaining life, in one round trip.
    /// `rights` are those that it needs.
    async fn with_life(
        &self,
        key: &str,
        command: redis::Cmd,
        rights: &'static str,
    ) -> Result<Kept, StoreError> {
        let left = redis::cmd("PTTL").arg(key).take();
        let question = RedisRequest::new(key.as_bytes()).with(command).with(left);
        let answers = match self.connector.read(&question, TIMEOUT).await {
            Ok(answers) => answers,
            Err(Failure::Server(code)) if code == "WRONGTYPE" => return Ok(Kept::WrongType),
            Err(failure) => return Err(failed(failure, rights)),
        };
        let Ok([value, Value::Int(left)]) = <[Value; 2]>::try_from(answers) else {
            return Err(unexpected());
        };
        Ok(match left {
            // Without an end.
            -1 => Kept::Value { value, seconds_left: None },
            0.. => Kept::Value { value, seconds_left: u64::try_from(left / 1000).ok() },
            _ => Kept::Nothing,
        })
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let ping = RedisRequest::one(b"", redis::cmd("PING"));
        match self.connector.read(&ping, TIMEOUT).await {
            // Allowed to read sessions, not to ping.
            Err(Failure::NotAllowed(code)) if code == "NOPERM" => Ok(()),
            other => other.map(|_| ()).map_err(|failure| failed(failure, RIGHTS)),
        }
    }
}

/// Facts about a hash before it is read.
enum HashSize {
    Missing,
    Readable,
    TooLarge,
    WrongType,
}

impl HashSize {
    fn of(fields: i64, bytes: i64) -> Self {
        let is_readable = fields <= MAX_FIELDS && bytes <= MAX_MEMORY;
        if is_readable { Self::Readable } else { Self::TooLarge }
    }
}

/// The sum of answers that are numbers.
fn sum(answers: &[Value]) -> Result<i64, StoreError> {
    answers.iter().try_fold(0_i64, |sum, answer| match answer {
        Value::Int(number) => Ok(sum.saturating_add(*number)),
        _ => Err(unexpected()),
    })
}

/// The content of a key.
enum Kept {
    Nothing,
    Value { value: Value, seconds_left: Option<u64> },
    WrongType,
}

/// The fields of a hash: a map in version 3 of the protocol, a flat list before.
fn fields(answer: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let text = |value: Value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    };
    match answer {
        Value::Map(pairs) => {
            pairs.into_iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect()
        }
        Value::Array(items) => {
            let mut items = items.into_iter();
            let mut fields = Vec::new();
            while let Some(name) = items.next() {
                fields.push((text(name)?, text(items.next()?)?));
            }
            Some(fields)
        }
        _ => None,
    }
}

fn unexpected() -> StoreError {
    StoreError::Failed("an unexpected answer".to_owned())
}

/// `rights` are those that the question needed.
fn failed(failure: Failure, rights: &'static str) -> StoreError {
    match failure {
        Failure::NotAllowed(code) if code == "NOPERM" => StoreError::NoCommands(rights),
        Failure::NotAllowed(_) => StoreError::NotAllowed,
        Failure::Lost | Failure::Unreachable => StoreError::Unreachable,
        Failure::Server(code) => StoreError::Failed(code),
        Failure::TimedOut => StoreError::TimedOut,
        other @ (Failure::Certificate(_)
        | Failure::NoScript
        | Failure::ReadOnly
        | Failure::Redirected { .. }
        | Failure::TryAgain
        | Failure::Unfit(_)) => StoreError::Unusable(other.to_string()),
    }
}
