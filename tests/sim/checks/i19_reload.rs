//! I19: reloading touches no running state: a new policy does nothing by itself, and calls keep theirs.
//! Help (B7) is the groups' and not the calls': where another policy helps otherwise, callers may move.

use super::*;

#[derive(Default)]
pub struct Reload {
    /// How the policy helps that each worker had last.
    helps: std::collections::BTreeMap<usize, String>,
}

impl Check for Reload {
    fn name(&self) -> &'static str {
        "I19"
    }

    fn turned(&mut self, sim: &Sim, shard: usize, kind: Kind, outputs: usize) -> Found {
        if kind != Kind::Policy {
            return Ok(());
        }
        let helps = |policy: usize| {
            let helps = sim.variants[policy].policy.helps();
            let each = helps.map(|h| format!("{} {:?} {:?}", h.group, h.helpers, h.opens_at));
            each.collect::<String>()
        };
        let now = helps(sim.views[shard].policy);
        let before = self.helps.insert(shard, now.clone()).unwrap_or_else(|| helps(0));
        must(outputs == 0 || now != before, || {
            format!("a new policy made worker {shard} say {outputs} things")
        })
    }

    fn after(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Routed { call, policy, .. } = what else { return Ok(()) };
        let Some(story) = sim.book.stories.get(call) else { return Ok(()) };
        let own = &sim.variants[story.policy].policy;
        must(policy == own.hash(), || format!("{call} is routed by a policy that is not its own"))
    }
}
