//! A supervisor's hand (clause B8), and people who change while somebody waits (C1, C7, I6, I19).

use std::sync::Arc;

use telefonist::domain::{Absence, CallKey, Directory, GroupName, Order, Orders};
use telefonist::sip::{Header, Message, Method};
use telefonist::switch::{Command, Input, What};

use super::plan::{HANS, busy, hangs_up, routed};
use super::world::{ANSWER, LIMITS, OFFER, TRUNK, World, absence, rows};
use super::{IDA, KAI, MIA, OLE, secs};

const OPERATORS: &str = r#"{ to = "role operator", ring = "20s", wait = "60s" },
                           { to = "person hans", ring = "20s", wait = "30s" },"#;
const MANAGER: &str = r#"{ to = "manager", ring = "20s", wait = "60s" },
                         { to = "deputies of manager", ring = "20s", wait = "60s", clause = "C1" },
                         { to = "person hans", ring = "20s", wait = "30s" },"#;

const PEOPLE: &str = r#"{ to = "person mia", ring = "20s", wait = "0s" },
                        { to = "person kai", ring = "20s", wait = "0s" },
                        { to = "person hans", ring = "20s", wait = "30s" },"#;

fn group(name: &str) -> GroupName {
    GroupName::parse(name).expect("a group's name")
}

fn moved(person: &str, to: &str) -> Order {
    Order::Move { person: person.into(), to: group(to), from: None }
}

fn close(name: &str) -> Order {
    Order::Close { group: group(name) }
}

fn close_position(person: &str) -> Order {
    Order::ClosePosition { person: person.into() }
}

/// From now on the directory has these absences, and what `hans` ordered.
fn take(w: &mut World, absences: Vec<Absence>, orders: &[Order]) {
    let mut all = Orders::default();
    for order in orders {
        all = all
            .with(order.clone(), (&"hans".into(), "2026-03-03T10:00:00Z".parse().expect("a time")))
            .expect("taken");
    }
    let mut rows = rows();
    rows.absences = absences;
    let directory = Directory::build_with(Some(&w.directory), rows, all, LIMITS);
    w.directory = Arc::new(directory.expect("a directory"));
    w.input(Input::Directory(w.directory.clone()));
}

/// Why each step began.
fn steps(w: &World) -> Vec<(String, String)> {
    let began = w.events.iter().filter_map(|e| match e {
        What::StepBegan { to, why, .. } => Some((to.to_string(), why.to_string())),
        _ => None,
    });
    began.collect()
}

#[test]
fn c1_a_deputy_who_is_named_while_the_caller_waits_gets_the_call() {
    let mut w = routed("", MANAGER, PEOPLE);
    w.register("mia", MIA);
    w.register("kai", KAI);
    busy(&mut w, "b1", MIA);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    take(&mut w, vec![absence("mia", "2026-03-03", "2026-03-05", Some("kai"))], &[]);
    w.request(KAI, Method::Invite);
    let offered = w.events.iter().rev().find_map(|e| match e {
        What::Offered { agent, stands_in_for, .. } => Some((agent.clone(), stands_in_for.clone())),
        _ => None,
    });
    assert_eq!(offered, Some(("kai".into(), Some("mia".into()))));
}

#[test]
fn c1_another_deputy_who_is_named_while_the_caller_waits_for_the_first_gets_the_call() {
    let mut w = routed("", MANAGER, PEOPLE);
    let away = |deputy| vec![absence("mia", "2026-03-03", "2026-03-05", Some(deputy))];
    take(&mut w, away("kai"), &[]);
    w.register("kai", KAI);
    w.register("ida", IDA);
    let kai = busy(&mut w, "b1", KAI);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.nothing(IDA);
    take(&mut w, away("ida"), &[]);
    w.request(IDA, Method::Invite);
    hangs_up(&mut w, KAI, &kai);
    w.run(secs(6));
    w.nothing(KAI);
}

#[test]
fn b8_who_waits_in_a_queue_that_is_closed_goes_on_and_it_is_said_who_closed_it() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    let ole = busy(&mut w, "b1", OLE);
    w.register("hans", HANS);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    w.nothing(HANS);
    take(&mut w, vec![], &[close("operator")]);
    w.request(HANS, Method::Invite);
    let (to, why) = steps(&w).pop().expect("a step");
    assert_eq!(to, "person hans");
    assert_eq!(why, "role operator: the queue is closed by hans (B8)");
    hangs_up(&mut w, OLE, &ole);
    w.run(secs(10));
    w.nothing(OLE);
}

#[test]
fn b8_a_closed_queue_takes_nobody_until_it_is_opened() {
    let mut w = routed("", MANAGER, OPERATORS);
    take(&mut w, vec![], &[close("operator")]);
    w.register("ole", OLE);
    w.register("hans", HANS);
    w.invite("03023125002", "a1", OFFER);
    w.request(HANS, Method::Invite);
    w.nothing(OLE);
    take(&mut w, vec![], &[]);
    w.invite("03023125003", "a2", OFFER);
    w.request(OLE, Method::Invite);
}

#[test]
fn b8_a_phone_that_rings_when_its_queue_is_closed_may_still_answer() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("hans", HANS);
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    take(&mut w, vec![], &[close("operator")]);
    w.nothing(OLE);
    w.nothing(HANS);
    w.reply(OLE, &offered, 603, "");
    w.request(OLE, Method::Ack);
    w.request(HANS, Method::Invite);
}

#[test]
fn b8_an_idle_agent_who_is_moved_gets_the_waiting_caller_at_once() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    w.nothing(KAI);
    take(&mut w, vec![], &[moved("kai", "operator")]);
    // The board rang for us.
    w.run(secs(0));
    w.request(KAI, Method::Invite);
}

#[test]
fn b8_who_was_moved_away_is_offered_nothing_of_the_old_group_whatever_they_do() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    take(&mut w, vec![], &[moved("ole", "key_account_manager")]);
    for code in ["*14", "*12", "*11"] {
        w.dial(OLE, "ole", code, OFFER);
    }
    w.register("ole", OLE);
    w.run(secs(60));
    w.take_at_host("192.0.2.30");
    w.register("hans", HANS);
    w.invite("03023125002", "a1", OFFER);
    w.request(HANS, Method::Invite);
    w.nothing(OLE);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert_eq!(w.board.queues_of(ole), w.directory.queues_of(ole));
}

#[test]
fn b8_an_agent_who_is_moved_during_an_offer_keeps_it_and_is_moved_afterwards() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    take(&mut w, vec![], &[moved("ole", "key_account_manager")]);
    w.register("ida", IDA);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.in_dialog(&ok, Method::Bye, 2, "");
    w.run(secs(60));
    w.take_at_host("192.0.2.30");
    w.invite("03023125003", "a2", OFFER);
    w.request(IDA, Method::Invite);
    w.nothing(OLE);
}

#[test]
fn b8_who_waits_for_somebody_whose_position_is_closed_goes_on_and_has_them_again_when_it_opens() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("mia", MIA);
    w.register("hans", HANS);
    w.talk("03023125002", "b2", HANS);
    let mia = w.talk("03023125001", "b1", MIA).0;
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    take(&mut w, vec![], &[close_position("mia")]);
    let (to, why) = steps(&w).pop().expect("a step");
    assert_eq!(to, "person hans");
    assert!(why.contains("mia is not absent"), "{why}");
    let left = &steps(&w)[steps(&w).len() - 2].1;
    assert_eq!(left, "manager: mia position closed by hans (B8)");
    // Her call goes on and ends as any other; then nothing is offered to her.
    hangs_up(&mut w, MIA, &mia);
    w.run(secs(6));
    w.nothing(MIA);
    take(&mut w, vec![], &[]);
    w.request(MIA, Method::Invite);
}

#[test]
fn b8_whose_position_is_closed_is_offered_nothing_whatever_they_do() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("hans", HANS);
    take(&mut w, vec![], &[close_position("ole")]);
    for code in ["*14", "*12", "*11"] {
        w.dial(OLE, "ole", code, OFFER);
    }
    w.register("ole", OLE);
    w.run(secs(90));
    w.take_at_host("192.0.2.30");
    w.register("ida", IDA);
    let ida = busy(&mut w, "b1", IDA);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    w.nothing(OLE);
    w.nothing(HANS);
    hangs_up(&mut w, IDA, &ida);
    w.run(secs(6));
    let offered = w.request(IDA, Method::Invite);
    w.reply(IDA, &offered, 603, "");
    w.request(HANS, Method::Invite);
    let (to, why) = steps(&w).pop().expect("a step");
    assert_eq!(to, "person hans");
    assert!(why.starts_with("role operator: ole position closed by hans (B8), ida "), "{why}");
    w.nothing(OLE);
}

#[test]
fn b8_a_phone_that_rings_when_its_position_is_closed_may_answer_and_who_refuses_gets_no_more() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("hans", HANS);
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    take(&mut w, vec![], &[close_position("ole")]);
    w.nothing(OLE);
    w.nothing(HANS);
    w.reply(OLE, &offered, 603, "");
    w.request(OLE, Method::Ack);
    w.request(HANS, Method::Invite);
}

#[test]
fn b8_who_says_ready_on_a_closed_position_hears_that_it_is_closed_and_is_ready_when_it_opens() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.dial(OLE, "ole", "*13", OFFER);
    w.run(secs(60));
    w.take_at_host("192.0.2.30");
    take(&mut w, vec![], &[close_position("ole")]);
    for code in ["*11", "*15", "*14"] {
        let answer = w.dial(OLE, "ole", code, OFFER);
        assert_eq!(answer.status(), 480, "{code}: {answer:?}");
        assert_eq!(answer.reason(), "Position Closed");
        let reason = answer.header(Header::Reason).expect("a reason");
        assert_eq!(reason, "SIP;cause=480;text=\"your position is closed by hans\"");
        assert!(answer.header(Header::Warning).expect("a warning").starts_with("399 "));
    }
    // What says "not ready" is done, and so it is answered.
    for code in ["*13", "*12"] {
        assert_eq!(w.dial(OLE, "ole", code, OFFER).status(), 200, "{code}");
    }
    w.dial(OLE, "ole", "*11", OFFER);
    w.run(secs(60));
    w.take_at_host("192.0.2.30");
    take(&mut w, vec![], &[]);
    w.invite("03023125002", "a1", OFFER);
    w.request(OLE, Method::Invite);
}

#[test]
fn b8_a_break_outlives_the_opening_of_a_position() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("hans", HANS);
    take(&mut w, vec![], &[close_position("ole")]);
    w.dial(OLE, "ole", "*13", OFFER);
    w.run(secs(60));
    w.take_at_host("192.0.2.30");
    take(&mut w, vec![], &[]);
    w.invite("03023125002", "a1", OFFER);
    w.request(HANS, Method::Invite);
    w.nothing(OLE);
}

#[test]
fn b8_no_call_is_moved_to_a_closed_position() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("mia", MIA);
    busy(&mut w, "b1", OLE);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let call = arrived(&w);
    take(&mut w, vec![], &[close_position("mia")]);
    let why = move_call(&mut w, call, "mia", "hans").expect_err("refused");
    assert!(why.contains("mia position closed by hans (B8)"), "{why}");
    assert!(why.contains("stays where it is"), "{why}");
}

#[test]
fn agents_are_shown_since_what_they_do_began() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.run(secs(100));
    let since = |w: &mut World| {
        let agents = w.command(Command::Agents).expect("a list");
        let ole = agents.as_array().into_iter().flatten().find(|a| a["person"] == "ole").cloned();
        let ole = ole.expect("ole is there");
        (ole["state"].as_str().expect("a state").to_owned(), ole["since_s"].as_u64())
    };
    assert_eq!(since(&mut w), ("ready".to_owned(), Some(100)));
    let (ole, ok) = w.talk("03023125002", "b1", OLE);
    w.run(secs(30));
    assert_eq!(since(&mut w), ("talking".to_owned(), Some(30)));
    w.in_dialog(&ok, Method::Bye, 2, "");
    drop(ole);
    w.run(secs(3));
    assert_eq!(since(&mut w), ("wrap_up".to_owned(), Some(3)));
    take(&mut w, vec![], &[close_position("ole")]);
    w.run(secs(40));
    assert_eq!(since(&mut w), ("not_ready".to_owned(), Some(40)));
    take(&mut w, vec![], &[]);
    w.run(secs(2));
    assert_eq!(since(&mut w), ("ready".to_owned(), Some(2)));
}

/// The newest call.
fn arrived(w: &World) -> CallKey {
    let call = w.events.iter().rev().find_map(|e| match e {
        What::CallArrived { call, .. } => Some(*call),
        _ => None,
    });
    call.expect("a call")
}

fn move_call(w: &mut World, call: CallKey, to: &str, by: &str) -> Result<(), String> {
    let moved = w.command(Command::MoveCall { call, to: to.into(), supervisor: by.into() });
    moved.map(drop).map_err(|refusal| refusal.error.to_string())
}

fn is_from(offered: &Message, number: &str) -> bool {
    offered.header(Header::From).is_some_and(|from| from.contains(number))
}

#[test]
fn b8_a_waiting_call_that_is_moved_keeps_its_place() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    let ole = busy(&mut w, "b1", OLE);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let first = arrived(&w);
    w.register("mia", MIA);
    let mia = busy_with_mia(&mut w);
    w.run(secs(5));
    w.invite("03023125001", "a2", OFFER);
    w.response(TRUNK, 180);
    move_call(&mut w, first, "mia", "hans").expect("moved");
    let (to, why) = steps(&w).pop().expect("a step");
    assert_eq!(to, "person mia, moved by hans");
    assert_eq!(why, "moved by hans (command by test)");
    hangs_up(&mut w, OLE, &ole);
    w.run(secs(6));
    w.nothing(OLE);
    hangs_up(&mut w, MIA, &mia);
    w.run(secs(6));
    let offered = w.request(MIA, Method::Invite);
    assert!(is_from(&offered, "+493023125002"), "who came first");
}

/// Mia takes a call of the key client's.
fn busy_with_mia(w: &mut World) -> Message {
    w.talk("03023125001", "b2", MIA).0
}

#[test]
fn b8_a_call_that_rings_when_it_is_moved_rings_on_and_is_not_lost() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.register("kai", KAI);
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    let call = arrived(&w);
    move_call(&mut w, call, "kai", "hans").expect("moved");
    w.nothing(OLE);
    w.nothing(KAI);
    w.reply(OLE, &offered, 603, "");
    w.request(OLE, Method::Ack);
    w.request(KAI, Method::Invite);
}

#[test]
fn b8_a_move_that_cannot_be_is_refused_in_words_and_the_call_stays() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.invite("03023125002", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    let call = arrived(&w);
    let refused =
        |w: &mut World, to: &str, by: &str| move_call(w, call, to, by).expect_err("refused");
    assert!(refused(&mut w, "kai", "ole").contains("leads no department"));
    assert!(refused(&mut w, "kai", "nobody").contains("nobody is called nobody"));
    assert!(refused(&mut w, "nobody", "hans").contains("neither a person nor a group"));
    let gone = refused(&mut w, "key_account_manager", "hans");
    assert!(
        gone.contains("kai no phone registered") && gone.contains("stays where it is"),
        "{gone}"
    );
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    assert!(refused(&mut w, "ole", "hans").contains("was answered by ole"));
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.in_dialog(&ok, Method::Bye, 2, "");
    assert!(refused(&mut w, "ole", "hans").contains("is up"));
}

#[test]
fn b8_a_call_is_not_moved_to_where_it_waits_alone_but_to_one_of_its_queues() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("hans", HANS);
    w.talk("03023125003", "b2", HANS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let call = arrived(&w);
    let before = steps(&w).len();
    let why = move_call(&mut w, call, "operator", "hans").expect_err("refused");
    assert!(why.contains("waits for role operator already"), "{why}");
    assert_eq!(steps(&w).len(), before, "nothing begins");
    // Who waits for Hans as well may be taken to the operators alone.
    w.run(secs(61));
    assert_eq!(steps(&w).pop().expect("a step").0, "person hans");
    move_call(&mut w, call, "operator", "hans").expect("moved");
    let why = move_call(&mut w, call, "operator", "hans").expect_err("refused");
    assert!(why.contains("waits for role operator already"), "{why}");
}

/// A key client waits for Hans, who is on a call, as Ole is; what Hans was offered.
fn waits_for_hans(route: &str) -> (World, Message) {
    let mut w = routed("", route, OPERATORS);
    w.register("hans", HANS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    let hans = w.talk("03023125001", "b2", HANS).0;
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    (w, hans)
}

#[test]
fn b8_whom_the_hand_took_a_call_from_a_later_step_may_name() {
    let route = r#"{ to = "person hans", ring = "20s", wait = "60s" },
                   { to = "head of support", ring = "20s", wait = "60s" },"#;
    let (mut w, hans) = waits_for_hans(route);
    let call = arrived(&w);
    move_call(&mut w, call, "operator", "hans").expect("moved");
    hangs_up(&mut w, HANS, &hans);
    w.run(secs(6));
    w.nothing(HANS);
    w.run(secs(61));
    assert_eq!(steps(&w).pop().expect("a step").0, "head of support");
    w.request(HANS, Method::Invite);
}

#[test]
fn b8_a_call_that_was_moved_to_somebody_whose_phone_says_busy_waits_for_them() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.register("mia", MIA);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let call = arrived(&w);
    move_call(&mut w, call, "mia", "hans").expect("moved");
    let offered = w.request(MIA, Method::Invite);
    w.reply(MIA, &offered, 486, "");
    w.request(MIA, Method::Ack);
    w.nothing(TRUNK);
    w.run(secs(11));
    w.request(MIA, Method::Invite);
    assert_eq!(steps(&w).pop().expect("a step").0, "person mia, moved by hans");
}

#[test]
fn b10_whom_a_step_let_go_of_a_later_one_may_name() {
    let route = r#"{ to = "person hans", ring = "20s", wait = "20s" },
                   { to = "role operator", ring = "20s", wait = "20s", only = true },
                   { to = "head of support", ring = "20s", wait = "60s" },"#;
    let (mut w, hans) = waits_for_hans(route);
    w.run(secs(41));
    assert_eq!(steps(&w).pop().expect("a step").0, "head of support");
    hangs_up(&mut w, HANS, &hans);
    w.run(secs(6));
    w.request(HANS, Method::Invite);
}

#[test]
fn b8_a_queue_that_opens_again_holds_those_whom_its_closing_sent_on() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("hans", HANS);
    w.talk("03023125003", "b2", HANS);
    w.register("ole", OLE);
    let ole = busy(&mut w, "b1", OLE);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    take(&mut w, vec![], &[close("operator")]);
    assert_eq!(steps(&w).pop().expect("a step").0, "person hans");
    take(&mut w, vec![], &[]);
    hangs_up(&mut w, OLE, &ole);
    w.run(secs(6));
    w.request(OLE, Method::Invite);
}

#[test]
fn b8_a_moved_call_goes_on_when_its_new_queue_closes() {
    let mut w = routed("", MANAGER, OPERATORS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.register("mia", MIA);
    busy_with_mia(&mut w);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    let call = arrived(&w);
    move_call(&mut w, call, "operator", "hans").expect("moved");
    w.register("hans", HANS);
    take(&mut w, vec![], &[close("operator")]);
    w.request(HANS, Method::Invite);
}
