//! The directory: people, departments, absences, groups. One immutable snapshot; a change makes a new one.
//!
//! Places on the board (`AgentId`, `QueueId`) are given out once per name and never reused while
//! the server runs, so that a call which began under an older snapshot still means the same people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{AgentId, Calendar, Credentials, DepartmentId, PersonId, QueueId, Role};

mod orders;
mod record;
mod rights;

pub use orders::{GroupName, Hand, ORDERS_MAX, Order, Orders, Standing};
pub use record::DirectoryRecord;

/// A person of the company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Short name.
    pub id: PersonId,
    /// As written on a badge.
    pub name: Arc<str>,
    /// All roles; one person may hold several (clause G2).
    pub roles: BTreeSet<Role>,
    /// How skilled they are in each, from 1; 0 where it is not said. Left out of JSON if nowhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<Role, u8>,
    /// Where the person belongs; gives hours and time zone.
    pub department: Option<DepartmentId>,
    /// User part of the address of record; a person without one has no phone of ours.
    pub sip_user: Option<Arc<str>>,
    /// The direct superior.
    pub supervisor: Option<PersonId>,
    /// What the phone's password is kept as.
    #[serde(skip)]
    pub credentials: Option<Credentials>,
    /// Where promised callbacks may be sent.
    pub email: Option<Arc<str>>,
}

/// A department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Department {
    /// Short name.
    pub id: DepartmentId,
    /// As written on a door.
    pub name: Arc<str>,
    /// Who leads it.
    pub head: Option<PersonId>,
    /// The deputy head, who names deputies (clause C1).
    pub deputy_head: Option<PersonId>,
    /// Name of its calendar in the configuration.
    pub calendar: Arc<str>,
    /// Regions whose new clients it is responsible for (clause B1).
    pub regions: BTreeSet<Arc<str>>,
}

/// Why a person is away (clause C1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceKind {
    /// On the road for the company.
    BusinessTrip,
    /// Holidays.
    Leave,
    /// Ill.
    Sickness,
    /// Anything else.
    Other,
}

/// Clause C1: local days of the person's department, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Row of the table; commands name it.
    pub id: i64,
    /// Who is away.
    pub person: PersonId,
    /// Why.
    pub kind: AbsenceKind,
    /// First day away.
    pub from: Date,
    /// Last day away.
    pub to: Date,
    /// Who has the calls, the rights and the responsibility meanwhile.
    pub deputy: Option<PersonId>,
    /// Who entered it.
    pub by: Arc<str>,
}

/// A role, of the whole company or of one department, seen as a group with one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its role.
    pub role: Role,
    /// Only the holders in this department; everybody who holds the role if `None`.
    pub department: Option<DepartmentId>,
    /// Its queue on the board.
    pub queue: QueueId,
    /// Its people, ordered by agent.
    pub members: Vec<AgentId>,
    /// Of its people's names, so that a record tells another group from this one without a list.
    pub fingerprint: Arc<str>,
    /// Which supervisor closed its queue (clause B8).
    pub closed_by: Option<PersonId>,
}

impl Group {
    /// As people write it.
    pub fn name(&self) -> GroupName {
        GroupName { role: self.role.clone(), department: self.department.clone() }
    }
}

impl fmt::Display for Group {
    /// `operator`, `vip_manager of client_service`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.department {
            Some(department) => write!(f, "{} of {department}", self.role),
            None => self.role.fmt(f),
        }
    }
}

/// Sizes of the board's tables, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryLimits {
    /// People who may ever have a place on the board.
    pub agents_max: u16,
    /// Groups that may ever have a queue: each role counts once for the company and once for each
    /// department that a holder belongs to.
    pub groups_max: u16,
}

/// Groups that one person may serve: the board's row of a person has so many places.
pub const GROUPS_PER_PERSON_MAX: usize = 16;

/// What the database holds, before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryRows {
    /// All people.
    pub people: Vec<Person>,
    /// All departments.
    pub departments: Vec<Department>,
    /// All absences that are not over.
    pub absences: Vec<Absence>,
    /// All calendars of the configuration.
    pub calendars: BTreeMap<Arc<str>, Arc<Calendar>>,
    /// What another program wrote and nobody can read, in words.
    pub unread: Vec<Arc<str>>,
}

/// A group's name: the role, and the department if it is only that one's.
type GroupKey = (Role, Option<DepartmentId>);

/// A person's place, as far as it follows from the rest.
#[derive(Clone, Debug, Default)]
struct Place {
    calendar: Option<Arc<Calendar>>,
    has_absences: bool,
    closed: bool,
}

/// Superiors above a person that are ever asked.
const SUPERIORS_MAX: usize = 8;

/// The snapshot.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    people: Vec<Option<Arc<Person>>>,
    agents: BTreeMap<PersonId, AgentId>,
    by_sip_user: BTreeMap<Arc<str>, AgentId>,
    groups: BTreeMap<GroupKey, Group>,
    /// Every queue ever given out, also of groups that nobody belongs to now.
    group_queues: BTreeMap<GroupKey, QueueId>,
    by_queue: BTreeMap<QueueId, GroupKey>,
    departments: BTreeMap<DepartmentId, Department>,
    absences: BTreeMap<PersonId, Vec<Absence>>,
    calendars: BTreeMap<Arc<str>, Arc<Calendar>>,
    orders: Orders,
    /// What `orders` say of people's positions.
    closed_positions: BTreeMap<PersonId, Standing>,
    /// By agent: what each decision asks of everybody in a large group, found once.
    places: Vec<Place>,
    unread: Vec<Arc<str>>,
    groups_max: u16,
    hash: Arc<str>,
}

impl Directory {
    /// The next snapshot. `previous` lends its places, and what was ordered stands. Errors: a line for
    /// each bound that is passed or name that is held twice; nothing is half taken over.
    pub fn build(
        previous: Option<&Directory>,
        rows: DirectoryRows,
        limits: DirectoryLimits,
    ) -> Result<Directory, Vec<String>> {
        let orders = previous.map(|p| p.orders.clone()).unwrap_or_default();
        Self::build_with(previous, rows, orders, limits)
    }

    /// The same under these orders of supervisors (clause B8).
    pub fn build_with(
        previous: Option<&Directory>,
        rows: DirectoryRows,
        orders: Orders,
        limits: DirectoryLimits,
    ) -> Result<Directory, Vec<String>> {
        let mut problems = check_limits(previous, limits);
        let mut next = Directory {
            people: previous.map_or_else(Vec::new, |p| vec![None; p.people.len()]),
            agents: previous.map_or_else(BTreeMap::new, |p| p.agents.clone()),
            group_queues: previous.map_or_else(BTreeMap::new, |p| p.group_queues.clone()),
            groups_max: limits.groups_max,
            calendars: rows.calendars,
            unread: rows.unread,
            closed_positions: orders.closed_positions(),
            orders,
            ..Directory::default()
        };
        for person in rows.people {
            next.add_person(person, limits, &mut problems);
        }
        next.build_groups(limits, &mut problems);
        for department in rows.departments {
            let id = department.id.clone();
            if next.departments.insert(id.clone(), department).is_some() {
                problems.push(format!("department {id}: the name is held twice"));
            }
        }
        for absence in rows.absences {
            next.absences.entry(absence.person.clone()).or_default().push(absence);
        }
        for absences in next.absences.values_mut() {
            // Of two that hold on the same day the one with a deputy counts (clause C1).
            absences.sort_by_key(|a| (a.deputy.is_none(), a.from, a.id));
        }
        next.fill_places();
        next.hash = record::hash(&next.record());
        if problems.is_empty() { Ok(next) } else { Err(problems) }
    }

    fn add_person(&mut self, person: Person, limits: DirectoryLimits, problems: &mut Vec<String>) {
        let fresh = self.people.len();
        let agent = match self.agents.get(&person.id) {
            Some(agent) => *agent,
            None if fresh >= usize::from(limits.agents_max) => {
                let max = limits.agents_max;
                problems.push(format!("person {}: agents_max = {max} is reached", person.id));
                return;
            }
            None => AgentId(fresh as u16),
        };
        if agent.index() == fresh {
            self.people.push(None);
            self.agents.insert(person.id.clone(), agent);
        }
        if self.people[agent.index()].is_some() {
            problems.push(format!("person {}: the name is held twice", person.id));
        }
        if let Some(user) = &person.sip_user
            && self.by_sip_user.insert(user.clone(), agent).is_some()
        {
            problems.push(format!("person {}: SIP user {user} is held twice", person.id));
        }
        self.people[agent.index()] = Some(Arc::new(person));
    }

    fn build_groups(&mut self, limits: DirectoryLimits, problems: &mut Vec<String>) {
        let mut members: BTreeMap<GroupKey, Vec<AgentId>> = BTreeMap::new();
        for (agent, person) in self.agents() {
            let keys = self.orders.groups(&person.id, keys_of(person));
            if keys.len() > GROUPS_PER_PERSON_MAX {
                let (id, max) = (&person.id, GROUPS_PER_PERSON_MAX);
                problems.push(format!("person {id}: {} groups, {max} are possible", keys.len()));
            }
            for key in keys {
                members.entry(key).or_default().push(agent);
            }
        }
        for (key, members) in members {
            let fresh = self.group_queues.len();
            let (role, department) = key.clone();
            if !self.group_queues.contains_key(&key) && fresh >= usize::from(limits.groups_max) {
                let max = limits.groups_max;
                problems.push(format!("role {role}: groups_max = {max} is reached"));
                continue;
            }
            let queue = *self.group_queues.entry(key.clone()).or_insert(QueueId(fresh as u16));
            self.by_queue.insert(queue, key.clone());
            let name = GroupName { role: role.clone(), department: department.clone() };
            let closed_by = self.orders.closed(&name).cloned();
            let fingerprint = self.fingerprint(&members);
            let group = Group { role, department, queue, members, fingerprint, closed_by };
            self.groups.insert(key, group);
        }
    }

    /// A short word for these people in this order: others have another.
    pub fn fingerprint(&self, people: &[AgentId]) -> Arc<str> {
        record::fingerprint(
            people.iter().filter_map(|agent| Some(self.person(*agent)?.id.as_str())),
        )
    }

    fn fill_places(&mut self) {
        let place = |person: &Option<Arc<Person>>| {
            let Some(person) = person else { return Place::default() };
            Place {
                calendar: self.calendar_of(person).cloned(),
                has_absences: self.absences.contains_key(&person.id),
                closed: self.closed_positions.contains_key(&person.id),
            }
        };
        self.places = self.people.iter().map(place).collect();
    }

    /// Everybody of this snapshot, by agent.
    pub fn agents(&self) -> impl Iterator<Item = (AgentId, &Arc<Person>)> {
        let numbered = self.people.iter().enumerate();
        numbered.filter_map(|(i, p)| p.as_ref().map(|p| (AgentId(i as u16), p)))
    }

    /// The person at a place; `None` once they have left.
    pub fn person(&self, agent: AgentId) -> Option<&Arc<Person>> {
        self.people.get(agent.index())?.as_ref()
    }

    /// The place of a person of this snapshot.
    pub fn agent(&self, person: &PersonId) -> Option<AgentId> {
        let agent = *self.agents.get(person)?;
        self.person(agent).map(|_| agent)
    }

    /// Whose phone registers under this user part.
    pub fn agent_by_sip_user(&self, user: &str) -> Option<AgentId> {
        self.by_sip_user.get(user).copied()
    }

    /// Whom a colleague means: by extension (the user part of their phones), or by name (their id).
    pub fn agent_addressed(&self, dialled: &str) -> Option<AgentId> {
        let named = || {
            let agent = self.agent(&PersonId::new(dialled))?;
            self.person(agent)?.sip_user.is_some().then_some(agent)
        };
        self.agent_by_sip_user(dialled).or_else(named)
    }

    /// The group of a role in the whole company; `None` if nobody holds it.
    pub fn group(&self, role: &Role) -> Option<&Group> {
        self.groups.get(&(role.clone(), None))
    }

    /// The group of a role within one department; `None` if nobody there holds it.
    pub fn group_in(&self, role: &Role, department: &DepartmentId) -> Option<&Group> {
        self.groups.get(&(role.clone(), Some(department.clone())))
    }

    /// All groups, by role, the company's before its departments'.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The group whose queue this is; `None` too while nobody belongs to it.
    pub fn group_of_queue(&self, queue: QueueId) -> Option<&Group> {
        self.groups.get(self.by_queue.get(&queue)?)
    }

    /// A person's own queue.
    pub fn own_queue(&self, agent: AgentId) -> QueueId {
        QueueId(self.groups_max.saturating_add(agent.0))
    }

    /// Whose own queue this is.
    pub fn queue_owner(&self, queue: QueueId) -> Option<AgentId> {
        queue.0.checked_sub(self.groups_max).map(AgentId)
    }

    /// All queues a person serves: the own one first, then the groups by role.
    pub fn queues_of(&self, agent: AgentId) -> Vec<QueueId> {
        let keys = self.person(agent).map(|p| self.orders.groups(&p.id, keys_of(p)));
        let keys = keys.unwrap_or_default();
        let groups = keys.iter().filter_map(|key| self.groups.get(key)).map(|g| g.queue);
        std::iter::once(self.own_queue(agent)).chain(groups).collect()
    }

    /// How skilled an agent is in a role: 0 where nobody said so.
    pub fn level(&self, agent: AgentId, role: &Role) -> u8 {
        self.person(agent).and_then(|person| person.levels.get(role)).copied().unwrap_or(0)
    }

    /// A department by name.
    pub fn department(&self, id: &DepartmentId) -> Option<&Department> {
        self.departments.get(id)
    }

    /// All departments, by name.
    pub fn departments(&self) -> impl Iterator<Item = &Department> {
        self.departments.values()
    }

    /// The department that is responsible for a region's new clients (clause B1); the first by name
    /// if several claim it.
    pub fn department_of_region(&self, region: &str) -> Option<&Department> {
        self.departments.values().find(|d| d.regions.contains(region))
    }

    /// A calendar by name.
    pub fn calendar(&self, name: &str) -> Option<&Arc<Calendar>> {
        self.calendars.get(name)
    }

    /// Names of all calendars.
    pub fn calendar_names(&self) -> impl Iterator<Item = &str> {
        self.calendars.keys().map(|name| name.as_ref())
    }

    /// The calendar of a person's department.
    pub fn calendar_of(&self, person: &Person) -> Option<&Arc<Calendar>> {
        self.calendar(&self.department(person.department.as_ref()?)?.calendar)
    }

    /// The calendar of the department of who is at a place.
    pub fn calendar_at(&self, agent: AgentId) -> Option<&Arc<Calendar>> {
        self.places.get(agent.index())?.calendar.as_ref()
    }

    /// [`Self::absence`] of who is at a place.
    pub fn absence_at(&self, agent: AgentId, at: Timestamp) -> Option<&Absence> {
        let place = self.places.get(agent.index()).filter(|place| place.has_absences)?;
        let today = place.calendar.as_ref().map_or_else(|| utc_day(at), |c| c.today(at));
        self.absence_on(self.person(agent)?, today)
    }

    /// What closed the position of who is at a place (clause B8).
    pub fn position_closed_at(&self, agent: AgentId) -> Option<&Standing> {
        self.places.get(agent.index()).filter(|place| place.closed)?;
        self.position_closed(&self.person(agent)?.id)
    }

    /// The absence that holds for a person at `at`, by the local day of their department (UTC if
    /// none). Of several the one with a deputy, then the one that began first.
    pub fn absence(&self, person: &Person, at: Timestamp) -> Option<&Absence> {
        self.absences.get(&person.id)?;
        self.absence_on(person, self.local_day(person, at))
    }

    fn absence_on(&self, person: &Person, today: Date) -> Option<&Absence> {
        self.absences_of(&person.id).iter().find(|a| a.from <= today && today <= a.to)
    }

    /// A person's day at `at`: by the clock of their department (UTC if none).
    pub fn local_day(&self, person: &Person, at: Timestamp) -> Date {
        let calendar = self.calendar_of(person);
        calendar.map_or_else(|| utc_day(at), |c| c.today(at))
    }

    /// All absences known, by person.
    pub fn absences(&self) -> impl Iterator<Item = &Absence> {
        self.absences.values().flatten()
    }

    /// What the database holds and nobody can read, in words.
    pub fn unread(&self) -> &[Arc<str>] {
        &self.unread
    }

    /// The absences of one person, those with a deputy first.
    pub fn absences_of(&self, person: &PersonId) -> &[Absence] {
        self.absences.get(person).map_or(&[], Vec::as_slice)
    }

    /// Clause C1's chain: the deputy of `person`'s absence at `at`, the deputy's deputy, to the first
    /// who is present; without loops. Everybody passed on the way is in the list, the present one last.
    /// Empty if `person` is present or no deputy is named.
    pub fn deputies(&self, person: &PersonId, at: Timestamp) -> Vec<AgentId> {
        let Some(first) = self.agent(person) else { return Vec::new() };
        let mut chain = vec![first];
        while let Some(deputy) = self.named_deputy(chain[chain.len() - 1], at)
            && !chain.contains(&deputy)
        {
            chain.push(deputy);
        }
        chain.split_off(1)
    }

    /// Who is present at the end of `person`'s chain of deputies: `person`, if present. `None` if
    /// the chain ends with somebody absent, or `person` has left.
    pub fn stand_in(&self, person: &PersonId, at: Timestamp) -> Option<AgentId> {
        let last = self.deputies(person, at).last().copied().or_else(|| self.agent(person))?;
        self.absence(self.person(last)?, at).is_none().then_some(last)
    }

    /// Clause B6: the direct superior, the superior's, and so on; without loops, eight at
    /// most.
    pub fn superiors(&self, agent: AgentId) -> Vec<AgentId> {
        let above = |agent: AgentId| self.agent(self.person(agent)?.supervisor.as_ref()?);
        let mut ladder = vec![agent];
        while let Some(next) = above(ladder[ladder.len() - 1])
            && !ladder.contains(&next)
            && ladder.len() <= SUPERIORS_MAX
        {
            ladder.push(next);
        }
        ladder.split_off(1)
    }

    fn named_deputy(&self, agent: AgentId, at: Timestamp) -> Option<AgentId> {
        let absence = self.absence(self.person(agent)?, at)?;
        self.agent(absence.deputy.as_ref()?)
    }
}

fn utc_day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

fn check_limits(previous: Option<&Directory>, limits: DirectoryLimits) -> Vec<String> {
    let mut problems = Vec::new();
    let (agents, groups) = (limits.agents_max, limits.groups_max);
    if agents.checked_add(groups).is_none() {
        problems.push(format!("agents_max = {agents} and groups_max = {groups} pass 65535 queues"));
    }
    // Own queues begin behind the groups': another bound would give every person another queue.
    let before = previous.filter(|p| !p.agents.is_empty()).map(|p| p.groups_max);
    if let Some(before) = before.filter(|before| *before != groups) {
        problems.push(format!("groups_max = {groups}: it was {before} at the start"));
    }
    problems
}

/// The groups of a person: each role for the company, and for the person's department.
fn keys_of(person: &Person) -> BTreeSet<GroupKey> {
    let company = person.roles.iter().map(|role| (role.clone(), None));
    let department = person.department.iter().flat_map(|department| {
        person.roles.iter().map(|role| (role.clone(), Some(department.clone())))
    });
    company.chain(department).collect()
}

#[cfg(test)]
mod tests;
