//! I12: no state without a timeout: a worker that is not idle knows when it looks again.

use super::*;

pub struct Timeouts;

impl Check for Timeouts {
    fn name(&self) -> &'static str {
        "I12"
    }

    fn turned(&mut self, sim: &Sim, shard: usize, _: Kind, _: usize) -> Found {
        let switch = &sim.switches[shard];
        if switch.is_idle() {
            return Ok(());
        }
        let most = sim.now + sim.settings.timers.call_max;
        must(switch.poll_timeout() <= most, || {
            format!("worker {shard} is not idle and waits for nothing")
        })
    }
}
