//! Failures of each source address: wrong passwords, requests of nobody we know.
//!
//! Each is a leaking bucket: a failure fills it by one, and `per_minute` leak out in a minute. So a source
//! that is at its bound gets on at that rate, and has all of it back a minute after its last failure.
//!
//! A table of fixed size: rows of eight words, one cache line. A source's row comes from a keyed hash of
//! its address (of an IPv6 address its /64: one customer has all of it) and of what it is about. **When a
//! row is full**, a newcomer takes the place of the one with the fewest failures: who fails most is
//! remembered longest. A source that was pushed out begins again at one. Two sources whose fingerprints
//! (24 bits) agree in one row are counted as one.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use super::keyed;
use crate::domain::Moment;

/// By then all of a full bucket has leaked out.
const EMPTY_AFTER_S: i64 = 61;
const ROW: usize = 8;
const COUNT_MAX: u32 = 0xffff;
const SECONDS_BITS: u64 = 0xff_ffff;

/// One source: `fingerprint 24 | second of the last failure 24 | failures left then 16`; 0: nobody.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn new(fingerprint: u64, second: u64, failures: u32) -> Self {
        Self(fingerprint << 40 | (second & SECONDS_BITS) << 16 | u64::from(failures.min(COUNT_MAX)))
    }

    fn is_of(self, fingerprint: u64) -> bool {
        self.0 >> 40 == fingerprint
    }

    /// What is left at `second`. A clock slightly behind the last failure sees all of it.
    fn failures(self, second: u64, per_minute: u32) -> u32 {
        let age = (second.wrapping_sub(self.0 >> 16) as u32) << 8;
        let age = i64::from(age as i32 >> 8);
        if age.abs() >= EMPTY_AFTER_S {
            return 0;
        }
        let leaked = age.max(0) as u64 * u64::from(per_minute) / 60;
        (self.0 as u32 & COUNT_MAX).saturating_sub(leaked.min(u64::from(COUNT_MAX)) as u32)
    }
}

/// The table.
#[derive(Debug)]
pub struct Sources {
    cells: Box<[AtomicU64]>,
    key: [u8; 16],
}

impl Sources {
    pub(super) fn new(sources_max: u32, key: [u8; 16]) -> Self {
        let size = (sources_max.min(1 << 24) as usize).next_power_of_two().max(ROW);
        Self { cells: (0..size).map(|_| AtomicU64::new(0)).collect(), key }
    }

    /// `source` has failed once more, in what it is `about` (whose password; empty: anything). What is in
    /// its bucket now; one above `per_minute` at most. Lock-free.
    pub fn failed(&self, source: IpAddr, about: &str, now: Moment, per_minute: u32) -> u32 {
        let (row, fingerprint) = self.find(source, about);
        let second = now.micros() / 1_000_000;
        loop {
            let (cell, seen) = choose(row, fingerprint, second, per_minute);
            let own = if seen.is_of(fingerprint) { seen.failures(second, per_minute) } else { 0 };
            let failures = own.min(per_minute).saturating_add(1).min(COUNT_MAX);
            let next = Entry::new(fingerprint, second, failures);
            // Relaxed: a word is all there is of a source.
            let (done, retry) = (Ordering::Relaxed, Ordering::Relaxed);
            if cell.compare_exchange(seen.0, next.0, done, retry).is_ok() {
                return failures;
            }
        }
    }

    /// What is in the bucket of `source`. Wait-free: eight loads.
    pub fn failures(&self, source: IpAddr, about: &str, now: Moment, per_minute: u32) -> u32 {
        let (row, fingerprint) = self.find(source, about);
        let second = now.micros() / 1_000_000;
        let entries = row.iter().map(|cell| Entry(cell.load(Ordering::Relaxed)));
        let own = entries.filter(|entry| entry.is_of(fingerprint));
        own.map(|entry| entry.failures(second, per_minute)).max().unwrap_or(0)
    }

    fn find(&self, source: IpAddr, about: &str) -> (&[AtomicU64], u64) {
        let mut name: SmallVec<[u8; 64]> = match source.to_canonical() {
            IpAddr::V4(v4) => SmallVec::from_slice(&v4.octets()),
            IpAddr::V6(v6) => SmallVec::from_slice(&v6.octets()[..8]),
        };
        name.extend_from_slice(about.as_bytes());
        let hash = keyed(&self.key, &name);
        let row = hash as usize & (self.cells.len() - 1) & !(ROW - 1);
        // Never 0, which is nobody's.
        (&self.cells[row..row + ROW], (hash >> 40).max(1))
    }
}

/// The place for a fingerprint: its own, else the one with the fewest failures.
fn choose(
    row: &[AtomicU64],
    fingerprint: u64,
    second: u64,
    per_minute: u32,
) -> (&AtomicU64, Entry) {
    let read = |cell: &AtomicU64| Entry(cell.load(Ordering::Relaxed));
    let entries = row.iter().map(|cell| (cell, read(cell)));
    let rank = |entry: Entry| (!entry.is_of(fingerprint), entry.failures(second, per_minute));
    let best = entries.min_by_key(|(_, entry)| rank(*entry));
    best.expect("a row has eight places")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_MINUTE: u32 = 60;

    fn v4(last: u16) -> IpAddr {
        IpAddr::from([10, 0, (last >> 8) as u8, last as u8])
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn failed(sources: &Sources, source: IpAddr, seconds: u64) -> u32 {
        sources.failed(source, "", at(seconds), PER_MINUTE)
    }

    fn failures(sources: &Sources, source: IpAddr, seconds: u64) -> u32 {
        sources.failures(source, "", at(seconds), PER_MINUTE)
    }

    #[test]
    fn failures_leak_out_at_the_rate_that_is_allowed() {
        let sources = Sources::new(64, [1; 16]);
        for failure in 1..=PER_MINUTE {
            assert_eq!(failed(&sources, v4(1), 100), failure);
        }
        assert_eq!(failures(&sources, v4(1), 101), PER_MINUTE - 1);
        assert_eq!(failed(&sources, v4(1), 102), PER_MINUTE - 1);
        assert_eq!(failures(&sources, v4(1), 162), 0);
        assert_eq!(failures(&sources, v4(2), 102), 0);
    }

    #[test]
    fn the_bucket_holds_one_above_the_bound() {
        let sources = Sources::new(8, [1; 16]);
        let counts: Vec<u32> = (0..1_000).map(|_| failed(&sources, v4(1), 1)).collect();
        assert_eq!(counts.last(), Some(&(PER_MINUTE + 1)));
        assert_eq!(sources.failed(v4(2), "", at(1), u32::MAX), 1);
        let many = (0..70_000).map(|_| sources.failed(v4(2), "", at(1), u32::MAX)).max();
        assert_eq!(many, Some(COUNT_MAX));
    }

    #[test]
    fn a_clock_slightly_behind_sees_all_of_it() {
        let sources = Sources::new(64, [1; 16]);
        failed(&sources, v4(1), 100);
        assert_eq!(failures(&sources, v4(1), 99), 1);
    }

    #[test]
    fn nothing_is_left_after_the_wrap_of_the_seconds() {
        let sources = Sources::new(64, [1; 16]);
        let last = SECONDS_BITS;
        assert_eq!(failed(&sources, v4(1), last), 1);
        assert_eq!(failed(&sources, v4(1), last + 1), 1);
        assert_eq!(failed(&sources, v4(1), last + 1), 2);
        assert_eq!(failures(&sources, v4(1), last + 63), 0);
    }

    #[test]
    fn what_they_are_about_keeps_failures_apart() {
        let sources = Sources::new(64, [1; 16]);
        assert_eq!(sources.failed(v4(1), "anna", at(1), PER_MINUTE), 1);
        assert_eq!(sources.failed(v4(1), "boris", at(1), PER_MINUTE), 1);
        assert_eq!(sources.failures(v4(1), "anna", at(1), PER_MINUTE), 1);
    }

    #[test]
    fn a_full_row_gives_up_the_one_with_the_fewest_failures() {
        let sources = Sources::new(8, [1; 16]);
        for source in 0..8 {
            for failure in 1..=u32::from(source) + 1 {
                assert_eq!(failed(&sources, v4(source), 1), failure);
            }
        }
        assert_eq!(failed(&sources, v4(100), 1), 1);
        assert_eq!(failures(&sources, v4(0), 1), 0, "pushed out");
        assert_eq!(failures(&sources, v4(7), 1), 8);
        assert_eq!(failed(&sources, v4(101), 90), 1);
        assert_eq!(failures(&sources, v4(7), 90), 0);
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_source() {
        let sources = Sources::new(64, [1; 16]);
        let host = |text: &str| text.parse::<IpAddr>().expect("a literal");
        failed(&sources, host("2001:db8:1:2::1"), 1);
        assert_eq!(failed(&sources, host("2001:db8:1:2:ffff::9"), 1), 2);
        assert_eq!(failed(&sources, host("2001:db8:1:3::1"), 1), 1);
        failed(&sources, host("::ffff:10.0.0.1"), 1);
        assert_eq!(failures(&sources, v4(1), 1), 1, "an IPv4 address in disguise");
    }
}
