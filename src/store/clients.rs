//! Commands on clients: find, show, add, assign, attach a number (clauses A2, A3, A5, B1).
//!
//! Each change is one transaction with its audit row. Who may give it is not asked here.

use rusqlite::{OptionalExtension, Transaction};
use serde::Serialize;

use super::db::WriteError;
use super::people::{person_exists, unknown_person};
use super::rows::{CLIENT_COLUMNS, ClientReader};
use super::{Actor, ClientsDb, StoreError};
use crate::domain::{Client, ClientId, ClientType, DepartmentId, Number, NumberFormat, PersonId};

/// A client as the command line shows one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientCard {
    /// What the company's other programs call the client.
    pub code: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub client: Client,
}

/// A card to be opened (clause A5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClient {
    /// What the company's other programs call the client.
    pub code: Option<String>,
    /// As people know the client.
    pub name: String,
    /// Clause A2.
    pub client_type: ClientType,
    /// All numbers.
    pub numbers: Vec<Number>,
    /// Whom the client is assigned to.
    pub manager: Option<PersonId>,
    /// The department responsible.
    pub department: Option<DepartmentId>,
    /// Where the client is.
    pub region: Option<String>,
}

/// A number that several clients have (clause A1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedNumber {
    /// The number, as the table holds it.
    pub number: String,
    /// Its clients: row and name.
    pub clients: Vec<(ClientId, String)>,
}

/// Clients whose card names somebody or something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dangling {
    /// `manager` or `department`.
    pub what: &'static str,
    /// How many clients.
    pub clients: i64,
    /// The first of them by row: client and name.
    pub first: Vec<(String, String)>,
}

impl std::fmt::Display for SharedNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.clients.iter().map(|(_, name)| name.as_str()).collect();
        write!(f, "{}: {}", self.number, names.join(", "))
    }
}

impl ClientsDb {
    /// One client by row.
    pub fn client(
        &self,
        id: ClientId,
        numbers: &NumberFormat,
    ) -> Result<Option<ClientCard>, StoreError> {
        Ok(self.cards("c.id = ?1", &[&id.0], numbers, 1)?.pop())
    }

    /// Clients whose row, code or number is `text`, or whose name contains it (whatever the case of
    /// its letters), by row; at most `limit`.
    pub fn find_clients(
        &self,
        text: &str,
        numbers: &NumberFormat,
        limit: usize,
    ) -> Result<Vec<ClientCard>, StoreError> {
        let text = text.trim();
        let row: Option<i64> = text.parse().ok();
        let exact = "c.id = ?1 OR c.code = ?2 OR c.id IN \
                     (SELECT client FROM client_numbers WHERE number IN (?2, ?3))";
        let number = Number::parse(text, numbers).map(|n| n.to_string());
        let found = self.cards(exact, &[&row, &text, &number], numbers, limit)?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.by_name(text, numbers, limit)
    }

    /// The one client that `text` means. Refused: none, or several (they are named).
    pub fn one_client(&self, text: &str, numbers: &NumberFormat) -> Result<ClientCard, StoreError> {
        let mut found = self.find_clients(text, numbers, 6)?;
        if found.len() == 1 {
            return Ok(found.remove(0));
        }
        if found.is_empty() {
            return Err(StoreError::refused(format!("no client is called '{text}'")));
        }
        let names: Vec<_> =
            found.iter().map(|c| format!("{} {}", c.client.id.0, c.client.name)).collect();
        let names = names.join(", ");
        Err(StoreError::refused(format!("'{text}' means several clients: {names}")))
    }

    /// Every client, by row. For checks that must see all.
    pub fn for_each_client(
        &self,
        numbers: &NumberFormat,
        mut visit: impl FnMut(Client),
    ) -> Result<(), StoreError> {
        let mut reader = ClientReader::new(numbers.clone());
        let text = format!("SELECT {CLIENT_COLUMNS} FROM clients c ORDER BY c.id");
        let mut all = || -> rusqlite::Result<()> {
            let mut query = self.connection().prepare(&text)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                visit(reader.read(row)?.0);
            }
            Ok(())
        };
        all().map_err(|e| self.sql(&e))
    }

    /// How many clients there are.
    pub fn client_count(&self) -> Result<u64, StoreError> {
        let count = self.connection().query_row("SELECT count(*) FROM clients", [], |r| r.get(0));
        count.map(|n: i64| n.unsigned_abs()).map_err(|e| self.sql(&e))
    }

    /// Numbers that several clients have: clause A1 chooses among them, people should look at them.
    pub fn shared_numbers(&self) -> Result<Vec<SharedNumber>, StoreError> {
        let text = "SELECT n.number, c.id, c.name FROM client_numbers n \
                    JOIN clients c ON c.id = n.client WHERE n.number IN \
                    (SELECT number FROM client_numbers GROUP BY number HAVING count(*) > 1) \
                    ORDER BY n.number, c.id";
        let read = || -> rusqlite::Result<Vec<SharedNumber>> {
            let mut shared: Vec<SharedNumber> = Vec::new();
            let mut query = self.connection().prepare(text)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let number: String = row.get(0)?;
                let client = (ClientId(row.get(1)?), row.get(2)?);
                match shared.last_mut().filter(|s| s.number == number) {
                    Some(last) => last.clients.push(client),
                    None => shared.push(SharedNumber { number, clients: vec![client] }),
                }
            }
            Ok(shared)
        };
        read().map_err(|e| self.sql(&e))
    }

    /// Clients whose manager or department is not there, with at most `shown` of each as examples.
    pub fn dangling(&self, shown: u32) -> Result<Vec<Dangling>, StoreError> {
        let places = [("manager", "people"), ("department", "departments")];
        let found = places.map(|(what, table)| self.dangling_in(what, table, shown));
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        let mut found = found.map_err(|e| self.sql(&e))?;
        found.retain(|dangling| dangling.clients > 0);
        Ok(found)
    }

    fn dangling_in(
        &self,
        what: &'static str,
        table: &str,
        shown: u32,
    ) -> rusqlite::Result<Dangling> {
        let which = format!(
            "FROM clients c WHERE c.{what} <> '' \
             AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = c.{what})"
        );
        let count = format!("SELECT count(*) {which}");
        let clients = self.connection().query_row(&count, [], |row| row.get(0))?;
        let text = format!("SELECT c.name, c.{what} {which} ORDER BY c.id LIMIT ?1");
        let mut query = self.connection().prepare(&text)?;
        let first = query.query_map([shown], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Dangling { what, clients, first: first.collect::<Result<_, _>>()? })
    }

    /// Every type that clients have, and how many have it.
    pub fn client_types(&self) -> Result<Vec<(ClientType, i64)>, StoreError> {
        let text =
            "SELECT client_type, count(*) FROM clients GROUP BY client_type ORDER BY client_type";
        let read = || -> rusqlite::Result<Vec<(ClientType, i64)>> {
            let mut query = self.connection().prepare(text)?;
            let rows = query.query_map([], |row| {
                let name: String = row.get(0)?;
                Ok((ClientType::new(&name), row.get(1)?))
            })?;
            rows.collect()
        };
        read().map_err(|e| self.sql(&e))
    }

    /// Opens a card. Refused: no name, a type that is no name, a manager who is not there, a code that
    /// another client has.
    pub fn add_client(
        &mut self,
        actor: Actor<'_>,
        new: &NewClient,
    ) -> Result<ClientId, StoreError> {
        self.write(|tx| insert_client(tx, actor, new))
    }

    /// Assigns the client to a manager, or to nobody. Refused: an unknown client or person, one who has
    /// left.
    pub fn assign(
        &mut self,
        actor: Actor<'_>,
        id: ClientId,
        manager: Option<&PersonId>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            if let Some(manager) = manager {
                employed(tx, manager, actor)?;
            }
            let text = "UPDATE clients SET manager = ?2 WHERE id = ?1";
            changed(tx.execute(text, (id.0, manager.map(PersonId::as_str)))?, id)?;
            let to = manager.map_or("nobody", PersonId::as_str);
            Ok(actor.record(tx, "client", &format!("{} assigned to {to}", id.0))?)
        })
    }

    /// Clause A3: the head has decided that operators serve this client, or no longer.
    pub fn serve_by_operators(
        &mut self,
        actor: Actor<'_>,
        id: ClientId,
        yes: bool,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let text = "UPDATE clients SET served_by_operators = ?2 WHERE id = ?1";
            changed(tx.execute(text, (id.0, yes))?, id)?;
            let word = if yes { "served" } else { "no longer served" };
            Ok(actor.record(tx, "client", &format!("{} {word} by operators", id.0))?)
        })
    }

    /// Puts a number on the client's card (clause A5). Returns other clients who have it too.
    pub fn attach(
        &mut self,
        actor: Actor<'_>,
        id: ClientId,
        number: &Number,
    ) -> Result<Vec<ClientId>, StoreError> {
        self.write(|tx| {
            changed(usize::from(exists(tx, id)?), id)?;
            let text = "INSERT OR IGNORE INTO client_numbers (client, number) VALUES (?1, ?2)";
            if tx.execute(text, (id.0, number.as_str()))? > 0 {
                actor.record(tx, "client", &format!("{} has number {number}", id.0))?;
            }
            let text = "SELECT client FROM client_numbers WHERE number = ?1 AND client <> ?2";
            let mut query = tx.prepare(text)?;
            let others =
                query.query_map((number.as_str(), id.0), |row| row.get(0).map(ClientId))?;
            Ok(others.collect::<Result<_, _>>()?)
        })
    }

    /// Takes a number off the client's card. Refused: it is not on it.
    pub fn detach(
        &mut self,
        actor: Actor<'_>,
        id: ClientId,
        number: &Number,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let text = "DELETE FROM client_numbers WHERE client = ?1 AND number = ?2";
            if tx.execute(text, (id.0, number.as_str()))? == 0 {
                let why = format!("client {} does not have the number {number}", id.0);
                return Err(WriteError::Refused(why));
            }
            Ok(actor.record(tx, "client", &format!("{} lost number {number}", id.0))?)
        })
    }

    fn by_name(
        &self,
        part: &str,
        numbers: &NumberFormat,
        limit: usize,
    ) -> Result<Vec<ClientCard>, StoreError> {
        let part = part.to_lowercase();
        let ids = || -> rusqlite::Result<Vec<i64>> {
            let mut query =
                self.connection().prepare("SELECT id, name FROM clients ORDER BY id")?;
            let mut rows = query.query([])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                // SQLite folds the case of ASCII letters only.
                if row.get::<_, String>(1)?.to_lowercase().contains(&part) {
                    ids.push(row.get(0)?);
                    if ids.len() >= limit {
                        break;
                    }
                }
            }
            Ok(ids)
        };
        let ids = ids().map_err(|e| self.sql(&e))?;
        let cards = ids.into_iter().map(|id| self.client(ClientId(id), numbers));
        cards.filter_map(Result::transpose).collect()
    }

    fn cards(
        &self,
        condition: &str,
        values: &[&dyn rusqlite::ToSql],
        numbers: &NumberFormat,
        limit: usize,
    ) -> Result<Vec<ClientCard>, StoreError> {
        let mut reader = ClientReader::new(numbers.clone());
        let text = format!(
            "SELECT {CLIENT_COLUMNS}, c.code FROM clients c WHERE {condition} \
             ORDER BY c.id LIMIT {limit}"
        );
        let mut read = || -> rusqlite::Result<Vec<ClientCard>> {
            let mut query = self.connection().prepare(&text)?;
            let rows = query.query_map(values, |row| {
                Ok(ClientCard { client: reader.read(row)?.0, code: row.get("code")? })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.sql(&e))
    }
}

/// `key`, `own_outlet`: lower-case letters, digits, `_`; at most 40 characters.
pub(super) fn is_type_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    (1..=40).contains(&name.chars().count())
        && name.chars().all(fits)
        && name == name.to_lowercase()
}

fn insert_client(
    tx: &Transaction<'_>,
    actor: Actor<'_>,
    new: &NewClient,
) -> Result<ClientId, WriteError> {
    let refused = |why: String| Err(WriteError::Refused(why));
    let name = new.name.trim();
    if name.is_empty() {
        return refused("a client needs a name".into());
    }
    if !is_type_name(new.client_type.as_str()) {
        return refused(format!("'{}' is no client type", new.client_type.as_str()));
    }
    if let Some(manager) = &new.manager {
        employed(tx, manager, actor)?;
    }
    if let Some(code) = &new.code {
        let text = "SELECT id FROM clients WHERE code = ?1";
        let other: Option<i64> = tx.query_row(text, [code], |row| row.get(0)).optional()?;
        if let Some(other) = other {
            return refused(format!("client {other} has the code '{code}' already"));
        }
    }
    let text = "INSERT INTO clients (code, name, client_type, manager, department, region, as_of) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(
        text,
        (
            &new.code,
            name,
            new.client_type.as_str(),
            new.manager.as_ref().map(PersonId::as_str),
            new.department.as_ref().map(DepartmentId::as_str),
            &new.region,
            super::rows::instant_text(actor.at),
        ),
    )?;
    let id = ClientId(tx.last_insert_rowid());
    for number in &new.numbers {
        let text = "INSERT OR IGNORE INTO client_numbers (client, number) VALUES (?1, ?2)";
        tx.execute(text, (id.0, number.as_str()))?;
    }
    actor.record(tx, "client", &format!("{} added: {name}", id.0))?;
    Ok(id)
}

fn employed(tx: &Transaction<'_>, person: &PersonId, actor: Actor<'_>) -> Result<(), WriteError> {
    if !person_exists(tx, person.as_str())? {
        return Err(WriteError::Refused(unknown_person(tx, person.as_str())?));
    }
    let today = jiff::tz::TimeZone::UTC.to_datetime(actor.at).date().to_string();
    let text = "SELECT left_on FROM people WHERE id = ?1 AND left_on <= ?2";
    let left: Option<String> =
        tx.query_row(text, (person.as_str(), today), |row| row.get(0)).optional()?;
    match left {
        Some(day) => Err(WriteError::Refused(format!("{person} left on {day}"))),
        None => Ok(()),
    }
}

fn exists(tx: &Transaction<'_>, id: ClientId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM clients WHERE id = ?1")?.exists([id.0])
}

fn changed(rows: usize, id: ClientId) -> Result<(), WriteError> {
    match rows {
        0 => Err(WriteError::Refused(format!("there is no client {}", id.0))),
        _ => Ok(()),
    }
}
