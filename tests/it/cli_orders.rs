//! A supervisor's orders through the program itself (clause B8): seen at once, written down, refused in
//! words, over a restart, and emergency plans as a whole.

use serde_json::Value;

use super::cli_scene::Scene;

const PLANS: &str = r#"
[[emergency]]
name   = "rush"
clause = "B8"
moves  = [
  { move = "fritz.ebner", to = "operator" },
  { move = "nina.adler", to = "shift_leader", from = "operator" },
  { close = "finance" },
  { close_position = "olga.reim" },
]
"#;

fn scene() -> Scene {
    let scene = Scene::with_company();
    scene.edit(
        "policy.toml",
        "[[rule]]\nname   = \"new client\"",
        &format!("{PLANS}\n[[rule]]\nname   = \"new client\""),
    );
    scene
}

fn row<'a>(rows: &'a Value, field: &str, name: &str) -> &'a Value {
    let rows = rows.as_array().expect("a list");
    rows.iter().find(|row| row[field] == name).unwrap_or_else(|| panic!("{name} is there"))
}

fn groups(scene: &Scene, person: &str) -> Vec<String> {
    let agents = scene.json(&["agents"]);
    let groups = row(&agents, "person", person)["groups"].as_array().expect("groups");
    groups.iter().map(|g| g.as_str().expect("a name").to_owned()).collect()
}

fn closed_by(scene: &Scene, queue: &str) -> Value {
    row(&scene.json(&["queues"]), "queue", queue)["closed_by"].clone()
}

#[test]
fn b8_orders_are_seen_at_once_stand_over_a_restart_and_are_taken_back_by_a_supervisor() {
    let scene = scene();
    let server = scene.serve();
    let by = ["--by", "nina.adler"];
    let order = |words: &[&str]| scene.ok(&[words, &by].concat());
    assert_eq!(
        order(&["agent", "move", "olga.reim", "--to", "finance"]),
        "olga.reim moved to finance\n"
    );
    assert_eq!(groups(&scene, "olga.reim"), ["finance"]);
    assert_eq!(row(&scene.json(&["agents"]), "person", "olga.reim")["moved_by"], "nina.adler");
    order(&["queue", "close", "vip_manager of client_service"]);
    assert_eq!(closed_by(&scene, "vip_manager of client_service"), "nina.adler");
    assert_eq!(closed_by(&scene, "operator"), Value::Null);
    let why = scene.ok(&["explain", "--from", "+49 30 23125 099"]);
    assert!(!why.contains("olga.reim"), "she is no operator now: {why}");
    // The agent's own ways do not undo it.
    scene.ok(&["logout", "olga.reim"]);
    scene.ok(&["login", "olga.reim"]);
    assert_eq!(groups(&scene, "olga.reim"), ["finance"]);
    assert!(scene.ok(&["status"]).contains("olga.reim moved to finance (by nina.adler at "));
    drop(server);
    let _server = scene.serve();
    assert_eq!(groups(&scene, "olga.reim"), ["finance"]);
    assert_eq!(closed_by(&scene, "vip_manager of client_service"), "nina.adler");
    scene.ok(&["reload"]);
    assert_eq!(groups(&scene, "olga.reim"), ["finance"]);
    order(&["agent", "back", "olga.reim"]);
    order(&["queue", "open", "vip_manager of client_service"]);
    assert_eq!(groups(&scene, "olga.reim"), ["operator", "operator of sales_support"]);
    assert_eq!(scene.json(&["status"])["orders"], Value::Array(vec![]));
    let events = scene.ok(&["events"]);
    let ordered = events
        .lines()
        .filter(|l| l.contains("\"ordered\"") && l.contains("olga.reim moved to finance\""));
    let first = ordered.map(str::to_owned).next().expect("an event");
    assert!(first.contains("nina.adler (command by "), "{first}");
}

#[test]
fn b8_a_closed_position_stays_closed_whatever_the_person_does_until_a_supervisor_opens_it() {
    let scene = scene();
    let server = scene.serve();
    let order = |words: &[&str]| scene.ok(&[words, &["--by", "nina.adler"]].concat());
    assert_eq!(order(&["agent", "close", "olga.reim"]), "position of olga.reim closed\n");
    let closed = |scene: &Scene| {
        let agents = scene.json(&["agents"]);
        let olga = row(&agents, "person", "olga.reim").clone();
        assert_eq!(olga["position_closed_by"], "nina.adler");
        assert_eq!(olga["state"], "not_ready");
        let why = olga["reason"].as_str().expect("a reason");
        assert!(why.starts_with("position closed by nina.adler at 20"), "{why}");
    };
    closed(&scene);
    for way in ["logout", "login", "resume"] {
        scene.ok(&[way, "olga.reim"]);
        closed(&scene);
    }
    let why = scene.ok(&["explain", "--from", "+49 30 23125 099"]);
    assert!(why.contains("position closed by nina.adler, "), "{why}");
    assert!(scene.ok(&["status"]).contains("position of olga.reim closed (by nina.adler at "));
    let events = scene.ok(&["events"]);
    assert!(events.contains("\"what\":\"position of olga.reim closed\""), "{events}");
    drop(server);
    let _server = scene.serve();
    closed(&scene);
    scene.ok(&["reload"]);
    closed(&scene);
    scene.ok(&["pause", "olga.reim"]);
    assert_eq!(order(&["agent", "open", "olga.reim"]), "position of olga.reim opened\n");
    let agents = scene.json(&["agents"]);
    let olga = row(&agents, "person", "olga.reim");
    assert_eq!(olga["position_closed_by"], Value::Null);
    let flags: Vec<&str> =
        olga["flags"].as_array().expect("flags").iter().filter_map(Value::as_str).collect();
    assert!(flags.contains(&"paused"), "a break of her own is hers: {flags:?}");
}

#[test]
fn b8_the_log_says_which_order_was_given_by_whom_and_names_nobody() {
    let scene = scene();
    let server = scene.serve();
    let order = |words: &[&str]| scene.run(&[words, &["--by", "nina.adler"]].concat());
    let agents = scene.json(&["agents"]);
    let place = |person: &str| format!("agent {}", row(&agents, "person", person)["agent"]);
    let (olga, nina) = (place("olga.reim"), place("nina.adler"));
    let mut said = Vec::new();
    for (words, what) in [
        (
            &["agent", "move", "olga.reim", "--to", "finance"][..],
            format!("{olga} moved to finance"),
        ),
        (&["agent", "close", "olga.reim"], format!("position of {olga} closed")),
        (&["queue", "close", "operator"], "queue operator closed".to_owned()),
        (&["plan", "apply", "rush"], "plan rush applied".to_owned()),
        (&["plan", "revert"], "plan rush reverted".to_owned()),
    ] {
        assert!(order(words).status.success());
        let line = server.says("a supervisor's order");
        for part in [&what, &nina, "asked", "command by"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        said.push(line);
    }
    let counts: Vec<bool> = ["1", "2", "3", "7", "3"]
        .iter()
        .zip(&said)
        .map(|(count, line)| line.contains(&format!("orders={count}")))
        .collect();
    assert_eq!(counts, [true; 5], "{said:#?}");
    assert!(!order(&["agent", "open", "pavel.horn"]).status.success());
    said.push(server.says("was refused"));
    let named = said.iter().find(|line| line.contains("olga") || line.contains("nina"));
    assert_eq!(named, None, "people's names are in the register, and in the log at debug");
}

#[test]
fn b8_a_move_that_changes_nothing_is_refused_and_piles_up_nowhere() {
    let scene = scene();
    let _server = scene.serve();
    let order = |words: &[&str]| scene.run(&[words, &["--by", "nina.adler"]].concat());
    let refused = |words: &[&str], why: &str| {
        let output = order(words);
        let said = super::cli_scene::err(&output);
        assert_eq!((output.status.code(), said.contains(why)), (Some(1), true), "{said}");
    };
    let away = ["agent", "move", "olga.reim", "--to", "finance"];
    let from = [&away[..], &["--from", "head"]].concat();
    refused(&from, "olga.reim does not serve head");
    assert!(order(&away).status.success());
    refused(&away, "olga.reim serves finance already, and nothing else");
    refused(&[&away[..], &["--from", "operator"]].concat(), "does not serve operator");
    assert_eq!(scene.json(&["status"])["orders"].as_array().map(Vec::len), Some(1));
}

#[test]
fn b8_who_may_not_order_and_what_is_not_there_is_refused_with_code_1() {
    let scene = scene();
    let _server = scene.serve();
    let refused = |words: &[&str], why: &str| {
        let (code, said) = scene.fails(words);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(why), "{said}");
    };
    let to_finance = ["agent", "move", "olga.reim", "--to", "finance", "--by"];
    let by = |who| [&to_finance[..], &[who]].concat();
    refused(&by("pavel.horn"), "pavel.horn does not lead sales_support");
    refused(&by("vera.lind"), "is no shift leader (B8)");
    refused(&by("gerd.pohl"), "gerd.pohl is absent");
    refused(&by("nobody"), "nobody is called nobody");
    let nina = ["--by", "nina.adler"];
    refused(
        &[&["agent", "move", "olga", "--to", "finance"], &nina[..]].concat(),
        "nobody is called olga",
    );
    refused(&[&["queue", "close", "pilots"], &nina[..]].concat(), "no group is called pilots");
    refused(&[&["queue", "open", "operator"], &nina[..]].concat(), "is open already");
    refused(&[&["agent", "back", "olga.reim"], &nina[..]].concat(), "was not moved");
    refused(&[&["agent", "open", "olga.reim"], &nina[..]].concat(), "is open");
    refused(&[&["agent", "close", "olga"], &nina[..]].concat(), "nobody is called olga");
    refused(&["agent", "close", "olga.reim", "--by", "olga.reim"], "does not lead sales_support");
    refused(&[&["plan", "revert"], &nina[..]].concat(), "no plan is in force");
    refused(&[&["plan", "apply", "flood"], &nina[..]].concat(), "no plan called flood");
    refused(
        &[&["plan", "apply", "rush", "--by", "karl.winter"][..]].concat(),
        "does not lead sales_support",
    );
    let gone = ["call", "move", "0000000000000001", "--to", "finance", "--by", "nina.adler"];
    refused(&gone, "call");
    assert_eq!(scene.json(&["status"])["orders"], Value::Array(vec![]), "nothing was changed");
    assert_eq!(scene.fails(&["agent", "move", "olga.reim", "--to", "finance"]).0, 2, "by whom?");
}

/// Eight roles in a department: sixteen groups, of which the last is `last`.
fn versatile(scene: &Scene, last: &str) {
    let roles = ["a", "b", "c", "d", "e", "f", "g", last].join(" ");
    let csv = format!("id;name;roles;department\nvera.satil;Vera;{roles};sales_support\n");
    scene.ok(&["import", "people", &scene.write("more.csv", csv.as_bytes())]);
}

#[test]
fn b8_a_plan_that_makes_no_sense_for_the_people_is_told_by_check_at_its_line() {
    let scene = scene();
    let more = "  { move = \"gregor.thal\", to = \"finance\" },\n  { move = \"pavel.horn\", to = \"operator\" },\n";
    scene.edit("policy.toml", "  { close = \"finance\" },\n", more);
    versatile(&scene, "h");
    scene.edit(
        "policy.toml",
        "{ move = \"fritz.ebner\", to = \"operator\" }",
        "{ move = \"vera.satil\", to = \"manager of market\", from = \"h\" }",
    );
    let said = super::cli_scene::out(&scene.run(&["check"]));
    for (place, why) in [
        ("error", "plan rush: vera.satil would serve 17 groups, helping operator"),
        ("error", "nobody is called gregor.thal"),
        ("warning", "vera.satil has no phone: no call reaches them there"),
        (
            "warning",
            "pavel.horn serves operator already, and nothing else: the move changes nothing",
        ),
    ] {
        let line = said.lines().find(|line| line.contains(why));
        let line = line.unwrap_or_else(|| panic!("{why} is not in {said}"));
        assert!(line.contains("policy.toml:") && line.contains(place), "{line}");
    }
}

#[test]
fn b7_who_would_help_in_a_seventeenth_group_is_told_by_check_with_the_line_of_the_help() {
    let scene = scene();
    versatile(&scene, "manager");
    let output = scene.run(&["check"]);
    let text = super::cli_scene::out(&output) + &super::cli_scene::err(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let why = "vera.satil would serve 17 groups, helping operator: 16 are possible";
    let line = text.lines().find(|line| line.contains(why)).expect(why);
    assert!(line.contains("policy.toml:"), "{line}");
}

#[test]
fn b8_an_order_that_gives_somebody_a_seventeenth_group_is_refused() {
    let scene = scene();
    versatile(&scene, "h");
    let _server = scene.serve();
    let order = ["agent", "move", "vera.satil", "--from", "h", "--to", "manager of market"];
    let (code, why) = scene.fails(&[&order[..], &["--by", "nina.adler"]].concat());
    assert_eq!(code, 1, "{why}");
    assert!(why.contains("vera.satil would serve 17 groups, helping operator"), "{why}");
    let order = [
        "agent",
        "move",
        "vera.satil",
        "--from",
        "h of sales_support",
        "--to",
        "finance of finance",
    ];
    let (_, why) = scene.fails(&[&order[..], &["--by", "nina.adler"]].concat());
    assert!(why.contains("vera.satil: 17 groups, 16 are possible"), "{why}");
    assert_eq!(scene.json(&["status"])["orders"], Value::Array(vec![]), "nothing was changed");
}

#[test]
fn b8_an_order_of_a_plan_about_somebody_who_has_left_is_listed_and_taken_back_alone() {
    let scene = scene();
    let server = scene.serve();
    let nina = ["--by", "nina.adler"];
    scene.ok(&[&["plan", "apply", "rush"], &nina[..]].concat());
    drop(server);
    let left = scene.write("left.csv", b"id;left_on\nolga.reim;2026-01-01\n");
    scene.ok(&["import", "people", &left]);
    let _server = scene.serve();
    let hint = "not in the directory any more; `telefonist agent open olga.reim --by PERSON` takes";
    for listing in ["status", "plan"] {
        let text = scene.ok(&[listing]);
        let line =
            text.lines().find(|line| line.contains(hint)).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains("position of olga.reim closed (by nina.adler at "), "{line}");
    }
    let said = scene.ok(&[&["agent", "open", "olga.reim"], &nina[..]].concat());
    assert_eq!(said, "position of olga.reim opened: of the plan rush 3 of 4 orders stand\n");
    let status = scene.ok(&["status"]);
    assert!(!status.contains("not in the directory any more"), "{status}");
    let (_, why) = scene.fails(&[&["agent", "open", "olga.reim"], &nina[..]].concat());
    assert!(why.contains("nobody is called olga.reim"), "{why}");
}

#[test]
fn b8_an_emergency_plan_is_applied_and_reverted_as_a_whole() {
    let scene = scene();
    let server = scene.serve();
    let nina = ["--by", "nina.adler"];
    assert!(scene.ok(&["plan"]).contains("rush (B8)\n  fritz.ebner moved to operator\n"));
    scene.ok(&[&["queue", "close", "finance of finance"], &nina[..]].concat());
    let said = scene.ok(&[&["plan", "apply", "rush"], &nina[..]].concat());
    assert!(said.starts_with("plan rush applied: fritz.ebner moved to operator, "), "{said}");
    assert_eq!(groups(&scene, "fritz.ebner"), ["operator"]);
    assert_eq!(groups(&scene, "nina.adler"), ["shift_leader", "shift_leader of sales_support"]);
    let closed = |scene: &Scene| {
        row(&scene.json(&["agents"]), "person", "olga.reim")["position_closed_by"].clone()
    };
    assert_eq!(closed(&scene), "nina.adler");
    assert!(scene.ok(&["plan"]).contains("rush (B8), in force by nina.adler"));
    scene.ok(&[&["agent", "back", "fritz.ebner"], &nina[..]].concat());
    let plan = scene.ok(&["plan"]);
    assert!(
        plan.contains(
            ", 3 of 4 orders stand\n  fritz.ebner moved to operator: taken back by nina.adler\n"
        ),
        "{plan}"
    );
    let (_, why) = scene.fails(&[&["plan", "apply", "evacuation"], &nina[..]].concat());
    assert!(why.contains("the plan rush is in force"), "{why}");
    drop(server);
    let _server = scene.serve();
    assert_eq!(scene.json(&["status"])["plan"]["plan"], "rush");
    assert_eq!(scene.json(&["status"])["plan"]["stand"], 3, "over a restart too");
    scene.ok(&[&["plan", "revert"], &nina[..]].concat());
    assert_eq!(groups(&scene, "fritz.ebner"), ["finance", "finance of finance"]);
    assert_eq!(closed(&scene), Value::Null);
    assert_eq!(closed_by(&scene, "finance of finance"), "nina.adler", "by hand, not of the plan");
}

#[test]
fn b8_a_plan_that_names_nobody_is_refused_with_all_its_lines() {
    let scene = scene();
    scene.edit(
        "policy.toml",
        "{ move = \"fritz.ebner\", to = \"operator\" }",
        "{ move = \"fritz\", to = \"operator\" }",
    );
    scene.edit("policy.toml", "{ close = \"finance\" }", "{ close = \"finances\" }");
    let output = scene.run(&["check"]);
    let text = super::cli_scene::out(&output) + &super::cli_scene::err(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("nobody is called fritz"), "{text}");
    assert!(text.contains("no group is called finances"), "{text}");
    assert!(text.contains("did you mean `finance`?"), "{text}");
}
