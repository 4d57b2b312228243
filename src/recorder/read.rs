//! A recording's file → what a replay needs; or the line that is wrong, and why.

use std::sync::Arc;

use bytes::Bytes;

use super::line::{BeginLine, Fed, Head, Line, VERSION};
use crate::acd::{Counts, SHARDS_MAX};
use crate::domain::{AgentId, Directory, Flow, Moment, PersonId, Settings, WallOffset};
use crate::policy::{Names, Policy, Sources, calendars};
use crate::sip::Message;
use crate::store::journal::State;
use crate::switch::{Event, Identified, Input, Stood, Topic};

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// From 1.
    pub line: usize,
    /// In words.
    pub why: String,
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Damaged {}

/// A worker at its first entry.
pub struct Began {
    /// As the file says it.
    pub line: BeginLine,
    /// What the journal would restore.
    pub state: State,
}

/// What a worker was given, sent, or wrote.
pub enum Happened {
    /// An input.
    Fed(Input),
    /// A message of its own.
    Sent((Flow, Message)),
    /// A line of its journal.
    Said(Event),
    /// How people stood.
    Mark(Vec<Stood>),
}

/// One entry.
pub struct Entry {
    /// The file's, from 1.
    pub line: usize,
    /// Which worker.
    pub w: u8,
    /// When.
    pub at: Moment,
    /// What.
    pub what: Happened,
}

/// A file, read.
pub struct Recorded {
    /// The first line.
    pub head: Head,
    /// By number.
    pub settings: Vec<Arc<Settings>>,
    /// By number.
    pub policies: Vec<Arc<Policy>>,
    /// By number.
    pub directories: Vec<Arc<Directory>>,
    /// By worker.
    pub begins: Vec<Began>,
    /// In order.
    pub entries: Vec<Entry>,
    /// Lines that could not be written.
    pub unwritten: usize,
}

impl Recorded {
    /// From a file's text. Errors: the first line that is not as [`super::write`] writes it.
    pub fn read(text: &str) -> Result<Self, Damaged> {
        let mut lines = (1..).zip(text.lines());
        let (line, first) = lines.next().unwrap_or((1, ""));
        let head = match parsed(line, first)? {
            Line::Recording(head) => checked(head).map_err(|why| Damaged { line, why })?,
            _ => return Err(Damaged { line, why: "a recording begins with its head".into() }),
        };
        let mut recorded = Self {
            head,
            settings: Vec::new(),
            policies: Vec::new(),
            directories: Vec::new(),
            begins: Vec::new(),
            entries: Vec::new(),
            unwritten: 0,
        };
        let mut last = line;
        let mut ended = false;
        for (line, text) in lines {
            if ended {
                return Err(Damaged { line, why: "something stands behind the end".into() });
            }
            let read = parsed(line, text)?;
            ended = matches!(read, Line::End { .. });
            recorded.take(line, read).map_err(|why| Damaged { line, why })?;
            last = line;
        }
        match ended {
            true => Ok(recorded),
            false => Err(Damaged { line: last + 1, why: "the end is missing".into() }),
        }
    }

    fn take(&mut self, line: usize, read: Line) -> Result<(), String> {
        match read {
            Line::Recording(_) => return Err("a second head".into()),
            Line::Settings { n, value } => push(&mut self.settings, n, Arc::from(value))?,
            Line::Policy { n, policy, calendars } => {
                let policy = self.policy(&policy, &calendars)?;
                push(&mut self.policies, n, Arc::new(policy))?;
            }
            Line::Directory { n, mut record, credentials, policy } => {
                for (agent, credentials) in credentials {
                    let person = record.people.iter_mut().find(|(known, _)| *known == agent);
                    let (_, person) = person.ok_or("a password of nobody")?;
                    person.credentials = Some(credentials);
                }
                let text = by_number(&self.policies, policy, "policy")?.calendars_text().clone();
                let times = calendars("calendars.toml", &text).unwrap_or_default();
                let directory = Directory::replay(&record, times).map_err(|p| p.join("; "))?;
                push(&mut self.directories, n, Arc::new(directory))?;
            }
            Line::Begin(begin) => {
                self.worker(begin.w)?;
                by_number(&self.settings, begin.settings, "settings")?;
                by_number(&self.policies, begin.policy, "policy")?;
                by_number(&self.directories, begin.directory, "directory")?;
                if self.begins.iter().any(|known| known.line.w == begin.w) {
                    return Err(format!("worker {} begins twice", begin.w));
                }
                self.begins.push(Began { line: *begin, state: State::default() });
            }
            Line::Held { w, event } => self.begun(w)?.state.apply(&event),
            Line::Fed { w, at, input } => {
                let input = self.input(Moment::from_micros(at), *input)?;
                self.entry(line, w, at, Happened::Fed(input))?;
            }
            Line::Sent { w, at, flow, text } => {
                let message = Message::parse(Bytes::from(text));
                let message = message.map_err(|e| format!("no SIP message: {e}"))?;
                self.entry(line, w, at, Happened::Sent((flow, message)))?;
            }
            Line::Said { w, at, event } => {
                self.entry(line, w, at, Happened::Said(*event))?;
            }
            Line::Mark { w, at, stood } => {
                let stood = stood.into_iter().map(stands).collect();
                self.entry(line, w, at, Happened::Mark(stood))?;
            }
            Line::End { lines, .. } if lines + 1 != line => {
                return Err(format!("{lines} lines were written before the end"));
            }
            Line::End { unwritten, .. } => self.unwritten = unwritten,
        }
        Ok(())
    }

    fn worker(&self, w: u8) -> Result<(), String> {
        let shards = self.head.shards;
        if u16::from(w) < shards { Ok(()) } else { Err(format!("worker {w} of {shards}")) }
    }

    fn begun(&mut self, w: u8) -> Result<&mut Began, String> {
        let begun = self.begins.iter_mut().find(|begin| begin.line.w == w);
        begun.ok_or_else(|| format!("worker {w} has not begun"))
    }

    fn entry(&mut self, line: usize, w: u8, at: u64, what: Happened) -> Result<(), String> {
        let at = Moment::from_micros(at);
        let begin = self.begun(w)?.line.at;
        let last = self.entries.last().map_or(Moment::from_micros(begin), |last| last.at);
        if at < last {
            return Err("it is earlier than the line before".into());
        }
        self.entries.push(Entry { line, w, at, what });
        Ok(())
    }

    fn policy(&self, policy: &str, calendars: &str) -> Result<Policy, String> {
        let settings = self.settings.first().ok_or("a policy before the settings")?;
        let mut names = Names::of(settings);
        for other in &self.settings[1..] {
            names.trunks.extend(Names::of(other).trunks);
        }
        let sources = Sources { policy: ("policy", policy), calendars: ("calendars", calendars) };
        let read = Policy::read(&sources, &names);
        read.map_err(|p| p.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("; "))
    }

    fn input(&self, at: Moment, fed: Fed) -> Result<Input, String> {
        Ok(match fed {
            Fed::Wake => Input::Wake,
            Fed::Packet { flow, received, text } => {
                let message = Message::parse(Bytes::from(text));
                let message = message.map_err(|e| format!("no SIP message: {e}"))?;
                Input::Packet { flow, message, received: Moment::from_micros(received) }
            }
            Fed::FlowClosed(flow) => Input::FlowClosed { flow },
            Fed::SendFailed(flow) => Input::SendFailed { flow },
            Fed::Identified { call, client, others, index } => {
                let (client, others) = (client.map(Arc::from), others.into_iter().map(Arc::new));
                let found = Identified { client, others: others.collect(), index };
                Input::Identified { call, found }
            }
            Fed::Mail(mail) => Input::Mail(mail),
            Fed::Command(command) => Input::Command { id: 0, command, by: "recorded".into() },
            Fed::Tell(to) => Input::Tell { to, topic: Topic::Order, text: "recorded".into() },
            Fed::TellPromise(to) => {
                Input::Tell { to, topic: Topic::Promise, text: "recorded".into() }
            }
            Fed::Directory(n) => Input::Directory(by_number(&self.directories, n, "directory")?),
            Fed::Worked(people) => {
                let counts = |(person, calls, talk): (PersonId, u64, u64)| {
                    (person, Counts { calls, talk: std::time::Duration::from_micros(talk) })
                };
                Input::Worked(people.into_iter().map(counts).collect())
            }
            Fed::Policy(n) => Input::Policy(by_number(&self.policies, n, "policy")?),
            Fed::Settings(n) => Input::Settings(by_number(&self.settings, n, "settings")?),
            Fed::Wall(wall) => Input::Wall(WallOffset::new(at, wall)),
            Fed::Drain(until) => Input::Drain { until: Moment::from_micros(until) },
        })
    }
}

/// One row of a mark.
pub(super) fn stands((agent, since, calls, talk): (AgentId, u64, u64, u64)) -> Stood {
    let talk = std::time::Duration::from_micros(talk);
    Stood { agent, since: Moment::from_micros(since), counts: Counts { calls, talk } }
}

fn parsed(line: usize, text: &str) -> Result<Line, Damaged> {
    serde_json::from_str(text).map_err(|e| Damaged { line, why: e.to_string() })
}

fn checked(head: Head) -> Result<Head, String> {
    if head.version != VERSION {
        return Err(format!("version {}; this program reads {VERSION}", head.version));
    }
    match (1..=SHARDS_MAX).contains(&head.shards) {
        true => Ok(head),
        false => Err(format!("{} workers", head.shards)),
    }
}

fn push<T>(table: &mut Vec<T>, n: usize, one: T) -> Result<(), String> {
    if n != table.len() {
        return Err(format!("number {n} where {} comes next", table.len()));
    }
    table.push(one);
    Ok(())
}

fn by_number<T>(table: &[Arc<T>], n: usize, what: &str) -> Result<Arc<T>, String> {
    table.get(n).cloned().ok_or_else(|| format!("{what} {n} is not there"))
}
