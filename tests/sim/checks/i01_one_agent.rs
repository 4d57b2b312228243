//! I1: a caller is bridged to at most one agent; a late second 200 OK is acknowledged and ended.

use super::*;
use crate::phones::Stage;

pub struct OneAgent;

impl Check for OneAgent {
    fn name(&self) -> &'static str {
        "I1"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let Some(story) = what.call().and_then(|key| sim.book.stories.get(&key)) else {
            return Ok(());
        };
        match what {
            What::Answered { call, agent } => {
                must(story.answers == 0, || format!("{call} is answered twice"))?;
                let offered = agent.is_none() || !story.inbound || story.taken == *agent;
                must(offered, || format!("{call} is answered by {agent:?}, who has not taken it"))
            }
            What::OfferEnded { call, result: OfferResult::Answered, .. } => {
                must(story.taken.is_none(), || format!("{call} is taken twice"))
            }
            _ => Ok(()),
        }
    }

    /// Every phone's answer was acknowledged, and all but one of a call taken back.
    fn over(&mut self, sim: &Sim) -> Found {
        for phone in sim.phones.values().filter(|phone| phone.alive) {
            for (id, call) in &phone.calls {
                let two = call.stage == Stage::Answered && call.twin.is_some();
                must(!two, || format!("{id}: both answers of {} stand", phone.user))?;
            }
        }
        Ok(())
    }
}
