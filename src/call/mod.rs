//! Calls: where a plan meets dialogs. Legs, offers, bridging, endings, and what is written of them.
//!
//! `Calls` owns every call of its shard. It hears of SIP transactions (`event`), of agents that the
//! desk gave to a call (`assignments`), of people who went (`presence_changed`) and of time
//! (`timeout`); it speaks through `Env`. It knows no socket and no clock.
//!
//! | file | holds |
//! |---|---|
//! | `state` | one call |
//! | `arrive`, `caller` | an INVITE becomes a call: limits, identification, decision |
//! | `line` | steps of the plan (clause C7) |
//! | `afresh`, `moved` | people change while somebody waits; a supervisor moves a call |
//! | `offer`, `fork` | phones of one person ring; what their answers mean |
//! | `answer` | 2xx on both sides, late offers, ACKs |
//! | `relay` | requests within the dialogs: hold, re-INVITE, UPDATE, INFO, BYE |
//! | `direct`, `star` | our people's own calls and star codes |
//! | `ending` | how a call ends, and what lingers after it |
//! | `restore` | calls that survive a restart |

mod afresh;
mod answer;
mod arrive;
mod caller;
mod direct;
mod early;
mod ending;
mod env;
mod event;
mod fork;
mod leg;
mod line;
mod mint;
mod moved;
mod offer;
mod presence;
mod relay;
mod restore;
mod star;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{CallKey, Moment};
use crate::sip::{Message, Method};
use crate::transaction::{ClientTx, ServerTx, TxEvent};

pub use answer::refuse_stray;
pub use arrive::{Found, Source};
pub use caller::{uri_user, wants_privacy};
pub use env::{AgentNote, Effect, Env, Handover, Promise, StarCode};
pub use event::{
    AgentChange, CallbackChange, ClientRef, Direction, Event, OfferResult, Outcome, Party, What,
};
pub use leg::{LegSnapshot, Side, sip_timers};
pub use mint::{BUCKETS, Mint, bucket, bucket_of, hashed};
pub use presence::{gone, presence};
pub use restore::{Before, Survivor};
pub use state::{ALLOW, Call, Phase};

use leg::Leg;
use offer::Offer;

/// A dialog's name at our side: Call-ID and our tag.
type DialogKey = (Arc<str>, Arc<str>);

/// What a client transaction was for.
#[derive(Clone, Copy, Debug)]
enum ClientUse {
    /// An INVITE to a phone or a trunk: offer, fork.
    Fork(u64, usize),
    /// A request passed on to the other side.
    Relay(CallKey),
    /// An OPTIONS that asks whether a leg is alive.
    Probe(CallKey, Side),
}

/// Whose deadline it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timed {
    Call(CallKey),
    Offer(u64),
    Lingering(DialogKey),
}

/// All calls of one shard.
#[derive(Debug)]
pub struct Calls {
    started: u32,
    count: u32,
    offer_count: u64,
    calls: BTreeMap<CallKey, Call>,
    offers: BTreeMap<u64, Offer>,
    /// Ended legs whose 2xx has yet to be acknowledged: BYE may only follow the ACK (§15).
    lingering: BTreeMap<DialogKey, Leg>,
    dialogs: BTreeMap<DialogKey, (CallKey, Side)>,
    servers: BTreeMap<ServerTx, CallKey>,
    clients: BTreeMap<ClientTx, ClientUse>,
    timers: BTreeSet<(Moment, Timed)>,
    presence_epoch: u64,
    /// Calls with a phone whose connection closed; those that have ended go at the next look.
    cut_off: BTreeSet<CallKey>,
}

impl Calls {
    /// No calls yet. `started` is the wall clock's seconds, part of every key of this run.
    pub fn new(started: u32) -> Self {
        Self {
            started,
            count: 0,
            offer_count: 0,
            calls: BTreeMap::new(),
            offers: BTreeMap::new(),
            lingering: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            timers: BTreeSet::new(),
            presence_epoch: 0,
            cut_off: BTreeSet::new(),
        }
    }

    /// Calls that have not ended.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Nothing is left: no call, no phone that rings, no 2xx that waits for its ACK, and nothing in
    /// any table that leads to one.
    pub fn is_empty(&self) -> bool {
        let none = self.calls.is_empty() && self.offers.is_empty() && self.lingering.is_empty();
        let tables = self.dialogs.is_empty() && self.servers.is_empty() && self.clients.is_empty();
        none && tables && self.timers.is_empty()
    }

    /// The request belongs to a dialog of ours.
    pub fn owns(&self, request: &Message) -> bool {
        dialog_key(request)
            .is_some_and(|key| self.dialogs.contains_key(&key) || self.lingering.contains_key(&key))
    }

    /// A transaction's event; given back if it is not about a call of ours.
    pub fn event(&mut self, env: &mut Env<'_>, event: TxEvent) -> Option<TxEvent> {
        match event {
            TxEvent::Response { tx, response, flow } => match self.clients.get(&tx).copied() {
                Some(ClientUse::Fork(offer, fork)) => {
                    self.fork_response(env, offer, fork, &response, flow)
                }
                Some(ClientUse::Relay(call)) => self.relay_response(env, call, tx, &response),
                Some(ClientUse::Probe(call, side)) => {
                    self.probe_answered(env, call, side, tx, Some(response.status()))
                }
                None if is_answer(&response) => {
                    // A 2xx again whose offer is over: its ACK was lost.
                    return self.stray(env, &response).then_some(TxEvent::Stray { response, flow });
                }
                None => return Some(TxEvent::Response { tx, response, flow }),
            },
            TxEvent::Timeout { tx } => return self.client_failed(env, tx, 408, event),
            TxEvent::TransportFailed { tx } => return self.client_failed(env, tx, 503, event),
            TxEvent::Cancelled { tx, .. } => match self.servers.get(&tx).copied() {
                Some(call) => self.cancelled(env, call, tx),
                None => return Some(event),
            },
            TxEvent::Ack { ref request, .. } if self.owns(request) => self.ack(env, request),
            TxEvent::Request { ref request, .. } if !self.owns(request) => return Some(event),
            TxEvent::Request { tx, request, flow } => self.in_dialog(env, tx, &request, flow),
            TxEvent::Stray { ref response, .. } => {
                return self.stray(env, response).then_some(event);
            }
            TxEvent::NoAck { .. }
            | TxEvent::Confirmed { .. }
            | TxEvent::ReplyFailed { .. }
            | TxEvent::Ack { .. } => {
                return Some(event);
            }
        }
        None
    }

    fn client_failed(
        &mut self,
        env: &mut Env<'_>,
        tx: ClientTx,
        status: u16,
        event: TxEvent,
    ) -> Option<TxEvent> {
        match self.clients.get(&tx).copied() {
            Some(ClientUse::Fork(offer, fork)) => self.fork_failed(env, offer, fork, status),
            Some(ClientUse::Relay(call)) => self.relay_failed(env, call, tx, status),
            Some(ClientUse::Probe(call, side)) => {
                self.probe_answered(env, call, side, tx, (status == 503).then_some(503))
            }
            None => return Some(event),
        }
        None
    }

    /// The earliest deadline of all.
    pub fn poll_timeout(&self) -> Moment {
        self.timers.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Everything that is due.
    pub fn timeout(&mut self, env: &mut Env<'_>) {
        while let Some((at, timed)) = self.timers.first().cloned() {
            if at > env.now {
                return;
            }
            self.timers.remove(&(at, timed.clone()));
            match timed {
                Timed::Call(key) => self.call_due(env, key),
                Timed::Offer(id) => self.offer_due(env, id),
                Timed::Lingering(key) => self.lingering_due(env, key),
            }
        }
    }

    /// Takes the call out for `work`, and keeps it unless it ended meanwhile.
    fn with(&mut self, key: CallKey, work: impl FnOnce(&mut Self, &mut Call)) {
        let Some(mut call) = self.calls.remove(&key) else { return };
        self.timers.remove(&(call.scheduled, Timed::Call(key)));
        let span = call.span.clone();
        let _said_in = span.enter();
        work(self, &mut call);
        if !call.ended {
            call.scheduled = call.deadline();
            if call.scheduled < Moment::NEVER {
                self.timers.insert((call.scheduled, Timed::Call(key)));
            }
            self.calls.insert(key, call);
        }
    }
}

/// A 2xx to an INVITE.
fn is_answer(response: &Message) -> bool {
    (200..300).contains(&response.status()) && *response.method() == Method::Invite
}

/// The dialog that a request names.
fn dialog_key(request: &Message) -> Option<DialogKey> {
    Some((Arc::from(request.call_id()), Arc::from(request.to_tag()?)))
}
