//! RFC 3261 §16.6: what a request looks like when it leaves.

use super::*;

#[test]
fn a_message_goes_on_with_one_forward_less_and_no_record_route() {
    let mut world = World::new(vec![bob()]);
    world.receive(udp(ALICE), &request("MESSAGE", "1", "X-Strange: kept  as is\r\n"));
    let at_bob = world.only(BOB);
    let message = &at_bob.message;
    assert_eq!(message.uri(), "sip:bob@192.0.2.2:5060");
    assert_eq!(message.max_forwards(), Some(19));
    assert!(!message.has(Header::RecordRoute) && !message.has(Header::Route));
    assert_eq!(message.named("x-strange"), Some("kept  as is"));
    assert_eq!(&message.body()[..], b"hi");
    let vias = at_bob.all(Header::Via);
    assert_eq!(vias.len(), 2);
    assert!(vias[0].starts_with("SIP/2.0/UDP proxy.example.org:5060;branch=z9hG4bK"));
    assert!(vias[1].contains(";received=192.0.2.1;rport=5060"), "{}", vias[1]);
    world.give(at_bob.answer(200, "b", &[]));
    let at_alice = world.only(ALICE);
    assert_eq!(at_alice.all(Header::Via), [vias[1].clone()]);
    assert_eq!(at_alice.message.to_tag(), Some("b"));
    world.assert_drains();
}

#[test]
fn a_request_without_max_forwards_gets_seventy() {
    let mut world = World::new(vec![bob()]);
    let text = String::from_utf8(request("MESSAGE", "1", "").raw().to_vec()).unwrap();
    world.receive(udp(ALICE), &parse(&text.replace("Max-Forwards: 20\r\n", "")));
    assert_eq!(world.only(BOB).message.max_forwards(), Some(70));
}

#[test]
fn an_unknown_method_passes_and_may_begin_a_dialog() {
    let mut world = World::new(vec![bob()]);
    world.receive(udp(ALICE), &request("BREW", "1", ""));
    let at_bob = world.only(BOB);
    assert_eq!(at_bob.message.method().as_str(), "BREW");
    assert_eq!(at_bob.all(Header::RecordRoute).len(), 1);
    world.give(at_bob.answer(418, "b", &[]));
    assert_eq!(world.lines(), [format!("418 {ALICE}")]);
    world.assert_drains();
}

#[test]
fn an_invite_is_record_routed_with_our_advertised_address() {
    let mut world = World::new(vec![bob()]);
    let at_bob = invite(&mut world, "1");
    let routes = at_bob.all(Header::RecordRoute);
    assert_eq!(routes.len(), 1);
    assert!(routes[0].starts_with("<sip:proxy.example.org:5060;lr;ck="), "{}", routes[0]);
}

#[test]
fn between_two_listeners_both_are_in_the_route_each_on_its_side() {
    let mut world = World::new(vec![target("sip:bob@192.0.2.2", inside(BOB))]);
    let flow = tcp("192.0.2.1:40000", 4);
    let lines = "Record-Route: <sip:edge.example.com;lr>\r\n";
    world.receive(flow, &request("INVITE", "1", lines));
    let at_bob = world.only(BOB);
    let routes = at_bob.all(Header::RecordRoute);
    let starts = [
        "<sip:172.16.0.1:5070;lr;ck=",
        "<sip:proxy.example.org:5060;transport=tcp;lr;ck=",
        "<sip:edge.example.com;lr>",
    ];
    assert_eq!(routes.len(), 3);
    assert!(routes.iter().zip(starts).all(|(r, s)| r.starts_with(s)), "{routes:?}");
    assert!(at_bob.all(Header::Via)[0].starts_with("SIP/2.0/UDP 172.16.0.1:5070;"));
}

#[test]
fn a_path_becomes_the_route() {
    let path = ["<sip:edge.example.com;lr;ob>", "<sip:inner.example.com;lr>"];
    let route = path.iter().map(|p| Arc::from(*p)).collect();
    let mut world = World::new(vec![Target { route, ..bob() }]);
    let lines = "Route: <sip:proxy.example.org;lr>\r\n";
    world.receive(udp(ALICE), &request("MESSAGE", "1", lines));
    let at_bob = world.only(BOB);
    assert_eq!(at_bob.all(Header::Route), path);
    assert_eq!(at_bob.message.uri(), "sip:bob@192.0.2.2:5060");
}

#[test]
fn a_strict_router_on_the_path_becomes_the_request_uri() {
    let route = ["<sip:old.example.com>", "<sip:inner.example.com;lr>"];
    let route = route.iter().map(|p| Arc::from(*p)).collect();
    let mut world = World::new(vec![Target { route, ..bob() }]);
    world.receive(udp(ALICE), &request("MESSAGE", "1", ""));
    let at_bob = world.only(BOB);
    assert_eq!(at_bob.message.uri(), "sip:old.example.com");
    let routes = ["<sip:inner.example.com;lr>", "<sip:bob@192.0.2.2:5060>"];
    assert_eq!(at_bob.all(Header::Route), routes);
}

#[test]
fn credentials_for_us_stay_here_and_others_pass() {
    let mut world = World::new(vec![bob()]);
    let line = |realm: &str| {
        format!(
            "Proxy-Authorization: Digest username=\"a\", realm=\"{realm}\", nonce=\"n\", uri=\"u\", \
             response=\"r\"\r\n"
        )
    };
    let lines = line("example.org") + &line("example.com");
    world.receive(udp(ALICE), &request("MESSAGE", "1", &lines));
    let at_bob = world.only(BOB);
    let left: Vec<_> = at_bob.message.lines(Header::ProxyAuthorization).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("example.com"));
}

#[test]
fn the_switch_may_take_headers_away_and_add_some() {
    let mut world = World::new(vec![bob()]);
    world.edit = |start| {
        start.remove = vec![Arc::from("P-Asserted-Identity"), Arc::from("X-Inner")];
        start.add = vec![(Arc::from("P-Asserted-Identity"), "<sip:+7@example.org>".to_owned())];
    };
    let lines = "P-Asserted-Identity: <sip:forged@example.org>\r\nX-Inner: 1\r\nX-Outer: 2\r\n";
    world.receive(udp(ALICE), &request("INVITE", "1", lines));
    let at_bob = world.only(BOB);
    assert_eq!(at_bob.all(Header::PAssertedIdentity), ["<sip:+7@example.org>"]);
    assert_eq!(
        (at_bob.message.named("X-Inner"), at_bob.message.named("X-Outer")),
        (None, Some("2"))
    );
}
