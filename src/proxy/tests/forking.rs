//! RFC 3261 §16.7 with several targets: together, one group after another, and the best response.

use super::*;

const DORA: &str = "192.0.2.4:5060";

fn dora() -> Target {
    Target { q: 300, ..target("sip:dora@192.0.2.4:5060", udp(DORA)) }
}

/// An INVITE to all targets; gives what each of the first group got.
fn fork(world: &mut World) -> Vec<Sent> {
    world.receive(udp(ALICE), &request("INVITE", "1", ""));
    world.take().into_iter().filter(|s| s.message.is_request()).collect()
}

fn to(sent: &[Sent], remote: &str) -> Sent {
    sent.iter().find(|s| s.remote() == remote).unwrap_or_else(|| panic!("{remote}")).clone()
}

#[test]
fn targets_of_one_preference_ring_together_each_with_its_own_branch() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].all(Header::Via)[0], sent[1].all(Header::Via)[0]);
    assert_eq!(to(&sent, CLARA).message.uri(), "sip:clara@192.0.2.3:5060");
    for (one, remote) in [(180, BOB), (183, CLARA)] {
        world.give(to(&sent, remote).answer(one, remote, &[]));
    }
    assert_eq!(world.lines(), [format!("180 {ALICE}"), format!("183 {ALICE}")]);
}

#[test]
fn the_first_answer_wins_and_the_others_are_cancelled_with_a_reason() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    let (at_bob, at_clara) = (to(&sent, BOB), to(&sent, CLARA));
    world.give(at_clara.answer(180, "c", &[]));
    world.take();
    world.give(at_bob.answer(200, "b", &[]));
    let after = world.take();
    assert_eq!(to(&after, ALICE).message.status(), 200);
    let cancel = to(&after, CLARA);
    assert_eq!(*cancel.message.method(), Method::Cancel);
    assert!(cancel.message.header(Header::Reason).unwrap().contains("cause=200"));
    world.give(at_clara.answer(487, "c", &[]));
    assert_eq!(world.lines(), [format!("ACK {CLARA}")]);
    world.assert_drains();
}

#[test]
fn an_answer_that_crosses_our_cancel_goes_back_too() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    let at_clara = to(&sent, CLARA);
    world.give(at_clara.answer(180, "c", &[]));
    world.give(to(&sent, BOB).answer(200, "b", &[]));
    world.take();
    world.give(at_clara.answer(200, "c", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn to_others_than_invite_one_answer_goes_back_and_nothing_is_cancelled() {
    let mut world = World::new(vec![bob(), clara()]);
    world.receive(udp(ALICE), &request("MESSAGE", "1", ""));
    let sent = world.take();
    world.give(to(&sent, BOB).answer(200, "b", &[]));
    world.give(to(&sent, CLARA).answer(202, "c", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn a_global_failure_ends_all_at_once() {
    let mut world = World::new(vec![bob(), clara(), dora()]);
    let sent = fork(&mut world);
    let at_clara = to(&sent, CLARA);
    world.give(at_clara.answer(180, "c", &[]));
    world.take();
    world.give(to(&sent, BOB).answer(603, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("CANCEL {CLARA}")]);
    world.give(at_clara.answer(487, "c", &[]));
    assert_eq!(world.lines(), [format!("ACK {CLARA}"), format!("603 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn the_best_failure_goes_back_when_the_last_has_failed() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    world.give(to(&sent, BOB).answer(500, "b", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}")]);
    world.give(to(&sent, CLARA).answer(486, "c", &[]));
    let at_alice = world.only(ALICE).message;
    assert_eq!((at_alice.status(), at_alice.to_tag()), (486, Some("c")));
    world.assert_drains();
}

#[test]
fn the_less_preferred_are_tried_when_the_preferred_have_failed() {
    let mut world = World::new(vec![dora(), bob(), clara()]);
    let sent = fork(&mut world);
    assert_eq!(sent.len(), 2);
    world.give(to(&sent, BOB).answer(486, "b", &[]));
    world.take();
    world.give(to(&sent, CLARA).answer(480, "c", &[]));
    let second = world.take();
    let at_dora = to(&second, DORA);
    assert!(second.iter().all(|s| s.remote() != ALICE));
    world.give(at_dora.answer(200, "d", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn a_call_answered_by_the_preferred_never_reaches_the_others() {
    let mut world = World::new(vec![bob(), dora()]);
    let sent = fork(&mut world);
    world.give(to(&sent, BOB).answer(200, "b", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn all_challenges_go_back_together() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    let www = [(Header::WwwAuthenticate, "Digest realm=\"b\", nonce=\"1\"")];
    let proxy = [
        (Header::ProxyAuthenticate, "Digest realm=\"c\", nonce=\"2\""),
        (Header::ProxyAuthenticate, "Digest realm=\"c2\", nonce=\"3\""),
    ];
    world.give(to(&sent, BOB).answer(401, "b", &www));
    world.give(to(&sent, CLARA).answer(407, "c", &proxy));
    let at_alice = world.only(ALICE).message;
    assert_eq!(at_alice.status(), 401);
    assert_eq!(at_alice.lines(Header::WwwAuthenticate).count(), 1);
    assert_eq!(at_alice.lines(Header::ProxyAuthenticate).count(), 2);
    world.assert_drains();
}

#[test]
fn one_dead_target_does_not_harm_the_living() {
    let mut world = World::new(vec![bob(), clara()]);
    let sent = fork(&mut world);
    world.txs.transport_failed(world.now, udp(BOB));
    world.drain();
    assert_eq!(world.lines(), [""; 0]);
    world.give(to(&sent, CLARA).answer(404, "c", &[]));
    assert_eq!(world.only(ALICE).message.status(), 404);
    world.assert_drains();
}
