//! Random operations with bells left unanswered, desks that do not turn for long, and other desks that
//! take their agents back: what holds at every single step, and what holds once all have turned.
//!
//! Each assignment: the agent was bound to nobody, no flag stood against it, it serves the queue and the
//! call stands there; no caller of an unsuspected shard whom the agent serves has a smaller key. In the
//! end: no idle agent beside a waiting caller, nobody in a hand, nothing left on the board.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::conformity::{
    CREDIT_MAX_US, CREDIT_US, FLAGS, GROUPS, LEN_MAX, NoWake, Op, PEOPLE, asked, at_start, key,
    masked, op, serves,
};
use super::*;
use crate::domain::{AgentId, Moment, QueueId, ShardId};

struct Caller {
    desk: usize,
    key: (u64, usize),
    queues: BTreeSet<u16>,
    agents: u8,
    offered: Vec<Token>,
    answered: bool,
}

impl Caller {
    fn waits(&self) -> bool {
        !self.answered && self.offered.len() < usize::from(self.agents)
    }
}

struct Driver {
    board: Arc<Board>,
    desks: Vec<Desk>,
    now: Moment,
    stamps: Vec<u64>,
    calls: BTreeMap<u32, Caller>,
    next_call: u32,
    /// Desk, call, token; stale ones too.
    bindings: Vec<(usize, u32, Token)>,
    /// Who is bound, by the token that counts.
    bound: BTreeMap<AgentId, Token>,
    occupied: BTreeMap<(usize, AgentId), u32>,
}

impl Driver {
    fn new(shards: u16) -> Self {
        let limits = BoardLimits {
            agents: PEOPLE,
            groups: GROUPS,
            shards,
            queue_len_max: LEN_MAX,
            credit_max: Duration::from_micros(CREDIT_MAX_US),
        };
        let wakers = (0..shards).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
        let board = Arc::new(Board::new(limits, wakers));
        let mut desks: Vec<Desk> =
            (0..shards).map(|s| Desk::new(board.clone(), ShardId(s as u8))).collect();
        let now = Moment::from_millis(10);
        for agent in (0..PEOPLE).map(AgentId) {
            let (queues, how) = at_start(agent.0);
            let serves = serves(agent.0, queues, how);
            board.set_roster(ShardId(0), agent, &serves).expect("within the bounds");
            desks[0].clear_flag(now, agent, Flags::UNREACHABLE);
        }
        Self {
            board,
            desks,
            now,
            stamps: vec![0; usize::from(shards)],
            calls: BTreeMap::new(),
            next_call: 0,
            bindings: Vec::new(),
            bound: BTreeMap::new(),
            occupied: BTreeMap::new(),
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Enter { desk, credit, queues, how } => self.enter(desk, credit, queues, how),
            Op::Again { call, queues, how } => self.again(call, queues, how),
            Op::Move { call, queues, how } => self.move_caller(call, queues, how),
            Op::Add { call, queue, how } => {
                let (Some(call), queue) = (self.call(call), queue_of(queue)) else { return };
                let desk = self.calls[&call].desk;
                if self.desks[desk].add(self.now, key(call, desk), queue, asked(how).1).is_ok() {
                    self.calls.get_mut(&call).expect("listed").queues.insert(queue.0);
                }
            }
            Op::Remove { call, queue } => {
                let (Some(call), queue) = (self.call(call), queue_of(queue)) else { return };
                let caller = self.calls.get_mut(&call).expect("listed");
                caller.queues.remove(&queue.0);
                self.desks[caller.desk].remove(key(call, caller.desk), queue);
            }
            Op::Withdraw { call } => {
                let Some(call) = self.call(call) else { return };
                let caller = self.calls.remove(&call).expect("listed");
                assert!(self.desks[caller.desk].withdraw(key(call, caller.desk)));
            }
            Op::Answer { .. } | Op::Finish { .. } | Op::Fail { .. } => self.step_of_binding(op),
            Op::Pass { ms } => self.now = self.now + Duration::from_millis(u64::from(ms)),
            Op::Turn { desk } => {
                let desk = usize::from(desk) % self.desks.len();
                self.desks[desk].turn(self.now);
            }
            Op::Arriving { desk } => {
                let desk = usize::from(desk) % self.desks.len();
                self.desks[desk].arriving(self.now);
            }
            Op::Arrived { desk } => {
                let desk = usize::from(desk) % self.desks.len();
                self.desks[desk].arrived();
            }
            _ => self.step_of_agent(op),
        }
    }

    fn enter(&mut self, desk: u8, credit: bool, queues: u8, how: u8) {
        let desk = usize::from(desk) % self.desks.len();
        let (asked, (agents, strategy)) = (ids(queues), asked(how));
        let queues = self.with_room(&asked);
        let stamp = self.now.micros().max(self.stamps[desk] + 1);
        self.stamps[desk] = stamp;
        let credit = if credit { CREDIT_US } else { 0 };
        let call = self.next_call;
        self.next_call += 1;
        let ask = Ask { credit: Duration::from_micros(credit), agents, strategy };
        if self.desks[desk].enter(self.now, key(call, desk), ask, &asked).is_ok() {
            let key = (stamp + 2 * CREDIT_MAX_US - credit, desk);
            let offered = Vec::new();
            let caller = Caller { desk, key, queues, agents, offered, answered: false };
            self.calls.insert(call, caller);
        }
    }

    fn again(&mut self, call: u8, queues: u8, how: u8) {
        let Some(call) = self.call(call) else { return };
        let (asked, (agents, strategy)) = (ids(queues), asked(how));
        let with_room = self.with_room(&asked);
        let ask = Ask { agents, strategy, ..Ask::default() };
        let caller = self.calls.get_mut(&call).expect("listed");
        if self.desks[caller.desk].enter(self.now, key(call, caller.desk), ask, &asked).is_ok() {
            caller.agents = agents;
            caller.queues.extend(with_room);
        }
    }

    fn move_caller(&mut self, call: u8, queues: u8, how: u8) {
        let Some(call) = self.call(call) else { return };
        let asked_queues = ids(queues);
        let mut with_room = self.with_room(&asked_queues);
        let caller = self.calls.get_mut(&call).expect("listed");
        let (now, key) = (self.now, key(call, caller.desk));
        if self.desks[caller.desk].move_to(now, key, asked(how).1, &asked_queues).is_ok() {
            let kept = caller.queues.iter().filter(|q| asked_queues.contains(&QueueId(**q)));
            with_room.extend(kept);
            caller.queues = with_room;
        }
    }

    fn with_room(&self, queues: &[QueueId]) -> BTreeSet<u16> {
        let with_room = queues.iter().filter(|queue| self.board.len(**queue) < LEN_MAX);
        with_room.map(|queue| queue.0).collect()
    }

    fn step_of_binding(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Answer { binding } => {
                let Some(place) = pick(binding, self.bindings.len()) else { return };
                let (desk, call, token) = self.bindings[place];
                let counts = self.counts(token)
                    && self.board.presence(token.agent()).state == AgentState::Offered
                    && self.calls.get(&call).is_none_or(|caller| !caller.answered);
                let answered = self.desks[desk].answered(token);
                assert_eq!(answered.is_some(), counts);
                if let Some(talking) = answered {
                    self.bindings[place].2 = talking;
                    self.bound.insert(token.agent(), talking);
                    if let Some(caller) = self.calls.get_mut(&call) {
                        caller.offered.retain(|known| *known != token);
                        caller.offered.push(talking);
                        caller.answered = true;
                    }
                }
            }
            Op::Finish { binding, rest_ms } => {
                let Some(place) = pick(binding, self.bindings.len()) else { return };
                let (desk, call, token) = self.bindings.remove(place);
                self.desks[desk].withdraw(key(call, desk));
                self.calls.remove(&call);
                let rest = now + Duration::from_millis(u64::from(rest_ms));
                self.release(desk, token, After::Wrap(rest));
            }
            Op::Fail { binding, back_off_ms, no_answer } => {
                let Some(place) = pick(binding, self.bindings.len()) else { return };
                let (desk, call, token) = self.bindings.remove(place);
                if let Some(caller) = self.calls.get_mut(&call) {
                    let before = caller.offered.len();
                    caller.offered.retain(|known| *known != token);
                    let over = caller.offered.len() < before && token.is_talking();
                    caller.answered &= !over;
                }
                self.desks[desk].give_back(now, key(call, desk), token);
                // The call may be bound again already, to somebody else: look before the next step.
                self.check_assignments();
                let until = now + Duration::from_millis(u64::from(back_off_ms));
                if no_answer {
                    self.desks[desk].set_flag(token.agent(), Flags::NO_ANSWER);
                } else {
                    self.desks[desk].back_off(token.agent(), until);
                }
                self.release(desk, token, After::Free);
            }
            _ => {}
        }
    }

    fn release(&mut self, desk: usize, token: Token, after: After) {
        let counts = self.counts(token);
        if counts {
            self.bound.remove(&token.agent());
        }
        assert_eq!(self.desks[desk].release(self.now, token, after), counts);
    }

    /// The token is the one that its agent goes by.
    fn counts(&self, token: Token) -> bool {
        self.bound.get(&token.agent()) == Some(&token)
    }

    fn step_of_agent(&mut self, op: Op) {
        let now = self.now;
        let shards = self.desks.len();
        let place =
            |desk: u8, agent: u8| (usize::from(desk) % shards, AgentId(u16::from(agent) % PEOPLE));
        match op {
            Op::SetFlag { desk, agent, flag } => {
                let (desk, agent) = place(desk, agent);
                self.desks[desk].set_flag(agent, FLAGS[usize::from(flag) % FLAGS.len()]);
            }
            Op::ClearFlag { desk, agent, flag } => {
                let (desk, agent) = place(desk, agent);
                self.desks[desk].clear_flag(now, agent, FLAGS[usize::from(flag) % FLAGS.len()]);
            }
            Op::Occupy { desk, agent } => {
                let (desk, agent) = place(desk, agent);
                *self.occupied.entry((desk, agent)).or_insert(0) += 1;
                self.desks[desk].occupy(agent);
            }
            Op::Vacate { desk, agent } => {
                let (desk, agent) = place(desk, agent);
                let count = self.occupied.get_mut(&(desk, agent)).filter(|count| **count > 0);
                let Some(count) = count else { return };
                *count -= 1;
                self.desks[desk].vacate(agent);
            }
            Op::EndWrap { desk, agent } => {
                let (desk, agent) = place(desk, agent);
                self.desks[desk].end_wrap(now, agent);
            }
            Op::ByHand { desk, agent } => {
                let (desk, agent) = place(desk, agent);
                self.bound.remove(&agent);
                self.desks[desk].operator_release(now, agent);
            }
            Op::Roster { desk, agent, queues, how } => {
                let (desk, agent) = place(desk, agent);
                let (owner, serves) = (ShardId(desk as u8), serves(agent.0, queues, how));
                self.board.set_roster(owner, agent, &serves).expect("within the bounds");
            }
            Op::Help { desk, queue, open } => {
                let (owner, queue) = (ShardId(desk % shards as u8), u16::from(queue) % GROUPS);
                if open {
                    self.board.open_help(owner, QueueId(queue));
                } else {
                    self.board.close_help(QueueId(queue));
                }
            }
            Op::Midnight { agent } => {
                self.board.set_counts(place(0, agent).1, Counts::default());
            }
            _ => {}
        }
    }

    /// Polls what was bound in this step and checks each binding.
    fn check_assignments(&mut self) {
        for desk in 0..self.desks.len() {
            while let Some(assignment) = self.desks[desk].poll() {
                self.check(desk, assignment);
            }
        }
    }

    fn check(&mut self, desk: usize, assignment: Assignment) {
        let Assignment { agent, token, queue, .. } = assignment;
        let call = (assignment.call.as_u64() & 0x00ff_ffff) as u32;
        let before = self.bound.insert(agent, token);
        assert_eq!(before, None, "{agent:?} is bound already");
        let flags = self.board.presence(agent).flags;
        assert!(flags.is_empty(), "{agent:?} is {flags}");
        let mut serves = self.board.serves_of(agent);
        serves.retain(|serve| !serve.helper || self.board.is_help_open(serve.queue));
        let served = serves.iter().any(|serve| serve.queue == queue);
        assert!(served, "{agent:?} does not serve {queue:?}");
        let caller = self.calls.get_mut(&call).expect("the caller is there");
        assert!(caller.waits() && caller.queues.contains(&queue.0) && caller.desk == desk);
        // As the agent counts: less the head start of the queue where it stands best.
        let counted = |caller: &Caller| {
            let stands = serves.iter().filter(|serve| caller.queues.contains(&serve.queue.0));
            let most = stands.map(|serve| serve.head_start.as_micros() as u64).max()?;
            Some((caller.key.0 - most, caller.key.1))
        };
        let own = counted(caller);
        caller.offered.push(token);
        let passed_over = self.calls.values().find(|other| {
            let seen = other.desk == desk || !self.board.is_suspect(other.desk);
            other.waits() && seen && counted(other).is_some_and(|key| Some(key) < own)
        });
        assert!(passed_over.is_none(), "an older caller was passed over");
        self.bindings.push((desk, call, token));
    }

    /// Every desk turns until nothing is due and nobody is in a hand.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.now = self.now + SWEEP_EVERY;
            for desk in 0..self.desks.len() {
                self.desks[desk].turn(self.now);
                self.check_assignments();
            }
        }
        self.now = self.now + Duration::from_secs(1);
        for desk in (0..self.desks.len()).cycle().take(3 * self.desks.len()) {
            self.desks[desk].turn(self.now);
            self.check_assignments();
        }
        for agent in 0..usize::from(PEOPLE) {
            let word = self.board.word(agent);
            assert!(word.state() != AgentState::Hand, "{word:?}");
            let beside = word.is_idle() && self.board.best(0, agent).is_some();
            assert!(!beside, "agent {agent} is idle beside a waiting caller");
            assert!(word.state() != AgentState::Wrap && !word.flags().contains(Flags::BACK_OFF));
        }
        assert!(!(0..self.desks.len()).any(|shard| self.board.is_suspect(shard)));
        assert_eq!(self.board.tallies().found_idle, 0, "every debt was paid");
    }

    /// Everybody hangs up, everybody is released: nothing is left.
    fn end(&mut self) {
        for (call, caller) in std::mem::take(&mut self.calls) {
            self.desks[caller.desk].withdraw(key(call, caller.desk));
        }
        for (desk, _, token) in std::mem::take(&mut self.bindings) {
            self.release(desk, token, After::Free);
        }
        for ((desk, agent), count) in std::mem::take(&mut self.occupied) {
            (0..count).for_each(|_| self.desks[desk].vacate(agent));
        }
        assert!(self.desks.iter().all(Desk::is_empty));
        assert!((0..GROUPS + PEOPLE).all(|queue| self.board.is_empty(QueueId(queue))));
        let free = |agent| self.board.presence(agent).state == AgentState::Free;
        assert!((0..PEOPLE).map(AgentId).all(free));
        assert!(self.desks.iter().all(|desk| desk.poll_timeout() == Moment::NEVER));
    }

    fn call(&self, byte: u8) -> Option<u32> {
        let place = pick(byte, self.calls.len())?;
        self.calls.keys().nth(place).copied()
    }
}

fn pick(byte: u8, len: usize) -> Option<usize> {
    usize::from(byte).checked_rem(len)
}

fn ids(queues: u8) -> Vec<QueueId> {
    masked(queues).into_iter().map(QueueId).collect()
}

fn queue_of(byte: u8) -> QueueId {
    QueueId(u16::from(byte) % (GROUPS + PEOPLE))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_the_desks_leave_undone_no_step_breaks_a_rule_and_all_settles(
        shards in 1_u16..=3,
        ops in proptest::collection::vec(op(), 1..150),
    ) {
        let mut driver = Driver::new(shards);
        for op in ops {
            driver.step(op);
            driver.check_assignments();
        }
        driver.settle();
        driver.end();
    }
}
