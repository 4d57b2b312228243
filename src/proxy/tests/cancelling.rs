//! RFC 3261 §16.10: the caller goes before anybody has answered.

use super::*;

fn cancel_of(invite: &Message, lines: &str) -> Message {
    let via = invite.header(Header::Via).unwrap();
    parse(&format!(
        "CANCEL {} SIP/2.0\r\nVia: {via}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
         CSeq: 1 CANCEL\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n",
        invite.uri(),
        invite.header(Header::From).unwrap(),
        invite.header(Header::To).unwrap(),
        invite.call_id(),
    ))
}

fn cancelled(world: &mut World, lines: &str) -> Sent {
    let request = request("INVITE", "1", "");
    world.receive(udp(ALICE), &request);
    let at_bob = world.only(BOB);
    world.give(at_bob.answer(180, "b", &[]));
    world.take();
    world.receive(udp(ALICE), &cancel_of(&request, lines));
    at_bob
}

#[test]
fn a_cancel_goes_on_to_all_that_ring_and_their_487_comes_back() {
    let mut world = World::new(vec![bob(), clara()]);
    let request = request("INVITE", "1", "");
    world.receive(udp(ALICE), &request);
    let rings: Vec<_> = world.take().into_iter().filter(|s| s.message.is_request()).collect();
    for ring in &rings {
        world.give(ring.answer(180, &ring.remote(), &[]));
    }
    world.take();
    world.receive(udp(ALICE), &cancel_of(&request, "Reason: SIP;cause=600\r\n"));
    let after = world.take();
    let reasons = after.iter().filter_map(|s| s.message.header(Header::Reason));
    assert_eq!(reasons.collect::<Vec<_>>(), ["SIP;cause=600", "SIP;cause=600"]);
    for ring in &rings {
        world.give(ring.answer(487, &ring.remote(), &[]));
    }
    let expected = [format!("ACK {BOB}"), format!("ACK {CLARA}"), format!("487 {ALICE}")];
    assert_eq!(world.lines(), expected);
    world.assert_drains();
}

#[test]
fn a_cancel_before_any_ringing_waits_for_the_phone() {
    let mut world = World::new(vec![bob()]);
    let request = request("INVITE", "1", "");
    world.receive(udp(ALICE), &request);
    let at_bob = world.only(BOB);
    world.receive(udp(ALICE), &cancel_of(&request, ""));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.give(at_bob.answer(180, "b", &[]));
    assert_eq!(world.lines(), [format!("CANCEL {BOB}"), format!("180 {ALICE}")]);
    world.give(at_bob.answer(487, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("487 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn what_was_not_tried_is_not_tried_after_a_cancel() {
    let mut world = World::new(vec![bob(), Target { q: 1, ..clara() }]);
    let at_bob = cancelled(&mut world, "");
    world.take();
    world.give(at_bob.answer(486, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("486 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn a_phone_that_ignores_the_cancel_does_not_hold_the_caller() {
    let mut world = World::new(vec![bob()]);
    cancelled(&mut world, "");
    world.take();
    world.pass(Duration::from_secs(33));
    let last = world.lines().into_iter().rfind(|l| l.ends_with(ALICE));
    assert_eq!(last, Some(format!("487 {ALICE}")));
    world.assert_drains();
}

#[test]
fn an_answer_that_crosses_the_cancel_goes_back() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = cancelled(&mut world, "");
    world.take();
    world.give(at_bob.answer(200, "b", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    assert!(matches!(world.events().last(), Some(ProxyEvent::Answered { .. })));
    world.assert_drains();
}

#[test]
fn a_cancel_for_nothing_is_481() {
    let mut world = World::new(vec![bob()]);
    world.receive(udp(ALICE), &cancel_of(&request("INVITE", "1", ""), ""));
    assert_eq!(world.lines(), [format!("481 {ALICE}")]);
    world.assert_drains();
}
