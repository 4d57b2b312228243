//! The last inputs of a switch, and what it said to them: a ring with a bound in bytes and one in age.
//!
//! ```text
//!   Mark ─ inputs, sends, events … ─ Mark ─ inputs … ─ Mark ─ inputs … ◄── newest
//!   └── falls as a whole when a bound is passed ──┘
//! ```
//! What falls is handed back, oldest first, so that the owner knows what held at the ring's begin. It
//! begins with a mark: only there is it known how the board stood. A datagram is kept as the bytes that
//! came, not as the message that was read from them. A copy of the ring copies nothing that is large.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Event, Input, What};
use crate::acd::{Board, Counts};
use crate::domain::{AgentId, Flow, Moment};

/// What an entry takes besides its bytes.
const ENTRY_BYTES: usize = 160;
/// What an event takes, about; and one that holds a dialog, a binding or a message.
const EVENT_BYTES: usize = 512;
const LARGE_EVENT_BYTES: usize = 3_072;
/// What a person of a directory, a client, a snapshot of settings takes, about.
const PERSON_BYTES: usize = 1_024;
const CLIENT_BYTES: usize = 512;
const SETTINGS_BYTES: usize = 16_384;
/// So many marks within the bounds: the ring is shorter than them by one part of so many at most.
const MARKS: u32 = 16;

/// Bounds of one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// Bytes of memory, about.
    pub bytes_max: usize,
    /// Nothing older is kept.
    pub age_max: Duration,
}

/// How one person stood on the board: what the order of offers goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stood {
    /// Whose place.
    pub agent: AgentId,
    /// Idle since.
    pub since: Moment,
    /// What was done today.
    pub counts: Counts,
}

/// Everybody who has stood on `board`.
pub fn standing(board: &Board) -> Vec<Stood> {
    let stood = |agent| {
        let (since, counts) = (board.presence(agent).since, board.counts(agent));
        Stood { agent, since, counts }
    };
    let all = (0..board.limits().agents).map(AgentId).map(stood);
    all.filter(|s| s.since != Moment::ZERO || s.counts != Counts::default()).collect()
}

/// When something was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// As the switch was told.
    pub at: Moment,
    /// Finer: puts what several switches were fed at one moment in order.
    pub order: u64,
}

/// One thing in the ring.
#[derive(Clone, Debug)]
pub enum Kept {
    /// The ring may begin here: the board as it was.
    Mark(Box<[Stood]>),
    /// A turn began.
    Wake,
    /// A message came.
    Packet {
        /// Where it came from.
        flow: Flow,
        /// As it came.
        raw: Bytes,
        /// When the socket gave it to us.
        received: Moment,
    },
    /// Any other input.
    Input(Arc<Input>),
    /// The switch sent this.
    Sent {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// The switch wrote this to its journal.
    Event(Arc<Event>),
}

impl Kept {
    /// An input as it is kept.
    pub fn of(input: &Input) -> Self {
        match input {
            Input::Packet { flow, message, received } => {
                Kept::Packet { flow: *flow, raw: message.raw().clone(), received: *received }
            }
            Input::Wake => Kept::Wake,
            other => Kept::Input(Arc::new(other.clone())),
        }
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES
            + match self {
                Kept::Mark(stood) => size_of_val::<[Stood]>(stood),
                Kept::Packet { raw: bytes, .. } | Kept::Sent { bytes, .. } => bytes.len(),
                Kept::Wake => 0,
                Kept::Input(input) => input_bytes(input),
                Kept::Event(event) => match event.what {
                    What::Dialog { .. } | What::Bound { .. } | What::Unanswered { .. } => {
                        LARGE_EVENT_BYTES
                    }
                    _ => EVENT_BYTES,
                },
            }
    }
}

/// What an input keeps alive. A snapshot is counted as if nobody else had it: while people change every
/// second, the ring is all that does.
fn input_bytes(input: &Input) -> usize {
    let own = size_of::<Input>();
    own + match input {
        Input::Directory(directory) => SETTINGS_BYTES + directory.agents().count() * PERSON_BYTES,
        Input::Policy(policy) => 4 * (policy.text().len() + policy.calendars_text().len()),
        Input::Settings(_) => SETTINGS_BYTES,
        Input::Identified { found, .. } => (1 + found.others.len()) * CLIENT_BYTES,
        Input::Worked(people) => people.len() * CLIENT_BYTES / 8,
        _ => 0,
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Ring {
    limits: RingLimits,
    entries: VecDeque<(Stamp, Kept)>,
    bytes: usize,
    /// Bytes at the last mark, of all that ever came, and when that was.
    marked: (u64, Moment),
    came: u64,
    /// The oldest part is on its way out, up to the next mark.
    falls: bool,
}

impl Ring {
    /// Empty.
    pub fn new(limits: RingLimits) -> Self {
        let entries = VecDeque::new();
        Self { limits, entries, bytes: 0, marked: (0, Moment::ZERO), came: 0, falls: false }
    }

    /// It is time for a mark: the first entry is one.
    pub fn wants_mark(&self, now: Moment) -> bool {
        let (bytes, at) = self.marked;
        let part = (self.limits.bytes_max / MARKS as usize) as u64;
        self.entries.is_empty()
            || self.came - bytes >= part
            || now.since(at) >= self.limits.age_max / MARKS
    }

    /// The newest. What has to go for it is then given by [`Ring::fallen`].
    pub fn keep(&mut self, stamp: Stamp, kept: Kept) {
        let bytes = kept.bytes();
        self.bytes += bytes;
        self.came += bytes as u64;
        if matches!(kept, Kept::Mark(_)) {
            self.marked = (self.came, stamp.at);
        }
        self.entries.push_back((stamp, kept));
    }

    /// The oldest, if it must go. Until `None`, after each [`Ring::keep`].
    pub fn fallen(&mut self, now: Moment) -> Option<(Stamp, Kept)> {
        let (stamp, first) = self.entries.front()?;
        let over = self.bytes > self.limits.bytes_max || now.since(stamp.at) > self.limits.age_max;
        self.falls = over || self.falls && !matches!(first, Kept::Mark(_));
        if !self.falls {
            return None;
        }
        let fallen = self.entries.pop_front()?;
        self.bytes -= fallen.1.bytes();
        Some(fallen)
    }

    /// Everything, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &(Stamp, Kept)> {
        self.entries.iter()
    }

    /// Everything, oldest first.
    pub fn into_entries(self) -> VecDeque<(Stamp, Kept)> {
        self.entries
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Transport;

    fn packet(len: usize) -> Kept {
        let remote = "192.0.2.1:5060".parse().expect("a literal");
        let flow = Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 };
        Kept::Packet { flow, raw: Bytes::from(vec![b'x'; len]), received: Moment::ZERO }
    }

    fn feed(ring: &mut Ring, now: Moment, kept: Kept) -> usize {
        let stamp = Stamp { at: now, order: 0 };
        if ring.wants_mark(now) {
            ring.keep(stamp, Kept::Mark([].into()));
        }
        ring.keep(stamp, kept);
        std::iter::from_fn(|| ring.fallen(now)).count()
    }

    #[test]
    fn neither_bound_is_ever_passed_and_the_ring_begins_with_a_mark() {
        let limits = RingLimits { bytes_max: 100_000, age_max: Duration::from_secs(60) };
        let mut ring = Ring::new(limits);
        let (mut came, mut fell, mut most) = (0, 0, 0);
        for n in 0..5_000_u64 {
            // Busy, then quiet.
            let now = Moment::from_millis(if n < 4_000 { n } else { n * 100 });
            fell += feed(&mut ring, now, packet((n % 1_400) as usize));
            came += 1;
            most = most.max(ring.bytes());
            assert!(ring.bytes() <= limits.bytes_max, "{}", ring.bytes());
            let (oldest, first) = ring.entries().next().expect("not empty");
            assert!(now.since(oldest.at) <= limits.age_max);
            assert!(matches!(first, Kept::Mark(_)));
        }
        assert!(most > limits.bytes_max * 9 / 10, "the room is used: {most}");
        let marks = |(_, kept): &&(Stamp, Kept)| matches!(kept, Kept::Mark(_));
        let left = ring.entries().count();
        assert!(fell + left > came, "what falls is handed out, marks too");
        assert!((1..=17).contains(&ring.entries().filter(marks).count()));
        assert_eq!(ring.bytes, ring.entries().map(|(_, kept)| kept.bytes()).sum::<usize>());
    }

    #[test]
    fn snapshots_of_people_count_with_what_they_keep_alive() {
        let limits = RingLimits { bytes_max: 1_000_000, age_max: Duration::from_secs(60) };
        let mut ring = Ring::new(limits);
        for _ in 0..1_000 {
            let input = Input::Directory(Arc::default());
            feed(&mut ring, Moment::ZERO, Kept::of(&input));
            assert!(ring.bytes() <= limits.bytes_max);
        }
        assert!(ring.entries().count() < 100, "of 1,000 snapshots {}", ring.entries().count());
    }

    #[test]
    fn one_entry_larger_than_the_ring_leaves_it_empty() {
        let limits = RingLimits { bytes_max: 10_000, age_max: Duration::from_secs(60) };
        let mut ring = Ring::new(limits);
        feed(&mut ring, Moment::ZERO, packet(10));
        assert_eq!(feed(&mut ring, Moment::ZERO, packet(60_000)), 3);
        assert_eq!((ring.bytes(), ring.entries().count()), (0, 0));
        assert_eq!(feed(&mut ring, Moment::ZERO, packet(10)), 0);
        assert_eq!(ring.entries().count(), 2);
    }
}
