//! The simulation's troubles and its invariants.

use super::sim::*;

impl Sim {
    /// A supervisor, a clock, a phone or a machine does something.
    pub(super) fn chaos(&mut self) {
        let pause = Duration::from_millis(300 + self.rng.below(4_000));
        self.at(pause, Due::Chaos);
        let people = ["mia", "kai", "hans", "ole", "ida"];
        let person: PersonId = people[self.rng.below(5) as usize].into();
        if !self.weather.chaos {
            return self.command(Command::Login { person });
        }
        match self.rng.below(12) {
            0 => self.command(Command::Pause { person, reason: "cash desk".into() }),
            1 => self.command(Command::Resume { person }),
            2 => self.command(Command::Logout { person }),
            3 | 4 => self.command(Command::Login { person }),
            5 => {
                self.policy = (self.policy + 1) % self.policies.len();
                let policy = self.policies[self.policy].clone();
                self.everybody(&Input::Policy(policy));
            }
            6 | 7 => {
                let wall = self.wall.wall(self.now);
                let who = self.rng.chance(50).then_some((person.as_str(), wall));
                self.directory = directory(Some(&self.directory), who);
                let directory = self.directory.clone();
                self.everybody(&Input::Directory(directory));
            }
            8 => {
                let jump = i64::try_from(self.rng.below(7_200)).unwrap_or(0) - 3_600;
                let wall = self.wall.wall(self.now) + jiff::SignedDuration::from_secs(jump);
                self.wall = WallOffset::new(self.now, wall);
                self.everybody(&Input::Wall(self.wall));
            }
            9 => {
                let open: Vec<CallKey> =
                    self.told.iter().filter(|(_, t)| t.ended == 0).map(|(k, _)| *k).collect();
                if !open.is_empty() && self.rng.chance(40) {
                    let call = open[self.rng.below(open.len() as u64) as usize];
                    self.command(Command::Hangup { call });
                }
            }
            10 => {
                let place = self.rng.below(PHONES.len() as u64) as usize;
                let at = addr(PHONES[place].1);
                let phone = self.phones.get_mut(&at).expect("a phone");
                phone.alive = !phone.alive;
                if phone.alive {
                    // It begins anew, and remembers nothing.
                    *phone = Phone::new(PHONES[place].0, at);
                    phone.since = Some(self.now);
                    self.register(PHONES[place].0, at);
                }
            }
            _ if self.weather.kills => self.kill(),
            _ => {
                let mut settings = (*self.settings).clone();
                settings.lock_after = match self.rng.below(3) {
                    0 => LockAfter::Never,
                    n => LockAfter::Missed(n as u32),
                };
                self.settings = Arc::new(settings);
                let settings = self.settings.clone();
                self.everybody(&Input::Settings(settings));
            }
        }
    }

    fn everybody(&mut self, input: &Input) {
        for shard in 0..self.switches.len() {
            self.input(shard, input.clone());
        }
    }

    fn command(&mut self, command: Command) {
        let shard = match command.addressee() {
            Addressee::Home(person) => {
                let Some(agent) = self.directory.agent(&person) else { return };
                home_of(&self.directory, agent, SHARDS, &KEY)
            }
            Addressee::Shard(shard) => shard,
            Addressee::Any | Addressee::All => ShardId(0),
        };
        self.log.push(format!("{:?} command {command:?}", self.now));
        self.input(shard.index(), Input::Command { id: 1, command, by: "sim".into() });
    }

    /// The process dies between two turns, and another takes over what its journal says.
    #[cfg(feature = "shell")]
    fn kill(&mut self) {
        self.log.push(format!("{:?} kill -9", self.now));
        self.started += 1;
        self.bells = (0..SHARDS).map(|_| Arc::default()).collect();
        self.shared = shared(&self.bells, &self.settings);
        self.queue.retain(|_, due| !matches!(due, Due::Mail(..) | Due::Identified(..)));
        let journalled = self.state.journalled(false);
        self.build();
        for shard in 0..self.switches.len() {
            self.switches[shard].restore(self.now, &journalled);
            self.drain(shard);
        }
        self.settle();
    }

    #[cfg(not(feature = "shell"))]
    fn kill(&mut self) {}

    /// Everybody is there and behaves from now on.
    pub(super) fn calm(&mut self) {
        self.directory = directory(Some(&self.directory), None);
        let directory = self.directory.clone();
        self.everybody(&Input::Directory(directory));
        for person in ["mia", "kai", "hans", "ole", "ida"] {
            self.command(Command::Login { person: person.into() });
        }
        for (user, at) in PHONES {
            let phone = self.phones.get_mut(&addr(at)).expect("a phone");
            if !phone.alive {
                *phone = Phone::new(user, addr(at));
                phone.since = Some(self.now);
            }
            self.register(user, addr(at));
        }
    }

    /// The journal says something: what must hold of every story is looked at here.
    pub(super) fn told(&mut self, event: &Event) {
        let what = &event.what;
        if !matches!(what, What::Bound { .. }) {
            self.log.push(format!("{:?}     {}", self.now, brief(what)));
        }
        #[cfg(feature = "shell")]
        self.state.apply(event);
        let Some(key) = what.call() else { return };
        let mut told = self.told.remove(&key).unwrap_or_default();
        if told.ended > 0 && !matches!(what, What::CallEnded { .. } | What::OfferEnded { .. }) {
            self.fail(&format!("{what:?} after the end"));
        }
        match what {
            What::CallArrived { caller, .. } => {
                told.arrived += 1;
                self.dialling.extend(caller.clone().map(|person| (key, person)));
            }
            What::CallEnded { outcome, .. } => {
                if *outcome == Outcome::CutByRestart {
                    told.offers.clear();
                }
                told.ended += 1;
                self.dialling.remove(&key);
                self.engaged.retain(|_, call| *call != key);
            }
            What::Offered { offer, agent, .. } => {
                if self.dialling.iter().any(|(call, who)| who == agent && *call != key) {
                    self.fail(&format!("I2: {agent} is offered {key} and has dialled"));
                }
                if let Some(other) = self.engaged.insert(agent.clone(), key) {
                    self.fail(&format!("I2: {agent} is offered {key} during {other}"));
                }
                if told.offers.values().count() > 0 {
                    self.fail("two offers of one call at once");
                }
                told.offers.insert(*offer, agent.clone());
            }
            What::OfferEnded { offer, result, .. } => {
                let Some(agent) = told.offers.remove(offer) else {
                    self.fail("an offer ended that was not open")
                };
                match result {
                    OfferResult::Answered => told.taken_by = Some(agent),
                    _ => drop(self.engaged.remove(&agent)),
                }
            }
            What::Answered { agent, .. } => {
                told.answered += 1;
                if told.answered > 1 || (agent.is_some() && told.taken_by != *agent) {
                    self.fail("I1: answered twice, or by somebody who was not offered it");
                }
            }
            _ => {}
        }
        if told.arrived != 1 || told.ended > 1 {
            self.fail(&format!("D1: one arrival and one end for each call, not {what:?}"));
        }
        self.told.insert(key, told);
    }

    /// What must hold whenever nothing happens.
    pub(super) fn look(&mut self) {
        let board = self.shared.board.clone();
        let groups: Vec<QueueId> = self.directory.groups().map(|g| g.queue).collect();
        let own = self.directory.agents().map(|(a, _)| self.directory.own_queue(a));
        let mut beside = BTreeMap::new();
        for queue in groups.into_iter().chain(own) {
            if board.len(queue) > 0 && board.queue_view(queue).free > 0 {
                let since = self.beside.get(&queue).copied().unwrap_or(self.now);
                if self.now.since(since) > Duration::from_millis(30) {
                    self.fail("I6: somebody is free beside a waiting call");
                }
                beside.insert(queue, since);
            }
        }
        self.beside = beside;
    }

    /// The end: nobody believes in anything any more.
    pub(super) fn assert_over(&mut self) {
        for (key, told) in &self.told {
            if told.ended != 1 || !told.offers.is_empty() {
                self.fail(&format!("D1: {key} has {} ends", told.ended));
            }
        }
        let believers: BTreeSet<&str> = self
            .callers
            .values()
            .filter(|c| c.stage != CallerStage::Over)
            .map(|c| c.call_id.as_str())
            .collect();
        if !believers.is_empty() {
            self.fail(&format!("I4: callers still believe in {believers:?}"));
        }
        for phone in self.phones.values() {
            if let Some(id) = phone.believes_in().first() {
                self.fail(&format!("I5: a phone of {} is still in {id}", phone.user));
            }
        }
        for (shard, switch) in self.switches.iter().enumerate() {
            if !switch.is_idle() {
                self.fail(&format!("shard {shard} is not idle"));
            }
        }
        let meters = &self.shared.meters.trunks;
        for trunk in &self.settings.trunks {
            let calls = meters.slot(&trunk.id).map_or(0, |slot| meters.calls(slot));
            if calls != 0 {
                self.fail(&format!("trunk {} still counts {calls} calls", trunk.id));
            }
        }
        for (agent, person) in self.directory.agents() {
            let view = self.shared.board.presence(agent);
            if view.state != AgentState::Free || !view.flags.is_empty() {
                self.fail(&format!("{} is left as {view:?}", person.id));
            }
        }
        let tallies = self.shared.board.tallies();
        if tallies.orphans > 0 {
            self.fail(&format!("the sweep had to help: {tallies:?}"));
        }
        assert!(self.told.len() > 10, "seed {}: hardly a call", self.seed);
    }
}

fn brief(what: &What) -> String {
    match what {
        What::Routed { call, rule, .. } => format!("{call} routed {rule}"),
        What::Dialog { call, side, .. } => format!("{call} dialog {side:?}"),
        What::Unanswered { call, offer, .. } => format!("{call} unanswered {offer:?}"),
        other => format!("{other:?}"),
    }
}

/// `SIM_SEEDS=50` looks at so many more of each kind.
fn seeds(from: u64, count: u64, weather: Weather) {
    let more = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in from..from + count + more {
        Sim::new(seed, weather).run(Duration::from_secs(240));
    }
}

#[test]
fn sim_calls_on_a_good_network_keep_the_invariants() {
    seeds(1_000, 2, Weather { loss: 0, chaos: false, kills: false });
}

#[test]
fn sim_people_phones_and_policies_change_at_every_point() {
    seeds(2_000, 4, Weather { loss: 0, chaos: true, kills: false });
}

#[test]
fn sim_a_network_that_loses_repeats_and_reorders() {
    seeds(3_000, 4, Weather { loss: 8, chaos: true, kills: false });
}

#[cfg(feature = "shell")]
#[test]
fn sim_the_process_is_killed_again_and_again() {
    seeds(4_000, 4, Weather { loss: 3, chaos: true, kills: true });
}
