//! What a trunk may do: so many calls at once, so many new ones in a second.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::keyed;
use crate::domain::{Moment, ShardId, TrunkId};

/// The length of a rate's window.
const WINDOW: Duration = Duration::from_secs(1);
/// Bits of a rate word that hold the count; the rest hold the window's beginning in milliseconds.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
/// As many workers as a [`ShardId`] can name.
const SHARDS: usize = 1 << 8;

/// A trunk's place in the table, the same for a name while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrunkSlot(u16);

/// Why a trunk's call is not let in: 503 with Retry-After, the fault is the trunk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkFull {
    /// It has as many calls as it may.
    Calls,
    /// It has begun as many calls in this second as it may.
    Rate,
}

impl fmt::Display for TrunkFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrunkFull::Calls => "the trunk has as many calls as it may",
            TrunkFull::Rate => "the trunk begins more calls in a second than it may",
        })
    }
}

impl std::error::Error for TrunkFull {}

#[derive(Debug)]
struct Cell {
    /// Hash of the name; 0: unused.
    name: AtomicU64,
    calls: AtomicU32,
    /// Whose they are: a worker that panics forgets its own, see [`Trunks::lost`]. Each is written by
    /// its worker alone.
    held: [AtomicU32; SHARDS],
    /// `window's beginning in ms << COUNT_BITS | calls begun in it`.
    rate: AtomicU64,
}

/// All trunks' meters. A place is never given back: a reload that renames trunks takes new ones, up to
/// `trunks_max` while the server runs.
#[derive(Debug)]
pub struct Trunks {
    cells: Box<[Cell]>,
    key: [u8; 16],
}

impl Trunks {
    pub(super) fn new(trunks_max: u16, key: [u8; 16]) -> Self {
        let cell = |_| Cell {
            name: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            held: [const { AtomicU32::new(0) }; SHARDS],
            rate: AtomicU64::new(0),
        };
        Self { cells: (0..trunks_max).map(cell).collect(), key }
    }

    /// The place of a trunk, taken at its first mention. `None`: `trunks_max` names were mentioned.
    /// Lock-free: at most `trunks_max` steps.
    pub fn slot(&self, trunk: &TrunkId) -> Option<TrunkSlot> {
        let name = keyed(&self.key, trunk.as_str().as_bytes()).max(1);
        let place = self.cells.iter().position(|cell| {
            // Relaxed: the name is all there is to see; calls and rate begin at zero.
            let taken = cell.name.compare_exchange(0, name, Ordering::Relaxed, Ordering::Relaxed);
            taken.is_ok() || taken == Err(name)
        });
        place.map(|place| TrunkSlot(place as u16))
    }

    /// One call more of a trunk for `shard`, if it has less than `calls_max` and less than `calls_per_second_max`
    /// began in the window of one second that this or an earlier call opened. Give it back with
    /// [`Trunks::release`]. Lock-free.
    pub fn try_acquire(
        &self,
        slot: TrunkSlot,
        shard: ShardId,
        now: Moment,
        calls_max: u32,
        calls_per_second_max: u32,
    ) -> Result<(), TrunkFull> {
        let cell = &self.cells[usize::from(slot.0)];
        // Relaxed: only the count matters, and one word's changes have one order.
        let more = |calls: u32| (calls < calls_max).then(|| calls + 1);
        if cell.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(TrunkFull::Calls);
        }
        cell.held[shard.index()].fetch_add(1, Ordering::Relaxed);
        let max = u64::from(calls_per_second_max).min(COUNT_MAX);
        let begin = |rate: u64| begin_in_window(rate, now, max);
        if cell.rate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, begin).is_err() {
            self.release(slot, shard);
            return Err(TrunkFull::Rate);
        }
        Ok(())
    }

    /// One call more that was there before a restart: counted, never refused. Wait-free.
    pub fn acquire_restored(&self, slot: TrunkSlot, shard: ShardId) {
        let cell = &self.cells[usize::from(slot.0)];
        cell.held[shard.index()].fetch_add(1, Ordering::Relaxed);
        cell.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// One call less of `shard`. Lock-free.
    pub fn release(&self, slot: TrunkSlot, shard: ShardId) {
        let cell = &self.cells[usize::from(slot.0)];
        let less = |calls: u32| calls.checked_sub(1);
        let held = &cell.held[shard.index()];
        if held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            cell.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A worker is built anew and holds nothing: what goes on is acquired again. Wait-free.
    pub fn lost(&self, shard: ShardId) {
        for cell in &self.cells {
            let held = cell.held[shard.index()].swap(0, Ordering::Relaxed);
            cell.calls.fetch_sub(held, Ordering::Relaxed);
        }
    }

    /// Calls of a trunk now. Wait-free.
    pub fn calls(&self, slot: TrunkSlot) -> u32 {
        self.cells[usize::from(slot.0)].calls.load(Ordering::Relaxed)
    }
}

/// The rate word with one call more; `None`: `max` began in this window.
fn begin_in_window(rate: u64, now: Moment, max: u64) -> Option<u64> {
    let now_ms = now.micros() / 1_000;
    let (since, count) = (rate >> COUNT_BITS, rate & COUNT_MAX);
    // A clock of another worker may be a little behind the one that opened the window.
    let over = count == 0 || now_ms.saturating_sub(since) >= WINDOW.as_millis() as u64;
    match (over, max) {
        (_, 0) => None,
        (true, _) => Some(now_ms << COUNT_BITS | 1),
        (false, _) => (count < max).then(|| rate + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: ShardId = ShardId(0);

    fn trunks() -> Trunks {
        Trunks::new(2, [7; 16])
    }

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_name_keeps_its_place_and_the_table_its_bound() {
        let trunks = trunks();
        let (a, b) = (trunks.slot(&"a".into()), trunks.slot(&"b".into()));
        assert!(a.is_some() && b.is_some() && a != b);
        assert_eq!(trunks.slot(&"c".into()), None);
        assert_eq!(trunks.slot(&"a".into()), a);
    }

    #[test]
    fn the_call_above_the_limit_is_refused_until_one_ends() {
        let trunks = trunks();
        let slot = trunks.slot(&"a".into()).expect("the first");
        assert_eq!(trunks.try_acquire(slot, MINE, at(0), 2, 100), Ok(()));
        assert_eq!(trunks.try_acquire(slot, MINE, at(0), 2, 100), Ok(()));
        assert_eq!(trunks.try_acquire(slot, MINE, at(0), 2, 100), Err(TrunkFull::Calls));
        trunks.release(slot, MINE);
        assert_eq!(trunks.try_acquire(slot, MINE, at(0), 2, 100), Ok(()));
        trunks.acquire_restored(slot, MINE);
        assert_eq!(trunks.calls(slot), 3);
    }

    #[test]
    fn a_release_too_many_does_not_wrap() {
        let trunks = trunks();
        let slot = trunks.slot(&"a".into()).expect("the first");
        trunks.release(slot, MINE);
        assert_eq!(trunks.calls(slot), 0);
    }

    #[test]
    fn a_second_takes_only_so_many_new_calls_and_a_refused_one_holds_no_place() {
        let trunks = trunks();
        let slot = trunks.slot(&"a".into()).expect("the first");
        for _ in 0..3 {
            assert_eq!(trunks.try_acquire(slot, MINE, at(1_500), 100, 3), Ok(()));
        }
        assert_eq!(trunks.try_acquire(slot, MINE, at(2_499), 100, 3), Err(TrunkFull::Rate));
        assert_eq!(trunks.calls(slot), 3);
        assert_eq!(trunks.try_acquire(slot, MINE, at(2_500), 100, 3), Ok(()));
        assert_eq!(trunks.try_acquire(slot, MINE, at(2_500), 100, 0), Err(TrunkFull::Rate));
    }

    #[test]
    fn what_a_broken_worker_held_is_free_and_what_others_hold_is_not() {
        let trunks = trunks();
        let slot = trunks.slot(&"a".into()).expect("the first");
        let other = ShardId(1);
        for shard in [MINE, MINE, other] {
            assert_eq!(trunks.try_acquire(slot, shard, at(0), 3, 100), Ok(()));
        }
        trunks.lost(MINE);
        assert_eq!(trunks.calls(slot), 1);
        trunks.release(slot, MINE);
        assert_eq!(trunks.calls(slot), 1, "it was lost already");
        trunks.release(slot, other);
        assert_eq!(trunks.calls(slot), 0);
    }
}
