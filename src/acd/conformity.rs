//! Random operations on one to three desks, driven in one thread, with every bell answered after each
//! step: the board and the sequential matcher (`reference.rs`) do exactly the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use super::reference::{Doing, Reference};
use super::strategy::Strategy;
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

pub(super) const GROUPS: u16 = 3;
pub(super) const PEOPLE: u16 = 4;
pub(super) const LEN_MAX: u32 = 3;
pub(super) const CREDIT_MAX_US: u64 = 5_000_000;
/// No multiple of the clock's step: keys with and without it never meet.
pub(super) const CREDIT_US: u64 = 1_000_500;
/// What an agent may prefer a queue by.
pub(super) const HEAD_START_MS: u64 = 300;

pub(super) struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// One step. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Enter { desk: u8, credit: bool, queues: u8, how: u8 },
    Again { call: u8, queues: u8, how: u8 },
    Add { call: u8, queue: u8, how: u8 },
    Move { call: u8, queues: u8, how: u8 },
    Remove { call: u8, queue: u8 },
    Withdraw { call: u8 },
    Answer { binding: u8 },
    Finish { binding: u8, rest_ms: u8 },
    Fail { binding: u8, back_off_ms: u8, no_answer: bool },
    SetFlag { desk: u8, agent: u8, flag: u8 },
    ClearFlag { desk: u8, agent: u8, flag: u8 },
    Occupy { desk: u8, agent: u8 },
    Vacate { desk: u8, agent: u8 },
    EndWrap { desk: u8, agent: u8 },
    ByHand { desk: u8, agent: u8 },
    Roster { desk: u8, agent: u8, queues: u8, how: u16 },
    Help { desk: u8, queue: u8, open: bool },
    Midnight { agent: u8 },
    Pass { ms: u8 },
    Turn { desk: u8 },
    Arriving { desk: u8 },
    Arrived { desk: u8 },
}

pub(super) fn op() -> impl Generate<Value = Op> {
    let byte = || any::<u8>();
    let few = || 0_u8..60;
    prop_oneof![
        6 => (byte(), any::<bool>(), byte(), byte())
            .prop_map(|(desk, credit, queues, how)| Op::Enter { desk, credit, queues, how }),
        1 => (byte(), byte(), byte())
            .prop_map(|(call, queues, how)| Op::Again { call, queues, how }),
        1 => (byte(), byte(), byte()).prop_map(|(call, queue, how)| Op::Add { call, queue, how }),
        1 => (byte(), byte(), byte())
            .prop_map(|(call, queues, how)| Op::Move { call, queues, how }),
        1 => (byte(), byte()).prop_map(|(call, queue)| Op::Remove { call, queue }),
        2 => byte().prop_map(|call| Op::Withdraw { call }),
        3 => byte().prop_map(|binding| Op::Answer { binding }),
        4 => (byte(), few()).prop_map(|(binding, rest_ms)| Op::Finish { binding, rest_ms }),
        3 => (byte(), few(), any::<bool>()).prop_map(|(binding, back_off_ms, no_answer)| {
            Op::Fail { binding, back_off_ms, no_answer }
        }),
        2 => (byte(), byte(), byte())
            .prop_map(|(desk, agent, flag)| Op::SetFlag { desk, agent, flag }),
        4 => (byte(), byte(), byte())
            .prop_map(|(desk, agent, flag)| Op::ClearFlag { desk, agent, flag }),
        1 => (byte(), byte()).prop_map(|(desk, agent)| Op::Occupy { desk, agent }),
        2 => (byte(), byte()).prop_map(|(desk, agent)| Op::Vacate { desk, agent }),
        1 => (byte(), byte()).prop_map(|(desk, agent)| Op::EndWrap { desk, agent }),
        1 => (byte(), byte()).prop_map(|(desk, agent)| Op::ByHand { desk, agent }),
        2 => (byte(), byte(), byte(), any::<u16>())
            .prop_map(|(desk, agent, queues, how)| Op::Roster { desk, agent, queues, how }),
        2 => (byte(), byte(), any::<bool>())
            .prop_map(|(desk, queue, open)| Op::Help { desk, queue, open }),
        1 => byte().prop_map(|agent| Op::Midnight { agent }),
        3 => (0_u8..30).prop_map(|ms| Op::Pass { ms }),
        3 => byte().prop_map(|desk| Op::Turn { desk }),
        1 => byte().prop_map(|desk| Op::Arriving { desk }),
        1 => byte().prop_map(|desk| Op::Arrived { desk }),
    ]
}

/// The flags that the steps set and clear.
pub(super) const FLAGS: [Flags; 3] = [Flags::PAUSED, Flags::LOGGED_OUT, Flags::NO_ANSWER];

/// How a call asks: one, two or three at once, by any strategy.
pub(super) fn asked(how: u8) -> (u8, Strategy) {
    let strategies = [
        Strategy::LongestIdle,
        Strategy::RoundRobin,
        Strategy::FewestCalls,
        Strategy::LeastTalk,
        Strategy::Skill { wanted: how >> 6 },
        Strategy::Ordered,
    ];
    (1 + (how & 0xf) % 3, strategies[usize::from(how >> 4) % strategies.len()])
}

/// The queues of a mask, at least the first.
pub(super) fn masked(queues: u8) -> Vec<u16> {
    let mask = if queues & 0x7f == 0 { 1 } else { queues & 0x7f };
    (0..GROUPS + PEOPLE).filter(|queue| mask >> queue & 1 == 1).collect()
}

/// Up to three groups and, by the top bit, the own queue; head starts, levels, ranks and helpers by
/// further bits.
pub(super) fn serves(agent: u16, mask: u8, how: u16) -> Vec<Serve> {
    let own = (mask & 0x80 != 0).then_some(GROUPS + agent);
    let queues = own.into_iter().chain((0..GROUPS).filter(|group| mask >> group & 1 == 1));
    let serve = |queue: u16| {
        let bits = how.rotate_right(u32::from(queue) * 3);
        let head_start = Duration::from_millis(if bits & 1 == 1 { HEAD_START_MS } else { 0 });
        let (level, rank) = (bits as u8 >> 2 & 3, bits >> 4 & 3);
        let helper = queue < GROUPS && bits & 2 != 0;
        Serve { queue: QueueId(queue), head_start, level, rank, helper }
    };
    queues.map(serve).collect()
}

/// What an agent serves at first: one group and the own queue; the last one helps in all.
pub(super) fn at_start(agent: u16) -> (u8, u16) {
    if agent == PEOPLE - 1 { (0x87, 0b1001_0010) } else { (1 << (agent % 3) | 0x80, 0) }
}

/// An agent bound to a call, as the driver knows it.
#[derive(Clone, Copy, Debug)]
struct Binding {
    desk: usize,
    call: u32,
    token: Token,
    /// The oracle's number.
    number: usize,
}

struct Driver {
    board: Arc<Board>,
    desks: Vec<Desk>,
    oracle: Reference,
    now: Moment,
    /// Up to when both sides have settled.
    settled: Moment,
    calls: BTreeMap<u32, usize>,
    bindings: Vec<Binding>,
    occupied: BTreeMap<(usize, usize), u32>,
    next_call: u32,
}

pub(super) fn key(call: u32, desk: usize) -> CallKey {
    CallKey::new(1, ShardId(desk as u8), call)
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
        let desks = (0..shards).map(|s| Desk::new(board.clone(), ShardId(s as u8))).collect();
        let (people, len_max) = (usize::from(PEOPLE), LEN_MAX as usize);
        let oracle = Reference::new(usize::from(shards), people, len_max, CREDIT_MAX_US);
        let mut driver = Self {
            board,
            desks,
            oracle,
            now: Moment::from_millis(10),
            settled: Moment::from_millis(10),
            calls: BTreeMap::new(),
            bindings: Vec::new(),
            occupied: BTreeMap::new(),
            next_call: 0,
        };
        for agent in 0..people {
            let (queues, how) = at_start(agent as u16);
            driver.roster(0, agent, queues, how);
            let flag = Flags::UNREACHABLE;
            driver.desks[0].clear_flag(driver.now, AgentId(agent as u16), flag);
            driver.oracle.clear_flag(driver.now.micros(), agent, flag);
        }
        driver
    }

    fn desk(&self, byte: u8) -> usize {
        usize::from(byte) % self.desks.len()
    }

    fn agent(&self, byte: u8) -> (usize, AgentId) {
        let agent = u16::from(byte) % PEOPLE;
        (usize::from(agent), AgentId(agent))
    }

    fn call(&self, byte: u8) -> Option<(u32, usize)> {
        let place = usize::from(byte).checked_rem(self.calls.len())?;
        self.calls.iter().nth(place).map(|(call, desk)| (*call, *desk))
    }

    fn binding(&self, byte: u8) -> Option<usize> {
        usize::from(byte).checked_rem(self.bindings.len())
    }

    /// Rests and back-offs of different agents never end at one instant.
    fn until(&self, ms: u8, agent: AgentId) -> Moment {
        self.now + Duration::from_micros(u64::from(ms) * 1_000 + u64::from(agent.0))
    }

    /// A queue of any kind.
    fn queue(byte: u8) -> u16 {
        u16::from(byte) % (GROUPS + PEOPLE)
    }

    fn roster(&mut self, desk: usize, agent: usize, mask: u8, how: u16) {
        let serves = serves(agent as u16, mask, how);
        let agent_id = AgentId(agent as u16);
        self.board.set_roster(ShardId(desk as u8), agent_id, &serves).expect("within the bounds");
        self.oracle.set_roster(agent, &serves);
    }

    /// One step on the desks and on the oracle; both give the same answers.
    fn step(&mut self, op: Op) {
        match op {
            Op::Enter { .. } | Op::Again { .. } | Op::Add { .. } | Op::Move { .. } => {
                self.step_of_line(op);
            }
            Op::Remove { .. } | Op::Withdraw { .. } => self.step_of_caller(op),
            Op::Answer { .. } | Op::Finish { .. } | Op::Fail { .. } => self.step_of_binding(op),
            Op::Pass { ms } => self.now = self.now + Duration::from_millis(u64::from(ms)),
            Op::Turn { desk } => {
                let desk = self.desk(desk);
                self.desks[desk].turn(self.now);
            }
            _ => self.step_of_agent(op),
        }
    }

    fn step_of_line(&mut self, op: Op) {
        let ids = |queues: &[u16]| queues.iter().copied().map(QueueId).collect::<Vec<_>>();
        match op {
            Op::Enter { desk, credit, queues, how } => {
                let (desk, call) = (self.desk(desk), self.next_call);
                self.next_call += 1;
                let (queues, (agents, strategy)) = (masked(queues), asked(how));
                let credit = if credit { CREDIT_US } else { 0 };
                let ask = Ask { credit: Duration::from_micros(credit), agents, strategy };
                let (now, key) = (self.now, key(call, desk));
                let entered = self.desks[desk].enter(now, key, ask, &ids(&queues)).is_ok();
                let (at, how) = ((now.micros(), desk), (agents, strategy));
                assert_eq!(entered, self.oracle.enter(at, call, credit, how, &queues));
                if entered {
                    self.calls.insert(call, desk);
                }
            }
            Op::Again { call, queues, how } => {
                let Some((call, desk)) = self.call(call) else { return };
                let (queues, (agents, strategy)) = (masked(queues), asked(how));
                let ask = Ask { agents, strategy, ..Ask::default() };
                let entered = self.desks[desk].enter(self.now, key(call, desk), ask, &ids(&queues));
                let expected = self.oracle.ask(call, agents, strategy, &queues);
                assert_eq!(entered.is_ok(), expected);
            }
            Op::Add { call, queue, how } => {
                let Some((call, desk)) = self.call(call) else { return };
                let (queue, (_, strategy)) = (Self::queue(queue), asked(how));
                let key = key(call, desk);
                let added = self.desks[desk].add(self.now, key, QueueId(queue), strategy);
                assert_eq!(added.is_ok(), self.oracle.add(call, queue, strategy));
            }
            Op::Move { call, queues, how } => {
                let Some((call, desk)) = self.call(call) else { return };
                let (queues, (_, strategy)) = (masked(queues), asked(how));
                let key = key(call, desk);
                let moved = self.desks[desk].move_to(self.now, key, strategy, &ids(&queues));
                assert_eq!(moved.is_ok(), self.oracle.move_to(call, strategy, &queues));
            }
            _ => {}
        }
    }

    fn step_of_caller(&mut self, op: Op) {
        match op {
            Op::Remove { call, queue } => {
                let Some((call, desk)) = self.call(call) else { return };
                self.desks[desk].remove(key(call, desk), QueueId(Self::queue(queue)));
                self.oracle.remove(call, Self::queue(queue));
            }
            Op::Withdraw { call } => {
                let Some((call, desk)) = self.call(call) else { return };
                self.calls.remove(&call);
                let withdrawn = self.desks[desk].withdraw(key(call, desk));
                assert_eq!(withdrawn, self.oracle.withdraw(call));
            }
            _ => {}
        }
    }

    fn step_of_binding(&mut self, op: Op) {
        match op {
            Op::Answer { binding } => {
                let Some(place) = self.binding(binding) else { return };
                let Binding { desk, token, number, .. } = self.bindings[place];
                self.desks[desk].turn(self.now);
                let answered = self.desks[desk].answered(token);
                let (now, agent) = (self.now.micros(), token.agent().index());
                assert_eq!(answered.is_some(), self.oracle.answered(now, agent, number));
                if let Some(token) = answered {
                    self.bindings[place].token = token;
                }
            }
            Op::Finish { binding, rest_ms } => {
                let Some(place) = self.binding(binding) else { return };
                let Binding { desk, call, token, number } = self.bindings.remove(place);
                let withdrawn = self.desks[desk].withdraw(key(call, desk));
                assert_eq!(withdrawn, self.oracle.withdraw(call));
                self.calls.remove(&call);
                let until = self.until(rest_ms, token.agent());
                let after = if rest_ms == 0 { After::Free } else { After::Wrap(until) };
                self.release(desk, token, number, after);
            }
            Op::Fail { binding, back_off_ms, no_answer } => {
                let Some(place) = self.binding(binding) else { return };
                let Binding { desk, call, token, number } = self.bindings.remove(place);
                let (agent, until) = (token.agent(), self.until(back_off_ms + 1, token.agent()));
                self.desks[desk].give_back(self.now, key(call, desk), token);
                self.oracle.give_back(call, number);
                if no_answer {
                    self.desks[desk].set_flag(agent, Flags::NO_ANSWER);
                    self.oracle.set_flag(agent.index(), Flags::NO_ANSWER);
                } else {
                    self.desks[desk].back_off(agent, until);
                    self.oracle.back_off(agent.index(), until.micros());
                }
                self.release(desk, token, number, After::Free);
            }
            _ => {}
        }
    }

    fn release(&mut self, desk: usize, token: Token, number: usize, after: After) {
        let rest = match after {
            After::Free => None,
            After::Wrap(until) => Some(until.micros()),
        };
        let released = self.desks[desk].release(self.now, token, after);
        let agent = token.agent().index();
        let expected = self.oracle.release(self.now.micros(), agent, number, rest);
        assert_eq!(released, expected);
    }

    fn step_of_agent(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::SetFlag { desk, agent, flag } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                let flag = FLAGS[usize::from(flag) % FLAGS.len()];
                self.desks[desk].set_flag(agent, flag);
                self.oracle.set_flag(place, flag);
            }
            Op::ClearFlag { desk, agent, flag } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                let flag = FLAGS[usize::from(flag) % FLAGS.len()];
                self.desks[desk].clear_flag(now, agent, flag);
                self.oracle.clear_flag(now.micros(), place, flag);
            }
            Op::Occupy { desk, agent } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                *self.occupied.entry((desk, place)).or_insert(0) += 1;
                self.desks[desk].occupy(agent);
                self.oracle.occupy(place);
            }
            Op::Vacate { desk, agent } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                let count = self.occupied.get_mut(&(desk, place)).filter(|count| **count > 0);
                let Some(count) = count else { return };
                *count -= 1;
                self.desks[desk].vacate(agent);
                self.oracle.vacate(place);
            }
            Op::EndWrap { desk, agent } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                let ended = self.desks[desk].end_wrap(now, agent);
                assert_eq!(ended, self.oracle.end_wrap(now.micros(), place));
            }
            Op::ByHand { desk, agent } => {
                let (desk, (place, agent)) = (self.desk(desk), self.agent(agent));
                let released = self.desks[desk].operator_release(now, agent);
                assert_eq!(released, self.oracle.operator_release(now.micros(), place));
            }
            Op::Roster { .. } | Op::Help { .. } | Op::Midnight { .. } => self.step_of_roster(op),
            _ => {}
        }
    }

    fn step_of_roster(&mut self, op: Op) {
        match op {
            Op::Roster { desk, agent, queues, how } => {
                let (desk, (place, _)) = (self.desk(desk), self.agent(agent));
                self.roster(desk, place, queues, how);
            }
            Op::Help { desk, queue, open } => {
                let (owner, queue) = (ShardId(self.desk(desk) as u8), u16::from(queue) % GROUPS);
                if open {
                    self.board.open_help(owner, QueueId(queue));
                } else {
                    self.board.close_help(QueueId(queue));
                }
                self.oracle.set_help(queue, open);
            }
            Op::Midnight { agent } => {
                let (place, agent) = self.agent(agent);
                self.board.set_counts(agent, Counts::default());
                self.oracle.people[place].counts = Counts::default();
            }
            _ => {}
        }
    }

    /// Lets every deadline up to now pass on both sides, in order, and answers every bell.
    fn settle(&mut self) {
        let end = std::mem::replace(&mut self.now, self.settled);
        loop {
            self.answer_bells();
            self.compare();
            let desks = self.desks.iter().map(Desk::poll_timeout).min();
            let oracle = self.oracle.next_due().map(Moment::from_micros);
            let next = desks.into_iter().chain(oracle).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            let now = self.now;
            self.desks.iter_mut().for_each(|desk| desk.turn(now));
            self.oracle.expire(now.micros());
        }
        (self.now, self.settled) = (end, end);
    }

    fn answer_bells(&mut self) {
        for round in 0.. {
            let mut words = (0..usize::from(PEOPLE)).map(|agent| self.board.word(agent));
            if !words.any(|word| word.state() == AgentState::Hand) {
                return;
            }
            assert!(round < 20, "agents go from hand to hand");
            let now = self.now;
            self.desks.iter_mut().for_each(|desk| desk.turn(now));
        }
    }

    /// The same assignments, agents, lengths and places on both sides.
    fn compare(&mut self) {
        let mut bound = Vec::new();
        for desk in 0..self.desks.len() {
            while let Some(assignment) = self.desks[desk].poll() {
                let call = (assignment.call.as_u64() & 0x00ff_ffff) as u32;
                bound.push((call, assignment.agent.index(), desk, assignment.token));
            }
        }
        let mut expected = self.oracle.take_bound();
        bound.sort_by_key(|b| (b.0, b.1));
        expected.sort_unstable();
        let got: Vec<_> = bound.iter().map(|b| (b.0, b.1)).collect();
        assert_eq!(got, expected.iter().map(|b| (b.0, b.1)).collect::<Vec<_>>());
        for (one, (_, _, number)) in bound.into_iter().zip(expected) {
            let (call, _, desk, token) = one;
            self.bindings.push(Binding { desk, call, token, number });
        }
        for (agent, person) in self.oracle.people.iter().enumerate() {
            let view = self.board.presence(AgentId(agent as u16));
            let doing = match view.state {
                AgentState::Free => matches!(person.doing, Doing::Free),
                AgentState::Hand => false,
                AgentState::Offered => matches!(person.doing, Doing::Offered(_)),
                AgentState::Talking => matches!(person.doing, Doing::Talking(_)),
                AgentState::Wrap => matches!(person.doing, Doing::Rest { .. }),
            };
            assert!(doing, "agent {agent}: {view:?}, expected {:?}", person.doing);
            assert_eq!(view.flags, person.flags, "agent {agent}");
            assert_eq!(view.since.micros(), person.since, "agent {agent}");
            assert_eq!(self.board.counts(AgentId(agent as u16)), person.counts, "agent {agent}");
        }
        for queue in 0..GROUPS + PEOPLE {
            let len = self.board.len(QueueId(queue)) as usize;
            assert_eq!(len, self.oracle.len(queue), "queue {queue}");
        }
        if let [desk] = &self.desks[..] {
            for call in self.calls.keys() {
                let position = desk.position(key(*call, 0)).map(|p| p as usize);
                assert_eq!(position, self.oracle.position(*call), "call {call}");
            }
        }
        let idle = Tallies { released_by_hand: 0, ..self.board.tallies() };
        assert_eq!(idle, Tallies::default(), "no safety net was needed");
    }

    /// Everybody hangs up, everybody is released: nothing is left.
    fn end(&mut self) {
        for binding in std::mem::take(&mut self.bindings) {
            self.desks[binding.desk].set_flag(binding.token.agent(), Flags::PAUSED);
            self.desks[binding.desk].release(self.now, binding.token, After::Free);
        }
        for (call, desk) in std::mem::take(&mut self.calls) {
            self.desks[desk].withdraw(key(call, desk));
        }
        for ((desk, agent), count) in std::mem::take(&mut self.occupied) {
            (0..count).for_each(|_| self.desks[desk].vacate(AgentId(agent as u16)));
        }
        for desk in &mut self.desks {
            // What the withdrawals have bound and unbound again.
            desk.turn(self.now);
            while let Some(assignment) = desk.poll() {
                desk.release(self.now, assignment.token, After::Free);
            }
        }
        assert!(self.desks.iter().all(Desk::is_empty));
        let queues = (0..GROUPS + PEOPLE).map(QueueId);
        assert!(queues.into_iter().all(|queue| self.board.is_empty(queue)));
        for agent in (0..PEOPLE).map(AgentId) {
            let state = self.board.presence(agent).state;
            assert!(matches!(state, AgentState::Free | AgentState::Wrap), "{agent:?} {state:?}");
            let flags = self.board.presence(agent).flags;
            assert!(!flags.contains(Flags::BUSY_ELSEWHERE));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn with_every_bell_answered_the_desks_are_the_sequential_matcher(
        shards in 1_u16..=3,
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut driver = Driver::new(shards);
        for op in ops {
            driver.step(op);
            driver.settle();
        }
        driver.end();
    }
}
