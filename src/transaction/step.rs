//! What the four machines of RFC 3261 §17 are asked and what they ask for in return.
//!
//! A machine is a state and an interval, nothing else: it holds no bytes, no clock and no
//! identifier. The layer feeds it inputs one at a time and carries out the [`Step`]s it returns,
//! in order. A machine has at most two timers at once, one that repeats a message and one that
//! bounds the wait; each has a slot, and setting a slot replaces what was in it.

use std::time::Duration;

use smallvec::SmallVec;

/// The three figures from which every timer is made (RFC 3261 §17.1.1.1, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionTimers {
    /// Estimate of the round trip: 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of a non-INVITE request or an INVITE response: 4 s.
    pub t2: Duration,
    /// How long a message may linger in the network: 5 s.
    pub t4: Duration,
}

impl Default for TransactionTimers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl From<&crate::domain::Timers> for TransactionTimers {
    fn from(timers: &crate::domain::Timers) -> Self {
        Self { t1: timers.t1, t2: timers.t2, t4: timers.t4 }
    }
}

impl TransactionTimers {
    /// The same with every figure at least a millisecond and T2 at least T1: a zero would
    /// retransmit for ever within one instant.
    pub(super) fn checked(self) -> Self {
        let least = Duration::from_millis(1);
        let t1 = self.t1.max(least);
        Self { t1, t2: self.t2.max(t1), t4: self.t4.max(least) }
    }

    /// 64·T1: timers B, F, H, J, L, M and the wait after a CANCEL (§9.1).
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: at least 32 s (§17.1.1.2), and no shorter than the peer's timer H.
    pub(super) fn wait_d(&self) -> Duration {
        self.give_up().max(Duration::from_secs(32))
    }

    /// When a client's timer E reaches T2: the time by which a non-INVITE request must have had an
    /// answer or a 100 (RFC 4320 §4.1). 3.5 s with the usual figures.
    pub(super) fn e_reaches_t2(&self) -> Duration {
        let (mut sum, mut interval) = (Duration::ZERO, self.t1);
        while interval < self.t2 {
            sum += interval;
            interval *= 2;
        }
        sum
    }
}

/// INVITE's server sends 100 itself if the transaction user is silent for so long (§17.2.1).
pub const TRYING_AFTER: Duration = Duration::from_millis(200);

/// An INVITE about which nothing is heard for so long is lost: one that we were sent and its user
/// forgot is answered 500, one that we sent and that only rang is cancelled.
///
/// Three times what proxies wait (timer C, §16.6), so it ends leaks and never a call.
pub const SILENCE_MAX: Duration = Duration::from_secs(600);

/// Timers by the names of RFC 3261 §17 and RFC 6026 §7.1. C is the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// INVITE client: send the request again.
    A,
    /// INVITE client: nobody answers.
    B,
    /// INVITE client: absorb repeated failures.
    D,
    /// Non-INVITE client: send the request again.
    E,
    /// Non-INVITE client: nobody answers.
    F,
    /// INVITE server: send the failure again.
    G,
    /// INVITE server: nobody acknowledges.
    H,
    /// INVITE server: absorb repeated ACKs.
    I,
    /// Non-INVITE server: absorb repeated requests.
    J,
    /// Non-INVITE client: absorb repeated responses.
    K,
    /// INVITE server: absorb repeated INVITEs after a 2xx.
    L,
    /// INVITE client: pass further 2xx on.
    M,
    /// Server: the transaction user has been silent; 100 (§17.2.1, RFC 4320 §4.1).
    Trying,
    /// INVITE client: cancelled, and no final response within 64·T1 (§9.1).
    Cancelled,
    /// Nothing was heard for [`SILENCE_MAX`]; non-INVITE server: the client has given up.
    Forgotten,
}

/// What class of response passes through a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// 100–199.
    Provisional,
    /// 200–299.
    Success,
    /// 300–699.
    Failure,
}

impl Class {
    /// Of a status code; `None` outside 100–699.
    pub(super) fn of(status: u16) -> Option<Self> {
        match status {
            100..=199 => Some(Self::Provisional),
            200..=299 => Some(Self::Success),
            300..=699 => Some(Self::Failure),
            _ => None,
        }
    }
}

/// What can happen to a client machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientInput {
    /// A response that matches.
    Response(Class),
    /// A timer that it set.
    Fired(Timer),
    /// The transport could not send, or its connection closed.
    TransportError,
    /// The layer has sent a CANCEL for it.
    CancelSent,
}

/// What can happen to a server machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerInput {
    /// The request came again.
    Request,
    /// An ACK that matches (§17.2.3).
    Ack,
    /// The transaction user answers.
    Respond(Class),
    /// A timer that it set.
    Fired(Timer),
    /// The transport could not send, or its connection closed.
    TransportError,
}

/// One thing that the layer does for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Client: send the request. Server: send the response in hand, and keep it as the last one.
    Send,
    /// Send what was sent last once more.
    SendAgain,
    /// Build and send 100 (Trying).
    SendTrying,
    /// Build and send 500: the transaction user is gone.
    SendForgotten,
    /// Build, send and keep the ACK of a failure (§17.1.1.3).
    SendAck,
    /// Hand the message in hand to the transaction user.
    Pass,
    /// Set the repeating slot.
    Repeat(Timer, Duration),
    /// Clear the repeating slot.
    StopRepeat,
    /// Set the bounding slot.
    Bound(Timer, Duration),
    /// Send a CANCEL, as if the transaction user had asked for it.
    Cancel,
    /// Tell the transaction user that nobody answered (as 408).
    Timeout,
    /// Tell the transaction user that the transport failed (as 503).
    TransportFailed,
    /// Tell the transaction user that no ACK came.
    NoAck,
    /// Tell the transaction user that its failure was acknowledged.
    Confirmed,
    /// Drop the bytes of the request: nothing sends it again.
    DropRequest,
    /// Drop the bytes sent last: nothing sends them again.
    DropSent,
    /// Destroy the transaction. Always last.
    End,
}

/// The steps that one input asks for, in order.
pub(super) type Steps = SmallVec<[Step; 6]>;

/// An absorbing wait: at once on reliable transports, where nothing is repeated.
pub(super) fn linger(reliable: bool, timer: Timer, wait: Duration) -> Step {
    if reliable { Step::End } else { Step::Bound(timer, wait) }
}

/// Every class and every timer, for the tables of the machines' tests.
#[cfg(test)]
pub(super) mod every {
    use super::{Class, ClientInput, ServerInput, Timer};

    const CLASSES: [Class; 3] = [Class::Provisional, Class::Success, Class::Failure];
    const TIMERS: [Timer; 15] = [
        Timer::A,
        Timer::B,
        Timer::D,
        Timer::E,
        Timer::F,
        Timer::G,
        Timer::H,
        Timer::I,
        Timer::J,
        Timer::K,
        Timer::L,
        Timer::M,
        Timer::Trying,
        Timer::Cancelled,
        Timer::Forgotten,
    ];

    pub(in super::super) fn client_inputs() -> impl Iterator<Item = ClientInput> {
        let responses = CLASSES.into_iter().map(ClientInput::Response);
        let timers = TIMERS.into_iter().map(ClientInput::Fired);
        responses.chain(timers).chain([ClientInput::TransportError, ClientInput::CancelSent])
    }

    pub(in super::super) fn server_inputs() -> impl Iterator<Item = ServerInput> {
        let responses = CLASSES.into_iter().map(ServerInput::Respond);
        let timers = TIMERS.into_iter().map(ServerInput::Fired);
        let rest = [ServerInput::Request, ServerInput::Ack, ServerInput::TransportError];
        responses.chain(timers).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_figures_give_the_usual_timers() {
        let timers = TransactionTimers::default();
        assert_eq!(timers.give_up(), Duration::from_secs(32));
        assert_eq!(timers.wait_d(), Duration::from_secs(32));
        assert_eq!(timers.e_reaches_t2(), Duration::from_millis(3_500));
    }

    #[test]
    fn zero_timers_are_raised_to_something_that_ends() {
        let none = TransactionTimers { t1: Duration::ZERO, t2: Duration::ZERO, t4: Duration::ZERO };
        let checked = none.checked();
        assert!(checked.t1 > Duration::ZERO && checked.t2 >= checked.t1);
        assert!(checked.t4 > Duration::ZERO);
    }
}
