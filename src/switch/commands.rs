//! What admins and supervisors ask of a running switch.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Command, Identified, Output, Refusal, Switch, What};
use crate::acd::{AgentState, Flags};
use crate::call::{self, AgentChange, Call, Phase};
use crate::domain::{
    AgentId, CallKey, Group, Moment, NumberFormat, Person, PersonId, QueueId, TrunkId,
};
use crate::policy::{Facts, MoveTo, Presence, decide};

type Answer = Result<Value, Refusal>;

fn refused<T>(error: impl Into<std::sync::Arc<str>>) -> Result<T, Refusal> {
    Err(Refusal { error: error.into() })
}

impl Switch {
    pub(super) fn command(&mut self, now: Moment, id: u64, command: Command, by: &str) {
        let answer = match command {
            Command::Status => Ok(self.status(now)),
            Command::Agents => Ok(self.agents(now)),
            Command::Queues => Ok(self.queues()),
            Command::Calls => Ok(self.live_calls(now)),
            Command::Explain { from, to, at, trunk, found } => {
                let found = found.map_or_else(|| Identified::unavailable("not asked"), |f| *f);
                self.explain(now, (&from, to.as_deref()), at, trunk, found)
            }
            Command::Login { person } => self.change(now, &person, AgentChange::LoggedIn, by),
            Command::Logout { person } => self.change(now, &person, AgentChange::LoggedOut, by),
            Command::Pause { person, reason } => {
                self.change(now, &person, AgentChange::Paused { reason }, by)
            }
            Command::Resume { person } => self.change(now, &person, AgentChange::Resumed, by),
            Command::Release { person } => self.change(now, &person, AgentChange::Released, by),
            Command::MoveCall { call, to, supervisor } => {
                self.move_call(now, (call, &to), &supervisor, by)
            }
            Command::Hangup { call } => {
                let ours = self.calls.hang_up(&mut self.core.env(now), call, by);
                match ours || self.hang_up_passing(now, call) {
                    true => {
                        let detail = format!("call {call} ended").into();
                        self.record(
                            now,
                            What::Changed { what: "call".into(), detail, by: by.into() },
                        );
                        Ok(json!({ "call": call, "ended": true }))
                    }
                    false => refused(format!("no call {call} is up: see `telefonist calls`")),
                }
            }
        };
        self.outputs.push_back(Output::Reply { id, answer });
    }

    fn move_call(
        &mut self,
        now: Moment,
        (call, to): (CallKey, &str),
        supervisor: &PersonId,
        by: &str,
    ) -> Answer {
        let directory = self.core.directory.clone();
        if let Err(why) = directory.may_move_call(supervisor, self.core.wall.wall(now)) {
            return refused(why);
        }
        let Some(target) = MoveTo::find(to, &directory) else {
            return refused(format!(
                "{to} is neither a person nor a group: see `telefonist queues`"
            ));
        };
        let who = (supervisor, &*format!("command by {by}"));
        if let Err(why) = self.calls.move_to(&mut self.core.env(now), call, &target, who) {
            return refused(why);
        }
        let place = |person: &PersonId| directory.agent(person).map(|agent| agent.0);
        let (group, agent) = match &target {
            MoveTo::Group(group) => (Some(group.to_string()), None),
            MoveTo::Person(person) => (None, place(person)),
        };
        let from = place(supervisor);
        tracing::info!(%call, group, agent, by = from, asked = by, "a supervisor moved a call");
        let detail = format!("call {call} moved to {target}").into();
        let by = format!("{supervisor} (command by {by})").into();
        self.record(now, What::Changed { what: "call".into(), detail, by });
        let moved = self.calls.iter().find(|c| c.key == call);
        Ok(moved.map_or(Value::Null, |moved| self.call_json(now, moved)))
    }

    fn change(&mut self, now: Moment, person: &PersonId, change: AgentChange, by: &str) -> Answer {
        let Some(agent) = self.core.directory.agent(person) else {
            return refused(format!("nobody is called {person}: see `telefonist agents`"));
        };
        self.change_agent(now, agent, change, &format!("command by {by}"));
        Ok(self.agent_json(now, agent))
    }

    fn status(&self, now: Moment) -> Value {
        let waiting = self.calls.iter().filter(|c| c.phase == Phase::Waiting).count();
        let talking = self.calls.iter().filter(|c| c.phase == Phase::Talking).count();
        let trunks: Vec<Value> = self
            .trunks
            .health()
            .map(|(id, health)| json!({ "trunk": id, "health": format!("{health:?}").to_lowercase() }))
            .collect();
        let tallies = self.core.shared.board.tallies();
        json!({
            "shard": self.core.shard,
            "calls": self.calls.len(),
            "waiting": waiting,
            "talking": talking,
            "transactions": self.core.tx.len(),
            "bindings": self.registrar.len(),
            "draining": self.drain_until.is_some(),
            "policy": self.core.policy.hash(),
            "wall": self.core.wall.wall(now),
            "trunks": trunks,
            "taken_back": tallies.revoked,
            "found_idle": tallies.found_idle,
            "released_as_orphans": tallies.orphans,
            "released_by_hand": tallies.released_by_hand,
        })
    }

    fn agents(&self, now: Moment) -> Value {
        let agents = self.core.directory.agents();
        agents.map(|(agent, _)| self.agent_json(now, agent)).collect()
    }

    fn agent_json(&self, now: Moment, agent: AgentId) -> Value {
        let Some(person) = self.core.directory.person(agent) else { return Value::Null };
        let view = self.core.shared.board.presence(agent);
        let counts = self.core.shared.board.counts(agent);
        let (state, reason) = match call::presence(&view) {
            // Who talks is seen to talk, whatever comes afterwards.
            Presence::Gone { why } if view.state == AgentState::Talking => ("talking", Some(why)),
            Presence::Free | Presence::Unknown => ("ready", None),
            Presence::Busy { why } => (busy_word(view.state), Some(why)),
            Presence::Gone { why } => ("not_ready", Some(why)),
        };
        // The board follows the directory a moment later.
        let closed = self.core.directory.position_closed(&person.id);
        let (state, reason) = match closed {
            Some(order) => {
                let why = format!("position closed {}", order.by_whom());
                // The call that they are on goes on.
                (if state == "talking" { state } else { "not_ready" }, Some(why.into()))
            }
            None => (state, reason),
        };
        let flags: Vec<&str> = view.flags.each().map(flag_word).collect();
        let user = person.sip_user.as_deref().unwrap_or_default();
        json!({
            "person": person.id,
            "agent": agent.0,
            "name": person.name,
            "department": person.department,
            "roles": person.roles,
            "state": state,
            "reason": reason,
            "pause_reason": self.seats.pause_reason(agent),
            "flags": flags,
            "phones": self.core.shared.location.bindings(user).len(),
            "since_s": view.shown_since.map(|since| now.since(since).as_secs()),
            "idle_s": now.since(view.since).as_secs(),
            "until_s": view.until.map(|until| until.since(now).as_secs()),
            "waiting_for": self.core.shared.board.len(self.core.directory.own_queue(agent)),
            "groups": self.groups_of(agent),
            "calls_today": counts.calls,
            "talk_today_s": counts.talk.as_secs(),
            "moved_by": self.core.directory.orders().moved(&person.id),
            "position_closed_by": closed.map(|order| &order.by),
            "position_closed_at": closed.and_then(|order| order.at),
        })
    }

    /// The groups that an agent serves.
    fn groups_of(&self, agent: AgentId) -> Vec<String> {
        let directory = &self.core.directory;
        let queues = directory.queues_of(agent);
        queues.iter().filter_map(|q| directory.group_of_queue(*q)).map(Group::to_string).collect()
    }

    fn queues(&self) -> Value {
        let board = &self.core.shared.board;
        let row = |queue: QueueId, kind: &str, name: &str, closed_by: Option<&PersonId>| {
            let view = board.queue_view(queue);
            json!({
                "queue": name,
                "kind": kind,
                "waiting": board.len(queue),
                "free": view.free,
                "busy": view.busy,
                "gone": view.gone,
                "closed_by": closed_by,
                "help": board.is_help_open(queue),
            })
        };
        let directory = &self.core.directory;
        let group = |g: &Group| row(g.queue, "group", &g.to_string(), g.closed_by.as_ref());
        let groups = directory.groups().map(group);
        let own = |(agent, person): (AgentId, &std::sync::Arc<Person>)| {
            row(directory.own_queue(agent), "person", person.id.as_str(), None)
        };
        let people = directory.agents().map(own);
        groups.chain(people).collect()
    }

    fn live_calls(&self, now: Moment) -> Value {
        let bridged = self.calls.iter().map(|call| self.call_json(now, call));
        bridged.chain(super::passing::shown(&self.passings)).collect()
    }

    fn call_json(&self, now: Moment, call: &Call) -> Value {
        let name = |agent: AgentId| {
            self.core.directory.person(agent).map(|p: &std::sync::Arc<Person>| p.id.clone())
        };
        let phase = match (call.phase, !call.ringing.is_empty()) {
            (Phase::Identifying, _) => "identifying",
            (Phase::Waiting, true) => "ringing",
            (Phase::Waiting, false) => "waiting",
            (Phase::Answering | Phase::Talking, _) => "talking",
        };
        // Of a call that survived a restart the journal knows what it was.
        let before = call.before.as_deref();
        let step = call.line.step.and_then(|s| call.plan_step(s)).map(|s| s.to.clone());
        let step = step.or_else(|| before?.step.clone());
        let rule = call.decision.as_ref().map(|d| (d.rule.clone(), d.clause.clone()));
        let (rule, clause) = rule.or_else(|| before?.rule.clone()).unzip();
        let known = || before?.client.as_ref().map(|client| client.name.clone());
        let client = call.client.as_ref().map(|client| client.name.clone()).or_else(known);
        let age_s = match before {
            Some(before) => self.core.wall.wall(now).duration_since(before.arrived).as_secs(),
            None => now.since(call.arrived).as_secs().cast_signed(),
        };
        json!({
            "call": call.key,
            "direction": call.direction,
            "from": call.caller.raw,
            "to": call.called.raw,
            "client": client,
            "trunk": call.trunk.as_ref().map(|t| t.id.clone()),
            "rule": rule,
            "clause": clause,
            "phase": phase,
            "step": step,
            "position": self.core.desk.position(call.key),
            "agent": call.answered_by.and_then(|(a, _)| name(a)),
            "caller": call.caller_agent.and_then(name),
            "age_s": age_s,
        })
    }

    fn explain(
        &self,
        now: Moment,
        (from, to): (&str, Option<&str>),
        at: Option<Timestamp>,
        trunk: Option<TrunkId>,
        found: Identified,
    ) -> Answer {
        let trunks = &self.core.settings.trunks;
        let trunk = match trunk {
            Some(id) => match trunks.iter().find(|t| t.id == id) {
                Some(trunk) => Some(trunk),
                None => return refused(format!("no trunk is called {id}")),
            },
            None => trunks.first(),
        };
        let format: &NumberFormat = trunk.map_or(&self.core.settings.numbers, |t| &t.numbers);
        let facts = Facts {
            at: at.unwrap_or_else(|| self.core.wall.wall(now)),
            trunk: trunk.map(|t| t.id.clone()),
            from_raw: from.into(),
            from: crate::domain::Number::parse(from, format),
            to_raw: to.unwrap_or_default().into(),
            to: to.and_then(|to| crate::domain::Number::parse(to, format)),
            client: found.client,
            others: found.others,
            index: found.index,
        };
        let board = &self.core.shared.board;
        let live = |agent: AgentId| call::presence(&board.presence(agent));
        let unknown = |_: AgentId| Presence::Unknown;
        let presence: &dyn Fn(AgentId) -> Presence = if at.is_some() { &unknown } else { &live };
        let decision = decide(&self.core.policy, &self.core.directory, &facts, presence);
        serde_json::to_value(decision).or_else(|error| refused(error.to_string()))
    }
}

fn busy_word(state: AgentState) -> &'static str {
    match state {
        AgentState::Hand | AgentState::Offered => "reserved",
        AgentState::Talking => "talking",
        AgentState::Wrap => "wrap_up",
        AgentState::Free => "busy",
    }
}

fn flag_word(flag: Flags) -> &'static str {
    let words = [
        (Flags::LOGGED_OUT, "logged_out"),
        (Flags::PAUSED, "paused"),
        (Flags::UNREACHABLE, "unreachable"),
        (Flags::ABSENT, "absent"),
        (Flags::OFF_SHIFT, "off_shift"),
        (Flags::NO_ANSWER, "no_answer"),
        (Flags::BACK_OFF, "back_off"),
        (Flags::BUSY_ELSEWHERE, "busy_elsewhere"),
        (Flags::POSITION_CLOSED, "position_closed"),
    ];
    words.iter().find(|(known, _)| *known == flag).map_or("unknown", |(_, word)| *word)
}
