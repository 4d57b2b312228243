//! The steps of a plan in virtual time (clauses C1, C2, C4, C7, B10): who rings when, and what ends it.

use std::sync::Arc;

use telefonist::domain::{Directory, LockAfter};
use telefonist::sip::{Header, Message, Method};
use telefonist::switch::{Command, Input, OfferResult, Outcome, Party, What};

use super::world::{ANSWER, LIMITS, OFFER, TRUNK, World, person, rows};
use super::{IDA, KAI, MIA, OLE, ended, offers, secs, world};

pub const HANS: &str = "192.0.2.25:5060";

/// A key client's route, and everybody else's.
pub fn routed(settings: &str, key: &str, others: &str) -> World {
    let text = format!(
        "[settings]\ndefault_department = \"support\"\ncallback_owner = \"person hans\"\n{settings}\n\
         [[rule]]\nname = \"key\"\nclause = \"B2\"\nwhen = {{ client_type = \"key\" }}\n\
         route = [\n{key}\n{{ to = \"callback\" }},\n]\n\
         [[rule]]\nname = \"rest\"\nclause = \"B4\"\nroute = [\n{others}\n{{ to = \"callback\" }},\n]\n"
    );
    let mut w = World::new(&text);
    w.key_client("+493023125001");
    w
}

const OPERATORS: &str = r#"{ to = "role operator", ring = "20s", wait = "60s" },"#;

/// `phone`'s owner is on a call with the trunk.
pub fn busy(w: &mut World, call_id: &str, phone: &str) -> Message {
    w.talk("03023125009", call_id, phone).0
}

pub fn hangs_up(w: &mut World, phone: &str, offered: &Message) {
    w.phone_sends(phone, offered, Method::Bye, "");
    w.response(phone, 200);
    w.request(TRUNK, Method::Bye);
}

fn failure(w: &mut World) -> Message {
    loop {
        let message = w.next(TRUNK);
        if message.status() >= 300 {
            return message;
        }
    }
}

#[test]
fn c7_only_lets_go_of_the_earlier_queues() {
    let mut w = routed(
        "",
        r#"{ to = "person ole", ring = "20s", wait = "10s" },
           { to = "person ida", ring = "20s", wait = "60s", only = true },"#,
        OPERATORS,
    );
    w.register("ole", OLE);
    let ole = busy(&mut w, "b1", OLE);
    w.register("ida", IDA);
    let ida = busy(&mut w, "b2", IDA);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(11));
    hangs_up(&mut w, OLE, &ole);
    w.run(secs(10));
    w.nothing(OLE);
    hangs_up(&mut w, IDA, &ida);
    w.run(secs(6));
    w.request(IDA, Method::Invite);
}

/// Mia, on a break, is the manager; the caller waits for hans, who is on a call.
fn skipped(only: &str) -> World {
    let mia = format!("{{ to = \"manager\", ring = \"20s\", wait = \"60s\"{only} }},");
    let hans = r#"{ to = "person hans", ring = "20s", wait = "60s" },"#;
    let mut w = routed("", &format!("{mia}{hans}"), hans);
    w.register("hans", HANS);
    busy(&mut w, "b1", HANS);
    w.register("mia", MIA);
    w.command(Command::Pause { person: "mia".into(), reason: "lunch".into() }).expect("known");
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(5));
    w.nothing(MIA);
    w.command(Command::Resume { person: "mia".into() }).expect("known");
    w
}

#[test]
fn c7_who_comes_back_gets_the_caller_whose_step_was_skipped() {
    let mut w = skipped("");
    w.request(MIA, Method::Invite);
    let step = w.events.iter().rev().find_map(|e| match e {
        What::Offered { agent, step, .. } if agent.as_str() == "mia" => Some(*step),
        _ => None,
    });
    assert_eq!(step, Some(0));
}

#[test]
fn c7_a_step_that_holds_the_call_alone_does_not_while_it_is_skipped() {
    let mut w = skipped(", only = true");
    w.run(secs(5));
    w.nothing(MIA);
}

#[test]
fn b10_who_was_gone_in_one_step_is_waited_for_in_a_later_one() {
    let mut w = routed(
        "",
        r#"{ to = "person hans", ring = "20s", wait = "30s" },
           { to = "role operator", ring = "20s", wait = "15s" },
           { to = "head of support", ring = "20s", wait = "40s" },"#,
        r#"{ to = "role operator", ring = "20s", wait = "5s" },
           { to = "person hans", ring = "20s", wait = "15s" },"#,
    );
    w.register("hans", HANS);
    busy(&mut w, "b2", HANS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.command(Command::Pause { person: "hans".into(), reason: "lunch".into() }).expect("known");
    w.invite("03023125001", "a1", OFFER);
    // He is back, and still on his call when the caller comes to him again.
    w.command(Command::Resume { person: "hans".into() }).expect("known");
    w.run(secs(20));
    let (steps, over) = (w.events.iter().rev(), ended(&w));
    let last = steps.into_iter().find_map(|e| match e {
        What::StepBegan { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!((last, over), (Some(2), vec![]));
}

#[test]
fn b10_whose_queue_was_full_is_rung_in_a_later_step() {
    let mut w = routed(
        "",
        r#"{ to = "person hans", ring = "20s", wait = "30s" },
           { to = "role operator", ring = "20s", wait = "15s" },
           { to = "head of support", ring = "20s", wait = "40s" },"#,
        r#"{ to = "person hans", ring = "20s", wait = "15s" },
           { to = "role operator", ring = "20s", wait = "5s" },"#,
    );
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.register("hans", HANS);
    let hans = busy(&mut w, "b2", HANS);
    for n in 0..10 {
        w.invite("03023125002", &format!("w{n}"), OFFER);
    }
    w.run(secs(10));
    w.invite("03023125001", "a1", OFFER);
    w.run(secs(20));
    w.take_at_host("192.0.2.10");
    let mut steps = w.events.iter().filter_map(|e| match e {
        What::StepBegan { step, why, .. } => Some((*step, why.to_string())),
        _ => None,
    });
    let (step, why) = steps.next_back().expect("a step");
    assert_eq!((step, &*why), (2, "nobody became free within `wait`"));
    hangs_up(&mut w, HANS, &hans);
    w.run(secs(6));
    let offered = w.request(HANS, Method::Invite);
    assert!(offered.header(Header::From).is_some_and(|from| from.contains("+493023125001")));
}

#[test]
fn c7_the_end_of_wait_never_cuts_a_phone_that_rings() {
    let mut w = routed("", r#"{ to = "manager", ring = "30s", wait = "10s" },"#, OPERATORS);
    w.register("mia", MIA);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(MIA, Method::Invite);
    w.reply(MIA, &offered, 180, "");
    w.run(secs(29));
    w.nothing(MIA);
    w.reply(MIA, &offered, 200, ANSWER);
    w.request(MIA, Method::Ack);
    w.response(TRUNK, 180);
    w.response(TRUNK, 200);
}

#[test]
fn c7_when_all_go_while_a_caller_waits_the_next_step_begins_at_once() {
    let mut w = routed(
        "",
        r#"{ to = "manager", ring = "20s", wait = "60s" },
           { to = "person hans", ring = "20s", wait = "30s" },"#,
        r#"{ to = "manager", ring = "20s", wait = "60s" }, { to = "person mia", wait = "60s" },"#,
    );
    w.register("mia", MIA);
    w.register("hans", HANS);
    let mia = busy(&mut w, "b1", MIA);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(5));
    w.nothing(HANS);
    // She goes home when this call is over: nobody should wait for her.
    w.command(Command::Logout { person: "mia".into() }).expect("known");
    w.request(HANS, Method::Invite);
    hangs_up(&mut w, MIA, &mia);
}

#[test]
fn c1_an_absence_that_is_entered_while_a_caller_waits_ends_the_step() {
    let mut w = routed(
        "",
        r#"{ to = "manager", ring = "20s", wait = "60s" },
           { to = "person hans", ring = "20s", wait = "30s" },"#,
        r#"{ to = "person mia", ring = "20s", wait = "60s" },"#,
    );
    w.register("mia", MIA);
    w.register("hans", HANS);
    busy(&mut w, "b1", MIA);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(5));
    let mut changed = rows();
    changed.absences.push(super::world::absence("mia", "2026-03-03", "2026-03-03", None));
    let limits = super::world::LIMITS;
    let directory = Directory::build(Some(&w.directory), changed, limits).expect("a directory");
    w.input(Input::Directory(Arc::new(directory)));
    w.request(HANS, Method::Invite);
}

#[test]
fn the_plan_ends_before_the_trunk_gives_up() {
    let mut w = routed("", OPERATORS, r#"{ to = "role operator", ring = "20s", wait = "10m" },"#);
    w.register("ole", OLE);
    w.talk("03023125002", "b1", OLE);
    w.invite("03023125003", "a1", OFFER);
    w.run(secs(104));
    assert!(ended(&w).is_empty());
    w.run(secs(2));
    assert_eq!(ended(&w), [(Party::Server, Outcome::CallbackPromised)]);
    assert_eq!(w.promises, 1);
}

#[test]
fn a_full_queue_is_a_promise_and_486() {
    let mut w = world();
    w.register("ole", OLE);
    let offered = busy(&mut w, "b1", OLE);
    for n in 0..10 {
        w.invite("03023125002", &format!("w{n}"), OFFER);
        w.response(TRUNK, 180);
    }
    w.invite("03023125003", "a1", OFFER);
    let full = failure(&mut w);
    assert_eq!((full.status(), full.header(Header::Reason)), (486, Some("Q.850;cause=17")));
    assert_eq!(ended(&w), [(Party::Server, Outcome::Overload)]);
    assert_eq!(w.promises, 1);
    hangs_up(&mut w, OLE, &offered);
}

#[test]
fn a_head_start_goes_before_who_came_earlier() {
    let mut w =
        routed("[settings.head_start]\nclient_type = { key = \"60s\" }\n", OPERATORS, OPERATORS);
    w.register("ole", OLE);
    let offered = busy(&mut w, "b1", OLE);
    w.invite("03023125002", "plain", OFFER);
    w.run(secs(5));
    w.invite("03023125001", "key", OFFER);
    w.run(secs(1));
    w.phone_sends(OLE, &offered, Method::Bye, "");
    w.response(OLE, 200);
    w.run(secs(6));
    let next = w.request(OLE, Method::Invite);
    let from = next.header(Header::From).unwrap_or_default();
    assert!(from.contains("+493023125001"), "the key client: {from}");
}

/// Rings to the end of `ring` and is not taken.
fn misses(w: &mut World, call_id: &str) {
    w.invite("03023125002", call_id, OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.run(secs(20));
    let cancel = w.request(OLE, Method::Cancel);
    w.reply(OLE, &cancel, 200, "");
    w.reply(OLE, &offered, 487, "");
    w.request(OLE, Method::Ack);
    w.run(secs(11));
}

#[test]
fn c4_who_misses_as_many_as_set_is_locked_and_says_by_star_code_that_they_are_back() {
    let mut w = world();
    w.set(|s| s.lock_after = LockAfter::Missed(2));
    w.register("ole", OLE);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    misses(&mut w, "a1");
    assert!(w.board.presence(ole).is_free(), "one is not two");
    misses(&mut w, "a2");
    assert!(w.board.presence(ole).is_gone());
    let answer = w.dial(OLE, "ole", "*14", OFFER);
    assert_eq!(answer.status(), 200);
    w.ack_dialled(OLE, &answer);
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    assert!(!w.board.presence(ole).is_gone());
    misses(&mut w, "a3");
    assert!(w.board.presence(ole).is_free(), "counting began anew");
}

#[test]
fn c4_never_locks_nobody_and_answering_begins_the_count_anew() {
    let mut w = world();
    w.set(|s| s.lock_after = LockAfter::Never);
    w.register("ole", OLE);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    for n in 0..3 {
        misses(&mut w, &format!("a{n}"));
        assert!(w.board.presence(ole).is_free());
    }
    w.set(|s| s.lock_after = LockAfter::Missed(4));
    let offered = {
        while w.take(TRUNK).is_some() {}
        busy(&mut w, "b1", OLE)
    };
    hangs_up(&mut w, OLE, &offered);
    w.run(secs(6));
    misses(&mut w, "a9");
    assert!(w.board.presence(ole).is_free(), "the row of missed ones was over");
}

#[test]
fn b10_who_refused_is_not_offered_the_same_caller_at_once() {
    let mut w = world();
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    let ida = {
        let offered = busy(&mut w, "b0", OLE);
        let second = busy(&mut w, "b1", IDA);
        hangs_up(&mut w, OLE, &offered);
        w.run(secs(6));
        second
    };
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 603, "");
    w.request(OLE, Method::Ack);
    assert_eq!(offers(&w).last(), Some(&OfferResult::Refused));
    // Ida is busy: the caller waits for her.
    w.run(secs(9));
    w.nothing(OLE);
    hangs_up(&mut w, IDA, &ida);
    w.run(secs(6));
    assert!(ended(&w).iter().all(|(_, outcome)| *outcome == Outcome::Answered));
}

#[test]
fn c7_a_manager_who_becomes_free_after_the_plan_moved_on_gets_their_client() {
    let mut w = routed(
        "",
        r#"{ to = "manager", ring = "20s", wait = "20s" },
           { to = "person kai", ring = "20s", wait = "30s" },"#,
        r#"{ to = "role key_account_manager", ring = "20s", wait = "60s" },"#,
    );
    w.register("mia", MIA);
    w.register("kai", KAI);
    let first = busy(&mut w, "b1", MIA);
    let second = busy(&mut w, "b2", KAI);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(20));
    hangs_up(&mut w, MIA, &first);
    w.run(secs(5));
    w.request(MIA, Method::Invite);
    let step = w.events.iter().rev().find_map(|e| match e {
        What::Offered { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(step, Some(0), "her own queue gave her the call");
    hangs_up(&mut w, KAI, &second);
}

#[test]
fn c7_who_became_free_while_another_phone_rang_is_offered_the_call_that_it_refused() {
    let mut w = routed(
        "",
        r#"{ to = "manager", ring = "20s", wait = "5s" },
           { to = "person kai", ring = "20s", wait = "30s" },"#,
        r#"{ to = "role key_account_manager", ring = "20s", wait = "60s" },"#,
    );
    w.register("mia", MIA);
    let mia = busy(&mut w, "b1", MIA);
    w.register("kai", KAI);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(6));
    let offered = w.request(KAI, Method::Invite);
    w.reply(KAI, &offered, 180, "");
    hangs_up(&mut w, MIA, &mia);
    w.run(secs(6));
    w.reply(KAI, &offered, 603, "");
    // The last step has nobody left, but the manager has just been given the call.
    w.request(MIA, Method::Invite);
    assert_eq!(w.promises, 0);
}

/// What the register says of the end, and what the promise says.
fn reasons(w: &World) -> Vec<String> {
    let reason = |what: &What| match what {
        What::Promised { why, .. } => Some(why.to_string()),
        What::CallEnded { reason, .. } => Some(reason.to_string()),
        _ => None,
    };
    w.events.iter().filter_map(reason).collect()
}

#[test]
fn the_reason_of_a_promise_sums_up_why_nobody_could_be_reached() {
    let mut w = world();
    w.key_client("+493023125001");
    w.invite("03023125001", "r1", OFFER);
    let told = reasons(&w);
    assert_eq!(told.len(), 2);
    for why in told {
        for part in
            ["manager", "mia no phone registered; role key_account_manager: ", "kai no phone"]
        {
            assert!(why.contains(part), "{part} in {why}");
        }
    }
    let mut w = world();
    w.key_client("+493023125001");
    w.register("mia", MIA);
    w.invite("03023125001", "r2", OFFER);
    let offered = w.request(MIA, Method::Invite);
    w.reply(MIA, &offered, 603, "");
    for why in reasons(&w) {
        assert!(why.contains("mia did not take this call; role"), "{why}");
    }
}

#[test]
fn the_reason_of_a_promise_stays_short_however_many_are_away() {
    let mut w = routed("", OPERATORS, &format!("{OPERATORS}\n{{ to = \"role manager\" }},"));
    let mut many = rows();
    many.people.extend((0..50).map(|n| person(&format!("operator-{n}"), &["operator"], "support")));
    let directory = Directory::build(Some(&w.directory), many, LIMITS).expect("a directory");
    w.input(Input::Directory(Arc::new(directory)));
    w.invite("03023125009", "r3", OFFER);
    let told = reasons(&w);
    assert_eq!(told.len(), 2);
    for why in told {
        assert!(why.contains("…; role manager: mia no phone"), "{why}");
        assert!(why.chars().count() < 300, "{why}");
    }
}
