//! One switch, real bytes, virtual time: the scenario API of the bridging tests.
//!
//! Phones and trunks are addresses with an inbox; what they send is text written here, what they
//! get is parsed. Nothing sleeps: `run` moves the clock to each of the switch's own deadlines.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use telefonist::acd::{Board, BoardLimits, Wake};
use telefonist::domain::*;
use telefonist::meters::{MeterLimits, Meters};
use telefonist::policy::{IndexState, Names, Policy, Sources, calendars};
use telefonist::registrar::Location;
use telefonist::sip::digest::{Asked, Challenge, Login};
use telefonist::sip::{Builder, Header, Message, Method};
use telefonist::switch::{
    Command, Identified, Input, Output, Refusal, Setup, Shared, Switch, What,
};

pub use super::company::*;

pub const CALENDARS: &str = "[always]\nzone = \"UTC\"\n[always.week]\nmon-sun = \"00:00-24:00\"\n";

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// The world of one test.
pub struct World {
    pub now: Moment,
    pub switch: Switch,
    pub events: Vec<What>,
    pub replies: Vec<Result<serde_json::Value, Refusal>>,
    pub promises: usize,
    pub never_identify: bool,
    pub board: Arc<Board>,
    pub directory: Arc<Directory>,
    pub policy: Arc<Policy>,
    #[cfg(feature = "shell")]
    pub setup: Setup,
    meters: Arc<Meters>,
    clients: BTreeMap<String, Arc<Client>>,
    inboxes: BTreeMap<SocketAddr, VecDeque<Message>>,
    /// Who speaks to us over a stream, with its number; everybody else by datagram.
    streams: BTreeMap<SocketAddr, u64>,
    sent: u32,
}

pub fn flow(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, listener: 0, remote: addr(remote), connection: 0 }
}

/// A client of type `key` whose manager is mia.
pub fn a_key_client(number: &str) -> (String, Arc<Client>) {
    let client = Client {
        id: ClientId(1),
        name: "ACME".into(),
        numbers: vec![Number::from_e164(number).expect("a number")],
        client_type: ClientType::new("key"),
        vip: Vip::None,
        vip_pending: false,
        manager: Some("mia".into()),
        department: Some("wholesale".into()),
        region: None,
        balance: Money(0),
        credit_limit: None,
        overdue: Money(0),
        overdue_since: None,
        last_order: None,
        served_by_operators: false,
        notes: "".into(),
        as_of: "2026-03-03T09:59:00Z".parse().expect("a time"),
    };
    (number.to_owned(), Arc::new(client))
}

/// The people of every scene.
pub fn rows() -> DirectoryRows {
    DirectoryRows {
        people: vec![
            person("mia", &["manager", "key_account_manager"], "wholesale"),
            person("kai", &["key_account_manager"], "wholesale"),
            person("hans", &["head"], "wholesale"),
            person("ole", &["operator"], "support"),
            person("ida", &["operator"], "support"),
        ],
        departments: vec![department("wholesale", "hans"), department("support", "hans")],
        absences: vec![],
        calendars: calendars("calendars.toml", CALENDARS).expect("calendars"),
        unread: Vec::new(),
    }
}

impl World {
    /// `policy` is the text of policy.toml.
    pub fn new(policy: &str) -> Self {
        let directory = Arc::new(Directory::build(None, rows(), LIMITS).expect("a directory"));
        let settings = Arc::new(settings());
        let sources =
            Sources { policy: ("policy.toml", policy), calendars: ("calendars.toml", CALENDARS) };
        let policy = Policy::compile(&sources, &directory, &Names::of(&settings));
        let policy = Arc::new(policy.unwrap_or_else(|problems| panic!("{problems:#?}")));
        let board = BoardLimits {
            agents: 64,
            groups: 32,
            shards: 1,
            queue_len_max: settings.limits.queue_len_max,
            credit_max: Duration::from_secs(3_600),
        };
        let board = Arc::new(Board::new(board, vec![Arc::new(NoWake)]));
        let now = Moment::from_millis(1_000);
        let wall = "2026-03-03T10:00:00Z".parse().expect("a time");
        let meters = Arc::new(Meters::new(MeterLimits::default(), [4; 16]));
        let setup = Setup {
            shard: ShardId(0),
            shards: 1,
            started: 1,
            hash_key: [1; 16],
            nonce_key: [2; 32],
            seed: [3; 32],
            shared: Shared {
                board: board.clone(),
                location: Arc::new(Location::new()),
                meters: meters.clone(),
            },
            settings,
            directory: directory.clone(),
            policy: policy.clone(),
            wall: WallOffset::new(now, wall),
        };
        Self {
            now,
            switch: Switch::new(now, setup.clone()),
            #[cfg(feature = "shell")]
            setup,
            events: Vec::new(),
            replies: Vec::new(),
            promises: 0,
            never_identify: false,
            board,
            directory,
            policy,
            meters,
            clients: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            streams: BTreeMap::new(),
            sent: 0,
        }
    }

    /// A client of type `key` whose manager is mia.
    pub fn key_client(&mut self, number: &str) {
        let (number, client) = a_key_client(number);
        self.clients.insert(number, client);
    }

    /// What the client index says of a number.
    pub fn found(&self, number: &str) -> Identified {
        let client = self.clients.get(number).cloned();
        Identified { client, others: vec![], index: IndexState::Fresh }
    }

    /// The calendars that the directory was built with.
    pub fn calendars(&self) -> BTreeMap<Arc<str>, Arc<Calendar>> {
        calendars("calendars.toml", CALENDARS).expect("calendars")
    }

    /// Other settings from now on.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = settings();
        change(&mut settings);
        self.input(Input::Settings(Arc::new(settings)));
    }

    pub fn input(&mut self, input: Input) {
        self.switch.handle(self.now, input);
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    let message = Message::parse(bytes).expect("what we send can be read");
                    let verdict = message.judge();
                    let text = || String::from_utf8_lossy(message.raw()).into_owned();
                    assert!(verdict.is_ok(), "what we send is right: {verdict:?}\n{}", text());
                    self.inboxes.entry(flow.remote).or_default().push_back(message);
                }
                Output::Identify { .. } if self.never_identify => {}
                Output::Identify { call, number } => {
                    let found = self.found(number.as_ref().map_or("", Number::as_str));
                    self.switch.handle(self.now, Input::Identified { call, found });
                }
                Output::Event(event) => self.events.push(event.what),
                Output::Reply { answer, .. } => self.replies.push(answer),
                Output::Notify(_) => self.promises += 1,
                Output::Mail { mail, .. } => self.switch.handle(self.now, Input::Mail(mail)),
            }
        }
    }

    /// Lets time pass, stopping at each deadline of the switch.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let next = self.switch.poll_timeout();
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            self.input(Input::Wake);
        }
        self.now = until;
        self.input(Input::Wake);
    }

    pub fn send(&mut self, from: &str, bytes: Bytes) {
        let message = Message::parse(bytes).expect("what a test sends can be read");
        let flow = self.flow_of(from);
        self.input(Input::Packet { flow, message, received: self.now });
    }

    fn flow_of(&self, at: &str) -> Flow {
        match self.streams.get(&addr(at)) {
            Some(number) => Flow { transport: Transport::Tcp, connection: *number, ..flow(at) },
            None => flow(at),
        }
    }

    /// From now on `at` speaks over a stream of its own.
    pub fn connect(&mut self, at: &str) {
        let number = self.streams.len() as u64 + 1;
        self.streams.insert(addr(at), number);
    }

    /// The stream of `at` closes.
    pub fn disconnect(&mut self, at: &str) {
        let flow = self.flow_of(at);
        self.input(Input::FlowClosed { flow });
    }

    /// The next message at an address, whatever it is.
    pub fn take(&mut self, at: &str) -> Option<Message> {
        self.inboxes.get_mut(&addr(at))?.pop_front()
    }

    /// Everything at any port of a host.
    pub fn take_at_host(&mut self, host: &str) -> Vec<Message> {
        let ip = host.parse::<std::net::IpAddr>().expect("an address");
        let there = self.inboxes.iter_mut().filter(|(at, _)| at.ip() == ip);
        there.flat_map(|(_, inbox)| inbox.drain(..)).collect()
    }

    /// The next message at an address that is not a 100.
    pub fn next(&mut self, at: &str) -> Message {
        loop {
            let message = self.take(at).unwrap_or_else(|| panic!("nothing came to {at}"));
            if message.status() != 100 {
                return message;
            }
        }
    }

    pub fn request(&mut self, at: &str, method: Method) -> Message {
        let message = self.next(at);
        assert!(message.is_request() && *message.method() == method, "{method}, not {message:?}");
        message
    }

    pub fn response(&mut self, at: &str, status: u16) -> Message {
        let message = self.next(at);
        assert_eq!(message.status(), status, "{message:?}");
        message
    }

    pub fn nothing(&mut self, at: &str) {
        while let Some(message) = self.take(at) {
            assert_eq!(message.status(), 100, "{message:?} came to {at}");
        }
    }

    pub fn branch(&mut self) -> String {
        self.sent += 1;
        format!("z9hG4bKtest{}", self.sent)
    }

    /// Registers `user` from `at`, with the right password.
    pub fn register(&mut self, user: &str, at: &str) {
        self.register_with(user, at, &[]);
    }

    /// The answer to a challenge; each count is used once.
    pub fn answer_to(challenge: &str, method: Method, user: &str, password: &str) -> String {
        let challenge = Challenge::parse(challenge).expect("digest");
        let uri = format!("sip:{DOMAIN}");
        let asked = Asked { method: &method, uri: &uri, body: b"", cnonce: "abc", count: 1 };
        challenge.answer(&Login { user, password }, &asked)
    }

    /// The same with further headers.
    pub fn register_with(&mut self, user: &str, at: &str, more: &[(&str, &str)]) {
        self.register_for(user, at, 3_600, more);
    }

    /// The same for so many seconds; 0: the phone goes.
    pub fn register_for(&mut self, user: &str, at: &str, expires: u32, more: &[(&str, &str)]) {
        let id = self.sent;
        let draft = |branch: String, cseq: u32, authorization: Option<String>| {
            let draft = Builder::request(&Method::Register, &format!("sip:{DOMAIN}"))
                .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=r{user}"))
                .header(Header::To, format_args!("<sip:{user}@{DOMAIN}>"))
                .header(Header::CallId, format_args!("reg-{user}-{at}-{id}"))
                .header(Header::CSeq, format_args!("{cseq} REGISTER"))
                .header(Header::Contact, format_args!("<sip:{user}@{at}>"))
                .header(Header::Expires, expires);
            let draft = more.iter().fold(draft, |draft, (name, value)| draft.named(name, value));
            match authorization {
                Some(line) => draft.header(Header::Authorization, line).finish(),
                None => draft.finish(),
            }
        };
        let branch = self.branch();
        self.send(at, draft(branch, 1, None));
        let challenged = self.response(at, 401);
        let line = challenged.header(Header::WwwAuthenticate).expect("a challenge").to_owned();
        let answer = Self::answer_to(&line, Method::Register, user, "secret");
        let branch = self.branch();
        self.send(at, draft(branch, 2, Some(answer)));
        self.response(at, 200);
    }

    /// An INVITE from the trunk.
    pub fn invite(&mut self, from: &str, call_id: &str, body: &str) -> Message {
        self.invite_with(from, call_id, body, &[("Contact", &format!("<sip:{TRUNK}>"))])
    }

    /// The same with these headers and no Contact of its own.
    pub fn invite_with(
        &mut self,
        from: &str,
        call_id: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> Message {
        let branch = self.branch();
        let draft = Builder::request(&Method::Invite, &format!("sip:100@{DOMAIN}"))
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::From, format_args!("<sip:{from}@pbx>;tag=t{call_id}"))
            .header(Header::To, format_args!("<sip:100@{DOMAIN}>"))
            .header(Header::CallId, call_id)
            .header(Header::CSeq, "1 INVITE");
        let draft = more.iter().fold(draft, |draft, (name, value)| draft.named(name, value));
        let hops = more.iter().any(|(name, _)| *name == "Max-Forwards");
        let draft = if hops { draft } else { draft.header(Header::MaxForwards, 70) };
        let draft = match body {
            "" => draft,
            body => draft.body("application/sdp", body.as_bytes()),
        };
        let bytes = draft.finish();
        self.send(TRUNK, bytes.clone());
        Message::parse(bytes).expect("ours")
    }

    /// A phone's or trunk's answer to a request that it got.
    pub fn reply(&mut self, at: &str, request: &Message, status: u16, body: &str) {
        let tag = format!("tag-{}", at.replace([':', '.'], ""));
        self.reply_as(at, &tag, request, status, body);
    }

    /// The same from one of several behind a trunk.
    pub fn reply_as(&mut self, at: &str, tag: &str, request: &Message, status: u16, body: &str) {
        let reply = Builder::reply(request, status, Some(tag))
            .header(Header::Contact, format_args!("<sip:phone@{at}>"));
        let reply = match body {
            "" => reply,
            body => reply.body("application/sdp", body.as_bytes()),
        };
        self.send(at, reply.finish());
    }

    /// A request outside every dialog.
    pub fn outside(&mut self, at: &str, method: Method, uri: &str) {
        let branch = self.branch();
        let draft = Builder::request(&method, uri)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("<sip:x@{at}>;tag=o{branch}"))
            .header(Header::To, format_args!("<{uri}>"))
            .header(Header::CallId, &branch)
            .header(Header::CSeq, format_args!("1 {method}"));
        self.send(at, draft.finish());
    }

    /// The trunk's BYE to a provisional response, with this To tag.
    pub fn early(&mut self, ringing: &Message, tag: &str, cseq: u32) {
        let branch = self.branch();
        let uri = format!("sip:100@{DOMAIN}");
        let draft = Builder::request(&Method::Bye, &uri)
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .copy(ringing, Header::From)
            .header(Header::To, format_args!("<{uri}>;tag={tag}"))
            .copy(ringing, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} BYE"));
        self.send(TRUNK, draft.finish());
    }

    /// The trunk's ACK or other request in the dialog of its INVITE and our 200.
    pub fn in_dialog(&mut self, ok: &Message, method: Method, cseq: u32, body: &str) -> Message {
        self.in_dialog_with(ok, method, cseq, body, &[])
    }

    /// The same with further headers.
    pub fn in_dialog_with(
        &mut self,
        ok: &Message,
        method: Method,
        cseq: u32,
        body: &str,
        more: &[(&str, &str)],
    ) -> Message {
        let branch = self.branch();
        let contact = ok.contacts().next().expect("a contact").uri.to_owned();
        let draft = Builder::request(&method, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .copy(ok, Header::From)
            .copy(ok, Header::To)
            .copy(ok, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} {method}"))
            .header(Header::Contact, format_args!("<sip:{TRUNK}>"));
        let draft = more.iter().fold(draft, |draft, (name, value)| draft.named(name, value));
        let draft = match body {
            "" => draft,
            body => draft.body("application/sdp", body.as_bytes()),
        };
        let bytes = draft.finish();
        self.send(TRUNK, bytes.clone());
        Message::parse(bytes).expect("ours")
    }

    /// A phone's request in the dialog of the INVITE that it answered.
    pub fn phone_sends(&mut self, at: &str, invite: &Message, method: Method, body: &str) {
        let branch = self.branch();
        let contact = invite.contacts().next().expect("a contact").uri.to_owned();
        let tag = format!("tag-{}", at.replace([':', '.'], ""));
        let to = invite.header(Header::To).expect("To").to_owned();
        let draft = Builder::request(&method, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("{to};tag={tag}"))
            .header(Header::To, invite.header(Header::From).expect("From"))
            .copy(invite, Header::CallId)
            .header(Header::CSeq, format_args!("1 {method}"))
            .header(Header::Contact, format_args!("<sip:phone@{at}>"));
        let draft = match body {
            "" => draft,
            body => draft.body("application/sdp", body.as_bytes()),
        };
        self.send(at, draft.finish());
    }

    /// One of our people dials, and answers the challenge; what came after it is still there.
    pub fn start_dial(&mut self, at: &str, user: &str, number: &str, body: &str) {
        self.authenticated(Method::Invite, at, user, number, ("application/sdp", body));
    }

    /// The same with a text message.
    pub fn start_message(&mut self, at: &str, user: &str, to: &str, text: &str) {
        self.authenticated(Method::Message, at, user, to, ("text/plain", text));
    }

    fn authenticated(
        &mut self,
        method: Method,
        at: &str,
        user: &str,
        number: &str,
        (kind, body): (&str, &str),
    ) {
        self.sent += 1;
        let call_id = format!("dial-{}", self.sent);
        let uri = format!("sip:{number}@{DOMAIN}");
        let draft = |branch: String, cseq: u32, line: Option<String>| {
            let draft = Builder::request(&method, &uri)
                .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=d{call_id}"))
                .header(Header::To, format_args!("<{uri}>"))
                .header(Header::CallId, &call_id)
                .header(Header::CSeq, format_args!("{cseq} {method}"))
                .header(Header::Contact, format_args!("<sip:{user}@{at}>"));
            let draft = match line {
                Some(line) => draft.header(Header::ProxyAuthorization, line),
                None => draft,
            };
            draft.body(kind, body.as_bytes()).finish()
        };
        let branch = self.branch();
        let first = draft(branch, 1, None);
        self.send(at, first.clone());
        let challenged = self.response(at, 407);
        if method == Method::Invite {
            self.ack_failure(at, &Message::parse(first).expect("ours"), &challenged);
        }
        let line = challenged.header(Header::ProxyAuthenticate).expect("a challenge").to_owned();
        let challenge = Challenge::parse(&line).expect("digest");
        let asked =
            Asked { method: &method, uri: &uri, body: body.as_bytes(), cnonce: "abc", count: 1 };
        let answer = challenge.answer(&Login { user, password: "secret" }, &asked);
        let branch = self.branch();
        self.send(at, draft(branch, 2, Some(answer)));
    }

    /// A reply behind a record-routing proxy.
    pub fn proxied_reply(&mut self, at: &str, request: &Message, status: u16, body: &str) {
        let reply = Builder::reply(request, status, Some("behind"))
            .copy(request, Header::RecordRoute)
            .header(Header::Contact, format_args!("<sip:carrier@{at}>"))
            .body("application/sdp", body.as_bytes());
        self.send(at, reply.finish());
    }

    /// The trunk's request in a dialog whose 2xx carried Record-Route.
    pub fn routed(&mut self, ok: &Message, method: Method, cseq: u32) {
        let branch = self.branch();
        let target = ok.contacts().next().expect("a contact").uri.to_owned();
        let mut draft = Builder::request(&method, &target)
            .header(Header::Via, format_args!("SIP/2.0/UDP {TRUNK};branch={branch};rport"))
            .header(Header::MaxForwards, 70);
        let routes: Vec<&str> = ok.values(Header::RecordRoute).collect();
        for route in routes.iter().rev() {
            draft = draft.header(Header::Route, route);
        }
        let draft = draft
            .copy(ok, Header::From)
            .copy(ok, Header::To)
            .copy(ok, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} {method}"));
        self.send(TRUNK, draft.finish());
    }

    /// The same; gives the final answer.
    pub fn dial(&mut self, at: &str, user: &str, number: &str, body: &str) -> Message {
        self.start_dial(at, user, number, body);
        self.next(at)
    }

    /// The ACK of a dialled call's 200.
    pub fn ack_dialled(&mut self, at: &str, ok: &Message) {
        let branch = self.branch();
        let contact = ok.contacts().next().expect("a contact").uri.to_owned();
        let draft = Builder::request(&Method::Ack, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .copy(ok, Header::From)
            .copy(ok, Header::To)
            .copy(ok, Header::CallId)
            .header(Header::CSeq, "2 ACK");
        self.send(at, draft.finish());
    }

    /// BYE of who dialled.
    pub fn dialled_bye(&mut self, at: &str, ok: &Message) {
        let branch = self.branch();
        let contact = ok.contacts().next().expect("a contact").uri.to_owned();
        let draft = Builder::request(&Method::Bye, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
            .header(Header::MaxForwards, 70)
            .copy(ok, Header::From)
            .copy(ok, Header::To)
            .copy(ok, Header::CallId)
            .header(Header::CSeq, "3 BYE");
        self.send(at, draft.finish());
    }

    /// CANCEL of who dialled and heard `ring`.
    pub fn dialled_cancel(&mut self, at: &str, ring: &Message) {
        let to = ring.to().expect("To").uri.to_owned();
        self.dialled_again(at, ring, Method::Cancel, &format!("<{to}>"));
    }

    /// ACK of who dialled and failed.
    pub fn ack_dialled_failure(&mut self, at: &str, failure: &Message) {
        let to = failure.header(Header::To).expect("To").to_owned();
        self.dialled_again(at, failure, Method::Ack, &to);
    }

    /// CANCEL or ACK in the transaction that `heard` answers.
    fn dialled_again(&mut self, at: &str, heard: &Message, method: Method, to: &str) {
        let uri = heard.to().expect("To").uri.to_owned();
        let draft = Builder::request(&method, &uri)
            .copy(heard, Header::Via)
            .header(Header::MaxForwards, 70)
            .copy(heard, Header::From)
            .header(Header::To, to)
            .copy(heard, Header::CallId)
            .header(Header::CSeq, format_args!("2 {method}"));
        self.send(at, draft.finish());
    }

    /// CANCEL of an INVITE.
    pub fn cancel(&mut self, invite: &Message) {
        self.cancel_numbered(invite, 1);
    }

    /// The same of an INVITE with another CSeq.
    pub fn cancel_numbered(&mut self, invite: &Message, cseq: u32) {
        let draft = Builder::request(&Method::Cancel, invite.uri())
            .copy(invite, Header::Via)
            .header(Header::MaxForwards, 70)
            .copy(invite, Header::From)
            .copy(invite, Header::To)
            .copy(invite, Header::CallId)
            .header(Header::CSeq, format_args!("{cseq} CANCEL"));
        self.send(TRUNK, draft.finish());
    }

    /// ACK of a failure: same branch.
    pub fn ack_failure(&mut self, at: &str, invite: &Message, failure: &Message) {
        let draft = Builder::request(&Method::Ack, invite.uri())
            .copy(invite, Header::Via)
            .header(Header::MaxForwards, 70)
            .copy(invite, Header::From)
            .copy(failure, Header::To)
            .copy(invite, Header::CallId)
            .header(Header::CSeq, "1 ACK");
        self.send(at, draft.finish());
    }

    pub fn command(&mut self, command: Command) -> Result<serde_json::Value, Refusal> {
        self.input(Input::Command { id: 1, command, by: "test".into() });
        self.replies.pop().expect("one reply for one command")
    }

    /// Places of the trunk that are taken.
    pub fn trunk_calls(&self) -> u32 {
        self.meters.trunks.slot(&"pbx".into()).map_or(0, |slot| self.meters.trunks.calls(slot))
    }

    /// Everything is over: no call, no caller, after the timers no transaction.
    pub fn assert_quiet(&mut self) {
        self.run(Duration::from_secs(120));
        assert!(self.switch.is_idle(), "something is left: {} calls", self.switch.calls());
    }
}
