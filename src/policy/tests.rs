//! The shipped files, and everything that `compile` refuses.

use super::*;

fn names() -> Names {
    Names {
        trunks: vec![(TrunkId::new("pbx"), Duration::from_secs(110))],
        numbers: NumberFormat::of("DE"),
    }
}

const POLICY: &str = include_str!("../../config/policy.toml");
const CALENDARS: &str = include_str!("../../config/calendars.toml");

#[test]
fn the_shipped_policy_has_no_problem_and_no_warning() {
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    let policy = Policy::read(&sources, &names()).expect("a good policy");
    assert_eq!(policy.warnings, []);
    let clauses: Vec<&str> = policy.rules().map(|(_, clause)| clause.as_ref()).collect();
    assert_eq!(clauses, ["B1", "B9", "B2", "B3", "B3", "B4"]);
}
