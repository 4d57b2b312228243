//! What still holds at the end of a journal: open calls, bindings, agents' slow state.
//!
//! A fold over events. `restore` makes it at start; a worker keeps one beside its writer and hands
//! `checkpoint()` to `Writer::rotate`. Applying a checkpoint's events again, or half of them, changes
//! nothing. Knows no files, and neither dialogs nor bindings from the inside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::domain::{CallKey, Flow, Orders, PersonId};
use crate::switch::{AgentChange, Event, OfferResult, Party, What};

/// A call that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenCall {
    /// Its `CallArrived`.
    pub arrived: Event,
    /// Its `Routed`, without explanation and grounds (the register has those).
    pub routed: Option<Event>,
    /// Steps, offers and promises, in order.
    pub story: Vec<Event>,
    /// Its `Answered`: the call goes on after a restart if it has this and both dialogs.
    pub answered: Option<Event>,
    /// The latest `dialog::Snapshot` of the caller's leg.
    pub caller: Option<Event>,
    /// The latest `dialog::Snapshot` of the callee's leg.
    pub callee: Option<Event>,
}

/// Where something came from or went, and its text.
pub type Pending = (Flow, Arc<str>);

impl OpenCall {
    /// Its key.
    pub fn call(&self) -> Option<CallKey> {
        self.arrived.what.call()
    }

    /// When it was answered, and by whom if by one of our people.
    pub fn answer(&self) -> Option<(Timestamp, Option<&PersonId>)> {
        match self.answered.as_ref().map(|e| (e.at, &e.what))? {
            (at, What::Answered { agent, .. }) => Some((at, agent.as_ref())),
            _ => None,
        }
    }

    /// The state of one side's confirmed dialog.
    pub fn dialog(&self, side: Party) -> Option<&Value> {
        let event = if side == Party::Caller { &self.caller } else { &self.callee };
        match &event.as_ref()?.what {
            What::Dialog { state, .. } => Some(state),
            _ => None,
        }
    }

    /// Offers that nobody has answered, refused or given up: number and whose phones ring.
    pub fn open_offers(&self) -> Vec<(u32, PersonId)> {
        let mut open = BTreeMap::new();
        for event in &self.story {
            match &event.what {
                What::Offered { offer, agent, .. } => {
                    open.insert(*offer, agent.clone());
                }
                What::OfferEnded { offer, .. } => {
                    open.remove(offer);
                }
                _ => {}
            }
        }
        open.into_iter().collect()
    }

    /// INVITEs without a final answer: the caller's head to be answered, and the CANCELs of phones
    /// that still ring; each with where it came from or went.
    pub fn unanswered(&self) -> (Option<Pending>, Vec<Pending>) {
        let ringing: Vec<u32> = self.open_offers().into_iter().map(|(offer, _)| offer).collect();
        let (mut caller, mut phones) = (None, Vec::new());
        for event in &self.story {
            match &event.what {
                What::Unanswered { offer: None, flow, text, .. } => {
                    caller = Some((*flow, text.clone()));
                }
                What::Unanswered { offer: Some(offer), flow, text, .. }
                    if ringing.contains(offer) =>
                {
                    phones.push((*flow, text.clone()));
                }
                _ => {}
            }
        }
        (caller, phones)
    }

    /// Every offer that ended, with its result: whom the call must not be offered again (B10).
    pub fn offer_results(&self) -> Vec<(u32, OfferResult)> {
        let result = |event: &Event| match event.what {
            What::OfferEnded { offer, result, .. } => Some((offer, result)),
            _ => None,
        };
        self.story.iter().filter_map(result).collect()
    }

    /// Its share of a checkpoint.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        std::iter::once(&self.arrived)
            .chain(&self.routed)
            .chain(&self.story)
            .chain(&self.answered)
            .chain(&self.caller)
            .chain(&self.callee)
    }
}

/// A person's slow state, as the last changes left it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentState {
    /// Logged out by themselves or by a command.
    pub logged_out: bool,
    /// Not ready, and why.
    pub paused: Option<Arc<str>>,
    /// Missed a call (clause C4).
    pub locked: bool,
    /// When it last changed.
    pub since: Timestamp,
    /// Who changed it last.
    pub by: Arc<str>,
}

impl AgentState {
    /// Its share of a checkpoint.
    pub fn events(&self, person: &PersonId) -> Vec<Event> {
        let presence = if self.logged_out { AgentChange::LoggedOut } else { AgentChange::LoggedIn };
        let pause = self.paused.clone().map(|reason| AgentChange::Paused { reason });
        let lock = self.locked.then_some(AgentChange::Locked);
        let event = |change| Event {
            at: self.since,
            what: What::Agent { person: person.clone(), change, by: self.by.clone() },
        };
        std::iter::once(presence).chain(pause).chain(lock).map(event).collect()
    }
}

/// What still holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// By key.
    #[serde(skip)]
    pub calls: BTreeMap<CallKey, OpenCall>,
    /// The latest `Bound` of each user part of an AOR and binding key. Expiry is the registrar's.
    #[serde(skip)]
    pub bindings: BTreeMap<(Arc<str>, Arc<str>), Event>,
    /// By person.
    pub agents: BTreeMap<PersonId, AgentState>,
    /// The latest `Ordered`.
    #[serde(skip)]
    pub ordered: Option<Event>,
}

impl State {
    /// Takes one event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.what {
            What::CallArrived { call, .. } => self.arrived(*call, event),
            What::CallEnded { call, .. } => {
                self.calls.remove(call);
            }
            What::Bound { aor, binding } => {
                self.bindings.insert((aor.clone(), binding_key(binding)), event.clone());
            }
            What::Unbound { aor, binding, .. } => {
                self.bindings.remove(&(aor.clone(), binding.clone()));
            }
            What::Agent { person, change, by } => self.agent(event.at, person, change, by),
            // Several sources are read: the newest counts.
            What::Ordered { .. } if self.ordered.as_ref().is_none_or(|o| o.at <= event.at) => {
                self.ordered = Some(event.clone());
            }
            what => {
                if let Some(open) = what.call().and_then(|call| self.calls.get_mut(&call)) {
                    open.apply(event);
                }
            }
        }
    }

    /// Everything that still holds, as events: each call's, then bindings, then agents.
    pub fn checkpoint(&self) -> Vec<Event> {
        self.held().into_iter().map(Cow::into_owned).collect()
    }

    /// The same for whoever only reads it: a worker's callers wait meanwhile.
    pub fn held(&self) -> Vec<Cow<'_, Event>> {
        let calls = self.calls.values().flat_map(OpenCall::events);
        let agents = self.agents.iter().flat_map(|(person, state)| state.events(person));
        calls
            .chain(self.bindings.values())
            .map(Cow::Borrowed)
            .chain(agents.map(Cow::Owned))
            .chain(self.ordered.iter().map(Cow::Borrowed))
            .collect()
    }

    /// What supervisors have ordered (clause B8).
    pub fn orders(&self) -> Orders {
        match self.ordered.as_ref().map(|event| &event.what) {
            Some(What::Ordered { orders, .. }) => orders.clone(),
            _ => Orders::default(),
        }
    }

    fn arrived(&mut self, call: CallKey, event: &Event) {
        self.calls.entry(call).or_insert_with(|| OpenCall {
            arrived: event.clone(),
            routed: None,
            story: Vec::new(),
            answered: None,
            caller: None,
            callee: None,
        });
    }

    fn agent(&mut self, at: Timestamp, person: &PersonId, change: &AgentChange, by: &Arc<str>) {
        let state = self.agents.entry(person.clone()).or_insert_with(|| AgentState {
            logged_out: false,
            paused: None,
            locked: false,
            since: at,
            by: by.clone(),
        });
        match change {
            // Who begins to work is ready.
            AgentChange::LoggedIn => {
                (state.logged_out, state.paused, state.locked) = (false, None, false);
            }
            AgentChange::LoggedOut => state.logged_out = true,
            AgentChange::Paused { reason } => state.paused = Some(reason.clone()),
            AgentChange::Resumed => (state.paused, state.locked) = (None, false),
            AgentChange::Locked => state.locked = true,
            AgentChange::Released => return,
        }
        (state.since, state.by) = (at, by.clone());
    }
}

impl OpenCall {
    fn apply(&mut self, event: &Event) {
        match &event.what {
            What::Routed { call, client, rule, clause, policy, explanation: _, grounds: _ } => {
                let what = What::Routed {
                    call: *call,
                    client: client.clone(),
                    rule: rule.clone(),
                    clause: clause.clone(),
                    policy: policy.clone(),
                    explanation: None,
                    grounds: None,
                };
                self.routed = Some(Event { at: event.at, what });
            }
            What::Answered { .. } => self.answered = Some(event.clone()),
            What::Dialog { side: Party::Caller, .. } => self.caller = Some(event.clone()),
            What::Dialog { .. } => self.callee = Some(event.clone()),
            What::StepBegan { .. }
            | What::Offered { .. }
            | What::Ringing { .. }
            | What::Unanswered { .. }
            | What::OfferEnded { .. }
            | What::Promised { .. }
                if !self.story.contains(event) =>
            {
                self.story.push(event.clone());
            }
            _ => {}
        }
    }
}

/// A binding's key: the text that `Unbound` names it by.
fn binding_key(binding: &Value) -> Arc<str> {
    match &binding["key"] {
        Value::String(key) => key.as_str().into(),
        other => other.to_string().into(),
    }
}
