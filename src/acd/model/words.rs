//! Worlds in which an agent's word, queues or bell are touched from two sides.

use super::*;

/// M4: a pause that came before the offer is never followed by one.
pub(super) fn pause_and_commit(lacking: &[Part]) {
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

/// M8: an agent is moved into the queue where a caller waits, while coming free.
pub(super) fn move_in_and_free(lacking: &[Part]) {
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
pub(super) fn move_out_and_commit(lacking: &[Part]) {
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
pub(super) fn two_ring(lacking: &[Part]) {
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
pub(super) fn resume_and_arrive(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    x.set_flag(ANNA, Flags::PAUSED);
    unmark(&board);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    x.clear_flag(NOW, ANNA, Flags::PAUSED);
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M19: a rest is ended by the agent and by a sweep at once.
pub(super) fn end_a_rest_twice(lacking: &[Part]) {
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

/// M14: two shards take one agent back from a third that stands still.
pub(super) fn revoke_twice(lacking: &[Part]) {
    let (board, _) = board(lacking, 3, 1);
    let held = put(&board, Word::free(Flags::NONE).step(AgentState::Hand, 2));
    let shared = board.clone();
    let other = spawn(move || shared.take(0, 0, held).is_some());
    let one = board.take(1, 0, held).is_some();
    assert!(one ^ other.join().expect("no check failed"), "both have the agent, or nobody");
}

/// M15: an agent handed to a shard is taken back, given other queues and handed to it again: what the
/// shard decided by the first word does not stand.
pub(super) fn hand_over_again(lacking: &[Part]) {
    hand_over_again_at(lacking, 7);
}

/// M26: the same while the epoch wraps.
pub(super) fn hand_over_again_as_the_epoch_wraps(lacking: &[Part]) {
    hand_over_again_at(lacking, u64::from(u32::MAX));
}

fn hand_over_again_at(lacking: &[Part], epoch: u64) {
    let (board, _) = board(lacking, 2, 1);
    let held = Word::free(Flags::NONE).step(AgentState::Hand, 1);
    let held = put(&board, Word::from_bits(held.bits() & 0xffff_ffff | epoch << 32));
    let shared = board.clone();
    let other = spawn(move || shared.commit(1, 0, held).is_ok());
    let taken = board.take(0, 0, held);
    let again = taken.is_some_and(|word| {
        board.roster.write(0, &[]);
        let next = board.step(word, AgentState::Hand, 1);
        board.swap(0, word, next).is_ok()
    });
    let committed = other.join().expect("no check failed");
    assert!(committed != again, "bound by a word of the time before: {again}");
}

/// M18: helpers are let in while the helper comes free.
pub(super) fn open_help_and_free(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    let serves = [Serve { helper: true, ..QUEUE.into() }];
    board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
    enter(&mut y, 1, 5);
    let shared = board.clone();
    let other = spawn(move || {
        assert!(shared.open_help(ShardId(1), QUEUE));
        y.turn(NOW);
        y
    });
    assert!(x.release(NOW, token, After::Free));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M27: helpers are let in while a caller arrives.
pub(super) fn open_help_and_arrive(lacking: &[Part]) {
    let (board, desks) = board(lacking, 2, 1);
    let (mut x, mut y) = pair(desks);
    let serves = [Serve { helper: true, ..QUEUE.into() }];
    board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
    x.turn(NOW);
    let other = spawn(move || {
        enter(&mut y, 1, 5);
        y
    });
    assert!(board.open_help(ShardId(0), QUEUE));
    let y = other.join().expect("no check failed");
    assert_eq!(settle(&board, &mut [x, y]), [None, Some(ANNA)]);
}

/// M25: a worker sleeps as soon as its turn found nothing, and only its bell wakes it.
pub(super) fn sleep_and_hand_over(lacking: &[Part]) {
    let bells: Vec<Arc<Sleeper>> = (0..2).map(|_| Arc::new(Sleeper::default())).collect();
    let wakers = bells.iter().map(|bell| bell.clone() as Arc<dyn Wake>).collect();
    let (_, desks) = staffed(lacking, 2, 1, 9, wakers);
    let (mut x, mut y) = pair(desks);
    let token = busy(&mut x, ANNA);
    enter(&mut y, 1, 5);
    let other = spawn(move || {
        loop {
            y.turn(NOW);
            match y.poll() {
                Some(assignment) => return assignment.agent,
                None => bells[1].sleep(),
            }
        }
    });
    assert!(x.release(NOW, token, After::Free));
    // If it sleeps for ever, the model is stuck, and says so.
    assert_eq!(other.join().expect("no check failed"), ANNA);
}
