//! One thread per worker: it turns inputs into turns of the core, and the core's outputs into deeds.
//!
//! ```text
//!        ┌──────────────────────────── panic: counted, built anew ────────────────────────────┐
//!        ▼                                                                                     │
//!   Wake (bells, timers) ─► up to 64 inputs ─► journal: one write ─► outputs leave ─► sleep ───┘
//!        ▲     each drained to None                                     until bell or deadline │
//!        └─────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Owns the clock ([`Clock`]), the inboxes ([`Inbox`]) and the threads. Knows no socket and no file:
//! what leaves goes through [`Outside`], what happened through the journal's writer.
// The shell: the place for threads and the clock.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod clock;
mod inbox;
mod turn;

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
pub use clock::Clock;
pub use inbox::{Asked, Full, Inbox, Outlet};

use crate::domain::{CallKey, Flow, Moment, Number, ShardId};
use crate::recorder::{Recording, Taken};
use crate::store::journal::{Health, State, Writer};
use crate::switch::{Event, Identified, Input, Mail, Output, Promise, Refusal};

/// What a worker turns: the switch, or a stand-in in tests. The drain rule is `switch`'s.
pub trait Core {
    /// Exactly one mutation.
    fn handle(&mut self, now: Moment, input: Input);
    /// What came of it; until `None`.
    fn poll_output(&mut self) -> Option<Output>;
    /// When `Input::Wake` is wanted at the latest.
    fn poll_timeout(&self) -> Moment;
}

/// How long one turn took, and what of it was not the worker's own work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// From waking up to the last output.
    pub took: Duration,
    /// Of it, writing the journal.
    pub journal: Duration,
    /// Before it: how much later than asked the worker was woken.
    pub late: Duration,
}

/// Callers notice a worker that does nothing for so long.
const STILL_MIN: Duration = Duration::from_millis(500);

impl Turn {
    /// The disk, the system or the work itself held the worker up for half a second or more.
    pub fn stood_still(&self) -> bool {
        self.took.max(self.late) >= STILL_MIN
    }
}

/// Where a worker's outputs go. Called from the worker's thread: nothing here may wait.
pub trait Outside: Send + Sync {
    /// Sends bytes; a failure comes back as `Input::SendFailed` to `from`.
    fn send(&self, from: ShardId, flow: Flow, bytes: Bytes);
    /// Who has this number; from memory.
    fn identify(&self, call: CallKey, number: Option<&Number>) -> Identified;
    /// To another worker.
    fn mail(&self, to: ShardId, mail: Mail);
    /// To whoever gave the command.
    fn reply(&self, from: ShardId, id: u64, answer: Result<serde_json::Value, Refusal>);
    /// The owner of a promise must hear of it.
    fn notify(&self, from: ShardId, promise: Promise);
    /// These events are in the journal now.
    fn recorded(&self, from: ShardId, events: &[Event]);
    /// One turn is over.
    fn turned(&self, from: ShardId, turn: Turn);
    /// About once a second: how its end of the journal is.
    fn journal(&self, from: ShardId, health: Health);
    /// The core panicked and is built anew; what it was fed last, if that was recorded.
    fn panicked(&self, from: ShardId, fed: Option<Taken>);
}

/// How often a core is built for the same worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// At the start of the server.
    First,
    /// After a panic: from the journal, as after a restart.
    Again,
}

/// A core with its end of the journal.
pub struct Built {
    /// What turns.
    pub core: Box<dyn Core>,
    /// Where it writes.
    pub writer: Writer,
    /// What holds at the writer's begin: with every event since, the head of its next segment.
    pub state: State,
    /// Keeps what the core is fed, from now on.
    pub recording: Option<Recording>,
}

/// Builds a core on the worker's thread.
pub type Build = Box<dyn FnMut(Life) -> Built + Send>;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<()>,
    stop: Arc<OnceLock<()>>,
    inbox: Arc<Inbox>,
}

impl Worker {
    /// Begins to turn what `build` makes. Errors: the system has no thread left.
    pub fn begin(
        shard: ShardId,
        clock: Clock,
        (inbox, outlet): (Arc<Inbox>, Outlet),
        outside: Arc<dyn Outside>,
        build: Build,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(OnceLock::new());
        let mut turning = turn::Turning::new(shard, clock, outlet, outside, build, stop.clone());
        let bell = inbox.clone();
        let thread =
            std::thread::Builder::new().name(format!("worker-{}", shard.0)).spawn(move || {
                bell.belongs_to(std::thread::current());
                turning.run();
            })?;
        Ok(Self { thread, stop, inbox })
    }

    /// It still turns.
    pub fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Finishes the turn and ends the thread.
    pub fn stop(self) {
        // Nobody else sets it: `stop` takes the worker.
        let _ = self.stop.set(());
        self.inbox.wake();
        // A panic that got so far has been told by the hook.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests;
