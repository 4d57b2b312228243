//! What a rehearsal's switch is set up with: today's settings over addresses of its own, a place on the
//! board for everybody who was ever there, a phone for everybody who had one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use jiff::{Span, Timestamp};

use crate::acd::{Board, BoardLimits, CREDIT_MAX, Wake};
use crate::domain::{
    Directory, DirectoryLimits, DirectoryRows, EndStatuses, Flow, Listener, LockAfter, Settings,
    Transport, Trunk, TrunkAddress, TrunkId, TrunkIdentity, TrunkTarget,
};
use crate::meters::{MeterLimits, Meters};
use crate::registrar::{Binding, Location};
use crate::switch::Shared;

use super::{Arrival, Rules};

pub(super) const SERVER: SocketAddr = address([192, 0, 2, 1]);
/// Where all phones are.
pub(super) const PHONES: SocketAddr = address([192, 0, 2, 2]);

const fn address([a, b, c, d]: [u8; 4]) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), 5060)
}

/// The way to an actor, or from one.
pub(super) fn flow(remote: SocketAddr) -> Flow {
    Flow { transport: Transport::Udp, listener: 0, remote, connection: 0 }
}

/// Where a trunk is, by its place in the settings (198.18.0.0/15 is for tests, RFC 2544).
pub(super) fn trunk_at(place: usize) -> SocketAddr {
    let [low, high] = ((place + 1) as u16).to_le_bytes();
    address([198, 18, high, low])
}

/// Today's settings as the rehearsal needs them: its own addresses, no limits but that of the queues, and
/// nobody is locked out, for nothing says when they would come back.
pub(super) fn settings(today: &Settings, calls: &[(&Arrival, &Rules)]) -> Settings {
    let mut settings = today.clone();
    let server: Arc<str> = SERVER.to_string().into();
    let listener = Listener { transport: Transport::Udp, bind: SERVER, advertise: server };
    settings.listeners = vec![listener];
    settings.lock_after = LockAfter::Never;
    settings.login_on_register = true;
    settings.limits.calls_max = u32::MAX;
    settings.limits.transactions_max = u32::MAX;
    let known = |trunk: &&TrunkId| today.trunks.iter().all(|known| known.id != **trunk);
    let gone = calls.iter().filter_map(|(call, _)| call.facts.trunk.as_ref()).filter(known);
    let gone: BTreeSet<TrunkId> = gone.cloned().collect();
    let gone = gone.into_iter().map(|id| Arc::new(blank(id, today)));
    settings.trunks = today.trunks.iter().cloned().chain(gone).collect();
    for (place, trunk) in settings.trunks.iter_mut().enumerate() {
        let at = trunk_at(place);
        let mut ours = (**trunk).clone();
        ours.identity =
            TrunkIdentity::Address(vec![TrunkAddress { ip: at.ip(), port: Some(at.port()) }]);
        ours.target = ours.target.and_then(|_| TrunkTarget::new(Transport::Udp, &at.to_string()));
        ours.options_every = Duration::ZERO;
        (ours.calls_max, ours.calls_per_second_max) = (u32::MAX, u32::MAX);
        *trunk = Arc::new(ours);
    }
    settings
}

/// A trunk that is not set up any more.
fn blank(id: TrunkId, today: &Settings) -> Trunk {
    Trunk {
        id,
        identity: TrunkIdentity::Address(Vec::new()),
        target: TrunkTarget::new(Transport::Udp, &PHONES.to_string()),
        trusted: false,
        numbers: today.numbers.clone(),
        calls_max: u32::MAX,
        calls_per_second_max: u32::MAX,
        options_every: Duration::ZERO,
        answer_within: Duration::from_secs(110),
        waiting_status: 180,
        ends: EndStatuses::default(),
        pass_headers: Vec::new(),
    }
}

/// All directories of the calls, one after the other, with the same place for the same person.
pub(super) struct Directories {
    limits: DirectoryLimits,
    last: Option<Arc<Directory>>,
    /// By the address of the recorded one.
    made: BTreeMap<usize, Arc<Directory>>,
    pub(super) users: BTreeSet<Arc<str>>,
}

impl Directories {
    pub(super) fn of(calls: &[(&Arrival, &Rules)]) -> Self {
        let mut looked = BTreeSet::new();
        let (mut people, mut groups, mut users) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, rules) in calls.iter().filter(|(_, rules)| looked.insert(address_of(rules))) {
            for (_, person) in rules.directory.agents() {
                people.insert(person.id.clone());
                users.extend(person.sip_user.clone());
            }
            groups.extend(rules.directory.groups().map(|group| group.name().to_string()));
        }
        let count = |n: usize| u16::try_from(n.max(1)).unwrap_or(u16::MAX);
        let limits =
            DirectoryLimits { agents_max: count(people.len()), groups_max: count(groups.len()) };
        Self { limits, last: None, made: BTreeMap::new(), users }
    }

    /// As the switch may take it after those before.
    pub(super) fn next(&mut self, rules: &Rules) -> Arc<Directory> {
        if let Some(made) = self.made.get(&address_of(rules)) {
            return made.clone();
        }
        let recorded = &rules.directory;
        let record = recorded.record();
        let calendars = recorded
            .calendar_names()
            .filter_map(|name| Some((Arc::from(name), recorded.calendar(name)?.clone())));
        let rows = DirectoryRows {
            people: record.people.into_iter().map(|(_, person)| person).collect(),
            departments: record.departments,
            absences: record.absences,
            calendars: calendars.collect(),
            unread: Vec::new(),
        };
        let last = self.last.as_deref();
        let built = Directory::build_with(last, rows, record.orders, self.limits);
        // Made of one that was built before, under limits that hold all: it cannot fail.
        let built = built.map_or_else(|_| recorded.clone(), Arc::new);
        self.last = Some(built.clone());
        self.made.insert(address_of(rules), built.clone());
        built
    }

    /// What the workers share, of this size.
    pub(super) fn shared(&self, bell: Arc<Bell>, trunks: usize, settings: &Settings) -> Shared {
        let limits = BoardLimits {
            agents: self.limits.agents_max,
            groups: self.limits.groups_max,
            shards: 1,
            queue_len_max: settings.limits.queue_len_max,
            credit_max: CREDIT_MAX,
        };
        let usual = MeterLimits::default();
        let trunks_max = usual.trunks_max.max(u16::try_from(trunks).unwrap_or(u16::MAX));
        Shared {
            board: Arc::new(Board::new(limits, vec![bell])),
            location: Arc::new(Location::new()),
            meters: Arc::new(Meters::new(MeterLimits { trunks_max, ..usual }, [0; 16])),
        }
    }

    /// A phone for everybody, as the journal would remember it.
    pub(super) fn bindings(&self, until: Timestamp) -> Vec<serde_json::Value> {
        let expires = until.checked_add(Span::new().hours(24 * 366)).unwrap_or(Timestamp::MAX);
        let binding = |(epoch, user): (u64, &Arc<str>)| Binding {
            aor: user.clone(),
            key: "rehearsal".into(),
            contact: format!("sip:p@{PHONES}").into(),
            flow: flow(PHONES),
            path: Vec::new(),
            q: 1_000,
            expires,
            instance: None,
            reg_id: None,
            user_agent: None,
            call_id: "rehearsal".into(),
            cseq: 1,
            epoch,
        };
        let bindings = (1..).zip(&self.users).map(binding);
        bindings.filter_map(|binding| serde_json::to_value(binding).ok()).collect()
    }
}

fn address_of(rules: &Rules) -> usize {
    Arc::as_ptr(&rules.directory) as usize
}

/// The one worker's bell: rung when something lies in the channel.
pub(super) struct Bell(SyncSender<()>);

impl Bell {
    /// It, and where to look.
    pub(super) fn new() -> (Arc<Self>, Receiver<()>) {
        let (sender, receiver) = sync_channel(1);
        (Arc::new(Self(sender)), receiver)
    }
}

impl Wake for Bell {
    fn wake(&self) {
        // Full: it rang already.
        let _ = self.0.try_send(());
    }
}
