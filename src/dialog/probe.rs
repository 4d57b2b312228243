//! Is the peer of a confirmed dialog still there? OPTIONS within the dialog, at fixed intervals.
//!
//! ```text
//!             every                     final response but 408, 481
//!          +----------> send OPTIONS ----------------------------------> alive, silences = 0
//!   idle --+                 |  nothing, or no transport: silences + 1, dead at the third
//!                            +  408, 481: dead
//! ```
//!
//! 481: the peer has lost the dialog (RFC 3261 §12.2.1.2). 408: somebody on the way has found
//! nobody. Any other answer, even 501, was given by something that lives.

use std::time::Duration;

use crate::domain::Moment;

/// So many OPTIONS in a row without an answer end the dialog.
pub const SILENCES_MAX: u8 = 3;

/// What the owner makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer is there, or may still be.
    Alive,
    /// The dialog is to be ended.
    Dead,
}

/// The prober of one dialog.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    every: Duration,
    next: Moment,
    silences: u8,
    is_asking: bool,
}

impl Probe {
    /// The first OPTIONS is due after `every`; zero switches probing off.
    pub fn new(now: Moment, every: Duration) -> Self {
        let next = if every.is_zero() { Moment::NEVER } else { now + every };
        Self { every, next, silences: 0, is_asking: false }
    }

    /// When `handle_timeout` is wanted; `Moment::NEVER` while an answer is awaited.
    pub fn poll_timeout(&self) -> Moment {
        if self.is_asking { Moment::NEVER } else { self.next }
    }

    /// True: send OPTIONS now, by `Dialog::request`, and report its end by `answered` or `silent`.
    pub fn handle_timeout(&mut self, now: Moment) -> bool {
        if now < self.poll_timeout() || self.next == Moment::NEVER {
            return false;
        }
        self.is_asking = true;
        self.next = now + self.every;
        true
    }

    /// A response to the OPTIONS came.
    pub fn answered(&mut self, status: u16) -> Verdict {
        if status < 200 {
            return Verdict::Alive;
        }
        self.is_asking = false;
        match status {
            408 | 481 => Verdict::Dead,
            _ => {
                self.silences = 0;
                Verdict::Alive
            }
        }
    }

    /// The OPTIONS timed out or could not be sent.
    pub fn silent(&mut self) -> Verdict {
        self.is_asking = false;
        self.silences = self.silences.saturating_add(1);
        if self.silences >= SILENCES_MAX { Verdict::Dead } else { Verdict::Alive }
    }

    /// The peer sent a request of its own: it lives, and the next OPTIONS has time.
    pub fn heard(&mut self, now: Moment) {
        self.silences = 0;
        if self.next != Moment::NEVER {
            self.next = now + self.every;
        }
    }
}
