//! What is written to the journal: everything that a worker decided, in the order in which it did.
//!
//! The call register is a projection of these; `events --follow` prints them; after a restart the
//! tail of them brings dialogs, bindings and agents back. Fields may be added (with a default), never
//! change their meaning.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{CallKey, ClientId, DirectoryRecord, Flow, Number, Orders, PersonId, TrunkId};
use crate::policy::{Explanation, Grounds};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Wall clock, to the microsecond.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// Who is speaking with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a trunk to our people.
    Inbound,
    /// From one of our people to a trunk.
    Outbound,
    /// Between our people.
    Internal,
    /// Between trunks, through the proxy.
    Pass,
}

/// One of the parties of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// We ourselves (limits, probes, restart).
    Server,
    /// A person through a command (`hangup CALL`).
    Supervisor,
}

/// What became of one offer (clause C7's edges, and what our side did).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferResult {
    /// Taken.
    Answered,
    /// Rang for `ring` and was not taken.
    NoAnswer,
    /// 603, or 480 after ringing.
    Refused,
    /// 486 or 600: on another call that we do not know of.
    Busy,
    /// No phone could be reached.
    Unreachable,
    /// The caller went first.
    CallerGone,
    /// Somebody else took the call.
    Elsewhere,
    /// Our fault or a media mismatch (488): the same offer may be made again.
    Failed,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Two people spoke.
    Answered,
    /// The caller went before anybody answered.
    Abandoned,
    /// Nobody answered; a callback is promised.
    CallbackPromised,
    /// Closed; a callback is promised.
    OutOfHours,
    /// A queue was full or a limit reached.
    Overload,
    /// Policy, trust or the called side said no.
    Refused,
    /// Something broke.
    Failed,
    /// The server was restarted before anybody answered.
    CutByRestart,
    /// A star code was carried out.
    StarCode,
}

/// The client as the register keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRef {
    /// Row in the client database.
    pub id: ClientId,
    /// Name when the call came.
    pub name: Arc<str>,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The server began to run; calls open in the journal before this line were cut.
    ServerStarted {
        /// Crate version.
        version: Arc<str>,
    },
    /// A call came. Exactly once for each call.
    CallArrived {
        /// Its key for ever.
        call: CallKey,
        /// Who speaks with whom.
        direction: Direction,
        /// Over which trunk it came.
        trunk: Option<TrunkId>,
        /// Which of our people called.
        caller: Option<PersonId>,
        /// As the header said.
        from_raw: Arc<str>,
        /// Clause A1's number.
        from: Option<Number>,
        /// The called user part.
        to: Arc<str>,
        /// The caller's Call-ID header.
        sip_call_id: Arc<str>,
    },
    /// The decision.
    Routed {
        /// Which call.
        call: CallKey,
        /// Clause A1's client.
        client: Option<ClientRef>,
        /// The rule that took it.
        rule: Arc<str>,
        /// The rule's clause.
        clause: Arc<str>,
        /// Hash of the policy's text.
        policy: Arc<str>,
        /// The whole reason. `None` when memory was short (a counter says how often).
        explanation: Option<Arc<Explanation>>,
        /// What it rested on, for `Grounds::replay`. `None` too in journals of the first days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grounds: Option<Arc<Grounds>>,
    },
    /// A step of the plan began.
    StepBegan {
        /// Which call.
        call: CallKey,
        /// From 0.
        step: u16,
        /// As the policy says it.
        to: Arc<str>,
        /// The step's clause.
        clause: Arc<str>,
        /// Why the one before was left, or who is skipped here.
        why: Arc<str>,
    },
    /// An agent's phones were told to ring.
    Offered {
        /// Which call.
        call: CallKey,
        /// From 1 within the call.
        offer: u32,
        /// Whose phones.
        agent: PersonId,
        /// For whom the agent stands in.
        stands_in_for: Option<PersonId>,
        /// Which step's queue gave the call.
        step: u16,
        /// How many bindings were tried.
        phones: u16,
        /// Why this one of several people: `fewest calls today: 3`, `helps operator (B7)`. Absent where
        /// the longest idle was first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Arc<str>>,
    },
    /// The first phone of an offer rang.
    Ringing {
        /// Which call.
        call: CallKey,
        /// Which offer.
        offer: u32,
    },
    /// An offer ended.
    OfferEnded {
        /// Which call.
        call: CallKey,
        /// Which offer.
        offer: u32,
        /// What became of it.
        result: OfferResult,
        /// The phone's status, if it said one.
        status: Option<u16>,
    },
    /// An INVITE has no final answer yet: what a restart needs to close it.
    Unanswered {
        /// Which call.
        call: CallKey,
        /// Which offer's; absent for the caller's.
        offer: Option<u32>,
        /// Where it came from, or went.
        flow: Flow,
        /// The caller's: the request's head, to be answered. A phone's: its CANCEL, to be sent.
        text: Arc<str>,
    },
    /// Caller and callee are joined.
    Answered {
        /// Which call.
        call: CallKey,
        /// Who answered; absent for a call that went out over a trunk.
        agent: Option<PersonId>,
    },
    /// A confirmed dialog's state, enough to end, hold and probe it after a restart.
    Dialog {
        /// Which call.
        call: CallKey,
        /// Whose leg.
        side: Party,
        /// `dialog::Snapshot` as JSON.
        state: Arc<serde_json::Value>,
    },
    /// A callback was promised to the caller.
    Promised {
        /// Which call.
        call: CallKey,
        /// Whom to call back.
        number: Option<Number>,
        /// Who is the client.
        client: Option<ClientRef>,
        /// Who must do it.
        owner: Option<PersonId>,
        /// Why nobody answered.
        why: Arc<str>,
    },
    /// The call is over. Exactly once for each call.
    CallEnded {
        /// Which call.
        call: CallKey,
        /// Who ended it.
        by: Party,
        /// How.
        outcome: Outcome,
        /// The status that the caller got, if the call was not answered.
        status: Option<u16>,
        /// A reason in words.
        reason: Arc<str>,
    },
    /// A binding came or was refreshed.
    Bound {
        /// User part of the address of record.
        aor: Arc<str>,
        /// `registrar::Binding` as JSON.
        binding: serde_json::Value,
    },
    /// A binding went.
    Unbound {
        /// User part of the address of record.
        aor: Arc<str>,
        /// Its key.
        binding: Arc<str>,
        /// `expired`, `removed`, `flow closed`, `unreachable`.
        why: Arc<str>,
    },
    /// An agent's slow state changed.
    Agent {
        /// Who.
        person: PersonId,
        /// What.
        change: AgentChange,
        /// Who did it: `self (star code)`, `command by root`, `server`.
        by: Arc<str>,
    },
    /// Anything an admin changed that routing depends on.
    Changed {
        /// `absence`, `client`, `password`, `policy`, …
        what: Arc<str>,
        /// In words.
        detail: Arc<str>,
        /// Who did it.
        by: Arc<str>,
    },
    /// A supervisor ordered something (clause B8).
    Ordered {
        /// In words: `ole moved to finance`.
        what: Arc<str>,
        /// All orders in force from now on.
        orders: Orders,
        /// Who did it: `nina.adler (command by root)`.
        by: Arc<str>,
    },
    /// A policy was accepted. Its text is kept for ever, so that every decision can be replayed.
    PolicyAccepted {
        /// As `Routed` names it.
        hash: Arc<str>,
        /// The text of `policy.toml`.
        policy: Arc<str>,
        /// The text of `calendars.toml`.
        calendars: Arc<str>,
        /// Who had it loaded: `start`, `command by root`, `file change`.
        by: Arc<str>,
    },
    /// People, departments or absences changed; kept for ever, so that every decision can be replayed.
    DirectoryTaken {
        /// As the grounds of a `Routed` name it.
        hash: Arc<str>,
        /// Everything that a decision may depend on.
        directory: Box<DirectoryRecord>,
    },
    /// Something was done about a promised callback (clause E1).
    Callback {
        /// Which call was promised one.
        call: CallKey,
        /// What was done.
        change: CallbackChange,
        /// Who did it.
        by: Arc<str>,
    },
    /// The first line of a segment: the next `events` lines say again what still holds (open calls,
    /// bindings, agents), so that older segments may go. They happened before, at their own `at`.
    Checkpoint {
        /// How many lines belong to it.
        events: u32,
    },
}

impl What {
    /// The call that it is about.
    pub fn call(&self) -> Option<CallKey> {
        match self {
            Self::CallArrived { call, .. }
            | Self::Routed { call, .. }
            | Self::StepBegan { call, .. }
            | Self::Offered { call, .. }
            | Self::Ringing { call, .. }
            | Self::OfferEnded { call, .. }
            | Self::Unanswered { call, .. }
            | Self::Answered { call, .. }
            | Self::Dialog { call, .. }
            | Self::Promised { call, .. }
            | Self::CallEnded { call, .. }
            | Self::Callback { call, .. } => Some(*call),
            Self::ServerStarted { .. }
            | Self::Bound { .. }
            | Self::Unbound { .. }
            | Self::Agent { .. }
            | Self::Changed { .. }
            | Self::Ordered { .. }
            | Self::PolicyAccepted { .. }
            | Self::DirectoryTaken { .. }
            | Self::Checkpoint { .. } => None,
        }
    }
}

/// What was done about a promised callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum CallbackChange {
    /// Somebody tried and did not reach the client.
    Tried {
        /// In words; may be empty.
        note: Arc<str>,
    },
    /// Kept: the client was called back, or needs no call any more.
    Done {
        /// What came of it.
        note: Arc<str>,
    },
}

/// A change of an agent's slow state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum AgentChange {
    /// Begins to work.
    LoggedIn,
    /// Stops working.
    LoggedOut,
    /// Not ready, with a reason.
    Paused {
        /// `break`, `cash desk`, …
        reason: Arc<str>,
    },
    /// Ready again (also after "no answer").
    Resumed,
    /// Clause C4: missed a call; offered nothing until resumed.
    Locked,
    /// A word that nothing explained was released.
    Released,
}
