//! The journal: what the workers decided, line by line, in append-only files. The truth about calls.
//!
//! `state/journal/` holds one file per worker and one for the shell, in segments:
//!
//! ```text
//!   run                        lock and last run's number
//!   sh-1767225600-000000.log   the shell: start, administration, callbacks
//!   w00-1767225600-000000.log  worker 0: checkpoint of what was restored, then its events
//!   w00-1767225600-000001.log  … too long: a new one, which begins with a checkpoint
//! ```
//! A line is a checksum and one event as JSON. A worker writes the events of a turn before the
//! turn's outputs leave. Who reads: the register's projector, `restore` at start, `events --follow`.
//!
//! A run is *complete* once the shell wrote `ServerStarted`: then every worker has written its
//! checkpoint, and no older run is needed for a restart. Nothing here knows SIP or the register.

mod backlog;
mod cut;
mod follow;
mod line;
mod prune;
mod restore;
mod segment;
mod sink;
mod state;
mod tail;
mod taken;
mod writer;

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use backlog::Dropped;
pub use cut::Cut;
pub use follow::{Begin, Followed, Follower};
pub use line::Content;
pub use prune::{JOURNAL_KEPT, Pruned, prune};
pub use restore::{Damage, Restored, needed, restore, restore_source};
pub use segment::{Segment, Source};
pub use sink::{Files, Sink};
pub use state::{AgentState, OpenCall, State};
pub use tail::{Item, Line, Merge, Position, Tail};
pub use writer::{BACKLOG_BYTES_MAX, Health, SEGMENT_BYTES_MAX, Writer, WriterLimits};

use crate::switch::{Event, What};

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum JournalError {
    /// Another server works in this state folder.
    InUse(PathBuf),
    /// The folder cannot be made, read or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(f, "{}: another server uses this journal", path.display()),
            Self::Io(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {}

/// The journal's folder, held by one server at a time.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    run: u32,
    last: u32,
    run_file: Held,
    cuts: Vec<Cut>,
    limits: WriterLimits,
}

/// Locked while this lives; the kernel unlocks it when a process dies. Unlocked by hand, for a child that
/// is being forked just then shares the lock until it is another program.
#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing unlocks as well, if nobody shares it.
        let _ = self.0.unlock();
    }
}

impl Journal {
    /// Takes the folder `dir` (made if it is not there) for a run that begins at `wall`, and cuts
    /// the torn tails of earlier runs.
    ///
    /// # Errors
    /// Another server holds the folder, or it cannot be read or written. A full disk is no error.
    pub fn open(dir: &Path, wall: Timestamp) -> Result<Self, JournalError> {
        let io = |e| JournalError::Io(dir.to_owned(), e);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let path = dir.join("run");
        let run_file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| JournalError::Io(path.clone(), e))?;
        match run_file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(JournalError::InUse(path)),
            Err(fs::TryLockError::Error(e)) => return Err(JournalError::Io(path, e)),
        }
        let run_file = Held(run_file);
        let cuts = cut::cut_torn_tails(dir).map_err(io)?;
        let seen = Segment::list(dir).map_err(io)?.last().map_or(0, |s| s.run);
        let mut journal = Self {
            dir: dir.to_owned(),
            run: 0,
            last: seen,
            run_file,
            cuts,
            limits: WriterLimits::default(),
        };
        journal.run = journal.mint(wall).map_err(|e| JournalError::Io(path, e))?;
        Ok(journal)
    }

    /// The same with other bounds for its writers.
    pub fn with_limits(self, limits: WriterLimits) -> Self {
        Self { limits, ..self }
    }

    /// This run's number: wall-clock seconds of the start, or more if that one was used. Also the
    /// `started` of the run's call keys.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was cut at the start.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// A number of seconds that no run and no call key ever began with: for the keys of a worker
    /// that is rebuilt within a run.
    ///
    /// # Errors
    /// It cannot be noted down; a full disk is no error.
    pub fn mint(&mut self, wall: Timestamp) -> io::Result<u32> {
        let mut text = String::new();
        self.run_file.0.rewind()?;
        // A run file that is no number counts as empty: the segments' names are a second witness.
        let _ = self.run_file.0.read_to_string(&mut text);
        let noted = text.trim().parse().unwrap_or(0u32).max(self.last);
        let next = u32::try_from(wall.as_second()).unwrap_or(0).max(noted.saturating_add(1));
        self.last = next;
        let note = |file: &mut File| {
            file.rewind()?;
            file.write_all(format!("{next:010}\n").as_bytes())
        };
        match note(&mut self.run_file.0) {
            Err(e) if !is_full(&e) => Err(e),
            _ => Ok(next),
        }
    }

    /// A writer for `source`, whose segment begins with `checkpoint`: its share of what was
    /// restored. A source has one writer at a time; a rebuilt worker's goes on with the next count.
    pub fn writer(&self, source: Source, at: Timestamp, checkpoint: &[Event]) -> Writer {
        let mine = |s: &Segment| s.run == self.run && s.source == source;
        let count = Segment::list(&self.dir)
            .ok()
            .and_then(|all| all.into_iter().filter(mine).map(|s| s.count + 1).max())
            .unwrap_or(0);
        let segment = Segment { run: self.run, source, count };
        let sink = Box::new(Files::new(self.dir.clone()));
        Writer::begin(sink, segment, self.limits, at, checkpoint)
    }
}

/// What the shell writes when every worker's writer has begun: the run is complete.
pub fn server_started(at: Timestamp) -> Event {
    Event { at, what: What::ServerStarted { version: env!("CARGO_PKG_VERSION").into() } }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_was_let_go_is_free_whoever_still_shares_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Journal::open(folder.path(), Timestamp::UNIX_EPOCH);
        let journal = open().expect("free");
        // As a child that is being forked does.
        let shared = journal.run_file.0.try_clone().expect("a handle");
        assert!(matches!(open(), Err(JournalError::InUse(_))));
        drop(journal);
        open().expect("free again");
        drop(shared);
    }
}
