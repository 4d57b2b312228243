//! Says in the log that a worker ends no turn. What such a worker logs itself is held until its turn ends, so
//! somebody else must say it: the thread that also looks for saved files.

use std::collections::BTreeSet;

/// Whose silence was told.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// At the last look: a worker that has only just begun is left alone.
    seen: BTreeSet<u8>,
    told: BTreeSet<u8>,
}

impl Silence {
    /// Of the workers that are silent now, tells each once; and of each when it turns again.
    pub(super) fn look(&mut self, silent: Vec<u8>) {
        let silent: BTreeSet<u8> = silent.into_iter().collect();
        for worker in silent.intersection(&self.seen).filter(|worker| !self.told.contains(worker)) {
            tracing::warn!(
                worker,
                "a worker does not end its turn: its calls stand still, and its log lines wait for the end"
            );
        }
        for worker in self.told.difference(&silent) {
            tracing::info!(worker, "this worker turns again");
        }
        let still = self.told.union(&self.seen).copied().collect();
        self.told = silent.intersection(&still).copied().collect();
        self.seen = silent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tests::log::logged;

    #[test]
    fn a_silent_worker_is_told_once_and_when_it_is_back() {
        let mut silence = Silence::default();
        let mut told = |silent: &[u8]| {
            let lines = logged(|| silence.look(silent.to_vec()));
            let word = |line: &str| {
                let what = if line.contains("turns again") { "back" } else { "silent" };
                let worker = line.split_once("worker=").map_or("?", |(_, rest)| &rest[..1]);
                format!("{what} {worker}")
            };
            lines.lines().map(word).collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[0, 1]), [""; 0], "they may have begun just now");
        assert_eq!(told(&[1]), ["silent 1"]);
        assert_eq!(told(&[1]), [""; 0], "once");
        assert_eq!(told(&[0, 1]), [""; 0]);
        assert_eq!(told(&[0]), ["silent 0", "back 1"]);
        assert_eq!(told(&[]), ["back 0"]);
        assert_eq!(told(&[1]), [""; 0]);
        assert_eq!(told(&[1]), ["silent 1"], "anew");
    }
}
