//! One sorted list of callers: who stands in a queue on one shard, best first.
//!
//! Nearly all come in order and are served in order: those stand in a ring, at whose end one steps in and
//! at whose front one steps out at a constant cost. Who leaves from the middle (a hang-up) leaves a gap
//! behind; who comes with a smaller key than the last (a head start, a return) stands in a tree beside
//! the ring. Nothing costs more than the logarithm of the length, the closing of gaps spread over those
//! who made them.

use std::collections::{BTreeMap, VecDeque};

use super::key::Key;

/// No caller: a gap.
const GAP: u32 = u32::MAX;
/// So many gaps may stay; and room for so many callers is kept when the last one leaves.
const GAPS: usize = 32;

/// Callers, by number, in the order of their keys. All keys are different.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Rising keys; neither the first nor the last is a gap.
    ring: VecDeque<(Key, u32)>,
    gaps: usize,
    /// Those who came out of order.
    tree: BTreeMap<Key, u32>,
}

impl Order {
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.tree.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len() - self.gaps + self.tree.len()
    }

    /// The best one.
    pub(super) fn first(&self) -> Option<(Key, u32)> {
        let ring = self.ring.front().copied();
        if self.tree.is_empty() {
            return ring;
        }
        let tree = self.tree.first_key_value().map(|(key, caller)| (*key, *caller));
        ring.into_iter().chain(tree).min()
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.in_ring(key).is_some_and(|place| self.ring[place].1 != GAP)
            || self.tree.contains_key(&key)
    }

    /// How many stand before `key`.
    pub(super) fn ahead(&self, key: Key) -> usize {
        let end = self.ring.partition_point(|(other, _)| *other < key);
        let ring = self.ring.range(..end).filter(|(_, caller)| *caller != GAP).count();
        ring + self.tree.range(..key).count()
    }

    /// `caller` steps in; somebody of the same key is replaced.
    pub(super) fn insert(&mut self, key: Key, caller: u32) {
        if let Some(known) = self.tree.get_mut(&key) {
            *known = caller;
            return;
        }
        if self.ring.back().is_none_or(|(last, _)| *last < key) {
            return self.ring.push_back((key, caller));
        }
        if let Some(place) = self.in_ring(key) {
            let before = std::mem::replace(&mut self.ring[place].1, caller);
            self.gaps -= usize::from(before == GAP);
        } else {
            self.tree.insert(key, caller);
        }
    }

    /// Who has `key` steps out. `false`: nobody has.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let Some(place) = self.in_ring(key) else { return self.tree.remove(&key).is_some() };
        if std::mem::replace(&mut self.ring[place].1, GAP) == GAP {
            return false;
        }
        self.gaps += 1;
        while self.ring.front().is_some_and(|(_, caller)| *caller == GAP) {
            self.ring.pop_front();
            self.gaps -= 1;
        }
        while self.ring.back().is_some_and(|(_, caller)| *caller == GAP) {
            self.ring.pop_back();
            self.gaps -= 1;
        }
        if self.gaps > GAPS && self.gaps * 2 > self.ring.len() {
            self.ring.retain(|(_, caller)| *caller != GAP);
            self.gaps = 0;
        }
        if self.ring.capacity() > 4 * GAPS && self.ring.len() * 8 < self.ring.capacity() {
            self.ring.shrink_to(2 * self.ring.len().max(GAPS));
        }
        true
    }

    fn in_ring(&self, key: Key) -> Option<usize> {
        let first = self.ring.front()?.0;
        if first >= key {
            return (first == key).then_some(0);
        }
        self.ring.binary_search_by_key(&key, |(other, _)| *other).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(bits: u64) -> Key {
        Key::from_bits(bits)
    }

    proptest! {
        #[test]
        fn an_order_is_a_sorted_map(steps in prop::collection::vec((0_u64..200, 0_u8..5), 0..600)) {
            let (mut order, mut map) = (Order::default(), BTreeMap::new());
            for (number, (bits, kind)) in steps.into_iter().enumerate() {
                // Rising for the most part, as callers come.
                let bits = if kind < 2 { number as u64 * 3 + 200 } else { bits * 9 };
                match kind {
                    0..3 => {
                        order.insert(key(bits), number as u32);
                        map.insert(key(bits), number as u32);
                    }
                    3 => {
                        let first = map.first_key_value().map(|(key, _)| *key);
                        prop_assert_eq!(first.is_some_and(|key| order.remove(key)), first.is_some());
                        map.pop_first();
                    }
                    _ => prop_assert_eq!(order.remove(key(bits)), map.remove(&key(bits)).is_some()),
                }
                let first = map.first_key_value().map(|(key, caller)| (*key, *caller));
                prop_assert_eq!((order.first(), order.len()), (first, map.len()));
                prop_assert_eq!(order.is_empty(), map.is_empty());
                prop_assert_eq!(order.contains(key(bits)), map.contains_key(&key(bits)));
                prop_assert_eq!(order.ahead(key(bits)), map.range(..key(bits)).count());
            }
        }
    }

    #[test]
    fn gaps_are_closed_and_room_is_given_back() {
        let mut order = Order::default();
        (0..100_000).for_each(|number| order.insert(key(number), number as u32));
        (1..99_990).for_each(|number| assert!(order.remove(key(number))));
        assert_eq!(order.len(), 11);
        assert!(order.ring.len() <= 2 * GAPS + 22, "{} gaps", order.gaps);
        assert!(order.ring.capacity() <= 16 * GAPS, "{}", order.ring.capacity());
        let all = (0..1).chain(99_990..100_000);
        all.for_each(|number| assert!(order.remove(key(number))));
        assert!(order.is_empty() && order.ring.capacity() <= 8 * GAPS);
    }
}
