//! One shard's callers in line: plain data behind `&mut`, shared with nobody.
//!
//! A caller has one key for life and stands in any number of queues. Bound to an agent it stands in
//! none, but its queues are remembered, so that a failed offer puts it back where it was.
//! Bounded by `calls_max` of the shard times the queues of a plan's steps.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::key::Key;
use crate::domain::{AgentId, CallKey};

/// Queues of one caller.
type Queues = SmallVec<[usize; 4]>;

/// One caller.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) queues: Queues,
    /// To whom the call is offered; `None`: it waits.
    pub(super) offered: Option<AgentId>,
}

/// All callers of one shard.
#[derive(Debug, Default)]
pub(super) struct Lines {
    calls: BTreeMap<CallKey, Line>,
    keys: BTreeMap<Key, CallKey>,
    /// Waiting callers by queue, best first. No empty queues.
    orders: BTreeMap<usize, BTreeMap<Key, CallKey>>,
}

impl Lines {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Somebody stands in some queue.
    pub(super) fn is_waiting(&self) -> bool {
        !self.orders.is_empty()
    }

    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.keys.contains_key(&key)
    }

    pub(super) fn line(&self, call: CallKey) -> Option<&Line> {
        self.calls.get(&call)
    }

    /// A new caller, in no queue yet.
    pub(super) fn open(&mut self, call: CallKey, key: Key) {
        self.keys.insert(key, call);
        self.calls.insert(call, Line { key, queues: Queues::new(), offered: None });
    }

    /// The caller goes for good; stands in no queue any more.
    pub(super) fn close(&mut self, call: CallKey) -> Option<Line> {
        let line = self.calls.remove(&call)?;
        self.keys.remove(&line.key);
        Some(line)
    }

    /// Remembers a queue for a caller; a waiting one stands in it from now on.
    pub(super) fn join(&mut self, call: CallKey, queue: usize) {
        let Some(line) = self.calls.get_mut(&call) else { return };
        if !line.queues.contains(&queue) {
            line.queues.push(queue);
        }
        if line.offered.is_none() {
            self.orders.entry(queue).or_default().insert(line.key, call);
        }
    }

    /// Forgets a queue for a caller. `true`: it stood there.
    pub(super) fn leave(&mut self, call: CallKey, queue: usize) -> bool {
        let Some(line) = self.calls.get_mut(&call) else { return false };
        line.queues.retain(|q| *q != queue);
        let key = line.key;
        self.step_out(key, queue)
    }

    /// The caller is offered to `agent` and stands in no queue. The queues it left.
    pub(super) fn offer(&mut self, call: CallKey, agent: AgentId) -> Queues {
        let Some(line) = self.calls.get_mut(&call) else { return Queues::new() };
        line.offered = Some(agent);
        let (key, mut queues) = (line.key, line.queues.clone());
        queues.retain(|queue| self.step_out(key, *queue));
        queues
    }

    /// The caller waits again. The queues it stands in again; `None` if it was not offered.
    pub(super) fn give_back(&mut self, call: CallKey) -> Option<Queues> {
        let line = self.calls.get_mut(&call)?;
        line.offered.take()?;
        let queues = line.queues.clone();
        queues.iter().for_each(|queue| self.join(call, *queue));
        Some(queues)
    }

    /// The best caller of a queue.
    pub(super) fn first(&self, queue: usize) -> Option<CallKey> {
        self.orders.get(&queue)?.first_key_value().map(|(_, call)| *call)
    }

    /// The best key of a queue and how many stand there.
    pub(super) fn shown(&self, queue: usize) -> (Key, usize) {
        let order = self.orders.get(&queue);
        let first = order.and_then(|o| o.first_key_value()).map_or(Key::EMPTY, |(key, _)| *key);
        (first, order.map_or(0, BTreeMap::len))
    }

    /// How many stand in `queue` before `key`.
    pub(super) fn ahead(&self, queue: usize, key: Key) -> usize {
        self.orders.get(&queue).map_or(0, |order| order.range(..key).count())
    }

    /// Every queue with callers.
    pub(super) fn queues(&self) -> Vec<usize> {
        self.orders.keys().copied().collect()
    }

    fn step_out(&mut self, key: Key, queue: usize) -> bool {
        let Some(order) = self.orders.get_mut(&queue) else { return false };
        let stood = order.remove(&key).is_some();
        if order.is_empty() {
            self.orders.remove(&queue);
        }
        stood
    }
}
