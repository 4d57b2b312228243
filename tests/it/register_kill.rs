//! `kill -9`, really: a process that writes calls and projects them is killed at any moment, again and
//! again. What it said was written is in the register, once.
// Files have an age and work takes time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use telefonist::domain::{CallKey, ShardId};
use telefonist::store::journal::{
    Journal, Source, State as Holds, WriterLimits, restore, server_started,
};
use telefonist::store::register::{CallFilter, Projector, Register};
use telefonist::switch::{Event, Outcome, Party};

use crate::register_scenario::*;

/// Where the victim works; without it the victim's test does nothing.
const FOLDER: &str = "TELEFONIST_TEST_VICTIM";
const KILLS: usize = 8;

/// The process that is killed: writes calls for ever, says which it wrote, projects as it goes.
#[test]
fn the_victim_of_the_kill() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let limits = WriterLimits { segment_bytes_max: 50_000, ..WriterLimits::default() };
    let dir = folder.join("journal");
    let journal = Journal::open(&dir, start()).expect("a journal").with_limits(limits);
    let mut holds = restore(&dir).expect("restored").state;
    let mut writer = journal.writer(worker(0), start(), &holds.checkpoint());
    let mut shell = journal.writer(Source::Shell, start(), &[]);
    shell.append(&[server_started(start())]);
    let mut append = |holds: &mut Holds, events: &[Event]| {
        writer.append(events);
        events.iter().for_each(|e| holds.apply(e));
        if writer.wants_rotation() {
            writer.rotate(start(), holds);
        }
    };
    for call in holds.calls.keys().copied().collect::<Vec<_>>() {
        let end = ended(call, 200_000, Party::Server, Outcome::CutByRestart);
        append(&mut holds, &[end]);
    }
    let mut projector = Projector::new(&folder.join("register.db"), &dir).with_lines_max(40);
    for n in 0.. {
        let call = CallKey::new(journal.run(), ShardId(0), n);
        for turn in whole_call(call, i64::from(n)).chunks(3) {
            append(&mut holds, turn);
            println!("{} {call}", turn.len());
        }
        std::io::stdout().flush().expect("told");
        projector.step().expect("projected");
        if n % 16 == 0 {
            let now = std::time::SystemTime::now();
            projector.prune(std::time::Duration::ZERO, now).expect("pruned");
        }
    }
}

fn victim(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "register_kill::the_victim_of_the_kill", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

#[test]
fn after_kill_9_no_call_that_arrived_is_missing_or_doubled() {
    let state = State::new();
    let mut said = BTreeSet::new();
    for kill in 0..KILLS {
        let mut child = victim(state.folder.path());
        let out = child.stdout.take().expect("piped");
        let call = |line: String| CallKey::parse(line.rsplit(' ').next()?);
        // At another line each time, so that another thing is cut.
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        said.extend(lines.take(37 + 61 * kill).filter_map(call));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    assert!(said.len() > 200, "{}", said.len());

    let dir = state.journal();
    let _journal = Journal::open(&dir, start()).expect("a journal");
    let open: BTreeSet<_> = restore(&dir).expect("restored").state.calls.into_keys().collect();
    Projector::new(&state.db(), &dir).catch_up().expect("projected");
    let register = Register::read(&state.db()).expect("a register");
    let filter = CallFilter { limit: Some(1_000_000), ..CallFilter::default() };
    let calls = register.calls(&filter).expect("calls");
    let known: BTreeSet<_> = calls.iter().map(|c| c.call).collect();
    assert_eq!(known.len(), calls.len());
    assert!(said.is_subset(&known), "missing: {:?}", said.difference(&known).collect::<Vec<_>>());
    let cut = calls.iter().filter(|c| c.outcome == Some(Outcome::CutByRestart)).count();
    assert!(cut <= KILLS && open.len() <= 1, "one call at most is up at a kill: {cut}");
    for call in &calls {
        match call.outcome {
            None => assert!(open.contains(&call.call)),
            Some(outcome) => {
                assert!(matches!(outcome, Outcome::Answered | Outcome::CutByRestart), "{call:?}");
            }
        }
    }
}
