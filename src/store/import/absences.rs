//! Rows of absences (clause C1): keyed by person and first day.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::columns::{Cells, Column, Header};
use super::{ImportOptions, Notes, Table, Written, fields};
use crate::domain::PersonId;
use crate::store::db::WriteError;
use crate::store::people::{
    NewAbsence, insert_absence, kind_name, kind_named, person_exists, unknown_person,
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
}

impl Table for AbsenceRows {
    type Row = NewAbsence;

    fn new(_header: &Header) -> Self {
        Self { earlier: Vec::new() }
    }

    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
    ) -> Result<NewAbsence, Vec<String>> {
        let cell = |name| cells.text(name).unwrap_or_default();
        let at = |name, why| format!("{name}: {why}");
        let person = fields::short_name(cell("person")).map_err(|why| at("person", why));
        let kind = kind_named(&fields::type_name(cell("kind"))).ok_or_else(|| {
            let text = cell("kind");
            format!("kind: '{text}' is not business_trip, leave, sickness or other")
        });
        let from = fields::day(cell("from"), options.today).map_err(|why| at("from", why));
        let to = fields::day(cell("to"), options.today).map_err(|why| at("to", why));
        let deputy = cells.text("deputy").map(fields::short_name).transpose();
        let deputy = deputy.map_err(|why| at("deputy", why));
        match (person, kind, from, to, deputy) {
            (Ok(person), Ok(kind), Ok(from), Ok(to), Ok(deputy)) => Ok(NewAbsence {
                person: PersonId::new(&person),
                kind,
                from,
                to,
                deputy: deputy.as_deref().map(PersonId::new),
            }),
            (person, kind, from, to, deputy) => {
                let wrong = [person.err(), kind.err(), from.err(), to.err(), deputy.err()];
                Err(wrong.into_iter().flatten().collect())
            }
        }
    }

    fn check(
        &mut self,
        line: u64,
        row: &NewAbsence,
        db: &Connection,
        _notes: &mut Notes,
    ) -> Result<Written, WriteError> {
        let refused = |why: String| Err(WriteError::Refused(why));
        for person in [Some(&row.person), row.deputy.as_ref()].into_iter().flatten() {
            if !person_exists(db, person.as_str())? {
                return refused(unknown_person(db, person.as_str())?);
            }
        }
        if row.deputy.as_ref() == Some(&row.person) {
            return refused(format!("{} cannot be their own deputy", row.person));
        }
        if row.from > row.to {
            return refused(format!("the last day {} is before the first {}", row.to, row.from));
        }
        let overlaps = |other: &NewAbsence| {
            other.person == row.person && other.from <= row.to && row.from <= other.to
        };
        if let Some((first, _)) = self.earlier.iter().find(|(_, other)| overlaps(other)) {
            return refused(format!("{} is away on such a day by line {first}", row.person));
        }
        self.earlier.push((line, row.clone()));
        let own = find(db, row)?;
        if let Some(other) = overlapping(db, row, own)? {
            let why = format!("{} is away on such a day already (absence {other})", row.person);
            return refused(why);
        }
        Ok(if own.is_some() { Written::Changed } else { Written::Added })
    }

    fn write(
        &self,
        row: &NewAbsence,
        tx: &Transaction<'_>,
        options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError> {
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
