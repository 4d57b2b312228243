//! What simulated phones and trunk share: a UDP socket, names that nobody else has, session
//! descriptions that say whose they are, and repetition as RFC 3261 §17.1 wants it over UDP.
//!
//! Knows `sip` and sockets; nothing of the server but its address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::sip::digest::{Algorithm, Asked, Challenge, Login};
use crate::sip::sdp::{Direction, Sdp};
use crate::sip::{Builder, Header, Message, Method};

/// RFC 3261 T1.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 T2.
const T2: Duration = Duration::from_secs(4);
/// Timers B, F, H: 64·T1.
const GIVE_UP_T1: u32 = 64;
/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What is said in `s=` of a session that has no name.
const SESSION_NAMELESS: &str = "-";

/// One UDP socket and the server that it speaks with.
#[derive(Debug)]
pub struct Endpoint {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    prefix: String,
    count: Mutex<u64>,
}

impl Endpoint {
    /// Binds a loopback port that is free. Errors: the system's.
    pub async fn open(server: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let local = socket.local_addr()?;
        let mut seed = [0; 4];
        getrandom::fill(&mut seed).map_err(|e| std::io::Error::other(e.to_string()))?;
        let prefix = format!("{:08x}", u32::from_be_bytes(seed));
        Ok(Self { socket, local, server, prefix, count: Mutex::new(0) })
    }

    /// Where it is.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Where the server is.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// A word that was not there before: for tags, branches, Call-IDs.
    pub fn token(&self) -> String {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        format!("{}{:x}", self.prefix, *count)
    }

    /// A Via line for a new transaction.
    pub fn via(&self, branch: &str) -> String {
        format!("SIP/2.0/UDP {};branch=z9hG4bK{branch};rport", self.local)
    }

    /// Sends to the server. What the system does not take now is repeated like what the net loses.
    pub fn send(&self, bytes: &Bytes) {
        let _ = self.socket.try_send_to(bytes, self.server);
    }

    /// The next message that can be read as one. Errors: the socket's.
    pub async fn receive(&self) -> std::io::Result<Message> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let (len, _) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                // The answer to something that we sent to a port that is closed now.
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(e) => return Err(e),
            };
            if let Ok(message) = Message::parse(Bytes::copy_from_slice(&buffer[..len])) {
                return Ok(message);
            }
        }
    }
}

/// A message that is sent again until it is answered.
#[derive(Clone, Debug)]
pub struct Repeat {
    bytes: Bytes,
    at: Instant,
    gap: Duration,
    gap_max: Duration,
    until: Instant,
}

impl Repeat {
    /// An INVITE: the gap doubles without bound (timer A).
    pub fn invite(bytes: Bytes, now: Instant) -> Self {
        Self { gap_max: T1 * GIVE_UP_T1, ..Self::other(bytes, now) }
    }

    /// Any other request, and a 2xx that waits for its ACK (timers E and G).
    pub fn other(bytes: Bytes, now: Instant) -> Self {
        Self { bytes, at: now + T1, gap: T1, gap_max: T2, until: now + T1 * GIVE_UP_T1 }
    }

    /// When to look again.
    pub fn due(&self) -> Instant {
        self.at
    }

    /// Nobody will answer any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// The bytes, if it is time.
    pub fn again(&mut self, now: Instant) -> Option<Bytes> {
        if self.at > now {
            return None;
        }
        self.gap = (self.gap * 2).min(self.gap_max);
        self.at = now + self.gap;
        Some(self.bytes.clone())
    }
}

/// A session description of `who`, named so in `s=`: whoever gets it knows who speaks.
pub fn session(who: &str, at: SocketAddr, version: u32, direction: Direction) -> Vec<u8> {
    let (ip, port) = (at.ip(), at.port());
    format!(
        "v=0\r\no={who} {port} {version} IN IP4 {ip}\r\ns={who}\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na={}\r\n",
        direction.as_str()
    )
    .into_bytes()
}

/// Whose session description this is.
pub fn session_owner(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("s="))?.trim();
    (name != SESSION_NAMELESS).then(|| name.to_owned())
}

/// What answers an offer (RFC 3264 §6.1); both ways if there was none.
pub fn direction_for(offer: &[u8]) -> Direction {
    match Sdp::parse(offer).map(|sdp| sdp.direction()) {
        Some(Direction::SendOnly) => Direction::RecvOnly,
        Some(Direction::RecvOnly) => Direction::SendOnly,
        Some(Direction::Inactive) => Direction::Inactive,
        Some(Direction::SendRecv) | None => Direction::SendRecv,
    }
}

/// The ACK of a final answer other than 2xx: same branch as the INVITE (§17.1.1.3).
pub fn ack_refusal(invite: &Message, answer: &Message) -> Bytes {
    let sequence = invite.cseq().map_or(1, |(number, _)| number);
    Builder::request(&Method::Ack, invite.uri())
        .header(Header::Via, invite.header(Header::Via).unwrap_or_default())
        .copy(invite, Header::Route)
        .header(Header::MaxForwards, 70)
        .copy(invite, Header::From)
        .copy(answer, Header::To)
        .copy(invite, Header::CallId)
        .header(Header::CSeq, format!("{sequence} ACK"))
        .finish()
}

/// Answers to challenges of one request: one, and some more for nonces that went stale (RFC 7616 §3.3:
/// the password was right).
const PROOFS_MAX: u8 = 4;

/// The answer to a challenge, SHA-256 before MD5; `None` if there is none that we know, or if the
/// `proofs` given so far were refused for another reason than an old nonce.
pub fn credentials(
    refusal: &Message,
    (header, proofs): (Header, u8),
    login: &Login<'_>,
    (method, uri, cnonce): (&Method, &str, &str),
) -> Option<String> {
    let mut challenges: Vec<Challenge<'_>> =
        refusal.lines(header).filter_map(Challenge::parse).collect();
    challenges.sort_by_key(|c| c.algorithm != Algorithm::Sha256);
    challenges.retain(|c| proofs == 0 || c.stale && proofs < PROOFS_MAX);
    let asked = Asked { method, uri, body: &[], cnonce, count: 1 };
    challenges.first().map(|challenge| challenge.answer(login, &asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_says_whose_it_is() {
        let at = "127.0.0.1:4000".parse().expect("a literal");
        let body = session("anna.berg", at, 1, Direction::SendRecv);
        assert!(Sdp::parse(&body).is_some());
        assert_eq!(session_owner(&body).as_deref(), Some("anna.berg"));
        assert_eq!(session_owner(b"v=0\r\ns=-\r\n"), None);
        let held = session("anna.berg", at, 2, Direction::SendOnly);
        assert_eq!(direction_for(&held), Direction::RecvOnly);
    }

    #[test]
    fn a_refused_password_is_not_sent_again_unless_only_the_nonce_was_old() {
        let refusal = |stale: &str| {
            let text = format!(
                "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\n\
                 CSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"b\", nonce=\"n\", \
                 qop=\"auth\", algorithm=SHA-256{stale}\r\nContent-Length: 0\r\n\r\n"
            );
            Message::parse(Bytes::from(text)).expect("a response")
        };
        let proof = |stale, proofs| {
            let login = Login { user: "a", password: "secret" };
            let asked = (&Method::Register, "sip:b", "cnonce");
            credentials(&refusal(stale), (Header::WwwAuthenticate, proofs), &login, asked)
        };
        assert!(proof("", 0).is_some());
        assert_eq!(proof("", 1), None);
        assert!(proof(", stale=true", 1).is_some());
        assert_eq!(proof(", stale=true", PROOFS_MAX), None);
    }

    #[test]
    fn an_invite_is_repeated_with_doubled_gaps_until_nobody_can_answer() {
        let start = Instant::now();
        let mut repeat = Repeat::invite(Bytes::from_static(b"x"), start);
        assert_eq!(repeat.again(start), None);
        let mut sent = Vec::new();
        for ms in 0..32_000 {
            let now = start + Duration::from_millis(ms);
            if repeat.again(now).is_some() {
                sent.push(ms);
            }
        }
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert!(repeat.is_over(start + Duration::from_secs(32)));
    }
}
