//! I20, as far as queues go: first in, first out within a priority. Nobody is served while somebody with an
//! earlier place waits for the same person in the same queue. (Figures of reports: see `mod.rs`.)

use super::*;
use crate::reference::Verdict;

/// Two callers of two workers within this time may change places where a worker stands still.
const TOGETHER_US: u64 = 60_000;

pub struct Order;

impl Check for Order {
    fn name(&self) -> &'static str {
        "I20"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Offered { call, agent, step, .. } = what else { return Ok(()) };
        // A queue that opens again has the callers of the worker who hears of it first a moment sooner.
        let heard = sim.now > sim.told_all + Duration::from_millis(50);
        if !sim.is_undisturbed() || !heard {
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
    // Who serves what by a supervisor's hand is no longer a matter of roles.
    let is_move =
        |standing: &Standing| matches!(standing.order, telefonist::domain::Order::Move { .. });
    let by_hand = !story.moves.is_empty() || sim.orders.iter().any(is_move);
    if !found_idle || by_hand || sim.disturbed > Moment::ZERO {
        return Ok(());
    }
    let Some(level) = story.verdict.as_ref().and_then(|v| v.levels.get(step)) else {
        return Ok(());
    };
    let mine = sim.book.idle_since(agent);
    let roles = |who: &PersonId| {
        let agent = sim.directory.agent(who);
        agent.and_then(|agent| sim.directory.person(agent)).map(|p| p.roles.clone())
    };
    for other in level.iter().map(|(name, _)| PersonId::new(name)).filter(|other| other != agent) {
        let view = sim.directory.agent(&other).map(|agent| sim.shared.board.presence(agent));
        let idle = view.is_some_and(|view| view.is_free());
        let longer = sim.book.idle_since(&other) + Duration::from_secs(1) < mine;
        // Helpers (B7) are there for a group only while its callers wait, and after its own people.
        let operator: Role = "operator".into();
        let alike = roles(agent).zip(roles(&other)).is_some_and(|(a, b)| {
            !a.is_disjoint(&b) && a.contains(&operator) == b.contains(&operator)
        });
        must(!(idle && longer && alike), || {
            let since = sim.book.idle_since(&other);
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
