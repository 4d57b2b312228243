//! I11: busy exactly while a leg lives.

use super::*;

/// News of a person's own calls go by mail; a 2xx may wait for its ACK.
const NEWS: Duration = Duration::from_secs(6);

#[derive(Default)]
pub struct Busy {
    too_long: Lasting<PersonId>,
    too_short: Lasting<PersonId>,
    elsewhere: Lasting<PersonId>,
}

impl Check for Busy {
    fn name(&self) -> &'static str {
        "I11"
    }

    fn step(&mut self, sim: &Sim) -> Found {
        if !sim.is_undisturbed() {
            self.too_long.clear();
            self.too_short.clear();
            self.elsewhere.clear();
            return Ok(());
        }
        let open = || sim.book.open.iter().filter_map(|key| sim.book.stories.get(key));
        let talking: BTreeSet<&PersonId> =
            open().filter(|s| s.inbound).filter_map(|story| story.taken.as_ref()).collect();
        let own = open().any(|story| !story.inbound);
        let (mut long, mut short, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for (agent, person) in sim.directory.agents() {
            let view = sim.shared.board.presence(agent);
            let talks = view.state == AgentState::Talking;
            match (talks, talking.contains(&person.id)) {
                (true, false) => long.push(person.id.clone()),
                (false, true) => short.push(person.id.clone()),
                _ => {}
            }
            if view.flags.contains(Flags::BUSY_ELSEWHERE) && !own {
                elsewhere.push(person.id.clone());
            }
        }
        let long = self.too_long.look(sim.now, long, NEWS);
        must(long.is_none(), || format!("{long:?} is busy and on no call"))?;
        let short = self.too_short.look(sim.now, short, Duration::from_millis(500));
        must(short.is_none(), || format!("{short:?} is on a call and not busy"))?;
        let elsewhere = self.elsewhere.look(sim.now, elsewhere, NEWS);
        must(elsewhere.is_none(), || format!("{elsewhere:?} is busy elsewhere, where nobody is"))
    }
}
