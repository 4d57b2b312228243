//! What both tables of transactions share: the outputs, the timers, and who uses which flow.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::event::{ClientTx, ServerTx, TxEvent, TxOutput};
use super::step::{Timer, TransactionTimers};
use super::timers::{Slot, Timers};
use crate::domain::{Flow, Moment};

/// A client transaction's place: an INVITE and its CANCEL have the same number (and branch, §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientKey {
    /// The number.
    pub(super) tx: ClientTx,
    /// It is the CANCEL of that INVITE.
    pub(super) cancel: bool,
}

/// A transaction of either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// We sent the request.
    Client(ClientKey),
    /// Somebody else did.
    Server(ServerTx),
}

impl Key {
    /// Before all others.
    const FIRST: Key = Key::Client(ClientKey { tx: ClientTx(0), cancel: false });
}

/// The two timers of a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slots {
    /// A, E, G and the wait before 100.
    pub(super) repeat: Slot,
    /// All others.
    pub(super) bound: Slot,
}

impl Slots {
    /// The timer that a queue's entry stands for, if it still runs.
    pub(super) fn fire(&mut self, bound: bool, generation: u32) -> Option<Timer> {
        let slot = if bound { &mut self.bound } else { &mut self.repeat };
        slot.fire(generation)
    }

    /// The timer that a queue's entry stands for still runs.
    pub(super) fn runs(&self, bound: bool, generation: u32) -> bool {
        if bound { self.bound.runs(generation) } else { self.repeat.runs(generation) }
    }
}

/// The shared part.
pub(super) struct Wire {
    /// Durations.
    pub(super) timers: TransactionTimers,
    /// What is set.
    pub(super) queue: Timers<Key>,
    /// What nobody has polled yet.
    pub(super) out: VecDeque<TxOutput>,
    users: BTreeSet<(Flow, Key)>,
}

impl Wire {
    /// Empty.
    pub(super) fn new(timers: TransactionTimers) -> Self {
        Self { timers, queue: Timers::new(), out: VecDeque::new(), users: BTreeSet::new() }
    }

    /// Bytes for the transport.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.out.push_back(TxOutput::Send { flow, bytes });
    }

    /// News for the transaction user.
    pub(super) fn tell(&mut self, event: TxEvent) {
        self.out.push_back(TxOutput::Event(event));
    }

    /// Sets the repeating timer.
    pub(super) fn repeat(
        &mut self,
        now: Moment,
        key: Key,
        slots: &mut Slots,
        (timer, delay): (Timer, Duration),
    ) {
        self.queue.set(now, delay, timer, (key, false), &mut slots.repeat);
    }

    /// Sets the bounding timer.
    pub(super) fn bound(
        &mut self,
        now: Moment,
        key: Key,
        slots: &mut Slots,
        (timer, delay): (Timer, Duration),
    ) {
        self.queue.set(now, delay, timer, (key, true), &mut slots.bound);
    }

    /// Remembers that `key` sends on `flow`.
    pub(super) fn join(&mut self, flow: Flow, key: Key) {
        self.users.insert((flow, key));
    }

    /// Forgets it.
    pub(super) fn leave(&mut self, flow: Flow, key: Key) {
        self.users.remove(&(flow, key));
    }

    /// Forgets a transaction that ends.
    pub(super) fn end(&mut self, flow: Flow, key: Key, slots: &mut Slots) {
        self.queue.clear(&mut slots.repeat);
        self.queue.clear(&mut slots.bound);
        self.leave(flow, key);
    }

    /// Who sends on `flow`; on a stream also who asked for its connection before it had a number.
    pub(super) fn users(&self, flow: Flow) -> Vec<Key> {
        let of = |flow: Flow| {
            self.users
                .range((flow, Key::FIRST)..)
                .take_while(move |(user, _)| *user == flow)
                .map(|(_, key)| *key)
        };
        let mut keys: Vec<Key> = of(flow).collect();
        if flow.connection != 0 {
            keys.extend(of(Flow { connection: 0, ..flow }));
        }
        keys
    }

    /// No flow has a user and nothing waits to be polled.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.out.is_empty()
    }
}
