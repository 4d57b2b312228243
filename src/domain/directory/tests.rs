//! Places on the board, groups, absences and chains of deputies (clause C1).

use super::*;

const LIMITS: DirectoryLimits = DirectoryLimits { agents_max: 16, groups_max: 16 };

fn person(id: &str, department: &str, roles: &[&str]) -> Person {
    Person {
        id: PersonId::new(id),
        name: Arc::from(id),
        roles: roles.iter().map(|r| Role::new(r)).collect(),
        levels: BTreeMap::new(),
        department: (!department.is_empty()).then(|| DepartmentId::new(department)),
        sip_user: Some(Arc::from(id)),
        supervisor: None,
        credentials: None,
        email: None,
    }
}

fn department(id: &str, calendar: &str) -> Department {
    Department {
        id: DepartmentId::new(id),
        name: Arc::from(id),
        head: None,
        deputy_head: None,
        calendar: Arc::from(calendar),
        regions: BTreeSet::new(),
    }
}

fn absence(id: i64, person: &str, days: &str, deputy: &str) -> Absence {
    let (from, to) = days.split_once("..").expect("from..to");
    Absence {
        id,
        person: PersonId::new(person),
        kind: AbsenceKind::Leave,
        from: from.parse().expect("a day"),
        to: to.parse().expect("a day"),
        deputy: (!deputy.is_empty()).then(|| PersonId::new(deputy)),
        by: Arc::from("test"),
    }
}

fn rows(people: Vec<Person>) -> DirectoryRows {
    DirectoryRows { people, ..DirectoryRows::default() }
}

fn four(absences: Vec<Absence>) -> Directory {
    let people = ["anna", "boris", "clara", "dan"].map(|id| person(id, "", &["manager"]));
    let rows = DirectoryRows { absences, ..rows(people.to_vec()) };
    Directory::build(None, rows, LIMITS).expect("a good directory")
}

fn names(directory: &Directory, agents: &[AgentId]) -> Vec<String> {
    agents.iter().filter_map(|a| directory.person(*a)).map(|p| p.id.to_string()).collect()
}

fn noon(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().expect("an instant")
}

fn chain(directory: &Directory, of: &str, day: &str) -> Vec<String> {
    names(directory, &directory.deputies(&PersonId::new(of), noon(day)))
}

#[test]
fn c1_somebody_present_has_no_deputies() {
    let directory = four(vec![absence(1, "anna", "2026-03-02..2026-03-03", "boris")]);
    assert_eq!(chain(&directory, "anna", "2026-03-01"), [""; 0]);
    assert_eq!(chain(&directory, "anna", "2026-03-04"), [""; 0]);
    assert_eq!(chain(&directory, "nobody", "2026-03-02"), [""; 0]);
}

#[test]
fn c1_both_days_of_an_absence_are_included() {
    let directory = four(vec![absence(1, "anna", "2026-03-02..2026-03-03", "boris")]);
    assert_eq!(chain(&directory, "anna", "2026-03-02"), ["boris"]);
    assert_eq!(chain(&directory, "anna", "2026-03-03"), ["boris"]);
}

#[test]
fn c1_the_chain_is_followed_to_the_first_who_is_present() {
    let directory = four(vec![
        absence(1, "anna", "2026-03-02..2026-03-09", "boris"),
        absence(2, "boris", "2026-03-02..2026-03-09", "clara"),
    ]);
    assert_eq!(chain(&directory, "anna", "2026-03-05"), ["boris", "clara"]);
    let stand_in = directory.stand_in(&PersonId::new("anna"), noon("2026-03-05"));
    assert_eq!(stand_in, directory.agent(&PersonId::new("clara")));
}

#[test]
fn c1_a_chain_that_comes_back_ends_without_a_loop() {
    let week = "2026-03-02..2026-03-09";
    let directory = four(vec![
        absence(1, "anna", week, "boris"),
        absence(2, "boris", week, "clara"),
        absence(3, "clara", week, "anna"),
        absence(4, "dan", week, "dan"),
    ]);
    assert_eq!(chain(&directory, "anna", "2026-03-05"), ["boris", "clara"]);
    assert_eq!(chain(&directory, "boris", "2026-03-05"), ["clara", "anna"]);
    assert_eq!(chain(&directory, "dan", "2026-03-05"), [""; 0], "one's own deputy is nobody");
    assert_eq!(directory.stand_in(&PersonId::new("anna"), noon("2026-03-05")), None);
}

#[test]
fn c1_a_chain_ends_where_no_deputy_is_named_or_the_deputy_has_left() {
    let week = "2026-03-02..2026-03-09";
    let absences = vec![
        absence(1, "anna", week, "boris"),
        absence(2, "boris", week, ""),
        absence(3, "clara", week, "somebody.who.left"),
    ];
    let directory = four(absences);
    assert_eq!(chain(&directory, "anna", "2026-03-05"), ["boris"]);
    assert_eq!(chain(&directory, "clara", "2026-03-05"), [""; 0]);
    assert_eq!(directory.stand_in(&PersonId::new("anna"), noon("2026-03-05")), None);
}

#[test]
fn c1_of_two_absences_on_one_day_the_one_with_a_deputy_counts() {
    let directory = four(vec![
        absence(1, "anna", "2026-03-01..2026-03-09", ""),
        absence(2, "anna", "2026-03-04..2026-03-05", "dan"),
    ]);
    assert_eq!(chain(&directory, "anna", "2026-03-04"), ["dan"]);
    assert_eq!(chain(&directory, "anna", "2026-03-06"), [""; 0]);
}

#[test]
fn c1_days_are_local_days_of_the_persons_department() {
    let zone = TimeZone::get("Asia/Yekaterinburg").expect("a zone");
    let week = std::array::from_fn(|_| Vec::new());
    let ural = Calendar::new(zone, week, super::super::SpecialDays::default()).expect("hours");
    let rows = DirectoryRows {
        people: vec![person("anna", "regional", &[]), person("boris", "", &[])],
        departments: vec![department("regional", "ural")],
        absences: vec![absence(1, "anna", "2026-03-02..2026-03-02", "boris")],
        calendars: BTreeMap::from([(Arc::from("ural"), Arc::new(ural))]),
        unread: Vec::new(),
    };
    let directory = Directory::build(None, rows, LIMITS).expect("a good directory");
    let away = |at: &str| {
        let at = at.parse().expect("an instant");
        !directory.deputies(&PersonId::new("anna"), at).is_empty()
    };
    assert!(!away("2026-03-01T18:59:59Z"));
    assert!(away("2026-03-01T19:00:00Z"), "midnight in Yekaterinburg");
    assert!(away("2026-03-02T18:59:59Z"));
    assert!(!away("2026-03-02T19:00:00Z"));
}

#[test]
fn places_stay_the_same_over_rebuilds_and_are_never_given_out_again() {
    let first = Directory::build(
        None,
        rows(vec![person("anna", "a", &["operator"]), person("boris", "a", &["finance"])]),
        LIMITS,
    )
    .expect("a good directory");
    let operators = first.group(&Role::new("operator")).expect("held").queue;
    let finance = first.group(&Role::new("finance")).expect("held").queue;

    let second = Directory::build(
        Some(&first),
        rows(vec![person("aaron", "b", &["admin"]), person("boris", "b", &["finance"])]),
        LIMITS,
    )
    .expect("a good directory");
    let (anna, boris) = (PersonId::new("anna"), PersonId::new("boris"));
    assert_eq!(second.agent(&boris), first.agent(&boris));
    assert_eq!(second.agent(&anna), None, "she has left");
    assert_eq!(second.group(&Role::new("finance")).map(|g| g.queue), Some(finance));
    assert!(second.group_of_queue(operators).is_none(), "nobody belongs to it");
    assert!(second.groups().all(|g| g.queue != operators), "not given out again");
    let aaron = second.agent(&PersonId::new("aaron")).expect("new");
    assert_eq!(aaron, AgentId(2), "anna's place is not reused");

    let people = vec![person("boris", "b", &["finance"]), person("anna", "c", &["operator"])];
    let third = Directory::build(Some(&second), rows(people), LIMITS).expect("a good directory");
    assert_eq!(third.agent(&anna), first.agent(&anna), "she came back to her place");
    assert_eq!(third.group(&Role::new("operator")).map(|g| g.queue), Some(operators));
}

#[test]
fn a_role_is_a_group_of_the_company_and_one_of_each_department() {
    let people = vec![
        person("anna", "service", &["vip_manager"]),
        person("boris", "wholesale", &["vip_manager"]),
        person("clara", "", &["vip_manager"]),
    ];
    let directory = Directory::build(None, rows(people), LIMITS).expect("a good directory");
    let role = Role::new("vip_manager");
    let all = directory.group(&role).expect("held");
    let service = directory.group_in(&role, &DepartmentId::new("service")).expect("held");
    assert_eq!(names(&directory, &all.members), ["anna", "boris", "clara"]);
    assert_eq!(names(&directory, &service.members), ["anna"]);
    assert_eq!(service.to_string(), "vip_manager of service");
    assert!(directory.group_in(&role, &DepartmentId::new("finance")).is_none());
    let anna = directory.agent(&PersonId::new("anna")).expect("here");
    assert_eq!(directory.queues_of(anna), [directory.own_queue(anna), all.queue, service.queue]);
    assert_eq!(directory.group_of_queue(service.queue), Some(service));
}

#[test]
fn own_queues_lie_behind_the_groups() {
    let directory = four(Vec::new());
    let dan = directory.agent(&PersonId::new("dan")).expect("here");
    let own = directory.own_queue(dan);
    assert_eq!(own, QueueId(LIMITS.groups_max + dan.0));
    assert_eq!(directory.queue_owner(own), Some(dan));
    assert_eq!(directory.queue_owner(QueueId(0)), None);
}

#[test]
fn every_bound_and_every_double_name_is_told() {
    let few = DirectoryLimits { agents_max: 2, groups_max: 1 };
    let mut twice = person("anna", "", &["operator", "finance"]);
    twice.sip_user = Some(Arc::from("boris"));
    let people = vec![
        person("anna", "", &["operator", "finance"]),
        twice,
        person("boris", "", &[]),
        person("clara", "", &[]),
    ];
    let problems = Directory::build(None, rows(people), few).expect_err("too much");
    for part in ["anna: the name", "SIP user boris", "clara: agents_max = 2", "groups_max = 1"] {
        assert!(problems.iter().any(|p| p.contains(part)), "{part} in {problems:?}");
    }
    let roles: Vec<String> = (0..9).map(|n| format!("role{n}")).collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let limits = DirectoryLimits { agents_max: 9, groups_max: 99 };
    let problems = Directory::build(None, rows(vec![person("anna", "a", &roles)]), limits);
    assert!(problems.is_err_and(|p| p[0].contains("18 groups, 16 are possible")));
}

#[test]
fn the_number_of_groups_is_fixed_at_the_start() {
    let first = four(Vec::new());
    let other = DirectoryLimits { groups_max: 17, ..LIMITS };
    let problems = Directory::build(Some(&first), rows(vec![]), other).expect_err("it would move");
    assert!(problems[0].contains("it was 16"), "{problems:?}");
    let many = DirectoryLimits { agents_max: u16::MAX, groups_max: 1 };
    assert!(Directory::build(None, rows(vec![]), many).is_err());
}

#[test]
fn a_colleague_is_addressed_by_extension_or_by_name_but_not_without_a_phone() {
    let mut anna = person("anna", "", &["manager"]);
    anna.sip_user = Some(Arc::from("112"));
    let mut boris = person("boris", "", &["manager"]);
    boris.sip_user = None;
    // An extension that looks like somebody's name belongs to who has it.
    let mut clara = person("clara", "", &["manager"]);
    clara.sip_user = Some(Arc::from("dan"));
    let mut dan = person("dan", "", &["manager"]);
    dan.sip_user = Some(Arc::from("114"));
    let people = rows(vec![anna, boris, clara, dan]);
    let directory = Directory::build(None, people, LIMITS).expect("a good directory");
    let whom = |dialled| {
        let agent = directory.agent_addressed(dialled)?;
        directory.person(agent).map(|p| p.id.to_string())
    };
    assert_eq!(whom("112").as_deref(), Some("anna"));
    assert_eq!(whom("anna").as_deref(), Some("anna"));
    assert_eq!(whom("dan").as_deref(), Some("clara"));
    assert_eq!((whom("boris"), whom("113"), whom("")), (None, None, None));
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).expect("a group's name")
}

fn moved(person: &str, to: &str, from: Option<&str>) -> Order {
    Order::Move { person: PersonId::new(person), to: group(to), from: from.map(group) }
}

/// Operators ole and ida of support, led by hans; kai is finance's only one, led by greta; sue leads
/// shifts.
fn office(orders: &Orders, absences: Vec<Absence>) -> Directory {
    let mut departments = vec![department("support", ""), department("money", "")];
    departments[0].head = Some(PersonId::new("hans"));
    departments[0].deputy_head = Some(PersonId::new("dora"));
    departments[1].head = Some(PersonId::new("greta"));
    let people = vec![
        person("ole", "support", &["operator"]),
        person("ida", "support", &["operator", "helper"]),
        person("hans", "support", &["head"]),
        person("dora", "support", &["manager"]),
        person("sue", "support", &["shift_leader"]),
        person("kai", "money", &["finance"]),
        person("greta", "money", &["head"]),
    ];
    let rows = DirectoryRows { departments, absences, ..rows(people) };
    let limits = DirectoryLimits { agents_max: 16, groups_max: 32 };
    Directory::build_with(None, rows, orders.clone(), limits).expect("a good directory")
}

fn by(supervisor: &PersonId) -> Hand<'_> {
    (supervisor, noon("2026-03-02"))
}

fn serving(directory: &Directory, role: &str) -> Vec<String> {
    let group = directory.group(&Role::new(role));
    group.map_or_else(Vec::new, |group| names(directory, &group.members))
}

#[test]
fn b8_an_order_moves_a_person_between_groups_until_it_is_taken_back() {
    let (none, sue) = (Orders::default(), PersonId::new("sue"));
    let orders = none.with(moved("ole", "finance", None), by(&sue)).expect("taken");
    let directory = office(&orders, vec![]);
    assert_eq!(serving(&directory, "operator"), ["ida"]);
    assert_eq!(serving(&directory, "finance"), ["ole", "kai"]);
    let ole = directory.agent(&PersonId::new("ole")).expect("there");
    let finance = directory.group(&Role::new("finance")).expect("a group").queue;
    assert_eq!(directory.queues_of(ole), [directory.own_queue(ole), finance]);
    assert_eq!(orders.moved(&PersonId::new("ole")), Some(&sue));
    let back = Order::Back { person: PersonId::new("ole") };
    let orders = orders.with(back.clone(), by(&sue)).expect("taken");
    assert_eq!(orders, none);
    assert_eq!(serving(&office(&orders, vec![]), "operator"), ["ole", "ida"]);
    assert!(orders.with(back, by(&sue)).is_err(), "there is nothing to take back");
}

#[test]
fn b8_with_from_only_that_group_is_left_in_every_department() {
    let sue = PersonId::new("sue");
    let from = moved("ida", "finance of money", Some("operator"));
    let orders = Orders::default().with(from, by(&sue)).expect("taken");
    let directory = office(&orders, vec![]);
    assert_eq!(serving(&directory, "operator"), ["ole"]);
    assert_eq!(serving(&directory, "helper"), ["ida"]);
    assert_eq!(
        serving(&directory, "finance"),
        ["ida", "kai"],
        "one of a department's is one of all"
    );
    let money = directory.group_in(&Role::new("finance"), &DepartmentId::new("money"));
    assert_eq!(names(&directory, &money.expect("a group").members), ["ida", "kai"]);
    let support = DepartmentId::new("support");
    let there = directory.group_in(&Role::new("operator"), &support).expect("a group");
    assert_eq!(names(&directory, &there.members), ["ole"]);
}

#[test]
fn b8_a_plan_goes_as_a_whole_and_leaves_what_was_ordered_by_hand() {
    let (sue, plan): (PersonId, Arc<str>) = (PersonId::new("sue"), "fire".into());
    let close = |name: &str| Order::Close { group: group(name) };
    let by_hand = Orders::default().with(close("helper"), by(&sue)).expect("taken");
    let set =
        [moved("ole", "finance", None), close("operator"), Order::Open { group: group("helper") }];
    let orders = by_hand.with_plan(&plan, &set, by(&sue)).expect("taken");
    assert_eq!(orders.plan(), Some((&plan, &sue)));
    assert_eq!(orders.closed(&group("helper")), None);
    assert_eq!(orders.closed(&group("operator")), Some(&sue));
    assert!(orders.with_plan(&"flood".into(), &set, by(&sue)).is_err(), "one at a time");
    let opened = orders.with(Order::Open { group: group("operator") }, by(&sue)).expect("taken");
    assert_eq!(opened.closed(&group("operator")), None, "the newest order counts");
    assert_eq!(orders.without_plan().as_ref(), Ok(&by_hand));
    assert!(by_hand.without_plan().is_err());
}

#[test]
fn b8_an_order_of_a_plan_that_is_taken_back_has_no_effect_and_the_last_one_ends_the_plan() {
    let (sue, plan): (PersonId, Arc<str>) = (PersonId::new("sue"), "fire".into());
    let (hans, ole) = (PersonId::new("hans"), PersonId::new("ole"));
    let set = [moved("ole", "finance", None), Order::Close { group: group("operator") }];
    let by_hand = Orders::default().with(Order::Close { group: group("helper") }, by(&hans));
    let orders = by_hand.clone().expect("taken").with_plan(&plan, &set, by(&sue)).expect("taken");
    let back = orders.with(Order::Back { person: ole.clone() }, by(&hans)).expect("taken");
    assert_eq!(back.moved(&ole), None);
    assert_eq!(serving(&office(&back, vec![]), "operator"), ["ole", "ida"]);
    let state: Vec<String> = back.of_plan().map(ToString::to_string).collect();
    assert_eq!(
        state,
        [
            "ole moved to finance (by sue at 2026-03-02T12:00:00Z, plan fire, taken back by hans)",
            "queue operator closed (by sue at 2026-03-02T12:00:00Z, plan fire)",
        ]
    );
    let again = Order::Back { person: ole.clone() };
    assert!(back.with(again, by(&hans)).is_err(), "it is taken back");
    let json = serde_json::to_string(&back).expect("plain data");
    assert_eq!(serde_json::from_str::<Orders>(&json).ok().as_ref(), Some(&back));
    // Another order by hand takes the place of the plan's.
    let other = orders.with(moved("ole", "helper", None), by(&hans)).expect("taken");
    assert_eq!(other.moved(&ole), Some(&hans));
    assert_eq!(other.of_plan().filter(|s| s.taken_back.is_some()).count(), 1);
    let over = back.with(Order::Open { group: group("operator") }, by(&hans)).expect("taken");
    assert_eq!((over.plan(), Ok(&over)), (None, by_hand.as_ref()));
    assert_eq!(back.without_plan().as_ref(), by_hand.as_ref());
}

#[test]
fn b8_a_move_that_changes_nothing_is_told_from_one_that_does() {
    let sue = PersonId::new("sue");
    let here = office(&Orders::default(), vec![]);
    let why = |directory: &Directory, order: &Order| directory.changes(order).expect_err("nothing");
    let from = moved("ole", "finance", Some("helper"));
    assert!(why(&here, &from).starts_with("ole does not serve helper"), "not one of theirs");
    let from = moved("ole", "finance", Some("operator of money"));
    assert!(why(&here, &from).starts_with("ole does not serve operator of money"));
    let within = moved("ole", "operator", Some("operator of support"));
    assert_eq!(here.changes(&within), Ok(()), "of the company, and no more of the department");
    assert_eq!(here.changes(&moved("ida", "operator", Some("helper"))), Ok(()), "one less");
    let why_not = why(&here, &moved("ole", "operator", None));
    assert_eq!(why_not, "ole serves operator already, and nothing else");
    let whole = moved("ida", "helper", None);
    assert_eq!(here.changes(&whole), Ok(()));
    let there = office(&Orders::default().with(whole.clone(), by(&sue)).expect("taken"), vec![]);
    assert_eq!(why(&there, &whole), "ida serves helper already, and nothing else");
    assert!(why(&there, &moved("ida", "helper", Some("operator"))).contains("does not serve"));
    let same = moved("ida", "helper", Some("helper"));
    assert_eq!(why(&there, &same), "ida serves helper already");
}

#[test]
fn b8_a_position_is_closed_until_a_supervisor_opens_it() {
    let (sue, ole) = (PersonId::new("sue"), PersonId::new("ole"));
    let close = Order::ClosePosition { person: ole.clone() };
    let open = Order::OpenPosition { person: ole.clone() };
    let orders = Orders::default().with(close.clone(), by(&sue)).expect("taken");
    let standing = orders.position_closed(&ole).expect("closed");
    assert_eq!(standing.by_whom(), "by sue at 2026-03-02T12:00:00Z");
    let directory = office(&orders, vec![]);
    assert_eq!(directory.position_closed(&ole), Some(standing));
    assert_eq!(serving(&directory, "operator"), ["ole", "ida"], "who comes back serves the same");
    assert!(orders.with(close.clone(), by(&sue)).is_err(), "it is closed");
    let plan = orders.with_plan(&"fair".into(), std::slice::from_ref(&open), by(&sue));
    let plan = plan.expect("taken");
    assert_eq!(office(&plan, vec![]).position_closed(&ole), None, "the newest order counts");
    assert_eq!(plan.without_plan().as_ref(), Ok(&orders));
    let none = orders.with(open.clone(), by(&sue)).expect("taken");
    assert_eq!(none, Orders::default());
    assert!(none.with(open, by(&sue)).is_err(), "it is open");
    let json = r#"[{"order":"close_position","person":"ole","by":"sue"}]"#;
    let old: Orders = serde_json::from_str(json).expect("without a time");
    assert_eq!(old.position_closed(&ole).map(Standing::by_whom).as_deref(), Some("by sue"));
}

#[test]
fn b8_orders_are_bounded_and_survive_their_text() {
    let sue = PersonId::new("sue");
    let mut orders = Orders::default();
    for n in 0..ORDERS_MAX {
        orders =
            orders.with(Order::Close { group: group(&format!("g{n}")) }, by(&sue)).expect("taken");
    }
    assert!(orders.with(moved("ole", "finance", None), by(&sue)).is_err());
    let small =
        Orders::default().with(moved("ole", "finance of money", Some("operator")), by(&sue));
    let small = small.expect("taken");
    let json = serde_json::to_string(&small).expect("plain data");
    let text = r#"[{"order":"move","person":"ole","to":"finance of money","from":"operator","by":"sue","at":"2026-03-02T12:00:00Z"}]"#;
    assert_eq!(json, text);
    assert_eq!(serde_json::from_str::<Orders>(&json).ok(), Some(small));
    assert!(GroupName::parse("operator of").is_none() && GroupName::parse("").is_none());
}

#[test]
fn b8_who_leads_stands_in_or_leads_the_shift_may_order_and_nobody_else() {
    let day = noon("2026-03-02");
    let away = |deputy| absence(1, "hans", "2026-03-02..2026-03-03", deputy);
    let orders = Orders::default();
    let order = moved("ole", "finance", None);
    let may = |directory: &Directory, by: &str, order: &Order| {
        directory.may_order(&PersonId::new(by), order, day)
    };
    let here = office(&orders, vec![]);
    assert_eq!(may(&here, "hans", &order), Ok(()));
    assert_eq!(may(&here, "sue", &order), Ok(()));
    for other in ["greta", "ole", "dora"] {
        let why = may(&here, other, &order).expect_err("refused");
        assert!(why.starts_with(&format!("{other} does not lead support")), "{why}");
    }
    assert!(may(&here, "nobody", &order).is_err());
    let gone = office(&orders, vec![away("kai")]);
    assert_eq!(may(&gone, "kai", &order), Ok(()), "C1: the deputy has the rights");
    assert_eq!(may(&gone, "dora", &order), Ok(()), "the deputy head, the head being away");
    assert_eq!(may(&gone, "hans", &order), Err("hans is absent to 2026-03-03".to_owned()));
    let close = Order::Close { group: group("finance") };
    assert_eq!(may(&here, "greta", &close), Ok(()));
    assert!(may(&here, "hans", &close).is_err());
    assert_eq!(here.may_move_call(&PersonId::new("greta"), day), Ok(()));
    assert!(here.may_move_call(&PersonId::new("ole"), day).is_err());
}

#[test]
fn b8_what_was_ordered_of_somebody_who_has_left_is_taken_back_by_name_by_any_head() {
    let (sue, gone) = (PersonId::new("sue"), PersonId::new("gone"));
    let close = Order::ClosePosition { person: gone.clone() };
    let open = Order::OpenPosition { person: gone.clone() };
    let back = Order::Back { person: gone.clone() };
    let shut = Order::Close { group: group("juggler") };
    let reopen = Order::Open { group: group("juggler") };
    let none = office(&Orders::default(), vec![]);
    for order in [&close, &open, &back, &shut, &reopen] {
        assert!(none.knows(order).is_err(), "{order}: nothing stands");
    }
    let orders = Orders::default().with(moved("gone", "finance", None), by(&sue)).expect("taken");
    let orders = orders.with(close.clone(), by(&sue)).expect("taken");
    let orders = orders.with(shut.clone(), by(&sue)).expect("taken");
    let there = office(&orders, vec![]);
    for order in [&open, &back, &reopen] {
        assert_eq!(there.knows(order), Ok(()), "{order}");
        assert!(there.names(order).is_err(), "{order}");
        for head in ["hans", "greta", "sue"] {
            let may = there.may_order(&PersonId::new(head), order, noon("2026-03-02"));
            assert_eq!(may, Ok(()), "{order}");
        }
        let may = there.may_order(&PersonId::new("ole"), order, noon("2026-03-02"));
        assert!(may.is_err(), "{order}");
        assert!(orders.with(order.clone(), by(&sue)).is_ok(), "{order}");
    }
    assert!(there.knows(&close).is_err() && there.knows(&shut).is_err(), "nothing new is ordered");
}

#[test]
fn b8_the_queue_of_a_group_whose_last_person_has_left_is_opened_by_any_head() {
    let (hans, day) = (PersonId::new("hans"), noon("2026-03-02"));
    let close = Order::Close { group: group("finance") };
    let orders = Orders::default().with(close, by(&PersonId::new("greta"))).expect("taken");
    let before = office(&orders, vec![]);
    let open = |name: &str| Order::Open { group: GroupName::parse(name).expect("a name") };
    for name in ["finance", "finance of money"] {
        let why = before.may_order(&hans, &open(name), day).expect_err("greta's");
        assert!(why.starts_with("hans does not lead money"), "{why}");
    }
    let rows = |money: &[&str], departments: Vec<Department>| {
        let people =
            [person("hans", "support", &["head"]), person("ole", "support", &["operator"])];
        let money = money.iter().map(|id| person(id, "money", &["head"]));
        let boss = [person("otto", "", &["boss"])];
        let people = people.into_iter().chain(money).chain(boss);
        DirectoryRows { departments, ..rows(people.collect()) }
    };
    let limits = DirectoryLimits { agents_max: 16, groups_max: 32 };
    let next = |rows| Directory::build(Some(&before), rows, limits).expect("a good directory");
    let mut departments = vec![department("support", ""), department("money", "")];
    departments[0].head = Some(hans.clone());
    departments[1].head = Some(PersonId::new("greta"));

    let left = next(rows(&["greta"], departments.clone()));
    for head in ["hans", "greta"] {
        assert_eq!(left.may_order(&PersonId::new(head), &open("finance"), day), Ok(()));
    }
    let why = left.may_order(&PersonId::new("ole"), &open("finance"), day);
    assert_eq!(why, Err("ole leads no department and is no shift leader (B8)".to_owned()));
    let of_money = open("finance of money");
    assert!(left.may_order(&hans, &of_money, day).is_err(), "its head is there");
    departments.pop();
    let closed_down = next(rows(&[], departments));
    assert_eq!(closed_down.may_order(&hans, &of_money, day), Ok(()), "nobody leads it any more");

    let of_boss = Order::ClosePosition { person: PersonId::new("otto") };
    let why = closed_down.may_order(&hans, &of_boss, day).expect_err("only a shift leader");
    assert_eq!(why, "otto is in no department: only a shift leader may order this (B8)");
    let why = closed_down.may_order(&hans, &open("boss"), day).expect_err("only a shift leader");
    assert_eq!(why, "whoever is boss is in no department: only a shift leader may order this (B8)");
}

#[test]
fn b8_a_replayed_directory_has_its_orders() {
    let sue = PersonId::new("sue");
    let orders = Orders::default().with(moved("ole", "finance", None), by(&sue)).expect("taken");
    let directory = office(&orders, vec![]);
    let again = Directory::replay(&directory.record(), BTreeMap::new()).expect("the same");
    assert_eq!(again.hash(), directory.hash());
    assert_eq!(serving(&again, "finance"), ["ole", "kai"]);
}
