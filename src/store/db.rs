//! The file `clients.db`: opened, created, copied.
//!
//! Owns the connection for commands and imports; the follower has its own, so that a long import
//! never delays it. Every command states who gave it: a row in `audit`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use serde::Serialize;

use super::{StoreError, migrate, schema};

/// A command waits so long for another program's lock before it says so.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The client database, open for commands.
#[derive(Debug)]
pub struct ClientsDb {
    file: PathBuf,
    connection: Connection,
}

/// One line of the record of commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Ascending, never reused.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What kind of thing: `absence`, `client`, `password`, `import`.
    pub what: String,
    /// In words.
    pub detail: String,
}

impl ClientsDb {
    /// Opens `file`, creating it or moving it to today's schema. Errors: another program's database, a
    /// newer version, a damaged, locked or read-only file.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
        if file != Path::new(":memory:") {
            // SQLite gives its other files the same mode. An existing file keeps the mode that it has:
            // a CRM may have been let in.
            begin_private(file)?;
        }
        let mut connection = Connection::open(file).map_err(sql)?;
        connection.busy_timeout(LOCK_WAIT).map_err(sql)?;
        // Asked first: WAL must not be switched on in a stranger's file.
        migrate::version(&connection, file, schema::APPLICATION, schema::STEPS.len() as i64)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
        migrate::migrate(&mut connection, file, schema::APPLICATION, schema::STEPS)?;
        schema::ensure_triggers(&connection).map_err(sql)?;
        Ok(Self { file: file.to_path_buf(), connection })
    }

    /// Opens an existing `file` for reading only; nothing is created or migrated.
    pub fn open_read_only(file: &Path) -> Result<Self, StoreError> {
        let ours = |connection: &Connection| {
            migrate::version(connection, file, schema::APPLICATION, schema::STEPS.len() as i64)
        };
        let connection = open_to_read(file, LOCK_WAIT, ours)?;
        Ok(Self { file: file.to_path_buf(), connection })
    }

    /// Which file this is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A consistent copy in `to`, which is written anew; others go on writing meanwhile. The copy
    /// appears under its name only when it is whole.
    pub fn backup_to(&self, to: &Path) -> Result<(), StoreError> {
        copy_database(&self.connection, &self.file, to)
    }

    /// The last `limit` commands, newest first.
    pub fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let text = "SELECT seq, at, by, what, detail FROM audit ORDER BY seq DESC LIMIT ?1";
        let rows = self.connection.prepare_cached(text).and_then(|mut query| {
            let rows = query.query_map([limit], |row| {
                Ok(AuditRow {
                    seq: row.get(0)?,
                    at: super::rows::instant(&row.get::<_, String>(1)?).unwrap_or_default(),
                    by: row.get(2)?,
                    what: row.get(3)?,
                    detail: row.get(4)?,
                })
            })?;
            rows.collect()
        });
        rows.map_err(|e| self.sql(&e))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn sql(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::sql(&self.file, error)
    }

    /// Runs `work` in one transaction that takes the write lock first; an error undoes all of it.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.transaction(work, true)
    }

    /// The same, and undoes all of it: what would be done is known, nothing is changed.
    pub(super) fn try_out<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.transaction(work, false)
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
        keep: bool,
    ) -> Result<T, StoreError> {
        let file = &self.file;
        let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
        let begin = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = begin.map_err(sql)?;
        let done = work(&tx).map_err(|error| match error {
            WriteError::Sql(e) => sql(e),
            WriteError::Refused(why) => StoreError::Refused(why),
        })?;
        let ended = if keep { tx.commit() } else { tx.rollback() };
        ended.map_err(sql)?;
        Ok(done)
    }
}

/// Why a transaction is undone.
#[derive(Debug)]
pub(super) enum WriteError {
    /// SQLite says so.
    Sql(rusqlite::Error),
    /// We say so.
    Refused(String),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Who does something, and when: goes into the audit with every change.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// A name that people know: the system's user, a person's id, `import`.
    pub by: &'a str,
    /// Now.
    pub at: Timestamp,
}

impl Actor<'_> {
    pub(super) fn record(
        &self,
        tx: &Transaction<'_>,
        what: &str,
        detail: &str,
    ) -> rusqlite::Result<()> {
        let text = "INSERT INTO audit (at, by, what, detail) VALUES (?1, ?2, ?3, ?4)";
        let at = super::rows::instant_text(self.at);
        tx.prepare_cached(text)?.execute((at, self.by, what, detail)).map(|_| ())
    }
}

/// Opens `file` for reading; `ours` looks whether it is what it should be. Where SQLite cannot put its
/// other files beside it, as it lies.
pub(super) fn open_to_read(
    file: &Path,
    lock_wait: Duration,
    ours: impl Fn(&Connection) -> Result<i64, StoreError>,
) -> Result<Connection, StoreError> {
    let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(sql)?;
    connection.busy_timeout(lock_wait).map_err(sql)?;
    let Err(error) = ours(&connection) else { return Ok(connection) };
    let lying = open_as_it_lies(file, &error).filter(|lying| ours(lying).is_ok());
    lying.ok_or(error)
}

/// A WAL database is read with two more files beside it, which a full disk or a read-only folder does
/// not take: `error` says so. What lies there is whole if nobody has left changes in a WAL.
pub(super) fn open_as_it_lies(file: &Path, error: &StoreError) -> Option<Connection> {
    use StoreError::{Full, Missing, ReadOnly, Sql};
    if !matches!(error, Full { .. } | Missing { .. } | ReadOnly { .. } | Sql { .. }) {
        return None;
    }
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return None;
    }
    let escaped = file.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).ok()
}

/// Copies the database behind `from` (named `file` in errors) to `to`, whole or not at all.
pub(super) fn copy_database(from: &Connection, file: &Path, to: &Path) -> Result<(), StoreError> {
    let part = to.with_extension("part");
    let _ = std::fs::remove_file(&part);
    let copied = copy_pages(from, file, &part);
    if let Err(error) = copied {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, to).map_err(|e| StoreError::io(to, &e))
}

fn copy_pages(from: &Connection, file: &Path, part: &Path) -> Result<(), StoreError> {
    let there = |e: rusqlite::Error| StoreError::sql(part, &e);
    let mut target = Connection::open(part).map_err(there)?;
    {
        let backup = Backup::new(from, &mut target).map_err(there)?;
        // All pages in one step: in steps, every write of another program begins the copy anew.
        match backup.step(-1).map_err(|e| StoreError::sql(file, &e))? {
            StepResult::Done => {}
            _ => return Err(StoreError::Locked { file: file.to_path_buf() }),
        }
    }
    // One file, not three: the copy is not followed by a WAL of its own.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(there)?;
    target.close().map_err(|(_, e)| there(e))
}

/// Makes an empty database for its owner's eyes, if there is none. One that is there is not touched:
/// closing any handle to it would drop the locks that SQLite holds in this process.
pub(super) fn begin_private(file: &Path) -> Result<(), StoreError> {
    match file.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => make_private(File::options().append(true).create(true), file),
    }
}

/// Makes a file that only its owner may read (clause D6).
pub(super) fn make_private(options: &mut OpenOptions, file: &Path) -> Result<(), StoreError> {
    match options.mode(0o600).open(file) {
        Ok(_) => Ok(()),
        // Whoever may only read it hears from SQLite what that means.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::refused(format!("{}: is there already", file.display())))
        }
        Err(e) => Err(StoreError::io(file, &e)),
    }
}
