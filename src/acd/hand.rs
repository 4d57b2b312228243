//! Moving an agent's word: the protocol "the agent in hand".
//!
//! An agent who comes free is in the hand of exactly one shard, which runs [`Board::place`]: it
//! compares the heads of all queues the agent serves. Mine is best: bind (`commit`). Another shard's is
//! best: hand over and ring. Nobody waits: idle, and look once more. Arriving calls that find an idle
//! agent `take` it and run the same `place`: agents choose calls, calls only wake agents.
//!
//! Who came first is decided by the stamp of arrival, and between the stamp and the line lies the
//! decision where the call goes. So a shard says that it is about to let somebody in (`arriving`); whose
//! own best came later hands the agent there, and gets it back unless it was for them. Once: a shard
//! answers its bell only when nobody is on the way, and its next arrival has a later stamp. A hint: a
//! stale one costs a hand-over or lets a later call go first by the length of one turn, no more.
//!
//! The debt rule: whoever makes a word idle, a head non-empty, a flag clear, a roster entry new or a
//! suspect bit clear owes a look after a SeqCst fence. So no idle agent stands beside a waiting call
//! once every operation is over and every bell answered.
//!
//! Progress: a failed compare-and-swap means that somebody else moved this agent or its flags: lock-free.

use std::time::Duration;

use super::atomic::{Ordering, fence};
use super::board::Board;
use super::key::Key;
use super::weak::Part;
use super::word::{AgentState, Flags, Token, Word};
use crate::domain::{AgentId, Moment};

/// The best call that an agent could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Best {
    /// The key less the agent's head start for the queue: what was compared.
    counted: Key,
    key: Key,
    /// Where it stands.
    pub(super) queue: usize,
    /// Whose it is.
    pub(super) shard: usize,
}

/// What became of an agent in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// The best call is the caller's own: bind the first one of `queue`.
    Mine {
        /// Where it stands.
        queue: usize,
        /// The agent's word, to `commit` from.
        word: Word,
    },
    /// Handed to the shard that has the best call.
    Passed,
    /// Nobody waits.
    Idle,
    /// A flag stands against any call.
    Resting,
    /// Somebody else moved the agent meanwhile.
    Lost,
}

/// What an agent does after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Takes the next one.
    Free,
    /// Rests until then ([`Moment::NEVER`]: until the person says so).
    Wrap(Moment),
}

impl Board {
    /// The best call for `agent` as `me` sees it. Pure; wait-free: at most 17 loads for each shard, and 33
    /// for the row. Suspected shards are passed over, never the own.
    pub(super) fn best(&self, me: usize, agent: usize) -> Option<Best> {
        let mut best: Option<Best> = None;
        for entry in self.roster.serving(agent) {
            let queue = entry.queue();
            for shard in 0..self.shards() {
                let key = self.head(queue, shard);
                if key == Key::EMPTY {
                    continue;
                }
                let credit =
                    if self.lacks(Part::HeadStart) { Duration::ZERO } else { entry.credit() };
                let counted = key.ahead(credit);
                let better = best.is_none_or(|best| counted < best.counted);
                if better && (shard == me || !self.is_suspect(shard)) {
                    best = Some(Best { counted, key, queue, shard });
                }
            }
        }
        best
    }

    /// The same; an own call gives way to an older one that is on its way into another shard's line.
    fn best_or_arriving(&self, me: usize, agent: usize) -> Option<Best> {
        // Before the heads: whoever is on the way no more must be seen in line (model M21).
        let mut arriving = self.first_arriving(me);
        let best = self.best(me, agent);
        if self.lacks(Part::ArrivingFirst) {
            arriving = self.first_arriving(me);
        }
        match (best, arriving) {
            (Some(own), Some((older, shard))) if own.shard == me && older < own.key => {
                Some(Best { shard, ..own })
            }
            _ => best,
        }
    }

    /// Takes an agent seen as `word` into the hand of `me`: idle ones, and out of another hand. The
    /// epoch makes a holder's later commit fail (models M9, M15). Lock-free.
    pub(super) fn take(&self, me: usize, agent: usize, word: Word) -> Option<Word> {
        let next = self.step(word, AgentState::Hand, me);
        if self.lacks(Part::TakeSwap) {
            // Release: like the swap; the twin lacks nothing but the comparison.
            self.words.at(agent).store(next.bits(), Ordering::Release);
            return Some(next);
        }
        self.swap(agent, word, next).ok()
    }

    /// Agents whose bell was rung for `me` and who are in its hand. The bell is taken first: a mark set
    /// after a word was read stays for the next time (model M10). Wait-free.
    pub(super) fn handed(&self, me: usize) -> Vec<(usize, Word)> {
        let rung =
            if self.lacks(Part::BellFirst) { self.bells.peek(me) } else { self.bells.answer(me) };
        let words = rung.into_iter().map(|agent| (agent, self.word(agent)));
        let handed = words.filter(|(_, word)| word.is_in_hand(me)).collect();
        if self.lacks(Part::BellFirst) {
            self.bells.answer(me);
        }
        handed
    }

    /// Finds a call for an agent in the hand of `me` (its word was `word`), or a rest. Lock-free: a
    /// retry means that another assignment, withdrawal or change of a flag was completed; hand-overs do
    /// not go back and forth, for all compare the same unique keys.
    pub(super) fn place(&self, me: usize, agent: usize, mut word: Word) -> Placed {
        loop {
            let resting = !word.flags().is_empty();
            let best = if resting { None } else { self.best_or_arriving(me, agent) };
            let next = match best {
                Some(Best { queue, shard, .. }) if shard == me => {
                    return Placed::Mine { queue, word };
                }
                Some(Best { shard, .. }) => self.step(word, AgentState::Hand, shard),
                None => self.step(word, AgentState::Free, 0),
            };
            if next.state() == AgentState::Hand && self.lacks(Part::HandBeforeBell) {
                self.ring(next.shard(), agent);
            }
            match self.swap(agent, word, next) {
                Ok(_) => {}
                Err(seen) if seen.is_same_step(word) => {
                    // Still in our hand: only flags have changed.
                    word = seen;
                    continue;
                }
                Err(_) => return Placed::Lost,
            }
            if resting {
                // Whoever clears the flag looks.
                return Placed::Resting;
            }
            if next.state() == AgentState::Hand {
                if !self.lacks(Part::HandBeforeBell) {
                    // After the swap: a bell answered before it would find nothing (model M1).
                    self.ring(next.shard(), agent);
                }
                return Placed::Passed;
            }
            match self.look_again(me, agent, next) {
                Some(taken) => word = taken,
                None => return Placed::Idle,
            }
        }
    }

    /// The second look after `agent` went idle as `word`: back in the hand of `me` if somebody waits.
    fn look_again(&self, me: usize, agent: usize, word: Word) -> Option<Word> {
        if self.lacks(Part::PlaceLook) {
            return None;
        }
        if !self.lacks(Part::IdleMarkFirst) {
            self.mark_idle(agent);
        }
        if !self.lacks(Part::PlaceFence) {
            // SeqCst: with the fence of `shown`, either we see the caller's head or the caller sees the
            // idle agent (models M1, M13).
            fence(Ordering::SeqCst);
        }
        let best = self.best(me, agent);
        if self.lacks(Part::IdleMarkFirst) {
            self.mark_idle(agent);
        }
        best.and_then(|_| self.take(me, agent, word))
    }

    /// After a change that may have made `agent` idle as `word`: takes and places it if somebody waits.
    pub(super) fn look(&self, me: usize, agent: usize, word: Word) -> Placed {
        if self.lacks(Part::ClearLook) {
            return Placed::Idle;
        }
        self.mark_idle(agent);
        // SeqCst: the cleared flag is seen by whoever shows a caller after this, or we see the caller
        // (model M11).
        fence(Ordering::SeqCst);
        if self.best(me, agent).is_none() {
            return Placed::Idle;
        }
        match self.take(me, agent, word) {
            Some(word) => self.place(me, agent, word),
            None => Placed::Lost,
        }
    }

    /// Binds an agent in the hand of `me`, seen as `word` without flags: the linearisation point of an
    /// assignment. `Err`: the word as it is now; a flag that came first wins (model M4).
    pub(super) fn commit(&self, me: usize, agent: usize, word: Word) -> Result<Token, Word> {
        let next = self.step(word, AgentState::Offered, me);
        if self.lacks(Part::CommitSwap) {
            self.words.at(agent).store(next.bits(), Ordering::Release);
        } else {
            self.swap(agent, word, next)?;
        }
        Ok(Token { agent: AgentId(agent as u16), word: next })
    }

    /// Moves a bound agent on if `token` is not stale; flags set meanwhile stay set. The new word.
    pub(super) fn advance(&self, token: Token, state: AgentState, shard: usize) -> Option<Word> {
        let agent = token.agent.index();
        let mut word = self.word(agent);
        while word.is_same_step(token.word) {
            let next = self.step(word, state, shard);
            match self.swap(agent, word, next) {
                Ok(_) => return Some(next),
                Err(seen) => word = seen,
            }
        }
        None
    }

    /// Whether the agent is still where the token left it.
    pub(super) fn is_current(&self, token: Token) -> bool {
        self.word(token.agent.index()).is_same_step(token.word)
    }

    /// Sets flags. Free or in a hand: effective at once; bound: when the call is over. Wait-free. The
    /// word before.
    pub(super) fn raise(&self, agent: usize, flags: Flags) -> Word {
        // AcqRel: the deadline stored before it is seen by who sees the flag.
        Word::from_bits(self.words.at(agent).fetch_or(flags.bits(), Ordering::AcqRel))
    }

    /// Clears flags. The word before; if it is idle now, the caller owes a `look`. Wait-free.
    pub(super) fn lower(&self, agent: usize, flags: Flags) -> Word {
        // AcqRel: the score stored before it is seen by who sees the agent idle.
        Word::from_bits(self.words.at(agent).fetch_and(!flags.bits(), Ordering::AcqRel))
    }

    /// The word after a change of state.
    pub(super) fn step(&self, word: Word, state: AgentState, shard: usize) -> Word {
        let next = word.step(state, shard);
        if self.lacks(Part::Epoch) { next.with_epoch_of(word) } else { next }
    }

    /// Replaces exactly the word seen. `Err`: the word as it is.
    ///
    /// AcqRel: Release carries the scores and deadlines stored before; Acquire lets the winner see what
    /// the last mover stored. A failure reads with Acquire for the same reason.
    pub(super) fn swap(&self, agent: usize, seen: Word, next: Word) -> Result<Word, Word> {
        let cell = self.words.at(agent);
        cell.compare_exchange(seen.bits(), next.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(|_| next)
            .map_err(Word::from_bits)
    }
}
