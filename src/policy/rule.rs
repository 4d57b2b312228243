//! `[[rule]]`: which calls it takes and the way that they go.
//!
//! A route is a list of steps that add up (clause C7) and end in a promised callback, or it is as a
//! whole `pass` or `refuse`: nobody who has waited is left with nobody. Knows no directory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::choice::Choice;
use super::clauses;
use super::condition::{Condition, Test};
use super::fields::{At, Fields, Reader, Value, Words};
use super::options;
use super::target::{Target, Who};
use crate::domain::TrunkId;

/// Statuses with which a policy may refuse.
const REFUSALS: [i64; 4] = [403, 480, 486, 603];

/// Steps of one route, its end included: nobody waits for more.
const STEPS_MAX: usize = 100;

/// One step of a route as it is written.
#[derive(Clone, Debug)]
pub(super) struct StepRule {
    pub(super) to: Target,
    pub(super) text: Arc<str>,
    pub(super) clause: Arc<str>,
    pub(super) ring: Duration,
    pub(super) wait: Duration,
    pub(super) only: bool,
    pub(super) choice: Choice,
    pub(super) span: Range<usize>,
}

/// Where a route ends when nobody answered.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// A callback is promised; whose it is, if the rule says.
    Callback { owner: Option<At<Who>> },
    /// Another trunk takes the call.
    Pass { trunk: TrunkId },
    /// The call is refused with this status.
    Refuse { status: u16 },
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) clause: Arc<str>,
    pub(super) when: Vec<Condition>,
    pub(super) steps: Vec<StepRule>,
    pub(super) end: End,
    pub(super) span: Range<usize>,
}

/// What could be read of the rules.
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    /// Every rule could be read.
    pub(super) complete: bool,
}

impl Rules {
    pub(super) fn read(
        value: Option<Value<'_>>,
        context: &Context<'_>,
        reader: &mut Reader<'_>,
    ) -> Self {
        let tables = value.map(|v| reader.tables(v, "a rule")).unwrap_or_default();
        if tables.is_empty() {
            let hint = "a policy needs at least one [[rule]]".to_owned();
            reader.error(0..0, "there is no rule", Some(hint));
        }
        let all = tables.len();
        let mut rules: Vec<Rule> = Vec::new();
        for fields in tables {
            let Some(rule) = Rule::read(fields, context, reader) else { continue };
            let same = rules.iter().find(|r| r.name == rule.name && !rule.name.is_empty());
            if let Some(first) = same {
                let (line, _) = reader.source().position(first.span.start);
                let message = format!("a rule in line {line} is called `{}` too", rule.name);
                reader.error(rule.span.clone(), message, None);
            }
            warn_if_too_long(&rule, context, reader);
            warn_if_sent_back(&rule, reader);
            rules.push(rule);
        }
        let complete = all > 0 && rules.len() == all;
        Self { rules, complete }
    }
}

impl Rule {
    /// The settings switch off each of its conditions.
    pub(super) fn is_off(&self) -> bool {
        self.when.iter().all(Condition::is_off)
    }

    /// `None` only if it cannot be known which calls the rule takes.
    fn read(
        mut fields: Fields<'_>,
        context: &Context<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let span = fields.span.clone();
        let name = name(&mut fields, reader);
        let clause = clauses::named(&mut fields, reader);
        let when = fields.optional("when");
        let when = Condition::read_all(when, span.clone(), context, reader);
        let (steps, end) = match fields.required("route", reader) {
            Some(value) if value.get_ref().is_array() => route(value, &clause, context, reader),
            Some(value) => match reader.text(value) {
                Some(word) => (Vec::new(), end(&word, &mut fields, context, reader)),
                None => (Vec::new(), None),
            },
            None => (Vec::new(), None),
        };
        fields.finish(reader);
        // Without an end there is an error, and no policy.
        let end = end.unwrap_or(End::Callback { owner: None });
        Some(Self { name, clause, when: when?, steps, end, span })
    }

    /// A trunk's calls may come to this rule.
    fn may_take(&self, trunk: &TrunkId) -> bool {
        self.when.iter().any(|condition| {
            condition.tests.iter().all(|test| match test {
                Test::Trunk(trunks) => trunks.contains(trunk),
                _ => true,
            })
        })
    }
}

/// What a rule or a plan is called.
pub(super) fn name(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Arc<str> {
    let text = fields.required("name", reader).and_then(|v| reader.text(v));
    if let Some(text) = text.as_ref().filter(|text| text.trim().is_empty()) {
        reader.error(text.span.clone(), "`name` is empty", None);
    }
    Arc::from(text.map_or_else(String::new, |text| text.value))
}

fn route(
    value: Value<'_>,
    clause: &Arc<str>,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
) -> (Vec<StepRule>, Option<End>) {
    let mut steps: Vec<StepRule> = Vec::new();
    let mut found: Option<End> = None;
    let mut tables = reader.tables(value, "a step");
    let before = reader.error_count();
    if let Some(first) = tables.get(STEPS_MAX) {
        let message = format!("a route has at most {STEPS_MAX} steps, this one {}", tables.len());
        reader.error(first.span.clone(), message, None);
        tables.truncate(STEPS_MAX);
    }
    let (mut ended, mut told) = (false, false);
    for mut fields in tables {
        if ended && !told {
            told = true;
            reader.error(fields.span.clone(), "the route has ended before this step", None);
        }
        let Some(to) = fields.required("to", reader).and_then(|v| reader.text(v)) else { continue };
        if END_WORDS.contains(&to.trim()) {
            ended = true;
            only_callback_follows_steps(&to, &steps, reader);
            found = end(&to, &mut fields, context, reader).or(found);
            fields.finish(reader);
        } else if let Some(step) = step(to, fields, clause, context, reader) {
            if steps.iter().any(|s| s.text == step.text) {
                let hint = "a plan never goes back to a step that it has left (B10)".to_owned();
                let message = format!("`{}` is in this route already", step.to);
                reader.error(step.span.clone(), message, Some(hint));
            }
            steps.push(step);
        }
    }
    if !ended && reader.error_count() == before {
        let last = steps.last().map_or(value.span(), |step| step.span.clone());
        let hint = "end it with { to = \"callback\" }".to_owned();
        reader.error(last, "this route can end with nobody", Some(hint));
    }
    (steps, found)
}

fn only_callback_follows_steps(to: &At<String>, steps: &[StepRule], reader: &mut Reader<'_>) {
    if to.trim() != "callback" && !steps.is_empty() {
        let message = format!("who has waited in a step cannot be sent to `{}`", to.trim());
        let hint = "end with \"callback\"; \"pass\" and \"refuse\" are whole routes".to_owned();
        reader.error(to.span.clone(), message, Some(hint));
    }
}

const END_WORDS: [&str; 3] = ["callback", "pass", "refuse"];

fn end(
    word: &At<String>,
    fields: &mut Fields<'_>,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
) -> Option<End> {
    match word.trim() {
        "callback" => {
            let owner = fields.optional("owner").map(|v| {
                let text = reader.text(v)?;
                Who::read(&text, reader).map(|who| At::new(who, text.span))
            });
            match owner {
                Some(owner) => owner.map(|owner| End::Callback { owner: Some(owner) }),
                None => Some(End::Callback { owner: None }),
            }
        }
        "pass" => {
            let name = fields.required("trunk", reader).and_then(|v| reader.text(v))?;
            context.trunk(&name, reader).map(|trunk| End::Pass { trunk })
        }
        "refuse" => {
            let status = fields.required("status", reader)?;
            let status = reader.integer(status, 400..=699)?;
            if !REFUSALS.contains(&status) {
                let hint = "403, 480, 486 or 603".to_owned();
                reader.error(status.span, "a policy does not refuse with this", Some(hint));
                return None;
            }
            u16::try_from(*status).ok().map(|status| End::Refuse { status })
        }
        other => {
            let hint = super::did_you_mean(other, END_WORDS)
                .or_else(|| Some("a list of steps, or \"pass\"".to_owned()));
            reader.error(word.span.clone(), format!("`{other}` is no route"), hint);
            None
        }
    }
}

fn step(
    to: At<String>,
    mut fields: Fields<'_>,
    clause: &Arc<str>,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
) -> Option<StepRule> {
    let target = Target::read(&to, reader);
    let ring = fields.optional("ring").map(|v| options::ring(v, reader));
    let wait = fields.optional("wait").map(|v| options::wait(v, reader));
    let only = fields.optional("only").and_then(|v| reader.boolean(v)).is_some_and(|only| *only);
    let own = fields.optional("clause").and_then(|v| reader.text(v));
    let clause = own.map_or_else(|| clause.clone(), |own| clauses::of_the_paper(own, reader));
    let choice = Choice::read(&mut fields, target.as_ref(), reader);
    fields.finish(reader);
    let target = target?;
    Some(StepRule {
        text: Arc::from(target.to_string()),
        to: target,
        clause,
        ring: ring.unwrap_or(Some(context.settings.ring))?,
        wait: wait.unwrap_or(Some(context.settings.wait))?,
        only,
        choice,
        span: to.span,
    })
}

/// A trunk gives up after `answer_within`: what comes later in the route is never heard.
fn warn_if_too_long(rule: &Rule, context: &Context<'_>, reader: &mut Reader<'_>) {
    let waits = waits_at_most(&rule.steps);
    let last_ring = rule.steps.last().map_or(Duration::ZERO, |step| step.ring);
    let longest = waits + last_ring;
    for (trunk, answer_within) in &context.names.trunks {
        if longest > *answer_within && rule.may_take(trunk) {
            let message = format!(
                "`{}` can take {} (every wait and the last ring), trunk {trunk} gives up after {}",
                rule.name,
                Words(longest),
                Words(*answer_within)
            );
            let hint = "shorten a wait, or raise the trunk's answer_within".to_owned();
            reader.warn(rule.span.clone(), message, Some(hint));
            return;
        }
    }
}

/// A circle by way of a trunk: its own calls are passed to it.
fn warn_if_sent_back(rule: &Rule, reader: &mut Reader<'_>) {
    let End::Pass { trunk } = &rule.end else { return };
    let of_trunk = |test: &Test| matches!(test, Test::Trunk(trunks) if trunks.contains(trunk));
    if rule.when.iter().any(|condition| condition.tests.iter().any(of_trunk)) {
        let message = format!("`{}` passes calls of trunk {trunk} back to it", rule.name);
        let hint = "they may come again until their hops are used up: name another trunk";
        reader.warn(rule.span.clone(), message, Some(hint.to_owned()));
    }
}

/// Waits add up; a person and that person's deputies never both wait, for a deputy is named only for
/// somebody who is absent and skipped at once (clause C1).
fn waits_at_most(steps: &[StepRule]) -> Duration {
    let mut longest = Duration::ZERO;
    for (i, step) in steps.iter().enumerate() {
        let person = match (&step.to, i.checked_sub(1).map(|before| &steps[before])) {
            (Target::Deputies(of), Some(before)) => match &before.to {
                Target::One(who) if who.to_string() == of.to_string() => before.wait,
                _ => Duration::ZERO,
            },
            _ => Duration::ZERO,
        };
        longest += step.wait.saturating_sub(person);
    }
    longest
}
