//! Nonces that need no table (RFC 7616 §5.4): the time of minting and an id, under our seal.
//!
//! ```text
//!   6 bytes          8 bytes   16 bytes
//!  ┌────────────────┬─────────┬──────────────────────────────────┐
//!  │ minted, ms     │ id      │ HMAC-SHA256(key, minted, id, ip) │   base64url, 40 characters
//!  └────────────────┴─────────┴──────────────────────────────────┘
//! ```
//! The address that it was sent to is sealed with it: whoever shows it has received what we send there,
//! so nobody gets somebody else's address into trouble by forging it.
//!
//! Every worker holds the same key and so knows every other's nonces. The key must be fresh at each
//! start: `Moment` begins anew then, and a kept key would bring old nonces back to life. How often a
//! nonce's counts were used is not known here: see [`NonceWindow`](super::NonceWindow).

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::Moment;

const SEAL_BYTES: usize = 16;
const BODY_BYTES: usize = 14;
const NONCE_BYTES: usize = BODY_BYTES + SEAL_BYTES;

/// A nonce that we minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce {
    /// Unique; the replay window is kept under it.
    pub id: [u8; 8],
    /// To the millisecond, never later than it was.
    pub issued: Moment,
}

/// Mints and knows again.
#[derive(Clone)]
pub(super) struct Mint {
    seal: Hmac<Sha256>,
    lifetime: Duration,
}

impl Mint {
    pub fn new(key: &[u8; 32], lifetime: Duration) -> Self {
        let mut seal = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        seal.update(b"digest nonce\0");
        Self { seal, lifetime }
    }

    /// The nonce of `id`, which must be used once only, for who asks from `source`.
    pub fn mint(&self, now: Moment, id: u64, source: IpAddr) -> String {
        let mut bytes = [0; NONCE_BYTES];
        bytes[..6].copy_from_slice(&(now.micros() / 1_000).to_be_bytes()[2..]);
        bytes[6..BODY_BYTES].copy_from_slice(&id.to_be_bytes());
        let seal = self.sealing(&bytes[..BODY_BYTES], source).finalize().into_bytes();
        bytes[BODY_BYTES..].copy_from_slice(&seal[..SEAL_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` unless we minted it for `source` (compared in constant time) and it is still good at `now`.
    pub fn read(&self, now: Moment, text: &str, source: IpAddr) -> Option<Nonce> {
        let mut bytes = [0; NONCE_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (body, seal) = bytes.split_at(BODY_BYTES);
        let ours = self.sealing(body, source).verify_truncated_left(seal).is_ok();
        if length != NONCE_BYTES || !ours {
            return None;
        }
        let millis = body[..6].iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        let issued = Moment::from_millis(millis);
        let id = *body[6..].first_chunk().expect("a body holds an id");
        (now < issued + self.lifetime).then_some(Nonce { id, issued })
    }

    /// What was sealed for `source`, whenever; `None` if nothing was.
    fn body(&self, text: &str, source: IpAddr) -> Option<[u8; BODY_BYTES]> {
        let mut bytes = [0; NONCE_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (body, seal) = bytes.split_at(BODY_BYTES);
        let ours = self.sealing(body, source).verify_truncated_left(seal).is_ok();
        (length == NONCE_BYTES && ours).then(|| *body.first_chunk().expect("split there"))
    }

    fn sealing(&self, body: &[u8], source: IpAddr) -> Hmac<Sha256> {
        let seal = self.seal.clone().chain_update(body);
        match source.to_canonical() {
            IpAddr::V4(v4) => seal.chain_update(v4.octets()),
            IpAddr::V6(v6) => seal.chain_update(v6.octets()),
        }
    }
}

/// A nonce that `old` sealed for `source`, sealed by `new`: as old as it was, the same to the window of used
/// counts. For a recording, whose reader must not learn our key. `None` if `old` did not seal it.
pub fn reseal_nonce(text: &str, source: IpAddr, old: &[u8; 32], new: &[u8; 32]) -> Option<String> {
    let body = Mint::new(old, Duration::ZERO).body(text, source)?;
    let seal = Mint::new(new, Duration::ZERO).sealing(&body, source).finalize().into_bytes();
    let mut bytes = [0; NONCE_BYTES];
    bytes[..BODY_BYTES].copy_from_slice(&body);
    bytes[BODY_BYTES..].copy_from_slice(&seal[..SEAL_BYTES]);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn mint() -> Mint {
        Mint::new(&[7; 32], Duration::from_secs(300))
    }

    #[test]
    fn a_nonce_is_known_again_until_its_lifetime_is_over() {
        let now = Moment::from_millis(10_000);
        let text = mint().mint(now, u64::MAX - 1, HERE);
        let nonce = mint().read(now, &text, HERE).unwrap();
        assert_eq!(nonce, Nonce { id: (u64::MAX - 1).to_be_bytes(), issued: now });
        assert!(mint().read(Moment::from_millis(309_999), &text, HERE).is_some());
        assert_eq!(mint().read(Moment::from_millis(310_000), &text, HERE), None);
    }

    #[test]
    fn nothing_but_our_own_is_known() {
        let now = Moment::from_millis(10_000);
        let text = mint().mint(now, 1, HERE);
        let other = Mint::new(&[8; 32], Duration::from_secs(300));
        assert_eq!(other.read(now, &text, HERE), None);
        for i in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[i] = if forged[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(mint().read(now, std::str::from_utf8(&forged).unwrap(), HERE), None, "{i}");
        }
        for text in ["", "x", &text[1..], &format!("{text}AAAA"), &"A".repeat(4_000)] {
            assert_eq!(mint().read(now, text, HERE), None);
        }
    }

    #[test]
    fn sealed_anew_it_is_as_old_as_it_was_and_others_are_refused() {
        let now = Moment::from_millis(10_000);
        let text = mint().mint(now, 9, HERE);
        let anew = reseal_nonce(&text, HERE, &[7; 32], &[8; 32]).unwrap();
        assert_eq!(mint().read(now, &anew, HERE), None);
        let other = Mint::new(&[8; 32], Duration::from_secs(300));
        assert_eq!(other.read(now, &anew, HERE), mint().read(now, &text, HERE));
        assert_eq!(reseal_nonce(&text, HERE, &[6; 32], &[8; 32]), None);
        assert_eq!(reseal_nonce("x", HERE, &[7; 32], &[8; 32]), None);
    }

    #[test]
    fn it_is_good_for_the_address_that_it_was_sent_to() {
        let now = Moment::from_millis(10_000);
        let text = mint().mint(now, 1, HERE);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(mint().read(now, &text, mapped).is_some(), "the same address, written otherwise");
        for other in ["192.0.2.2", "2001:db8::1"] {
            assert_eq!(mint().read(now, &text, other.parse().unwrap()), None, "{other}");
        }
    }
}
