//! `telefonist replay`: past calls under the policy of then and under another.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use telefonist::domain::{CallKey, ShardId, Vip};
use telefonist::policy::{Decision, Grounds, Policy, Presence};
use telefonist::store::journal::{Journal, server_started};
use telefonist::store::register::Projector;
use telefonist::switch::{Direction, Event, Outcome, Party, What};

use super::cli_scene::{Scene, out};
use super::policy_cases::office::{CALENDARS, Call, Office, client, office, stranger};
use super::register_scenario::worker;

/// Calls of one run of the server; spread over working hours, nights and both nights of daylight saving.
const PER_RUN: usize = 160;

fn callers() -> Vec<Call> {
    vec![
        stranger("+442079460999").to("+493023125920"),
        stranger("+46846500401"),
        stranger(""),
        client("key").manager("anna"),
        client("key").manager("boris").overdue(12),
        client("retail").vip(Vip::Local).manager("viktor").department("client_service"),
        client("marketer").manager("marta").overdue(3),
        client("retail").overdue(90),
        client("retail"),
        client("regional").manager("ines"),
    ]
}

fn times() -> Vec<Timestamp> {
    [
        "2026-03-04T10:00:00Z",
        "2026-03-04T18:30:00Z",
        "2026-03-07T09:00:00Z",
        "2026-03-29T00:59:59Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-12-24T11:00:00Z",
    ]
    .map(|at| at.parse().expect("an instant"))
    .to_vec()
}

/// One run of the server: its policy and its people, then calls, decided as a worker does it.
fn run(scene: &Scene, number: usize, people: &Office, seed: &mut usize) {
    let journal_dir = scene.state().join("journal");
    let begin: Timestamp = "2026-03-02T08:00:00Z".parse().expect("an instant");
    let begin = begin + SignedDuration::from_hours(number as i64);
    let journal = Journal::open(&journal_dir, begin).expect("a journal");
    let mut writer = journal.writer(worker(0), begin, &[]);
    let mut shell = journal.writer(telefonist::store::journal::Source::Shell, begin, &[]);
    let policy = people.compile().expect("a policy");
    let directory = people.directory();
    let event = |at, what| Event { at, what };
    shell.append(&[
        server_started(begin),
        event(begin, accepted(&policy)),
        event(
            begin,
            What::DirectoryTaken {
                hash: directory.hash().clone(),
                directory: Box::new(directory.record()),
            },
        ),
    ]);
    let (callers, times) = (callers(), times());
    for n in 0..PER_RUN {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let draw = *seed >> 33;
        let at = times[n % times.len()] + SignedDuration::from_secs((n / times.len() * 7) as i64);
        let call = &callers[(n / 3 + n) % callers.len()];
        let key = CallKey::new(begin.as_second() as u32, ShardId(0), n as u32 + 1);
        let presence = |agent: telefonist::domain::AgentId| match (draw >> (agent.index() % 16)) & 3
        {
            0 => Presence::Gone { why: "logged out".into() },
            1 => Presence::Busy { why: "talking".into() },
            _ => Presence::Free,
        };
        let (decision, grounds) = Grounds::decide(&policy, &directory, call.facts(at), &presence);
        let wait = SignedDuration::from_secs((draw % 40) as i64);
        let answer = (!draw.is_multiple_of(3)).then_some(wait);
        let facts = (at, key, call.to.as_str());
        writer.append(&story(facts, decision, grounds, answer, wait));
    }
}

/// The events of a call that is answered after `answer`, or given up after `wait`.
fn story(
    (at, call, to): (Timestamp, CallKey, &str),
    decision: Decision,
    grounds: Grounds,
    answer: Option<SignedDuration>,
    wait: SignedDuration,
) -> Vec<Event> {
    let event = |after: SignedDuration, what| Event { at: at + after, what };
    let arrived = What::CallArrived {
        call,
        direction: Direction::Inbound,
        trunk: Some("pbx".into()),
        caller: None,
        from_raw: grounds.facts.from_raw.clone(),
        from: grounds.facts.from.clone(),
        to: to.into(),
        sip_call_id: call.to_string().into(),
    };
    let routed = What::Routed {
        call,
        client: None,
        rule: decision.rule.clone(),
        clause: decision.clause.clone(),
        policy: decision.policy.clone(),
        explanation: Some(Box::new(decision.explanation)),
        grounds: Some(Box::new(grounds)),
    };
    let mut events =
        vec![event(SignedDuration::ZERO, arrived), event(SignedDuration::ZERO, routed)];
    let answered = What::Answered { call, agent: Some("anna".into()) };
    events.extend(answer.map(|wait| event(wait, answered)));
    let (over, outcome) = match answer {
        Some(wait) => (wait + SignedDuration::from_secs(90), Outcome::Answered),
        None => (wait, Outcome::Abandoned),
    };
    let (by, status, reason) = (Party::Caller, None, "".into());
    events.push(event(over, What::CallEnded { call, by, outcome, status, reason }));
    events
}

fn accepted(policy: &Policy) -> What {
    What::PolicyAccepted {
        hash: policy.hash().clone(),
        policy: policy.text().clone(),
        calendars: CALENDARS.into(),
        by: "start".into(),
    }
}

/// 480 calls over two restarts, a changed directory, a person who has left, and a policy of before.
fn recorded() -> Scene {
    let scene = Scene::new();
    let mut seed = 11;
    run(&scene, 0, &office(), &mut seed);
    let away = office().absent_on("anna", "2026-03-01..2026-12-31", "clara").without("olga");
    run(&scene, 1, &away, &mut seed);
    run(&scene, 2, &office().setting("grace_days         = 0", "grace_days = 30"), &mut seed);
    let mut projector =
        Projector::new(&scene.state().join("register.db"), &scene.state().join("journal"));
    projector.catch_up().expect("projected");
    scene
}

fn replayed(scene: &Scene, policy: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["replay", "--policy", policy];
    arguments.extend(more);
    scene.json(&arguments)
}

#[test]
fn the_unchanged_policy_reproduces_every_recorded_decision() {
    let scene = recorded();
    let policy = scene.config().join("policy.toml").display().to_string();
    let report = replayed(&scene, &policy, &[]);
    assert_eq!((&report["calls"], &report["reproduced"]), (&480.into(), &480.into()), "{report}");
    assert_eq!((&report["without_grounds"], &report["not_reproduced"]), (&0.into(), &0.into()));
    // The third run's policy had 30 days of grace: under today's its debtors go to finance.
    let moved = report["moved"].as_array().expect("a list");
    assert!(!moved.is_empty() && report["elsewhere"] == moved.len());
    for call in moved {
        assert_eq!(
            (call["old"]["clause"].as_str(), call["new"]["clause"].as_str()),
            (Some("B4"), Some("B3"))
        );
    }
    let same = replayed(&scene, &policy, &["--since", "2026-01-01", "--until", "2026-01-02"]);
    assert_eq!((&same["calls"], &same["elsewhere"]), (&0.into(), &0.into()));
}

#[test]
fn another_policy_says_whose_calls_go_elsewhere_and_estimates_the_waits() {
    let scene = recorded();
    let shipped = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let other = shipped
        .replace("debtor             = { first = \"finance\"", "debtor = { first = \"manager\"");
    let file = scene.write("new.toml", other.as_bytes());
    let report = replayed(&scene, &file, &[]);
    assert_eq!(report["reproduced"], 480, "{report}");
    let clauses = report["by_clause"].as_array().expect("a list");
    assert!(clauses.iter().any(|c| c["old"] == "B3" && c["new"] == "B3"), "{clauses:?}");
    assert!(clauses.iter().all(|c| c["new"] == "B3"), "only debtors: {clauses:?}");
    let moved = &report["moved"][0];
    assert!(moved["old"]["steps"].is_array() && moved["new"]["why"].is_string(), "{moved}");
    let service = &report["service"];
    for which in ["recorded", "old_estimate", "new_estimate"] {
        assert_eq!(service[which]["calls"], 480, "{which}: {service}");
    }
    assert_eq!(report, replayed(&scene, &file, &[]), "the same each time");
    let said = out(&scene.run(&["replay", "--policy", &file]));
    assert!(said.contains("B3 → B3:") && said.contains("480 decided again as recorded"), "{said}");
    assert!(said.contains("The estimates are estimates; they assume:"), "{said}");
}

#[test]
fn rows_that_are_damaged_or_lack_their_grounds_are_counted_and_a_lie_is_found() {
    let scene = recorded();
    let policy = scene.config().join("policy.toml").display().to_string();
    let db = rusqlite::Connection::open(scene.state().join("register.db")).expect("opened");
    let change = |sql: &str| db.execute(sql, []).expect("changed");
    change(
        "UPDATE grounds SET json = substr(json, 1, 40) WHERE call = (SELECT min(call) FROM grounds)",
    );
    change("DELETE FROM explanations WHERE call = (SELECT max(call) FROM grounds)");
    let report = replayed(&scene, &policy, &[]);
    assert_eq!((&report["reproduced"], &report["without_grounds"]), (&478.into(), &2.into()));
    change("UPDATE calls SET call = 'half' WHERE call = (SELECT max(call) FROM calls)");
    assert_eq!(replayed(&scene, &policy, &[])["damaged"], 1);
    change("UPDATE calls SET clause = 'B9' WHERE rule = 'debtor'");
    let output = scene.run(&["replay", "--policy", &policy]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("  not as recorded: "), "{}", out(&output));
}

#[test]
fn what_cannot_be_replayed_is_said_with_its_exit_code() {
    let scene = Scene::new();
    let policy = scene.config().join("policy.toml").display().to_string();
    let (code, why) = scene.fails(&["replay", "--policy", &policy]);
    assert_eq!((code, why.contains("no server has run in this folder")), (1, true), "{why}");
    let (code, why) = scene.fails(&["replay", "--policy", "/nowhere/new.toml"]);
    assert_eq!((code, why.contains("/nowhere/new.toml")), (1, true), "{why}");
    assert_eq!(scene.fails(&["replay"]).0, 2);
    let scene = recorded();
    let (code, why) = scene.fails(&["replay", "--policy", &policy, "--since", "noon"]);
    assert_eq!((code, why.contains("is no time")), (2, true), "{why}");
    let wrong = scene.write("wrong.toml", b"[settings]\n");
    let (code, why) = scene.fails(&["replay", "--policy", &wrong]);
    assert_eq!((code, why.contains("wrong.toml:1:1")), (1, true), "{why}");
    let policy = scene.config().join("policy.toml").display().to_string();
    let file = scene.state().join("register.db");
    let locked = rusqlite::Connection::open(&file).expect("opened");
    locked.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("locked");
    // Only who holds the file alone keeps readers out.
    let (code, why) = scene.fails(&["replay", "--policy", &policy]);
    assert_eq!((code, why.contains("register.db")), (1, true), "{why}");
    locked.execute_batch("ROLLBACK; PRAGMA user_version = 99").expect("of a newer program");
    drop(locked);
    let (code, why) = scene.fails(&["replay", "--policy", &policy]);
    assert_eq!((code, why.contains("99")), (1, true), "{why}");
    std::fs::write(&file, b"no database at all, and long enough to be looked at as one")
        .expect("written");
    let (code, _) = scene.fails(&["replay", "--policy", &policy]);
    assert_eq!(code, 1);
}
