//! The proxied INVITE dialogs that are calls with a record: enough to see them end, to probe and to end them.
//!
//! Forwarding does not need this table (the cookie in our Record-Route does it); it is the record's. A call is
//! in it from its start to its last BYE, its failure, or [`Proxy::hang_up`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::arrival::uri_of;
use super::contexts::{ContextId, Proxy};
use super::cookie::End;
use super::event::{ProxyEvent, Reach, Side};
use super::forward::steer;
use crate::domain::{CallKey, Moment};
use crate::sip::{Builder, Header, Message, Method};
use crate::transaction::{ClientTx, Transactions};

/// Dialogs of one call: a fork behind the target may answer several times. More are forwarded, not recorded.
pub const DIALOGS_MAX: usize = 8;

/// A confirmed dialog between two ends, seen from between them. As JSON it is what the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxiedDialog {
    /// Its Call-ID.
    pub call_id: String,
    /// Who began it.
    pub caller: Peer,
    /// Who answered.
    pub callee: Peer,
}

/// One end of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The way there.
    pub end: End,
    /// Its From or To value, tag included.
    pub address: String,
    /// Its tag.
    pub tag: String,
    /// Its contact's URI.
    pub target: String,
    /// Route values from us to it, nearest first.
    pub route: Vec<String>,
    /// The highest CSeq number seen from it; 0: none.
    pub cseq: u32,
}

impl ProxiedDialog {
    /// `behind`: the response's Record-Route values above ours. `None` without tags.
    pub(super) fn new(
        request: &Message,
        response: &Message,
        caller: End,
        callee: End,
        mut behind: Vec<String>,
    ) -> Option<Self> {
        behind.reverse();
        let contact = |message: &Message| message.contacts().next().map(|c| c.uri.to_owned());
        let line = |header| response.header(header).map(str::to_owned);
        let before = request.values(Header::RecordRoute).map(str::to_owned).collect();
        Some(Self {
            call_id: request.call_id().to_owned(),
            caller: Peer {
                end: caller,
                address: line(Header::From)?,
                tag: response.from_tag()?.to_owned(),
                target: contact(request).unwrap_or_default(),
                route: before,
                cseq: request.cseq().map_or(0, |(number, _)| number),
            },
            callee: Peer {
                end: callee,
                address: line(Header::To)?,
                tag: response.to_tag()?.to_owned(),
                target: contact(response).unwrap_or_default(),
                route: behind,
                cseq: 0,
            },
        })
    }

    /// One of the two.
    pub fn peer(&self, side: Side) -> &Peer {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn peer_mut(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The URI of the next hop towards `side`: what [`Reach`] is asked with.
    pub fn next_hop(&self, side: Side) -> &str {
        let peer = self.peer(side);
        peer.route.first().map_or(&peer.target, |route| uri_of(route))
    }

    /// OPTIONS within the dialog, to `side` as if from the other one: a peer that has the dialog answers
    /// anything, one that has not 481. The CSeq is one that was used, so that the real peer's next request
    /// is not out of order; a peer may say 500 to that, and lives.
    pub fn probe(&self, side: Side) -> Builder {
        self.request(&Method::Options, side, self.peer(side.other()).cseq.max(1))
    }

    /// BYE to `side` as if from the other one.
    fn bye(&self, side: Side) -> Builder {
        self.request(&Method::Bye, side, self.peer(side.other()).cseq.saturating_add(1))
    }

    fn request(&self, method: &Method, side: Side, cseq: u32) -> Builder {
        let (to, from) = (self.peer(side), self.peer(side.other()));
        let draft = Builder::request(method, &to.target)
            .header(Header::MaxForwards, 70)
            .header(Header::From, &from.address)
            .header(Header::To, &to.address)
            .header(Header::CallId, &self.call_id)
            .header(Header::CSeq, format_args!("{cseq} {method}"));
        let route: Vec<&str> = to.route.iter().map(String::as_str).collect();
        steer(draft, &to.target, &route)
    }

    fn name(&self) -> Name {
        (self.call_id.clone(), self.caller.tag.clone(), self.callee.tag.clone())
    }
}

/// Call-ID, caller's tag, callee's tag.
type Name = (String, String, String);

/// What a BYE ends, once it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub call: CallKey,
    pub by: Side,
    name: Name,
}

#[derive(Debug, Default)]
struct Call {
    /// The INVITE on its way.
    opening: Option<ContextId>,
    dialogs: Vec<ProxiedDialog>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Dialogs {
    calls: BTreeMap<CallKey, Call>,
    by_name: BTreeMap<Name, CallKey>,
    /// BYEs of our own that are not answered.
    byes: BTreeSet<ClientTx>,
}

impl Dialogs {
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.by_name.is_empty() && self.byes.is_empty()
    }

    /// A call that is not answered.
    pub fn open(&mut self, call: CallKey, opening: Option<ContextId>) {
        self.calls.entry(call).or_default().opening = opening;
    }

    /// Nothing has answered it yet.
    pub fn is_opening(&self, call: CallKey, opening: ContextId) -> bool {
        self.calls.get(&call).is_some_and(|call| call.opening == Some(opening))
    }

    /// A call is over.
    pub fn forget(&mut self, call: CallKey) -> Vec<ProxiedDialog> {
        let dialogs = self.calls.remove(&call).unwrap_or_default().dialogs;
        for dialog in &dialogs {
            self.by_name.remove(&dialog.name());
        }
        dialogs
    }

    /// A 2xx; `true` if it is the call's first.
    pub fn answered(&mut self, call: CallKey, dialog: ProxiedDialog) -> bool {
        let Some(Call { opening, dialogs }) = self.calls.get_mut(&call) else { return false };
        *opening = None;
        let name = dialog.name();
        if self.by_name.contains_key(&name) || dialogs.len() >= DIALOGS_MAX {
            return false;
        }
        self.by_name.insert(name, call);
        dialogs.push(dialog);
        dialogs.len() == 1
    }

    fn find(&mut self, request: &Message) -> Option<(CallKey, Side, &mut ProxiedDialog)> {
        let (from, to) = (request.from_tag()?.to_owned(), request.to_tag()?.to_owned());
        let from_caller = (request.call_id().to_owned(), from, to);
        let (id, from, to) = from_caller.clone();
        let (name, side) = match self.by_name.contains_key(&from_caller) {
            true => (from_caller, Side::Caller),
            false => ((id, to, from), Side::Callee),
        };
        let call = *self.by_name.get(&name)?;
        let mut dialogs = self.calls.get_mut(&call)?.dialogs.iter_mut();
        Some((call, side, dialogs.find(|dialog| dialog.callee.tag == name.2)?))
    }

    /// A request passes: its CSeq is used.
    pub fn saw(&mut self, request: &Message) {
        let number = request.cseq().map_or(0, |(number, _)| number);
        if let Some((_, side, dialog)) = self.find(request) {
            let peer = dialog.peer_mut(side);
            peer.cseq = peer.cseq.max(number);
        }
    }

    /// A 2xx within a dialog: INVITE and UPDATE refresh both targets (RFC 3261 §12.2, RFC 3311 §5).
    pub fn refreshed(&mut self, request: &Message, response: &Message) {
        if !matches!(request.method(), Method::Invite | Method::Update) {
            return;
        }
        let Some((_, side, dialog)) = self.find(request) else { return };
        for (message, side) in [(request, side), (response, side.other())] {
            if let Some(contact) = message.contacts().next() {
                dialog.peer_mut(side).target = contact.uri.to_owned();
            }
        }
    }

    /// What a request ends, if it is a BYE of a call.
    pub fn ended_by(&mut self, request: &Message) -> Option<Ending> {
        if *request.method() != Method::Bye {
            return None;
        }
        let (call, by, dialog) = self.find(request)?;
        Some(Ending { call, by, name: dialog.name() })
    }

    /// `true` if it was the call's last dialog.
    pub fn end(&mut self, ending: &Ending) -> bool {
        if self.by_name.remove(&ending.name).is_none() {
            return false;
        }
        let Some(Call { dialogs, .. }) = self.calls.get_mut(&ending.call) else { return false };
        dialogs.retain(|dialog| dialog.callee.tag != ending.name.2);
        let is_last = dialogs.is_empty();
        if is_last {
            self.calls.remove(&ending.call);
        }
        is_last
    }

    /// `true` if `tx` is a BYE of our own; a final status ends it.
    pub fn hung_up(&mut self, tx: ClientTx, status: u16) -> bool {
        match status >= 200 {
            true => self.byes.remove(&tx),
            false => self.byes.contains(&tx),
        }
    }
}

impl Proxy {
    /// Ends a call from between: BYE to both ends of each dialog, or CANCEL to all targets and 480 to the
    /// caller if it is not answered. `false`: no such call. For a peer that a probe found dead, for the longest
    /// duration of a call, and for whoever may hang up other people's calls.
    pub fn hang_up(
        &mut self,
        now: Moment,
        call: CallKey,
        reach: Reach<'_>,
        txs: &mut Transactions,
    ) -> bool {
        let Some(Call { opening, .. }) = self.dialogs.calls.get(&call) else { return false };
        if let Some(id) = *opening {
            if let Some(context) = self.contexts.get_mut(&id) {
                context.verdict = Some(480);
            }
            self.cancel_all(now, id, None, txs);
            self.advance(now, id, txs);
            return true;
        }
        for dialog in self.dialogs.forget(call) {
            for side in [Side::Caller, Side::Callee] {
                let flow = reach(&dialog.peer(side).end, dialog.next_hop(side));
                let bye = || dialog.bye(side);
                let sent = flow.map(|flow| txs.request(now, bye(), Method::Bye, flow));
                self.dialogs.byes.extend(sent.and_then(Result::ok));
            }
        }
        self.events.push_back(ProxyEvent::Ended { call, by: None });
        true
    }

    /// An answered call comes back from the journal.
    pub fn restore(&mut self, call: CallKey, dialog: ProxiedDialog) {
        self.dialogs.open(call, None);
        self.dialogs.answered(call, dialog);
    }

    /// The dialogs of a call, for probing; empty if it is not answered or over.
    pub fn dialogs(&self, call: CallKey) -> &[ProxiedDialog] {
        self.dialogs.calls.get(&call).map_or(&[], |call| call.dialogs.as_slice())
    }

    /// Calls with a record that are not over.
    pub fn calls(&self) -> usize {
        self.dialogs.len()
    }
}
