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
//! Ours besides: a transaction user that is silent for [`SILENCE_MAX`] has lost the call, and
//! the transaction answers 500, so that no state is without a timeout.

use std::time::Duration;

use super::step::{
    Class, SILENCE_MAX, ServerInput, Step, Steps, TRYING_AFTER, Timer, TransactionTimers, linger,
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
            Step::Bound(Timer::Forgotten, SILENCE_MAX),
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
                let bound = Step::Bound(Timer::Forgotten, SILENCE_MAX);
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
            // §17.2.1: a request that comes again while in Completed gets the response again
            // (SHOULD).
            (Completed, ServerInput::Request) => Steps::from_slice(&[Step::SendAgain]),
            // §17.2.1: timer G doubles up to T2.
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
            // RFC 6026 §7.1: a repeated INVITE is absorbed, a 2xx from the TU is sent, an ACK is
            // handed to it.
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

#[cfg(test)]
mod tests {
    use super::super::step::every;
    use super::*;
    use ServerInput::{Ack, Fired, Request, Respond, TransportError};
    use State::{Accepted, Completed, Proceeding};
    use Step::{
        Bound, DropRequest, DropSent, End, NoAck, Pass, Repeat, Send, SendAgain, SendForgotten,
        SendTrying, StopRepeat,
    };
    use Timer::{Forgotten, G, H, I, L, Trying};

    const T1: Duration = Duration::from_millis(500);
    const T2: Duration = Duration::from_secs(4);
    const T4: Duration = Duration::from_secs(5);
    const GIVE_UP: Duration = Duration::from_secs(32);

    /// State, on a stream, input, what is done, state afterwards.
    type Row = (State, bool, ServerInput, Vec<Step>, State);

    fn figure() -> Vec<Row> {
        let (one, two, more) = (Class::Provisional, Class::Success, Class::Failure);
        let silence = Bound(Forgotten, SILENCE_MAX);
        let accept = vec![StopRepeat, Bound(L, GIVE_UP), Send, DropRequest, DropSent];
        let mut rows = vec![];
        for reliable in [false, true] {
            let again = if reliable { StopRepeat } else { Repeat(G, T1) };
            let refuse = |send| vec![again, Bound(H, GIVE_UP), send, DropRequest];
            let wait = if reliable { End } else { Bound(I, T4) };
            let confirm = vec![StopRepeat, DropSent, Step::Confirmed, wait];
            let told = vec![Step::TransportFailed];
            rows.extend([
                (Proceeding, reliable, Fired(Trying), vec![SendTrying], Proceeding),
                (Proceeding, reliable, Request, vec![SendAgain], Proceeding),
                (Proceeding, reliable, Respond(one), vec![StopRepeat, silence, Send], Proceeding),
                (Proceeding, reliable, Respond(two), accept.clone(), Accepted),
                (Proceeding, reliable, Respond(more), refuse(Send), Completed),
                (Proceeding, reliable, Fired(Forgotten), refuse(SendForgotten), Completed),
                (Proceeding, reliable, TransportError, told.clone(), Proceeding),
                (Completed, reliable, Request, vec![SendAgain], Completed),
                (Completed, reliable, Fired(G), vec![SendAgain, Repeat(G, T1 * 2)], Completed),
                (Completed, reliable, Fired(H), vec![NoAck, End], Completed),
                (Completed, reliable, Ack, confirm, State::Confirmed),
                (Completed, reliable, TransportError, told.clone(), Completed),
                (State::Confirmed, reliable, Fired(I), vec![End], State::Confirmed),
                (Accepted, reliable, Respond(two), vec![Send, DropSent], Accepted),
                (Accepted, reliable, Ack, vec![Pass], Accepted),
                (Accepted, reliable, TransportError, told, Accepted),
                (Accepted, reliable, Fired(L), vec![End], Accepted),
            ]);
        }
        rows
    }

    fn at(state: State, reliable: bool) -> InviteServer {
        InviteServer { state, reliable, interval: T1 }
    }

    /// Every input in every state: what the figure shows, and nothing else.
    #[test]
    fn the_machine_is_the_figure() {
        let timers = TransactionTimers::default();
        let rows = figure();
        for state in [Accepted, Completed, State::Confirmed, Proceeding] {
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
    fn timer_g_doubles_up_to_t2() {
        let timers = TransactionTimers::default();
        let mut machine = at(Completed, false);
        let waits = [T1 * 2, T1 * 4, T2, T2].map(|wait| [SendAgain, Repeat(G, wait)].to_vec());
        assert_eq!([(); 4].map(|()| machine.input(Fired(G), &timers).to_vec()), waits);
    }

    #[test]
    fn it_starts_by_handing_the_invite_up() {
        let (machine, steps) = InviteServer::start(false, &TransactionTimers::default());
        let silence = Bound(Forgotten, SILENCE_MAX);
        assert_eq!(steps.to_vec(), [Repeat(Trying, TRYING_AFTER), silence, Pass]);
        assert_eq!(machine.state, Proceeding);
    }
}
