//! A caller in line while people change: what the steps of the plan mean is looked at afresh.
//!
//! The call keeps its policy, its rule and its place. Absences, roles and a supervisor's orders (B8) may
//! name others now: a step that still holds the call takes them in or lets them go, steps to come are
//! read when they come. The plan never goes back (B10), but steps add up (C7): a step that was skipped
//! because nobody was there, and a queue that was taken from the call because it closed, hold it again when
//! somebody is there.

use std::collections::BTreeMap;

use crate::domain::{CallKey, QueueId};
use crate::policy::{Facts, Step, moved_step, steps_again};

use super::state::{Call, Phase};
use super::{Calls, Env};

impl Calls {
    /// Roles, absences or orders are others than before.
    pub fn directory_changed(&mut self, env: &mut Env<'_>) {
        let waiting = self.calls.values().filter(|c| c.phase == Phase::Waiting);
        let waiting: Vec<CallKey> = waiting.map(|c| c.key).collect();
        for key in waiting {
            self.with(key, |calls, call| calls.look_again(env, call));
        }
    }

    pub(super) fn look_again(&mut self, env: &mut Env<'_>, call: &mut Call) {
        let Some(current) = call.line.step else { return };
        read_again(env, call, |call, step| step >= current || call.line.keeps(step));
        let running = call.line.ends.is_some();
        let holds = |step: &usize| (*step == current && running) || call.line.keeps(*step);
        let steps = (0..=current).filter(holds).filter_map(|i| Some((i, call.plan_step(i)?)));
        let wanted: Vec<(QueueId, usize)> =
            steps.flat_map(|(i, step)| step.queues.iter().map(move |queue| (*queue, i))).collect();
        let stood = std::mem::take(&mut call.line.queues);
        for (queue, step) in stood.iter().filter(|(q, _)| !wanted.iter().any(|(w, _)| w == q)) {
            env.desk.remove(call.key, *queue);
            call.line.taken.insert(*step);
        }
        for (queue, index) in wanted {
            let known = stood.iter().any(|(q, _)| *q == queue);
            let joins = |step: &Step| self.join(env, call, queue, step);
            if known || call.plan_step(index).is_some_and(joins) {
                call.line.queues.push((queue, index));
            }
        }
        self.recheck_as_read(env, call);
    }
}

/// Reads the steps that `which` names again, with today's people.
pub(super) fn read_again(env: &Env<'_>, call: &mut Call, which: impl Fn(&Call, usize) -> bool) {
    let Some(decided) = &call.decision else { return };
    let facts = Facts { at: env.wall, ..decided.facts.clone() };
    let rule = (&*decided.rule, &call.line.unwaited[..]);
    let fresh = steps_again(&call.policy, env.directory, &facts, rule);
    let moves = call
        .line
        .moves
        .iter()
        .map(|(i, (to, by))| (*i, moved_step(&call.policy, env.directory, &facts, (to, by))));
    let moves: BTreeMap<usize, Step> = moves.collect();
    let chosen: Vec<usize> =
        (0..decided.plan.steps.len()).filter(|step| which(call, *step)).collect();
    let Some(decided) = &mut call.decision else { return };
    call.line.somebody_closed = None;
    for (i, step) in decided.plan.steps.iter_mut().enumerate() {
        // A step's words are its own within a route.
        let found = moves.get(&i).or_else(|| fresh.iter().find(|f| f.to == step.to));
        let found = found.filter(|_| chosen.contains(&i));
        let found = found.cloned();
        if let Some(Step { people, fingerprint, stands_in_for, queues, note, .. }) = found {
            (step.people, step.fingerprint) = (people, fingerprint);
            step.stands_in_for = stands_in_for;
            (step.queues, step.note) = (queues, note);
        }
    }
}
