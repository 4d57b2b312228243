//! I20, as far as queues go: first in, first out within a priority. Nobody is served while somebody with an
//! earlier place waits for the same person in the same queue. (Figures of reports: see `mod.rs`.)

use super::*;
use crate::reference::Verdict;

/// Two callers of two workers within this time may change places where a worker stands still.
const TOGETHER_US: u64 = 60_000;

/// So long after a restart the last phone has a connection again.
const BACK_MAX: Duration = Duration::from_secs(5);

pub struct Order;

impl Check for Order {
    fn name(&self) -> &'static str {
        "I20"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Offered { call, agent, step, .. } = what else { return Ok(()) };
        // A queue that opens again has the callers of the worker who hears of it first a moment sooner.
        if !sim.is_undisturbed() || !sim.has_heard() {
            return Ok(());
        }
        let Some(story) = sim.book.stories.get(call) else { return Ok(()) };
        let Some(place) = place(story) else { return Ok(()) };
        longest_idle(sim, story, agent, usize::from(*step))?;
        let served =
            story.queues.get(usize::from(*step)).map(|(q, _)| q.clone()).unwrap_or_default();
        for (other_key, other) in &sim.book.stories_open() {
            let Some(before) = self::place(other).filter(|_| *other_key != call) else { continue };
            let earlier = before + TOGETHER_US < place;
            let same = other.waits_in().iter().any(|queue| served.contains(queue));
            // A deputy who stands in no more (C1) serves no longer whom the book still counts.
            let today = policy::today(sim, other_key.shard().index(), other);
            let serves = today.is_none_or(|v| serves(&v, other, &served, agent));
            let since = other.step.map_or(sim.now, |(_, at)| at);
            let stood = sim.now.since(since) > Duration::from_millis(30);
            let again = other.offers.values().filter_map(|o| o.ended).map(|(_, at)| at).max();
            let back = again.is_none_or(|at| sim.now.since(at) > Duration::from_millis(30));
            let passed_over = earlier && same && serves && stood && back && !other.tried(agent);
            must(!passed_over, || {
                format!("{agent} is offered {call} before {other_key}, who waits longer")
            })?;
        }
        Ok(())
    }
}

/// By a step in whose queues the offered call stood as well.
fn serves(today: &Verdict, other: &Story, served: &[QueueId], agent: &PersonId) -> bool {
    let shares = |step: usize| {
        let queues = other.queues.get(step).map_or(&[][..], |(queues, _)| queues);
        queues.iter().any(|queue| served.contains(queue))
    };
    let levels = today.levels.iter().enumerate().filter(|(step, _)| shares(*step));
    levels.flat_map(|(_, level)| level).any(|(name, _)| *name == agent.as_str())
}

/// A call that finds several people idle goes to who has been so for longest: since the end of the last
/// rest; who logs in joins at the end. (Words with one meaning: `longest idle`.)
fn longest_idle(sim: &Sim, story: &Story, agent: &PersonId, step: usize) -> Found {
    let found_idle = story.step == Some((step, sim.now)) && story.offers.is_empty();
    let group = story.queues.get(step).and_then(|(queues, _)| queues.first());
    let Some(group) = group.filter(|_| found_idle).and_then(|q| sim.directory.group_of_queue(*q))
    else {
        return Ok(());
    };
    // Whoever was moved into the group serves it like its own people (B8). Helpers (B7) come after them.
    let department = group.department.as_ref().map(|department| department.as_str());
    let serving = sim.office().holders(group.role.as_str(), department);
    if serving.iter().all(|(name, _)| *name != agent.as_str()) {
        return Ok(());
    }
    let mine = sim.book.idle_since(agent);
    // A restart takes the order of idleness with it: then it counts for who has worked since their phone is back.
    let known = |since| sim.disturbed == Moment::ZERO || since > sim.disturbed + BACK_MAX;
    for other in serving.iter().map(|(name, _)| PersonId::new(name)).filter(|o| o != agent) {
        let view = sim.directory.agent(&other).map(|agent| sim.shared.board.presence(agent));
        let idle = view.is_some_and(|view| view.is_free());
        let since = sim.book.idle_since(&other);
        let longer = since + Duration::from_secs(1) < mine;
        must(!(idle && longer && known(since)), || {
            let board = view.map(|view| view.since);
            format!(
                "{agent} (idle since {mine:?}) gets the call, {other} is idle since {since:?}, by the board \
                 {board:?}"
            )
        })?;
    }
    Ok(())
}

/// When the call came, less its head start, in µs from before the beginning of time.
fn place(story: &Story) -> Option<u64> {
    let credit = Duration::from_secs(story.verdict.as_ref()?.credit_s);
    let begin = Duration::from_secs(3_600);
    let came = story.arrived.since(Moment::ZERO) + begin - credit;
    u64::try_from(came.as_micros()).ok()
}
