//! Who is reached where, and who may say so: registration (RFC 3261 §10, RFC 3327) and digest
//! authentication (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! [`Location`] is the shared table, [`Registrar`] the one writer of an address of record's entry (on its
//! home shard), [`Authenticator`] says whose request it is. A [`Binding`] is journalled as JSON and
//! comes back from there after a restart.
//!
//! Knows no calls, no agents, no people: which names exist, and with which passwords, is asked from outside.

mod authenticator;
mod binding;
mod location;
mod nonce;
mod refusal;
mod register;
mod reply;
#[cfg(test)]
mod tests;
mod update;
mod wish;

pub use authenticator::{Authenticator, NONCE_LIFETIME, NonceWindow, Verdict};
pub use binding::{Binding, Change, Q_MAX, Why};
pub use location::{AORS_MAX, Location};
pub use nonce::reseal_nonce;
pub use register::{Presented, Registered, Registrar, Streams, screen};
pub use wish::{CONTACT_BYTES_MAX, PATH_LEN_MAX, TEXT_BYTES_MAX};
