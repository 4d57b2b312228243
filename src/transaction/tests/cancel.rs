//! CANCEL, ours and theirs: RFC 3261 §9.

use super::*;

fn no_sends() -> Vec<String> {
    Vec::new()
}

#[test]
fn our_cancel_waits_for_a_provisional_response() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    let invite = world.last();
    world.cancel(tx);
    world.pass(1_000);
    assert_eq!(world.sent(), at(&[0, 500], "INVITE"));
    world.receive(&answer(&invite, 180, "x"), udp());
    let cancel = world.last();
    assert_eq!(world.sent()[2..], ["1000 CANCEL"]);
    assert_eq!(cancel.header(Header::Via), invite.header(Header::Via));
    assert_eq!(cancel.uri(), invite.uri());
    assert_eq!(cancel.header(Header::Route), invite.header(Header::Route));
    assert_eq!(cancel.header(Header::From), invite.header(Header::From));
    assert_eq!(cancel.header(Header::To), invite.header(Header::To));
    assert_eq!(cancel.cseq(), Some((3, &Method::Cancel)));
    assert!(cancel.header(Header::Reason).is_some_and(|r| r.starts_with("SIP;cause=200")));
    world.receive(&answer(&cancel, 200, "x"), udp());
    world.receive(&answer(&invite, 487, "x"), udp());
    // The CANCEL's own answer is nobody's news.
    assert_eq!(world.heard(), ["1000 180 INVITE", "1000 487 INVITE"]);
    assert_eq!(world.sent()[3..], ["1000 ACK"]);
    world.ends_empty();
}

#[test]
fn our_cancel_goes_at_once_to_a_phone_that_rings_and_only_once() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    world.receive(&answer(&world.last(), 180, "x"), udp());
    world.cancel(tx);
    world.cancel(tx);
    assert_eq!(world.sent(), ["0 INVITE", "0 CANCEL"]);
    world.ends_empty();
}

#[test]
fn an_unanswered_cancel_is_repeated_and_its_invite_ends_after_32_s() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    world.receive(&answer(&world.last(), 180, "x"), udp());
    world.pass(100);
    world.cancel(tx);
    world.pass(40_000);
    let times = [100, 600, 1_600, 3_600, 7_600, 11_600, 15_600, 19_600, 23_600, 27_600, 31_600];
    assert_eq!(world.sent()[1..], at(&times, "CANCEL"));
    assert_eq!(world.heard(), ["0 180 INVITE", "32100 timeout"]);
    world.ends_empty();
}

#[test]
fn a_cancel_wanted_of_a_silent_phone_ends_with_the_invite() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    world.cancel(tx);
    world.pass(40_000);
    assert!(world.sent().iter().all(|sent| sent.ends_with("INVITE")));
    assert_eq!(world.heard(), ["32000 timeout"]);
    world.ends_empty();
}

#[test]
fn a_cancel_that_crosses_the_answer_leaves_the_answer_to_the_user() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    let invite = world.last();
    world.receive(&answer(&invite, 180, "x"), udp());
    world.cancel(tx);
    let cancel = world.last();
    world.receive(&answer(&invite, 200, "x"), udp());
    world.receive(&answer(&cancel, 481, "x"), udp());
    assert_eq!(world.heard(), ["0 180 INVITE", "0 200 INVITE"]);
    world.ends_empty();
    assert_eq!(world.events.len(), 2, "no timeout after an answer");
}

#[test]
fn there_is_nothing_to_cancel_in_what_is_answered_or_no_invite() {
    let mut world = World::new();
    let answered = world.send(&Method::Invite, udp());
    world.receive(&answer(&world.last(), 200, "x"), udp());
    let refused = world.send(&Method::Invite, udp());
    world.receive(&answer(&world.last(), 486, "x"), udp());
    let other = world.send(&Method::Options, udp());
    world.receive(&answer(&world.last(), 100, "x"), udp());
    world.forget();
    for tx in [answered, refused, other] {
        world.cancel(tx);
    }
    assert_eq!(world.sent(), no_sends());
    world.ends_empty();
}

#[test]
fn our_cancel_over_a_stream_goes_to_the_connection_that_answered() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, Flow { connection: 0, ..tcp() });
    world.receive(&answer(&world.last(), 180, "x"), tcp());
    world.cancel(tx);
    assert_eq!(world.sent.last().map(|(_, flow, _)| *flow), Some(tcp()));
    world.ends_empty();
}

#[test]
fn their_cancel_is_answered_here_and_told_once() {
    let mut world = World::new();
    let tx = world.arrive("INVITE", udp());
    world.respond(tx, 180);
    let cancel = request("CANCEL", "z9hG4bK-1");
    world.receive(&cancel, udp());
    world.receive(&cancel, udp());
    assert_eq!(world.heard(), ["0 INVITE", "0 cancelled"]);
    assert_eq!(world.sent(), ["0 180 INVITE", "0 200 CANCEL", "0 200 CANCEL"]);
    assert_eq!(world.last().to_tag(), Some("t1"), "the tag of the INVITE's responses");
    assert!(matches!(&world.events[1].1, TxEvent::Cancelled { tx: of, .. } if *of == tx));
    world.respond(tx, 487);
    world.receive(&cancel, udp());
    assert_eq!(world.sent()[3..], ["0 487 INVITE", "0 200 CANCEL"]);
    assert_eq!(world.events.len(), 2);
    world.ends_empty();
}

#[test]
fn their_cancel_changes_nothing_once_we_have_answered() {
    for status in [200, 486] {
        let mut world = World::new();
        let tx = world.arrive("INVITE", udp());
        world.respond(tx, status);
        world.receive(&request("CANCEL", "z9hG4bK-1"), udp());
        assert_eq!(world.heard(), ["0 INVITE"]);
        assert_eq!(world.sent()[1..], ["0 200 CANCEL"]);
        assert_eq!(world.last().to_tag(), Some("t1"));
        world.ends_empty();
    }
}

#[test]
fn their_cancel_of_another_request_has_no_effect() {
    let mut world = World::new();
    let tx = world.arrive("OPTIONS", udp());
    world.receive(&request("CANCEL", "z9hG4bK-1"), udp());
    assert_eq!(world.heard(), ["0 OPTIONS"]);
    world.respond(tx, 200);
    assert_eq!(world.sent(), ["0 200 CANCEL", "0 200 OPTIONS"]);
    world.ends_empty();
}

#[test]
fn a_cancel_of_nothing_gets_481() {
    let mut world = World::new();
    world.arrive("INVITE", udp());
    world.receive(&request("CANCEL", "z9hG4bK-2"), udp());
    assert_eq!(world.sent(), ["0 481 CANCEL"]);
    assert!(world.last().to_tag().is_some());
    assert_eq!(world.heard(), ["0 INVITE"]);
    world.ends_empty();
}
