//! The office in which the cases play: the shipped policy and calendars, a small directory of its own.
//!
//! It is Wednesday, 4 March 2026, 11:00 in Berlin; everybody is there, free, and no one is absent
//! unless the case says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use telefonist::domain::{
    Absence, AbsenceKind, Client, ClientId, ClientType, Department, DepartmentId, Directory,
    DirectoryLimits, DirectoryRows, Money, Number, NumberFormat, Person, PersonId, Role, TrunkId,
    Vip,
};
use telefonist::policy::{
    Decision, Ending, Facts, IndexState, Names, Policy, Presence, Problem, Sources, calendars,
    decide,
};

pub const POLICY: &str = include_str!("../../../config/policy.toml");
pub const CALENDARS: &str = include_str!("../../../config/calendars.toml");

/// Who works here: name, roles, department.
const PEOPLE: [(&str, &str, &str); 20] = [
    ("anna", "key_account_manager", "wholesale"),
    ("boris", "key_account_manager", "wholesale"),
    ("clara", "key_account_manager", "wholesale"),
    ("vera", "head", "wholesale"),
    ("marta", "manager", "market"),
    ("otto", "head", "market"),
    ("rosa", "head", "retail"),
    ("ivo", "head", "regional"),
    ("ines", "manager", "regional"),
    ("gerd", "head", "sales_support"),
    ("nina", "operator shift_leader", "sales_support"),
    ("olga", "operator", "sales_support"),
    ("pavel", "operator", "sales_support"),
    ("helene", "head", "client_service"),
    ("viktor", "vip_manager", "client_service"),
    ("lena", "vip_manager", "client_service"),
    ("willi", "vip_manager", "wholesale"),
    ("karl", "head", "finance"),
    ("fritz", "finance", "finance"),
    ("dora", "director", ""),
];

/// Name, head, calendar, regions.
const DEPARTMENTS: [(&str, &str, &str, &[&str]); 7] = [
    ("wholesale", "vera", "office", &["Centre"]),
    ("market", "otto", "office", &["Old Market"]),
    ("retail", "rosa", "office", &["Riverside"]),
    ("regional", "ivo", "regional", &["North", "Coast"]),
    ("sales_support", "gerd", "operators", &[]),
    ("client_service", "helene", "office", &[]),
    ("finance", "karl", "finance", &[]),
];

#[derive(Clone)]
pub struct Office {
    pub at: Timestamp,
    policy_text: String,
    people: Vec<Person>,
    departments: Vec<Department>,
    absences: Vec<Absence>,
    presence: BTreeMap<PersonId, Presence>,
}

/// The shipped calendars, or those that the cases of this thread are tried on.
fn hours() -> String {
    super::hours::MUTANT.with_borrow(|hours| hours.clone().unwrap_or_else(|| CALENDARS.to_owned()))
}

pub fn office() -> Office {
    let people = PEOPLE.map(|(id, roles, department)| person(id, roles, department));
    let departments = DEPARTMENTS.map(|(id, head, calendar, regions)| Department {
        id: id.into(),
        name: id.into(),
        head: Some(head.into()),
        deputy_head: None,
        calendar: calendar.into(),
        regions: regions.iter().map(|r| Arc::from(*r)).collect(),
    });
    Office {
        at: "2026-03-04T10:00:00Z".parse().expect("an instant"),
        policy_text: super::mutations::MUTANT
            .with_borrow(|mutant| mutant.clone().unwrap_or_else(|| POLICY.to_owned())),
        people: people.to_vec(),
        departments: departments.to_vec(),
        absences: Vec::new(),
        presence: BTreeMap::new(),
    }
}

pub fn person(id: &str, roles: &str, department: &str) -> Person {
    Person {
        id: id.into(),
        name: id.into(),
        roles: roles.split_whitespace().map(Role::new).collect(),
        levels: Default::default(),
        department: (!department.is_empty()).then(|| department.into()),
        sip_user: Some(id.into()),
        supervisor: None,
        credentials: None,
        email: None,
    }
}

impl Office {
    /// Another day and time, UTC.
    pub fn at(mut self, at: &str) -> Self {
        self.at = at.parse().expect("an instant");
        self
    }

    /// `person` is on leave this week; `deputy` is named, or nobody if empty.
    pub fn absent(self, person: &str, deputy: &str) -> Self {
        self.absent_on(person, "2026-03-02..2026-03-06", deputy)
    }

    pub fn absent_on(mut self, person: &str, days: &str, deputy: &str) -> Self {
        let (from, to) = days.split_once("..").expect("from..to");
        self.absences.push(Absence {
            id: self.absences.len() as i64 + 1,
            person: person.into(),
            kind: AbsenceKind::Leave,
            from: from.parse().expect("a day"),
            to: to.parse().expect("a day"),
            deputy: (!deputy.is_empty()).then(|| deputy.into()),
            by: "test".into(),
        });
        self
    }

    pub fn busy(mut self, person: &str) -> Self {
        self.presence.insert(person.into(), Presence::Busy { why: "talking".into() });
        self
    }

    pub fn gone(mut self, person: &str, why: &'static str) -> Self {
        self.presence.insert(person.into(), Presence::Gone { why: why.into() });
        self
    }

    /// `person` has left the company.
    pub fn without(mut self, person: &str) -> Self {
        self.people.retain(|p| p.id.as_str() != person);
        self
    }

    /// Somebody works here too.
    #[cfg(feature = "shell")]
    pub fn with(mut self, person: Person) -> Self {
        self.people.push(person);
        self
    }

    /// Somebody's record is changed.
    pub fn change(mut self, id: &str, change: impl Fn(&mut Person)) -> Self {
        self.people.iter_mut().filter(|p| p.id.as_str() == id).for_each(change);
        self
    }

    pub fn change_department(mut self, id: &str, change: impl Fn(&mut Department)) -> Self {
        self.departments.iter_mut().filter(|d| d.id.as_str() == id).for_each(change);
        self
    }

    /// The policy with `old` replaced by `new`; the old text must be there.
    pub fn setting(mut self, old: &str, new: &str) -> Self {
        assert!(self.policy_text.contains(old), "`{old}` is not in the policy");
        self.policy_text = self.policy_text.replace(old, new);
        self
    }

    /// Another policy altogether.
    pub fn policy(mut self, text: &str) -> Self {
        self.policy_text = text.to_owned();
        self
    }

    pub fn directory(&self) -> Directory {
        let rows = DirectoryRows {
            people: self.people.clone(),
            departments: self.departments.clone(),
            absences: self.absences.clone(),
            calendars: calendars("calendars.toml", &hours()).expect("good calendars"),
            unread: Vec::new(),
        };
        let limits = DirectoryLimits { agents_max: 64, groups_max: 64 };
        Directory::build(None, rows, limits).expect("a good directory")
    }

    pub fn compile(&self) -> Result<Policy, Vec<Problem>> {
        let hours = hours();
        let sources = Sources {
            policy: ("policy.toml", &self.policy_text),
            calendars: ("calendars.toml", &hours),
        };
        Policy::compile(&sources, &self.directory(), &names())
    }

    /// `line:column message` of everything that is wrong.
    pub fn problems(&self) -> Vec<String> {
        let problems = match self.compile() {
            Ok(policy) => policy.warnings,
            Err(problems) => problems,
        };
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect()
    }

    pub fn decide(&self, call: &Call) -> Decision {
        let directory = self.directory();
        let policy = self.compile().expect("a good policy");
        let presence = |agent| {
            let person = directory.person(agent).expect("asked for somebody who is here");
            self.presence.get(&person.id).cloned().unwrap_or(Presence::Free)
        };
        decide(&policy, &directory, &call.facts(self.at), &presence)
    }

    /// The decision as it is read aloud: see [`read_aloud`].
    pub fn route(&self, call: &Call) -> Vec<String> {
        read_aloud(&self.decide(call))
    }
}

pub fn names() -> Names {
    let trunk = |id, seconds| (TrunkId::new(id), Duration::from_secs(seconds));
    Names {
        trunks: vec![trunk("pbx", 110), trunk("carrier", 110)],
        numbers: NumberFormat::of("DE"),
    }
}

/// One call.
#[derive(Clone)]
pub struct Call {
    pub from: String,
    pub to: String,
    pub trunk: Option<&'static str>,
    pub client: Option<Client>,
    pub others: Vec<Client>,
    pub index: IndexState,
}

/// A call of a known client of this type.
pub fn client(client_type: &str) -> Call {
    Call { client: Some(record(client_type)), ..stranger("+442079460001") }
}

/// A call from a number that nobody knows.
pub fn stranger(from: &str) -> Call {
    Call {
        from: from.to_owned(),
        to: "+493023125900".to_owned(),
        trunk: Some("pbx"),
        client: None,
        others: Vec::new(),
        index: IndexState::Fresh,
    }
}

pub fn record(client_type: &str) -> Client {
    Client {
        id: ClientId(1),
        name: "ACME".into(),
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
        last_order: Some("2026-02-20".parse().expect("a day")),
        served_by_operators: false,
        notes: "".into(),
        as_of: "2026-03-04T09:59:30Z".parse().expect("an instant"),
    }
}

impl Call {
    pub fn with(mut self, change: impl Fn(&mut Client)) -> Self {
        self.client.iter_mut().for_each(change);
        self
    }

    pub fn manager(self, id: &str) -> Self {
        self.with(|c| c.manager = Some(id.into()))
    }

    pub fn vip(self, vip: Vip) -> Self {
        self.with(|c| c.vip = vip)
    }

    pub fn department(self, id: &str) -> Self {
        self.with(|c| c.department = Some(DepartmentId::new(id)))
    }

    /// Something has been overdue for so many days.
    pub fn overdue(self, days: i64) -> Self {
        let since = "2026-03-04".parse::<jiff::civil::Date>().expect("a day");
        let since = since.checked_sub(jiff::Span::new().days(days)).expect("a day");
        self.with(|c| (c.overdue, c.overdue_since) = (Money(34_000), Some(since)))
    }

    pub fn to(mut self, number: &str) -> Self {
        self.to = number.to_owned();
        self
    }

    pub fn index(mut self, index: IndexState) -> Self {
        self.index = index;
        self
    }

    pub fn facts(&self, at: Timestamp) -> Facts {
        Facts {
            at,
            trunk: self.trunk.map(TrunkId::new),
            from_raw: self.from.as_str().into(),
            from: Number::from_e164(&self.from),
            to_raw: self.to.as_str().into(),
            to: Number::from_e164(&self.to),
            client: self.client.clone().map(Arc::new),
            others: self.others.iter().cloned().map(Arc::new).collect(),
            index: self.index.clone(),
        }
    }
}

/// First the rule with its clause, then each step with whom it would ring, then the end:
/// `B2 key client` · `manager: anna` · `deputies of manager: -` · … · `callback of anna`.
/// Who is busy has a `~`, who is gone stands in brackets; `for` names whom a deputy stands in for.
pub fn read_aloud(decision: &Decision) -> Vec<String> {
    let mut lines = vec![format!("{} {}", decision.clause, decision.rule)];
    for step in &decision.explanation.steps {
        let people = step.people.iter().map(|candidate| {
            let name = match &candidate.stands_in_for {
                Some(absent) => format!("{} for {absent}", candidate.person),
                None => candidate.person.to_string(),
            };
            match candidate.presence {
                Presence::Free => name,
                Presence::Busy { .. } => format!("~{name}"),
                Presence::Gone { .. } => format!("({name})"),
                Presence::Unknown => format!("?{name}"),
            }
        });
        let people: Vec<String> = people.collect();
        let people = if people.is_empty() { "-".to_owned() } else { people.join(" ") };
        lines.push(format!("{}: {people}", step.to));
    }
    let name =
        |owner: &Option<PersonId>| owner.as_ref().map_or("nobody".to_owned(), |o| o.to_string());
    lines.push(match &decision.plan.ending {
        Ending::Callback { owner } => format!("callback of {}", name(owner)),
        Ending::OutOfHours { owner, department, opens, .. } => {
            let department = department.as_deref().unwrap_or("-");
            let opens = opens.map_or("-".to_owned(), |at| at.to_string());
            format!("{department} is closed to {opens}, callback of {}", name(owner))
        }
        Ending::Pass { trunk } => format!("pass to {trunk}"),
        Ending::Refuse { status } => format!("refuse {status}"),
    });
    lines
}

/// Every phone that may ring, in order, each once.
pub fn rings(decision: &Decision) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let closed = decision.plan.steps.is_empty();
    let steps = decision.explanation.steps.iter().filter(|_| !closed);
    let people = steps.flat_map(|step| &step.people);
    let free = people.filter(|c| !matches!(c.presence, Presence::Gone { .. }));
    free.filter(|c| seen.insert(c.agent)).map(|c| c.person.to_string()).collect()
}
