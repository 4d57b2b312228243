//! What the transaction layer tells its user, and the names of transactions.

use std::fmt;

use bytes::Bytes;

use crate::domain::Flow;
use crate::sip::Message;

/// A server transaction: a request that somebody sent us. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerTx(pub(super) u64);

/// A client transaction: a request that we sent. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientTx(pub(super) u64);

/// No room for another transaction; whoever asked answers 503 or tries the next target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for another transaction")
    }
}

impl std::error::Error for Full {}

/// One output; taken by `Transactions::poll`.
#[derive(Clone, Debug)]
pub enum TxOutput {
    /// Bytes for the transport.
    Send {
        /// Where to.
        flow: Flow,
        /// One message.
        bytes: Bytes,
    },
    /// News for the transaction user.
    Event(TxEvent),
}

/// News for the transaction user.
#[derive(Clone, Debug)]
pub enum TxEvent {
    /// A new request, neither ACK nor CANCEL. Its top Via has `received` and `rport` filled in
    /// (RFC 3581 §4), so that a reply that copies it carries them. The user answers by
    /// `Transactions::respond`; to an INVITE the layer sends 100 itself after 200 ms of silence.
    Request {
        /// To answer it by.
        tx: ServerTx,
        /// The request.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// A CANCEL for an INVITE that has no final response yet. It was answered; the user answers
    /// the INVITE with 487 (RFC 3261 §9.2). Told once.
    Cancelled {
        /// The INVITE's.
        tx: ServerTx,
        /// The CANCEL, for its Reason.
        cancel: Message,
    },
    /// An ACK that belongs to no failure of ours: it confirms a 2xx, or is a stray.
    Ack {
        /// The ACK.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The failure sent to an INVITE was acknowledged.
    Confirmed {
        /// The INVITE's.
        tx: ServerTx,
    },
    /// A response: every provisional one, the first final one, and each further 2xx to an INVITE
    /// (RFC 6026 §7.2). A 2xx to an INVITE awaits the user's ACK.
    Response {
        /// The request's.
        tx: ClientTx,
        /// The response, our Via on top.
        response: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// No final response came (timers B and F, or 64·T1 after a CANCEL): as 408 (§8.1.3.1).
    Timeout {
        /// The request's.
        tx: ClientTx,
    },
    /// The request could not be sent, or its connection closed before the answer: as 503
    /// (§8.1.3.1).
    TransportFailed {
        /// The request's.
        tx: ClientTx,
    },
    /// A response of ours could not be sent (§17.2.4). An INVITE's transaction stays (RFC 6026
    /// §7.1), any other is gone.
    ReplyFailed {
        /// The request's.
        tx: ServerTx,
    },
    /// Nobody acknowledged the failure sent to an INVITE (timer H).
    NoAck {
        /// The INVITE's.
        tx: ServerTx,
    },
    /// A 2xx to an INVITE that no transaction knows any more: its dialog repeats the ACK, a proxy
    /// drops it (RFC 6026 §7.3).
    Stray {
        /// The response.
        response: Message,
        /// Where it came from.
        flow: Flow,
    },
}
