//! What a desk promises, one shard or two, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

/// Counts its calls.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two groups and `agents` people who all serve group 0 and are there.
pub(super) struct World {
    pub(super) board: Arc<Board>,
    pub(super) desks: Vec<Desk>,
    bells: Vec<Arc<Bell>>,
    pub(super) now: Moment,
    calls: u32,
}

pub(super) const GROUP: QueueId = QueueId(0);
pub(super) const OTHER: QueueId = QueueId(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn new(shards: u16, agents: u16) -> Self {
        let limits = BoardLimits {
            agents,
            groups: 2,
            shards,
            queue_len_max: 4,
            credit_max: Duration::from_secs(600),
        };
        let bells: Vec<Arc<Bell>> = (0..shards).map(|_| Arc::default()).collect();
        let wakers = bells.iter().map(|bell| bell.clone() as Arc<dyn Wake>).collect();
        let board = Arc::new(Board::new(limits, wakers));
        let desks = (0..shards).map(|s| Desk::new(board.clone(), ShardId(s as u8))).collect();
        let mut world = Self { board, desks, bells, now: Moment::from_millis(1_000), calls: 0 };
        for agent in (0..agents).map(AgentId) {
            let queues = [world.board.own_queue(agent), GROUP];
            world
                .board
                .set_roster(ShardId(0), agent, &queues.map(Serve::from))
                .expect("within the bounds");
            world.desks[0].clear_flag(world.now, agent, Flags::UNREACHABLE);
        }
        world
    }

    pub(super) fn call(&mut self, shard: u8) -> CallKey {
        self.calls += 1;
        CallKey::new(1, ShardId(shard), self.calls)
    }

    /// A call enters group 0 on a shard, a millisecond after the last one.
    pub(super) fn enter(&mut self, shard: u8) -> CallKey {
        let call = self.call(shard);
        self.pass(Duration::from_millis(1));
        let entered =
            self.desks[usize::from(shard)].enter(self.now, call, Ask::default(), &[GROUP]);
        assert_eq!(entered, Ok(()));
        call
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Every desk turns, twice, so that everything handed over is taken.
    pub(super) fn turn(&mut self) {
        for _ in 0..2 {
            self.desks.iter_mut().for_each(|desk| desk.turn(self.now));
        }
    }

    pub(super) fn poll(&mut self, shard: usize) -> Option<(CallKey, AgentId, Token)> {
        self.desks[shard].poll().map(|a| (a.call, a.agent, a.token))
    }
}

pub(super) const ANNA: AgentId = AgentId(0);
pub(super) const BORIS: AgentId = AgentId(1);

#[test]
fn what_is_shown_of_an_agent_is_shown_since_it_began() {
    let mut world = World::new(2, 1);
    let since = |world: &World| {
        let shown = world.board.presence(ANNA).shown_since.expect("it has changed");
        world.now.since(shown).as_secs()
    };
    let pass = |world: &mut World, seconds: u32| {
        world.pass(SECOND * seconds);
        world.turn();
    };
    pass(&mut world, 9);
    assert_eq!(since(&world), 9, "idle");
    world.enter(0);
    let token = world.desks[0].poll().expect("Anna is idle").token;
    pass(&mut world, 3);
    assert_eq!(since(&world), 3, "being offered a call");
    let token = world.desks[0].answered(token).expect("hers");
    pass(&mut world, 20);
    assert_eq!(since(&world), 20, "on a call");
    let until = world.now + SECOND * 10;
    world.desks[0].release(world.now, token, After::Wrap(until));
    pass(&mut world, 4);
    assert_eq!(since(&world), 4, "wrap-up");
    pass(&mut world, 6);
    pass(&mut world, 2);
    assert_eq!(since(&world), 2, "idle again");
    world.desks[1].set_flag(ANNA, Flags::PAUSED);
    pass(&mut world, 5);
    world.desks[1].set_flag(ANNA, Flags::OFF_SHIFT);
    assert_eq!(since(&world), 5, "not there since the first cause");
    world.desks[1].clear_flag(world.now, ANNA, Flags::PAUSED);
    pass(&mut world, 1);
    assert_eq!(since(&world), 6);
    world.desks[1].clear_flag(world.now, ANNA, Flags::OFF_SHIFT);
    pass(&mut world, 7);
    assert_eq!(since(&world), 7, "back, and not since the last call");
    world.desks[0].occupy(ANNA);
    pass(&mut world, 8);
    assert_eq!(since(&world), 8, "in a call of her own");
}

#[test]
fn a_caller_gets_an_idle_agent_at_once() {
    let mut world = World::new(1, 1);
    let call = world.enter(0);
    let assignment = world.desks[0].poll().expect("Anna is idle");
    assert_eq!((assignment.call, assignment.agent, assignment.queue), (call, ANNA, GROUP));
    assert_eq!(world.board.presence(ANNA).state, AgentState::Offered);
    assert_eq!(world.board.len(GROUP), 0);
    assert_eq!(world.desks[0].poll(), None);
}

#[test]
fn whoever_is_idle_for_longest_is_offered_first() {
    let mut world = World::new(1, 3);
    for agent in [2, 0, 1].map(AgentId) {
        world.pass(SECOND);
        world.desks[0].set_flag(agent, Flags::LOGGED_OUT);
        world.desks[0].clear_flag(world.now, agent, Flags::LOGGED_OUT);
    }
    world.desks[0].set_flag(AgentId(2), Flags::PAUSED);
    world.pass(SECOND);
    world.desks[0].clear_flag(world.now, AgentId(2), Flags::PAUSED);
    let order: Vec<u16> = (0..3)
        .map(|_| {
            world.enter(0);
            world.poll(0).expect("somebody is idle").1.0
        })
        .collect();
    assert_eq!(order, [2, 0, 1], "a break neither gains nor loses");
}

#[test]
fn callers_are_served_in_the_order_of_their_keys_over_all_shards() {
    let mut world = World::new(2, 1);
    world.enter(0);
    let (_, _, token) = world.poll(0).expect("Anna is idle");
    let second = world.enter(1);
    let third = world.enter(0);
    let key_client = world.call(1);
    world.pass(Duration::from_millis(1));
    let ask = Ask { credit: SECOND, ..Ask::default() };
    let entered = world.desks[1].enter(world.now, key_client, ask, &[GROUP]);
    assert_eq!(entered, Ok(()));
    let mut served = Vec::new();
    let mut holder = (0, token);
    for _ in 0..3 {
        assert!(world.desks[holder.0].release(world.now, holder.1, After::Free));
        world.turn();
        let next = (0..2).find_map(|s| world.poll(s).map(|(call, _, token)| (call, (s, token))));
        let (call, next) = next.expect("somebody waits");
        served.push(call);
        holder = next;
    }
    assert_eq!(served, [key_client, second, third]);
}

#[test]
fn a_later_caller_does_not_overtake_one_on_the_way_into_another_shards_line() {
    let mut world = World::new(2, 1);
    let came = world.now;
    world.desks[0].arriving(came);
    let later = world.enter(1);
    assert_eq!(world.poll(1), None, "Anna is handed to shard 0");
    let older = world.call(0);
    assert_eq!(world.desks[0].enter(came, older, Ask::default(), &[GROUP]), Ok(()));
    world.desks[0].arrived();
    world.turn();
    let (call, _, token) = world.poll(0).expect("Anna is in hand");
    assert_eq!(call, older);
    assert!(world.desks[0].release(world.now, token, After::Free));
    world.turn();
    assert_eq!(world.poll(1).map(|(call, ..)| call), Some(later));
}

#[test]
fn an_agent_handed_to_a_caller_who_comes_to_nothing_is_back_after_one_turn() {
    let mut world = World::new(2, 1);
    world.desks[0].arriving(world.now);
    let waiting = world.enter(1);
    assert_eq!(world.poll(1), None);
    world.desks[0].turn(world.now);
    world.desks[1].turn(world.now);
    assert_eq!(world.poll(1).map(|(call, ..)| call), Some(waiting));
}

#[test]
fn a_caller_on_the_way_to_a_stalled_shard_holds_nobody_up_for_long() {
    let mut world = World::new(2, 1);
    world.desks[0].arriving(world.now);
    let waiting = world.enter(1);
    for _ in 0..5 {
        world.pass(SWEEP_EVERY);
        world.desks[1].turn(world.now);
    }
    assert_eq!(world.poll(1).map(|(call, ..)| call), Some(waiting));
    assert_eq!(world.board.tallies().revoked, 1);
}

#[test]
fn an_answered_call_that_ends_leads_into_a_rest_which_ends_by_itself() {
    let mut world = World::new(1, 1);
    world.enter(0);
    let (call, _, token) = world.poll(0).expect("Anna is idle");
    let talking = world.desks[0].answered(token).expect("hers");
    assert_eq!(world.desks[0].answered(token), None, "once");
    assert!(world.desks[0].withdraw(call));
    let next = world.enter(0);
    let until = world.now + SECOND;
    assert!(world.desks[0].release(world.now, talking, After::Wrap(until)));
    assert!(!world.desks[0].release(world.now, talking, After::Free), "stale");
    let view = world.board.presence(ANNA);
    assert_eq!((view.state, view.until), (AgentState::Wrap, Some(until)));
    world.pass(Duration::from_millis(999));
    world.turn();
    assert_eq!(world.poll(0), None);
    world.pass(Duration::from_millis(1));
    world.turn();
    assert_eq!(world.poll(0).map(|p| p.0), Some(next));
}

#[test]
fn a_rest_without_an_end_lasts_until_the_agent_says_so() {
    let mut world = World::new(2, 1);
    let call = world.enter(0);
    let (_, _, token) = world.poll(0).expect("Anna is idle");
    world.desks[0].withdraw(call);
    assert!(world.desks[0].release(world.now, token, After::Wrap(Moment::NEVER)));
    world.pass(SECOND * 86_400);
    world.turn();
    assert_eq!(world.board.presence(ANNA).state, AgentState::Wrap);
    assert!(world.desks[1].end_wrap(world.now, ANNA));
    assert!(!world.desks[1].end_wrap(world.now, ANNA));
    assert_eq!(world.board.presence(ANNA).since, world.now);
    assert!(world.board.presence(ANNA).is_free());
}

#[test]
fn a_failed_offer_returns_the_caller_to_its_place_and_goes_to_others_first() {
    let mut world = World::new(1, 2);
    let first = world.enter(0);
    let (_, anna, token) = world.poll(0).expect("Anna is idle");
    world.enter(0);
    let (_, _, boris) = world.poll(0).expect("Boris is idle");
    let third = world.enter(0);
    assert_eq!(world.poll(0), None);
    // Anna refuses.
    let until = world.now + SECOND * 10;
    world.desks[0].give_back(world.now, first, token);
    world.desks[0].back_off(anna, until);
    assert!(world.desks[0].release(world.now, token, After::Free));
    assert_eq!(world.poll(0), None, "not offered to Anna again");
    assert_eq!(world.desks[0].position(first), Some(0));
    assert_eq!(world.desks[0].position(third), Some(1));
    assert!(!world.desks[0].gone(GROUP));
    // Boris comes free: the first caller still is first.
    assert!(world.desks[0].release(world.now, boris, After::Free));
    assert_eq!(world.poll(0).map(|p| p.0), Some(first));
    // Anna's back-off ends: the third caller.
    world.now = until;
    world.turn();
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((third, anna)));
}

#[test]
fn a_returned_caller_stands_in_the_queues_added_meanwhile() {
    let mut world = World::new(1, 1);
    let call = world.enter(0);
    let (_, _, token) = world.poll(0).expect("Anna is idle");
    assert_eq!(world.desks[0].add(world.now, call, OTHER, Strategy::default()), Ok(()));
    assert_eq!(world.board.len(OTHER), 0, "not while it is offered");
    world.desks[0].remove(call, GROUP);
    world.desks[0].give_back(world.now, call, token);
    assert_eq!((world.board.len(OTHER), world.board.len(GROUP)), (1, 0));
    world.desks[0].release(world.now, token, After::Free);
    assert_eq!(world.poll(0), None, "Anna does not serve that queue");
}

#[test]
fn hanging_up_takes_the_caller_out_of_every_queue() {
    let mut world = World::new(1, 1);
    world.desks[0].set_flag(ANNA, Flags::PAUSED);
    let call = world.call(0);
    let queues = [GROUP, OTHER, world.board.own_queue(ANNA)];
    assert_eq!(world.desks[0].enter(world.now, call, Ask::default(), &queues), Ok(()));
    assert!(world.desks[0].withdraw(call));
    assert!(!world.desks[0].withdraw(call));
    assert!(queues.iter().all(|queue| world.board.is_empty(*queue)));
    world.desks[0].clear_flag(world.now, ANNA, Flags::PAUSED);
    assert_eq!(world.poll(0), None);
    assert!(world.desks[0].is_empty());
}

#[test]
fn hanging_up_before_the_offer_was_polled_frees_the_agent_for_the_next() {
    let mut world = World::new(1, 1);
    let call = world.enter(0);
    let next = world.enter(0);
    assert!(world.desks[0].withdraw(call));
    assert_eq!(world.poll(0).map(|p| p.0), Some(next));
    assert_eq!(world.poll(0), None);
}

#[test]
fn a_full_queue_takes_nobody_and_another_queue_may() {
    let mut world = World::new(2, 0);
    for shard in [0, 1, 0, 1] {
        world.enter(shard);
    }
    let call = world.call(0);
    let refused = world.desks[0].enter(world.now, call, Ask::default(), &[GROUP]);
    assert_eq!(refused, Err(QueueFull { queue: GROUP }));
    assert!(!world.desks[0].withdraw(call), "it stands nowhere");
    let entered = world.desks[0].enter(world.now, call, Ask::default(), &[GROUP, OTHER]);
    assert_eq!(entered, Ok(()));
    assert_eq!((world.board.len(GROUP), world.board.len(OTHER)), (4, 1));
    let nowhere = world.desks[0].add(world.now, call, QueueId(999), Strategy::default());
    assert_eq!(nowhere, Err(QueueFull { queue: QueueId(999) }));
}

#[test]
fn a_pause_during_an_offer_holds_when_the_offer_ends() {
    let mut world = World::new(1, 1);
    world.enter(0);
    let (call, _, token) = world.poll(0).expect("Anna is idle");
    let epoch = world.board.presence_epoch();
    assert!(world.desks[0].set_flag(ANNA, Flags::PAUSED));
    assert!(!world.desks[0].set_flag(ANNA, Flags::PAUSED), "already");
    assert_eq!(world.board.presence_epoch(), epoch + 1);
    assert_eq!(world.board.presence(ANNA).state, AgentState::Offered);
    world.desks[0].give_back(world.now, call, token);
    assert!(world.desks[0].release(world.now, token, After::Free));
    assert_eq!(world.poll(0), None);
    assert!(world.desks[0].gone(GROUP));
    assert!(world.desks[0].clear_flag(world.now, ANNA, Flags::PAUSED));
    assert_eq!(world.poll(0).map(|p| p.0), Some(call));
}

#[test]
fn everybody_who_waits_is_woken_when_a_person_goes() {
    let mut world = World::new(3, 1);
    let before: Vec<u32> = world.bells.iter().map(|b| b.0.load(Ordering::Relaxed)).collect();
    world.desks[0].set_flag(ANNA, Flags::OFF_SHIFT);
    let after = world.bells.iter().map(|b| b.0.load(Ordering::Relaxed));
    assert!(after.zip(before).all(|(after, before)| after > before));
    let epoch = world.board.presence_epoch();
    world.desks[0].back_off(ANNA, world.now + SECOND);
    world.desks[0].occupy(ANNA);
    assert_eq!(world.board.presence_epoch(), epoch, "busy is not gone");
}

#[test]
fn the_view_of_a_queue_tells_free_busy_and_gone() {
    let mut world = World::new(1, 4);
    assert_eq!(world.board.queue_view(GROUP), QueueView { free: 4, busy: 0, gone: 0 });
    world.enter(0);
    world.desks[0].set_flag(AgentId(3), Flags::ABSENT);
    world.desks[0].occupy(AgentId(2));
    assert_eq!(world.board.queue_view(GROUP), QueueView { free: 1, busy: 2, gone: 1 });
    assert!(world.desks[0].gone(OTHER), "nobody serves it");
    let own = world.board.own_queue(AgentId(3));
    assert!(world.desks[0].gone(own));
    assert!(world.board.queue_view(QueueId(9_999)).is_gone());
}

#[test]
fn other_calls_keep_an_agent_busy_until_the_last_on_any_shard_is_over() {
    let mut world = World::new(2, 1);
    world.desks[0].occupy(ANNA);
    world.desks[0].occupy(ANNA);
    world.desks[1].occupy(ANNA);
    let call = world.enter(1);
    world.desks[0].vacate(ANNA);
    world.desks[0].vacate(ANNA);
    assert!(world.board.presence(ANNA).flags.contains(Flags::BUSY_ELSEWHERE));
    assert!(!world.desks[1].clear_flag(world.now, ANNA, Flags::BUSY_ELSEWHERE));
    world.desks[1].vacate(ANNA);
    world.turn();
    assert_eq!(world.poll(1).map(|p| p.0), Some(call));
    world.desks[1].vacate(ANNA);
    assert!(world.board.presence(ANNA).flags.is_empty());
}

#[test]
fn a_moved_agent_serves_the_new_queue_at_once_and_the_old_one_no_more() {
    let mut world = World::new(2, 1);
    let call = world.call(1);
    assert_eq!(world.desks[1].enter(world.now, call, Ask::default(), &[OTHER]), Ok(()));
    world.board.set_roster(ShardId(0), ANNA, &[OTHER.into()]).expect("within the bounds");
    world.turn();
    let (_, _, token) = world.poll(1).expect("Anna serves it now");
    world.enter(1);
    world.desks[1].withdraw(call);
    world.desks[1].release(world.now, token, After::Free);
    world.turn();
    assert_eq!(world.poll(1), None);
    assert_eq!(world.board.queues_of(ANNA), [OTHER]);
}

#[test]
fn a_person_releases_an_agent_by_hand_and_the_old_token_is_stale() {
    let mut world = World::new(2, 1);
    world.enter(0);
    let (_, _, token) = world.poll(0).expect("Anna is idle");
    let waiting = world.enter(1);
    assert!(world.desks[1].operator_release(world.now, ANNA));
    assert_eq!(world.poll(1).map(|p| p.0), Some(waiting));
    assert_eq!(world.desks[0].answered(token), None);
    assert!(!world.desks[0].release(world.now, token, After::Free));
    assert_eq!(world.board.tallies().released_by_hand, 1);
    assert_eq!(world.board.presence(ANNA).shard, Some(ShardId(1)));
}

#[test]
fn a_call_that_survived_a_restart_makes_its_agent_busy_again() {
    let mut world = World::new(2, 1);
    world.desks[0].set_flag(ANNA, Flags::UNREACHABLE);
    let token = world.desks[0].adopt_talking(ANNA).expect("nobody holds Anna");
    assert_eq!(world.desks[1].adopt_talking(ANNA), None);
    assert_eq!(world.desks[0].adopt_talking(ANNA), None);
    world.desks[0].clear_flag(world.now, ANNA, Flags::UNREACHABLE);
    let call = world.enter(1);
    assert_eq!(world.poll(1), None);
    assert!(world.desks[0].release(world.now, token, After::Free));
    world.turn();
    assert_eq!(world.poll(1).map(|p| p.0), Some(call));
}

#[test]
fn a_desk_built_anew_clears_what_the_old_one_left() {
    let mut world = World::new(2, 3);
    world.enter(0);
    world.enter(0);
    let (_, _, kept) = world.poll(0).expect("Anna is idle");
    world.desks[0].answered(kept).expect("hers");
    world.desks[0].set_flag(AgentId(2), Flags::PAUSED);
    world.desks[0].occupy(AgentId(2));
    world.enter(0);
    world.desks[0] = Desk::new(world.board.clone(), ShardId(0));
    assert_eq!(world.board.len(GROUP), 0);
    assert!(!world.board.presence(AgentId(2)).flags.contains(Flags::BUSY_ELSEWHERE));
    assert!(world.desks[0].adopt_talking(ANNA).is_some());
    assert_eq!(world.desks[0].release_orphans(world.now), [BORIS]);
    assert_eq!(world.board.tallies().orphans, 1);
    assert!(world.board.presence(BORIS).is_free());
    assert_eq!(world.board.presence(ANNA).state, AgentState::Talking);
}

#[test]
fn an_agent_handed_to_a_stalled_shard_is_taken_back_and_its_callers_are_passed_over() {
    let mut world = World::new(2, 1);
    world.enter(0);
    let (_, _, token) = world.poll(0).expect("Anna is idle");
    let stalled = world.enter(1);
    let live = world.enter(0);
    world.desks[0].release(world.now, token, After::Free);
    assert_eq!(world.board.presence(ANNA).shard, Some(ShardId(1)), "handed to the older caller");
    let begun = world.now;
    let served = loop {
        world.now = world.desks[0].poll_timeout();
        world.desks[0].turn(world.now);
        if let Some((call, _, token)) = world.poll(0) {
            break (call, token);
        }
    };
    assert_eq!(served.0, live);
    assert!(world.now.since(begun) <= HAND_LIMIT + 2 * SWEEP_EVERY);
    assert_eq!(world.board.tallies().revoked, 1);
    // The sleeper wakes: its caller counts again, at its old place.
    world.desks[0].release(world.now, served.1, After::Free);
    world.desks[1].turn(world.now);
    assert_eq!(world.poll(1).map(|p| p.0), Some(stalled));
    assert_eq!(world.board.tallies().found_idle, 0);
}

#[test]
fn a_rest_ends_though_the_desk_that_knew_of_it_begins_anew() {
    let mut world = World::new(2, 1);
    world.enter(0);
    let (call, _, token) = world.poll(0).expect("Anna is idle");
    world.desks[0].withdraw(call);
    let until = world.now + SECOND * 5;
    world.desks[0].release(world.now, token, After::Wrap(until));
    world.desks[0] = Desk::new(world.board.clone(), ShardId(0));
    world.turn();
    assert_eq!(world.desks[0].poll_timeout(), until);
    world.now = until;
    world.turn();
    assert!(world.board.presence(ANNA).is_free());
    assert_eq!(world.desks[0].poll_timeout(), Moment::NEVER);
}

#[test]
fn a_desk_without_callers_sleeps_until_it_is_rung() {
    let mut world = World::new(2, 1);
    assert_eq!(world.desks[0].poll_timeout(), Moment::NEVER);
    world.enter(0);
    let (call, _, token) = world.poll(0).expect("Anna is idle");
    assert_eq!(world.desks[0].poll_timeout(), Moment::NEVER, "nobody waits");
    let waiting = world.enter(1);
    world.turn();
    assert_eq!(world.desks[1].poll_timeout(), world.now + SWEEP_EVERY);
    assert_eq!(world.desks[0].poll_timeout(), Moment::NEVER);
    world.desks[1].withdraw(waiting);
    world.desks[0].withdraw(call);
    let until = world.now + SECOND * 30;
    world.desks[0].release(world.now, token, After::Wrap(until));
    assert_eq!(world.desks[0].poll_timeout(), until);
    world.now = until;
    world.turn();
    assert!(world.desks.iter().all(|desk| desk.poll_timeout() == Moment::NEVER));
    assert!(world.desks.iter().all(Desk::is_empty));
}

#[test]
fn the_position_counts_callers_of_all_shards() {
    let mut world = World::new(2, 0);
    let first = world.enter(1);
    let second = world.enter(0);
    let third = world.enter(1);
    world.turn();
    assert_eq!(world.desks[1].position(first), Some(0));
    assert_eq!(world.desks[0].position(second), Some(1));
    assert_eq!(world.desks[1].position(third), Some(2));
    assert_eq!(world.desks[1].position(second), None, "not this desk's");
}

#[test]
fn strangers_ids_change_nothing() {
    let mut world = World::new(1, 1);
    let nobody = AgentId(500);
    assert!(!world.desks[0].set_flag(nobody, Flags::PAUSED));
    assert!(!world.desks[0].clear_flag(world.now, nobody, Flags::PAUSED));
    assert!(!world.desks[0].end_wrap(world.now, nobody));
    assert!(!world.desks[0].operator_release(world.now, nobody));
    assert_eq!(world.desks[0].adopt_talking(nobody), None);
    world.desks[0].back_off(nobody, world.now);
    world.desks[0].occupy(nobody);
    world.desks[0].vacate(nobody);
    assert!(world.board.presence(nobody).is_gone());
    let call = world.call(0);
    let token = Token { agent: nobody, word: super::word::Word::free(Flags::NONE) };
    world.desks[0].give_back(world.now, call, token);
    assert_eq!(world.desks[0].answered(token), None);
    world.board.set_counts(nobody, Counts::default());
    assert!(!world.board.open_help(ShardId(0), QueueId(999)));
    assert!(!world.board.close_help(QueueId(999)));
    world.desks[0].remove(call, GROUP);
    assert_eq!(world.desks[0].add(world.now, call, GROUP, Strategy::default()), Ok(()));
    assert!(world.desks[0].is_empty());
}

#[test]
fn an_idle_agent_beside_a_caller_is_found_by_the_second_sweep() {
    let mut world = World::new(2, 1);
    world.desks[0].set_flag(ANNA, Flags::PAUSED);
    let call = world.enter(1);
    world.turn();
    // A thread that stops between clearing the flag and looking.
    world.board.lower(ANNA.index(), Flags::PAUSED);
    world.pass(SWEEP_EVERY);
    world.turn();
    assert_eq!(world.poll(1), None);
    world.pass(SWEEP_EVERY);
    world.turn();
    assert_eq!(world.poll(1).map(|p| p.0), Some(call));
    assert_eq!(world.board.tallies().found_idle, 1);
}

#[test]
fn an_agent_left_in_the_own_hand_is_placed_by_the_next_sweep() {
    let mut world = World::new(1, 1);
    world.desks[0].set_flag(ANNA, Flags::PAUSED);
    let call = world.enter(0);
    world.turn();
    world.board.lower(ANNA.index(), Flags::PAUSED);
    let word = world.board.word(ANNA.index());
    assert!(world.board.take(0, ANNA.index(), word).is_some());
    world.pass(SWEEP_EVERY);
    world.turn();
    assert_eq!(world.poll(0).map(|p| p.0), Some(call));
}
