//! The server's settings as the core needs them: checked, complete, one immutable snapshot.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{NumberFormat, Transport, TrunkId};

/// One address that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// UDP or TCP.
    pub transport: Transport,
    /// What is bound.
    pub bind: SocketAddr,
    /// What Via and Contact say: `host:port`, the bound address unless set (`advertise`).
    pub advertise: Arc<str>,
}

/// How a trunk proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkIdentity {
    /// By the socket's source address: any port unless one is given.
    Address(Vec<TrunkAddress>),
    /// By digest: HA1 values under the server's realm.
    Digest(Credentials),
}

/// One address of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkAddress {
    /// The host.
    pub ip: IpAddr,
    /// The port, if only that one is trusted.
    pub port: Option<u16>,
}

/// What a password is kept as: never the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User part.
    pub user: Arc<str>,
    /// `MD5(user:realm:password)`, lower-case hexadecimal.
    pub ha1_md5: Arc<str>,
    /// `SHA-256(user:realm:password)`, lower-case hexadecimal.
    pub ha1_sha256: Arc<str>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.user)
    }
}

/// A PBX or a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// How it is known.
    pub identity: TrunkIdentity,
    /// Where calls to it go, and OPTIONS; none for a trunk that only sends.
    pub target: Option<TrunkTarget>,
    /// P-Asserted-Identity, Diversion and History-Info of this trunk are believed.
    pub trusted: bool,
    /// How it writes numbers.
    pub numbers: NumberFormat,
    /// Calls at once, both ways together.
    pub calls_max: u32,
    /// New calls a second.
    pub calls_per_second_max: u32,
    /// An OPTIONS this often; zero switches it off.
    pub options_every: Duration,
    /// Shortly before this the plan goes to its ending: the PBX gives up by then.
    pub answer_within: Duration,
    /// What a waiting caller is sent.
    pub waiting_status: u16,
    /// Statuses at the ends of a route.
    pub ends: EndStatuses,
    /// Extra headers that cross from this trunk to phones.
    pub pass_headers: Vec<Arc<str>>,
}

/// Where a trunk is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkTarget {
    /// UDP or TCP.
    pub transport: Transport,
    /// Resolved.
    pub address: SocketAddr,
    /// `host[:port]` as a request URI says it.
    pub host: Arc<str>,
}

/// The final status of each ending, settable per trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndStatuses {
    /// A callback was promised: 480.
    pub callback: u16,
    /// Closed: 480.
    pub out_of_hours: u16,
    /// A queue is full: 486.
    pub queue_full: u16,
}

impl Default for EndStatuses {
    fn default() -> Self {
        Self { callback: 480, out_of_hours: 480, queue_full: 486 }
    }
}

/// Codes that a person dials on their own phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarCodes {
    /// Begin to work.
    pub login: Arc<str>,
    /// Stop working.
    pub logout: Arc<str>,
    /// Not ready.
    pub pause: Arc<str>,
    /// Ready again, also after a missed call.
    pub resume: Arc<str>,
    /// Wrap-up is done.
    pub wrap_up_end: Arc<str>,
}

/// When clause C4 locks a person out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockAfter {
    /// After this many missed calls in a row; at least 1.
    Missed(u32),
    /// Never.
    Never,
}

/// Everything with a number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once per worker.
    pub calls_max: u32,
    /// Callers in one queue.
    pub queue_len_max: u32,
    /// Bindings of one address of record.
    pub bindings_max: u16,
    /// SIP transactions at once per worker.
    pub transactions_max: u32,
    /// Failed authentications and unknown INVITEs of one source address in a minute before it is
    /// answered no more for the rest of it.
    pub failures_per_minute_max: u32,
    /// Shortest registration accepted (423 below it).
    pub expires_min: Duration,
    /// Longest registration granted.
    pub expires_max: Duration,
}

/// Everything with a time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// No call lives longer.
    pub call_max: Duration,
    /// An OPTIONS in every confirmed dialog this often.
    pub probe_every: Duration,
    /// Rest after a call, before the next is offered.
    pub wrap_up: Duration,
    /// Nothing is offered for so long after a refusal.
    pub refuse_backoff: Duration,
    /// Nothing is offered for so long after a phone said "busy".
    pub busy_backoff: Duration,
    /// A phone that says nothing at all for so long is unreachable.
    pub phone_silence: Duration,
    /// A waiting caller hears from us at least this often (RFC 3261 §13.3.1.1 wants a minute).
    pub provisional_every: Duration,
    /// The client index answers within this or the caller is unidentified.
    pub identify_timeout: Duration,
    /// An answered call whose phone's flow closed waits so long for a new registration.
    pub flow_grace: Duration,
    /// How long SIGTERM waits for waiting callers.
    pub drain_max: Duration,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// RFC 3261 T2.
    pub t2: Duration,
    /// RFC 3261 T4.
    pub t4: Duration,
}

/// The snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Domains that are ours: the host parts of our people's addresses.
    pub domains: Vec<Arc<str>>,
    /// Digest realm.
    pub realm: Arc<str>,
    /// Numbers without a country code that our people dial, and that the company's files hold.
    pub numbers: NumberFormat,
    /// What is listened on; `Flow::listener` is an index into it.
    pub listeners: Vec<Listener>,
    /// All trunks.
    pub trunks: Vec<Arc<Trunk>>,
    /// Which trunk takes our people's outgoing calls; none: refused.
    pub outbound_trunk: Option<TrunkId>,
    /// Clause C4.
    pub lock_after: LockAfter,
    /// Star codes.
    pub star_codes: StarCodes,
    /// A person counts as logged in when registered, unless they logged out (clause C3).
    pub login_on_register: bool,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timers: Timers,
}
