//! One shard's callers in line: plain data behind `&mut`, shared with nobody.
//!
//! A caller has one key for life and stands in any number of queues. It stands there as long as it
//! wants more agents than are bound to it; then in none, but its queues are remembered, so that a
//! failed offer puts it back where it was.
//! Bounded by `calls_max` of the shard times the queues of a plan's steps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use smallvec::SmallVec;

use super::key::Key;
use super::order::Order;
use super::strategy::Strategy;
use super::word::Token;
use crate::domain::{CallKey, Moment};

/// Queues of one caller.
pub(super) type Queues = SmallVec<[usize; 4]>;

/// One caller.
#[derive(Debug)]
pub(super) struct Line {
    call: CallKey,
    pub(super) key: Key,
    arrived: Moment,
    /// The head start in its key.
    credit: Duration,
    /// Its queues, and how it chooses among the idle there.
    places: SmallVec<[(usize, Strategy); 4]>,
    /// How many agents it wants at once.
    agents: u8,
    /// To whom it is offered.
    offered: SmallVec<[Token; 1]>,
    /// One of them has answered.
    answered: bool,
    /// It stands in its queues.
    stands: bool,
}

impl Line {
    /// The queues it stands in, or would.
    pub(super) fn queues(&self) -> Queues {
        self.places.iter().map(|(queue, _)| *queue).collect()
    }

    /// It stands in its queues: wants one agent more at least.
    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// Somebody is bound to it.
    pub(super) fn is_offered(&self) -> bool {
        !self.offered.is_empty()
    }

    fn wants(&self) -> bool {
        !self.answered && self.offered.len() < usize::from(self.agents)
    }
}

/// Who stands in one queue: those of each head start in an order of their own, where whoever is first has waited
/// for longest too. There are as many as the policy has different head starts.
type Standing = SmallVec<[(Duration, Order); 1]>;

/// Numbers of the callers looked up last, by the low bits of their names: a power of two of them.
const RECENT: usize = 256;
/// No number.
const NONE: u32 = u32::MAX;

/// All callers of one shard, numbered; numbers are used again.
#[derive(Debug)]
pub(super) struct Lines {
    lines: Vec<Option<Line>>,
    free: Vec<u32>,
    numbers: BTreeMap<CallKey, u32>,
    /// Spares most looks into `numbers`: one input asks for its call again and again.
    recent: Box<[Cell<u32>]>,
    keys: Order,
    /// For each queue its place in `orders`, or `NONE` while nobody stands there.
    places: Box<[u32]>,
    orders: Vec<(usize, Standing)>,
    /// Places in `orders` that nobody uses.
    unused: Vec<u32>,
}

impl Lines {
    /// Nobody in any of so many queues.
    pub(super) fn new(queues: usize) -> Self {
        Self {
            lines: Vec::new(),
            free: Vec::new(),
            numbers: BTreeMap::new(),
            recent: vec![Cell::new(NONE); RECENT].into(),
            keys: Order::default(),
            places: vec![NONE; queues].into(),
            orders: Vec::new(),
            unused: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Somebody stands in some queue.
    pub(super) fn is_waiting(&self) -> bool {
        self.unused.len() < self.orders.len()
    }

    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn line(&self, call: CallKey) -> Option<&Line> {
        self.of(self.number(call)?)
    }

    fn line_mut(&mut self, call: CallKey) -> Option<&mut Line> {
        let number = self.number(call)?;
        self.lines.get_mut(number as usize)?.as_mut()
    }

    fn of(&self, number: u32) -> Option<&Line> {
        self.lines.get(number as usize)?.as_ref()
    }

    fn number(&self, call: CallKey) -> Option<u32> {
        let recent = &self.recent[call.as_u64() as usize % RECENT];
        if self.of(recent.get()).is_some_and(|line| line.call == call) {
            return Some(recent.get());
        }
        let number = *self.numbers.get(&call)?;
        recent.set(number);
        Some(number)
    }

    /// A new caller, in no queue yet.
    pub(super) fn open(&mut self, call: CallKey, key: Key, (arrived, credit): (Moment, Duration)) {
        let number = self.free.pop().unwrap_or(self.lines.len() as u32);
        if number as usize == self.lines.len() {
            self.lines.push(None);
        }
        self.lines[number as usize] = Some(Line {
            call,
            key,
            arrived,
            credit,
            places: SmallVec::new(),
            agents: 1,
            offered: SmallVec::new(),
            answered: false,
            stands: true,
        });
        self.numbers.insert(call, number);
        self.recent[call.as_u64() as usize % RECENT].set(number);
        self.keys.insert(key, number);
    }

    /// The caller goes for good; stands in no queue any more.
    pub(super) fn close(&mut self, call: CallKey) {
        let Some(number) = self.numbers.remove(&call) else { return };
        if let Some(line) = self.lines[number as usize].take() {
            self.keys.remove(line.key);
        }
        self.free.push(number);
    }

    /// Remembers a queue for a caller, or its new strategy there; a standing one stands in it from now on.
    pub(super) fn join(&mut self, call: CallKey, queue: usize, strategy: Strategy) {
        let Some(number) = self.number(call) else { return };
        let Some(line) = self.line_mut(call) else { return };
        match line.places.iter_mut().find(|(known, _)| *known == queue) {
            Some((_, known)) => *known = strategy,
            None => line.places.push((queue, strategy)),
        }
        if line.stands {
            let place = (line.key, line.credit);
            self.step_in(place, queue, number);
        }
    }

    /// Forgets a queue for a caller. `true`: it stood there.
    pub(super) fn leave(&mut self, call: CallKey, queue: usize) -> bool {
        let Some(line) = self.line_mut(call) else { return false };
        line.places.retain(|(known, _)| *known != queue);
        let (place, stands) = ((line.key, line.credit), line.stands);
        stands && self.step_out(place, queue)
    }

    /// The caller wants so many agents at once.
    pub(super) fn want(&mut self, call: CallKey, agents: u8) {
        if let Some(line) = self.line_mut(call) {
            line.agents = agents;
        }
    }

    /// The caller is offered with `token`.
    pub(super) fn offer(&mut self, call: CallKey, token: Token) {
        if let Some(line) = self.line_mut(call) {
            line.offered.push(token);
        }
    }

    /// Whether nobody answered the caller so far.
    pub(super) fn is_open(&self, call: CallKey) -> bool {
        self.line(call).is_none_or(|line| !line.answered)
    }

    /// The agent of `token` has answered the caller, and goes by `talking` from now on.
    pub(super) fn answer(&mut self, call: CallKey, token: Token, talking: Token) {
        let Some(line) = self.line_mut(call) else { return };
        if let Some(known) = line.offered.iter_mut().find(|known| **known == token) {
            *known = talking;
            line.answered = true;
        }
    }

    /// The offer with `token` is over. `false`: the caller was not offered with it.
    pub(super) fn take_back(&mut self, call: CallKey, token: Token) -> bool {
        let Some(line) = self.line_mut(call) else { return false };
        let Some(place) = line.offered.iter().position(|known| *known == token) else {
            return false;
        };
        line.offered.remove(place);
        if token.is_talking() {
            line.answered = false;
        }
        true
    }

    /// Puts the caller into its queues (`true`) or takes it out of them, if that is due.
    pub(super) fn stand(&mut self, call: CallKey) -> Option<(bool, Queues)> {
        let number = self.number(call)?;
        let line = self.line_mut(call)?;
        let wants = line.wants();
        if wants == std::mem::replace(&mut line.stands, wants) {
            return None;
        }
        let (place, queues) = ((line.key, line.credit), line.queues());
        for queue in &queues {
            if wants {
                self.step_in(place, *queue, number);
            } else {
                self.step_out(place, *queue);
            }
        }
        Some((wants, queues))
    }

    /// How a caller chooses among the idle in one of its queues.
    pub(super) fn strategy(&self, call: CallKey, queue: usize) -> Strategy {
        let place = self.line(call).and_then(|line| line.places.iter().find(|p| p.0 == queue));
        place.map(|(_, strategy)| *strategy).unwrap_or_default()
    }

    /// The best caller of a queue.
    pub(super) fn first(&self, queue: usize) -> Option<CallKey> {
        let firsts = self.standing_in(queue).iter().filter_map(|(_, order)| order.first());
        let (_, number) = firsts.min()?;
        self.of(number).map(|line| line.call)
    }

    /// The best key of a queue, when the one came who has waited for longest, and how many stand there.
    pub(super) fn shown(&self, queue: usize) -> (Key, Moment, usize) {
        let (mut best, mut came, mut len) = (Key::EMPTY, Moment::NEVER, 0);
        for (_, order) in self.standing_in(queue) {
            let Some((key, number)) = order.first() else { continue };
            best = best.min(key);
            came = came.min(self.of(number).map_or(Moment::NEVER, |line| line.arrived));
            len += order.len();
        }
        (best, came, len)
    }

    /// How many stand in `queue` before `key`.
    pub(super) fn ahead(&self, queue: usize, key: Key) -> usize {
        self.standing_in(queue).iter().map(|(_, order)| order.ahead(key)).sum()
    }

    /// Every queue with callers, lowest first.
    pub(super) fn queues(&self) -> Vec<usize> {
        let mut queues: Vec<usize> = self.standing().collect();
        queues.sort_unstable();
        queues
    }

    /// Every queue with callers, in no order.
    pub(super) fn standing(&self) -> impl Iterator<Item = usize> {
        self.orders.iter().filter(|(_, orders)| !is_empty(orders)).map(|(queue, _)| *queue)
    }

    /// Somebody stands in `queue`.
    pub(super) fn stands_in(&self, queue: usize) -> bool {
        !self.standing_in(queue).is_empty()
    }

    fn standing_in(&self, queue: usize) -> &[(Duration, Order)] {
        let place = self.places.get(queue).copied().unwrap_or(NONE);
        self.orders.get(place as usize).map_or(&[], |(_, orders)| orders)
    }

    fn step_in(&mut self, (key, credit): (Key, Duration), queue: usize, number: u32) {
        if self.places[queue] == NONE {
            let place = self.unused.pop().unwrap_or(self.orders.len() as u32);
            if place as usize == self.orders.len() {
                self.orders.push((queue, Standing::new()));
            }
            self.orders[place as usize].0 = queue;
            self.places[queue] = place;
        }
        let orders = &mut self.orders[self.places[queue] as usize].1;
        // The only one may be empty, and serves again for another head start.
        let mine = |(known, order): &(Duration, Order)| *known == credit || order.is_empty();
        match orders.iter().position(mine) {
            Some(at) => {
                orders[at].0 = credit;
                orders[at].1.insert(key, number);
            }
            None => {
                let mut order = Order::default();
                order.insert(key, number);
                orders.push((credit, order));
            }
        }
    }

    fn step_out(&mut self, (key, credit): (Key, Duration), queue: usize) -> bool {
        let Some(place) = self.places.get(queue).copied() else { return false };
        let Some((_, orders)) = self.orders.get_mut(place as usize) else { return false };
        let Some(at) = orders.iter().position(|(known, _)| *known == credit) else { return false };
        let stood = orders[at].1.remove(key);
        if orders[at].1.is_empty() && orders.len() > 1 {
            orders.swap_remove(at);
        }
        if is_empty(orders) {
            self.unused.push(place);
            self.places[queue] = NONE;
        }
        stood
    }
}

fn is_empty(orders: &[(Duration, Order)]) -> bool {
    orders.iter().all(|(_, order)| order.is_empty())
}
