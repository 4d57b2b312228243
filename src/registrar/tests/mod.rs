//! What the room's tests share: one registrar, its table, and phones that register.

mod authentication;
mod bounds;
mod lifetime;
mod registration;

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Binding, Change, Location, Presented, Registrar, Why};
use crate::domain::{Flow, Settings, Transport, example_settings};
use crate::sip::{Header, Message};

/// A UDP binding that ends one hour after 1970 began.
pub(super) fn binding(aor: &str, contact: &str) -> Binding {
    Binding {
        aor: Arc::from(aor),
        key: Arc::from(contact),
        contact: Arc::from(contact),
        flow: udp("10.0.0.5:5060"),
        path: Vec::new(),
        q: super::Q_MAX,
        expires: Timestamp::from_second(3_600).expect("near"),
        instance: None,
        reg_id: None,
        user_agent: None,
        call_id: Arc::from("call-1"),
        cseq: 1,
        epoch: 1,
    }
}

/// A datagram flow over the first listener.
pub(super) fn udp(remote: &str) -> Flow {
    let remote = remote.parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}

/// A connection over the second listener.
fn tcp(remote: &str, connection: u64) -> Flow {
    Flow { transport: Transport::Tcp, listener: 1, connection, ..udp(remote) }
}

/// A REGISTER of one phone; CSeq goes up by itself.
struct Phone {
    user: &'static str,
    call_id: &'static str,
    flow: Flow,
    cseq: u32,
}

impl Phone {
    fn new(user: &'static str, call_id: &'static str) -> Self {
        Self { user, call_id, flow: udp("10.0.0.5:5060"), cseq: 0 }
    }

    fn over(self, flow: Flow) -> Self {
        Self { flow, ..self }
    }

    /// `lines`: Contact and whatever else, each with its line end.
    fn request(&mut self, lines: &str) -> Message {
        self.cseq += 1;
        let Phone { user, call_id, cseq, .. } = self;
        parse(&format!(
            "REGISTER sip:example.org SIP/2.0\r\n\
             Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK{call_id}{cseq}\r\n\
             From: <sip:{user}@example.org>;tag=f\r\n\
             To: <sip:{user}@example.org>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{lines}\r\n"
        ))
    }
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a message")
}

/// A registrar with its table and a wall clock that the test moves.
struct World {
    registrar: Registrar,
    location: Location,
    settings: Settings,
    wall: Timestamp,
    changes: Vec<Change>,
}

impl World {
    fn new() -> Self {
        Self {
            registrar: Registrar::new(),
            location: Location::new(),
            settings: example_settings(),
            wall: "2026-03-02T08:00:00Z".parse().expect("a literal"),
            changes: Vec::new(),
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.wall += SignedDuration::from_secs(seconds);
        self.changes.extend(self.registrar.expire(self.wall, &self.location));
    }

    fn present(&mut self, request: &Message, flow: Flow, user: &str) -> Message {
        let presented = Presented { request, flow, user, tag: "t1" };
        let done = self.registrar.handle(self.wall, &presented, &self.location, &self.settings);
        self.changes.extend(done.changes);
        Message::parse(done.reply.finish()).expect("we write messages")
    }

    fn register(&mut self, phone: &mut Phone, lines: &str) -> Message {
        let request = phone.request(lines);
        self.present(&request, phone.flow, phone.user)
    }

    /// Registers and expects 200.
    fn bind(&mut self, phone: &mut Phone, lines: &str) -> Message {
        let reply = self.register(phone, lines);
        assert_eq!(reply.status(), 200, "{}", reply.reason());
        reply
    }

    fn contacts(&self, user: &str) -> Vec<String> {
        self.location.bindings(user).iter().map(|b| b.contact.to_string()).collect()
    }

    /// Takes the changes so far: `+contact` or `-contact why`.
    fn told(&mut self) -> Vec<String> {
        let words = |change| match change {
            Change::Bound(b) => format!("+{}", b.contact),
            Change::Unbound { binding, why } => format!("-{} {why}", binding.contact),
        };
        std::mem::take(&mut self.changes).into_iter().map(words).collect()
    }
}

fn told_contacts(reply: &Message) -> Vec<String> {
    reply.values(Header::Contact).map(str::to_owned).collect()
}
