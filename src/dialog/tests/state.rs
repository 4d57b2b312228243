//! RFC 3261 §12, clause by clause.

use super::super::{CSEQ_GAP, Dialog, DialogId, NoDialog, Snapshot};
use super::*;

const LOOSE: [&str; 2] = ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"];

/// Both ends of an answered call by these proxies.
fn call_by(proxies: &[&str]) -> (Dialog, Dialog) {
    let invite = invite_by(proxies);
    let mut boris = Dialog::uas(&invite, "boris-tag", "<sip:boris@192.0.2.20:5070>")
        .expect("a complete INVITE");
    let ok = parse(boris.reply(&invite, 200).finish());
    boris.confirm();
    let anna = Dialog::uac(&opening(), &ok).expect("a 2xx makes a dialog");
    (anna, boris)
}

#[test]
fn both_sides_of_an_answered_call_agree() {
    let (anna, boris) = call_by(&LOOSE);
    assert_eq!(anna.call_id, boris.call_id);
    assert_eq!((&anna.local_tag, &anna.remote_tag), (&boris.remote_tag, &boris.local_tag));
    assert_eq!((&anna.local, &anna.remote), (&boris.remote, &boris.local));
    assert_eq!(anna.local, "\"Anna, B.\" <sip:anna@example.com>");
    assert_eq!((anna.local_seq, anna.remote_seq), (41, None));
    assert_eq!((boris.local_seq, boris.remote_seq), (0, Some(41)));
    assert_eq!(anna.remote_target, "sip:boris@192.0.2.20:5070");
    assert_eq!(boris.remote_target, "sip:anna@192.0.2.10");
    assert_eq!(anna.route_set, [LOOSE[0], LOOSE[1]]);
    assert_eq!(boris.route_set, [LOOSE[1], LOOSE[0]]);
    assert!(anna.is_confirmed && boris.is_confirmed);
    assert!(anna.owns_call_id && !boris.owns_call_id);
}

#[test]
fn a_request_carries_the_dialog_and_the_other_side_takes_it() {
    let (mut anna, mut boris) = call_by(&LOOSE);
    let bye = delivered(boris.request(&Method::Bye));
    assert_eq!(bye.uri(), "sip:anna@192.0.2.10");
    assert_eq!(bye.values(Header::Route).collect::<Vec<_>>(), [LOOSE[1], LOOSE[0]]);
    assert_eq!(bye.cseq(), Some((1, &Method::Bye)));
    assert_eq!(bye.max_forwards(), Some(70));
    assert_eq!((bye.from_tag(), bye.to_tag()), (Some("boris-tag"), Some("anna-tag")));
    assert!(bye.header(Header::Contact).is_none());
    assert_eq!(DialogId::of_request(&bye), anna.id());
    assert_eq!(anna.accept(&bye), Ok(()));
    let reply = parse(anna.reply(&bye, 200).finish());
    assert_eq!(DialogId::of_response(&reply), boris.id());
    let again = delivered(anna.request(&Method::Invite));
    assert_eq!(again.cseq(), Some((42, &Method::Invite)));
    assert_eq!(again.header(Header::Contact), Some("<sip:anna@192.0.2.10>"));
    assert_eq!(boris.accept(&again), Ok(()));
}

#[test]
fn without_a_route_set_requests_go_to_the_contact() {
    let (mut anna, _) = call_by(&[]);
    assert_eq!(anna.next_hop(), "sip:boris@192.0.2.20:5070");
    let options = delivered(anna.request(&Method::Options));
    assert_eq!(options.uri(), "sip:boris@192.0.2.20:5070");
    assert!(options.header(Header::Route).is_none());
}

#[test]
fn a_strict_router_takes_the_place_of_the_target() {
    let strict = "<sip:old.example.com;method=BYE;transport=udp?Subject=x>";
    let (mut anna, _) = call_by(&[strict, LOOSE[1]]);
    assert_eq!(anna.next_hop(), "sip:old.example.com;method=BYE;transport=udp?Subject=x");
    let bye = delivered(anna.request(&Method::Bye));
    assert_eq!(bye.uri(), "sip:old.example.com;transport=udp");
    let routes: Vec<_> = bye.values(Header::Route).collect();
    assert_eq!(routes, [LOOSE[1], "<sip:boris@192.0.2.20:5070>"]);
}

#[test]
fn a_strict_router_further_on_changes_nothing_here() {
    let strict = "<sip:old.example.com>";
    let (mut anna, _) = call_by(&[LOOSE[0], strict]);
    let bye = delivered(anna.request(&Method::Bye));
    assert_eq!(bye.uri(), "sip:boris@192.0.2.20:5070");
    assert_eq!(bye.values(Header::Route).collect::<Vec<_>>(), [LOOSE[0], strict]);
}

#[test]
fn the_ack_has_the_invites_number_and_the_route_set() {
    let (mut anna, mut boris) = call_by(&LOOSE);
    anna.request(&Method::Options);
    let ack = delivered(anna.ack(41));
    assert_eq!(ack.cseq(), Some((41, &Method::Ack)));
    assert_eq!(ack.values(Header::Route).collect::<Vec<_>>(), LOOSE);
    assert_eq!(ack.uri(), "sip:boris@192.0.2.20:5070");
    assert_eq!(anna.local_seq, 42, "an ACK takes no number");
    // Its number may be lower than that of a later request which overtook it.
    let options = delivered(anna.request(&Method::Options));
    assert_eq!(boris.accept(&options), Ok(()));
    assert_eq!(boris.accept(&ack), Ok(()));
    assert_eq!(boris.remote_seq, Some(43));
}

#[test]
fn numbers_may_jump_and_never_go_back() {
    let (mut anna, mut boris) = call_by(&[]);
    let early = delivered(anna.request(&Method::Info));
    anna.local_seq += 1_000;
    let late = delivered(anna.request(&Method::Info));
    assert_eq!(boris.accept(&late), Ok(()));
    assert_eq!(boris.accept(&early), Err(500));
    assert_eq!(boris.remote_seq, Some(1_043));
}

#[test]
fn a_request_of_another_dialog_gets_481() {
    let (mut anna, mut boris) = call_by(&[]);
    let bye = delivered(anna.request(&Method::Bye));
    let change = |header, value: &str| parse(Builder::forward(&bye).set(header, value).finish());
    for other in [
        change(Header::CallId, "call-2"),
        change(Header::To, "<sip:boris@example.com>"),
        change(Header::To, "<sip:boris@example.com>;tag=x"),
        change(Header::From, "<sip:anna@example.com>;tag=x"),
    ] {
        assert_eq!(boris.accept(&other), Err(481));
    }
    assert_eq!(boris.remote_seq, Some(41));
    assert_eq!(boris.accept(&bye), Ok(()));
}

#[test]
fn the_target_follows_a_re_invite_and_its_answer() {
    let (mut anna, mut boris) = call_by(&LOOSE);
    anna.contact = "<sip:anna@192.0.2.99>".to_owned();
    boris.contact = "<sip:boris@192.0.2.77>".to_owned();
    for method in [Method::Invite, Method::Update] {
        let request = delivered(anna.request(&method));
        assert_eq!(boris.accept(&request), Ok(()));
        boris.target_from(&request);
        let ok = parse(boris.reply(&request, 200).finish());
        anna.target_from(&ok);
        assert_eq!(boris.remote_target, "sip:anna@192.0.2.99");
        assert_eq!(anna.remote_target, "sip:boris@192.0.2.77");
    }
    // Without a Contact that can be read the old one stays.
    let bare = delivered(anna.request(&Method::Info));
    boris.target_from(&bare);
    assert_eq!(boris.remote_target, "sip:anna@192.0.2.99");
    assert_eq!(anna.route_set, LOOSE, "a re-INVITE does not change the route");
}

#[test]
fn ringing_makes_an_early_dialog_that_the_answer_confirms() {
    let invite = invite_by(&[LOOSE[0]]);
    let mut boris = Dialog::uas(&invite, "b", "<sip:boris@192.0.2.20>").expect("an INVITE");
    let ringing = parse(boris.reply(&invite, 180).remove(Header::RecordRoute).finish());
    let mut anna = Dialog::uac(&opening(), &ringing).expect("a 180 with a tag");
    assert!(!anna.is_confirmed && anna.route_set.is_empty());
    boris.contact = "<sip:boris@192.0.2.21>".to_owned();
    let ok = parse(boris.reply(&invite, 200).finish());
    anna.confirm_by(&ok);
    assert!(anna.is_confirmed);
    assert_eq!(anna.route_set, [LOOSE[0]]);
    assert_eq!(anna.remote_target, "sip:boris@192.0.2.21");
}

#[test]
fn each_to_tag_that_answers_is_a_dialog_of_its_own() {
    let invite = invite_by(&[]);
    let answer = |tag: &str| {
        let phone = Dialog::uas(&invite, tag, "<sip:boris@192.0.2.20>").expect("an INVITE");
        parse(phone.reply(&invite, 183).finish())
    };
    let ids = ["x", "y"].map(|tag| Dialog::uac(&opening(), &answer(tag)).map(|d| d.id()));
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn what_makes_no_dialog() {
    let invite = invite_by(&[]);
    let reply = |status, tag| parse(Builder::reply(&invite, status, tag).finish());
    for response in [reply(100, None), reply(180, None), reply(486, Some("x"))] {
        assert_eq!(Dialog::uac(&opening(), &response), Err(NoDialog));
    }
    for contact in ["*", "<tel:+4930>", "<mailto:a@h>"] {
        let wrong = parse(Builder::forward(&invite).set(Header::Contact, contact).finish());
        assert_eq!(Dialog::uas(&wrong, "t", "<sip:b@h>"), Err(400), "{contact}");
    }
}

#[test]
fn an_old_caller_without_a_contact_is_addressed_by_its_from() {
    let invite = invite_by(&[]);
    let without = parse(Builder::forward(&invite).remove(Header::Contact).finish());
    let dialog = Dialog::uas(&without, "t", "<sip:b@h>").unwrap();
    assert_eq!(dialog.remote_target, without.from().unwrap().uri);
}

#[test]
fn an_old_peer_without_tags_or_contact_is_no_reason_to_lose_a_call() {
    let invite = invite_by(&[]);
    let ok = parse(Builder::reply(&invite, 200, None).finish());
    let mut anna = Dialog::uac(&opening(), &ok).expect("answered");
    assert_eq!(
        (anna.remote_tag.as_str(), anna.remote_target.as_str()),
        ("", opening().uri.as_str())
    );
    let bye = delivered(anna.request(&Method::Bye));
    assert_eq!(bye.header(Header::To), Some("<sip:boris@example.com>"));
}

#[test]
fn other_parameters_of_from_and_to_survive() {
    let invite = invite_by(&[]);
    let from = "Anna <sip:anna@example.com>;epid=77;tag=t9;x";
    let invite = parse(Builder::forward(&invite).set(Header::From, from).finish());
    let mut boris = Dialog::uas(&invite, "b", "<sip:boris@h>").expect("an INVITE");
    let bye = delivered(boris.request(&Method::Bye));
    assert_eq!(bye.header(Header::To), Some("Anna <sip:anna@example.com>;epid=77;x;tag=t9"));
}

#[test]
fn replies_carry_our_tag_and_where_to_reach_us() {
    let invite = invite_by(&LOOSE);
    let boris = Dialog::uas(&invite, "b", "<sip:boris@192.0.2.20>").expect("an INVITE");
    let ringing = parse(boris.reply(&invite, 180).finish());
    assert_eq!(ringing.to_tag(), Some("b"));
    assert_eq!(ringing.header(Header::Contact), Some("<sip:boris@192.0.2.20>"));
    assert_eq!(ringing.values(Header::RecordRoute).count(), 2);
    let busy = parse(boris.reply(&invite, 486).finish());
    assert!(busy.header(Header::Contact).is_none() && busy.header(Header::RecordRoute).is_none());
}

#[test]
fn an_opening_is_tried_again_under_the_next_number() {
    let mut opening = opening();
    let first = delivered(opening.request(&Method::Invite));
    opening.next_attempt();
    let second = delivered(opening.request(&Method::Invite));
    assert_eq!(
        (first.cseq(), second.cseq()),
        (Some((41, &Method::Invite)), Some((42, &Method::Invite)))
    );
    assert_eq!(first.header(Header::Route), Some("<sip:edge.example.com;lr>"));
    assert_eq!((first.from_tag(), first.to_tag()), (Some("anna-tag"), None));
    assert_eq!(first.header(Header::Contact), Some("<sip:anna@192.0.2.10>"));
    let options = delivered(opening.request(&Method::Options));
    assert!(options.header(Header::Contact).is_none());
}

#[test]
fn a_dialog_survives_a_restart_with_room_for_what_the_journal_missed() {
    let (anna, mut boris) = call_by(&LOOSE);
    let text = serde_json::to_string(&anna.snapshot()).expect("plain data");
    let snapshot: Snapshot = serde_json::from_str(&text).expect("what we wrote");
    let mut restored = Dialog::restore(snapshot);
    let bye = delivered(restored.request(&Method::Bye));
    assert_eq!(bye.cseq(), Some((41 + CSEQ_GAP, &Method::Bye)));
    assert_eq!(boris.accept(&bye), Ok(()));
    restored.local_seq = anna.local_seq;
    assert_eq!(restored, anna);
}

#[test]
fn numbers_stop_at_their_bound() {
    let (mut anna, _) = call_by(&[]);
    anna.local_seq = u32::MAX;
    let request = delivered(anna.request(&Method::Info));
    assert_eq!(request.cseq().map(|(number, _)| number), Some((1 << 31) - 1));
}
