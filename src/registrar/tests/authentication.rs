//! The authenticator against a client that uses the same digest as the demo's phones.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::*;
use crate::domain::{Credentials, DigestHash, Moment, Settings};
use crate::registrar::{Authenticator, NONCE_LIFETIME, NonceWindow, Verdict};
use crate::sip::digest::{Algorithm, Asked, Challenge, Login, ha1};

const REALM: &str = "example.org";

/// Remembers everything.
#[derive(Default)]
struct Window(RefCell<BTreeSet<(Vec<u8>, u32)>>);

impl NonceWindow for Window {
    fn first_use(&self, nonce: &[u8], _: Moment, _: Moment, count: u32) -> bool {
        self.0.borrow_mut().insert((nonce.to_vec(), count))
    }
}

struct Gate {
    authenticator: Authenticator,
    window: Window,
    now: Moment,
    source: IpAddr,
    held_back: &'static str,
}

impl Gate {
    fn new() -> Self {
        let authenticator = Authenticator::new(REALM, &[1; 32], [2; 32]);
        let (window, now) = (Window::default(), Moment::from_millis(1_000));
        let source = IpAddr::from([192, 0, 2, 1]);
        Self { authenticator, window, now, source, held_back: "nobody at all" }
    }

    fn offer(&mut self, digests: &[DigestHash], md5_only: &[&str]) {
        let md5_only_agents = md5_only.iter().map(|&a| Arc::from(a)).collect();
        let digests = digests.to_vec();
        let settings = Settings { digests, md5_only_agents, ..example_settings() };
        self.authenticator.configure(&settings);
    }

    fn challenges(&mut self, proxy: bool, stale: bool) -> Vec<String> {
        self.challenges_to("", proxy, stale)
    }

    fn challenges_to(&mut self, lines: &str, proxy: bool, stale: bool) -> Vec<String> {
        let request = ask(lines);
        let reply =
            self.authenticator.challenge(self.now, (&request, self.source), proxy, stale, "t");
        let reply = Message::parse(reply.finish()).unwrap();
        let (status, header) =
            if proxy { (407, Header::ProxyAuthenticate) } else { (401, Header::WwwAuthenticate) };
        assert_eq!((reply.status(), reply.to_tag()), (status, Some("t")));
        reply.lines(header).map(str::to_owned).collect()
    }

    fn check(&self, lines: &str, proxy: bool) -> Verdict {
        let lookup = |user: &str| (user == "anna").then(anna);
        let request = (&ask(lines), self.source);
        let held_back = |user: &str| user == self.held_back;
        self.authenticator.check(self.now, request, proxy, &lookup, &held_back, &self.window)
    }

    fn answer(&self, challenge: &str, user: &str, password: &str, count: u32) -> Verdict {
        self.check(
            &format!("Authorization: {}\r\n", answer(challenge, user, password, count)),
            false,
        )
    }
}

fn forbidden(user: &str) -> Verdict {
    Verdict::Forbidden { user: user.to_owned() }
}

fn anna() -> Credentials {
    let ha1 = |algorithm| Arc::from(ha1(algorithm, "anna", REALM, "secret"));
    Credentials {
        user: Arc::from("anna"),
        ha1_md5: ha1(Algorithm::Md5),
        ha1_sha256: ha1(Algorithm::Sha256),
    }
}

fn ask(lines: &str) -> Message {
    parse(&format!(
        "MESSAGE sip:boris@example.org SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
         From: <sip:anna@example.org>;tag=f\r\nTo: <sip:boris@example.org>\r\n\
         Call-ID: c\r\nCSeq: 1 MESSAGE\r\n{lines}Content-Length: 2\r\n\r\nhi"
    ))
}

fn answer(challenge: &str, user: &str, password: &str, count: u32) -> String {
    let request = ask("");
    let asked = Asked {
        method: request.method(),
        uri: "sip:boris@example.org",
        body: b"hi",
        cnonce: "abc",
        count,
    };
    Challenge::parse(challenge).unwrap().answer(&Login { user, password }, &asked)
}

fn ok() -> Verdict {
    Verdict::Ok { user: Arc::from("anna") }
}

#[test]
fn both_hashes_are_offered_and_both_are_taken() {
    let mut gate = Gate::new();
    for proxy in [false, true] {
        let challenges = gate.challenges(proxy, false);
        let read: Vec<_> = challenges.iter().map(|c| Challenge::parse(c).unwrap()).collect();
        assert_eq!(
            read.iter().map(|c| c.algorithm).collect::<Vec<_>>(),
            [Algorithm::Md5, Algorithm::Sha256]
        );
        assert!(read.iter().all(|c| c.realm == REALM && !c.stale && c.qop.len() == 1));
        let header = if proxy { "Proxy-Authorization" } else { "Authorization" };
        for (count, challenge) in (1..).zip(&challenges) {
            let line = format!("{header}: {}\r\n", answer(challenge, "anna", "secret", count));
            assert_eq!(gate.check(&line, proxy), ok());
            assert_eq!(gate.check(&line, !proxy), Verdict::Challenge { stale: false });
        }
    }
}

#[test]
fn without_credentials_for_our_realm_the_request_is_challenged() {
    let mut gate = Gate::new();
    let ours = gate.challenges(false, false).remove(0);
    let theirs = ours.replace("realm=\"example.org\"", "realm=\"example.com\"");
    let strange = answer(&ours, "anna", "secret", 1).replace("MD5", "SHA-512-256");
    for line in [
        "".to_owned(),
        "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n".to_owned(),
        "Authorization: Digest username=\"anna\"\r\n".to_owned(),
        format!("Authorization: {}\r\n", answer(&theirs, "anna", "secret", 1)),
        format!("Authorization: {strange}\r\n"),
    ] {
        assert_eq!(gate.check(&line, false), Verdict::Challenge { stale: false }, "{line}");
    }
    // Credentials for others may stand before ours.
    let lines = format!(
        "Authorization: {}\r\nAuthorization: {}\r\n",
        answer(&theirs, "anna", "secret", 1),
        answer(&ours, "anna", "secret", 1)
    );
    assert_eq!(gate.check(&lines, false), ok());
}

#[test]
fn known_and_unknown_users_get_the_same_answer() {
    let mut gate = Gate::new();
    for challenge in gate.challenges(false, false) {
        assert_eq!(gate.answer(&challenge, "anna", "wrong", 1), forbidden("anna"));
        assert_eq!(gate.answer(&challenge, "nobody", "secret", 1), forbidden("nobody"));
        assert_eq!(gate.answer(&challenge, "", "", 1), forbidden(""));
    }
    assert!(gate.window.0.borrow().is_empty(), "a wrong answer uses up no count");
}

#[test]
fn a_count_is_good_once() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), ok());
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), Verdict::Challenge { stale: true });
    assert_eq!(gate.answer(&challenge, "anna", "secret", 2), ok());
}

#[test]
fn without_qop_a_nonce_is_good_once() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0).replace(", qop=\"auth\"", "");
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), ok());
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), Verdict::Challenge { stale: true });
}

#[test]
fn an_old_nonce_is_stale_and_tells_nothing_about_the_password() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    gate.now = gate.now + NONCE_LIFETIME;
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), Verdict::Challenge { stale: true });
    assert_eq!(gate.answer(&challenge, "anna", "wrong", 1), Verdict::Challenge { stale: true });
    let fresh = gate.challenges(false, true).remove(0);
    assert!(Challenge::parse(&fresh).unwrap().stale);
    assert_eq!(gate.answer(&fresh, "anna", "secret", 1), ok());
}

#[test]
fn a_nonce_that_is_not_ours_is_stale_and_another_shards_is_ours() {
    let mut gate = Gate::new();
    let mut other = Gate::new();
    other.authenticator = Authenticator::new(REALM, &[1; 32], [3; 32]);
    let challenge = other.challenges(false, false).remove(0);
    assert_ne!(challenge, gate.challenges(false, false).remove(0));
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), ok());
    other.authenticator = Authenticator::new(REALM, &[9; 32], [3; 32]);
    let challenge = other.challenges(false, false).remove(0);
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), Verdict::Challenge { stale: true });
}

#[test]
fn a_nonce_sent_to_another_address_proves_and_blames_nobody() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    let home = std::mem::replace(&mut gate.source, IpAddr::from([198, 51, 100, 1]));
    for password in ["secret", "wrong"] {
        let verdict = gate.answer(&challenge, "anna", password, 1);
        assert_eq!(verdict, Verdict::Challenge { stale: true }, "{password}");
    }
    gate.source = home;
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), ok());
}

#[test]
fn a_response_for_another_method_or_with_a_broken_count_is_worth_nothing() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    let right = answer(&challenge, "anna", "secret", 1);
    for wrong in [
        right.replace("nc=00000001", "nc=1"),
        right.replace("nc=00000001", "nc=0000000z"),
        right.replace("qop=auth", "qop=auth-conf"),
        right.replace("uri=\"sip:boris@", "uri=\"sip:clara@"),
        right.replace("cnonce=\"abc\"", "cnonce=\"abd\""),
    ] {
        let line = format!("Authorization: {wrong}\r\n");
        assert_eq!(gate.check(&line, false), forbidden("anna"), "{wrong}");
    }
    assert_eq!(gate.check(&format!("Authorization: {right}\r\n"), false), ok());
}

#[test]
fn many_lines_of_credentials_are_not_all_looked_at() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    let other = answer(&challenge.replace("example.org", "x"), "anna", "secret", 1);
    let mut lines = format!("Authorization: {other}\r\n").repeat(8);
    lines += &format!("Authorization: {}\r\n", answer(&challenge, "anna", "secret", 1));
    assert_eq!(gate.check(&lines, false), Verdict::Challenge { stale: false });
}

#[test]
fn only_what_is_offered_is_taken_and_in_the_order_of_the_settings() {
    let mut gate = Gate::new();
    gate.offer(&[DigestHash::Sha256, DigestHash::Md5], &[]);
    let mut both = gate.challenges(false, false);
    both.reverse();
    assert!(both[0].contains("algorithm=MD5") && both[1].contains("SHA-256"), "{both:?}");
    gate.offer(&[DigestHash::Sha256], &[]);
    assert_eq!(gate.challenges(false, false).len(), 1);
    let refused = gate.answer(&both[0], "anna", "secret", 1);
    assert_eq!(refused, Verdict::Challenge { stale: false }, "MD5 is not offered any more");
}

#[test]
fn a_phone_that_gives_up_at_sha_256_is_offered_md5_alone() {
    let mut gate = Gate::new();
    let old = "User-Agent: baresip v1.0.0 (x86_64/linux)\r\n";
    for digests in [[DigestHash::Md5, DigestHash::Sha256], [DigestHash::Sha256, DigestHash::Md5]] {
        gate.offer(&digests, &["Snom", "baresip v1."]);
        for proxy in [false, true] {
            let offered = gate.challenges_to(old, proxy, false);
            assert!(offered.len() == 1 && offered[0].contains("algorithm=MD5"), "{offered:?}");
        }
        for other in ["", "User-Agent: baresip v4.1.0\r\n", "User-Agent: my baresip v1.0\r\n"] {
            assert_eq!(gate.challenges_to(other, false, false).len(), 2, "{other}");
        }
    }
    gate.offer(&[DigestHash::Sha256], &["baresip v1."]);
    let offered = gate.challenges_to(old, false, false);
    assert!(offered.len() == 1 && offered[0].contains("SHA-256"), "never what is switched off");
}

#[test]
fn who_is_held_back_is_not_looked_at_and_their_count_stays_good() {
    let mut gate = Gate::new();
    let challenge = gate.challenges(false, false).remove(0);
    gate.held_back = "anna";
    assert_eq!(gate.answer(&challenge, "anna", "wrong", 1), Verdict::HeldBack);
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), Verdict::HeldBack);
    assert_eq!(gate.answer(&challenge, "boris", "secret", 1), forbidden("boris"));
    gate.held_back = "";
    assert_eq!(gate.answer(&challenge, "anna", "secret", 1), ok());
}
