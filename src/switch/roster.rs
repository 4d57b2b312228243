//! Who serves which queues, and how: people's rows on the board (clauses B1, B8). Worker 0 writes them,
//! from the directory (roles, levels, orders) and the policy in force (lists).

use super::Switch;
use crate::acd::Serve;
use crate::domain::{AgentId, ShardId};

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
        let serve = |queue| match directory.group_of_queue(queue) {
            Some(group) => Serve {
                level: directory.level(agent, &group.role),
                rank: self.core.policy.rank(&group.role, &person.id),
                ..Serve::from(queue)
            },
            None => Serve::from(queue),
        };
        directory.queues_of(agent).into_iter().map(serve).collect()
    }
}
