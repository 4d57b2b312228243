//! A Kamailio in front as PBX: it record-routes, so that every request in a dialog must go by it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use telefonist::switch::{Outcome, Party};

use crate::program::{Program, installed, text_of};
use crate::scene::{PATIENCE, PBX, Scene, free_port};
use crate::sipp::{caller, phone, registered};

/// A running Kamailio that sends every call on, record-routed.
pub struct Kamailio {
    program: Program,
    address: SocketAddr,
}

impl Kamailio {
    fn before(scene: &Scene) -> Self {
        Self::start(scene, SocketAddr::new(PBX, free_port()), scene.address)
    }

    /// One at `address` in front of `next`.
    pub fn start(scene: &Scene, address: SocketAddr, next: SocketAddr) -> Self {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scenarios/pbx.cfg");
        let text = text_of(&template);
        let text = text.replace("PBX", &address.to_string());
        let text = text.replace("SERVER", &next.to_string());
        let cfg = scene.path().join("pbx.cfg");
        std::fs::write(&cfg, text).expect("the folder is ours");
        let mut command = Command::new("kamailio");
        // The daemon's folder is not on a user's path.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-f"]).arg(&cfg);
        command.arg("-Y").arg(scene.path()).current_dir(scene.path());
        let mut program = Program::start("kamailio", &mut command);
        program.wait_for("udp receiver ready", PATIENCE);
        Self { program, address }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children would outlive a SIGKILL.
        self.program.terminate(PATIENCE);
    }
}

fn call(calling: &str, answering: &'static str) -> Option<Party> {
    let mut scene = Scene::start();
    let pbx = Kamailio::before(&scene);
    let phones = vec![phone(&scene, "201", answering)];
    let phones = registered(&mut scene, phones);
    let running = caller(&scene, calling).to(pbx.address).run(&scene);
    running.done();
    let story = scene.story();
    assert_eq!(story.call.outcome, Some(Outcome::Answered), "{story:#?}");
    let passed = format!("Record-Route: <sip:{}", pbx.address);
    assert!(!phones[0].messages().contains(&passed), "the phone's dialog is ours");
    story.call.ended_by
}

#[test]
fn a_caller_behind_a_pbx_hangs_up() {
    if installed(&["sipp", "kamailio"]) {
        assert_eq!(call("call", "answer"), Some(Party::Caller));
    }
}

#[test]
fn a_phone_hangs_up_on_a_caller_behind_a_pbx() {
    if installed(&["sipp", "kamailio"]) {
        assert_eq!(call("call_until_bye", "answer_and_bye"), Some(Party::Callee));
    }
}

#[test]
fn hold_passes_by_a_pbx() {
    if installed(&["sipp", "kamailio"]) {
        assert_eq!(call("call_hold", "answer_hold"), Some(Party::Caller));
    }
}
