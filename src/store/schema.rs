//! The tables of `clients.db`: a CRM may read and write all of them but `changes` and `audit`.
//!
//! - Amounts are whole numbers in the smallest unit of the currency; days are `YYYY-MM-DD`.
//! - `changes` is filled by triggers, so that other programs' writes are seen too. It holds the last
//!   [`CHANGES_MAX`] changes: a trigger drops older ones, so it is bounded even while nobody reads; who
//!   has missed some reads everything once.
//! - `client_numbers.client` is no foreign key: a program that writes by REPLACE must not be stopped by
//!   the numbers of the row it replaces. A number without a client is found by nobody, and ids are never
//!   used twice.
//! - `as_of` says how fresh a client's balance is. A program that writes balances and does not know the
//!   column gets it set by a trigger.

use rusqlite::Connection;

use super::Migration;

/// `PRAGMA application_id` of `clients.db`.
pub const APPLICATION: i32 = 0x7e1e_c11e;

/// Changes that a follower may be behind before it reads everything again.
pub const CHANGES_MAX: i64 = 200_000;

/// All steps from an empty file to today's schema.
pub const STEPS: &[Migration] = &[V1, V2];

const V1: Migration = r"
CREATE TABLE clients (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    code                TEXT UNIQUE CHECK (code <> ''),
    name                TEXT NOT NULL,
    client_type         TEXT NOT NULL,
    vip                 TEXT NOT NULL DEFAULT 'none' CHECK (vip IN ('none', 'local', 'branch')),
    vip_pending         INTEGER NOT NULL DEFAULT 0 CHECK (vip_pending IN (0, 1)),
    manager             TEXT,
    department          TEXT,
    region              TEXT,
    balance             INTEGER NOT NULL DEFAULT 0,
    credit_limit        INTEGER,
    overdue             INTEGER NOT NULL DEFAULT 0,
    overdue_since       TEXT,
    last_order          TEXT,
    served_by_operators INTEGER NOT NULL DEFAULT 0 CHECK (served_by_operators IN (0, 1)),
    notes               TEXT NOT NULL DEFAULT '',
    as_of               TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX clients_by_name ON clients (name);

CREATE TABLE client_numbers (
    client INTEGER NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (client, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_numbers_by_number ON client_numbers (number);

CREATE TABLE people (
    id         TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
    name       TEXT NOT NULL,
    department TEXT,
    sip_user   TEXT UNIQUE CHECK (sip_user <> ''),
    supervisor TEXT,
    email      TEXT,
    ha1_realm  TEXT,
    ha1_md5    TEXT,
    ha1_sha256 TEXT,
    left_on    TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE person_roles (
    person TEXT NOT NULL,
    role   TEXT NOT NULL CHECK (role <> ''),
    PRIMARY KEY (person, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE departments (
    id          TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
    name        TEXT NOT NULL,
    head        TEXT,
    deputy_head TEXT,
    calendar    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE department_regions (
    department TEXT NOT NULL,
    region     TEXT NOT NULL CHECK (region <> ''),
    PRIMARY KEY (department, region)
) STRICT, WITHOUT ROWID;

CREATE TABLE absences (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    person    TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('business_trip', 'leave', 'sickness', 'other')),
    first_day TEXT NOT NULL,
    last_day  TEXT NOT NULL CHECK (last_day >= first_day),
    deputy    TEXT,
    named_by  TEXT NOT NULL DEFAULT 'another program',
    named_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     TEXT NOT NULL,
    by     TEXT NOT NULL,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE changes (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    client INTEGER            -- NULL: people, departments or absences
) STRICT;
";

/// Skill levels. A table of its own: programs write rows of `person_roles` without naming columns.
const V2: Migration = r"
CREATE TABLE person_levels (
    person TEXT NOT NULL,
    role   TEXT NOT NULL CHECK (role <> ''),
    level  INTEGER NOT NULL CHECK (level BETWEEN 1 AND 100),
    PRIMARY KEY (person, role)
) STRICT, WITHOUT ROWID;
";

/// Every trigger, by name. Created with the schema, and again at each opening if one is missing: a
/// program that rebuilds a table drops its triggers.
pub fn triggers() -> Vec<(String, String)> {
    let mut all = vec![
        bound_of_changes(),
        client_replaced("insert", "BEFORE INSERT ON clients"),
        client_replaced("update", "BEFORE UPDATE OF code ON clients"),
        logged("client_new", "AFTER INSERT ON clients", "NEW.id"),
        logged("client_changed", "AFTER UPDATE ON clients", "NEW.id"),
        logged("client_renumbered", "AFTER UPDATE OF id ON clients", "OLD.id"),
        client_gone(),
        logged("number_new", "AFTER INSERT ON client_numbers", "NEW.client"),
        logged("number_changed", "AFTER UPDATE ON client_numbers", "NEW.client"),
        logged("number_moved", "AFTER UPDATE OF client ON client_numbers", "OLD.client"),
        logged("number_gone", "AFTER DELETE ON client_numbers", "OLD.client"),
        balance_touched(),
        password_of_another_user(),
    ];
    for table in
        ["people", "person_roles", "person_levels", "departments", "department_regions", "absences"]
    {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let name = format!("{table}_{}", event.to_lowercase());
            all.push(logged(&name, &format!("AFTER {event} ON {table}"), "NULL"));
        }
    }
    all
}

/// Creates the triggers that are missing.
pub fn ensure_triggers(connection: &Connection) -> rusqlite::Result<()> {
    if has_all_triggers(connection)? {
        return Ok(());
    }
    let tx = connection.unchecked_transaction()?;
    for (_, sql) in triggers() {
        tx.execute_batch(&sql)?;
    }
    tx.commit()
}

/// Nobody has dropped a trigger: the change table tells everything.
pub fn has_all_triggers(connection: &Connection) -> rusqlite::Result<bool> {
    let mut there = connection.prepare_cached(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = ?1",
    )?;
    for (name, _) in triggers() {
        if there.query_row([name], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn trigger(name: &str, event: &str, body: &str) -> (String, String) {
    let name = format!("telefonist_{name}");
    let sql = format!("CREATE TRIGGER IF NOT EXISTS {name} {event} BEGIN {body}; END;");
    (name, sql)
}

fn logged(name: &str, event: &str, client: &str) -> (String, String) {
    trigger(name, event, &format!("INSERT INTO changes (client) VALUES ({client})"))
}

fn bound_of_changes() -> (String, String) {
    let body = format!("DELETE FROM changes WHERE seq <= NEW.seq - {CHANGES_MAX}");
    trigger("changes_bound", "AFTER INSERT ON changes", &body)
}

// REPLACE deletes the row that is in its way without firing a delete trigger.
fn client_replaced(name: &str, event: &str) -> (String, String) {
    let body = "INSERT INTO changes (client) SELECT id FROM clients WHERE code = NEW.code";
    trigger(&format!("client_replaced_by_{name}"), event, body)
}

fn client_gone() -> (String, String) {
    let body = "INSERT INTO changes (client) VALUES (OLD.id); \
                DELETE FROM client_numbers WHERE client = OLD.id";
    trigger("client_gone", "AFTER DELETE ON clients", body)
}

fn balance_touched() -> (String, String) {
    let event = "AFTER UPDATE OF balance, credit_limit, overdue, overdue_since ON clients \
                 WHEN NEW.as_of IS OLD.as_of";
    let body = "UPDATE clients SET as_of = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
                WHERE id = NEW.id";
    trigger("balance_touched", event, body)
}

// HA1 contains the user: under another one it only says "wrong password".
fn password_of_another_user() -> (String, String) {
    let event = "AFTER UPDATE OF sip_user ON people \
                 WHEN NEW.sip_user IS NOT OLD.sip_user AND NEW.ha1_md5 IS OLD.ha1_md5";
    let body = "UPDATE people SET ha1_realm = NULL, ha1_md5 = NULL, ha1_sha256 = NULL \
                WHERE id = NEW.id";
    trigger("password_of_another_user", event, body)
}
