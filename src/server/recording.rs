//! Recordings of the workers → files: after a panic by itself, else for whoever asks.
//!
//! A thread of its own writes what panics leave, so that nothing else waits for it. It may be asked for one
//! file while it writes another; what comes beyond that is only logged: a worker that panics again and
//! again tells the same story.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::folder::{Keys, random};
use crate::domain::ShardId;
use crate::recorder::{Fresh, Secrets, Source, Taken, write};
use crate::worker::{Clock, Inbox};

/// A worker that has not given its recording by then stands still, and is left out.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Panics within so short a time leave one file.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// How the files of panics end.
const FILE_END: &str = ".jsonl";

/// What recordings are made of.
pub(super) struct Parts {
    pub(super) inboxes: Vec<Arc<Inbox>>,
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    /// Where panics leave their files.
    pub(super) folder: PathBuf,
    pub(super) files_max: usize,
}

/// See the module.
pub(super) struct Recordings {
    parts: Arc<Parts>,
    panics: SyncSender<(ShardId, Taken)>,
}

impl Recordings {
    /// Begins the thread. Errors: the system has none left.
    pub(super) fn begin(parts: Parts) -> io::Result<Self> {
        let (panics, taken) = sync_channel(1);
        let parts = Arc::new(parts);
        let writing = parts.clone();
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || writing.write_until_closed(&taken))?;
        Ok(Self { parts, panics })
    }

    /// A worker panicked; this is what it was fed.
    pub(super) fn panicked(&self, from: ShardId, fed: Taken) {
        if self.panics.try_send((from, fed)).is_err() {
            tracing::warn!(worker = from.0, "its recording is dropped: another is being written");
        }
    }

    /// The recordings of all workers as one text. Errors: in words.
    pub(super) fn save(&self) -> Result<String, String> {
        self.parts.text(self.parts.collect(None), None)
    }
}

impl Parts {
    fn write_until_closed(&self, panics: &Receiver<(ShardId, Taken)>) {
        let mut last: Option<Instant> = None;
        while let Ok((from, fed)) = panics.recv() {
            if last.is_some_and(|at| at.elapsed() < PAUSE_MIN) {
                tracing::warn!(worker = from.0, "no recording is kept: one has just been written");
                continue;
            }
            last = Some(Instant::now());
            // A fault of the recorder's must not end it: the next panic may be another.
            let kept = catch_unwind(AssertUnwindSafe(|| self.keep(from, fed)));
            match kept.unwrap_or_else(|_| Err("see the panic in the log".to_owned())) {
                Ok(file) => {
                    let file = file.display();
                    tracing::error!(worker = from.0, %file, "what the worker was fed is kept");
                }
                Err(why) => {
                    tracing::error!(worker = from.0, why, "what the worker was fed is not kept");
                }
            }
        }
    }

    fn keep(&self, from: ShardId, fed: Taken) -> Result<PathBuf, String> {
        let mut taken = self.collect(Some(from));
        taken.push(fed);
        let text = self.text(taken, Some(from))?;
        let wrong = |e: io::Error| format!("{}: {e}", self.folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(wrong)?;
        let at = self.clock.wall().strftime("%Y%m%dT%H%M%S%.3fZ");
        let file = self.folder.join(format!("{at}-worker-{}{FILE_END}", from.0));
        create(&file, &text).map_err(wrong)?;
        prune(&self.folder, self.files_max).map_err(wrong)?;
        Ok(file)
    }

    /// Of every worker but `without`.
    fn collect(&self, without: Option<ShardId>) -> Vec<Taken> {
        let (asked, given) = channel();
        for (shard, inbox) in (0..).map(ShardId).zip(&self.inboxes) {
            if Some(shard) != without {
                // Who is asked by too many already is left out.
                let _ = inbox.ask_recording(asked.clone());
            }
        }
        drop(asked);
        let end = Instant::now() + ANSWER_MAX;
        let left = || end.saturating_duration_since(Instant::now());
        std::iter::from_fn(|| given.recv_timeout(left()).ok()).map(|(_, taken)| taken).collect()
    }

    fn text(&self, taken: Vec<Taken>, panicked: Option<ShardId>) -> Result<String, String> {
        let fresh = || -> io::Result<Fresh> {
            Ok(Fresh { key: random()?, hash: random()?, nonce: random()? })
        };
        let fresh = fresh().map_err(|e| format!("randomness: {e}"))?;
        let secrets = Secrets {
            shards: self.inboxes.len() as u16,
            hash: self.keys.hash,
            nonce: self.keys.nonce,
        };
        write(taken, &Source { secrets, at: self.clock.wall(), panicked }, fresh)
    }
}

/// A new file that only its owner reads; nothing is left of half a one.
fn create(file: &Path, text: &str) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(text.as_bytes()).inspect_err(|_| {
        // Half a file would only be in the way.
        let _ = fs::remove_file(file);
    })
}

/// The newest `max` stay: their names begin with the time.
fn prune(folder: &Path, max: usize) -> io::Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(FILE_END))
        .collect();
    files.sort();
    let old = files.len().saturating_sub(max);
    files[..old].iter().try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go_and_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["3-b.jsonl", "1-a.jsonl", "2-c.jsonl", "0-note.txt"] {
            create(&folder.path().join(name), "x").expect("new");
        }
        prune(folder.path(), 2).expect("pruned");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        assert_eq!(left, ["0-note.txt", "2-c.jsonl", "3-b.jsonl"]);
    }

    #[test]
    fn a_file_is_private_and_never_written_over() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("one.jsonl");
        create(&file, "first").expect("new");
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(create(&file, "second").is_err());
        assert_eq!(fs::read_to_string(&file).expect("readable"), "first");
    }
}
