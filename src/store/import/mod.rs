//! Files of other programs into `clients.db`: CSV and XLSX, checked before anything is written.
//!
//! ```text
//! file ─▶ text (encoding found) ─▶ rows ─▶ pass 1: every row parsed and checked ──▶ bad rows, by line
//!         or sheet                          pass 2: all good rows, one transaction ──▶ clients.db
//! ```
//! Pass 2 is kept only if pass 1 found nothing bad, or `skip_bad` is set, and never in a dry run; else it is
//! undone, and the report says what it would have done. A row
//! updates what its key names (clients: `code`, else `name`; people and departments: `id`; absences:
//! person and first day) and touches only the columns that the file has, so that a nightly file of
//! balances is `code;balance;overdue;overdue since`.

mod absences;
mod bar;
mod clients;
mod columns;
mod departments;
mod fields;
mod people;
mod rows;
mod sheet;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use rusqlite::{Connection, Transaction};
use serde::Serialize;

pub use bar::progress_bar;

use self::columns::{Cells, Column, Header};
use self::rows::{Row, Rows};
use super::db::WriteError;
use super::{Actor, ClientsDb, StoreError};
use crate::domain::NumberFormat;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Clients with their numbers.
    Clients,
    /// People with roles and, once, passwords.
    People,
    /// Departments with heads, calendars, regions.
    Departments,
    /// Absences with deputies (clause C1).
    Absences,
}

impl ImportKind {
    /// `clients`, `people`, `departments`, `absences`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::People => "people",
            Self::Departments => "departments",
            Self::Absences => "absences",
        }
    }

    /// From its name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Clients, Self::People, Self::Departments, Self::Absences];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Names of the columns that a file may have, in the order of the documentation.
    pub fn columns(self) -> Vec<&'static str> {
        self.specification().iter().map(|column| column.name).collect()
    }

    fn specification(self) -> &'static [Column] {
        match self {
            Self::Clients => clients::COLUMNS,
            Self::People => people::COLUMNS,
            Self::Departments => departments::COLUMNS,
            Self::Absences => absences::COLUMNS,
        }
    }
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions<'a> {
    /// Who imports, and when; balances are as of then unless the file says so.
    pub actor: Actor<'a>,
    /// How the file writes numbers without a country code.
    pub numbers: &'a NumberFormat,
    /// The digest realm of people's passwords.
    pub realm: &'a str,
    /// The calendars that departments may have; none: whatever they say.
    pub calendars: &'a [std::sync::Arc<str>],
    /// What `today-12` counts from.
    pub today: Date,
    /// Say what is bad and what would be done; change nothing.
    pub dry_run: bool,
    /// Import the good rows although there are bad ones.
    pub skip_bad: bool,
    /// Leave out columns that are not known, instead of refusing the file.
    pub skip_unknown_columns: bool,
}

/// A row that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Line of the file, from 1; row of a sheet.
    pub line: u64,
    /// Everything that is wrong with it.
    pub reason: String,
}

/// What an import found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// What the file holds.
    pub kind: ImportKind,
    /// Rows in it, without header and empty ones.
    pub rows: u64,
    /// Good rows that are new; if nothing was written: would be.
    pub added: u64,
    /// Good rows that changed something; if nothing was written: would change something.
    pub changed: u64,
    /// Good rows that are in the database as the file has them.
    pub unchanged: u64,
    /// Every row that cannot be taken.
    pub bad: Vec<BadRow>,
    /// Numbers that several clients have (clause A1); in a dry run, only those of this file.
    pub shared_numbers: Vec<String>,
    /// What a person should know: the encoding, names that nobody has.
    pub notes: Vec<String>,
    /// Something was written: not a dry run, and nothing bad or `skip_bad`.
    pub written: bool,
}

/// How far an import is: bytes of a text, rows of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows are being checked (first pass) or written (second).
    pub writing: bool,
    /// Done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Reads `file` into `db`. Progress is told every thousand rows. Errors: a file that cannot be read as
/// a table of this kind (the text says why), or a database that cannot be written. Bad rows are no
/// error: they are in the report, and `written` is false because of them.
pub fn import(
    db: &mut ClientsDb,
    kind: ImportKind,
    file: &Path,
    options: ImportOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, StoreError> {
    let rows = Rows::open(file, kind.specification())?;
    let (header, mut notes) = rows.header(kind, options.skip_unknown_columns)?;
    notes.splice(0..0, rows.notes().iter().cloned());
    let mut run = Run { kind, header, rows, options, progress };
    match kind {
        ImportKind::Clients => run.carry_out::<clients::ClientRows>(db, notes),
        ImportKind::People => run.carry_out::<people::PersonRows>(db, notes),
        ImportKind::Departments => run.carry_out::<departments::DepartmentRows>(db, notes),
        ImportKind::Absences => run.carry_out::<absences::AbsenceRows>(db, notes),
    }
}

/// Reads `people.csv`, `departments.csv`, `absences.csv` and `clients.csv` of `folder`, those that are
/// there, in the order in which they refer to each other.
pub fn import_folder(
    db: &mut ClientsDb,
    folder: &Path,
    options: ImportOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<ImportReport>, StoreError> {
    let order =
        [ImportKind::People, ImportKind::Departments, ImportKind::Absences, ImportKind::Clients];
    let mut reports = Vec::new();
    for kind in order {
        let file = folder.join(format!("{}.csv", kind.as_str()));
        if file.exists() {
            reports.push(import(db, kind, &file, options, progress)?);
        }
    }
    Ok(reports)
}

/// What one row did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Added,
    Changed,
    Nothing,
}

/// One kind of file: rows parsed, checked against the others and the database, written.
trait Table: Sized {
    /// A parsed row.
    type Row;

    /// Begins a file with this header.
    fn new(header: &Header) -> Self;

    /// The row, if it can be named; adds everything that is wrong with its own cells.
    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<Self::Row>;

    /// Against the rows before it and the database. Adds to what was `wrong` with its cells; a row that is
    /// bad already is none that later rows collide with.
    fn check(
        &mut self,
        line: u64,
        row: &Self::Row,
        db: &Connection,
        notes: &mut Notes,
        wrong: &mut Vec<String>,
    ) -> Result<(), WriteError>;

    /// Writes one row that was checked.
    fn write(
        &self,
        row: &Self::Row,
        tx: &Transaction<'_>,
        options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError>;

    /// After the last row: what could not be seen before, and rows that are bad because of it.
    fn finish(&mut self, _db: &Connection, _notes: &mut Notes) -> rusqlite::Result<Vec<BadRow>> {
        Ok(Vec::new())
    }

    /// What several rows share and a person should look at.
    fn shared(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Names that nobody has, each with its first line and how often.
#[derive(Debug, Default)]
struct Notes(BTreeMap<String, (u64, u64)>);

impl Notes {
    fn add(&mut self, line: u64, what: String) {
        self.0.entry(what).or_insert((line, 0)).1 += 1;
    }

    /// In the order of lines.
    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let mut notes: Vec<_> = self.0.iter().collect();
        notes.sort_by_key(|(_, (line, _))| *line);
        notes.into_iter().map(|(what, (line, count))| match count {
            1 => format!("line {line}: {what}"),
            _ => format!("line {line} and {} more: {what}", count - 1),
        })
    }
}

struct Run<'a> {
    kind: ImportKind,
    header: Header,
    rows: Rows,
    options: ImportOptions<'a>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Run<'_> {
    fn carry_out<T: Table>(
        &mut self,
        db: &mut ClientsDb,
        notes: Vec<String>,
    ) -> Result<ImportReport, StoreError> {
        let mut report = self.check::<T>(db, notes)?;
        let refused = !report.bad.is_empty() && !self.options.skip_bad;
        let writes = !self.options.dry_run && !refused;
        let bad: std::collections::HashSet<u64> = report.bad.iter().map(|b| b.line).collect();
        match self.write::<T>(db, &bad, writes) {
            Ok((added, changed)) => {
                let unchanged = report.rows - bad.len() as u64 - added - changed;
                (report.added, report.changed, report.unchanged) = (added, changed, unchanged);
            }
            // A bad row may be what a good one waits for: the bad ones are to be told.
            Err(StoreError::Refused(why)) if refused => report.notes.push(why),
            Err(error) => return Err(error),
        }
        report.written = writes;
        if !writes {
            return Ok(report);
        }
        if self.kind == ImportKind::Clients {
            let shared = db.shared_numbers()?;
            report.shared_numbers = shared.iter().map(ToString::to_string).collect();
        }
        Ok(report)
    }

    fn check<T: Table>(
        &mut self,
        db: &ClientsDb,
        notes: Vec<String>,
    ) -> Result<ImportReport, StoreError> {
        let mut table = T::new(&self.header);
        let mut names = Notes::default();
        let (mut rows, mut bad) = (0, Vec::new());
        for row in self.rows.iter() {
            rows += 1;
            if rows % 1_000 == 0 {
                (self.progress)(row.progress(false));
            }
            let line = row.line;
            let (parsed, mut wrong) = parse(&self.header, &table, &row, &self.options);
            let checked = parsed
                .map(|parsed| table.check(line, &parsed, db.connection(), &mut names, &mut wrong));
            let whole = match checked.transpose() {
                Ok(checked) => checked.is_some(),
                Err(WriteError::Refused(why)) => {
                    wrong.push(why);
                    false
                }
                Err(WriteError::Sql(e)) => return Err(db.sql(&e)),
            };
            if !whole || !wrong.is_empty() {
                bad.push(BadRow { line, reason: wrong.join("; ") });
            }
        }
        bad.extend(table.finish(db.connection(), &mut names).map_err(|e| db.sql(&e))?);
        bad.sort_by_key(|row| row.line);
        let notes = notes.into_iter().chain(names.lines()).collect();
        Ok(ImportReport {
            kind: self.kind,
            rows,
            added: 0,
            changed: 0,
            unchanged: 0,
            bad,
            shared_numbers: table.shared(),
            notes,
            written: false,
        })
    }

    /// How many rows are added and changed; undone unless `keep`.
    fn write<T: Table>(
        &mut self,
        db: &mut ClientsDb,
        bad: &std::collections::HashSet<u64>,
        keep: bool,
    ) -> Result<(u64, u64), StoreError> {
        let table = T::new(&self.header);
        let (header, options, kind) = (&self.header, &self.options, self.kind);
        let (rows, progress) = (&self.rows, &mut self.progress);
        let work = |tx: &Transaction<'_>| {
            let (mut added, mut changed) = (0, 0);
            for (count, row) in rows.iter().enumerate() {
                if count % 1_000 == 0 {
                    progress(row.progress(true));
                }
                if bad.contains(&row.line) {
                    continue;
                }
                let (parsed, wrong) = parse(header, &table, &row, options);
                let parsed = parsed.filter(|_| wrong.is_empty());
                let parsed = parsed.ok_or_else(|| at_line(row.line, wrong.join("; ")))?;
                let done = table.write(&parsed, tx, options).map_err(|e| match e {
                    WriteError::Refused(why) => at_line(row.line, why),
                    other => other,
                })?;
                match done {
                    Written::Added => added += 1,
                    Written::Changed => changed += 1,
                    Written::Nothing => {}
                }
            }
            let detail = format!("{}: {added} added, {changed} changed", kind.as_str());
            options.actor.record(tx, "import", &detail)?;
            Ok((added, changed))
        };
        if keep { db.write(work) } else { db.try_out(work) }
    }
}

/// A row, if it can be named, and everything that is wrong with its cells.
fn parse<T: Table>(
    header: &Header,
    table: &T,
    row: &Row,
    options: &ImportOptions<'_>,
) -> (Option<T::Row>, Vec<String>) {
    let mut wrong = Vec::new();
    let parsed = match header.cells(row) {
        Ok(cells) => table.parse(&cells, options, &mut wrong),
        Err(reasons) => {
            wrong = reasons;
            None
        }
    };
    (parsed, wrong)
}

/// `None`: refused, and said so among what is wrong.
fn noted<T>(
    result: Result<T, WriteError>,
    wrong: &mut Vec<String>,
) -> Result<Option<T>, WriteError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(WriteError::Refused(why)) => {
            wrong.push(why);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

fn at_line(line: u64, why: String) -> WriteError {
    WriteError::Refused(format!("line {line}: {why}; nothing was imported"))
}
