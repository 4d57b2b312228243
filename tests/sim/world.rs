//! The world of one run: switches that share one board, a clock, a network, people. Everything that
//! happens stands in one queue, ordered by time; everything that is drawn comes from the seed.

pub use std::collections::{BTreeMap, BTreeSet, VecDeque};
pub use std::net::SocketAddr;
pub use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
pub use std::time::Duration;

use bytes::Bytes;
pub use jiff::Timestamp;
pub use telefonist::acd::{AgentState, Board, BoardLimits, Flags, Wake};
pub use telefonist::domain::*;
use telefonist::meters::{MeterLimits, Meters};
pub use telefonist::policy::IndexState;
use telefonist::registrar::Location;
pub use telefonist::sip::{Framer, Header, Message, Method};
pub use telefonist::switch::{
    Addressee, Command, Direction, Event, Identified, Input, Mail, OfferResult, Outcome, Output,
    Party, Setup, Shared, Switch, What, home_of, shard_of,
};

pub use super::book::{Book, Story};
use super::callers::{Caller, CallerStage, Wish};
use super::checks::{self, Check};
pub use super::company::{DOMAIN, LIMITS, TRUNK, addr};
use super::office::{self, Variant};
pub use super::options::{Fault, Faults, Options, Rng};
use super::phones::Phone;
use super::reference::Office;

pub const KEY: [u8; 16] = [1; 16];
/// Lines of the trace that a failure shows.
const SHOWN: usize = 60;
/// Worlds of more callers are looked at once in a while instead of at every step.
const SMALL: u32 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Small ones at every step at which something happened, and after so long if nothing did.
const SMALL_LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub enum Due {
    ToServer(SocketAddr, Bytes),
    ToActor(SocketAddr, Bytes),
    Mail(ShardId, Mail),
    Identified(CallKey, Identified),
    Again(String),
    Caller(String),
    Phone(SocketAddr, String),
    NewCaller,
    Trouble,
    Order,
    Refresh,
    Register(usize),
    Awake(usize),
    Failed(usize, Flow),
}

pub struct Insisting {
    pub from: SocketAddr,
    pub bytes: Bytes,
    pub every: Duration,
    pub until: Moment,
}

/// A stream between a phone and us.
#[derive(Default)]
pub struct Stream {
    pub connection: u64,
    pub framer: Framer,
    /// When the last bytes of each direction arrive.
    pub last: [Option<Moment>; 2],
}

/// One person's phone: where it is now.
pub struct Home {
    pub user: &'static str,
    pub at: SocketAddr,
    pub transport: Transport,
}

/// What is drawn, each from a stream of its own.
pub struct Dice {
    pub network: Rng,
    pub phones: Rng,
    pub callers: Rng,
    pub troubles: Rng,
    pub database: Rng,
    pub orders: Rng,
}

/// What one worker knows by now of what was loaded.
#[derive(Clone)]
pub struct View {
    pub absent: office::Absent,
    pub moved: office::Moved,
    pub orders: Orders,
    pub policy: usize,
    pub wall: WallOffset,
}

impl View {
    pub fn office(&self) -> Office<'_> {
        Office::of(&self.absent, &self.moved, &self.orders)
    }
}

/// A run that failed: what was found.
pub struct Failure(pub String);

pub struct Sim {
    pub options: Options,
    pub now: Moment,
    pub dice: Dice,
    /// Those in force; empty when the storm is over.
    pub faults: Faults,
    pub shards: u16,
    pub settings: Arc<Settings>,
    pub directory: Arc<Directory>,
    pub absent: office::Absent,
    pub moved: office::Moved,
    /// What the shift leader has ordered (B8).
    pub orders: Orders,
    pub directories: Vec<(Arc<Directory>, office::Absent, office::Moved, Orders)>,
    pub views: Vec<View>,
    pub variants: Vec<Variant>,
    pub policy: usize,
    pub wall: WallOffset,
    pub started: u32,
    pub bells: Vec<Arc<Bell>>,
    pub shared: Shared,
    pub switches: Vec<Switch>,
    /// This worker's next turn ends in a panic.
    pub breaks: Option<usize>,
    pub stalled: Vec<Moment>,
    pub held: Vec<VecDeque<Input>>,
    /// When everybody was told something last: workers hear of it one after the other.
    pub told_all: Moment,
    /// The last moment at which a worker stood still, or began anew.
    pub disturbed: Moment,
    pub queue: BTreeMap<(Moment, u64), Due>,
    pub count: u64,
    pub came: u32,
    pub troubles: u32,
    /// When the last datagram of each direction arrives.
    pub last: BTreeMap<(SocketAddr, bool), Moment>,
    pub insisting: BTreeMap<String, Insisting>,
    pub streams: BTreeMap<SocketAddr, Stream>,
    pub callers: BTreeMap<String, Caller>,
    pub homes: Vec<Home>,
    pub phones: BTreeMap<SocketAddr, Phone>,
    pub clients: Vec<Arc<Client>>,
    pub book: Book,
    pub checks: Vec<Box<dyn Check>>,
    pub looked: Moment,
    pub happened: bool,
    #[cfg(feature = "shell")]
    pub state: telefonist::store::journal::State,
    #[cfg(feature = "shell")]
    pub states: Vec<telefonist::store::journal::State>,
    #[cfg(feature = "shell")]
    pub recordings: super::recorded::Recordings,
    pub log: Vec<String>,
    /// Of the whole trace, also of what the log has dropped.
    pub trace: u64,
}

impl Sim {
    pub fn new(options: &Options) -> Self {
        let mut sim = Self::unborn(options);
        sim.begin();
        sim
    }

    /// The same, recorded.
    #[cfg(feature = "shell")]
    pub fn recording(options: &Options, recordings: super::recorded::Recordings) -> Self {
        let mut sim = Self { recordings, ..Self::unborn(options) };
        sim.begin();
        sim
    }

    fn unborn(options: &Options) -> Self {
        let seed = options.seed;
        let mut begin = Rng::of(seed, 1);
        let shards = 1 + begin.below(4) as u16;
        let settings = Arc::new(office::settings());
        let now = Moment::from_millis(1_000);
        let begins = ["10:00", "10:00", "12:30", "16:10", "16:40"];
        let wall: Timestamp =
            format!("2026-03-03T{}:00Z", begin.one(&begins)).parse().expect("a time");
        let rows = office::rows(wall, &Vec::new(), &Vec::new());
        let directory = Arc::new(Directory::build(None, rows, LIMITS).expect("a directory"));
        let bells: Vec<Arc<Bell>> = (0..shards).map(|_| Arc::default()).collect();
        let dice = Dice {
            network: Rng::of(seed, 2),
            phones: Rng::of(seed, 3),
            callers: Rng::of(seed, 4),
            troubles: Rng::of(seed, 5),
            database: Rng::of(seed, 6),
            orders: Rng::of(seed, 7),
        };
        Self {
            now,
            dice,
            faults: options.faults.clone(),
            shards,
            variants: office::variants(&directory, &settings),
            policy: 0,
            views: Vec::new(),
            directories: Vec::new(),
            absent: Vec::new(),
            moved: Vec::new(),
            orders: Orders::default(),
            wall: WallOffset::new(now, wall),
            started: 1,
            shared: shared(&bells, &settings),
            bells,
            settings,
            directory,
            switches: Vec::new(),
            breaks: None,
            stalled: vec![Moment::ZERO; usize::from(shards)],
            held: (0..shards).map(|_| VecDeque::new()).collect(),
            told_all: Moment::ZERO,
            disturbed: Moment::ZERO,
            queue: BTreeMap::new(),
            count: 0,
            came: 0,
            troubles: 0,
            last: BTreeMap::new(),
            insisting: BTreeMap::new(),
            streams: BTreeMap::new(),
            callers: BTreeMap::new(),
            homes: homes(),
            phones: BTreeMap::new(),
            clients: office::clients(wall),
            book: Book::default(),
            checks: checks::all(),
            looked: Moment::ZERO,
            happened: false,
            #[cfg(feature = "shell")]
            state: Default::default(),
            #[cfg(feature = "shell")]
            states: (0..shards).map(|_| Default::default()).collect(),
            #[cfg(feature = "shell")]
            recordings: Default::default(),
            log: Vec::new(),
            trace: 0,
            options: options.clone(),
        }
    }

    fn begin(&mut self) {
        self.phones.insert(addr(TRUNK), Phone::new("", addr(TRUNK), Transport::Udp));
        self.views = (0..self.shards).map(|_| self.view()).collect();
        self.switches =
            (0..self.shards).map(|shard| Switch::new(self.now, self.setup(shard))).collect();
        self.record_all();
        self.settle();
        for place in 0..self.homes.len() {
            self.anew(place);
        }
        self.at(Duration::from_secs(45), Due::Refresh);
        self.at(Duration::from_secs(1), Due::NewCaller);
        self.at(Duration::from_secs(2), Due::Trouble);
        if self.has(Fault::Orders) {
            self.at(Duration::from_secs(3), Due::Order);
        }
    }

    pub fn setup(&self, shard: u16) -> Setup {
        Setup {
            shard: ShardId(shard as u8),
            shards: self.shards,
            started: self.started,
            hash_key: KEY,
            nonce_key: [2; 32],
            seed: [(u32::from(shard) + 10 * self.started) as u8; 32],
            shared: self.shared.clone(),
            settings: self.settings.clone(),
            directory: self.directory.clone(),
            policy: self.variants[self.policy].policy.clone(),
            wall: self.wall,
        }
    }

    /// A worker's switch is given something.
    pub fn handle(&mut self, shard: usize, input: Input) {
        #[cfg(feature = "shell")]
        self.recordings.input(shard, self.now, &input);
        self.switches[shard].handle(self.now, input);
    }

    /// The next that a worker's switch wants done.
    pub fn polled(&mut self, shard: usize) -> Option<Output> {
        let output = self.switches[shard].poll_output()?;
        #[cfg(feature = "shell")]
        self.recordings.output(shard, self.now, &output);
        Some(output)
    }

    /// Recordings begin anew with the switches.
    #[cfg(feature = "shell")]
    pub fn record_all(&mut self) {
        (0..self.switches.len()).for_each(|shard| self.record(shard));
    }

    #[cfg(not(feature = "shell"))]
    pub fn record_all(&mut self) {}

    /// As a worker knows it that has heard everything.
    pub fn view(&self) -> View {
        let (absent, moved) = (self.absent.clone(), self.moved.clone());
        let orders = self.orders.clone();
        View { absent, moved, orders, policy: self.policy, wall: self.wall }
    }

    fn learns(&mut self, shard: usize, input: &Input) {
        let view = &mut self.views[shard];
        match input {
            Input::Policy(policy) => {
                let same = |v: &Variant| Arc::ptr_eq(&v.policy, policy);
                view.policy = self.variants.iter().position(same).unwrap_or(view.policy);
            }
            Input::Directory(directory) => {
                let same = |(d, ..): &&(Arc<Directory>, _, _, _)| Arc::ptr_eq(d, directory);
                if let Some((_, absent, moved, orders)) = self.directories.iter().find(same) {
                    (view.absent, view.moved) = (absent.clone(), moved.clone());
                    view.orders.clone_from(orders);
                }
            }
            Input::Wall(wall) => view.wall = *wall,
            Input::Command { command, .. } => self.book.commanded(command),
            _ => {}
        }
    }

    /// No worker stands still, stood still a moment ago, or began anew.
    pub fn is_undisturbed(&self) -> bool {
        self.now > self.disturbed + Duration::from_millis(1_500) || self.disturbed == Moment::ZERO
    }

    /// What everybody was told last is known to all: they hear of it one after the other at one instant.
    pub fn has_heard(&self) -> bool {
        self.now > self.told_all
    }

    /// The tables as they are now.
    pub fn office(&self) -> Office<'_> {
        Office::of(&self.absent, &self.moved, &self.orders)
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub fn at(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), due);
    }

    /// A line of the trace.
    pub fn note(&mut self, line: String) {
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.log.len() > 20_000 {
            self.log.drain(..10_000);
        }
        self.log.push(line);
    }

    pub fn fail(&self, what: &str) -> ! {
        let shown = std::env::var("SIM_SHOWN").ok().and_then(|n| n.parse().ok()).unwrap_or(SHOWN);
        let from = self.log.len().saturating_sub(shown);
        let log = self.log[from..].join("\n");
        std::panic::resume_unwind(Box::new(Failure(format!("{log}\nat {:?}: {what}", self.now))))
    }

    #[cfg(feature = "shell")]
    fn is_planted(&self, input: &Input) -> bool {
        self.recordings.breaks.is_some_and(|breaks| breaks(input))
    }

    #[cfg(not(feature = "shell"))]
    fn is_planted(&self, _: &Input) -> bool {
        false
    }

    /// Safety alone.
    #[cfg(feature = "shell")]
    pub fn until_calm(&mut self) {
        while self.came < self.options.calls {
            self.until(self.now + Duration::from_secs(5));
        }
        self.until(self.now + Duration::from_secs(20));
    }

    /// Everybody hangs up and nothing happens for ten minutes, but that phones register; then others call.
    #[cfg(feature = "shell")]
    pub fn pause_before(&mut self, more: u32) {
        let callers: Vec<String> = self.callers.keys().cloned().collect();
        for id in callers {
            let Some(caller) = self.callers.get_mut(&id) else { continue };
            let (at, wishes) = (caller.at, caller.gives_up());
            self.grant(at, wishes);
        }
        self.until(self.now + Duration::from_secs(600));
        self.options.calls += more;
        self.at(Duration::from_secs(1), Due::NewCaller);
    }

    /// Safety while faults are on, liveness when they are off, emptiness in the end. Gives the trace.
    pub fn run(mut self) -> (u64, u32) {
        // Safety: as long as callers come.
        while self.came < self.options.calls {
            self.until(self.now + Duration::from_secs(5));
        }
        self.until(self.now + Duration::from_secs(20));
        // Liveness: within bounded time everybody is heard and hangs up.
        self.faults = Faults::new();
        self.note(format!("{:?} calm", self.now));
        self.calm();
        self.until(self.now + Duration::from_secs(240));
        let callers: Vec<String> = self.callers.keys().cloned().collect();
        for id in callers {
            let Some(caller) = self.callers.get_mut(&id) else { continue };
            let (at, wishes) = (caller.at, caller.gives_up());
            self.grant(at, wishes);
        }
        self.until(self.now + Duration::from_secs(600));
        self.calm();
        self.until(self.now + Duration::from_secs(60));
        self.queue.retain(|_, due| !matches!(due, Due::Refresh | Due::Register(_)));
        self.until(self.now + Duration::from_secs(40));
        // Emptiness.
        self.checked(&mut |check, sim| check.over(sim));
        (self.trace, self.came)
    }

    fn until(&mut self, end: Moment) {
        loop {
            let first = self.queue.first_key_value().map_or(Moment::NEVER, |(k, _)| k.0);
            let timers = (0..self.switches.len()).map(|shard| self.wakes_at(shard)).min();
            let next = first.min(timers.unwrap_or(Moment::NEVER)).max(self.now);
            if next > end {
                self.now = end.max(self.now);
                return;
            }
            self.now = next;
            self.timers();
            while let Some(entry) = self.queue.first_entry()
                && entry.key().0 <= self.now
            {
                let due = entry.remove();
                self.happened = true;
                self.happens(due);
            }
            self.settle();
            let small = self.options.calls <= SMALL;
            let most = if small { SMALL_LOOK_EVERY } else { LOOK_EVERY };
            if (small && self.happened) || self.now >= self.looked + most {
                self.happened = false;
                self.looked = self.now;
                self.checked(&mut |check, sim| check.step(sim));
            }
        }
    }

    fn wakes_at(&self, shard: usize) -> Moment {
        self.switches[shard].poll_timeout().max(self.stalled[shard])
    }

    fn timers(&mut self) {
        for shard in 0..self.switches.len() {
            let mut turns = 0;
            while self.wakes_at(shard) <= self.now {
                self.input(shard, Input::Wake);
                turns += 1;
                if turns > 8 {
                    self.fail("I12: a timer is due again and again at one moment");
                }
            }
        }
    }

    /// Every check looks; the first that finds something ends the run.
    pub fn checked(&mut self, look: &mut dyn FnMut(&mut dyn Check, &Sim) -> checks::Found) {
        let mut all = std::mem::take(&mut self.checks);
        for check in &mut all {
            if let Err(what) = look(check.as_mut(), self) {
                self.fail(&format!("{}: {what}", check.name()));
            }
        }
        self.checks = all;
    }

    /// Shards whose bell rang look.
    pub fn settle(&mut self) {
        loop {
            let rung = |shard: &usize| {
                self.stalled[*shard] <= self.now
                    && self.bells[*shard].0.swap(false, Ordering::Relaxed)
            };
            let Some(shard) = (0..self.bells.len()).find(rung) else { return };
            self.input(shard, Input::Wake);
        }
    }

    pub fn is_stalled(&self, shard: usize) -> bool {
        self.stalled[shard] > self.now
    }

    pub fn input(&mut self, shard: usize, input: Input) {
        if self.is_stalled(shard) {
            if !matches!(input, Input::Wake) {
                self.held[shard].push_back(input);
            }
            return;
        }
        // Every turn begins with a look at the bells.
        if !matches!(input, Input::Wake) {
            self.turn(shard, Input::Wake);
        }
        self.turn(shard, input);
    }

    fn turn(&mut self, shard: usize, input: Input) {
        if let Input::Identified { call, found } = &input {
            self.book.found.entry(*call).or_insert_with(|| found.clone());
        }
        let kind = checks::Kind::of(&input);
        self.learns(shard, &input);
        let planted = self.is_planted(&input);
        self.handle(shard, input);
        let broken = self.breaks == Some(shard) && kind == checks::Kind::Packet;
        if cfg!(feature = "shell") && (broken || planted) {
            self.breaks = None;
            return self.rebuild(shard);
        }
        let outputs = self.drain(shard);
        self.checked(&mut |check, sim| check.turned(sim, shard, kind, outputs));
    }

    pub fn drain(&mut self, shard: usize) -> usize {
        let mut count = 0;
        while let Some(output) = self.polled(shard) {
            count += 1;
            self.happened = true;
            self.leaves(shard, output);
        }
        count
    }

    pub fn leaves(&mut self, shard: usize, output: Output) {
        match output {
            Output::Send { flow, bytes } => self.sends(shard, flow, bytes),
            Output::Identify { call, number } => self.asked(call, number.as_ref()),
            Output::Event(event) => self.told(shard, &event),
            Output::Mail { to, mail } => self.at(Duration::from_micros(50), Due::Mail(to, mail)),
            Output::Reply { .. } | Output::Notify(_) => {}
        }
    }

    /// The client database answers, late, wrongly, or not at all.
    fn asked(&mut self, call: CallKey, number: Option<&Number>) {
        let has = |n: &&Arc<Client>| number.is_some_and(|number| n.numbers.contains(number));
        let mut client = self.clients.iter().find(has).cloned();
        let mut index = IndexState::Fresh;
        let die = self.dice.database.below(100);
        let (any, slow) =
            (self.dice.database.one(&self.clients).clone(), self.dice.database.below(2_000));
        let mut delay = Duration::from_micros(200 + slow * 10);
        match die {
            _ if !self.has(Fault::Database) => {}
            0..=3 => return,
            4..=8 => delay = Duration::from_millis(slow),
            9..=11 => {
                client = None;
                index = IndexState::Unavailable { why: "the simulation".into() };
            }
            12..=14 => client = Some(any),
            _ => {}
        }
        self.at(delay, Due::Identified(call, Identified { client, others: vec![], index }));
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::ToServer(from, bytes) => self.server_hears(from, bytes),
            Due::ToActor(at, bytes) => self.actor_hears(at, &bytes),
            Due::Mail(to, mail) => self.input(to.index(), Input::Mail(mail)),
            Due::Identified(call, found) => {
                self.input(call.shard().index(), Input::Identified { call, found });
            }
            Due::Again(name) => self.again(name),
            Due::Caller(name) => self.caller_due(&name),
            Due::Phone(at, call_id) => {
                let Some(phone) = self.phones.get_mut(&at).filter(|p| p.alive) else { return };
                let wishes = phone.due(&call_id, &mut self.dice.phones);
                self.grant(at, wishes);
            }
            Due::NewCaller if self.came < self.options.calls => self.new_caller(),
            Due::Trouble if !self.faults.is_empty() => self.trouble(),
            Due::Order if self.has(Fault::Orders) => self.ordered(),
            Due::NewCaller | Due::Trouble | Due::Order => {}
            Due::Refresh => self.refresh(),
            Due::Register(place) => self.register(place),
            Due::Awake(shard) => self.awakes(shard),
            Due::Failed(shard, flow) => self.input(shard, Input::SendFailed { flow }),
        }
    }

    pub fn grant(&mut self, at: SocketAddr, wishes: Vec<Wish>) {
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
            let phone = self.phones.get_mut(&from).filter(|_| over && !dead);
            let wishes = phone.map(|phone| phone.unheard(&name)).unwrap_or_default();
            return self.grant(from, wishes);
        }
        self.answers_again(from, &name);
        self.post(Due::ToServer(from, bytes));
        self.at(every, Due::Again(name));
    }

    /// I1: an answer that crossed our CANCEL is acknowledged at once, where nothing gets lost.
    fn answers_again(&self, from: SocketAddr, name: &str) {
        let late = |(id, call): (&String, &super::phones::Incoming)| {
            call.cancelled && name.starts_with("ok-") && name.contains(id.as_str())
        };
        let late = self.phones.get(&from).is_some_and(|phone| phone.calls.iter().any(late));
        if late && !checks::is_rough(&self.options.faults) {
            self.fail("I1: an answer after CANCEL is not acknowledged");
        }
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
    fn dials(&mut self) {
        let place = self.dice.callers.below(self.homes.len() as u64) as usize;
        let numbers = ["ole", "ida", "mia", "hans", "03023125999", "*13", "*14", "*11", "nobody"];
        let number = *self.dice.callers.one(&numbers);
        let patience = Duration::from_millis(self.dice.callers.below(30_000));
        let home = &self.homes[place];
        let (user, at, udp) = (home.user, home.at, home.transport == Transport::Udp);
        if !udp || !self.phones.get(&at).is_some_and(|p| p.alive && p.engaged() == 0) {
            return;
        }
        let count = self.callers.len() as u32;
        let mut caller = Caller::person(at, user, number, count, &mut self.dice.callers);
        let wishes = caller.begin(patience);
        self.callers.insert(caller.call_id.clone(), caller);
        self.grant(at, wishes);
    }

    fn new_caller(&mut self) {
        if self.dice.callers.chance(20) && self.has(Fault::Dial) {
            self.dials();
        }
        self.came += 1;
        let number = office::number(&mut self.dice.callers);
        let called = *self.dice.callers.one(&office::CALLED);
        let count = self.callers.len() as u32;
        let rude = self.has(Fault::HangUp);
        let whom = (number.as_str(), called);
        let mut caller = Caller::new(addr(TRUNK), whom, count, &mut self.dice.callers, rude);
        let patience = self.dice.callers.below(60_000);
        let patience = Duration::from_millis(if rude { patience } else { 90_000 + patience });
        let wishes = caller.begin(patience);
        self.callers.insert(caller.call_id.clone(), caller);
        self.grant(addr(TRUNK), wishes);
        let pause = Duration::from_millis(100 + self.dice.callers.below(4_000));
        self.at(pause, Due::NewCaller);
        self.callers_gone();
    }

    /// Who is done is forgotten, so that a long run stays small.
    fn callers_gone(&mut self) {
        if self.callers.len() > 4_000 {
            self.callers.retain(|_, caller| caller.stage != CallerStage::Over);
        }
    }
}

pub fn shared(bells: &[Arc<Bell>], settings: &Settings) -> Shared {
    let limits = BoardLimits {
        agents: LIMITS.agents_max,
        groups: LIMITS.groups_max,
        shards: bells.len() as u16,
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

fn homes() -> Vec<Home> {
    let transport = |stream: bool| if stream { Transport::Tcp } else { Transport::Udp };
    let home = |(user, at, stream): &(&'static str, &str, bool)| Home {
        user,
        at: addr(at),
        transport: transport(*stream),
    };
    office::PHONES.iter().map(home).collect()
}
