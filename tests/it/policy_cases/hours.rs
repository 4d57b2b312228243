//! The shipped calendars, mutated line by line, as the policy is: whatever changes the hours in which somebody
//! works is caught by the check or by a clause's test. The table: `cargo test --test it -- hours --nocapture`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use telefonist::domain::Directory;
use telefonist::policy::calendars;

use super::mutations::{failing_case, hear_no_panics_of_mutants};
use super::office::{CALENDARS, POLICY, office};

thread_local! {
    /// The calendars that the cases of this thread are tried on instead of the shipped ones.
    pub static MUTANT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A day's hours by the calendar's own clock; `-` when it is closed.
pub fn of(directory: &Directory, calendar: &str, day: Date) -> String {
    let Some(calendar) = directory.calendar(calendar) else { return "no calendar".to_owned() };
    let edges = calendar.edges(day).into_iter();
    let edges = edges.map(|at| calendar.zone().to_datetime(at).strftime("%H:%M").to_string());
    let edges: Vec<String> = edges.collect();
    if edges.is_empty() { "-".to_owned() } else { edges.join("-") }
}

fn with(changed: usize, line: &str) -> String {
    let lines = CALENDARS.lines().enumerate();
    lines.map(|(i, old)| format!("{}\n", if i == changed { line } else { old })).collect()
}

const SWAPS: [(&str, &str); 10] = [
    (":00-", ":30-"),
    (":30-", ":00-"),
    (":00\"", ":15\""),
    (":15\"", ":45\""),
    (":30\"", ":00\""),
    ("mon-", "tue-"),
    ("-fri", "-thu"),
    ("\"closed\"", "\"10:00-12:00\""),
    ("Europe/Berlin", "Asia/Yekaterinburg"),
    ("Asia/Yekaterinburg", "Europe/Berlin"),
];

/// What was done, and the text that came of it.
fn mutations() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let lines = CALENDARS.lines().enumerate();
    for (i, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        found.push((format!("{}: delete: {line}", i + 1), with(i, "")));
        for (from, to) in SWAPS.iter().filter(|(from, _)| line.contains(from)) {
            let text = with(i, &line.replacen(from, to, 1));
            found.push((format!("{}: {from} → {to}: {line}", i + 1), text));
        }
        for day in ["01-01", "01-02", "02-23", "12-24", "12-25", "12-26"] {
            if line.starts_with(day) {
                let text = with(i, &line.replacen(day, "07-14", 1));
                found.push((format!("{}: another day: {line}", i + 1), text));
            }
        }
    }
    found
}

/// Some calendar is open at another time than as shipped, on some day: of an ordinary week, and around
/// whatever the calendars except.
fn harms(text: &str) -> Option<String> {
    let Ok(mutated) = calendars("calendars.toml", text) else { return None };
    let shipped = calendars("calendars.toml", CALENDARS).expect("good calendars");
    let around = [date(2025, 12, 22), date(2026, 2, 20), date(2026, 7, 13), date(2026, 12, 21)];
    let days = around.into_iter().flat_map(|day| day.series(jiff::Span::new().days(1)).take(14));
    let days: BTreeSet<Date> = days.collect();
    for (name, calendar) in &shipped {
        let Some(other) = mutated.get(name) else { return Some(format!("{name} is gone")) };
        if let Some(day) = days.iter().find(|day| calendar.edges(**day) != other.edges(**day)) {
            return Some(format!("{name} has other hours on {day}"));
        }
    }
    None
}

#[test]
fn every_mutation_of_the_shipped_hours_that_changes_them_is_caught() {
    hear_no_panics_of_mutants();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut survivors = Vec::new();
    for (what, text) in mutations() {
        MUTANT.set(Some(text.clone()));
        // Calendars that cannot be read make no office.
        let problems = match calendars("calendars.toml", &text) {
            Err(problems) => problems,
            Ok(_) => office().compile().map_or_else(|found| found, |policy| policy.warnings),
        };
        let harm = harms(&text);
        let verdict = match (problems.first(), &harm) {
            (Some(problem), _) => ("check", problem.message.clone()),
            (None, None) => ("harmless", String::new()),
            (None, Some(harm)) => match failing_case(POLICY, "c2_") {
                Some(case) => ("case", case.to_owned()),
                None => ("SURVIVES", harm.clone()),
            },
        };
        MUTANT.set(None);
        println!("{:<9} {what}\n          {}", verdict.0, verdict.1);
        *counts.entry(verdict.0).or_default() += 1;
        if verdict.0 == "SURVIVES" {
            survivors.push(what);
        }
    }
    println!("{counts:?}");
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    assert!(counts["check"] > 5 && counts["case"] > 30, "the mutations bite: {counts:?}");
}
