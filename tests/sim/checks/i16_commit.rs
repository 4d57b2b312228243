//! I16, where media is direct: whom an agent took and who then was not joined is promised a callback, unless
//! the caller went; and whoever is told "we call you back" has a promise with an owner.

use super::*;

pub struct Commit;

impl Check for Commit {
    fn name(&self) -> &'static str {
        "I16"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        match what {
            What::CallEnded { call, outcome, by, .. } => {
                let Some(story) = sim.book.stories.get(call) else { return Ok(()) };
                let told = matches!(outcome, Outcome::CallbackPromised | Outcome::OutOfHours);
                must(!told || story.promises == 1, || {
                    format!("{call}: {} promises", story.promises)
                })?;
                let spoke = sim.book.acked.contains(&story.call_id);
                let lost =
                    story.inbound && story.taken.is_some() && !spoke && *outcome == Outcome::Failed;
                // A supervisor who ends a call knows why.
                let caller = matches!(by, Party::Caller | Party::Supervisor);
                must(!lost || caller || story.promises == 1, || {
                    format!("{call} was lost without a promise")
                })
            }
            What::Promised { call, owner, .. } => {
                must(owner.is_some(), || format!("nobody owns the promise of {call}"))
            }
            _ => Ok(()),
        }
    }
}
