//! Recordings of all workers → one text without people's data.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::keep::Taken;
use super::line::{BeginLine, Fed, Head, Line, VERSION};
use super::pseudonym::{Pseudonyms, Secrets};
use super::scrub;
use crate::domain::{
    AgentId, Directory, Moment, PersonId, Settings, ShardId, TrunkIdentity, WallOffset,
};
use crate::policy::Policy;
use crate::store::journal::State;
use crate::switch::{Input, Kept, Stamp, Stood, Topic, What};

/// What the recordings themselves do not know.
#[derive(Clone)]
pub struct Source {
    /// The server's secrets, which stay out of the file.
    pub secrets: Secrets,
    /// Now.
    pub at: Timestamp,
    /// Whose recording ended in a panic.
    pub panicked: Option<ShardId>,
}

/// Randomness for one file: the key of its pseudonyms, and the secrets that it shows.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// Known to nobody after the file is written.
    pub key: [u8; 32],
    /// For [`Secrets::hash`].
    pub hash: [u8; 16],
    /// For [`Secrets::nonce`].
    pub nonce: [u8; 32],
}

/// The text of the file. Errors: in words; a policy that cannot be written, nothing recorded.
pub fn write(mut taken: Vec<Taken>, source: &Source, fresh: Fresh) -> Result<String, String> {
    taken.retain(|one| one.first().is_some());
    taken.sort_by_key(|one| one.begin.shard);
    cut(&mut taken, source.panicked);
    let begin = begin(&taken).ok_or("nothing is recorded yet, or `recorder.bytes_max` is 0")?;
    taken.iter_mut().for_each(|one| one.begin_at(begin));
    let shown = Secrets { shards: source.secrets.shards, hash: fresh.hash, nonce: fresh.nonce };
    let names = Pseudonyms::new(fresh.key, source.secrets.clone(), shown);
    let mut writer = Writer::new(names);
    writer.know(&taken);
    writer.head(source);
    writer.tables()?;
    taken.iter().for_each(|one| writer.begin(one));
    writer.entries(taken);
    Ok(writer.end())
}

/// Where all can begin: of the marks in the older half the one with the fewest calls that a replay cannot
/// take up, the oldest of those.
fn begin(taken: &[Taken]) -> Option<Moment> {
    let first = taken.iter().filter_map(Taken::first).max()?;
    let last = taken.iter().filter_map(|one| Some(one.entries.back()?.0.at)).max()?;
    let middle = first + last.since(first) / 2;
    let marks: Vec<Vec<(Moment, usize)>> = taken.iter().map(Taken::marks).collect();
    let open = |at: Moment| -> usize {
        let of =
            |marks: &Vec<(Moment, usize)>| marks.iter().rfind(|(when, _)| *when <= at)?.1.into();
        marks.iter().filter_map(of).sum()
    };
    let times = marks.iter().flatten().map(|(at, _)| *at);
    let times = times.filter(|at| (first..=middle).contains(at)).chain([first]);
    times.min_by_key(|at| (open(*at), *at))
}

/// What others did after the panic is another story.
fn cut(taken: &mut [Taken], panicked: Option<ShardId>) {
    let broken = taken.iter().find(|one| Some(one.begin.shard) == panicked);
    let Some(end) = broken.and_then(|one| one.entries.back()).map(|(stamp, _)| *stamp) else {
        return;
    };
    for one in taken {
        one.entries.retain(|(stamp, _)| *stamp <= end);
    }
}

/// Snapshots by number.
#[derive(Default)]
struct Tables {
    settings: Vec<Arc<Settings>>,
    policies: Vec<Arc<Policy>>,
    /// With the policy whose calendars they were built with.
    directories: Vec<(Arc<Directory>, usize)>,
}

fn place<T>(table: &mut Vec<Arc<T>>, one: &Arc<T>) -> usize {
    let known = table.iter().position(|known| Arc::ptr_eq(known, one));
    known.unwrap_or_else(|| {
        table.push(one.clone());
        table.len() - 1
    })
}

struct Writer {
    names: Pseudonyms,
    out: String,
    lines: usize,
    unwritten: usize,
    tables: Tables,
}

impl Writer {
    fn new(names: Pseudonyms) -> Self {
        Self { names, out: String::new(), lines: 0, unwritten: 0, tables: Tables::default() }
    }

    fn end(mut self) -> String {
        let (lines, unwritten) = (self.lines, self.unwritten);
        self.line(&Line::End { lines, unwritten });
        self.out
    }

    /// Plain data has a text; what has none is counted, and the end says so.
    fn line(&mut self, line: &impl Serialize) {
        match serde_json::to_string(line) {
            Ok(text) => {
                self.lines += 1;
                self.out.push_str(&text);
                self.out.push('\n');
            }
            Err(why) => {
                self.unwritten += 1;
                tracing::warn!(%why, "a line of the recording has no text and is left out");
            }
        }
    }

    /// Numbers every snapshot, and looks into all of them for names.
    fn know(&mut self, taken: &[Taken]) {
        for one in taken {
            let begin = &one.begin;
            place(&mut self.tables.settings, &begin.settings);
            let mut policy = place(&mut self.tables.policies, &begin.policy);
            self.tables.directory(&begin.directory, policy);
            for (_, kept) in &one.entries {
                let Kept::Input(input) = kept else { continue };
                match &**input {
                    Input::Settings(settings) => {
                        place(&mut self.tables.settings, settings);
                    }
                    Input::Policy(next) => policy = place(&mut self.tables.policies, next),
                    Input::Directory(directory) => self.tables.directory(directory, policy),
                    Input::Identified { found, .. } => {
                        let clients = found.client.iter().chain(&found.others);
                        clients.for_each(|client| self.names.know_client(&client.name));
                    }
                    _ => {}
                }
            }
            for call in one.begin.state.calls.values() {
                if let Some(What::Routed { client: Some(client), .. }) =
                    call.routed.as_ref().map(|event| &event.what)
                {
                    self.names.know_client(&client.name);
                }
            }
        }
        for settings in &self.tables.settings {
            self.names.know_settings(settings);
            for trunk in &settings.trunks {
                if let TrunkIdentity::Digest(credentials) = &trunk.identity {
                    self.names.know_credentials(credentials);
                }
            }
        }
        self.tables.policies.iter().for_each(|policy| self.names.know_policy(policy));
        self.tables.directories.iter().for_each(|(people, _)| self.names.know_people(people));
    }

    fn head(&mut self, source: &Source) {
        let shown = self.names.shown().clone();
        self.line(&Line::Recording(Head {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            at: source.at,
            shards: shown.shards,
            hash_key: shown.hash,
            nonce_key: shown.nonce,
            panicked: source.panicked.map(|shard| shard.0),
        }));
    }

    fn tables(&mut self) -> Result<(), String> {
        for (n, settings) in self.tables.settings.clone().iter().enumerate() {
            let value = Box::new(scrub::settings(&mut self.names, settings));
            self.line(&Line::Settings { n, value });
        }
        for (n, policy) in self.tables.policies.clone().iter().enumerate() {
            let broken = |e| format!("the policy cannot be written: {e}");
            let text = scrub::policy(&mut self.names, policy.text()).map_err(broken)?;
            let calendars =
                scrub::policy(&mut self.names, policy.calendars_text()).map_err(broken)?;
            self.line(&Line::Policy { n, policy: text, calendars });
        }
        for (n, (directory, policy)) in self.tables.directories.clone().iter().enumerate() {
            let record = Box::new(scrub::directory(&mut self.names, directory)?);
            let people = directory.agents().filter_map(|(agent, person)| {
                Some((agent, self.names.credentials(person.credentials.as_ref()?)))
            });
            let credentials = people.collect();
            self.line(&Line::Directory { n, record, credentials, policy: *policy });
        }
        Ok(())
    }

    fn begin(&mut self, taken: &Taken) {
        let begin = &taken.begin;
        let Some((Stamp { at, .. }, first)) = taken.entries.front() else { return };
        let stood = if let Kept::Mark(stood) = first { &**stood } else { &[] };
        let w = begin.shard.0;
        self.line(&Line::Begin(Box::new(BeginLine {
            w,
            at: at.micros(),
            started: begin.started,
            settings: place(&mut self.tables.settings.clone(), &begin.settings),
            policy: place(&mut self.tables.policies.clone(), &begin.policy),
            directory: self.tables.place(&begin.directory),
            wall: begin.wall.wall(*at),
            drain_until: begin.drain_until.map(Moment::micros),
            stood: rows(stood),
        })));
        for event in held(&begin.state).checkpoint() {
            if let Some(event) = scrub::event(&mut self.names, &event) {
                self.line(&Line::Held { w, event: Box::new(event) });
            }
        }
    }

    /// In the order of time; each worker's own order stays.
    fn entries(&mut self, taken: Vec<Taken>) {
        let mut all: Vec<(Stamp, u8, Kept)> = Vec::new();
        for one in taken {
            let w = one.begin.shard.0;
            all.extend(one.entries.into_iter().map(|(stamp, kept)| (stamp, w, kept)));
        }
        all.sort_by_key(|(stamp, ..)| *stamp);
        for (stamp, w, kept) in all {
            if let Some(line) = self.entry(stamp.at, w, kept) {
                self.line(&line);
            }
        }
    }

    fn entry(&mut self, moment: Moment, w: u8, kept: Kept) -> Option<Line> {
        let (names, at) = (&mut self.names, moment.micros());
        let input = match kept {
            Kept::Mark(stood) => return Some(Line::Mark { w, at, stood: rows(&stood) }),
            Kept::Wake => Fed::Wake,
            Kept::Packet { flow, raw, received } => {
                let text = scrub::bytes(names, &raw, scrub::peer(&flow));
                Fed::Packet { flow, received: received.micros(), text }
            }
            Kept::Sent { flow, bytes } => {
                let text = scrub::bytes(names, &bytes, scrub::peer(&flow));
                return Some(Line::Sent { w, at, flow, text });
            }
            Kept::Event(event) => {
                let event = Box::new(scrub::event(names, &event)?);
                return Some(Line::Said { w, at, event });
            }
            Kept::Input(input) => self.input(moment, (*input).clone())?,
        };
        Some(Line::Fed { w, at, input: Box::new(input) })
    }

    fn input(&mut self, at: Moment, input: Input) -> Option<Fed> {
        let names = &mut self.names;
        Some(match input {
            Input::Wake => Fed::Wake,
            // Kept as its bytes.
            Input::Packet { .. } => return None,
            Input::FlowClosed { flow } => Fed::FlowClosed(flow),
            Input::SendFailed { flow } => Fed::SendFailed(flow),
            Input::Identified { call, found } => Fed::Identified {
                call,
                client: found.client.map(|client| Box::new(scrub::client(names, &client))),
                others: found.others.iter().map(|other| scrub::client(names, other)).collect(),
                index: found.index,
            },
            Input::Mail(mail) => Fed::Mail(scrub::mail(names, mail)),
            Input::Command { command, .. } => Fed::Command(scrub::command(names, &command)),
            Input::Tell { to, topic: Topic::Order, .. } => Fed::Tell(names.person(&to)),
            Input::Tell { to, topic: Topic::Promise, .. } => Fed::TellPromise(names.person(&to)),
            Input::Directory(directory) => Fed::Directory(self.tables.place(&directory)),
            Input::Worked(people) => {
                let mut row = |(person, counts): &(PersonId, crate::acd::Counts)| {
                    (names.person(person), counts.calls, micros(counts.talk))
                };
                Fed::Worked(people.iter().map(&mut row).collect())
            }
            Input::Policy(policy) => Fed::Policy(place(&mut self.tables.policies, &policy)),
            Input::Settings(settings) => Fed::Settings(place(&mut self.tables.settings, &settings)),
            Input::Wall(offset) => Fed::Wall(wall(offset, at)),
            Input::Drain { until } => Fed::Drain(until.micros()),
        })
    }
}

impl Tables {
    fn directory(&mut self, directory: &Arc<Directory>, policy: usize) {
        if !self.directories.iter().any(|(known, _)| Arc::ptr_eq(known, directory)) {
            self.directories.push((directory.clone(), policy));
        }
    }

    fn place(&self, directory: &Arc<Directory>) -> usize {
        let known = self.directories.iter().position(|(known, _)| Arc::ptr_eq(known, directory));
        known.unwrap_or_default()
    }
}

fn wall(offset: WallOffset, at: Moment) -> Timestamp {
    offset.wall(at)
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn rows(stood: &[Stood]) -> Vec<(AgentId, u64, u64, u64)> {
    let row = |s: &Stood| (s.agent, s.since.micros(), s.counts.calls, micros(s.counts.talk));
    stood.iter().map(row).collect()
}

/// Orders are part of the directory.
fn held(state: &State) -> State {
    State { ordered: None, ..state.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::ser::{Error, Serializer};

    struct Wordless;

    impl Serialize for Wordless {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no words"))
        }
    }

    #[test]
    fn a_line_without_a_text_is_counted_and_leaves_no_empty_one() {
        let secrets = Secrets { shards: 1, hash: [1; 16], nonce: [1; 32] };
        let names = Pseudonyms::new([1; 32], secrets.clone(), secrets);
        let mut writer = Writer::new(names);
        writer.line(&Line::Fed { w: 0, at: 1, input: Box::new(Fed::Wake) });
        writer.line(&Wordless);
        let text = writer.end();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[1], "{\"end\":{\"lines\":1,\"unwritten\":1}}");
    }
}
