//! Requests that others send: RFC 3261 §17.2, RFC 6026 §7.1 and RFC 4320 in virtual time.

use super::*;

fn ack(invite: &Message, branch: &str) -> Message {
    let ack = request("ACK", branch);
    with(&ack, Header::To, &format!("{};tag=t1", invite.header(Header::To).expect("a To")))
}

#[test]
fn a_silent_user_gets_its_caller_a_100_after_200_ms() {
    for flow in [udp(), tcp()] {
        let mut world = World::new();
        world.arrive("INVITE", flow);
        world.pass(199);
        assert_eq!(world.sent(), Vec::<String>::new());
        world.pass(1_000);
        assert_eq!(world.sent(), ["200 100 INVITE"]);
        assert_eq!(world.last().to_tag(), None);
        world.ends_empty();
    }
}

#[test]
fn a_user_that_answers_in_time_is_the_only_one_to_answer() {
    for status in [100, 180, 486] {
        let mut world = World::new();
        let tx = world.arrive("INVITE", udp());
        world.pass(150);
        world.respond(tx, status);
        world.pass(400);
        assert_eq!(world.sent(), at(&[150], &format!("{status} INVITE")));
        world.ends_empty();
    }
}

#[test]
fn a_repeated_invite_is_handed_up_once_and_gets_the_latest_response() {
    let mut world = World::new();
    let invite = request("INVITE", "z9hG4bK-1");
    let tx = world.arrive("INVITE", udp());
    world.receive(&invite, udp());
    world.pass(500);
    world.receive(&invite, udp());
    world.respond(tx, 180);
    world.respond(tx, 183);
    world.receive(&invite, udp());
    assert_eq!(world.heard(), ["0 INVITE"]);
    let expected =
        ["200 100 INVITE", "500 100 INVITE", "500 180 INVITE", "500 183 INVITE", "500 183 INVITE"];
    assert_eq!(world.sent(), expected);
    world.respond(tx, 480);
    world.ends_empty();
}

#[test]
fn a_refusal_is_repeated_until_nobody_can_still_ask_for_it() {
    let mut world = World::new();
    let tx = world.arrive("INVITE", udp());
    world.respond(tx, 486);
    world.pass(40_000);
    let times = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(world.sent(), at(&times, "486 INVITE"));
    assert_eq!(world.heard(), ["0 INVITE", "32000 no ACK"]);
    world.ends_empty();
}

#[test]
fn an_answer_once_and_for_all_is_not_repeated_and_leaves_nothing_behind() {
    for (method, flow) in [("INVITE", udp()), ("OPTIONS", udp()), ("INVITE", tcp())] {
        let mut world = World::new();
        for _ in 0..2 {
            let tx = world.arrive(method, flow);
            world.respond_once(tx, 403);
            assert!(world.layer.is_empty(), "{:?}", world.layer.counts());
        }
        world.receive(&ack(&request(method, "z9hG4bK-1"), "z9hG4bK-1"), flow);
        world.pass(40_000);
        // The same request, sent again, is new and gets the same answer.
        assert_eq!(world.sent(), [format!("0 403 {method}"), format!("0 403 {method}")]);
        world.ends_empty();
    }
}

#[test]
fn who_was_told_to_wait_gets_an_answer_that_is_repeated() {
    let mut world = World::new();
    let tx = world.arrive("INVITE", udp());
    world.pass(200);
    world.respond_once(tx, 403);
    world.pass(500);
    assert_eq!(world.sent(), ["200 100 INVITE", "200 403 INVITE", "700 403 INVITE"]);
    world.ends_empty();
}

#[test]
fn a_refusal_over_a_stream_is_sent_once_and_awaits_its_ack_too() {
    let mut world = World::new();
    let tx = world.arrive("INVITE", tcp());
    world.respond(tx, 486);
    world.pass(40_000);
    assert_eq!(world.sent(), ["0 486 INVITE"]);
    assert_eq!(world.heard(), ["0 INVITE", "32000 no ACK"]);
    world.ends_empty();
}

#[test]
fn an_ack_ends_the_repetition_and_is_absorbed_for_t4() {
    for (flow, wait) in [(udp(), 5_000), (tcp(), 0)] {
        let mut world = World::new();
        let invite = request("INVITE", "z9hG4bK-1");
        let tx = world.arrive("INVITE", flow);
        world.respond(tx, 486);
        world.pass(100);
        world.receive(&ack(&invite, "z9hG4bK-1"), flow);
        assert_eq!(world.heard(), ["0 INVITE", "100 confirmed"]);
        assert_eq!(world.layer.len(), usize::from(wait > 0));
        if wait > 0 {
            world.receive(&ack(&invite, "z9hG4bK-1"), flow);
            world.receive(&invite, flow);
            world.pass(4_999);
            assert_eq!(world.layer.len(), 1);
            world.pass(1);
        }
        assert!(world.layer.is_empty());
        assert_eq!(world.sent(), ["0 486 INVITE"]);
        assert_eq!(world.heard(), ["0 INVITE", "100 confirmed"]);
        world.ends_empty();
    }
}

#[test]
fn a_lost_ack_is_made_good_by_the_repeated_refusal() {
    let mut world = World::new();
    let invite = request("INVITE", "z9hG4bK-1");
    let tx = world.arrive("INVITE", udp());
    world.respond(tx, 503);
    world.pass(1_600);
    world.receive(&invite, udp());
    world.pass(100);
    world.receive(&ack(&invite, "z9hG4bK-1"), udp());
    world.pass(60_000);
    assert_eq!(world.sent(), at(&[0, 500, 1_500, 1_600], "503 INVITE"));
    assert_eq!(world.heard(), ["0 INVITE", "1700 confirmed"]);
    world.ends_empty();
}

#[test]
fn after_a_2xx_repeated_invites_are_absorbed_and_only_the_user_repeats_it() {
    for flow in [udp(), tcp()] {
        let mut world = World::new();
        let invite = request("INVITE", "z9hG4bK-1");
        let tx = world.arrive("INVITE", flow);
        world.respond(tx, 200);
        world.pass(500);
        world.receive(&invite, flow);
        world.respond(tx, 200);
        world.respond(tx, 486);
        world.respond(tx, 180);
        world.pass(31_499);
        assert_eq!(world.layer.len(), 1);
        assert_eq!(world.sent(), at(&[0, 500], "200 INVITE"));
        // Timer L: 32 s.
        world.pass(1);
        assert!(world.layer.is_empty());
        world.respond(tx, 200);
        assert_eq!(world.sent.len(), 2);
        world.ends_empty();
    }
}

#[test]
fn the_ack_of_a_2xx_is_handed_up_by_whatever_branch_it_comes() {
    let mut world = World::new();
    let invite = request("INVITE", "z9hG4bK-1");
    let tx = world.arrive("INVITE", udp());
    world.respond(tx, 200);
    world.receive(&ack(&invite, "z9hG4bK-2"), udp());
    world.receive(&ack(&invite, "z9hG4bK-1"), udp());
    assert_eq!(world.heard(), ["0 INVITE", "0 ACK", "0 ACK"]);
    world.ends_empty();
}

#[test]
fn an_ack_before_the_answer_does_nothing() {
    let mut world = World::new();
    let invite = request("INVITE", "z9hG4bK-1");
    let tx = world.arrive("INVITE", udp());
    world.receive(&ack(&invite, "z9hG4bK-1"), udp());
    assert_eq!(world.heard(), ["0 INVITE"]);
    world.respond(tx, 486);
    world.ends_empty();
}

#[test]
fn a_second_final_answer_is_dropped() {
    for method in ["INVITE", "OPTIONS"] {
        let mut world = World::new();
        let tx = world.arrive(method, udp());
        world.respond(tx, 404);
        world.respond(tx, 200);
        world.respond(tx, 180);
        assert_eq!(world.sent(), at(&[0], &format!("404 {method}")));
        world.ends_empty();
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer_for_32_s() {
    let mut world = World::new();
    let bye = request("BYE", "z9hG4bK-1");
    let tx = world.arrive("BYE", udp());
    world.receive(&bye, udp());
    assert_eq!(world.sent(), Vec::<String>::new());
    world.respond(tx, 200);
    let first = world.last();
    world.pass(31_999);
    world.receive(&bye, udp());
    assert_eq!(world.sent(), ["0 200 BYE", "31999 200 BYE"]);
    assert_eq!(world.last().raw(), first.raw());
    assert_eq!(world.heard(), ["0 BYE"]);
    // Timer J: 32 s; afterwards it is a new request.
    world.pass(1);
    assert!(world.layer.is_empty());
    world.receive(&bye, udp());
    assert_eq!(world.heard(), ["0 BYE", "32000 BYE"]);
    world.ends_empty();
}

#[test]
fn an_answer_over_a_stream_ends_the_transaction() {
    let mut world = World::new();
    let tx = world.arrive("BYE", tcp());
    world.respond(tx, 200);
    assert!(world.layer.is_empty());
    world.ends_empty();
}

#[test]
fn a_slow_answer_to_another_request_is_announced_at_3500_ms() {
    for flow in [udp(), tcp()] {
        let mut world = World::new();
        let tx = world.arrive("REGISTER", flow);
        world.pass(4_000);
        world.receive(&request("REGISTER", "z9hG4bK-1"), flow);
        world.respond(tx, 200);
        let expected = ["3500 100 REGISTER", "4000 100 REGISTER", "4000 200 REGISTER"];
        assert_eq!(world.sent(), expected);
        world.ends_empty();
    }
}

#[test]
fn other_requests_get_no_early_provisional_and_never_a_408() {
    let mut world = World::new();
    let tx = world.arrive("OPTIONS", udp());
    world.respond(tx, 100);
    world.respond(tx, 180);
    assert_eq!(world.sent(), Vec::<String>::new());
    world.respond(tx, 408);
    assert_eq!(world.sent(), Vec::<String>::new());
    assert!(world.layer.is_empty());
    // Over a stream a 100 may be sent at any time (RFC 4320 §4.1).
    let tx = world.arrive("OPTIONS", tcp());
    world.respond(tx, 100);
    assert_eq!(world.sent(), ["0 100 OPTIONS"]);
    world.ends_empty();
}

#[test]
fn what_the_user_forgets_does_not_stay() {
    let mut world = World::new();
    world.arrive("OPTIONS", udp());
    world.pass(32_000);
    assert_eq!(world.sent(), ["3500 100 OPTIONS"]);
    assert!(world.layer.is_empty());
    world.forget();
    world.arrive("INVITE", udp());
    world.pass(700_000);
    assert_eq!(world.sent()[..2], ["32200 100 INVITE", "632000 500 INVITE"]);
    assert_eq!(world.heard().last().map(String::as_str), Some("664000 no ACK"));
    world.ends_empty();
}

#[test]
fn a_user_that_keeps_ringing_is_not_forgotten() {
    let mut world = World::new();
    let tx = world.arrive("INVITE", udp());
    for _ in 0..20 {
        world.respond(tx, 180);
        world.pass(50_000);
    }
    world.respond(tx, 200);
    assert_eq!(world.last().status(), 200);
    world.ends_empty();
}

#[test]
fn a_failing_transport_is_told_and_ends_all_but_invites() {
    let mut world = World::new();
    world.arrive("INVITE", tcp());
    world.fail(tcp());
    assert_eq!(world.heard(), ["0 INVITE", "0 reply failed"]);
    assert_eq!(world.layer.len(), 1);
    let mut world = World::new();
    world.arrive("OPTIONS", tcp());
    world.fail(tcp());
    assert_eq!(world.heard(), ["0 OPTIONS", "0 reply failed"]);
    assert!(world.layer.is_empty());
    world.ends_empty();
}

#[test]
fn at_the_limit_a_request_gets_503_and_leaves_nothing_behind() {
    let mut world = World::with_limit(1);
    let first = world.arrive("INVITE", udp());
    let other = with(&request("INVITE", "z9hG4bK-2"), Header::CallId, "c2");
    world.receive(&other, udp());
    world.receive(&other, udp());
    assert_eq!(world.sent(), ["0 503 INVITE", "0 503 INVITE"]);
    assert_eq!(world.last().header(Header::RetryAfter), Some("5"));
    assert_eq!(world.sent[0].2.raw(), world.sent[1].2.raw());
    assert_eq!((world.layer.len(), world.heard()), (1, at(&[0], "INVITE")));
    // The one that is there is served as ever.
    world.receive(&request("CANCEL", "z9hG4bK-1"), udp());
    world.respond(first, 487);
    assert_eq!(world.sent()[2..], ["0 200 CANCEL", "0 487 INVITE"]);
    world.ends_empty();
}
