//! Whom of several idle people a call rings first (clause B1), several at once, and that nobody stands
//! idle beside a caller under any of it (I6). Virtual time.

use std::sync::Arc;

use telefonist::acd::Counts;
use telefonist::domain::{Directory, Role, WallOffset};
use telefonist::sip::{Header, Message, Method};
use telefonist::switch::{Command, Input, OfferResult, What};

use super::plan::{hangs_up, routed};
use super::world::{ANSWER, LIMITS, OFFER, TRUNK, World, rows};
use super::{IDA, KAI, MIA, OLE, offers, secs};

const MANAGER: &str = r#"{ to = "manager", ring = "20s", wait = "60s" },"#;

/// Callers go to the operators ole, ida and kai, who have skill levels 1, 3 and 2.
fn operators(order: &str) -> World {
    let step = format!(r#"{{ to = "role operator", ring = "20s", wait = "60s"{order} }},"#);
    let mut w = routed("", MANAGER, &step);
    let mut rows = rows();
    for (person, level) in [("ole", 1), ("ida", 3), ("kai", 2)] {
        let found = rows.people.iter_mut().find(|p| p.id.as_str() == person).expect("there");
        found.roles.insert(Role::new("operator"));
        found.levels.insert(Role::new("operator"), level);
    }
    let directory = Directory::build(Some(&w.directory), rows, LIMITS).expect("a directory");
    w.directory = Arc::new(directory);
    w.input(Input::Directory(w.directory.clone()));
    w
}

/// The phone takes a call and is free again `after` seconds.
fn works(w: &mut World, call_id: &str, phone: &str, after: u64) {
    let (offered, _) = w.talk("03023125009", call_id, phone);
    w.run(secs(after));
    hangs_up(w, phone, &offered);
    w.run(secs(6));
    w.take_at_host("192.0.2.10");
}

/// A caller who is offered to `phone` and gives up.
fn gives_up(w: &mut World, call_id: &str, phone: &str) {
    let invite = w.invite("03023125009", call_id, OFFER);
    w.response(TRUNK, 180);
    let offered = w.request(phone, Method::Invite);
    w.reply(phone, &offered, 180, "");
    w.cancel(&invite);
    w.response(TRUNK, 200);
    w.response(TRUNK, 487);
    let cancel = w.request(phone, Method::Cancel);
    w.reply(phone, &cancel, 200, "");
    w.reply(phone, &offered, 487, "");
    w.request(phone, Method::Ack);
}

/// Why the newest offer went to whom it did.
fn reason(w: &World) -> Option<String> {
    let offered = w.events.iter().rev().find_map(|e| match e {
        What::Offered { why, .. } => Some(why.as_ref().map(ToString::to_string)),
        _ => None,
    });
    offered.expect("an offer")
}

fn next_goes_to(w: &mut World, phone: &str, why: Option<&str>) {
    w.invite("03023125009", "next", OFFER);
    w.request(phone, Method::Invite);
    assert_eq!(reason(w).as_deref(), why);
}

#[test]
fn b1_longest_idle_is_not_moved_by_an_offer_that_came_to_nothing() {
    let mut w = operators("");
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    gives_up(&mut w, "a1", OLE);
    next_goes_to(&mut w, OLE, None);
}

#[test]
fn b1_round_robin_goes_on_after_every_offer() {
    let mut w = operators(r#", order = "round robin""#);
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    gives_up(&mut w, "a1", OLE);
    gives_up(&mut w, "a2", IDA);
    gives_up(&mut w, "a3", OLE);
    next_goes_to(&mut w, IDA, Some("their turn"));
}

#[test]
fn b1_fewest_calls_counts_the_calls_of_the_day() {
    let mut w = operators(r#", order = "fewest calls""#);
    w.register("ole", OLE);
    works(&mut w, "a1", OLE, 1);
    works(&mut w, "a2", OLE, 1);
    w.register("ida", IDA);
    works(&mut w, "a3", IDA, 50);
    // Ole is idle for longer, and has talked less.
    next_goes_to(&mut w, IDA, Some("fewest calls today: 1"));
}

#[test]
fn b1_least_talk_time_counts_the_seconds_of_the_day() {
    let mut w = operators(r#", order = "least talk time""#);
    w.register("ole", OLE);
    works(&mut w, "a1", OLE, 50);
    w.register("ida", IDA);
    works(&mut w, "a2", IDA, 1);
    works(&mut w, "a3", IDA, 2);
    // Ole is idle for longer, and had fewer calls.
    next_goes_to(&mut w, IDA, Some("least talk time today: 3 s"));
}

#[test]
fn b1_what_people_did_is_counted_from_their_local_midnight_and_over_a_restart() {
    let mut w = operators(r#", order = "fewest calls""#);
    let before = Counts { calls: 2, talk: secs(9) };
    w.input(Input::Worked([("kai".into(), before)].into()));
    let agent = |w: &World, who: &str| w.directory.agent(&who.into()).expect("there");
    w.register("ole", OLE);
    works(&mut w, "a1", OLE, 3);
    w.register("kai", KAI);
    let (ole, kai) = (agent(&w, "ole"), agent(&w, "kai"));
    assert_eq!(w.board.counts(kai), before);
    assert_eq!((w.board.counts(ole).calls, w.board.counts(ole).talk), (1, secs(3)));
    let clock = |w: &mut World, at: &str| {
        w.input(Input::Wall(WallOffset::new(w.now, at.parse().expect("a time"))));
    };
    clock(&mut w, "2026-03-03T23:59:59Z");
    assert_eq!(w.board.counts(kai), before);
    w.run(secs(2));
    assert_eq!((w.board.counts(ole), w.board.counts(kai)), (Counts::default(), Counts::default()));
    w.take_at_host("192.0.2.10");
    works(&mut w, "a2", OLE, 1);
    next_goes_to(&mut w, KAI, Some("fewest calls today: 0"));
}

#[test]
fn b1_skill_asks_who_has_the_level_or_more_then_the_nearest_below() {
    let mut w = operators(r#", order = "skill", level = 3"#);
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("kai", KAI);
    w.run(secs(1));
    w.register("ida", IDA);
    w.invite("03023125007", "a1", OFFER);
    w.request(IDA, Method::Invite);
    assert_eq!(reason(&w).as_deref(), Some("skill level 3, wanted 3"));
    w.invite("03023125008", "a2", OFFER);
    w.request(KAI, Method::Invite);
    next_goes_to(&mut w, OLE, Some("skill level 1, wanted 3"));
}

#[test]
fn b1_a_level_that_more_have_leaves_it_to_the_longest_idle() {
    let mut w = operators(r#", order = "skill", level = 2"#);
    for (user, phone) in [("ole", OLE), ("kai", KAI), ("ida", IDA)] {
        w.register(user, phone);
        w.run(secs(1));
    }
    next_goes_to(&mut w, KAI, Some("skill level 2, wanted 2"));
}

#[test]
fn b1_a_list_is_gone_through_in_its_order_whoever_is_idle_for_how_long() {
    let mut w = operators(r#", order = ["kai", "ida"]"#);
    for (user, phone) in [("ole", OLE), ("ida", IDA), ("kai", KAI)] {
        w.register(user, phone);
        w.run(secs(1));
    }
    w.invite("03023125007", "a1", OFFER);
    w.request(KAI, Method::Invite);
    assert_eq!(reason(&w).as_deref(), Some("place 1 in the list"));
    w.invite("03023125008", "a2", OFFER);
    w.request(IDA, Method::Invite);
    next_goes_to(&mut w, OLE, Some("not in the list"));
}

#[test]
fn b1_under_every_order_nobody_stands_idle_beside_a_caller() {
    for order in [
        "",
        r#", order = "round robin""#,
        r#", order = "fewest calls""#,
        r#", order = "least talk time""#,
        r#", order = "skill", level = 100"#,
        r#", order = ["ida"]"#,
        ", together = 2",
        r#", order = "skill", level = 2, together = 16"#,
    ] {
        let mut w = operators(order);
        for (user, phone) in PHONES {
            w.register(user, phone);
        }
        for n in 0..7 {
            w.invite("03023125009", &format!("a{n}"), OFFER);
        }
        let mut talking = Vec::new();
        for _ in 0..10 {
            PHONES.iter().for_each(|(_, phone)| answers(&mut w, phone, &mut talking));
            w.run(secs(1));
            let queue = w.directory.group(&Role::new("operator")).expect("a group").queue;
            let view = w.board.queue_view(queue);
            assert!(view.free == 0 || w.board.is_empty(queue), "{order}: {view:?}");
            if let Some((phone, offered)) = talking.pop() {
                w.phone_sends(phone, &offered, Method::Bye, "");
            }
            w.run(secs(6));
        }
        let answered = w.events.iter().filter(|e| matches!(e, What::Answered { .. })).count();
        assert_eq!(answered, 7, "{order}");
    }
}

const PHONES: [(&str, &str); 3] = [("ole", OLE), ("ida", IDA), ("kai", KAI)];

/// The phone does what it is asked: takes what rings, unless it was cancelled.
fn answers(w: &mut World, phone: &'static str, talking: &mut Vec<(&'static str, Message)>) {
    let mut rung: Vec<Message> = Vec::new();
    while let Some(message) = w.take(phone) {
        if message.is_request() && *message.method() == Method::Invite {
            w.reply(phone, &message, 180, "");
            rung.push(message);
        } else if message.is_request() && *message.method() == Method::Cancel {
            w.reply(phone, &message, 200, "");
            let gone = rung.iter().position(|i| i.call_id() == message.call_id());
            let invite = rung.remove(gone.expect("it rang"));
            w.reply(phone, &invite, 487, "");
        } else if message.is_request() && *message.method() == Method::Bye {
            w.reply(phone, &message, 200, "");
        }
    }
    for invite in rung {
        w.reply(phone, &invite, 200, ANSWER);
        talking.push((phone, invite));
    }
}

fn is_elsewhere(message: &Message) -> bool {
    message.header(Header::Reason).is_some_and(|r| r.contains("Call completed elsewhere"))
}

#[test]
fn b1_several_ring_at_once_the_first_wins_and_the_others_are_free_again() {
    let mut w = operators(", together = 2");
    PHONES.iter().for_each(|(user, phone)| w.register(user, phone));
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let kai = w.request(KAI, Method::Invite);
    let ole = w.request(OLE, Method::Invite);
    w.nothing(IDA);
    assert_eq!(reason(&w).as_deref(), Some("2 ring at once"));
    w.reply(KAI, &kai, 180, "");
    w.reply(OLE, &ole, 180, "");
    w.reply(OLE, &ole, 200, ANSWER);
    w.request(OLE, Method::Ack);
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    let cancel = w.request(KAI, Method::Cancel);
    assert!(is_elsewhere(&cancel), "{cancel:?}");
    w.reply(KAI, &cancel, 200, "");
    w.reply(KAI, &kai, 487, "");
    w.request(KAI, Method::Ack);
    assert_eq!(offers(&w), [OfferResult::Answered, OfferResult::Elsewhere]);
    // Kai is idle for as long as before; ole talks.
    w.invite("03023125003", "a2", OFFER);
    w.request(KAI, Method::Invite);
    w.request(IDA, Method::Invite);
    w.nothing(OLE);
}

#[test]
fn i1_a_second_answer_of_several_that_ring_is_acknowledged_and_ended() {
    let mut w = operators(", together = 2");
    w.register("ole", OLE);
    w.run(secs(1));
    w.register("ida", IDA);
    w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let ole = w.request(OLE, Method::Invite);
    let ida = w.request(IDA, Method::Invite);
    w.reply(OLE, &ole, 200, ANSWER);
    w.reply(IDA, &ida, 200, ANSWER);
    w.request(OLE, Method::Ack);
    w.request(IDA, Method::Ack);
    let bye = w.request(IDA, Method::Bye);
    assert!(is_elsewhere(&bye), "{bye:?}");
    w.reply(IDA, &bye, 200, "");
    let ok = w.response(TRUNK, 200);
    w.in_dialog(&ok, Method::Ack, 1, "");
    w.in_dialog(&ok, Method::Bye, 2, "");
    w.response(TRUNK, 200);
    let bye = w.request(OLE, Method::Bye);
    w.reply(OLE, &bye, 200, "");
    w.assert_quiet();
    w.invite("03023125003", "a2", OFFER);
    w.request(OLE, Method::Invite);
    w.request(IDA, Method::Invite);
}

#[test]
fn b10_of_several_that_ring_one_who_refuses_makes_room_for_the_next_and_the_others_ring_on() {
    let mut w = operators(", together = 2");
    PHONES.iter().for_each(|(user, phone)| w.register(user, phone));
    w.invite("03023125002", "a1", OFFER);
    let kai = w.request(KAI, Method::Invite);
    let ole = w.request(OLE, Method::Invite);
    w.reply(OLE, &ole, 180, "");
    w.reply(KAI, &kai, 603, "");
    w.request(KAI, Method::Ack);
    w.request(IDA, Method::Invite);
    w.nothing(KAI);
    w.nothing(OLE);
}

#[test]
fn a_caller_who_gives_up_while_several_ring_frees_them_all() {
    let mut w = operators(", together = 3");
    w.register("ole", OLE);
    w.register("ida", IDA);
    let invite = w.invite("03023125002", "a1", OFFER);
    w.response(TRUNK, 180);
    let rung = [(OLE, w.request(OLE, Method::Invite)), (IDA, w.request(IDA, Method::Invite))];
    for (phone, offered) in &rung {
        w.reply(phone, offered, 180, "");
    }
    w.cancel(&invite);
    for (phone, offered) in &rung {
        let cancel = w.request(phone, Method::Cancel);
        w.reply(phone, &cancel, 200, "");
        w.reply(phone, offered, 487, "");
        w.request(phone, Method::Ack);
    }
    w.assert_quiet();
}

#[test]
fn explain_says_in_which_order_and_how_many() {
    let mut w = operators(r#", order = "fewest calls", together = 2"#);
    let asked = Command::Explain {
        from: "03023125009".into(),
        to: None,
        at: None,
        trunk: None,
        found: Some(Box::new(w.found("+493023125009"))),
    };
    let decision = w.command(asked).expect("a decision");
    let step = &decision["explanation"]["steps"][0];
    assert_eq!(step["order"], "fewest_calls");
    assert_eq!(step["together"], 2);
}

/// Mia talks; a caller waits for her group, and `later` another for herself. Who is offered to her?
fn after_mia(own_calls: &str, later: u64) -> String {
    let group = r#"{ to = "role key_account_manager", ring = "20s", wait = "300s" },"#;
    let own = r#"{ to = "manager", ring = "20s", wait = "300s" },"#;
    let mut w = routed(&format!("[settings.head_start]\nown_calls = \"{own_calls}\""), own, group);
    w.register("mia", MIA);
    let (mia, _) = w.talk("03023125009", "b1", MIA);
    w.invite("03023125002", "a1", OFFER);
    w.run(secs(later));
    w.invite("03023125001", "a2", OFFER);
    w.take_at_host("192.0.2.10");
    w.take_at_host("192.0.2.20");
    w.phone_sends(MIA, &mia, Method::Bye, "");
    w.response(MIA, 200);
    w.run(secs(6));
    let offered = w.request(MIA, Method::Invite);
    offered.header(Header::From).expect("From").to_owned()
}

#[test]
fn b_people_take_their_own_calls_first_but_overtake_nobody_by_more_than_the_head_start() {
    let (group, own) = ("+493023125002", "+493023125001");
    assert!(after_mia("0s", 10).contains(group), "without a head start who came first is first");
    assert!(after_mia("30s", 29).contains(own));
    assert!(after_mia("30s", 31).contains(group), "the bound of the wait");
}

#[test]
fn b_a_main_group_comes_first_for_who_serves_several() {
    let first = |role: &str| {
        let operators = r#"{ to = "role operator", ring = "20s", wait = "300s" },"#;
        let head = r#"{ to = "role head", ring = "20s", wait = "300s" },"#;
        let start = format!("[settings.head_start]\nrole = {{ {role} = \"30s\" }}");
        let mut w = routed(&start, head, operators);
        let mut rows = rows();
        for person in rows.people.iter_mut().filter(|p| p.id.as_str() == "ole") {
            person.roles.insert(Role::new("head"));
        }
        let directory = Directory::build(Some(&w.directory), rows, LIMITS).expect("a directory");
        w.input(Input::Directory(Arc::new(directory)));
        w.register("ole", OLE);
        let (ole, _) = w.talk("03023125009", "b1", OLE);
        w.invite("03023125002", "a1", OFFER);
        w.run(secs(20));
        w.invite("03023125001", "a2", OFFER);
        w.take_at_host("192.0.2.10");
        w.phone_sends(OLE, &ole, Method::Bye, "");
        w.response(OLE, 200);
        w.run(secs(6));
        let offered = w.request(OLE, Method::Invite);
        offered.header(Header::From).expect("From").to_owned()
    };
    assert!(first("operator").contains("+493023125002"));
    assert!(first("head").contains("+493023125001"), "came 20 s later");
}
