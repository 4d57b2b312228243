//! Messages, written: new ones, replies, and a received one sent on with changes.
//!
//! A builder is a list of lines, each a piece of its own buffer or of the message that is sent on (those are
//! copied as they came, in their order). **Nothing that is written can begin a line of its own**: in values
//! CR, LF and NUL become spaces (a received line keeps its NULs), names and methods keep token characters only, a Request-URI loses its white
//! space. `Content-Length` is always ours, computed at the end.

use std::fmt::{self, Display, Write as _};

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::header::Header;
use super::lexer::Line;
use super::list::{find_outside, is_token_byte, trim};
use super::message::Message;
use super::method::Method;
use super::vocabulary::reason_phrase;

/// Lines that fit without a second allocation.
const PIECES_INLINE: usize = 24;
/// The first guess of a message's head, in bytes.
const HEAD_BYTES_USUAL: usize = 768;

/// `Content-Length: …` and the empty line.
const LENGTH_LINE_BYTES_MAX: usize = 40;

/// A message in the making. [`Builder::forward`] begins with a received one; the rest is the same.
#[derive(Clone, Debug)]
pub struct Builder {
    /// Every line that is ours, line ends included.
    own: BytesMut,
    /// First line.
    start: Piece,
    pieces: SmallVec<[Piece; PIECES_INLINE]>,
    /// Whose lines the pieces that are not ours belong to.
    source: Option<Message>,
    body: Bytes,
}

/// What [`Builder::forward`] gives: a [`Builder`].
pub type Forward = Builder;

/// One line.
#[derive(Clone, Copy, Debug)]
struct Piece {
    id: Option<Header>,
    is_own: bool,
    start: u32,
    end: u32,
}

impl Builder {
    /// A new request.
    pub fn request(method: &Method, uri: &str) -> Builder {
        let mut builder = Builder::empty();
        builder.write_request_line(method, uri);
        builder
    }

    /// A new response with the usual reason phrase.
    pub fn response(status: u16) -> Builder {
        Builder::response_with(status, reason_phrase(status))
    }

    /// A new response. `status` is 100 to 699.
    pub fn response_with(status: u16, reason: &str) -> Builder {
        let mut builder = Builder::empty();
        let status = status.clamp(100, 699);
        builder.start = builder.write(None, &["SIP/2.0 "], format_args!("{status} {reason}"));
        builder
    }

    /// A response to `request` (RFC 3261 §8.2.6.2): its Via lines, From, To (with `to_tag`, unless it has a
    /// tag), Call-ID, CSeq; a 100's Timestamp. Record-Route is the dialog's: `.copy(request, RecordRoute)`.
    pub fn reply(request: &Message, status: u16, to_tag: Option<&str>) -> Builder {
        let builder = Builder::response(status);
        builder.answering(request, status, to_tag)
    }

    /// As [`Builder::reply`], with a reason phrase of our own.
    pub fn reply_with(
        request: &Message,
        status: u16,
        reason: &str,
        to_tag: Option<&str>,
    ) -> Builder {
        Builder::response_with(status, reason).answering(request, status, to_tag)
    }

    fn answering(self, request: &Message, status: u16, to_tag: Option<&str>) -> Builder {
        let builder = self.copy(request, Header::Via).copy(request, Header::From);
        let builder = match to_tag.filter(|_| request.to_tag().is_none()) {
            Some(tag) => builder
                .header(Header::To, Tagged { to: request.header(Header::To).unwrap_or(""), tag }),
            None => builder.copy(request, Header::To),
        };
        let builder = builder.copy(request, Header::CallId).copy(request, Header::CSeq);
        match status {
            100 => builder.copy(request, Header::Timestamp),
            _ => builder,
        }
    }

    /// `message` to be sent on: first line, lines and body as they came, in their order, until changed.
    pub fn forward(message: &Message) -> Forward {
        let mut builder = Builder::empty();
        builder.source = Some(message.clone());
        builder.body = message.body();
        builder.start = builder.write_first(message.start_bytes());
        for line in message.index_lines() {
            if line.id == Some(Header::ContentLength) {
                continue;
            }
            let piece = match line.is_tidy {
                true => Piece { id: line.id, is_own: false, start: line.start, end: line.end },
                false => builder.write_line(message, line),
            };
            builder.pieces.push(piece);
        }
        builder
    }

    /// Adds a line at the end. `Content-Length` is not taken: it is computed.
    pub fn header(mut self, header: Header, value: impl Display) -> Self {
        if header != Header::ContentLength {
            let piece = self.write(Some(header), &[header.as_str(), ": "], value);
            self.pieces.push(piece);
        }
        self
    }

    /// Adds a line of any name; characters that no name may have are left out.
    pub fn named(mut self, name: &str, value: impl Display) -> Self {
        if let Some(header) = Header::parse(name) {
            return self.header(header, value);
        }
        let name: String = name.bytes().filter(|b| is_token_byte(*b)).map(char::from).collect();
        if let Some(header) = Header::parse(&name) {
            return self.header(header, value);
        }
        if !name.is_empty() {
            let piece = self.write(None, &[&name, ": "], value);
            self.pieces.push(piece);
        }
        self
    }

    /// Puts a line before all others of that header; if there is none, behind the Via lines.
    pub fn top(mut self, header: Header, value: impl Display) -> Self {
        if header != Header::ContentLength {
            let piece = self.write(Some(header), &[header.as_str(), ": "], value);
            let first = self.pieces.iter().position(|p| p.id == Some(header));
            let via = self.pieces.iter().rposition(|p| p.id == Some(Header::Via));
            let behind_via = via.filter(|_| header != Header::Via).map_or(0, |at| at + 1);
            self.pieces.insert(first.unwrap_or(behind_via), piece);
        }
        self
    }

    /// Adds all lines of that header as `message` has them.
    pub fn copy(mut self, message: &Message, header: Header) -> Self {
        if header == Header::ContentLength {
            return self;
        }
        for line in message.index_lines().iter().filter(|l| l.id == Some(header)) {
            let piece = self.write_line(message, line);
            self.pieces.push(piece);
        }
        self
    }

    /// Adds all lines of that name, known or not, as `message` has them.
    pub fn copy_named(mut self, message: &Message, name: &str) -> Self {
        if let Some(header) = Header::parse(name) {
            return self.copy(message, header);
        }
        for line in message.index_lines().iter().filter(|l| l.id.is_none()) {
            if message.text(line.name()).eq_ignore_ascii_case(name) {
                let piece = self.write_line(message, line);
                self.pieces.push(piece);
            }
        }
        self
    }

    /// One line of that header with this value, where the first one was, else at the end.
    pub fn set(mut self, header: Header, value: impl Display) -> Self {
        if header == Header::ContentLength {
            return self;
        }
        let piece = self.write(Some(header), &[header.as_str(), ": "], value);
        match self.pieces.iter().position(|p| p.id == Some(header)) {
            Some(at) => {
                self.pieces[at] = piece;
                let mut index = 0;
                self.pieces.retain(|p| {
                    index += 1;
                    index - 1 <= at || p.id != Some(header)
                });
            }
            None => self.pieces.push(piece),
        }
        self
    }

    /// Takes all lines of that header away.
    pub fn remove(mut self, header: Header) -> Self {
        self.pieces.retain(|p| p.id != Some(header));
        self
    }

    /// Takes all lines of that name away, known or not.
    pub fn remove_named(mut self, name: &str) -> Self {
        if let Some(header) = Header::parse(name) {
            return self.remove(header);
        }
        let mut kept = std::mem::take(&mut self.pieces);
        kept.retain(|p| p.id.is_some() || !name_of(self.bytes_of(p)).eq_ignore_ascii_case(name));
        self.pieces = kept;
        self
    }

    /// Takes the first *value* of that header away; the line goes if it was its only one (top Via, top Route).
    pub fn pop(self, header: Header) -> Self {
        self.edit_first(header, None)
    }

    /// Replaces the first *value* of that header; nothing happens if there is none.
    pub fn set_first(self, header: Header, value: impl Display) -> Self {
        self.edit_first(header, Some(value.to_string()))
    }

    fn edit_first(mut self, header: Header, value: Option<String>) -> Self {
        let Some(at) = self.pieces.iter().position(|p| p.id == Some(header)) else { return self };
        let line =
            String::from_utf8_lossy(self.bytes_of(&self.pieces[at])).replace(['\r', '\n'], " ");
        let old = trim(line.split_once(':').map_or("", |(_, v)| v));
        let rest = find_outside(old, b',').map(|comma| trim(&old[comma + 1..]));
        let value = match (value, rest) {
            (Some(value), Some(rest)) => format!("{value}, {rest}"),
            (Some(value), None) => value,
            (None, Some(rest)) => rest.to_owned(),
            (None, None) => {
                self.pieces.remove(at);
                return self;
            }
        };
        self.pieces[at] = self.write(Some(header), &[header.as_str(), ": "], value);
        self
    }

    /// Replaces the Request-URI (RFC 3261 §16.6 step 2); nothing happens to a response.
    pub fn request_uri(mut self, uri: &str) -> Self {
        let line = self.bytes_of(&self.start);
        if !line.starts_with(b"SIP/") {
            let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
            let method = Method::parse(&String::from_utf8_lossy(&line[..end]));
            self.write_request_line(&method, uri);
        }
        self
    }

    /// Replaces the body; an empty one takes Content-Type away.
    pub fn body(self, content_type: &str, body: &[u8]) -> Self {
        let mut builder = match body.is_empty() {
            true => self.remove(Header::ContentType),
            false => self.set(Header::ContentType, content_type),
        };
        builder.body = Bytes::copy_from_slice(body);
        builder
    }

    /// The bytes, with their Content-Length.
    pub fn finish(&self) -> Bytes {
        let mut out = self.head();
        write!(out, "{}: {}\r\n\r\n", Header::ContentLength, self.body.len())
            .expect("BytesMut grows");
        out.put_slice(&self.body);
        out.freeze()
    }

    fn head(&self) -> BytesMut {
        let pieces = || std::iter::once(&self.start).chain(&self.pieces);
        let len: usize = pieces().map(|p| (p.end - p.start) as usize).sum();
        let mut out = BytesMut::with_capacity(len + self.body.len() + LENGTH_LINE_BYTES_MAX);
        for piece in pieces() {
            out.put_slice(self.bytes_of(piece));
        }
        out
    }

    fn empty() -> Builder {
        Builder {
            own: BytesMut::with_capacity(HEAD_BYTES_USUAL),
            start: Piece { id: None, is_own: true, start: 0, end: 0 },
            pieces: SmallVec::new(),
            source: None,
            body: Bytes::new(),
        }
    }

    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        let range = piece.start as usize..piece.end as usize;
        match &self.source {
            Some(message) if !piece.is_own => &message.raw()[range],
            _ => &self.own[range],
        }
    }

    fn write_request_line(&mut self, method: &Method, uri: &str) {
        let start = self.own.len() as u32;
        self.own.extend(method.as_str().bytes().filter(|b| is_token_byte(*b)));
        self.own.put_u8(b' ');
        match uri.bytes().all(|b| b.is_ascii_graphic()) {
            true => self.own.put_slice(uri.as_bytes()),
            false => {
                let visible = uri.chars().filter(|c| !c.is_whitespace() && !c.is_control());
                visible.for_each(|c| self.own.put_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
            }
        }
        self.own.put_slice(b" SIP/2.0\r\n");
        self.start = Piece { id: None, is_own: true, start, end: self.own.len() as u32 };
    }

    fn write(&mut self, id: Option<Header>, name: &[&str], value: impl Display) -> Piece {
        let start = self.own.len() as u32;
        for part in name {
            self.own.put_slice(part.as_bytes());
        }
        write!(Clean(&mut self.own), "{value}").expect("BytesMut grows");
        self.own.put_slice(b"\r\n");
        Piece { id, is_own: true, start, end: self.own.len() as u32 }
    }

    /// The first line as it came; the space before an empty reason phrase stays.
    fn write_first(&mut self, line: &[u8]) -> Piece {
        let start = self.own.len() as u32;
        let end = line.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
        put_clean(&mut self.own, &line[..end], |rest| memchr::memchr2(b'\r', b'\n', rest));
        self.own.put_slice(b"\r\n");
        Piece { id: None, is_own: true, start, end: self.own.len() as u32 }
    }

    /// A received line; folds become one space, stray returns too.
    fn write_line(&mut self, message: &Message, line: &Line) -> Piece {
        let start = self.own.len() as u32;
        let raw = &message.raw()[line.start as usize..line.end as usize];
        if line.is_tidy && !line.is_folded {
            self.own.put_slice(raw);
            return Piece { id: line.id, is_own: true, start, end: self.own.len() as u32 };
        }
        for (i, piece) in raw.trim_ascii_end().split(|b| *b == b'\n').enumerate() {
            let piece = if i == 0 { piece.trim_ascii_end() } else { piece.trim_ascii() };
            if i > 0 {
                self.own.put_u8(b' ');
            }
            put_clean(&mut self.own, piece, |rest| memchr::memchr(b'\r', rest));
        }
        self.own.put_slice(b"\r\n");
        Piece { id: line.id, is_own: true, start, end: self.own.len() as u32 }
    }
}

/// A To line's value with our tag.
struct Tagged<'a> {
    to: &'a str,
    tag: &'a str,
}

impl Display for Tagged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};tag={}", self.to, self.tag)
    }
}

/// Writes text without line ends and NULs.
struct Clean<'a>(&'a mut BytesMut);

impl fmt::Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put_clean(self.0, text.as_bytes(), |rest| memchr::memchr3(b'\r', b'\n', 0, rest));
        Ok(())
    }
}

/// Copies `bytes` with a space instead of each byte that `find` finds.
fn put_clean(out: &mut BytesMut, bytes: &[u8], find: impl Fn(&[u8]) -> Option<usize>) {
    let mut rest = bytes;
    while let Some(at) = find(rest) {
        out.put_slice(&rest[..at]);
        out.put_u8(b' ');
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

fn name_of(line: &[u8]) -> &str {
    let end = line.iter().position(|b| *b == b':').unwrap_or(0);
    trim(std::str::from_utf8(&line[..end]).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:b@h SIP/2.0\r\n\
        Via: SIP/2.0/UDP p2;branch=z9hG4bK2, SIP/2.0/UDP p1;branch=z9hG4bK1\r\n\
        v: SIP/2.0/UDP a;branch=z9hG4bK0\r\n\
        Max-Forwards: 70\r\n\
        X-First : odd\r\n\
        Route: <sip:p3;lr>\r\n\
        Route: <sip:p4;lr>,\r\n <sip:p5;lr>\r\n\
        f: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>\r\n\
        i: c1\r\n\
        CSeq: 1 INVITE\r\n\
        Timestamp: 54\r\n\
        X-Second: \"\u{fffd}\"\r\n\
        c: application/sdp\r\n\
        l: 3\r\n\r\nabc";

    fn parse(text: impl Into<Bytes>) -> Message {
        Message::parse(text.into()).unwrap()
    }

    fn text(builder: &Builder) -> String {
        String::from_utf8(builder.finish().to_vec()).unwrap()
    }

    #[test]
    fn a_request_reads_back() {
        let built = Builder::request(&Method::Register, "sip:example.org")
            .header(Header::From, "<sip:a@h>;tag=1")
            .header(Header::CSeq, format_args!("{} {}", 7, Method::Register))
            .named("X-Own", 5)
            .top(Header::Via, "SIP/2.0/UDP h1;branch=z9hG4bKa")
            .top(Header::Via, "SIP/2.0/UDP h2;branch=z9hG4bKb")
            .body("text/plain", b"hi");
        assert_eq!(
            text(&built),
            "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP h2;branch=z9hG4bKb\r\n\
             Via: SIP/2.0/UDP h1;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n\
             CSeq: 7 REGISTER\r\nX-Own: 5\r\nContent-Type: text/plain\r\n\
             Content-Length: 2\r\n\r\nhi"
        );
    }

    #[test]
    fn a_reply_carries_what_it_must() {
        let request = parse(INVITE);
        let ringing = parse(Builder::reply(&request, 180, Some("mine")).finish());
        assert_eq!((ringing.status(), ringing.reason()), (180, "Ringing"));
        assert!(ringing.values(Header::Via).eq(request.values(Header::Via)));
        assert_eq!(ringing.to_tag(), Some("mine"));
        assert_eq!(ringing.from_tag(), Some("1"));
        assert_eq!((ringing.call_id(), ringing.cseq()), (request.call_id(), request.cseq()));
        assert!(!ringing.has(Header::Timestamp));
        assert!(parse(Builder::reply(&request, 100, None).finish()).has(Header::Timestamp));
        let again = parse(Builder::reply(&ringing, 200, Some("other")).finish());
        assert_eq!(again.to_tag(), Some("mine"), "a tag stays");
    }

    #[test]
    fn sent_on_unchanged_only_the_length_is_ours() {
        let sent = text(&Builder::forward(&parse(INVITE)));
        let right = INVITE.replace("l: 3\r\n\r\n", "Content-Length: 3\r\n\r\n");
        assert_eq!(sent, right, "order, spelling, folds and body stay");
    }

    #[test]
    fn an_empty_reason_keeps_its_space() {
        let sent = text(&Builder::forward(&parse("SIP/2.0 100 \r\nVia: x\r\n\r\n")));
        assert!(sent.starts_with("SIP/2.0 100 \r\nVia"), "{sent}");
    }

    #[test]
    fn a_copied_fold_becomes_one_space() {
        let folded = parse("OPTIONS sip:h SIP/2.0\r\nSubject: a\r\n \t b\n c\r\n\r\n");
        let copied = text(&Builder::response(200).copy(&folded, Header::Subject));
        assert!(copied.contains("Subject: a b c\r\n"), "{copied}");
    }

    #[test]
    fn a_proxys_changes() {
        let sent = Builder::forward(&parse(INVITE))
            .request_uri("sip:b@192.0.2.1")
            .set(Header::MaxForwards, 69)
            .pop(Header::Route)
            .top(Header::RecordRoute, "<sip:us;lr>")
            .top(Header::Via, "SIP/2.0/UDP us;branch=z9hG4bK9")
            .remove_named("x-first")
            .remove(Header::Timestamp);
        let sent = parse(sent.finish());
        assert_eq!(sent.uri(), "sip:b@192.0.2.1");
        assert_eq!(sent.values(Header::Via).count(), 4);
        assert_eq!(sent.top_via().unwrap().branch(), Some("z9hG4bK9"));
        assert_eq!(sent.max_forwards(), Some(69));
        assert!(sent.values(Header::Route).eq(["<sip:p4;lr>", "<sip:p5;lr>"]));
        assert_eq!((sent.named("X-First"), sent.named("X-Second")), (None, Some("\"\u{fffd}\"")));
        let names: Vec<&str> = sent.all_lines().map(|(name, _)| name).collect();
        assert_eq!(names[..4], ["Via", "Via", "v", "Record-Route"]);
        assert_eq!(sent.judge(), Ok(()));
    }

    #[test]
    fn values_are_popped_one_at_a_time() {
        let mut builder = Builder::forward(&parse(INVITE));
        for left in [["p1", "a", "p4", "p5"], ["a", "", "p5", ""]] {
            builder = builder.pop(Header::Via).pop(Header::Route);
            let message = parse(builder.finish());
            let via: Vec<_> = message.values(Header::Via).collect();
            assert!(
                via[0].contains(left[0])
                    && via.len() == left[..2].iter().filter(|l| !l.is_empty()).count()
            );
        }
        let empty = builder.pop(Header::Via).pop(Header::Via).pop(Header::Route).pop(Header::Route);
        assert!(!parse(empty.finish()).has(Header::Via));
    }

    #[test]
    fn set_leaves_one_line_where_the_first_was() {
        let sent = text(&Builder::forward(&parse(INVITE)).set(Header::Route, "<sip:x;lr>"));
        assert!(sent.contains("odd\r\nRoute: <sip:x;lr>\r\nf:"), "{sent}");
        assert_eq!(sent.matches("Route:").count(), 1);
    }

    #[test]
    fn a_new_body_brings_its_length_and_type() {
        let sent = parse(Builder::forward(&parse(INVITE)).body("text/plain", b"longer").finish());
        assert_eq!((&sent.body()[..], sent.content_type()), (&b"longer"[..], Some("text/plain")));
        assert_eq!(sent.lines(Header::ContentType).count(), 1);
        let empty = parse(Builder::forward(&parse(INVITE)).body("", b"").finish());
        assert!(empty.body().is_empty() && empty.content_type().is_none());
    }

    #[test]
    fn nothing_written_can_begin_a_line() {
        let evil = "x\r\nEvil: 1\n\rEvil: 2\r\n\r\nEvil";
        let request = Builder::request(&Method::parse(evil), evil)
            .header(Header::From, evil)
            .named(evil, evil)
            .top(Header::Via, evil)
            .set(Header::To, evil)
            .set_first(Header::To, evil)
            .request_uri(evil)
            .header(Header::ContentLength, "999")
            .named("Content-Length", "999")
            .named("c\rl", "999")
            .body(evil, b"body");
        let reply = Builder::response_with(200, evil).header(Header::Subject, evil);
        for built in [request, reply] {
            let bytes = built.finish();
            let head = text(&built);
            let head = head.split("\r\n\r\n").next().unwrap();
            assert!(head.split("\r\n").all(|l| !l.contains(['\r', '\n'])), "{head}");
            let message = parse(bytes);
            assert_eq!(message.named("Evil"), None);
            assert_eq!(message.lines(Header::ContentLength).count(), 1);
        }
    }

    #[test]
    fn what_was_smuggled_is_not_sent_on() {
        let sly = INVITE.replace("70\r\n", "70\r\nX-Sly: a\rEvil: 1\r\nBare: x\n");
        let sent = text(&Builder::forward(&parse(sly)));
        assert!(sent.contains("X-Sly: a Evil: 1\r\nBare: x\r\n"), "{sent}");
    }

    #[test]
    fn lines_are_copied_from_another_message() {
        let request = parse(INVITE);
        let built = Builder::request(&Method::Bye, "sip:h")
            .copy(&request, Header::Route)
            .copy_named(&request, "X-SECOND")
            .copy_named(&request, "From")
            .copy(&request, Header::ContentLength);
        let built = parse(built.finish());
        assert!(built.values(Header::Route).eq(request.values(Header::Route)));
        assert!(built.named("x-second").is_some() && built.from_tag() == Some("1"));
        assert_eq!(built.lines(Header::ContentLength).count(), 1);
    }
}
