//! What the distributor costs, on one thread: claiming an idle agent, and the cycle of an agent who comes
//! free beside a backlog. Group sizes and shards as in a large company.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use telefonist::acd::{After, Ask, Board, BoardLimits, Desk, Flags, Serve, Token, Wake};
use telefonist::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const GROUP: QueueId = QueueId(0);
const NOW: Moment = Moment::from_millis(1_000);

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// `agents` people of one group, all there, and the first shard's desk.
fn desk(agents: u16, shards: u16) -> Desk {
    let limits = BoardLimits {
        agents,
        groups: 64,
        shards,
        queue_len_max: 10_000,
        credit_max: Duration::from_secs(600),
    };
    let wakers = (0..shards).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
    let board = Arc::new(Board::new(limits, wakers));
    let mut desk = Desk::new(board.clone(), ShardId(0));
    for agent in (0..agents).map(AgentId) {
        let queues = [board.own_queue(agent), GROUP];
        board.set_roster(ShardId(0), agent, &queues.map(Serve::from)).expect("within the bounds");
        desk.clear_flag(NOW, agent, Flags::UNREACHABLE);
    }
    desk
}

fn call(number: u32) -> CallKey {
    CallKey::new(1, ShardId(0), number)
}

fn enter(desk: &mut Desk, number: u32) {
    let entered = desk.enter(NOW, call(number), Ask::default(), &[GROUP]);
    entered.expect("room");
}

fn bound(desk: &mut Desk) -> (CallKey, Token) {
    let assignment = desk.poll().expect("somebody is idle");
    (assignment.call, assignment.token)
}

/// A caller enters, an idle agent is found, taken and committed; hangs up, the agent goes idle again.
fn claim(c: &mut Criterion) {
    let mut group = c.benchmark_group("claim an idle agent");
    for (agents, shards) in [(1, 1), (10, 4), (500, 4), (500, 16)] {
        let mut desk = desk(agents, shards);
        let mut number = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{agents} of {shards}")), |b| {
            b.iter(|| {
                number += 1;
                enter(&mut desk, number);
                let (call, token) = bound(&mut desk);
                desk.withdraw(call);
                black_box(desk.release(NOW, token, After::Free))
            });
        });
    }
    group.finish();
}

/// An agent comes free beside a backlog: freed → bound, and a new caller takes the place in line.
fn backlog(c: &mut Criterion) {
    let mut group = c.benchmark_group("freed beside a backlog");
    for waiting in [1_u32, 100, 1_000] {
        let mut desk = desk(1, 4);
        (0..=waiting).for_each(|number| enter(&mut desk, number));
        let mut number = waiting;
        let mut held = Some(bound(&mut desk));
        group.bench_function(BenchmarkId::from_parameter(waiting), |b| {
            b.iter(|| {
                let (call, token) = held.take().expect("bound in the last round");
                let talking = desk.answered(token).expect("ours");
                desk.withdraw(call);
                desk.release(NOW, talking, After::Free);
                held = Some(bound(&mut desk));
                number += 1;
                enter(&mut desk, number);
            });
        });
    }
    group.finish();
}

/// Hanging up while waiting among a thousand; and a turn and a sweep of 500 people.
fn housekeeping(c: &mut Criterion) {
    let mut waiting = desk(0, 4);
    (0..1_000).for_each(|number| enter(&mut waiting, number));
    let mut number = 1_000;
    c.bench_function("enter and hang up among 1000", |b| {
        b.iter(|| {
            number += 1;
            enter(&mut waiting, number);
            black_box(waiting.withdraw(call(number)))
        });
    });
    let mut idle = desk(500, 4);
    c.bench_function("turn with nothing to do", |b| b.iter(|| idle.turn(black_box(NOW))));
    c.bench_function("sweep of 500 people", |b| {
        b.iter_batched(
            || {
                let mut desk = desk(500, 4);
                (0..500).map(AgentId).for_each(|agent| {
                    desk.set_flag(agent, Flags::PAUSED);
                });
                enter(&mut desk, 1);
                desk
            },
            |mut desk| {
                desk.turn(NOW + Duration::from_secs(1));
                desk
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, claim, backlog, housekeeping);
criterion_main!(benches);
