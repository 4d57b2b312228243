//! Which transaction a request belongs to (RFC 3261 §17.2.3), merged requests (§8.2.2.2), and
//! where responses go (§18.2.2, RFC 3581).

use super::*;

const OLD_VIA: &str = "SIP/2.0/UDP 192.0.2.7:5062";

#[test]
fn branch_sent_by_and_method_make_the_transaction() {
    let mut world = World::new();
    world.arrive("INVITE", udp());
    let via = "SIP/2.0/UDP 192.0.2.8:5062;branch=z9hG4bK-1";
    let other_host = with(&request_via("INVITE", via), Header::CallId, "c2");
    world.receive(&other_host, udp());
    let other_branch = with(&request("INVITE", "z9hG4bK-2"), Header::CallId, "c3");
    world.receive(&other_branch, udp());
    world.receive(&request("OPTIONS", "z9hG4bK-1"), udp());
    assert_eq!(
        world.heard(),
        at(&[0, 0, 0], "INVITE").into_iter().chain(at(&[0], "OPTIONS")).collect::<Vec<_>>()
    );
    // Branch and host compare without regard to case; the rest of the message does not matter.
    let via = "SIP/2.0/UDP 192.0.2.7:5062;rport;branch=Z9hG4bK-1";
    world.receive(&with(&request_via("INVITE", via), Header::CallId, "c9"), udp());
    assert_eq!(world.events.len(), 4);
    world.ends_empty();
}

#[test]
fn an_old_sender_is_known_by_what_rfc_2543_has() {
    let mut world = World::new();
    let invite = request_via("INVITE", OLD_VIA);
    world.receive(&invite, udp());
    let tx = world.newest();
    world.receive(&invite, udp());
    assert_eq!(world.heard(), ["0 INVITE"]);
    let different = [
        with(&invite, Header::CallId, "c2"),
        with(&invite, Header::CSeq, "8 INVITE"),
        with(&invite, Header::From, "<sip:a@h>;tag=f2"),
        with(&with(&invite, Header::To, "<sip:100@h>;tag=t"), Header::CallId, "c5"),
        with(&with(&invite, Header::Via, "SIP/2.0/UDP 192.0.2.7:9"), Header::CallId, "c6"),
    ];
    for other in &different {
        world.receive(other, udp());
    }
    assert_eq!(world.events.len(), 1 + different.len());
    world.respond(tx, 486);
    // Its ACK has the To tag of our response.
    let ack = request_via("ACK", OLD_VIA);
    world.receive(&with(&ack, Header::To, "<sip:100@pbx.example>;tag=other"), udp());
    assert_eq!(world.heard().last().map(String::as_str), Some("0 ACK"));
    world.receive(&with(&ack, Header::To, "<sip:100@pbx.example>;tag=t1"), udp());
    assert_eq!(world.heard().last().map(String::as_str), Some("0 confirmed"));
    world.ends_empty();
}

#[test]
fn an_old_senders_cancel_finds_its_invite() {
    for via in [OLD_VIA, "SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK", "SIP/2.0/UDP h;branch=1"] {
        let mut world = World::new();
        world.receive(&request_via("INVITE", via), udp());
        let tx = world.newest();
        world.receive(&request_via("CANCEL", via), udp());
        assert_eq!(world.heard(), ["0 INVITE", "0 cancelled"], "{via}");
        world.respond(tx, 487);
        world.ends_empty();
    }
}

#[test]
fn a_request_that_comes_by_two_ways_is_served_once() {
    let mut world = World::new();
    world.arrive("INVITE", udp());
    world.receive(&request("INVITE", "z9hG4bK-2"), udp());
    world.receive(&request("INVITE", "z9hG4bK-2"), udp());
    assert_eq!(world.heard(), ["0 INVITE"]);
    assert_eq!(world.sent(), ["0 482 INVITE", "0 482 INVITE"]);
    assert_eq!(world.layer.len(), 1);
    world.ends_empty();
    // Once the first is gone there is nothing to merge with.
    world.receive(&request("INVITE", "z9hG4bK-2"), udp());
    assert_eq!(world.heard().last().map(String::as_str), Some("700000 INVITE"));
    world.ends_empty();
}

#[test]
fn requests_within_a_dialog_are_never_merged() {
    let mut world = World::new();
    let bye = with(&request("BYE", "z9hG4bK-1"), Header::To, "<sip:100@h>;tag=t1");
    world.receive(&bye, udp());
    world.receive(&with(&bye, Header::Via, "SIP/2.0/UDP h;branch=z9hG4bK-2"), udp());
    assert_eq!(world.heard(), ["0 BYE", "0 BYE"]);
    world.ends_empty();
}

#[test]
fn a_challenged_request_may_come_again_under_its_number() {
    for status in [401, 407] {
        let mut world = World::new();
        let tx = world.arrive("REGISTER", udp());
        world.respond(tx, status);
        world.receive(&request("REGISTER", "z9hG4bK-2"), udp());
        assert_eq!(world.heard(), ["0 REGISTER", "0 REGISTER"]);
        // The second one is the one to merge with now.
        world.receive(&request("REGISTER", "z9hG4bK-3"), udp());
        assert_eq!(world.last().status(), 482);
        world.ends_empty();
    }
}

#[test]
fn responses_go_where_the_request_came_from() {
    let source = Flow { remote: "203.0.113.5:40001".parse().expect("a literal"), ..udp() };
    let to = |port: u16| {
        let remote = std::net::SocketAddr::new(source.remote.ip(), port);
        Flow { remote, ..source }
    };
    let rows = [
        ("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK-1;rport", source),
        ("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK-1", to(5062)),
        ("SIP/2.0/UDP phone.example;branch=z9hG4bK-1", to(5060)),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-1;received=198.51.100.9", to(5060)),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-1;maddr=198.51.100.9", to(5060)),
    ];
    for (via, flow) in rows {
        let mut world = World::new();
        world.receive(&request_via("OPTIONS", via), source);
        let tx = world.newest();
        world.respond(tx, 200);
        assert_eq!(world.sent[0].1, flow, "{via}");
        let via = world.last().header(Header::Via).expect("copied").to_owned();
        assert!(via.contains("received=203.0.113.5"), "{via}");
        assert_eq!(via.contains("rport=40001"), flow == source, "{via}");
        world.ends_empty();
    }
}

#[test]
fn responses_over_a_stream_stay_on_its_connection() {
    let mut world = World::new();
    let tx = world.arrive("OPTIONS", tcp());
    world.respond(tx, 200);
    assert_eq!(world.sent[0].1, tcp());
}

#[test]
fn a_malformed_request_is_answered_without_a_transaction() {
    let mut world = World::new();
    let bad = with(&request("INVITE", "z9hG4bK-1"), Header::CSeq, "7 OPTIONS");
    world.receive(&bad, udp());
    world.receive(&bad, udp());
    assert_eq!(world.sent().len(), 2);
    assert_eq!(world.last().status(), 400);
    assert!(world.heard().is_empty() && world.layer.is_empty());
    world.receive(&with(&request("ACK", "z9hG4bK-1"), Header::CSeq, "x"), udp());
    assert_eq!((world.sent.len(), world.events.len()), (2, 0));
}

#[test]
fn listeners_and_limits_may_change_while_it_runs() {
    let mut world = World::with_limit(1);
    let moved = Listener { advertise: Arc::from("new.example:5080"), ..listener(Transport::Udp) };
    world.layer.set_listeners(vec![moved]);
    world.send(&Method::Options, udp());
    let via = world.last().header(Header::Via).expect("ours").to_owned();
    assert!(via.contains("UDP new.example:5080;"), "{via}");
    assert_eq!(world.try_send(&Method::Options, udp()), Err(Full));
    world.layer.set_limit(2);
    world.send(&Method::Options, udp());
    world.ends_empty();
}
