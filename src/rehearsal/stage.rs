//! The run itself: one queue of what is due, one switch, everybody's words delivered at once.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::{CallKey, Directory, Moment, PersonId, Settings, ShardId, TrunkId, WallOffset};
use crate::policy::Policy;
use crate::sip::{Message, Method};
use crate::switch::{
    Command, Event, Identified, Input, Journalled, Outcome, Output, Setup, Switch, What,
};

use super::actors::{Caller, Stage as Does, brought, place_of, reply};
use super::premises::{self, Bell, Directories, PHONES, flow, trunk_at};
use super::{Arrival, Lost, Rules, Seen, Service, Usual};

/// The rehearsal's clock begins so much before the first call.
const LEAD: Duration = Duration::from_secs(2);
/// When nobody has called or talked and whoever rests after a call is ready for so long, the clock jumps to
/// the next call.
const QUIET: Duration = Duration::from_secs(2);
/// The switch looks at its timers this often, no more: with a caller in line it would every 5 ms.
const STEP: Duration = Duration::from_millis(100);

/// What comes by itself.
enum Due {
    /// A phone answers the INVITE with this Call-ID.
    Answer(String),
    /// A caller hangs up: enough waited, enough talked.
    GivesUp(usize),
    Goodbye(usize),
    /// Somebody there says this.
    Says(SocketAddr, Bytes),
}

/// A phone that rings.
struct Ringing {
    invite: Message,
    /// The caller's place.
    call: Option<usize>,
}

pub(super) struct Stage<'a> {
    calls: &'a [(&'a Arrival, &'a Rules)],
    settings: Arc<Settings>,
    usual: Usual,
    now: Moment,
    wall: WallOffset,
    switch: Switch,
    bell: Receiver<()>,
    directories: Directories,
    directory: Arc<Directory>,
    policy: Arc<Policy>,
    due: BTreeMap<(Moment, u64), Due>,
    count: u64,
    /// Those who call or talk.
    callers: BTreeMap<usize, Caller>,
    ringing: BTreeMap<String, Ringing>,
    keys: BTreeMap<CallKey, usize>,
    waits: BTreeMap<usize, Duration>,
    gone: BTreeMap<PersonId, Seen>,
    woken: Moment,
    last_busy: Moment,
    quiet: Duration,
    service: Service,
}

impl<'a> Stage<'a> {
    /// With everybody in place, and gone whom the first word of them says to be so.
    pub(super) fn new(
        settings: &Settings,
        calls: &'a [(&'a Arrival, &'a Rules)],
        (first, rules): &(&Arrival, &Rules),
    ) -> Self {
        let settings = Arc::new(premises::settings(settings, calls));
        let mut directories = Directories::of(calls);
        let directory = directories.next(rules);
        let (bell, rung) = Bell::new();
        let now = Moment::ZERO + LEAD;
        let wall = WallOffset::new(now + LEAD, first.at);
        let shared = directories.shared(bell, settings.trunks.len(), &settings);
        let setup = Setup {
            shard: ShardId(0),
            shards: 1,
            started: 1,
            hash_key: [1; 16],
            nonce_key: [2; 32],
            seed: [3; 32],
            shared,
            settings: settings.clone(),
            directory: directory.clone(),
            policy: rules.policy.clone(),
            wall,
        };
        let mut switch = Switch::new(now, setup);
        let last = calls.last().map_or(first.at, |(last, _)| last.at);
        let bindings = directories.bindings(last);
        switch.restore(now, &Journalled { bindings, ..Journalled::default() });
        let timers = &settings.timers;
        let rests = timers.wrap_up.max(timers.busy_backoff).max(timers.refuse_backoff);
        let quiet = rests + QUIET;
        let mut gone = BTreeMap::new();
        for (person, seen) in calls.iter().flat_map(|(call, _)| &call.news) {
            gone.entry(person.clone()).or_insert(*seen);
        }
        Self {
            calls,
            settings,
            usual: Usual::of(calls.iter().map(|(call, _)| *call)),
            now,
            wall,
            switch,
            bell: rung,
            directories,
            directory,
            policy: rules.policy.clone(),
            due: BTreeMap::new(),
            count: 0,
            callers: BTreeMap::new(),
            ringing: BTreeMap::new(),
            keys: BTreeMap::new(),
            waits: BTreeMap::new(),
            gone,
            woken: now,
            last_busy: now,
            quiet,
            service: Service::default(),
        }
    }

    pub(super) fn run(mut self, calls: &[(&Arrival, &Rules)]) -> Service {
        self.wake();
        self.say_who_is_gone();
        for (place, (call, rules)) in calls.iter().enumerate() {
            let at = self.wall.moment(call.at);
            self.until(at.max(self.now));
            self.arrive(place, call, rules);
        }
        // Every plan ends, and so does every call.
        let most = self.settings.timers.call_max + Duration::from_secs(24 * 3_600);
        self.until(self.now + most);
        for _ in std::mem::take(&mut self.keys) {
            self.service.lost(Lost::Other);
        }
        self.service
    }

    fn arrive(&mut self, place: usize, call: &Arrival, rules: &Rules) {
        if !Arc::ptr_eq(&rules.policy, &self.policy) {
            self.policy = rules.policy.clone();
            self.input(Input::Policy(self.policy.clone()));
        }
        let directory = self.directories.next(rules);
        if !Arc::ptr_eq(&directory, &self.directory) {
            self.directory = directory.clone();
            self.input(Input::Directory(directory));
            self.say_who_is_gone();
        }
        for (person, seen) in &call.news {
            if self.gone.insert(person.clone(), *seen) != Some(*seen) {
                self.say(person, *seen);
            }
        }
        self.wake();
        let trunk = self.trunk_of(place);
        let format =
            self.settings.trunks.get(trunk).map_or(&self.settings.numbers, |trunk| &trunk.numbers);
        let domain = self.settings.domains.first().cloned().unwrap_or_else(|| "invalid".into());
        let at = trunk_at(trunk);
        let Some(caller) = Caller::new(place, call, at, format, &domain) else {
            return self.service.lost(Lost::Other);
        };
        let invite = caller.invite();
        self.callers.insert(place, caller);
        if let Some(patience) = call.patience {
            self.later(patience, Due::GivesUp(place));
        }
        self.packet(at, invite);
    }

    /// The directory takes nobody's "not ready" away, but knows nobody's who comes anew.
    fn say_who_is_gone(&mut self) {
        let gone = self.gone.iter().filter(|(_, seen)| **seen == Seen::Gone);
        let gone: Vec<PersonId> = gone.map(|(person, _)| person.clone()).collect();
        gone.iter().for_each(|person| self.say(person, Seen::Gone));
    }

    fn say(&mut self, person: &PersonId, seen: Seen) {
        let person = person.clone();
        let command = match seen {
            Seen::Gone => Command::Pause { person, reason: "as recorded".into() },
            Seen::There => Command::Resume { person },
        };
        self.input(Input::Command { id: 0, command, by: "rehearsal".into() });
    }

    fn later(&mut self, span: Duration, due: Due) {
        self.count += 1;
        self.due.insert((self.now + span, self.count), due);
    }

    /// Everything up to `end`; if nobody calls or talks any more, the end comes at once.
    fn until(&mut self, end: Moment) {
        loop {
            if !self.callers.is_empty() {
                self.last_busy = self.now;
            }
            let first = self.due.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at);
            let timer = self.switch.poll_timeout().max(self.woken + STEP);
            let next = first.min(timer).max(self.now);
            let is_quiet = self.callers.is_empty() && next > self.last_busy + self.quiet;
            if next > end || is_quiet {
                self.now = end.max(self.now);
                return;
            }
            self.now = next;
            self.wake();
            while let Some(entry) = self.due.first_entry()
                && entry.key().0 <= self.now
            {
                let due = entry.remove();
                self.happens(due);
            }
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Answer(call_id) => {
                let Some(Ringing { invite, call }) = self.ringing.remove(&call_id) else { return };
                if let Some(place) = call {
                    let talk = self.calls.get(place).and_then(|(call, _)| call.talk);
                    self.later(talk.unwrap_or(self.usual.talk), Due::Goodbye(place));
                }
                self.send(PHONES, reply(&invite, 200, PHONES));
            }
            Due::GivesUp(place) => {
                let calling = |caller: &&Caller| caller.stage == Does::Calling;
                let cancel = self.callers.get(&place).filter(calling).map(Caller::cancel);
                self.speaks(place, cancel);
            }
            Due::Goodbye(place) => {
                let talking = |caller: &&mut Caller| caller.stage == Does::Talking;
                let bye = self.callers.get_mut(&place).filter(talking).and_then(Caller::bye);
                self.speaks(place, bye);
            }
            Due::Says(from, bytes) => self.send(from, bytes),
        }
    }

    /// A caller says something, if there is something to say; who is done is forgotten.
    fn speaks(&mut self, place: usize, bytes: Option<Bytes>) {
        let at = trunk_at(self.trunk_of(place));
        if self.callers.get(&place).is_some_and(|caller| caller.stage == Does::Over) {
            self.callers.remove(&place);
        }
        if let Some(bytes) = bytes {
            self.send(at, bytes);
        }
    }

    fn send(&mut self, from: SocketAddr, bytes: Bytes) {
        if let Ok(message) = Message::parse(bytes) {
            self.packet(from, message);
        }
    }

    fn packet(&mut self, from: SocketAddr, message: Message) {
        self.input(Input::Packet { flow: flow(from), message, received: self.now });
    }

    fn wake(&mut self) {
        self.woken = self.now;
        self.input(Input::Wake);
    }

    /// One input with all that comes of it at this moment.
    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.switch.handle(self.now, input);
            while let Some(output) = self.switch.poll_output() {
                self.leaves(output, &mut inputs);
            }
            if inputs.is_empty() && self.bell.try_recv().is_ok() {
                inputs.push_back(Input::Wake);
            }
        }
    }

    fn leaves(&mut self, output: Output, inputs: &mut VecDeque<Input>) {
        match output {
            Output::Send { bytes, .. } => {
                if let Ok(message) = Message::parse(bytes)
                    && let Some((from, bytes)) = self.heard(&message)
                    && let Ok(message) = Message::parse(bytes)
                {
                    let (flow, received) = (flow(from), self.now);
                    inputs.push_back(Input::Packet { flow, message, received });
                }
            }
            Output::Identify { call, .. } => {
                let facts = self.keys.get(&call).and_then(|place| self.calls.get(*place));
                let Some(facts) = facts.map(|(call, _)| &call.facts) else { return };
                let (client, others) = (facts.client.clone(), facts.others.clone());
                let found = Identified { client, others, index: facts.index.clone() };
                inputs.push_back(Input::Identified { call, found });
            }
            Output::Mail { mail, .. } => inputs.push_back(Input::Mail(mail)),
            Output::Event(event) => self.told(event),
            Output::Reply { .. } | Output::Notify(_) => {}
        }
    }

    /// What an actor answers at once, and from where.
    fn heard(&mut self, message: &Message) -> Option<(SocketAddr, Bytes)> {
        let place = place_of(message.call_id());
        if !message.is_request() {
            let place = place?;
            let answer = self.callers.get_mut(&place)?.hears(message);
            let at = trunk_at(self.trunk_of(place));
            if self.callers.get(&place).is_some_and(|caller| caller.stage == Does::Over) {
                self.callers.remove(&place);
            }
            return Some((at, answer?));
        }
        let at = place.map_or(PHONES, |place| trunk_at(self.trunk_of(place)));
        match message.method() {
            Method::Ack => None,
            Method::Invite if message.to_tag().is_none() => Some((at, self.rings(message))),
            Method::Cancel => {
                // The phone's last word on the INVITE follows its answer to CANCEL.
                if let Some(ringing) = self.ringing.remove(message.call_id()) {
                    let no = reply(&ringing.invite, 487, PHONES);
                    self.later(Duration::ZERO, Due::Says(at, no));
                }
                Some((at, reply(message, 200, PHONES)))
            }
            method => {
                if *method == Method::Bye
                    && let Some(place) = place
                {
                    self.callers.remove(&place);
                }
                Some((at, reply(message, 200, PHONES)))
            }
        }
    }

    fn trunk_of(&self, place: usize) -> usize {
        let trunk = self.calls.get(place).and_then(|(call, _)| call.facts.trunk.as_ref());
        let named = |id: &TrunkId| self.settings.trunks.iter().position(|t| t.id == *id);
        trunk.and_then(named).unwrap_or(0)
    }

    fn rings(&mut self, invite: &Message) -> Bytes {
        let call = brought(invite);
        let recorded = call.and_then(|place| self.calls.get(place)?.0.ring);
        let id = invite.call_id().to_owned();
        self.ringing.insert(id.clone(), Ringing { invite: invite.clone(), call });
        self.later(recorded.unwrap_or(self.usual.ring), Due::Answer(id));
        reply(invite, 180, PHONES)
    }

    fn told(&mut self, Event { what, .. }: Event) {
        match what {
            What::CallArrived { call, sip_call_id, .. } => {
                if let Some(place) = place_of(&sip_call_id) {
                    self.keys.insert(call, place);
                }
            }
            What::Answered { call, .. } => {
                if let Some(place) = self.keys.get(&call) {
                    let came = self.calls.get(*place).map(|(call, _)| self.wall.moment(call.at));
                    self.waits.insert(*place, self.now.since(came.unwrap_or(self.now)));
                }
            }
            What::CallEnded { call, outcome, .. } => {
                let Some(place) = self.keys.remove(&call) else { return };
                let wait = self.waits.remove(&place);
                match outcome {
                    Outcome::Answered => {
                        let wait = wait.unwrap_or_default().as_millis();
                        self.service.answered(i64::try_from(wait).unwrap_or(i64::MAX));
                    }
                    Outcome::Abandoned => self.service.lost(Lost::Abandoned),
                    Outcome::CallbackPromised | Outcome::OutOfHours => {
                        self.service.lost(Lost::Promised);
                    }
                    _ => self.service.lost(Lost::Other),
                }
            }
            _ => {}
        }
    }
}
