//! The recorder in the simulator: runs are recorded as workers are in production, written without people's
//! data, read back and replayed; `SIM_REPLAY=FILE cargo test --test sim -- replay --nocapture` tells what
//! becomes of a file from anywhere.

use std::collections::BTreeMap;

use telefonist::recorder::{
    Begin, Entry, Fresh, Happened, Recorded, Recording, Replayed, Secrets, Source, Taken, Told,
    replay, write,
};
use telefonist::switch::{Kept, RingLimits, Stamp};

use super::office;
use super::options::{Fault, Options, all_but};
use super::world::*;

const ALL: RingLimits = RingLimits { bytes_max: 1 << 30, age_max: Duration::from_secs(24 * 3_600) };

/// What one run leaves.
#[derive(Default)]
pub struct Recordings {
    limits: Option<RingLimits>,
    /// An input that breaks the worker that handles it.
    pub breaks: Option<fn(&Input) -> bool>,
    workers: Vec<Option<Recording>>,
    order: u64,
    /// The first worker that panicked, and everybody's recording then.
    pub broken: Option<(ShardId, Vec<Taken>)>,
}

impl Recordings {
    fn stamp(&mut self, at: Moment) -> Stamp {
        self.order += 1;
        Stamp { at, order: self.order }
    }

    pub fn input(&mut self, shard: usize, now: Moment, input: &Input) {
        let now = self.stamp(now);
        if let Some(Some(worker)) = self.workers.get_mut(shard) {
            worker.input(now, input);
        }
    }

    pub fn output(&mut self, shard: usize, now: Moment, output: &Output) {
        let now = self.stamp(now);
        let Some(Some(worker)) = self.workers.get_mut(shard) else { return };
        match output {
            Output::Send { flow, bytes } => worker.sent(now, *flow, bytes.clone()),
            Output::Event(event) => worker.event(now, event.clone()),
            _ => {}
        }
    }

    /// A worker panicked while it handled its last input.
    pub fn panicked(&mut self, shard: usize) {
        let all = || self.workers.iter().flatten().map(Recording::taken).collect();
        if self.broken.is_none() && self.limits.is_some() {
            self.broken = Some((ShardId(shard as u8), all()));
        }
    }

    fn taken(&self) -> Vec<Taken> {
        self.workers.iter().flatten().map(Recording::taken).collect()
    }
}

impl Sim {
    /// From here on a worker's switch is another: at the begin, after a kill, after a panic.
    pub fn record(&mut self, shard: usize) {
        let Some(limits) = self.recordings.limits else { return };
        let setup = self.setup(shard as u16);
        let begin = Begin {
            shard: setup.shard,
            started: setup.started,
            settings: setup.settings,
            directory: setup.directory,
            policy: setup.policy,
            wall: setup.wall,
            drain_until: None,
            state: self.states[shard].clone(),
        };
        let recording = Recording::new(begin, self.shared.board.clone(), limits);
        self.recordings.workers.resize_with(usize::from(self.shards), || None);
        self.recordings.workers[shard] = recording;
    }

    fn recorded(options: &Options, limits: RingLimits) -> Self {
        let recordings = Recordings { limits: Some(limits), ..Recordings::default() };
        Self::recording(options, recordings)
    }

    fn secrets(&self) -> Secrets {
        Secrets { shards: self.shards, hash: KEY, nonce: [2; 32] }
    }

    fn file(&self, taken: Vec<Taken>, panicked: Option<ShardId>) -> String {
        let at = self.wall.wall(self.now);
        let source = Source { secrets: self.secrets(), at, panicked };
        let fresh = Fresh { key: [77; 32], hash: [78; 16], nonce: [79; 32] };
        write(taken, &source, fresh).expect("something was recorded")
    }
}

fn again(text: &str) -> Replayed {
    let recorded = Recorded::read(text).unwrap_or_else(|damaged| panic!("{damaged}"));
    let first = replay(&recorded, &mut |_| {}, &|_| {});
    assert_eq!(first, replay(&recorded, &mut |_| {}, &|_| {}), "twice the same");
    first
}

/// Nothing of the company's people and clients occurs as a word.
fn names_nobody(text: &str) {
    let words: BTreeSet<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for (id, ..) in office::PEOPLE {
        assert!(!words.contains(id), "{id}");
    }
    let clients = office::clients(Timestamp::UNIX_EPOCH);
    for number in clients.iter().flat_map(|client| client.numbers.iter()) {
        let digits = &number.as_str()[3..];
        assert!(!text.contains(digits), "{digits}");
    }
    assert!(!text.contains("secret"));
}

/// Who was offered calls in truth, in order, and how many calls came.
fn truth(taken: &[Taken]) -> (Vec<String>, usize) {
    let mut events: Vec<(Stamp, &What)> = Vec::new();
    for (stamp, kept) in taken.iter().flat_map(|one| &one.entries) {
        if let Kept::Event(event) = kept {
            events.push((*stamp, &event.what));
        }
    }
    events.sort_by_key(|(stamp, _)| *stamp);
    let calls = events.iter().filter(|(_, what)| matches!(what, What::CallArrived { .. })).count();
    let offered = |(_, what): &(Stamp, &What)| match what {
        What::Offered { agent, .. } => Some(agent.to_string()),
        _ => None,
    };
    (events.iter().filter_map(offered).collect(), calls)
}

/// Each name has one pseudonym, and each pseudonym one name.
fn is_one_to_one(names: &[String], pseudonyms: &[String]) {
    assert_eq!(names.len(), pseudonyms.len());
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    for (name, pseudonym) in names.iter().zip(pseudonyms) {
        assert_eq!(there.entry(name).or_insert(pseudonym), &pseudonym, "{name}");
        assert_eq!(back.entry(pseudonym).or_insert(name), &name, "{pseudonym}");
    }
    assert!(there.len() > 5, "several people were rung");
}

#[test]
fn a_recorded_run_is_decided_alike_without_anybodys_name() {
    for (seed, faults) in [
        (21, all_but(Fault::ALL)),
        (22, all_but(&[Fault::Kill, Fault::Panic, Fault::Timers, Fault::Stall, Fault::Orders])),
        (23, all_but(&[Fault::Kill, Fault::Panic, Fault::Timers, Fault::Orders])),
    ] {
        let mut sim = Sim::recorded(&Options::new(seed, 30, faults), ALL);
        sim.until_calm();
        let taken = sim.recordings.taken();
        let (names, calls) = truth(&taken);
        let text = sim.file(taken, None);
        names_nobody(&text);
        let done = again(&text);
        let differences = done.differences();
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        assert!(done.broken.is_none() && calls >= 30);
        let offered = done.now.iter().filter_map(|d| d.what.split_once(": to "));
        is_one_to_one(&names, &offered.map(|(_, who)| who.to_owned()).collect::<Vec<_>>());
        assert_eq!(done.sent.0, done.sent.1, "every message is sent as it was");
    }
}

/// As if the core broke there.
fn hangs_up(input: &Input) -> bool {
    matches!(input, Input::Packet { message, .. }
        if message.is_request() && *message.method() == Method::Bye)
}

#[test]
fn a_panic_is_replayed_from_the_recording_that_it_left() {
    let faults = all_but(&[Fault::Kill, Fault::Panic, Fault::Timers, Fault::Orders]);
    let mut found = 0;
    for seed in [31, 33] {
        let recordings =
            Recordings { limits: Some(ALL), breaks: Some(hangs_up), ..Recordings::default() };
        let mut sim = Sim::recording(&Options::new(seed, 30, faults.clone()), recordings);
        sim.until_calm();
        let Some((shard, taken)) = sim.recordings.broken.take() else { continue };
        found += 1;
        let text = sim.file(taken, Some(shard));
        let recorded = Recorded::read(&text).unwrap_or_else(|damaged| panic!("{damaged}"));
        let fed = |entry: &&Entry| matches!(entry.what, Happened::Fed(_)) && entry.w == shard.0;
        let last = recorded.entries.iter().rfind(fed).expect("it was fed something");
        let breaks = |input: &Input| assert!(!hangs_up(input), "planted");
        let done = replay(&recorded, &mut |_| {}, &breaks);
        let broken = done.broken.clone().expect("it breaks again");
        assert_eq!((broken.line, broken.w, broken.why.as_str()), (last.line, shard.0, "planted"));
        assert_eq!(done, replay(&recorded, &mut |_| {}, &breaks), "twice the same");
        // Up to there nothing went otherwise; what the broken turn wanted to say was lost then too.
        let differences = done.differences();
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
    }
    assert_eq!(found, 2, "both runs panic");
}

#[test]
fn a_ring_that_has_lost_its_begin_is_replayed_from_what_held_then() {
    let faults = [Fault::HangUp, Fault::Refuse, Fault::Dial];
    let limits = RingLimits { age_max: Duration::from_secs(400), ..ALL };
    let mut sim = Sim::recorded(&Options::new(41, 30, faults), limits);
    sim.until_calm();
    sim.pause_before(30);
    sim.until_calm();
    let taken = sim.recordings.taken();
    let first = taken.iter().filter_map(Taken::first).max().expect("recorded");
    assert!(first > Moment::from_millis(300_000), "people worked and registered before");
    let done = again(&sim.file(taken, None));
    let came: BTreeSet<_> = done.then.iter().map(|decision| &decision.call).collect();
    assert!(came.len() >= 25, "{}", came.len());
    let differences = done.differences();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A ring that holds the last minutes of a storm; calls ring and wait and people rest where it begins.
fn from_the_middle(seed: u64) -> Replayed {
    let faults = all_but(&[Fault::Kill, Fault::Panic, Fault::Timers, Fault::Orders]);
    let limits = RingLimits { age_max: Duration::from_secs(200), ..ALL };
    let mut sim = Sim::recorded(&Options::new(seed, 160, faults), limits);
    sim.until_calm();
    let text = sim.file(sim.recordings.taken(), None);
    names_nobody(&text);
    if let Ok(folder) = std::env::var("SIM_KEEP") {
        std::fs::write(format!("{folder}/{seed}.jsonl"), &text).expect("written");
    }
    again(&text)
}

#[test]
fn a_recording_from_the_middle_of_a_storm_is_decided_alike() {
    let more = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut left_out, mut alone) = (0, 0);
    for seed in [62, 1_000_004].into_iter().chain(1_100_000..1_100_000 + more) {
        let done = from_the_middle(seed);
        let differ = done.differences();
        let came = |id: &Arc<str>| {
            let mut first = done.then.iter().chain(&done.now).filter(|d| d.call == *id);
            first.next().map(|decision| decision.at)
        };
        let calls: BTreeSet<_> = done.then.iter().map(|d| d.call.clone()).collect();
        let until = done.led_until.unwrap_or(Moment::NEVER);
        let behind = calls.iter().filter(|id| came(id) >= Some(until)).count();
        println!(
            "seed {seed}: {} left out; of {} others {behind} came later, {} differ; {:?} messages sent, {} unsaid",
            done.left_out.len(),
            calls.len(),
            differ.len(),
            done.sent,
            done.unsaid
        );
        assert!(differ.is_empty(), "seed {seed}: {differ:#?}");
        assert!(done.sent.1 * 20 >= done.sent.0 * 19, "seed {seed}: {:?}", done.sent);
        assert!(done.unsaid * 50 <= done.sent.0, "seed {seed}: {} unsaid", done.unsaid);
        assert!(done.left_out.len() * 4 <= calls.len(), "seed {seed}: {:?}", done.left_out);
        (left_out, alone) = (left_out + done.left_out.len(), alone + behind);
    }
    assert!(left_out > 0 && alone > 20, "{left_out} calls were half-way, {alone} came later");
}

#[test]
fn after_kills_and_panics_a_recording_begins_anew() {
    let mut sim =
        Sim::recorded(&Options::new(51, 60, all_but(&[Fault::Timers, Fault::Orders])), ALL);
    sim.until_calm();
    let text = sim.file(sim.recordings.taken(), None);
    names_nobody(&text);
    let done = again(&text);
    assert!(done.broken.is_none(), "{:?}", done.broken);
}

#[test]
fn a_damaged_file_is_refused_by_line() {
    let mut sim = Sim::recorded(&Options::new(21, 3, []), ALL);
    sim.until_calm();
    let text = sim.file(sim.recordings.taken(), None);
    let lines: Vec<&str> = text.lines().collect();
    let refused = |n: usize, changed: &str, why: &str| {
        let mut lines = lines.clone();
        lines[n] = changed;
        let damaged = Recorded::read(&lines.join("\n")).err().expect("refused");
        assert_eq!(damaged.line, n + 1, "{damaged}");
        assert!(damaged.why.contains(why), "{damaged}, not {why}");
    };
    let find = |what: &str| {
        lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}"))
    };
    let packet = find("\"packet\"");
    for n in [0, 1, 2, 3, packet, lines.len() - 1] {
        if n + 1 < lines.len() {
            refused(n, "", "EOF");
        }
        refused(n, &lines[n][..lines[n].len() / 2], "EOF");
        refused(n, "{\"what\":1}", "unknown variant");
    }
    refused(0, lines[1], "begins with its head");
    refused(0, &lines[0].replace("\"version\":2", "\"version\":9"), "version 9");
    refused(1, lines[0], "a second head");
    refused(find("\"policy\""), "{\"policy\":{\"n\":0,\"policy\":\"x\",\"calendars\":\"\"}}", "");
    refused(packet, &lines[packet].replacen("SIP/2.0", "TIP/2.0", 1), "no SIP message");
    refused(packet, &lines[packet].replacen("\"w\":", "\"w\":9", 1), "has not begun");
    let at = lines[packet].find("\"at\":").expect("a time") + 5;
    let rest = lines[packet][at..].find(',').expect("more") + at;
    refused(packet, &format!("{}1{}", &lines[packet][..at], &lines[packet][rest..]), "earlier");
    let short = Recorded::read(&lines[..lines.len() - 1].join("\n")).err().expect("refused");
    assert_eq!((short.line, short.why.as_str()), (lines.len(), "the end is missing"));
    let mut without = lines.clone();
    without.remove(packet);
    let lacks = Recorded::read(&without.join("\n")).err().expect("refused");
    assert!(lacks.why.contains("lines were written"), "{lacks}");
    assert_eq!(Recorded::read("").err().map(|damaged| damaged.line), Some(1));
}

/// Why a file is not replayed, as the failed test prints it: one line, no panic.
struct Unread(String);

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn recording(path: &str) -> Result<(String, Recorded), Unread> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|why| Unread(format!("{path}: {why}")))?;
    match Recorded::read(&text) {
        Ok(recorded) => Ok((text, recorded)),
        Err(damaged) => Err(Unread(format!("{path}: {damaged}"))),
    }
}

#[test]
fn a_file_that_is_no_recording_is_told_with_its_line_in_one_line() {
    let told = |path: &str| recording(path).err().map(|why| format!("{why:?}"));
    let readme = told("README.md").expect("no recording");
    assert!(readme.starts_with("README.md: line 1: ") && !readme.contains('\n'), "{readme}");
    let nowhere = told("nowhere.rec").expect("no file");
    assert!(nowhere.starts_with("nowhere.rec: ") && !nowhere.contains('\n'), "{nowhere}");
}

/// What the environment names; nothing if it names nothing.
#[test]
fn replay_of_a_file() -> Result<(), Unread> {
    let Ok(path) = std::env::var("SIM_REPLAY") else { return Ok(()) };
    let (text, recorded) = recording(&path)?;
    let done = replay(&recorded, &mut |told| tell(&told), &|_| {});
    assert_eq!(done, replay(&recorded, &mut |_| {}, &|_| {}), "the same file leaves two traces");
    println!(
        "{} inputs fed; {} messages sent, {} of them as then; trace {:016x}",
        done.fed, done.sent.0, done.sent.1, done.trace
    );
    if recorded.unwritten > 0 {
        println!("{} lines could not be written: what follows may differ", recorded.unwritten);
    }
    println!(
        "{} calls were half-way at the begin, or could not be followed, and are left out: {:?}; {} messages of theirs; led until {:?}",
        done.left_out.len(),
        done.left_out,
        done.passed_over,
        done.led_until
    );
    for (call, then, now) in done.differences() {
        println!("{call}: then {then:#?}\nnow {now:#?}");
    }
    match &done.broken {
        Some(broken) => {
            let input = text.lines().nth(broken.line - 1).unwrap_or_default();
            println!("worker {} panics at line {}: {}\n{input}", broken.w, broken.line, broken.why);
        }
        None => println!("no panic; {} calls differ", done.differences().len()),
    }
    Ok(())
}

fn tell(told: &Told<'_>) {
    match told {
        Told::Fed(Entry { line, w, at, what: Happened::Fed(input) }) => match input {
            Input::Wake => {}
            Input::Packet { flow, message, .. } => {
                let first = String::from_utf8_lossy(message.raw());
                let first = first.lines().next().unwrap_or_default();
                println!("{line:6} {at:?} {w} ◄ {flow} {first} {}", message.call_id());
            }
            other => println!("{line:6} {at:?} {w} ◄ {}", short(other)),
        },
        Told::Fed(_) => {}
        Told::Decided(w, decision) => println!("       {w} {} {}", decision.call, decision.what),
        Told::Sent(w, flow, message) => {
            let cseq = message.header(Header::CSeq).unwrap_or_default();
            let (status, id) = (message.status(), message.call_id());
            println!("       {w} ► {flow} {status} {cseq} {id}");
        }
    }
}

fn short(input: &Input) -> String {
    match input {
        Input::Directory(_) => "people".to_owned(),
        Input::Policy(_) => "policy".to_owned(),
        Input::Settings(_) => "settings".to_owned(),
        other => format!("{other:?}"),
    }
}
