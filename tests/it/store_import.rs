//! Files of other programs: what is read, what is refused and how it is said.

use telefonist::domain::NumberFormat;
use telefonist::store::StoreError;
use telefonist::store::import::{ImportKind, import};

use crate::store_scene::{REALM, Scene, e164};
use crate::xlsx;

const CLIENTS: &str = "code,name,type,numbers,balance\n\
                       A1,Anna,retail,030 23125-001,\"1 234,56\"\n\
                       A2,Bea,Own outlet,+44 20 7946 0001; +44 20 7946 0002,\n";

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn more_roles_than_a_person_can_serve_are_refused_whichever_column_comes_later() {
    let scene = Scene::new();
    let nine = "a b c d e f g h i";
    let text = format!("id;name;roles;department\nx;X;{nine};\ny;Y;{nine};d\n");
    let report = scene.import(ImportKind::People, &text).expect("a report");
    assert_eq!(report.bad.len(), 1, "{report:?}");
    assert!(report.bad[0].reason.starts_with("9 roles make 18 groups"), "{report:?}");
    scene.import(ImportKind::People, format!("id;name;roles\nx;X;{nine}\n")).expect("a report");
    let report = scene.import(ImportKind::People, "id;department\nx;d\n").expect("a report");
    assert!(report.bad[0].reason.contains("16 are possible"), "{report:?}");
    scene.import(ImportKind::People, "id;name;department\nz;Z;d\n").expect("a report");
    let report =
        scene.import(ImportKind::People, format!("id;roles\nz;{nine}\n")).expect("a report");
    assert!(report.bad[0].reason.contains("16 are possible"), "{report:?}");
}

#[test]
fn the_same_rows_come_out_of_every_separator_encoding_and_spreadsheet() {
    let semicolons = "sep=;\r\ncode;name;type;numbers;balance\r\nA1;Anna;retail;030 23125-001;1.234,56\r\n\
                      A2;Bea;own_outlet;\"+44 20 7946 0001; +44 20 7946 0002\";\r\n";
    let tabs = CLIENTS.replace('"', "").replace("1 234,56", "1234.56").replace(',', "\t");
    let aliases = "\u{feff}Customer Number,COMPANY,Client-Type,Phone 1,phone_2,Saldo\n\
                   A1,Anna,retail,0049 30 23125001,,1234.56\n\
                   A2,Bea,OWN OUTLET,+442079460001,+442079460002,\n\n";
    let utf16: Vec<u8> =
        format!("\u{feff}{CLIENTS}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let sheet = xlsx::workbook(&[
        &["Code", "Name", "Type", "Numbers", "Balance"],
        &["A1", "Anna", "retail", "030 23125-001", "=1234.56"],
        &["A2", "Bea", "own outlet", "+442079460001;+442079460002", ""],
    ]);
    let files: [&[u8]; 6] = [
        CLIENTS.as_bytes(),
        semicolons.as_bytes(),
        tabs.as_bytes(),
        aliases.as_bytes(),
        &utf16,
        &sheet,
    ];
    for (i, bytes) in files.into_iter().enumerate() {
        let scene = Scene::new();
        let report =
            scene.import(ImportKind::Clients, bytes).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert_eq!((report.rows, report.added, report.bad.len()), (2, 2, 0), "{i}: {report:?}");
        let mut watched = scene.follower();
        watched.poll(scene.now);
        let anna = watched.index.lookup(&e164("+493023125001")).client.expect("Anna");
        assert_eq!((&*anna.name, anna.balance.0, anna.as_of), ("Anna", 123_456, scene.now), "{i}");
        let bea = watched.index.lookup(&e164("+442079460002")).client.expect("Bea");
        assert_eq!((bea.client_type.as_str(), bea.numbers.len()), ("own_outlet", 2), "{i}");
    }
}

#[test]
fn a_dry_run_lists_every_bad_row_with_its_line_and_changes_nothing() {
    let scene = Scene::new();
    let text = "name,type,numbers,vip,balance,credit_limit,overdue,overdue_since,last_order\n\
                Anna,retail,030 23125-001,,,,,,\n\
                Bea,retail,call her,gold,1.234,x,,,31.02.2026\n\
                \n\
                Cleo,,+442079460001,,,,,today-3,\n\
                Dora,retail,\n\
                Anna,retail,+442079460002,,,,,,\n\
                ,,,,5,,,,\n\
                Eva,retail,+442079460003,,,,,,,,9\n";
    let dry = |o: &mut telefonist::store::import::ImportOptions<'_>| o.dry_run = true;
    let report = scene.import_with(ImportKind::Clients, text, dry).expect("a report");
    let bad: Vec<_> = report.bad.iter().map(|b| format!("{}: {}", b.line, b.reason)).collect();
    let expected = [
        "3: vip: 'gold' is not none, local or branch; balance: '1.234' is no amount: thousands or a \
         fraction? write 1234 or 1234,00; credit_limit: 'x' is no amount; last_order: '31.02.2026' \
         is no day: write 2026-03-02, 02.03.2026 or today-12; 'call her' is no telephone number (DE)",
        "5: type: '' is no type such as key, marketer, own_outlet; overdue_since is set, but nothing \
         is overdue",
        "6: has 3 cells, the first line has 9",
        "7: name 'Anna' was in line 2 already",
        "8: neither code nor name; type: '' is no type such as key, marketer, own_outlet",
        "9: has 11 cells, the first line has 9",
    ];
    assert_eq!(bad, expected);
    assert_eq!((report.rows, report.added, report.written), (7, 1, false));
    assert_eq!(scene.db().client_count().expect("count"), 0);
    assert!(scene.db().audit(9).expect("audit").is_empty());
}

#[test]
fn lines_are_counted_as_an_editor_shows_them() {
    for end in ["\n", "\r\n"] {
        let scene = Scene::new();
        let lines = ["name,type", "A,retail", "", "B,", "\"C", "D\",", "", "", "E,"];
        let report = scene.import(ImportKind::Clients, lines.join(end)).expect("a report");
        let bad: Vec<_> = report.bad.iter().map(|b| b.line).collect();
        assert_eq!(bad, [4, 5, 9], "{end:?}");
    }
}

#[test]
fn one_bad_row_in_a_thousand_stops_the_file_unless_it_may_be_skipped() {
    let scene = Scene::new();
    let mut text = String::from("code;name;type;numbers\n");
    for i in 0..1_000 {
        let number = if i == 617 { "none".into() } else { format!("+44 20 7946 {:04}", i % 1_000) };
        text += &format!("C{i};Client {i};retail;{number}\n");
    }
    let report = scene.import(ImportKind::Clients, &text).expect("a report");
    assert_eq!((report.written, report.bad.len(), report.bad[0].line), (false, 1, 619));
    assert_eq!(scene.db().client_count().expect("count"), 0, "all or nothing");
    let report =
        scene.import_with(ImportKind::Clients, &text, |o| o.skip_bad = true).expect("a report");
    assert_eq!((report.written, report.added, report.bad.len()), (true, 999, 1));
    assert_eq!(scene.db().client_count().expect("count"), 999);
}

#[test]
fn a_second_import_updates_by_key_and_touches_only_its_columns() {
    let scene = Scene::new();
    scene.import(ImportKind::Clients, CLIENTS).expect("imported");
    let mut watched = scene.follower();
    watched.poll(scene.now);
    let read = watched.index.status(scene.now).rows_read;
    let report = scene.import(ImportKind::Clients, CLIENTS).expect("again");
    assert_eq!((report.added, report.changed), (0, 0), "as_of is the same instant");
    let balances = "Kundennummer;Saldo;overdue amount;Overdue since\nA2;99,5;9,50;today-12\n";
    let report = scene.import(ImportKind::Clients, balances).expect("balances");
    assert_eq!((report.added, report.changed), (0, 1));
    watched.poll(scene.now);
    let bea = watched.index.lookup(&e164("+442079460002")).client.expect("still hers");
    assert_eq!((&*bea.name, bea.balance.0, bea.overdue.0), ("Bea", 9_950, 950));
    assert_eq!(bea.overdue_since.map(|d| d.to_string()), Some("2026-02-18".into()));
    assert_eq!(watched.index.status(scene.now).rows_read, read + 1, "one row had changed");
    let renumbered = "code;numbers\nA2;+44 20 7946 0009\n";
    scene.import(ImportKind::Clients, renumbered).expect("numbers");
    watched.poll(scene.now);
    assert!(watched.names("+442079460001").is_empty());
    assert_eq!(watched.names("+442079460009"), ["Bea"]);
    let stranger = "code;balance\nZ9;5\n";
    let report = scene.import(ImportKind::Clients, stranger).expect("a report");
    let why = &report.bad[0].reason;
    assert_eq!(why, "code 'Z9' is new, and a new client needs name and type");
}

#[test]
fn a_file_says_of_which_day_its_balances_are() {
    let scene = Scene::new();
    for balance in ["10", "20"] {
        let text = format!(
            "code;name;type;numbers;balance;as of\nA1;Anna;key;030 23125-001;{balance};today-2\n"
        );
        scene.import(ImportKind::Clients, text).expect("imported");
        let mut watched = scene.follower();
        watched.poll(scene.now);
        let anna = watched.index.lookup(&e164("+493023125001")).client.expect("Anna");
        assert_eq!(anna.as_of.to_string(), "2026-02-28T00:00:00Z", "balance {balance}");
    }
}

#[test]
fn cp1251_is_read_and_noted_and_other_tables_are_refused() {
    let scene = Scene::new();
    let text = "Название;Тип клиента;Телефон\nООО Ромашка и партнёры;retail;+44 20 7946 0001\n\
                Магазин «Продукты» на Невском;retail;+44 20 7946 0002\n";
    let bytes = encoding_rs::WINDOWS_1251.encode(text).0.into_owned();
    let report = scene.import(ImportKind::Clients, bytes).expect("imported");
    assert!(report.notes[0].contains("cp1251"), "{:?}", report.notes);
    let mut watched = scene.follower();
    watched.poll(scene.now);
    assert_eq!(watched.names("+442079460001"), ["ООО Ромашка и партнёры"]);

    let latin = "name;type;numbers\nMüller Söhne;retail;+44 20 7946 0003\nBäcker Weiß;retail;\n";
    let bytes = encoding_rs::WINDOWS_1252.encode(latin).0.into_owned();
    let why = refusal(scene.import(ImportKind::Clients, bytes));
    assert!(why.contains("not UTF-8 (line 2)") && why.contains("save it as UTF-8"), "{why}");
}

#[test]
fn wrong_columns_are_named_with_what_was_probably_meant() {
    let scene = Scene::new();
    let text = "code;nmae;type;balnace;balance;shoe size\nA1;x;retail;1;2;3\n";
    let why = refusal(scene.import(ImportKind::Clients, text));
    for part in [
        "column 2 'nmae' is not known; did you mean 'name'?",
        "column 4 'balnace' is not known; did you mean 'balance'?",
        "column 6 'shoe size' is not known. ",
        "A file of clients may have the columns code, name, type, numbers, vip",
    ] {
        assert!(why.contains(part), "{why}");
    }
    let text = "code;name;type;shoe size\nA1;x;retail;3\n";
    let report = scene.import_with(ImportKind::Clients, text, |o| o.skip_unknown_columns = true);
    let report = report.expect("left out");
    assert_eq!(report.notes, ["column 'shoe size' was left out"]);
    assert!(report.written);
    let why = refusal(scene.import(ImportKind::Clients, "name;type;client\na;b;c\n"));
    assert!(why.contains("column 'name' comes twice"), "{why}");
    assert!(
        refusal(scene.import(ImportKind::People, CLIENTS)).contains("A file of people may have")
    );
}

#[test]
fn what_is_no_table_is_refused_in_words() {
    let scene = Scene::new();
    let cases: [(&[u8], &str); 5] = [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "neither text nor a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel format"),
        (b"PK\x03\x04 and nothing more", "import.csv"),
        (b"<html><body>Not found</body></html>", "is not known"),
    ];
    for (bytes, part) in cases {
        let why = refusal(scene.import(ImportKind::Clients, bytes));
        assert!(why.contains(part), "{why}");
    }
    let numbers = NumberFormat::of("DE");
    let missing = scene.folder.path().join("missing.csv");
    let error = import(
        &mut scene.db(),
        ImportKind::Clients,
        &missing,
        scene.options(&numbers),
        &mut |_| {},
    );
    assert!(matches!(error, Err(StoreError::Io { .. })), "{error:?}");
    let open_quote = "name,type,numbers\nAnna,\"retail,030 23125-001\nBea,retail,\n";
    let report = scene.import(ImportKind::Clients, open_quote).expect("a report");
    assert!(!report.written && report.bad[0].line == 2, "{report:?}");
}

#[test]
fn a_number_at_two_clients_is_allowed_and_listed() {
    let scene = Scene::new();
    let text = "name,type,numbers\nAnna,retail,030 23125-001\nBea,retail,+49 30 23125001\n";
    let report = scene.import_with(ImportKind::Clients, text, |o| o.dry_run = true).expect("dry");
    assert_eq!(report.shared_numbers, ["+493023125001: line 2, line 3"]);
    let report = scene.import(ImportKind::Clients, text).expect("imported");
    assert_eq!(report.shared_numbers, ["+493023125001: Anna, Bea"]);
    let third = "name,type,numbers\nCleo,retail,030 23125-001\n";
    let report = scene.import_with(ImportKind::Clients, third, |o| o.dry_run = true).expect("dry");
    assert_eq!(report.shared_numbers, ["+493023125001: Anna, Bea, line 2"]);
}

#[test]
fn names_that_nobody_has_are_noted_once_with_their_first_line() {
    let scene = Scene::new();
    scene.import(ImportKind::People, "id,name\nanna.berg,Anna\n").expect("people");
    let text = "name,type,manager\nA,key,ana.berg\nB,key,ana.berg\nC,key,anna.berg\n";
    let report = scene.import(ImportKind::Clients, text).expect("imported");
    let expected =
        "line 2 and 1 more: manager: there is no person 'ana.berg'; did you mean 'anna.berg'?";
    assert_eq!(report.notes, [expected]);
    assert!(report.written, "whoever has left may still be somebody's manager");
}

#[test]
fn departments_and_types_that_there_are_none_of_are_noted_too() {
    let scene = Scene::new();
    let departments = "id,name,calendar\nmarket,Market,office\n";
    scene.import(ImportKind::Departments, departments).expect("departments");
    let first = "name,type,department\nA,retail,market\nB,key,\n";
    assert_eq!(scene.import(ImportKind::Clients, first).expect("imported").notes, [""; 0]);
    let text = "name,type,department\nC,Key,markte\nD,retial,market\nE,retial,market\n\
                F,zoo,overseas\n";
    let report = scene.import(ImportKind::Clients, text).expect("imported");
    assert_eq!((report.added, report.written), (4, true), "{report:?}");
    let mut notes = report.notes;
    notes.sort();
    let expected = [
        "line 2: department: there is no department 'markte'; did you mean 'market'?",
        "line 3 and 1 more: type: no client is of type 'retial' so far; did you mean 'retail'?",
        "line 5: department: there is no department 'overseas'",
        "line 5: type: no client is of type 'zoo' so far",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn people_come_with_roles_and_passwords_and_move_their_extensions() {
    let scene = Scene::new();
    let text = "id,name,roles,sip_user,supervisor,password\n\
                anna,Anna,\"manager; Operator\",101,boris,secret-a\n\
                boris,Boris,head,102,carl,\n";
    let report = scene.import(ImportKind::People, text).expect("imported");
    assert_eq!((report.added, report.notes.len()), (2, 1), "{report:?}");
    assert_eq!(report.notes[0], "line 3: supervisor: there is no person 'carl'");
    let rows = scene.db().directory_rows(REALM, scene.today()).expect("rows");
    let roles: Vec<_> = rows.people[0].roles.iter().map(|r| r.as_str()).collect();
    assert_eq!(roles, ["manager", "operator"]);
    assert!(rows.people[0].credentials.is_some() && rows.people[1].credentials.is_none());

    let taken = scene.import(ImportKind::People, "id,sip_user\nanna,102\n").expect("a report");
    assert!(taken.bad[0].reason.contains("sip_user '102' is boris's"), "{taken:?}");
    let moved = "id,sip_user\nboris,103\nanna,102\n";
    assert!(scene.import(ImportKind::People, moved).expect("moved").written);
    let rows = scene.db().directory_rows(REALM, scene.today()).expect("rows");
    assert_eq!(rows.people[0].sip_user.as_deref(), Some("102"));
    assert!(rows.people[0].credentials.is_none(), "the old password was for 101");

    let bad = "id,name,sip_user,email,left_on,password\n\
               a b,X,,,,\ncarl,,1 2,nobody,soon,\ndora,Dora,,,,secret\ndora,Dora,,,,\n";
    let report = scene.import(ImportKind::People, bad).expect("a report");
    let reasons: Vec<_> = report.bad.iter().map(|b| b.reason.as_str()).collect();
    assert!(reasons[0].starts_with("id: 'a b' is no short name"), "{reasons:?}");
    for part in ["sip_user: '1 2'", "email: 'nobody'", "left_on: 'soon'", "name is empty"] {
        assert!(reasons[1].contains(part), "{reasons:?}");
    }
    assert_eq!(reasons[2], "a password without a sip_user protects nothing");
    assert_eq!(reasons[3], "'dora' was in line 4 already");
}

#[test]
fn a_role_may_come_with_a_skill_level() {
    let scene = Scene::new();
    let levels = |scene: &Scene| -> Vec<(String, u8)> {
        let rows = scene.db().directory_rows(REALM, scene.today()).expect("rows");
        rows.people[0].levels.iter().map(|(role, level)| (role.to_string(), *level)).collect()
    };
    let text = "id,name,roles\nanna,Anna,Operator=3 manager\n";
    assert!(scene.import(ImportKind::People, text).expect("imported").written);
    assert_eq!(levels(&scene), [("operator".to_owned(), 3)]);
    scene.import(ImportKind::People, "id,roles\nanna,operator=5 manager=1\n").expect("imported");
    assert_eq!(levels(&scene), [("manager".to_owned(), 1), ("operator".to_owned(), 5)]);
    let again = scene.import(ImportKind::People, "id,roles\nanna,manager=1 operator=5\n");
    assert_eq!(again.expect("imported").changed, 0, "nothing is other than before");
    scene.import(ImportKind::People, "id,roles\nanna,operator\n").expect("imported");
    assert_eq!(levels(&scene), []);
    for bad in ["operator=0", "operator=101", "operator=x", "=3"] {
        let text = format!("id,roles\nanna,{bad}\n");
        let report = scene.import(ImportKind::People, &text).expect("a report");
        assert!(report.bad[0].reason.starts_with("roles: '"), "{report:?}");
    }
}

#[test]
fn departments_and_absences_are_keyed_and_checked() {
    let scene = Scene::new();
    scene.import(ImportKind::People, "id,name\nanna,Anna\nboris,Boris\n").expect("people");
    let departments = "id,name,head,calendar,regions\nmarket,Market,anna,office,North; South\n\
                       retail,Retail,zoe,office,\n";
    let report = scene.import(ImportKind::Departments, departments).expect("imported");
    assert_eq!((report.added, report.notes.len()), (2, 1), "{report:?}");
    let again = scene.import(ImportKind::Departments, departments).expect("again");
    assert_eq!((again.added, again.changed), (0, 0));
    let half = scene.import(ImportKind::Departments, "id,name\nnew,New\n").expect("a report");
    assert_eq!(half.bad[0].reason, "'new' is new, and needs name and calendar");

    let absences = "person,kind,from,to,deputy\nanna,Business trip,today-1,today+3,boris\n";
    let report = scene.import(ImportKind::Absences, absences).expect("imported");
    assert_eq!((report.added, report.changed), (1, 0));
    let longer = "person,kind,from,to,deputy\nanna,sickness,2026-03-01,10.03.2026,\n";
    let report = scene.import(ImportKind::Absences, longer).expect("changed");
    assert_eq!((report.added, report.changed), (0, 1));
    let kept = scene.db().absences(None).expect("absences");
    assert_eq!((kept.len(), kept[0].to.day(), kept[0].deputy.clone()), (1, 10, None));
    let bad = "person,kind,from,to,deputy\nanna,leave,today+2,today+4,\nzoe,leave,today,today,\n\
               boris,holiday,x,today,boris\nboris,leave,today+1,today,\nboris,leave,today,today,boris\n";
    let report = scene.import(ImportKind::Absences, bad).expect("a report");
    let reasons: Vec<_> = report.bad.iter().map(|b| b.reason.as_str()).collect();
    let parts = [
        "away on such a day already",
        "no person 'zoe'",
        "kind: 'holiday'",
        "before the first",
        "own deputy",
    ];
    for (reason, part) in reasons.iter().zip(parts) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(reasons.len(), parts.len());
}

#[test]
fn every_fault_of_a_row_is_told_at_once_and_rows_stay_in_order() {
    let scene = Scene::new();
    let people = "id,name,roles,department,sip_user,supervisor,password,email\n\
                  anna,Anna,operator,support,101,,x,\n\
                  anna,,operator=900,support,101,,x,nobody\n";
    let report = scene.import(ImportKind::People, people.as_bytes()).expect("a report");
    let told = &report.bad[0].reason;
    for fault in [
        "name is empty",
        "email: 'nobody' is no e-mail address",
        "roles: 'operator=900'",
        "'anna' was in line 2 already",
        "sip_user '101' was in line 2 already",
    ] {
        assert!(told.contains(fault), "{fault} in {told}");
    }
    let clients = "code,name,type,numbers,credit_limit,overdue,last_order,manager\n\
                   K1,Anna,retail,+493023125001,,,,zeno\n\
                   K1,,no type!,call her; or him,-5,-1,2999-01-01,\n\
                   K2,Bea,retail,,,,,anna\n";
    let report = scene.import(ImportKind::Clients, clients.as_bytes()).expect("a report");
    let told = &report.bad[0].reason;
    for fault in [
        "name is empty",
        "type: 'no type!'",
        "'call her' is no telephone number",
        "'or him' is no telephone number",
        "credit_limit: '-5' is negative",
        "overdue: '-1' is negative",
        "last_order: '2999-01-01' is yet to come",
        "code 'K1' was in line 2 already",
    ] {
        assert!(told.contains(fault), "{fault} in {told}");
    }
    let notes: Vec<_> = report.notes.iter().filter(|note| note.starts_with("line")).collect();
    assert!(notes.len() == 2 && notes[0].starts_with("line 2: manager: there is no person 'zeno'"));
    let absences = "person,kind,from,to,deputy\n\
                    zeno,holiday,2026-03-09,2026-03-02,zeno\n\
                    zeno,leave,tomorrow,2026-03-02,yan\n";
    let report = scene.import(ImportKind::Absences, absences.as_bytes()).expect("a report");
    let told: Vec<&str> = report.bad.iter().map(|bad| bad.reason.as_str()).collect();
    for (row, fault) in [
        (0, "kind: 'holiday'"),
        (0, "there is no person 'zeno'"),
        (0, "zeno cannot be their own deputy"),
        (0, "the last day 2026-03-02 is before the first 2026-03-09"),
        (1, "from: 'tomorrow' is no day"),
        (1, "there is no person 'zeno'"),
        (1, "there is no person 'yan'"),
    ] {
        assert!(told[row].contains(fault), "{fault} in {told:?}");
    }
}

#[test]
fn a_bad_row_that_is_skipped_keeps_no_good_one_out() {
    let scene = Scene::new();
    let text = "code,name,type\nK1,Anna,\nK1,Anna,retail\n";
    let skip = |o: &mut telefonist::store::import::ImportOptions<'_>| o.skip_bad = true;
    let report = scene.import_with(ImportKind::Clients, text, skip).expect("a report");
    assert_eq!((report.added, report.bad.len(), report.bad[0].line), (1, 1, 2));
}

#[test]
fn a_client_has_no_negative_debt_or_limit_and_no_order_of_tomorrow() {
    let scene = Scene::new();
    let text = "code,name,type,balance,credit_limit,overdue,last_order\n\
                K1,Anna,retail,-5,0,0,today\n\
                K2,Bea,retail,0,\"-0,01\",0,\n\
                K3,Cleo,retail,0,0,−1,\n\
                K4,Dora,retail,0,0,0,today+1\n";
    let report = scene.import(ImportKind::Clients, text.as_bytes()).expect("a report");
    let lines: Vec<u64> = report.bad.iter().map(|bad| bad.line).collect();
    assert_eq!((lines, report.rows), (vec![3, 4, 5], 4), "a balance may be one: {report:?}");
}

/// How many rows are new, changed, and as they were.
fn counts(report: &telefonist::store::import::ImportReport) -> (u64, u64, u64) {
    (report.added, report.changed, report.unchanged)
}

#[test]
fn an_import_says_truly_how_many_rows_are_new_changed_and_as_they_were() {
    let scene = Scene::new();
    let people = "id,name,roles,sip_user,password\nanna,Anna,operator,11,secret\nole,Ole,,12,x\n";
    let clients = "code;name;type;numbers;balance\nA;A;retail;+44 20 7946 0001;5\n\
                   B;B;retail;+44 20 7946 0002;7\n";
    let absences = "person,kind,from,to,deputy\nanna,leave,today,today+3,ole\n";
    let files = [
        (ImportKind::People, people, people.replace("secret", "other")),
        (ImportKind::Clients, clients, clients.replace("B;B;", "B;Bee;")),
        (ImportKind::Absences, absences, absences.replace("leave", "sickness")),
    ];
    let mut scene = scene;
    for (kind, text, changed) in files {
        let rows = text.lines().count() as u64 - 1;
        let dry = |scene: &Scene, text: &str| {
            counts(&scene.import_with(kind, text, |o| o.dry_run = true).expect("a report"))
        };
        assert_eq!(dry(&scene, text), (rows, 0, 0), "{kind:?}: a dry run of a new file");
        assert_eq!(counts(&scene.import(kind, text).expect("imported")), (rows, 0, 0));
        // Balances are as of the import, which is no change of the file.
        scene.now += jiff::SignedDuration::from_secs(600);
        assert_eq!(dry(&scene, text), (0, 0, rows), "{kind:?}: a dry run of the same file");
        assert_eq!(counts(&scene.import(kind, text).expect("again")), (0, 0, rows), "{kind:?}");
        assert_eq!(dry(&scene, &changed), (0, 1, rows - 1), "{kind:?}");
        assert_eq!(counts(&scene.import(kind, &changed).expect("again")), (0, 1, rows - 1));
    }
}

#[test]
fn c1_absences_that_close_a_circle_of_deputies_are_bad_in_their_last_line() {
    let scene = Scene::new();
    let people = "id,name\nanna,Anna\nboris,Boris\nclara,Clara\ndora,Dora\n";
    scene.import(ImportKind::People, people).expect("people");
    let head = "person,kind,from,to,deputy\n";
    let import =
        |rows: &str| scene.import(ImportKind::Absences, format!("{head}{rows}")).expect("a report");
    assert!(import("anna,leave,today,today+9,boris\n").written);
    let report = import("clara,leave,today+2,today+20,anna\nboris,leave,today+5,today+8,clara\n");
    assert!(!report.written, "nothing is changed");
    let first = scene.today() + jiff::Span::new().days(5);
    let last = scene.today() + jiff::Span::new().days(8);
    let why = format!(
        "deputy: deputies in a circle from {first} to {last}: \
         boris → clara (line 2) → anna (absence 1) → boris (C1)"
    );
    assert_eq!(report.bad.len(), 1, "{report:?}");
    assert_eq!((report.bad[0].line, &*report.bad[0].reason), (3, &*why));
    // The same file may end what would close it, whatever the order of its lines.
    let mends = "boris,leave,today+5,today+8,clara\nclara,leave,today+2,today+20,anna\n\
                 anna,leave,today,today+9,dora\n";
    assert!(import(mends).written);
    // On other days there is no circle.
    assert!(import("dora,leave,today+10,today+12,boris\n").written);
    let command = telefonist::store::NewAbsence {
        person: "dora".into(),
        kind: telefonist::domain::AbsenceKind::Leave,
        from: scene.today() + jiff::Span::new().days(6),
        to: scene.today() + jiff::Span::new().days(7),
        deputy: Some("boris".into()),
    };
    let actor = telefonist::store::Actor { by: "test", at: scene.now };
    let refused = scene.db().add_absence(actor, &command).expect_err("a circle");
    assert!(refused.to_string().contains("deputies in a circle"), "{refused}");
}

#[test]
fn people_of_an_unknown_department_and_departments_of_an_unknown_calendar_are_bad() {
    let scene = Scene::new();
    // Nothing is known yet: heads are people, people have departments.
    let first = scene.import(ImportKind::People, "id,name,department\nanna,Anna,market\n");
    assert!(first.expect("a report").written);
    let departments = "id,name,head,calendar\nmarket,Market,anna,office\nretail,Retail,,oficce\n";
    static OFFICE: std::sync::LazyLock<[std::sync::Arc<str>; 1]> =
        std::sync::LazyLock::new(|| ["office".into()]);
    let import =
        |text: &str| scene.import_with(ImportKind::Departments, text, |o| o.calendars = &*OFFICE);
    let report = import(departments).expect("a report");
    let bad: Vec<_> = report.bad.iter().map(|b| (b.line, b.reason.as_str())).collect();
    let why = "calendar: there is no calendar 'oficce'; did you mean 'office'?";
    assert_eq!(bad, [(3, why)]);
    assert!(import(&departments.replace("oficce", "office")).expect("a report").written);
    let people = "id,name,department\nole,Ole,markt\nida,Ida,market\nkai,Kai,nowhere\n";
    let report = scene.import(ImportKind::People, people).expect("a report");
    let bad: Vec<_> = report.bad.iter().map(|b| (b.line, b.reason.as_str())).collect();
    assert!(!report.written, "{report:?}");
    assert_eq!((bad.len(), bad[0].0, bad[1].0), (2, 2, 4));
    assert!(bad[0].1.starts_with("department: there is no department 'markt'"), "{bad:?}");
    assert!(bad[0].1.contains("market"), "{bad:?}");
}
