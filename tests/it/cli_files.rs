//! Commands that work on the files, whether a server runs or not.

use std::process::Command;

use super::cli_scene::{Running, Scene, err, heard, out, phone, request};

#[test]
fn a_dry_run_lists_every_bad_row_and_changes_nothing() {
    let scene = Scene::with_company();
    let file =
        scene.write("bad.csv", "name;type;numbers\nA;;12\n;retail;+493023125900\n".as_bytes());
    let output = scene.run(&["import", "clients", &file, "--dry-run"]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    assert!(said.contains("line 2: ") && said.contains("line 3: "), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    let missing = scene.fails(&["import", "clients", "nowhere.csv"]);
    assert!(missing.0 == 1 && missing.1.contains("nowhere.csv"), "{missing:?}");
}

#[test]
fn only_hashes_of_a_password_are_kept() {
    let scene = Scene::with_company();
    let done = scene.tell(&["people", "passwd", "anna.berg"], "open sesame");
    assert!(done.status.success(), "{}", err(&done));
    let kept = std::fs::read(scene.state().join("clients.db")).expect("there");
    let wal = std::fs::read(scene.state().join("clients.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(11).any(|w| w == b"open sesame");
    assert!(!holds(&kept) && !holds(&wal));
    let printed = scene.tell(&["people", "passwd", "--trunk", "carrier"], "secret");
    let said = out(&printed);
    assert!(said.contains("user = \"carrier\"\nha1_md5 = \""), "{said}");
    assert_eq!(said.lines().last().map(str::len), Some("ha1_sha256 = \"\"".len() + 64), "{said}");
    let unknown = scene.tell(&["people", "passwd", "nobody"], "x");
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(scene.tell(&["people", "passwd", "anna.berg"], "").status.code(), Some(2));
}

#[test]
fn absences_are_entered_listed_and_ended() {
    let scene = Scene::with_company();
    let days = ["--from", "tomorrow", "--to", "tomorrow", "--deputy", "nina.adler"];
    let entered = scene.ok(&[&["absence", "add", "vera.lind"][..], &days].concat());
    assert!(entered.contains("vera.lind") && entered.contains("deputy nina.adler"), "{entered}");
    assert!(scene.ok(&["absence", "list"]).contains("vera.lind"));
    let again = scene.fails(&[&["absence", "add", "vera.lind"][..], &days].concat());
    assert_eq!(again.0, 1, "{again:?}");
    let list = scene.json(&["absence", "list"]);
    let mine = list.as_array().expect("a list").iter().find(|a| a["person"] == "vera.lind");
    let id = mine.expect("entered")["id"].to_string();
    scene.ok(&["absence", "end", &id, "--on", "today"]);
    assert!(!scene.ok(&["absence", "list"]).contains("vera.lind"));
    assert_eq!(scene.fails(&["absence", "add", "x", "--from", "soon", "--to", "later"]).0, 2);
}

#[test]
fn cards_are_opened_assigned_and_given_numbers() {
    let scene = Scene::with_company();
    scene.ok(&["client", "add", "Bakery Sunrise", "--type", "retail", "--number", "030 23125 901"]);
    let found = scene.json(&["client", "find", "+493023125901"]);
    assert_eq!(found[0]["name"], "Bakery Sunrise");
    scene.ok(&["client", "assign", "Bakery Sunrise", "anna.berg"]);
    scene.ok(&["client", "attach", "Bakery Sunrise", "030/23125-902"]);
    scene.ok(&["client", "served-by-operators", "Bakery Sunrise"]);
    let card = &scene.json(&["client", "find", "Bakery Sunrise"])[0];
    assert_eq!(card["manager"], "anna.berg");
    assert_eq!(card["served_by_operators"], true);
    assert_eq!(card["numbers"].as_array().map(Vec::len), Some(2));
    scene.ok(&["client", "detach", "Bakery Sunrise", "+493023125902"]);
    scene.ok(&["client", "assign", "Bakery Sunrise", "nobody"]);
    assert_eq!(scene.fails(&["client", "assign", "Bakery Sunrise", "mr.x"]).0, 1);
    assert_eq!(scene.fails(&["client", "attach", "Bakery Sunrise", "seven"]).0, 2);
    assert_eq!(scene.run(&["client", "find", "No Such Client"]).status.code(), Some(1));
}

#[test]
fn what_needs_a_server_says_where_it_looked() {
    let scene = Scene::with_company();
    for command in [&["status"][..], &["agents"], &["reload"], &["pause", "anna.berg"]] {
        let (code, why) = scene.fails(command);
        assert_eq!(code, 1);
        assert!(why.contains("no server answers at") && why.contains("control.sock"), "{why}");
    }
    assert!(scene.json(&["people", "list"]).as_array().is_some_and(|p| p.len() > 10));
}

#[test]
fn a_backup_holds_what_a_new_machine_needs() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let file = scene.path("backup.tar").display().to_string();
    let said = scene.ok(&["backup", &file]);
    for name in ["state/clients.db", "state/register.db", "state/secret.key", "config/policy.toml"]
    {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(scene.fails(&["backup", &file]).0, 1, "it is not overwritten");
    drop(server);
}

#[test]
fn a_backup_is_unpacked_and_served() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let phone = phone();
    let from = phone.local_addr().expect("bound");
    phone.send_to(request("INVITE", from, "UDP").as_bytes(), scene.address()).expect("sent");
    while heard(&phone).starts_with("SIP/2.0 1") {}
    server.says(": ended");
    let call = scene.json(&["calls"])[0]["call"].clone();
    let file = scene.path("backup.tar").display().to_string();
    scene.ok(&["backup", &file]);
    drop(server);
    let place = scene.path("restored");
    std::fs::create_dir(&place).expect("made");
    let unpacked = Command::new("tar").args(["-xf", &file]).arg("-C").arg(&place).status();
    assert!(unpacked.expect("tar is there").success());
    let program = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_telefonist"));
        program.arg("--config").arg(place.join("config")).arg("--state").arg(place.join("state"));
        program.args(arguments);
        program
    };
    let restored = Running::begin(program(&["serve"]));
    restored.says(" ready ");
    let status = program(&["status", "--json"]).output().expect("it runs");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!((&status["clients"]["clients"], &status["people"]), (&200.into(), &18.into()));
    let calls = program(&["calls", "--json"]).output().expect("it runs");
    let calls: serde_json::Value = serde_json::from_slice(&calls.stdout).expect("JSON");
    assert_eq!(calls[0]["call"], call, "{calls}");
}
