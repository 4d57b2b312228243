//! linphonec as an operator's phone.

use telefonist::switch::{Direction, OfferResult, Outcome, Party};

use crate::linphone::Linphone;
use crate::program::installed;
use crate::scene::{Company, MANAGER, Scene};
use crate::sipp::{acme, phone};
use crate::softphone::{Over, Softphone};

fn caller_and_linphone(transport: &str) -> (Scene, Softphone, Linphone) {
    let mut scene = Scene::start();
    let operator = Linphone::of_person(&scene, "201", transport, 440);
    scene.until_bound(1);
    let mut caller = Softphone::of_trunk(&scene, "03023125001", 1_000);
    caller.command("dial", &format!("sip:4930999@{}", scene.address));
    caller.wait_for("CALL_ESTABLISHED");
    (scene, caller, operator)
}

#[test]
fn caller_and_linphone_hear_each_other_until_the_caller_hangs_up() {
    if !installed(&["baresip", "linphonec", "sox"]) {
        return;
    }
    let (mut scene, mut caller, mut operator) = caller_and_linphone("udp");
    caller.listen();
    operator.listen();
    caller.command("hangup", "");
    operator.wait_for("ended");
    caller.heard(440);
    operator.heard(1_000);
    let story = scene.story();
    assert_eq!(story.call.outcome, Some(Outcome::Answered));
    assert_eq!(story.call.ended_by, Some(Party::Caller));
    let log = operator.log();
    let contact = log.lines().find_map(|l| l.strip_prefix("Contact: <")).expect("it registers");
    let uri = contact.split_once('>').expect("a contact").0;
    assert_eq!(operator.asked("INVITE")[0], format!("INVITE {uri} SIP/2.0"));
}

#[test]
fn caller_and_linphone_hear_each_other_over_tcp_until_linphone_hangs_up() {
    if !installed(&["baresip", "linphonec", "sox"]) {
        return;
    }
    let (mut scene, mut caller, mut operator) = caller_and_linphone("tcp");
    caller.listen();
    operator.listen();
    operator.say("pause");
    operator.wait_for("paused");
    operator.say("resume 1");
    operator.wait_for("Media streams established");
    operator.say("terminate");
    caller.wait_for("CALL_CLOSED");
    caller.heard(440);
    operator.heard(1_000);
    assert_eq!(scene.story().call.ended_by, Some(Party::Callee));
}

#[test]
fn linphone_calls_a_colleague_and_puts_them_on_hold_and_back() {
    if !installed(&["baresip", "linphonec", "sox"]) {
        return;
    }
    let mut scene = Scene::start();
    let mut one = Linphone::of_person(&scene, "201", "udp", 500);
    let mut two = Softphone::of_person(&scene, "202", Over::Udp, 900);
    scene.until_bound(2);
    one.say("call sip:202@tele.test");
    two.wait_for("CALL_ESTABLISHED");
    two.listen();
    one.say("pause");
    one.wait_for("paused");
    one.say("resume 1");
    one.wait_for("Media streams established");
    one.listen();
    one.say("terminate");
    two.wait_for("CALL_CLOSED");
    two.heard(500);
    let story = scene.story();
    assert_eq!(story.call.direction, Some(Direction::Internal));
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Answered), Some(Party::Caller))
    );
    let log = one.log();
    assert!(log.contains("a=sendonly") || log.contains("a=inactive"), "it held");
}

#[test]
fn a_call_that_linphone_declines_rings_at_a_colleague() {
    if !installed(&["sipp", "linphonec", "sox"]) {
        return;
    }
    let mut scene = Scene::of(Company { ring: "20s", ..Company::default() });
    let mut manager = Linphone::that_rings(&scene, MANAGER);
    let operator = phone(&scene, "201", "answer").run(&scene);
    scene.until_bound(2);
    let calling = acme(&scene, "call").run(&scene);
    manager.wait_for("Receiving new incoming call");
    manager.say("terminate");
    calling.done();
    let story = scene.story();
    assert_eq!(story.offers[0].result, Some(OfferResult::Refused), "{story:#?}");
    assert_eq!(story.call.answered_by.as_ref().map(|p| p.as_str()), Some("op1"));
    drop(operator);
}
