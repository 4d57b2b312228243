//! Texts (MESSAGE) between our people's phones.

use crate::linphone::Linphone;
use crate::program::installed;
use crate::scene::{DOMAIN, Scene};
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

#[test]
fn b8_linphone_shows_who_closed_the_position_and_baresip_that_ready_means_nothing_then() {
    if !installed(&["baresip", "linphonec", "sox"]) {
        return;
    }
    let mut scene = Scene::start();
    let mut one = Softphone::of_person(&scene, "202", Over::Udp, 500);
    let mut two = Linphone::of_person(&scene, "203", "udp", 500);
    scene.until_bound(2);
    for person in ["op2", "op3"] {
        scene.ask(&["agent", "close", person, "--by", "hans"]);
    }
    two.wait_for("Your position was closed by hans");
    // Without a screen it rings for a text.
    one.shows("created device 'alert'");
    one.command("dial", &format!("sip:*14@{DOMAIN}"));
    let closed = one.wait_for("CALL_CLOSED");
    assert!(closed["param"].to_string().contains("Position Closed"), "{closed}");
    scene.ask(&["agent", "open", "op3", "--by", "hans"]);
    two.wait_for("Your position was opened by hans");
}
