//! I6: an idle eligible agent never stands beside a waiting call, within 30 ms for an agent that a stalled
//! thread held; and a shard that does not run collects no agents.

use super::*;

#[derive(Default)]
pub struct IdleBesideWaiting {
    beside: Lasting<QueueId>,
    collected: Lasting<(u8, PersonId)>,
}

impl Check for IdleBesideWaiting {
    fn name(&self) -> &'static str {
        "I6"
    }

    fn step(&mut self, sim: &Sim) -> Found {
        let mut held = Vec::new();
        for (agent, person) in sim.directory.agents() {
            let view = sim.shared.board.presence(agent);
            if let (AgentState::Hand, Some(shard)) = (view.state, view.shard)
                && sim.is_stalled(shard.index())
            {
                held.push((shard.0, person.id.clone()));
            }
        }
        // Revoked by whoever runs: at their next look, which is at most a second away.
        let held = self.collected.look(sim.now, held, Duration::from_millis(1_100));
        let runs = (0..sim.switches.len()).any(|shard| !sim.is_stalled(shard));
        must(held.is_none() || !runs, || format!("a worker that stands still has {held:?}"))?;
        if !sim.is_undisturbed() {
            self.beside.clear();
            return Ok(());
        }
        let board = &sim.shared.board;
        let groups = sim.directory.groups().map(|group| group.queue);
        let own = sim.directory.agents().map(|(agent, _)| sim.directory.own_queue(agent));
        let both = |q: &QueueId| board.len(*q) > 0 && board.queue_view(*q).free > 0;
        let beside = groups.chain(own).filter(both).collect();
        let queue = self.beside.look(sim.now, beside, Duration::from_millis(30));
        must(queue.is_none(), || {
            format!("somebody is free beside a call that waits in {queue:?}")
        })?;
        // The sweep is a net under threads that stand still: where none does, it never finds anybody.
        let found = sim.shared.board.tallies().found_idle;
        let still = [Fault::Stall, Fault::Panic].iter().any(|f| sim.options.faults.contains(f));
        must(found == 0 || still, || "somebody idle was found by the sweep alone".to_owned())
    }
}
