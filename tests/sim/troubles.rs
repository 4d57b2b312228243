//! What a supervisor, a clock, a phone, a disk or a machine does to the switches.

use telefonist::sip::Builder;

use super::company::CARRIER;
use super::office::{self, GROUPS, PEOPLE, RELOADED, SUPERVISOR, group};
use super::world::*;

impl Sim {
    /// One trouble of those that are on, and when the next comes.
    pub fn trouble(&mut self) {
        let pause = Duration::from_millis(300 + self.dice.troubles.below(4_000));
        self.at(pause, Due::Trouble);
        if self.troubles >= self.options.troubles {
            return;
        }
        self.troubles += 1;
        let fault = *self.dice.troubles.one(&TROUBLES);
        let (person, die) =
            (self.dice.troubles.below(PEOPLE.len() as u64), self.dice.troubles.next());
        let place = self.dice.troubles.below(self.homes.len() as u64) as usize;
        let on = self.has(fault);
        if on {
            self.happens_to(fault, person as usize, place, die);
        }
    }

    fn happens_to(&mut self, fault: Fault, who: usize, place: usize, die: u64) {
        let person: PersonId = PEOPLE[who].0.into();
        match fault {
            Fault::Pause => match die % 8 {
                0 | 1 => self.command(Command::Pause { person, reason: "cash desk".into() }),
                2 => self.command(Command::Logout { person }),
                3 => self.hang_up(die),
                4 | 5 => self.command(Command::Resume { person }),
                _ => self.everybody_works(),
            },
            Fault::Policy => {
                self.policy = (self.policy + 1) % office::RELOADED;
                let policy = self.variants[self.policy].policy.clone();
                self.note(format!("{:?} policy {}", self.now, self.policy));
                self.everybody(&Input::Policy(policy));
            }
            Fault::Roster => self.roster(who, die),
            Fault::Settings => {
                let mut settings = (*self.settings).clone();
                settings.lock_after = match die % 3 {
                    0 => LockAfter::Never,
                    n => LockAfter::Missed(n as u32),
                };
                self.settings = Arc::new(settings);
                let settings = self.settings.clone();
                self.everybody(&Input::Settings(settings));
            }
            Fault::Clock => {
                let jump = (die % 7_200) as i64 - 3_600;
                let wall = self.wall.wall(self.now) + jiff::SignedDuration::from_secs(jump);
                self.wall = WallOffset::new(self.now, wall);
                self.note(format!("{:?} the clock says {wall}", self.now));
                self.everybody(&Input::Wall(self.wall));
            }
            Fault::Reset => self.reset(place),
            Fault::Vanish => self.vanish(place, die),
            Fault::Elsewhere => self.elsewhere(place),
            Fault::Stall => self.stall(die),
            Fault::Timers => self.many_timers(),
            Fault::Kill => self.kill(),
            Fault::Panic => self.breaks = Some((die % u64::from(self.shards)) as usize),
            _ => {}
        }
    }

    fn roster(&mut self, who: usize, die: u64) {
        match die % 4 {
            0 if self.absent.iter().all(|(absent, _)| *absent != who) => self.absent.push((
                who,
                (!die.is_multiple_of(3)).then_some((who + 1 + die as usize % 5) % PEOPLE.len()),
            )),
            0 | 1 => self.absent.clear(),
            2 if (die >> 8).is_multiple_of(2) => {
                self.order(Order::ClosePosition { person: PEOPLE[who].0.into() });
            }
            2 => self
                .moved
                .push((who, ["operator", "key_account_manager", "finance"][die as usize % 3])),
            _ => {
                self.moved.clear();
                self.orders = Orders::default();
            }
        }
        self.absent.truncate(5);
        self.new_directory();
    }

    fn new_directory(&mut self) {
        let wall = self.wall.wall(self.now);
        let rows = office::rows(wall, &self.absent, &self.moved);
        let orders = self.orders.clone();
        let directory = Directory::build_with(Some(&self.directory), rows, orders, LIMITS);
        self.directory = Arc::new(directory.expect("a directory"));
        let (absent, moved, orders) =
            (self.absent.clone(), self.moved.clone(), self.orders.clone());
        let said: Vec<String> = orders.iter().map(|standing| standing.order.to_string()).collect();
        self.note(format!("{:?} absent {absent:?} moved {moved:?} orders {said:?}", self.now));
        let directory = self.directory.clone();
        if self.directories.len() > 40 {
            self.directories.drain(..20);
        }
        self.directories.push((directory.clone(), absent, moved, orders));
        self.everybody(&Input::Directory(directory));
    }

    /// One more order; what stands already is refused and changes nothing.
    fn order(&mut self, order: Order) {
        let at = self.wall.wall(self.now);
        if let Ok(orders) = self.orders.with(order, (&SUPERVISOR.into(), at)) {
            self.orders = orders;
        }
    }

    /// A supervisor's hand (B8, B7), and when it comes next.
    pub fn ordered(&mut self) {
        let pause = Duration::from_millis(500 + self.dice.orders.below(5_000));
        self.at(pause, Due::Order);
        let die = self.dice.orders.below(16);
        let person: PersonId = self.dice.orders.one(&PEOPLE).0.into();
        let to = *self.dice.orders.one(&GROUPS);
        let from = *self.dice.orders.one(&GROUPS);
        let rush = self.dice.orders.chance(50);
        let help = self.dice.orders.below(3) as usize;
        match die {
            0..=3 => return self.takes_a_call(to, person),
            4 => return self.helps(help),
            5 => self.order(Order::ClosePosition { person }),
            6 => self.order(Order::OpenPosition { person }),
            7 | 8 => self.order(Order::Close { group: group(to) }),
            9 => self.order(Order::Open { group: group(to) }),
            10 => self.order(Order::Move { person, to: group(to), from: None }),
            11 => self.order(Order::Move { person, to: group(to), from: Some(group(from)) }),
            12 => self.order(Order::Back { person }),
            13 => {
                let (name, orders) = office::plan(rush);
                let at = self.wall.wall(self.now);
                let plan = self.orders.with_plan(&name.into(), &orders, (&SUPERVISOR.into(), at));
                self.orders = plan.unwrap_or_else(|_| self.orders.clone());
            }
            14 => self.orders = self.orders.without_plan().unwrap_or_default(),
            _ => self.orders = Orders::default(),
        }
        self.new_directory();
    }

    /// A call that may wait goes to another queue: a group's, or a person's own.
    fn takes_a_call(&mut self, to: &str, person: PersonId) {
        let open: Vec<CallKey> = self.book.open.iter().copied().collect();
        if open.is_empty() {
            return;
        }
        let call = *self.dice.orders.one(&open);
        let to = if self.dice.orders.chance(30) { person.as_str() } else { to };
        self.command(Command::MoveCall { call, to: to.into(), supervisor: SUPERVISOR.into() });
    }

    /// The policy's word on help: as shipped, sooner, none.
    fn helps(&mut self, help: usize) {
        self.policy = [0, RELOADED, RELOADED + 1][help];
        let policy = self.variants[self.policy].policy.clone();
        self.note(format!("{:?} policy {} (help)", self.now, self.policy));
        self.everybody(&Input::Policy(policy));
    }

    fn everybody_works(&mut self) {
        for (id, _, _) in PEOPLE {
            self.command(Command::Resume { person: id.into() });
            self.command(Command::Login { person: id.into() });
        }
    }

    fn everybody(&mut self, input: &Input) {
        self.told_all = self.now;
        for shard in 0..self.switches.len() {
            self.input(shard, input.clone());
        }
    }

    fn command(&mut self, command: Command) {
        let shard = match command.addressee() {
            Addressee::Home(person) => {
                let Some(agent) = self.directory.agent(&person) else { return };
                home_of(&self.directory, agent, self.shards, &KEY)
            }
            Addressee::Shard(shard) => shard,
            Addressee::Any | Addressee::All => ShardId(0),
        };
        self.note(format!("{:?} command {command:?}", self.now));
        self.input(shard.index(), Input::Command { id: 1, command, by: "sim".into() });
    }

    fn hang_up(&mut self, die: u64) {
        let open: Vec<CallKey> = self.book.open.iter().copied().collect();
        if !open.is_empty() {
            let call = open[die as usize % open.len()];
            self.command(Command::Hangup { call });
        }
    }

    /// Switched off without a word, or on again without a memory.
    fn vanish(&mut self, place: usize, die: u64) {
        let at = self.homes[place].at;
        let alive = self.phones.get(&at).is_some_and(|phone| phone.alive);
        if !alive {
            return self.anew(place);
        }
        if let Some(phone) = self.phones.get_mut(&at) {
            phone.alive = false;
        }
        self.note(format!("{:?} {at} is switched off", self.now));
        if die.is_multiple_of(2) {
            self.reset(place);
        }
    }

    /// The person registers from another place; the phone that may ring is gone.
    fn elsewhere(&mut self, place: usize) {
        let old = self.homes[place].at;
        let port = 7_000 + (self.count % 20_000) as u16;
        let new = SocketAddr::new(old.ip(), port);
        if self.phones.contains_key(&new) {
            return;
        }
        if let Some(phone) = self.phones.get_mut(&old) {
            phone.alive = false;
        }
        self.note(format!("{:?} {old} moves to {new}", self.now));
        self.homes[place].at = new;
        self.anew(place);
    }

    fn stall(&mut self, die: u64) {
        let shard = (die % u64::from(self.shards)) as usize;
        let span = Duration::from_millis(50 + die % 5_000);
        self.stalled[shard] = self.now + span;
        self.disturbed = self.disturbed.max(self.now + span);
        self.note(format!("{:?} worker {shard} stands still for {span:?}", self.now));
        self.at(span, Due::Awake(shard));
    }

    pub fn awakes(&mut self, shard: usize) {
        if self.is_stalled(shard) {
            return;
        }
        while let Some(input) = self.held[shard].pop_front() {
            self.input(shard, input);
        }
    }

    /// Ten thousand requests at one instant leave ten thousand timers for one instant. Once in a run.
    fn many_timers(&mut self) {
        if self.book.had_timers {
            return;
        }
        self.book.had_timers = true;
        self.note(format!("{:?} ten thousand requests", self.now));
        let flow =
            Flow { transport: Transport::Udp, listener: 0, remote: addr(CARRIER), connection: 0 };
        for n in 0..10_000 {
            let draft = Builder::request(&Method::Options, &format!("sip:{DOMAIN}"))
                .header(Header::Via, format_args!("SIP/2.0/UDP {CARRIER};branch=z9hG4bKmany{n}"))
                .header(Header::MaxForwards, 70)
                .header(Header::From, format_args!("<sip:carrier@{CARRIER}>;tag=many"))
                .header(Header::To, format_args!("<sip:{DOMAIN}>"))
                .header(Header::CallId, format_args!("many{n}"))
                .header(Header::CSeq, "1 OPTIONS");
            let message = Message::parse(draft.finish()).expect("ours");
            let shard = shard_of(&message, self.shards, &KEY).index();
            self.input(shard, Input::Packet { flow, message, received: self.now });
        }
    }

    /// The process dies between two turns, and another takes over what its journal says.
    #[cfg(feature = "shell")]
    fn kill(&mut self) {
        self.note(format!("{:?} kill -9", self.now));
        self.started += 1;
        self.disturbed = self.disturbed.max(self.now);
        self.bells = (0..self.shards).map(|_| Arc::default()).collect();
        self.shared = shared(&self.bells, &self.settings);
        self.queue.retain(|_, due| !of_the_process(due));
        self.held.iter_mut().for_each(VecDeque::clear);
        self.stalled.iter_mut().for_each(|until| *until = Moment::ZERO);
        // Connections die with the process.
        for stream in self.streams.values_mut() {
            *stream = Stream { connection: stream.connection + 1, ..Stream::default() };
        }
        for place in 0..self.homes.len() {
            if self.homes[place].transport != Transport::Udp {
                let pause = Duration::from_millis(100 + self.dice.troubles.below(3_000));
                self.at(pause, Due::Register(place));
            }
        }
        let journalled = self.state.journalled(false);
        self.switches = (0..self.shards).map(|s| Switch::new(self.now, self.setup(s))).collect();
        self.book.restarted(None);
        self.views = (0..self.shards).map(|_| self.view()).collect();
        self.record_all();
        for shard in 0..self.switches.len() {
            self.switches[shard].restore(self.now, &journalled);
            self.drain(shard);
        }
        self.settle();
    }

    /// A worker panicked in the middle of a turn: what the turn wanted to say is lost with it; the worker
    /// is built anew from its own journal, the others are untouched.
    #[cfg(feature = "shell")]
    pub fn rebuild(&mut self, shard: usize) {
        self.note(format!("{:?} worker {shard} panicked", self.now));
        self.recordings.panicked(shard);
        self.started += 1;
        self.disturbed = self.disturbed.max(self.now);
        let journalled = self.states[shard].journalled(true);
        self.switches[shard] = Switch::new(self.now, self.setup(shard as u16));
        self.book.restarted(Some(shard));
        self.views[shard] = self.view();
        self.record(shard);
        self.switches[shard].restore(self.now, &journalled);
        self.drain(shard);
        self.settle();
    }

    #[cfg(not(feature = "shell"))]
    fn kill(&mut self) {}

    #[cfg(not(feature = "shell"))]
    pub fn rebuild(&mut self, _: usize) {}

    /// Everybody is there and behaves from now on.
    pub fn calm(&mut self) {
        self.breaks = None;
        for shard in 0..self.switches.len() {
            self.stalled[shard] = Moment::ZERO;
            self.awakes(shard);
        }
        self.absent.clear();
        self.moved.clear();
        self.orders = Orders::default();
        self.new_directory();
        for place in 0..self.homes.len() {
            let at = self.homes[place].at;
            match self.phones.get(&at).is_some_and(|phone| phone.alive) {
                true => self.register(place),
                false => self.anew(place),
            }
        }
        self.everybody_works();
    }
}

/// Those that come from outside, by themselves.
const TROUBLES: [Fault; 13] = [
    Fault::Pause,
    Fault::Pause,
    Fault::Policy,
    Fault::Roster,
    Fault::Settings,
    Fault::Clock,
    Fault::Reset,
    Fault::Vanish,
    Fault::Elsewhere,
    Fault::Stall,
    Fault::Timers,
    Fault::Kill,
    Fault::Panic,
];

/// Dies with the process.
#[cfg(feature = "shell")]
fn of_the_process(due: &Due) -> bool {
    matches!(due, Due::Mail(..) | Due::Identified(..) | Due::Failed(..) | Due::Awake(_))
}
