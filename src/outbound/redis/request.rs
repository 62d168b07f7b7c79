//! Commands about one key, sent together.

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};

use super::failure::Failure;
use super::slots::slot_of;

/// Commands about one key: in a Cluster they all go to its server.
pub(crate) struct Request {
    slot: u16,
    commands: Pipeline,
    count: usize,
}

impl Request {
    /// `key` is the one key of all commands.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self { slot: slot_of(key), commands: Pipeline::new(), count: 0 }
    }

    #[must_use]
    pub(crate) fn with(mut self, command: Cmd) -> Self {
        self.commands.add_command(command);
        self.count += 1;
        self
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

    /// The same at a server that only takes over the key's slot (`ASK`).
    pub(super) async fn send_asking(
        &self,
        mut connection: MultiplexedConnection,
    ) -> Result<Vec<Value>, Failure> {
        let mut asking = Pipeline::new();
        for command in self.commands.cmd_iter() {
            asking.add_command(redis::cmd("ASKING")).add_command(command.clone());
        }
        let sent = connection.req_packed_commands(&asking, 0, 2 * self.count).await;
        Ok(answers(sent)?.into_iter().skip(1).step_by(2).collect())
    }
}

/// An error among the answers is the answer of all.
fn answers(sent: Result<Vec<Value>, RedisError>) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    for value in sent.map_err(|error| Failure::from(&error))? {
        values.push(value.extract_error().map_err(|error| Failure::from(&error))?);
    }
    Ok(values)
}
