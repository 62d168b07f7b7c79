//! The slots of the last hour, each thread counting on its own.
//!
//! A request takes the lock of its thread's slot, which hardly any other thread wants; the
//! hour is locked when a slot ends and when `/status` is read.

use std::collections::VecDeque;

use super::slot::Slot;
use crate::base::lock::Lock;
use crate::observe::shard::SHARDS;

/// Seconds of one slot.
pub(crate) const STEP_SECONDS: u64 = 30;
/// Slots in an hour.
const SLOTS: u64 = 3600 / STEP_SECONDS;

#[derive(Default)]
pub(super) struct History {
    current: [Lock<Slot>; SHARDS],
    /// By number, the oldest first.
    hour: Lock<VecDeque<Slot>>,
}

impl History {
    /// Counts something at this second in the slot of a shard.
    pub(super) fn note(&self, shard: usize, second: u64, note: impl FnOnce(&mut Slot)) {
        let number = second / STEP_SECONDS;
        let Some(current) = self.current.get(shard) else { return };
        let mut slot = current.lock();
        if number > slot.number {
            let over = std::mem::replace(&mut *slot, Slot::new(number));
            self.keep(&over);
        }
        note(&mut slot);
    }

    /// The slots of the hour up to this second, the oldest first.
    pub(super) fn slots(&self, second: u64) -> Vec<Slot> {
        let newest = second / STEP_SECONDS;
        let mut hour = self.hour.lock().clone();
        for current in &self.current {
            let current = current.lock().clone();
            keep_in(&mut hour, &current);
        }
        hour.retain(|slot| slot.number + SLOTS > newest);
        hour.into()
    }

    fn keep(&self, over: &Slot) {
        keep_in(&mut self.hour.lock(), over);
    }
}

fn keep_in(hour: &mut VecDeque<Slot>, over: &Slot) {
    if over.number == 0 {
        return;
    }
    match hour.binary_search_by_key(&over.number, |slot| slot.number) {
        Ok(index) => {
            if let Some(slot) = hour.get_mut(index) {
                slot.merge(over);
            }
        }
        Err(index) => hour.insert(index, over.clone()),
    }
    while hour.len() as u64 > SLOTS {
        hour.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::CachedOrMinted;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let history = History::default();
        for second in (0..3 * 3600).step_by(10) {
            let shard = usize::try_from(second / 10).unwrap() % 3;
            history.note(shard, 1_000_000 + second, |slot| slot.token("a", CachedOrMinted::Minted));
        }
        let slots = history.slots(1_000_000 + 3 * 3600);
        assert!(slots.len() as u64 <= SLOTS, "{}", slots.len());
        assert!(slots.is_sorted_by(|a, b| a.number < b.number));
        let counted: u32 =
            slots.iter().flat_map(|slot| slot.tokens.iter()).map(|(_, c)| c.minted).sum();
        assert!((355..=360).contains(&counted), "{counted}");
        assert!(history.slots(1_000_000 + 5 * 3600).is_empty());
    }
}
