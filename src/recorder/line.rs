//! The lines of a recording's file: one JSON object each, the head first, the end last.
//!
//! ```text
//!   recording   version, workers, secrets of the file, whose panic ended it
//!   settings, policy, directory   each once, by number; a later one before the input that brings it
//!   begin       one for each worker, its `held` lines behind it: what the journal would restore
//!   fed · sent · said   what each worker was given, sent and wrote, in the order of time
//!   mark        how people stood then
//!   end         how many lines came before, and how many are lacking
//! ```

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    AgentId, CallKey, Client, Credentials, DirectoryRecord, Flow, PersonId, Settings,
};
use crate::policy::IndexState;
use crate::switch::{Command, Event, Mail};

/// Files of another version are refused.
pub const VERSION: u32 = 2;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The first.
    Recording(Head),
    /// In force from a `begin` or a `fed` on that names `n`.
    Settings {
        /// Its number.
        n: usize,
        /// By value.
        value: Box<Settings>,
    },
    /// The same for a policy.
    Policy {
        /// Its number.
        n: usize,
        /// `policy.toml`, without comments.
        policy: String,
        /// `calendars.toml`, without comments.
        calendars: String,
    },
    /// The same for people.
    Directory {
        /// Its number.
        n: usize,
        /// Places, roles, departments, absences.
        record: Box<DirectoryRecord>,
        /// What passwords are kept as.
        credentials: Vec<(AgentId, Credentials)>,
        /// The text of its calendars is this policy's.
        policy: usize,
    },
    /// A worker at its first entry.
    Begin(Box<BeginLine>),
    /// What the journal would restore of worker `w`.
    Held {
        /// Which worker.
        w: u8,
        /// As in the journal.
        event: Box<Event>,
    },
    /// A worker was given this.
    Fed {
        /// Which worker.
        w: u8,
        /// When, µs since the start of the server.
        at: u64,
        /// What.
        input: Box<Fed>,
    },
    /// A worker sent this.
    Sent {
        /// Which worker.
        w: u8,
        /// When.
        at: u64,
        /// Where to.
        flow: Flow,
        /// The message.
        text: String,
    },
    /// A worker wrote this to its journal.
    Said {
        /// Which worker.
        w: u8,
        /// When.
        at: u64,
        /// What.
        event: Box<Event>,
    },
    /// How people stood on the board then, each as in [`BeginLine::stood`].
    Mark {
        /// Who looked.
        w: u8,
        /// When.
        at: u64,
        /// Everybody who has stood.
        stood: Vec<(AgentId, u64, u64, u64)>,
    },
    /// The last.
    End {
        /// Before this one.
        lines: usize,
        /// That had no text and are lacking.
        unwritten: usize,
    },
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`VERSION`].
    pub version: u32,
    /// The program's.
    pub program: Arc<str>,
    /// When it was written.
    pub at: Timestamp,
    /// How many workers.
    pub shards: u16,
    /// Leads Call-IDs to workers in this file: not the server's.
    pub hash_key: [u8; 16],
    /// Seals nonces in this file: not the server's.
    pub nonce_key: [u8; 32],
    /// The worker whose last `fed` line ended in a panic.
    pub panicked: Option<u8>,
}

/// See [`Line::Begin`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginLine {
    /// Which worker.
    pub w: u8,
    /// When.
    pub at: u64,
    /// Its run.
    pub started: u32,
    /// By number.
    pub settings: usize,
    /// By number.
    pub policy: usize,
    /// By number.
    pub directory: usize,
    /// What the wall clock says at `at`.
    pub wall: Timestamp,
    /// It drains, until then.
    pub drain_until: Option<u64>,
    /// How people stood on the board: place, idle since, calls, talk in µs.
    pub stood: Vec<(AgentId, u64, u64, u64)>,
}

/// An input.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fed {
    /// A turn begins.
    Wake,
    /// A message.
    Packet {
        /// Where it came from.
        flow: Flow,
        /// When the socket gave it.
        received: u64,
        /// The message.
        text: String,
    },
    /// A stream ended.
    FlowClosed(Flow),
    /// Bytes could not be sent.
    SendFailed(Flow),
    /// Who calls.
    Identified {
        /// Which call asked.
        call: CallKey,
        /// Clause A1's choice.
        client: Option<Box<Client>>,
        /// Others with the same number.
        others: Vec<Client>,
        /// How fresh.
        index: IndexState,
    },
    /// From another worker, or from itself.
    Mail(Mail),
    /// A command.
    Command(Command),
    /// A person's phones are to be told something.
    Tell(PersonId),
    /// Of a promised callback; older recordings say [`Fed::Tell`] of these too.
    TellPromise(PersonId),
    /// People, by number.
    Directory(usize),
    /// What people did before the start: calls, talk in µs.
    Worked(Vec<(PersonId, u64, u64)>),
    /// By number.
    Policy(usize),
    /// By number.
    Settings(usize),
    /// What the wall clock says now.
    Wall(Timestamp),
    /// To drain until then.
    Drain(u64),
}
