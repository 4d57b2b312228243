//! What the scenes of the bridging tests and the simulator's company have in common: addresses, a person,
//! two trunks, settings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use telefonist::domain::*;
use telefonist::sip::digest;

pub const TRUNK: &str = "192.0.2.10:5060";
pub const CARRIER: &str = "192.0.2.11:5060";
pub const DOMAIN: &str = "example.com";
pub const OFFER: &str = "v=0\r\no=caller 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n\
                         t=0 0\r\nm=audio 4000 RTP/AVP 8 0\r\n";
pub const ANSWER: &str = "v=0\r\no=phone 5 5 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\n\
                          t=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn person(id: &str, roles: &[&str], department: &str) -> Person {
    let (user, password) = (id, "secret");
    Person {
        id: id.into(),
        name: id.into(),
        roles: roles.iter().map(|r| (*r).into()).collect(),
        levels: Default::default(),
        department: Some(department.into()),
        sip_user: Some(id.into()),
        supervisor: None,
        credentials: Some(Credentials {
            user: user.into(),
            ha1_md5: digest::ha1(digest::Algorithm::Md5, user, DOMAIN, password).into(),
            ha1_sha256: digest::ha1(digest::Algorithm::Sha256, user, DOMAIN, password).into(),
        }),
        email: None,
    }
}

pub fn department(id: &str, head: &str) -> Department {
    Department {
        id: id.into(),
        name: id.into(),
        head: Some(head.into()),
        deputy_head: None,
        calendar: "always".into(),
        regions: Default::default(),
    }
}

pub fn pbx() -> Trunk {
    Trunk {
        id: "pbx".into(),
        identity: TrunkIdentity::Address(vec![TrunkAddress { ip: addr(TRUNK).ip(), port: None }]),
        target: Some(TrunkTarget {
            transport: Transport::Udp,
            address: Some(addr(TRUNK)),
            host: TRUNK.into(),
            from: None,
        }),
        trusted: true,
        numbers: NumberFormat::of("DE"),
        calls_max: 20,
        calls_per_second_max: 100,
        options_every: Duration::ZERO,
        answer_within: Duration::from_secs(110),
        waiting_status: 180,
        ends: EndStatuses::default(),
        pass_headers: vec![],
    }
}

pub fn settings() -> Settings {
    let trunk = pbx();
    let at = addr(CARRIER);
    let carrier = Trunk {
        id: "carrier".into(),
        identity: TrunkIdentity::Address(vec![TrunkAddress { ip: at.ip(), port: None }]),
        target: Some(TrunkTarget {
            transport: Transport::Udp,
            address: Some(at),
            host: CARRIER.into(),
            from: None,
        }),
        ..trunk.clone()
    };
    settings_with(vec![Arc::new(trunk), Arc::new(carrier)])
}

fn settings_with(trunks: Vec<Arc<Trunk>>) -> Settings {
    let s = Duration::from_secs;
    Settings {
        domains: vec![DOMAIN.into()],
        realm: DOMAIN.into(),
        numbers: NumberFormat::of("DE"),
        listeners: vec![Listener {
            transport: Transport::Udp,
            bind: addr("192.0.2.1:5060"),
            advertise: "192.0.2.1:5060".into(),
        }],
        trunks,
        outbound_trunk: Some("pbx".into()),
        lock_after: LockAfter::Missed(1),
        star_codes: StarCodes {
            login: "*11".into(),
            logout: "*12".into(),
            pause: "*13".into(),
            resume: "*14".into(),
            wrap_up_end: "*15".into(),
        },
        digests: vec![DigestHash::Sha256, DigestHash::Md5],
        md5_only_agents: Vec::new(),
        login_on_register: true,
        limits: Limits {
            calls_max: 100,
            queue_len_max: 10,
            bindings_max: 5,
            transactions_max: 10_000,
            failures_per_minute_max: 20,
            expires_min: s(60),
            expires_max: s(3_600),
        },
        timers: Timers {
            call_max: s(4 * 3_600),
            probe_every: s(60),
            wrap_up: s(5),
            refuse_backoff: s(10),
            busy_backoff: s(10),
            phone_silence: s(4),
            provisional_every: s(50),
            identify_timeout: s(1),
            flow_grace: s(30),
            drain_max: s(60),
            t1: Duration::from_millis(500),
            t2: s(4),
            t4: s(5),
        },
    }
}

pub const LIMITS: DirectoryLimits = DirectoryLimits { agents_max: 64, groups_max: 32 };

/// A leave, both days included.
pub fn absence(who: &str, from: &str, to: &str, deputy: Option<&str>) -> Absence {
    Absence {
        id: 1,
        person: who.into(),
        kind: AbsenceKind::Leave,
        from: from.parse().expect("a day"),
        to: to.parse().expect("a day"),
        deputy: deputy.map(Into::into),
        by: "test".into(),
    }
}
