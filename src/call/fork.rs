//! One INVITE that we sent: to one binding of a person, or to a trunk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::dialog::{Dialog, Opening};
use crate::domain::{Flow, Moment};
use crate::registrar::Binding;
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::ClientTx;

use super::leg::{BindingRef, Leg, Origin, flow_towards};
use super::state::{ALLOW, Call};
use super::{ClientUse, Env};

/// So much later than our CANCEL an INVITE expires.
const EXPIRES_MARGIN: Duration = Duration::from_secs(5);

/// Headers that say who calls: a trunk may name them in `pass_headers`, a caller may not wish it.
const IDENTITIES: [&str; 5] =
    ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Identity", "Call-Info"];

/// An INVITE on its way.
#[derive(Debug)]
pub struct Fork {
    /// Its transaction, until it is final; `None` if it could not be sent.
    pub tx: Option<ClientTx>,
    /// Where it was sent.
    pub flow: Flow,
    /// Whose phone; absent for a trunk.
    pub binding: Option<BindingRef>,
    /// What a dialog of it is made from.
    pub invite: Opening,
    /// Our SDP origin towards it.
    pub origin: Origin,
    /// Some response came.
    pub heard: bool,
    /// 180 or 183 came.
    pub rang: bool,
    /// Its final status.
    pub status: Option<u16>,
    /// We sent CANCEL, or will when a provisional comes.
    pub cancelled: bool,
}

/// Where an INVITE goes.
pub struct Target {
    /// Request URI.
    pub uri: String,
    /// Route header values, outermost first.
    pub routes: Vec<String>,
    /// Where to send it.
    pub flow: Flow,
    /// Whose phone.
    pub binding: Option<BindingRef>,
    /// To header.
    pub to: String,
}

impl Target {
    /// A phone of one of our people.
    pub fn binding(binding: &Arc<Binding>, domain: &str) -> Self {
        let routes: Vec<String> = binding.path.iter().map(ToString::to_string).collect();
        let named = routes.first().map(|r| flow_towards(r.trim_matches(['<', '>']), binding.flow));
        // A Path may name another port of the host that registered, never another host: whoever has
        // a password could aim our INVITEs at a third party.
        let is_near = |flow: &Flow| flow.remote.ip() == binding.flow.remote.ip();
        let flow = named.filter(is_near).unwrap_or(binding.flow);
        let (aor, key) = (binding.aor.clone(), binding.key.clone());
        let whose = BindingRef { aor, key, epoch: binding.epoch };
        Self {
            uri: binding.contact.to_string(),
            routes,
            flow,
            binding: Some(whose),
            to: format!("<sip:{}@{domain}>", binding.aor),
        }
    }
}

impl Fork {
    /// Sends an INVITE for `call` to `target`; `from` is the whole From value without its tag. A phone
    /// that never hears our CANCEL stops ringing by itself soon after `ring` (§13.2.1).
    pub fn send(
        env: &mut Env<'_>,
        call: &Call,
        target: Target,
        from: &str,
        ring: Duration,
    ) -> (Fork, Option<ClientTx>) {
        let call_id = env.mint.call_id(call.bucket);
        let tag = super::mint::tag_of(env.hash_key, &call_id);
        let mut origin = Origin::new(env.mint);
        let invite = Opening {
            call_id,
            local_tag: tag,
            local: from.to_owned(),
            remote: target.to,
            uri: target.uri,
            contact: env.contact(target.flow),
            route: target.routes,
            cseq: 1,
        };
        let mut builder = request(call, &invite, &mut origin);
        if target.binding.is_some() {
            builder = builder.header(Header::Expires, (ring + EXPIRES_MARGIN).as_secs());
        }
        let sent = env.tx.request(env.now, builder, Method::Invite, target.flow).ok();
        let fork = Fork {
            tx: sent,
            flow: target.flow,
            binding: target.binding,
            invite,
            origin,
            heard: false,
            rang: false,
            status: if sent.is_some() { None } else { Some(503) },
            cancelled: false,
        };
        (fork, sent)
    }

    /// Still without a final response.
    pub fn is_open(&self) -> bool {
        self.status.is_none()
    }

    /// Stops it. `why` becomes its Reason header.
    pub fn cancel(&mut self, env: &mut Env<'_>, why: Option<&str>) {
        if let (Some(tx), true, false) = (self.tx, self.is_open(), self.cancelled) {
            self.cancelled = true;
            env.tx.cancel(env.now, tx, why);
        }
    }

    /// The dialog of its 2xx as a leg; `None` if the 2xx makes none (no tag, no Contact).
    pub fn leg(&self, env: &Env<'_>, response: &Message, flow: Flow) -> Option<Leg> {
        let dialog = Dialog::uac(&self.invite, response).ok()?;
        let flow = if self.binding.is_some() { flow } else { self.flow };
        let origin = self.origin.clone();
        Some(Leg::new(dialog, flow, self.binding.clone(), origin, env.now, env.settings))
    }
}

/// The INVITE's text. Headers cross by a list; everything else is ours.
fn request(call: &Call, invite: &Opening, origin: &mut Origin) -> Builder {
    let mut builder = invite.request(&Method::Invite).header(Header::Allow, ALLOW);
    let Some(incoming) = &call.incoming else { return builder };
    let from = &incoming.request;
    let hops = from.max_forwards().unwrap_or(70).saturating_sub(1);
    builder = builder.set(Header::MaxForwards, hops);
    let private = super::caller::wants_privacy(from);
    for header in [Header::UserToUser, Header::Reason] {
        builder = builder.copy(from, header);
    }
    if !private {
        builder = builder.copy(from, Header::Subject);
    }
    if let Some(trunk) = &call.trunk {
        if trunk.trusted && !private {
            builder = builder.copy(from, Header::Diversion).copy(from, Header::HistoryInfo);
        }
        let names_caller = |name: &str| IDENTITIES.iter().any(|id| id.eq_ignore_ascii_case(name));
        for name in trunk.pass_headers.iter().filter(|name| !private || !names_caller(name)) {
            builder = builder.copy_named(from, name);
        }
    }
    let body = from.body();
    if body.is_empty() {
        return builder;
    }
    let content_type = from.content_type().unwrap_or(super::leg::SDP);
    let out: Bytes = origin.outgoing(Some(content_type), &body);
    builder.copy(from, Header::ContentDisposition).body(content_type, &out)
}

/// How a fork is remembered by its transaction.
pub fn use_of(offer: u64, fork: usize) -> ClientUse {
    ClientUse::Fork(offer, fork)
}

/// A fork that has not said anything by then is unreachable.
pub fn silent_at(env: &Env<'_>) -> Moment {
    env.now + env.settings.timers.phone_silence
}
