//! A sequential matcher, written naively and without looking at the board: the oracle of the property
//! tests. One caller's list, one agents' list, every question answered by a full scan.

use std::collections::BTreeMap;

use super::strategy::Strategy;
use super::{Counts, Flags, Serve};
use crate::domain::Moment;

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Free,
    /// Bound; the number is the binding's.
    Offered(usize),
    Talking(usize),
    Rest {
        until: u64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) doing: Doing,
    pub(super) flags: Flags,
    pub(super) since: u64,
    pub(super) counts: Counts,
    serves: Vec<Serve>,
    offered: usize,
    talks_since: u64,
    back_off_until: u64,
    elsewhere: u32,
}

#[derive(Clone, Debug)]
struct Caller {
    key: (u64, usize),
    queues: Vec<(u16, Strategy)>,
    agents: usize,
    /// Numbers of bindings.
    offered: Vec<usize>,
    answered: Option<usize>,
}

impl Caller {
    fn waits(&self) -> bool {
        self.answered.is_none() && self.offered.len() < self.agents
    }

    fn stands_in(&self, queue: u16) -> bool {
        self.waits() && self.queues.iter().any(|(own, _)| *own == queue)
    }
}

/// Who got whom: call, agent, number of the binding.
pub(super) type Bound = (u32, usize, usize);

/// The world as it should be.
pub(super) struct Reference {
    len_max: usize,
    credit_max: u64,
    pub(super) people: Vec<Person>,
    callers: BTreeMap<u32, Caller>,
    stamps: Vec<u64>,
    /// The call of each binding there ever was.
    bindings: Vec<u32>,
    bound: Vec<Bound>,
    help: Vec<u16>,
}

impl Reference {
    pub(super) fn new(shards: usize, people: usize, len_max: usize, credit_max: u64) -> Self {
        let person = Person {
            doing: Doing::Free,
            flags: Flags::UNREACHABLE,
            since: 0,
            counts: Counts::default(),
            serves: Vec::new(),
            offered: 0,
            talks_since: 0,
            back_off_until: 0,
            elsewhere: 0,
        };
        Self {
            len_max,
            credit_max,
            people: vec![person; people],
            callers: BTreeMap::new(),
            stamps: vec![0; shards],
            bindings: Vec::new(),
            bound: Vec::new(),
            help: Vec::new(),
        }
    }

    /// What was bound since the last question.
    pub(super) fn take_bound(&mut self) -> Vec<Bound> {
        std::mem::take(&mut self.bound)
    }

    /// Callers waiting in a queue.
    pub(super) fn len(&self, queue: u16) -> usize {
        self.callers.values().filter(|caller| caller.stands_in(queue)).count()
    }

    /// Callers of all shards before this one in the queue where fewest are.
    pub(super) fn position(&self, call: u32) -> Option<usize> {
        let own = self.callers.get(&call).filter(|caller| caller.waits())?;
        let ahead = |(queue, _): &(u16, Strategy)| {
            let others = self.callers.values().filter(|caller| caller.stands_in(*queue));
            others.filter(|other| other.key < own.key).count()
        };
        own.queues.iter().map(ahead).min()
    }

    /// A new caller: how many agents at once, by which strategy, where.
    pub(super) fn enter(
        &mut self,
        (now, shard): (u64, usize),
        call: u32,
        credit: u64,
        (agents, strategy): (u8, Strategy),
        queues: &[u16],
    ) -> bool {
        let stamp = now.max(self.stamps[shard] + 1);
        self.stamps[shard] = stamp;
        // Like the board's, so that equal keys are equal here.
        let key = (stamp + 2 * self.credit_max - credit, shard);
        let (queues_of, offered) = (Vec::new(), Vec::new());
        let caller = Caller { key, queues: queues_of, agents: 1, offered, answered: None };
        self.callers.insert(call, caller);
        let entered = self.ask(call, agents, strategy, queues);
        if !entered {
            self.callers.remove(&call);
        }
        entered
    }

    /// A caller asks anew.
    pub(super) fn ask(
        &mut self,
        call: u32,
        agents: u8,
        strategy: Strategy,
        queues: &[u16],
    ) -> bool {
        let joined = queues.iter().filter(|queue| self.join(call, **queue, strategy)).count();
        if joined == 0 && !queues.is_empty() {
            return false;
        }
        self.caller(call).agents = usize::from(agents.clamp(1, 16));
        self.look_for(call);
        true
    }

    pub(super) fn add(&mut self, call: u32, queue: u16, strategy: Strategy) -> bool {
        let joined = self.join(call, queue, strategy);
        if joined {
            self.look_for(call);
        }
        joined
    }

    pub(super) fn move_to(&mut self, call: u32, strategy: Strategy, queues: &[u16]) -> bool {
        let before: Vec<u16> = self.caller(call).queues.iter().map(|(queue, _)| *queue).collect();
        let mut joined = queues.to_vec();
        joined.retain(|queue| self.join(call, *queue, strategy));
        if joined.is_empty() && !queues.is_empty() {
            return false;
        }
        for left in before.into_iter().filter(|queue| !joined.contains(queue)) {
            self.remove(call, left);
        }
        self.look_for(call);
        true
    }

    fn join(&mut self, call: u32, queue: u16, strategy: Strategy) -> bool {
        let full = self.len(queue) >= self.len_max;
        let queues = &mut self.caller(call).queues;
        match queues.iter_mut().find(|(known, _)| *known == queue) {
            Some((_, known)) => *known = strategy,
            None if full => return false,
            None => queues.push((queue, strategy)),
        }
        true
    }

    fn caller(&mut self, call: u32) -> &mut Caller {
        self.callers.get_mut(&call).expect("the driver knows who is there")
    }

    pub(super) fn remove(&mut self, call: u32, queue: u16) {
        if let Some(caller) = self.callers.get_mut(&call) {
            caller.queues.retain(|(known, _)| *known != queue);
        }
    }

    pub(super) fn withdraw(&mut self, call: u32) -> bool {
        self.callers.remove(&call).is_some()
    }

    pub(super) fn give_back(&mut self, call: u32, binding: usize) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        if !caller.offered.contains(&binding) {
            return;
        }
        caller.offered.retain(|known| *known != binding);
        caller.answered = caller.answered.filter(|answered| *answered != binding);
        self.look_for(call);
    }

    pub(super) fn answered(&mut self, now: u64, agent: usize, binding: usize) -> bool {
        let call = self.bindings[binding];
        let first = self.callers.get(&call).is_none_or(|caller| caller.answered.is_none());
        let answered = first && self.people[agent].doing == Doing::Offered(binding);
        if answered {
            self.people[agent].doing = Doing::Talking(binding);
            self.people[agent].counts.calls += 1;
            self.people[agent].talks_since = now;
            if let Some(caller) = self.callers.get_mut(&call) {
                caller.answered = Some(binding);
            }
        }
        answered
    }

    pub(super) fn release(
        &mut self,
        now: u64,
        agent: usize,
        binding: usize,
        rest: Option<u64>,
    ) -> bool {
        let person = &mut self.people[agent];
        if person.doing == Doing::Talking(binding) {
            let talked = Moment::from_micros(now).since(Moment::from_micros(person.talks_since));
            person.counts.talk += talked;
        }
        match (person.doing, rest) {
            (Doing::Offered(b) | Doing::Talking(b), Some(until)) if b == binding && until > now => {
                (person.doing, person.since) = (Doing::Rest { until }, until);
            }
            (Doing::Talking(b), _) if b == binding => {
                (person.doing, person.since) = (Doing::Free, now);
            }
            (Doing::Offered(b), _) if b == binding => person.doing = Doing::Free,
            _ => return false,
        }
        self.give_work(agent);
        true
    }

    pub(super) fn back_off(&mut self, agent: usize, until: u64) {
        self.people[agent].flags = self.people[agent].flags | Flags::BACK_OFF;
        self.people[agent].back_off_until = until;
    }

    pub(super) fn set_flag(&mut self, agent: usize, flag: Flags) {
        self.people[agent].flags = self.people[agent].flags | flag;
    }

    pub(super) fn clear_flag(&mut self, now: u64, agent: usize, flag: Flags) {
        let person = &mut self.people[agent];
        if flag == Flags::LOGGED_OUT && person.flags.contains(flag) {
            person.since = now;
        }
        person.flags = person.flags.without(flag);
        self.give_work(agent);
    }

    pub(super) fn occupy(&mut self, agent: usize) {
        self.people[agent].elsewhere += 1;
        self.set_flag(agent, Flags::BUSY_ELSEWHERE);
    }

    pub(super) fn vacate(&mut self, agent: usize) {
        self.people[agent].elsewhere -= 1;
        if self.people[agent].elsewhere == 0 {
            self.people[agent].flags = self.people[agent].flags.without(Flags::BUSY_ELSEWHERE);
            self.give_work(agent);
        }
    }

    pub(super) fn end_wrap(&mut self, now: u64, agent: usize) -> bool {
        let rests = matches!(self.people[agent].doing, Doing::Rest { .. });
        if rests {
            (self.people[agent].doing, self.people[agent].since) = (Doing::Free, now);
            self.give_work(agent);
        }
        rests
    }

    pub(super) fn operator_release(&mut self, now: u64, agent: usize) -> bool {
        let bound = self.people[agent].doing != Doing::Free;
        if bound {
            (self.people[agent].doing, self.people[agent].since) = (Doing::Free, now);
            self.give_work(agent);
        }
        bound
    }

    pub(super) fn set_roster(&mut self, agent: usize, serves: &[Serve]) {
        self.people[agent].serves = serves.to_vec();
        self.give_work(agent);
    }

    pub(super) fn set_help(&mut self, queue: u16, open: bool) {
        self.help.retain(|known| *known != queue);
        if open {
            self.help.push(queue);
            (0..self.people.len()).for_each(|agent| self.give_work(agent));
        }
    }

    /// How an agent serves a queue now.
    fn serve(&self, agent: usize, queue: u16) -> Option<Serve> {
        let serve = self.people[agent].serves.iter().find(|serve| serve.queue.0 == queue)?;
        (!serve.helper || self.help.contains(&queue)).then_some(*serve)
    }

    /// The next instant at which something ends by itself.
    pub(super) fn next_due(&self) -> Option<u64> {
        let rest = |p: &Person| match p.doing {
            Doing::Rest { until } => until,
            _ => u64::MAX,
        };
        let back_off = |p: &Person| match p.flags.contains(Flags::BACK_OFF) {
            true => p.back_off_until,
            false => u64::MAX,
        };
        let due = self.people.iter().map(|p| rest(p).min(back_off(p))).min();
        due.filter(|due| *due < u64::MAX)
    }

    /// Ends what ends by `now`.
    pub(super) fn expire(&mut self, now: u64) {
        for agent in 0..self.people.len() {
            let person = &mut self.people[agent];
            if person.flags.contains(Flags::BACK_OFF) && person.back_off_until <= now {
                person.flags = person.flags.without(Flags::BACK_OFF);
            }
            if matches!(person.doing, Doing::Rest { until } if until <= now) {
                person.doing = Doing::Free;
            }
            self.give_work(agent);
        }
    }

    fn is_idle(&self, agent: usize) -> bool {
        self.people[agent].doing == Doing::Free && self.people[agent].flags.is_empty()
    }

    /// An agent who may be idle gets the best caller.
    fn give_work(&mut self, agent: usize) {
        if !self.is_idle(agent) {
            return;
        }
        let mut best = None;
        for serve in &self.people[agent].serves {
            let ahead = serve.head_start.as_micros() as u64;
            for (call, caller) in &self.callers {
                let served = self.serve(agent, serve.queue.0).is_some();
                let counted = (caller.key.0 - ahead, caller.key.1);
                let better = best.is_none_or(|(least, _)| counted < least);
                if served && caller.stands_in(serve.queue.0) && better {
                    best = Some((counted, *call));
                }
            }
        }
        if let Some((_, call)) = best {
            self.bind(call, agent);
        }
    }

    /// A caller gets whom it prefers in its first possible queue, as long as it wants anybody.
    fn look_for(&mut self, call: u32) {
        let queues = self.callers.get(&call).map_or_else(Vec::new, |c| c.queues.clone());
        for (queue, strategy) in queues {
            while self.callers.get(&call).is_some_and(Caller::waits) {
                let idle = (0..self.people.len()).filter(|agent| self.is_idle(*agent));
                let serving = idle.filter_map(|agent| {
                    let serve = self.serve(agent, queue)?;
                    let score = self.score(strategy, agent, serve);
                    Some((serve.helper, score, self.people[agent].since, agent))
                });
                let Some((.., agent)) = serving.min() else { break };
                self.bind(call, agent);
            }
        }
    }

    fn score(&self, strategy: Strategy, agent: usize, serve: Serve) -> u128 {
        let person = &self.people[agent];
        match strategy {
            Strategy::LongestIdle => 0,
            Strategy::RoundRobin => person.offered as u128,
            Strategy::FewestCalls => person.counts.calls.into(),
            Strategy::LeastTalk => person.counts.talk.as_micros(),
            Strategy::Skill { wanted } if wanted > serve.level => (wanted - serve.level).into(),
            Strategy::Skill { .. } => 0,
            Strategy::Ordered => serve.rank.into(),
        }
    }

    fn bind(&mut self, call: u32, agent: usize) {
        let binding = self.bindings.len();
        self.bindings.push(call);
        self.caller(call).offered.push(binding);
        self.people[agent].doing = Doing::Offered(binding);
        self.people[agent].offered = self.bindings.len();
        self.bound.push((call, agent, binding));
    }
}
