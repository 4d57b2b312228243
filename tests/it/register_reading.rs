//! What people and programs read out of the register.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use telefonist::domain::{AgentId, CallKey, DirectoryRecord, PersonId};
use telefonist::policy::{Facts, Grounds, IndexState, Presence};
use telefonist::store::journal::{Source, Writer};
use telefonist::store::register::{
    CallFilter, CallStory, Register, callbacks_table, calls_table, story_text,
};
use telefonist::switch::{Event, OfferResult, Outcome, Party, What};

use crate::register_scenario::*;

fn zone() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("bundled")
}

/// A key client whose manager is away: the deputy refuses, another takes the call.
fn eventful(call: CallKey) -> Vec<Event> {
    vec![
        arrived(call, 0),
        routed(call, 1),
        step(call, 1, 1, "deputies of manager", "C1", "manager: anna.berg is absent"),
        offered(call, 2, 1, "boris.kern"),
        ringing(call, 120, 1),
        offer_ended(call, 4_100, 1, OfferResult::Refused),
        step(call, 4_100, 2, "role key_account_manager", "B2", "everybody refused"),
        offered(call, 4_101, 2, "clara.voss"),
        ringing(call, 4_300, 2),
        offer_ended(call, 9_850, 2, OfferResult::Answered),
        answered(call, 9_850, "clara.voss"),
        ended(call, 199_850, Party::Callee, Outcome::Answered),
    ]
}

fn promised_call(call: CallKey, ms: i64) -> Vec<Event> {
    vec![
        arrived(call, ms),
        promised(call, ms + 30_000),
        ended(call, ms + 30_000, Party::Server, Outcome::CallbackPromised),
    ]
}

#[test]
fn the_story_of_a_call_reads_like_one() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&eventful(key(1)));
    let register = state.project();
    let story = register.show(key(1)).expect("read").expect("known");
    let expected = "\
call      69a543000000000001
arrived   2026-03-02 09:00:00 from +493023125001 to 100 over trunk pstn
client    ACME GmbH (17)
rule      key client (B2), policy 3f2a
fact      type: key (3 s old)
fact      debt: 12 d overdue (25 h old)
tried     new client (B1): no, the client has a manager
tried     key client (B2): yes, client_type is key
plan      manager (B2): anna.berg (gone: absent (leave to 2026-03-04))
plan      deputies of manager (C1): boris.kern for anna.berg (free)
plan      head of wholesale (B2): clara.voss has left
note      balance is 25 h old

     +0.001  step 2: deputies of manager (C1): manager: anna.berg is absent
     +0.002  offer 1: boris.kern for anna.berg (2 phones), fewest calls today: 3
     +0.120  offer 1: rings
     +4.100  step 3: role key_account_manager (B2): everybody refused
     +4.100  offer 1: refused (603) after 4.0 s
     +4.101  offer 2: clara.voss (2 phones)
     +4.300  offer 2: rings
     +9.850  offer 2: answered after 5.7 s
     +9.850  answered by clara.voss after 9.8 s
  +3:19.850  ended by the called side: answered, talked 3:10
";
    let text = story_text(&story, &zone());
    assert_eq!(text.replacen(&key(1).to_string(), "69a543000000000001", 1), expected, "\n{text}");
}

#[test]
fn a_step_is_told_before_its_offers_and_counted_from_one() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    // The phone was claimed a moment before the turn that wrote the step.
    writer.append(&[
        arrived(key(1), 0),
        step(key(1), 1, 0, "manager", "B2", "begin"),
        offered(key(1), 19, 1, "boris.kern"),
        step(key(1), 20, 1, "deputies of manager", "C1", "manager: away"),
    ]);
    let story = state.project().show(key(1)).expect("read").expect("known");
    let text = story_text(&story, &zone());
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("`{what}`: {text}"));
    assert!(place("step 1: manager") < place("step 2: deputies"));
    assert!(place("step 2: deputies") < place("offer 1: boris.kern"), "{text}");
    assert_eq!((story.steps[0].step, story.offers[0].step), (0, 1), "programs count from 0");
}

#[test]
fn the_story_as_json_reads_back() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&eventful(key(1)));
    let story = state.project().show(key(1)).expect("read").expect("known");
    let json = serde_json::to_value(&story).expect("JSON");
    assert_eq!(json["wait_ms"], 9_850);
    assert_eq!(json["answered_by"], "clara.voss");
    assert_eq!(json["offers"][0]["result"], "refused");
    assert_eq!(json["explanation"]["rules"][1]["matched"], true);
    assert_eq!(serde_json::from_value::<CallStory>(json).expect("read back"), story);
}

#[test]
fn an_unknown_call_has_no_story() {
    let state = State::new();
    let (_journal, _writer) = state.run(&[]);
    let register = state.project();
    assert_eq!(register.show(key(9)).expect("read"), None);
    let error = register.find_call("abcd").expect_err("none");
    assert_eq!(error.to_string(), "no call abcd in the register");
}

#[test]
fn a_call_is_found_by_the_end_of_its_id() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&[arrived(key(0x01_2345), 0), arrived(key(0x09_2345), 1)]);
    let register = state.project();
    let full = key(0x01_2345).to_string();
    assert_eq!(register.find_call(&full).expect("found"), key(0x01_2345));
    assert_eq!(register.find_call("012345").expect("found"), key(0x01_2345));
    let error = register.find_call("2345").expect_err("two");
    assert_eq!(error.to_string(), "more than one call ends in 2345");
    assert!(register.find_call("45").is_err() && register.find_call("' OR 1").is_err());
}

fn listed(register: &Register, filter: CallFilter) -> Vec<CallKey> {
    register.calls(&filter).expect("calls").iter().map(|c| c.call).collect()
}

#[test]
fn calls_are_found_by_time_number_client_and_outcome() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    for n in 0..5 {
        writer.append(&whole_call(key(n), i64::from(n) * 60_000));
    }
    let mut withheld = arrived(key(9), 400_000);
    if let What::CallArrived { from, from_raw, to, .. } = &mut withheld.what {
        (*from, *from_raw, *to) = (None, "".into(), "200".into());
    }
    writer.append(&[withheld, ended(key(9), 401_000, Party::Caller, Outcome::Abandoned)]);
    let register = state.project();
    let with = |change: fn(&mut CallFilter)| {
        let mut filter = CallFilter::default();
        change(&mut filter);
        listed(&register, filter)
    };
    assert_eq!(with(|_| {}).len(), 6);
    assert_eq!(with(|f| f.limit = Some(2)), [key(4), key(9)], "the newest, oldest first");
    assert_eq!(with(|f| f.since = Some(after(180_000))), [key(3), key(4), key(9)]);
    assert_eq!(with(|f| f.until = Some(after(60_000))), [key(0)]);
    assert_eq!(with(|f| f.number = Some("+49 30 23125-001".into())).len(), 5);
    assert_eq!(with(|f| f.number = Some("030 23125001".into())).len(), 5);
    assert_eq!(with(|f| f.number = Some("125001".into())).len(), 5);
    assert_eq!(with(|f| f.number = Some("200".into())), [key(9)]);
    assert_eq!(with(|f| f.number = Some("+1 212 555 0100".into())), []);
    assert_eq!(with(|f| f.client = Some("acme".into())).len(), 5);
    assert_eq!(with(|f| f.client = Some("17".into())).len(), 5);
    assert_eq!(with(|f| f.outcome = Some(Outcome::Abandoned)), [key(9)]);
    let rows = register.calls(&CallFilter { limit: Some(2), ..CallFilter::default() });
    let table = calls_table(&rows.expect("calls"), &zone());
    let expected = format!(
        "CALL              ARRIVED              FROM           CLIENT     RULE             \
         ANSWERED BY  WAIT   TALK  OUTCOME\n\
         {}  2026-03-02 09:04:00  +493023125001  ACME GmbH  key client (B2)  \
         boris.kern   3.1 s  1:26  answered\n\
         {}  2026-03-02 09:06:40  withheld                                                \
         1.0 s        abandoned\n",
        key(4),
        key(9)
    );
    assert_eq!(table, expected, "\n{table}");
}

#[test]
fn a_promised_callback_is_tried_and_closed_and_each_change_says_who() {
    let state = State::new();
    let (journal, mut writer) = state.run(&[]);
    writer.append(&promised_call(key(1), 0));
    writer.append(&promised_call(key(2), 60_000));
    let mut shell: Writer = journal.writer(Source::Shell, start(), &[]);
    let register = state.project();
    let open = register.callbacks(true).expect("callbacks");
    assert_eq!(open.iter().map(|c| c.call).collect::<Vec<_>>(), [key(1), key(2)]);

    let first = register.callback("1").expect("by its number");
    assert_eq!(register.callback(&key(1).to_string()).expect("by its call"), first);
    shell.append(&[first.tried(after(100_000), "engaged", "anna.berg").expect("open")]);
    shell.append(&[first.tried(after(200_000), "", "anna.berg").expect("open")]);
    let note = "ordered 20 boxes";
    shell.append(&[first.done(after(300_000), note, "command by root").expect("open")]);
    state.projector().catch_up().expect("projected");

    let first = register.callback("1").expect("there");
    assert!(!first.is_open() && first.tries == 2 && first.done_at == Some(after(300_000)));
    let error = first.tried(after(400_000), "", "anna.berg").expect_err("closed");
    assert_eq!(error.to_string(), "callback 1 was closed by command by root");
    assert_eq!(register.callbacks(true).expect("callbacks").len(), 1);
    let table = callbacks_table(&register.callbacks(false).expect("callbacks"), &zone());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[1],
        format!(
            "1   2026-03-02 09:00:30  +493023125001  ACME GmbH  anna.berg  2      done   \
             nobody answered  {}",
            key(1)
        )
    );
    let story = register.show(key(1)).expect("read").expect("known");
    let text = story_text(&story, &zone());
    let end = "\
callback  1: +493023125001, owner anna.berg, done
          2026-03-02 09:01:40 tried by anna.berg: engaged
          2026-03-02 09:03:20 tried by anna.berg
          2026-03-02 09:05:00 done by command by root: ordered 20 boxes
";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn a_callback_is_not_closed_without_a_word_or_twice_or_if_unknown() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&promised_call(key(1), 0));
    let register = state.project();
    let callback = register.callback("1").expect("there");
    assert!(callback.done(after(1), "  ", "root").is_err());
    let error = register.callback("77").expect_err("none");
    assert_eq!(error.to_string(), "no callback 77 in the register");
}

#[test]
fn a_policy_is_kept_for_ever_by_its_hash() {
    let state = State::new();
    let (journal, _writer) = state.run(&[]);
    let mut shell = journal.writer(Source::Shell, start(), &[]);
    let accepted = |hash: &str, text: &str| {
        event(
            5,
            What::PolicyAccepted {
                hash: hash.into(),
                policy: text.into(),
                calendars: "[main]".into(),
                by: "start".into(),
            },
        )
    };
    shell.append(&[
        accepted("3f2a", "[[rule]]\n"),
        accepted("77", "x"),
        accepted("3f2a", "[[rule]]\n"),
    ]);
    let register = state.project();
    let kept = register.policy("3f2a").expect("read").expect("kept");
    assert_eq!((kept.policy.as_str(), kept.calendars.as_str()), ("[[rule]]\n", "[main]"));
    assert_eq!(register.policy("none").expect("read"), None);
}

#[test]
fn a_backup_is_a_whole_register_and_overwrites_nothing() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    let register = state.project();
    let target = state.folder.path().join("copy.db");
    register.backup(&target).expect("copied");
    for file in [&target, &state.db()] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "only its owner reads it");
    }
    writer.append(&whole_call(key(2), 0));
    state.project();
    let copy = Register::read(&target).expect("a register");
    assert_eq!(listed(&copy, CallFilter::default()), [key(1)]);
    let error = register.backup(&target).expect_err("there");
    assert!(error.to_string().ends_with("is there already"), "{error}");
}

#[test]
fn looking_needs_no_write_and_says_when_there_is_nothing() {
    let state = State::new();
    assert!(Register::read(&state.db()).is_err());
    assert!(!state.db().exists(), "looking makes nothing");
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&whole_call(key(1), 0));
    state.project();
    let register = Register::read(&state.db()).expect("a register");
    writer.append(&whole_call(key(2), 100));
    state.projector().catch_up().expect("while somebody looks");
    assert_eq!(register.count().expect("counted"), 2);
}

#[test]
fn the_grounds_of_a_decision_and_the_directory_that_it_saw_are_kept() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    let facts = Facts {
        at: start(),
        trunk: None,
        from_raw: "1".into(),
        from: None,
        to_raw: "100".into(),
        to: None,
        client: None,
        others: vec![],
        index: IndexState::Fresh,
    };
    let presence = vec![(AgentId(3), Presence::Free)];
    let grounds = Grounds { facts, presence, directory: "d1".into() };
    let mut decided = routed(key(1), 10);
    if let What::Routed { grounds: kept, .. } = &mut decided.what {
        *kept = Some(Arc::new(grounds.clone()));
    }
    let directory = DirectoryRecord { groups_max: 7, ..DirectoryRecord::default() };
    let taken = What::DirectoryTaken { hash: "d1".into(), directory: Box::new(directory.clone()) };
    writer.append(&[event(1, taken.clone()), arrived(key(1), 2), decided, event(20, taken)]);
    let register = state.project();
    let story = register.show(key(1)).expect("read").expect("known");
    assert_eq!(story.grounds, Some(grounds));
    assert_eq!(register.directory("d1").expect("read"), Some(directory));
    assert_eq!(register.directory("d2").expect("read"), None);
}

#[test]
fn what_people_answered_before_a_start_is_told_with_how_long_they_talked() {
    let state = State::new();
    let (_journal, mut writer) = state.run(&[]);
    writer.append(&eventful(key(1)));
    // One that goes on over the start, one of two days before.
    writer.append(&[arrived(key(2), 100_000), answered(key(2), 110_000, "boris.kern")]);
    let old = -3 * 86_400_000;
    writer.append(&[arrived(key(3), old), answered(key(3), old + 5, "boris.kern")]);
    writer.append(&promised_call(key(4), 120_000));
    let told = |ms: i64| {
        let answered = state.project().answered_before(after(ms)).expect("read");
        let row = |(who, at, talk): &(PersonId, Timestamp, u64)| {
            (who.to_string(), at.duration_since(start()).as_millis(), *talk / 1_000)
        };
        let mut rows: Vec<_> = answered.iter().map(row).collect();
        rows.sort();
        rows
    };
    let (clara, boris) = ("clara.voss".to_owned(), "boris.kern".to_owned());
    let both = [(boris.clone(), 110_000, 190_000), (clara.clone(), 9_850, 190_000)];
    assert_eq!(told(300_000), both);
    assert_eq!(told(60_000), [(clara, 9_850, 50_150)], "as it was then");
}
