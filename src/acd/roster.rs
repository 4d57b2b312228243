//! Who serves which queues.
//!
//! Two tables: for each agent the *truth*, a row of at most one own queue and [`GROUPS_MAX`] groups;
//! for each group a *hint*, a bitmap that covers at least its members. An entry of a row is one word:
//!
//! ```text
//!   62         41   40      39    24 23   16 15     0
//! [  credit, ms  | helper |   rank  | level |  queue  ]
//! ```
//! One thread, the roster's owner, writes; everybody reads. A row that is read while it is written may be part old, part new: the
//! owner then takes the agent in hand, so that nothing decided on such a row stands.

use std::fmt;
use std::time::Duration;

use super::atomic::{Ordering, Table};
use super::board::BoardLimits;
use crate::domain::{AgentId, QueueId};

/// Groups that one person may serve, beside the own queue.
pub const GROUPS_MAX: usize = 16;

const ROW: usize = GROUPS_MAX + 1;
const NONE: u64 = u64::MAX;

const LEVEL_SHIFT: u32 = 16;
const RANK_SHIFT: u32 = 24;
const HELPER: u64 = 1 << 40;
const CREDIT_SHIFT: u32 = 41;

/// How one agent serves one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Whose calls.
    pub queue: QueueId,
    /// By so much the agent prefers these calls: as if they had come earlier. In milliseconds; at most
    /// the board's `credit_max`.
    pub head_start: Duration,
    /// Skill, for [`Strategy::Skill`](super::Strategy).
    pub level: u8,
    /// Place in the queue's list, for [`Strategy::Ordered`](super::Strategy).
    pub rank: u16,
    /// Serves only while [`Board::open_help`](super::Board::open_help) holds.
    pub helper: bool,
}

impl From<QueueId> for Serve {
    fn from(queue: QueueId) -> Self {
        Self { queue, head_start: Duration::ZERO, level: 0, rank: 0, helper: false }
    }
}

/// One word of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    fn new(serve: &Serve, credit_max: Duration) -> Self {
        // At most an hour: 22 bits.
        let credit = serve.head_start.min(credit_max).as_millis() as u64;
        let helper = if serve.helper { HELPER } else { 0 };
        let queue = u64::from(serve.queue.0);
        let level = u64::from(serve.level) << LEVEL_SHIFT;
        Self(queue | level | u64::from(serve.rank) << RANK_SHIFT | helper | credit << CREDIT_SHIFT)
    }

    pub(super) fn queue(self) -> usize {
        usize::from(self.0 as u16)
    }

    pub(super) fn level(self) -> u8 {
        (self.0 >> LEVEL_SHIFT) as u8
    }

    pub(super) fn rank(self) -> u16 {
        (self.0 >> RANK_SHIFT) as u16
    }

    pub(super) fn is_helper(self) -> bool {
        self.0 & HELPER != 0
    }

    pub(super) fn credit(self) -> Duration {
        Duration::from_millis(self.0 >> CREDIT_SHIFT)
    }

    /// As it was asked for.
    pub(super) fn serve(self) -> Serve {
        Serve {
            queue: QueueId(self.0 as u16),
            head_start: self.credit(),
            level: self.level(),
            rank: self.rank(),
            helper: self.is_helper(),
        }
    }
}

/// Why a person's queues cannot be as asked. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterError {
    /// The board has no such place.
    NoSuchAgent(AgentId),
    /// Neither a group's queue nor this person's own.
    NoSuchQueue(QueueId),
    /// More than [`GROUPS_MAX`] groups.
    TooManyGroups(usize),
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RosterError::NoSuchAgent(agent) => write!(f, "no place {} on the board", agent.0),
            RosterError::NoSuchQueue(queue) => {
                write!(f, "queue {} is no group's and not the person's own", queue.0)
            }
            RosterError::TooManyGroups(count) => {
                write!(f, "{count} groups; one person serves at most {GROUPS_MAX}")
            }
        }
    }
}

impl std::error::Error for RosterError {}

/// The two tables.
pub(super) struct Roster {
    agents: usize,
    groups: usize,
    credit_max: Duration,
    /// Entries, `ROW` for each agent, `NONE` where nothing stands.
    serves: Table,
    /// For each queue: not 0 while helpers may serve it.
    help: Table,
    /// Bits over agents, `words` for each group.
    members: Table,
    words: usize,
}

impl Roster {
    pub(super) fn new(limits: &BoardLimits) -> Self {
        let (agents, groups) = (usize::from(limits.agents), usize::from(limits.groups));
        let words = agents.div_ceil(64);
        Self {
            agents,
            groups,
            credit_max: limits.credit_max,
            help: Table::new(groups + agents, 0),
            serves: Table::new(agents * ROW, NONE),
            members: Table::new(groups * words, 0),
            words,
        }
    }

    /// Everything that stands in `agent`'s row. Wait-free: at most `ROW` loads.
    pub(super) fn row(&self, agent: usize) -> impl Iterator<Item = Entry> {
        // Relaxed: whoever changes a row fences and takes the agent afterwards; see `Board::set_roster`.
        let row = (0..ROW).map(move |i| self.serves.at(agent * ROW + i).load(Ordering::Relaxed));
        row.take_while(|entry| *entry != NONE).map(Entry)
    }

    /// The queues that `agent` serves now: without those that wait for help to be open. Wait-free: at
    /// most `ROW` loads, and one for each queue that the agent only helps in.
    pub(super) fn serving(&self, agent: usize) -> impl Iterator<Item = Entry> {
        self.row(agent).filter(|entry| !entry.is_helper() || self.is_help_open(entry.queue()))
    }

    /// How `agent` serves `queue` now, if at all.
    pub(super) fn entry(&self, agent: usize, queue: usize) -> Option<Entry> {
        self.serving(agent).find(|entry| entry.queue() == queue)
    }

    /// Whether `agent` helps in `queue`, open or not.
    pub(super) fn helps(&self, agent: usize, queue: usize) -> bool {
        self.row(agent).any(|entry| entry.queue() == queue && entry.is_helper())
    }

    /// Helpers may serve `queue`.
    pub(super) fn is_help_open(&self, queue: usize) -> bool {
        // Relaxed: who opens fences and looks at every helper afterwards; see `Board::open_help`.
        self.help.at(queue).load(Ordering::Relaxed) != 0
    }

    /// Lets helpers serve `queue`, or no more. `true`: it was not so.
    pub(super) fn set_help(&self, queue: usize, open: bool) -> bool {
        // Relaxed: the fence after it orders it where order matters.
        self.help.at(queue).swap(u64::from(open), Ordering::Relaxed) != u64::from(open)
    }

    /// Whose own queue it is; `None`: a group's.
    pub(super) fn owner(&self, queue: usize) -> Option<usize> {
        queue.checked_sub(self.groups).filter(|agent| *agent < self.agents)
    }

    /// Words of a bitmap over agents.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// One word of the bitmap of a group's members.
    pub(super) fn members(&self, queue: usize, place: usize) -> u64 {
        // Relaxed: a hint; a member who is added is looked at again by who adds.
        self.members.at(queue * self.words + place).load(Ordering::Relaxed)
    }

    /// Everybody who may serve `queue`: a superset, from the bitmap. Wait-free.
    pub(super) fn candidates(&self, queue: usize) -> impl Iterator<Item = usize> {
        let words = if queue < self.groups { self.words } else { 0 };
        let bits = (0..words)
            .flat_map(move |word| ones(self.members(queue, word)).map(move |bit| word * 64 + bit));
        self.owner(queue).into_iter().chain(bits)
    }

    /// Checks a new row: the own queue once, groups without repetition.
    pub(super) fn check(&self, agent: AgentId, serves: &[Serve]) -> Result<(), RosterError> {
        if agent.index() >= self.agents {
            return Err(RosterError::NoSuchAgent(agent));
        }
        let own = self.groups + agent.index();
        let mut queues = serves.iter().map(|serve| serve.queue);
        let strange = queues.find(|q| q.index() >= self.groups && q.index() != own);
        if let Some(queue) = strange {
            return Err(RosterError::NoSuchQueue(queue));
        }
        let groups = serves.iter().filter(|serve| serve.queue.index() < self.groups).count();
        if groups > GROUPS_MAX {
            return Err(RosterError::TooManyGroups(groups));
        }
        Ok(())
    }

    /// Writes a checked row, and the bits of queues that are new in it; a queue named twice counts once.
    /// Owner only. `false`: the agent serves these queues so already.
    pub(super) fn write(&self, agent: usize, serves: &[Serve]) -> bool {
        let mut row = [NONE; ROW];
        let mut len = 0;
        for serve in serves {
            let known = row[..len].iter().any(|entry| Entry(*entry).queue() == serve.queue.index());
            if len < ROW && !known {
                row[len] = Entry::new(serve, self.credit_max).0;
                len += 1;
            }
        }
        if row[..len].iter().copied().map(Entry).eq(self.row(agent)) {
            return false;
        }
        for queue in row[..len].iter().map(|entry| Entry(*entry).queue()) {
            if queue < self.groups {
                let (place, bit) = self.bit(agent, queue);
                // Relaxed: the owner's fence after the row orders bits and row together.
                self.members.at(place).fetch_or(bit, Ordering::Relaxed);
            }
        }
        // Relaxed: the same; a row read half written is read again by who takes the agent.
        for (i, entry) in row.into_iter().enumerate() {
            self.serves.at(agent * ROW + i).store(entry, Ordering::Relaxed);
        }
        true
    }

    /// Clears the bits of groups that `agent` serves no more. Owner only, after the row's fence.
    pub(super) fn tidy(&self, agent: usize) {
        for queue in 0..self.groups {
            let (place, bit) = self.bit(agent, queue);
            // Relaxed: only the owner writes it, and the row decides, not the bit.
            if self.members.at(place).load(Ordering::Relaxed) & bit != 0
                && !self.row(agent).any(|entry| entry.queue() == queue)
            {
                self.members.at(place).fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }

    fn bit(&self, agent: usize, queue: usize) -> (usize, u64) {
        (queue * self.words + agent / 64, 1 << (agent % 64))
    }
}

/// The places of the bits that are set, lowest first.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let credit_max = Duration::from_secs(60);
        Roster::new(&BoardLimits {
            agents: 70,
            groups: 20,
            shards: 1,
            queue_len_max: 9,
            credit_max,
        })
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let roster = roster();
        let queues = [20 + 66, 3, 7, 3].map(|queue| Serve::from(QueueId(queue)));
        assert_eq!(roster.check(AgentId(66), &queues), Ok(()));
        assert!(roster.write(66, &queues));
        assert!(!roster.write(66, &queues));
        assert_eq!(roster.row(66).map(Entry::queue).collect::<Vec<_>>(), [86, 3, 7]);
        assert_eq!(roster.candidates(3).collect::<Vec<_>>(), [66]);
        assert_eq!(roster.candidates(86).collect::<Vec<_>>(), [66]);
        roster.write(66, &[QueueId(7).into()]);
        roster.tidy(66);
        assert_eq!(roster.candidates(3).count(), 0);
        assert_eq!(roster.candidates(7).collect::<Vec<_>>(), [66]);
    }

    #[test]
    fn an_entry_gives_back_what_was_put_in() {
        let roster = roster();
        let most = Serve {
            queue: QueueId(19),
            head_start: Duration::from_secs(60),
            level: 255,
            rank: u16::MAX,
            helper: true,
        };
        let least = Serve { head_start: Duration::from_millis(1), ..QueueId(0).into() };
        assert!(roster.write(1, &[most, least]));
        assert_eq!(roster.row(1).map(Entry::serve).collect::<Vec<_>>(), [most, least]);
        let too_much = Serve { head_start: Duration::MAX, ..most };
        assert!(!roster.write(1, &[too_much, least]), "counts as the bound");
        assert!(roster.write(1, &[Serve { helper: false, ..most }, least]));
    }

    #[test]
    fn a_helper_serves_while_help_is_open() {
        let roster = roster();
        roster.write(1, &[Serve { helper: true, ..QueueId(3).into() }, QueueId(4).into()]);
        assert_eq!(roster.serving(1).map(Entry::queue).collect::<Vec<_>>(), [4]);
        assert!(roster.set_help(3, true) && !roster.set_help(3, true));
        assert_eq!(roster.serving(1).map(Entry::queue).collect::<Vec<_>>(), [3, 4]);
        assert!(roster.entry(1, 3).is_some());
        assert!(roster.set_help(3, false));
        assert!(roster.entry(1, 3).is_none() && roster.helps(1, 3));
    }

    #[test]
    fn the_seventeenth_group_is_refused() {
        let groups: Vec<Serve> = (0..17).map(|queue| QueueId(queue).into()).collect();
        assert_eq!(roster().check(AgentId(0), &groups), Err(RosterError::TooManyGroups(17)));
        assert_eq!(roster().check(AgentId(0), &groups[..16]), Ok(()));
    }

    #[test]
    fn nobody_serves_a_colleagues_own_queue() {
        let refused = roster().check(AgentId(0), &[QueueId(21).into()]);
        assert_eq!(refused, Err(RosterError::NoSuchQueue(QueueId(21))));
        assert_eq!(roster().check(AgentId(70), &[]), Err(RosterError::NoSuchAgent(AgentId(70))));
    }
}
