//! The registrar (RFC 3261 §10.3): the one writer of its addresses of record's entries in [`Location`].
//!
//! One per shard; an address of record belongs to the shard of its hash, so that REGISTERs, expiries and
//! closing connections of one person come in one order. It holds no bindings itself, only when they end and
//! over which connection they came:
//!
//! ```text
//!            REGISTER                       REGISTER (same key, higher epoch)
//!   ───────────────────────► bound ◄──┐───────────────────────────────────┐
//!                              │      └───────────────────────────────────┘
//!             expires, removed, flow closed, unreachable (of this epoch)
//!                              ▼
//!                           unbound          an event about an older epoch is a no-op
//! ```
//! A binding of a datagram flow lives until it expires; one of a stream also ends with its connection, since
//! nobody behind a NAT can be connected to. So with `Path` too: the way back to an edge proxy is the
//! connection that it opened, never an address that a header names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::binding::{Binding, Change, Why};
use super::location::Location;
use super::refusal::Refusal;
use super::reply::accepted;
use super::update::{Circumstances, Updated, update};
use super::wish::{self, Wish};
use crate::domain::{Flow, Moment, Settings, WallOffset};
use crate::sip::{Builder, Message};

/// When somebody for whom there is no room in the table may ask again.
const ROOM_RETRY_AFTER_S: u32 = 60;

/// The answer to a REGISTER, and what it changed.
pub struct Registered {
    /// The final response.
    pub reply: Builder,
    /// In order; for the journal and for whoever follows presence.
    pub changes: Vec<Change>,
}

/// A REGISTER as it came.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The request, judged.
    pub request: &'a Message,
    /// Where it came from.
    pub flow: Flow,
    /// Whom its credentials prove (see [`Authenticator`](super::Authenticator)).
    pub user: &'a str,
    /// To tag of the reply.
    pub tag: &'a str,
}

/// Whether connections that a restored binding came over may still be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// The process was started anew: none is.
    Lost,
    /// Only a worker was: the network room kept them.
    Kept,
}

/// Address of record and key.
type Name = (Arc<str>, Arc<str>);

/// See the module.
#[derive(Debug, Default)]
pub struct Registrar {
    /// When each binding ends; bounded by the bindings themselves.
    ends: BTreeMap<(Timestamp, Arc<str>, u64), Arc<Binding>>,
    /// What came over each connection.
    over: BTreeMap<u64, BTreeSet<Name>>,
    last_epoch: u64,
}

/// What may be answered before anybody is asked for a password: not our domain, unknown extensions
/// (§10.3 steps 1 and 2). `None`: authenticate, then [`Registrar::handle`].
pub fn screen(request: &Message, settings: &Settings, tag: &str) -> Option<Builder> {
    wish::screen(request, settings).err().map(|refusal| refusal.reply(request, tag))
}

impl Registrar {
    /// With nothing registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out a REGISTER, wholly or not at all. What had expired by `wall` is ended first, whoever's
    /// it was, so `changes` may be about others too.
    pub fn handle(
        &mut self,
        wall: Timestamp,
        presented: &Presented<'_>,
        location: &Location,
        settings: &Settings,
    ) -> Registered {
        let mut changes = self.expire(wall, location);
        let Presented { request, tag, .. } = *presented;
        let reply = match self.register(wall, presented, location, settings) {
            Ok((wish, updated)) => {
                changes.extend(updated.changes);
                accepted(request, &wish, &location.bindings(&wish.aor), wall, tag)
            }
            Err(refusal) => refusal.reply(request, tag),
        };
        Registered { reply, changes }
    }

    fn register(
        &mut self,
        wall: Timestamp,
        presented: &Presented<'_>,
        location: &Location,
        settings: &Settings,
    ) -> Result<(Wish, Updated), Refusal> {
        wish::screen(presented.request, settings)?;
        let wish = Wish::read(presented.request, presented.user, settings)?;
        if !location.has_room_for(&wish.aor) {
            return Err(Refusal::TooMany(ROOM_RETRY_AFTER_S));
        }
        let bindings_max = usize::from(settings.limits.bindings_max);
        let flow = presented.flow;
        let direct = is_direct(presented.request, flow.remote);
        let around = Circumstances { wall, flow, direct, bindings_max };
        let present = location.bindings(&wish.aor);
        let mut epoch = self.last_epoch;
        let next_epoch = || {
            epoch += 1;
            epoch
        };
        let updated = update(&present, &wish, &around, next_epoch)?;
        self.last_epoch = epoch;
        present.iter().for_each(|binding| self.forget(binding));
        updated.bindings.iter().for_each(|binding| self.watch(binding));
        location.publish(&wish.aor, updated.bindings.clone());
        Ok((wish, updated))
    }

    /// Ends all bindings that are over at `wall`. One that was refreshed meanwhile is not among them.
    pub fn expire(&mut self, wall: Timestamp, location: &Location) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(entry) = self.ends.first_entry().filter(|e| e.key().0 <= wall) {
            let binding = entry.get().clone();
            changes.extend(self.unbind(&binding, Why::Expired, location));
        }
        changes
    }

    /// The wall clock was set by so much: every binding lasts as long as it would have, and the journal
    /// hears of its new end.
    pub fn clock_set(&mut self, by: SignedDuration, location: &Location) -> Vec<Change> {
        let mut changes = Vec::new();
        for binding in self.ends.values().cloned().collect::<Vec<_>>() {
            let Ok(expires) = binding.expires.checked_add(by) else { continue };
            let moved = Arc::new(Binding { expires, ..Binding::clone(&binding) });
            self.forget(&binding);
            self.watch(&moved);
            let mut bindings = location.bindings(&binding.aor);
            for known in bindings.iter_mut().filter(|known| ***known == *binding) {
                *known = moved.clone();
            }
            location.publish(&moved.aor, bindings);
            changes.push(Change::Bound(moved));
        }
        changes
    }

    /// Ends what came over a connection that has closed. Nothing for datagrams.
    pub fn flow_closed(&mut self, flow: Flow, location: &Location) -> Vec<Change> {
        let closed = self.over.remove(&flow.connection).unwrap_or_default();
        let bindings = closed.iter().filter_map(|(aor, key)| location.binding(aor, key));
        let bindings: Vec<_> = bindings.filter(|b| b.flow.connection == flow.connection).collect();
        bindings.iter().filter_map(|b| self.unbind(b, Why::FlowClosed, location)).collect()
    }

    /// Ends one binding; `None` if it is gone or was refreshed since `epoch`.
    pub fn drop_binding(
        &mut self,
        aor: &str,
        key: &str,
        epoch: u64,
        why: Why,
        location: &Location,
    ) -> Option<Change> {
        let binding = location.binding(aor, key).filter(|b| b.epoch == epoch)?;
        self.unbind(&binding, why, location)
    }

    /// Ends all bindings of an address of record: the person left, or the password was changed.
    pub fn drop_all(&mut self, aor: &str, why: Why, location: &Location) -> Vec<Change> {
        let all = location.bindings(aor);
        all.iter().filter_map(|binding| self.unbind(binding, why, location)).collect()
    }

    /// Brings a binding back from the journal, its last `Bound` there. `false`: it is over, its connection
    /// is lost, or something newer stands under its key; then it is not reachable.
    pub fn restore(
        &mut self,
        binding: Binding,
        wall: Timestamp,
        streams: Streams,
        location: &Location,
    ) -> bool {
        self.last_epoch = self.last_epoch.max(binding.epoch);
        let is_lost = streams == Streams::Lost && binding.flow.transport.is_reliable();
        let mut bindings = location.bindings(&binding.aor);
        let is_stale = bindings.iter().any(|b| b.key == binding.key && b.epoch > binding.epoch);
        if is_lost || is_stale || binding.expires <= wall || !location.has_room_for(&binding.aor) {
            return false;
        }
        let binding = Arc::new(binding);
        if let Some(place) = bindings.iter().position(|b| b.key == binding.key) {
            self.forget(&bindings.remove(place));
        }
        self.watch(&binding);
        bindings.push(binding.clone());
        location.publish(&binding.aor, bindings);
        true
    }

    /// When [`Registrar::expire`] is wanted next.
    pub fn poll_timeout(&self, offset: WallOffset) -> Moment {
        self.ends.first_key_value().map_or(Moment::NEVER, |((at, ..), _)| offset.moment(*at))
    }

    /// Bindings watched here.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// No binding is watched here.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.over.is_empty()
    }

    fn unbind(&mut self, binding: &Arc<Binding>, why: Why, location: &Location) -> Option<Change> {
        self.forget(binding);
        let mut bindings = location.bindings(&binding.aor);
        let place =
            bindings.iter().position(|b| b.key == binding.key && b.epoch == binding.epoch)?;
        bindings.remove(place);
        location.publish(&binding.aor, bindings);
        Some(Change::Unbound { binding: binding.clone(), why })
    }

    fn watch(&mut self, binding: &Arc<Binding>) {
        self.ends.insert(end_of(binding), binding.clone());
        if binding.flow.connection != 0 {
            let names = self.over.entry(binding.flow.connection).or_default();
            names.insert((binding.aor.clone(), binding.key.clone()));
        }
    }

    fn forget(&mut self, binding: &Binding) {
        self.ends.remove(&end_of(binding));
        if let Some(names) = self.over.get_mut(&binding.flow.connection) {
            names.remove(&(binding.aor.clone(), binding.key.clone()));
            if names.is_empty() {
                self.over.remove(&binding.flow.connection);
            }
        }
    }
}

/// The Via says where this came from, and so no NAT changed it. Who asks for the port that we saw
/// (RFC 3581) and names another has a NAT that changes ports only.
fn is_direct(request: &Message, source: SocketAddr) -> bool {
    let Some(via) = request.top_via() else { return false };
    let same_port = via.rport().is_none() || via.port.unwrap_or(5060) == source.port();
    let host = via.host_ip().map(|ip| ip.to_canonical());
    host == Some(source.ip().to_canonical()) && same_port
}

fn end_of(binding: &Binding) -> (Timestamp, Arc<str>, u64) {
    (binding.expires, binding.aor.clone(), binding.epoch)
}
