//! `telefonist explain`: where a call would go, and why.

use jiff::Timestamp;
use serde_json::json;

use super::args::ExplainArgs;
use super::ask::Line;
use super::context::Context;
use super::output::{Failure, Printed, one_line};
use crate::domain::{Number, TrunkId};
use crate::policy::{Decision, Ending, Facts, Presence, StepShown, decide};
use crate::server::{Ask, compile, directory};
use crate::store::{FollowOptions, Follower};
use crate::switch::{Command, Identified};

pub(super) fn explain(context: &Context, args: &ExplainArgs) -> Result<Printed, Failure> {
    let at = args.at.as_deref().map(|text| context.instant(text)).transpose()?;
    let decision = match Line::open(context) {
        Some(mut line) => {
            let command = Command::Explain {
                from: args.from.as_str().into(),
                to: args.to.as_deref().map(Into::into),
                at,
                trunk: args.trunk.as_deref().map(TrunkId::new),
                found: None,
            };
            let answer = line.ask(&Ask::Switch { command })?;
            serde_json::from_value(answer).map_err(|e| Failure::Refused(e.to_string()))?
        }
        None => alone(context, args, at)?,
    };
    Ok(Printed::new(in_words(&decision), json!(decision)))
}

/// Without a server: the same policy over the same files; presence is unknown.
fn alone(
    context: &Context,
    args: &ExplainArgs,
    at: Option<Timestamp>,
) -> Result<Decision, Failure> {
    let compiled = compile(&context.config_dir)?;
    let settings = compiled.config.settings.clone();
    let rows = context.clients_to_read()?.directory_rows(&settings.realm, context.today())?;
    let directory = directory(None, rows, &compiled)?;
    let trunk = match &args.trunk {
        None => settings.trunks.first(),
        Some(name) => Some(
            settings
                .trunks
                .iter()
                .find(|t| t.id.as_str() == name)
                .ok_or_else(|| Failure::Usage(format!("no trunk is called {name}")))?,
        ),
    };
    let format = trunk.map_or(&settings.numbers, |t| &t.numbers);
    let from = Number::parse(&args.from, format);
    let found = look_up(context, &settings, from.as_ref());
    let to = args.to.as_deref().unwrap_or_default();
    let facts = Facts {
        at: at.unwrap_or(context.at),
        trunk: trunk.map(|t| t.id.clone()),
        from_raw: args.from.as_str().into(),
        from,
        to_raw: to.into(),
        to: Number::parse(to, format),
        client: found.client,
        others: found.others,
        index: found.index,
    };
    Ok(decide(&compiled.policy, &directory, &facts, &|_| Presence::Unknown))
}

fn look_up(
    context: &Context,
    settings: &crate::domain::Settings,
    number: Option<&Number>,
) -> Identified {
    let options =
        FollowOptions { numbers: settings.numbers.clone(), realm: settings.realm.clone() };
    let file = context.folder().clients_db();
    let stale_max = crate::store::INDEX_STALE_MAX;
    let (mut follower, index) = Follower::new(&file, options, stale_max, Box::new(|_| {}));
    follower.follow_once(context.at);
    index.identify(number, context.at)
}

fn in_words(decision: &Decision) -> String {
    let mut out = format!("rule \"{}\", clause {}\n\n", decision.rule, decision.clause);
    out.push_str("Known:\n");
    for fact in &decision.explanation.facts {
        let age = fact.age_s.map(|age| format!("  ({} old)", span(age))).unwrap_or_default();
        out.push_str(&format!("  {:<12} {}{age}\n", fact.name, one_line(&fact.value)));
    }
    out.push_str("\nRules:\n");
    for rule in &decision.explanation.rules {
        let mark = if rule.matched { "->" } else { "  " };
        out.push_str(&format!(
            "  {mark} {:<24} {:<4} {}\n",
            rule.rule,
            rule.clause,
            one_line(&rule.why)
        ));
    }
    out.push_str("\nWho rings:\n");
    for (n, step) in decision.explanation.steps.iter().enumerate() {
        out.push_str(&step_in_words(n + 1, step));
    }
    let ending = &decision.explanation.ending;
    out.push_str(&format!("  then: {}\n", ending_in_words(ending)));
    for note in &decision.explanation.notes {
        out.push_str(&format!("\nNote: {}\n", one_line(note)));
    }
    out.push_str(&format!(
        "\nThe phone shows: {}\npolicy {}\n",
        one_line(&decision.plan.display),
        decision.policy
    ));
    out
}

fn step_in_words(n: usize, step: &StepShown) -> String {
    let only = if step.only { ", earlier queues let go" } else { "" };
    let mut out = format!(
        "  {n}. {} ({}): ring {}, wait {}{only}\n",
        step.to,
        step.clause,
        span(step.ring.as_secs() as i64),
        span(step.wait.as_secs() as i64),
    );
    if let Some(choice) = step.choice_in_words() {
        out.push_str(&format!("       {choice}\n"));
    }
    for person in &step.people {
        let presence = match &person.presence {
            Presence::Free => "free".to_string(),
            Presence::Busy { why } => format!("busy: {why}"),
            Presence::Gone { why } => format!("skipped: {why}"),
            Presence::Unknown => "presence unknown".to_string(),
        };
        let stands_in =
            person.stands_in_for.as_ref().map(|p| format!(" for {p}")).unwrap_or_default();
        let closed = if person.closed { "; closed now (C2)" } else { "" };
        out.push_str(&format!("       {}{stands_in}: {presence}{closed}\n", person.person));
    }
    if let Some(others) = &step.others {
        out.push_str(&format!("       {others}\n"));
    }
    if let Some(note) = &step.note {
        out.push_str(&format!("       {note}\n"));
    }
    out
}

fn ending_in_words(ending: &Ending) -> String {
    let owned = |owner: &Option<crate::domain::PersonId>| {
        owner.as_ref().map(|o| format!(", owned by {o}")).unwrap_or_default()
    };
    match ending {
        Ending::Callback { owner } => format!("a callback is promised{}", owned(owner)),
        Ending::OutOfHours { owner, department, opens_local, .. } => {
            let whose = department.as_deref().unwrap_or("everybody");
            let opens = opens_local.as_ref().map(|at| format!(", opens {at}")).unwrap_or_default();
            format!("closed ({whose}{opens}); a callback is promised{}", owned(owner))
        }
        Ending::Pass { trunk } => format!("straight through to trunk {trunk}"),
        Ending::Refuse { status } => format!("refused with {status}"),
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}
