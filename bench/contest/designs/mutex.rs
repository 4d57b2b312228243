//! One mutex around the sequential matcher.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::matcher::Matcher;
use super::{Bound, Design, Queue, Thread, World};

/// The mutex.
pub enum OneMutex {}

struct Shared {
    matcher: Mutex<Matcher>,
    /// Something was bound for a thread by another: it need not lock to see that nothing was.
    rung: Vec<AtomicBool>,
}

/// One thread's way to it.
pub struct Half {
    shared: Arc<Shared>,
    me: usize,
    look: bool,
}

impl Design for OneMutex {
    type Thread = Half;
    const NAME: &'static str = "mutex";

    fn build(world: World, _: Instant) -> Vec<Half> {
        let rung = (0..world.threads).map(|_| AtomicBool::new(false)).collect();
        let shared = Arc::new(Shared { matcher: Mutex::new(Matcher::new(world)), rung });
        (0..world.threads).map(|me| Half { shared: shared.clone(), me, look: false }).collect()
    }
}

impl Half {
    fn matcher(&self) -> MutexGuard<'_, Matcher> {
        self.shared.matcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&mut self, thread: Option<usize>) {
        match thread {
            Some(thread) if thread == self.me => self.look = true,
            Some(thread) => self.shared.rung[thread].store(true, Ordering::Release),
            None => {}
        }
    }
}

impl Thread for Half {
    type Held = ();

    fn turn(&mut self) {
        let rung = &self.shared.rung[self.me];
        if rung.load(Ordering::Relaxed) && rung.swap(false, Ordering::AcqRel) {
            self.look = true;
        }
    }

    fn enter(&mut self, call: u32, queue: Queue) {
        let thread = self.matcher().enter(self.me, call, queue);
        self.tell(thread);
    }

    fn hang_up(&mut self, call: u32, queue: Queue) -> bool {
        self.matcher().hang_up(self.me, call, queue)
    }

    fn poll(&mut self) -> Option<Bound<()>> {
        if !self.look {
            return None;
        }
        let next = self.matcher().bound[self.me].pop_front();
        self.look = next.is_some();
        next.map(|(call, agent)| Bound { call, agent, held: () })
    }

    fn release(&mut self, bound: Bound<()>) {
        let thread = self.matcher().release(bound.agent);
        self.tell(thread);
    }
}
