//! One pass over a message's head: the first line, and for each header line what it is and where it lies.
//!
//! Zero-copy: an [`Index`] holds places in the message's bytes. Only lines that are folded (RFC 3261
//! §7.3.1) or no UTF-8 get a readable copy in `side`; the bytes themselves stay as they came. A bare line
//! feed ends a line as CRLF does, so that nobody behind us sees a header that we did not.

use smallvec::SmallVec;

use super::fault::{Fault, ParseError};
use super::header::Header;
use super::list::{is_space, is_token_byte};
use super::method::Method;

/// The longest message: 64 KiB of head and 64 KiB of body.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// The most header lines of one message.
pub const HEADERS_MAX: usize = 256;

/// Lines that fit without a second allocation; a usual INVITE has some 15 to 20.
const LINES_INLINE: usize = 24;

/// A piece of text: in the message's bytes, or in the side copy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub at: u32,
    pub len: u32,
    pub is_aside: bool,
}

/// One header line: 24 bytes, so that a usual message's index is some half a kilobyte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// First byte of the line in the message.
    pub start: u32,
    /// Behind its line end.
    pub end: u32,
    /// The name begins at `start`.
    name_len: u32,
    value_at: u32,
    value_len: u32,
    pub id: Option<Header>,
    /// One physical line or several, each ended by CRLF: can be sent on as it is.
    pub is_tidy: bool,
    pub is_folded: bool,
    value_is_aside: bool,
}

impl Line {
    /// As written.
    pub fn name(&self) -> Span {
        Span { at: self.start, len: self.name_len, is_aside: false }
    }

    /// Folds undone, spaces around it gone.
    pub fn value(&self) -> Span {
        Span { at: self.value_at, len: self.value_len, is_aside: self.value_is_aside }
    }
}

/// What the first line says.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Request {
        method: Method,
        uri: Span,
        version: Span,
    },
    /// `status` is 0 if the code is no number of three digits.
    Response {
        status: u16,
        reason: Span,
        version: Span,
    },
}

/// What the lexer found.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub start: Start,
    pub lines: SmallVec<[Line; LINES_INLINE]>,
    pub side: String,
    /// First byte of the first header line.
    pub headers_at: u32,
    pub body_at: u32,
    pub body_end: u32,
    pub cseq: Option<(u32, Method)>,
    pub fault: Option<Fault>,
}

impl Index {
    /// `bytes` begins with the first line.
    pub fn of(bytes: &[u8]) -> Result<Index, ParseError> {
        Lexer::new(bytes)?.run()
    }

    /// The index after line `at` has become `name: value` and a line end, of these lengths, all in the message.
    pub fn with_line(&self, at: usize, name_len: usize, value_len: usize) -> Index {
        let mut index = self.clone();
        let line = &mut index.lines[at];
        let old_end = line.end;
        line.name_len = place(name_len);
        line.value_at = line.start + place(name_len + 2);
        line.value_len = place(value_len);
        line.end = line.value_at + line.value_len + 2;
        (line.is_tidy, line.is_folded, line.value_is_aside) = (true, false, false);
        let new_end = line.end;
        let moved = |place: u32| place - old_end + new_end;
        for line in &mut index.lines[at + 1..] {
            (line.start, line.end) = (moved(line.start), moved(line.end));
            if !line.value_is_aside {
                line.value_at = moved(line.value_at);
            }
        }
        (index.body_at, index.body_end) = (moved(index.body_at), moved(index.body_end));
        index
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    index: Index,
    is_text: bool,
}

/// One physical line: `start..end` without its line end, the next line at `next`.
struct Physical {
    end: usize,
    next: usize,
    has_crlf: bool,
    /// A carriage return that ends no line.
    has_stray: bool,
}

impl Physical {
    fn is_clean(&self) -> bool {
        self.has_crlf && !self.has_stray
    }
}

/// The front of a header line.
struct Name {
    len: usize,
    /// Behind the colon; `None` if there is none.
    value_at: Option<usize>,
    /// A token, and a colon behind it.
    is_good: bool,
}

impl<'a> Lexer<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let first = physical(bytes, 0).ok_or(ParseError::Empty)?;
        let mut side = String::new();
        let (start, fault) = read_start(bytes, first.end, &mut side).ok_or(ParseError::NotSip)?;
        let index = Index {
            start,
            lines: SmallVec::new(),
            side,
            headers_at: place(first.next),
            body_at: place(bytes.len()),
            body_end: place(bytes.len()),
            cseq: None,
            fault,
        };
        Ok(Self { bytes, index, is_text: false })
    }

    fn run(mut self) -> Result<Index, ParseError> {
        let mut at = self.index.headers_at as usize;
        let head_end = head_end(self.bytes, at);
        self.is_text = std::str::from_utf8(&self.bytes[at..head_end]).is_ok();
        loop {
            let Some(line) = physical(self.bytes, at) else {
                self.blame(Fault::Unfinished);
                break;
            };
            if line.end == at {
                self.index.body_at = place(line.next);
                break;
            }
            if self.index.lines.len() == HEADERS_MAX {
                return Err(ParseError::TooManyHeaders);
            }
            at = self.header(at, line);
        }
        self.measure_body();
        self.read_cseq();
        Ok(self.index)
    }

    /// The line at `start` with its continuations; gives the place of the next one.
    fn header(&mut self, start: usize, first: Physical) -> usize {
        let bytes = self.bytes;
        let (mut end, mut next, mut is_tidy) = (first.end, first.next, first.is_clean());
        let (mut has_stray, mut is_folded) = (first.has_stray, false);
        while bytes.get(next).is_some_and(|b| is_space(*b)) {
            let Some(more) = physical(bytes, next) else { break };
            (end, next, is_folded) = (more.end, more.next, true);
            is_tidy &= more.is_clean();
            has_stray |= more.has_stray;
        }
        let name = name_of(&bytes[start..first.end]);
        let id = Header::from_bytes(&bytes[start..start + name.len]);
        if !name.is_good && (name.value_at.is_none() || id.is_none()) {
            self.blame(Fault::HeaderLine);
        }
        if has_stray {
            self.blame(Fault::StrayReturn);
        }
        let value_at = name.value_at.map_or(end, |at| start + at);
        let (value_start, value_end) = trimmed(bytes, value_at, end);
        let value = self.span(value_start, value_end, is_folded);
        self.index.lines.push(Line {
            start: place(start),
            end: place(next),
            name_len: place(name.len),
            value_at: value.at,
            value_len: value.len,
            id,
            is_tidy,
            is_folded,
            value_is_aside: value.is_aside,
        });
        next
    }

    fn span(&mut self, start: usize, end: usize, is_folded: bool) -> Span {
        let raw = &self.bytes[start..end];
        if !is_folded && (self.is_text || std::str::from_utf8(raw).is_ok()) {
            return Span { at: place(start), len: place(end - start), is_aside: false };
        }
        aside(&mut self.index.side, raw)
    }

    fn measure_body(&mut self) {
        let available = self.index.body_end - self.index.body_at;
        let Some(line) = self.index.lines.iter().find(|l| l.id == Some(Header::ContentLength))
        else {
            return;
        };
        let value = self.text(line.value());
        let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        match value.parse::<u64>() {
            Ok(length) if is_number && length <= u64::from(available) => {
                self.index.body_end = self.index.body_at + place(length as usize);
            }
            _ if is_number => self.blame(Fault::ShortBody),
            _ => self.blame(Fault::BadLength),
        }
    }

    fn read_cseq(&mut self) {
        let Some(line) = self.index.lines.iter().find(|l| l.id == Some(Header::CSeq)) else {
            return;
        };
        let mut words = self.text(line.value()).split([' ', '\t']).filter(|w| !w.is_empty());
        let (Some(number), Some(method), None) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if number.bytes().all(|b| b.is_ascii_digit()) {
            let number = number.parse().ok();
            self.index.cseq = number.map(|n| (n, Method::parse(method)));
        }
    }

    fn text(&self, span: Span) -> &str {
        read(self.bytes, &self.index.side, span)
    }

    fn blame(&mut self, fault: Fault) {
        self.index.fault.get_or_insert(fault);
    }
}

/// The text of a span. Spans are made of valid text; anything else reads as empty.
pub(super) fn read<'a>(bytes: &'a [u8], side: &'a str, span: Span) -> &'a str {
    let range = span.at as usize..(span.at + span.len) as usize;
    if span.is_aside {
        return side.get(range).unwrap_or("");
    }
    bytes.get(range).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
}

/// The message is bounded by `MESSAGE_BYTES_MAX`, so every place in it fits.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("messages are shorter than MESSAGE_BYTES_MAX")
}

fn physical(bytes: &[u8], at: usize) -> Option<Physical> {
    let (mut from, mut has_stray) = (at, false);
    if at >= bytes.len() {
        return None;
    }
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &bytes[from..]) {
        let found = from + found;
        let has_crlf = bytes[found] == b'\r' && bytes.get(found + 1) == Some(&b'\n');
        if has_crlf || bytes[found] == b'\n' {
            let next = found + 1 + usize::from(has_crlf);
            return Some(Physical { end: found, next, has_crlf, has_stray });
        }
        (from, has_stray) = (found + 1, true);
    }
    Some(Physical { end: bytes.len(), next: bytes.len(), has_crlf: false, has_stray })
}

/// Name, white space, colon (RFC 3261 §7.3.1); what is no token is a name up to the colon all the same.
fn name_of(line: &[u8]) -> Name {
    let len = line.iter().position(|b| !is_token_byte(*b)).unwrap_or(line.len());
    let spaces = line[len..].iter().take_while(|b| is_space(**b)).count();
    if len > 0 && line.get(len + spaces) == Some(&b':') {
        return Name { len, value_at: Some(len + spaces + 1), is_good: true };
    }
    let colon = memchr::memchr(b':', line);
    let (_, len) = trimmed(line, 0, colon.unwrap_or(line.len()));
    Name { len, value_at: colon.map(|c| c + 1), is_good: false }
}

/// Behind the empty line that ends the head, or the end of the bytes.
fn head_end(bytes: &[u8], from: usize) -> usize {
    memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map_or(bytes.len(), |at| from + at + 4)
}

fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    let is_blank = |b: u8| is_space(b) || b == b'\r' || b == b'\n';
    while start < end && is_blank(bytes[start]) {
        start += 1;
    }
    while end > start && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    (start, end)
}

/// A readable copy: folds become one space (RFC 3261 §7.3.1), bytes that are no UTF-8 become U+FFFD.
fn aside(side: &mut String, raw: &[u8]) -> Span {
    let at = side.len();
    for (i, piece) in raw.split(|b| *b == b'\n').enumerate() {
        let (start, end) = trimmed(piece, 0, piece.len());
        if i > 0 {
            side.push(' ');
        }
        side.push_str(&String::from_utf8_lossy(&piece[start..end]));
    }
    Span { at: at as u32, len: (side.len() - at) as u32, is_aside: true }
}

/// Looks for `method uri SIP/…` or `SIP/… code reason`; the URI may hold spaces (they are a fault).
fn read_start(bytes: &[u8], end: usize, side: &mut String) -> Option<(Start, Option<Fault>)> {
    let line = &bytes[..end];
    let mut span = |from: usize, to: usize| match std::str::from_utf8(&bytes[from..to]) {
        Ok(_) => Span { at: from as u32, len: (to - from) as u32, is_aside: false },
        Err(_) => aside(side, &bytes[from..to]),
    };
    let stray = memchr::memchr2(b'\r', b'\t', line).map(|_| Fault::StartLine);
    let first = memchr::memchr(b' ', line)?;
    if is_version(&line[..first]) {
        let code_end = memchr::memchr(b' ', &line[first + 1..]).map_or(end, |i| first + 1 + i);
        let code = &line[first + 1..code_end];
        let is_code = code.len() == 3 && code.iter().all(u8::is_ascii_digit);
        let digits = code.iter().map(|b| u16::from(b.wrapping_sub(b'0')));
        let status = if is_code { digits.fold(0, |n, d| n * 10 + d) } else { 0 };
        let (reason, version) = (span((code_end + 1).min(end), end), span(0, first));
        return Some((Start::Response { status, reason, version }, stray));
    }
    let (_, text_end) = trimmed(line, 0, end);
    let last = memchr::memrchr(b' ', &line[..text_end])?;
    if last <= first || !is_version(&line[last + 1..text_end]) {
        return None;
    }
    let (uri_start, uri_end) = trimmed(line, first, last);
    let is_exact = uri_start == first + 1 && uri_end == last && text_end == end;
    let has_space = line[uri_start..uri_end].iter().any(|b| is_space(*b));
    let fault = stray.or((!is_exact || has_space).then_some(Fault::StartLine));
    let (uri, version) = (span(uri_start, uri_end), span(last + 1, text_end));
    let method = Method::parse(&String::from_utf8_lossy(&line[..first]));
    Some((Start::Request { method, uri, version }, fault))
}

fn is_version(word: &[u8]) -> bool {
    word.len() > 4 && word[..4].eq_ignore_ascii_case(b"SIP/")
}
