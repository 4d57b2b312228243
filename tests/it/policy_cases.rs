//! The documented policy, clause by clause, on the shipped `config/policy.toml`.

#[path = "policy_cases/office.rs"]
pub mod office;

#[path = "policy_cases/mutations.rs"]
pub mod mutations;

#[path = "policy_cases/hours.rs"]
pub mod hours;

#[path = "policy_cases/reference.rs"]
mod reference;

use jiff::civil::date;
use office::{client, office, record, rings, stranger};
use telefonist::domain::{Money, QueueId, Vip};
use telefonist::policy::{Decision, Ending, IndexState, Presence};

fn notes(decision: &Decision) -> String {
    decision.explanation.notes.join("\n")
}

fn fact(decision: &Decision, name: &str) -> String {
    let found = decision.explanation.facts.iter().find(|f| f.name.as_ref() == name);
    found.map_or_else(|| format!("no fact `{name}`"), |f| f.value.to_string())
}

// --- A: who is calling ---

#[test]
fn a1_a_withheld_number_is_unidentified_and_goes_to_the_operators() {
    let decision = office().decide(&stranger(""));
    assert_eq!(decision.clause.as_ref(), "B4");
    assert_eq!(fact(&decision, "caller"), "withheld");
    assert_eq!(decision.plan.display.as_ref(), "unidentified");
    assert!(notes(&decision).contains("withheld or malformed"));
}

#[test]
fn a1_a_malformed_number_is_unidentified_never_an_error() {
    let decision = office().decide(&stranger("anonymous@invalid"));
    assert_eq!(decision.clause.as_ref(), "B4");
    assert_eq!(fact(&decision, "caller"), "anonymous@invalid (no valid number)");
}

#[test]
fn a1_a_database_that_does_not_answer_makes_nobody_new() {
    let call = stranger("+442079460001")
        .index(IndexState::Unavailable { why: "no answer within 200 ms".into() });
    let decision = office().decide(&call);
    assert_eq!(decision.clause.as_ref(), "B4");
    assert!(notes(&decision).contains("not identified: no answer within 200 ms (A1)"));
}

#[test]
fn a1_a_stale_index_still_identifies_and_says_so() {
    let since = "2026-03-04T09:50:00Z".parse().expect("an instant");
    let call = client("key").manager("anna").index(IndexState::Stale { since });
    let decision = office().decide(&call);
    assert_eq!(decision.clause.as_ref(), "B2");
    assert!(notes(&decision).contains("away since 2026-03-04T09:50:00Z"));
    let unknown = stranger("+442079460001").index(IndexState::Stale { since });
    assert_eq!(office().decide(&unknown).clause.as_ref(), "B1", "the index still serves");
}

#[test]
fn a1_several_clients_with_the_number_are_all_shown() {
    let mut call = client("retail");
    let mut other = record("key");
    other.name = "Other & Sons".into();
    call.others.push(other);
    let decision = office().decide(&call);
    assert_eq!(decision.clause.as_ref(), "B4", "the chosen one decides");
    assert!(notes(&decision).contains("2 clients have this number: ACME, Other & Sons"));
}

#[test]
fn a2_facts_are_shown_with_the_age_of_their_row() {
    let call = client("key").manager("anna").department("wholesale").overdue(12);
    let decision = office().decide(&call);
    let ages: Vec<_> =
        decision.explanation.facts.iter().map(|f| (f.name.as_ref(), f.age_s)).collect();
    assert!(ages.contains(&("type", Some(30))) && ages.contains(&("debt", Some(30))));
    assert!(ages.contains(&("caller", None)), "the call itself carries it");
    assert_eq!(fact(&decision, "debt"), "12 d (340.00 overdue)");
    assert_eq!(fact(&decision, "manager"), "anna");
}

#[test]
fn a3_a_valid_number_in_no_list_is_new() {
    assert_eq!(office().decide(&stranger("+442079460999")).clause.as_ref(), "B1");
}

#[test]
fn a3_a_client_with_neither_manager_nor_order_is_new() {
    let fresh = client("retail").with(|c| c.last_order = None);
    assert_eq!(office().decide(&fresh).clause.as_ref(), "B1");
    assert_eq!(office().decide(&fresh.clone().manager("marta")).clause.as_ref(), "B4");
    let ordered = client("retail");
    assert_eq!(office().decide(&ordered).clause.as_ref(), "B4", "has ordered, has no manager");
}

#[test]
fn a3_a_manager_who_is_not_there_is_none() {
    let office = office().without("marta");
    let fresh = client("retail").with(|c| c.last_order = None);
    for nobody in ["marta", "mrata"] {
        let decision = office.decide(&fresh.clone().manager(nobody));
        assert_eq!(decision.clause.as_ref(), "B1", "{nobody}");
        assert_eq!(fact(&decision, "manager"), format!("{nobody} (there is no such person)"));
    }
    assert_eq!(office.decide(&client("retail").manager("mrata")).clause.as_ref(), "B4");
    assert_eq!(office.decide(&fresh.manager("ines")).clause.as_ref(), "B4");
}

#[test]
fn a3_who_is_marked_served_by_operators_is_no_longer_new() {
    let call = client("retail").with(|c| (c.last_order, c.served_by_operators) = (None, true));
    assert_eq!(office().decide(&call).clause.as_ref(), "B4");
}

#[test]
fn a4_exactly_at_the_credit_limit_is_no_debt_and_one_cent_above_is() {
    let at_limit = |balance| {
        client("retail").with(move |c| {
            c.credit_limit = Some(Money(200_000));
            c.balance = Money(balance);
        })
    };
    assert_eq!(office().decide(&at_limit(200_000)).clause.as_ref(), "B4");
    let over = office().decide(&at_limit(200_001));
    assert_eq!(over.clause.as_ref(), "B3");
    assert_eq!(fact(&over, "debt"), "0.01 over the limit");
}

#[test]
fn a4_grace_days_are_days_that_are_no_debt_yet() {
    let grace = || office().setting("grace_days         = 0", "grace_days = 5");
    assert_eq!(office().decide(&client("retail").overdue(1)).clause.as_ref(), "B3");
    assert_eq!(grace().decide(&client("retail").overdue(5)).clause.as_ref(), "B4");
    assert_eq!(grace().decide(&client("retail").overdue(6)).clause.as_ref(), "B3");
}

#[test]
fn a4_days_of_debt_are_local_days() {
    // 23:30 UTC on the 4th is the 5th in Berlin.
    let call =
        client("key").manager("anna").overdue(0).with(|c| c.overdue_since = Some(date(2026, 3, 4)));
    let decision = office().at("2026-03-04T23:30:00Z").decide(&call);
    assert_eq!(fact(&decision, "debt"), "1 d (340.00 overdue)");
}

// --- B1: new clients ---

const NEW: &str = "B1 new client";

#[test]
fn b1_a_new_client_goes_to_the_head_of_the_called_department() {
    let route = office().route(&stranger("+442079460999").to("+493023125920"));
    let expected = [
        NEW,
        "head of department: otto",
        "deputies of head of department: -",
        "role shift_leader of department: -",
        "head of default department: vera",
        "deputies of head of default department: -",
        "role operator: nina olga pavel",
        "callback of otto",
    ];
    assert_eq!(route, expected);
}

#[test]
fn b1_the_called_number_goes_before_the_callers_region_and_that_before_the_default() {
    let head = |to: &str, from: &str| office().route(&stranger(from).to(to))[1].clone();
    assert_eq!(head("+493023125930", "+46846500401"), "head of department: rosa", "called");
    assert_eq!(head("+493023125900", "+46846500401"), "head of department: ivo", "region North");
    assert_eq!(head("+493023125900", "+442079460999"), "head of department: vera", "default");
}

#[test]
fn b1_every_called_number_and_every_region_has_the_department_of_the_paper() {
    let numbers = [
        ("+493023125910", "vera"),
        ("+493023125920", "otto"),
        ("+493023125930", "rosa"),
        ("+493023125940", "ivo"),
        ("+493023125950", "gerd"),
    ];
    for (to, head) in numbers {
        let route = office().route(&stranger("+46846500401").to(to));
        assert_eq!(route[1], format!("head of department: {head}"), "{to}");
        let decision = office().decide(&stranger("+46846500401").to(to));
        assert!(fact(&decision, "relevant department").contains("(called +4930231259"), "{to}");
    }
    for (from, head) in
        [("+46846500401", "ivo"), ("+33199001234", "ivo"), ("+442079460999", "vera")]
    {
        let route = office().route(&stranger(from));
        assert_eq!(route[1], format!("head of department: {head}"), "{from}");
    }
}

#[test]
fn b1_a_clients_own_region_goes_before_that_of_the_number() {
    let mut call =
        client("retail").with(|c| (c.last_order, c.region) = (None, Some("Old Market".into())));
    call.from = "+46846500401".into();
    let decision = office().decide(&call);
    assert_eq!(fact(&decision, "relevant department"), "market (region Old Market)");
}

#[test]
fn b1_an_absent_heads_deputy_stands_in_and_owns_the_callback() {
    let office = office().absent("otto", "dora");
    let decision = office.decide(&stranger("+442079460999").to("+493023125920"));
    let route = office::read_aloud(&decision);
    assert_eq!(route[1], "head of department: (otto)");
    assert_eq!(route[2], "deputies of head of department: dora for otto");
    assert_eq!(route[7], "callback of dora");
    assert!(notes(&decision).contains("the callback falls to dora: otto is absent"));
}

#[test]
fn b1_without_a_head_on_shift_the_shift_leader_stands_in() {
    let office = office().absent("gerd", "");
    let route = office.route(&stranger("+442079460999").to("+493023125950"));
    assert_eq!(route[1], "head of department: (gerd)");
    assert_eq!(route[2], "deputies of head of department: -");
    assert_eq!(route[3], "role shift_leader of department: nina");
}

#[test]
fn b1_with_no_head_anywhere_the_operators_inform_and_a_callback_is_owned() {
    let office = office().absent("otto", "").absent("vera", "").gone("nina", "logged out");
    let decision = office.decide(&stranger("+442079460999").to("+493023125920"));
    assert_eq!(rings(&decision), ["olga", "pavel"]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("otto".into()) });
}

#[test]
fn b1_new_goes_before_vip_key_and_debt() {
    let call = client("key").vip(Vip::Branch).overdue(90).with(|c| c.last_order = None);
    assert_eq!(office().decide(&call).clause.as_ref(), "B1");
}

#[test]
fn b1_the_relevant_head_who_is_also_the_default_is_asked_once() {
    let decision = office().decide(&stranger("+442079460999"));
    let step = &decision.plan.steps[3];
    assert_eq!((step.people.len(), step.queues.len()), (0, 0));
    assert_eq!(step.note.as_deref(), Some("vera is in step 1 already"));
}

#[test]
fn b1_an_absent_head_without_deputy_passes_the_callback_on_and_says_so() {
    let office = office().absent("otto", "");
    let decision = office.decide(&stranger("+442079460999").to("+493023125920"));
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("vera".into()) });
    assert!(notes(&decision).contains("otto is absent (leave to 2026-03-06), nobody stands in"));
}

#[test]
fn b6_a_promise_whose_owners_are_all_away_falls_to_the_nearest_superior_who_is_there() {
    let office = office().absent("vera", "").change("vera", |p| p.supervisor = Some("dora".into()));
    let decision = office.decide(&client("key"));
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("dora".into()) });
    assert!(notes(&decision).contains("the callback falls to the superior, dora"));
}

// --- B9: VIP clients ---

#[test]
fn b9_a_vip_client_goes_to_the_personal_manager_then_to_the_others_of_that_department() {
    let route = office().route(&client("retail").vip(Vip::Local).manager("viktor"));
    let expected = [
        "B9 VIP client",
        "manager: viktor",
        "deputies of manager: -",
        "role vip_manager of manager's department: viktor lena",
        "head of client_service: helene",
        "deputies of head of client_service: -",
        "callback of viktor",
    ];
    assert_eq!(route, expected, "willi is a VIP manager of another department");
}

#[test]
fn b9_goes_before_key_and_debt() {
    let call = client("key").vip(Vip::Branch).manager("lena").overdue(30);
    let decision = office().decide(&call);
    assert_eq!(decision.clause.as_ref(), "B9");
    assert_eq!(decision.plan.display.as_ref(), "ACME (KEY) VIP branch debt 30 d", "debt is shown");
}

#[test]
fn b9_a_setting_sends_vip_debtors_to_finance() {
    let office = office().setting("\"personal_manager\"\n# B:", "\"finance\"\n# B:");
    let debtor = client("retail").vip(Vip::Local).manager("viktor").overdue(30);
    assert_eq!(office.decide(&debtor).clause.as_ref(), "B3");
    let clear = client("retail").vip(Vip::Local).manager("viktor");
    assert_eq!(office.decide(&clear).clause.as_ref(), "B9");
}

#[test]
fn b9_a_pending_status_does_not_count_yet() {
    let call = client("retail").manager("viktor").with(|c| c.vip_pending = true);
    let decision = office().decide(&call);
    assert_eq!(decision.clause.as_ref(), "B4");
    assert!(notes(&decision).contains("pending"));
}

#[test]
fn b9_a_vip_client_without_a_manager_reaches_the_head_of_client_service() {
    let decision = office().decide(&client("retail").vip(Vip::Local));
    assert_eq!(rings(&decision), ["helene"]);
    let note = decision.plan.steps[2].note.as_deref();
    assert_eq!(note, Some("the client has no manager"));
}

// --- B2: key clients ---

#[test]
fn b2_a_key_client_goes_to_their_own_manager_first() {
    let route = office().route(&client("key").manager("anna"));
    let expected = [
        "B2 key client",
        "manager: anna",
        "deputies of manager: -",
        "role key_account_manager: anna boris clara",
        "head of wholesale: vera",
        "deputies of head of wholesale: -",
        "callback of anna",
    ];
    assert_eq!(route, expected);
}

#[test]
fn b2_an_absent_managers_deputy_takes_the_place() {
    let route = office().absent("anna", "clara").route(&client("key").manager("anna"));
    assert_eq!(route[1], "manager: (anna)");
    assert_eq!(route[2], "deputies of manager: clara for anna");
    assert_eq!(route[3], "role key_account_manager: (anna) boris clara");
    assert_eq!(route[6], "callback of clara");
}

#[test]
fn b2_a_busy_manager_has_no_deputy_and_the_caller_waits() {
    let route = office().busy("anna").route(&client("key").manager("anna"));
    assert_eq!(route[1], "manager: ~anna");
    assert_eq!(route[2], "deputies of manager: -", "deputies are named for absences only");
}

#[test]
fn b2_with_every_manager_gone_the_head_of_wholesale_is_next() {
    let office = office().gone("anna", "no phone").absent("boris", "").gone("clara", "paused");
    assert_eq!(rings(&office.decide(&client("key").manager("anna"))), ["vera"]);
}

#[test]
fn b2_with_nobody_at_all_a_callback_is_promised_never_a_dead_line() {
    let mut office = office();
    for person in ["anna", "boris", "clara", "vera"] {
        office = office.gone(person, "logged out");
    }
    let decision = office.decide(&client("key").manager("anna"));
    assert_eq!(rings(&decision), [""; 0]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("anna".into()) });
}

#[test]
fn b2_a_key_client_who_owes_still_goes_to_the_manager_with_the_debt_shown() {
    let decision = office().decide(&client("key").manager("anna").overdue(12));
    assert_eq!(decision.clause.as_ref(), "B2");
    assert_eq!(decision.plan.display.as_ref(), "ACME (KEY) debt 12 d");
}

#[test]
fn b2_a_manager_who_has_left_is_a_note_not_an_error() {
    let office = office().without("anna");
    let decision = office.decide(&client("key").manager("anna").department("wholesale"));
    assert_eq!(decision.plan.steps[0].note.as_deref(), Some("manager anna has left"));
    assert_eq!(rings(&decision), ["boris", "clara", "vera"]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("vera".into()) });
}

// --- B3: debtors ---

#[test]
fn b3_a_debtor_goes_to_finance_then_to_the_manager_then_to_the_head_of_finance() {
    let route = office().route(&client("marketer").manager("marta").overdue(3));
    let expected = [
        "B3 debtor",
        "role finance: fritz",
        "manager: marta",
        "deputies of manager: -",
        "head of finance: karl",
        "deputies of head of finance: -",
        "callback of marta",
    ];
    assert_eq!(route, expected);
}

#[test]
fn b3_a_setting_asks_the_manager_first() {
    let office = office().setting("{ first = \"finance\"", "{ first = \"manager\"");
    let route = office.route(&client("marketer").manager("marta").overdue(3));
    assert_eq!(
        route[..3],
        ["B3 debtor, manager first", "manager: marta", "deputies of manager: -"]
    );
    assert_eq!(route[3], "role finance: fritz");
    assert_eq!(route[4..6], ["head of finance: karl", "deputies of head of finance: -"]);
    let away = office.absent("karl", "willi");
    let route = away.route(&client("marketer").manager("marta").overdue(3));
    assert_eq!(route[5], "deputies of head of finance: willi for karl");
}

#[test]
fn b3_a_debtor_without_a_manager_skips_that_step() {
    let decision = office().decide(&client("retail").overdue(3));
    assert_eq!(rings(&decision), ["fritz", "karl"]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("vera".into()) }, "default");
}

#[test]
fn b3_an_old_balance_is_shown_as_old_and_not_used() {
    let old = client("retail")
        .overdue(30)
        .with(|c| c.as_of = "2026-03-01T09:00:00Z".parse().expect("an instant"));
    let decision = office().decide(&old);
    assert_eq!(decision.clause.as_ref(), "B4");
    assert!(notes(&decision).contains("balance is 3 d old: not used (B3)"));
    assert_eq!(decision.plan.display.as_ref(), "ACME (RETAIL) debt 30 d (3 d old)");
    let why = |d: &Decision| d.explanation.rules[3].why.to_string();
    assert_eq!(why(&decision), "the debt is 3 d old: not used");

    let used = office().setting("use_old_debt       = false", "use_old_debt = true");
    let decision = used.decide(&old);
    assert_eq!(decision.clause.as_ref(), "B3");
    assert!(notes(&decision).contains("balance is 3 d old: used all the same"));
}

#[test]
fn b3_a_balance_of_this_morning_counts() {
    let call = client("retail").overdue(3).with(|c| {
        c.as_of = "2026-03-04T01:00:00Z".parse().expect("an instant");
    });
    assert_eq!(office().decide(&call).clause.as_ref(), "B3");
}

// --- B4: everybody else ---

#[test]
fn b4_everybody_else_goes_to_the_operators_then_to_their_replacement() {
    let route = office().route(&client("retail"));
    let expected = [
        "B4 everybody else",
        "role operator: nina olga pavel",
        "role shift_leader: nina",
        "callback of vera",
    ];
    assert_eq!(route, expected);
}

#[test]
fn b4_a_type_that_the_policy_does_not_name_goes_to_the_operators() {
    assert_eq!(office().decide(&client("horeca")).clause.as_ref(), "B4");
}

#[test]
fn b4_a_regional_client_with_a_manager_still_goes_to_the_operators() {
    let decision = office().decide(&client("regional").manager("ines").department("regional"));
    assert_eq!(decision.clause.as_ref(), "B4");
    let owner = Ending::Callback { owner: Some("ines".into()) };
    assert_eq!(decision.plan.ending, owner, "the client's manager owns the promise");
}

// --- B10, C1, C2, C3, C7 ---

#[test]
fn b10_no_person_stands_in_two_steps_of_their_own() {
    // The deputy is also the head of the last step.
    let office = office().absent("anna", "vera");
    let decision = office.decide(&client("key").manager("anna"));
    assert_eq!(decision.explanation.steps[1].people[0].person.as_str(), "vera");
    assert!(decision.plan.steps[3].people.is_empty());
    assert_eq!(decision.plan.steps[3].note.as_deref(), Some("vera is in step 2 already"));
}

#[test]
fn c1_a_deputy_may_be_absent_too_and_the_chain_is_followed() {
    let office = office().absent("boris", "clara").absent("clara", "anna");
    let route = office.route(&client("key").manager("boris"));
    assert_eq!(route[2], "deputies of manager: (clara for boris) anna for boris");
    assert_eq!(route[6], "callback of anna");
}

#[test]
fn c1_a_circle_of_deputies_ends_and_the_next_step_takes_over() {
    // `check` refuses a circle; one that came in since must not harm a call.
    let office = office();
    let policy = office.compile().expect("a good policy");
    let circle = office.absent("anna", "boris").absent("boris", "anna");
    let directory = circle.directory();
    let facts = client("key").manager("anna").facts(circle.at);
    let decision = telefonist::policy::decide(&policy, &directory, &facts, &|_| Presence::Free);
    assert_eq!(rings(&decision), ["clara", "vera"]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("vera".into()) });
}

#[test]
fn c1_absence_says_its_kind_and_its_end() {
    let decision = office().absent("anna", "").decide(&client("key").manager("anna"));
    let why = "absent (leave to 2026-03-06)";
    assert_eq!(
        decision.explanation.steps[0].people[0].presence,
        Presence::Gone { why: why.into() }
    );
    let note = decision.plan.steps[1].note.as_deref();
    assert_eq!(note, Some("anna is absent (leave to 2026-03-06), no deputy is named"));
}

#[test]
fn c1_an_absence_ends_with_its_last_day_of_the_department() {
    let week = office().absent_on("anna", "2026-03-02..2026-03-04", "boris");
    let late = week.at("2026-03-04T22:59:00Z").route(&client("key").manager("anna"));
    assert_eq!(late[1], "manager: (anna)");
    let week = office().absent_on("anna", "2026-03-02..2026-03-04", "boris");
    let decision = week.at("2026-03-05T09:00:00Z").decide(&client("key").manager("anna"));
    assert_eq!(rings(&decision)[0], "anna");
}

#[test]
fn c2_when_every_step_is_closed_the_first_steps_department_answers() {
    let office = office().at("2026-03-07T10:00:00Z");
    let decision = office.decide(&client("key").manager("anna"));
    let route = office::read_aloud(&decision);
    assert_eq!(route[1], "manager: (anna)");
    assert_eq!(
        route.last().map(String::as_str),
        Some("wholesale is closed to 2026-03-09T07:30:00Z, callback of anna")
    );
    assert!(decision.plan.steps.is_empty(), "it ends at once");
    assert!(notes(&decision).contains("every step is closed (C2)"));
    let why = "closed, opens Mon 2026-03-09 08:30";
    let presence = &decision.explanation.steps[0].people[0].presence;
    assert_eq!(*presence, Presence::Gone { why: why.into() });
    let Ending::OutOfHours { opens_local, .. } = &decision.explanation.ending else {
        panic!("{:?}", decision.explanation.ending)
    };
    assert_eq!(opens_local.as_deref(), Some("Mon 2026-03-09 08:30"), "the same clock");
}

#[test]
fn c2_one_open_department_is_enough_to_go_on() {
    // Saturday: sales is closed, the operators are not.
    let office = office().at("2026-03-07T10:00:00Z");
    let decision = office.decide(&stranger("+442079460999"));
    assert_eq!(rings(&decision), ["nina", "olga", "pavel"]);
    assert_eq!(decision.plan.ending, Ending::Callback { owner: Some("vera".into()) });
}

#[test]
fn c2_hours_are_those_of_each_persons_own_department() {
    // 07:00 in Berlin, 11:00 in Yekaterinburg.
    let office = office().at("2026-03-04T06:00:00Z");
    let decision = office.decide(&stranger("+46846500401"));
    assert_eq!(rings(&decision), ["ivo"], "only the branch is open");
    let holiday = office.at("2026-02-23T06:00:00Z").decide(&stranger("+46846500401"));
    assert_eq!(rings(&holiday), [""; 0], "the branch's own holiday");
}

#[test]
fn c2_finance_closes_early_on_friday_and_the_manager_takes_over() {
    let office = office().at("2026-03-06T15:20:00Z");
    let fresh = client("marketer")
        .manager("marta")
        .overdue(3)
        .with(|c| c.as_of = "2026-03-06T15:19:00Z".parse().expect("an instant"));
    let route = office.route(&fresh);
    assert_eq!(route[1], "role finance: (fritz)");
    assert_eq!(route[2], "manager: marta");
    assert_eq!(route[4], "head of finance: (karl)");
}

#[test]
fn c2_the_shipped_hours_are_those_of_each_department() {
    let directory = office().directory();
    // From Monday, 2 March 2026: a week; then other days.
    let berlin = "Europe/Berlin";
    let office_hours = "08:30-18:00 08:30-18:00 08:30-18:00 08:30-18:00 08:30-18:00 - -";
    let tables = [
        (
            "operators",
            berlin,
            "08:00-20:00 08:00-20:00 08:00-20:00 08:00-20:00 08:00-20:00 09:00-15:00 -",
        ),
        ("office", berlin, office_hours),
        ("finance", berlin, "09:00-17:30 09:00-17:30 09:00-17:30 09:00-17:30 09:00-16:15 - -"),
        ("regional", "Asia/Yekaterinburg", &office_hours.replace("08:30", "09:00")),
    ];
    for (name, zone, week) in tables {
        let days = (2..=8).map(|day| hours::of(&directory, name, date(2026, 3, day)));
        assert_eq!(days.collect::<Vec<_>>().join(" "), week, "{name}");
        assert_eq!(directory.calendar(name).and_then(|c| c.zone().iana_name()), Some(zone));
    }
    let special = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 2, 23), date(2026, 12, 24)];
    let special = special.into_iter().chain([date(2026, 12, 25), date(2025, 12, 26)]);
    let special: Vec<_> = special.collect();
    for (name, expected) in [
        ("operators", "- 08:00-20:00 08:00-20:00 08:00-13:00 - -"),
        ("office", "- 08:30-18:00 08:30-18:00 - - -"),
        ("finance", "- 09:00-16:15 09:00-17:30 - - -"),
        ("regional", "- - - 09:00-18:00 09:00-18:00 09:00-18:00"),
    ] {
        let days = special.iter().map(|day| hours::of(&directory, name, *day));
        assert_eq!(days.collect::<Vec<_>>().join(" "), expected, "{name}");
    }
}

#[test]
fn c3_everybody_is_listed_with_their_presence_and_its_reason() {
    let office = office().busy("anna").gone("boris", "no answer");
    let decision = office.decide(&client("key").manager("anna"));
    let step = &decision.explanation.steps[2];
    let shown: Vec<_> = step.people.iter().map(|c| c.presence.clone()).collect();
    let busy = Presence::Busy { why: "talking".into() };
    assert_eq!(shown, [busy, Presence::Gone { why: "no answer".into() }, Presence::Free]);
}

#[test]
fn c3_a_person_without_a_phone_of_ours_is_gone() {
    let office = office().change("anna", |p| p.sip_user = None);
    let decision = office.decide(&client("key").manager("anna"));
    let step = &decision.explanation.steps[0];
    let why = Presence::Gone { why: "no phone of ours".into() };
    assert_eq!((step.people[0].presence.clone(), step.queues.len()), (why, 0));
}

#[test]
fn c7_people_have_their_own_queues_and_roles_the_groups() {
    let office = office();
    let directory = office.directory();
    let decision = office.decide(&client("key").manager("anna"));
    let anna = directory.agent(&"anna".into()).expect("here");
    let group = directory.group(&"key_account_manager".into()).expect("held");
    assert_eq!(decision.plan.steps[0].queues, [directory.own_queue(anna)]);
    assert_eq!(decision.plan.steps[2].queues, [group.queue]);

    let vip = office.decide(&client("retail").vip(Vip::Local).manager("viktor"));
    let service = directory.group_in(&"vip_manager".into(), &"client_service".into());
    assert_eq!(vip.plan.steps[2].queues, [service.expect("held").queue], "a finer queue");
}

#[test]
fn c7_who_is_gone_for_the_whole_call_is_listed_and_stands_in_no_queue() {
    let office = office().absent("anna", "boris");
    let decision = office.decide(&client("key").manager("anna"));
    let [manager, deputies] = [&decision.plan.steps[0], &decision.plan.steps[1]];
    assert_eq!((manager.people.len(), manager.queues.len()), (1, 0));
    assert_eq!((deputies.people.len(), deputies.queues.len()), (1, 1));
    // Logged out is another thing: she may log in while the caller waits.
    let office = self::office().gone("anna", "logged out");
    let decision = office.decide(&client("key").manager("anna"));
    assert_eq!(decision.plan.steps[0].queues.len(), 1);
}

/// One caller of every rule.
fn one_of_each() -> Vec<Decision> {
    let office = office().absent("anna", "clara").absent("otto", "dora");
    let debtor = client("marketer").manager("anna").overdue(3);
    let manager = office.clone().setting("{ first = \"finance\"", "{ first = \"manager\"");
    let calls = [
        stranger("+442079460999").to("+493023125920"),
        client("retail").vip(Vip::Local).manager("viktor"),
        client("key").manager("anna"),
        debtor.clone(),
        client("retail"),
    ];
    let mut all: Vec<Decision> = calls.iter().map(|call| office.decide(call)).collect();
    all.push(manager.decide(&debtor));
    all
}

#[test]
fn c7_no_shipped_step_lets_go_of_those_before_it() {
    let all = one_of_each();
    let rules: std::collections::BTreeSet<_> = all.iter().map(|d| d.rule.clone()).collect();
    assert_eq!(rules.len(), 6, "every rule");
    let steps = all.iter().flat_map(|d| d.plan.steps.iter().map(move |step| (&d.rule, step)));
    for (rule, step) in steps {
        assert!(!step.only, "{rule}: {}", step.to);
    }
}

#[test]
fn c1_a_step_to_whoever_stands_in_names_the_clause() {
    for decision in one_of_each() {
        for step in &decision.plan.steps {
            let stands_in =
                step.to.starts_with("deputies") || step.to.ends_with("leader of department");
            let clause = if stands_in { "C1" } else { decision.clause.as_ref() };
            assert_eq!(step.clause.as_ref(), clause, "{}: {}", decision.rule, step.to);
        }
    }
}

#[test]
fn c7_no_queue_stands_in_a_plan_twice() {
    for call in [client("key").manager("anna"), client("retail"), stranger("+442079460999")] {
        let decision = office().absent("anna", "vera").decide(&call);
        let mut queues: Vec<QueueId> =
            decision.plan.steps.iter().flat_map(|s| s.queues.clone()).collect();
        let all = queues.len();
        queues.sort();
        queues.dedup();
        assert_eq!(queues.len(), all);
    }
}

#[test]
fn c7_ring_and_wait_are_the_steps_own() {
    let decision = office().decide(&client("retail"));
    let seconds: Vec<_> =
        decision.plan.steps.iter().map(|s| (s.ring.as_secs(), s.wait.as_secs(), s.only)).collect();
    assert_eq!(seconds, [(20, 60, false), (20, 20, false)]);
}

// --- D1: what is written down ---

#[test]
fn d1_the_decision_names_rule_clause_and_the_policys_hash() {
    let office = office();
    let decision = office.decide(&client("key").manager("anna"));
    let policy = office.compile().expect("a good policy");
    assert_eq!((decision.rule.as_ref(), decision.clause.as_ref()), ("key client", "B2"));
    assert_eq!(decision.policy, *policy.hash());
    assert_eq!(policy.hash().len(), 32);
    let other = office.setting("\"20s\"", "\"21s\"").compile().expect("a good policy");
    assert_ne!(other.hash(), policy.hash());
}

#[test]
fn d1_every_rule_tried_says_why_it_did_not_take_the_call() {
    let decision = office().decide(&client("retail").overdue(2));
    let tried: Vec<String> = decision
        .explanation
        .rules
        .iter()
        .map(|r| format!("{} {} {}", r.clause, if r.matched { "took" } else { "left" }, r.why))
        .collect();
    let expected = [
        "B1 left not new",
        "B9 left vip is none, not local or branch",
        "B2 left client_type is retail, not key",
        "B3 took owes money, debtor.first = finance (setting)",
    ];
    assert_eq!(tried, expected);
}

#[test]
fn d1_the_same_facts_give_the_same_decision_for_ever() {
    let office = office().absent("anna", "boris").busy("clara");
    let call = client("key").manager("anna").overdue(3);
    let decision = office.decide(&call);
    let kept = serde_json::to_string(&decision).expect("it is data");
    assert_eq!(serde_json::from_str::<Decision>(&kept).expect("it was data"), decision);
    assert_eq!(office.decide(&call), decision);
}

#[test]
fn d1_presence_may_be_unknown_and_closed_hours_are_still_known() {
    let office = office().absent("anna", "boris");
    let (policy, directory) = (office.compile().expect("good"), office.directory());
    let facts = client("key").manager("anna").facts(office.at);
    let decision = telefonist::policy::decide(&policy, &directory, &facts, &|_| Presence::Unknown);
    let route = office::read_aloud(&decision);
    assert_eq!(route[1], "manager: (anna)");
    assert_eq!(route[3], "role key_account_manager: (anna) ?boris ?clara");
}

#[test]
fn priority_is_a_head_start_and_the_larger_counts() {
    let seconds = |call| office().decide(&call).plan.credit.as_secs();
    assert_eq!(seconds(client("retail")), 0);
    assert_eq!(seconds(client("key").manager("anna")), 60);
    assert_eq!(seconds(client("key").vip(Vip::Branch).manager("lena")), 120);
    assert_eq!(seconds(stranger("+442079460999")), 0);
}
