//! The task that sends spans to the collector: OTLP over HTTP, protocol buffers.
//!
//! Batches leave when they are full or a second old. A collector that is busy or
//! unreachable is tried again a few times, with growing pauses; then the batch is dropped
//! and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use prost::Message as _;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::{Instant, timeout_at};

use super::attributes::Attributes;
use super::messages::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, Resource, ResourceSpans, Scope,
    ScopeSpans, Span,
};
use crate::base::build;
use crate::base::span::new_id;
use crate::base::text::hex;
use crate::config::Otlp;
use crate::outbound::{Answer, Call, LongBody, Outbound, OutboundError};

/// Most spans of one call.
const BATCH: usize = 512;
/// Longest time a span waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// Pauses before a batch is sent again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024;

/// Notified when everything queued has been sent or given up.
pub(super) type Flush = std::sync::mpsc::Sender<()>;

/// Spans since the process started.
#[derive(Default)]
pub(crate) struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn drop_spans(&self, count: usize) {
        self.dropped.fetch_add(count.try_into().unwrap_or(0), Ordering::Relaxed);
    }
}

pub(super) struct Exporter {
    settings: Arc<ArcSwapOption<Otlp>>,
    counts: Arc<Counts>,
    outbound: Outbound,
    /// Tells this process from others of the same service.
    instance: String,
    is_failing: bool,
}

/// The outcome of sending a batch once.
enum Sent {
    /// All but so many.
    Taken {
        rejected: usize,
    },
    /// The collector may take it later.
    Later(Option<Duration>),
    Never,
}

/// Whether a batch is worth waiting for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Last,
    Usual,
}

impl Exporter {
    pub(super) fn new(
        settings: Arc<ArcSwapOption<Otlp>>,
        counts: Arc<Counts>,
        outbound: Outbound,
    ) -> Self {
        let instance = hex(&new_id());
        Self { settings, counts, outbound, instance, is_failing: false }
    }

    /// Runs until every sender of the queue is gone.
    pub(super) async fn run(
        mut self,
        mut queue: Receiver<Span>,
        mut flushes: UnboundedReceiver<Flush>,
    ) {
        loop {
            let mut batch = Vec::new();
            let flush = tokio::select! {
                taken = queue.recv_many(&mut batch, BATCH) => match taken {
                    0 => return,
                    _ => fill(&mut queue, &mut flushes, &mut batch).await,
                },
                Some(flush) = flushes.recv() => Some(flush),
            };
            let Some(flush) = flush else {
                self.send(batch, Patience::Usual).await;
                continue;
            };
            // All queued spans, without waiting for a collector that does not answer.
            loop {
                while batch.len() < BATCH
                    && let Ok(span) = queue.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() {
                    break;
                }
                self.send(std::mem::take(&mut batch), Patience::Last).await;
            }
            // The caller may have given up.
            let _ = flush.send(());
        }
    }

    async fn send(&mut self, batch: Vec<Span>, patience: Patience) {
        let count = batch.len();
        let Some(settings) = self.settings.load_full() else {
            self.counts.drop_spans(count);
            return;
        };
        let body = self.request(&settings, batch);
        let mut pauses = PAUSES.iter();
        let dropped = loop {
            let (pause, asked) = match self.once(&settings, body.clone(), patience).await {
                Sent::Taken { rejected } => break rejected.min(count),
                Sent::Never => break count,
                Sent::Later(_) if patience == Patience::Last => break count,
                Sent::Later(asked) => (pauses.next(), asked),
            };
            let Some(pause) = pause else { break count };
            tokio::time::sleep(asked.unwrap_or(*pause).min(LONGEST_PAUSE)).await;
        };
        self.counts.drop_spans(dropped);
        let sent = (count - dropped).try_into().unwrap_or(0);
        self.counts.sent.fetch_add(sent, Ordering::Relaxed);
    }

    fn request(&self, settings: &Otlp, spans: Vec<Span>) -> Bytes {
        let attributes = Attributes::default()
            .text("service.name", &settings.service)
            .text("service.version", build::VERSION)
            .text("service.instance.id", &self.instance);
        let scope = Scope { name: "portcullis".to_owned(), version: build::VERSION.to_owned() };
        let resource_spans = vec![ResourceSpans {
            resource: Some(Resource { attributes: attributes.done() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
        }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
    }

    async fn once(&mut self, settings: &Otlp, body: Bytes, patience: Patience) -> Sent {
        let kind = HeaderValue::from_static("application/x-protobuf");
        let mut headers = vec![(header::CONTENT_TYPE, kind)];
        headers.extend(settings.headers());
        let call = Call {
            method: Method::POST,
            url: settings.url.clone(),
            headers,
            body,
            timeout: if patience == Patience::Last { LINGER } else { TIMEOUT },
            max_size: MAX_ANSWER,
            long_body: LongBody::Refuse,
        };
        let answer = self.outbound.send(&call).await;
        self.note(&answer);
        match answer {
            Ok(answer) if answer.status.is_success() => {
                let said = ExportTraceServiceResponse::decode(answer.body);
                let partial = said.ok().and_then(|said| said.partial_success);
                let rejected = partial.map_or(0, |partial| partial.rejected_spans);
                Sent::Taken { rejected: rejected.try_into().unwrap_or(0) }
            }
            // The statuses that the protocol says to try again after.
            Ok(answer) if [429, 502, 503, 504].contains(&answer.status.as_u16()) => {
                let wait = answer.headers.get(header::RETRY_AFTER);
                let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
                Sent::Later(wait.map(Duration::from_secs))
            }
            Ok(_) => Sent::Never,
            Err(OutboundError::Refused | OutboundError::TimedOut | OutboundError::Unresolved) => {
                Sent::Later(None)
            }
            Err(
                OutboundError::BadAnswer | OutboundError::BadCertificate | OutboundError::TooLarge,
            ) => Sent::Never,
        }
    }

    /// One line when the collector begins to fail, and one when it accepts spans again.
    fn note(&mut self, answer: &Result<Answer, OutboundError>) {
        let fails = !matches!(answer, Ok(answer) if answer.status.is_success());
        if fails == self.is_failing {
            return;
        }
        self.is_failing = fails;
        match answer {
            Ok(answer) if fails => {
                let status: StatusCode = answer.status;
                tracing::warn!(status = status.as_u16(), "the trace collector refuses spans");
            }
            Err(error) => tracing::warn!(cause = %error, "the trace collector does not answer"),
            Ok(_) => tracing::info!("the trace collector accepts spans again"),
        }
    }
}

/// Waits for a full batch, but not for long, or until a flush is asked for.
async fn fill(
    queue: &mut Receiver<Span>,
    flushes: &mut UnboundedReceiver<Flush>,
    batch: &mut Vec<Span>,
) -> Option<Flush> {
    let end = Instant::now() + LINGER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            taken = timeout_at(end, queue.recv_many(batch, room)) => match taken {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            },
            Some(flush) = flushes.recv() => return Some(flush),
        }
    }
    None
}
