//! Does every caller reach somebody, or at least a promise that somebody present owns, whoever is away?
//!
//! ```text
//! for each interval between two edges of calendars and absences      (alike ones once)
//!   for each rule, for each kind of caller that comes to it          (reach)
//!     S = whom its steps can ring now  ∪  who could own its promise
//!     S empty                        a dead end already
//!     |S| ≤ 2, or all of S one role  a dead end when these are away too: the counter-example
//! ```
//! That is all absences of up to two people and of everybody of a role without listing them: a set of
//! absent people makes a dead end exactly if it contains S. Clients' managers need no listing either: a
//! manager only adds to S, so a client without one is the worst case of each kind. The outcomes of steps
//! are walked one by one (`walk`): gone, busy, no answer, refused; each path ends, and each step is on one.
//!
//! Whose position a supervisor has closed rings no phone, nor does a closed queue (B8): as if they were
//! absent, but a promise may still be theirs, and what a route means is judged as if nothing were closed.
//!
//! Whatever is found is a fact about people: a warning, which refuses nothing. Pure; the time is handed
//! in. Work is bounded by [`STATES_MAX`] and [`WORK_MAX`]; what was not looked at is said.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::Policy;
use super::problem::{Problem, Severity};
use super::reach::Caller;
use super::resolve::local;
use super::rule::{End, Rule};
use super::target::{Target, Which, Who};
use crate::domain::{AgentId, Calendar, DepartmentId, Directory, Group, Person, PersonId, Role};

/// Days looked ahead: every day of a year once.
const DAYS_MAX: i64 = 366;
/// Different intervals looked at.
const STATES_MAX: usize = 2_000;
/// People looked at, over all intervals, rules and kinds of callers.
const WORK_MAX: usize = 3_000_000;
/// Roles that are told apart when all of one are away.
const ROLES_MAX: usize = 128;

/// What was found, and how much was looked at.
#[derive(Clone, Debug, Default)]
pub struct Proven {
    /// Warnings with counter-examples.
    pub problems: Vec<Problem>,
    /// Rules.
    pub rules: usize,
    /// Kinds of callers, over all rules.
    pub callers: usize,
    /// Kinds of intervals between edges of calendars and absences.
    pub intervals: usize,
    /// Paths of outcomes through the routes, each different route once; `None`: more than a `u64` can count.
    pub paths: Option<u64>,
}

/// See [`Policy::prove`].
pub(super) fn prove(policy: &Policy, directory: &Directory, at: Timestamp) -> Proven {
    let world = World::new(directory);
    let mut proof = Proof::new(policy, &world);
    let mut looked = 0;
    let mut complete = intervals(&world, at, &mut |at, open, absent| {
        looked += 1;
        proof.interval(at, open, absent);
        proof.work < WORK_MAX
    });
    complete &= policy.callers.1 && !proof.paths.cut;
    if complete {
        proof.unreached();
    } else {
        let message = "so many rules, people, absences and hours that not all of it was looked at";
        proof.found.push(policy.source().problem(Severity::Warning, 0..0, message, None));
    }
    proof.found.sort_by_key(|p| (p.line, p.column));
    Proven {
        problems: proof.found,
        rules: policy.rules.len(),
        callers: policy.callers.0.iter().map(Vec::len).sum(),
        intervals: looked,
        paths: Some(proof.paths.count).filter(|count| *count < u64::MAX),
    }
}

/// What of the directory is asked again and again.
struct World<'a> {
    directory: &'a Directory,
    calendars: BTreeMap<&'a str, &'a Arc<Calendar>>,
    roles: Vec<&'a Role>,
    people: BTreeMap<AgentId, Seat>,
}

struct Seat {
    phone: bool,
    /// No supervisor has closed the position (clause B8).
    open: bool,
    /// By its place in the world's list.
    calendar: Option<usize>,
    /// One bit each.
    roles: u128,
}

impl<'a> World<'a> {
    fn new(directory: &'a Directory) -> Self {
        let names = directory.departments().map(|d| d.calendar.as_ref());
        let calendars: BTreeMap<&str, &Arc<Calendar>> =
            names.filter_map(|name| Some((name, directory.calendar(name)?))).collect();
        let companies = directory.groups().filter(|g| g.department.is_none());
        let roles: Vec<&Role> = companies.map(|g| &g.role).take(ROLES_MAX).collect();
        let people = directory.agents().map(|(agent, person)| {
            let held = roles.iter().enumerate().filter(|(_, role)| person.roles.contains(**role));
            let department = person.department.as_ref().and_then(|d| directory.department(d));
            let name = department.map(|d| d.calendar.as_ref());
            let seat = Seat {
                phone: person.sip_user.is_some(),
                open: directory.position_closed(&person.id).is_none(),
                calendar: name.and_then(|name| calendars.keys().position(|n| *n == name)),
                roles: held.fold(0, |bits, (i, _)| bits | 1 << i),
            };
            (agent, seat)
        });
        let people = people.collect();
        Self { directory, calendars, roles, people }
    }
}

/// An instant, which calendars are open then (by their place in the list) and who is absent.
type Look<'l> = dyn FnMut(Timestamp, &[bool], &[AgentId]) -> bool + 'l;

/// Calls `look` with one instant of every kind of interval from `from` on: a kind is which calendars
/// are open and who is absent. False: it stopped before the end.
fn intervals(world: &World<'_>, from: Timestamp, look: &mut Look<'_>) -> bool {
    let directory = world.directory;
    let away = |at: Timestamp| -> Vec<AgentId> {
        let away = |p: &Arc<Person>| {
            !directory.absences_of(&p.id).is_empty() && directory.absence(p, at).is_some()
        };
        directory.agents().filter(|(_, p)| away(p)).map(|(agent, _)| agent).collect()
    };
    let mut open: Vec<bool> = world.calendars.values().map(|c| c.is_open(from)).collect();
    let mut absent = away(from);
    let mut seen = BTreeSet::from([(open.clone(), absent.clone())]);
    if !look(from, &open, &absent) {
        return false;
    }
    for (at, changes) in edges(world, from) {
        for change in changes {
            match change {
                Edge::Hours(place) => {
                    let calendar = world.calendars.values().nth(place);
                    open[place] = calendar.is_some_and(|c| c.is_open(at));
                }
                Edge::Absence => absent = away(at),
            }
        }
        let fresh = seen.insert((open.clone(), absent.clone()));
        if fresh && (seen.len() > STATES_MAX || !look(at, &open, &absent)) {
            return false;
        }
    }
    true
}

/// What changes at an instant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    /// A calendar, by its place in the list.
    Hours(usize),
    /// Who is absent.
    Absence,
}

fn edges(world: &World<'_>, from: Timestamp) -> BTreeMap<Timestamp, BTreeSet<Edge>> {
    let mut edges: BTreeMap<Timestamp, BTreeSet<Edge>> = BTreeMap::new();
    let mut note = |at: Timestamp, edge: Edge| {
        if at > from {
            edges.entry(at).or_default().insert(edge);
        }
    };
    for (place, calendar) in world.calendars.values().enumerate() {
        let today = calendar.today(from);
        for day in (0..DAYS_MAX).filter_map(|n| today.checked_add(jiff::Span::new().days(n)).ok()) {
            calendar.edges(day).into_iter().for_each(|at| note(at, Edge::Hours(place)));
        }
    }
    let directory = world.directory;
    for absence in directory.absences() {
        let person = directory.agent(&absence.person).and_then(|a| directory.person(a));
        let calendar = person.and_then(|p| directory.calendar_of(p));
        let utc = TimeZone::UTC;
        let zone = calendar.map_or(&utc, |c| c.zone());
        let midnight = |day: Date| zone.to_timestamp(day.to_datetime(Time::midnight())).ok();
        midnight(absence.from).into_iter().for_each(|at| note(at, Edge::Absence));
        let over = absence.to.tomorrow().ok().and_then(midnight);
        over.into_iter().for_each(|at| note(at, Edge::Absence));
    }
    edges
}

/// A set of people as far as it matters: the first three, and the roles that all of them hold.
#[derive(Clone)]
struct Few {
    first: Vec<AgentId>,
    /// The first three whatever supervisors have closed: what a route means stands over their orders.
    meant: Vec<AgentId>,
    roles: u128,
    /// Somebody would be here if nobody were absent.
    open: bool,
    /// There is somebody at all, whatever the hour.
    anybody: bool,
}

impl Few {
    fn nobody() -> Self {
        Self { first: Vec::new(), meant: Vec::new(), roles: u128::MAX, open: false, anybody: false }
    }

    fn add(&mut self, agent: AgentId, roles: u128) {
        push(&mut self.first, agent);
        self.roles &= roles;
    }

    fn join(&mut self, other: &Few) {
        other.first.iter().for_each(|agent| self.add(*agent, u128::MAX));
        other.meant.iter().for_each(|agent| push(&mut self.meant, *agent));
        self.roles &= other.roles;
        self.open |= other.open;
        self.anybody |= other.anybody;
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

fn push(few: &mut Vec<AgentId>, agent: AgentId) {
    if few.len() < 3 && !few.contains(&agent) {
        few.push(agent);
    }
}

struct Proof<'a> {
    policy: &'a Policy,
    world: &'a World<'a>,
    /// What was told of a rule or step, by the place in the text: once each.
    told: BTreeSet<(usize, &'static str)>,
    /// Of this interval: who of a group can be rung, by its queue.
    groups: BTreeMap<u16, Few>,
    /// Of this interval: everybody of a group who is not absent, by its queue.
    not_absent: BTreeMap<u16, Arc<[AgentId]>>,
    /// Of this interval: which calendars are open.
    open: Vec<bool>,
    /// Of this interval.
    absent: BTreeSet<AgentId>,
    work: usize,
    paths: Paths,
    found: Vec<Problem>,
}

impl<'a> Proof<'a> {
    /// Nothing was looked at yet.
    fn new(policy: &'a Policy, world: &'a World<'a>) -> Self {
        Self {
            policy,
            world,
            told: BTreeSet::new(),
            groups: BTreeMap::new(),
            not_absent: BTreeMap::new(),
            open: Vec::new(),
            absent: BTreeSet::new(),
            work: 0,
            paths: Paths::default(),
            found: Vec::new(),
        }
    }

    fn interval(&mut self, at: Timestamp, open: &[bool], absent: &[AgentId]) {
        self.groups.clear();
        self.not_absent.clear();
        self.open = open.to_vec();
        self.absent = absent.iter().copied().collect();
        let policy = self.policy;
        for (rule, callers) in policy.rules.iter().zip(&policy.callers.0) {
            for step in &rule.steps {
                self.staffed(&step.to, &step.span, at);
            }
            if !matches!(rule.end, End::Callback { .. }) {
                self.paths.without_steps(rule.span.start);
                continue;
            }
            for caller in callers {
                let relevant = if asks_relevant(rule) { usize::MAX } else { 1 };
                for relevant in self.relevant(caller).into_iter().take(relevant) {
                    self.caller(rule, caller, &relevant, at);
                }
            }
        }
    }

    /// The departments that may be relevant for this kind of caller (clause B1).
    fn relevant(&self, caller: &Caller) -> Vec<DepartmentId> {
        let directory = self.world.directory;
        if let Some(called) = &caller.called {
            return vec![called.clone()];
        }
        let of_region = caller.region.as_ref().and_then(|r| directory.department_of_region(r));
        let default = self.policy.settings().default_department.clone();
        match of_region {
            Some(department) => vec![department.id.clone()],
            None if caller.known && caller.region.is_none() => {
                // The client may have a region of its own that no rule names.
                let others = directory.departments().filter(|d| !d.regions.is_empty());
                std::iter::once(default).chain(others.map(|d| d.id.clone())).collect()
            }
            None => vec![default],
        }
    }

    /// Every role that a step names has somebody in each open interval.
    fn staffed(&mut self, target: &Target, span: &Range<usize>, at: Timestamp) {
        let Target::Role(role, which) = target else { return };
        let directory = self.world.directory;
        let group = match which {
            None => directory.group(role),
            Some(Which::Named(department)) => directory.group_in(role, department),
            Some(_) => return,
        };
        let Some(group) = group else { return };
        let few = self.group(group).clone();
        if few.open && few.is_empty() {
            let (name, closed) = (group, group.closed_by.as_ref());
            let what = match closed {
                Some(by) => format!("the queue of `{name}` is closed by {by}"),
                None => format!("nobody of `{name}` is there"),
            };
            let message = format!("{what}: {}", self.time(at, "absent"));
            let hint = match few.meant.is_empty() {
                true => "who is absent needs a colleague who is not, in every open hour (C1)",
                false => "a supervisor has closed it: `telefonist status` lists the orders (B8)",
            };
            self.tell(span.clone(), "role", message, hint);
        }
    }

    fn caller(&mut self, rule: &'a Rule, caller: &Caller, relevant: &DepartmentId, at: Timestamp) {
        let mut rings = Few::nobody();
        let mut steps = Vec::new();
        for step in &rule.steps {
            let people = self.target(&step.to, caller, relevant, at);
            rings.join(&people);
            steps.push(people.meant);
        }
        self.outcomes(rule, &steps, (caller, relevant), at);
        self.comes_back(rule, (caller, relevant), at);
        let mut all = rings.clone();
        let owner = match &rule.end {
            End::Callback { owner: Some(owner) } => Some(&owner.value),
            _ => None,
        };
        self.owners(owner, caller, relevant, at, &mut all);
        let name = &rule.name;
        let few = self.few(&all);
        if !all.is_empty() && few.is_none() && rings.anybody && !(rings.is_empty() && rings.open) {
            return;
        }
        if KINDS.iter().all(|kind| self.told.contains(&(rule.span.start, *kind))) {
            return;
        }
        let caller = caller.in_words(false);
        let (place, besides) = (self.time(at, "absent"), self.time(at, "absent besides them"));
        let mut say = |kind, message: String| {
            let place = if kind == "away" { &besides } else { &place };
            let hint = "add a step with other people, or another owner of the promise (B, C1)";
            self.tell(rule.span.clone(), kind, format!("{message}: {caller}; {place}"), hint);
        };
        if !rule.steps.is_empty() && !rings.anybody {
            say("nobody", format!("`{name}` has nobody at any hour for this caller"));
        } else if rings.is_empty() && rings.open {
            let message = format!("`{name}` reaches nobody although it is open, only a promise");
            say("promise", message);
        }
        // Out of hours the promise counts, and it is kept when somebody is there again.
        if all.is_empty() {
            let message = format!("`{name}` is a dead end: nobody is there or owns a promise");
            say("dead end", message);
        } else if (rings.open || !rings.anybody)
            && let Some(few) = few
        {
            say("away", format!("`{name}` is a dead end when {few} away"));
        }
    }

    /// The set of people whose absence takes everybody of `all`: up to two, or all of a role.
    fn few(&self, all: &Few) -> Option<String> {
        let role = self.world.roles.get(all.roles.trailing_zeros() as usize);
        if all.first.len() > 2 {
            return role.map(|role| format!("everybody with the role {role} is"));
        }
        let names = all.first.iter().filter_map(|a| self.world.directory.person(*a));
        let names: Vec<&str> = names.map(|p| p.id.as_str()).collect();
        Some(format!("{} {}", names.join(" and "), if names.len() == 1 { "is" } else { "are" }))
    }

    /// Whom a step can ring now.
    fn target(
        &mut self,
        target: &Target,
        caller: &Caller,
        relevant: &DepartmentId,
        at: Timestamp,
    ) -> Few {
        let mut few = Few::nobody();
        match target {
            Target::One(who) => {
                let agent = self.who(who, caller, relevant);
                agent.into_iter().for_each(|agent| self.add(agent, &mut few));
            }
            Target::Deputies(who) => {
                let deputies = self.deputies(who, caller, relevant, at);
                deputies.into_iter().for_each(|agent| self.add(agent, &mut few));
            }
            Target::Role(role, which) => {
                if let Some(group) = self.group_meant(role, which.as_ref(), caller, relevant) {
                    few.join(self.group(group));
                }
            }
        }
        few
    }

    fn group_meant(
        &self,
        role: &Role,
        which: Option<&Which>,
        caller: &Caller,
        relevant: &DepartmentId,
    ) -> Option<&'a Group> {
        let directory = self.world.directory;
        match which {
            None => directory.group(role),
            Some(which) => directory.group_in(role, self.which(which, caller, relevant)?),
        }
    }

    /// Who stands in, if the person is absent.
    fn deputies(
        &self,
        who: &Who,
        caller: &Caller,
        relevant: &DepartmentId,
        at: Timestamp,
    ) -> Vec<AgentId> {
        let directory = self.world.directory;
        let absent = self.who(who, caller, relevant).filter(|a| self.absent.contains(a));
        let person = absent.and_then(|a| directory.person(a));
        person.map(|p| directory.deputies(&p.id, at)).unwrap_or_default()
    }

    fn group(&mut self, group: &Group) -> &Few {
        let queue = group.queue.0;
        if !self.groups.contains_key(&queue) {
            let mut few = Few::nobody();
            group.members.iter().for_each(|agent| self.add(*agent, &mut few));
            if group.closed_by.is_some() {
                (few.first, few.roles) = (Vec::new(), u128::MAX);
            }
            self.groups.insert(queue, few);
        }
        &self.groups[&queue]
    }

    fn add(&mut self, agent: AgentId, few: &mut Few) {
        self.work += 1;
        let Some(seat) = self.world.people.get(&agent).filter(|seat| seat.phone) else { return };
        few.anybody = true;
        if seat.calendar.is_some_and(|place| !self.open[place]) {
            return;
        }
        few.open = true;
        if self.absent.contains(&agent) {
            return;
        }
        push(&mut few.meant, agent);
        if seat.open {
            few.add(agent, seat.roles);
        }
    }

    /// Whose the promise is, the first who is there before the others.
    fn owners_named(
        &self,
        named: Option<&Who>,
        caller: &Caller,
        relevant: &DepartmentId,
    ) -> Vec<AgentId> {
        let default = self.policy.settings().callback_owner.as_ref().map(|owner| &owner.value);
        let usual = Who::Head(Which::Client);
        let order = named.into_iter().chain([&usual]).chain(default);
        order.filter_map(|who| self.who(who, caller, relevant)).collect()
    }

    /// Everybody to whom the promise may fall, in the order of `Resolver::owner`.
    fn owners(
        &mut self,
        named: Option<&Who>,
        caller: &Caller,
        relevant: &DepartmentId,
        at: Timestamp,
        all: &mut Few,
    ) {
        let directory = self.world.directory;
        let order = self.owners_named(named, caller, relevant);
        let superiors: Vec<AgentId> =
            order.iter().flat_map(|agent| directory.superiors(*agent)).collect();
        for agent in order.into_iter().chain(superiors) {
            self.work += 1;
            let stand_in = match self.absent.contains(&agent) {
                false => Some(agent),
                true => directory.person(agent).and_then(|p| directory.stand_in(&p.id, at)),
            };
            if let Some(agent) = stand_in {
                all.add(agent, self.world.people.get(&agent).map_or(0, |seat| seat.roles));
            }
        }
    }

    fn who(&self, who: &Who, caller: &Caller, relevant: &DepartmentId) -> Option<AgentId> {
        let directory = self.world.directory;
        let person: &PersonId = match who {
            Who::Manager => return None,
            Who::Head(which) => {
                let department = directory.department(self.which(which, caller, relevant)?)?;
                department.head.as_ref()?
            }
            Who::Person(person) => person,
        };
        directory.agent(person)
    }

    fn which<'b>(
        &'b self,
        which: &'b Which,
        caller: &'b Caller,
        relevant: &'b DepartmentId,
    ) -> Option<&'b DepartmentId> {
        match which {
            Which::Relevant => Some(relevant),
            Which::Default => Some(&self.policy.settings().default_department),
            Which::Named(name) => Some(name),
            Which::Client => caller.department.as_ref(),
            Which::Manager => None,
        }
    }

    /// The interval's beginning by a clock of the company, and who is absent in it.
    fn time(&self, at: Timestamp, absent: &str) -> String {
        let directory = self.world.directory;
        let department = directory.department(&self.policy.settings().default_department);
        let calendar = department.and_then(|d| directory.calendar(&d.calendar));
        let clock = calendar.map_or_else(|| at.to_string(), |calendar| local(calendar, at));
        let away = self.absent.iter().filter_map(|agent| directory.person(*agent));
        let away = shown(away.map(|p| p.id.to_string()).collect());
        let away = away.unwrap_or_else(|| "nobody".to_owned());
        let positions = self.world.people.iter().filter(|(_, seat)| !seat.open);
        let positions = positions.filter_map(|(agent, _)| directory.person(*agent));
        let positions = shown(positions.map(|p| p.id.to_string()).collect());
        let positions = positions.map(|all| format!(", positions closed: {all}"));
        let queues = directory.groups().filter(|g| g.closed_by.is_some());
        let queues = shown(queues.map(ToString::to_string).collect());
        let queues = queues.map(|all| format!(", queues closed: {all}"));
        let (positions, queues) = (positions.unwrap_or_default(), queues.unwrap_or_default());
        format!("{clock}, {absent}: {away}{positions}{queues}")
    }

    fn tell(&mut self, span: Range<usize>, kind: &'static str, message: String, hint: &str) {
        if self.told.insert((span.start, kind)) {
            let source = self.policy.source();
            let hint = Some(hint.to_owned());
            self.found.push(source.problem(Severity::Warning, span, message, hint));
        }
    }
}

mod back;
mod outcomes;

use outcomes::Paths;

/// The kinds of failure that a rule can have.
const KINDS: [&str; 4] = ["nobody", "promise", "dead end", "away"];

fn asks_relevant(rule: &Rule) -> bool {
    let relevant = |who: &Who| matches!(who, Who::Head(Which::Relevant));
    let step = |target: &Target| match target {
        Target::One(who) | Target::Deputies(who) => relevant(who),
        Target::Role(_, which) => matches!(which, Some(Which::Relevant)),
    };
    let owner = matches!(&rule.end, End::Callback { owner: Some(owner) } if relevant(owner));
    owner || rule.steps.iter().any(|s| step(&s.to))
}

/// Names of a kind in one counter-example.
const SHOWN_MAX: usize = 8;

/// The first names, and how many more; `None` if there are none.
fn shown(mut names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    match (names.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(names.join(", ")),
        _ => Some(format!("{} and {more} more", names.join(", "))),
    }
}

#[cfg(test)]
mod tests;
