//! The server transactions: their table, matching of requests (RFC 3261 §17.2.3), merged requests
//! (§8.2.2.2), where responses go (§18.2.2, RFC 3581).
//!
//! A transaction keeps the request until it is answered (for the 100 that the layer makes itself)
//! and the last response for as long as it may have to be sent again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::event::{ServerTx, TxEvent};
use super::invite_server::{InviteServer, State};
use super::matching::{MatchKey, Secret};
use super::non_invite_server::NonInviteServer;
use super::offspring;
use super::step::{Class, ServerInput, Step, Steps, Timer, TransactionTimers};
use super::wire::{Key, Slots, Wire};
use crate::domain::{Flow, Moment};
use crate::sip::{Message, Method};

/// The table and the ways into it.
pub(super) struct Servers {
    secret: Secret,
    table: BTreeMap<ServerTx, Server>,
    by_key: BTreeMap<(u128, Method), ServerTx>,
    merged: BTreeMap<u128, ServerTx>,
}

struct Server {
    machine: Machine,
    flow: Flow,
    key: MatchKey,
    merge_key: Option<u128>,
    /// Where the ACK of a sender without the cookie will be found.
    ack_hash: Option<u128>,
    request: Option<Message>,
    sent: Option<Bytes>,
    /// The To tag of an INVITE's final response.
    to_tag: Option<Box<str>>,
    cancelled: bool,
    slots: Slots,
}

enum Machine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

impl Machine {
    fn input(&mut self, input: ServerInput, timers: &TransactionTimers) -> Steps {
        match self {
            Machine::Invite(machine) => machine.input(input, timers),
            Machine::Other(machine) => machine.input(input, timers),
        }
    }
}

/// What goes through a machine.
enum Hand<'a> {
    Nothing,
    Request(&'a Message, Flow),
    Response(Bytes),
}

/// What a CANCEL finds.
pub(super) enum CancelFinds {
    /// No transaction of that branch: 481.
    Nothing,
    /// One; the 200's To tag, and whether the user is to be told.
    Transaction { tx: ServerTx, to_tag: Option<String>, tell: bool },
}

impl Servers {
    /// Empty.
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, table: BTreeMap::new(), by_key: BTreeMap::new(), merged: BTreeMap::new() }
    }

    /// Transactions in the table.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// No transaction, and no way to one.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty() && self.by_key.is_empty() && self.merged.is_empty()
    }

    /// The same request came before by the same way: it is absorbed.
    pub(super) fn repeated(&mut self, now: Moment, key: &MatchKey, wire: &mut Wire) -> bool {
        let found = self.by_key.get(&(key.hash, key.method.clone())).copied();
        if let Some(tx) = found {
            self.input(now, tx, ServerInput::Request, Hand::Nothing, wire);
        }
        found.is_some()
    }

    /// The same request is here by another way (§8.2.2.2).
    pub(super) fn is_merged(&self, request: &Message) -> bool {
        self.secret.merge_key(request).is_some_and(|key| self.merged.contains_key(&key))
    }

    /// A new request; it goes to the transaction user.
    pub(super) fn open(
        &mut self,
        now: Moment,
        tx: ServerTx,
        key: MatchKey,
        (request, source): (&Message, Flow),
        wire: &mut Wire,
    ) {
        let reliable = source.transport.is_reliable();
        let (machine, steps) = match key.method {
            Method::Invite => {
                let (machine, steps) = InviteServer::start(reliable, &wire.timers);
                (Machine::Invite(machine), steps)
            }
            _ => {
                let (machine, steps) = NonInviteServer::start(reliable, &wire.timers);
                (Machine::Other(machine), steps)
            }
        };
        let server = Server {
            machine,
            flow: offspring::reply_flow(request, source),
            merge_key: self.secret.merge_key(request),
            ack_hash: None,
            request: Some(request.clone()),
            sent: None,
            to_tag: None,
            cancelled: false,
            slots: Slots::default(),
            key,
        };
        wire.join(server.flow, Key::Server(tx));
        self.by_key.insert((server.key.hash, server.key.method.clone()), tx);
        if let Some(merge_key) = server.merge_key {
            self.merged.insert(merge_key, tx);
        }
        self.table.insert(tx, server);
        self.carry_out(now, tx, steps, Hand::Request(request, source), wire);
    }

    /// An ACK; false if it belongs to no INVITE here.
    pub(super) fn ack(
        &mut self,
        now: Moment,
        (ack, source): (&Message, Flow),
        key: &MatchKey,
        wire: &mut Wire,
    ) -> bool {
        let wanted = if key.rfc2543.is_some() { Method::Ack } else { Method::Invite };
        let Some(tx) = self.by_key.get(&(key.hash, wanted)).copied() else { return false };
        self.input(now, tx, ServerInput::Ack, Hand::Request(ack, source), wire);
        true
    }

    /// What `key`, a CANCEL's, cancels: the transaction of the same branch (§9.2).
    pub(super) fn cancel(&mut self, key: &MatchKey) -> CancelFinds {
        let of_branch = self.by_key.range((key.hash, Method::Invite)..);
        let found = of_branch
            .take_while(|((hash, _), _)| *hash == key.hash)
            .find(|((_, method), _)| !matches!(method, Method::Ack | Method::Cancel))
            .map(|(_, tx)| *tx);
        let Some(tx) = found else { return CancelFinds::Nothing };
        let Some(server) = self.table.get_mut(&tx) else { return CancelFinds::Nothing };
        let pending = match &server.machine {
            Machine::Invite(machine) => machine.state() == State::Proceeding,
            Machine::Other(_) => false,
        };
        let tell = pending && !server.cancelled;
        server.cancelled |= pending;
        CancelFinds::Transaction { tx, to_tag: server.known_to_tag(), tell }
    }

    /// The transaction user answers.
    pub(super) fn respond(
        &mut self,
        now: Moment,
        tx: ServerTx,
        (status, bytes): (u16, Bytes),
        wire: &mut Wire,
    ) {
        let Some(server) = self.table.get_mut(&tx) else { return };
        let Some(class) = Class::of(status) else { return };
        let input = match (&server.machine, class) {
            (Machine::Invite(_), Class::Provisional) => ServerInput::Respond(class),
            (Machine::Invite(_), Class::Success | Class::Failure) => {
                self.note_final(tx, &bytes);
                ServerInput::Respond(class)
            }
            // RFC 4320 §4.1: no provisional response but 100.
            (Machine::Other(_), Class::Provisional) if status != 100 => return,
            // RFC 4320 §4.2: never 408; the client has given up by itself.
            (Machine::Other(_), _) if status == 408 => ServerInput::Fired(Timer::Forgotten),
            (Machine::Other(_), _) => ServerInput::Respond(class),
        };
        // A challenged request comes again with credentials, from some senders under the same
        // CSeq: that is not the copy of §8.2.2.2.
        if matches!(status, 401 | 407) {
            self.unmerge(tx);
        }
        self.input(now, tx, input, Hand::Response(bytes), wire);
    }

    /// The transaction user answers, once and for all.
    pub(super) fn respond_once(
        &mut self,
        now: Moment,
        tx: ServerTx,
        (status, bytes): (u16, Bytes),
        wire: &mut Wire,
    ) {
        match self.table.get(&tx) {
            Some(server) if server.sent.is_none() && server.to_tag.is_none() => {
                wire.send(server.flow, bytes);
                self.end(tx, wire);
            }
            _ => self.respond(now, tx, (status, bytes), wire),
        }
    }

    /// The transaction user says nothing, and never will.
    pub(super) fn ignore(&mut self, tx: ServerTx, wire: &mut Wire) {
        self.end(tx, wire);
    }

    /// A timer of the queue has come.
    pub(super) fn fired(
        &mut self,
        now: Moment,
        tx: ServerTx,
        (bound, generation): (bool, u32),
        wire: &mut Wire,
    ) {
        let fired = self.table.get_mut(&tx).and_then(|s| s.slots.fire(bound, generation));
        let Some(timer) = fired else { return wire.queue.was_cleared() };
        self.input(now, tx, ServerInput::Fired(timer), Hand::Nothing, wire);
    }

    /// The flow of `tx` failed.
    pub(super) fn transport_failed(&mut self, now: Moment, tx: ServerTx, wire: &mut Wire) {
        self.input(now, tx, ServerInput::TransportError, Hand::Nothing, wire);
    }

    /// That setting of the queue still stands.
    pub(super) fn is_set(&self, tx: ServerTx, bound: bool, generation: u32) -> bool {
        self.table.get(&tx).is_some_and(|server| server.slots.runs(bound, generation))
    }

    fn input(
        &mut self,
        now: Moment,
        tx: ServerTx,
        input: ServerInput,
        hand: Hand<'_>,
        wire: &mut Wire,
    ) {
        let Some(server) = self.table.get_mut(&tx) else { return };
        let steps = server.machine.input(input, &wire.timers);
        self.carry_out(now, tx, steps, hand, wire);
    }

    fn carry_out(
        &mut self,
        now: Moment,
        tx: ServerTx,
        steps: Steps,
        hand: Hand<'_>,
        wire: &mut Wire,
    ) {
        let Some(server) = self.table.get_mut(&tx) else { return };
        let key = Key::Server(tx);
        for step in steps {
            match step {
                Step::Send => server.send(&hand, wire),
                Step::SendAgain => server.send_again(wire),
                Step::SendTrying => server.reply(100, None, wire),
                Step::SendForgotten => {
                    let tag = server.request.as_ref().map(|r| self.secret.stateless_tag(r));
                    server.reply(500, tag.as_deref(), wire);
                }
                Step::Pass => tell_request(tx, &hand, wire),
                Step::Repeat(timer, delay) => {
                    wire.repeat(now, key, &mut server.slots, (timer, delay));
                }
                Step::StopRepeat => wire.queue.clear(&mut server.slots.repeat),
                Step::Bound(timer, delay) => {
                    wire.bound(now, key, &mut server.slots, (timer, delay));
                }
                Step::TransportFailed => wire.tell(TxEvent::ReplyFailed { tx }),
                Step::NoAck => wire.tell(TxEvent::NoAck { tx }),
                Step::Confirmed => wire.tell(TxEvent::Confirmed { tx }),
                Step::DropRequest => server.request = None,
                Step::DropSent => server.sent = None,
                // The client's.
                Step::SendAck | Step::Cancel | Step::Timeout => {}
                Step::End => return self.end(tx, wire),
            }
        }
    }

    fn end(&mut self, tx: ServerTx, wire: &mut Wire) {
        self.unmerge(tx);
        let Some(mut server) = self.table.remove(&tx) else { return };
        wire.end(server.flow, Key::Server(tx), &mut server.slots);
        self.by_key.remove(&(server.key.hash, server.key.method));
        if let Some(hash) = server.ack_hash {
            self.by_key.remove(&(hash, Method::Ack));
        }
    }

    fn unmerge(&mut self, tx: ServerTx) {
        let merge_key = self.table.get_mut(&tx).and_then(|server| server.merge_key.take());
        if let Some(merge_key) = merge_key
            && self.merged.get(&merge_key) == Some(&tx)
        {
            self.merged.remove(&merge_key);
        }
    }

    /// The first final response to an INVITE: its To tag is the one that a CANCEL's 200 has (§9.2)
    /// and by which the ACK of a sender without the cookie is known (§17.2.3).
    fn note_final(&mut self, tx: ServerTx, response: &Bytes) {
        let Some(server) = self.table.get_mut(&tx) else { return };
        if server.to_tag.is_some() {
            return;
        }
        let to_tag = offspring::to_tag(response).unwrap_or_default();
        if let Some(untagged) = server.key.rfc2543 {
            let hash = self.secret.tagged(untagged, &to_tag);
            server.ack_hash = Some(hash);
            self.by_key.insert((hash, Method::Ack), tx);
        }
        server.to_tag = Some(to_tag.into_boxed_str());
    }
}

impl Server {
    fn send(&mut self, hand: &Hand<'_>, wire: &mut Wire) {
        if let Hand::Response(bytes) = hand {
            self.sent = Some(bytes.clone());
            self.send_again(wire);
        }
    }

    fn send_again(&self, wire: &mut Wire) {
        if let Some(bytes) = &self.sent {
            wire.send(self.flow, bytes.clone());
        }
    }

    fn reply(&mut self, status: u16, tag: Option<&str>, wire: &mut Wire) {
        if let Some(request) = &self.request {
            self.sent = Some(offspring::reply(request, status, tag));
            self.send_again(wire);
        }
    }

    /// The To tag that responses to this request carried so far.
    fn known_to_tag(&self) -> Option<String> {
        let of_sent = || self.sent.as_ref().and_then(offspring::to_tag);
        let tag = self.to_tag.as_deref().map(str::to_owned).or_else(of_sent);
        tag.filter(|tag| !tag.is_empty())
    }
}

fn tell_request(tx: ServerTx, hand: &Hand<'_>, wire: &mut Wire) {
    let Hand::Request(request, flow) = hand else { return };
    let (request, flow) = ((*request).clone(), *flow);
    wire.tell(match request.method() {
        Method::Ack => TxEvent::Ack { request, flow },
        _ => TxEvent::Request { tx, request, flow },
    });
}
