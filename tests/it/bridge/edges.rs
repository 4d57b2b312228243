//! Calls at their edges: what one party does while another is not ready for it.

use std::time::Duration;

use telefonist::acd::AgentState;
use telefonist::domain::{Directory, WallOffset};
use telefonist::sip::{Header, Method};
use telefonist::switch::{Command, Event, Input, OfferResult, Outcome, Party, Topic, What};

use super::world::{ANSWER, OFFER, TRUNK, World};
use super::{IDA, KAI, MIA, OLE, ended, offers, secs, world};

#[test]
fn a_probe_that_is_due_before_the_ack_does_not_spin() {
    let mut w = world();
    w.set(|s| s.timers.probe_every = secs(5));
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.run(secs(10));
    w.nothing(OLE);
    w.run(secs(30));
    assert_eq!(ended(&w), [(Party::Server, Outcome::Failed)]);
    w.assert_quiet();
}

#[test]
fn a_hold_leaves_nothing_behind() {
    let mut w = world();
    w.register("ole", OLE);
    let (_, ok) = w.talk("03023125001", "a1", OLE);
    for cseq in 2..5 {
        w.in_dialog(&ok, Method::Invite, cseq, &OFFER.replace("t=0 0", "t=0 0\r\na=inactive"));
        let passed = w.request(OLE, Method::Invite);
        w.reply(OLE, &passed, 200, ANSWER);
        w.request(OLE, Method::Ack);
        w.response(TRUNK, 200);
        w.in_dialog(&ok, Method::Ack, cseq, "");
    }
    w.in_dialog(&ok, Method::Bye, 9, "");
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    w.assert_quiet();
}

#[test]
fn a_re_invite_that_is_answered_while_its_cancel_is_on_the_way_is_acknowledged() {
    let mut w = world();
    w.register("ole", OLE);
    let (_, ok) = w.talk("03023125001", "a1", OLE);
    let hold = w.in_dialog(&ok, Method::Invite, 2, OFFER);
    let passed = w.request(OLE, Method::Invite);
    w.reply(OLE, &passed, 100, "");
    w.cancel_numbered(&hold, 2);
    w.response(TRUNK, 200);
    w.request(OLE, Method::Cancel);
    w.reply(OLE, &passed, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 2, "");
    w.in_dialog(&ok, Method::Bye, 3, "");
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    w.assert_quiet();
}

#[test]
fn c7_whose_phone_says_busy_keeps_the_call_in_line_while_the_next_step_rings() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("mia", MIA);
    w.register("kai", KAI);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(MIA, Method::Invite);
    w.reply(MIA, &offered, 486, "");
    w.request(MIA, Method::Ack);
    assert_eq!(offers(&w), [OfferResult::Busy]);
    let other = w.request(KAI, Method::Invite);
    w.reply(KAI, &other, 603, "");
    w.request(KAI, Method::Ack);
    let mia = w.directory.agent(&"mia".into()).expect("mia");
    assert!(!w.board.presence(mia).is_gone(), "not locked");
}

#[test]
fn c7_in_a_group_the_caller_waits_for_whose_phone_says_busy() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 486, "");
    w.request(OLE, Method::Ack);
    assert_eq!(offers(&w), [OfferResult::Busy]);
    w.run(secs(9));
    w.nothing(OLE);
    assert_eq!(w.promises, 0, "nobody is fobbed off");
    w.run(secs(2));
    w.request(OLE, Method::Invite);
}

#[test]
fn a_phone_that_rang_and_said_503_does_not_leave_its_owner_unreachable() {
    let mut w = world();
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.reply(OLE, &offered, 503, "");
    w.request(OLE, Method::Ack);
    w.request(IDA, Method::Invite);
    w.run(secs(11));
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(w.board.presence(ole).is_free(), "{:?}", w.board.presence(ole));
}

#[test]
fn a_phone_that_registers_while_a_caller_waits_rings_at_once() {
    let mut w = world();
    w.register("ida", IDA);
    w.talk("03023125001", "a1", IDA);
    w.invite("03023125002", "a2", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(3));
    w.register("ole", OLE);
    let silent = w.request(OLE, Method::Invite);
    // It does not answer at all, and comes back at another address.
    w.run(secs(4));
    assert_eq!(offers(&w).last(), Some(&OfferResult::Unreachable));
    while w.take(OLE).is_some() {}
    let again = "192.0.2.39:5060";
    w.register("ole", again);
    let offered = w.request(again, Method::Invite);
    assert_ne!(offered.call_id(), silent.call_id());
}

#[test]
fn who_is_released_while_it_rings_and_answers_is_on_a_call() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.command(Command::Release { person: "ole".into() }).expect("known");
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(!w.board.presence(ole).is_free(), "I2: nothing is offered to somebody who talks");
    w.phone_sends(OLE, &offered, Method::Bye, "");
    w.run(secs(1));
    assert!(w.board.presence(ole).is_free());
}

#[test]
fn a_refused_second_call_of_a_person_does_not_end_the_first() {
    let mut w = world();
    w.register("ole", OLE);
    w.start_dial(OLE, "ole", "03023125999", OFFER);
    w.request(TRUNK, Method::Invite);
    w.set(|s| s.limits.calls_max = 1);
    let answer = w.dial(OLE, "ole", "03023125998", OFFER);
    assert_eq!(answer.status(), 503);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(!w.board.presence(ole).is_free(), "the first call is still up");
}

#[test]
fn an_invite_to_a_phone_expires_soon_after_its_ring() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    assert_eq!(offered.header(Header::Expires), Some("25"), "20 s of ring and a margin");
}

#[test]
fn draining_promises_callers_a_callback_and_our_own_people_nothing() {
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", IDA);
    w.start_dial(IDA, "ida", "03023125999", OFFER);
    let out = w.request(TRUNK, Method::Invite);
    w.reply(TRUNK, &out, 180, "");
    w.invite("03023125001", "a1", OFFER);
    w.request(OLE, Method::Invite);
    let until = w.now + secs(5);
    w.input(Input::Drain { until });
    w.run(secs(6));
    assert_eq!(w.promises, 1);
    let mut all = ended(&w);
    all.sort_by_key(|(_, outcome)| format!("{outcome:?}"));
    assert_eq!(all, [(Party::Server, Outcome::CallbackPromised), (Party::Server, Outcome::Failed)]);
}

#[test]
fn a_caller_who_is_not_identified_when_draining_ends_has_an_owner_for_the_callback() {
    let mut w = world();
    w.never_identify = true;
    w.invite("03023125001", "a1", OFFER);
    let until = w.now;
    w.input(Input::Drain { until });
    w.run(Duration::ZERO);
    let owner = w.events.iter().find_map(|e| match e {
        What::Promised { owner, .. } => Some(owner.clone()),
        _ => None,
    });
    assert_eq!(owner.flatten(), Some("hans".into()));
}

#[test]
fn a_long_calls_cseq_never_runs_away_from_the_journal() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    let mut last = 1;
    for _ in 0..130 {
        w.run(secs(60));
        for at in [TRUNK, OLE] {
            while let Some(message) = w.take(at) {
                if message.is_request() && *message.method() == Method::Options {
                    w.reply(at, &message, 200, "");
                    last = message.cseq().map_or(last, |(n, _)| n.max(last));
                }
            }
        }
    }
    assert!(last > 120, "probes count: {last}");
    let known = w.events.iter().filter_map(|e| match e {
        What::Dialog { state, .. } => state.pointer("/dialog/local_seq")?.as_u64(),
        _ => None,
    });
    let known = known.max().expect("dialogs are journalled");
    assert!(known + 100 > u64::from(last), "a restart would repeat a CSeq: {known} and {last}");
}

#[test]
fn the_record_of_an_answered_call_has_no_refusal() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    let call = w.events.iter().find_map(What::call).expect("a call");
    w.command(Command::Hangup { call }).expect("it is up");
    let told = w.events.iter().find_map(|e| match e {
        What::CallEnded { status, by, .. } => Some((*status, *by)),
        _ => None,
    });
    assert_eq!(told, Some((None, Party::Supervisor)));
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert_eq!(w.board.presence(ole).state, AgentState::Wrap);
}

/// D1: the stored explanation is what `decide` says of the stored grounds.
#[test]
fn the_journal_holds_what_each_decision_rested_on() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("kai", KAI);
    w.invite("03023125001", "a1", OFFER);
    w.request(KAI, Method::Invite);
    let taken = w.events.iter().find_map(|e| match e {
        What::DirectoryTaken { hash, directory } => Some((hash.clone(), directory.clone())),
        _ => None,
    });
    let (hash, record) = taken.expect("the directory is journalled");
    let directory = Directory::replay(&record, w.calendars()).expect("a directory");
    let routed = w.events.iter().find_map(|e| match e {
        What::Routed { grounds: Some(grounds), explanation, policy, .. } => {
            Some((grounds.clone(), explanation.clone(), policy.clone()))
        }
        _ => None,
    });
    let (grounds, explanation, policy) = routed.expect("a decision with its grounds");
    assert_eq!((&*grounds.directory, &*policy), (&*hash, &**w.policy.hash()));
    let again = grounds.replay(&w.policy, &directory);
    assert_eq!(Some(&again.explanation), explanation.as_deref());
    // Nothing changes: the journal does not grow.
    let unchanged = w.directory.clone();
    w.input(Input::Directory(unchanged));
    let told = w.events.iter().filter(|e| matches!(e, What::DirectoryTaken { .. })).count();
    assert_eq!(told, 1);
}

#[test]
fn a_journal_of_the_first_days_can_be_read() {
    let line = r#"{"at":"2026-03-03T10:00:00Z","event":"routed","call":"0000000100000001",
        "client":null,"rule":"everybody else","clause":"B4","policy":"3f2a","explanation":null}"#;
    let event: Event = serde_json::from_str(line).expect("an event");
    assert!(matches!(event.what, What::Routed { grounds: None, .. }));
}

#[test]
fn a_colleague_who_is_on_a_call_is_busy_for_another_colleague() {
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", IDA);
    let (offered, _) = w.talk("03023125001", "a1", OLE);
    let busy = w.dial(IDA, "ida", "ole", OFFER);
    assert_eq!(busy.status(), 486);
    w.nothing(OLE);
    w.phone_sends(OLE, &offered, Method::Bye, "");
    w.response(OLE, 200);
    // Resting is not being on a call.
    w.start_dial(IDA, "ida", "ole", OFFER);
    w.request(OLE, Method::Invite);
}

#[test]
fn who_has_no_phone_hears_of_a_promise_when_one_registers() {
    let hans = "192.0.2.25:5060";
    let mut w = world();
    w.input(Input::Tell {
        topic: Topic::Promise,
        to: "hans".into(),
        text: "Please call back".into(),
    });
    w.register("hans", hans);
    let told = w.request(hans, Method::Message);
    assert_eq!(told.body(), "Please call back");
    w.reply(hans, &told, 200, "");
    w.input(Input::Tell { topic: Topic::Promise, to: "hans".into(), text: "and him".into() });
    let told = w.request(hans, Method::Message);
    w.reply(hans, &told, 200, "");
    w.register("hans", "192.0.2.26:5060");
    w.nothing(hans);
    w.nothing("192.0.2.26:5060");
}

#[test]
fn promised_callbacks_and_orders_wait_for_a_phone_in_room_of_their_own() {
    let hans = "192.0.2.25:5060";
    let mut w = world();
    let tell = |w: &mut World, topic, text: String| {
        w.input(Input::Tell { topic, to: "hans".into(), text: text.into() });
    };
    (0..52).for_each(|n| tell(&mut w, Topic::Promise, format!("promise {n}")));
    (0..60).for_each(|n| tell(&mut w, Topic::Order, format!("order {n}")));
    w.register("hans", hans);
    let mut told = Vec::new();
    for _ in 0..101 {
        let text = w.request(hans, Method::Message);
        w.reply(hans, &text, 200, "");
        told.push(String::from_utf8_lossy(&text.body()).into_owned());
    }
    w.nothing(hans);
    let (promises, orders) = told.split_at(51);
    let more = "2 more callbacks were promised before these: `telefonist callbacks` lists them";
    assert_eq!((&*promises[0], &*promises[1], &*promises[50]), (more, "promise 2", "promise 51"));
    assert_eq!((orders.len(), &*orders[0], &*orders[49]), (50, "order 10", "order 59"));
}

#[test]
fn a_phone_that_takes_no_texts_is_left_alone_until_it_registers_anew() {
    for status in [405, 415, 501] {
        let mut w = world();
        w.register("ole", OLE);
        w.input(Input::Tell { topic: Topic::Promise, to: "ole".into(), text: "one".into() });
        let told = w.request(OLE, Method::Message);
        w.reply(OLE, &told, status, "");
        w.input(Input::Tell { topic: Topic::Promise, to: "ole".into(), text: "two".into() });
        w.run(secs(60));
        w.nothing(OLE);
        w.register("ole", OLE);
        w.input(Input::Tell { topic: Topic::Promise, to: "ole".into(), text: "three".into() });
        assert_eq!(w.request(OLE, Method::Message).body(), "three", "after {status}");
    }
}

#[test]
fn a_phone_that_was_only_busy_with_a_text_gets_the_next() {
    let mut w = world();
    w.register("ole", OLE);
    w.input(Input::Tell { topic: Topic::Promise, to: "ole".into(), text: "one".into() });
    let told = w.request(OLE, Method::Message);
    w.reply(OLE, &told, 486, "");
    w.input(Input::Tell { topic: Topic::Promise, to: "ole".into(), text: "two".into() });
    assert_eq!(w.request(OLE, Method::Message).body(), "two");
}

/// D1: what is stored with a call is what `explain` said a moment before.
#[test]
fn explain_says_what_the_record_of_the_call_will_say() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("kai", KAI);
    let found = w.found("+493023125001");
    let said = w.command(Command::Explain {
        from: "03023125001".into(),
        to: Some("100".into()),
        at: None,
        trunk: Some("pbx".into()),
        found: Some(Box::new(found)),
    });
    let said = said.expect("a decision");
    w.invite("03023125001", "a1", OFFER);
    let stored = w.events.iter().find_map(|e| match e {
        What::Routed { explanation: Some(explanation), rule, clause, policy, .. } => {
            Some((serde_json::to_value(explanation).expect("JSON"), rule, clause, policy))
        }
        _ => None,
    });
    let (explanation, rule, clause, policy) = stored.expect("a decision");
    assert_eq!(said["explanation"], explanation);
    assert_eq!((&said["rule"], &said["clause"]), (&(**rule).into(), &(**clause).into()));
    assert_eq!(said["policy"], **policy);
}

#[test]
fn nobody_loses_their_phone_when_the_wall_clock_jumps() {
    let mut w = world();
    w.register("ole", OLE);
    let later = "2026-03-03T13:00:00Z".parse().expect("a time");
    w.input(Input::Wall(WallOffset::new(w.now, later)));
    w.run(secs(1));
    w.talk("03023125001", "a1", OLE);
}

#[test]
fn c4_whose_phone_goes_while_it_rings_is_not_locked() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.register_for("ole", OLE, 0, &[]);
    w.run(secs(21));
    assert_eq!(offers(&w), [OfferResult::Unreachable]);
    w.run(secs(40));
    while w.take(OLE).is_some() {}
    w.register("ole", OLE);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(w.board.presence(ole).is_free(), "{:?}", w.board.presence(ole));
}

#[test]
fn b10_who_turned_a_call_down_is_not_rung_in_a_circle_whatever_the_settings() {
    for status in [486, 603] {
        let mut w = world();
        w.set(|s| {
            s.timers.refuse_backoff = Duration::ZERO;
            s.timers.busy_backoff = Duration::ZERO;
        });
        // Ida talks, so that the caller may wait in the operators' queue.
        w.register("ida", IDA);
        w.talk("03023125002", "z0", IDA);
        w.register("ole", OLE);
        w.invite("03023125001", "z1", OFFER);
        for _ in 0..3 {
            let offered = w.request(OLE, Method::Invite);
            w.reply(OLE, &offered, status, "");
            w.request(OLE, Method::Ack);
            w.run(Duration::from_millis(990));
            w.nothing(OLE);
            w.run(Duration::from_millis(400));
        }
    }
}
