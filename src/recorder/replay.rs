//! A recording fed to the real switches again, with its own time.
//!
//! ```text
//!   begins ─► switches, restored ─► each entry: translate ─► handle ─► outputs
//!                                         ▲                     │ paired with what was sent then
//!                                         └── names minted now ◄┘
//! ```
//! Calls that were half-way at the begin are left out, and said; until they are through, the switches are led
//! (see `lead`).
//!
//! What the switches mint (Call-IDs, tags, branches, keys of calls) is other than it was; answers to it are
//! rewritten by comparing what is sent now with what was sent then. Everything else is fed as it was, the
//! bells and the answers of the index too. The same file gives the same trace.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::lead::{Lead, is_whole};
use super::read::{Entry, Happened, Recorded, stands};
use super::translate::Translation;
use crate::acd::{AgentState, Board, BoardLimits, CREDIT_MAX, SHARDS_MAX, Wake};
use crate::call::bucket_of;
use crate::domain::{AgentId, CallKey, Flow, Moment, ShardId, WallOffset};
use crate::meters::{MeterLimits, Meters};
use crate::registrar::Location;
use crate::sip::{Message, Method};
use crate::store::journal::State;
use crate::switch::{
    AgentChange, AgentNote, Command, Event, Input, Mail, Output, Party, Setup, Shared, Switch, What,
};

/// Places on the board where a directory names fewer.
const AGENTS_MIN: u16 = 64;

/// What a switch decided about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The caller's Call-ID, as the file has it.
    pub call: Arc<str>,
    /// When.
    pub at: Moment,
    /// `offered p3…`, `offer 1: NoAnswer`, `ended: Answered by Caller`.
    pub what: String,
}

/// A panic while an input was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The input's line in the file.
    pub line: usize,
    /// Which worker.
    pub w: u8,
    /// What the panic said.
    pub why: String,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// What was decided then, in order; of calls that are left out nothing.
    pub then: Vec<Decision>,
    /// What was decided now.
    pub now: Vec<Decision>,
    /// The first panic; nothing was fed after it.
    pub broken: Option<Broken>,
    /// Inputs fed.
    pub fed: usize,
    /// Messages sent now, and how many of those have their like then.
    pub sent: (usize, usize),
    /// Messages of calls that are not left out that were sent then and have no like now.
    pub unsaid: usize,
    /// Calls that were half-way at the begin, by the caller's Call-ID, and such as went otherwise while the
    /// switches were led.
    pub left_out: Vec<Arc<str>>,
    /// Messages of those, and of others that were over at the begin, that were not fed.
    pub passed_over: usize,
    /// Up to here the switches were led. `None`: to the end.
    pub led_until: Option<Moment>,
    /// Of everything that the switches gave.
    pub trace: u64,
}

impl Replayed {
    /// Calls of which something else was decided than then: Call-ID, then, now. After a panic calls may lack
    /// an end.
    pub fn differences(&self) -> Vec<(Arc<str>, Vec<String>, Vec<String>)> {
        let calls: BTreeSet<&Arc<str>> =
            self.then.iter().chain(&self.now).map(|decision| &decision.call).collect();
        let of = |all: &[Decision], call: &Arc<str>| -> Vec<String> {
            all.iter().filter(|d| d.call == *call).map(|d| d.what.clone()).collect()
        };
        let both = |call: &Arc<str>| (call.clone(), of(&self.then, call), of(&self.now, call));
        calls.into_iter().map(both).filter(|(_, then, now)| then != now).collect()
    }
}

/// One thing that a replay tells while it runs.
pub enum Told<'a> {
    /// This input is fed now.
    Fed(&'a Entry),
    /// A switch decided this.
    Decided(u8, &'a Decision),
    /// A switch sent this.
    Sent(u8, Flow, &'a Message),
}

/// What is sent now may come so much earlier or later than it came then.
const NEAR: Duration = Duration::from_secs(5);

/// Who listens.
type Tell<'a> = &'a mut dyn FnMut(Told<'_>);

struct Silent;

impl Wake for Silent {
    // When a worker looks at its bells is part of the recording.
    fn wake(&self) {}
}

/// Replays the whole file. `tell` hears of it; `touch` is called within each input, after the switch: a test
/// may break things there.
pub fn replay(recorded: &Recorded, tell: Tell<'_>, touch: &dyn Fn(&Input)) -> Replayed {
    let mut run = Run::new(recorded);
    run.begin();
    for (place, entry) in recorded.entries.iter().enumerate() {
        match &entry.what {
            Happened::Fed(input) => {
                if let Err(broken) = run.feed((place, entry), input, tell, touch) {
                    run.done.broken = Some(broken);
                    break;
                }
            }
            Happened::Said(event) => run.said(entry.w, entry.at, event),
            // Looked at with the input that it followed.
            Happened::Sent(..) => {}
            Happened::Mark(stood) => {
                if run.lead.as_mut().is_some_and(|lead| lead.marked(entry.at, stood)) {
                    run.done.led_until = Some(entry.at);
                }
            }
        }
    }
    run.done.unsaid = run.unsaid();
    let left_out = std::mem::take(&mut run.done.left_out);
    run.done.then.retain(|decision| !left_out.contains(&decision.call));
    run.done.now.retain(|decision| !left_out.contains(&decision.call));
    Replayed { left_out, ..run.done }
}

struct Run<'a> {
    recorded: &'a Recorded,
    shared: Shared,
    switches: BTreeMap<u8, Switch>,
    translation: Translation,
    /// Entries that something sent now is the like of.
    used: BTreeSet<usize>,
    /// Keys of calls to Call-IDs, then and now.
    then: BTreeMap<CallKey, Arc<str>>,
    now: BTreeMap<CallKey, Arc<str>>,
    /// Keys then to keys now.
    keys: BTreeMap<CallKey, CallKey>,
    /// Absent where the board has no room for its hand.
    lead: Option<Lead>,
    /// Call-IDs that were taken up, or that a caller brought.
    known: BTreeSet<String>,
    /// What was decided about each call, then and now, as long as the switches are led; by the key then.
    stories: BTreeMap<CallKey, [Vec<String>; 2]>,
    /// Calls of which a worker's last turn said something.
    touched: BTreeMap<u8, BTreeSet<CallKey>>,
    /// The epoch of each binding then.
    epochs: BTreeMap<String, u64>,
    done: Replayed,
}

impl<'a> Run<'a> {
    fn new(recorded: &'a Recorded) -> Self {
        let people = recorded.directories.iter().flat_map(|d| d.agents());
        let agents = people.map(|(agent, _)| agent.0.saturating_add(1)).max().unwrap_or(0);
        let groups = recorded.directories.iter().map(|d| d.record().groups_max).max();
        let queue_len_max = recorded.settings.iter().map(|s| s.limits.queue_len_max).max();
        let limits = BoardLimits {
            agents: agents.max(AGENTS_MIN),
            groups: groups.unwrap_or(0),
            // One more for the hand that leads.
            shards: recorded.head.shards.saturating_add(1).min(SHARDS_MAX),
            queue_len_max: queue_len_max.unwrap_or(0),
            credit_max: CREDIT_MAX,
        };
        let bells = (0..limits.shards).map(|_| Arc::new(Silent) as Arc<dyn Wake>);
        let shared = Shared {
            board: Arc::new(Board::new(limits, bells.collect())),
            location: Arc::new(Location::new()),
            meters: Arc::new(Meters::new(MeterLimits::default(), recorded.head.hash_key)),
        };
        let has_hand = recorded.head.shards < SHARDS_MAX;
        let hand = ShardId(recorded.head.shards as u8);
        let lead = has_hand.then(|| Lead::new(recorded, shared.board.clone(), hand));
        let mut then = BTreeMap::new();
        for entry in &recorded.entries {
            if let Happened::Said(Event { what, .. }) = &entry.what
                && let What::CallArrived { call, sip_call_id, .. } = what
            {
                then.insert(*call, sip_call_id.clone());
            }
        }
        Self {
            recorded,
            shared,
            switches: BTreeMap::new(),
            translation: Translation::default(),
            used: BTreeSet::new(),
            then,
            now: BTreeMap::new(),
            keys: BTreeMap::new(),
            lead,
            known: BTreeSet::new(),
            stories: BTreeMap::new(),
            touched: BTreeMap::new(),
            epochs: BTreeMap::new(),
            done: Replayed::default(),
        }
    }

    fn begin(&mut self) {
        for began in &self.recorded.begins {
            let (line, at) = (&began.line, Moment::from_micros(began.line.at));
            let setup = Setup {
                shard: ShardId(line.w),
                shards: self.recorded.head.shards,
                // Calls that are taken up again have keys of that second.
                started: line.started.wrapping_add(1),
                hash_key: self.recorded.head.hash_key,
                nonce_key: self.recorded.head.nonce_key,
                seed: [line.w; 32],
                shared: self.shared.clone(),
                settings: self.recorded.settings[line.settings].clone(),
                directory: self.recorded.directories[line.directory].clone(),
                policy: self.recorded.policies[line.policy].clone(),
                wall: WallOffset::new(at, line.wall),
            };
            let mut switch = Switch::new(at, setup);
            for event in began.state.bindings.values() {
                if let What::Bound { binding, .. } = &event.what {
                    self.then_bound(binding);
                }
            }
            let whole = self.taken_up(&began.state);
            switch.restore(at, &whole.journalled(true));
            if let Some(until) = line.drain_until {
                switch.handle(at, Input::Drain { until: Moment::from_micros(until) });
            }
            // What a restart says to the world was not said then.
            while switch.poll_output().is_some() {}
            self.switches.insert(line.w, switch);
        }
        let stood = self.recorded.begins.iter().flat_map(|began| &began.line.stood);
        for one in stood.map(|row| stands(*row)) {
            let board = &self.shared.board;
            if board.presence(one.agent).state == AgentState::Free {
                board.set_idle_since(one.agent, one.since);
            }
            board.set_counts(one.agent, one.counts);
        }
        if self.lead.as_ref().is_none_or(|lead| !lead.leads()) {
            let at = self.recorded.begins.iter().map(|began| began.line.at).max();
            self.done.led_until = at.map(Moment::from_micros);
        }
    }

    /// What of a begin can go on. What cannot is left out.
    fn taken_up(&mut self, state: &State) -> State {
        let mut whole = state.clone();
        whole.calls.retain(|key, call| {
            let id: Arc<str> = call.sip_call_id().into();
            if !is_whole(call) {
                self.done.left_out.push(id);
                return false;
            }
            let legs = [Party::Caller, Party::Callee].map(|side| call.dialog(side));
            let ids = legs.into_iter().flatten().filter_map(|leg| leg.pointer("/dialog/call_id"));
            self.known.extend(ids.filter_map(|id| id.as_str()).map(str::to_owned));
            self.then.insert(*key, id.clone());
            self.now.insert(*key, id);
            self.keys.insert(*key, *key);
            true
        });
        whole
    }

    /// Belongs to something that was half-way or over at the begin.
    fn is_old(&mut self, message: &Message) -> bool {
        let id = message.call_id();
        if bucket_of(id).is_some() {
            return !self.known.contains(id) && !self.translation.knows(id);
        }
        let begins = message.is_request() && message.to_tag().is_none();
        if !begins {
            return !self.known.contains(id);
        }
        if *message.method() != Method::Invite {
            return self.done.left_out.iter().any(|old| **old == *id);
        }
        // One that comes once more, of a call that was over, begins nothing.
        let comes = self.then.values().any(|known| **known == *id);
        let old = !comes && self.lead.as_ref().is_some_and(Lead::leads);
        if !old {
            self.known.insert(id.to_owned());
        }
        old
    }

    /// The worker's last turn is over: of what went otherwise than then while the switches are led no more is
    /// replayed.
    fn compare(&mut self, next: &Entry) {
        let touched = self.touched.remove(&next.w).unwrap_or_default();
        for key in touched {
            let Some([then, now]) = self.stories.get(&key) else { continue };
            let Some(id) = self.then.get(&key).filter(|_| then != now).cloned() else { continue };
            let Some(lead) = self.lead.as_mut().filter(|lead| lead.leads()) else { return };
            let is_over = |what: &String| what.starts_with("answered") || what.starts_with("ended");
            lead.leave_out(next.at, key, !then.iter().any(is_over));
            self.stories.remove(&key);
            self.known.remove(&*id);
            self.done.left_out.push(id);
            let switch = self.switches.get_mut(&next.w);
            if let (Some(switch), Some(call)) = (switch, self.keys.get(&key).copied()) {
                let command = Command::Hangup { call };
                switch.handle(next.at, Input::Command { id: 0, command, by: "replay".into() });
                while switch.poll_output().is_some() {}
            }
        }
    }

    /// One more line of a call's story, `side` 0 then, 1 now.
    fn tells(&mut self, (w, side): (u8, usize), key: CallKey, what: &What) {
        let line = match what {
            What::StepBegan { step, .. } => format!("step {step}"),
            What::Offered { agent, .. } => format!("offered to {agent}"),
            What::OfferEnded { result, .. } => format!("{result:?}"),
            What::Answered { .. } => "answered".to_owned(),
            What::CallEnded { outcome, .. } => format!("ended {outcome:?}"),
            _ => return,
        };
        let leads = self.lead.as_ref().is_some_and(Lead::leads);
        if leads && self.then.contains_key(&key) && !self.is_left_out(key) {
            self.stories.entry(key).or_default()[side].push(line);
            self.touched.entry(w).or_default().insert(key);
        }
    }

    fn is_left_out(&self, key: CallKey) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.lacks(key))
    }

    fn unsaid(&self) -> usize {
        let entries = self.recorded.entries.iter().enumerate();
        let sent = entries.filter_map(|(place, entry)| match &entry.what {
            Happened::Sent((_, message)) => Some((place, message)),
            _ => None,
        });
        let ours = |id: &str| self.known.contains(id) || self.translation.knows(id);
        sent.filter(|(place, m)| !self.used.contains(place) && ours(m.call_id())).count()
    }

    fn feed(
        &mut self,
        (place, entry): (usize, &Entry),
        input: &Input,
        tell: Tell<'_>,
        touch: &dyn Fn(&Input),
    ) -> Result<(), Broken> {
        self.compare(entry);
        if let Input::Packet { message, .. } = input
            && self.is_old(message)
        {
            self.done.passed_over += 1;
            return Ok(());
        }
        tell(Told::Fed(entry));
        self.done.fed += 1;
        let input = self.translated(input);
        if let Some(lead) = &mut self.lead {
            lead.before(self.recorded, place);
        }
        let Some(switch) = self.switches.get_mut(&entry.w) else { return Ok(()) };
        let outputs = catch_unwind(AssertUnwindSafe(|| {
            switch.handle(entry.at, input.clone());
            touch(&input);
            std::iter::from_fn(|| switch.poll_output()).collect::<Vec<Output>>()
        }));
        let outputs = outputs.map_err(|cause| {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Broken { line: entry.line, w: entry.w, why: text.unwrap_or_default() }
        })?;
        for output in outputs {
            match output {
                Output::Send { flow, bytes } => self.sends((place, entry), flow, bytes, tell),
                Output::Event(event) => self.says(entry, &event, tell),
                // Came, or comes, as an input.
                Output::Identify { .. } | Output::Mail { .. } => {}
                Output::Reply { .. } | Output::Notify(_) => {}
            }
        }
        if let Some(lead) = &mut self.lead {
            lead.after();
        }
        Ok(())
    }

    /// What was sent then and is the like of `message`: for the same input, a little later, or a little earlier;
    /// else what rang the same phone for another call.
    fn like(
        &self,
        (place, entry): (usize, &Entry),
        flow: Flow,
        message: &Message,
    ) -> Option<usize> {
        let fits = |n: &usize, any: bool| {
            let entry = &self.recorded.entries[*n];
            let Happened::Sent((to, then)) = &entry.what else { return false };
            *to == flow && !self.used.contains(n) && self.translation.is_like(then, message, any)
        };
        let near = |n: &usize| {
            let at = self.recorded.entries[*n].at;
            at.since(entry.at).max(entry.at.since(at)) <= NEAR
        };
        let after = || (place + 1..self.recorded.entries.len()).take_while(near);
        let before = || (0..place).rev().take_while(near);
        let same = after().find(|n| fits(n, false)).or_else(|| before().find(|n| fits(n, false)));
        same.or_else(|| after().find(|n| fits(n, true)))
    }

    fn translated(&self, input: &Input) -> Input {
        let key = |call: &CallKey| self.keys.get(call).copied().unwrap_or(*call);
        let mut input = input.clone();
        match &mut input {
            Input::Packet { message, .. } => *message = self.translation.message(message),
            Input::Identified { call, .. } => *call = key(call),
            Input::Command {
                command: Command::Hangup { call } | Command::MoveCall { call, .. },
                ..
            } => *call = key(call),
            Input::Mail(Mail::Agent { agent, note: AgentNote::Unreachable { binding, epoch } }) => {
                *epoch = self.epoch_now(*agent, binding, *epoch);
            }
            _ => {}
        }
        input
    }

    fn sends(&mut self, (place, entry): (usize, &Entry), flow: Flow, bytes: Bytes, tell: Tell<'_>) {
        self.done.sent.0 += 1;
        self.traced(&bytes);
        // The switches write what can be read.
        let Ok(message) = Message::parse(bytes) else { return };
        if let Some(like) = self.like((place, entry), flow, &message)
            && let Happened::Sent((_, then)) = &self.recorded.entries[like].what
        {
            self.done.sent.1 += 1;
            self.used.insert(like);
            self.translation.learn(then, &message);
        }
        tell(Told::Sent(entry.w, flow, &message));
    }

    fn says(&mut self, entry: &Entry, event: &Event, tell: Tell<'_>) {
        if let What::CallArrived { call, sip_call_id, .. } = &event.what {
            self.now.insert(*call, sip_call_id.clone());
            // An INVITE that comes again when its call is over begins another.
            let next = |(key, id): &(&CallKey, &Arc<str>)| {
                *id == sip_call_id && !self.keys.contains_key(key)
            };
            let then = self.then.iter().find(next).map(|(key, _)| *key);
            self.keys.extend(then.map(|then| (then, *call)));
        }
        if let Some(key) = event.what.call()
            && self.lead.as_ref().is_some_and(Lead::leads)
        {
            let then = self.keys.iter().find(|(_, now)| **now == key).map(|(then, _)| *then);
            if let Some(then) = then {
                self.tells((entry.w, 1), then, &event.what);
            }
        }
        if let Some(decision) = decided(&self.now, entry.at, event) {
            self.traced(format!("{decision:?}").as_bytes());
            tell(Told::Decided(entry.w, &decision));
            self.done.now.push(decision);
        }
    }

    fn said(&mut self, w: u8, at: Moment, event: &Event) {
        self.done.then.extend(decided(&self.then, at, event));
        if let Some(key) = event.what.call() {
            self.tells((w, 0), key, &event.what);
        }
        if let What::Bound { binding, .. } = &event.what {
            self.then_bound(binding);
        }
        let Some(lead) = &mut self.lead else { return };
        lead.said(at, event);
        let Some(switch) = self.switches.get_mut(&w).filter(|_| lead.leads()) else { return };
        // What calls that are left out did to people and phones.
        match &event.what {
            What::Agent { person, change: AgentChange::Locked, .. } => {
                switch.agent_was(at, person, &AgentChange::Locked);
            }
            What::Unbound { aor, binding, why } if **why == *"unreachable" => {
                switch.phone_was_silent(at, aor, binding);
            }
            _ => return,
        }
        while switch.poll_output().is_some() {}
    }

    fn then_bound(&mut self, binding: &serde_json::Value) {
        if let (Some(key), Some(epoch)) = (binding["key"].as_str(), binding["epoch"].as_u64()) {
            self.epochs.insert(key.to_owned(), epoch);
        }
    }

    /// Epochs are counted anew: that of a binding now for the one that it had then.
    fn epoch_now(&self, agent: AgentId, key: &str, then: u64) -> u64 {
        let people = self.recorded.directories.iter().rev();
        let user = people.filter_map(|d| d.person(agent)?.sip_user.clone()).next();
        let bound = user.and_then(|user| self.shared.location.binding(&user, key));
        let meant = self.epochs.get(key) == Some(&then);
        bound.filter(|_| meant).map_or(then, |binding| binding.epoch)
    }

    fn traced(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.done.trace = (self.done.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn decided(calls: &BTreeMap<CallKey, Arc<str>>, at: Moment, event: &Event) -> Option<Decision> {
    let call = calls.get(&event.what.call()?)?.clone();
    let name = |person: &Option<crate::domain::PersonId>| {
        person.as_ref().map_or("nobody", |p| p.as_str()).to_owned()
    };
    let what = match &event.what {
        What::Routed { rule, client, .. } => {
            format!("routed {rule}, client {:?}", client.as_ref().map(|c| c.id.0))
        }
        What::Offered { agent, offer, .. } => format!("offer {offer}: to {agent}"),
        What::OfferEnded { offer, result, .. } => format!("offer {offer}: {result:?}"),
        What::Answered { agent, .. } => format!("answered by {}", name(agent)),
        What::Promised { owner, .. } => format!("a callback is promised by {}", name(owner)),
        What::CallEnded { outcome, by, status, .. } => {
            format!("ended: {outcome:?} by {by:?}, {status:?}")
        }
        _ => return None,
    };
    Some(Decision { call, at, what })
}
