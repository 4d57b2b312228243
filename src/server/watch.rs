//! Notices that a configuration file was saved.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file's times, length and identity: cheap to ask. An older file that was moved into its place has
/// another identity, whatever its times say.
type Stamp = Option<(SystemTime, i64, i64, u64, u64)>;

/// What the files were when they were last taken over or refused.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    stamps: BTreeMap<PathBuf, Stamp>,
    /// Stamps of the last look: a file that is still being written is left alone.
    seen: BTreeMap<PathBuf, Stamp>,
    hash: u64,
}

impl Watch {
    /// What they are now counts as known.
    pub(super) fn new(files: &[PathBuf]) -> Self {
        let files = files.to_vec();
        let stamps = stamps(&files);
        let hash = hash(&files);
        Self { seen: stamps.clone(), files, stamps, hash }
    }

    /// Something else stands there than before, and has done so for two looks. Said once.
    pub(super) fn changed(&mut self) -> bool {
        let now = stamps(&self.files);
        let settled = now == self.seen;
        self.seen = now.clone();
        if !settled || now == self.stamps {
            return false;
        }
        self.stamps = now;
        let hash = hash(&self.files);
        std::mem::replace(&mut self.hash, hash) != hash
    }
}

fn stamps(files: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.ctime(), meta.ctime_nsec(), meta.len(), meta.ino()))
}

fn hash(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| crate::config::bytes(file).ok().hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_is_news_once_and_a_touched_one_is_none() {
        let temp = tempfile::tempdir().expect("a folder");
        let file = temp.path().join("a.toml");
        std::fs::write(&file, "a = 1").expect("written");
        let mut watch = Watch::new(std::slice::from_ref(&file));
        assert!(!watch.changed());
        std::fs::write(&file, "a = 12").expect("written");
        assert!(!watch.changed(), "it may still be written");
        assert!(watch.changed());
        assert!(!watch.changed(), "said once");
        std::fs::write(&file, "a = 12").expect("written");
        assert!(!watch.changed());
        assert!(!watch.changed(), "the same text");
        let old = std::fs::metadata(&file).and_then(|m| m.modified()).expect("a time");
        let other = temp.path().join("b.toml");
        std::fs::write(&other, "b = 34").expect("written");
        let same_time = std::fs::File::options().write(true).open(&other).expect("there");
        same_time.set_modified(old).expect("set");
        std::fs::rename(&other, &file).expect("moved");
        assert!(!watch.changed());
        assert!(watch.changed(), "an editor moves the new file into the place of the old");
        std::fs::remove_file(&file).expect("removed");
        assert!(!watch.changed());
        assert!(watch.changed(), "gone is other, too");
    }
}
