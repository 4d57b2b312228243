//! I20, as far as queues go: first in, first out within a priority. Nobody is served while somebody with an
//! earlier place waits for the same person in the same queue. (Figures of reports: see `mod.rs`.)

use super::*;

/// Two callers of two workers within this time may change places where a worker stands still.
const TOGETHER_US: u64 = 60_000;

pub struct Order;

impl Check for Order {
    fn name(&self) -> &'static str {
        "I20"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Offered { call, agent, step, .. } = what else { return Ok(()) };
        if !sim.is_undisturbed() {
            return Ok(());
        }
        let Some(story) = sim.book.stories.get(call) else { return Ok(()) };
        let Some(place) = place(story) else { return Ok(()) };
        let served =
            story.queues.get(usize::from(*step)).map(|(q, _)| q.clone()).unwrap_or_default();
        for (other_key, other) in &sim.book.stories_open() {
            let Some(before) = self::place(other).filter(|_| *other_key != call) else { continue };
            let earlier = before + TOGETHER_US < place;
            let same = other.waits_in().iter().any(|queue| served.contains(queue));
            let since = other.step.map_or(sim.now, |(_, at)| at);
            let stood = sim.now.since(since) > Duration::from_millis(30);
            let again = other.offers.values().filter_map(|o| o.ended).map(|(_, at)| at).max();
            let back = again.is_none_or(|at| sim.now.since(at) > Duration::from_millis(30));
            must(!(earlier && same && stood && back && !other.tried(agent)), || {
                format!("{agent} is offered {call} before {other_key}, who waits longer")
            })?;
        }
        Ok(())
    }
}

/// When the call came, less its head start, in µs from before the beginning of time.
fn place(story: &Story) -> Option<u64> {
    let credit = Duration::from_secs(story.verdict.as_ref()?.credit_s);
    let begin = Duration::from_secs(3_600);
    let came = story.arrived.since(Moment::ZERO) + begin - credit;
    u64::try_from(came.as_micros()).ok()
}
