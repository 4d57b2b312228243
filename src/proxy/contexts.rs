//! The proxy's table of response contexts (RFC 3261 §16.7), and what begins, moves and ends them.
//!
//! ```text
//!              start, follow
//!   ──────────────────────────► Open ── CANCEL, 6xx ──► Closing ──┐ all branches final:
//!      next group of targets ┌─► │ │                              │ best response (§16.7 step 6)
//!      when all have failed  └───┘ │ 2xx: forwarded at once,      ▼
//!                                  └──────────────► Answered    gone
//!                                     INVITE: kept 64·T1 for 2xx again (RFC 6026), and until
//!                                     every cancelled branch is final
//! ```
//! Every context ends: its branches are client transactions, which end by their own timers, a ringing INVITE by
//! timer C, an answered one by 64·T1.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::arrival::{Answer, Passage};
use super::best::{Final, best};
use super::cookie::{CookieJar, End};
use super::dialogs::{Dialogs, Ending};
use super::event::{ProxyEvent, Reach};
use crate::domain::{CallKey, Flow, Moment, Settings};
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::{ClientTx, ServerTx, TransactionTimers, Transactions};

/// Timer C (§16.6 step 11): an INVITE rings no longer; more than three minutes.
pub const TIMER_C: Duration = Duration::from_secs(185);
/// Targets of one request; of more than that the most preferred are tried.
pub const TARGETS_MAX: usize = 16;
/// When somebody for whom there is no room may ask again.
const ROOM_RETRY_AFTER_S: u32 = 5;

/// One place to send a request to, chosen by the switch.
#[derive(Clone, Debug)]
pub struct Target {
    /// The new Request-URI: a binding's contact, a number at a trunk.
    pub uri: String,
    /// The way there.
    pub flow: Flow,
    /// Route values for it, brackets included: a binding's Path.
    pub route: Vec<Arc<str>>,
    /// Preference in thousandths: those of one value are tried together, lower ones when those have failed.
    pub q: u16,
    /// What [`Reach`] finds it by later; see [`End::party`].
    pub party: Option<Arc<str>>,
}

/// A request to be sent on.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its server transaction.
    pub tx: ServerTx,
    /// What [`Proxy::arrive`] made of it.
    pub passage: Passage,
    /// What [`Reach`] finds its sender by later.
    pub from: Option<Arc<str>>,
    /// Where to; none: 480.
    pub targets: Vec<Target>,
    /// An INVITE's record; its story comes as [`ProxyEvent`]s.
    pub call: Option<CallKey>,
    /// Headers that stay here (identity towards who is not trusted).
    pub remove: Vec<Arc<str>>,
    /// Headers that are added.
    pub add: Vec<(Arc<str>, String)>,
}

impl Start {
    /// A request without a record and without changed headers.
    pub fn new(tx: ServerTx, passage: Passage, targets: Vec<Target>) -> Self {
        let (remove, add) = (Vec::new(), Vec::new());
        Self { tx, passage, from: None, targets, call: None, remove, add }
    }

    pub(super) fn caller(&self) -> End {
        End { flow: self.passage.flow, party: self.from.clone() }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Requests on their way at once; one more gets 503.
    pub contexts_max: usize,
    /// Calls with a record at once; one more gets 503.
    pub calls_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContextId(u64);

/// One request on its way.
#[derive(Debug)]
pub(super) struct Context {
    pub start: Start,
    pub is_invite: bool,
    /// It follows the route of a dialog: its Request-URI stays.
    pub in_dialog: bool,
    /// Not tried yet, the most preferred last.
    pub waiting: Vec<Target>,
    pub branches: Vec<Branch>,
    pub stage: Stage,
    pub is_ringing: bool,
    /// The caller cancelled.
    pub is_cancelled: bool,
    /// We ended it: what the caller is told, whatever the targets say.
    pub verdict: Option<u16>,
    /// Of a BYE within a call's dialog: which one it ends.
    pub ends: Option<Ending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No final response was sent.
    Open,
    /// A 2xx to an INVITE was; more may come until then.
    Answered(Moment),
    /// Any other final response was.
    Closed,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub tx: Option<ClientTx>,
    pub callee: End,
    pub timer_c: Moment,
    /// Timer C has cancelled it: whatever comes but a 2xx counts as 408.
    pub is_overdue: bool,
    pub end: Option<Final>,
}

/// In `deadlines`, beside the branches: the end of an answered context.
pub(super) const LINGER: usize = usize::MAX;

/// See the module; one per switch.
pub struct Proxy {
    pub(super) settings: Arc<Settings>,
    pub(super) key: [u8; 32],
    pub(super) jar: CookieJar,
    limits: ProxyLimits,
    pub(super) contexts: BTreeMap<ContextId, Context>,
    pub(super) by_server: BTreeMap<ServerTx, ContextId>,
    pub(super) by_client: BTreeMap<ClientTx, (ContextId, usize)>,
    /// Timer C of each ringing branch, and the end of each answered context.
    pub(super) deadlines: BTreeSet<(Moment, ContextId, usize)>,
    pub(super) dialogs: Dialogs,
    pub(super) events: VecDeque<ProxyEvent>,
    last: u64,
}

impl Proxy {
    /// Empty. `key` is secret, the same on all shards and kept over restarts: dialogs that were record-routed
    /// before go on.
    pub fn new(settings: Arc<Settings>, key: [u8; 32], limits: ProxyLimits) -> Self {
        Self {
            settings,
            key,
            jar: CookieJar::new(&key),
            limits,
            contexts: BTreeMap::new(),
            by_server: BTreeMap::new(),
            by_client: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            dialogs: Dialogs::default(),
            events: VecDeque::new(),
            last: 0,
        }
    }

    /// After a reload: domains, listeners, realm and timers of what begins from now on.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// After a reload; what is on its way stays.
    pub fn set_limits(&mut self, limits: ProxyLimits) {
        self.limits = limits;
    }

    /// Sends a request on to its targets. Always answers it in the end, at once if it may not be sent on
    /// (§16.3), there is no target, or a bound is reached.
    pub fn start(&mut self, now: Moment, start: Start, txs: &mut Transactions) {
        if let Some(call) = start.call {
            self.events.push_back(ProxyEvent::Started { call });
        }
        let is_full = start.call.is_some() && self.dialogs.len() >= self.limits.calls_max;
        let verdict = match is_full {
            true => Err(self.no_room(&start.passage.request)),
            false => self.validate(&start.passage),
        };
        let verdict = verdict.and_then(|()| self.has_room(&start.passage.request));
        if let Err(refusal) = verdict {
            let Answer { status, bytes } = refusal;
            txs.respond(now, start.tx, status, bytes);
            self.tell_failed(start.call, status, false);
            return;
        }
        let mut waiting = start.targets.clone();
        waiting.sort_by_key(|target| std::cmp::Reverse(target.q));
        waiting.truncate(TARGETS_MAX);
        waiting.reverse();
        let call = start.call;
        let id = self.open(start, waiting, None);
        if let Some(call) = call {
            self.dialogs.open(call, Some(id));
        }
        self.advance(now, id, txs);
    }

    /// Sends a request on within its dialog, to the end opposite. Always answers it in the end: 430 if that
    /// end cannot be reached any more (RFC 5626 §11.5).
    pub fn follow(
        &mut self,
        now: Moment,
        tx: ServerTx,
        passage: Passage,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) {
        let way = self.way(&passage, reach);
        let way = way.and_then(|way| self.has_room(&passage.request).map(|()| way));
        let start = Start::new(tx, passage, Vec::new());
        let ends = self.dialogs.ended_by(&start.passage.request);
        match way {
            Ok((flow, party)) => {
                self.dialogs.saw(&start.passage.request);
                let uri = start.passage.uri.clone();
                let target = Target { uri, flow, route: Vec::new(), q: 0, party };
                let id = self.open(start, vec![target], Some(ends));
                self.advance(now, id, txs);
            }
            Err(Answer { status, bytes }) => {
                txs.respond(now, tx, status, bytes);
                self.end_dialog(ends);
            }
        }
    }

    /// The ACK of a 2xx, sent on within its dialog: without a transaction (§16.11), so that each repeated
    /// one is sent on too. Never answered.
    pub(super) fn pass_ack(&self, passage: &Passage, reach: Reach<'_>, txs: &mut Transactions) {
        if let Ok((flow, _)) = self.way(passage, reach) {
            txs.send_ack(self.onward(passage), flow);
        }
    }

    /// To the end opposite of a request's sender, if it may be sent on at all.
    fn way(&self, passage: &Passage, reach: Reach<'_>) -> Result<(Flow, Option<Arc<str>>), Answer> {
        let request = &passage.request;
        let no_dialog = || Answer::new(request, 481, &self.tag(request));
        let cookie = passage.cookie.as_ref().ok_or_else(no_dialog)?;
        self.validate(passage)?;
        let end = cookie.other_end(request.from_tag().unwrap_or(""));
        let gone = || Answer::with(request, 430, "Flow Failed", &self.tag(request));
        let flow = reach(end, passage.next_hop()).ok_or_else(gone)?;
        Ok((flow, end.party.clone()))
    }

    fn has_room(&self, request: &Message) -> Result<(), Answer> {
        match self.contexts.len() < self.limits.contexts_max {
            true => Ok(()),
            false => Err(self.no_room(request)),
        }
    }

    fn no_room(&self, request: &Message) -> Answer {
        let reply = Builder::reply(request, 503, Some(&self.tag(request)));
        Answer::of(503, reply.header(Header::RetryAfter, ROOM_RETRY_AFTER_S))
    }

    /// `in_dialog`: and which dialog it ends, if any.
    fn open(
        &mut self,
        start: Start,
        waiting: Vec<Target>,
        in_dialog: Option<Option<Ending>>,
    ) -> ContextId {
        self.last += 1;
        let id = ContextId(self.last);
        self.by_server.insert(start.tx, id);
        let context = Context {
            is_invite: *start.passage.request.method() == Method::Invite,
            start,
            in_dialog: in_dialog.is_some(),
            waiting,
            branches: Vec::new(),
            stage: Stage::Open,
            is_ringing: false,
            is_cancelled: false,
            verdict: None,
            ends: in_dialog.flatten(),
        };
        self.contexts.insert(id, context);
        id
    }

    /// Goes on where nothing is under way: the next targets, the best response, the end.
    pub(super) fn advance(&mut self, now: Moment, id: ContextId, txs: &mut Transactions) {
        while let Some(context) = self.contexts.get(&id) {
            if context.branches.iter().any(|branch| branch.end.is_none()) {
                return;
            }
            match context.stage {
                Stage::Open if context.waiting.is_empty() => self.conclude(now, id, txs),
                Stage::Open => self.launch(now, id, txs),
                Stage::Answered(until) if now < until => return,
                Stage::Answered(_) | Stage::Closed => self.close(id),
            }
        }
    }

    /// The next group of targets, all at once (§16.6).
    fn launch(&mut self, now: Moment, id: ContextId, txs: &mut Transactions) {
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let Some(q) = context.waiting.last().map(|target| target.q) else { return };
        let group = context.waiting.iter().rposition(|target| target.q != q).map_or(0, |i| i + 1);
        let group = context.waiting.split_off(group);
        for target in group.into_iter().rev() {
            let Some(context) = self.contexts.get(&id) else { return };
            let passage = &context.start.passage;
            let draft = match context.in_dialog {
                true => self.onward(passage),
                false => self.outgoing(&context.start, &target),
            };
            let method = passage.request.method().clone();
            let sent = txs.forward(now, draft, method, target.flow, &passage.mark);
            let index = context.branches.len();
            let timer_c = if context.is_invite { now + TIMER_C } else { Moment::NEVER };
            if let Ok(tx) = sent {
                self.by_client.insert(tx, (id, index));
                if timer_c != Moment::NEVER {
                    self.deadlines.insert((timer_c, id, index));
                }
            }
            let branch = Branch {
                tx: sent.ok(),
                callee: End { flow: target.flow, party: target.party },
                timer_c,
                is_overdue: false,
                end: sent.is_err().then_some(Final::Local(503)),
            };
            if let Some(context) = self.contexts.get_mut(&id) {
                context.branches.push(branch);
            }
        }
    }

    /// §16.7 step 6: nothing is left to wait for.
    fn conclude(&mut self, now: Moment, id: ContextId, txs: &mut Transactions) {
        let Some(context) = self.contexts.get(&id) else { return };
        let request = &context.start.passage.request;
        let local = |status| Answer::new(request, status, &self.tag(request));
        let chosen = best(context.branches.iter().filter_map(|branch| branch.end.as_ref()));
        let Answer { status, bytes } = match chosen {
            _ if context.verdict.is_some() => local(context.verdict.unwrap_or(480)),
            None | Some(Final::Local(408)) if context.is_cancelled => local(487),
            None => local(480),
            // A 503 would keep the caller from us, not from them (§16.7 step 6).
            Some(end) if end.status() == 503 => local(500),
            Some(Final::Local(status)) => local(*status),
            Some(Final::Response(response)) => {
                let reply = Proxy::backward(request, response);
                let reply = with_challenges(reply, response, &context.branches);
                Answer::of(response.status(), reply)
            }
        };
        txs.respond(now, context.start.tx, status, bytes);
        let (call, is_cancelled) = (context.start.call, context.is_cancelled);
        let ends = context.ends.clone().filter(|_| !matches!(status, 401 | 407));
        if let Some(context) = self.contexts.get_mut(&id) {
            context.stage = Stage::Closed;
        }
        self.tell_failed(call, status, is_cancelled);
        self.end_dialog(ends);
    }

    fn tell_failed(&mut self, call: Option<CallKey>, status: u16, cancelled: bool) {
        if let Some(call) = call {
            self.dialogs.forget(call);
            self.events.push_back(ProxyEvent::Failed { call, status, cancelled });
        }
    }

    pub(super) fn end_dialog(&mut self, ending: Option<Ending>) {
        if let Some(ending) = ending
            && self.dialogs.end(&ending)
        {
            self.events.push_back(ProxyEvent::Ended { call: ending.call, by: Some(ending.by) });
        }
    }

    fn close(&mut self, id: ContextId) {
        let Some(context) = self.contexts.remove(&id) else { return };
        self.by_server.remove(&context.start.tx);
        for (index, branch) in context.branches.iter().enumerate() {
            self.deadlines.remove(&(branch.timer_c, id, index));
            branch.tx.map(|tx| self.by_client.remove(&tx));
        }
        if let Stage::Answered(until) = context.stage {
            self.deadlines.remove(&(until, id, LINGER));
        }
        // A 2xx that makes no dialog (no To tag) cannot be followed: the call is nobody's.
        if let Some(call) = context.start.call.filter(|call| self.dialogs.is_opening(*call, id)) {
            self.tell_failed(Some(call), 500, false);
        }
    }

    /// Cancels what is under way and drops what was not tried.
    pub(super) fn cancel_all(
        &mut self,
        now: Moment,
        id: ContextId,
        reason: Option<&str>,
        txs: &mut Transactions,
    ) {
        let Some(context) = self.contexts.get_mut(&id) else { return };
        context.waiting.clear();
        let pending = context.branches.iter().filter(|branch| branch.end.is_none());
        for tx in pending.filter_map(|branch| branch.tx).filter(|_| context.is_invite) {
            txs.cancel(now, tx, reason);
        }
    }

    /// 64·T1.
    pub(super) fn give_up(&self) -> Duration {
        TransactionTimers::from(&self.settings.timers).give_up()
    }

    /// When [`Proxy::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Moment {
        self.deadlines.first().map_or(Moment::NEVER, |(at, ..)| *at)
    }

    /// Timer C of ringing branches (§16.8), and the end of answered contexts.
    pub fn handle_timeout(&mut self, now: Moment, txs: &mut Transactions) {
        while let Some((_, id, index)) =
            self.deadlines.first().copied().filter(|(at, ..)| *at <= now)
        {
            self.deadlines.pop_first();
            let context = self.contexts.get_mut(&id);
            if let Some(branch) = context.and_then(|context| context.branches.get_mut(index)) {
                branch.is_overdue = true;
                branch.tx.iter().for_each(|tx| txs.cancel(now, *tx, None));
            }
            self.advance(now, id, txs);
        }
    }

    /// The next event; `None` when all are taken.
    pub fn poll_event(&mut self) -> Option<ProxyEvent> {
        self.events.pop_front()
    }

    /// Requests on their way.
    pub fn len(&self) -> usize {
        self.contexts.len()
    }

    /// No request is on its way, no call is open, nothing waits to be polled.
    pub fn is_empty(&self) -> bool {
        let tables = [self.by_server.len(), self.by_client.len(), self.deadlines.len()];
        self.contexts.is_empty()
            && self.dialogs.is_empty()
            && self.events.is_empty()
            && tables == [0; 3]
    }
}

/// §16.7 step 7: an answer that asks for credentials carries all challenges that were made.
fn with_challenges(reply: Builder, chosen: &Message, branches: &[Branch]) -> Builder {
    if !matches!(chosen.status(), 401 | 407) {
        return reply;
    }
    let responses = branches.iter().filter_map(|branch| match &branch.end {
        Some(Final::Response(response)) if matches!(response.status(), 401 | 407) => Some(response),
        _ => None,
    });
    let headers = [Header::WwwAuthenticate, Header::ProxyAuthenticate];
    let reply = headers.into_iter().fold(reply, Builder::remove);
    responses.fold(reply, |reply, response| {
        headers.into_iter().fold(reply, |reply, header| reply.copy(response, header))
    })
}
