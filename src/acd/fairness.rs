//! The bound on the wait that a higher class can cause: however many calls with credit and head start
//! keep coming, a call is overtaken only by those that came within the two after it. So it is served
//! after at most the calls ahead of it on arrival and those of that span, one after the other.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::conformity::NoWake;
use super::*;
use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

const CREDIT_MAX: Duration = Duration::from_millis(1_000);
const HEAD_START: Duration = Duration::from_millis(400);
/// A shard's stamps are a µs apart at least.
const SLACK: Duration = Duration::from_millis(1);
const ANNA: AgentId = AgentId(0);
const PREFERRED: QueueId = QueueId(1);
const PLAIN: QueueId = QueueId(0);

/// One caller's way.
#[derive(Clone, Copy)]
struct Caller {
    arrived: Moment,
    /// Callers who stood in line then.
    ahead: usize,
    /// Callers who had been served then.
    served_before: usize,
}

/// One agent, who prefers one of two queues, and desks.
struct Line {
    desks: Vec<Desk>,
    now: Moment,
    callers: Vec<Caller>,
    /// By number, in the order of service.
    served: Vec<usize>,
    talks: Option<(usize, CallKey, Token)>,
}

impl Line {
    fn new(shards: u16) -> Self {
        let limits = BoardLimits {
            agents: 1,
            groups: 2,
            shards,
            queue_len_max: 10_000,
            credit_max: CREDIT_MAX,
        };
        let wakers = (0..shards).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
        let board = Arc::new(Board::new(limits, wakers));
        let mut desks: Vec<Desk> =
            (0..shards).map(|s| Desk::new(board.clone(), ShardId(s as u8))).collect();
        let serves = [Serve { head_start: HEAD_START, ..PREFERRED.into() }, PLAIN.into()];
        board.set_roster(ShardId(0), ANNA, &serves).expect("within the bounds");
        let now = Moment::from_millis(10);
        desks[0].clear_flag(now, ANNA, Flags::UNREACHABLE);
        Self { desks, now, callers: Vec::new(), served: Vec::new(), talks: None }
    }

    fn enter(&mut self, desk: usize, credit: Duration, preferred: bool) {
        let number = self.callers.len();
        let ahead = number - self.served.len();
        let served_before = self.served.len();
        self.callers.push(Caller { arrived: self.now, ahead, served_before });
        let call = CallKey::new(1, ShardId(desk as u8), number as u32);
        let queue = if preferred { PREFERRED } else { PLAIN };
        let ask = Ask { credit, ..Ask::default() };
        assert_eq!(self.desks[desk].enter(self.now, call, ask, &[queue]), Ok(()));
        self.poll();
    }

    /// The call in hand is over: the next one.
    fn serve(&mut self) {
        if let Some((desk, call, token)) = self.talks.take() {
            self.desks[desk].withdraw(call);
            assert!(self.desks[desk].release(self.now, token, After::Free));
        }
        self.poll();
    }

    fn poll(&mut self) {
        for _ in 0..2 {
            for desk in 0..self.desks.len() {
                self.desks[desk].turn(self.now);
                if let Some(assignment) = self.desks[desk].poll() {
                    self.served.push((assignment.call.as_u64() & 0xff_ffff) as usize);
                    self.talks = Some((desk, assignment.call, assignment.token));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_call_is_overtaken_only_by_those_who_came_within_credit_and_head_start_after_it(
        shards in 1_u16..=2,
        arrivals in proptest::collection::vec(
            (0_u64..300, any::<u8>(), 0_u64..3_000, any::<bool>(), any::<bool>()), 1..100,
        ),
    ) {
        let mut line = Line::new(shards);
        for (gap, desk, credit, preferred, serves) in arrivals {
            line.now = line.now + Duration::from_millis(gap);
            let credit = Duration::from_millis(credit);
            line.enter(usize::from(desk) % usize::from(shards), credit, preferred);
            if serves {
                line.serve();
            }
        }
        while line.served.len() < line.callers.len() {
            line.serve();
        }
        let span = CREDIT_MAX + HEAD_START + SLACK;
        for (place, number) in line.served.iter().enumerate() {
            let own = line.callers[*number];
            let within = |other: &Caller| other.arrived.since(own.arrived) <= span;
            let before = line.served[..place].iter().filter(|other| *other > number);
            for other in before {
                prop_assert!(within(&line.callers[*other]), "{other} overtook {number}");
            }
            let later = line.callers[*number + 1..].iter().filter(|other| within(other)).count();
            prop_assert!(place - own.served_before <= own.ahead + later);
        }
    }

    #[test]
    fn a_flood_of_the_highest_class_keeps_a_plain_call_for_no_longer_than_that(
        served_of_ten in 1_u64..10,
    ) {
        let mut line = Line::new(2);
        line.enter(0, Duration::ZERO, false);
        line.enter(0, Duration::ZERO, false);
        let waits = line.now;
        // Ten of the highest class every 100 ms, and at most nine of them are served.
        while !line.served.contains(&1) {
            line.now = line.now + Duration::from_millis(10);
            line.enter(1, CREDIT_MAX, true);
            if line.callers.len() as u64 % 10 < served_of_ten {
                line.serve();
            }
            // All who came within the span, at this pace of service.
            let most = (CREDIT_MAX + HEAD_START) * 10 / served_of_ten as u32;
            prop_assert!(line.now.since(waits) <= most + Duration::from_millis(200));
        }
    }
}
