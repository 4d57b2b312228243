//! The loop with a core that does what it is told.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::domain::Transport;
use crate::policy::IndexState;
use crate::store::journal::{Journal, Source};
use crate::switch::{AgentChange, Command, What};

const LONG: Duration = Duration::from_secs(20);

/// Says that it works, and works until it is told that it is done.
struct Gate {
    works: Sender<()>,
    done: Receiver<()>,
}

/// Commands make it act: `Status` sends, `Agents` panics, `Calls` asks who calls, `Queues` sets a timer,
/// `Login` works long.
#[derive(Default)]
struct Puppet {
    gate: Option<Gate>,
    out: std::collections::VecDeque<Output>,
    timer: Option<Moment>,
}

impl Core for Puppet {
    fn handle(&mut self, now: Moment, input: Input) {
        let reply = |id, text: &str| Output::Reply { id, answer: Ok(text.into()) };
        match input {
            Input::Command { id, command: Command::Status, .. } => {
                let change = AgentChange::LoggedIn;
                let what = What::Agent { person: "anna".into(), change, by: "test".into() };
                self.out.push_back(Output::Send { flow: flow(), bytes: Bytes::from_static(b"x") });
                self.out.push_back(Output::Event(Event { at: jiff::Timestamp::now(), what }));
                self.out.push_back(reply(id, "sent"));
            }
            Input::Command { command: Command::Agents, .. } => panic!("told to"),
            Input::Command { command: Command::Calls, .. } => {
                let call = CallKey::new(1, ShardId(0), 1);
                self.out.push_back(Output::Identify { call, number: None });
            }
            Input::Identified { .. } => self.out.push_back(reply(7, "identified")),
            Input::Command { command: Command::Queues, .. } => {
                self.timer = Some(now + Duration::from_millis(20));
            }
            Input::Command { command: Command::Login { .. }, .. } => {
                let gate = self.gate.as_ref().expect("a test that opens it");
                gate.works.send(()).expect("the test listens");
                gate.done.recv_timeout(LONG).expect("the test goes on");
            }
            Input::Wake if self.timer.is_some_and(|t| t <= now) => {
                self.timer = None;
                self.out.push_back(reply(8, "timer"));
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Moment {
        self.timer.unwrap_or(Moment::NEVER)
    }
}

pub(super) fn flow() -> Flow {
    let remote = "127.0.0.1:5060".parse().expect("a literal");
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}

/// Says everything that it is told, in order.
struct Witness {
    say: std::sync::Mutex<Sender<String>>,
    journal: std::path::PathBuf,
}

impl Witness {
    fn say(&self, what: impl Into<String>) {
        let _ = self.say.lock().expect("no test panics here").send(what.into());
    }

    fn is_written(&self, what: &str) -> bool {
        let files = std::fs::read_dir(&self.journal).expect("a journal").flatten();
        let mut texts = files.filter_map(|file| std::fs::read(file.path()).ok());
        texts.any(|text| String::from_utf8_lossy(&text).contains(what))
    }
}

impl Outside for Witness {
    fn send(&self, _: ShardId, _: Flow, _: Bytes) {
        self.say(if self.is_written("logged_in") {
            "sent, journal first"
        } else {
            "sent too early"
        });
    }
    fn identify(&self, _: CallKey, _: Option<&Number>) -> Identified {
        let index = IndexState::Unavailable { why: "test".into() };
        Identified { client: None, others: Vec::new(), index }
    }
    fn mail(&self, _: ShardId, _: Mail) {
        self.say("mail");
    }
    fn reply(&self, _: ShardId, _: u64, answer: Result<serde_json::Value, Refusal>) {
        self.say(answer.expect("no refusal").as_str().unwrap_or("?"));
    }
    fn notify(&self, _: ShardId, _: Promise) {
        self.say("notify");
    }
    fn recorded(&self, _: ShardId, events: &[Event]) {
        self.say(format!("recorded {}", events.len()));
    }
    fn turned(&self, _: ShardId, _: Turn) {}
    fn journal(&self, _: ShardId, _: Health) {}
    fn panicked(&self, _: ShardId, _: Option<Taken>) {
        self.say("panicked");
    }
}

struct Stage {
    worker: Worker,
    inbox: Arc<Inbox>,
    heard: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(mut gate: Option<Gate>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = Journal::open(&path, jiff::Timestamp::now()).expect("a journal");
        let (inbox, outlet) = Inbox::new(16);
        let inbox = Arc::new(inbox);
        let (say, heard) = channel();
        let build: Build = Box::new(move |_| Built {
            core: Box::new(Puppet { gate: gate.take(), ..Puppet::default() }),
            writer: journal.writer(Source::Worker(ShardId(0)), jiff::Timestamp::now(), &[]),
            state: State::default(),
            recording: None,
        });
        let outside = Arc::new(Witness { say: std::sync::Mutex::new(say), journal: path });
        let worker =
            Worker::begin(ShardId(0), Clock::start(), (inbox.clone(), outlet), outside, build)
                .expect("a thread");
        Self { worker, inbox, heard, _folder: folder }
    }

    fn command(&self, command: Command) {
        self.inbox.push(Input::Command { id: 1, command, by: "test".into() });
    }

    fn hears(&self, wanted: &str) {
        assert_eq!(self.heard.recv_timeout(LONG).expect("in time"), wanted);
    }
}

#[test]
fn outputs_leave_after_the_journal() {
    let stage = Stage::new();
    stage.command(Command::Status);
    stage.hears("sent, journal first");
    stage.hears("sent");
    stage.hears("recorded 1");
    stage.worker.stop();
}

#[test]
fn what_is_done_does_not_wait_for_all_of_a_long_turn() {
    let (works, began) = channel();
    let (finish, done) = channel();
    let stage = Stage::with(Some(Gate { works, done }));
    let work = || stage.command(Command::Login { person: "anna".into() });
    let begins = || began.recv_timeout(LONG).expect("it works");
    work();
    begins();
    // These three are one turn.
    stage.command(Command::Status);
    work();
    work();
    finish.send(()).expect("it waits");
    begins();
    let long_enough = std::time::Instant::now() + 2 * turn::LEAVE_AFTER;
    while std::time::Instant::now() < long_enough {}
    finish.send(()).expect("it waits");
    begins();
    stage.hears("sent, journal first");
    stage.hears("sent");
    finish.send(()).expect("it waits");
    stage.worker.stop();
}

#[test]
fn a_question_to_the_index_is_answered_within_the_turn() {
    let stage = Stage::new();
    stage.command(Command::Calls);
    stage.hears("identified");
    stage.worker.stop();
}

#[test]
fn a_deadline_wakes_a_sleeping_worker() {
    let stage = Stage::new();
    stage.command(Command::Queues);
    stage.hears("timer");
    stage.worker.stop();
}

#[test]
fn a_core_that_panics_is_built_anew_and_goes_on_with_the_next_input() {
    let stage = Stage::new();
    stage.command(Command::Agents);
    stage.command(Command::Status);
    stage.hears("panicked");
    stage.hears("sent, journal first");
    assert!(stage.worker.is_alive());
    stage.worker.stop();
}

#[test]
fn a_turn_says_what_held_it_up() {
    let quick = Turn { took: Duration::from_millis(499), ..Turn::default() };
    assert!(!quick.stood_still());
    assert!(Turn { took: Duration::from_millis(500), ..quick }.stood_still());
    assert!(Turn { late: Duration::from_secs(2), ..quick }.stood_still());
}
