//! The thread that carries the journal over into the call register.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::aside::step_aside;
use crate::store::journal::JOURNAL_KEPT;
use crate::store::register::Projector;
use crate::telemetry::RateLimit;

/// A call's line is in the register at the latest so long after it was written.
const STEP_EVERY: Duration = Duration::from_millis(250);
/// A step that takes longer has waited for the processor or has much to do.
const STEP_MAX: Duration = Duration::from_secs(1);
/// Old segments are looked for this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// The running thread.
pub(super) struct Projecting {
    orders: Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
    problem: Problem,
}

/// Why the register is behind the journal, while it is.
type Problem = Arc<Mutex<Option<String>>>;

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
        let problem = Problem::default();
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
        super::lock(&self.problem).clone()
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
    let mut stopped = work.follow(|is_behind| !is_behind);
    while !stopped {
        stopped = work.follow_aside() || work.follow(|is_behind| !is_behind);
    }
    // What cannot be written now is written at the next start.
    let _ = work.projector.catch_up();
}

impl Work {
    /// Gives way to all other threads, until it is behind. Whether it was told to stop.
    fn follow_aside(&mut self) -> bool {
        let ended = thread::scope(|scope| {
            let thread = thread::Builder::new().name("register-aside".into());
            let thread = thread.spawn_scoped(scope, || {
                step_aside();
                self.follow(|is_behind| is_behind)
            });
            thread.map(|thread| thread.join())
        });
        match ended {
            // A panic there has been told by the hook.
            Ok(ended) => ended.unwrap_or(true),
            // No thread is left.
            Err(_) => self.follow(|_| false),
        }
    }

    /// Steps until it is `enough` to be behind, or not to be. Whether it was told to stop.
    fn follow(&mut self, enough: impl Fn(bool) -> bool) -> bool {
        loop {
            let began = Instant::now();
            let more = self.step();
            if enough(more || began.elapsed() > STEP_MAX) {
                return false;
            }
            if more {
                continue;
            }
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
                if super::lock(&self.problem).take().is_some() {
                    tracing::info!("the register follows the journal again");
                }
                if let Some(caught_up) = self.caught_up.take_if(|_| !progress.more) {
                    caught_up();
                }
                progress.more
            }
            Err(error) => {
                *super::lock(&self.problem) = Some(error.to_string());
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

    /// A journal of three lines, and a register that takes one in a step.
    fn work(folder: &std::path::Path) -> (Sender<Order>, Work) {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let journal = Journal::open(&folder.join("journal"), at).expect("a journal");
        journal.writer(Source::Shell, at, &[]).append(&[0, 1, 2].map(|_| server_started(at)));
        let register = folder.join("register.db");
        Register::open(&register).expect("a register");
        let (give, orders) = channel();
        let work = Work {
            projector: Projector::new(&register, journal.dir()).with_lines_max(1),
            orders,
            problem: Problem::default(),
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
        assert!(!work.follow_aside(), "it is behind, not stopped");
        let left = |work: &mut Work| work.projector.step().expect("a register").lines;
        assert!(!work.follow(|is_behind| !is_behind), "it has caught up");
        assert_eq!(left(&mut work), 0);
        give.send(Order::Stop).expect("it listens");
        assert!(work.follow_aside(), "it is stopped");
    }
}
