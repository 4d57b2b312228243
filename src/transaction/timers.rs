//! The timers of all transactions: one queue for each constant delay.
//!
//! Every timer of RFC 3261 §17 runs for one of a dozen durations, so its deadline is later than
//! that of every timer set before it for the same duration: setting is a push at the back, firing
//! a pop from the front. Clearing costs nothing: a slot has a generation, an entry carries the one
//! it was set in, and an entry of another generation is passed over when its time comes. Such
//! entries are swept out when they outnumber the live ones, so the queues stay within
//! [`SETTINGS_PER_TRANSACTION_MAX`] times the transactions.
//!
//! Knows nothing of transactions but their keys.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::step::Timer;
use crate::domain::Moment;

/// Timers in the queues, live or cleared, for each transaction that could exist.
///
/// Two slots, and as many cleared settings again before a sweep.
pub const SETTINGS_PER_TRANSACTION_MAX: usize = 4;

/// The sweep is not worth it below so many cleared ones.
pub(super) const SWEEP_FROM: usize = 1_024;

/// What a transaction knows of one of its two timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    set: Option<Timer>,
    generation: u32,
}

impl Slot {
    /// The setting of that generation still runs.
    pub(super) fn runs(&self, generation: u32) -> bool {
        self.set.is_some() && self.generation == generation
    }

    /// Nothing runs in it any more; returns whether something did.
    fn clear(&mut self) -> bool {
        self.generation = self.generation.wrapping_add(1);
        self.set.take().is_some()
    }

    /// Takes the timer if `generation` is the one that runs.
    pub(super) fn fire(&mut self, generation: u32) -> Option<Timer> {
        if self.generation == generation { self.set.take() } else { None }
    }

    fn put(&mut self, timer: Timer) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.set = Some(timer);
        self.generation
    }
}

/// One setting, due at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due<K> {
    /// When.
    pub(super) at: Moment,
    /// Whose.
    pub(super) key: K,
    /// Of the bounding slot, not of the repeating one.
    pub(super) bound: bool,
    /// The slot's generation when it was set.
    pub(super) generation: u32,
}

/// The queues.
#[derive(Debug)]
pub(super) struct Timers<K> {
    by_delay: BTreeMap<Duration, VecDeque<Due<K>>>,
    len: usize,
    cleared: usize,
}

impl<K: Copy> Timers<K> {
    /// Empty.
    pub(super) fn new() -> Self {
        Self { by_delay: BTreeMap::new(), len: 0, cleared: 0 }
    }

    /// Settings in the queues, those cleared meanwhile included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Sets `slot` of `key`; what ran in it is cleared.
    pub(super) fn set(
        &mut self,
        now: Moment,
        delay: Duration,
        timer: Timer,
        (key, bound): (K, bool),
        slot: &mut Slot,
    ) {
        self.clear(slot);
        let generation = slot.put(timer);
        let queue = self.by_delay.entry(delay).or_default();
        // A clock that stood still or went back must not break the queue's order.
        let at = queue.back().map_or(now + delay, |last| last.at.max(now + delay));
        queue.push_back(Due { at, key, bound, generation });
        self.len += 1;
    }

    /// Clears `slot`.
    pub(super) fn clear(&mut self, slot: &mut Slot) {
        if slot.clear() {
            self.cleared += 1;
        }
    }

    /// The earliest deadline, cleared ones included; `Moment::NEVER` if there is none.
    pub(super) fn next(&self) -> Moment {
        self.by_delay
            .values()
            .filter_map(|queue| queue.front())
            .map(|due| due.at)
            .min()
            .unwrap_or(Moment::NEVER)
    }

    /// Takes the earliest setting that is due at `now`.
    pub(super) fn pop(&mut self, now: Moment) -> Option<Due<K>> {
        let (_, queue) = self
            .by_delay
            .iter_mut()
            .filter(|(_, queue)| queue.front().is_some_and(|due| due.at <= now))
            .min_by_key(|(_, queue)| queue.front().map(|due| due.at))?;
        self.len -= 1;
        queue.pop_front()
    }

    /// The entry that `pop` gave was of a cleared slot.
    pub(super) fn was_cleared(&mut self) {
        self.cleared = self.cleared.saturating_sub(1);
    }

    /// Drops cleared settings if they outnumber the live ones; `live` knows which those are.
    pub(super) fn sweep(&mut self, live: impl Fn(&Due<K>) -> bool) {
        if self.cleared < SWEEP_FROM || self.cleared * 2 < self.len {
            return;
        }
        for queue in self.by_delay.values_mut() {
            queue.retain(&live);
        }
        self.by_delay.retain(|_, queue| !queue.is_empty());
        self.len = self.by_delay.values().map(VecDeque::len).sum();
        self.cleared = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn drain(timers: &mut Timers<u32>, now: Moment) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop(now)).map(|due| due.key).collect()
    }

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let (mut timers, mut slot) = (Timers::new(), Slot::default());
        for (key, ms) in [(1, 500), (2, 32_000), (3, 200), (4, 500)] {
            timers.set(Moment::ZERO, millis(ms), Timer::A, (key, false), &mut slot);
        }
        assert_eq!(timers.next(), Moment::from_millis(200));
        assert_eq!(drain(&mut timers, Moment::from_millis(499)), [3]);
        assert_eq!(drain(&mut timers, Moment::from_millis(40_000)), [1, 4, 2]);
        assert_eq!((timers.len(), timers.next()), (0, Moment::NEVER));
    }

    #[test]
    fn a_cleared_or_replaced_timer_does_not_fire() {
        let (mut timers, mut slot) = (Timers::new(), Slot::default());
        timers.set(Moment::ZERO, millis(1), Timer::A, (1, false), &mut slot);
        timers.set(Moment::ZERO, millis(2), Timer::B, (1, false), &mut slot);
        let first = timers.pop(Moment::from_millis(5)).expect("both are due");
        let second = timers.pop(Moment::from_millis(5)).expect("both are due");
        assert_eq!(slot.fire(first.generation), None);
        assert_eq!(slot.fire(second.generation), Some(Timer::B));
        assert_eq!(slot.fire(second.generation), None);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_break_the_order() {
        let (mut timers, mut slot) = (Timers::new(), Slot::default());
        timers.set(Moment::from_millis(900), millis(100), Timer::A, (1, false), &mut slot);
        timers.set(Moment::from_millis(100), millis(100), Timer::A, (2, false), &mut slot);
        assert_eq!(drain(&mut timers, Moment::from_millis(1_000)), [1, 2]);
    }

    #[test]
    fn cleared_timers_are_swept_out() {
        let mut timers = Timers::new();
        for key in 0..10_000_u32 {
            let mut slot = Slot::default();
            timers.set(Moment::ZERO, millis(32_000), Timer::F, (key, true), &mut slot);
            timers.clear(&mut slot);
            timers.sweep(|_| false);
            assert!(timers.len() <= SWEEP_FROM + 1);
        }
    }
}
