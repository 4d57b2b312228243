//! A sequential matcher, written naively and without looking at the board: the oracle of the property
//! tests. One caller's list, one agents' list, every question answered by a full scan.

use std::collections::BTreeMap;

use super::Flags;

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
    pub(super) queues: Vec<u16>,
    back_off_until: u64,
    elsewhere: u32,
}

#[derive(Clone, Debug)]
struct Caller {
    key: (u64, usize),
    queues: Vec<u16>,
    waits: bool,
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
    bindings: usize,
    bound: Vec<Bound>,
}

impl Reference {
    pub(super) fn new(shards: usize, people: usize, len_max: usize, credit_max: u64) -> Self {
        let person = Person {
            doing: Doing::Free,
            flags: Flags::UNREACHABLE,
            since: 0,
            queues: Vec::new(),
            back_off_until: 0,
            elsewhere: 0,
        };
        Self {
            len_max,
            credit_max,
            people: vec![person; people],
            callers: BTreeMap::new(),
            stamps: vec![0; shards],
            bindings: 0,
            bound: Vec::new(),
        }
    }

    /// What was bound since the last question.
    pub(super) fn take_bound(&mut self) -> Vec<Bound> {
        std::mem::take(&mut self.bound)
    }

    /// Callers waiting in a queue.
    pub(super) fn len(&self, queue: u16) -> usize {
        self.callers.values().filter(|c| c.waits && c.queues.contains(&queue)).count()
    }

    /// Callers of all shards before this one in the queue where fewest are.
    pub(super) fn position(&self, call: u32) -> Option<usize> {
        let own = self.callers.get(&call).filter(|caller| caller.waits)?;
        let ahead = |queue: &u16| {
            let others = self.callers.values().filter(|c| c.waits && c.queues.contains(queue));
            others.filter(|other| other.key < own.key).count()
        };
        own.queues.iter().map(ahead).min()
    }

    pub(super) fn enter(
        &mut self,
        now: u64,
        shard: usize,
        call: u32,
        credit: u64,
        queues: &[u16],
    ) -> bool {
        let stamp = now.max(self.stamps[shard] + 1);
        self.stamps[shard] = stamp;
        let with_room: Vec<u16> =
            queues.iter().copied().filter(|queue| self.len(*queue) < self.len_max).collect();
        if with_room.is_empty() && !queues.is_empty() {
            return false;
        }
        let key = (stamp + self.credit_max - credit, shard);
        self.callers.insert(call, Caller { key, queues: with_room, waits: true });
        self.look_for(call);
        true
    }

    pub(super) fn add(&mut self, call: u32, queue: u16) -> bool {
        let full = self.len(queue) >= self.len_max;
        let Some(caller) = self.callers.get_mut(&call) else { return true };
        if caller.queues.contains(&queue) {
            return true;
        }
        if !full {
            caller.queues.push(queue);
            self.look_for(call);
        }
        !full
    }

    pub(super) fn remove(&mut self, call: u32, queue: u16) {
        if let Some(caller) = self.callers.get_mut(&call) {
            caller.queues.retain(|q| *q != queue);
        }
    }

    pub(super) fn withdraw(&mut self, call: u32) -> bool {
        self.callers.remove(&call).is_some()
    }

    pub(super) fn give_back(&mut self, call: u32) {
        if let Some(caller) = self.callers.get_mut(&call).filter(|caller| !caller.waits) {
            caller.waits = true;
            self.look_for(call);
        }
    }

    pub(super) fn answered(&mut self, agent: usize, binding: usize) -> bool {
        let offered = self.people[agent].doing == Doing::Offered(binding);
        if offered {
            self.people[agent].doing = Doing::Talking(binding);
        }
        offered
    }

    pub(super) fn release(
        &mut self,
        now: u64,
        agent: usize,
        binding: usize,
        rest: Option<u64>,
    ) -> bool {
        let person = &mut self.people[agent];
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

    pub(super) fn set_roster(&mut self, agent: usize, queues: &[u16]) {
        self.people[agent].queues = queues.to_vec();
        self.give_work(agent);
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
        let serves = |caller: &&Caller| {
            caller.waits && caller.queues.iter().any(|q| self.people[agent].queues.contains(q))
        };
        let best = self.callers.iter().filter(|(_, c)| serves(c)).min_by_key(|(_, c)| c.key);
        if let Some((call, _)) = best {
            self.bind(*call, agent);
        }
    }

    /// A caller gets whoever serves its first possible queue and is idle for longest.
    fn look_for(&mut self, call: u32) {
        let caller = self.callers.get(&call).filter(|caller| caller.waits);
        let queues = caller.map_or_else(Vec::new, |caller| caller.queues.clone());
        for queue in queues {
            let idle = (0..self.people.len())
                .filter(|a| self.is_idle(*a) && self.people[*a].queues.contains(&queue));
            if let Some(agent) = idle.min_by_key(|a| (self.people[*a].since, *a)) {
                return self.bind(call, agent);
            }
        }
    }

    fn bind(&mut self, call: u32, agent: usize) {
        self.callers.get_mut(&call).expect("it waits").waits = false;
        self.people[agent].doing = Doing::Offered(self.bindings);
        self.bound.push((call, agent, self.bindings));
        self.bindings += 1;
    }
}
