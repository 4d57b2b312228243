//! The thread that carries the journal over into the call register.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::store::register::Projector;
use crate::telemetry::RateLimit;

/// A call's line is in the register at the latest so long after it was written.
const STEP_EVERY: Duration = Duration::from_millis(250);
/// Old segments are looked for this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// What is in the register stays in the journal so long, for `events` and for repair.
const KEEP: Duration = Duration::from_secs(7 * 86_400);

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
        let thread = std::thread::Builder::new().name("register".into());
        let told = problem.clone();
        let thread = thread.spawn(move || run(projector, &taken, &told, caught_up))?;
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

fn run(
    mut projector: Projector,
    orders: &Receiver<Order>,
    problem: &Problem,
    caught_up: impl FnOnce(),
) {
    let mut caught_up = Some(caught_up);
    let rare = RateLimit::new(Duration::from_secs(60));
    let mut pruned = Instant::now();
    loop {
        let more = match projector.step() {
            Ok(progress) => {
                if super::lock(problem).take().is_some() {
                    tracing::info!("the register follows the journal again");
                }
                if let Some(caught_up) = caught_up.take_if(|_| !progress.more) {
                    caught_up();
                }
                progress.more
            }
            Err(error) => {
                *super::lock(problem) = Some(error.to_string());
                if let Some(held_back) = rare.pass("register") {
                    tracing::warn!(%error, held_back, "the register is behind the journal");
                }
                false
            }
        };
        if pruned.elapsed() > PRUNE_EVERY {
            pruned = Instant::now();
            if let Err(error) = projector.prune(KEEP, SystemTime::now()) {
                tracing::warn!(%error, "old journal files stay");
            }
        }
        if more {
            continue;
        }
        match orders.recv_timeout(STEP_EVERY) {
            Ok(Order::Step) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                // What cannot be written now is written at the next start.
                let _ = projector.catch_up();
                return;
            }
        }
    }
}
