//! Texts (MESSAGE) between our people's phones.

use crate::linphone::Linphone;
use crate::program::installed;
use crate::scene::Scene;
use crate::sipp::{dialler, phone, registered};
use crate::softphone::{Over, Softphone};

#[test]
fn a_text_reaches_a_colleague_by_extension_and_by_name() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "202", "take_message")];
    let phones = registered(&mut scene, phones);
    for called in ["202", "op2"] {
        dialler(&scene, "201", called, "message 200").run(&scene).done();
    }
    let messages = phones[0].messages();
    assert_eq!(messages.matches("\nlunch at noon").count(), 2, "{messages}");
    assert!(!messages.contains("Proxy-Authorization"), "the password is ours: {messages}");
}

#[test]
fn a_text_to_nobody_is_404_and_to_somebody_away_480() {
    if !installed(&["sipp"]) {
        return;
    }
    let scene = Scene::start();
    dialler(&scene, "201", "stranger", "message 404").run(&scene).done();
    dialler(&scene, "201", "203", "message 480").run(&scene).done();
}

#[test]
fn a_text_reaches_baresip_and_linphone_which_say_so() {
    if !installed(&["baresip", "linphonec", "sipp", "sox"]) {
        return;
    }
    let mut scene = Scene::start();
    let _one = Softphone::of_person(&scene, "202", Over::Tcp, 500);
    let mut two = Linphone::of_person(&scene, "203", "udp", 500);
    scene.until_bound(2);
    dialler(&scene, "201", "202", "message 200").run(&scene).done();
    dialler(&scene, "201", "203", "message 200").run(&scene).done();
    two.wait_for("lunch at noon");
}
