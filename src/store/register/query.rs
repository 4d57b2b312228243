//! Looking into the register: which calls there were, one line each.
//!
//! Reads only. Waiting and talking times are computed from the stamps here and nowhere else, so that
//! every table and report says the same.

use jiff::Timestamp;
use rusqlite::{Row, ToSql, named_params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Register;
use super::apply::{micros, word};
use crate::domain::{CallKey, ClientId, Number, PersonId, TrunkId};
use crate::store::StoreError;
use crate::switch::{ClientRef, Direction, Outcome, Party};

/// How many calls are listed unless asked otherwise.
pub const CALLS_LISTED: u32 = 100;
/// The shortest end of a call id that is looked for, digits.
const CALL_END_LEN_MIN: usize = 4;

/// Which calls to list. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Arrived at this time or later.
    pub since: Option<Timestamp>,
    /// Arrived before this time.
    pub until: Option<Timestamp>,
    /// Calling or called number: E.164, or the end of one, or as it was written.
    pub number: Option<String>,
    /// Client's row number, or a part of the name.
    pub client: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The newest so many; `CALLS_LISTED` if not said.
    pub limit: Option<u32>,
}

/// One call on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// Its key.
    pub call: CallKey,
    /// When it came.
    pub arrived_at: Timestamp,
    /// Who spoke with whom; absent if the journal's line of its arrival was lost.
    pub direction: Option<Direction>,
    /// Over which trunk it came.
    pub trunk: Option<TrunkId>,
    /// Which of our people called.
    pub caller: Option<PersonId>,
    /// The calling number.
    pub from: Option<Number>,
    /// The calling number as it was written; empty if withheld.
    pub from_raw: String,
    /// The called user part.
    pub to: String,
    /// The client found.
    pub client: Option<ClientRef>,
    /// The rule that took it.
    pub rule: Option<String>,
    /// The rule's clause.
    pub clause: Option<String>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// Who of our people answered.
    pub answered_by: Option<PersonId>,
    /// From arrival to answer, or to the end of a call that nobody answered. Absent while it waits.
    pub wait_ms: Option<i64>,
    /// From answer to end.
    pub talk_ms: Option<i64>,
    /// When it ended; absent while it is up.
    pub ended_at: Option<Timestamp>,
    /// Who ended it.
    pub ended_by: Option<Party>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The status that the caller got, if nobody answered.
    pub status: Option<u16>,
    /// Why it ended, in words.
    pub reason: String,
    /// It went on over a restart of the server.
    pub survived_restart: bool,
}

/// The columns that `CallRow` is read from.
const COLUMNS: &str = "call, arrived_at, direction, trunk, caller, from_number, from_raw, to_user,
    client, client_name, rule, clause, answered_at, answered_by, ended_at, ended_by, outcome, status,
    reason, survived";

impl Register {
    /// The newest calls that `filter` lets through, oldest first.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn calls(&self, filter: &CallFilter) -> Result<Vec<CallRow>, StoreError> {
        let number = filter.number.as_deref().map(NumberWanted::of);
        let (e164, end, raw) = match &number {
            Some(n) => (n.e164.as_deref(), n.end.as_deref(), Some(n.raw.as_str())),
            None => (None, None, None),
        };
        let client = filter.client.as_deref();
        let outcome = filter.outcome.as_ref().map(word);
        let conditions: [(bool, &str); 5] = [
            (filter.since.is_some(), "arrived_at >= :since"),
            (filter.until.is_some(), "arrived_at < :until"),
            (
                number.is_some(),
                "(from_number = :e164 OR from_number LIKE :end OR from_raw = :raw
                  OR to_user = :raw OR to_user LIKE :end)",
            ),
            (client.is_some(), "(client_name LIKE '%' || :client || '%' OR client = :client)"),
            (outcome.is_some(), "outcome = :outcome"),
        ];
        let said: Vec<&str> = conditions.iter().filter(|c| c.0).map(|c| c.1).collect();
        let said = if said.is_empty() { "true".to_owned() } else { said.join(" AND ") };
        let text = format!(
            "SELECT {COLUMNS} FROM calls WHERE {said} ORDER BY arrived_at DESC, call DESC LIMIT :limit"
        );
        let since = filter.since.map(micros);
        let until = filter.until.map(micros);
        let limit = filter.limit.unwrap_or(CALLS_LISTED);
        let all: [(&str, &dyn ToSql); 8] = [
            (":since", &since),
            (":until", &until),
            (":e164", &e164),
            (":end", &end),
            (":raw", &raw),
            (":client", &client),
            (":outcome", &outcome),
            (":limit", &limit),
        ];
        let used: Vec<_> = all.into_iter().filter(|(name, _)| text.contains(name)).collect();
        let read = || {
            let mut sql = self.db.prepare_cached(&text)?;
            sql.query_map(used.as_slice(), call_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut calls = read().map_err(|e| self.sql(e))?;
        calls.reverse();
        Ok(calls)
    }

    /// One call's line.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn call(&self, call: CallKey) -> Result<Option<CallRow>, StoreError> {
        let read = || {
            let text = format!("SELECT {COLUMNS} FROM calls WHERE call = ?1");
            let mut sql = self.db.prepare_cached(&text)?;
            sql.query_map([call.to_string()], call_row)?.next().transpose()
        };
        read().map_err(|e| self.sql(e))
    }

    /// The call that a person means: its 16 digits, or their end (4 digits at least) if only one
    /// call ends so.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find_call(&self, text: &str) -> Result<CallKey, StoreError> {
        let text = text.trim().to_ascii_lowercase();
        let none = || StoreError::refused(format!("no call {text} in the register"));
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) || text.len() < CALL_END_LEN_MIN {
            return Err(StoreError::refused(format!(
                "`{text}` names no call: write its 16 hexadecimal digits, or the last {CALL_END_LEN_MIN} or more"
            )));
        }
        let read = || {
            let mut sql = self.db.prepare_cached(
                "SELECT call FROM calls WHERE call LIKE :end ORDER BY call DESC LIMIT 2",
            )?;
            let end = format!("%{text}");
            sql.query_map(named_params! {":end": end}, |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        match read().map_err(|e| self.sql(e))?.as_slice() {
            [] => Err(none()),
            [one] => CallKey::parse(one).ok_or_else(none),
            _ => Err(StoreError::refused(format!("more than one call ends in {text}"))),
        }
    }

    /// Calls of the trunks that our people answered in the day before `start`, or two: who, when, and
    /// for how many microseconds they talked until then.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn answered_before(
        &self,
        start: Timestamp,
    ) -> Result<Vec<(PersonId, Timestamp, u64)>, StoreError> {
        let read = || {
            let (start, day) = (micros(start), 86_400_000_000);
            let mut sql = self.db.prepare_cached(
                "SELECT answered_by, answered_at, min(ifnull(ended_at, ?1), ?1) - answered_at
                 FROM calls WHERE arrived_at >= ?2 AND answered_at < ?1
                 AND answered_by IS NOT NULL AND direction = 'inbound'",
            )?;
            let row = |row: &Row<'_>| {
                let who = PersonId::new(&row.get::<_, String>(0)?);
                let talk: i64 = row.get(2)?;
                Ok((who, moment(row.get(1)?), u64::try_from(talk).unwrap_or(0)))
            };
            sql.query_map([start, start - 2 * day], row)?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|e| self.sql(e))
    }

    /// How many calls the register holds.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        self.db
            .query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|e| self.sql(e))
    }
}

/// A number as somebody typed it.
struct NumberWanted {
    e164: Option<String>,
    end: Option<String>,
    raw: String,
}

impl NumberWanted {
    fn of(typed: &str) -> Self {
        let raw = typed.trim().to_owned();
        let digits: String = raw.chars().filter(char::is_ascii_digit).collect();
        let is_number = raw.chars().all(|c| c.is_ascii_digit() || "+-/(). ".contains(c));
        let national = digits.trim_start_matches('0');
        Self {
            e164: (is_number && raw.starts_with('+')).then(|| format!("+{digits}")),
            end: (is_number && !raw.starts_with('+') && national.len() >= 3)
                .then(|| format!("%{national}")),
            raw,
        }
    }
}

fn call_row(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let key: String = row.get("call")?;
    let arrived_at = moment(row.get("arrived_at")?);
    let answered_at = row.get::<_, Option<i64>>("answered_at")?.map(moment);
    let ended_at = row.get::<_, Option<i64>>("ended_at")?.map(moment);
    let outcome = parse::<Outcome>(row.get("outcome")?);
    let survived: bool = row.get("survived")?;
    Ok(CallRow {
        call: CallKey::parse(&key).ok_or(rusqlite::Error::InvalidQuery)?,
        arrived_at,
        direction: parse(row.get("direction")?),
        trunk: row.get::<_, Option<String>>("trunk")?.map(|t| TrunkId::new(&t)),
        caller: row.get::<_, Option<String>>("caller")?.map(|p| PersonId::new(&p)),
        from: number(row, "from_number")?,
        from_raw: row.get("from_raw")?,
        to: row.get("to_user")?,
        client: client(row)?,
        rule: row.get("rule")?,
        clause: row.get("clause")?,
        answered_at,
        answered_by: row.get::<_, Option<String>>("answered_by")?.map(|p| PersonId::new(&p)),
        wait_ms: answered_at.or(ended_at).map(|end| between_ms(arrived_at, end)),
        talk_ms: answered_at.zip(ended_at).map(|(from, to)| between_ms(from, to)),
        ended_at,
        ended_by: parse(row.get("ended_by")?),
        outcome,
        status: row.get("status")?,
        reason: row.get("reason")?,
        survived_restart: survived && outcome != Some(Outcome::CutByRestart),
    })
}

/// The columns `client` and `client_name`.
pub fn client(row: &Row<'_>) -> rusqlite::Result<Option<ClientRef>> {
    let id: Option<i64> = row.get("client")?;
    let name: Option<String> = row.get("client_name")?;
    Ok(id.map(|id| ClientRef { id: ClientId(id), name: name.unwrap_or_default().into() }))
}

/// A column with an E.164 number.
pub fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Number>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.as_deref().and_then(Number::from_e164))
}

/// From a variant's word; `None` for a word of a newer version.
pub fn parse<T: DeserializeOwned>(word: Option<String>) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word?)).ok()
}

/// From microseconds since 1970.
pub fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Milliseconds from one time to a later one; 0 if the clock went back.
pub fn between_ms(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_microsecond().saturating_sub(from.as_microsecond()) / 1_000).max(0)
}
