//! A ring of tickets for every agent and one for the group; who takes a ticket out claims it by
//! compare-and-swap, so that a caller who hung up is thrown away. First come, first served holds within
//! one ring only: a ring cannot be looked into.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::Instant;

use crossbeam_queue::{ArrayQueue, SegQueue};

use super::{Bound, Design, Queue, Thread, World};

/// The rings.
pub enum Rings {}

/// In a ticket's low bits; the call's number stands above.
const WAITS: u64 = 0;
const BOUND: u64 = 1;
const GONE: u64 = 2;

#[derive(Clone, Copy)]
struct Ticket {
    thread: usize,
    call: u32,
}

struct Shared {
    world: World,
    own: Vec<ArrayQueue<Ticket>>,
    group: ArrayQueue<Ticket>,
    /// `true`: idle.
    idle: Vec<AtomicBool>,
    /// Agents of the group who went idle; some are not any more.
    idle_grouped: ArrayQueue<usize>,
    is_listed: Vec<AtomicBool>,
    states: Vec<Vec<AtomicU64>>,
    outboxes: Vec<SegQueue<(u32, usize)>>,
}

/// One thread's way to them.
pub struct Half {
    shared: Arc<Shared>,
    me: usize,
}

impl Design for Rings {
    type Thread = Half;
    const NAME: &'static str = "rings";

    fn build(world: World, _: Instant) -> Vec<Half> {
        // Tickets of callers who hung up stay until they are taken out. All callers may stand at one
        // agent, the first; so many rings of that size would not fit in memory.
        let all = 8 * world.threads * world.calls_max;
        let fair = (4 * all / world.agents).max(64);
        let len = |agent| if agent == 0 { all } else { fair };
        let states = || (0..world.calls_max).map(|_| AtomicU64::new(GONE)).collect();
        let shared = Shared {
            world,
            own: (0..world.agents).map(|agent| ArrayQueue::new(len(agent))).collect(),
            group: ArrayQueue::new(all),
            idle: (0..world.agents).map(|_| AtomicBool::new(true)).collect(),
            idle_grouped: ArrayQueue::new(world.agents + 1),
            is_listed: (0..world.agents).map(|_| AtomicBool::new(false)).collect(),
            states: (0..world.threads).map(|_| states()).collect(),
            outboxes: (0..world.threads).map(|_| SegQueue::new()).collect(),
        };
        (0..world.grouped).for_each(|agent| shared.list(agent));
        let shared = Arc::new(shared);
        (0..world.threads).map(|me| Half { shared: shared.clone(), me }).collect()
    }
}

impl Shared {
    fn state(&self, ticket: Ticket) -> &AtomicU64 {
        &self.states[ticket.thread][ticket.call as usize % self.world.calls_max]
    }

    fn claim(&self, ticket: Ticket, to: u64) -> bool {
        let call = u64::from(ticket.call) << 2;
        let cell = self.state(ticket);
        cell.compare_exchange(call | WAITS, call | to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn list(&self, agent: usize) {
        if !self.is_listed[agent].swap(true, Ordering::AcqRel) {
            // Each agent is in it once at most: there is room.
            let _ = self.idle_grouped.push(agent);
        }
    }

    fn wakes(&self, agent: usize) -> bool {
        let (now, then) = (Ordering::AcqRel, Ordering::Relaxed);
        self.idle[agent].compare_exchange(true, false, now, then).is_ok()
    }

    fn next(&self, agent: usize) -> Option<Ticket> {
        let grouped = agent < self.world.grouped;
        loop {
            let group = || grouped.then(|| self.group.pop()).flatten();
            let ticket = self.own[agent].pop().or_else(group)?;
            if self.claim(ticket, BOUND) {
                return Some(ticket);
            }
        }
    }

    /// An agent who is nobody's: to the next ticket, or idle.
    fn serve(&self, agent: usize) {
        loop {
            if let Some(ticket) = self.next(agent) {
                return self.outboxes[ticket.thread].push((ticket.call, agent));
            }
            self.idle[agent].store(true, Ordering::Release);
            let grouped = agent < self.world.grouped;
            if grouped {
                self.list(agent);
            }
            fence(Ordering::SeqCst);
            let waits = !self.own[agent].is_empty() || grouped && !self.group.is_empty();
            if !waits || !self.wakes(agent) {
                return;
            }
        }
    }

    fn wake_one_of_group(&self) {
        while !self.group.is_empty() {
            let Some(agent) = self.idle_grouped.pop() else { return };
            self.is_listed[agent].store(false, Ordering::Release);
            if self.wakes(agent) {
                return self.serve(agent);
            }
        }
    }
}

impl Thread for Half {
    type Held = ();

    fn turn(&mut self) {}

    fn enter(&mut self, call: u32, queue: Queue) {
        let ticket = Ticket { thread: self.me, call };
        self.shared.state(ticket).store(u64::from(call) << 2 | WAITS, Ordering::Release);
        let ring = match queue {
            Queue::Own(agent) => &self.shared.own[agent],
            Queue::Group => &self.shared.group,
        };
        if ring.push(ticket).is_err() {
            panic!("the ring is full");
        }
        fence(Ordering::SeqCst);
        match queue {
            Queue::Own(agent) if self.shared.wakes(agent) => self.shared.serve(agent),
            Queue::Own(_) => {}
            Queue::Group => self.shared.wake_one_of_group(),
        }
    }

    fn hang_up(&mut self, call: u32, _: Queue) -> bool {
        self.shared.claim(Ticket { thread: self.me, call }, GONE)
    }

    fn poll(&mut self) -> Option<Bound<()>> {
        let (call, agent) = self.shared.outboxes[self.me].pop()?;
        Some(Bound { call, agent, held: () })
    }

    fn release(&mut self, bound: Bound<()>) {
        self.shared.serve(bound.agent);
    }
}
