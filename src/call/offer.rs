//! An offer: all phones of one person ring for one call, until one answers, all have said no, or
//! `ring` is over.
//!
//! ```text
//! Ringing ──2xx──► Won ─────────────────────────────┐
//!    │ all final / ring over / caller gone          │ every fork final, or CLOSING_MAX
//!    └──► Closing (CANCELs out) ────────────────────┴──► gone; the agent is released
//! ```
//! The agent stays taken while a phone of theirs may still ring (I2): the call goes back to its
//! place in line at once, the agent is free when the last phone has confirmed.

use std::sync::Arc;
use std::time::Duration;

use crate::acd::{After, Assignment};
use crate::domain::{AgentId, BACKOFF_MIN, CallKey, LockAfter, Moment, QueueId};
use crate::policy::{Pick, Step};
use crate::sip::Message;

use super::fork::{Fork, Target, silent_at};
use super::leg::Seat;
use super::state::Call;
use super::{AgentNote, Calls, ClientUse, Env, OfferResult, Timed, What};

/// How long a cancelled phone may take to confirm before its owner is free all the same.
const CLOSING_MAX: Duration = Duration::from_secs(4);

/// The winner tells the other phones why they stop ringing (RFC 3326).
pub const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Where an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferState {
    /// Phones ring.
    Ringing,
    /// One answered, or nobody will; the rest has to confirm CANCEL by then.
    Closing(Moment),
}

/// What rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person given by a queue.
    Distributed {
        /// Which step's queue.
        step: usize,
        /// When the desk bound them.
        at: Moment,
        /// It is the person's own queue: the step is directed at them.
        own: bool,
    },
    /// One of our people called somebody directly; the answer is theirs to hear.
    Direct,
}

/// An offer.
#[derive(Debug)]
pub struct Offer {
    /// Its key within the shard.
    pub id: u64,
    /// For which call.
    pub call: CallKey,
    /// That call's span; an offer may end after its call.
    pub span: tracing::Span,
    /// The call's count of offers.
    pub number: u32,
    /// Whose phones; absent for a trunk.
    pub seat: Option<Seat>,
    /// Why it rings.
    pub kind: Kind,
    /// All INVITEs.
    pub forks: Vec<Fork>,
    /// Where it stands.
    pub state: OfferState,
    /// A phone's 2xx was taken: the call answers for the agent now.
    pub won: bool,
    /// Another person's phone was first, of several that rang at once.
    pub lost: bool,
    /// When `ring` is over.
    pub ring_until: Moment,
    /// When a phone that has said nothing is unreachable.
    pub silent_at: Moment,
    /// The last body-bearing final, for a direct call.
    pub best: Option<Message>,
    /// The deadline under which it stands in the table of timers.
    pub scheduled: Moment,
}

impl Offer {
    fn deadline(&self) -> Moment {
        match self.state {
            OfferState::Ringing => self.ring_until.min(self.silent_at),
            OfferState::Closing(until) => until,
        }
    }

    /// A phone rang.
    pub fn rang(&self) -> bool {
        self.forks.iter().any(|f| f.rang)
    }
}

impl Calls {
    /// The desk gave `agent` to `call`: ring every phone of theirs.
    pub(super) fn offer_to_agent(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        assignment: &Assignment,
    ) {
        let Assignment { agent, token, queue, at, .. } = *assignment;
        let step = call.line.step_of(queue);
        let own = queue == env.board.own_queue(agent);
        let domain = env.domain();
        let user = env.directory.person(agent).and_then(|p| p.sip_user.clone());
        let bindings = user.map(|user| env.location.bindings(&user)).unwrap_or_default();
        let targets = bindings.iter().map(|b| Target::binding(b, &domain)).collect();
        let from = self.shown_caller(env, call);
        let ring = call.plan_step(step).map_or(Duration::from_secs(20), |s| s.ring);
        let seat = Seat { agent, token: Some(token) };
        let kind = Kind::Distributed { step, at, own };
        let why = call.plan_step(step).and_then(|s| why_this_one(env, s, agent, queue));
        self.start_offer(env, call, (Some(seat), why), kind, targets, &from, env.now + ring);
    }

    /// The From value that our people's phones show.
    pub(super) fn shown_caller(&self, env: &Env<'_>, call: &Call) -> String {
        let number = call.caller.number.as_ref();
        let uri = super::arrive::shown_uri(number, &call.caller.raw, &env.domain());
        match call.decision.as_ref().map(|d| &d.plan.display) {
            Some(display) if !display.is_empty() => format!("{} <{uri}>", quoted(display)),
            _ => format!("<{uri}>"),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an offer is all of these")]
    pub(super) fn start_offer(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        (seat, why): (Option<Seat>, Option<Arc<str>>),
        kind: Kind,
        targets: Vec<Target>,
        from: &str,
        ring_until: Moment,
    ) {
        call.offers += 1;
        self.offer_count += 1;
        let id = self.offer_count;
        if let Some(seat) = seat {
            self.record_offer(env, call, (seat.agent, why), kind, targets.len());
        }
        let mut forks = Vec::with_capacity(targets.len());
        for target in targets {
            let (fork, sent) = Fork::send(env, call, target, from, ring_until.since(env.now));
            if let Some(tx) = sent {
                self.clients.insert(tx, super::fork::use_of(id, forks.len()));
                let (flow, offer) = (fork.flow, Some(call.offers));
                let cancel = env.tx.cancel_of(tx).unwrap_or_default();
                let text = String::from_utf8_lossy(&cancel).into();
                env.event(What::Unanswered { call: call.key, offer, flow, text });
            }
            forks.push(fork);
        }
        call.ringing.push(id);
        let offer = Offer {
            span: call.span.clone(),
            id,
            call: call.key,
            number: call.offers,
            seat,
            kind,
            forks,
            state: OfferState::Ringing,
            won: false,
            lost: false,
            ring_until,
            silent_at: silent_at(env),
            best: None,
            scheduled: Moment::NEVER,
        };
        self.settle(env, call, offer);
    }

    fn record_offer(
        &self,
        env: &mut Env<'_>,
        call: &Call,
        (agent, why): (AgentId, Option<Arc<str>>),
        kind: Kind,
        phones: usize,
    ) {
        let Some(person) = env.person(agent) else { return };
        let (step, at) = match kind {
            Kind::Distributed { step, at, .. } => (step, at),
            Kind::Direct => (0, env.now),
        };
        let named = |step: &&Step| step.people.iter().any(|member| member.agent == agent);
        let stands_in_for =
            call.plan_step(step).filter(named).and_then(|step| step.stands_in_for.clone());
        // Whose phones these are is nobody's business at this level.
        tracing::info!(offer = call.offers, phones, "offered");
        tracing::debug!(agent = %person, "offered to");
        let offered = What::Offered {
            call: call.key,
            offer: call.offers,
            agent: person,
            stands_in_for,
            step: step as u16,
            phones: phones as u16,
            why,
        };
        env.event_at(at, offered);
    }

    /// Keeps the offer; if it still rings and nothing of it is open any more, it has failed.
    pub(super) fn settle(&mut self, env: &mut Env<'_>, call: &mut Call, offer: Offer) {
        let open = offer.forks.iter().any(Fork::is_open);
        if offer.state == OfferState::Ringing && !open {
            let result = verdict(&offer);
            return self.offer_failed(env, call, offer, result);
        }
        self.keep_offer(env, offer);
    }

    fn keep_offer(&mut self, env: &mut Env<'_>, mut offer: Offer) {
        let open = offer.forks.iter().any(Fork::is_open);
        if matches!(offer.state, OfferState::Closing(_)) && !open {
            return self.offer_over(env, &offer);
        }
        offer.scheduled = offer.deadline();
        self.timers.insert((offer.scheduled, Timed::Offer(offer.id)));
        self.offers.insert(offer.id, offer);
    }

    pub(super) fn take_offer(&mut self, id: u64) -> Option<Offer> {
        let offer = self.offers.remove(&id)?;
        self.timers.remove(&(offer.scheduled, Timed::Offer(id)));
        Some(offer)
    }

    /// No phone took it: the call goes on, the agent pays what the result costs (C4, C7).
    pub(super) fn offer_failed(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        mut offer: Offer,
        result: OfferResult,
    ) {
        call.ringing.retain(|id| *id != offer.id);
        let status = offer.forks.iter().filter_map(|f| f.status).max();
        self.offer_ended(env, &offer, result, status);
        for fork in &mut offer.forks {
            fork.cancel(env, None);
        }
        offer.state = OfferState::Closing(env.now + CLOSING_MAX);
        match offer.kind {
            Kind::Direct => {
                let best = offer.best.take();
                self.keep_offer(env, offer);
                self.direct_failed(env, call, result, best, status);
            }
            Kind::Distributed { .. } => {
                if let Some(token) = offer.seat.and_then(|seat| seat.token) {
                    env.desk.give_back(env.now, call.key, token);
                }
                self.mark_agent(env, call, &offer, result);
                self.keep_offer(env, offer);
                self.recheck(env, call);
            }
        }
    }

    fn mark_agent(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        offer: &Offer,
        result: OfferResult,
    ) {
        let Some(seat) = offer.seat else { return };
        let timers = &env.settings.timers;
        let rest = match result {
            OfferResult::NoAnswer => {
                call.line.turned_away.insert(seat.agent);
                if env.settings.lock_after == LockAfter::Missed(1) {
                    call.line.going.insert(seat.agent);
                }
                env.agent(seat.agent, AgentNote::Missed);
                timers.refuse_backoff
            }
            OfferResult::Refused => {
                call.line.turned_away.insert(seat.agent);
                timers.refuse_backoff
            }
            // Whether a phone is registered is for the home shard to say: it drops what does not
            // answer. For this call the person is gone.
            OfferResult::Unreachable => {
                call.line.turned_away.insert(seat.agent);
                call.line.going.insert(seat.agent);
                timers.busy_backoff
            }
            // Clause C7: in a group the caller may wait for who is busy. A step that is directed at them
            // ends: most phones say 486 for "decline" too. Their queue keeps the call. Where the earlier
            // queues were let go for them (`only`, a supervisor's move), the caller waits for them.
            OfferResult::Busy => {
                let alone = |step| call.plan_step(step).is_some_and(|step| step.only);
                if let Kind::Distributed { own: true, step, .. } = offer.kind
                    && !alone(step)
                {
                    call.line.turned_away.insert(seat.agent);
                }
                timers.busy_backoff
            }
            OfferResult::Failed => timers.busy_backoff,
            OfferResult::Answered | OfferResult::CallerGone | OfferResult::Elsewhere => return,
        };
        // Whatever the settings say: a phone that always says no is not rung in a circle.
        let pause = rest.max(BACKOFF_MIN);
        env.desk.back_off(seat.agent, env.now + pause);
        if matches!(result, OfferResult::NoAnswer | OfferResult::Refused | OfferResult::Busy) {
            env.agent(seat.agent, AgentNote::TurnedDown { pause });
        }
    }

    pub(super) fn offer_ended(
        &self,
        env: &mut Env<'_>,
        offer: &Offer,
        result: OfferResult,
        status: Option<u16>,
    ) {
        if offer.seat.is_some() {
            tracing::info!(parent: &offer.span, offer = offer.number, ?result, status, "offer ended");
            let (call, offer) = (offer.call, offer.number);
            env.event(What::OfferEnded { call, offer, result, status });
        }
    }

    /// Every phone has confirmed: the agent is free (a winner keeps theirs through the call).
    fn offer_over(&mut self, env: &mut Env<'_>, offer: &Offer) {
        for fork in &offer.forks {
            if let Some(tx) = fork.tx {
                self.clients.remove(&tx);
            }
        }
        let Some(seat) = offer.seat.filter(|_| !offer.won) else { return };
        match seat.token {
            Some(token) => {
                env.desk.release(env.now, token, After::Free);
            }
            None => env.desk.vacate(seat.agent),
        }
    }

    /// Somebody else was first: the others' phones stop, their owners are free when they have (I2).
    pub(super) fn others_lose(&mut self, env: &mut Env<'_>, call: &mut Call, winner: u64) {
        for id in std::mem::take(&mut call.ringing).into_iter().filter(|id| *id != winner) {
            let Some(mut offer) = self.take_offer(id) else { continue };
            self.offer_ended(env, &offer, OfferResult::Elsewhere, None);
            for fork in &mut offer.forks {
                fork.cancel(env, Some(ELSEWHERE));
            }
            offer.lost = true;
            offer.state = OfferState::Closing(env.now + CLOSING_MAX);
            self.keep_offer(env, offer);
        }
    }

    /// The caller went while phones ring.
    pub(super) fn caller_gone(&mut self, env: &mut Env<'_>, id: u64) {
        let Some(mut offer) = self.take_offer(id) else { return };
        self.offer_ended(env, &offer, OfferResult::CallerGone, None);
        for fork in &mut offer.forks {
            fork.cancel(env, None);
        }
        offer.state = OfferState::Closing(env.now + CLOSING_MAX);
        self.keep_offer(env, offer);
    }

    pub(super) fn offer_due(&mut self, env: &mut Env<'_>, id: u64) {
        let Some(mut offer) = self.offers.remove(&id) else { return };
        let key = offer.call;
        match offer.state {
            OfferState::Closing(until) if until <= env.now => {
                for fork in offer.forks.iter_mut().filter(|f| f.is_open()) {
                    fork.status = Some(408);
                }
                self.offer_over(env, &offer);
            }
            OfferState::Ringing if offer.ring_until <= env.now => {
                let result = match offer.rang() {
                    true if is_registered(env, &offer) => OfferResult::NoAnswer,
                    // Their phone went while it rang: nobody is locked for that.
                    true => OfferResult::Unreachable,
                    false => verdict(&offer),
                };
                self.with_offer(env, key, offer, |calls, env, call, offer| {
                    calls.offer_failed(env, call, offer, result);
                });
            }
            OfferState::Ringing if offer.silent_at <= env.now => {
                offer.silent_at = Moment::NEVER;
                drop_silent(env, &mut offer);
                self.with_offer(env, key, offer, |calls, env, call, offer| {
                    calls.settle(env, call, offer);
                });
            }
            _ => self.keep_offer(env, offer),
        }
    }

    /// Works on an offer together with its call; without one (it ended) the offer only closes.
    pub(super) fn with_offer(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        offer: Offer,
        work: impl FnOnce(&mut Self, &mut Env<'_>, &mut Call, Offer),
    ) {
        let rings = self.calls.get(&key).is_some_and(|c| c.ringing.contains(&offer.id));
        if rings {
            self.with(key, |calls, call| work(calls, env, call, offer));
        } else {
            self.keep_offer(env, offer);
        }
    }

    /// The use of a client transaction is over.
    pub(super) fn forget_client(&mut self, offer: &Offer, fork: usize) {
        if let Some(tx) = offer.forks.get(fork).and_then(|f| f.tx) {
            debug_assert!(matches!(self.clients.get(&tx), None | Some(ClientUse::Fork(..))));
            self.clients.remove(&tx);
        }
    }
}

/// Why a step's call went to this one of several people; `None` where that goes without saying.
fn why_this_one(env: &Env<'_>, step: &Step, agent: AgentId, queue: QueueId) -> Option<Arc<str>> {
    let group = env.directory.group_of_queue(queue)?;
    let serves = env.board.serves_of(agent).into_iter().find(|serve| serve.queue == queue);
    if serves.is_some_and(|serve| serve.helper) {
        return Some(format!("helps {group} (B7)").into());
    }
    let counts = env.board.counts(agent);
    let order =
        match &step.order {
            Pick::LongestIdle => None,
            Pick::RoundRobin => Some("their turn".to_owned()),
            Pick::FewestCalls => Some(format!("fewest calls today: {}", counts.calls)),
            Pick::LeastTalk => Some(format!("least talk time today: {} s", counts.talk.as_secs())),
            Pick::Skill(wanted) => {
                let level = env.directory.level(agent, &group.role);
                Some(format!("skill level {level}, wanted {wanted}"))
            }
            Pick::Listed(people) => {
                let person = env.person(agent)?;
                let place = people.iter().position(|listed| *listed == person);
                Some(place.map_or("not in the list".to_owned(), |n| {
                    format!("place {} in the list", n + 1)
                }))
            }
        };
    let together = (step.together > 1).then(|| format!("{} ring at once", step.together));
    let words: Vec<String> = order.into_iter().chain(together).collect();
    (!words.is_empty()).then(|| words.join(", ").into())
}

/// Somebody whose phones ring has one still; a trunk always has.
fn is_registered(env: &Env<'_>, offer: &Offer) -> bool {
    let person = offer.seat.and_then(|seat| env.directory.person(seat.agent));
    let user = person.and_then(|person| person.sip_user.as_deref());
    user.is_none_or(|user| env.location.is_registered(user))
}

/// Phones that have said nothing at all are unreachable.
fn drop_silent(env: &mut Env<'_>, offer: &mut Offer) {
    for fork in offer.forks.iter_mut().filter(|f| f.is_open() && !f.heard) {
        fork.cancel(env, None);
        fork.status = Some(408);
        if let (Some(seat), Some(binding)) = (offer.seat, &fork.binding) {
            let (binding, epoch) = (binding.key.clone(), binding.epoch);
            env.agent(seat.agent, AgentNote::Unreachable { binding, epoch });
        }
    }
}

/// What the phones' answers mean together.
pub(super) fn verdict(offer: &Offer) -> OfferResult {
    let each = |status: u16, fork: &Fork| match status {
        603 => OfferResult::Refused,
        480 | 403 | 406 if fork.rang => OfferResult::Refused,
        486 | 600 | 480 => OfferResult::Busy,
        408 | 487 if fork.rang => OfferResult::NoAnswer,
        404 | 410 | 408 | 503 => OfferResult::Unreachable,
        300..=399 => OfferResult::Refused,
        _ => OfferResult::Failed,
    };
    let results: Vec<OfferResult> =
        offer.forks.iter().filter_map(|f| f.status.map(|s| each(s, f))).collect();
    let order =
        [OfferResult::Refused, OfferResult::Busy, OfferResult::NoAnswer, OfferResult::Failed];
    order.into_iter().find(|r| results.contains(r)).unwrap_or(OfferResult::Unreachable)
}

/// A display name as a quoted string (§25.1).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
