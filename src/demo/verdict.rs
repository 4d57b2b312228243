//! What came of each call, beside what had to come of it.
//!
//! The wire says who answered, the register says by which rule and over which steps, the paper (by
//! [`super::expected`]) says what is right. All three must agree.

use jiff::Timestamp;
use serde::Serialize;

use super::expected::{End, Expected, Situation, expect};
use super::play::Played;
use super::roster::Roster;
use super::script::Scene;
use crate::store::register::CallStory;
use crate::switch::{OfferResult, Outcome};

/// One call of the show's report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// From 1.
    pub call: u32,
    /// The register's key.
    pub key: Option<String>,
    /// What it shows.
    pub title: String,
    /// The calling number as the trunk wrote it; empty if withheld.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The client's name.
    pub client: Option<String>,
    /// The rule that took it.
    pub rule: Option<String>,
    /// The rule's clause.
    pub clause: Option<String>,
    /// Other clauses that it shows.
    pub clauses: Vec<&'static str>,
    /// Steps in order.
    pub steps: Vec<StepReport>,
    /// Who answered, as the caller's side saw it.
    pub answered_by: Option<String>,
    /// From arrival to answer or end, milliseconds.
    pub wait_ms: Option<i64>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The final status at the caller's side.
    pub status: Option<u16>,
    /// What the paper says.
    pub(super) expected: Expected,
    /// Everything that is not as it must be.
    pub faults: Vec<String>,
    /// There is no fault.
    pub ok: bool,
    #[serde(skip)]
    first_offer: Option<Timestamp>,
    #[serde(skip)]
    in_line: bool,
}

/// A step that began.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// As the policy says it.
    pub to: String,
    /// Its clause.
    pub clause: String,
    /// Why the one before was left, or who is skipped.
    pub why: String,
    /// When, from the arrival.
    pub at_ms: i64,
    /// Who was rung.
    pub offers: Vec<OfferReport>,
}

/// An offer to one person.
#[derive(Clone, Debug, Serialize)]
pub struct OfferReport {
    /// Whose phones.
    pub agent: String,
    /// For whom.
    pub stands_in_for: Option<String>,
    /// How many phones.
    pub phones: u16,
    /// When, from the arrival.
    pub at_ms: i64,
    /// How long.
    pub took_ms: Option<i64>,
    /// What became of it.
    pub result: Option<OfferResult>,
}

/// Judges the calls of one scene.
pub fn judge(
    roster: &Roster,
    (scene, night): (&Scene, bool),
    played: &[Played],
    stories: &[CallStory],
) -> Vec<Report> {
    let mut reports: Vec<Report> = played
        .iter()
        .map(|played| {
            let story = stories.iter().find(|s| s.sip_call_id == played.call_id);
            let state = |person: &str| scene.state(&played.call, person);
            let expected = expect(&Situation {
                roster,
                number: played.call.number.as_deref(),
                called: &played.call.to,
                night,
                gives_up: played.call.patience_s.is_some(),
                state: &state,
            });
            report(played, story, expected)
        })
        .collect();
    in_order(&mut reports);
    for report in &mut reports {
        report.ok = report.faults.is_empty();
    }
    reports
}

fn report(played: &Played, story: Option<&CallStory>, expected: Expected) -> Report {
    let call = &played.call;
    let row = story.map(|s| &s.call);
    let mut report = Report {
        call: played.number,
        key: row.map(|r| r.call.to_string()),
        title: call.title.clone(),
        from: call.from.clone().unwrap_or_default(),
        to: call.to.clone(),
        client: row.and_then(|r| r.client.as_ref()).map(|c| c.name.to_string()),
        rule: row.and_then(|r| r.rule.clone()),
        clause: row.and_then(|r| r.clause.clone()),
        clauses: call.clauses.clone(),
        steps: story.map(steps).unwrap_or_default(),
        answered_by: played.seen.answered_by.clone(),
        wait_ms: row.and_then(|r| r.wait_ms),
        outcome: row.and_then(|r| r.outcome),
        status: played.seen.status,
        expected,
        faults: Vec::new(),
        ok: false,
        first_offer: story.and_then(|s| s.offers.first()).map(|o| o.offered_at),
        in_line: call.in_line,
    };
    match story {
        Some(story) => faults(&mut report, played, story),
        None => report.faults.push("the register does not know the call".to_owned()),
    }
    report
}

fn faults(report: &mut Report, played: &Played, story: &CallStory) {
    let expected = &report.expected;
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    let clause = report.clause.as_deref().unwrap_or("none");
    must(clause == expected.clause, format!("clause {clause}, not {}", expected.clause));
    must(report.client == expected.client, format!("client {:?}", report.client));
    let outcome = report.outcome;
    must(outcome == Some(word(expected.outcome)), format!("outcome {outcome:?}"));
    let wire = report.answered_by.clone();
    let register = story.call.answered_by.as_ref().map(ToString::to_string);
    must(wire == register, format!("{wire:?} speaks, the register says {register:?}"));
    let right = match &wire {
        Some(who) => expected.answered_by.contains(who),
        None => expected.answered_by.is_empty(),
    };
    must(right, format!("answered by {wire:?}, not one of {:?}", expected.answered_by));
    let status = played.seen.status;
    let statuses: &[u16] = match expected.outcome {
        End::Answered => &[200],
        End::CallbackPromised | End::OutOfHours => &[480],
        End::Abandoned => &[487],
    };
    must(status.is_some_and(|s| statuses.contains(&s)), format!("status {status:?}"));
    let answered = story.offers.iter().find(|o| o.result == Some(OfferResult::Answered));
    let instead = answered.and_then(|o| o.stands_in_for.as_ref()).map(ToString::to_string);
    if expected.stands_in_for.is_some() {
        must(instead == expected.stands_in_for, format!("stands in for {instead:?}"));
    }
    // C7: a caller waits for who is busy, and their phone may be tried again.
    let again = |n: usize, agent| story.offers[n + 1..].iter().any(|later| later.agent == agent);
    let counts = story.offers.iter().enumerate().filter(|(n, offer)| {
        offer.result != Some(OfferResult::Busy) || !again(*n, offer.agent.clone())
    });
    let rung: Vec<String> = counts.map(|(_, offer)| offer.agent.to_string()).collect();
    must(in_steps(&rung, &expected.may_ring), format!("rang {rung:?}"));
    let shown = |text: &str| played.displays.iter().any(|(_, display)| display.contains(text));
    if let Some(text) = played.call.shows {
        must(shown(text), format!("no display says {text:?}: {:?}", played.displays));
    }
    must(played.seen.held != Some(false), "hold was not answered".to_owned());
    let refused = played.dial_refused;
    must(refused.is_none(), format!("the star code was refused: {refused:?}"));
    let promised = story.callback.is_some();
    let owed = matches!(expected.outcome, End::CallbackPromised | End::OutOfHours);
    must(promised == owed, format!("callback promised: {promised}"));
    report.faults = faults;
}

/// Nobody rings who may not, nobody before their step, nobody twice (B10).
fn in_steps(rung: &[String], may_ring: &[Vec<String>]) -> bool {
    let mut step = 0;
    rung.iter().enumerate().all(|(n, person)| {
        let found = may_ring.iter().position(|people| people.contains(person));
        let fits = found.is_some_and(|found| found >= step) && !rung[..n].contains(person);
        step = found.unwrap_or(step);
        fits
    })
}

/// Those who wait in one line are offered in the order in which they came.
fn in_order(reports: &mut [Report]) {
    let mut last = None;
    for report in reports.iter_mut().filter(|r| r.in_line) {
        if report.first_offer < last {
            report.faults.push("served before somebody who came earlier".to_owned());
        }
        last = report.first_offer.max(last);
    }
}

fn steps(story: &CallStory) -> Vec<StepReport> {
    let since = |at: Timestamp| {
        at.duration_since(story.call.arrived_at).as_millis().try_into().unwrap_or(i64::MAX)
    };
    let offers = |step: u16| {
        let of_step = story.offers.iter().filter(move |o| o.step == step);
        of_step.map(|o| OfferReport {
            agent: o.agent.to_string(),
            stands_in_for: o.stands_in_for.as_ref().map(ToString::to_string),
            phones: o.phones,
            at_ms: since(o.offered_at),
            took_ms: o.took_ms,
            result: o.result,
        })
    };
    let report = |step: &crate::store::register::StepRow| StepReport {
        to: step.to.clone(),
        clause: step.clause.clone(),
        why: step.why.clone(),
        at_ms: since(step.at),
        offers: offers(step.step).collect(),
    };
    story.steps.iter().map(report).collect()
}

fn word(end: End) -> Outcome {
    match end {
        End::Answered => Outcome::Answered,
        End::CallbackPromised => Outcome::CallbackPromised,
        End::OutOfHours => Outcome::OutOfHours,
        End::Abandoned => Outcome::Abandoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_ring_step_by_step_and_once() {
        let step = |people: &[&str]| people.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let may = [step(&["anna"]), step(&["olga", "pavel"])];
        assert!(in_steps(&step(&["anna", "pavel"]), &may));
        assert!(in_steps(&step(&["olga", "pavel"]), &may));
        assert!(!in_steps(&step(&["olga", "anna"]), &may));
        assert!(!in_steps(&step(&["olga", "olga"]), &may));
        assert!(!in_steps(&step(&["vera"]), &may));
    }
}
