//! A sequential matcher: plain ordered maps. What a lock or a single writer stands around.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Queue, World};

/// Who waits and who is idle, in order.
pub struct Matcher {
    world: World,
    /// Counts arrivals and releases: the order of both.
    count: u64,
    /// Each person's own queue, then the group's: arrivals with thread and call.
    waiting: Vec<BTreeMap<u64, (usize, u32)>>,
    places: Vec<BTreeMap<u32, u64>>,
    /// Since when an agent is idle.
    idle: Vec<Option<u64>>,
    idle_grouped: BTreeSet<(u64, usize)>,
    /// Agents bound to calls of each thread, not fetched yet.
    pub bound: Vec<VecDeque<(u32, usize)>>,
}

impl Matcher {
    /// Everybody idle, nobody waiting.
    pub fn new(world: World) -> Self {
        let idle = (0..world.agents).map(|agent| Some(agent as u64));
        Self {
            world,
            count: world.agents as u64,
            waiting: vec![BTreeMap::new(); world.agents + 1],
            places: vec![BTreeMap::new(); world.threads],
            idle: idle.collect(),
            idle_grouped: (0..world.grouped).map(|agent| (agent as u64, agent)).collect(),
            bound: vec![VecDeque::new(); world.threads],
        }
    }

    /// A caller comes: to the agent idle for longest, or into the line. The thread that has to fetch.
    pub fn enter(&mut self, thread: usize, call: u32, queue: Queue) -> Option<usize> {
        let idle = match queue {
            Queue::Own(agent) => self.idle[agent].map(|_| agent),
            Queue::Group => self.idle_grouped.first().map(|(_, agent)| *agent),
        };
        let Some(agent) = idle else {
            self.count += 1;
            let place = self.place(queue);
            self.waiting[place].insert(self.count, (thread, call));
            self.places[thread].insert(call, self.count);
            return None;
        };
        let since = self.idle[agent].take().expect("seen idle");
        self.idle_grouped.remove(&(since, agent));
        self.bound[thread].push_back((call, agent));
        Some(thread)
    }

    /// A caller hangs up. `false`: does not wait any more.
    pub fn hang_up(&mut self, thread: usize, call: u32, queue: Queue) -> bool {
        let Some(arrival) = self.places[thread].remove(&call) else { return false };
        let place = self.place(queue);
        self.waiting[place].remove(&arrival).is_some()
    }

    /// An agent comes free: to the oldest caller, or idle. The thread that has to fetch.
    pub fn release(&mut self, agent: usize) -> Option<usize> {
        let group = (agent < self.world.grouped).then_some(self.world.agents);
        let queues = [agent].into_iter().chain(group);
        let heads = queues.filter_map(|q| self.waiting[q].first_key_value().map(|(k, _)| (*k, q)));
        let Some((arrival, queue)) = heads.min() else {
            self.count += 1;
            self.idle[agent] = Some(self.count);
            if agent < self.world.grouped {
                self.idle_grouped.insert((self.count, agent));
            }
            return None;
        };
        let (thread, call) = self.waiting[queue].remove(&arrival).expect("just seen");
        self.places[thread].remove(&call);
        self.bound[thread].push_back((call, agent));
        Some(thread)
    }

    fn place(&self, queue: Queue) -> usize {
        match queue {
            Queue::Own(agent) => agent,
            Queue::Group => self.world.agents,
        }
    }
}
