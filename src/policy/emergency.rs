//! `[[emergency]]`: a set of supervisors' orders prepared beforehand, switched as a whole (clause B8).
//! Knows no directory: whether people and groups exist is asked by `check`.

use std::ops::Range;
use std::sync::Arc;

use super::fields::{At, Fields, Reader, Value};
use super::help;
use crate::domain::{Order, PersonId};

/// Orders of one plan.
const MOVES_MAX: usize = 100;

/// One plan.
#[derive(Clone, Debug)]
pub struct Emergency {
    /// Its name.
    pub name: Arc<str>,
    /// The clause that it carries out.
    pub clause: Arc<str>,
    pub(super) moves: Vec<At<Order>>,
    pub(super) span: Range<usize>,
}

impl Emergency {
    /// Its orders, as they stand.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.moves.iter().map(|order| &order.value)
    }

    /// Every plan of the file; what is wrong is noted.
    pub(super) fn read_all(value: Option<Value<'_>>, reader: &mut Reader<'_>) -> Vec<Self> {
        let tables = value.map(|v| reader.tables(v, "an emergency plan")).unwrap_or_default();
        let mut plans: Vec<Self> = Vec::new();
        for mut fields in tables {
            let span = fields.span.clone();
            let name = super::rule::name(&mut fields, reader);
            let clause = super::clauses::named(&mut fields, reader);
            let moves = fields.required("moves", reader);
            let moves = moves.map(|v| reader.tables(v, "a move")).unwrap_or_default();
            fields.finish(reader);
            if moves.is_empty() || moves.len() > MOVES_MAX {
                let message = format!("a plan has 1 to {MOVES_MAX} moves");
                reader.error(span.clone(), message, None);
            }
            if plans.iter().any(|plan| plan.name == name) {
                reader.error(
                    span.clone(),
                    format!("two emergency plans are called `{name}`"),
                    None,
                );
            }
            let moves = moves.into_iter().filter_map(|fields| order(fields, reader));
            let moves: Vec<At<Order>> = moves.collect();
            for (i, order) in moves.iter().enumerate() {
                let earlier = moves[..i].iter().find_map(|earlier| clash(earlier, order));
                if let Some(why) = earlier.or_else(|| nonsense(order)) {
                    reader.error(order.span.clone(), why, None);
                }
            }
            plans.push(Self { name, clause, moves, span });
        }
        plans
    }
}

/// Why an order makes no sense after an earlier one of its plan.
fn clash(earlier: &Order, order: &Order) -> Option<String> {
    use Order::{Close, ClosePosition, Move, Open, OpenPosition};
    match (earlier, order) {
        _ if earlier == order => Some(format!("{order}: the plan says so twice")),
        (Close { group: a }, Open { group: b }) | (Open { group: a }, Close { group: b })
            if a == b =>
        {
            Some(format!("the plan closes queue {a} and opens it"))
        }
        (ClosePosition { person: a }, OpenPosition { person: b })
        | (OpenPosition { person: a }, ClosePosition { person: b })
            if a == b =>
        {
            Some(format!("the plan closes the position of {a} and opens it"))
        }
        (Move { person: a, from, .. }, Move { person: b, from: again, .. })
            if a == b && (again.is_none() || from == again) =>
        {
            Some(format!("{order}: that undoes an earlier move of the plan"))
        }
        _ => None,
    }
}

/// Why an order makes no sense by itself.
fn nonsense(order: &Order) -> Option<String> {
    let Order::Move { person, to, from: Some(from) } = order else { return None };
    (to == from).then(|| format!("{person} is moved from {from} to {to}"))
}

/// `{ move = "ole", to = "finance", from = "operator" }`, `{ close = "operator" }`, `{ open = … }`,
/// `{ close_position = "ole" }`, `{ open_position = … }`.
fn order(mut fields: Fields<'_>, reader: &mut Reader<'_>) -> Option<At<Order>> {
    let span = fields.span.clone();
    let mut word = |name| fields.optional(name).map(|value| reader.text(value));
    let (who, to, from) = (word("move"), word("to"), word("from"));
    let (close, open) = (word("close"), word("open"));
    let (close_position, open_position) = (word("close_position"), word("open_position"));
    fields.finish(reader);
    let mut group = |text: At<String>| help::name(text, reader).map(|name| name.value);
    let person = |person: Option<At<String>>| person.map(|person| PersonId::new(&person));
    let found = match (who, to, from, close, open, close_position, open_position) {
        (Some(who), Some(to), from, None, None, None, None) => {
            let to = to.and_then(&mut group);
            let from = match from {
                Some(from) => Some(from.and_then(&mut group)?),
                None => None,
            };
            Order::Move { person: person(who)?, to: to?, from }
        }
        (None, None, None, Some(close), None, None, None) => {
            Order::Close { group: close.and_then(group)? }
        }
        (None, None, None, None, Some(open), None, None) => {
            Order::Open { group: open.and_then(group)? }
        }
        (None, None, None, None, None, Some(who), None) => {
            Order::ClosePosition { person: person(who)? }
        }
        (None, None, None, None, None, None, Some(who)) => {
            Order::OpenPosition { person: person(who)? }
        }
        _ => {
            let hint = "{ move = PERSON, to = GROUP }, { close = GROUP }, { open = GROUP }, \
                        { close_position = PERSON } or { open_position = PERSON }";
            reader.error(span, "this is no move", Some(hint.to_owned()));
            return None;
        }
    };
    Some(At::new(found, span))
}
