//! The scene of the store's tests: a folder with `clients.db`, a follower, and a foreign program that
//! writes the same file with bare SQL.

// What the follower's callback heard is shared with the test.
#![allow(clippy::disallowed_types)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Connection;
use telefonist::domain::{ClientId, DirectoryRows, Number, NumberFormat};
use telefonist::store::import::{ImportKind, ImportOptions, ImportReport, import};
use telefonist::store::{
    Actor, ClientIndex, ClientsDb, FollowOptions, Followed, Follower, INDEX_STALE_MAX, StoreError,
};

pub const REALM: &str = "telefonist.example";

pub struct Scene {
    pub folder: tempfile::TempDir,
    pub now: Timestamp,
}

pub struct Watched {
    pub follower: Follower,
    pub index: Arc<ClientIndex>,
    pub directories: Arc<Mutex<Vec<DirectoryRows>>>,
}

impl Scene {
    /// An empty folder; it is the morning of 2 March 2026.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let now = "2026-03-02T08:00:00Z".parse().expect("a literal");
        Self { folder, now }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("clients.db")
    }

    pub fn db(&self) -> ClientsDb {
        ClientsDb::open(&self.file()).expect("clients.db")
    }

    pub fn today(&self) -> Date {
        jiff::tz::TimeZone::UTC.to_datetime(self.now).date()
    }

    pub fn actor(&self) -> Actor<'static> {
        Actor { by: "test", at: self.now }
    }

    /// Another program with the same file open.
    pub fn foreign(&self) -> Connection {
        let crm = Connection::open(self.file()).expect("the foreign program opens the file");
        crm.pragma_update(None, "synchronous", "OFF").expect("tests need no durable disk");
        crm
    }

    pub fn follower(&self) -> Watched {
        follower_of(&self.file())
    }

    pub fn options<'a>(&self, numbers: &'a NumberFormat) -> ImportOptions<'a> {
        ImportOptions {
            actor: self.actor(),
            numbers,
            realm: REALM,
            calendars: &[],
            today: self.today(),
            dry_run: false,
            skip_bad: false,
            skip_unknown_columns: false,
        }
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, bytes).expect("the file is written");
        file
    }

    pub fn import(
        &self,
        kind: ImportKind,
        text: impl AsRef<[u8]>,
    ) -> Result<ImportReport, StoreError> {
        self.import_with(kind, text, |_| {})
    }

    pub fn import_with(
        &self,
        kind: ImportKind,
        text: impl AsRef<[u8]>,
        change: impl Fn(&mut ImportOptions<'_>),
    ) -> Result<ImportReport, StoreError> {
        let file = self.write("import.csv", text);
        let numbers = NumberFormat::of("DE");
        let mut options = self.options(&numbers);
        change(&mut options);
        import(&mut self.db(), kind, &file, options, &mut |_| {})
    }
}

pub fn follower_of(file: &Path) -> Watched {
    let options = FollowOptions { numbers: NumberFormat::of("DE"), realm: REALM.into() };
    let directories = Arc::new(Mutex::new(Vec::new()));
    let seen = directories.clone();
    let on_directory = Box::new(move |rows| seen.lock().expect("no panic").push(rows));
    let (follower, index) = Follower::new(file, options, INDEX_STALE_MAX, on_directory);
    Watched { follower, index, directories }
}

impl Watched {
    pub fn poll(&mut self, now: Timestamp) -> Followed {
        self.follower.follow_once(now)
    }

    pub fn balance(&self, number: &str) -> Option<i64> {
        self.index.lookup(&e164(number)).client.map(|c| c.balance.0)
    }

    pub fn names(&self, number: &str) -> Vec<String> {
        let found = self.index.lookup(&e164(number));
        found.client.iter().chain(&found.others).map(|c| c.name.to_string()).collect()
    }

    pub fn directory_count(&self) -> usize {
        self.directories.lock().expect("no panic").len()
    }

    pub fn directory(&self) -> DirectoryRows {
        self.directories.lock().expect("no panic").last().cloned().expect("read once")
    }
}

pub fn e164(text: &str) -> Number {
    Number::from_e164(text).expect("a literal")
}

/// A client written with bare SQL, as a CRM does.
pub fn foreign_client(db: &Connection, id: i64, name: &str, number: &str) -> ClientId {
    db.execute("INSERT INTO clients (id, name, client_type) VALUES (?1, ?2, 'retail')", (id, name))
        .expect("inserted");
    db.execute("INSERT INTO client_numbers (client, number) VALUES (?1, ?2)", (id, number))
        .expect("inserted");
    ClientId(id)
}
