//! What the rooms of a running server share: the snapshots in force, the ways to the workers, the
//! shell's own end of the journal, and the commands that wait for an answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::notify::Notifier;
use super::project::Projecting;
use super::proving::Proving;
use super::recording::Recordings;
use crate::config::ShellSettings;
use crate::domain::{
    CallKey, Directory, DirectoryRows, Flow, Number, NumberFormat, PersonId, Settings, ShardId,
};
use crate::net::Net;
use crate::policy::{IndexState, Policy};
use crate::recorder::Taken;
use crate::store::ClientIndex;
use crate::store::journal::{Health, Writer};
use crate::switch::{
    Addressee, Command, Event, Identified, Input, Mail, Promise, Refusal, Topic, What, home_of,
};
use crate::telemetry::{Metrics, RateLimit, write_held};
use crate::worker::{Clock, Inbox, Outside, Turn};

/// A worker that has not answered a command by then stands still.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A worker turns at least each second.
const TURN_MAX: Duration = Duration::from_secs(10);
/// Commands that may wait for answers at once.
const PENDING_MAX: usize = 1_000;

/// The snapshots in force.
pub(super) struct Current {
    pub(super) settings: ArcSwap<Settings>,
    pub(super) directory: ArcSwap<Directory>,
    pub(super) policy: ArcSwap<Policy>,
}

/// See the module.
pub struct Hub {
    pub(super) current: Arc<Current>,
    pub(super) shell: ArcSwap<ShellSettings>,
    pub(super) inboxes: Vec<Arc<Inbox>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) net: OnceLock<Net>,
    pub(super) hash_key: [u8; 16],
    pub(super) index: Arc<ClientIndex>,
    pub(super) notifier: Notifier,
    pub(super) projecting: OnceLock<Projecting>,
    pub(super) recordings: OnceLock<Recordings>,
    pub(super) draining: OnceLock<()>,
    pub(super) proving: Proving,
    pub(super) started_at: Timestamp,
    rows: Mutex<DirectoryRows>,
    journal: Mutex<Writer>,
    pending: Mutex<Pending>,
    pulse: Mutex<BTreeMap<ShardId, (Instant, Health)>>,
    rare: RateLimit,
}

#[derive(Default)]
struct Pending {
    last: u64,
    open: BTreeMap<u64, mpsc::Sender<(ShardId, Answer)>>,
}

type Answer = Result<Value, Refusal>;

/// What a hub begins with.
pub(super) struct Parts {
    pub(super) current: Arc<Current>,
    pub(super) shell: Arc<ShellSettings>,
    pub(super) inboxes: Vec<Arc<Inbox>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hash_key: [u8; 16],
    pub(super) index: Arc<ClientIndex>,
    pub(super) journal: Writer,
    pub(super) rows: Option<DirectoryRows>,
}

impl Hub {
    pub(super) fn new(parts: Parts, notifier: Notifier) -> Self {
        Self {
            current: parts.current,
            shell: ArcSwap::new(parts.shell),
            inboxes: parts.inboxes,
            started_at: parts.clock.wall(),
            clock: parts.clock,
            metrics: parts.metrics,
            net: OnceLock::new(),
            hash_key: parts.hash_key,
            index: parts.index,
            notifier,
            projecting: OnceLock::new(),
            recordings: OnceLock::new(),
            rows: Mutex::new(parts.rows.unwrap_or_default()),
            draining: OnceLock::new(),
            proving: Proving::default(),
            journal: Mutex::new(parts.journal),
            pending: Mutex::default(),
            pulse: Mutex::default(),
            rare: RateLimit::new(Duration::from_secs(60)),
        }
    }

    /// To every worker.
    pub(super) fn tell_all(&self, input: &Input) {
        self.inboxes.iter().for_each(|inbox| inbox.push(input.clone()));
    }

    /// Writes an event of the shell's.
    pub(super) fn record(&self, what: What) {
        let event = Event { at: self.clock.wall(), what };
        lock(&self.journal).append(std::slice::from_ref(&event));
        if let Some(projecting) = self.projecting.get() {
            projecting.poke();
        }
    }

    /// People as the database has them.
    pub(super) fn rows(&self) -> DirectoryRows {
        lock(&self.rows).clone()
    }

    /// People as the database has them now.
    pub(super) fn set_rows(&self, rows: DirectoryRows) {
        *lock(&self.rows) = rows;
    }

    /// About once a second: what the disk did not take before.
    pub(super) fn flush(&self) {
        lock(&self.journal).flush(self.clock.wall());
    }

    /// How the shell's end of the journal is.
    pub(super) fn journal_health(&self) -> Health {
        lock(&self.journal).health()
    }

    /// Workers that have not turned for long, or never yet.
    pub(super) fn silent_workers(&self) -> Vec<u8> {
        self.silent_since(Instant::now().checked_sub(TURN_MAX))
    }

    /// Workers that have not turned since then, or never yet.
    pub(super) fn silent_since(&self, since: Option<Instant>) -> Vec<u8> {
        let pulse = lock(&self.pulse);
        let turned = |last: Instant| since.is_none_or(|since| last > since);
        let turns = |shard: &ShardId| pulse.get(shard).is_some_and(|(last, _)| turned(*last));
        self.shards().filter(|s| !turns(s)).map(|s| s.0).collect()
    }

    /// How the workers' ends of the journal are.
    pub(super) fn worker_health(&self) -> Vec<Health> {
        lock(&self.pulse).values().map(|(_, health)| health.clone()).collect()
    }

    /// What does not work and stops no call: a restart would not mend it.
    pub(super) fn ailments(&self) -> Vec<String> {
        let clients = self.index.status(self.clock.wall()).problem;
        let clients = clients.map(|why| format!("clients and people are not read: {why}"));
        clients.into_iter().chain(self.register_behind()).collect()
    }

    /// Why the register lacks calls that there were.
    pub(super) fn register_behind(&self) -> Vec<String> {
        let register = self.projecting.get().and_then(Projecting::problem);
        let register = register.map(|why| format!("the register is behind the journal: {why}"));
        let journals = self.worker_health().into_iter().chain([self.journal_health()]);
        let journals = journals.filter_map(|journal| {
            let (why, lines) = (journal.failing?, journal.backlog_lines);
            Some(format!("journal {} is not written: {why}; {lines} lines wait", journal.segment))
        });
        register.into_iter().chain(journals).collect()
    }

    /// Gives a command to the workers that it is for and waits for all answers, by shard.
    pub(super) async fn ask(
        &self,
        command: Command,
        by: &str,
    ) -> Result<Vec<(ShardId, Value)>, Refusal> {
        let shards = self.addressees(&command)?;
        let found = self.ask_any(command, by).await?;
        if found.len() < shards.len() {
            return Err(refusal("a worker does not answer: see the log"));
        }
        Ok(found)
    }

    /// The same, with what those say who answer in time.
    pub(super) async fn ask_any(
        &self,
        command: Command,
        by: &str,
    ) -> Result<Vec<(ShardId, Value)>, Refusal> {
        let shards = self.addressees(&command)?;
        let command = self.with_client(command);
        let (answers, mut taken) = mpsc::channel(shards.len().max(1));
        let id = {
            let mut pending = lock(&self.pending);
            if pending.open.len() >= PENDING_MAX {
                return Err(refusal("too many commands wait already: try again"));
            }
            pending.last += 1;
            let id = pending.last;
            pending.open.insert(id, answers);
            id
        };
        for shard in &shards {
            let (command, by) = (command.clone(), by.into());
            self.inboxes[shard.index()].push(Input::Command { id, command, by });
        }
        let mut found = Vec::new();
        let all = async {
            while found.len() < shards.len() {
                let Some((shard, answer)) = taken.recv().await else { break };
                found.push((shard, answer?));
            }
            Ok(())
        };
        let outcome = tokio::time::timeout(ANSWER_MAX, all).await;
        lock(&self.pending).open.remove(&id);
        // Too late is no error: some may have answered.
        outcome.unwrap_or(Ok(()))?;
        found.sort_by_key(|(shard, _)| *shard);
        Ok(found)
    }

    fn addressees(&self, command: &Command) -> Result<Vec<ShardId>, Refusal> {
        Ok(match command.addressee() {
            Addressee::Any => vec![ShardId(0)],
            Addressee::All => self.shards().collect(),
            Addressee::Home(person) => vec![self.home(&person).ok_or_else(|| {
                refusal(format!("nobody is called {person}: see `telefonist agents`"))
            })?],
            Addressee::Shard(shard) if shard.index() < self.inboxes.len() => vec![shard],
            Addressee::Shard(_) => return Err(refusal("no such call is up")),
        })
    }

    pub(super) fn home(&self, person: &PersonId) -> Option<ShardId> {
        let directory = self.current.directory.load();
        let agent = directory.agent(person)?;
        Some(home_of(&directory, agent, self.inboxes.len() as u16, &self.hash_key))
    }

    /// `explain` asks the index as a call would.
    fn with_client(&self, command: Command) -> Command {
        let Command::Explain { from, to, at, trunk, found: None } = command else { return command };
        let settings = self.current.settings.load();
        let named = |id| settings.trunks.iter().find(|t| Some(&t.id) == id);
        let used = named(trunk.as_ref()).or_else(|| settings.trunks.first());
        let format: &NumberFormat = used.map_or(&settings.numbers, |t| &t.numbers);
        let number = Number::parse(&from, format);
        let found = Some(Box::new(self.index.identify(number.as_ref(), self.clock.wall())));
        Command::Explain { from, to, at, trunk, found }
    }

    /// Seconds since the client database was read, while the index does not follow it; else 0.
    fn index_age_s(&self) -> i64 {
        let now = self.clock.wall();
        let index = self.index.status(now);
        match index.state {
            IndexState::Fresh => 0,
            _ => index.last_read.map_or(-1, |at| now.duration_since(at).as_secs()),
        }
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> {
        (0..self.inboxes.len()).map(|n| ShardId(n as u8))
    }
}

/// A refusal in words.
pub(super) fn refusal(error: impl Into<Arc<str>>) -> Refusal {
    Refusal { error: error.into() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outside for Hub {
    fn send(&self, from: ShardId, flow: Flow, bytes: bytes::Bytes) {
        if let Some(net) = self.net.get() {
            net.send(from, flow, bytes);
        }
    }

    fn identify(&self, _: CallKey, number: Option<&Number>) -> Identified {
        self.index.identify(number, self.clock.wall())
    }

    fn mail(&self, to: ShardId, mail: Mail) {
        if let Some(inbox) = self.inboxes.get(to.index()) {
            inbox.push(Input::Mail(mail));
        }
    }

    fn reply(&self, from: ShardId, id: u64, answer: Answer) {
        // Whoever asked may have gone.
        let waiting = lock(&self.pending).open.get(&id).cloned();
        if let Some(waiting) = waiting {
            let _ = waiting.try_send((from, answer));
        }
    }

    fn notify(&self, _: ShardId, promise: Promise) {
        if let Some(owner) = self.notifier.take(promise, &self.shell.load().callback_notify) {
            let (to, text) = owner;
            let shard = self.home(&to).unwrap_or(ShardId(0));
            self.inboxes[shard.index()].push(Input::Tell { to, topic: Topic::Promise, text });
        }
    }

    fn recorded(&self, _: ShardId, events: &[Event]) {
        self.metrics.count(events);
    }

    fn turned(&self, from: ShardId, turn: Turn) {
        write_held();
        self.metrics.turn(from.0, turn.took.as_secs_f64());
        if turn.stood_still()
            && let Some(held_back) = self.rare.pass("turn")
        {
            let Turn { took, journal, late } = turn;
            tracing::warn!(
                worker = from.0,
                ?took,
                ?journal,
                ?late,
                held_back,
                "a worker stood still"
            );
        }
    }

    fn journal(&self, from: ShardId, health: Health) {
        self.metrics.backlog(from.0, health.backlog_lines);
        if let Some(why) = &health.failing
            && let Some(held_back) = self.rare.pass("journal")
        {
            let lines = health.backlog_lines;
            tracing::warn!(
                worker = from.0,
                why,
                lines,
                held_back,
                "the disk does not take the journal; calls go on"
            );
        }
        lock(&self.pulse).insert(from, (Instant::now(), health));
        if from == ShardId(0) {
            self.metrics.index_age_seconds.set(self.index_age_s());
        }
    }

    fn panicked(&self, from: ShardId, fed: Option<Taken>) {
        self.metrics.panics.inc();
        tracing::error!(worker = from.0, "a worker panicked and is built anew from the journal");
        if let (Some(fed), Some(recordings)) = (fed, self.recordings.get()) {
            recordings.panicked(from, fed);
        }
        write_held();
    }
}
