//! Calls that survive a restart: confirmed dialogs from the journal go on, and can be ended and held
//! from both sides. Calls that were not yet answered are closed by the switch ("cut by a restart").

use std::sync::Arc;

use jiff::Timestamp;

use crate::acd::Token;
use crate::domain::{AgentId, CallKey, Moment, Trunk, TrunkId};

use super::caller::{Called, Caller};
use super::leg::{Leg, LegSnapshot, Side};
use super::relay::Relays;
use super::state::{Call, Line, Phase};
use super::{Calls, ClientRef, Direction, Env};

/// An answered call as the journal remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivor {
    /// Its key.
    pub call: CallKey,
    /// Who speaks with whom.
    pub direction: Direction,
    /// The trunk it came over.
    pub trunk: Option<TrunkId>,
    /// As the header said.
    pub from_raw: Arc<str>,
    /// The called user part.
    pub to_raw: Arc<str>,
    /// What else is shown of it.
    pub before: Before,
    /// The caller's leg.
    pub caller: serde_json::Value,
    /// The callee's leg.
    pub callee: serde_json::Value,
}

/// What the journal knows of a surviving call that nothing goes by any more, and people see.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// When it came.
    pub arrived: Timestamp,
    /// Who is the client.
    pub client: Option<ClientRef>,
    /// The rule that took it, and its clause.
    pub rule: Option<(Arc<str>, Arc<str>)>,
    /// The last step of its plan that began.
    pub step: Option<Arc<str>>,
}

impl Calls {
    /// Takes a surviving call up again. `false` if its legs cannot be read.
    pub fn restore(&mut self, env: &mut Env<'_>, survivor: Survivor) -> bool {
        let caller = serde_json::from_value::<LegSnapshot>(survivor.caller);
        let callee = serde_json::from_value::<LegSnapshot>(survivor.callee);
        let (Ok(caller), Ok(callee)) = (caller, callee) else { return false };
        let caller_agent = caller.person.as_ref().and_then(|p| env.directory.agent(p));
        let agent = callee.person.as_ref().and_then(|p| env.directory.agent(p));
        let answered_by = agent.map(|agent| (agent, busy_again(env, agent, callee.distributed)));
        if let Some(agent) = caller_agent {
            env.desk.occupy(agent);
        }
        let trunk = survivor.trunk.and_then(|id| taken_again(env, &id));
        let out_trunk = env.settings.outbound_trunk.as_ref();
        let out_trunk = out_trunk.filter(|_| survivor.direction == Direction::Outbound).cloned();
        let out_trunk = out_trunk.and_then(|id| taken_again(env, &id));
        let raw = survivor.from_raw;
        let number = crate::domain::Number::parse(&raw, &env.settings.numbers);
        let span = Call::span_of(survivor.call);
        let _said_in = span.enter();
        tracing::info!("survived a restart");
        let bucket = super::bucket(env.hash_key, caller.call_id());
        let mut call = Call {
            key: survivor.call,
            span: span.clone(),
            direction: survivor.direction,
            bucket,
            arrived: env.now,
            trunk,
            out_trunk,
            caller_agent,
            caller: Caller { raw, number },
            called: Called {
                number: crate::domain::Number::parse(&survivor.to_raw, &env.settings.numbers),
                raw: survivor.to_raw,
            },
            before: Some(Box::new(survivor.before)),
            client: None,
            policy: env.policy.clone(),
            decision: None,
            incoming: None,
            phase: Phase::Talking,
            line: Line::default(),
            ringing: Vec::new(),
            offers: 0,
            caller_leg: None,
            callee_leg: None,
            answered_by,
            relays: Relays::default(),
            late_ack: None,
            identify_by: Moment::NEVER,
            provisional_at: Moment::NEVER,
            answer_by: Moment::NEVER,
            ends_at: env.now + env.settings.timers.call_max,
            scheduled: Moment::NEVER,
            ended: false,
        };
        let (now, settings) = (env.now, env.settings.clone());
        self.own_leg(&mut call, Leg::restore(caller, now, &settings), Side::Caller);
        self.own_leg(&mut call, Leg::restore(callee, now, &settings), Side::Callee);
        self.record_dialogs(env, &mut call);
        let key = call.key;
        self.calls.insert(key, call);
        self.with(key, |_, _| {});
        true
    }
}

/// The place of a surviving call on its trunk.
fn taken_again(env: &Env<'_>, id: &TrunkId) -> Option<Arc<Trunk>> {
    let trunk = env.settings.trunks.iter().find(|t| t.id == *id).cloned()?;
    if let Some(slot) = env.meters.trunks.slot(&trunk.id) {
        env.meters.trunks.acquire_restored(slot, env.shard);
    }
    Some(trunk)
}

/// The agent of a surviving call is busy again.
fn busy_again(env: &mut Env<'_>, agent: AgentId, distributed: bool) -> Option<Token> {
    let token = if distributed { env.desk.adopt_talking(agent) } else { None };
    if token.is_none() {
        env.desk.occupy(agent);
    }
    token
}
