//! The board: the tables that all shards share, and what anybody may read from them.
//!
//! Every table is allocated once and never grows. Who writes what:
//!
//! | table | written by | meaning |
//! |---|---|---|
//! | `word[agent]` | anybody, by compare-and-swap | the agent (`word.rs`) |
//! | `since[agent]` | who ends a rest or a log-out, before the word | idle since; smallest is served first |
//! | `wrap_until`, `back_off_until` | who begins one, before the word | deadlines; any sweep may act on them |
//! | `serves`, `members` | the roster's owner | `roster.rs` |
//! | `help[queue]` | the queue's watcher | helpers may serve it now (`roster.rs`) |
//! | `offered`, `calls`, `talk` by agent | who holds the agent | figures of the strategies (`strategy.rs`) |
//! | `head[queue][shard]` | that shard | the best key waiting there |
//! | `arriving[shard]` | that shard | the key of a caller who is not in line yet, or nobody's |
//! | `depth[queue][shard]` | that shard | how many callers wait there |
//! | `waiting[queue][shard]` | that shard | when the call of `head` came |
//! | `len[queue]` | anybody, `fetch_add`, `fetch_sub` | callers over all shards: enforces `queue_len_max` |
//! | `elsewhere[shard]` | that shard | bitmap: agents with other calls there |
//! | `shown_since` | who changes what is shown of an agent | when: for people to read |
//! | `bound` | who binds an agent, `fetch_max` | when the last one was: stamps for the record |
//! | `idle` | who makes an agent idle; who finds a bit without cause | bitmap over agents, a hint (`idle.rs`) |
//! | `bell[shard]` | anybody rings, the shard answers | `bell.rs` |
//! | `suspect` | anybody sets, the shard clears its own bit | "does not take what it is handed" |
//!
//! Knows no calls: they live in each shard's [`Desk`](super::Desk).

use std::sync::Arc;
use std::time::Duration;

use super::atomic::{Figures, Ordering, Table, fence};
use super::bell::Bells;
use super::idle::IdleHint;
use super::key::Key;
use super::roster::{Entry, Roster, RosterError, Serve};
use super::strategy::{Counts, Scores};
use super::weak::Part;
use super::word::{AgentState, Flags, Word};
use crate::domain::{AgentId, Moment, QueueId, ShardId};

/// Shards that one board can have: what the word's eight bits hold.
pub const SHARDS_MAX: u16 = 256;
/// The largest head start that a call can have.
pub const CREDIT_MAX: Duration = Duration::from_secs(3_600);

/// Wakes one shard's thread. Must not block and must not lose a call: waking a thread that runs makes
/// its next sleep end at once.
pub trait Wake: Send + Sync {
    /// There is something to look at.
    fn wake(&self);
}

/// Sizes of the board, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardLimits {
    /// Places for people.
    pub agents: u16,
    /// Places for groups. Queue ids: groups first, then each agent's own; together at most 65,536.
    pub groups: u16,
    /// Workers, 1 to [`SHARDS_MAX`].
    pub shards: u16,
    /// Callers in one queue, over all shards. A call that comes back from an offer is let in above it.
    pub queue_len_max: u32,
    /// The largest head start; at most [`CREDIT_MAX`].
    pub credit_max: Duration,
}

impl BoardLimits {
    /// The same, with each value brought into its bounds.
    fn bounded(self) -> Self {
        let groups = self.groups;
        Self {
            agents: self.agents.min(u16::MAX - groups),
            groups,
            shards: self.shards.clamp(1, SHARDS_MAX),
            queue_len_max: self.queue_len_max,
            credit_max: self.credit_max.min(CREDIT_MAX),
        }
    }
}

/// One agent as seen at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// What the agent does.
    pub state: AgentState,
    /// Why nothing is offered; empty if nothing stands against it.
    pub flags: Flags,
    /// Since when idle, as far as the order within a group goes: the end of the last rest, or log-in.
    pub since: Moment,
    /// Since when the agent does that, or is gone; `None` if that never changed.
    pub shown_since: Option<Moment>,
    /// When the rest, or else the back-off, ends by itself.
    pub until: Option<Moment>,
    /// Which shard has the agent; `None` while free.
    pub shard: Option<ShardId>,
}

impl AgentView {
    /// Clause C7, "gone": skipped at once. Somebody who goes when the present call ends is gone
    /// already: nobody should wait for them.
    pub fn is_gone(&self) -> bool {
        self.flags.is_gone()
    }

    /// May be offered a call now.
    pub fn is_free(&self) -> bool {
        self.flags.is_empty() && matches!(self.state, AgentState::Free | AgentState::Hand)
    }
}

/// How many of those who serve a queue are what (clause C7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueView {
    /// May be offered a call.
    pub free: u32,
    /// A caller may wait for them.
    pub busy: u32,
    /// Not there.
    pub gone: u32,
}

impl QueueView {
    /// Nobody is there: a caller waits no longer (clause C7). True of a queue that nobody serves.
    pub fn is_gone(&self) -> bool {
        self.free == 0 && self.busy == 0
    }
}

/// What the safety nets had to do since the start. All zero on a machine that never stalls a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Agents taken back from a shard that did not take them.
    pub revoked: u64,
    /// Idle agents that a sweep found beside a waiting call.
    pub found_idle: u64,
    /// Agents that a person released by hand.
    pub released_by_hand: u64,
    /// Bound agents of a shard that nothing explained.
    pub orphans: u64,
}

/// What all shards share about agents and queues. Behind an `Arc`; every operation takes `&self`.
pub struct Board {
    pub(super) limits: BoardLimits,
    pub(super) words: Table,
    pub(super) since: Table,
    pub(super) shown_since: Figures,
    pub(super) wrap_until: Table,
    pub(super) back_off_until: Table,
    pub(super) roster: Roster,
    head: Table,
    arriving: Table,
    depth: Figures,
    waiting: Figures,
    len: Table,
    pub(super) scores: Scores,
    pub(super) elsewhere: Figures,
    pub(super) bells: Bells,
    pub(super) idle: IdleHint,
    suspect: Table,
    /// One word: how often presence changed.
    presence: Figures,
    /// One word: when the last agent was bound, µs.
    bound: Figures,
    pub(super) tallies: Figures,
    wakers: Vec<Arc<dyn Wake>>,
    #[cfg(all(loom, test))]
    pub(super) lacking: Vec<Part>,
}

/// Places in `tallies`.
pub(super) const REVOKED: usize = 0;
pub(super) const FOUND_IDLE: usize = 1;
pub(super) const BY_HAND: usize = 2;
pub(super) const ORPHANS: usize = 3;

impl Board {
    /// An empty board: nobody serves anything, everybody is [`Flags::UNREACHABLE`]. `wakers` by shard.
    /// Limits outside of their bounds are brought to the nearest that holds.
    pub fn new(limits: BoardLimits, wakers: Vec<Arc<dyn Wake>>) -> Self {
        let limits = limits.bounded();
        let agents = usize::from(limits.agents);
        let queues = usize::from(limits.groups) + agents;
        let shards = usize::from(limits.shards);
        Self {
            limits,
            words: Table::new(agents, Word::free(Flags::UNREACHABLE).bits()),
            since: Table::new(agents, 0),
            shown_since: Figures::filled(agents, Moment::NEVER.micros()),
            wrap_until: Table::new(agents, 0),
            back_off_until: Table::new(agents, 0),
            roster: Roster::new(&limits),
            head: Table::new(queues * shards, Key::EMPTY.bits()),
            arriving: Table::new(shards, Key::EMPTY.bits()),
            depth: Figures::new(queues * shards),
            waiting: Figures::filled(queues * shards, Moment::NEVER.micros()),
            scores: Scores::new(agents),
            len: Table::new(queues, 0),
            elsewhere: Figures::new(shards * agents.div_ceil(64)),
            bells: Bells::new(shards, agents),
            idle: IdleHint::new(agents),
            suspect: Table::new(shards.div_ceil(64), 0),
            presence: Figures::new(1),
            bound: Figures::new(1),
            tallies: Figures::new(ORPHANS + 1),
            wakers,
            #[cfg(all(loom, test))]
            lacking: Vec::new(),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &BoardLimits {
        &self.limits
    }

    /// A person's own queue.
    pub fn own_queue(&self, agent: AgentId) -> QueueId {
        QueueId(self.limits.groups.saturating_add(agent.0))
    }

    /// One agent now. Wait-free. The parts may be a moment apart. Somebody who has no place is
    /// unreachable.
    pub fn presence(&self, agent: AgentId) -> AgentView {
        if !self.has_agent(agent) {
            let (state, flags, since) = (AgentState::Free, Flags::UNREACHABLE, Moment::ZERO);
            let (until, shard, shown_since) = (None, None, None);
            return AgentView { state, flags, since, shown_since, until, shard };
        }
        let word = self.word(agent.index());
        let (state, flags) = (word.state(), word.flags());
        // Relaxed is enough: the word was read with Acquire, and these were stored before it.
        let time =
            |table: &Table| Moment::from_micros(table.at(agent.index()).load(Ordering::Relaxed));
        let until = match state {
            AgentState::Wrap => Some(time(&self.wrap_until)),
            _ if flags.contains(Flags::BACK_OFF) => Some(time(&self.back_off_until)),
            _ => None,
        };
        let shard = (state != AgentState::Free).then(|| ShardId(word.shard() as u8));
        let shown = self.shown_since.at(agent.index()).load(Ordering::Relaxed);
        let shown_since = Some(Moment::from_micros(shown)).filter(|at| *at != Moment::NEVER);
        AgentView { state, flags, since: time(&self.since), shown_since, until, shard }
    }

    /// What is shown of an agent has changed: for people, ordered with nothing.
    pub(super) fn shows(&self, agent: usize, now: Moment) {
        self.shown_since.at(agent).store(now.micros(), Ordering::Relaxed);
    }

    /// Callers in a queue, over all shards; without those whose agent's phone rings. Wait-free.
    pub fn len(&self, queue: QueueId) -> u32 {
        // Relaxed: a figure for people and for the bound, ordered with nothing.
        let len = self.has_queue(queue).then(|| self.len.at(queue.index()).load(Ordering::Relaxed));
        u32::try_from(len.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Nobody waits in a queue. Wait-free.
    pub fn is_empty(&self, queue: QueueId) -> bool {
        self.len(queue) == 0
    }

    /// How long the first caller of a queue has waited, over all shards; zero if nobody waits. Wait-free.
    pub fn longest_wait(&self, queue: QueueId, now: Moment) -> Duration {
        if !self.has_queue(queue) {
            return Duration::ZERO;
        }
        let places = queue.index() * self.shards()..(queue.index() + 1) * self.shards();
        // Relaxed: a figure for thresholds, ordered with nothing.
        let came = places.map(|place| self.waiting.at(place).load(Ordering::Relaxed)).min();
        came.map_or(Duration::ZERO, |came| now.since(Moment::from_micros(came)))
    }

    /// What an agent has done today. Wait-free.
    pub fn counts(&self, agent: AgentId) -> Counts {
        if self.has_agent(agent) { self.scores.counts(agent) } else { Counts::default() }
    }

    /// Sets what an agent has done today: at midnight, after a restart. The roster's owner only; a call
    /// that is counted meanwhile may be lost. Wait-free.
    pub fn set_counts(&self, agent: AgentId, counts: Counts) {
        if self.has_agent(agent) {
            self.scores.set_counts(agent, counts);
        }
    }

    /// Sets since when an agent is idle: where a replay begins, before any call. Wait-free.
    pub fn set_idle_since(&self, agent: AgentId, since: Moment) {
        if self.has_agent(agent) {
            // Relaxed: nobody reads it beside this.
            self.since.at(agent.index()).store(since.micros(), Ordering::Relaxed);
        }
    }

    /// Who serves a queue, now; helpers while help is open. Wait-free: one look at each member.
    pub fn queue_view(&self, queue: QueueId) -> QueueView {
        let mut view = QueueView::default();
        if !self.has_queue(queue) {
            return view;
        }
        let queue = queue.index();
        let candidates = self.roster.candidates(queue);
        for agent in candidates.filter(|agent| self.roster.entry(*agent, queue).is_some()) {
            let agent = self.presence(AgentId(agent as u16));
            match () {
                () if agent.is_free() => view.free += 1,
                () if agent.is_gone() => view.gone += 1,
                () => view.busy += 1,
            }
        }
        view
    }

    /// Who helps in a queue, whether help is open now or not. Wait-free.
    pub fn helpers(&self, queue: QueueId) -> Vec<AgentId> {
        self.who_serves(queue, true)
    }

    /// Who serves a queue and does not merely help in it. Wait-free.
    pub fn members(&self, queue: QueueId) -> Vec<AgentId> {
        self.who_serves(queue, false)
    }

    fn who_serves(&self, queue: QueueId, as_helper: bool) -> Vec<AgentId> {
        if !self.has_queue(queue) {
            return Vec::new();
        }
        let queue = queue.index();
        let serves = |agent: &usize| match as_helper {
            true => self.roster.helps(*agent, queue),
            false => self.roster.entry(*agent, queue).is_some_and(|entry| !entry.is_helper()),
        };
        self.roster.candidates(queue).filter(serves).map(|agent| AgentId(agent as u16)).collect()
    }

    /// The queues that an agent serves, or helps in. Wait-free.
    pub fn queues_of(&self, agent: AgentId) -> Vec<QueueId> {
        self.serves_of(agent).iter().map(|serve| serve.queue).collect()
    }

    /// How an agent serves each queue. Wait-free.
    pub fn serves_of(&self, agent: AgentId) -> Vec<Serve> {
        let known = self.has_agent(agent).then_some(agent.index());
        known.into_iter().flat_map(|a| self.roster.row(a)).map(Entry::serve).collect()
    }

    /// Grows whenever a person becomes gone or is back, or serves other queues. Whoever waits for people
    /// compares it with the last reading and asks [`Board::queue_view`] again (clause C7). Wait-free.
    pub fn presence_epoch(&self) -> u64 {
        // Acquire: who sees the new number sees the words that were changed before it.
        self.presence.at(0).load(Ordering::Acquire)
    }

    /// What the safety nets had to do so far. Wait-free.
    pub fn tallies(&self) -> Tallies {
        // Relaxed: figures for people.
        let at = |place: usize| self.tallies.at(place).load(Ordering::Relaxed);
        Tallies {
            revoked: at(REVOKED),
            found_idle: at(FOUND_IDLE),
            released_by_hand: at(BY_HAND),
            orphans: at(ORPHANS),
        }
    }

    /// Makes `agent` serve exactly so: the own queue if it is among them, and groups. For a bound agent
    /// it applies when the call is over. For one agent, one thread may call this at a time, the
    /// roster's owner; `owner` is the shard that then looks who waits for the agent. Nothing happens if
    /// all is as it was. Lock-free.
    pub fn set_roster(
        &self,
        owner: ShardId,
        agent: AgentId,
        serves: &[Serve],
    ) -> Result<(), RosterError> {
        self.roster.check(agent, serves)?;
        let place = agent.index();
        if !self.roster.write(place, serves) {
            return Ok(());
        }
        if !self.lacks(Part::RosterFence) {
            // SeqCst: whoever lets this agent go idle, or a caller in, afterwards sees the new row, or we
            // see what they wrote (models M8, M9).
            fence(Ordering::SeqCst);
        }
        self.roster.tidy(place);
        if !self.lacks(Part::RosterTake) {
            self.pull(self.shard(owner), place);
        }
        self.presence_changed();
        Ok(())
    }

    /// From now on helpers serve `queue` too (clause B7); those who are idle do at once: `owner` is the
    /// shard that looks who waits for them. One thread at a time for one queue. `false`: it was open, or
    /// there is no such queue. Lock-free.
    pub fn open_help(&self, owner: ShardId, queue: QueueId) -> bool {
        if !self.has_queue(queue) || !self.roster.set_help(queue.index(), true) {
            return false;
        }
        if !self.lacks(Part::HelpFence) {
            // SeqCst: whoever lets a helper go idle, or a caller in, afterwards sees the help open, or we
            // see the idle helper and the caller (model M18).
            fence(Ordering::SeqCst);
        }
        let (owner, queue) = (self.shard(owner), queue.index());
        if !self.lacks(Part::HelpLook) {
            let helpers = self.roster.candidates(queue).filter(|a| self.roster.helps(*a, queue));
            helpers.for_each(|agent| self.pull(owner, agent));
        }
        self.presence_changed();
        true
    }

    /// From now on helpers do not serve `queue`. Whoever is being placed, or bound, at this moment may
    /// take one call more. One thread at a time for one queue. `false`: it was closed, or there is no
    /// such queue. Wait-free but for the wakers.
    pub fn close_help(&self, queue: QueueId) -> bool {
        let closed = self.has_queue(queue) && self.roster.set_help(queue.index(), false);
        if closed {
            self.presence_changed();
        }
        closed
    }

    /// Helpers may serve `queue` now. Wait-free.
    pub fn is_help_open(&self, queue: QueueId) -> bool {
        self.has_queue(queue) && self.roster.is_help_open(queue.index())
    }

    /// Takes an idle agent, or one who is being placed, into `owner`'s hand and rings for it: nothing
    /// decided before stands.
    fn pull(&self, owner: usize, agent: usize) {
        loop {
            let word = self.word(agent);
            if !word.is_idle() && word.state() != AgentState::Hand {
                return;
            }
            if self.take(owner, agent, word).is_some() {
                return self.ring(owner, agent);
            }
        }
    }

    fn shard(&self, shard: ShardId) -> usize {
        shard.index().min(self.shards() - 1)
    }

    pub(super) fn shards(&self) -> usize {
        usize::from(self.limits.shards)
    }

    pub(super) fn queues(&self) -> usize {
        self.len.len()
    }

    pub(super) fn has_agent(&self, agent: AgentId) -> bool {
        agent.index() < self.words.len()
    }

    pub(super) fn has_queue(&self, queue: QueueId) -> bool {
        queue.index() < self.queues()
    }

    /// An agent's word. Acquire: what its mover stored before it (since, until) is seen.
    pub(super) fn word(&self, agent: usize) -> Word {
        Word::from_bits(self.words.at(agent).load(Ordering::Acquire))
    }

    /// Every agent's word, in order, each read when it is asked for.
    pub(super) fn all_words(&self) -> impl Iterator<Item = Word> {
        self.words.each().map(|word| Word::from_bits(word.load(Ordering::Acquire)))
    }

    /// Shows what `shard`, the caller, has waiting in `queue`: the first one's key, when that one came,
    /// how many there are. Wait-free.
    pub(super) fn show(
        &self,
        shard: usize,
        queue: usize,
        (key, came, depth): (Key, Moment, usize),
    ) {
        let place = queue * self.shards() + shard;
        // Relaxed: one word without payload; the fence of `shown` orders it where order matters. The two
        // figures beside it are for people and thresholds, ordered with nothing.
        self.head.at(place).store(key.bits(), Ordering::Relaxed);
        self.depth.at(place).store(depth as u64, Ordering::Relaxed);
        self.waiting.at(place).store(came.micros(), Ordering::Relaxed);
    }

    /// To be called after showing a new caller and before looking for an idle agent.
    pub(super) fn shown(&self) {
        if !self.lacks(Part::ShowFence) {
            // SeqCst: with the fence of `place`, either we see the idle agent or the one who let it go
            // idle sees our caller (model M1: Acquire and Release lose it).
            fence(Ordering::SeqCst);
        }
    }

    /// The best key that `shard` shows in `queue`.
    pub(super) fn head(&self, queue: usize, shard: usize) -> Key {
        // Relaxed: see `shown`.
        Key::from_bits(self.head.at(queue * self.shards() + shard).load(Ordering::Relaxed))
    }

    /// When an agent was bound that `now` saw bound: not before anybody who was bound earlier. Wait-free.
    pub(super) fn stamp(&self, now: Moment) -> Moment {
        // AcqRel: whoever sees the head that is shown after this one finds the stamp too.
        let last = self.bound.at(0).fetch_max(now.micros(), Ordering::AcqRel);
        now.max(Moment::from_micros(last))
    }

    /// A caller is on the way into `shard`'s line, to stand there with `key` at best;
    /// [`Key::EMPTY`]: nobody is. Wait-free.
    pub(super) fn show_arriving(&self, shard: usize, key: Key) {
        // Release: who sees it gone sees the head that was shown before (model M21).
        self.arriving.at(shard).store(key.bits(), Ordering::Release);
    }

    /// The first caller on the way into the line of an unsuspected shard other than `me`: who has not
    /// decided yet may have the older caller. To be read before the heads. Wait-free.
    pub(super) fn first_arriving(&self, me: usize) -> Option<(Key, usize)> {
        let others = (0..self.shards()).filter(|shard| *shard != me && !self.is_suspect(*shard));
        // Acquire: see `show_arriving`.
        let key = |shard: usize| self.arriving.at(shard).load(Ordering::Acquire);
        others.map(|shard| (Key::from_bits(key(shard)), shard)).min()
    }

    /// How many callers `shard` has in `queue`.
    pub(super) fn depth(&self, queue: usize, shard: usize) -> u64 {
        // Relaxed: a figure for people.
        self.depth.at(queue * self.shards() + shard).load(Ordering::Relaxed)
    }

    /// One caller more in `queue`, unless it is full. Wait-free.
    pub(super) fn admit(&self, queue: usize) -> bool {
        if self.lacks(Part::AdmitFirst) {
            let before = self.len.at(queue).load(Ordering::Relaxed);
            self.len.at(queue).store(before + 1, Ordering::Relaxed);
            return before < u64::from(self.limits.queue_len_max);
        }
        // Relaxed: only the count itself matters, and read-modify-writes of one word have one order
        // (model M24).
        let before = self.len.at(queue).fetch_add(1, Ordering::Relaxed);
        let fits = before < u64::from(self.limits.queue_len_max);
        if !fits {
            self.dismiss(queue, 1);
        }
        fits
    }

    /// One caller more in `queue`, who had a place there before.
    pub(super) fn readmit(&self, queue: usize) {
        // Relaxed: see `admit`.
        self.len.at(queue).fetch_add(1, Ordering::Relaxed);
    }

    /// `count` callers less in `queue`.
    pub(super) fn dismiss(&self, queue: usize, count: u64) {
        // Relaxed: see `admit`.
        self.len.at(queue).fetch_sub(count, Ordering::Relaxed);
    }

    /// `shard` does not take what it is handed.
    pub(super) fn is_suspect(&self, shard: usize) -> bool {
        // Relaxed: a hint; who clears the bit fences and looks (model M7).
        self.suspect.at(shard / 64).load(Ordering::Relaxed) >> (shard % 64) & 1 != 0
    }

    /// Marks `shard` so that its callers are passed over until it runs again.
    pub(super) fn suspect(&self, shard: usize) {
        // AcqRel: ordered before the take that follows; the shard that clears it sees what we did.
        self.suspect.at(shard / 64).fetch_or(1 << (shard % 64), Ordering::AcqRel);
    }

    /// Clears the own suspect bit. `true`: it was set, and the caller owes a look for all its queues.
    pub(super) fn revive(&self, shard: usize) -> bool {
        if !self.is_suspect(shard) {
            return false;
        }
        // AcqRel: sees what was done by whoever set the bit; the fence below orders the rest.
        self.suspect.at(shard / 64).fetch_and(!(1 << (shard % 64)), Ordering::AcqRel);
        if !self.lacks(Part::ReviveFence) {
            // SeqCst: whoever let an agent go idle past us saw the bit set; then we see the idle agent
            // (model M7).
            fence(Ordering::SeqCst);
        }
        true
    }

    /// Marks `agent` for `shard` and wakes it, always: a ringer that stalls between mark and wake must
    /// not swallow another's. Wait-free but for the waker.
    pub(super) fn ring(&self, shard: usize, agent: usize) {
        if self.lacks(Part::MarkFirst) {
            self.wake(shard);
            return self.bells.ring(shard, agent);
        }
        self.bells.ring(shard, agent);
        self.wake(shard);
    }

    /// A cause of being gone, or a roster, has changed: everybody who waits looks again.
    pub(super) fn presence_changed(&self) {
        // Release: see `presence_epoch`.
        self.presence.at(0).fetch_add(1, Ordering::Release);
        (0..self.shards()).for_each(|shard| self.wake(shard));
    }

    pub(super) fn tally(&self, place: usize) {
        // Relaxed: a figure for people.
        self.tallies.at(place).fetch_add(1, Ordering::Relaxed);
    }

    fn wake(&self, shard: usize) {
        if let Some(waker) = self.wakers.get(shard) {
            waker.wake();
        }
    }

    /// In a model's weakened twin: leaves out a part that the twin is to show necessary.
    #[cfg(all(loom, test))]
    pub(super) fn lacks(&self, part: Part) -> bool {
        self.lacking.contains(&part)
    }

    /// Nothing is left out outside of models.
    #[cfg(not(all(loom, test)))]
    #[inline(always)]
    pub(super) fn lacks(&self, _: Part) -> bool {
        false
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("limits", &self.limits).finish_non_exhaustive()
    }
}
