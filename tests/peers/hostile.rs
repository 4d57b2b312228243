//! Bad input, each time with a clear answer and the server still serving.

use telefonist::sip::digest::Algorithm;
use telefonist::switch::Outcome;

use crate::digest::{proof, register};
use crate::program::{installed, output_of};
use crate::scene::{Company, PHONES, STRANGER, Scene, TRUNK};
use crate::sipp::{caller, peer, phone, registered};
use crate::wire::{Stream, Wire, options, request, status};

/// What came before did no harm: OPTIONS over UDP and TCP are answered.
fn still_serves(scene: &Scene, n: u32) {
    let wire = Wire::udp(STRANGER, scene.address);
    let via = format!("UDP {}", wire.address());
    assert_eq!(wire.ask(&options(scene.address, &via, n)).0, 200);
    let mut stream = Stream::open(scene.address);
    assert!(stream.send(options(scene.address, "TCP 127.0.0.1:9", n).as_bytes()));
    assert_eq!(status(&stream.first()), Some(200));
}

#[test]
fn sipsak_hears_200_to_options() {
    if !installed(&["sipsak"]) {
        return;
    }
    let scene = Scene::start();
    let uri = format!("sip:ping@{}", scene.address);
    let (status, text) = output_of("sipsak", &["-v", "-s", &uri]);
    assert!(status.success(), "{text}");
}

#[test]
fn an_unknown_trunk_hears_403() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    let strange = peer(&scene, "call_403", STRANGER);
    strange.key("number", "030231250").key("called", "4930999").run(&scene).done();
    // A known one is served all the same, and only that call is in the register.
    caller(&scene, "call").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
}

#[test]
fn a_register_for_somebody_elses_address_hears_403() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let wrong = peer(&scene, "register_403", PHONES).key("gruu", "").key("instance", "");
    // 202's own password is right, the address of record is 201's.
    wrong.with(&["-s", "201", "-au", "202", "-ap", "pw-202"]).run(&scene).done();
    scene.until_bound(0);
}

#[test]
fn a_thousand_wrong_passwords_are_all_answered_and_few_looked_at() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let wire = Wire::udp(STRANGER, scene.address);
    let via = format!("UDP {}", wire.address());
    let (first, challenge) = wire.ask(&register("201", &via, 1, ""));
    assert_eq!(first, 401);
    let mut heard = [0, 0];
    for n in 2..1_002 {
        let wrong = proof(&challenge, Algorithm::Md5, ("201", "guess"), n);
        let (answer, _) = wire.ask(&register("201", &via, n, &wrong));
        heard[usize::from(answer == 503)] += 1;
        assert!([403, 503].contains(&answer), "{answer}");
    }
    let [looked_at, held_back] = heard;
    assert!((60..=300).contains(&looked_at), "{looked_at} looked at, {held_back} held back");
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
}

#[test]
fn garbage_and_truncated_datagrams_do_no_harm() {
    let scene = Scene::start();
    let wire = Wire::udp(TRUNK, scene.address);
    let via = format!("UDP {}", wire.address());
    let whole = request("INVITE", "sip:4930999@tele.test", &via, 7, "", "v=0\r\n");
    let mut bytes = Vec::new();
    for n in 0..2_000_u32 {
        // A generator of Lehmer's: the same bytes each time.
        bytes.push((n.wrapping_mul(48_271) >> 3) as u8);
    }
    for len in [0, 1, 2, 7, 100, 1_500, 2_000] {
        wire.send(&bytes[..len]);
    }
    for len in (1..whole.len()).step_by(3) {
        wire.send(&whole.as_bytes()[..len]);
    }
    still_serves(&scene, 1);
}

#[test]
fn too_many_headers_over_tcp_end_the_connection() {
    let scene = Scene::start();
    let more = "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(1_400);
    assert!(more.len() > 64 * 1024);
    let mut stream = Stream::open(scene.address);
    stream.send(request("OPTIONS", "sip:tele.test", "TCP 127.0.0.1:9", 1, &more, "").as_bytes());
    let said = stream.until_closed();
    // The close may overtake the answer: what was not read of the request resets the connection.
    assert!(said.is_empty() || status(&said) == Some(513), "{said}");
    still_serves(&scene, 2);
}

#[test]
fn too_many_headers_in_a_datagram_are_refused() {
    let scene = Scene::start();
    let wire = Wire::udp(STRANGER, scene.address);
    let via = format!("UDP {}", wire.address());
    let more = "X-Filler: 01234567890123456789\r\n".repeat(400);
    let (refused, _) = wire.ask(&request("OPTIONS", "sip:tele.test", &via, 1, &more, ""));
    assert_eq!(refused, 513);
    still_serves(&scene, 1);
}

#[test]
fn a_header_without_end_over_tcp_ends_the_connection() {
    let scene = Scene::start();
    let mut stream = Stream::open(scene.address);
    let mut taken = stream.send(b"OPTIONS sip:tele.test SIP/2.0\r\nX-Endless: ");
    let mut sent = 0;
    while taken && sent < 4 * 1024 * 1024 {
        taken = stream.send(&[b'a'; 4_096]);
        sent += 4_096;
    }
    stream.until_closed();
    still_serves(&scene, 1);
}

#[test]
fn a_header_that_stops_coming_ends_the_connection() {
    let scene =
        Scene::of(Company { more: "[net]\nheader_timeout = \"1s\"\n", ..Company::default() });
    let mut stream = Stream::open(scene.address);
    assert!(stream.send(b"OPTIONS sip:tele.test SIP/2.0\r\nVia: SIP/2.0/TCP"));
    stream.until_closed();
    still_serves(&scene, 1);
}

#[test]
fn lies_about_content_length_do_no_harm() {
    let scene = Scene::start();
    let honest = request("OPTIONS", "sip:tele.test", "TCP 127.0.0.1:9", 1, "", "");
    for (n, lie) in
        ["4294967296", "99999999999999999999", "-1", "ten", "1000000"].iter().enumerate()
    {
        let text = honest.replace("Content-Length: 0", &format!("Content-Length: {lie}"));
        let mut stream = Stream::open(scene.address);
        stream.send(text.as_bytes());
        let said = stream.until_closed();
        assert!(said.is_empty() || status(&said).is_some_and(|s| s >= 400), "{lie}: {said}");
        // In a datagram too.
        let wire = Wire::udp(TRUNK, scene.address);
        wire.send(text.replace("z9hG4bKw1", &format!("z9hG4bKl{n}")).as_bytes());
    }
    still_serves(&scene, 2);
}
