//! I19: reloading touches no running state: a new policy does nothing by itself, and calls keep theirs.

use super::*;

pub struct Reload;

impl Check for Reload {
    fn name(&self) -> &'static str {
        "I19"
    }

    fn turned(&mut self, _: &Sim, shard: usize, kind: Kind, outputs: usize) -> Found {
        let quiet = kind != Kind::Policy || outputs == 0;
        must(quiet, || format!("a new policy made worker {shard} say {outputs} things"))
    }

    fn after(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Routed { call, policy, .. } = what else { return Ok(()) };
        let Some(story) = sim.book.stories.get(call) else { return Ok(()) };
        let own = &sim.variants[story.policy].policy;
        must(policy == own.hash(), || format!("{call} is routed by a policy that is not its own"))
    }
}
