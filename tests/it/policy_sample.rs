//! The shipped policy and the shipped sample company fit together.

use std::path::Path;
use std::sync::Arc;

use telefonist::domain::{
    AgentId, Client, Directory, DirectoryLimits, DirectoryRows, NumberFormat, Person,
};
use telefonist::policy::{Facts, Grounds, IndexState, Policy, Presence, Sources, calendars};
use telefonist::store::import::import_folder;

use crate::policy_cases::office::{CALENDARS, POLICY, names};
use crate::store_scene::Scene;

fn compile(directory: &Directory) -> Policy {
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    Policy::compile(&sources, directory, &names()).expect("a good policy")
}

fn sample(scene: &Scene) -> (Directory, Vec<Client>) {
    let numbers = NumberFormat::of("DE");
    let mut db = scene.db();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    import_folder(&mut db, &folder, scene.options(&numbers), &mut |_| {}).expect("a good sample");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let mut rows = watched.directory();
    rows.calendars = calendars("calendars.toml", CALENDARS).expect("good calendars");
    let limits = DirectoryLimits { agents_max: 100, groups_max: 64 };
    // Somebody who came first and left: places are not what a fresh start would give.
    let leaver = Person {
        id: "aaron.left".into(),
        name: "Aaron Left".into(),
        roles: Default::default(),
        levels: Default::default(),
        department: None,
        sip_user: None,
        supervisor: None,
        credentials: None,
        email: None,
    };
    let before = DirectoryRows { people: vec![leaver], ..DirectoryRows::default() };
    let before = Directory::build(None, before, limits).expect("one person");
    let directory = Directory::build(Some(&before), rows, limits).expect("a directory");
    let mut clients = Vec::new();
    db.for_each_client(&numbers, |client| clients.push(client)).expect("read");
    (directory, clients)
}

#[test]
fn the_shipped_policy_fits_the_sample_company() {
    let (directory, clients) = sample(&Scene::new());
    let policy = compile(&directory);
    assert_eq!(policy.warnings, [], "not even a warning");
    let known = &policy.settings().client_types;
    for client in clients {
        assert!(known.contains(&client.client_type), "{:?}", client.client_type);
    }
}

/// D1: what the journal keeps of a call is enough to decide the same again, to the last word.
#[test]
fn every_decision_about_the_sample_company_can_be_replayed_from_what_is_kept() {
    let scene = Scene::new();
    let (directory, clients) = sample(&scene);
    let policy = compile(&directory);
    let kept = serde_json::to_string(&directory.record()).expect("JSON");
    assert!(!kept.contains("ha1") && !kept.contains('@'), "neither passwords nor addresses");
    let record = serde_json::from_str(&kept).expect("a record");
    let calendars = calendars("calendars.toml", CALENDARS).expect("good calendars");
    let again = Directory::replay(&record, calendars).expect("a directory");
    assert_eq!(again.hash(), directory.hash());
    let later = compile(&again);
    assert_eq!(later.hash(), policy.hash());
    let mut endings = std::collections::BTreeSet::new();
    for (i, client) in clients.into_iter().map(Arc::new).enumerate() {
        for hours in [0_i64, 5, 13, 61, 24 * 11] {
            let facts = Facts {
                at: scene.now + jiff::SignedDuration::from_hours(hours + i as i64 % 7),
                trunk: Some("pbx".into()),
                from_raw: "raw".into(),
                from: client.numbers.first().cloned(),
                to_raw: "100".into(),
                to: None,
                client: (i % 9 != 0).then(|| client.clone()),
                others: if i % 5 == 0 { vec![client.clone()] } else { vec![] },
                index: match i % 11 {
                    0 => IndexState::Unavailable { why: "no answer in time".into() },
                    1 => IndexState::Stale { since: scene.now },
                    _ => IndexState::Fresh,
                },
            };
            let presence = |agent: AgentId| match (agent.index() * 7 + i) % 4 {
                0 => Presence::Gone { why: "logged out".into() },
                1 => Presence::Busy { why: "on a call".into() },
                _ => Presence::Free,
            };
            let (decision, grounds) = Grounds::decide(&policy, &directory, facts, &presence);
            let line = serde_json::to_string(&grounds).expect("JSON");
            let read: Grounds = serde_json::from_str(&line).expect("grounds");
            assert_eq!(read.replay(&later, &again), decision);
            assert_eq!(&*grounds.directory, &**directory.hash());
            endings.insert(format!("{} {}", decision.clause, !decision.plan.steps.is_empty()));
        }
    }
    assert!(endings.len() > 6, "many kinds of decisions: {endings:?}");
}
