//! IPv6: trunks and phones at `[::1]`, and a caller of one family who reaches a phone of the other.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use telefonist::switch::Outcome;

use crate::program::installed;
use crate::scene::{Company, Scene, free_port};
use crate::sipp::{Start, acme, caller, phone, registered};

const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A scene that listens at `[::1]` too, where everybody is a trunk.
fn scene() -> (Scene, SocketAddr) {
    let at = SocketAddr::new(SIX, free_port());
    let more =
        format!("[[listen]]\nbind = \"{at}\"\n[[trunk]]\nname = \"six\"\nfrom = [\"::1\"]\n");
    (Scene::of(Company { more: &more, ..Company::default() }), at)
}

fn answered(scene: &mut Scene, phone: Start<'_>, caller: Start<'_>) {
    let _phones = registered(scene, vec![phone]);
    caller.run(scene).done();
    let story = scene.story();
    assert_eq!(story.call.outcome, Some(Outcome::Answered), "{story:#?}");
    assert_eq!(story.call.answered_by.as_ref().map(|p| p.as_str()), Some("op1"));
}

#[test]
fn a_trunk_and_a_phone_over_ipv6_udp() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, at) = scene();
    let phone = phone(&scene, "201", "answer").from(SIX).to(at);
    let caller = caller(&scene, "call").from(SIX).to(at);
    answered(&mut scene, phone, caller);
}

#[test]
fn a_trunk_and_a_phone_over_ipv6_tcp() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, at) = scene();
    let phone = phone(&scene, "201", "answer").from(SIX).to(at).tcp();
    let caller = caller(&scene, "call").from(SIX).to(at).tcp();
    answered(&mut scene, phone, caller);
}

#[test]
fn a_phone_over_ipv6_hangs_up_on_a_caller_over_ipv4() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, at) = scene();
    let phone = phone(&scene, "201", "answer_and_bye").from(SIX).to(at);
    let caller = caller(&scene, "call_until_bye");
    answered(&mut scene, phone, caller);
}

#[test]
fn a_caller_over_ipv6_holds_a_phone_over_ipv4() {
    if !installed(&["sipp"]) {
        return;
    }
    let (mut scene, at) = scene();
    let phone = phone(&scene, "201", "answer_hold");
    let caller = acme(&scene, "call_hold").from(SIX).to(at);
    answered(&mut scene, phone, caller);
}
