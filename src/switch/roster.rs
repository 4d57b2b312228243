//! Who serves which queues, and how: people's rows on the board (clauses B1, B8). Worker 0 writes them,
//! from the directory (roles, levels, orders) and the policy in force (lists, head starts). It also begins the day of
//! the figures that orders go by: calls and talk time count from a person's local midnight.

use super::Switch;
use crate::acd::{Counts, GROUPS_MAX, Serve};
use crate::domain::{AgentId, Moment, PersonId, ShardId};

impl Switch {
    /// Makes the rows what directory and policy say, person by person; what is the same costs nothing.
    pub(super) fn write_roster(&self) {
        if self.core.shard != ShardId(0) {
            return;
        }
        let board = &self.core.shared.board;
        for index in 0..board.limits().agents {
            let agent = AgentId(index);
            let wanted = self.row(agent);
            if wanted != board.serves_of(agent)
                && let Err(error) = board.set_roster(self.core.shard, agent, &wanted)
            {
                tracing::error!(%error, "an agent's queues stay as they were");
            }
        }
    }

    fn row(&self, agent: AgentId) -> Vec<Serve> {
        let directory = &self.core.directory;
        let Some(person) = directory.person(agent) else { return Vec::new() };
        let settings = self.core.policy.settings();
        let serve = |queue| match directory.group_of_queue(queue) {
            Some(group) => Serve {
                head_start: settings.agent_head_start(Some(&group.role)),
                level: directory.level(agent, &group.role),
                rank: self.core.policy.rank(&group.role, &person.id),
                ..Serve::from(queue)
            },
            None => Serve { head_start: settings.agent_head_start(None), ..Serve::from(queue) },
        };
        let mut row: Vec<Serve> = directory.queues_of(agent).into_iter().map(serve).collect();
        let helps = self.core.policy.helps_in(directory, agent);
        row.extend(helps.map(|(_, queue)| Serve { helper: true, ..serve(queue) }));
        if row.len() > GROUPS_MAX + 1 {
            // Configuration and orders are refused that ask for it: only another program's roles can.
            let groups = row.len() - 1;
            tracing::error!(agent = agent.0, groups, "helps in no more groups than a row holds");
            row.truncate(GROUPS_MAX + 1);
        }
        row
    }

    /// Whose local day is another than at the last look begins it with nothing done.
    pub(super) fn begin_days(&mut self, now: Moment) {
        if self.core.shard != ShardId(0) {
            return;
        }
        let wall = self.core.wall.wall(now);
        let directory = &self.core.directory;
        for (agent, person) in directory.agents() {
            let today = directory.local_day(person, wall);
            let before = self.seats.days.insert(agent, today);
            if before.is_some_and(|before| before != today) {
                self.core.shared.board.set_counts(agent, Counts::default());
            }
        }
    }

    /// What was done before the start is added to what was done since.
    pub(super) fn worked_before(&mut self, people: &[(PersonId, Counts)]) {
        let board = &self.core.shared.board;
        for (person, before) in people {
            let Some(agent) = self.core.directory.agent(person) else { continue };
            let since = board.counts(agent);
            let (calls, talk) = (since.calls + before.calls, since.talk + before.talk);
            board.set_counts(agent, Counts { calls, talk });
        }
    }
}
