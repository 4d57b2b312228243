//! Our own messages that are wrong, each in one way, and what is answered.

use bytes::Bytes;
use telefonist::sip::{FrameFault, Framed, Framer};

use super::shared::Must::{self, Drop, Refuse, Unreadable};
use super::shared::{check, wire};

/// A good one, to be broken.
const GOOD: &str = "INVITE sip:boris@example.ru SIP/2.0
Via: SIP/2.0/TCP pc.example.ru;branch=z9hG4bKq1
From: \"Anna\" <sip:anna@example.ru>;tag=f1
To: <sip:boris@example.ru>
Call-ID: broken@example.ru
CSeq: 4 INVITE
Max-Forwards: 70
Contact: <sip:anna@pc.example.ru>
Content-Length: 4

body";

fn broken(right: &str, wrong: &str) -> Vec<u8> {
    assert!(GOOD.contains(right), "{right}");
    wire(&GOOD.replacen(right, wrong, 1))
}

fn each(table: &[(&str, &str, Must)]) {
    for (right, wrong, must) in table {
        check(wrong, broken(right, wrong), must);
    }
}

#[test]
fn the_good_one_is_good() {
    check("good", wire(GOOD), &Must::Accept(|m| assert_eq!(m.body().len(), 4)));
}

#[test]
fn separators_too_many() {
    each(&[
        ("z9hG4bKq1", "z9hG4bKq1;;,;,,", Refuse(400)),
        ("z9hG4bKq1", "z9hG4bKq1,", Refuse(400)),
        ("pc.example.ru>", "pc.example.ru>;;;;", Refuse(400)),
        ("tag=f1", "tag=f1;", Refuse(400)),
        ("tag=f1", "tag=", Refuse(400)),
    ]);
}

#[test]
fn lengths_that_lie() {
    each(&[
        ("Length: 4", "Length: 5", Refuse(400)),
        ("Length: 4", "Length: 4000000000000000000000", Refuse(400)),
        ("Length: 4", "Length: -4", Refuse(400)),
        ("Length: 4", "Length: +4", Refuse(400)),
        ("Length: 4", "Length: 0x4", Refuse(400)),
        ("Length: 4", "Length: 4, 4", Refuse(400)),
        ("Length: 4", "Length:", Refuse(400)),
        ("Length: 4", "Length: 4\nl: 4", Refuse(400)),
    ]);
}

#[test]
fn numbers_out_of_range() {
    each(&[
        ("CSeq: 4", "CSeq: 2147483648", Refuse(400)),
        ("CSeq: 4", "CSeq: 36893488147419103232", Refuse(400)),
        ("CSeq: 4", "CSeq: four", Refuse(400)),
        ("Forwards: 70", "Forwards: 256", Refuse(400)),
        ("Forwards: 70", "Forwards: -1", Refuse(400)),
        ("Forwards: 70", "Forwards: 70 hops", Refuse(400)),
    ]);
    for first in ["SIP/2.0 99999999999 x", "SIP/2.0 99 x", "SIP/2.0 0200 x", "SIP/2.0 700 x"] {
        check(first, broken("INVITE sip:boris@example.ru SIP/2.0", first), &Drop);
    }
    let response = GOOD.replace("INVITE sip:boris@example.ru SIP/2.0", "SIP/2.0 503 No");
    let big = wire(&response.replace("CSeq: 4", "CSeq: 9292394834772304023312"));
    check("a response's CSeq", big, &Drop);
}

#[test]
fn first_lines() {
    each(&[
        ("INVITE sip:boris@example.ru SIP", "INVITE  sip:boris@example.ru SIP", Refuse(400)),
        ("example.ru SIP/2.0", "example.ru  SIP/2.0", Refuse(400)),
        ("example.ru SIP/2.0", "example.ru SIP/2.0  ", Refuse(400)),
        ("example.ru SIP/2.0", "example.ru; lr SIP/2.0", Refuse(400)),
        ("example.ru SIP/2.0", "example.ru\tSIP/2.0 SIP/2.0", Refuse(400)),
        ("INVITE sip:boris@example.ru SIP", "INVITE <sip:boris@example.ru> SIP", Refuse(400)),
        (
            "INVITE sip:boris@example.ru SIP",
            "INVITE sip:boris@example.ru?Subject=x SIP",
            Refuse(400),
        ),
        ("INVITE sip:boris@example.ru SIP", "INVITE sip:2001:db8::77 SIP", Refuse(400)),
        ("INVITE sip:boris@example.ru SIP", "INVITE boris SIP", Refuse(400)),
        ("INVITE sip:boris@example.ru SIP", "INVITE gopher:boris SIP", Refuse(416)),
        ("INVITE sip:boris@example.ru SIP", "INVITE x.y+z://boris:1 SIP", Refuse(416)),
        ("INVITE sip:boris@example.ru SIP", "IN\"VITE sip:boris@example.ru SIP", Refuse(400)),
        ("example.ru SIP/2.0", "example.ru SIP/3.0", Refuse(505)),
        ("example.ru SIP/2.0", "example.ru SIP/2.00", Refuse(505)),
        ("example.ru SIP/2.0", "example.ru HTTP/2.0", Unreadable),
        ("example.ru SIP/2.0", "example.ru", Unreadable),
        ("INVITE sip:boris@example.ru SIP/2.0", "INVITE", Unreadable),
    ]);
}

#[test]
fn quotes_brackets_and_commas() {
    each(&[
        ("\"Anna\" <", "\"Anna <", Refuse(400)),
        ("\"Anna\" <", "Anna, B. <", Refuse(400)),
        ("\"Anna\" <sip:anna@example.ru>", "\"Anna\" < sip:anna@example.ru >", Refuse(400)),
        ("\"Anna\" <sip:anna@example.ru>", "\"Anna\" sip:anna@example.ru", Refuse(400)),
        ("<sip:boris@example.ru>\n", "<sip:boris@example.ru\n", Refuse(400)),
        ("<sip:anna@pc.example.ru>", "sip:anna@pc.example.ru?Route=%3Csip:x%3E", Refuse(400)),
        ("<sip:anna@pc.example.ru>", "<sip:anna@pc.example.ru>, <sip:x@>", Refuse(400)),
    ]);
}

#[test]
fn headers_missing_and_headers_twice() {
    each(&[
        ("Via: SIP", "X-Via: SIP", Refuse(400)),
        ("From: ", "X-From: ", Refuse(400)),
        ("To: ", "X-To: ", Refuse(400)),
        ("Call-ID: ", "X-Call-ID: ", Refuse(400)),
        ("CSeq: ", "X-CSeq: ", Refuse(400)),
        ("CSeq: ", "CSeq: 5 INVITE\nCSeq: ", Refuse(400)),
        ("Call-ID: ", "i: other\nCall-ID: ", Refuse(400)),
        ("From: ", "f: <sip:x@h>;tag=2\nFrom: ", Refuse(400)),
        ("To: ", "t: <sip:x@h>\nTo: ", Refuse(400)),
        ("Max-Forwards: ", "Max-Forwards: 5\nMax-Forwards: ", Refuse(400)),
        ("CSeq: 4 INVITE", "CSeq: 4 BYE", Refuse(400)),
        ("CSeq: 4 INVITE", "CSeq: 4 invite", Refuse(400)),
    ]);
    let novel = wire(&GOOD.replacen("INVITE", "TELEPORT", 1));
    check("unknown method, another CSeq", novel, &Refuse(400));
}

#[test]
fn lines_that_are_no_headers() {
    each(&[
        ("Contact:", "what is this\nContact:", Refuse(400)),
        ("Contact:", ": nameless\nContact:", Refuse(400)),
        ("Contact:", "Two Words: x\nContact:", Refuse(400)),
        ("Via: ", " Via: ", Refuse(400)),
        ("Contact:", "X: a\rVia: SIP/2.0/UDP evil\nContact:", Refuse(400)),
        ("Content-Length: 4\n\nbody", "", Refuse(400)),
    ]);
}

#[test]
fn an_ack_and_a_response_get_no_answer() {
    let ack = GOOD.replace("INVITE", "ACK").replace("Max-Forwards: 70", "Max-Forwards: x");
    check("ack", wire(&ack), &Drop);
    let response = GOOD.replace("INVITE sip:boris@example.ru SIP/2.0", "SIP/2.0 200 OK");
    check("response", wire(&response.replace("From: ", "X: ")), &Drop);
    let to_all = "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall\nFrom: ";
    check("to everybody", wire(&response.replace("From: ", to_all)), &Drop);
}

#[test]
fn a_length_that_lies_on_a_stream_waits_or_breaks_but_never_mixes_two_messages() {
    let run = |text: &str| {
        let mut framer = Framer::new();
        framer.push(Bytes::from(wire(text)));
        let mut seen = Vec::new();
        while let Some(frame) = framer.next() {
            seen.push(match frame {
                Ok(Framed::Message(m)) if m.judge().is_err() => "bad".to_owned(),
                Ok(Framed::Message(m)) => String::from_utf8_lossy(&m.body()).into_owned(),
                Ok(Framed::KeepAlive) => "ping".to_owned(),
                Err(error) => {
                    assert!(matches!(error.fault, FrameFault::NotSip(_)), "{:?}", error.fault);
                    "broken".to_owned()
                }
            });
        }
        seen
    };
    assert_eq!(run(&GOOD.replace(": 4\n", ": 5\n")), [""; 0], "waits for the fifth byte");
    assert_eq!(run(&format!("{}{GOOD}", GOOD.replace(": 4\n", ": 3\n"))), ["bod", "bad"]);
    assert_eq!(run(&format!("{GOOD}\n\n{GOOD}")), ["body", "ping", "body"]);
}
