//! Routes that come back by way of a role (clause B10): a step that can ring nobody but those for whom the
//! caller waited in an earlier one.
//!
//! ```text
//! a role    all of them named one by one before, or all in an earlier group of the same role,
//!           or exactly the people of an earlier group
//! a person  exactly the people of an earlier group
//! ```
//! A step to a few of an earlier group of another role is none: it goes on when that group's queue is closed.
//! Absences count as they are entered: the circle may be there only where they overlap. Hours do not: that a
//! wider group has nobody else early in the morning is no mistake.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::reach::Caller;
use super::super::rule::{Rule, StepRule};
use super::super::target::Target;
use super::{Proof, shown};
use crate::domain::{AgentId, DepartmentId, Group, Role};

/// Whom the steps so far hold.
#[derive(Default)]
struct Held<'a> {
    /// Who was named by a step of their own, and by which.
    named: BTreeMap<AgentId, usize>,
    groups: Vec<(usize, &'a Role, Arc<[AgentId]>)>,
}

impl<'a> Held<'a> {
    /// The earlier step that has all people of this one. Both lists are sorted.
    fn earlier(&self, role: Option<&Role>, people: &[AgentId]) -> Option<usize> {
        let first = people.first()?;
        let within = |all: &[AgentId]| people.iter().all(|agent| all.binary_search(agent).is_ok());
        let same = |(_, of, all): &&(usize, &Role, Arc<[AgentId]>)| {
            **all == *people || (Some(*of) == role && within(all))
        };
        let group = || self.groups.iter().find(same).map(|(step, ..)| *step);
        match (role, self.named.get(first)) {
            // The plan itself leaves out who was named before.
            (None, Some(_)) => None,
            (Some(_), Some(step)) if people.iter().all(|a| self.named.contains_key(a)) => {
                Some(*step)
            }
            _ => group(),
        }
    }

    fn hold(&mut self, number: usize, role: Option<&'a Role>, people: Arc<[AgentId]>) {
        match role {
            Some(role) => self.groups.push((number, role, people)),
            None => people.iter().for_each(|agent| _ = self.named.entry(*agent).or_insert(number)),
        }
    }
}

impl<'a> Proof<'a> {
    /// Tells the steps that come back for this kind of caller.
    pub(super) fn comes_back(
        &mut self,
        rule: &'a Rule,
        (caller, relevant): (&Caller, &DepartmentId),
        at: Timestamp,
    ) {
        let mut held = Held::default();
        for (number, step) in rule.steps.iter().enumerate() {
            if step.only {
                held.named.clear();
            }
            let (role, people) = match &step.to {
                Target::Role(role, which) => {
                    let group = self.group_meant(role, which.as_ref(), caller, relevant);
                    let people = group.map(|group| self.not_absent(group));
                    (Some(&role.value), people.unwrap_or_default())
                }
                Target::One(who) => {
                    let person = self.who(who, caller, relevant);
                    (None, person.into_iter().filter(|agent| self.is_here(*agent)).collect())
                }
                Target::Deputies(who) => {
                    let mut people = self.deputies(who, caller, relevant, at);
                    people.retain(|agent| self.is_here(*agent));
                    people.sort();
                    (None, Arc::from(people))
                }
            };
            self.work += people.len();
            if people.iter().any(|agent| self.in_hours(*agent))
                && let Some(earlier) = held.earlier(role, &people)
            {
                let (step, earlier) = ((number, step), (earlier, &rule.steps[earlier]));
                self.tell_back(rule, step, earlier, (&people, caller, at));
            }
            held.hold(number, role, people);
        }
    }

    fn not_absent(&mut self, group: &Group) -> Arc<[AgentId]> {
        let queue = group.queue.0;
        if let Some(known) = self.not_absent.get(&queue) {
            return known.clone();
        }
        self.work += group.members.len();
        let members = group.members.iter().copied();
        let here: Arc<[AgentId]> = members.filter(|agent| self.is_here(*agent)).collect();
        self.not_absent.insert(queue, here.clone());
        here
    }

    /// With a phone, and not absent.
    fn is_here(&self, agent: AgentId) -> bool {
        let seat = self.world.people.get(&agent);
        seat.is_some_and(|seat| seat.phone) && !self.absent.contains(&agent)
    }

    fn in_hours(&self, agent: AgentId) -> bool {
        let calendar = self.world.people.get(&agent).and_then(|seat| seat.calendar);
        calendar.is_none_or(|place| self.open[place])
    }

    fn tell_back(
        &mut self,
        rule: &Rule,
        (number, step): (usize, &StepRule),
        (earlier, before): (usize, &StepRule),
        (people, caller, at): (&[AgentId], &Caller, Timestamp),
    ) {
        if self.told.contains(&(step.span.start, "back")) {
            return;
        }
        let directory = self.world.directory;
        let names = people.iter().filter_map(|agent| directory.person(*agent));
        let names = shown(names.map(|person| person.id.to_string()).collect()).unwrap_or_default();
        let message = format!(
            "`{}` goes in a circle: step {} (`{}`) rings nobody but {names}, for whom the caller waited in \
             step {} (`{}`): {}; {}",
            rule.name,
            number + 1,
            step.text,
            earlier + 1,
            before.text,
            caller.in_words(false),
            self.time(at, "absent")
        );
        let hint = "name somebody else, or remove the step: a plan never goes back (B10)";
        self.tell(step.span.clone(), "back", message, hint);
    }
}
