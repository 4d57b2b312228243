//! One shard's callers in line: plain data behind `&mut`, shared with nobody.
//!
//! A caller has one key for life and stands in any number of queues. It stands there as long as it
//! wants more agents than are bound to it; then in none, but its queues are remembered, so that a
//! failed offer puts it back where it was.
//! Bounded by `calls_max` of the shard times the queues of a plan's steps.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::key::Key;
use super::strategy::Strategy;
use super::word::Token;
use crate::domain::{CallKey, Moment};

/// Queues of one caller.
pub(super) type Queues = SmallVec<[usize; 4]>;

/// One caller.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: Key,
    arrived: Moment,
    /// Its queues, and how it chooses among the idle there.
    places: SmallVec<[(usize, Strategy); 4]>,
    /// How many agents it wants at once.
    agents: u8,
    /// To whom it is offered.
    offered: SmallVec<[Token; 1]>,
    /// One of them has answered.
    answered: bool,
    /// It stands in its queues.
    stands: bool,
}

impl Line {
    /// The queues it stands in, or would.
    pub(super) fn queues(&self) -> Queues {
        self.places.iter().map(|(queue, _)| *queue).collect()
    }

    /// It stands in its queues: wants one agent more at least.
    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// Somebody is bound to it.
    pub(super) fn is_offered(&self) -> bool {
        !self.offered.is_empty()
    }

    fn wants(&self) -> bool {
        !self.answered && self.offered.len() < usize::from(self.agents)
    }
}

/// All callers of one shard.
#[derive(Debug, Default)]
pub(super) struct Lines {
    calls: BTreeMap<CallKey, Line>,
    keys: BTreeMap<Key, CallKey>,
    /// Standing callers by queue, best first. No empty queues.
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
    pub(super) fn open(&mut self, call: CallKey, key: Key, arrived: Moment) {
        self.keys.insert(key, call);
        let line = Line {
            key,
            arrived,
            places: SmallVec::new(),
            agents: 1,
            offered: SmallVec::new(),
            answered: false,
            stands: true,
        };
        self.calls.insert(call, line);
    }

    /// The caller goes for good; stands in no queue any more.
    pub(super) fn close(&mut self, call: CallKey) -> Option<Line> {
        let line = self.calls.remove(&call)?;
        self.keys.remove(&line.key);
        Some(line)
    }

    /// Remembers a queue for a caller, or its new strategy there; a standing one stands in it from now on.
    pub(super) fn join(&mut self, call: CallKey, queue: usize, strategy: Strategy) {
        let Some(line) = self.calls.get_mut(&call) else { return };
        match line.places.iter_mut().find(|(known, _)| *known == queue) {
            Some((_, known)) => *known = strategy,
            None => line.places.push((queue, strategy)),
        }
        if line.stands {
            self.orders.entry(queue).or_default().insert(line.key, call);
        }
    }

    /// Forgets a queue for a caller. `true`: it stood there.
    pub(super) fn leave(&mut self, call: CallKey, queue: usize) -> bool {
        let Some(line) = self.calls.get_mut(&call) else { return false };
        line.places.retain(|(known, _)| *known != queue);
        let key = line.key;
        self.step_out(key, queue)
    }

    /// The caller wants so many agents at once.
    pub(super) fn want(&mut self, call: CallKey, agents: u8) {
        if let Some(line) = self.calls.get_mut(&call) {
            line.agents = agents;
        }
    }

    /// The caller is offered with `token`.
    pub(super) fn offer(&mut self, call: CallKey, token: Token) {
        if let Some(line) = self.calls.get_mut(&call) {
            line.offered.push(token);
        }
    }

    /// Whether nobody answered the caller so far.
    pub(super) fn is_open(&self, call: CallKey) -> bool {
        self.line(call).is_none_or(|line| !line.answered)
    }

    /// The agent of `token` has answered the caller, and goes by `talking` from now on.
    pub(super) fn answer(&mut self, call: CallKey, token: Token, talking: Token) {
        let Some(line) = self.calls.get_mut(&call) else { return };
        if let Some(known) = line.offered.iter_mut().find(|known| **known == token) {
            *known = talking;
            line.answered = true;
        }
    }

    /// The offer with `token` is over. `false`: the caller was not offered with it.
    pub(super) fn take_back(&mut self, call: CallKey, token: Token) -> bool {
        let Some(line) = self.calls.get_mut(&call) else { return false };
        let Some(place) = line.offered.iter().position(|known| *known == token) else {
            return false;
        };
        line.offered.remove(place);
        if token.is_talking() {
            line.answered = false;
        }
        true
    }

    /// Puts the caller into its queues (`true`) or takes it out of them, if that is due.
    pub(super) fn stand(&mut self, call: CallKey) -> Option<(bool, Queues)> {
        let line = self.calls.get_mut(&call)?;
        let wants = line.wants();
        if wants == std::mem::replace(&mut line.stands, wants) {
            return None;
        }
        let (key, queues) = (line.key, line.queues());
        for queue in &queues {
            if wants {
                self.orders.entry(*queue).or_default().insert(key, call);
            } else {
                self.step_out(key, *queue);
            }
        }
        Some((wants, queues))
    }

    /// How a caller chooses among the idle in one of its queues.
    pub(super) fn strategy(&self, call: CallKey, queue: usize) -> Strategy {
        let place = self.line(call).and_then(|line| line.places.iter().find(|p| p.0 == queue));
        place.map(|(_, strategy)| *strategy).unwrap_or_default()
    }

    /// The best caller of a queue.
    pub(super) fn first(&self, queue: usize) -> Option<CallKey> {
        self.orders.get(&queue)?.first_key_value().map(|(_, call)| *call)
    }

    /// The best key of a queue, when that caller came, and how many stand there.
    pub(super) fn shown(&self, queue: usize) -> (Key, Moment, usize) {
        let order = self.orders.get(&queue);
        let first = order.and_then(|order| order.first_key_value());
        let Some((key, call)) = first else { return (Key::EMPTY, Moment::NEVER, 0) };
        let arrived = self.line(*call).map_or(Moment::NEVER, |line| line.arrived);
        (*key, arrived, order.map_or(0, BTreeMap::len))
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
