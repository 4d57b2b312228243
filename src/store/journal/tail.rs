//! Reading: one segment line by line, also while it grows; and many segments as one sequence.
//!
//! ```text
//!   w00-…-0 ─ w00-…-1 ─┐
//!   w01-…-0 ───────────┤ earliest run, then earliest time ──► items
//!   sh-…-0 ────────────┘ (within one source: as written, whatever the clock did)
//! ```
//! A line without its newline is not there yet. A damaged line is an item of its own: whoever reads
//! counts it and goes on. Owns open files, so that a segment may be deleted while it is read.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::line::{self, Content, Head};
use super::segment::{Segment, Source};
use crate::switch::What;

/// How much is read at once, bytes. A longer line doubles it.
const CHUNK_BYTES: usize = 256 << 10;

/// One line as it was read.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it begins, bytes.
    pub offset: u64,
    /// Where the next one begins, bytes.
    pub end: u64,
    /// When it happened; `None` if it is damaged.
    pub at: Option<Timestamp>,
    /// The JSON as written; empty if damaged.
    pub json: String,
    /// It belongs to a checkpoint (or is its marker): it says again what other lines said before.
    pub repeated: bool,
    /// It tells a restart what holds, and the register nothing.
    pub state_only: bool,
}

impl Line {
    /// What it says.
    pub fn content(&self) -> Content {
        match Head::of(self.json.as_bytes()) {
            Some(head) => head.content(self.json.as_bytes()),
            None => Content::Damaged,
        }
    }

    /// When it happened, and its JSON read as a `T`, if it says where a call went and why.
    pub fn routed<'a, T: Deserialize<'a>>(&'a self) -> Option<(Timestamp, T)> {
        let json = self.json.as_bytes();
        let head = Head::of(json).filter(Head::is_routed)?;
        Some((head.at, serde_json::from_slice(json).ok()?))
    }
}

/// A place in a segment, and how much of a checkpoint is still to come there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Where the next line begins, bytes.
    pub offset: u64,
    /// How many lines from there repeat.
    pub repeats: u32,
}

/// One segment, read from a position on.
#[derive(Debug)]
pub struct Tail {
    file: File,
    buffer: Vec<u8>,
    used: usize,
    position: Position,
}

impl Tail {
    /// Opens `segment` at `position`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(dir: &Path, segment: Segment, position: Position) -> io::Result<Self> {
        let file = File::open(segment.path(dir))?;
        Ok(Self { file, buffer: Vec::new(), used: 0, position })
    }

    /// Where the next line begins.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next whole line; `None` while there is none.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut wanted = CHUNK_BYTES;
        let len = loop {
            if let Some(len) = memchr::memchr(b'\n', &self.buffer[self.used..]) {
                break len;
            }
            if !self.fill(wanted)? {
                return Ok(None);
            }
            wanted = self.buffer.len() * 2;
        };
        let bytes = &self.buffer[self.used..self.used + len];
        let json = line::json(bytes).and_then(|json| std::str::from_utf8(json).ok());
        let head = json.and_then(|json| Head::of(json.as_bytes()));
        let mut line = Line {
            offset: self.position.offset,
            end: self.position.offset + len as u64 + 1,
            at: head.as_ref().map(|head| head.at),
            json: head.as_ref().and(json).unwrap_or_default().to_owned(),
            repeated: self.position.repeats > 0,
            state_only: head.as_ref().is_some_and(Head::is_state_only),
        };
        self.used += len + 1;
        self.position.offset = line.end;
        self.position.repeats = self.position.repeats.saturating_sub(1);
        if head.is_some_and(|head| head.is_checkpoint())
            && let Content::Event(event) = line.content()
            && let What::Checkpoint { events } = event.what
        {
            self.position.repeats = events;
            line.repeated = true;
        }
        Ok(Some(line))
    }

    /// Reads on behind what is in the buffer; `false` if there is nothing new.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + wanted, 0);
        let read = loop {
            let from = self.position.offset + kept as u64;
            match self.file.read_at(&mut self.buffer[kept..], from) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

/// A line with its origin.
#[derive(Clone, Debug)]
pub struct Item {
    /// From which file.
    pub segment: Segment,
    /// When it happened; of a damaged line: when the one before it in its file did.
    pub at: Timestamp,
    /// The line.
    pub line: Line,
}

#[derive(Debug)]
struct Stream {
    segments: VecDeque<Segment>,
    current: Option<(Segment, Tail)>,
    head: Option<Item>,
    /// Never goes back, so that the merge keeps the order of the file.
    at: Timestamp,
    /// The newest segment that was added.
    newest: Option<u32>,
    /// There was nothing more when it was last asked.
    dry: bool,
}

impl Stream {
    fn fill(&mut self, dir: &Path) -> io::Result<()> {
        while self.head.is_none() && !self.dry {
            let Some((segment, tail)) = &mut self.current else {
                let Some(next) = self.segments.pop_front() else {
                    self.dry = true;
                    return Ok(());
                };
                match Tail::open(dir, next, Position::default()) {
                    Ok(tail) => self.current = Some((next, tail)),
                    // Projected and deleted meanwhile.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
                continue;
            };
            match tail.next_line()? {
                Some(line) => {
                    let at = line.at.map_or(self.at, |at| at.max(self.at));
                    // A checkpoint tells of the past: it must not wait for it.
                    self.at = if line.repeated { self.at } else { at };
                    self.head = Some(Item { segment: *segment, at: self.at, line });
                }
                // A writer leaves a segment only when all of it is written.
                None if self.segments.is_empty() => self.dry = true,
                None => self.current = None,
            }
        }
        Ok(())
    }
}

/// Many segments as one sequence.
#[derive(Debug)]
pub struct Merge {
    dir: PathBuf,
    streams: BTreeMap<(u32, Source), Stream>,
}

impl Merge {
    /// Nothing of `dir` yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), streams: BTreeMap::new() }
    }

    /// Adds a segment behind those of its run and source; one that was added before is left out.
    pub fn add(&mut self, segment: Segment) {
        if self.note(segment) {
            self.stream(segment).segments.push_back(segment);
        }
    }

    /// Leaves a segment, and those before it of its run and source, out.
    pub fn pass(&mut self, segment: Segment) {
        self.note(segment);
    }

    fn note(&mut self, segment: Segment) -> bool {
        let newest = &mut self.stream(segment).newest;
        let is_new = newest.is_none_or(|newest| newest < segment.count);
        if is_new {
            *newest = Some(segment.count);
        }
        is_new
    }

    fn stream(&mut self, segment: Segment) -> &mut Stream {
        self.streams.entry((segment.run, segment.source)).or_insert_with(|| Stream {
            segments: VecDeque::new(),
            current: None,
            head: None,
            at: Timestamp::MIN,
            newest: None,
            dry: false,
        })
    }

    /// Looks again for what was written since it gave `None`.
    pub fn refresh(&mut self) {
        for stream in self.streams.values_mut() {
            stream.dry = false;
        }
    }

    /// The next line of all; `None` while there is none.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        for stream in self.streams.values_mut() {
            stream.fill(&self.dir)?;
        }
        let earliest = self
            .streams
            .iter()
            .filter_map(|(key, stream)| Some(((key.0, stream.head.as_ref()?.at), *key)))
            .min();
        let Some((_, key)) = earliest else { return Ok(None) };
        Ok(self.streams.get_mut(&key).and_then(|s| s.head.take()))
    }
}
