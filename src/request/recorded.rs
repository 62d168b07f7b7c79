//! A request whose spans are recorded, and its steps.
//!
//! Both are values: the code that takes a step opens it with the time, and tells
//! `observe` when it has ended.

use http::HeaderValue;

use crate::base::clock::Now;
use crate::base::span::{SpanContext, SpanId};

/// The request's own span.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub(crate) context: SpanContext,
    /// The client's span, if it named one.
    pub(crate) parent: Option<SpanId>,
    pub(crate) began: Now,
}

/// A step that has begun: a span below the request's.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub(crate) of: Recorded,
    pub(crate) context: SpanContext,
    pub(crate) began: Now,
}

impl Recorded {
    pub(crate) fn step(self, now: Now) -> Step {
        Step { of: self, context: self.context.child(), began: now }
    }
}

impl Step {
    /// For a server that is asked in this step.
    pub(crate) fn traceparent(&self) -> HeaderValue {
        self.context.traceparent()
    }
}
