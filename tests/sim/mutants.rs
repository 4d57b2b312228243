//! Deliberately wrong variants of the core: each is a text that stands in one file exactly once, and what it
//! becomes. `SIM_MUTANTS=all` (or numbers, `3,7`) builds each in a copy of the tree and runs the
//! fixed seeds on it: at least one has to fail. Without it only the table is checked, so that it keeps up
//! with the core. The copy is built without the shell, so the seeds with kills do not take part.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One wrong variant.
struct Mutant {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    what: &'static str,
    /// Why no seed can tell it from the right core; such a mutant is run and may live.
    equivalent: Option<&'static str>,
}

const fn mutant(
    file: &'static str,
    from: &'static str,
    to: &'static str,
    what: &'static str,
) -> Mutant {
    Mutant { file, from, to, what, equivalent: None }
}

const MUTANTS: &[Mutant] = &[
    // acd
    mutant(
        "acd/hand.rs",
        "let better = best.is_none_or(|best| counted < best.counted);",
        "let better = best.is_none_or(|best| counted > best.counted);",
        "an agent takes the caller who came last",
    ),
    mutant(
        "acd/hand.rs",
        "let resting = !word.flags().is_empty();",
        "let resting = false;",
        "a flag does not keep an agent from calls",
    ),
    mutant(
        "acd/hand.rs",
        "Some(Best { shard, .. }) => self.step(word, AgentState::Hand, shard),",
        "Some(Best { .. }) => self.step(word, AgentState::Free, 0),",
        "an agent is not handed to the shard with the best call",
    ),
    mutant(
        "acd/agent.rs",
        "After::Wrap(until) if until > now => {",
        "After::Wrap(until) if until > now && agent > 64 => {",
        "there is no wrap-up",
    ),
    mutant(
        "acd/agent.rs",
        "self.board.raise(agent.index(), Flags::BACK_OFF);",
        "",
        "there is no back-off",
    ),
    mutant(
        "acd/agent.rs",
        "let word = self.board.advance(token, AgentState::Talking, self.me)?;",
        "let word = self.board.advance(token, AgentState::Offered, self.me)?;",
        "who answered is not busy",
    ),
    mutant("acd/agent.rs", "if *count == 1 {", "if *count == 2 {", "own calls do not make busy"),
    mutant(
        "acd/agent.rs",
        "self.elsewhere.remove(&agent);\n            let word",
        "let word",
        "a shard keeps a place for calls that are over",
    ),
    mutant(
        "acd/desk.rs",
        "self.mint.key(arrived, ask.credit,",
        "self.mint.key(arrived, ask.credit * 0,",
        "nobody has a head start",
    ),
    mutant(
        "acd/desk.rs",
        "            return;\n        }\n        self.restand(call);\n        self.board.shown();\n        self.seek(call);",
        "            return;\n        }",
        "a call whose offer failed is in no queue any more",
    ),
    mutant(
        "acd/desk.rs",
        "queues.iter().for_each(|queue| self.remove(call, QueueId(*queue as u16)));\n        self.lines.close(call);",
        "if queues.len() != 1 { queues.iter().for_each(|queue| self.remove(call, QueueId(*queue as u16))); }\n        self.lines.close(call);",
        "who hangs up stays in the queue",
    ),
    mutant(
        "acd/sweep.rs",
        "if until > now {\n            return self.watch.expect(until);",
        "if until > now || agent < 64 {\n            return self.watch.expect(until.max(now + SWEEP_EVERY));",
        "a rest never ends",
    ),
    // policy
    mutant(
        "policy/seen.rs",
        "(None, IndexState::Unavailable { .. }) => false,",
        "(None, IndexState::Unavailable { .. }) => true,",
        "who cannot be looked up is new (A3)",
    ),
    mutant(
        "policy/seen.rs",
        "debtor: debt != Debt::Clear",
        "debtor: debt == Debt::Clear",
        "who owes nothing is a debtor (A4)",
    ),
    mutant(
        "policy/seen.rs",
        "policy.called.find(called)",
        "policy.called.find(called).filter(|_| false)",
        "the called number names no department (B1)",
    ),
    mutant(
        "policy/seen.rs",
        "let region = own_region.or_else(|| by_number.map(|(_, region)| region.clone()));",
        "let region = own_region;",
        "the calling number names no region (B1)",
    ),
    mutant(
        "policy/seen.rs",
        "let manager = manager.filter(|person| directory.agent(person).is_some());",
        "",
        "a manager who has left still counts (A3)",
    ),
    mutant(
        "policy/resolve.rs",
        "for_whom: Some(person.id.clone())",
        "for_whom: None",
        "a deputy stands in for nobody (C1)",
    ),
    mutant(
        "policy/resolve.rs",
        "Some(department) => self.directory.group_in(role, department),",
        "Some(_) => self.directory.group(role),",
        "a role of one department is everybody's",
    ),
    mutant(
        "policy/resolve.rs",
        "Which::Relevant => Ok(self.seen.relevant.department.clone()),",
        "Which::Relevant => Ok(self.policy.settings().default_department.clone()),",
        "the relevant department is the default (B1)",
    ),
    Mutant {
        file: "policy/resolve.rs",
        from: "|| self.directory.absence_at(agent, self.at()).is_some(),",
        to: ",",
        what: "who is absent has a queue in the plan",
        equivalent: Some(
            "the board's own flag keeps absent people from calls, and C7 ends the step",
        ),
    },
    mutant(
        "policy/decide.rs",
        "steps: if closed { Vec::new() } else { steps },",
        "steps: Vec::new(),",
        "no plan has steps",
    ),
    mutant(
        "switch/seats.rs",
        "(Flags::POSITION_CLOSED, directory.position_closed(&person.id).is_some()),",
        "(Flags::POSITION_CLOSED, false),",
        "a closed position is offered calls (B8)",
    ),
    // call
    mutant(
        "call/line.rs",
        "} else if call.line.turned_away.contains(&agent) {",
        "} else if call.offers > 99 {",
        "a step waits for who refused (C7)",
    ),
    mutant(
        "call/line.rs",
        "call.line.ends = Some(env.now + step.wait);",
        "call.line.ends = None;",
        "`wait` never ends (C7)",
    ),
    mutant(
        "call/line.rs",
        "if !call.ringing.is_empty() || (!call.line.exhausted && env.desk.is_offered(call.key)) {",
        "if call.ringing.is_empty() && !call.line.exhausted && env.desk.is_offered(call.key) {",
        "the end of a plan cuts a phone that rings (C7)",
    ),
    mutant(
        "call/line.rs",
        "} else if let Some(why) = gone(&env.board.presence(agent)) {",
        "} else if let Some(why) = gone(&env.board.presence(agent)).filter(|_| call.offers > 99) {",
        "a step waits for who is gone (C7)",
    ),
    mutant(
        "call/line.rs",
        "let next = following(call.line.step);",
        "let next = following(call.line.step) + usize::from(call.line.step.is_some());",
        "every second step is left out",
    ),
    mutant(
        "call/offer.rs",
        "env.agent(seat.agent, AgentNote::Missed);",
        "",
        "who lets it ring is offered the next (C4)",
    ),
    mutant(
        "call/offer.rs",
        "env.desk.give_back(env.now, call.key, token);",
        "",
        "a call whose offer failed is not put back",
    ),
    mutant(
        "call/offer.rs",
        "const CLOSING_MAX: Duration = Duration::from_secs(4);",
        "const CLOSING_MAX: Duration = Duration::ZERO;",
        "an agent is free while a phone still rings",
    ),
    mutant(
        "call/offer.rs",
        "self.offer_ended(env, &offer, OfferResult::CallerGone, None);\n        for fork in &mut offer.forks {\n            fork.cancel(env, None);\n        }",
        "self.offer_ended(env, &offer, OfferResult::CallerGone, None);",
        "phones ring on when the caller is gone (I5)",
    ),
    mutant(
        "call/offer.rs",
        "603 => OfferResult::Refused,",
        "603 => OfferResult::NoAnswer,",
        "a refusal is taken for no answer (C4)",
    ),
    mutant(
        "call/offer.rs",
        "env.desk.release(env.now, token, After::Free);\n            }\n            None => env.desk.vacate",
        "let _ = token;\n            }\n            None => env.desk.vacate",
        "a failed offer keeps its agent (I3)",
    ),
    Mutant {
        file: "call/offer.rs",
        from: "_ => self.keep_offer(env, offer),\n        }\n    }\n\n    /// Works",
        to: "_ => self.offer_over(env, &offer),\n        }\n    }\n\n    /// Works",
        what: "an offer whose time has not come is over",
        equivalent: Some("the timer is set to the offer's own deadline: this arm is not reached"),
    },
    mutant(
        "call/answer.rs",
        "fork.cancel(env, Some(ELSEWHERE));",
        "",
        "other phones ring on when one has answered",
    ),
    mutant(
        "call/answer.rs",
        "self.repeated(env, fork, response, flow);",
        "let _ = (fork, flow);",
        "a second answer is not taken back (I1)",
    ),
    mutant(
        "call/answer.rs",
        "decline(env, &offer.forks[index], response, flow, reason);",
        "let _ = (reason, flow);",
        "an answer after CANCEL is not taken back (I1)",
    ),
    mutant(
        "call/ending.rs",
        "env.release_trunk(&trunk);",
        "let _ = trunk;",
        "a trunk's place is never given back (I15)",
    ),
    mutant(
        "call/ending.rs",
        "self.part_leg(env, call, Side::Callee);",
        "",
        "the agent's leg outlives the caller's (I5)",
    ),
    mutant(
        "call/ending.rs",
        "self.part_leg(env, call, Side::Caller);\n        self.part_leg(env, call, Side::Callee);",
        "self.part_leg(env, call, Side::Callee);",
        "the caller is not told that the call is over (I4)",
    ),
    mutant(
        "call/ending.rs",
        "env.desk.release(env.now, token, after);",
        "let _ = (token, after);",
        "an agent is busy for ever (I11)",
    ),
    mutant(
        "call/ending.rs",
        "self.promise(env, call, owner, why);\n                self.end_with(env, call, Outcome::CallbackPromised",
        "let _ = owner;\n                self.end_with(env, call, Outcome::CallbackPromised",
        "a promise is not written down (I16)",
    ),
    mutant(
        "call/ending.rs",
        "env.desk.withdraw(call.key);\n        self.part_leg",
        "self.part_leg",
        "a call that ended stays in line",
    ),
    mutant(
        "acd/idle.rs",
        "let better = |score| best.is_none_or(|(least, ..)| score < least);",
        "let better = |score| best.is_none_or(|(least, ..)| score > least);",
        "the shortest idle gets the call",
    ),
    mutant(
        "acd/roster.rs",
        "self.row(agent).filter(|entry| !entry.is_helper() || self.is_help_open(entry.queue()))",
        "self.row(agent)",
        "helpers are offered calls though nobody waits for long (B7)",
    ),
    mutant(
        "acd/board.rs",
        "helpers.for_each(|agent| self.pull(owner, agent));",
        "helpers.for_each(|agent| _ = (owner, agent));",
        "idle helpers do not hear that help is wanted (B7)",
    ),
    mutant(
        "switch/help.rs",
        "(alone || wait > help.opens_at)",
        "(alone || wait > help.opens_at * 2)",
        "help comes late (B7)",
    ),
    mutant(
        "switch/help.rs",
        "!alone && wait < help.closes_at",
        "!alone && wait < help.opens_at",
        "help ends without hysteresis (B7)",
    ),
    mutant(
        "switch/help.rs",
        "!alone && wait < help.closes_at",
        "!alone && wait < help.closes_at / 2",
        "help ends too late (B7)",
    ),
];

/// The core of today with one of them.
fn mutated(text: &str, mutant: &Mutant) -> Result<String, String> {
    match text.matches(mutant.from).count() {
        1 => Ok(text.replacen(mutant.from, mutant.to, 1)),
        n => Err(format!("src/{}: {n} times, not once: {}", mutant.file, mutant.from)),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_mutant_still_has_its_place_in_the_core() {
    let wrong: Vec<String> = MUTANTS
        .iter()
        .filter_map(|mutant| {
            let text = fs::read_to_string(root().join("src").join(mutant.file));
            text.map_err(|e| e.to_string()).and_then(|text| mutated(&text, mutant)).err()
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(MUTANTS.len() >= 25);
}

#[test]
fn mutants_are_caught() {
    let Ok(asked) = std::env::var("SIM_MUTANTS") else { return };
    let chosen: BTreeSet<usize> = asked.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let tree = copy();
    let sound = caught_by(&tree);
    assert_eq!(sound, None, "the core without a mutant fails");
    let mut lived = Vec::new();
    let mut count = 0;
    for (n, mutant) in MUTANTS.iter().enumerate() {
        if !(asked == "all" || chosen.contains(&n)) {
            continue;
        }
        count += 1;
        let path = tree.join("src").join(mutant.file);
        let right = fs::read_to_string(&path).expect("it was copied");
        fs::write(&path, mutated(&right, mutant).expect("once")).expect("written");
        let by = caught_by(&tree);
        fs::write(&path, right).expect("written");
        println!(
            "{n:2} {:7} {}: {}",
            if by.is_some() { "caught" } else { "LIVED" },
            mutant.what,
            by.as_deref().or(mutant.equivalent).unwrap_or("-")
        );
        if by.is_none() {
            lived.push(mutant);
        }
    }
    println!("{} of {count} caught", count - lived.len());
    lived.retain(|mutant| mutant.equivalent.is_none());
    assert!(lived.is_empty(), "{} mutants live", lived.len());
}

/// Seeds of these kinds, the likeliest first: one that fails is enough.
const SEEDS: [&str; 6] = [
    "people_phones",
    "calls_on",
    "without_manners",
    "a_network",
    "workers_stand",
    "supervisors_give",
];
/// A wrong core may turn in circles.
const RUN_MAX_S: &str = "120";

/// What was found first; `None` if all seeds pass.
fn caught_by(tree: &Path) -> Option<String> {
    let built = cargo(&[], tree, &["--no-run"]);
    let errors = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "a mutant must compile:\n{errors}");
    SEEDS.iter().find_map(|seeds| {
        let run = cargo(&["timeout", RUN_MAX_S], tree, &["--", seeds]);
        if run.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let said = |line: &&str| line.starts_with("at Moment(") || line.contains("core panics");
        let line = text.lines().find(said).unwrap_or("no end");
        Some(line.chars().take(150).collect())
    })
}

fn cargo(before: &[&str], tree: &Path, after: &[&str]) -> Output {
    let words: Vec<&str> = before.iter().copied().chain([env!("CARGO")]).collect();
    let mut command = Command::new(words[0]);
    command.current_dir(tree).args(&words[1..]);
    command.args(["test", "--offline", "--no-default-features", "--test", "sim"]).args(after);
    command.env("CARGO_TARGET_DIR", root().join("target/mutants/target"));
    command.env("CARGO_INCREMENTAL", "1").env("SIM_QUICK", "1").env("SIM_SHOWN", "1");
    command.env_remove("SIM_MUTANTS").env_remove("SIM_SEED");
    command.output().expect("cargo runs")
}

/// A copy of the tree, without what was built.
fn copy() -> PathBuf {
    let tree = root().join("target/mutants/tree");
    for name in ["src", "tests", "config", "bench"] {
        copy_folder(&root().join(name), &tree.join(name));
    }
    for name in ["Cargo.toml", "Cargo.lock", ".clippy.toml", "README.md"] {
        copy_file(&root().join(name), &tree.join(name));
    }
    tree
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("readable").path();
        let to = to.join(path.file_name().expect("named"));
        match path.is_dir() {
            true => copy_folder(&path, &to),
            false => copy_file(&path, &to),
        }
    }
}

/// Untouched if it is the same: what is built stays valid.
fn copy_file(from: &Path, to: &Path) {
    let new = fs::read(from).expect("readable");
    if fs::read(to).ok().as_ref() != Some(&new) {
        fs::write(to, new).expect("written");
    }
}
