//! One call's whole story (clause D1): arrival, identification, rule and clause, each step and offer
//! with times and result, answer, end, who hung up, the explanation, the promise.

use jiff::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::Register;
use super::query::{CallRow, between_ms, moment, parse};
use crate::domain::{CallKey, DirectoryRecord, PersonId};
use crate::policy::{Explanation, Grounds};
use crate::store::StoreError;
use crate::store::callbacks::Callback;
use crate::switch::OfferResult;

/// Everything that the register knows of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallStory {
    /// Its line in the list.
    #[serde(flatten)]
    pub call: CallRow,
    /// The caller's Call-ID header.
    pub sip_call_id: String,
    /// Hash of the policy that decided.
    pub policy: Option<String>,
    /// What it rested on, for `Grounds::replay`. Absent as the explanation may be, and in old records.
    #[serde(default)]
    pub grounds: Option<Grounds>,
    /// Facts, rules tried, plan: as the policy gave them. Absent if nothing was decided, or memory
    /// was short while the disk was full.
    pub explanation: Option<Explanation>,
    /// In order.
    pub steps: Vec<StepRow>,
    /// In order.
    pub offers: Vec<OfferRow>,
    /// The callback promised to the caller.
    pub callback: Option<Callback>,
}

/// A step that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRow {
    /// When.
    pub at: Timestamp,
    /// From 0.
    pub step: u16,
    /// As the policy says it.
    pub to: String,
    /// Its clause.
    pub clause: String,
    /// Why the one before was left, or who is skipped.
    pub why: String,
}

/// An offer to one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRow {
    /// From 1 within the call.
    pub offer: u32,
    /// Whose phones.
    pub agent: PersonId,
    /// For whom that person stands in.
    pub stands_in_for: Option<PersonId>,
    /// Of which step.
    pub step: u16,
    /// How many phones were tried.
    pub phones: u16,
    /// When it was made.
    pub offered_at: Timestamp,
    /// When the first phone rang.
    pub rang_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// From the offer to its end.
    pub took_ms: Option<i64>,
    /// What became of it.
    pub result: Option<OfferResult>,
    /// The phone's status, if it said one.
    pub status: Option<u16>,
    /// Why this one of several people. Absent where the longest idle was first.
    #[serde(default)]
    pub why: Option<String>,
}

/// An accepted policy, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// As calls name it.
    pub hash: String,
    /// The text of `policy.toml`.
    pub policy: String,
    /// The text of `calendars.toml`.
    pub calendars: String,
    /// When it was first accepted.
    pub accepted_at: Timestamp,
    /// Who had it loaded.
    pub by: String,
}

impl Register {
    /// The story of `call`; `None` if the register does not know it (yet).
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn show(&self, call: CallKey) -> Result<Option<CallStory>, StoreError> {
        // One snapshot for all the tables.
        let tx = self.db.unchecked_transaction().map_err(|e| self.sql(e))?;
        let Some(row) = self.call(call)? else { return Ok(None) };
        let callback = self.callback_of(call)?;
        let story = self.story(row, callback).map_err(|e| self.sql(e))?;
        drop(tx);
        Ok(Some(story))
    }

    fn story(&self, call: CallRow, callback: Option<Callback>) -> rusqlite::Result<CallStory> {
        let key = call.call.to_string();
        let (sip_call_id, policy, json, grounds): (String, Option<String>, _, _) =
            self.db.query_row(
                "SELECT sip_call_id, policy, e.json, g.json FROM calls
                 LEFT JOIN explanations e USING (call) LEFT JOIN grounds g USING (call)
                 WHERE call = ?1",
                [&key],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
        let json: Option<String> = json;
        let grounds: Option<String> = grounds;
        let grounds = grounds.and_then(|json| serde_json::from_str(&json).ok());
        let steps = self
            .db
            .prepare_cached("SELECT * FROM steps WHERE call = ?1 ORDER BY at, step")?
            .query_map([&key], step_row)?
            .collect::<rusqlite::Result<_>>()?;
        let offers = self
            .db
            .prepare_cached("SELECT * FROM offers WHERE call = ?1 ORDER BY offer")?
            .query_map([&key], offer_row)?
            .collect::<rusqlite::Result<_>>()?;
        let explanation = json.and_then(|json| serde_json::from_str(&json).ok());
        Ok(CallStory { call, sip_call_id, policy, grounds, explanation, steps, offers, callback })
    }

    /// The texts of the policy with this hash.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn policy(&self, hash: &str) -> Result<Option<PolicyText>, StoreError> {
        let read = || {
            let mut sql = self.db.prepare_cached("SELECT * FROM policies WHERE hash = ?1")?;
            let text = |row: &Row<'_>| {
                Ok(PolicyText {
                    hash: row.get("hash")?,
                    policy: row.get("policy")?,
                    calendars: row.get("calendars")?,
                    accepted_at: moment(row.get("accepted_at")?),
                    by: row.get("by")?,
                })
            };
            sql.query_map([hash], text)?.next().transpose()
        };
        read().map_err(|e| self.sql(e))
    }
}

impl Register {
    /// The directory with this hash, as it was.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn directory(&self, hash: &str) -> Result<Option<DirectoryRecord>, StoreError> {
        let read = || {
            let mut sql = self.db.prepare_cached("SELECT json FROM directories WHERE hash = ?1")?;
            sql.query_map([hash], |row| row.get::<_, String>(0))?.next().transpose()
        };
        let json = read().map_err(|e| self.sql(e))?;
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }
}

fn step_row(row: &Row<'_>) -> rusqlite::Result<StepRow> {
    Ok(StepRow {
        at: moment(row.get("at")?),
        step: row.get("step")?,
        to: row.get("to_whom")?,
        clause: row.get("clause")?,
        why: row.get("why")?,
    })
}

fn offer_row(row: &Row<'_>) -> rusqlite::Result<OfferRow> {
    let person = |text: String| PersonId::new(&text);
    let offered_at = moment(row.get("offered_at")?);
    let ended_at = row.get::<_, Option<i64>>("ended_at")?.map(moment);
    Ok(OfferRow {
        offer: row.get("offer")?,
        agent: person(row.get("agent")?),
        stands_in_for: row.get::<_, Option<String>>("stands_in_for")?.map(person),
        step: row.get("step")?,
        phones: row.get("phones")?,
        offered_at,
        rang_at: row.get::<_, Option<i64>>("rang_at")?.map(moment),
        ended_at,
        took_ms: ended_at.map(|end| between_ms(offered_at, end)),
        result: parse(row.get("result")?),
        status: row.get("status")?,
        why: row.get("why")?,
    })
}
