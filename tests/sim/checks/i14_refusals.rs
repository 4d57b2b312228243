//! I14: an agent's refusal never ends the caller's call, nor is the same call offered there again at once
//! (B10): not within the back-off, and to who missed it not before they are back (C4).

use super::*;

pub struct Refusals;

impl Check for Refusals {
    fn name(&self) -> &'static str {
        "I14"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let Some(story) = what.call().and_then(|key| sim.book.stories.get(&key)) else {
            return Ok(());
        };
        match what {
            What::Offered { call, agent, .. } if story.inbound => {
                let mine = story.offers.values().filter(|offer| offer.agent == *agent);
                let last = mine.filter_map(|offer| offer.ended).max_by_key(|(_, at)| *at);
                let Some((OfferResult::Refused | OfferResult::Busy | OfferResult::NoAnswer, at)) =
                    last
                else {
                    return Ok(());
                };
                let back = sim.book.resumed.get(agent).is_some_and(|back| *back >= at);
                let long = sim.now.since(at) >= sim.settings.timers.refuse_backoff;
                must(back || long || at < sim.disturbed, || {
                    format!("{agent} is offered {call} again")
                })
            }
            What::CallEnded { call, by, outcome, .. } if story.inbound && story.taken.is_none() => {
                let by_agent = *by == Party::Callee || *outcome == Outcome::Refused;
                must(!by_agent, || {
                    format!("{call} ended by {by:?} as {outcome:?}, and nobody took it")
                })
            }
            _ => Ok(()),
        }
    }
}
