//! What every room of a switch works with, lent to calls for a turn.

use std::collections::VecDeque;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use sha2::{Digest, Sha256};

use super::{Setup, Shared};
use crate::acd::Desk;
use crate::call::{Effect, Env, Mint};
use crate::domain::{Directory, Moment, Settings, ShardId, WallOffset};
use crate::policy::Policy;
use crate::proxy::ProxyLimits;
use crate::transaction::Transactions;

/// Independent seeds out of one.
pub(super) struct Seeds {
    transactions: [u8; 32],
    mint: [u8; 32],
    /// For the authenticator.
    pub nonces: [u8; 32],
}

/// Splits the switch's seed.
pub(super) fn seeds(seed: [u8; 32]) -> Seeds {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut next = || {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        seed
    };
    Seeds { transactions: next(), mint: next(), nonces: next() }
}

/// Seals the proxy's cookies; from the key that the state folder keeps, so that proxied dialogs survive.
pub(super) fn proxy_key(hash_key: &[u8; 16]) -> [u8; 32] {
    Sha256::new().chain_update(b"record-route").chain_update(hash_key).finalize().into()
}

/// As many proxied calls and requests as there may be calls and transactions.
pub(super) fn proxy_limits(settings: &Settings) -> ProxyLimits {
    ProxyLimits {
        contexts_max: settings.limits.transactions_max as usize,
        calls_max: settings.limits.calls_max as usize,
    }
}

/// See the module.
pub(super) struct Core {
    pub shard: ShardId,
    pub shards: u16,
    pub hash_key: [u8; 16],
    pub shared: Shared,
    pub settings: Arc<Settings>,
    pub directory: Arc<Directory>,
    pub policy: Arc<Policy>,
    pub wall: WallOffset,
    pub desk: Desk,
    pub tx: Transactions,
    pub mint: Mint,
    pub effects: VecDeque<Effect>,
}

impl Core {
    pub fn new(setup: Setup, seeds: &Seeds) -> Self {
        let settings = setup.settings;
        let timers = crate::call::sip_timers(&settings);
        let max = settings.limits.transactions_max;
        let tx = Transactions::new(&timers, max, settings.listeners.clone(), seeds.transactions);
        Self {
            shard: setup.shard,
            shards: setup.shards,
            hash_key: setup.hash_key,
            desk: Desk::new(setup.shared.board.clone(), setup.shard),
            shared: setup.shared,
            settings,
            directory: setup.directory,
            policy: setup.policy,
            wall: setup.wall,
            tx,
            mint: Mint::new(seeds.mint),
            effects: VecDeque::new(),
        }
    }

    pub fn settings_changed(&mut self, settings: Arc<Settings>) {
        self.tx.set_listeners(settings.listeners.clone());
        self.tx.set_limit(settings.limits.transactions_max);
        self.settings = settings;
    }

    /// What calls may see and touch at `now`.
    pub fn env(&mut self, now: Moment) -> Env<'_> {
        Env {
            now,
            wall: self.wall.wall(now),
            shard: self.shard,
            hash_key: &self.hash_key,
            settings: &self.settings,
            directory: &self.directory,
            policy: &self.policy,
            board: &self.shared.board,
            desk: &mut self.desk,
            location: &self.shared.location,
            meters: &self.shared.meters,
            tx: &mut self.tx,
            mint: &mut self.mint,
            effects: &mut self.effects,
        }
    }
}
