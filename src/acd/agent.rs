//! The desk's operations on agents: answer, release, rest, presence, other calls, repair.
//!
//! Anybody may flag any agent; only the holder of the newest token moves a bound one, but for a person
//! who releases it by hand.

use std::time::Duration;

use super::atomic::Ordering;
use super::board::{BY_HAND, Board, ORPHANS};
use super::desk::Desk;
use super::hand::After;
use super::key::Key;
use super::roster::ones;
use super::word::{AgentState, Flags, Token, Word};
use crate::domain::{AgentId, Moment};

impl Desk {
    /// The agent answered: offered → talking. The token to release with; `None`: stale, or another of the
    /// call's agents was first (of several rung at once): the leg is to be dropped and the old token
    /// released. The call wants nobody else from now on; its line is kept until `withdraw`, so that a
    /// failed bridge can `give_back`. Lock-free.
    pub fn answered(&mut self, token: Token) -> Option<Token> {
        let call = self.known(token)?.call;
        let first = call.is_none_or(|call| self.lines.is_open(call));
        if token.word.state() != AgentState::Offered || !first {
            return None;
        }
        self.forget(token);
        let word = self.board.advance(token, AgentState::Talking, self.me)?;
        let talking = Token { word, ..token };
        self.shows(token.agent.index());
        self.board.scores.count_call(token.agent);
        self.hold(talking, call);
        if let Some(call) = call {
            self.lines.answer(call, token, talking);
            self.restand(call);
            self.undo_unpolled(call);
        }
        Some(talking)
    }

    /// The agent's call or offer is over. Flags set meanwhile hold; without any, whoever waits longest
    /// gets the agent at once. A refused or lost offer does not change the agent's place in the order of
    /// idleness, a call does. `false`: stale, nothing was done. Lock-free.
    pub fn release(&mut self, now: Moment, token: Token, after: After) -> bool {
        self.tick(now);
        let held = self.forget(token);
        if !self.board.is_current(token) {
            return false;
        }
        if token.is_talking() {
            let talked = held.map_or(Duration::ZERO, |held| now.since(held.since));
            self.board.scores.count_talk(token.agent, talked);
        }
        let agent = token.agent.index();
        match after {
            After::Wrap(until) if until > now => {
                // Relaxed: the swap that follows releases them.
                self.board.wrap_until.at(agent).store(until.micros(), Ordering::Relaxed);
                self.board.since.at(agent).store(until.micros(), Ordering::Relaxed);
                self.watch.expect(until);
                self.shows(agent);
                self.board.advance(token, AgentState::Wrap, self.me).is_some()
            }
            _ => {
                if token.is_talking() {
                    self.board.since.at(agent).store(now.micros(), Ordering::Relaxed);
                }
                self.let_go(token)
            }
        }
    }

    /// Nothing is offered to `agent` before `until`; counts as busy. Call it before `release`. Wait-free.
    pub fn back_off(&mut self, agent: AgentId, until: Moment) {
        if !self.board.has_agent(agent) {
            return;
        }
        // Relaxed: the flag's read-modify-write releases it.
        self.board.back_off_until.at(agent.index()).store(until.micros(), Ordering::Relaxed);
        self.board.raise(agent.index(), Flags::BACK_OFF);
        self.shows(agent.index());
        self.watch.expect(until);
    }

    /// The agent's rest is over before its time. `false`: was not resting. Lock-free.
    pub fn end_wrap(&mut self, now: Moment, agent: AgentId) -> bool {
        self.tick(now);
        self.reclaim(now, agent, |word| word.state() == AgentState::Wrap)
    }

    /// A person says that `agent` is free, whatever a dead shard or a stuck phone holds; its token is
    /// stale from now on. Flags stay. `false`: was free already. Lock-free.
    pub fn operator_release(&mut self, now: Moment, agent: AgentId) -> bool {
        self.tick(now);
        let released = self.reclaim(now, agent, |word| word.state() != AgentState::Free);
        if released {
            self.board.tally(BY_HAND);
        }
        released
    }

    /// Sets causes of being gone (clause C7): at once for somebody who is free, else when the call is
    /// over. The two causes that mean busy have operations of their own and are left out. `false`:
    /// nothing changed. Wait-free but for the wakers.
    pub fn set_flag(&mut self, agent: AgentId, flags: Flags) -> bool {
        let flags = flags.and(Flags::GONE);
        if !self.board.has_agent(agent) || flags.is_empty() {
            return false;
        }
        let before = self.board.raise(agent.index(), flags).flags();
        let changed = !before.contains(flags);
        if !before.is_gone() {
            self.shows_now(agent.index());
        }
        if changed {
            self.board.presence_changed();
        }
        changed
    }

    /// Clears causes of being gone, or `BACK_OFF` before its time; an agent who is idle then gets
    /// whoever waits longest. Who logs in joins the order of idleness at its end. `false`: nothing
    /// changed. Lock-free.
    pub fn clear_flag(&mut self, now: Moment, agent: AgentId, flags: Flags) -> bool {
        self.tick(now);
        let flags = flags.without(Flags::BUSY_ELSEWHERE);
        if !self.board.has_agent(agent) || flags.is_empty() {
            return false;
        }
        let place = agent.index();
        if self.board.word(place).flags().and(flags).contains(Flags::LOGGED_OUT) {
            // Relaxed: the flag's read-modify-write releases it.
            self.board.since.at(place).store(now.micros(), Ordering::Relaxed);
        }
        let before = self.board.lower(place, flags);
        let cleared = before.flags().and(flags);
        if cleared.is_gone() {
            self.board.presence_changed();
        }
        if !cleared.is_empty() {
            self.shows(place);
        }
        if !cleared.is_empty() {
            self.look(place, before.without(flags));
        }
        !cleared.is_empty()
    }

    /// `agent` has one call more on this shard that came from no queue: busy until the last such call on
    /// any shard is over. Lock-free.
    pub fn occupy(&mut self, agent: AgentId) {
        if !self.board.has_agent(agent) {
            return;
        }
        let count = self.elsewhere.entry(agent).or_insert(0);
        *count = count.saturating_add(1);
        if *count == 1 {
            self.board.count_elsewhere(self.me, agent.index(), true);
            self.shows(agent.index());
        }
    }

    /// `agent` has one such call less on this shard. Lock-free.
    pub fn vacate(&mut self, agent: AgentId) {
        let Some(count) = self.elsewhere.get_mut(&agent) else { return };
        *count -= 1;
        if *count == 0 {
            self.elsewhere.remove(&agent);
            let word = self.board.count_elsewhere(self.me, agent.index(), false);
            self.shows(agent.index());
            self.look(agent.index(), word);
        }
    }

    /// After a restart: `agent` is in a call whose dialog survived. `None`: bound by somebody else.
    /// Lock-free.
    pub fn adopt_talking(&mut self, agent: AgentId) -> Option<Token> {
        if !self.board.has_agent(agent) || self.holds(agent) {
            return None;
        }
        let mut word = self.board.word(agent.index());
        loop {
            let bound = matches!(word.state(), AgentState::Offered | AgentState::Talking);
            if bound && word.shard() != self.me {
                return None;
            }
            let next = self.board.step(word, AgentState::Talking, self.me);
            match self.board.swap(agent.index(), word, next) {
                Ok(word) => {
                    let token = Token { agent, word };
                    self.shows(agent.index());
                    self.hold(token, None);
                    return Some(token);
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// Releases every agent whose word says that this shard has bound them while this desk knows of
    /// nothing: what an earlier desk of the shard left, once the surviving calls are adopted. Who they
    /// were; each is counted in [`Tallies`](super::Tallies). Lock-free.
    pub fn release_orphans(&mut self, now: Moment) -> Vec<AgentId> {
        self.tick(now);
        let agents = (0..self.board.limits().agents).map(AgentId);
        let unknown: Vec<AgentId> = agents.filter(|agent| !self.holds(*agent)).collect();
        let me = self.me;
        let ours = |word: Word| {
            let bound = matches!(word.state(), AgentState::Offered | AgentState::Talking);
            bound && word.shard() == me
        };
        let orphans: Vec<AgentId> =
            unknown.into_iter().filter(|agent| self.reclaim(now, *agent, ours)).collect();
        orphans.iter().for_each(|_| self.board.tally(ORPHANS));
        orphans
    }

    /// Takes an agent whose word fulfils `may` into our hand, as idle since `now`, and places them.
    fn reclaim(&mut self, now: Moment, agent: AgentId, may: impl Fn(Word) -> bool) -> bool {
        if !self.board.has_agent(agent) {
            return false;
        }
        let place = agent.index();
        let mut word = self.board.word(place);
        while may(word) {
            // Relaxed: the swap releases it.
            self.board.since.at(place).store(now.micros(), Ordering::Relaxed);
            match self.board.take(self.me, place, word) {
                Some(word) => {
                    self.shows(place);
                    self.place(place, word);
                    return true;
                }
                None => word = self.board.word(place),
            }
        }
        false
    }

    /// Releases a bound agent into our hand and places them; `false`: stale.
    pub(super) fn let_go(&mut self, token: Token) -> bool {
        self.forget(token);
        let Some(word) = self.board.advance(token, AgentState::Hand, self.me) else { return false };
        self.shows(token.agent.index());
        self.place(token.agent.index(), word);
        true
    }

    /// Looks who waits for an agent who may have become idle as `word`.
    pub(super) fn look(&mut self, agent: usize, word: Word) {
        if word.is_idle() {
            let placed = self.board.look(self.me, agent, word);
            self.carry(agent, placed);
        }
    }
}

impl Board {
    /// One shard more or less on which `agent` has other calls. The word after. Lock-free.
    pub(super) fn count_elsewhere(&self, me: usize, agent: usize, more: bool) -> Word {
        let words = usize::from(self.limits.agents).div_ceil(64);
        let (cell, bit) = (self.elsewhere.at(me * words + agent / 64), 1 << (agent % 64));
        // Relaxed: read by this shard's next desk only.
        if more {
            cell.fetch_or(bit, Ordering::Relaxed);
        } else {
            cell.fetch_and(!bit, Ordering::Relaxed);
        }
        let mut word = self.word(agent);
        loop {
            match self.swap(agent, word, word.count_elsewhere(more)) {
                Ok(word) => return word,
                Err(seen) => word = seen,
            }
        }
    }

    /// Clears what an earlier desk of `me` left: heads, lengths, other calls. Bound agents stay.
    pub(super) fn clear_shard(&self, me: usize) {
        self.show_arriving(me, Key::EMPTY);
        let queues = usize::from(self.limits.groups) + usize::from(self.limits.agents);
        for queue in 0..queues {
            let depth = self.depth(queue, me);
            self.show(me, queue, (Key::EMPTY, Moment::NEVER, 0));
            self.dismiss(queue, depth);
        }
        for place in 0..usize::from(self.limits.agents).div_ceil(64) {
            let words = usize::from(self.limits.agents).div_ceil(64);
            // Relaxed: only desks of this shard write it.
            let left = self.elsewhere.at(me * words + place).load(Ordering::Relaxed);
            for bit in ones(left) {
                // Whoever finds the agent idle beside a caller: that shard's sweep.
                if self.count_elsewhere(me, place * 64 + bit, false).is_idle() {
                    self.mark_idle(place * 64 + bit);
                }
            }
        }
    }
}
