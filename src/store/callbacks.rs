//! Promised callbacks (clause E1): what is open, who must do it, what was tried.
//!
//! A promise comes from a call's `Promised` event; what is done about it are `Callback` events in the
//! shell's journal. Both reach the register like everything else, so that the list is a projection
//! too: whoever changes a promise writes the event that this room makes, then lets the projector
//! step. Each change says who made it and is never taken back.
//!
//! ```text
//!   Promised ──► open ──tried──► open (one try more) ──done──► closed
//! ```

use jiff::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::register::Register;
use super::register::{client, moment, number};
use crate::domain::{CallKey, Number, PersonId};
use crate::switch::{CallbackChange, ClientRef, Event, What};

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// A short number for people.
    pub id: i64,
    /// The call in which it was promised: its name for ever.
    pub call: CallKey,
    /// When it was promised.
    pub promised_at: Timestamp,
    /// Whom to call back; absent if the number was withheld.
    pub number: Option<Number>,
    /// Who is the client.
    pub client: Option<ClientRef>,
    /// Who must do it.
    pub owner: Option<PersonId>,
    /// Why nobody answered.
    pub why: String,
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it was kept; absent while it is open.
    pub done_at: Option<Timestamp>,
    /// Everything that was done, oldest first.
    pub changes: Vec<CallbackEntry>,
}

/// Something that was done about a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackEntry {
    /// When.
    pub at: Timestamp,
    /// What: `tried` or `done` with a note.
    #[serde(flatten)]
    pub change: CallbackChange,
    /// Who did it.
    pub by: String,
}

impl Callback {
    /// Nobody has kept it yet.
    pub fn is_open(&self) -> bool {
        self.done_at.is_none()
    }

    /// The event that closes it with `note`, what came of it.
    ///
    /// # Errors
    /// It is closed already, or the note is empty.
    pub fn done(&self, at: Timestamp, note: &str, by: &str) -> Result<Event, StoreError> {
        if note.trim().is_empty() {
            return Err(StoreError::refused("say what came of the callback: --note TEXT"));
        }
        self.change(at, CallbackChange::Done { note: note.trim().into() }, by)
    }

    /// The event that records a try that did not reach the client.
    ///
    /// # Errors
    /// It is closed already.
    pub fn tried(&self, at: Timestamp, note: &str, by: &str) -> Result<Event, StoreError> {
        self.change(at, CallbackChange::Tried { note: note.trim().into() }, by)
    }

    fn change(&self, at: Timestamp, change: CallbackChange, by: &str) -> Result<Event, StoreError> {
        if let Some(done) =
            self.changes.iter().find(|c| matches!(c.change, CallbackChange::Done { .. }))
        {
            let (id, by) = (self.id, &done.by);
            return Err(StoreError::refused(format!("callback {id} was closed by {by}")));
        }
        Ok(Event { at, what: What::Callback { call: self.call, change, by: by.into() } })
    }
}

impl Register {
    /// All promises, or the open ones, oldest first.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn callbacks(&self, open_only: bool) -> Result<Vec<Callback>, StoreError> {
        let condition = if open_only { "done_at IS NULL" } else { "true" };
        self.read_callbacks(&format!("{condition} ORDER BY promised_at, id"), "")
    }

    /// The promise that a person means: its short number, or its call's 16 digits.
    ///
    /// # Errors
    /// There is none.
    pub fn callback(&self, text: &str) -> Result<Callback, StoreError> {
        let found = self.read_callbacks("call = ?1 OR CAST(id AS TEXT) = ?1", text.trim())?;
        let none = || StoreError::refused(format!("no callback {} in the register", text.trim()));
        found.into_iter().next().ok_or_else(none)
    }

    /// The promise made in `call`.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn callback_of(&self, call: CallKey) -> Result<Option<Callback>, StoreError> {
        Ok(self.read_callbacks("call = ?1", &call.to_string())?.into_iter().next())
    }

    fn read_callbacks(&self, condition: &str, key: &str) -> Result<Vec<Callback>, StoreError> {
        let read = || {
            let mut sql =
                self.db.prepare_cached(&format!("SELECT * FROM callbacks WHERE {condition}"))?;
            let keys: &[&str] = if key.is_empty() { &[] } else { &[key] };
            let rows = sql.query_map(rusqlite::params_from_iter(keys), callback_row)?;
            let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            for callback in &mut found {
                self.read_changes(callback)?;
            }
            Ok(found)
        };
        read().map_err(|e| self.sql(e))
    }

    fn read_changes(&self, callback: &mut Callback) -> rusqlite::Result<()> {
        let mut sql =
            self.db.prepare_cached("SELECT * FROM callback_changes WHERE call = ?1 ORDER BY at")?;
        let rows = sql.query_map([callback.call.to_string()], |row| {
            let note = row.get::<_, String>("note")?.into();
            let change = match row.get::<_, String>("change")?.as_str() {
                "done" => CallbackChange::Done { note },
                _ => CallbackChange::Tried { note },
            };
            Ok(CallbackEntry { at: moment(row.get("at")?), change, by: row.get("by")? })
        })?;
        callback.changes = rows.collect::<rusqlite::Result<_>>()?;
        let tried = |c: &&CallbackEntry| matches!(c.change, CallbackChange::Tried { .. });
        callback.tries = callback.changes.iter().filter(tried).count() as u32;
        Ok(())
    }
}

fn callback_row(row: &Row<'_>) -> rusqlite::Result<Callback> {
    let key: String = row.get("call")?;
    Ok(Callback {
        id: row.get("id")?,
        call: CallKey::parse(&key).ok_or(rusqlite::Error::InvalidQuery)?,
        promised_at: moment(row.get("promised_at")?),
        number: number(row, "number")?,
        client: client(row)?,
        owner: row.get::<_, Option<String>>("owner")?.map(|p| PersonId::new(&p)),
        why: row.get("why")?,
        tries: 0,
        done_at: row.get::<_, Option<i64>>("done_at")?.map(moment),
        changes: Vec::new(),
    })
}
