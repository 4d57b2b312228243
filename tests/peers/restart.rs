//! `kill -9` in the middle of calls: after a start on the same folder everybody hangs up normally, and
//! the register has each call once.

use telefonist::store::register::CallStory;
use telefonist::switch::{Outcome, Party};

use crate::program::installed;
use crate::scene::{Company, MANAGER, OPERATORS, Scene};
use crate::sipp::{Sipp, acme, caller, phone, registered};

/// Calls that are up when the server is killed: an operator each.
const TALKING: usize = OPERATORS.len();

/// Kills the server when so many calls talk and ring, and starts it again.
fn kill_in_the_middle(scene: &mut Scene, talking: usize, ringing: usize) {
    let is_up = |s: &CallStory| s.call.answered_at.is_some() && s.call.ended_at.is_none();
    let rings = |s: &CallStory| {
        s.call.answered_at.is_none() && s.offers.iter().any(|o| o.rang_at.is_some())
    };
    scene.until("everybody talks or rings", |scene| {
        let stories = scene.stories();
        let count =
            |which: &dyn Fn(&CallStory) -> bool| stories.iter().filter(|s| which(s)).count();
        (count(&is_up) == talking && count(&rings) == ringing).then_some(())
    });
    scene.kill();
    scene.run();
}

fn operators(scene: &mut Scene, answering: &'static str) -> Vec<Sipp> {
    let phones = OPERATORS.iter().map(|user| phone(scene, user, answering)).collect();
    registered(scene, phones)
}

fn check(stories: &[CallStory], by: Party) {
    let survived: Vec<_> = stories.iter().filter(|s| s.call.survived_restart).collect();
    assert_eq!(survived.len(), TALKING, "{stories:#?}");
    for story in survived {
        assert_eq!(story.call.outcome, Some(Outcome::Answered), "{story:#?}");
        assert_eq!(story.call.ended_by, Some(by), "{story:#?}");
    }
}

#[test]
fn callers_hang_up_after_a_kill_and_ringing_calls_are_cut() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::of(Company { ring: "60s", ..Company::default() });
    let mut phones = operators(&mut scene, "answer");
    phones.push(phone(&scene, MANAGER, "ring").run(&scene));
    scene.until_bound(TALKING as u64 + 1);
    let ten = caller(&scene, "call_long").calls(TALKING as u32).run(&scene);
    let one = acme(&scene, "call_503").run(&scene);
    kill_in_the_middle(&mut scene, TALKING, 1);
    one.done();
    ten.done();
    let stories = scene.ended(TALKING + 1);
    check(&stories, Party::Caller);
    let cut: Vec<_> =
        stories.iter().filter(|s| s.call.outcome == Some(Outcome::CutByRestart)).collect();
    assert_eq!(cut.len(), 1, "{stories:#?}");
    scene.until("every operator's phone is told", |_| {
        let told = phones[..TALKING].iter().filter(|p| p.messages().contains("\nBYE sip:"));
        (told.count() == TALKING).then_some(())
    });
    scene.until("the ringing phone stops", |_| {
        phones[TALKING].messages().contains("\nCANCEL sip:").then_some(())
    });
}

#[test]
fn operators_hang_up_after_a_kill() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let _phones = operators(&mut scene, "answer_long");
    let ten = caller(&scene, "call_until_bye").calls(TALKING as u32).run(&scene);
    kill_in_the_middle(&mut scene, TALKING, 0);
    ten.done();
    check(&scene.ended(TALKING), Party::Callee);
}

#[test]
fn after_a_kill_phones_are_registered_and_the_next_call_is_served() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer")];
    let _phones = registered(&mut scene, phones);
    scene.kill();
    scene.run();
    scene.until_bound(1);
    caller(&scene, "call").run(&scene).done();
    assert_eq!(scene.story().call.outcome, Some(Outcome::Answered));
}

#[test]
fn hold_passes_after_a_kill() {
    if !installed(&["sipp"]) {
        return;
    }
    let mut scene = Scene::start();
    let phones = vec![phone(&scene, "201", "answer_hold")];
    let phones = registered(&mut scene, phones);
    let one = caller(&scene, "call_hold_long").run(&scene);
    kill_in_the_middle(&mut scene, 1, 0);
    one.done();
    let story = scene.story();
    assert!(story.call.survived_restart, "{story:#?}");
    assert_eq!(story.call.outcome, Some(Outcome::Answered));
    assert!(phones[0].messages().contains("a=sendonly"));
}
