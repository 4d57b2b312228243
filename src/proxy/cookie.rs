//! The cookie in our Record-Route: who the two ends of a dialog are, under our seal.
//!
//! It makes in-dialog forwarding possible without a table (so it survives a restart), and makes us no
//! relay: a request that comes with a Route of ours goes to one of the two ends that the switch chose when
//! the dialog began, and nowhere else (RFC 3261 §26.1.4, RFC 5626 §5.2 for the idea of flow tokens).
//!
//! ```text
//!  ;ck= base64url( version ‖ caller's tag (4) ‖ caller's end ‖ callee's end ‖ seal (12) )
//!       end  = bits ‖ listener (2) ‖ address (4 or 16) ‖ port (2) [‖ connection (8)] ‖ length ‖ party
//!       seal = HMAC-SHA256(key, "record-route" ‖ Call-ID ‖ 0 ‖ all before it)
//! ```
//! Knows no messages: Call-ID and tags come as text.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::{Flow, Transport};

/// Longest [`End::party`] that a cookie carries; a longer one is left out.
pub const PARTY_BYTES_MAX: usize = 64;

const VERSION: u8 = 1;
const SEAL_BYTES: usize = 12;
/// Longest cookie text that is looked at: two ends over IPv6 streams with the longest parties.
const COOKIE_CHARS_MAX: usize = 320;

/// One end of a proxied dialog, as the switch knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The way to it when the dialog began.
    pub flow: Flow,
    /// What the switch finds it by later (an address of record, a trunk); at most
    /// [`PARTY_BYTES_MAX`] bytes. The proxy does not look into it.
    pub party: Option<Arc<str>>,
}

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    caller_tag: [u8; 4],
    pub caller: End,
    pub callee: End,
}

impl Cookie {
    /// `caller_tag`: From tag of the request that begins the dialog.
    pub fn new(caller_tag: &str, caller: End, callee: End) -> Self {
        Self { caller_tag: digest_of(caller_tag), caller, callee }
    }

    /// The end that a request with this From tag goes to.
    pub fn other_end(&self, from_tag: &str) -> &End {
        if self.is_from_caller(from_tag) { &self.callee } else { &self.caller }
    }

    /// A request with this From tag comes from who began the dialog.
    pub fn is_from_caller(&self, from_tag: &str) -> bool {
        self.caller_tag == digest_of(from_tag)
    }
}

/// Seals and opens cookies.
#[derive(Clone)]
pub(super) struct CookieJar {
    seal: Hmac<Sha256>,
}

impl CookieJar {
    /// The key is kept over restarts, so that proxied dialogs survive them.
    pub fn new(key: &[u8; 32]) -> Self {
        let seal = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        Self { seal: seal.chain_update(b"record-route\0") }
    }

    /// The parameter's value.
    pub fn seal(&self, call_id: &str, cookie: &Cookie) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(cookie.caller_tag);
        write_end(&mut bytes, &cookie.caller);
        write_end(&mut bytes, &cookie.callee);
        let seal = self.sealed(call_id, &bytes).finalize().into_bytes();
        bytes.extend(&seal[..SEAL_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` unless we sealed it for this Call-ID.
    pub fn open(&self, call_id: &str, text: &str) -> Option<Cookie> {
        if text.len() > COOKIE_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        self.sealed(call_id, body).verify_truncated_left(seal).ok()?;
        read(body)
    }

    fn sealed(&self, call_id: &str, body: &[u8]) -> Hmac<Sha256> {
        self.seal.clone().chain_update(call_id).chain_update([0]).chain_update(body)
    }
}

fn digest_of(tag: &str) -> [u8; 4] {
    let digest = Sha256::digest(tag);
    [digest[0], digest[1], digest[2], digest[3]]
}

const BIT_TCP: u8 = 1;
const BIT_V6: u8 = 2;
const BIT_CONNECTION: u8 = 4;

fn write_end(bytes: &mut Vec<u8>, end: &End) {
    let Flow { transport, listener, remote, connection } = end.flow;
    let mut bits = 0;
    bits |= if transport == Transport::Tcp { BIT_TCP } else { 0 };
    bits |= if remote.is_ipv6() { BIT_V6 } else { 0 };
    bits |= if connection != 0 { BIT_CONNECTION } else { 0 };
    bytes.push(bits);
    bytes.extend(listener.to_be_bytes());
    match remote.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes.extend(remote.port().to_be_bytes());
    if connection != 0 {
        bytes.extend(connection.to_be_bytes());
    }
    let party = end.party.as_deref().filter(|p| p.len() <= PARTY_BYTES_MAX).unwrap_or("");
    bytes.push(party.len() as u8);
    bytes.extend(party.as_bytes());
}

fn read(body: &[u8]) -> Option<Cookie> {
    let mut rest = body;
    let [version] = take(&mut rest)?;
    let caller_tag = take(&mut rest)?;
    let caller = read_end(&mut rest)?;
    let callee = read_end(&mut rest)?;
    (version == VERSION && rest.is_empty()).then_some(Cookie { caller_tag, caller, callee })
}

fn read_end(rest: &mut &[u8]) -> Option<End> {
    let [bits] = take(rest)?;
    let listener = u16::from_be_bytes(take(rest)?);
    let ip = match bits & BIT_V6 {
        0 => IpAddr::from(take::<4>(rest)?),
        _ => IpAddr::from(take::<16>(rest)?),
    };
    let remote = SocketAddr::new(ip, u16::from_be_bytes(take(rest)?));
    let connection = match bits & BIT_CONNECTION {
        0 => 0,
        _ => u64::from_be_bytes(take(rest)?),
    };
    let [length] = take(rest)?;
    let (party, left) = rest.split_at_checked(usize::from(length))?;
    *rest = left;
    let party = std::str::from_utf8(party).ok()?;
    let transport = if bits & BIT_TCP != 0 { Transport::Tcp } else { Transport::Udp };
    let flow = Flow { transport, listener, remote, connection };
    Some(End { flow, party: (!party.is_empty()).then(|| Arc::from(party)) })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(remote: &str, connection: u64, party: Option<&str>) -> End {
        let transport = if connection == 0 { Transport::Udp } else { Transport::Tcp };
        let remote = remote.parse().unwrap();
        End {
            flow: Flow { transport, listener: 3, remote, connection },
            party: party.map(Arc::from),
        }
    }

    fn jar() -> CookieJar {
        CookieJar::new(&[1; 32])
    }

    #[test]
    fn a_cookie_reads_back_whatever_the_ends_are() {
        for (a, b) in [
            (end("192.0.2.1:5060", 0, None), end("192.0.2.2:5080", 77, Some("anna.berg"))),
            (
                end("[2001:db8::1]:5060", u64::MAX, Some(&"p".repeat(PARTY_BYTES_MAX))),
                end("[2001:db8::2]:5061", u64::MAX, Some(&"q".repeat(PARTY_BYTES_MAX))),
            ),
        ] {
            let cookie = Cookie::new("tag-a", a.clone(), b.clone());
            let text = jar().seal("call-1", &cookie);
            assert!(text.len() <= COOKIE_CHARS_MAX, "{}", text.len());
            let opened = jar().open("call-1", &text).unwrap();
            assert_eq!(opened, cookie);
            assert_eq!(opened.other_end("tag-a"), &b);
            assert_eq!(opened.other_end("tag-b"), &a);
        }
    }

    #[test]
    fn a_party_that_is_too_long_is_left_out() {
        let long = "p".repeat(PARTY_BYTES_MAX + 1);
        let cookie =
            Cookie::new("t", end("192.0.2.1:5060", 0, Some(&long)), end("192.0.2.2:1", 0, None));
        let opened = jar().open("c", &jar().seal("c", &cookie)).unwrap();
        assert_eq!(opened.caller.party, None);
    }

    #[test]
    fn a_cookie_of_another_call_or_key_or_with_a_changed_bit_is_refused() {
        let cookie =
            Cookie::new("t", end("192.0.2.1:5060", 0, None), end("192.0.2.2:1", 9, Some("x")));
        let text = jar().seal("call-1", &cookie);
        assert_eq!(jar().open("call-2", &text), None);
        assert_eq!(CookieJar::new(&[2; 32]).open("call-1", &text), None);
        for i in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[i] = if forged[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(jar().open("call-1", std::str::from_utf8(&forged).unwrap()), None, "{i}");
        }
        for text in ["", "AAAA", &"A".repeat(COOKIE_CHARS_MAX), &"A".repeat(10_000)] {
            assert_eq!(jar().open("call-1", text), None);
        }
    }
}
