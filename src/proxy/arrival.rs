//! A request as it comes in: route preprocessing (RFC 3261 §16.4) and validation (§16.3).
//!
//! Our own Route values are taken off (both of a double Record-Route, RFC 5658), a strict router's rewriting
//! is undone, and the cookie says whether we put ourselves into this dialog's route. What is left is a
//! [`Passage`]. Looks at text only; decides nothing about targets.

use super::contexts::Proxy;
use bytes::Bytes;

use super::cookie::Cookie;
use crate::domain::Flow;
use crate::sip::{Builder, Header, Message, NameAddr, Uri};
use crate::transaction::Transactions;

/// More Route values than this are refused.
pub const ROUTES_MAX: usize = 32;
/// No more Via values than this are looked at for loops; a longer way has Max-Forwards against it.
const VIAS_MAX: usize = 128;

/// What a request is to the proxy.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Within a dialog that we record-routed; for [`Proxy::follow`].
    Along(Passage),
    /// For the switch to decide: us, or targets for [`Proxy::start`].
    Open(Passage),
    /// To be answered so (an ACK is dropped).
    Refused(Answer),
}

/// A final answer of ours, for `Transactions::respond`.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// All of it.
    pub bytes: Bytes,
}

impl Answer {
    pub(super) fn new(request: &Message, status: u16, tag: &str) -> Self {
        Self::of(status, Builder::reply(request, status, Some(tag)))
    }

    pub(super) fn with(request: &Message, status: u16, reason: &str, tag: &str) -> Self {
        Self::of(status, Builder::reply_with(request, status, reason, Some(tag)))
    }

    pub(super) fn of(status: u16, reply: Builder) -> Self {
        Self { status, bytes: reply.finish() }
    }
}

/// A request without what was meant for us.
#[derive(Clone, Debug)]
pub struct Passage {
    /// As it came.
    pub request: Message,
    /// Where from.
    pub flow: Flow,
    /// The Request-URI, a strict router's rewriting undone.
    pub uri: String,
    /// Route values that are left, brackets included.
    pub(super) routes: Vec<String>,
    /// `routes` are not the request's own.
    pub(super) routes_changed: bool,
    pub(super) cookie: Option<Cookie>,
    /// Tells a loop from a spiral (§16.6 step 8; RFC 5393 §4.2: Via is not part of it).
    pub(super) mark: String,
}

impl Passage {
    /// The URI of the next hop (§16.6 step 7).
    pub(super) fn next_hop(&self) -> &str {
        self.routes.first().map_or(&self.uri, |route| uri_of(route))
    }
}

impl Proxy {
    /// §16.4. `request` was judged and is no response.
    pub fn arrive(&self, request: &Message, flow: Flow) -> Arrival {
        let mut routes: Vec<String> =
            request.values(Header::Route).take(ROUTES_MAX + 1).map(str::to_owned).collect();
        if routes.len() > ROUTES_MAX {
            return self.refused(request, 400, "Too Many Routes");
        }
        let came_with = routes.len();
        let mut uri = request.uri().to_owned();
        let mut text = None;
        if let Some(rewritten) = self.cookie_text(&uri)
            && let Some(last) = routes.pop()
        {
            text = Some(rewritten.to_owned());
            uri = uri_of(&last).to_owned();
        }
        while let Some(first) = routes.first()
            && self.is_ours(uri_of(first))
        {
            match (self.cookie_text(uri_of(first)), &text) {
                (Some(next), Some(before)) if next != before => break,
                (Some(next), None) => text = Some(next.to_owned()),
                _ => {}
            }
            routes.remove(0);
        }
        // A cookie belongs to a dialog: copied into a request that begins one it says nothing.
        let text = text.filter(|_| request.to_tag().is_some());
        let cookie = text.and_then(|text| self.jar.open(request.call_id(), &text));
        let passage = Passage {
            mark: self.mark(request),
            request: request.clone(),
            flow,
            uri,
            routes_changed: routes.len() != came_with,
            routes,
            cookie,
        };
        match (&passage.cookie, passage.routes.is_empty()) {
            (Some(_), _) => Arrival::Along(passage),
            (None, true) => Arrival::Open(passage),
            // §26.1.4: a preloaded route through us to others makes us a relay.
            (None, false) => self.refused(request, 403, "Route Not Allowed"),
        }
    }

    /// §16.3, for what is to be sent on. `Err` is the answer.
    pub(super) fn validate(&self, passage: &Passage) -> Result<(), Answer> {
        let request = &passage.request;
        let refuse = |status| Err(Answer::new(request, status, &self.tag(request)));
        let uri = Uri::parse(&passage.uri);
        if !uri.is_ok_and(|uri| (uri.is_sip() && !uri.is_secure()) || uri.is_tel()) {
            return refuse(416);
        }
        if request.max_forwards() == Some(0) {
            return refuse(483);
        }
        if self.has_looped(passage) {
            return Err(Answer::with(request, 482, "Loop Detected", &self.tag(request)));
        }
        let unknown = request.unknown_options(Header::ProxyRequire, &[]);
        if !unknown.is_empty() {
            let reply = Builder::reply(request, 420, Some(&self.tag(request)));
            return Err(Answer::of(420, reply.header(Header::Unsupported, unknown.join(", "))));
        }
        Ok(())
    }

    fn has_looped(&self, passage: &Passage) -> bool {
        let vias = passage.request.values(Header::Via).take(VIAS_MAX);
        let mut branches = vias.filter_map(|via| crate::sip::Via::parse(via).ok()?.branch());
        branches.any(|branch| Transactions::branch_mark(branch) == Some(&passage.mark))
    }

    fn refused(&self, request: &Message, status: u16, reason: &str) -> Arrival {
        Arrival::Refused(Answer::with(request, status, reason, &self.tag(request)))
    }

    fn is_ours(&self, uri: &str) -> bool {
        let uri = Uri::parse(uri).ok().filter(Uri::is_sip);
        uri.is_some_and(|uri| self.settings.is_our_address(uri.host, uri.port))
    }

    /// The cookie of a URI of ours, unopened.
    pub(super) fn cookie_text<'a>(&self, uri: &'a str) -> Option<&'a str> {
        if !self.is_ours(uri) {
            return None;
        }
        Uri::parse(uri).ok()?.param(super::forward::COOKIE)
    }
}

/// The URI of a Route or Record-Route value; the value itself if it cannot be read.
pub(super) fn uri_of(value: &str) -> &str {
    NameAddr::parse(value).map_or(value, |address| address.uri)
}
