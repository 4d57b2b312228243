//! The company of the simulation: people who hold every role of the shipped policy, phones, clients of
//! every kind, and the shipped policy with other times and other settings.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use telefonist::domain::*;
use telefonist::policy::{Names, Policy, Sources, calendars};

use super::company::{absence, department, person, settings as usual};
use super::options::Rng;

pub const POLICY: &str = include_str!("../../config/policy.toml");
pub const CALENDARS: &str = include_str!("../../config/calendars.toml");

/// Id, roles, department.
pub const PEOPLE: [(&str, &[&str], &str); 17] = [
    ("hans", &["head"], "wholesale"),
    ("mia", &["manager", "key_account_manager", "vip_manager"], "wholesale"),
    ("kai", &["manager", "key_account_manager"], "wholesale"),
    ("leo", &["manager", "vip_manager"], "wholesale"),
    ("ole", &["operator"], "sales_support"),
    ("ida", &["operator"], "sales_support"),
    ("otto", &["operator"], "sales_support"),
    ("sue", &["shift_leader"], "sales_support"),
    ("hera", &["head"], "sales_support"),
    ("max", &["head"], "market"),
    ("rita", &["head"], "retail"),
    ("rolf", &["head"], "regional"),
    ("clara", &["head"], "client_service"),
    ("dora", &["deputy_head"], "client_service"),
    ("fay", &["finance"], "finance"),
    ("finn", &["finance"], "finance"),
    ("fred", &["head"], "finance"),
];

/// Department, head, calendar, regions.
pub const DEPARTMENTS: [(&str, &str, &str, &[&str]); 7] = [
    ("wholesale", "hans", "office", &[]),
    ("sales_support", "hera", "operators", &[]),
    ("market", "max", "office", &["Coast"]),
    ("retail", "rita", "office", &[]),
    ("regional", "rolf", "regional", &["North"]),
    ("client_service", "clara", "office", &[]),
    ("finance", "fred", "finance", &[]),
];

/// User, host, stream. Two people have two phones.
pub const PHONES: [(&str, &str, bool); 19] = [
    ("mia", "192.0.2.20:6001", false),
    ("kai", "192.0.2.21:6002", false),
    ("kai", "192.0.2.22:6003", true),
    ("hans", "192.0.2.23:6004", false),
    ("ole", "192.0.2.30:6005", true),
    ("ida", "192.0.2.31:6006", false),
    ("ida", "192.0.2.32:6007", false),
    ("otto", "192.0.2.33:6008", true),
    ("leo", "192.0.2.34:6009", false),
    ("sue", "192.0.2.35:6010", false),
    ("hera", "192.0.2.36:6011", false),
    ("max", "192.0.2.37:6012", true),
    ("rita", "192.0.2.38:6013", false),
    ("rolf", "192.0.2.39:6014", false),
    ("clara", "192.0.2.40:6015", false),
    ("dora", "192.0.2.41:6016", false),
    ("fay", "192.0.2.42:6017", true),
    ("finn", "192.0.2.43:6018", false),
    ("fred", "192.0.2.44:6019", false),
];

/// What callers dial.
pub const CALLED: [&str; 7] = [
    "100",
    "+493023125910",
    "+493023125920",
    "+493023125930",
    "+493023125940",
    "+493023125950",
    "03023125910",
];

/// Numbers that no client has, a withheld one, and one that is none.
pub const STRANGERS: [&str; 6] =
    ["03023125700", "+46846500411", "+33199000011", "anonymous", "12x", "+493023125701"];

pub fn settings() -> Settings {
    let mut settings = usual();
    settings.limits.queue_len_max = 4;
    settings.limits.transactions_max = 40_000;
    for trunk in &mut settings.trunks {
        let mut wider = (**trunk).clone();
        wider.calls_max = 24;
        *trunk = Arc::new(wider);
    }
    settings
}

/// People who are absent, with a deputy or without; people with one more role.
pub type Absent = Vec<(usize, Option<usize>)>;
pub type Moved = Vec<(usize, &'static str)>;

pub fn rows(at: Timestamp, absent: &Absent, moved: &Moved) -> DirectoryRows {
    let day = jiff::tz::TimeZone::UTC.to_datetime(at).date();
    let (from, to) = (day.yesterday().expect("a day"), day.tomorrow().expect("a day"));
    let (from, to) = (from.to_string(), to.to_string());
    let mut people: Vec<Person> =
        PEOPLE.iter().map(|(id, roles, department)| person(id, roles, department)).collect();
    for (who, role) in moved {
        people[*who].roles.insert((*role).into());
    }
    let departments = DEPARTMENTS.iter().map(|(id, head, calendar, regions)| Department {
        calendar: (*calendar).into(),
        regions: regions.iter().map(|region| (*region).into()).collect(),
        ..department(id, head)
    });
    let absences = absent.iter().map(|(who, deputy)| {
        absence(PEOPLE[*who].0, &from, &to, deputy.map(|deputy| PEOPLE[deputy].0))
    });
    DirectoryRows {
        people,
        departments: departments.collect(),
        absences: absences.collect(),
        calendars: calendars("calendars.toml", CALENDARS).expect("calendars"),
        unread: Vec::new(),
    }
}

/// Who gives every order (B8).
pub const SUPERVISOR: &str = "sue";

/// Groups that people are moved between and whose queues are closed, and to which calls are taken.
pub const GROUPS: [&str; 6] = [
    "operator",
    "shift_leader",
    "key_account_manager",
    "finance",
    "vip_manager of wholesale",
    "shift_leader of sales_support",
];

pub fn group(name: &str) -> GroupName {
    GroupName::parse(name).expect("a group's name")
}

/// Emergency plans (B8): the shipped one, and one of every kind of order.
pub fn plan(rush: bool) -> (&'static str, Vec<Order>) {
    if !rush {
        return ("evacuation", vec![Order::Close { group: group("operator") }]);
    }
    let orders = vec![
        Order::Close { group: group("finance") },
        Order::ClosePosition { person: "max".into() },
        Order::Move { person: "fay".into(), to: group("operator"), from: None },
        Order::OpenPosition { person: "ole".into() },
    ];
    ("rush", orders)
}

/// Who is helped, and by whom, where a policy says so (B7).
pub const HELPED: &str = "operator";
pub const HELPER: &str = "manager";

/// One policy with what the reference has to know of it.
pub struct Variant {
    pub policy: Arc<Policy>,
    /// `vip_debtor = finance`.
    pub vip_debtor_to_finance: bool,
    /// `debtor.first = manager`.
    pub debtor_to_manager: bool,
    /// Waits of [`HELPED`] above which they are helped, and below which no more (B7).
    pub help: Option<(Duration, Duration)>,
}

impl Variant {
    pub fn settings(&self) -> (bool, bool) {
        (self.vip_debtor_to_finance, self.debtor_to_manager)
    }
}

/// Of the variants the first so many come by reload; the others are a supervisor's word on help (B7).
pub const RELOADED: usize = 4;

/// The shipped policy; quicker; slower with the other settings; very quick with one of them. Then the quicker
/// one with help after a moment, and without any.
pub fn variants(directory: &Directory, settings: &Settings) -> Vec<Variant> {
    let of = |ring: &str, wait: &str, vip: bool, manager: bool, help: &[(&str, &str)]| {
        let (rules, helped) = POLICY.split_at(POLICY.find("[[help]]").expect("help"));
        let (helped, rest) = helped.split_at(helped.find("# B8").expect("plans behind it"));
        let helped = match help {
            [("[[help]]", _)] => String::new(),
            changes => changes.iter().fold(helped.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "the shipped policy says {from}");
                text.replace(from, to)
            }),
        };
        let mut text = format!("{rules}{helped}{rest}");
        for (key, value) in [("ring", ring), ("wait", wait)] {
            if value.is_empty() {
                continue;
            }
            for old in ["15s", "20s", "30s", "60s"] {
                let old = format!("{key} = \"{old}\"");
                text = text.replace(&old, &format!("{key} = \"{value}\""));
            }
        }
        let replace = |text: String, from: &str, to: &str| {
            assert!(text.contains(from), "the shipped policy says {from}");
            text.replace(from, to)
        };
        if vip {
            text = replace(text, "= \"personal_manager\"\n", "= \"finance\"\n");
        }
        if manager {
            text = replace(
                text,
                "debtor             = { first = \"finance\"",
                "debtor = { first = \"manager\"",
            );
        }
        let sources =
            Sources { policy: ("policy.toml", &text), calendars: ("calendars.toml", CALENDARS) };
        let policy = Policy::compile(&sources, directory, &Names::of(settings));
        let policy = Arc::new(policy.unwrap_or_else(|problems| panic!("{problems:#?}")));
        let waits = match help {
            [] => Some((45, 15)),
            [("[[help]]", _)] => None,
            _ => Some((2, 1)),
        };
        let seconds = |(opens, closes)| (Duration::from_secs(opens), Duration::from_secs(closes));
        let help = waits.map(seconds);
        Variant { policy, vip_debtor_to_finance: vip, debtor_to_manager: manager, help }
    };
    let soon = [("opens_at  = \"45s\"", "opens_at = \"2s\""), ("= \"15s\"", "= \"1s\"")];
    let alone = [("[[help]]", "")];
    vec![
        of("", "", false, false, &[]),
        of("7s", "9s", false, false, &[]),
        of("12s", "30s", true, true, &[]),
        of("3s", "2s", true, false, &[]),
        of("7s", "9s", false, false, &soon),
        of("7s", "9s", false, false, &alone),
    ]
}

struct Card {
    number: &'static str,
    client_type: &'static str,
    vip: Vip,
    manager: Option<&'static str>,
    owes: i64,
    limit: Option<i64>,
    ordered: bool,
    by_operators: bool,
    region: Option<&'static str>,
}

const CARD: Card = Card {
    number: "",
    client_type: "retail",
    vip: Vip::None,
    manager: None,
    owes: 0,
    limit: None,
    ordered: true,
    by_operators: false,
    region: None,
};

/// One client of every kind that the paper tells apart.
const CARDS: [Card; 14] = [
    Card { number: "+493023125001", client_type: "key", manager: Some("mia"), ..CARD },
    Card { number: "+493023125002", client_type: "key", manager: Some("kai"), ..CARD },
    Card { number: "+493023125003", client_type: "key", manager: Some("kai"), owes: 900, ..CARD },
    Card { number: "+493023125004", client_type: "key", ..CARD },
    Card { number: "+493023125005", vip: Vip::Local, manager: Some("leo"), ..CARD },
    Card {
        number: "+493023125006",
        vip: Vip::Branch,
        client_type: "key",
        manager: Some("mia"),
        ..CARD
    },
    Card { number: "+493023125007", vip: Vip::Local, manager: Some("leo"), owes: 5, ..CARD },
    Card { number: "+493023125008", owes: 700, manager: Some("kai"), ..CARD },
    Card { number: "+493023125009", owes: 1, client_type: "marketer", ..CARD },
    Card {
        number: "+493023125010",
        limit: Some(0),
        client_type: "regional",
        region: Some("North"),
        ..CARD
    },
    Card { number: "+493023125011", ..CARD },
    Card { number: "+493023125012", ordered: false, region: Some("North"), ..CARD },
    Card { number: "+493023125013", ordered: false, by_operators: true, ..CARD },
    Card { number: "+493023125014", ordered: false, manager: Some("gone.long.ago"), ..CARD },
];

pub fn clients(at: Timestamp) -> Vec<Arc<Client>> {
    let made = |(n, card): (usize, &Card)| {
        Arc::new(Client {
            id: ClientId(n as i64 + 1),
            name: format!("Client {n}").into(),
            numbers: vec![Number::from_e164(card.number).expect("a number")],
            client_type: ClientType::new(card.client_type),
            vip: card.vip,
            vip_pending: false,
            manager: card.manager.map(Into::into),
            department: Some("wholesale".into()),
            region: card.region.map(Into::into),
            balance: Money(card.owes),
            credit_limit: card.limit.map(Money),
            overdue: Money(card.owes),
            overdue_since: None,
            last_order: card.ordered.then(|| "2025-12-01".parse().expect("a day")),
            served_by_operators: card.by_operators,
            notes: "".into(),
            as_of: at,
        })
    };
    CARDS.iter().enumerate().map(made).collect()
}

/// A caller's number as a trunk may write it.
pub fn number(rng: &mut Rng) -> String {
    if rng.chance(20) {
        return (*rng.one(&STRANGERS)).to_owned();
    }
    let number = rng.one(&CARDS).number;
    match rng.below(3) {
        0 => number.to_owned(),
        1 => format!("00{}", &number[1..]),
        _ => format!("0{}", &number[3..]),
    }
}
