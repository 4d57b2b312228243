//! Who serves which queues.
//!
//! Two tables: for each agent the *truth*, a row of at most one own queue and [`GROUPS_MAX`] groups;
//! for each group a *hint*, a bitmap that covers at least its members. One thread, the roster's owner,
//! writes; everybody reads. A row that is read while it is written may be part old, part new: the
//! owner then takes the agent in hand, so that nothing decided on such a row stands.

use std::fmt;

use super::atomic::{Ordering, Table};
use super::board::BoardLimits;
use crate::domain::{AgentId, QueueId};

/// Groups that one person may serve, beside the own queue.
pub const GROUPS_MAX: usize = 16;

const ROW: usize = GROUPS_MAX + 1;
const NONE: u64 = u64::MAX;

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
    /// Queue ids, `ROW` for each agent, `NONE` where nothing stands.
    serves: Table,
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
            serves: Table::new(agents * ROW, NONE),
            members: Table::new(groups * words, 0),
            words,
        }
    }

    /// The queues that `agent` serves. Wait-free: at most `ROW` loads.
    pub(super) fn queues(&self, agent: usize) -> impl Iterator<Item = usize> {
        // Relaxed: whoever changes a row fences and takes the agent afterwards; see `Board::set_roster`.
        let row = (0..ROW).map(move |i| self.serves.at(agent * ROW + i).load(Ordering::Relaxed));
        row.take_while(|queue| *queue != NONE).map(|queue| queue as usize)
    }

    /// Whether `agent` really serves `queue`.
    pub(super) fn serves(&self, agent: usize, queue: usize) -> bool {
        self.queues(agent).any(|q| q == queue)
    }

    /// Everybody who may serve `queue`: a superset, from the bitmap. Wait-free.
    pub(super) fn candidates(&self, queue: usize) -> impl Iterator<Item = usize> {
        let owner = queue.checked_sub(self.groups).filter(|agent| *agent < self.agents);
        let words = if queue < self.groups { self.words } else { 0 };
        let bits = (0..words).flat_map(move |word| {
            // Relaxed: a hint; a member who is added is looked at again by who adds.
            ones(self.members.at(queue * self.words + word).load(Ordering::Relaxed))
                .map(move |bit| word * 64 + bit)
        });
        owner.into_iter().chain(bits)
    }

    /// Checks a new row: the own queue once, groups without repetition.
    pub(super) fn check(&self, agent: AgentId, queues: &[QueueId]) -> Result<(), RosterError> {
        if agent.index() >= self.agents {
            return Err(RosterError::NoSuchAgent(agent));
        }
        let own = self.groups + agent.index();
        let strange = queues.iter().find(|q| q.index() >= self.groups && q.index() != own);
        if let Some(queue) = strange {
            return Err(RosterError::NoSuchQueue(*queue));
        }
        let groups = queues.iter().filter(|q| q.index() < self.groups).count();
        if groups > GROUPS_MAX {
            return Err(RosterError::TooManyGroups(groups));
        }
        Ok(())
    }

    /// Writes a checked row, and the bits of queues that are new in it. Owner only. `false`: the agent
    /// serves these queues already.
    pub(super) fn write(&self, agent: usize, queues: &[QueueId]) -> bool {
        let mut row = [NONE; ROW];
        let mut len = 0;
        for queue in queues {
            let queue = queue.index() as u64;
            if len < ROW && !row[..len].contains(&queue) {
                row[len] = queue;
                len += 1;
            }
        }
        if row[..len].iter().map(|queue| *queue as usize).eq(self.queues(agent)) {
            return false;
        }
        for queue in row[..len].iter().filter(|queue| **queue < self.groups as u64) {
            let (place, bit) = self.bit(agent, *queue as usize);
            // Relaxed: the owner's fence after the row orders bits and row together.
            self.members.at(place).fetch_or(bit, Ordering::Relaxed);
        }
        for (i, queue) in row.into_iter().enumerate() {
            self.serves.at(agent * ROW + i).store(queue, Ordering::Relaxed);
        }
        true
    }

    /// Clears the bits of groups that `agent` serves no more. Owner only, after the row's fence.
    pub(super) fn tidy(&self, agent: usize) {
        for queue in (0..self.groups).filter(|queue| !self.serves(agent, *queue)) {
            let (place, bit) = self.bit(agent, queue);
            if self.members.at(place).load(Ordering::Relaxed) & bit != 0 {
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
    use std::time::Duration;

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
        let queues = [QueueId(20 + 66), QueueId(3), QueueId(7), QueueId(3)];
        assert_eq!(roster.check(AgentId(66), &queues), Ok(()));
        assert!(roster.write(66, &queues));
        assert!(!roster.write(66, &queues));
        assert_eq!(roster.queues(66).collect::<Vec<_>>(), [86, 3, 7]);
        assert_eq!(roster.candidates(3).collect::<Vec<_>>(), [66]);
        assert_eq!(roster.candidates(86).collect::<Vec<_>>(), [66]);
        roster.write(66, &[QueueId(7)]);
        roster.tidy(66);
        assert_eq!(roster.candidates(3).count(), 0);
        assert_eq!(roster.candidates(7).collect::<Vec<_>>(), [66]);
    }

    #[test]
    fn the_seventeenth_group_is_refused() {
        let groups: Vec<QueueId> = (0..17).map(QueueId).collect();
        assert_eq!(roster().check(AgentId(0), &groups), Err(RosterError::TooManyGroups(17)));
        assert_eq!(roster().check(AgentId(0), &groups[..16]), Ok(()));
    }

    #[test]
    fn nobody_serves_a_colleagues_own_queue() {
        let refused = roster().check(AgentId(0), &[QueueId(21)]);
        assert_eq!(refused, Err(RosterError::NoSuchQueue(QueueId(21))));
        assert_eq!(roster().check(AgentId(70), &[]), Err(RosterError::NoSuchAgent(AgentId(70))));
    }
}
