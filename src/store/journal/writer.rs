//! The end of the journal at which one worker (or the shell) writes.
//!
//! ```text
//!            append: one write(2)                  the disk takes everything again
//!   ┌──────┐ ───────────────────► ┌──────┐ error ┌─────────┐ ────────────────────► sound
//!   │ sound│ ◄─────────────────── │ write│ ────► │ failing │   append: to the backlog,
//!   └──────┘        all taken     └──────┘       └─────────┘   a try each `RETRY_MS`
//! ```
//! Nothing here waits, and no error comes back: a call goes on whatever the disk says. What the disk
//! did not take stands in the backlog, in order, and follows when it can. No fsync: what was written
//! survives a killed process, not a power cut. One writer belongs to one worker (`&mut`); its clock
//! are the events' own times.

use std::borrow::Cow;
use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::backlog::{Backlog, Dropped};
use super::line;
use super::segment::Segment;
use super::sink::Sink;
use super::state::State;
use crate::switch::{Event, What};

/// A segment of this size asks to be left, bytes.
pub const SEGMENT_BYTES_MAX: u64 = 16 << 20;
/// What is kept in memory while the disk takes nothing, bytes.
pub const BACKLOG_BYTES_MAX: usize = 64 << 20;
/// What is written of the backlog in one turn, bytes: a turn must stay short.
const CATCH_UP_BYTES_MAX: usize = 1 << 20;
/// How long a failing disk is left alone, milliseconds of the events' clock.
const RETRY_MS: i64 = 200;

/// The bounds of a writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// A segment of this size asks to be left, bytes.
    pub segment_bytes_max: u64,
    /// What is kept in memory while the disk takes nothing, bytes.
    pub backlog_bytes_max: usize,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { segment_bytes_max: SEGMENT_BYTES_MAX, backlog_bytes_max: BACKLOG_BYTES_MAX }
    }
}

/// How a writer is, for `status`, metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The current file's name.
    pub segment: String,
    /// Its size, bytes.
    pub segment_bytes: u64,
    /// What the disk said last, while it does not take everything.
    pub failing: Option<String>,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// Lines that wait for the disk.
    pub backlog_lines: usize,
    /// The memory that they take, bytes.
    pub backlog_bytes: usize,
    /// What memory was too short for.
    pub dropped: Dropped,
    /// How often a new segment could not be begun.
    pub rotations_failed: u64,
}

#[derive(Debug)]
struct Failing {
    since: Timestamp,
    tried: Timestamp,
    why: io::Error,
}

/// One worker's end of the journal.
pub struct Writer {
    sink: Box<dyn Sink>,
    segment: Segment,
    /// The segment's file is there.
    begun: bool,
    segment_bytes: u64,
    rotate_at: u64,
    limits: WriterLimits,
    buffer: Vec<u8>,
    backlog: Backlog,
    failing: Option<Failing>,
    rotations_failed: u64,
}

impl Writer {
    /// Begins `segment` with a checkpoint of what was restored. If the disk refuses, the writer
    /// begins its life failing: `health` says so, and it goes on trying.
    pub fn begin(
        sink: Box<dyn Sink>,
        segment: Segment,
        limits: WriterLimits,
        at: Timestamp,
        checkpoint: &[Event],
    ) -> Self {
        let mut writer = Self {
            sink,
            segment,
            begun: false,
            segment_bytes: 0,
            rotate_at: limits.segment_bytes_max,
            limits,
            buffer: Vec::new(),
            backlog: Backlog::new(limits.backlog_bytes_max),
            failing: None,
            rotations_failed: 0,
        };
        if let Err(why) = writer.begin_segment() {
            writer.fail(at, why);
        }
        let held: Vec<_> = checkpoint.iter().map(Cow::Borrowed).collect();
        writer.checkpoint(at, &held);
        writer
    }

    /// Writes the events of one turn, in order. The outputs of the turn may leave when this returns.
    pub fn append(&mut self, events: &[Event]) {
        self.put(events.iter(), false);
    }

    fn put<'e>(&mut self, events: impl Iterator<Item = &'e Event> + Clone, fixed: bool) {
        let Some(now) = events.clone().last().map(|e| e.at) else { return };
        if !self.begun || !self.backlog.is_empty() {
            self.keep(events, 0, fixed);
            return self.flush(now);
        }
        self.buffer.clear();
        for event in events.clone() {
            line::encode(event, &mut self.buffer);
        }
        let (taken, error) = write_all(self.sink.as_mut(), &self.buffer);
        self.segment_bytes += taken as u64;
        if let Some(why) = error {
            self.keep(events, taken, fixed);
            self.fail(now, why);
        }
    }

    /// Tries to write what the disk did not take, at most 1 MiB of it. To be called about once a
    /// second while `health` shows a backlog, so that it goes away without new events too.
    pub fn flush(&mut self, now: Timestamp) {
        let resting = self
            .failing
            .as_ref()
            .is_some_and(|f| (now.as_millisecond() - f.tried.as_millisecond()).abs() < RETRY_MS);
        if resting || (self.begun && self.backlog.is_empty()) {
            return;
        }
        if !self.begun
            && let Err(why) = self.begin_segment()
        {
            return self.fail(now, why);
        }
        self.buffer.clear();
        self.backlog.oldest(CATCH_UP_BYTES_MAX, &mut self.buffer);
        let (taken, error) = write_all(self.sink.as_mut(), &self.buffer);
        self.segment_bytes += taken as u64;
        self.backlog.written(taken);
        match error {
            Some(why) => self.fail(now, why),
            None => self.recover(),
        }
    }

    /// The segment is large enough to be left, and the disk is well.
    pub fn wants_rotation(&self) -> bool {
        self.segment_bytes >= self.rotate_at && self.begun && self.backlog.is_empty()
    }

    /// Goes on in a new segment that begins with a checkpoint of `state`: what still holds of this
    /// worker's, each event with the time at which it first happened. Once the older segments are
    /// projected, nothing needs them. If a new file cannot be made, the old one goes on.
    pub fn rotate(&mut self, at: Timestamp, state: &State) {
        if !self.begun || !self.backlog.is_empty() {
            return;
        }
        let old = self.segment;
        self.segment.count += 1;
        if let Err(why) = self.begin_segment() {
            self.segment = old;
            self.rotations_failed += 1;
            self.rotate_at = self.segment_bytes + self.limits.segment_bytes_max / 8;
            tracing::warn!(segment = %old, %why, "journal: no new segment; the old one goes on");
            return;
        }
        self.checkpoint(at, &state.held());
    }

    /// How it is.
    pub fn health(&self) -> Health {
        Health {
            segment: self.segment.to_string(),
            segment_bytes: self.segment_bytes,
            failing: self.failing.as_ref().map(|f| f.why.to_string()),
            failing_since: self.failing.as_ref().map(|f| f.since),
            backlog_lines: self.backlog.len(),
            backlog_bytes: self.backlog.bytes(),
            dropped: self.backlog.dropped(),
            rotations_failed: self.rotations_failed,
        }
    }

    /// Everything given is on its way to the disk.
    pub fn is_sound(&self) -> bool {
        self.failing.is_none() && self.backlog.is_empty()
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.sink.begin(self.segment)?;
        self.begun = true;
        self.segment_bytes = 0;
        Ok(())
    }

    fn checkpoint(&mut self, at: Timestamp, held: &[Cow<'_, Event>]) {
        let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
        let head = Event { at, what: What::Checkpoint { events: count } };
        self.put(std::iter::once(&head).chain(held.iter().map(AsRef::as_ref)), true);
        // A state that fills a segment by itself must not be written again and again.
        self.rotate_at = self.limits.segment_bytes_max.max(2 * self.segment_bytes);
    }

    /// Keeps what the disk has not: all of `events` after their first `taken` bytes.
    fn keep<'e>(&mut self, events: impl Iterator<Item = &'e Event>, taken: usize, fixed: bool) {
        let before = self.backlog.dropped();
        let mut end = 0;
        let mut line = Vec::new();
        for event in events {
            line.clear();
            let begin = end;
            end += line::encode(event, &mut line);
            if end > taken {
                self.backlog.push(event, &line, taken.saturating_sub(begin), fixed);
            }
        }
        self.warn_of_drops(before);
    }

    fn warn_of_drops(&self, before: Dropped) {
        let now = self.backlog.dropped();
        let first = |before: u64, now: u64| before == 0 && now > 0;
        if first(before.explanations, now.explanations)
            || first(before.details, now.details)
            || first(before.records, now.records)
        {
            tracing::warn!(segment = %self.segment, dropped = ?now, "journal: memory is short");
        }
    }

    fn fail(&mut self, now: Timestamp, why: io::Error) {
        let since = match &self.failing {
            Some(failing) => failing.since,
            None => {
                tracing::warn!(segment = %self.segment, %why, "journal: kept in memory");
                now
            }
        };
        self.failing = Some(Failing { since, tried: now, why });
    }

    fn recover(&mut self) {
        if self.backlog.is_empty() && self.failing.take().is_some() {
            self.buffer = Vec::new();
            tracing::info!(segment = %self.segment, "journal: everything is written again");
        } else if let Some(failing) = &mut self.failing {
            // The next megabyte may follow at once.
            failing.tried = Timestamp::MIN;
        }
    }
}

/// One write(2), and what a short one left: how much was taken, and why not all.
fn write_all(sink: &mut dyn Sink, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match sink.write(&bytes[taken..]) {
            Ok(0) => return (taken, Some(io::ErrorKind::WriteZero.into())),
            Ok(n) => taken += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (taken, Some(e)),
        }
    }
    (taken, None)
}
