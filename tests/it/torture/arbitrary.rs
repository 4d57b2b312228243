//! Any bytes at all: nothing panics, and what is accepted can be sent on.

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use telefonist::sip::digest::{Authorization, Challenge};
use telefonist::sip::sdp::Sdp;
use telefonist::sip::{
    Builder, Framed, Framer, Header, Message, Method, NameAddr, Uri, Via, split_values, unquote,
};

use super::shared::wire;

const INVITE: &str = "INVITE sip:+78121234567@[2001:db8::1]:5070;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKx;rport;received=192.0.2.2, SIP/2.0/TCP h
f: \"Ivan \\\"P.\\\"\" <sip:%69van:pw@h;lr?Subject=a%20b&x=y>;tag=1
To: <tel:+7-812;phone-context=h>;tag=\"q\"
Call-ID: abc@h
CSeq: 1
 INVITE
Max-Forwards: 70
m: *, <sip:a@h>;q=0.5;expires=60
Route: <sip:p;lr>,
 <sip:q;lr>
Authorization: Digest username=\"a\\\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\", qop=auth, nc=00000001, cnonce=\"c\"
Content-Type: application/sdp
Content-Length: 90

v=0
o=- 1 2 IN IP4 192.0.2.1
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 49170/2 RTP/AVP 0
a=sendonly
";

/// Asks a message everything.
fn ask(message: &Message) {
    for header in Header::ALL {
        let _ = (message.header(*header), message.has(*header), message.number(*header));
        let _ = (message.lines(*header).count(), message.lists(*header, "x"));
        for value in message.values(*header) {
            read_value(value);
        }
    }
    for (name, value) in message.all_lines() {
        let _ = message.named(name);
        read_value(value);
    }
    let _ = (message.method(), message.uri(), message.status(), message.reason());
    let _ = (message.version(), message.call_id(), message.cseq(), message.from(), message.to());
    let _ = (message.from_tag(), message.to_tag(), message.top_via(), message.contacts().count());
    let _ = (message.max_forwards(), message.content_type(), message.has_content("a/b"));
    let _ = (message.judge(), format!("{message:?}"));
    read_value(message.uri());
    if let Some(sdp) = Sdp::parse(&message.body()) {
        let ours = sdp.with_origin(u64::MAX, 1);
        assert!(Sdp::parse(&ours).expect("still a session").says_the_same(&sdp));
        let _ = (sdp.is_hold(), sdp.direction(), sdp.addresses().count(), sdp.media().len());
    }
}

fn read_value(value: &str) {
    let other = Uri::parse("sip:a%40@h;x=1?y=z").expect("a good one");
    if let Ok(uri) = Uri::parse(value) {
        assert!(uri.equals(&uri), "{value}");
        assert_eq!(uri.equals(&other), other.equals(&uri), "{value}");
        let _ = (uri.user_decoded(), uri.header("x"), uri.params().count(), uri.socket_addr(1));
    }
    if let Ok(address) = NameAddr::parse(value) {
        let text = address.to_string();
        let again = NameAddr::parse(&text).expect("what is written reads back");
        assert_eq!((again.uri, again.display), (address.uri, address.display));
        let _ = (address.display_decoded(), address.tag(), address.params().count());
    }
    if let Ok(via) = Via::parse(value) {
        let _ = (via.branch(), via.magic_branch(), via.rport(), via.response_addr());
        if let Some(filled) = via.with_source(source()) {
            let filled = Via::parse(&filled).expect("a filled Via reads back");
            assert_eq!((filled.host, filled.branch()), (via.host, via.branch()));
        }
    }
    let _ = Authorization::parse(value).map(|a| (a.count(), a.proves("x", &Method::Bye, b"")));
    let _ = (Challenge::parse(value).map(|c| c.to_string()), unquote(value).len());
    let _ = split_values(value).count();
}

fn source() -> SocketAddr {
    "198.51.100.7:4711".parse().expect("a good one")
}

/// Parses, asks everything, and sends on, answers, and rewrites what could be read.
fn torment(bytes: Vec<u8>) {
    let Ok(message) = Message::parse(Bytes::from(bytes)) else { return };
    ask(&message);
    let received = message.received_from(source());
    assert_eq!(received.judge(), message.judge());
    let again = Message::parse(received.raw().clone()).expect("a filled message reads back");
    assert!(again.all_lines().eq(received.all_lines()));
    assert_eq!((again.body(), again.cseq()), (received.body(), received.cseq()));
    let reply = Message::parse(Builder::reply(&message, 400, Some("t")).finish());
    ask(&reply.expect("a reply reads back"));
    let Ok(sent) = Message::parse(Builder::forward(&message).finish()) else { return };
    if message.judge().is_ok() {
        assert_eq!(sent.judge(), Ok(()));
        let lines = |m: &Message| {
            let rest =
                m.all_lines().filter(|(n, _)| Header::parse(n) != Some(Header::ContentLength));
            rest.map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(lines(&sent), lines(&message));
        assert_eq!((sent.uri(), sent.body()), (message.uri(), message.body()));
    }
    let changed = Builder::forward(&message)
        .pop(Header::Via)
        .pop(Header::Route)
        .top(Header::Via, "SIP/2.0/UDP us;branch=z9hG4bKus")
        .set(Header::MaxForwards, 3)
        .request_uri("sip:x@y")
        .remove_named("x");
    if let Ok(changed) = Message::parse(changed.finish()) {
        ask(&changed);
    }
}

fn frames(pieces: &[&[u8]]) -> Vec<Bytes> {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = framer.next() {
            match frame {
                Ok(Framed::Message(message)) => found.push(message.raw().clone()),
                Ok(Framed::KeepAlive) => found.push(Bytes::from_static(b"ping")),
                Err(error) => found.push(Bytes::from(format!("{:?}", error.fault))),
            }
        }
    }
    found
}

/// Bytes that look like SIP: pieces of grammar in any order.
fn crumbs() -> impl Strategy<Value = Vec<u8>> {
    let crumb = prop_oneof![
        Just("INVITE sip:a@h SIP/2.0\r\n"),
        Just("SIP/2.0 200 OK\r\n"),
        Just("Via: SIP/2.0/UDP "),
        Just("From: "),
        Just("t:"),
        Just("Contact: "),
        Just("Content-Length: "),
        Just("CSeq: 1 INVITE"),
        Just("\r\n"),
        Just("\r\n "),
        Just("\n"),
        Just("\r"),
        Just("\""),
        Just("\\"),
        Just("<sip:"),
        Just(">"),
        Just(";"),
        Just(",=?&@:[]"),
        Just("%0g%00"),
        Just("\u{430}\0"),
        Just("42"),
    ];
    vec(crumb, 0..40).prop_map(|c| c.concat().into_bytes())
}

/// A good message with some bytes replaced, removed and repeated.
fn mutilated() -> impl Strategy<Value = Vec<u8>> {
    let wound = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    vec(wound, 1..12).prop_map(|wounds| {
        let mut bytes = wire(INVITE);
        for (at, byte, how) in wounds {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"\r\n\t\",;<>:%\\ "[usize::from(byte) % 12]),
                _ => bytes.truncate(bytes.len().max(60) - usize::from(byte % 40)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_hurt(bytes in vec(any::<u8>(), 0..400)) {
        torment(bytes);
    }

    #[test]
    fn no_crumbs_hurt(bytes in crumbs()) {
        torment(bytes);
    }

    #[test]
    fn no_wounded_message_hurts(bytes in mutilated()) {
        torment(bytes);
    }

    #[test]
    fn no_value_hurts(value in ".{0,60}") {
        read_value(&value);
    }

    #[test]
    fn a_stream_gives_the_same_however_it_is_cut(
        bytes in prop_oneof![crumbs(), mutilated(), mutilated().prop_map(|b| b.repeat(2))],
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(frames(&pieces), frames(&[&bytes]));
    }
}

#[test]
fn the_message_that_is_mutilated_is_good() {
    let message = Message::parse(Bytes::from(wire(INVITE).to_vec())).unwrap();
    let starred = message.judge();
    assert_eq!(starred, Ok(()), "{starred:?}");
    assert!(Sdp::parse(&message.body()).unwrap().is_hold());
    torment(wire(INVITE));
}
