//! A request on its way out (RFC 3261 §16.6), and a response on its way back (§16.7 step 9).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::arrival::{Passage, uri_of};
use super::contexts::{Proxy, Start, Target};
use super::cookie::{Cookie, End};
use crate::domain::Flow;
use crate::sip::digest::Authorization;
use crate::sip::{Builder, Header, Message, Method, Uri};

/// Our Record-Route's parameter.
pub(super) const COOKIE: &str = "ck";
/// What a request without Max-Forwards is given (§16.6 step 3).
const MAX_FORWARDS: u8 = 70;

impl Proxy {
    /// §16.6 steps 1 to 7 for one target of `start`.
    pub(super) fn outgoing(&self, start: &Start, target: &Target) -> Builder {
        let request = &start.passage.request;
        let mut draft = self.copy(&start.passage).request_uri(&target.uri);
        for name in &start.remove {
            draft = draft.remove_named(name);
        }
        for (name, value) in &start.add {
            draft = draft.named(name, value);
        }
        if starts_a_dialog(request) {
            let cookie = Cookie::new(
                request.from_tag().unwrap_or(""),
                start.caller(),
                End { flow: target.flow, party: target.party.clone() },
            );
            let cookie = self.jar.seal(request.call_id(), &cookie);
            for listener in listeners(start.passage.flow, target.flow) {
                draft = draft.top(Header::RecordRoute, self.record_route(listener, &cookie));
            }
        }
        let routes: Vec<&str> = target.route.iter().map(|r| &**r).collect();
        steer(draft, &target.uri, &routes)
    }

    /// The same for a request within a dialog, and for its ACK: no Record-Route, no other target.
    pub(super) fn onward(&self, passage: &Passage) -> Builder {
        let draft = self.copy(passage).request_uri(&passage.uri);
        let routes: Vec<&str> = passage.routes.iter().map(String::as_str).collect();
        match passage.routes_changed || routes.first().is_some_and(|r| is_strict(r)) {
            true => steer(draft, &passage.uri, &routes),
            false => draft,
        }
    }

    /// Steps 1 and 3; and credentials for our realm stay here.
    fn copy(&self, passage: &Passage) -> Builder {
        let request = &passage.request;
        let left = request.max_forwards().map_or(MAX_FORWARDS, |n| n.saturating_sub(1));
        let draft = Builder::forward(request).set(Header::MaxForwards, left);
        let ours = |line: &&str| {
            Authorization::parse(line).is_some_and(|a| a.realm == *self.settings.realm)
        };
        if !request.lines(Header::ProxyAuthorization).any(|line| ours(&line)) {
            return draft;
        }
        let draft = draft.remove(Header::ProxyAuthorization);
        let others = request.lines(Header::ProxyAuthorization).filter(|line| !ours(line));
        others.fold(draft, |draft, line| draft.header(Header::ProxyAuthorization, line))
    }

    fn record_route(&self, listener: u16, cookie: &str) -> String {
        let Some(listener) = self.settings.listeners.get(usize::from(listener)) else {
            return format!("<sip:listener.invalid;lr;{COOKIE}={cookie}>");
        };
        let transport = match listener.transport.is_reliable() {
            true => format!(";transport={}", listener.transport.as_param()),
            false => String::new(),
        };
        format!("<sip:{}{transport};lr;{COOKIE}={cookie}>", listener.advertise)
    }

    /// A response for upstream: its Via lines are those of the request as we got it, whatever the other side
    /// made of them.
    pub(super) fn backward(request: &Message, response: &Message) -> Builder {
        let vias: Vec<&str> = request.lines(Header::Via).collect();
        let draft = Builder::forward(response).remove(Header::Via);
        vias.into_iter().rev().fold(draft, |draft, via| draft.top(Header::Via, via))
    }

    /// What decides the way, and what a loop leaves as it is (§16.6 step 8 as RFC 5393 §4.2 has it; credentials
    /// decide nothing here). Twelve hexadecimal digits.
    pub(super) fn mark(&self, request: &Message) -> String {
        let mut hash = self.hash("loop");
        let mut feed = |part: &str| {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        };
        feed(request.uri());
        feed(request.method().as_str());
        feed(request.call_id());
        feed(request.from_tag().unwrap_or(""));
        feed(request.to_tag().unwrap_or(""));
        feed(&request.cseq().map_or(0, |(number, _)| number).to_string());
        request.lines(Header::Route).for_each(&mut feed);
        request.lines(Header::ProxyRequire).for_each(&mut feed);
        hex(&hash.finalize().into_bytes()[..6])
    }

    /// The To tag of our own answer: the same for the same request (§8.2.7).
    pub(super) fn tag(&self, request: &Message) -> String {
        let mut hash = self.hash("tag");
        hash.update(request.call_id().as_bytes());
        hash.update(b"\0");
        hash.update(request.from_tag().unwrap_or("").as_bytes());
        hex(&hash.finalize().into_bytes()[..8])
    }

    fn hash(&self, purpose: &str) -> Hmac<Sha256> {
        let hash =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        hash.chain_update(purpose).chain_update([0])
    }
}

/// A request that may make a dialog needs us in its route. Unknown methods may; these do not (RFC 3261 §12,
/// RFC 3428 §4, RFC 3903 §4).
pub(super) fn starts_a_dialog(request: &Message) -> bool {
    let never = matches!(
        request.method(),
        Method::Register | Method::Message | Method::Options | Method::Publish
    );
    request.to_tag().is_none() && !never
}

/// Ours, in the order in which they are put on top: one if both sides use the same listener (§16.6 step 4,
/// RFC 5658 §4).
fn listeners(from: Flow, to: Flow) -> impl Iterator<Item = u16> {
    let second = (to.listener != from.listener).then_some(to.listener);
    std::iter::once(from.listener).chain(second)
}

/// Writes the Route lines; for a strict router in front (§16.6 step 6) it becomes the Request-URI and that the
/// last Route.
pub(super) fn steer(draft: Builder, uri: &str, routes: &[&str]) -> Builder {
    let draft = draft.remove(Header::Route);
    let (first, rest) = match routes {
        [first, rest @ ..] if is_strict(first) => (Some(uri_of(first)), rest),
        all => (None, all),
    };
    let draft = rest.iter().fold(draft, |draft, route| draft.header(Header::Route, route));
    match first {
        Some(first) => draft.header(Header::Route, format_args!("<{uri}>")).request_uri(first),
        None => draft,
    }
}

fn is_strict(route: &str) -> bool {
    Uri::parse(uri_of(route)).is_ok_and(|uri| uri.param("lr").is_none())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
