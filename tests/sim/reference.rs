//! The reference policy: who may get which call, written from the company's paper (its clauses A1–A4, B1–B4,
//! B9, C1, C2, C7) and the simulation's tables alone. It asks nothing of `policy`, and is as naive as can
//! be: the steps are lists of names, hours are minutes, deputies are looked up in a list of pairs.

use jiff::Timestamp;
use telefonist::domain::{Client, GroupName, Order, Orders, PersonId, Vip};
use telefonist::policy::{Facts, IndexState};
use telefonist::switch::Identified;

use super::office::{Absent, DEPARTMENTS, Moved, PEOPLE};

/// Whose phones may ring in one step, and for whom each stands in.
pub type Level = Vec<(&'static str, Option<&'static str>)>;

/// What the paper says of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub clause: &'static str,
    pub client: Option<i64>,
    pub levels: Vec<Level>,
    /// Seconds of head start in every queue.
    pub credit_s: u64,
}

impl Verdict {
    /// For whom `agent` stands in if a phone of theirs rings in `step`; `None` if it may not ring.
    pub fn may_ring(&self, agent: &str, step: usize) -> Option<Vec<Option<&'static str>>> {
        let levels = self.levels.iter().take(step + 1).flatten();
        let reasons: Vec<_> =
            levels.filter(|(name, _)| *name == agent).map(|(_, instead_of)| *instead_of).collect();
        (!reasons.is_empty()).then_some(reasons)
    }
}

impl Verdict {
    /// B8: the call was taken to `level` by a supervisor; the steps before hold it no more.
    pub fn taken_to(&mut self, step: usize, level: Level) {
        let step = step.min(self.levels.len());
        self.levels[..step].iter_mut().for_each(Vec::clear);
        self.levels.insert(step, level);
    }
}

/// The tables at one moment.
pub struct Office<'a> {
    absent: &'a Absent,
    moved: &'a Moved,
    orders: &'a Orders,
}

impl<'a> Office<'a> {
    pub fn of(absent: &'a Absent, moved: &'a Moved, orders: &'a Orders) -> Self {
        Self { absent, moved, orders }
    }

    /// C1.
    pub fn is_absent(&self, person: &str) -> bool {
        self.absent.iter().any(|(who, _)| PEOPLE[*who].0 == person)
    }

    /// B8: a supervisor closed the position, and nobody but a supervisor opens it.
    pub fn is_closed(&self, person: &str) -> bool {
        self.in_force().fold(false, |closed, order| match order {
            Order::ClosePosition { person: who } if who.as_str() == person => true,
            Order::OpenPosition { person: who } if who.as_str() == person => false,
            _ => closed,
        })
    }

    /// B8: orders count from the oldest to the newest, but for those that were taken back.
    fn in_force(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(|one| one.taken_back.is_none()).map(|one| &one.order)
    }

    /// B8: the queue of a group takes nobody.
    fn is_shut(&self, role: &str, department: Option<&str>) -> bool {
        self.in_force().fold(false, |shut, order| match order {
            Order::Close { group } if is_named(group, role, department) => true,
            Order::Open { group } if is_named(group, role, department) => false,
            _ => shut,
        })
    }

    /// B8: what somebody serves: by their roles, in the company and in their department, and as they were
    /// moved since.
    fn serves(&self, n: usize) -> Vec<(String, Option<String>)> {
        let (id, roles, department) = PEOPLE[n];
        let more = self.moved.iter().filter(|(who, _)| *who == n).map(|(_, role)| *role);
        let both =
            |role: &str| [(role.to_owned(), None), (role.to_owned(), Some(department.to_owned()))];
        let own: Vec<_> = roles.iter().copied().chain(more).flat_map(both).collect();
        let mut now = own.clone();
        for order in self.in_force() {
            match order {
                Order::Back { person } if person.as_str() == id => now.clone_from(&own),
                Order::Move { person, to, from } if person.as_str() == id => {
                    let leaves = |(role, d): &(String, Option<String>)| match from {
                        None => true,
                        Some(from) => {
                            let all = from.department.is_none();
                            let this = from.department.as_ref().map(|d| d.as_str()) == d.as_deref();
                            from.role.as_str() == role && (all || this)
                        }
                    };
                    now.retain(|group| !leaves(group));
                    let department = to.department.as_ref().map(|d| d.as_str().to_owned());
                    now.push((to.role.as_str().to_owned(), None));
                    now.push((to.role.as_str().to_owned(), department));
                }
                _ => {}
            }
        }
        now
    }

    /// B8: whom a call waits for that a supervisor took to a person or a group.
    pub fn taken_to(&self, to: &str) -> Level {
        if let Some(person) = known(to) {
            return just(person);
        }
        match to.split_once(" of ") {
            Some((role, department)) => self.role(role, Some(department)),
            None if to == "operator" => self.operators(),
            None => self.role(to, None),
        }
    }

    /// C7: gone whatever the telephone says.
    pub fn is_away(&self, person: &str, at: Timestamp) -> bool {
        self.is_absent(person) || self.is_closed(person) || !is_within_hours(person, at)
    }

    /// B, with the exceptions in the paper's order.
    pub fn decide(
        &self,
        found: Option<&Identified>,
        facts: &Facts,
        (vip_debtor_to_finance, debtor_to_manager): (bool, bool),
    ) -> Verdict {
        let client = found.and_then(|found| found.client.as_deref());
        let looked_up = found.is_some_and(|f| !matches!(f.index, IndexState::Unavailable { .. }));
        let number = e164(&facts.from_raw);
        let manager = client.and_then(|c| c.manager.as_ref()).and_then(|m| known(m.as_str()));
        let (new, debtor) = match client {
            Some(c) => (is_new(c, manager), owes(c)),
            None => (looked_up && number.is_some(), false),
        };
        let vip = client.is_some_and(|c| c.vip != Vip::None);
        let key = client.is_some_and(|c| c.client_type.as_str() == "key");
        let (clause, levels) = if new {
            ("B1", self.new_client(relevant(facts, client, number.as_deref())))
        } else if vip && !(debtor && vip_debtor_to_finance) {
            ("B9", self.vip(manager))
        } else if key {
            ("B2", self.key(manager))
        } else if debtor {
            ("B3", self.debtor(manager, debtor_to_manager))
        } else {
            ("B4", vec![self.operators(), self.role("shift_leader", None)])
        };
        Verdict { clause, client: client.map(|c| c.id.0), levels, credit_s: credit(client, key) }
    }

    /// B7: while they are helped, the managers may ring for their callers.
    fn operators(&self) -> Level {
        let mut level = self.role("operator", None);
        if !self.is_shut("operator", None) {
            level.extend(self.holders("manager", None));
        }
        level
    }

    /// B1: the head of the relevant department, who stands in, the head of the default department, the
    /// operators.
    fn new_client(&self, department: &'static str) -> Vec<Level> {
        vec![
            just(head(department)),
            self.deputy(head(department)),
            self.role("shift_leader", Some(department)),
            just(head("wholesale")),
            self.deputy(head("wholesale")),
            self.operators(),
        ]
    }

    /// B9: the personal manager, the deputy, another VIP manager of that department, the head of client
    /// service.
    fn vip(&self, manager: Option<&'static str>) -> Vec<Level> {
        let department = manager.and_then(department_of);
        vec![
            manager.map(just).unwrap_or_default(),
            manager.map(|m| self.deputy(m)).unwrap_or_default(),
            department.map(|d| self.role("vip_manager", Some(d))).unwrap_or_default(),
            just(head("client_service")),
            self.deputy(head("client_service")),
        ]
    }

    /// B2: the manager, the deputy, any other key-account manager, the head of wholesale.
    fn key(&self, manager: Option<&'static str>) -> Vec<Level> {
        vec![
            manager.map(just).unwrap_or_default(),
            manager.map(|m| self.deputy(m)).unwrap_or_default(),
            self.role("key_account_manager", None),
            just(head("wholesale")),
            self.deputy(head("wholesale")),
        ]
    }

    /// B3: finance, the assigned manager, the head of finance; or the manager first.
    fn debtor(&self, manager: Option<&'static str>, to_manager: bool) -> Vec<Level> {
        let finance = self.role("finance", None);
        let own = manager.map(just).unwrap_or_default();
        let deputy = manager.map(|m| self.deputy(m)).unwrap_or_default();
        let mut levels =
            if to_manager { vec![own, deputy, finance] } else { vec![finance, own, deputy] };
        levels.extend([just(head("finance")), self.deputy(head("finance"))]);
        levels
    }

    pub fn role(&self, role: &str, department: Option<&str>) -> Level {
        match self.is_shut(role, department) {
            true => Vec::new(),
            false => self.holders(role, department),
        }
    }

    /// Who serves a group, whether its queue takes callers or not.
    pub fn holders(&self, role: &str, department: Option<&str>) -> Level {
        let group = (role.to_owned(), department.map(str::to_owned));
        let people = PEOPLE.iter().enumerate().filter(|(n, _)| self.serves(*n).contains(&group));
        people.map(|(_, (id, _, _))| (*id, None)).collect()
    }

    /// C1: the chain of deputies is followed to the first who is there, without loops.
    fn deputy(&self, person: &'static str) -> Level {
        let (mut now, mut passed) = (person, vec![person]);
        while let Some((_, deputy)) = self.absent.iter().find(|(who, _)| PEOPLE[*who].0 == now) {
            let Some(next) = deputy.map(|deputy| PEOPLE[deputy].0) else { return Vec::new() };
            if passed.contains(&next) {
                return Vec::new();
            }
            passed.push(next);
            now = next;
        }
        if now == person { Vec::new() } else { vec![(now, Some(person))] }
    }
}

fn is_named(group: &GroupName, role: &str, department: Option<&str>) -> bool {
    let of = group.department.as_ref().map(|department| department.as_str());
    group.role.as_str() == role && of == department
}

/// C2: the hours of the person's department.
pub fn is_within_hours(person: &str, at: Timestamp) -> bool {
    department_of(person).is_some_and(|department| is_open(department, at))
}

fn just(person: &'static str) -> Level {
    vec![(person, None)]
}

fn known(person: &str) -> Option<&'static str> {
    PEOPLE.iter().find(|(id, _, _)| *id == person).map(|(id, _, _)| *id)
}

fn department_of(person: &str) -> Option<&'static str> {
    PEOPLE.iter().find(|(id, _, _)| *id == person).map(|(_, _, department)| *department)
}

fn head(department: &str) -> &'static str {
    let found = DEPARTMENTS.iter().find(|(id, ..)| *id == department);
    found.map(|(_, head, ..)| *head).expect("a department of the tables")
}

/// A3.
fn is_new(client: &Client, manager: Option<&str>) -> bool {
    manager.is_none() && client.last_order.is_none() && !client.served_by_operators
}

/// A4: overdue, or above the limit; exactly at the limit is not. Here everything overdue is so at once.
fn owes(client: &Client) -> bool {
    client.overdue.0 > 0 || client.credit_limit.is_some_and(|limit| client.balance.0 > limit.0)
}

/// The larger of what type and VIP level give.
fn credit(client: Option<&Client>, key: bool) -> u64 {
    let vip = match client.map_or(Vip::None, |c| c.vip) {
        Vip::None => 0,
        Vip::Local => 60,
        Vip::Branch => 120,
    };
    vip.max(if key { 60 } else { 0 })
}

/// A1, as far as the simulation's callers write numbers.
fn e164(raw: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let full = match raw {
        text if text.starts_with('+') => text.to_owned(),
        text if text.starts_with("00") => format!("+{}", &text[2..]),
        text if text.starts_with('0') => format!("+49{}", &text[1..]),
        _ => return None,
    };
    (full.len() > 9 && digits(&full[1..])).then_some(full)
}

/// B1: by the called number, then the caller's region, then the default.
fn relevant(facts: &Facts, client: Option<&Client>, number: Option<&str>) -> &'static str {
    let called = match e164(&facts.to_raw).as_deref() {
        Some("+493023125910") => Some("wholesale"),
        Some("+493023125920") => Some("market"),
        Some("+493023125930") => Some("retail"),
        Some("+493023125940") => Some("regional"),
        Some("+493023125950") => Some("sales_support"),
        _ => None,
    };
    let by_number = match number {
        Some(n) if n.starts_with("+468") => Some("North"),
        Some(n) if n.starts_with("+331") => Some("Coast"),
        _ => None,
    };
    let region = client.and_then(|c| c.region.as_deref()).or(by_number);
    let responsible =
        region.and_then(|r| DEPARTMENTS.iter().find(|(.., regions)| regions.contains(&r)));
    called.or(responsible.map(|(id, ..)| *id)).unwrap_or("wholesale")
}

/// C2 on a plain Monday to Thursday in winter: minutes of the department's day.
fn is_open(department: &str, at: Timestamp) -> bool {
    let calendar = DEPARTMENTS.iter().find(|(id, ..)| *id == department).map(|(_, _, c, _)| *c);
    let (zone, from, to) = match calendar {
        Some("operators") => (60, 8 * 60, 20 * 60),
        Some("finance") => (60, 9 * 60, 17 * 60 + 30),
        Some("regional") => (300, 9 * 60, 18 * 60),
        _ => (60, 8 * 60 + 30, 18 * 60),
    };
    let minute = (at.as_second() / 60 + zone).rem_euclid(24 * 60);
    (from..to).contains(&minute)
}

#[test]
fn the_reference_reads_like_the_paper() {
    let absent: Absent = vec![(1, Some(2)), (2, Some(0))];
    let moved = Moved::new();
    let (by, at): (&PersonId, Timestamp) = (&"sue".into(), Timestamp::UNIX_EPOCH);
    let orders = Orders::default();
    let orders = orders.with(Order::ClosePosition { person: "leo".into() }, (by, at));
    let finance = GroupName::parse("finance").expect("a group");
    let moves = Order::Move { person: "ole".into(), to: finance, from: None };
    let orders = orders.and_then(|orders| orders.with(moves, (by, at))).expect("new");
    let shut = Order::Close { group: GroupName::parse("shift_leader").expect("a group") };
    let orders = orders.with(shut, (by, at)).expect("new");
    let office = Office::of(&absent, &moved, &orders);
    let names = |level: Level| level.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names(office.role("finance", None)), ["ole", "fay", "finn"]);
    assert_eq!(names(office.role("operator", None)), ["ida", "otto"]);
    assert_eq!(names(office.taken_to("operator")), ["ida", "otto", "mia", "kai", "leo"]);
    assert!(office.taken_to("shift_leader").is_empty(), "closed");
    assert_eq!(names(office.taken_to("shift_leader of sales_support")), ["sue"]);
    // C1: mia's deputy kai is away too, whose deputy is hans.
    assert_eq!(office.key(Some("mia"))[..2], [vec![("mia", None)], vec![("hans", Some("mia"))]]);
    assert_eq!(office.deputy("leo"), [], "who is there has no deputy");
    let noon = "2026-03-03T11:00:00Z".parse().expect("a time");
    assert!(office.is_away("leo", noon) && !office.is_away("otto", noon));
    let at = |text: &str| text.parse().expect("a time");
    assert!(is_open("finance", at("2026-03-03T16:29:59Z")));
    assert!(!is_open("finance", at("2026-03-03T16:30:00Z")));
    assert!(is_open("sales_support", at("2026-03-03T18:59:00Z")));
    assert_eq!(e164("03023125001").as_deref(), Some("+493023125001"));
    assert_eq!(e164("anonymous"), None);
}
