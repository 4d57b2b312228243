//! Calls from a sipp as trunk to sipps as phones, and what the register says of them.

use telefonist::switch::{OfferResult, Outcome, Party};

use crate::program::installed;
use crate::scene::{OPERATORS, Scene};
use crate::sipp::{acme, caller, phone, registered};

fn results(story: &telefonist::store::register::CallStory) -> Vec<(String, OfferResult)> {
    let result = |o: &telefonist::store::register::OfferRow| o.result.expect("the offer ended");
    story.offers.iter().map(|o| (o.agent.to_string(), result(o))).collect()
}

fn offers(of: &[(&str, OfferResult)]) -> Vec<(String, OfferResult)> {
    of.iter().map(|(agent, result)| ((*agent).to_owned(), *result)).collect()
}

#[test]
fn an_answered_call_is_hung_up_by_the_caller() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call").run(&scene).done();
    let story = scene.story();
    assert_eq!(results(&story), offers(&[("op1", OfferResult::Answered)]));
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Answered), Some(Party::Caller))
    );
    assert_eq!(story.call.clause.as_deref(), Some("B4"));
    assert_eq!(story.call.from.map(|n| n.to_string()).as_deref(), Some("+49302312501"));
}

#[test]
fn an_answered_call_is_hung_up_by_the_phone() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer_and_bye")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call_until_bye").run(&scene).done();
    let story = scene.story();
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Answered), Some(Party::Callee))
    );
}

#[test]
fn a_busy_phone_sends_the_call_to_a_colleague() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "301", "busy"), phone(&scene, "202", "answer")];
    let _phones = registered(&mut scene, phones);
    acme(&scene, "call").run(&scene).done();
    let story = scene.story();
    let expected = [("mia", OfferResult::Busy), ("op2", OfferResult::Answered)];
    assert_eq!(results(&story), offers(&expected));
    assert_eq!(story.call.clause.as_deref(), Some("B2"));
    assert_eq!(story.offers[0].status, Some(486));
}

#[test]
fn c4_who_does_not_answer_is_locked_and_a_colleague_rings() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "301", "ring"), phone(&scene, "202", "answer")];
    let _phones = registered(&mut scene, phones);
    acme(&scene, "call").run(&scene).done();
    let story = scene.story();
    let expected = [("mia", OfferResult::NoAnswer), ("op2", OfferResult::Answered)];
    assert_eq!(results(&story), offers(&expected));
    let rang = story.offers[0].took_ms.expect("it ended");
    assert!((1_900..4_000).contains(&rang), "`ring` is 2 s: {rang} ms");
    let agents = scene.ask(&["agents"]).to_string();
    assert!(agents.contains("no answer") || agents.contains("no_answer"), "{agents}");
}

#[test]
fn a_caller_gives_up_while_it_rings() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "ring")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "give_up").run(&scene).done();
    let story = scene.story();
    assert_eq!(results(&story), offers(&[("op1", OfferResult::CallerGone)]));
    assert_eq!(
        (story.call.outcome, story.call.ended_by),
        (Some(Outcome::Abandoned), Some(Party::Caller))
    );
}

#[test]
fn a_refusal_sends_the_call_to_a_colleague() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "301", "decline"), phone(&scene, "203", "answer")];
    let _phones = registered(&mut scene, phones);
    acme(&scene, "call").run(&scene).done();
    let story = scene.story();
    let expected = [("mia", OfferResult::Refused), ("op3", OfferResult::Answered)];
    assert_eq!(results(&story), offers(&expected));
}

#[test]
fn of_two_phones_of_one_person_the_first_to_answer_wins() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "ring"), phone(&scene, "201", "answer")];
    let phones = registered(&mut scene, phones);
    caller(&scene, "call").run(&scene).done();
    let story = scene.story();
    assert_eq!(results(&story), offers(&[("op1", OfferResult::Answered)]));
    assert_eq!(story.offers[0].phones, 2);
    scene.until("the loser hears why", |_| {
        phones[0].messages().contains("Call completed elsewhere").then_some(())
    });
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "late_answer")];
    let phones = registered(&mut scene, phones);
    caller(&scene, "give_up").run(&scene).done();
    scene.until("ACK and BYE reach the phone", |_| {
        let messages = phones[0].messages();
        let has = |method: &str| messages.contains(&format!("\n{method} sip:"));
        (has("ACK") && has("BYE")).then_some(())
    });
    assert_eq!(scene.story().call.outcome, Some(Outcome::Abandoned));
}

#[test]
fn nobody_registered_is_a_promise_and_480() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    caller(&scene, "call_480").run(&scene).done();
    let story = scene.story();
    assert_eq!(story.call.outcome, Some(Outcome::CallbackPromised));
    assert_eq!(story.call.status, Some(480));
    assert!(story.callback.is_some());
}

#[test]
fn a_trunk_over_tcp_reaches_a_phone_over_udp() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call").tcp().run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
}

#[test]
fn a_phone_hangs_up_on_a_trunk_over_tcp() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer_and_bye").tcp()];
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call_until_bye").tcp().run(&scene).done();
    assert_eq!(scene.story().call.ended_by, Some(Party::Callee));
}

#[test]
fn a_phone_over_tcp_is_reached_over_its_own_connection_and_goes_with_it() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer").tcp()];
    let mut phones = registered(&mut scene, phones);
    caller(&scene, "call").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
    phones[0].kill();
    scene.until_bound(0);
    caller(&scene, "call_480").run(&scene).done();
    let second = &scene.ended(2)[1];
    assert_eq!(second.call.outcome, Some(Outcome::CallbackPromised));
    assert!(second.offers.is_empty(), "nobody is offered anything: {second:?}");
}

#[test]
fn hold_and_talk_pass_from_caller_to_phone() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer_hold")];
    let phones = registered(&mut scene, phones);
    caller(&scene, "call_hold").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
    let messages = phones[0].messages();
    assert!(messages.contains("a=sendonly"), "{messages}");
}

#[test]
fn an_offer_that_comes_late_is_answered_in_the_ack() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer_offer")];
    let phones = registered(&mut scene, phones);
    caller(&scene, "call_bare").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
    let messages = phones[0].messages();
    assert!(messages.contains("m=audio 20002"), "the ACK brings the caller's answer: {messages}");
}

#[test]
fn a_phone_is_called_by_exactly_the_contact_that_it_registered() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let id = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let instance = format!(";+sip.instance=\"<{id}>\";reg-id=1");
    let phone = phone(&scene, "201", "answer").key("gruu", &format!(";gr={id};ob"));
    let phones = registered(&mut scene, vec![phone.key("instance", &instance)]);
    caller(&scene, "call").run(&scene).done();
    let messages = phones[0].messages();
    let contact = messages.lines().find_map(|l| l.strip_prefix("Contact: <sip:201@"));
    let contact = contact.and_then(|c| c.split_once('>')).expect("it registers").0;
    assert!(contact.contains(&format!(";gr={id};ob")), "{contact}");
    assert!(messages.contains(&format!("INVITE sip:201@{contact} SIP/2.0")), "{messages}");
    let told = messages.matches(&format!(";gr={id};ob>;+sip.instance=\"<{id}>\"")).count();
    assert!(told >= 3, "the 200 to its REGISTER says so too: {messages}");
}

#[test]
fn twenty_calls_at_once_are_served_in_order_by_five_operators() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = OPERATORS[..5].iter().map(|user| phone(&scene, user, "answer")).collect();
    let _phones = registered(&mut scene, phones);
    caller(&scene, "call").calls(20).run(&scene).done();
    let stories = scene.ended(20);
    let mut spans: Vec<_> = stories
        .iter()
        .flat_map(|s| {
            let end = s.call.ended_at.expect("it is over");
            s.offers.iter().map(move |o| (o.agent.to_string(), o.offered_at, end))
        })
        .collect();
    assert_eq!(spans.len(), 20, "one offer each: {stories:#?}");
    spans.sort();
    for pair in spans.windows(2) {
        let [(a, _, until), (b, from, _)] = pair else { unreachable!("windows of two") };
        assert!(a != b || until <= from, "{a} is offered two at once");
    }
    let mut order: Vec<_> =
        stories.iter().map(|s| (s.offers[0].offered_at, s.call.arrived_at)).collect();
    order.sort();
    // Whichever workers took them; but a worker that gets no processor for 20 ms is passed over.
    let taken_back = scene.ask(&["status"])["workers"][0]["taken_back"].as_u64();
    let in_order = order.is_sorted_by_key(|(_, arrived)| arrived);
    let stalled = taken_back.expect("the board counts") > 0;
    assert!(in_order || stalled, "not in order of arrival: {order:#?}");
}
