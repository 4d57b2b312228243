//! The paths of outcomes through each rule's route, for callers with a manager and without.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::course::{Named, following};
use super::super::reach::Caller;
use super::super::rule::{End, Rule};
use super::super::target::{Target, Which, Who};
use super::super::walk::{Place, Walked, walk};
use super::Proof;
use crate::domain::{AgentId, DepartmentId, GroupName};

/// Different routes that are walked.
const ROUTES_MAX: usize = 10_000;

/// The manager of any client who is nobody else in the route, somebody of that manager's department, and
/// the deputies of somebody who is not absent yet. No directory has places for them.
const MANAGER: AgentId = AgentId(u16::MAX);
const COLLEAGUE: AgentId = AgentId(u16::MAX - 1);
const DEPUTY: AgentId = AgentId(u16::MAX - 2);

/// What was walked.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Ways through all routes.
    pub(super) count: u64,
    /// Some route was too large, or there were too many.
    pub(super) cut: bool,
    known: BTreeSet<(usize, Vec<Place>)>,
    /// For each rule by its place in the text: which steps were reached, and why one was left out.
    reached: BTreeMap<usize, Vec<bool>>,
    left_out: BTreeMap<(usize, usize), usize>,
}

impl Paths {
    /// A rule that passes a call on or refuses it.
    pub(super) fn without_steps(&mut self, rule: usize) {
        self.count += u64::from(self.known.insert((rule, Vec::new())));
    }
}

impl<'a> Proof<'a> {
    /// Walks the route of this kind of caller, if it differs from those walked. `here`: of each step, who
    /// can be rung now.
    pub(super) fn outcomes(
        &mut self,
        rule: &'a Rule,
        here: &[Vec<AgentId>],
        (caller, relevant): (&Caller, &DepartmentId),
        at: Timestamp,
    ) {
        let managers: &[bool] = if caller.known { &[false, true] } else { &[false] };
        for managed in managers {
            let places = self.places(rule, here, (caller, relevant), *managed);
            if self.paths.known.len() >= ROUTES_MAX {
                self.paths.cut = true;
                return;
            }
            if !self.paths.known.insert((rule.span.start, places.clone())) {
                continue;
            }
            let walked = walk(&places, &|step, _| following(step));
            self.work += places.len() * 10;
            self.paths.count = self.paths.count.saturating_add(walked.paths);
            self.paths.cut |= walked.cut;
            let reached = self.paths.reached.entry(rule.span.start).or_default();
            reached.resize(rule.steps.len(), false);
            reached.iter_mut().zip(&walked.reached).for_each(|(all, now)| *all |= now);
            self.judge(rule, &walked, (caller, relevant), *managed, at);
        }
    }

    fn places(
        &mut self,
        rule: &Rule,
        here: &[Vec<AgentId>],
        (caller, relevant): (&Caller, &DepartmentId),
        managed: bool,
    ) -> Vec<Place> {
        let manager: &[AgentId] = if managed { &[MANAGER] } else { &[] };
        let mut named = Named::default();
        let mut places = Vec::new();
        for (number, (step, here)) in rule.steps.iter().zip(here).enumerate() {
            let mut deputies_of = None;
            if step.only {
                named.let_go();
            }
            let mut people = match &step.to {
                Target::One(Who::Manager) => manager.to_vec(),
                Target::Role(_, Some(Which::Manager)) if managed => vec![COLLEAGUE],
                Target::Deputies(who) if here.is_empty() => {
                    deputies_of = match who {
                        Who::Manager => manager.first().copied(),
                        who => self.who(who, caller, relevant),
                    };
                    deputies_of.map(|_| DEPUTY).into_iter().collect()
                }
                _ => here.clone(),
            };
            if !matches!(step.to, Target::Role(..)) && deputies_of.is_none() {
                people.retain(|agent| {
                    let Some(earlier) = named.earlier(*agent) else { return true };
                    self.paths.left_out.insert((rule.span.start, number), earlier);
                    false
                });
                people.iter().for_each(|agent| named.add(*agent, number));
            }
            // Whoever is absent already is not reached by an outcome.
            if let Some(who) = deputies_of
                && !places.iter().any(|place: &Place| place.people.contains(&who))
            {
                deputies_of = None;
            }
            places.push(Place { to: step.text.clone(), people, deputies_of });
        }
        places
    }

    fn judge(
        &mut self,
        rule: &Rule,
        walked: &Walked,
        (caller, relevant): (&Caller, &DepartmentId),
        managed: bool,
        at: Timestamp,
    ) {
        let name = &rule.name;
        let place = format!("{}; {}", caller.in_words(managed), self.time(at, "absent"));
        if let Some(path) = &walked.circle {
            let message = format!("`{name}` goes in a circle: {path}: {place}");
            self.tell(rule.span.clone(), "circle", message, "a route only goes on (B10)");
        }
        let owner = match &rule.end {
            End::Callback { owner: Some(owner) } => Some(&owner.value),
            _ => None,
        };
        let owned = managed || !self.owners_named(owner, caller, relevant).is_empty();
        if let (Some(path), false) = (&walked.to_the_end, owned) {
            let path = if path.is_empty() { "at once" } else { path };
            let message = format!(
                "`{name}` ends in a promise that nobody owns, not even somebody absent: {path}: {place}"
            );
            let hint = "name an `owner`, or a `callback_owner` in [settings] who exists (B)";
            self.tell(rule.span.clone(), "unowned", message, hint);
        }
    }

    /// Who is meant may only have been moved away (clause B8): what a route means stands over orders.
    fn waits_for_an_order(&self, target: &Target) -> bool {
        let Target::Role(role, _) = target else { return false };
        let group = GroupName { role: role.value.clone(), department: None };
        !self.world.directory.moved_from(&group).is_empty()
    }

    /// Steps that no path of any caller's reached at any time.
    pub(super) fn unreached(&mut self) {
        let policy = self.policy;
        for rule in &policy.rules {
            let Some(reached) = self.paths.reached.get(&rule.span.start) else { continue };
            let never: Vec<usize> = (0..reached.len()).filter(|step| !reached[*step]).collect();
            for number in never {
                let step = &rule.steps[number];
                if self.waits_for_an_order(&step.to) {
                    continue;
                }
                let earlier = self.paths.left_out.get(&(rule.span.start, number));
                let why = match earlier {
                    Some(earlier) => format!(
                        "whoever it means is in step {} (`{}`) already",
                        earlier + 1,
                        rule.steps[*earlier].text
                    ),
                    None => "nobody it means has a phone of ours and working hours".to_owned(),
                };
                let message = format!(
                    "no outcome of the steps before ever rings `{}` of `{}`: {why}",
                    step.text, rule.name
                );
                let hint = "remove the step, or name somebody else (B10)";
                self.tell(step.span.clone(), "unreached", message, hint);
            }
        }
    }
}
