//! Who may be idle: a bitmap over agents in front of [`Board::find_idle`]. A hint, no second truth: the
//! word decides, and a bit says only that it is worth reading. So a caller who comes to a busy group looks
//! at one word for 64 people.
//!
//! ```text
//!  make idle:  word → bit → fence → look who waits
//!  arrive:     head → fence → bit, word
//!  busy word beside a bit:  bit off → read the word again; idle by now → bit → fence → take, place
//! ```
//! An idle word has its bit once whoever made it idle is through: bits are put by read-modify-writes,
//! before the fence, and whoever takes one away reads the word afterwards. It may have been taken away
//! after the mark of somebody who came idle in between: then the taker sees that mark, for it replaced it,
//! and so the idle word; puts the bit back, and owes a look, because a third may have passed by. Somebody
//! in a hand keeps the bit: they will be idle or bound in a moment.
//!
//! A thread that stops between word and bit, or between bit off and bit on, leaves an idle agent whom no
//! arrival finds: the sweeps find them by the word.

use super::atomic::{Ordering, Table, fence};
use super::board::Board;
use super::roster::ones;
use super::strategy::Strategy;
use super::weak::Part;
use super::word::{AgentState, Word};

/// The idle agent to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) agent: usize,
    /// As it was seen.
    pub(super) word: Word,
}

/// What idle people are compared by, smallest first: whether they only help (clause B7: a group's own
/// people first, under every strategy), what the strategy goes by, idle since.
pub(super) type Score = (bool, u64, u64);

/// What is seen at a bit.
pub(super) enum Seen {
    Idle(Word),
    /// Came idle while the bit was taken away: is owed a look before all others.
    Owed(Word),
    /// In a hand: idle or bound in a moment.
    Passing,
    /// The bit was taken away.
    Busy,
}

/// The bitmap.
pub(super) struct IdleHint(Table);

impl IdleHint {
    pub(super) fn new(agents: usize) -> Self {
        Self(Table::new(agents.div_ceil(64), 0))
    }

    /// Relaxed: a fence stands between showing a caller and this (model M1).
    fn word(&self, place: usize) -> u64 {
        self.0.at(place).load(Ordering::Relaxed)
    }

    /// Release: whoever takes the bit away sees the idle word (model M28).
    fn put(&self, agent: usize) {
        self.0.at(agent / 64).fetch_or(1 << (agent % 64), Ordering::Release);
    }

    /// AcqRel: Acquire, see `put`; Release, so that the next who puts and takes sees what we saw.
    fn take_away(&self, agent: usize) {
        self.0.at(agent / 64).fetch_and(!(1 << (agent % 64)), Ordering::AcqRel);
    }
}

impl Board {
    /// To be called by whoever has made `agent` idle, before the fence of the look that they owe. Wait-free.
    pub(super) fn mark_idle(&self, agent: usize) {
        if !self.lacks(Part::IdleMark) {
            self.idle.put(agent);
        }
    }

    /// The idle member of `queue` whom `strategy` prefers, or else the idle helper. Wait-free; `take`
    /// decides. A bit alone would make the caller spin on an agent who was moved, and a row alone on a
    /// helper while help is closed.
    pub(super) fn find_idle(&self, queue: usize, strategy: Strategy) -> Option<Found> {
        if let Some(agent) = self.roster.owner(queue) {
            let word = self.word(agent);
            let serves = word.is_idle() && self.roster.entry(agent, queue).is_some();
            return serves.then_some(Found { agent, word });
        }
        let mut best: Option<(Score, usize, Word)> = None;
        for place in 0..self.roster.words() {
            for bit in ones(self.marked(queue, place)) {
                let agent = place * 64 + bit;
                let word = match self.seen_at_bit(agent) {
                    Seen::Idle(word) => word,
                    Seen::Owed(word) => return Some(Found { agent, word }),
                    Seen::Passing | Seen::Busy => continue,
                };
                // The row is read only for who may be better than whom we have.
                let better = |score| best.is_none_or(|(least, ..)| score < least);
                if better(self.least_score(strategy, agent))
                    && let Some(score) = self.score(queue, strategy, agent)
                    && better(score)
                {
                    best = Some((score, agent, word));
                }
            }
        }
        best.map(|(_, agent, word)| Found { agent, word })
    }

    /// One word of the bitmap of those members of a group who may be idle.
    pub(super) fn marked(&self, queue: usize, place: usize) -> u64 {
        match self.roster.members(queue, place) {
            0 => 0,
            members => members & self.idle.word(place),
        }
    }

    /// How good `agent` is for `queue`; `None`: does not serve it now.
    pub(super) fn score(&self, queue: usize, strategy: Strategy, agent: usize) -> Option<Score> {
        let entry = self.roster.entry(agent, queue)?;
        // Relaxed: stored before the word; whoever read that with Acquire sees it.
        let since = self.since.at(agent).load(Ordering::Relaxed);
        Some((entry.is_helper(), self.scores.score(strategy, agent, Some(entry)), since))
    }

    /// The least that it can be.
    fn least_score(&self, strategy: Strategy, agent: usize) -> Score {
        // Relaxed: see `score`.
        let since = self.since.at(agent).load(Ordering::Relaxed);
        (false, self.scores.score(strategy, agent, None), since)
    }

    /// The word behind a bit; takes the bit of a bound or resting agent away.
    pub(super) fn seen_at_bit(&self, agent: usize) -> Seen {
        let word = self.word(agent);
        if word.is_idle() {
            return Seen::Idle(word);
        }
        if word.state() == AgentState::Hand {
            return Seen::Passing;
        }
        self.idle.take_away(agent);
        if self.lacks(Part::IdleAgain) {
            return Seen::Busy;
        }
        let word = self.word(agent);
        if !word.is_idle() {
            return Seen::Busy;
        }
        self.idle.put(agent);
        if self.lacks(Part::IdleOwes) {
            return Seen::Busy;
        }
        // SeqCst: whoever shows a caller after this sees the bit, or our placing sees the caller (model
        // M28).
        fence(Ordering::SeqCst);
        Seen::Owed(word)
    }
}
