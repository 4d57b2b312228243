//! A disk that takes nothing more, under the running program: calls go on, everybody who asks is told,
//! and what was kept is written when there is room again. The disk is a limit on the size of files
//! (`RLIMIT_FSIZE`), which another program gives and takes away.

use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::cli_scene::{Running, Scene, err, get, heard, phone, request};

/// A program that is over the limit is killed unless it says that it does not want to be.
fn limited(scene: &Scene, bytes: &str, arguments: &[&str]) -> Command {
    let program = scene.program(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec prlimit \"$@\"", "sh", &format!("--fsize={bytes}:")]);
    shell.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    shell
}

/// With files of at most `bytes`. `None`: `prlimit` is not there.
fn served(scene: &Scene, bytes: &str) -> Option<Running> {
    Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().ok()?;
    let running = Running::begin(limited(scene, bytes, &["serve"]));
    running.says(" ready ");
    Some(running)
}

fn file_size_max(server: &Running, bytes: &str) {
    let (pid, limit) = (server.child.id().to_string(), format!("--fsize={bytes}:"));
    let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(done.expect("prlimit is there").success());
}

fn call(scene: &Scene, from: &str) {
    let phone = phone();
    let at = phone.local_addr().expect("bound");
    let invite = request("INVITE", at, "UDP").replace("sip:stranger@", &format!("sip:{from}@"));
    phone.send_to(invite.as_bytes(), scene.address()).expect("sent");
    let mut answer = heard(&phone);
    while answer.starts_with("SIP/2.0 1") {
        answer = heard(&phone);
    }
    assert!(answer.starts_with("SIP/2.0 480 "), "{answer}");
}

/// Asks until it is as wished, about a minute long at most; what was said last.
fn until(scene: &Scene, arguments: &[&str], wished: impl Fn(&Value) -> bool) -> Value {
    let mut said = scene.json(arguments);
    for _ in 0..2_000 {
        if wished(&said) {
            break;
        }
        said = scene.json(arguments);
    }
    said
}

#[test]
fn a_full_disk_costs_no_call_and_is_told_everywhere() {
    let scene = Scene::with_company();
    let Some(server) = served(&scene, "unlimited") else {
        return println!("skipped: there is no prlimit");
    };
    call(&scene, "+493023125001");
    let first = until(&scene, &["calls"], |calls| calls[0]["ended_at"].is_string());
    assert_eq!(first.as_array().map(Vec::len), Some(1), "{first}");

    file_size_max(&server, "1");
    call(&scene, "+493023125002");
    call(&scene, "+493023125003");
    server.says("journal: kept in memory");
    let ailing = |status: &Value| {
        let told = status["ailments"].to_string();
        told.contains("journal w") && told.contains("lines wait")
    };
    let status = until(&scene, &["status"], ailing);
    assert!(ailing(&status), "{status}");
    assert!(scene.ok(&["status"]).contains("is not written"));
    let warned = "telefonist: the newest calls are not shown: journal w";
    for arguments in [&["calls"][..], &["calls", "--json"], &["callbacks"], &["show", "abcd"]] {
        let why = err(&scene.run(arguments));
        assert!(why.contains(warned), "{arguments:?}: {why}");
    }
    let health = get(&scene, "/health");
    assert!(health.contains("200 OK") && health.contains("is not written"), "{health}");
    assert!(get(&scene, "/ready").contains("200 OK"));
    assert!(get(&scene, "/metrics").contains("telefonist_journal_backlog_lines{worker="));
    assert!(scene.ok(&["explain", "--from", "+493023125002"]).contains("clause"));

    file_size_max(&server, "unlimited");
    server.says("journal: everything is written again");
    let sound = until(&scene, &["status"], |status| status["ailments"] == Value::Array(vec![]));
    assert_eq!(sound["ailments"].as_array().map(Vec::len), Some(0), "{sound}");
    let is_whole = |calls: &Value| {
        calls
            .as_array()
            .is_some_and(|all| all.iter().filter(|c| c["ended_at"].is_string()).count() == 3)
    };
    let calls = until(&scene, &["calls"], is_whole);
    assert!(is_whole(&calls), "nothing is lost: {calls}");
    assert_eq!(err(&scene.run(&["calls"])), "");
    assert!(get(&scene, "/health").ends_with("ok\n"));
}

#[test]
fn a_start_on_a_full_disk_still_knows_clients_and_people() {
    let scene = Scene::with_company();
    // Room for small files, and none for what SQLite puts beside a database.
    let Some(server) = served(&scene, "4096") else {
        return println!("skipped: there is no prlimit");
    };
    let status = scene.json(&["status"]);
    let clients = &status["clients"];
    assert_eq!(
        (&clients["clients"], &clients["index"]),
        (&200.into(), &"stale".into()),
        "{status}"
    );
    assert_eq!(status["people"], 18);
    let said = scene.ok(&["explain", "--from", "+493023125001"]);
    assert!(said.contains("Fruit stall Reuter"), "{said}");
    call(&scene, "+493023125001");

    file_size_max(&server, "unlimited");
    server.says("clients can be read again");
    let is_fresh = |status: &Value| status["clients"]["index"] == "fresh";
    let status = until(&scene, &["status"], is_fresh);
    assert!(is_fresh(&status), "{status}");
    let is_there = |calls: &Value| calls[0]["client"]["name"] == "Fruit stall Reuter";
    let calls = until(&scene, &["calls"], is_there);
    assert!(is_there(&calls), "{calls}");
}

#[test]
fn a_database_overwritten_under_the_server_is_told_and_calls_are_still_identified() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let file = scene.state().join("clients.db");
    let overwrite = |bytes: &[u8]| {
        let file = std::fs::File::options().write(true).open(&file).expect("there");
        file.write_all_at(bytes, 0).expect("written");
    };
    let whole = std::fs::read(&file).expect("read");
    overwrite(&[0; 64]);
    server.says("clients cannot be read");
    let status = scene.json(&["status"]);
    assert_eq!(status["clients"]["index"], "stale", "{status}");
    assert!(status["ailments"].to_string().contains("damaged"), "{status}");
    let said = scene.ok(&["explain", "--from", "+493023125001"]);
    assert!(said.contains("Fruit stall Reuter") && said.contains("away since"), "{said}");
    overwrite(&whole);
    server.says("clients can be read again");
    assert_eq!(scene.json(&["status"])["clients"]["index"], "fresh");
}

#[test]
fn a_damaged_register_says_what_helps_and_that_helps() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let first = "+493023125001";
    call(&scene, first);
    let came = |calls: &Value| calls[0]["from"] == first;
    assert!(came(&until(&scene, &["calls"], came)));
    let saved = scene.path("backup.tar").display().to_string();
    scene.ok(&["backup", &saved]);
    call(&scene, "+493023125002");
    drop(server);

    let file = scene.state().join("register.db");
    let of_it = |end: &str| scene.state().join(format!("register.db{end}"));
    let away = || ["", "-wal", "-shm"].map(|end| std::fs::remove_file(of_it(end)).is_ok());
    away();
    std::fs::write(&file, [7; 8_192]).expect("written");
    let server = scene.serve();
    let helps = format!("move it away, with {0}-wal and {0}-shm", file.display());
    let behind = |status: &Value| status["register_behind"].to_string().contains(&helps);
    assert!(behind(&until(&scene, &["status"], behind)));
    for arguments in [&["calls"][..], &["callbacks"], &["show", "0123456789abcdef"]] {
        let (code, why) = scene.fails(arguments);
        assert!(code == 1 && why.contains(&helps), "{arguments:?}: {why}");
        assert!(why.contains("which has the last 7 days") && !why.contains("restore a backup"));
    }

    away();
    server.says("the register follows the journal again");
    let both = |calls: &Value| calls.as_array().is_some_and(|calls| calls.len() == 2);
    assert!(both(&until(&scene, &["calls"], both)), "from the journal");

    drop(server);
    away();
    let taken = ["-xf", &saved, "-C"].map(String::from);
    let folder = scene.path("");
    let done = Command::new("tar").args(taken).arg(&folder).arg("state/register.db").status();
    assert!(done.expect("tar is there").success());
    assert!(both(&scene.json(&["calls"])), "the backup has one, the journal adds the other");
}

#[test]
fn who_only_looks_needs_no_room() {
    let scene = Scene::with_company();
    for (arguments, shown) in [
        (&["people", "list"][..], "vera.lind"),
        (&["absence", "list"], "boris.falk"),
        (&["client", "find", "K001"], "Northgate"),
        (&["explain", "--from", "+493023125001"], "Fruit stall Reuter"),
        (&["check"], "state/clients.db"),
    ] {
        let output = limited(&scene, "0", arguments).output();
        let Ok(output) = output else { return println!("skipped: there is no prlimit") };
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(shown), "{arguments:?}: {said}{why}");
    }
}
