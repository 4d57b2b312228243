//! What strangers, and people with a password and bad intentions, cannot make the switch do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use telefonist::domain::{ShardId, Trunk};
use telefonist::sip::{Builder, Header, Method};
use telefonist::switch::What;

use super::world::{ANSWER, CARRIER, DOMAIN, OFFER, TRUNK, World};
use super::{IDA, OLE, secs, world};

const STRANGER: &str = "198.51.100.66:5060";
const VICTIM: &str = "203.0.113.9:5060";

/// A request of nobody's, complete; `lines` go on top.
fn ask(w: &mut World, method: &str, uri: &str, from: &str, lines: &str) -> Bytes {
    let branch = w.branch();
    Bytes::from(format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};branch={branch};rport\r\n{lines}\
         Max-Forwards: 70\r\nFrom: <{from}>;tag=f{branch}\r\nTo: <{uri}>\r\nCall-ID: {branch}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:x@{VICTIM}>\r\nContent-Length: 0\r\n\r\n"
    ))
}

#[test]
fn a_forged_answer_to_no_invite_of_ours_makes_us_say_nothing() {
    let mut w = world();
    // What a Call-ID of ours looks like, everybody can see who was called once.
    let call_id = telefonist::call::Mint::new([9; 32]).call_id(u16::from(ShardId(0).0));
    let forged = format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n\
         From: <sip:a@{DOMAIN}>;tag=0123456789abcdef\r\nTo: <sip:b@{DOMAIN}>;tag=t\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{VICTIM}>\r\n\
         Record-Route: <sip:{VICTIM};lr>\r\nContent-Length: 0\r\n\r\n"
    );
    w.send(STRANGER, Bytes::from(forged));
    w.run(secs(60));
    w.nothing(STRANGER);
    w.nothing(VICTIM);
    w.assert_quiet();
}

#[test]
fn a_true_answer_that_comes_too_late_is_hung_up_where_it_came_from() {
    let mut before = world();
    before.register("ole", OLE);
    before.invite("03023125001", "s1", OFFER);
    let offered = before.request(OLE, Method::Invite);
    // The server is started anew and knows nothing; the phone answers, and names another host.
    let mut w = world();
    let reply = Builder::reply(&offered, 200, Some("late"))
        .header(Header::Contact, format_args!("<sip:ole@{VICTIM}>"))
        .body("application/sdp", ANSWER.as_bytes());
    w.send(OLE, reply.finish());
    w.request(OLE, Method::Ack);
    w.request(OLE, Method::Bye);
    w.nothing(VICTIM);
}

#[test]
fn a_path_is_followed_to_a_port_of_the_same_host_only() {
    for (path, hears) in [(VICTIM, OLE), ("192.0.2.30:5099", "192.0.2.30:5099")] {
        let mut w = world();
        let path_value = format!("<sip:{path};lr>");
        w.register_with("ole", OLE, &[("Supported", "path"), ("Path", &path_value)]);
        w.invite("03023125001", "p1", OFFER);
        let offered = w.request(hears, Method::Invite);
        assert_eq!(offered.values(Header::Route).next(), Some(&*path_value));
        w.nothing(VICTIM);
    }
}

#[test]
fn what_strangers_are_refused_leaves_nothing_behind() {
    let mut w = world();
    let ours = format!("sip:ole@{DOMAIN}");
    let elsewhere = "sip:x@elsewhere.test";
    let to_us = format!("sip:100@{DOMAIN}");
    for (method, uri, from, status) in [
        ("INVITE", &*to_us, elsewhere, 403),
        ("INVITE", &*to_us, &*ours, 407),
        ("MESSAGE", &*to_us, &*ours, 407),
        ("REGISTER", "sip:example.com", &*ours, 401),
        ("REGISTER", "sip:elsewhere.test", &*ours, 403),
        ("OPTIONS", &*to_us, elsewhere, 200),
        ("BYE", &*to_us, elsewhere, 481),
        ("FOO", &*to_us, elsewhere, 403),
    ] {
        let request = ask(&mut w, method, uri, from, "");
        for _ in 0..2 {
            w.send(STRANGER, request.clone());
            let answer = w.response(STRANGER, status);
            assert!(w.switch.is_idle(), "{method} is kept");
            assert!(answer.to_tag().is_some());
        }
        w.run(secs(40));
        w.nothing(STRANGER);
    }
}

#[test]
fn a_refusal_that_is_asked_for_again_has_the_same_tag() {
    let mut w = world();
    let request = ask(&mut w, "INVITE", "sip:100@example.com", "sip:x@elsewhere.test", "");
    let mut tags = (0..2).map(|_| {
        w.send(STRANGER, request.clone());
        w.response(STRANGER, 403).to_tag().map(str::to_owned)
    });
    assert_eq!(tags.next(), tags.next());
}

/// A hundred guesses of ole's password from `at`; how many were looked at.
fn guesses(w: &mut World, at: &str, to: &str) -> usize {
    let uri = format!("sip:ole@{DOMAIN}");
    let request = ask(w, "REGISTER", "sip:example.com", &uri, "");
    w.send(at, request);
    let challenge = w.response(at, 401).header(Header::WwwAuthenticate).expect("one").to_owned();
    let mut looked_at = 0;
    for guess in 0..100 {
        let line = World::answer_to(&challenge, Method::Register, "ole", &format!("guess{guess}"));
        let lines = format!("Authorization: {line}\r\n");
        let request = ask(w, "REGISTER", "sip:example.com", &uri, &lines);
        let text = String::from_utf8_lossy(&request).replace("To: <sip:example.com>", to);
        w.send(at, Bytes::from(text));
        let answer = w.next(at);
        match answer.status() {
            403 => looked_at += 1,
            status => assert_eq!((status, answer.has(Header::RetryAfter)), (503, true)),
        }
    }
    looked_at
}

#[test]
fn a_wrong_password_is_counted_whatever_tag_the_register_carries() {
    for to in ["To: <sip:ole@example.com>", "To: <sip:ole@example.com>;tag=x"] {
        let mut w = world();
        assert_eq!(guesses(&mut w, STRANGER, to), 20, "failures_per_minute_max");
        w.register("ole", OLE);
        w.register("ida", STRANGER);
        // At twenty a minute one more is looked at every three seconds.
        w.run(secs(4));
        w.register("ole", STRANGER);
    }
}

#[test]
fn a_phone_that_guesses_beside_a_trunk_is_held_back_and_the_trunk_is_not() {
    let mut w = world();
    w.register("ole", OLE);
    assert_eq!(guesses(&mut w, TRUNK, "To: <sip:ole@example.com>"), 20);
    w.invite("03023125001", "t1", OFFER);
    w.request(OLE, Method::Invite);
    w.response(TRUNK, 180);
}

#[test]
fn requests_of_nobody_are_turned_away_so_often_and_no_more() {
    let mut w = world();
    let hears = |w: &mut World| {
        let request = ask(w, "INVITE", "sip:100@example.com", "sip:x@elsewhere.test", "");
        w.send(STRANGER, request);
        w.take(STRANGER).map(|m| m.status())
    };
    for _ in 0..20 {
        assert_eq!(hears(&mut w), Some(403));
    }
    for _ in 0..1_000 {
        assert_eq!(hears(&mut w), None);
        assert!(w.switch.is_idle());
    }
    w.run(secs(61));
    assert_eq!(hears(&mut w), Some(403), "a minute later");
}

#[test]
fn a_stranger_who_writes_our_domain_is_a_stranger() {
    let ours = format!("sip:ole@{DOMAIN}");
    let forged = "Proxy-Authorization: Digest username=\"ole\", realm=\"example.com\", nonce=\"x\", \
                  uri=\"sip:100@example.com\", response=\"00000000000000000000000000000000\"\r\n";
    for (method, lines) in [("INVITE", ""), ("MESSAGE", ""), ("INVITE", forged)] {
        let mut w = world();
        let hears = |w: &mut World| {
            let request = ask(w, method, "sip:100@example.com", &ours, lines);
            w.send(STRANGER, request);
            w.take(STRANGER).map(|m| m.status())
        };
        for _ in 0..20 {
            assert_eq!(hears(&mut w), Some(407), "{method} {lines}");
        }
        for _ in 0..300 {
            assert_eq!(hears(&mut w), None, "{method} {lines}");
        }
        // Where a phone is registered nobody is silenced, and from there it may have been forged.
        w.register("ole", STRANGER);
        for _ in 0..300 {
            assert_eq!(hears(&mut w), Some(407));
        }
    }
}

#[test]
fn a_thousand_phones_behind_one_address_register_and_call_within_seconds() {
    const NAT: &str = "198.51.100.80";
    let mut w = world();
    w.set(|s| s.limits.bindings_max = 101);
    // Somebody else behind it has used up what strangers get.
    for _ in 0..100 {
        let request = ask(&mut w, "INVITE", "sip:100@example.com", "sip:ole@example.com", "");
        w.send(&format!("{NAT}:999"), request);
    }
    let user = |port: usize| ["ole", "ida", "kai", "mia", "hans"][port % 5];
    for port in 1_000..2_000 {
        w.run(Duration::from_millis(3));
        w.register(user(port), &format!("{NAT}:{port}"));
        // A person has a hundred phones at most.
        let earlier = port - 500;
        if earlier >= 1_000 {
            w.register_for(user(earlier), &format!("{NAT}:{earlier}"), 0, &[]);
        }
    }
    for port in 1_500..1_800 {
        let at = format!("{NAT}:{port}");
        w.run(Duration::from_millis(3));
        w.start_dial(&at, user(port), "*11", OFFER);
        w.response(&at, 200);
    }
}

#[test]
fn whoever_forges_a_phones_address_does_not_silence_the_phone() {
    let mut w = world();
    for _ in 0..100 {
        let request = ask(&mut w, "INVITE", "sip:100@example.com", "sip:x@elsewhere.test", "");
        w.send(OLE, request);
        while w.take(OLE).is_some() {}
    }
    // A nonce that was sent elsewhere blames nobody either.
    let uri = format!("sip:ole@{DOMAIN}");
    let request = ask(&mut w, "REGISTER", "sip:example.com", &uri, "");
    w.send(STRANGER, request);
    let elsewhere = w.response(STRANGER, 401);
    let challenge = elsewhere.header(Header::WwwAuthenticate).expect("one").to_owned();
    for guess in 0..100 {
        let line = World::answer_to(&challenge, Method::Register, "ole", &format!("guess{guess}"));
        let lines = format!("Authorization: {line}\r\n");
        let request = ask(&mut w, "REGISTER", "sip:example.com", &uri, &lines);
        w.send(OLE, request);
        w.response(OLE, 401);
    }
    w.register("ole", OLE);
}

#[test]
fn nobody_writes_in_a_colleagues_name() {
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", IDA);
    w.start_message(OLE, "ole", "ida", "mine");
    let text = w.request(IDA, Method::Message);
    w.reply(IDA, &text, 200, "");
    w.response(OLE, 200);
    // The password is ole's, the name is kai's.
    let uri = format!("sip:ida@{DOMAIN}");
    let kai = format!("sip:kai@{DOMAIN}");
    let request = ask(&mut w, "MESSAGE", &uri, &kai, "");
    w.send(OLE, request);
    let challenge = w.response(OLE, 407);
    let challenge = challenge.header(Header::ProxyAuthenticate).expect("one").to_owned();
    let line = World::answer_to(&challenge, Method::Message, "ole", "secret");
    let request = ask(&mut w, "MESSAGE", &uri, &kai, &format!("Proxy-Authorization: {line}\r\n"));
    w.send(OLE, request);
    w.response(OLE, 403);
    w.nothing(IDA);
}

#[test]
fn an_address_gets_so_many_answers_by_datagram_and_no_more() {
    let mut w = world();
    let asks = |w: &mut World| {
        let request = ask(w, "OPTIONS", "sip:example.com", "sip:x@elsewhere.test", "");
        w.send(STRANGER, request);
        usize::from(w.take(STRANGER).is_some())
    };
    assert_eq!((0..7_000).map(|_| asks(&mut w)).sum::<usize>(), 6_000);
    w.register("ole", OLE);
    w.run(secs(61));
    assert_eq!(asks(&mut w), 1, "a minute later");
}

/// An INVITE from the trunk's address in the name of ole.
fn in_the_name_of_ole(w: &mut World, call_id: &str) {
    let more = [("Contact", &*format!("<sip:{TRUNK}>"))];
    let whole = w.invite_with("03023125001", "template", OFFER, &more);
    while w.take(TRUNK).is_some() {}
    let text = String::from_utf8_lossy(whole.raw()).replace("03023125001@pbx", "ole@example.com");
    w.send(TRUNK, text.replace("template", call_id).replace("bKt", &call_id.repeat(2)).into());
}

#[test]
fn a_trunk_is_known_by_its_address_whatever_extension_calls_over_it() {
    let mut w = world();
    w.register("ida", IDA);
    in_the_name_of_ole(&mut w, "e1");
    w.response(TRUNK, 180);
    // A phone on the trunk's host is the person's.
    w.register("ole", "192.0.2.10:5090");
    in_the_name_of_ole(&mut w, "e2");
    w.response(TRUNK, 407);
}

/// What a caller says who hides, over a trunk that passes everything on.
const HIDING: [(&str, &str); 6] = [
    ("Privacy", "header;user;id;critical"),
    ("P-Asserted-Identity", "<sip:+493023125002@pbx>"),
    ("Remote-Party-ID", "<sip:+493023125002@pbx>;party=calling"),
    ("Diversion", "<sip:+493023125002@pbx>;reason=unconditional"),
    ("Subject", "Anna of Wheel and Co"),
    ("X-Campaign", "spring"),
];

#[test]
fn a1_who_asks_for_privacy_is_nobody_on_the_phone_and_in_the_register() {
    for trusted in [true, false] {
        let mut w = world();
        w.set(|s| {
            let names = ["P-Asserted-Identity", "remote-party-id", "X-Campaign"];
            let mut pbx = (*s.trunks[0]).clone();
            pbx.pass_headers = names.map(Into::into).to_vec();
            pbx.trusted = trusted;
            s.trunks[0] = Arc::new(pbx);
        });
        w.key_client("+493023125002");
        w.register("ole", OLE);
        w.invite_with("+493023125002", "h1", OFFER, &HIDING);
        let offered = w.request(OLE, Method::Invite);
        let text = String::from_utf8_lossy(offered.raw()).into_owned();
        assert!(text.contains("<sip:anonymous@anonymous.invalid>"), "{text}");
        assert!(text.contains("X-Campaign: spring"), "what does not name the caller crosses");
        for word in ["23125002", "ACME", "Anna"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        let arrived = w.events.iter().find_map(|e| match e {
            What::CallArrived { from_raw, from, .. } => Some((from_raw.to_string(), from.clone())),
            _ => None,
        });
        assert_eq!(arrived, Some((String::new(), None)));
    }
}

#[test]
fn an_asserted_identity_passes_between_trunks_as_far_as_they_are_trusted() {
    for (from, to, privacy, crosses) in [
        (true, true, "id", true),
        (true, false, "id", false),
        (true, false, "none", true),
        (false, true, "none", false),
    ] {
        let mut w = World::new(super::PASS);
        w.set(|s| {
            for (trunk, trusted) in s.trunks.iter_mut().zip([from, to]) {
                *trunk = Arc::new(Trunk { trusted, ..(**trunk).clone() });
            }
        });
        let more = [("P-Asserted-Identity", "<sip:+493023125002@pbx>"), ("Privacy", privacy)];
        w.invite_with("anonymous", "h2", OFFER, &more);
        let out = w.request(CARRIER, Method::Invite);
        assert_eq!(out.has(Header::PAssertedIdentity), crosses, "{from} {to} {privacy}");
    }
}
