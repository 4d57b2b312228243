//! RFC 3261 §16.7 with one target: what comes back, and when.

use super::*;

#[test]
fn provisional_responses_go_back_and_100_does_not() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(100, "b", &[]));
    assert_eq!(world.lines(), [""; 0]);
    world.give(at_bob.answer(183, "b", &[]));
    world.give(at_bob.answer(180, "b", &[]));
    assert_eq!(world.lines(), [format!("183 {ALICE}"), format!("180 {ALICE}")]);
    world.give(at_bob.answer(486, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("486 {ALICE}")]);
    world.give(at_bob.answer(180, "b", &[]));
    assert_eq!(world.lines(), [""; 0]);
    world.assert_drains();
}

#[test]
fn an_answer_goes_back_at_once_and_each_time_it_comes_again() {
    let mut world = World::new(vec![bob()]);
    let (at_bob, at_alice) = joined(&mut world, "1");
    assert_eq!(at_alice.message.status(), 200);
    assert_eq!(at_alice.all(Header::RecordRoute), at_bob.all(Header::RecordRoute));
    world.pass(Duration::from_millis(500));
    world.take();
    world.give(at_bob.answer(200, "b1", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    // A second phone behind Bob's element answered too.
    world.give(at_bob.answer(200, "b2", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn a_silent_target_is_408_for_an_invite_and_nothing_for_others() {
    let mut world = World::new(vec![bob()]);
    invite(&mut world, "1");
    world.pass(Duration::from_secs(33));
    let last = world.lines().into_iter().rfind(|l| l.ends_with(ALICE));
    assert_eq!(last, Some(format!("408 {ALICE}")));
    let mut world = World::new(vec![bob()]);
    world.receive(udp(ALICE), &request("MESSAGE", "2", ""));
    world.take();
    world.pass(Duration::from_secs(33));
    let to_alice = world.lines().into_iter().filter(|l| l.ends_with(ALICE));
    // RFC 4320 §4.2: a 408 would come too late for Alice in any case.
    assert!(to_alice.clone().all(|l| l.starts_with("100")), "{:?}", to_alice.collect::<Vec<_>>());
    world.assert_drains();
}

#[test]
fn service_unavailable_from_there_and_a_broken_transport_are_our_500() {
    for breaks in [false, true] {
        let mut world = World::new(vec![bob()]);
        let at_bob = invite(&mut world, "1");
        match breaks {
            true => {
                world.txs.transport_failed(world.now, at_bob.flow);
                world.drain();
            }
            false => world.give(at_bob.answer(503, "b", &[(Header::RetryAfter, "100")])),
        }
        let at_alice = world.only(ALICE).message;
        assert_eq!((at_alice.status(), at_alice.header(Header::RetryAfter)), (500, None));
        world.assert_drains();
    }
}

#[test]
fn a_phone_that_rings_for_more_than_three_minutes_is_cancelled() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(180, "b", &[]));
    world.take();
    world.pass(Duration::from_secs(100));
    world.give(at_bob.answer(183, "b", &[]));
    world.take();
    world.pass(TIMER_C - Duration::from_secs(1));
    assert_eq!(world.lines(), [""; 0]);
    world.pass(Duration::from_secs(1));
    let cancel = world.only(BOB);
    assert_eq!(*cancel.message.method(), Method::Cancel);
    world.give(cancel.answer(200, "b", &[]));
    world.give(at_bob.answer(487, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("408 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn a_phone_that_rings_for_ever_and_ignores_the_cancel_is_left() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(180, "b", &[]));
    world.pass(TIMER_C + Duration::from_secs(33));
    let last = world.lines().into_iter().rfind(|l| l.ends_with(ALICE));
    assert_eq!(last, Some(format!("408 {ALICE}")));
    world.assert_drains();
}

#[test]
fn what_the_other_side_does_to_our_vias_does_not_matter() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    let top = at_bob.all(Header::Via)[0].clone();
    let (flow, reply) = at_bob.answer(486, "b", &[]);
    let mangled = Builder::forward(&reply).remove(Header::Via).header(Header::Via, &top);
    let mangled = mangled.header(Header::Via, "SIP/2.0/UDP 203.0.113.66;branch=z9hG4bKevil");
    world.receive(flow, &Message::parse(mangled.finish()).unwrap());
    let at_alice = world.only(ALICE);
    assert_eq!(at_alice.all(Header::Via).len(), 1);
    assert!(at_alice.all(Header::Via)[0].contains("branch=z9hG4bK1;"));
}

#[test]
fn our_own_answers_have_the_same_tag_for_the_same_request() {
    let world = World::new(vec![]);
    let first = request("INVITE", "1", "");
    assert_eq!(world.proxy.tag(&first), world.proxy.tag(&request("INVITE", "1", "X: y\r\n")));
    assert_ne!(world.proxy.tag(&first), world.proxy.tag(&request("INVITE", "2", "")));
}
