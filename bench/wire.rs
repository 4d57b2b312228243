//! What a message costs: read, judged, answered, sent on, hashed, recorded.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use telefonist::domain::{CallKey, Flow, Moment, ShardId, Transport};
use telefonist::sip::digest::{self, Algorithm, Qop, Question};
use telefonist::sip::sdp::Sdp;
use telefonist::sip::{Builder, Framer, Header, Message, Method};
use telefonist::switch::{Event, Input, Kept, Ring, RingLimits, Stamp, What};

/// A usual INVITE of a softphone behind a proxy, some 1,100 bytes.
fn invite() -> Bytes {
    let body = "v=0\r\no=- 3860 3860 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                m=audio 49170 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";
    let head = "INVITE sip:ivan.petrov@192.0.2.1:5060;transport=udp SIP/2.0\r\n\
                Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK-524287-1---a7f0c2;rport\r\n\
                Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK77aa;received=192.0.2.10;rport=5062\r\n\
                Max-Forwards: 69\r\n\
                Record-Route: <sip:192.0.2.20:5060;lr;ftag=9fxced76sl>\r\n\
                Contact: <sip:anna@192.0.2.10:5062;ob>\r\n\
                To: <sip:ivan.petrov@example.ru>\r\n\
                From: \"Anna Smirnova\" <sip:+78121234567@example.ru;user=phone>;tag=9fxced76sl\r\n\
                Call-ID: 3848276298220188511@192.0.2.10\r\n\
                CSeq: 21 INVITE\r\n\
                Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
                Supported: replaces, norefersub, extended-refer, timer, outbound, path\r\n\
                User-Agent: Softphone 5.1 rev 207002\r\n\
                P-Asserted-Identity: <sip:+78121234567@example.ru>\r\n\
                Content-Type: application/sdp\r\n";
    Bytes::from(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn read(c: &mut Criterion) {
    let raw = invite();
    let message = Message::parse(raw.clone()).expect("a good message");
    assert_eq!(message.judge(), Ok(()));
    c.bench_function("parse an INVITE", |b| b.iter(|| Message::parse(black_box(raw.clone()))));
    c.bench_function("parse and judge an INVITE", |b| {
        b.iter(|| Message::parse(black_box(raw.clone())).map(|message| message.judge()))
    });
    c.bench_function("read what routing asks", |b| {
        b.iter(|| {
            let m = black_box(&message);
            (m.from_tag().map(str::len), m.top_via().map(|v| v.port), m.call_id().len(), m.cseq())
                .0
                .is_some()
        })
    });
    c.bench_function("frame two messages", |b| {
        let twice = Bytes::from([&raw[..], &raw[..]].concat());
        b.iter(|| {
            let mut framer = Framer::new();
            framer.push(black_box(twice.clone()));
            (framer.next().is_some(), framer.next().is_some())
        })
    });
}

fn write(c: &mut Criterion) {
    let message = Message::parse(invite()).expect("a good message");
    c.bench_function("build a 180", |b| {
        b.iter(|| Builder::reply(black_box(&message), 180, Some("8f3a")).finish())
    });
    c.bench_function("forward an INVITE", |b| {
        b.iter(|| {
            Builder::forward(black_box(&message))
                .request_uri("sip:ivan@192.0.2.77:5060")
                .set(Header::MaxForwards, 68)
                .top(Header::RecordRoute, "<sip:192.0.2.1:5060;lr>")
                .top(Header::Via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0123456789;rport")
                .finish()
        })
    });
    let source = "192.0.2.20:5060".parse().expect("an address");
    c.bench_function("fill in the source", |b| {
        b.iter(|| black_box(&message).received_from(source))
    });
}

fn compute(c: &mut Criterion) {
    let question = Question {
        nonce: "84f1c1ae6cbe5ua9c8e88dfa3ecm3459",
        qop: Some(Qop::Auth),
        nc: "00000001",
        cnonce: "0a4f113b",
        method: &Method::Register,
        uri: "sip:example.ru",
        body: b"",
    };
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let ha1 = digest::ha1(algorithm, "anna", "example.ru", "secret");
        c.bench_function(&format!("digest {}", algorithm.as_str()), |b| {
            b.iter(|| digest::response(algorithm, black_box(&ha1), &question))
        });
    }
    let body = Message::parse(invite()).expect("a good message").body();
    c.bench_function("rewrite an SDP origin", |b| {
        b.iter(|| Sdp::parse(black_box(&body)).map(|s| s.with_origin(7, 2)))
    });
}

/// About what one answered call is to its worker: 14 messages each way, as many turns, 12 lines of journal.
fn record(c: &mut Criterion) {
    let raw = invite();
    let remote = "192.0.2.20:5060".parse().expect("an address");
    let flow = Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 };
    let message = Message::parse(raw.clone()).expect("a good message");
    let limits = RingLimits { bytes_max: 8 << 20, age_max: Duration::from_secs(600) };
    let mut ring = Ring::new(limits);
    let mut now = 0;
    c.bench_function("record what a call is fed", |b| {
        b.iter(|| {
            now += 1_000;
            let at = Moment::from_micros(now);
            let stamp = Stamp { at, order: now };
            if ring.wants_mark(at) {
                ring.keep(stamp, Kept::Mark([].into()));
            }
            for n in 0..14 {
                let packet =
                    Input::Packet { flow, message: black_box(&message).clone(), received: at };
                ring.keep(stamp, Kept::of(&Input::Wake));
                ring.keep(stamp, Kept::of(&packet));
                ring.keep(stamp, Kept::Sent { flow, bytes: black_box(&raw).clone() });
                if n < 12 {
                    let (call, offer) = (CallKey::new(1, ShardId(0), n), 1);
                    let event =
                        Event { at: Timestamp::UNIX_EPOCH, what: What::Ringing { call, offer } };
                    ring.keep(stamp, Kept::Event(Arc::new(event)));
                }
                while ring.fallen(at).is_some() {}
            }
        })
    });
}

criterion_group!(benches, read, write, compute, record);
criterion_main!(benches);
