//! People, departments and absences: their rows, and the commands that change them (clause C1).
//!
//! Each command is one transaction with its audit row. Who may give it is not asked here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::circles::Circles;
use super::db::WriteError;
use super::{Actor, ClientsDb, StoreError, password};
use crate::domain::{
    Absence, AbsenceKind, Credentials, Department, DepartmentId, DirectoryRows, Person, PersonId,
    Role,
};

/// An absence to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAbsence {
    /// Who is away.
    pub person: PersonId,
    /// Why.
    pub kind: AbsenceKind,
    /// First day away.
    pub from: Date,
    /// Last day away.
    pub to: Date,
    /// Who has the calls, the rights and the responsibility meanwhile.
    pub deputy: Option<PersonId>,
}

/// Which absence is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichAbsence {
    /// Its row.
    Id(i64),
    /// The one of this person that holds on the day.
    Of(PersonId),
}

impl ClientsDb {
    /// What routing needs: people who have not left, departments, absences not over on `today` (a day
    /// more, for zones behind UTC). Passwords kept for another realm do not count.
    pub fn directory_rows(&self, realm: &str, today: Date) -> Result<DirectoryRows, StoreError> {
        directory_rows(self.connection(), realm, today).map_err(|e| self.sql(&e))
    }

    /// Absences that are not over on `since`, by first day; all of them if `None`.
    pub fn absences(&self, since: Option<Date>) -> Result<Vec<Absence>, StoreError> {
        absences(self.connection(), since).map_err(|e| self.sql(&e))
    }

    /// Clause C1. Refused: unknown people, a deputy who is the same person, days in the wrong order, an
    /// absence of that person on one of the days already, deputies in a circle.
    pub fn add_absence(
        &mut self,
        actor: Actor<'_>,
        new: &NewAbsence,
    ) -> Result<Absence, StoreError> {
        self.write(|tx| {
            let added = insert_absence(tx, actor, new)?;
            match Circles::load(tx, new.from)?.closed_by(new) {
                Some(circle) => refused(circle),
                None => Ok(added),
            }
        })
    }

    /// Ends an absence so that `on` is its last day; one that would begin later is taken away whole.
    /// Returns it as it was. Refused: there is none, or it is over by then.
    pub fn end_absence(
        &mut self,
        actor: Actor<'_>,
        which: &WhichAbsence,
        on: Date,
    ) -> Result<Absence, StoreError> {
        self.write(|tx| {
            let absence = find_absence(tx, which, on)?;
            if absence.to <= on {
                return refused(format!("absence {} is over on {}", absence.id, absence.to));
            }
            if absence.from > on {
                tx.execute("DELETE FROM absences WHERE id = ?1", [absence.id])?;
            } else {
                let text = "UPDATE absences SET last_day = ?2 WHERE id = ?1";
                tx.execute(text, (absence.id, on.to_string()))?;
            }
            let detail = format!("{} of {} ends on {on}", absence.id, absence.person);
            actor.record(tx, "absence", &detail)?;
            Ok(absence)
        })
    }

    /// Sets the password of a person's phone: only HA1 for MD5 and SHA-256 under `realm` are kept.
    /// Refused: an unknown person, one without a SIP user, an empty password.
    pub fn set_password(
        &mut self,
        actor: Actor<'_>,
        person: &PersonId,
        realm: &str,
        secret: &str,
    ) -> Result<(), StoreError> {
        if secret.is_empty() {
            return Err(StoreError::refused("an empty password protects nothing"));
        }
        self.write(|tx| {
            let text = "SELECT sip_user FROM people WHERE id = ?1";
            let user: Option<Option<String>> =
                tx.query_row(text, [person.as_str()], |row| row.get(0)).optional()?;
            let Some(user) = user else { return refused(unknown_person(tx, person.as_str())?) };
            let Some(user) = user else {
                return refused(format!("{person} has no SIP user, so no phone to protect"));
            };
            store_password(
                tx,
                person.as_str(),
                &password::credentials(&user, realm, secret),
                realm,
            )?;
            actor.record(tx, "password", &format!("of {person} set"))?;
            Ok(())
        })
    }
}

/// Whether it was another before.
pub(super) fn store_password(
    tx: &Transaction<'_>,
    person: &str,
    kept: &Credentials,
    realm: &str,
) -> rusqlite::Result<bool> {
    let text = "UPDATE people SET ha1_realm = ?2, ha1_md5 = ?3, ha1_sha256 = ?4 WHERE id = ?1 \
                AND (ha1_realm IS NOT ?2 OR ha1_md5 IS NOT ?3 OR ha1_sha256 IS NOT ?4)";
    let kept = (person, realm, &*kept.ha1_md5, &*kept.ha1_sha256);
    tx.prepare_cached(text)?.execute(kept).map(|changed| changed > 0)
}

/// Also used by the follower, on its own connection.
pub(super) fn directory_rows(
    connection: &Connection,
    realm: &str,
    today: Date,
) -> rusqlite::Result<DirectoryRows> {
    let since = today.yesterday().unwrap_or(today);
    // One transaction: roles of people who are not there would be a torn picture.
    let _whole = connection.unchecked_transaction()?;
    Ok(DirectoryRows {
        people: people(connection, realm, today)?,
        departments: departments(connection)?,
        absences: absences(connection, Some(since))?,
        calendars: BTreeMap::new(),
        unread: unread(connection)?,
    })
}

fn people(connection: &Connection, realm: &str, today: Date) -> rusqlite::Result<Vec<Person>> {
    let mut roles = sets(connection, "SELECT person, role FROM person_roles")?;
    let mut levels = levels(connection)?;
    let text = "SELECT id, name, department, sip_user, supervisor, email, ha1_realm, ha1_md5, \
                ha1_sha256 FROM people WHERE left_on IS NULL OR left_on > ?1 ORDER BY id";
    let mut query = connection.prepare_cached(text)?;
    let rows = query.query_map([today.to_string()], |row| {
        let id: String = row.get(0)?;
        let roles = roles.remove(&id).unwrap_or_default();
        let sip_user: Option<String> = row.get(3)?;
        Ok(Person {
            name: Arc::from(row.get::<_, String>(1)?),
            roles: roles.iter().map(|r| Role::new(r)).collect(),
            levels: levels.remove(&id).unwrap_or_default(),
            department: row.get::<_, Option<String>>(2)?.map(|d| DepartmentId::new(&d)),
            credentials: credentials(row, sip_user.as_deref(), realm)?,
            sip_user: sip_user.map(Arc::from),
            supervisor: row.get::<_, Option<String>>(4)?.map(|p| PersonId::new(&p)),
            email: row.get::<_, Option<String>>(5)?.map(Arc::from),
            id: PersonId::new(&id),
        })
    })?;
    rows.collect()
}

fn credentials(
    row: &Row<'_>,
    user: Option<&str>,
    realm: &str,
) -> rusqlite::Result<Option<Credentials>> {
    let kept_for: Option<String> = row.get(6)?;
    let (md5, sha256): (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
    let ours = kept_for.as_deref() == Some(realm);
    Ok(match (user, md5, sha256) {
        (Some(user), Some(md5), Some(sha256)) if ours => {
            Some(Credentials { user: user.into(), ha1_md5: md5.into(), ha1_sha256: sha256.into() })
        }
        _ => None,
    })
}

fn departments(connection: &Connection) -> rusqlite::Result<Vec<Department>> {
    let mut regions = sets(connection, "SELECT department, region FROM department_regions")?;
    let text = "SELECT id, name, head, deputy_head, calendar FROM departments ORDER BY id";
    let mut query = connection.prepare_cached(text)?;
    let rows = query.query_map([], |row| {
        let id: String = row.get(0)?;
        Ok(Department {
            name: Arc::from(row.get::<_, String>(1)?),
            head: row.get::<_, Option<String>>(2)?.map(|p| PersonId::new(&p)),
            deputy_head: row.get::<_, Option<String>>(3)?.map(|p| PersonId::new(&p)),
            calendar: Arc::from(row.get::<_, String>(4)?),
            regions: regions.remove(&id).unwrap_or_default().into_iter().map(Arc::from).collect(),
            id: DepartmentId::new(&id),
        })
    })?;
    rows.collect()
}

fn levels(connection: &Connection) -> rusqlite::Result<BTreeMap<String, BTreeMap<Role, u8>>> {
    let mut levels: BTreeMap<String, BTreeMap<Role, u8>> = BTreeMap::new();
    // A file that is only read may be of an older version.
    let there = "SELECT 1 FROM sqlite_schema WHERE name = 'person_levels'";
    if !connection.prepare_cached(there)?.exists([])? {
        return Ok(levels);
    }
    let mut query = connection.prepare_cached("SELECT person, role, level FROM person_levels")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let role = Role::new(&row.get::<_, String>(1)?);
        levels.entry(row.get(0)?).or_default().insert(role, row.get(2)?);
    }
    Ok(levels)
}

fn sets(
    connection: &Connection,
    text: &str,
) -> rusqlite::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut query = connection.prepare_cached(text)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        sets.entry(row.get(0)?).or_default().insert(row.get(1)?);
    }
    Ok(sets)
}

const ABSENCE_COLUMNS: &str = "id, person, kind, first_day, last_day, deputy, named_by";

pub(super) fn absences(
    connection: &Connection,
    since: Option<Date>,
) -> rusqlite::Result<Vec<Absence>> {
    let text = format!(
        "SELECT {ABSENCE_COLUMNS} FROM absences WHERE last_day >= ?1 ORDER BY first_day, id"
    );
    let since = since.map_or_else(String::new, |day| day.to_string());
    let mut query = connection.prepare_cached(&text)?;
    let rows = query.query_map([since], absence)?;
    // Days that are none were written by another program: such an absence holds on no day, and is told.
    rows.filter_map(Result::transpose).collect()
}

/// Of absences that nobody can read, so many are told.
const UNREAD_MAX: u32 = 20;

/// Absences whose days or kind are none.
fn unread(connection: &Connection) -> rusqlite::Result<Vec<Arc<str>>> {
    let kinds = ABSENCE_KINDS.map(|(_, name)| format!("'{name}'")).join(", ");
    let text = format!(
        "SELECT {ABSENCE_COLUMNS} FROM absences WHERE date(first_day) IS NOT first_day \
         OR date(last_day) IS NOT last_day OR kind NOT IN ({kinds}) ORDER BY id LIMIT ?1"
    );
    let mut query = connection.prepare_cached(&text)?;
    let rows = query.query_map([UNREAD_MAX], |row| {
        let (id, person): (i64, String) = (row.get(0)?, row.get(1)?);
        let [kind, from, to] = [row.get::<_, String>(2)?, row.get(3)?, row.get(4)?];
        Ok(Arc::from(format!(
            "absence {id} of {person} holds on no day: {kind} from {from} to {to}"
        )))
    })?;
    rows.collect()
}

fn absence(row: &Row<'_>) -> rusqlite::Result<Option<Absence>> {
    let (kind, from, to): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let (Some(kind), Ok(from), Ok(to)) = (kind_named(&kind), from.parse(), to.parse()) else {
        return Ok(None);
    };
    Ok(Some(Absence {
        id: row.get(0)?,
        person: PersonId::new(&row.get::<_, String>(1)?),
        kind,
        from,
        to,
        deputy: row.get::<_, Option<String>>(5)?.map(|p| PersonId::new(&p)),
        by: row.get::<_, String>(6)?.into(),
    }))
}

/// All kinds, with the name that files and commands use.
pub const ABSENCE_KINDS: [(AbsenceKind, &str); 4] = [
    (AbsenceKind::BusinessTrip, "business_trip"),
    (AbsenceKind::Leave, "leave"),
    (AbsenceKind::Sickness, "sickness"),
    (AbsenceKind::Other, "other"),
];

/// The kind of this name (`leave`, `business_trip`, …).
pub fn kind_named(name: &str) -> Option<AbsenceKind> {
    ABSENCE_KINDS.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
}

/// The name of a kind.
pub fn kind_name(kind: AbsenceKind) -> &'static str {
    ABSENCE_KINDS.iter().find(|(k, _)| *k == kind).map_or("other", |(_, name)| name)
}

pub(super) fn insert_absence(
    tx: &Transaction<'_>,
    actor: Actor<'_>,
    new: &NewAbsence,
) -> Result<Absence, WriteError> {
    for person in [Some(&new.person), new.deputy.as_ref()].into_iter().flatten() {
        if !person_exists(tx, person.as_str())? {
            return refused(unknown_person(tx, person.as_str())?);
        }
    }
    if new.deputy.as_ref() == Some(&new.person) {
        return refused(format!("{} cannot be their own deputy", new.person));
    }
    if new.from > new.to {
        return refused(format!("the last day {} is before the first {}", new.to, new.from));
    }
    if let Some(why) = who_leaves(tx, new)? {
        return refused(why);
    }
    let (from, to) = (new.from.to_string(), new.to.to_string());
    let text = "SELECT id FROM absences WHERE person = ?1 AND first_day <= ?3 AND last_day >= ?2";
    let other: Option<i64> =
        tx.query_row(text, (new.person.as_str(), &from, &to), |row| row.get(0)).optional()?;
    if let Some(other) = other {
        return refused(format!("{} is away on such a day already (absence {other})", new.person));
    }
    let text = "INSERT INTO absences (person, kind, first_day, last_day, deputy, named_by, named_at) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let deputy = new.deputy.as_ref().map(PersonId::as_str);
    let at = super::rows::instant_text(actor.at);
    let kind = kind_name(new.kind);
    tx.execute(text, (new.person.as_str(), kind, &from, &to, deputy, actor.by, at))?;
    let id = tx.last_insert_rowid();
    let by = deputy.map_or_else(|| "no deputy".to_owned(), |d| format!("deputy {d}"));
    let detail = format!("{id}: {} {kind} {from} to {to}, {by}", new.person);
    actor.record(tx, "absence", &detail)?;
    Ok(Absence {
        id,
        person: new.person.clone(),
        kind: new.kind,
        from: new.from,
        to: new.to,
        deputy: new.deputy.clone(),
        by: actor.by.into(),
    })
}

/// Why somebody of this absence has left the company by then: the person before its first day, or the deputy
/// before its end, who would leave the calls to nobody (clause C1).
pub(super) fn who_leaves(db: &Connection, new: &NewAbsence) -> rusqlite::Result<Option<String>> {
    let left = |person: &PersonId, by: Date| -> rusqlite::Result<Option<String>> {
        let text = "SELECT left_on FROM people WHERE id = ?1 AND left_on <= ?2";
        db.query_row(text, (person.as_str(), by.to_string()), |row| row.get(0)).optional()
    };
    if let Some(day) = left(&new.person, new.from)? {
        return Ok(Some(format!("{} left on {day}", new.person)));
    }
    let Some(deputy) = &new.deputy else { return Ok(None) };
    let day = left(deputy, new.to)?;
    Ok(day.map(|day| format!("the deputy {deputy} left on {day}: name somebody who is there (C1)")))
}

fn find_absence(
    tx: &Transaction<'_>,
    which: &WhichAbsence,
    on: Date,
) -> Result<Absence, WriteError> {
    let found = match which {
        WhichAbsence::Id(id) => {
            let text = format!("SELECT {ABSENCE_COLUMNS} FROM absences WHERE id = ?1");
            tx.query_row(&text, [id], absence).optional()?
        }
        WhichAbsence::Of(person) => {
            let text = format!(
                "SELECT {ABSENCE_COLUMNS} FROM absences WHERE person = ?1 AND last_day > ?2 \
                 ORDER BY first_day LIMIT 1"
            );
            tx.query_row(&text, (person.as_str(), on.to_string()), absence).optional()?
        }
    };
    match (found.flatten(), which) {
        (Some(absence), _) => Ok(absence),
        (None, WhichAbsence::Id(id)) => refused(format!("there is no absence {id}")),
        (None, WhichAbsence::Of(person)) => {
            refused(format!("{person} has no absence that goes on after {on}"))
        }
    }
}

pub(super) fn person_exists(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM people WHERE id = ?1")?.exists([id])
}

/// "There is no such person", with the nearest name.
pub(super) fn unknown_person(connection: &Connection, id: &str) -> rusqlite::Result<String> {
    let mut query = connection.prepare_cached("SELECT id FROM people")?;
    let ids: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let hint = super::spelling::did_you_mean(id, ids.iter().map(String::as_str));
    Ok(format!("there is no person '{id}'{hint}"))
}

fn refused<T>(why: String) -> Result<T, WriteError> {
    Err(WriteError::Refused(why))
}
