//! The first part of a replay, in which it is led.
//!
//! ```text
//!   begin ── led: nobody is free but whom the recording offers a call ──► mark ── by the switches alone ──►
//!            calls that were half-way are left out, people rest
//! ```
//! A recording may begin while calls ring or wait: what those had heard and said is not in the file, and they
//! are left out. Until the last of them is answered or over, and everybody has rested, a hand of the
//! replay's own keeps all people busy and lets each go for the input in which the recording offers them a call.
//! So no other call gets whom one that is left out had. A call that goes otherwise all the same (a queue was full
//! of calls that are left out) is left out too. From the first mark behind that on the switches decide
//! alone; only who still talks to a caller that is left out stays busy until that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::read::{Happened, Recorded};
use crate::acd::{Board, Desk};
use crate::domain::{AgentId, BACKOFF_MIN, CallKey, Moment, PersonId, ShardId};
use crate::store::journal::OpenCall;
use crate::switch::{Event, Party, Stood, What};

/// Phones that were told to stop have stopped by then.
const CLOSING: Duration = Duration::from_secs(5);
/// What an input leads to stands so close behind it.
const TURN: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Lead {
    hand: Desk,
    people: BTreeMap<PersonId, AgentId>,
    /// Calls that are left out, and who is busy with them.
    left_out: BTreeMap<CallKey, Vec<AgentId>>,
    /// Whom the hand keeps busy, and until when.
    kept: BTreeMap<AgentId, Moment>,
    /// Let go for the present input.
    let_go: Vec<AgentId>,
    /// How long people rest.
    rest: Duration,
    /// Calls left out that ring or wait, and since when nothing was.
    waiting: BTreeSet<CallKey>,
    calm: Moment,
    is_over: bool,
}

/// A replay can take it up: two dialogs of the bridge's own.
pub(super) fn is_whole(call: &OpenCall) -> bool {
    let dialog = |side| call.dialog(side).is_some_and(|d| d.get("proxied").is_none());
    call.answer().is_some() && dialog(Party::Caller) && dialog(Party::Callee)
}

impl Lead {
    /// `hand`: a shard of the board that no worker has.
    pub fn new(recorded: &Recorded, board: Arc<Board>, hand: ShardId) -> Self {
        let people = recorded.directories.iter().flat_map(|d| d.agents());
        let people = people.map(|(agent, person)| (person.id.clone(), agent));
        let people: BTreeMap<PersonId, AgentId> = people.collect();
        let calls = recorded.begins.iter().flat_map(|began| &began.state.calls);
        let calls: Vec<_> = calls.filter(|(_, call)| !is_whole(call)).collect();
        let waiting = calls.iter().filter(|(_, call)| call.answer().is_none());
        let waiting = waiting.map(|(key, _)| **key).collect();
        let begin = recorded.begins.iter().map(|began| began.line.at).max().unwrap_or(0);
        let busy = |call: &OpenCall| {
            let caller = match &call.arrived.what {
                What::CallArrived { caller, .. } => caller.as_ref(),
                _ => None,
            };
            let both = caller.into_iter().chain(call.answer().and_then(|(_, person)| person));
            both.filter_map(|person| people.get(person).copied()).collect()
        };
        let left_out = calls.iter().map(|(key, call)| (**key, busy(call))).collect();
        let timers = recorded.settings.iter().map(|s| &s.timers);
        let rests = timers.flat_map(|t| [t.wrap_up, t.refuse_backoff, t.busy_backoff]);
        let rest = rests.max().unwrap_or_default().max(BACKOFF_MIN);
        let is_needed =
            |began: &super::Began| !began.state.calls.is_empty() || !began.line.stood.is_empty();
        let mut lead = Self {
            hand: Desk::new(board, hand),
            people,
            left_out,
            kept: BTreeMap::new(),
            let_go: Vec::new(),
            rest,
            waiting,
            calm: Moment::from_micros(begin),
            is_over: !recorded.begins.iter().any(is_needed),
        };
        if !lead.is_over {
            let all: Vec<AgentId> = lead.people.values().copied().collect();
            all.into_iter().for_each(|agent| lead.keep(agent, Moment::NEVER));
        }
        lead
    }

    /// The switches do not decide alone yet.
    pub fn leads(&self) -> bool {
        !self.is_over
    }

    /// This call is left out.
    pub fn lacks(&self, key: CallKey) -> bool {
        self.left_out.contains_key(&key)
    }

    /// One more that cannot be followed.
    pub fn leave_out(&mut self, now: Moment, key: CallKey, waits: bool) {
        self.left_out.entry(key).or_default();
        self.calm = now;
        if waits {
            self.waiting.insert(key);
        }
    }

    fn keep(&mut self, agent: AgentId, until: Moment) {
        if self.kept.insert(agent, until).is_none() {
            self.hand.occupy(agent);
        }
    }

    fn let_go(&mut self, agent: AgentId) -> bool {
        let kept = self.kept.remove(&agent).is_some();
        if kept {
            self.hand.vacate(agent);
        }
        kept
    }

    /// Before the input at `place`: whom it offers a call is let go.
    pub fn before(&mut self, recorded: &Recorded, place: usize) {
        let Some(entry) = recorded.entries.get(place) else { return };
        let kept = self.kept.iter().map(|(agent, until)| (*agent, *until));
        let rested = |(_, until): &(AgentId, Moment)| self.is_over && *until <= entry.at;
        let rested: Vec<(AgentId, Moment)> = kept.filter(rested).collect();
        for (agent, since) in rested {
            self.hand.board().set_idle_since(agent, since);
            self.let_go(agent);
        }
        for event in turn(recorded, place) {
            if let What::Offered { call, agent, .. } = &event.what
                && !self.left_out.contains_key(call)
                && let Some(agent) = self.people.get(agent).copied()
                && self.let_go(agent)
            {
                self.let_go.push(agent);
            }
        }
    }

    /// After it.
    pub fn after(&mut self) {
        let let_go = std::mem::take(&mut self.let_go);
        if !self.is_over {
            let_go.into_iter().for_each(|agent| self.keep(agent, Moment::NEVER));
        }
    }

    /// The recording says this: of a call that is left out it keeps people busy.
    pub fn said(&mut self, at: Moment, event: &Event) {
        let Some(key) = event.what.call() else { return };
        let goes_on = !matches!(event.what, What::Answered { .. } | What::CallEnded { .. });
        if !goes_on && self.waiting.remove(&key) {
            self.calm = at;
        }
        match &event.what {
            What::Answered { agent: Some(agent), .. } => {
                let agent = self.people.get(agent).copied();
                if let (Some(busy), Some(agent)) = (self.left_out.get_mut(&key), agent) {
                    busy.push(agent);
                    self.keep(agent, Moment::NEVER);
                }
            }
            What::CallEnded { .. } => {
                let busy = self.left_out.get_mut(&key).map(std::mem::take).unwrap_or_default();
                let until = at + self.rest;
                busy.into_iter().for_each(|agent| self.keep(agent, until));
            }
            _ => {}
        }
    }

    /// A mark. The one that ends it gives everybody free as they stood.
    pub fn marked(&mut self, at: Moment, stood: &[Stood]) -> bool {
        let rested = at.since(self.calm) >= self.rest + CLOSING;
        if self.is_over || !self.waiting.is_empty() || !rested {
            return false;
        }
        self.is_over = true;
        let busy: Vec<AgentId> = self.left_out.values().flatten().copied().collect();
        let rests = |until: Moment| until > at && until != Moment::NEVER;
        let kept =
            self.kept.iter().filter(|(agent, until)| !busy.contains(agent) && !rests(**until));
        let free: Vec<AgentId> = kept.map(|(agent, _)| *agent).collect();
        for one in stood {
            self.hand.board().set_counts(one.agent, one.counts);
            self.hand.board().set_idle_since(one.agent, one.since);
        }
        for agent in free {
            self.let_go(agent);
        }
        true
    }
}

/// What the recording says right behind the input at `place`.
fn turn(recorded: &Recorded, place: usize) -> impl Iterator<Item = &Event> {
    let (w, at) = recorded.entries.get(place).map_or((0, Moment::ZERO), |e| (e.w, e.at));
    let behind = recorded.entries.get(place + 1..).unwrap_or_default().iter();
    let mine = behind.take_while(move |entry| entry.at.since(at) <= TURN).filter(move |e| e.w == w);
    mine.take_while(|entry| !matches!(entry.what, Happened::Fed(_))).filter_map(
        |entry| match &entry.what {
            Happened::Said(event) => Some(event),
            _ => None,
        },
    )
}
