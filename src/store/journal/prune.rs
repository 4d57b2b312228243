//! Deletes segments that nobody needs any more: projected to their end, older than wished, and not
//! needed for a restart. At the register's disposal; the newest of each source always stays.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::restore::needed;
use super::segment::Segment;

/// What is in the register stays in the journal so long, for `events` and for repair.
pub const JOURNAL_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Files.
    pub segments: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Files that are old enough and not projected yet: the register is behind, or broken.
    pub held_back: u64,
}

/// Deletes from `dir` what is older than `keep` (by the file's last change), of which `projected`
/// (bytes by segment) says that all is in the register, and which a restart does not need.
///
/// # Errors
/// The folder cannot be read, or a file not be deleted; what was deleted is gone.
pub fn prune(
    dir: &Path,
    projected: &BTreeMap<Segment, u64>,
    keep: Duration,
    now: SystemTime,
) -> io::Result<Pruned> {
    let all = Segment::list(dir)?;
    let needed = needed(dir, &all)?;
    let newest: BTreeMap<_, _> = all.iter().map(|s| ((s.run, s.source), s.count)).collect();
    let last_run = all.last().map(|s| s.run);
    let mut pruned = Pruned::default();
    for segment in &all {
        let is_newest = newest.get(&(segment.run, segment.source)) == Some(&segment.count);
        if needed.contains(segment) || (is_newest && Some(segment.run) == last_run) {
            continue;
        }
        let path = segment.path(dir);
        let file = fs::metadata(&path)?;
        let age = now.duration_since(file.modified()?).unwrap_or_default();
        if age < keep {
            continue;
        }
        if projected.get(segment).is_none_or(|offset| *offset < file.len()) {
            pruned.held_back += 1;
            continue;
        }
        fs::remove_file(&path)?;
        // Most have none.
        let _ = fs::remove_file(dir.join(format!("{segment}.torn")));
        pruned.segments += 1;
        pruned.bytes += file.len();
    }
    Ok(pruned)
}
