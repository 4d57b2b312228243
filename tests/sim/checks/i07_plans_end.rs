//! I7: no strategy or plan can stall: a call that nobody answers comes to its plan's end.

use super::*;

/// `answer_within` is 110 s; a phone that rings then may ring on, and be cancelled.
const UNANSWERED_MAX: Duration = Duration::from_secs(160);
/// Somebody who was dialled directly rings until the dialling phone gives up, or three minutes.
const DIALLED_MAX: Duration = Duration::from_secs(400);

pub struct PlansEnd;

impl Check for PlansEnd {
    fn name(&self) -> &'static str {
        "I7"
    }

    fn step(&mut self, sim: &Sim) -> Found {
        for key in &sim.book.open {
            let Some(story) = sim.book.stories.get(key).filter(|s| s.answers == 0) else {
                continue;
            };
            let most = if story.inbound { UNANSWERED_MAX } else { DIALLED_MAX };
            let age = sim.now.since(story.arrived.max(sim.disturbed));
            must(age < most, || format!("{key} is unanswered after {age:?}"))?;
        }
        Ok(())
    }
}
