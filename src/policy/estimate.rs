//! What another policy would have meant for waits: recorded calls queue again under other plans.
//!
//! ```text
//! arrivals (recorded) ─► plan's steps (they add up, C7) ─► longest idle of those who are free
//!                            talk (recorded) + wrap-up ─► free again
//! ```
//! An estimate, with these assumptions: whoever is offered a call takes it at once; who was gone when a
//! call was decided is gone for that call; who was busy then is busy only if these calls make them so;
//! a caller who gave up has the recorded patience, others wait to the end of the plan; who was never
//! answered talks for as long as the mean. Deterministic: nothing is drawn. Knows no register.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Plan, Presence};
use crate::domain::AgentId;

/// One call as it was recorded.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it came, milliseconds on any scale.
    pub at_ms: i64,
    /// From answer to end, if it was answered.
    pub talk_ms: Option<i64>,
    /// The caller hung up after so long.
    pub patience_ms: Option<i64>,
}

/// What became of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Service {
    /// All that were counted.
    pub calls: u32,
    /// Somebody spoke with the caller.
    pub answered: u32,
    /// The caller hung up first.
    pub abandoned: u32,
    /// The plan ended without anybody.
    pub unanswered: u32,
    /// Answered within [`SERVICE_MS`].
    pub in_time: u32,
    /// Sum of the waits of those who were answered.
    pub wait_ms: i64,
}

/// The usual measure of a service level: answered within 20 s.
pub const SERVICE_MS: i64 = 20_000;

impl Service {
    /// Counts one answered call.
    pub fn answered(&mut self, wait_ms: i64) {
        self.calls += 1;
        self.answered += 1;
        self.in_time += u32::from(wait_ms <= SERVICE_MS);
        self.wait_ms += wait_ms;
    }

    /// Counts one that nobody answered.
    pub fn lost(&mut self, abandoned: bool) {
        self.calls += 1;
        self.abandoned += u32::from(abandoned);
        self.unanswered += u32::from(!abandoned);
    }

    /// Mean wait of the answered, milliseconds.
    pub fn mean_wait_ms(&self) -> i64 {
        self.wait_ms / i64::from(self.answered.max(1))
    }

    /// Share of all calls that were answered in time, percent.
    pub fn level_percent(&self) -> u32 {
        self.in_time * 100 / self.calls.max(1)
    }
}

/// A call that waits: since when its steps hold whom.
struct Waiting {
    index: usize,
    at_ms: i64,
    /// Its place in line: a head start counts as an earlier arrival.
    since_ms: i64,
    step: usize,
    step_ends_ms: i64,
    may_take: BTreeSet<AgentId>,
}

/// Lets `calls` (with their plans, by arrival) queue.
pub fn estimate(calls: &[(Arrival, Plan)], wrap_up_ms: i64) -> Service {
    let talks: Vec<i64> = calls.iter().filter_map(|(arrival, _)| arrival.talk_ms).collect();
    let mean_talk = talks.iter().sum::<i64>() / (talks.len().max(1) as i64);
    let mut world = World { calls, wrap_up_ms, mean_talk, ..World::default() };
    for (index, (arrival, _)) in calls.iter().enumerate() {
        world.run_to(arrival.at_ms);
        world.arrive(index);
    }
    world.run_to(i64::MAX);
    world.service
}

#[derive(Default)]
struct World<'a> {
    calls: &'a [(Arrival, Plan)],
    wrap_up_ms: i64,
    mean_talk: i64,
    /// Until when somebody is taken, and since when they are idle after that.
    busy_until: BTreeMap<AgentId, i64>,
    waiting: Vec<Waiting>,
    service: Service,
}

impl World<'_> {
    fn arrive(&mut self, index: usize) {
        let (arrival, plan) = &self.calls[index];
        let credit = i64::try_from(plan.credit.as_millis()).unwrap_or(0);
        let call = Waiting {
            index,
            at_ms: arrival.at_ms,
            since_ms: arrival.at_ms - credit,
            step: 0,
            step_ends_ms: arrival.at_ms,
            may_take: BTreeSet::new(),
        };
        self.begin_steps(call, arrival.at_ms);
        self.serve(arrival.at_ms);
    }

    /// Begins the call's next steps at `now`, those at once whose people are all gone (C7); counts it
    /// as unanswered after the last.
    fn begin_steps(&mut self, mut call: Waiting, now: i64) {
        let (_, plan) = &self.calls[call.index];
        while let Some(step) = plan.steps.get(call.step) {
            call.step += 1;
            let here = step.people.iter().filter(|person| {
                !step.queues.is_empty() && !matches!(person.presence, Presence::Gone { .. })
            });
            let here: Vec<AgentId> = here.map(|person| person.agent).collect();
            if step.only {
                call.may_take.clear();
            }
            if here.is_empty() {
                continue;
            }
            call.may_take.extend(here);
            call.step_ends_ms = now + i64::try_from(step.wait.as_millis()).unwrap_or(0);
            self.waiting.push(call);
            return;
        }
        self.service.lost(false);
    }

    /// Everything that happens before `end`, in its order.
    fn run_to(&mut self, end: i64) {
        while let Some(now) = self.next_event().filter(|now| *now < end) {
            self.give_up(now);
            self.serve(now);
            let over = |call: &Waiting| call.step_ends_ms <= now;
            while let Some(place) = self.waiting.iter().position(over) {
                let call = self.waiting.remove(place);
                self.begin_steps(call, now);
                self.serve(now);
            }
        }
    }

    /// When something may change for those who wait.
    fn next_event(&self) -> Option<i64> {
        let patience = |call: &Waiting| Some(call.at_ms + self.calls[call.index].0.patience_ms?);
        let free = |call: &Waiting| {
            call.may_take.iter().filter_map(|agent| self.busy_until.get(agent).copied()).min()
        };
        let of = |call: &Waiting| {
            let ends = [Some(call.step_ends_ms), patience(call), free(call)];
            ends.into_iter().flatten().min()
        };
        self.waiting.iter().filter_map(of).min()
    }

    fn give_up(&mut self, now: i64) {
        let calls = self.calls;
        let gone = |call: &Waiting| {
            calls[call.index].0.patience_ms.is_some_and(|patience| call.at_ms + patience <= now)
        };
        let before = self.waiting.len();
        self.waiting.retain(|call| !gone(call));
        for _ in self.waiting.len()..before {
            self.service.lost(true);
        }
    }

    /// The first in line gets the longest idle of those whom it may have.
    fn serve(&mut self, now: i64) {
        self.waiting.sort_by_key(|call| (call.since_ms, call.index));
        let mut place = 0;
        while let Some(call) = self.waiting.get(place) {
            let free = |agent: &&AgentId| self.busy_until.get(agent).is_none_or(|end| *end <= now);
            let idle = |agent: &&AgentId| self.busy_until.get(agent).copied().unwrap_or(i64::MIN);
            let Some(agent) = call.may_take.iter().filter(free).min_by_key(idle).copied() else {
                place += 1;
                continue;
            };
            let call = self.waiting.remove(place);
            let talk = self.calls[call.index].0.talk_ms.unwrap_or(self.mean_talk);
            self.busy_until.insert(agent, now + talk + self.wrap_up_ms);
            self.service.answered(now - call.at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::QueueId;
    use crate::policy::{Candidate, Ending, Step};

    fn plan(steps: &[(&[u16], u64)]) -> Plan {
        let step = |(people, wait): &(&[u16], u64)| Step {
            to: "x".into(),
            clause: "B4".into(),
            people: people.iter().map(|n| candidate(*n)).collect(),
            others: None,
            queues: vec![QueueId(1)],
            ring: Duration::from_secs(20),
            wait: Duration::from_secs(*wait),
            only: false,
            order: Default::default(),
            together: 1,
            note: None,
        };
        let ending = Ending::Callback { owner: None };
        Plan {
            steps: steps.iter().map(step).collect(),
            ending,
            credit: Duration::ZERO,
            display: "".into(),
        }
    }

    fn candidate(n: u16) -> Candidate {
        let presence = Presence::Free;
        Candidate {
            person: "p".into(),
            agent: AgentId(n),
            stands_in_for: None,
            presence,
            closed: false,
        }
    }

    fn call(at_s: i64, talk_s: i64, plan: Plan) -> (Arrival, Plan) {
        let arrival =
            Arrival { at_ms: at_s * 1_000, talk_ms: Some(talk_s * 1_000), patience_ms: None };
        (arrival, plan)
    }

    #[test]
    fn a_caller_waits_for_whoever_talks_and_wraps_up_and_goes_on_when_the_step_is_over() {
        let one: &[u16] = &[1];
        let calls = [
            call(0, 20, plan(&[(one, 30)])),
            call(5, 10, plan(&[(one, 30)])),
            call(6, 10, plan(&[(one, 10), (&[2], 30)])),
            call(7, 10, plan(&[(one, 10)])),
        ];
        let service = estimate(&calls, 10_000);
        // 0 s · until 30: 25 s · the second step from 16 on: 10 s · nobody by 17.
        let expected = Service {
            calls: 4,
            answered: 3,
            abandoned: 0,
            unanswered: 1,
            in_time: 2,
            wait_ms: 35_000,
        };
        assert_eq!(service, expected);
        assert_eq!((service.level_percent(), service.mean_wait_ms()), (50, 11_666));
    }

    #[test]
    fn who_gives_up_leaves_and_who_is_gone_is_skipped_at_once() {
        let one: &[u16] = &[1];
        let mut impatient = call(5, 10, plan(&[(one, 60)]));
        impatient.0.patience_ms = Some(3_000);
        let mut gone = plan(&[(one, 60), (&[2], 30)]);
        gone.steps[0].people[0].presence = Presence::Gone { why: "paused".into() };
        let service = estimate(&[call(0, 20, plan(&[(one, 30)])), impatient, call(6, 5, gone)], 0);
        assert_eq!((service.answered, service.abandoned, service.wait_ms), (2, 1, 0));
    }

    #[test]
    fn a_head_start_goes_before_an_earlier_arrival() {
        let one: &[u16] = &[1];
        let mut early = plan(&[(one, 90)]);
        early.credit = Duration::from_secs(60);
        let calls =
            [call(0, 20, plan(&[(one, 30)])), call(1, 100, plan(&[(one, 90)])), call(2, 10, early)];
        let service = estimate(&calls, 0);
        assert_eq!(service.wait_ms, 18_000 + 29_000, "the third at 20 s, the second at 30 s");
    }
}
