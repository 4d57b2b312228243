//! Softphones that speak: each side hears the other's tone, not only its signalling.

use telefonist::switch::{Outcome, Party};

use crate::program::installed;
use crate::scene::Scene;
use crate::softphone::{Over, Softphone};

/// They talk until both have heard something; then `a` hangs up, and what each heard is measured.
fn talk(a: &mut Softphone, b: &mut Softphone) {
    a.listen();
    b.listen();
    a.command("hangup", "");
    b.wait_for("CALL_CLOSED");
    a.heard(b.tone);
    b.heard(a.tone);
}

fn caller_and_operator(over: Over) -> (Scene, Softphone, Softphone) {
    let mut scene = Scene::start();
    let mut operator = Softphone::of_person(&scene, "201", over, 440);
    scene.until_bound(1);
    let mut caller = Softphone::of_trunk(&scene, "03023125001", 1_000);
    caller.command("dial", &format!("sip:4930999@{}", scene.address));
    caller.wait_for("CALL_ESTABLISHED");
    operator.wait_for("CALL_ESTABLISHED");
    (scene, caller, operator)
}

#[test]
fn caller_and_operator_hear_each_other_over_udp() {
    if !installed(&["baresip", "sox"]) {
        return;
    }
    let (mut scene, mut caller, mut operator) = caller_and_operator(Over::Udp);
    talk(&mut caller, &mut operator);
    let story = scene.story();
    assert_eq!(story.call.outcome, Some(Outcome::Answered));
    assert_eq!(story.call.ended_by, Some(Party::Caller));
}

#[test]
fn caller_and_operator_hear_each_other_over_tcp() {
    if !installed(&["baresip", "sox"]) {
        return;
    }
    let (mut scene, mut caller, mut operator) = caller_and_operator(Over::Tcp);
    talk(&mut operator, &mut caller);
    assert_eq!(scene.story().call.ended_by, Some(Party::Callee));
}

#[test]
fn one_of_our_people_calls_another_by_their_number() {
    if !installed(&["baresip", "sox"]) {
        return;
    }
    let mut scene = Scene::start();
    let mut one = Softphone::of_person(&scene, "201", Over::Udp, 500);
    let mut two = Softphone::of_person(&scene, "202", Over::Tcp, 900);
    scene.until_bound(2);
    one.command("dial", "sip:202@tele.test");
    one.wait_for("CALL_ESTABLISHED");
    talk(&mut one, &mut two);
    let story = scene.story();
    assert_eq!(story.call.caller.map(|p| p.to_string()).as_deref(), Some("op1"));
    assert_eq!(story.call.outcome, Some(Outcome::Answered));
}
