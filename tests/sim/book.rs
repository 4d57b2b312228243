//! What the journal has said so far, call by call, and what the world did to people: a model as plain as
//! can be, which the checks compare with the core.

use telefonist::policy::{Explanation, Facts};

use super::office::Variant;
use super::reference::Verdict;
use super::world::*;

/// As the simulation's settings have it.
const WRAP_UP: Duration = Duration::from_secs(5);
const FLOW_GRACE: Duration = Duration::from_secs(30);
/// `ring` and `wait` of a step that a supervisor makes: the policy's settings.
const MOVED: Duration = Duration::from_secs(20);

pub struct Offer {
    pub agent: PersonId,
    pub step: usize,
    pub began: Moment,
    pub ended: Option<(OfferResult, Moment)>,
}

/// One call.
pub struct Story {
    pub direction: Direction,
    pub inbound: bool,
    pub caller: Option<PersonId>,
    pub call_id: String,
    pub arrived: Moment,
    /// The policy that was in force then: it is the call's for good (I19).
    pub policy: usize,
    /// What the paper says, once the call is routed by a policy.
    pub verdict: Option<Verdict>,
    /// On what it rests: groups are asked again, for who is moved into one gets its calls at once (B8).
    pub grounds: Option<(Option<Identified>, Facts)>,
    /// The queues of each step, and whether it lets go of the earlier ones.
    pub queues: Vec<(Vec<QueueId>, bool)>,
    pub waits: Vec<Duration>,
    pub rings: Vec<Duration>,
    pub step: Option<(usize, Moment)>,
    /// Steps that a supervisor made, oldest first, and where they took the call (B8).
    pub moves: Vec<(usize, String)>,
    /// Steps that were left in the moment they began; their queues hold the call if they had room.
    pub passed: BTreeSet<usize>,
    pub offers: BTreeMap<u32, Offer>,
    pub taken: Option<PersonId>,
    pub answers: u32,
    pub dialogs: BTreeSet<String>,
    pub promises: u32,
    pub ended: Option<(Outcome, Party, Moment)>,
}

impl Story {
    /// Who let it ring to the end.
    fn offer_ended(&mut self, now: Moment, offer: u32, result: OfferResult) -> Option<PersonId> {
        let offer = self.offers.get_mut(&offer)?;
        offer.ended = Some((result, now));
        if result == OfferResult::Answered {
            self.taken = Some(offer.agent.clone());
        }
        let missed = result == OfferResult::NoAnswer && self.inbound;
        missed.then(|| offer.agent.clone())
    }

    pub fn open_offer(&self) -> Option<&Offer> {
        self.offers.values().find(|offer| offer.ended.is_none())
    }

    fn routed(
        &mut self,
        found: Option<Identified>,
        explanation: &Explanation,
        facts: &Facts,
        view: &View,
        variants: &[Variant],
    ) {
        let steps = || explanation.steps.iter();
        self.queues = steps().map(|step| (step.queues.clone(), step.only)).collect();
        self.waits = steps().map(|step| step.wait).collect();
        self.rings = steps().map(|step| step.ring).collect();
        if self.inbound {
            let variant = variants[self.policy].settings();
            self.verdict = Some(view.office().decide(found.as_ref(), facts, variant));
            self.grounds = Some((found, facts.clone()));
        }
    }

    /// A supervisor has taken it to `to`: what was left by that holds it no more.
    fn taken(&mut self, step: usize, to: &str, queue: Option<QueueId>, view: &View) {
        let step = step.min(self.queues.len());
        self.queues.insert(step, (queue.into_iter().collect(), true));
        self.waits.insert(step, MOVED);
        self.rings.insert(step, MOVED);
        self.passed.retain(|passed| *passed < step);
        self.moves.push((step, to.to_owned()));
        if let Some(verdict) = &mut self.verdict {
            verdict.taken_to(step, view.office().taken_to(to));
        }
    }

    /// In line for certain, as far as the journal says.
    pub fn waits_in(&self) -> Vec<QueueId> {
        let Some((step, _)) = self.step.filter(|_| self.ended.is_none()) else { return Vec::new() };
        if self.open_offer().is_some() || self.taken.is_some() {
            return Vec::new();
        }
        let steps = &self.queues[..self.queues.len().min(step + 1)];
        let from = steps.iter().rposition(|(_, only)| *only).unwrap_or(0);
        let places = steps.iter().enumerate().skip(from).filter(|(n, _)| !self.passed.contains(n));
        places.flat_map(|(_, (queues, _))| queues.iter().copied()).collect()
    }

    /// That person missed or refused this call (B10), or is rung now.
    pub fn tried(&self, agent: &PersonId) -> bool {
        use OfferResult::{Busy, NoAnswer, Refused};
        self.offers.values().any(|offer| {
            let own = offer.ended.is_none_or(|(r, _)| matches!(r, Busy | NoAnswer | Refused));
            offer.agent == *agent && own
        })
    }
}

/// What a supervisor, or people themselves, last said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    pub logged_out: bool,
    pub paused: bool,
}

#[derive(Default)]
pub struct Book {
    pub stories: BTreeMap<CallKey, Story>,
    pub open: BTreeSet<CallKey>,
    /// What the client database answered, before the call was routed.
    pub found: BTreeMap<CallKey, Identified>,
    /// Who said so to the server, as the journal has it.
    pub said: BTreeMap<PersonId, Said>,
    /// Logged out, as the journal has it.
    out: BTreeSet<PersonId>,
    /// Each person's registered phones, and since when there is none.
    phones: BTreeMap<String, (BTreeSet<String>, Option<Moment>)>,
    /// Who let a call ring.
    pub missed: BTreeMap<PersonId, Moment>,
    pub resumed: BTreeMap<PersonId, Moment>,
    pub registered: BTreeMap<PersonId, Moment>,
    pub idle: BTreeMap<PersonId, Moment>,
    /// Call-IDs of phones that ring, whose, and since when nobody wants them to any more.
    pub ringing: BTreeMap<String, (PersonId, Option<Moment>)>,
    pub wrapped: BTreeMap<PersonId, Moment>,
    /// Call-IDs whose caller sent an ACK for a 200.
    pub acked: BTreeSet<String>,
    pub ended_count: u64,
    pub had_timers: bool,
    /// Call-IDs of agents' legs whose call is over, and since when.
    pub legs: BTreeMap<String, Moment>,
}

impl Book {
    pub fn idle_since(&self, person: &PersonId) -> Moment {
        self.idle.get(person).copied().unwrap_or(Moment::ZERO)
    }

    /// A packet came to the server.
    pub fn heard(&mut self, message: &Message) {
        if !message.is_request() && message.status() >= 200 && *message.method() == Method::Invite {
            self.ringing.remove(message.call_id());
        }
        if message.is_request() && *message.method() == Method::Ack {
            self.acked.insert(message.call_id().to_owned());
        }
    }

    pub fn commanded(&mut self, command: &Command) {
        let mut said = |person: &PersonId, change: &dyn Fn(&mut Said)| {
            change(self.said.entry(person.clone()).or_default());
        };
        match command {
            Command::Login { person } => said(person, &|s| *s = Said::default()),
            Command::Logout { person } => said(person, &|s| s.logged_out = true),
            Command::Pause { person, .. } => said(person, &|s| s.paused = true),
            Command::Resume { person } => said(person, &|s| s.paused = false),
            _ => {}
        }
    }

    /// All workers, or one, begin anew from the journal: what was not routed is asked for no more.
    #[cfg(feature = "shell")]
    pub fn restarted(&mut self, shard: Option<usize>) {
        self.found.retain(|key, _| shard.is_some_and(|shard| key.shard().index() != shard));
    }

    pub fn stories_open(&self) -> Vec<(&CallKey, &Story)> {
        self.open.iter().filter_map(|key| self.stories.get_key_value(key)).collect()
    }

    pub fn is_gone(&self, person: &PersonId) -> bool {
        self.said.get(person).is_some_and(|said| said.logged_out || said.paused)
    }

    pub fn apply(&mut self, now: Moment, view: &View, variants: &[Variant], what: &What) {
        if let What::Agent { person, change, .. } = what {
            self.agent(now, person, change);
        }
        self.registered(now, what);
        let Some(key) = what.call() else { return };
        if let What::CallArrived { direction, caller, sip_call_id, to, .. } = what {
            self.dialled(now, caller.as_ref(), to);
            self.open.insert(key);
            let story = arrived(now, view.policy, *direction, caller.clone(), sip_call_id);
            self.stories.insert(key, story);
        }
        let Some(story) = self.stories.get_mut(&key) else { return };
        match what {
            What::Routed { explanation: Some(explanation), grounds: Some(grounds), .. } => {
                let found = self.found.remove(&key);
                story.routed(found, explanation, &grounds.facts, view, variants);
            }
            What::StepBegan { step, .. } => {
                if let Some((last, _)) = story.step.filter(|(_, since)| *since == now) {
                    story.passed.insert(last);
                }
                story.step = Some((usize::from(*step), now));
            }
            What::Offered { offer, agent, step, .. } => {
                let (agent, step) = (agent.clone(), usize::from(*step));
                story.offers.insert(*offer, Offer { agent, step, began: now, ended: None });
            }
            What::OfferEnded { offer, result, .. } => {
                if let Some(offer) = story.offers.get(offer) {
                    let own = self.ringing.values_mut().filter(|(who, _)| *who == offer.agent);
                    own.for_each(|(_, until)| _ = until.get_or_insert(now));
                }
                self.missed.extend(story.offer_ended(now, *offer, *result).map(|who| (who, now)));
            }
            What::Answered { .. } => story.answers += 1,
            What::Dialog { state, .. } => {
                let id = state.pointer("/dialog/call_id").and_then(|id| id.as_str());
                story.dialogs.extend(id.map(str::to_owned));
            }
            What::Unanswered { text, offer: Some(_), .. } => {
                let mut lines = text.lines();
                let id = lines.find_map(|line| line.strip_prefix("Call-ID: "));
                story.dialogs.extend(id.map(str::to_owned));
                if let (Some(id), Some(offer)) = (id, story.open_offer()) {
                    self.ringing.insert(id.to_owned(), (offer.agent.clone(), None));
                }
            }
            What::Promised { .. } => story.promises += 1,
            What::CallEnded { outcome, by, .. } => {
                story.ended = Some((*outcome, *by, now));
                for offer in story.offers.values_mut() {
                    offer.ended.get_or_insert((OfferResult::CallerGone, now));
                }
                self.open.remove(&key);
                self.legs.extend(story.dialogs.iter().map(|id| (id.clone(), now)));
                self.ended_count += 1;
                if let Some(agent) = story.taken.clone().filter(|_| story.inbound) {
                    self.idle.insert(agent.clone(), now + WRAP_UP);
                    self.wrapped.insert(agent, now);
                }
            }
            _ => {}
        }
    }

    /// Who comes back with a phone after more than `flow_grace` joins the order of idleness at its end.
    fn registered(&mut self, now: Moment, what: &What) {
        match what {
            What::Bound { aor, binding } => {
                let key = binding["key"].as_str().unwrap_or_default().to_owned();
                let (phones, gone) = self.phones.entry(aor.to_string()).or_default();
                phones.insert(key);
                if gone.take().is_some_and(|gone| now.since(gone) > FLOW_GRACE) {
                    self.idle.insert(PersonId::new(aor), now);
                }
            }
            What::Unbound { aor, binding, .. } => {
                let (phones, gone) = self.phones.entry(aor.to_string()).or_default();
                if phones.remove(&**binding) && phones.is_empty() {
                    *gone = Some(now);
                }
            }
            _ => {}
        }
    }

    /// A star code works at once, where it was dialled; the home shard writes it down a little later.
    fn dialled(&mut self, now: Moment, caller: Option<&PersonId>, to: &str) {
        if let (Some(person), "*11" | "*14") = (caller, to) {
            self.said.insert(person.clone(), Said::default());
            self.resumed.insert(person.clone(), now);
        }
    }

    fn agent(&mut self, now: Moment, person: &PersonId, change: &telefonist::switch::AgentChange) {
        use telefonist::switch::AgentChange;
        let said = self.said.entry(person.clone()).or_default();
        match change {
            // Who logs in begins anew, ready.
            AgentChange::LoggedIn => {
                if self.out.remove(person) {
                    self.idle.insert(person.clone(), now);
                }
                *said = Said::default();
                self.resumed.insert(person.clone(), now);
            }
            AgentChange::LoggedOut => {
                said.logged_out = true;
                self.out.insert(person.clone());
            }
            AgentChange::Paused { .. } | AgentChange::Locked => said.paused = true,
            AgentChange::Resumed => {
                said.paused = false;
                self.resumed.insert(person.clone(), now);
            }
            AgentChange::Released => {}
        }
    }
}

fn arrived(
    now: Moment,
    policy: usize,
    direction: Direction,
    caller: Option<PersonId>,
    call_id: &str,
) -> Story {
    Story {
        direction,
        inbound: direction == Direction::Inbound,
        caller,
        call_id: call_id.to_owned(),
        arrived: now,
        verdict: None,
        grounds: None,
        queues: Vec::new(),
        waits: Vec::new(),
        rings: Vec::new(),
        step: None,
        policy,
        moves: Vec::new(),
        passed: BTreeSet::new(),
        offers: BTreeMap::new(),
        taken: None,
        answers: 0,
        dialogs: BTreeSet::new(),
        promises: 0,
        ended: None,
    }
}

impl Sim {
    /// A worker writes a line of its journal: every check looks, then the book takes it.
    pub fn told(&mut self, shard: usize, event: &Event) {
        let what = &event.what;
        if !matches!(what, What::Bound { .. }) {
            let line = format!("{:?}     {}", self.now, brief(what));
            self.note(line);
        }
        #[cfg(feature = "shell")]
        {
            self.state.apply(event);
            self.states[shard].apply(event);
        }
        self.checked(&mut |check, sim| check.event(sim, shard, what));
        let view = &self.views[shard];
        self.book.apply(self.now, view, &self.variants, what);
        if let What::StepBegan { call, step, to, why, .. } = what
            && why.starts_with("moved by")
            && let Some(story) = self.book.stories.get_mut(call)
        {
            let to = to.split(", moved by").next().unwrap_or_default();
            let to = to.trim_start_matches("person ").trim_start_matches("role ");
            let agent = self.directory.agent(&to.into());
            let queue = match agent {
                Some(agent) => Some(self.directory.own_queue(agent)),
                None => self.directory.group_queue(&super::office::group(to)),
            };
            story.taken(usize::from(*step), to, queue, view);
        }
        self.checked(&mut |check, sim| check.after(sim, shard, what));
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
