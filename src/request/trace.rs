//! The request's id, which joins the logs of all programs that handle it, and its W3C
//! trace context.
//!
//! `X-Request-Id` is believed from trusted proxies only; a valid `traceparent` from any
//! client, because it carries no authority and browsers send it. Missing ids are made
//! here: unique, not secret. Each thread makes them in blocks, so a request neither
//! draws random numbers nor allocates.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::recorded::Recorded;
use crate::base::clock::Now;
use crate::base::scatter::scatter;
use crate::base::span::SpanContext;
use crate::base::text::Hex;
use crate::base::units::Share;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest adopted id: it is repeated in every line about the request.
const LONGEST_ID: usize = 128;
/// `00-` trace id `-` parent id `-` flags.
const TRACEPARENT_LENGTH: usize = 55;
/// Contexts per block.
const BLOCK: usize = 64;

/// The names one request goes by.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    request_id: HeaderValue,
    traceparent: HeaderValue,
    parent: Parent,
}

/// Where the trace context comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    Kept,
    Made,
}

impl Trace {
    /// New names. The request id is the new trace id, so that either finds the other.
    pub(crate) fn new() -> Self {
        let context = SOURCE.with_borrow_mut(Source::next);
        let request_id = context.slice(3..35);
        Self { request_id: shared(request_id), traceparent: shared(context), parent: Parent::Made }
    }

    /// Adopts the request's own ids, as far as they are believed.
    pub(crate) fn adopt(&mut self, headers: &HeaderMap, via_trusted: bool) {
        if via_trusted && let Some(id) = only(headers, &X_REQUEST_ID).filter(|id| is_id(id)) {
            self.request_id = id.clone();
        }
        if let Some(context) = only(headers, &TRACEPARENT).filter(|context| is_context(context)) {
            self.traceparent = context.clone();
            self.parent = Parent::Kept;
        }
    }

    /// Begins the request's own span, if it is recorded: where the client says whether the
    /// trace is, as it says; else `share` of those that begin here. The app receives the
    /// same decision.
    pub(crate) fn record(&mut self, share: Share, now: Now) -> Option<Recorded> {
        let told = SpanContext::read(&self.traceparent)?;
        match self.parent {
            Parent::Kept if told.is_sampled() => {
                Some(Recorded { context: told.child(), parent: Some(told.span), began: now })
            }
            Parent::Kept => None,
            Parent::Made if share.picks(told.number()) => {
                Some(Recorded { context: told, parent: None, began: now })
            }
            Parent::Made => {
                self.traceparent = told.unsampled().traceparent();
                None
            }
        }
    }

    pub(crate) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    pub(crate) fn trace_id(&self) -> &str {
        self.traceparent.to_str().ok().and_then(|context| context.get(3..35)).unwrap_or_default()
    }

    /// For the app and for the answer.
    pub(crate) fn request_id_field(&self) -> (HeaderName, HeaderValue) {
        (X_REQUEST_ID, self.request_id.clone())
    }

    /// Whether the request has no valid trace context.
    pub(crate) fn is_new(&self) -> bool {
        self.parent == Parent::Made
    }

    /// The `traceparent` for the app, if the request has no valid one; a `tracestate`
    /// beside an invalid one is void (W3C Trace Context, section 3.3).
    pub(crate) fn made_traceparent(&self) -> Option<HeaderValue> {
        match self.parent {
            Parent::Kept => None,
            Parent::Made => Some(self.traceparent.clone()),
        }
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

fn shared(text: Bytes) -> HeaderValue {
    // Digits and dashes only, so this holds.
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("0"))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// As load balancers write them: UUIDs, hexadecimal, `Root=1-67891233-abcdef`.
fn is_id(id: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:=/+@".contains(b);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

/// A valid `traceparent` (W3C Trace Context, section 3.2): version, trace id,
/// parent id, flags in lower-case digits; later versions may go on after a dash.
fn is_context(context: &HeaderValue) -> bool {
    let context = context.as_bytes();
    let Some((known, more)) = context.split_at_checked(TRACEPARENT_LENGTH) else { return false };
    let digits = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|&b| b == b'0');
    let mut parts = known.split(|&b| b == b'-');
    let [Some(version), Some(trace), Some(parent), Some(flags), None] =
        std::array::from_fn(|_| parts.next())
    else {
        return false;
    };
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    lengths == [2, 32, 16, 2]
        && [version, trace, parent, flags].into_iter().all(digits)
        && !is_zero(trace)
        && !is_zero(parent)
        && match version {
            b"ff" => false,
            b"00" => more.is_empty(),
            _ => more.first().is_none_or(|&b| b == b'-'),
        }
}

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source::seeded());
}

/// One thread's block of trace contexts.
struct Source {
    /// Random, so that threads and processes make different ones.
    prefix: u64,
    next: u64,
    block: Bytes,
}

impl Source {
    fn seeded() -> Self {
        // The keys of a new hasher are random. The generator for secrets collects entropy for
        // a tenth of a second first, which the first request would wait for.
        let seed = || RandomState::new().hash_one(0);
        Self { prefix: seed() | 1, next: seed(), block: Bytes::new() }
    }

    fn next(&mut self) -> Bytes {
        if self.block.is_empty() {
            self.block = self.fill();
        }
        self.block.split_to(TRACEPARENT_LENGTH.min(self.block.len()))
    }

    /// Marked as sampled: the app's own sampler would otherwise take it for a
    /// decision against recording anything. Scattered, so that sampling by the last digits
    /// is fair.
    fn fill(&mut self) -> Bytes {
        let mut block = BytesMut::with_capacity(BLOCK * TRACEPARENT_LENGTH);
        let prefix = Hex::new(self.prefix);
        for _ in 0..BLOCK {
            self.next = self.next.wrapping_add(1);
            let (trace, parent) = (Hex::new(scatter(self.next)), Hex::new(scatter(!self.next) | 1));
            for part in ["00-", prefix.as_str(), trace.as_str(), "-", parent.as_str(), "-01"] {
                block.extend_from_slice(part.as_bytes());
            }
        }
        block.freeze()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::text::hex;
    use crate::base::units::share;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn adopted(fields: &[(&'static str, &str)], via_trusted: bool) -> Trace {
        let mut trace = Trace::new();
        trace.adopt(&headers(fields), via_trusted);
        trace
    }

    #[test]
    fn made_names_are_valid_and_never_the_same() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| Trace::new()).collect::<Vec<_>>()))
            .collect();
        let mut seen = BTreeSet::new();
        for trace in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert!(is_context(&trace.traceparent) && is_id(&trace.request_id), "{trace:?}");
            assert_eq!(trace.request_id(), trace.trace_id());
            assert!(seen.insert(trace.request_id().to_owned()));
        }
        assert_eq!(seen.len(), 4000);
    }

    #[test]
    fn only_trusted_proxies_name_a_request() {
        let fields = [("x-request-id", "Root=1-67891233-abcdef")];
        assert_eq!(adopted(&fields, true).request_id(), "Root=1-67891233-abcdef");
        assert_ne!(adopted(&fields, false).request_id(), "Root=1-67891233-abcdef");
        let long = "x".repeat(LONGEST_ID + 1);
        for id in ["", "a b", "a\"b", "<x>", "a,b", "\u{e9}", &long] {
            assert_ne!(adopted(&[("x-request-id", id)], true).request_id(), id);
        }
        let twice = adopted(&[("x-request-id", "a"), ("x-request-id", "a")], true);
        assert_eq!(twice.request_id().len(), 32);
    }

    #[test]
    fn a_valid_context_is_kept_from_any_client() {
        let trace = adopted(&[("traceparent", VALID)], false);
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.made_traceparent(), None);
        let later = format!("cc{}-what-the-future-will-be", VALID.strip_prefix("00").unwrap());
        assert_eq!(adopted(&[("traceparent", &later)], false).made_traceparent(), None);
    }

    #[test]
    fn a_trace_is_recorded_as_its_client_says_else_by_its_share() {
        let (now, half) = (Now::at(1), share("50%").unwrap());
        let mut sampled = adopted(&[("traceparent", VALID)], false);
        let recorded = sampled.record(share("0.0001%").unwrap(), now).unwrap();
        assert_eq!(recorded.parent.map(|parent| hex(&parent)).as_deref(), Some("b7ad6b7169203331"));
        assert_eq!(hex(&recorded.context.trace), sampled.trace_id());
        assert_ne!(Some(recorded.context.span), recorded.parent);
        let unsampled = VALID.replace("-01", "-00");
        assert!(adopted(&[("traceparent", &unsampled)], false).record(Share::ALL, now).is_none());
        let mut count = 0;
        for _ in 0..1000 {
            let mut made = Trace::new();
            let id = made.trace_id().to_owned();
            let recorded = made.record(half, now);
            count += usize::from(recorded.is_some());
            let told = made.made_traceparent().unwrap();
            assert!(is_context(&told) && made.trace_id() == id);
            let flags = if recorded.is_some() { "-01" } else { "-00" };
            assert!(told.to_str().unwrap().ends_with(flags), "{told:?}");
            assert!(recorded.is_none_or(|recorded| recorded.parent.is_none()));
        }
        assert!((400..600).contains(&count), "{count}");
    }

    #[test]
    fn anything_else_is_replaced() {
        for context in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "00-0af7651916cd43dd8448eb211c80319cb7ad6b7169203331--01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        ] {
            let made = adopted(&[("traceparent", context)], true).made_traceparent();
            assert!(made.is_some_and(|made| is_context(&made)), "{context:?}");
        }
        let twice = adopted(&[("traceparent", VALID), ("traceparent", VALID)], true);
        assert!(twice.made_traceparent().is_some());
    }
}
