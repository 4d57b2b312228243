//! What our people dial on their phones: outside numbers, colleagues, star codes. sipp dials, with
//! digest as every phone; the trunk is a sipp too.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use telefonist::store::register::CallStory;
use telefonist::switch::{Direction, Outcome, Party};

use crate::pbx::Kamailio;
use crate::program::installed;
use crate::scene::{CARRIER, Company, Scene, free_port};
use crate::sipp::{Sipp, Start, caller, dialler, peer, phone, registered};

/// A scene whose calls out go over a carrier at `at`; `more` at the end of the file.
fn with_trunk(at: SocketAddr, transport: &str, more: &str) -> Scene {
    let ip = at.ip();
    let more = format!(
        "[[trunk]]\nname = \"carrier\"\nfrom = [\"{ip}\"]\nto = \"{transport}:{at}\"\n\
         options_every = \"0s\"\n{more}"
    );
    let server = "outbound_trunk = \"carrier\"\noutside_line = \"0\"\n";
    Scene::of(Company { server, more: &more, ..Company::default() })
}

/// A scene whose calls out go over a carrier that does what `scenario` says.
fn with_carrier(scenario: &str) -> (Scene, Sipp) {
    let port = free_port();
    let scene = with_trunk(SocketAddr::new(CARRIER, port), "udp", "");
    let carrier = peer(&scene, scenario, CARRIER).at(port).run(&scene);
    (scene, carrier)
}

/// Calls out from a person's phone to `carrier`, which ends the call.
fn called_back(mut scene: Scene, carrier: Start<'_>) {
    let carrier = carrier.run(&scene);
    dialler(&scene, "201", "0030231250", "dial_until_bye").run(&scene).done();
    carrier.done();
    let story = scene.story();
    assert_eq!(story.call.ended_by, Some(Party::Callee), "{story:#?}");
}

fn outbound(
    story: &CallStory,
) -> (Option<Direction>, Option<&str>, Option<Outcome>, Option<Party>) {
    let call = &story.call;
    let caller = call.caller.as_ref().map(|p| p.as_str());
    (call.direction, caller, call.outcome, call.ended_by)
}

#[test]
fn a_call_out_takes_the_outside_line_off_and_is_hung_up_by_the_person() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("answer");
    dialler(&scene, "201", "0030231250", "dial").run(&scene).done();
    let asked = carrier.messages();
    carrier.done();
    assert!(asked.contains("INVITE sip:+4930231250@127.0.0.6"), "{asked}");
    assert!(asked.contains("<sip:201@tele.test>"), "who calls: {asked}");
    let story = scene.story();
    let expected = (Some(Direction::Outbound), Some("op1"));
    assert_eq!(
        outbound(&story),
        (expected.0, expected.1, Some(Outcome::Answered), Some(Party::Caller))
    );
}

#[test]
fn a_short_number_goes_out_without_the_outside_line_too() {
    if !installed(&["sipp"]) {
        return;
    }
    for dialled in ["0110", "110"] {
        let (mut scene, carrier) = with_carrier("answer");
        dialler(&scene, "201", dialled, "dial").run(&scene).done();
        let asked = carrier.messages();
        carrier.done();
        assert!(asked.contains("INVITE sip:110@127.0.0.6"), "{asked}");
        assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
    }
}

#[test]
fn a_call_out_is_hung_up_by_the_other_side() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("answer_and_bye");
    dialler(&scene, "202", "+4930231250", "dial_until_bye").run(&scene).done();
    carrier.done();
    let story = scene.story();
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Answered), Some(Party::Callee))
    );
}

#[test]
fn a_call_out_goes_over_tcp() {
    if !installed(&["sipp"]) {
        return;
    }
    let port = free_port();
    let scene = with_trunk(SocketAddr::new(CARRIER, port), "tcp", "");
    let carrier = peer(&scene, "answer_and_bye", CARRIER).at(port).tcp();
    called_back(scene, carrier);
}

#[test]
fn a_call_out_from_ipv4_goes_over_ipv6() {
    if !installed(&["sipp"]) {
        return;
    }
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let (port, ours) = (free_port(), SocketAddr::new(six, free_port()));
    let listen = format!("[[listen]]\nbind = \"{ours}\"\n");
    let scene = with_trunk(SocketAddr::new(six, port), "udp", &listen);
    let carrier = peer(&scene, "answer_and_bye", six).at(port).to(ours);
    called_back(scene, carrier);
}

#[test]
fn a_call_out_by_way_of_a_pbx_ends_from_both_sides() {
    if !installed(&["sipp", "kamailio"]) {
        return;
    }
    for (dialling, answering, by) in
        [("dial", "answer", Party::Caller), ("dial_until_bye", "answer_and_bye", Party::Callee)]
    {
        let at = SocketAddr::new(CARRIER, free_port());
        let behind = free_port();
        let mut scene = with_trunk(at, "udp", "");
        let _pbx = Kamailio::start(&scene, at, SocketAddr::new(CARRIER, behind));
        let carrier = peer(&scene, answering, CARRIER).at(behind).run(&scene);
        dialler(&scene, "201", "0030231250", dialling).run(&scene).done();
        carrier.done();
        assert_eq!(scene.story().call.ended_by, Some(by));
    }
}

#[test]
fn the_other_side_hangs_up_on_a_person_who_dialled_over_tcp() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("answer_and_bye");
    dialler(&scene, "201", "0030231250", "dial_until_bye").tcp().run(&scene).done();
    carrier.done();
    assert_eq!(scene.story().call.ended_by, Some(Party::Callee));
}

#[test]
fn a_carrier_puts_the_person_on_hold_and_back() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("answer_then_hold");
    let person = dialler(&scene, "201", "0030231250", "dial_held").run(&scene);
    carrier.done();
    person.done();
    let story = scene.story();
    assert_eq!(story.call.ended_by, Some(Party::Callee), "{story:#?}");
}

#[test]
fn what_the_carrier_refuses_the_person_hears() {
    if !installed(&["sipp"]) {
        return;
    }
    for (says, hears) in [
        ("unavailable 486 Busy Here", "dial_failed 486"),
        ("unavailable 404 Not Found", "dial_failed 404"),
        ("unavailable 603 Decline", "dial_failed 603"),
        ("unavailable 503 Service Unavailable", "dial_failed 503"),
    ] {
        let (mut scene, carrier) = with_carrier(says);
        dialler(&scene, "201", "0030231250", hears).run(&scene).done();
        carrier.done();
        let story = scene.story();
        assert_eq!(story.call.status.map(|s| s.to_string()).as_deref(), hears.split(' ').nth(1));
        assert_eq!(story.call.direction, Some(Direction::Outbound));
    }
}

#[test]
fn giving_up_a_call_out_stops_the_carrier() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("ring");
    dialler(&scene, "201", "0030231250", "dial_give_up").run(&scene).done();
    carrier.done();
    let story = scene.story();
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Abandoned), Some(Party::Caller))
    );
}

/// The To tags of the responses with this status, in order.
fn tags(messages: &str, status: &str) -> Vec<String> {
    let mut all = messages.split("SIP/2.0 ").filter(|m| m.starts_with(status));
    let mut tags = Vec::new();
    for message in &mut all {
        let to = message.lines().find(|l| l.starts_with("To:")).expect("To");
        tags.push(to.rsplit_once(";tag=").expect("a tag").1.trim().to_owned());
    }
    tags
}

#[test]
fn each_side_of_a_carrier_that_forks_has_a_tag_of_its_own() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, carrier) = with_carrier("forks");
    let person = dialler(&scene, "201", "0030231250", "dial_forked").run(&scene);
    carrier.done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
    let (early, answered) = (tags(&person.messages(), "183"), tags(&person.messages(), "200 OK"));
    person.done();
    assert_eq!(early.len(), 2, "{early:?}");
    assert_ne!(early[0], early[1]);
    assert_eq!(answered[0], early[1], "the second side answered");
}

#[test]
fn a_carrier_that_is_down_is_heard_within_seconds() {
    if !installed(&["sipp"]) {
        return;
    }
    for (transport, hears) in [("udp", "480"), ("tcp", "503")] {
        let mut scene = with_trunk(SocketAddr::new(CARRIER, free_port()), transport, "");
        let scenario = format!("dial_failed {hears}");
        dialler(&scene, "201", "0030231250", &scenario).run(&scene).done();
        let story = scene.story();
        assert_eq!(story.call.outcome, Some(Outcome::Failed), "{story:#?}");
        let took = story.call.wait_ms.expect("it is over");
        assert!(took < 10_000, "{took} ms");
    }
}

#[test]
fn without_a_trunk_for_it_an_outside_number_is_unknown() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    dialler(&scene, "201", "0030231250", "dial_failed 404").run(&scene).done();
    assert_eq!(scene.story().call.status, Some(404));
}

/// State and flags of `op1`, as the command line shows them.
fn state(scene: &Scene) -> (String, String) {
    let agents = scene.ask(&["agents"]);
    let all = agents.as_array().or_else(|| agents["agents"].as_array()).expect("a list").clone();
    let of = |a: &&serde_json::Value| a.to_string().contains("\"op1\"");
    let op1 = all.iter().find(of).expect("op1");
    (op1["state"].as_str().expect("a state").to_owned(), op1["flags"].to_string())
}

#[test]
fn star_codes_change_the_state_that_everybody_sees() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    for (code, shown) in [
        ("*13", "[\"paused\"]"),
        ("*14", "[]"),
        ("*12", "[\"logged_out\"]"),
        ("*11", "[]"),
        ("*15", "[]"),
    ] {
        dialler(&scene, "201", code, "dial_until_bye").run(&scene).done();
        scene.until(&format!("{code}: {shown}"), |s| {
            let (state, flags) = state(s);
            let expected = if shown == "[]" { "ready" } else { "not_ready" };
            (state == expected && flags == shown).then_some(())
        });
    }
    let stories = scene.ended(5);
    assert!(stories.iter().all(|s| s.call.outcome == Some(Outcome::StarCode)), "{stories:#?}");
}

#[test]
fn a_star_code_ends_the_rest_after_a_call() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::of(Company { wrap_up: "1h", ..Company::default() });
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call").run(&scene).done();
    scene.until("the rest", |s| (state(s).0 == "wrap_up").then_some(()));
    dialler(&scene, "201", "*15", "dial_until_bye").run(&scene).done();
    scene.until("its end", |s| (state(s).0 == "ready").then_some(()));
}

#[test]
fn a_colleague_is_called_by_extension_and_by_name() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "202", "answer")];
    let _phones = registered(&mut scene, phones);
    for (n, called) in ["202", "op2"].iter().enumerate() {
        dialler(&scene, "201", called, "dial").run(&scene).done();
        let story = &scene.ended(n + 1)[n];
        assert_eq!(story.call.direction, Some(Direction::Internal), "{story:#?}");
        assert_eq!(story.call.answered_by.as_ref().map(|p| p.as_str()), Some("op2"));
    }
}

#[test]
fn a_colleague_who_is_busy_or_declines_or_is_away_is_heard_to_be() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "202", "busy"), phone(&scene, "203", "decline")];
    let _phones = registered(&mut scene, phones);
    for (n, (called, hears)) in
        [("202", "486"), ("203", "603"), ("204", "480"), ("299", "404")].into_iter().enumerate()
    {
        let scenario = format!("dial_failed {hears}");
        dialler(&scene, "201", called, &scenario).run(&scene).done();
        let story = &scene.ended(n + 1)[n];
        assert_eq!(story.call.status.map(|s| s.to_string()).as_deref(), Some(hears), "{story:#?}");
    }
}

#[test]
fn who_dials_their_own_number_hears_busy_and_is_free_again() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    dialler(&scene, "201", "201", "dial_failed 486").run(&scene).done();
    scene.story();
    scene.until("free again", |s| (state(s).0 == "ready").then_some(()));
}

#[test]
fn giving_up_on_a_colleague_stops_their_phones() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "202", "ring"), phone(&scene, "202", "ring").tcp()];
    let phones = registered(&mut scene, phones);
    dialler(&scene, "201", "202", "dial_give_up").run(&scene).done();
    let story = scene.story();
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Abandoned), Some(Party::Caller))
    );
    scene.until("both stop", |_| {
        let stopped = phones.iter().filter(|p| p.messages().contains("\nCANCEL sip:"));
        (stopped.count() == 2).then_some(())
    });
}
