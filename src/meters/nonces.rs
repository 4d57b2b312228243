//! Which counts of a digest nonce were used (RFC 7616 §3.4.5: the server must reject an `nc` it has
//! seen), without a record of every nonce handed out.
//!
//! A direct-mapped table: a nonce has one place, by a keyed hash, so that two workers who see one
//! request at the same time agree by one compare-and-swap. A word holds a fingerprint, the highest count
//! and a window of the sixteen counts up to it.
//!
//! Each place also knows its *horizon*: the latest expiry of any nonce that was ever recorded there. A
//! nonce that is not in its place is fresh only if it expires after the horizon; else it may have been
//! there, and is stale, whatever its count.
//!
//! **When two nonces meet in one place**, the younger pushes the older out, which is stale from then on.
//! So a replay is never taken for fresh; the price is one more challenge for the nonce pushed out.

use std::sync::atomic::{AtomicU64, Ordering};

use super::keyed;
use crate::domain::Moment;

/// Counts remembered below the highest one.
const WINDOW: u32 = 16;
/// The highest count of one nonce; above it the client gets a new one.
const NC_MAX: u32 = 0xffff;

/// How a use of a nonce is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceUse {
    /// Not used before.
    Fresh,
    /// This count was used: somebody repeats a request.
    Replayed,
    /// Cannot be told, or the nonce is used up: challenge again with `stale=true`.
    Stale,
}

/// `fingerprint 32 | highest nc 16 | bits of the 16 counts up to it`; 0: nobody.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn new(fingerprint: u64, highest: u32, used: u64) -> Self {
        Self(fingerprint << 32 | u64::from(highest) << 16 | used & 0xffff)
    }

    fn is_of(self, fingerprint: u64) -> bool {
        self.0 != 0 && self.0 >> 32 == fingerprint
    }

    /// With `nc` marked as used; `Err`: it cannot be.
    fn mark(self, nc: u32) -> Result<Self, NonceUse> {
        let (fingerprint, highest) = (self.0 >> 32, (self.0 >> 16) as u32 & NC_MAX);
        let used = self.0 & 0xffff;
        if nc > highest {
            let shifted = if nc - highest < WINDOW { used << (nc - highest) } else { 0 };
            return Ok(Self::new(fingerprint, nc, shifted | 1));
        }
        let bit = highest - nc;
        match bit < WINDOW {
            false => Err(NonceUse::Stale),
            true if used >> bit & 1 == 1 => Err(NonceUse::Replayed),
            true => Ok(Self::new(fingerprint, highest, used | 1 << bit)),
        }
    }
}

#[derive(Debug)]
struct Cell {
    entry: AtomicU64,
    /// µs; nonces that are not in `entry` and do not expire after it are stale.
    horizon: AtomicU64,
}

/// The table.
#[derive(Debug)]
pub struct Nonces {
    cells: Box<[Cell]>,
    key: [u8; 16],
}

impl Nonces {
    pub(super) fn new(nonces_max: u32, key: [u8; 16]) -> Self {
        let size = (nonces_max.min(1 << 24) as usize).next_power_of_two();
        let cell = |_| Cell { entry: AtomicU64::new(0), horizon: AtomicU64::new(0) };
        Self { cells: (0..size).map(cell).collect(), key }
    }

    /// A request uses count `nc` of the nonce with this id, which is good until `expires`. Ask only after
    /// its seal and the response digest were found right: a stranger could use up counts. Lock-free.
    pub fn first_use(&self, nonce: u64, nc: u32, expires: Moment) -> NonceUse {
        if nc == 0 || nc > NC_MAX {
            return NonceUse::Stale;
        }
        let hash = keyed(&self.key, &nonce.to_be_bytes());
        let cell = &self.cells[hash as usize & (self.cells.len() - 1)];
        let fingerprint = hash >> 32;
        // Acquire: who sees another nonce here sees the horizon that was moved before it came.
        let mut seen = Entry(cell.entry.load(Ordering::Acquire));
        loop {
            let next = if seen.is_of(fingerprint) {
                match seen.mark(nc) {
                    Ok(next) => next,
                    Err(not) => return not,
                }
            } else if expires.micros() <= cell.horizon.load(Ordering::Relaxed) {
                return NonceUse::Stale;
            } else {
                // Relaxed: released by the swap that follows. Should that fail, the nonce is stale now:
                // one more challenge for somebody.
                cell.horizon.fetch_max(expires.micros(), Ordering::Relaxed);
                Entry::new(fingerprint, nc, 1)
            };
            let (done, retry) = (Ordering::AcqRel, Ordering::Acquire);
            match cell.entry.compare_exchange(seen.0, next.0, done, retry) {
                Ok(_) => return NonceUse::Fresh,
                Err(other) => seen = Entry(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRES: Moment = Moment::from_millis(300_000);

    fn nonces(places: u32) -> Nonces {
        Nonces::new(places, [3; 16])
    }

    #[test]
    fn each_count_is_good_once_in_any_order_within_the_window() {
        let nonces = nonces(64);
        for nc in [1, 3, 2, 17, 16, 4] {
            assert_eq!(nonces.first_use(9, nc, EXPIRES), NonceUse::Fresh, "{nc}");
            assert_eq!(nonces.first_use(9, nc, EXPIRES), NonceUse::Replayed, "{nc}");
        }
        assert_eq!(nonces.first_use(9, 18, EXPIRES), NonceUse::Fresh);
        assert_eq!(nonces.first_use(9, 2, EXPIRES), NonceUse::Stale, "behind the window");
        assert_eq!(nonces.first_use(9, 500, EXPIRES), NonceUse::Fresh);
        assert_eq!(nonces.first_use(9, 499, EXPIRES), NonceUse::Fresh);
        assert_eq!(nonces.first_use(9, 18, EXPIRES), NonceUse::Stale);
    }

    #[test]
    fn no_count_and_a_used_up_nonce_are_stale() {
        let nonces = nonces(64);
        assert_eq!(nonces.first_use(9, 0, EXPIRES), NonceUse::Stale);
        assert_eq!(nonces.first_use(9, NC_MAX, EXPIRES), NonceUse::Fresh);
        assert_eq!(nonces.first_use(9, NC_MAX + 1, EXPIRES), NonceUse::Stale);
    }

    #[test]
    fn a_nonce_pushed_out_of_a_full_table_is_stale_and_never_fresh_again() {
        let nonces = nonces(1);
        let later = Moment::from_millis(300_001);
        assert_eq!(nonces.first_use(1, 1, EXPIRES), NonceUse::Fresh);
        assert_eq!(nonces.first_use(2, 1, later), NonceUse::Fresh, "a younger one gets in");
        assert_eq!(nonces.first_use(1, 1, EXPIRES), NonceUse::Stale, "the replay");
        assert_eq!(nonces.first_use(1, 2, EXPIRES), NonceUse::Stale);
        assert_eq!(nonces.first_use(2, 2, later), NonceUse::Fresh);
    }

    #[test]
    fn of_one_use_seen_by_two_workers_one_is_fresh() {
        let nonces = nonces(16);
        for nonce in 0..200_u64 {
            let expires = Moment::from_micros(nonce + 1);
            let uses = std::thread::scope(|scope| {
                let both: Vec<_> =
                    (0..2).map(|_| scope.spawn(|| nonces.first_use(nonce, 1, expires))).collect();
                both.into_iter().map(|use_| use_.join().expect("no panic")).collect::<Vec<_>>()
            });
            let fresh = uses.iter().filter(|use_| **use_ == NonceUse::Fresh).count();
            assert_eq!(fresh, 1, "{uses:?}");
        }
    }
}
