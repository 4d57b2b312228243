//! Requests within the dialogs of an answered call: passed to the other side, or answered by us.
//!
//! One INVITE or UPDATE at a time may be on its way between the sides ([`Relay`]): a second one of the
//! other side meets 491, one of the same side 500 with Retry-After (RFC 3261 §14.2); they try again by
//! their own rules. Keys pressed fast are INFOs side by side: they get through, up to [`RELAYS_MAX`]. BYE
//! always does.
//! A re-INVITE without a body is a late offer: the ACK to the other side waits for its sender's.

use crate::dialog::{Accepted, AcceptedUas, CSEQ_GAP, Verdict};
use crate::domain::{CallKey, Flow, Moment};
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::{ClientTx, ServerTx};

use super::answer::acknowledge;
use super::ending::outcome_so_far;
use super::leg::{Leg, Side};
use super::state::{ALLOW, Call, Phase};
use super::{Calls, ClientUse, Env, Outcome, Party, dialog_key};

/// A request on its way from one side to the other.
#[derive(Debug)]
pub struct Relay {
    /// Who sent it.
    pub from: Side,
    /// INVITE, UPDATE, INFO, MESSAGE.
    pub method: Method,
    /// Its transaction at our side; gone once answered.
    pub server: ServerTx,
    /// The request, to answer it.
    pub request: Message,
    /// Its transaction towards the other side.
    pub client: ClientTx,
    /// The CSeq it has there.
    pub cseq: u32,
    /// An INVITE that was answered with the other side's offer: its ACK is still to come.
    pub awaits_ack: bool,
}

/// Requests on their way in one call at once. Beyond: 503 with Retry-After.
const RELAYS_MAX: usize = 16;
/// So many seconds later there is room again.
const RETRY_AFTER_S: u32 = 1;

/// All that is on its way in one call.
#[derive(Debug, Default)]
pub struct Relays(Vec<Relay>);

impl Relays {
    fn offers(&self) -> impl Iterator<Item = &Relay> {
        self.0.iter().filter(|relay| matches!(relay.method, Method::Invite | Method::Update))
    }

    /// An offer or answer is on its way.
    fn has_offer(&self) -> bool {
        self.offers().next().is_some()
    }

    /// An offer of `side` has no answer yet.
    fn has_offer_of(&self, side: Side) -> bool {
        self.offers().any(|relay| relay.from == side && !relay.awaits_ack)
    }

    fn take(&mut self, which: impl Fn(&Relay) -> bool) -> Option<Relay> {
        let place = self.0.iter().position(which)?;
        Some(self.0.swap_remove(place))
    }
}

impl Calls {
    /// A request within one of our dialogs.
    pub(super) fn in_dialog(
        &mut self,
        env: &mut Env<'_>,
        tx: ServerTx,
        request: &Message,
        flow: Flow,
    ) {
        let Some(name) = dialog_key(request) else { return };
        let Some((key, side)) = self.dialogs.get(&name).copied() else {
            // The leg lingers: its BYE crosses ours.
            let status = if *request.method() == Method::Bye { 200 } else { 481 };
            return answer(env, tx, Builder::reply(request, status, None), status);
        };
        self.with(key, |calls, call| {
            let Some(leg) = call.leg(side) else { return };
            if request.from_tag() != Some(leg.dialog.remote_tag.as_str()) {
                return answer(env, tx, Builder::reply(request, 481, None), 481);
            }
            if let Err(status) = leg.dialog.accept(request) {
                return answer(env, tx, Builder::reply(request, status, None), status);
            }
            let unknown = request.unknown_options(Header::Require, &[]);
            if !unknown.is_empty() && *request.method() != Method::Bye {
                let reply = Builder::reply(request, 420, None);
                let reply = reply.header(Header::Unsupported, unknown.join(", "));
                return answer(env, tx, reply, 420);
            }
            leg.probe.heard(env.now);
            if leg.binding.is_none() || leg.flow_lost.is_none() {
                leg.flow = flow;
            }
            match request.method() {
                Method::Bye => calls.bye(env, call, side, tx, request),
                Method::Options => {
                    let reply = Builder::reply(request, 200, None).header(Header::Allow, ALLOW);
                    answer(env, tx, reply.header(Header::Accept, super::leg::SDP), 200);
                }
                Method::Invite | Method::Update | Method::Info | Method::Message => {
                    calls.relay(env, call, side, tx, request);
                }
                Method::Other(_) => answer(env, tx, Builder::reply(request, 501, None), 501),
                _ => {
                    let reply = Builder::reply(request, 405, None).header(Header::Allow, ALLOW);
                    answer(env, tx, reply, 405);
                }
            }
        });
    }

    fn bye(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        side: Side,
        tx: ServerTx,
        request: &Message,
    ) {
        answer(env, tx, Builder::reply(request, 200, None), 200);
        let gone = match side {
            Side::Caller => call.caller_leg.take(),
            Side::Callee => call.callee_leg.take(),
        };
        if let Some(leg) = gone {
            self.forget_dialog(&leg);
        }
        let by = if side == Side::Caller { Party::Caller } else { Party::Callee };
        // A callee who hangs up before the caller's ACK has answered all the same.
        let outcome = match call.phase {
            Phase::Answering | Phase::Talking => Outcome::Answered,
            _ => Outcome::Failed,
        };
        self.end(env, call, by, outcome, None, "hung up");
    }

    fn relay(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        side: Side,
        tx: ServerTx,
        request: &Message,
    ) {
        let method = request.method().clone();
        let offers = matches!(method, Method::Invite | Method::Update);
        // §14.2: one's own second request before the first is answered is a mistake, the other side's is
        // a glare.
        if offers && call.relays.has_offer_of(side) {
            let again_s = env.mint.number() % 10 + 1;
            let reply = Builder::reply(request, 500, None).header(Header::RetryAfter, again_s);
            return answer(env, tx, reply, 500);
        }
        if offers && (call.relays.has_offer() || call.phase == Phase::Answering) {
            return answer(env, tx, Builder::reply(request, 491, None), 491);
        }
        if call.relays.0.len() >= RELAYS_MAX {
            let reply = Builder::reply(request, 503, None);
            return answer(env, tx, reply.header(Header::RetryAfter, RETRY_AFTER_S), 503);
        }
        let Some(other) = call.leg(side.other()) else {
            return answer(env, tx, Builder::reply(request, 481, None), 481);
        };
        let out = other.request(&method);
        let cseq = other.dialog.local_seq;
        let out = out.copy(request, Header::Subject).copy(request, Header::Reason);
        let out = other.relay_body(request, out.copy(request, Header::UserToUser));
        let flow = other.next_flow(env.location);
        self.keep_cseq(env, call);
        match env.tx.request(env.now, out, method.clone(), flow) {
            Ok(client) => {
                self.clients.insert(client, ClientUse::Relay(call.key));
                self.servers.insert(tx, call.key);
                let (from, request, awaits_ack) = (side, request.clone(), false);
                let relay = Relay { from, method, server: tx, request, client, cseq, awaits_ack };
                call.relays.0.push(relay);
            }
            Err(_) => answer(env, tx, Builder::reply(request, 503, None), 503),
        }
    }

    pub(super) fn relay_response(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        tx: ClientTx,
        response: &Message,
    ) {
        self.with(key, |calls, call| {
            let status = response.status();
            let known = call.relays.0.iter().find(|r| r.client == tx);
            if known.is_some_and(|relay| status < 200 || relay.awaits_ack) {
                return;
            }
            let Some(relay) = call.relays.take(|r| r.client == tx) else {
                // A 2xx again: its ACK was lost.
                return calls.relay_repeated(env, call, response);
            };
            calls.clients.remove(&tx);
            calls.pass_answer(env, call, relay, response);
        });
    }

    fn relay_repeated(&mut self, env: &mut Env<'_>, call: &mut Call, response: &Message) {
        for leg in call.caller_leg.iter().chain(&call.callee_leg) {
            if leg.dialog.call_id == response.call_id() {
                super::answer::acknowledge_again(env, leg, response);
            }
        }
    }

    fn pass_answer(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        mut relay: Relay,
        response: &Message,
    ) {
        let status = response.status();
        self.servers.remove(&relay.server);
        if let Some(other) = call.leg(relay.from.other()) {
            other.probe.heard(env.now);
            if status < 300 {
                other.dialog.target_from(response);
            }
        }
        let Some(leg) = call.leg(relay.from) else { return };
        if matches!(status, 408 | 481) {
            answer(env, relay.server, Builder::reply(&relay.request, status, None), status);
            return self.dead(env, call, relay.from.other(), status);
        }
        let mut reply = Builder::reply(&relay.request, status, None);
        if status < 300 && matches!(relay.method, Method::Invite | Method::Update) {
            reply = reply.header(Header::Contact, &leg.dialog.contact).header(Header::Allow, ALLOW);
        }
        reply = reply.copy(response, Header::RetryAfter).copy(response, Header::Warning);
        let bytes = leg.relay_body(response, reply).finish();
        env.tx.respond(env.now, relay.server, status, bytes.clone());
        if status < 300 && relay.method == Method::Invite {
            let flow = leg.next_flow(env.location);
            let number = relay.request.cseq().map_or(0, |(number, _)| number);
            leg.accept(env, number, bytes, flow);
            leg.dialog.target_from(&relay.request);
            if relay.request.body().is_empty() {
                relay.awaits_ack = true;
                call.relays.0.push(relay);
            } else if let Some(other) = call.leg(relay.from.other()) {
                acknowledge(env, other, relay.cseq, None);
            }
        }
        if status < 300 {
            self.record_dialogs(env, call);
        }
    }

    /// The ACK of a re-INVITE's 2xx.
    pub(super) fn relay_ack(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        side: Side,
        ack: &Message,
    ) {
        let number = ack.cseq().map_or(0, |(number, _)| number);
        let Some(leg) = call.leg(side) else { return };
        if !leg.accepted.as_mut().is_some_and(|a| a.ack(number)) {
            return;
        }
        leg.accepted = None;
        let late = call.relays.take(|r| r.awaits_ack && r.from == side);
        if let (Some(relay), Some(other)) = (late, call.leg(side.other())) {
            acknowledge(env, other, relay.cseq, Some(ack));
        }
    }

    pub(super) fn relay_failed(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        tx: ClientTx,
        status: u16,
    ) {
        self.clients.remove(&tx);
        self.with(key, |calls, call| {
            let Some(relay) = call.relays.take(|r| r.client == tx && !r.awaits_ack) else {
                return;
            };
            calls.servers.remove(&relay.server);
            let reply = Builder::reply(&relay.request, status, None);
            answer(env, relay.server, reply, status);
            // RFC 3261 §12.2.1.2: a request that times out ends the dialog.
            if status == 408 {
                calls.dead(env, call, relay.from.other(), status);
            }
        });
    }

    /// A CANCEL of a re-INVITE goes to the other side, whose final answer is the sender's: a 2xx that
    /// crosses it has changed the session on both sides and wants its ACK.
    pub(super) fn relay_cancelled(&mut self, env: &mut Env<'_>, call: &mut Call, tx: ServerTx) {
        let relay = call.relays.0.iter().find(|r| r.server == tx && !r.awaits_ack);
        if let Some(relay) = relay {
            env.tx.cancel(env.now, relay.client, None);
        }
    }

    /// The call ends while requests are on their way.
    pub(super) fn drop_relays(&mut self, env: &mut Env<'_>, call: &mut Call) {
        for relay in std::mem::take(&mut call.relays.0) {
            self.servers.remove(&relay.server);
            self.clients.remove(&relay.client);
            if !relay.awaits_ack {
                answer(env, relay.server, Builder::reply(&relay.request, 487, None), 487);
                if relay.method == Method::Invite {
                    env.tx.cancel(env.now, relay.client, None);
                }
            }
        }
    }

    /// Deadlines of the legs: 2xx again, probes, a flow that did not come back.
    pub(super) fn legs_due(&mut self, env: &mut Env<'_>, call: &mut Call) {
        for side in [Side::Caller, Side::Callee] {
            if call.ended {
                return;
            }
            let Some(leg) = call.leg(side) else { continue };
            if leg.flow_lost.as_ref().is_some_and(|lost| lost.by <= env.now) {
                return self.dead(env, call, side, 408);
            }
            match leg.accepted.as_mut().and_then(|a| a.handle_timeout(env.now)) {
                Some(Accepted::Resend { flow, bytes }) => env.tx.send_stateless(flow, bytes),
                Some(Accepted::GaveUp) => return self.never_acknowledged(env, call, side),
                None => {}
            }
            self.probe(env, call, side);
        }
    }

    /// A restart resumes `CSEQ_GAP` after the CSeq in the journal: it must not fall behind so far.
    fn keep_cseq(&self, env: &mut Env<'_>, call: &mut Call) {
        let ahead = |leg: &Leg| leg.dialog.local_seq.saturating_sub(leg.journalled_seq);
        let legs = call.caller_leg.iter().chain(&call.callee_leg);
        if legs.map(ahead).max().is_some_and(|ahead| ahead >= CSEQ_GAP / 2) {
            self.record_dialogs(env, call);
        }
    }

    fn never_acknowledged(&mut self, env: &mut Env<'_>, call: &mut Call, side: Side) {
        if let Some(leg) = call.leg(side) {
            leg.accepted = None;
        }
        if call.phase == Phase::Answering {
            let owner = call.decision.as_ref();
            let owner = owner.and_then(|d| super::ending::owner_of(&d.plan.ending));
            if call.decision.is_some() {
                self.promise(env, call, owner, "the caller's side never confirmed the answer");
            }
            let why = "no ACK for our 200 within 64·T1";
            return self.end(env, call, Party::Server, Outcome::Failed, Some(408), why);
        }
        self.dead(env, call, side, 408);
    }

    fn probe(&mut self, env: &mut Env<'_>, call: &mut Call, side: Side) {
        let key = call.key;
        let talking = call.phase == Phase::Talking;
        let Some(leg) = call.leg(side) else { return };
        if !talking || !leg.probe.handle_timeout(env.now) {
            return;
        }
        let options = leg.request(&Method::Options).header(Header::Accept, super::leg::SDP);
        let flow = leg.next_flow(env.location);
        self.keep_cseq(env, call);
        match env.tx.request(env.now, options, Method::Options, flow) {
            Ok(tx) => {
                self.clients.insert(tx, ClientUse::Probe(key, side));
            }
            // Not the other end's fault: asked again next time.
            Err(_) => {
                if let Some(leg) = call.leg(side) {
                    leg.probe.answered(503);
                }
            }
        }
    }

    /// A probe's outcome; `None` is silence.
    pub(super) fn probe_answered(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        side: Side,
        tx: ClientTx,
        status: Option<u16>,
    ) {
        if status.is_some_and(|s| s < 200) {
            return;
        }
        self.clients.remove(&tx);
        self.with(key, |calls, call| {
            let Some(leg) = call.leg(side) else { return };
            let verdict = match status {
                Some(status) => leg.probe.answered(status),
                None => leg.probe.silent(),
            };
            if verdict == Verdict::Dead {
                calls.dead(env, call, side, status.unwrap_or(408));
            }
        });
    }

    /// One side is no more: the other hears BYE.
    fn dead(&mut self, env: &mut Env<'_>, call: &mut Call, side: Side, status: u16) {
        let gone = match side {
            Side::Caller => call.caller_leg.take(),
            Side::Callee => call.callee_leg.take(),
        };
        if let Some(leg) = gone {
            // It may yet hear us: a phone that lost the dialog answers 481 and nothing is harmed.
            self.part(env, leg);
        }
        let who = if side == Side::Caller { "caller" } else { "callee" };
        let why = format!("the {who}'s end is gone ({status})");
        let outcome = outcome_so_far(call);
        self.end(env, call, Party::Server, outcome, Some(status), &why);
    }

    /// A stream closed: offers that ring over it end, answered calls wait for a new registration.
    pub fn flow_closed(&mut self, env: &mut Env<'_>, flow: Flow) {
        let ringing: Vec<(u64, usize)> = self
            .offers
            .values()
            .flat_map(|o| o.forks.iter().enumerate().map(move |(i, f)| (o.id, i, f)))
            .filter(|(_, _, f)| f.is_open() && f.flow == flow)
            .map(|(offer, i, _)| (offer, i))
            .collect();
        for (offer, fork) in ringing {
            self.fork_failed(env, offer, fork, 503);
        }
        let grace = env.now + env.settings.timers.flow_grace;
        let uses = |leg: &Leg| leg.flow == flow && leg.binding.is_some();
        let any = |c: &&Call| c.caller_leg.iter().chain(&c.callee_leg).any(uses);
        let keys: Vec<CallKey> = self.calls.values().filter(any).map(|c| c.key).collect();
        for key in keys {
            self.with(key, |_, call| {
                let legs = call.caller_leg.iter_mut().chain(&mut call.callee_leg);
                legs.filter(|l| uses(l)).for_each(|l| l.lose_flow(grace, env.location));
            });
            self.cut_off.insert(key);
        }
    }

    /// A binding came or was refreshed: legs that waited for it go on.
    pub fn binding_back(&mut self, env: &mut Env<'_>, aor: &str) {
        let lost = |leg: &Leg| {
            leg.flow_lost.is_some() && leg.binding.as_ref().is_some_and(|b| &*b.aor == aor)
        };
        for key in std::mem::take(&mut self.cut_off) {
            let (mut waits, mut found) = (false, false);
            self.with(key, |calls, call| {
                for leg in call.caller_leg.iter_mut().chain(&mut call.callee_leg) {
                    found |= lost(leg) && leg.find_flow(env.location);
                    waits |= leg.flow_lost.is_some();
                }
                if found {
                    calls.record_dialogs(env, call);
                }
            });
            if waits {
                self.cut_off.insert(key);
            }
        }
    }
}

impl Leg {
    /// The earliest instant at which something but a probe is to be done in it.
    pub(super) fn deadline(&self) -> Moment {
        let accepted = self.accepted.as_ref().map_or(Moment::NEVER, AcceptedUas::poll_timeout);
        let lost = self.flow_lost.as_ref().map_or(Moment::NEVER, |lost| lost.by);
        accepted.min(lost)
    }
}

fn answer(env: &mut Env<'_>, tx: ServerTx, reply: Builder, status: u16) {
    env.tx.respond(env.now, tx, status, reply.finish());
}
