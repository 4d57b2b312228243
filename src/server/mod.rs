//! The running server: the order in which it starts, reloads, drains and stops.
//!
//! ```text
//!   configuration ─► state folder, keys ─► clients' index ─► journal, restored ─► sockets ─►
//!   workers (each with its share) ─► "ServerStarted" ─► register · control socket · probes
//! ```
//! Owns what the rooms of the shell share ([`Hub`]). Knows no SIP and decides nothing about calls.
// The shell: threads, the wall clock, locks that no call waits for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod aside;
mod control;
mod folder;
mod hub;
mod make;
mod names;
mod notify;
mod orders;
mod project;
mod proving;
mod recording;
mod reload;
mod run;
mod silence;
mod start;
mod status;
mod texts;
mod told;
mod watch;
mod worked;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

pub use control::{Answer, Ask, ProblemLine, user_name};
pub use folder::{Keys, StateFolder};
pub use hub::Hub;
pub use orders::Change;
pub use reload::Reloaded;
pub use start::{StartError, StartOptions};
pub use texts::{
    CALENDARS_FILE, Compiled, POLICY_FILE, compile, directory, files, problems, proofs,
};
pub use told::warn_of;

use crate::config::Config;
use crate::domain::{CallKey, Listener};
use crate::store::Following;
use crate::switch::{CallbackChange, What};
use crate::worker::Worker;

/// A running server.
pub struct Server {
    hub: Arc<Hub>,
    config_dir: PathBuf,
    folder: StateFolder,
    started_with: Config,
    compiled: ArcSwap<Compiled>,
    workers: Mutex<Vec<Worker>>,
    following: Mutex<Option<Following>>,
    reloading: Mutex<()>,
    /// Rung when there may be new names.
    names_wanted: tokio::sync::Notify,
    refused: Mutex<Option<reload::Refused>>,
    runtimes: Mutex<Option<start::Runtimes>>,
}

impl Server {
    /// What its rooms share.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Where its state lies.
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// What is listened on, with the ports that the kernel gave.
    pub fn listeners(&self) -> Vec<Listener> {
        self.hub.net.get().map(|net| net.listeners()).unwrap_or_default()
    }

    /// Somebody changed something in the files: it is written down, and counts at once.
    pub fn changed(&self, what: Arc<str>, detail: Arc<str>, by: Arc<str>) {
        self.hub.record(What::Changed { what, detail, by });
        if let Some(following) = lock(&self.following).as_ref() {
            following.poll_now();
        }
    }

    /// Something was done about a promised callback.
    pub fn callback(&self, call: CallKey, change: CallbackChange, by: Arc<str>) {
        self.hub.record(What::Callback { call, change, by });
    }

    /// What the workers were fed last, as a file's text without people's data. Errors: in words.
    pub fn recording(&self) -> Result<String, String> {
        self.hub.recordings.get().ok_or("the server is only just starting")?.save()
    }

    /// Ends at once: what was decided is in the journal, nothing else is lost. A call that is up goes
    /// on after the next start.
    pub fn stop(&self) {
        let following = lock(&self.following).take();
        drop(following);
        let workers = std::mem::take(&mut *lock(&self.workers));
        workers.into_iter().for_each(Worker::stop);
        if let Some(projecting) = self.hub.projecting.get() {
            projecting.stop();
        }
        if let Some(runtimes) = lock(&self.runtimes).take() {
            runtimes.shutdown();
        }
        // A socket that nobody answers at would only puzzle.
        let _ = std::fs::remove_file(self.folder.socket());
        tracing::info!(at = %Timestamp::now(), "stopped");
    }

    fn lock_reload(&self) -> MutexGuard<'_, ()> {
        lock(&self.reloading)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
