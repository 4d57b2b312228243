//! One event → rows. The only place that writes what a call's record says.
//!
//! Every statement may meet its event a second time (a checkpoint repeats what still holds, and a new
//! register may begin with one): what is there already stays, what is missing is filled in. So the
//! order between workers does not matter either. An event of a call whose arrival was lost makes a
//! record with what is known: no call is missing.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::domain::CallKey;
use crate::switch::{AgentChange, CallbackChange, ClientRef, Event, OfferResult, What};

/// Writes `event` of run `run`. `repeated`: it stands in a checkpoint.
///
/// # Errors
/// As SQLite says; the transaction must be rolled back.
pub fn apply(db: &Connection, event: &Event, run: u32, repeated: bool) -> rusqlite::Result<()> {
    let at = micros(event.at);
    match &event.what {
        What::CallArrived { .. } => arrived(db, at, &event.what, run),
        What::Routed { call, client, rule, clause, policy, explanation, grounds } => {
            let explanation = explanation.as_ref().and_then(|e| serde_json::to_string(e).ok());
            let grounds = grounds.as_ref().and_then(|g| serde_json::to_string(g).ok());
            let decision = Routed {
                call: *call,
                client: client.clone(),
                rule: rule.as_ref().into(),
                clause: clause.as_ref().into(),
                policy: policy.as_ref().into(),
                explanation: explanation.as_deref(),
                grounds: grounds.as_deref(),
            };
            routed(db, event.at, &decision, run, repeated)
        }
        What::Answered { call, agent } => {
            let mut sql = db.prepare_cached(
                "INSERT INTO calls (call, arrived_at, run, answered_at, answered_by)
                 VALUES (:call, :at, :run, :at, :agent)
                 ON CONFLICT (call) DO UPDATE SET
                    survived = survived OR :run > run,
                    answered_at = ifnull(answered_at, :at),
                    answered_by = ifnull(answered_by, :agent)",
            )?;
            let agent = agent.as_ref().map(|a| a.as_str());
            sql.execute(
                named_params! {":call": text(call), ":at": at, ":run": run, ":agent": agent},
            )
            .map(drop)
        }
        What::CallEnded { .. } => ended(db, at, &event.what, run),
        What::StepBegan { .. }
        | What::Offered { .. }
        | What::Ringing { .. }
        | What::OfferEnded { .. } => stop(db, at, &event.what),
        What::Promised { .. } => promised(db, at, &event.what),
        What::Callback { call, change, by } => callback(db, at, &text(call), change, by),
        What::Bound { .. } | What::Unbound { .. } | What::Dialog { .. } => Ok(()),
        What::Checkpoint { .. } => Ok(()),
        _ if repeated => Ok(()),
        what => administration(db, at, what, run),
    }
}

fn arrived(db: &Connection, at: i64, what: &What, run: u32) -> rusqlite::Result<()> {
    let What::CallArrived { call, direction, trunk, caller, from_raw, from, to, sip_call_id } =
        what
    else {
        return Ok(());
    };
    let mut sql = db.prepare_cached(
        "INSERT INTO calls (call, arrived_at, run, direction, trunk, caller, from_raw, from_number,
                            to_user, sip_call_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (call) DO UPDATE SET
            arrived_at = excluded.arrived_at, run = min(run, excluded.run),
            direction = excluded.direction, trunk = excluded.trunk, caller = excluded.caller,
            from_raw = excluded.from_raw, from_number = excluded.from_number,
            to_user = excluded.to_user, sip_call_id = excluded.sip_call_id
         WHERE direction IS NULL",
    )?;
    sql.execute(params![
        text(call),
        at,
        run,
        word(direction),
        trunk.as_ref().map(|t| t.as_str()),
        caller.as_ref().map(|c| c.as_str()),
        from_raw.as_ref(),
        from.as_ref().map(|n| n.as_str()),
        to.as_ref(),
        sip_call_id.as_ref(),
    ])
    .map(drop)
}

/// A `What::Routed` whose explanation is the JSON that it was written as: a large group makes it long,
/// and the register keeps it as it is.
#[derive(Deserialize)]
pub struct Routed<'a> {
    call: CallKey,
    client: Option<ClientRef>,
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    clause: Cow<'a, str>,
    #[serde(borrow)]
    policy: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "raw")]
    explanation: Option<&'a str>,
    /// Absent in old lines.
    #[serde(default, borrow, deserialize_with = "raw")]
    grounds: Option<&'a str>,
}

fn raw<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de str>, D::Error> {
    Ok(Option::<&RawValue>::deserialize(json)?.map(RawValue::get))
}

/// Writes a decision made at `at`. The rest is as in `apply`.
///
/// # Errors
/// As SQLite says; the transaction must be rolled back.
pub fn routed(
    db: &Connection,
    at: Timestamp,
    decision: &Routed<'_>,
    run: u32,
    repeated: bool,
) -> rusqlite::Result<()> {
    let Routed { call, client, rule, clause, policy, explanation, grounds } = decision;
    let at = micros(at);
    let mut sql = db.prepare_cached(
        "INSERT INTO calls (call, arrived_at, run, client, client_name, rule, clause, policy)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (call) DO UPDATE SET
            client = excluded.client, client_name = excluded.client_name, rule = excluded.rule,
            clause = excluded.clause, policy = excluded.policy
         WHERE rule IS NULL OR NOT ?9",
    )?;
    let id = client.as_ref().map(|c| c.id.0);
    let name = client.as_ref().map(|c| c.name.as_ref());
    let (rule, clause, policy) = (rule.as_ref(), clause.as_ref(), policy.as_ref());
    sql.execute(params![text(call), at, run, id, name, rule, clause, policy, repeated])?;
    if let Some(explanation) = explanation {
        let mut sql = db.prepare_cached(
            "INSERT INTO explanations (call, json) VALUES (?1, ?2)
             ON CONFLICT (call) DO UPDATE SET json = excluded.json WHERE NOT ?3",
        )?;
        sql.execute(params![text(call), explanation, repeated])?;
    }
    if let Some(grounds) = grounds {
        let mut sql = db.prepare_cached(
            "INSERT INTO grounds (call, json) VALUES (?1, ?2)
             ON CONFLICT (call) DO UPDATE SET json = excluded.json WHERE NOT ?3",
        )?;
        sql.execute(params![text(call), grounds, repeated])?;
    }
    Ok(())
}

fn ended(db: &Connection, at: i64, what: &What, run: u32) -> rusqlite::Result<()> {
    let What::CallEnded { call, by, outcome, status, reason } = what else { return Ok(()) };
    let mut sql = db.prepare_cached(
        "INSERT INTO calls (call, arrived_at, run, ended_at, ended_by, outcome, status, reason)
         VALUES (?1, ?2, ?3, ?2, ?4, ?5, ?6, ?7)
         ON CONFLICT (call) DO UPDATE SET
            ended_at = excluded.ended_at, ended_by = excluded.ended_by,
            outcome = excluded.outcome, status = excluded.status, reason = excluded.reason
         WHERE ended_at IS NULL",
    )?;
    sql.execute(params![text(call), at, run, word(by), word(outcome), status, reason.as_ref()])?;
    // Phones that still rang when the process died.
    db.prepare_cached(
        "UPDATE offers SET ended_at = ?2, result = ?3 WHERE call = ?1 AND ended_at IS NULL",
    )?
    .execute(params![text(call), at, word(&OfferResult::Failed)])
    .map(drop)
}

fn stop(db: &Connection, at: i64, what: &What) -> rusqlite::Result<()> {
    match what {
        What::StepBegan { call, step, to, clause, why } => db
            .prepare_cached(
                "INSERT OR IGNORE INTO steps (call, at, step, to_whom, clause, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![text(call), at, step, to.as_ref(), clause.as_ref(), why.as_ref()]),
        What::Offered { call, offer, agent, stands_in_for, step, phones, why } => db
            .prepare_cached(
                "INSERT OR IGNORE INTO offers
                    (call, offer, agent, stands_in_for, step, phones, offered_at, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                text(call),
                offer,
                agent.as_str(),
                stands_in_for.as_ref().map(|p| p.as_str()),
                step,
                phones,
                at,
                why.as_deref()
            ]),
        What::Ringing { call, offer } => db
            .prepare_cached(
                "UPDATE offers SET rang_at = ?3
                 WHERE call = ?1 AND offer = ?2 AND rang_at IS NULL",
            )?
            .execute(params![text(call), offer, at]),
        What::OfferEnded { call, offer, result, status } => db
            .prepare_cached(
                "UPDATE offers SET ended_at = ?3, result = ?4, status = ?5
                 WHERE call = ?1 AND offer = ?2 AND ended_at IS NULL",
            )?
            .execute(params![text(call), offer, at, word(result), status]),
        _ => Ok(0),
    }
    .map(drop)
}

fn promised(db: &Connection, at: i64, what: &What) -> rusqlite::Result<()> {
    let What::Promised { call, number, client, owner, why } = what else { return Ok(()) };
    let mut sql = db.prepare_cached(
        "INSERT INTO callbacks (call, promised_at, number, client, client_name, owner, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (call) DO UPDATE SET
            promised_at = excluded.promised_at, number = excluded.number, client = excluded.client,
            client_name = excluded.client_name, owner = excluded.owner, why = excluded.why
         WHERE why = ''",
    )?;
    sql.execute(params![
        text(call),
        at,
        number.as_ref().map(|n| n.as_str()),
        client.as_ref().map(|c| c.id.0),
        client.as_ref().map(|c| c.name.as_ref()),
        owner.as_ref().map(|o| o.as_str()),
        why.as_ref(),
    ])
    .map(drop)
}

fn callback(
    db: &Connection,
    at: i64,
    call: &str,
    change: &CallbackChange,
    by: &str,
) -> rusqlite::Result<()> {
    let (word, note, done_at) = match change {
        CallbackChange::Tried { note } => ("tried", note, None),
        CallbackChange::Done { note } => ("done", note, Some(at)),
    };
    db.prepare_cached(
        "INSERT OR IGNORE INTO callback_changes (call, at, change, note, by)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![call, at, word, note.as_ref(), by])?;
    db.prepare_cached(
        "INSERT INTO callbacks (call, promised_at, done_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (call) DO UPDATE SET done_at = ifnull(done_at, excluded.done_at)",
    )?
    .execute(params![call, at, done_at])
    .map(drop)
}

fn administration(db: &Connection, at: i64, what: &What, run: u32) -> rusqlite::Result<()> {
    match what {
        What::Agent { person, change, by } => {
            let reason = match change {
                AgentChange::Paused { reason } => Some(reason.as_ref()),
                _ => None,
            };
            db.prepare_cached(
                "INSERT INTO agent_changes (at, person, change, reason, by)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                at,
                person.as_str(),
                agent_word(change),
                reason,
                by.as_ref()
            ])
        }
        What::Changed { what, detail, by } => db
            .prepare_cached("INSERT INTO changes (at, what, detail, by) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at, what.as_ref(), detail.as_ref(), by.as_ref()]),
        What::Ordered { what, orders: _, by } => db
            .prepare_cached("INSERT INTO changes (at, what, detail, by) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at, "order", what.as_ref(), by.as_ref()]),
        What::PolicyAccepted { hash, policy, calendars, by } => db
            .prepare_cached(
                "INSERT OR IGNORE INTO policies (hash, policy, calendars, accepted_at, by)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![hash.as_ref(), policy.as_ref(), calendars.as_ref(), at, by.as_ref()]),
        What::DirectoryTaken { hash, directory } => {
            let json = serde_json::to_string(directory).unwrap_or_default();
            db.prepare_cached(
                "INSERT OR IGNORE INTO directories (hash, json, taken_at) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![hash.as_ref(), json, at])
        }
        What::ServerStarted { version } => db
            .prepare_cached(
                "INSERT OR IGNORE INTO runs (run, started_at, version) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![run, at, version.as_ref()]),
        _ => Ok(0),
    }
    .map(drop)
}

fn agent_word(change: &AgentChange) -> &'static str {
    match change {
        AgentChange::LoggedIn => "logged_in",
        AgentChange::LoggedOut => "logged_out",
        AgentChange::Paused { .. } => "paused",
        AgentChange::Resumed => "resumed",
        AgentChange::Locked => "locked",
        AgentChange::Released => "released",
    }
}

fn text(call: &crate::domain::CallKey) -> String {
    call.to_string()
}

/// The word by which JSON names a variant of a plain enum.
pub fn word<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

/// Microseconds since 1970.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}
