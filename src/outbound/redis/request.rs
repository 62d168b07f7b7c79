//! Commands about one key, sent together.

use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use super::failure::Failure;
use super::slots::slot_of;

/// Commands about one key: in a Cluster they all go to its server.
pub(crate) struct RedisRequest {
    slot: u16,
    commands: Pipeline,
    count: usize,
    birth: Birth,
}

/// When a request may make its key at a server that only takes over the key's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    AnyTime,
    /// While it is sure that the old server does not have the key. A script is told until
    /// when, in microseconds of the server's clock, and answers `TRYAGAIN` after that.
    InTime,
}

/// Longest time from the question that a server answers with `ASK` to the next step, and
/// from that to the end of the last. Two round trips on a machine that is far too busy must
/// fit, or requests would begin again until their deadline.
const ASK_STEP: Duration = Duration::from_millis(500);

impl RedisRequest {
    /// `key` is the one key of all commands.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self { slot: slot_of(key), commands: Pipeline::new(), count: 0, birth: Birth::AnyTime }
    }

    #[must_use]
    pub(crate) fn with(mut self, command: Cmd) -> Self {
        self.commands.add_command(command);
        self.count += 1;
        self
    }

    pub(super) fn born(self, birth: Birth) -> Self {
        Self { birth, ..self }
    }

    /// One command about one key.
    pub(crate) fn one(key: &[u8], command: Cmd) -> Self {
        Self::new(key).with(command)
    }

    pub(super) fn slot(&self) -> u16 {
        self.slot
    }

    /// The answers, in the order of the commands.
    pub(super) async fn send(
        &self,
        mut connection: MultiplexedConnection,
    ) -> Result<Vec<Value>, Failure> {
        let sent = connection.req_packed_commands(&self.commands, 0, self.count).await;
        answers(sent)
    }

    /// The same at a server that only takes over the key's slot (`ASK`), where the old one
    /// was asked at that time.
    ///
    /// The slot may have been taken over, have gone back with the key, and be on its way
    /// again when a late request arrives: it would make a second key of that name.
    pub(super) async fn send_asking(
        &self,
        mut connection: MultiplexedConnection,
        asked: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let until = match self.birth {
            Birth::AnyTime => None,
            Birth::InTime => Some(in_time(&mut connection, asked).await?),
        };
        let mut asking = Pipeline::new();
        for command in self.commands.cmd_iter() {
            let mut command = command.clone();
            if let Some(until) = until {
                command.arg(until);
            }
            asking.add_command(redis::cmd("ASKING")).add_command(command);
        }
        let sent = connection.req_packed_commands(&asking, 0, 2 * self.count).await;
        Ok(answers(sent)?.into_iter().skip(1).step_by(2).collect())
    }
}

/// Until when a key may be made, in microseconds of the server's clock.
async fn in_time(connection: &mut MultiplexedConnection, asked: Instant) -> Result<u64, Failure> {
    let time: Result<(u64, u64), _> = redis::cmd("TIME").query_async(connection).await;
    let (seconds, microseconds) = time.map_err(|error| Failure::from(&error))?;
    if asked.elapsed() > ASK_STEP {
        return Err(Failure::TryAgain);
    }
    let step = u64::try_from(ASK_STEP.as_micros()).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000_000).saturating_add(microseconds).saturating_add(step))
}

/// An error among the answers is the answer of all.
fn answers(sent: Result<Vec<Value>, RedisError>) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    for value in sent.map_err(|error| Failure::from(&error))? {
        values.push(value.extract_error().map_err(|error| Failure::from(&error))?);
    }
    Ok(values)
}
