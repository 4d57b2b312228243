//! Loom models of the protocol, each with twins that leave out one part and must fail:
//! `RUSTFLAGS="--cfg loom" cargo test --no-default-features --release --lib acd::model`.
//!
//! Real desks on loom's threads, one agent unless said, time standing still: nobody sweeps. After the
//! threads are joined every desk turns until nobody is in a hand; then no agent may be idle beside a
//! waiting caller.

use std::sync::Arc;
use std::time::Duration;

use loom::thread::spawn;

use super::weak::Part;
use super::word::{AgentState, Flags, Token, Word};
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const NOW: Moment = Moment::from_millis(1);
const ANNA: AgentId = AgentId(0);
const BORIS: AgentId = AgentId(1);
const QUEUE: QueueId = QueueId(0);

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// Explores `world` on a board that lacks some parts, with at most `switches` forced switches. How many
/// executions there were.
fn explore(lacking: &'static [Part], world: fn(&[Part]), switches: Option<usize>) -> u64 {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = switches;
    model.max_branches = 50_000;
    let executions = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = executions.clone();
    model.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        world(lacking);
    });
    executions.load(std::sync::atomic::Ordering::Relaxed)
}

/// One group, everybody serves it and is there.
fn board(lacking: &[Part], shards: u16, agents: u16) -> (Arc<Board>, Vec<Desk>) {
    let limits =
        BoardLimits { agents, groups: 1, shards, queue_len_max: 9, credit_max: Duration::ZERO };
    let wakers = (0..shards).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
    let mut board = Board::new(limits, wakers);
    board.lacking = lacking.to_vec();
    let board = Arc::new(board);
    let mut desks: Vec<Desk> =
        (0..shards).map(|shard| Desk::new(board.clone(), ShardId(shard as u8))).collect();
    for agent in (0..agents).map(AgentId) {
        board.set_roster(ShardId(0), agent, &[QUEUE.into()]).expect("within the bounds");
        desks[0].clear_flag(NOW, agent, Flags::UNREACHABLE);
    }
    (board, desks)
}

fn pair(desks: Vec<Desk>) -> (Desk, Desk) {
    let mut desks = desks.into_iter();
    (desks.next().expect("two shards"), desks.next().expect("two shards"))
}

fn call(shard: u8) -> CallKey {
    CallKey::new(1, ShardId(shard), 1)
}

/// A call of a shard's desk enters at `micros` after the start.
fn enter(desk: &mut Desk, shard: u8, micros: u64) {
    let at = NOW + Duration::from_micros(micros);
    desk.enter(at, call(shard), Ask::default(), &[QUEUE]).expect("room");
}

fn busy(desk: &mut Desk, agent: AgentId) -> Token {
    desk.adopt_talking(agent).expect("free")
}

/// All turn until nobody is in a hand. Who has the caller of each desk.
fn settle(board: &Board, desks: &mut [Desk]) -> Vec<Option<AgentId>> {
    for round in 0.. {
        desks.iter_mut().for_each(|desk| desk.turn(NOW));
        let words: Vec<Word> = (0..board.words.len()).map(|agent| board.word(agent)).collect();
        if words.iter().all(|word| word.state() != AgentState::Hand) {
            for (agent, word) in words.iter().enumerate() {
                let beside = word.is_idle() && board.best(0, agent).is_some();
                assert!(!beside, "agent {agent} is idle beside a waiting caller");
            }
            break;
        }
        assert!(round < 5, "left in a hand: {words:?}");
    }
    desks
        .iter_mut()
        .map(|desk| {
            let first = desk.poll().map(|assignment| assignment.agent);
            assert_eq!(desk.poll(), None, "one caller, one agent");
            first
        })
        .collect()
}

/// M1: a caller arrives on one shard while another frees the agent.
fn arrive_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y.turn(NOW);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M2: two callers arrive on two shards, one agent is idle.
fn two_arrive(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    enter(&mut x, 0, 7);
    let y = other.join().expect("no check failed");
    let mut desks = [x, y];
    let served = settle(&board, &mut desks);
    assert_eq!(served.iter().flatten().count(), 1);
    assert_eq!(board.len(QUEUE), 1);
}

/// M3: an older caller waits elsewhere; the agent comes back from a break while a new caller arrives.
fn resume_beside_an_older_caller(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 1);
    desks[0].set_flag(ANNA, Flags::PAUSED);
    enter(&mut desks[1], 1, 5);
    let mut z = desks.pop().expect("three shards");
    let other = spawn(move || {
        enter(&mut z, 2, 7);
        z
    });
    desks[0].clear_flag(NOW, ANNA, Flags::PAUSED);
    desks.push(other.join().expect("no check failed"));
    assert_eq!(settle(&board, &mut desks), [None, Some(ANNA), None]);
}

/// M4: a pause that came before the offer is never followed by one.
fn pause_and_commit(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (_x, mut y) = pair(desks);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    let before = board.raise(0, Flags::PAUSED);
    let mut y = other.join().expect("no check failed");
    let end = board.word(0);
    assert!(end.flags().contains(Flags::PAUSED), "the pause is lost");
    if before.state() != AgentState::Offered {
        assert_eq!(end.state(), AgentState::Free, "offered after the pause");
        assert_eq!(y.poll(), None);
    }
}

/// M5: an agent handed to a shard is taken back by a sweep, falsely, while that shard binds.
fn revoke_and_commit(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    enter(&mut x, 0, 7);
    assert!(x.release(NOW, token, After::Free));
    let other = spawn(move || {
        y.turn(NOW);
        y
    });
    x.turn(NOW + SWEEP_EVERY);
    x.turn(NOW + SWEEP_EVERY + HAND_LIMIT);
    let y = other.join().expect("no check failed");
    let served = settle(&board, &mut [x, y]);
    assert_eq!(served.iter().flatten().count(), 1);
    assert_eq!(board.len(QUEUE), 1);
}

/// M6: the caller hangs up while the agent is handed over; the other shard's caller gets the agent back.
fn hang_up_and_hand_over(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    enter(&mut x, 0, 7);
    let other = spawn(move || {
        assert!(y.withdraw(call(1)));
        y.turn(NOW);
        let unpolled = y.poll();
        (y, unpolled)
    });
    assert!(x.release(NOW, token, After::Free));
    x.turn(NOW);
    let (y, unpolled) = other.join().expect("no check failed");
    assert_eq!(unpolled, None, "the caller is gone");
    assert_eq!(settle(&board, &mut [x, y]), [Some(ANNA), None]);
}

/// M7: a shard passed over as stalled comes back while the agent goes idle past its caller.
fn revive_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    board.suspect(1);
    let other = spawn(move || {
        y.turn(NOW);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M8: an agent is moved into the queue where a caller waits, while coming free.
fn move_in_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let own = board.own_queue(ANNA);
    y.enter(NOW, call(1), Ask::default(), &[own]).expect("room");
    let shared = board.clone();
    let other = spawn(move || {
        shared
            .set_roster(ShardId(1), ANNA, &[QUEUE, own].map(Serve::from))
            .expect("within the bounds");
        y.turn(NOW);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M9: once an agent was moved out, unbound, no offer from the old queue follows.
fn move_out_and_commit(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    // In the hand of shard 1, rung for.
    assert!(x.release(NOW, token, After::Free));
    let other = spawn(move || {
        y.turn(NOW);
        y.poll()
    });
    board.set_roster(ShardId(0), ANNA, &[]).expect("within the bounds");
    let moved = board.word(0);
    let offered = other.join().expect("no check failed");
    if moved.state() != AgentState::Offered {
        assert_eq!(offered, None, "offered after the move");
    }
}

/// M10: two agents are handed over by two threads while the bell is answered.
fn two_ring(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 2);
    let mut y = desks.pop().expect("three shards");
    let (mut x, mut z) = pair(desks);
    let (anna, boris) = (busy(&mut x, ANNA), busy(&mut z, BORIS));
    let later = CallKey::new(1, ShardId(2), 2);
    enter(&mut y, 2, 5);
    y.enter(NOW, later, Ask::default(), &[QUEUE]).expect("room");
    let one = spawn(move || assert!(x.release(NOW, anna, After::Free)));
    let two = spawn(move || assert!(z.release(NOW, boris, After::Free)));
    y.turn(NOW);
    one.join().expect("no check failed");
    two.join().expect("no check failed");
    y.turn(NOW);
    assert!(y.poll().is_some() && y.poll().is_some(), "both callers are served");
    assert_eq!(board.len(QUEUE), 0);
}

/// M11: the agent comes back from a break while a caller arrives.
fn resume_and_arrive(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    x.set_flag(ANNA, Flags::PAUSED);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    x.clear_flag(NOW, ANNA, Flags::PAUSED);
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M13: an agent comes free while two callers arrive on two more shards.
fn free_and_two_arrive(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 1);
    let mut z = desks.pop().expect("three shards");
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let one = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    let two = spawn(move || {
        enter(&mut z, 2, 6);
        z
    });
    assert!(x.release(NOW, token, After::Free));
    let y = one.join().expect("no check failed");
    let z = two.join().expect("no check failed");
    let served = settle(&board, &mut [x, y, z]);
    assert_eq!(served.iter().flatten().count(), 1);
}

/// M16: two agents come free on two shards for one older caller on a third; the one too many comes back
/// to the younger caller.
fn two_freed_for_one_caller(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 2);
    let mut z = desks.pop().expect("three shards");
    let (mut x, mut y) = pair(desks);
    let (anna, boris) = (busy(&mut x, ANNA), busy(&mut z, BORIS));
    enter(&mut y, 1, 5);
    enter(&mut x, 0, 7);
    let one = spawn(move || {
        y.turn(NOW);
        y
    });
    let two = spawn(move || {
        assert!(z.release(NOW, boris, After::Free));
        z
    });
    assert!(x.release(NOW, anna, After::Free));
    x.turn(NOW);
    let y = one.join().expect("no check failed");
    let z = two.join().expect("no check failed");
    let served = settle(&board, &mut [x, y, z]);
    assert!(served[0].is_some() && served[1].is_some() && served[0] != served[1]);
}

/// M17: a caller in two queues, an agent of each comes free on two other shards: bound once.
fn two_freed_for_a_caller_in_two_queues(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 2);
    let mut z = desks.pop().expect("three shards");
    let (mut x, mut y) = pair(desks);
    let (anna, boris) = (busy(&mut x, ANNA), busy(&mut z, BORIS));
    let own = [board.own_queue(ANNA), board.own_queue(BORIS)];
    for (agent, own) in [(ANNA, own[0]), (BORIS, own[1])] {
        board.set_roster(ShardId(0), agent, &[own.into()]).expect("within the bounds");
    }
    let one = spawn(move || {
        y.enter(NOW, call(1), Ask::default(), &own).expect("room");
        y
    });
    let two = spawn(move || {
        assert!(z.release(NOW, boris, After::Free));
        z
    });
    assert!(x.release(NOW, anna, After::Free));
    let y = one.join().expect("no check failed");
    let z = two.join().expect("no check failed");
    let served = settle(&board, &mut [x, y, z]);
    assert!(served[1].is_some());
    let idle = [ANNA, BORIS].map(|agent| board.presence(agent).is_free());
    assert!(idle[0] ^ idle[1]);
}

/// M19: a rest is ended by the agent and by a sweep at once.
fn end_a_rest_twice(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut y, ANNA);
    let until = NOW + HAND_LIMIT;
    assert!(y.release(NOW, token, After::Wrap(until)));
    enter(&mut x, 0, 7);
    let other = spawn(move || {
        y.end_wrap(until, ANNA);
        y
    });
    x.turn(until);
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [Some(ANNA), None]);
}

/// M20: a failed offer returns its caller and flags its agent while another agent comes free.
fn return_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 2);
    let (mut x, mut y) = pair(desks);
    let anna = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    let boris = y.poll().expect("Boris is idle").token;
    let other = spawn(move || {
        y.give_back(NOW, call(1), boris);
        y.set_flag(BORIS, Flags::NO_ANSWER);
        assert!(y.release(NOW, boris, After::Free));
        y
    });
    assert!(x.release(NOW, anna, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M21: a caller is on the way into one shard's line while a later one finds the idle agent.
fn arrive_and_arrive_later(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    x.arriving(NOW + Duration::from_micros(5));
    let other = spawn(move || {
        enter(&mut y, 1, 7);
        y.turn(NOW);
        y
    });
    enter(&mut x, 0, 5);
    x.arrived();
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [Some(ANNA), None]);
}

/// M22: the caller on the way goes nowhere; the agent handed there comes back.
fn arrive_and_come_to_nothing(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    x.arriving(NOW + Duration::from_micros(5));
    let other = spawn(move || {
        enter(&mut y, 1, 7);
        y
    });
    x.arrived();
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

macro_rules! holds {
    ($switches:expr, $($name:ident: $world:ident;)+) => {
        $(#[test]
        fn $name() {
            let executions = explore(&[], $world, $switches);
            println!("{executions} executions");
            assert!(executions > 5, "hardly anything was explored");
        })+
    };
}

macro_rules! needs {
    ($($name:ident: $world:ident without $($part:ident),+;)+) => {
        $(#[test]
        #[should_panic]
        fn $name() {
            explore(&[$(Part::$part),+], $world, Some(4));
        })+
    };
}

// Every execution there is.
holds! {
    None,
    m01_a_caller_who_arrives_while_an_agent_comes_free_is_served: arrive_and_free;
    m02_of_two_callers_one_gets_the_one_agent: two_arrive;
    m03_no_arrival_overtakes_an_older_caller: resume_beside_an_older_caller;
    m04_no_offer_follows_a_pause: pause_and_commit;
    m05_a_false_revocation_binds_nobody_twice: revoke_and_commit;
    m06_an_agent_handed_to_a_caller_who_hung_up_goes_on: hang_up_and_hand_over;
    m07_a_shard_that_comes_back_is_served: revive_and_free;
    m09_no_offer_follows_a_move: move_out_and_commit;
    m10_no_bell_is_lost: two_ring;
    m11_a_caller_who_arrives_while_an_agent_comes_back_is_served: resume_and_arrive;
    m19_a_rest_ends_once: end_a_rest_twice;
    m20_a_returned_caller_gets_whoever_comes_free: return_and_free;
    m21_no_later_caller_overtakes_one_on_the_way: arrive_and_arrive_later;
    m22_a_caller_who_comes_to_nothing_holds_nobody: arrive_and_come_to_nothing;
}

// Many threads or many steps: with a bound.
holds! {
    Some(4),
    m08_an_agent_moved_in_serves_at_once: move_in_and_free;
    m13_an_agent_who_comes_free_serves_one_of_two_arrivals: free_and_two_arrive;
    m16_an_agent_too_many_comes_back: two_freed_for_one_caller;
    m17_a_caller_in_two_queues_is_bound_once: two_freed_for_a_caller_in_two_queues;
}

needs! {
    m01_needs_the_fence_after_showing: arrive_and_free without ShowFence;
    m01_needs_the_fence_in_place: arrive_and_free without PlaceFence;
    m01_needs_more_than_acquire_and_release: arrive_and_free without ShowFence, PlaceFence;
    m01_needs_the_second_look: arrive_and_free without PlaceLook;
    m01_needs_the_hand_before_the_bell: arrive_and_free without HandBeforeBell;
    m03_needs_arrivals_that_place: resume_beside_an_older_caller without ArrivalPlaces;
    m04_needs_commit_by_swap: pause_and_commit without CommitSwap;
    m07_needs_the_fence_in_revive: revive_and_free without ReviveFence;
    m07_needs_the_fence_in_place: revive_and_free without PlaceFence;
    m08_needs_the_take: move_in_and_free without RosterTake;
    m09_needs_the_take: move_out_and_commit without RosterTake;
    m10_needs_the_bell_first: two_ring without BellFirst;
    m11_needs_the_look: resume_and_arrive without ClearLook;
    m11_needs_the_fence_after_showing: resume_and_arrive without ShowFence;
    m13_needs_the_fence_in_place: free_and_two_arrive without PlaceFence;
    m20_needs_the_fence_on_return: return_and_free without ShowFence;
    m21_needs_the_look_at_arrivals_first: arrive_and_arrive_later without ArrivingFirst;
}
