//! One shard's desk: its callers in line, the agents bound to them, and every decision about a call.
//!
//! ```text
//!            enter, add            an agent came into our hand
//!   (new) ──────────► waiting ────────────────────────────────► offered ── answered ─► (talking)
//!                      │   ▲                 commit               │  │
//!             withdraw │   └────────── give_back ─────────────────┘  │ withdraw
//!                      ▼              (same key, same queues)        ▼
//!                    (gone)                                        (gone)
//! ```
//! Only this desk decides about its calls, so a call is bound at most once for each agent that it wants;
//! an agent's word decides about the agent, so an agent has at most one token. A call that wants several
//! agents at once stays in line until so many are bound; the first who answers ends that. A caller's
//! line is remembered, key and queues, until [`Desk::withdraw`], through failed offers and after an
//! answer.
//!
//! The loop: `turn`, inputs, then `poll` to `None`, then sleep until `poll_timeout`, an input or the
//! shard's [`Wake`](super::Wake).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, QueueView};
use super::hand::Placed;
use super::idle::Found;
use super::key::{Key, Mint};
use super::line::{Lines, Queues};
use super::strategy::Strategy;
use super::sweep::Watch;
use super::weak::Part;
use super::word::{Token, Word};
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

/// Agents that one call can ring at once.
pub const RING_MAX: u8 = 16;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its head start, at most [`CREDIT_MAX`](super::CREDIT_MAX).
    pub credit: Duration,
    /// Ring so many agents at once, 1 to [`RING_MAX`]; the nearest of these otherwise.
    pub agents: u8,
    /// How to choose among several idle ones.
    pub strategy: Strategy,
}

impl Default for Ask {
    fn default() -> Self {
        Self { credit: Duration::ZERO, agents: 1, strategy: Strategy::default() }
    }
}

/// An agent was bound to a call: ring the agent's phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The call, one of this desk's.
    pub call: CallKey,
    /// For whom it is.
    pub agent: AgentId,
    /// To answer or release with.
    pub token: Token,
    /// Where the two met.
    pub queue: QueueId,
    /// When: over all shards in the order in which agents were bound, though each shard goes by the time
    /// at which its present input came.
    pub at: Moment,
}

/// No queue that was asked for has room; the call stands in none of them (`queue_len_max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull {
    /// The first of them.
    pub queue: QueueId,
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} is full: the plan's next step", self.queue.0)
    }
}

impl std::error::Error for QueueFull {}

/// An agent bound by this desk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The newest token.
    pub(super) token: Token,
    /// For which call; `None`: of an earlier desk.
    pub(super) call: Option<CallKey>,
    /// Since when the agent is offered, or talks.
    pub(super) since: Moment,
}

/// One shard's half of the distributor. One for each shard and no more.
pub struct Desk {
    pub(super) board: Arc<Board>,
    pub(super) me: usize,
    pub(super) lines: Lines,
    mint: Mint,
    /// The board says that somebody is on the way into this desk's line.
    is_arriving: bool,
    /// Agents bound by this desk, by agent, and how many.
    held: Box<[Option<Held>]>,
    held_count: usize,
    /// Other calls of people on this shard: how many of each.
    pub(super) elsewhere: BTreeMap<AgentId, u32>,
    ready: VecDeque<Assignment>,
    pub(super) watch: Watch,
    /// The latest time handed in.
    clock: Moment,
}

impl Desk {
    /// The desk of `shard`, without callers. Lock-free. What an earlier desk of that shard left on the board is
    /// cleared, but for agents in a call: [`Desk::adopt_talking`] and [`Desk::release_orphans`].
    pub fn new(board: Arc<Board>, shard: ShardId) -> Self {
        let me = shard.index().min(board.shards() - 1);
        let credit_max = board.limits().credit_max;
        board.clear_shard(me);
        let watch = Watch::of(&board);
        let lines = Lines::new(board.queues());
        let held = vec![None; usize::from(board.limits().agents)].into();
        Self {
            board,
            me,
            lines,
            mint: Mint::new(me as u8, credit_max),
            is_arriving: false,
            held,
            held_count: 0,
            elsewhere: BTreeMap::new(),
            ready: VecDeque::new(),
            watch,
            clock: Moment::ZERO,
        }
    }

    /// The shared half.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// A call has arrived at `now` and will [`enter`](Desk::enter) in this turn, or come to nothing: other
    /// shards do not serve a later one before it until [`Desk::arrived`] or the next turn. Wait-free.
    pub fn arriving(&mut self, now: Moment) {
        self.tick(now);
        if self.board.shards() > 1 {
            self.is_arriving = true;
            self.board.show_arriving(self.me, self.mint.newest(now));
        }
    }

    /// Nobody is on the way any more. Wait-free.
    pub fn arrived(&mut self) {
        if std::mem::take(&mut self.is_arriving) {
            self.board.show_arriving(self.me, Key::EMPTY);
        }
    }

    /// `call`, which came at `arrived`, stands in `queues` from now on, as it asks, in those that have
    /// room; `Err` if none has. Its place is fixed for life: a call that stands already keeps it and the
    /// credit it had; how many agents it wants is what was asked last. Lock-free.
    pub fn enter(
        &mut self,
        arrived: Moment,
        call: CallKey,
        ask: Ask,
        queues: &[QueueId],
    ) -> Result<(), QueueFull> {
        self.tick(arrived);
        let known = self.lines.line(call).is_some();
        if !known {
            let key = self.mint.key(arrived, ask.credit, |key| self.lines.is_taken(key));
            self.lines.open(call, key, (arrived, ask.credit));
        }
        let joined = queues.iter().filter(|queue| self.join(call, **queue, ask.strategy)).count();
        if let (0, Some(queue)) = (joined, queues.first()) {
            if !known {
                self.lines.close(call);
            }
            return Err(QueueFull { queue: *queue });
        }
        self.lines.want(call, ask.agents.clamp(1, RING_MAX));
        self.restand(call);
        self.board.shown();
        self.seek(call);
        Ok(())
    }

    /// The call stands in one queue more, with the key it has (the plan's step widens), and chooses there
    /// by `strategy`. While it is offered the queue is remembered for [`Desk::give_back`]. A call that is
    /// not in line stays out. Lock-free.
    pub fn add(
        &mut self,
        now: Moment,
        call: CallKey,
        queue: QueueId,
        strategy: Strategy,
    ) -> Result<(), QueueFull> {
        self.tick(now);
        if self.lines.line(call).is_none() {
            return Ok(());
        }
        if !self.join(call, queue, strategy) {
            return Err(QueueFull { queue });
        }
        self.board.shown();
        self.seek(call);
        Ok(())
    }

    /// The call is moved: stands in those of `queues` that have room, with the key it has, and in no
    /// other any more. `Err`: none has, and the call stands where it stood. It is never out of line in
    /// between; an offer that is under way goes on. A call that is not in line stays out, and one that
    /// is moved nowhere stays. Lock-free.
    pub fn move_to(
        &mut self,
        now: Moment,
        call: CallKey,
        strategy: Strategy,
        queues: &[QueueId],
    ) -> Result<(), QueueFull> {
        self.tick(now);
        let (Some(line), Some(first)) = (self.lines.line(call), queues.first()) else {
            return Ok(());
        };
        let before = line.queues();
        let joined: Queues = queues
            .iter()
            .filter(|queue| self.join(call, **queue, strategy))
            .map(|queue| queue.index())
            .collect();
        if joined.is_empty() {
            return Err(QueueFull { queue: *first });
        }
        for left in before.iter().filter(|queue| !joined.contains(queue)) {
            self.remove(call, QueueId(*left as u16));
        }
        self.board.shown();
        self.seek(call);
        Ok(())
    }

    /// The call stands in `queue` no more (a step with `only = true`). An offer that is under way goes
    /// on. Wait-free.
    pub fn remove(&mut self, call: CallKey, queue: QueueId) {
        if self.lines.leave(call, queue.index()) {
            self.board.dismiss(queue.index(), 1);
            self.show(queue.index());
        }
    }

    /// The call leaves the line for good: answered and bridged, hung up, moved away. An assignment that
    /// was not polled yet is undone; a token that was is still to be released. `false`: not in line.
    /// Wait-free but for that undoing.
    pub fn withdraw(&mut self, call: CallKey) -> bool {
        let Some(line) = self.lines.line(call) else { return false };
        let queues = line.queues();
        queues.iter().for_each(|queue| self.remove(call, QueueId(*queue as u16)));
        self.lines.close(call);
        self.undo_unpolled(call);
        true
    }

    /// The offer with `token` has failed: the call wants one agent more again, at its old place, in the
    /// queues it had and those added meanwhile, whatever their length; other agents whose phones ring
    /// for it go on ringing. Flag the agent (`back_off`, `set_flag`) and `release` afterwards, in this
    /// order, so that the same agent is not offered the same call at once. Lock-free.
    pub fn give_back(&mut self, now: Moment, call: CallKey, token: Token) {
        self.tick(now);
        if !self.lines.take_back(call, token) {
            return;
        }
        self.restand(call);
        self.board.shown();
        self.seek(call);
    }

    /// The next agent that was bound to a call, in the order in which they were. Wait-free.
    pub fn poll(&mut self) -> Option<Assignment> {
        self.ready.pop_front()
    }

    /// An agent is bound to the call, polled or not. Wait-free.
    pub fn is_offered(&self, call: CallKey) -> bool {
        self.lines.line(call).is_some_and(|line| line.is_offered())
    }

    /// Callers ahead of a call in the queue where fewest are, as of the last turn; `None` unless it stands
    /// in line. Exact for this shard's callers; another shard's are taken to have come evenly between its first caller and
    /// now, and count as at least one if its first is ahead.
    /// Wait-free.
    pub fn position(&self, call: CallKey) -> Option<u32> {
        let line = self.lines.line(call).filter(|line| line.stands())?;
        let newest = self.mint.newest(self.clock).micros();
        let ahead = |queue: usize| {
            let others = (0..self.board.shards()).filter(|shard| *shard != self.me);
            let elsewhere = others.map(|shard| {
                let head = self.board.head(queue, shard);
                if head >= line.key {
                    return 0;
                }
                let passed = u128::from(line.key.micros() - head.micros());
                let span = u128::from(newest.saturating_sub(head.micros()).max(1));
                let depth = self.board.depth(queue, shard);
                let share = (u128::from(depth) * passed).div_ceil(span);
                u64::try_from(share).unwrap_or(depth).clamp(1, depth.max(1))
            });
            elsewhere.sum::<u64>() + self.lines.ahead(queue, line.key) as u64
        };
        let least = line.queues().iter().map(|queue| ahead(*queue)).min()?;
        Some(u32::try_from(least).unwrap_or(u32::MAX))
    }

    /// Who serves a queue, now (clause C7: a step waits only while somebody is not gone). Wait-free.
    pub fn queue_view(&self, queue: QueueId) -> QueueView {
        self.board.queue_view(queue)
    }

    /// Everybody who serves `queue` is gone, or nobody does (clause C7). Wait-free.
    pub fn gone(&self, queue: QueueId) -> bool {
        self.board.queue_view(queue).is_gone()
    }

    /// Neither callers nor bound agents nor other calls of people: nothing is owed. Wait-free.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
            && self.held_count == 0
            && self.ready.is_empty()
            && self.elsewhere.is_empty()
    }

    /// The agents that this desk has bound, with their newest tokens. Wait-free.
    pub fn held(&self) -> impl Iterator<Item = Token> {
        self.held.iter().flatten().map(|held| held.token)
    }

    /// Looks for idle agents as long as `call` wants any.
    fn seek(&mut self, call: CallKey) {
        let Some(line) = self.lines.line(call) else { return };
        for queue in line.queues() {
            while self.lines.line(call).is_some_and(|line| line.stands()) {
                if !self.take_idle(queue, self.lines.strategy(call, queue)) {
                    break;
                }
            }
        }
    }

    /// Looks for idle agents as long as anybody waits in `queue`.
    pub(super) fn seek_queue(&mut self, queue: usize) {
        while let Some(call) = self.lines.first(queue) {
            if !self.take_idle(queue, self.lines.strategy(call, queue)) {
                break;
            }
        }
    }

    /// Takes the idle member of `queue` whom `strategy` prefers and places them; `false`: nobody is idle.
    /// The agent may go to an older caller, on any shard: calls only wake agents.
    fn take_idle(&mut self, queue: usize, strategy: Strategy) -> bool {
        let Some(found) = self.board.find_idle(queue, strategy) else { return false };
        let Found { agent, word } = found;
        if let Some(word) = self.board.take(self.me, agent, word) {
            if self.board.lacks(Part::ArrivalPlaces) {
                self.carry(agent, Placed::Mine { queue, word });
            } else {
                self.place(agent, word);
            }
        }
        true
    }

    /// Places an agent in our hand, and binds our best call if it is theirs.
    pub(super) fn place(&mut self, agent: usize, word: Word) {
        let placed = self.board.place(self.me, agent, word);
        self.carry(agent, placed);
    }

    /// Binds what `place` found.
    pub(super) fn carry(&mut self, agent: usize, mut placed: Placed) {
        while let Placed::Mine { queue, word } = placed {
            match self.board.commit(self.me, agent, word) {
                Ok(token) => {
                    self.shows(agent);
                    return self.bound(queue, token);
                }
                // Flags came first: place again, which lets the agent rest.
                Err(seen) if seen.is_same_step(word) => {
                    placed = self.board.place(self.me, agent, seen);
                }
                // Revoked: the call never left its queues.
                Err(_) => return,
            }
        }
        if placed == Placed::Passed {
            self.watch.mind_hands();
        }
    }

    /// The commit is done: the best call of `queue` has the agent.
    fn bound(&mut self, queue: usize, token: Token) {
        let at = self.board.stamp(self.clock);
        let call = self.lines.first(queue).expect("this thread showed a head: a call is behind it");
        self.board.scores.count_offer(token.agent);
        self.lines.offer(call, token);
        self.restand(call);
        self.hold(token, Some(call));
        let queue = QueueId(queue as u16);
        self.ready.push_back(Assignment { call, agent: token.agent, token, queue, at });
    }

    /// Adds a queue to a call's line. `false`: full, or no such queue.
    fn join(&mut self, call: CallKey, queue: QueueId, strategy: Strategy) -> bool {
        let Some(line) = self.lines.line(call) else { return false };
        if line.queues().contains(&queue.index()) {
            self.lines.join(call, queue.index(), strategy);
            return true;
        }
        let stands = line.stands();
        if !self.board.has_queue(queue) {
            return false;
        }
        // While the call is offered it takes no room: only a look whether there would be any.
        let max = self.board.limits().queue_len_max;
        let fits =
            if stands { self.board.admit(queue.index()) } else { self.board.len(queue) < max };
        if fits {
            self.lines.join(call, queue.index(), strategy);
        }
        if fits && stands {
            self.show(queue.index());
        }
        fits
    }

    /// Puts the call into its queues or takes it out of them, whatever it wants now. Wait-free.
    pub(super) fn restand(&mut self, call: CallKey) {
        let Some((stands, mut queues)) = self.lines.stand(call) else { return };
        if self.board.lacks(Part::LeaveAll) {
            queues.truncate(1);
        }
        for queue in queues {
            if stands {
                self.board.readmit(queue);
            } else {
                self.board.dismiss(queue, 1);
            }
            self.show(queue);
        }
    }

    /// Undoes the assignments of `call` that nobody has polled.
    pub(super) fn undo_unpolled(&mut self, call: CallKey) {
        while let Some(place) = self.ready.iter().position(|ready| ready.call == call) {
            let Some(assignment) = self.ready.remove(place) else { return };
            self.lines.take_back(call, assignment.token);
            self.let_go(assignment.token);
        }
    }

    pub(super) fn hold(&mut self, token: Token, call: Option<CallKey>) {
        let held = Held { token, call, since: self.clock };
        let before = self.held[token.agent.index()].replace(held);
        self.held_count += usize::from(before.is_none());
    }

    /// What is known of a token, unless it is used up.
    pub(super) fn known(&self, token: Token) -> Option<Held> {
        let held = self.held.get(token.agent.index()).copied().flatten();
        held.filter(|held| held.token == token)
    }

    pub(super) fn holds(&self, agent: AgentId) -> bool {
        self.held.get(agent.index()).is_some_and(Option::is_some)
    }

    /// Forgets a token that is used up, and says what was known of it; an older one than is held changes
    /// nothing.
    pub(super) fn forget(&mut self, token: Token) -> Option<Held> {
        let held = self.known(token)?;
        self.held[token.agent.index()] = None;
        self.held_count -= 1;
        Some(held)
    }

    fn show(&self, queue: usize) {
        self.board.show(self.me, queue, self.lines.shown(queue));
    }

    /// It is `now`, for what has no time of its own.
    pub fn tick(&mut self, now: Moment) {
        self.clock = self.clock.max(now);
    }

    /// An agent does something else from now on; nothing new is shown of who is gone meanwhile.
    pub(super) fn shows(&self, agent: usize) {
        if !self.board.word(agent).flags().is_gone() {
            self.shows_now(agent);
        }
    }

    /// An agent is gone from now on, or does something else.
    pub(super) fn shows_now(&self, agent: usize) {
        self.board.shows(agent, self.clock);
    }
}
