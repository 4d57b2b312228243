//! Failures of each source address in a minute: wrong passwords, requests of nobody we know.
//!
//! A table of fixed size: buckets of eight words, one cache line. A source's bucket comes from a keyed
//! hash of its address (of an IPv6 address its /64: one customer has all of it). **When a bucket is
//! full**, a newcomer takes the place of one whose minute is over, else of the one with the fewest
//! failures: who fails most is remembered longest. A source that was pushed out begins again at one. Two
//! sources whose fingerprints (24 bits) agree in one bucket are counted as one.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::keyed;
use crate::domain::Moment;

/// Seconds for which failures are counted, from the first.
const WINDOW_S: u64 = 60;
const BUCKET: usize = 8;
const COUNT_MAX: u64 = 0xffff;
const SECONDS_BITS: u64 = 0xff_ffff;

/// One source: `fingerprint 24 | window's first second 24 | failures 16`; 0: nobody.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn first(fingerprint: u64, second: u64) -> Self {
        Self(fingerprint << 40 | (second & SECONDS_BITS) << 16 | 1)
    }

    fn is_of(self, fingerprint: u64) -> bool {
        self.0 >> 40 == fingerprint
    }

    /// Failures that still count at `second`. A clock slightly behind the window's first second is in it.
    fn failures(self, second: u64) -> u64 {
        let age = (second.wrapping_sub(self.0 >> 16) as u32) << 8;
        let age = i64::from(age as i32 >> 8);
        if age < WINDOW_S as i64 && age > -(WINDOW_S as i64) { self.0 & COUNT_MAX } else { 0 }
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
        let size = (sources_max.min(1 << 24) as usize).next_power_of_two().max(BUCKET);
        Self { cells: (0..size).map(|_| AtomicU64::new(0)).collect(), key }
    }

    /// `source` has failed once more. How often within its minute, this time included; at most 65,535.
    /// Lock-free.
    pub fn failed(&self, source: IpAddr, now: Moment) -> u32 {
        let (bucket, fingerprint) = self.find(source);
        let second = now.micros() / 1_000_000;
        loop {
            let (cell, seen) = choose(bucket, fingerprint, second);
            let known = seen.is_of(fingerprint) && seen.failures(second) > 0;
            let next = match known {
                true if seen.0 & COUNT_MAX == COUNT_MAX => return COUNT_MAX as u32,
                true => Entry(seen.0 + 1),
                false => Entry::first(fingerprint, second),
            };
            // Relaxed: a word is all there is of a source.
            let (done, retry) = (Ordering::Relaxed, Ordering::Relaxed);
            if cell.compare_exchange(seen.0, next.0, done, retry).is_ok() {
                return (next.0 & COUNT_MAX) as u32;
            }
        }
    }

    /// How often `source` has failed within its minute. Wait-free: eight loads.
    pub fn failures(&self, source: IpAddr, now: Moment) -> u32 {
        let (bucket, fingerprint) = self.find(source);
        let second = now.micros() / 1_000_000;
        let entries = bucket.iter().map(|cell| Entry(cell.load(Ordering::Relaxed)));
        let own = entries.filter(|entry| entry.is_of(fingerprint));
        own.map(|entry| entry.failures(second) as u32).max().unwrap_or(0)
    }

    fn find(&self, source: IpAddr) -> (&[AtomicU64], u64) {
        let hash = match source.to_canonical() {
            IpAddr::V4(v4) => keyed(&self.key, &v4.octets()),
            IpAddr::V6(v6) => keyed(&self.key, &v6.octets()[..8]),
        };
        let bucket = hash as usize & (self.cells.len() - 1) & !(BUCKET - 1);
        // Never 0, which is nobody's.
        (&self.cells[bucket..bucket + BUCKET], (hash >> 40).max(1))
    }
}

/// The place for a fingerprint: its own, else the one with the fewest failures that still count.
fn choose(bucket: &[AtomicU64], fingerprint: u64, second: u64) -> (&AtomicU64, Entry) {
    let read = |cell: &AtomicU64| Entry(cell.load(Ordering::Relaxed));
    let entries = bucket.iter().map(|cell| (cell, read(cell)));
    let rank = |entry: Entry| (!entry.is_of(fingerprint), entry.failures(second));
    let best = entries.min_by_key(|(_, entry)| rank(*entry));
    best.expect("a bucket has eight places")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u16) -> IpAddr {
        IpAddr::from([10, 0, (last >> 8) as u8, last as u8])
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn failures_count_for_a_minute_from_the_first() {
        let sources = Sources::new(64, [1; 16]);
        assert_eq!(sources.failed(v4(1), at(100)), 1);
        assert_eq!(sources.failed(v4(1), at(159)), 2);
        assert_eq!(sources.failures(v4(1), at(159)), 2);
        assert_eq!(sources.failures(v4(1), at(160)), 0);
        assert_eq!(sources.failed(v4(1), at(160)), 1);
        assert_eq!(sources.failures(v4(2), at(160)), 0);
    }

    #[test]
    fn a_clock_slightly_behind_still_sees_the_minute() {
        let sources = Sources::new(64, [1; 16]);
        sources.failed(v4(1), at(100));
        assert_eq!(sources.failures(v4(1), at(99)), 1);
    }

    #[test]
    fn the_window_outlives_the_wrap_of_its_seconds() {
        let sources = Sources::new(64, [1; 16]);
        let last = SECONDS_BITS;
        assert_eq!(sources.failed(v4(1), at(last)), 1);
        assert_eq!(sources.failed(v4(1), at(last + 5)), 2);
        assert_eq!(sources.failures(v4(1), at(last + 61)), 0);
    }

    #[test]
    fn the_count_stops_at_its_bound() {
        let sources = Sources::new(8, [1; 16]);
        let counts: Vec<u32> = (0..70_000).map(|_| sources.failed(v4(1), at(1))).collect();
        assert_eq!(counts.last(), Some(&65_535));
    }

    #[test]
    fn a_full_bucket_gives_up_the_one_with_the_fewest_failures() {
        let sources = Sources::new(8, [1; 16]);
        for source in 0..8 {
            for failure in 1..=u32::from(source) + 1 {
                assert_eq!(sources.failed(v4(source), at(1)), failure);
            }
        }
        assert_eq!(sources.failed(v4(100), at(2)), 1);
        assert_eq!(sources.failures(v4(0), at(2)), 0, "pushed out");
        assert_eq!(sources.failures(v4(7), at(2)), 8);
        assert_eq!(sources.failed(v4(101), at(90)), 1);
        assert_eq!(sources.failures(v4(7), at(90)), 0);
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_source() {
        let sources = Sources::new(64, [1; 16]);
        let host = |text: &str| text.parse::<IpAddr>().expect("a literal");
        sources.failed(host("2001:db8:1:2::1"), at(1));
        assert_eq!(sources.failed(host("2001:db8:1:2:ffff::9"), at(1)), 2);
        assert_eq!(sources.failed(host("2001:db8:1:3::1"), at(1)), 1);
        sources.failed(host("::ffff:10.0.0.1"), at(1));
        assert_eq!(sources.failures(v4(1), at(1)), 1, "an IPv4 address in disguise");
    }
}
