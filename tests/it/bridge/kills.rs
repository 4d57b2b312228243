//! `kill -9` after every line of a call's journal, and in the middle of lines; then another kill.

use std::fs;

use telefonist::acd::AgentState;
use telefonist::domain::ClientId;
use telefonist::sip::{Message, Method};
use telefonist::store::journal::{Journal, Source, State, restore};
use telefonist::switch::{ClientRef, Command, Event, Outcome, Party, What};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{OLE, ended, secs, world};

/// A whole call: it rings, is answered, held, ends. What was journalled, and the dialog's two ends.
struct Story {
    events: Vec<Event>,
    ok: Message,
    offered: Message,
}

fn told(w: &World) -> Vec<Event> {
    let at = "2026-03-03T10:00:00Z".parse().expect("a time");
    w.events.iter().map(|what| Event { at, what: what.clone() }).collect()
}

fn story(body: &str) -> Story {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", body);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.reply(OLE, &offered, 200, if body.is_empty() { OFFER } else { ANSWER });
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, if body.is_empty() { ANSWER } else { "" });
    w.request(OLE, Method::Ack);
    w.in_dialog(&ok, Method::Invite, 2, &OFFER.replace("t=0 0", "t=0 0\r\na=sendonly"));
    let hold = w.request(OLE, Method::Invite);
    w.reply(OLE, &hold, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 2, "");
    w.in_dialog(&ok, Method::Bye, 3, "");
    w.request(OLE, Method::Bye);
    Story { events: told(&w), ok, offered }
}

fn born_again(state: &State) -> World {
    let mut w = world();
    w.switch.restore(w.now, &state.journalled(false));
    w.run(secs(0));
    w
}

fn talking(w: &World) -> bool {
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    w.board.presence(ole).state == AgentState::Talking
}

/// A hold from the trunk's side; the CSeq that the phone saw.
fn hold(w: &mut World, ok: &Message, cseq: u32) -> u32 {
    w.in_dialog(ok, Method::Invite, cseq, OFFER);
    let passed = w.request(OLE, Method::Invite);
    w.reply(OLE, &passed, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(ok, Method::Ack, cseq, "");
    passed.cseq().map_or(0, |(n, _)| n)
}

fn ends_of(events: &[Event], w: &World) -> usize {
    let before = events.iter().filter(|e| matches!(e.what, What::CallEnded { .. })).count();
    before + ended(w).len()
}

fn killed_after(story: &Story, lines: usize) {
    let events = &story.events[..lines];
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    let arrived = events.iter().any(|e| matches!(e.what, What::CallArrived { .. }));
    let mut w = born_again(&state);
    if !talking(&w) {
        assert_eq!(ends_of(events, &w), usize::from(arrived), "after {lines} lines");
        let cut = |end: &(Party, Outcome)| end.1 == Outcome::CutByRestart;
        assert!(ended(&w).iter().all(cut));
        w.run(secs(120));
        return w.assert_quiet();
    }
    // Answered: it goes on, and once more after another kill in a row.
    let first = hold(&mut w, &story.ok, 7);
    let again = told(&w);
    again.iter().for_each(|event| state.apply(event));
    let mut w = born_again(&state);
    assert!(talking(&w) && ended(&w).is_empty(), "after {lines} lines and two kills");
    let second = hold(&mut w, &story.ok, 8);
    assert!(second > first, "CSeq goes on: {second} after {first}");
    w.phone_sends(OLE, &story.offered, Method::Bye, "");
    w.response(OLE, 200);
    let bye = w.request(TRUNK, Method::Bye);
    w.reply(TRUNK, &bye, 200, "");
    assert_eq!(ended(&w), [(Party::Callee, Outcome::Answered)]);
    w.run(secs(6));
    assert!(!talking(&w));
    w.assert_quiet();
}

#[test]
fn killed_after_any_line_a_call_is_cut_or_goes_on_twice() {
    for body in [OFFER, ""] {
        let story = story(body);
        let answered = story.events.iter().position(|e| matches!(e.what, What::Answered { .. }));
        assert!(answered.is_some_and(|at| at + 5 < story.events.len()), "{answered:?}");
        for lines in 0..=story.events.len() {
            killed_after(&story, lines);
        }
    }
}

#[test]
fn a_call_that_survived_is_shown_with_what_the_journal_knows_of_it() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    let shown = |w: &mut World| {
        let calls = w.command(Command::Calls).expect("a list");
        let call = calls.as_array().and_then(|calls| calls.first()).cloned().expect("one call");
        ["from", "to", "client", "rule", "clause", "step", "agent", "trunk"]
            .map(|field| (field, call[field].clone()))
    };
    let mut before = shown(&mut w);
    let mut state = State::default();
    for mut event in told(&w) {
        // Nobody knows the number here: as if somebody did.
        if let What::Routed { client, .. } = &mut event.what {
            *client = Some(ClientRef { id: ClientId(7), name: "Ostrova".into() });
        }
        state.apply(&event);
    }
    before[2].1 = "Ostrova".into();
    assert!(before.iter().all(|(_, value)| !value.is_null()), "{before:?}");
    let mut w = born_again(&state);
    assert_eq!(shown(&mut w), before);
    let calls = w.command(Command::Calls).expect("a list");
    // Journalled at ten, as the world begins.
    assert_eq!(calls[0]["age_s"], 0);
    w.run(secs(30));
    assert_eq!(w.command(Command::Calls).expect("a list")[0]["age_s"], 30);
}

#[test]
fn a_journal_torn_at_any_byte_is_restored_to_a_server_that_ends_empty() {
    let story = story(OFFER);
    let folder = tempfile::tempdir().expect("a folder");
    let at = "2026-03-03T10:00:00Z".parse().expect("a time");
    let source = Source::Worker(telefonist::domain::ShardId(0));
    let journal = Journal::open(folder.path(), at).expect("a journal");
    let mut shell = journal.writer(Source::Shell, at, &[]);
    shell.append(&[telefonist::store::journal::server_started(at)]);
    let mut writer = journal.writer(source, at, &[]);
    story.events.iter().for_each(|event| writer.append(std::slice::from_ref(event)));
    let segments = telefonist::store::journal::Segment::list(folder.path()).expect("segments");
    let mine = segments.iter().find(|s| s.source == source).expect("a segment");
    let path = mine.path(folder.path());
    drop((journal, writer, shell));
    let whole = fs::read(&path).expect("the journal");
    for end in (0..whole.len()).step_by(131).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..end]).expect("torn");
        let restored = restore(folder.path()).expect("restored");
        let mut w = born_again(&restored.state);
        let arrived = restored.state.calls.len();
        assert_eq!(ended(&w).len() + usize::from(talking(&w)), arrived, "torn at {end}");
        // Nobody answers our probes: whatever survived is given up.
        w.run(secs(600));
        w.assert_quiet();
    }
}

#[test]
fn a_worker_that_is_built_anew_counts_no_place_on_a_trunk_twice() {
    let ida = "192.0.2.31:5060";
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", ida);
    let trunks = w.setup.shared.meters.clone();
    let count = || trunks.trunks.calls(trunks.trunks.slot(&"pbx".into()).expect("a trunk"));
    // One talks, one waits, one goes out.
    let (offered, _) = w.talk("03023125001", "a1", OLE);
    w.start_dial(ida, "ida", "03023125999", OFFER);
    w.request(TRUNK, Method::Invite);
    w.invite("03023125002", "a2", OFFER);
    assert_eq!(count(), 3);
    let mut state = State::default();
    told(&w).iter().for_each(|event| state.apply(event));
    let setup = telefonist::switch::Setup { started: 9, ..w.setup.clone() };
    w.switch = telefonist::switch::Switch::new(w.now, setup);
    w.switch.restore(w.now, &state.journalled(true));
    w.run(secs(0));
    assert_eq!(count(), 1, "the one that talks");
    assert!(talking(&w));
    w.phone_sends(OLE, &offered, Method::Bye, "");
    assert_eq!(count(), 0);
}

#[test]
fn an_answer_that_comes_again_after_a_kill_has_its_ack() {
    let story = story(OFFER);
    let mut state = State::default();
    let mut events = story.events.iter();
    let mut w = loop {
        state.apply(events.next().expect("it was answered"));
        let w = born_again(&state);
        if talking(&w) {
            break w;
        }
    };
    // Its ACK was lost, and died with the process.
    for _ in 0..2 {
        w.reply(OLE, &story.offered, 200, ANSWER);
        let ack = w.request(OLE, Method::Ack);
        assert_eq!(ack.cseq().map(|(n, _)| n), story.offered.cseq().map(|(n, _)| n));
    }
    w.nothing(OLE);
    assert!(talking(&w));
}
