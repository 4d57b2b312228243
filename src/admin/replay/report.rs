//! What a replay found, for eyes and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::output::{Printed, one_line, table};
use crate::domain::{PersonId, Settings};
use crate::policy::{Decision, Ending};
use crate::rehearsal::{Arrival, Lost, Rules, Service, Usual, rehearse};
use crate::store::register::PastDecision;

/// Calls named one by one in the text.
pub(super) const SHOWN_MAX: usize = 50;
/// Calls named one by one in JSON.
const CALLS_MAX: usize = 200_000;
/// Calls that are rehearsed: some ten seconds for each of the two policies.
pub(super) const REHEARSED_MAX: usize = 50_000;

/// What a rehearsal takes for granted; printed with it.
const ASSUMPTIONS: [&str; 8] = [
    "settings, limits and times (wrap-up, back-off) are those of today's telefonist.toml, without limits on trunks",
    "a phone that rings is answered after the recorded time; nobody refuses, and a missed call locks nobody",
    "who was gone (logged out, paused, no phone) when a call was decided is gone until a later decision saw them \
     there; whom no decision asked for counts as gone",
    "nobody is busy with anything but these calls",
    "a caller who gave up has the recorded patience, everybody else waits to the plan's end",
    "a call that nobody answered would have rung and lasted as long as the mean of the others",
    "the switch's own times (a step's end, a ring's end) are kept to a tenth of a second",
    "the network loses nothing, and nobody is moved or groups closed otherwise than the records say",
];

/// What came of it.
#[derive(Default)]
pub(super) struct Report {
    pub(super) calls: u64,
    pub(super) reproduced: u64,
    /// Calls whose decision does not come out as it was recorded.
    pub(super) other: Vec<String>,
    pub(super) without_grounds: u64,
    pub(super) damaged: u64,
    elsewhere: u64,
    moved: Vec<Value>,
    /// By the clauses before and after: how many.
    by_clause: BTreeMap<(String, String), u64>,
    same_people: u64,
    same: Vec<Value>,
    recorded: Service,
    /// Calls that come again, with the rules of then and the new ones.
    pub(super) rehearsed: Vec<(Arrival, Rules, Rules)>,
    /// The arrival of the first call that was not rehearsed, and the bound that is why.
    pub(super) full: Option<(Timestamp, String)>,
    /// Whom no decision asked for.
    pub(super) unseen: BTreeSet<PersonId>,
}

/// What goes without saying of a group.
const LONGEST_IDLE: &str = "longest idle first";

/// Whom a step rings (by name, and by fingerprint if they are many), whether it lets go of the earlier
/// ones, whom of its people first and how many.
type Rings<'a> = (Vec<&'a str>, Option<&'a str>, bool, Option<String>);

/// Whom the plan rings in which order, and how it ends.
fn way(decision: &Decision) -> (Vec<Rings<'_>>, &Ending) {
    let steps = decision.explanation.steps.iter().filter(|step| !step.people.is_empty());
    let people = steps.map(|step| {
        let people = step.people.iter().map(|person| person.person.as_str());
        (people.collect(), step.fingerprint.as_deref(), step.only, step.choice_in_words())
    });
    (people.collect(), &decision.explanation.ending)
}

fn timed(decision: &Decision) -> Vec<(Duration, Duration)> {
    decision.explanation.steps.iter().map(|step| (step.ring, step.wait)).collect()
}

impl Report {
    pub(super) fn note(&mut self, past: &PastDecision, old: &Decision, new: &Decision) {
        let both = || {
            json!({
                "call": past.call, "arrived_at": past.arrived_at,
                "old": plan(old), "new": plan(new),
            })
        };
        if way(old) != way(new) {
            self.elsewhere += 1;
            let clauses = (old.clause.to_string(), new.clause.to_string());
            *self.by_clause.entry(clauses).or_default() += 1;
            if self.moved.len() < CALLS_MAX {
                self.moved.push(both());
            }
        } else if (&old.rule, &old.clause, timed(old)) != (&new.rule, &new.clause, timed(new)) {
            self.same_people += 1;
            if self.same.len() < CALLS_MAX {
                self.same.push(both());
            }
        }
        match (past.answer_ms, past.outcome.as_str()) {
            (Some(wait), _) => self.recorded.answered(wait),
            (None, "abandoned") => self.recorded.lost(Lost::Abandoned),
            (None, "callback_promised" | "out_of_hours") => self.recorded.lost(Lost::Promised),
            (None, _) => self.recorded.lost(Lost::Other),
        }
    }

    pub(super) fn printed(
        self,
        settings: &Settings,
        span: (Option<Timestamp>, Option<Timestamp>),
    ) -> Printed {
        let calls = |rules: fn(&(Arrival, Rules, Rules)) -> &Rules| -> Vec<(&Arrival, &Rules)> {
            self.rehearsed.iter().map(|call| (&call.0, rules(call))).collect()
        };
        let old = rehearse(settings, &calls(|(_, old, _)| old));
        let new = rehearse(settings, &calls(|(.., new)| new));
        let other = self.calls - self.reproduced - self.without_grounds;
        let text = match self.calls + self.damaged {
            0 => format!("no calls{}\n", within(span)),
            _ => self.text(other, &old, &new),
        };
        let clauses = self.by_clause.iter();
        let clauses: Vec<Value> =
            clauses.map(|((o, n), count)| json!({"old": o, "new": n, "calls": count})).collect();
        let json = json!({
            "calls": self.calls, "reproduced": self.reproduced, "not_reproduced": other,
            "not_reproduced_calls": self.other, "without_grounds": self.without_grounds,
            "damaged": self.damaged, "elsewhere": self.elsewhere, "same_people": self.same_people,
            "by_clause": clauses, "moved": self.moved, "other_times": self.same,
            "service": {
                "recorded": figures(&self.recorded), "old": figures(&old), "new": figures(&new),
                "rehearsed": self.rehearsed.len(), "assumptions": ASSUMPTIONS,
                "rehearsal_ended": self.full.as_ref().map(|(at, why)| json!({ "at": at, "bound": why })),
                "never_asked_for": self.unseen,
            },
        });
        Printed { found: other > 0, ..Printed::new(text, json) }
    }

    fn text(&self, other: u64, old: &Service, new: &Service) -> String {
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
            let shown = self.moved.iter().filter(of_clause);
            text.push_str(&listed(shown, *count, false));
        }
        if self.same_people > 0 {
            let count = self.same_people;
            text.push_str(&format!(
                "\nto the same people by another rule or other times: {count} calls\n"
            ));
            text.push_str(&listed(self.same.iter(), count, true));
        }
        text.push_str(&self.waits(old, new));
        text
    }

    fn waits(&self, old: &Service, new: &Service) -> String {
        let head = [
            "",
            "calls",
            "answered",
            "gave up",
            "promised",
            "other",
            "mean wait",
            "longest",
            "within 20 s",
        ];
        let mut rows = vec![
            row("as recorded", &self.recorded),
            row("rehearsed, the policy of then", old),
            row("rehearsed, the new policy", new),
        ];
        rows.push(difference(old, new));
        let usual = Usual::of(self.rehearsed.iter().map(|(call, ..)| call));
        let (ring, talk) = (usual.ring.as_secs_f32(), usual.talk.as_secs_f32());
        let mut text = format!("\n{}", table(&head, &rows));
        let (count, all) = (self.rehearsed.len(), self.calls);
        text.push_str(&format!(
            "{count} of {all} calls came again through the real switch in virtual time, under both \
             policies (at most the first {REHEARSED_MAX}).\n"
        ));
        text.extend(self.full.as_ref().map(ended));
        text.push_str("It was assumed:\n");
        text.extend(ASSUMPTIONS.map(|assumed| format!("  - {assumed}\n")));
        if !self.unseen.is_empty() {
            let names: Vec<&str> = self.unseen.iter().map(PersonId::as_str).collect();
            let named = names[..names.len().min(SHOWN_MAX)].join(", ");
            text.push_str(&format!("  - no decision asked for, so gone: {named}\n"));
        }
        text.push_str(&format!("  - these means: {ring:.1} s of ringing, {talk:.1} s of talk\n"));
        text
    }
}

/// Where the rehearsal ended, why, and what to do.
fn ended((at, bound): &(Timestamp, String)) -> String {
    let at = at.to_zoned(TimeZone::system()).strftime("%FT%H:%M").to_string();
    format!(
        "The rehearsal ended before the calls from {at} on: {bound} is reached. These are decided again, and \
         only their waits are missing; rehearse them with --since {at}\n"
    )
}

/// ` since 2026-03-02 09:00 and before 2026-03-03 00:00`.
fn within((since, until): (Option<Timestamp>, Option<Timestamp>)) -> String {
    let local = |at: Timestamp| at.to_zoned(TimeZone::system()).strftime("%F %H:%M").to_string();
    let since = since.map(|at| format!(" since {}", local(at)));
    let until = until.map(|at| format!(" before {}", local(at)));
    let both: Vec<String> = since.into_iter().chain(until).collect();
    if both.is_empty() { " in the register".to_owned() } else { both.join(" and") }
}

fn listed<'a>(calls: impl Iterator<Item = &'a Value>, count: u64, times: bool) -> String {
    let mut text: String = calls.take(SHOWN_MAX).map(|call| in_words(call, times)).collect();
    let more = count.saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        text.push_str(&format!("  … and {more} more (all with --json)\n"));
    }
    text
}

fn plan(decision: &Decision) -> Value {
    let steps = decision.explanation.steps.iter();
    let steps: Vec<Value> = steps
        .map(|step| {
            let people: Vec<&str> = step.people.iter().map(|p| p.person.as_str()).collect();
            json!({
                "to": step.to, "clause": step.clause, "people": people, "note": step.note,
                "others": step.others.map(|others| others.count()), "fingerprint": step.fingerprint,
                "only": step.only, "choice": step.choice_in_words(),
                "ring_ms": step.ring.as_millis() as u64, "wait_ms": step.wait.as_millis() as u64,
            })
        })
        .collect();
    let why = decision.explanation.rules.last().map(|rule| rule.why.clone());
    json!({
        "rule": decision.rule, "clause": decision.clause, "why": why, "steps": steps,
        "ending": decision.explanation.ending,
    })
}

fn in_words(call: &Value, times: bool) -> String {
    let side = |plan: &Value| {
        let steps = plan["steps"].as_array().into_iter().flatten();
        let steps: Vec<String> = steps.map(|step| step_in_words(step, times)).collect();
        let word = |field: &str| plan[field].as_str().unwrap_or_default().to_owned();
        let ending = ending_in_words(&plan["ending"]);
        let steps = steps.into_iter().chain([ending]).collect::<Vec<_>>().join(" → ");
        let way = format!("{} ({}): {steps}", word("rule"), word("why"));
        one_line(&way).into_owned()
    };
    let at = call["arrived_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let at = at.map(|at| at.to_zoned(TimeZone::system()).strftime("%F %H:%M:%S").to_string());
    let key = call["call"].as_str().unwrap_or_default();
    let (old, new) = (side(&call["old"]), side(&call["new"]));
    format!("  {key} {}\n    old {old}\n    new {new}\n", at.unwrap_or_default())
}

fn ending_in_words(ending: &Value) -> String {
    let word = |field: &str| ending[field].as_str();
    let what = word("ending").unwrap_or_default().replace('_', " ");
    match word("owner").or(word("trunk")) {
        Some(whose) => format!("{what} ({whose})"),
        None => what,
    }
}

fn step_in_words(step: &Value, times: bool) -> String {
    let choice = step["choice"].as_str().filter(|words| *words != LONGEST_IDLE);
    let count = step["people"].as_array().map_or(0, Vec::len) as u64;
    let only = step["only"].as_bool().unwrap_or_default().then_some("only");
    let others = step["others"].as_u64().map(|others| format!("{} people", count + others));
    let more: Vec<&str> = choice.into_iter().chain(only).chain(others.as_deref()).collect();
    let more = if more.is_empty() { String::new() } else { format!(" [{}]", more.join(", ")) };
    let to = format!("{}{more}", step["to"].as_str().unwrap_or_default());
    let span = |field: &str| seconds(step[field].as_i64().unwrap_or_default());
    match times {
        true => format!("{to} (ring {}, wait {})", span("ring_ms"), span("wait_ms")),
        false => to,
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

fn percent(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

fn figures(service: &Service) -> Value {
    let mut value = json!(service);
    value["mean_wait_ms"] = service.mean_wait_ms().into();
    value["level_permille"] = service.level_permille().into();
    value
}

fn row(name: &str, service: &Service) -> Vec<String> {
    let counts =
        [service.calls, service.answered, service.abandoned, service.promised, service.other];
    let mut row = vec![name.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.extend([seconds(service.mean_wait_ms()), seconds(service.longest_ms)]);
    row.push(percent(service.level_permille()));
    row
}

fn difference(old: &Service, new: &Service) -> Vec<String> {
    let sign = |by: i64| if by < 0 { "-" } else { "+" };
    let count = |old: u32, new: u32| {
        let by = i64::from(new) - i64::from(old);
        format!("{}{}", sign(by), by.abs())
    };
    let span = |old: i64, new: i64| format!("{}{}", sign(new - old), seconds((new - old).abs()));
    let (before, after) = (old.level_permille(), new.level_permille());
    let level = i64::from(after) - i64::from(before);
    vec![
        "difference".to_owned(),
        count(old.calls, new.calls),
        count(old.answered, new.answered),
        count(old.abandoned, new.abandoned),
        count(old.promised, new.promised),
        count(old.other, new.other),
        span(old.mean_wait_ms(), new.mean_wait_ms()),
        span(old.longest_ms, new.longest_ms),
        format!("{}{}", sign(level), percent(after.abs_diff(before))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_that_ended_early_says_before_which_call_by_which_bound_and_what_to_do() {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().expect("a time");
        let report =
            Report { full: Some((at, "directories_max = 511".into())), ..Report::default() };
        let text = report.waits(&Service::default(), &Service::default());
        let local = at.to_zoned(TimeZone::system()).strftime("%FT%H:%M").to_string();
        assert!(
            text.contains(&format!(
                "ended before the calls from {local} on: directories_max = 511"
            ))
        );
        assert!(text.contains(&format!("rehearse them with --since {local}")), "{text}");
        let whole = Report::default().waits(&Service::default(), &Service::default());
        assert!(!whole.contains("ended before"), "{whole}");
    }
}
