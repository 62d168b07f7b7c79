//! The longest time the app may take to answer, where the framework sets no limit.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::app_deadline::AppDeadline;
use super::purpose::{Purpose, WRITE_TIMEOUT};

/// The gateway has closed the connection, after the time that one may be idle.
pub(super) struct Closed;

/// The wait for the answer to one attempt.
#[derive(Default)]
pub(super) struct AppWait {
    /// The deadline of the connection the request went out on.
    deadline: Option<Arc<AppDeadline>>,
    /// The app's `read_timeout`.
    read_timeout: Duration,
    /// Whether the app is still being sent a body.
    uploads: bool,
    /// Whether the app has begun to answer.
    answered: bool,
}

impl AppWait {
    /// The request goes out over the connection with this deadline: the app's time for the
    /// head starts.
    pub(super) fn expect_head(
        &mut self,
        deadline: Option<Arc<AppDeadline>>,
        read_timeout: Duration,
        uploads: bool,
    ) -> Result<(), Closed> {
        let answered = self.answered;
        *self = Self { deadline, read_timeout, uploads, answered };
        if self.begin_head() {
            return Ok(());
        }
        // Nothing is awaited on it, so the app is not late.
        self.deadline = None;
        Err(Closed)
    }

    /// A piece of the request's body goes out, or the last one.
    pub(super) fn uploaded(&mut self, is_last: bool) {
        if self.uploads {
            self.uploads = !is_last;
            self.expect_next_head();
        }
    }

    /// The time for a head starts again.
    pub(super) fn expect_next_head(&self) {
        self.begin_head();
    }

    /// The time for a head starts; whether the connection is open. During an upload the app
    /// may also take its time to read what is queued.
    fn begin_head(&self) -> bool {
        let (Some(deadline), false) = (&self.deadline, self.answered) else { return true };
        let reading = if self.uploads { WRITE_TIMEOUT } else { Duration::ZERO };
        deadline.begin(self.read_timeout + reading)
    }

    /// The app's answer has begun.
    pub(super) fn answer_begins(&mut self, purpose: Purpose, status: StatusCode) {
        self.answered = true;
        if let Some(deadline) = &self.deadline {
            deadline.end();
        }
        self.goes_on(purpose, status.as_u16(), false);
    }

    /// A piece of the answer has come. For an upgrade the framework has no read
    /// timeout, so a body that comes instead of a tunnel is watched here.
    pub(super) fn goes_on(&self, purpose: Purpose, status: u16, is_over: bool) {
        if purpose == Purpose::Request || status == StatusCode::SWITCHING_PROTOCOLS.as_u16() {
            return;
        }
        if let Some(deadline) = &self.deadline {
            if is_over {
                deadline.end();
            } else {
                deadline.begin(self.read_timeout);
            }
        }
    }

    /// The request has ended: its connection waits this long for the next one.
    pub(super) fn request_has_ended(&self, idle: Duration) {
        if let Some(deadline) = &self.deadline {
            deadline.begin(idle);
        }
    }

    /// The deadline of the connection the request went out on.
    pub(super) fn connection(&self) -> Option<Arc<AppDeadline>> {
        self.deadline.clone()
    }

    /// Whether the app has begun to answer.
    pub(super) fn has_answer(&self) -> bool {
        self.answered
    }

    /// Whether the connection to the app was ended because the app took too long.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| deadline.has_passed())
    }
}
