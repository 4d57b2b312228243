//! Rows of absences (clause C1): keyed by person and first day.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::columns::{Cells, Column, Header};
use super::{BadRow, ImportOptions, Notes, Table, Written, fields};
use crate::domain::{AbsenceKind, PersonId};
use crate::store::circles::{Away, Circles};
use crate::store::db::WriteError;
use crate::store::people::{
    NewAbsence, insert_absence, kind_name, kind_named, person_exists, unknown_person, who_leaves,
};

/// Columns of a file of absences.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("person", &["id", "who", "сотрудник"]),
    Column::new("kind", &["reason", "type", "art", "причина"]),
    Column::new("from", &["first day", "begin", "von", "с"]),
    Column::new("to", &["last day", "end", "until", "bis", "по"]),
    Column::new("deputy", &["vertretung", "заместитель"]),
];

/// The file.
pub(super) struct AbsenceRows {
    earlier: Vec<(u64, NewAbsence)>,
    today: Option<Date>,
}

/// One row as far as it could be read.
pub(super) struct AbsenceRow {
    person: Option<PersonId>,
    kind: Option<AbsenceKind>,
    days: (Option<Date>, Option<Date>),
    /// `None` outside: not to be read.
    deputy: Option<Option<PersonId>>,
    today: Date,
}

impl AbsenceRow {
    fn whole(&self) -> Option<NewAbsence> {
        Some(NewAbsence {
            person: self.person.clone()?,
            kind: self.kind?,
            from: self.days.0?,
            to: self.days.1?,
            deputy: self.deputy.clone()?,
        })
    }
}

impl Table for AbsenceRows {
    type Row = AbsenceRow;

    fn new(_header: &Header) -> Self {
        Self { earlier: Vec::new(), today: None }
    }

    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<AbsenceRow> {
        let cell = |name| cells.text(name).unwrap_or_default();
        let person = fields::short_name(cell("person"));
        let person = person.map_err(|why| wrong.push(format!("person: {why}"))).ok();
        let kind = kind_named(&fields::type_name(cell("kind")));
        if kind.is_none() {
            let text = cell("kind");
            wrong.push(format!("kind: '{text}' is not business_trip, leave, sickness or other"));
        }
        let mut day = |name| {
            let day = fields::day(cell(name), options.today);
            day.map_err(|why| wrong.push(format!("{name}: {why}"))).ok()
        };
        let days = (day("from"), day("to"));
        let deputy = cells.text("deputy").map(fields::short_name).transpose();
        let deputy = deputy.map_err(|why| wrong.push(format!("deputy: {why}"))).ok();
        Some(AbsenceRow {
            person: person.as_deref().map(PersonId::new),
            kind,
            days,
            deputy: deputy.map(|deputy| deputy.as_deref().map(PersonId::new)),
            today: options.today,
        })
    }

    fn check(
        &mut self,
        line: u64,
        row: &AbsenceRow,
        db: &Connection,
        _notes: &mut Notes,
        wrong: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        let (person, deputy) = (row.person.as_ref(), row.deputy.as_ref().and_then(Option::as_ref));
        for named in [person, deputy.filter(|deputy| person != Some(deputy))].into_iter().flatten()
        {
            if !person_exists(db, named.as_str())? {
                wrong.push(unknown_person(db, named.as_str())?);
            }
        }
        if let (Some(person), true) = (person, person.is_some() && person == deputy) {
            wrong.push(format!("{person} cannot be their own deputy"));
        }
        if let (Some(from), Some(to)) = row.days
            && from > to
        {
            wrong.push(format!("the last day {to} is before the first {from}"));
        }
        let Some(new) = row.whole() else { return Ok(()) };
        wrong.extend(who_leaves(db, &new)?);
        let overlaps = |other: &NewAbsence| {
            other.person == new.person && other.from <= new.to && new.from <= other.to
        };
        let own = find(db, &new)?;
        if let Some((first, _)) = self.earlier.iter().find(|(_, other)| overlaps(other)) {
            wrong.push(format!("{} is away on such a day by line {first}", new.person));
        } else if let Some(other) = overlapping(db, &new, own)? {
            wrong.push(format!("{} is away on such a day already (absence {other})", new.person));
        }
        self.today = Some(row.today);
        if wrong.is_empty() {
            self.earlier.push((line, new));
        }
        Ok(())
    }

    /// Clause C1: of a circle of deputies the last of its lines is the bad one.
    fn finish(&mut self, db: &Connection, _notes: &mut Notes) -> rusqlite::Result<Vec<BadRow>> {
        let Some(today) = self.today else { return Ok(Vec::new()) };
        // As the directory has them: a day more, for zones behind UTC.
        let mut circles = Circles::load(db, today.yesterday().unwrap_or(today))?;
        let replaced: Vec<_> = self.earlier.iter().map(|(_, new)| circles.take(new)).collect();
        let mut bad = Vec::new();
        for ((line, new), replaced) in self.earlier.iter().zip(replaced) {
            match circles.closed_by(new) {
                Some(circle) => {
                    bad.push(BadRow { line: *line, reason: format!("deputy: {circle}") });
                    replaced.into_iter().for_each(|old| circles.put(old));
                }
                None => {
                    let (absence, place) = (new.clone(), format!("line {line}"));
                    circles.put(Away { absence, place });
                }
            }
        }
        Ok(bad)
    }

    fn write(
        &self,
        row: &AbsenceRow,
        tx: &Transaction<'_>,
        options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError> {
        let Some(row) = &row.whole() else { return Ok(Written::Nothing) };
        let Some(id) = find(tx, row)? else {
            insert_absence(tx, options.actor, row)?;
            return Ok(Written::Added);
        };
        let text = "UPDATE absences SET kind = ?2, last_day = ?3, deputy = ?4, named_by = ?5 \
                    WHERE id = ?1 AND (kind IS NOT ?2 OR last_day IS NOT ?3 OR deputy IS NOT ?4)";
        let deputy = row.deputy.as_ref().map(PersonId::as_str);
        let (kind, to) = (kind_name(row.kind), row.to.to_string());
        let changed = tx.execute(text, (id, kind, to, deputy, options.actor.by))?;
        Ok(if changed > 0 { Written::Changed } else { Written::Nothing })
    }
}

fn find(db: &Connection, row: &NewAbsence) -> rusqlite::Result<Option<i64>> {
    let text = "SELECT id FROM absences WHERE person = ?1 AND first_day = ?2";
    let key = (row.person.as_str(), row.from.to_string());
    db.query_row(text, key, |found| found.get(0)).optional()
}

fn overlapping(
    db: &Connection,
    row: &NewAbsence,
    own: Option<i64>,
) -> rusqlite::Result<Option<i64>> {
    let text = "SELECT id FROM absences \
                WHERE person = ?1 AND first_day <= ?3 AND last_day >= ?2 AND id IS NOT ?4";
    let key = (row.person.as_str(), row.from.to_string(), row.to.to_string(), own);
    db.query_row(text, key, |found| found.get(0)).optional()
}
