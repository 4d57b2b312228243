//! The register: each call once, whatever is cut, locked, broken or read twice.
// Files have an age and work takes time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::fs;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rusqlite::Connection;
use telefonist::store::StoreError;
use telefonist::store::journal::{Journal, State as Holds, restore};
use telefonist::store::register::{CallFilter, Register};
use telefonist::switch::{Event, OfferResult, Outcome, Party, What};

use crate::register_scenario::*;

const OUTCOMES: [Outcome; 9] = [
    Outcome::Answered,
    Outcome::Abandoned,
    Outcome::CallbackPromised,
    Outcome::OutOfHours,
    Outcome::Overload,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::CutByRestart,
    Outcome::StarCode,
];

/// Every row of every table that tells of calls, as text.
fn everything(register: &Register) -> String {
    let db = Connection::open(register.file()).expect("a register");
    let mut out = String::new();
    for table in [
        "calls",
        "explanations",
        "steps",
        "offers",
        "callbacks",
        "callback_changes",
        "policies",
        "agent_changes",
        "changes",
    ] {
        let mut sql = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).expect("a table");
        let columns = sql.column_count();
        let mut rows = sql.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let cells: Vec<_> = (0..columns).map(|i| format!("{:?}", row.get_ref(i))).collect();
            out.push_str(&format!("{table} {}\n", cells.join(" ")));
        }
    }
    out
}

fn all(register: &Register) -> Vec<telefonist::store::register::CallRow> {
    register.calls(&CallFilter { limit: Some(1_000_000), ..CallFilter::default() }).expect("calls")
}

#[test]
fn every_outcome_gives_exactly_one_record() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    for (n, outcome) in OUTCOMES.into_iter().enumerate() {
        let call = key(n as u32);
        writer.append(&[arrived(call, 0)]);
        if outcome == Outcome::Answered {
            writer.append(&[answered(call, 2_000, "anna.berg")]);
        }
        writer.append(&[ended(call, 5_000, Party::Caller, outcome)]);
    }
    let register = state.project();
    let rows = all(&register);
    assert_eq!(rows.iter().map(|r| r.outcome).collect::<Vec<_>>(), OUTCOMES.map(Some));
    assert!(rows.iter().all(|r| r.ended_by == Some(Party::Caller) && r.from == Some(number())));
    assert_eq!((rows[0].wait_ms, rows[0].talk_ms), (Some(2_000), Some(3_000)));
    assert_eq!((rows[1].wait_ms, rows[1].talk_ms, rows[1].status), (Some(5_000), None, Some(487)));
    for outcome in OUTCOMES {
        let filter = CallFilter { outcome: Some(outcome), ..CallFilter::default() };
        assert_eq!(register.calls(&filter).expect("calls").len(), 1, "{outcome:?}");
    }
}

#[test]
fn steps_of_any_size_and_reopening_give_the_same_register() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    for n in 0..40 {
        writer.append(&whole_call(key(n), i64::from(n) * 100));
    }
    let whole = everything(&state.project());
    for lines in [1, 3, 50] {
        fs::remove_file(state.db()).expect("the register");
        let mut steps = 0;
        // Each step by a projector of its own: as if the process had died after every commit.
        while state.projector().with_lines_max(lines).step().expect("a step").more {
            steps += 1;
        }
        assert!(steps >= 400 / lines);
        assert_eq!(everything(&state.project()), whole, "{lines} lines at once");
    }
    let again = state.projector().step().expect("a step");
    assert_eq!((again.lines, again.more), (0, false));
}

#[test]
fn what_was_written_and_not_projected_before_a_kill_is_projected_after_it() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    let mut projector = state.projector();
    projector.step().expect("a step");
    writer.append(&whole_call(key(2), 100));
    writer.append(&whole_call(key(3), 200)[..5]);
    drop((projector, writer, journal));

    // The next server cuts what was not answered and says so.
    let journal = Journal::open(&state.journal(), after(60_000)).expect("a journal");
    let holds = restore(journal.dir()).expect("restored").state;
    let mut writer = journal.writer(worker(0), after(60_000), &holds.checkpoint());
    for open in holds.calls.values() {
        let call = open.call().expect("a call");
        writer.append(&[ended(call, 60_000, Party::Server, Outcome::CutByRestart)]);
    }
    let register = state.project();
    let rows = all(&register);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2].outcome, Some(Outcome::CutByRestart));
    assert!(rows.iter().all(|r| !r.survived_restart));
}

#[test]
fn a_call_that_talks_on_over_a_restart_has_one_record_that_says_so() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0)[..9]);
    drop((journal, writer));
    let holds = restore(&state.journal()).expect("restored").state;
    let (_journal, mut writer) = state.run(&holds.checkpoint());
    writer.append(&[ended(key(1), 70_000, Party::Callee, Outcome::Answered)]);
    let register = state.project();
    let rows = all(&register);
    let [call] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(call.survived_restart);
    assert_eq!(call.talk_ms, Some(66_900));
    let story = register.show(key(1)).expect("read").expect("known");
    assert_eq!((story.steps.len(), story.offers.len()), (1, 1));
    assert!(story.explanation.is_some(), "the checkpoint has none, the first line had it");
}

#[test]
fn a_checkpoint_counts_nothing_twice() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    let mut holds = Holds::default();
    let mut put = |writer: &mut telefonist::store::journal::Writer, events: &[Event]| {
        writer.append(events);
        events.iter().for_each(|e| holds.apply(e));
        holds.checkpoint()
    };
    let agent = What::Agent {
        person: "anna.berg".into(),
        change: telefonist::switch::AgentChange::LoggedOut,
        by: "self".into(),
    };
    put(&mut writer, &[event(0, agent)]);
    put(&mut writer, &[arrived(key(2), 50), promised(key(2), 60)]);
    let checkpoint = put(&mut writer, &whole_call(key(1), 0)[..7]);
    let before = everything(&state.project());
    for n in 0..3 {
        writer.rotate(after(10_000 + n), &holding(checkpoint.clone()));
        assert_eq!(everything(&state.project()), before);
    }
}

#[test]
fn a_new_register_takes_from_a_checkpoint_what_older_segments_said() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    let mut holds = Holds::default();
    let events = &whole_call(key(1), 0)[..9];
    writer.append(events);
    events.iter().for_each(|e| holds.apply(e));
    writer.rotate(after(10_000), &holds);
    state.projector().catch_up().expect("projected");
    state.projector().prune(Duration::ZERO, SystemTime::now()).expect("pruned");
    assert_eq!(state.segments().len(), 1);
    fs::remove_file(state.db()).expect("the register");

    writer.append(&[ended(key(1), 90_000, Party::Caller, Outcome::Answered)]);
    let register = state.project();
    let story = register.show(key(1)).expect("read").expect("known");
    assert_eq!(story.call.wait_ms, Some(3_100));
    assert_eq!(story.call.rule.as_deref(), Some("key client"));
    assert_eq!(story.offers[0].result, Some(OfferResult::Answered));
}

#[test]
fn a_call_whose_arrival_is_damaged_still_has_a_record() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0)[1..]);
    let register = state.project();
    let [call] = &all(&register)[..] else { panic!("one call") };
    assert_eq!((call.direction, call.outcome), (None, Some(Outcome::Answered)));
}

#[test]
fn a_damaged_line_is_noted_once_and_the_rest_goes_on() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&[arrived(key(1), 0)]);
    let path = state.segments()[0].path(journal.dir());
    let text = fs::read(&path).expect("file");
    fs::write(&path, [text.as_slice(), b"0123abcd {broken\n"].concat()).expect("written");
    writer.append(&[arrived(key(2), 1)]);
    let progress = state.projector().catch_up().expect("projected");
    assert_eq!((progress.damaged, progress.unknown), (1, 0));
    let register = state.project();
    assert_eq!(register.count().expect("counted"), 2);
    let db = Connection::open(register.file()).expect("opened");
    let noted: i64 =
        db.query_row("SELECT offset FROM damage", [], |row| row.get(0)).expect("one row");
    assert_eq!(noted as usize, text.len());
}

#[test]
fn a_line_that_is_still_being_written_waits_for_its_end() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&[arrived(key(1), 0)]);
    writer.append(&[arrived(key(2), 0)]);
    let path = state.segments()[0].path(journal.dir());
    let whole = fs::read(&path).expect("file");
    fs::write(&path, &whole[..whole.len() - 30]).expect("half");
    let mut projector = state.projector();
    projector.catch_up().expect("projected");
    assert_eq!(state.project().count().expect("counted"), 1);
    fs::write(&path, &whole).expect("whole");
    assert_eq!(projector.catch_up().expect("projected").damaged, 0);
    assert_eq!(state.project().count().expect("counted"), 2);
}

#[test]
fn a_locked_register_waits_and_misses_nothing() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    let mut projector = state.projector();
    projector.step().expect("a step");
    let other = Connection::open(state.db()).expect("another program");
    other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    writer.append(&whole_call(key(1), 0));
    let error = projector.step().expect_err("locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    other.execute_batch("ROLLBACK").expect("unlocked");
    projector.step().expect("a step");
    assert_eq!(state.project().count().expect("counted"), 1);
}

#[test]
fn a_broken_register_is_reported_and_a_new_one_is_filled_from_the_journal() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    fs::write(state.db(), "this is no database, and long enough to be looked at as one".repeat(20))
        .expect("written");
    writer.append(&whole_call(key(1), 0));
    let mut projector = state.projector();
    let error = projector.step().expect_err("broken");
    assert!(matches!(error, StoreError::BrokenRegister { .. }), "{error}");
    fs::rename(state.db(), state.folder.path().join("broken.db")).expect("moved away");
    projector.step().expect("a new one");
    assert_eq!(state.project().count().expect("counted"), 1);
}

#[test]
fn a_register_that_is_deleted_under_the_server_is_made_anew() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    let mut projector = state.projector();
    projector.catch_up().expect("projected");
    for file in fs::read_dir(state.folder.path()).expect("the folder") {
        let path = file.expect("a file").path();
        if path.is_file() {
            fs::remove_file(path).expect("deleted");
        }
    }
    writer.append(&whole_call(key(2), 100));
    projector.catch_up().expect("projected");
    assert_eq!(state.project().count().expect("counted"), 2);
}

#[test]
fn a_newer_or_foreign_register_is_left_alone() {
    let state = State::new();
    drop(Register::open(&state.db()).expect("made"));
    let db = Connection::open(state.db()).expect("opened");
    db.pragma_update(None, "user_version", 99).expect("newer");
    drop(db);
    let error = Register::open(&state.db()).expect_err("newer");
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    let error = Register::read(&state.db()).expect_err("newer");
    assert!(matches!(error, StoreError::TooNew { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Calls of two workers, cut anywhere, projected in bits, restarted: one record for each arrival
    /// that reached the disk.
    #[test]
    fn wherever_it_dies_each_arrival_has_one_record(
        rounds in proptest::collection::vec((1u32..6, 0usize..11, 0u64..400, 1u64..40), 1..5),
    ) {
        let state = State::new();
        let mut count = 0;
        for (calls, stop, torn, lines) in rounds {
            let journal = Journal::open(&state.journal(), start()).expect("a journal");
            let holds = restore(journal.dir()).expect("restored").state;
            let mut writer = journal.writer(worker(0), start(), &holds.checkpoint());
            for open in holds.calls.values().filter(|c| c.answered.is_none()) {
                let call = open.call().expect("a call");
                writer.append(&[ended(call, 100_000, Party::Server, Outcome::CutByRestart)]);
            }
            let mut other = journal.writer(worker(1), start(), &[]);
            for _ in 0..calls {
                count += 1;
                let events = whole_call(key(count), i64::from(count) * 10);
                let writer = if count % 2 == 0 { &mut writer } else { &mut other };
                writer.append(&events[..stop.min(events.len())]);
            }
            let _ = state.projector().with_lines_max(lines).step().expect("a step");
            drop((writer, other));
            let path = state.segments().last().expect("a segment").path(journal.dir());
            drop(journal);
            let file = fs::File::options().write(true).open(path).expect("file");
            let len = file.metadata().expect("its size").len();
            // What the projector read is on the disk for sure: a kill takes no written line away.
            // So only the unread rest may be cut.
            let read = position(&state);
            file.set_len(len.saturating_sub(torn).max(read)).expect("cut");
        }
        let journal = Journal::open(&state.journal(), start()).expect("a journal");
        let arrivals = arrivals(&state);
        let open = restore(journal.dir()).expect("restored").state.calls.len();
        let register = state.project();
        let rows = all(&register);
        let mut keys: Vec<_> = rows.iter().map(|r| r.call).collect();
        keys.sort();
        prop_assert_eq!(keys, arrivals);
        prop_assert_eq!(rows.iter().filter(|r| r.outcome.is_none()).count(), open);
    }
}

/// How much of the newest segment of worker 0 is projected, bytes.
fn position(state: &State) -> u64 {
    let segment = state.segments().last().expect("a segment").to_string();
    let db = Connection::open(state.db()).expect("a register");
    let read = db.query_row("SELECT offset FROM positions WHERE segment = ?1", [segment], |row| {
        row.get::<_, i64>(0)
    });
    read.map_or(0, |offset| offset as u64)
}

/// The calls whose arrival the journal has, in order.
fn arrivals(state: &State) -> Vec<telefonist::domain::CallKey> {
    use telefonist::store::journal::{Begin, Follower};
    let mut follower = Follower::new(&state.journal(), Begin::Oldest).expect("a follower");
    let told = follower.step(usize::MAX).expect("read");
    let mut calls: Vec<_> = told
        .iter()
        .filter_map(|l| serde_json::from_str::<Event>(&l.json).ok())
        .filter(|e| matches!(e.what, What::CallArrived { .. }))
        .filter_map(|e| e.what.call())
        .collect();
    calls.sort();
    calls.dedup();
    calls
}
