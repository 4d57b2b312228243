//! Who is chosen: strategies, head starts, helpers, several rung at once, moved calls.

use std::time::Duration;

use super::tests::{ANNA, BORIS, GROUP, OTHER, SECOND, World};
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const CLARA: AgentId = AgentId(2);

fn ask(strategy: Strategy) -> Ask {
    Ask { strategy, ..Ask::default() }
}

fn ring(agents: u8) -> Ask {
    Ask { agents, ..Ask::default() }
}

/// Makes an agent serve group 0 as `serve` says.
fn serve(world: &World, agent: AgentId, serve: Serve) {
    world.board.set_roster(ShardId(0), agent, &[serve]).expect("within the bounds");
}

/// A call enters group 0 on shard 0.
fn enter(world: &mut World, ask: Ask) -> CallKey {
    let call = world.call(0);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.desks[0].enter(world.now, call, ask, &[GROUP]), Ok(()));
    call
}

/// Whom `calls` calls in a row get; each rings for as long as given and is then over.
fn chosen(world: &mut World, strategy: Strategy, calls: &[u64]) -> Vec<u16> {
    let one = |seconds: &u64| {
        let call = enter(world, ask(strategy));
        let (_, agent, token) = world.poll(0).expect("somebody is idle");
        let token = world.desks[0].answered(token).expect("hers");
        world.pass(SECOND * *seconds as u32);
        world.desks[0].turn(world.now);
        world.desks[0].withdraw(call);
        assert!(world.desks[0].release(world.now, token, After::Free));
        agent.0
    };
    calls.iter().map(one).collect()
}

#[test]
fn round_robin_goes_by_the_last_offer_even_if_it_came_to_nothing() {
    let mut world = World::new(1, 3);
    let mut order = Vec::new();
    for _ in 0..6 {
        let call = enter(&mut world, ask(Strategy::RoundRobin));
        let (_, agent, token) = world.poll(0).expect("somebody is idle");
        world.desks[0].withdraw(call);
        // An offer that comes to nothing leaves the order of idleness as it is.
        world.desks[0].release(world.now, token, After::Free);
        order.push(agent.0);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn fewest_calls_goes_by_the_calls_answered_today() {
    let mut world = World::new(1, 2);
    let talk = SECOND * 60;
    world.board.set_counts(ANNA, Counts { calls: 2, talk });
    assert_eq!(chosen(&mut world, Strategy::FewestCalls, &[1, 1, 1, 1]), [1, 1, 0, 1]);
    let counts = world.board.counts(ANNA);
    assert_eq!((counts.calls, counts.talk), (3, talk + SECOND));
    // Midnight.
    world.board.set_counts(ANNA, Counts::default());
    assert_eq!(chosen(&mut world, Strategy::FewestCalls, &[1]), [0]);
}

#[test]
fn least_talk_goes_by_the_time_talked_today() {
    let mut world = World::new(1, 2);
    assert_eq!(chosen(&mut world, Strategy::LeastTalk, &[10, 3, 3, 3, 3, 1]), [0, 1, 1, 1, 1, 0]);
    assert_eq!(world.board.counts(BORIS), Counts { calls: 4, talk: SECOND * 12 });
}

#[test]
fn skill_goes_by_what_is_missing_and_then_by_the_longest_idle() {
    let mut world = World::new(1, 3);
    for (agent, level) in [(ANNA, 1), (BORIS, 5), (CLARA, 9)] {
        serve(&world, agent, Serve { level, ..GROUP.into() });
    }
    world.turn();
    let five = Strategy::Skill { wanted: 5 };
    assert_eq!(chosen(&mut world, five, &[1, 1, 1]), [1, 2, 1], "who has more lacks nothing");
    assert_eq!(chosen(&mut world, Strategy::Skill { wanted: 9 }, &[1]), [2]);
    world.desks[0].set_flag(BORIS, Flags::PAUSED);
    world.desks[0].set_flag(CLARA, Flags::PAUSED);
    assert_eq!(chosen(&mut world, five, &[1]), [0], "a lack keeps nobody waiting");
}

#[test]
fn an_ordered_list_goes_by_rank() {
    let mut world = World::new(1, 3);
    for (agent, rank) in [(ANNA, 3), (BORIS, 2), (CLARA, 1)] {
        serve(&world, agent, Serve { rank, ..GROUP.into() });
    }
    world.turn();
    let order: Vec<AgentId> = (0..3)
        .map(|_| {
            enter(&mut world, ask(Strategy::Ordered));
            world.poll(0).expect("somebody is idle").1
        })
        .collect();
    assert_eq!(order, [CLARA, BORIS, ANNA]);
}

#[test]
fn each_queue_of_a_call_has_the_strategy_of_its_step() {
    let mut world = World::new(1, 2);
    let all = world.board.limits().agents;
    for agent in (0..all).map(AgentId) {
        let rank = all - agent.0;
        let serves = [Serve { rank, ..OTHER.into() }];
        world.board.set_roster(ShardId(0), agent, &serves).expect("within the bounds");
    }
    world.turn();
    let call = enter(&mut world, ask(Strategy::LongestIdle));
    assert_eq!(world.poll(0), None);
    assert_eq!(world.desks[0].add(world.now, call, OTHER, Strategy::Ordered), Ok(()));
    assert_eq!(world.poll(0).map(|p| p.1), Some(BORIS));
}

#[test]
fn an_agent_prefers_the_queue_with_the_head_start_by_just_so_much() {
    let mut world = World::new(2, 1);
    let serves = [Serve { head_start: SECOND * 10, ..OTHER.into() }, GROUP.into()];
    world.board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
    world.desks[0].set_flag(ANNA, Flags::PAUSED);
    let older = world.enter(0);
    world.pass(SECOND * 9);
    let preferred = world.call(1);
    assert_eq!(world.desks[1].enter(world.now, preferred, Ask::default(), &[OTHER]), Ok(()));
    world.pass(SECOND * 2);
    let too_late = world.call(1);
    assert_eq!(world.desks[1].enter(world.now, too_late, Ask::default(), &[OTHER]), Ok(()));
    world.desks[0].clear_flag(world.now, ANNA, Flags::PAUSED);
    let mut served = Vec::new();
    for _ in 0..3 {
        world.turn();
        let found = (0..2).find_map(|s| world.poll(s).map(|p| (s, p)));
        let (shard, (call, _, token)) = found.expect("somebody waits");
        served.push(call);
        assert!(world.desks[shard].release(world.now, token, After::Free));
    }
    assert_eq!(served, [preferred, older, too_late]);
    assert_eq!(world.board.serves_of(ANNA), serves);
}

#[test]
fn helpers_serve_while_help_is_open_and_at_once() {
    let mut world = World::new(2, 1);
    serve(&world, ANNA, Serve { helper: true, ..GROUP.into() });
    world.turn();
    assert!(world.desks[0].gone(GROUP), "nobody else serves it");
    let call = world.enter(1);
    world.turn();
    assert_eq!(world.poll(1), None);
    assert_eq!(world.board.tallies(), Tallies::default());
    let epoch = world.board.presence_epoch();
    assert!(world.board.open_help(ShardId(0), GROUP) && world.board.is_help_open(GROUP));
    assert!(!world.board.open_help(ShardId(0), GROUP), "already");
    assert_eq!(world.board.presence_epoch(), epoch + 1);
    world.turn();
    let (served, _, token) = world.poll(1).expect("Anna helps");
    assert_eq!(served, call);
    assert!(world.board.close_help(GROUP) && !world.board.close_help(GROUP));
    let waits = world.enter(1);
    assert!(world.desks[1].release(world.now, token, After::Free));
    for _ in 0..4 {
        world.pass(SWEEP_EVERY);
        world.turn();
    }
    assert_eq!(world.poll(1), None);
    assert_eq!(world.board.tallies().found_idle, 0, "an idle helper is nobody's debt");
    assert_eq!(world.desks[1].position(waits), Some(0));
}

#[test]
fn a_helper_is_chosen_only_when_nobody_of_the_group_is_idle() {
    for strategy in [
        Strategy::LongestIdle,
        Strategy::RoundRobin,
        Strategy::FewestCalls,
        Strategy::LeastTalk,
        Strategy::Skill { wanted: 5 },
        Strategy::Ordered,
    ] {
        let mut world = World::new(1, 2);
        // By every measure the helper would be first.
        serve(&world, ANNA, Serve { helper: true, level: 9, rank: 0, ..GROUP.into() });
        serve(&world, BORIS, Serve { level: 1, rank: 9, ..GROUP.into() });
        world.board.set_counts(BORIS, Counts { calls: 9, talk: SECOND * 99 });
        world.desks[0].set_flag(BORIS, Flags::LOGGED_OUT);
        world.pass(SECOND);
        world.desks[0].clear_flag(world.now, BORIS, Flags::LOGGED_OUT);
        world.board.open_help(ShardId(0), GROUP);
        world.turn();
        let calls: Vec<AgentId> = (0..2)
            .map(|_| {
                enter(&mut world, ask(strategy));
                world.poll(0).expect("somebody is idle").1
            })
            .collect();
        assert_eq!(calls, [BORIS, ANNA], "{strategy:?}");
    }
}

#[test]
fn the_longest_wait_is_that_of_the_first_in_line_over_all_shards() {
    let mut world = World::new(2, 0);
    assert_eq!(world.board.longest_wait(GROUP, world.now), Duration::ZERO);
    let first = world.enter(1);
    world.pass(SECOND);
    world.enter(0);
    assert_eq!(world.board.longest_wait(GROUP, world.now + SECOND).as_millis(), 2_001);
    world.desks[1].withdraw(first);
    assert_eq!(world.board.longest_wait(GROUP, world.now + SECOND), SECOND);
    assert_eq!(world.board.longest_wait(QueueId(999), world.now), Duration::ZERO);
}

#[test]
fn a_caller_with_a_head_start_does_not_hide_who_has_waited_for_longer() {
    let mut world = World::new(1, 0);
    world.enter(0);
    world.pass(SECOND * 50);
    let ahead = enter(&mut world, Ask { credit: SECOND * 120, ..Ask::default() });
    assert_eq!(world.board.longest_wait(GROUP, world.now).as_secs(), 50, "the second in line");
    world.desks[0].withdraw(ahead);
    assert_eq!(world.board.longest_wait(GROUP, world.now).as_secs(), 50);
}

#[test]
fn a_call_that_rings_several_stays_in_line_until_so_many_are_bound() {
    let mut world = World::new(2, 3);
    world.desks[0].set_flag(CLARA, Flags::PAUSED);
    let call = enter(&mut world, ring(3));
    let (a, anna, _) = world.poll(0).expect("Anna is idle");
    let (b, boris, _) = world.poll(0).expect("Boris is idle");
    assert_eq!((a, b, anna, boris), (call, call, ANNA, BORIS));
    assert_eq!(world.poll(0), None);
    assert_eq!(world.board.len(GROUP), 1);
    let later = world.enter(1);
    world.desks[1].clear_flag(world.now, CLARA, Flags::PAUSED);
    world.turn();
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((call, CLARA)));
    assert_eq!((world.board.len(GROUP), world.poll(1)), (1, None));
    assert!(world.desks[0].withdraw(call));
    assert!(world.desks[1].withdraw(later));
}

#[test]
fn the_first_who_answers_ends_the_search_and_the_others_are_released() {
    let mut world = World::new(1, 3);
    world.desks[0].set_flag(CLARA, Flags::PAUSED);
    let call = enter(&mut world, ring(3));
    let next = world.enter(0);
    let (_, _, anna) = world.poll(0).expect("Anna is idle");
    let (_, _, boris) = world.poll(0).expect("Boris is idle");
    let talking = world.desks[0].answered(boris).expect("the first");
    assert_eq!(world.desks[0].answered(anna), None, "the second");
    assert_eq!(world.board.len(GROUP), 1, "only the next caller waits");
    assert!(world.desks[0].release(world.now, anna, After::Free));
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((next, ANNA)));
    assert!(world.desks[0].withdraw(call));
    assert!(world.desks[0].release(world.now, talking, After::Free));
}

#[test]
fn an_answer_undoes_the_offers_that_nobody_has_polled() {
    let mut world = World::new(1, 2);
    let call = enter(&mut world, ring(2));
    let next = world.enter(0);
    let (_, _, anna) = world.poll(0).expect("Anna is idle");
    assert!(world.desks[0].answered(anna).is_some());
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((next, BORIS)));
    assert!(world.desks[0].is_offered(call) && world.desks[0].withdraw(call));
}

#[test]
fn one_failed_offer_of_several_looks_for_one_more() {
    let mut world = World::new(1, 3);
    let call = enter(&mut world, ring(2));
    let (_, _, anna) = world.poll(0).expect("Anna is idle");
    let (_, _, boris) = world.poll(0).expect("Boris is idle");
    world.desks[0].give_back(world.now, call, anna);
    world.desks[0].give_back(world.now, call, anna);
    let (again, clara, _) = world.poll(0).expect("Clara is idle");
    assert_eq!((again, clara), (call, CLARA));
    world.desks[0].back_off(ANNA, world.now + SECOND);
    assert!(world.desks[0].release(world.now, anna, After::Free));
    assert_eq!(world.poll(0), None);
    // Boris answers, but the bridge fails: everything as before his offer.
    let talking = world.desks[0].answered(boris).expect("the first");
    world.desks[0].give_back(world.now, call, talking);
    assert_eq!(world.board.len(GROUP), 1);
    world.desks[0].set_flag(BORIS, Flags::PAUSED);
    assert!(world.desks[0].release(world.now, talking, After::Free));
    assert_eq!((world.desks[0].position(call), world.poll(0)), (Some(0), None));
}

#[test]
fn a_step_that_rings_more_goes_on_looking() {
    let mut world = World::new(1, 2);
    let call = enter(&mut world, ring(1));
    assert_eq!(world.poll(0).map(|p| p.1), Some(ANNA));
    assert_eq!(world.desks[0].enter(world.now, call, ring(200), &[GROUP]), Ok(()));
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((call, BORIS)));
    assert_eq!(world.board.len(GROUP), 1);
    assert_eq!(world.desks[0].enter(world.now, call, ring(0), &[GROUP]), Ok(()));
    assert_eq!(world.board.len(GROUP), 0, "as if one had been asked for");
}

#[test]
fn hanging_up_while_several_ring_leaves_tokens_to_release_and_no_more() {
    let mut world = World::new(1, 3);
    let call = enter(&mut world, ring(3));
    let (_, _, anna) = world.poll(0).expect("Anna is idle");
    assert!(world.desks[0].withdraw(call));
    assert!(world.board.presence(BORIS).is_free() && world.board.presence(CLARA).is_free());
    assert!(world.desks[0].release(world.now, anna, After::Free));
    assert!(world.desks[0].is_empty());
    assert_eq!(world.board.len(GROUP), 0);
}

#[test]
fn a_moved_caller_keeps_its_key_and_is_served_where_it_comes() {
    let mut world = World::new(1, 1);
    world.board.set_roster(ShardId(0), ANNA, &[OTHER.into()]).expect("within the bounds");
    world.turn();
    let moved = enter(&mut world, Ask::default());
    world.desks[0].set_flag(ANNA, Flags::PAUSED);
    let later = world.call(0);
    assert_eq!(world.desks[0].enter(world.now, later, Ask::default(), &[OTHER]), Ok(()));
    let strategy = Strategy::default();
    assert_eq!(world.desks[0].move_to(world.now, moved, strategy, &[OTHER]), Ok(()));
    assert_eq!((world.board.len(GROUP), world.board.len(OTHER)), (0, 2));
    assert_eq!(world.desks[0].position(moved), Some(0), "the place is kept");
    world.desks[0].clear_flag(world.now, ANNA, Flags::PAUSED);
    assert_eq!(world.poll(0).map(|p| p.0), Some(moved));
}

#[test]
fn a_caller_moved_to_an_idle_agent_is_offered_at_once() {
    let mut world = World::new(1, 1);
    world.board.set_roster(ShardId(0), ANNA, &[OTHER.into()]).expect("within the bounds");
    world.turn();
    let call = enter(&mut world, Ask::default());
    assert_eq!(world.poll(0), None);
    let moved = world.desks[0].move_to(world.now, call, Strategy::default(), &[OTHER]);
    assert_eq!(moved, Ok(()));
    assert_eq!(world.poll(0).map(|p| (p.0, p.1)), Some((call, ANNA)));
}

#[test]
fn a_caller_moved_into_full_queues_stays_where_it_stood() {
    let mut world = World::new(1, 0);
    for _ in 0..4 {
        let call = world.call(0);
        assert_eq!(world.desks[0].enter(world.now, call, Ask::default(), &[OTHER]), Ok(()));
    }
    let call = enter(&mut world, Ask::default());
    let moved = world.desks[0].move_to(world.now, call, Strategy::default(), &[OTHER]);
    assert_eq!(moved, Err(QueueFull { queue: OTHER }));
    assert_eq!(world.desks[0].move_to(world.now, call, Strategy::default(), &[]), Ok(()));
    assert_eq!((world.board.len(GROUP), world.board.len(OTHER)), (1, 4));
    assert_eq!(world.desks[0].position(call), Some(0));
    assert_eq!(world.desks[0].poll_timeout(), Moment::ZERO + SWEEP_EVERY);
}
