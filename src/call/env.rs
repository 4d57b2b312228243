//! What a call may see and touch during one turn, and what it asks of the world.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::acd::{Board, Desk};
use crate::domain::{
    AgentId, CallKey, ClientId, Directory, Flow, Moment, Number, PersonId, Settings, ShardId, Trunk,
};
use crate::meters::Meters;
use crate::policy::Policy;
use crate::registrar::Location;
use crate::sip::Message;
use crate::transaction::{ServerTx, Transactions};

use super::{ClientRef, Mint, What};

/// Borrowed from the switch for one turn.
pub struct Env<'a> {
    /// Monotonic time of this turn.
    pub now: Moment,
    /// Wall clock of this turn.
    pub wall: Timestamp,
    /// Our shard.
    pub shard: ShardId,
    /// Keys the hash that leads a Call-ID to its shard.
    pub hash_key: &'a [u8; 16],
    /// The newest settings.
    pub settings: &'a Arc<Settings>,
    /// The newest directory.
    pub directory: &'a Arc<Directory>,
    /// The newest policy; a call keeps the one that it began with.
    pub policy: &'a Arc<Policy>,
    /// Everybody's words.
    pub board: &'a Board,
    /// Our shard's part of the queues.
    pub desk: &'a mut Desk,
    /// Where phones are.
    pub location: &'a Location,
    /// Limits and counters of the whole server.
    pub meters: &'a Meters,
    /// SIP transactions of this shard.
    pub tx: &'a mut Transactions,
    /// Identifiers.
    pub mint: &'a mut Mint,
    /// What the turn wants of the world.
    pub effects: &'a mut VecDeque<Effect>,
}

impl Env<'_> {
    /// Write a line of the journal.
    pub fn event(&mut self, what: What) {
        self.event_at(self.now, what);
    }

    /// The same, for something that has its own time.
    pub fn event_at(&mut self, at: Moment, what: What) {
        self.effects.push_back(Effect::Event { at, what });
    }

    /// Tell the home shard of `agent`.
    pub fn agent(&mut self, agent: AgentId, note: AgentNote) {
        self.effects.push_back(Effect::Agent { agent, note });
    }

    /// A person's name, for journal and explanation.
    pub fn person(&self, agent: AgentId) -> Option<PersonId> {
        self.directory.person(agent).map(|p| p.id.clone())
    }
}

/// What the call room asks of the switch.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write this to the journal.
    Event {
        /// When it happened.
        at: Moment,
        /// What it is.
        what: What,
    },
    /// Look the number up and answer with `Calls::identified`.
    Identify {
        /// For which call.
        call: CallKey,
        /// What to look up.
        number: Number,
    },
    /// Something that an agent's home shard keeps.
    Agent {
        /// Whose.
        agent: AgentId,
        /// What.
        note: AgentNote,
    },
    /// A callback was promised: tell its owner.
    Notify(Promise),
    /// The policy passes the call on to another trunk: the proxy's from now on.
    Pass(Box<Handover>),
}

/// A call that leaves this room without having ended.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Its key; the record goes on.
    pub call: CallKey,
    /// The INVITE's transaction, without a final answer.
    pub tx: ServerTx,
    /// The INVITE.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// The new Request-URI.
    pub uri: String,
    /// Where to.
    pub to: Flow,
    /// The trunk it came over and the one it goes out over: a place of each is held.
    pub trunks: Vec<Arc<Trunk>>,
}

/// What calls tell the home shard of an agent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentNote {
    /// Clause C4: a call rang to the end.
    Missed,
    /// Took a call: the row of missed ones is over.
    Took,
    /// Let it ring, refused it, or was busy: the pause is the person's own, whatever phone they register next
    /// (clause B10).
    TurnedDown {
        /// How long it is.
        pause: Duration,
    },
    /// This binding did not answer at all.
    Unreachable {
        /// Its key.
        binding: Arc<str>,
        /// Which registration of it; a newer one is not meant.
        epoch: u64,
    },
    /// A star code was dialled.
    StarCode(StarCode),
}

/// What a star code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StarCode {
    /// Begin to work.
    Login,
    /// Stop working.
    Logout,
    /// Not ready.
    Pause,
    /// Ready again.
    Resume,
    /// Wrap-up is done.
    WrapUpEnd,
}

/// A promised callback (clause B's last resort).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Promise {
    /// The call that was not answered.
    pub call: CallKey,
    /// Whom to call back.
    pub number: Option<Number>,
    /// Who is the client.
    pub client: Option<ClientRef>,
    /// Who must do it.
    pub owner: Option<PersonId>,
    /// Why nobody answered.
    pub why: Arc<str>,
    /// When it was promised.
    pub at: Timestamp,
}

impl ClientRef {
    /// What the register keeps of a client.
    pub fn of(id: ClientId, name: &Arc<str>) -> Self {
        Self { id, name: name.clone() }
    }
}
