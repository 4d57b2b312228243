//! Where one message of a stream ends and the next begins (RFC 3261 §7.5, §18.3, §20.14).
//!
//! ```text
//!         CRLF                    CRLF CRLF (RFC 5626 §3.5.1)
//!        ┌────┐                  ┌───────────────────────────► KeepAlive
//!        ▼    │                  │
//!   ─► between ── a byte ──► in the head ── empty line ──► in the body ── all of it ──► Message
//!                                │ HEAD_BYTES_MAX                │ no length, BODY_BYTES_MAX
//!                                └────────────► FrameError ◄─────┘   (the connection is to be closed)
//! ```
//! After an error nothing more comes out: where the next message begins cannot be known any more.

use bytes::{Buf, Bytes, BytesMut};

use super::fault::ParseError;
use super::header::Header;
use super::lexer::{self, Index};
use super::message::Message;

/// The longest first line with all header lines, on a stream.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest body, on a stream.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a stream carries.
#[derive(Clone, Debug)]
pub enum Framed {
    /// A whole message, not yet judged.
    Message(Message),
    /// Two line ends: to be answered with one (RFC 5626 §3.5.1).
    KeepAlive,
}

/// Why no more messages can be cut from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// More than [`HEAD_BYTES_MAX`] without an empty line.
    HeadTooLong,
    /// A Content-Length of more than [`BODY_BYTES_MAX`].
    BodyTooLong,
    /// Two Content-Length lines, or one that is no number.
    BadLength,
    /// The head is no SIP.
    NotSip(ParseError),
}

/// See [`FrameFault`]; the connection is to be closed.
#[derive(Clone, Debug)]
pub struct FrameError {
    /// What is wrong.
    pub fault: FrameFault,
    /// The head, if it could be read: a request may be answered with [`FrameError::status`] first.
    pub head: Option<Message>,
}

impl FrameError {
    /// What to answer to the request in `head`.
    pub fn status(&self) -> u16 {
        match self.fault {
            FrameFault::BodyTooLong => 413,
            FrameFault::HeadTooLong | FrameFault::NotSip(ParseError::TooManyHeaders) => 513,
            FrameFault::BadLength | FrameFault::NotSip(_) => 400,
        }
    }
}

/// Cuts one direction of one connection into messages. Holds at most one unfinished message, so at most
/// `HEAD_BYTES_MAX + BODY_BYTES_MAX` bytes beyond what the last `push` brought.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Bytes of the head that hold no empty line, as far as looked.
    looked: usize,
    /// Length of head and body, once the head is complete.
    wanted: Option<usize>,
    is_broken: bool,
}

impl Framer {
    /// For a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes as they came. Call [`Framer::next`] until `None` before the next push.
    pub fn push(&mut self, bytes: Bytes) {
        if !self.is_broken {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// Bytes that wait for more.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next message; `None`: more bytes are needed, or it is broken.
    #[expect(clippy::should_implement_trait, reason = "it goes on after None")]
    pub fn next(&mut self) -> Option<Result<Framed, FrameError>> {
        if self.is_broken {
            return None;
        }
        if self.wanted.is_none() && self.skip_line_ends() {
            return Some(Ok(Framed::KeepAlive));
        }
        let cut = match self.cut() {
            Ok(None) => return None,
            Ok(Some(raw)) => Message::parse(raw).map_err(|e| broken(FrameFault::NotSip(e), None)),
            Err(error) => Err(error),
        };
        self.is_broken = cut.is_err();
        Some(cut.map(Framed::Message))
    }

    /// Line ends before a message mean nothing, except two together. A single one at the end of what came is
    /// kept: its twin may follow.
    fn skip_line_ends(&mut self) -> bool {
        loop {
            let first = line_end(&self.buffer);
            if first == 0 {
                return false;
            }
            let second = line_end(&self.buffer[first..]);
            if second > 0 {
                self.buffer.advance(first + second);
                return true;
            }
            let is_undecided = matches!(&self.buffer[first..], [] | [b'\r']);
            if is_undecided {
                return false;
            }
            self.buffer.advance(first);
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, FrameError> {
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => match self.find_head()? {
                Some(head) => head + self.read_length(head)?,
                None => return Ok(None),
            },
        };
        self.wanted = Some(wanted);
        if self.buffer.len() < wanted {
            return Ok(None);
        }
        (self.wanted, self.looked) = (None, 0);
        Ok(Some(self.buffer.split_to(wanted).freeze()))
    }

    /// Length of the head with its empty line.
    fn find_head(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.looked.saturating_sub(2);
        let is_waiting = self.buffer.iter().all(|b| matches!(b, b'\r' | b'\n'));
        if is_waiting {
            return Ok(None);
        }
        for feed in memchr::memchr_iter(b'\n', &self.buffer[from..]) {
            let behind = from + feed + 1;
            let empty = line_end(&self.buffer[behind..]);
            if empty > 0 && behind + empty <= HEAD_BYTES_MAX {
                return Ok(Some(behind + empty));
            }
        }
        self.looked = self.buffer.len();
        match self.looked > HEAD_BYTES_MAX {
            true => Err(broken(FrameFault::HeadTooLong, Message::beginning(&self.buffer))),
            false => Ok(None),
        }
    }

    /// The body's length; none said means none there (RFC 3261 §20.14 wants it said on a stream).
    fn read_length(&self, head: usize) -> Result<usize, FrameError> {
        let bytes = &self.buffer[..head];
        let index = Index::of(bytes).map_err(|e| {
            let many = e == ParseError::TooManyHeaders;
            let head = many.then(|| Message::beginning(bytes)).flatten();
            broken(FrameFault::NotSip(e), head)
        })?;
        let mut lines = index.lines.iter().filter(|l| l.id == Some(Header::ContentLength));
        let length = match (lines.next(), lines.next()) {
            (None, _) => Some(0),
            (Some(_), Some(_)) => None,
            (Some(line), None) => read_number(lexer::read(bytes, &index.side, line.value())),
        };
        let fail = |fault| {
            let head = Message::parse(Bytes::copy_from_slice(bytes)).ok();
            Err(broken(fault, head))
        };
        match length {
            None => fail(FrameFault::BadLength),
            Some(length) if length > BODY_BYTES_MAX => fail(FrameFault::BodyTooLong),
            Some(length) => Ok(length),
        }
    }
}

/// `None` if it is no number; the biggest if it is a bigger one.
fn read_number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

/// Length of the line end at the front; 0 if there is none.
fn line_end(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    }
}

fn broken(fault: FrameFault, head: Option<Message>) -> FrameError {
    FrameError { fault, head }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\n\
                           Content-Length: 4\r\n\r\nbody";

    fn feed(framer: &mut Framer, bytes: &str) -> Vec<Result<Framed, FrameFault>> {
        framer.push(Bytes::copy_from_slice(bytes.as_bytes()));
        std::iter::from_fn(|| framer.next()).map(|f| f.map_err(|e| e.fault)).collect()
    }

    fn bodies(frames: &[Result<Framed, FrameFault>]) -> Vec<String> {
        let show = |f: &Result<Framed, FrameFault>| match f {
            Ok(Framed::Message(m)) => String::from_utf8_lossy(&m.body()).into_owned(),
            Ok(Framed::KeepAlive) => "ping".to_owned(),
            Err(fault) => format!("{fault:?}"),
        };
        frames.iter().map(show).collect()
    }

    #[test]
    fn several_messages_in_one_read_come_out_one_by_one() {
        let mut framer = Framer::new();
        let frames = feed(&mut framer, &format!("{OPTIONS}\r\n{OPTIONS}\r\n\r\n{OPTIONS}"));
        assert_eq!(bodies(&frames), ["body", "body", "ping", "body"]);
        assert_eq!(framer.buffered(), 0);
    }

    #[test]
    fn a_message_in_single_bytes_comes_out_once() {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for byte in format!("\r\n\r\n{OPTIONS}\r\n{OPTIONS}").chars() {
            frames.extend(feed(&mut framer, &byte.to_string()));
        }
        assert_eq!(bodies(&frames), ["ping", "body", "body"]);
    }

    #[test]
    fn a_single_line_end_is_no_ping() {
        let mut framer = Framer::new();
        assert!(feed(&mut framer, "\r\n").is_empty());
        assert_eq!(bodies(&feed(&mut framer, OPTIONS)), ["body"]);
    }

    #[test]
    fn no_length_means_no_body() {
        let mut framer = Framer::new();
        let text = OPTIONS.replace("Content-Length: 4\r\n", "").replace("body", "");
        assert_eq!(bodies(&feed(&mut framer, &format!("{text}{OPTIONS}"))), ["", "body"]);
    }

    #[test]
    fn a_length_that_lies_breaks_the_stream_and_the_head_can_be_answered() {
        for (length, fault, status) in [
            ("-1", FrameFault::BadLength, 400),
            ("4\r\nl: 5", FrameFault::BadLength, 400),
            ("", FrameFault::BadLength, 400),
            ("65537", FrameFault::BodyTooLong, 413),
            ("99999999999999999999999999", FrameFault::BodyTooLong, 413),
        ] {
            let mut framer = Framer::new();
            framer.push(Bytes::from(OPTIONS.replace(": 4", &format!(": {length}"))));
            let error = framer.next().unwrap().unwrap_err();
            assert_eq!((error.fault, error.status()), (fault, status), "{length}");
            assert!(error.head.unwrap().top_via().is_some());
            assert!(feed(&mut framer, OPTIONS).is_empty(), "nothing comes out any more");
        }
    }

    #[test]
    fn what_is_no_sip_breaks_the_stream() {
        for text in ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\r\n\r\n", "\rX\r\n\r\n"] {
            let frames = feed(&mut Framer::new(), text);
            assert!(matches!(frames[..], [Err(FrameFault::NotSip(_))]), "{text:?}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_cut_off() {
        let mut framer = Framer::new();
        assert!(feed(&mut framer, "OPTIONS sip:h SIP/2.0\r\n").is_empty());
        let mut frames = Vec::new();
        for _ in 0..=HEAD_BYTES_MAX / 1000 {
            frames.extend(feed(&mut framer, &format!("X: {}\r\n", "y".repeat(995))));
        }
        assert_eq!(bodies(&frames), ["HeadTooLong"]);
    }

    #[test]
    fn the_biggest_body_passes() {
        let body = "x".repeat(BODY_BYTES_MAX);
        let text = OPTIONS.replace(": 4", &format!(": {BODY_BYTES_MAX}")).replace("body", &body);
        assert_eq!(bodies(&feed(&mut Framer::new(), &text)), [body]);
    }
}
