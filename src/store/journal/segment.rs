//! Names of the journal's files: `w00-1767225600-000000.log`.
//!
//! Source (`w00`: worker 0, `sh`: the shell), run (wall-clock seconds of the start, strictly growing
//! over restarts even if the clock goes back), and the count of segments within the run. The names
//! alone give the order in which to read: run, then source, then count.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::ShardId;

/// Whose events a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The shell's own: start, administration, callbacks.
    Shell,
    /// A worker's.
    Worker(ShardId),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell => f.write_str("sh"),
            Self::Worker(shard) => write!(f, "w{:02}", shard.0),
        }
    }
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "sh" => Some(Self::Shell),
            _ => text.strip_prefix('w')?.parse().ok().map(|n| Self::Worker(ShardId(n))),
        }
    }
}

/// One file of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Seconds since 1970 at the start, made unique: no two runs of one state folder share it.
    pub run: u32,
    /// Who writes it.
    pub source: Source,
    /// From 0 within run and source.
    pub count: u32,
}

impl Segment {
    /// From a file's name; `None` for every other file.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".log")?.splitn(3, '-');
        let source = Source::parse(parts.next()?)?;
        let run = parts.next()?.parse().ok()?;
        let count = parts.next()?.parse().ok()?;
        let segment = Self { run, source, count };
        (segment.to_string() == name).then_some(segment)
    }

    /// Its place in `dir`.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// All segments in `dir`, in the order in which to read them. A folder that is not there holds
    /// none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(dir: &Path) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(entry?.file_name().to_str().and_then(Self::parse));
        }
        found.sort();
        Ok(found)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:010}-{:06}.log", self.source, self.run, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_source_run_and_count() {
        let segment = Segment { run: 1_767_225_600, source: Source::Worker(ShardId(3)), count: 12 };
        assert_eq!(segment.to_string(), "w03-1767225600-000012.log");
        assert_eq!(Segment::parse("w03-1767225600-000012.log"), Some(segment));
        let shell = Segment { run: 7, source: Source::Shell, count: 0 };
        assert_eq!(Segment::parse(&shell.to_string()), Some(shell));
    }

    #[test]
    fn other_files_are_no_segments() {
        for name in
            ["run", "w03-1-2.log", "w03-1767225600-000012.log.torn", "x03-1767225600-000012.log"]
        {
            assert_eq!(Segment::parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_sort_by_run_before_source() {
        let a = Segment { run: 1, source: Source::Worker(ShardId(9)), count: 5 };
        let b = Segment { run: 2, source: Source::Shell, count: 0 };
        assert!(a < b);
    }
}
