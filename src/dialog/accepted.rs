//! The called side's 2xx, sent again until its ACK comes: RFC 3261 §13.3.1.4.
//!
//! ```text
//!                 T1, 2*T1, 4*T1 … T2, T2 …
//!                 send 2xx again
//!                    +-------+
//!                    |       V
//!  2xx sent      +---------------+  ACK
//!  ------------->|   waiting     |-------> done
//!                +---------------+
//!                        | 64*T1
//!                        V
//!                     given up: the owner sends BYE
//! ```
//!
//! Over streams too: a proxy on the way may go on by datagram.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::{Flow, Moment};
use crate::transaction::TransactionTimers;

/// What the owner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Send the 2xx once more.
    Resend {
        /// Where to.
        flow: Flow,
        /// The 2xx.
        bytes: Bytes,
    },
    /// No ACK in 64·T1: "the dialog is confirmed, but the session SHOULD be terminated" by BYE.
    GaveUp,
}

/// One 2xx that awaits its ACK.
#[derive(Clone, Debug)]
pub struct AcceptedUas {
    cseq: u32,
    flow: Flow,
    bytes: Bytes,
    interval: Duration,
    t2: Duration,
    next: Moment,
    until: Moment,
    is_waiting: bool,
}

impl AcceptedUas {
    /// The 2xx `bytes` to the INVITE numbered `cseq` was sent to `flow` at `now`, for the first
    /// time, by `Transactions::respond`.
    pub fn start(
        now: Moment,
        cseq: u32,
        bytes: Bytes,
        flow: Flow,
        timers: &TransactionTimers,
    ) -> Self {
        let interval = timers.t1.max(Duration::from_millis(1));
        Self {
            cseq,
            flow,
            bytes,
            interval,
            t2: timers.t2.max(interval),
            next: now + interval,
            until: now + interval * 64,
            is_waiting: true,
        }
    }

    /// The ACK of the INVITE numbered `cseq` has come. True the first time, when it is this one's:
    /// then an answer in its body counts.
    pub fn ack(&mut self, cseq: u32) -> bool {
        let is_first = self.is_waiting && cseq == self.cseq;
        self.is_waiting &= !is_first;
        is_first
    }

    /// Neither acknowledged nor given up.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// When `handle_timeout` is wanted; `Moment::NEVER` once it is over.
    pub fn poll_timeout(&self) -> Moment {
        if self.is_waiting { self.next.min(self.until) } else { Moment::NEVER }
    }

    /// What is due at `now`.
    pub fn handle_timeout(&mut self, now: Moment) -> Option<Accepted> {
        if now < self.poll_timeout() {
            return None;
        }
        if now >= self.until {
            self.is_waiting = false;
            return Some(Accepted::GaveUp);
        }
        self.interval = (self.interval * 2).min(self.t2);
        self.next = now + self.interval;
        Some(Accepted::Resend { flow: self.flow, bytes: self.bytes.clone() })
    }
}
