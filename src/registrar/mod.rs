//! Who is reached where, and who may say so: registration (RFC 3261 §10, RFC 3327) and digest
//! authentication (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! [`Location`] is the shared table, [`Registrar`] the one writer of an address of record's entry (on its
//! home shard), [`Authenticator`] says whose request it is. A [`Binding`] is journalled as JSON and
//! comes back from there after a restart.
//!
//! Knows no calls, no agents, no people: which names exist, and with which passwords, is asked from outside.

mod binding;
mod location;
#[cfg(test)]
mod tests;

pub use binding::{Binding, Change, Q_MAX, Why};
pub use location::{AORS_MAX, Location};
