//! Calls bridged by one switch: what every party hears, and what is written down.

mod back;
mod company;
mod early;
mod edges;
mod help;
#[cfg(feature = "shell")]
mod kills;
mod manners;
mod orders;
mod outcomes;
mod plan;
mod relays;
mod storm;
mod strategies;
mod streams;
mod talk;
mod torture;
mod trust;
mod world;

use std::time::Duration;

use telefonist::acd::AgentState;
use telefonist::call::{Before, Survivor};
use telefonist::domain::{CallKey, ShardId};
use telefonist::sip::{Header, Method};
use telefonist::switch::{Command, Cut, Direction, Journalled, OfferResult, Outcome, Party, What};
use world::{ANSWER, CARRIER, OFFER, TRUNK, World};

const MIA: &str = "192.0.2.20:5060";
const KAI: &str = "192.0.2.21:5060";
const OLE: &str = "192.0.2.30:5060";
const IDA: &str = "192.0.2.31:5060";

const POLICY: &str = r#"
[settings]
default_department = "support"
callback_owner = "person hans"

[[rule]]
name   = "key client"
clause = "B2"
when   = { client_type = "key" }
route  = [
  { to = "manager",                  ring = "20s", wait = "40s" },
  { to = "role key_account_manager", ring = "20s", wait = "30s" },
  { to = "callback" },
]

[[rule]]
name   = "everybody else"
clause = "B4"
route  = [
  { to = "role operator", ring = "20s", wait = "60s" },
  { to = "callback" },
]
"#;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world() -> World {
    World::new(POLICY)
}

fn offers(world: &World) -> Vec<OfferResult> {
    let ended = world.events.iter().filter_map(|e| match e {
        What::OfferEnded { result, .. } => Some(*result),
        _ => None,
    });
    ended.collect()
}

fn ended(world: &World) -> Vec<(Party, Outcome)> {
    let ended = world.events.iter().filter_map(|e| match e {
        What::CallEnded { by, outcome, .. } => Some((*by, *outcome)),
        _ => None,
    });
    ended.collect()
}

#[test]
fn an_operator_answers_and_the_caller_hangs_up() {
    let mut w = world();
    w.register("ole", OLE);
    let invite = w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    let offered = w.request(OLE, Method::Invite);
    assert!(offered.header(Header::From).is_some_and(|f| f.contains("sip:+493023125001@")));
    assert_ne!(offered.call_id(), invite.call_id());
    w.reply(OLE, &offered, 180, "");
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    let ok = w.response(TRUNK, 200);
    assert!(String::from_utf8_lossy(&ok.body()).contains("m=audio 5000"));
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.run(secs(5));
    w.in_dialog(&ok, Method::Bye, 2, "");
    w.response(TRUNK, 200);
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Answered)]);
    w.assert_quiet();
}

#[test]
fn the_agent_rests_after_the_call_and_then_is_free() {
    let mut w = world();
    w.register("ole", OLE);
    let agent = w.directory.agent(&"ole".into()).expect("ole");
    let (offered, _) = w.talk("03023125001", "a1", OLE);
    assert_eq!(w.board.presence(agent).state, AgentState::Talking);
    w.phone_sends(OLE, &offered, Method::Bye, "");
    w.response(OLE, 200);
    w.request(TRUNK, Method::Bye);
    assert_eq!(w.board.presence(agent).state, AgentState::Wrap);
    w.run(secs(6));
    assert_eq!(w.board.presence(agent).state, AgentState::Free);
    assert_eq!(ended(&w), [(Party::Callee, Outcome::Answered)]);
}

#[test]
fn a_caller_who_gives_up_while_it_rings_frees_the_phone() {
    let mut w = world();
    w.register("ole", OLE);
    let invite = w.invite("03023125001", "a1", OFFER);
    w.response(TRUNK, 180);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.cancel(&invite);
    w.response(TRUNK, 200);
    let failure = w.response(TRUNK, 487);
    w.ack_failure(TRUNK, &invite, &failure);
    let cancel = w.request(OLE, Method::Cancel);
    w.reply(OLE, &cancel, 200, "");
    w.reply(OLE, &offered, 487, "");
    w.request(OLE, Method::Ack);
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Abandoned)]);
    assert_eq!(offers(&w), [OfferResult::CallerGone]);
    let agent = w.directory.agent(&"ole".into()).expect("ole");
    assert!(w.board.presence(agent).is_free());
    w.assert_quiet();
}

#[test]
fn a_phone_that_answers_after_cancel_is_acknowledged_and_hung_up() {
    let mut w = world();
    w.register("ole", OLE);
    let invite = w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 180, "");
    w.cancel(&invite);
    w.request(OLE, Method::Cancel);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    let bye = w.request(OLE, Method::Bye);
    assert!(!bye.has(Header::Reason), "nobody else has the call: it was missed");
    w.reply(OLE, &bye, 200, "");
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Abandoned)]);
    w.assert_quiet();
}

#[test]
fn b2_a_manager_who_does_not_answer_is_locked_and_a_colleague_rings() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("mia", MIA);
    w.register("kai", KAI);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(MIA, Method::Invite);
    assert!(offered.header(Header::From).is_some_and(|f| f.contains("ACME")), "{offered:?}");
    w.reply(MIA, &offered, 180, "");
    w.run(secs(19));
    w.nothing(KAI);
    w.run(secs(1));
    w.request(MIA, Method::Cancel);
    w.reply(MIA, &offered, 487, "");
    w.request(KAI, Method::Invite);
    assert_eq!(offers(&w), [OfferResult::NoAnswer]);
    let mia = w.directory.agent(&"mia".into()).expect("mia");
    assert!(w.board.presence(mia).is_gone(), "C4: locked until back");
    w.command(Command::Resume { person: "mia".into() }).expect("known");
    assert!(!w.board.presence(mia).is_gone());
}

#[test]
fn c7_a_manager_who_is_gone_is_skipped_at_once() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("kai", KAI);
    w.invite("03023125001", "a1", OFFER);
    w.request(KAI, Method::Invite);
    let steps = w.events.iter().filter(|e| matches!(e, What::StepBegan { .. })).count();
    assert_eq!(steps, 2);
}

#[test]
fn c7_a_busy_manager_is_waited_for_and_steps_add_up() {
    let mut w = world();
    w.key_client("+493023125001");
    w.register("mia", MIA);
    w.invite("03023125001", "a1", OFFER);
    let first = w.request(MIA, Method::Invite);
    w.reply(MIA, &first, 200, ANSWER);
    w.request(MIA, Method::Ack);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.invite("03023125001", "a2", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(45));
    w.nothing(MIA);
    // The second step has begun; the manager's own queue still holds the call.
    w.phone_sends(MIA, &first, Method::Bye, "");
    w.response(MIA, 200);
    w.run(secs(6));
    w.request(MIA, Method::Invite);
}

#[test]
fn nobody_there_is_a_promise_and_480() {
    let mut w = world();
    let invite = w.invite("03023125001", "a1", OFFER);
    let failure = loop {
        let message = w.next(TRUNK);
        if message.status() >= 300 {
            break message;
        }
    };
    assert_eq!(failure.status(), 480);
    assert_eq!(failure.header(Header::Reason), Some("Q.850;cause=19"));
    w.ack_failure(TRUNK, &invite, &failure);
    assert_eq!(w.promises, 1);
    assert_eq!(ended(&w), [(Party::Server, Outcome::CallbackPromised)]);
    w.assert_quiet();
}

#[test]
fn a_refusal_sends_the_call_to_somebody_else_and_locks_nobody() {
    let mut w = world();
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 603, "");
    w.request(OLE, Method::Ack);
    w.request(IDA, Method::Invite);
    assert_eq!(offers(&w), [OfferResult::Refused]);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(!w.board.presence(ole).is_gone());
    w.run(secs(11));
    assert!(w.board.presence(ole).is_free(), "the back-off is over");
}

#[test]
fn of_two_phones_the_first_to_answer_wins() {
    let second = "192.0.2.32:5060";
    let mut w = world();
    w.register("ole", OLE);
    w.register("ole", second);
    w.invite("03023125001", "a1", OFFER);
    let (a, b) = (w.request(OLE, Method::Invite), w.request(second, Method::Invite));
    w.reply(OLE, &a, 180, "");
    w.reply(second, &b, 180, "");
    w.reply(second, &b, 200, ANSWER);
    w.request(second, Method::Ack);
    let cancel = w.request(OLE, Method::Cancel);
    let reason = cancel.header(Header::Reason).unwrap_or_default();
    assert!(reason.contains("Call completed elsewhere"), "{reason}");
    // The loser answers all the same: acknowledged and hung up.
    w.reply(OLE, &a, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.request(OLE, Method::Bye);
}

#[test]
fn a_silent_phone_is_unreachable_after_four_seconds_and_its_owner_not_locked() {
    let mut w = world();
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    w.invite("03023125001", "a1", OFFER);
    w.request(OLE, Method::Invite);
    w.run(secs(4));
    w.request(IDA, Method::Invite);
    assert_eq!(offers(&w), [OfferResult::Unreachable]);
    assert!(w.events.iter().any(|e| matches!(e, What::Unbound { aor, .. } if &**aor == "ole")));
}

#[test]
fn a_late_offer_passes_and_the_phones_ack_waits_for_the_callers() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", "");
    let offered = w.request(OLE, Method::Invite);
    assert!(offered.body().is_empty());
    w.reply(OLE, &offered, 200, OFFER);
    w.nothing(OLE);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    assert!(String::from_utf8_lossy(&ok.body()).contains("m=audio 4000"));
    w.in_dialog(&ok, Method::Ack, 1, ANSWER);
    let ack = w.request(OLE, Method::Ack);
    assert!(String::from_utf8_lossy(&ack.body()).contains("m=audio 5000"));
}

#[test]
fn hold_passes_and_the_origin_stays_ours() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    let first = String::from_utf8_lossy(&offered.body()).into_owned();
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    let hold = OFFER.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    w.in_dialog(&ok, Method::Invite, 2, &hold);
    let passed = w.request(OLE, Method::Invite);
    let second = String::from_utf8_lossy(&passed.body()).into_owned();
    assert!(second.contains("a=sendonly"));
    let origin = |body: &str| {
        let line = body.lines().find(|l| l.starts_with("o=")).expect("o=").to_owned();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        (words[1].clone(), words[2].parse::<u64>().expect("a version"))
    };
    assert_eq!(origin(&first).0, origin(&second).0, "one session id for the leg's life");
    assert_eq!(origin(&first).1 + 1, origin(&second).1, "version + 1");
    w.reply(OLE, &passed, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 2, "");
    // Glare: a second request meets 500 while the same side's is on its way (RFC 3311 §5.2).
    w.in_dialog(&ok, Method::Update, 3, OFFER);
    w.request(OLE, Method::Update);
    w.in_dialog(&ok, Method::Update, 4, OFFER);
    w.response(TRUNK, 500);
}

#[test]
fn a_2xx_is_sent_again_until_the_ack_and_a_lost_ack_is_repeated() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 180);
    let ok = w.response(TRUNK, 200);
    w.run(Duration::from_millis(500));
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.run(secs(3));
    w.nothing(TRUNK);
}

#[test]
fn i16_without_the_callers_ack_both_hear_bye_and_a_callback_is_promised() {
    let mut w = world();
    w.register("ole", OLE);
    w.invite("03023125001", "a1", OFFER);
    let offered = w.request(OLE, Method::Invite);
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.run(secs(33));
    w.request(OLE, Method::Bye);
    assert_eq!(w.promises, 1);
    assert_eq!(ended(&w), [(Party::Server, Outcome::Failed)]);
    w.run(secs(60));
    w.assert_quiet();
}

#[test]
fn three_silent_probes_end_the_call() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    let mut hung_up = false;
    for _ in 0..60 {
        w.run(secs(10));
        // The trunk answers its probes, the phone is dead.
        while let Some(message) = w.take(TRUNK) {
            if *message.method() == Method::Options && message.is_request() {
                w.reply(TRUNK, &message, 200, "");
            }
            hung_up |= message.is_request() && *message.method() == Method::Bye;
        }
    }
    assert!(hung_up, "the caller's side hears BYE");
    assert_eq!(ended(&w), [(Party::Server, Outcome::Answered)]);
}

#[test]
fn call_max_ends_every_call() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    for _ in 0..(4 * 360) {
        w.run(secs(10));
        for at in [TRUNK, OLE] {
            while let Some(message) = w.take(at) {
                if message.is_request() && *message.method() == Method::Options {
                    w.reply(at, &message, 200, "");
                }
            }
        }
    }
    assert_eq!(ended(&w), [(Party::Server, Outcome::Answered)]);
}

#[test]
fn a_waiting_caller_hears_from_us_within_a_minute() {
    let mut w = world();
    w.register("ole", OLE);
    w.talk("03023125001", "a1", OLE);
    w.invite("03023125002", "a2", OFFER);
    w.response(TRUNK, 180);
    w.run(secs(50));
    w.response(TRUNK, 180);
}

#[test]
fn strangers_are_refused_and_cannot_relay() {
    let stranger = "198.51.100.9:5060";
    let mut w = world();
    let text = "INVITE sip:+4930999@example.org SIP/2.0\r\n\
                Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKx1;rport\r\nMax-Forwards: 70\r\n\
                From: <sip:x@example.org>;tag=1\r\nTo: <sip:y@example.org>\r\nCall-ID: s1\r\n\
                CSeq: 1 INVITE\r\nContact: <sip:x@198.51.100.9>\r\nContent-Length: 0\r\n\r\n";
    w.send(stranger, text.into());
    w.response(stranger, 403);
    w.nothing(TRUNK);
    let ours =
        text.replace("x@example.org", "nobody@example.com").replace("z9hG4bKx1", "z9hG4bKx2");
    w.send(stranger, ours.replace("s1", "s2").into());
    let challenge = w.response(stranger, 407);
    assert_eq!(challenge.lines(Header::ProxyAuthenticate).count(), 2);
}

#[test]
fn after_a_restart_a_ringing_phone_stops_and_the_caller_hears_503() {
    let mut before = world();
    before.register("ole", OLE);
    let invite = before.invite("03023125001", "a1", OFFER);
    let offered = before.request(OLE, Method::Invite);
    before.reply(OLE, &offered, 180, "");
    let mut cut = Cut {
        call: CallKey::new(1, ShardId(0), 1),
        call_id: "a1".into(),
        caller: None,
        phones: vec![],
    };
    for event in &before.events {
        match event {
            What::Unanswered { offer: None, flow, text, .. } => {
                cut.caller = Some((*flow, text.clone()));
            }
            What::Unanswered { flow, text, .. } => cut.phones.push((*flow, text.clone())),
            _ => {}
        }
    }
    let mut w = world();
    let journalled = Journalled { cut: vec![cut], ..Journalled::default() };
    w.switch.restore(w.now, &journalled);
    w.run(Duration::ZERO);
    let failure = w.response(TRUNK, 503);
    assert!(failure.header(Header::RetryAfter).is_some());
    assert_eq!(failure.call_id(), invite.call_id());
    w.ack_failure(TRUNK, &invite, &failure);
    let cancel = w.request(OLE, Method::Cancel);
    let branch =
        |m: &telefonist::sip::Message| m.top_via().and_then(|v| v.branch().map(str::to_owned));
    assert_eq!(branch(&cancel), branch(&offered), "the phone's own INVITE is cancelled");
    assert_eq!(ended(&w), [(Party::Server, Outcome::CutByRestart)]);
    // The phone was answered in the meantime: it hears BYE.
    w.reply(OLE, &offered, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.request(OLE, Method::Bye);
}

#[test]
fn an_answered_call_survives_a_restart_and_ends_from_either_side() {
    let mut before = world();
    before.register("ole", OLE);
    before.invite("03023125001", "a1", OFFER);
    let offered = before.request(OLE, Method::Invite);
    before.reply(OLE, &offered, 200, ANSWER);
    before.request(OLE, Method::Ack);
    before.response(TRUNK, 180);
    let ok = before.response(TRUNK, 200);
    before.in_dialog(&ok, Method::Ack, 1, "");
    let (mut caller, mut callee) = (serde_json::Value::Null, serde_json::Value::Null);
    for event in &before.events {
        match event {
            What::Dialog { side: Party::Caller, state, .. } => caller = (**state).clone(),
            What::Dialog { state, .. } => callee = (**state).clone(),
            _ => {}
        }
    }
    let survivor = Survivor {
        call: CallKey::new(1, ShardId(0), 1),
        direction: Direction::Inbound,
        trunk: Some("pbx".into()),
        from_raw: "03023125001".into(),
        to_raw: "100".into(),
        before: Before {
            arrived: "2026-03-03T10:00:00Z".parse().expect("a time"),
            client: None,
            rule: None,
            step: None,
        },
        caller,
        callee,
    };
    let mut w = world();
    w.switch.restore(w.now, &Journalled { survivors: vec![survivor], ..Journalled::default() });
    w.run(Duration::ZERO);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert_eq!(w.board.presence(ole).state, AgentState::Talking);
    w.in_dialog(&ok, Method::Invite, 2, &OFFER.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n"));
    let hold = w.request(OLE, Method::Invite);
    assert!(hold.cseq().is_some_and(|(n, _)| n > 100), "CSeq resumes well above the last");
    w.reply(OLE, &hold, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 2, "");
    w.phone_sends(OLE, &offered, Method::Bye, "");
    w.response(OLE, 200);
    w.request(TRUNK, Method::Bye);
    assert_eq!(ended(&w), [(Party::Callee, Outcome::Answered)]);
}

#[test]
fn star_codes_change_a_persons_own_state() {
    let mut w = world();
    w.register("ole", OLE);
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    let answer = w.dial(OLE, "ole", "*13", OFFER);
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(w.board.presence(ole).is_gone());
    w.ack_dialled(OLE, &answer);
    w.request(OLE, Method::Bye);
    let answer = w.dial(OLE, "ole", "*14", OFFER);
    assert_eq!(answer.status(), 200);
    assert!(!w.board.presence(ole).is_gone());
}

#[test]
fn colleagues_call_each_other_and_both_are_busy() {
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", IDA);
    let (ole, ida) = (w.directory.agent(&"ole".into()), w.directory.agent(&"ida".into()));
    w.start_dial(OLE, "ole", "ida", OFFER);
    let offered = w.request(IDA, Method::Invite);
    for agent in [ole, ida].into_iter().flatten() {
        assert!(!w.board.presence(agent).is_free());
    }
    w.reply(IDA, &offered, 180, "");
    w.response(OLE, 180);
    w.reply(IDA, &offered, 200, ANSWER);
    w.request(IDA, Method::Ack);
    let ok = w.response(OLE, 200);
    w.ack_dialled(OLE, &ok);
    w.phone_sends(IDA, &offered, Method::Bye, "");
    w.response(IDA, 200);
    w.request(OLE, Method::Bye);
    for agent in [ole, ida].into_iter().flatten() {
        assert!(w.board.presence(agent).is_free());
    }
}

#[test]
fn a_call_out_hears_the_trunk_and_its_failure() {
    let mut w = world();
    w.register("ole", OLE);
    w.start_dial(OLE, "ole", "03023125999", OFFER);
    let out = w.request(TRUNK, Method::Invite);
    assert!(out.uri().starts_with("sip:+493023125999@"), "{}", out.uri());
    w.reply(TRUNK, &out, 183, ANSWER);
    let early = w.response(OLE, 183);
    assert!(!early.body().is_empty(), "early media passes");
    w.reply(TRUNK, &out, 486, "");
    w.request(TRUNK, Method::Ack);
    w.response(OLE, 486);
    assert_eq!(ended(&w), [(Party::Callee, Outcome::Refused)]);
    w.run(secs(1));
    let ole = w.directory.agent(&"ole".into()).expect("ole");
    assert!(w.board.presence(ole).is_free());
}

const PASS: &str = r#"
[settings]
default_department = "support"
callback_owner = "person hans"

[[rule]]
name   = "to the carrier"
clause = "B4"
route  = "pass"
trunk  = "carrier"
"#;

#[test]
fn a_passed_call_goes_through_the_record_routing_proxy_and_has_a_record() {
    let mut w = World::new(PASS);
    w.invite("03023125001", "p1", OFFER);
    let out = w.request(CARRIER, Method::Invite);
    assert_eq!(out.call_id(), "p1", "a proxy keeps the dialog");
    assert!(out.has(Header::RecordRoute));
    w.reply(CARRIER, &out, 180, "");
    w.response(TRUNK, 180);
    w.proxied_reply(CARRIER, &out, 200, ANSWER);
    let ok = w.response(TRUNK, 200);
    w.routed(&ok, Method::Ack, 1);
    w.request(CARRIER, Method::Ack);
    assert!(w.events.iter().any(|e| matches!(e, What::Answered { agent: None, .. })));
    w.routed(&ok, Method::Bye, 2);
    let bye = w.request(CARRIER, Method::Bye);
    w.reply(CARRIER, &bye, 200, "");
    w.response(TRUNK, 200);
    assert_eq!(ended(&w), [(Party::Caller, Outcome::Answered)]);
    w.assert_quiet();
}

#[test]
fn a_text_message_passes_between_registered_people_only() {
    let mut w = world();
    w.register("ole", OLE);
    w.register("ida", IDA);
    w.start_message(OLE, "ole", "ida", "lunch?");
    let text = w.request(IDA, Method::Message);
    assert_eq!(text.body(), "lunch?");
    assert!(!text.has(Header::ProxyAuthorization));
    w.reply(IDA, &text, 200, "");
    w.response(OLE, 200);
    w.start_message(OLE, "ole", "kai", "are you there?");
    w.response(OLE, 480);
    w.start_message(OLE, "ole", "stranger", "?");
    w.response(OLE, 404);
}
