//! `route = "pass"`: the proxy carries a call from one trunk to another.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use telefonist::store::register::CallStory;
use telefonist::switch::{Direction, Outcome, Party};

use crate::pbx::Kamailio;
use crate::program::installed;
use crate::scene::{CARRIER, Company, Scene, free_port};
use crate::sipp::{caller, peer};

const PASS: &str = r#"
[settings]
default_department = "support"
callback_owner     = "person hans"

[[rule]]
name   = "to the carrier"
clause = "B4"
route  = "pass"
trunk  = "carrier"
"#;

/// A scene that passes every call to the carrier, and the port at which that is expected.
fn scene() -> (Scene, u16) {
    let port = free_port();
    (passing_to(SocketAddr::new(CARRIER, port), "udp", ""), port)
}

/// A scene that passes every call to `at`; `more` at the end of the file.
fn passing_to(at: SocketAddr, transport: &str, more: &str) -> Scene {
    let ip = at.ip();
    let more = format!(
        "[[trunk]]\nname = \"carrier\"\nfrom = [\"{ip}\"]\nto = \"{transport}:{at}\"\n\
         options_every = \"0s\"\n{more}"
    );
    Scene::of(Company { policy: PASS, more: &more, ..Company::default() })
}

/// What became of a call when the trunk plays `calling` and the carrier `answering`.
fn passed(calling: &'static str, answering: &'static str) -> (CallStory, String) {
    let (mut scene, port) = scene();
    let carrier = peer(&scene, answering, CARRIER).at(port).run(&scene);
    caller(&scene, calling).run(&scene).done();
    let messages = carrier.messages();
    carrier.done();
    let story = scene.story();
    assert_eq!(story.call.direction, Some(Direction::Inbound));
    assert_eq!(story.call.rule.as_deref(), Some("to the carrier"));
    assert_eq!(story.call.from.as_ref().map(|n| n.as_str()), Some("+49302312501"));
    assert!(story.offers.is_empty(), "nobody of ours was asked: {story:#?}");
    (story, messages)
}

fn ends(story: &CallStory) -> (Option<Outcome>, Option<Party>) {
    (story.call.outcome, story.call.ended_by)
}

#[test]
fn a_passed_call_is_hung_up_by_the_caller() {
    if !installed(&["sipp"]) {
        return;
    }
    let (story, messages) = passed("call", "answer");
    assert_eq!(ends(&story), (Some(Outcome::Answered), Some(Party::Caller)));
    assert!(story.call.answered_at.is_some() && story.call.talk_ms.is_some(), "{story:#?}");
    assert!(messages.contains("Record-Route: <sip:127.0.0.1"), "{messages}");
    assert!(messages.contains("Max-Forwards: 69"), "{messages}");
}

#[test]
fn a_passed_call_is_hung_up_by_the_called_side() {
    if !installed(&["sipp"]) {
        return;
    }
    let (story, _) = passed("call_until_bye", "answer_and_bye");
    assert_eq!(ends(&story), (Some(Outcome::Answered), Some(Party::Callee)));
}

#[test]
fn hold_passes_through_the_proxy() {
    if !installed(&["sipp"]) {
        return;
    }
    let (story, messages) = passed("call_hold", "answer_hold");
    assert_eq!(ends(&story), (Some(Outcome::Answered), Some(Party::Caller)));
    assert!(messages.contains("a=sendonly"));
}

#[test]
fn a_passed_call_that_the_caller_gives_up_is_cancelled() {
    if !installed(&["sipp"]) {
        return;
    }
    let (story, messages) = passed("give_up", "ring");
    assert_eq!(ends(&story), (Some(Outcome::Abandoned), Some(Party::Caller)));
    assert!(messages.contains("CANCEL sip:"));
}

#[test]
fn what_the_called_side_refuses_the_caller_hears() {
    if !installed(&["sipp"]) {
        return;
    }
    for (says, hears) in [
        ("unavailable 503 Service Unavailable", "call_failed 500"),
        ("unavailable 486 Busy Here", "call_failed 486"),
    ] {
        let (story, _) = passed(hears, says);
        assert_eq!(story.call.status.map(|s| s.to_string()).as_deref(), hears.split(' ').nth(1));
        assert!(story.call.answered_at.is_none() && story.call.ended_at.is_some());
    }
}

#[test]
fn a_carrier_that_is_down_is_heard_as_a_failure_in_the_end() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, _) = scene();
    caller(&scene, "call_failed 408").run(&scene).done();
    let story = scene.story();
    assert_eq!((story.call.outcome, story.call.status), (Some(Outcome::Failed), Some(408)));
}

const BOTH_ENDS: [(&str, &str, Party); 3] = [
    ("call", "answer", Party::Caller),
    ("call_until_bye", "answer_and_bye", Party::Callee),
    ("call_hold", "answer_hold", Party::Caller),
];

#[test]
fn a_call_passes_from_udp_to_tcp() {
    if !installed(&["sipp"]) {
        return;
    }
    for (calling, answering, by) in BOTH_ENDS {
        let port = free_port();
        let mut scene = passing_to(SocketAddr::new(CARRIER, port), "tcp", "");
        let carrier = peer(&scene, answering, CARRIER).at(port).tcp().run(&scene);
        caller(&scene, calling).run(&scene).done();
        carrier.done();
        assert_eq!(ends(&scene.story()), (Some(Outcome::Answered), Some(by)), "{calling}");
    }
}

#[test]
fn a_call_passes_from_tcp_to_udp() {
    if !installed(&["sipp"]) {
        return;
    }
    for (calling, answering, by) in BOTH_ENDS {
        let (mut scene, port) = scene();
        let carrier = peer(&scene, answering, CARRIER).at(port).run(&scene);
        caller(&scene, calling).tcp().run(&scene).done();
        carrier.done();
        assert_eq!(ends(&scene.story()), (Some(Outcome::Answered), Some(by)), "{calling}");
    }
}

#[test]
fn a_call_passes_from_ipv4_to_ipv6() {
    if !installed(&["sipp"]) {
        return;
    }
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    for (calling, answering, by) in BOTH_ENDS {
        let (port, ours) = (free_port(), SocketAddr::new(six, free_port()));
        let listen = format!("[[listen]]\nbind = \"{ours}\"\n");
        let mut scene = passing_to(SocketAddr::new(six, port), "udp", &listen);
        let carrier = peer(&scene, answering, six).at(port).to(ours).run(&scene);
        caller(&scene, calling).run(&scene).done();
        carrier.done();
        assert_eq!(ends(&scene.story()), (Some(Outcome::Answered), Some(by)), "{calling}");
    }
}

/// The same with a Kamailio that record-routes before the called side.
fn passed_to_a_pbx(calling: &'static str, answering: &'static str) -> CallStory {
    let (mut scene, port) = scene();
    let at = |port| SocketAddr::new(CARRIER, port);
    let behind = free_port();
    let _pbx = Kamailio::start(&scene, at(port), at(behind));
    let carrier = peer(&scene, answering, CARRIER).at(behind).run(&scene);
    caller(&scene, calling).run(&scene).done();
    carrier.done();
    scene.story()
}

#[test]
fn a_call_passed_to_a_pbx_ends_from_both_sides_and_is_held_and_given_up() {
    if !installed(&["sipp", "kamailio"]) {
        return;
    }
    let answered = Some(Outcome::Answered);
    for (calling, answering, expected) in [
        ("call", "answer", (answered, Some(Party::Caller))),
        ("call_until_bye", "answer_and_bye", (answered, Some(Party::Callee))),
        ("call_hold", "answer_hold", (answered, Some(Party::Caller))),
        ("give_up", "ring", (Some(Outcome::Abandoned), Some(Party::Caller))),
    ] {
        assert_eq!(ends(&passed_to_a_pbx(calling, answering)), expected, "{calling}");
    }
}

#[test]
fn a_passed_call_outlives_the_server_and_ends_from_both_sides() {
    if !installed(&["sipp"]) {
        return;
    }
    for (calling, answering, by) in
        [("call_long", "answer", Party::Caller), ("call_until_bye", "answer_long", Party::Callee)]
    {
        let (mut scene, port) = scene();
        let carrier = peer(&scene, answering, CARRIER).at(port).run(&scene);
        let calling = caller(&scene, calling).run(&scene);
        scene.until("the answer", |s| s.stories().first()?.call.answered_at.map(|_| ()));
        scene.kill();
        scene.run();
        calling.done();
        carrier.done();
        let story = scene.story();
        assert_eq!(ends(&story), (Some(Outcome::Answered), Some(by)), "{story:#?}");
    }
}
