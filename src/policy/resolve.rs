//! From the words of a step to people, queues and reasons (clauses C1, C2, C7).
//!
//! Everybody whom a step could mean is listed; who cannot be rung now is listed with the reason and
//! has no queue in it if that is certain for the whole call (absent, closed, no phone). Nothing here
//! fails: a name that leads nowhere is a note.

use std::cell::Cell;
use std::sync::Arc;

use jiff::Timestamp;

use super::course::Named;
use super::fields::Words;
use super::plan::{Member, NAMED_MAX, Presence, Step, StepShown};
use super::rule::StepRule;
use super::seen::Seen;
use super::target::{Target, Which, Who};
use super::{Help, Policy};
use crate::domain::{
    Absence, AbsenceKind, AgentId, Calendar, Department, DepartmentId, Directory, Group, GroupName,
    Person, PersonId, QueueId, Standing,
};

/// Answers what a call's targets mean, for one decision.
pub(super) struct Resolver<'a> {
    pub(super) policy: &'a Policy,
    pub(super) directory: &'a Directory,
    pub(super) seen: &'a Seen<'a>,
    /// The calendar that was asked last, and whether it is open: a group mostly shares one.
    pub(super) open: Cell<Option<(&'a Calendar, bool)>>,
}

/// A moment by the clock of the place whose calendar it is: `Mon 2026-03-02 09:00`.
pub(super) fn local(calendar: &Calendar, at: Timestamp) -> String {
    calendar.zone().to_datetime(at).strftime("%a %F %H:%M").to_string()
}

/// `position closed by nina.adler, Mon 2026-03-02 09:00 (B8)`.
fn position_closed(order: &Standing, calendar: Option<&Calendar>) -> String {
    let at = order.at.map(|at| calendar.map_or_else(|| at.to_string(), |c| local(c, at)));
    let at = at.map(|at| format!(", {at}")).unwrap_or_default();
    format!("position closed by {}{at} (B8)", order.by)
}

/// `absent (leave to 2026-03-04)`.
fn absent(absence: &Absence) -> String {
    let kind = match absence.kind {
        AbsenceKind::BusinessTrip => "business trip",
        AbsenceKind::Leave => "leave",
        AbsenceKind::Sickness => "sickness",
        AbsenceKind::Other => "other",
    };
    format!("absent ({kind} to {})", absence.to)
}

/// Whom a step means, before anybody's presence is looked at.
#[derive(Default)]
struct Meant {
    agents: Vec<AgentId>,
    for_whom: Option<PersonId>,
    group: Option<QueueId>,
    /// The group's.
    fingerprint: Option<Arc<str>>,
    /// Other groups may help this one.
    helped: bool,
    notes: Vec<String>,
}

/// `finance helps after 45 s (B7)`.
fn help_in_words(help: &Help) -> String {
    let names: Vec<String> = help.helpers.iter().map(GroupName::to_string).collect();
    format!("{} helps after {} (B7)", names.join(" or "), Words(help.opens_at))
}

impl Meant {
    fn nobody(note: String) -> Self {
        Self { notes: vec![note], ..Self::default() }
    }
}

impl<'a> Resolver<'a> {
    /// All steps of a route.
    pub(super) fn steps(&self, rules: &[StepRule]) -> Vec<Step> {
        self.steps_but(rules, &[])
    }

    /// The same for a call that did not wait in some steps for some people: `unwaited`.
    pub(super) fn steps_but(
        &self,
        rules: &[StepRule],
        unwaited: &[(Arc<str>, AgentId)],
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut named = Named::default();
        for rule in rules {
            let mut meant = self.meant(&rule.to);
            if rule.only {
                named.let_go();
            }
            if meant.group.is_none() {
                self.leave_out_those_named(&mut meant, &mut named, steps.len());
                let had_no_wait = |agent| unwaited.contains(&(rule.text.clone(), agent));
                named.forget(steps.len(), had_no_wait);
            }
            steps.push(self.step(rule, meant));
        }
        steps
    }

    /// Clause B10: a person named in an earlier step keeps the call there and gets no second wait.
    fn leave_out_those_named(&self, meant: &mut Meant, named: &mut Named, step: usize) {
        let mut notes = Vec::new();
        meant.agents.retain(|agent| {
            let Some(earlier) = named.earlier(*agent) else { return true };
            notes.push(format!("{} is in step {} already", self.name(*agent), earlier + 1));
            false
        });
        meant.notes.extend(notes);
        meant.agents.iter().for_each(|agent| named.add(*agent, step));
    }

    fn step(&self, rule: &StepRule, meant: Meant) -> Step {
        let members = meant.agents.iter().filter_map(|agent| self.member(*agent));
        let people: Arc<[Member]> = members.collect();
        let queues = match meant.group {
            // Clause B7: nobody of the group is there, its helpers may be.
            Some(group) if meant.helped && people.iter().any(|m| !m.closed) => vec![group],
            Some(group) if people.iter().any(Member::may_come_free) => vec![group],
            Some(_) => Vec::new(),
            None => {
                let open = people.iter().filter(|member| member.may_come_free());
                open.map(|member| self.directory.own_queue(member.agent)).collect()
            }
        };
        let fingerprint = (people.len() > NAMED_MAX).then(|| {
            meant.fingerprint.unwrap_or_else(|| self.directory.fingerprint(&meant.agents))
        });
        let note = meant.notes.join("; ");
        Step {
            to: rule.text.clone(),
            clause: rule.clause.clone(),
            people,
            fingerprint,
            stands_in_for: meant.for_whom,
            queues,
            ring: rule.ring,
            wait: rule.wait,
            only: rule.only,
            order: rule.choice.pick.clone(),
            together: rule.choice.together,
            note: (!note.is_empty()).then(|| Arc::from(note)),
        }
    }

    fn member(&self, agent: AgentId) -> Option<Member> {
        let person = self.directory.person(agent)?;
        let calendar = self.directory.calendar_at(agent);
        Some(Member {
            agent,
            closed: calendar.is_some_and(|c| !self.is_open(c)),
            away: person.sip_user.is_none()
                || self.directory.position_closed_at(agent).is_some()
                || self.directory.absence_at(agent, self.at()).is_some(),
        })
    }

    /// A step as an explanation shows it: everybody's presence is asked, whether named or counted.
    pub(super) fn shown(&self, step: &Step, presence: &dyn Fn(AgentId) -> Presence) -> StepShown {
        let name = |agent| self.directory.person(agent).map_or("?".into(), |p| p.id.clone());
        StepShown::of(step, |member| self.presence(member, presence), name)
    }

    fn presence(&self, member: &Member, asked: &dyn Fn(AgentId) -> Presence) -> Presence {
        let agent = member.agent;
        if member.may_come_free() {
            return asked(agent);
        }
        let calendar = self.directory.calendar_at(agent);
        let why = if let Some(absence) = self.directory.absence_at(agent, self.at()) {
            absent(absence).into()
        } else if let Some(order) = self.directory.position_closed_at(agent) {
            position_closed(order, calendar.map(|c| &**c)).into()
        } else if member.closed {
            let opens = calendar.and_then(|c| Some(local(c, c.opens(self.at())?)));
            opens.map_or_else(|| "closed".into(), |at| format!("closed, opens {at}").into())
        } else {
            "no phone of ours".into()
        };
        Presence::Gone { why }
    }

    fn is_open(&self, calendar: &'a Calendar) -> bool {
        match self.open.get() {
            Some((asked, open)) if std::ptr::eq(asked, calendar) => open,
            _ => {
                let open = calendar.is_open(self.at());
                self.open.set(Some((calendar, open)));
                open
            }
        }
    }

    fn absent(&self, person: &Person) -> Option<String> {
        self.directory.absence(person, self.at()).map(absent)
    }

    fn meant(&self, target: &Target) -> Meant {
        match target {
            Target::One(who) => match self.who(who) {
                Ok(agent) => Meant { agents: vec![agent], ..Meant::default() },
                Err(why) => Meant::nobody(why),
            },
            Target::Deputies(who) => match self.who(who) {
                Ok(agent) => self.deputies(agent),
                Err(why) => Meant::nobody(why),
            },
            Target::Role(role, which) => {
                let department = match which.as_ref().map(|which| self.which(which)) {
                    Some(Err(why)) => return Meant::nobody(why),
                    Some(Ok(department)) => Some(department),
                    None => None,
                };
                let group = match &department {
                    Some(department) => self.directory.group_in(role, department),
                    None => self.directory.group(role),
                };
                match (group, department) {
                    (Some(Group { closed_by: Some(by), .. }), _) => {
                        Meant::nobody(format!("the queue is closed by {by} (B8)"))
                    }
                    (Some(group), _) => {
                        let help = self.policy.helps.iter().find(|help| help.group == group.name());
                        let mut notes = self.moved_here(group);
                        notes.extend(help.map(help_in_words));
                        Meant {
                            agents: group.members.clone(),
                            group: Some(group.queue),
                            fingerprint: Some(group.fingerprint.clone()),
                            helped: help.is_some(),
                            notes,
                            ..Meant::default()
                        }
                    }
                    (None, Some(place)) => Meant::nobody(format!("nobody is {role} in {place}")),
                    (None, None) => Meant::nobody(format!("nobody is {role}")),
                }
            }
        }
    }

    /// Clause B8: who serves a group by a supervisor's order.
    fn moved_here(&self, group: &Group) -> Vec<String> {
        if self.directory.orders().is_empty() {
            return Vec::new();
        }
        let people = group.members.iter().filter_map(|agent| self.directory.person(*agent));
        let moved = people.filter(|person| !person.roles.contains(&group.role));
        let orders = self.directory.orders();
        let by = moved.filter_map(|person| Some((&person.id, orders.moved(&person.id)?)));
        by.map(|(person, by)| format!("{person} was moved here by {by} (B8)")).collect()
    }

    /// Clause C1: only those named for the absence.
    fn deputies(&self, agent: AgentId) -> Meant {
        let Some(person) = self.directory.person(agent) else { return Meant::default() };
        let Some(absent) = self.absent(person) else {
            return Meant::nobody(format!("{} is not absent", person.id));
        };
        let agents = self.directory.deputies(&person.id, self.at());
        if agents.is_empty() {
            return Meant::nobody(format!("{} is {absent}, no deputy is named", person.id));
        }
        Meant { agents, for_whom: Some(person.id.clone()), ..Meant::default() }
    }

    /// The person meant, or why there is none.
    pub(super) fn who(&self, who: &Who) -> Result<AgentId, String> {
        match who {
            Who::Manager => {
                let client = self.seen.client.ok_or("no client is known")?;
                let manager = client.manager.as_ref().ok_or("the client has no manager")?;
                self.agent(manager, "manager")
            }
            Who::Head(which) => {
                let department = self.department(which)?;
                let head = department.head.as_ref();
                let head = head.ok_or_else(|| format!("{} has no head", department.id))?;
                self.agent(head, "head")
            }
            Who::Person(person) => self.agent(person, "person"),
        }
    }

    fn agent(&self, person: &PersonId, what: &str) -> Result<AgentId, String> {
        self.directory.agent(person).ok_or_else(|| format!("{what} {person} has left"))
    }

    fn which(&self, which: &Which) -> Result<DepartmentId, String> {
        match which {
            Which::Relevant => Ok(self.seen.relevant.department.clone()),
            Which::Default => Ok(self.policy.settings().default_department.clone()),
            Which::Named(name) => Ok(name.value.clone()),
            Which::Client => {
                let client = self.seen.client.ok_or("no client is known")?;
                let department = client.department.clone();
                department.ok_or_else(|| "no department is responsible for the client".to_owned())
            }
            Which::Manager => {
                let manager = self.who(&Who::Manager)?;
                let person = self.directory.person(manager);
                let department = person.and_then(|p| p.department.clone());
                department.ok_or_else(|| format!("{} has no department", self.name(manager)))
            }
        }
    }

    fn department(&self, which: &Which) -> Result<&Department, String> {
        let name = self.which(which)?;
        let department = self.directory.department(&name);
        department.ok_or_else(|| format!("there is no department {name}"))
    }

    /// Whose promise it is: whom the rule names, else the client's manager → the head of the client's
    /// department → the default; of those the first whom somebody present stands for (clause C1), else
    /// the nearest of their superiors who is there (as in B6), else the first who exists.
    pub(super) fn owner(&self, named: Option<&Who>, notes: &mut Vec<String>) -> Option<PersonId> {
        let usual = [Who::Manager, Who::Head(Which::Client)];
        let default = self.policy.settings().callback_owner.as_ref().map(|owner| &owner.value);
        let order: Vec<AgentId> = named
            .into_iter()
            .chain(&usual)
            .chain(default)
            .filter_map(|who| self.who(who).ok())
            .collect();
        for agent in &order {
            let person = self.directory.person(*agent)?;
            let absent = self.absent(person).unwrap_or_default();
            let Some(stand_in) = self.directory.stand_in(&person.id, self.at()) else {
                notes.push(format!("{} is {absent}, nobody stands in for the callback", person.id));
                continue;
            };
            if stand_in != *agent {
                let stand_in = self.name(stand_in);
                notes.push(format!("the callback falls to {stand_in}: {} is {absent}", person.id));
            }
            return self.directory.person(stand_in).map(|p| p.id.clone());
        }
        for superior in order.iter().flat_map(|agent| self.directory.superiors(*agent)) {
            let person = self.directory.person(superior)?;
            if let Some(stand_in) = self.directory.stand_in(&person.id, self.at()) {
                notes.push(format!("the callback falls to the superior, {}", self.name(stand_in)));
                return self.directory.person(stand_in).map(|p| p.id.clone());
            }
        }
        order.first().and_then(|agent| self.directory.person(*agent)).map(|p| p.id.clone())
    }

    fn name(&self, agent: AgentId) -> String {
        self.directory.person(agent).map_or_else(String::new, |p| p.id.to_string())
    }

    fn at(&self) -> Timestamp {
        self.seen.facts.at
    }
}
