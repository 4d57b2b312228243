//! `telefonist check` and the usage of the program.

use super::cli_scene::{Scene, err, out};

#[test]
fn the_shipped_configuration_is_clean_with_the_sample_company() {
    let scene = Scene::new();
    let shipped = format!("{}/config", env!("CARGO_MANIFEST_DIR"));
    let said = scene.ok(&["check", &shipped]);
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
    assert!(said.contains("the tables in"), "{said}");
    assert!(said.contains(" paths of outcomes were walked"), "{said}");
    let proof = scene.json(&["check", &shipped])["proof"].clone();
    assert_eq!(proof["rules"], 6, "{proof}");
    assert!(proof["paths"].as_u64().is_some_and(|paths| paths > 1_000), "{proof}");
}

#[test]
fn every_problem_of_every_file_is_told_with_its_place_and_a_hint() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "country = \"DE\"", "country = \"XX\"");
    scene.edit("telefonist.toml", "trusted = true", "trustd = true");
    scene.edit("policy.toml", "[[rule]]", "[[rul]]");
    let output = scene.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    let config = scene.config().display().to_string();
    let line = |text: &str| {
        let file = std::fs::read_to_string(scene.config().join("telefonist.toml")).expect("there");
        file.lines().position(|l| l.starts_with(text)).expect("a line") + 1
    };
    let country =
        format!("{config}/telefonist.toml:{}:11: error: `server.country`", line("country"));
    assert!(said.contains(&country), "{said}");
    let trusted = format!("{config}/telefonist.toml:{}:1: error: unknown key", line("trustd"));
    assert!(said.contains(&trusted), "{said}");
    assert!(said.contains("did you mean `trusted`?"), "{said}");
    assert!(said.contains("policy.toml:"), "{said}");
    let json: serde_json::Value =
        serde_json::from_slice(&scene.run(&["check", "--json"]).stdout).expect("JSON");
    assert!(json["errors"].as_u64().is_some_and(|n| n >= 3), "{json}");
    assert!(json["problems"][0]["line"].is_u64(), "{json}");
}

#[test]
fn broken_toml_and_a_missing_file_are_problems_too() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "country = \"DE\"", "country = ");
    std::fs::remove_file(scene.config().join("calendars.toml")).expect("removed");
    let output = scene.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    assert!(said.contains("not TOML"), "{said}");
    assert!(said.contains("calendars.toml") && said.contains("cannot be read"), "{said}");
}

#[test]
fn names_that_nobody_has_are_found_by_the_people_in_the_state_folder() {
    let scene = Scene::with_company();
    let rows = "id;name;roles;department;sip user\nnobody.else;Nobody Else;operator;;991\n";
    let lonely = Scene::new();
    let file = lonely.write("people.csv", rows.as_bytes());
    lonely.ok(&["import", "people", &file]);
    assert!(scene.ok(&["check"]).contains("0 errors"));
    let output = lonely.run(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(out(&output).contains("directory") || out(&output).contains("policy.toml"));
}

#[test]
fn rows_of_the_tables_that_an_import_would_refuse_are_problems_with_their_lines() {
    let scene = Scene::new();
    let shipped = format!("{}/config", env!("CARGO_MANIFEST_DIR"));
    let tables = scene.config();
    for name in ["people.csv", "departments.csv", "absences.csv"] {
        let text = std::fs::read_to_string(format!("{shipped}/{name}")).expect("shipped");
        let bad = match name {
            "absences.csv" => "nina.adler,leave,2030-03-05,2030-03-02,\n",
            _ => "",
        };
        std::fs::write(tables.join(name), format!("{}\n{bad}", text.trim_end())).expect("written");
    }
    let output = scene.run(&["check"]);
    let said = out(&output);
    let lines = std::fs::read_to_string(tables.join("absences.csv")).expect("there");
    let place = format!("absences.csv:{}:1: error: ", lines.lines().count());
    assert_eq!((output.status.code(), said.contains(&place)), (Some(1), true), "{said}");
}

#[test]
fn an_absence_that_nobody_can_read_is_an_error_and_not_silence() {
    let scene = Scene::with_company();
    let crm = rusqlite::Connection::open(scene.state().join("clients.db")).expect("opened");
    let rows = "INSERT INTO absences (person, kind, first_day, last_day) VALUES \
                ('olga.reim', 'leave', '2026-11-27', '2026-11-31'), \
                ('pavel.horn', 'leave', '01.01.2026', '30.11.2026')";
    crm.execute_batch(rows).expect("written");
    let output = scene.run(&["check"]);
    let said = out(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for what in
        ["of olga.reim holds on no day: leave from 2026-11-27 to 2026-11-31", "of pavel.horn"]
    {
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn departments_come_in_under_a_broken_configuration_and_their_hours_are_said_to_be_unchecked() {
    let scene = Scene::new();
    let file = format!("{}/config/departments.csv", env!("CARGO_MANIFEST_DIR"));
    let people = format!("{}/config/people.csv", env!("CARGO_MANIFEST_DIR"));
    scene.ok(&["import", "people", &people]);
    assert!(!scene.ok(&["import", "departments", &file, "--dry-run"]).contains("not checked"));
    scene.edit("policy.toml", "[[rule]]", "[[rul]]");
    let said = scene.ok(&["import", "departments", &file]);
    assert!(said.contains("calendars are not checked: the configuration has errors"), "{said}");
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["fly"]).status.code(), Some(2));
    assert_eq!(scene.run(&["explain"]).status.code(), Some(2));
    assert_eq!(scene.fails(&["calls", "--since", "noon"]).0, 2);
    for command in [
        "serve",
        "check",
        "explain",
        "reload",
        "import",
        "status",
        "agents",
        "queues",
        "calls",
        "show",
        "callbacks",
        "events",
        "login",
        "logout",
        "pause",
        "resume",
        "release",
        "hangup",
        "absence",
        "client",
        "people",
        "backup",
    ] {
        let output = scene.run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", err(&output));
        assert!(out(&output).contains("--json"), "{command} has --json");
    }
}

#[test]
fn explain_without_a_server_says_that_presence_is_unknown() {
    let scene = Scene::with_company();
    let said = scene.ok(&["explain", "--from", "", "--at", "2026-03-02T10:00"]);
    assert!(said.contains("presence unknown"), "{said}");
    assert!(said.contains("clause B4"), "{said}");
    let json = scene.json(&["explain", "--from", "", "--at", "2026-03-02T10:00"]);
    assert_eq!(json["clause"], "B4");
    let (code, why) = scene.fails(&["explain", "--from", "", "--trunk", "pxb"]);
    assert_eq!((code, why.contains("no trunk is called pxb")), (2, true), "{why}");
}

#[test]
fn broken_texts_hide_no_names_that_nobody_has() {
    let scene = Scene::with_company();
    scene.edit("telefonist.toml", "trusted = true", "trusted = \"yes\"");
    scene.edit("calendars.toml", "mon-thu = \"09:00-17:30\"", "mon-thu = \"17:30-09:00\"");
    scene.edit("policy.toml", "grace_days         = 0", "grace_day = 0");
    scene.edit(
        "policy.toml",
        "{ to = \"role operator\",     ring",
        "{ to = \"role operatr\", ring",
    );
    let output = scene.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    for problem in ["trunk[].trusted", "ends before it begins", "`grace_day`", "role `operatr`"] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert!(said.contains("4 errors"), "nothing follows from these four: {said}");
}

#[test]
fn one_wrong_key_of_a_trunk_is_one_problem() {
    let scene = Scene::with_company();
    let from = "from = [\"127.0.0.1\", \"::1\"]";
    scene.edit("telefonist.toml", from, "from = [\"300.1.1.1\", \"pbx\"]");
    let said = out(&scene.run(&["check"]));
    assert!(said.contains("1 error,") && said.contains("300.1.1.1"), "{said}");
    assert!(said.contains("`pbx` is no IP address"), "each of a list is told: {said}");
}

#[test]
fn files_that_are_no_texts_are_said_to_be_none() {
    let scene = Scene::with_company();
    let policy = scene.config().join("policy.toml");
    std::fs::write(&policy, b"# caf\xc3\xa9\n# caf\xe9\n").expect("written");
    let said = out(&scene.run(&["check"]));
    assert!(said.contains("policy.toml:2:6: error: this is not UTF-8"), "{said}");
    std::fs::remove_file(&policy).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&policy).status();
    assert!(made.expect("mkfifo is there").success());
    let said = out(&scene.run(&["check"]));
    assert!(said.contains("policy.toml") && said.contains("no plain file"), "{said}");
    std::fs::remove_file(&policy).expect("removed");
    std::os::unix::fs::symlink("/dev/zero", &policy).expect("linked");
    assert!(out(&scene.run(&["check"])).contains("no plain file"));
}

#[test]
fn a_trunk_without_an_address_does_not_hide_the_state_folder() {
    let scene = Scene::with_company();
    let state = format!("country = \"DE\"\nstate = \"{}\"", scene.state().display());
    scene.edit("telefonist.toml", "country = \"DE\"", &state);
    scene.edit("telefonist.toml", "trusted = true", "trusted = true\nto = \"udp:pbx.invalid\"");
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_telefonist"));
    program.arg("--config").arg(scene.config()).args(["absence", "list"]);
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("boris.falk"), "{}", out(&output));
}

#[test]
fn clients_of_a_type_that_no_rule_knows_are_counted() {
    let scene = Scene::with_company();
    let rows = "code;name;type\nZ1;Corner bar;retial\nZ2;Corner shop;retial\n";
    let file = scene.write("more.csv", rows.as_bytes());
    scene.ok(&["import", "clients", &file]);
    let said = scene.ok(&["check"]);
    assert!(said.contains("warning: 2 clients have the type `retial`"), "{said}");
    assert!(said.contains("did you mean") && said.contains("'retail'"), "{said}");
}

#[test]
fn clients_whose_manager_or_department_is_not_there_are_counted_and_named() {
    let scene = Scene::with_company();
    let rows = "code;name;type;manager;department\nZ1;Corner bar;retail;vera.lnd;markte\n\
                Z2;Pub;retail;nobody;\nZ3;Inn;retail;nobody;\nZ4;Club;retail;nobody;\n";
    let file = scene.write("more.csv", rows.as_bytes());
    scene.ok(&["import", "clients", &file]);
    let said = scene.ok(&["check"]);
    let managers = "warning: 4 clients have a manager that is not there: \
                    Corner bar (`vera.lnd`), Pub (`nobody`), Inn (`nobody`), …";
    assert!(said.contains(managers), "{said}");
    let departments = "warning: 1 clients have a department that is not there: \
                       Corner bar (`markte`)\n";
    assert!(said.contains(departments) && said.contains("2 warnings"), "{said}");
}

#[test]
fn an_opening_is_told_by_one_clock() {
    let scene = Scene::with_company();
    let night = ["explain", "--from", "+493023125001", "--at", "2026-03-07T23:00:00Z"];
    let said = scene.ok(&night);
    assert!(said.contains("closed, opens ") && said.contains("then: closed ("), "{said}");
    let then = said.lines().find(|line| line.contains("then: closed (")).expect("an ending");
    let opens = then.split("opens ").nth(1).and_then(|rest| rest.split(')').next());
    let opens = opens.unwrap_or_else(|| panic!("no opening: {then}"));
    assert!(said.contains(&format!("closed, opens {opens}")), "{opens}: {said}");
    assert_eq!(scene.json(&night)["explanation"]["ending"]["opens_local"], opens);
}

#[test]
fn a_role_without_anybody_is_told_with_a_caller_a_time_and_who_is_away() {
    let scene = Scene::with_company();
    for person in ["fritz.ebner", "karl.winter"] {
        scene.ok(&[
            "absence",
            "add",
            person,
            "--kind",
            "leave",
            "--from",
            "2099-06-01",
            "--to",
            "2099-06-05",
        ]);
    }
    assert!(scene.ok(&["check"]).contains("0 warnings"), "not within a year");
    for person in ["fritz.ebner", "karl.winter"] {
        scene.ok(&[
            "absence",
            "add",
            person,
            "--kind",
            "leave",
            "--from",
            "today",
            "--to",
            "2098-06-05",
        ]);
    }
    let said = scene.ok(&["check"]);
    let place = format!("{}/policy.toml:", scene.config().display());
    let role = said.lines().find(|l| l.contains("nobody of `finance` is there")).expect("told");
    assert!(role.starts_with(&place) && role.contains("fritz.ebner"), "{role}");
    let rule = said.lines().find(|l| l.contains("`debtor` reaches nobody")).expect("told");
    let caller = "owes money";
    assert!(rule.starts_with(&place) && rule.contains(caller), "{rule}");
    assert!(rule.contains("karl.winter") && rule.contains("calling from +"), "{rule}");
    for part in ["a known client, type ", "VIP none", "no manager", "department ", "called number"]
    {
        assert!(rule.contains(part), "a caller one can try: {part}: {rule}");
    }
    assert!(said.contains("0 errors"), "a fact about people refuses nothing: {said}");
}

#[test]
fn the_matrix_says_of_every_clause_where_it_is_carried_out_and_what_proves_it() {
    let scene = Scene::with_company();
    let lines = scene.json(&["check", "--clauses"])["clauses"].clone();
    let lines = lines.as_array().expect("a list");
    let covered = lines.iter().filter(|line| line["covered"] == true);
    let covered: Vec<&str> = covered.filter_map(|line| line["clause"].as_str()).collect();
    for clause in "A1 A2 A3 A4 B1 B9 B2 B3 B4 B7 B8 B10 C1 C2 C3 C7 C4".split(' ') {
        assert!(covered.contains(&clause), "{clause}: {covered:?}");
    }
    for clause in "A5 B5 B6 C5 D2 E1 F1 G1 H1 H2".split(' ') {
        assert!(!covered.contains(&clause), "{clause} does not work yet");
    }
    assert_eq!(lines.len(), 45, "every clause of the paper");
    let said = scene.ok(&["check", "--clauses"]);
    let policy = std::fs::read_to_string(scene.config().join("policy.toml")).expect("readable");
    // The table begins a line before its name.
    let line = policy.lines().position(|l| l.ends_with("= \"key client\"")).expect("there");
    let rule = format!("policy.toml:{line} rule key client");
    assert!(said.contains(&rule), "{said}");
    assert!(said.contains("b2_a_key_client_goes_to_their_own_manager_first"), "{said}");
    // What is left out works by its default.
    let path = scene.config().join("telefonist.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    let (before, rest) = text.split_once("\n[people]").expect("there");
    let (_, after) = rest.split_once("\n[star_codes]").expect("there");
    std::fs::write(&path, format!("{before}\n[star_codes]{after}")).expect("written");
    let said = scene.ok(&["check", "--clauses"]);
    for (clause, key) in [("C3 ", "people.login_on_register"), ("C4 ", "people.lock_after")] {
        let line = said.lines().find(|l| l.starts_with(clause)).expect("a line");
        let default = format!("telefonist.toml {key} (by default)");
        assert!(line.contains(" covered ") && line.contains(&default), "{line}");
    }
    // Without its rule a clause is not covered, whatever the tests prove.
    scene.edit("policy.toml", "clause = \"B2\"", "clause = \"B22\"");
    let output = scene.run(&["check", "--clauses"]);
    assert!(err(&output).contains(&format!("{rule}: no clause B22")));
    assert!(out(&output).lines().any(|l| l.starts_with("B2 ") && l.contains("not yet")));
}

#[test]
fn a_rule_that_a_setting_switches_off_carries_no_clause_in_the_matrix() {
    let scene = Scene::with_company();
    let line = |clause: &str| {
        let lines = scene.json(&["check", "--clauses"])["clauses"].clone();
        let mut lines = lines.as_array().expect("a list").iter();
        lines.find(|line| line["clause"] == clause).expect("a clause").clone()
    };
    let off = "debtor, manager first";
    assert!(!line("B3")["places"].to_string().contains(off), "off as shipped: {}", line("B3"));
    assert!(!line("C1")["places"].to_string().contains(off), "its steps are: {}", line("C1"));
    assert_eq!(
        (line("B3")["covered"].clone(), line("C1")["covered"].clone()),
        (true.into(), true.into())
    );
    let key = "{ client_type = \"key\" }";
    let off = "{ client_type = \"key\", debtor_first = \"manager\" }";
    scene.edit("policy.toml", key, off);
    assert_eq!(line("B2")["covered"], false, "{}", line("B2"));
    scene.edit("policy.toml", "{ first = \"finance\"", "{ first = \"manager\"");
    assert_eq!(line("B2")["covered"], true, "{}", line("B2"));
    assert!(line("B3")["places"].to_string().contains("manager first"), "{}", line("B3"));
}

#[test]
fn however_a_setting_is_written_its_value_says_whether_its_clause_is_covered() {
    let shipped = Scene::new();
    let file = shipped.config().join("telefonist.toml");
    let text = std::fs::read_to_string(&file).expect("readable");
    let (before, rest) = text.split_once("\n[people]").expect("there");
    let (_, after) = rest.split_once("\n[star_codes]").expect("there");
    let without = format!("{before}\n[star_codes]{after}");
    let never = [
        format!("people.lock_after = \"never\"\n{without}"),
        format!("people = {{ lock_after = 'never' }}\n{without}"),
        format!("{without}\n[people]\n\"lock_after\" = \"never\"\n"),
        text.replace("# lock_after = 1", "lock_after = \"never\""),
    ];
    let covered = |text: &str| {
        std::fs::write(&file, text).expect("written");
        let lines = shipped.json(&["check", "--clauses"])["clauses"].clone();
        let mut lines = lines.as_array().expect("a list").iter();
        let line = lines.find(|line| line["clause"] == "C4").expect("a clause");
        line["covered"] == true
    };
    for text in never {
        assert!(!covered(&text), "who misses a call is not locked: {text}");
    }
    assert!(covered(&text) && covered(&format!("people.lock_after = 3\n{without}")));
    let other = "# lock_after = \"never\"\nlock_after = 3";
    assert!(covered(&text.replace("# lock_after = 1", other)));
}
