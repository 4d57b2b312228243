//! The thread that carries the journal over into the call register.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::aside::step_aside;
use crate::store::journal::JOURNAL_KEPT;
use crate::store::register::{LINES_MAX, Projector};
use crate::telemetry::RateLimit;

/// A call's line is in the register at the latest so long after it was written.
const STEP_EVERY: Duration = Duration::from_millis(250);
/// Who gives way and has not caught up for so long gives way no more,
const LATE_MAX: Duration = Duration::from_secs(1);
/// for so long at least.
const FULL_SHARE_MIN: Duration = Duration::from_secs(30);
/// Lines of one step of who gives way: without a processor even these take seconds, and only then is it
/// seen that there is none.
const ASIDE_LINES_MAX: u64 = 64;
/// A register that has not caught up for so long is told of.
const TOLD_AFTER: Duration = Duration::from_secs(10);
/// Old segments are looked for this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// The running thread.
pub(super) struct Projecting {
    orders: Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
    problem: Problem,
}

type Problem = Arc<Mutex<Known>>;

/// How far the register is.
struct Known {
    /// Why it is behind the journal, while it is.
    why: Option<String>,
    /// When nothing was left last.
    caught_up: Instant,
}

impl Known {
    fn now() -> Self {
        Self { why: None, caught_up: Instant::now() }
    }

    fn problem(&self, now: Instant) -> Option<String> {
        let late = now.saturating_duration_since(self.caught_up);
        let busy = || format!("nothing was carried over to its end for {} s", late.as_secs());
        self.why.clone().or_else(|| (late > TOLD_AFTER).then(busy))
    }
}

enum Order {
    Step,
    Stop,
}

impl Projecting {
    /// Begins; `caught_up` is called once, when the register has all that was there. Errors: the system
    /// has no thread left.
    pub(super) fn begin(
        projector: Projector,
        caught_up: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, taken) = channel();
        let problem = Arc::new(Mutex::new(Known::now()));
        let thread = thread::Builder::new().name("register".into());
        let told = problem.clone();
        let thread = thread.spawn(move || {
            run(Work {
                projector,
                orders: taken,
                problem: told,
                caught_up: Some(Box::new(caught_up)),
                rare: RateLimit::new(Duration::from_secs(60)),
                pruned: Instant::now(),
            });
        })?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)), problem })
    }

    /// Why the register is behind the journal, while it is. The journal has everything.
    pub(super) fn problem(&self) -> Option<String> {
        super::lock(&self.problem).problem(Instant::now())
    }

    /// There is something new.
    pub(super) fn poke(&self) {
        // After `stop` nobody reads it.
        let _ = self.orders.send(Order::Step);
    }

    /// Carries over what is left and ends the thread.
    pub(super) fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been told by the hook.
            let _ = thread.join();
        }
    }
}

struct Work {
    projector: Projector,
    orders: Receiver<Order>,
    problem: Problem,
    caught_up: Option<Box<dyn FnOnce() + Send>>,
    rare: RateLimit,
    pruned: Instant,
}

/// Calls come first as long as the register keeps up with them; when it does not, it takes a thread's
/// full share until it does.
fn run(mut work: Work) {
    let mut stopped = work.follow_fully(Duration::ZERO);
    while !stopped {
        stopped = work.follow_aside(LATE_MAX) || work.follow_fully(FULL_SHARE_MIN);
    }
    work.projector.set_lines_max(LINES_MAX);
    // What cannot be written now is written at the next start.
    let _ = work.projector.catch_up();
}

impl Work {
    /// Gives way to all other threads, until it is late. Whether it was told to stop.
    fn follow_aside(&mut self, late_max: Duration) -> bool {
        self.projector.set_lines_max(ASIDE_LINES_MAX);
        let ended = thread::scope(|scope| {
            let thread = thread::Builder::new().name("register-aside".into());
            let thread = thread.spawn_scoped(scope, || {
                step_aside();
                self.follow(|late, _| late > late_max)
            });
            thread.map(|thread| thread.join())
        });
        match ended {
            // A panic there has been told by the hook.
            Ok(ended) => ended.unwrap_or(true),
            // No thread is left.
            Err(_) => self.follow(|_, _| false),
        }
    }

    /// Gives way to nobody, until it has caught up, and for so long `at_least`. Whether it was told to stop.
    fn follow_fully(&mut self, at_least: Duration) -> bool {
        self.projector.set_lines_max(LINES_MAX);
        let began = Instant::now();
        self.follow(|_, more| !more && began.elapsed() >= at_least)
    }

    /// Steps until it is `enough`: for how long something was left, and whether it still is. Whether it was
    /// told to stop.
    fn follow(&mut self, enough: impl Fn(Duration, bool) -> bool) -> bool {
        let mut nothing_left = Instant::now();
        loop {
            let more = self.step();
            let late = nothing_left.elapsed();
            if enough(late, more) {
                return false;
            }
            if more {
                continue;
            }
            nothing_left = Instant::now();
            match self.orders.recv_timeout(STEP_EVERY) {
                Ok(Order::Step) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Whether more is there than one step takes.
    fn step(&mut self) -> bool {
        let more = match self.projector.step() {
            Ok(progress) => {
                let mut known = super::lock(&self.problem);
                if !progress.more {
                    known.caught_up = Instant::now();
                }
                if known.why.take().is_some() {
                    tracing::info!("the register follows the journal again");
                }
                drop(known);
                if let Some(caught_up) = self.caught_up.take_if(|_| !progress.more) {
                    caught_up();
                }
                progress.more
            }
            Err(error) => {
                super::lock(&self.problem).why = Some(error.to_string());
                if let Some(held_back) = self.rare.pass("register") {
                    tracing::warn!(%error, held_back, "the register is behind the journal");
                }
                false
            }
        };
        if self.pruned.elapsed() > PRUNE_EVERY {
            self.pruned = Instant::now();
            if let Err(error) = self.projector.prune(JOURNAL_KEPT, SystemTime::now()) {
                tracing::warn!(%error, "old journal files stay");
            }
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::{Journal, Source, server_started};
    use crate::store::register::Register;

    /// A journal of more lines than one step aside takes.
    fn work(folder: &std::path::Path) -> (Sender<Order>, Work) {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let journal = Journal::open(&folder.join("journal"), at).expect("a journal");
        let lines: Vec<_> = (0..3 * ASIDE_LINES_MAX).map(|_| server_started(at)).collect();
        journal.writer(Source::Shell, at, &[]).append(&lines);
        let register = folder.join("register.db");
        Register::open(&register).expect("a register");
        let (give, orders) = channel();
        let work = Work {
            projector: Projector::new(&register, journal.dir()),
            orders,
            problem: Arc::new(Mutex::new(Known::now())),
            caught_up: None,
            rare: RateLimit::new(Duration::from_secs(60)),
            pruned: Instant::now(),
        };
        (give, work)
    }

    #[test]
    fn whoever_falls_behind_gives_way_no_more_until_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let (give, mut work) = work(folder.path());
        assert!(!work.follow_aside(Duration::ZERO), "it is late, not stopped");
        assert_eq!(work.projector.step().expect("a register").lines, ASIDE_LINES_MAX);
        assert!(!work.follow_fully(Duration::ZERO), "it has caught up");
        assert_eq!(work.projector.step().expect("a register").lines, 0);
        give.send(Order::Stop).expect("it listens");
        assert!(work.follow_aside(Duration::MAX), "it is stopped");
    }

    #[test]
    fn a_register_that_gets_no_processor_is_told_of() {
        let (began, mut known) = (Instant::now(), Known::now());
        let after = |span| began + span;
        known.caught_up = began;
        assert_eq!(known.problem(after(TOLD_AFTER)), None);
        let told = known.problem(after(TOLD_AFTER * 2)).expect("a problem");
        assert!(told.contains("20 s"), "{told}");
        known.why = Some("the disk is full".into());
        assert_eq!(known.problem(began).as_deref(), Some("the disk is full"));
    }
}
