//! What a policy names and the directory does not have; what is wrong with the directory itself.
//!
//! Called when a policy is compiled and whenever the directory changes. Problems of the policy's text
//! have their line; those of people, departments and absences name their row.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Date;

use super::condition::Test;
use super::fields::At;
use super::problem::{Problem, Severity, Source, did_you_mean};
use super::rule::End;
use super::target::{Target, Which, Who};
use super::{Emergency, Policy};
use crate::domain::{
    Absence, Department, DepartmentId, Directory, GroupName, Order, Person, PersonId, Role,
};

/// Steps of the search for circles of deputies; with fewer overlapping absences it is exhaustive.
const CIRCLE_STEPS_MAX: usize = 100_000;

/// Roles whose holders are managers in the sense of clause C1.
const MANAGERS: [&str; 3] = ["manager", "key_account_manager", "vip_manager"];

/// Everything that `policy` names and `directory` lacks.
pub(super) fn names(policy: &Policy, directory: &Directory) -> Vec<Problem> {
    if directory.agents().next().is_none() {
        let hint = "import people and departments first".to_owned();
        let message = "the directory is empty: nobody could be rung".to_owned();
        return vec![Problem::of_directory(Severity::Error, message, Some(hint))];
    }
    let mut check = Check { source: policy.source(), directory, found: Vec::new() };
    let settings = policy.settings();
    check.department(&settings.default_department, settings.default_department_at.clone());
    if let Some(owner) = &settings.callback_owner {
        check.who(&owner.value, owner.span.clone());
    }
    for (role, start) in &settings.head_start_role {
        check.role(&At::new(role.clone(), start.span.clone()), None);
    }
    for department in policy.called.values() {
        check.department(department, department.span.clone());
    }
    for region in policy.regions.values() {
        check.region(region);
    }
    for rule in &policy.rules {
        for test in rule.when.iter().flat_map(|condition| &condition.tests) {
            if let Test::Department(names) = test {
                names.iter().for_each(|name| check.department(name, name.span.clone()));
            }
        }
        for step in &rule.steps {
            check.target(&step.to, step.span.clone());
            if let Target::Role(role, _) = &step.to {
                step.choice.listed.iter().for_each(|person| check.listed(person, role));
            }
        }
        if let End::Callback { owner: Some(owner) } = &rule.end {
            check.who(&owner.value, owner.span.clone());
        }
    }
    for plan in &policy.emergencies {
        plan.moves.iter().for_each(|order| check.order(order));
        check.plan(policy, plan);
    }
    for group in policy.helps.iter().flat_map(|help| &help.named) {
        check.group(group);
    }
    for (person, help, count) in policy.overfull(directory) {
        let hint = "a role less, or fewer helpers (B7)".to_owned();
        check.error(help.span.clone(), super::help::overfull(person, help, count), Some(hint));
    }
    check.found
}

struct Check<'a> {
    source: &'a Source,
    directory: &'a Directory,
    found: Vec<Problem>,
}

impl Check<'_> {
    fn error(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        self.found.push(self.source.problem(Severity::Error, span, message, hint));
    }

    fn warn(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        self.found.push(self.source.problem(Severity::Warning, span, message, hint));
    }

    fn department(&mut self, name: &DepartmentId, span: Range<usize>) {
        if self.directory.department(name).is_none() {
            let known = self.directory.departments().map(|d| d.id.as_str());
            let hint = did_you_mean(name.as_str(), known);
            self.error(span, format!("no department is called `{name}`"), hint);
        }
    }

    fn region(&mut self, region: &At<std::sync::Arc<str>>) {
        if self.directory.department_of_region(region).is_none() {
            let known = self.directory.departments().flat_map(|d| &d.regions);
            let hint = did_you_mean(region, known.map(|r| r.as_ref()));
            let message = format!("no department is responsible for the region `{region}`");
            self.warn(region.span.clone(), message, hint);
        }
    }

    fn target(&mut self, target: &Target, span: Range<usize>) {
        match target {
            Target::One(who) | Target::Deputies(who) => self.who(who, span),
            Target::Role(role, which) => self.role(role, which.as_ref()),
        }
    }

    fn listed(&mut self, person: &At<PersonId>, role: &Role) {
        let Some(known) = self.directory.agent(person).and_then(|a| self.directory.person(a))
        else {
            return self.who(&Who::Person(person.clone()), person.span.clone());
        };
        if !known.roles.contains(role) {
            let message = format!("`{person}` does not hold the role `{role}`");
            self.warn(person.span.clone(), message, None);
        }
    }

    /// Clause B7: a group that helps or is helped.
    fn group(&mut self, group: &At<GroupName>) {
        if !self.directory.has_group(group) && !self.directory.is_held(group) {
            let groups = self.directory.groups().map(|g| g.name().to_string()).collect::<Vec<_>>();
            let hint = did_you_mean(&group.to_string(), groups.iter().map(String::as_str));
            self.error(group.span.clone(), format!("no group is called `{group}`"), hint);
        }
    }

    /// Clause B8: whom an emergency plan moves, and where.
    fn order(&mut self, order: &At<Order>) {
        if let Err(why) = self.directory.knows(order) {
            let groups = self.directory.groups().map(|g| g.name().to_string()).collect::<Vec<_>>();
            let people = self.directory.agents().map(|(_, p)| p.id.as_str());
            let hint = match &order.value {
                Order::Move { person, .. } if self.directory.agent(person).is_none() => {
                    did_you_mean(person.as_str(), people)
                }
                Order::Move { to, .. } => {
                    did_you_mean(&to.to_string(), groups.iter().map(String::as_str))
                }
                Order::Close { group } | Order::Open { group } => {
                    did_you_mean(&group.to_string(), groups.iter().map(String::as_str))
                }
                Order::Back { person }
                | Order::ClosePosition { person }
                | Order::OpenPosition { person } => did_you_mean(person.as_str(), people),
            };
            let message = why.split(": see").next().unwrap_or_default().to_owned();
            return self.error(order.span.clone(), message, hint);
        }
        let Order::Move { person, .. } = &order.value else { return };
        let known = self.directory.agent(person).and_then(|agent| self.directory.person(agent));
        if known.is_some_and(|person| person.sip_user.is_none()) {
            let message = format!("{person} has no phone: no call reaches them there");
            self.warn(order.span.clone(), message, None);
        }
        // Who is elsewhere by an order now may be where the plan finds them.
        if self.directory.orders().moved(person).is_none()
            && let Err(why) = self.directory.changes(&order.value)
        {
            let message = why.split(": see").next().unwrap_or_default().to_owned();
            self.warn(order.span.clone(), format!("{message}: the move changes nothing"), None);
        }
    }

    /// Clauses B7, B8: nobody may come to serve more groups than there are places for.
    fn plan(&mut self, policy: &Policy, plan: &Emergency) {
        let before = policy.too_many_groups(self.directory);
        let found = match self.directory.under_plan(&plan.name, plan.orders()) {
            Ok(after) => policy.too_many_groups(&after),
            Err(found) => found,
        };
        for message in found.into_iter().filter(|message| !before.contains(message)) {
            self.error(plan.span.clone(), format!("plan {}: {message}", plan.name), None);
        }
    }

    fn who(&mut self, who: &Who, span: Range<usize>) {
        match who {
            Who::Person(person) if self.directory.agent(person).is_none() => {
                let known = self.directory.agents().map(|(_, p)| p.id.as_str());
                let hint = did_you_mean(person.as_str(), known);
                self.error(person.span.clone(), format!("nobody is called `{person}`"), hint);
            }
            Who::Head(Which::Named(name)) => {
                self.department(name, name.span.clone());
                let department = self.directory.department(name);
                if department.is_some_and(|d| d.head.is_none()) {
                    self.warn(span, format!("department `{name}` has no head"), None);
                }
            }
            _ => {}
        }
    }

    fn role(&mut self, role: &At<Role>, which: Option<&Which>) {
        let department = match which {
            Some(Which::Named(name)) => Some(&name.value),
            _ => None,
        };
        if let Some((message, hint)) = self.moved_away(role, department) {
            return self.warn(role.span.clone(), message, Some(hint));
        }
        if self.directory.group(role).is_none() {
            let roles: BTreeSet<&str> = self.directory.groups().map(|g| g.role.as_str()).collect();
            let hint = did_you_mean(role.as_str(), roles);
            self.error(role.span.clone(), format!("nobody holds the role `{role}`"), hint);
        }
        let Some(Which::Named(name)) = which else { return };
        self.department(name, name.span.clone());
        let known =
            self.directory.department(name).is_some() && self.directory.group(role).is_some();
        if known && self.directory.group_in(role, name).is_none() {
            let message = format!("nobody in `{name}` holds the role `{role}`");
            self.error(role.span.clone(), message, None);
        }
    }

    /// Clause B8: somebody holds the role, and nobody serves it, for supervisors have moved them all. By which
    /// orders, and how they are taken back.
    fn moved_away(
        &self,
        role: &Role,
        department: Option<&DepartmentId>,
    ) -> Option<(String, String)> {
        let directory = self.directory;
        let group = GroupName { role: role.clone(), department: department.cloned() };
        let served = match department {
            None => directory.group(role),
            Some(department) => directory.group_in(role, department),
        };
        if served.is_some() {
            return None;
        }
        let orders = directory.moved_from(&group);
        let last = orders.last()?;
        let more = orders.len().saturating_sub(ORDERS_SHOWN);
        let shown: Vec<String> =
            orders.iter().take(ORDERS_SHOWN).map(|order| order.to_string()).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "nobody serves `{group}` by order of a supervisor: {}{more} (B8)",
            shown.join(", ")
        );
        let hint = match (&last.plan, &last.order) {
            (Some(_), _) => "`telefonist plan revert --by PERSON` takes the plan back".to_owned(),
            (None, Order::Move { person, .. }) => {
                format!("`telefonist agent back {person} --by PERSON` takes an order back")
            }
            _ => "`telefonist status` lists the orders".to_owned(),
        };
        Some((message, hint))
    }
}

/// Orders that one problem names.
const ORDERS_SHOWN: usize = 3;

/// What is wrong with people, departments and absences, whatever the policy says.
pub fn check_directory(directory: &Directory) -> Vec<Problem> {
    let mut found = Vec::new();
    for (_, person) in directory.agents() {
        person_problems(directory, person, &mut found);
    }
    supervisors(directory, &mut found);
    departments(directory, &mut found);
    found.extend(lacking_calendars(directory));
    for absence in directory.absences() {
        absence_problems(directory, absence, &mut found);
    }
    circles(directory, &mut found);
    let mend = "mend the row: days are written 2026-03-02";
    found.extend(directory.unread().iter().map(|what| error(what.to_string(), Some(mend.into()))));
    found
}

fn error(message: String, hint: Option<String>) -> Problem {
    Problem::of_directory(Severity::Error, message, hint)
}

fn warning(message: String) -> Problem {
    Problem::of_directory(Severity::Warning, message, None)
}

fn person_problems(directory: &Directory, person: &Person, found: &mut Vec<Problem>) {
    let id = &person.id;
    if let Some(name) = &person.department
        && directory.department(name).is_none()
    {
        let hint = did_you_mean(name.as_str(), directory.departments().map(|d| d.id.as_str()));
        found.push(error(format!("person {id}: there is no department `{name}`"), hint));
    }
    if let Some(superior) = &person.supervisor
        && directory.agent(superior).is_none()
    {
        found.push(warning(format!("person {id}: the supervisor {superior} has left")));
    }
}

/// Superiors who stand above each other: what goes up comes back (clause B6).
fn supervisors(directory: &Directory, found: &mut Vec<Problem>) {
    let mut done = BTreeSet::new();
    for (agent, _) in directory.agents() {
        let mut path = vec![agent];
        while let Some(last) = path.last().copied().filter(|last| !done.contains(last)) {
            let above = directory.person(last).and_then(|person| person.supervisor.as_ref());
            let Some(next) = above.and_then(|above| directory.agent(above)) else { break };
            let met = path.iter().position(|agent| *agent == next);
            path.push(next);
            if let Some(met) = met {
                let names = path[met..].iter().filter_map(|agent| directory.person(*agent));
                let names: Vec<&str> = names.map(|person| person.id.as_str()).collect();
                found.push(warning(format!("superiors in a circle: {} (B6)", names.join(" → "))));
                break;
            }
        }
        done.extend(path);
    }
}

/// Departments whose hours the configuration does not have.
pub fn lacking_calendars(directory: &Directory) -> Vec<Problem> {
    let lacks = |d: &&Department| directory.calendar(&d.calendar).is_none();
    let problem = |department: &Department| {
        let (id, calendar) = (&department.id, &department.calendar);
        let hint = did_you_mean(calendar, directory.calendar_names());
        error(format!("department {id}: there is no calendar `{calendar}`"), hint)
    };
    directory.departments().filter(lacks).map(problem).collect()
}

fn departments(directory: &Directory, found: &mut Vec<Problem>) {
    let mut claimed: BTreeMap<&str, &DepartmentId> = BTreeMap::new();
    for department in directory.departments() {
        let id = &department.id;
        match &department.head {
            None => found.push(warning(format!("department {id} has no head"))),
            Some(head) if directory.agent(head).is_none() => {
                found.push(warning(format!("department {id}: its head {head} has left")));
            }
            Some(_) => {}
        }
        if let Some(deputy) =
            department.deputy_head.as_ref().filter(|d| directory.agent(d).is_none())
        {
            found.push(warning(format!("department {id}: its deputy head {deputy} has left")));
        }
        for region in &department.regions {
            if let Some(other) = claimed.insert(region, id) {
                let message = format!("region {region} belongs to {other} and to {id}");
                found.push(warning(message));
            }
        }
    }
}

/// Clause C1: a manager's deputy is a manager, an operator's an operator, a head's any employee.
fn absence_problems(directory: &Directory, absence: &Absence, found: &mut Vec<Problem>) {
    let (id, away) = (absence.id, &absence.person);
    if absence.from > absence.to {
        let message = format!("absence {id} of {away} ends before it begins");
        found.push(error(message, None));
    }
    let person = |id: &PersonId| directory.agent(id).and_then(|a| directory.person(a));
    let Some(person_away) = person(away) else {
        found.push(warning(format!("absence {id}: {away} has left")));
        return;
    };
    let Some(deputy) = &absence.deputy else { return };
    let Some(stands_in) = person(deputy) else {
        found.push(warning(format!("absence {id} of {away}: the deputy {deputy} has left")));
        return;
    };
    let leads = directory.departments().any(|d| d.head.as_ref() == Some(away));
    let holds = |person: &Person, roles: &[&str]| {
        person.roles.iter().any(|role| roles.contains(&role.as_str()))
    };
    if leads || holds(person_away, &["head", "director"]) {
        return;
    }
    for (roles, what) in [(&MANAGERS[..], "manager"), (&["operator"][..], "operator")] {
        if holds(person_away, roles) && !holds(stands_in, roles) {
            let message = format!("absence {id} of {away}: the deputy {deputy} is no {what} (C1)");
            found.push(warning(message));
            return;
        }
    }
}

/// Deputies who stand in for each other on the same day.
fn circles(directory: &Directory, found: &mut Vec<Problem>) {
    let mut search = Search { directory, steps: 0, told: BTreeSet::new(), found };
    for absence in directory.absences() {
        search.follow(&mut vec![absence], (absence.from, absence.to));
    }
}

struct Search<'a, 'f> {
    directory: &'a Directory,
    steps: usize,
    told: BTreeSet<BTreeSet<&'a PersonId>>,
    found: &'f mut Vec<Problem>,
}

impl<'a> Search<'a, '_> {
    /// `path` are absences each of whose deputies is the next one's person, all on `days`.
    fn follow(&mut self, path: &mut Vec<&'a Absence>, days: (Date, Date)) {
        self.steps += 1;
        let Some(last) = path.last().filter(|_| self.steps < CIRCLE_STEPS_MAX) else { return };
        let Some(deputy) = &last.deputy else { return };
        if *deputy == path[0].person {
            self.tell(path, days);
            return;
        }
        if path.iter().any(|absence| absence.person == *deputy) {
            return;
        }
        for next in self.directory.absences_of(deputy) {
            let common = (days.0.max(next.from), days.1.min(next.to));
            if common.0 <= common.1 {
                path.push(next);
                self.follow(path, common);
                path.pop();
            }
        }
    }

    fn tell(&mut self, path: &[&'a Absence], (from, to): (Date, Date)) {
        if !self.told.insert(path.iter().map(|absence| &absence.person).collect()) {
            return;
        }
        let people = path.iter().map(|absence| absence.person.as_str());
        let circle: Vec<&str> = people.chain([path[0].person.as_str()]).collect();
        let ids: Vec<String> = path.iter().map(|absence| absence.id.to_string()).collect();
        let (ids, circle) = (ids.join(", "), circle.join(" → "));
        let message =
            format!("deputies in a circle from {from} to {to}: {circle} (absences {ids})");
        self.found.push(error(message, Some("name somebody who is there (C1)".to_owned())));
    }
}
