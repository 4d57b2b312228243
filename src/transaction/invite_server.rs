//! The INVITE server transaction: RFC 3261 §17.2.1 as changed by RFC 6026 §7.1.
//!
//! ```text
//!                                | INVITE
//!                                | pass INVITE to TU
//!             INVITE             V send 100 if TU won't in 200 ms
//!             send response +------------+
//!                 +---------|            |--------+ 101-199 from TU
//!                 |         |            |        | send response
//!                 +-------->|            |<-------+
//!                           | Proceeding |
//!                           |            |--------+ transport error
//!                           |            |        | inform TU
//!                           |            |<-------+
//!                           +------------+
//!              300-699 from TU |    | 2xx from TU
//!              send response   |    | send response
//!               +--------------+    +------------+
//!               |                                |
//! INVITE        V          Timer G fires         |
//! send resp. +-----------+ send response         |
//!    +-------|           |--------+              |
//!    |       |           |        |              |
//!    +------>| Completed |<-------+      INVITE  |  transport error
//!            |           |               -       |  inform TU
//!    +-------|           |----+          +-----+ |  +---+
//!    |       +-----------+    | ACK      |     | V  |   V
//!    |         ^   |          | -        |  +------------+
//!    |         |   |          |          |  |            |--+ ACK
//!    +---------+   |          |          |  |  Accepted  |  | ACK to TU
//!  transport error |          |          +->|            |<-+
//!  inform TU       |          V             +------------+
//!                  |    +-----------+          |  ^     |
//!                  |    |           |          |  |     |
//!                  |    | Confirmed |          +--+     |
//!                  |    |           |          2xx      |
//!  Timer H fires   |    +-----------+          from TU, |
//!  inform TU       |          | Timer I fires  sent     | Timer L fires
//!                  V          V                         V
//!            +--------------------------------------------+
//!            |                 Terminated                 |
//!            +--------------------------------------------+
//! ```
//!
//! Ours besides: a transaction user that is silent for [`USER_SILENCE_MAX`] has lost the call, and
//! the transaction answers 500, so that no state is without a timeout.

use std::time::Duration;

use super::step::{
    Class, ServerInput, Step, Steps, TRYING_AFTER, Timer, TransactionTimers, USER_SILENCE_MAX,
    linger,
};

/// Where the transaction stands; Terminated is its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No final response yet.
    Proceeding,
    /// A failure was sent.
    Completed,
    /// The failure was acknowledged.
    Confirmed,
    /// A 2xx was sent (RFC 6026 §7.1).
    Accepted,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct InviteServer {
    state: State,
    reliable: bool,
    interval: Duration,
}

impl InviteServer {
    /// Proceeding; the INVITE goes to the transaction user.
    pub(super) fn start(reliable: bool, timers: &TransactionTimers) -> (Self, Steps) {
        let machine = Self { state: State::Proceeding, reliable, interval: timers.t1 };
        let steps = [
            Step::Repeat(Timer::Trying, TRYING_AFTER),
            Step::Bound(Timer::Forgotten, USER_SILENCE_MAX),
            Step::Pass,
        ];
        (machine, steps.into_iter().collect())
    }

    /// Where it stands.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// One input.
    pub(super) fn input(&mut self, input: ServerInput, timers: &TransactionTimers) -> Steps {
        use State::{Accepted, Completed, Confirmed, Proceeding};
        match (self.state, input) {
            // §17.2.1: "MUST generate a 100 (Trying) response unless it knows that the TU will
            // generate a provisional or final response within 200 ms".
            (Proceeding, ServerInput::Fired(Timer::Trying)) => {
                Steps::from_slice(&[Step::SendTrying])
            }
            // "If a request retransmission is received while in the Proceeding state, the most
            // recent provisional response … MUST be passed to the transport layer".
            (Proceeding, ServerInput::Request) => Steps::from_slice(&[Step::SendAgain]),
            (Proceeding, ServerInput::Respond(Class::Provisional)) => {
                let bound = Step::Bound(Timer::Forgotten, USER_SILENCE_MAX);
                [Step::StopRepeat, bound, Step::Send].into_iter().collect()
            }
            // RFC 6026 §7.1: to Accepted with timer L; the TU repeats the 2xx, not we.
            (Proceeding, ServerInput::Respond(Class::Success)) => {
                self.state = Accepted;
                let wait = Step::Bound(Timer::L, timers.give_up());
                [Step::StopRepeat, wait, Step::Send, Step::DropRequest, Step::DropSent]
                    .into_iter()
                    .collect()
            }
            (Proceeding, ServerInput::Respond(Class::Failure)) => self.complete(Step::Send, timers),
            (Proceeding, ServerInput::Fired(Timer::Forgotten)) => {
                self.complete(Step::SendForgotten, timers)
            }
            // RFC 6026 §7.1: the TU is told, the transaction stays.
            (Proceeding | Completed | Accepted, ServerInput::TransportError) => {
                Steps::from_slice(&[Step::TransportFailed])
            }
            // §17.2.1: "Whenever a retransmission of the request is received while in Completed,
            // the server transaction SHOULD pass the response to the transport for retransmission".
            (Completed, ServerInput::Request) => Steps::from_slice(&[Step::SendAgain]),
            // "Timer G … MIN(2*T1, T2)", doubling up to T2.
            (Completed, ServerInput::Fired(Timer::G)) => {
                self.interval = (self.interval * 2).min(timers.t2);
                [Step::SendAgain, Step::Repeat(Timer::G, self.interval)].into_iter().collect()
            }
            // "MUST indicate to the TU that a transaction failure has occurred".
            (Completed, ServerInput::Fired(Timer::H)) => {
                [Step::NoAck, Step::End].into_iter().collect()
            }
            (Completed, ServerInput::Ack) => {
                self.state = Confirmed;
                let wait = linger(self.reliable, Timer::I, timers.t4);
                [Step::StopRepeat, Step::DropSent, Step::Confirmed, wait].into_iter().collect()
            }
            (Confirmed, ServerInput::Fired(Timer::I)) => Steps::from_slice(&[Step::End]),
            // RFC 6026 §7.1: "any retransmissions of the INVITE … MUST be absorbed"; a 2xx from the
            // TU is sent, an ACK is handed to it.
            (Accepted, ServerInput::Respond(Class::Success)) => {
                [Step::Send, Step::DropSent].into_iter().collect()
            }
            (Accepted, ServerInput::Ack) => Steps::from_slice(&[Step::Pass]),
            (Accepted, ServerInput::Fired(Timer::L)) => Steps::from_slice(&[Step::End]),
            // A second final response from the TU is discarded (§17.2.1); so are ACKs that nothing
            // awaits and INVITEs that an ACK has overtaken.
            (Proceeding | Completed | Confirmed | Accepted, _) => Steps::new(),
        }
    }

    /// To Completed: timer H always, timer G only on unreliable transports (§17.2.1).
    fn complete(&mut self, send: Step, timers: &TransactionTimers) -> Steps {
        self.state = State::Completed;
        let repeat = match self.reliable {
            true => Step::StopRepeat,
            false => Step::Repeat(Timer::G, timers.t1),
        };
        let wait = Step::Bound(Timer::H, timers.give_up());
        [repeat, wait, send, Step::DropRequest].into_iter().collect()
    }
}
