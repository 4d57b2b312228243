//! I4: a call exists exactly as long as its dialogs: what the journal calls open is in a worker's table, and
//! nothing else; and when all is over, nobody believes in one.

use super::*;
use crate::callers::CallerStage;

pub struct Dialogs;

impl Check for Dialogs {
    fn name(&self) -> &'static str {
        "I4"
    }

    fn turned(&mut self, sim: &Sim, shard: usize, _: Kind, _: usize) -> Found {
        let here = sim.book.open.iter().filter(|key| key.shard().index() == shard).count();
        let calls = sim.switches[shard].calls();
        must(calls == here, || format!("worker {shard} has {calls} calls, its journal {here}"))
    }

    fn over(&mut self, sim: &Sim) -> Found {
        let believes = sim.callers.values().find(|caller| caller.stage != CallerStage::Over);
        must(believes.is_none(), || {
            format!("a caller still believes in {:?}", believes.map(|c| &c.call_id))
        })?;
        for (shard, switch) in sim.switches.iter().enumerate() {
            must(switch.is_idle(), || format!("worker {shard} is not idle"))?;
        }
        must(sim.book.open.is_empty(), || format!("{:?} never ended", sim.book.open))
    }
}
