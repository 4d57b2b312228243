//! A directory as the journal keeps it: what a decision may depend on, so that it can be replayed.
//! Neither passwords nor addresses; calendars are kept with the policy's text.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Absence, Department, Directory, DirectoryLimits, Order, Orders, Person, PersonId};
use crate::domain::{AgentId, Calendar, DepartmentId, QueueId, Role};

/// People with their places, groups with their queues, departments, absences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Everybody of the snapshot.
    pub people: Vec<(AgentId, Person)>,
    /// Every queue ever given out.
    pub queues: Vec<(Role, Option<DepartmentId>, QueueId)>,
    /// All departments.
    pub departments: Vec<Department>,
    /// All absences, in the order in which they count.
    pub absences: Vec<Absence>,
    /// Where people's own queues begin.
    pub groups_max: u16,
    /// What supervisors have ordered. Left out of JSON if nothing.
    #[serde(default, skip_serializing_if = "Orders::is_empty")]
    pub orders: Orders,
}

impl Directory {
    /// What decisions may depend on.
    pub fn record(&self) -> DirectoryRecord {
        let people = self.agents().map(|(agent, person)| {
            let person = Person { credentials: None, email: None, ..(**person).clone() };
            (agent, person)
        });
        let queues = self.group_queues.iter();
        DirectoryRecord {
            people: people.collect(),
            queues: queues
                .map(|((role, dep), queue)| (role.clone(), dep.clone(), *queue))
                .collect(),
            departments: self.departments.values().cloned().collect(),
            absences: self.absences.values().flatten().cloned().collect(),
            groups_max: self.groups_max,
            orders: self.orders.clone(),
        }
    }

    /// The same as if this emergency plan were in force, instead of another. Errors: each bound that would
    /// be passed.
    pub fn under_plan<'a>(
        &self,
        name: &Arc<str>,
        orders: impl Iterator<Item = &'a Order>,
    ) -> Result<Directory, Vec<String>> {
        let none = self.orders.without_plan().unwrap_or_else(|_| self.orders.clone());
        let orders: Vec<Order> = orders.cloned().collect();
        let nobody = PersonId::new("nobody");
        let orders = none.with_plan(name, &orders, (&nobody, Timestamp::UNIX_EPOCH));
        let orders = orders.map_err(|why| vec![why])?;
        let record = DirectoryRecord { orders, ..self.record() };
        Self::replay(&record, self.calendars.clone())
    }

    /// The hash of its record: calls name the directory by it.
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// The directory that a record was made from, with the calendars of its time. Errors: the record
    /// contradicts itself.
    pub fn replay(
        record: &DirectoryRecord,
        calendars: BTreeMap<Arc<str>, Arc<Calendar>>,
    ) -> Result<Directory, Vec<String>> {
        let mut problems = Vec::new();
        let places = record.people.iter().map(|(agent, _)| agent.index() + 1).max().unwrap_or(0);
        let departments = record.departments.iter().map(|d| (d.id.clone(), d.clone()));
        let queues = record.queues.iter();
        let mut directory = Directory {
            people: vec![None; places],
            agents: record.people.iter().map(|(agent, p)| (p.id.clone(), *agent)).collect(),
            group_queues: queues.map(|(r, d, queue)| ((r.clone(), d.clone()), *queue)).collect(),
            departments: departments.collect(),
            groups_max: record.groups_max,
            closed_positions: record.orders.closed_positions(),
            orders: record.orders.clone(),
            calendars,
            ..Directory::default()
        };
        let limits = DirectoryLimits { agents_max: u16::MAX, groups_max: record.groups_max };
        for (_, person) in &record.people {
            directory.add_person(person.clone(), limits, &mut problems);
        }
        directory.build_groups(limits, &mut problems);
        for absence in &record.absences {
            directory.absences.entry(absence.person.clone()).or_default().push(absence.clone());
        }
        directory.fill_places();
        directory.hash = hash(&directory.record());
        if problems.is_empty() { Ok(directory) } else { Err(problems) }
    }
}

pub(super) fn hash(record: &DirectoryRecord) -> Arc<str> {
    let json = serde_json::to_vec(record).unwrap_or_default();
    hex(&Sha256::digest(json)[..16])
}

/// Kept with calls for ever, so it is the same in every version.
pub(super) fn fingerprint<'a>(names: impl Iterator<Item = &'a str>) -> Arc<str> {
    let mut digest = Sha256::new();
    for name in names {
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
    }
    hex(&digest.finalize()[..8])
}

fn hex(bytes: &[u8]) -> Arc<str> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
