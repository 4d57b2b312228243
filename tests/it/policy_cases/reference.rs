//! Where a call must go, written from the paper alone: the oracle for mutations of the shipped policy.
//! Looks at people, absences and calendars; asks neither the policy engine nor its configuration.

use jiff::Timestamp;
use telefonist::domain::{Client, Directory, Money, Person, PersonId, Vip};

use super::office::Call;

/// The clause, then each step's clause and people who may ring (each once), then who owns the promise.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub clause: String,
    pub rings: Vec<Vec<String>>,
    pub closed: bool,
    pub owner: Option<String>,
}

pub struct World<'a> {
    pub directory: &'a Directory,
    pub at: Timestamp,
    /// B3's setting: the assigned manager is asked before finance.
    pub manager_first: bool,
    /// B9's setting: a VIP client who owes goes to finance.
    pub vip_debtor_to_finance: bool,
}

/// The clause that gives a step, where it is not the rule's, and its people.
type Step = (&'static str, Vec<PersonId>);

impl World<'_> {
    /// A1–A4, B: the first that fits, in the order B1, B9, B2, B3, B4.
    pub fn answer(&self, call: &Call) -> Answer {
        let digits = call.from.strip_prefix('+');
        let valid = digits.is_some_and(|d| d.len() > 7 && d.bytes().all(|b| b.is_ascii_digit()));
        let client = call.client.as_ref();
        let relevant = self.relevant(call);
        let (clause, route) = match client {
            None if !valid => ("B4", self.operators()),
            None => ("B1", self.heads(relevant)),
            Some(c) if self.is_new(c) => ("B1", self.heads(relevant)),
            Some(c) if c.vip != Vip::None && !(self.vip_debtor_to_finance && self.owes(c)) => {
                ("B9", self.vip(c))
            }
            Some(c) if c.client_type.as_str() == "key" => ("B2", self.key(c)),
            Some(c) if self.owes(c) => ("B3", self.debtor(c)),
            Some(_) => ("B4", self.operators()),
        };
        let first = if clause == "B1" { self.head(relevant) } else { None };
        let owner = self.owner(first, client);
        self.walk(clause, route, owner)
    }

    /// A3: neither a manager (who is there at all) nor an order, unless marked.
    fn is_new(&self, client: &Client) -> bool {
        self.manager(client).is_none() && client.last_order.is_none() && !client.served_by_operators
    }

    /// A4: overdue without grace, or above the limit; at the limit is not. Days are local.
    fn owes(&self, client: &Client) -> bool {
        let overdue = client.overdue > Money(0) && client.overdue_since.is_some_and(|d| d < TODAY);
        overdue || client.credit_limit.is_some_and(|limit| client.balance > limit)
    }

    /// B1: by the called number, then the caller's region, then the default.
    fn relevant(&self, call: &Call) -> &'static str {
        let by_number = match &call.to[call.to.len().saturating_sub(3)..] {
            "910" => Some("wholesale"),
            "920" => Some("market"),
            "930" => Some("retail"),
            "940" => Some("regional"),
            "950" => Some("sales_support"),
            _ => None,
        };
        let own = call.client.as_ref().and_then(|c| c.region.as_deref());
        let by_region = match own {
            Some("Old Market") => Some("market"),
            Some("Riverside") => Some("retail"),
            Some("Centre") => Some("wholesale"),
            Some("North" | "Coast") => Some("regional"),
            _ => None,
        };
        let abroad = ["+468", "+331"].iter().any(|prefix| call.from.starts_with(prefix));
        let by_origin = abroad.then_some("regional");
        by_number.or(by_region).or(by_origin).unwrap_or("wholesale")
    }

    fn heads(&self, department: &str) -> Vec<Step> {
        vec![
            ("", self.one(self.head(department))),
            ("C1", self.deputies(self.head(department))),
            ("C1", self.holders("shift_leader", Some(department))),
            ("", self.one(self.head("wholesale"))),
            ("C1", self.deputies(self.head("wholesale"))),
            ("", self.holders("operator", None)),
        ]
    }

    fn vip(&self, client: &Client) -> Vec<Step> {
        let manager = self.manager(client);
        let place = manager.as_ref().and_then(|m| self.person(m)?.department.clone());
        let others = place.map(|p| self.holders("vip_manager", Some(p.as_str())));
        let head = self.head("client_service");
        let mut route = self.managers(client);
        route.push(("", others.unwrap_or_default()));
        route.extend([("", self.one(head.clone())), ("C1", self.deputies(head))]);
        route
    }

    fn key(&self, client: &Client) -> Vec<Step> {
        let head = self.head("wholesale");
        let mut route = self.managers(client);
        let others = self.holders("key_account_manager", None);
        route.extend([("", others), ("", self.one(head.clone())), ("C1", self.deputies(head))]);
        route
    }

    fn debtor(&self, client: &Client) -> Vec<Step> {
        let head = self.head("finance");
        let mut route = self.managers(client);
        let place = if self.manager_first { route.len() } else { 0 };
        route.insert(place, ("", self.holders("finance", None)));
        route.extend([("", self.one(head.clone())), ("C1", self.deputies(head))]);
        route
    }

    fn operators(&self) -> Vec<Step> {
        vec![("", self.holders("operator", None)), ("", self.holders("shift_leader", None))]
    }

    fn managers(&self, client: &Client) -> Vec<Step> {
        let manager = self.manager(client);
        vec![("", self.one(manager.clone())), ("C1", self.deputies(manager))]
    }

    /// C2, C7: who is absent or off hours is skipped; if every step is closed, the caller hears so.
    fn walk(&self, clause: &str, route: Vec<Step>, owner: Option<PersonId>) -> Answer {
        let everybody: Vec<&PersonId> = route.iter().flat_map(|(_, people)| people).collect();
        let closed = !everybody.is_empty() && !everybody.iter().any(|p| self.is_open(p));
        let mut seen: Vec<PersonId> = Vec::new();
        let mut rings = Vec::new();
        for (given_by, step) in route {
            let mut people: Vec<PersonId> =
                step.into_iter().filter(|p| self.is_here(p) && !seen.contains(p)).collect();
            people.sort();
            seen.extend(people.iter().cloned());
            if !people.is_empty() && !closed {
                let given_by = if given_by.is_empty() { clause } else { given_by };
                let people = people.iter().map(PersonId::to_string);
                rings.push(std::iter::once(given_by.to_owned()).chain(people).collect());
            }
        }
        let owner = owner.map(|o| o.to_string());
        Answer { clause: clause.into(), rings, closed, owner }
    }

    /// B1: the head owns it; else the client's manager, the head of the client's department, the head
    /// of wholesale; whoever stands in (C1), then the first of them.
    fn owner(&self, first: Option<PersonId>, client: Option<&Client>) -> Option<PersonId> {
        let manager = client.and_then(|c| self.manager(c));
        let department = client.and_then(|c| c.department.as_ref());
        let head = department.and_then(|d| self.head(d.as_str()));
        let order = [first, manager, head, self.head("wholesale")];
        let order: Vec<PersonId> = order.into_iter().flatten().collect();
        let present = order.iter().find_map(|person| {
            let chain = self.deputies(Some(person.clone()));
            let last = chain.last().unwrap_or(person).clone();
            (!self.is_absent(&last)).then_some(last)
        });
        present.or_else(|| order.first().cloned())
    }

    fn person(&self, id: &PersonId) -> Option<&Person> {
        self.directory.agents().map(|(_, p)| p.as_ref()).find(|p| p.id == *id)
    }

    fn manager(&self, client: &Client) -> Option<PersonId> {
        client.manager.clone().filter(|m| self.person(m).is_some())
    }

    fn head(&self, department: &str) -> Option<PersonId> {
        let found = self.directory.departments().find(|d| d.id.as_str() == department)?;
        found.head.clone()
    }

    fn holders(&self, role: &str, department: Option<&str>) -> Vec<PersonId> {
        let here = |p: &Person| {
            department.is_none_or(|d| p.department.as_ref().is_some_and(|own| own.as_str() == d))
        };
        let people = self.directory.agents().map(|(_, p)| p);
        let holders = people.filter(|p| p.roles.iter().any(|r| r.as_str() == role) && here(p));
        holders.map(|p| p.id.clone()).collect()
    }

    fn one(&self, person: Option<PersonId>) -> Vec<PersonId> {
        person.into_iter().collect()
    }

    /// C1: the chain of those named for the absence, to its end.
    fn deputies(&self, person: Option<PersonId>) -> Vec<PersonId> {
        let mut chain: Vec<PersonId> = person.into_iter().collect();
        while let Some(last) = chain.last() {
            let absence = self.directory.absences().find(|a| a.person == *last);
            let Some(next) = absence.and_then(|a| a.deputy.clone()) else { break };
            if chain.contains(&next) {
                break;
            }
            chain.push(next);
        }
        chain.into_iter().skip(1).collect()
    }

    fn is_absent(&self, person: &PersonId) -> bool {
        self.directory.absences().any(|a| a.person == *person)
    }

    fn is_open(&self, person: &PersonId) -> bool {
        let place = self.person(person).and_then(|p| p.department.clone());
        let department = place.and_then(|d| self.directory.department(&d));
        let calendar = department.and_then(|d| self.directory.calendar(&d.calendar));
        calendar.is_none_or(|calendar| calendar.is_open(self.at))
    }

    fn is_here(&self, person: &PersonId) -> bool {
        self.is_open(person) && !self.is_absent(person)
    }
}

/// The office's day, by the clock of every department's zone at the hours that are looked at.
const TODAY: jiff::civil::Date = jiff::civil::date(2026, 3, 4);
