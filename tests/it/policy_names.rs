//! What a policy names and the directory lacks, and what `check` says of the directory itself.

use telefonist::domain::{Directory, DirectoryLimits, DirectoryRows, GroupName, Order, Orders};
use telefonist::policy::{Policy, Severity, Sources, calendars, check_directory};

use super::policy_cases::office::{CALENDARS, POLICY, names, office, person};

/// A good policy with `route` as its only one; the route stands in line 7.
fn route(route: &str) -> String {
    format!(
        "[settings]\ndefault_department = \"wholesale\"\ncallback_owner = \"head of wholesale\"\n\
         [[rule]]\nname = \"a\"\nclause = \"B4\"\nroute = [ {route} {{ to = \"callback\" }} ]\n"
    )
}

#[test]
fn the_shipped_policy_fits_the_office_without_a_warning() {
    assert_eq!(office().problems(), [""; 0]);
}

#[test]
fn unknown_names_are_told_at_their_own_letters_with_a_guess() {
    let cases = [
        ("{ to = \"head of wholesal\" },", "7:27 no department is called `wholesal`"),
        ("{ to = \"deputies of head of markt\" },", "7:39 no department is called `markt`"),
        ("{ to = \"role operater\" },", "7:24 nobody holds the role `operater`"),
        (
            "{ to = \"role finance of wholesale\" },",
            "7:24 nobody in `wholesale` holds the role `finance`",
        ),
        ("{ to = \"role operator of wholesal\" },", "7:36 no department is called `wholesal`"),
        ("{ to = \"person ana\" },", "7:26 nobody is called `ana`"),
    ];
    for (step, expected) in cases {
        assert_eq!(office().policy(&route(step)).problems(), [expected], "{step}");
    }
    let hint = |step| {
        let problems = office().policy(&route(step)).compile().expect_err("a wrong name");
        problems[0].hint.clone().unwrap_or_default()
    };
    assert_eq!(hint(cases[0].0), "did you mean `wholesale`?");
    assert_eq!(hint(cases[2].0), "did you mean `operator`?");
    assert_eq!(hint(cases[5].0), "did you mean `anna`?");
}

#[test]
fn a_clause_that_the_paper_does_not_have_is_a_warning_at_its_letters() {
    let text = route("{ to = \"role operator\", clause = \"C11\" },").replace("\"B4\"", "\"Z9\"")
        + "[[help]]\ngroup = \"operator\"\nhelpers = [\"manager\"]\nopens_at = \"45s\"\ncloses_at = \"15s\"\nclause = \"b7\"\n\
           [[emergency]]\nname = \"fire\"\nclause = \"X\"\nmoves = [{ close = \"operator\" }]\n";
    let policy = office().policy(&text).compile().expect("a warning refuses nothing");
    let told: Vec<String> = policy.warnings.iter().map(|p| p.to_string()).collect();
    let list = "\n  hint: `telefonist check --clauses` lists them";
    let expected = [
        "policy.toml:6:10: warning: the paper has no clause `Z9`\n  hint: did you mean `B9`?"
            .into(),
        "policy.toml:7:44: warning: the paper has no clause `C11`\n  hint: did you mean `C1`?"
            .into(),
        "policy.toml:13:10: warning: the paper has no clause `b7`\n  hint: did you mean `B7`?"
            .into(),
        format!("policy.toml:16:10: warning: the paper has no clause `X`{list}"),
    ];
    assert_eq!(told, expected);
    // A clause that does not work yet is one all the same.
    assert_eq!(office().policy(&route("").replace("B4", "B5")).problems(), [""; 0]);
}

#[test]
fn names_in_settings_numbers_conditions_and_owners_are_looked_up_too() {
    let text = "[settings]\ndefault_department = \"a\"\ncallback_owner = \"person b\"\n\
        [[called]]\nnumber = \"+49301\"\ndepartment = \"c\"\n\
        [[caller_region]]\nnumber = \"+4931*\"\nregion = \"Rivrside\"\n\
        [[rule]]\nname = \"x\"\nclause = \"B4\"\nwhen = { department = [\"market\", \"d\"] }\n\
        route = [ { to = \"callback\", owner = \"head of e\" } ]\n\
        [[rule]]\nname = \"y\"\nclause = \"B4\"\nroute = [ { to = \"callback\" } ]\n";
    let expected = [
        "2:22 no department is called `a`",
        "3:26 nobody is called `b`",
        "6:14 no department is called `c`",
        "9:10 no department is responsible for the region `Rivrside`",
        "13:34 no department is called `d`",
        "14:47 no department is called `e`",
    ];
    assert_eq!(office().policy(text).problems(), expected);
}

#[test]
fn mistakes_of_the_text_and_of_names_are_told_in_one_go() {
    let text = route("{ to = \"role operater\", wiat = \"2s\" }, { to = \"head of wholesal\" },");
    let expected = [
        "7:24 nobody holds the role `operater`",
        "7:35 `wiat` is not known in a step",
        "7:66 no department is called `wholesal`",
    ];
    assert_eq!(office().policy(&text).problems(), expected);
}

#[test]
fn a_role_that_nobody_holds_any_more_is_told_when_the_directory_changes() {
    let policy = office().compile().expect("a good policy");
    let directory = office().without("fritz").directory();
    let problems = policy.check(&directory);
    let told: Vec<String> = problems.iter().map(|p| p.to_string()).collect();
    assert!(told[0].starts_with("policy.toml:"), "{told:?}");
    assert!(told[0].contains("error: nobody holds the role `finance`"), "{told:?}");
    assert_eq!(told.len(), 2, "in both routes of B3: {told:?}");
}

#[test]
fn an_empty_directory_is_one_problem_and_a_policy_can_be_read_without_it() {
    let mut empty = office();
    for person in ["anna", "boris", "clara", "vera", "marta", "otto", "rosa", "ivo", "ines", "gerd"]
    {
        empty = empty.without(person);
    }
    for person in
        ["nina", "olga", "pavel", "helene", "viktor", "lena", "willi", "karl", "fritz", "dora"]
    {
        empty = empty.without(person);
    }
    assert_eq!(empty.problems()[0], "0:0 the directory is empty: nobody could be rung");
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    assert!(Policy::read(&sources, &names()).is_ok());
}

#[test]
fn c1_deputies_in_a_circle_on_common_days_are_refused_once() {
    let circle = office()
        .absent_on("anna", "2026-03-02..2026-03-10", "boris")
        .absent_on("boris", "2026-03-06..2026-03-20", "clara")
        .absent_on("clara", "2026-03-09..2026-03-11", "anna");
    let problems = check_directory(&circle.directory());
    let told: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
    let expected = "deputies in a circle from 2026-03-09 to 2026-03-10: \
                    anna → boris → clara → anna (absences 1, 2, 3)";
    assert_eq!(told, [expected]);
    assert!(circle.compile().is_err(), "it refuses the configuration");
}

#[test]
fn c1_deputies_who_are_away_at_different_times_are_no_circle() {
    let fine = office().absent_on("anna", "2026-03-02..2026-03-05", "boris").absent_on(
        "boris",
        "2026-03-06..2026-03-20",
        "anna",
    );
    assert_eq!(check_directory(&fine.directory()), []);
}

#[test]
fn c1_ones_own_deputy_is_a_circle_of_one() {
    let problems = check_directory(&office().absent("anna", "anna").directory());
    assert!(problems[0].message.contains("anna → anna"), "{problems:?}");
}

#[test]
fn c1_a_deputy_of_another_kind_is_a_warning() {
    let warned = |away: &str, deputy: &str| {
        let problems = check_directory(&office().absent(away, deputy).directory());
        assert!(problems.iter().all(|p| p.severity == Severity::Warning));
        problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("\n")
    };
    assert!(warned("anna", "olga").contains("the deputy olga is no manager (C1)"));
    assert!(warned("olga", "anna").contains("the deputy anna is no operator (C1)"));
    assert_eq!(warned("anna", "viktor"), "", "a manager's deputy is a manager");
    assert_eq!(warned("olga", "pavel"), "");
    assert_eq!(warned("vera", "olga"), "", "a head's is any employee");
    assert!(warned("anna", "zoe").contains("the deputy zoe has left"));
}

#[test]
fn impossible_rows_of_the_directory_are_told() {
    let broken = office()
        .absent_on("anna", "2026-03-09..2026-03-02", "boris")
        .change("boris", |p| p.department = Some("wholesal".into()))
        .change("clara", |p| p.supervisor = Some("zoe".into()))
        .change_department("market", |d| d.calendar = "offise".into())
        .change_department("retail", |d| d.head = None)
        .change_department("finance", |d| d.head = Some("zoe".into()))
        .change_department("regional", |d| _ = d.regions.insert("Riverside".into()));
    let problems = check_directory(&broken.directory());
    let told: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
    let expected = [
        "person boris: there is no department `wholesal`",
        "person clara: the supervisor zoe has left",
        "department finance: its head zoe has left",
        "department market: there is no calendar `offise`",
        "region Riverside belongs to regional and to retail",
        "department retail has no head",
        "absence 1 of anna ends before it begins",
    ];
    for message in expected {
        assert!(told.contains(&message), "{message} in {told:?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `wholesale`?"));
    assert_eq!(person("x", "", "").department, None);
}

#[test]
fn b8_roles_whose_holders_were_all_moved_away_are_warnings_that_name_the_orders() {
    let policy = office().compile().expect("a good policy");
    let directory = office().directory();
    let orders = ["nina", "olga", "pavel"].into_iter().fold(Orders::default(), |orders, who| {
        let to = GroupName::parse("finance").expect("a group");
        let order = Order::Move { person: who.into(), to, from: None };
        orders.with(order, (&"gerd".into(), office().at)).expect("taken")
    });
    let rows = DirectoryRows {
        people: directory.agents().map(|(_, person)| (**person).clone()).collect(),
        departments: directory.departments().cloned().collect(),
        calendars: calendars("calendars.toml", CALENDARS).expect("good calendars"),
        ..DirectoryRows::default()
    };
    let limits = DirectoryLimits { agents_max: 100, groups_max: 64 };
    let moved = Directory::build_with(None, rows, orders, limits).expect("a directory");
    let found = policy.check(&moved);
    assert!(found.iter().all(|p| p.severity == Severity::Warning), "{found:?}");
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let operators = told.iter().find(|t| t.contains("nobody serves `operator`")).expect("told");
    for part in ["nina moved to finance (by gerd at ", "pavel moved to finance", "agent back pavel"]
    {
        assert!(operators.contains(part), "{operators}");
    }
    assert!(told.iter().any(|t| t.contains("nobody serves `shift_leader`")), "{told:?}");
    // What nobody holds is an error as ever.
    let nobody = office().without("fritz").directory();
    assert!(
        policy.check(&nobody).iter().any(|p| p.message.contains("nobody holds the role `finance`"))
    );
}
