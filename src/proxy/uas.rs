//! A request that is meant for us, inspected in the order of RFC 3261 §8.2: what can be answered without
//! knowing what it is about.
//!
//! Authentication (§22), merged requests (§8.2.2.2, the transaction layer) and syntax (`Message::judge`) come
//! before, and are not looked at here; nor is whether the Request-URI names anybody.

use super::arrival::Answer;
use crate::sip::{Builder, Header, Message, Method};

/// What the element can.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities<'a> {
    /// Methods for Allow.
    pub allow: &'a [Method],
    /// Schemes of Request-URIs.
    pub schemes: &'a [&'a str],
    /// Option tags for Supported; Require may name these and no others.
    pub supported: &'a [&'a str],
    /// Media types for Accept; bodies of others are refused.
    pub accept: &'a [&'a str],
}

/// The answer, if the request is OPTIONS or cannot be served at all: 501, 405, 416, 481, 420, 415, in this
/// order. `None`: go on with it. `tag` becomes the reply's To tag. Not for ACK, which nobody answers, and for
/// CANCEL, which belongs to its INVITE.
///
/// `in_dialog`: the To tag names a dialog of ours; without it a To tag is answered 481 (§12.2.2).
pub fn answer_to(
    request: &Message,
    can: &Capabilities<'_>,
    in_dialog: bool,
    tag: &str,
) -> Option<Answer> {
    let reply = |status| Builder::reply(request, status, Some(tag));
    let method = request.method();
    if matches!(method, Method::Other(_)) && !can.allow.contains(method) {
        return Some(Answer::of(501, can.allow(reply(501))));
    }
    if *method != Method::Options && !can.allow.contains(method) {
        return Some(Answer::of(405, can.allow(reply(405))));
    }
    let scheme = request.uri().split(':').next().unwrap_or("");
    if !can.schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Some(Answer::of(416, reply(416)));
    }
    if request.to_tag().is_some() && !in_dialog {
        return Some(Answer::of(481, reply(481)));
    }
    let unknown = request.unknown_options(Header::Require, can.supported);
    if !unknown.is_empty() {
        let reply = reply(420).header(Header::Unsupported, unknown.join(", "));
        return Some(Answer::of(420, reply));
    }
    if let Some((header, fine)) = unfit_body(request, can) {
        return Some(Answer::of(415, reply(415).header(header, fine)));
    }
    (*method == Method::Options).then(|| {
        let reply = can.allow(reply(200)).header(Header::Accept, can.accept.join(", "));
        Answer::of(200, reply.header(Header::Supported, can.supported.join(", ")))
    })
}

impl Capabilities<'_> {
    fn allow(&self, reply: Builder) -> Builder {
        let allow: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        reply.header(Header::Allow, allow.join(", "))
    }
}

/// §8.2.3: type and encoding; which header of the answer says what would do. A body whose handling is
/// optional may be of any kind (§20.11).
fn unfit_body(request: &Message, can: &Capabilities<'_>) -> Option<(Header, String)> {
    let disposition = request.header(Header::ContentDisposition).unwrap_or("");
    let is_optional = disposition
        .split(';')
        .any(|part| part.trim().replace(' ', "").eq_ignore_ascii_case("handling=optional"));
    if request.body().is_empty() || is_optional {
        return None;
    }
    let mut encodings = request.values(Header::ContentEncoding);
    if encodings.any(|e| !e.is_empty() && !e.eq_ignore_ascii_case("identity")) {
        return Some((Header::AcceptEncoding, "identity".to_owned()));
    }
    let fits = can.accept.iter().any(|accepted| request.has_content(accepted));
    (!fits).then(|| (Header::Accept, can.accept.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const CAN: Capabilities<'_> = Capabilities {
        allow: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options],
        schemes: &["sip", "tel"],
        supported: &["replaces", "timer"],
        accept: &["application/sdp"],
    };

    fn ask(method: &str, uri: &str, lines: &str, body: &str) -> Option<Message> {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{lines}\r\n{body}"
        );
        let text = match lines.contains("To-Tag") {
            true => text.replace("To: <sip:b@h>", "To: <sip:b@h>;tag=t"),
            false => text,
        };
        let request = Message::parse(Bytes::from(text)).unwrap();
        let answer = answer_to(&request, &CAN, false, "us");
        answer.map(|answer| {
            let message = Message::parse(answer.bytes).unwrap();
            assert_eq!(message.status(), answer.status);
            message
        })
    }

    #[test]
    fn options_is_told_what_we_can() {
        let answer = ask("OPTIONS", "sip:us", "", "").unwrap();
        assert_eq!((answer.status(), answer.to_tag()), (200, Some("us")));
        assert_eq!(answer.header(Header::Allow), Some("INVITE, ACK, BYE, CANCEL, OPTIONS"));
        assert_eq!(answer.header(Header::Accept), Some("application/sdp"));
        assert_eq!(answer.header(Header::Supported), Some("replaces, timer"));
    }

    #[test]
    fn an_invite_that_we_can_serve_goes_on() {
        assert!(ask("INVITE", "sip:us", "Content-Type: application/SDP;x=1\r\n", "v=0").is_none());
        assert!(ask("INVITE", "tel:+7", "Require: Timer, replaces\r\n", "").is_none());
    }

    #[test]
    fn what_cannot_be_served_is_answered_in_the_order_of_8_2() {
        let status = |method, uri, lines, body| ask(method, uri, lines, body).map(|m| m.status());
        assert_eq!(status("BREW", "coffee:pot", "Require: x\r\n", ""), Some(501));
        assert_eq!(status("PUBLISH", "coffee:pot", "Require: x\r\n", ""), Some(405));
        assert_eq!(status("INVITE", "coffee:pot", "To-Tag: 1\r\nRequire: x\r\n", ""), Some(416));
        assert_eq!(status("INVITE", "sips:us", "", ""), Some(416));
        assert_eq!(status("INVITE", "sip:us", "To-Tag: 1\r\nRequire: x\r\n", ""), Some(481));
        assert_eq!(
            status("INVITE", "sip:us", "Require: x\r\nContent-Type: a/b\r\n", "y"),
            Some(420)
        );
        assert_eq!(status("INVITE", "sip:us", "Content-Type: a/b\r\n", "y"), Some(415));
        assert_eq!(status("INVITE", "sip:us", "", "y"), Some(415));
        assert_eq!(status("OPTIONS", "sip:us", "Require: x\r\n", ""), Some(420));
    }

    #[test]
    fn refusals_say_what_would_have_been_fine() {
        let answer = ask("PUBLISH", "sip:us", "", "").unwrap();
        assert!(answer.header(Header::Allow).unwrap().contains("INVITE"));
        let answer = ask("INVITE", "sip:us", "Require: timer, x, y\r\n", "").unwrap();
        assert_eq!(answer.header(Header::Unsupported), Some("x, y"));
        let answer = ask("INVITE", "sip:us", "Content-Type: a/b\r\n", "y").unwrap();
        assert_eq!(answer.header(Header::Accept), Some("application/sdp"));
        let lines = "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n";
        let answer = ask("INVITE", "sip:us", lines, "y").unwrap();
        assert_eq!(answer.header(Header::AcceptEncoding), Some("identity"));
    }

    #[test]
    fn an_optional_body_may_be_anything() {
        let lines = "Content-Type: a/b\r\nContent-Disposition: icon; handling=optional\r\n";
        assert!(ask("INVITE", "sip:us", lines, "y").is_none());
    }
}
