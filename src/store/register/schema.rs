//! The tables of `register.db`. Times are microseconds since 1970 (UTC); words are those of the
//! events' JSON.

use crate::store::Migration;

/// `PRAGMA application_id` of a register.
pub const APPLICATION: i32 = 0x7e1e_ca11;

/// One step for each schema version; released ones never change.
pub const STEPS: &[Migration] = &[V1, V2, V3];

const V1: Migration = r"
CREATE TABLE calls (
    call        TEXT PRIMARY KEY NOT NULL,  -- 16 hexadecimal digits
    arrived_at  INTEGER NOT NULL,
    run         INTEGER NOT NULL,           -- the server's run in which it came
    direction   TEXT,                       -- absent: its arrival was lost with a damaged line
    trunk       TEXT,
    caller      TEXT,                       -- which of our people
    from_raw    TEXT NOT NULL DEFAULT '',
    from_number TEXT,
    to_user     TEXT NOT NULL DEFAULT '',
    sip_call_id TEXT NOT NULL DEFAULT '',
    client      INTEGER,
    client_name TEXT,
    rule        TEXT,
    clause      TEXT,
    policy      TEXT,
    answered_at INTEGER,
    answered_by TEXT,
    survived    INTEGER NOT NULL DEFAULT 0, -- it went on over a restart
    ended_at    INTEGER,
    ended_by    TEXT,
    outcome     TEXT,
    status      INTEGER,
    reason      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX calls_arrived ON calls (arrived_at);
CREATE INDEX calls_from ON calls (from_number, arrived_at);
CREATE INDEX calls_client ON calls (client, arrived_at);
CREATE INDEX calls_open ON calls (call) WHERE ended_at IS NULL;

CREATE TABLE explanations (
    call TEXT PRIMARY KEY NOT NULL,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    call    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    to_whom TEXT NOT NULL,
    clause  TEXT NOT NULL,
    why     TEXT NOT NULL,
    PRIMARY KEY (call, at, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE offers (
    call          TEXT NOT NULL,
    offer         INTEGER NOT NULL,
    agent         TEXT NOT NULL,
    stands_in_for TEXT,
    step          INTEGER NOT NULL,
    phones        INTEGER NOT NULL,
    offered_at    INTEGER NOT NULL,
    rang_at       INTEGER,
    ended_at      INTEGER,
    result        TEXT,
    status        INTEGER,
    PRIMARY KEY (call, offer)
) STRICT, WITHOUT ROWID;

CREATE TABLE callbacks (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    call        TEXT NOT NULL UNIQUE,
    promised_at INTEGER NOT NULL,
    number      TEXT,
    client      INTEGER,
    client_name TEXT,
    owner       TEXT,
    why         TEXT NOT NULL DEFAULT '',
    done_at     INTEGER
) STRICT;
CREATE INDEX callbacks_open ON callbacks (promised_at) WHERE done_at IS NULL;

CREATE TABLE callback_changes (
    call   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    change TEXT NOT NULL,
    note   TEXT NOT NULL,
    by     TEXT NOT NULL,
    PRIMARY KEY (call, at, change)
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    hash        TEXT PRIMARY KEY NOT NULL,
    policy      TEXT NOT NULL,
    calendars   TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    by          TEXT NOT NULL
) STRICT;

CREATE TABLE agent_changes (
    at     INTEGER NOT NULL,
    person TEXT NOT NULL,
    change TEXT NOT NULL,
    reason TEXT,
    by     TEXT NOT NULL
) STRICT;
CREATE INDEX agent_changes_at ON agent_changes (at);

CREATE TABLE changes (
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL,
    by     TEXT NOT NULL
) STRICT;
CREATE INDEX changes_at ON changes (at);

CREATE TABLE runs (
    run        INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    version    TEXT NOT NULL
) STRICT;

-- How far each segment of the journal is projected; in the same transaction as the rows above.
CREATE TABLE positions (
    segment TEXT PRIMARY KEY NOT NULL,
    offset  INTEGER NOT NULL,
    repeats INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Lines that could not be read: what they said is missing above.
CREATE TABLE damage (
    segment TEXT NOT NULL,
    offset  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    why     TEXT NOT NULL,
    PRIMARY KEY (segment, offset)
) STRICT, WITHOUT ROWID;
";

/// What decisions rested on, so that they can be replayed.
const V2: Migration = r"
CREATE TABLE grounds (
    call TEXT PRIMARY KEY NOT NULL,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE directories (
    hash     TEXT PRIMARY KEY NOT NULL,
    json     TEXT NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT;
";

/// Why a call was offered to this one of several people.
const V3: Migration = r"
ALTER TABLE offers ADD COLUMN why TEXT;
";
