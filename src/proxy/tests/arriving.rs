//! RFC 3261 §16.3 and §16.4: what may be sent on at all.

use super::*;

fn status_of(world: &mut World, flow: Flow, message: &Message) -> (u16, Message) {
    world.receive(flow, message);
    let reply = world.only(&flow.remote.to_string()).message;
    (reply.status(), reply)
}

#[test]
fn a_request_out_of_forwards_is_refused() {
    let mut world = World::new(vec![bob()]);
    let text = String::from_utf8(request("MESSAGE", "1", "").raw().to_vec()).unwrap();
    let last = parse(&text.replace("Max-Forwards: 20", "Max-Forwards: 0"));
    assert_eq!(status_of(&mut world, udp(ALICE), &last).0, 483);
    world.assert_drains();
}

#[test]
fn an_extension_that_proxies_need_is_refused_by_name() {
    let mut world = World::new(vec![bob()]);
    let (status, reply) = status_of(
        &mut world,
        udp(ALICE),
        &request("MESSAGE", "1", "Proxy-Require: privacy, x\r\nRequire: y\r\n"),
    );
    assert_eq!((status, reply.header(Header::Unsupported)), (420, Some("privacy, x")));
    world.assert_drains();
}

#[test]
fn a_scheme_that_we_do_not_serve_is_refused() {
    let mut world = World::new(vec![bob()]);
    let text = String::from_utf8(request("MESSAGE", "1", "").raw().to_vec()).unwrap();
    let secure = parse(&text.replace("MESSAGE sip:", "MESSAGE sips:"));
    assert_eq!(status_of(&mut world, udp(ALICE), &secure).0, 416);
    let text = String::from_utf8(request("MESSAGE", "2", "").raw().to_vec()).unwrap();
    let phone = parse(&text.replace("MESSAGE sip:bob@example.org", "MESSAGE tel:+78121234567"));
    world.receive(udp(ALICE), &phone);
    assert_eq!(world.lines(), [format!("MESSAGE {BOB}")]);
}

#[test]
fn a_loop_is_found_and_a_spiral_is_not() {
    let mut world = World::new(vec![bob()]);
    world.receive(udp(ALICE), &request("MESSAGE", "1", ""));
    let at_bob = world.only(BOB).message;
    // Bob's element sends it back as it was to us, with the old Request-URI: a loop.
    let back = |uri: &str| {
        let via = "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKback";
        let draft = Builder::forward(&at_bob).request_uri(uri).top(Header::Via, via);
        Message::parse(draft.finish()).unwrap()
    };
    let arrive = |world: &World, message: &Message| {
        let Arrival::Open(passage) = world.proxy.arrive(message, udp(BOB)) else { panic!("open") };
        world.proxy.validate(&passage).map_err(|answer| answer.status)
    };
    assert_eq!(arrive(&world, &back("sip:bob@example.org")), Err(482));
    assert_eq!(arrive(&world, &back("sip:clara@example.org")), Ok(()));
}

#[test]
fn a_looping_request_in_a_dialog_is_answered_482() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    world.receive(udp(ALICE), &in_dialog(&at_alice, true, "INFO", "i", 2));
    let at_bob = world.only(BOB).message;
    let routes = at_alice.message.header(Header::RecordRoute).unwrap();
    let via = "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKback";
    let draft = Builder::forward(&at_bob).top(Header::Via, via).header(Header::Route, routes);
    let back = Message::parse(draft.finish()).unwrap();
    assert_eq!(status_of(&mut world, udp(BOB), &back).0, 482);
}

#[test]
fn our_own_route_is_taken_off_whoever_preloaded_it() {
    let world = World::new(vec![]);
    for route in [
        "<sip:proxy.example.org;lr>",
        "<sip:proxy.example.org:5060;lr>, <sip:172.16.0.1:5070;lr>",
        "<sip:example.org;lr>",
        "<sip:10.0.0.1;lr>",
    ] {
        let message = request("MESSAGE", "1", &format!("Route: {route}\r\n"));
        let Arrival::Open(passage) = world.proxy.arrive(&message, udp(ALICE)) else {
            panic!("{route}")
        };
        assert!(passage.routes.is_empty(), "{route}");
        assert_eq!(passage.uri, "sip:bob@example.org");
    }
}

#[test]
fn a_preloaded_route_to_others_makes_us_no_relay() {
    let mut world = World::new(vec![bob()]);
    for (branch, route) in [
        ("1", "<sip:victim.example.com;lr>"),
        ("2", "<sip:proxy.example.org;lr>, <sip:victim.example.com;lr>"),
        ("3", "<sip:proxy.example.org;lr;ck=AAAA>, <sip:victim.example.com;lr>"),
        ("4", "<sip:172.16.0.1:5060;lr>"),
    ] {
        let message = request("MESSAGE", branch, &format!("Route: {route}\r\n"));
        assert_eq!(status_of(&mut world, udp(EVE), &message).0, 403, "{route}");
    }
    world.assert_drains();
}

#[test]
fn a_cookie_is_good_for_its_own_dialog_only() {
    let mut world = World::new(vec![bob()]);
    let (_, at_alice) = joined(&mut world, "1");
    let bye = in_dialog(&at_alice, true, "BYE", "2", 2);
    let text = String::from_utf8(bye.raw().to_vec()).unwrap();
    let along =
        |text: &str| matches!(world.proxy.arrive(&parse(text), udp(EVE)), Arrival::Along(_));
    assert!(along(&text));
    assert!(!along(&text.replace("Call-ID: call-1", "Call-ID: call-2")));
    let to = at_alice.message.header(Header::To).unwrap();
    assert!(!along(&text.replace(&format!("To: {to}"), "To: <sip:bob@example.org>")));
    // The same cookie at another host is no route of ours.
    assert!(!along(&text.replace("proxy.example.org", "proxy.example.com")));
}

#[test]
fn too_many_routes_are_refused() {
    let mut world = World::new(vec![bob()]);
    let routes = "Route: <sip:proxy.example.org;lr>\r\n".repeat(ROUTES_MAX + 1);
    assert_eq!(status_of(&mut world, udp(ALICE), &request("MESSAGE", "1", &routes)).0, 400);
    world.assert_drains();
}

#[test]
fn without_targets_nobody_is_there() {
    let mut world = World::new(vec![]);
    assert_eq!(status_of(&mut world, udp(ALICE), &request("INVITE", "1", "")).0, 480);
    world.assert_drains();
}
