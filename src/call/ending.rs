//! How a call ends: exactly one record, every leg told, every agent released (D1, I3, I5, I11).

use std::borrow::Cow;
use std::sync::Arc;

use crate::acd::After;
use crate::dialog::Accepted;
use crate::domain::{CallKey, Moment};
use crate::policy::Ending;
use crate::sip::Method;

use super::arrive::final_headers;
use super::leg::{Leg, Side};
use super::line::nobody_left;
use super::state::{Call, Phase};
use super::{Calls, DialogKey, Effect, Env, Found, Outcome, Party, Promise, Timed, What};

/// A step's part of the reason why nobody could be reached, and all of it.
const STEP_CHARS_MAX: usize = 120;
const REASON_CHARS_MAX: usize = 600;

/// Q.850 causes that the endings carry.
const NO_ANSWER: u8 = 19;
const REJECTED: u8 = 21;
const DESTINATION_CLOSED: u8 = 31;
const USER_BUSY: u8 = 17;

impl Calls {
    /// Nobody answered: what the plan says then.
    pub(super) fn end_of_plan(&mut self, env: &mut Env<'_>, call: &mut Call, why: &str) {
        let why = &*summed_up(env, call, why);
        let ending = call.decision.as_ref().map(|d| d.plan.ending.clone());
        let ends = call.trunk.as_ref().map(|t| t.ends).unwrap_or_default();
        match ending {
            Some(Ending::Callback { owner }) if call.line.overflowed && call.offers == 0 => {
                self.promise(env, call, owner, why);
                self.end_with(env, call, Outcome::Overload, ends.queue_full, USER_BUSY, why);
            }
            Some(Ending::Callback { owner }) => {
                self.promise(env, call, owner, why);
                self.end_with(env, call, Outcome::CallbackPromised, ends.callback, NO_ANSWER, why);
            }
            Some(Ending::OutOfHours { owner, .. }) => {
                self.promise(env, call, owner, why);
                let status = ends.out_of_hours;
                self.end_with(env, call, Outcome::OutOfHours, status, DESTINATION_CLOSED, why);
            }
            Some(Ending::Refuse { status }) => {
                self.end_with(env, call, Outcome::Refused, status, REJECTED, "the policy refuses");
            }
            Some(Ending::Pass { trunk }) => self.pass(env, call, &trunk),
            None => self.end(env, call, Party::Server, Outcome::Failed, Some(500), why),
        }
    }

    pub(super) fn promise(
        &mut self,
        env: &mut Env<'_>,
        call: &Call,
        owner: Option<crate::domain::PersonId>,
        why: &str,
    ) {
        let why: Arc<str> = why.into();
        let (number, client) = (call.caller.number.clone(), call.client_ref());
        env.event(What::Promised {
            call: call.key,
            number: number.clone(),
            client: client.clone(),
            owner: owner.clone(),
            why: why.clone(),
        });
        let promise = Promise { call: call.key, number, client, owner, why, at: env.wall };
        env.effects.push_back(Effect::Notify(promise));
    }

    fn end_with(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        outcome: Outcome,
        status: u16,
        cause: u8,
        why: &str,
    ) {
        if let Some(incoming) = &call.incoming {
            let reply = final_headers(incoming.reply(status), status, Some(cause));
            env.tx.respond(env.now, incoming.tx, status, reply.finish());
        }
        self.forget_server(call);
        self.end(env, call, Party::Server, outcome, Some(status), why);
    }

    fn forget_server(&mut self, call: &mut Call) {
        if let Some(incoming) = call.incoming.take() {
            self.servers.remove(&incoming.tx);
        }
    }

    /// The one way out. `status` goes to a caller who has no final answer yet.
    pub(super) fn end(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        by: Party,
        outcome: Outcome,
        status: Option<u16>,
        reason: &str,
    ) {
        if std::mem::replace(&mut call.ended, true) {
            return;
        }
        if let Some(incoming) = &call.incoming
            && call.caller_leg.is_none()
        {
            let status = status.unwrap_or(500);
            let reply = final_headers(incoming.reply(status), status, None);
            env.tx.respond(env.now, incoming.tx, status, reply.finish());
        }
        let answered = matches!(call.phase, Phase::Answering | Phase::Talking);
        let status = status.filter(|_| !answered);
        self.forget_server(call);
        self.drop_relays(env, call);
        for offer in std::mem::take(&mut call.ringing) {
            self.caller_gone(env, offer);
        }
        env.desk.withdraw(call.key);
        self.part_leg(env, call, Side::Caller);
        self.part_leg(env, call, Side::Callee);
        self.release_people(env, call);
        for trunk in [call.trunk.take(), call.out_trunk.take()].into_iter().flatten() {
            env.release_trunk(&trunk);
        }
        tracing::info!(?outcome, ?by, status, "ended");
        // It may name people.
        tracing::debug!(reason, "why it ended");
        env.event(What::CallEnded { call: call.key, by, outcome, status, reason: reason.into() });
    }

    fn release_people(&mut self, env: &mut Env<'_>, call: &mut Call) {
        if let Some((agent, token)) = call.answered_by.take() {
            match token {
                Some(token) => {
                    let after = match env.settings.timers.wrap_up {
                        rest if rest.is_zero() => After::Free,
                        rest => After::Wrap(env.now + rest),
                    };
                    env.desk.release(env.now, token, after);
                }
                None => env.desk.vacate(agent),
            }
        }
        if let Some(agent) = call.caller_agent {
            env.desk.vacate(agent);
        }
    }

    /// Says BYE in a leg, unless that side said it first (its leg is gone from the call by then).
    fn part_leg(&mut self, env: &mut Env<'_>, call: &mut Call, side: Side) {
        let leg = match side {
            Side::Caller => call.caller_leg.take(),
            Side::Callee => call.callee_leg.take(),
        };
        if let Some(leg) = leg {
            self.part(env, leg);
        }
    }

    /// Says BYE in a leg; if our 2xx has yet to be acknowledged, after that (§15).
    pub(super) fn part(&mut self, env: &mut Env<'_>, mut leg: Leg) {
        let key = self.forget_dialog(&leg);
        if let Some(accepted) = &leg.accepted {
            self.timers.insert((accepted.poll_timeout(), Timed::Lingering(key.clone())));
            self.lingering.insert(key, leg);
            return;
        }
        say_bye(env, &mut leg);
    }

    /// Removes the leg from the table of dialogs.
    pub(super) fn forget_dialog(&mut self, leg: &Leg) -> DialogKey {
        let key = (Arc::from(&*leg.dialog.call_id), Arc::from(&*leg.dialog.local_tag));
        self.dialogs.remove(&key);
        key
    }

    /// The ACK of an ended leg came: now it may hear BYE.
    pub(super) fn lingering_ack(&mut self, env: &mut Env<'_>, key: &DialogKey) {
        if let Some(mut leg) = self.lingering.remove(key) {
            if let Some(accepted) = &leg.accepted {
                self.timers.remove(&(accepted.poll_timeout(), Timed::Lingering(key.clone())));
            }
            say_bye(env, &mut leg);
        }
    }

    pub(super) fn lingering_due(&mut self, env: &mut Env<'_>, key: DialogKey) {
        let Some(mut leg) = self.lingering.remove(&key) else { return };
        match leg.accepted.as_mut().and_then(|a| a.handle_timeout(env.now)) {
            Some(Accepted::Resend { flow, bytes }) => {
                env.tx.send_stateless(flow, bytes);
                let next = leg.accepted.as_ref().map_or(Moment::NEVER, |a| a.poll_timeout());
                self.timers.insert((next, Timed::Lingering(key.clone())));
                self.lingering.insert(key, leg);
            }
            _ => say_bye(env, &mut leg),
        }
    }

    /// A CANCEL matched the caller's INVITE: 487, and the call is abandoned.
    pub(super) fn cancelled(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        tx: crate::transaction::ServerTx,
    ) {
        self.with(key, |calls, call| {
            let initial = call.incoming.as_ref().is_some_and(|i| i.tx == tx);
            if !initial {
                return calls.relay_cancelled(env, call, tx);
            }
            if call.caller_leg.is_none() {
                let (by, outcome) = (Party::Caller, Outcome::Abandoned);
                calls.end(env, call, by, outcome, Some(487), "the caller gave up");
            }
        });
    }

    /// A supervisor ends a call; `false` if there is none such.
    pub fn hang_up(&mut self, env: &mut Env<'_>, key: CallKey, by: &str) -> bool {
        let known = self.calls.contains_key(&key);
        self.with(key, |calls, call| {
            let outcome = outcome_so_far(call);
            let why = format!("ended by {by}");
            calls.end(env, call, Party::Supervisor, outcome, Some(480), &why);
        });
        known
    }

    pub(super) fn too_long(&mut self, env: &mut Env<'_>, call: &mut Call) {
        let outcome = outcome_so_far(call);
        self.end(env, call, Party::Server, outcome, Some(480), "call_max is reached");
    }

    /// Draining is over: waiting callers get a promise and 503; those who talk are left alone. Our own
    /// people whose calls are not answered yet get 503: nobody owes them a callback.
    pub fn drain(&mut self, env: &mut Env<'_>) {
        let waiting = |c: &&Call| matches!(c.phase, Phase::Identifying | Phase::Waiting);
        let keys: Vec<CallKey> = self.calls.values().filter(waiting).map(|c| c.key).collect();
        let why = "the server is shutting down";
        for key in keys {
            self.with(key, |calls, call| {
                if call.phase == Phase::Identifying {
                    calls.route(env, call, Found::unavailable(why));
                }
                let outcome = match &call.decision {
                    Some(decision) => {
                        let owner = owner_of(&decision.plan.ending);
                        calls.promise(env, call, owner, why);
                        Outcome::CallbackPromised
                    }
                    None => Outcome::Failed,
                };
                calls.end(env, call, Party::Server, outcome, Some(503), why);
            });
        }
    }
}

/// Why nobody of the whole plan could be reached; `why` is what ended its last step. A plan that the
/// trunk's `answer_within` cut short has steps that were never tried, a full queue tried nobody.
fn summed_up<'a>(env: &Env<'_>, call: &Call, why: &'a str) -> Cow<'a, str> {
    let steps = call.decision.as_ref().map_or(&[][..], |d| &d.plan.steps);
    let is_cut_short = call.trunk.is_some() && call.answer_by == Moment::NEVER;
    if steps.len() < 2 || is_cut_short || call.line.overflowed {
        return why.into();
    }
    let mut sum = String::new();
    for (n, step) in steps.iter().enumerate() {
        let reason = match nobody_left(env, call, step) {
            Some(nobody) => shortened(&nobody, STEP_CHARS_MAX),
            None => format!("{}: nobody became free in time", step.to),
        };
        if sum.chars().count() + reason.chars().count() > REASON_CHARS_MAX {
            sum.push_str(&format!("; and {} steps more", steps.len() - n));
            break;
        }
        sum.push_str(if n == 0 { "" } else { "; " });
        sum.push_str(&reason);
    }
    sum.into()
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// The owner of the promise that an ending makes.
pub(super) fn owner_of(ending: &Ending) -> Option<crate::domain::PersonId> {
    match ending {
        Ending::Callback { owner } | Ending::OutOfHours { owner, .. } => owner.clone(),
        Ending::Pass { .. } | Ending::Refuse { .. } => None,
    }
}

/// What a call that is cut now has been.
pub(super) fn outcome_so_far(call: &Call) -> Outcome {
    match call.phase {
        Phase::Talking => Outcome::Answered,
        _ => Outcome::Failed,
    }
}

/// BYE in a confirmed dialog. Whatever the other end says to it, the leg is over.
pub(super) fn say_bye(env: &mut Env<'_>, leg: &mut Leg) {
    let flow = leg.next_flow(env.location);
    let bye = leg.request(&Method::Bye);
    if env.tx.request(env.now, bye, Method::Bye, flow).is_err() {
        tracing::warn!("transactions_max is reached: a BYE could not be sent");
    }
}
