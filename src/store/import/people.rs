//! Rows of people: keyed by `id`. A `password` is kept as HA1 only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::columns::{Cells, Column, Header};
use super::departments::{any_department, exists as department_exists, unknown_department};
use super::{BadRow, ImportOptions, Notes, Table, Written, fields, noted};
use crate::domain::GROUPS_PER_PERSON_MAX;
use crate::store::db::WriteError;
use crate::store::people::{person_exists, store_password};
use crate::store::{did_you_mean, password};

/// Columns of a file of people.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("id", &["person", "short name", "login", "kürzel", "логин"]),
    Column::new("name", &["full name", "имя", "фио"]),
    Column::new("roles", &["role", "rolle", "rollen", "роль", "роли"]),
    Column::new("department", &["dept", "abteilung", "отдел"]),
    Column::new("sip_user", &["sip", "extension", "phone", "telephone", "durchwahl", "номер"]),
    Column::new("supervisor", &["superior", "vorgesetzter", "руководитель"]),
    Column::new("email", &["e mail", "mail", "почта"]),
    Column::new("password", &["secret", "kennwort", "пароль"]),
    Column::new("left_on", &["left", "ausgetreten", "уволен"]),
];

/// The highest skill level.
const LEVEL_MAX: u8 = 100;

/// Columns of the table that are one text each.
const TEXTS: [&str; 6] = ["name", "department", "sip_user", "supervisor", "email", "left_on"];

/// One parsed row. `None` outside: the file has no such column.
pub(super) struct PersonRow {
    id: String,
    texts: Vec<Option<Option<String>>>,
    /// With the level in each; 0 where the file says none.
    roles: Option<BTreeMap<String, u8>>,
    password: Option<String>,
}

impl PersonRow {
    fn column(&self, name: &str) -> Option<&Option<String>> {
        let place = TEXTS.iter().position(|text| *text == name)?;
        self.texts[place].as_ref()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.column(name)?.as_deref()
    }
}

/// The file.
pub(super) struct PersonRows {
    ids: HashMap<String, u64>,
    sip_users: HashMap<String, u64>,
    supervisors: Vec<(u64, String)>,
}

impl Table for PersonRows {
    type Row = PersonRow;

    fn new(_header: &Header) -> Self {
        Self { ids: HashMap::new(), sip_users: HashMap::new(), supervisors: Vec::new() }
    }

    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<PersonRow> {
        let mut note = |name: &str, result: Result<Option<String>, String>| match result {
            Ok(text) => text,
            Err(why) => {
                wrong.push(format!("{name}: {why}"));
                None
            }
        };
        let id = note("id", fields::short_name(cells.text("id").unwrap_or_default()).map(Some));
        let mut texts = Vec::new();
        for name in TEXTS {
            let read = |cell: &str| match name {
                _ if cell.is_empty() => Ok(None),
                "department" | "supervisor" | "sip_user" => fields::short_name(cell).map(Some),
                "left_on" => fields::day(cell, options.today).map(|day| Some(day.to_string())),
                "email" if !cell.contains('@') => Err(format!("'{cell}' is no e-mail address")),
                _ => Ok(Some(cell.to_owned())),
            };
            texts.push(cells.cell(name).map(|cell| note(name, read(cell))));
        }
        if cells.cell("name") == Some("") {
            wrong.push("name is empty".into());
        }
        let roles = cells.cell("roles").map(|cell| {
            let roles = fields::words(cell).into_iter().filter_map(|word| match role(&word) {
                Ok(role) => Some(role),
                Err(why) => {
                    wrong.push(format!("roles: {why}"));
                    None
                }
            });
            roles.collect()
        });
        let password = cells.text("password").map(str::to_owned);
        Some(PersonRow { id: id?, texts, roles, password })
    }

    fn check(
        &mut self,
        line: u64,
        row: &PersonRow,
        db: &Connection,
        _notes: &mut Notes,
        wrong: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        let counts = wrong.is_empty();
        // The first file of people comes before the departments, whose heads they are.
        if let Some(department) = row.text("department")
            && any_department(db)?
            && !department_exists(db, department)?
        {
            wrong.push(format!("department: {}", unknown_department(db, department)?));
        }
        match self.ids.get(&row.id) {
            Some(first) => wrong.push(format!("'{}' was in line {first} already", row.id)),
            None if counts => {
                self.ids.insert(row.id.clone(), line);
            }
            None => {}
        }
        if let Some(user) = row.text("sip_user") {
            match self.sip_users.get(user) {
                Some(first) => {
                    wrong.push(format!("sip_user '{user}' was in line {first} already"));
                }
                None => {
                    if counts {
                        self.sip_users.insert(user.to_owned(), line);
                    }
                    noted(free(db, row, user, &self.ids), wrong)?;
                }
            }
        }
        let exists = person_exists(db, &row.id)?;
        // An empty one has been told.
        if !exists && row.column("name").is_none() {
            wrong.push(format!("'{}' is new, and a new person needs a name", row.id));
        }
        let is_unread = row.column("sip_user") == Some(&None) && !counts;
        if row.password.is_some() && !is_unread && sip_user(db, row)?.is_none() {
            wrong.push("a password without a sip_user protects nothing".into());
        }
        let (roles, groups) = groups(db, row)?;
        if groups > GROUPS_PER_PERSON_MAX {
            wrong.push(format!(
                "{roles} roles make {groups} groups, for each is one of the company and one of the \
                 department: {GROUPS_PER_PERSON_MAX} are possible"
            ));
        }
        if let (true, Some(superior)) = (counts, row.text("supervisor")) {
            self.supervisors.push((line, superior.to_owned()));
        }
        Ok(())
    }

    fn write(
        &self,
        row: &PersonRow,
        tx: &Transaction<'_>,
        options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError> {
        let mut written = Written::Nothing;
        if !person_exists(tx, &row.id)? {
            let text = "INSERT INTO people (id, name) VALUES (?1, ?2)";
            tx.prepare_cached(text)?.execute((&row.id, row.text("name").unwrap_or_default()))?;
            written = Written::Added;
        }
        let mut changed = false;
        for (name, text) in TEXTS.iter().zip(&row.texts) {
            let Some(text) = text else { continue };
            let sql = format!("UPDATE people SET {name} = ?2 WHERE id = ?1 AND {name} IS NOT ?2");
            let done = tx.prepare_cached(&sql)?.execute((&row.id, text));
            changed |= done.map_err(|e| taken(e, row))? > 0;
        }
        if let Some(roles) = &row.roles {
            changed |= put_roles(tx, &row.id, roles)?;
        }
        if let (Some(secret), Some(user)) = (&row.password, sip_user(tx, row)?) {
            let kept = password::credentials(&user, options.realm, secret);
            changed |= store_password(tx, &row.id, &kept, options.realm)?;
        }
        Ok(if changed && written == Written::Nothing { Written::Changed } else { written })
    }

    fn finish(&mut self, db: &Connection, notes: &mut Notes) -> rusqlite::Result<Vec<BadRow>> {
        let mut query = db.prepare("SELECT id FROM people")?;
        let known = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut known: BTreeSet<String> = known.collect::<Result<_, _>>()?;
        known.extend(self.ids.keys().cloned());
        for (line, superior) in &self.supervisors {
            if !known.contains(superior) {
                let hint = did_you_mean(superior, known.iter().map(String::as_str));
                notes.add(*line, format!("supervisor: there is no person '{superior}'{hint}"));
            }
        }
        Ok(Vec::new())
    }
}

/// `operator`, or with a skill level `operator=3`.
fn role(word: &str) -> Result<(String, u8), String> {
    let (role, level) = match word.split_once('=') {
        Some((role, level)) => match level.parse() {
            Ok(level) if (1..=LEVEL_MAX).contains(&level) => (role, level),
            _ => return Err(format!("'{word}': a level is 1 to {LEVEL_MAX}")),
        },
        None => (word, 0),
    };
    fields::short_name(role).map(|role| (role.to_lowercase(), level))
}

/// One phone has one user. A user may move to another person if the earlier line frees it.
fn free(
    db: &Connection,
    row: &PersonRow,
    user: &str,
    earlier: &HashMap<String, u64>,
) -> Result<(), WriteError> {
    let text = "SELECT id FROM people WHERE sip_user = ?1 AND id <> ?2";
    let other = db.query_row(text, (user, &row.id), |found| found.get::<_, String>(0));
    match other.optional()? {
        Some(other) if !earlier.contains_key(&other) => Err(WriteError::Refused(format!(
            "sip_user '{user}' is {other}'s; give {other} another one in an earlier line"
        ))),
        _ => Ok(()),
    }
}

/// The user part under which the row's person registers after this row.
fn sip_user(db: &Connection, row: &PersonRow) -> rusqlite::Result<Option<String>> {
    if row.column("sip_user").is_some() {
        return Ok(row.text("sip_user").map(str::to_owned));
    }
    let text = "SELECT sip_user FROM people WHERE id = ?1";
    Ok(db.query_row(text, [&row.id], |found| found.get(0)).optional()?.flatten())
}

/// How many roles the person has after this row, and how many groups those make.
fn groups(db: &Connection, row: &PersonRow) -> rusqlite::Result<(usize, usize)> {
    let roles = match &row.roles {
        Some(roles) => roles.len(),
        None => {
            let text = "SELECT count(*) FROM person_roles WHERE person = ?1";
            db.query_row(text, [&row.id], |found| found.get::<_, i64>(0))? as usize
        }
    };
    let department = match row.column("department") {
        Some(department) => department.is_some(),
        None => {
            let text = "SELECT department IS NOT NULL FROM people WHERE id = ?1";
            db.query_row(text, [&row.id], |found| found.get(0)).optional()?.unwrap_or(false)
        }
    };
    Ok((roles, if department { 2 * roles } else { roles }))
}

/// Makes the person's roles and levels these; says whether they were others.
fn put_roles(
    tx: &Transaction<'_>,
    id: &str,
    roles: &BTreeMap<String, u8>,
) -> rusqlite::Result<bool> {
    let mut query = tx.prepare_cached(
        "SELECT role, ifnull(level, 0) FROM person_roles LEFT JOIN person_levels
         USING (person, role) WHERE person = ?1",
    )?;
    let known: BTreeMap<String, u8> =
        query.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    if known == *roles {
        return Ok(false);
    }
    tx.execute("DELETE FROM person_roles WHERE person = ?1", [id])?;
    tx.execute("DELETE FROM person_levels WHERE person = ?1", [id])?;
    for (role, level) in roles {
        tx.execute("INSERT INTO person_roles (person, role) VALUES (?1, ?2)", (id, role))?;
        if *level > 0 {
            let text = "INSERT INTO person_levels (person, role, level) VALUES (?1, ?2, ?3)";
            tx.execute(text, (id, role, level))?;
        }
    }
    Ok(true)
}

fn taken(error: rusqlite::Error, row: &PersonRow) -> WriteError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => {
            let user = row.text("sip_user").unwrap_or_default();
            WriteError::Refused(format!("sip_user '{user}' belongs to somebody else"))
        }
        _ => WriteError::Sql(error),
    }
}
