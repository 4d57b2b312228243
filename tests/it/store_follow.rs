//! The index follows the file, whoever writes it and whatever happens to it.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use telefonist::policy::IndexState;
use telefonist::store::{ClientsDb, FOLLOW_EVERY, Followed, Following, StoreError};

use crate::store_scene::{Scene, e164, foreign_client};

const ANNA: &str = "+493023125001";
const BEA: &str = "+493023125002";

#[test]
fn a_foreign_programs_change_counts_after_one_poll_and_reads_only_that_row() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    for id in 1..=500 {
        foreign_client(&crm, id, "somebody", &format!("+49302312{:04}", 4000 + id));
    }
    foreign_client(&crm, 501, "Anna", ANNA);
    let mut watched = scene.follower();
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 501 });
    let read = watched.index.status(scene.now).rows_read;

    crm.execute("UPDATE clients SET balance = 12345 WHERE id = 501", []).expect("updated");
    let changed = Followed::Changed { clients: 1, directory: false };
    assert_eq!(watched.poll(scene.now), changed);
    assert_eq!(watched.balance(ANNA), Some(12_345));
    assert_eq!(watched.index.status(scene.now).rows_read, read + 1);
    assert_eq!(watched.poll(scene.now), Followed::Unchanged);
    assert_eq!(watched.index.status(scene.now).loads, 1);
}

#[test]
fn a_balance_written_by_a_program_that_knows_no_as_of_is_fresh() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    let old = "UPDATE clients SET as_of = '2020-01-01 00:00:00'";
    crm.execute(old, []).expect("updated");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let as_of = |w: &crate::store_scene::Watched| {
        w.index.lookup(&e164(ANNA)).client.expect("Anna").as_of.to_string()
    };
    assert_eq!(as_of(&watched), "2020-01-01T00:00:00Z");
    crm.execute("UPDATE clients SET name = 'Anna B.'", []).expect("updated");
    watched.poll(scene.now);
    assert_eq!(as_of(&watched), "2020-01-01T00:00:00Z", "a name says nothing of the balance");
    crm.execute("UPDATE clients SET overdue = 0", []).expect("updated");
    watched.poll(scene.now);
    assert!(as_of(&watched).as_str() > "2025", "{}", as_of(&watched));
    crm.execute("UPDATE clients SET balance = 7, as_of = '2021-05-05T10:00:00Z'", [])
        .expect("updated");
    watched.poll(scene.now);
    assert_eq!(as_of(&watched), "2021-05-05T10:00:00Z", "who knows it is believed");
}

#[test]
fn every_kind_of_foreign_write_reaches_the_index() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    foreign_client(&crm, 2, "Bea", BEA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let mut sql = |text: &str| {
        crm.execute_batch(text).expect(text);
        assert!(matches!(watched.poll(scene.now), Followed::Changed { .. }), "{text}");
        (watched.names(ANNA), watched.names(BEA))
    };
    let both = |a: &[&str], b: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        (owned(a), owned(b))
    };
    let moved = "UPDATE client_numbers SET client = 2 WHERE client = 1";
    assert_eq!(sql(moved), both(&["Bea"], &["Bea"]));
    assert_eq!(
        sql("DELETE FROM client_numbers WHERE number = '+493023125002'"),
        both(&["Bea"], &[])
    );
    let national = "INSERT INTO client_numbers VALUES (1, '030 / 23125-002')";
    assert_eq!(sql(national), both(&["Bea"], &["Anna"]), "the company's own spelling");
    let renumbered = "BEGIN; UPDATE clients SET id = 9 WHERE id = 1; \
                      UPDATE client_numbers SET client = 9 WHERE client = 1; COMMIT";
    assert_eq!(sql(renumbered), both(&["Bea"], &["Anna"]));
    assert_eq!(sql("DELETE FROM clients WHERE id = 2"), both(&[], &["Anna"]));
    assert_eq!(sql("UPDATE clients SET code = 'X1' WHERE id = 9"), both(&[], &["Anna"]));
    let replaced = "INSERT OR REPLACE INTO clients (id, code, name, client_type) \
                    VALUES (20, 'X1', 'Cleo', 'key'); \
                    DELETE FROM client_numbers WHERE client = 9; \
                    INSERT INTO client_numbers VALUES (20, '+493023125001')";
    assert_eq!(sql(replaced), both(&["Cleo"], &[]), "REPLACE fires no delete trigger");
    assert_eq!(watched.index.client(telefonist::domain::ClientId(9)), None);
}

#[test]
fn several_clients_with_a_number_are_ordered_by_clause_a1() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    for (id, name) in
        [(1, "no order"), (2, "old order"), (3, "new order"), (4, "managed"), (5, "twin")]
    {
        foreign_client(&crm, id, name, ANNA);
    }
    let sql = "UPDATE clients SET last_order = '2025-01-01' WHERE id = 2; \
               UPDATE clients SET last_order = '2026-01-01' WHERE id IN (3, 5); \
               UPDATE clients SET manager = 'anna.berg' WHERE id = 4";
    crm.execute_batch(sql).expect("updated");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let expected = ["managed", "new order", "twin", "old order", "no order"];
    assert_eq!(watched.names(ANNA), expected);
    crm.execute("UPDATE clients SET manager = NULL", []).expect("updated");
    watched.poll(scene.now);
    assert_eq!(watched.names(ANNA)[0], "new order", "who ordered last; the older row of two");
}

#[test]
fn before_the_first_reading_and_after_stale_max_nobody_is_identified() {
    let mut scene = Scene::new();
    let mut watched = scene.follower();
    let number = e164(ANNA);
    let identify = |w: &crate::store_scene::Watched, now| w.index.identify(Some(&number), now);
    let first = identify(&watched, scene.now);
    assert!(matches!(first.index, IndexState::Unavailable { .. }), "{first:?}");
    assert!(matches!(watched.poll(scene.now), Followed::Away { .. }), "there is no file yet");

    drop(scene.db());
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    watched.poll(scene.now);
    let fresh = identify(&watched, scene.now);
    assert_eq!(fresh.index, IndexState::Fresh);
    assert_eq!(fresh.client.map(|c| c.name.to_string()), Some("Anna".into()));

    let since = scene.now;
    std::fs::rename(scene.file(), scene.folder.path().join("away")).expect("moved");
    scene.now += Duration::from_secs(14 * 60);
    let gone = watched.poll(scene.now);
    assert!(matches!(&gone, Followed::Away { why } if why.contains("clients.db")), "{gone:?}");
    let stale = identify(&watched, scene.now);
    assert_eq!(stale.index, IndexState::Stale { since });
    assert!(stale.client.is_some(), "the index goes on serving");

    scene.now += Duration::from_secs(61);
    watched.poll(scene.now);
    let late = identify(&watched, scene.now);
    let IndexState::Unavailable { why } = &late.index else { panic!("{late:?}") };
    assert!(why.contains("not read since 2026-03-02T08:00:00Z"), "{why}");
    assert_eq!(late.client, None);

    std::fs::rename(scene.folder.path().join("away"), scene.file()).expect("moved back");
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 1 });
    assert_eq!(identify(&watched, scene.now).index, IndexState::Fresh);
}

#[test]
fn a_follower_that_stands_still_is_seen_by_the_call_path() {
    let scene = Scene::new();
    let _db = scene.db();
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let later = scene.now + Duration::from_secs(30);
    assert_eq!(watched.index.state(later), IndexState::Stale { since: scene.now });
    let earlier = scene.now - Duration::from_secs(3600);
    assert_eq!(watched.index.state(earlier), IndexState::Fresh, "the clock was set back");
}

#[test]
fn a_locked_file_is_read_when_the_lock_is_gone() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    // Not WAL any more, and an exclusive lock: the worst that a CRM can do.
    drop(watched);
    drop(_db);
    crm.pragma_update(None, "journal_mode", "DELETE").expect("switched");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    assert_eq!(watched.balance(ANNA), Some(0));
    crm.execute_batch("BEGIN EXCLUSIVE; UPDATE clients SET balance = 5").expect("locked");
    let away = watched.poll(scene.now);
    assert!(matches!(&away, Followed::Away { why } if why.contains("locked")), "{away:?}");
    assert_eq!(watched.balance(ANNA), Some(0), "the index goes on serving");
    crm.execute_batch("COMMIT").expect("unlocked");
    let changed = Followed::Changed { clients: 1, directory: false };
    assert_eq!(watched.poll(scene.now), changed);
    assert_eq!(watched.balance(ANNA), Some(5));
}

#[test]
fn a_command_says_that_the_file_is_locked_or_read_only() {
    let scene = Scene::new();
    let mut db = scene.db();
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    drop(db);
    db = ClientsDb::open_read_only(&scene.file()).expect("opened");
    let error = db.serve_by_operators(scene.actor(), telefonist::domain::ClientId(1), true);
    assert!(matches!(error, Err(StoreError::ReadOnly { .. })), "{error:?}");
    assert!(error.expect_err("read-only").to_string().contains("may not be written"));
}

#[test]
fn a_damaged_file_keeps_the_index_and_says_so() {
    let scene = Scene::new();
    drop(scene.db());
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let good = std::fs::read(scene.file()).expect("read");
    std::fs::write(scene.folder.path().join("new"), vec![b'x'; 8192]).expect("written");
    std::fs::rename(scene.folder.path().join("new"), scene.file()).expect("replaced");
    let away = watched.poll(scene.now);
    assert!(matches!(&away, Followed::Away { why } if why.contains("damaged")), "{away:?}");
    assert_eq!(watched.names(ANNA), ["Anna"]);
    assert!(matches!(ClientsDb::open(&scene.file()), Err(StoreError::Broken { .. })));
    std::fs::write(scene.folder.path().join("new"), b"").expect("written");
    std::fs::rename(scene.folder.path().join("new"), scene.file()).expect("replaced");
    let away = watched.poll(scene.now);
    assert!(matches!(&away, Followed::Away { why } if why.contains("empty")), "{away:?}");
    assert_eq!(watched.names(ANNA), ["Anna"], "an empty file does not empty the index");
    std::fs::write(scene.folder.path().join("new"), good).expect("written");
    std::fs::rename(scene.folder.path().join("new"), scene.file()).expect("replaced");
    assert!(matches!(watched.poll(scene.now), Followed::Loaded { .. }));
}

#[test]
fn a_file_that_is_overwritten_while_it_is_open_is_seen_and_read_again_when_it_is_whole() {
    let scene = Scene::new();
    drop(scene.db());
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let overwrite = |bytes: &[u8]| {
        let file = std::fs::File::options().write(true).open(scene.file()).expect("there");
        file.write_all_at(bytes, 0).expect("written");
    };
    let whole = std::fs::read(scene.file()).expect("read");
    overwrite(&[0; 512]);
    for _ in 0..2 {
        let away = watched.poll(scene.now);
        assert!(matches!(&away, Followed::Away { why } if why.contains("damaged")), "{away:?}");
    }
    let status = watched.index.status(scene.now);
    assert!(matches!(status.state, IndexState::Stale { .. }), "{status:?}");
    assert!(status.problem.is_some_and(|why| why.contains("restore a backup")));
    assert_eq!(watched.names(ANNA), ["Anna"], "calls are served from the index");
    overwrite(&whole);
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 1 });
    assert_eq!(watched.index.status(scene.now).state, IndexState::Fresh);
    std::fs::File::create(scene.file()).expect("truncated");
    assert!(matches!(watched.poll(scene.now), Followed::Away { .. }));
    assert_eq!(watched.names(ANNA), ["Anna"]);
}

#[test]
fn a_file_put_in_the_place_of_another_is_read_whole() {
    let scene = Scene::new();
    drop(scene.db());
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    let copy = scene.folder.path().join("copy.db");
    scene.db().backup_to(&copy).expect("copied");
    foreign_client(&scene.foreign(), 2, "Bea", BEA);
    let mut watched = scene.follower();
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 2 });
    for rest in ["clients.db-wal", "clients.db-shm"] {
        let _ = std::fs::remove_file(scene.folder.path().join(rest));
    }
    std::fs::rename(&copy, scene.file()).expect("the backup takes the file's place");
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 1 });
    assert_eq!(watched.names(BEA), [""; 0], "who is not in the file is not in the index");
}

#[test]
fn a_newer_schema_is_refused_by_commands_and_follower() {
    let scene = Scene::new();
    drop(scene.db());
    let mut watched = scene.follower();
    watched.poll(scene.now);
    scene.foreign().pragma_update(None, "user_version", 99).expect("set");
    scene.foreign().execute_batch("CREATE TABLE of_the_future (x)").expect("created");
    let away = watched.poll(scene.now);
    assert!(matches!(&away, Followed::Away { why } if why.contains("newer program")), "{away:?}");
    assert!(matches!(ClientsDb::open(&scene.file()), Err(StoreError::TooNew { found: 99, .. })));
}

#[test]
fn changes_that_were_dropped_before_we_read_them_cost_one_full_reading() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    crm.execute_batch("UPDATE clients SET balance = 1; DELETE FROM changes").expect("written");
    assert_eq!(watched.poll(scene.now), Followed::Loaded { clients: 1 });
    assert_eq!(watched.balance(ANNA), Some(1));
    crm.execute("UPDATE clients SET balance = 2", []).expect("updated");
    assert!(matches!(watched.poll(scene.now), Followed::Changed { clients: 1, .. }));
}

#[test]
fn the_change_table_stays_bounded_while_nobody_reads_it() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    // As after very many changes; then a few more.
    crm.execute_batch("UPDATE sqlite_sequence SET seq = 10000000 WHERE name = 'changes'")
        .expect("moved on");
    crm.execute_batch("UPDATE clients SET notes = 'x'; UPDATE clients SET notes = 'y'")
        .expect("updated");
    let rows: i64 = crm.query_row("SELECT count(*) FROM changes", [], |r| r.get(0)).expect("count");
    assert_eq!(rows, 2, "all that were older than the bound are gone");
}

#[test]
fn triggers_that_a_program_dropped_are_put_back() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let rebuilt = "PRAGMA foreign_keys = OFF; CREATE TABLE clients2 AS SELECT * FROM clients; \
                   DROP TABLE clients; ALTER TABLE clients2 RENAME TO clients; \
                   UPDATE clients SET balance = 77";
    crm.execute_batch(rebuilt).expect("rebuilt");
    assert!(matches!(watched.poll(scene.now), Followed::Loaded { clients: 1 }));
    assert_eq!(watched.balance(ANNA), Some(77));
    crm.execute("UPDATE clients SET balance = 78", []).expect("updated");
    assert!(matches!(watched.poll(scene.now), Followed::Changed { clients: 1, .. }));
    assert_eq!(watched.balance(ANNA), Some(78));
}

#[test]
fn a_field_that_cannot_be_read_costs_the_field_not_the_client() {
    let scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    foreign_client(&crm, 1, "Anna", ANNA);
    let sql = "UPDATE clients SET last_order = '31.31.2026', as_of = 'lately'; \
               INSERT INTO client_numbers VALUES (1, 'ask her')";
    crm.execute_batch(sql).expect("written");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    assert_eq!(watched.names(ANNA), ["Anna"]);
    let status = watched.index.status(scene.now);
    assert_eq!(status.bad_rows, 1);
    for part in ["client 1 (Anna)", "31.31.2026", "'ask her' is no number", "lately"] {
        assert!(status.bad_rows_shown[0].contains(part), "{:?}", status.bad_rows_shown);
    }
    let good = "UPDATE clients SET last_order = '2026-01-31', as_of = '2026-02-01T00:00:00Z'; \
                DELETE FROM client_numbers WHERE number = 'ask her'";
    crm.execute_batch(good).expect("written");
    watched.poll(scene.now);
    assert_eq!(watched.index.status(scene.now).bad_rows, 0);
}

#[test]
fn people_departments_and_absences_make_new_rows_only_when_they_changed() {
    let mut scene = Scene::new();
    let _db = scene.db();
    let crm = scene.foreign();
    let mut watched = scene.follower();
    watched.poll(scene.now);
    assert_eq!(watched.directory_count(), 1, "the first reading, empty as it is");
    let sql = "INSERT INTO people (id, name, left_on) VALUES ('anna', 'Anna', '2026-03-05'); \
               INSERT INTO person_roles VALUES ('anna', 'manager'); \
               INSERT INTO departments (id, name, calendar) VALUES ('market', 'Market', 'office'); \
               INSERT INTO department_regions VALUES ('market', 'North'); \
               INSERT INTO absences (person, kind, first_day, last_day) \
               VALUES ('anna', 'leave', '2026-03-01', '2026-03-02')";
    crm.execute_batch(sql).expect("written");
    assert_eq!(watched.poll(scene.now), Followed::Changed { clients: 0, directory: true });
    let rows = watched.directory();
    assert_eq!(rows.people[0].roles.len(), 1);
    assert_eq!(rows.departments[0].regions.len(), 1);
    assert_eq!(&*rows.absences[0].by, "another program");
    foreign_client(&crm, 1, "Anna", ANNA);
    watched.poll(scene.now);
    crm.execute("UPDATE people SET name = name", []).expect("touched");
    watched.poll(scene.now);
    assert_eq!(watched.directory_count(), 2, "the same rows are no news");
    scene.now += Duration::from_secs(3 * 86_400);
    watched.poll(scene.now);
    let rows = watched.directory();
    assert!(rows.people.is_empty(), "she left today");
    assert!(rows.absences.is_empty(), "over, in every time zone");
}

#[test]
fn the_thread_polls_by_itself_and_stops_when_dropped() {
    let scene = Scene::new();
    let _db = scene.db();
    foreign_client(&scene.foreign(), 1, "Anna", ANNA);
    let watched = scene.follower();
    let (said, heard) = std::sync::mpsc::channel();
    let now = scene.now;
    let clock = move || {
        let _ = said.send(());
        now
    };
    let following = Following::begin(watched.follower, FOLLOW_EVERY, clock).expect("a thread");
    following.poll_now();
    for _ in 0..3 {
        heard.recv_timeout(Duration::from_secs(10)).expect("it polls");
    }
    assert_eq!(watched.index.lookup(&e164(ANNA)).client.map(|c| c.id.0), Some(1));
    drop(following);
    assert!(heard.try_iter().count() < 5 && heard.recv().is_err(), "the thread has gone");
}
