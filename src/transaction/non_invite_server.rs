//! The non-INVITE server transaction: RFC 3261 §17.2.2, figure 8, with RFC 4320.
//!
//! ```text
//!                          | request received
//!                          | pass to TU
//!                          V
//!                    +-----------+
//!                    |           |------------------+
//!                    |  Trying   |                  |
//!                    |           |                  |
//!                    +-----------+                  |
//!                          |                        |
//!             100          |                        |
//!             send response|                        |
//!                          |                        |
//!  request                 V        100 from TU     |
//!  send response     +-----------+  send response   |
//!         +--------->|           |<-----+           |
//!         |          |Proceeding |      |           |
//!         +----------|           |------+           |
//!                    +-----------+                  |
//!  200-699 from TU   |     |    | transport error,  |
//!  send response     |     |    | or 64*T1 silent   |
//!                    |     |    +-----------+       |
//!  request           V     |                |       |
//!  send response+-----------+               |       |
//!         +---->|           |<--------------|-------+ 200-699 from TU
//!         |     | Completed |               |         send response
//!         +-----|           |---------------+
//!               +-----------+ transport error
//!                    |                      |
//!                    | Timer J fires        |
//!                    V                      V
//!               +-------------------------------+
//!               |          Terminated           |
//!               +-------------------------------+
//! ```
//!
//! RFC 4320 §4.1: no provisional response but 100, and that after the client's timer E has come to
//! T2 (3.5 s), where it MUST be sent if there was no answer. §4.2: never 408; an element that
//! cannot answer before the client's timer F fires does not answer at all.

use super::step::{Class, ServerInput, Step, Steps, Timer, TransactionTimers, linger};

/// Where the transaction stands; Terminated is its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing sent.
    Trying,
    /// 100 was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct NonInviteServer {
    state: State,
    reliable: bool,
}

impl NonInviteServer {
    /// Trying; the request goes to the transaction user.
    pub(super) fn start(reliable: bool, timers: &TransactionTimers) -> (Self, Steps) {
        let steps = [
            Step::Repeat(Timer::Trying, timers.e_reaches_t2()),
            Step::Bound(Timer::Forgotten, timers.give_up()),
            Step::Pass,
        ];
        (Self { state: State::Trying, reliable }, steps.into_iter().collect())
    }

    /// One input.
    pub(super) fn input(&mut self, input: ServerInput, timers: &TransactionTimers) -> Steps {
        use State::{Completed, Proceeding, Trying};
        match (self.state, input) {
            // §17.2.2: "Once in the Trying state, any further request retransmissions are
            // discarded."
            (Trying, ServerInput::Request) => Steps::new(),
            // RFC 4320 §4.1: "MUST respond … with a Status-Code of 100 if it has not otherwise
            // responded after the amount of time it takes a client … Timer E to be reset to T2".
            (Trying, ServerInput::Fired(Timer::Trying)) => {
                self.state = Proceeding;
                [Step::SendTrying, Step::DropRequest].into_iter().collect()
            }
            // RFC 4320 §4.1: "MUST NOT respond … with 100 over any unreliable transport" earlier.
            (Trying, ServerInput::Respond(Class::Provisional)) if self.reliable => {
                self.state = Proceeding;
                [Step::StopRepeat, Step::Send, Step::DropRequest].into_iter().collect()
            }
            // §17.2.2: in Proceeding a retransmission gets "the most recently sent provisional
            // response".
            (Proceeding, ServerInput::Request) => Steps::from_slice(&[Step::SendAgain]),
            (Proceeding, ServerInput::Respond(Class::Provisional)) => {
                Steps::from_slice(&[Step::Send])
            }
            // §17.2.2: to Completed; timer J is 64·T1, zero on reliable transports.
            (Trying | Proceeding, ServerInput::Respond(Class::Success | Class::Failure)) => {
                self.state = Completed;
                let wait = linger(self.reliable, Timer::J, timers.give_up());
                [Step::StopRepeat, Step::Send, Step::DropRequest, wait].into_iter().collect()
            }
            // RFC 4320 §4.2: the client has given up; nothing is sent.
            (Trying | Proceeding, ServerInput::Fired(Timer::Forgotten)) => {
                Steps::from_slice(&[Step::End])
            }
            // §17.2.4: the TU is told and the transaction ends.
            (Trying | Proceeding | Completed, ServerInput::TransportError) => {
                [Step::TransportFailed, Step::End].into_iter().collect()
            }
            (Completed, ServerInput::Request) => Steps::from_slice(&[Step::SendAgain]),
            (Completed, ServerInput::Fired(Timer::J)) => Steps::from_slice(&[Step::End]),
            // §17.2.2: "Any other final responses passed by the TU … MUST be discarded while in
            // the Completed state."
            (Trying | Proceeding | Completed, _) => Steps::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::every;
    use super::*;
    use ServerInput::{Fired, Request, Respond, TransportError};
    use State::{Completed, Proceeding};
    use Step::*;
    use Timer::{Forgotten, J};
    use std::time::Duration;

    const GIVE_UP: Duration = Duration::from_secs(32);

    /// State, on a stream, input, what is done, state afterwards.
    type Row = (State, bool, ServerInput, Vec<Step>, State);

    fn figure() -> Vec<Row> {
        let (one, two, more) = (Class::Provisional, Class::Success, Class::Failure);
        let trying = Fired(Timer::Trying);
        let mut rows = vec![(
            State::Trying,
            true,
            Respond(one),
            vec![StopRepeat, Send, DropRequest],
            Proceeding,
        )];
        for reliable in [false, true] {
            let wait = if reliable { End } else { Bound(J, GIVE_UP) };
            let done = vec![StopRepeat, Send, DropRequest, wait];
            let failed = vec![TransportFailed, End];
            for state in [State::Trying, Proceeding] {
                rows.extend([
                    (state, reliable, Respond(two), done.clone(), Completed),
                    (state, reliable, Respond(more), done.clone(), Completed),
                    (state, reliable, Fired(Forgotten), vec![End], state),
                    (state, reliable, TransportError, failed.clone(), state),
                ]);
            }
            rows.extend([
                (State::Trying, reliable, trying, vec![SendTrying, DropRequest], Proceeding),
                (Proceeding, reliable, Request, vec![SendAgain], Proceeding),
                (Proceeding, reliable, Respond(one), vec![Send], Proceeding),
                (Completed, reliable, Request, vec![SendAgain], Completed),
                (Completed, reliable, TransportError, failed, Completed),
                (Completed, reliable, Fired(J), vec![End], Completed),
            ]);
        }
        rows
    }

    fn at(state: State, reliable: bool) -> NonInviteServer {
        NonInviteServer { state, reliable }
    }

    /// Every input in every state: what the figure shows, and nothing else.
    #[test]
    fn the_machine_is_the_figure() {
        let timers = TransactionTimers::default();
        let rows = figure();
        for state in [Completed, Proceeding, State::Trying] {
            for (reliable, input) in every::server_inputs().flat_map(|i| [(false, i), (true, i)]) {
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
    fn it_starts_by_handing_the_request_up() {
        let (machine, steps) = NonInviteServer::start(false, &TransactionTimers::default());
        let trying = Repeat(Timer::Trying, Duration::from_millis(3_500));
        assert_eq!(steps.to_vec(), [trying, Bound(Forgotten, GIVE_UP), Pass]);
        assert_eq!(machine.state, State::Trying);
    }
}
