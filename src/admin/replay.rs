//! `telefonist replay`: past calls of the register under another policy.
//!
//! ```text
//! register ─► grounds (facts, presence, directory) ─┬─ the policy of then ─► as recorded? (it must be)
//!                                                   └─ the new one ────────► elsewhere? ─► by clause
//! plans of both ─► queues again with the recorded arrivals and talk times ─► waits (an estimate)
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::ReplayArgs;
use super::calls::register;
use super::context::Context;
use super::output::{Failure, Printed, table};
use crate::config::read;
use crate::domain::{DirectoryRecord, TrunkId};
use crate::policy::{
    Arrival, Decision, Ending, Names, Plan, Policy, Service, Sources, calendars_as_read, estimate,
};
use crate::server::CALENDARS_FILE;
use crate::store::StoreError;
use crate::store::register::{PastDecision, Register};

type Directory = Arc<crate::domain::Directory>;

/// Calls named one by one in the text.
const SHOWN_MAX: usize = 50;
/// Calls named one by one in JSON, and calls that queue again.
const CALLS_MAX: usize = 200_000;
/// Directories and policies kept ready; a longer span reads some of them again.
const KEPT_MAX: usize = 64;

/// What the estimate takes for granted; printed with it.
const ASSUMPTIONS: [&str; 5] = [
    "whoever is offered a call takes it at once; nobody misses or refuses one",
    "who was gone when a call was decided is gone for that call; whom that decision did not ask counts as there",
    "who was busy then is busy only if one of these calls makes them so",
    "a caller who gave up has the recorded patience, everybody else waits to the plan's end",
    "a call that nobody answered would have lasted as long as the mean",
];

pub(super) fn replay(context: &Context, args: &ReplayArgs) -> Result<Printed, Failure> {
    let since = args.since.as_deref().map(|t| context.instant(t)).transpose()?;
    let until = args.until.as_deref().map(|t| context.instant(t)).transpose()?;
    let config = context.config()?;
    let calendars = match &args.calendars {
        Some(file) => file.clone(),
        None => context.config_dir.join(CALENDARS_FILE),
    };
    let texts = (text(&args.policy)?, text(&calendars)?);
    let register = register(context)?;
    let mut names = Names::of(&config.settings);
    names.trunks.extend(gone_trunks(&register, &names)?);
    let (policy_name, calendars_name) =
        (args.policy.display().to_string(), calendars.display().to_string());
    let sources =
        Sources { policy: (&policy_name, &texts.0), calendars: (&calendars_name, &texts.1) };
    let new = Policy::read(&sources, &names)?;
    let mut replay = Replay {
        register: &register,
        names: &names,
        new: &new,
        new_calendars: &texts.1,
        policies: BTreeMap::new(),
        records: BTreeMap::new(),
        directories: BTreeMap::new(),
        report: Report::default(),
        failed: None,
    };
    let damaged = register.past_decisions(since, until, &mut |past| replay.take(past))?;
    if let Some(error) = replay.failed {
        return Err(error.into());
    }
    let mut report = replay.report;
    report.damaged += damaged;
    let wrap_up = i64::try_from(config.settings.timers.wrap_up.as_millis()).unwrap_or(0);
    Ok(report.printed(wrap_up))
}

fn text(file: &Path) -> Result<String, Failure> {
    read(file).map_err(|problem| Failure::from(vec![problem]))
}

/// Trunks that calls came over and that are not set up any more: old rules may name them.
fn gone_trunks(
    register: &Register,
    names: &Names,
) -> Result<Vec<(TrunkId, std::time::Duration)>, Failure> {
    let all = register.trunks()?.into_iter();
    let gone = all.filter(|trunk| !names.trunks.iter().any(|(known, _)| known == trunk));
    Ok(gone.map(|trunk| (trunk, std::time::Duration::MAX)).collect())
}

/// What came of it.
#[derive(Default)]
struct Report {
    calls: u64,
    reproduced: u64,
    /// Calls whose decision does not come out as it was recorded.
    other: Vec<String>,
    without_grounds: u64,
    damaged: u64,
    elsewhere: u64,
    moved: Vec<Value>,
    /// By the clauses before and after: how many.
    by_clause: BTreeMap<(String, String), u64>,
    same_people: u64,
    recorded: Service,
    old: Vec<(Arrival, Plan)>,
    new: Vec<(Arrival, Plan)>,
}

struct Replay<'a> {
    register: &'a Register,
    names: &'a Names,
    new: &'a Policy,
    new_calendars: &'a str,
    policies: BTreeMap<String, Option<Arc<Policy>>>,
    records: BTreeMap<Arc<str>, Option<Arc<DirectoryRecord>>>,
    /// By the directory's hash and the calendars' policy ("": the new ones).
    directories: BTreeMap<(Arc<str>, String), Option<Directory>>,
    report: Report,
    failed: Option<StoreError>,
}

impl Replay<'_> {
    fn take(&mut self, past: PastDecision) {
        if self.failed.is_some() {
            return;
        }
        self.report.calls += 1;
        if let Err(error) = self.compare(&past) {
            self.failed = Some(error);
        }
    }

    fn compare(&mut self, past: &PastDecision) -> Result<(), StoreError> {
        let (Some(grounds), Some(explanation)) = (&past.grounds, &past.explanation) else {
            self.report.without_grounds += 1;
            return Ok(());
        };
        let policy = self.policy(&past.policy)?;
        let hash = &grounds.directory;
        let (Some(policy), Some(then), Some(now)) = (
            policy.clone(),
            policy.map_or(Ok(None), |p| self.directory(hash, &past.policy, p.calendars_text()))?,
            self.directory(hash, "", self.new_calendars)?,
        ) else {
            self.report.without_grounds += 1;
            return Ok(());
        };
        let again = grounds.replay(&policy, &then);
        let as_recorded = again.explanation == *explanation
            && *again.rule == *past.rule
            && *again.clause == *past.clause;
        match as_recorded {
            true => self.report.reproduced += 1,
            false if self.report.other.len() < SHOWN_MAX => {
                self.report.other.push(past.call.to_string());
            }
            false => {}
        }
        let new = grounds.replay(self.new, &now);
        self.report.note(past, &again, &new);
        Ok(())
    }

    fn policy(&mut self, hash: &str) -> Result<Option<Arc<Policy>>, StoreError> {
        if let Some(known) = self.policies.get(hash) {
            return Ok(known.clone());
        }
        let compiled = self.register.policy(hash)?.and_then(|text| {
            let sources = Sources {
                policy: ("policy.toml", &text.policy),
                calendars: (CALENDARS_FILE, &text.calendars),
            };
            Policy::read(&sources, self.names).ok().map(Arc::new)
        });
        keep(&mut self.policies, hash.to_owned(), &compiled);
        Ok(compiled)
    }

    fn directory(
        &mut self,
        hash: &Arc<str>,
        calendars_of: &str,
        calendars: &str,
    ) -> Result<Option<Directory>, StoreError> {
        let key = (hash.clone(), calendars_of.to_owned());
        if let Some(known) = self.directories.get(&key) {
            return Ok(known.clone());
        }
        let record = match self.records.get(hash) {
            Some(known) => known.clone(),
            None => {
                let record = self.register.directory(hash)?.map(Arc::new);
                keep(&mut self.records, hash.clone(), &record);
                record
            }
        };
        let built = record.and_then(|record| {
            let calendars = calendars_as_read(CALENDARS_FILE, calendars);
            crate::domain::Directory::replay(&record, calendars).ok().map(Arc::new)
        });
        keep(&mut self.directories, key, &built);
        Ok(built)
    }
}

fn keep<K: Ord, V: Clone>(kept: &mut BTreeMap<K, V>, key: K, value: &V) {
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key, value.clone());
}

/// Whom the plan rings in which order, and how it ends.
fn way(decision: &Decision) -> (Vec<(Vec<&str>, bool)>, &Ending) {
    let steps = decision.explanation.steps.iter().filter(|step| !step.people.is_empty());
    let people = steps.map(|step| {
        let people = step.people.iter().map(|person| person.person.as_str());
        (people.collect(), step.only)
    });
    (people.collect(), &decision.explanation.ending)
}

impl Report {
    fn note(&mut self, past: &PastDecision, old: &Decision, new: &Decision) {
        if way(old) != way(new) {
            self.elsewhere += 1;
            let clauses = (old.clause.to_string(), new.clause.to_string());
            *self.by_clause.entry(clauses).or_default() += 1;
            if self.moved.len() < CALLS_MAX {
                self.moved.push(json!({
                    "call": past.call, "arrived_at": past.arrived_at,
                    "old": plan(old), "new": plan(new),
                }));
            }
        } else if (&old.rule, &old.clause, timed(old)) != (&new.rule, &new.clause, timed(new)) {
            self.same_people += 1;
        }
        match (past.answer_ms, past.patience_ms) {
            (Some(wait), _) => self.recorded.answered(wait),
            (None, gave_up) => self.recorded.lost(gave_up.is_some()),
        }
        if self.old.len() < CALLS_MAX {
            let arrival = Arrival {
                at_ms: past.arrived_at.as_millisecond(),
                talk_ms: past.talk_ms,
                patience_ms: past.patience_ms,
            };
            self.old.push((arrival.clone(), old.plan.clone()));
            self.new.push((arrival, new.plan.clone()));
        }
    }

    fn printed(self, wrap_up_ms: i64) -> Printed {
        let (old, new) = (estimate(&self.old, wrap_up_ms), estimate(&self.new, wrap_up_ms));
        let other = self.calls - self.reproduced - self.without_grounds;
        let mut text = format!(
            "{} calls; {} decided again as recorded, {other} otherwise; {} cannot be decided again \
             (their grounds, policy or people were not kept), {} rows are damaged\n",
            self.calls, self.reproduced, self.without_grounds, self.damaged
        );
        for call in &self.other {
            text.push_str(&format!("  not as recorded: {call}\n"));
        }
        text.push_str(&format!(
            "{} would have gone elsewhere; {} to the same people by another rule or other times\n",
            self.elsewhere, self.same_people
        ));
        for ((from, to), count) in &self.by_clause {
            text.push_str(&format!("\n{from} → {to}: {count} calls\n"));
            let of_clause = |call: &&Value| {
                call["old"]["clause"] == from.as_str() && call["new"]["clause"] == to.as_str()
            };
            for call in self.moved.iter().filter(of_clause).take(SHOWN_MAX) {
                text.push_str(&in_words(call));
            }
        }
        text.push_str(&estimated(&[
            ("as recorded", &self.recorded),
            ("estimate, the policy of then", &old),
            ("estimate, the new policy", &new),
        ]));
        let clauses = self.by_clause.iter();
        let clauses: Vec<Value> =
            clauses.map(|((o, n), count)| json!({"old": o, "new": n, "calls": count})).collect();
        let json = json!({
            "calls": self.calls, "reproduced": self.reproduced, "not_reproduced": other,
            "not_reproduced_calls": self.other, "without_grounds": self.without_grounds,
            "damaged": self.damaged, "elsewhere": self.elsewhere, "same_people": self.same_people,
            "by_clause": clauses, "moved": self.moved,
            "service": {
                "recorded": self.recorded, "old_estimate": old, "new_estimate": new,
                "assumptions": ASSUMPTIONS,
            },
        });
        Printed { found: other > 0, ..Printed::new(text, json) }
    }
}

fn timed(decision: &Decision) -> Vec<(std::time::Duration, std::time::Duration)> {
    decision.explanation.steps.iter().map(|step| (step.ring, step.wait)).collect()
}

fn plan(decision: &Decision) -> Value {
    let steps = decision.explanation.steps.iter();
    let steps: Vec<Value> = steps
        .map(|step| {
            let people: Vec<&str> = step.people.iter().map(|p| p.person.as_str()).collect();
            json!({ "to": step.to, "clause": step.clause, "people": people, "note": step.note })
        })
        .collect();
    let why = decision.explanation.rules.last().map(|rule| rule.why.clone());
    json!({
        "rule": decision.rule, "clause": decision.clause, "why": why, "steps": steps,
        "ending": decision.explanation.ending,
    })
}

fn in_words(call: &Value) -> String {
    let side = |plan: &Value| {
        let steps = plan["steps"].as_array().into_iter().flatten();
        let steps: Vec<&str> = steps.filter_map(|step| step["to"].as_str()).collect();
        let word = |field: &str| plan[field].as_str().unwrap_or_default().to_owned();
        format!("{} ({}): {}", word("rule"), word("why"), steps.join(" → "))
    };
    let at = call["arrived_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let at = at.map(|at| at.to_zoned(TimeZone::system()).strftime("%F %H:%M:%S").to_string());
    let key = call["call"].as_str().unwrap_or_default();
    let (old, new) = (side(&call["old"]), side(&call["new"]));
    format!("  {key} {}\n    old {old}\n    new {new}\n", at.unwrap_or_default())
}

fn estimated(rows: &[(&str, &Service)]) -> String {
    let seconds = |ms: i64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, service)| {
            vec![
                (*name).to_owned(),
                service.answered.to_string(),
                service.abandoned.to_string(),
                service.unanswered.to_string(),
                seconds(service.mean_wait_ms()),
                format!("{} %", service.level_percent()),
            ]
        })
        .collect();
    let head = ["", "answered", "abandoned", "nobody", "mean wait", "within 20 s"];
    let assumed = ASSUMPTIONS.map(|a| format!("  - {a}\n")).concat();
    format!("\n{}The estimates are estimates; they assume:\n{assumed}", table(&head, &rows))
}
