//! Requests that come at the wrong moment or ask for too much (RFC 3261 §8.2, §14.2, §21.4.6).

use std::sync::Arc;

use telefonist::domain::Trunk;
use telefonist::sip::{Header, Message, Method};
use telefonist::switch::{Outcome, Party, What};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{OLE, world};

/// A call between the trunk and ole; our 200 to the trunk, and the INVITE that ole got.
fn talking(w: &mut World) -> (Message, Message) {
    w.register("ole", OLE);
    let (offered, ok) = w.talk("03023125001", "m1", OLE);
    (ok, offered)
}

#[test]
fn a_second_reinvite_before_the_first_is_answered_hears_500_and_when_to_come_again() {
    let mut w = world();
    let (ok, offered) = talking(&mut w);
    w.in_dialog(&ok, Method::Invite, 2, OFFER);
    let first = w.request(OLE, Method::Invite);
    let second = w.in_dialog(&ok, Method::Invite, 3, OFFER);
    let refused = w.response(TRUNK, 500);
    let again = refused.header(Header::RetryAfter).and_then(|s| s.parse::<u32>().ok());
    assert!(again.is_some_and(|s| s <= 10), "{again:?}");
    w.ack_failure(TRUNK, &second, &refused);
    // The other side's at the same time is a glare.
    w.phone_sends(OLE, &offered, Method::Invite, OFFER);
    w.response(OLE, 491);
    w.reply(OLE, &first, 200, ANSWER);
    w.response(TRUNK, 200);
}

#[test]
fn an_extension_required_within_a_call_is_refused_by_name_and_the_call_goes_on() {
    let mut w = world();
    let (ok, _) = talking(&mut w);
    assert!(!ok.has(Header::Supported), "what the phone supports is not what we support");
    w.in_dialog_with(&ok, Method::Invite, 2, OFFER, &[("Require", "100rel")]);
    let refused = w.response(TRUNK, 420);
    assert_eq!(refused.header(Header::Unsupported), Some("100rel"));
    w.nothing(OLE);
    w.in_dialog_with(&ok, Method::Bye, 3, "", &[("Require", "100rel")]);
    w.response(TRUNK, 200);
    w.request(OLE, Method::Bye);
}

#[test]
fn what_a_trunk_may_not_send_is_answered_with_what_it_may() {
    let mut w = world();
    for (method, status) in [("MESSAGE", 405), ("SUBSCRIBE", 405), ("REFER", 405), ("FOO", 501)] {
        let method = Method::parse(method);
        w.outside(TRUNK, method, "sip:100@example.com");
        let refused = w.response(TRUNK, status);
        assert!(refused.header(Header::Allow).is_some_and(|a| a.contains("INVITE")));
    }
}

#[test]
fn an_invite_that_can_make_no_dialog_rings_nobody() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite_with("03023125001", "c1", OFFER, &[("Contact", "<tel:+493023125001>")]);
    w.response(TRUNK, 400);
    w.nothing(OLE);
    w.assert_quiet();
}

#[test]
fn a_trunk_with_all_its_calls_hears_503_and_when_to_come_again_until_one_ends() {
    let mut w = world();
    w.set(|s| s.trunks[0] = Arc::new(Trunk { calls_max: 11, ..Trunk::clone(&s.trunks[0]) }));
    w.register("ole", OLE);
    let calls: Vec<Message> =
        (0..11).map(|n| w.invite("03023125001", &format!("l{n}"), OFFER)).collect();
    while w.take(TRUNK).is_some() {}
    let over = w.invite("03023125001", "over", OFFER);
    let refused = w.take_at_host("192.0.2.10").into_iter().find(|m| m.status() == 503);
    let refused = refused.expect("a refusal");
    assert!(refused.has(Header::RetryAfter));
    w.ack_failure(TRUNK, &over, &refused);
    w.cancel(&calls[7]);
    while w.take(TRUNK).is_some() {}
    w.invite("03023125001", "again", OFFER);
    w.response(TRUNK, 180);
}

#[test]
fn a_call_that_goes_round_in_circles_ends_at_its_last_hop() {
    let mut w = world();
    w.register("ole", OLE);
    for (left, rings) in [("1", true), ("0", false)] {
        let contact = format!("<sip:{TRUNK}>");
        let more = [("Contact", &*contact), ("Max-Forwards", left)];
        w.invite_with("03023125001", &format!("hops{left}"), OFFER, &more);
        if rings {
            let offered = w.request(OLE, Method::Invite);
            assert_eq!(offered.max_forwards(), Some(0), "one less on each round");
            w.reply(OLE, &offered, 486, "");
            w.request(OLE, Method::Ack);
            while w.take(TRUNK).is_some() {}
        } else {
            w.response(TRUNK, 483);
            w.nothing(OLE);
        }
    }
}

#[test]
fn a_trunk_may_hang_up_before_the_answer() {
    let mut w = world();
    w.register("ole", OLE);
    let invite = w.invite("03023125001", "e1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    let ringing = w.response(TRUNK, 180);
    w.early(&ringing, "wrong", 2);
    w.response(TRUNK, 481);
    let tag = ringing.to_tag().expect("an early dialog").to_owned();
    w.early(&ringing, &tag, 3);
    let heard = w.take_at_host("192.0.2.10");
    let said = |status| heard.iter().find(|m| m.status() == status).expect("an answer");
    assert_eq!(*said(200).method(), Method::Bye);
    w.ack_failure(TRUNK, &invite, said(487));
    w.request(OLE, Method::Cancel);
    w.reply(OLE, &offered, 487, "");
    assert_eq!(super::ended(&w), [(Party::Caller, Outcome::Abandoned)]);
    w.assert_quiet();
}

#[test]
fn a1_a_caller_whose_address_is_none_is_a_call_like_any_other() {
    for (from, number) in [
        ("<sip:%%%@pbx>", None),
        ("<sip:@pbx>", None),
        ("<tel:>", None),
        ("<sip:+49 30 23125 007@pbx>", Some("+493023125007")),
        ("<sip:+493023125007>", Some("+493023125007")),
        ("<sip:+493023125aab@pbx>", None),
    ] {
        let mut w = world();
        w.register("ole", OLE);
        let length = OFFER.len();
        let invite = format!(
            "INVITE sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bKs\r\n\
             Max-Forwards: 70\r\nFrom: {from};tag=s\r\nTo: <sip:100@example.com>\r\n\
             Call-ID: strange\r\nCSeq: 1 INVITE\r\nContact: <sip:{TRUNK}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{OFFER}"
        );
        w.send(TRUNK, invite.into());
        let offered = w.request(OLE, Method::Invite);
        w.reply(OLE, &offered, 200, ANSWER);
        w.request(OLE, Method::Ack);
        w.response(TRUNK, 180);
        let ok = w.response(TRUNK, 200);
        w.in_dialog(&ok, Method::Ack, 1, "");
        let arrived = w.events.iter().find_map(|event| match event {
            What::CallArrived { from, .. } => Some(from.as_ref().map(ToString::to_string)),
            _ => None,
        });
        assert_eq!(arrived, Some(number.map(str::to_owned)), "{from}");
        w.in_dialog(&ok, Method::Bye, 2, "");
        w.request(OLE, Method::Bye);
    }
}
