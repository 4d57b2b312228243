//! The calling side's ACKs, for a 2xx that comes again: RFC 3261 §13.2.2.4.
//!
//! The UAC core generates an ACK for each 2xx (MUST), and for each repetition the same one: it is
//! kept for 64·T1, as long as the peer repeats.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::{Flow, Moment};
use crate::transaction::TransactionTimers;

/// ACKs kept at once in a dialog: re-INVITEs within 64·T1. The oldest gives way.
pub const ACKS_MAX: usize = 4;

/// The ACKs of one dialog.
#[derive(Clone, Debug)]
pub struct AckStore {
    kept: Vec<Kept>,
    keep_for: Duration,
}

#[derive(Clone, Debug)]
struct Kept {
    cseq: u32,
    flow: Flow,
    bytes: Bytes,
    until: Moment,
}

impl AckStore {
    /// Empty.
    pub fn new(timers: &TransactionTimers) -> Self {
        Self { kept: Vec::new(), keep_for: timers.give_up() }
    }

    /// The ACK of the INVITE numbered `cseq`, as `Transactions::send_ack` gave it, was sent.
    pub fn keep(&mut self, now: Moment, cseq: u32, flow: Flow, bytes: Bytes) {
        self.kept.retain(|kept| kept.cseq != cseq);
        if self.kept.len() == ACKS_MAX {
            self.kept.remove(0);
        }
        self.kept.push(Kept { cseq, flow, bytes, until: now + self.keep_for });
    }

    /// The 2xx to the INVITE numbered `cseq` came again: what to send, by
    /// `Transactions::send_stateless`. `None` if its ACK was never sent: a late offer's awaits the
    /// other side's answer.
    pub fn again(&self, cseq: u32) -> Option<(Flow, Bytes)> {
        let kept = self.kept.iter().find(|kept| kept.cseq == cseq)?;
        Some((kept.flow, kept.bytes.clone()))
    }

    /// When the next one may go; `Moment::NEVER` if none is kept.
    pub fn poll_timeout(&self) -> Moment {
        self.kept.iter().map(|kept| kept.until).min().unwrap_or(Moment::NEVER)
    }

    /// Drops what nobody can ask for any more.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.kept.retain(|kept| now < kept.until);
    }

    /// None is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
