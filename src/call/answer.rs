//! A phone answers, and the caller learns of it.
//!
//! ```text
//! caller                 us                    phone
//!   │ INVITE (offer)      │ INVITE (offer)        │      late offer: no body in either INVITE;
//!   │────────────────────►│──────────────────────►│      the phone's 200 has the offer, the
//!   │           200 (SDP) │           200 (SDP)   │      caller's ACK the answer, and our ACK
//!   │◄────────────────────│◄──────────────────────│      to the phone waits for it.
//!   │ ACK                 │ ACK (at once)         │
//!   │────────────────────►│──────────────────────►│
//! ```
//! Media goes directly between the two, so the call is *committed* when the caller's ACK is here;
//! none in 64·T1: BYE to both, and the caller is promised a callback (I16).

use bytes::Bytes;

use crate::dialog::{Dialog, Opening};
use crate::domain::{CallKey, Flow};
use crate::sip::{Header, Message, Method};
use crate::transaction::Transactions;

use super::fork::Fork;
use super::leg::{Leg, Side};
use super::offer::{ELSEWHERE, Kind, Offer, OfferState};
use super::state::{Call, Phase};
use super::{AgentNote, Calls, Env, OfferResult, Outcome, Party, What, dialog_key};

impl Calls {
    pub(super) fn fork_response(
        &mut self,
        env: &mut Env<'_>,
        id: u64,
        index: usize,
        response: &Message,
        flow: Flow,
    ) {
        let Some(mut offer) = self.take_offer(id) else { return };
        let key = offer.call;
        let status = response.status();
        let ringing = offer.state == OfferState::Ringing;
        let Some(fork) = offer.forks.get_mut(index) else { return };
        fork.heard = true;
        match status {
            100..=199 => {
                let first = matches!(status, 180..=183) && !offer.rang();
                if let Some(fork) = offer.forks.get_mut(index) {
                    fork.rang |= matches!(status, 180..=183);
                }
                if ringing {
                    self.provisional(env, key, &offer, index, response, first);
                }
                self.with_offer(env, key, offer, |calls, env, call, offer| {
                    calls.settle(env, call, offer);
                });
            }
            200..=299 if fork.status.is_some_and(|s| (200..300).contains(&s)) => {
                // The same 2xx again, or another of a call that a proxy forked.
                let fork = &offer.forks[index];
                self.repeated(env, fork, response, flow);
                self.with_offer(env, key, offer, |c, env, call, offer| c.settle(env, call, offer));
            }
            200..=299 => {
                fork.status = Some(status);
                if ringing && self.calls.get(&key).is_some_and(|c| c.ringing.contains(&id)) {
                    self.with_offer(env, key, offer, |calls, env, call, offer| {
                        calls.won(env, call, offer, index, response, flow);
                    });
                } else {
                    // Another phone has it, or the caller is gone.
                    let reason = (offer.won || offer.lost).then_some(ELSEWHERE);
                    decline(env, &offer.forks[index], response, flow, reason);
                    self.with_offer(env, key, offer, |c, env, call, o| c.settle(env, call, o));
                }
            }
            _ => self.fork_final(env, offer, index, status, Some(response)),
        }
    }

    /// A fork ended without a response: 408 for silence, 503 for a broken transport.
    pub(super) fn fork_failed(&mut self, env: &mut Env<'_>, id: u64, index: usize, status: u16) {
        if let Some(offer) = self.take_offer(id) {
            self.fork_final(env, offer, index, status, None);
        }
    }

    fn fork_final(
        &mut self,
        env: &mut Env<'_>,
        mut offer: Offer,
        index: usize,
        status: u16,
        response: Option<&Message>,
    ) {
        self.forget_client(&offer, index);
        let key = offer.call;
        let Some(fork) = offer.forks.get_mut(index) else { return };
        if fork.status.is_none() {
            fork.status = Some(status);
        }
        let unreachable =
            matches!(status, 404 | 410) || (!fork.rang && matches!(status, 408 | 503));
        if let (true, Some(seat), Some(binding)) = (unreachable, offer.seat, &fork.binding) {
            let (binding, epoch) = (binding.key.clone(), binding.epoch);
            let note = AgentNote::Unreachable { binding, epoch };
            env.agent(seat.agent, note);
        }
        if status == 488 || status == 606 {
            tracing::error!(parent: &offer.span, status, "a phone refuses the media offered to it");
        }
        if let (Kind::Direct, Some(response)) = (offer.kind, response) {
            offer.best = better(offer.best.take(), response);
        }
        if matches!(status, 603 | 600) {
            for other in &mut offer.forks {
                other.cancel(env, None);
            }
            // One person said no for all of their phones: the others only confirm.
            if offer.state == OfferState::Ringing {
                let result = super::offer::verdict(&offer);
                return self.with_offer(env, key, offer, |calls, env, call, offer| {
                    calls.offer_failed(env, call, offer, result);
                });
            }
        }
        self.with_offer(env, key, offer, |calls, env, call, offer| calls.settle(env, call, offer));
    }

    fn provisional(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        offer: &Offer,
        index: usize,
        response: &Message,
        first: bool,
    ) {
        if first && offer.seat.is_some() {
            env.event(What::Ringing { call: key, offer: offer.number });
        }
        if offer.kind == Kind::Direct {
            self.direct_provisional(env, key, offer, index, response);
        }
    }

    /// The first 2xx: this phone has the call.
    fn won(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        mut offer: Offer,
        index: usize,
        response: &Message,
        flow: Flow,
    ) {
        let Some(callee) = offer.forks[index].leg(env, response, flow) else {
            offer.forks[index].status = Some(500);
            return self.settle(env, call, offer);
        };
        for (i, fork) in offer.forks.iter_mut().enumerate() {
            if i != index {
                fork.cancel(env, Some(ELSEWHERE));
            }
        }
        self.offer_ended(env, &offer, OfferResult::Answered, Some(response.status()));
        self.others_lose(env, call, offer.id);
        call.answered_by = match offer.seat {
            Some(seat) => {
                let token = seat.token.and_then(|t| env.desk.answered(t));
                if token.is_some() {
                    env.agent(seat.agent, AgentNote::Took);
                } else if seat.token.is_some() {
                    // Released by hand while it rang: on a call all the same, by no queue's doing.
                    env.desk.occupy(seat.agent);
                }
                Some((seat.agent, token))
            }
            None => None,
        };
        offer.won = true;
        offer.state = OfferState::Closing(env.now + std::time::Duration::from_secs(32));
        env.desk.withdraw(call.key);
        self.joined(env, call, callee, offer.forks[index].invite.cseq, response);
        self.with_closing(env, offer);
    }

    fn with_closing(&mut self, env: &mut Env<'_>, offer: Offer) {
        let key = offer.call;
        self.with_offer(env, key, offer, |calls, env, call, offer| calls.settle(env, call, offer));
    }

    fn joined(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        mut callee: Leg,
        cseq: u32,
        response: &Message,
    ) {
        let binding = super::direct::caller_binding(env, call);
        let Some(incoming) = &mut call.incoming else { return };
        let origin = incoming.confirm(env.mint, &callee.dialog.remote_tag);
        let Ok(dialog) = Dialog::uas(&incoming.request, &incoming.tag, &incoming.contact) else {
            self.own_leg(call, callee, Side::Callee);
            return self.end(env, call, Party::Server, Outcome::Failed, Some(400), "no dialog");
        };
        let mut caller = Leg::new(dialog, incoming.flow, binding, origin, env.now, env.settings);
        let bytes = caller.relay_body(response, incoming.reply(200)).finish();
        if incoming.has_offer() {
            acknowledge(env, &mut callee, cseq, None);
        } else {
            call.late_ack = Some(cseq);
        }
        env.tx.respond(env.now, incoming.tx, 200, bytes.clone());
        let number = incoming.request.cseq().map_or(1, |(number, _)| number);
        let back = Transactions::reply_flow(&incoming.request, incoming.flow);
        caller.accept(env, number, bytes, back);
        caller.dialog.confirm();
        call.phase = Phase::Answering;
        self.own_leg(call, caller, Side::Caller);
        self.own_leg(call, callee, Side::Callee);
        let agent = call.answered_by.and_then(|(a, _)| env.person(a));
        tracing::info!("answered");
        env.event(What::Answered { call: call.key, agent });
        self.record_dialogs(env, call);
    }

    /// Puts a leg into the call and into the table of dialogs.
    pub(super) fn own_leg(&mut self, call: &mut Call, leg: Leg, side: Side) {
        let key = (leg.dialog.call_id.as_str().into(), leg.dialog.local_tag.as_str().into());
        self.dialogs.insert(key, (call.key, side));
        match side {
            Side::Caller => call.caller_leg = Some(leg),
            Side::Callee => call.callee_leg = Some(leg),
        }
    }

    /// Both legs' state, as it is now, into the journal.
    pub(super) fn record_dialogs(&self, env: &mut Env<'_>, call: &mut Call) {
        for leg in call.caller_leg.iter_mut().chain(&mut call.callee_leg) {
            leg.journalled_seq = leg.dialog.local_seq;
        }
        let callee = call.answered_by;
        let sides = [
            (Party::Caller, &call.caller_leg, call.caller_agent, false),
            (
                Party::Callee,
                &call.callee_leg,
                callee.map(|c| c.0),
                callee.is_some_and(|c| c.1.is_some()),
            ),
        ];
        for (side, leg, agent, distributed) in sides {
            let Some(leg) = leg else { continue };
            let snapshot = leg.snapshot(agent.and_then(|a| env.person(a)), distributed);
            if let Ok(state) = serde_json::to_value(snapshot) {
                env.event(What::Dialog { call: call.key, side, state: state.into() });
            }
        }
    }

    /// An ACK for a 2xx of ours.
    pub(super) fn ack(&mut self, env: &mut Env<'_>, request: &Message) {
        let Some(name) = dialog_key(request) else { return };
        if self.lingering.contains_key(&name) {
            return self.lingering_ack(env, &name);
        }
        let Some((key, side)) = self.dialogs.get(&name).copied() else { return };
        self.with(key, |calls, call| {
            if call.phase == Phase::Answering && side == Side::Caller {
                return calls.committed(env, call, request);
            }
            calls.relay_ack(env, call, side, request);
        });
    }

    /// The caller's ACK: the call is committed.
    fn committed(&mut self, env: &mut Env<'_>, call: &mut Call, ack: &Message) {
        let Some(caller) = &mut call.caller_leg else { return };
        let number = ack.cseq().map_or(0, |(number, _)| number);
        if !caller.accepted.as_mut().is_some_and(|a| a.ack(number)) {
            return;
        }
        caller.accepted = None;
        caller.probe.heard(env.now);
        call.phase = Phase::Talking;
        if let (Some(cseq), Some(callee)) = (call.late_ack.take(), &mut call.callee_leg) {
            acknowledge(env, callee, cseq, Some(ack));
        }
        self.record_dialogs(env, call);
    }

    /// A 2xx that no transaction knows any more: its ACK was lost.
    /// `true` if it is about no dialog of ours that stands.
    pub(super) fn stray(&mut self, env: &mut Env<'_>, response: &Message) -> bool {
        let Some(tag) = response.from_tag() else { return true };
        let name = (response.call_id().into(), tag.into());
        let Some((key, side)) = self.dialogs.get(&name).copied() else { return true };
        let Some(call) = self.calls.get_mut(&key) else { return false };
        let awaits_answer = call.late_ack.is_some();
        let Some(leg) = call.leg(side) else { return false };
        // Somebody else answered too, behind a proxy that forked.
        if !is_of(leg, response) {
            return true;
        }
        let cseq = response.cseq().map(|(number, _)| number);
        match cseq.filter(|n| !awaits_answer && leg.acks.again(*n).is_none()) {
            // What was sent before a restart is made anew.
            Some(cseq) if cseq <= leg.dialog.local_seq => acknowledge(env, leg, cseq, None),
            _ => acknowledge_again(env, leg, response),
        }
        false
    }

    fn repeated(&mut self, env: &mut Env<'_>, fork: &Fork, response: &Message, flow: Flow) {
        let name = (fork.invite.call_id.as_str().into(), fork.invite.local_tag.as_str().into());
        let leg = self.dialogs.get(&name).copied();
        let leg = leg.and_then(|(key, side)| self.calls.get_mut(&key).and_then(|c| c.leg(side)));
        match leg {
            Some(leg) if is_of(leg, response) => acknowledge_again(env, leg, response),
            _ => decline(env, fork, response, flow, Some(ELSEWHERE)),
        }
    }
}

/// Sends the ACK of a 2xx, with the other side's answer if that was late, and keeps it.
pub(super) fn acknowledge(env: &mut Env<'_>, leg: &mut Leg, cseq: u32, from: Option<&Message>) {
    let mut ack = leg.dialog.ack(cseq);
    if let Some(message) = from {
        ack = leg.relay_body(message, ack);
    }
    let flow = leg.next_flow(env.location);
    let bytes: Bytes = env.tx.send_ack(ack, flow);
    leg.acks.keep(env.now, cseq, flow, bytes);
}

/// The 2xx is of this leg's dialog. (Phones of RFC 2543 give no tag.)
fn is_of(leg: &Leg, response: &Message) -> bool {
    leg.dialog.remote_tag == response.to_tag().unwrap_or_default()
}

pub(super) fn acknowledge_again(env: &mut Env<'_>, leg: &Leg, response: &Message) {
    let known = response.cseq().and_then(|(number, _)| leg.acks.again(number));
    if let Some((flow, bytes)) = known {
        env.tx.send_stateless(flow, bytes);
    }
}

/// A 2xx that nobody waits for: ACK and BYE (I1).
fn decline(env: &mut Env<'_>, fork: &Fork, response: &Message, flow: Flow, reason: Option<&str>) {
    let Some(mut leg) = fork.leg(env, response, flow) else { return };
    acknowledge(env, &mut leg, fork.invite.cseq, None);
    let flow = leg.next_flow(env.location);
    let bye = leg.request(&Method::Bye);
    let bye = match reason {
        Some(reason) => bye.header(Header::Reason, reason),
        None => bye,
    };
    if env.tx.request(env.now, bye, Method::Bye, flow).is_err() {
        tracing::warn!("transactions_max is reached: a BYE could not be sent");
    }
}

/// §16.7's choice between two failures: 6xx, then the lowest class; 401 and 407 cannot cross.
fn better(known: Option<Message>, new: &Message) -> Option<Message> {
    let rank = |m: &Message| match m.status() {
        status @ 600.. => (0, status),
        status => (1, status),
    };
    match known {
        Some(known) if rank(&known) <= rank(new) => Some(known),
        _ => Some(new.clone()),
    }
}

/// A 2xx to an INVITE of ours that nobody remembers (it was cut by a restart): ACK and BYE, or the
/// phone would believe in a call that is not there. Only if its From tag is the one that we gave that
/// Call-ID, and to where it came from: a forged 2xx would have us send a dozen messages to anybody.
pub fn refuse_stray(env: &mut Env<'_>, response: &Message, flow: Flow) {
    let call_id = response.call_id();
    let (tag, from, to) = (response.from_tag(), response.from(), response.to());
    let (Some(tag), Some(from), Some(to)) = (tag, from, to) else { return };
    let ours = super::mint::bucket_of(call_id).is_some()
        && super::mint::tag_of(env.hash_key, call_id) == tag;
    let Some((cseq, _)) = response.cseq().filter(|_| ours) else { return };
    let opening = Opening {
        call_id: call_id.to_owned(),
        local_tag: tag.to_owned(),
        local: format!("<{}>", from.uri),
        remote: String::new(),
        // Where its Contact would stand, had it one.
        uri: to.uri.to_owned(),
        contact: env.contact(flow),
        route: Vec::new(),
        cseq,
    };
    let Ok(mut dialog) = Dialog::uac(&opening, response) else { return };
    let ack = dialog.ack(cseq);
    env.tx.send_ack(ack, flow);
    let bye = dialog.request(&Method::Bye);
    if env.tx.request(env.now, bye, Method::Bye, flow).is_err() {
        tracing::warn!("transactions_max is reached: a BYE could not be sent");
    }
}
