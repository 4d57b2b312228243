//! Desks on threads of their own, as fast as they can, with hang-ups, failed offers, pauses, rests, other
//! calls, moved agents and turns left out. Time is a shared count of turns, so nobody sleeps.
//!
//! A cell for each agent holds who has them: an agent bound twice is seen at once. In the end every
//! caller was served or has hung up, and nothing is left on the board.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const AGENTS: u16 = 6;
const GROUPS: u16 = 3;
const SHARDS: u16 = 3;
/// Of each shard.
const CALLS: u32 = 3_000;
/// Callers of one shard in line at once.
const WAITING_MAX: usize = 10;
/// Turns of all desks after which the callers should long be served.
const TURNS_MAX: u64 = 50_000_000;

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// What all threads see.
struct Shared {
    board: Arc<Board>,
    turns: AtomicU64,
    /// µs by which each turn moves the clock. 0: time stands still, so that nobody sweeps, and a wake-up
    /// that is lost stays lost.
    turn_us: u64,
    /// Who has the agent: the call's key; 0: nobody.
    holder: Vec<AtomicU64>,
    /// Shards without callers, and without anything that only they can undo.
    done: AtomicU64,
}

/// What came of one shard's callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Score {
    served: u32,
    hung_up: u32,
    failed_offers: u32,
}

/// One shard's thread.
struct Shard {
    shared: Arc<Shared>,
    desk: Desk,
    me: u8,
    random: u64,
    begun: u32,
    score: Score,
    waiting: Vec<CallKey>,
    bound: Vec<(CallKey, Token)>,
    /// Flags that this shard set and must clear.
    flagged: Vec<(AgentId, Flags)>,
    now: Moment,
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
            waiting: Vec::new(),
            bound: Vec::new(),
            flagged: Vec::new(),
            now: Moment::ZERO,
        }
    }

    fn run(mut self) -> (Desk, Score) {
        let mut done = false;
        while self.shared.done.load(SeqCst) < u64::from(SHARDS) {
            let turn = self.shared.turns.fetch_add(1, SeqCst);
            assert!(turn < TURNS_MAX, "shard {} waits: {:?}", self.me, self.waiting);
            self.now = Moment::from_micros(turn * self.shared.turn_us);
            // Now and then a desk does not turn although it should.
            if self.random(16) != 0 {
                self.desk.turn(self.now);
            }
            self.deed();
            while let Some(assignment) = self.desk.poll() {
                self.assigned(assignment);
            }
            let idle = self.begun == CALLS
                && self.waiting.is_empty()
                && self.bound.is_empty()
                && self.flagged.is_empty();
            if idle && !done {
                done = true;
                self.shared.done.fetch_add(1, SeqCst);
            }
        }
        (self.desk, self.score)
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn deed(&mut self) {
        let agent = AgentId(self.random(u64::from(AGENTS)) as u16);
        let over = self.begun == CALLS;
        match self.random(24) {
            0..=7 if !over && self.waiting.len() < WAITING_MAX => self.enter(),
            8..=14 => self.end_a_call(),
            15 => self.hang_up(),
            16 if !over && self.desk.set_flag(agent, Flags::PAUSED) => {
                self.flagged.push((agent, Flags::PAUSED));
            }
            17..=20 => {
                if let Some((agent, flag)) = self.flagged.pop() {
                    self.desk.clear_flag(self.now, agent, flag);
                }
            }
            21 if !over => {
                self.desk.occupy(agent);
                self.desk.vacate(agent);
            }
            22 if self.me == 0 && !over => self.move_agent(agent),
            23 if !over => self.desk.arriving(self.now),
            _ => {}
        }
    }

    fn enter(&mut self) {
        self.begun += 1;
        self.desk.arriving(self.now);
        let call = CallKey::new(1, ShardId(self.me), self.begun);
        let first = self.random(u64::from(GROUPS)) as u16;
        let queues = [QueueId(first), QueueId((first + 1) % GROUPS)];
        let count = 1 + self.random(2) as usize;
        let ask = Ask { credit: Duration::from_millis(self.random(3)), ..Ask::default() };
        let entered = self.desk.enter(self.now, call, ask, &queues[..count]);
        assert_eq!(entered, Ok(()));
        self.waiting.push(call);
    }

    fn assigned(&mut self, assignment: Assignment) {
        let place = self.waiting.iter().position(|call| *call == assignment.call);
        self.waiting.swap_remove(place.expect("the caller waits"));
        let cell = &self.shared.holder[assignment.agent.index()];
        let before = cell.swap(assignment.call.as_u64(), SeqCst);
        assert_eq!(before, 0, "{:?} has two calls", assignment.agent);
        self.bound.push((assignment.call, assignment.token));
    }

    fn end_a_call(&mut self) {
        let Some(place) = (self.bound.len() as u64).checked_sub(1) else { return };
        let place = self.random(place + 1) as usize;
        let (call, token) = self.bound.swap_remove(place);
        self.shared.holder[token.agent().index()].store(0, SeqCst);
        match self.random(4) {
            0 => self.fail(call, token),
            1 => {
                // The caller hangs up while it rings.
                assert!(self.desk.withdraw(call));
                assert!(self.desk.release(self.now, token, After::Free));
                self.score.hung_up += 1;
            }
            rest => {
                let token = self.desk.answered(token).expect("nobody else moves the agent");
                assert_eq!(self.desk.answered(token), None);
                assert!(self.desk.withdraw(call));
                let until = self.in_turns(rest * 3);
                assert!(self.desk.release(self.now, token, After::Wrap(until)));
                assert!(!self.desk.release(self.now, token, After::Free), "stale");
                self.score.served += 1;
            }
        }
    }

    fn fail(&mut self, call: CallKey, token: Token) {
        self.desk.give_back(self.now, call, token);
        self.waiting.push(call);
        self.score.failed_offers += 1;
        if self.random(2) == 0 && self.shared.turn_us > 0 {
            self.desk.back_off(token.agent(), self.in_turns(10));
        } else if self.desk.set_flag(token.agent(), Flags::NO_ANSWER) {
            self.flagged.push((token.agent(), Flags::NO_ANSWER));
        }
        assert!(self.desk.release(self.now, token, After::Free));
    }

    fn in_turns(&self, turns: u64) -> Moment {
        self.now + Duration::from_micros(turns * self.shared.turn_us)
    }

    fn hang_up(&mut self) {
        if let Some(call) = self.waiting.pop() {
            assert!(self.desk.withdraw(call));
            self.score.hung_up += 1;
        }
    }

    fn move_agent(&mut self, agent: AgentId) {
        // Agents 0 to 2 stay, so that every group has somebody.
        let mask = self.random(1 << GROUPS);
        let groups = (0..GROUPS).filter(|group| mask >> group & 1 == 1);
        let queues: Vec<Serve> = match agent.0 {
            0..GROUPS => vec![QueueId(agent.0).into()],
            _ => groups.map(|group| QueueId(group).into()).collect(),
        };
        self.shared.board.set_roster(ShardId(0), agent, &queues).expect("within the bounds");
    }
}

fn board() -> Arc<Board> {
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
        let queues = [QueueId(agent.0 % GROUPS), board.own_queue(agent)].map(Serve::from);
        board.set_roster(ShardId(0), agent, &queues).expect("within the bounds");
        desk.clear_flag(Moment::ZERO, agent, Flags::UNREACHABLE);
    }
    board
}

/// Runs all shards until every caller is served or gone, and looks at what is left.
fn stress(turn_us: u64) -> Tallies {
    let board = board();
    let shared = Arc::new(Shared {
        board: board.clone(),
        turns: AtomicU64::new(0),
        turn_us,
        holder: (0..AGENTS).map(|_| AtomicU64::new(0)).collect(),
        done: AtomicU64::new(0),
    });
    let shards: Vec<Shard> = (0..SHARDS).map(|me| Shard::new(&shared, me as u8)).collect();
    let threads: Vec<_> =
        shards.into_iter().map(|shard| std::thread::spawn(|| shard.run())).collect();
    let ended: Vec<(Desk, Score)> =
        threads.into_iter().map(|thread| thread.join().expect("no check failed")).collect();
    let (mut desks, scores): (Vec<Desk>, Vec<Score>) = ended.into_iter().unzip();

    for score in &scores {
        assert_eq!(score.served + score.hung_up, CALLS, "{scores:?}");
        assert!(score.served > 0 && score.failed_offers > 0);
    }
    let tallies = board.tallies();
    let mut now = Moment::from_micros(shared.turns.load(SeqCst) * turn_us);
    for _ in 0..10 {
        now = now + Duration::from_millis(10);
        desks.iter_mut().for_each(|desk| desk.turn(now));
    }
    assert!(desks.iter().all(Desk::is_empty));
    assert!(desks.iter().all(|desk| desk.poll_timeout() == Moment::NEVER));
    assert!((0..AGENTS).map(AgentId).all(|agent| board.presence(agent).is_free()));
    assert!((0..GROUPS + AGENTS).all(|queue| board.is_empty(QueueId(queue))));
    tallies
}

#[test]
fn threads_bind_no_agent_twice_and_lose_no_caller() {
    stress(40);
}

#[test]
fn no_wake_up_is_lost_even_if_nobody_ever_sweeps() {
    assert_eq!(stress(0), Tallies::default());
}
