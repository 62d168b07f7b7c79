//! The end of a request, for its log line and its counters.

use crate::observe::Outcome;
use crate::request::code::Code;

pub(super) struct Record {
    pub(super) outcome: Outcome,
    pub(super) reason: &'static str,
    /// The refusal's code, if the request was refused.
    pub(super) code: Option<Code>,
    pub(super) status: u16,
}

impl Default for Record {
    fn default() -> Self {
        Self { outcome: Outcome::Aborted, reason: "", code: None, status: 0 }
    }
}

impl Record {
    pub(super) fn end(&mut self, outcome: Outcome, reason: &'static str) {
        self.outcome = outcome;
        self.reason = reason;
    }

    pub(super) fn refuse(&mut self, code: Code) {
        self.end(Outcome::Refused, code.as_str());
        self.code = Some(code);
    }

    /// Gives a more precise reason; the outcome stays.
    pub(super) fn explain(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}
