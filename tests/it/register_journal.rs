//! The journal: what a kill, a bad disk and a full disk leave of it, and who reads it.
// Files have an age and work takes time: this is about the shell.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use telefonist::domain::PersonId;
use telefonist::store::journal::{
    Begin, Follower, Journal, JournalError, Segment, Source, State as Holds, WriterLimits, restore,
    restore_source, server_started,
};
use telefonist::switch::{AgentChange, Event, OfferResult, Outcome, Party, What};

use crate::register_scenario::*;

fn followed(state: &State) -> Vec<Event> {
    let mut follower = Follower::new(&state.journal(), Begin::Oldest).expect("a follower");
    let lines = follower.step(usize::MAX).expect("read");
    lines.iter().map(|l| serde_json::from_str(&l.json).expect("an event")).collect()
}

#[test]
fn a_torn_tail_is_cut_at_start_and_reported() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    writer.append(&[arrived(key(2), 100)]);
    let path = state.segments()[0].path(journal.dir());
    let whole = fs::metadata(&path).expect("file").len();
    drop((journal, writer));
    File::options().write(true).open(&path).expect("file").set_len(whole - 7).expect("cut");

    let journal = Journal::open(&state.journal(), start()).expect("reopened");
    let [cut] = journal.cuts() else { panic!("{:?}", journal.cuts()) };
    assert_eq!(cut.segment, state.segments()[0].to_string());
    assert_eq!(fs::metadata(&path).expect("file").len(), cut.at);
    let torn = fs::read(path.with_extension("log.torn")).expect("set aside");
    assert_eq!(torn.len() as u64, cut.bytes);
    let restored = restore(journal.dir()).expect("restored");
    assert!(restored.state.calls.is_empty() && restored.damaged.is_empty(), "{restored:?}");
    assert_eq!(restored.lines, 13, "two markers, ten events, the shell's start");
}

#[test]
fn a_flipped_bit_costs_one_line_and_is_reported() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&[arrived(key(1), 0)]);
    let path = state.segments()[0].path(journal.dir());
    let begin = fs::metadata(&path).expect("file").len();
    writer.append(&[arrived(key(2), 1)]);
    let end = fs::metadata(&path).expect("file").len();
    writer.append(&[arrived(key(3), 2)]);
    drop((journal, writer));
    let file = File::options().read(true).write(true).open(&path).expect("file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, begin + 40).expect("read");
    file.write_all_at(&[byte[0] ^ 4], begin + 40).expect("written");

    let journal = Journal::open(&state.journal(), start()).expect("reopened");
    assert!(journal.cuts().is_empty(), "it is no tail");
    let restored = restore(journal.dir()).expect("restored");
    let calls: Vec<_> = restored.state.calls.keys().copied().collect();
    assert_eq!(calls, [key(1), key(3)]);
    let [damage] = restored.damaged.as_slice() else { panic!("{:?}", restored.damaged) };
    assert_eq!((damage.offset, damage.bytes), (begin, end - begin));
}

#[test]
fn one_server_at_a_time_has_the_journal() {
    let state = State::new();
    let (journal, _writer) = state.run(&[]);
    let second = Journal::open(&state.journal(), start());
    let Err(JournalError::InUse(path)) = second else { panic!("{second:?}") };
    assert!(path.ends_with("journal/run"));
    drop(journal);
    Journal::open(&state.journal(), start()).expect("free again");
}

#[test]
fn runs_and_keys_never_repeat_though_the_clock_goes_back() {
    let state = State::new();
    let mut journal = Journal::open(&state.journal(), start()).expect("a journal");
    let first = journal.run();
    assert_eq!(i64::from(first), start().as_second());
    let minted = journal.mint(start()).expect("minted");
    assert_eq!(minted, first + 1);
    drop(journal);
    let journal = Journal::open(&state.journal(), after(-86_400_000)).expect("a journal");
    assert_eq!(journal.run(), first + 2);
}

#[test]
fn what_holds_is_restored_and_what_ended_is_not() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    let talking = &whole_call(key(2), 10)[..9];
    writer.append(talking);
    writer.append(&[dialog(key(2), 5_000, Party::Caller, 7)]);
    writer.append(&[arrived(key(3), 20), routed(key(3), 21), offered(key(3), 22, 1, "anna.berg")]);
    writer.append(&[
        offer_ended(key(3), 23, 1, OfferResult::Refused),
        offered(key(3), 24, 2, "boris.kern"),
    ]);
    let binding = |n: u32| What::Bound {
        aor: "101".into(),
        binding: serde_json::json!({"key": "tcp 1", "cseq": n}),
    };
    writer.append(&[event(30, binding(1)), event(31, binding(2))]);
    let agent = |ms, change| {
        event(ms, What::Agent { person: "anna.berg".into(), change, by: "self".into() })
    };
    writer.append(&[
        agent(1, AgentChange::Paused { reason: "break".into() }),
        agent(2, AgentChange::Locked),
    ]);
    drop((journal, writer));

    let holds = restore(&state.journal()).expect("restored").state;
    assert_eq!(holds.calls.keys().copied().collect::<Vec<_>>(), [key(2), key(3)]);
    let talking = &holds.calls[&key(2)];
    assert_eq!(talking.answer(), Some((after(3_110), Some(&"boris.kern".into()))));
    assert_eq!(talking.dialog(Party::Caller), Some(&serde_json::json!({"local_seq": 7})));
    assert_eq!(talking.dialog(Party::Callee), Some(&serde_json::json!({"local_seq": 1})));
    let waiting = &holds.calls[&key(3)];
    assert_eq!(waiting.answer(), None);
    assert_eq!(waiting.open_offers(), [(2, PersonId::new("boris.kern"))]);
    assert_eq!(waiting.offer_results(), [(1, OfferResult::Refused)]);
    let bound = &holds.bindings[&("101".into(), "tcp 1".into())];
    assert_eq!(bound.what, binding(2));
    let anna = &holds.agents[&PersonId::new("anna.berg")];
    assert!(anna.locked && anna.paused.as_deref() == Some("break") && !anna.logged_out);
    let mut again = Holds::default();
    holds.checkpoint().iter().for_each(|e| again.apply(e));
    assert_eq!(again, holds, "a checkpoint says all of it");
    again.apply(&agent(3, AgentChange::LoggedIn));
    let anna = &again.agents[&PersonId::new("anna.berg")];
    assert!(!anna.locked && anna.paused.is_none());
}

#[test]
fn a_new_segment_begins_with_a_checkpoint_and_the_old_ones_are_not_needed() {
    let state = State::new();
    let (journal, _) = state.run(&[]);
    let limits = WriterLimits { segment_bytes_max: 20_000, ..WriterLimits::default() };
    drop(journal);
    let journal = Journal::open(&state.journal(), start()).expect("a journal").with_limits(limits);
    let mut writer = journal.writer(worker(0), start(), &[]);
    journal.writer(Source::Shell, start(), &[]).append(&[server_started(start())]);
    let mut holds = Holds::default();
    let mut rotations = 0;
    for n in 0..60 {
        let events = whole_call(key(n), i64::from(n) * 100);
        // Every tenth call stays open.
        let events = if n % 10 == 0 { &events[..9] } else { &events[..] };
        writer.append(events);
        events.iter().for_each(|e| holds.apply(e));
        if writer.wants_rotation() {
            writer.rotate(after(i64::from(n) * 100), &holds);
            rotations += 1;
        }
    }
    assert!(rotations > 3);
    let all = Segment::list(&state.journal()).expect("list");
    let before = restore(&state.journal()).expect("restored");
    assert_eq!(before.state, holds);
    assert!(before.lines < 200, "older segments are not read: {}", before.lines);
    assert_eq!(
        restore_source(journal.dir(), journal.run(), worker(0)).expect("restored").state,
        holds
    );

    // All of it can be replayed, and nothing is said twice.
    let told = followed(&state);
    let arrivals = told.iter().filter(|e| matches!(e.what, What::CallArrived { .. })).count();
    assert_eq!(arrivals, 60);

    let mut projector = state.projector();
    projector.catch_up().expect("projected");
    let pruned = projector.prune(Duration::ZERO, SystemTime::now()).expect("pruned");
    let left = Segment::list(&state.journal()).expect("list");
    assert_eq!(pruned.segments as usize, all.len() - left.len());
    assert_eq!(left.len(), 2, "the shell's and the newest: {left:?}");
    assert_eq!(restore(&state.journal()).expect("restored").state, holds);
}

#[test]
fn what_is_not_projected_or_too_young_is_not_deleted() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    writer.rotate(after(1), &Holds::default());
    let before = Segment::list(journal.dir()).expect("list");
    let mut projector = state.projector();
    let pruned = projector.prune(Duration::ZERO, SystemTime::now()).expect("pruned");
    assert_eq!((pruned.segments, pruned.held_back), (0, 1), "not projected");
    projector.catch_up().expect("projected");
    let pruned = projector.prune(Duration::from_secs(3_600), SystemTime::now()).expect("pruned");
    assert_eq!(pruned.segments, 0, "too young");
    assert_eq!(Segment::list(journal.dir()).expect("list"), before);
    let pruned = projector.prune(Duration::ZERO, SystemTime::now()).expect("pruned");
    assert_eq!(pruned.segments, 1);
}

#[test]
fn a_run_that_died_while_starting_takes_nothing_away() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0)[..9]);
    writer.append(&whole_call(key(2), 1)[..9]);
    drop((journal, writer));
    let holds = restore(&state.journal()).expect("restored").state;

    // It wrote half of its checkpoint, never `ServerStarted`, and one call ended.
    let journal = Journal::open(&state.journal(), start()).expect("a journal");
    let mut writer = journal.writer(worker(0), after(10), &holds.checkpoint());
    writer.append(&[ended(key(2), 100_000, Party::Caller, Outcome::Answered)]);
    let path = state.segments()[1].path(journal.dir());
    let text = fs::read(&path).expect("file");
    let mut lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    lines.drain(4..lines.len() - 1);
    fs::write(&path, lines.concat()).expect("written");
    drop((journal, writer));

    let mut expected = holds;
    expected.calls.remove(&key(2));
    assert_eq!(restore(&state.journal()).expect("restored").state, expected);
    let mut projector = state.projector();
    projector.catch_up().expect("projected");
    let pruned = projector.prune(Duration::ZERO, SystemTime::now()).expect("pruned");
    assert_eq!(pruned.segments, 0, "the older run is still needed");
}

#[test]
fn a_full_disk_delays_lines_and_loses_none() {
    let state = State::new();
    let dir = state.journal();
    let (mut writer, left) = Disk::writer(&dir, WriterLimits::default(), 5_000);
    let mut written = Vec::new();
    for n in 0..20 {
        let events = whole_call(key(n), i64::from(n) * 1_000);
        writer.append(&events);
        written.extend(events);
    }
    let health = writer.health();
    assert!(!writer.is_sound() && health.failing.is_some() && health.backlog_lines > 100);
    assert!(!writer.wants_rotation());

    left.store(u64::MAX, Ordering::Relaxed);
    let more = whole_call(key(20), 300_000);
    writer.append(&more);
    written.extend(more);
    writer.flush(after(400_000));
    let health = writer.health();
    assert!(writer.is_sound() && health.failing.is_none(), "{health:?}");
    assert_eq!((health.backlog_lines, health.backlog_bytes), (0, 0));
    assert_eq!(health.dropped, Default::default());
    assert_eq!(followed(&state), written);
}

#[test]
fn a_failing_disk_is_asked_again_without_new_events() {
    let state = State::new();
    let (mut writer, left) = Disk::writer(&state.journal(), WriterLimits::default(), 0);
    writer.append(&[arrived(key(1), 0)]);
    writer.flush(after(100));
    assert!(!writer.is_sound());
    left.store(u64::MAX, Ordering::Relaxed);
    writer.flush(after(1_000));
    assert!(writer.is_sound(), "{:?}", writer.health());
    assert_eq!(followed(&state), [arrived(key(1), 0)]);
}

#[test]
fn at_the_bound_explanations_go_before_records() {
    let state = State::new();
    let limits = WriterLimits { backlog_bytes_max: 50_000, ..WriterLimits::default() };
    let (mut writer, left) = Disk::writer(&state.journal(), limits, 3_000);
    for n in 0..20 {
        writer.append(&whole_call(key(n), i64::from(n) * 1_000));
        assert!(writer.health().backlog_bytes <= 50_000);
    }
    let dropped = writer.health().dropped;
    assert!(
        dropped.explanations > 0 && dropped.details == 0 && dropped.records == 0,
        "{dropped:?}"
    );
    left.store(u64::MAX, Ordering::Relaxed);
    writer.flush(after(100_000));
    let told = followed(&state);
    assert_eq!(told.len(), 200);
    let stripped = |e: &&Event| matches!(e.what, What::Routed { explanation: None, .. });
    assert_eq!(told.iter().filter(stripped).count() as u64, dropped.explanations);
}

#[test]
fn a_segment_that_cannot_be_begun_leaves_the_old_one_in_use() {
    let state = State::new();
    let limits = WriterLimits { segment_bytes_max: 1_000, ..WriterLimits::default() };
    let (mut writer, _) = Disk::writer(&state.journal(), limits, u64::MAX);
    writer.append(&whole_call(key(1), 0));
    assert!(writer.wants_rotation());
    let next = Segment { run: 1, source: worker(0), count: 1 };
    fs::create_dir(next.path(&state.journal())).expect("something in the way");
    writer.rotate(after(1), &Holds::default());
    assert_eq!(writer.health().rotations_failed, 1);
    assert!(!writer.wants_rotation(), "not again at once");
    writer.append(&[arrived(key(2), 1)]);
    fs::remove_dir(next.path(&state.journal())).expect("out of the way");
    assert_eq!(followed(&state).len(), 11);
    assert!(writer.is_sound());
}

#[test]
fn a_follower_sees_every_event_once_while_segments_come_and_go() {
    let state = State::new();
    let (journal, mut first) = state.run(&[]);
    let mut second = journal.writer(worker(1), start(), &[]);
    let mut late = Follower::new(journal.dir(), Begin::Now).expect("a follower");
    let mut early = Follower::new(journal.dir(), Begin::Oldest).expect("a follower");
    let mut told = [Vec::new(), Vec::new()];
    for n in 0..30u32 {
        let ms = i64::from(n) * 10;
        second.append(&[arrived(key(1_000 + n), ms + 5)]);
        first.append(&[arrived(key(n), ms)]);
        if n % 7 == 3 {
            let held = (0..=n).map(|n| arrived(key(n), i64::from(n) * 10));
            first.rotate(after(ms), &holding(held));
        }
        for (follower, told) in [&mut early, &mut late].into_iter().zip(&mut told) {
            told.extend(follower.step(1_000).expect("read").into_iter().map(|l| (l.at, l.source)));
        }
    }
    let [early, late] = told;
    assert_eq!(late.len(), 60);
    assert_eq!(early.len(), 61, "the start too");
    assert!(late.is_sorted(), "in the order of time: {late:?}");
    assert!(
        Follower::new(journal.dir(), Begin::At(after(150)))
            .expect("a follower")
            .step(1_000)
            .expect("read")
            .iter()
            .all(|l| l.at >= after(150))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_disk_takes_and_when_the_journal_is_whole_lines_in_order(
        grants in proptest::collection::vec(0u64..9_000, 1..30),
    ) {
        let state = State::new();
        let (mut writer, left) = Disk::writer(&state.journal(), WriterLimits::default(), 700);
        let mut written = Vec::new();
        for (n, grant) in grants.iter().enumerate() {
            let events = whole_call(key(n as u32), n as i64 * 1_000);
            writer.append(&events);
            written.extend(events);
            left.store(*grant, Ordering::Relaxed);
        }
        left.store(u64::MAX, Ordering::Relaxed);
        writer.flush(after(10_000_000));
        prop_assert!(writer.is_sound());
        prop_assert_eq!(followed(&state), written);
    }
}
