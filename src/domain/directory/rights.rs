//! Who may give orders (clause B8): the shift leader, the head of the department concerned, or whoever
//! stands in for that head.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{DepartmentId, Directory, GroupName, Order, PersonId};

/// The role whose holders may order anything.
const SHIFT_LEADER: &str = "shift_leader";

impl Directory {
    /// Whether `by` may order this now. Errors: why not, in words. Whom no department has any more (they have
    /// left, or nobody holds the role) is the concern of every head.
    pub fn may_order(&self, by: &PersonId, order: &Order, at: Timestamp) -> Result<(), String> {
        let concerned = match order {
            Order::Move { person, .. }
            | Order::Back { person }
            | Order::ClosePosition { person }
            | Order::OpenPosition { person } => self.department_of(person),
            Order::Close { group } | Order::Open { group } => self.departments_of(group),
        };
        let left = match order {
            // A department that is no more has nobody in it.
            Order::Close { group } | Order::Open { group } => !self.is_held(group),
            _ => self.names(order).is_err(),
        };
        match left && !concerned.iter().any(|department| self.department(department).is_some()) {
            true => self.may_move_call(by, at),
            false => self.may_command(by, order, &concerned, at),
        }
    }

    /// Whether `by` may take a call out of one queue and into that of `group` now.
    pub fn may_move_call(&self, by: &PersonId, at: Timestamp) -> Result<(), String> {
        let all: BTreeSet<DepartmentId> = self.departments().map(|d| d.id.clone()).collect();
        let leads = all.iter().any(|department| self.leads(by, department, at));
        self.present(by, at)?;
        if leads || self.is_shift_leader(by) {
            return Ok(());
        }
        Err(format!("{by} leads no department and is no shift leader (B8)"))
    }

    fn may_command(
        &self,
        by: &PersonId,
        order: &Order,
        concerned: &BTreeSet<DepartmentId>,
        at: Timestamp,
    ) -> Result<(), String> {
        self.present(by, at)?;
        let leads = |department: &DepartmentId| self.leads(by, department, at);
        if self.is_shift_leader(by) || (!concerned.is_empty() && concerned.iter().all(leads)) {
            return Ok(());
        }
        let Some(whose) = concerned.iter().find(|department| !leads(department)) else {
            let whom = match order {
                Order::Move { person, .. }
                | Order::Back { person }
                | Order::ClosePosition { person }
                | Order::OpenPosition { person } => person.to_string(),
                Order::Close { group } | Order::Open { group } => format!("whoever is {group}"),
            };
            return Err(format!(
                "{whom} is in no department: only a shift leader may order this (B8)"
            ));
        };
        Err(format!(
            "{by} does not lead {whose}, does not stand in for its head and is no shift leader (B8)"
        ))
    }

    fn present(&self, by: &PersonId, at: Timestamp) -> Result<(), String> {
        let person = self.agent(by).and_then(|agent| self.person(agent));
        let Some(person) = person else {
            return Err(format!("nobody is called {by}: see `telefonist agents`"));
        };
        match self.absence(person, at) {
            Some(absence) => Err(format!("{by} is absent to {}", absence.to)),
            None => Ok(()),
        }
    }

    fn is_shift_leader(&self, by: &PersonId) -> bool {
        let person = self.agent(by).and_then(|agent| self.person(agent));
        person.is_some_and(|p| p.roles.iter().any(|role| role.as_str() == SHIFT_LEADER))
    }

    /// Clause C1: the head, or who has the head's rights while the head is away.
    fn leads(&self, by: &PersonId, department: &DepartmentId, at: Timestamp) -> bool {
        let Some(department) = self.department(department) else { return false };
        let Some(head) = &department.head else {
            return department.deputy_head.as_ref() == Some(by);
        };
        let head_there = self.agent(head).and_then(|agent| self.person(agent));
        let head_away = head_there.is_none_or(|person| self.absence(person, at).is_some());
        let stands_in = self.stand_in(head, at).is_some_and(|agent| self.agent(by) == Some(agent));
        stands_in || (head_away && department.deputy_head.as_ref() == Some(by))
    }

    fn department_of(&self, person: &PersonId) -> BTreeSet<DepartmentId> {
        let person = self.agent(person).and_then(|agent| self.person(agent));
        person.and_then(|p| p.department.clone()).into_iter().collect()
    }

    /// The departments of those whose role it is, wherever they serve now.
    fn departments_of(&self, group: &GroupName) -> BTreeSet<DepartmentId> {
        if let Some(department) = &group.department {
            return BTreeSet::from([department.clone()]);
        }
        let holders = self.agents().filter(|(_, person)| person.roles.contains(&group.role));
        holders.filter_map(|(_, person)| person.department.clone()).collect()
    }
}
