//! One switch's transactions in virtual time, with whoever is at the other end played by the test.

mod cancel;
mod client;
mod matching;
mod property;
mod server;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{ClientTx, ServerTx, TxEvent, TxOutput};
use super::{Counts, Full, TransactionTimers, Transactions};
use crate::domain::{Flow, Listener, Moment, Transport};
use crate::sip::{Builder, Header, Message, Method};

/// The peer, by datagram.
fn udp() -> Flow {
    let remote = "192.0.2.7:5062".parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}

/// The peer, over a connection.
fn tcp() -> Flow {
    Flow { transport: Transport::Tcp, listener: 1, connection: 9, ..udp() }
}

fn listener(transport: Transport) -> Listener {
    let bind = "198.51.100.1:5060".parse().expect("a literal");
    Listener { transport, bind, advertise: Arc::from("pbx.example:5060") }
}

fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(Bytes::from(text)).expect("the test's own message")
}

/// A request of a stranger's.
fn request(method: &str, branch: &str) -> Message {
    request_via(method, &format!("SIP/2.0/UDP 192.0.2.7:5062;branch={branch};rport"))
}

fn request_via(method: &str, via: &str) -> Message {
    message(&format!(
        "{method} sip:100@pbx.example SIP/2.0\nVia: {via}\nFrom: <sip:a@h>;tag=f1\n\
         To: <sip:100@pbx.example>\nCall-ID: c1\nCSeq: 7 {method}\nMax-Forwards: 70\n\
         Contact: <sip:a@192.0.2.7:5062>\nContent-Length: 0\n\n"
    ))
}

/// The same request with another header value.
fn with(request: &Message, header: Header, value: &str) -> Message {
    let bytes = Builder::forward(request).set(header, value).finish();
    Message::parse(bytes).expect("the test's own message")
}

/// A draft of ours.
fn draft(method: &Method) -> Builder {
    Builder::request(method, "sip:anna@192.0.2.7:5062;ob")
        .header(Header::MaxForwards, 69)
        .header(Header::Route, "<sip:edge.example;lr>")
        .header(Header::From, "<sip:pbx@pbx.example>;tag=ours")
        .header(Header::To, "<sip:anna@pbx.example>")
        .header(Header::CallId, "our-call")
        .header(Header::CSeq, format_args!("3 {method}"))
        .header(Header::Contact, "<sip:pbx.example>")
}

/// The peer's answer to a request of ours.
fn answer(request: &Message, status: u16, tag: &str) -> Message {
    Message::parse(Builder::reply(request, status, Some(tag)).finish()).expect("a reply")
}

/// The layer, its clock, and everything that came out of it.
struct World {
    now: Moment,
    layer: Transactions,
    /// When, where to, what.
    sent: Vec<(u64, Flow, Message)>,
    events: Vec<(u64, TxEvent)>,
}

impl World {
    fn new() -> Self {
        Self::with_limit(1_000)
    }

    fn with_limit(limit: u32) -> Self {
        let listeners = vec![listener(Transport::Udp), listener(Transport::Tcp)];
        let timers = TransactionTimers::default();
        Self {
            now: Moment::from_millis(1_000_000),
            layer: Transactions::new(&timers, limit, listeners, [7; 32]),
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Milliseconds since the test began.
    fn millis(&self) -> u64 {
        self.now.micros() / 1_000 - 1_000_000
    }

    fn drain(&mut self) {
        let at = self.millis();
        while let Some(output) = self.layer.poll() {
            match output {
                TxOutput::Send { flow, bytes } => {
                    let message = Message::parse(bytes).expect("what we send is SIP");
                    assert!(message.judge().is_ok(), "what we send is valid: {:?}", message.raw());
                    self.sent.push((at, flow, message));
                }
                TxOutput::Event(event) => self.events.push((at, event)),
            }
        }
    }

    /// Lets time pass, every timer firing at its own instant.
    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.layer.poll_timeout() <= end {
            self.now = self.layer.poll_timeout();
            self.layer.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn receive(&mut self, message: &Message, flow: Flow) {
        self.layer.receive(self.now, message.clone(), flow);
        self.drain();
    }

    fn send(&mut self, method: &Method, flow: Flow) -> ClientTx {
        let tx = self.try_send(method, flow).expect("room for it");
        self.drain();
        tx
    }

    fn try_send(&mut self, method: &Method, flow: Flow) -> Result<ClientTx, Full> {
        self.layer.request(self.now, draft(method), method.clone(), flow)
    }

    fn respond(&mut self, tx: ServerTx, status: u16) {
        let request = self.request_of(tx);
        let bytes = Builder::reply(&request, status, Some("t1")).finish();
        self.layer.respond(self.now, tx, status, bytes);
        self.drain();
    }

    fn respond_once(&mut self, tx: ServerTx, status: u16) {
        let request = self.request_of(tx);
        let tag = self.layer.stateless_tag(&request);
        let bytes = Builder::reply(&request, status, Some(&tag)).finish();
        self.layer.respond_once(self.now, tx, status, bytes);
        self.drain();
    }

    fn cancel(&mut self, tx: ClientTx) {
        self.layer.cancel(self.now, tx, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
        self.drain();
    }

    fn fail(&mut self, flow: Flow) {
        self.layer.transport_failed(self.now, flow);
        self.drain();
    }

    /// A request of a stranger's arrives and is handed up.
    fn arrive(&mut self, method: &str, flow: Flow) -> ServerTx {
        self.receive(&request(method, "z9hG4bK-1"), flow);
        self.newest()
    }

    fn newest(&self) -> ServerTx {
        let of = |event: &TxEvent| match event {
            TxEvent::Request { tx, .. } => Some(*tx),
            _ => None,
        };
        self.events.iter().rev().find_map(|(_, event)| of(event)).expect("a request came")
    }

    fn request_of(&self, wanted: ServerTx) -> Message {
        let of = |event: &TxEvent| match event {
            TxEvent::Request { tx, request, .. } if *tx == wanted => Some(request.clone()),
            _ => None,
        };
        self.events.iter().find_map(|(_, event)| of(event)).expect("its event came")
    }

    /// What went out: `time method` or `time status method`.
    fn sent(&self) -> Vec<String> {
        self.sent.iter().map(|(at, _, message)| format!("{at} {}", line(message))).collect()
    }

    fn last(&self) -> Message {
        self.sent.last().map(|(_, _, message)| message.clone()).expect("something was sent")
    }

    /// What the transaction user heard, in the same form.
    fn heard(&self) -> Vec<String> {
        self.events.iter().map(|(at, event)| format!("{at} {}", word(event))).collect()
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
    }

    /// Long after: nothing is left.
    fn ends_empty(&mut self) {
        self.pass(700_000);
        assert!(self.layer.is_empty(), "{:?}", self.layer.counts());
        assert_eq!(self.layer.counts(), Counts::default());
        assert_eq!(self.layer.poll_timeout(), Moment::NEVER);
    }
}

fn line(message: &Message) -> String {
    match message.is_request() {
        true => message.method().to_string(),
        false => format!("{} {}", message.status(), message.method()),
    }
}

fn word(event: &TxEvent) -> String {
    match event {
        TxEvent::Request { request, .. } => line(request),
        TxEvent::Cancelled { .. } => "cancelled".to_owned(),
        TxEvent::Ack { .. } => "ACK".to_owned(),
        TxEvent::Confirmed { .. } => "confirmed".to_owned(),
        TxEvent::Response { response, .. } => line(response),
        TxEvent::Timeout { .. } => "timeout".to_owned(),
        TxEvent::TransportFailed { .. } => "transport failed".to_owned(),
        TxEvent::ReplyFailed { .. } => "reply failed".to_owned(),
        TxEvent::NoAck { .. } => "no ACK".to_owned(),
        TxEvent::Stray { response, .. } => format!("stray {}", line(response)),
    }
}

/// `[500, 1500]` and `"INVITE"` as [`World::sent`] writes it.
fn at(times: &[u64], what: &str) -> Vec<String> {
    times.iter().map(|time| format!("{time} {what}")).collect()
}
