//! Bells: "look at these agents' words". One bitmap over agents for each shard, with a summary word.
//! It cannot overflow, and repeats coalesce.

use super::atomic::{Ordering, Table};
use super::roster::ones;

/// All shards' bells.
pub(super) struct Bells {
    /// Bits over agents, `words` for each shard.
    bits: Table,
    /// For each shard: bit `w % 64` says that word `w` of its bits was touched.
    summary: Table,
    words: usize,
}

impl Bells {
    pub(super) fn new(shards: usize, agents: usize) -> Self {
        let words = agents.div_ceil(64);
        Self { bits: Table::new(shards * words, 0), summary: Table::new(shards, 0), words }
    }

    /// Marks `agent` for `shard`. The caller wakes the shard. Wait-free: two read-modify-writes.
    pub(super) fn ring(&self, shard: usize, agent: usize) {
        // Release on both: the shard that takes the bit sees the word handed over before it, and the
        // one that takes the summary's bit sees the bit itself.
        let place = shard * self.words + agent / 64;
        self.bits.at(place).fetch_or(1 << (agent % 64), Ordering::Release);
        self.summary.at(shard).fetch_or(1 << (agent / 64 % 64), Ordering::Release);
    }

    /// Takes every mark of `shard`, which is the caller's own. Wait-free.
    ///
    /// The caller reads the agents' words afterwards: the Acquire half of each swap makes it see at
    /// least the words that the ringers wrote, and a mark set later stays for the next turn.
    pub(super) fn answer(&self, shard: usize) -> Vec<usize> {
        // Relaxed: whoever rings wakes the shard afterwards, so an old zero costs nothing.
        if self.summary.at(shard).load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let touched = self.summary.at(shard).swap(0, Ordering::Acquire);
        let words = ones(touched).flat_map(|first| (first..self.words).step_by(64));
        words
            .flat_map(|word| {
                let bits = self.bits.at(shard * self.words + word).swap(0, Ordering::Acquire);
                ones(bits).map(move |bit| word * 64 + bit)
            })
            .collect()
    }

    /// The marks without taking them: too early, in a model's weakened twin.
    pub(super) fn peek(&self, shard: usize) -> Vec<usize> {
        let words = 0..self.words;
        let bits = |word: usize| self.bits.at(shard * self.words + word).load(Ordering::Acquire);
        words.flat_map(|word| ones(bits(word)).map(move |bit| word * 64 + bit)).collect()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn marks_of_many_words_share_a_summary_bit_and_none_is_lost() {
        let bells = Bells::new(2, 65 * 64);
        bells.ring(1, 3);
        bells.ring(1, 64 * 64 + 5);
        bells.ring(1, 3);
        assert_eq!(bells.answer(0), Vec::<usize>::new());
        assert_eq!(bells.answer(1), [3, 64 * 64 + 5]);
        assert_eq!(bells.answer(1), Vec::<usize>::new());
    }
}
