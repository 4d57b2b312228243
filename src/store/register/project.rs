//! The projector: reads the journal from where it stopped and writes the register.
//!
//! ```text
//!   step: open? ─ no, or another file stands there ─► open, migrate
//!         BEGIN IMMEDIATE; positions; lines → rows; positions; COMMIT
//!         error ─► rolled back, closed; the next step begins again
//! ```
//! Runs on the store's thread. Owns its connection; several projectors (a server and a command line)
//! take turns by SQLite's lock, and read the positions under it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use super::Register;
use super::apply::{apply, routed};
use crate::store::StoreError;
use crate::store::journal::{Content, Line, Position, Pruned, Segment, Tail, prune};

/// Lines that one step takes, so that a reader's lock is never held off for long.
pub const LINES_MAX: u64 = 20_000;

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Lines read.
    pub lines: u64,
    /// Of them: events taken into the register, repetitions included; not dialogs and bindings.
    pub events: u64,
    /// Of them: damaged ones, noted in the register.
    pub damaged: u64,
    /// Of them: of a newer version, noted in the register.
    pub unknown: u64,
    /// There is more: the next step may follow at once.
    pub more: bool,
}

/// Keeps the register up to date with the journal.
#[derive(Debug)]
pub struct Projector {
    file: PathBuf,
    journal: PathBuf,
    open: Option<(Register, (u64, u64))>,
    lines_max: u64,
}

impl Projector {
    /// From the journal's folder to the register `file`. Touches neither yet.
    pub fn new(file: &Path, journal: &Path) -> Self {
        let (file, journal) = (file.to_owned(), journal.to_owned());
        Self { file, journal, open: None, lines_max: LINES_MAX }
    }

    /// The same with another bound of lines in one step (from 1).
    pub fn with_lines_max(self, lines_max: u64) -> Self {
        Self { lines_max: lines_max.max(1), ..self }
    }

    /// Another bound of lines from the next step on (from 1).
    pub fn set_lines_max(&mut self, lines_max: u64) {
        self.lines_max = lines_max.max(1);
    }

    /// Takes over what was written to the journal since, at most a bounded number of lines.
    ///
    /// # Errors
    /// The register or the journal cannot be used now: nothing was changed, try again later.
    pub fn step(&mut self) -> Result<Progress, StoreError> {
        let step = self.try_step();
        if step.is_err() {
            self.open = None;
        }
        step
    }

    /// Steps until nothing is left.
    ///
    /// # Errors
    /// As `step`.
    pub fn catch_up(&mut self) -> Result<Progress, StoreError> {
        let mut sum = Progress::default();
        loop {
            let step = self.step()?;
            sum.lines += step.lines;
            sum.events += step.events;
            sum.damaged += step.damaged;
            sum.unknown += step.unknown;
            if !step.more {
                return Ok(sum);
            }
        }
    }

    /// Deletes segments of the journal that are in the register, older than `keep`, and not needed
    /// for a restart.
    ///
    /// # Errors
    /// The register cannot be made durable, or the folder not be changed.
    pub fn prune(&mut self, keep: Duration, now: SystemTime) -> Result<Pruned, StoreError> {
        let journal = self.journal.clone();
        let register = self.register()?;
        register.make_durable()?;
        let positions = positions(&register.db).map_err(|e| register.sql(e))?;
        let projected = positions.into_iter().map(|(s, p)| (s, p.offset)).collect();
        let pruned =
            prune(&journal, &projected, keep, now).map_err(|e| StoreError::io(&journal, &e))?;
        let left = Segment::list(&journal).map_err(|e| StoreError::io(&journal, &e))?;
        for segment in projected.keys().filter(|s| left.binary_search(s).is_err()) {
            register
                .db
                .execute("DELETE FROM positions WHERE segment = ?1", [segment.to_string()])
                .map_err(|e| register.sql(e))?;
        }
        Ok(pruned)
    }

    /// The register, opened (again if another file took its place).
    fn register(&mut self) -> Result<&mut Register, StoreError> {
        let there = identity(&self.file);
        if self.open.as_ref().map(|(_, opened)| *opened) != there {
            self.open = None;
        }
        let (register, opened) = match self.open.take() {
            Some(open) => open,
            None => {
                let register = Register::open(&self.file)?;
                (register, identity(&self.file).unwrap_or_default())
            }
        };
        Ok(&mut self.open.insert((register, opened)).0)
    }

    fn try_step(&mut self) -> Result<Progress, StoreError> {
        let (journal, lines_max) = (self.journal.clone(), self.lines_max);
        let register = self.register()?;
        let file = register.file.clone();
        let sql = |e: rusqlite::Error| StoreError::sql(&file, &e).of_register();
        let read = |e: std::io::Error| StoreError::io(&journal, &e);
        let segments = Segment::list(&journal).map_err(read)?;
        let tx =
            register.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let positions = positions(&tx).map_err(sql)?;
        let mut progress = Progress::default();
        for segment in segments {
            let from = positions.get(&segment).copied().unwrap_or_default();
            let Some(mut tail) = open_tail(&journal, segment, from).map_err(read)? else {
                continue;
            };
            while progress.lines < lines_max
                && let Some(line) = tail.next_line().map_err(read)?
            {
                progress.lines += 1;
                if !line.state_only {
                    progress.take(&tx, segment, &line).map_err(sql)?;
                }
            }
            if tail.position() != from {
                keep_position(&tx, segment, tail.position()).map_err(sql)?;
            }
            progress.more = progress.lines >= lines_max;
            if progress.more {
                break;
            }
        }
        tx.commit().map_err(sql)?;
        Ok(progress)
    }
}

impl Progress {
    fn take(&mut self, db: &Connection, segment: Segment, line: &Line) -> rusqlite::Result<()> {
        if let Some((at, decision)) = line.routed() {
            self.events += 1;
            return routed(db, at, &decision, segment.run, line.repeated);
        }
        let why = match line.content() {
            Content::Event(event) => {
                self.events += 1;
                return apply(db, &event, segment.run, line.repeated);
            }
            Content::Damaged => {
                self.damaged += 1;
                "damaged"
            }
            Content::Unknown => {
                self.unknown += 1;
                "unknown event"
            }
        };
        let offset = line.offset;
        tracing::warn!(%segment, offset, why, "register: a line of the journal is lost");
        db.execute(
            "INSERT OR IGNORE INTO damage (segment, offset, bytes, why) VALUES (?1, ?2, ?3, ?4)",
            params![segment.to_string(), offset as i64, (line.end - offset) as i64, why],
        )
        .map(drop)
    }
}

/// The segment at `from`, or nothing if it has no more than that.
fn open_tail(dir: &Path, segment: Segment, from: Position) -> std::io::Result<Option<Tail>> {
    match fs::metadata(segment.path(dir)) {
        Ok(meta) if meta.len() <= from.offset => Ok(None),
        Ok(_) => Tail::open(dir, segment, from).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn positions(db: &Connection) -> rusqlite::Result<BTreeMap<Segment, Position>> {
    let mut sql = db.prepare_cached("SELECT segment, offset, repeats FROM positions")?;
    let rows = sql.query_map([], |row| {
        let (offset, repeats): (i64, u32) = (row.get(1)?, row.get(2)?);
        let position = Position { offset: offset.max(0) as u64, repeats };
        Ok((Segment::parse(&row.get::<_, String>(0)?), position))
    })?;
    let mut found = BTreeMap::new();
    for row in rows {
        if let (Some(segment), position) = row? {
            found.insert(segment, position);
        }
    }
    Ok(found)
}

fn keep_position(db: &Connection, segment: Segment, at: Position) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO positions (segment, offset, repeats) VALUES (?1, ?2, ?3)
         ON CONFLICT (segment) DO UPDATE SET offset = excluded.offset, repeats = excluded.repeats",
    )?
    .execute(params![segment.to_string(), at.offset as i64, at.repeats])
    .map(drop)
}

/// Which file stands under that name.
fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|meta| (meta.dev(), meta.ino()))
}
