//! People who come, go for a moment and come back while callers wait (clauses B1, B10, C4, C7). Virtual time.

use std::sync::Arc;

use telefonist::domain::{Directory, LockAfter};
use telefonist::sip::Method;
use telefonist::switch::{Command, Input, Outcome, Party};

use super::plan::{HANS, busy, routed};
use super::world::{ANSWER, LIMITS, OFFER, TRUNK, World, absence, rows};
use super::{IDA, MIA, OLE, ended, secs, world};

const OPERATORS: &str = r#"{ to = "role operator", ring = "20s", wait = "60s" },"#;
const MANAGER: &str = r#"{ to = "manager", ring = "20s", wait = "30s" },"#;

fn refuses(w: &mut World, phone: &str, status: u16) {
    let offered = w.request(phone, Method::Invite);
    w.reply(phone, &offered, status, "");
    w.request(phone, Method::Ack);
}

fn misses(w: &mut World, phone: &str, after: u64) {
    let offered = w.request(phone, Method::Invite);
    w.reply(phone, &offered, 180, "");
    w.run(secs(after));
    let cancel = w.request(phone, Method::Cancel);
    w.reply(phone, &cancel, 200, "");
    w.reply(phone, &offered, 487, "");
    w.request(phone, Method::Ack);
}

#[test]
fn b1_who_registers_last_has_been_idle_for_shortest() {
    let mut w = world();
    w.register("ida", IDA);
    w.run(secs(3));
    w.register("ole", OLE);
    w.invite("03023125009", "a1", OFFER);
    w.request(IDA, Method::Invite);
    w.nothing(OLE);
}

#[test]
fn b1_a_phone_that_is_away_for_a_moment_costs_nobody_their_place() {
    for (away, first) in [(10, IDA), (31, OLE)] {
        let mut w = world();
        w.register("ida", IDA);
        w.run(secs(1));
        w.register("ole", OLE);
        w.run(secs(1));
        w.register_for("ida", IDA, 0, &[]);
        w.run(secs(away));
        w.register("ida", IDA);
        w.invite("03023125009", "a1", OFFER);
        w.request(first, Method::Invite);
    }
}

#[test]
fn c4_who_says_that_they_are_back_is_free_at_once() {
    for lock_after in [LockAfter::Missed(1), LockAfter::Never] {
        let mut w = world();
        w.set(|s| s.lock_after = lock_after);
        w.register("ole", OLE);
        let invite = w.invite("03023125009", "a1", OFFER);
        misses(&mut w, OLE, 20);
        w.cancel(&invite);
        w.command(Command::Resume { person: "ole".into() }).expect("known");
        let ole = w.directory.agent(&"ole".into()).expect("ole");
        let view = w.board.presence(ole);
        assert!(view.is_free() && view.flags.is_empty(), "{lock_after:?}: {view:?}");
        w.invite("03023125009", "a2", OFFER);
        w.request(OLE, Method::Invite);
    }
}

#[test]
fn b10_another_phone_does_not_undo_a_refusal() {
    let mut w = world();
    w.register("ida", IDA);
    busy(&mut w, "b1", IDA);
    w.register("ole", OLE);
    w.invite("03023125009", "a1", OFFER);
    refuses(&mut w, OLE, 600);
    w.run(secs(1));
    w.register_for("ole", OLE, 0, &[]);
    w.run(secs(1));
    w.register("ole", OLE);
    w.nothing(OLE);
    w.run(secs(9));
    w.request(OLE, Method::Invite);
}

#[test]
fn c7_who_comes_back_after_their_step_was_skipped_gets_their_caller() {
    let ole = r#"{ to = "person ole", ring = "20s", wait = "60s" },"#;
    let mut w = routed("", &format!("{MANAGER}\n{ole}"), OPERATORS);
    w.register("ole", OLE);
    busy(&mut w, "b1", OLE);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(5));
    w.register("mia", MIA);
    let offered = w.request(MIA, Method::Invite);
    w.reply(MIA, &offered, 200, ANSWER);
    w.request(MIA, Method::Ack);
    w.response(TRUNK, 200);
}

#[test]
fn c1_a_deputy_who_is_named_after_the_step_was_skipped_gets_the_caller() {
    let route = format!(
        "{MANAGER}\n{}\n{}",
        r#"{ to = "deputies of manager", ring = "20s", wait = "30s" },"#,
        r#"{ to = "person ole", ring = "20s", wait = "60s" },"#
    );
    let mut w = routed("", &route, OPERATORS);
    w.register("ole", OLE);
    w.register("hans", HANS);
    busy(&mut w, "b1", OLE);
    w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(5));
    w.nothing(HANS);
    let mut changed = rows();
    changed.absences.push(absence("mia", "2026-03-03", "2026-03-03", Some("hans")));
    let directory = Directory::build(Some(&w.directory), changed, LIMITS).expect("a directory");
    w.input(Input::Directory(Arc::new(directory)));
    w.request(HANS, Method::Invite);
}

#[test]
fn i6_who_is_free_when_the_last_phone_has_rung_out_is_offered_the_caller() {
    let route = r#"{ to = "person ole", ring = "20s", wait = "10s" },
                   { to = "person ida", ring = "20s", wait = "10s" },"#;
    let mut w = routed("", route, OPERATORS);
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    // ida is not there when her step comes, and is when ole has let it ring.
    w.run(secs(12));
    w.register("ida", IDA);
    w.nothing(IDA);
    w.run(secs(8));
    w.request(OLE, Method::Cancel);
    w.reply(OLE, &offered, 487, "");
    misses(&mut w, IDA, 20);
    assert_eq!(ended(&w), [(Party::Server, Outcome::CallbackPromised)], "and then it is over");
}
