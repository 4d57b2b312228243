//! SIP transactions: RFC 3261 §17 with RFC 6026, RFC 4320 and RFC 3581.
//!
//! ```text
//!              requests, responses                    events
//!   switch ──────────► receive ──┐               ┌──► poll ──────► dialog, registrar, proxy, call
//!                                ▼               │
//!              ┌──────────────────────────────────────────┐
//!              │ layer: matching, CANCEL, limits          │
//!              │   clients: invite_client,                │   request, cancel, respond
//!              │            non_invite_client             │◄────────────── the transaction user
//!              │   servers: invite_server,                │
//!              │            non_invite_server             │
//!              │   timers:  one queue for each delay      │
//!              └──────────────────────────────────────────┘
//! ```
//!
//! The room owns every transaction of its switch and what their retransmissions need. It does not
//! own dialogs: the ACK of a 2xx and the repetition of a 2xx belong to the transaction user
//! (RFC 6026 §7.1). It knows no sockets, clock or names: a [`Flow`](crate::domain::Flow) says where
//! bytes go, time is an argument, branches are made from a seed. Timer C is the proxy's.
//!
//! Bounds: transactions ([`Transactions::new`]'s `limit`, and one CANCEL for each INVITE of ours),
//! timers (four settings for each), silence about an INVITE ([`SILENCE_MAX`]).

mod clients;
mod event;
mod invite_client;
mod invite_server;
mod layer;
mod matching;
mod non_invite_client;
mod non_invite_server;
mod offspring;
mod servers;
mod step;
mod timers;
mod wire;

#[cfg(test)]
mod tests;

pub use event::{ClientTx, Full, ServerTx, TxEvent, TxOutput};
pub use layer::{Counts, OVERLOAD_RETRY_AFTER_S, Transactions};
pub use step::{SILENCE_MAX, TRYING_AFTER, TransactionTimers};
pub use timers::SETTINGS_PER_TRANSACTION_MAX;
