//! Desks on threads of their own, as fast as they can: every strategy, head starts, several rung at
//! once, hang-ups, failed offers, pauses, rests, other calls, moved callers and agents, helpers let in
//! and sent away, stale tokens, turns left out. Time is a shared count of turns, so nobody sleeps.
//!
//! A cell for each agent holds who has them: an agent bound twice is seen at once. In the end every
//! caller was served or has hung up, and nothing is left on the board. Without returns, moves and
//! preferences nobody overtakes: see [`Slot`].
//!
//! Three runs of 9,000 callers in every `cargo test`. `STRESS_CALLS=900000 cargo test --release
//! --no-default-features --lib acd::stress -- --nocapture --test-threads=1` binds more than ten million
//! agents and prints the counts; `.ci/run stress` asks for 300,000 callers of each shard, which is more
//! than ten million operations, and adds them up. An operation here is one that found something to do.

// The clock, the environment and a lock keep this test's books; nothing of the board rests on them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const AGENTS: u16 = 6;
const GROUPS: u16 = 3;
const SHARDS: u16 = 3;
/// Callers of one shard in line at once.
const WAITING_MAX: usize = 10;
/// Turns of all desks for each caller after which everybody should long be served.
const TURNS_MAX: u64 = 10_000;
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// What is asked of one run.
#[derive(Clone, Copy)]
struct Run {
    /// Callers of each shard.
    calls: u32,
    /// µs by which each turn moves the clock. 0: time stands still, so that nobody sweeps, and a wake-up
    /// that is lost stays lost.
    turn_us: u64,
    /// Nothing that changes the order: no returns, moves, rosters, preferences.
    in_order: bool,
}

/// One caller in line as the other threads see it, for the order of service: a caller who stood in
/// line before another thread's operation began, is seen there with the better key after that
/// operation has bound somebody else, and is bound by an operation that began later still, was
/// overtaken. Agents serve every group here.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: empty.
    call: u64,
    key: u64,
    /// When it stood in line.
    since: u64,
    /// When it was last seen to have been passed over.
    passed_over: u64,
}

/// What all threads see.
struct Shared {
    board: Arc<Board>,
    run: Run,
    turns: AtomicU64,
    /// Who has the agent: the call's key; 0: nobody.
    holder: Vec<AtomicU64>,
    /// Shards without callers, and without anything that only they can undo.
    done: AtomicU64,
    /// Orders the looks at the slots.
    steps: AtomicU64,
    slots: Vec<Mutex<[Slot; WAITING_MAX]>>,
}

impl Shared {
    fn step(&self) -> u64 {
        self.steps.fetch_add(1, SeqCst) + 1
    }
}

/// What came of one shard's callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Score {
    served: u32,
    hung_up: u32,
    failed_offers: u32,
    rung_together: u32,
    moved: u32,
    assignments: u64,
    operations: u64,
    stale: u64,
}

/// A caller of one shard, and the agents whose phones ring for it.
struct Caller {
    call: CallKey,
    agents: u8,
    tokens: Vec<Token>,
}

/// One shard's thread.
struct Shard {
    shared: Arc<Shared>,
    desk: Desk,
    me: u8,
    random: u64,
    begun: u32,
    score: Score,
    callers: Vec<Caller>,
    /// Tokens that are used up.
    used: Vec<Token>,
    /// Flags that this shard set and must clear.
    flagged: Vec<(AgentId, Flags)>,
    now: Moment,
    /// When the present operation began.
    began: u64,
}

impl Shard {
    fn new(shared: &Arc<Shared>, me: u8) -> Self {
        Self {
            shared: shared.clone(),
            desk: Desk::new(shared.board.clone(), ShardId(me)),
            me,
            random: 88_172_645_463_325_252 + u64::from(me),
            begun: 0,
            score: Score::default(),
            callers: Vec::new(),
            used: Vec::new(),
            flagged: Vec::new(),
            now: Moment::ZERO,
            began: 0,
        }
    }

    fn run(mut self) -> (Desk, Score) {
        let mut done = false;
        let turns_max = TURNS_MAX * u64::from(self.shared.run.calls);
        while self.shared.done.load(SeqCst) < u64::from(SHARDS) {
            let turn = self.shared.turns.fetch_add(1, SeqCst);
            assert!(turn < turns_max, "shard {}: {} callers wait", self.me, self.callers.len());
            self.now = Moment::from_micros(turn * self.shared.run.turn_us);
            // Now and then a desk does not turn although it should.
            if self.random(16) != 0 {
                self.began = self.shared.step();
                self.desk.turn(self.now);
                self.take_assignments();
            }
            self.began = self.shared.step();
            if self.deed() {
                self.score.operations += 1;
            } else {
                // Others have what is missing.
                std::thread::yield_now();
            }
            self.take_assignments();
            let idle = self.is_over() && self.callers.is_empty() && self.flagged.is_empty();
            if idle && !done {
                done = true;
                self.shared.done.fetch_add(1, SeqCst);
            }
        }
        (self.desk, self.score)
    }

    fn is_over(&self) -> bool {
        self.begun == self.shared.run.calls
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// One operation at random; `false`: there was nothing to do.
    fn deed(&mut self) -> bool {
        let agent = AgentId(self.random(u64::from(AGENTS)) as u16);
        let (over, in_order) = (self.is_over(), self.shared.run.in_order);
        match self.random(28) {
            0..=8 if !over && self.callers.len() < WAITING_MAX => self.enter(),
            9..=15 => return self.end_a_call(),
            16 if self.random(20) == 0 => return self.hang_up(),
            17 if !over && self.desk.set_flag(agent, Flags::PAUSED) => {
                self.flagged.push((agent, Flags::PAUSED));
            }
            18..=21 => {
                let Some((agent, flag)) = self.flagged.pop() else { return false };
                self.desk.clear_flag(self.now, agent, flag);
            }
            22 if !over => {
                self.desk.occupy(agent);
                self.desk.vacate(agent);
            }
            23 if !over => self.desk.arriving(self.now),
            24 => return self.use_a_stale_token(),
            25 if self.me == 0 && !over && !in_order => self.move_agent(agent),
            26 if self.me == 0 && !in_order => self.let_helpers(),
            27 if !in_order => return self.move_caller(),
            _ => return false,
        }
        true
    }

    fn strategy(&mut self) -> Strategy {
        match self.random(6) {
            0 => Strategy::LongestIdle,
            1 => Strategy::RoundRobin,
            2 => Strategy::FewestCalls,
            3 => Strategy::LeastTalk,
            4 => Strategy::Skill { wanted: self.random(4) as u8 },
            _ => Strategy::Ordered,
        }
    }

    fn queues(&mut self) -> Vec<QueueId> {
        let first = self.random(u64::from(GROUPS)) as u16;
        let count = 1 + self.random(2) as u16;
        (first..first + count).map(|queue| QueueId(queue % GROUPS)).collect()
    }

    fn enter(&mut self) {
        self.begun += 1;
        self.desk.arriving(self.now);
        let call = CallKey::new(1, ShardId(self.me), self.begun);
        let queues = self.queues();
        let agents = if self.shared.run.in_order { 1 } else { 1 + self.random(3) as u8 };
        let credit = Duration::from_millis(self.random(3));
        let ask = Ask { credit, agents, strategy: self.strategy() };
        assert_eq!(self.desk.enter(self.now, call, ask, &queues), Ok(()));
        self.callers.push(Caller { call, agents, tokens: Vec::new() });
        if self.shared.run.in_order
            && let Some(line) = self.desk.lines.line(call)
        {
            let (call, key) = (call.as_u64(), line.key.bits());
            let mut slots = self.shared.slots[usize::from(self.me)].lock().expect("no panic");
            let since = self.shared.step();
            let free = slots.iter_mut().find(|slot| slot.call == 0).expect("as many as callers");
            *free = Slot { call, key, since, passed_over: 0 };
        }
    }

    fn take_assignments(&mut self) {
        while let Some(Assignment { call, agent, token, .. }) = self.desk.poll() {
            self.score.assignments += 1;
            self.score.operations += 1;
            let caller = self.callers.iter_mut().find(|caller| caller.call == call);
            let caller = caller.expect("the caller is there");
            caller.tokens.push(token);
            assert!(caller.tokens.len() <= usize::from(caller.agents), "{call:?} has too many");
            self.score.rung_together += u32::from(caller.tokens.len() == 2);
            let cell = &self.shared.holder[agent.index()];
            let before = cell.swap(call.as_u64(), SeqCst);
            assert_eq!(before, 0, "{agent:?} has two calls");
            if self.shared.run.in_order {
                self.check_order(call);
            }
        }
    }

    /// `call` leaves the line; who stands there with a better key, and stood before this operation began,
    /// was passed over unless they are bound by now.
    fn check_order(&mut self, call: CallKey) {
        let own = self.leave_slot(call).expect("it stood in line");
        let began = self.began;
        assert!(own.passed_over == 0 || began < own.passed_over, "{call:?} was overtaken");
        for slots in &self.shared.slots {
            let mut slots = slots.lock().expect("no panic");
            let seen = self.shared.step();
            let better =
                |slot: &&mut Slot| slot.call != 0 && slot.key < own.key && slot.since < began;
            slots.iter_mut().filter(better).for_each(|slot| slot.passed_over = seen);
        }
    }

    fn leave_slot(&self, call: CallKey) -> Option<Slot> {
        let mut slots = self.shared.slots[usize::from(self.me)].lock().expect("no panic");
        slots.iter_mut().find(|slot| slot.call == call.as_u64()).map(std::mem::take)
    }

    /// The agent is about to be released.
    fn let_go(&mut self, token: Token) {
        self.shared.holder[token.agent().index()].store(0, SeqCst);
        self.used.push(token);
        if self.used.len() > 64 {
            self.used.swap_remove(0);
        }
    }

    fn end_a_call(&mut self) -> bool {
        let ringing = |caller: &Caller| !caller.tokens.is_empty();
        let count = self.callers.iter().filter(|caller| ringing(caller)).count() as u64;
        let Some(last) = count.checked_sub(1) else { return false };
        let nth = self.random(last + 1) as usize;
        let rung = self
            .callers
            .iter()
            .enumerate()
            .filter(|(_, caller)| ringing(caller))
            .map(|(place, caller)| (place, caller.tokens.len() as u64))
            .nth(nth);
        let (place, tokens) = rung.expect("so many ring");
        let choice = self.random(tokens) as usize;
        let token = self.callers[place].tokens[choice];
        match self.random(4) {
            0 if !self.shared.run.in_order => self.fail(place, token),
            0 | 1 => self.abandon(place),
            rest => self.answer(place, token, rest),
        }
        true
    }

    fn answer(&mut self, place: usize, token: Token, rest: u64) {
        let caller = self.callers.swap_remove(place);
        let talking = self.desk.answered(token).expect("nobody else moves the agent");
        assert_eq!(self.desk.answered(token), None);
        for other in caller.tokens.into_iter().filter(|other| *other != token) {
            assert_eq!(self.desk.answered(other), None, "the second");
            self.let_go(other);
            assert!(self.desk.release(self.now, other, After::Free));
        }
        assert!(self.desk.withdraw(caller.call));
        self.let_go(talking);
        self.used.push(token);
        let until = self.in_turns(rest * 3);
        assert!(self.desk.release(self.now, talking, After::Wrap(until)));
        self.score.served += 1;
    }

    /// The caller hangs up, waiting or while phones ring.
    fn abandon(&mut self, place: usize) {
        let caller = self.callers.swap_remove(place);
        if self.shared.run.in_order {
            self.leave_slot(caller.call);
        }
        assert!(self.desk.withdraw(caller.call));
        for token in caller.tokens {
            self.let_go(token);
            assert!(self.desk.release(self.now, token, After::Free));
        }
        self.score.hung_up += 1;
    }

    fn fail(&mut self, place: usize, token: Token) {
        let caller = &mut self.callers[place];
        caller.tokens.retain(|known| *known != token);
        let call = caller.call;
        self.desk.give_back(self.now, call, token);
        self.score.failed_offers += 1;
        if self.random(2) == 0 && self.shared.run.turn_us > 0 {
            self.desk.back_off(token.agent(), self.in_turns(10));
        } else if self.desk.set_flag(token.agent(), Flags::NO_ANSWER) {
            self.flagged.push((token.agent(), Flags::NO_ANSWER));
        }
        self.let_go(token);
        assert!(self.desk.release(self.now, token, After::Free));
    }

    fn in_turns(&self, turns: u64) -> Moment {
        self.now + Duration::from_micros(turns * self.shared.run.turn_us)
    }

    fn hang_up(&mut self) -> bool {
        let waiting = self.callers.iter().rposition(|caller| caller.tokens.is_empty());
        if let Some(place) = waiting {
            self.abandon(place);
        }
        waiting.is_some()
    }

    fn use_a_stale_token(&mut self) -> bool {
        let Some(last) = (self.used.len() as u64).checked_sub(1) else { return false };
        let place = self.random(last + 1) as usize;
        let token = self.used[place];
        assert_eq!(self.desk.answered(token), None, "{token:?} is used up");
        assert!(!self.desk.release(self.now, token, After::Free), "{token:?} is used up");
        self.score.stale += 1;
        true
    }

    fn move_caller(&mut self) -> bool {
        let Some(last) = (self.callers.len() as u64).checked_sub(1) else { return false };
        let place = self.random(last + 1) as usize;
        let call = self.callers[place].call;
        let (queues, strategy) = (self.queues(), self.strategy());
        assert_eq!(self.desk.move_to(self.now, call, strategy, &queues), Ok(()));
        self.score.moved += 1;
        true
    }

    fn move_agent(&mut self, agent: AgentId) {
        // Agents 0 to 2 stay, so that every group has somebody.
        let mask = self.random(1 << GROUPS);
        let groups = (0..GROUPS).filter(|group| mask >> group & 1 == 1);
        let mut serves: Vec<Serve> = match agent.0 {
            0..GROUPS => vec![QueueId(agent.0).into()],
            _ => groups.map(|group| QueueId(group).into()).collect(),
        };
        for serve in &mut serves {
            serve.head_start = Duration::from_millis(self.random(3));
            serve.level = self.random(4) as u8;
            serve.rank = self.random(4) as u16;
            serve.helper = agent.0 >= GROUPS && self.random(2) == 0;
        }
        self.shared.board.set_roster(ShardId(0), agent, &serves).expect("within the bounds");
    }

    fn let_helpers(&mut self) {
        let queue = QueueId(self.random(u64::from(GROUPS)) as u16);
        if !self.shared.board.close_help(queue) {
            self.shared.board.open_help(ShardId(0), queue);
        }
    }
}

fn board(in_order: bool) -> Arc<Board> {
    let board = Arc::new(Board::new(
        BoardLimits {
            agents: AGENTS,
            groups: GROUPS,
            shards: SHARDS,
            queue_len_max: 100,
            credit_max: Duration::from_secs(1),
        },
        (0..SHARDS).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect(),
    ));
    let mut desk = Desk::new(board.clone(), ShardId(0));
    for agent in (0..AGENTS).map(AgentId) {
        let groups = if in_order { 0..GROUPS } else { agent.0 % GROUPS..agent.0 % GROUPS + 1 };
        let serves: Vec<Serve> = groups.map(|group| QueueId(group).into()).collect();
        board.set_roster(ShardId(0), agent, &serves).expect("within the bounds");
        desk.clear_flag(Moment::ZERO, agent, Flags::UNREACHABLE);
    }
    board
}

/// Runs all shards until every caller is served or gone, and looks at what is left. What the safety nets
/// had to do.
fn stress(run: Run) -> Tallies {
    let asked = std::env::var("STRESS_CALLS").ok().and_then(|calls| calls.parse().ok());
    let run = Run { calls: asked.unwrap_or(run.calls), ..run };
    let (board, begun) = (board(run.in_order), Instant::now());
    let shared = Arc::new(Shared {
        board: board.clone(),
        run,
        turns: AtomicU64::new(0),
        holder: (0..AGENTS).map(|_| AtomicU64::new(0)).collect(),
        done: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        slots: (0..SHARDS).map(|_| Mutex::default()).collect(),
    });
    let shards: Vec<Shard> = (0..SHARDS).map(|me| Shard::new(&shared, me as u8)).collect();
    let threads: Vec<_> =
        shards.into_iter().map(|shard| std::thread::spawn(|| shard.run())).collect();
    let ended: Vec<(Desk, Score)> =
        threads.into_iter().map(|thread| thread.join().expect("no check failed")).collect();
    let (mut desks, scores): (Vec<Desk>, Vec<Score>) = ended.into_iter().unzip();

    for score in &scores {
        assert_eq!(score.served + score.hung_up, run.calls, "{scores:?}");
        assert!(score.served > 0 && score.stale > 0, "{scores:?}");
        let changed = [score.failed_offers, score.moved, score.rung_together];
        assert!(changed.iter().all(|count| (*count > 0) != run.in_order), "{scores:?}");
    }
    let tallies = board.tallies();
    let mut now = Moment::from_micros(shared.turns.load(SeqCst) * run.turn_us);
    for _ in 0..10 {
        now = now + Duration::from_millis(10);
        desks.iter_mut().for_each(|desk| desk.turn(now));
    }
    assert!(desks.iter().all(Desk::is_empty));
    assert!(desks.iter().all(|desk| desk.poll_timeout() == Moment::NEVER));
    assert!((0..AGENTS).map(AgentId).all(|agent| board.presence(agent).is_free()));
    assert!((0..GROUPS + AGENTS).all(|queue| board.is_empty(QueueId(queue))));
    let sum = |count: fn(&Score) -> u64| scores.iter().map(count).sum::<u64>();
    let (operations, assignments) = (sum(|s| s.operations), sum(|s| s.assignments));
    let (stale, took) = (sum(|s| s.stale), begun.elapsed());
    println!("{assignments} assignments, {operations} operations, {stale} stale tokens: {took:?}");
    assert!(assignments > u64::from(run.calls), "hardly anybody was bound");
    tallies
}

const MIXED: Run = Run { calls: 3_000, turn_us: 40, in_order: false };
const UNSWEPT: Run = Run { turn_us: 0, ..MIXED };
const IN_ORDER: Run = Run { in_order: true, ..UNSWEPT };

#[test]
fn threads_bind_no_agent_twice_and_lose_no_caller() {
    stress(MIXED);
}

#[test]
fn no_wake_up_is_lost_even_if_nobody_ever_sweeps() {
    assert_eq!(stress(UNSWEPT), Tallies::default());
}

#[test]
fn nobody_is_overtaken_where_nobody_returns_or_moves() {
    assert_eq!(stress(IN_ORDER), Tallies::default());
}
