//! Whom to choose where many are idle, without comparing them all each time: one desk's own notes.
//!
//! A full look at a queue with more than [`MANY`] idle people notes the best of them, and from which score
//! on the others follow. While somebody works, scores only grow; so whoever on the list is idle and has
//! their score still is the best of all, unless somebody has come idle who was not compared: those are the
//! bits of the idle hint that were not there before.
//!
//! ```text
//!   on the list, smallest first                               the others who were compared
//!   [ bound: off | idle, has grown: back by rank | idle: the best | … ]  <  beyond  ≤  …
//! ```
//! Who is found bound leaves the list and loses the bit, so that coming back is a new bit. What else can
//! make a score smaller (rosters, help, counts set) counts up the board's `order`, and a list of before is
//! dropped. Only notes: word, row and score are read again before an agent is chosen, `take` decides, and
//! when the list names nobody, the full look does. So no wake-up rests on it. Bounded: [`LISTS_MAX`] lists.

use std::collections::{BinaryHeap, VecDeque};

use super::board::Board;
use super::idle::{Found, Score, Seen};
use super::roster::ones;
use super::strategy::Strategy;
use super::word::Word;

/// With no more than that every idle one is looked at.
const MANY: usize = 32;
/// People on one list when it is made; twice as many later.
const LIST_MAX: usize = 256;
/// Lists of one desk.
const LISTS_MAX: usize = 8;

/// A score, and the place on the board: among equals the lowest is chosen.
type Rank = (Score, usize);

#[derive(Debug)]
struct Shortlist {
    queue: usize,
    strategy: Strategy,
    /// The board's `order` when it was made.
    order: u64,
    /// The best, smallest first.
    ranks: VecDeque<Rank>,
    /// From here on others follow; `None`: there are none.
    beyond: Option<Rank>,
    /// Bits over agents: who was compared.
    compared: Box<[u64]>,
}

/// One desk's lists.
#[derive(Debug, Default)]
pub(super) struct Shortlists {
    lists: Vec<Shortlist>,
    /// Which is dropped next.
    oldest: usize,
}

impl Shortlists {
    /// The idle member of `queue` whom `strategy` prefers. Wait-free, as [`Board::find_idle`].
    pub(super) fn find_idle(
        &mut self,
        board: &Board,
        queue: usize,
        strategy: Strategy,
    ) -> Option<Found> {
        let list = self.lists.iter().position(|l| l.queue == queue && l.strategy == strategy);
        if let Some(place) = list {
            let list = &mut self.lists[place];
            let found = if list.order == board.order() { list.choose(board) } else { None };
            if found.is_some() {
                return found;
            }
            self.lists.swap_remove(place);
        }
        let found = board.find_idle(queue, strategy)?;
        if found.among > MANY {
            let list = Shortlist::of(board, queue, strategy);
            if self.lists.len() < LISTS_MAX {
                self.lists.push(list);
            } else {
                self.lists[self.oldest] = list;
                self.oldest = (self.oldest + 1) % LISTS_MAX;
            }
        }
        Some(found)
    }
}

impl Shortlist {
    fn of(board: &Board, queue: usize, strategy: Strategy) -> Self {
        let order = board.order();
        let mut compared: Box<[u64]> = vec![0; board.roster.words()].into();
        // The worst on top: the best of all, and one more.
        let mut best: BinaryHeap<Rank> = BinaryHeap::with_capacity(LIST_MAX + 2);
        for (place, compared) in compared.iter_mut().enumerate() {
            for bit in ones(board.marked(queue, place)) {
                let agent = place * 64 + bit;
                if !board.word(agent).is_idle() {
                    continue;
                }
                *compared |= 1 << bit;
                let Some(score) = board.score(queue, strategy, agent) else { continue };
                if best.len() <= LIST_MAX {
                    best.push((score, agent));
                } else if let Some(mut worst) = best.peek_mut()
                    && (score, agent) < *worst
                {
                    *worst = (score, agent);
                }
            }
        }
        let beyond = if best.len() > LIST_MAX { best.pop() } else { None };
        Self { queue, strategy, order, ranks: best.into_sorted_vec().into(), beyond, compared }
    }

    fn choose(&mut self, board: &Board) -> Option<Found> {
        if let Some(owed) = self.compare_new(board) {
            return Some(owed);
        }
        let mut place = 0;
        while let Some(&(known, agent)) = self.ranks.get(place) {
            let word = match board.seen_at_bit(agent) {
                Seen::Idle(word) => word,
                Seen::Owed(word) => return Some(self.found(agent, word)),
                Seen::Passing => {
                    place += 1;
                    continue;
                }
                Seen::Busy => {
                    self.ranks.remove(place);
                    self.compared[agent / 64] &= !(1 << (agent % 64));
                    continue;
                }
            };
            let score = board.score(self.queue, self.strategy, agent)?;
            if score == known {
                return Some(self.found(agent, word));
            }
            self.ranks.remove(place);
            self.insert((score, agent));
        }
        None
    }

    /// Compares who has come idle since; whoever is owed a look comes first.
    fn compare_new(&mut self, board: &Board) -> Option<Found> {
        for place in 0..self.compared.len() {
            for bit in ones(board.marked(self.queue, place) & !self.compared[place]) {
                let agent = place * 64 + bit;
                match board.seen_at_bit(agent) {
                    Seen::Idle(_) => {}
                    Seen::Owed(word) => return Some(self.found(agent, word)),
                    Seen::Passing | Seen::Busy => continue,
                }
                self.compared[place] |= 1 << bit;
                if let Some(score) = board.score(self.queue, self.strategy, agent) {
                    self.insert((score, agent));
                }
            }
        }
        None
    }

    fn insert(&mut self, rank: Rank) {
        if self.beyond.is_some_and(|beyond| rank > beyond) {
            return;
        }
        let place = self.ranks.partition_point(|other| *other < rank);
        self.ranks.insert(place, rank);
        if self.ranks.len() > 2 * LIST_MAX {
            self.beyond = self.ranks.pop_back();
        }
    }

    fn found(&self, agent: usize, word: Word) -> Found {
        Found { agent, word, among: self.ranks.len() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::*;
    use super::*;
    use crate::domain::{AgentId, CallKey, Moment, QueueId, ShardId};

    const PEOPLE: u16 = 400;
    const GROUP: QueueId = QueueId(0);

    struct NoWake;

    impl Wake for NoWake {
        fn wake(&self) {}
    }

    /// Two desks with random callers, and people who work, rest, come, go and are moved.
    struct World {
        board: Arc<Board>,
        desks: Vec<Desk>,
        now: Moment,
        random: u64,
        calls: u32,
        talking: Vec<(usize, CallKey, Token)>,
        /// Choices that a list was there for.
        listed: u32,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let limits = BoardLimits {
                agents: PEOPLE,
                groups: 1,
                shards: 2,
                queue_len_max: 9,
                credit_max: Duration::ZERO,
            };
            let wakers = (0..2).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
            let board = Arc::new(Board::new(limits, wakers));
            let desks = (0..2).map(|shard| Desk::new(board.clone(), ShardId(shard))).collect();
            let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let (talking, now) = (Vec::new(), Moment::from_millis(1));
            let mut world = Self { board, desks, now, random, calls: 0, talking, listed: 0 };
            for agent in 0..PEOPLE {
                world.serve(agent);
                world.desks[0].clear_flag(world.now, AgentId(agent), Flags::UNREACHABLE);
            }
            world
        }

        fn random(&mut self, below: u64) -> u64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random % below
        }

        fn serve(&mut self, agent: u16) {
            let (level, rank) = (self.random(4) as u8, self.random(100) as u16);
            let helper = self.random(8) == 0;
            let serve = Serve { level, rank, helper, ..GROUP.into() };
            self.board.set_roster(ShardId(0), AgentId(agent), &[serve]).expect("within the bounds");
            self.turn();
        }

        fn turn(&mut self) {
            let now = self.now;
            self.desks.iter_mut().for_each(|desk| desk.turn(now));
        }

        fn strategy(&mut self) -> Strategy {
            match self.random(6) {
                0 => Strategy::RoundRobin,
                1 => Strategy::FewestCalls,
                2 => Strategy::LeastTalk,
                3 => Strategy::Skill { wanted: self.random(4) as u8 },
                4 => Strategy::Ordered,
                _ => Strategy::LongestIdle,
            }
        }

        fn arrive(&mut self) {
            let (desk, strategy) = (self.random(2) as usize, self.strategy());
            let board = &self.board;
            let idle = (0..usize::from(PEOPLE)).filter(|agent| board.word(*agent).is_idle());
            let ranks = idle.filter_map(|agent| Some((board.score(0, strategy, agent)?, agent)));
            let expected = ranks.min().map(|(_, agent)| agent);
            let order = self.board.order();
            let lists = &self.desks[desk].shortlists.lists;
            let listed = lists.iter().any(|l| l.strategy == strategy && l.order == order);
            self.listed += u32::from(listed);
            self.calls += 1;
            let call = CallKey::new(1, ShardId(desk as u8), self.calls);
            let ask = Ask { strategy, ..Ask::default() };
            self.desks[desk].enter(self.now, call, ask, &[GROUP]).expect("room");
            let chosen = self.desks[desk].poll();
            assert_eq!(chosen.map(|a| a.agent.index()), expected, "{strategy:?}");
            let token = chosen.expect("hundreds are idle").token;
            self.talking.push((desk, call, token));
        }

        fn end(&mut self) {
            let Some(last) = self.talking.len().checked_sub(1) else { return };
            let place = self.random(last as u64 + 1) as usize;
            let (desk, call, mut token) = self.talking.swap_remove(place);
            if self.random(4) > 0 {
                token = self.desks[desk].answered(token).expect("offered");
            }
            self.desks[desk].withdraw(call);
            let rest = Duration::from_millis(self.random(40));
            let after = if rest.is_zero() { After::Free } else { After::Wrap(self.now + rest) };
            assert!(self.desks[desk].release(self.now, token, after));
        }

        fn step(&mut self) {
            let agent = self.random(u64::from(PEOPLE)) as u16;
            let (id, now) = (AgentId(agent), self.now);
            let flag = if self.random(2) == 0 { Flags::PAUSED } else { Flags::LOGGED_OUT };
            match self.random(2_000) {
                0 => self.serve(agent),
                1 => self.board.set_counts(id, Counts::default()),
                2 if !self.board.close_help(GROUP) => {
                    self.board.open_help(ShardId(0), GROUP);
                    self.turn();
                }
                3..20 => drop(self.desks[0].set_flag(id, flag)),
                20..60 => (0..PEOPLE).step_by(9).for_each(|one| {
                    self.desks[1].clear_flag(now, AgentId(one + agent % 9), flag);
                }),
                60..100 => drop(self.desks[1].end_wrap(now, id)),
                100..900 => self.arrive(),
                900..1_600 => self.end(),
                _ => self.now = now + Duration::from_millis(1),
            }
            // So that many are idle.
            if self.talking.len() > 60 {
                self.end();
            }
            self.turn();
        }
    }

    #[test]
    fn who_is_listed_is_who_would_be_found_among_all() {
        for seed in 1..5 {
            let mut world = World::new(seed);
            (0..6_000).for_each(|_| world.step());
            assert!(world.listed > 500, "{} of {}", world.listed, world.calls);
            let lists = world.desks.iter().map(|desk| desk.shortlists.lists.len());
            assert!(lists.max() <= Some(LISTS_MAX));
        }
    }
}
