//! How a call chooses among several idle agents, and the figures that it chooses by.
//!
//! | table | written by | meaning |
//! |---|---|---|
//! | `offered[agent]` | the shard that has just bound the agent | the number of the agent's last offer |
//! | `calls[agent]` | the holder of the agent's token adds; the roster's owner sets | calls answered today |
//! | `talk[agent]` | the same | µs talked today |
//!
//! Only figures: a wrong one costs an agent a turn, no call an agent. Somebody idle is found under
//! every strategy, so each of them is work-conserving. Adding and setting at one instant may count the
//! call of that instant for the day before or after.

use std::time::Duration;

use super::atomic::{Figures, Ordering};
use super::roster::Entry;
use crate::domain::AgentId;

/// Which of several idle members of a queue a call is offered to; the property of a call in a queue, as
/// its route's step says. Among equals whoever is idle for longest, then the lowest place on the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Idle for longest.
    #[default]
    LongestIdle,
    /// Offered a call longest ago, whatever came of it.
    RoundRobin,
    /// Fewest calls answered today.
    FewestCalls,
    /// Least time talked today.
    LeastTalk,
    /// The smallest lack of skill: `wanted` less the level in that queue. Who has more lacks nothing.
    Skill {
        /// The level at which nothing lacks.
        wanted: u8,
    },
    /// The order of the queue's list ([`Serve::rank`](super::Serve)).
    Ordered,
}

/// What an agent has done today, as the strategies see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls answered.
    pub calls: u64,
    /// Time talked; a call counts when it is over.
    pub talk: Duration,
}

/// The figures of all agents.
pub(super) struct Scores {
    offered: Figures,
    calls: Figures,
    talk: Figures,
    /// One word: offers so far.
    offers: Figures,
}

// Relaxed throughout: figures. The holder's are stored before the swap that releases the agent, and
// whoever finds the agent idle has read the word with Acquire.
impl Scores {
    pub(super) fn new(agents: usize) -> Self {
        Self {
            offered: Figures::new(agents),
            calls: Figures::new(agents),
            talk: Figures::new(agents),
            offers: Figures::new(1),
        }
    }

    /// What `strategy` goes by, smallest first, but for the time idle; without an entry of the agent's row
    /// the least that it can be. Wait-free.
    pub(super) fn score(&self, strategy: Strategy, agent: usize, entry: Option<Entry>) -> u64 {
        match strategy {
            Strategy::LongestIdle => 0,
            Strategy::RoundRobin => self.offered.at(agent).load(Ordering::Relaxed),
            Strategy::FewestCalls => self.calls.at(agent).load(Ordering::Relaxed),
            Strategy::LeastTalk => self.talk.at(agent).load(Ordering::Relaxed),
            Strategy::Skill { wanted } => {
                entry.map_or(0, |entry| u64::from(wanted.saturating_sub(entry.level())))
            }
            Strategy::Ordered => entry.map_or(0, |entry| u64::from(entry.rank())),
        }
    }

    /// `agent` was offered a call just now.
    pub(super) fn count_offer(&self, agent: AgentId) {
        let number = self.offers.at(0).fetch_add(1, Ordering::Relaxed) + 1;
        self.offered.at(agent.index()).store(number, Ordering::Relaxed);
    }

    /// `agent` answered.
    pub(super) fn count_call(&self, agent: AgentId) {
        self.calls.at(agent.index()).fetch_add(1, Ordering::Relaxed);
    }

    /// `agent` has talked for so long.
    pub(super) fn count_talk(&self, agent: AgentId, talk: Duration) {
        self.talk.at(agent.index()).fetch_add(micros(talk), Ordering::Relaxed);
    }

    pub(super) fn counts(&self, agent: AgentId) -> Counts {
        let calls = self.calls.at(agent.index()).load(Ordering::Relaxed);
        let talk = self.talk.at(agent.index()).load(Ordering::Relaxed);
        Counts { calls, talk: Duration::from_micros(talk) }
    }

    pub(super) fn set_counts(&self, agent: AgentId, counts: Counts) {
        self.calls.at(agent.index()).store(counts.calls, Ordering::Relaxed);
        self.talk.at(agent.index()).store(micros(counts.talk), Ordering::Relaxed);
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
