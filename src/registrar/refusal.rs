//! Why a REGISTER is refused, and the answer that says so (RFC 3261 §10.3, RFC 3327 §5.3).

use crate::sip::{Builder, Header, Message};

/// One reason; each is one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request URI names no domain of ours (step 1): we forward no registrations.
    ForeignDomain,
    /// Require names extensions that we have not (step 2).
    Unsupported(Vec<String>),
    /// Somebody else's address of record (step 4).
    NotYours,
    /// The address of record is none of ours (step 5).
    UnknownAddress,
    /// A header that cannot mean anything; which.
    Malformed(&'static str),
    /// A contact that requests cannot be sent to.
    ContactScheme,
    /// Path without `Supported: path` (RFC 3327 §5.3: the phone would not know that it is tracked).
    PathNotAskedFor,
    /// Shorter than the shortest registration, in seconds (step 7).
    TooBrief(u32),
    /// Not newer than what the same Call-ID said before (steps 6 and 7).
    OutOfOrder,
    /// No room for one more binding; seconds until one ends.
    TooMany(u32),
}

impl Refusal {
    pub fn reply(&self, request: &Message, tag: &str) -> Builder {
        let reply = |status| Builder::reply(request, status, Some(tag));
        let with = |status, reason| Builder::reply_with(request, status, reason, Some(tag));
        match self {
            Refusal::ForeignDomain => with(403, "Not Our Domain"),
            Refusal::Unsupported(options) => {
                reply(420).header(Header::Unsupported, options.join(", "))
            }
            Refusal::NotYours => reply(403),
            Refusal::UnknownAddress => reply(404),
            Refusal::Malformed(what) => with(400, what),
            Refusal::ContactScheme => with(416, "Unsupported Contact URI Scheme"),
            Refusal::PathNotAskedFor => reply(420).header(Header::Unsupported, "path"),
            Refusal::TooBrief(seconds) => reply(423).header(Header::MinExpires, seconds),
            Refusal::OutOfOrder => with(500, "Registration Out Of Order"),
            Refusal::TooMany(seconds) => {
                with(503, "Too Many Registered Contacts").header(Header::RetryAfter, seconds)
            }
        }
    }
}
