//! Chance against the invariants: switches that share one board, callers and phones that behave as
//! people and networks do, virtual time, one seed.
//!
//! Phases: faults on, then off until everything must have ended, then all tables must be empty.

pub(super) use std::collections::{BTreeMap, BTreeSet};
pub(super) use std::net::SocketAddr;
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::time::Duration;

pub(super) use bytes::Bytes;
pub(super) use jiff::Timestamp;
pub(super) use telefonist::acd::{AgentState, Board, BoardLimits, Wake};
pub(super) use telefonist::domain::*;
pub(super) use telefonist::meters::{MeterLimits, Meters};
pub(super) use telefonist::policy::{IndexState, Names, Policy, Sources};
pub(super) use telefonist::registrar::Location;
pub(super) use telefonist::sip::digest::{Asked, Challenge, Login};
pub(super) use telefonist::sip::{Builder, Header, Message, Method};
pub(super) use telefonist::switch::{
    Addressee, Command, Event, Identified, Input, Mail, OfferResult, Outcome, Output, Setup,
    Shared, Switch, What, home_of, shard_of,
};

pub(super) use super::actors::{Caller, CallerStage, Phone, Wish};
pub(super) use super::world::{self, CALENDARS, DOMAIN, TRUNK, addr};

pub(super) const SHARDS: u16 = 2;
pub(super) const KEY: [u8; 16] = [1; 16];
const ROUTE: &str =
    "[settings]\ndefault_department = \"support\"\ncallback_owner = \"person hans\"\n";

/// splitmix64.
#[derive(Debug)]
pub struct Rng(pub u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
pub(super) struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) enum Due {
    ToServer(SocketAddr, Bytes),
    ToActor(SocketAddr, Bytes),
    Mail(ShardId, Mail),
    Identified(CallKey, Option<Arc<Client>>),
    Again(String),
    Caller(String),
    Phone(SocketAddr, String),
    NewCaller,
    Chaos,
    Refresh,
}

pub(super) struct Insisting {
    from: SocketAddr,
    bytes: Bytes,
    every: Duration,
    until: Moment,
}

/// What a simulation does to its people.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub loss: u64,
    pub chaos: bool,
    pub kills: bool,
}

/// What the journal says of one call.
#[derive(Default)]
pub(super) struct Told {
    pub(super) arrived: u32,
    pub(super) ended: u32,
    pub(super) answered: u32,
    pub(super) offers: BTreeMap<u32, PersonId>,
    pub(super) taken_by: Option<PersonId>,
}

pub struct Sim {
    pub(super) seed: u64,
    pub(super) now: Moment,
    pub(super) rng: Rng,
    pub(super) weather: Weather,
    pub(super) faults: bool,
    pub(super) settings: Arc<Settings>,
    pub(super) directory: Arc<Directory>,
    pub(super) policies: Vec<Arc<Policy>>,
    pub(super) policy: usize,
    pub(super) wall: WallOffset,
    pub(super) started: u32,
    pub(super) bells: Vec<Arc<Bell>>,
    pub(super) shared: Shared,
    pub(super) switches: Vec<Switch>,
    pub(super) queue: BTreeMap<(Moment, u64), Due>,
    pub(super) count: u64,
    /// When the last datagram of each direction arrives.
    pub(super) last: BTreeMap<(SocketAddr, bool), Moment>,
    pub(super) insisting: BTreeMap<String, Insisting>,
    pub(super) callers: BTreeMap<String, Caller>,
    pub(super) phones: BTreeMap<SocketAddr, Phone>,
    pub(super) clients: BTreeMap<String, Arc<Client>>,
    pub(super) told: BTreeMap<CallKey, Told>,
    pub(super) engaged: BTreeMap<PersonId, CallKey>,
    pub(super) dialling: BTreeMap<CallKey, PersonId>,
    pub(super) beside: BTreeMap<QueueId, Moment>,
    #[cfg(feature = "shell")]
    pub(super) state: telefonist::store::journal::State,
    pub(super) log: Vec<String>,
}

pub(super) fn directory(
    previous: Option<&Directory>,
    absent: Option<(&str, Timestamp)>,
) -> Arc<Directory> {
    let mut rows = world::rows();
    rows.absences.extend(absent.map(|(who, at)| {
        let day = jiff::tz::TimeZone::UTC.to_datetime(at).date().to_string();
        world::absence(who, &day, &day, None)
    }));
    Arc::new(Directory::build(previous, rows, world::LIMITS).expect("a directory"))
}

/// Three policies that take turns.
fn policies(directory: &Directory, settings: &Settings) -> Vec<Arc<Policy>> {
    let key =
        "[[rule]]\nname = \"key client\"\nclause = \"B2\"\nwhen = { client_type = \"key\" }\n";
    let rest = "[[rule]]\nname = \"everybody else\"\nclause = \"B4\"\n";
    let routes = [
        (
            r#"{ to = "manager", ring = "12s", wait = "20s" },
               { to = "role key_account_manager", ring = "20s", wait = "30s" },"#,
            r#"{ to = "role operator", ring = "20s", wait = "60s" },"#,
        ),
        (
            r#"{ to = "manager", ring = "5s", wait = "8s" },
               { to = "person hans", ring = "9s", wait = "20s", only = true },"#,
            r#"{ to = "role operator", ring = "10s", wait = "15s" },
               { to = "role key_account_manager", ring = "20s", wait = "15s" },"#,
        ),
        (
            r#"{ to = "role key_account_manager", ring = "30s", wait = "90s" },"#,
            r#"{ to = "person ole", ring = "7s", wait = "10s" },
               { to = "role operator", ring = "20s", wait = "80s" },"#,
        ),
    ];
    let compile = |(keys, others): &(&str, &str)| {
        let end = "{ to = \"callback\" },\n]\n";
        let text = format!("{ROUTE}{key}route = [\n{keys}\n{end}{rest}route = [\n{others}\n{end}");
        let sources =
            Sources { policy: ("policy.toml", &text), calendars: ("calendars.toml", CALENDARS) };
        let policy = Policy::compile(&sources, directory, &Names::of(settings));
        Arc::new(policy.unwrap_or_else(|problems| panic!("{problems:#?}")))
    };
    routes.iter().map(compile).collect()
}

pub(super) fn shared(bells: &[Arc<Bell>], settings: &Settings) -> Shared {
    let limits = BoardLimits {
        agents: 64,
        groups: 32,
        shards: SHARDS,
        queue_len_max: settings.limits.queue_len_max,
        credit_max: Duration::from_secs(3_600),
    };
    let wakers = bells.iter().map(|b| b.clone() as Arc<dyn Wake>).collect();
    Shared {
        board: Arc::new(Board::new(limits, wakers)),
        location: Arc::new(Location::new()),
        meters: Arc::new(Meters::new(MeterLimits::default(), [4; 16])),
    }
}

pub(super) const PHONES: [(&str, &str); 7] = [
    ("mia", "192.0.2.20:6001"),
    ("kai", "192.0.2.21:6002"),
    ("kai", "192.0.2.22:6003"),
    ("hans", "192.0.2.23:6004"),
    ("ole", "192.0.2.30:6005"),
    ("ida", "192.0.2.31:6006"),
    ("ida", "192.0.2.32:6007"),
];

impl Sim {
    pub fn new(seed: u64, weather: Weather) -> Self {
        let mut settings = world::settings();
        settings.limits.queue_len_max = 4;
        let settings = Arc::new(settings);
        let directory = directory(None, None);
        let bells: Vec<Arc<Bell>> = (0..SHARDS).map(|_| Arc::default()).collect();
        let now = Moment::from_millis(1_000);
        let wall: Timestamp = "2026-03-03T10:00:00Z".parse().expect("a time");
        let phones = PHONES.iter().map(|(user, at)| (addr(at), Phone::new(user, addr(at))));
        let mut sim = Self {
            seed,
            now,
            rng: Rng(seed),
            weather,
            faults: true,
            policies: policies(&directory, &settings),
            policy: 0,
            wall: WallOffset::new(now, wall),
            started: 1,
            shared: shared(&bells, &settings),
            bells,
            settings,
            directory,
            switches: Vec::new(),
            queue: BTreeMap::new(),
            count: 0,
            last: BTreeMap::new(),
            insisting: BTreeMap::new(),
            callers: BTreeMap::new(),
            phones: phones.collect(),
            clients: BTreeMap::new(),
            told: BTreeMap::new(),
            engaged: BTreeMap::new(),
            dialling: BTreeMap::new(),
            beside: BTreeMap::new(),
            #[cfg(feature = "shell")]
            state: telefonist::store::journal::State::default(),
            log: Vec::new(),
        };
        sim.phones.insert(addr(TRUNK), Phone::new("", addr(TRUNK)));
        let (number, client) = world::a_key_client("+493023125001");
        sim.clients.insert(number, client);
        sim.build();
        sim.settle();
        sim.at(Duration::ZERO, Due::Refresh);
        sim.at(Duration::from_secs(1), Due::NewCaller);
        sim.at(Duration::from_secs(2), Due::Chaos);
        sim
    }

    pub(super) fn build(&mut self) {
        let setup = |shard: u16, sim: &Sim| Setup {
            shard: ShardId(shard as u8),
            shards: SHARDS,
            started: sim.started,
            hash_key: KEY,
            nonce_key: [2; 32],
            seed: [shard as u8 + 10 * sim.started as u8; 32],
            shared: sim.shared.clone(),
            settings: sim.settings.clone(),
            directory: sim.directory.clone(),
            policy: sim.policies[sim.policy].clone(),
            wall: sim.wall,
        };
        self.switches = (0..SHARDS).map(|s| Switch::new(self.now, setup(s, self))).collect();
    }

    pub(super) fn at(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), due);
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        let from = self.log.len().saturating_sub(2_000);
        let log = self.log[from..].join("\n");
        panic!("{log}\nseed {} at {:?}: {what}", self.seed, self.now);
    }

    /// Faults for `span`, then until everything must be over.
    pub fn run(mut self, span: Duration) {
        self.until(self.now + span);
        self.faults = false;
        self.calm();
        self.until(self.now + Duration::from_secs(180));
        let callers: Vec<String> = self.callers.keys().cloned().collect();
        for id in callers {
            let Some(caller) = self.callers.get_mut(&id) else { continue };
            let (at, wishes) = (caller.at, caller.gives_up());
            self.grant(at, wishes);
        }
        self.until(self.now + Duration::from_secs(600));
        self.calm();
        self.until(self.now + Duration::from_secs(60));
        self.queue.retain(|_, due| !matches!(due, Due::Refresh));
        self.until(self.now + Duration::from_secs(40));
        self.assert_over();
    }

    fn until(&mut self, end: Moment) {
        loop {
            let first = self.queue.first_key_value().map_or(Moment::NEVER, |(k, _)| k.0);
            let timers = self.switches.iter().map(Switch::poll_timeout).min();
            let next = first.min(timers.unwrap_or(Moment::NEVER)).max(self.now);
            if next > end {
                self.now = end.max(self.now);
                return;
            }
            self.now = next;
            for shard in 0..self.switches.len() {
                let mut turns = 0;
                while self.switches[shard].poll_timeout() <= self.now {
                    self.input(shard, Input::Wake);
                    turns += 1;
                    if turns > 8 {
                        self.fail("a timer is due again and again at one moment");
                    }
                }
            }
            while let Some(entry) = self.queue.first_entry()
                && entry.key().0 <= self.now
            {
                let due = entry.remove();
                self.happens(due);
            }
            self.settle();
            self.look();
        }
    }

    /// Shards whose bell rang look.
    pub(super) fn settle(&mut self) {
        while let Some(shard) = self.bells.iter().position(|b| b.0.swap(false, Ordering::Relaxed)) {
            self.input(shard, Input::Wake);
        }
    }

    pub(super) fn input(&mut self, shard: usize, input: Input) {
        // Every turn begins with a look at the bells.
        if !matches!(input, Input::Wake) {
            self.switches[shard].handle(self.now, Input::Wake);
            self.drain(shard);
        }
        self.switches[shard].handle(self.now, input);
        self.drain(shard);
    }

    pub(super) fn drain(&mut self, shard: usize) {
        while let Some(output) = self.switches[shard].poll_output() {
            let jitter = Duration::from_micros(200 + self.rng.below(20_000));
            match output {
                Output::Send { flow, bytes } => self.post(Due::ToActor(flow.remote, bytes)),
                Output::Identify { call, number } => {
                    let client = number.and_then(|n| self.clients.get(n.as_str()).cloned());
                    let lost = self.faults && self.rng.chance(3);
                    if !lost {
                        self.at(jitter, Due::Identified(call, client));
                    }
                }
                Output::Event(event) => self.told(&event),
                Output::Mail { to, mail } => {
                    self.at(Duration::from_micros(50), Due::Mail(to, mail))
                }
                Output::Reply { .. } | Output::Notify(_) => {}
            }
        }
    }

    /// A datagram on the network, which loses, repeats and reorders.
    fn post(&mut self, due: Due) {
        let lossy = self.faults && self.weather.loss > 0;
        let copies = match lossy {
            true if self.rng.chance(self.weather.loss) => 0,
            true if self.rng.chance(3) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let slow = lossy && self.rng.chance(3);
            let delay = self.rng.below(if slow { 900_000 } else { 8_000 });
            let (copy, at, to_actor) = match &due {
                Due::ToServer(at, bytes) => (Due::ToServer(*at, bytes.clone()), *at, false),
                Due::ToActor(at, bytes) => (Due::ToActor(*at, bytes.clone()), *at, true),
                _ => return,
            };
            let mut delay = Duration::from_micros(300 + delay);
            if !lossy {
                // A good network keeps the order.
                let last = self.last.entry((at, to_actor)).or_insert(Moment::ZERO);
                *last = (*last).max(self.now + delay) + Duration::from_micros(1);
                delay = last.since(self.now);
            }
            self.at(delay, copy);
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::ToServer(from, bytes) => self.server_hears(from, bytes),
            Due::ToActor(at, bytes) => self.actor_hears(at, &bytes),
            Due::Mail(to, mail) => self.input(to.index(), Input::Mail(mail)),
            Due::Identified(call, client) => {
                let found = Identified { client, others: vec![], index: IndexState::Fresh };
                self.input(call.shard().index(), Input::Identified { call, found });
            }
            Due::Again(name) => self.again(name),
            Due::Caller(name) => self.caller_due(&name),
            Due::Phone(at, call_id) => {
                let Some(phone) = self.phones.get_mut(&at).filter(|p| p.alive) else { return };
                let wishes = phone.due(&call_id, &mut self.rng);
                self.grant(at, wishes);
            }
            Due::NewCaller if self.faults => self.new_caller(),
            Due::Chaos if self.faults => self.chaos(),
            Due::NewCaller | Due::Chaos => {}
            Due::Refresh => self.refresh(),
        }
    }

    fn server_hears(&mut self, from: SocketAddr, bytes: Bytes) {
        let message = Message::parse(bytes).expect("what an actor sends can be read");
        self.log.push(format!("{:?} {from} > {}", self.now, first_line(&message)));
        let shard = shard_of(&message, SHARDS, &KEY).index();
        let flow = Flow { transport: Transport::Udp, listener: 0, remote: from, connection: 0 };
        self.input(shard, Input::Packet { flow, message, received: self.now });
    }

    fn actor_hears(&mut self, at: SocketAddr, bytes: &Bytes) {
        let message = Message::parse(bytes.clone()).expect("what we send can be read");
        message.judge().expect("what we send is right");
        if message.cseq().is_none_or(|(_, method)| *method != Method::Register) {
            self.log.push(format!("{:?} {at} < {}", self.now, first_line(&message)));
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
        let wishes = phone.hears(&message, &mut self.rng, self.faults);
        let anew = phone.since.is_some_and(|at| self.now.since(at) < Duration::from_secs(33));
        let two = phone.engaged() > 1 && !anew && !phone.user.is_empty();
        self.grant(at, wishes);
        if two && self.weather.loss == 0 && !self.weather.kills && message.to_tag().is_none() {
            self.fail("I2: a phone has two calls");
        }
    }

    fn grant(&mut self, at: SocketAddr, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Send(bytes) => self.post(Due::ToServer(at, bytes)),
                Wish::Insist(name, bytes) => {
                    self.post(Due::ToServer(at, bytes.clone()));
                    let (every, from) = (Duration::from_millis(500), at);
                    let until = self.now + Duration::from_secs(32);
                    self.insisting.insert(name.clone(), Insisting { from, bytes, every, until });
                    self.at(every, Due::Again(name));
                }
                Wish::Stop(name) => {
                    self.insisting.remove(&name);
                }
                Wish::After(span, name) if name.contains(' ') => self.at(span, Due::Caller(name)),
                Wish::After(span, name) => self.at(span, Due::Phone(at, name)),
            }
        }
    }

    fn again(&mut self, name: String) {
        let Some(it) = self.insisting.get_mut(&name) else { return };
        it.every = (it.every * 2).min(Duration::from_secs(4));
        let (from, bytes, every, over) =
            (it.from, it.bytes.clone(), it.every, it.until <= self.now);
        let dead = self.phones.get(&from).is_some_and(|p| !p.alive);
        if over || dead {
            self.insisting.remove(&name);
            self.callers.values_mut().for_each(|caller| caller.unheard(&name));
            return;
        }
        self.post(Due::ToServer(from, bytes));
        self.at(every, Due::Again(name));
    }

    fn caller_due(&mut self, name: &str) {
        let Some((what, id)) = name.split_once(' ') else { return };
        let Some(caller) = self.callers.get_mut(id) else { return };
        let wishes = match what {
            "hold" => caller.holds(),
            "lapse" => return caller.lapses(),
            _ => caller.gives_up(),
        };
        let at = caller.at;
        self.grant(at, wishes);
    }

    /// One of our people calls a colleague, or somebody outside.
    pub(super) fn dials(&mut self) {
        let (user, at) = PHONES[self.rng.below(PHONES.len() as u64) as usize];
        let at = addr(at);
        if !self.phones.get(&at).is_some_and(|p| p.alive && p.engaged() == 0) {
            return;
        }
        let numbers = ["ole", "ida", "mia", "kai", "03023125999", "*13", "*14", "*11", "nobody"];
        let number = numbers[self.rng.below(numbers.len() as u64) as usize];
        let count = self.callers.len() as u32;
        let mut caller = Caller::person(at, user, number, count, &mut self.rng);
        let patience = Duration::from_millis(self.rng.below(30_000));
        let wishes = caller.begin(patience);
        self.callers.insert(caller.call_id.clone(), caller);
        self.grant(at, wishes);
    }

    fn new_caller(&mut self) {
        if self.rng.chance(20) {
            self.dials();
        }
        let number = match self.rng.below(3) {
            0 => "03023125001",
            1 => "03023125002",
            _ => "anonymous",
        };
        let count = self.callers.len() as u32;
        let mut caller = Caller::new(addr(TRUNK), number, count, &mut self.rng, self.weather.chaos);
        // Callers hang up at every point.
        let patience = Duration::from_millis(self.rng.below(60_000));
        let wishes = caller.begin(patience);
        self.callers.insert(caller.call_id.clone(), caller);
        self.grant(addr(TRUNK), wishes);
        let pause = Duration::from_millis(100 + self.rng.below(5_000));
        self.at(pause, Due::NewCaller);
    }

    /// Phones register again; at once and without loss, this is not about the registrar.
    fn refresh(&mut self) {
        let alive: Vec<(&'static str, SocketAddr)> = self
            .phones
            .values()
            .filter(|p| p.alive && !p.user.is_empty())
            .map(|p| (p.user, p.at))
            .collect();
        for (user, at) in alive {
            self.register(user, at);
        }
        self.at(Duration::from_secs(45), Due::Refresh);
    }

    pub(super) fn register(&mut self, user: &str, at: SocketAddr) {
        let mut answer = None;
        for cseq in 1..=2 {
            self.count += 1;
            let branch = format!("z9hG4bKreg{}", self.count);
            let draft = Builder::request(&Method::Register, &format!("sip:{DOMAIN}"))
                .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch={branch};rport"))
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:{user}@{DOMAIN}>;tag=r{user}"))
                .header(Header::To, format_args!("<sip:{user}@{DOMAIN}>"))
                .header(Header::CallId, format_args!("reg-{}", self.count))
                .header(Header::CSeq, format_args!("{cseq} REGISTER"))
                .header(Header::Contact, format_args!("<sip:{user}@{at}>"))
                .header(Header::Expires, 120);
            let draft = match answer.take() {
                Some(line) => draft.header(Header::Authorization, line),
                None => draft,
            };
            let message = Message::parse(draft.finish()).expect("ours");
            let shard = shard_of(&message, SHARDS, &KEY).index();
            let flow = Flow { transport: Transport::Udp, listener: 0, remote: at, connection: 0 };
            self.switches[shard]
                .handle(self.now, Input::Packet { flow, message, received: self.now });
            answer = self.challenge(shard, user, at);
        }
    }

    fn challenge(&mut self, shard: usize, user: &str, at: SocketAddr) -> Option<String> {
        let mut challenge = None;
        let mut others = Vec::new();
        while let Some(output) = self.switches[shard].poll_output() {
            match output {
                Output::Send { flow, bytes } if flow.remote == at => {
                    let message = Message::parse(bytes.clone()).expect("ours");
                    match message.header(Header::WwwAuthenticate) {
                        Some(line) => challenge = Some(line.to_owned()),
                        None => others.push(Due::ToActor(at, bytes)),
                    }
                }
                Output::Send { flow, bytes } => others.push(Due::ToActor(flow.remote, bytes)),
                Output::Event(event) => self.told(&event),
                Output::Mail { to, mail } => {
                    self.at(Duration::from_micros(50), Due::Mail(to, mail))
                }
                _ => {}
            }
        }
        others.into_iter().for_each(|due| self.post(due));
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
