//! The INVITE client transaction: RFC 3261 §17.1.1 as changed by RFC 6026 §7.2.
//!
//! ```text
//!                                  | INVITE from TU
//!                Timer A fires     | INVITE sent      Timer B fires
//!                reset A,          V                  or transport error
//!                INVITE sent +-----------+            inform TU
//!                  +---------|           |--------------------------+
//!                  |         |  Calling  |                          |
//!                  +-------->|           |-----------+              |
//!     300-699                +-----------+ 2xx       |              |
//!     ACK sent, resp. to TU    |   |       2xx to TU |              |
//!   +--------------------------+   | 1xx             |              |
//!   |                              | 1xx to TU       |              |
//!   |            1xx               V                 |              |
//!   |            1xx to TU  +------------+           |   cancelled, |
//!   |              +--------|            |           |   64*T1 later|
//!   |              |        | Proceeding |-----------|--------------+
//!   |              +------->|            |           |   inform TU  |
//!   |                       +------------+ 2xx       |              |
//!   |        300-699           |   |       2xx to TU |              |
//!   |        ACK sent,         |   +-------------+   |              |
//!   |        resp. to TU       |                 |   |              |
//!   |   +----------------------+                 V   V              |
//!   |   |   300-699                             +-----------+       |
//!   V   V   ACK sent                            |           |--+    |
//!  +-----------+--+                             | Accepted  |  | 2xx|
//!  |           |  | transport error             |           |<-+ to |
//!  | Completed |<-+ inform TU -----------+      +-----------+    TU |
//!  |           |                         |            |             |
//!  +-----------+                         |            | Timer M     |
//!        | Timer D fires                 |            | fires       |
//!        V                               V            V             V
//!  +----------------------------------------------------------------+
//!  |                          Terminated                            |
//!  +----------------------------------------------------------------+
//! ```
//!
//! A cancelled transaction waits for its final response 64·T1 from the CANCEL on (§9.1).
//! On a stream a transport error in Proceeding ends the transaction too: the connection on which
//! the final response would come is gone. One that rings and of which nothing is heard for
//! [`SILENCE_MAX`] cancels itself, so that no state is without a timeout.

use std::time::Duration;

use super::step::{Class, ClientInput, SILENCE_MAX, Step, Steps, Timer, TransactionTimers, linger};

const SILENCE: Step = Step::Bound(Timer::Forgotten, SILENCE_MAX);

/// Where the transaction stands; Terminated is its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Sent; nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A failure came and was acknowledged.
    Completed,
    /// A 2xx came; others may follow (RFC 6026 §7.2).
    Accepted,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct InviteClient {
    state: State,
    reliable: bool,
    cancelled: bool,
    interval: Duration,
}

impl InviteClient {
    /// Calling; the INVITE is sent. Timer A only on unreliable transports (§17.1.1.2).
    pub(super) fn start(reliable: bool, timers: &TransactionTimers) -> (Self, Steps) {
        let machine =
            Self { state: State::Calling, reliable, cancelled: false, interval: timers.t1 };
        let mut steps = Steps::from_slice(&[Step::Send, Step::Bound(Timer::B, timers.give_up())]);
        if !reliable {
            steps.push(Step::Repeat(Timer::A, timers.t1));
        }
        (machine, steps)
    }

    /// Where it stands.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// One input.
    pub(super) fn input(&mut self, input: ClientInput, timers: &TransactionTimers) -> Steps {
        use State::{Accepted, Calling, Completed, Proceeding};
        match (self.state, input) {
            // §17.1.1.2: the request is sent again (MUST), the timer reset to twice as much (MUST).
            (Calling, ClientInput::Fired(Timer::A)) => {
                self.interval *= 2;
                [Step::SendAgain, Step::Repeat(Timer::A, self.interval)].into_iter().collect()
            }
            // §17.1.1.2: "the client transaction SHOULD inform the TU that a timeout has occurred.
            // The client transaction MUST NOT generate an ACK."
            (Calling, ClientInput::Fired(Timer::B)) => {
                [Step::Timeout, Step::End].into_iter().collect()
            }
            // §17.1.4.
            (Calling, ClientInput::TransportError) => {
                [Step::TransportFailed, Step::End].into_iter().collect()
            }
            // §17.1.1.2: in Proceeding the request is not sent again (SHOULD NOT); "the provisional
            // response MUST be passed to the TU".
            (Calling, ClientInput::Response(Class::Provisional)) => {
                self.state = Proceeding;
                [Step::StopRepeat, SILENCE, Step::Pass].into_iter().collect()
            }
            // "Any further provisional responses MUST be passed up to the TU".
            (Proceeding, ClientInput::Response(Class::Provisional)) if self.cancelled => {
                Steps::from_slice(&[Step::Pass])
            }
            (Proceeding, ClientInput::Response(Class::Provisional)) => {
                Steps::from_slice(&[SILENCE, Step::Pass])
            }
            (Proceeding, ClientInput::Fired(Timer::Forgotten)) => {
                Steps::from_slice(&[Step::Cancel])
            }
            (Calling | Proceeding, ClientInput::Response(Class::Success)) => self.accept(timers),
            (Calling | Proceeding, ClientInput::Response(Class::Failure)) => self.complete(timers),
            // §9.1: "If there is no final response for the original request in 64*T1 seconds …".
            (Proceeding, ClientInput::CancelSent) => {
                self.cancelled = true;
                Steps::from_slice(&[Step::Bound(Timer::Cancelled, timers.give_up())])
            }
            (Proceeding, ClientInput::Fired(Timer::Cancelled)) => {
                [Step::Timeout, Step::End].into_iter().collect()
            }
            (Proceeding, ClientInput::TransportError) if self.reliable => {
                [Step::TransportFailed, Step::End].into_iter().collect()
            }
            // §17.1.1.2: "Any retransmissions of the final response … MUST cause the ACK to be
            // re-passed to the transport layer …, but the newly received response MUST NOT be
            // passed up to the TU".
            (Completed, ClientInput::Response(Class::Failure)) => {
                Steps::from_slice(&[Step::SendAgain])
            }
            (Completed, ClientInput::TransportError) => {
                [Step::TransportFailed, Step::End].into_iter().collect()
            }
            (Completed, ClientInput::Fired(Timer::D)) => Steps::from_slice(&[Step::End]),
            // RFC 6026 §7.2: 2xx responses in Accepted are passed to the TU; no ACK from here.
            (Accepted, ClientInput::Response(Class::Success)) => Steps::from_slice(&[Step::Pass]),
            (Accepted, ClientInput::Fired(Timer::M)) => Steps::from_slice(&[Step::End]),
            // Late provisionals, a failure after a 2xx or a 2xx after a failure are discarded
            // (RFC 6026 §7.2), and so is whatever a timer of an earlier state says.
            (Calling | Proceeding | Completed | Accepted, _) => Steps::new(),
        }
    }

    /// RFC 6026 §7.2: to Accepted with timer M; the response is passed to the TU.
    fn accept(&mut self, timers: &TransactionTimers) -> Steps {
        self.state = State::Accepted;
        let wait = Step::Bound(Timer::M, timers.give_up());
        [Step::StopRepeat, wait, Step::DropSent, Step::Pass].into_iter().collect()
    }

    /// §17.1.1.2: to Completed (MUST), the response to the TU (MUST), an ACK generated (MUST);
    /// timer D is zero on reliable transports.
    fn complete(&mut self, timers: &TransactionTimers) -> Steps {
        self.state = State::Completed;
        let wait = linger(self.reliable, Timer::D, timers.wait_d());
        [Step::StopRepeat, Step::SendAck, Step::Pass, wait].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::every;
    use super::*;
    use ClientInput::{CancelSent, Fired, Response, TransportError};
    use State::{Accepted, Calling, Completed, Proceeding};
    use Step::{Bound, DropSent, End, Pass, Repeat, Send, SendAck, SendAgain, StopRepeat, Timeout};
    use Timer::{A, B, Cancelled, D, Forgotten, M};

    const T1: Duration = Duration::from_millis(500);
    const GIVE_UP: Duration = Duration::from_secs(32);

    /// State, on a stream, input, what is done, state afterwards.
    type Row = (State, bool, ClientInput, Vec<Step>, State);

    fn figure() -> Vec<Row> {
        let (one, two, more) = (Class::Provisional, Class::Success, Class::Failure);
        let accept = vec![StopRepeat, Bound(M, GIVE_UP), DropSent, Pass];
        let refuse = |wait| vec![StopRepeat, SendAck, Pass, wait];
        let (timeout, failed) = (vec![Timeout, End], vec![Step::TransportFailed, End]);
        let mut rows = vec![(Proceeding, true, TransportError, failed.clone(), Proceeding)];
        for reliable in [false, true] {
            let wait = if reliable { End } else { Bound(D, GIVE_UP) };
            rows.extend([
                (Calling, reliable, Fired(A), vec![SendAgain, Repeat(A, T1 * 2)], Calling),
                (Calling, reliable, Fired(B), timeout.clone(), Calling),
                (Calling, reliable, TransportError, failed.clone(), Calling),
                (Calling, reliable, Response(one), vec![StopRepeat, SILENCE, Pass], Proceeding),
                (Calling, reliable, Response(two), accept.clone(), Accepted),
                (Calling, reliable, Response(more), refuse(wait), Completed),
                (Proceeding, reliable, Response(one), vec![SILENCE, Pass], Proceeding),
                (Proceeding, reliable, Fired(Forgotten), vec![Step::Cancel], Proceeding),
                (Proceeding, reliable, Response(two), accept.clone(), Accepted),
                (Proceeding, reliable, Response(more), refuse(wait), Completed),
                (Proceeding, reliable, CancelSent, vec![Bound(Cancelled, GIVE_UP)], Proceeding),
                (Proceeding, reliable, Fired(Cancelled), timeout.clone(), Proceeding),
                (Completed, reliable, Response(more), vec![SendAgain], Completed),
                (Completed, reliable, TransportError, failed.clone(), Completed),
                (Completed, reliable, Fired(D), vec![End], Completed),
                (Accepted, reliable, Response(two), vec![Pass], Accepted),
                (Accepted, reliable, Fired(M), vec![End], Accepted),
            ]);
        }
        rows
    }

    fn at(state: State, reliable: bool) -> InviteClient {
        InviteClient { state, reliable, cancelled: false, interval: T1 }
    }

    /// Every input in every state: what the figure shows, and nothing else.
    #[test]
    fn the_machine_is_the_figure() {
        let timers = TransactionTimers::default();
        let rows = figure();
        for state in [Accepted, Calling, Completed, Proceeding] {
            for (reliable, input) in every::client_inputs().flat_map(|i| [(false, i), (true, i)]) {
                let row = rows.iter().find(|r| (r.0, r.1, r.2) == (state, reliable, input));
                let (steps, next) = row.map_or((vec![], state), |row| (row.3.clone(), row.4));
                let mut machine = at(state, reliable);
                let done = machine.input(input, &timers);
                assert_eq!(done.to_vec(), steps, "{state:?} {input:?} reliable {reliable}");
                assert_eq!(machine.state, next, "{state:?} {input:?} reliable {reliable}");
            }
        }
    }

    #[test]
    fn timer_a_doubles_without_end_and_only_on_datagrams() {
        let timers = TransactionTimers::default();
        let (mut machine, steps) = InviteClient::start(false, &timers);
        assert_eq!(steps.to_vec(), [Send, Bound(B, GIVE_UP), Repeat(A, T1)]);
        let waits = [2, 4, 8, 16, 32].map(|k| [SendAgain, Repeat(A, T1 * k)].to_vec());
        assert_eq!([(); 5].map(|()| machine.input(Fired(A), &timers).to_vec()), waits);
        let (_, steps) = InviteClient::start(true, &timers);
        assert_eq!(steps.to_vec(), [Send, Bound(B, GIVE_UP)]);
    }

    #[test]
    fn ringing_does_not_put_off_the_end_of_a_cancelled_call() {
        let timers = TransactionTimers::default();
        let mut machine = at(Proceeding, false);
        machine.input(CancelSent, &timers);
        let done = machine.input(Response(Class::Provisional), &timers);
        assert_eq!(done.to_vec(), [Pass]);
    }
}
