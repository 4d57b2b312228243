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
    /// For each agent the word with which a sweep last saw them idle.
    idle: Box<[Word]>,
    /// Who was in another's hand, lowest first: the step, and when it was first seen.
    hands: Vec<(usize, Word, Moment)>,
    /// Bits over agents: who may serve our callers.
    sought: Box<[u64]>,
    swept: Moment,
    /// The next end of a rest or back-off that this desk knows of.
    due: Moment,
    /// Somebody may be in a hand.
    minds_hands: bool,
}

impl Watch {
    fn new(agents: usize) -> Self {
        Self {
            idle: vec![Word::free(Flags::GONE); agents].into(),
            hands: Vec::new(),
            sought: vec![0; agents.div_ceil(64)].into(),
            swept: Moment::ZERO,
            due: Moment::NEVER,
            minds_hands: false,
        }
    }

    /// As the board is: rests and back-offs that an earlier desk of this shard began end at our sweeps.
    pub(super) fn of(board: &Board) -> Self {
        let mut watch = Self::new(usize::from(board.limits().agents));
        let mut words = (0..watch.idle.len()).map(|agent| board.word(agent));
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
        self.minds_hands = true;
    }

    fn seeks(&self, agent: usize) -> bool {
        self.sought[agent / 64] >> (agent % 64) & 1 != 0
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
        let anybody = self.lines.is_waiting() || self.watch.minds_hands;
        let round = if anybody { self.watch.swept + SWEEP_EVERY } else { Moment::NEVER };
        round.min(self.watch.due)
    }

    /// Looks at every agent's word: a few instructions for somebody in a call, logged out, or idle where
    /// nobody of ours waits.
    fn sweep(&mut self, now: Moment) {
        self.watch.swept = now;
        self.watch.due = Moment::NEVER;
        self.watch.minds_hands = false;
        self.note_sought();
        let hands = std::mem::take(&mut self.watch.hands);
        let board = self.board.clone();
        for (agent, word) in board.all_words().enumerate() {
            if word.is_settled() {
                continue;
            }
            if word.is_idle() {
                if self.watch.seeks(agent) {
                    self.find_work(agent, word);
                }
            } else if word.is_passing() {
                self.sweep_one(now, agent, word, &hands);
            }
        }
    }

    fn sweep_one(
        &mut self,
        now: Moment,
        agent: usize,
        word: Word,
        hands: &[(usize, Word, Moment)],
    ) {
        let word = self.end_back_off(now, agent, word);
        match word.state() {
            AgentState::Hand if word.shard() == self.me => self.place(agent, word),
            AgentState::Hand => {
                let seen = hands.binary_search_by_key(&agent, |hand| hand.0);
                let seen = seen.map(|place| hands[place]).ok();
                let same = seen.filter(|(_, step, _)| step.is_same_step(word));
                let first = same.map_or(now, |(.., first)| first);
                if now.since(first) >= HAND_LIMIT {
                    return self.revoke(agent, word);
                }
                self.watch.hands.push((agent, word, first));
                self.watch.mind_hands();
            }
            AgentState::Wrap => self.end_rest(now, agent, word),
            _ => {}
        }
    }

    /// Notes who may serve the queues in which our callers stand.
    fn note_sought(&mut self) {
        self.watch.sought.fill(0);
        for queue in self.lines.standing() {
            if let Some(owner) = self.board.roster.owner(queue) {
                self.watch.sought[owner / 64] |= 1 << (owner % 64);
                continue;
            }
            for (place, sought) in self.watch.sought.iter_mut().enumerate() {
                *sought |= self.board.roster.members(queue, place);
            }
        }
    }

    /// Clears a back-off whose time has passed. The word after.
    fn end_back_off(&mut self, now: Moment, agent: usize, word: Word) -> Word {
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

    /// Takes an idle agent who stands beside one of our callers since the last sweep. Other shards'
    /// callers are their sweeps' care: so the cost does not grow with the number of shards.
    fn find_work(&mut self, agent: usize, word: Word) {
        if std::mem::replace(&mut self.watch.idle[agent], word) != word {
            return;
        }
        let waits = |queue: usize| self.lines.stands_in(queue);
        if !self.board.roster.serving(agent).any(|entry| waits(entry.queue())) {
            return;
        }
        if let Some(word) = self.board.take(self.me, agent, word) {
            self.board.tally(FOUND_IDLE);
            self.place(agent, word);
        }
    }
}
