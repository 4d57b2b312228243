//! Whatever comes in whatever order: no panic, bounds kept, and nothing left in the end.

use proptest::prelude::*;

use super::super::timers::{SETTINGS_PER_TRANSACTION_MAX, SWEEP_FROM};
use super::*;

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    Request { method: usize, branch: u8, call: u8, tagged: bool, old: bool, stream: bool },
    Ack { branch: u8, tag: u8 },
    Reply { nth: usize, status: u16, tag: u8, stream: bool },
    Send { method: usize, stream: bool, mark: bool },
    Respond { nth: usize, status: u16 },
    Cancel { nth: usize },
    Fail { stream: bool },
    Garbage(Vec<u8>),
}

const METHODS: [&str; 6] = ["INVITE", "CANCEL", "BYE", "OPTIONS", "REGISTER", "STRANGE"];

fn act() -> impl Strategy<Value = Act> {
    let status =
        prop_oneof![Just(100_u16), Just(180), Just(200), Just(401), Just(486), 90..720_u16];
    prop_oneof![
        3 => prop_oneof![0..700_u64, 0..40_000_u64].prop_map(Act::Pass),
        4 => (0..METHODS.len(), 0..3_u8, 0..2_u8, any::<[bool; 3]>()).prop_map(
            |(method, branch, call, [tagged, old, stream])| {
                Act::Request { method, branch, call, tagged, old, stream }
            }
        ),
        2 => (0..3_u8, 0..2_u8).prop_map(|(branch, tag)| Act::Ack { branch, tag }),
        4 => (any::<usize>(), status.clone(), 0..2_u8, any::<bool>())
            .prop_map(|(nth, status, tag, stream)| Act::Reply { nth, status, tag, stream }),
        3 => (0..METHODS.len(), any::<bool>(), any::<bool>())
            .prop_map(|(method, stream, mark)| Act::Send { method, stream, mark }),
        4 => (any::<usize>(), status).prop_map(|(nth, status)| Act::Respond { nth, status }),
        2 => any::<usize>().prop_map(|nth| Act::Cancel { nth }),
        1 => any::<bool>().prop_map(|stream| Act::Fail { stream }),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Act::Garbage),
    ]
}

fn flow(stream: bool) -> Flow {
    if stream { tcp() } else { udp() }
}

/// The world, and what it ever named.
struct Chaos {
    world: World,
    clients: Vec<ClientTx>,
    requests_sent: Vec<Message>,
    requests_got: Vec<(ServerTx, Message)>,
}

impl Chaos {
    fn act(&mut self, act: Act) {
        match act {
            Act::Pass(millis) => self.world.pass(millis),
            Act::Request { method, branch, call, tagged, old, stream } => {
                let cookie = if old { "" } else { "z9hG4bK" };
                let via = format!("SIP/2.0/UDP 192.0.2.7:5062;branch={cookie}{branch}");
                let request = request_via(METHODS[method], &via);
                let request = with(&request, Header::CallId, &format!("c{call}"));
                let to = if tagged { "<sip:100@h>;tag=t1" } else { "<sip:100@h>" };
                self.world.receive(&with(&request, Header::To, to), flow(stream));
            }
            Act::Ack { branch, tag } => {
                let ack = request("ACK", &format!("z9hG4bK{branch}"));
                let to = format!("<sip:100@h>;tag=t{tag}");
                self.world.receive(&with(&ack, Header::To, &to), udp());
            }
            Act::Reply { nth, status, tag, stream } => {
                if let Some(request) = pick(&self.requests_sent, nth) {
                    let text = Builder::reply(request, status, Some(&format!("t{tag}"))).finish();
                    if let Ok(reply) = Message::parse(text) {
                        self.world.receive(&reply, flow(stream));
                    }
                }
            }
            Act::Send { method, stream, mark } => {
                let method = Method::parse(METHODS[method]);
                let mark = if mark { "m" } else { "" };
                let (now, draft) = (self.world.now, draft(&method));
                let sent = self.world.layer.forward(now, draft, method, flow(stream), mark);
                self.clients.extend(sent);
                self.world.drain();
            }
            Act::Respond { nth, status } => {
                if let Some((tx, request)) = pick(&self.requests_got, nth).cloned() {
                    let bytes = Builder::reply(&request, status, Some("t1")).finish();
                    self.world.layer.respond(self.world.now, tx, status, bytes);
                    self.world.drain();
                }
            }
            Act::Cancel { nth } => {
                if let Some(tx) = pick(&self.clients, nth).copied() {
                    self.world.cancel(tx);
                }
            }
            Act::Fail { stream } => self.world.fail(flow(stream)),
            Act::Garbage(bytes) => {
                if let Ok(message) = Message::parse(Bytes::from(bytes)) {
                    self.world.receive(&message, udp());
                }
            }
        }
        self.remember();
    }

    fn remember(&mut self) {
        let sent = self.world.sent.drain(..).map(|(_, _, message)| message);
        self.requests_sent.extend(sent.filter(Message::is_request));
        for (_, event) in self.world.events.drain(..) {
            if let TxEvent::Request { tx, request, .. } = event {
                self.requests_got.push((tx, request));
            }
        }
    }
}

fn pick<T>(from: &[T], nth: usize) -> Option<&T> {
    (!from.is_empty()).then(|| &from[nth % from.len()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn anything_may_happen_and_nothing_stays(acts in proptest::collection::vec(act(), 1..80)) {
        const LIMIT: u32 = 12;
        let world = World::with_limit(LIMIT);
        let mut chaos =
            Chaos { world, clients: vec![], requests_sent: vec![], requests_got: vec![] };
        for act in acts {
            chaos.act(act);
            // BYEs have a quarter more, INVITEs their CANCELs.
            let most = (LIMIT + LIMIT / 4 + LIMIT) as usize;
            prop_assert!(chaos.world.layer.len() <= most);
            let settings = SETTINGS_PER_TRANSACTION_MAX * most + SWEEP_FROM;
            prop_assert!(chaos.world.layer.counts().timers <= settings);
        }
        chaos.world.forget();
        // A ringing INVITE may cancel itself after ten minutes and end half a minute later.
        chaos.world.pass(700_000);
        chaos.world.ends_empty();
    }
}
