//! The slow state of the agents whose home is this switch (clauses B8, C1–C4): logged in, not ready,
//! locked, absent, off shift, position closed, reachable. The board's flags follow it; nobody else sets them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::tell::Untold;
use super::{Mail, Output, Switch, Topic, What, home_of};
use crate::acd::Flags;
use crate::call::{AgentChange, AgentNote, StarCode};
use crate::domain::{AgentId, Directory, LockAfter, Moment, Person, PersonId, ShardId, WallOffset};

/// Edges of hours and absences are looked at again at least this often.
const EDGE_MAX: std::time::Duration = std::time::Duration::from_secs(6 * 3_600);

/// Agents whose words nothing explains are looked for this often.
const ORPHANS_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// One agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat {
    /// Said so; a person who did not is logged in while registered.
    logged_out: bool,
    paused: Option<Arc<str>>,
    missed: u32,
    locked: bool,
    /// The pause after a call that the person turned down.
    turned_down: Option<Moment>,
    /// A phone of theirs has been registered since the start.
    was_reachable: bool,
    /// When the last phone of theirs went.
    unreachable_since: Option<Moment>,
    /// To be told once a phone is registered.
    untold: Untold,
}

impl Seat {
    /// Notes whether a phone is there. `true`: they come to work with it, not back after a moment (`grace`)
    /// in which a connection broke.
    fn comes(&mut self, now: Moment, reachable: bool, grace: Duration) -> bool {
        if !reachable {
            self.unreachable_since = self.unreachable_since.or(self.was_reachable.then_some(now));
            return false;
        }
        let gone = self.unreachable_since.take();
        let first = !std::mem::replace(&mut self.was_reachable, true);
        first || gone.is_some_and(|since| now.since(since) > grace)
    }
}

/// All agents whose home is here.
#[derive(Debug, Default)]
pub(super) struct Seats {
    of: BTreeMap<AgentId, Seat>,
    /// The next edge of anybody's hours or absences.
    edge: Option<Moment>,
    orphans_at: Moment,
    /// On worker 0: everybody's local day, as of the last look.
    pub(super) days: BTreeMap<AgentId, jiff::civil::Date>,
    /// Hash of the directory that the journal was given last.
    directory: Arc<str>,
}

impl Seats {
    pub fn poll_timeout(&self) -> Moment {
        self.edge.unwrap_or(Moment::NEVER)
    }

    /// Why an agent is not ready, if they said why.
    pub fn pause_reason(&self, agent: AgentId) -> Option<&Arc<str>> {
        self.of.get(&agent)?.paused.as_ref()
    }
}

impl Switch {
    fn is_home(&self, agent: AgentId) -> bool {
        self.home(agent) == self.core.shard
    }

    pub(super) fn home(&self, agent: AgentId) -> ShardId {
        home_of(&self.core.directory, agent, self.core.shards, &self.core.hash_key)
    }

    /// People came, left, or changed: seats here, and on shard 0 the roster.
    pub(super) fn directory_changed(&mut self, now: Moment) {
        let directory = self.core.directory.clone();
        if self.core.shard == ShardId(0) {
            self.write_roster();
            self.keep_directory(now, &directory);
        }
        let known: Vec<AgentId> = self.seats.of.keys().copied().collect();
        for agent in known.into_iter().filter(|a| directory.person(*a).is_none()) {
            self.seats.of.remove(&agent);
            self.core.desk.set_flag(agent, Flags::LOGGED_OUT);
        }
        let here: Vec<AgentId> =
            directory.agents().map(|(a, _)| a).filter(|a| self.is_home(*a)).collect();
        for agent in here {
            let logged_out = !self.core.settings.login_on_register;
            self.seats.of.entry(agent).or_insert(Seat { logged_out, ..Seat::default() });
        }
        self.seats_due(now, true);
    }

    /// Into the journal under its hash, once for each change, so that decisions can be replayed.
    fn keep_directory(&mut self, now: Moment, directory: &Directory) {
        let hash = directory.hash().clone();
        if std::mem::replace(&mut self.seats.directory, hash.clone()) != hash {
            let directory = Box::new(directory.record());
            self.record(now, What::DirectoryTaken { hash, directory });
        }
    }

    /// Flags by the clock, for everybody here: when an edge has come, or `all` when anything changed.
    pub(super) fn seats_due(&mut self, now: Moment, all: bool) {
        if self.seats.orphans_at <= now {
            self.seats.orphans_at = now + ORPHANS_EVERY;
            self.release_orphans(now);
        }
        if !all && self.seats.edge.is_none_or(|edge| edge > now) {
            return;
        }
        let agents: Vec<AgentId> = self.seats.of.keys().copied().collect();
        let wall = self.core.wall.wall(now);
        let mut edge = now + EDGE_MAX;
        self.begin_days(now);
        if self.core.shard == ShardId(0) {
            let midnights = self.core.directory.agents();
            let midnights = midnights
                .map(|(_, person)| next_edge(&self.core.directory, person, wall, self.core.wall));
            edge = midnights.fold(edge, Moment::min);
        }
        for agent in agents {
            self.seat_changed(now, agent);
            if let Some(person) = self.core.directory.person(agent) {
                edge = edge.min(next_edge(&self.core.directory, person, wall, self.core.wall));
            }
        }
        self.seats.edge = Some(edge);
    }

    /// An agent bound to us whom no call of ours explains is free again, and it is said (I11).
    fn release_orphans(&mut self, now: Moment) {
        for agent in self.core.desk.release_orphans(now) {
            tracing::warn!(agent = agent.0, "nothing explains what the board says: released");
            if let Some(person) = self.core.directory.person(agent).map(|p| p.id.clone()) {
                let (change, by) = (AgentChange::Released, "server".into());
                self.record(now, What::Agent { person, change, by });
            }
        }
    }

    /// Makes the board's flags of one agent what the seat, the phones and the clock say.
    pub(super) fn seat_changed(&mut self, now: Moment, agent: AgentId) {
        let Some(person) = self.core.directory.person(agent).cloned() else { return };
        let user = person.sip_user.as_deref();
        let reachable = user.is_some_and(|u| self.core.shared.location.is_registered(u));
        let Some(seat) = self.seats.of.get_mut(&agent) else { return };
        let comes = seat.comes(now, reachable, self.core.settings.timers.flow_grace);
        let comes = comes && !seat.logged_out;
        let wall = self.core.wall.wall(now);
        let directory = &self.core.directory;
        let open = directory.calendar_of(&person).is_none_or(|c| c.is_open(wall));
        let turned_down = seat.turned_down.is_some_and(|until| until > now);
        let wanted = [
            (Flags::LOGGED_OUT, seat.logged_out),
            (Flags::PAUSED, seat.paused.is_some()),
            (Flags::NO_ANSWER, seat.locked),
            (Flags::UNREACHABLE, !reachable),
            (Flags::ABSENT, directory.absence(&person, wall).is_some()),
            (Flags::OFF_SHIFT, !open),
            (Flags::POSITION_CLOSED, directory.position_closed(&person.id).is_some()),
        ];
        // All that stand against a call before any that no longer does: no offer slips between.
        for (flag, _) in wanted.iter().filter(|(_, on)| *on) {
            self.core.desk.set_flag(agent, *flag);
        }
        for (flag, _) in wanted.iter().filter(|(_, on)| !on) {
            let mut cleared = *flag;
            if *flag == Flags::UNREACHABLE && comes {
                // Who comes to work joins the order of idleness at its end, as who logs in.
                self.core.desk.set_flag(agent, Flags::LOGGED_OUT);
                cleared = cleared | Flags::LOGGED_OUT;
            }
            let cleared = self.core.desk.clear_flag(now, agent, cleared);
            if cleared && *flag == Flags::UNREACHABLE {
                if !turned_down {
                    // The pause was the old phone's; the new one may ring at once.
                    self.core.desk.clear_flag(now, agent, Flags::BACK_OFF);
                }
                self.tell_the_rest(now, agent);
            }
        }
    }

    /// Tells a person something, now or when their phone registers: a callback promised at night is
    /// heard of in the morning.
    pub(super) fn tell_when_reachable(
        &mut self,
        now: Moment,
        to: &PersonId,
        (topic, text): (Topic, Arc<str>),
    ) {
        let agent = self.core.directory.agent(to);
        let user = agent.and_then(|a| self.core.directory.person(a)?.sip_user.clone());
        if user.is_some_and(|user| self.core.shared.location.is_registered(&user)) {
            return self.tell(now, to, &text);
        }
        let Some(seat) = agent.and_then(|agent| self.seats.of.get_mut(&agent)) else {
            tracing::debug!(%to, "this person");
            return tracing::warn!("nobody to be told something");
        };
        if let Err(bound) = seat.untold.push(topic, text) {
            tracing::debug!(%to, "this person");
            tracing::warn!(bound, "too much waits to be told: the oldest of its kind are left out");
        }
    }

    fn tell_the_rest(&mut self, now: Moment, agent: AgentId) {
        let Some(seat) = self.seats.of.get_mut(&agent) else { return };
        let texts = std::mem::take(&mut seat.untold).into_texts();
        let Some(person) = self.core.directory.person(agent).map(|p| p.id.clone()) else { return };
        texts.for_each(|text| self.tell(now, &person, &text));
    }

    /// A call's news of an agent; passed on to the home switch if that is another.
    pub(super) fn agent_note(&mut self, now: Moment, agent: AgentId, note: AgentNote) {
        let home = self.home(agent);
        if home != self.core.shard {
            let mail = Mail::Agent { agent, note };
            return self.outputs.push_back(Output::Mail { to: home, mail });
        }
        match note {
            AgentNote::Missed => self.missed(now, agent),
            AgentNote::Took => {
                if let Some(seat) = self.seats.of.get_mut(&agent) {
                    seat.missed = 0;
                }
            }
            AgentNote::TurnedDown { pause } => {
                if let Some(seat) = self.seats.of.get_mut(&agent) {
                    seat.turned_down = Some(now + pause);
                }
            }
            AgentNote::Unreachable { binding, epoch } => {
                let person = self.core.directory.person(agent).cloned();
                let Some(user) = person.and_then(|p| p.sip_user.clone()) else { return };
                let why = crate::registrar::Why::Unreachable;
                let location = &self.core.shared.location;
                let change = self.registrar.drop_binding(&user, &binding, epoch, why, location);
                self.bindings_changed(now, change.into_iter().collect());
                self.seat_changed(now, agent);
            }
            AgentNote::StarCode(code) => {
                let change = match code {
                    StarCode::Login => AgentChange::LoggedIn,
                    StarCode::Logout => AgentChange::LoggedOut,
                    StarCode::Pause => AgentChange::Paused { reason: "star code".into() },
                    StarCode::Resume => AgentChange::Resumed,
                    StarCode::WrapUpEnd => {
                        self.core.desk.end_wrap(now, agent);
                        return;
                    }
                };
                self.change_agent(now, agent, change, "self (star code)");
            }
        }
    }

    fn missed(&mut self, now: Moment, agent: AgentId) {
        let lock_after = self.core.settings.lock_after;
        let Some(seat) = self.seats.of.get_mut(&agent) else { return };
        seat.missed = seat.missed.saturating_add(1);
        if matches!(lock_after, LockAfter::Missed(n) if seat.missed >= n) {
            self.change_agent(now, agent, AgentChange::Locked, "server");
        }
    }

    /// Changes an agent's slow state, writes it down, and lets the board follow.
    pub(super) fn change_agent(
        &mut self,
        now: Moment,
        agent: AgentId,
        change: AgentChange,
        by: &str,
    ) {
        self.apply_change(agent, &change);
        if change == AgentChange::Released {
            self.core.desk.operator_release(now, agent);
        }
        if matches!(change, AgentChange::LoggedIn | AgentChange::Resumed) {
            // Whoever says that they are back is (clause C4).
            self.core.desk.clear_flag(now, agent, Flags::BACK_OFF);
        }
        if let Some(person) = self.core.directory.person(agent).map(|p| p.id.clone()) {
            tracing::info!(agent = agent.0, ?change, by, "agent changed");
            tracing::debug!(agent = agent.0, %person, "this agent");
            self.record(now, What::Agent { person, change, by: by.into() });
        }
        self.seat_changed(now, agent);
    }

    /// The same without a word: what the journal remembers.
    pub(super) fn apply_change(&mut self, agent: AgentId, change: &AgentChange) {
        let Some(seat) = self.seats.of.get_mut(&agent) else { return };
        match change {
            AgentChange::LoggedIn => {
                let Seat { was_reachable, unreachable_since, .. } = *seat;
                let untold = std::mem::take(&mut seat.untold);
                *seat = Seat { untold, was_reachable, unreachable_since, ..Seat::default() };
            }
            AgentChange::LoggedOut => seat.logged_out = true,
            AgentChange::Paused { reason } => seat.paused = Some(reason.clone()),
            AgentChange::Resumed => {
                seat.paused = None;
                seat.locked = false;
                seat.missed = 0;
                seat.turned_down = None;
            }
            AgentChange::Locked => seat.locked = true,
            AgentChange::Released => {}
        }
    }
}

/// When a person's hours or absences change next.
fn next_edge(
    directory: &Directory,
    person: &Person,
    wall: Timestamp,
    offset: WallOffset,
) -> Moment {
    let calendar = directory.calendar_of(person);
    let hours = calendar.and_then(|c| c.next_edge(wall));
    let zone = calendar.map_or(jiff::tz::TimeZone::UTC, |c| c.zone().clone());
    let midnight = zone.to_datetime(wall).date().tomorrow().ok();
    let midnight = midnight.and_then(|d| zone.to_timestamp(d.at(0, 0, 0, 0)).ok());
    let next = hours.into_iter().chain(midnight).min();
    next.map_or(Moment::NEVER, |at| offset.moment(at))
}
