//! Requests of ours: RFC 3261 §17.1 and RFC 6026 §7.2 in virtual time.

use super::*;

#[test]
fn an_unanswered_invite_is_sent_seven_times_and_times_out_after_32_s() {
    let mut world = World::new();
    world.send(&Method::Invite, udp());
    world.pass(60_000);
    let times = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500];
    assert_eq!(world.sent(), at(&times, "INVITE"));
    assert_eq!(world.heard(), ["32000 timeout"]);
    world.ends_empty();
}

#[test]
fn an_unanswered_request_is_sent_eleven_times_and_times_out_after_32_s() {
    let mut world = World::new();
    world.send(&Method::Options, udp());
    world.pass(60_000);
    let times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(world.sent(), at(&times, "OPTIONS"));
    assert_eq!(world.heard(), ["32000 timeout"]);
    world.ends_empty();
}

#[test]
fn a_stream_repeats_nothing_and_times_out_all_the_same() {
    for method in [Method::Invite, Method::Options] {
        let mut world = World::new();
        world.send(&method, tcp());
        world.pass(60_000);
        assert_eq!(world.sent(), at(&[0], method.as_str()));
        assert_eq!(world.heard(), ["32000 timeout"]);
        world.ends_empty();
    }
}

#[test]
fn a_provisional_response_stops_the_invite_and_its_timeout() {
    let mut world = World::new();
    let tx = world.send(&Method::Invite, udp());
    world.pass(600);
    let invite = world.last();
    world.receive(&answer(&invite, 100, "x"), udp());
    world.pass(300_000);
    world.receive(&answer(&invite, 180, "x"), udp());
    world.receive(&answer(&invite, 180, "x"), udp());
    assert_eq!(world.sent(), at(&[0, 500], "INVITE"));
    assert_eq!(world.heard(), ["600 100 INVITE", "300600 180 INVITE", "300600 180 INVITE"]);
    world.receive(&answer(&invite, 404, "x"), udp());
    assert!(matches!(&world.events[3].1, TxEvent::Response { tx: of, .. } if *of == tx));
    world.ends_empty();
}

#[test]
fn a_provisional_response_slows_other_requests_to_t2() {
    let mut world = World::new();
    world.send(&Method::Bye, udp());
    world.pass(600);
    world.receive(&answer(&world.last(), 100, "x"), udp());
    world.pass(60_000);
    let times = [0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500];
    assert_eq!(world.sent(), at(&times, "BYE"));
    assert_eq!(world.heard(), ["600 100 BYE", "32000 timeout"]);
    world.ends_empty();
}

#[test]
fn a_refused_invite_is_acknowledged_each_time_the_refusal_comes() {
    let mut world = World::new();
    world.send(&Method::Invite, udp());
    let invite = world.last();
    let busy = answer(&invite, 486, "busy");
    world.pass(100);
    world.receive(&busy, udp());
    world.pass(500);
    world.receive(&busy, udp());
    world.pass(31_000);
    world.receive(&busy, udp());
    assert_eq!(world.sent(), ["0 INVITE", "100 ACK", "600 ACK", "31600 ACK"]);
    assert_eq!(world.heard(), ["100 486 INVITE"]);
    // Timer D: 32 s.
    world.pass(499);
    assert_eq!(world.layer.len(), 1);
    world.pass(1);
    assert_eq!(world.layer.len(), 0);
    world.receive(&busy, udp());
    assert_eq!((world.sent.len(), world.events.len()), (4, 1));
    world.ends_empty();
}

#[test]
fn the_ack_of_a_failure_is_made_as_the_rfc_says() {
    let mut world = World::new();
    world.send(&Method::Invite, udp());
    let invite = world.last();
    world.receive(&answer(&invite, 302, "elsewhere"), udp());
    let ack = world.last();
    assert_eq!(ack.uri(), invite.uri());
    let vias = |m: &Message| m.values(Header::Via).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((vias(&ack).len(), vias(&ack)), (1, vias(&invite)));
    assert_eq!(ack.header(Header::Route), invite.header(Header::Route));
    assert_eq!(ack.header(Header::From), invite.header(Header::From));
    assert_eq!(ack.call_id(), invite.call_id());
    assert_eq!(ack.cseq(), Some((3, &Method::Ack)));
    assert_eq!(ack.to_tag(), Some("elsewhere"));
    assert!(ack.header(Header::Contact).is_none());
}

#[test]
fn a_refusal_over_a_stream_ends_the_transaction_with_its_ack() {
    let mut world = World::new();
    world.send(&Method::Invite, tcp());
    world.receive(&answer(&world.last(), 486, "x"), tcp());
    assert_eq!(world.sent(), ["0 INVITE", "0 ACK"]);
    assert!(world.layer.is_empty());
    world.ends_empty();
}

#[test]
fn every_2xx_of_the_next_32_s_is_handed_up_and_acknowledged_by_nobody_here() {
    for flow in [udp(), tcp()] {
        let mut world = World::new();
        world.send(&Method::Invite, flow);
        let invite = world.last();
        world.receive(&answer(&invite, 200, "first"), flow);
        world.pass(500);
        world.receive(&answer(&invite, 200, "first"), flow);
        world.receive(&answer(&invite, 200, "second"), flow);
        world.receive(&answer(&invite, 180, "third"), flow);
        world.receive(&answer(&invite, 486, "third"), flow);
        assert_eq!(world.sent(), ["0 INVITE"]);
        assert_eq!(world.heard(), ["0 200 INVITE", "500 200 INVITE", "500 200 INVITE"]);
        // Timer M: 32 s, then it is a stray.
        world.pass(31_499);
        assert_eq!(world.layer.len(), 1);
        world.pass(1);
        assert_eq!(world.layer.len(), 0);
        world.receive(&answer(&invite, 200, "first"), flow);
        assert_eq!(world.heard()[3], "32000 stray 200 INVITE");
        world.ends_empty();
    }
}

#[test]
fn repeated_final_responses_are_absorbed_for_t4() {
    for (flow, wait) in [(udp(), 5_000), (tcp(), 0)] {
        let mut world = World::new();
        world.send(&Method::Bye, flow);
        let bye = world.last();
        world.receive(&answer(&bye, 200, "x"), flow);
        world.receive(&answer(&bye, 200, "x"), flow);
        world.receive(&answer(&bye, 481, "x"), flow);
        assert_eq!(world.heard(), ["0 200 BYE"]);
        assert_eq!(world.layer.len(), usize::from(wait > 0));
        world.pass(wait);
        assert!(world.layer.is_empty());
        world.ends_empty();
    }
}

#[test]
fn responses_that_are_not_ours_are_dropped() {
    let mut world = World::new();
    world.send(&Method::Options, udp());
    let options = world.last();
    let via = options.header(Header::Via).expect("ours").to_owned();
    let reply = answer(&options, 200, "x");
    let nonce = via.find('.').and_then(|_| via.find("z9hG4bK")).expect("a branch") + 10;
    let mut guessed = via.clone();
    guessed.replace_range(nonce..nonce + 1, if &via[nonce..=nonce] == "0" { "1" } else { "0" });
    for other in [
        with(&reply, Header::Via, &guessed),
        with(&reply, Header::Via, "SIP/2.0/UDP pbx.example:5060;branch=z9hG4bK1"),
        with(&reply, Header::Via, "SIP/2.0/UDP pbx.example:5060"),
        with(&reply, Header::CSeq, "3 BYE"),
        with(&reply, Header::CSeq, "3 CANCEL"),
    ] {
        world.receive(&other, udp());
    }
    assert_eq!(world.heard(), Vec::<String>::new());
    world.receive(&reply, udp());
    assert_eq!(world.heard(), ["0 200 OPTIONS"]);
    world.ends_empty();
}

#[test]
fn a_failing_transport_ends_what_waits_for_it() {
    for (method, flow) in [(Method::Invite, udp()), (Method::Invite, tcp()), (Method::Bye, udp())] {
        let mut world = World::new();
        world.send(&method, flow);
        world.send(&Method::Options, Flow { listener: 5, ..flow });
        world.fail(flow);
        assert_eq!(world.heard(), ["0 transport failed"]);
        assert_eq!(world.layer.len(), 1);
        world.ends_empty();
    }
}

#[test]
fn a_closed_connection_ends_a_ringing_call_and_a_lost_datagram_does_not() {
    for (flow, ends) in [(udp(), false), (tcp(), true)] {
        let mut world = World::new();
        world.send(&Method::Invite, flow);
        let invite = world.last();
        world.receive(&answer(&invite, 180, "x"), flow);
        world.fail(flow);
        assert_eq!(world.heard().contains(&"0 transport failed".to_owned()), ends);
        world.receive(&answer(&invite, 603, "x"), flow);
        assert_eq!(world.heard().contains(&"0 603 INVITE".to_owned()), !ends);
        world.ends_empty();
    }
}

#[test]
fn a_request_for_a_connection_yet_to_be_made_fails_with_it() {
    let wanted = Flow { connection: 0, ..tcp() };
    let mut world = World::new();
    world.send(&Method::Invite, wanted);
    world.send(&Method::Options, wanted);
    let options = world.last();
    world.receive(&answer(&options, 100, "x"), tcp());
    world.fail(tcp());
    assert_eq!(world.heard(), ["0 100 OPTIONS", "0 transport failed", "0 transport failed"]);
    world.ends_empty();
}

#[test]
fn each_request_has_a_branch_of_its_own_and_our_address() {
    let mut world = World::new();
    let via = |world: &World| world.last().header(Header::Via).expect("ours").to_owned();
    let first = world.send(&Method::Options, udp());
    let one = via(&world);
    let second = world.send(&Method::Options, tcp());
    let two = via(&world);
    assert!(first != second && one != two);
    assert!(one.starts_with("SIP/2.0/UDP pbx.example:5060;branch=z9hG4bK"), "{one}");
    assert!(two.starts_with("SIP/2.0/TCP pbx.example:5060;branch=z9hG4bK"), "{two}");
    assert!(one.ends_with(";rport"), "{one}");
}

#[test]
fn a_proxy_finds_its_mark_in_the_branch() {
    let mut world = World::new();
    let options = draft(&Method::Options);
    let sent = world.layer.forward(world.now, options, Method::Options, udp(), "a1-b2;x");
    assert!(sent.is_ok());
    world.drain();
    let options = world.last();
    let branch = options.top_via().and_then(|via| via.branch()).expect("ours");
    assert_eq!(Transactions::branch_mark(branch), Some("a1b2x"));
    assert_eq!(Transactions::branch_mark("z9hG4bKabc.def.mark"), None);
    world.receive(&answer(&options, 200, "x"), udp());
    assert_eq!(world.heard(), ["0 200 OPTIONS"]);
    world.ends_empty();
}

#[test]
fn the_ack_of_a_2xx_has_a_branch_of_its_own_and_no_transaction() {
    let mut world = World::new();
    let ack = world.layer.send_ack(draft(&Method::Ack), udp());
    world.drain();
    assert_eq!(world.last().raw(), &ack);
    assert!(world.last().top_via().and_then(|via| via.magic_branch()).is_some());
    assert!(world.layer.is_empty());
}

#[test]
fn at_the_limit_nothing_more_is_sent() {
    let mut world = World::with_limit(2);
    world.send(&Method::Options, udp());
    let tx = world.send(&Method::Invite, udp());
    assert_eq!(world.try_send(&Method::Bye, udp()), Err(Full));
    // The CANCEL of what is there is always possible.
    world.receive(&answer(&world.last(), 180, "x"), udp());
    world.cancel(tx);
    assert_eq!(world.last().method(), &Method::Cancel);
    world.pass(40_000);
    assert!(world.try_send(&Method::Bye, udp()).is_ok());
    world.drain();
    world.ends_empty();
}

#[test]
fn an_invite_that_rings_for_ever_cancels_itself() {
    let mut world = World::new();
    world.send(&Method::Invite, udp());
    world.receive(&answer(&world.last(), 180, "x"), udp());
    world.pass(599_999);
    assert_eq!(world.sent(), ["0 INVITE"]);
    world.pass(40_000);
    assert_eq!(world.sent()[1], "600000 CANCEL");
    assert_eq!(world.heard(), ["0 180 INVITE", "632000 timeout"]);
    world.ends_empty();
}

#[test]
fn a_call_can_be_ended_when_there_is_no_room_for_another() {
    let mut world = World::with_limit(4);
    for _ in 0..3 {
        world.send(&Method::Options, udp());
    }
    let bye = |call: &str| with(&request("BYE", &format!("z9hG4bK{call}")), Header::CallId, call);
    world.receive(&bye("c1"), udp());
    assert_eq!(world.try_send(&Method::Options, udp()), Err(Full));
    world.receive(&bye("c2"), udp());
    assert_eq!(world.heard(), ["0 BYE", "0 BYE"]);
    assert_eq!(world.try_send(&Method::Bye, udp()), Err(Full));
    world.receive(&bye("c3"), udp());
    assert_eq!(world.last().status(), 503);
    world.ends_empty();
}
