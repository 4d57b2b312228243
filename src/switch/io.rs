//! What goes into a switch and what comes out of it: the seam between core and shell.
//!
//! The drain rule: `handle(now, input)` is exactly one mutation; then `poll_output()` until it gives
//! `None`; then sleep until `poll_timeout()` or the next input. A worker begins every turn with
//! [`Input::Wake`]: bells are answered and due timers fire then.
//!
//! Outputs of a turn leave after the turn's [`Output::Event`]s are in the journal. Everything here is
//! plain data; nothing here knows sockets, files or clocks.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Identified, Promise};
use crate::acd::Counts;
use crate::call::AgentNote;
use crate::domain::{
    AgentId, CallKey, Directory, Flow, Moment, Number, PersonId, Settings, ShardId, TrunkId,
    WallOffset,
};
use crate::policy::Policy;
use crate::sip::Message;

/// What a text to a person is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A callback promised in their name.
    Promise,
    /// What a supervisor ordered.
    Order,
}

/// One thing that happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A turn begins: bells are answered, due timers fire.
    Wake,
    /// A message that `Message::judge` accepts, or a response.
    Packet {
        /// Where it came from; the source is the socket's.
        flow: Flow,
        /// What came.
        message: Message,
        /// When the socket gave it to us.
        received: Moment,
    },
    /// A stream ended, or could not be opened. Sent to every switch.
    FlowClosed {
        /// Which one.
        flow: Flow,
    },
    /// Bytes of ours could not be sent: as a 503 from there (RFC 3261 §8.1.3.1). Sent to the switch
    /// that sent them.
    SendFailed {
        /// Where they were to go.
        flow: Flow,
    },
    /// The answer to [`Output::Identify`]; a stale one is a no-op.
    Identified {
        /// Which call asked.
        call: CallKey,
        /// Who is calling.
        found: Identified,
    },
    /// From another switch, or from this one.
    Mail(Mail),
    /// Somebody wants something; exactly one [`Output::Reply`] follows.
    Command {
        /// Comes back with the reply.
        id: u64,
        /// What is wanted.
        command: Command,
        /// Who wants it: `root`, `anna`.
        by: Arc<str>,
    },
    /// Tell a person's phones something (SIP MESSAGE, RFC 3428). Nobody waits for it.
    Tell {
        /// Whom.
        to: PersonId,
        /// Each topic has room of its own while no phone is there.
        topic: Topic,
        /// In plain words.
        text: Arc<str>,
    },
    /// People, roles, absences: applies at once.
    Directory(Arc<Directory>),
    /// What people did today before this start; for worker 0, once.
    Worked(Arc<[(PersonId, Counts)]>),
    /// For calls that arrive from now on.
    Policy(Arc<Policy>),
    /// Trunks, limits, timers: for what begins from now on.
    Settings(Arc<Settings>),
    /// The wall clock was set.
    Wall(WallOffset),
    /// Take no new trunk calls; at `until` waiting callers are promised a callback.
    Drain {
        /// Not later than this.
        until: Moment,
    },
}

/// Something for the outside to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these bytes.
    Send {
        /// Where to; `connection` 0 of a stream means "connect if no connection serves it".
        flow: Flow,
        /// One whole message.
        bytes: bytes::Bytes,
    },
    /// Look a client up; answered by [`Input::Identified`], or never.
    Identify {
        /// For which call.
        call: CallKey,
        /// The calling number; `None` if withheld.
        number: Option<Number>,
    },
    /// For another switch.
    Mail {
        /// Whose.
        to: ShardId,
        /// What.
        mail: Mail,
    },
    /// A line of the journal; before everything else of its turn.
    Event(Event),
    /// The answer to one [`Input::Command`].
    Reply {
        /// As the command said.
        id: u64,
        /// The answer as JSON, or what is wrong with the command in words.
        answer: Result<serde_json::Value, Refusal>,
    },
    /// A promised callback: its owner must hear of it.
    Notify(Promise),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In words, with what to do next.
    pub error: Arc<str>,
}

/// What an admin or a supervisor may ask of a running switch. As JSON: `{"command":"pause", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Counters and sizes of this switch; asked of every switch.
    Status,
    /// Everybody on the board with state and reason; any switch can tell.
    Agents,
    /// Every queue with its length on this switch; asked of every switch.
    Queues,
    /// The calls that are up on this switch; asked of every switch.
    Calls,
    /// Where would such a call go now, and why; any switch can tell.
    Explain {
        /// As a trunk would write it; empty for withheld.
        from: Arc<str>,
        /// The called user part, if it matters.
        to: Option<Arc<str>>,
        /// At another time than now: presence is unknown then.
        at: Option<Timestamp>,
        /// Over which trunk; the first one if absent.
        trunk: Option<TrunkId>,
        /// Who that is; the shell asks the index first.
        #[serde(skip)]
        found: Option<Box<Identified>>,
    },
    /// Clause C3. For the person's home switch, as are the next four.
    Login {
        /// Who.
        person: PersonId,
    },
    /// Clause C3.
    Logout {
        /// Who.
        person: PersonId,
    },
    /// Not ready.
    Pause {
        /// Who.
        person: PersonId,
        /// Why: `break`, `cash desk`.
        reason: Arc<str>,
    },
    /// Ready again, also after a missed call (clause C4).
    Resume {
        /// Who.
        person: PersonId,
    },
    /// Frees a person whose state nothing explains: the operator's last resort.
    Release {
        /// Who.
        person: PersonId,
    },
    /// Ends a call; for the switch in its key.
    Hangup {
        /// Which.
        call: CallKey,
    },
    /// Clause B8: takes a waiting call to another queue; for the switch in its key.
    MoveCall {
        /// Which.
        call: CallKey,
        /// A person, or a group: `operator`, `vip_manager of client_service`.
        to: Arc<str>,
        /// Which supervisor wants it.
        supervisor: PersonId,
    },
}

/// Which switches a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// Whichever is at hand.
    Any,
    /// All of them; the answers are joined.
    All,
    /// The home switch of a person.
    Home(PersonId),
    /// This one.
    Shard(ShardId),
}

impl Command {
    /// Which switches it is for.
    pub fn addressee(&self) -> Addressee {
        match self {
            Command::Agents | Command::Explain { .. } => Addressee::Any,
            Command::Status | Command::Queues | Command::Calls => Addressee::All,
            Command::Login { person }
            | Command::Logout { person }
            | Command::Pause { person, .. }
            | Command::Resume { person }
            | Command::Release { person } => Addressee::Home(person.clone()),
            Command::Hangup { call } | Command::MoveCall { call, .. } => {
                Addressee::Shard(call.shard())
            }
        }
    }

    /// It changes something: the journal says who asked.
    pub fn is_change(&self) -> bool {
        matches!(self.addressee(), Addressee::Home(_) | Addressee::Shard(_))
    }
}

/// What switches tell one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mail {
    /// The bindings of this address of record changed on its home switch: offers that ring there, and
    /// answered calls that wait for a new registration, look again.
    Bindings {
        /// User part of the address of record.
        aor: Arc<str>,
    },
    /// A call's news for the home switch of an agent.
    Agent {
        /// Whose.
        agent: AgentId,
        /// What.
        note: AgentNote,
    },
}
