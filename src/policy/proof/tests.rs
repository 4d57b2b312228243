//! The proof against brute force: every set of absent people tried with `decide` itself.

use super::*;
use crate::domain::{
    Absence, AbsenceKind, Client, ClientId, ClientType, Department, DirectoryLimits, DirectoryRows,
    GroupName, Money, Number, NumberFormat, Order, Orders, Vip,
};
use crate::policy::{Ending, Facts, IndexState, Names, Presence, Sources, calendars, decide};

const CALENDARS: &str = "[office]\nzone = \"Europe/Berlin\"\nweek = { mon-fri = \"09:00-17:00\" }\n\
                         [early]\nzone = \"Europe/Berlin\"\nweek = { mon-fri = \"07:00-12:00\" }\n";

/// A Monday at ten in Berlin: both calendars are open.
const MONDAY: &str = "2026-03-02T09:00:00Z";

fn monday() -> Timestamp {
    MONDAY.parse().expect("an instant")
}

fn policy(steps: &str, owner: &str) -> Policy {
    let text = format!(
        "[settings]\ndefault_department = \"a\"\ncallback_owner = \"{owner}\"\n\
         [[rule]]\nname = \"all\"\nclause = \"B4\"\nroute = [ {steps} {{ to = \"callback\" }} ]\n"
    );
    let sources = Sources { policy: ("policy.toml", &text), calendars: ("c.toml", CALENDARS) };
    let names = Names { trunks: Vec::new(), numbers: NumberFormat::of("DE") };
    Policy::read(&sources, &names).expect("a policy")
}

/// Name, roles, department, superior.
type Row = (&'static str, &'static str, &'static str, &'static str);

const PEOPLE: [Row; 7] = [
    ("ann", "x y", "a", "eva"),
    ("bob", "x", "a", "ann"),
    ("cyd", "x", "b", "eva"),
    ("dan", "y", "b", "cyd"),
    ("eva", "z", "", ""),
    ("fay", "z y", "b", "dan"),
    ("gus", "w", "a", "ann"),
];

fn directory(people: &[Row], absences: &[(&str, &str, &str, &str)]) -> Directory {
    ordered(people, absences, &[])
}

/// The same under orders of a supervisor.
fn ordered(people: &[Row], absences: &[(&str, &str, &str, &str)], orders: &[Order]) -> Directory {
    let person = |(id, roles, department, superior): &Row| Person {
        id: (*id).into(),
        name: (*id).into(),
        roles: roles.split(' ').map(Role::new).collect(),
        levels: Default::default(),
        department: (!department.is_empty()).then(|| (*department).into()),
        sip_user: Some((*id).into()),
        supervisor: (!superior.is_empty()).then(|| (*superior).into()),
        credentials: None,
        email: None,
    };
    let department = |id: &str, head: &str, calendar: &str| Department {
        id: id.into(),
        name: id.into(),
        head: Some(head.into()),
        deputy_head: None,
        calendar: calendar.into(),
        regions: Default::default(),
    };
    let absence = |(i, (who, from, to, deputy)): (usize, &(&str, &str, &str, &str))| Absence {
        id: i as i64,
        person: (*who).into(),
        kind: AbsenceKind::Leave,
        from: from.parse().expect("a day"),
        to: to.parse().expect("a day"),
        deputy: (!deputy.is_empty()).then(|| (*deputy).into()),
        by: "test".into(),
    };
    let rows = DirectoryRows {
        people: people.iter().map(person).collect(),
        departments: vec![department("a", "ann", "office"), department("b", "cyd", "early")],
        absences: absences.iter().enumerate().map(absence).collect(),
        calendars: calendars("c.toml", CALENDARS).expect("calendars"),
        unread: Vec::new(),
    };
    let limits = DirectoryLimits { agents_max: 600, groups_max: 200 };
    let by = PersonId::new("eva");
    let orders = orders.iter().fold(Orders::default(), |all, order| {
        all.with(order.clone(), (&by, monday())).expect("taken")
    });
    Directory::build_with(None, rows, orders, limits).expect("a directory")
}

fn close_position(person: &str) -> Order {
    Order::ClosePosition { person: person.into() }
}

fn close_queue(group: &str) -> Order {
    Order::Close { group: GroupName::parse(group).expect("a group") }
}

/// Every set of people that the proof speaks of: up to two, or all of a role.
fn sets(people: &[Row]) -> Vec<Vec<&'static str>> {
    let mut sets = vec![Vec::new()];
    for (i, one) in people.iter().enumerate() {
        sets.push(vec![one.0]);
        sets.extend(people[i + 1..].iter().map(|two| vec![one.0, two.0]));
    }
    for role in ["x", "y", "z", "w"] {
        let holders = people.iter().filter(|p| p.1.split(' ').any(|r| r == role));
        sets.push(holders.map(|p| p.0).collect());
    }
    sets
}

/// By `decide`: this caller reaches nobody, and nobody who is there owns a promise.
fn is_dead_end(policy: &Policy, directory: &Directory, client: Option<Client>) -> bool {
    let facts = Facts {
        at: monday(),
        trunk: None,
        from_raw: "+12125550199".into(),
        from: Number::from_e164("+12125550199"),
        to_raw: "".into(),
        to: None,
        client: client.map(Arc::new),
        others: Vec::new(),
        index: IndexState::Fresh,
    };
    let decision = decide(policy, directory, &facts, &|_| Presence::Free);
    let rings = decision.plan.steps.iter().any(|step| !step.queues.is_empty());
    let owner = match &decision.plan.ending {
        Ending::Callback { owner } | Ending::OutOfHours { owner, .. } => owner.clone(),
        _ => return false,
    };
    let owner = owner.and_then(|owner| directory.agent(&owner));
    let here = owner
        .and_then(|o| directory.person(o))
        .is_some_and(|person| directory.absence(person, monday()).is_none());
    !rings && !here
}

fn client(manager: Option<&str>) -> Client {
    Client {
        id: ClientId(1),
        name: "ACME".into(),
        numbers: Vec::new(),
        client_type: ClientType::new("key"),
        manager: manager.map(Into::into),
        department: None,
        region: None,
        vip: Vip::None,
        vip_pending: false,
        balance: Money(0),
        credit_limit: None,
        overdue: Money(0),
        overdue_since: None,
        last_order: None,
        served_by_operators: true,
        notes: "".into(),
        as_of: monday(),
    }
}

const STEPS: [&str; 12] = [
    "role x",
    "role y",
    "role z",
    "role w",
    "role x of a",
    "role y of b",
    "head of a",
    "head of b",
    "person eva",
    "deputies of head of a",
    "manager",
    "role x of manager's department",
];

#[test]
fn what_is_proven_is_what_trying_every_set_of_absent_people_finds() {
    let mut seed = 7_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let (mut dead, mut alive) = (0, 0);
    for _ in 0..80 {
        let count = 1 + draw(3);
        let mut steps: Vec<&str> = (0..count).map(|_| STEPS[draw(STEPS.len())]).collect();
        steps.sort_unstable();
        steps.dedup();
        let steps: String = steps.iter().map(|to| format!("{{ to = \"{to}\" }}, ")).collect();
        let owner = ["head of a", "head of b", "person gus"][draw(3)];
        let mut people = PEOPLE.to_vec();
        if draw(2) == 0 {
            people.iter_mut().for_each(|p| p.3 = "");
        }
        let deputy = ["bob", "dan", ""][draw(3)];
        let entered = [("ann", "2026-03-01", "2026-03-02", deputy)];
        let entered = &entered[..draw(2)];
        let closed = [close_position("bob"), close_position("eva"), close_queue("x")];
        let closed = closed.into_iter().filter(|_| draw(3) == 0).collect::<Vec<_>>();
        let policy = policy(&steps, owner);
        let callers = [None, Some(client(None)), Some(client(Some("bob")))];
        let found = sets(&people).into_iter().find_map(|set| {
            let new = set.iter().map(|who| (*who, "2026-03-02", "2026-03-02", ""));
            // Who is away already stays so with the deputy named.
            let known = |who: &str| entered.iter().any(|e| e.0 == who);
            let all: Vec<_> = entered.iter().copied().chain(new.filter(|n| !known(n.0))).collect();
            let directory = ordered(&people, &all, &closed);
            let dead = |c: &Option<Client>| is_dead_end(&policy, &directory, c.clone());
            callers.iter().any(dead).then_some(set)
        });
        let directory = ordered(&people, entered, &closed);
        let world = World::new(&directory);
        let mut proof = Proof::new(&policy, &world);
        intervals(&world, monday(), &mut |at, open, absent| {
            proof.interval(at, open, absent);
            false
        });
        let told: Vec<String> = proof.found.iter().map(|p| p.message.clone()).collect();
        let proven = told.iter().any(|message| message.contains("is a dead end"));
        assert_eq!(
            proven,
            found.is_some(),
            "{steps} {owner} {entered:?} {closed:?}: {found:?}, {told:?}"
        );
        if proven { dead += 1 } else { alive += 1 }
    }
    assert!(dead > 8 && alive > 8, "both kinds were tried: {dead} and {alive}");
}

fn told(policy: &Policy, directory: &Directory) -> Vec<String> {
    policy.prove(directory, monday()).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_counter_example_names_caller_time_and_who_is_away() {
    let policy = policy("{ to = \"role w\" }, { to = \"head of a\" },", "head of a");
    let mut people = PEOPLE.to_vec();
    people.iter_mut().for_each(|p| p.3 = "");
    let told = told(&policy, &directory(&people, &[]));
    let expected = "policy.toml:4:1: warning: `all` is a dead end when gus and ann are away: \
                    a known client, type key, VIP none, owes nothing, from one of our people, \
                    no department responsible, any called number, calling from +12125550199, no \
                    manager; Mon 2026-03-02 10:00, absent besides them: nobody\n  hint: add a step with \
                    other people, or another owner of the promise (B, C1)";
    assert_eq!(told, [expected]);
}

#[test]
fn a_role_that_loses_its_last_person_in_an_open_hour_is_told_with_the_day() {
    let policy = policy("{ to = \"role w\" }, { to = \"role x\" },", "head of a");
    let entered = [("gus", "2026-07-06", "2026-07-07", "")];
    let told = told(&policy, &directory(&PEOPLE, &entered));
    let expected = "policy.toml:7:18: warning: nobody of `w` is there: Mon 2026-07-06 09:00, \
                    absent: gus\n";
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(expected), "{told:?}");
    let weekend = [("gus", "2026-07-04", "2026-07-05", "")];
    let quiet = super::prove(&policy, &directory(&PEOPLE, &weekend), monday()).problems;
    assert!(quiet.is_empty(), "nobody works then: {quiet:?}");
}

#[test]
fn b8_a_role_whose_people_are_all_on_closed_positions_or_whose_queue_is_closed_is_told() {
    let policy = policy("{ to = \"role w\" }, { to = \"role x\" },", "head of a");
    let roles = |orders: &[Order]| {
        let told = told(&policy, &ordered(&PEOPLE, &[], orders));
        let of_roles = told.into_iter().filter(|m| m.contains("`w`"));
        of_roles.collect::<Vec<_>>()
    };
    assert!(roles(&[]).is_empty());
    assert!(roles(&[close_position("bob")]).is_empty(), "another's position");
    let found = roles(&[close_position("gus")]);
    assert_eq!(found.len(), 1, "{found:?}");
    let why = "nobody of `w` is there: Mon 2026-03-02 10:00, absent: nobody, positions closed: gus";
    assert!(found[0].contains(why) && found[0].contains("(B8)"), "{found:?}");
    let found = roles(&[close_queue("w")]);
    assert_eq!(found.len(), 1, "{found:?}");
    let why =
        "the queue of `w` is closed by eva: Mon 2026-03-02 10:00, absent: nobody, queues closed: w";
    assert!(found[0].contains(why), "{found:?}");
}

#[test]
fn an_open_route_that_rings_nobody_and_one_that_never_can_are_told() {
    let entered = [("gus", "2026-03-03", "2026-03-03", "")];
    let only = told(&policy("{ to = \"role w\" },", "head of b"), &directory(&PEOPLE, &entered));
    let promise = "`all` reaches nobody although it is open, only a promise";
    assert!(
        only.iter().any(|t| t.contains(promise) && t.contains("Tue 2026-03-03 09:00")),
        "{only:?}"
    );
    let never = told(&policy("{ to = \"manager\" },", "head of b"), &directory(&PEOPLE, &[]));
    assert!(never[0].contains("`all` has nobody at any hour for this caller"), "{never:?}");
}

#[test]
fn five_hundred_people_and_sixty_rules_are_proven_in_bounded_work() {
    let mut text =
        "[settings]\ndefault_department = \"d0\"\ncallback_owner = \"head of d0\"\n".to_owned();
    for n in 0..60 {
        let to = format!("+49302312{n:02}*");
        let (role, head) = (n % 30, n % 20);
        text.push_str(&format!(
            "[[called]]\nnumber = \"{to}\"\ndepartment = \"d{head}\"\n\
             [[rule]]\nname = \"r{n}\"\nclause = \"B4\"\nwhen = {{ called = \"{to}\" }}\nroute = [\n\
             {{ to = \"manager\" }}, {{ to = \"deputies of manager\" }}, {{ to = \"role r{role}\" }},\n\
             {{ to = \"head of department\" }}, {{ to = \"head of d{head}\" }},\n\
             {{ to = \"callback\" }} ]\n"
        ));
    }
    text.push_str("[[rule]]\nname = \"rest\"\nclause = \"B4\"\nroute = [ { to = \"role r1\" }, { to = \"callback\" } ]\n");
    let days = "week = { mon-fri = \"09:00-17:00\" }\n";
    let hours: String = (0..10)
        .map(|n| {
            format!(
                "[c{n}]\nzone = \"Europe/Berlin\"\n{}",
                days.replace("17", &format!("{}", 13 + n))
            )
        })
        .collect();
    let sources = Sources { policy: ("policy.toml", &text), calendars: ("c.toml", &hours) };
    let names = Names { trunks: Vec::new(), numbers: NumberFormat::of("DE") };
    let policy = Policy::read(&sources, &names).expect("a policy");
    let directory = large(&hours);
    let world = World::new(&directory);
    let mut proof = Proof::new(&policy, &world);
    let mut states = 0;
    let complete = intervals(&world, monday(), &mut |at, open, absent| {
        states += 1;
        proof.interval(at, open, absent);
        true
    });
    // Work is counted, not timed: the machine may be busy.
    assert!(complete && states > 100, "{states}");
    assert!(proof.work < WORK_MAX, "{} people looked at in {states} intervals", proof.work);
}

/// 500 people in 20 departments, 100 absences.
fn large(hours: &str) -> Directory {
    let people = (0..500).map(|n| Person {
        id: format!("p{n}").as_str().into(),
        name: "p".into(),
        roles: [Role::new(&format!("r{}", n % 30)), Role::new("all")].into(),
        levels: Default::default(),
        department: Some(format!("d{}", n % 20).as_str().into()),
        sip_user: Some(format!("{n}").into()),
        supervisor: Some(format!("p{}", n % 20).as_str().into()),
        credentials: None,
        email: None,
    });
    let departments = (0..20).map(|n| Department {
        id: format!("d{n}").as_str().into(),
        name: "d".into(),
        head: Some(format!("p{n}").as_str().into()),
        deputy_head: None,
        calendar: format!("c{}", n % 10).into(),
        regions: Default::default(),
    });
    let absences = (0..100).map(|n| Absence {
        id: n,
        person: format!("p{}", n * 5).as_str().into(),
        kind: AbsenceKind::Leave,
        from: jiff::civil::date(2026, 3, 1).saturating_add(jiff::Span::new().days(n)),
        to: jiff::civil::date(2026, 3, 12).saturating_add(jiff::Span::new().days(n)),
        deputy: None,
        by: "test".into(),
    });
    let rows = DirectoryRows {
        people: people.collect(),
        departments: departments.collect(),
        absences: absences.collect(),
        calendars: calendars("c.toml", hours).expect("calendars"),
        unread: Vec::new(),
    };
    let limits = DirectoryLimits { agents_max: 600, groups_max: 800 };
    Directory::build(None, rows, limits).expect("a directory")
}

#[test]
fn more_paths_than_can_be_counted_have_no_number() {
    let counted = |people: usize| {
        let names = (0..people).map(|n| -> &'static str { format!("p{n}").leak() });
        let more: Vec<Row> = names.map(|name| (name, "x", "a", "eva")).collect();
        let steps: String =
            more.iter().map(|row| format!("{{ to = \"person {}\" }}, ", row.0)).collect();
        let directory = directory(&[PEOPLE.to_vec(), more].concat(), &[]);
        policy(&steps, "head of a").prove(&directory, monday()).paths
    };
    // Each is gone, busy, does not answer or refuses, or the call is answered there; at night nobody is here.
    assert_eq!(counted(2), Some(1 + 4 * (1 + 4) + 1));
    assert_eq!(counted(40), None);
}

#[test]
fn a_step_that_no_outcome_reaches_is_told_with_the_step_that_has_its_people() {
    let steps = "{ to = \"person ann\" }, { to = \"role x\" }, { to = \"head of a\" },";
    let told = told(&policy(steps, "head of a"), &directory(&PEOPLE, &[]));
    let expected = "policy.toml:7:60: warning: no outcome of the steps before ever rings `head of a` of \
                    `all`: whoever it means is in step 1 (`person ann`) already\n  hint: remove the step, \
                    or name somebody else (B10)";
    assert_eq!(told, [expected]);
    // Only who is gone has deputies: reached, though nobody is absent today.
    let deputies =
        "{ to = \"head of a\" }, { to = \"deputies of head of a\" }, { to = \"role x\" },";
    let proven = policy(deputies, "head of a").prove(&directory(&PEOPLE, &[]), monday());
    assert!(proven.problems.is_empty(), "{:?}", proven.problems);
    // A manager who is nobody else, and none: 1 + 4 ways or one, then the deputies of who is gone.
    let manager =
        "{ to = \"manager\" }, { to = \"deputies of manager\" }, { to = \"person eva\" },";
    let proven = policy(manager, "head of a").prove(&directory(&PEOPLE, &[]), monday());
    assert_eq!((proven.rules, proven.paths), (1, Some(5 + 1 + (1 + 4 * 5) + 3 * 5)), "{proven:?}");
}

#[test]
fn a_promise_that_nobody_owns_is_told_with_the_outcomes_that_lead_to_it() {
    let policy = policy("{ to = \"role x\" }, { to = \"person gus\" },", "person ghost");
    let told = told(&policy, &directory(&PEOPLE, &[]));
    let unowned = told.iter().find(|t| t.contains("a promise that nobody owns")).expect("told");
    let path = "not even somebody absent: role x: all gone, then person gus: gone: ";
    assert!(unowned.contains(path), "{unowned}");
}

/// What is told of steps that come back.
fn circles(steps: &str, people: &[Row], absences: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let told = told(&policy(steps, "head of a"), &directory(people, absences));
    told.into_iter().filter(|message| message.contains("goes in a circle")).collect()
}

#[test]
fn b10_a_route_that_comes_back_by_way_of_a_role_is_told_with_a_caller_and_a_time() {
    let told = circles(
        "{ to = \"person eva\" }, { to = \"role z\" }, { to = \"role x\" },",
        &eva_only(),
        &[],
    );
    let expected = "policy.toml:7:41: warning: `all` goes in a circle: step 2 (`role z`) rings nobody but \
                    eva, for whom the caller waited in step 1 (`person eva`): a known client, type key, VIP \
                    none, owes nothing, from one of our people, no department responsible, any called \
                    number, calling from +12125550199, no manager; Mon 2026-03-02 10:00, absent: nobody\n  \
                    hint: name somebody else, or remove the step: a plan never goes back (B10)";
    assert_eq!(told, [expected]);
    for back in [
        "{ to = \"role z\" }, { to = \"person eva\" }, { to = \"role x\" },",
        // The default department is the relevant one.
        "{ to = \"role x of a\" }, { to = \"head of b\" }, { to = \"role x of department\" },",
        "{ to = \"role x\" }, { to = \"role x of b\" },",
        "{ to = \"head of a\" }, { to = \"person fay\" }, { to = \"person dan\" }, { to = \"role y\" },",
    ] {
        assert_eq!(circles(back, &eva_only(), &[]).len(), 1, "{back}");
    }
    for on in [
        "{ to = \"person ann\" }, { to = \"role x\" },",
        "{ to = \"role x of a\" }, { to = \"role x\" },",
        "{ to = \"role y\" }, { to = \"head of a\" },",
        "{ to = \"person eva\" }, { to = \"role z\", only = true },",
    ] {
        assert_eq!(circles(on, &eva_only(), &[]), [""; 0], "{on}");
    }
}

/// Of the role z nobody but eva.
fn eva_only() -> Vec<Row> {
    let mut people = PEOPLE.to_vec();
    people.iter_mut().filter(|person| person.0 == "fay").for_each(|fay| fay.1 = "y");
    people
}

#[test]
fn b10_a_circle_that_is_there_only_where_absences_overlap_is_told_with_its_day() {
    let steps = "{ to = \"role y\" }, { to = \"role z\" }, { to = \"role x\" },";
    assert_eq!(circles(steps, &PEOPLE, &[]), [""; 0]);
    let (ann, dan) =
        (("ann", "2026-03-03", "2026-03-05", ""), ("dan", "2026-03-05", "2026-03-06", ""));
    assert_eq!(circles(steps, &PEOPLE, &[ann, dan]), [""; 0], "eva answers for z too");
    let eva = ("eva", "2026-03-04", "2026-03-06", "");
    let told = circles(steps, &PEOPLE, &[ann, dan, eva]);
    assert_eq!(told.len(), 1, "{told:?}");
    let example = "rings nobody but fay, for whom the caller waited in step 1 (`role y`)";
    assert!(told[0].contains(example), "{told:?}");
    assert!(told[0].contains("Thu 2026-03-05 07:00, absent: ann, dan, eva"), "{told:?}");
    // A deputy who leads back to the group in which the caller was.
    let steps = "{ to = \"role w\" }, { to = \"head of b\" }, { to = \"deputies of head of b\" },";
    let deputy = ("cyd", "2026-03-04", "2026-03-04", "gus");
    assert_eq!(circles(steps, &PEOPLE, &[]), [""; 0]);
    let told = circles(steps, &PEOPLE, &[deputy]);
    assert!(told.len() == 1 && told[0].contains("Wed 2026-03-04"), "{told:?}");
}
