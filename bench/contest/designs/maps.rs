//! A sharded map of queues: whoever looks at a queue holds its part of the map. An agent of two queues is
//! claimed by compare-and-swap; first come, first served holds within one queue only.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_queue::SegQueue;
use dashmap::DashMap;

use super::{Bound, Design, Queue, Thread, World};

/// The map.
pub enum Maps {}

#[derive(Default)]
struct Entry {
    waiting: VecDeque<(usize, u32)>,
    /// Idle since, agent; some are idle no more.
    idle: BTreeSet<(u64, usize)>,
}

struct Shared {
    world: World,
    queues: DashMap<usize, Entry>,
    idle: Vec<AtomicBool>,
    /// Each agent's place in the order of idleness.
    since: Vec<AtomicU64>,
    count: AtomicU64,
    outboxes: Vec<SegQueue<(u32, usize)>>,
}

/// One thread's way to it.
pub struct Half {
    shared: Arc<Shared>,
    me: usize,
}

impl Design for Maps {
    type Thread = Half;
    const NAME: &'static str = "dashmap";

    fn build(world: World, _: Instant) -> Vec<Half> {
        let shared = Shared {
            world,
            queues: DashMap::new(),
            idle: (0..world.agents).map(|_| AtomicBool::new(true)).collect(),
            since: (0..world.agents).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicU64::new(1),
            outboxes: (0..world.threads).map(|_| SegQueue::new()).collect(),
        };
        for agent in 0..world.agents {
            shared.queues.entry(agent).or_default().idle.insert((0, agent));
            if agent < world.grouped {
                shared.queues.entry(world.agents).or_default().idle.insert((0, agent));
            }
        }
        let shared = Arc::new(shared);
        (0..world.threads).map(|me| Half { shared: shared.clone(), me }).collect()
    }
}

impl Shared {
    fn claim(&self, agent: usize) -> bool {
        let (now, then) = (Ordering::AcqRel, Ordering::Relaxed);
        self.idle[agent].compare_exchange(true, false, now, then).is_ok()
    }

    fn place(&self, queue: Queue) -> usize {
        match queue {
            Queue::Own(agent) => agent,
            Queue::Group => self.world.agents,
        }
    }
}

impl Thread for Half {
    type Held = ();

    fn turn(&mut self) {}

    fn enter(&mut self, call: u32, queue: Queue) {
        let shared = &self.shared;
        let mut entry = shared.queues.entry(shared.place(queue)).or_default();
        while let Some((_, agent)) = entry.idle.pop_first() {
            if shared.claim(agent) {
                drop(entry);
                return shared.outboxes[self.me].push((call, agent));
            }
        }
        entry.waiting.push_back((self.me, call));
    }

    fn hang_up(&mut self, call: u32, queue: Queue) -> bool {
        let Some(mut entry) = self.shared.queues.get_mut(&self.shared.place(queue)) else {
            return false;
        };
        let place = entry.waiting.iter().position(|waits| *waits == (self.me, call));
        place.and_then(|place| entry.waiting.remove(place)).is_some()
    }

    fn poll(&mut self) -> Option<Bound<()>> {
        let (call, agent) = self.shared.outboxes[self.me].pop()?;
        Some(Bound { call, agent, held: () })
    }

    fn release(&mut self, bound: Bound<()>) {
        let (shared, agent) = (&self.shared, bound.agent);
        let since = shared.count.fetch_add(1, Ordering::Relaxed);
        let before = shared.since[agent].swap(since, Ordering::Relaxed);
        shared.idle[agent].store(true, Ordering::Release);
        let group = (agent < shared.world.grouped).then_some(shared.world.agents);
        for queue in [agent].into_iter().chain(group) {
            let mut entry = shared.queues.entry(queue).or_default();
            entry.idle.remove(&(before, agent));
            if entry.waiting.is_empty() {
                entry.idle.insert((since, agent));
                continue;
            }
            if shared.claim(agent)
                && let Some((thread, call)) = entry.waiting.pop_front()
            {
                drop(entry);
                shared.outboxes[thread].push((call, agent));
            }
            return;
        }
    }
}
