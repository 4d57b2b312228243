//! The bounds of `[net]` and of the control socket, through the program itself: who is over them is
//! shut out, counted, and in nobody's way.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::time::Duration;

use super::cli_scene::{LONG, Scene, err, get, out, request};

fn scene(settings: &str) -> Scene {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "[net]", &format!("[net]\n{settings}"));
    scene
}

fn connect(scene: &Scene) -> TcpStream {
    let stream = TcpStream::connect(scene.address()).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    stream.set_write_timeout(Some(LONG)).expect("a time");
    stream
}

/// A connection that is served: its keep-alive has been answered.
fn served(scene: &Scene) -> TcpStream {
    let mut stream = connect(scene);
    stream.write_all(b"\r\n\r\n").expect("sent");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).expect("a pong");
    stream
}

/// The other side ends it within the time of a test.
fn is_ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}"),
    }
}

fn counted(scene: &Scene, kind: &str) {
    let metrics = get(scene, "/metrics");
    let line = format!("telefonist_connections_refused_total{{kind=\"{kind}\"}}");
    assert!(metrics.contains(&line), "{kind}: {metrics}");
}

#[test]
fn connections_over_the_bound_of_all_are_ended_and_the_others_served() {
    let scene = scene("connections_max = 2");
    let _server = scene.serve();
    let (first, _second) = (served(&scene), served(&scene));
    is_ended(&mut connect(&scene));
    counted(&scene, "total");
    assert_eq!(scene.json(&["status"])["connections"], 2);
    drop(first);
    // Its place is free once the server has seen the end.
    let again = (0..600).any(|_| {
        let mut stream = connect(&scene);
        // It may be ended before it is written to.
        let _ = stream.write_all(b"\r\n\r\n");
        let mut pong = [0; 2];
        stream.read_exact(&mut pong).is_ok()
    });
    assert!(again, "a place that was left is given again");
}

#[test]
fn one_source_cannot_take_every_connection() {
    let scene = scene("connections_per_source_max = 1");
    let _server = scene.serve();
    let _first = served(&scene);
    is_ended(&mut connect(&scene));
    counted(&scene, "per_source");
    let mut other = TcpStream::connect(("::1", scene.sip)).expect("another source");
    other.set_read_timeout(Some(LONG)).expect("a time");
    other.write_all(b"\r\n\r\n").expect("sent");
    other.read_exact(&mut [0; 2]).expect("served");
}

#[test]
fn a_silent_connection_is_closed_and_a_talking_one_is_not() {
    let scene = scene("idle_timeout = \"2s\"");
    let _server = scene.serve();
    let mut talking = served(&scene);
    talking.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
    let mut silent = served(&scene);
    let (ended, says) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        is_ended(&mut silent);
        // The test may have failed already.
        let _ = ended.send(());
    });
    let mut pong = [0; 2];
    while says.try_recv().is_err() {
        talking.write_all(b"\r\n\r\n").expect("still served");
        talking.set_read_timeout(Some(LONG)).expect("a time");
        talking.read_exact(&mut pong).expect("a pong");
        talking.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        // Waits, for nothing more is to come.
        assert!(talking.read(&mut pong).is_err(), "nothing was asked");
    }
    talking.write_all(b"\r\n\r\n").expect("still served");
    talking.set_read_timeout(Some(LONG)).expect("a time");
    talking.read_exact(&mut pong).expect("a pong");
    counted(&scene, "idle");
}

#[test]
fn a_message_that_comes_drop_by_drop_is_not_waited_for() {
    let scene = scene("header_timeout = \"1s\"");
    let _server = scene.serve();
    let mut stream = connect(&scene);
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
    stream.write_all(b"OPTIONS sip:x SIP/2.0\r\n").expect("sent");
    let ended = (0..600).any(|_| {
        // Each drop is something, and would keep an idle connection alive.
        let gone = stream.write_all(b"X").is_err();
        let read = stream.read(&mut [0; 1]);
        gone || !matches!(read, Err(ref e) if e.kind() == ErrorKind::WouldBlock)
    });
    assert!(ended);
    let _served = served(&scene);
}

#[test]
fn who_does_not_read_is_dropped_and_the_others_are_served() {
    let scene = scene("connection_queue_max = 1");
    let _server = scene.serve();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("small");
    socket.connect(&scene.address().into()).expect("it listens");
    let mut deaf = TcpStream::from(socket);
    deaf.set_write_timeout(Some(LONG)).expect("a time");
    let from = deaf.local_addr().expect("connected");
    let options = request("OPTIONS", from, "TCP");
    let dropped = (0..400_000).any(|n| {
        let other = options.replace("z9hG4bK-", &format!("z9hG4bK-{n}-"));
        let other = other.replace("Call-ID: ", &format!("Call-ID: {n}-"));
        deaf.write_all(other.as_bytes()).is_err()
    });
    assert!(dropped, "it was written to for ever");
    counted(&scene, "slow");
    let _served = served(&scene);
}

/// A group that is not the first one of this process, if the system has it and we may give it away.
fn another_group() -> Option<(String, u32)> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let mut fields = groups.lines().find(|l| l.starts_with("games:"))?.split(':');
    let name = fields.next()?.to_string();
    Some((name, fields.nth(1)?.parse().ok()?))
}

#[test]
fn the_group_of_the_control_socket_may_ask_and_nobody_else() {
    let scene = Scene::with_company();
    let is_root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
    let (true, Some((name, gid))) = (is_root, another_group()) else {
        return println!("skipped: only root can try this, where there is a group `games`");
    };
    let settings = format!("[admin]\nsocket_mode = \"0660\"\nsocket_group = \"{name}\"");
    scene.edit("telefonist.toml", "[admin]", &settings);
    let _server = scene.serve();
    let socket = std::fs::metadata(scene.state().join("control.sock")).expect("there");
    assert_eq!((socket.permissions().mode() & 0o777, socket.gid()), (0o660, gid));
    // What holds the scene must let others through; the state folder is the program's own work.
    let through = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(scene.path(""), through).expect("ours");
    // The program may lie where nobody else can reach it.
    let program = scene.path("telefonist");
    std::fs::copy(env!("CARGO_BIN_EXE_telefonist"), &program).expect("copied");
    let as_nobody = |gid: u32, arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.arg("--config").arg(scene.config()).arg("--state").arg(scene.state());
        command.args(arguments).uid(65_534).gid(gid).output().expect("it runs")
    };
    let member = as_nobody(gid, &["pause", "vera.lind"]);
    assert!(member.status.success(), "{}", err(&member));
    assert!(scene.ok(&["events"]).contains("command by nobody"), "the kernel names who asked");
    let stranger = as_nobody(65_534, &["status"]);
    assert_eq!(stranger.status.code(), Some(1), "{}", out(&stranger));
    assert!(err(&stranger).contains("admin.socket_mode"), "{}", err(&stranger));
    for secret in [&["calls"][..], &["people", "list"], &["events"]] {
        let refused = as_nobody(gid, secret);
        assert_eq!(refused.status.code(), Some(1), "{secret:?}: {}", out(&refused));
        assert!(err(&refused).contains(&scene.state().display().to_string()), "{secret:?}");
    }
}

#[test]
fn a_group_that_is_not_there_is_named_at_the_start() {
    let scene = Scene::new();
    scene.edit("telefonist.toml", "[admin]", "[admin]\nsocket_group = \"no-such-group\"");
    let (code, why) = scene.fails(&["serve"]);
    assert_eq!(code, 2);
    assert!(why.contains("admin.socket_group") && why.contains("no-such-group"), "{why}");
}
