//! Who speaks with the switch: callers behind trunks, and phones. Both keep to RFC 3261 on a network that
//! loses nothing, so nothing is ever sent twice. Owns what they write; knows no time.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::domain::{Number, NumberFormat};
use crate::sip::{Builder, Header, Message, Method, escape_user};

use super::Arrival;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 198.18.0.1\r\ns=-\r\nc=IN IP4 198.18.0.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 8\r\n";
const ANSWER: &str = "v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
                      m=audio 5000 RTP/AVP 8\r\n";

/// One call's caller. Its place among the calls is its Call-ID and its Subject, which phones see.
pub(super) struct Caller {
    at: SocketAddr,
    invite: Message,
    pub(super) stage: Stage,
    /// The answer, of the dialog.
    ok: Option<Message>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Calling,
    Talking,
    Over,
}

impl Caller {
    /// `None`: what was recorded makes no INVITE.
    pub(super) fn new(
        place: usize,
        call: &Arrival,
        at: SocketAddr,
        format: &NumberFormat,
        domain: &str,
    ) -> Option<Self> {
        let facts = &call.facts;
        // As it was written, unless that means another number over the trunk as it is set up now.
        let as_written = Number::parse(&facts.to_raw, format) == facts.to;
        let to = match &facts.to {
            Some(number) if !as_written => number.as_str(),
            _ => &facts.to_raw,
        };
        let to = match to {
            "" => format!("sip:{domain}"),
            user => format!("sip:{}@{domain}", escape_user(user)),
        };
        let from = facts.from.as_ref().map_or("anonymous", Number::as_str);
        let draft = Builder::request(&Method::Invite, &to)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch=z9hG4bKi{place}"))
            .header(Header::MaxForwards, 70)
            .header(Header::From, format_args!("<sip:{from}@{at}>;tag=c{place}"))
            .header(Header::To, format_args!("<{to}>"))
            .header(Header::CallId, call_id(place))
            .header(Header::CSeq, "1 INVITE")
            .header(Header::Subject, place)
            .header(Header::Contact, format_args!("<sip:{at}>"))
            .body("application/sdp", OFFER.as_bytes());
        let invite = Message::parse(draft.finish()).ok()?;
        Some(Self { at, invite, stage: Stage::Calling, ok: None })
    }

    pub(super) fn invite(&self) -> Message {
        self.invite.clone()
    }

    /// Hangs up, as long as nobody has answered.
    pub(super) fn cancel(&self) -> Bytes {
        self.simple(&Method::Cancel, &self.invite)
    }

    fn simple(&self, method: &Method, to: &Message) -> Bytes {
        Builder::request(method, self.invite.uri())
            .copy(&self.invite, Header::Via)
            .header(Header::MaxForwards, 70)
            .copy(&self.invite, Header::From)
            .copy(to, Header::To)
            .copy(&self.invite, Header::CallId)
            .header(Header::CSeq, format_args!("1 {method}"))
            .finish()
    }

    /// What a final answer to the INVITE is acknowledged with.
    pub(super) fn hears(&mut self, response: &Message) -> Option<Bytes> {
        let is_invite = response.cseq().is_some_and(|(_, method)| *method == Method::Invite);
        match response.status() {
            _ if !is_invite => None,
            100..=199 => None,
            200..=299 => {
                self.ok = Some(response.clone());
                self.stage = Stage::Talking;
                self.in_dialog(&Method::Ack, 1)
            }
            _ => {
                self.stage = Stage::Over;
                Some(self.simple(&Method::Ack, response))
            }
        }
    }

    /// Hangs up, when enough was said.
    pub(super) fn bye(&mut self) -> Option<Bytes> {
        self.stage = Stage::Over;
        self.in_dialog(&Method::Bye, 2)
    }

    fn in_dialog(&self, method: &Method, cseq: u32) -> Option<Bytes> {
        let ok = self.ok.as_ref()?;
        let contact = ok.contacts().next()?.uri.to_owned();
        let (at, call_id) = (self.at, ok.call_id());
        let mut draft = Builder::request(method, &contact)
            .header(Header::Via, format_args!("SIP/2.0/UDP {at};branch=z9hG4bK{method}{call_id}"))
            .header(Header::MaxForwards, 70);
        // A call that is passed on has the proxy on its route, last first (§12.1.2).
        let routes: Vec<&str> = ok.values(Header::RecordRoute).collect();
        for route in routes.into_iter().rev() {
            draft = draft.header(Header::Route, route);
        }
        let draft = draft.copy(ok, Header::From).copy(ok, Header::To).copy(ok, Header::CallId);
        Some(draft.header(Header::CSeq, format_args!("{cseq} {method}")).finish())
    }
}

pub(super) fn call_id(place: usize) -> String {
    format!("r{place}")
}

/// The call whose own dialog this is.
pub(super) fn place_of(call_id: &str) -> Option<usize> {
    call_id.strip_prefix('r')?.parse().ok()
}

/// The call that an INVITE brings to a phone.
pub(super) fn brought(invite: &Message) -> Option<usize> {
    invite.header(Header::Subject)?.trim().parse().ok()
}

/// A phone's answer to a request.
pub(super) fn reply(request: &Message, status: u16, at: SocketAddr) -> Bytes {
    let reply = Builder::reply(request, status, Some("p")).copy(request, Header::RecordRoute);
    let opens = *request.method() == Method::Invite && (200..300).contains(&status);
    match opens {
        true => reply
            .header(Header::Contact, format_args!("<sip:{at}>"))
            .body("application/sdp", ANSWER.as_bytes())
            .finish(),
        false => reply.finish(),
    }
}
