//! Live events for watchers: one line of JSON for each token, refusal and
//! reload. Costs one look at a counter while there are no watchers.
//!
//! A reader that falls behind loses its place: a line is never kept for it, and never
//! waited for.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::broadcast;

use crate::observe::event::{Line, Outcome, ReloadResult};

/// Lines a reader may be behind.
const BACKLOG: usize = 256;

pub(super) struct Live(broadcast::Sender<Arc<str>>);

/// A reader's place.
pub(crate) struct Follow(broadcast::Receiver<Arc<str>>);

/// The next thing a reader gets.
pub(crate) enum Followed {
    Line(Arc<str>),
    /// It is too far behind, or the process ends.
    Ended,
}

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Live {
    pub(super) fn follow(&self) -> Follow {
        Follow(self.0.subscribe())
    }

    #[inline]
    pub(super) fn ended(&self, line: &Line<'_>) {
        if self.0.receiver_count() > 0 {
            self.tell(line);
        }
    }

    fn tell(&self, line: &Line<'_>) {
        let kind = match line.outcome {
            Outcome::Issued => "issued",
            Outcome::Refused => "refused",
            Outcome::Aborted | Outcome::Answered | Outcome::Forwarded => return,
        };
        self.send(&json!({
            "kind": kind,
            "at": line.unix_ms,
            "route": line.route,
            "reason": line.reason,
            "code": line.code.map(|code| code.as_str()),
            "status": line.status,
            "user": line.user,
            "ms": line.took.as_secs_f64() * 1000.0,
            "request_id": line.request_id,
        }));
    }

    pub(super) fn reloaded(&self, at_ms: u64, result: ReloadResult) {
        if self.0.receiver_count() > 0 {
            let result = match result {
                ReloadResult::Done => "ok",
                ReloadResult::Refused => "refused",
            };
            self.send(&json!({ "kind": "reloaded", "at": at_ms, "result": result }));
        }
    }

    fn send(&self, line: &serde_json::Value) {
        // Fails where the last reader has just gone.
        drop(self.0.send(line.to_string().into()));
    }
}

impl Follow {
    pub(crate) async fn next(&mut self) -> Followed {
        self.0.recv().await.map_or(Followed::Ended, Followed::Line)
    }
}
