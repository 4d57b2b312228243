//! I2: an agent is never offered two calls at once, nor one while on another.

use super::*;

/// An agent is held for so long while a phone that was cancelled has not confirmed it.
const HELD: Duration = Duration::from_secs(4);
#[derive(Default)]
pub struct OneOffer {
    engaged: BTreeMap<PersonId, CallKey>,
}

impl Check for OneOffer {
    fn name(&self) -> &'static str {
        "I2"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        match what {
            What::Offered { call, agent, .. } => {
                let dials = sim.book.open.iter().filter(|key| *key != call);
                let mut dials = dials.filter_map(|key| sim.book.stories.get(key));
                let dials = dials.any(|story| story.caller.as_ref() == Some(agent));
                must(!dials, || format!("{agent} is offered {call} and has dialled"))?;
                let other = self.engaged.insert(agent.clone(), *call);
                must(other.is_none(), || format!("{agent} is offered {call} during {other:?}"))?;
                let open = sim.book.stories.get(call).and_then(Story::open_offer);
                must(open.is_none(), || format!("two offers of {call} at once"))?;
                let rings = sim.book.ringing.values().find(|(who, until)| {
                    who == agent && until.is_some_and(|at| sim.now.since(at) < HELD)
                });
                must(is_rough(&sim.options.faults) || rings.is_none(), || {
                    format!("a phone of {agent} rings still")
                })
            }
            What::OfferEnded { call, offer, result, .. } => {
                let story = sim.book.stories.get(call);
                let known = story.and_then(|s| s.offers.get(offer)).filter(|o| o.ended.is_none());
                let Some(known) = known else {
                    return Err(format!("{call}: {offer} was not open"));
                };
                if *result != OfferResult::Answered {
                    self.engaged.remove(&known.agent);
                }
                Ok(())
            }
            What::CallEnded { call, .. } => {
                self.engaged.retain(|_, key| key != call);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A phone never shows two calls, where the network tells it in time that the first is over.
    fn heard(&mut self, sim: &Sim, at: SocketAddr, message: &Message) -> Found {
        let rough = [
            Fault::Loss,
            Fault::Delay,
            Fault::Reorder,
            Fault::Kill,
            Fault::Panic,
            Fault::Stall,
            Fault::Reset,
        ];
        let Some(phone) = sim.phones.get(&at) else { return Ok(()) };
        let anew = phone.since.is_some_and(|at| sim.now.since(at) < Duration::from_secs(33));
        let of_no_use = phone.user.is_empty() || message.to_tag().is_some();
        let late = rough.iter().any(|fault| sim.options.faults.contains(fault));
        let begins_anew = anew && sim.now > Moment::from_millis(1_000);
        let judged = ![of_no_use, late, begins_anew].contains(&true);
        must(!judged || phone.engaged() <= 1, || format!("a phone of {} has two calls", phone.user))
    }
}
