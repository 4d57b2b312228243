//! Rows of `clients.db` as the domain's types.
//!
//! Any program may have written them. A field that cannot be read is left out and reported with its
//! row; the client itself is never lost over it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::Row;

use crate::domain::{
    Client, ClientId, ClientType, DepartmentId, Money, Number, NumberFormat, PersonId, Vip,
};

/// Different names kept once for all clients; beyond it the table begins anew.
const NAMES_MAX: usize = 20_000;

/// Columns of a client, in the order that [`ClientReader::read`] expects.
pub(super) const CLIENT_COLUMNS: &str = "c.id, c.name, c.client_type, c.vip, c.vip_pending, \
     c.manager, c.department, c.region, c.balance, c.credit_limit, c.overdue, c.overdue_since, \
     c.last_order, c.served_by_operators, c.notes, c.as_of, \
     (SELECT group_concat(n.number, char(10)) FROM client_numbers n WHERE n.client = c.id)";

/// Turns rows into clients; keeps what many clients share once.
#[derive(Debug)]
pub(super) struct ClientReader {
    format: NumberFormat,
    types: Shared<ClientType>,
    people: Shared<PersonId>,
    departments: Shared<DepartmentId>,
    texts: Shared<Arc<str>>,
}

impl ClientReader {
    /// Numbers without a country code are read by `format`.
    pub(super) fn new(format: NumberFormat) -> Self {
        Self {
            format,
            types: Shared::default(),
            people: Shared::default(),
            departments: Shared::default(),
            texts: Shared::default(),
        }
    }

    /// A row of [`CLIENT_COLUMNS`], and what in it could not be read.
    pub(super) fn read(&mut self, row: &Row<'_>) -> rusqlite::Result<(Client, Option<String>)> {
        let mut faults = Vec::new();
        let text = |i: usize| row.get_ref(i).map(|v| v.as_str().unwrap_or_default());
        let optional = |i: usize| row.get_ref(i).map(|v| v.as_str().ok().filter(|t| !t.is_empty()));
        let money = |i: usize| row.get::<_, i64>(i).map(Money);
        let overdue_since = day(optional(11)?, "overdue_since", &mut faults);
        let last_order = day(optional(12)?, "last_order", &mut faults);
        let as_of = instant(text(15)?).unwrap_or_else(|| {
            faults.push(format!("as_of '{}' is no time", text(15).unwrap_or_default()));
            Timestamp::UNIX_EPOCH
        });
        let client = Client {
            id: ClientId(row.get(0)?),
            name: Arc::from(text(1)?),
            client_type: self.types.one(text(2)?, ClientType::new),
            vip: vip(text(3)?, &mut faults),
            vip_pending: row.get(4)?,
            manager: optional(5)?.map(|t| self.people.one(t, PersonId::new)),
            department: optional(6)?.map(|t| self.departments.one(t, DepartmentId::new)),
            region: optional(7)?.map(|t| self.texts.one(t, |t| Arc::from(t))),
            balance: money(8)?,
            credit_limit: row.get::<_, Option<i64>>(9)?.map(Money),
            overdue: money(10)?,
            overdue_since,
            last_order,
            served_by_operators: row.get(13)?,
            notes: match text(14)? {
                "" => self.texts.one("", |t| Arc::from(t)),
                notes => Arc::from(notes),
            },
            as_of,
            numbers: self.numbers(optional(16)?, &mut faults),
        };
        let fault = (!faults.is_empty())
            .then(|| format!("client {} ({}): {}", client.id.0, client.name, faults.join("; ")));
        Ok((client, fault))
    }

    fn numbers(&self, lines: Option<&str>, faults: &mut Vec<String>) -> Vec<Number> {
        let mut numbers = Vec::with_capacity(lines.map_or(0, |l| l.lines().count()));
        for raw in lines.into_iter().flat_map(str::lines) {
            match Number::from_e164(raw).or_else(|| Number::parse(raw, &self.format)) {
                Some(number) => numbers.push(number),
                None => faults.push(format!("'{raw}' is no number")),
            }
        }
        numbers.sort();
        numbers.dedup();
        numbers
    }
}

/// Equal texts kept once.
#[derive(Debug)]
struct Shared<T>(HashMap<Box<str>, T>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Shared<T> {
    fn one(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> T {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        if self.0.len() >= NAMES_MAX {
            self.0.clear();
        }
        let new = make(text);
        self.0.insert(text.into(), new.clone());
        new
    }
}

fn day(text: Option<&str>, column: &str, faults: &mut Vec<String>) -> Option<Date> {
    let text = text?;
    // Some programs write a time behind the day.
    let day = text.get(..10).and_then(|d| d.parse().ok());
    if day.is_none() {
        faults.push(format!("{column} '{text}' is no day"));
    }
    day
}

fn vip(text: &str, faults: &mut Vec<String>) -> Vip {
    vip_named(text).unwrap_or_else(|| {
        faults.push(format!("vip '{text}' is unknown"));
        Vip::None
    })
}

/// `none`, `local`, `branch`.
pub(super) fn vip_named(text: &str) -> Option<Vip> {
    [Vip::None, Vip::Local, Vip::Branch].into_iter().find(|v| v.as_str() == text)
}

/// ISO 8601 with an offset, or SQLite's own `YYYY-MM-DD HH:MM:SS`, which is UTC.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(local).ok()
    })
}

/// As the tables hold it: UTC, milliseconds.
pub(super) fn instant_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_other_programs_are_read_as_utc() {
        let iso = instant("2026-03-02T08:00:00.250Z").expect("ours");
        assert_eq!(instant_text(iso), "2026-03-02T08:00:00.250Z");
        let theirs = instant("2026-03-02 08:00:00").expect("SQLite's");
        assert_eq!(instant_text(theirs), "2026-03-02T08:00:00.000Z");
        assert_eq!(
            instant("2026-03-02").map(instant_text),
            Some("2026-03-02T00:00:00.000Z".into())
        );
        assert_eq!(instant("yesterday"), None);
    }
}
