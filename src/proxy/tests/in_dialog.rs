//! Loose routing: requests, ACKs and stray answers of dialogs that we record-routed.

use super::*;

#[test]
fn an_ack_goes_on_to_who_answered_and_again_each_time() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let ack = in_dialog(&at_alice, true, "ACK", "ack", 1);
    world.receive(udp(ALICE), &ack);
    let at_bob = world.only(BOB);
    assert_eq!(*at_bob.message.method(), Method::Ack);
    assert_eq!(at_bob.message.uri(), "sip:bob@192.0.2.2:5060");
    assert!(!at_bob.message.has(Header::Route));
    assert_eq!(at_bob.message.max_forwards(), Some(69));
    assert_eq!(at_bob.all(Header::Via).len(), 2);
    world.receive(udp(ALICE), &ack);
    assert_eq!(world.lines(), [format!("ACK {BOB}")]);
    world.assert_drains();
}

#[test]
fn either_side_may_speak_within_the_dialog_and_end_it() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "INFO", "i", 7));
    let info = world.only(ALICE);
    assert_eq!(info.message.uri(), "sip:alice@192.0.2.1:5060");
    assert!(!info.message.has(Header::Route) && !info.message.has(Header::RecordRoute));
    world.give(info.answer(200, "", &[]));
    assert_eq!(world.lines(), [format!("200 {BOB}")]);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "BYE", "bye", 2));
    let bye = world.only(BOB);
    world.give(bye.answer(200, "", &[]));
    assert_eq!(world.lines(), [format!("200 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn over_two_listeners_both_of_our_routes_come_off_on_either_side() {
    let mut world = World::new(vec![target("sip:bob@192.0.2.2:5060", inside(BOB))]);
    let (_, at_alice) = joined(&mut world, "1");
    assert_eq!(at_alice.all(Header::RecordRoute).len(), 2);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "INFO", "i", 2));
    let at_bob = world.only(BOB);
    assert_eq!((at_bob.flow.listener, at_bob.message.has(Header::Route)), (INSIDE, false));
    world.receive(inside(BOB), &in_dialog(&at_alice, false, "INFO", "j", 2));
    let back = world.only(ALICE);
    assert_eq!((back.flow.listener, back.message.has(Header::Route)), (UDP, false));
}

#[test]
fn other_proxies_of_the_route_stay_in_it() {
    let mut world = World::new(vec![bob()]);
    let lines = "Record-Route: <sip:edge.example.com;lr>\r\n";
    world.receive(udp(ALICE), &request("INVITE", "1", lines));
    let at_bob = world.only(BOB);
    world.give(at_bob.answer(200, "b1", &[]));
    let at_alice = world.only(ALICE);
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "BYE", "bye", 2));
    let bye = world.only(ALICE);
    assert_eq!(bye.all(Header::Route), ["<sip:edge.example.com;lr>"]);
    assert_eq!(bye.message.uri(), "sip:alice@192.0.2.1:5060");
}

#[test]
fn a_strict_routers_rewriting_is_undone() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let ours = at_alice.all(Header::RecordRoute)[0].clone();
    let bye =
        in_dialog_by(&at_alice, true, &["<sip:bob@192.0.2.2:5060>".to_owned()], ("BYE", "bye", 2));
    // What stood in Route is the Request-URI now, what stood there is the last Route.
    let rewritten = Builder::forward(&bye).request_uri(ours.trim_matches(['<', '>']));
    world.receive(udp(ALICE), &Message::parse(rewritten.finish()).unwrap());
    let at_bob = world.only(BOB);
    assert_eq!(at_bob.message.uri(), "sip:bob@192.0.2.2:5060");
    assert!(!at_bob.message.has(Header::Route));
}

#[test]
fn a_reinvite_passes_with_its_answer_and_its_ack() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "INVITE", "re", 5));
    let reinvite = world.only(ALICE);
    world.give(reinvite.answer(200, "", &[]));
    assert_eq!(world.lines(), [format!("200 {BOB}")]);
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "ACK", "reack", 5));
    assert_eq!(world.lines(), [format!("ACK {ALICE}")]);
    world.assert_drains();
}

#[test]
fn the_switch_says_how_an_end_is_reached_now() {
    let mut world = World::new(vec![Target {
        party: Some(Arc::from("bob")),
        ..target("sip:bob@10.9.9.9", tcp("192.0.2.2:40000", 7))
    }]);
    world.receive(udp(ALICE), &request("SUBSCRIBE", "1", ""));
    let at_bob = world.only("192.0.2.2:40000");
    world.give(at_bob.answer(200, "b1", &[]));
    let at_alice = world.only(ALICE);
    // Bob's phone registered again over another connection.
    world.reach = |end, _| match end.party.as_deref() {
        Some("bob") => Some(tcp("192.0.2.2:41000", 8)),
        _ => Some(end.flow),
    };
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "SUBSCRIBE", "s2", 2));
    assert_eq!(world.only("192.0.2.2:41000").flow.connection, 8);
    // Gone altogether.
    world.reach = |end, _| end.party.is_none().then_some(end.flow);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "SUBSCRIBE", "s3", 3));
    assert_eq!(world.only(ALICE).message.status(), 430);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "ACK", "a", 3));
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn a_stranger_with_a_stolen_route_reaches_the_two_ends_and_nobody_else() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let mut stolen = at_alice.all(Header::RecordRoute);
    stolen.push("<sip:victim.example.com;lr>".to_owned());
    let info = in_dialog_by(&at_alice, true, &stolen, ("INFO", "i", 9));
    let info = Builder::forward(&info).request_uri("sip:victim@198.51.100.1");
    world.receive(udp(EVE), &Message::parse(info.finish()).unwrap());
    let sent = world.take();
    assert!(sent.iter().all(|s| [EVE, BOB].contains(&&*s.remote())), "{sent:?}");
}

#[test]
fn dialogs_survive_a_restart() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.restart();
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "BYE", "bye", 2));
    let bye = world.only(ALICE);
    world.give(bye.answer(200, "", &[]));
    assert_eq!(world.lines(), [format!("200 {BOB}")]);
    world.assert_drains();
}

#[test]
fn an_answer_to_an_invite_from_before_a_restart_reaches_the_caller() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.restart();
    world.give(at_bob.answer(200, "b1", &[]));
    let at_alice = world.only(ALICE);
    assert_eq!(at_alice.message.status(), 200);
    assert_eq!(at_alice.all(Header::Via).len(), 1);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "ACK", "ack", 1));
    assert_eq!(world.lines(), [format!("ACK {BOB}")]);
}

#[test]
fn a_stray_answer_that_proves_nothing_goes_nowhere() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.restart();
    let (_, reply) = at_bob.answer(200, "b1", &[]);
    // From elsewhere than the callee.
    world.receive(udp(EVE), &reply);
    // Of another call.
    let text = String::from_utf8(reply.raw().to_vec()).unwrap();
    world.receive(udp(BOB), &parse(&text.replace("Call-ID: call-1", "Call-ID: call-9")));
    // With nothing behind our Via.
    let top = at_bob.all(Header::Via)[0].clone();
    let bare = Builder::forward(&reply).remove(Header::Via).header(Header::Via, top);
    world.receive(udp(BOB), &Message::parse(bare.finish()).unwrap());
    assert_eq!(world.lines(), [""; 0]);
    assert_eq!(world.left.len(), 1, "only what has no cookie of ours is left to others");
}

#[test]
fn an_ack_that_is_not_ours_is_left_to_others() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(ALICE), &in_dialog_by(&at_alice, true, &[], ("ACK", "ack", 1)));
    assert_eq!(world.lines(), [""; 0]);
    assert_eq!(world.left.len(), 1);
}
