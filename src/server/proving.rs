//! The proof of the policy while serving: after each change of people, of the policy or of the hours a
//! thread of its own looks whether every caller still reaches somebody.
//!
//! ```text
//! change ─► prove: no thread runs → one begins; one runs → it goes round once more
//! thread ─► Policy::prove ─► alarms in the status, `policy_alarms`, a WARN for each new one
//! ```
//! Stops nothing and slows no worker: nothing here is waited for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::{aside::step_aside, hub::Hub, lock};

#[derive(Default)]
pub(super) struct Proving {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: bool,
    again: bool,
    alarms: Vec<String>,
}

impl Proving {
    /// What the last proof found.
    pub(super) fn alarms(&self) -> Vec<String> {
        lock(&self.state).alarms.clone()
    }
}

impl Hub {
    /// Something has changed: proves the policy anew, soon and elsewhere.
    pub(super) fn prove(self: &Arc<Self>) {
        let mut state = lock(&self.proving.state);
        if state.running {
            state.again = true;
            return;
        }
        let hub = self.clone();
        let thread = std::thread::Builder::new().name("proof".into());
        let prove = move || {
            step_aside();
            hub.prove_until_nothing_changes();
        };
        match thread.spawn(prove) {
            Ok(_) => state.running = true,
            Err(error) => tracing::warn!(%error, "the policy is not proven"),
        }
    }

    fn prove_until_nothing_changes(&self) {
        loop {
            let (policy, directory) =
                (self.current.policy.load_full(), self.current.directory.load_full());
            let found = policy.prove(&directory, self.clock.wall()).problems;
            let count = found.len() + policy.check(&directory).len();
            self.metrics.policy_alarms.set(i64::try_from(count).unwrap_or(i64::MAX));
            let mut state = lock(&self.proving.state);
            let known: BTreeSet<String> = std::mem::take(&mut state.alarms).into_iter().collect();
            for problem in found {
                let alarm = problem.to_string();
                if !known.contains(&alarm) {
                    // People's names are for the status only.
                    let (file, line, column) = (&problem.file, problem.line, problem.column);
                    tracing::warn!(%file, line, column, "the policy fails with the people of today");
                }
                state.alarms.push(alarm);
            }
            if !std::mem::take(&mut state.again) {
                state.running = false;
                return;
            }
        }
    }
}
