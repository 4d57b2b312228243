//! `telefonist replay`: past calls under the policy of then and under another.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use telefonist::domain::{CallKey, ShardId, Vip};
use telefonist::policy::{Decision, Grounds, Policy, Presence};
use telefonist::store::journal::{Journal, server_started};
use telefonist::store::register::Projector;
use telefonist::switch::{Direction, Event, Outcome, Party, What};

use super::cli_scene::{Scene, out};
use super::policy_cases::office::{CALENDARS, Call, Office, client, office, person, stranger};
use super::register_scenario::worker;

/// Calls of one run of the server; spread over working hours, nights and both nights of daylight saving.
const PER_RUN: usize = 80;

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
        // One run after the other, at each of the times.
        let after = (n / times.len() * 7 + number * 80) as i64;
        let at = times[n % times.len()] + SignedDuration::from_secs(after);
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
        explanation: Some(Arc::new(decision.explanation)),
        grounds: Some(Arc::new(grounds)),
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

/// A register of these calls of one retail client: seconds after ten, answered by olga after, talk; the
/// other operators are logged out, and so is whoever else might take it.
fn small(scene: &Scene, calls: &[(i64, Option<i64>, i64)], outcome: Outcome) {
    let people = office();
    let begin: Timestamp = "2026-03-04T10:00:00Z".parse().expect("an instant");
    let journal = Journal::open(&scene.state().join("journal"), begin).expect("a journal");
    let mut writer = journal.writer(worker(0), begin, &[]);
    let mut shell = journal.writer(telefonist::store::journal::Source::Shell, begin, &[]);
    let (policy, directory) = (people.compile().expect("a policy"), people.directory());
    let (hash, record) = (directory.hash().clone(), Box::new(directory.record()));
    let taken = What::DirectoryTaken { hash, directory: record };
    let event = |what| Event { at: begin, what };
    shell.append(&[server_started(begin), event(accepted(&policy)), event(taken)]);
    for (n, (at, wait, talk)) in (1..).zip(calls) {
        let at = begin + SignedDuration::from_secs(*at);
        let key = CallKey::new(begin.as_second() as u32, ShardId(0), n);
        let olga = directory.agent(&"olga".into());
        let presence = |agent| match Some(agent) == olga {
            true => Presence::Free,
            false => Presence::Gone { why: "logged out".into() },
        };
        let call = client("retail");
        let (decision, grounds) = Grounds::decide(&policy, &directory, call.facts(at), &presence);
        let span = SignedDuration::from_secs;
        let offered = What::Offered {
            call: key,
            offer: 1,
            agent: "olga".into(),
            stands_in_for: None,
            step: 0,
            phones: 1,
            why: None,
        };
        let mut events = story((at, key, "100"), decision, grounds, wait.map(span), span(*talk));
        let over = events.pop().expect("it ends");
        if let Some(wait) = wait {
            let answered = events.pop().expect("it was answered");
            let offered = Event { at: at + span(wait - 3), what: offered };
            events.extend([offered, Event { what: answered_by("olga", key), ..answered }]);
        }
        let (by, status, reason) = (Party::Caller, None, "".into());
        let outcome = if wait.is_some() { Outcome::Answered } else { outcome };
        let what = What::CallEnded { call: key, by, outcome, status, reason };
        let end = at + span(wait.unwrap_or_default() + talk);
        events.push(Event { at: if wait.is_some() { end } else { over.at }, what });
        writer.append(&events);
    }
    project(scene);
}

fn answered_by(agent: &str, call: CallKey) -> What {
    What::Answered { call, agent: Some(agent.into()) }
}

#[test]
fn waits_change_by_what_a_shorter_wrap_up_or_a_shorter_step_says() {
    let scene = Scene::new();
    // olga talks from 3 to 23 and rests for 10; the second waits for that, and the third gives up.
    small(&scene, &[(0, Some(3), 20), (5, Some(31), 10), (20, None, 8)], Outcome::Abandoned);
    let policy = scene.config().join("policy.toml").display().to_string();
    let figures = |report: &Value, which: &str| {
        ["answered", "abandoned", "promised", "wait_ms"]
            .map(|field| report["service"][which][field].as_i64().expect("a figure"))
    };
    let shipped = replayed(&scene, &policy, &[]);
    for which in ["recorded", "old", "new"] {
        assert_eq!(figures(&shipped, which), [2, 1, 0, 34_000], "{which}: {shipped}");
    }
    let text = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let shorter = text.replace("ring = \"20s\", wait = \"60s\"", "ring = \"20s\", wait = \"10s\"");
    let file = scene.write("shorter.toml", shorter.as_bytes());
    let report = replayed(&scene, &file, &[]);
    assert_eq!(figures(&report, "old"), [2, 1, 0, 34_000]);
    assert_eq!(figures(&report, "new"), [1, 1, 1, 3_000], "the second is promised a callback");
    assert_eq!((&report["elsewhere"], &report["same_people"]), (&0.into(), &3.into()));
    assert_eq!(report["other_times"].as_array().map(Vec::len), Some(3), "{report}");
    let said = scene.ok(&["replay", "--policy", &file]);
    assert!(said.contains("by another rule or other times: 3 calls"), "{said}");
    assert!(said.contains("role operator (ring 20.0 s, wait 60.0 s)"), "{said}");
    assert!(said.contains("role operator (ring 20.0 s, wait 10.0 s)"), "{said}");
    scene.edit("telefonist.toml", "# wrap_up = \"10s\"", "wrap_up = \"0s\"");
    let report = replayed(&scene, &policy, &[]);
    assert_eq!(figures(&report, "new"), [2, 1, 0, 24_000], "without wrap-up 10 s less");
}

#[test]
fn whom_no_decision_asked_for_answers_nothing_and_is_named() {
    let scene = Scene::new();
    small(&scene, &[(0, Some(3), 20), (40, Some(3), 20)], Outcome::Abandoned);
    let text = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let others = text.replace("{ to = \"role operator\",", "{ to = \"role manager\",");
    let file = scene.write("others.toml", others.as_bytes());
    let report = replayed(&scene, &file, &[]);
    let answered = |which: &str| report["service"][which]["answered"].as_i64();
    assert_eq!((answered("old"), answered("new")), (Some(2), Some(0)), "{report}");
    let said = scene.ok(&["replay", "--policy", &file]);
    assert!(said.contains("no decision asked for, so gone: "), "{said}");
    assert!(said.contains("role manager → role shift_leader → callback ("), "{said}");
}

#[test]
fn calls_that_a_restart_cut_are_no_promises() {
    let scene = Scene::new();
    small(&scene, &[(0, Some(3), 20), (20, None, 8)], Outcome::CutByRestart);
    let policy = scene.config().join("policy.toml").display().to_string();
    let recorded = replayed(&scene, &policy, &[])["service"]["recorded"].clone();
    assert_eq!((&recorded["other"], &recorded["promised"]), (&1.into(), &0.into()), "{recorded}");
}

#[test]
fn a_policy_that_check_refuses_is_refused() {
    let scene = Scene::with_company();
    let shipped = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let other = shipped.replace("{ to = \"role operator\",", "{ to = \"role operater\",");
    let file = scene.write("new.toml", other.as_bytes());
    let (code, why) = scene.fails(&["replay", "--policy", &file]);
    assert_eq!((code, why.contains("no server has run in this folder")), (1, true), "{why}");
    small(&scene, &[(0, Some(3), 20)], Outcome::Abandoned);
    let (code, why) = scene.fails(&["replay", "--policy", &file]);
    assert!(code == 1 && why.contains("new.toml:") && why.contains("operater"), "{why}");
    assert!(!why.contains(" 0:0"), "{why}");
}

fn accepted(policy: &Policy) -> What {
    What::PolicyAccepted {
        hash: policy.hash().clone(),
        policy: policy.text().clone(),
        calendars: CALENDARS.into(),
        by: "start".into(),
    }
}

/// 240 calls over two restarts, a changed directory, a person who has left, and a policy of before.
fn recorded() -> Scene {
    let scene = Scene::new();
    let mut seed = 11;
    run(&scene, 0, &office(), &mut seed);
    let away = office().absent_on("anna", "2026-03-01..2026-12-31", "clara").without("olga");
    run(&scene, 1, &away, &mut seed);
    run(&scene, 2, &office().setting("grace_days         = 0", "grace_days = 30"), &mut seed);
    project(&scene);
    scene
}

fn project(scene: &Scene) {
    let mut projector =
        Projector::new(&scene.state().join("register.db"), &scene.state().join("journal"));
    projector.catch_up().expect("projected");
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
    assert_eq!((&report["calls"], &report["reproduced"]), (&240.into(), &240.into()), "{report}");
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
    let empty = ["replay", "--policy", &policy, "--since", "2026-01-01", "--until", "2026-01-02"];
    let said = scene.ok(&empty);
    assert_eq!(said, "no calls since 2026-01-01 00:00 and before 2026-01-02 00:00\n");
}

#[test]
fn the_unchanged_policy_serves_the_recorded_calls_alike() {
    let scene = Scene::new();
    run(&scene, 0, &office(), &mut 11);
    project(&scene);
    let policy = scene.config().join("policy.toml").display().to_string();
    let service = replayed(&scene, &policy, &[])["service"].clone();
    assert_eq!(service["rehearsed"], PER_RUN, "{service}");
    assert_eq!(service["old"], service["new"]);
    let said = scene.ok(&["replay", "--policy", &policy]);
    let row = said.lines().find(|line| line.starts_with("difference")).expect("a row");
    let changes: Vec<&str> = row.split_whitespace().skip(1).collect();
    assert_eq!(changes.join(" "), "+0 +0 +0 +0 +0 +0.0 s +0.0 s +0.0 %", "{said}");
}

#[test]
fn another_policy_says_whose_calls_go_elsewhere_and_what_becomes_of_the_waits() {
    let scene = recorded();
    let shipped = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let other = shipped
        .replace("debtor             = { first = \"finance\"", "debtor = { first = \"manager\"");
    let file = scene.write("new.toml", other.as_bytes());
    let report = replayed(&scene, &file, &[]);
    assert_eq!(report["reproduced"], 240, "{report}");
    let clauses = report["by_clause"].as_array().expect("a list");
    assert!(clauses.iter().any(|c| c["old"] == "B3" && c["new"] == "B3"), "{clauses:?}");
    assert!(clauses.iter().all(|c| c["new"] == "B3"), "only debtors: {clauses:?}");
    let moved = &report["moved"][0];
    assert!(moved["old"]["steps"].is_array() && moved["new"]["why"].is_string(), "{moved}");
    let service = &report["service"];
    for which in ["recorded", "old", "new"] {
        assert_eq!(service[which]["calls"], 240, "{which}: {service}");
    }
    assert_eq!(report, replayed(&scene, &file, &[]), "the same each time");
    let said = out(&scene.run(&["replay", "--policy", &file]));
    assert!(said.contains("B3 → B3:") && said.contains("240 decided again as recorded"), "{said}");
    assert!(said.contains("240 of 240 calls came again through the real switch"), "{said}");
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
    assert_eq!((&report["reproduced"], &report["without_grounds"]), (&238.into(), &2.into()));
    change("UPDATE calls SET call = 'half' WHERE call = (SELECT max(call) FROM calls)");
    assert_eq!(replayed(&scene, &policy, &[])["damaged"], 1);
    change("UPDATE calls SET clause = 'B9' WHERE rule = 'debtor'");
    let output = scene.run(&["replay", "--policy", &policy]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("  not as recorded: "), "{}", out(&output));
}

#[test]
fn who_rings_first_or_together_is_another_way_and_is_shown() {
    let scene = Scene::new();
    run(&scene, 0, &office(), &mut 11);
    project(&scene);
    let shipped = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    for (more, shown) in [("together = 3", "3 ring at once"), ("only = true", "[only]")] {
        let step = "{ to = \"role operator\",";
        let other = shipped.replace(step, &format!("{step} {more},"));
        let file = scene.write("new.toml", other.as_bytes());
        assert_ne!(replayed(&scene, &file, &[])["elsewhere"], 0, "{more}");
        let said = scene.ok(&["replay", "--policy", &file]);
        assert!(said.contains(shown), "{more}: {said}");
    }
}

/// Two groups that differ only in people whom an explanation counts without naming them.
fn crew_and_squad() -> Office {
    let both = (1..=30).map(|n| (format!("c{n:02}"), "crew squad"));
    let crew = ("x31".to_owned(), "crew");
    let squad = ("y31".to_owned(), "squad");
    let people = both.chain([crew, squad]);
    let people = people.map(|(id, roles)| person(&id, roles, "sales_support"));
    people.fold(office(), Office::with).setting("role operator\",  ", "role crew\",  ")
}

#[test]
fn people_beyond_those_named_make_another_way() {
    let scene = Scene::new();
    run(&scene, 0, &crew_and_squad(), &mut 11);
    project(&scene);
    let shipped = std::fs::read_to_string(scene.config().join("policy.toml")).expect("there");
    let with = |role: &str| {
        let text = shipped.replace("role operator\",  ", &format!("role {role}\",  "));
        scene.write(&format!("{role}.toml"), text.as_bytes())
    };
    let same = replayed(&scene, &with("crew"), &[]);
    assert_eq!((&same["reproduced"], &same["elsewhere"]), (&PER_RUN.into(), &0.into()), "{same}");
    let squad = with("squad");
    let other = replayed(&scene, &squad, &[]);
    assert_ne!(other["elsewhere"], 0, "{other}");
    let steps = |which: &str| other["moved"][0][which]["steps"].as_array().cloned().expect("steps");
    let crew = |step: &&Value| step["others"] == 7;
    let (old, new) = (steps("old"), steps("new"));
    let (old, new) = (old.iter().find(crew), new.iter().find(crew));
    let (old, new) = (old.expect("24 are named"), new.expect("24 are named"));
    assert_eq!(old["people"], new["people"]);
    assert_ne!(old["fingerprint"], new["fingerprint"]);
    let said = scene.ok(&["replay", "--policy", &squad]);
    assert!(said.contains("role crew [31 people]"), "{said}");
}

#[test]
fn a_record_of_before_the_fingerprints_is_reproduced_and_a_wrong_one_is_found() {
    let scene = Scene::new();
    run(&scene, 0, &crew_and_squad(), &mut 11);
    project(&scene);
    let policy = scene.config().join("policy.toml").display().to_string();
    let db = rusqlite::Connection::open(scene.state().join("register.db")).expect("opened");
    let mut all = db.prepare("SELECT call, json FROM explanations").expect("sql");
    let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let all: Vec<(String, String)> = all.map(|row| row.expect("a row")).collect();
    let change = |how: &dyn Fn(&mut Value)| {
        for (call, json) in &all {
            let mut json: Value = serde_json::from_str(json).expect("json");
            json["steps"].as_array_mut().expect("steps").iter_mut().for_each(how);
            let row = (json.to_string(), call);
            db.execute("UPDATE explanations SET json = ?1 WHERE call = ?2", row).expect("changed");
        }
    };
    change(&|step| {
        step.as_object_mut().expect("a step").remove("fingerprint");
    });
    let without = replayed(&scene, &policy, &[]);
    assert_eq!(without["reproduced"], PER_RUN, "{without}");
    change(&|step| {
        if !step["fingerprint"].is_null() {
            step["fingerprint"] = "0123456789abcdef".into();
        }
    });
    let report = out(&scene.run(&["replay", "--policy", &policy]));
    assert!(report.contains("  not as recorded: "), "{report}");
}

#[test]
fn calendars_that_lack_a_departments_hours_are_refused() {
    let scene = Scene::with_company();
    small(&scene, &[(0, Some(3), 20)], Outcome::Abandoned);
    let calendars = scene.write("none.toml", b"");
    let policy = scene.config().join("policy.toml").display().to_string();
    let (code, why) = scene.fails(&["replay", "--policy", &policy, "--calendars", &calendars]);
    assert!(code == 1 && why.contains("there is no calendar"), "{why}");
}

#[test]
fn what_cannot_be_replayed_is_said_with_its_exit_code() {
    let scene = Scene::new();
    let policy = scene.config().join("policy.toml").display().to_string();
    let (code, why) = scene.fails(&["replay", "--policy", &policy]);
    assert_eq!((code, why.contains("no server has run in this folder")), (1, true), "{why}");
    let (code, why) = scene.fails(&["replay", "--policy", "/nowhere/new.toml"]);
    assert_eq!((code, why.contains("/nowhere/new.toml")), (1, true), "{why}");
    assert!(why.contains("name the file of the policy to try: --policy FILE"), "{why}");
    let (_, why) = scene.fails(&["replay", "--policy", &policy, "--calendars", "/nowhere"]);
    assert!(why.contains("/nowhere:1:1") && why.contains("--calendars FILE"), "{why}");
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
