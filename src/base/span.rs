//! Names of traces and spans (W3C Trace Context level 1, section 3.2).

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

use http::HeaderValue;

use super::scatter::scatter;
use super::text::{from_hex, hex};

/// A span within its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace: [u8; 16],
    pub(crate) span: SpanId,
    flags: u8,
}

pub(crate) type SpanId = [u8; 8];

/// Whether a span is recorded; the other flag known so far says how the id was made.
const SAMPLED: u8 = 1;
const KNOWN: u8 = 3;

impl SpanContext {
    /// Of a `traceparent` that is known to be valid.
    pub(crate) fn read(traceparent: &HeaderValue) -> Option<Self> {
        let bytes = |from, to| from_hex(traceparent.as_bytes().get(from..to)?);
        let flags = *bytes(53, 55)?.first()?;
        Some(Self {
            trace: bytes(3, 35)?.try_into().ok()?,
            span: bytes(36, 52)?.try_into().ok()?,
            flags,
        })
    }

    pub(crate) fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same, as one that is not recorded.
    pub(crate) fn unsampled(self) -> Self {
        Self { flags: self.flags & !SAMPLED, ..self }
    }

    /// Another span of the same trace.
    pub(crate) fn child(self) -> Self {
        Self { span: new_id(), ..self }
    }

    /// The last digits of the trace's id: without a pattern, where it was made as it should
    /// be.
    pub(crate) fn number(self) -> u64 {
        u64::from_be_bytes(*self.trace.last_chunk().unwrap_or(&[0; 8]))
    }

    pub(crate) fn traceparent(self) -> HeaderValue {
        let flags = self.flags & KNOWN;
        let text = format!("00-{}-{}-{flags:02x}", hex(&self.trace), hex(&self.span));
        // Digits and dashes only, so this holds.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// Unique, not secret, and never zero.
pub(crate) fn new_id() -> SpanId {
    thread_local! {
        static NEXT: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    let next = NEXT.get().wrapping_add(1);
    NEXT.set(next);
    (scatter(next) | 1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &'static str) -> SpanContext {
        SpanContext::read(&HeaderValue::from_static(text)).unwrap()
    }

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = read(TEXT);
        assert_eq!(context.traceparent(), TEXT);
        assert!(context.is_sampled() && !context.unsampled().is_sampled());
        assert_eq!(context.number(), 0x8448_eb21_1c80_319c);
        let later = read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what-comes");
        assert!(later.traceparent().to_str().unwrap().ends_with("-03"), "unknown flags are zero");
    }

    #[test]
    fn children_are_of_the_same_trace_and_all_different() {
        let parent = read(TEXT);
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            let child = parent.child();
            assert_eq!((child.trace, child.is_sampled()), (parent.trace, true));
            assert!(child.span != [0; 8] && seen.insert(child.span));
        }
    }
}
