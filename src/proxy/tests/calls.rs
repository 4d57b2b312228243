//! A proxied INVITE's record: its story, probing, hanging up, and coming back after a restart.

use super::*;

fn story(world: &mut World) -> Vec<String> {
    let words = |event| match event {
        ProxyEvent::Started { .. } => "started".to_owned(),
        ProxyEvent::Ringing { status, .. } => format!("ringing {status}"),
        ProxyEvent::Answered { dialog, .. } => format!("answered {}", dialog.callee.tag),
        ProxyEvent::Ended { by, .. } => format!("ended {by:?}"),
        ProxyEvent::Failed { status, cancelled, .. } => format!("failed {status} {cancelled}"),
    };
    world.events().into_iter().map(words).collect()
}

fn bye(world: &mut World, at_alice: &Sent, from_alice: bool) {
    let (from, to) = if from_alice { (ALICE, BOB) } else { (BOB, ALICE) };
    let request = in_dialog(at_alice, from_alice, "BYE", "bye", 20);
    world.receive(udp(from), &request);
    let passed = world.only(to);
    world.give(passed.answer(200, "", &[]));
    assert_eq!(world.lines(), [format!("200 {from}")]);
}

#[test]
fn an_answered_call_is_told_from_start_to_bye() {
    for (from_alice, side) in [(true, "Caller"), (false, "Callee")] {
        let mut world = World::recorded(vec![bob()]);
        let at_bob = invite(&mut world, "1");
        world.give(at_bob.answer(100, "b1", &[]));
        world.give(at_bob.answer(180, "b1", &[]));
        world.give(at_bob.answer(183, "b1", &[]));
        world.take();
        world.give(at_bob.answer(200, "b1", &[]));
        let at_alice = world.only(ALICE);
        assert_eq!(story(&mut world), ["started", "ringing 180", "answered b1"]);
        assert_eq!(world.proxy.calls(), 1);
        bye(&mut world, &at_alice, from_alice);
        assert_eq!(story(&mut world), [format!("ended Some({side})")]);
        assert_eq!(world.proxy.calls(), 0);
        world.assert_drains();
    }
}

#[test]
fn a_call_that_nobody_took_says_what_the_caller_was_told() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(486, "b1", &[]));
    assert_eq!(story(&mut world), ["started", "failed 486 false"]);
    let mut world = World::recorded(vec![]);
    world.receive(udp(ALICE), &request("INVITE", "1", ""));
    assert_eq!(story(&mut world), ["started", "failed 480 false"]);
    let mut world = World::recorded(vec![bob()]);
    world.receive(udp(ALICE), &request("INVITE", "1", "Proxy-Require: x\r\n"));
    assert_eq!(story(&mut world), ["started", "failed 420 false"]);
    world.assert_drains();
}

#[test]
fn a_bye_that_is_asked_for_credentials_ends_nothing_yet() {
    let mut world = World::recorded(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    story(&mut world);
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "BYE", "bye1", 2));
    let passed = world.only(BOB);
    world.give(passed.answer(407, "", &[]));
    assert_eq!(story(&mut world), [""; 0]);
    world.take();
    bye(&mut world, &at_alice, true);
    assert_eq!(story(&mut world), ["ended Some(Caller)"]);
}

#[test]
fn a_bye_that_is_never_answered_ends_the_call_all_the_same() {
    let mut world = World::recorded(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "BYE", "bye1", 2));
    story(&mut world);
    world.pass(Duration::from_secs(33));
    assert_eq!(story(&mut world), ["ended Some(Caller)"]);
    world.assert_drains();
}

#[test]
fn a_call_with_two_answers_ends_with_the_second_bye() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(200, "b1", &[]));
    let first = world.only(ALICE);
    world.give(at_bob.answer(200, "b2", &[]));
    let second = world.only(ALICE);
    assert_eq!(story(&mut world), ["started", "answered b1"]);
    assert_eq!(world.proxy.dialogs(call_key(1)).len(), 2);
    bye(&mut world, &second, true);
    assert_eq!(story(&mut world), [""; 0]);
    world.receive(udp(ALICE), &in_dialog(&first, true, "BYE", "bye2", 3));
    let passed = world.only(BOB);
    world.give(passed.answer(200, "", &[]));
    assert_eq!(story(&mut world), ["ended Some(Caller)"]);
    world.assert_drains();
}

#[test]
fn a_probe_looks_as_if_the_other_side_had_sent_it() {
    let mut world = World::recorded(vec![bob()]);
    let lines = "Record-Route: <sip:edge.example.com;lr>\r\n";
    world.receive(udp(ALICE), &request("INVITE", "1", lines));
    let at_bob = world.only(BOB);
    let behind = at_bob.all(Header::RecordRoute);
    let (flow, answer) = at_bob.answer(200, "b1", &[(Header::Contact, "<sip:bob@192.0.2.9:5080>")]);
    let inner = ["<sip:in2.example.com;lr>", "<sip:in1.example.com;lr>"];
    let answer = inner
        .iter()
        .rev()
        .fold(Builder::forward(&answer), |draft, route| draft.top(Header::RecordRoute, route));
    world.receive(flow, &Message::parse(answer.finish()).unwrap());
    assert_eq!(behind.len(), 2);
    let dialog = world.proxy.dialogs(call_key(1))[0].clone();
    assert_eq!(dialog.next_hop(Side::Callee), "sip:in1.example.com;lr");
    assert_eq!(dialog.next_hop(Side::Caller), "sip:edge.example.com;lr");
    let probe = Message::parse(dialog.probe(Side::Callee).finish()).unwrap();
    assert_eq!(probe.uri(), "sip:bob@192.0.2.9:5080");
    assert_eq!((probe.from_tag(), probe.to_tag()), (Some("a1"), Some("b1")));
    assert_eq!(probe.cseq().map(|(n, m)| (n, m.clone())), Some((1, Method::Options)));
    let routes: Vec<_> = probe.values(Header::Route).collect();
    assert_eq!(routes, ["<sip:in1.example.com;lr>", "<sip:in2.example.com;lr>"]);
    let probe = Message::parse(dialog.probe(Side::Caller).finish()).unwrap();
    assert_eq!((probe.from_tag(), probe.to_tag()), (Some("b1"), Some("a1")));
    assert_eq!(probe.uri(), "sip:alice@192.0.2.1:5060");
    assert_eq!(probe.values(Header::Route).collect::<Vec<_>>(), ["<sip:edge.example.com;lr>"]);
}

#[test]
fn hanging_up_from_between_says_bye_to_both_in_their_order() {
    let mut world = World::recorded(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(BOB), &in_dialog(&at_alice, false, "INFO", "i", 41));
    world.take();
    story(&mut world);
    assert!(world.hang_up(1));
    assert_eq!(story(&mut world), ["ended None"]);
    let byes = world.take();
    let cseqs: Vec<_> = byes.iter().map(|s| (s.remote(), s.message.cseq().unwrap().0)).collect();
    assert_eq!(cseqs, [(ALICE.to_owned(), 42), (BOB.to_owned(), 2)]);
    for bye in &byes {
        world.give(bye.answer(200, "", &[]));
    }
    assert_eq!(world.lines(), [""; 0]);
    assert!(world.left.is_empty(), "{:?}", world.left);
    assert!(!world.hang_up(1));
    world.assert_drains();
}

#[test]
fn hanging_up_a_ringing_call_cancels_it_and_tells_the_caller() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(180, "b1", &[]));
    world.take();
    assert!(world.hang_up(1));
    assert_eq!(world.lines(), [format!("CANCEL {BOB}")]);
    world.give(at_bob.answer(487, "b1", &[]));
    assert_eq!(world.lines(), [format!("ACK {BOB}"), format!("480 {ALICE}")]);
    assert_eq!(story(&mut world), ["started", "ringing 180", "failed 480 false"]);
    world.assert_drains();
}

#[test]
fn an_answer_that_crosses_our_hanging_up_is_hung_up_at_once() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    world.give(at_bob.answer(180, "b1", &[]));
    world.hang_up(1);
    world.take();
    world.give(at_bob.answer(200, "b1", &[(Header::Contact, "<sip:bob@192.0.2.2:5060>")]));
    let expected = [format!("200 {ALICE}"), format!("BYE {ALICE}"), format!("BYE {BOB}")];
    assert_eq!(world.lines(), expected);
    let told = ["started", "ringing 180", "answered b1", "ended None"];
    assert_eq!(story(&mut world), told);
    world.assert_drains();
}

#[test]
fn targets_are_refreshed_by_reinvites() {
    let mut world = World::recorded(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let reinvite = in_dialog(&at_alice, false, "INVITE", "re", 5);
    let reinvite = Builder::forward(&reinvite).header(Header::Contact, "<sip:bob@192.0.2.2:6060>");
    world.receive(udp(BOB), &Message::parse(reinvite.finish()).unwrap());
    let passed = world.only(ALICE);
    world.give(passed.answer(200, "", &[(Header::Contact, "<sip:alice@192.0.2.1:6161>")]));
    let dialog = &world.proxy.dialogs(call_key(1))[0];
    assert_eq!(dialog.callee.target, "sip:bob@192.0.2.2:6060");
    assert_eq!(dialog.caller.target, "sip:alice@192.0.2.1:6161");
    assert_eq!(dialog.callee.cseq, 5);
}

#[test]
fn a_call_comes_back_from_the_journal() {
    let mut world = World::recorded(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let journal = serde_json::to_string(&world.proxy.dialogs(call_key(1))[0]).unwrap();
    world.restart();
    world.proxy.restore(call_key(1), serde_json::from_str(&journal).unwrap());
    assert_eq!(world.proxy.calls(), 1);
    bye(&mut world, &at_alice, false);
    assert_eq!(story(&mut world), ["ended Some(Callee)"]);
    world.assert_drains();
}

#[test]
fn an_answer_without_a_tag_makes_no_call() {
    let mut world = World::recorded(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    let (flow, answer) = at_bob.answer(200, "b1", &[]);
    let text = String::from_utf8(answer.raw().to_vec()).unwrap();
    world.receive(flow, &parse(&text.replace(";tag=b1", "")));
    world.pass(Duration::from_secs(60));
    assert_eq!(story(&mut world), ["started", "failed 500 false"]);
    world.assert_drains();
}
