//! Small companies, few calls, figures that can be reckoned by hand.

use super::*;
use crate::domain::*;
use crate::policy::{IndexState, Names, Sources, calendars_as_read};

const CALENDARS: &str = "[always]\nzone = \"UTC\"\n[always.week]\nmon-sun = \"00:00-24:00\"\n";
const BEGIN: &str = "2026-03-04T10:00:00Z";

fn person(id: &str, roles: &[&str]) -> Person {
    Person {
        id: id.into(),
        name: id.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        levels: Default::default(),
        department: Some("sales".into()),
        sip_user: Some(id.into()),
        supervisor: None,
        credentials: None,
        email: None,
    }
}

fn directory(people: &[(&str, &[&str])]) -> Arc<Directory> {
    let rows = DirectoryRows {
        people: people.iter().map(|(id, roles)| person(id, roles)).collect(),
        departments: vec![Department {
            id: "sales".into(),
            name: "sales".into(),
            head: None,
            deputy_head: None,
            calendar: "always".into(),
            regions: Default::default(),
        }],
        absences: Vec::new(),
        calendars: calendars_as_read("calendars.toml", CALENDARS),
        unread: Vec::new(),
    };
    let limits = DirectoryLimits { agents_max: 50, groups_max: 50 };
    Arc::new(Directory::build(None, rows, limits).expect("a directory"))
}

/// Everybody by these steps; `more` stands before the rule.
fn policy(steps: &[&str], more: &str) -> Arc<Policy> {
    let steps: String = steps.iter().map(|step| format!("  {{ {step} }},\n")).collect();
    let text = format!(
        "[settings]\nclient_types = [\"key\", \"other\"]\ndefault_department = \"sales\"\n\
         callback_owner = \"person ole\"\n{more}\n\
         [[rule]]\nname = \"all\"\nclause = \"B4\"\nroute = [\n{steps}  {{ to = \"callback\" }},\n]\n"
    );
    let sources = Sources { policy: ("p", &text), calendars: ("c", CALENDARS) };
    let names = Names { trunks: Vec::new(), numbers: NumberFormat::of("DE") };
    let policy = Policy::read(&sources, &names);
    Arc::new(policy.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")))
}

/// A caller at this second who would talk so long; phones ring for two seconds.
fn call(at_s: i64, talk_s: u64) -> Arrival {
    let begin: Timestamp = BEGIN.parse().expect("a time");
    let at = begin + jiff::SignedDuration::from_secs(at_s);
    let facts = Facts {
        at,
        trunk: Some("gone".into()),
        from_raw: "03023125001".into(),
        from: Number::from_e164("+493023125001"),
        to_raw: "100".into(),
        to: None,
        client: None,
        others: Vec::new(),
        index: IndexState::Fresh,
    };
    let (ring, talk) = (Some(Duration::from_secs(2)), Some(Duration::from_secs(talk_s)));
    Arrival { at, facts, ring, talk, patience: None, news: Vec::new() }
}

fn settings(wrap_up_s: u64) -> Settings {
    let mut settings = example_settings();
    settings.timers.wrap_up = Duration::from_secs(wrap_up_s);
    settings
}

fn run(wrap_up_s: u64, calls: &[Arrival], rules: &Rules) -> Service {
    let calls: Vec<(&Arrival, &Rules)> = calls.iter().map(|call| (call, rules)).collect();
    rehearse(&settings(wrap_up_s), &calls)
}

const ONE: &[(&str, &[&str])] = &[("ole", &["operator"])];
const TWO: &[(&str, &[&str])] = &[("ole", &["operator"]), ("ida", &["operator"])];
const OPERATORS: &str = "to = \"role operator\", ring = \"20s\", wait = \"60s\"";

fn rules(people: &[(&str, &[&str])], steps: &[&str]) -> Rules {
    Rules { policy: policy(steps, ""), directory: directory(people) }
}

fn served(answered: u32, in_time: u32, wait_ms: i64, longest_ms: i64) -> Service {
    let calls = answered;
    Service { calls, answered, in_time, wait_ms, longest_ms, ..Service::default() }
}

#[test]
fn a_caller_waits_for_ring_talk_and_wrap_up_of_who_serves() {
    let calls = [call(0, 20), call(5, 10), call(6, 10)];
    // 0 → rings 2 s, talks to 22, ready at 32 → 34 to 44, ready at 54 → 56.
    assert_eq!(run(10, &calls, &rules(ONE, &[OPERATORS])), served(3, 1, 81_000, 50_000));
    // Without wrap-up: 22 → 24 to 34 → 36.
    assert_eq!(run(0, &calls, &rules(ONE, &[OPERATORS])), served(3, 2, 51_000, 30_000));
    // Of two people the second takes the second call at once; the third has whom comes free first.
    assert_eq!(run(10, &calls, &rules(TWO, &[OPERATORS])), served(3, 2, 27_000, 23_000));
}

fn waits(calls: &[Arrival], rules: &Rules) -> (u32, i64) {
    let service = run(0, calls, rules);
    (service.answered, service.wait_ms)
}

#[test]
fn a_second_step_or_a_shorter_one_changes_the_waits_by_what_it_says() {
    let calls = [call(0, 100), call(10, 5)];
    let people: &[(&str, &[&str])] = &[("ole", &["operator"]), ("fay", &["finance"])];
    let (wait, next) = ("to = \"role operator\", wait = \"30s\"", "to = \"role finance\"");
    // The first to ole; the second waits its 30 s for him, then rings fay.
    assert_eq!(waits(&calls, &rules(people, &[wait, next])), (2, 2_000 + 32_000));
    let sooner = "to = \"role operator\", wait = \"12s\"";
    assert_eq!(waits(&calls, &rules(people, &[sooner, next])), (2, 2_000 + 14_000));
    let alone = run(0, &calls, &rules(people, &[wait]));
    assert_eq!((alone.answered, alone.promised, alone.wait_ms), (1, 1, 2_000));
}

#[test]
fn who_gives_up_has_the_recorded_patience_and_who_was_gone_is_not_rung() {
    let mut impatient = call(5, 10);
    impatient.patience = Some(Duration::from_secs(3));
    let people: &[(&str, &[&str])] = &[("ole", &["operator"]), ("fay", &["finance"])];
    let rules = rules(people, &[OPERATORS, "to = \"role finance\""]);
    let mut away = call(6, 5);
    away.news = vec![("ole".into(), Seen::Gone)];
    let mut back = call(60, 5);
    back.news = vec![("ole".into(), Seen::There)];
    let mut late = call(61, 5);
    late.ring = Some(Duration::from_secs(3));
    // ole is there until the third call's decision saw him gone: the first word of him holds from the begin.
    let there = vec![("ole".into(), Seen::There)];
    let first = Arrival { news: there, ..call(0, 20) };
    let service = run(0, &[first, impatient, away, back, late], &rules);
    assert_eq!((service.answered, service.abandoned), (4, 1), "{service:?}");
    // ole goes at 6: fay rings for the impatient one (C7) until 8, then for the third. The last waits for
    // ole, who talks from 62 to 67.
    assert_eq!(service.wait_ms, 2_000 + 4_000 + 2_000 + 9_000, "{service:?}");
}

#[test]
fn helpers_come_when_the_wait_passes_their_threshold() {
    let people: &[(&str, &[&str])] = &[("ole", &["operator"]), ("fay", &["finance"])];
    let calls = [call(0, 50), call(5, 5)];
    let help = "[[help]]\ngroup = \"operator\"\nhelpers = [\"finance\"]\nclause = \"B7\"\n\
                opens_at = \"20s\"\ncloses_at = \"5s\"\n";
    let directory = directory(people);
    let alone = Rules { policy: policy(&[OPERATORS], ""), directory: directory.clone() };
    assert_eq!(waits(&calls, &alone), (2, 2_000 + 49_000));
    let helped = Rules { policy: policy(&[OPERATORS], help), directory };
    let (answered, wait) = waits(&calls, &helped);
    // Offered to fay at the first look after 20 s, answered 2 s later.
    assert_eq!((answered, wait), (2, 2_000 + 20_100 + 2_000));
}

#[test]
fn strategies_and_head_starts_count() {
    let own = |list: &str| {
        let more = "[[rule]]\nname = \"own\"\nclause = \"B2\"\nwhen = { called = \"200\" }\nroute = [\n\
                    { to = \"person ida\", wait = \"90s\" }, { to = \"callback\" } ]\n";
        let step = format!("{OPERATORS}, order = [{list}]");
        Rules { policy: policy(&[&step], more), directory: directory(TWO) }
    };
    let mut idas = call(10, 5);
    idas.facts.to_raw = "200".into();
    let calls = [call(0, 60), idas];
    assert_eq!(waits(&calls, &own("\"ole\", \"ida\"")), (2, 2_000 + 2_000), "ida stays free");
    assert_eq!(waits(&calls, &own("\"ida\", \"ole\"")), (2, 2_000 + 54_000), "ida is taken");

    let mut key = call(7, 10);
    let client = |client_type| Client {
        id: ClientId(1),
        name: "Client".into(),
        numbers: Vec::new(),
        client_type: ClientType::new(client_type),
        vip: Vip::None,
        vip_pending: false,
        manager: None,
        department: None,
        region: None,
        balance: Money(0),
        credit_limit: None,
        overdue: Money(0),
        overdue_since: None,
        last_order: None,
        served_by_operators: false,
        notes: "".into(),
        as_of: key.at,
    };
    key.facts.client = Some(Arc::new(client("key")));
    let credit = "[settings.head_start]\nclient_type = { key = \"60s\" }\n";
    let calls = [call(0, 20), call(5, 10), key];
    let of = |more| Rules { policy: policy(&[OPERATORS], more), directory: directory(ONE) };
    let longest = |rules: &Rules| run(0, &calls, rules).longest_ms;
    // At 22 ole is free: first come, 24 and 36; with the head start the key client first, 24 and 36.
    assert_eq!((longest(&of("")), longest(&of(credit))), (29_000, 31_000));
}

#[test]
fn people_who_come_and_go_between_two_records_keep_their_calls() {
    let steps: &[&str] = &[OPERATORS];
    let before = rules(TWO, steps);
    // The same two in another order, and one more: in records of two runs their places differ.
    let people: &[(&str, &[&str])] =
        &[("new", &["finance"]), ("ida", &["operator"]), ("ole", &["operator"])];
    let after = Rules { policy: before.policy.clone(), directory: directory(people) };
    let calls = [call(0, 60), call(1, 60), call(10, 5), call(200, 5)];
    let pairs: Vec<(&Arrival, &Rules)> =
        calls.iter().zip([&before, &before, &after, &before]).collect();
    let service = rehearse(&settings(0), &pairs);
    assert_eq!(service, served(4, 3, 2_000 + 2_000 + 54_000 + 2_000, 54_000));
}

#[test]
fn nights_are_skipped_and_the_same_calls_come_out_the_same() {
    let day = 24 * 3_600;
    let calls: Vec<Arrival> =
        (0..40).map(|n| call(n / 4 * 9 * day + n % 4 * 7, 20 + n as u64)).collect();
    let rules = rules(TWO, &[OPERATORS]);
    let service = run(5, &calls, &rules);
    assert_eq!((service.calls, service.answered), (40, 40));
    assert_eq!(service, run(5, &calls, &rules));
}

#[test]
fn without_calls_there_is_nothing_to_say_and_without_answers_times_are_assumed() {
    assert_eq!(rehearse(&settings(0), &[]), Service::default());
    let silent = Arrival { ring: None, talk: None, ..call(0, 0) };
    let usual = Usual::of([silent.clone()].iter());
    assert_eq!((usual.ring.as_secs(), usual.talk.as_secs()), (5, 120));
    let calls = [call(0, 10), silent, call(1, 30)];
    let usual = Usual::of(calls.iter());
    assert_eq!((usual.ring.as_secs(), usual.talk.as_secs()), (2, 20));
}
