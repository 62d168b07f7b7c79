//! The rate at which a client sends or reads a body, compared with `min_body_rate`.
//!
//! Only the time that the gateway has to wait counts: an app that is silent for an hour
//! does not make its client slow.

use std::time::Duration;

use bytes::Bytes;
use pingora::prelude::Session;

use super::purpose::is_conversation;
use crate::request::min_rate::MinRate;
use crate::request::view::RequestLimits;

/// Bytes moved since the last look, and the time that took.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    octets: u64,
    waited: Duration,
}

/// Less has moved than must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

/// Gives an HTTP/2 client the time for this piece that the least rate allows, and not more
/// than for any piece. (Over HTTP/1.1 the socket knows how long it waits.)
pub(super) fn give_time(session: &mut Session, piece: Option<&Bytes>, limits: &RequestLimits) {
    if let (Some(piece), Some(least)) = (piece, limits.min_body_rate)
        && session.is_http2()
        && !is_conversation(session.req_header())
    {
        session.set_write_timeout(Some(time_for(piece.len(), least).min(limits.body_timeout)));
    }
}

/// A whole window, or longer where the rate needs it.
fn time_for(octets: usize, least: MinRate) -> Duration {
    let windows = octets as f64 / least.octets.max(1) as f64;
    let needed = least.window.as_secs_f64() * windows;
    Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX).max(least.window)
}

impl Pace {
    /// Octets have moved, after a wait. Looked at once per window.
    pub(crate) fn moved(
        &mut self,
        octets: usize,
        waited: Duration,
        least: MinRate,
    ) -> Result<(), TooSlow> {
        self.octets = self.octets.saturating_add(octets as u64);
        self.waited += waited;
        if self.waited < least.window {
            return Ok(());
        }
        let Self { octets, waited } = std::mem::take(self);
        let windows = waited.as_secs_f64() / least.window.as_secs_f64().max(0.001);
        let due = least.octets as f64 * windows;
        if (octets as f64) < due { Err(TooSlow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: MinRate = MinRate { octets: 30 * 1024, window: Duration::from_secs(30) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_drip_is_too_slow_once_the_window_is_over() {
        let mut pace = Pace::default();
        for _ in 0..5 {
            assert_eq!(pace.moved(1, seconds(5), LEAST), Ok(()));
        }
        assert_eq!(pace.moved(1, seconds(5), LEAST), Err(TooSlow));
    }

    #[test]
    fn a_fast_start_does_not_pay_for_an_endless_drip() {
        let mut pace = Pace::default();
        assert_eq!(pace.moved(100 << 20, seconds(1), LEAST), Ok(()));
        let drips = (0..20).map(|_| pace.moved(1, seconds(10), LEAST));
        assert_eq!(drips.filter(Result::is_err).count(), 5, "each window but the first one");
    }

    #[test]
    fn a_piece_may_take_a_window_or_as_long_as_the_rate_needs() {
        assert_eq!(time_for(0, LEAST), seconds(30));
        assert_eq!(time_for(30 * 1024, LEAST), seconds(30));
        assert_eq!(time_for(60 * 1024, LEAST), seconds(60));
        let fast = MinRate { octets: 1, window: Duration::MAX };
        assert!(time_for(1, fast) > seconds(60));
    }

    #[test]
    fn a_slow_line_is_fast_enough_and_without_a_wait_there_is_no_window() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            assert_eq!(pace.moved(10 * 1024, seconds(10), LEAST), Ok(()));
        }
        for _ in 0..100_000 {
            assert_eq!(pace.moved(1, Duration::ZERO, LEAST), Ok(()));
        }
    }
}
