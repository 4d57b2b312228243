//! The client transactions: their table, matching of responses (RFC 3261 §17.1.3), CANCEL (§9.1).
//!
//! A transaction keeps one message, what was sent last: the request, and after a failure its ACK.
//! The number of a transaction stands in its branch beside 64 random bits, so a response is found
//! by one look-up and a guessed branch finds nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::event::{ClientTx, TxEvent};
use super::invite_client::{InviteClient, State};
use super::non_invite_client::NonInviteClient;
use super::offspring;
use super::step::{Class, ClientInput, Step, Steps, TransactionTimers};
use super::wire::{ClientKey, Key, Slots, Wire};
use crate::domain::{Flow, Moment};
use crate::sip::{Message, Method};

/// A request to be sent.
pub(super) struct Outgoing {
    /// Its method.
    pub(super) method: Method,
    /// Where it goes.
    pub(super) flow: Flow,
    /// The random part of its branch.
    pub(super) nonce: u64,
    /// The whole message.
    pub(super) bytes: Bytes,
}

/// The table.
#[derive(Default)]
pub(super) struct Clients {
    table: BTreeMap<ClientKey, Client>,
}

struct Client {
    machine: Machine,
    method: Method,
    flow: Flow,
    nonce: u64,
    sent: Bytes,
    slots: Slots,
    cancel: Cancel,
}

/// §9.1: a CANCEL is not sent before a provisional response has come.
enum Cancel {
    No,
    Wanted(Option<Box<str>>),
    Sent,
}

enum Machine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

impl Machine {
    fn input(&mut self, input: ClientInput, timers: &TransactionTimers) -> Steps {
        match self {
            Machine::Invite(machine) => machine.input(input, timers),
            Machine::Other(machine) => machine.input(input, timers),
        }
    }
}

impl Clients {
    /// Transactions in the table.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Sends a request.
    pub(super) fn open(&mut self, now: Moment, key: ClientKey, out: Outgoing, wire: &mut Wire) {
        let reliable = out.flow.transport.is_reliable();
        let (machine, steps) = match out.method {
            Method::Invite => {
                let (machine, steps) = InviteClient::start(reliable, &wire.timers);
                (Machine::Invite(machine), steps)
            }
            _ => {
                let (machine, steps) = NonInviteClient::start(reliable, &wire.timers);
                (Machine::Other(machine), steps)
            }
        };
        let client = Client {
            machine,
            method: out.method,
            flow: out.flow,
            nonce: out.nonce,
            sent: out.bytes,
            slots: Slots::default(),
            cancel: Cancel::No,
        };
        wire.join(client.flow, Key::Client(key));
        self.table.insert(key, client);
        self.carry_out(now, key, steps, None, wire);
    }

    /// A response; false if no transaction has it (§17.1.3: by top Via's branch and CSeq's method).
    pub(super) fn response(
        &mut self,
        now: Moment,
        response: &Message,
        flow: Flow,
        wire: &mut Wire,
    ) -> bool {
        let Some((tx, nonce)) = response.top_via().and_then(|via| via.branch().and_then(numbers))
        else {
            return false;
        };
        let key = ClientKey { tx, cancel: *response.method() == Method::Cancel };
        let Some(client) = self.table.get_mut(&key) else { return false };
        if client.nonce != nonce || client.method != *response.method() {
            return false;
        }
        let Some(class) = Class::of(response.status()) else { return true };
        client.settle(flow, Key::Client(key), wire);
        let steps = client.machine.input(ClientInput::Response(class), &wire.timers);
        self.carry_out(now, key, steps, Some((response, flow)), wire);
        self.send_wanted_cancel(now, key, wire);
        true
    }

    /// Cancels an INVITE (§9.1): at once if a provisional response has come, else when one comes.
    /// Nothing happens if it has its final response, or was cancelled already.
    pub(super) fn cancel(
        &mut self,
        now: Moment,
        tx: ClientTx,
        reason: Option<&str>,
        wire: &mut Wire,
    ) {
        let key = ClientKey { tx, cancel: false };
        let Some(client) = self.table.get_mut(&key) else { return };
        if matches!(client.cancel, Cancel::No) {
            client.cancel = Cancel::Wanted(reason.map(Box::from));
            self.send_wanted_cancel(now, key, wire);
        }
    }

    /// A timer of the queue has come.
    pub(super) fn fired(
        &mut self,
        now: Moment,
        key: ClientKey,
        (bound, generation): (bool, u32),
        wire: &mut Wire,
    ) {
        let fired = self.table.get_mut(&key).and_then(|c| c.slots.fire(bound, generation));
        let Some(timer) = fired else { return wire.queue.was_cleared() };
        self.input(now, key, ClientInput::Fired(timer), wire);
        self.send_wanted_cancel(now, key, wire);
    }

    /// The flow of `key` failed.
    pub(super) fn transport_failed(&mut self, now: Moment, key: ClientKey, wire: &mut Wire) {
        self.input(now, key, ClientInput::TransportError, wire);
    }

    /// That setting of the queue still stands.
    pub(super) fn is_set(&self, key: ClientKey, bound: bool, generation: u32) -> bool {
        self.table.get(&key).is_some_and(|client| client.slots.runs(bound, generation))
    }

    fn input(&mut self, now: Moment, key: ClientKey, input: ClientInput, wire: &mut Wire) {
        let Some(client) = self.table.get_mut(&key) else { return };
        let steps = client.machine.input(input, &wire.timers);
        self.carry_out(now, key, steps, None, wire);
    }

    /// What would cancel this INVITE.
    pub(super) fn cancel_of(&self, tx: ClientTx) -> Option<Bytes> {
        let client = self.table.get(&ClientKey { tx, cancel: false })?;
        offspring::cancel(&client.sent, None).filter(|_| client.method == Method::Invite)
    }

    fn send_wanted_cancel(&mut self, now: Moment, key: ClientKey, wire: &mut Wire) {
        let Some(client) = self.table.get_mut(&key) else { return };
        let Machine::Invite(machine) = &client.machine else { return };
        let Cancel::Wanted(reason) = &client.cancel else { return };
        if machine.state() != State::Proceeding {
            return;
        }
        let cancel = offspring::cancel(&client.sent, reason.as_deref());
        client.cancel = Cancel::Sent;
        let (flow, nonce) = (client.flow, client.nonce);
        if let Some(bytes) = cancel {
            let out = Outgoing { method: Method::Cancel, flow, nonce, bytes };
            self.open(now, ClientKey { cancel: true, ..key }, out, wire);
        }
        self.input(now, key, ClientInput::CancelSent, wire);
    }

    fn carry_out(
        &mut self,
        now: Moment,
        key: ClientKey,
        steps: Steps,
        response: Option<(&Message, Flow)>,
        wire: &mut Wire,
    ) {
        let Some(client) = self.table.get_mut(&key) else { return };
        let whole = Key::Client(key);
        for step in steps {
            match step {
                Step::Send | Step::SendAgain => wire.send(client.flow, client.sent.clone()),
                Step::SendAck => client.acknowledge(response, wire),
                Step::Pass => tell_response(key, response, wire),
                Step::Repeat(timer, delay) => {
                    wire.repeat(now, whole, &mut client.slots, (timer, delay));
                }
                Step::StopRepeat => wire.queue.clear(&mut client.slots.repeat),
                Step::Bound(timer, delay) => {
                    wire.bound(now, whole, &mut client.slots, (timer, delay));
                }
                Step::Cancel if matches!(client.cancel, Cancel::No) => {
                    client.cancel = Cancel::Wanted(None);
                }
                Step::Cancel => {}
                // The CANCEL's own fate is nobody's news: the INVITE's timer bounds the wait (§9.1).
                Step::Timeout if !key.cancel => wire.tell(TxEvent::Timeout { tx: key.tx }),
                Step::TransportFailed if !key.cancel => {
                    wire.tell(TxEvent::TransportFailed { tx: key.tx });
                }
                Step::DropSent => client.sent = Bytes::new(),
                Step::Timeout | Step::TransportFailed => {}
                // The server's.
                Step::SendTrying
                | Step::SendForgotten
                | Step::NoAck
                | Step::Confirmed
                | Step::DropRequest => {}
                Step::End => {
                    wire.end(client.flow, whole, &mut client.slots);
                    self.table.remove(&key);
                    return;
                }
            }
        }
    }
}

impl Client {
    /// A stream that was yet to be connected is the one on which the answer came.
    fn settle(&mut self, flow: Flow, key: Key, wire: &mut Wire) {
        let same_peer = flow.transport == self.flow.transport && flow.remote == self.flow.remote;
        if self.flow.connection == 0 && flow.connection != 0 && same_peer {
            wire.leave(self.flow, key);
            self.flow = flow;
            wire.join(self.flow, key);
        }
    }

    fn acknowledge(&mut self, response: Option<(&Message, Flow)>, wire: &mut Wire) {
        if let Some(ack) = response.and_then(|(r, _)| offspring::ack_of_failure(&self.sent, r)) {
            self.sent = ack;
            wire.send(self.flow, self.sent.clone());
        }
    }
}

fn tell_response(key: ClientKey, response: Option<(&Message, Flow)>, wire: &mut Wire) {
    if let Some((response, flow)) = response
        && !key.cancel
    {
        wire.tell(TxEvent::Response { tx: key.tx, response: response.clone(), flow });
    }
}

/// The branch of a request of ours.
pub(super) fn branch(tx: ClientTx, nonce: u64, mark: &str) -> String {
    let dot = if mark.is_empty() { "" } else { "." };
    format!("z9hG4bK{:x}.{nonce:016x}{dot}{mark}", tx.0)
}

/// Number and nonce of a branch that `branch` made.
fn numbers(branch: &str) -> Option<(ClientTx, u64)> {
    let cookie = branch.get(..7).filter(|c| c.eq_ignore_ascii_case("z9hG4bK"))?;
    let mut parts = branch[cookie.len()..].split('.');
    let tx = u64::from_str_radix(parts.next()?, 16).ok()?;
    let nonce = parts.next().filter(|n| n.len() == 16)?;
    Some((ClientTx(tx), u64::from_str_radix(nonce, 16).ok()?))
}

/// What `mark` was given to `Transactions::forward` for this branch.
pub(super) fn mark(branch: &str) -> Option<&str> {
    numbers(branch)?;
    branch.splitn(3, '.').nth(2)
}
