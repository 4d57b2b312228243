//! Drives one design through one case: threads that own calls, in a closed loop, and what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::designs::{Bound, Design, Queue, Thread, World};
use crate::stall::{self, STALL, Victim};

/// Where callers want to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Each to another person, evenly.
    Own,
    /// All to one person.
    Manager,
    /// All to the group.
    Group,
}

/// One thing to measure.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Threads and people.
    pub world: World,
    /// Where callers go.
    pub mix: Mix,
    /// Callers who always wait, over all threads; 0: agents are idle, and wait for callers.
    pub waiting: usize,
    /// Of a hundred who come, so many others hang up.
    pub hang_ups: u32,
    /// Who is stopped again and again.
    pub stalls: Option<Victim>,
    /// The first thread owns so many callers at most: those of a stopped thread who are bound keep their
    /// agents, so it must have fewer callers than there are agents if the others are to go on.
    pub first_owns: usize,
    /// Between two steps of a thread at least; zero: as fast as it can.
    pub pace: Duration,
    /// How long; `ENOUGH` assignments if that is zero: a test.
    pub span: Duration,
}

/// Agents bound in a test, and how long that may take.
const ENOUGH: u64 = 500;
const ENOUGH_MAX: Duration = Duration::from_secs(60);

/// What a test judges: nobody is bound twice.
struct Judge {
    is_bound: Vec<AtomicBool>,
    total: AtomicU64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Agents bound, a second.
    pub per_second: f64,
    /// Agent freed (or, with idle agents, caller come) → bound, seen by the caller's thread, ns. With a
    /// thread that is stopped: of the others only.
    pub bound: Histogram<u64>,
    /// The longest that a thread which was not stopped went without binding anybody.
    pub longest_gap: Duration,
}

struct Slot {
    call: u32,
    queue: Queue,
    since: u64,
}

struct Driver<T: Thread> {
    half: T,
    case: Case,
    start: Instant,
    freed: Arc<Vec<AtomicU64>>,
    judge: Option<Arc<Judge>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    generation: u32,
    bound: Vec<Bound<T::Held>>,
    chance: u64,
    times: Histogram<u64>,
    count: u64,
    last: u64,
    longest_gap: u64,
}

/// Numbers of calls that all designs can keep apart.
const NUMBERS: u32 = 1 << 24;

impl<T: Thread> Driver<T> {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn chance(&mut self, of: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance % of.max(1) as u64) as usize
    }

    fn queue(&mut self) -> Queue {
        match self.case.mix {
            Mix::Own => Queue::Own(self.chance(self.case.world.agents)),
            Mix::Manager => Queue::Own(0),
            Mix::Group => Queue::Group,
        }
    }

    fn enter(&mut self, queue: Queue) {
        let slots = self.slots.len() as u32;
        let slot = self.free.pop().expect("as many slots as callers");
        self.generation = (self.generation + 1) % (NUMBERS / slots).max(1);
        let call = self.generation * slots + slot as u32;
        self.slots[slot] = Some(Slot { call, queue, since: self.now() });
        self.half.enter(call, queue);
    }

    /// Some caller gives up, and another comes.
    fn hang_up(&mut self) {
        let slot = self.chance(self.slots.len());
        let Some(Slot { call, queue, .. }) = self.slots[slot] else { return };
        if self.half.hang_up(call, queue) || T::MAY_COME_LATE {
            self.slots[slot] = None;
            self.free.push(slot);
            self.enter(queue);
        }
    }

    fn step(&mut self) -> bool {
        self.half.turn();
        let mut did = false;
        while let Some(bound) = self.half.poll() {
            did = true;
            let now = self.now();
            if let Some(judge) = &self.judge {
                let twice = judge.is_bound[bound.agent].swap(true, Ordering::SeqCst);
                assert!(!twice, "agent {} is bound twice", bound.agent);
                judge.total.fetch_add(1, Ordering::Relaxed);
            }
            let slot = bound.call as usize % self.slots.len();
            let known = self.slots[slot].take_if(|s| s.call == bound.call);
            let Some(caller) = known else {
                // Hung up while the agent was on the way.
                self.let_go(bound);
                continue;
            };
            self.free.push(slot);
            let since = match self.case.waiting {
                0 => caller.since,
                _ => self.freed[bound.agent].load(Ordering::Relaxed),
            };
            self.times.saturating_record(now.saturating_sub(since));
            self.count += 1;
            self.longest_gap = self.longest_gap.max(now - self.last);
            self.last = now;
            self.bound.push(bound);
            if self.case.waiting > 0 {
                self.enter(caller.queue);
            }
        }
        if let Some(bound) = self.bound.pop() {
            did = true;
            self.let_go(bound);
            if self.case.waiting == 0 {
                let queue = self.queue();
                self.enter(queue);
            }
        }
        if did && self.case.hang_ups > 0 && self.chance(100) < self.case.hang_ups as usize {
            self.hang_up();
        }
        did
    }

    fn let_go(&mut self, bound: Bound<T::Held>) {
        self.freed[bound.agent].store(self.now(), Ordering::Relaxed);
        if let Some(judge) = &self.judge {
            judge.is_bound[bound.agent].store(false, Ordering::SeqCst);
        }
        self.half.release(bound);
    }

    /// Everybody who is to wait comes; with idle agents one caller at a time.
    fn fill(&mut self, callers: usize) {
        for _ in 0..callers {
            let queue = self.queue();
            self.enter(queue);
        }
    }

    fn run(&mut self, is_over: &AtomicBool) {
        let mut idle = 0_u32;
        self.last = self.now();
        while !is_over.load(Ordering::Relaxed) {
            let next = self.now() + self.case.pace.as_nanos() as u64;
            idle = if self.step() { 0 } else { idle + 1 };
            while self.now() < next {
                std::hint::spin_loop();
            }
            if idle > 64 {
                std::thread::yield_now();
            } else if idle > 0 {
                std::hint::spin_loop();
            }
        }
    }
}

/// Runs a case. Counts begin after the callers are in line.
pub fn run<D: Design>(case: &Case) -> Figures {
    let (is_on, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let start = Instant::now();
    let halves = D::build(case.world, start);
    let agents = || 0..case.world.agents;
    let freed = Arc::new(agents().map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    let is_bound = || agents().map(|_| AtomicBool::new(false)).collect();
    let judge = case
        .span
        .is_zero()
        .then(|| Arc::new(Judge { is_bound: is_bound(), total: AtomicU64::new(0) }));
    let threads: Vec<_> = halves
        .into_iter()
        .enumerate()
        .map(|(me, half)| {
            let case = *case;
            let mut driver = driver(half, &case, me, start, freed.clone());
            driver.judge = judge.clone();
            let (is_on, is_over) = (is_on.clone(), is_over.clone());
            std::thread::spawn(move || {
                if me == 0 {
                    stall::enlist_first();
                }
                driver.fill(callers(&case, me));
                driver.run(&is_on);
                driver.times.clear();
                (driver.count, driver.longest_gap) = (0, 0);
                let began = Instant::now();
                driver.run(&is_over);
                let per_second = driver.count as f64 / began.elapsed().as_secs_f64();
                (per_second, driver.times, driver.longest_gap)
            })
        })
        .collect();
    std::thread::park_timeout(case.span / 5);
    is_on.store(true, Ordering::Relaxed);
    wait(case, judge.as_deref());
    is_over.store(true, Ordering::Relaxed);
    let mut all = Figures { per_second: 0.0, bound: histogram(), longest_gap: Duration::ZERO };
    for (me, thread) in threads.into_iter().enumerate() {
        let (per_second, times, gap) = thread.join().expect("a design does not panic");
        all.per_second += per_second;
        if me > 0 || case.stalls != Some(Victim::First) {
            all.bound.add(times).expect("made alike");
            all.longest_gap = all.longest_gap.max(Duration::from_nanos(gap));
        }
    }
    if let Some(judge) = judge {
        all.per_second = judge.total.load(Ordering::Relaxed) as f64;
    }
    all
}

/// A single thread does `rounds` steps, for counting instructions.
pub fn count<D: Design>(case: &Case, rounds: u64) -> u64 {
    let start = Instant::now();
    let half = D::build(case.world, start).swap_remove(0);
    let freed = Arc::new((0..case.world.agents).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    let mut driver = driver(half, case, 0, start, freed);
    driver.fill(callers(case, 0));
    while driver.count < rounds {
        driver.step();
    }
    driver.count
}

fn driver<T: Thread>(
    half: T,
    case: &Case,
    me: usize,
    start: Instant,
    freed: Arc<Vec<AtomicU64>>,
) -> Driver<T> {
    let slots = case.world.calls_max;
    Driver {
        half,
        case: *case,
        start,
        freed,
        judge: None,
        slots: (0..slots).map(|_| None).collect(),
        free: (0..slots).rev().collect(),
        generation: 0,
        bound: Vec::new(),
        chance: 0x9e37_79b9_7f4a_7c15 ^ (me as u64 + 1),
        times: histogram(),
        count: 0,
        last: 0,
        longest_gap: 0,
    }
}

/// Of one thread: those who wait, and as many again as there are agents to be bound to.
fn callers(case: &Case, thread: usize) -> usize {
    let even = match case.waiting {
        0 => 1,
        waiting => waiting.div_ceil(case.world.threads) + served(case).div_ceil(case.world.threads),
    };
    if thread == 0 { even.min(case.first_owns) } else { even }
}

/// Who has work in this case.
fn served(case: &Case) -> usize {
    match case.mix {
        Mix::Own => case.world.agents,
        Mix::Manager => 1,
        Mix::Group => case.world.grouped,
    }
}

/// Slots of one thread: its callers, and room for those who come while others are being replaced.
pub fn slots(threads: usize, agents: usize, waiting: usize) -> usize {
    (waiting + agents).div_ceil(threads) * 2 + 16
}

fn wait(case: &Case, judge: Option<&Judge>) {
    if let Some(judge) = judge {
        let end = Instant::now() + ENOUGH_MAX;
        while judge.total.load(Ordering::Relaxed) < ENOUGH && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        return;
    }
    let end = Instant::now() + case.span;
    let mut pause = Duration::from_millis(150);
    while let Some(victim) = case.stalls {
        if Instant::now() + pause + STALL > end {
            break;
        }
        std::thread::park_timeout(pause);
        stall::stop(victim);
        // Another place in the loop each time.
        pause = STALL + Duration::from_micros(200_137 + u64::from(pause.subsec_micros()) % 7_919);
    }
    std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("constant bounds")
}
