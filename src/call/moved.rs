//! A supervisor takes a waiting call to another queue (clause B8). It keeps its place.

use crate::domain::{CallKey, PersonId, QueueId};
use crate::policy::{Facts, MoveTo, Step, moved_step};

use super::line::nobody_left;
use super::state::{Call, Phase};
use super::{Calls, Env, What};

/// Steps that a plan may come to have by moves.
const STEPS_MAX: usize = 64;

impl Calls {
    /// `key` waits for `to` from now on, its plan goes on from there. What rings already may still
    /// answer. Errors: why not, in words; the call stays where it is.
    pub fn move_to(
        &mut self,
        env: &mut Env<'_>,
        key: CallKey,
        to: &MoveTo,
        (by, asked): (&PersonId, &str),
    ) -> Result<(), String> {
        let mut done = Err(format!("no call {key} is up: see `telefonist calls --live`"));
        self.with(key, |calls, call| done = calls.moved(env, call, to, (by, asked)));
        done
    }

    fn moved(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        to: &MoveTo,
        (by, asked): (&PersonId, &str),
    ) -> Result<(), String> {
        let key = call.key;
        match call.phase {
            Phase::Identifying => return Err(format!("call {key} is not routed yet: try again")),
            Phase::Answering | Phase::Talking => {
                let who = call.answered_by.and_then(|(agent, _)| env.person(agent));
                let who = who.map_or_else(|| "the other side".to_owned(), |p| p.to_string());
                return Err(format!("call {key} was answered by {who}: it does not wait any more"));
            }
            Phase::Waiting => {}
        }
        let (Some(decided), Some(current), false) =
            (&call.decision, call.line.step, call.line.exhausted)
        else {
            return Err(format!("call {key} stands in no queue"));
        };
        if decided.plan.steps.len() >= STEPS_MAX {
            return Err(format!("call {key} was moved too often"));
        }
        let facts = Facts { at: env.wall, ..decided.facts.clone() };
        let step = moved_step(&call.policy, env.directory, &facts, (to, by));
        if stands_there_alone(call, &step) {
            return Err(format!("call {key} waits for {to} already, and for nobody else"));
        }
        if let Some(why) = nobody_left(env, call, &step) {
            return Err(format!("{why}: call {key} stays where it is"));
        }
        let stood = call.line.queues.clone();
        let mut joined = step.queues.clone();
        joined.retain(|queue| self.join(env, call, *queue, &step));
        if joined.is_empty() {
            return Err(format!("the queue of {to} is full: call {key} stays where it is"));
        }
        for (queue, _) in stood.iter().filter(|(queue, _)| !joined.contains(queue)) {
            env.desk.remove(key, *queue);
        }
        let index = current + 1;
        call.line.moves.insert(index, (to.clone(), by.clone()));
        call.line.taken.clear();
        // The hand took the call from them before they had their wait: a later step may name them.
        let left = decided.plan.steps.iter().take(index);
        let owners = left.flat_map(|step| step.queues.iter().map(move |queue| (step, queue)));
        let owners = owners.filter_map(|(step, queue)| {
            Some((step.to.clone(), env.directory.queue_owner(*queue)?))
        });
        call.line.unwaited.extend(owners);
        let (to, clause) = (step.to.clone(), step.clause.clone());
        let why = format!("moved by {by} ({asked})").into();
        env.event(What::StepBegan { call: key, step: index as u16, to, clause, why });
        call.line.queues = joined.into_iter().map(|queue| (queue, index)).collect();
        call.line.step = Some(index);
        call.line.ends = Some(env.now + step.wait);
        if let Some(decided) = &mut call.decision {
            let at = index.min(decided.plan.steps.len());
            decided.plan.steps.insert(at, step);
        }
        Ok(())
    }
}

/// The call stands in the queues of `step` and in no other: the move would change nothing but its times.
fn stands_there_alone(call: &Call, step: &Step) -> bool {
    let stood = &call.line.queues;
    let stands = |queue: &QueueId| stood.iter().any(|(which, _)| which == queue);
    !stood.is_empty()
        && step.queues.iter().all(stands)
        && stood.iter().all(|(queue, _)| step.queues.contains(queue))
}
