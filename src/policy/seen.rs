//! What the facts of one call come to: new, debtor, region, relevant department (clauses A1–A4, B1).
//!
//! Derived once at the start of a decision; rules and targets only look here. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Policy;
use super::numbers::Dialled;
use super::plan::{Facts, IndexState};
use crate::domain::{Client, Debt, DepartmentId, Directory, PersonId};

/// A department and how it was found.
#[derive(Clone, Debug)]
pub(super) struct Relevant {
    pub(super) department: DepartmentId,
    pub(super) why: String,
}

/// The facts, understood.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) facts: &'a Facts,
    pub(super) client: Option<&'a Client>,
    /// The client's, if there is such a person: one who has left, or was mistyped, is none.
    pub(super) manager: Option<&'a PersonId>,
    /// Clause A3.
    pub(super) new: bool,
    /// Clause A4, whatever the age of the data.
    pub(super) debt: Debt,
    /// Clause B3: owes, by data that may be used.
    pub(super) debtor: bool,
    /// How old the client's row is.
    pub(super) age: Duration,
    /// The balance is older than `debt_data_max_age`.
    pub(super) old: bool,
    /// The client's, or the calling number's.
    pub(super) region: Option<Arc<str>>,
    /// The pattern of the calling number that gave the region.
    pub(super) region_by_number: Option<String>,
    /// Clause B1.
    pub(super) relevant: Relevant,
}

impl<'a> Seen<'a> {
    pub(super) fn new(policy: &Policy, directory: &Directory, facts: &'a Facts) -> Self {
        let settings = policy.settings();
        let client = facts.client.as_deref();
        let today = today(policy, directory, facts, client);
        let debt = client.map_or(Debt::Clear, |c| c.debt(today, settings.grace_days));
        let age = client.map_or(Duration::ZERO, |c| {
            Duration::try_from(facts.at.duration_since(c.as_of)).unwrap_or_default()
        });
        let old = client.is_some() && age > settings.debt_data_max_age;
        let by_number = policy.regions.find(Dialled::new(facts.from.as_ref(), &facts.from_raw));
        let own_region = client.and_then(|c| c.region.clone());
        let region_by_number =
            by_number.filter(|_| own_region.is_none()).map(|(pattern, _)| pattern.to_string());
        let region = own_region.or_else(|| by_number.map(|(_, region)| region.clone()));
        let manager = client.and_then(|c| c.manager.as_ref());
        let manager = manager.filter(|person| directory.agent(person).is_some());
        let relevant = relevant(policy, directory, facts, region.as_deref());
        Self {
            facts,
            client,
            manager,
            new: is_new(facts, manager),
            debt,
            debtor: debt != Debt::Clear && (!old || settings.use_old_debt),
            age,
            old,
            region,
            region_by_number,
            relevant,
        }
    }
}

/// Clause A3. A number that nobody could look up is unidentified, not new.
fn is_new(facts: &Facts, manager: Option<&PersonId>) -> bool {
    match (&facts.client, &facts.index) {
        (Some(client), _) => client.is_new_with(manager),
        (None, IndexState::Unavailable { .. }) => false,
        (None, _) => facts.from.is_some(),
    }
}

/// Debts count local days: the responsible department's, else the default's.
fn today(policy: &Policy, directory: &Directory, facts: &Facts, client: Option<&Client>) -> Date {
    let responsible = client.and_then(|c| c.department.as_ref());
    let department = responsible.unwrap_or(&policy.settings().default_department);
    let calendar = directory.department(department).and_then(|d| directory.calendar(&d.calendar));
    calendar.map_or_else(
        || TimeZone::UTC.to_datetime(facts.at).date(),
        |calendar| calendar.today(facts.at),
    )
}

/// Clause B1: by the called number, then the caller's region, then the default.
fn relevant(
    policy: &Policy,
    directory: &Directory,
    facts: &Facts,
    region: Option<&str>,
) -> Relevant {
    let called = Dialled::new(facts.to.as_ref(), &facts.to_raw);
    if let Some((pattern, department)) = policy.called.find(called) {
        return Relevant { department: department.clone(), why: format!("called {pattern}") };
    }
    let of_region = region.and_then(|r| directory.department_of_region(r).map(|d| (r, d)));
    if let Some((region, department)) = of_region {
        return Relevant { department: department.id.clone(), why: format!("region {region}") };
    }
    let department = policy.settings().default_department.clone();
    Relevant { department, why: "default".to_owned() }
}
