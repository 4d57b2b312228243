//! Our own messages that look wrong and are not.

use telefonist::sip::digest::Authorization;
use telefonist::sip::sdp::{Direction, Sdp};
use telefonist::sip::{Header, Message, Uri, Via};

use super::shared::Must::Accept;
use super::shared::{check, wire};

/// The headers that nobody looks at here.
const REST: &str = "Via: SIP/2.0/UDP pc.example.ru;branch=z9hG4bKq1
From: <sip:anna@example.ru>;tag=f1
To: <sip:boris@example.ru>
Call-ID: strange@example.ru
CSeq: 4 OPTIONS
";

fn accept(name: &str, text: &str, holds: fn(&Message)) {
    check(name, wire(text), &Accept(holds));
}

#[test]
fn white_space_wherever_the_grammar_lets_it() {
    let text = "INVITE sip:boris@example.ru;odd SIP/2.0
vIA\t :SIP /\t2.0/ UDP
 pc.example.ru ; branch
 = z9hG4bKws , SIP/2.0 / TCP [::1]:5070
FROM :\tAnna
\t<sip:anna@example.ru>
 ; tag =
 w1
t :sip:boris@example.ru;  flag
Call-ID:
\tws@example.ru
CSEQ :00012
\tINVITE
max-forwards\t: 007
S:
l :0

";
    accept("spaces", text, |m| {
        assert_eq!(m.values(Header::Via).count(), 2);
        let via = m.top_via().unwrap();
        assert_eq!((via.host, via.branch()), ("pc.example.ru", Some("z9hG4bKws")));
        assert_eq!((m.from_tag(), m.to().unwrap().param("flag")), (Some("w1"), Some("")));
        assert_eq!((m.call_id(), m.cseq().unwrap().0), ("ws@example.ru", 12));
        assert_eq!((m.max_forwards(), m.header(Header::Subject)), (Some(7), Some("")));
    });
}

#[test]
fn every_compact_form() {
    let text = "MESSAGE sip:boris@example.ru SIP/2.0
v: SIP/2.0/TCP h;branch=z9hG4bKc
f: <sip:a@h>;tag=1
t: <sip:b@h>
i: compact
CSeq: 1 MESSAGE
m: <sip:a@h>
k: path
s: hello
c: text/plain
e: identity
o: presence
r: <sip:c@h>
b: <sip:d@h>
x: 1800
l: 2

ok";
    accept("compact", text, |m| {
        for header in [Header::Contact, Header::Supported, Header::Subject, Header::ContentEncoding]
        {
            assert!(m.has(header), "{header}");
        }
        for header in [Header::Event, Header::ReferTo, Header::ReferredBy, Header::SessionExpires] {
            assert!(m.has(header), "{header}");
        }
        assert_eq!(&m.body()[..], b"ok");
    });
}

#[test]
fn every_character_that_a_token_may_have() {
    let text = "-.!%*_+`'~aZ9 sip:-_.!~*'()&=+$,;?/@h SIP/2.0
Via: SIP/2.0/-.!%*_+`'~ h;-.!%*_+`'~=-.!%*_+`'~;branch=z9hG4bK.!%
From: -.!%*_+`'~ t2 <sip:a@h>;tag=-.!%*_+`'~
To: \"\\\"\\\\\\,<>;\" <sip:b@h>;p=\"a;b,c<d>\"
Call-ID: a!%*_+`'~()<>:\\\"/[]?{}@b
CSeq: 1 -.!%*_+`'~aZ9
-.!%*_+`'~: тест

";
    accept("tokens", text, |m| {
        assert_eq!(m.method().as_str(), "-.!%*_+`'~aZ9");
        assert_eq!(m.to().unwrap().display_decoded(), "\"\\,<>;");
        assert_eq!(m.to().unwrap().param("p"), Some("a;b,c<d>"));
        assert_eq!(m.named("-.!%*_+`'~"), Some("тест"));
        assert_eq!(Uri::parse(m.uri()).unwrap().user, Some("-_.!~*'()&=+$,;?/"));
    });
}

#[test]
fn a_percent_is_an_escape_in_uris_only() {
    let text = format!(
        "OPTIONS sip:%62oris%40home@example.ru SIP/2.0\n{REST}\
         Contact: \"%41nna\" <sip:a%00@h>\nCon%74act: <sip:x@h>\n\n"
    );
    accept("percent", &text, |m| {
        assert_eq!(Uri::parse(m.uri()).unwrap().user_decoded(), "boris@home");
        let contact = m.contacts().next().unwrap();
        assert_eq!(contact.display_decoded(), "%41nna");
        assert_eq!(contact.parsed_uri().unwrap().user_decoded(), "a\0");
        assert_eq!((m.contacts().count(), m.named("con%74act")), (1, Some("<sip:x@h>")));
    });
}

#[test]
fn values_of_any_length_within_the_bounds() {
    let long = "long".repeat(2_000);
    let vias = "Via: SIP/2.0/TCP hop.example.ru;branch=z9hG4bKh\n".repeat(200);
    let text = format!(
        "OPTIONS sip:{long}@example.ru SIP/2.0\n{REST}{vias}X-{long}: {long}\nSubject: {long}\n\n"
    );
    accept("long", &text, |m| {
        assert_eq!(m.uri().len(), 8_000 + "sip:@example.ru".len());
        assert_eq!(m.values(Header::Via).count(), 201);
        assert_eq!(m.header(Header::Subject).map(str::len), Some(8_000));
    });
}

#[test]
fn bytes_behind_a_datagrams_body_are_nothing() {
    let text = format!("OPTIONS sip:h SIP/2.0\n{REST}l: 3\n\nabcBYE sip:h SIP/2.0\n{REST}\n");
    accept("behind", &text, |m| {
        assert_eq!((m.method().as_str(), &m.body()[..]), ("OPTIONS", &b"abc"[..]));
        assert!(m.raw().ends_with(b"abc"));
    });
    let before = format!("\n\n\nOPTIONS sip:h SIP/2.0\n{REST}\n");
    accept("before", &before, |m| assert!(m.raw().starts_with(b"OPTIONS")));
}

#[test]
fn any_transport_and_any_route_of_a_request() {
    let text = format!(
        "OPTIONS sip:h SIP/2.0\n{REST}Via: SIP/2.0/WSS x.invalid;branch=z9hG4bKw;keep\n\
         Via: SIP/2.0/QUIC [2001:db8::5]:7000;received=2001:db8::6;ttl=5\n\n"
    );
    accept("transports", &text, |m| {
        let vias: Vec<_> = m.values(Header::Via).map(|v| Via::parse(v).unwrap()).collect();
        assert_eq!(vias[1].param("keep"), Some(""));
        assert_eq!(vias[2].received_ip(), "2001:db8::6".parse().ok());
    });
}

#[test]
fn binary_and_multipart_bodies_pass_untouched() {
    let mut body = wire("--=b\nContent-Type: application/octet-stream\n\n");
    body.extend_from_slice(&[0, 255, 13, 13, 10, 10, 0x80, b'S', b'I', b'P']);
    body.extend_from_slice(b"\r\n--=b--\r\n\0\xff");
    let mut bytes = wire(&format!(
        "OPTIONS sip:h SIP/2.0\n{REST}MIME-Version: 1.0\n\
         Content-Type: multipart/mixed;boundary=\"=b\"\nContent-Length: {}\n\n",
        body.len()
    ));
    bytes.extend_from_slice(&body);
    let must = Accept(|m| {
        assert!(m.body().starts_with(b"--=b\r\n") && m.body().ends_with(b"--=b--\r\n\0\xff"));
        assert!(m.body().windows(5).any(|w| w == [0, 255, 13, 13, 10]));
        assert!(m.has_content("multipart/mixed") && Sdp::parse(&m.body()).is_none());
    });
    check("binary", bytes, &must);
}

#[test]
fn any_reason_and_none() {
    let rest = REST.replace("OPTIONS", "INVITE");
    let text = format!("SIP/2.0 299 Так: \"бывает\" %20 <ok>\n{rest}\n");
    accept("reason", &text, |m| assert_eq!(m.reason(), "Так: \"бывает\" %20 <ok>"));
    accept("no reason", &format!("SIP/2.0 180 \n{rest}\n"), |m| assert_eq!(m.reason(), ""));
    accept("no space", &format!("SIP/2.0 180\n{rest}\n"), |m| assert_eq!(m.status(), 180));
}

#[test]
fn what_only_the_application_may_refuse() {
    let text = format!(
        "OPTIONS tel:+78121234567 SIP/2.0\n{REST}Max-Forwards: 0\nRequire: teleport, timer\n\
         Date: Mon, 32 Foo 1900 25:61:61 MSK\nAccept: text/nothing\nExpires: 99999999999999\n\
         Authorization: Telepathy think=\"hard\"\nContact: <isbn:123>;expires=-1\n\
         Content-Type: application/x-riddle\nContent-Length: 1\n\n?"
    );
    accept("application", &text, |m| {
        assert_eq!(m.max_forwards(), Some(0));
        assert_eq!(m.unknown_options(Header::Require, &["timer"]), ["teleport"]);
        assert_eq!(m.number(Header::Expires), Some(u32::MAX));
        assert!(Authorization::parse(m.header(Header::Authorization).unwrap()).is_none());
    });
}

#[test]
fn a_request_of_the_old_rfc() {
    let text = "INVITE sip:boris@example.ru SIP/2.0
Via: SIP/2.0/UDP gw.example.ru
From: sip:+78121234567@gw.example.ru;user=phone
To: sip:boris@example.ru
Call-ID: old@gw
CSeq: 1 INVITE
Content-Type: application/sdp

v=0
o=gw 1 1 IN IP4 192.0.2.8
s=x
c=IN IP4 0.0.0.0
t=0 0
m=audio 4000 RTP/AVP 8
";
    accept("old", text, |m| {
        assert_eq!((m.from_tag(), m.top_via().unwrap().magic_branch()), (None, None));
        assert_eq!(m.from().unwrap().param("user"), Some("phone"));
        let body = m.body();
        let sdp = Sdp::parse(&body).unwrap();
        assert!(sdp.is_hold());
        assert_eq!(sdp.direction(), Direction::SendRecv, "held the old way");
    });
}

#[test]
fn a_cookie_with_nothing_behind_it_is_a_good_message() {
    let text = format!("OPTIONS sip:h SIP/2.0\n{}\n", REST.replace("z9hG4bKq1", "Z9HG4BK"));
    accept("cookie", &text, |m| assert_eq!(m.top_via().unwrap().magic_branch(), None));
}

#[test]
fn whose_parameter_it_is_depends_on_the_brackets() {
    let text = format!(
        "OPTIONS sip:h SIP/2.0\n{REST}Contact: sip:a@h;p=1\nContact: <sip:a@h;p=2?Route=%3Csip:r;lr%3E>\n\n"
    );
    accept("brackets", &text, |m| {
        let [bare, angled] = m.contacts().collect::<Vec<_>>()[..] else { panic!("two") };
        assert_eq!((bare.uri, bare.param("p")), ("sip:a@h", Some("1")));
        let uri = angled.parsed_uri().unwrap();
        assert_eq!((angled.param("p"), uri.param("p")), (None, Some("2")));
        assert_eq!(uri.header("route").as_deref(), Some("<sip:r;lr>"));
    });
}

#[test]
fn addresses_of_version_six() {
    let text = "INVITE sip:boris@[2001:db8::77]:5071 SIP/2.0
Via: SIP/2.0/UDP [2001:db8::a:1]:5072;branch=z9hG4bKv6;received=[2001:db8::a:2];rport=5073
Via: SIP/2.0/UDP 198.51.100.4;received=2001:db8::a:3
From: <sip:a@[::ffff:198.51.100.7]>;tag=6
To: <sip:b@[2001:db8:::198.51.100.9]>
Contact: <sip:a@[2001:db8::77:5071]>
Call-ID: six
CSeq: 6 INVITE
Content-Type: application/sdp

v=0
o=- 6 6 IN IP6 2001:db8::77
s=-
t=0 0
m=audio 5000 RTP/AVP 8
c=IN IP6 2001:db8::77
m=video 5002 RTP/AVP 99
c=IN IP4 198.51.100.7/127
";
    accept("version six", text, |m| {
        let uri = Uri::parse(m.uri()).unwrap();
        assert_eq!(uri.socket_addr(5060).unwrap().to_string(), "[2001:db8::77]:5071");
        let to = m.top_via().unwrap().response_addr().unwrap();
        assert_eq!(to.to_string(), "[2001:db8::a:2]:5073");
        let from = m.from().unwrap().parsed_uri().unwrap();
        assert_eq!(from.host_ip(), "198.51.100.7".parse().ok());
        assert!(m.to().unwrap().parsed_uri().unwrap().host_ip().is_some());
        assert_eq!(m.contacts().next().unwrap().parsed_uri().unwrap().port, None);
        let body = m.body();
        let kinds: Vec<_> = Sdp::parse(&body).unwrap().addresses().map(|a| a.0.is_ipv6()).collect();
        assert_eq!(kinds, [true, false]);
    });
}
