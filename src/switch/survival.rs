//! What comes back from the journal after a restart: bindings, agents' states, calls.
//!
//! Confirmed dialogs go on. Calls that were not answered yet are over: their callers are told to try
//! again, and the record says "cut by a restart".

use std::sync::Arc;

use bytes::Bytes;

use super::{Output, Switch, What};
use crate::call::{AgentChange, Outcome, Party, Survivor, bucket, hashed};
use crate::domain::{CallKey, Flow, Moment, PersonId, ShardId};
use crate::registrar::{Binding, Change, Streams};
use crate::sip::{Builder, Header, Message};
use crate::transaction::{TxEvent, TxOutput};

/// A caller who was cut may try again after this many seconds.
const RETRY_AFTER_S: u32 = 2;

/// A call that was not answered when the server went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its key.
    pub call: CallKey,
    /// The caller's Call-ID.
    pub call_id: Arc<str>,
    /// The head of the caller's INVITE, and where it came from.
    pub caller: Option<(Flow, Arc<str>)>,
    /// The CANCELs of phones that ring, and where they ring.
    pub phones: Vec<(Flow, Arc<str>)>,
}

/// Everything that the journal remembers, of all workers; each switch takes what is its own.
#[derive(Clone, Debug, Default)]
pub struct Journalled {
    /// Answered calls.
    pub survivors: Vec<Survivor>,
    /// Calls that were not answered.
    pub cut: Vec<Cut>,
    /// Bindings, as JSON.
    pub bindings: Vec<serde_json::Value>,
    /// The last changes of agents, in order.
    pub agents: Vec<(PersonId, AgentChange)>,
    /// Connections are gone with the process; only a worker's restart keeps them.
    pub streams_kept: bool,
}

impl Switch {
    /// Takes up what is ours. Before the first input.
    pub fn restore(&mut self, now: Moment, journalled: &Journalled) {
        let streams = if journalled.streams_kept { Streams::Kept } else { Streams::Lost };
        // Only a worker began anew: the meters still count its calls, and those that go on count again.
        self.core.shared.meters.trunks.lost(self.core.shard);
        for value in &journalled.bindings {
            self.restore_binding(now, value, streams);
        }
        for (person, change) in &journalled.agents {
            if let Some(agent) = self.core.directory.agent(person) {
                self.apply_change(agent, change);
            }
        }
        for cut in &journalled.cut {
            if self.owns(&cut.call_id) {
                self.close(now, cut, streams);
            }
        }
        for survivor in &journalled.survivors {
            let proxied = survivor.caller.get("proxied");
            let place = if proxied.is_some() { "/proxied/call_id" } else { "/dialog/call_id" };
            let id = survivor.caller.pointer(place).and_then(|v| v.as_str());
            if !id.is_some_and(|id| self.owns(id)) {
                continue;
            }
            let restored = match proxied {
                Some(state) => self.restore_passing(now, survivor.call, state),
                None => self.calls.restore(&mut self.core.env(now), survivor.clone()),
            };
            if !restored {
                self.cut(now, survivor.call);
            }
        }
        self.seats_due(now, true);
        self.settle(now);
    }

    /// A replay is told what became of somebody through a call that it lacks.
    pub fn agent_was(&mut self, now: Moment, person: &PersonId, change: &AgentChange) {
        if let Some(agent) = self.core.directory.agent(person) {
            self.apply_change(agent, change);
            self.seat_changed(now, agent);
        }
    }

    /// A replay is told that nothing answered there, for a call that it lacks.
    pub fn phone_was_silent(&mut self, now: Moment, aor: &str, key: &str) {
        let location = self.core.shared.location.clone();
        let Some(binding) = location.binding(aor, key) else { return };
        let why = crate::registrar::Why::Unreachable;
        let change = self.registrar.drop_binding(aor, key, binding.epoch, why, &location);
        self.bindings_changed(now, change.into_iter().collect());
    }

    fn restore_binding(&mut self, now: Moment, value: &serde_json::Value, streams: Streams) {
        let Ok(binding) = serde_json::from_value::<Binding>(value.clone()) else { return };
        if self.shard_of_bucket(hashed(&self.core.hash_key, &binding.aor)) != self.core.shard {
            return;
        }
        let wall = self.core.wall.wall(now);
        let location = self.core.shared.location.clone();
        let kept = binding.clone();
        if self.registrar.restore(binding, wall, streams, &location) {
            // Into this run's journal too, so that the next restart finds it.
            self.bindings_changed(now, vec![Change::Bound(Arc::new(kept))]);
        }
    }

    fn owns(&self, call_id: &str) -> bool {
        self.shard_of_bucket(bucket(&self.core.hash_key, call_id)) == self.core.shard
    }

    fn shard_of_bucket(&self, bucket: u16) -> ShardId {
        ShardId((bucket % self.core.shards.max(1)) as u8)
    }

    /// The caller hears 503 through a transaction made anew from the journal, ringing phones CANCEL.
    fn close(&mut self, now: Moment, cut: &Cut, streams: Streams) {
        if let Some((flow, head)) = cut.caller.clone().and_then(|c| reachable(c, streams)) {
            if let Ok(request) = Message::parse(head) {
                self.core.tx.receive(now, request, flow);
            }
            self.answer_closed(now);
        }
        for (flow, cancel) in cut.phones.iter().cloned().filter_map(|p| reachable(p, streams)) {
            self.core.tx.send_stateless(flow, cancel);
        }
        self.cut(now, cut.call);
    }

    fn answer_closed(&mut self, now: Moment) {
        while let Some(output) = self.core.tx.poll() {
            match output {
                TxOutput::Event(TxEvent::Request { tx, request, .. }) => {
                    let tag = self.core.mint.tag();
                    let reply = Builder::reply(&request, 503, Some(&tag));
                    self.answer(now, tx, reply.header(Header::RetryAfter, RETRY_AFTER_S));
                }
                TxOutput::Event(_) => {}
                TxOutput::Send { flow, bytes } => {
                    self.outputs.push_back(Output::Send { flow, bytes });
                }
            }
        }
    }

    fn cut(&mut self, now: Moment, call: CallKey) {
        let (by, outcome) = (Party::Server, Outcome::CutByRestart);
        let reason = "the server was restarted before anybody answered".into();
        self.record(now, What::CallEnded { call, by, outcome, status: Some(503), reason });
    }
}

/// A way that may still lead somewhere: datagrams always do, a lost connection does not.
fn reachable((flow, text): (Flow, Arc<str>), streams: Streams) -> Option<(Flow, Bytes)> {
    let lost = streams == Streams::Lost && flow.transport.is_reliable();
    (!lost && !text.is_empty()).then(|| (flow, Bytes::copy_from_slice(text.as_bytes())))
}
