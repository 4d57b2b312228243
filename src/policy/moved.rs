//! The step that a supervisor's move of a waiting call makes (clause B8).

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use super::Policy;
use super::choice::Choice;
use super::fields::At;
use super::plan::{Facts, Step};
use super::resolve::Resolver;
use super::rule::StepRule;
use super::seen::Seen;
use super::target::{Target, Which, Who};
use crate::domain::{Directory, GroupName, PersonId};

/// Where a call is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveTo {
    /// A person's own queue.
    Person(PersonId),
    /// A group's.
    Group(GroupName),
}

impl MoveTo {
    /// What `text` names in `directory`: a person, else a group that has a queue.
    pub fn find(text: &str, directory: &Directory) -> Option<Self> {
        let person = PersonId::new(text.trim());
        if directory.agent(&person).is_some() {
            return Some(Self::Person(person));
        }
        let group = GroupName::parse(text)?;
        directory.has_group(&group).then_some(Self::Group(group))
    }
}

impl fmt::Display for MoveTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => write!(f, "person {person}"),
            Self::Group(group) => write!(f, "role {group}"),
        }
    }
}

/// The step for a call that `by` takes to `to`: it lets go of the earlier ones.
pub fn moved_step(
    policy: &Policy,
    directory: &Directory,
    facts: &Facts,
    (to, by): (&MoveTo, &PersonId),
) -> Step {
    let target = match to {
        MoveTo::Person(person) => Target::One(Who::Person(At::new(person.clone(), 0..0))),
        MoveTo::Group(GroupName { role, department }) => {
            let which = department.clone().map(|d| Which::Named(At::new(d, 0..0)));
            Target::Role(At::new(role.clone(), 0..0), which)
        }
    };
    let settings = policy.settings();
    let rule = StepRule {
        to: target,
        text: Arc::from(format!("{to}, moved by {by}")),
        clause: Arc::from("B8"),
        ring: settings.ring,
        wait: settings.wait,
        only: true,
        choice: Choice { together: 1, ..Choice::default() },
        span: 0..0,
    };
    let seen = Seen::new(policy, directory, facts);
    let resolver = Resolver { policy, directory, seen: &seen, open: Cell::new(None) };
    resolver.steps(std::slice::from_ref(&rule)).remove(0)
}
