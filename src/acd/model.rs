//! Loom models of the protocol, each with twins that leave out one part and must fail:
//! `RUSTFLAGS="--cfg loom" cargo test --no-default-features --release --lib acd::model`.
//!
//! Real desks on loom's threads, one agent unless said, time standing still: nobody sweeps. After the
//! threads are joined every desk turns until nobody is in a hand; then no agent may be idle beside a
//! waiting caller. Most models explore every execution; those with many threads or steps, and all
//! twins, every one with at most [`SWITCHES`] forced switches of thread. Figures (scores, depths,
//! tallies) are no part of the protocol and no loom atomics; the lengths of queues are (M24).

use std::sync::Arc;
use std::time::Duration;

use callers::*;
use loom::thread::spawn;
use words::*;

use super::weak::Part;
use super::word::{AgentState, Flags, Token, Word};
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

mod callers;
mod words;

/// The preemption bound where there is one.
const SWITCHES: usize = 4;
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

/// A worker's sleep: a wake-up before it ends it at once.
#[derive(Default)]
struct Sleeper {
    woken: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Sleeper {
    fn sleep(&self) {
        let mut woken = self.woken.lock().expect("nobody panics here");
        while !std::mem::take(&mut *woken) {
            woken = self.changed.wait(woken).expect("nobody panics here");
        }
    }
}

impl Wake for Sleeper {
    fn wake(&self) {
        *self.woken.lock().expect("nobody panics here") = true;
        self.changed.notify_one();
    }
}

/// One group, everybody serves it and is there.
fn board(lacking: &[Part], shards: u16, agents: u16) -> (Arc<Board>, Vec<Desk>) {
    board_of(lacking, shards, agents, 9)
}

/// The same with room for so many callers in a queue.
fn board_of(lacking: &[Part], shards: u16, agents: u16, room: u32) -> (Arc<Board>, Vec<Desk>) {
    let wakers = (0..shards).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
    staffed(lacking, shards, agents, room, wakers)
}

fn staffed(
    lacking: &[Part],
    shards: u16,
    agents: u16,
    queue_len_max: u32,
    wakers: Vec<Arc<dyn Wake>>,
) -> (Arc<Board>, Vec<Desk>) {
    let credit_max = Duration::from_secs(1);
    let limits = BoardLimits { agents, groups: 1, shards, queue_len_max, credit_max };
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

/// Makes `word` the first agent's.
fn put(board: &Board, word: Word) -> Word {
    board.words.at(0).store(word.bits(), super::atomic::Ordering::SeqCst);
    word
}

/// All turn until nobody is in a hand. Who has the caller of each desk.
fn settle(board: &Board, desks: &mut [Desk]) -> Vec<Option<AgentId>> {
    turn_until_at_rest(board, desks);
    desks
        .iter_mut()
        .map(|desk| {
            let first = desk.poll()?;
            assert!(board.is_current(first.token), "the agent was taken from the caller");
            assert_eq!(desk.poll(), None, "one caller, one agent");
            Some(first.agent)
        })
        .collect()
}

/// All turn until nobody is in a hand; then nobody is idle beside a waiting caller.
fn turn_until_at_rest(board: &Board, desks: &mut [Desk]) {
    for round in 0.. {
        desks.iter_mut().for_each(|desk| desk.turn(NOW));
        let words: Vec<Word> = (0..board.words.len()).map(|agent| board.word(agent)).collect();
        if words.iter().all(|word| word.state() != AgentState::Hand) {
            for (agent, word) in words.iter().enumerate() {
                let beside = word.is_idle() && board.best(0, agent).is_some();
                assert!(!beside, "agent {agent} is idle beside a waiting caller");
            }
            return;
        }
        assert!(round < 5, "left in a hand: {words:?}");
    }
}

macro_rules! holds {
    ($switches:expr, $($name:ident: $world:ident;)+) => {
        $(#[test]
        fn $name() {
            let executions = explore(&[], $world, $switches);
            println!("{executions} executions");
            assert!(executions > 1, "nothing was explored");
        })+
    };
}

macro_rules! needs {
    ($($name:ident: $world:ident without $($part:ident),+;)+) => {
        $(#[test]
        #[should_panic]
        fn $name() {
            explore(&[$(Part::$part),+], $world, Some(SWITCHES));
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
    m14_of_two_who_take_an_agent_back_one_does: revoke_twice;
    m15_a_hand_over_that_was_taken_back_binds_nobody: hand_over_again;
    m18_helpers_let_in_serve_at_once: open_help_and_free;
    m19_a_rest_ends_once: end_a_rest_twice;
    m20_a_returned_caller_gets_whoever_comes_free: return_and_free;
    m21_no_later_caller_overtakes_one_on_the_way: arrive_and_arrive_later;
    m22_a_caller_who_comes_to_nothing_holds_nobody: arrive_and_come_to_nothing;
    m23_both_shards_count_the_head_start: head_start_and_free;
    m24_no_queue_takes_more_than_it_may: two_arrive_for_one_place;
    m25_no_wake_up_is_lost: sleep_and_hand_over;
    m26_a_wrapped_epoch_tells_words_apart: hand_over_again_as_the_epoch_wraps;
    m27_a_caller_who_arrives_while_helpers_are_let_in_is_served: open_help_and_arrive;
    m29_a_caller_who_arrives_while_somebody_unmarked_comes_free_is_served: arrive_and_free_unmarked;
}

// Many threads or many steps: with a bound.
holds! {
    Some(SWITCHES),
    m08_an_agent_moved_in_serves_at_once: move_in_and_free;
    m12_a_call_that_rings_two_gets_both: ring_two;
    m13_an_agent_who_comes_free_serves_one_of_two_arrivals: free_and_two_arrive;
    m16_an_agent_too_many_comes_back: two_freed_for_one_caller;
    m17_a_caller_in_two_queues_is_bound_once: two_freed_for_a_caller_in_two_queues;
    m28_a_mark_taken_away_hides_nobody: look_and_free_and_arrive;
}

needs! {
    m01_needs_the_fence_after_showing: arrive_and_free without ShowFence;
    m01_needs_the_fence_in_place: arrive_and_free without PlaceFence;
    m01_needs_more_than_acquire_and_release: arrive_and_free without ShowFence, PlaceFence;
    m01_needs_the_second_look: arrive_and_free without PlaceLook;
    m01_needs_the_hand_before_the_bell: arrive_and_free without HandBeforeBell;
    m02_needs_taking_by_swap: two_arrive without TakeSwap;
    m03_needs_arrivals_that_place: resume_beside_an_older_caller without ArrivalPlaces;
    m04_needs_commit_by_swap: pause_and_commit without CommitSwap;
    m05_needs_commit_by_swap: revoke_and_commit without CommitSwap;
    m06_needs_the_hand_before_the_bell: hang_up_and_hand_over without HandBeforeBell;
    m07_needs_the_fence_in_revive: revive_and_free without ReviveFence;
    m07_needs_the_fence_in_place: revive_and_free without PlaceFence;
    m08_needs_the_take: move_in_and_free without RosterTake;
    m08_needs_the_fence: move_in_and_free without RosterFence;
    m09_needs_the_take: move_out_and_commit without RosterTake;
    m10_needs_the_bell_first: two_ring without BellFirst;
    m11_needs_the_look: resume_and_arrive without ClearLook;
    m11_needs_the_fence_after_showing: resume_and_arrive without ShowFence;
    m12_needs_the_fence_after_showing: ring_two without ShowFence;
    m12_needs_the_fence_in_place: ring_two without PlaceFence;
    m13_needs_the_fence_in_place: free_and_two_arrive without PlaceFence;
    m14_needs_taking_by_swap: revoke_twice without TakeSwap;
    m15_needs_the_epoch: hand_over_again without Epoch;
    m16_needs_the_hand_before_the_bell: two_freed_for_one_caller without HandBeforeBell;
    m17_needs_leaving_every_queue: two_freed_for_a_caller_in_two_queues without LeaveAll;
    m18_needs_the_fence: open_help_and_free without HelpFence;
    m18_needs_the_look: open_help_and_free without HelpLook;
    m19_needs_taking_by_swap: end_a_rest_twice without TakeSwap;
    m20_needs_the_fence_on_return: return_and_free without ShowFence;
    m21_needs_the_look_at_arrivals_first: arrive_and_arrive_later without ArrivingFirst;
    m22_needs_the_hand_before_the_bell: arrive_and_come_to_nothing without HandBeforeBell;
    m23_needs_the_head_start: head_start_and_free without HeadStart;
    m24_needs_counting_before_comparing: two_arrive_for_one_place without AdmitFirst;
    m25_needs_the_mark_before_the_wake_up: sleep_and_hand_over without MarkFirst;
    m26_needs_the_epoch: hand_over_again_as_the_epoch_wraps without Epoch;
    m27_needs_the_look: open_help_and_arrive without HelpLook;
    m28_needs_the_mark: look_and_free_and_arrive without IdleMark;
    m28_needs_the_mark_before_the_look: look_and_free_and_arrive without IdleMarkFirst;
    m28_needs_reading_the_word_again: look_and_free_and_arrive without IdleAgain;
    m28_needs_the_look_at_whom_it_hid: look_and_free_and_arrive without IdleOwes;
    m28_needs_the_fence_after_showing: look_and_free_and_arrive without ShowFence;
    m29_needs_the_mark: arrive_and_free_unmarked without IdleMark;
    m29_needs_the_mark_before_the_look: arrive_and_free_unmarked without IdleMarkFirst;
    m29_needs_the_fence_after_showing: arrive_and_free_unmarked without ShowFence;
    m29_needs_the_fence_in_place: arrive_and_free_unmarked without PlaceFence;
}
