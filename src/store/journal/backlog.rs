//! Lines that the disk did not take: kept in memory, in order, up to a bound, and what goes first
//! when the bound is reached.
//!
//! ```text
//!  push ─► bytes > max? ─► 1. the oldest explanations (`Routed` keeps client, rule and clause)
//!                          2. the oldest details (rings, steps, offers, dialogs, bindings)
//!                          3. the oldest records
//! ```
//! Each is counted. The first line may be on the disk in part: it is neither changed nor dropped.
//! Knows no files and no clock.

use std::collections::VecDeque;

use serde::Serialize;

use super::line::{self, Content};
use crate::switch::{Event, What};

/// What an entry costs beside its line: its place in the deque and the allocation's head, bytes.
const ENTRY_BYTES: usize = 48;

/// What memory was too short for since the writer began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Explanations left out of `Routed` events.
    pub explanations: u64,
    /// Rings, steps, offers, dialogs, bindings.
    pub details: u64,
    /// Whole records: arrivals, decisions, answers, ends, promises, administration.
    pub records: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Never dropped: a checkpoint says how many lines it has.
    Fixed,
    Explained,
    Detail,
    Record,
    Gone,
}

/// In which order to drop.
const DROPPED_FIRST: [Class; 3] = [Class::Explained, Class::Detail, Class::Record];

impl Class {
    fn of(what: &What) -> Self {
        match what {
            What::Routed { explanation, grounds, .. }
                if explanation.is_some() || grounds.is_some() =>
            {
                Self::Explained
            }
            What::StepBegan { .. }
            | What::Offered { .. }
            | What::Ringing { .. }
            | What::OfferEnded { .. }
            | What::Unanswered { .. }
            | What::Dialog { .. }
            | What::Bound { .. }
            | What::Unbound { .. } => Self::Detail,
            What::ServerStarted { .. }
            | What::CallArrived { .. }
            | What::Routed { .. }
            | What::Answered { .. }
            | What::Promised { .. }
            | What::CallEnded { .. }
            | What::Agent { .. }
            | What::Changed { .. }
            | What::Ordered { .. }
            | What::PolicyAccepted { .. }
            | What::DirectoryTaken { .. }
            | What::Callback { .. }
            | What::Checkpoint { .. } => Self::Record,
        }
    }
}

#[derive(Debug)]
struct Entry {
    line: Box<[u8]>,
    class: Class,
}

/// Unwritten lines, oldest first.
#[derive(Debug)]
pub struct Backlog {
    entries: VecDeque<Entry>,
    /// How much of the first line the disk has, bytes.
    head_written: usize,
    bytes: usize,
    bytes_max: usize,
    /// Entries of which only the place is left.
    gone: usize,
    /// Sequence number of the first entry.
    first: u64,
    /// For each of `DROPPED_FIRST`: before this sequence number none is left.
    none_before: [u64; 3],
    dropped: Dropped,
}

impl Backlog {
    /// Empty; holds at most `bytes_max` bytes beside a first line that is half written, and the
    /// lines of a checkpoint.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            head_written: 0,
            bytes: 0,
            bytes_max,
            gone: 0,
            first: 0,
            none_before: [0; 3],
            dropped: Dropped::default(),
        }
    }

    /// Everything is on the disk.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lines kept.
    pub fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    /// Memory used, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Adds `event`, of whose line (`line`) the disk has `written` bytes already, and makes room.
    /// `fixed`: it belongs to a checkpoint.
    pub fn push(&mut self, event: &Event, line: &[u8], written: usize, fixed: bool) {
        if written > 0 {
            self.head_written = written;
        }
        let class = if fixed { Class::Fixed } else { Class::of(&event.what) };
        self.bytes += line.len() + ENTRY_BYTES;
        self.entries.push_back(Entry { line: line.into(), class });
        while self.bytes > self.bytes_max && self.make_room() {}
    }

    /// Puts the oldest unwritten bytes into `out`, at most about `max` of them.
    pub fn oldest(&self, max: usize, out: &mut Vec<u8>) {
        let mut skip = self.head_written;
        for entry in &self.entries {
            if !out.is_empty() && out.len() + entry.line.len() > max {
                return;
            }
            out.extend_from_slice(&entry.line[skip..]);
            skip = 0;
        }
    }

    /// The disk took the oldest `taken` bytes.
    pub fn written(&mut self, mut taken: usize) {
        while let Some(entry) = self.entries.front() {
            let rest = entry.line.len() - self.head_written;
            if taken < rest || (taken == 0 && rest > 0) {
                self.head_written += taken;
                return;
            }
            taken -= rest;
            self.head_written = 0;
            self.pop_front();
        }
        self.entries.shrink_to_fit();
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.line.len() + ENTRY_BYTES;
            self.gone -= usize::from(entry.class == Class::Gone);
            self.first += 1;
        }
    }

    /// Drops one thing; `false` if there is nothing left to drop.
    fn make_room(&mut self) -> bool {
        let fixed = self.first + u64::from(self.head_written > 0);
        for (order, class) in DROPPED_FIRST.into_iter().enumerate() {
            let from = self.none_before[order].max(fixed).saturating_sub(self.first) as usize;
            let found = (from..self.entries.len()).find(|i| self.entries[*i].class == class);
            let end = found.map_or(self.entries.len(), |i| i + 1);
            self.none_before[order] = self.first + end as u64;
            match (found, class) {
                (None, _) => continue,
                (Some(i), Class::Explained) => self.strip(i),
                (Some(i), _) => self.empty(i),
            }
            return true;
        }
        false
    }

    fn strip(&mut self, i: usize) {
        let entry = &mut self.entries[i];
        entry.class = Class::Record;
        let old = std::mem::take(&mut entry.line);
        let mut new = Vec::new();
        if let Content::Event(mut event) = Content::of(&old[..old.len() - 1]) {
            if let What::Routed { explanation, grounds, .. } = &mut event.what {
                (*explanation, *grounds) = (None, None);
                self.dropped.explanations += 1;
            }
            line::encode(&event, &mut new);
        }
        self.bytes = self.bytes - old.len() + new.len();
        entry.line = new.into();
    }

    fn empty(&mut self, i: usize) {
        let entry = &mut self.entries[i];
        match entry.class {
            Class::Detail => self.dropped.details += 1,
            _ => self.dropped.records += 1,
        }
        self.bytes -= entry.line.len();
        *entry = Entry { line: Box::default(), class: Class::Gone };
        self.gone += 1;
        if self.gone > self.entries.len() / 2 {
            self.entries.retain(|e| e.class != Class::Gone);
            self.bytes -= self.gone * ENTRY_BYTES;
            (self.gone, self.none_before) = (0, [0; 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{CallKey, ShardId};
    use crate::policy::{Ending, Explanation};
    use crate::switch::Party;

    fn event(what: What) -> Event {
        Event { at: "2026-03-02T08:00:00Z".parse().expect("a literal"), what }
    }

    fn routed(n: u32) -> Event {
        let explanation = Explanation {
            facts: Vec::new(),
            rules: Vec::new(),
            steps: Vec::new(),
            ending: Ending::Refuse { status: 403 },
            notes: vec!["x".repeat(400).into()],
        };
        event(What::Routed {
            call: CallKey::new(1, ShardId(0), n),
            client: None,
            rule: "r".into(),
            clause: "B4".into(),
            policy: "h".into(),
            explanation: Some(Arc::new(explanation)),
            grounds: None,
        })
    }

    fn ended(n: u32) -> Event {
        event(What::CallEnded {
            call: CallKey::new(1, ShardId(0), n),
            by: Party::Caller,
            outcome: crate::switch::Outcome::Abandoned,
            status: Some(487),
            reason: "".into(),
        })
    }

    fn ringing(n: u32) -> Event {
        event(What::Ringing { call: CallKey::new(1, ShardId(0), n), offer: 1 })
    }

    fn push(backlog: &mut Backlog, event: &Event) {
        let mut line = Vec::new();
        line::encode(event, &mut line);
        backlog.push(event, &line, 0, false);
    }

    fn read(backlog: &Backlog) -> Vec<Event> {
        let mut out = Vec::new();
        backlog.oldest(usize::MAX, &mut out);
        line::lines(&out)
            .map(|(_, l)| match Content::of(l) {
                Content::Event(event) => *event,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn explanations_go_first_then_details_then_records() {
        let mut backlog = Backlog::new(2_700);
        for n in 0..3 {
            push(&mut backlog, &routed(n));
            push(&mut backlog, &ringing(n));
            push(&mut backlog, &ended(n));
        }
        let dropped = backlog.dropped();
        assert!(
            dropped.explanations > 0 && dropped.details == 0 && dropped.records == 0,
            "{dropped:?}"
        );
        for n in 3..9 {
            push(&mut backlog, &ended(n));
        }
        let dropped = backlog.dropped();
        assert!(
            dropped.explanations == 3 && dropped.details > 0 && dropped.records == 0,
            "{dropped:?}"
        );
        for n in 9..40 {
            push(&mut backlog, &ended(n));
            assert!(backlog.bytes() <= 2_700);
        }
        assert!(backlog.dropped().details == 3 && backlog.dropped().records > 0);
        let left = read(&backlog);
        assert_eq!(left.last(), Some(&ended(39)));
        assert_eq!(left.len(), backlog.len());
    }

    #[test]
    fn a_half_written_line_is_neither_changed_nor_dropped() {
        let mut backlog = Backlog::new(2_000);
        let mut line = Vec::new();
        line::encode(&routed(0), &mut line);
        backlog.push(&routed(0), &line, 10, false);
        for n in 1..60 {
            push(&mut backlog, &ended(n));
        }
        let mut out = line[..10].to_vec();
        let mut rest = Vec::new();
        backlog.oldest(usize::MAX, &mut rest);
        out.extend_from_slice(&rest);
        assert_eq!(&out[..line.len()], &line[..]);
        assert!(backlog.dropped().records > 0 && backlog.dropped().explanations == 0);
    }

    #[test]
    fn whatever_sizes_the_disk_takes_the_bytes_stay_in_order() {
        let mut backlog = Backlog::new(1 << 20);
        let mut whole = Vec::new();
        for n in 0..20 {
            line::encode(&ended(n), &mut whole);
            push(&mut backlog, &ended(n));
        }
        let mut disk = Vec::new();
        for taken in (1usize..).map(|n| n * 37 % 411) {
            let mut out = Vec::new();
            backlog.oldest(500, &mut out);
            let taken = taken.min(out.len());
            disk.extend_from_slice(&out[..taken]);
            backlog.written(taken);
            if backlog.is_empty() {
                break;
            }
        }
        assert_eq!(disk, whole);
        assert_eq!(backlog.bytes(), 0);
    }
}
