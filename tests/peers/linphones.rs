//! linphonec as an operator's phone.

use telefonist::switch::{Outcome, Party};

use crate::linphone::Linphone;
use crate::program::installed;
use crate::scene::Scene;
use crate::softphone::Softphone;

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
}

#[test]
fn caller_and_linphone_hear_each_other_over_tcp_until_linphone_hangs_up() {
    if !installed(&["baresip", "linphonec", "sox"]) {
        return;
    }
    let (mut scene, mut caller, mut operator) = caller_and_linphone("tcp");
    caller.listen();
    operator.listen();
    operator.say("terminate");
    caller.wait_for("CALL_CLOSED");
    caller.heard(440);
    operator.heard(1_000);
    assert_eq!(scene.story().call.ended_by, Some(Party::Callee));
}
