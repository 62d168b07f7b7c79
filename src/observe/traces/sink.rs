//! The sink: which requests are recorded, and the queue of their spans.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use super::exporter::{Counts, Exporter, Flush};
use super::messages::Span;
use super::spans;
use crate::base::clock::Now;
use crate::base::units::Share;
use crate::config::Otlp;
use crate::observe::event::{Event, RequestEvent};
use crate::outbound::Outbound;
use crate::request::recorded::Recorded;
use crate::request::trace::Trace;

/// Spans that wait for the collector; at most about 4 MiB.
const QUEUE: usize = 4096;
/// Longest wait for the collector at the end of the process.
const LAST: Duration = Duration::from_secs(2);

/// Traces of the process; off until settings say otherwise.
#[derive(Default)]
pub(crate) struct Traces {
    /// The share of new traces that are recorded; zero is off. The only value that a
    /// request reads while traces are off.
    millionths: AtomicU32,
    settings: Arc<ArcSwapOption<Otlp>>,
    counts: Arc<Counts>,
    running: OnceLock<Running>,
}

/// The task that sends, once there is one.
struct Running {
    spans: mpsc::Sender<Span>,
    flushes: mpsc::UnboundedSender<Flush>,
}

impl Traces {
    /// Sends to where these settings say from now on, or nowhere.
    pub(crate) fn follow(&self, settings: Option<&Otlp>, outbound: &Outbound) {
        self.settings.store(settings.cloned().map(Arc::new));
        if settings.is_some() {
            self.running.get_or_init(|| self.start(outbound));
        }
        let share = settings.map_or(0, |otlp| otlp.sample.millionths());
        self.millionths.store(share, Ordering::Relaxed);
    }

    fn start(&self, outbound: &Outbound) -> Running {
        let (spans, queue) = mpsc::channel(QUEUE);
        let (flushes, asked) = mpsc::unbounded_channel();
        let exporter = Exporter::new(self.settings.clone(), self.counts.clone(), outbound.clone());
        outbound.runtime().spawn(exporter.run(queue, asked));
        Running { spans, flushes }
    }

    /// Whether this request is recorded: as its client says, else by the share of new traces.
    /// The trace says so from then on.
    #[inline]
    pub(crate) fn begin(&self, trace: &mut Trace, now: Now) -> Option<Recorded> {
        match self.millionths.load(Ordering::Relaxed) {
            0 => None,
            millionths => trace.record(Share::of_millionths(millionths), now),
        }
    }

    #[inline]
    pub(in crate::observe) fn record(&self, event: Event<'_>) {
        match event {
            Event::Request(RequestEvent::Ended(line)) => {
                if let Some(recorded) = line.recorded {
                    self.push(spans::request(line, recorded));
                }
            }
            Event::Step(ended) => self.push(spans::step(ended)),
            Event::Request(
                RequestEvent::Limited { .. }
                | RequestEvent::Redirected { .. }
                | RequestEvent::Refused { .. },
            )
            | Event::Connection(_)
            | Event::Reloaded { .. }
            | Event::Session(_)
            | Event::Token(_)
            | Event::Upstream(_) => {}
        }
    }

    fn push(&self, span: Span) {
        let running = self.running.get();
        if running.is_none_or(|running| running.spans.try_send(span).is_err()) {
            self.counts.drop_spans(1);
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Sends what waits, for the end of the process; gives up after a moment.
    pub(in crate::observe) fn flush(&self) {
        let Some(running) = self.running.get() else { return };
        let (done, sent) = std::sync::mpsc::channel();
        if running.flushes.send(done).is_ok() {
            let _ = sent.recv_timeout(LAST);
        }
    }
}
