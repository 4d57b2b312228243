//! The follower: keeps the index and the directory's rows equal to `clients.db`, whoever writes it.
//!
//! ```text
//!            opened, everything read
//!   Away ─────────────────────────────▶ Following ──┐ data_version moved: read the changed rows
//!    ▲                                     │   ▲    │ (a gap in the changes, or a trigger dropped
//!    └──── gone, replaced, damaged ◀───────┘   └────┘  by somebody: read everything, put the differences)
//! ```
//! A locked file is no reason to leave `Following`: the next poll asks again. Meanwhile the index goes
//! on serving and its state says since when it is old. Everything is read in chunks of short
//! transactions: a writer of a file that is not in WAL mode never waits long for us.
//!
//! Owns its connection, which it never writes through.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::db::open_as_it_lies;
use super::index::{IndexWriter, Reading};
use super::rows::{CLIENT_COLUMNS, ClientReader};
use super::{ClientIndex, ClientsDb, StoreError, migrate, people, schema};
use crate::domain::{ClientId, DirectoryRows, NumberFormat};

/// How often the shell calls [`Follower::follow_once`].
pub const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How long the index serves while the database is away, unless set otherwise.
pub const INDEX_STALE_MAX: Duration = Duration::from_secs(15 * 60);

/// A reading waits so long for a lock before it leaves it to the next poll.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// Rows read in one transaction.
const CHUNK: usize = 5_000;

/// Every SQLite file begins so.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Unreadable rows that are remembered; more are only counted until the next full reading.
const BAD_ROWS_MAX: usize = 1_000;

/// Unreadable rows that the status shows.
const BAD_ROWS_SHOWN: usize = 10;

/// What rows mean that other programs have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowOptions {
    /// How numbers without a country code are read.
    pub numbers: NumberFormat,
    /// The digest realm; a password kept for another one does not count.
    pub realm: Arc<str>,
}

/// What one poll did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Nothing has changed.
    Unchanged,
    /// Everything was read.
    Loaded {
        /// Rows of clients.
        clients: usize,
    },
    /// Only what had changed was read.
    Changed {
        /// Rows of clients.
        clients: usize,
        /// People, departments or absences too.
        directory: bool,
    },
    /// The file cannot be read now; the index keeps what it has.
    Away {
        /// Who is at fault and what is next.
        why: Arc<str>,
    },
}

/// Told of every change of people, departments and absences, and of the first reading. Calendars are
/// not the database's: that field is empty.
pub type OnDirectory = Box<dyn FnMut(DirectoryRows) + Send>;

/// Reads `clients.db` whenever it has changed.
pub struct Follower {
    file: PathBuf,
    options: FollowOptions,
    writer: IndexWriter,
    on_directory: OnDirectory,
    open: Option<Open>,
    reader: ClientReader,
    reading: Reading,
    bad: BTreeMap<i64, Arc<str>>,
    directory: Option<(Date, DirectoryRows)>,
}

/// The file as it is open now.
struct Open {
    connection: Connection,
    /// For the header. Closed after the connection and never before: closing any handle of the file
    /// gives up the locks that this process has on it.
    file: Option<File>,
    identity: Identity,
    data_version: i64,
    schema_version: i64,
    seq: i64,
    has_triggers: bool,
}

/// Tells a file from another one under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Follower {
    /// A follower of `file`, which may not be there yet, and the index that it fills. `stale_max`: how
    /// long the index serves while the file is away.
    pub fn new(
        file: &Path,
        options: FollowOptions,
        stale_max: Duration,
        on_directory: OnDirectory,
    ) -> (Follower, Arc<ClientIndex>) {
        let (index, writer) = ClientIndex::new(stale_max);
        let follower = Follower {
            file: file.to_path_buf(),
            reader: ClientReader::new(options.numbers.clone()),
            options,
            writer,
            on_directory,
            open: None,
            reading: Reading::default(),
            bad: BTreeMap::new(),
            directory: None,
        };
        (follower, index)
    }

    /// Other options (reload): everything is read anew under them at the next poll.
    pub fn set_options(&mut self, options: FollowOptions) {
        if self.options != options {
            self.reader = ClientReader::new(options.numbers.clone());
            self.options = options;
            self.open = None;
        }
    }

    /// One poll. Costs a file status, its first bytes and one number if nothing has changed. Never panics; an error is
    /// in the answer, in the index's state, and in the log when it begins.
    pub fn follow_once(&mut self, now: Timestamp) -> Followed {
        let step = self.step(now);
        let step = step.unwrap_or_else(|error| {
            // After anything but a lock the connection says nothing that can be relied on.
            if !matches!(error, StoreError::Locked { .. }) {
                self.open = None;
            }
            Followed::Away { why: error.to_string().into() }
        });
        match &step {
            Followed::Away { why } if self.reading.problem.as_ref() != Some(why) => {
                tracing::warn!(%why, "clients cannot be read; the index keeps what it has");
                self.reading.problem = Some(why.clone());
            }
            Followed::Away { .. } => {}
            _ => {
                if self.reading.problem.take().is_some() {
                    tracing::info!("clients can be read again");
                }
                self.reading.last_read = Some(now);
            }
        }
        self.reading.bad_rows = self.bad.len();
        self.reading.bad_rows_shown = self.bad.values().take(BAD_ROWS_SHOWN).cloned().collect();
        self.writer.report(self.reading.clone());
        step
    }

    fn step(&mut self, now: Timestamp) -> Result<Followed, StoreError> {
        let identity = identify(&self.file)?;
        let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
        match self.open.take() {
            Some(open) if open.identity == identity => self.follow(open, today),
            _ => match open(&self.file, identity) {
                Ok(open) => self.load(open, today),
                Err(error) => {
                    self.load_as_it_lies(identity, &error, now, today);
                    Err(error)
                }
            },
        }
    }

    fn follow(&mut self, mut open: Open, today: Date) -> Result<Followed, StoreError> {
        let followed = self.follow_open(&mut open, today);
        self.open = Some(open);
        followed
    }

    fn load(&mut self, mut open: Open, today: Date) -> Result<Followed, StoreError> {
        let loaded = self.read_everything(&mut open, today)?;
        self.open = Some(open);
        Ok(loaded)
    }

    /// A start on a full disk: nothing can be followed, but what lies there can be read once, so that
    /// callers and people are known. The index counts as old from `now` on.
    fn load_as_it_lies(
        &mut self,
        identity: Identity,
        error: &StoreError,
        now: Timestamp,
        today: Date,
    ) {
        if self.directory.is_some() {
            return;
        }
        let Some(connection) = open_as_it_lies(&self.file, error) else { return };
        let (data_version, schema_version, seq, has_triggers) = (-1, 0, 0, false);
        let file = None;
        let mut open =
            Open { connection, file, identity, data_version, schema_version, seq, has_triggers };
        if is_todays(&open.connection, &self.file) && self.read_everything(&mut open, today).is_ok()
        {
            self.reading.last_read = Some(now);
        }
    }

    fn follow_open(&mut self, open: &mut Open, today: Date) -> Result<Followed, StoreError> {
        let file = self.file.clone();
        // A change that SQLite has not made does not move `data_version`.
        if open.file.as_ref().is_some_and(is_overwritten) {
            let why = "file is not a database".to_owned();
            return Err(StoreError::Broken { file, why });
        }
        let sql = |e: rusqlite::Error| StoreError::sql(&file, &e);
        // Read before the changes: what comes in between is seen again next time.
        let data_version = pragma(&open.connection, "data_version").map_err(sql)?;
        if data_version == open.data_version {
            let new_day = self.directory.as_ref().is_none_or(|(day, _)| *day != today);
            if new_day {
                self.read_directory(&open.connection, today).map_err(sql)?;
            }
            return Ok(Followed::Unchanged);
        }
        let schema_version = pragma(&open.connection, "schema_version").map_err(sql)?;
        let refound = schema_version != open.schema_version;
        if refound {
            open.has_triggers = repaired(&open.connection, &self.file)?;
            open.schema_version = pragma(&open.connection, "schema_version").map_err(sql)?;
        }
        if refound || !open.has_triggers || missed_some(&open.connection, open.seq).map_err(sql)? {
            return self.read_everything(open, today);
        }
        let (mut clients, mut directory) = (0, false);
        loop {
            let chunk = changes(&open.connection, open.seq).map_err(sql)?;
            clients += self.read_changed(&open.connection, &chunk.clients).map_err(sql)?;
            directory |= chunk.directory;
            if directory {
                self.read_directory(&open.connection, today).map_err(sql)?;
            }
            open.seq = chunk.seq;
            if !chunk.more {
                open.data_version = data_version;
                return Ok(Followed::Changed { clients, directory });
            }
        }
    }

    fn read_changed(
        &mut self,
        connection: &Connection,
        ids: &BTreeSet<i64>,
    ) -> rusqlite::Result<usize> {
        let text = format!("SELECT {CLIENT_COLUMNS} FROM clients c WHERE c.id = ?1");
        let mut query = connection.prepare_cached(&text)?;
        for id in ids {
            let reader = &mut self.reader;
            match query.query_row([id], |row| reader.read(row)).optional()? {
                Some((client, fault)) => {
                    self.note(*id, fault);
                    self.writer.put(client);
                }
                None => {
                    self.bad.remove(id);
                    self.writer.remove(ClientId(*id));
                }
            }
        }
        self.reading.rows_read += ids.len() as u64;
        Ok(ids.len())
    }

    fn read_everything(&mut self, open: &mut Open, today: Date) -> Result<Followed, StoreError> {
        let file = self.file.clone();
        let sql = |e: rusqlite::Error| StoreError::sql(&file, &e);
        let data_version = pragma(&open.connection, "data_version").map_err(sql)?;
        let seq = head(&open.connection).map_err(sql)?;
        let mut seen: Vec<i64> = Vec::new();
        self.bad.clear();
        loop {
            let after = seen.last().copied().unwrap_or(i64::MIN);
            let before = seen.len();
            self.read_chunk(&open.connection, after, &mut seen).map_err(sql)?;
            if seen.len() - before < CHUNK {
                break;
            }
        }
        self.writer.retain(&seen);
        self.read_directory(&open.connection, today).map_err(sql)?;
        // Changes since `seq` are read again by the next poll: rows may have moved meanwhile.
        open.seq = seq;
        open.data_version = data_version;
        self.reading.loads += 1;
        tracing::info!(clients = seen.len(), triggers = open.has_triggers, "clients read");
        Ok(Followed::Loaded { clients: seen.len() })
    }

    fn read_chunk(
        &mut self,
        connection: &Connection,
        after: i64,
        seen: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let text = format!(
            "SELECT {CLIENT_COLUMNS} FROM clients c WHERE c.id > ?1 ORDER BY c.id LIMIT {CHUNK}"
        );
        let mut query = connection.prepare_cached(&text)?;
        let mut rows = query.query([after])?;
        while let Some(row) = rows.next()? {
            let (client, fault) = self.reader.read(row)?;
            seen.push(client.id.0);
            self.reading.rows_read += 1;
            self.note(client.id.0, fault);
            self.writer.put(client);
        }
        Ok(())
    }

    fn read_directory(&mut self, connection: &Connection, today: Date) -> rusqlite::Result<()> {
        let rows = people::directory_rows(connection, &self.options.realm, today)?;
        let same = self.directory.as_ref().is_some_and(|(_, known)| *known == rows);
        if !same {
            (self.on_directory)(rows.clone());
        }
        self.directory = Some((today, rows));
        Ok(())
    }

    fn note(&mut self, id: i64, fault: Option<String>) {
        match fault {
            Some(fault) if self.bad.len() < BAD_ROWS_MAX => {
                self.bad.insert(id, fault.into());
            }
            Some(_) => {}
            None if self.bad.is_empty() => {}
            None => {
                self.bad.remove(&id);
            }
        }
    }
}

/// What the change table says behind a place in it.
struct Changes {
    clients: BTreeSet<i64>,
    directory: bool,
    seq: i64,
    more: bool,
}

fn changes(connection: &Connection, after: i64) -> rusqlite::Result<Changes> {
    let text = format!("SELECT seq, client FROM changes WHERE seq > ?1 ORDER BY seq LIMIT {CHUNK}");
    let mut query = connection.prepare_cached(&text)?;
    let mut rows = query.query([after])?;
    let mut all = Changes { clients: BTreeSet::new(), directory: false, seq: after, more: false };
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        all.seq = row.get(0)?;
        match row.get::<_, Option<i64>>(1)? {
            Some(client) => {
                all.clients.insert(client);
            }
            None => all.directory = true,
        }
    }
    all.more = count == CHUNK;
    Ok(all)
}

/// Changes after `seq` have been dropped, or the file is an older copy.
fn missed_some(connection: &Connection, seq: i64) -> rusqlite::Result<bool> {
    let head = head(connection)?;
    let mut lowest = connection.prepare_cached("SELECT min(seq) FROM changes")?;
    let first: Option<i64> = lowest.query_row([], |row| row.get(0))?;
    Ok(head < seq || (head > seq && first.is_none_or(|first| first > seq + 1)))
}

fn head(connection: &Connection) -> rusqlite::Result<i64> {
    let text = "SELECT seq FROM sqlite_sequence WHERE name = 'changes'";
    let head = connection.prepare_cached(text)?.query_row([], |row| row.get(0)).optional()?;
    Ok(head.unwrap_or(0))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// The schema is today's, and every trigger is there or has been put back. A program that rebuilds a
/// table drops its triggers; an older copy of the file may have taken its place. `false`: they could
/// not be put back, so that every change means reading everything.
fn repaired(connection: &Connection, file: &Path) -> Result<bool, StoreError> {
    let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
    let known = schema::STEPS.len() as i64;
    let found = migrate::version(connection, file, schema::APPLICATION, known)?;
    if found == 0 {
        // Not created here: an empty file in the place of a full one must not empty the index.
        let why = "it is empty".to_owned();
        return Err(StoreError::Missing { file: file.to_path_buf(), why });
    }
    if found == known && schema::has_all_triggers(connection).map_err(sql)? {
        return Ok(true);
    }
    tracing::warn!(found, known, "clients.db has an older schema or lacks triggers; repairing it");
    let repair = ClientsDb::open(file);
    if found < known {
        repair?;
        return Ok(true);
    }
    if let Err(error) = &repair {
        tracing::warn!(%error, "triggers are missing: each change means reading all clients");
    }
    Ok(repair.is_ok())
}

/// Nothing has to be repaired before it is read.
fn is_todays(connection: &Connection, file: &Path) -> bool {
    let known = schema::STEPS.len() as i64;
    let found = migrate::version(connection, file, schema::APPLICATION, known);
    found.is_ok_and(|found| found == known)
}

fn open(file: &Path, identity: Identity) -> Result<Open, StoreError> {
    let sql = |e: rusqlite::Error| StoreError::sql(file, &e);
    // For writing if possible: a reader of a WAL file keeps its shared memory up to date.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags);
    let connection = opened.or_else(|_| Connection::open_with_flags(file, only)).map_err(sql)?;
    connection.busy_timeout(LOCK_WAIT).map_err(sql)?;
    connection.pragma_update(None, "query_only", true).map_err(sql)?;
    let has_triggers = repaired(&connection, file)?;
    let schema_version = pragma(&connection, "schema_version").map_err(sql)?;
    // Where it cannot be had (too many files are open), damage is seen at the next reading.
    let file = File::open(file).ok();
    let (data_version, seq) = (-1, 0);
    Ok(Open { connection, file, identity, data_version, schema_version, seq, has_triggers })
}

/// The begin of the file is not what every SQLite file begins with.
fn is_overwritten(file: &File) -> bool {
    let mut found = [0; HEADER.len()];
    match file.read_exact_at(&mut found, 0) {
        Ok(()) => found != *HEADER,
        Err(e) => e.kind() == ErrorKind::UnexpectedEof,
    }
}

#[cfg(unix)]
fn identify(file: &Path) -> Result<Identity, StoreError> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(file);
    let missing =
        |e: std::io::Error| StoreError::Missing { file: file.to_path_buf(), why: e.to_string() };
    found.map(|m| Identity { device: m.dev(), inode: m.ino() }).map_err(missing)
}

#[cfg(not(unix))]
fn identify(file: &Path) -> Result<Identity, StoreError> {
    let missing =
        |e: std::io::Error| StoreError::Missing { file: file.to_path_buf(), why: e.to_string() };
    let created = std::fs::metadata(file).and_then(|m| m.created()).map_err(missing)?;
    let age = created.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Identity { device: 0, inode: age.as_nanos() as u64 })
}
