//! Which transaction a request belongs to: RFC 3261 §17.2.3, §9.2 and §8.2.2.2.
//!
//! What strangers send never becomes a key as it is: keys are 128-bit keyed hashes, of one size
//! and not to be steered into one another. Senders that know the cookie name the transaction by
//! branch and sent-by; older ones (RFC 2543) by Request-URI, tags, Call-ID, CSeq number and Via.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::sip::{Header, Message, Method};

/// The secret under which keys are made; one for each `Transactions`.
#[derive(Clone, Copy)]
pub(super) struct Secret([u8; 16]);

/// How a request names its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MatchKey {
    /// Of everything but the method.
    pub(super) hash: u128,
    /// The request's own method.
    pub(super) method: Method,
    /// Without the cookie: the same but for the To tag; its ACK comes with our response's.
    pub(super) rfc2543: Option<Untagged>,
}

/// The hash of a request without the cookie, its To tag not yet in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untagged(u128);

impl Secret {
    /// From 16 random bytes.
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key of `request` (§17.2.3); `None` if it has no Via or no CSeq.
    pub(super) fn match_key(&self, request: &Message) -> Option<MatchKey> {
        let via = request.top_via()?;
        let method = request.method().clone();
        match via.magic_branch() {
            Some(branch) => {
                let hash = self.hash("branch", [branch, via.sent_by()], Case::Ignored);
                Some(MatchKey { hash, method, rfc2543: None })
            }
            None => {
                let untagged = self.untagged(request)?;
                let hash = self.tagged(untagged, request.to_tag().unwrap_or_default());
                Some(MatchKey { hash, method, rfc2543: Some(untagged) })
            }
        }
    }

    /// The hash of a request without the cookie that has this To tag (§17.2.3).
    pub(super) fn tagged(&self, untagged: Untagged, to_tag: &str) -> u128 {
        self.hash("2543", [&format!("{:x}", untagged.0), to_tag], Case::Kept)
    }

    fn untagged(&self, request: &Message) -> Option<Untagged> {
        let via = request.values(Header::Via).next()?;
        let (number, _) = request.cseq()?;
        let from_tag = request.from_tag().unwrap_or_default();
        let number = number.to_string();
        let parts = [request.uri(), from_tag, request.call_id(), &number, via];
        Some(Untagged(self.hash("untagged", parts, Case::Kept)))
    }

    /// The key by which copies of one request meet that came by two ways (§8.2.2.2); `None` if it
    /// is within a dialog or has no From tag.
    pub(super) fn merge_key(&self, request: &Message) -> Option<u128> {
        if request.to_tag().is_some() {
            return None;
        }
        let (number, method) = request.cseq()?;
        let number = number.to_string();
        let parts = [request.from_tag()?, request.call_id(), &number, method.as_str()];
        Some(self.hash("merged", parts, Case::Kept))
    }

    /// The To tag of a reply that no transaction remembers: the same for the same request
    /// (§8.2.7).
    pub(super) fn stateless_tag(&self, request: &Message) -> String {
        let parts = [request.from_tag().unwrap_or_default(), request.call_id()];
        format!("{:016x}", self.hash("tag", parts, Case::Kept) as u64)
    }

    fn hash<const N: usize>(&self, purpose: &str, parts: [&str; N], case: Case) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(purpose.as_bytes());
        for part in parts {
            hasher.write_usize(part.len());
            match case {
                Case::Kept => hasher.write(part.as_bytes()),
                Case::Ignored => part.bytes().for_each(|b| hasher.write_u8(b.to_ascii_lowercase())),
            }
        }
        hasher.finish128().as_u128()
    }
}

/// Whether letters compare as written (RFC 3261 §7.3.1: parameters and hosts do not).
#[derive(Clone, Copy)]
enum Case {
    Kept,
    Ignored,
}
