//! What comes back from the journal after a restart: bindings, agents' states, calls.
//!
//! Confirmed dialogs go on. Calls that were not answered yet are over: their callers are told to try
//! again, and the record says "cut by a restart".

use std::sync::Arc;

use super::{Switch, What};
use crate::call::{AgentChange, Outcome, Party, Survivor, bucket, hashed};
use crate::domain::{CallKey, Moment, PersonId, ShardId};
use crate::registrar::{Binding, Change, Streams};

/// Everything that the journal remembers, of all workers; each switch takes what is its own.
#[derive(Clone, Debug, Default)]
pub struct Journalled {
    /// Answered calls.
    pub survivors: Vec<Survivor>,
    /// Calls that were not answered, with the caller's Call-ID.
    pub cut: Vec<(CallKey, Arc<str>)>,
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
        for value in &journalled.bindings {
            self.restore_binding(now, value, streams);
        }
        for (person, change) in &journalled.agents {
            if let Some(agent) = self.core.directory.agent(person) {
                self.apply_change(agent, change);
            }
        }
        for (call, call_id) in &journalled.cut {
            if self.owns(call_id) {
                self.cut(now, *call);
            }
        }
        for survivor in &journalled.survivors {
            let id = survivor.caller.pointer("/dialog/call_id").and_then(|v| v.as_str());
            if !id.is_some_and(|id| self.owns(id)) {
                continue;
            }
            if !self.calls.restore(&mut self.core.env(now), survivor.clone()) {
                self.cut(now, survivor.call);
            }
        }
        self.seats_due(now, true);
        self.settle(now);
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

    fn cut(&mut self, now: Moment, call: CallKey) {
        let (by, outcome) = (Party::Server, Outcome::CutByRestart);
        let reason = "the server was restarted before anybody answered".into();
        self.record(now, What::CallEnded { call, by, outcome, status: None, reason });
    }
}
