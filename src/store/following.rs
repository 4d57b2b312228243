//! The follower's thread: polls, and takes orders between polls.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::{FollowOptions, Follower};

/// A running follower; it stops when this is dropped.
#[derive(Debug)]
pub struct Following {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    Now,
    Options(FollowOptions),
    Stop,
}

impl Following {
    /// Lets `follower` poll in a thread of its own, at once and then every `every`. `clock` gives the
    /// wall clock's time. Errors: the system has no thread left.
    pub fn begin(
        follower: Follower,
        every: Duration,
        clock: impl Fn() -> Timestamp + Send + 'static,
    ) -> std::io::Result<Following> {
        let (orders, taken) = channel();
        let thread = std::thread::Builder::new().name("clients".into());
        let thread = thread.spawn(move || run(follower, every, &clock, &taken))?;
        Ok(Following { orders, thread: Some(thread) })
    }

    /// Polls at once: a command of ours has just written.
    pub fn poll_now(&self) {
        let _ = self.orders.send(Order::Now);
    }

    /// New settings (reload).
    pub fn set_options(&self, options: FollowOptions) {
        let _ = self.orders.send(Order::Options(options));
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    mut follower: Follower,
    every: Duration,
    clock: &impl Fn() -> Timestamp,
    orders: &Receiver<Order>,
) {
    loop {
        follower.follow_once(clock());
        match orders.recv_timeout(every) {
            Ok(Order::Now) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Options(options)) => follower.set_options(options),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
