//! One message, read: cheap to clone, every part by name.
//!
//! *Represent first*: whatever the lexer could represent is here, valid or not; accessors give what there is
//! and never panic. [`Message::judge`] (`judge.rs`) tells whether it may be acted upon. Nobody but the
//! lexer fills a `Message`; changes are made by [`super::Builder`], which writes a new one.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::{Fault, ParseError, Rejection};
use super::header::Header;
use super::lexer::{self, Index, Line, Span, Start};
use super::list::split_values;
use super::method::Method;
use super::nameaddr::NameAddr;
use super::via::Via;

/// A request or a response.
#[derive(Clone)]
pub struct Message(Arc<Inner>);

struct Inner {
    raw: Bytes,
    index: Index,
    /// Sockets and transactions both ask, of the same message.
    verdict: OnceLock<Result<(), Rejection>>,
}

/// What is looked at of a message that is too long, to refuse it: lines and bytes.
const BEGINNING_LINES_MAX: usize = 64;
const BEGINNING_BYTES_MAX: usize = 16 * 1024;

impl Message {
    /// A datagram, or one message of a stream as [`super::Framer`] cuts it. Line ends before the first line
    /// are skipped (RFC 3261 §7.5), bytes behind the body are cut off (§18.3).
    pub fn parse(raw: Bytes) -> Result<Message, ParseError> {
        let begin =
            raw.iter().position(|b| !matches!(b, b'\r' | b'\n')).ok_or(ParseError::Empty)?;
        let raw = raw.slice(begin..);
        let index = Index::of(&raw)?;
        let raw = raw.slice(..index.body_end as usize);
        Ok(Message(Arc::new(Inner { raw, index, verdict: OnceLock::new() })))
    }

    /// The first lines of a request that is too long to be read: enough to refuse it. `None` if they are
    /// none.
    pub fn beginning(raw: &[u8]) -> Option<Message> {
        let within = &raw[..raw.len().min(BEGINNING_BYTES_MAX)];
        let ends = memchr::memchr_iter(b'\n', within).take(BEGINNING_LINES_MAX);
        let mut lines = within[..ends.last()? + 1].to_vec();
        lines.extend_from_slice(b"\r\n");
        Message::parse(Bytes::from(lines)).ok().filter(Message::is_request)
    }

    /// The whole message as it came, from the first line to the end of the body.
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// Else it is a response.
    pub fn is_request(&self) -> bool {
        matches!(self.0.index.start, Start::Request { .. })
    }

    /// Of a response: CSeq's, and an empty one if there is none.
    pub fn method(&self) -> &Method {
        static NONE: std::sync::LazyLock<Method> = std::sync::LazyLock::new(|| Method::parse(""));
        match &self.0.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.0.index.cseq.as_ref().map_or(&NONE, |(_, m)| m),
        }
    }

    /// The Request-URI as written; empty for a response.
    pub fn uri(&self) -> &str {
        match self.0.index.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// 0 for requests, and for a response whose code is no number of three digits.
    pub fn status(&self) -> u16 {
        match self.0.index.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The reason phrase; empty for a request.
    pub fn reason(&self) -> &str {
        match self.0.index.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => self.text(reason),
        }
    }

    /// `SIP/2.0` as written.
    pub fn version(&self) -> &str {
        match self.0.index.start {
            Start::Request { version, .. } | Start::Response { version, .. } => self.text(version),
        }
    }

    /// The first line's value: folds undone, spaces around it gone, bytes that are no UTF-8 as U+FFFD.
    pub fn header(&self, header: Header) -> Option<&str> {
        self.lines(header).next()
    }

    /// There is such a line, be it empty.
    pub fn has(&self, header: Header) -> bool {
        self.0.index.lines.iter().any(|l| l.id == Some(header))
    }

    /// The value of each line of that name, compact form included, in order.
    pub fn lines(&self, header: Header) -> impl Iterator<Item = &str> {
        let lines = self.0.index.lines.iter().filter(move |l| l.id == Some(header));
        lines.map(|l| self.text(l.value()))
    }

    /// Each value of each line: comma lists are split, quotes and angle brackets respected. Not for headers in
    /// which a comma separates nothing (Date, Subject, Authorization …).
    pub fn values(&self, header: Header) -> impl Iterator<Item = &str> {
        self.lines(header).flat_map(split_values)
    }

    /// One of the values is this token, case-insensitive (Supported, Require, Allow …).
    pub fn lists(&self, header: Header, token: &str) -> bool {
        self.values(header).any(|v| v.eq_ignore_ascii_case(token))
    }

    /// Those values of `header` that are not among `known`: what Unsupported must say (RFC 3261 §8.2.2.3
    /// for Require, §16.3 for Proxy-Require).
    pub fn unknown_options<'a>(&'a self, header: Header, known: &[&str]) -> Vec<&'a str> {
        let is_known = |v: &&str| known.iter().any(|k| k.eq_ignore_ascii_case(v));
        self.values(header).filter(|v| !v.is_empty() && !is_known(v)).collect()
    }

    /// The first line of any name, full or compact, case-insensitive.
    pub fn named(&self, name: &str) -> Option<&str> {
        if let Some(header) = Header::parse(name) {
            return self.header(header);
        }
        let lines = self.0.index.lines.iter().filter(|l| l.id.is_none());
        let mut lines = lines.filter(|l| self.text(l.name()).eq_ignore_ascii_case(name));
        lines.next().map(|l| self.text(l.value()))
    }

    /// Name as written and value of every line, in order.
    pub fn all_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.index.lines.iter().map(|l| (self.text(l.name()), self.text(l.value())))
    }

    /// Empty if there is none.
    pub fn call_id(&self) -> &str {
        self.header(Header::CallId).unwrap_or("")
    }

    /// `None` if missing, malformed, or too big for 32 bits.
    pub fn cseq(&self) -> Option<(u32, &Method)> {
        self.0.index.cseq.as_ref().map(|(number, method)| (*number, method))
    }

    /// `None` if missing or malformed.
    pub fn from(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::From)?).ok()
    }

    /// `None` if missing or malformed.
    pub fn to(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::To)?).ok()
    }

    /// `None` if missing or empty (RFC 2543).
    pub fn from_tag(&self) -> Option<&str> {
        self.from()?.tag()
    }

    /// `None` outside dialogs.
    pub fn to_tag(&self) -> Option<&str> {
        self.to()?.tag()
    }

    /// The first value of the first Via line; `None` if missing or malformed.
    pub fn top_via(&self) -> Option<Via<'_>> {
        Via::parse(self.values(Header::Via).next()?).ok()
    }

    /// Those that can be read.
    pub fn contacts(&self) -> impl Iterator<Item = NameAddr<'_>> {
        self.values(Header::Contact).filter_map(|v| NameAddr::parse(v).ok())
    }

    /// `None` if missing, malformed or above 255.
    pub fn max_forwards(&self) -> Option<u8> {
        let digits = self.header(Header::MaxForwards)?;
        let is_number = digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    }

    /// The first line's value as a number (Expires, Min-SE, RSeq …), seconds where the header has seconds; what
    /// stands behind `;` is left out. Bigger than 32 bits reads as the biggest (RFC 4475 §3.1.2.4).
    pub fn number(&self, header: Header) -> Option<u32> {
        let value = self.header(header)?;
        let digits = value.split([';', ' ', '\t', '(']).next().unwrap_or("");
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(u32::MAX))
    }

    /// As written, parameters included.
    pub fn content_type(&self) -> Option<&str> {
        self.header(Header::ContentType).filter(|t| !t.is_empty())
    }

    /// The content type without parameters is this one, case-insensitive.
    pub fn has_content(&self, media_type: &str) -> bool {
        let value = self.content_type().unwrap_or("");
        value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(media_type)
    }

    /// By Content-Length, else the rest of the datagram.
    pub fn body(&self) -> Bytes {
        self.0.raw.slice(self.0.index.body_at as usize..)
    }

    /// With the top Via's `received` and `rport` filled in for a request that came from `source` (RFC 3261
    /// §18.2.1, RFC 3581 §4). The same message if nothing changes.
    pub fn received_from(&self, source: SocketAddr) -> Message {
        let filled = self.top_via().and_then(|via| via.with_source(source));
        let at = self.index_lines().iter().position(|l| l.id == Some(Header::Via));
        let (Some(mut value), Some(at)) = (filled, at) else { return self.clone() };
        let line = &self.index_lines()[at];
        let mut others = split_values(self.text(line.value()));
        others.next();
        if let Some(others) = others.rest() {
            value.push(',');
            value.push_str(others);
        }
        let name = Header::Via.as_str();
        let raw = &self.0.raw;
        let mut out = BytesMut::with_capacity(raw.len() + value.len());
        out.put_slice(&raw[..line.start as usize]);
        for part in [name, ": ", &value, "\r\n"] {
            out.put_slice(part.as_bytes());
        }
        out.put_slice(&raw[line.end as usize..]);
        let index = self.0.index.with_line(at, name.len(), value.len());
        Message(Arc::new(Inner { raw: out.freeze(), index, verdict: OnceLock::new() }))
    }

    /// What `weigh` says, which is asked once.
    pub(super) fn verdict(
        &self,
        weigh: impl FnOnce() -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        *self.0.verdict.get_or_init(weigh)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.0.index.fault
    }

    pub(super) fn index_lines(&self) -> &[Line] {
        &self.0.index.lines
    }

    pub(super) fn text(&self, span: Span) -> &str {
        lexer::read(&self.0.raw, &self.0.index.side, span)
    }

    /// First line, line end included.
    pub(super) fn start_bytes(&self) -> &[u8] {
        &self.0.raw[..self.0.index.headers_at as usize]
    }
}

impl fmt::Debug for Message {
    /// The first line only: numbers and names of people stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_request() {
            true => write!(f, "Message({} {} …)", self.method(), self.call_id()),
            false => write!(f, "Message({} {} {} …)", self.status(), self.method(), self.call_id()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Builder;

    const INVITE: &str = "INVITE sip:bob@example.org;transport=tcp SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport, SIP/2.0/TCP 192.0.2.2\r\n\
        f: \"Alice, A.\" <sip:alice@example.org>;tag=a1\r\n\
        TO: <sip:bob@example.org>\r\n\
        Call-ID: c1@h\r\n\
        CSeq: 0007\r\n  INVITE\r\n\
        Subject: one,\r\n\ttwo\r\n\
        m: <sip:a@h>;q=0.5, \"b\" <sip:b@h>\r\n\
        Supported: timer, replaces\r\n\
        k: path\r\n\
        Expires: 3600;x=y\r\n\
        Xyzzy: 1\r\n\
        Content-Type: application/SDP;charset=utf-8\r\n\
        Content-Length: 3\r\n\r\nabcdef";

    fn parse(text: impl Into<Bytes>) -> Message {
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn every_part_of_a_request() {
        let m = parse(INVITE);
        assert!(m.is_request() && *m.method() == Method::Invite);
        assert_eq!((m.uri(), m.status(), m.reason()), ("sip:bob@example.org;transport=tcp", 0, ""));
        assert_eq!(m.from().unwrap().display_decoded(), "Alice, A.");
        assert_eq!((m.from_tag(), m.to_tag()), (Some("a1"), None));
        assert_eq!((m.call_id(), m.cseq()), ("c1@h", Some((7, &Method::Invite))));
        assert_eq!(m.header(Header::Subject), Some("one, two"), "a fold is one space");
        assert_eq!(m.top_via().unwrap().port, Some(5070));
        assert_eq!(m.values(Header::Via).count(), 2);
        assert_eq!(m.contacts().map(|c| c.uri).collect::<Vec<_>>(), ["sip:a@h", "sip:b@h"]);
        assert!(m.lists(Header::Supported, "PATH") && !m.lists(Header::Supported, "100rel"));
        assert_eq!(m.unknown_options(Header::Supported, &["timer", "Path"]), ["replaces"]);
        assert_eq!((m.number(Header::Expires), m.max_forwards()), (Some(3600), None));
        assert_eq!((m.named("xyzzy"), m.named("from")), (Some("1"), m.header(Header::From)));
        assert!(m.has_content("application/sdp") && !m.has_content("text/plain"));
        assert_eq!(&m.body()[..], b"abc", "what is behind the body is not the message");
        assert!(m.raw().ends_with(b"\r\n\r\nabc"));
    }

    #[test]
    fn every_part_of_a_response() {
        let m = parse("SIP/2.0 486 Busy  Here\r\nCSeq: 1 BYE\r\n\r\n");
        assert!(!m.is_request());
        assert_eq!((m.status(), m.reason(), m.method()), (486, "Busy  Here", &Method::Bye));
        let none = parse("SIP/2.0 100 \r\n\r\n");
        assert_eq!((none.status(), none.reason(), none.method().as_str()), (100, "", ""));
        assert_eq!(parse("SIP/2.0 200\r\n\r\n").reason(), "");
        assert_eq!(parse("SIP/2.0 4294967301 x\r\n\r\n").status(), 0);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hide_the_rest() {
        let mut bytes = b"OPTIONS sip:h SIP/2.0\r\nSubject: a\xffb\r\nCall-ID: c\r\n\r\n".to_vec();
        assert_eq!(parse(bytes.clone()).header(Header::Subject), Some("a\u{fffd}b"));
        assert_eq!(parse(bytes.clone()).call_id(), "c");
        let forwarded = Builder::forward(&parse(bytes.clone())).finish();
        bytes.truncate(bytes.len() - 2);
        assert!(forwarded.starts_with(&bytes), "sent on as it came");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (text, error) in [
            ("", ParseError::Empty),
            ("\r\n\r\n", ParseError::Empty),
            ("INVITE\r\n\r\n", ParseError::NotSip),
            ("INVITE sip:a@h\r\n\r\n", ParseError::NotSip),
            ("GET / HTTP/1.1\r\n\r\n", ParseError::NotSip),
            ("SIP/2.0\r\n\r\n", ParseError::NotSip),
        ] {
            assert_eq!(Message::parse(Bytes::from(text)).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let lines = |n: usize| format!("OPTIONS sip:h SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(n));
        assert_eq!(parse(lines(super::lexer::HEADERS_MAX)).all_lines().count(), 256);
        let many = Message::parse(Bytes::from(lines(super::lexer::HEADERS_MAX + 1)));
        assert_eq!(many.err(), Some(ParseError::TooManyHeaders));
        let beginning = Message::beginning(lines(1_000).as_bytes()).expect("a request");
        assert_eq!(beginning.all_lines().count(), BEGINNING_LINES_MAX - 1);
        assert!(Message::beginning(b"GET / HTTP/1.1").is_none());
        let long = vec![b'x'; super::lexer::MESSAGE_BYTES_MAX + 1];
        assert_eq!(Message::parse(Bytes::from(long)).err(), Some(ParseError::TooLong));
    }

    #[test]
    fn where_it_came_from_is_written_into_the_top_via_only() {
        let source: SocketAddr = "198.51.100.9:33000".parse().unwrap();
        let m = parse(INVITE).received_from(source);
        let via = m.top_via().unwrap();
        assert_eq!(via.response_addr(), Some(source));
        assert_eq!(via.branch(), Some("z9hG4bKa"));
        assert_eq!(m.values(Header::Via).nth(1), Some("SIP/2.0/TCP 192.0.2.2"));
        assert_eq!((m.call_id(), &m.body()[..]), ("c1@h", &b"abc"[..]));
        assert_eq!(m.received_from(source).raw(), m.raw(), "filled in once");
        let plain = parse(INVITE.replace(";rport", ""));
        let near: SocketAddr = "192.0.2.1:33000".parse().unwrap();
        assert_eq!(plain.received_from(near).raw(), plain.raw(), "nothing to add");
        let lists =
            parse(INVITE.replace("192.0.2.2\r", "192.0.2.2 ,, \t,\r")).received_from(source);
        let again = parse(lists.raw().clone());
        assert!(again.all_lines().eq(lists.all_lines()), "empty places stay as they came");
        assert_eq!(lists.values(Header::Via).skip(1).collect::<Vec<_>>()[1..], ["", "", ""]);
    }

    #[test]
    fn a_fault_survives_the_source_being_written() {
        let source: SocketAddr = "198.51.100.9:33000".parse().unwrap();
        for (right, wrong) in
            [("Xyzzy: 1", "l: 5"), ("Via:", "Via\r:"), ("SIP/2.0\r", "SIP/2.0 \r")]
        {
            let faulty = parse(INVITE.replacen(right, wrong, 1));
            let judged = faulty.judge();
            assert!(judged.is_err());
            assert_eq!(faulty.received_from(source).judge(), judged, "{wrong}");
            assert_eq!(
                faulty.received_from(source).top_via().unwrap().response_addr(),
                Some(source)
            );
        }
    }

    #[test]
    fn people_do_not_show_in_logs() {
        let shown = format!("{:?}", parse(INVITE));
        assert!(!shown.contains("alice") && !shown.contains("bob"), "{shown}");
    }
}
