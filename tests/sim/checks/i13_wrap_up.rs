//! I13: one agent's wrap-up never depends on another's: it ends `wrap_up` after the own call, and nothing is
//! offered before.

use super::*;

pub struct WrapUp;

impl Check for WrapUp {
    fn name(&self) -> &'static str {
        "I13"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Offered { call, agent, .. } = what else { return Ok(()) };
        let ended = sim.book.wrapped.get(agent).filter(|ended| **ended > sim.disturbed);
        let inbound = sim.book.stories.get(call).is_some_and(|story| story.inbound);
        let rested = ended.is_none_or(|at| sim.now.since(*at) >= sim.settings.timers.wrap_up);
        must(rested || !inbound, || format!("{agent} is offered {call} in wrap-up"))
    }

    fn step(&mut self, sim: &Sim) -> Found {
        if !sim.is_undisturbed() {
            return Ok(());
        }
        let wrap_up = sim.settings.timers.wrap_up;
        for (agent, person) in sim.directory.agents() {
            let view = sim.shared.board.presence(agent);
            if view.state != AgentState::Wrap {
                continue;
            }
            let Some(ended) = sim.book.wrapped.get(&person.id) else { continue };
            if *ended < sim.disturbed {
                continue;
            }
            let until = *ended + wrap_up;
            must(view.until == Some(until), || {
                format!("{}'s call ended at {ended:?}, the rest at {:?}", person.id, view.until)
            })?;
            let late = sim.now.since(until);
            must(late < Duration::from_millis(50), || {
                format!("{} rests {late:?} too long", person.id)
            })?;
        }
        Ok(())
    }
}
