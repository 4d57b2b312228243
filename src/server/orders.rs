//! What supervisors order (clause B8): asked of the directory, written down, put into effect; one at a
//! time. It stands over restarts, until a supervisor takes it back.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Server, texts};
use crate::domain::{Directory, Order, Orders, PersonId};
use crate::policy::Problem;
use crate::switch::{Input, What};

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
        let _one_at_a_time = self.lock_reload();
        let hub = &self.hub;
        let before = hub.current.directory.load_full();
        let (orders, what) = self.changed_orders(&before, change, supervisor)?;
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
        let by = format!("{supervisor} ({by})");
        tracing::info!("a supervisor's order");
        tracing::debug!(what, by, "this order");
        let (said, by) = (what.as_str().into(), by.as_str().into());
        hub.record(What::Ordered { what: said, orders: orders.clone(), by });
        hub.take_directory(directory);
        if !matches!(change, Change::Order(_)) {
            self.tell_superior(&before, supervisor, &what);
        }
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
                let gone = orders.iter().filter(|s| s.plan.is_some());
                gone.map(|standing| &standing.order).try_for_each(may)?;
                let name = orders.plan().map(|(name, _)| name.to_string()).unwrap_or_default();
                Ok((next, format!("plan {name} reverted")))
            }
        }
    }

    /// The superior of who switched an emergency plan hears of it at once.
    fn tell_superior(&self, directory: &Directory, supervisor: &PersonId, what: &str) {
        let person = directory.agent(supervisor).and_then(|agent| directory.person(agent));
        let Some(to) = person.and_then(|person| person.supervisor.clone()) else { return };
        let Some(home) = self.hub.home(&to) else { return };
        let text = format!("{what} (by {supervisor})").into();
        self.hub.inboxes[home.index()].push(Input::Tell { to, text });
    }

    /// The emergency plans of the policy, and what is in force.
    pub fn plans(&self) -> Value {
        let policy = self.hub.current.policy.load();
        let directory = self.hub.current.directory.load();
        let orders = directory.orders();
        let in_force = orders.plan();
        let plans = policy.emergencies().map(|plan| {
            let by = in_force.filter(|(name, _)| **name == plan.name).map(|(_, by)| by);
            let moves: Vec<String> = plan.orders().map(Order::to_string).collect();
            json!({ "plan": plan.name, "clause": plan.clause, "moves": moves, "in_force_by": by })
        });
        json!({ "plans": plans.collect::<Vec<_>>(), "in_force": in_force, "orders": orders })
    }
}

fn listed(orders: &[Order]) -> String {
    orders.iter().map(Order::to_string).collect::<Vec<_>>().join(", ")
}

fn in_words(problems: &[Problem]) -> String {
    problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")
}
