//! The stateful, record-routing proxy core (RFC 3261 §16), and the answers of an element that a request is
//! meant for (§8.2).
//!
//! ```text
//!   TxEvent::Request ──► arrive ──┬─► Along(passage)  ──► follow     in a dialog that we record-routed
//!                                 ├─► Open(passage)   ──► start      targets chosen by the switch,
//!                                 │                   └─► answer_to  or the request is for us
//!                                 └─► Refused(reply)                 a Route that is not ours to follow
//!   all other TxEvents ──► on_tx_event ──► true: it was ours
//! ```
//! The proxy is a state machine over [`Transactions`](crate::transaction::Transactions), which the switch owns
//! and lends. It carries INVITE dialogs between trunks, and everything outside INVITE dialogs between
//! registered people.
//!
//! **No relay.** A request goes to a target that the switch gave, or to one of the two ends sealed into the
//! cookie of our own Record-Route, as the switch reaches them now. No address is ever taken from a
//! Request-URI, a Route or a Via.
//!
//! A proxied INVITE is a call with a record: [`ProxyEvent`]s tell its story, [`ProxiedDialog`] is what probing
//! and hanging up need. Who may call whom, who is registered, what a record looks like: not known here.

mod arrival;
mod best;
mod contexts;
mod cookie;
mod dialogs;
mod event;
mod forward;
mod responses;
#[cfg(test)]
mod tests;
mod uas;

pub use arrival::{Answer, Arrival, Passage, ROUTES_MAX};
pub use contexts::{Proxy, ProxyLimits, Start, TARGETS_MAX, TIMER_C, Target};
pub use cookie::{End, PARTY_BYTES_MAX};
pub use dialogs::{DIALOGS_MAX, Peer, ProxiedDialog};
pub use event::{ProxyEvent, Reach, Side, same_host};
pub use uas::{Capabilities, answer_to};
