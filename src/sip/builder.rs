//! Messages, written: new ones, replies, and a received one sent on with changes.
//!
//! A builder is a list of lines, each a piece of its own buffer or of the message that is sent on (those are
//! copied as they came, in their order). **Nothing that is written can begin a line of its own**: in values
//! CR, LF and NUL become spaces, names and methods keep token characters only, a Request-URI loses its white
//! space. `Content-Length` is always ours, computed at the end.

use std::fmt::{self, Display, Write as _};

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::header::Header;
use super::list::{find_outside, is_token_byte, trim};
use super::message::Message;
use super::method::Method;
use super::vocabulary::reason_phrase;

/// Lines that fit without a second allocation.
const PIECES_INLINE: usize = 24;
/// The first guess of a message's head, in bytes.
const HEAD_BYTES_USUAL: usize = 768;

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
        builder.start = builder.write(None, format_args!("SIP/2.0 {status} "), reason);
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
        builder.start = builder.write_bytes(None, message.start_bytes());
        for line in message.index_lines() {
            if line.id == Some(Header::ContentLength) {
                continue;
            }
            let raw = &message.raw()[line.start as usize..line.end as usize];
            let piece = match line.is_tidy {
                true => Piece { id: line.id, is_own: false, start: line.start, end: line.end },
                false => builder.write_bytes(line.id, raw),
            };
            builder.pieces.push(piece);
        }
        builder
    }

    /// Adds a line at the end. `Content-Length` is not taken: it is computed.
    pub fn header(mut self, header: Header, value: impl Display) -> Self {
        if header != Header::ContentLength {
            let piece = self.write(Some(header), format_args!("{header}: "), value);
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
            let piece = self.write(None, format_args!("{name}: "), value);
            self.pieces.push(piece);
        }
        self
    }

    /// Puts a line before all others of that header, and before all lines if there is none.
    pub fn top(mut self, header: Header, value: impl Display) -> Self {
        if header != Header::ContentLength {
            let piece = self.write(Some(header), format_args!("{header}: "), value);
            let at = self.pieces.iter().position(|p| p.id == Some(header)).unwrap_or(0);
            self.pieces.insert(at, piece);
        }
        self
    }

    /// Adds all lines of that header as `message` has them.
    pub fn copy(mut self, message: &Message, header: Header) -> Self {
        if header == Header::ContentLength {
            return self;
        }
        for line in message.index_lines().iter().filter(|l| l.id == Some(header)) {
            let raw = &message.raw()[line.start as usize..line.end as usize];
            let piece = self.write_bytes(Some(header), raw);
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
            if message.text(line.name).eq_ignore_ascii_case(name) {
                let raw = &message.raw()[line.start as usize..line.end as usize];
                let piece = self.write_bytes(None, raw);
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
        let piece = self.write(Some(header), format_args!("{header}: "), value);
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
        self.pieces[at] = self.write(Some(header), format_args!("{header}: "), value);
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
        let mut out = self.head(16);
        write!(out, "{}: {}\r\n\r\n", Header::ContentLength, self.body.len())
            .expect("BytesMut grows");
        out.put_slice(&self.body);
        out.freeze()
    }

    /// The bytes with what the sender said of the body's length, for a message that goes nowhere.
    pub(super) fn as_received(&self) -> Bytes {
        let source = self.source.as_ref();
        let length = source.and_then(|m| m.header(Header::ContentLength));
        let mut out = self.head(16);
        if let Some(length) = length {
            out.put_slice(b"Content-Length: ");
            put_clean(&mut out, length.as_bytes());
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
        out.put_slice(&self.body);
        out.freeze()
    }

    fn head(&self, spare: usize) -> BytesMut {
        let pieces = || std::iter::once(&self.start).chain(&self.pieces);
        let len: usize = pieces().map(|p| (p.end - p.start) as usize).sum();
        let mut out = BytesMut::with_capacity(len + self.body.len() + spare + 24);
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
        let method: String =
            method.as_str().bytes().filter(|b| is_token_byte(*b)).map(char::from).collect();
        let uri: String = uri.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        self.start = self.write(None, format_args!("{method} "), format_args!("{uri} SIP/2.0"));
    }

    fn write(&mut self, id: Option<Header>, name: impl Display, value: impl Display) -> Piece {
        let start = self.own.len() as u32;
        write!(Clean(&mut self.own), "{name}{value}").expect("BytesMut grows");
        self.own.put_slice(b"\r\n");
        Piece { id, is_own: true, start, end: self.own.len() as u32 }
    }

    /// A line as it came, with its line ends; those inside become spaces.
    fn write_bytes(&mut self, id: Option<Header>, line: &[u8]) -> Piece {
        let start = self.own.len() as u32;
        let end = line.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
        put_clean(&mut self.own, &line[..end]);
        self.own.put_slice(b"\r\n");
        Piece { id, is_own: true, start, end: self.own.len() as u32 }
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

/// Writes text without line ends.
struct Clean<'a>(&'a mut BytesMut);

impl fmt::Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put_clean(self.0, text.as_bytes());
        Ok(())
    }
}

fn put_clean(out: &mut BytesMut, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
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
