//! I5: no agent leg outlives its caller: soon after a call has ended no phone rings for it or is in it.

use super::*;

/// 64·T1 for the BYE or CANCEL, 64·T1 for an answer that crossed it, and the phone's own late wish.
const OUTLIVED_MAX: Duration = Duration::from_secs(70);

pub struct Outlived;

impl Check for Outlived {
    fn name(&self) -> &'static str {
        "I5"
    }

    fn step(&mut self, sim: &Sim) -> Found {
        if may_die(sim) {
            // A BYE under way dies with its worker; probes end such legs, which `over` sees.
            return Ok(());
        }
        for phone in sim.phones.values().filter(|p| p.alive && !p.user.is_empty()) {
            for id in phone.believes_in() {
                let Some(ended) = sim.book.legs.get(id) else { continue };
                let over = sim.now.since(*ended) > OUTLIVED_MAX;
                must(!over, || {
                    format!("a phone of {} is still in {id}, over at {ended:?}", phone.user)
                })?;
            }
        }
        Ok(())
    }

    fn over(&mut self, sim: &Sim) -> Found {
        for phone in sim.phones.values().filter(|phone| phone.alive) {
            // The BYE of a second answer dies with its worker, and the journal knows of the first alone.
            let mut calls = phone.believes_in().into_iter();
            let first = calls.find(|id| !(may_die(sim) && phone.is_twin(id)));
            must(first.is_none(), || format!("a phone of {} is still in {first:?}", phone.user))?;
        }
        Ok(())
    }
}

fn may_die(sim: &Sim) -> bool {
    sim.options.faults.contains(&Fault::Kill) || sim.options.faults.contains(&Fault::Panic)
}
