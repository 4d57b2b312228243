//! What the program writes: JSON alone where JSON was asked for, an end when nobody reads, nothing in
//! folders that were mistyped, and a log that may be lost.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;

use serde_json::Value;
use telefonist::store::journal::Journal;

use super::cli_scene::{LONG, Running, Scene, err, heard, out, phone, request};
use crate::register_scenario::{key, start, whole_call, worker};

/// The exit code, if it ends in time.
fn ends(mut child: Child) -> Option<i32> {
    let (say, ended) = channel();
    let id = child.id().to_string();
    std::thread::spawn(move || say.send(child.wait()));
    let status = ended.recv_timeout(LONG);
    if status.is_err() {
        // Nothing is left running, whatever came of it.
        let _ = std::process::Command::new("kill").args(["-9", &id]).status();
    }
    status.expect("it ends").expect("a status").code()
}

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("it is there")
}

#[test]
fn wrong_usage_is_json_too_where_json_was_asked_for() {
    let scene = Scene::new();
    for arguments in
        [&["fly", "--json"][..], &["show", "--json"], &["--json"], &["calls", "-x", "--json"]]
    {
        let output = scene.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(json["error"].as_str().is_some_and(|e| !e.is_empty()), "{arguments:?}: {json}");
        assert_eq!(err(&output), "", "{arguments:?}");
    }
    let help = scene.run(&["calls", "--json", "--help"]);
    assert!(help.status.success() && out(&help).contains("--since"));
}

#[test]
fn what_goes_on_and_on_ends_when_its_reader_has_gone() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    for arguments in [&["agents", "--watch"][..], &["queues", "--watch", "--json"]] {
        let mut program = scene.program(arguments);
        let mut child = program.stdout(Stdio::piped()).spawn().expect("it runs");
        let mut first = String::new();
        let reading = child.stdout.take().expect("piped");
        BufReader::new(reading).read_line(&mut first).expect("a line");
        assert!(!first.contains('\x1b'), "a pipe is no terminal: {first:?}");
        assert_eq!(ends(child), Some(0), "{arguments:?}");
    }
    let mut program = scene.program(&["events", "--follow", "--since", "1h", "--json"]);
    let mut child = program.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let started = lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("server_started")));
    assert!(started.is_some(), "what was before comes first");
    scene.ok(&["pause", "vera.lind"]);
    let paused = lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("vera.lind")));
    assert!(paused.is_some(), "it follows");
    drop(lines);
    scene.ok(&["resume", "vera.lind"]);
    assert_eq!(ends(child), Some(0));
}

#[test]
fn an_answer_that_a_full_disk_does_not_take_is_no_success() {
    let scene = Scene::with_company();
    let output = scene.program(&["people", "list"]).stdout(full_disk()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("standard output"), "{}", err(&output));
}

#[test]
fn a_mistyped_state_folder_is_named_and_not_made() {
    let scene = Scene::new();
    for arguments in [
        &["calls"][..],
        &["show", "0123456789abcdef"],
        &["callbacks"],
        &["events"],
        &["events", "--follow"],
        &["absence", "list"],
        &["absence", "add", "anna.berg", "--from", "today", "--to", "today"],
        &["client", "find", "x"],
        &["client", "add", "x"],
        &["people", "list"],
        &["people", "passwd", "anna.berg"],
        &["explain", "--from", "030"],
        &["backup", "/dev/shm/never.tar"],
        &["status"],
    ] {
        let (code, why) = scene.fails(arguments);
        assert_eq!(code, 1, "{arguments:?}: {why}");
        assert!(why.contains(&scene.state().display().to_string()), "{arguments:?}: {why}");
        assert!(why.contains("--state"), "{arguments:?}: {why}");
        assert!(!scene.state().exists(), "{arguments:?}");
    }
}

#[test]
fn looking_at_an_emptied_database_does_not_make_an_empty_company() {
    let scene = Scene::with_company();
    let file = scene.state().join("clients.db");
    std::fs::write(&file, b"").expect("emptied");
    for name in ["clients.db-wal", "clients.db-shm"] {
        // They may be gone.
        let _ = std::fs::remove_file(scene.state().join(name));
    }
    for arguments in [&["people", "list"][..], &["client", "find", "a"], &["absence", "list"]] {
        let (code, why) = scene.fails(arguments);
        assert!(code == 1 && why.contains("clients.db: empty"), "{arguments:?}: {why}");
        assert_eq!(std::fs::metadata(&file).expect("there").len(), 0, "{arguments:?}");
    }
}

#[test]
fn what_is_secret_is_readable_by_its_owner_alone() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    scene.ok(&["calls"]);
    let entries = std::fs::read_dir(scene.state()).expect("there");
    let mut names = Vec::new();
    for entry in entries.map(|e| e.expect("an entry")) {
        let mode = entry.metadata().expect("its mode").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{:?}", entry.path());
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    assert!(names.iter().any(|n| n == "clients.db"), "{names:?}");
}

#[test]
fn a_log_that_cannot_be_written_ends_no_server() {
    let scene = Scene::with_company();
    let mut child = scene.program(&["serve"]).stderr(full_disk()).spawn().expect("it runs");
    let phone = phone();
    phone.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("a time");
    let options = request("OPTIONS", phone.local_addr().expect("bound"), "UDP");
    let mut answer = vec![0; 4096];
    let answered = (0..600).any(|_| {
        phone.send_to(options.as_bytes(), scene.address()).expect("sent");
        phone.recv(&mut answer).is_ok()
    });
    let status = scene.run(&["status", "--json"]);
    child.kill().expect("it still ran");
    child.wait().expect("gone");
    assert!(answered && status.status.success(), "{}", out(&status));
}

#[test]
fn a_log_reader_that_has_gone_ends_no_server() {
    let scene = Scene::with_company();
    let mut child = scene.program(&["serve"]).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(" ready ") {
        line.clear();
        assert!(log.read_line(&mut line).expect("a line") > 0, "it ended");
    }
    drop(log);
    scene.ok(&["pause", "vera.lind"]);
    scene.ok(&["resume", "vera.lind"]);
    let status = scene.json(&["status"]);
    child.kill().expect("it still ran");
    child.wait().expect("gone");
    assert_eq!(status["calls"], 0);
}

/// A call from the PBX (this host) for nobody who is there.
fn call(from: &str) -> (std::net::UdpSocket, String) {
    let phone = phone();
    let at = phone.local_addr().expect("bound");
    let invite = request("INVITE", at, "UDP").replace("sip:stranger@", &format!("sip:{from}@"));
    (phone, invite)
}

fn json_log(scene: &Scene) -> Running {
    scene.edit("telefonist.toml", "[log]", "[log]\nformat = \"json\"");
    let running = scene.serve_quietly();
    running.says("\"ready\"");
    running
}

#[test]
fn the_log_has_one_span_for_each_call_and_names_nobody() {
    let scene = Scene::with_company();
    let server = json_log(&scene);
    let (phone, invite) = call("+493023125001");
    phone.send_to(invite.as_bytes(), scene.address()).expect("sent");
    while heard(&phone).starts_with("SIP/2.0 1") {}
    scene.ok(&["pause", "vera.lind"]);
    let key = scene.json(&["calls"])[0]["call"].clone();
    server.signal("-TERM");
    let lines: Vec<String> = server.log.iter().collect();
    let parsed = lines.iter().map(|l| serde_json::from_str(l).expect("JSON"));
    let parsed: Vec<Value> = parsed.collect();
    let of_call: Vec<&str> = parsed
        .iter()
        .filter(|l| l["span"]["call"] == key && l["span"]["name"] == "call")
        .filter_map(|l| l["message"].as_str())
        .collect();
    assert!(of_call.contains(&"routed") && of_call.contains(&"ended"), "{lines:#?}");
    let text = lines.join("\n");
    assert!(text.contains("agent changed"), "{text}");
    for secret in ["23125001", "vera", "lind", "Reuter", "berg"] {
        assert!(!text.contains(secret), "`{secret}`: {text}");
    }
}

#[test]
fn a_broken_pipe_at_the_first_line_is_quiet() {
    let scene = Scene::with_company();
    let mut program = scene.program(&["client", "find", "a", "--json"]);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("it runs");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((ends(child), said.as_str()), (Some(0), ""));
}

#[test]
fn what_a_caller_writes_does_not_steer_the_terminal() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let (phone, invite) = call("%1b%5b2J\u{9b}2J\u{202e}");
    phone.send_to(invite.as_bytes(), scene.address()).expect("sent");
    while heard(&phone).starts_with("SIP/2.0 1") {}
    server.says(": ended");
    let calls = scene.json(&["calls"]);
    let key = calls[0]["call"].as_str().expect("a call").to_string();
    let from = calls[0]["from_raw"].as_str().expect("as it was written");
    assert!(from.contains('\u{1b}'), "{from:?}");
    for shown in [scene.ok(&["calls"]), scene.ok(&["show", &key])] {
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(steers), "{shown:?}");
    }
}

#[test]
fn what_a_caller_writes_forges_no_line_and_widens_no_table() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let (phone, invite) =
        call(&format!("x%0aforged%E2%80%A8forged%0d%0aforged{}", "y".repeat(200)));
    phone.send_to(invite.as_bytes(), scene.address()).expect("sent");
    let live = scene.ok(&["calls", "--live"]);
    while heard(&phone).starts_with("SIP/2.0 1") {}
    server.says(": ended");
    let calls = scene.json(&["calls"]);
    let key = calls[0]["call"].as_str().expect("a call").to_string();
    let from = calls[0]["from_raw"].as_str().expect("as it was written");
    assert!(from.contains("\nforged\u{2028}") && from.ends_with(&"y".repeat(200)), "{from:?}");
    let table = scene.ok(&["calls"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("y…  ") && !table.contains(&"y".repeat(100)), "{table}");
    for shown in [table, live, scene.ok(&["show", &key])] {
        let begins = |line: &str| line.trim_start().starts_with("forged");
        assert!(!shown.split(['\n', '\u{2028}']).any(begins), "{shown:?}");
    }
}

#[test]
fn no_call_is_left_out_of_a_list_without_a_word() {
    let scene = Scene::new();
    let journal = Journal::open(&scene.state().join("journal"), start()).expect("a journal");
    let mut writer = journal.writer(worker(0), start(), &[]);
    for n in 0..105 {
        writer.append(&whole_call(key(n), i64::from(n) * 1_000));
    }
    let lines = |arguments: &[&str]| {
        let output = scene.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        (out(&output).lines().count() - 1, err(&output))
    };
    let cut = |n: u32| format!("telefonist: the last {n} calls of more: --limit N\n");
    assert_eq!(lines(&["calls"]), (100, cut(100)));
    assert_eq!(lines(&["calls", "--limit", "105"]), (105, String::new()));
    for filter in [["--since", "2026-03-01"], ["--number", "23125001"], ["--client", "ACME"]] {
        assert_eq!(lines(&[&["calls"][..], &filter].concat()), (105, String::new()));
    }
    assert_eq!(lines(&["calls", "--client", "ACME", "--limit", "7"]), (7, cut(7)));
    assert_eq!(scene.json(&["calls"]).as_array().map(Vec::len), Some(105));
    let newest = scene.run(&["calls", "--json", "--limit", "1"]);
    assert_eq!(err(&newest), cut(1));
    assert!(out(&newest).contains(&key(104).to_string()), "the newest: {}", out(&newest));
}
