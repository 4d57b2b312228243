//! I13: one agent's wrap-up never depends on another's: it ends `wrap_up` after the own call.

use super::*;

pub struct WrapUp;

impl Check for WrapUp {
    fn name(&self) -> &'static str {
        "I13"
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
