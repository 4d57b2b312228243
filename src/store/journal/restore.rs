//! What a server that starts takes over from the ones before it, and which files it needs for that.
//!
//! ```text
//!  run 7 (complete)   run 8 (complete)   run 9 (died while starting)
//!  ── not read ──     ── the base ──     ── all of it, on top ──
//!                     each source from its last whole checkpoint on
//! ```
//! A run is complete when the shell's `ServerStarted` stands in it: every worker had written its
//! checkpoint by then. Segments that are not needed and are projected may be deleted ([`prune`]).
//!
//! [`prune`]: super::prune

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::line::Content;
use super::segment::{Segment, Source};
use super::state::State;
use super::tail::{Merge, Position, Tail};
use crate::switch::What;

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// In which file.
    pub segment: String,
    /// Where it begins, bytes.
    pub offset: u64,
    /// How long it is, bytes.
    pub bytes: u64,
}

/// What was taken over.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Restored {
    /// Open calls, bindings, agents.
    #[serde(flatten)]
    pub state: State,
    /// Lines that could not be read: what they said is lost.
    pub damaged: Vec<Damage>,
    /// Lines of a newer version, passed over.
    pub unknown: u64,
    /// Lines read.
    pub lines: u64,
}

/// Reads what still holds in the journal `dir`: after `Journal::open`, before the first writer.
///
/// # Errors
/// A segment cannot be read.
pub fn restore(dir: &Path) -> io::Result<Restored> {
    fold(dir, needed(dir, &Segment::list(dir)?)?)
}

/// Reads what still holds of one source within `run`: for a worker that is rebuilt.
///
/// # Errors
/// A segment cannot be read.
pub fn restore_source(dir: &Path, run: u32, source: Source) -> io::Result<Restored> {
    let mut mine = Segment::list(dir)?;
    mine.retain(|s| s.run == run && s.source == source);
    fold(dir, from_last_checkpoint(dir, &mine)?)
}

/// The segments of `all` that a restart needs.
///
/// # Errors
/// A segment cannot be read.
pub fn needed(dir: &Path, all: &[Segment]) -> io::Result<Vec<Segment>> {
    let mut runs: Vec<u32> = all.iter().map(|s| s.run).collect();
    runs.dedup();
    let mut base = runs.first().copied();
    for run in runs.into_iter().rev() {
        if is_complete(dir, all, run)? {
            base = Some(run);
            break;
        }
    }
    let Some(base) = base else { return Ok(Vec::new()) };
    let mut by_source: BTreeMap<Source, Vec<Segment>> = BTreeMap::new();
    for segment in all.iter().filter(|s| s.run == base) {
        by_source.entry(segment.source).or_default().push(*segment);
    }
    let mut found = Vec::new();
    for (source, segments) in by_source {
        match source {
            // They say that the run is complete.
            Source::Shell => found.extend(segments),
            Source::Worker(_) => found.extend(from_last_checkpoint(dir, &segments)?),
        }
    }
    found.extend(all.iter().filter(|s| s.run > base));
    Ok(found)
}

fn from_last_checkpoint(dir: &Path, segments: &[Segment]) -> io::Result<Vec<Segment>> {
    for (i, segment) in segments.iter().enumerate().rev() {
        if has_whole_checkpoint(dir, *segment)? {
            return Ok(segments[i..].to_vec());
        }
    }
    Ok(segments.to_vec())
}

fn has_whole_checkpoint(dir: &Path, segment: Segment) -> io::Result<bool> {
    let mut tail = Tail::open(dir, segment, Position::default())?;
    while let Some(line) = tail.next_line()? {
        if !line.repeated || line.at.is_none() {
            return Ok(false);
        }
        if tail.position().repeats == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_complete(dir: &Path, all: &[Segment], run: u32) -> io::Result<bool> {
    for segment in all.iter().filter(|s| s.run == run && s.source == Source::Shell) {
        let mut tail = Tail::open(dir, *segment, Position::default())?;
        while let Some(line) = tail.next_line()? {
            if let Content::Event(event) = line.content()
                && matches!(event.what, What::ServerStarted { .. })
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn fold(dir: &Path, segments: Vec<Segment>) -> io::Result<Restored> {
    let mut restored = Restored::default();
    let mut merge = Merge::new(dir);
    for segment in segments {
        merge.add(segment);
    }
    while let Some(item) = merge.next_item()? {
        restored.lines += 1;
        match item.line.content() {
            Content::Event(event) => restored.state.apply(&event),
            Content::Unknown => restored.unknown += 1,
            Content::Damaged => {
                let damage = Damage {
                    segment: item.segment.to_string(),
                    offset: item.line.offset,
                    bytes: item.line.end - item.line.offset,
                };
                tracing::warn!(?damage, "journal: a line is damaged");
                restored.damaged.push(damage);
            }
        }
    }
    Ok(restored)
}
