//! `telefonist demo` as a whole: the server, its sockets, its files, against the paper.

use std::collections::BTreeSet;

use telefonist::demo::{DemoOptions, Show, show};

fn played(seed: u64, policy: Option<String>) -> Show {
    let data = tempfile::tempdir().expect("a folder");
    let options = DemoOptions {
        once: true,
        seed,
        data: Some(data.path().join("demo")),
        policy,
        ..DemoOptions::default()
    };
    show(&options).expect("a show")
}

/// The clauses that the demonstration has to show.
const CLAUSES: [&str; 15] =
    ["A1", "A2", "A3", "A4", "A5", "B1", "B2", "B3", "B4", "B9", "B10", "C1", "C2", "C4", "C7"];

#[test]
fn every_call_goes_where_the_paper_says() {
    for seed in [1, 7] {
        let show = played(seed, None);
        let wrong: Vec<_> = show.calls.iter().filter(|c| !c.ok).collect();
        assert!(show.ok && wrong.is_empty(), "seed {seed}: {wrong:#?}");
        assert!(show.calls.len() >= 24, "a few dozen calls: {}", show.calls.len());
        let ruled = show.calls.iter().filter_map(|c| c.clause.as_deref());
        let shown = show.calls.iter().flat_map(|c| c.clauses.iter().copied());
        let seen: BTreeSet<&str> = ruled.chain(shown).collect();
        let missing: Vec<_> = CLAUSES.iter().filter(|c| !seen.contains(**c)).collect();
        assert!(missing.is_empty(), "nothing shows {missing:?}");
    }
}

#[test]
fn a_policy_with_two_rules_swapped_is_found_out() {
    let shipped = include_str!("../../config/policy.toml");
    let show = played(1, Some(swapped(shipped, "key client", "debtor")));
    let wrong: Vec<_> = show.calls.iter().filter(|c| !c.ok).collect();
    assert!(!show.ok && show.wrong == wrong.len() && !wrong.is_empty());
    let owing = |c: &&&telefonist::demo::Report| c.title.starts_with("key client who owes money");
    let report = wrong.iter().find(owing).expect("the key debtor goes elsewhere");
    assert_eq!((report.clause.as_deref(), report.expected_clause()), (Some("B3"), "B2"));
    assert!(!report.faults.is_empty());
}

/// The policy with the rules of these two names in each other's place.
fn swapped(policy: &str, one: &str, other: &str) -> String {
    let mut parts: Vec<&str> = policy.split("[[rule]]").collect();
    let place = |name: &str| {
        let line = format!("name   = \"{name}\"\n");
        parts.iter().position(|part| part.contains(&line)).expect("a rule of this name")
    };
    let (one, other) = (place(one), place(other));
    parts.swap(one, other);
    parts.join("[[rule]]")
}
