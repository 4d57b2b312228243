//! I8: one owner per leg and per call, one home shard per agent: nobody writes of what is another's.

use telefonist::switch::AgentChange;

use super::*;

pub struct Owners;

impl Check for Owners {
    fn name(&self) -> &'static str {
        "I8"
    }

    fn event(&mut self, sim: &Sim, shard: usize, what: &What) -> Found {
        if let Some(key) = what.call() {
            let owner = key.shard().index();
            must(owner == shard, || format!("worker {shard} writes of {key}, which is {owner}'s"))?;
        }
        let person = match what {
            // A word of its own that nothing explains is released by who bound it.
            What::Agent { change: AgentChange::Released, .. } => None,
            What::Agent { person, .. } => Some(person.clone()),
            What::Bound { aor, .. } | What::Unbound { aor, .. } => Some(PersonId::new(aor)),
            _ => None,
        };
        let Some(agent) = person.as_ref().and_then(|p| sim.directory.agent(p)) else {
            return Ok(());
        };
        let home = home_of(&sim.directory, agent, sim.shards, &KEY).index();
        must(home == shard, || format!("worker {shard} writes of {person:?}, who lives at {home}"))
    }
}
