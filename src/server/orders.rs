//! What supervisors order (clause B8): asked of the directory, written down, put into effect; one at a
//! time. It stands over restarts, until a supervisor takes it back.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Server, texts};
use crate::domain::{Directory, Group, Order, Orders, PersonId, Standing};
use crate::policy::Problem;
use crate::switch::{Input, Topic, What};

/// A change of the orders in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// One more.
    Order(Order),
    /// An emergency plan of the policy, as a whole.
    Apply(std::sync::Arc<str>),
    /// The plan in force goes, as a whole.
    Revert,
}

impl Server {
    /// Carries `change` out for `supervisor`. Errors: in words; nothing was changed.
    pub fn order(&self, change: &Change, supervisor: &PersonId, by: &str) -> Result<Value, String> {
        let done = self.carry_out(change, supervisor, by);
        if let Err(why) = &done {
            tracing::info!(asked = by, "a supervisor's order was refused");
            tracing::debug!(%supervisor, why, "this order");
        }
        done
    }

    fn carry_out(&self, change: &Change, supervisor: &PersonId, by: &str) -> Result<Value, String> {
        let _one_at_a_time = self.lock_reload();
        let hub = &self.hub;
        let before = hub.current.directory.load_full();
        let (orders, what) = self.changed_orders(&before, change, supervisor)?;
        let taken_back = taken_back(before.orders(), &orders, change);
        let what = format!("{what}{}", taken_back.as_deref().unwrap_or_default());
        let compiled = self.compiled.load();
        let directory =
            texts::ordered_directory(Some(&before), hub.rows(), orders.clone(), &compiled);
        let directory = directory.map_err(|problems| in_words(&problems))?;
        let policy = hub.current.policy.load();
        let known = policy.too_many_groups(&before);
        let too_many = policy.too_many_groups(&directory);
        if let Some(why) = too_many.into_iter().find(|why| !known.contains(why)) {
            return Err(why);
        }
        self.log(&before, (change, &orders), (supervisor, by));
        let by = format!("{supervisor} ({by})");
        tracing::debug!(what, by, "this order");
        let (said, by) = (what.as_str().into(), by.as_str().into());
        hub.record(What::Ordered { what: said, orders: orders.clone(), by });
        hub.take_directory(directory);
        if taken_back.is_some() || !matches!(change, Change::Order(_)) {
            self.tell_superiors(&before, supervisor, &what);
        }
        self.tell_concerned((&before, &hub.current.directory.load()), supervisor);
        Ok(json!({ "done": what, "by": supervisor, "orders": orders }))
    }

    /// The orders after `change`, and what was done in words.
    fn changed_orders(
        &self,
        directory: &Directory,
        change: &Change,
        supervisor: &PersonId,
    ) -> Result<(Orders, String), String> {
        let at = self.hub.clock.wall();
        let orders = directory.orders();
        let may = |order: &Order| directory.may_order(supervisor, order, at);
        match change {
            Change::Order(order) => {
                directory.knows(order)?;
                may(order)?;
                directory.changes(order)?;
                Ok((orders.with(order.clone(), (supervisor, at))?, order.to_string()))
            }
            Change::Apply(name) => {
                let policy = self.hub.current.policy.load();
                let plan = policy.emergencies().find(|plan| plan.name == *name);
                let plan = plan.ok_or_else(|| {
                    format!("the policy has no plan called {name}: see `telefonist plan list`")
                })?;
                for order in plan.orders() {
                    directory.knows(order)?;
                    may(order)?;
                }
                let all: Vec<Order> = plan.orders().cloned().collect();
                let what = format!("plan {name} applied: {}", listed(&all));
                Ok((orders.with_plan(name, &all, (supervisor, at))?, what))
            }
            Change::Revert => {
                let next = orders.without_plan()?;
                let gone = orders.of_plan().filter(|standing| standing.taken_back.is_none());
                gone.map(|standing| &standing.order).try_for_each(may)?;
                let name = orders.plan().map(|(name, _)| name.to_string()).unwrap_or_default();
                Ok((next, format!("plan {name} reverted")))
            }
        }
    }

    /// One line of the log: people are their places on the board, as everywhere above `debug`.
    fn log(
        &self,
        before: &Directory,
        (change, after): (&Change, &Orders),
        (supervisor, asked): (&PersonId, &str),
    ) {
        let what = match change {
            Change::Order(order) => unnamed(before, order).to_string(),
            Change::Apply(plan) => format!("plan {plan} applied"),
            Change::Revert => {
                let plan = before.orders().plan().map(|(plan, _)| plan.to_string());
                format!("plan {} reverted", plan.unwrap_or_default())
            }
        };
        let effect = |orders: &Orders| orders.iter().filter(|s| s.taken_back.is_none()).count();
        let (were, are) = (effect(before.orders()), effect(after));
        let by = place(before, supervisor);
        tracing::info!(what, %by, asked, orders_before = were, orders = are, "a supervisor's order");
    }

    /// The superiors of who changes an emergency plan, and of who had switched it, hear of it at once.
    fn tell_superiors(&self, directory: &Directory, supervisor: &PersonId, what: &str) {
        let at = self.hub.clock.wall();
        let switched = directory.orders().plan().map(|(_, by)| by);
        let whose = std::iter::once(supervisor).chain(switched);
        let told: BTreeSet<PersonId> =
            whose.filter_map(|person| superior(directory, person, at)).collect();
        for to in told.into_iter().filter(|to| to != supervisor) {
            self.tell(to, format!("{what} (by {supervisor})"));
        }
    }

    /// Those whose position was closed or opened, or who serve other groups now, hear it and by whom.
    fn tell_concerned(&self, (before, after): (&Directory, &Directory), supervisor: &PersonId) {
        for (_, person) in after.agents().filter(|(_, person)| person.id != *supervisor) {
            let to = &person.id;
            let was_closed = before.position_closed(to).is_some();
            match after.position_closed(to) {
                Some(_) if !was_closed => self.tell(
                    to.clone(),
                    format!(
                        "Your position was closed by {supervisor}: no call is offered to you until a \
                         supervisor opens it."
                    ),
                ),
                None if was_closed => self.tell(
                    to.clone(),
                    format!("Your position was opened by {supervisor}: you are offered calls again when you are ready."),
                ),
                _ => {}
            }
            let (was, is) = (serves(before, to), serves(after, to));
            if was != is {
                let text =
                    format!("You were moved by {supervisor}: you serve {is} now, no longer {was}.");
                self.tell(to.clone(), text);
            }
        }
    }

    fn tell(&self, to: PersonId, text: String) {
        if let Some(home) = self.hub.home(&to) {
            let text = text.into();
            self.hub.inboxes[home.index()].push(Input::Tell { to, topic: Topic::Order, text });
        }
    }

    /// The emergency plans of the policy, and what is in force.
    pub fn plans(&self) -> Value {
        let policy = self.hub.current.policy.load();
        let directory = self.hub.current.directory.load();
        let orders = directory.orders();
        let in_force = in_force(orders);
        let plans = policy.emergencies().map(|plan| {
            let state = in_force.as_ref().filter(|state| state["plan"] == *plan.name);
            let moves: Vec<String> = plan.orders().map(Order::to_string).collect();
            let by = state.map(|state| &state["by"]);
            let (name, clause) = (&plan.name, &plan.clause);
            json!({ "plan": name, "clause": clause, "moves": moves, "in_force_by": by })
        });
        let plans: Vec<Value> = plans.collect();
        let in_policy = |state: &Value| plans.iter().any(|plan| plan["plan"] == state["plan"]);
        let deleted = in_force.as_ref().is_some_and(|state| !in_policy(state));
        json!({ "plans": plans, "in_force": in_force, "deleted": deleted, "orders": standing(&directory) })
    }
}

/// Every order in force; of whom or what is no longer in the directory, `gone` says how it is taken back.
pub(super) fn standing(directory: &Directory) -> Value {
    let orders = directory.orders().iter().map(|standing| {
        let mut shown = json!(standing);
        if standing.taken_back.is_none() && directory.names(&standing.order).is_err() {
            shown["gone"] = undone_by(&standing.order).into();
        }
        shown
    });
    orders.collect()
}

/// The command that takes an order back; none for one that opens or brings back.
fn undone_by(order: &Order) -> Option<String> {
    match order {
        Order::Move { person, .. } => Some(format!("agent back {person}")),
        Order::ClosePosition { person } => Some(format!("agent open {person}")),
        Order::Close { group } => Some(format!("queue open \"{group}\"")),
        Order::Back { .. } | Order::Open { .. } | Order::OpenPosition { .. } => None,
    }
}

/// The plan in force: who switched it and when, and what became of each of its orders.
pub(super) fn in_force(orders: &Orders) -> Option<Value> {
    let first = orders.of_plan().next()?;
    let all: Vec<&Standing> = orders.of_plan().collect();
    let stands = all.iter().filter(|standing| standing.taken_back.is_none()).count();
    let moves = all.iter().map(|standing| {
        json!({ "move": standing.order.to_string(), "taken_back_by": standing.taken_back })
    });
    Some(json!({
        "plan": first.plan,
        "by": first.by,
        "at": first.at,
        "stand": stands,
        "of": all.len(),
        "moves": moves.collect::<Vec<_>>(),
    }))
}

/// What an order by hand took out of the plan in force, in words.
fn taken_back(before: &Orders, after: &Orders, change: &Change) -> Option<String> {
    let (Change::Order(_), Some((name, _))) = (change, before.plan()) else { return None };
    let stand = |orders: &Orders| orders.of_plan().filter(|s| s.taken_back.is_none()).count();
    let (left, all) = (stand(after), before.of_plan().count());
    match left {
        _ if left == stand(before) => None,
        0 => Some(format!(": nothing stands of the plan {name} any more, it is over")),
        _ => Some(format!(": of the plan {name} {left} of {all} orders stand")),
    }
}

/// Clause B6: the direct superior; absent, the next above who is there.
fn superior(directory: &Directory, person: &PersonId, at: Timestamp) -> Option<PersonId> {
    let ladder = directory.superiors(directory.agent(person)?);
    let people = || ladder.iter().filter_map(|agent| directory.person(*agent));
    let there = people().find(|person| directory.absence(person, at).is_none());
    there.or_else(|| people().next()).map(|person| person.id.clone())
}

/// The groups of a person in words: `operator of sales_support, finance`.
fn serves(directory: &Directory, person: &PersonId) -> String {
    let Some(agent) = directory.agent(person) else { return String::new() };
    let queues = directory.queues_of(agent);
    let groups: Vec<&Group> = queues.iter().filter_map(|q| directory.group_of_queue(*q)).collect();
    // Who is one of a department is one of the company: the department says both.
    let of_one = |group: &&Group| {
        group.department.is_some()
            || !groups.iter().any(|g| g.role == group.role && g.department.is_some())
    };
    let names: Vec<String> = groups.iter().filter(|g| of_one(g)).map(ToString::to_string).collect();
    if names.is_empty() { "no group".to_owned() } else { names.join(", ") }
}

/// `agent 12`, as other lines of the log call a person.
fn place(directory: &Directory, person: &PersonId) -> PersonId {
    let agent = directory.agent(person).map_or_else(String::new, |agent| agent.0.to_string());
    PersonId::new(&format!("agent {agent}"))
}

/// The same order with the person's place for their name.
fn unnamed(directory: &Directory, order: &Order) -> Order {
    let mut order = order.clone();
    match &mut order {
        Order::Move { person, .. }
        | Order::Back { person }
        | Order::ClosePosition { person }
        | Order::OpenPosition { person } => *person = place(directory, person),
        Order::Close { .. } | Order::Open { .. } => {}
    }
    order
}

fn listed(orders: &[Order]) -> String {
    orders.iter().map(Order::to_string).collect::<Vec<_>>().join(", ")
}

fn in_words(problems: &[Problem]) -> String {
    problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")
}
