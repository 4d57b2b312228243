//! What goes through without a phone of ours in an INVITE: trunk to trunk (`route = "pass"`), and
//! everything outside INVITE dialogs between registered people. The proxy carries it; here stand the
//! records of proxied calls, their probes and their end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Switch, What};
use crate::call::{Handover, Outcome, Party, Source, wants_privacy};
use crate::dialog::{Probe, Verdict};
use crate::domain::{CallKey, Flow, Moment, Settings, Trunk, TrunkId};
use crate::proxy::{
    Arrival, End, Passage, ProxiedDialog, ProxyEvent, Reach, Side, Start, Target, same_host,
};
use crate::registrar::Location;
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::{ClientTx, ServerTx, TxEvent};

/// What a party's name in the proxy's cookies begins with, for a trunk.
const TRUNK: &str = "trunk:";
/// The same for a binding: `phone:user|key`.
const PHONE: &str = "phone:";

/// What a trunk may send, for Allow; the rest passes between our people only.
const FROM_TRUNKS: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE";

/// A proxied call.
#[derive(Debug)]
struct Passing {
    trunks: Vec<Arc<Trunk>>,
    answered: bool,
    probes: [Probe; 2],
    ends_at: Moment,
}

/// All proxied calls of a switch.
#[derive(Debug, Default)]
pub(super) struct Passings {
    of: BTreeMap<CallKey, Passing>,
    asked: BTreeMap<ClientTx, (CallKey, Side)>,
}

impl Passings {
    pub fn poll_timeout(&self) -> Moment {
        let each = self.of.values().map(|p| {
            let probes = p.probes.iter().map(Probe::poll_timeout).min();
            p.ends_at.min(probes.filter(|_| p.answered).unwrap_or(Moment::NEVER))
        });
        each.min().unwrap_or(Moment::NEVER)
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }
}

/// The way to an end of a proxied dialog now: a trunk's address, a binding's flow, or the host that it
/// was known by. Never an address only because a URI names it.
fn reach(location: &Location, end: &End, hop: &str) -> Option<Flow> {
    let party = end.party.as_deref().unwrap_or_default();
    if let Some((user, key)) = party.strip_prefix(PHONE).and_then(|p| p.split_once('|')) {
        return location.binding(user, key).map(|b| b.flow);
    }
    Some(same_host(end, hop))
}

fn probes(now: Moment, settings: &Settings) -> [Probe; 2] {
    [Probe::new(now, settings.timers.probe_every), Probe::new(now, settings.timers.probe_every)]
}

impl Switch {
    /// The proxy's share of the transactions' events; given back if it is not its own.
    pub(super) fn proxied(&mut self, now: Moment, event: TxEvent) -> Option<TxEvent> {
        let location = self.core.shared.location.clone();
        let reach: Reach<'_> = &|end, hop| reach(&location, end, hop);
        let taken = self.proxy.on_tx_event(now, &event, reach, &mut self.core.tx);
        self.proxy_events(now);
        if taken { None } else { self.probe_event(now, event) }
    }

    fn probe_event(&mut self, now: Moment, event: TxEvent) -> Option<TxEvent> {
        let (tx, status) = match &event {
            TxEvent::Response { tx, response, .. } => (*tx, Some(response.status())),
            TxEvent::Timeout { tx } | TxEvent::TransportFailed { tx } => (*tx, None),
            _ => return Some(event),
        };
        let Some((call, side)) = self.passings.asked.get(&tx).copied() else { return Some(event) };
        if status.is_some_and(|s| s < 200) {
            return None;
        }
        self.passings.asked.remove(&tx);
        let passing = self.passings.of.get_mut(&call)?;
        let probe = &mut passing.probes[usize::from(side == Side::Callee)];
        let verdict = match status {
            Some(status) => probe.answered(status),
            None => probe.silent(),
        };
        if verdict == Verdict::Dead {
            self.hang_up_passing(now, call);
        }
        None
    }

    /// A request that follows a route of ours; `None` if it was.
    pub(super) fn along(
        &mut self,
        now: Moment,
        tx: ServerTx,
        request: &Message,
        flow: Flow,
    ) -> Option<Passage> {
        match self.proxy.arrive(request, flow) {
            Arrival::Open(passage) => return Some(passage),
            Arrival::Refused(answer) => self.once(now, (tx, flow), answer),
            Arrival::Along(passage) => {
                let location = self.core.shared.location.clone();
                let reach: Reach<'_> = &|end, hop| reach(&location, end, hop);
                self.proxy.follow(now, tx, passage, reach, &mut self.core.tx);
                self.proxy_events(now);
            }
        }
        None
    }

    /// `route = "pass"`: the call goes on to another trunk, record-routed.
    pub(super) fn pass(&mut self, now: Moment, handover: Handover) {
        let Handover { call, tx, request, flow, uri, to, trunks } = handover;
        let settings = &self.core.settings;
        let ends_at = now + settings.timers.call_max;
        let name = |at: usize| trunks.get(at).map(|t| Arc::from(format!("{TRUNK}{}", t.id)));
        let (from, party) = (name(0), name(1));
        let asserted = identity_crosses(&trunks, &request);
        let passing = Passing { trunks, answered: false, probes: probes(now, settings), ends_at };
        self.passings.of.insert(call, passing);
        match self.proxy.arrive(&request, flow) {
            Arrival::Open(passage) | Arrival::Along(passage) => {
                let target = Target { uri, flow: to, route: Vec::new(), q: 1_000, party };
                let mut start = Start::new(tx, passage, vec![target]);
                start.from = from;
                start.call = Some(call);
                if !asserted {
                    start.remove = vec!["P-Asserted-Identity".into()];
                }
                self.proxy.start(now, start, &mut self.core.tx);
                self.proxy_events(now);
            }
            Arrival::Refused(answer) => {
                self.core.tx.respond(now, tx, answer.status, answer.bytes);
                let status = Some(answer.status);
                self.passed(now, call, Party::Server, Outcome::Refused, status, "refused");
            }
        }
    }

    fn proxy_events(&mut self, now: Moment) {
        while let Some(event) = self.proxy.poll_event() {
            let call = event.call();
            match event {
                ProxyEvent::Started { .. } | ProxyEvent::Ringing { .. } => {}
                ProxyEvent::Answered { dialog, .. } => {
                    if let Some(passing) = self.passings.of.get_mut(&call) {
                        passing.answered = true;
                        passing.probes = probes(now, &self.core.settings);
                    }
                    self.record(now, What::Answered { call, agent: None });
                    let state = Arc::new(json!({ "proxied": dialog }));
                    for side in [Party::Caller, Party::Callee] {
                        self.record(now, What::Dialog { call, side, state: state.clone() });
                    }
                }
                ProxyEvent::Ended { by, .. } => {
                    let by = match by {
                        Some(Side::Caller) => Party::Caller,
                        Some(Side::Callee) => Party::Callee,
                        None => Party::Server,
                    };
                    self.passed(now, call, by, Outcome::Answered, None, "hung up");
                }
                ProxyEvent::Failed { status, cancelled: true, .. } => {
                    let why = "the caller gave up";
                    self.passed(now, call, Party::Caller, Outcome::Abandoned, Some(status), why);
                }
                ProxyEvent::Failed { status, .. } => {
                    let outcome = match status {
                        403 | 404 | 486 | 600.. => Outcome::Refused,
                        _ => Outcome::Failed,
                    };
                    let why = "not answered by the trunk";
                    self.passed(now, call, Party::Callee, outcome, Some(status), why);
                }
            }
        }
    }

    fn passed(
        &mut self,
        now: Moment,
        call: CallKey,
        by: Party,
        outcome: Outcome,
        status: Option<u16>,
        reason: &str,
    ) {
        let Some(passing) = self.passings.of.remove(&call) else { return };
        self.passings.asked.retain(|_, (of, _)| *of != call);
        for trunk in passing.trunks {
            self.core.env(now).release_trunk(&trunk);
        }
        self.record(now, What::CallEnded { call, by, outcome, status, reason: reason.into() });
    }

    /// Probes that are due, and calls over `call_max`.
    pub(super) fn passings_due(&mut self, now: Moment) {
        self.proxy.handle_timeout(now, &mut self.core.tx);
        self.proxy_events(now);
        let over = self.passings.of.iter().filter(|(_, p)| p.ends_at <= now);
        for call in over.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.hang_up_passing(now, call);
        }
        let mut due = Vec::new();
        for (call, passing) in self.passings.of.iter_mut().filter(|(_, p)| p.answered) {
            for (probe, side) in passing.probes.iter_mut().zip([Side::Caller, Side::Callee]) {
                if probe.handle_timeout(now) {
                    due.push((*call, side));
                }
            }
        }
        for (call, side) in due {
            self.probe_passing(now, call, side);
        }
    }

    fn probe_passing(&mut self, now: Moment, call: CallKey, side: Side) {
        let Some(dialog) = self.proxy.dialogs(call).first().cloned() else { return };
        let location = &self.core.shared.location;
        let way = reach(location, &dialog.peer(side).end, dialog.next_hop(side));
        let sent =
            way.map(|flow| self.core.tx.request(now, dialog.probe(side), Method::Options, flow));
        if let Some(Ok(tx)) = sent {
            self.passings.asked.insert(tx, (call, side));
        } else if let Some(passing) = self.passings.of.get_mut(&call) {
            passing.probes[usize::from(side == Side::Callee)].answered(503);
        }
    }

    /// Ends a proxied call from between; `false` if there is none such.
    pub(super) fn hang_up_passing(&mut self, now: Moment, call: CallKey) -> bool {
        let location = self.core.shared.location.clone();
        let reach: Reach<'_> = &|end, hop| reach(&location, end, hop);
        let known = self.proxy.hang_up(now, call, reach, &mut self.core.tx);
        self.proxy_events(now);
        known
    }

    /// A proxied call comes back from the journal.
    pub(super) fn restore_passing(&mut self, now: Moment, call: CallKey, state: &Value) -> bool {
        let dialog = serde_json::from_value::<ProxiedDialog>(state.clone());
        let Ok(dialog) = dialog else { return false };
        let settings = &self.core.settings;
        let ends = [&dialog.caller.end, &dialog.callee.end];
        let names = ends.iter().filter_map(|end| end.party.as_deref()?.strip_prefix(TRUNK));
        let trunks: Vec<Arc<Trunk>> = names
            .filter_map(|name| settings.trunks.iter().find(|t| t.id.as_str() == name).cloned())
            .collect();
        for trunk in &trunks {
            if let Some(slot) = self.core.shared.meters.trunks.slot(&trunk.id) {
                self.core.shared.meters.trunks.acquire_restored(slot, self.core.shard);
            }
        }
        let ends_at = now + settings.timers.call_max;
        let passing = Passing { trunks, answered: true, probes: probes(now, settings), ends_at };
        self.passings.of.insert(call, passing);
        self.proxy.restore(call, dialog);
        self.proxy_events(now);
        true
    }

    /// MESSAGE, SUBSCRIBE and whatever else passes between registered people.
    pub(super) fn between_people(
        &mut self,
        now: Moment,
        tx: ServerTx,
        request: Message,
        flow: Flow,
        tag: &str,
    ) {
        let Some(passage) = self.along(now, tx, &request, flow) else { return };
        let agent = match self.source(now, tx, &request, flow, tag) {
            Some(Source::Person(agent)) => agent,
            Some(Source::Trunk(_)) => {
                let status = if matches!(request.method(), Method::Other(_)) { 501 } else { 405 };
                let reply = Builder::reply(&request, status, Some(tag));
                return self.answer(now, tx, reply.header(Header::Allow, FROM_TRUNKS));
            }
            None => return,
        };
        let person = self.core.directory.person(agent).cloned();
        let sender = person.and_then(|p| p.sip_user.clone()).unwrap_or_default();
        // Whose password it is, and who it says it is from, are one: the receiver sees the latter.
        if request.from().and_then(|from| crate::call::uri_user(from.uri)).as_deref()
            != Some(&*sender)
        {
            let reply = Builder::reply_with(&request, 403, "From Is Not Yours", Some(tag));
            return self.answer(now, tx, reply);
        }
        let user = crate::call::uri_user(&passage.uri).unwrap_or_default();
        let addressed = self.core.directory.agent_addressed(&user);
        let addressed =
            addressed.and_then(|agent| self.core.directory.person(agent)?.sip_user.clone());
        let known = addressed.is_some();
        let user = addressed.map_or(user, |user| user.to_string());
        let bindings = self.core.shared.location.bindings(&user);
        let status = if known { 480 } else { 404 };
        if bindings.is_empty() {
            return self.answer(now, tx, Builder::reply(&request, status, Some(tag)));
        }
        let own = self.core.shared.location.bindings(&sender);
        let from = own.iter().find(|b| b.flow == flow).map(|b| phone(&sender, &b.key));
        let targets = bindings.iter().map(|b| Target {
            uri: b.contact.to_string(),
            flow: b.flow,
            route: b.path.clone(),
            q: b.q,
            party: Some(phone(&user, &b.key)),
        });
        let mut start = Start::new(tx, passage, targets.collect());
        start.from = from;
        // Whose password it was is nobody else's business.
        start.remove = vec!["Proxy-Authorization".into()];
        self.proxy.start(now, start, &mut self.core.tx);
        self.proxy_events(now);
    }
}

/// RFC 3325 §5: what an end says of a caller counts if we trust that end, and a caller who asks for
/// privacy is named to an end that we trust alone.
fn identity_crosses(trunks: &[Arc<Trunk>], invite: &Message) -> bool {
    let trusts = |trunk: Option<&Arc<Trunk>>| trunk.is_some_and(|trunk| trunk.trusted);
    trusts(trunks.first()) && (trusts(trunks.last()) || !wants_privacy(invite))
}

fn phone(user: &str, key: &str) -> Arc<str> {
    format!("{PHONE}{user}|{key}").into()
}

/// The proxied calls as `calls` shows them.
pub(super) fn shown(passings: &Passings) -> Vec<Value> {
    let shown = passings.of.iter().map(|(call, passing)| {
        let trunks: Vec<&TrunkId> = passing.trunks.iter().map(|t| &t.id).collect();
        let phase = if passing.answered { "talking" } else { "ringing" };
        json!({ "call": call, "direction": "pass", "phase": phase, "trunks": trunks })
    });
    shown.collect()
}
