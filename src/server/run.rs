//! Serving until somebody says stop: signals, saved files, draining.
//!
//! SIGHUP and a saved file reload. SIGTERM and SIGINT drain: new trunk calls are refused, waiting
//! callers served up to `drain_max`; talking ones are left alone, they survive the restart. A second
//! signal ends at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::silence::Silence;
use super::watch::Watch;
use super::{Server, texts};
use crate::switch::{Command, Input};

/// Files are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A draining server asks this often whether anybody waits.
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(200);
/// The last answers must have left by then.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Server {
    /// Until a signal, then drains. Errors: signals cannot be had.
    pub fn run(self: &Arc<Self>) -> std::io::Result<()> {
        let handle = {
            let runtimes = super::lock(&self.runtimes);
            runtimes.as_ref().map(|r| r.doors.handle().clone())
        };
        let Some(handle) = handle else { return Ok(()) };
        handle.block_on(self.until_told())?;
        self.stop();
        Ok(())
    }

    async fn until_told(self: &Arc<Self>) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::new(&texts::files(&self.config_dir));
        let mut silence = Silence::default();
        // Said only now: whoever waits for it may send signals.
        let (config, state) = (self.config_dir.display(), self.folder.root().display());
        tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, %state, "ready");
        loop {
            tokio::select! {
                _ = hangup.recv() => self.reload_aside("SIGHUP").await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = look.tick() => {
                    self.hub.flush();
                    silence.look(self.hub.silent_workers());
                    if watch.changed() {
                        self.reload_aside("file change").await;
                    }
                }
            }
        }
        tokio::select! {
            () = self.drain() => {}
            () = again(&mut terminate, &mut interrupt) => tracing::warn!("told twice: ending now"),
        }
        Ok(())
    }

    async fn reload_aside(self: &Arc<Self>, by: &'static str) {
        let server = self.clone();
        // What it has to say it has logged.
        let _ = tokio::task::spawn_blocking(move || server.reload(by)).await;
    }

    /// Takes no new trunk calls and waits until nobody waits, at most `drain_max`.
    async fn drain(&self) {
        let span = self.hub.current.settings.load().timers.drain_max;
        let until = self.hub.clock.now() + span;
        // A second drain would say the same.
        let _ = self.hub.draining.set(());
        self.hub.tell_all(&Input::Drain { until });
        tracing::info!(seconds = span.as_secs(), "draining: waiting callers are served");
        let mut look = interval(DRAIN_LOOK_EVERY);
        let nobody_waits = async {
            loop {
                look.tick().await;
                if self.waiting().await == Some(0) {
                    return;
                }
            }
        };
        let _ = timeout(span, nobody_waits).await;
        // Promises and refusals of the limit are on their way.
        let _ = timeout(LAST_WORDS, std::future::pending::<()>()).await;
    }

    async fn waiting(&self) -> Option<u64> {
        let answers = self.hub.ask(Command::Status, "drain").await.ok()?;
        Some(answers.iter().filter_map(|(_, v)| v["waiting"].as_u64()).sum())
    }
}

async fn again(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
