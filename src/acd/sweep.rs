//! The desk's turn, and the sweep: the safety net under everything that a stalled thread may hold.
//!
//! A desk sweeps every [`SWEEP_EVERY`] while one of its callers waits, or while it has seen an agent in
//! somebody's hand; and at the end of each rest and back-off that it knows of. With nothing of that it
//! sleeps until it is rung.

use std::time::Duration;

use super::atomic::Ordering;
use super::board::{Board, FOUND_IDLE, REVOKED};
use super::desk::Desk;
use super::word::{AgentState, Flags, Word};
use crate::domain::Moment;

/// Between two sweeps of one desk.
pub const SWEEP_EVERY: Duration = Duration::from_millis(5);
/// An agent who is in one hand for so long is taken back, and the shard passed over until it runs.
pub const HAND_LIMIT: Duration = Duration::from_millis(20);

/// What one desk remembers from its earlier sweeps.
#[derive(Debug)]
pub(super) struct Watch {
    /// For each agent the word of the last sweep, and when its step was first seen.
    seen: Vec<(Word, Moment)>,
    swept: Moment,
    /// The next end of a rest or back-off that this desk knows of.
    due: Moment,
    /// Somebody may be in a hand.
    hands: bool,
}

impl Watch {
    fn new(agents: usize) -> Self {
        let seen = vec![(Word::free(Flags::GONE), Moment::ZERO); agents];
        Self { seen, swept: Moment::ZERO, due: Moment::NEVER, hands: false }
    }

    /// As the board is: rests and back-offs that an earlier desk of this shard began end at our sweeps.
    pub(super) fn of(board: &Board) -> Self {
        let mut watch = Self::new(usize::from(board.limits().agents));
        let mut words = (0..watch.seen.len()).map(|agent| board.word(agent));
        let back_off = |word: Word| word.flags().contains(Flags::BACK_OFF);
        if words.any(|word| word.state() == AgentState::Wrap || back_off(word)) {
            watch.expect(Moment::ZERO);
        }
        watch
    }

    /// A rest or back-off ends then.
    pub(super) fn expect(&mut self, until: Moment) {
        self.due = self.due.min(until);
    }

    /// An agent was handed over: sweep until they are out of every hand.
    pub(super) fn mind_hands(&mut self) {
        self.hands = true;
    }

    /// Notes an agent's word. Whether it is exactly the one of the last sweep, and since when its step
    /// is known.
    fn note(&mut self, agent: usize, word: Word, now: Moment) -> (bool, Moment) {
        let (last, first) = self.seen[agent];
        let first = if last.is_same_step(word) { first } else { now };
        self.seen[agent] = (word, first);
        (last == word, first)
    }
}

impl Desk {
    /// To be called first in each turn of the shard's loop: notices that others took this shard for
    /// stalled, answers the bell, and sweeps if it is time. Talk times and [`Desk::answered`] go by the
    /// latest `now` that was handed in. Lock-free.
    pub fn turn(&mut self, now: Moment) {
        self.tick(now);
        self.arrived();
        if self.board.revive(self.me) {
            for queue in self.lines.queues() {
                self.seek_queue(queue);
            }
        }
        for (agent, word) in self.board.handed(self.me) {
            self.place(agent, word);
        }
        if self.poll_timeout() <= now {
            self.sweep(now);
        }
    }

    /// When the next `turn` is due at the latest; [`Moment::NEVER`] while nothing waits. Wait-free.
    pub fn poll_timeout(&self) -> Moment {
        let anybody = self.lines.is_waiting() || self.watch.hands;
        let round = if anybody { self.watch.swept + SWEEP_EVERY } else { Moment::NEVER };
        round.min(self.watch.due)
    }

    fn sweep(&mut self, now: Moment) {
        self.watch.swept = now;
        self.watch.due = Moment::NEVER;
        self.watch.hands = false;
        for agent in 0..usize::from(self.board.limits().agents) {
            self.sweep_one(now, agent);
        }
    }

    fn sweep_one(&mut self, now: Moment, agent: usize) {
        let word = self.end_back_off(now, agent);
        let (unchanged, first) = self.watch.note(agent, word, now);
        match word.state() {
            AgentState::Hand if word.shard() == self.me => self.place(agent, word),
            AgentState::Hand if now.since(first) >= HAND_LIMIT => self.revoke(agent, word),
            AgentState::Hand => self.watch.mind_hands(),
            AgentState::Wrap => self.end_rest(now, agent, word),
            AgentState::Free if unchanged && word.is_idle() => self.find_work(agent, word),
            _ => {}
        }
    }

    /// Clears a back-off whose time has passed. The word after.
    fn end_back_off(&mut self, now: Moment, agent: usize) -> Word {
        let word = self.board.word(agent);
        if !word.flags().contains(Flags::BACK_OFF) {
            return word;
        }
        // Relaxed: stored before the flag, and the word was read with Acquire.
        let until = self.board.back_off_until.at(agent).load(Ordering::Relaxed);
        let until = Moment::from_micros(until);
        if until > now {
            self.watch.expect(until);
            return word;
        }
        // Swapped, not cleared: a back-off that began after our look stays.
        match self.board.swap(agent, word, word.without(Flags::BACK_OFF)) {
            Ok(word) => {
                self.shows(agent);
                self.look(agent, word);
                self.board.word(agent)
            }
            Err(word) => {
                self.watch.expect(now + SWEEP_EVERY);
                word
            }
        }
    }

    fn end_rest(&mut self, now: Moment, agent: usize, word: Word) {
        // Relaxed: stored before the word, which was read with Acquire.
        let until = Moment::from_micros(self.board.wrap_until.at(agent).load(Ordering::Relaxed));
        if until > now {
            return self.watch.expect(until);
        }
        if let Some(word) = self.board.take(self.me, agent, word) {
            self.shows(agent);
            self.place(agent, word);
        }
    }

    /// Takes an agent from a shard that does not take what it is handed.
    fn revoke(&mut self, agent: usize, word: Word) {
        self.board.suspect(word.shard());
        if let Some(word) = self.board.take(self.me, agent, word) {
            self.board.tally(REVOKED);
            self.place(agent, word);
        }
    }

    /// Takes an idle agent who stands beside one of our callers. Other shards' callers are their sweeps'
    /// care: so the cost does not grow with the number of shards.
    fn find_work(&mut self, agent: usize, word: Word) {
        let waits = |queue: usize| self.lines.first(queue).is_some();
        if !self.board.roster.serving(agent).any(|entry| waits(entry.queue())) {
            return;
        }
        if let Some(word) = self.board.take(self.me, agent, word) {
            self.board.tally(FOUND_IDLE);
            self.place(agent, word);
        }
    }
}
