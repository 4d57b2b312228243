//! Worlds in which callers and agents meet: arrivals, hang-ups, returns, several rung at once.

use super::*;

/// M1: a caller arrives on one shard while another frees the agent.
pub(super) fn arrive_and_free(lacking: &[Part]) {
    arrive_and_free_from(lacking, |_| ());
}

/// M29: the same after somebody has seen her busy: no mark of hers is left from before.
pub(super) fn arrive_and_free_unmarked(lacking: &[Part]) {
    arrive_and_free_from(lacking, unmark);
}

/// Somebody looks and takes the marks without cause away.
pub(super) fn unmark(board: &Board) {
    assert!(board.find_idle(0, Strategy::LongestIdle).is_none());
}

fn arrive_and_free_from(lacking: &[Part], before: fn(&Board)) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    before(&board);
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
pub(super) fn two_arrive(lacking: &[Part]) {
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
pub(super) fn resume_beside_an_older_caller(lacking: &[Part]) {
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

/// M5: an agent handed to a shard is taken back by a sweep, falsely, while that shard binds.
pub(super) fn revoke_and_commit(lacking: &[Part]) {
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
pub(super) fn hang_up_and_hand_over(lacking: &[Part]) {
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
pub(super) fn revive_and_free(lacking: &[Part]) {
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

/// M13: an agent comes free while two callers arrive on two more shards.
pub(super) fn free_and_two_arrive(lacking: &[Part]) {
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
pub(super) fn two_freed_for_one_caller(lacking: &[Part]) {
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
pub(super) fn two_freed_for_a_caller_in_two_queues(lacking: &[Part]) {
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

/// M20: a failed offer returns its caller and flags its agent while another agent comes free.
pub(super) fn return_and_free(lacking: &[Part]) {
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
pub(super) fn arrive_and_arrive_later(lacking: &[Part]) {
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
pub(super) fn arrive_and_come_to_nothing(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    x.arriving(NOW + Duration::from_micros(5));
    let other = spawn(move || {
        enter(&mut y, 1, 7);
        y
    });
    x.arrived();
    x.turn(NOW);
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M12: a call rings two at once; one is idle, one is being freed elsewhere.
pub(super) fn ring_two(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 2);
    let (mut x, mut y) = pair(desks);
    let anna = busy(&mut x, ANNA);
    let other = spawn(move || {
        let ask = Ask { agents: 2, ..Ask::default() };
        y.enter(NOW, call(1), ask, &[QUEUE]).expect("room");
        y
    });
    assert!(x.release(NOW, anna, After::Free));
    let y = other.join().expect("no check failed");
    let mut desks = [x, y];
    turn_until_at_rest(&board, &mut desks);
    let mut rung: Vec<u16> = std::iter::from_fn(|| desks[1].poll()).map(|a| a.agent.0).collect();
    rung.sort_unstable();
    assert_eq!(rung, [0, 1]);
    assert_eq!((desks[0].poll(), board.len(QUEUE)), (None, 0));
}

/// M23: a younger caller with a head start and an older one without; both shards agree who is first.
pub(super) fn head_start_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let own = board.own_queue(ANNA);
    let head_start = Duration::from_millis(1);
    let serves = [Serve { head_start, ..own.into() }, QUEUE.into()];
    board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
    enter(&mut x, 0, 5);
    let at = NOW + Duration::from_micros(7);
    y.enter(at, call(1), Ask::default(), &[own]).expect("room");
    let other = spawn(move || {
        y.turn(NOW);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M24: two callers arrive on two shards for one place in a queue.
pub(super) fn two_arrive_for_one_place(lacking: &[Part]) {
    let (board, desks) = board_of(lacking, 2, 0, 1);
    let (mut x, mut y) = pair(desks);
    let other = spawn(move || {
        let entered = y.enter(NOW, call(1), Ask::default(), &[QUEUE]).is_ok();
        (y, entered)
    });
    let entered = x.enter(NOW, call(0), Ask::default(), &[QUEUE]).is_ok();
    let (mut y, other) = other.join().expect("no check failed");
    // Either may find the other's count before it is taken back: then both are refused.
    assert!(!(entered && other), "two callers in one place");
    assert_eq!(board.len(QUEUE), u32::from(entered) + u32::from(other));
    x.withdraw(call(0));
    y.withdraw(call(1));
    assert_eq!(board.len(QUEUE), 0);
}

/// M28: the agent comes free while somebody who needs nobody any more takes a mark without cause away, and
/// a caller arrives.
pub(super) fn look_and_free_and_arrive(lacking: &[Part]) {
    let (board, mut desks) = board(lacking, 3, 1);
    let mut z = desks.pop().expect("three shards");
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let shared = board.clone();
    let one = spawn(move || {
        let found = shared.find_idle(0, Strategy::LongestIdle);
        if let Some(found) = found
            && let Some(word) = shared.take(2, found.agent, found.word)
        {
            z.place(found.agent, word);
        }
        z
    });
    let two = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let z = one.join().expect("no check failed");
    let y = two.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y, z]), [None, Some(ANNA), None]);
}
