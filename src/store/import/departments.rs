//! Rows of departments: keyed by `id`.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Transaction};

use super::columns::{Cells, Column, Header};
use super::{ImportOptions, Notes, Table, Written, fields};
use crate::store::db::WriteError;
use crate::store::did_you_mean;
use crate::store::people::{person_exists, unknown_person};

/// Columns of a file of departments.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("id", &["department", "short name", "kürzel", "отдел"]),
    Column::new("name", &["full name", "название"]),
    Column::new("head", &["leiter", "начальник", "руководитель"]),
    Column::new("deputy_head", &["stellvertreter", "заместитель"]),
    Column::new("calendar", &["hours", "kalender", "календарь"]),
    Column::new("regions", &["region", "gebiete", "регионы", "регион"]),
];

/// Columns of the table that are one text each.
const TEXTS: [&str; 4] = ["name", "head", "deputy_head", "calendar"];

/// One parsed row. `None` outside: the file has no such column.
pub(super) struct DepartmentRow {
    id: String,
    texts: [Option<Option<String>>; 4],
    regions: Option<BTreeSet<String>>,
}

/// The file.
pub(super) struct DepartmentRows {
    ids: HashMap<String, u64>,
}

impl Table for DepartmentRows {
    type Row = DepartmentRow;

    fn new(_header: &Header) -> Self {
        Self { ids: HashMap::new() }
    }

    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<DepartmentRow> {
        let id = fields::short_name(cells.text("id").unwrap_or_default());
        let id = id.map_err(|why| wrong.push(format!("id: {why}"))).ok();
        let texts = TEXTS.map(|name| {
            let cell = cells.cell(name)?;
            if cell.is_empty() {
                let needed = matches!(name, "name" | "calendar");
                wrong.extend(needed.then(|| format!("{name} is empty")));
                return Some(None);
            }
            let is_unknown = |cell: &str| !options.calendars.iter().any(|known| **known == *cell);
            if name == "calendar" && !options.calendars.is_empty() && is_unknown(cell) {
                let hint = did_you_mean(cell, options.calendars.iter().map(AsRef::as_ref));
                wrong.push(format!("calendar: there is no calendar '{cell}'{hint}"));
            }
            if name != "name" {
                wrong.extend(fields::short_name(cell).err().map(|why| format!("{name}: {why}")));
            }
            Some(Some(cell.to_owned()))
        });
        let regions = cells.cell("regions").map(|cell| {
            let parts = cell.split([',', ';', '|']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        });
        Some(DepartmentRow { id: id?, texts, regions })
    }

    fn check(
        &mut self,
        line: u64,
        row: &DepartmentRow,
        db: &Connection,
        notes: &mut Notes,
        wrong: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        match self.ids.get(&row.id) {
            Some(first) => wrong.push(format!("'{}' was in line {first} already", row.id)),
            None if wrong.is_empty() => {
                self.ids.insert(row.id.clone(), line);
            }
            None => {}
        }
        let exists = exists(db, &row.id)?;
        let [name, head, deputy_head, calendar] = &row.texts;
        if !exists && (name.is_none() || calendar.is_none()) {
            wrong.push(format!("'{}' is new, and needs name and calendar", row.id));
        }
        if !wrong.is_empty() {
            return Ok(());
        }
        for (what, who) in [("head", head), ("deputy_head", deputy_head)] {
            if let Some(Some(who)) = who
                && !person_exists(db, who)?
            {
                notes.add(line, format!("{what}: {}", unknown_person(db, who)?));
            }
        }
        Ok(())
    }

    fn write(
        &self,
        row: &DepartmentRow,
        tx: &Transaction<'_>,
        _options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError> {
        let is_new = !exists(tx, &row.id)?;
        if is_new {
            let text = "INSERT INTO departments (id, name, calendar) VALUES (?1, '', '')";
            tx.execute(text, [&row.id])?;
        }
        let mut changed = false;
        for (name, text) in TEXTS.iter().zip(&row.texts) {
            let Some(text) = text else { continue };
            let sql =
                format!("UPDATE departments SET {name} = ?2 WHERE id = ?1 AND {name} IS NOT ?2");
            changed |= tx.prepare_cached(&sql)?.execute((&row.id, text))? > 0;
        }
        if let Some(regions) = &row.regions {
            changed |= put_regions(tx, &row.id, regions)?;
        }
        Ok(match (is_new, changed) {
            (true, _) => Written::Added,
            (false, true) => Written::Changed,
            (false, false) => Written::Nothing,
        })
    }
}

pub(super) fn exists(db: &Connection, id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM departments WHERE id = ?1")?.exists([id])
}

/// There are departments: who names none of them is mistaken.
pub(super) fn any_department(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM departments")?.exists([])
}

/// "There is no such department", with the nearest name.
pub(super) fn unknown_department(db: &Connection, id: &str) -> rusqlite::Result<String> {
    let mut query = db.prepare_cached("SELECT id FROM departments")?;
    let ids: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let hint = did_you_mean(id, ids.iter().map(String::as_str));
    Ok(format!("there is no department '{id}'{hint}"))
}

/// Makes the department's regions these; says whether they were others.
fn put_regions(
    tx: &Transaction<'_>,
    id: &str,
    regions: &BTreeSet<String>,
) -> rusqlite::Result<bool> {
    let text = "SELECT region FROM department_regions WHERE department = ?1";
    let mut query = tx.prepare_cached(text)?;
    let known: BTreeSet<String> =
        query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if known == *regions {
        return Ok(false);
    }
    tx.execute("DELETE FROM department_regions WHERE department = ?1", [id])?;
    for region in regions {
        let text = "INSERT INTO department_regions (department, region) VALUES (?1, ?2)";
        tx.execute(text, (id, region))?;
    }
    Ok(true)
}
