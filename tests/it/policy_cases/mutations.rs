//! The shipped policy, mutated line by line: whatever harms is caught by the check or by a clause's test.
//!
//! A mutation harms when the reference (written from the paper alone) answers differently for some
//! caller in some circumstances. The table: `cargo test --test it -- mutations --nocapture`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use telefonist::domain::{Directory, Money, Vip};
use telefonist::policy::{Decision, Ending, Policy, Presence, decide};

use super::office::{CALENDARS, Call, Office, POLICY, client, names, office, stranger};
use super::reference::{Answer, World};
use super::*;

thread_local! {
    /// The policy that the cases of this thread are tried on instead of the shipped one.
    pub static MUTANT: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

macro_rules! cases {
    ($($name:ident,)*) => { &[$((stringify!($name), $name as fn())),*] };
}

/// Every case of the clauses.
const CASES: &[(&str, fn())] = cases![
    a1_a_withheld_number_is_unidentified_and_goes_to_the_operators,
    a1_a_malformed_number_is_unidentified_never_an_error,
    a1_a_database_that_does_not_answer_makes_nobody_new,
    a1_a_stale_index_still_identifies_and_says_so,
    a1_several_clients_with_the_number_are_all_shown,
    a2_facts_are_shown_with_the_age_of_their_row,
    a3_a_valid_number_in_no_list_is_new,
    a3_a_client_with_neither_manager_nor_order_is_new,
    a3_a_manager_who_is_not_there_is_none,
    a3_who_is_marked_served_by_operators_is_no_longer_new,
    a4_exactly_at_the_credit_limit_is_no_debt_and_one_cent_above_is,
    a4_grace_days_are_days_that_are_no_debt_yet,
    a4_days_of_debt_are_local_days,
    b1_a_new_client_goes_to_the_head_of_the_called_department,
    b1_the_called_number_goes_before_the_callers_region_and_that_before_the_default,
    b1_every_called_number_and_every_region_has_the_department_of_the_paper,
    b1_a_clients_own_region_goes_before_that_of_the_number,
    b1_an_absent_heads_deputy_stands_in_and_owns_the_callback,
    b1_without_a_head_on_shift_the_shift_leader_stands_in,
    b1_with_no_head_anywhere_the_operators_inform_and_a_callback_is_owned,
    b1_new_goes_before_vip_key_and_debt,
    b1_the_relevant_head_who_is_also_the_default_is_asked_once,
    b1_an_absent_head_without_deputy_passes_the_callback_on_and_says_so,
    b6_a_promise_whose_owners_are_all_away_falls_to_the_nearest_superior_who_is_there,
    b9_a_vip_client_goes_to_the_personal_manager_then_to_the_others_of_that_department,
    b9_goes_before_key_and_debt,
    b9_a_setting_sends_vip_debtors_to_finance,
    b9_a_pending_status_does_not_count_yet,
    b9_a_vip_client_without_a_manager_reaches_the_head_of_client_service,
    b2_a_key_client_goes_to_their_own_manager_first,
    b2_an_absent_managers_deputy_takes_the_place,
    b2_a_busy_manager_has_no_deputy_and_the_caller_waits,
    b2_with_every_manager_gone_the_head_of_wholesale_is_next,
    b2_with_nobody_at_all_a_callback_is_promised_never_a_dead_line,
    b2_a_key_client_who_owes_still_goes_to_the_manager_with_the_debt_shown,
    b2_a_manager_who_has_left_is_a_note_not_an_error,
    b3_a_debtor_goes_to_finance_then_to_the_manager_then_to_the_head_of_finance,
    b3_a_setting_asks_the_manager_first,
    b3_a_debtor_without_a_manager_skips_that_step,
    b3_an_old_balance_is_shown_as_old_and_not_used,
    b3_a_balance_of_this_morning_counts,
    b4_everybody_else_goes_to_the_operators_then_to_their_replacement,
    b4_a_type_that_the_policy_does_not_name_goes_to_the_operators,
    b4_a_regional_client_with_a_manager_still_goes_to_the_operators,
    b10_no_person_stands_in_two_steps_of_their_own,
    c1_a_deputy_may_be_absent_too_and_the_chain_is_followed,
    c1_a_circle_of_deputies_ends_and_the_next_step_takes_over,
    c1_absence_says_its_kind_and_its_end,
    c1_an_absence_ends_with_its_last_day_of_the_department,
    c2_when_every_step_is_closed_the_first_steps_department_answers,
    c2_one_open_department_is_enough_to_go_on,
    c2_hours_are_those_of_each_persons_own_department,
    c2_finance_closes_early_on_friday_and_the_manager_takes_over,
    c2_the_shipped_hours_are_those_of_each_department,
    c3_everybody_is_listed_with_their_presence_and_its_reason,
    c3_a_person_without_a_phone_of_ours_is_gone,
    c7_people_have_their_own_queues_and_roles_the_groups,
    c7_who_is_gone_for_the_whole_call_is_listed_and_stands_in_no_queue,
    c7_no_shipped_step_lets_go_of_those_before_it,
    c1_a_step_to_whoever_stands_in_names_the_clause,
    c7_no_queue_stands_in_a_plan_twice,
    c7_ring_and_wait_are_the_steps_own,
    d1_the_decision_names_rule_clause_and_the_policys_hash,
    d1_every_rule_tried_says_why_it_did_not_take_the_call,
    d1_the_same_facts_give_the_same_decision_for_ever,
    d1_presence_may_be_unknown_and_closed_hours_are_still_known,
    priority_is_a_head_start_and_the_larger_counts,
];

#[test]
fn every_case_of_the_clauses_is_tried_on_the_mutations() {
    let source = include_str!("../policy_cases.rs");
    let written = source.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next());
    assert!(written.eq(CASES.iter().map(|(name, _)| *name)), "cases! lists them all, in order");
}

/// A mutation: what was done, and the text that came of it.
struct Mutation {
    what: String,
    text: String,
}

/// Lines that say something.
fn lines() -> Vec<(usize, &'static str)> {
    let lines = POLICY.lines().enumerate();
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect()
}

fn with(changes: &[(usize, &str)]) -> String {
    let changed: BTreeMap<usize, &str> = changes.iter().copied().collect();
    let lines = POLICY.lines().enumerate();
    lines.map(|(i, line)| format!("{}\n", changed.get(&i).unwrap_or(&line))).collect()
}

/// Words of one kind: each is changed into its neighbour.
const KINDS: [&[&str]; 6] = [
    &["B1", "B9", "B2", "B3", "B4", "C1"],
    &["wholesale", "market", "retail", "regional", "sales_support", "client_service", "finance"],
    &["operator", "shift_leader", "key_account_manager", "vip_manager"],
    &["\"key\"", "\"marketer\"", "\"retail\""],
    &["true", "false"],
    &["personal_manager\"", "finance\""],
];

const SWAPS: [(&str, &str); 13] = [
    ("to = \"manager\"", "to = \"person dora\""),
    ("to = \"deputies of ", "to = \""),
    ("to = \"head of ", "to = \"deputies of head of "),
    ("head of department", "head of default department"),
    ("head of default department", "head of client's department"),
    (" of manager's department", ""),
    (" of department", ""),
    ("role finance", "role operator"),
    ("first = \"finance\"", "first = \"manager\""),
    ("owner = \"head of department\"", "owner = \"head of finance\""),
    (" = 0", " = 30"),
    ("1d", "60s"),
    ("12", "13"),
];

fn mutations() -> Vec<Mutation> {
    let mut found = Vec::new();
    let lines = lines();
    let mut add = |line: usize, what: &str, text: String| {
        let shown = POLICY.lines().nth(line).unwrap_or_default().trim();
        found.push(Mutation { what: format!("{}: {what}: {shown}", line + 1), text });
    };
    for (i, line) in &lines {
        add(*i, "delete", with(&[(*i, "")]));
        for kind in KINDS {
            for (n, word) in kind.iter().enumerate().filter(|(_, word)| line.contains(*word)) {
                let other = kind[(n + 1) % kind.len()];
                add(*i, &format!("{word} → {other}"), with(&[(*i, &line.replace(word, other))]));
            }
        }
        for (from, to) in SWAPS.iter().filter(|(from, _)| line.contains(from)) {
            add(*i, &format!("{from} → {to}"), with(&[(*i, &line.replace(from, to))]));
        }
        if line.contains("wait = ") {
            let only = line.replace(" },", ", only = true },");
            add(*i, "only", with(&[(*i, &only)]));
            let longer = line.replace("0s\"", "1s\"");
            add(*i, "other times", with(&[(*i, &longer)]));
        }
        if let Some(digits) = line.find("number").and_then(|_| line.find("0\"")) {
            let other = format!("{}7{}", &line[..digits], &line[digits + 1..]);
            add(*i, "another number", with(&[(*i, &other)]));
        }
    }
    for pair in lines.windows(2).filter(|pair| pair[1].0 == pair[0].0 + 1) {
        add(
            pair[0].0,
            "swap with the next",
            with(&[(pair[0].0, pair[1].1), (pair[1].0, pair[0].1)]),
        );
    }
    let blocks: Vec<&str> = POLICY.split("\n\n").collect();
    for (i, block) in blocks.iter().enumerate() {
        let line = blocks[..i].iter().map(|b| b.lines().count() + 1).sum::<usize>();
        let without: Vec<&str> =
            blocks.iter().enumerate().filter(|(n, _)| *n != i).map(|(_, b)| *b).collect();
        if block.lines().any(|l| l.starts_with('[')) {
            add(line, "delete the block", without.join("\n\n"));
        }
        let swaps = |n: usize| blocks.get(n).is_some_and(|b| b.contains("[[rule]]"));
        if swaps(i) && swaps(i + 1) {
            let mut other = blocks.clone();
            other.swap(i, i + 1);
            add(line, "swap with the next block", other.join("\n\n"));
        }
    }
    let mut seen = BTreeSet::from([POLICY.to_owned()]);
    found.retain(|mutation| seen.insert(mutation.text.clone()));
    found
}

/// Who may be at work, and when.
fn worlds() -> Vec<Office> {
    vec![
        office(),
        office().absent("otto", "dora").absent("gerd", ""),
        office().absent("vera", "dora").absent("karl", "willi").absent("helene", "ines"),
        office().change("nina", |p| _ = p.roles.remove(&telefonist::domain::Role::new("operator"))),
        office().absent("anna", "clara").absent("viktor", "").absent("marta", "ines"),
        office().absent("vera", "").absent("olga", "").absent("pavel", "").absent("nina", ""),
        office().absent("fritz", "").absent("rosa", ""),
        office().at("2026-03-04T18:30:00Z"),
        office().at("2026-03-04T21:00:00Z"),
        office().at("2026-03-04T07:45:00Z"),
    ]
}

/// Callers of every kind that the paper tells apart.
fn callers() -> Vec<Call> {
    let mut callers = vec![stranger(""), stranger("anonymous@invalid")];
    callers.extend(["own_outlet", "regional", "prospect", "other"].map(client));
    for end in ["00", "10", "20", "30", "40", "50"] {
        for from in ["+442079460999", "+46846500401", "+33199001234"] {
            callers.push(stranger(from).to(&format!("+4930231259{end}")));
        }
    }
    for kind in ["key", "marketer", "retail"] {
        for vip in [Vip::None, Vip::Local, Vip::Branch] {
            for manager in ["", "anna", "marta", "viktor", "gone"] {
                let at_limit = |c: &mut telefonist::domain::Client| {
                    (c.balance, c.credit_limit) = (Money(5_000), Some(Money(5_000)));
                };
                let plain = client(kind).vip(vip).with(at_limit);
                let plain = if manager.is_empty() { plain } else { plain.manager(manager) };
                callers.push(plain.clone().overdue(1));
                callers.push(plain.clone().with(|c| c.balance = Money(5_001)));
                callers.push(plain.clone().with(|c| c.vip_pending = true));
                callers.push(plain.clone().department("finance"));
                callers.push(
                    plain.with(|c| (c.last_order, c.region) = (None, Some("Old Market".into()))),
                );
            }
        }
    }
    callers
}

fn given(decision: &Decision, directory: &Directory, at: jiff::Timestamp) -> Answer {
    let mut seen = BTreeSet::new();
    let mut rings = Vec::new();
    for step in &decision.plan.steps {
        let here =
            |agent| directory.person(agent).is_some_and(|p| directory.absence(p, at).is_none());
        let people = step.people.iter().filter(|c| !c.closed && here(c.agent));
        let names = people.filter_map(|c| directory.person(c.agent));
        let mut people: Vec<String> = names.map(|person| person.id.to_string()).collect();
        people.retain(|person| seen.insert(person.clone()));
        people.sort();
        if step.only {
            people.push("only: the earlier let go (C7)".into());
        }
        if !people.is_empty() {
            people.insert(0, step.clause.to_string());
            rings.push(people);
        }
    }
    let (closed, owner) = match &decision.plan.ending {
        Ending::Callback { owner } => (false, owner.as_ref()),
        Ending::OutOfHours { owner, .. } => (true, owner.as_ref()),
        _ => (false, None),
    };
    let owner = owner.map(ToString::to_string);
    Answer { clause: decision.clause.to_string(), rings, closed, owner }
}

/// Circumstances with what the paper says in them.
struct Scene {
    /// A setting that is other than shipped: from, to.
    setting: (&'static str, &'static str),
    at: jiff::Timestamp,
    directory: Directory,
    answers: Vec<(Call, Answer)>,
}

const AS_SHIPPED: (&str, &str) = ("", "");
const MANAGER_FIRST: (&str, &str) = ("first = \"finance\", when", "first = \"manager\", when");
const VIP_DEBTOR: (&str, &str) =
    ("vip_debtor         = \"personal_manager\"", "vip_debtor = \"finance\"");

fn expected() -> Vec<Scene> {
    let of = |(setting, office): ((&'static str, &'static str), Office)| {
        let directory = office.directory();
        let world = World {
            directory: &directory,
            at: office.at,
            manager_first: setting == MANAGER_FIRST,
            vip_debtor_to_finance: setting == VIP_DEBTOR,
        };
        let answers = callers().into_iter().map(|call| {
            let answer = world.answer(&call);
            (call, answer)
        });
        let answers = answers.collect();
        Scene { setting, at: office.at, directory, answers }
    };
    let shipped = worlds().into_iter().map(|office| (AS_SHIPPED, office));
    let away = || office().absent("karl", "willi").absent("marta", "ines");
    let others = [(MANAGER_FIRST, office()), (MANAGER_FIRST, away()), (VIP_DEBTOR, office())];
    shipped.chain(others).map(of).collect()
}

fn compiled(text: &str) -> Result<Policy, Vec<telefonist::policy::Problem>> {
    let sources = telefonist::policy::Sources {
        policy: ("policy.toml", text),
        calendars: ("calendars.toml", CALENDARS),
    };
    Policy::compile(&sources, &office().directory(), &names())
}

/// The first caller whom this policy treats otherwise than the paper.
fn harmed(policy: &Policy, text: &str, expected: &[Scene]) -> Option<String> {
    for Scene { setting, at, directory, answers } in expected {
        // A text in which the setting cannot be changed says nothing about it.
        let changed = text.replace(setting.0, setting.1);
        let policy = match *setting {
            AS_SHIPPED => Ok(policy.clone()),
            _ if changed == text => continue,
            _ => compiled(&changed),
        };
        let Ok(policy) = policy else { continue };
        for (call, wanted) in answers {
            let decision = decide(&policy, directory, &call.facts(*at), &|_| Presence::Free);
            let given = given(&decision, directory, *at);
            let owes = call.client.as_ref().is_some_and(|c| c.overdue > Money(0));
            let shown = !owes || decision.plan.display.contains("debt 1 d");
            if given != *wanted || !shown {
                return Some(format!("{at} {}: {given:?}, not {wanted:?}", call.from));
            }
        }
    }
    None
}

/// The first of the cases of `clause` (`""`: all) that fails on this text; a case that cannot be set up on
/// it says nothing.
pub fn failing_case(text: &str, clause: &str) -> Option<&'static str> {
    MUTANT.set(Some(text.to_owned()));
    QUIET.set(true);
    let fails = |case: &fn()| {
        let panic = catch_unwind(AssertUnwindSafe(case)).err();
        let message = panic.map(|p| p.downcast_ref::<String>().cloned().unwrap_or_default());
        message.is_some_and(|m| !m.ends_with("is not in the policy"))
    };
    let mut cases = CASES.iter().filter(|(name, _)| name.starts_with(clause));
    let found = cases.find(|(_, case)| fails(case)).map(|(name, _)| *name);
    QUIET.set(false);
    MUTANT.set(None);
    found
}

/// Panics of cases on mutations are results: nobody needs to read them.
pub fn hear_no_panics_of_mutants() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
}

#[test]
fn the_reference_agrees_with_the_shipped_policy() {
    let policy = office().compile().expect("a good policy");
    assert_eq!(harmed(&policy, POLICY, &expected()), None);
}

#[test]
fn every_harmful_mutation_of_the_shipped_policy_is_caught() {
    hear_no_panics_of_mutants();
    let all = mutations();
    let halves: Vec<&[Mutation]> = all.chunks(all.len().div_ceil(2)).collect();
    let verdicts: Vec<(&Mutation, &str, String)> = std::thread::scope(|scope| {
        let judge = |half| scope.spawn(move || judged(half));
        let threads: Vec<_> = halves.into_iter().map(judge).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("judged")).collect()
    });
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (mutation, verdict, by) in &verdicts {
        println!("{verdict:<9} {}\n          {by}", mutation.what);
        *counts.entry(verdict).or_default() += 1;
    }
    println!("{counts:?}");
    let survivors = verdicts.iter().filter(|(_, verdict, _)| *verdict == "SURVIVES");
    let survivors: Vec<String> =
        survivors.map(|(mutation, _, by)| format!("{}\n    {by}", mutation.what)).collect();
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    assert!(counts["check"] > 100 && counts["case"] > 70, "the mutations bite: {counts:?}");
}

/// What becomes of each: told by the check, harmless by the reference, or failed by a case.
fn judged(mutations: &[Mutation]) -> Vec<(&Mutation, &'static str, String)> {
    let expected = expected();
    let (usual, at) = (office().directory(), office().at);
    let known = office().compile().expect("a good policy").prove(&usual, at).problems.len();
    let judge = |mutation: &Mutation| {
        let text = mutation.text.as_str();
        let policy = match compiled(text) {
            Err(problems) => return ("check", problems[0].message.clone()),
            Ok(policy) => policy,
        };
        let Some(harm) = harmed(&policy, text, &expected) else {
            return ("harmless", String::new());
        };
        let proven = policy.prove(&usual, at).problems;
        if let Some(problem) = policy.warnings.first().or(proven.get(known)) {
            return ("check", problem.message.clone());
        }
        match failing_case(text, "") {
            Some(case) => ("case", case.to_owned()),
            None => ("SURVIVES", harm),
        }
    };
    let judged = mutations.iter().map(|mutation| (mutation, judge(mutation)));
    judged.map(|(mutation, (verdict, by))| (mutation, verdict, by)).collect()
}
