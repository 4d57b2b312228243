//! A supervisor's hand (clause B8): who serves other groups than their roles give, whose positions and which
//! queues are closed. An order lies on top of what the database says, and stands until a supervisor takes it back.
//!
//! ```text
//!   roles of the person ─► orders in their order, the newest wins ─► groups served, what is closed
//!                               │
//!        those of an emergency plan go with the plan; one that a supervisor takes back before has no
//!        effect, and the plan is over with the last of them
//! ```
//! A position is a person's place at work: while it is closed the person is gone (clause C7), whatever they
//! do. Opening it ends the closing and nothing else: a break of their own is theirs.
//!
//! Part of the directory's snapshot, so that decisions, explanations and replays see what callers see.
//! Who may give an order is asked in `rights`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{DepartmentId, Directory, Person, PersonId, Role};

/// Orders that stand at once; of more the oldest must be taken back first.
pub const ORDERS_MAX: usize = 256;

/// A group as people write it: `operator`, `vip_manager of client_service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupName {
    /// The role.
    pub role: Role,
    /// Only the holders in this department.
    pub department: Option<DepartmentId>,
}

impl GroupName {
    /// From its text; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let role = Role::new(words.next()?);
        let department = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some("of"), Some(department), None) => Some(DepartmentId::new(department)),
            _ => return None,
        };
        Some(Self { role, department })
    }

    pub(super) fn key(&self) -> super::GroupKey {
        (self.role.clone(), self.department.clone())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.department {
            Some(department) => write!(f, "{} of {department}", self.role),
            None => self.role.fmt(f),
        }
    }
}

impl Serialize for GroupName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GroupName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a group's name"))
    }
}

/// One thing that a supervisor may order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// The person serves `to`, and no longer `from`; without it, none of the groups served before.
    Move {
        /// Who.
        person: PersonId,
        /// The new group.
        to: GroupName,
        /// The one that is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<GroupName>,
    },
    /// The person serves what their roles say again.
    Back {
        /// Who.
        person: PersonId,
    },
    /// The group's queue takes nobody; who waits there goes on.
    Close {
        /// Which.
        group: GroupName,
    },
    /// It takes callers again.
    Open {
        /// Which.
        group: GroupName,
    },
    /// The person is offered nothing; a call that they are on goes on.
    ClosePosition {
        /// Whose.
        person: PersonId,
    },
    /// Calls are offered to the person again, if nothing else stands against it.
    OpenPosition {
        /// Whose.
        person: PersonId,
    },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Move { person, to, from: Some(from) } => {
                write!(f, "{person} moved from {from} to {to}")
            }
            Order::Move { person, to, from: None } => write!(f, "{person} moved to {to}"),
            Order::Back { person } => write!(f, "{person} moved back"),
            Order::Close { group } => write!(f, "queue {group} closed"),
            Order::Open { group } => write!(f, "queue {group} opened"),
            Order::ClosePosition { person } => write!(f, "position of {person} closed"),
            Order::OpenPosition { person } => write!(f, "position of {person} opened"),
        }
    }
}

/// An order in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What was ordered.
    #[serde(flatten)]
    pub order: Order,
    /// Which supervisor did.
    pub by: PersonId,
    /// When. Journals of the first days do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The emergency plan that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Arc<str>>,
    /// Who took it back while the rest of its plan stands: it has no effect any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<PersonId>,
}

impl Standing {
    /// `by nina.adler at 2026-03-02T09:00:00Z`.
    pub fn by_whom(&self) -> String {
        let at = self.at.map(|at| at.strftime(" at %FT%TZ").to_string()).unwrap_or_default();
        format!("by {}{at}", self.by)
    }
}

/// `ole moved to finance (by nina.adler at 2026-03-02T09:00:00Z, plan rush)`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.order, self.by_whom())?;
        if let Some(plan) = &self.plan {
            write!(f, ", plan {plan}")?;
        }
        if let Some(by) = &self.taken_back {
            write!(f, ", taken back by {by}")?;
        }
        f.write_str(")")
    }
}

/// Who gives an order, and when.
pub type Hand<'a> = (&'a PersonId, Timestamp);

/// All orders in force, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Orders(Vec<Standing>);

impl Orders {
    /// Nobody ordered anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter()
    }

    /// Those that count, oldest first.
    fn in_effect(&self) -> impl DoubleEndedIterator<Item = &Standing> {
        self.0.iter().filter(|s| s.taken_back.is_none())
    }

    /// The emergency plan in force, and who switched it.
    pub fn plan(&self) -> Option<(&Arc<str>, &PersonId)> {
        self.0.iter().find_map(|s| s.plan.as_ref().map(|plan| (plan, &s.by)))
    }

    /// The orders of the emergency plan in force, those taken back included; empty if none is.
    pub fn of_plan(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter().filter(|s| s.plan.is_some())
    }

    /// These with one more by `by`; what it takes the place of is gone. Errors: in words, for whoever
    /// ordered it.
    pub fn with(&self, order: Order, (by, at): Hand<'_>) -> Result<Orders, String> {
        let mut next = self.clone();
        match &order {
            Order::Back { person } => {
                if self.moved(person).is_none() {
                    return Err(format!("{person} was not moved: see `telefonist agents`"));
                }
                next.take_back(|order| moves(order, person), by);
                return Ok(next);
            }
            Order::Open { group } => {
                if self.closed(group).is_none() {
                    return Err(format!("queue {group} is open already: see `telefonist queues`"));
                }
                next.take_back(|order| doors(order, group), by);
                return Ok(next);
            }
            Order::Close { group } => {
                if let Some(other) = self.closed(group) {
                    return Err(format!("queue {group} is closed already, by {other}"));
                }
                next.take_back(|order| doors(order, group), by);
            }
            Order::OpenPosition { person } => {
                if self.position_closed(person).is_none() {
                    let hint = "see `telefonist agents`";
                    return Err(format!("the position of {person} is open: {hint}"));
                }
                next.take_back(|order| positions(order, person), by);
                return Ok(next);
            }
            Order::ClosePosition { person } => {
                if let Some(Standing { by, .. }) = self.position_closed(person) {
                    return Err(format!("the position of {person} is closed already, by {by}"));
                }
                next.take_back(|order| positions(order, person), by);
            }
            Order::Move { person, from: None, .. } => {
                next.take_back(|order| moves(order, person), by);
            }
            Order::Move { .. } => {}
        }
        next.push((order, None), (by, at))?;
        Ok(next)
    }

    /// These with the orders of an emergency plan, all of them or none. Errors: a plan is in force.
    pub fn with_plan(
        &self,
        name: &Arc<str>,
        orders: &[Order],
        (by, at): Hand<'_>,
    ) -> Result<Orders, String> {
        if let Some((plan, other)) = self.plan() {
            let hint = "`telefonist plan revert --by PERSON` first";
            return Err(format!("the plan {plan} is in force, by {other}: {hint}"));
        }
        let mut next = self.clone();
        for order in orders {
            next.push((order.clone(), Some(name.clone())), (by, at))?;
        }
        Ok(next)
    }

    /// These without the emergency plan. Errors: none is in force.
    pub fn without_plan(&self) -> Result<Orders, String> {
        let next = Orders(self.0.iter().filter(|s| s.plan.is_none()).cloned().collect());
        match next == *self {
            true => Err("no plan is in force: see `telefonist plan list`".to_owned()),
            false => Ok(next),
        }
    }

    /// Who closed the queue of `group`; `None` if it is open.
    pub fn closed(&self, group: &GroupName) -> Option<&PersonId> {
        match self.in_effect().rev().find(|s| doors(&s.order, group)) {
            Some(Standing { order: Order::Close { .. }, by, .. }) => Some(by),
            _ => None,
        }
    }

    /// The order that closed the position of `person`; `None` if it is open.
    pub fn position_closed(&self, person: &PersonId) -> Option<&Standing> {
        let last = self.in_effect().rev().find(|s| positions(&s.order, person))?;
        matches!(last.order, Order::ClosePosition { .. }).then_some(last)
    }

    /// Everybody whose position is closed, and by which order.
    pub(super) fn closed_positions(&self) -> BTreeMap<PersonId, Standing> {
        let mut closed = BTreeMap::new();
        for standing in self.in_effect() {
            match &standing.order {
                Order::ClosePosition { person } => {
                    closed.insert(person.clone(), standing.clone());
                }
                Order::OpenPosition { person } => {
                    closed.remove(person);
                }
                _ => {}
            }
        }
        closed
    }

    /// Who moved `person` last; `None` if their roles count.
    pub fn moved(&self, person: &PersonId) -> Option<&PersonId> {
        self.moved_by(person).map(|order| &order.by)
    }

    /// The last order that moved `person`; `None` if their roles count.
    pub fn moved_by(&self, person: &PersonId) -> Option<&Standing> {
        let last = self.in_effect().rev().find(|s| moves(&s.order, person))?;
        (!matches!(last.order, Order::Back { .. })).then_some(last)
    }

    /// The groups that `person`, whose roles give `own`, serves.
    pub(super) fn groups(
        &self,
        person: &PersonId,
        own: BTreeSet<super::GroupKey>,
    ) -> BTreeSet<super::GroupKey> {
        let mut groups = own.clone();
        for standing in self.in_effect() {
            match &standing.order {
                Order::Back { person: who } if who == person => groups.clone_from(&own),
                Order::Move { person: who, to, from } if who == person => {
                    moved(&mut groups, to, from.as_ref());
                }
                _ => {}
            }
        }
        groups
    }

    /// Orders by hand go; those of the plan in force have no effect any more, and when the last is taken
    /// back the plan is over.
    fn take_back(&mut self, which: impl Fn(&Order) -> bool, by: &PersonId) {
        self.0.retain(|s| s.plan.is_some() || !which(&s.order));
        for standing in self.0.iter_mut().filter(|s| which(&s.order)) {
            standing.taken_back.get_or_insert_with(|| by.clone());
        }
        if self.of_plan().all(|standing| standing.taken_back.is_some()) {
            self.0.retain(|standing| standing.plan.is_none());
        }
    }

    fn push(
        &mut self,
        (order, plan): (Order, Option<Arc<str>>),
        (by, at): Hand<'_>,
    ) -> Result<(), String> {
        if self.0.len() >= ORDERS_MAX {
            return Err(format!("{ORDERS_MAX} orders stand already: take some back first"));
        }
        let (by, at) = (by.clone(), Some(at));
        self.0.push(Standing { order, by, at, plan, taken_back: None });
        Ok(())
    }
}

/// What somebody serves who is moved.
fn moved(groups: &mut BTreeSet<super::GroupKey>, to: &GroupName, from: Option<&GroupName>) {
    match from {
        Some(from) => groups.retain(|(role, department)| {
            *role != from.role || (from.department.is_some() && *department != from.department)
        }),
        None => groups.clear(),
    }
    // Who is one of a department is one of the company.
    groups.insert((to.role.clone(), None));
    groups.insert(to.key());
}

fn moves(order: &Order, person: &PersonId) -> bool {
    matches!(order, Order::Move { person: who, .. } | Order::Back { person: who } if who == person)
}

fn doors(order: &Order, group: &GroupName) -> bool {
    matches!(order, Order::Close { group: which } | Order::Open { group: which } if which == group)
}

fn positions(order: &Order, person: &PersonId) -> bool {
    use Order::{ClosePosition, OpenPosition};
    matches!(order, ClosePosition { person: who } | OpenPosition { person: who } if who == person)
}

impl Directory {
    /// The order that closed the position of `person`; `None` if it is open.
    pub fn position_closed(&self, person: &PersonId) -> Option<&Standing> {
        self.closed_positions.get(person)
    }

    /// What supervisors have ordered.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Somebody holds, or held, this role there: it has a queue.
    pub fn has_group(&self, group: &GroupName) -> bool {
        self.group_queues.contains_key(&group.key())
    }

    /// Somebody holds this role there, although supervisors may have moved them all away.
    pub fn is_held(&self, group: &GroupName) -> bool {
        self.holders(group).next().is_some()
    }

    /// The orders by which those who hold this role there were moved.
    pub fn moved_from(&self, group: &GroupName) -> Vec<&Standing> {
        match self.orders.is_empty() {
            true => Vec::new(),
            false => self.holders(group).filter_map(|p| self.orders.moved_by(&p.id)).collect(),
        }
    }

    fn holders(&self, group: &GroupName) -> impl Iterator<Item = &Person> {
        let holds = move |person: &&Person| {
            let department = group.department.as_ref();
            person.roles.contains(&group.role)
                && (department.is_none() || person.department.as_ref() == department)
        };
        self.agents().map(|(_, person)| &**person).filter(holds)
    }

    /// The queue of a group that somebody serves or served.
    pub fn group_queue(&self, group: &GroupName) -> Option<super::QueueId> {
        self.group_queues.get(&group.key()).copied()
    }

    /// Why `order` would change nothing: the group that is to be left is not served, or what is served
    /// stays as it is. In words, for whoever ordered it.
    pub fn changes(&self, order: &Order) -> Result<(), String> {
        let Order::Move { person, to, from } = order else { return Ok(()) };
        let Some(known) = self.agent(person).and_then(|agent| self.person(agent)) else {
            return Ok(());
        };
        let served = self.orders.groups(person, super::keys_of(known));
        if let Some(from) = from.as_ref().filter(|from| !served.contains(&from.key())) {
            return Err(format!("{person} does not serve {from}: see `telefonist agents --json`"));
        }
        let mut next = served.clone();
        moved(&mut next, to, from.as_ref());
        let only = from.is_none() && served.contains(&to.key());
        match only && served.iter().all(|(role, _)| *role == to.role) {
            true => Err(format!("{person} serves {to} already, and nothing else")),
            false if next == served => Err(format!("{person} serves {to} already")),
            false => Ok(()),
        }
    }

    /// What `order` names and this directory does not have; in words, for whoever ordered it. What stands
    /// may be taken back by name, also of somebody who has left.
    pub fn knows(&self, order: &Order) -> Result<(), String> {
        let takes_back = match order {
            Order::Back { person } => self.orders.moved(person).is_some(),
            Order::OpenPosition { person } => self.orders.position_closed(person).is_some(),
            Order::Open { group } => self.orders.closed(group).is_some(),
            _ => false,
        };
        if takes_back { Ok(()) } else { self.names(order) }
    }

    /// Everything that `order` names is there; else what is not, in words.
    pub fn names(&self, order: &Order) -> Result<(), String> {
        let person = |who: &PersonId| match self.agent(who) {
            Some(_) => Ok(()),
            None => Err(format!("nobody is called {who}: see `telefonist agents`")),
        };
        // Who holds the role may all have been moved away.
        let group = |group: &GroupName| match self.has_group(group) || self.is_held(group) {
            true => Ok(()),
            false => Err(format!("no group is called {group}: see `telefonist queues`")),
        };
        match order {
            Order::Move { person: who, to, from } => {
                person(who)?;
                group(to)?;
                from.as_ref().map_or(Ok(()), group)
            }
            Order::Back { person: who }
            | Order::ClosePosition { person: who }
            | Order::OpenPosition { person: who } => person(who),
            Order::Close { group: which } | Order::Open { group: which } => group(which),
        }
    }
}
