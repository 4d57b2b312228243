//! Who gets in by which hash (RFC 7616, RFC 8760). Everywhere else in these tests the shipped default is
//! offered, so that sipp, baresip 1.0 and linphonec register and call with it; here is the rest.

use telefonist::sip::Method;
use telefonist::sip::digest::{Algorithm, Asked, Challenge, Login, ha1};
use telefonist::switch::{Direction, Outcome};

use crate::linphone::Linphone;
use crate::program::installed;
use crate::scene::{Company, DOMAIN, PHONES, STRANGER, Scene};
use crate::sipp::{dialler, phone, registered};
use crate::wire::{Wire, request};

/// A REGISTER of `user`, with `proof` of the password if not empty.
pub fn register(user: &str, via: &str, n: u32, proof: &str) -> String {
    let aor = format!("sip:{user}@{DOMAIN}");
    let text = request("REGISTER", &format!("sip:{DOMAIN}"), via, n, proof, "");
    let text = text.replace(&format!("sip:x{n}@elsewhere.test"), &aor);
    text.replace(&format!("To: <sip:{DOMAIN}>"), &format!("To: <{aor}>"))
}

/// The answer by `algorithm` to what a 401 asks.
pub fn proof(refusal: &str, algorithm: Algorithm, login: (&str, &str), n: u32) -> String {
    let lines = refusal.lines().filter_map(|l| l.strip_prefix("WWW-Authenticate: "));
    let mut challenges = lines.filter_map(Challenge::parse);
    let challenge = challenges.find(|c| c.algorithm == algorithm).expect("it is offered");
    let uri = format!("sip:{DOMAIN}");
    let cnonce = format!("c{n}");
    let (method, count) = (&Method::Register, n);
    let asked = Asked { method, uri: &uri, body: b"", cnonce: &cnonce, count };
    let (user, password) = login;
    let value = challenge.answer(&Login { user, password }, &asked);
    format!("Authorization: {value}\r\n")
}

/// Registers `user` over a bare socket.
fn gets_in(scene: &mut Scene, algorithm: Algorithm, user: &str, bindings: u64) {
    let wire = Wire::udp(PHONES, scene.address);
    let via = format!("UDP {}", wire.address());
    let (first, refusal) = wire.ask(&register(user, &via, 1, ""));
    assert_eq!(first, 401);
    let proof = proof(&refusal, algorithm, (user, &format!("pw-{user}")), 2);
    assert_eq!(wire.ask(&register(user, &via, 2, &proof)).0, 200, "{proof}");
    scene.until_bound(bindings);
}

#[test]
fn a_phone_that_knows_one_hash_only_registers_by_default() {
    let mut scene = Scene::start();
    gets_in(&mut scene, Algorithm::Sha256, "201", 1);
    gets_in(&mut scene, Algorithm::Md5, "202", 2);
}

#[test]
fn linphone_registers_and_calls_by_sha_256_where_that_is_first_or_alone() {
    if !installed(&["linphonec", "sox"]) {
        return;
    }
    for digest in ["digest = [\"sha-256\", \"md5\"]\n", "digest = [\"sha-256\"]\n"] {
        let mut scene = Scene::of(Company { server: digest, ..Company::default() });
        let mut phone = Linphone::of_person(&scene, "201", "udp", 440);
        scene.until_bound(1);
        phone.say(&format!("call sip:*13@{DOMAIN}"));
        assert_eq!(scene.story().call.outcome, Some(Outcome::StarCode));
        let log = phone.log();
        for header in ["Authorization:", "Proxy-Authorization:"] {
            let proof = log.lines().find(|l| l.starts_with(header)).expect("it proves itself");
            assert!(proof.contains("SHA-256"), "{proof}");
        }
    }
}

#[test]
fn a_trunk_known_by_its_password_calls_in_from_anywhere() {
    if !installed(&["sipp"]) {
        return;
    }
    let kept = |algorithm| ha1(algorithm, "far", DOMAIN, "pw-far");
    let (md5, sha256) = (kept(Algorithm::Md5), kept(Algorithm::Sha256));
    let more = format!(
        "[[trunk]]\nname = \"far\"\nuser = \"far\"\nha1_md5 = \"{md5}\"\nha1_sha256 = \"{sha256}\"\n"
    );
    let mut scene = Scene::of(Company { more: &more, ..Company::default() });
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    let trunk = dialler(&scene, "03023125001", "4930999", "dial").from(STRANGER);
    trunk.with(&["-au", "far", "-ap", "pw-far"]).run(&scene).done();
    let story = scene.story();
    assert_eq!(story.call.trunk.as_ref().map(|t| t.as_str()), Some("far"));
    assert_eq!(story.call.direction, Some(Direction::Inbound));
    assert_eq!(story.call.answered_by.as_ref().map(|p| p.as_str()), Some("op1"));
}
