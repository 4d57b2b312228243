//! A dialog's state and the requests within it: RFC 3261 §12.
//!
//! ```text
//!             1xx with To tag            2xx              BYE, 481, 408, failure
//!   (nothing) ───────────────► early ──────────► confirmed ─────────────────────► (gone)
//!       └──────────────────────────── 2xx ──────────►
//! ```
//!
//! The state holds what §12 lists: Call-ID, tags, sequence numbers, URIs, remote target, route set.
//! It knows no flow: over which path the next hop is reached, its owner asks at each send.
//! A peer without tags (RFC 2543) has an empty one (§12.1.1).

use crate::sip::{Builder, Header, Message, Method, NameAddr, Uri};

use super::opening::Opening;

/// Sequence numbers stay below 2^31 (RFC 3261 §8.1.1.5).
pub(super) const CSEQ_MAX: u32 = (1 << 31) - 1;

/// By what a message finds its dialog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; empty if it has none.
    pub remote_tag: String,
}

impl DialogId {
    /// Of a request that we received: To is ours (§12.2.2).
    pub fn of_request(request: &Message) -> Self {
        Self::new(request, request.to_tag(), request.from_tag())
    }

    /// Of a response that we received: From is ours (§12.2.1.2).
    pub fn of_response(response: &Message) -> Self {
        Self::new(response, response.from_tag(), response.to_tag())
    }

    fn new(message: &Message, local: Option<&str>, remote: Option<&str>) -> Self {
        Self {
            call_id: message.call_id().to_owned(),
            local_tag: local.unwrap_or_default().to_owned(),
            remote_tag: remote.unwrap_or_default().to_owned(),
        }
    }
}

/// A response that makes no dialog: a 100, a failure, a provisional one without a To tag (§12.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDialog;

/// One dialog, early or confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; empty if it has none.
    pub remote_tag: String,
    /// Our From, or To, as name-addr text without a tag.
    pub local: String,
    /// The peer's, without a tag.
    pub remote: String,
    /// CSeq of our last request; 0 before the first.
    pub local_seq: u32,
    /// CSeq of the peer's last request; none before the first.
    pub remote_seq: Option<u32>,
    /// Route header values, nearest hop first.
    pub route_set: Vec<String>,
    /// Request-URI of what we send: the peer's Contact.
    pub remote_target: String,
    /// Our Contact, as name-addr text.
    pub contact: String,
    /// We made the Call-ID: at glare we wait longer (§14.1).
    pub owns_call_id: bool,
    /// A 2xx has been sent or received.
    pub is_confirmed: bool,
}

impl Dialog {
    /// The called side's, early until [`Dialog::confirm`] (§12.1.1). `contact` is our name-addr.
    ///
    /// An old caller without a Contact (RFC 2543) is addressed by its From.
    ///
    /// # Errors
    /// 400 with a Contact that is no `sip:` URI, without a From or a CSeq.
    pub fn uas(request: &Message, local_tag: &str, contact: &str) -> Result<Dialog, u16> {
        let (number, _) = request.cseq().ok_or(400_u16)?;
        let by_from = || request.from().filter(|_| !request.has(Header::Contact)).and_then(sip_uri);
        let target = contact_uri(request).or_else(by_from).ok_or(400_u16)?;
        Ok(Dialog {
            call_id: request.call_id().to_owned(),
            local_tag: request.to_tag().unwrap_or(local_tag).to_owned(),
            remote_tag: request.from_tag().unwrap_or_default().to_owned(),
            local: untagged(request.to().ok_or(400_u16)?),
            remote: untagged(request.from().ok_or(400_u16)?),
            local_seq: 0,
            remote_seq: Some(number),
            route_set: request.values(Header::RecordRoute).map(str::to_owned).collect(),
            remote_target: target,
            contact: contact.to_owned(),
            owns_call_id: false,
            is_confirmed: false,
        })
    }

    /// The calling side's, early by a 1xx, confirmed by a 2xx (§12.1.2).
    ///
    /// A 2xx without a readable Contact leaves the request's URI as the target, and one without a
    /// To tag comes from an old peer: neither is a reason to lose an answered call.
    ///
    /// # Errors
    /// [`NoDialog`] for every other response.
    pub fn uac(opening: &Opening, response: &Message) -> Result<Dialog, NoDialog> {
        let is_confirmed = match response.status() {
            101..=199 if response.to_tag().is_some() => false,
            200..=299 => true,
            _ => return Err(NoDialog),
        };
        Ok(Dialog {
            call_id: opening.call_id.clone(),
            local_tag: opening.local_tag.clone(),
            remote_tag: response.to_tag().unwrap_or_default().to_owned(),
            local: opening.local.clone(),
            remote: response.to().map_or_else(|| opening.remote.clone(), untagged),
            local_seq: opening.cseq,
            remote_seq: None,
            route_set: reversed_route(response),
            remote_target: contact_uri(response).unwrap_or_else(|| opening.uri.clone()),
            contact: opening.contact.clone(),
            owns_call_id: true,
            is_confirmed,
        })
    }

    /// What its messages carry.
    pub fn id(&self) -> DialogId {
        DialogId {
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: self.remote_tag.clone(),
        }
    }

    /// Our own 2xx was sent.
    pub fn confirm(&mut self) {
        self.is_confirmed = true;
    }

    /// A 2xx to the INVITE that made this early dialog: route set and target are computed anew
    /// (§13.2.2.4). Later 2xx refresh the target only: [`Dialog::target_from`].
    pub fn confirm_by(&mut self, response: &Message) {
        if !self.is_confirmed {
            self.is_confirmed = true;
            self.route_set = reversed_route(response);
            self.target_from(response);
        }
    }

    /// A request of the peer within this dialog (§12.2.2). It does not refresh the target: do that
    /// by [`Dialog::target_from`] when an INVITE or UPDATE is answered with a 2xx.
    ///
    /// # Errors
    /// 481 if it belongs to another dialog, 500 if its CSeq is lower than one before, 400 without
    /// a CSeq.
    pub fn accept(&mut self, request: &Message) -> Result<(), u16> {
        if !self.has(request) {
            return Err(481);
        }
        let (number, method) = request.cseq().ok_or(400_u16)?;
        // Both carry the number of the INVITE that they speak of.
        if matches!(method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        if self.remote_seq.is_some_and(|last| number < last) {
            return Err(500);
        }
        self.remote_seq = Some(number);
        Ok(())
    }

    /// The peer's Contact in an INVITE or UPDATE that succeeded, or in its 2xx, is the new remote
    /// target (§12.2.1.2, §12.2.2). Without a readable one the target stays.
    pub fn target_from(&mut self, message: &Message) {
        if let Some(target) = contact_uri(message) {
            self.remote_target = target;
        }
    }

    /// The next request within the dialog (§12.2.1.1): not ACK and not CANCEL. It lacks our Via.
    pub fn request(&mut self, method: &Method) -> Builder {
        self.local_seq = self.local_seq.saturating_add(1).min(CSEQ_MAX);
        let draft = self.draft(method, self.local_seq);
        match carries_contact(method) {
            true => draft.header(Header::Contact, &self.contact),
            false => draft,
        }
    }

    /// The ACK of a 2xx (§13.2.2.4): `cseq` is its INVITE's. The sender of an INVITE with
    /// credentials adds the same ones here. It lacks our Via.
    pub fn ack(&self, cseq: u32) -> Builder {
        self.draft(&Method::Ack, cseq)
    }

    /// A reply to a request of the peer within the dialog, or to the one that made it: our tag, and
    /// where a 101–299 makes a dialog or refreshes its target our Contact and the request's
    /// Record-Route (§12.1.1).
    pub fn reply(&self, request: &Message, status: u16) -> Builder {
        let draft = Builder::reply(request, status, Some(&self.local_tag));
        match carries_contact(request.method()) && (101..300).contains(&status) {
            true => draft.copy(request, Header::RecordRoute).header(Header::Contact, &self.contact),
            false => draft,
        }
    }

    /// URI text of the hop that the next request goes to: the first route, else the remote target.
    pub fn next_hop(&self) -> &str {
        match self.route_set.first() {
            Some(route) => uri_of(route),
            None => &self.remote_target,
        }
    }

    fn has(&self, request: &Message) -> bool {
        request.call_id() == self.call_id
            && request.to_tag().unwrap_or_default() == self.local_tag
            && request.from_tag().unwrap_or_default() == self.remote_tag
    }

    fn draft(&self, method: &Method, cseq: u32) -> Builder {
        let (uri, routes) = self.routing();
        let draft = Builder::request(method, &uri).header(Header::MaxForwards, 70);
        let draft = routes.iter().fold(draft, |draft, route| draft.header(Header::Route, route));
        draft
            .header(Header::From, tagged(&self.local, &self.local_tag))
            .header(Header::To, tagged(&self.remote, &self.remote_tag))
            .header(Header::CallId, &self.call_id)
            .header(Header::CSeq, format_args!("{cseq} {method}"))
    }

    /// §12.2.1.1: through a loose router the target is the Request-URI; a strict one takes that
    /// place itself, and the target goes to the end of the route.
    fn routing(&self) -> (String, Vec<String>) {
        let Some((first, rest)) = self.route_set.split_first() else {
            return (self.remote_target.clone(), Vec::new());
        };
        if is_loose(first) {
            return (self.remote_target.clone(), self.route_set.clone());
        }
        let target = format!("<{}>", self.remote_target);
        let routes = rest.iter().cloned().chain([target]).collect();
        (as_request_uri(uri_of(first)), routes)
    }
}

/// Requests that make a dialog or refresh its target (§12.1, RFC 3311, RFC 3515, RFC 6665).
fn carries_contact(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify
    )
}

/// `address;tag=tag`, without the tag if that is empty.
pub(super) fn tagged(address: &str, tag: &str) -> String {
    match tag {
        "" => address.to_owned(),
        _ => format!("{address};tag={tag}"),
    }
}

/// A From or To without its tag: `display <uri>;other=params`.
pub(super) fn untagged(address: NameAddr<'_>) -> String {
    let display = address.display.map(|d| format!("{d} ")).unwrap_or_default();
    let mut text = format!("{display}<{}>", address.uri);
    for param in address.params().filter(|p| !p.name.eq_ignore_ascii_case("tag")) {
        text.push(';');
        text.push_str(param.name);
        if let Some(value) = param.value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

fn contact_uri(message: &Message) -> Option<String> {
    message.contacts().next().filter(|contact| !contact.is_star()).and_then(sip_uri)
}

/// Only these can be sent to (§12.1.1).
fn sip_uri(address: NameAddr<'_>) -> Option<String> {
    let fits = address.parsed_uri().is_ok_and(|uri| uri.is_sip());
    fits.then(|| address.uri.to_owned())
}

fn reversed_route(response: &Message) -> Vec<String> {
    let mut routes: Vec<String> = response.values(Header::RecordRoute).map(str::to_owned).collect();
    routes.reverse();
    routes
}

fn uri_of(route: &str) -> &str {
    NameAddr::parse(route).map_or(route, |address| address.uri)
}

/// A router that does not say `lr` replaces the Request-URI (RFC 2543). What cannot be read is
/// taken for a loose one: it then stays in Route, where its owner put it.
fn is_loose(route: &str) -> bool {
    Uri::parse(uri_of(route)).map_or(true, |uri| uri.param("lr").is_some())
}

/// §19.1.1, table 1: a Request-URI has neither headers nor `method`.
fn as_request_uri(uri: &str) -> String {
    let bare = uri.split_once('?').map_or(uri, |(bare, _)| bare);
    let mut parts = bare.split(';');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for param in parts {
        let name = param.split_once('=').map_or(param, |(name, _)| name);
        if !name.eq_ignore_ascii_case("method") {
            text.push(';');
            text.push_str(param);
        }
    }
    text
}
