//! The register as people read it: tables and stories in plain text.
//!
//! Pure: rows and a time zone in, text out. The JSON forms are the rows' own.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::query::{CallRow, between_ms};
use super::story::{CallStory, OfferRow, StepRow};
use super::table::table;
use super::word;
use crate::domain::one_line;
use crate::policy::{Candidate, Explanation, Presence};
use crate::store::callbacks::{Callback, CallbackEntry};
use crate::switch::{CallbackChange, Direction, Outcome, Party};

/// Calls as a table: one line each, with a head.
pub fn calls_table(calls: &[CallRow], zone: &TimeZone) -> String {
    let head =
        ["CALL", "ARRIVED", "FROM", "CLIENT", "RULE", "ANSWERED BY", "WAIT", "TALK", "OUTCOME"];
    let row = |call: &CallRow| {
        vec![
            call.call.to_string(),
            date_time(call.arrived_at, zone),
            caller(call),
            call.client.as_ref().map_or_else(String::new, |c| c.name.to_string()),
            rule(call).unwrap_or_default(),
            call.answered_by.as_ref().map_or_else(String::new, |a| a.to_string()),
            call.wait_ms.map_or_else(String::new, span),
            call.talk_ms.map_or_else(String::new, span),
            state(call).to_owned(),
        ]
    };
    table(&head, &calls.iter().map(row).collect::<Vec<_>>())
}

/// Promised callbacks as a table: one line each, with a head.
pub fn callbacks_table(callbacks: &[Callback], zone: &TimeZone) -> String {
    let head = ["ID", "PROMISED", "NUMBER", "CLIENT", "OWNER", "TRIES", "STATE", "WHY", "CALL"];
    let row = |callback: &Callback| {
        vec![
            callback.id.to_string(),
            date_time(callback.promised_at, zone),
            callback.number.as_ref().map_or("withheld".into(), |n| n.to_string()),
            callback.client.as_ref().map_or_else(String::new, |c| c.name.to_string()),
            callback.owner.as_ref().map_or_else(String::new, |o| o.to_string()),
            callback.tries.to_string(),
            if callback.is_open() { "open" } else { "done" }.to_owned(),
            callback.why.clone(),
            callback.call.to_string(),
        ]
    };
    table(&head, &callbacks.iter().map(row).collect::<Vec<_>>())
}

/// One call's whole story.
pub fn story_text(story: &CallStory, zone: &TimeZone) -> String {
    let mut out = String::new();
    let call = &story.call;
    line(&mut out, "call", &call.call.to_string());
    line(&mut out, "arrived", &arrival(call, zone));
    line(&mut out, "client", &call.client.as_ref().map_or("nobody known".into(), client_text));
    if let Some(rule) = rule(call) {
        let policy = story.policy.as_deref().unwrap_or("unknown");
        line(&mut out, "rule", &format!("{rule}, policy {policy}"));
    }
    match &story.explanation {
        Some(explanation) => explain(&mut out, explanation),
        None => line(&mut out, "why", "no explanation was kept"),
    }
    out.push('\n');
    for (at, text) in events(story) {
        let since = between_ms(call.arrived_at, at);
        let _ = writeln!(out, "  {:>9}  {}", format!("+{}", clock(since)), one_line(&text));
    }
    if let Some(callback) = &story.callback {
        out.push('\n');
        promise(&mut out, callback, zone);
    }
    out
}

fn arrival(call: &CallRow, zone: &TimeZone) -> String {
    let mut text = format!("{} from {}", date_time(call.arrived_at, zone), caller(call));
    if !call.to.is_empty() {
        let _ = write!(text, " to {}", call.to);
    }
    if let Some(trunk) = &call.trunk {
        let _ = write!(text, " over trunk {trunk}");
    }
    match call.direction {
        Some(Direction::Inbound) => {}
        Some(Direction::Outbound) => text.push_str(" (outbound)"),
        Some(Direction::Internal) => text.push_str(" (internal)"),
        Some(Direction::Pass) => text.push_str(" (passed through)"),
        None => text.push_str(" (its arrival was lost with a damaged line of the journal)"),
    }
    text
}

fn caller(call: &CallRow) -> String {
    match (&call.caller, &call.from, call.from_raw.as_str()) {
        (Some(person), ..) => person.to_string(),
        (None, Some(number), _) => number.to_string(),
        (None, None, "") => "withheld".into(),
        (None, None, raw) => raw.into(),
    }
}

fn client_text(client: &crate::switch::ClientRef) -> String {
    format!("{} ({})", client.name, client.id.0)
}

fn rule(call: &CallRow) -> Option<String> {
    let (rule, clause) = (call.rule.as_ref()?, call.clause.as_deref().unwrap_or("?"));
    Some(format!("{rule} ({clause})"))
}

fn explain(out: &mut String, explanation: &Explanation) {
    for fact in &explanation.facts {
        let age = fact.age_s.map(|s| format!(" ({} old)", age(s))).unwrap_or_default();
        line(out, "fact", &format!("{}: {}{age}", fact.name, fact.value));
    }
    for tried in &explanation.rules {
        let verdict = if tried.matched { "yes" } else { "no" };
        line(out, "tried", &format!("{} ({}): {verdict}, {}", tried.rule, tried.clause, tried.why));
    }
    for step in &explanation.steps {
        let mut people: Vec<String> = step.people.iter().map(candidate).collect();
        people.extend(step.others.iter().map(ToString::to_string));
        people.extend(step.note.iter().map(ToString::to_string));
        let people = if people.is_empty() { "nobody".into() } else { people.join("; ") };
        let choice = step.choice_in_words().map(|c| format!(", {c}")).unwrap_or_default();
        line(out, "plan", &format!("{} ({}){choice}: {people}", step.to, step.clause));
    }
    for note in &explanation.notes {
        line(out, "note", note);
    }
}

fn candidate(person: &Candidate) -> String {
    let presence = match &person.presence {
        Presence::Free => "free".to_owned(),
        Presence::Busy { why } => format!("busy: {why}"),
        Presence::Gone { why } => format!("gone: {why}"),
        Presence::Unknown => "presence unknown".to_owned(),
    };
    let closed = if person.closed { ", closed" } else { "" };
    match &person.stands_in_for {
        Some(other) => format!("{} for {other} ({presence}{closed})", person.person),
        None => format!("{} ({presence}{closed})", person.person),
    }
}

/// Everything that happened, in the order of time.
fn events(story: &CallStory) -> Vec<(Timestamp, String)> {
    let mut events = Vec::new();
    for step in &story.steps {
        events.push((step.at, step_text(step)));
    }
    let begun = |step: u16| story.steps.iter().find(|s| s.step == step).map(|s| s.at);
    for offer in &story.offers {
        // Its time is that of the claim, which may be a moment before the step was written.
        let offered_at = begun(offer.step).map_or(offer.offered_at, |at| at.max(offer.offered_at));
        let phones = if offer.phones == 1 { "phone" } else { "phones" };
        let n = offer.offer;
        let why = offer.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
        let text = format!("offer {n}: {} ({} {phones}){why}", offer_agent(offer), offer.phones);
        events.push((offered_at, text));
        events.extend(offer.rang_at.map(|at| (at, format!("offer {n}: rings"))));
        events.extend(offer.ended_at.map(|at| (at, offer_end(offer))));
    }
    let call = &story.call;
    if let Some(at) = call.answered_at {
        let by = call.answered_by.as_ref().map_or("the other side".into(), |a| a.to_string());
        events.push((at, format!("answered by {by} after {}", span(call.wait_ms.unwrap_or(0)))));
    }
    if let Some(promised) = &story.callback {
        events.push((promised.promised_at, "a callback is promised".into()));
    }
    // Stable: what happened in one turn stays as listed here.
    events.sort_by_key(|(at, _)| *at);
    if call.survived_restart {
        let at = call.ended_at.or(call.answered_at).unwrap_or(call.arrived_at);
        events.push((at, "it survived a restart of the server".into()));
    }
    events.extend(call.ended_at.map(|at| (at, end_text(call))));
    events
}

fn step_text(step: &StepRow) -> String {
    let why = if step.why.is_empty() { String::new() } else { format!(": {}", step.why) };
    // From 1 for people, as `explain` counts.
    format!("step {}: {} ({}){why}", u32::from(step.step) + 1, step.to, step.clause)
}

fn offer_agent(offer: &OfferRow) -> String {
    match &offer.stands_in_for {
        Some(other) => format!("{} for {other}", offer.agent),
        None => offer.agent.to_string(),
    }
}

fn offer_end(offer: &OfferRow) -> String {
    let result = offer.result.as_ref().map_or("ended".into(), |r| word(r).replace('_', " "));
    let status = offer.status.map(|s| format!(" ({s})")).unwrap_or_default();
    let took = span(offer.took_ms.unwrap_or(0));
    format!("offer {}: {result}{status} after {took}", offer.offer)
}

fn end_text(call: &CallRow) -> String {
    let by = match call.ended_by {
        Some(Party::Caller) => " by the caller",
        Some(Party::Callee) => " by the called side",
        Some(Party::Server) => " by the server",
        Some(Party::Supervisor) => " by a supervisor",
        None => "",
    };
    let mut text = format!("ended{by}: {}", call.outcome.map_or("unknown", outcome));
    if let Some(status) = call.status {
        let _ = write!(text, " ({status})");
    }
    if let Some(talk) = call.talk_ms {
        let _ = write!(text, ", talked {}", span(talk));
    }
    if !call.reason.is_empty() {
        let _ = write!(text, ", {}", call.reason);
    }
    text
}

fn promise(out: &mut String, callback: &Callback, zone: &TimeZone) {
    let number = callback.number.as_ref().map_or("a withheld number".into(), |n| n.to_string());
    let owner = callback.owner.as_ref().map_or("nobody".into(), |o| o.to_string());
    let state = if callback.is_open() { "open" } else { "done" };
    line(out, "callback", &format!("{}: {number}, owner {owner}, {state}", callback.id));
    for CallbackEntry { at, change, by } in &callback.changes {
        let (what, note) = match change {
            CallbackChange::Tried { note } => ("tried", note),
            CallbackChange::Done { note } => ("done", note),
        };
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        line(out, "", &format!("{} {what} by {by}{note}", date_time(*at, zone)));
    }
}

fn state(call: &CallRow) -> &'static str {
    match (call.outcome, call.answered_at) {
        (Some(ended), _) => outcome(ended),
        (None, Some(_)) => "talking",
        (None, None) => "waiting",
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Abandoned => "abandoned",
        Outcome::CallbackPromised => "callback promised",
        Outcome::OutOfHours => "out of hours",
        Outcome::Overload => "overload",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::CutByRestart => "cut by a restart",
        Outcome::StarCode => "star code",
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "{name:<9} {}", one_line(text));
}

fn date_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `0.3 s`, `59.9 s`, `2:05`, `1:02:05`.
fn span(ms: i64) -> String {
    if ms < 60_000 {
        return format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    }
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// Time since the call's arrival, to the millisecond: `0.350`, `1:23.004`.
fn clock(ms: i64) -> String {
    let (m, s, ms) = (ms / 60_000, ms / 1_000 % 60, ms % 1_000);
    if m > 0 { format!("{m}:{s:02}.{ms:03}") } else { format!("{s}.{ms:03}") }
}

fn age(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_exact() {
        for (ms, text) in [
            (0, "0.0 s"),
            (349, "0.3 s"),
            (59_999, "59.9 s"),
            (125_000, "2:05"),
            (3_725_000, "1:02:05"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!((clock(350), clock(83_004)), ("0.350".to_owned(), "1:23.004".to_owned()));
        assert_eq!(
            (age(3), age(180), age(90_000), age(259_200)),
            ("3 s".into(), "3 min".into(), "25 h".into(), "3 d".into())
        );
    }
}
