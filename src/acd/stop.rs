//! The stop test: a shard's thread is stopped at its n-th shared step, for every n of every operation.
//! Meanwhile the other shard frees an agent, takes calls in both queues and sweeps: all that is its own
//! is served, nobody idle or in a hand stands beside its callers. Then the sleeper wakes, and all
//! settles. Without the sweep it fails.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::key::Key;
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

/// Asked to go on, after having said that it stands.
type Gate = Box<dyn FnMut()>;

thread_local! {
    static GATE: RefCell<Option<Gate>> = const { RefCell::new(None) };
}

/// Before each access to a word that shards share.
pub(super) fn step() {
    // Taken out while it runs: nothing that it does counts as a step.
    let gate = GATE.with_borrow_mut(Option::take);
    if let Some(mut gate) = gate {
        gate();
        GATE.set(Some(gate));
    }
}

/// Whom the stopped shard works on.
const ANNA: AgentId = AgentId(0);
/// Whom the other shard frees meanwhile.
const BORIS: AgentId = AgentId(1);
/// Idle, for the other shard's new caller in the other queue.
const CLARA: AgentId = AgentId(2);
const QUEUE: QueueId = QueueId(0);
const OTHER: QueueId = QueueId(1);
const START: Moment = Moment::from_millis(1_000);

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// The stage: what the operation finds, beside the two desks.
struct Stage {
    board: Arc<Board>,
    x: Desk,
    y: Desk,
    /// Anna's and Boris's calls.
    anna: Option<Token>,
    boris: Token,
}

impl Stage {
    fn new() -> Self {
        let limits = BoardLimits {
            agents: 3,
            groups: 2,
            shards: 2,
            queue_len_max: 9,
            credit_max: Duration::ZERO,
        };
        let wakers = (0..2).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
        let board = Arc::new(Board::new(limits, wakers));
        let mut x = Desk::new(board.clone(), ShardId(0));
        let mut y = Desk::new(board.clone(), ShardId(1));
        for (agent, queue) in [(ANNA, QUEUE), (BORIS, QUEUE), (CLARA, OTHER)] {
            board.set_roster(ShardId(0), agent, &[queue.into()]).expect("within the bounds");
            x.clear_flag(START, agent, Flags::UNREACHABLE);
        }
        let anna = x.adopt_talking(ANNA);
        let boris = y.adopt_talking(BORIS).expect("free");
        Self { board, x, y, anna, boris }
    }

    /// Anna has nothing to do.
    fn idle(mut self) -> Self {
        let token = self.anna.take().expect("in a call");
        assert!(self.x.release(START, token, After::Free));
        self
    }

    fn x_has(mut self, micros: u64) -> Self {
        enter(&mut self.x, 0, micros, QUEUE);
        self
    }

    fn y_has(mut self, micros: u64) -> Self {
        enter(&mut self.y, 1, micros, QUEUE);
        self
    }
}

fn enter(desk: &mut Desk, shard: u8, micros: u64, queue: QueueId) -> CallKey {
    let call = CallKey::new(1, ShardId(shard), micros as u32);
    let at = START + Duration::from_micros(micros);
    desk.enter(at, call, Ask::default(), &[queue]).expect("room");
    call
}

/// What the stopped shard does.
type Deed = fn(&mut Desk, Option<Token>);

/// Stops `deed` at its step `n`. `Ok(false)`: it has fewer steps. `Err`: what was not served meanwhile.
fn stop_at(n: usize, stage: Stage, deed: Deed, sweeps: bool) -> Result<bool, String> {
    let Stage { board, mut x, mut y, anna, boris } = stage;
    let (stands, told): (Sender<bool>, Receiver<bool>) = channel();
    let (go_on, waits): (Sender<()>, Receiver<()>) = channel();
    let thread = std::thread::spawn(move || {
        let (mut steps, at) = (0, stands.clone());
        GATE.set(Some(Box::new(move || {
            steps += 1;
            if steps == n {
                at.send(true).expect("the test waits");
                waits.recv().expect("the test goes on");
            }
        })));
        deed(&mut x, anna);
        GATE.set(None);
        // Nobody listens any more if it was stopped.
        let _ = stands.send(false);
        x
    });
    let stopped = told.recv().expect("it stands or is through");
    let served = meanwhile(&board, &mut y, boris, sweeps);
    // It is through already, or waits.
    let _ = go_on.send(());
    let mut x = thread.join().expect("no check failed");
    served.map_err(|why| format!("stopped at step {n}: {why}"))?;
    let later = START + Duration::from_secs(1);
    for round in 0..8 {
        let now = later + SWEEP_EVERY * round;
        x.turn(now);
        y.turn(now);
    }
    at_rest(&board, 0)?;
    at_rest(&board, 1)?;
    let valid = x.held().chain(y.held()).filter(|token| board.is_current(*token));
    let mut bound: Vec<AgentId> = valid.map(|token| token.agent()).collect();
    let all = bound.len();
    bound.sort_unstable();
    bound.dedup();
    if bound.len() < all {
        return Err(format!("stopped at step {n}: bound twice: {bound:?}"));
    }
    Ok(stopped)
}

/// The other shard goes on while one stands still.
fn meanwhile(board: &Board, y: &mut Desk, boris: Token, sweeps: bool) -> Result<(), String> {
    assert!(y.release(START, boris, After::Free));
    let call = enter(y, 1, 50, OTHER);
    turn(y, 1, sweeps);
    enter(y, 1, 60, QUEUE);
    turn(y, 20, sweeps);
    let mut served = Vec::new();
    while let Some(assignment) = y.poll() {
        served.push(assignment.call);
    }
    if !served.contains(&call) {
        return Err("the caller in the other queue is not served".into());
    }
    at_rest(board, 1)
}

/// A few turns, long enough for what a stalled thread holds; without sweeps time stands still.
fn turn(desk: &mut Desk, from: u32, sweeps: bool) {
    let rounds = 4 + HAND_LIMIT.as_millis().div_ceil(SWEEP_EVERY.as_millis()) as u32;
    for round in from..from + rounds {
        desk.turn(if sweeps { START + SWEEP_EVERY * round } else { START });
    }
}

/// Nobody who could be offered a call stands beside a caller of `shard`.
fn at_rest(board: &Board, shard: usize) -> Result<(), String> {
    for agent in 0..3 {
        let word = board.word(agent);
        let kept = word.is_idle() || word.state() == AgentState::Hand;
        let mut queues = board.roster.serving(agent).map(|entry| entry.queue());
        let beside = queues.any(|queue| board.head(queue, shard) != Key::EMPTY);
        if kept && word.flags().is_empty() && beside {
            return Err(format!("agent {agent} is kept from a caller: {word:?}"));
        }
    }
    Ok(())
}

/// At each step, until there are no more.
fn everywhere(stage: fn() -> Stage, deed: Deed) {
    let mut n = 1;
    while stop_at(n, stage(), deed, true).unwrap_or_else(|why| panic!("{why}")) {
        n += 1;
    }
    println!("stopped at each of {} steps", n - 1);
    assert!(n > 1, "nothing was stopped");
}

macro_rules! stops {
    ($($name:ident: $stage:expr, $deed:expr;)+) => {
        $(
            #[test]
            fn $name() {
                everywhere(|| $stage, $deed);
            }
        )+
    };
}

fn free(desk: &mut Desk, token: Option<Token>) {
    assert!(desk.release(START, token.expect("in a call"), After::Free));
}

fn arrive(desk: &mut Desk, _: Option<Token>) {
    enter(desk, 0, 5, QUEUE);
}

fn ring_two(desk: &mut Desk) {
    let ask = Ask { agents: 2, strategy: Strategy::FewestCalls, ..Ask::default() };
    let call = CallKey::new(1, ShardId(0), 5);
    desk.enter(START + Duration::from_micros(5), call, ask, &[QUEUE]).expect("room");
}

stops! {
    freeing_an_agent_for_anothers_caller: Stage::new().y_has(5).x_has(7), free;
    freeing_an_agent_for_an_own_caller: Stage::new().x_has(5).y_has(7), free;
    freeing_an_agent_for_nobody: Stage::new(), free;
    arriving_beside_an_idle_agent: Stage::new().idle(), arrive;
    arriving_behind_anothers_caller: Stage::new().y_has(4), arrive;
    arriving_as_announced: Stage::new().idle(), |desk, _| {
        desk.arriving(START);
        enter(desk, 0, 5, QUEUE);
        desk.arrived();
    };
    coming_back_from_a_break: {
        let mut stage = Stage::new();
        stage.x.set_flag(ANNA, Flags::PAUSED);
        stage.idle().y_has(5)
    }, |desk, _| {
        desk.clear_flag(START, ANNA, Flags::PAUSED);
    };
    answering_the_bell: {
        let mut stage = Stage::new().x_has(3).y_has(5);
        let anna = stage.anna.take().expect("in a call");
        assert!(stage.x.release(START, anna, After::Free));
        stage
    }, |desk, _| desk.turn(START);
    moving_an_agent: Stage::new().idle().y_has(5), |desk, _| {
        let board = desk.board().clone();
        board.set_roster(ShardId(0), ANNA, &[OTHER.into()]).expect("within the bounds");
    };
    sweeping: Stage::new().idle().y_has(5), |desk, _| {
        desk.turn(START + SWEEP_EVERY);
        desk.turn(START + SWEEP_EVERY * 2);
    };
    a_failed_offer: {
        let mut stage = Stage::new().idle();
        enter(&mut stage.x, 0, 5, QUEUE);
        stage.anna = Some(stage.x.poll().expect("Anna is idle").token);
        stage
    }, |desk, token| {
        let token = token.expect("offered");
        desk.give_back(START, CallKey::new(1, ShardId(0), 5), token);
        desk.back_off(ANNA, START + Duration::from_millis(1));
        assert!(desk.release(START, token, After::Free));
    };
    hanging_up: Stage::new().x_has(5).y_has(7), |desk, _| {
        assert!(desk.withdraw(CallKey::new(1, ShardId(0), 5)));
    };
    ending_a_rest: {
        let mut stage = Stage::new().y_has(5);
        let anna = stage.anna.take().expect("in a call");
        let never = After::Wrap(Moment::NEVER);
        assert!(stage.x.release(START, anna, never));
        stage
    }, |desk, _| {
        assert!(desk.end_wrap(START, ANNA));
    };
    being_released_by_hand: Stage::new().y_has(5), |desk, _| {
        assert!(desk.operator_release(START, ANNA));
    };
    letting_helpers_in: {
        let mut stage = Stage::new();
        let serves = [Serve { helper: true, ..QUEUE.into() }];
        stage.board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
        let anna = stage.anna.take().expect("in a call");
        assert!(stage.x.release(START, anna, After::Free));
        stage.y_has(4).y_has(5)
    }, |desk, _| {
        let board = desk.board().clone();
        assert!(board.open_help(ShardId(0), QUEUE));
    };
    sending_helpers_away: {
        let stage = Stage::new().idle();
        let serves = [Serve { helper: true, ..QUEUE.into() }];
        stage.board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
        assert!(stage.board.open_help(ShardId(0), QUEUE));
        stage.y_has(5)
    }, |desk, _| {
        assert!(desk.board().close_help(QUEUE));
    };
    preferring_a_queue: Stage::new().idle().y_has(5), |desk, _| {
        let board = desk.board().clone();
        let serves = [OTHER.into(), Serve { head_start: Duration::from_secs(1), ..QUEUE.into() }];
        board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
    };
    ringing_two: Stage::new().idle(), |desk, _| ring_two(desk);
    answering_first_of_two: Stage::new().idle(), |desk, _| {
        ring_two(desk);
        let first = desk.poll().expect("Anna is idle").token;
        assert!(desk.answered(first).is_some());
    };
    failing_one_of_two: {
        let mut stage = Stage::new().idle();
        ring_two(&mut stage.x);
        stage.y_has(7)
    }, |desk, _| {
        let Some(Assignment { call, token, agent, .. }) = desk.poll() else { return };
        desk.give_back(START, call, token);
        desk.back_off(agent, START + Duration::from_millis(1));
        assert!(desk.release(START, token, After::Free));
    };
    moving_a_caller: {
        let mut stage = Stage::new();
        let serves = [QUEUE, stage.board.own_queue(ANNA)].map(Serve::from);
        stage.board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
        let elsewhere = stage.board.own_queue(BORIS);
        enter(&mut stage.x, 0, 5, elsewhere);
        stage.idle()
    }, |desk, _| {
        let (call, own) = (CallKey::new(1, ShardId(0), 5), desk.board().own_queue(ANNA));
        assert_eq!(desk.move_to(START, call, Strategy::RoundRobin, &[own]), Ok(()));
    };
    another_call_of_the_agent: Stage::new().idle().y_has(5), |desk, _| {
        desk.occupy(ANNA);
        desk.vacate(ANNA);
    };
}

#[test]
fn without_sweeps_a_stopped_thread_keeps_what_it_holds() {
    let stage = || Stage::new().x_has(5).y_has(7);
    let mut n = 1;
    loop {
        match stop_at(n, stage(), free, false) {
            Err(_) => return,
            Ok(true) => n += 1,
            Ok(false) => panic!("no step of {n} needs the sweep"),
        }
    }
}
