//! Emergency plans (clause B8): what stands of one is what is said of it, and superiors hear of each change.

use super::scene::Scene;
use crate::domain::{Order, PersonId};
use crate::server::Change;
use crate::sip::Method;

fn open(person: &str) -> Change {
    Change::Order(Order::OpenPosition { person: PersonId::new(person) })
}

impl Scene {
    fn orders(&self, change: &Change, by: &str) {
        let done = self.server.order(change, &PersonId::new(by), "test");
        done.unwrap_or_else(|why| panic!("{why}"));
    }

    /// What a person's phone is told next.
    fn is_told(&self, user: &str) -> String {
        let to = format!("sip:{user}@");
        let told = self.phones.hears("a MESSAGE", |m| {
            m.is_request() && *m.method() == Method::Message && m.uri().starts_with(&to)
        });
        self.phones.reply(&told, 200, "");
        String::from_utf8_lossy(&told.body()).into_owned()
    }
}

#[test]
fn b8_a_plan_that_is_taken_back_one_by_one_is_in_force_as_far_as_it_stands_and_superiors_hear_it() {
    let scene = Scene::start();
    scene.register("205");
    scene.orders(&Change::Apply("rush".into()), "op1");
    assert!(scene.is_told("205").starts_with("plan rush applied: "));
    scene.orders(&open("op2"), "op1");
    let what = "position of op2 opened: of the plan rush 1 of 2 orders stand";
    assert_eq!(scene.is_told("205"), format!("{what} (by op1)"));
    let state = scene.server.plans()["in_force"].clone();
    assert_eq!(
        (&state["plan"], &state["stand"], &state["of"]),
        (&"rush".into(), &1.into(), &2.into())
    );
    assert_eq!(state["moves"][0]["taken_back_by"], "op1");
    assert_eq!(state["moves"][1]["taken_back_by"], serde_json::Value::Null);
    scene.orders(&open("op3"), "op1");
    let what = "position of op3 opened: nothing stands of the plan rush any more, it is over";
    assert_eq!(scene.is_told("205"), format!("{what} (by op1)"));
    assert!(scene.server.plans()["in_force"].is_null());
    scene.orders(&Change::Apply("rush".into()), "op1");
    assert!(scene.is_told("205").starts_with("plan rush applied: "));
    scene.server.stop();
}

#[test]
fn b8_a_plan_that_the_policy_has_no_more_is_shown_and_can_be_reverted() {
    let scene = Scene::start();
    scene.register("205");
    scene.orders(&Change::Apply("rush".into()), "op1");
    scene.is_told("205");
    scene.delete_the_plan();
    let plans = scene.server.plans();
    assert_eq!(plans["plans"], serde_json::json!([]));
    assert_eq!((&plans["deleted"], &plans["in_force"]["plan"]), (&true.into(), &"rush".into()));
    scene.orders(&Change::Revert, "op1");
    assert_eq!(scene.is_told("205"), "plan rush reverted (by op1)");
    assert_eq!(scene.server.plans()["deleted"], false);
    scene.server.stop();
}

#[test]
fn b8_whose_position_is_closed_or_opened_and_who_is_moved_hears_it_and_by_whom() {
    let scene = Scene::start();
    for user in ["202", "203"] {
        scene.register(user);
    }
    let close = Change::Order(Order::ClosePosition { person: PersonId::new("op2") });
    scene.orders(&close, "op1");
    let text = scene.is_told("202");
    assert!(text.starts_with("Your position was closed by op1: no call is offered"), "{text}");
    scene.orders(&open("op2"), "op1");
    assert!(scene.is_told("202").starts_with("Your position was opened by op1: "));
    scene.orders(&Change::Apply("rush".into()), "op1");
    for user in ["202", "203"] {
        assert!(scene.is_told(user).starts_with("Your position was closed by op1: "));
    }
    scene.orders(&Change::Revert, "op1");
    for user in ["202", "203"] {
        assert!(scene.is_told(user).starts_with("Your position was opened by op1: "));
    }
    scene.server.stop();
}
