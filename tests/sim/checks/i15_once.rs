//! I15: everything is counted once: one arrival, one end, one end of each offer (D1); a trunk's places are
//! the calls that are open on it.

use super::*;

pub struct Once;

impl Check for Once {
    fn name(&self) -> &'static str {
        "I15"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let Some(key) = what.call() else { return Ok(()) };
        let story = sim.book.stories.get(&key);
        match (what, story) {
            (What::CallArrived { .. }, Some(_)) => Err(format!("{key} arrives twice")),
            (What::CallArrived { .. }, None) => Ok(()),
            (_, None) => Err(format!("{what:?} of a call that never came")),
            (What::OfferEnded { .. }, Some(_)) => Ok(()),
            (_, Some(story)) => {
                must(story.ended.is_none(), || format!("{what:?} after the end"))?;
                let open = story.open_offer().is_some();
                let cut = |o: &Outcome| *o == Outcome::CutByRestart;
                let ends = matches!(what, What::CallEnded { outcome, .. } if !cut(outcome));
                must(!(ends && open), || format!("{key} ends and its offer does not"))
            }
        }
    }

    fn step(&mut self, sim: &Sim) -> Found {
        if !sim.is_undisturbed() {
            return Ok(());
        }
        let meters = &sim.shared.meters.trunks;
        let slot = meters.slot(&"pbx".into());
        let counted = slot.map_or(0, |slot| meters.calls(slot)) as usize;
        let stories = sim.book.open.iter().filter_map(|key| sim.book.stories.get(key));
        let open = stories.filter(|s| s.inbound || s.direction == Direction::Outbound).count();
        // A call that our people make takes its place when it goes out.
        let inbound = sim.book.open.iter().filter_map(|k| sim.book.stories.get(k));
        let inbound = inbound.filter(|s| s.inbound).count();
        must((inbound..=open).contains(&counted), || {
            format!("the trunk counts {counted} calls, there are {inbound} to {open}")
        })
    }

    fn over(&mut self, sim: &Sim) -> Found {
        let meters = &sim.shared.meters.trunks;
        for trunk in &sim.settings.trunks {
            let calls = meters.slot(&trunk.id).map_or(0, |slot| meters.calls(slot));
            must(calls == 0, || format!("trunk {} still counts {calls} calls", trunk.id))?;
        }
        for (key, story) in &sim.book.stories {
            must(story.ended.is_some() && story.open_offer().is_none(), || {
                format!("{key} has no end")
            })?;
        }
        Ok(())
    }
}
