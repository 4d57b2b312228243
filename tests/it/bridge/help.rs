//! Groups that help another (clause B7) in virtual time: two thresholds, nobody of the group there, and
//! what a reload does.

use std::sync::Arc;
use std::time::Duration;

use telefonist::domain::{Directory, GroupName, Order, Orders};
use telefonist::policy::{Names, Policy, Sources};
use telefonist::sip::Method;
use telefonist::switch::{Command, Input, What};

use super::plan::{busy, hangs_up, routed};
use super::world::{CALENDARS, LIMITS, OFFER, TRUNK, World, rows, settings};
use super::{IDA, KAI, MIA, OLE, secs};

const MANAGER: &str = r#"{ to = "manager", ring = "20s", wait = "60s" },"#;
const OPERATORS: &str = r#"{ to = "role operator", ring = "20s", wait = "200s" },"#;

/// Key-account managers help the operators after 20 s, until the wait is below `closes_at`.
fn helped(closes_at: &str) -> World {
    let help = format!(
        "[[help]]\ngroup = \"operator\"\nhelpers = [\"key_account_manager\"]\nclause = \"B7\"\n\
         opens_at = \"20s\"\ncloses_at = \"{closes_at}\"\n"
    );
    let mut w = routed(&help, MANAGER, OPERATORS);
    w.register("ole", OLE);
    w.run(secs(0));
    w
}

fn calls(w: &mut World, call_id: &str) {
    w.invite("03023125002", call_id, OFFER);
    w.response(TRUNK, 180);
}

/// The head of sales gives an order.
fn order(w: &mut World, order: Order) {
    let hans = (&"hans".into(), "2026-03-03T10:00:00Z".parse().expect("a time"));
    let orders = Orders::default().with(order, hans).expect("taken");
    let directory = Directory::build_with(Some(&w.directory), rows(), orders, LIMITS);
    w.directory = Arc::new(directory.expect("a directory"));
    w.input(Input::Directory(w.directory.clone()));
    w.run(secs(0));
}

/// What was said of help, in order.
fn said(w: &World) -> Vec<String> {
    let said = w.events.iter().filter_map(|e| match e {
        What::Changed { what, detail, .. } if &**what == "help" => Some(detail.to_string()),
        _ => None,
    });
    said.collect()
}

#[test]
fn b7_helpers_are_offered_calls_when_the_wait_has_passed_the_threshold() {
    let mut w = helped("10s");
    busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    calls(&mut w, "a1");
    w.run(secs(20));
    w.nothing(KAI);
    w.run(secs(1));
    w.request(KAI, Method::Invite);
    let why = w.events.iter().rev().find_map(|e| match e {
        What::Offered { why, .. } => why.clone(),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("helps operator (B7)"));
    assert!(said(&w).contains(&"for operator open: the longest wait is 20 s (B7)".to_owned()));
}

/// Two callers, the second 12 s later; what mia gets when the first has gone to kai.
fn second(closes_at: &str) -> World {
    let mut w = helped(closes_at);
    busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    w.register("mia", MIA);
    calls(&mut w, "a1");
    w.run(secs(12));
    calls(&mut w, "a2");
    w.run(secs(9));
    w
}

#[test]
fn b7_helpers_stop_when_the_wait_is_below_the_lower_threshold() {
    let mut w = second("10s");
    // At 20 s help was open for both: whoever stands in line is offered to who is idle.
    let first = [KAI, MIA].map(|phone| w.take(phone).is_some());
    assert_eq!(first, [true, true]);
    w.run(secs(1));
    assert!(said(&w).last().is_some_and(|s| s.contains("closed: the longest wait is 0 s")));
    let queue = w.directory.group(&"operator".into()).expect("a group").queue;
    assert!(!w.board.is_help_open(queue));
}

#[test]
fn b7_between_the_thresholds_help_stays_open() {
    let mut w = helped("10s");
    busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    calls(&mut w, "a1");
    w.run(secs(5));
    calls(&mut w, "a2");
    w.run(secs(16));
    w.request(KAI, Method::Invite);
    // The second has waited for 16 s: below 20 s, above 10 s.
    w.register("mia", MIA);
    w.run(secs(0));
    w.request(MIA, Method::Invite);
}

#[test]
fn b4_helpers_take_the_calls_at_once_while_nobody_of_the_group_is_there() {
    let mut w = helped("10s");
    w.register("kai", KAI);
    w.command(Command::Logout { person: "ole".into() }).expect("known");
    w.run(secs(0));
    calls(&mut w, "a1");
    // Kai is in the hand of this worker, which was rung for.
    w.run(secs(0));
    w.request(KAI, Method::Invite);
    w.command(Command::Login { person: "ole".into() }).expect("known");
    w.run(secs(0));
    calls(&mut w, "a2");
    w.request(OLE, Method::Invite);
    assert!(said(&w).last().is_some_and(|s| s.contains("closed")), "{:?}", said(&w));
}

#[test]
fn b4_helpers_take_the_calls_at_once_when_the_last_position_of_the_group_is_closed() {
    let mut w = helped("10s");
    w.register("kai", KAI);
    order(&mut w, Order::ClosePosition { person: "ole".into() });
    calls(&mut w, "a1");
    w.run(secs(0));
    w.request(KAI, Method::Invite);
    w.nothing(OLE);
}

#[test]
fn b7_a_helper_prefers_nobody_who_came_later_and_rests_like_everybody() {
    let mut w = helped("10s");
    let ole = busy(&mut w, "b1", OLE);
    w.register("ida", IDA);
    calls(&mut w, "a1");
    w.request(IDA, Method::Invite);
    hangs_up(&mut w, OLE, &ole);
    w.run(secs(60));
    w.take_at_host("192.0.2.21");
    w.register("kai", KAI);
    w.run(secs(1));
    w.nothing(KAI);
}

#[test]
fn b7_helpers_are_offered_calls_at_once_when_an_order_moves_the_last_of_the_group_away() {
    let mut w = helped("10s");
    busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    calls(&mut w, "a1");
    w.run(secs(5));
    w.nothing(KAI);
    let to = GroupName::parse("shift_leader").expect("a group's name");
    order(&mut w, Order::Move { person: "ole".into(), to, from: None });
    w.request(KAI, Method::Invite);
}

#[test]
fn b7_a_member_comes_before_a_helper_who_has_been_idle_for_longer() {
    let mut w = helped("10s");
    let ole = busy(&mut w, "b1", OLE);
    w.register("kai", KAI);
    w.register("mia", MIA);
    calls(&mut w, "a1");
    w.run(Duration::from_millis(15_300));
    hangs_up(&mut w, OLE, &ole);
    w.run(Duration::from_millis(5_200));
    // A helper has the caller, and help stays open until somebody looks again.
    let helps = [KAI, MIA].map(|phone| w.take(phone).is_some());
    assert_eq!(helps.iter().filter(|helps| **helps).count(), 1);
    let queue = w.directory.group(&"operator".into()).expect("a group").queue;
    assert!(w.board.is_help_open(queue));
    w.invite("03023125002", "a2", OFFER);
    w.request(OLE, Method::Invite);
    let other = if helps[0] { MIA } else { KAI };
    w.nothing(other);
}

#[test]
fn b7_a_reload_without_help_closes_it_at_once() {
    let mut w = helped("10s");
    busy(&mut w, "b1", OLE);
    calls(&mut w, "a1");
    w.run(secs(21));
    let queue = w.directory.group(&"operator".into()).expect("a group").queue;
    assert!(w.board.is_help_open(queue));
    let text = w.policy.text().to_string();
    let (before, rest) = text.split_once("[[help]]").expect("help");
    let rules = &rest[rest.find("[[rule]]").expect("rules")..];
    let text = format!("{before}{rules}");
    let sources =
        Sources { policy: ("policy.toml", &text), calendars: ("calendars.toml", CALENDARS) };
    let policy = Policy::compile(&sources, &w.directory, &Names::of(&settings()));
    w.input(Input::Policy(Arc::new(policy.expect("a good policy"))));
    w.run(secs(0));
    assert!(!w.board.is_help_open(queue));
    w.register("kai", KAI);
    w.run(secs(5));
    w.nothing(KAI);
}
