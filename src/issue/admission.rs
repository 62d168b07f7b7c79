//! Users' allowances: of one limit, of several together, or of each for itself.

use super::issuer::Issuer;
use crate::base::clock::Now;
use crate::base::digest::Mark;
use crate::limit::{Admitted, Denied, Limit};
use crate::observe::{Event, RequestEvent};
use crate::request::refusal::Refusal;

impl Issuer {
    /// Takes one from an allowance, or says how long to wait. `label` is the
    /// limited rule.
    pub(crate) async fn admit(
        &self,
        label: &str,
        limit: &Limit,
        whose: Mark,
        now: Now,
    ) -> Result<Admitted, Refusal> {
        self.take(limit, whose, now).await.map_err(|denied| self.refused(label, limit, &denied))
    }

    /// As `admit`, without an event.
    pub(super) async fn take(
        &self,
        limit: &Limit,
        whose: Mark,
        now: Now,
    ) -> Result<Admitted, Denied> {
        match self.shared.load_full() {
            None => {
                let bucket = limit.bucket(whose);
                self.limits.take(limit, bucket, now).map_err(Denied::Exceeded)
            }
            // Boxed, because every request would pay for its size.
            Some(shared) => Box::pin(shared.take(&self.limits, limit, whose, 1, now)).await,
        }
    }

    /// Takes one from each allowance, or nothing from any of them; each has the label of
    /// its rule. With replicas this is one query, about one key.
    pub(crate) async fn admit_all(
        &self,
        wanted: &[(&str, &Limit)],
        whose: Mark,
        now: Now,
    ) -> Result<(), Refusal> {
        if let [(label, limit)] = wanted {
            return self.admit(label, limit, whose, now).await.map(|_| ());
        }
        let taken = match self.shared.load_full() {
            None => {
                let buckets: Vec<_> =
                    wanted.iter().map(|(_, limit)| (*limit, limit.bucket(whose))).collect();
                let taken = self.limits.take_all(&buckets, now);
                taken.map_err(|(index, exceeded)| (index, Denied::Exceeded(exceeded)))
            }
            Some(shared) => {
                let limits: Vec<_> = wanted.iter().map(|(_, limit)| *limit).collect();
                Box::pin(shared.take_all(&self.limits, &limits, whose, now)).await
            }
        };
        taken.map_err(|(index, denied)| {
            let Some((label, limit)) = wanted.get(index) else { return Refusal::Unavailable };
            self.refused(label, limit, &denied)
        })
    }

    /// Takes one from each allowance that has something left, independently of the others,
    /// and answers in their order. With replicas this is one query, about one key.
    pub(crate) async fn admit_each(
        &self,
        wanted: &[(&str, &Limit)],
        whose: Mark,
        now: Now,
    ) -> Vec<Result<(), Refusal>> {
        let taken = match self.shared.load_full() {
            None => {
                let take = |(_, limit): &(&str, &Limit)| {
                    let taken = self.limits.take(limit, limit.bucket(whose), now);
                    taken.map(|_| ()).map_err(Denied::Exceeded)
                };
                wanted.iter().map(take).collect()
            }
            Some(shared) => {
                let limits: Vec<_> = wanted.iter().map(|(_, limit)| *limit).collect();
                Box::pin(shared.take_each(&self.limits, &limits, whose, now)).await
            }
        };
        let judged = wanted.iter().zip(taken).map(|(&(label, limit), taken)| {
            taken.map_err(|denied| self.refused(label, limit, &denied))
        });
        judged.collect()
    }

    fn refused(&self, label: &str, limit: &Limit, denied: &Denied) -> Refusal {
        self.telemetry.emit(Event::Request(RequestEvent::Limited { route: label }));
        Refusal::denied(limit, denied)
    }

    /// Whether an allowance has something left; takes nothing.
    pub(super) fn look(
        &self,
        label: &str,
        limit: &Limit,
        whose: Mark,
        now: Now,
    ) -> Result<(), Refusal> {
        let bucket = limit.bucket(whose);
        let looked = match &*self.shared.load() {
            None => self.limits.look(limit, bucket, now),
            Some(shared) => shared.look(limit, bucket, now),
        };
        looked.map_err(|exceeded| {
            self.telemetry.emit(Event::Request(RequestEvent::Limited { route: label }));
            Refusal::too_many(limit, &exceeded)
        })
    }
}
