//! What supervisors order (clause B8): people, queues, calls, emergency plans.

use serde_json::Value;

use super::args::{AgentAction, CallAction, PlanAction, QueueAction, Supervisor};
use super::ask::{ask, switch};
use super::context::Context;
use super::live::{call_key, order_text};
use super::output::{Failure, Printed, cell};
use crate::domain::{GroupName, Order, PersonId};
use crate::server::{Ask, Change};
use crate::switch::Command;

pub(super) fn agent(context: &Context, action: AgentAction) -> Result<Printed, Failure> {
    let (order, by) = match action {
        AgentAction::Move { person, to, from, by } => {
            let from = from.map(|from| group(&from)).transpose()?;
            (Order::Move { person: PersonId::new(&person), to: group(&to)?, from }, by)
        }
        AgentAction::Back { person, by } => (Order::Back { person: PersonId::new(&person) }, by),
        AgentAction::Close { person, by } => {
            (Order::ClosePosition { person: PersonId::new(&person) }, by)
        }
        AgentAction::Open { person, by } => {
            (Order::OpenPosition { person: PersonId::new(&person) }, by)
        }
    };
    change(context, Change::Order(order), &by)
}

pub(super) fn queue(context: &Context, action: QueueAction) -> Result<Printed, Failure> {
    let (order, by) = match action {
        QueueAction::Close { group: name, by } => (Order::Close { group: group(&name)? }, by),
        QueueAction::Open { group: name, by } => (Order::Open { group: group(&name)? }, by),
    };
    change(context, Change::Order(order), &by)
}

pub(super) fn call(context: &Context, action: CallAction) -> Result<Printed, Failure> {
    let CallAction::Move { call, to, by } = action;
    let call = call_key(&call)?;
    let command = Command::MoveCall { call, to: to.into(), supervisor: PersonId::new(&by.by) };
    let moved = switch(context, command)?;
    Ok(Printed::new(format!("{call}: {}", cell(&moved, "step")), moved))
}

pub(super) fn plan(context: &Context, action: Option<PlanAction>) -> Result<Printed, Failure> {
    match action {
        None | Some(PlanAction::List) => {
            let plans = ask(context, &Ask::Plans)?;
            Ok(Printed::new(plans_text(&plans), plans))
        }
        Some(PlanAction::Apply { name, by }) => change(context, Change::Apply(name.into()), &by),
        Some(PlanAction::Revert { by }) => change(context, Change::Revert, &by),
    }
}

fn change(context: &Context, change: Change, by: &Supervisor) -> Result<Printed, Failure> {
    let done = ask(context, &Ask::Order { change, supervisor: PersonId::new(&by.by) })?;
    Ok(Printed::new(cell(&done, "done"), done))
}

fn group(name: &str) -> Result<GroupName, Failure> {
    GroupName::parse(name).ok_or_else(|| {
        Failure::Usage(format!("`{name}` is no group: ROLE, or \"ROLE of DEPARTMENT\""))
    })
}

fn plans_text(plans: &Value) -> String {
    let mut out = String::new();
    let in_force = &plans["in_force"];
    for plan in plans["plans"].as_array().into_iter().flatten() {
        out.push_str(&format!("{} ({})", cell(plan, "plan"), cell(plan, "clause")));
        if !cell(plan, "in_force_by").is_empty() {
            out.push_str(&in_force_text(in_force));
            continue;
        }
        out.push('\n');
        for order in plan["moves"].as_array().into_iter().flatten() {
            out.push_str(&format!("  {}\n", order.as_str().unwrap_or_default()));
        }
    }
    if plans["deleted"] == true {
        let name = cell(in_force, "plan");
        out.push_str(&format!("{name} (not in the policy any more)"));
        out.push_str(&in_force_text(in_force));
    }
    if out.is_empty() {
        out.push_str("the policy has no emergency plans ([[emergency]])\n");
    }
    for order in plans["orders"].as_array().into_iter().flatten() {
        out.push_str(&format!("ordered: {}\n", order_text(order)));
    }
    out
}

/// `, in force by nina.adler since …, 2 of 3 orders stand`, and the orders.
fn in_force_text(plan: &Value) -> String {
    let (by, at) = (cell(plan, "by"), cell(plan, "at"));
    let (stand, of) = (cell(plan, "stand"), cell(plan, "of"));
    let mut out = format!(", in force by {by} since {at}, {stand} of {of} orders stand\n");
    for order in plan["moves"].as_array().into_iter().flatten() {
        let (what, by) = (cell(order, "move"), cell(order, "taken_back_by"));
        let back = if by.is_empty() { String::new() } else { format!(": taken back by {by}") };
        out.push_str(&format!("  {what}{back}\n"));
    }
    out
}
