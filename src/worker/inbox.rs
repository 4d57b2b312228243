//! What waits for one worker: packets up to a bound, everything else always.
//!
//! Two channels and a bell. A packet that finds its channel full is refused, and net answers 503.
//! Mail, commands, closed flows and snapshots are never refused: each has an owner who waits for it,
//! and their number is bounded by what sends them. [`Inbox::wake`] rings unconditionally: a bell that
//! is rung between the worker's last look and its sleep ends the sleep at once.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
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
    packets_max: usize,
    inputs: Receiver<Input>,
    /// Flows that were closed, each behind so many packets at most: what the peer said last comes first.
    closed: VecDeque<(usize, Input)>,
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
        let closed = VecDeque::new();
        let (packets, inputs, asked) = (packets_out, inputs_out, asked_out);
        (inbox, Outlet { packets, packets_max, inputs, closed, asked })
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
    /// Moves up to `max` inputs into `taken`: first what must not wait, then packets, then the end of the
    /// flows that packets may have come over.
    pub fn take(&mut self, max: usize, taken: &mut VecDeque<Input>) {
        while taken.len() < max
            && let Ok(input) = self.inputs.try_recv()
        {
            match input {
                Input::FlowClosed { .. } => self.closed.push_back((self.packets_max, input)),
                input => taken.push_back(input),
            }
        }
        while taken.len() < max {
            if let Some((_, input)) = self.closed.pop_front_if(|(before, _)| *before == 0) {
                taken.push_back(input);
                continue;
            }
            let packet = self.packets.try_recv().ok();
            if packet.is_none() && self.closed.is_empty() {
                break;
            }
            for (before, _) in &mut self.closed {
                *before = if packet.is_some() { before.saturating_sub(1) } else { 0 };
            }
            taken.extend(packet);
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
    use super::*;

    #[test]
    fn packets_have_a_bound_and_everything_else_has_none() {
        let (inbox, mut outlet) = Inbox::new(2);
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
    fn a_flow_ends_behind_what_came_over_it_and_in_time_all_the_same() {
        let flow = crate::worker::tests::flow();
        let (inbox, mut outlet) = Inbox::new(3);
        let mut take = |max: usize| {
            let mut taken = VecDeque::new();
            outlet.take(max, &mut taken);
            let is_end = |input: &Input| matches!(input, Input::FlowClosed { .. });
            taken.iter().map(|input| if is_end(input) { 'e' } else { 'p' }).collect::<String>()
        };
        let packet = || inbox.packet(Input::Wake).expect("room");
        packet();
        packet();
        inbox.push(Input::FlowClosed { flow });
        assert_eq!(take(64), "ppe");
        inbox.push(Input::FlowClosed { flow });
        assert_eq!(take(64), "e");
        // Where packets never end, it is behind no more than there was room for.
        packet();
        packet();
        packet();
        inbox.push(Input::FlowClosed { flow });
        let mut all = String::new();
        for _ in 0..4 {
            all.push_str(&take(1));
            let _ = inbox.packet(Input::Wake);
        }
        assert_eq!(all, "pppe");
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
