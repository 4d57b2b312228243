//! What one decision costs: the shipped policy, a key client whose manager is away, 13 and 500 people.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use telefonist::domain::{
    Absence, AbsenceKind, Client, ClientId, ClientType, Department, Directory, DirectoryLimits,
    DirectoryRows, Money, Number, NumberFormat, Person, Role, TrunkId, Vip,
};
use telefonist::policy::{Facts, IndexState, Names, Policy, Presence, Sources, calendars, decide};

const POLICY: &str = include_str!("../config/policy.toml");
const CALENDARS: &str = include_str!("../config/calendars.toml");

fn person(id: String, role: &str, department: &str) -> Person {
    Person {
        id: id.as_str().into(),
        name: id.as_str().into(),
        roles: BTreeSet::from([Role::new(role)]),
        levels: Default::default(),
        department: Some(department.into()),
        sip_user: Some(id.as_str().into()),
        supervisor: None,
        credentials: None,
        email: None,
    }
}

/// Heads of every department, and `count` people for each role that the policy names.
fn directory(count: usize) -> Directory {
    let departments =
        ["wholesale", "market", "retail", "regional", "sales_support", "client_service", "finance"];
    let mut people: Vec<Person> =
        departments.iter().map(|d| person(format!("head.{d}"), "head", d)).collect();
    for (role, department) in [
        ("key_account_manager", "wholesale"),
        ("operator", "sales_support"),
        ("shift_leader", "sales_support"),
        ("manager", "market"),
        ("vip_manager", "client_service"),
        ("finance", "finance"),
    ] {
        people.extend((0..count).map(|n| person(format!("{role}.{n}"), role, department)));
    }
    let departments = departments.map(|id| Department {
        id: id.into(),
        name: id.into(),
        head: Some(format!("head.{id}").as_str().into()),
        deputy_head: None,
        calendar: "office".into(),
        regions: BTreeSet::new(),
    });
    let absence = Absence {
        id: 1,
        person: "key_account_manager.0".into(),
        kind: AbsenceKind::Leave,
        from: "2026-03-02".parse().expect("a day"),
        to: "2026-03-06".parse().expect("a day"),
        deputy: Some("key_account_manager.1".into()),
        by: "bench".into(),
    };
    let rows = DirectoryRows {
        people,
        departments: departments.to_vec(),
        absences: vec![absence],
        calendars: calendars("calendars.toml", CALENDARS).unwrap_or_else(|_| BTreeMap::new()),
        unread: Vec::new(),
    };
    let limits = DirectoryLimits { agents_max: 8_192, groups_max: 64 };
    Directory::build(None, rows, limits).expect("a good directory")
}

fn facts() -> Facts {
    let client = Client {
        id: ClientId(1),
        name: "ACME".into(),
        numbers: Vec::new(),
        client_type: ClientType::new("key"),
        vip: Vip::None,
        vip_pending: false,
        manager: Some("key_account_manager.0".into()),
        department: Some("wholesale".into()),
        region: Some("Centre".into()),
        balance: Money(1_000_000),
        credit_limit: Some(Money(2_000_000)),
        overdue: Money(34_000),
        overdue_since: Some("2026-02-20".parse().expect("a day")),
        last_order: Some("2026-02-28".parse().expect("a day")),
        served_by_operators: false,
        notes: "".into(),
        as_of: "2026-03-04T09:59:30Z".parse().expect("an instant"),
    };
    Facts {
        at: "2026-03-04T10:00:00Z".parse().expect("an instant"),
        trunk: Some(TrunkId::new("pbx")),
        from_raw: "+442079460001".into(),
        from: Number::from_e164("+442079460001"),
        to_raw: "+493023125900".into(),
        to: Number::from_e164("+493023125900"),
        client: Some(Arc::new(client)),
        others: Vec::new(),
        index: IndexState::Fresh,
    }
}

fn bench(c: &mut Criterion) {
    let names = Names {
        trunks: vec![(TrunkId::new("pbx"), Duration::from_secs(110))],
        numbers: NumberFormat::of("DE"),
    };
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    let facts = facts();
    for count in [3, 100] {
        let directory = directory(count);
        let policy = Policy::compile(&sources, &directory, &names).expect("a good policy");
        c.bench_function(&format!("decide, a key client, groups of {count}"), |b| {
            b.iter(|| {
                let presence = |_| Presence::Free;
                decide(black_box(&policy), &directory, black_box(&facts), &presence)
            });
        });
    }
    let directory = directory(3);
    c.bench_function("compile the shipped policy", |b| {
        b.iter(|| Policy::compile(black_box(&sources), &directory, &names));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
