//! Keys: a call's place in line, fixed for life.
//!
//! `key = (entered + 2 · credit_max − credit) in µs << 8 | shard`. Smaller is served first. Two observers
//! of two keys never disagree, so no timer ages anybody, and first come, first served is exact within
//! one credit: a call is overtaken only by calls that came within `credit_max` after it. An agent
//! compares keys less the head start that each queue has with them ([`Key::ahead`]), at most
//! `credit_max` too, so that nothing underflows; there a call is overtaken only by calls that came
//! within `2 · credit_max` after it. Two keys of one shard may then be equal: either may go first.

use std::time::Duration;

use crate::domain::Moment;

/// A call's place in line. Unique over all shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// What a queue without callers shows: behind everybody.
    pub(super) const EMPTY: Key = Key(u64::MAX);

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The key with a head start more, at most `credit_max`.
    pub(super) fn ahead(self, head_start: Duration) -> Self {
        Self(self.0.saturating_sub(micros(head_start) << 8))
    }

    /// The time in it, µs, with the credits taken off.
    pub(super) fn micros(self) -> u64 {
        self.0 >> 8
    }
}

/// Makes one shard's keys.
#[derive(Debug)]
pub(super) struct Mint {
    shard: u8,
    credit_max: Duration,
    /// The latest stamp given out.
    last: u64,
    /// The latest arrival, µs.
    latest: u64,
}

impl Mint {
    pub(super) fn new(shard: u8, credit_max: Duration) -> Self {
        Self { shard, credit_max, last: 0, latest: 0 }
    }

    /// A key for a call that came at `arrived`, with a head start of at most `credit_max`. Stamps grow
    /// strictly, so callers of one instant and credit keep their order; who was held up on the way still
    /// gets their own stamp. `taken` makes it unique among callers with different credits.
    pub(super) fn key(
        &mut self,
        arrived: Moment,
        credit: Duration,
        taken: impl Fn(Key) -> bool,
    ) -> Key {
        let ahead = micros(self.credit_max * 2 - credit.min(self.credit_max));
        let mut stamp = arrived.micros();
        if stamp >= self.latest {
            self.latest = stamp;
            stamp = stamp.max(self.last + 1);
        }
        while taken(self.at(stamp, ahead)) {
            stamp += 1;
        }
        self.last = self.last.max(stamp);
        self.at(stamp, ahead)
    }

    /// The key that a call without credit would get at `now`.
    pub(super) fn newest(&self, now: Moment) -> Key {
        self.at(now.micros().max(self.last), micros(self.credit_max * 2))
    }

    fn at(&self, stamp: u64, ahead: u64) -> Key {
        // 2^56 µs are 2,283 years: the bits shifted out are zero.
        Key(stamp.saturating_add(ahead) << 8 | u64::from(self.shard))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX >> 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn keys_of_one_credit_keep_the_order_of_arrival_even_at_one_instant() {
        let mut mint = Mint::new(1, HOUR);
        let first = mint.key(Moment::from_millis(5), Duration::ZERO, |_| false);
        let second = mint.key(Moment::from_millis(5), Duration::ZERO, |_| false);
        assert!(first < second);
    }

    #[test]
    fn a_caller_who_was_held_up_on_the_way_keeps_their_place() {
        let mut mint = Mint::new(1, HOUR);
        let quick = mint.key(Moment::from_millis(5), Duration::ZERO, |_| false);
        let held_up = mint.key(Moment::from_millis(4), Duration::ZERO, |_| false);
        assert!(held_up < quick);
    }

    #[test]
    fn a_head_start_that_meets_another_callers_key_gives_way() {
        let mut mint = Mint::new(1, HOUR);
        let plain = mint.key(Moment::from_millis(1_000), Duration::ZERO, |_| false);
        let second = Duration::from_secs(1);
        let credited = mint.key(Moment::from_millis(2_000), second, |key| key == plain);
        assert!(credited > plain);
        let next = mint.key(Moment::from_millis(2_000), second, |key| key == plain);
        assert!(next > credited, "the order within the credit holds");
    }

    #[test]
    fn credit_and_head_start_together_never_underflow() {
        let mut mint = Mint::new(7, HOUR);
        let first = mint.key(Moment::ZERO, HOUR, |_| false);
        let second = mint.key(Moment::ZERO, HOUR, |_| false);
        assert!(first.ahead(HOUR) < second.ahead(HOUR));
        assert_eq!(first.ahead(HOUR).bits() & 0xff, 7);
    }

    #[test]
    fn a_credit_above_the_bound_counts_as_the_bound() {
        let mut mint = Mint::new(0, HOUR);
        let most = mint.key(Moment::ZERO, HOUR, |_| false);
        let more = mint.key(Moment::ZERO, HOUR * 5, |_| false);
        assert_eq!(more.micros(), most.micros() + 1);
        assert!(more < Mint::new(0, HOUR).key(Moment::ZERO, Duration::ZERO, |_| false));
    }
}
