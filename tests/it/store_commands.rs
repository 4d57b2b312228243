//! Commands on clients, people and absences: what they change, refuse, and write down.

use telefonist::domain::{AbsenceKind, ClientId, ClientType, NumberFormat, PersonId};
use telefonist::store::import::{ImportKind, ImportOptions, import};
use telefonist::store::{ClientsDb, NewAbsence, NewClient, StoreError, WhichAbsence, credentials};

use crate::store_scene::{REALM, Scene, e164};

fn scene() -> Scene {
    let scene = Scene::new();
    let people = "id,name,sip_user,left_on\nanna.berg,Anna,112,\nboris.falk,Boris,113,\n\
                  clara.voss,Clara,,\ngregor.thal,Gregor,,today-40\n";
    assert!(scene.import(ImportKind::People, people).expect("people").written);
    scene
}

fn retail(name: &str) -> NewClient {
    NewClient {
        code: None,
        name: name.into(),
        client_type: ClientType::new("retail"),
        numbers: vec![e164("+493023125001")],
        manager: None,
        department: None,
        region: None,
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn audit(db: &ClientsDb) -> Vec<String> {
    let rows = db.audit(100).expect("audit");
    rows.iter().rev().map(|row| format!("{} {}: {}", row.by, row.what, row.detail)).collect()
}

#[test]
fn the_head_assigns_a_manager_and_the_next_call_knows_it() {
    let scene = scene();
    let mut db = scene.db();
    let id = db.add_client(scene.actor(), &retail("Café Lindenhof")).expect("added");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let client = |w: &crate::store_scene::Watched| w.index.client(id).expect("there");
    assert!(client(&watched).is_new());
    db.assign(scene.actor(), id, Some(&PersonId::new("anna.berg"))).expect("assigned");
    watched.poll(scene.now);
    assert_eq!(client(&watched).manager, Some(PersonId::new("anna.berg")));
    db.assign(scene.actor(), id, None).expect("taken away");
    db.serve_by_operators(scene.actor(), id, true).expect("marked");
    watched.poll(scene.now);
    assert!(!client(&watched).is_new(), "clause A3: served by operators");
    let lines = audit(&db);
    let id = id.0;
    let expected = [
        format!("test client: {id} added: Café Lindenhof"),
        format!("test client: {id} assigned to anna.berg"),
        format!("test client: {id} assigned to nobody"),
        format!("test client: {id} served by operators"),
    ];
    assert_eq!(lines[1..], expected);
}

#[test]
fn what_cannot_be_is_refused_with_the_nearest_name() {
    let scene = scene();
    let mut db = scene.db();
    let id = db.add_client(scene.actor(), &retail("Café")).expect("added");
    let assign = |db: &mut ClientsDb, id, who: &str| {
        refusal(db.assign(scene.actor(), id, Some(&PersonId::new(who))))
    };
    let why = assign(&mut db, id, "ana.berg");
    assert_eq!(why, "there is no person 'ana.berg'; did you mean 'anna.berg'?");
    assert!(assign(&mut db, id, "gregor.thal").contains("left on 2026-01-21"));
    assert_eq!(assign(&mut db, ClientId(99), "anna.berg"), "there is no client 99");
    let mut bad = retail("  ");
    assert!(refusal(db.add_client(scene.actor(), &bad)).contains("needs a name"));
    bad = retail("x");
    bad.client_type = ClientType::new("Very Key");
    assert!(refusal(db.add_client(scene.actor(), &bad)).contains("no client type"));
    let before = audit(&db).len();
    assert!(db.assign(scene.actor(), ClientId(99), None).is_err());
    assert_eq!(audit(&db).len(), before, "what was not done is not in the record");
}

#[test]
fn a_number_is_attached_shared_and_taken_off_again() {
    let scene = scene();
    let mut db = scene.db();
    let first = db.add_client(scene.actor(), &retail("First")).expect("added");
    let second = db.add_client(scene.actor(), &retail("Second")).expect("added");
    let number = e164("+442079460001");
    assert_eq!(db.attach(scene.actor(), first, &number).expect("attached"), []);
    assert_eq!(db.attach(scene.actor(), second, &number).expect("attached"), [first]);
    let shared = db.shared_numbers().expect("read");
    let lines: Vec<_> = shared.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["+442079460001: First, Second", "+493023125001: First, Second"]);
    db.detach(scene.actor(), second, &number).expect("detached");
    assert!(refusal(db.detach(scene.actor(), second, &number)).contains("does not have"));
    assert_eq!(db.shared_numbers().expect("read").len(), 1);
}

#[test]
fn clients_are_found_by_row_code_number_and_part_of_the_name() {
    let scene = scene();
    let mut db = scene.db();
    let format = NumberFormat::of("DE");
    let mut new = retail("Ромашка Трейд");
    new.code = Some("K7".into());
    let id = db.add_client(scene.actor(), &new).expect("added");
    db.add_client(scene.actor(), &retail("Романтика")).expect("added");
    let code = id.0.to_string();
    for text in [code.as_str(), "K7", "ромашка"] {
        let found = db.one_client(text, &format).expect(text);
        assert_eq!((found.client.id, found.code.as_deref()), (id, Some("K7")), "{text}");
    }
    assert_eq!(db.find_clients("030 23125-001", &format, 10).expect("both").len(), 2);
    let why = refusal(db.one_client("рома", &format));
    assert!(why.contains("several clients: 1 Ромашка Трейд, 2 Романтика"), "{why}");
    assert!(refusal(db.one_client("nobody", &format)).contains("no client"));
    assert!(refusal(db.add_client(scene.actor(), &new)).contains("has the code 'K7' already"));
}

#[test]
fn an_absence_is_entered_seen_and_ended() {
    let scene = scene();
    let mut db = scene.db();
    let day = |d: i8| jiff::civil::Date::constant(2026, 3, d);
    let new = |from: i8, to: i8, deputy: &str| NewAbsence {
        person: PersonId::new("anna.berg"),
        kind: AbsenceKind::Leave,
        from: day(from),
        to: day(to),
        deputy: Some(PersonId::new(deputy)),
    };
    let added = db.add_absence(scene.actor(), &new(2, 10, "boris.falk")).expect("added");
    assert_eq!(&*added.by, "test");
    assert!(refusal(db.add_absence(scene.actor(), &new(10, 12, "clara.voss"))).contains("already"));
    assert!(refusal(db.add_absence(scene.actor(), &new(12, 11, "clara.voss"))).contains("before"));
    assert!(
        refusal(db.add_absence(scene.actor(), &new(12, 13, "anna.berg"))).contains("own deputy")
    );
    assert!(
        refusal(db.add_absence(scene.actor(), &new(12, 13, "carla.voss"))).contains("clara.voss")
    );
    let later = db.add_absence(scene.actor(), &new(20, 21, "clara.voss")).expect("added");

    let of_anna = WhichAbsence::Of(PersonId::new("anna.berg"));
    db.end_absence(scene.actor(), &of_anna, day(4)).expect("she is back on the 5th");
    let days: Vec<_> = db.absences(None).expect("all").iter().map(|a| a.to.day()).collect();
    assert_eq!(days, [4, 21]);
    db.end_absence(scene.actor(), &WhichAbsence::Id(later.id), day(5)).expect("called off");
    assert_eq!(db.absences(None).expect("all").len(), 1);
    assert!(refusal(db.end_absence(scene.actor(), &of_anna, day(4))).contains("no absence"));
    assert_eq!(db.absences(Some(day(5))).expect("none").len(), 0);
    let rows = db.directory_rows(REALM, day(5)).expect("rows");
    assert_eq!(rows.absences.len(), 1, "kept a day longer, for zones behind UTC");
}

#[test]
fn c1_nobody_stands_in_who_has_left_before_the_absence_is_over() {
    let scene = scene();
    let mut db = scene.db();
    let crm = scene.foreign();
    let leaves = "UPDATE people SET left_on = '2026-03-10' WHERE id = 'boris.falk'";
    crm.execute(leaves, []).expect("written");
    let day = |d: i8| jiff::civil::Date::constant(2026, 3, d);
    let new = |person: &str, from: i8, to: i8, deputy: Option<&str>| NewAbsence {
        person: PersonId::new(person),
        kind: AbsenceKind::Leave,
        from: day(from),
        to: day(to),
        deputy: deputy.map(PersonId::new),
    };
    let mut add = |new| db.add_absence(scene.actor(), &new);
    let why = "the deputy boris.falk left on 2026-03-10: name somebody who is there (C1)";
    for last in [10, 12] {
        let refused = refusal(add(new("anna.berg", 5, last, Some("boris.falk"))));
        assert_eq!(refused, why, "to the {last}th");
    }
    assert_eq!(refusal(add(new("boris.falk", 10, 12, None))), "boris.falk left on 2026-03-10");
    add(new("anna.berg", 5, 9, Some("boris.falk"))).expect("still there");
    add(new("boris.falk", 9, 12, None)).expect("the last day");
    let numbers = NumberFormat::of("DE");
    let rows = "person,kind,from,to,deputy\nclara.voss,leave,2026-03-10,2026-03-12,boris.falk\n";
    let options = ImportOptions { skip_bad: true, ..scene.options(&numbers) };
    let file = scene.folder.path().join("absences.csv");
    std::fs::write(&file, rows).expect("written");
    let report = import(&mut db, ImportKind::Absences, &file, options, &mut |_| {}).expect("read");
    let bad: Vec<_> = report.bad.iter().map(|row| (row.line, row.reason.as_str())).collect();
    assert_eq!(bad, [(2, why)]);
}

#[test]
fn a_password_is_kept_as_ha1_only_and_only_for_its_realm_and_user() {
    let scene = scene();
    let mut db = scene.db();
    let anna = PersonId::new("anna.berg");
    db.set_password(scene.actor(), &anna, REALM, "open sesame").expect("set");
    let kept = |db: &ClientsDb, realm: &str| {
        let rows = db.directory_rows(realm, scene.today()).expect("rows");
        rows.people.iter().find(|p| p.id == anna).expect("anna").credentials.clone()
    };
    assert_eq!(kept(&db, REALM), Some(credentials("112", REALM, "open sesame")));
    assert_eq!(kept(&db, "another.example"), None);
    let clara = PersonId::new("clara.voss");
    assert!(refusal(db.set_password(scene.actor(), &clara, REALM, "x")).contains("no SIP user"));
    assert!(refusal(db.set_password(scene.actor(), &anna, REALM, "")).contains("empty"));
    scene
        .foreign()
        .execute("UPDATE people SET sip_user = '999' WHERE id = 'anna.berg'", [])
        .expect("another extension");
    assert_eq!(kept(&db, REALM), None, "HA1 of another user says nothing");

    drop(db);
    let everything = std::fs::read(scene.file()).expect("read");
    let text = String::from_utf8_lossy(&everything);
    assert!(!text.contains("open sesame"), "the password is nowhere in the file");
}

#[test]
fn a_backup_is_whole_while_another_program_writes() {
    let scene = scene();
    let mut db = scene.db();
    db.add_client(scene.actor(), &retail("Café")).expect("added");
    let crm = scene.foreign();
    crm.execute_batch("BEGIN; UPDATE clients SET name = 'half done'").expect("open transaction");
    let copy = scene.folder.path().join("backup.db");
    std::fs::write(&copy, "an older backup").expect("written");
    db.backup_to(&copy).expect("copied");
    let copied = ClientsDb::open(&copy).expect("a database");
    let format = NumberFormat::of("DE");
    assert_eq!(copied.find_clients("caf", &format, 9).expect("found").len(), 1);
    assert_eq!(copied.client_count().expect("count"), 1);
    let nowhere = scene.folder.path().join("no/such/folder.db");
    assert!(db.backup_to(&nowhere).is_err());
    assert!(!scene.folder.path().join("backup.part").exists());
}
