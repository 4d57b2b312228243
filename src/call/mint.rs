//! Identifiers that we mint: Call-IDs, tags, session ids.
//!
//! A Call-ID of ours carries the 12-bit bucket that leads its messages back to the shard of the
//! call (`T` + 3 hexadecimal digits + 24 random ones). All randomness comes from one cryptographic
//! generator that the shell seeds.

use std::hash::Hasher;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;

/// How many buckets there are; more than there will ever be workers.
pub const BUCKETS: u16 = 1 << 12;

const CALL_ID_LEN: usize = 28;

/// The generator.
#[derive(Debug)]
pub struct Mint {
    rng: ChaCha12Rng,
}

impl Mint {
    /// `seed` must be fresh for every worker and every start.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { rng: ChaCha12Rng::from_seed(seed) }
    }

    /// A Call-ID whose messages go to the shard that `bucket` belongs to.
    pub fn call_id(&mut self, bucket: u16) -> String {
        let (a, b) = (self.rng.next_u64(), self.rng.next_u32());
        format!("T{:03x}{a:016x}{b:08x}", bucket % BUCKETS)
    }

    /// A tag with 64 random bits (RFC 3261 §19.3 wants 32).
    pub fn tag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    /// A session id for an SDP origin: 63 bits, as some phones read it signed.
    pub fn session(&mut self) -> u64 {
        self.rng.next_u64() >> 1
    }

    /// Anything else.
    pub fn number(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

/// The bucket of a Call-ID, ours or a stranger's. `key` is secret, so that nobody can pick a shard.
pub fn bucket(key: &[u8; 16], call_id: &str) -> u16 {
    bucket_of(call_id).unwrap_or_else(|| hashed(key, call_id))
}

/// The keyed hash of any text, as a bucket.
pub fn hashed(key: &[u8; 16], text: &str) -> u16 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(text.as_bytes());
    (hasher.finish() % u64::from(BUCKETS)) as u16
}

/// Our tag in the dialog that we begin with a Call-ID of ours: as hard to guess as a random one, and
/// known again after a restart, when nothing else tells an answer to us from a forged one.
pub fn tag_of(key: &[u8; 16], call_id: &str) -> String {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(b"tag\0");
    hasher.write(call_id.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// The bucket inside a Call-ID that `Mint::call_id` made; `None` for a stranger's.
pub fn bucket_of(call_id: &str) -> Option<u16> {
    let ours = call_id.len() == CALL_ID_LEN
        && call_id.starts_with('T')
        && call_id.bytes().skip(1).all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ours.then(|| u16::from_str_radix(&call_id[1..4], 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_call_id_names_its_bucket() {
        let mut mint = Mint::new([7; 32]);
        let id = mint.call_id(0xabc);
        assert_eq!(bucket_of(&id), Some(0xabc), "{id}");
        assert_ne!(id, mint.call_id(0xabc));
        assert_eq!(bucket_of("a84b4c76e66710@host"), None);
        assert_eq!(bucket_of("Té3000000000000000000000000"), None);
    }
}
