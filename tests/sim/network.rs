//! What lies between the actors and the switches: datagrams that get lost, come twice, late or in another
//! order; streams that keep the order and break in the middle of a message; registrations.

use bytes::Bytes;
use telefonist::sip::digest::{Asked, Challenge, Login};
use telefonist::sip::{Builder, Framed};

use super::callers::Wish;
use super::phones::{Phone, token};
use super::world::*;

/// RFC 3261's transaction timers are done by then: a delay beyond it is a loss.
const DELAY_MAX_US: u64 = 32_000_000;

impl Sim {
    pub fn transport(&self, at: SocketAddr) -> Transport {
        self.phones.get(&at).map_or(Transport::Udp, |phone| phone.transport)
    }

    /// A message on its way.
    pub fn post(&mut self, due: Due) {
        let (at, to_actor) = match &due {
            Due::ToServer(at, _) => (*at, false),
            Due::ToActor(at, _) => (*at, true),
            _ => return,
        };
        let dice = &mut self.dice.network;
        let (die, slow) = (dice.below(100), dice.below(7_700));
        let (far, very) = (dice.below(900_000), dice.below(DELAY_MAX_US));
        let delay = Duration::from_micros(300 + slow);
        if self.transport(at) != Transport::Udp {
            let now = self.now;
            let stream = self.streams.entry(at).or_default();
            let last = stream.last[usize::from(to_actor)].get_or_insert(now);
            *last = (*last).max(now + delay) + Duration::from_micros(1);
            let delay = last.since(now);
            return self.at(delay, due);
        }
        let delay = match die {
            0..=7 if self.has(Fault::Loss) => return,
            8..=10 if self.has(Fault::Copies) => {
                let again = match &due {
                    Due::ToServer(at, bytes) => Due::ToServer(*at, bytes.clone()),
                    Due::ToActor(at, bytes) => Due::ToActor(*at, bytes.clone()),
                    _ => return,
                };
                self.at(delay + Duration::from_micros(far), again);
                delay
            }
            11..=13 if self.has(Fault::Reorder) => Duration::from_micros(far),
            14 if self.has(Fault::Delay) => Duration::from_micros(very),
            _ => delay,
        };
        let disordered = self.has(Fault::Reorder) || self.has(Fault::Delay);
        if disordered {
            return self.at(delay, due);
        }
        // A good network keeps the order.
        let last = self.last.entry((at, to_actor)).or_insert(Moment::ZERO);
        *last = (*last).max(self.now + delay) + Duration::from_micros(1);
        let delay = last.since(self.now);
        self.at(delay, due);
    }

    pub fn flow(&self, from: SocketAddr) -> Flow {
        let transport = self.transport(from);
        let connection = match transport {
            Transport::Udp => 0,
            _ => self.streams.get(&from).map_or(0, |stream| stream.connection),
        };
        Flow { transport, listener: 0, remote: from, connection }
    }

    /// What a switch sends.
    pub fn sends(&mut self, shard: usize, flow: Flow, bytes: Bytes) {
        let message = Message::parse(bytes.clone()).expect("what we send can be read");
        message.judge().expect("what we send is right");
        if flow.transport != Transport::Udp && flow.connection != 0 {
            let now = self.streams.get(&flow.remote).map_or(0, |stream| stream.connection);
            let gone = self.phones.get(&flow.remote).is_none_or(|p| p.transport == Transport::Udp);
            if now != flow.connection || gone {
                return self.at(Duration::from_micros(50), Due::Failed(shard, flow));
            }
        }
        self.post(Due::ToActor(flow.remote, bytes));
    }

    pub fn server_hears(&mut self, from: SocketAddr, bytes: Bytes) {
        let flow = self.flow(from);
        if flow.transport == Transport::Udp {
            let message = Message::parse(bytes).expect("what an actor sends can be read");
            return self.packet(flow, message);
        }
        // In two pieces, as streams do.
        let stream = self.streams.entry(from).or_default();
        let half = bytes.len() / 2;
        stream.framer.push(bytes.slice(..half));
        let early = stream.framer.next();
        assert!(early.is_none(), "half a message is none");
        stream.framer.push(bytes.slice(half..));
        let framed = stream.framer.next();
        let Some(Ok(Framed::Message(message))) = framed else {
            panic!("a message is in the stream")
        };
        self.packet(flow, message);
    }

    fn packet(&mut self, flow: Flow, message: Message) {
        self.note(format!("{:?} {} > {}", self.now, flow.remote, first_line(&message)));
        self.book.heard(&message);
        let shard = shard_of(&message, self.shards, &KEY).index();
        self.input(shard, Input::Packet { flow, message, received: self.now });
    }

    pub fn actor_hears(&mut self, at: SocketAddr, bytes: &Bytes) {
        let message = Message::parse(bytes.clone()).expect("what we send can be read");
        if message.cseq().is_none_or(|(_, method)| *method != Method::Register) {
            self.note(format!("{:?} {at} < {}", self.now, first_line(&message)));
        }
        if let Some(caller) = self.callers.get_mut(message.call_id()) {
            let wishes = match message.is_request() {
                true => caller.hears_request(&message),
                false if message.status() == 407 => {
                    let user = self.phones.get(&at).map_or("", |p| p.user);
                    caller.proves(&message, &|line, method, uri| answer(line, user, method, uri))
                }
                false => caller.hears_answer(&message),
            };
            return self.grant(at, wishes);
        }
        let Some(phone) = self.phones.get_mut(&at).filter(|p| p.alive) else { return };
        if !message.is_request() {
            let via = message.top_via();
            let branch = via.and_then(|v| v.branch().map(str::to_owned)).unwrap_or_default();
            return self.grant(at, vec![Wish::Stop(format!("rq-{branch}"))]);
        }
        let wishes = phone.hears(&message, &mut self.dice.phones, &self.faults);
        self.grant(at, wishes);
        self.checked(&mut |check, sim| check.heard(sim, at, &message));
    }

    /// A connection breaks while half a message is on it, and everything after it is lost.
    pub fn reset(&mut self, place: usize) {
        let at = self.homes[place].at;
        if self.homes[place].transport == Transport::Udp {
            return;
        }
        let old = self.flow(at);
        let on_it =
            |due: &Due| matches!(due, Due::ToServer(to, _) | Due::ToActor(to, _) if *to == at);
        self.queue.retain(|_, due| !on_it(due));
        let stream = self.streams.entry(at).or_default();
        stream
            .framer
            .push(Bytes::from_static(b"OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TC"));
        assert!(stream.framer.next().is_none(), "half a message is none");
        *stream = Stream { connection: stream.connection + 1, ..Stream::default() };
        self.note(format!("{:?} the stream of {at} breaks", self.now));
        for shard in 0..self.switches.len() {
            self.input(shard, Input::FlowClosed { flow: old });
        }
        let pause = Duration::from_millis(self.dice.troubles.below(3_000));
        self.at(pause, Due::Register(place));
    }

    /// A phone that knows nothing of what was before, at the place of `homes`.
    pub fn anew(&mut self, place: usize) {
        let home = &self.homes[place];
        let (at, now) = (home.at, self.now);
        let mut phone = Phone::new(home.user, at, home.transport);
        phone.since = Some(now);
        if phone.transport != Transport::Udp {
            let stream = self.streams.entry(at).or_default();
            *stream = Stream { connection: stream.connection + 1, ..Stream::default() };
        }
        self.phones.insert(at, phone);
        self.register(place);
    }

    /// Phones register again.
    pub fn refresh(&mut self) {
        for place in 0..self.homes.len() {
            self.register(place);
        }
        self.at(Duration::from_secs(45), Due::Refresh);
    }

    /// At once and without loss: this is not about the registrar's transactions.
    pub fn register(&mut self, place: usize) {
        let home = &self.homes[place];
        let (user, at) = (home.user, home.at);
        let Some(phone) = self.phones.get(&at).filter(|p| p.alive) else { return };
        let (via, contact) = (token(phone.transport), phone.contact());
        let mut proof = None;
        for cseq in 1..=2 {
            self.count += 1;
            let branch = format!("z9hG4bKreg{}", self.count);
            let draft = Builder::request(&Method::Register, &format!("sip:{DOMAIN}"))
                .header(Header::Via, format_args!("SIP/2.0/{via} {at};branch={branch};rport"))
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=r{user}"))
                .header(Header::To, format_args!("<sip:{user}@{DOMAIN}>"))
                .header(Header::CallId, format_args!("reg-{}", self.count))
                .header(Header::CSeq, format_args!("{cseq} REGISTER"))
                .header(Header::Contact, &contact)
                .header(Header::Expires, 120);
            let draft = match proof.take() {
                Some(line) => draft.header(Header::Authorization, line),
                None => draft,
            };
            let message = Message::parse(draft.finish()).expect("ours");
            let shard = shard_of(&message, self.shards, &KEY).index();
            if self.is_stalled(shard) {
                return self.at(Duration::from_secs(1), Due::Register(place));
            }
            let flow = self.flow(at);
            self.handle(shard, Input::Packet { flow, message, received: self.now });
            proof = self.challenge(shard, user, at);
        }
        self.book.registered.insert(user.into(), self.now);
    }

    fn challenge(&mut self, shard: usize, user: &str, at: SocketAddr) -> Option<String> {
        let mut challenge = None;
        while let Some(output) = self.polled(shard) {
            if let Output::Send { flow, bytes } = &output
                && flow.remote == at
                && let Ok(message) = Message::parse(bytes.clone())
                && let Some(line) = message.header(Header::WwwAuthenticate)
            {
                challenge = Some(line.to_owned());
                continue;
            }
            self.leaves(shard, output);
        }
        answer(&challenge?, user, &Method::Register, &format!("sip:{DOMAIN}"))
    }
}

fn answer(challenge: &str, user: &str, method: &Method, uri: &str) -> Option<String> {
    let asked = Asked { method, uri, body: b"", cnonce: "abc", count: 1 };
    Some(Challenge::parse(challenge)?.answer(&Login { user, password: "secret" }, &asked))
}

fn first_line(message: &Message) -> String {
    let cseq = message.header(Header::CSeq).unwrap_or_default();
    match message.is_request() {
        true => format!("{} {} {cseq}", message.method(), message.call_id()),
        false => format!("{} {} {cseq}", message.status(), message.call_id()),
    }
}
