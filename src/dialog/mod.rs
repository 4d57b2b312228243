//! Dialogs: RFC 3261 §12, and what an INVITE dialog needs besides (§13.2.2.4, §13.3.1.4, §14).
//!
//! ```text
//!                 ┌──────────────────────────────────────────────────────┐
//!   a leg owns    │ Dialog       tags, CSeq, route set, remote target    │  one
//!                 │ AcceptedUas  our 2xx, again and again until the ACK  │  while unconfirmed
//!                 │ AckStore     our ACKs, for a 2xx that comes again    │  one
//!                 │ Probe        OPTIONS: is the peer still there?       │  while confirmed
//!                 └──────────────────────────────────────────────────────┘
//! ```
//!
//! Each part is a value of its own that takes the time as an argument and sends nothing: it gives
//! builders, bytes and verdicts to the leg that owns it, and the leg sends through `transaction`.
//! Who ended up where, SDP, calls and people are not known here. Session timers (RFC 4028) are
//! passed through by those above.

mod accepted;
mod acks;
mod opening;
mod probe;
mod snapshot;
mod state;

#[cfg(test)]
mod tests;

pub use accepted::{Accepted, AcceptedUas};
pub use acks::{ACKS_MAX, AckStore};
pub use opening::Opening;
pub use probe::{Probe, SILENCES_MAX, Verdict};
pub use snapshot::{CSEQ_GAP, Snapshot};
pub use state::{Dialog, DialogId, NoDialog};
