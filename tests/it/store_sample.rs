//! The sample company in `config/`: exactly what the documentation says, on whatever day it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use telefonist::domain::{Client, Debt, Directory, DirectoryLimits, NumberFormat, PersonId, Vip};
use telefonist::store::import::{ImportReport, import_folder};

use crate::store_scene::Scene;

struct Sample {
    scene: Scene,
    reports: Vec<ImportReport>,
    clients: Vec<Client>,
}

fn sample() -> Sample {
    let scene = Scene::new();
    let numbers = NumberFormat::of("DE");
    let mut db = scene.db();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let reports = import_folder(&mut db, &folder, scene.options(&numbers), &mut |_| {});
    let reports = reports.expect("the sample is good");
    let mut clients = Vec::new();
    db.for_each_client(&numbers, |client| clients.push(client)).expect("read");
    Sample { scene, reports, clients }
}

fn count(sample: &Sample, fits: impl Fn(&Client) -> bool) -> usize {
    sample.clients.iter().filter(|c| fits(c)).count()
}

#[test]
fn every_row_is_good_and_every_name_is_known() {
    let sample = sample();
    let kinds: Vec<_> = sample.reports.iter().map(|r| (r.kind.as_str(), r.added)).collect();
    let expected = [("people", 19), ("departments", 7), ("absences", 4), ("clients", 200)];
    assert_eq!(kinds, expected);
    for report in &sample.reports {
        assert!(report.written && report.bad.is_empty(), "{report:?}");
        assert_eq!(report.notes, [""; 0]);
    }
    let shared = &sample.reports[3].shared_numbers;
    assert_eq!(shared.len(), 1, "one number at two clients: {shared:?}");
    assert!(shared[0].contains("Café Green Door, Wine bar Am Wasserturm"), "{shared:?}");
}

#[test]
fn types_and_vip_levels_are_as_many_as_documented() {
    let sample = sample();
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for client in &sample.clients {
        *types.entry(client.client_type.as_str()).or_default() += 1;
    }
    let expected = [
        ("key", 10),
        ("marketer", 45),
        ("other", 22),
        ("own_outlet", 3),
        ("prospect", 20),
        ("regional", 30),
        ("retail", 70),
    ];
    assert_eq!(types.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(count(&sample, |c| c.vip == Vip::Local), 4);
    assert_eq!(count(&sample, |c| c.vip == Vip::Branch), 2);
    assert_eq!(count(&sample, |c| c.vip_pending && c.vip == Vip::None), 1);
    let key_and_vip = |c: &Client| c.client_type.as_str() == "key" && c.vip != Vip::None;
    assert_eq!(count(&sample, key_and_vip), 1);
    assert!(count(&sample, |c| c.numbers.len() > 1) >= 40, "several numbers per client");
}

#[test]
fn debtors_cover_every_edge_of_clause_a4() {
    let sample = sample();
    let today = sample.scene.today();
    let debt = |c: &Client| c.debt(today, 0);
    let debtors: Vec<_> = sample.clients.iter().filter(|c| debt(c) != Debt::Clear).collect();
    assert_eq!(debtors.len(), 16);
    assert_eq!(debtors.iter().filter(|c| c.client_type.as_str() == "key").count(), 2);
    assert_eq!(debtors.iter().filter(|c| c.manager.is_none()).count(), 2);
    let mut days = BTreeSet::new();
    let mut over = BTreeSet::new();
    for client in &debtors {
        match debt(client) {
            Debt::Overdue { days: n, .. } => days.insert(n),
            Debt::OverLimit { amount } => over.insert(amount.0),
            Debt::Clear => false,
        };
    }
    assert_eq!((days.first(), days.last()), (Some(&1), Some(&90)));
    assert_eq!(over.first(), Some(&1), "above the limit by the smallest amount");
    assert!(over.last() > Some(&1_000_000), "and by much");
    let at_limit = |c: &Client| c.credit_limit == Some(c.balance) && c.balance.0 > 0;
    assert_eq!(count(&sample, at_limit), 2);
    assert_eq!(count(&sample, |c| at_limit(c) && debt(c) != Debt::Clear), 0);
}

#[test]
fn every_special_client_is_there() {
    let sample = sample();
    let left = PersonId::new("gregor.thal");
    assert_eq!(count(&sample, |c| c.manager.as_ref() == Some(&left)), 2, "a manager who left");
    let served = |c: &Client| {
        c.client_type.as_str() == "retail" && c.manager.is_none() && c.last_order.is_some()
    };
    assert!(count(&sample, served) > 50, "retail with orders and no manager");
    let imported = |c: &Client| c.manager.is_some() && c.last_order.is_none();
    assert_eq!(count(&sample, imported), 1, "a manager, never called");
    let neither = |c: &Client| c.is_new() && c.client_type.as_str() != "prospect";
    assert_eq!(count(&sample, neither), 1, "neither manager nor order");
    let prospects = |c: &Client| c.client_type.as_str() == "prospect" && c.is_new();
    assert_eq!(count(&sample, prospects), 17);
    assert_eq!(count(&sample, |c| c.served_by_operators), 4);
}

#[test]
fn only_numbers_kept_free_for_fiction_are_used() {
    let fiction = ["+442079460", "+121255501", "+493023125", "+3319900", "+468465004"];
    for client in sample().clients {
        for number in &client.numbers {
            let free = fiction.iter().any(|range| number.as_str().starts_with(range));
            assert!(free, "{number} of {}", client.name);
        }
    }
}

#[test]
fn the_people_make_every_chain_of_absences() {
    let sample = sample();
    let mut watched = sample.scene.follower();
    watched.poll(sample.scene.now);
    let rows = watched.directory();
    assert_eq!(rows.people.len(), 18, "who has left is not there");
    assert!(rows.people.iter().all(|p| p.sip_user.is_some() && p.credentials.is_some()));
    let limits = DirectoryLimits { agents_max: 100, groups_max: 64 };
    let directory = Directory::build(None, rows, limits).expect("a directory");
    for role in [
        "operator",
        "shift_leader",
        "manager",
        "key_account_manager",
        "vip_manager",
        "finance",
        "head",
        "director",
    ] {
        assert!(directory.group(&role.into()).is_some(), "nobody is {role}");
    }
    let chain = |who: &str| -> Vec<String> {
        let agents = directory.deputies(&who.into(), sample.scene.now);
        let names = agents.iter().filter_map(|a| directory.person(*a));
        names.map(|p| p.id.to_string()).collect()
    };
    assert_eq!(chain("boris.falk"), ["clara.voss", "anna.berg"], "on leave, the deputy is sick");
    assert_eq!(chain("rosa.keller"), ["ivo.marek"], "a head, the deputy of another department");
    assert_eq!(chain("gerd.pohl"), [""; 0], "a shift without a head");
    assert_eq!(directory.departments().filter(|d| d.head.is_some()).count(), 7);
}
