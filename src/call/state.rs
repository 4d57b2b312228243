//! One call: who, where in its plan, which legs.
//!
//! ```text
//!            identified                 assignment, answer            ACK
//! Identifying ────────► Waiting ◄─────► (offer rings) ───► Answering ────► Talking
//!      │                   │ plan over        │ CANCEL         │ no ACK       │ BYE, probe, limit
//!      └───────────────────┴──────────────────┴───────► ended ◄┴──────────────┘
//! ```
//! A call exists exactly as long as its dialogs (I4): ended calls leave the table in the same turn;
//! only phones that have yet to hear CANCEL, and 2xx that have yet to be acknowledged, stay behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::acd::Token;
use crate::domain::{AgentId, CallKey, Client, Flow, Moment, PersonId, QueueId, Trunk};
use crate::policy::{Facts, MoveTo, Plan, Policy, Step};
use crate::sip::{Builder, Header, Message};
use crate::transaction::ServerTx;

use super::caller::{Called, Caller};
use super::leg::{Leg, Origin, Side};
use super::relay::Relays;
use super::{ClientRef, Direction, Env, Mint};

/// Methods that we understand, for Allow.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, MESSAGE, REGISTER";

/// How long before `answer_within` a plan goes to its ending: the PBX must hear it in time.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// Early dialogs of one call; what a trunk says in more is not passed on.
pub const EARLY_MAX: usize = 16;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The client index is asked.
    Identifying,
    /// In line, or being offered.
    Waiting,
    /// Our 2xx waits for the caller's ACK.
    Answering,
    /// Two people speak.
    Talking,
}

/// The caller's INVITE while it has no final answer, and what every answer to it needs.
#[derive(Debug)]
pub struct Incoming {
    /// Its transaction.
    pub tx: ServerTx,
    /// The request.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Our tag.
    pub tag: String,
    /// Our Contact in this dialog.
    pub contact: String,
    /// Early dialogs in which the callee said something; bounded by [`EARLY_MAX`].
    pub early: Vec<Early>,
}

/// An early dialog with the caller, one for each of the callee's own: a trunk may fork (§13.2.2.4).
#[derive(Debug)]
pub struct Early {
    /// The callee's tag.
    theirs: String,
    /// Our tag towards the caller.
    pub tag: String,
    /// Our SDP origin in it.
    pub origin: Origin,
}

impl Incoming {
    /// An answer to it: tag, Contact and Record-Route where a dialog comes of it (§12.1.1).
    pub fn reply(&self, status: u16) -> Builder {
        self.reply_as(status, &self.tag)
    }

    /// The early dialog that belongs to the callee's tag `theirs`, the first under our first tag.
    /// `None`: there are too many.
    pub fn early(&mut self, mint: &mut Mint, theirs: &str) -> Option<usize> {
        if let Some(known) = self.early.iter().position(|e| e.theirs == theirs) {
            return Some(known);
        }
        let next = self.early.len();
        if next == EARLY_MAX {
            return None;
        }
        let tag = if next == 0 { self.tag.clone() } else { mint.tag() };
        self.early.push(Early { theirs: theirs.to_owned(), tag, origin: Origin::new(mint) });
        Some(next)
    }

    /// The callee's 2xx with the tag `theirs` came: from now on our tag is that dialog's. Gives our
    /// SDP origin in it.
    pub fn confirm(&mut self, mint: &mut Mint, theirs: &str) -> Origin {
        let known = self.early.iter().position(|e| e.theirs == theirs);
        if let Some(known) = known {
            let early = self.early.swap_remove(known);
            self.tag = early.tag;
            return early.origin;
        }
        if !self.early.is_empty() {
            self.tag = mint.tag();
        }
        Origin::new(mint)
    }

    /// The same as [`Self::reply`] in the early dialog whose tag of ours is `tag`.
    pub fn reply_as(&self, status: u16, tag: &str) -> Builder {
        let reply = Builder::reply(&self.request, status, Some(tag));
        match status {
            101..=299 => reply
                .copy(&self.request, Header::RecordRoute)
                .header(Header::Contact, &self.contact)
                .header(Header::Allow, ALLOW),
            _ => reply,
        }
    }

    /// The caller's body is the offer; without one the callee's 2xx carries it ("late offer").
    pub fn has_offer(&self) -> bool {
        !self.request.body().is_empty()
    }
}

/// The place in the plan.
#[derive(Debug, Default)]
pub struct Line {
    /// The step that runs; `None` before the first.
    pub step: Option<usize>,
    /// When its `wait` ends.
    pub ends: Option<Moment>,
    /// Queues that hold the call, with the newest step that gave each.
    pub queues: Vec<(QueueId, usize)>,
    /// Steps whose people may come back: skipped when nobody was there (clause C7), or with queues that were
    /// taken from the call, closed or emptied (clause B8).
    pub taken: BTreeSet<usize>,
    /// Steps, by their words, and people of them for whom the call did not wait there, gone or their queue
    /// full: a later step may (B10).
    pub unwaited: Vec<(Arc<str>, AgentId)>,
    /// Steps that supervisors made, by place: where to, and who did.
    pub moves: BTreeMap<usize, (MoveTo, PersonId)>,
    /// Who refused or missed this caller (clause B10).
    pub turned_away: BTreeSet<AgentId>,
    /// Who of them is gone, though the board will say so a moment later only.
    pub going: BTreeSet<AgentId>,
    /// Somebody of the plan was out of hours when it was read last; unknown until it is asked.
    pub somebody_closed: Option<bool>,
    /// The plan is over; only a phone that still rings keeps the call.
    pub exhausted: bool,
    /// A queue was full.
    pub overflowed: bool,
}

impl Line {
    /// A queue of this step holds the call.
    pub fn holds(&self, step: usize) -> bool {
        self.queues.iter().any(|(_, s)| *s == step)
    }

    /// It does, or may again.
    pub fn keeps(&self, step: usize) -> bool {
        self.holds(step) || self.taken.contains(&step)
    }

    /// Which step's `ring` and stand-ins count for an assignment out of `queue`.
    pub fn step_of(&self, queue: QueueId) -> usize {
        let found = self.queues.iter().rev().find(|(q, _)| *q == queue);
        found.map_or(self.step.unwrap_or(0), |(_, step)| *step)
    }
}

/// What was decided. The reasons stand in the journal.
#[derive(Debug)]
pub struct Decided {
    /// The rule that matched.
    pub rule: Arc<str>,
    /// Its clause.
    pub clause: Arc<str>,
    /// What to do.
    pub plan: Plan,
    /// What it was decided on.
    pub facts: Facts,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    /// Its key for ever.
    pub key: CallKey,
    /// What the log says in any of its turns is said in here.
    pub span: tracing::Span,
    /// Who speaks with whom.
    pub direction: Direction,
    /// The bucket of its first Call-ID: every leg's Call-ID leads to the same shard.
    pub bucket: u16,
    /// When its INVITE came.
    pub arrived: Moment,
    /// The trunk it came over; holds one of the trunk's places.
    pub trunk: Option<Arc<Trunk>>,
    /// The trunk it goes out over; holds one of the trunk's places.
    pub out_trunk: Option<Arc<Trunk>>,
    /// Which of our people called.
    pub caller_agent: Option<AgentId>,
    /// Who calls.
    pub caller: Caller,
    /// Who is called.
    pub called: Called,
    /// What is known of a call that survived a restart.
    pub before: Option<Box<super::Before>>,
    /// The client, once identified.
    pub client: Option<Arc<Client>>,
    /// The policy that it began with.
    pub policy: Arc<Policy>,
    /// Where it goes.
    pub decision: Option<Box<Decided>>,
    /// The caller's INVITE.
    pub incoming: Option<Incoming>,
    /// Where it stands.
    pub phase: Phase,
    /// Place in the plan.
    pub line: Line,
    /// The offers that ring for it: one, or several people's at once.
    pub ringing: Vec<u64>,
    /// Offers made so far.
    pub offers: u32,
    /// The caller's dialog.
    pub caller_leg: Option<Leg>,
    /// The callee's dialog.
    pub callee_leg: Option<Leg>,
    /// Who answered, with the board's token.
    pub answered_by: Option<(AgentId, Option<Token>)>,
    /// Requests of one side that the other has not answered yet.
    pub relays: Relays,
    /// The callee's 2xx had the offer: its ACK waits for the caller's (late offer).
    pub late_ack: Option<u32>,
    /// When the client index must have answered.
    pub identify_by: Moment,
    /// When a waiting caller hears from us again.
    pub provisional_at: Moment,
    /// When the plan goes to its ending (`answer_within`).
    pub answer_by: Moment,
    /// `call_max`.
    pub ends_at: Moment,
    /// The deadline under which it stands in the table of timers.
    pub scheduled: Moment,
    /// It ended in this turn.
    pub ended: bool,
}

impl Call {
    /// The span of the log's lines about call `key`. Names nobody.
    pub fn span_of(key: CallKey) -> tracing::Span {
        tracing::info_span!("call", call = %key)
    }

    /// The leg of a side.
    pub fn leg(&mut self, side: Side) -> Option<&mut Leg> {
        match side {
            Side::Caller => self.caller_leg.as_mut(),
            Side::Callee => self.callee_leg.as_mut(),
        }
    }

    /// A step of its plan.
    pub fn plan_step(&self, step: usize) -> Option<&Step> {
        self.decision.as_ref()?.plan.steps.get(step)
    }

    /// What the register keeps of the client.
    pub fn client_ref(&self) -> Option<ClientRef> {
        self.client.as_ref().map(|c| ClientRef::of(c.id, &c.name))
    }

    /// The earliest instant at which something is to be done for it.
    pub fn deadline(&self) -> Moment {
        let waiting = match self.phase {
            Phase::Identifying => self.identify_by.min(self.provisional_at),
            Phase::Waiting => {
                let line = self.line.ends.unwrap_or(Moment::NEVER);
                line.min(self.provisional_at).min(self.answer_by)
            }
            Phase::Answering | Phase::Talking => Moment::NEVER,
        };
        // Probes wait for the ACK: until then the 2xx itself finds out whether the caller is there.
        let probed = self.phase == Phase::Talking;
        let probe = |leg: &Leg| if probed { leg.probe.poll_timeout() } else { Moment::NEVER };
        let legs = self.caller_leg.iter().chain(&self.callee_leg);
        let legs = legs.map(|leg| leg.deadline().min(probe(leg)));
        legs.min().unwrap_or(Moment::NEVER).min(waiting).min(self.ends_at)
    }

    /// When the plan must be over, for a call over `trunk` that arrived now.
    pub fn answer_by(env: &Env<'_>, trunk: Option<&Trunk>) -> Moment {
        trunk.map_or(Moment::NEVER, |t| env.now + t.answer_within.saturating_sub(ANSWER_MARGIN))
    }
}
