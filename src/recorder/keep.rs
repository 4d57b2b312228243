//! One worker's recording: its ring, and everything that held when the ring begins.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::acd::Board;
use crate::domain::{CallKey, Directory, Flow, Moment, Settings, ShardId, WallOffset};
use crate::policy::Policy;
use crate::store::journal::State;
use crate::switch::{Event, Input, Kept, Ring, RingLimits, Stamp, What, standing};

/// What a switch is made of at the begin of a recording.
#[derive(Clone)]
pub struct Begin {
    /// Which one.
    pub shard: ShardId,
    /// Its run: part of the keys of its calls.
    pub started: u32,
    /// In force.
    pub settings: Arc<Settings>,
    /// In force.
    pub directory: Arc<Directory>,
    /// In force.
    pub policy: Arc<Policy>,
    /// In force.
    pub wall: WallOffset,
    /// It drains, until then.
    pub drain_until: Option<Moment>,
    /// Bindings, people's slow state, calls: what the journal would restore.
    pub state: State,
}

impl Begin {
    /// Something is older than the begin.
    fn passes(&mut self, kept: Kept) {
        match kept {
            Kept::Event(event) => self.state.apply(&event),
            Kept::Input(input) => match &*input {
                Input::Settings(settings) => self.settings = settings.clone(),
                Input::Directory(directory) => self.directory = directory.clone(),
                Input::Policy(policy) => self.policy = policy.clone(),
                Input::Wall(wall) => self.wall = *wall,
                Input::Drain { until } => self.drain_until = Some(*until),
                _ => {}
            },
            Kept::Mark(_) | Kept::Wake | Kept::Packet { .. } | Kept::Sent { .. } => {}
        }
    }
}

/// See the module.
pub struct Recording {
    begin: Begin,
    board: Arc<Board>,
    ring: Ring,
}

/// A recording as it was at one moment.
#[derive(Clone)]
pub struct Taken {
    /// What held at the first entry.
    pub begin: Begin,
    /// Oldest first.
    pub entries: VecDeque<(Stamp, Kept)>,
}

impl Recording {
    /// Of a switch that was made of `begin` just now. `None`: the bounds leave room for nothing.
    pub fn new(begin: Begin, board: Arc<Board>, limits: RingLimits) -> Option<Self> {
        (limits.bytes_max > 0).then(|| Self { begin, board, ring: Ring::new(limits) })
    }

    /// Before the switch is given `input`.
    pub fn input(&mut self, now: Stamp, input: &Input) {
        if self.ring.wants_mark(now.at) {
            self.keep(now, Kept::Mark(standing(&self.board).into()));
        }
        self.keep(now, Kept::of(input));
    }

    /// The switch sent this.
    pub fn sent(&mut self, now: Stamp, flow: Flow, bytes: Bytes) {
        self.keep(now, Kept::Sent { flow, bytes });
    }

    /// The switch wrote this to its journal. Reasons and grounds stay with the register.
    pub fn event(&mut self, now: Stamp, mut event: Event) {
        if let What::Routed { explanation, grounds, .. } = &mut event.what {
            (*explanation, *grounds) = (None, None);
        }
        self.keep(now, Kept::Event(Arc::new(event)));
    }

    fn keep(&mut self, now: Stamp, kept: Kept) {
        self.ring.keep(now, kept);
        while let Some((_, fallen)) = self.ring.fallen(now.at) {
            self.begin.passes(fallen);
        }
    }

    /// A copy.
    pub fn taken(&self) -> Taken {
        Taken { begin: self.begin.clone(), entries: self.ring.entries().cloned().collect() }
    }

    /// The end of it.
    pub fn into_taken(self) -> Taken {
        Taken { begin: self.begin, entries: self.ring.into_entries() }
    }
}

impl Taken {
    /// When it begins; `None` if nothing was fed.
    pub fn first(&self) -> Option<Moment> {
        self.entries.front().map(|(stamp, _)| stamp.at)
    }

    /// When it can begin, and how many calls were neither answered nor over then: a replay cannot take
    /// those up.
    pub fn marks(&self) -> Vec<(Moment, usize)> {
        let open = self.begin.state.calls.iter().filter(|(_, call)| call.answer().is_none());
        let mut open: BTreeSet<CallKey> = open.map(|(call, _)| *call).collect();
        let mut marks = Vec::new();
        for (stamp, kept) in &self.entries {
            match kept {
                Kept::Mark(_) => marks.push((stamp.at, open.len())),
                Kept::Event(event) => match &event.what {
                    What::CallArrived { call, .. } => {
                        open.insert(*call);
                    }
                    What::Answered { call, .. } | What::CallEnded { call, .. } => {
                        open.remove(call);
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        marks
    }

    /// Lets it begin with the last mark that is not later than `at`, so that those of all workers begin
    /// at about one moment.
    pub fn begin_at(&mut self, at: Moment) {
        let is_mark = |(when, kept): &(Stamp, Kept)| when.at <= at && matches!(kept, Kept::Mark(_));
        let Some(place) = self.entries.iter().rposition(is_mark) else { return };
        for (_, kept) in self.entries.drain(..place) {
            self.begin.passes(kept);
        }
    }
}
