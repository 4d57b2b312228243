//! B7: groups help each other. When the wait of a group's callers exceeds its threshold, or nobody of the group is
//! there (B4), the people of its helpers are offered them; no more when the wait has fallen below the second
//! threshold. Between the two it stays as it was.
//!
//! ```text
//!             wait > opens                        wait < closes, somebody is there
//!   off ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─► on      on ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─► off      else: as before
//! ```
//! The model is `None` where that is not certain: after another policy, and while the core may still settle.

use super::*;
use crate::office::{HELPED, HELPER, group};
use crate::reference::Office;

/// News go from worker to worker; a threshold that is passed in line is seen as it is passed.
const AT_ONCE: Duration = Duration::from_millis(30);
/// Who comes back into line has an old wait at once, and waits fall at once: that is seen at the core's next look,
/// each second.
const SETTLES: Duration = Duration::from_millis(1_100);

/// Who waits for the group for longest, and since when they are the one.
#[derive(Clone, Copy)]
struct Oldest {
    call: CallKey,
    arrived: Moment,
    seen: Moment,
}

/// By the directory of today.
struct Groups {
    directory: Arc<Directory>,
    /// Unless nobody belongs to the group, or a supervisor has closed its queue (B8).
    queue: Option<QueueId>,
    members: Vec<AgentId>,
    helpers: Vec<(AgentId, PersonId)>,
}

#[derive(Default)]
pub struct GroupsHelp {
    /// Whether the group is helped, if that is certain; and since when anything is.
    on: Option<bool>,
    anew: Moment,
    policy: usize,
    groups: Option<Groups>,
    /// In line for certain.
    oldest: Option<Oldest>,
    /// When the first came of all who may be in line.
    first: Option<Moment>,
    /// Since when nobody of the group is there, and since when help should end.
    alone: Option<Moment>,
    ends: Option<Moment>,
    beside: Lasting<PersonId>,
}

impl Check for GroupsHelp {
    fn name(&self) -> &'static str {
        "B7"
    }

    fn event(&mut self, sim: &Sim, _: usize, what: &What) -> Found {
        let What::Offered { call, agent, step, .. } = what else { return Ok(()) };
        let story = sim.book.stories.get(call).filter(|story| story.inbound);
        let from = story.and_then(|story| story.queues.get(usize::from(*step)));
        let from = from.and_then(|(queues, _)| queues.first());
        self.look(sim);
        let queue = self.groups.as_ref().and_then(|groups| groups.queue.as_ref());
        if self.on != Some(false) || from.is_none() || from != queue {
            return Ok(());
        }
        let newest = sim.view();
        let mut offices = sim.views.iter().chain([&newest]).map(View::office);
        let own = offices.any(|office| is_of(&office, HELPED, agent));
        must(own, || format!("{agent} is offered {call} of {HELPED}, who are not helped"))
    }

    /// Between two lines of one turn somebody may wait for a moment, or nobody be there.
    fn after(&mut self, sim: &Sim, _: usize, _: &What) -> Found {
        self.look(sim);
        Ok(())
    }

    fn turned(&mut self, sim: &Sim, _: usize, kind: Kind, _: usize) -> Found {
        if kind == Kind::Policy {
            self.look(sim);
        }
        Ok(())
    }

    fn step(&mut self, sim: &Sim) -> Found {
        self.look(sim);
        let groups = self.groups.as_ref().and_then(|groups| Some((groups, groups.queue?)));
        let (Some(on), Some((groups, queue))) = (self.on, groups) else {
            self.beside.clear();
            return Ok(());
        };
        let open = sim.shared.board.is_help_open(queue);
        must(on || !open, || format!("{HELPED} are helped, and nobody waits for long"))?;
        let waits = on && self.oldest.is_some();
        must(!waits || open, || format!("{HELPED} are not helped, and somebody waits for long"))?;
        let idle = |(agent, _): &&(AgentId, _)| sim.shared.board.presence(*agent).is_free();
        let idle = groups.helpers.iter().filter(|helper| waits && idle(helper));
        let idle = idle.map(|(_, person)| person.clone()).collect();
        let beside = self.beside.look(sim.now, idle, AT_ONCE);
        must(beside.is_none(), || format!("{beside:?} may help and is free, and a caller waits"))
    }
}

impl GroupsHelp {
    /// What the paper says now.
    fn look(&mut self, sim: &Sim) {
        let known = self.groups.take().filter(|it| Arc::ptr_eq(&it.directory, &sim.directory));
        let groups = known.unwrap_or_else(|| Groups::of(sim));
        let queue = groups.queue;
        let mut members = groups.members.iter();
        let alone = members.all(|agent| sim.shared.board.presence(*agent).is_gone());
        let another = self.policy != sim.policy;
        let Some(queue) = queue.filter(|_| sim.is_undisturbed() && !another) else {
            let (policy, anew, groups) = (sim.policy, sim.now, Some(groups));
            *self = Self { policy, anew, groups, ..Self::default() };
            return;
        };
        self.groups = Some(groups);
        self.line(sim, queue);
        let since = |before: Option<Moment>| Some(before.unwrap_or(sim.now));
        self.alone = if alone { since(self.alone) } else { None };
        // Without helpers in the policy nobody helps.
        let help = sim.variants[sim.policy].help;
        let (opens, closes) = help.unwrap_or((Duration::MAX, Duration::MAX));
        let alone = self.alone.filter(|_| help.is_some());
        let wait = |arrived: Option<Moment>| arrived.map_or(Duration::ZERO, |at| sim.now.since(at));
        let least = wait(self.oldest.map(|oldest| oldest.arrived));
        let most = wait(self.first);
        let long = self.oldest.filter(|_| least > opens);
        let due = [
            long.map(|oldest| (oldest.arrived + opens + AT_ONCE).max(oldest.seen + SETTLES)),
            alone.map(|at| at + AT_ONCE),
        ];
        let begun = due.into_iter().flatten().min().is_some_and(|due| due <= sim.now);
        let ends = alone.is_none() && most < closes;
        self.ends = if ends { since(self.ends) } else { None };
        let over = self.ends.is_some_and(|at| sim.now.since(at) > SETTLES);
        self.on = match self.on {
            _ if begun => Some(true),
            _ if over => Some(false),
            Some(true) if alone.is_none() && least < closes => None,
            Some(false) if alone.is_some() || most > opens => None,
            before => before,
        };
    }

    /// Who is in the group's line.
    fn line(&mut self, sim: &Sim, queue: QueueId) {
        let (mut oldest, mut first) = (None, None);
        for (call, story) in sim.book.stories_open() {
            let Some((step, _)) = story.step.filter(|_| story.inbound) else { continue };
            if story.open_offer().is_some() || story.taken.is_some() {
                continue;
            }
            let mut queues = story.queues.iter().take(step + 1).map(|(queues, _)| queues);
            // A group that had nobody, or was closed, may have had no queue when the call came.
            let may = |q: &Vec<QueueId>| {
                q.contains(&queue) || (q.is_empty() && story.arrived < self.anew)
            };
            if queues.any(may) {
                first = Some(first.map_or(story.arrived, |f: Moment| f.min(story.arrived)));
            }
            if story.waits_in().contains(&queue) {
                oldest =
                    Some(oldest.map_or((story.arrived, *call), |o| (story.arrived, *call).min(o)));
            }
        }
        self.first = first;
        self.oldest = oldest.map(|(arrived, call)| match self.oldest {
            Some(known) if known.call == call => known,
            _ => Oldest { call, arrived, seen: sim.now },
        });
    }
}

impl Groups {
    fn of(sim: &Sim) -> Self {
        let office = sim.office();
        let agent = |name: &'static str| sim.directory.agent(&name.into());
        let members = office.holders(HELPED, None);
        let shut = office.role(HELPED, None).is_empty();
        let helps = |name: &&str| members.iter().all(|(member, _)| member != name);
        let helpers = office.holders(HELPER, None).into_iter().map(|(name, _)| name).filter(helps);
        Self {
            directory: sim.directory.clone(),
            queue: sim.directory.group_queue(&group(HELPED)).filter(|_| !shut),
            helpers: helpers.filter_map(|name| Some((agent(name)?, name.into()))).collect(),
            members: members.iter().filter_map(|(name, _)| agent(name)).collect(),
        }
    }
}

fn is_of(office: &Office<'_>, role: &str, person: &PersonId) -> bool {
    office.holders(role, None).iter().any(|(name, _)| *name == person.as_str())
}
