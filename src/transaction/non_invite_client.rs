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

    /// One input.
    pub(super) fn input(&mut self, input: ClientInput, timers: &TransactionTimers) -> Steps {
        use State::{Completed, Proceeding, Trying};
        match (self.state, input) {
            // §17.1.2.2: timer E doubles up to T2.
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

#[cfg(test)]
mod tests {
    use super::super::step::every;
    use super::*;
    use ClientInput::{Fired, Response, TransportError};
    use State::{Completed, Proceeding, Trying};
    use Step::{Bound, DropSent, End, Pass, Repeat, Send, SendAgain, StopRepeat, Timeout};
    use Timer::{E, F, K};

    const T1: Duration = Duration::from_millis(500);
    const T2: Duration = Duration::from_secs(4);
    const T4: Duration = Duration::from_secs(5);
    const GIVE_UP: Duration = Duration::from_secs(32);

    /// State, on a stream, input, what is done, state afterwards.
    type Row = (State, bool, ClientInput, Vec<Step>, State);

    fn figure() -> Vec<Row> {
        let (one, two, more) = (Class::Provisional, Class::Success, Class::Failure);
        let mut rows = vec![];
        for reliable in [false, true] {
            let wait = if reliable { End } else { Bound(K, T4) };
            let done = vec![StopRepeat, DropSent, Pass, wait];
            for state in [Trying, Proceeding] {
                rows.extend([
                    (state, reliable, Fired(F), vec![Timeout, End], state),
                    (state, reliable, TransportError, vec![Step::TransportFailed, End], state),
                    (state, reliable, Response(one), vec![Pass], Proceeding),
                    (state, reliable, Response(two), done.clone(), Completed),
                    (state, reliable, Response(more), done.clone(), Completed),
                ]);
            }
            rows.extend([
                (Trying, reliable, Fired(E), vec![SendAgain, Repeat(E, T1 * 2)], Trying),
                (Proceeding, reliable, Fired(E), vec![SendAgain, Repeat(E, T2)], Proceeding),
                (Completed, reliable, Fired(K), vec![End], Completed),
            ]);
        }
        rows
    }

    fn at(state: State, reliable: bool) -> NonInviteClient {
        NonInviteClient { state, reliable, interval: T1 }
    }

    /// Every input in every state: what the figure shows, and nothing else.
    #[test]
    fn the_machine_is_the_figure() {
        let timers = TransactionTimers::default();
        let rows = figure();
        for state in [Completed, Proceeding, Trying] {
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
    fn timer_e_doubles_up_to_t2_and_only_on_datagrams() {
        let timers = TransactionTimers::default();
        let (mut machine, steps) = NonInviteClient::start(false, &timers);
        assert_eq!(steps.to_vec(), [Send, Bound(F, GIVE_UP), Repeat(E, T1)]);
        let waits = [T1 * 2, T1 * 4, T2, T2].map(|wait| [SendAgain, Repeat(E, wait)].to_vec());
        assert_eq!([(); 4].map(|()| machine.input(Fired(E), &timers).to_vec()), waits);
        let (machine, steps) = NonInviteClient::start(true, &timers);
        assert_eq!(steps.to_vec(), [Send, Bound(F, GIVE_UP)]);
        assert_eq!(machine.state, Trying);
    }
}
