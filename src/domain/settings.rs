//! The server's settings as the core needs them: checked, complete, one immutable snapshot.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Flow, NumberFormat, Transport, TrunkId};

/// Where SIP is spoken unless something else is said (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// One address that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// UDP or TCP.
    pub transport: Transport,
    /// What is bound.
    pub bind: SocketAddr,
    /// What Via and Contact say: `host:port`, the bound address unless set (`advertise`).
    pub advertise: Arc<str>,
}

/// How a trunk proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrunkIdentity {
    /// By the socket's source address: any port unless one is given.
    Address(Vec<TrunkAddress>),
    /// By digest: HA1 values under the server's realm.
    Digest(Credentials),
}

/// One address of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkAddress {
    /// The host.
    pub ip: IpAddr,
    /// The port, if only that one is trusted.
    pub port: Option<u16>,
}

/// A hash function of digest authentication (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestHash {
    /// The stronger.
    Sha256,
    /// What every phone knows.
    Md5,
}

/// What a password is kept as: never the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkTarget {
    /// UDP or TCP.
    pub transport: Transport,
    /// Where that is; absent while the name of a host has no address.
    pub address: Option<SocketAddr>,
    /// `host[:port]` as a request URI says it.
    pub host: Arc<str>,
    /// The address of this host from which it speaks to that, once that is known.
    pub from: Option<IpAddr>,
}

impl TrunkTarget {
    /// From `host[:port]`. `None`: that is neither an address nor the name of a host.
    pub fn new(transport: Transport, host: &str) -> Option<Self> {
        let target = |address| Self { transport, address, host: host.into(), from: None };
        if let Ok(address) = host.parse() {
            return Some(target(Some(address)));
        }
        if let Ok(ip) = bare(host).parse::<IpAddr>() {
            return Some(target(Some(SocketAddr::new(ip, SIP_PORT))));
        }
        let (name, port) = match host.split_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (host, Some(SIP_PORT)),
        };
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let is_name =
            name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label);
        (is_name && port.is_some_and(|port| port > 0)).then(|| target(None))
    }

    /// The name and the port to look up; `None` for an address.
    pub fn name(&self) -> Option<(&str, u16)> {
        if bare(&self.host).parse::<IpAddr>().is_ok() || self.host.parse::<SocketAddr>().is_ok() {
            return None;
        }
        let (name, port) = split(&self.host);
        Some((name, port.unwrap_or(SIP_PORT)))
    }
}

/// The final status of each ending, settable per trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockAfter {
    /// After this many missed calls in a row; at least 1.
    Missed(u32),
    /// Never.
    Never,
}

/// Everything with a number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Whoever turned a call down is offered nothing for at least so long.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// Everything with a time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Domains that are ours: the host parts of our people's addresses.
    pub domains: Vec<Arc<str>>,
    /// Digest realm.
    pub realm: Arc<str>,
    /// What is offered in a challenge, in this order; nothing else is taken.
    pub digests: Vec<DigestHash>,
    /// How the User-Agent of phones begins that give up at a second challenge: they are offered MD5 alone.
    pub md5_only_agents: Vec<Arc<str>>,
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

impl Settings {
    /// The way to a trunk, over the listener at the address that this host would speak from, else over the
    /// first that can speak to it.
    pub fn flow_to(&self, target: &TrunkTarget) -> Option<Flow> {
        let remote = target.address?;
        let reaches = |l: &Listener| l.reaches(target.transport, remote);
        let there = |l: &Listener| reaches(l) && Some(l.bind.ip()) == target.from;
        let listeners = &self.listeners;
        let listener =
            listeners.iter().position(there).or_else(|| listeners.iter().position(reaches))?;
        let listener = u16::try_from(listener).ok()?;
        Some(Flow { transport: target.transport, listener, remote, connection: 0 })
    }

    /// `host` (no port; IPv6 in brackets or bare) is a domain of ours: addresses of record may stand there.
    /// Configured domains, and the addresses of our listeners, since phones are often given one of those.
    pub fn is_our_domain(&self, host: &str) -> bool {
        let host = bare(host);
        self.domains.iter().any(|d| bare(d).eq_ignore_ascii_case(host))
            || self.listeners.iter().any(|l| l.is_named(host))
    }

    /// `host` and `port` of a URI lead to us: one of our listeners, or a domain of ours. Without a port a
    /// name is looked up by its service, an address means 5060 (RFC 3263 §4.2).
    pub fn is_our_address(&self, host: &str, port: Option<u16>) -> bool {
        let host = bare(host);
        let at = |l: &Listener, port| l.is_named(host) && l.port() == port;
        if self.listeners.iter().any(|l| at(l, port.unwrap_or(SIP_PORT))) {
            return true;
        }
        let is_domain = self.domains.iter().any(|d| bare(d).eq_ignore_ascii_case(host));
        let is_name = host.parse::<IpAddr>().is_err();
        is_domain
            && match port {
                Some(port) => self.listeners.iter().any(|l| l.port() == port),
                None => is_name || self.listeners.iter().any(|l| l.port() == SIP_PORT),
            }
    }
}

impl Listener {
    /// What is bound here can send to `remote`: loopback reaches its own host only.
    pub fn reaches(&self, transport: Transport, remote: SocketAddr) -> bool {
        self.transport == transport
            && self.bind.is_ipv4() == remote.is_ipv4()
            && (!self.bind.ip().is_loopback() || remote.ip().is_loopback())
    }

    /// The advertised port.
    pub fn port(&self) -> u16 {
        split(&self.advertise).1.unwrap_or(SIP_PORT)
    }

    /// The advertised host, or the bound address. One that is bound to every address also has the loopback's.
    fn is_named(&self, host: &str) -> bool {
        let (advertised, _) = split(&self.advertise);
        bare(advertised).eq_ignore_ascii_case(host)
            || host.parse::<IpAddr>().is_ok_and(|ip| {
                let every = self.bind.ip().is_unspecified();
                ip == self.bind.ip() || every && ip.is_loopback()
            })
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn split(host_port: &str) -> (&str, Option<u16>) {
    let split =
        host_port.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    match split {
        Some((host, port)) => (host, port.parse().ok()),
        None => (host_port, None),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small, complete snapshot for tests of all rooms: domain `example.org`, no listener, no trunk.
    pub(crate) fn example() -> Settings {
        let code = |text: &str| Arc::from(text);
        let seconds = Duration::from_secs;
        Settings {
            domains: vec![Arc::from("example.org")],
            realm: Arc::from("example.org"),
            digests: vec![DigestHash::Md5, DigestHash::Sha256],
            md5_only_agents: Vec::new(),
            numbers: NumberFormat::of("DE"),
            listeners: Vec::new(),
            trunks: Vec::new(),
            outbound_trunk: None,
            lock_after: LockAfter::Missed(1),
            star_codes: StarCodes {
                login: code("*11"),
                logout: code("*12"),
                pause: code("*13"),
                resume: code("*14"),
                wrap_up_end: code("*15"),
            },
            login_on_register: true,
            limits: Limits {
                calls_max: 100,
                queue_len_max: 100,
                bindings_max: 3,
                transactions_max: 1_000,
                failures_per_minute_max: 30,
                expires_min: seconds(60),
                expires_max: seconds(7_200),
            },
            timers: Timers {
                call_max: seconds(14_400),
                probe_every: seconds(60),
                wrap_up: seconds(10),
                refuse_backoff: seconds(10),
                busy_backoff: seconds(10),
                phone_silence: seconds(4),
                provisional_every: seconds(50),
                identify_timeout: Duration::from_millis(100),
                flow_grace: seconds(30),
                drain_max: seconds(600),
                t1: Duration::from_millis(500),
                t2: seconds(4),
                t4: seconds(5),
            },
        }
    }

    fn settings() -> Settings {
        let listener = |bind: &str, advertise: &str| Listener {
            transport: Transport::Udp,
            bind: bind.parse().expect("a literal"),
            advertise: Arc::from(advertise),
        };
        let listeners = vec![
            listener("0.0.0.0:5070", "sip.example.org:5070"),
            listener("[2001:db8::1]:5060", "[2001:db8::1]:5060"),
        ];
        let domains = vec![Arc::from("example.org"), Arc::from("10.0.0.9")];
        Settings { domains, listeners, ..example() }
    }

    #[test]
    fn our_domains_are_the_configured_ones_and_our_listeners_hosts() {
        let ours = settings();
        for host in ["Example.ORG", "10.0.0.9", "sip.example.org", "[2001:db8::1]", "127.0.0.1"] {
            assert!(ours.is_our_domain(host), "{host}");
        }
        for host in ["example.com", "10.0.0.8", "0.0.0.1", "", "[2001:db8::2]"] {
            assert!(!ours.is_our_domain(host), "{host}");
        }
    }

    #[test]
    fn an_address_is_ours_only_with_a_port_of_ours() {
        let ours = settings();
        assert!(ours.is_our_address("sip.example.org", Some(5070)));
        assert!(ours.is_our_address("127.0.0.1", Some(5070)));
        assert!(ours.is_our_address("[2001:DB8::1]", None));
        assert!(ours.is_our_address("example.org", None));
        assert!(ours.is_our_address("10.0.0.9", Some(5070)));
        assert!(!ours.is_our_address("127.0.0.1", Some(5080)));
        assert!(!ours.is_our_address("127.0.0.1", None));
        assert!(!ours.is_our_address("example.org", Some(9)));
        assert!(!ours.is_our_address("example.com", None));
    }

    #[test]
    fn a_trunks_target_is_an_address_or_a_name() {
        let target = |host: &str| TrunkTarget::new(Transport::Udp, host);
        for (host, address) in [
            ("192.0.2.1", "192.0.2.1:5060"),
            ("192.0.2.1:5070", "192.0.2.1:5070"),
            ("[2001:db8::1]", "[2001:db8::1]:5060"),
            ("[2001:db8::1]:5070", "[2001:db8::1]:5070"),
        ] {
            let target = target(host).expect(host);
            assert_eq!(target.address, address.parse().ok(), "{host}");
            assert_eq!(target.name(), None);
        }
        for (host, name) in [("pbx.example", ("pbx.example", 5060)), ("pbx:5070", ("pbx", 5070))] {
            let target = target(host).expect(host);
            assert_eq!((target.address, target.name()), (None, Some(name)), "{host}");
        }
        for host in
            ["", ":5060", "pbx:", "pbx:0", "pbx:70000", "a..b", "a b", "sip:pbx", "[::1", "a/b"]
        {
            assert_eq!(target(host), None, "{host}");
        }
    }

    #[test]
    fn the_way_to_a_trunk_is_a_listener_of_its_kind() {
        let ours = settings();
        let flow = |transport, host| ours.flow_to(&TrunkTarget::new(transport, host)?);
        assert_eq!(flow(Transport::Udp, "[2001:db8::9]").map(|flow| flow.listener), Some(1));
        assert_eq!(flow(Transport::Udp, "192.0.2.1").map(|flow| flow.listener), Some(0));
        assert_eq!(flow(Transport::Tcp, "192.0.2.1"), None);
        assert_eq!(flow(Transport::Udp, "pbx.example"), None, "its name has no address yet");
    }

    #[test]
    fn a_trunk_is_reached_over_the_first_listener_that_can_speak_to_it() {
        let listener = |transport, bind: &str| Listener {
            transport,
            bind: bind.parse().expect("a literal"),
            advertise: Arc::from(bind),
        };
        let listeners = vec![
            listener(Transport::Udp, "127.0.0.1:5060"),
            listener(Transport::Udp, "[::1]:5060"),
            listener(Transport::Tcp, "10.0.0.1:5060"),
            listener(Transport::Udp, "10.0.0.1:5060"),
            listener(Transport::Udp, "10.0.0.2:5060"),
        ];
        let ours = Settings { listeners, ..example() };
        let over = |transport, host: &str| {
            Some(ours.flow_to(&TrunkTarget::new(transport, host)?)?.listener)
        };
        assert_eq!(over(Transport::Udp, "127.0.0.6:5070"), Some(0));
        assert_eq!(over(Transport::Udp, "10.0.0.9:5060"), Some(3), "not over loopback");
        assert_eq!(over(Transport::Tcp, "10.0.0.9:5060"), Some(2));
        assert_eq!(over(Transport::Udp, "[::1]:5070"), Some(1));
        assert_eq!(over(Transport::Udp, "[2001:db8::9]:5060"), None);
        let target = TrunkTarget::new(Transport::Udp, "10.0.0.9").expect("an address");
        let from = |ip: &str| TrunkTarget { from: ip.parse().ok(), ..target.clone() };
        let listener = |ip| ours.flow_to(&from(ip)).map(|flow| flow.listener);
        assert_eq!(listener("10.0.0.2"), Some(4), "the one that the host speaks from");
        assert_eq!(listener("10.0.0.3"), Some(3), "nothing is bound there");
    }
}
