//! Trust: who may register, call and ask (RFC 3261 §8.2, §10, §22).
//!
//! A trunk is known by its socket's source address, or by digest. Whoever claims one of our domains is
//! challenged, known or not; anybody else gets 403 without detail.
//!
//! Who fails too often is held back, in two measures. *Wrong passwords* count for their source, which has
//! shown by its nonce that it is there, and for the user whose they are: more of them are told to come
//! again later, unread; others at that address are served. *Requests of nobody*, whose source may be
//! forged, hold back only their like, by silence; nobody is, too, who claims our domain, proves nothing
//! and is where neither a phone of ours is registered nor a trunk.

use std::net::IpAddr;
use std::sync::Arc;

use crate::call::Source;
use crate::dialog::Dialog;
use crate::domain::{Credentials, Flow, Moment, Trunk, TrunkIdentity};
use crate::meters::{Counter, Meters, NonceUse};
use crate::proxy::{Answer, Capabilities, answer_to};
use crate::registrar::{self, Change, NONCE_LIFETIME, NonceWindow, Presented, Verdict};
use crate::sip::{Builder, Header, Message, Method, Uri};
use crate::transaction::ServerTx;

use super::{Mail, Output, Switch, What};

/// The meters' table of nonces, as the authenticator asks it.
struct Window<'a>(&'a Meters);

impl NonceWindow for Window<'_> {
    fn first_use(&self, nonce: &[u8], issued: Moment, _now: Moment, count: u32) -> bool {
        let id = nonce.first_chunk().map_or(0, |id| u64::from_be_bytes(*id));
        let used = self.0.nonces.first_use(id, count, issued + NONCE_LIFETIME);
        if used == NonceUse::Replayed {
            self.0.counters.count(Counter::NonceReplays);
        }
        used == NonceUse::Fresh
    }
}

/// Challenges and refusals by datagram to one address: enough for thousands of phones behind one NAT that
/// register each minute, and no flood to whom somebody wants to harm.
const ANSWERS_PER_MINUTE_MAX: u32 = 6_000;

/// The name under which a source's wrong passwords for all users are counted; no user is called so.
const ANY_USER: &str = "\0";
/// So many users behind one address may mistype at once.
const USERS_OF_A_SOURCE: u32 = 10;
/// A guess more is looked at about then.
const HELD_BACK_RETRY_AFTER_S: u32 = 2;

/// A draining server's trunks may come back after this many seconds.
const DRAIN_RETRY_AFTER_S: u32 = 10;

impl Switch {
    /// A request outside every dialog of ours. What is refused before its sender is known is answered
    /// once and forgotten: a flood of such requests fills no table, and one with a forged source draws
    /// one answer.
    pub(super) fn request(&mut self, now: Moment, tx: ServerTx, request: Message, flow: Flow) {
        let tag = self.core.tx.stateless_tag(&request);
        if *request.method() == Method::Bye
            && self.trunk_at(flow).is_some()
            && self.calls.given_up_by(&mut self.core.env(now), &request)
        {
            return self.answer(now, tx, Builder::reply(&request, 200, None));
        }
        let for_us = matches!(
            request.method(),
            Method::Register | Method::Invite | Method::Options | Method::Bye | Method::Update
        );
        if request.max_forwards() == Some(0) && *request.method() != Method::Options {
            return self.refuse(now, (tx, flow), Builder::reply(&request, 483, Some(&tag)));
        }
        let tagged = request.to_tag().is_some() && *request.method() != Method::Register;
        let tagged = tagged || matches!(request.method(), Method::Bye | Method::Update);
        if tagged && self.along(now, tx, &request, flow).is_none() {
            return;
        }
        if *request.method() == Method::Options && !tagged && self.drains_for(flow) {
            return self.refuse(now, (tx, flow), busy(&request, &tag));
        }
        if tagged || for_us {
            let in_dialog = !tagged;
            if let Some(answer) = answer_to(&request, &CAN, in_dialog, &tag) {
                return self.once(now, (tx, flow), answer);
            }
        }
        match request.method() {
            Method::Register => self.register(now, tx, &request, flow, &tag),
            Method::Invite => self.invite(now, tx, request, flow, &tag),
            Method::Bye | Method::Update | Method::Prack => {
                self.refuse(now, (tx, flow), Builder::reply(&request, 481, Some(&tag)));
            }
            _ => self.between_people(now, tx, request, flow, &tag),
        }
    }

    pub(super) fn answer(&mut self, now: Moment, tx: ServerTx, reply: Builder) {
        let bytes = reply.finish();
        self.core.tx.respond(now, tx, status_of(&bytes), bytes);
    }

    /// An answer to somebody whom we do not know (yet), kept by nobody.
    fn refuse(&mut self, now: Moment, to: (ServerTx, Flow), reply: Builder) {
        let bytes = reply.finish();
        self.once(now, to, Answer { status: status_of(&bytes), bytes });
    }

    /// The source of a datagram may be forged and our answer be the longer of the two: an address gets
    /// so many of them and no more.
    pub(super) fn once(&mut self, now: Moment, (tx, flow): (ServerTx, Flow), answer: Answer) {
        let is_doubtful = !flow.transport.is_reliable() && self.trunk_at(flow).is_none();
        let meters = &self.core.shared.meters;
        let max = ANSWERS_PER_MINUTE_MAX;
        if is_doubtful && meters.answers.failed(flow.remote.ip(), "", now, max) > max {
            meters.counters.count(Counter::SourcesSilenced);
            return self.core.tx.ignore(tx);
        }
        self.core.tx.respond_once(now, tx, answer.status, answer.bytes);
    }

    /// So many wrong passwords for `user`, or for all kinds of users, came from there that no more are
    /// looked at until some of them are forgotten.
    fn is_held_back(&self, now: Moment, source: IpAddr, user: &str) -> bool {
        let max = self.core.settings.limits.failures_per_minute_max;
        let all = max.saturating_mul(USERS_OF_A_SOURCE);
        let sources = &self.core.shared.meters.sources;
        sources.failures(source, user, now, max) >= max
            || sources.failures(source, ANY_USER, now, all) >= all
    }

    /// A wrong password.
    fn failed(&self, now: Moment, source: IpAddr, user: &str) {
        let max = self.core.settings.limits.failures_per_minute_max;
        let sources = &self.core.shared.meters.sources;
        sources.failed(source, user, now, max);
        sources.failed(source, ANY_USER, now, max.saturating_mul(USERS_OF_A_SOURCE));
        self.core.shared.meters.counters.count(Counter::AuthFailures);
    }

    /// Who guesses passwords may come again, later and not so often.
    fn hold_back(&mut self, now: Moment, to: (ServerTx, Flow), request: &Message, tag: &str) {
        self.core.shared.meters.counters.count(Counter::SourcesSilenced);
        let reply = Builder::reply(request, 503, Some(tag));
        self.refuse(now, to, reply.header(Header::RetryAfter, HELD_BACK_RETRY_AFTER_S));
    }

    /// One request of nobody more from there. `true`: too many, this one hears nothing.
    fn is_silenced(&mut self, now: Moment, (tx, flow): (ServerTx, Flow)) -> bool {
        let meters = &self.core.shared.meters;
        let max = self.core.settings.limits.failures_per_minute_max;
        let silenced = meters.strangers.failed(flow.remote.ip(), "", now, max) > max;
        if silenced {
            meters.counters.count(Counter::SourcesSilenced);
            self.core.tx.ignore(tx);
        }
        silenced
    }

    /// A request of nobody: 403, until there were too many from there.
    fn turn_away(&mut self, now: Moment, tx: ServerTx, request: &Message, flow: Flow, tag: &str) {
        if self.is_silenced(now, (tx, flow)) {
            return;
        }
        self.core.shared.meters.counters.count(Counter::AuthFailures);
        tracing::info!(source = %flow, method = %request.method(), "from nowhere known: 403");
        self.refuse(now, (tx, flow), Builder::reply(request, 403, Some(tag)));
    }

    fn register(&mut self, now: Moment, tx: ServerTx, request: &Message, flow: Flow, tag: &str) {
        if let Some(reply) = registrar::screen(request, &self.core.settings, tag) {
            return self.refuse(now, (tx, flow), reply);
        }
        let user = match self.verdict(now, request, flow, false) {
            Verdict::Ok { user } => user,
            Verdict::Challenge { stale } => {
                let reply =
                    self.auth.challenge(now, (request, flow.remote.ip()), false, stale, tag);
                return self.refuse(now, (tx, flow), reply);
            }
            Verdict::Forbidden { user } => {
                self.failed(now, flow.remote.ip(), &user);
                return self.refuse(now, (tx, flow), Builder::reply(request, 403, Some(tag)));
            }
            Verdict::HeldBack => return self.hold_back(now, (tx, flow), request, tag),
        };
        let presented = Presented { request, flow, user: &user, tag };
        let wall = self.core.wall.wall(now);
        let location = &self.core.shared.location;
        let done = self.registrar.handle(wall, &presented, location, &self.core.settings);
        self.answer(now, tx, done.reply);
        self.bindings_changed(now, done.changes);
    }

    /// Bindings came or went: into the journal, into presence, and to whoever waits for them.
    pub(super) fn bindings_changed(&mut self, now: Moment, changes: Vec<Change>) {
        for change in changes {
            let aor = change.aor().clone();
            match change {
                Change::Bound(binding) => {
                    let binding = serde_json::to_value(&*binding).unwrap_or_default();
                    self.record(now, What::Bound { aor: aor.clone(), binding });
                }
                Change::Unbound { binding, why } => self.record(
                    now,
                    What::Unbound {
                        aor: aor.clone(),
                        binding: binding.key.clone(),
                        why: why.to_string().into(),
                    },
                ),
            }
            if let Some(agent) = self.core.directory.agent_by_sip_user(&aor) {
                self.seat_changed(now, agent);
            }
            self.calls.binding_back(&mut self.core.env(now), &aor);
            for shard in (0..self.core.shards).filter(|s| *s != u16::from(self.core.shard.0)) {
                let mail = Mail::Bindings { aor: aor.clone() };
                self.outputs
                    .push_back(Output::Mail { to: crate::domain::ShardId(shard as u8), mail });
            }
        }
    }

    fn verdict(&self, now: Moment, request: &Message, flow: Flow, proxy: bool) -> Verdict {
        let lookup = |user: &str| self.credentials(user);
        let source = flow.remote.ip();
        let held_back = |user: &str| self.is_held_back(now, source, user);
        let window = Window(&self.core.shared.meters);
        self.auth.check(now, (request, source), proxy, &lookup, &held_back, &window)
    }

    /// People's passwords and digest trunks' alike.
    fn credentials(&self, user: &str) -> Option<Credentials> {
        let directory = &self.core.directory;
        let person = directory.agent_by_sip_user(user).and_then(|a| directory.person(a));
        if let Some(credentials) = person.and_then(|p| p.credentials.clone()) {
            return Some(credentials);
        }
        self.digest_trunk(user).and_then(|trunk| match &trunk.identity {
            TrunkIdentity::Digest(credentials) => Some(credentials.clone()),
            TrunkIdentity::Address(_) => None,
        })
    }

    fn digest_trunk(&self, user: &str) -> Option<&Arc<Trunk>> {
        self.core
            .settings
            .trunks
            .iter()
            .find(|t| matches!(&t.identity, TrunkIdentity::Digest(c) if c.user.as_ref() == user))
    }

    /// The trunk that this address belongs to.
    fn trunk_at(&self, flow: Flow) -> Option<Arc<Trunk>> {
        let is_there = |trunk: &&Arc<Trunk>| match &trunk.identity {
            TrunkIdentity::Address(addresses) => addresses.iter().any(|a| {
                a.ip == flow.remote.ip().to_canonical()
                    && a.port.is_none_or(|port| port == flow.remote.port())
            }),
            TrunkIdentity::Digest(_) => false,
        };
        // An address with its port says more than one without: a phone may share the host.
        let trunks = &self.core.settings.trunks;
        let exact = trunks.iter().filter(is_there).find(|t| match &t.identity {
            TrunkIdentity::Address(all) => all.iter().any(|a| a.port == Some(flow.remote.port())),
            TrunkIdentity::Digest(_) => false,
        });
        exact.or_else(|| trunks.iter().find(is_there)).cloned()
    }

    /// The request says that it comes from one of us.
    fn claims_to_be_ours(&self, request: &Message) -> bool {
        let from = request.from().and_then(|f| Uri::parse(f.uri).ok().map(|u| u.host.to_owned()));
        from.is_some_and(|host| self.is_our_host(&host))
    }

    fn is_our_host(&self, host: &str) -> bool {
        let settings = &self.core.settings;
        let bare = host.trim_matches(['[', ']']);
        let advertised = settings.listeners.iter().any(|l| {
            let name = l.advertise.rsplit_once(':').map_or(&*l.advertise, |(h, _)| h);
            name.trim_matches(['[', ']']) == bare
        });
        advertised || settings.domains.iter().any(|d| d.eq_ignore_ascii_case(host))
    }

    fn invite(&mut self, now: Moment, tx: ServerTx, request: Message, flow: Flow, tag: &str) {
        // Nobody's phone is to ring for a call that cannot become a dialog (§8.1.1.8, §12.1.1).
        if Dialog::uas(&request, tag, "").is_err() {
            let reply = Builder::reply_with(&request, 400, "Bad Contact", Some(tag));
            return self.refuse(now, (tx, flow), reply);
        }
        let source = match self.source(now, tx, &request, flow, tag) {
            Some(source) => source,
            None => return,
        };
        if self.drain_until.is_some() && matches!(source, Source::Trunk(_)) {
            return self.answer(now, tx, busy(&request, tag));
        }
        self.calls.invite(&mut self.core.env(now), tx, request, flow, source);
    }

    /// Who sends this; `None` after a challenge or a refusal was answered.
    pub(super) fn source(
        &mut self,
        now: Moment,
        tx: ServerTx,
        request: &Message,
        flow: Flow,
        tag: &str,
    ) -> Option<Source> {
        let claims = self.claims_to_be_ours(request);
        let has_answer = request.has(Header::ProxyAuthorization);
        let trunk = self.trunk_at(flow);
        // A trunk is known by its address. A phone on its host has registered from there, or answers a
        // challenge already.
        let phone = claims
            && (has_answer && self.names_a_person(request)
                || self.is_registered_at(request, flow.remote.ip()));
        if let (Some(trunk), false) = (&trunk, phone) {
            return Some(Source::Trunk(trunk.clone()));
        }
        if !claims && !has_answer {
            self.turn_away(now, tx, request, flow, tag);
            return None;
        }
        match self.verdict(now, request, flow, true) {
            Verdict::Ok { user } => {
                let person = self.core.directory.agent_by_sip_user(&user).map(Source::Person);
                let source =
                    person.or_else(|| self.digest_trunk(&user).cloned().map(Source::Trunk));
                if source.is_none() {
                    self.refuse(now, (tx, flow), Builder::reply(request, 403, Some(tag)));
                }
                source
            }
            Verdict::Challenge { stale } => {
                // Our domain in From is written easily: where no phone of ours is, that is a stranger.
                let is_near =
                    trunk.is_some() || self.core.shared.location.has_phone_at(flow.remote.ip());
                if !is_near && self.is_silenced(now, (tx, flow)) {
                    return None;
                }
                let reply = self.auth.challenge(now, (request, flow.remote.ip()), true, stale, tag);
                self.refuse(now, (tx, flow), reply);
                None
            }
            Verdict::Forbidden { user } => {
                self.failed(now, flow.remote.ip(), &user);
                self.refuse(now, (tx, flow), Builder::reply(request, 403, Some(tag)));
                None
            }
            Verdict::HeldBack => {
                self.hold_back(now, (tx, flow), request, tag);
                None
            }
        }
    }

    fn is_registered_at(&self, request: &Message, host: IpAddr) -> bool {
        let user = request.from().and_then(|f| crate::call::uri_user(f.uri));
        let bindings = user.map(|user| self.core.shared.location.bindings(&user));
        bindings.into_iter().flatten().any(|binding| binding.flow.remote.ip() == host)
    }

    fn names_a_person(&self, request: &Message) -> bool {
        let user = request.from().and_then(|f| crate::call::uri_user(f.uri));
        user.is_some_and(|user| self.core.directory.agent_by_sip_user(&user).is_some())
    }

    fn drains_for(&self, flow: Flow) -> bool {
        self.drain_until.is_some() && self.trunk_at(flow).is_some()
    }

    /// A 2xx to an INVITE that we have forgotten (a restart): the phone is told that nobody is there.
    pub(super) fn stray(&mut self, now: Moment, response: &Message, flow: Flow) {
        crate::call::refuse_stray(&mut self.core.env(now), response, flow);
    }
}

/// Of a response that we have just written.
fn status_of(response: &[u8]) -> u16 {
    let digits = std::str::from_utf8(response.get(8..11).unwrap_or_default());
    digits.ok().and_then(|digits| digits.parse().ok()).unwrap_or(500)
}

/// What we can, for Allow, Accept and Supported.
const CAN: Capabilities<'static> = Capabilities {
    allow: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Update,
        Method::Info,
        Method::Message,
        Method::Register,
        Method::Subscribe,
        Method::Notify,
        Method::Publish,
    ],
    schemes: &["sip", "tel"],
    supported: &["path"],
    accept: &["application/sdp", "multipart/mixed"],
};

/// A draining server's answer to a trunk.
fn busy(request: &Message, tag: &str) -> Builder {
    Builder::reply(request, 503, Some(tag)).header(Header::RetryAfter, DRAIN_RETRY_AFTER_S)
}
