//! The shipped policy and the shipped sample company fit together.

use std::path::Path;

use telefonist::domain::{Directory, DirectoryLimits, NumberFormat};
use telefonist::policy::{Policy, Sources, calendars};
use telefonist::store::import::import_folder;

use crate::policy_cases::office::{CALENDARS, POLICY, names};
use crate::store_scene::Scene;

#[test]
fn the_shipped_policy_fits_the_sample_company() {
    let scene = Scene::new();
    let numbers = NumberFormat::of("DE");
    let mut db = scene.db();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    import_folder(&mut db, &folder, scene.options(&numbers), &mut |_| {}).expect("a good sample");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let mut rows = watched.directory();
    rows.calendars = calendars("calendars.toml", CALENDARS).expect("good calendars");
    let limits = DirectoryLimits { agents_max: 100, groups_max: 64 };
    let directory = Directory::build(None, rows, limits).expect("a directory");
    let sources =
        Sources { policy: ("policy.toml", POLICY), calendars: ("calendars.toml", CALENDARS) };
    let policy = Policy::compile(&sources, &directory, &names()).expect("a good policy");
    assert_eq!(policy.warnings, [], "not even a warning");

    let known = &policy.settings().client_types;
    db.for_each_client(&numbers, |client| {
        assert!(known.contains(&client.client_type), "{:?}", client.client_type);
    })
    .expect("read");
}
