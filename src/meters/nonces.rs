//! Which counts of a digest nonce were used (RFC 7616 §3.4.5: the server must reject an `nc` it has
//! seen), without a record of every nonce handed out.
//!
//! A direct-mapped table: a nonce has one place, by a keyed hash, so that two workers who see one
//! request at the same time agree by one compare-and-swap. A word holds a fingerprint, the highest count
//! and a window of the sixteen counts up to it.
//!
//! **When two nonces meet in one place**, the newer use pushes the other out, and the place's *floor*
//! becomes the present (and a second, for clocks that differ): a nonce that is not in its place and was issued before the floor is stale,
//! whatever its count. So a replay is never taken for fresh; the price is one more challenge for the
//! nonce pushed out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::keyed;
use crate::domain::Moment;

/// Counts remembered below the highest one.
const WINDOW: u32 = 16;
/// The highest count of one nonce; above it the client gets a new one.
const NC_MAX: u32 = 0xffff;
/// By how much one worker's clock may be behind another's.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

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
    /// µs; nonces issued before it that are not in `entry` are stale.
    floor: AtomicU64,
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
        let cell = |_| Cell { entry: AtomicU64::new(0), floor: AtomicU64::new(0) };
        Self { cells: (0..size).map(cell).collect(), key }
    }

    /// A request uses count `nc` of `nonce`, which we issued at `issued`. Ask only after the response
    /// digest was found right: a stranger could use up counts. Lock-free.
    pub fn use_count(&self, nonce: &[u8], issued: Moment, now: Moment, nc: u32) -> NonceUse {
        if nc == 0 || nc > NC_MAX {
            return NonceUse::Stale;
        }
        let hash = keyed(&self.key, nonce);
        let cell = &self.cells[hash as usize & (self.cells.len() - 1)];
        let fingerprint = hash >> 32;
        // Acquire: who sees another nonce here sees the floor that was raised before it came.
        let mut seen = Entry(cell.entry.load(Ordering::Acquire));
        loop {
            let next = if seen.is_of(fingerprint) {
                match seen.mark(nc) {
                    Ok(next) => next,
                    Err(not) => return not,
                }
            } else if issued.micros() < cell.floor.load(Ordering::Relaxed) {
                return NonceUse::Stale;
            } else {
                if seen.0 != 0 {
                    // Relaxed: released by the swap that follows. Should that fail, the floor is higher
                    // than it need be: one more challenge for somebody.
                    cell.floor.fetch_max((now + CLOCK_SLACK).micros(), Ordering::Relaxed);
                }
                Entry::new(fingerprint, nc, 1)
            };
            // AcqRel: see the two loads above.
            match cell.entry.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return NonceUse::Fresh,
                Err(now) => seen = Entry(now),
            }
        }
    }
}
