//! The call register, `register.db`: one record for every call, a projection of the journal.
//!
//! ```text
//!   journal/*.log ──► Projector::step ──► BEGIN; rows; (file, offset); COMMIT ──► calls · show
//! ```
//! Rows and the place up to which the journal was read are written in one transaction: each line
//! counts once, wherever a kill strikes. Nothing else writes here, so that a missing, locked or broken
//! register costs nobody a call: the journal waits, and the projector tries again.
//!
//! Owns the file. Knows no SIP, no policy and no running call: what is not in the journal is not here.

mod apply;
mod project;
mod query;
mod replay;
mod schema;
mod story;
mod table;
mod text;

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use apply::word;

pub use project::{LINES_MAX, Progress, Projector};
pub use query::{CALLS_LISTED, CallFilter, CallRow};
pub(super) use query::{client, moment, number};
pub use replay::PastDecision;
pub use story::{CallStory, OfferRow, PolicyText, StepRow};
pub use table::{table, table_within};
pub use text::{callbacks_table, calls_table, story_text};

use super::db::{begin_private, make_private, open_to_read};
use super::{StoreError, migrate};

/// How long a statement waits for another program's lock, milliseconds. Only the store's thread and
/// the command line ever wait.
const BUSY_MS: u64 = 250;
/// Pages that a writer keeps in memory, KiB; SQLite's own measure is 2,000.
const CACHE_KIB: i64 = 8_000;
/// The register's file takes over its WAL at this length, pages of 4 KiB.
const CHECKPOINT_PAGES: i64 = 4_000;

/// The register, opened.
#[derive(Debug)]
pub struct Register {
    pub(super) db: Connection,
    file: PathBuf,
}

impl Register {
    /// Opens `file` to write, made and brought to this version's schema if need be.
    ///
    /// # Errors
    /// As [`StoreError`] sorts them; the file is left as it was.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        Self::open_to_write(file).map_err(StoreError::of_register)
    }

    fn open_to_write(file: &Path) -> Result<Self, StoreError> {
        let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
        // SQLite gives its other files the same mode.
        begin_private(file)?;
        let mut db = Connection::open(file).map_err(sql)?;
        db.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(sql)?;
        db.pragma_update(None, "journal_mode", "wal").map_err(sql)?;
        // A power cut may take the last batch; its offsets go with it, and the journal has it still.
        db.pragma_update(None, "synchronous", "normal").map_err(sql)?;
        // A batch fits into memory, and pages that many calls touch are carried over less often.
        db.pragma_update(None, "cache_size", -CACHE_KIB).map_err(sql)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(sql)?;
        db.set_prepared_statement_cache_capacity(64);
        migrate(&mut db, file, schema::APPLICATION, schema::STEPS)?;
        Ok(Self { db, file: file.to_owned() })
    }

    /// Opens `file` to look at, also while a server writes it.
    ///
    /// # Errors
    /// There is no such file, it is no register, or one of another version.
    pub fn read(file: &Path) -> Result<Self, StoreError> {
        let known = schema::STEPS.len() as i64;
        let version = |db: &Connection| migrate::version(db, file, schema::APPLICATION, known);
        let db = open_to_read(file, Duration::from_millis(BUSY_MS), version)
            .map_err(StoreError::of_register)?;
        let found = version(&db).map_err(StoreError::of_register)?;
        if found < known {
            let file = file.display();
            return Err(StoreError::refused(format!(
                "{file}: schema version {found} is older than this program's {known}; \
                 the server brings it forward when it starts"
            )));
        }
        Ok(Self { db, file: file.to_owned() })
    }

    /// Where it stands.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Copies the whole register, as of now, to `target`, which must not be there yet. Calls and
    /// the projector go on meanwhile.
    ///
    /// # Errors
    /// The target exists or cannot be written.
    pub fn backup(&self, target: &Path) -> Result<(), StoreError> {
        // SQLite takes a file's name as the system does: as bytes.
        let name = ToSqlOutput::Borrowed(ValueRef::Text(target.as_os_str().as_bytes()));
        make_private(File::options().write(true).create_new(true), target)?;
        self.db.execute("VACUUM INTO ?1", [name]).map(drop).map_err(|e| {
            // Half a copy helps nobody.
            let _ = std::fs::remove_file(target);
            StoreError::sql(target, &e)
        })
    }

    /// Puts everything that was committed into the main file and onto the disk: before segments of
    /// the journal are deleted that hold it too.
    ///
    /// # Errors
    /// A reader holds an older state, or the disk is full: nothing may be deleted then.
    pub fn make_durable(&self) -> Result<(), StoreError> {
        let busy: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|e| self.sql(e))?;
        if busy != 0 { Err(StoreError::Locked { file: self.file.clone() }) } else { Ok(()) }
    }

    pub(super) fn sql(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(&self.file, &error).of_register()
    }
}
