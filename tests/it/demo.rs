//! `telefonist demo` as a whole: the server, its sockets, its files, against the paper.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use telefonist::demo::{DemoOptions, Show, show};

fn played(seed: u64) -> Show {
    let data = tempfile::tempdir().expect("a folder");
    let options = DemoOptions {
        once: true,
        seed,
        // Other tests want the processor too: a phone that stands still for a second misses its call.
        speed: 5,
        data: Some(data.path().join("demo")),
        ..DemoOptions::default()
    };
    show(&options).expect("a show")
}

/// The clauses that the demonstration has to show.
const CLAUSES: [&str; 15] =
    ["A1", "A2", "A3", "A4", "A5", "B1", "B2", "B3", "B4", "B9", "B10", "C1", "C2", "C4", "C7"];

#[test]
fn every_call_goes_where_the_paper_says() {
    let show = played(7);
    let wrong: Vec<_> = show.calls.iter().filter(|c| !c.ok).collect();
    assert!(show.ok && wrong.is_empty(), "{wrong:#?}");
    assert!(show.calls.len() >= 24, "a few dozen calls: {}", show.calls.len());
    let ruled = show.calls.iter().filter_map(|c| c.clause.as_deref());
    let shown = show.calls.iter().flat_map(|c| c.clauses.iter().copied());
    let seen: BTreeSet<&str> = ruled.chain(shown).collect();
    let missing: Vec<_> = CLAUSES.iter().filter(|c| !seen.contains(**c)).collect();
    assert!(missing.is_empty(), "nothing shows {missing:?}");
}

#[test]
fn a_policy_with_two_rules_swapped_ends_with_exit_code_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("swapped.toml");
    let shipped = include_str!("../../config/policy.toml");
    std::fs::write(&policy, swapped(shipped, "key client", "debtor")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_telefonist"))
        .args(["demo", "--once", "--json", "--seed", "1", "--policy"])
        .arg(&policy)
        .arg("--data")
        .arg(folder.path().join("demo"))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let show: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(show["ok"], false);
    let calls = show["calls"].as_array().expect("calls");
    let wrong: Vec<_> = calls.iter().filter(|c| c["ok"] == false).collect();
    assert_eq!(show["wrong"], wrong.len());
    let owing = wrong
        .iter()
        .find(|c| c["title"].as_str().is_some_and(|t| t.starts_with("key client who owes money")));
    let owing = owing.expect("the key debtor goes elsewhere");
    assert_eq!((&owing["clause"], &owing["expected"]["clause"]), (&"B3".into(), &"B2".into()));
    assert!(wrong.iter().all(|c| c["faults"].as_array().is_some_and(|f| !f.is_empty())));
    mended_policy_sends_the_key_debtors_back(&folder.path().join("demo").join("day"));
}

/// What the demonstration's register says under its own policy, and under one with the rules mended.
fn mended_policy_sends_the_key_debtors_back(day: &Path) {
    let replay = |policy: &Path| -> Value {
        let mut program = Command::new(env!("CARGO_BIN_EXE_telefonist"));
        program.args(["replay", "--json", "--policy"]).arg(policy);
        program.arg("--config").arg(day.join("config")).arg("--state").arg(day.join("state"));
        let output = program.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    };
    let own = day.join("config").join("policy.toml");
    let same = replay(&own);
    assert!(same["calls"].as_u64().is_some_and(|calls| calls > 20), "{same}");
    assert_eq!((&same["reproduced"], &same["elsewhere"]), (&same["calls"], &0.into()), "{same}");
    let text = std::fs::read_to_string(&own).expect("the day's policy");
    let mended = day.join("mended.toml");
    std::fs::write(&mended, swapped(&text, "debtor", "key client")).expect("written");
    let other = replay(&mended);
    let clauses = other["by_clause"].as_array().expect("a list");
    assert_eq!(clauses.len(), 1, "{clauses:?}");
    assert_eq!((&clauses[0]["old"], &clauses[0]["new"]), (&"B3".into(), &"B2".into()));
}

#[test]
fn a_show_that_is_broken_off_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_telefonist"));
        program.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped());
        let mut child = program.spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let scene = lines.map_while(Result::ok).find(|line| line.starts_with("── "));
        assert!(scene.is_some(), "a scene begins");
        let done = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(done.expect("kill is there").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
    }
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
