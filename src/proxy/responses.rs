//! What the transaction layer reports, carried to the context that it belongs to (RFC 3261 §16.7–§16.11).

use super::arrival::Arrival;
use super::best::Final;
use super::contexts::{Context, ContextId, LINGER, Proxy, Stage, TIMER_C};
use super::dialogs::ProxiedDialog;
use super::event::{ProxyEvent, Reach};
use crate::domain::{Flow, Moment};
use crate::sip::{Builder, Header, Message, NameAddr, Via};
use crate::transaction::{ServerTx, Transactions, TxEvent};

/// RFC 3326, for who rings no longer because somebody else answered.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Where a response belongs: which context, which of its branches.
type Place = (ContextId, usize);

impl Proxy {
    /// An event of the transaction layer, any but `Request`. `false`: not ours.
    pub fn on_tx_event(
        &mut self,
        now: Moment,
        event: &TxEvent,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) -> bool {
        match event {
            TxEvent::Request { .. } => false,
            TxEvent::Response { tx, response, .. } => match self.by_client.get(tx).copied() {
                Some(place) => {
                    self.on_response(now, place, response, txs);
                    self.hang_up_late(now, place, reach, txs);
                    true
                }
                None => self.dialogs.hung_up(*tx, response.status()),
            },
            TxEvent::Timeout { tx } | TxEvent::TransportFailed { tx } => {
                let status = if matches!(event, TxEvent::Timeout { .. }) { 408 } else { 503 };
                let Some(place) = self.by_client.get(tx).copied() else {
                    return self.dialogs.hung_up(*tx, status);
                };
                self.failure(now, place, Final::Local(status), txs);
                true
            }
            TxEvent::Cancelled { tx, cancel } => self.on_cancel(now, *tx, cancel, txs),
            TxEvent::Confirmed { tx } | TxEvent::NoAck { tx } | TxEvent::ReplyFailed { tx } => {
                self.by_server.contains_key(tx)
            }
            TxEvent::Ack { request, flow } => self.on_ack(request, *flow, reach, txs),
            TxEvent::Stray { response, flow } => self.on_stray(response, *flow, reach, txs),
        }
    }

    fn on_response(
        &mut self,
        now: Moment,
        place: Place,
        response: &Message,
        txs: &mut Transactions,
    ) {
        match response.status() {
            ..=100 => {}
            101..=199 => self.provisional(now, place, response, txs),
            200..=299 => self.success(now, place, response, txs),
            _ => self.failure(now, place, Final::Response(response.clone()), txs),
        }
    }

    /// The 2xx of a call that we had given up crossed our CANCEL.
    fn hang_up_late(
        &mut self,
        now: Moment,
        (id, _): Place,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) {
        let Some(context) = self.contexts.get(&id) else { return };
        if let (Stage::Answered(_), Some(_), Some(call)) =
            (context.stage, context.verdict, context.start.call)
        {
            self.hang_up(now, call, reach, txs);
        }
    }

    /// §16.7 steps 2 and 5: timer C begins anew, the response goes on at once.
    fn provisional(
        &mut self,
        now: Moment,
        (id, index): Place,
        response: &Message,
        txs: &mut Transactions,
    ) {
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let is_invite = context.is_invite;
        let Some(branch) = context.branches.get_mut(index).filter(|b| b.end.is_none()) else {
            return;
        };
        if is_invite && !branch.is_overdue {
            self.deadlines.remove(&(branch.timer_c, id, index));
            branch.timer_c = now + TIMER_C;
            self.deadlines.insert((branch.timer_c, id, index));
        }
        if context.stage != Stage::Open {
            return;
        }
        pass_back(now, context, response, txs);
        if let Some(call) = context.start.call
            && response.status() >= 180
            && !std::mem::replace(&mut context.is_ringing, true)
        {
            self.events.push_back(ProxyEvent::Ringing { call, status: response.status() });
        }
    }

    /// §16.7 steps 5 and 10: to an INVITE every 2xx goes on at once, whatever was before; to others one.
    fn success(
        &mut self,
        now: Moment,
        (id, index): Place,
        response: &Message,
        txs: &mut Transactions,
    ) {
        self.end_branch((id, index), Final::Response(response.clone()));
        let until = now + self.give_up();
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let is_first = context.stage == Stage::Open;
        if is_first || context.is_invite {
            pass_back(now, context, response, txs);
        }
        if is_first && context.is_invite {
            context.stage = Stage::Answered(until);
            self.deadlines.insert((until, id, LINGER));
            self.cancel_all(now, id, Some(ELSEWHERE), txs);
        } else if is_first {
            context.stage = Stage::Closed;
            context.waiting.clear();
            let ends = context.ends.take();
            self.end_dialog(ends);
        }
        self.note_dialog((id, index), response);
        self.advance(now, id, txs);
    }

    /// A call's dialog began, or was refreshed.
    fn note_dialog(&mut self, (id, index): Place, response: &Message) {
        let Some(context) = self.contexts.get(&id) else { return };
        let request = &context.start.passage.request;
        if context.in_dialog {
            self.dialogs.refreshed(request, response);
            return;
        }
        let branch = context.branches.get(index).filter(|_| context.is_invite);
        let (Some(call), Some(branch)) = (context.start.call, branch) else { return };
        let is_ours = |route: &&str| {
            let uri = NameAddr::parse(route).map_or("", |route| route.uri);
            self.cookie_text(uri).is_some()
        };
        let behind = response.values(Header::RecordRoute).take_while(|route| !is_ours(route));
        let behind: Vec<String> = behind.map(str::to_owned).collect();
        let (caller, callee) = (context.start.caller(), branch.callee.clone());
        let dialog = ProxiedDialog::new(request, response, caller, callee, behind);
        let Some(dialog) = dialog else { return };
        if self.dialogs.answered(call, dialog.clone()) {
            self.events.push_back(ProxyEvent::Answered { call, dialog: Box::new(dialog) });
        }
    }

    fn failure(&mut self, now: Moment, (id, index): Place, end: Final, txs: &mut Transactions) {
        let is_global = end.status() >= 600;
        self.end_branch((id, index), end);
        if is_global {
            self.cancel_all(now, id, None, txs);
        }
        self.advance(now, id, txs);
    }

    fn end_branch(&mut self, (id, index): Place, end: Final) {
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let Some(branch) = context.branches.get_mut(index).filter(|b| b.end.is_none()) else {
            return;
        };
        self.deadlines.remove(&(branch.timer_c, id, index));
        let is_late = branch.is_overdue && end.status() >= 300;
        branch.end = Some(if is_late { Final::Local(408) } else { end });
    }

    /// §16.10. Its 200 was sent; the INVITE's answer comes from the branches.
    fn on_cancel(
        &mut self,
        now: Moment,
        tx: ServerTx,
        cancel: &Message,
        txs: &mut Transactions,
    ) -> bool {
        let Some(id) = self.by_server.get(&tx).copied() else { return false };
        if let Some(context) = self.contexts.get_mut(&id) {
            context.is_cancelled = true;
        }
        self.cancel_all(now, id, cancel.header(Header::Reason), txs);
        self.advance(now, id, txs);
        true
    }

    fn on_ack(
        &mut self,
        request: &Message,
        flow: Flow,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) -> bool {
        let Arrival::Along(passage) = self.arrive(request, flow) else { return false };
        self.pass_ack(&passage, reach, txs);
        true
    }

    /// A 2xx to an INVITE that no transaction knows any more (we were started again, or it is very late). RFC
    /// 6026 §8.9 forbids a proxy to send on what it never asked for; that we did is proven by our cookie, and
    /// without the 2xx the callee would wait for an ACK in vain. It goes to the caller's end, by no address
    /// that a header names.
    fn on_stray(
        &mut self,
        response: &Message,
        flow: Flow,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) -> bool {
        let mut routes = response.values(Header::RecordRoute);
        let cookie = routes.find_map(|route| {
            let text = self.cookie_text(NameAddr::parse(route).ok()?.uri)?;
            self.jar.open(response.call_id(), text)
        });
        let Some(cookie) = cookie else { return false };
        let caller = cookie.is_from_caller(response.from_tag().unwrap_or(""));
        let is_callee = flow.remote.ip() == cookie.callee.flow.remote.ip();
        let upstream = response.values(Header::Via).nth(1).and_then(|via| Via::parse(via).ok());
        if !caller || !is_callee || upstream.is_none() {
            return true;
        }
        let Some(way) = reach(&cookie.caller, "") else { return true };
        let bytes = Builder::forward(response).pop(Header::Via).finish();
        if let Ok(message) = Message::parse(bytes.clone()) {
            txs.send_stateless(Transactions::reply_flow(&message, way), bytes);
        }
        true
    }
}

fn pass_back(now: Moment, context: &Context, response: &Message, txs: &mut Transactions) {
    let reply = Proxy::backward(&context.start.passage.request, response);
    txs.respond(now, context.start.tx, response.status(), reply.finish());
}
