//! The designs in the contest, behind one small face: what one thread of a distributor does.
//!
//! A thread owns the calls that it lets in. An agent serves their own queue and, if the world has a
//! group, the group. Everything else is the design's affair.

pub mod board;
pub mod inboxes;
pub mod maps;
mod matcher;
pub mod mutex;
pub mod rings;

use std::time::Instant;

/// Sizes of one world, fixed for its life.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Threads that own calls.
    pub threads: usize,
    /// People, numbered from 0. All there, all idle at first.
    pub agents: usize,
    /// How many of them, from 0, serve the group as well.
    pub grouped: usize,
    /// Callers at once of one thread; their numbers modulo this are all different.
    pub calls_max: usize,
}

/// Where a caller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// One person's own.
    Own(usize),
    /// The group's.
    Group,
}

/// An agent bound to a call of this thread.
#[derive(Debug)]
pub struct Bound<Held> {
    /// Which call.
    pub call: u32,
    /// Who.
    pub agent: usize,
    /// To release with.
    pub held: Held,
}

/// One thread's half of a design.
pub trait Thread: Send + 'static {
    /// What a bound agent is released with.
    type Held: Send;
    /// `hang_up` cannot tell at once: an agent may come for a caller who is gone.
    const MAY_COME_LATE: bool = false;

    /// Looks at what others have left for this thread; to be called again and again.
    fn turn(&mut self);
    /// A caller of this thread, numbered by it, stands in `queue`.
    fn enter(&mut self, call: u32, queue: Queue);
    /// A caller hangs up. `false`: not known to be gone, `poll` may still bring an agent.
    fn hang_up(&mut self, call: u32, queue: Queue) -> bool;
    /// The next agent bound to a call of this thread.
    fn poll(&mut self) -> Option<Bound<Self::Held>>;
    /// The call is over, the agent is free for the next.
    fn release(&mut self, bound: Bound<Self::Held>);
}

/// A design: makes the halves of all threads.
pub trait Design {
    /// One thread's half.
    type Thread: Thread;
    /// As the tables call it.
    const NAME: &'static str;

    /// All threads' halves, and what has to live as long as they do.
    fn build(world: World, start: Instant) -> Vec<Self::Thread>;
}
