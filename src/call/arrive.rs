//! An INVITE becomes a call: limits, identification (A1), decision, the first step.

use std::sync::Arc;

use crate::domain::{AgentId, CallKey, Client, Flow, Moment, Number, Trunk};
use crate::policy::{Decision, Ending, Facts, Grounds, IndexState};
use crate::sip::{Builder, Header, Message};
use crate::transaction::ServerTx;

use super::caller::{self, Called, Caller};
use super::presence::presence;
use super::relay::Relays;
use super::state::{Call, Decided, Incoming, Line, Phase};
use super::{Calls, Direction, Effect, Env, Outcome, Party, What};

/// Who sent an INVITE, as the switch has established.
#[derive(Clone, Debug)]
pub enum Source {
    /// A trunk, known by its address or by digest.
    Trunk(Arc<Trunk>),
    /// One of our people, known by digest.
    Person(AgentId),
}

/// What the client index said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Clause A1's choice.
    pub client: Option<Arc<Client>>,
    /// Others with the same number.
    pub others: Vec<Arc<Client>>,
    /// How fresh the answer is.
    pub index: IndexState,
}

impl Found {
    /// No answer: the caller is unidentified, never lost.
    pub fn unavailable(why: &str) -> Self {
        let index = IndexState::Unavailable { why: why.into() };
        Self { client: None, others: Vec::new(), index }
    }
}

/// A call over a limit may come back after this many seconds.
const RETRY_AFTER_S: u32 = 5;

impl Calls {
    /// A new INVITE outside any dialog, from a source that may call.
    pub fn invite(
        &mut self,
        env: &mut Env<'_>,
        tx: ServerTx,
        request: Message,
        flow: Flow,
        source: Source,
    ) {
        let mut call = self.open(env, tx, request, flow, &source);
        let key = call.key;
        let span = call.span.clone();
        let _said_in = span.enter();
        self.servers.insert(tx, key);
        if let Source::Person(agent) = &source {
            env.desk.occupy(*agent);
        }
        if self.calls.len() >= env.settings.limits.calls_max as usize {
            self.overloaded(env, &mut call, "calls_max of this worker is reached");
        } else if let Source::Trunk(trunk) = &source {
            match env.acquire_trunk(trunk) {
                Ok(()) => call.trunk = Some(trunk.clone()),
                Err(limit) => {
                    self.overloaded(env, &mut call, &format!("trunk {}: {limit}", trunk.id))
                }
            }
        }
        if call.ended {
            return;
        }
        self.calls.insert(key, call);
        self.with(key, |calls, call| match source {
            Source::Trunk(_) => calls.identify(env, call),
            Source::Person(agent) => calls.person_calls(env, call, agent),
        });
    }

    fn open(
        &mut self,
        env: &mut Env<'_>,
        tx: ServerTx,
        request: Message,
        flow: Flow,
        source: &Source,
    ) -> Call {
        self.count = self.count.wrapping_add(1);
        let key = CallKey::new(self.started, env.shard, self.count);
        let (trusted, format, trunk, caller_agent) = match source {
            Source::Trunk(trunk) => (trunk.trusted, &trunk.numbers, Some(trunk), None),
            Source::Person(agent) => (false, &env.settings.numbers, None, Some(*agent)),
        };
        let caller = caller::caller(&request, trusted, format);
        let called = caller::called(&request, format);
        let direction = match source {
            Source::Trunk(_) => Direction::Inbound,
            Source::Person(_) if env.directory.agent_addressed(&called.raw).is_some() => {
                Direction::Internal
            }
            Source::Person(_) => Direction::Outbound,
        };
        env.event(What::CallArrived {
            call: key,
            direction,
            trunk: trunk.map(|t| t.id.clone()),
            caller: caller_agent.and_then(|a| env.person(a)),
            from_raw: caller.raw.clone(),
            from: caller.number.clone(),
            to: called.raw.clone(),
            sip_call_id: request.call_id().into(),
        });
        env.event(What::Unanswered { call: key, offer: None, flow, text: head(&request).into() });
        let tag = env.mint.tag();
        let contact = env.contact(flow);
        let incoming = Incoming { tx, request, flow, tag, contact, early: Vec::new() };
        let answer_by = Call::answer_by(env, trunk.map(AsRef::as_ref));
        Self::blank(env, key, direction, (caller, called), caller_agent, incoming, answer_by)
    }

    fn blank(
        env: &Env<'_>,
        key: CallKey,
        direction: Direction,
        (caller, called): (Caller, Called),
        caller_agent: Option<AgentId>,
        incoming: Incoming,
        answer_by: Moment,
    ) -> Call {
        Call {
            key,
            span: Call::span_of(key),
            direction,
            bucket: super::bucket(env.hash_key, incoming.request.call_id()),
            arrived: env.now,
            trunk: None,
            out_trunk: None,
            caller_agent,
            caller,
            called,
            before: None,
            client: None,
            policy: env.policy.clone(),
            decision: None,
            incoming: Some(incoming),
            phase: Phase::Identifying,
            line: Line::default(),
            ringing: Vec::new(),
            offers: 0,
            caller_leg: None,
            callee_leg: None,
            answered_by: None,
            relays: Relays::default(),
            late_ack: None,
            identify_by: env.now + env.settings.timers.identify_timeout,
            provisional_at: env.now + env.settings.timers.provisional_every,
            answer_by,
            ends_at: env.now + env.settings.timers.call_max,
            scheduled: Moment::NEVER,
            ended: false,
        }
    }

    fn identify(&mut self, env: &mut Env<'_>, call: &mut Call) {
        match call.caller.number.clone() {
            Some(number) => env.effects.push_back(Effect::Identify { call: call.key, number }),
            // Withheld or malformed: there is nothing to look up.
            None => {
                let found = Found { client: None, others: Vec::new(), index: IndexState::Fresh };
                self.decide(env, call, found);
            }
        }
    }

    /// The client index has answered. A late answer, or one for an ended call, is a no-op.
    pub fn identified(&mut self, env: &mut Env<'_>, key: CallKey, found: Found) {
        self.with(key, |calls, call| {
            if call.phase == Phase::Identifying {
                calls.decide(env, call, found);
            }
        });
    }

    pub(super) fn decide(&mut self, env: &mut Env<'_>, call: &mut Call, found: Found) {
        self.route(env, call, found);
        let plan = call.decision.as_ref().map(|d| &d.plan);
        let waits = plan.is_some_and(|plan| {
            let ends = matches!(plan.ending, Ending::Refuse { .. } | Ending::Pass { .. });
            !ends && !plan.steps.is_empty()
        });
        if waits {
            self.keep_waiting(env, call);
        }
        self.next_step(env, call, "the call arrived");
    }

    /// Where the call goes and why, for the journal and for the steps.
    pub(super) fn route(&mut self, env: &mut Env<'_>, call: &mut Call, found: Found) {
        call.phase = Phase::Waiting;
        call.client = found.client.clone();
        let facts = Facts {
            at: env.wall,
            trunk: call.trunk.as_ref().map(|t| t.id.clone()),
            from_raw: call.caller.raw.clone(),
            from: call.caller.number.clone(),
            to_raw: call.called.raw.clone(),
            to: call.called.number.clone(),
            client: found.client,
            others: found.others,
            index: found.index,
        };
        let board = env.board;
        let now = |agent| presence(&board.presence(agent));
        let (decision, grounds) = Grounds::decide(&call.policy, env.directory, facts, &now);
        let facts = grounds.facts.clone();
        env.event(What::Routed {
            call: call.key,
            client: call.client_ref(),
            rule: decision.rule.clone(),
            clause: decision.clause.clone(),
            policy: decision.policy.clone(),
            explanation: Some(Arc::new(decision.explanation)),
            grounds: Some(Arc::new(grounds)),
        });
        tracing::info!(rule = %decision.rule, clause = %decision.clause, "routed");
        let Decision { rule, clause, plan, .. } = decision;
        call.decision = Some(Box::new(Decided { rule, clause, plan, facts }));
    }

    /// What a waiting caller hears, at once and again before a minute is over (§13.3.1.1).
    pub(super) fn keep_waiting(&mut self, env: &mut Env<'_>, call: &mut Call) {
        call.provisional_at = env.now + env.settings.timers.provisional_every;
        let status = call.trunk.as_ref().map_or(180, |t| t.waiting_status);
        if let Some(incoming) = &call.incoming {
            env.tx.respond(env.now, incoming.tx, status, incoming.reply(status).finish());
        }
    }

    fn overloaded(&mut self, env: &mut Env<'_>, call: &mut Call, why: &str) {
        tracing::warn!(why, "refused: limit");
        self.end(env, call, Party::Server, Outcome::Overload, Some(503), why);
    }
}

/// What an answer to `request` is made from, as a request without a body.
fn head(request: &Message) -> String {
    let draft = Builder::request(request.method(), request.uri())
        .copy(request, Header::Via)
        .header(Header::MaxForwards, 70)
        .copy(request, Header::From)
        .copy(request, Header::To)
        .copy(request, Header::CallId)
        .copy(request, Header::CSeq);
    String::from_utf8_lossy(&draft.finish()).into_owned()
}

/// Adds what a status owes its reader.
pub(super) fn final_headers(reply: Builder, status: u16, q850: Option<u8>) -> Builder {
    let reply = match status {
        503 => reply.header(Header::RetryAfter, RETRY_AFTER_S),
        _ => reply,
    };
    match q850 {
        Some(cause) => reply.header(Header::Reason, format_args!("Q.850;cause={cause}")),
        None => reply,
    }
}

impl Env<'_> {
    /// A place for one call more on a trunk, or why not.
    pub(super) fn acquire_trunk(&self, trunk: &Trunk) -> Result<(), String> {
        let trunks = &self.meters.trunks;
        let slot =
            trunks.slot(&trunk.id).ok_or("trunks_max is reached: restart to forget old names")?;
        let (calls, rate) = (trunk.calls_max, trunk.calls_per_second_max);
        trunks.try_acquire(slot, self.shard, self.now, calls, rate).map_err(|full| full.to_string())
    }

    /// Gives the place back.
    pub fn release_trunk(&self, trunk: &Trunk) {
        if let Some(slot) = self.meters.trunks.slot(&trunk.id) {
            self.meters.trunks.release(slot, self.shard);
        }
    }

    /// Our Contact in a dialog over `flow`.
    pub(super) fn contact(&self, flow: Flow) -> String {
        let listener = self.settings.listeners.get(usize::from(flow.listener));
        let host = listener.map_or("invalid", |l| &l.advertise);
        match flow.transport {
            crate::domain::Transport::Udp => format!("<sip:{host}>"),
            transport => format!("<sip:{host};transport={}>", transport.as_param()),
        }
    }

    /// The domain that our people's addresses carry.
    pub(super) fn domain(&self) -> Arc<str> {
        self.settings.domains.first().cloned().unwrap_or_else(|| "invalid".into())
    }
}

/// A number as our people's phones may dial it, or nobody's.
pub(super) fn shown_uri(number: Option<&Number>, raw: &str, domain: &str) -> String {
    match number {
        Some(number) => format!("sip:{number}@{domain}"),
        None if !raw.is_empty() && raw.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("sip:{raw}@{domain}")
        }
        None => "sip:anonymous@anonymous.invalid".to_owned(),
    }
}
