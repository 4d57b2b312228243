//! A disk that takes nothing more, under the running program: calls go on, everybody who asks is told,
//! and what was kept is written when there is room again. The disk is a limit on the size of files
//! (`RLIMIT_FSIZE`), which another program gives and takes away.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::cli_scene::{LONG, Running, Scene, get, heard, phone, request};

/// `None`: `prlimit` is not there.
fn served(scene: &Scene) -> Option<Running> {
    Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().ok()?;
    // A program that is over the limit is killed unless it says that it does not want to be.
    let program = scene.program(&["serve"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(program.get_program());
    shell.args(program.get_args());
    let running = Running::begin(shell);
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

/// Asks until it is as wished; gives up after a minute.
fn until(scene: &Scene, arguments: &[&str], wished: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let said = scene.json(arguments);
        if wished(&said) || begun.elapsed() > LONG {
            return said;
        }
    }
}

#[test]
fn a_full_disk_costs_no_call_and_is_told_everywhere() {
    let scene = Scene::with_company();
    let Some(server) = served(&scene) else {
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
    assert!(get(&scene, "/health").ends_with("ok\n"));
}
