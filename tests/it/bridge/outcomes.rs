//! Every combination of outcomes through a whole route, by the real switch: what the proof of the policy
//! walks on paper (gone, busy, no answer, refused; of several people all alike and each pair).

use telefonist::sip::Method;
use telefonist::switch::{Outcome, What};

use super::plan::{HANS, routed};
use super::world::{OFFER, TRUNK, World};
use super::{IDA, KAI, MIA, OLE, secs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Gone,
    Busy,
    NoAnswer,
    Refused,
}

const ALL: [Does; 4] = [Does::Gone, Does::Busy, Does::NoAnswer, Does::Refused];

/// Short enough that nobody who refused is ready for the same caller again (`refuse_backoff`, 10 s).
const TIMES: &str = "ring = \"2s\", wait = \"3s\"";

/// The route's people: two steps of one person, one of a group.
const PEOPLE: [(&str, &str); 4] = [("ole", OLE), ("ida", IDA), ("mia", MIA), ("kai", KAI)];

fn scene(outcomes: [Does; 4]) -> World {
    let steps = ["person ole", "person ida", "role key_account_manager"];
    let steps = steps.map(|to| format!("{{ to = \"{to}\", {TIMES} }},\n")).concat();
    let mut w = routed("", &steps, r#"{ to = "person hans" },"#);
    w.register("hans", HANS);
    for ((user, at), does) in PEOPLE.iter().zip(outcomes) {
        if does != Does::Gone {
            w.register(user, at);
        }
        if does == Does::Busy {
            w.start_dial(at, user, "03023125999", OFFER);
            let dialled = w.request(TRUNK, Method::Invite);
            w.reply(TRUNK, &dialled, 180, "");
        }
        w.take_at_host(at.split(':').next().expect("a host"));
    }
    w.events.clear();
    w
}

/// Phones do what they are to do until the caller has a final answer.
fn play(w: &mut World, outcomes: [Does; 4]) {
    for _ in 0..60 {
        w.run(secs(1) / 2);
        for ((user, at), does) in PEOPLE.iter().zip(outcomes) {
            while let Some(message) = w.take(at) {
                match message.method() {
                    _ if !message.is_request() => {}
                    Method::Invite => {
                        assert!(does != Does::Busy && does != Does::Gone, "{user} is rung");
                        let status = if does == Does::Refused { 603 } else { 180 };
                        w.reply(at, &message, status, "");
                    }
                    Method::Cancel => w.reply(at, &message, 200, ""),
                    _ => {}
                }
            }
        }
        if w.events.iter().any(|what| matches!(what, What::CallEnded { .. })) {
            return;
        }
    }
    panic!("{outcomes:?}: the call does not end: {:?}", w.events);
}

#[test]
fn every_path_of_outcomes_goes_through_each_step_once_and_ends_in_a_promise() {
    let pairs = (0..4).flat_map(|one| (one..4).map(move |two| (ALL[one], ALL[two])));
    let groups: Vec<(Does, Does)> = pairs.collect();
    let mut paths = 0;
    for (ole, ida) in ALL.iter().flat_map(|one| ALL.iter().map(move |two| (*one, *two))) {
        for (mia, kai) in &groups {
            let outcomes = [ole, ida, *mia, *kai];
            let mut w = scene(outcomes);
            w.invite("03023125001", "a1", OFFER);
            play(&mut w, outcomes);
            let steps: Vec<u16> = w.events.iter().filter_map(step).collect();
            assert_eq!(steps, [0, 1, 2], "{outcomes:?}: {:?}", w.events);
            let rung: Vec<&str> = w.events.iter().filter_map(rung).collect();
            for ((user, _), does) in PEOPLE.iter().zip(outcomes) {
                let times = rung.iter().filter(|who| *who == user).count();
                let expected = usize::from(matches!(does, Does::NoAnswer | Does::Refused));
                assert_eq!(times, expected, "{outcomes:?}: {user}: {:?}", w.events);
            }
            let end = w.events.iter().find_map(|what| match what {
                What::CallEnded { outcome, .. } => Some(*outcome),
                _ => None,
            });
            assert_eq!(end, Some(Outcome::CallbackPromised), "{outcomes:?}");
            let owner = w.events.iter().any(|what| {
                matches!(what, What::Promised { owner: Some(owner), .. } if owner.as_str() == "hans"
                    || owner.as_str() == "mia")
            });
            assert!(owner, "{outcomes:?}: {:?}", w.events);
            paths += 1;
        }
    }
    assert_eq!(paths, 4 * 4 * 10);
}

fn step(what: &What) -> Option<u16> {
    match what {
        What::StepBegan { step, .. } => Some(*step),
        _ => None,
    }
}

fn rung(what: &What) -> Option<&str> {
    match what {
        What::Offered { agent, .. } => Some(agent.as_str()),
        _ => None,
    }
}
