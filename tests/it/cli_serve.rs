//! The running program: starting, answering, reloading, draining, and what it makes of bad input.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::cli_scene::{LONG, Running, Scene, err, get, heard, out, phone, request};

fn options_is_answered(scene: &Scene) {
    let phone = phone();
    let from = phone.local_addr().expect("bound");
    phone.send_to(request("OPTIONS", from, "UDP").as_bytes(), scene.address()).expect("sent");
    let answer = heard(&phone);
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
}

#[test]
fn a_taken_port_is_named_and_the_exit_code_is_2() {
    let scene = Scene::new();
    let taken = std::net::UdpSocket::bind(scene.address()).expect("free");
    let (code, why) = scene.fails(&["serve"]);
    assert_eq!(code, 2);
    let named = format!("UDP {}", taken.local_addr().expect("bound"));
    assert!(why.contains(&named) && why.contains("listen[].bind"), "{why}");
}

#[test]
fn a_broken_configuration_does_not_start() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "country = \"DE\"", "country = 5");
    let (code, why) = scene.fails(&["serve"]);
    assert_eq!(code, 2);
    assert!(why.contains("telefonist.toml:") && why.contains("server.country"), "{why}");
}

#[test]
fn one_state_folder_has_one_server() {
    let scene = Scene::new();
    let _server = scene.serve();
    let other = Scene::new();
    let state = scene.state().display().to_string();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_telefonist"));
    program.arg("--config").arg(other.config()).args(["--state", &state, "serve"]);
    let output = program.output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("already"));
}

#[test]
fn it_says_how_it_is_and_drains_on_sigterm() {
    let scene = Scene::with_company();
    let mut server = scene.serve();
    options_is_answered(&scene);
    let status = scene.json(&["status"]);
    assert_eq!(status["calls"], 0);
    assert_eq!(status["clients"]["index"], "fresh");
    assert!(status["people"].as_u64().is_some_and(|n| n > 10), "{status}");
    assert!(get(&scene, "/health").contains("200 OK"));
    assert!(get(&scene, "/ready").contains("200 OK"));
    let metrics = get(&scene, "/metrics");
    assert!(metrics.contains("telefonist_messages_total{kind=\"udp\"} 1"), "{metrics}");
    let mode = std::fs::metadata(scene.state().join("control.sock")).expect("there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    server.signal("-TERM");
    let ended = server.child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0));
    server.says("draining");
    let events = scene.ok(&["events"]);
    assert!(events.lines().any(|l| l.contains("\"server_started\"")), "{events}");
    assert!(events.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
}

/// So often it is asked before a test gives up; each asking takes a program's start.
const LOOKS_MAX: u32 = 1_000;

/// The threads of `process` that run only where nobody else wants the processor.
fn aside(process: u32) -> Vec<String> {
    const SCHED_IDLE: &str = "5";
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let name = |stat: String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        // The 41st field of all, proc_pid_stat(5).
        (rest.split_whitespace().nth(38)? == SCHED_IDLE).then(|| name.to_owned())
    };
    stats.filter_map(name).collect()
}

#[test]
fn no_call_waits_for_the_register_or_for_a_huge_page() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let process = server.child.id();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    assert!(status.contains("THP_enabled:\t0"), "{status}");
    // It steps aside once it has caught up.
    let mut looks = 0;
    while !aside(process).iter().any(|thread| thread == "register-aside") {
        looks += 1;
        assert!(looks < LOOKS_MAX, "{:?}", aside(process));
        scene.ok(&["status"]);
    }
    assert!(aside(process).iter().all(|thread| !thread.starts_with("worker")), "calls come first");
}

#[test]
fn metrics_are_prometheus_text_and_name_no_call() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    options_is_answered(&scene);
    let answer = get(&scene, "/metrics");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.contains("openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut typed = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let (what, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            assert!(matches!(what, "HELP" | "TYPE" | "UNIT"), "{line}");
            assert!(what != "TYPE" || typed.insert(name.to_string()), "typed twice: {line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = sample.split('{').next().expect("a name");
        assert!(name.starts_with("telefonist_"), "{line}");
        assert!(typed.iter().any(|t| name.starts_with(t.as_str())), "no type: {line}");
        let labels = sample[name.len()..].trim_matches(['{', '}']);
        for label in labels.split(',').filter(|l| !l.is_empty()) {
            let label = label.split('=').next().expect("a label");
            assert!(matches!(label, "kind" | "worker" | "le"), "{line}");
        }
    }
    assert!(get(&scene, "/nothing").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_taken_port_of_the_probes_is_named_with_its_setting() {
    let scene = Scene::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", scene.http)).expect("free");
    let (code, why) = scene.fails(&["serve"]);
    assert_eq!(code, 2);
    assert!(why.contains("admin.http") && why.contains(&scene.http.to_string()), "{why}");
    let json: serde_json::Value =
        serde_json::from_slice(&scene.run(&["serve", "--json"]).stdout).expect("JSON");
    assert!(json["error"].as_str().is_some_and(|e| e.contains("admin.http")), "{json}");
}

#[test]
fn garbage_and_lies_leave_it_serving() {
    let scene = Scene::new();
    let _server = scene.serve();
    let phone = phone();
    let from = phone.local_addr().expect("bound");
    let whole = request("INVITE", from, "UDP");
    for len in [1, 7, 20, 60, whole.len() / 2] {
        phone.send_to(&whole.as_bytes()[..len], scene.address()).expect("sent");
    }
    let noise: Vec<u8> =
        (0..60_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    phone.send_to(&noise, scene.address()).expect("sent");
    let long = whole.replacen("\r\n", &format!("\r\nX-Long: {}\r\n", "x".repeat(60_000)), 1);
    phone.send_to(long.as_bytes(), scene.address()).expect("sent");
    let lie = whole.replace("Content-Length: 0", "Content-Length: 4000000000");
    let mut stream = TcpStream::connect(scene.address()).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    stream.write_all(lie.replace("/UDP", "/TCP").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // It may end by a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"SIP/2.0 4"), "{answer:?}");
    options_is_answered(&scene);
}

#[test]
fn a_stranger_s_call_is_refused_without_detail() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "from = [\"127.0.0.1\", \"::1\"]", "from = [\"192.0.2.1\"]");
    let _server = scene.serve();
    let phone = phone();
    let from = phone.local_addr().expect("bound");
    phone.send_to(request("INVITE", from, "UDP").as_bytes(), scene.address()).expect("sent");
    let mut answer = heard(&phone);
    while answer.starts_with("SIP/2.0 1") {
        answer = heard(&phone);
    }
    assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
}

#[test]
fn tcp_keep_alives_are_answered_and_options_too() {
    let scene = Scene::new();
    let _server = scene.serve();
    let mut stream = TcpStream::connect(scene.address()).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    stream.write_all(b"\r\n\r\n").expect("sent");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).expect("a pong");
    assert_eq!(&pong, b"\r\n");
    let from = stream.local_addr().expect("connected");
    stream.write_all(request("OPTIONS", from, "TCP").as_bytes()).expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"SIP/2.0 200 ");
}

#[test]
fn a_good_reload_counts_and_a_bad_one_changes_nothing() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let before = scene.json(&["status"])["policy"].clone();
    scene.edit("telefonist.toml", "# agents_max = 1000", "agents_max = 500");
    let done = scene.json(&["reload"]);
    assert_eq!(done["restart"], serde_json::json!(["limits.agents_max"]));
    scene.edit("telefonist.toml", "# t1 = \"500ms\"", "t1 = \"400ms\"");
    scene.edit("telefonist.toml", "# idle_timeout = \"30m\"", "idle_timeout = \"20m\"");
    let done = scene.json(&["reload"]);
    let changed = ["net.idle_timeout", "limits.agents_max", "timers.t1"];
    assert_eq!(done["restart"], serde_json::json!(changed), "what was changed and no more");
    scene.edit("policy.toml", "[[rule]]", "[[rul]]");
    let line = server.says("a bad configuration changes nothing");
    assert!(line.contains("policy.toml:") && line.contains("telefonist check"), "{line}");
    let refused = scene.json(&["status"])["refused"].clone();
    assert_eq!(refused["by"], "file change");
    let first = refused["problems"][0]["message"].as_str().expect("a problem");
    assert!(scene.ok(&["status"]).contains(first), "{refused}");
    let (code, why) = scene.fails(&["reload"]);
    assert_eq!(code, 1);
    assert!(why.contains("policy.toml:"), "{why}");
    assert_eq!(scene.json(&["status"])["policy"], before);
    scene.edit("policy.toml", "[[rul]]", "[[rule]]");
    scene.edit("policy.toml", "\n[", "\n# mended\n[");
    let line = server.says("configuration reloaded");
    assert!(line.contains("file change"), "{line}");
    let status = scene.json(&["status"]);
    assert!(status["policy"] != before && status["refused"].is_null(), "{status}");
    server.signal("-HUP");
    let line = server.says("configuration reloaded");
    assert!(line.contains("SIGHUP"), "{line}");
}

#[test]
fn people_are_paused_by_name_and_the_journal_says_by_whom() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    let agent = scene.json(&["pause", "vera.lind", "--reason", "cash desk"]);
    assert_eq!(agent["state"], "not_ready");
    let (code, why) = scene.fails(&["pause", "nobody"]);
    assert_eq!((code, why.contains("nobody is called nobody")), (1, true), "{why}");
    assert_eq!(scene.fails(&["hangup", "0123456789abcdef"]).0, 1);
    scene.ok(&["resume", "vera.lind"]);
    let events = scene.ok(&["events"]);
    let paused = events.lines().find(|l| l.contains("cash desk")).expect("written down");
    assert!(paused.contains("command by "), "{paused}");
    assert!(scene.ok(&["agents"]).contains("vera.lind"));
    assert!(scene.ok(&["queues"]).contains("operator"));
    assert_eq!(scene.json(&["calls", "--live"]), serde_json::json!([]));
}

#[test]
fn many_who_ask_at_once_are_all_answered() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    let asking = (0..60).map(|_| {
        let mut program = scene.program(&["status", "--json"]);
        program.stdout(std::process::Stdio::null()).spawn().expect("it runs")
    });
    let asking: Vec<_> = asking.collect();
    for mut child in asking {
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn a_half_written_file_changes_nothing_and_is_not_complained_of() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let before = scene.json(&["status"])["policy"].clone();
    let file = scene.config().join("policy.toml");
    let whole = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    let other = whole.replace("grace_days         = 0", "grace_days = 3");
    std::fs::write(&file, other).expect("written");
    let line = server.says("configuration reloaded");
    assert!(line.contains("changed=true"), "{line}");
    let status = scene.json(&["status"]);
    assert!(status["policy"] != before && status["refused"].is_null(), "{status}");
    // As an editor saves: beside it, then in its place.
    let beside = scene.config().join(".policy.toml.swp");
    std::fs::write(&beside, &whole).expect("written");
    std::fs::rename(&beside, &file).expect("moved");
    server.says("configuration reloaded");
    assert_eq!(scene.json(&["status"])["policy"], before);
}

#[test]
fn a_foreign_lock_on_the_clients_stops_nothing() {
    let scene = Scene::with_company();
    let _server = scene.serve();
    let crm = rusqlite::Connection::open(scene.state().join("clients.db")).expect("opened");
    crm.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    options_is_answered(&scene);
    assert!(scene.json(&["status"])["clients"]["clients"].as_u64().is_some_and(|n| n == 200));
    scene.ok(&["calls"]);
    crm.execute_batch("ROLLBACK").expect("released");
}

#[test]
fn a_killed_server_starts_again_over_its_own_socket() {
    let scene = Scene::with_company();
    let mut server = scene.serve();
    server.child.kill().expect("killed");
    server.child.wait().expect("gone");
    assert!(scene.state().join("control.sock").exists(), "nobody tidied up");
    let again = scene.serve();
    options_is_answered(&scene);
    drop(again);
}

#[test]
fn trunks_are_found_by_name_and_one_without_an_address_stops_nothing() {
    let scene = Scene::new();
    let pbx = phone();
    let port = pbx.local_addr().expect("bound").port();
    let to = format!("name = \"pbx\"\nto = \"udp:localhost:{port}\"");
    scene.edit("telefonist.toml", "name = \"pbx\"", &to);
    let nowhere = "[[trunk]]\nname = \"nowhere\"\nfrom = [\"192.0.2.1\"]\nto = \"udp:nowhere.invalid\"\n\n[people]";
    scene.edit("telefonist.toml", "[people]", nowhere);
    let _server = scene.serve();
    let asked = heard(&pbx);
    assert!(asked.starts_with(&format!("OPTIONS sip:localhost:{port} ")), "{asked}");
    let status = scene.json(&["status"]);
    let trunks = status["trunks"].as_array().expect("trunks");
    let nowhere = trunks.iter().find(|t| t["trunk"] == "nowhere").expect("it is asked too");
    assert_eq!(nowhere["health"], "down");
}

#[test]
fn people_who_go_away_raise_alarms_that_stop_nothing() {
    let scene = Scene::with_company();
    let server = scene.serve();
    assert_eq!(scene.json(&["status"])["alarms"], serde_json::json!([]));
    scene.ok(&[
        "absence",
        "add",
        "fritz.ebner",
        "--kind",
        "leave",
        "--from",
        "today",
        "--to",
        "2098-06-05",
    ]);
    let line = server.says("the policy fails with the people of today");
    assert!(!line.contains("fritz") && line.contains("policy.toml"), "no names: {line}");
    let status = scene.json(&["status"]);
    let alarms = status["alarms"].as_array().expect("a list");
    assert!(alarms.iter().any(|a| a.to_string().contains("fritz.ebner")), "{status}");
    assert!(scene.ok(&["status"]).contains("nobody of `finance` is there"));
    options_is_answered(&scene);
}

#[test]
fn b8_a_role_whose_only_position_is_closed_is_an_alarm_of_the_server_and_a_warning_of_check() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let why = "nobody of `finance` is there";
    assert!(!out(&scene.run(&["check"])).contains(why));
    let by = ["--by", "nina.adler"];
    scene.ok(&[&["agent", "close", "fritz.ebner"], &by[..]].concat());
    let line = server.says("the policy fails with the people of today");
    assert!(!line.contains("fritz") && line.contains("policy.toml"), "no names: {line}");
    let status = scene.ok(&["status"]);
    let alarm = status.lines().find(|line| line.contains(why)).expect("an alarm");
    assert!(alarm.contains("positions closed: fritz.ebner"), "{alarm}");
    let said = out(&scene.run(&["check"]));
    assert!(said.contains(why) && said.contains("positions closed: fritz.ebner"), "{said}");
    assert!(said.contains("orders of supervisors in force, in the proof too: 1"), "{said}");
    options_is_answered(&scene);
    scene.ok(&[&["agent", "open", "fritz.ebner"], &by[..]].concat());
    assert!(!out(&scene.run(&["check"])).contains(why));
}

#[test]
fn check_says_that_a_socket_without_a_server_behind_it_gave_no_orders() {
    let scene = Scene::with_company();
    assert!(!out(&scene.run(&["check"])).contains("not in the proof"), "none runs");
    let listener = UnixListener::bind(scene.state().join("control.sock")).expect("bound");
    let answering = std::thread::spawn(move || {
        for answer in ["220 mail.example ESMTP\r\n", ""] {
            let (stream, _) = listener.accept().expect("asked");
            BufReader::new(&stream).read_line(&mut String::new()).expect("it asks");
            (&stream).write_all(answer.as_bytes()).expect("it reads");
        }
    });
    for why in ["is no Telefonist of this version", "has gone: it closed the connection"] {
        let said = scene.ok(&["check"]);
        assert!(said.contains("orders of supervisors are not in the proof (B8): "), "{said}");
        assert!(said.contains(why), "{said}");
    }
    answering.join().expect("it ends");
}

#[test]
fn names_of_files_and_folders_need_not_be_utf8() {
    let scene = Scene::with_company();
    let odd =
        |name: &str| scene.path("").join(OsString::from_vec([name.as_bytes(), b"\xff"].concat()));
    let (config, state) = (odd("config"), odd("state"));
    std::fs::rename(scene.config(), &config).expect("moved");
    std::fs::rename(scene.state(), &state).expect("moved");
    let program = |arguments: &[&OsStr]| {
        let mut program = std::process::Command::new(scene.program(&[]).get_program());
        program.arg("--config").arg(&config).arg("--state").arg(&state).args(arguments);
        program.env_remove("RUST_LOG").stdin(std::process::Stdio::null());
        program
    };
    let server = Running::begin(program(&["serve".as_ref()]));
    server.says(" ready ");
    let json = |arguments: &[&OsStr]| {
        let output = program(&[arguments, &["--json".as_ref()]].concat()).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        serde_json::from_str::<serde_json::Value>(&out(&output)).expect("JSON")
    };
    let (copy, fed) = (odd("backup"), odd("fed"));
    assert!(json(&["status".as_ref()])["state"].to_string().ends_with("state\u{fffd}\""));
    let backup = json(&["backup".as_ref(), copy.as_ref()]);
    assert!(copy.exists() && backup["file"].to_string().ends_with("backup\u{fffd}\""), "{backup}");
    json(&["recorder".as_ref(), "save".as_ref(), fed.as_ref()]);
    assert!(fed.exists());
}

#[test]
fn people_whom_the_policy_does_not_fit_are_not_named_in_the_log() {
    let scene = Scene::with_company();
    let server = scene.serve();
    let crm = rusqlite::Connection::open(scene.state().join("clients.db")).expect("opened");
    crm.execute("UPDATE people SET department = 'nowhere' WHERE id = 'vera.lind'", [])
        .expect("written");
    let line = server.says("see `telefonist check`");
    assert!(line.contains("count=") && !line.contains("vera"), "{line}");
    let told = out(&scene.run(&["check"]));
    assert!(told.contains("vera.lind"), "{told}");
}
