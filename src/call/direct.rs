//! Calls that our people make: to one another, and out over a trunk.
//!
//! The person is on a call for the board (`BUSY_ELSEWHERE`) as long as it lasts; so is a colleague
//! whose phone rings for it. A call out over a trunk hears the trunk's own ringing and announcements.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::acd::{AgentState, AgentView, Flags};
use crate::domain::{AgentId, Flow, Trunk, TrunkId};
use crate::sip::{Header, Message};

use super::arrive::final_headers;
use super::fork::Target;
use super::leg::{BindingRef, Seat};
use super::offer::{Kind, Offer, quoted};
use super::state::{Call, Early, Incoming, Phase};
use super::{Calls, Effect, Env, Handover, OfferResult, Outcome, Party};

/// How long a call to a colleague rings.
const COLLEAGUE_RING: Duration = Duration::from_secs(60);

/// How long a call out over a trunk may take to be answered (RFC 3261 §16.6's timer C).
const TRUNK_RING: Duration = Duration::from_secs(180);

impl Calls {
    /// One of our people dialled something.
    pub(super) fn person_calls(&mut self, env: &mut Env<'_>, call: &mut Call, agent: AgentId) {
        call.phase = Phase::Waiting;
        let dialled = call.called.raw.clone();
        if let Some(code) = super::star::code(&env.settings.star_codes, &dialled) {
            return self.star(env, call, agent, code);
        }
        if let Some(colleague) = env.directory.agent_addressed(&dialled) {
            return self.call_colleague(env, call, agent, colleague);
        }
        let trunk = env.settings.outbound_trunk.clone();
        let outside = match &call.called.number {
            Some(number) => number.as_str(),
            None => env.settings.numbers.without_outside_line(&dialled),
        };
        match trunk.and_then(|id| trunk_named(env, &id)) {
            Some(trunk)
                if is_dialable(&dialled)
                    && env.settings.numbers.goes_outside(&dialled)
                    && !outside.is_empty() =>
            {
                let outside = outside.to_owned();
                self.call_trunk(env, call, trunk, &outside);
            }
            _ => self.end(env, call, Party::Server, Outcome::Refused, Some(404), "no such number"),
        }
    }

    fn call_colleague(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        agent: AgentId,
        colleague: AgentId,
    ) {
        let domain = env.domain();
        let user = env.directory.person(colleague).and_then(|p| p.sip_user.clone());
        let bindings = user.map(|user| env.location.bindings(&user)).unwrap_or_default();
        if bindings.is_empty() {
            let why = "the colleague has no phone registered";
            return self.end(env, call, Party::Server, Outcome::Failed, Some(480), why);
        }
        if is_on_a_call(&env.board.presence(colleague)) {
            let why = "the colleague is on a call";
            return self.end(env, call, Party::Server, Outcome::Refused, Some(486), why);
        }
        env.desk.occupy(colleague);
        let from = own_address(env, agent, &domain);
        let targets = bindings.iter().map(|b| Target::binding(b, &domain)).collect();
        let seat = Some(Seat { agent: colleague, token: None });
        self.start_offer(
            env,
            call,
            (seat, None),
            Kind::Direct,
            targets,
            &from,
            env.now + COLLEAGUE_RING,
        );
    }

    fn call_trunk(&mut self, env: &mut Env<'_>, call: &mut Call, trunk: Arc<Trunk>, outside: &str) {
        if let Err(limit) = env.acquire_trunk(&trunk) {
            let why = format!("trunk {}: {limit}", trunk.id);
            return self.end(env, call, Party::Server, Outcome::Overload, Some(503), &why);
        }
        call.out_trunk = Some(trunk.clone());
        let Some((flow, host)) = trunk_flow(env, &trunk) else {
            let why = "the trunk has no target, or no listener speaks its transport";
            return self.end(env, call, Party::Server, Outcome::Failed, Some(503), why);
        };
        let domain = env.domain();
        let from = match call.caller_agent {
            Some(agent) => own_address(env, agent, &domain),
            None => format!("<sip:anonymous@{domain}>"),
        };
        let uri = format!("sip:{outside}@{host}");
        let to = format!("<{uri}>");
        let target = Target { uri, routes: Vec::new(), flow, binding: None, to };
        let until = env.now + TRUNK_RING;
        self.start_offer(env, call, (None, None), Kind::Direct, vec![target], &from, until);
    }

    /// A provisional of a direct call: the caller hears what the called side says.
    pub(super) fn direct_provisional(
        &mut self,
        env: &mut Env<'_>,
        key: crate::domain::CallKey,
        offer: &Offer,
        index: usize,
        response: &Message,
    ) {
        let status = response.status();
        if status == 100 {
            return;
        }
        let is_trunk = offer.forks.get(index).is_some_and(|f| f.binding.is_none());
        self.with(key, |_, call| {
            let Some(incoming) = &mut call.incoming else { return };
            let status = if is_trunk { status } else { 180 };
            let bytes = match response.to_tag() {
                Some(theirs) if is_trunk => {
                    let Some(early) = incoming.early(env.mint, theirs) else { return };
                    early_reply(incoming, early, response)
                }
                _ => incoming.reply(status).finish(),
            };
            env.tx.respond(env.now, incoming.tx, status, bytes);
        });
    }

    /// Nobody took a direct call: the caller hears why.
    pub(super) fn direct_failed(
        &mut self,
        env: &mut Env<'_>,
        call: &mut Call,
        result: OfferResult,
        best: Option<Message>,
        status: Option<u16>,
    ) {
        let status = match result {
            OfferResult::NoAnswer => 480,
            // A challenge is for us, not for the caller; a redirection is not followed.
            _ => match status.unwrap_or(480) {
                300..=399 | 401 | 407 | 487 => 480,
                408 => 480,
                status => status,
            },
        };
        if let Some(incoming) = &call.incoming {
            let mut reply = final_headers(incoming.reply(status), status, None);
            if let Some(best) = best.filter(|b| b.status() == status) {
                reply = reply.copy(&best, Header::Reason).copy(&best, Header::Warning);
            }
            env.tx.respond(env.now, incoming.tx, status, reply.finish());
            self.servers.remove(&incoming.tx);
        }
        call.incoming = None;
        let outcome = match result {
            OfferResult::Refused | OfferResult::Busy => Outcome::Refused,
            _ => Outcome::Failed,
        };
        self.end(env, call, Party::Callee, outcome, Some(status), "not answered");
    }

    /// `route = "pass"`: the call leaves this room; the proxy carries it, its record goes on.
    pub(super) fn pass(&mut self, env: &mut Env<'_>, call: &mut Call, trunk: &TrunkId) {
        let Some(trunk) = trunk_named(env, trunk) else {
            let why = format!("trunk {trunk} is no more");
            return self.end(env, call, Party::Server, Outcome::Failed, Some(503), &why);
        };
        if let Err(limit) = env.acquire_trunk(&trunk) {
            let why = format!("trunk {}: {limit}", trunk.id);
            return self.end(env, call, Party::Server, Outcome::Overload, Some(503), &why);
        }
        let Some((to, host)) = trunk_flow(env, &trunk) else {
            env.release_trunk(&trunk);
            let why = "the trunk has no target, or no listener speaks its transport";
            return self.end(env, call, Party::Server, Outcome::Failed, Some(503), why);
        };
        let Some(incoming) = call.incoming.take() else { return };
        self.servers.remove(&incoming.tx);
        env.desk.withdraw(call.key);
        call.ended = true;
        let user = call.called.number.as_ref().map_or(&*call.called.raw, |n| n.as_str());
        let handover = Handover {
            call: call.key,
            tx: incoming.tx,
            request: incoming.request,
            flow: incoming.flow,
            uri: format!("sip:{user}@{host}"),
            to,
            trunks: call.trunk.take().into_iter().chain([trunk]).collect(),
        };
        env.effects.push_back(Effect::Pass(Box::new(handover)));
    }
}

/// What a trunk says in one of its early dialogs, as the caller's own early dialog says it.
fn early_reply(incoming: &mut Incoming, early: usize, response: &Message) -> Bytes {
    let Early { tag, origin, .. } = &mut incoming.early[early];
    let body = response.body();
    let tag = tag.clone();
    let content = response.content_type().filter(|_| !body.is_empty());
    let content = content.map(|kind| (kind, origin.outgoing(Some(kind), &body)));
    let reply = incoming.reply_as(response.status(), &tag);
    match content {
        Some((kind, body)) => {
            reply.copy(response, Header::ContentDisposition).body(kind, &body).finish()
        }
        None => reply.finish(),
    }
}

/// One voice call for each person (I2): a second one hears "busy".
fn is_on_a_call(view: &AgentView) -> bool {
    let free = matches!(view.state, AgentState::Free | AgentState::Wrap);
    !free || view.flags.contains(Flags::BUSY_ELSEWHERE)
}

/// The binding from whose flow one of our people called.
pub(super) fn caller_binding(env: &Env<'_>, call: &Call) -> Option<BindingRef> {
    let agent = call.caller_agent?;
    let flow = call.incoming.as_ref()?.flow;
    let user = env.directory.person(agent)?.sip_user.clone()?;
    let bindings = env.location.bindings(&user);
    let binding = bindings.into_iter().find(|b| b.flow == flow)?;
    let (aor, key) = (binding.aor.clone(), binding.key.clone());
    Some(BindingRef { aor, key, epoch: binding.epoch })
}

fn own_address(env: &Env<'_>, agent: AgentId, domain: &str) -> String {
    match env.directory.person(agent) {
        Some(person) => {
            let user = person.sip_user.as_deref().unwrap_or("anonymous");
            format!("{} <sip:{user}@{domain}>", quoted(&person.name))
        }
        None => format!("<sip:anonymous@{domain}>"),
    }
}

fn trunk_named(env: &Env<'_>, id: &TrunkId) -> Option<Arc<Trunk>> {
    env.settings.trunks.iter().find(|t| t.id == *id).cloned()
}

/// Where a trunk is reached.
fn trunk_flow(env: &Env<'_>, trunk: &Trunk) -> Option<(Flow, Arc<str>)> {
    let target = trunk.target.as_ref()?;
    Some((env.settings.flow_to(target)?, target.host.clone()))
}

/// Digits and what telephone keys have.
fn is_dialable(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (1..=20).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'))
}
