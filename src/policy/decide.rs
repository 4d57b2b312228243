//! `decide`: facts → plan and explanation (clauses A1–A4, B1–B4, B9, C1, C2, C7, D1).
//!
//! ```text
//! facts ─► seen (new? debtor? region?) ─► first rule that holds ─► its steps resolved ─► all closed?
//!                                              │                        │                 yes: out of hours
//!                                          rules tried              people, queues,       no: the route's end
//!                                                                   presence, notes
//! ```

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::display::Field;
use super::fields::Words;
use super::plan::{
    Decision, Ending, Explanation, FactShown, Facts, IndexState, Plan, Presence, RuleTried, Step,
};
use super::resolve::{Resolver, local};
use super::rule::{End, Rule};
use super::seen::Seen;
use super::target::Who;
use super::{Policy, PolicySettings};
use crate::domain::{AgentId, Client, Debt, Directory, Vip};

/// Where one call goes and why. Pure: the same policy, directory, facts and presence give the same
/// decision. Total: whatever is missing, the call ends in a promised callback, never in an error.
pub fn decide(
    policy: &Policy,
    directory: &Directory,
    facts: &Facts,
    presence: &dyn Fn(AgentId) -> Presence,
) -> Decision {
    let seen = Seen::new(policy, directory, facts);
    let resolver = Resolver { policy, directory, seen: &seen, open: Cell::new(None) };
    let mut notes = notes(policy.settings(), &seen);
    let (tried, rule) = first_match(policy, directory, &seen);
    let steps = rule.map_or_else(Vec::new, |rule| resolver.steps(&rule.steps));
    let ending = ending(rule, &steps, &resolver, &mut notes);
    let closed = matches!(ending, Ending::OutOfHours { .. });
    let (name, clause) = match rule {
        Some(rule) => (rule.name.clone(), rule.clause.clone()),
        None => (Arc::from("no rule"), Arc::from("-")),
    };
    let explanation = Explanation {
        facts: facts_shown(&seen),
        rules: tried,
        steps: steps.iter().map(|step| resolver.shown(step, presence)).collect(),
        ending: ending.clone(),
        notes: notes.into_iter().map(Arc::from).collect(),
    };
    let plan = Plan {
        steps: if closed { Vec::new() } else { steps },
        ending,
        credit: policy.settings().head_start(seen.client),
        display: display(policy.settings(), &seen),
    };
    Decision { rule: name, clause, policy: policy.hash().clone(), plan, explanation }
}

/// What the steps of the rule called `rule` mean with the people and at the time given now: for a call
/// that waits while people change. `unwaited` are steps, by their words, and people of them for whom
/// the call did not wait there: those may be in a later step. Empty if the policy has no such rule.
pub fn steps_again(
    policy: &Policy,
    directory: &Directory,
    facts: &Facts,
    (rule, unwaited): (&str, &[(Arc<str>, AgentId)]),
) -> Vec<Step> {
    let seen = Seen::new(policy, directory, facts);
    let resolver = Resolver { policy, directory, seen: &seen, open: Cell::new(None) };
    let rule = policy.rules.iter().find(|r| *r.name == *rule);
    rule.map_or_else(Vec::new, |rule| resolver.steps_but(&rule.steps, unwaited))
}

/// Rules in their order up to the first that holds.
pub(super) fn first_match<'p>(
    policy: &'p Policy,
    directory: &Directory,
    seen: &Seen<'_>,
) -> (Vec<RuleTried>, Option<&'p Rule>) {
    let mut tried = Vec::new();
    for rule in &policy.rules {
        let mut reasons: Vec<String> = Vec::new();
        let mut held = None;
        for condition in &rule.when {
            match condition.holds(seen, directory) {
                Ok(why) => {
                    held = Some(why);
                    break;
                }
                Err(why) if reasons.contains(&why) => {}
                Err(why) => reasons.push(why),
            }
        }
        let matched = held.is_some();
        let why = held.unwrap_or_else(|| reasons.join("; "));
        let (name, clause) = (rule.name.clone(), rule.clause.clone());
        tried.push(RuleTried { rule: name, clause, matched, why: Arc::from(why) });
        if matched {
            return (tried, Some(rule));
        }
    }
    (tried, None)
}

/// The route's end; out of hours if every step that has people is closed (clause C7). A route that
/// ends elsewhere than in a promise (`pass`, `refuse`) does so at any hour.
fn ending(
    rule: Option<&Rule>,
    steps: &[Step],
    resolver: &Resolver<'_>,
    notes: &mut Vec<String>,
) -> Ending {
    let named: Option<&Who> = match rule.map(|rule| &rule.end) {
        Some(End::Pass { trunk }) => return Ending::Pass { trunk: trunk.clone() },
        Some(End::Refuse { status }) => return Ending::Refuse { status: *status },
        Some(End::Callback { owner }) => owner.as_ref().map(|owner| &owner.value),
        None => None,
    };
    let owner = resolver.owner(named, notes);
    let mut people = steps.iter().flat_map(|step| step.people.iter()).peekable();
    let Some(first) = people.peek().map(|member| member.agent) else {
        return Ending::Callback { owner };
    };
    if !people.all(|member| member.closed) {
        return Ending::Callback { owner };
    }
    let directory = resolver.directory;
    let person = directory.person(first);
    let department = person.and_then(|p| directory.department(p.department.as_ref()?));
    let calendar = department.and_then(|d| directory.calendar(&d.calendar));
    notes.push("every step is closed (C2)".to_owned());
    let opens = calendar.and_then(|calendar| calendar.opens(resolver.seen.facts.at));
    Ending::OutOfHours {
        owner,
        department: department.map(|d| Arc::from(d.id.as_str())),
        opens,
        opens_local: calendar.zip(opens).map(|(calendar, at)| local(calendar, at).into()),
    }
}

fn notes(settings: &PolicySettings, seen: &Seen<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    match &seen.facts.index {
        IndexState::Fresh => {}
        IndexState::Stale { since } => {
            notes.push(format!("the client database is away since {since}: data may be old (A1)"));
        }
        IndexState::Unavailable { why } => notes.push(format!("not identified: {why} (A1)")),
    }
    if seen.facts.from.is_none() {
        notes.push("the number is withheld or malformed: unidentified (A1)".to_owned());
    }
    if let (Some(client), false) = (seen.client, seen.facts.others.is_empty()) {
        let all = std::iter::once(client.name.as_ref())
            .chain(seen.facts.others.iter().map(|other| other.name.as_ref()));
        let count = seen.facts.others.len() + 1;
        let names = all.collect::<Vec<_>>().join(", ");
        notes.push(format!("{count} clients have this number: {names} (A1)"));
    }
    if seen.old {
        let used = if settings.use_old_debt { "used all the same" } else { "not used" };
        notes.push(format!("balance is {} old: {used} (B3)", Words(seen.age)));
    }
    if seen.client.is_some_and(|c| c.vip_pending && c.vip == Vip::None) {
        notes.push("VIP status is pending: it does not count yet (G1)".to_owned());
    }
    notes
}

/// What was known, in the order in which a person asks.
fn facts_shown(seen: &Seen<'_>) -> Vec<FactShown> {
    let mut shown = Vec::new();
    let mut show = |name: &str, value: String, age_s: Option<i64>| {
        shown.push(FactShown { name: Arc::from(name), value: Arc::from(value), age_s });
    };
    let facts = seen.facts;
    let caller = match &facts.from {
        Some(number) => number.to_string(),
        None if facts.from_raw.is_empty() => "withheld".to_owned(),
        None => format!("{} (no valid number)", facts.from_raw),
    };
    show("caller", caller, None);
    let called = facts.to.as_ref().map_or_else(|| facts.to_raw.to_string(), |n| n.to_string());
    show("called", called, None);
    let trunk =
        facts.trunk.as_ref().map_or("none: one of our people".to_owned(), |t| t.to_string());
    show("trunk", trunk, None);
    match seen.client {
        Some(client) => {
            let age = i64::try_from(seen.age.as_secs()).ok();
            client_facts(client, seen, &mut |name, value| show(name, value, age));
        }
        None => show("client", "not identified".to_owned(), None),
    }
    show("new", if seen.new { "yes" } else { "no" }.to_owned(), None);
    if let (Some(region), Some(pattern)) = (&seen.region, &seen.region_by_number) {
        show("region", format!("{region} (the number begins {pattern})"), None);
    }
    let relevant = &seen.relevant;
    show("relevant department", format!("{} ({})", relevant.department, relevant.why), None);
    shown
}

fn client_facts(client: &Client, seen: &Seen<'_>, show: &mut dyn FnMut(&str, String)) {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    show("client", client.name.to_string());
    show("type", client.client_type.as_str().to_owned());
    let pending = if client.vip_pending { " (pending)" } else { "" };
    show("vip", format!("{}{pending}", client.vip.as_str()));
    let gone = if seen.manager.is_none() { " (there is no such person)" } else { "" };
    show("manager", or_none(client.manager.as_ref().map(|m| format!("{m}{gone}"))));
    show("department", or_none(client.department.as_ref().map(|d| d.to_string())));
    if let Some(region) = &client.region {
        show("region", region.to_string());
    }
    let limit = or_none(client.credit_limit.map(|limit| limit.to_string()));
    show("balance", format!("{} of limit {limit}", client.balance));
    show("debt", debt_in_words(seen.debt).unwrap_or_else(|| "none".to_owned()));
    show("last order", or_none(client.last_order.map(|day| day.to_string())));
    if client.served_by_operators {
        show("served by", "operators".to_owned());
    }
}

/// `12 d (340.00 overdue)`; `None` if nothing is owed.
fn debt_in_words(debt: Debt) -> Option<String> {
    match debt {
        Debt::Clear => None,
        Debt::Overdue { days, amount } => Some(format!("{days} d ({amount} overdue)")),
        Debt::OverLimit { amount } => Some(format!("{amount} over the limit")),
    }
}

fn display(settings: &PolicySettings, seen: &Seen<'_>) -> Arc<str> {
    let client = seen.client;
    let old = match seen.old {
        true => format!(" ({} old)", Words(Duration::from_secs(seen.age.as_secs()))),
        false => String::new(),
    };
    settings.display.show(|field| match field {
        Field::Name => match client {
            Some(client) => client.name.to_string(),
            None if seen.new => "new client".to_owned(),
            None => "unidentified".to_owned(),
        },
        Field::Type => client.map_or_else(String::new, |c| c.client_type.as_str().to_uppercase()),
        Field::Vip => match client.map_or(Vip::None, |c| c.vip) {
            Vip::None => String::new(),
            level => level.as_str().to_owned(),
        },
        Field::Debt => match seen.debt {
            Debt::Clear => String::new(),
            Debt::Overdue { days, .. } => format!("{days} d{old}"),
            Debt::OverLimit { amount } => format!("{amount} over limit{old}"),
        },
        Field::Number => seen.facts.from.as_ref().map_or_else(String::new, |n| n.to_string()),
        Field::Region => seen.region.as_deref().unwrap_or_default().to_owned(),
    })
}
