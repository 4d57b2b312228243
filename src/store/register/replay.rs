//! Past decisions with what they rested on: for `replay`.

use jiff::Timestamp;
use rusqlite::named_params;

use super::query::{between_ms, moment};
use super::{Register, apply::micros};
use crate::domain::{CallKey, TrunkId};
use crate::policy::{Explanation, Grounds};
use crate::store::StoreError;

/// One call's decision as it was recorded.
#[derive(Clone, Debug)]
pub struct PastDecision {
    /// Which call.
    pub call: CallKey,
    /// When it came.
    pub arrived_at: Timestamp,
    /// The rule that took it.
    pub rule: String,
    /// Its clause.
    pub clause: String,
    /// Hash of the policy.
    pub policy: String,
    /// What was decided. `None`: dropped when memory was short, or damaged.
    pub explanation: Option<Explanation>,
    /// What it rested on. `None`: as above, or a record of the first days.
    pub grounds: Option<Grounds>,
    /// From arrival to answer.
    pub answer_ms: Option<i64>,
    /// From the offer to the answer, if it was offered.
    pub ring_ms: Option<i64>,
    /// From answer to end.
    pub talk_ms: Option<i64>,
    /// From arrival to the hang-up of a caller who gave up.
    pub patience_ms: Option<i64>,
    /// How it ended, in the register's word; empty if it did not.
    pub outcome: String,
}

impl Register {
    /// Gives every decision of calls that arrived in the span to `each`, oldest first. Says
    /// how many rows could not be read.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn past_decisions(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        each: &mut dyn FnMut(PastDecision),
    ) -> Result<u64, StoreError> {
        let mut damaged = 0;
        let mut read = || -> rusqlite::Result<()> {
            let mut sql = self.db.prepare(
                "SELECT call, arrived_at, rule, clause, policy, answered_at, ended_at, outcome,
                        e.json AS explanation, g.json AS grounds,
                        (SELECT max(offered_at) FROM offers o
                         WHERE o.call = calls.call AND o.agent = calls.answered_by) AS offered_at
                 FROM calls LEFT JOIN explanations e USING (call) LEFT JOIN grounds g USING (call)
                 WHERE rule IS NOT NULL AND policy IS NOT NULL
                   AND arrived_at >= :since AND arrived_at < :until
                 ORDER BY arrived_at, call",
            )?;
            let since = since.map_or(i64::MIN, micros);
            let until = until.map_or(i64::MAX, micros);
            let mut rows = sql.query(named_params! { ":since": since, ":until": until })?;
            while let Some(row) = rows.next()? {
                let arrived_at = moment(row.get("arrived_at")?);
                let time = |name| row.get::<_, Option<i64>>(name).map(|at| at.map(moment));
                let (answered, ended) = (time("answered_at")?, time("ended_at")?);
                let json = |name| row.get::<_, Option<String>>(name);
                let (explanation, grounds) = (json("explanation")?, json("grounds")?);
                let outcome = row.get::<_, Option<String>>("outcome")?.unwrap_or_default();
                let offered = time("offered_at")?;
                let Some(call) =
                    row.get::<_, Option<String>>("call")?.as_deref().and_then(CallKey::parse)
                else {
                    damaged += 1;
                    continue;
                };
                each(PastDecision {
                    call,
                    arrived_at,
                    rule: row.get("rule")?,
                    clause: row.get::<_, Option<String>>("clause")?.unwrap_or_default(),
                    policy: row.get("policy")?,
                    explanation: explanation.and_then(|json| serde_json::from_str(&json).ok()),
                    grounds: grounds.and_then(|json| serde_json::from_str(&json).ok()),
                    answer_ms: answered.map(|at| between_ms(arrived_at, at)),
                    ring_ms: offered.zip(answered).map(|(from, to)| between_ms(from, to)),
                    talk_ms: answered.zip(ended).map(|(from, to)| between_ms(from, to)),
                    patience_ms: ended
                        .filter(|_| outcome == "abandoned")
                        .map(|at| between_ms(arrived_at, at)),
                    outcome,
                });
            }
            Ok(())
        };
        read().map_err(|e| self.sql(e))?;
        Ok(damaged)
    }

    /// Every trunk that a call came over.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn trunks(&self) -> Result<Vec<TrunkId>, StoreError> {
        let read = || {
            let text = "SELECT DISTINCT trunk FROM calls WHERE trunk IS NOT NULL ORDER BY trunk";
            let mut sql = self.db.prepare(text)?;
            let trunk = |row: &rusqlite::Row<'_>| Ok(TrunkId::new(&row.get::<_, String>(0)?));
            sql.query_map([], trunk)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.sql(e))
    }
}
