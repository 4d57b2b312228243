//! The non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.
//!
//! ```text
//!                                 | request from TU
//!                                 | send request
//!             Timer E             V
//!             send request  +-----------+
//!                 +---------|           |-------------------+
//!                 |         |  Trying   |  Timer F          |
//!                 +-------->|           |  or transport err.|
//!                           +-----------+  inform TU        |
//!              200-699         |  |                         |
//!              resp. to TU     |  | 1xx                     |
//!              +---------------+  | resp. to TU             |
//!              |                  |                         |
//!              |   Timer E        V       Timer F           |
//!              |   send req +-----------+ or transport err. |
//!              |  +---------|           | inform TU         |
//!              |  |         |Proceeding |------------------>|
//!              |  +-------->|           |-----+             |
//!              |            +-----------+     | 1xx         |
//!              |              |      ^        | resp. to TU |
//!              | 200-699      |      +--------+             |
//!              | resp. to TU  |                             |
//!              V              V                             |
//!              +-----------+                                |
//!              | Completed |                                |
//!              +-----------+                                |
//!                    | Timer K                              |
//!                    V                                      |
//!              +------------+                               |
//!              | Terminated |<------------------------------+
//!              +------------+
//! ```

use std::time::Duration;

use super::step::{Class, ClientInput, Step, Steps, Timer, TransactionTimers, linger};

/// Where the transaction stands; Terminated is its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Sent; nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// The final response came.
    Completed,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct NonInviteClient {
    state: State,
    reliable: bool,
    interval: Duration,
}

impl NonInviteClient {
    /// Trying; the request is sent. Timer E only on unreliable transports (§17.1.2.2).
    pub(super) fn start(reliable: bool, timers: &TransactionTimers) -> (Self, Steps) {
        let machine = Self { state: State::Trying, reliable, interval: timers.t1 };
        let mut steps = Steps::from_slice(&[Step::Send, Step::Bound(Timer::F, timers.give_up())]);
        if !reliable {
            steps.push(Step::Repeat(Timer::E, timers.t1));
        }
        (machine, steps)
    }

    /// Where it stands.
    #[cfg(test)]
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// One input.
    pub(super) fn input(&mut self, input: ClientInput, timers: &TransactionTimers) -> Steps {
        use State::{Completed, Proceeding, Trying};
        match (self.state, input) {
            // §17.1.2.2: "the timer is reset, … MIN(2*T1, T2)", and so on up to T2.
            (Trying, ClientInput::Fired(Timer::E)) => {
                self.interval = (self.interval * 2).min(timers.t2);
                [Step::SendAgain, Step::Repeat(Timer::E, self.interval)].into_iter().collect()
            }
            // §17.1.2.2: in Proceeding "Timer E MUST be reset with a value of T2 seconds".
            (Proceeding, ClientInput::Fired(Timer::E)) => {
                self.interval = timers.t2;
                [Step::SendAgain, Step::Repeat(Timer::E, timers.t2)].into_iter().collect()
            }
            (Trying | Proceeding, ClientInput::Fired(Timer::F)) => {
                [Step::Timeout, Step::End].into_iter().collect()
            }
            (Trying | Proceeding, ClientInput::TransportError) => {
                [Step::TransportFailed, Step::End].into_iter().collect()
            }
            (Trying | Proceeding, ClientInput::Response(Class::Provisional)) => {
                self.state = Proceeding;
                Steps::from_slice(&[Step::Pass])
            }
            // §17.1.2.2: "the response MUST be passed to the TU, and the client transaction MUST
            // transition to Completed"; timer K is T4, zero on reliable transports.
            (Trying | Proceeding, ClientInput::Response(Class::Success | Class::Failure)) => {
                self.state = Completed;
                let wait = linger(self.reliable, Timer::K, timers.t4);
                [Step::StopRepeat, Step::DropSent, Step::Pass, wait].into_iter().collect()
            }
            (Completed, ClientInput::Fired(Timer::K)) => Steps::from_slice(&[Step::End]),
            // Repeated responses are what Completed is there to absorb.
            (Trying | Proceeding | Completed, _) => Steps::new(),
        }
    }
}
