//! A single writer behind lock-free inboxes: its thread alone knows who waits and who is idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_queue::SegQueue;

use super::matcher::Matcher;
use super::{Bound, Design, Queue, Thread, World};
use crate::stall;

/// The single writer.
pub enum Inboxes {}

enum Letter {
    Enter(usize, u32, Queue),
    HangUp(usize, u32, Queue),
    Release(usize),
}

struct Shared {
    inbox: SegQueue<Letter>,
    outboxes: Vec<SegQueue<(u32, usize)>>,
    is_over: AtomicBool,
}

/// One thread's way to it.
pub struct Half {
    shared: Arc<Shared>,
    me: usize,
    // The first half ends the writer.
    writer: Option<JoinHandle<()>>,
}

impl Design for Inboxes {
    type Thread = Half;
    const NAME: &'static str = "writer";

    fn build(world: World, _: Instant) -> Vec<Half> {
        let outboxes = (0..world.threads).map(|_| SegQueue::new()).collect();
        let (inbox, is_over) = (SegQueue::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { inbox, outboxes, is_over });
        let its = shared.clone();
        let writer = std::thread::spawn(move || {
            stall::enlist_writer();
            write(world, &its);
        });
        let mut writer = Some(writer);
        let half = |me| Half { shared: shared.clone(), me, writer: writer.take() };
        (0..world.threads).map(half).collect()
    }
}

fn write(world: World, shared: &Shared) {
    let mut matcher = Matcher::new(world);
    while !shared.is_over.load(Ordering::Relaxed) {
        let Some(letter) = shared.inbox.pop() else {
            std::thread::yield_now();
            continue;
        };
        let thread = match letter {
            Letter::Enter(thread, call, queue) => matcher.enter(thread, call, queue),
            Letter::Release(agent) => matcher.release(agent),
            Letter::HangUp(thread, call, queue) => {
                matcher.hang_up(thread, call, queue);
                None
            }
        };
        if let Some(thread) = thread
            && let Some(bound) = matcher.bound[thread].pop_front()
        {
            shared.outboxes[thread].push(bound);
        }
    }
}

impl Thread for Half {
    type Held = ();
    const MAY_COME_LATE: bool = true;

    fn turn(&mut self) {}

    fn enter(&mut self, call: u32, queue: Queue) {
        self.shared.inbox.push(Letter::Enter(self.me, call, queue));
    }

    fn hang_up(&mut self, call: u32, queue: Queue) -> bool {
        self.shared.inbox.push(Letter::HangUp(self.me, call, queue));
        false
    }

    fn poll(&mut self) -> Option<Bound<()>> {
        let (call, agent) = self.shared.outboxes[self.me].pop()?;
        Some(Bound { call, agent, held: () })
    }

    fn release(&mut self, bound: Bound<()>) {
        self.shared.inbox.push(Letter::Release(bound.agent));
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.shared.is_over.store(true, Ordering::Relaxed);
            let _ = writer.join();
        }
    }
}
