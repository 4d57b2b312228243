//! Messages that the layer makes itself from others: ACK of a failure (RFC 3261 §17.1.1.3), CANCEL
//! (§9.1), 100 and other replies; and where replies go.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::domain::Flow;
use crate::sip::{Builder, Header, Message, Method, Rejection, Via};

/// §17.1.1.3: Call-ID, From, Request-URI, top Via, CSeq number and Route of the request, To of the
/// response. `None` if `sent` is no request, which is not what a transaction keeps.
pub(super) fn ack_of_failure(sent: &Bytes, response: &Message) -> Option<Bytes> {
    let request = Message::parse(sent.clone()).ok()?;
    let draft = sibling(&request, &Method::Ack)?.copy(response, Header::To);
    Some(draft.finish())
}

/// §9.1: Request-URI, Call-ID, To, From, Route, top Via and CSeq number of the request.
pub(super) fn cancel(sent: &Bytes, reason: Option<&str>) -> Option<Bytes> {
    let request = Message::parse(sent.clone()).ok()?;
    let mut draft = sibling(&request, &Method::Cancel)?.copy(&request, Header::To);
    if let Some(reason) = reason {
        draft = draft.header(Header::Reason, reason);
    }
    Some(draft.finish())
}

fn sibling(request: &Message, method: &Method) -> Option<Builder> {
    let via = request.values(Header::Via).next()?;
    let (number, _) = request.cseq()?;
    let draft = Builder::request(method, request.uri())
        .header(Header::Via, via)
        .header(Header::MaxForwards, 70)
        .copy(request, Header::Route)
        .copy(request, Header::From)
        .copy(request, Header::CallId)
        .header(Header::CSeq, format_args!("{number} {method}"));
    Some(draft)
}

/// A reply of the layer's own, without a body.
pub(super) fn reply(request: &Message, status: u16, tag: Option<&str>) -> Bytes {
    Builder::reply(request, status, tag).finish()
}

/// The To tag of a message that we are about to send.
pub(super) fn to_tag(message: &Bytes) -> Option<String> {
    Message::parse(message.clone()).ok()?.to_tag().map(str::to_owned)
}

/// The answer to a request that was judged unacceptable.
pub(super) fn rejection(request: &Message, rejection: &Rejection, tag: &str) -> Bytes {
    Builder::reply_with(request, rejection.status, rejection.reason, Some(tag)).finish()
}

/// Where a response to `request` goes that came over `source` (§18.2.2, RFC 3581 §4): over a
/// stream back on its connection; as a datagram from the same listener to the source address, and
/// to its port if `rport` asks for it, else to the port in Via. `maddr` is not followed: it would
/// let anybody aim our responses at a third party.
pub(super) fn reply_flow(request: &Message, source: Flow) -> Flow {
    let via: Option<Via<'_>> = request.top_via();
    match via {
        Some(via) if !source.transport.is_reliable() && via.rport().is_none() => {
            let port = via.port.unwrap_or(5060);
            Flow { remote: SocketAddr::new(source.remote.ip(), port), ..source }
        }
        _ => source,
    }
}
