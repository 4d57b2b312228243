//! One proxy over one transaction layer, in virtual time; peers are flows, and everything sent is read.

mod arriving;
mod bounds;
mod calls;
mod cancelling;
mod forking;
mod forwarding;
mod in_dialog;
mod replies;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::domain::{
    CallKey, Flow, Listener, Moment, Settings, ShardId, Transport, example_settings,
};
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::{ServerTx, TransactionTimers, Transactions, TxEvent, TxOutput};

const KEY: [u8; 32] = [5; 32];
const LIMITS: ProxyLimits = ProxyLimits { contexts_max: 50, calls_max: 20 };

/// Where the peers are.
const ALICE: &str = "192.0.2.1:5060";
const BOB: &str = "192.0.2.2:5060";
const CLARA: &str = "192.0.2.3:5060";
const EVE: &str = "203.0.113.66:6666";

/// Our listeners: UDP, TCP, and UDP towards another network.
const UDP: u16 = 0;
const TCP: u16 = 1;
const INSIDE: u16 = 2;

fn settings() -> Settings {
    let listener = |transport, bind: &str, advertise: &str| Listener {
        transport,
        bind: bind.parse().expect("a literal"),
        advertise: Arc::from(advertise),
    };
    let listeners = vec![
        listener(Transport::Udp, "10.0.0.1:5060", "proxy.example.org:5060"),
        listener(Transport::Tcp, "10.0.0.1:5060", "proxy.example.org:5060"),
        listener(Transport::Udp, "172.16.0.1:5070", "172.16.0.1:5070"),
    ];
    Settings { listeners, ..example_settings() }
}

fn udp(remote: &str) -> Flow {
    let remote = remote.parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: UDP, remote, connection: 0 }
}

fn inside(remote: &str) -> Flow {
    Flow { listener: INSIDE, ..udp(remote) }
}

fn tcp(remote: &str, connection: u64) -> Flow {
    Flow { transport: Transport::Tcp, listener: TCP, connection, ..udp(remote) }
}

fn target(uri: &str, flow: Flow) -> Target {
    Target { uri: uri.to_owned(), flow, route: Vec::new(), q: 1_000, party: None }
}

fn bob() -> Target {
    target("sip:bob@192.0.2.2:5060", udp(BOB))
}

fn clara() -> Target {
    target("sip:clara@192.0.2.3:5060", udp(CLARA))
}

fn call_key(count: u32) -> CallKey {
    CallKey::new(1, ShardId(0), count)
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|e| panic!("{e:?}"))
}

/// A request of Alice's to Bob outside dialogs; `lines` each with its line end.
fn request(method: &str, branch: &str, lines: &str) -> Message {
    request_from(ALICE, method, branch, lines)
}

fn request_from(sent_by: &str, method: &str, branch: &str, lines: &str) -> Message {
    parse(&format!(
        "{method} sip:bob@example.org SIP/2.0\r\n\
         Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 20\r\n\
         From: \"Alice\" <sip:alice@example.org>;tag=a1\r\nTo: <sip:bob@example.org>\r\n\
         Call-ID: call-{branch}\r\nCSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.1:5060>\r\n\
         {lines}Content-Length: 2\r\n\r\nhi"
    ))
}

/// What somebody was sent.
#[derive(Clone, Debug)]
struct Sent {
    flow: Flow,
    message: Message,
}

impl Sent {
    /// An answer to it, from where it was sent.
    fn answer(&self, status: u16, tag: &str, lines: &[(Header, &str)]) -> (Flow, Message) {
        let reply = Builder::reply(&self.message, status, Some(tag));
        let reply = reply.copy(&self.message, Header::RecordRoute);
        let reply = lines.iter().fold(reply, |reply, (h, value)| reply.header(*h, value));
        (self.flow, Message::parse(reply.finish()).unwrap())
    }

    fn remote(&self) -> String {
        self.flow.remote.to_string()
    }

    fn all(&self, header: Header) -> Vec<String> {
        self.message.values(header).map(str::to_owned).collect()
    }
}

struct World {
    proxy: Proxy,
    txs: Transactions,
    now: Moment,
    /// What `start` is given.
    targets: Vec<Target>,
    /// Calls get keys from 1.
    with_record: bool,
    calls: u32,
    edit: fn(&mut Start),
    reach: fn(&End, &str) -> Option<Flow>,
    sent: Vec<Sent>,
    /// What was nobody's.
    left: Vec<String>,
}

impl World {
    fn new(targets: Vec<Target>) -> Self {
        let settings = settings();
        let timers = TransactionTimers::default();
        Self {
            txs: Transactions::new(&timers, 1_000, settings.listeners.clone(), [9; 32]),
            proxy: Proxy::new(Arc::new(settings), KEY, LIMITS),
            now: Moment::from_millis(1_000),
            targets,
            with_record: false,
            calls: 0,
            edit: |_| {},
            reach: |end, next_hop| Some(same_host(end, next_hop)),
            sent: Vec::new(),
            left: Vec::new(),
        }
    }

    fn recorded(targets: Vec<Target>) -> Self {
        Self { with_record: true, ..Self::new(targets) }
    }

    /// The process dies and comes back with the same key.
    fn restart(&mut self) {
        let timers = TransactionTimers::default();
        self.txs = Transactions::new(&timers, 1_000, settings().listeners, [10; 32]);
        self.proxy = Proxy::new(Arc::new(settings()), KEY, LIMITS);
    }

    fn receive(&mut self, flow: Flow, message: &Message) {
        self.txs.receive(self.now, message.clone(), flow);
        self.drain();
    }

    fn give(&mut self, (flow, message): (Flow, Message)) {
        self.receive(flow, &message);
    }

    fn drain(&mut self) {
        while let Some(output) = self.txs.poll() {
            match output {
                TxOutput::Send { flow, bytes } => {
                    let message = Message::parse(bytes).expect("we write messages");
                    self.sent.push(Sent { flow, message });
                }
                TxOutput::Event(TxEvent::Request { tx, request, flow }) => {
                    self.dispatch(tx, &request, flow);
                }
                TxOutput::Event(event) => {
                    let World { proxy, txs, now, reach, .. } = self;
                    if !proxy.on_tx_event(*now, &event, reach, txs) {
                        self.left.push(format!("{event:?}"));
                    }
                }
            }
        }
    }

    fn dispatch(&mut self, tx: ServerTx, request: &Message, flow: Flow) {
        match self.proxy.arrive(request, flow) {
            Arrival::Along(passage) => {
                let World { proxy, txs, now, reach, .. } = self;
                proxy.follow(*now, tx, passage, reach, txs);
            }
            Arrival::Open(passage) => {
                let mut start = Start::new(tx, passage, self.targets.clone());
                if self.with_record && *request.method() == Method::Invite {
                    self.calls += 1;
                    start.call = Some(call_key(self.calls));
                }
                (self.edit)(&mut start);
                self.proxy.start(self.now, start, &mut self.txs);
            }
            Arrival::Refused(Answer { status, bytes }) => {
                self.txs.respond(self.now, tx, status, bytes);
            }
        }
    }

    /// Lets time pass, each timer at its moment.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let next = self.txs.poll_timeout().min(self.proxy.poll_timeout());
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            self.txs.handle_timeout(self.now);
            self.drain();
            self.proxy.handle_timeout(self.now, &mut self.txs);
            self.drain();
        }
        self.now = until;
    }

    fn hang_up(&mut self, count: u32) -> bool {
        let World { proxy, txs, now, reach, .. } = self;
        let done = proxy.hang_up(*now, call_key(count), reach, txs);
        self.drain();
        done
    }

    /// Takes everything that was sent.
    fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// Takes everything and gives the only message to `remote`.
    fn only(&mut self, remote: &str) -> Sent {
        let all = self.take();
        let mut to: Vec<_> = all.iter().filter(|s| s.remote() == remote).collect();
        assert_eq!(to.len(), 1, "to {remote}: {all:?}");
        to.remove(0).clone()
    }

    /// Takes everything as `METHOD remote` and `status remote`.
    fn lines(&mut self) -> Vec<String> {
        let words = |s: &Sent| match s.message.is_request() {
            true => format!("{} {}", s.message.method(), s.remote()),
            false => format!("{} {}", s.message.status(), s.remote()),
        };
        self.take().iter().map(words).collect()
    }

    fn events(&mut self) -> Vec<ProxyEvent> {
        std::iter::from_fn(|| self.proxy.poll_event()).collect()
    }

    /// Everything ends by itself; hangs up what was answered.
    fn assert_drains(&mut self) {
        self.pass(Duration::from_secs(600));
        for call in 1..=self.calls {
            self.hang_up(call);
        }
        self.pass(Duration::from_secs(600));
        self.events();
        assert!(self.proxy.is_empty(), "{} contexts", self.proxy.len());
        assert!(self.txs.is_empty(), "{:?}", self.txs.counts());
    }
}

/// Sends an INVITE of Alice's on to Bob and gives what Bob got.
fn invite(world: &mut World, branch: &str) -> Sent {
    world.receive(udp(ALICE), &request("INVITE", branch, ""));
    world.only(BOB)
}

/// Alice and Bob are joined; gives Bob's INVITE and the 200 as Alice got it.
fn joined(world: &mut World, branch: &str) -> (Sent, Sent) {
    let at_bob = invite(world, branch);
    let contact = [(Header::Contact, "<sip:bob@192.0.2.2:5060>")];
    world.give(at_bob.answer(200, "b1", &contact));
    let at_alice = world.only(ALICE);
    (at_bob, at_alice)
}

/// A request within the dialog that `answer`, a 2xx to Alice, made: from Alice if `from_alice`.
fn in_dialog(answer: &Sent, from_alice: bool, method: &str, branch: &str, cseq: u32) -> Message {
    let mut routes = answer.all(Header::RecordRoute);
    if from_alice {
        routes.reverse();
    }
    in_dialog_by(answer, from_alice, &routes, (method, branch, cseq))
}

fn in_dialog_by(
    answer: &Sent,
    from_alice: bool,
    routes: &[String],
    (method, branch, cseq): (&str, &str, u32),
) -> Message {
    let (from, to) = (answer.message.header(Header::From), answer.message.header(Header::To));
    let (uri, sent_by, from, to) = match from_alice {
        true => ("sip:bob@192.0.2.2:5060", ALICE, from, to),
        false => ("sip:alice@192.0.2.1:5060", BOB, to, from),
    };
    let routes: String = routes.iter().map(|r| format!("Route: {r}\r\n")).collect();
    parse(&format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         {routes}Content-Length: 0\r\n\r\n",
        from.unwrap(),
        to.unwrap(),
        answer.message.call_id(),
    ))
}
