//! Digest authentication, the server's side (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! For REGISTER (401), and for every other request of our people's phones and of trunks that prove
//! themselves by digest (407). ACK and CANCEL cannot be challenged (§22.1): they stand or fall with
//! their INVITE.
//!
//! Holds no table: nonces are sealed (`nonce.rs`), used counts are kept outside behind [`NonceWindow`], passwords
//! behind a lookup. An unknown user costs the same hashes as a known one and gets the same answer.
//!
//! ```text
//!   no credentials for our realm ──────────────► Challenge { stale: false }
//!   the nonce is old, or none for this source ─► Challenge { stale: true }   (RFC 7616 §3.3: no new
//!   right, but this count was used before ─────► Challenge { stale: true }    password is asked for)
//!   too many guesses for that user from there ─► HeldBack
//!   the response is wrong, or no such user ────► Forbidden          (counts as a failure of the source)
//!   right ─────────────────────────────────────► Ok { user }
//! ```
//! The nonce is looked at first. So a guess costs a nonce that came to the guesser's own address: a forged
//! source is never blamed, and an old nonce tells nothing about the password.
//!
//! **Order.** By default MD5 stands before SHA-256, and an answer to either is taken: phones that know only
//! MD5 often read the first challenge alone, and one that knows only SHA-256 must look for it anyway. Some (libre
//! before 3.12) refuse the whole response when any challenge in it is unknown to them; no order and no layout
//! helps, so they are told apart by their User-Agent. That adds no weakness: a client may choose MD5 anyway.
//!
//! The `uri` parameter is hashed as the client wrote it and not compared with the Request-URI: elements on the
//! way may rewrite that (§22.4), and a count that is good once makes a moved response worthless.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::nonce::Mint;
use crate::domain::{Credentials, DigestHash, Moment, Settings};
use crate::sip::digest::{Algorithm, Authorization, Challenge, Qop};
use crate::sip::{Builder, Header, Message};

/// How long a nonce is good for.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// No more lines of credentials than this are looked at in one request.
const LINES_MAX: usize = 8;

/// Which counts of which nonces were used: one table for all workers (`meters`).
pub trait NonceWindow {
    /// Marks `count` of `nonce`, issued at `issued`, as used at `now`. `false`: it was used before, or that
    /// cannot be told any more. Asked only when the response was right.
    fn first_use(&self, nonce: &[u8], issued: Moment, now: Moment, count: u32) -> bool;
}

/// What credentials are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven.
    Ok {
        /// Whose password it is.
        user: Arc<str>,
    },
    /// To be answered by [`Authenticator::challenge`].
    Challenge {
        /// The password was right, the nonce was not.
        stale: bool,
    },
    /// Wrong: to be answered 403 without detail, and counted as a failure of the source.
    Forbidden {
        /// Whose password was guessed; perhaps nobody's.
        user: String,
    },
    /// Too many guesses came before this one: not looked at.
    HeldBack,
}

/// Makes challenges and checks answers; one per shard, all with the same key.
pub struct Authenticator {
    mint: Mint,
    ids: ChaCha20Rng,
    realm: Arc<str>,
    offered: Vec<Algorithm>,
    md5_only_agents: Vec<Arc<str>>,
    /// What an unknown user is checked against; nobody knows a password for it.
    nobody: Credentials,
}

impl Authenticator {
    /// `key`: secret, the same on all shards, fresh at each start of the server. `seed`: secret, another one on
    /// each shard; makes nonces unique.
    pub fn new(realm: &str, key: &[u8; 32], seed: [u8; 32]) -> Self {
        let mut ids = ChaCha20Rng::from_seed(seed);
        let mut nobody = || format!("{:016x}{:016x}", ids.next_u64(), ids.next_u64());
        let ha1_md5 = Arc::from(nobody());
        let ha1_sha256 = Arc::from(nobody() + &nobody());
        Self {
            mint: Mint::new(key, NONCE_LIFETIME),
            ids,
            realm: Arc::from(realm),
            offered: vec![Algorithm::Md5, Algorithm::Sha256],
            md5_only_agents: Vec::new(),
            nobody: Credentials { user: Arc::from(""), ha1_md5, ha1_sha256 },
        }
    }

    /// At the start and after a reload: the realm, and what is offered to whom, in this order.
    pub fn configure(&mut self, settings: &Settings) {
        self.realm = settings.realm.clone();
        self.md5_only_agents = settings.md5_only_agents.clone();
        let algorithm = |hash: &DigestHash| match hash {
            DigestHash::Sha256 => Algorithm::Sha256,
            DigestHash::Md5 => Algorithm::Md5,
        };
        self.offered = settings.digests.iter().map(algorithm).collect();
    }

    /// What is offered to whoever sent `request`. A phone of the list gets MD5 alone, if that is offered
    /// at all: it would not answer two challenges.
    fn offered(&self, request: &Message) -> &[Algorithm] {
        let agent = request.header(Header::UserAgent).unwrap_or_default();
        let is_listed = self.md5_only_agents.iter().any(|known| agent.starts_with(&**known));
        let is_md5 = |offered: &Algorithm| *offered == Algorithm::Md5;
        match self.offered.iter().position(is_md5) {
            Some(md5) if is_listed => &self.offered[md5..=md5],
            _ => &self.offered,
        }
    }

    /// 407 (`proxy`) or 401 with a challenge for each algorithm offered, the preferred first (RFC 8760 §2.3).
    pub fn challenge(
        &mut self,
        now: Moment,
        (request, source): (&Message, IpAddr),
        proxy: bool,
        stale: bool,
        tag: &str,
    ) -> Builder {
        let (status, header) = match proxy {
            true => (407, Header::ProxyAuthenticate),
            false => (401, Header::WwwAuthenticate),
        };
        let nonce = self.mint.mint(now, self.ids.next_u64(), source);
        let reply = Builder::reply(request, status, Some(tag));
        self.offered(request).iter().fold(reply, |reply, &algorithm| {
            let challenge = Challenge {
                realm: (&*self.realm).into(),
                nonce: (&*nonce).into(),
                algorithm,
                qop: vec![Qop::Auth],
                stale,
                opaque: None,
            };
            reply.header(header, challenge)
        })
    }

    /// What the request's credentials are worth. `proxy`: look at Proxy-Authorization, not Authorization.
    /// `lookup` gives what is kept of a user's password under our realm; who is `held_back` is not looked
    /// at.
    pub fn check(
        &self,
        now: Moment,
        (request, source): (&Message, IpAddr),
        proxy: bool,
        lookup: &dyn Fn(&str) -> Option<Credentials>,
        held_back: &dyn Fn(&str) -> bool,
        window: &dyn NonceWindow,
    ) -> Verdict {
        let header = if proxy { Header::ProxyAuthorization } else { Header::Authorization };
        let lines = request.lines(header).take(LINES_MAX);
        let ours = |line| Authorization::parse(line).filter(|a| a.realm == *self.realm);
        let mut answers = lines.filter_map(ours).filter_map(|a| a.algorithm.map(|with| (a, with)));
        let answer = answers.find(|(_, with)| self.offered.contains(with));
        let Some((answer, algorithm)) = answer else { return Verdict::Challenge { stale: false } };
        let Some(nonce) = self.mint.read(now, &answer.nonce, source) else {
            return Verdict::Challenge { stale: true };
        };
        if held_back(&answer.username) {
            return Verdict::HeldBack;
        }
        let known = lookup(&answer.username);
        let credentials = known.as_ref().unwrap_or(&self.nobody);
        let ha1 = match algorithm {
            Algorithm::Md5 => &credentials.ha1_md5,
            Algorithm::Sha256 => &credentials.ha1_sha256,
        };
        let proves = answer.proves(ha1, request.method(), &request.body());
        let Some(credentials) = known.filter(|_| proves) else {
            return Verdict::Forbidden { user: answer.username.into_owned() };
        };
        // Without `qop` there is no count: such a nonce is good for one request.
        let count = answer.count().filter(|_| answer.qop.is_some()).unwrap_or(1);
        match window.first_use(&nonce.id, nonce.issued, now, count) {
            true => Verdict::Ok { user: credentials.user },
            false => Verdict::Challenge { stale: true },
        }
    }
}
