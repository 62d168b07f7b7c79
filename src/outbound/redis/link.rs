//! A connection that is replaced when it breaks.
//!
//! Callers take a handle and let go of the link: no caller waits for a lock while another
//! connects. One attempt runs at a time, in the runtime of the connections; callers that
//! have no connection wait for it within their own deadlines. After a failed attempt the
//! link answers at once until the next one is due. A connection that has gone silent
//! serves until its successor is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::dial::{DialTarget, Dialled};
use super::failure::Failure;
use super::pauses::Pauses;
use crate::base::lock::Lock;
use crate::base::redis_url::RedisNode;

/// First pause after a failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// First pause after no sentinel has said who the primary is.
const FIRST_LOOK_PAUSE: Duration = Duration::from_millis(500);
/// A silent connection is replaced at most this often.
const SILENCE_PAUSE: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    target: DialTarget,
    runtime: Handle,
    phase: watch::Sender<Phase>,
    /// After attempts that failed since the last success.
    pauses: Lock<Pauses>,
    /// After questions to sentinels that none has answered, and when the next is due.
    looks: Lock<(Pauses, Instant)>,
    /// Number of the next connection.
    next: AtomicU64,
}

/// An open connection.
#[derive(Clone)]
pub(super) struct LiveConnection {
    pub(super) connection: MultiplexedConnection,
    /// The primary that sentinels named.
    named: Option<RedisNode>,
    number: u64,
    since: Instant,
}

/// The connection that an answer is awaited from.
pub(super) type UsedConnection = Option<(Link, LiveConnection)>;

#[derive(Clone)]
enum Phase {
    /// The previous one serves meanwhile, if it was only silent.
    Connecting {
        before: Option<LiveConnection>,
    },
    Down {
        why: Failure,
        until: Instant,
    },
    Idle,
    Up(LiveConnection),
}

impl Link {
    /// Connects to nothing yet. No pause after a failed attempt is longer than that.
    pub(super) fn new(target: DialTarget, longest_pause: Duration, runtime: Handle) -> Self {
        let (phase, _) = watch::channel(Phase::Idle);
        let pauses = Lock::new(Pauses::new(FIRST_PAUSE, longest_pause));
        let looks = Pauses::new(FIRST_LOOK_PAUSE, longest_pause);
        let looks = Lock::new((looks, Instant::now()));
        Self(Arc::new(Inner { target, runtime, phase, pauses, looks, next: AtomicU64::new(0) }))
    }

    /// A connection, or why there is none. Waits while one is being made.
    pub(super) async fn live(&self) -> Result<LiveConnection, Failure> {
        if let Phase::Up(live) = &*self.0.phase.borrow() {
            return Ok(live.clone());
        }
        let mut phases = self.0.phase.subscribe();
        self.connect_if(|phase| match phase {
            Phase::Idle => Some(None),
            Phase::Down { until, .. } if *until <= Instant::now() => Some(None),
            Phase::Connecting { .. } | Phase::Down { .. } | Phase::Up(_) => None,
        });
        loop {
            match &*phases.borrow_and_update() {
                Phase::Up(live) | Phase::Connecting { before: Some(live) } => {
                    return Ok(live.clone());
                }
                Phase::Down { why, .. } => return Err(why.clone()),
                Phase::Connecting { before: None } | Phase::Idle => {}
            }
            if phases.changed().await.is_err() {
                return Err(Failure::Unreachable);
            }
        }
    }

    /// The connection has ended, or leads to a server that is no longer a primary.
    pub(super) fn broke(&self, broken: &LiveConnection) {
        self.connect_if(|phase| match phase {
            Phase::Up(live) | Phase::Connecting { before: Some(live) }
                if live.number == broken.number =>
            {
                Some(None)
            }
            _ => None,
        });
    }

    /// The connection has not answered in time: a new one may fare better.
    pub(super) fn fell_silent(&self, silent: &LiveConnection) {
        self.connect_if(|phase| match phase {
            Phase::Up(live)
                if live.number == silent.number && live.since.elapsed() >= SILENCE_PAUSE =>
            {
                Some(Some(live.clone()))
            }
            _ => None,
        });
    }

    /// Waits for another connection than the one there is now.
    pub(super) async fn renewed(&self) {
        let mut phases = self.0.phase.subscribe();
        let number = |phase: &Phase| phase.live().map(|live| live.number);
        let before = number(&phases.borrow_and_update());
        let is_new = |phase: &Phase| number(phase).is_some_and(|now| Some(now) != before);
        if phases.wait_for(is_new).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The next caller may connect at once, although an attempt has failed lately.
    pub(super) fn allow_attempt(&self) {
        self.0.phase.send_if_modified(|phase| {
            if matches!(phase, Phase::Down { .. }) {
                *phase = Phase::Idle;
            }
            false
        });
    }

    /// Asks the sentinels, if there are any, and connects to the primary they name where that
    /// is another. An attempt that is under way may wait for one that does not answer.
    pub(super) fn look_for_primary(&self) {
        if Instant::now() < self.0.looks.lock().1 {
            return;
        }
        let link = self.clone();
        self.0.runtime.spawn(async move {
            let named = link.0.target.named_primaries().await;
            link.looked(!named.is_empty());
            let before = link.0.phase.borrow().live().and_then(|live| live.named.clone());
            if named.iter().all(|node| Some(node) == before.as_ref()) {
                return;
            }
            if let Ok(dialled) = link.0.target.dial_named().await
                && dialled.1 != before
            {
                let live = link.opened(dialled);
                link.0.phase.send_replace(Phase::Up(live));
            }
        });
    }

    fn looked(&self, is_answered: bool) {
        let mut looks = self.0.looks.lock();
        if is_answered {
            looks.0.reset();
        } else {
            looks.1 = Instant::now() + looks.0.next();
        }
    }

    /// Begins an attempt if the phase asks for one; `before` serves meanwhile.
    fn connect_if(&self, begin: impl FnOnce(&Phase) -> Option<Option<LiveConnection>>) {
        let mut starts = false;
        self.0.phase.send_if_modified(|phase| {
            let Some(before) = begin(phase) else { return false };
            // An attempt that replaces a silent connection is under way already.
            starts = !matches!(phase, Phase::Connecting { .. });
            *phase = Phase::Connecting { before };
            true
        });
        if starts {
            let link = self.clone();
            self.0.runtime.spawn(async move { link.connect().await });
        }
    }

    async fn connect(&self) {
        let dialled = self.0.target.dial_named().await;
        self.0.phase.send_if_modified(|phase| {
            // Another primary was found meanwhile.
            let Phase::Connecting { before } = phase else { return false };
            *phase = match (dialled, before.take()) {
                (Ok(dialled), _) => Phase::Up(self.opened(dialled)),
                (Err(_), Some(live)) => Phase::Up(LiveConnection { since: Instant::now(), ..live }),
                (Err(why), None) => {
                    Phase::Down { why, until: Instant::now() + self.0.pauses.lock().next() }
                }
            };
            true
        });
    }

    fn opened(&self, (connection, named): Dialled) -> LiveConnection {
        self.0.pauses.lock().reset();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        LiveConnection { connection, named, number, since: Instant::now() }
    }
}

impl Phase {
    /// The connection that serves now.
    fn live(&self) -> Option<&LiveConnection> {
        match self {
            Self::Up(live) | Self::Connecting { before: Some(live) } => Some(live),
            Self::Connecting { before: None } | Self::Down { .. } | Self::Idle => None,
        }
    }
}
