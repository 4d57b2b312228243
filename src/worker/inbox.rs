//! What waits for one worker: packets up to a bound, everything else always.
//!
//! Two channels and a bell. A packet that finds its channel full is refused, and net answers 503.
//! Mail, commands, closed flows and snapshots are never refused: each has an owner who waits for it,
//! and their number is bounded by what sends them. [`Inbox::wake`] rings unconditionally: a bell that
//! is rung between the worker's last look and its sleep ends the sleep at once.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use crate::domain::ShardId;
use crate::recorder::Taken;
use crate::switch::Input;

/// Takes copies of recordings.
pub type Asked = Sender<(ShardId, Taken)>;

/// Who may wait for copies of the recording at once.
const ASKED_MAX: usize = 4;

/// The end that others hold.
#[derive(Debug)]
pub struct Inbox {
    packets: SyncSender<Input>,
    inputs: Sender<Input>,
    asked: SyncSender<Asked>,
    sleeper: OnceLock<Thread>,
}

/// The end that the worker holds.
#[derive(Debug)]
pub struct Outlet {
    packets: Receiver<Input>,
    inputs: Receiver<Input>,
    asked: Receiver<Asked>,
}

/// No room for another packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Inbox {
    /// Room for `packets_max` packets.
    pub fn new(packets_max: usize) -> (Self, Outlet) {
        let (packets, packets_out) = sync_channel(packets_max);
        let (inputs, inputs_out) = channel();
        let (asked, asked_out) = sync_channel(ASKED_MAX);
        let inbox = Self { packets, inputs, asked, sleeper: OnceLock::new() };
        (inbox, Outlet { packets: packets_out, inputs: inputs_out, asked: asked_out })
    }

    /// A packet. Errors: the bound is reached, or the worker is gone for good.
    pub fn packet(&self, input: Input) -> Result<(), Full> {
        self.packets.try_send(input).map_err(|_| Full)?;
        self.wake();
        Ok(())
    }

    /// Anything else. At the end of the server nobody takes it any more.
    pub fn push(&self, input: Input) {
        // The worker is gone only when the whole server goes.
        let _ = self.inputs.send(input);
        self.wake();
    }

    /// The worker gives `asked` a copy of its recording, if it records; drops it otherwise. Errors: too
    /// many wait already, or the worker is gone for good.
    pub fn ask_recording(&self, asked: Asked) -> Result<(), Full> {
        self.asked.try_send(asked).map_err(|_| Full)?;
        self.wake();
        Ok(())
    }

    /// The worker looks again, whatever it does now.
    pub fn wake(&self) {
        if let Some(thread) = self.sleeper.get() {
            thread.unpark();
        }
    }

    /// Whose sleep the bell ends: the thread that calls [`Outlet::sleep`].
    pub fn belongs_to(&self, thread: Thread) {
        // A worker that is built anew stays on its thread.
        let _ = self.sleeper.set(thread);
    }
}

impl Outlet {
    /// Moves up to `max` inputs into `taken`: first what must not wait, then packets.
    pub fn take(&self, max: usize, taken: &mut std::collections::VecDeque<Input>) {
        for channel in [&self.inputs, &self.packets] {
            while taken.len() < max {
                match channel.try_recv() {
                    Ok(input) => taken.push_back(input),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
        }
    }

    /// The next who wants a copy of the recording.
    pub fn asked(&self) -> Option<Asked> {
        self.asked.try_recv().ok()
    }

    /// Until the bell rings, at most for `span`. May end early.
    pub fn sleep(&self, span: Duration) {
        std::thread::park_timeout(span);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn packets_have_a_bound_and_everything_else_has_none() {
        let (inbox, outlet) = Inbox::new(2);
        assert_eq!(inbox.packet(Input::Wake), Ok(()));
        assert_eq!(inbox.packet(Input::Wake), Ok(()));
        assert_eq!(inbox.packet(Input::Wake), Err(Full));
        for _ in 0..10 {
            inbox.push(Input::Wake);
        }
        let mut taken = VecDeque::new();
        outlet.take(64, &mut taken);
        assert_eq!(taken.len(), 12);
    }

    #[test]
    fn a_bell_rung_before_the_sleep_ends_it_at_once() {
        let (inbox, outlet) = Inbox::new(1);
        inbox.belongs_to(std::thread::current());
        inbox.wake();
        let began = std::time::Instant::now();
        outlet.sleep(Duration::from_secs(30));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
