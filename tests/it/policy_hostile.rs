//! Policies and calendars that nobody in their right mind writes: each is told at once with its place, and in
//! bounded work.

use telefonist::policy::{Policy, Sources, check_directory};

use super::policy_cases::office::{CALENDARS, POLICY, names, office};

/// What is said of the shipped policy with one thing other than shipped.
fn told(from: &str, to: &str) -> Vec<String> {
    assert!(POLICY.contains(from), "{from}");
    office().policy(&POLICY.replacen(from, to, 1)).problems()
}

#[test]
fn every_wrong_value_is_told_at_its_own_place() {
    let types = "[\"key\", \"marketer\", \"own_outlet\"";
    let cases = [
        (types, "[\"key\", \"\", \"marketer\", \"own_outlet\"", "41:30 a client type needs a name"),
        (
            types,
            "[\"key\", \"marketer\", \"key\", \"own_outlet\"",
            "41:42 `key` is in this list already",
        ),
        (
            types,
            "[\"key\", 3, \"marketer\", \"own_outlet\"",
            "41:30 this is a number, a text in quotes is needed",
        ),
        ("ring               = \"20s\"", "ring = 20", "58:8 a length of time needs its unit"),
        (
            "wait               = \"20s\"",
            "wait = []",
            "59:8 this is a list, a text in quotes is needed",
        ),
        ("grace_days         = 0", "grace_days = 0\ngrace_days = 1", "46:1 duplicate key"),
        (
            "callback_owner     = \"head of wholesale\"",
            "callback_owner = \"role finance\"",
            "56:19 a role is many people, one person is needed here",
        ),
        (
            "when   = { client_type = \"key\" }",
            "when   = { vip = [] }",
            "147:18 this list is empty",
        ),
        ("clause = \"C1\" },", "clause = \" \" },", "114:89 `clause` is empty"),
        ("clause = \"B2\"", "clause = \"\"", "146:10 `clause` is empty"),
        ("moves  = [{ close = \"operator\" }]", "moves  = []", "211:1 a plan has 1 to 100 moves"),
    ];
    for (from, to, expected) in cases {
        assert_eq!(told(from, to), [expected], "{to}");
    }
}

#[test]
fn a_route_of_very_many_steps_is_one_problem_at_the_first_that_is_too_many() {
    let steps: String = (0..3_000).map(|n| format!("{{ to = \"person p{n}\" }},\n")).collect();
    let leader = "{ to = \"role shift_leader\", ring = \"20s\", wait = \"20s\" },";
    let all = told(leader, &steps);
    let bound = all.iter().find(|t| t.contains("a route has at most 100 steps, this one 3002"));
    assert!(bound.is_some_and(|t| t.starts_with("292:")), "{bound:?}");
    assert!(all.len() < 110, "not one for each step: {}", all.len());
}

#[test]
fn very_many_numbers_are_refused_and_long_names_cost_nothing() {
    let numbers: Vec<String> = (0..6_000).map(|n| format!("\"+49301{n:05}\"")).collect();
    let text = format!(
        "[[called]]\nnumber = [{}]\ndepartment = \"market\"\n\n[[caller_region]]",
        numbers.join(",")
    );
    let all = told("[[caller_region]]", &text);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].ends_with("more than 5000 numbers in one table"), "{all:?}");
    let long = "k".repeat(300_000);
    let all = told("role key_account_manager\"", &format!("role {long}\""));
    assert!(all.iter().any(|t| t.contains("nobody holds the role `kkk")), "told at once");
}

#[test]
fn a_calendar_that_never_opens_and_one_without_a_name_are_told_at_their_names() {
    let said = |calendars: &str| {
        let sources =
            Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", calendars) };
        match Policy::read(&sources, &names()) {
            Ok(policy) => policy.warnings.iter().map(ToString::to_string).collect(),
            Err(found) => found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }
    };
    assert_eq!(said(CALENDARS), [""; 0]);
    for week in ["", "mon-fri = \"closed\"\n"] {
        let never = format!(
            "[shut]\nzone = \"UTC\"\n[shut.week]\n{week}[shut.days]\n01-01 = \"closed\"\n{CALENDARS}"
        );
        let told = said(&never);
        let warning = "calendars.toml:1:2: warning: calendar `shut` is closed on every day";
        assert!(told.len() == 1 && told[0].starts_with(warning), "{told:?}");
        let once = never.replacen("01-01 = \"closed\"", "01-01 = \"10:00-11:00\"", 1);
        assert_eq!(said(&once), [""; 0]);
    }
    let nameless = format!("[\"\"]\nzone = \"UTC\"\nweek = \"always\"\n{CALENDARS}");
    assert_eq!(said(&nameless), ["calendars.toml:1:2: error: a calendar needs a name"]);
}

#[test]
fn b6_superiors_in_a_circle_are_told_once() {
    let above = |office: super::policy_cases::office::Office, who: &str, boss: &str| {
        let boss = boss.to_owned();
        office.change(who, move |p| p.supervisor = Some(boss.as_str().into()))
    };
    let circle = above(above(above(office(), "dora", "vera"), "vera", "anna"), "anna", "dora");
    let found = check_directory(&circle.directory());
    let told: Vec<&str> = found.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("superiors in a circle: ") && told[0].ends_with("(B6)"),
        "{told:?}"
    );
    for who in ["dora", "vera", "anna"] {
        assert!(told[0].contains(who), "{told:?}");
    }
    let own = above(office(), "dora", "dora");
    assert_eq!(check_directory(&own.directory()).len(), 1);
}
