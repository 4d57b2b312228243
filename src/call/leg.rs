//! A leg: one confirmed dialog of a call, with everything that is needed to speak in it.
//!
//! A leg stores which *binding* it belongs to, not only a socket: every send asks which flow serves
//! the binding now, so that a phone which registers again over another connection keeps its call.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::dialog::{AcceptedUas, AckStore, Dialog, Probe, Snapshot};
use crate::domain::{AgentId, Flow, Moment, PersonId, Settings, Transport};
use crate::registrar::Location;
use crate::sip::{Builder, Header, Message, Method, Uri, sdp::Sdp};
use crate::transaction::TransactionTimers;

use super::Mint;

/// RFC 3261's base values, as set.
pub fn sip_timers(settings: &Settings) -> TransactionTimers {
    let t = &settings.timers;
    TransactionTimers { t1: t.t1, t2: t.t2, t4: t.t4 }
}

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// The media type of a session description.
pub const SDP: &str = "application/sdp";

/// Our origin line towards one leg: one session id for the leg's life, version + 1 exactly when the
/// body changes (RFC 3264 §8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    session: u64,
    version: u64,
    #[serde(with = "text")]
    last: Vec<u8>,
}

/// Bytes that are nearly always text, in the journal: text, or a list of numbers.
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => to.serialize_str(text),
            Err(_) => bytes.serialize(to),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Text(text) => text.into_bytes(),
            Written::Bytes(bytes) => bytes,
        })
    }
}

impl Origin {
    /// For a new leg.
    pub fn new(mint: &mut Mint) -> Self {
        Self { session: mint.session(), version: 0, last: Vec::new() }
    }

    /// `body` as this leg gets to see it. Anything but a session description passes untouched.
    pub fn outgoing(&mut self, content_type: Option<&str>, body: &Bytes) -> Bytes {
        if !content_type.is_some_and(is_sdp) {
            return body.clone();
        }
        let Some(sdp) = Sdp::parse(body) else { return body.clone() };
        let plain = sdp.with_origin(self.session, 0);
        if plain != self.last {
            self.version += 1;
            self.last = plain;
        }
        Bytes::from(sdp.with_origin(self.session, self.version))
    }
}

/// The content type is `application/sdp`, whatever its parameters.
pub fn is_sdp(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(SDP))
}

/// The binding behind a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRef {
    /// User part of the address of record.
    pub aor: Arc<str>,
    /// The binding's key.
    pub key: Arc<str>,
    /// Which registration of it rang.
    #[serde(default)]
    pub epoch: u64,
}

/// What is known of a phone whose connection closed during a call (`flow_grace`).
#[derive(Debug)]
pub struct FlowLost {
    /// It must have registered again by then.
    pub by: Moment,
    /// Its owner's other bindings at that time; they are other phones.
    pub beside: Vec<Arc<str>>,
}

/// One confirmed dialog.
#[derive(Debug)]
pub struct Leg {
    /// Its dialog.
    pub dialog: Dialog,
    /// Where its last message came from.
    pub flow: Flow,
    /// Whose phone it is; absent for a trunk's leg.
    pub binding: Option<BindingRef>,
    /// What we say of ourselves in its SDP.
    pub origin: Origin,
    /// Finds out that the other end is dead.
    pub probe: Probe,
    /// Our 2xx that waits for its ACK.
    pub accepted: Option<AcceptedUas>,
    /// Our ACKs, for a 2xx that comes again.
    pub acks: AckStore,
    /// The connection of its phone closed.
    pub flow_lost: Option<FlowLost>,
    /// Our CSeq that the journal knows.
    pub journalled_seq: u32,
}

/// A leg in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegSnapshot {
    dialog: Snapshot,
    flow: Flow,
    binding: Option<BindingRef>,
    origin: Origin,
    /// Whose leg it is, if one of our people's.
    pub person: Option<PersonId>,
    /// The agent was given by a queue (and is released into wrap-up when the call ends).
    pub distributed: bool,
}

impl Leg {
    /// A leg whose dialog has just been confirmed or accepted.
    pub fn new(
        dialog: Dialog,
        flow: Flow,
        binding: Option<BindingRef>,
        origin: Origin,
        now: Moment,
        settings: &Settings,
    ) -> Self {
        let probe = Probe::new(now, settings.timers.probe_every);
        let acks = AckStore::new(&sip_timers(settings));
        let (accepted, flow_lost, journalled_seq) = (None, None, dialog.local_seq);
        Self { dialog, flow, binding, origin, probe, accepted, acks, flow_lost, journalled_seq }
    }

    /// Where to send now: the binding's flow of the moment for a phone; for a trunk its route set's
    /// or remote target's numeric address over the same listener, else where it last spoke from.
    pub fn next_flow(&self, location: &Location) -> Flow {
        if let Some(binding) = &self.binding {
            let now = location.bindings(&binding.aor).into_iter().find(|b| b.key == binding.key);
            return now.map_or(self.flow, |b| b.flow);
        }
        flow_towards(self.dialog.next_hop(), self.flow)
    }

    /// The connection closed: notes whom it is waited for.
    pub fn lose_flow(&mut self, by: Moment, location: &Location) {
        let Some(binding) = &self.binding else { return };
        let beside = location.bindings(&binding.aor);
        let beside = beside.iter().map(|b| b.key.clone()).filter(|key| *key != binding.key);
        self.flow_lost = Some(FlowLost { by, beside: beside.collect() });
    }

    /// Something was registered for the phone's owner. `true`: the phone is back, and the dialog goes
    /// over its connection. It is known by its key; without an instance that is the old connection's
    /// address, so that it is who registered from the same host since then, if nobody else did.
    pub fn find_flow(&mut self, location: &Location) -> bool {
        let (Some(binding), Some(lost)) = (&self.binding, &self.flow_lost) else { return false };
        let now = location.bindings(&binding.aor);
        let same_key = now.iter().find(|b| b.key == binding.key);
        let mut others = now.iter().filter(|b| {
            !lost.beside.contains(&b.key)
                && b.instance.is_none()
                && b.flow.transport == self.flow.transport
                && b.flow.remote.ip() == self.flow.remote.ip()
        });
        let only = others.next().filter(|_| others.next().is_none());
        let Some(back) = same_key.or(only).filter(|b| b.flow != self.flow) else { return false };
        self.flow = back.flow;
        let (aor, key) = (back.aor.clone(), back.key.clone());
        self.binding = Some(BindingRef { aor, key, epoch: back.epoch });
        self.flow_lost = None;
        true
    }

    /// A request within the dialog, without Via.
    pub fn request(&mut self, method: &Method) -> Builder {
        self.dialog.request(method)
    }

    /// The body as this leg may see it, with its content type.
    pub fn relay_body(&mut self, from: &Message, builder: Builder) -> Builder {
        let body = from.body();
        if body.is_empty() {
            return builder;
        }
        let content_type = from.content_type().unwrap_or("application/octet-stream");
        let out = self.origin.outgoing(Some(content_type), &body);
        let builder = builder.copy(from, Header::ContentDisposition);
        builder.copy(from, Header::ContentEncoding).body(content_type, &out)
    }

    /// Our 2xx to the INVITE numbered `cseq` was sent for the first time.
    pub fn accept(&mut self, env: &super::Env<'_>, cseq: u32, bytes: Bytes, flow: Flow) {
        let timers = sip_timers(env.settings);
        self.accepted = Some(AcceptedUas::start(env.now, cseq, bytes, flow, &timers));
    }

    /// For the journal.
    pub fn snapshot(&self, person: Option<PersonId>, distributed: bool) -> LegSnapshot {
        LegSnapshot {
            dialog: self.dialog.snapshot(),
            flow: self.flow,
            binding: self.binding.clone(),
            origin: self.origin.clone(),
            person,
            distributed,
        }
    }

    /// From the journal, after a restart. A stream is gone: the connection is made anew.
    pub fn restore(from: LegSnapshot, now: Moment, settings: &Settings) -> Self {
        let flow = Flow { connection: 0, ..from.flow };
        let dialog = Dialog::restore(from.dialog);
        Self::new(dialog, flow, from.binding, from.origin, now, settings)
    }
}

/// The flow towards a URI, over the listener of `known`: its numeric address if it has one.
pub fn flow_towards(uri: &str, known: Flow) -> Flow {
    let Ok(parsed) = Uri::parse(uri) else { return known };
    let transport = match parsed.param("transport") {
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(_) => Transport::Udp,
        None => known.transport,
    };
    match parsed.socket_addr(5060) {
        Some(remote) if transport == known.transport && remote != known.remote => {
            Flow { remote, connection: 0, ..known }
        }
        _ => known,
    }
}

impl LegSnapshot {
    /// Its Call-ID.
    pub fn call_id(&self) -> &str {
        &self.dialog.call_id
    }
}

/// Whose leg this is, for the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The person.
    pub agent: AgentId,
    /// The board's token if a queue gave them, otherwise they are only marked as occupied.
    pub token: Option<crate::acd::Token>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_text_in_the_journal_and_lists_of_bytes_are_read_too() {
        let origin = |last: &[u8]| Origin { session: 7, version: 2, last: last.to_vec() };
        let json = |origin: &Origin| serde_json::to_string(origin).expect("plain data");
        let text = origin("v=0\r\ns=Bäcker\r\n".as_bytes());
        assert!(json(&text).contains(r#""last":"v=0\r\ns=Bäcker\r\n""#), "{}", json(&text));
        let latin1 = origin(b"v=0\r\ns=B\xe4cker\r\n");
        for origin in [&text, &latin1] {
            assert_eq!(serde_json::from_str::<Origin>(&json(origin)).ok().as_ref(), Some(origin));
        }
        let older = r#"{"session":7,"version":2,"last":[118,61,48]}"#;
        assert_eq!(serde_json::from_str::<Origin>(older).ok(), Some(origin(b"v=0")));
    }
}
