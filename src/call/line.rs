//! The steps of a plan (clause C7): gone, busy, no answer and refused; steps add up.

use std::sync::Arc;

use crate::acd::{Ask, Assignment, Flags, Strategy};
use crate::domain::{AgentId, CallKey, Moment, QueueId};
use crate::policy::{Member, Pick, Stand, Step, following};

use super::afresh::read_again;
use super::presence::gone;
use super::state::{Call, Phase};
use super::{Calls, Env, What};

impl Calls {
    /// Agents that the desk has given to calls of ours.
    pub fn assignments(&mut self, env: &mut Env<'_>) {
        while let Some(assignment) = env.desk.poll() {
            let Assignment { call, token, .. } = assignment;
            if !self.calls.contains_key(&call) {
                // Cannot be: a call leaves the desk when it ends. The agent is not to suffer for it.
                env.desk.release(env.now, token, crate::acd::After::Free);
                continue;
            }
            self.with(call, |calls, call| calls.offer_to_agent(env, call, &assignment));
        }
    }

    /// Somebody went (or came): steps whose last person is gone end at once.
    pub fn presence_changed(&mut self, env: &mut Env<'_>) {
        let epoch = env.board.presence_epoch();
        if std::mem::replace(&mut self.presence_epoch, epoch) == epoch {
            return;
        }
        let waiting: Vec<CallKey> = self
            .calls
            .values()
            .filter(|c| c.phase == Phase::Waiting && c.ringing.is_empty())
            .map(|c| c.key)
            .collect();
        for key in waiting {
            self.with(key, |calls, call| calls.recheck(env, call));
        }
    }

    /// Goes on to the next step if nobody is left for whom the caller could wait here.
    pub(super) fn recheck(&mut self, env: &mut Env<'_>, call: &mut Call) {
        if call.phase == Phase::Waiting && call.ringing.is_empty() && has_opened(env, call) {
            return self.look_again(env, call);
        }
        self.recheck_as_read(env, call);
    }

    /// The same with the steps as they were read last.
    pub(super) fn recheck_as_read(&mut self, env: &mut Env<'_>, call: &mut Call) {
        if call.phase != Phase::Waiting || !call.ringing.is_empty() {
            return;
        }
        // Somebody of an earlier step became free meanwhile, and has just been given the call.
        let late = call.answer_by == Moment::NEVER;
        if env.desk.is_offered(call.key) && !late {
            return;
        }
        if call.line.exhausted {
            return self.plan_over(env, call, "the plan was over while a phone rang");
        }
        let step = call.line.step.and_then(|s| call.plan_step(s));
        // A queue that was closed may have been full elsewhere.
        let out = call.line.ends.is_some() && call.line.queues.is_empty();
        let out = out.then(|| "it stands in no queue any more".into());
        if let Some(why) = step.and_then(|s| nobody_left(env, call, s)).or(out) {
            self.next_step(env, call, &why);
        }
    }

    /// The next step with anybody in it begins; after the last one the plan is over.
    pub(super) fn next_step(&mut self, env: &mut Env<'_>, call: &mut Call, why: &str) {
        let mut why: Arc<str> = why.into();
        loop {
            let next = following(call.line.step);
            call.line.step = Some(next);
            call.line.ends = None;
            if next > 0 {
                // Who is absent now may not have been when the call came, and has a deputy (C1).
                read_again(env, call, |_, step| step == next);
            }
            let Some(step) = call.plan_step(next).cloned() else {
                return self.plan_over(env, call, &why);
            };
            env.event(What::StepBegan {
                call: call.key,
                step: next as u16,
                to: step.to.clone(),
                clause: step.clause.clone(),
                why: why.clone(),
            });
            why = match self.stand_in_line(env, call, next, &step) {
                Ok(()) => return,
                Err(skipped) => skipped,
            };
        }
    }

    fn stand_in_line(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        index: usize,
        step: &Step,
    ) -> Result<(), Arc<str>> {
        let nobody = nobody_left(env, call, step);
        if step.only
            && let Some(nobody) = nobody
        {
            return Err(nobody);
        }
        if step.only {
            call.line.taken.clear();
            for (queue, _) in std::mem::take(&mut call.line.queues) {
                env.desk.remove(call.key, queue);
            }
        }
        let mut stands = false;
        for queue in &step.queues {
            // In a queue that holds the call already, this step's order counts from now on.
            if self.join(env, call, *queue, step) {
                call.line.queues.push((*queue, index));
                stands = true;
            } else if let Some(owner) = env.directory.queue_owner(*queue) {
                call.line.unwaited.push((step.to.clone(), owner));
            }
        }
        // Skipped at once; who comes back while the caller waits elsewhere finds them here.
        if let Some(nobody) = nobody {
            call.line.taken.insert(index);
            let people = step.people.iter().map(|member| (step.to.clone(), member.agent));
            call.line.unwaited.extend(people);
            return Err(nobody);
        }
        if !stands {
            call.line.overflowed = true;
            return Err(format!("{}: the queue is full", step.to).into());
        }
        call.line.overflowed = false;
        call.line.ends = Some(env.now + step.wait);
        Ok(())
    }

    /// The call stands in `queue` too, at its own place, as `step` asks. `false`: the queue is full.
    pub(super) fn join(&self, env: &mut Env<'_>, call: &Call, queue: QueueId, step: &Step) -> bool {
        let credit = call.decision.as_ref().map(|d| d.plan.credit).unwrap_or_default();
        let ask = Ask { credit, agents: step.together, strategy: strategy(&step.order) };
        env.desk.enter(call.arrived, call.key, ask, &[queue]).is_ok()
    }

    /// Nobody answered: the ending, unless a phone still rings (its ring is never cut).
    fn plan_over(&mut self, env: &mut Env<'_>, call: &mut Call, why: &str) {
        call.line.ends = None;
        if !call.ringing.is_empty() || (!call.line.exhausted && env.desk.is_offered(call.key)) {
            call.line.exhausted = true;
            return;
        }
        self.end_of_plan(env, call, why);
    }

    pub(super) fn call_due(&mut self, env: &mut Env<'_>, key: CallKey) {
        self.with(key, |calls, call| {
            if call.ends_at <= env.now {
                return calls.too_long(env, call);
            }
            if call.phase == Phase::Identifying && call.identify_by <= env.now {
                calls.decide(env, call, super::Found::unavailable("no answer in time"));
            }
            if !call.ended && matches!(call.phase, Phase::Identifying | Phase::Waiting) {
                calls.waiting_due(env, call);
            }
            if !call.ended {
                calls.legs_due(env, call);
            }
        });
    }

    fn waiting_due(&mut self, env: &mut Env<'_>, call: &mut Call) {
        if call.provisional_at <= env.now {
            self.keep_waiting(env, call);
        }
        if call.answer_by <= env.now {
            call.answer_by = Moment::NEVER;
            call.line.step = call.decision.as_ref().map(|d| d.plan.steps.len());
            return self.plan_over(env, call, "the trunk would give up: answer_within");
        }
        if call.line.ends.is_some_and(|ends| ends <= env.now) {
            self.next_step(env, call, "nobody became free within `wait`");
        }
    }
}

/// Somebody of a step that holds the call, or did not because nobody was there, was out of hours when it was
/// read, and is in them now.
fn has_opened(env: &Env<'_>, call: &mut Call) -> bool {
    let Some(current) = call.line.step else { return false };
    // Of a thousand people usually none: who comes or goes must not cost a look at each for each caller.
    let plan = call.decision.as_ref().map(|decided| &decided.plan);
    let closed =
        || plan.is_some_and(|p| p.steps.iter().flat_map(|s| s.people.iter()).any(|c| c.closed));
    if !*call.line.somebody_closed.get_or_insert_with(closed) {
        return false;
    }
    let steps = (0..=current).filter(|step| *step == current || call.line.keeps(*step));
    let people = steps.filter_map(|step| call.plan_step(step)).flat_map(|step| step.people.iter());
    let mut closed = people.filter(|member| member.closed);
    closed.any(|c| !env.board.presence(c.agent).flags.contains(Flags::OFF_SHIFT))
}

/// What a step's order is for the distributor.
fn strategy(order: &Pick) -> Strategy {
    match order {
        Pick::LongestIdle => Strategy::LongestIdle,
        Pick::RoundRobin => Strategy::RoundRobin,
        Pick::FewestCalls => Strategy::FewestCalls,
        Pick::LeastTalk => Strategy::LeastTalk,
        Pick::Skill(wanted) => Strategy::Skill { wanted: *wanted },
        Pick::Listed(_) => Strategy::Ordered,
    }
}

/// Why nobody of a step is worth waiting for; `None` if somebody is free or busy.
pub(super) fn nobody_left(env: &Env<'_>, call: &Call, step: &Step) -> Option<Arc<str>> {
    if step.people.iter().any(|member| stand(env, call, member).0.holds()) {
        return None;
    }
    let turned_away = |m: &&Member| stand(env, call, m).0 == Stand::TurnedAway;
    let mut turned_away = step.people.iter().filter(turned_away);
    let is_alone = turned_away.all(|m| call.line.going.contains(&m.agent));
    // Clause B7: helpers may be there. While nobody of the group is (B4), help opens a moment later.
    let is_here = |agent: &AgentId| {
        !env.board.presence(*agent).is_gone() && !call.line.turned_away.contains(agent)
    };
    let helped = |queue: &QueueId| {
        (is_alone || env.board.is_help_open(*queue))
            && env.board.helpers(*queue).iter().any(is_here)
    };
    // Who has just been moved into the group is on the board before every worker knows of it (B8).
    let joined = |queue: &QueueId| env.board.members(*queue).iter().any(is_here);
    if step.queues.iter().any(|queue| helped(queue) || joined(queue)) {
        return None;
    }
    if step.people.is_empty() {
        let note = step.note.as_deref().unwrap_or("nobody");
        return Some(format!("{}: {note}", step.to).into());
    }
    let reason = |m: &Member| {
        let person = env.person(m.agent)?;
        Some(match env.directory.position_closed_at(m.agent) {
            Some(order) => format!("{person} position closed by {} (B8)", order.by),
            None => format!("{person} {}", stand(env, call, m).1),
        })
    };
    let reasons: Vec<String> = step.people.iter().filter_map(reason).collect();
    Some(format!("{}: {}", step.to, reasons.join(", ")).into())
}

/// How somebody of a step stands to a call now, and why so.
fn stand(env: &Env<'_>, call: &Call, member: &Member) -> (Stand, &'static str) {
    let agent = member.agent;
    if env.directory.position_closed_at(agent).is_some() {
        (Stand::Gone, "position closed")
    } else if member.closed {
        (Stand::Gone, "department closed")
    } else if let Some(why) = gone(&env.board.presence(agent)) {
        (Stand::Gone, why)
    } else if call.line.turned_away.contains(&agent) {
        (Stand::TurnedAway, "did not take this call")
    } else {
        (Stand::Here, "")
    }
}
