//! Recorded calls once more, under these or other rules: the real switch, in virtual time.
//!
//! ```text
//! recorded arrivals ─► callers ─ INVITE, CANCEL, BYE ─► Switch ─ INVITE ─► phones (made up)
//!                         ▲                               │ events           │ 180, after `ring` 200
//!                         └──── 200, talk, 480 ───────────┴─► Service ◄──────┘
//! ```
//! One switch with the real board, desk, calls and policy; a perfect network; real bytes. What is made
//! up: every phone answers after the ring time, callers hang up after their patience or their talk,
//! people come and go as the decisions saw them. Owns that company of actors; knows no register and no
//! clock. Deterministic: nothing is drawn. Bounded by the calls that are handed in.

mod actors;
mod premises;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Directory, PersonId, Settings};
use crate::policy::{Facts, Policy};

/// One call as it was recorded.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it came.
    pub at: Timestamp,
    /// Who called whom, as the decision knew it.
    pub facts: Facts,
    /// From the offer to the answer, if it was answered.
    pub ring: Option<Duration>,
    /// From answer to end, if it was answered.
    pub talk: Option<Duration>,
    /// The caller hung up after so long.
    pub patience: Option<Duration>,
    /// Of whom the decision knew something else than the one before: gone, or there.
    pub news: Vec<(PersonId, Seen)>,
}

/// What a decision knew of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Free or busy.
    There,
    /// Logged out, not ready, without a phone: for other reasons than the directory's.
    Gone,
}

/// By what a call is decided.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The policy.
    pub policy: Arc<Policy>,
    /// People, absences, hours.
    pub directory: Arc<Directory>,
}

/// The usual measure of a service level: answered within 20 s.
pub const SERVICE_MS: i64 = 20_000;

/// What became of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Service {
    /// All that were counted.
    pub calls: u32,
    /// Somebody spoke with the caller.
    pub answered: u32,
    /// The caller hung up first.
    pub abandoned: u32,
    /// Nobody answered, or it was closed: a callback was promised.
    pub promised: u32,
    /// Refused, failed, cut by a restart, or not over yet.
    pub other: u32,
    /// Answered within [`SERVICE_MS`].
    pub in_time: u32,
    /// Sum of the waits of those who were answered.
    pub wait_ms: i64,
    /// The longest of them.
    pub longest_ms: i64,
}

/// How a call ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The caller hung up.
    Abandoned,
    /// A callback was promised.
    Promised,
    /// Anything else.
    Other,
}

impl Service {
    /// Counts one answered call.
    pub fn answered(&mut self, wait_ms: i64) {
        self.calls += 1;
        self.answered += 1;
        self.in_time += u32::from(wait_ms <= SERVICE_MS);
        self.wait_ms += wait_ms;
        self.longest_ms = self.longest_ms.max(wait_ms);
    }

    /// Counts one that nobody answered.
    pub fn lost(&mut self, how: Lost) {
        self.calls += 1;
        match how {
            Lost::Abandoned => self.abandoned += 1,
            Lost::Promised => self.promised += 1,
            Lost::Other => self.other += 1,
        }
    }

    /// Mean wait of the answered, milliseconds.
    pub fn mean_wait_ms(&self) -> i64 {
        self.wait_ms / i64::from(self.answered.max(1))
    }

    /// Share of all calls that were answered in time, in thousandths.
    pub fn level_permille(&self) -> u32 {
        let share = u64::from(self.in_time) * 1_000 / u64::from(self.calls.max(1));
        u32::try_from(share).unwrap_or(1_000)
    }
}

/// Lets the calls, in the order of their arrival, come again.
pub fn rehearse(settings: &Settings, calls: &[(&Arrival, &Rules)]) -> Service {
    match calls.first() {
        Some(first) => stage::Stage::new(settings, calls, first).run(calls),
        None => Service::default(),
    }
}

/// Ring and talk time of calls that were never answered: the mean of those that were, else these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// From the offer to the answer.
    pub ring: Duration,
    /// From answer to end.
    pub talk: Duration,
}

impl Usual {
    /// Of these calls.
    pub fn of<'a>(calls: impl Iterator<Item = &'a Arrival> + Clone) -> Self {
        let mean = |times: &mut dyn Iterator<Item = Duration>, other: u64| {
            let (sum, count) = times.fold((Duration::ZERO, 0), |(sum, n), t| (sum + t, n + 1));
            sum.checked_div(count).unwrap_or(Duration::from_secs(other))
        };
        Self {
            ring: mean(&mut calls.clone().filter_map(|call| call.ring), 5),
            talk: mean(&mut calls.clone().filter_map(|call| call.talk), 120),
        }
    }
}

#[cfg(test)]
mod tests;
