//! Makes a worker's switch: at the start, and again after a panic.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::folder::{Keys, random};
use super::hub::Current;
use crate::call::{bucket, hashed};
use crate::domain::{Directory, Moment, ShardId};
use crate::recorder::{Begin, Recording};
use crate::store::journal::{Journal, Source, State, restore_source};
use crate::switch::{Input, Output, RingLimits, Setup, Shared, Switch, home_of};
use crate::worker::{Build, Built, Clock, Core, Life};

/// What all workers are made of.
pub(super) struct Maker {
    pub(super) shards: u16,
    pub(super) keys: Keys,
    pub(super) shared: Shared,
    pub(super) current: Arc<Current>,
    pub(super) clock: Clock,
    pub(super) journal: Arc<Mutex<Journal>>,
    pub(super) restored: State,
    pub(super) recorder: RingLimits,
}

impl Core for Switch {
    fn handle(&mut self, now: Moment, input: Input) {
        Switch::handle(self, now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Switch::poll_output(self)
    }

    fn poll_timeout(&self) -> Moment {
        Switch::poll_timeout(self)
    }
}

impl Maker {
    /// Which worker has what a Call-ID, an address of record or a call's first Call-ID names.
    fn shard(&self, bucket: u16) -> ShardId {
        ShardId((bucket % self.shards.max(1)) as u8)
    }

    /// What one worker takes over of all that was restored.
    fn share(&self, shard: ShardId, directory: &Directory) -> State {
        let key = &self.keys.hash;
        let mut share = self.restored.clone();
        // The shell's own: it stands in its journal.
        share.ordered = None;
        share.calls.retain(|_, call| self.shard(bucket(key, call.sip_call_id())) == shard);
        share.bindings.retain(|(aor, _), _| self.shard(hashed(key, aor)) == shard);
        share.agents.retain(|person, _| match directory.agent(person) {
            Some(agent) => home_of(directory, agent, self.shards, key) == shard,
            // Somebody who is not in the directory now may come back; worker 0 remembers.
            None => shard == ShardId(0),
        });
        share
    }

    /// How worker `shard` is built. `begun` hears when its journal has begun.
    pub(super) fn build(self: &Arc<Self>, shard: ShardId, begun: Sender<ShardId>) -> Build {
        let maker = self.clone();
        Box::new(move |life| {
            let built = maker.make(shard, life);
            // Only the start waits for it.
            let _ = begun.send(shard);
            built
        })
    }

    fn make(&self, shard: ShardId, life: Life) -> Built {
        let (now, wall) = (self.clock.now(), self.clock.offset());
        let at = wall.wall(now);
        let directory = self.current.directory.load_full();
        let (writer, state, started) = {
            let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            let (state, started) = match life {
                Life::First => (self.share(shard, &directory), journal.run()),
                Life::Again => {
                    let (dir, run): (PathBuf, u32) = (journal.dir().to_owned(), journal.run());
                    let kept = restore_source(&dir, run, Source::Worker(shard));
                    let kept = kept.inspect_err(|error| {
                        tracing::error!(worker = shard.0, %error, "the journal cannot be read back");
                    });
                    // A key of this very second may be taken; the next seconds are free.
                    let started = journal.mint(at).unwrap_or(run);
                    (kept.map(|k| k.state).unwrap_or_default(), started)
                }
            };
            (journal.writer(Source::Worker(shard), at, &state.checkpoint()), state, started)
        };
        let setup = Setup {
            shard,
            shards: self.shards,
            started,
            hash_key: self.keys.hash,
            nonce_key: self.keys.nonce,
            seed: random().expect("the system gave randomness at the start"),
            shared: self.shared.clone(),
            settings: self.current.settings.load_full(),
            directory,
            policy: self.current.policy.load_full(),
            wall,
        };
        let recording = self.recording(&setup, &state);
        let mut switch = Switch::new(now, setup);
        switch.restore(now, &state.journalled(life == Life::Again));
        Built { core: dressed(Box::new(switch)), writer, state, recording }
    }

    fn recording(&self, setup: &Setup, state: &State) -> Option<Recording> {
        let begin = Begin {
            shard: setup.shard,
            started: setup.started,
            settings: setup.settings.clone(),
            directory: setup.directory.clone(),
            policy: setup.policy.clone(),
            wall: setup.wall,
            drain_until: None,
            state: state.clone(),
        };
        Recording::new(begin, self.shared.board.clone(), self.recorder)
    }
}

#[cfg(not(test))]
fn dressed(core: Box<dyn Core>) -> Box<dyn Core> {
    core
}

/// In tests of the library a worker can be broken from outside.
#[cfg(test)]
use super::tests::fragile as dressed;
