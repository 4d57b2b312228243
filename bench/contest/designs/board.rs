//! Ours: the lock-free board, "the agent in hand".

use std::sync::Arc;
use std::time::{Duration, Instant};

use telefonist::acd::{
    After, Ask, Assignment, Board, BoardLimits, Desk, Flags, Serve, Token, Wake,
};
use telefonist::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

use super::{Bound, Design, Queue, Thread, World};

const GROUP: QueueId = QueueId(0);

/// Threads of the contest never sleep.
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// The board.
pub enum Ours {}

/// One shard's desk.
pub struct Half {
    desk: Desk,
    shard: ShardId,
    start: Instant,
}

impl Design for Ours {
    type Thread = Half;
    const NAME: &'static str = "board";

    fn build(world: World, start: Instant) -> Vec<Half> {
        let limits = BoardLimits {
            agents: world.agents as u16,
            groups: 1,
            shards: world.threads as u16,
            queue_len_max: u32::MAX,
            credit_max: Duration::from_secs(60),
        };
        let wakers = (0..world.threads).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
        let board = Arc::new(Board::new(limits, wakers));
        let shards = (0..world.threads).map(|shard| ShardId(shard as u8));
        let mut halves: Vec<Half> = shards
            .map(|shard| Half { desk: Desk::new(board.clone(), shard), shard, start })
            .collect();
        for agent in 0..world.agents {
            let id = AgentId(agent as u16);
            let group = (agent < world.grouped).then_some(GROUP);
            let queues = [board.own_queue(id)].into_iter().chain(group).map(Serve::from);
            let queues: Vec<Serve> = queues.collect();
            board.set_roster(ShardId(0), id, &queues).expect("within the bounds");
            halves[0].desk.clear_flag(Moment::ZERO, id, Flags::UNREACHABLE);
        }
        halves
    }
}

impl Half {
    fn now(&self) -> Moment {
        Moment::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn key(&self, call: u32) -> CallKey {
        CallKey::new(1, self.shard, call)
    }

    fn queue(&self, queue: Queue) -> QueueId {
        match queue {
            Queue::Own(agent) => self.desk.board().own_queue(AgentId(agent as u16)),
            Queue::Group => GROUP,
        }
    }
}

impl Thread for Half {
    type Held = Token;

    fn turn(&mut self) {
        self.desk.turn(self.now());
    }

    fn enter(&mut self, call: u32, queue: Queue) {
        let (now, key, queue) = (self.now(), self.key(call), self.queue(queue));
        self.desk.enter(now, key, Ask::default(), &[queue]).expect("room without end");
    }

    fn hang_up(&mut self, call: u32, _: Queue) -> bool {
        let key = self.key(call);
        !self.desk.is_offered(key) && self.desk.withdraw(key)
    }

    fn poll(&mut self) -> Option<Bound<Token>> {
        let Assignment { call, agent, token, .. } = self.desk.poll()?;
        let held = self.desk.answered(token).expect("nobody else moves a bound agent");
        let call = (call.as_u64() & 0x00ff_ffff) as u32;
        Some(Bound { call, agent: agent.index(), held })
    }

    fn release(&mut self, bound: Bound<Token>) {
        self.desk.withdraw(self.key(bound.call));
        self.desk.release(self.now(), bound.held, After::Free);
    }
}
