//! `telefonist replay`: past calls of the register under another policy.
//!
//! ```text
//! register ─► grounds (facts, presence, directory) ─┬─ the policy of then ─► as recorded? (it must be)
//!                                                   └─ the new one ────────► elsewhere? ─► by clause
//! recorded arrivals, rings, talks ─► rehearsed under both (`rehearsal`: the real switch) ─► waits
//! ```

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::ReplayArgs;
use super::calls::register;
use super::check;
use super::context::Context;
use super::output::{Failure, Printed};
use crate::config::{Config, read};
use crate::domain::{Directory, DirectoryRecord, DirectoryRows, PersonId, TrunkId};
use crate::policy::{
    Decision, Grounds, Names, Policy, Presence, Sources, calendars_as_read, lacking_calendars,
};
use crate::rehearsal::{Arrival, Rules, Seen};
use crate::server::CALENDARS_FILE;
use crate::store::StoreError;
use crate::store::register::{PastDecision, Register};

use self::report::{REHEARSED_MAX, Report, SHOWN_MAX};

/// Directories and policies kept ready; a longer span reads some of them again.
const KEPT_MAX: usize = 512;

pub(super) fn replay(context: &Context, args: &ReplayArgs) -> Result<Printed, Failure> {
    let since = args.since.as_deref().map(|t| context.instant(t)).transpose()?;
    let until = args.until.as_deref().map(|t| context.instant(t)).transpose()?;
    let config = context.config()?;
    let calendars = match &args.calendars {
        Some(file) => (file.clone(), "name a file of calendars with --calendars FILE"),
        None => (context.config_dir.join(CALENDARS_FILE), "name the folder with --config DIR"),
    };
    let policy = text(&args.policy, "name the file of the policy to try: --policy FILE")?;
    let calendars = (calendars.0.display().to_string(), text(&calendars.0, calendars.1)?);
    let register = register(context)?;
    let mut names = Names::of(&config.settings);
    names.trunks.extend(gone_trunks(&register, &names)?);
    let policy_name = args.policy.display().to_string();
    let sources =
        Sources { policy: (&policy_name, &policy), calendars: (&calendars.0, &calendars.1) };
    let (new, warnings) = checked(context, &config, &sources, &names)?;
    let mut replay = Replay {
        register: &register,
        names: &names,
        new: Arc::new(new),
        new_calendars: &calendars.1,
        policies: BTreeMap::new(),
        records: BTreeMap::new(),
        directories: BTreeMap::new(),
        known: BTreeMap::new(),
        report: Report::default(),
        failed: None,
    };
    let damaged = register.past_decisions(since, until, &mut |past| replay.take(past))?;
    if let Some(error) = replay.failed {
        return Err(error.into());
    }
    let unseen = replay.unseen();
    let mut report = replay.report;
    report.damaged += damaged;
    if let Some((first, ..)) = report.rehearsed.first_mut() {
        first.news.extend(unseen.iter().map(|person| (person.clone(), Seen::Gone)));
    }
    report.unseen = unseen;
    Ok(report.printed(&config.settings, (since, until)).warning(warnings))
}

/// The policy to try, checked as `check` does it: with the people of today, if there are any.
fn checked(
    context: &Context,
    config: &Config,
    sources: &Sources<'_>,
    names: &Names,
) -> Result<(Policy, Vec<String>), Failure> {
    let said = |why: String| vec![format!("names of people and roles are not checked: {why}")];
    let people = match check::people(context, &context.config_dir) {
        Ok(people) => people,
        Err(error) => return Ok((Policy::read(sources, names)?, said(error.to_string()))),
    };
    let Some(people) = people else {
        return Ok((Policy::read(sources, names)?, said("no people are known yet".to_owned())));
    };
    let (file, calendars) = sources.calendars;
    let rows = DirectoryRows { calendars: calendars_as_read(file, calendars), ..people.rows };
    let mut policy = Policy::read(sources, names)?;
    match Directory::build(None, rows, config.directory_limits) {
        Ok(directory) => {
            // What is wrong with the people themselves is no fault of this policy; that it lacks their
            // calendars is.
            let mut found = policy.check(&directory);
            found.retain(|problem| problem.line > 0 && problem.is_error());
            found.extend(lacking_calendars(&directory));
            if !found.is_empty() {
                found.extend(std::mem::take(&mut policy.warnings));
                found.sort_by_key(|problem| (problem.line, problem.column));
                return Err(found.into());
            }
            Ok((policy, Vec::new()))
        }
        Err(lines) => Ok((policy, said(lines.join("; ")))),
    }
}

fn text(file: &Path, hint: &str) -> Result<String, Failure> {
    read(file).map_err(|mut problem| {
        if problem.message.starts_with("cannot be read") {
            problem.hint = Some(hint.to_owned());
        }
        Failure::from(vec![problem])
    })
}

/// Trunks that calls came over and that are not set up any more: old rules may name them.
fn gone_trunks(register: &Register, names: &Names) -> Result<Vec<(TrunkId, Duration)>, Failure> {
    let all = register.trunks()?.into_iter();
    let gone = all.filter(|trunk| !names.trunks.iter().any(|(known, _)| known == trunk));
    Ok(gone.map(|trunk| (trunk, Duration::MAX)).collect())
}

struct Replay<'a> {
    register: &'a Register,
    names: &'a Names,
    new: Arc<Policy>,
    new_calendars: &'a str,
    policies: BTreeMap<String, Option<Arc<Policy>>>,
    records: BTreeMap<Arc<str>, Option<Arc<DirectoryRecord>>>,
    /// By the directory's hash and the calendars' policy ("": the new ones).
    directories: BTreeMap<(Arc<str>, String), Option<Arc<Directory>>>,
    /// What the last decision that asked for somebody knew of them.
    known: BTreeMap<PersonId, Seen>,
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
        let as_recorded = again.explanation.is_as_recorded(explanation)
            && *again.rule == *past.rule
            && *again.clause == *past.clause;
        match as_recorded {
            true => self.report.reproduced += 1,
            false if self.report.other.len() < SHOWN_MAX => {
                self.report.other.push(past.call.to_string());
            }
            false => {}
        }
        let new = grounds.replay(&self.new, &now);
        self.report.note(past, &again, &new);
        if self.report.full.is_none() {
            let sizes = (self.report.rehearsed.len(), self.directories.len(), self.policies.len());
            self.report.full = full(sizes).map(|bound| (past.arrived_at, bound));
        }
        if self.report.full.is_none() {
            let news = self.news((grounds, &then), &again);
            let old = Rules { policy, directory: then };
            let new = Rules { policy: self.new.clone(), directory: now };
            self.report.rehearsed.push((arrival(past, grounds, news), old, new));
        }
        Ok(())
    }

    /// Of whom this decision knew something else than the one before. Why the directory itself lets
    /// somebody be gone, the rehearsal's knows too.
    fn news(
        &mut self,
        (grounds, then): (&Grounds, &Directory),
        decision: &Decision,
    ) -> Vec<(PersonId, Seen)> {
        let mut news = Vec::new();
        let people = decision.plan.steps.iter().flat_map(|step| step.people.iter());
        for member in people.filter(|member| member.may_come_free()) {
            let seen = match grounds.presence(member.agent) {
                Presence::Free | Presence::Busy { .. } => Seen::There,
                Presence::Gone { .. } => Seen::Gone,
                Presence::Unknown => continue,
            };
            let Some(person) = then.person(member.agent) else { continue };
            if self.known.insert(person.id.clone(), seen) != Some(seen) {
                news.push((person.id.clone(), seen));
            }
        }
        news
    }

    /// People with a phone's account of whom no decision says whether they were there.
    fn unseen(&self) -> BTreeSet<PersonId> {
        let directories = self.directories.values().flatten();
        let people = directories.flat_map(|directory| directory.agents());
        let people = people.map(|(_, person)| &person.id);
        people.filter(|person| !self.known.contains_key(*person)).cloned().collect()
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
    ) -> Result<Option<Arc<Directory>>, StoreError> {
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
            Directory::replay(&record, calendars).ok().map(Arc::new)
        });
        keep(&mut self.directories, key, &built);
        Ok(built)
    }
}

/// Which bound ends the rehearsal: calls, people, policies.
fn full((calls, directories, policies): (usize, usize, usize)) -> Option<String> {
    let max = KEPT_MAX - 1;
    if calls >= REHEARSED_MAX {
        Some(format!("rehearsed_calls_max = {REHEARSED_MAX}"))
    } else if directories >= max {
        let what = "versions of people, orders and hours, those of then and the new hours each";
        Some(format!("directories_max = {max} ({what})"))
    } else if policies >= max {
        Some(format!("policies_max = {max} (versions of the policy)"))
    } else {
        None
    }
}

fn keep<K: Ord, V: Clone>(kept: &mut BTreeMap<K, V>, key: K, value: &V) {
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key, value.clone());
}

/// A recorded call as it comes again.
fn arrival(past: &PastDecision, grounds: &Grounds, news: Vec<(PersonId, Seen)>) -> Arrival {
    let span = |ms: Option<i64>| ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    Arrival {
        at: past.arrived_at,
        facts: grounds.facts.clone(),
        ring: span(past.ring_ms),
        talk: span(past.talk_ms),
        patience: span(past.patience_ms),
        news,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_of_the_rehearsal_ends_it_and_is_named() {
        let named = |sizes| full(sizes).unwrap_or_default();
        assert_eq!(named((REHEARSED_MAX - 1, KEPT_MAX - 2, KEPT_MAX - 2)), "");
        assert_eq!(named((REHEARSED_MAX, 1, 1)), "rehearsed_calls_max = 50000");
        assert!(
            named((1, KEPT_MAX - 1, 1)).starts_with("directories_max = 511 (versions of people")
        );
        assert!(
            named((1, 1, KEPT_MAX - 1)).starts_with("policies_max = 511 (versions of the policy")
        );
    }
}
