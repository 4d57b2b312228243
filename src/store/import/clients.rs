//! Rows of clients: keyed by `code`, or by `name` where a row has no code.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::columns::{Cells, Column, Header};
use super::departments::{exists as department_exists, unknown_department};
use super::{ImportOptions, Notes, Table, Written, fields, noted};
use crate::domain::Number;
use crate::store::clients::is_type_name;
use crate::store::db::WriteError;
use crate::store::did_you_mean;
use crate::store::people::{person_exists, unknown_person};
use crate::store::rows::{instant_text, vip_named};

/// Columns of a file of clients.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("code", &["client code", "customer number", "kundennummer", "код", "код клиента"]),
    Column::new("name", &["client", "company", "customer", "kunde", "firma", "название", "клиент"]),
    Column::new("type", &["client type", "kind", "typ", "тип", "тип клиента"]),
    Column::repeating(
        "numbers",
        &["number", "phone", "phones", "telephone", "tel", "telefon", "телефон", "телефоны"],
    ),
    Column::new("vip", &["vip level"]),
    Column::new("vip_pending", &[]),
    Column::new("manager", &["assigned to", "betreuer", "менеджер"]),
    Column::new("department", &["dept", "abteilung", "отдел"]),
    Column::new("region", &["gebiet", "регион"]),
    Column::new("balance", &["saldo", "баланс", "задолженность"]),
    Column::new("credit_limit", &["limit", "kreditlimit", "кредитный лимит", "лимит"]),
    Column::new("overdue", &["overdue amount", "überfällig", "просрочено", "просрочка"]),
    Column::new("overdue_since", &["overdue from", "überfällig seit", "просрочено с"]),
    Column::new("last_order", &["last order date", "letzte bestellung", "последний заказ"]),
    Column::new("served_by_operators", &["operators"]),
    Column::new("notes", &["note", "comment", "remark", "notiz", "примечание", "комментарий"]),
    Column::new("as_of", &["balance date", "stand", "на дату"]),
];

/// A balance without a date of its own is as of the import.
const BALANCES: [&str; 4] = ["balance", "credit_limit", "overdue", "overdue_since"];

/// Shared numbers that a dry run lists.
const SHARED_MAX: usize = 1_000;

/// One parsed row.
pub(super) struct ClientRow {
    key: Key,
    client_type: Option<String>,
    manager: Option<String>,
    department: Option<String>,
    /// In the order of `ClientRows::columns`.
    values: Vec<Value>,
    numbers: Option<Vec<Number>>,
}

/// What the row names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Code(String),
    Name(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code '{code}'"),
            Self::Name(name) => write!(f, "name '{name}'"),
        }
    }
}

/// The file.
pub(super) struct ClientRows {
    /// Columns of the table that the file sets, other than the numbers.
    columns: Vec<&'static str>,
    has_name: bool,
    insert: String,
    update: String,
    keys: HashMap<Key, u64>,
    numbers: HashMap<Number, u64>,
    managers: HashSet<String>,
    departments: HashSet<String>,
    /// Those of clients in the database, once they have been asked for.
    types: Option<BTreeSet<String>>,
    shared: BTreeMap<Number, Vec<String>>,
}

impl Table for ClientRows {
    type Row = ClientRow;

    fn new(header: &Header) -> Self {
        let own = COLUMNS.iter().map(|c| c.name).filter(|name| *name != "numbers");
        let mut columns: Vec<_> = own.filter(|name| header.has(name)).collect();
        // The time of the import is written, and is no change of what the file says.
        let now = !columns.contains(&"as_of") && BALANCES.iter().any(|name| header.has(name));
        let told = columns.len();
        if now {
            columns.push("as_of");
        }
        let names: Vec<_> = columns.iter().map(|name| column(name)).collect();
        let places: Vec<_> = (1..=names.len()).map(|i| format!("?{i}")).collect();
        let set: Vec<_> = names.iter().zip(&places).map(|(n, p)| format!("{n} = {p}")).collect();
        let differs: Vec<_> =
            names.iter().zip(&places).take(told).map(|(n, p)| format!("{n} IS NOT {p}")).collect();
        let id = names.len() + 1;
        Self {
            insert: format!(
                "INSERT INTO clients ({}) VALUES ({})",
                names.join(", "),
                places.join(", ")
            ),
            update: format!(
                "UPDATE clients SET {} WHERE id = ?{id} AND ({})",
                set.join(", "),
                differs.join(" OR ")
            ),
            has_name: header.has("name"),
            columns,
            keys: HashMap::new(),
            numbers: HashMap::new(),
            managers: HashSet::new(),
            departments: HashSet::new(),
            types: None,
            shared: BTreeMap::new(),
        }
    }

    fn parse(
        &self,
        cells: &Cells<'_>,
        options: &ImportOptions<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<ClientRow> {
        let key = match (cells.text("code"), cells.text("name")) {
            (Some(code), _) => Some(Key::Code(code.to_owned())),
            (None, Some(name)) => Some(Key::Name(name.to_owned())),
            (None, None) => None,
        };
        match &key {
            None => wrong.push("neither code nor name".into()),
            Some(_) if self.has_name && cells.text("name").is_none() => {
                wrong.push("name is empty".into());
            }
            Some(_) => {}
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            match value(name, cells, options) {
                Ok(value) => values.push(value),
                Err(why) => {
                    wrong.push(format!("{name}: {why}"));
                    values.push(Value::Null);
                }
            }
        }
        let owes = cells.text("overdue").is_some_and(|t| fields::amount(t).is_ok_and(|m| m.0 > 0));
        let is_amount = cells.cell("overdue").is_some_and(|text| fields::debt(text).is_ok());
        if cells.text("overdue_since").is_some() && is_amount && !owes {
            wrong.push("overdue_since is set, but nothing is overdue".into());
        }
        let numbers = read_numbers(cells, options, wrong);
        let client_type = cells.text("type").map(fields::type_name);
        let manager = cells.text("manager").map(str::to_owned);
        let department = cells.text("department").map(str::to_owned);
        Some(ClientRow { key: key?, client_type, manager, department, values, numbers })
    }

    fn check(
        &mut self,
        line: u64,
        row: &ClientRow,
        db: &Connection,
        notes: &mut Notes,
        wrong: &mut Vec<String>,
    ) -> Result<(), WriteError> {
        match self.keys.get(&row.key) {
            Some(first) => wrong.push(format!("{} was in line {first} already", row.key)),
            None if wrong.is_empty() => {
                self.keys.insert(row.key.clone(), line);
            }
            None => {}
        }
        let found = noted(find(db, &row.key), wrong)?;
        let id = found.flatten();
        // An empty cell has been told.
        let lacks = !self.has_name || !self.columns.contains(&"type");
        if found == Some(None) && lacks {
            wrong.push(format!("{} is new, and a new client needs name and type", row.key));
        }
        if !wrong.is_empty() {
            return Ok(());
        }
        self.note_names(line, row, db, notes)?;
        for number in row.numbers.iter().flatten() {
            self.note_shared(line, number, id, db)?;
        }
        Ok(())
    }

    fn write(
        &self,
        row: &ClientRow,
        tx: &Transaction<'_>,
        _options: &ImportOptions<'_>,
    ) -> Result<Written, WriteError> {
        let (id, written) = match find(tx, &row.key)? {
            Some(id) => {
                let values = row.values.iter().cloned().chain([Value::Integer(id)]);
                let values = rusqlite::params_from_iter(values);
                let changed = tx.prepare_cached(&self.update)?.execute(values)?;
                self.keep_as_of(row, tx, id)?;
                (id, if changed > 0 { Written::Changed } else { Written::Nothing })
            }
            None => {
                let values = rusqlite::params_from_iter(row.values.iter());
                tx.prepare_cached(&self.insert)?.execute(values)?;
                (tx.last_insert_rowid(), Written::Added)
            }
        };
        match (&row.numbers, written) {
            (None, _) => Ok(written),
            (Some(numbers), Written::Added) => {
                put_numbers(tx, id, numbers)?;
                Ok(written)
            }
            (Some(numbers), _) if renumber(tx, id, numbers)? => Ok(Written::Changed),
            _ => Ok(written),
        }
    }

    fn shared(&self) -> Vec<String> {
        let lines = self.shared.iter();
        lines.map(|(number, who)| format!("{number}: {}", who.join(", "))).collect()
    }
}

impl ClientRows {
    /// The trigger for programs that know no `as_of` takes one that stays the same for forgotten.
    fn keep_as_of(&self, row: &ClientRow, tx: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
        let place = self.columns.iter().position(|name| *name == "as_of");
        if let Some(as_of) = place.map(|place| &row.values[place]) {
            let text = "UPDATE clients SET as_of = ?2 WHERE id = ?1 AND as_of IS NOT ?2";
            tx.prepare_cached(text)?.execute((id, as_of))?;
        }
        Ok(())
    }

    /// Names that nobody and nothing has: no reason to refuse the row, and a person should know.
    fn note_names(
        &mut self,
        line: u64,
        row: &ClientRow,
        db: &Connection,
        notes: &mut Notes,
    ) -> rusqlite::Result<()> {
        if let Some(manager) = row.manager.as_ref().filter(|m| !self.managers.contains(*m)) {
            match person_exists(db, manager)? {
                true => {
                    self.managers.insert(manager.clone());
                }
                false => notes.add(line, format!("manager: {}", unknown_person(db, manager)?)),
            }
        }
        let department = row.department.as_ref().filter(|d| !self.departments.contains(*d));
        if let Some(department) = department {
            match department_exists(db, department)? {
                true => {
                    self.departments.insert(department.clone());
                }
                false => {
                    let why = unknown_department(db, department)?;
                    notes.add(line, format!("department: {why}"));
                }
            }
        }
        let Some(client_type) = &row.client_type else { return Ok(()) };
        let known = match &mut self.types {
            Some(known) => known,
            unread => unread.insert(types_in_use(db)?),
        };
        // The first file of all says what types there are.
        if !known.is_empty() && !known.contains(client_type) {
            let hint = did_you_mean(client_type, known.iter().map(String::as_str));
            notes.add(line, format!("type: no client is of type '{client_type}' so far{hint}"));
        }
        Ok(())
    }

    fn note_shared(
        &mut self,
        line: u64,
        number: &Number,
        own: Option<i64>,
        db: &Connection,
    ) -> rusqlite::Result<()> {
        if self.shared.len() >= SHARED_MAX && !self.shared.contains_key(number) {
            return Ok(());
        }
        let mut others = Vec::new();
        match self.numbers.get(number) {
            Some(first) => others.push(format!("line {first}")),
            None => {
                self.numbers.insert(number.clone(), line);
                let text = "SELECT c.name FROM client_numbers n JOIN clients c ON c.id = n.client \
                            WHERE n.number = ?1 AND n.client IS NOT ?2";
                let mut query = db.prepare_cached(text)?;
                let names = query.query_map((number.as_str(), own), |row| row.get(0))?;
                for name in names {
                    others.push(name?);
                }
            }
        }
        if !others.is_empty() {
            let who = self.shared.entry(number.clone()).or_default();
            who.extend(others);
            who.push(format!("line {line}"));
            who.dedup();
        }
        Ok(())
    }
}

fn types_in_use(db: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut query = db.prepare_cached("SELECT DISTINCT client_type FROM clients")?;
    query.query_map([], |row| row.get(0))?.collect()
}

fn column(name: &'static str) -> &'static str {
    if name == "type" { "client_type" } else { name }
}

fn value(name: &str, cells: &Cells<'_>, options: &ImportOptions<'_>) -> Result<Value, String> {
    let cell = cells.cell(name).unwrap_or_default();
    let optional = |text: String| if cell.is_empty() { Value::Null } else { Value::Text(text) };
    Ok(match name {
        "type" => {
            let name = fields::type_name(cell);
            if !is_type_name(&name) {
                return Err(format!("'{cell}' is no type such as key, marketer, own_outlet"));
            }
            Value::Text(name)
        }
        "vip" => {
            let level = if cell.is_empty() { "none".into() } else { cell.to_lowercase() };
            let known = vip_named(&level);
            let known = known.ok_or_else(|| format!("'{cell}' is not none, local or branch"))?;
            Value::Text(known.as_str().into())
        }
        "vip_pending" | "served_by_operators" => Value::Integer(fields::flag(cell)?.into()),
        "balance" => Value::Integer(fields::amount(cell)?.0),
        "overdue" => Value::Integer(fields::debt(cell)?.0),
        "credit_limit" if cell.is_empty() => Value::Null,
        "credit_limit" => Value::Integer(fields::debt(cell)?.0),
        "last_order" if !cell.is_empty() => match fields::day(cell, options.today)? {
            day if day > options.today => return Err(format!("'{cell}' is yet to come")),
            day => Value::Text(day.to_string()),
        },
        "overdue_since" if !cell.is_empty() => {
            Value::Text(fields::day(cell, options.today)?.to_string())
        }
        "manager" | "department" if !cell.is_empty() => Value::Text(fields::short_name(cell)?),
        "as_of" if cell.is_empty() => Value::Text(instant_text(options.actor.at)),
        "as_of" => Value::Text(instant_text(fields::time(cell, options.today)?)),
        "notes" => Value::Text(cell.to_owned()),
        _ => optional(cell.to_owned()),
    })
}

/// `None`: the file has no such column, so that numbers stay as they are.
fn read_numbers(
    cells: &Cells<'_>,
    options: &ImportOptions<'_>,
    wrong: &mut Vec<String>,
) -> Option<Vec<Number>> {
    let mut found: Option<Vec<Number>> = None;
    for cell in cells.all("numbers") {
        let found = found.get_or_insert_default();
        for number in fields::numbers(cell, options.numbers) {
            match number {
                Ok(number) => found.push(number),
                Err(why) => wrong.push(why),
            }
        }
    }
    if let Some(numbers) = &mut found {
        numbers.sort();
        numbers.dedup();
    }
    found
}

fn find(db: &Connection, key: &Key) -> Result<Option<i64>, WriteError> {
    match key {
        Key::Code(code) => {
            let mut query = db.prepare_cached("SELECT id FROM clients WHERE code = ?1")?;
            Ok(query.query_row([code], |row| row.get(0)).optional()?)
        }
        Key::Name(name) => {
            let text = "SELECT id FROM clients WHERE name = ?1 AND code IS NULL LIMIT 2";
            let mut query = db.prepare_cached(text)?;
            let ids = query.query_map([name], |row| row.get(0))?;
            let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
            match ids.as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(*one)),
                _ => Err(WriteError::Refused(format!(
                    "several clients are called '{name}': give them codes"
                ))),
            }
        }
    }
}

fn put_numbers(tx: &Transaction<'_>, id: i64, numbers: &[Number]) -> rusqlite::Result<()> {
    let text = "INSERT INTO client_numbers (client, number) VALUES (?1, ?2)";
    let mut insert = tx.prepare_cached(text)?;
    for number in numbers {
        insert.execute((id, number.as_str()))?;
    }
    Ok(())
}

/// Makes the client's numbers these; says whether they were others.
fn renumber(tx: &Transaction<'_>, id: i64, numbers: &[Number]) -> rusqlite::Result<bool> {
    let text = "SELECT number FROM client_numbers WHERE client = ?1 ORDER BY number";
    let mut query = tx.prepare_cached(text)?;
    let known: Vec<String> = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if known.iter().map(String::as_str).eq(numbers.iter().map(Number::as_str)) {
        return Ok(false);
    }
    tx.prepare_cached("DELETE FROM client_numbers WHERE client = ?1")?.execute([id])?;
    put_numbers(tx, id, numbers)?;
    Ok(true)
}
