//! Deputies who stand in for each other on the same day (clause C1): found before they are written, by the
//! row that closes the circle.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rusqlite::Connection;

use super::people::{NewAbsence, absences};
use crate::domain::PersonId;

/// Steps of one search; with fewer overlapping absences it is exhaustive.
const STEPS_MAX: usize = 10_000;

/// An absence with the words by which a person finds it: `line 3`, `absence 7`.
#[derive(Clone, Debug)]
pub(super) struct Away {
    pub absence: NewAbsence,
    pub place: String,
}

/// Absences with deputies, by who is away.
#[derive(Debug, Default)]
pub(super) struct Circles(BTreeMap<PersonId, Vec<Away>>);

impl Circles {
    /// Those of the database that are not over on `since`.
    pub fn load(db: &Connection, since: Date) -> rusqlite::Result<Self> {
        let mut circles = Self::default();
        for absence in absences(db, Some(since))? {
            let place = format!("absence {}", absence.id);
            let (person, kind, deputy) = (absence.person, absence.kind, absence.deputy);
            let (from, to) = (absence.from, absence.to);
            let absence = NewAbsence { person, kind, from, to, deputy };
            circles.put(Away { absence, place });
        }
        Ok(circles)
    }

    pub fn put(&mut self, away: Away) {
        self.0.entry(away.absence.person.clone()).or_default().push(away);
    }

    /// Takes the one out that has the same key: its person and first day.
    pub fn take(&mut self, key: &NewAbsence) -> Option<Away> {
        let own = self.0.get_mut(&key.person)?;
        let place = own.iter().position(|away| away.absence.from == key.from)?;
        Some(own.remove(place))
    }

    /// The circle that `new` closes, in words.
    pub fn closed_by(&self, new: &NewAbsence) -> Option<String> {
        let mut search = Search { circles: self, new, path: Vec::new(), steps: 0 };
        search.follow(new.deputy.as_ref()?, (new.from, new.to))
    }
}

struct Search<'a> {
    circles: &'a Circles,
    new: &'a NewAbsence,
    path: Vec<&'a Away>,
    steps: usize,
}

impl<'a> Search<'a> {
    /// `person` stands in on `days`.
    fn follow(&mut self, person: &'a PersonId, days: (Date, Date)) -> Option<String> {
        if *person == self.new.person {
            return Some(self.told(days));
        }
        let met = self.path.iter().any(|away| away.absence.person == *person);
        for away in self.circles.0.get(person).into_iter().flatten().filter(|_| !met) {
            self.steps += 1;
            let common = (days.0.max(away.absence.from), days.1.min(away.absence.to));
            let Some(deputy) = away.absence.deputy.as_ref().filter(|_| common.0 <= common.1) else {
                continue;
            };
            if self.steps > STEPS_MAX {
                return None;
            }
            self.path.push(away);
            if let Some(told) = self.follow(deputy, common) {
                return Some(told);
            }
            self.path.pop();
        }
        None
    }

    fn told(&self, (from, to): (Date, Date)) -> String {
        let others: Vec<String> =
            self.path.iter().map(|a| format!("{} ({})", a.absence.person, a.place)).collect();
        let (own, others) = (&self.new.person, others.join(" → "));
        format!("deputies in a circle from {from} to {to}: {own} → {others} → {own} (C1)")
    }
}
