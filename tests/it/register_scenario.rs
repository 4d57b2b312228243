//! What the tests of journal and register write: calls as their events, a state folder, a disk that
//! can be full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use telefonist::domain::{CallKey, ClientId, Number, ShardId};
use telefonist::policy::{
    Candidate, Ending, Explanation, FactShown, Presence, RuleTried, StepShown,
};
use telefonist::store::journal::{
    Files, Journal, Segment, Sink, Source, State as Holds, Writer, WriterLimits,
};
use telefonist::store::register::{Projector, Register};
use telefonist::switch::{ClientRef, Direction, Event, OfferResult, Outcome, Party, What};

/// Monday morning.
pub fn start() -> Timestamp {
    "2026-03-02T08:00:00Z".parse().expect("a literal")
}

/// `ms` after the start.
pub fn after(ms: i64) -> Timestamp {
    start() + SignedDuration::from_millis(ms)
}

pub fn event(ms: i64, what: What) -> Event {
    Event { at: after(ms), what }
}

/// The `n`-th call of worker 0 in run `start()`.
pub fn key(n: u32) -> CallKey {
    CallKey::new(start().as_second() as u32, ShardId(0), n)
}

pub fn worker(n: u8) -> Source {
    Source::Worker(ShardId(n))
}

/// A state folder with a journal and a register.
pub struct State {
    pub folder: tempfile::TempDir,
}

impl State {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    pub fn db(&self) -> PathBuf {
        self.folder.path().join("register.db")
    }

    /// A run begins: worker 0 has a writer, and the run is complete.
    pub fn run(&self, checkpoint: &[Event]) -> (Journal, Writer) {
        let journal = Journal::open(&self.journal(), start()).expect("a journal");
        let writer = journal.writer(worker(0), start(), checkpoint);
        let mut shell = journal.writer(Source::Shell, start(), &[]);
        shell.append(&[telefonist::store::journal::server_started(start())]);
        (journal, writer)
    }

    pub fn projector(&self) -> Projector {
        Projector::new(&self.db(), &self.journal())
    }

    pub fn project(&self) -> Register {
        self.projector().catch_up().expect("projected");
        Register::open(&self.db()).expect("a register")
    }

    /// The segments of worker 0.
    pub fn segments(&self) -> Vec<Segment> {
        let mut all = Segment::list(&self.journal()).expect("the folder");
        all.retain(|s| s.source == worker(0));
        all
    }
}

pub fn client() -> ClientRef {
    ClientRef { id: ClientId(17), name: "ACME GmbH".into() }
}

pub fn number() -> Number {
    Number::from_e164("+493023125001").expect("a literal")
}

pub fn arrived(call: CallKey, ms: i64) -> Event {
    event(
        ms,
        What::CallArrived {
            call,
            direction: Direction::Inbound,
            trunk: Some("pstn".into()),
            caller: None,
            from_raw: "030 23125001".into(),
            from: Some(number()),
            to: "100".into(),
            sip_call_id: "abc@pbx".into(),
        },
    )
}

pub fn explanation() -> Explanation {
    let person = |name: &str, stands_in_for: Option<&str>, presence| Candidate {
        person: name.into(),
        agent: telefonist::domain::AgentId(1),
        stands_in_for: stands_in_for.map(Into::into),
        presence,
        closed: false,
    };
    let step = |to: &str, clause: &str, people: Vec<Candidate>, note: Option<&str>| StepShown {
        to: to.into(),
        clause: clause.into(),
        people,
        others: None,
        fingerprint: None,
        queues: Vec::new(),
        ring: std::time::Duration::from_secs(20),
        wait: std::time::Duration::from_secs(40),
        order: Default::default(),
        together: 1,
        only: false,
        note: note.map(Into::into),
    };
    let rule = |rule: &str, clause: &str, matched, why: &str| RuleTried {
        rule: rule.into(),
        clause: clause.into(),
        matched,
        why: why.into(),
    };
    let away = Presence::Gone { why: "absent (leave to 2026-03-04)".into() };
    let fact = |name: &str, value: &str, age_s| FactShown {
        name: name.into(),
        value: value.into(),
        age_s,
    };
    Explanation {
        facts: vec![fact("type", "key", Some(3)), fact("debt", "12 d overdue", Some(90_000))],
        rules: vec![
            rule("new client", "B1", false, "the client has a manager"),
            rule("key client", "B2", true, "client_type is key"),
        ],
        steps: vec![
            step("manager", "B2", vec![person("anna.berg", None, away)], None),
            step(
                "deputies of manager",
                "C1",
                vec![person("boris.kern", Some("anna.berg"), Presence::Free)],
                None,
            ),
            step("head of wholesale", "B2", Vec::new(), Some("clara.voss has left")),
        ],
        ending: Ending::Callback { owner: Some("anna.berg".into()) },
        notes: vec!["balance is 25 h old".into()],
    }
}

pub fn routed(call: CallKey, ms: i64) -> Event {
    event(
        ms,
        What::Routed {
            call,
            client: Some(client()),
            rule: "key client".into(),
            clause: "B2".into(),
            policy: "3f2a".into(),
            explanation: Some(Arc::new(explanation())),
            grounds: None,
        },
    )
}

pub fn step(call: CallKey, ms: i64, step: u16, to: &str, clause: &str, why: &str) -> Event {
    let (to, clause, why) = (to.into(), clause.into(), why.into());
    event(ms, What::StepBegan { call, step, to, clause, why })
}

pub fn offered(call: CallKey, ms: i64, offer: u32, agent: &str) -> Event {
    event(
        ms,
        What::Offered {
            call,
            offer,
            agent: agent.into(),
            stands_in_for: (agent == "boris.kern").then(|| "anna.berg".into()),
            step: 1,
            phones: 2,
            why: (agent == "boris.kern").then(|| "fewest calls today: 3".into()),
        },
    )
}

pub fn ringing(call: CallKey, ms: i64, offer: u32) -> Event {
    event(ms, What::Ringing { call, offer })
}

pub fn offer_ended(call: CallKey, ms: i64, offer: u32, result: OfferResult) -> Event {
    let status = (result == OfferResult::Refused).then_some(603);
    event(ms, What::OfferEnded { call, offer, result, status })
}

pub fn answered(call: CallKey, ms: i64, agent: &str) -> Event {
    event(ms, What::Answered { call, agent: Some(agent.into()) })
}

pub fn dialog(call: CallKey, ms: i64, side: Party, cseq: u32) -> Event {
    event(ms, What::Dialog { call, side, state: serde_json::json!({"local_seq": cseq}).into() })
}

pub fn promised(call: CallKey, ms: i64) -> Event {
    event(
        ms,
        What::Promised {
            call,
            number: Some(number()),
            client: Some(client()),
            owner: Some("anna.berg".into()),
            why: "nobody answered".into(),
        },
    )
}

pub fn ended(call: CallKey, ms: i64, by: Party, outcome: Outcome) -> Event {
    let status = match outcome {
        Outcome::Answered | Outcome::StarCode => None,
        Outcome::Abandoned => Some(487),
        Outcome::CallbackPromised | Outcome::OutOfHours => Some(480),
        Outcome::Refused => Some(403),
        Outcome::Overload | Outcome::Failed | Outcome::CutByRestart => Some(503),
    };
    event(ms, What::CallEnded { call, by, outcome, status, reason: "".into() })
}

/// A whole answered call that begins at `ms`: twelve events.
pub fn whole_call(call: CallKey, ms: i64) -> Vec<Event> {
    vec![
        arrived(call, ms),
        routed(call, ms + 1),
        step(call, ms + 1, 1, "deputies of manager", "C1", "manager: anna.berg is absent"),
        offered(call, ms + 2, 1, "boris.kern"),
        ringing(call, ms + 120, 1),
        offer_ended(call, ms + 3_100, 1, OfferResult::Answered),
        answered(call, ms + 3_100, "boris.kern"),
        dialog(call, ms + 3_100, Party::Caller, 1),
        dialog(call, ms + 3_100, Party::Callee, 1),
        ended(call, ms + 90_000, Party::Caller, Outcome::Answered),
    ]
}

/// What holds after these.
pub fn holding(events: impl IntoIterator<Item = Event>) -> Holds {
    let mut holds = Holds::default();
    events.into_iter().for_each(|event| holds.apply(&event));
    holds
}

/// A disk with a number of bytes left; a write that does not fit is taken in part, then refused.
pub struct Disk {
    files: Files,
    pub left: Arc<AtomicU64>,
}

impl Disk {
    /// A writer on worker 0's first segment of run 1 in `dir`, and how much the disk takes.
    pub fn writer(dir: &Path, limits: WriterLimits, left: u64) -> (Writer, Arc<AtomicU64>) {
        std::fs::create_dir_all(dir).expect("a folder");
        let left = Arc::new(AtomicU64::new(left));
        let disk = Self { files: Files::new(dir.to_owned()), left: left.clone() };
        let segment = Segment { run: 1, source: worker(0), count: 0 };
        (Writer::begin(Box::new(disk), segment, limits, start(), &[]), left)
    }
}

impl Sink for Disk {
    fn begin(&mut self, segment: Segment) -> io::Result<()> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            _ => self.files.begin(segment),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let fits = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let taken = self.files.write(&bytes[..fits])?;
        self.left.fetch_sub(taken as u64, Ordering::Relaxed);
        Ok(taken)
    }
}
