//! `events --follow`: every event once, over all segments, in the order of time as far as it is
//! known: what one step finds is sorted, what comes later comes later.
//!
//! A polling step, no thread and no clock of its own. What a checkpoint repeats is left out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::segment::{Segment, Source};
use super::tail::Merge;

/// How many events are passed over at once when beginning with what is to come.
const PASS_AT_ONCE: usize = 10_000;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest segment that is still there.
    Oldest,
    /// With the first event at or after this time.
    At(Timestamp),
    /// With what is written from now on.
    Now,
}

/// One event as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Who wrote it.
    pub source: Source,
    /// When it happened.
    pub at: Timestamp,
    /// The event as JSON on one line, also of kinds that this version does not know.
    pub json: String,
}

/// Follows a journal that others write.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    merge: Merge,
    since: Timestamp,
    damaged: u64,
}

impl Follower {
    /// Follows the journal `dir`. A folder that is not there yet is an empty one.
    ///
    /// # Errors
    /// The folder or a segment cannot be read.
    pub fn new(dir: &Path, begin: Begin) -> io::Result<Self> {
        let since = match begin {
            Begin::At(at) => at,
            Begin::Oldest | Begin::Now => Timestamp::MIN,
        };
        let merge = Merge::new(dir);
        let mut follower = Self { dir: dir.to_owned(), merge, since, damaged: 0 };
        let all = Segment::list(dir)?;
        let newest: BTreeMap<_, _> = all.iter().map(|s| ((s.run, s.source), *s)).collect();
        for segment in all {
            let is_past = match begin {
                Begin::Oldest => false,
                Begin::At(at) => changed(dir, segment).is_some_and(|changed| changed < at),
                Begin::Now => newest[&(segment.run, segment.source)] != segment,
            };
            if is_past {
                follower.merge.pass(segment);
            }
        }
        if begin == Begin::Now {
            while !follower.step(PASS_AT_ONCE)?.is_empty() {}
        }
        Ok(follower)
    }

    /// At most `max` further events; none when everything written so far was given.
    ///
    /// # Errors
    /// The folder or a segment cannot be read; the next step tries again.
    pub fn step(&mut self, max: usize) -> io::Result<Vec<Followed>> {
        for segment in Segment::list(&self.dir)? {
            self.merge.add(segment);
        }
        self.merge.refresh();
        let mut found = Vec::new();
        while found.len() < max
            && let Some(item) = self.merge.next_item()?
        {
            if item.line.at.is_none() {
                self.damaged += 1;
            } else if !item.line.repeated && item.at >= self.since {
                let (source, at, json) = (item.segment.source, item.at, item.line.json);
                found.push(Followed { source, at, json });
            }
        }
        Ok(found)
    }

    /// Lines that could not be read so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

fn changed(dir: &Path, segment: Segment) -> Option<Timestamp> {
    segment.path(dir).metadata().ok()?.modified().ok()?.try_into().ok()
}
