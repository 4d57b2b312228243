//! Both sides of a dialog played against each other, and the parts in virtual time.

mod parts;
mod state;

use bytes::Bytes;

use super::Opening;
use crate::domain::{Flow, Transport};
use crate::sip::{Builder, Header, Message, Method};

fn parse(bytes: Bytes) -> Message {
    let message = Message::parse(bytes).expect("the test's own message");
    assert!(message.judge().is_ok(), "{:?}: {:?}", message.judge(), message.raw());
    message
}

/// What the transport would deliver of a draft: with a Via.
fn delivered(draft: Builder) -> Message {
    parse(draft.top(Header::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1").finish())
}

/// Anna calls Boris.
fn opening() -> Opening {
    Opening {
        call_id: "call-1".to_owned(),
        local_tag: "anna-tag".to_owned(),
        local: "\"Anna, B.\" <sip:anna@example.com>".to_owned(),
        remote: "<sip:boris@example.com>".to_owned(),
        uri: "sip:boris@192.0.2.20:5070".to_owned(),
        contact: "<sip:anna@192.0.2.10>".to_owned(),
        route: vec!["<sip:edge.example.com;lr>".to_owned()],
        cseq: 41,
    }
}

/// The INVITE as Boris gets it, by the way of these proxies (nearest to Anna first).
fn invite_by(proxies: &[&str]) -> Message {
    let invite = delivered(opening().request(&Method::Invite));
    let draft = proxies
        .iter()
        .fold(Builder::forward(&invite), |draft, proxy| draft.top(Header::RecordRoute, proxy));
    parse(draft.remove(Header::Route).finish())
}

fn udp() -> Flow {
    let remote = "192.0.2.20:5070".parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}
