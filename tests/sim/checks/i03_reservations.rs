//! I3: every reservation ends, on every path: whom the board holds for an offer has one in the journal.

use super::*;

/// A phone that was cancelled may ring on for so long; its agent is held meanwhile.
const HELD_MAX: Duration = Duration::from_millis(5_500);

#[derive(Default)]
pub struct Reservations {
    unexplained: Lasting<PersonId>,
    in_hand: Lasting<PersonId>,
}

impl Check for Reservations {
    fn name(&self) -> &'static str {
        "I3"
    }

    fn step(&mut self, sim: &Sim) -> Found {
        if !sim.is_undisturbed() {
            self.unexplained.clear();
            self.in_hand.clear();
            return Ok(());
        }
        let open = sim.book.open.iter().filter_map(|key| sim.book.stories.get(key));
        let offered: BTreeSet<&PersonId> = open
            .filter(|s| s.inbound)
            .filter_map(|story| story.open_offer())
            .map(|offer| &offer.agent)
            .collect();
        let mut unexplained = Vec::new();
        let mut in_hand = Vec::new();
        for (agent, person) in sim.directory.agents() {
            let state = sim.shared.board.presence(agent).state;
            if state == AgentState::Offered && !offered.contains(&person.id) {
                unexplained.push(person.id.clone());
            }
            if state == AgentState::Hand {
                in_hand.push(person.id.clone());
            }
            if offered.contains(&person.id) {
                must(state == AgentState::Offered, || {
                    format!("{} is rung and {state:?}", person.id)
                })?;
            }
        }
        let held = self.unexplained.look(sim.now, unexplained, HELD_MAX);
        must(held.is_none(), || format!("{held:?} is held for no offer"))?;
        let hand = self.in_hand.look(sim.now, in_hand, Duration::from_millis(100));
        must(hand.is_none(), || format!("{hand:?} is left in a hand"))
    }

    fn over(&mut self, sim: &Sim) -> Found {
        for (agent, person) in sim.directory.agents() {
            let view = sim.shared.board.presence(agent);
            let flags = view.flags.without(Flags::OFF_SHIFT);
            let free = view.state == AgentState::Free && flags.is_empty();
            must(free, || format!("{} is left as {view:?}", person.id))?;
        }
        // Only a worker that begins anew leaves words behind.
        let orphans = sim.shared.board.tallies().orphans;
        let panics = sim.options.faults.contains(&Fault::Panic);
        must(orphans == 0 || panics, || format!("the sweep had to help {orphans} times"))
    }
}
