//! sipp as trunk and as phones.
//!
//! A phone is one sipp: its scenario registers and then rests, what the server sends it is answered by
//! a second one (`-oocsf`), over the same socket or connection. Scenarios are put together from
//! `scenarios/`: a line `@part argument` stands for `scenarios/parts/part.xml` with `{}` filled in.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, text_of};
use crate::scene::{PATIENCE, PHONES, Scene, TRUNK, free_port};

/// A running sipp.
pub struct Sipp {
    program: Program,
    messages: PathBuf,
    errors: PathBuf,
}

/// How a sipp is started.
pub struct Start<'a> {
    name: String,
    scenario: &'a str,
    answering: Option<&'a str>,
    from: IpAddr,
    port: Option<u16>,
    to: SocketAddr,
    transport: &'a str,
    calls: u32,
    keys: Vec<(&'a str, String)>,
    more: Vec<String>,
}

impl<'a> Start<'a> {
    fn new(scene: &Scene, name: String, scenario: &'a str, from: IpAddr) -> Self {
        let to = scene.address;
        let (keys, more) = (Vec::new(), Vec::new());
        let (answering, port) = (None, None);
        let name = name.replace([' ', '*'], "-");
        Self { name, scenario, answering, from, port, to, transport: "u1", calls: 1, keys, more }
    }

    /// Over TCP.
    pub fn tcp(mut self) -> Self {
        self.transport = "t1";
        self
    }

    /// From another address.
    pub fn from(mut self, from: IpAddr) -> Self {
        self.from = from;
        self
    }

    /// At this port.
    pub fn at(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// By way of another host.
    pub fn to(mut self, to: SocketAddr) -> Self {
        self.to = to;
        self
    }

    /// `[name]` in the scenario.
    pub fn key(mut self, name: &'a str, value: &str) -> Self {
        self.keys.retain(|(n, _)| *n != name);
        self.keys.push((name, value.to_owned()));
        self
    }

    /// So many calls, all at once.
    pub fn calls(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    /// Further options of the command.
    pub fn with(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|&m| m.to_owned()));
        self
    }

    /// Starts it.
    pub fn run(self, scene: &Scene) -> Sipp {
        let port = self.port.unwrap_or_else(free_port);
        let file = |kind: &str| scene.path().join(format!("{}-{port}.{kind}", self.name));
        let (messages, errors) = (file("messages"), file("errors"));
        let mut command = Command::new("sipp");
        command.current_dir(scene.path()).arg(self.to.to_string());
        command.args(["-i", &self.from.to_string(), "-p", &port.to_string(), "-bind_local"]);
        command.args(["-t", self.transport, "-nostdin", "-timeout", "60", "-timeout_error"]);
        command.args(["-m", &self.calls.to_string(), "-l", &self.calls.to_string()]);
        command.args(["-r", &self.calls.max(1).to_string(), "-rp", "100", "-cp", "0"]);
        command.arg("-trace_msg").arg("-message_file").arg(&messages);
        command.arg("-trace_err").arg("-error_file").arg(&errors);
        command.arg("-sf").arg(scenario(&file("xml"), self.scenario));
        if let Some(answering) = self.answering {
            command.arg("-oocsf").arg(scenario(&file("answering.xml"), answering));
        }
        for (name, value) in &self.keys {
            command.args(["-key", name, value]);
        }
        command.args(&self.more);
        Sipp { program: Program::start(&self.name, &mut command), messages, errors }
    }
}

/// A caller behind the trunk: +49 30 23125 00x, x counting calls from 1, plays `scenario`.
pub fn caller<'a>(scene: &Scene, scenario: &'a str) -> Start<'a> {
    let start = Start::new(scene, format!("caller-{scenario}"), scenario, TRUNK);
    start.key("number", "030231250").key("called", "4930999")
}

/// ACME calls (a key client).
pub fn acme<'a>(scene: &Scene, scenario: &'a str) -> Start<'a> {
    caller(scene, scenario).key("number", "03023125001")
}

/// A phone that registers as `user` and does with calls what `answering` says.
pub fn phone<'a>(scene: &Scene, user: &str, answering: &'a str) -> Start<'a> {
    let start = Start::new(scene, format!("phone-{user}-{answering}"), "phone", PHONES);
    let mut start = start.key("gruu", "").key("instance", "");
    start.answering = Some(answering);
    start.with(&["-s", user, "-au", user, "-ap", &format!("pw-{user}"), "-aa"])
}

/// One of our people dials `called`.
pub fn dialler<'a>(scene: &Scene, user: &str, called: &str, scenario: &'a str) -> Start<'a> {
    let start = Start::new(scene, format!("{user}-dials-{called}"), scenario, PHONES);
    let start = start.with(&["-s", user, "-au", user, "-ap", &format!("pw-{user}")]);
    start.key("called", called)
}

/// Anything else.
pub fn peer<'a>(scene: &Scene, scenario: &'a str, from: IpAddr) -> Start<'a> {
    Start::new(scene, scenario.to_owned(), scenario, from)
}

/// `count` phones are registered.
pub fn registered(scene: &mut Scene, phones: Vec<Start<'_>>) -> Vec<Sipp> {
    let count = phones.len() as u64;
    let running = phones.into_iter().map(|p| p.run(scene)).collect();
    scene.until_bound(count);
    running
}

impl Sipp {
    /// Its scenario was played to the end.
    pub fn done(mut self) {
        let status = self.program.end(PATIENCE * 2);
        assert!(status.success(), "{status}\n{}", self.trace());
    }

    /// Its host breaks down.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Messages of this peer so far.
    pub fn messages(&self) -> String {
        text_of(&self.messages)
    }

    fn trace(&self) -> String {
        format!("{}\n{}", text_of(&self.errors), self.messages())
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.trace());
        }
    }
}

/// Puts the scenario `name` together in `target`; what follows a space is its `{}`.
fn scenario(target: &Path, name: &str) -> PathBuf {
    let (name, argument) = name.split_once(' ').unwrap_or((name, ""));
    std::fs::write(target, whole(name, argument)).expect("the folder is ours");
    target.to_owned()
}

fn whole(file: &str, argument: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scenarios");
    let text = text_of(&folder.join(format!("{file}.xml"))).replace("{}", argument);
    let mut whole = String::new();
    for line in text.lines() {
        match line.trim().strip_prefix('@') {
            None => whole.push_str(line),
            Some(part) => {
                let (part, argument) = part.split_once(' ').unwrap_or((part, ""));
                whole.push_str(&self::whole(&format!("parts/{part}"), argument));
            }
        }
        whole.push('\n');
    }
    whole
}
