//! What can be wrong with bytes that should be SIP, from "cannot be represented" to "answer 400".

use std::fmt;

/// Why bytes are no message at all; they are dropped, and a stream that sends them is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Nothing but line ends.
    Empty,
    /// Longer than [`super::MESSAGE_BYTES_MAX`].
    TooLong,
    /// More lines than [`super::HEADERS_MAX`].
    TooManyHeaders,
    /// The first line is neither `method uri SIP/…` nor `SIP/… code reason`.
    NotSip,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Empty => "empty",
            ParseError::TooLong => "message too long",
            ParseError::TooManyHeaders => "too many headers",
            ParseError::NotSip => "not SIP",
        })
    }
}

impl std::error::Error for ParseError {}

/// What the lexer saw that a valid message has not. The first one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More or other white space in the first line than its two single spaces.
    StartLine,
    /// A header line without a colon, or with a name that is no token.
    HeaderLine,
    /// A carriage return that ends no line.
    StrayReturn,
    /// The bytes ended before the empty line.
    Unfinished,
    /// Content-Length is no number.
    BadLength,
    /// Content-Length promises more than came.
    ShortBody,
}

impl Fault {
    /// The phrase for a response and for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Fault::StartLine => "Bad Start Line",
            Fault::HeaderLine => "Bad Header Line",
            Fault::StrayReturn => "Stray Carriage Return",
            Fault::Unfinished => "Unfinished Message",
            Fault::BadLength => "Bad Content-Length",
            Fault::ShortBody => "Body Shorter Than Content-Length",
        }
    }
}

/// What an element does with a message that it can read and may not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 400, 416, 505 …
    pub status: u16,
    /// The response's reason phrase.
    pub reason: &'static str,
    /// Nothing is sent: it is a response, or an ACK.
    pub drop: bool,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}
