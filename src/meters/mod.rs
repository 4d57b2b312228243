//! Meters: limits that are the server's and not one worker's, in tables of fixed size.
//!
//! * [`Trunks`]: calls at once and calls per second of each trunk.
//! * [`Sources`]: failures of each source address in a minute; requests of nobody we know apart, since
//!   their sources may be forged.
//! * [`Nonces`]: which counts of a digest nonce were used (RFC 7616 §3.4, `nc`).
//! * [`Counters`]: what telemetry shows.
//!
//! Every operation is lock-free, reading is wait-free; nothing allocates after the start; every table
//! says what happens when it is full. Knows no SIP: trunks are names, sources addresses, nonces bytes.

mod counters;
mod nonces;
mod sources;
mod trunks;

pub use counters::{Counter, Counters};
pub use nonces::{NonceUse, Nonces};
pub use sources::Sources;
pub use trunks::{TrunkFull, TrunkSlot, Trunks};

/// Sizes of the tables, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterLimits {
    /// Trunks that may ever be configured while the server runs.
    pub trunks_max: u16,
    /// Source addresses that are watched at once; rounded up to a power of two of at least 8.
    pub sources_max: u32,
    /// Nonces that are watched at once; rounded up to a power of two.
    pub nonces_max: u32,
}

impl Default for MeterLimits {
    fn default() -> Self {
        Self { trunks_max: 256, sources_max: 16_384, nonces_max: 65_536 }
    }
}

/// All meters. Behind an `Arc`; every operation takes `&self`.
#[derive(Debug)]
pub struct Meters {
    /// Calls of trunks.
    pub trunks: Trunks,
    /// Wrong passwords of source addresses; each had received a challenge of ours.
    pub sources: Sources,
    /// Requests of nobody we know, by the source address that they claim.
    pub strangers: Sources,
    /// Answers to datagrams of addresses that have proved nothing.
    pub answers: Sources,
    /// Digest nonces.
    pub nonces: Nonces,
    /// Figures.
    pub counters: Counters,
}

impl Meters {
    /// Empty meters. `key` is random and secret: with it nobody can choose addresses or nonces that
    /// meet in one place of a table.
    pub fn new(limits: MeterLimits, key: [u8; 16]) -> Self {
        Self {
            trunks: Trunks::new(limits.trunks_max, key),
            sources: Sources::new(limits.sources_max, key),
            strangers: Sources::new(limits.sources_max, key),
            answers: Sources::new(limits.sources_max, key),
            nonces: Nonces::new(limits.nonces_max, key),
            counters: Counters::default(),
        }
    }
}

/// A keyed hash, so that what strangers send cannot aim at one place.
fn keyed(key: &[u8; 16], what: &[u8]) -> u64 {
    siphasher::sip::SipHasher13::new_with_key(key).hash(what)
}
